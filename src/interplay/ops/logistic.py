"""Logistic regression with a ridge, exact to the optimiser's tolerance; two classes or many, rows with weights.

Minimises sum_i weight_i * loss_i + ridge / 2 * |coefficients|^2; the intercept is free. One over scikit-learn's C is
the ridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from interplay.errors import BadData
from interplay.types import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Logistic:
    """Fitted coefficients: one column for each class, or a single one for the chance of class 1 of two."""

    weights: Array  # float64[d, classes], or [d, 1]
    intercept: Array  # float64[classes], or [1]

    def chances(self, x: Array) -> Array:
        """float64[n, classes]; of a fit with two classes the chance of class 1 alone, float64[n]."""
        scores = x @ self.weights + self.intercept
        return expit(scores[:, 0]) if self.weights.shape[1] == 1 else softmax(scores, axis=1)


def logistic(
    x: Array, y: Array, *, classes: int = 2, ridge: float = 1.0, weight: Array | None = None, rounds: int = 2000
) -> Logistic:
    """Fit on features float[n, d] and classes int[n]; with two classes `y` may be any share in 0..1.

    >>> fit = logistic(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 1, 1, 1]), ridge=1e-8)
    >>> fit.chances(np.array([[0.0]])).round(4).tolist()
    [0.5]
    """
    x, y = np.asarray(x, np.float64), np.asarray(y)
    n, d = x.shape
    if not n:
        raise BadData("no rows to fit a logistic regression on; expected at least one")
    share = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    total = max(float(share.sum()), 1e-300)
    width = 1 if classes == 2 else classes

    def cost(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(d + 1, width)
        scores = x @ table[:d] + table[d]
        if width == 1:
            s = scores[:, 0]
            loss = np.logaddexp(0.0, s) - y * s
            slope = (expit(s) - y)[:, None]
        else:
            logs = log_softmax(scores, axis=1)
            loss = -logs[np.arange(n), y]
            slope = np.exp(logs)
            slope[np.arange(n), y] -= 1.0
        slope *= share[:, None]
        gradient = np.vstack([x.T @ slope + ridge * table[:d], slope.sum(axis=0)])
        value = share @ loss + 0.5 * ridge * (table[:d] ** 2).sum()
        return float(value) / total, gradient.ravel() / total

    start = np.zeros((d + 1, width))
    found = minimize(
        cost, start.ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": rounds, "maxfun": 2 * rounds, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 20},
    )  # fmt: skip
    table = found.x.reshape(d + 1, width)
    return Logistic(weights=table[:d], intercept=table[d])
