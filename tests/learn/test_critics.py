"""Transitions of a log, adjacent states, and the network of the critics."""

import numpy as np
import pytest
import torch

from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.learn.critics import APPROXIMATIONS, Critics, transitions

T0 = 1_700_000_000_000_000


def met(rows: list[tuple[int, int, float, float]]) -> Interactions:
    """(user, maker, day, click) rows."""
    user, maker, day, click = (np.array(c) for c in zip(*sorted(rows, key=lambda r: r[2]), strict=True))
    return Interactions(
        user=user.astype(np.int64), maker=maker.astype(np.int64), time=T0 + (day * DAY).astype(np.int64),
        outcome=click[:, None].astype(np.float32),
    )  # fmt: skip


ROWS = [(0, 0, 0.0, 1), (0, 1, 1.0, 0), (0, 0, 3.0, 1), (1, 0, 3.5, 0), (0, 1, 20.0, 1), (1, 0, 21.0, 1)]


def moves(rows=ROWS, **more):
    store = PairStates.empty(np.ones((2, 1)), 1, 2)
    asked = {"refresh": 1.0, "others": 1, "window": 14.0, "discount": 0.9, "seed": 0} | more
    return transitions(store, met(rows), **asked)


def test_a_transition_leads_to_the_pairs_own_next_interaction_within_the_window():
    made, _ = moves()
    assert made.after.tolist() == [2, -1, -1, -1, -1, -1]
    assert made.wait[0] == 3.0
    assert made.censored.tolist() == [False, False, False, False, True, True]


def test_features_come_before_the_outcome_they_are_to_tell():
    made, _ = moves()
    flipped = [(u, m, d, c if d < 20 else 1 - c) for u, m, d, c in ROWS]
    other, _ = moves(flipped)
    np.testing.assert_array_equal(made.x, other.x)
    assert not np.array_equal(made.post, other.post)


def test_the_adjacent_state_at_the_next_request_is_the_same_pair_when_its_person_comes_back():
    made, _ = moves()
    np.testing.assert_allclose(made.delay[:3], [1.0, 2.0, 17.0])
    assert np.isnan(made.delay[5])
    store = PairStates.empty(np.ones((2, 1)), 1, 2).update(met(ROWS[:1]))
    np.testing.assert_allclose(made.soon[0], store.features(np.array([0]), np.array([0]), T0 + DAY)[0], rtol=1e-5)
    np.testing.assert_allclose(made.post[0], store.features(np.array([0]), np.array([0]), T0 + 1)[0], rtol=1e-5)


def test_sums_are_those_of_the_pair_discounted_by_the_days_between():
    made, _ = moves()
    assert made.sums(made.reward, 0.9)[:, 0].tolist() == pytest.approx([1 + 0.9**3, 0, 1, 0, 1, 1])


def test_each_approximation_names_its_next_state_its_discount_and_how_long_it_waits():
    made, _ = moves()
    ahead, discount, kept, delay = APPROXIMATIONS["wait"](made, 0.9)
    np.testing.assert_array_equal(ahead[0], made.x[2])
    assert discount[0] == pytest.approx(0.9**3) and not discount[1:].any()
    assert kept.tolist() == (~made.censored).tolist() and delay == pytest.approx((3 + 14 * 3) / 4)
    ahead, discount, kept, delay = APPROXIMATIONS["after"](made, 0.9)
    assert ahead is made.post and kept.all() and delay == 0
    assert (discount > 0).all() and (discount < 1).all()
    ahead, _, kept, delay = APPROXIMATIONS["request"](made, 0.9)
    assert ahead is made.soon and kept.tolist() == (~np.isnan(made.delay)).tolist()
    assert delay == pytest.approx(np.nanmean(made.delay))


def test_the_discount_of_an_adjacent_state_is_the_mean_of_the_waits_that_are_known():
    rows = [(u, 0, d, 0) for u in range(60) for d in (0.0, 2.0)] + [(0, 1, 100.0, 0)]
    made, _ = moves(rows)
    first = made.again[made.time == T0]  # met once: all met again after two days
    assert first.mean() == pytest.approx((60 * 0.9**2 + 20 * 60 * 0.9**2 / 120) / 80, rel=1e-5)


def test_the_next_request_holds_what_the_person_was_shown_then():
    made, _ = moves()
    ahead, there = made.next_pages()
    np.testing.assert_array_equal(ahead[0, 0], made.x[1])
    assert there.tolist() == [True, True, True, True, False, False]


def test_a_head_sees_the_one_before_it_and_does_not_teach_it():
    net = Critics(4, 8, 3, 3, progressive=True)
    q, logits = net(torch.randn(50, 4))
    assert q[0].shape == (50, 3) and logits.shape == (50, 3)
    q[0][:, 2].sum().backward()
    first = net.twins[0]
    assert all(p.grad is None or not p.grad.any() for p in first.towers[1].parameters())
    assert first.towers[2][0].weight.grad.any()
    assert first.towers[2][0].in_features == 8 + 4
