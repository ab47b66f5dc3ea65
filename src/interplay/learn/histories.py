"""Histories as rankers read them: padded rows of events become one vector, with or without an eye on the candidate.

    mean         every event counts the same
    attention    the activation unit of din (Zhou et al., KDD 2018), after which weights are not normalised

A place that is padding weighs exactly 0, so an empty history is the zero vector and never NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.learn.layers import mlp


class ActivationUnit(nn.Module):
    """How much each event matters for a target: a small network over both, their product and their difference.

    `parts` "both" reads only the two vectors side by side, as the gate of aw-moe does.
    """

    def __init__(self, dim: int, hidden: int, out: int = 1, parts: str = "all") -> None:
        super().__init__()
        self.dim, self.parts = dim, parts
        self.net = mlp([dim * (4 if parts == "all" else 2), hidden, out])

    def forward(self, events: Tensor, target: Tensor, present: Tensor) -> Tensor:
        """float[n, length, out] for events [n, length, dim] and a target [n, dim]; 0 where `present` is False.

        The first layer is taken apart, W [h, t, h * t, h - t] = (W_1 + W_4 + W_3 diag t) h + (W_2 - W_4) t, so that
        what is four times as wide as the events is never written down.
        """
        first: Any = self.net[0]
        event, own, *both = first.weight.split(self.dim, dim=1)
        shift = first.bias + target @ (own - both[1] if both else own).T
        if both:
            matrix = (event + both[1]).T + target[:, :, None] * both[0].T
            read = torch.baddbmm(shift[:, None], events, matrix)
        else:
            read = F.linear(events, event) + shift[:, None]
        return self.net[1:](read) * present[..., None]


class Evenly(nn.Module):
    """The mean of the events that are present."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()

    def forward(self, events: Tensor, target: Tensor, present: Tensor) -> Tensor:
        held = present[..., None].to(events.dtype)
        return (events * held).sum(dim=1) / held.sum(dim=1).clamp_min(1.0)


class Interest(nn.Module):
    """The sum of the events, each times its weight for the target."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.unit = ActivationUnit(dim, hidden)

    def forward(self, events: Tensor, target: Tensor, present: Tensor) -> Tensor:
        return (self.unit(events, target, present) * events).sum(dim=1)


POOLINGS: dict[str, Callable[[int, int], nn.Module]] = {"mean": Evenly, "attention": Interest}


def attend(scores: Tensor, present: Tensor | None) -> Tensor:
    """Softmax over the last axis among the places that are present; a row without any gets zeros, not NaN."""
    if present is None:
        return scores.softmax(dim=-1)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~present, lowest).softmax(dim=-1) * present
