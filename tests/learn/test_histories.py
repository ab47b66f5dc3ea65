"""Histories and experts: padding weighs nothing, and several networks side by side are those networks."""

import pytest
import torch

from interplay.learn.experts import Experts, Gates
from interplay.learn.histories import POOLINGS, ActivationUnit, attend

PRESENT = torch.tensor([[False, True, True], [False, False, False]])


def test_an_interest_is_the_sum_of_events_times_their_weight_for_the_target():
    torch.manual_seed(0)
    pool = POOLINGS["attention"](4, 5)
    events, target = torch.randn(2, 3, 4), torch.randn(2, 4)
    slow = torch.zeros(4)
    for j in (1, 2):
        h, t = events[0, j], target[0]
        slow += pool.unit.net(torch.cat([h, t, h * t, h - t])) * h
    pooled = pool(events, target, PRESENT)
    torch.testing.assert_close(pooled[0], slow)
    assert (pooled[1] == 0).all(), "nobody's history is the zero vector"


def test_an_even_pool_is_the_mean_of_what_is_present():
    events = torch.arange(24.0).view(2, 3, 4)
    pooled = POOLINGS["mean"](4, 5)(events, torch.zeros(2, 4), PRESENT)
    torch.testing.assert_close(pooled[0], events[0, 1:].mean(dim=0))
    assert (pooled[1] == 0).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_stands_at_a_padded_place_changes_nothing(pooling):
    torch.manual_seed(0)
    pool, events, target = POOLINGS[pooling](4, 5), torch.randn(2, 3, 4), torch.randn(2, 4)
    changed = torch.where(PRESENT[..., None], events, torch.full_like(events, 7.0))
    torch.testing.assert_close(pool(events, target, PRESENT), pool(changed, target, PRESENT))


def test_attention_without_anything_to_see_is_zero_and_has_a_gradient():
    scores = torch.randn(2, 3, requires_grad=True)
    weights = attend(scores, PRESENT)
    torch.testing.assert_close(weights[0, 1:], scores[0, 1:].softmax(dim=0))
    assert (weights[1] == 0).all() and (weights[0, 0] == 0)
    weights.pow(2).sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_a_unit_that_reads_both_sees_two_vectors():
    unit = ActivationUnit(4, 5, 3, parts="both")
    assert unit.net[0].in_features == 8
    assert unit(torch.randn(2, 3, 4), torch.randn(2, 4), PRESENT).shape == (2, 3, 3)


@pytest.mark.parametrize("last", [True, False])
def test_experts_side_by_side_are_so_many_networks(last):
    torch.manual_seed(0)
    experts, x = Experts(3, [4, 5, 2], last=last), torch.randn(6, 4)
    for k in range(3):
        h = (x @ experts.weights[0][k] + experts.biases[0][k]).relu()
        h = h @ experts.weights[1][k] + experts.biases[1][k]
        torch.testing.assert_close(experts(x)[:, k], h.relu() if last else h)


def test_gates_mix_what_experts_say_by_a_softmax_of_the_input():
    torch.manual_seed(0)
    gates, x, said = Gates(4, 2, 3), torch.randn(5, 4), torch.randn(5, 3, 6)
    shares = gates.linear(x).view(5, 2, 3).softmax(dim=-1)
    for task in range(2):
        slow = sum(shares[:, task, k, None] * said[:, k] for k in range(3))
        torch.testing.assert_close(gates(x, said)[:, task], slow)
