"""Interests: the gate, its mask and its contrast, worked by hand."""

import pytest
import torch

from interplay.models.interests import EventGate, FieldGate, contrast, masked

PRESENT = torch.tensor([[False, True, True], [False, False, False]])


def test_a_gate_is_what_each_event_calls_for_times_how_much_it_matters():
    torch.manual_seed(0)
    gate, events, by = EventGate(4, 5, 3), torch.randn(2, 3, 4), torch.randn(2, 4)
    slow = gate.start.clone()
    for j in (1, 2):
        both = torch.cat([events[0, j], by[0]])
        slow = slow + gate.matters.net(both) * gate.calls.net(both)
    told = gate(events, by, PRESENT)
    torch.testing.assert_close(told[0], slow)
    torch.testing.assert_close(told[1], gate.start, msg="an empty history has the learnt start")


def test_without_the_activation_unit_every_event_matters_alike():
    torch.manual_seed(0)
    gate, events, by = EventGate(4, 5, 3, activation=False), torch.randn(2, 3, 4), torch.randn(2, 4)
    slow = gate.start + sum(gate.calls.net(torch.cat([events[0, j], by[0]])) for j in (1, 2))
    torch.testing.assert_close(gate(events, by, PRESENT)[0], slow)


def test_a_gate_that_is_not_driven_does_not_look_at_the_candidate():
    torch.manual_seed(0)
    gate, events = EventGate(4, 5, 3, driven=False), torch.randn(2, 3, 4)
    torch.testing.assert_close(
        gate(events, torch.randn(2, 4), PRESENT), gate(events, torch.randn(2, 4), PRESENT)
    )  # fmt: skip


def test_the_category_gate_does_not_look_at_the_history():
    gate, by = FieldGate(4, 5, 3), torch.randn(2, 4)
    torch.testing.assert_close(gate(torch.randn(2, 3, 4), by, PRESENT), gate(torch.randn(2, 3, 4), by, ~PRESENT))


def test_a_mask_keeps_one_event_of_whoever_had_one():
    present = torch.tensor([[True, True, True], [False, True, True], [False, False, False]])
    lots = torch.tensor([[0.1, 0.6, 0.4], [0.9, 0.1, 0.2], [0.9, 0.9, 0.9]])
    assert masked(present, 0.5, lots).tolist() == [[False, True, False], [False, False, True], [False] * 3]
    assert masked(present, 0.0, lots).tolist() == present.tolist()


def test_the_contrast_is_infonce_without_the_same_person_twice():
    torch.manual_seed(0)
    gate, other, owner = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([7, 7, -1, -1])
    slow = 0.0
    for i in range(4):
        alike = [torch.cosine_similarity(gate[i], other[j], dim=0) / 0.2 for j in range(4)]
        counted = [j for j in range(4) if j == i or owner[i] != owner[j] or owner[i] < 0]
        slow -= alike[i] - torch.logsumexp(torch.stack([alike[j] for j in counted]), dim=0)
    torch.testing.assert_close(contrast(gate, other, owner, 0.2), slow / 4)


def test_the_contrast_of_one_moment_is_nothing():
    assert float(contrast(torch.randn(1, 3), torch.randn(1, 3), torch.tensor([3]), 0.2)) == pytest.approx(0.0)
