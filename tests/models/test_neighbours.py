"""Neighbours against the papers' sums, worked pair by pair."""

import numpy as np
import pytest

from interplay.errors import UnknownName
from interplay.models.neighbours import ItemKnn, ItemKnnConfig, Rp3Beta, Rp3BetaConfig, UserKnn, UserKnnConfig
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests, RuleSet
from small import crowd, made

X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 1]], np.float64)
FIVE = made(np.argwhere(X), 5, 4)  # five people, four items
SIMILARITIES = {
    "cosine": lambda c, a, b: c / np.sqrt(a * b),
    "jaccard": lambda c, a, b: c / (a + b - c),
    "asymmetric": lambda c, a, b: c / (a**0.3 * b**0.7),
    "tversky": lambda c, a, b: c / (c + 0.3 * (a - c) + 0.7 * (b - c)),
}


@pytest.mark.parametrize("name", SIMILARITIES)
def test_item_weights_are_the_likeness_of_each_pair(name):
    model = ItemKnn(ItemKnnConfig(similarity=name, balance=0.3)).fit(FIVE)
    slow = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            if i != j:
                slow[i, j] = SIMILARITIES[name](X[:, i] @ X[:, j], X[:, i].sum(), X[:, j].sum())
    np.testing.assert_allclose(model.weights.toarray(), slow, rtol=1e-6)


def test_an_item_listens_to_its_k_nearest_and_shrinking_favours_pairs_seen_often():
    full = ItemKnn().fit(FIVE).weights.toarray()
    two = ItemKnn(ItemKnnConfig(k=2)).fit(FIVE).weights.toarray()
    for i in range(4):
        nearest = np.argsort(-full[:, i], kind="stable")[:2]
        np.testing.assert_array_equal(np.flatnonzero(two[:, i]), np.sort(nearest[full[nearest, i] > 0]))
    shrunk = ItemKnn(ItemKnnConfig(shrink=10.0)).fit(FIVE).weights.toarray()
    assert shrunk[0, 3] / shrunk[0, 1] < full[0, 3] / full[0, 1], "together twice counts less than three times"


def test_a_weighting_counts_each_persons_pairs_as_much_as_it_says():
    model = ItemKnn(ItemKnnConfig(weighting="activity")).fit(FIVE)
    weight = X.sum(axis=1) ** -0.5
    c, n = (X * weight[:, None]).T @ X, (X * weight[:, None]).sum(axis=0)
    slow = c / np.sqrt(np.outer(n, n))
    np.fill_diagonal(slow, 0)
    np.testing.assert_allclose(model.weights.toarray(), slow, rtol=1e-6)


def test_rp3beta_is_a_walk_of_three_steps():
    model = Rp3Beta(Rp3BetaConfig(alpha=0.7, beta=0.4)).fit(FIVE)
    to_item, to_person = (X / X.sum(axis=1, keepdims=True)) ** 0.7, (X.T / X.sum(axis=0)[:, None]) ** 0.7
    ends = to_person @ to_item / X.sum(axis=0) ** 0.4
    np.fill_diagonal(ends, 0)
    np.testing.assert_allclose(model.weights.toarray(), ends, rtol=1e-5)


def test_a_person_is_scored_by_the_sum_over_the_history_and_the_rest_by_popularity():
    model = ItemKnn(ItemKnnConfig(k=1)).fit(FIVE)
    slate = model.retrieve(Requests.strangers([[3], []]), 4)
    weights = model.weights.toarray()
    assert weights[3, [0, 1, 2]].tolist() == [0, 0, 0], "each of them listens to another item"
    assert sorted(i for i, _ in slate.row(0)[:2]) == [0, 1] and slate.row(0)[2][0] == 2, (
        "items for which nothing speaks come in order of popularity"
    )
    assert sorted(i for i, _ in slate.row(1)[:2]) == [0, 1]


def test_user_neighbours_vote_and_nobody_votes_for_themselves():
    model = UserKnn(UserKnnConfig(k=2)).fit(FIVE)
    person, everything = 1, RuleSet(withhold_seen=False)
    scores = dict(model.retrieve(Requests.of(FIVE, np.array([person]), rules=everything), 4).row(0))
    alike = np.array([X[person] @ X[v] / np.sqrt(X[person].sum() * X[v].sum()) for v in range(5)])
    alike[person] = 0
    nearest = np.argsort(-alike, kind="stable")[:2]
    slow = alike[nearest] @ X[nearest]
    for item in range(4):
        assert scores[item] == pytest.approx(slow[item], rel=1e-5, abs=1e-8)


def test_a_neighbours_older_events_beyond_the_window_are_left_out():
    data = made([(0, 0), (0, 1), (0, 2), (1, 2), (1, 3)], 2, 4)
    model = UserKnn(UserKnnConfig(window=2)).fit(data)
    np.testing.assert_array_equal(model.people.toarray(), [[0, 1, 1, 0], [0, 0, 1, 1]])


def test_what_forgotten_people_took_is_not_shown_to_anybody():
    data = made([(0, 0), (0, 5), (1, 0), (1, 1), (2, 3)], 3, 6)
    model = UserKnn().fit(data)
    assert model.retrieve(Requests.strangers([[0]]), 2).row(0)[1][1] > 0.1
    model.forget(np.array([0]))
    assert dict(model.retrieve(Requests.strangers([[0]]), 6).row(0))[5] < 1e-6
    again = UserKnn().restore(model.state())
    np.testing.assert_array_equal(again.people.toarray(), interaction_matrix(data).toarray() * [[0], [1], [1]])


def test_events_that_come_later_count_as_if_they_had_been_fitted():
    data = crowd()
    early = np.arange(len(data.events)) % 3 > 0
    whole, grown = UserKnn().fit(data), UserKnn().fit(data.where(early)).partial_fit(data.events.where(~early))
    asked = Requests.of(data, np.arange(data.n_users))
    assert grown.retrieve(asked, 5).equals(whole.retrieve(asked, 5))
    assert grown.rows.events.tolist() == whole.rows.events.tolist()
    grown.partial_fit(data.events)  # known already: changes no list
    assert grown.retrieve(asked, 5).equals(whole.retrieve(asked, 5))


def test_similar_items_are_the_items_own_neighbours_best_first():
    model = ItemKnn().fit(crowd())
    slate = model.similar_items(np.array([3, 39, 99]), 5)
    row = model.weights.toarray()[3]
    np.testing.assert_allclose(slate.scores[0], np.sort(row)[::-1][:5])
    np.testing.assert_allclose(row[slate.items[0]], slate.scores[0])
    assert (slate.items[1:] == -1).all(), "an item without events has no neighbours"


def test_a_mistyped_part_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="cosine"):
        ItemKnn(ItemKnnConfig(similarity="cosin")).fit(FIVE)
    with pytest.raises(UnknownName, match="activity"):
        ItemKnn(ItemKnnConfig(weighting="activty")).fit(FIVE)
