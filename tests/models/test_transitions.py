"""Markov transitions against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import Unsupported
from interplay.models.transitions import Markov, MarkovConfig
from interplay.types import Requests, RuleSet, Run
from small import crowd, made

PLAIN = MarkovConfig(skip=2, decay=0.5, source_power=0.0, target_power=0.0, recency=0.5)


def log(*histories: list[int]) -> list[tuple[int, int]]:
    return [(user, item) for user, items in enumerate(histories) for item in items]


def test_transitions_are_counted_by_distance_and_direction():
    model = Markov(PLAIN).fit(made(log([0, 1, 2, 3], [1, 2], [2])))
    expected = np.zeros((4, 4))
    expected[0, 1], expected[1, 2], expected[2, 3] = 1, 1 + 1, 1  # neighbours; 1 -> 2 happened to two people
    expected[0, 2] = expected[1, 3] = 0.5  # one event lies between; two between is beyond skip
    np.testing.assert_allclose(model.counts.toarray(), expected)


def test_both_ends_are_normalised_by_their_events():
    model = Markov(MarkovConfig(skip=1, source_power=0.5, target_power=0.25)).fit(made(log([0, 1], [0, 1], [0, 2])))
    np.testing.assert_allclose(model.weights.toarray()[0, 1:], [2 / (3**0.5 * 2**0.25), 1 / 3**0.5], rtol=1e-6)


def test_backward_one_is_plain_co_occurrence():
    model = Markov(MarkovConfig(backward=1.0, source_power=0.5, target_power=0.5)).fit(crowd())
    weights = model.weights.toarray()
    np.testing.assert_allclose(weights, weights.T, rtol=1e-6)


def test_later_items_of_a_history_weigh_more():
    model = Markov(PLAIN).fit(made(log([0, 3], [1, 4])))
    slates = model.retrieve(Requests.strangers([[0, 1]]), 2)
    assert slates.items[0].tolist() == [4, 3]
    np.testing.assert_allclose(slates.scores[0], [1.0, 0.5])


def test_an_empty_history_gets_what_is_popular_after_what_was_reached():
    model = Markov(PLAIN).fit(made(log([0, 1], [2, 1], [2, 1], [3])))
    slates = model.retrieve(Requests.strangers([[], [0]]), 4)
    assert slates.items[0, :2].tolist() == [1, 2]
    assert slates.items[1, :2].tolist() == [1, 2] and slates.scores[1, 0] > 0 > slates.scores[1, 1]


def test_counting_later_events_equals_a_fit_on_all():
    data = crowd()
    early = np.arange(len(data.events)) - np.repeat(data.offsets[:-1], np.diff(data.offsets)) < 6
    all_at_once = Markov(PLAIN).fit(data)
    in_two_steps = Markov(PLAIN).fit(data.where(early)).partial_fit(data.events.where(~early))
    np.testing.assert_allclose(in_two_steps.weights.toarray(), all_at_once.weights.toarray(), rtol=1e-5)
    np.testing.assert_array_equal(in_two_steps.tails, all_at_once.tails)


def test_events_of_items_and_users_without_a_row_do_no_harm():
    model = Markov(PLAIN).fit(made(log([0, 1], [1, 2])))
    later = made(log([2], [0], [], [0, 2], [9]), 5, 10).events
    model.partial_fit(later)
    assert model.counts[0, 2] == 0.5 + 1.0  # user 0 went 0, 1, 2; a new user went 0, 2
    assert len(model.tails) == 2


def test_order_is_asked_for():
    data = made(log([0, 1]), times=False)
    ordered = Markov().fit(data, run=Run())
    assert ordered.counts.nnz == 1
    loose = data.where(np.ones(2, bool))
    object.__setattr__(loose.events, "ordered", False)
    with pytest.raises(Unsupported, match="neither a timestamp nor an order"):
        Markov().fit(loose)


def test_similar_items_are_what_follows():
    model = Markov(PLAIN).fit(made(log([0, 1, 2], [0, 1]), 2, 4))
    slates = model.similar_items(np.array([0, 2, 3]), 3)
    assert slates.items.tolist() == [[1, 2, -1], [-1, -1, -1], [-1, -1, -1]]


def test_seen_items_are_shown_when_asked_for():
    model = Markov(PLAIN).fit(made(log([0, 1, 0, 1])))
    slates = model.retrieve(Requests.strangers([[1]], rules=RuleSet(withhold_seen=False)), 2)
    assert slates.items[0].tolist() == [0, 1]
