"""An estimate as sums over rounds, and four intervals of it: bootstrap, normal, Hoeffding, empirical Bernstein.

Rounds of one person belong together, so persons are what is drawn. The bootstrap and the normal interval are right for
large samples with tame weights; the other two hold for any sample, and need to be told how far one round can reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from interplay.errors import BadData, BadSetting, Undecidable
from interplay.ops import stats
from interplay.types import Array

RESAMPLES = 2000


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.4f}, {self.high:.4f}]"

    @property
    def verdict(self) -> str:
        """What the interval of a difference says: better, worse, cannot tell."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "cannot tell"


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """mean(base) + sum(top) / sum(bottom), float64[n] each: every estimator is of this shape."""

    base: Array
    top: Array
    bottom: Array

    @staticmethod
    def mean(values: Array) -> Terms:
        """A plain average."""
        return Terms(base=values, top=np.zeros(len(values)), bottom=np.ones(len(values)))

    @staticmethod
    def ratio(top: Array, bottom: Array) -> Terms:
        """A weighted average."""
        return Terms(base=np.zeros(len(top)), top=top, bottom=bottom)

    @property
    def averaged(self) -> bool:
        """Whether it is a plain average, whose terms are bounded where rewards and weights are."""
        return not self.top.any()

    @property
    def value(self) -> float:
        """The estimate. Refused where no round counts at all."""
        if not len(self.base):
            raise BadData("no rounds to estimate from; expected at least one")
        below = float(self.bottom.sum())
        if below == 0.0:
            raise Undecidable("no round of the log counts for this policy: it would have done something else in each")
        return float(self.base.mean()) + float(self.top.sum()) / below

    @property
    def influence(self) -> Array:
        """float64[n]: what each round adds to the estimate, to first order; the mean is 0."""
        below = float(self.bottom.mean())
        ratio = float(self.top.mean()) / below
        return self.base - self.base.mean() + (self.top - ratio * self.bottom) / below


def persons(who: Array | None, n: int) -> Array:
    """int64[n]: whose round each is, numbered from 0; everybody is somebody else where it is not known."""
    if who is None:
        return np.arange(n)
    return np.unique(np.asarray(who), return_inverse=True)[1].reshape(-1)


def summed(values: Array, person: Array) -> Array:
    """float64[persons]: sums over each person's rounds."""
    return np.bincount(person, weights=values, minlength=int(person.max(initial=-1)) + 1)


def error(terms: Terms, who: Array | None = None) -> float:
    """The standard error, with the rounds of one person taken together."""
    n = len(terms.base)
    own = summed(terms.influence, persons(who, n))
    return float(np.sqrt((own**2).sum())) / n if len(own) > 1 else float("inf")


def normal(terms: Terms, who: Array | None = None, *, level: float = 0.95) -> Interval:
    """The estimate and so many standard errors to both sides."""
    _level(level)
    reach = float(ndtri((1 + level) / 2)) * error(terms, who)
    return Interval(terms.value - reach, terms.value + reach)


def bootstrap(
    terms: Terms, who: Array | None = None, *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> Interval:
    """The middle of what the estimate is when persons are drawn with replacement. Same seed, same interval.

    With heavy weights it is too narrow (docs/offpolicy.md shows by how much). A resample in which no round counts says
    nothing and is left out.
    """
    _level(level)
    drawn = resampled(terms, who, resamples=resamples, seed=seed)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        raise Undecidable("no resample holds a round that counts for this policy; the log says nothing about it")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def resampled(terms: Terms, who: Array | None = None, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """float64[resamples]: the estimate on persons drawn with replacement; NaN where no drawn round counts."""
    person = persons(who, len(terms.base))
    columns = (terms.base, terms.top, terms.bottom, np.ones(len(terms.base)))
    table = np.column_stack([summed(c, person) for c in columns])
    base, top, bottom, rounds = stats.resampled(table, resamples=resamples, seed=seed).T
    out = np.full(resamples, np.nan)
    counts = bottom != 0
    out[counts] = base[counts] / rounds[counts] + top[counts] / bottom[counts]
    return out


def hoeffding(
    values: Array, low: float, high: float, who: Array | None = None, *, level: float = 0.95
) -> Interval:  # fmt: skip
    """Of the mean of values that lie in [low, high] for certain (Hoeffding 1963); holds for every sample size."""
    values = _within(values, low, high, level)
    rounds = summed(np.ones(len(values)), persons(who, len(values)))
    reach = np.sqrt(np.log(2 / (1 - level)) / 2 * ((high - low) ** 2 * (rounds**2).sum())) / len(values)
    mean = float(values.mean())
    return Interval(float(max(mean - reach, low)), float(min(mean + reach, high)))


def bernstein(
    values: Array, low: float, high: float, who: Array | None = None, *, level: float = 0.95
) -> Interval:  # fmt: skip
    """Of the mean of values that lie in [low, high] for certain, by their variance (Maurer and Pontil, COLT 2009)."""
    values = _within(values, low, high, level)
    person = persons(who, len(values))
    own, rounds = summed(values, person), summed(np.ones(len(values)), person)
    g, n, mean = len(own), len(values), float(values.mean())
    if g < 2:
        return Interval(low, high)
    spread = float(rounds.max()) * (high - low) * g / n  # of a person's share in the mean
    said = np.log(4 / (1 - level))
    reach = np.sqrt(2 * (own * g / n).var(ddof=1) * said / g) + 7 * spread * said / (3 * (g - 1))
    return Interval(float(max(mean - reach, low)), float(min(mean + reach, high)))


def _within(values: Array, low: float, high: float, level: float) -> Array:
    _level(level)
    values = np.asarray(values, np.float64)
    if not len(values):
        raise BadData("no rounds to estimate from; expected at least one")
    slack = 1e-9 * max(abs(low), abs(high), 1.0)
    if values.min() < low - slack or values.max() > high + slack:
        raise BadData(
            f"a value of {values.min():.4g} or {values.max():.4g} lies outside [{low:.4g}, {high:.4g}]; such an "
            "interval holds only where the bounds do"
        )
    return values


def _level(level: float) -> None:
    if not 0 < level < 1:
        raise BadSetting(f"the level of an interval is {level}; expected a share, as 0.95")


def few(value: float, pages: float, places: int) -> Interval:
    """Wilson's interval of rewards a page, from so many pages of so many places that earn something or nothing.

    Where a handful of weighted clicks decides, a bootstrap is too narrow: it draws the same few again. This one does
    not shrink with the clicks.

    >>> str(few(0.0, 100, 1))
    '[0.0000, 0.0370]'
    """
    p, z2 = min(max(value / places, 0.0), 1.0), 1.96**2
    middle, half = p + z2 / (2 * pages), 1.96 * (p * (1 - p) / pages + z2 / (4 * pages**2)) ** 0.5
    low, high = (places * (middle + sign * half) / (1 + z2 / pages) for sign in (-1, 1))
    return Interval(max(low, 0.0), high)
