"""Is the difference real? Intervals, paired tests, corrections and a verdict, all over users.

The unit is the user (or request): every function takes per-user values and treats users as drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from scipy.special import stdtr

from interplay.errors import BadData
from interplay.types import Array

RESAMPLES = 10_000
BLOCK = 1 << 21  # counts held at once: 16 MiB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over users with its bootstrap interval."""

    mean: float
    lo: float
    hi: float
    n: int  # users

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.lo:.4f}, {self.hi:.4f}]"


def _finite(values: Array) -> Array:
    values = np.asarray(values, np.float64)
    if not len(values):
        raise BadData("no values to estimate from: zero users; judge at least one user")
    if not np.isfinite(values).all():
        raise BadData(
            f"{int((~np.isfinite(values)).sum())} of {values.size} values are NaN or inf; "
            "take out the users for whom the measure is undefined, and say how many"
        )
    return values


def resampled(values: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """float64[resamples, m]: means over n users drawn with replacement, for values float[n] or float[n, m].

    All m columns see the same drawn users, so differences of columns are paired. Nothing but the means is kept: memory
    does not grow with n times `resamples`.

    >>> resampled(np.ones(5), resamples=3).tolist()
    [[1.0], [1.0], [1.0]]
    """
    table = _finite(values)
    table = np.ascontiguousarray(table[:, None] if table.ndim == 1 else table)
    n, states = len(table), np.random.default_rng(seed).integers(0, 1 << 64, resamples, dtype=np.uint64)
    counts = np.empty((max(1, min(resamples, BLOCK // n)), n))
    out = np.empty((resamples, table.shape[1]))
    for lo in range(0, resamples, len(counts)):
        part = states[lo : lo + len(counts)]
        _count(part, counts)
        out[lo : lo + len(part)] = counts[: len(part)] @ table / n
    return out


@numba.njit(nogil=True, cache=True)
def _count(states, counts):  # type: ignore[no-untyped-def]
    """How often each of n users is drawn in n draws, one stream of splitmix64 (Steele et al., OOPSLA 2014) per row."""
    n = counts.shape[1]
    for r in range(len(states)):
        counts[r, :] = 0.0
        state = states[r]
        for _ in range(n):
            state += np.uint64(0x9E3779B97F4A7C15)
            z = state
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            counts[r, ((z >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)] += 1.0


def bootstrap(values: Array, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95) -> Estimate:
    """The mean of float[n] per-user values with its percentile bootstrap interval. Same seed, same interval.

    >>> str(bootstrap(np.array([0.0, 1.0, 1.0, 0.0])))
    '0.5000 [0.0000, 1.0000]'
    """
    means = resampled(values, resamples=resamples, seed=seed)[:, 0]
    return between(means, float(np.mean(values)), len(values), level)


def between(means: Array, mean: float, n: int, level: float = 0.95) -> Estimate:
    """The interval that holds the middle `level` of resampled means."""
    lo, hi = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(mean=mean, lo=float(lo), hi=float(hi), n=n)


def hierarchical_means(values: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """float64[resamples]: means of float[seeds, n] with seeds and users both drawn with replacement.

    The same users are judged under every seed, so the two are crossed: each resample draws seeds once and users once.
    """
    table = _finite(values)
    seeds = len(table)
    chosen = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), resamples)
    return (resampled(table.T, resamples=resamples, seed=seed + 1) * chosen).sum(axis=1) / seeds


def hierarchical(values: Array, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95) -> Estimate:
    """Mean and interval of float[seeds, n] per-user values, with the variance of seeds and of users in it.

    >>> hierarchical(np.array([[0.0, 0.0], [1.0, 1.0]])).hi
    1.0
    """
    means = hierarchical_means(values, resamples=resamples, seed=seed)
    return between(means, float(np.mean(values)), np.shape(values)[1], level)


def paired_t(first: Array, second: Array) -> float:
    """Two-sided p of Student's paired t test that both have the same mean over users (float[n] each).

    >>> round(paired_t(np.array([3.0, 4.0, 5.0]), np.array([1.0, 3.0, 2.0])), 4)
    0.0742
    """
    d = _difference(first, second)
    spread = d.std(ddof=1) if len(d) > 1 else 0.0
    if spread == 0.0:
        return 1.0 if d.mean() == 0.0 or len(d) < 2 else 0.0
    return float(2 * stdtr(len(d) - 1, -abs(d.mean()) / (spread / np.sqrt(len(d)))))


def wilcoxon(first: Array, second: Array) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over users; users with equal values count for neither side (Pratt).

    >>> wilcoxon(np.ones(4), np.ones(4))
    1.0
    """
    from scipy import stats  # a second to import, and only this test needs it

    d = _difference(first, second)
    return float(stats.wilcoxon(d, zero_method="pratt").pvalue) if d.any() else 1.0


def _difference(first: Array, second: Array) -> Array:
    if np.shape(first) != np.shape(second):
        raise BadData(
            f"a paired test needs the same users on both sides; found {np.shape(first)} and {np.shape(second)} values"
        )
    return _finite(np.asarray(first, np.float64) - np.asarray(second, np.float64))


def holm(p: Sequence[float] | Array) -> Array:
    """float64[m]: p values adjusted for m tests by Holm's step-down procedure (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p, np.float64)
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    out = np.empty_like(raw)
    out[order] = np.minimum(stepped, 1.0)
    return out


def effect_size(first: Array, second: Array) -> float:
    """Mean difference in units of the standard deviation of the differences (Cohen's d for pairs); 0 for no spread.

    >>> round(effect_size(np.array([3.0, 4.0, 5.0]), np.array([1.0, 3.0, 2.0])), 4)
    2.0
    """
    d = _difference(first, second)
    spread = d.std(ddof=1) if len(d) > 1 else 0.0
    return float(d.mean() / spread) if spread else 0.0


def minimum_detectable(values: Array) -> float:
    """The difference of means below which n users cannot tell two systems apart: 1.96 sqrt(2) s.e.

    Needs only the baseline's per-user values, so it can be stated before the run. It takes the systems as independent,
    which is careful: paired systems usually agree about users and can be told apart a little earlier.

    >>> round(minimum_detectable(np.array([0.0, 1.0] * 50)), 3)
    0.139
    """
    v = _finite(values)
    return float(1.96 * np.sqrt(2) * v.std(ddof=1) / np.sqrt(len(v))) if len(v) > 1 else float("inf")


def verdict(difference: Estimate, p: float, *, alpha: float = 0.05) -> str:
    """`better` or `worse` when the interval excludes 0 and the (corrected) p is below `alpha`; else `cannot tell`.

    >>> verdict(Estimate(mean=0.01, lo=-0.01, hi=0.03, n=100), p=0.01)
    'cannot tell'
    """
    if p < alpha and difference.lo > 0:
        return "better"
    return "worse" if p < alpha and difference.hi < 0 else "cannot tell"
