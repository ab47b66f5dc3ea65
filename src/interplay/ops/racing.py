"""Lots by weight without replacement: the first k to arrive in a race of exponential clocks (Plackett and Luce)."""

from __future__ import annotations

import numpy as np

from interplay.types import Array

MOMENTS = 128  # of the race, evenly over the logarithm of its time
BLOCK = 256  # rows at once


def inclusion(scores: Array, k: int) -> Array:
    """float64[n, m]: how likely each candidate is among the k drawn by weights exp(scores); -inf is never drawn.

    Exact but for a sum over moments in place of an integral: a candidate is drawn if it arrives before k others have.

    >>> inclusion(np.log([[1.0, 2.0, 3.0]]), 1).round(4).tolist()
    [[0.1667, 0.3333, 0.5]]
    """
    scores = np.asarray(scores, np.float64)
    out = np.zeros(scores.shape)
    for lo in range(0, len(scores), BLOCK):
        part = scores[lo : lo + BLOCK]
        few = np.isfinite(part).sum(axis=1) <= k
        out[lo : lo + BLOCK] = np.where(few[:, None], np.isfinite(part), _raced(part, k))
    return out


def _raced(scores: Array, k: int) -> Array:
    held = np.isfinite(scores)
    top = np.where(held, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    rate = np.where(held, np.exp(np.where(held, scores - np.where(np.isfinite(top), top, 0.0), -np.inf)), 0.0)
    least = max(float(rate[held].min(initial=1.0)), 1e-12)
    log_time = np.linspace(np.log(1e-7), np.log(40.0 / least), MOMENTS)
    late = np.exp(-rate[:, :, None] * np.exp(log_time))  # n x m x moments: not yet arrived
    density = rate[:, :, None] * np.exp(log_time) * late  # of arriving, in the logarithm of time
    out = np.zeros(scores.shape)
    for i in range(scores.shape[1]):
        arrived = np.zeros((k, len(scores), MOMENTS))  # the chance that so many others have arrived
        arrived[0] = 1.0
        for j in range(scores.shape[1]):
            if j != i:
                stay, come = late[:, j], 1.0 - late[:, j]
                arrived[1:] = arrived[1:] * stay + arrived[:-1] * come
                arrived[0] *= stay
        out[:, i] = (density[:, i] * arrived.sum(axis=0)).sum(axis=1)
    return np.clip(out * (log_time[1] - log_time[0]), 0.0, 1.0)
