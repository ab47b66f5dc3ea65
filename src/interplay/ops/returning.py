"""BG/NBD: how often somebody who came back some times will come again, from when and how often alone.

Fader, Hardie and Lee, Marketing Science 2005: while alive, events come at a rate drawn from a gamma law (r, alpha);
after each, one is gone for good with a chance drawn from a beta law (a, b).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from interplay.types import Array


@dataclass(frozen=True, kw_only=True)
class Returning:
    """The four numbers of a crowd."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, x: Array, last: Array, age: Array) -> Array:
        """float64[n]: of x events after the first, the latest `last` after it, watched until `age` after it."""
        start = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        stays = betaln(self.a, self.b + x) - betaln(self.a, self.b) - (self.r + x) * np.log(self.alpha + age)
        gone = np.where(
            x > 0,
            betaln(self.a + 1, self.b + np.maximum(x, 1) - 1) - betaln(self.a, self.b)
            - (self.r + x) * np.log(self.alpha + last), -np.inf,
        )  # fmt: skip
        return start + np.logaddexp(stays, gone)

    def alive(self, x: Array, last: Array, age: Array) -> Array:
        """float64[n]: the chance that one has not gone for good."""
        odds = (self.a / (self.b + np.maximum(x, 1) - 1)) * ((self.alpha + age) / (self.alpha + last)) ** (self.r + x)
        return np.where(x > 0, 1 / (1 + odds), 1.0)

    def expected(self, x: Array, last: Array, age: Array, ahead: float) -> Array:
        """float64[n]: events to be expected within `ahead` from now."""
        z = ahead / (self.alpha + age + ahead)
        more = 1 - ((self.alpha + age) / (self.alpha + age + ahead)) ** (self.r + x) * hyp2f1(
            self.r + x, self.b + x, self.a + self.b + x - 1, z
        )
        return (self.a + self.b + x - 1) / (self.a - 1) * more * self.alive(x, last, age)


def returning(x: Array, last: Array, age: Array) -> Returning:
    """The most likely crowd; equal histories are counted together, and a is kept off 1, where `expected` has a hole."""
    whole = np.column_stack([x, last, age]).astype(np.float64)
    rows, count = np.unique(whole, axis=0, return_counts=True)
    scale = max(float(rows[:, 2].mean()), 1e-9)

    def made(log: Array) -> Returning:
        r, alpha, a, b = np.exp(np.clip(log, -7, 7))
        return Returning(r=r, alpha=alpha * scale, a=a if abs(a - 1) > 1e-3 else 1.001, b=b)

    def cost(log: Array) -> float:
        told = made(log).log_likelihood(rows[:, 0], rows[:, 1], rows[:, 2])
        return -float((told * count).sum() / count.sum()) + 1e-4 * float((log**2).sum())

    return made(minimize(cost, np.zeros(4), method="Nelder-Mead", options={"maxiter": 800, "maxfev": 800}).x)
