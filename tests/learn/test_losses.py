"""Each loss against numbers worked by hand."""

import math

import pytest
import torch

from interplay.learn import losses

t = torch.tensor


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_bpr_is_minus_log_sigmoid_of_the_difference():
    by_hand = (-math.log(sigmoid(2.0 - 0.5)) - math.log(sigmoid(-1.0 - 3.0))) / 2
    assert float(losses.bpr(t([2.0, -1.0]), t([0.5, 3.0]))) == pytest.approx(by_hand, rel=1e-6)
    assert math.isfinite(float(losses.bpr(t([-500.0]), t([500.0]))))


def test_bce_sums_over_the_negatives_and_weights_leave_rows_out():
    by_hand = -math.log(sigmoid(1.0)) - math.log(1 - sigmoid(0.5)) - math.log(1 - sigmoid(-2.0))
    assert float(losses.bce(t([1.0]), t([[0.5, -2.0]]))) == pytest.approx(by_hand, rel=1e-6)
    padded = losses.bce(t([1.0, 99.0]), t([[0.5, -2.0], [99.0, 99.0]]), weight=t([1.0, 0.0]))
    assert float(padded) == pytest.approx(by_hand, rel=1e-6)


def test_gbce_is_bce_with_the_positive_to_the_power_beta():
    sampling, calibration = 2 / 10, 0.75
    beta = sampling * (calibration * (1 - 1 / sampling) + 1 / sampling)
    assert beta == pytest.approx(0.4)
    by_hand = (-math.log(sigmoid(1.0) ** beta) - math.log(1 - sigmoid(0.5)) - math.log(1 - sigmoid(-2.0))) / 3
    assert float(losses.gbce(t([1.0]), t([[0.5, -2.0]]), 11, calibration)) == pytest.approx(by_hand, rel=1e-6)
    plain = losses.bce(t([1.0]), t([[0.5, -2.0]])) / 3
    assert float(losses.gbce(t([1.0]), t([[0.5, -2.0]]), 11, 0.0)) == pytest.approx(float(plain), rel=1e-6)


def test_sampled_softmax_divides_by_the_temperature_and_then_corrects():
    e = math.exp
    by_hand = -math.log(e(2 / 0.5) / (e(2 / 0.5) + e(1 / 0.5) + e(0)))
    assert float(losses.sampled_softmax(t([2.0]), t([[1.0, 0.0]]), 0.5)) == pytest.approx(by_hand, rel=1e-5)
    corrected = losses.sampled_softmax(t([2.0]), t([[1.0, 0.0]]), 0.5, t([0.0]), t([[1.0, -1.0]]))
    assert float(corrected) == pytest.approx(-math.log(e(4) / (e(4) + e(2 - 1) + e(0 + 1))), rel=1e-5)
    shared = losses.sampled_softmax(t([2.0, 2.0]), t([1.0, 0.0]), 0.5)
    assert float(shared) == pytest.approx(by_hand, rel=1e-5)


def test_in_batch_softmax_is_sampled_softmax_with_the_other_rows():
    users, items = t([[1.0, 0.0], [0.0, 2.0]]), t([[1.0, 1.0], [3.0, 0.5]])
    log_q = t([-0.2, -1.0])
    scores = users @ items.T
    by_hand = losses.sampled_softmax(scores.diagonal(), t([[scores[0, 1]], [scores[1, 0]]]), 1.0, log_q,
                                     log_q.flip(0)[:, None])  # fmt: skip
    torch.testing.assert_close(losses.in_batch_softmax(users, items, log_q=log_q), by_hand)
    clash = t([[True, True], [False, True]])  # one's own item is never left out
    second = losses.sampled_softmax(scores[1:, 1], scores[1:, :1])
    torch.testing.assert_close(losses.in_batch_softmax(users, items, clashes=clash), second / 2)


def test_multinomial_counts_each_taken_item():
    logits = t([[math.log(1.0), math.log(2.0), math.log(5.0)]])
    assert float(losses.multinomial(logits, t([[1.0, 0.0, 1.0]]))) == pytest.approx(-math.log(1 / 8) - math.log(5 / 8))


def test_the_kl_of_a_normal_from_the_standard_one():
    by_hand = 0.5 * (1.0**2 + 4.0 - math.log(4.0) - 1.0)
    assert float(losses.gaussian_kl(t([[1.0, 0.0]]), t([[math.log(4.0), 0.0]]))) == pytest.approx(by_hand)
