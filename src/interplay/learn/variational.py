"""Beliefs about named tensors: independent Gaussians, drawn by reparameterisation and kept near a prior.

KL(N(m, s^2) || N(p, q^2)) = log q/s + (s^2 + (m - p)^2) / (2 q^2) - 1/2, summed over all numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

SMALLEST = 1e-4  # no belief is ever certain


class Gaussians(nn.Module):
    """A mean and a scale for every number of the given tensors; `scale` is where scales start, or `scales` by name."""

    def __init__(
        self, means: Mapping[str, Tensor], scale: float = 0.1, largest: float = 10.0,
        scales: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.largest = largest
        self.mean = nn.ParameterDict({name: nn.Parameter(value.clone()) for name, value in means.items()})
        own = {name: float((scales or {}).get(name, scale)) for name in means}
        self.raw = nn.ParameterDict(
            {name: nn.Parameter(torch.full_like(v, own[name]).log()) for name, v in means.items()}
        )

    def scale(self, name: str) -> Tensor:
        return self.raw[name].exp().clamp(SMALLEST, self.largest)

    def draw(self, *, spread: float = 1.0, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """One value of every tensor; `spread` multiplies the scales (0 gives the means)."""
        out = {}
        for name, mean in self.mean.items():
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            out[name] = mean + spread * self.scale(name) * noise
        return out

    def means(self) -> dict[str, Tensor]:
        return dict(self.mean.items())

    def kl(self, name: str, centre: Tensor | float, width: Tensor | float) -> Tensor:
        """How far the belief about one tensor is from N(centre, width^2)."""
        return apart(self.mean[name], self.scale(name), centre, width).sum()


def apart(mean: Tensor, scale: Tensor, centre: Tensor | float, width: Tensor | float) -> Tensor:
    """KL of Gaussians, number by number.

    >>> apart(torch.tensor([1.0]), torch.tensor([1.0]), 0.0, 1.0).tolist()
    [0.5]
    """
    wide = torch.as_tensor(width, dtype=mean.dtype, device=mean.device)
    return (wide / scale).log() + (scale**2 + (mean - centre) ** 2) / (2 * wide**2) - 0.5
