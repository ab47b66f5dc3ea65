"""Matrix factorisation from pairs: what it learns, and how strangers are served."""

import numpy as np
import torch

from interplay.learn.descend import Descent
from interplay.models.pairwise import Pairwise, PairwiseConfig
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests
from small import made

LEARNT = PairwiseConfig(dim=8, descent=Descent(rate=0.02, epochs=60, batch=64))


def test_what_was_taken_scores_above_what_was_not(people):
    model = Pairwise(LEARNT).fit(people)
    scores = model.vectors.users @ model.vectors.items.T
    x = interaction_matrix(people).toarray() > 0
    auc = [(scores[u][x[u]][:, None] > scores[u][~x[u]]).mean() for u in np.flatnonzero(x.any(axis=1))]
    assert np.mean(auc) > 0.9


def test_one_step_of_plain_descent_moves_as_rendle_writes_it():
    """theta += rate * sigmoid(-x_uij) * d x_uij, with x_uij = u . (i - j); one pair, so j is the other item."""
    data = made([(0, 0), (1, 1)], 2, 2)
    config = PairwiseConfig(dim=3, ridge=0.0, descent=Descent(optimiser="sgd", rate=0.5, epochs=1, batch=1))
    before = Pairwise(PairwiseConfig(dim=3, ridge=0.0, descent=Descent(optimiser="sgd", rate=1e-12, epochs=1)))
    start, end = before.fit(data).vectors, Pairwise(config).fit(data).vectors
    users, items = start.users.astype(np.float64), start.items.astype(np.float64)
    order = np.random.default_rng([0, 0]).permutation(2)
    for u in order:
        i, j = (0, 1) if u == 0 else (1, 0)
        slope = 1 / (1 + np.exp(users[u] @ (items[i] - items[j])))
        users[u], items[i], items[j] = (
            users[u] + 0.5 * slope * (items[i] - items[j]),
            items[i] + 0.5 * slope * users[u],
            items[j] - 0.5 * slope * users[u],
        )
    np.testing.assert_allclose(end.users, users, atol=1e-6)
    np.testing.assert_allclose(end.items, items, atol=1e-6)


def test_the_map_for_strangers_is_the_ridge_regression_of_users_on_their_items(people):
    model = Pairwise(LEARNT).fit(people)
    x = interaction_matrix(people).toarray()
    means = np.array([model.vectors.items[row > 0].mean(axis=0) if row.any() else np.zeros(8) for row in x])
    guess, ridge = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True), 1.0
    z, u = torch.from_numpy(means.astype(np.float64)), torch.from_numpy(model.vectors.users.astype(np.float64))
    guess.data = torch.from_numpy(model.guess.astype(np.float64))
    (((z @ guess - u) ** 2).sum() + ridge * (guess**2).sum()).backward()
    assert guess.grad.abs().max() < 1e-3, "the slope is 0 at the minimum"
    np.testing.assert_allclose(model.fold(interaction_matrix(people)), means @ model.guess, atol=1e-5)


def test_a_stranger_gets_much_of_what_the_user_with_that_history_gets(people):
    model = Pairwise(LEARNT).fit(people)
    users = np.flatnonzero(model.rows.events > 3)[:20].astype(np.int32)
    known = Requests.of(people, users)
    strange = Requests(user=np.full(len(users), -1, np.int32), history=known.history)
    mine, theirs = model.retrieve(known, 10).items, model.retrieve(strange, 10).items
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(mine, theirs, strict=True)]) > 0.5


def test_the_softmax_learns_too(people):
    config = PairwiseConfig(dim=8, loss="softmax", similarity="cosine", temperature=0.2, negatives=20, grouped=True,
                            descent=Descent(rate=0.02, epochs=30, batch=128))  # fmt: skip
    model = Pairwise(config).fit(people)
    assert model.fitted["losses"][-1] < 0.7 * model.fitted["losses"][0]
    lengths = np.linalg.norm(model.vectors.items[model.rows.popularity > 0], axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)


def test_forgotten_users_are_strangers(people):
    model = Pairwise(LEARNT).fit(people)
    user = Requests.of(people, np.array([2], np.int32))
    model.forget(np.array([2]))
    assert not model.vectors.users[2].any() and model.rows.events[2] == 0
    stranger = Requests(user=np.array([-1], np.int32), history=user.history)
    assert model.retrieve(user, 5).equals(model.retrieve(stranger, 5))
