"""Several networks of one shape side by side, and the gates that mix what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.learn.layers import mlp


class Experts(nn.Module):
    """`n` networks of the given widths over the same input, run as one: [rows, in] -> [rows, n, out].

    `last`: an activation also after the last layer. As with `nn.Linear`, weights start uniform within 1 / sqrt(in).
    """

    def __init__(self, n: int, sizes: Sequence[int], dropout: float = 0.0, *, last: bool = True) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for wide, out in pairwise(sizes):
            bound = 1.0 / math.sqrt(max(wide, 1))
            self.weights.append(nn.Parameter(torch.empty(n, wide, out).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(n, out).uniform_(-bound, bound)))
        self.last, self.drop = last, nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = x[:, None]  # rows x 1 or n x width
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.einsum("rnw,nwo->rno", h.expand(-1, len(weight), -1), weight) + bias
            if self.last or i + 1 < len(self.weights):
                h = self.drop(F.relu(h))
        return h


class Gates(nn.Module):
    """Each of `n` readers mixes what experts say by a softmax of the input: [rows, experts, out] -> [rows, n, out]."""

    def __init__(self, wide: int, n: int, experts: int) -> None:
        super().__init__()
        self.n, self.experts = n, experts
        self.linear = nn.Linear(wide, n * experts)

    def shares(self, x: Tensor) -> Tensor:
        """float[rows, n, experts], each row of which sums to 1."""
        return self.linear(x).view(-1, self.n, self.experts).softmax(dim=-1)

    def forward(self, x: Tensor, said: Tensor) -> Tensor:
        return self.shares(x) @ said


class Heads(nn.Module):
    """A small network for each task over its own vector: [rows, tasks, in] -> [rows, tasks], one output each."""

    def __init__(self, n: int, sizes: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.nets = nn.ModuleList([mlp(sizes, dropout=dropout) for _ in range(n)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([net(x[:, t]) for t, net in enumerate(self.nets)], dim=1)
