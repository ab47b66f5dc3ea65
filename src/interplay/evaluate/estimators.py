"""Off-policy estimators: each turns weighted rounds into an estimate; limits on weights are chosen without the truth.

replay         mean reward where the logger did the same (Li et al., WSDM 2011); unbiased for uniform logging only
ips, clipped   inverse propensities, and with weights of at most a limit
snips          self-normalised (Swaminathan and Joachims, NIPS 2015)
ncis           self-normalised with weights of at most a limit
sub-gaussian   weights bent towards 1 (Metelli et al., NeurIPS 2021)
dm, dr         a reward model, and corrected by weighted residuals (Dudik et al., Statistical Science 2014)
sndr           the correction self-normalised
switch-dr      corrected where weights are small (Wang et al., ICML 2017)
dros           corrected with weights shrunk (Su et al., ICML 2020)

A limit is chosen by SLOPE (Su, Srinath and Krishnamurthy, ICML 2020), or by a bound on the squared error in the manner
of the authors of dros, which is from memory and ours in its constants. Only ips and dr are unbiased; the intervals of
the others are about what they estimate, which need not be the candidate's value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interplay.errors import unknown
from interplay.evaluate.intervals import Terms, error
from interplay.types import Array

INFINITE = float("inf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rounds:
    """All that an estimator looks at, float64[n] each."""

    reward: Array
    weight: Array  # pi_e / pi_b of what was done
    modelled: Array  # q(x_i, a_i); 0 without a reward model
    expected: Array  # q(x_i, pi_e)


# --------------------------------------------------------------------------------------------------------------------
# The estimators: each turns rounds and a limit into terms


def replayed(rounds: Rounds, limit: float) -> Terms:
    """Mean reward where the logger did what a deterministic candidate would do; unbiased for uniform logging only."""
    same = (rounds.weight > 0).astype(np.float64)
    return Terms.ratio(same * rounds.reward, same)


def ips(rounds: Rounds, limit: float) -> Terms:
    return Terms.mean(rounds.weight * rounds.reward)


def clipped(rounds: Rounds, limit: float) -> Terms:
    return Terms.mean(np.minimum(rounds.weight, limit) * rounds.reward)


def snips(rounds: Rounds, limit: float) -> Terms:
    return Terms.ratio(rounds.weight * rounds.reward, rounds.weight)


def ncis(rounds: Rounds, limit: float) -> Terms:
    """Normalised capped importance sampling."""
    w = np.minimum(rounds.weight, limit)
    return Terms.ratio(w * rounds.reward, w)


def sub_gaussian(rounds: Rounds, limit: float) -> Terms:
    w = rounds.weight
    return Terms.mean(w / (1 - limit + limit * w) * rounds.reward)


def dm(rounds: Rounds, limit: float) -> Terms:
    return Terms.mean(rounds.expected)


def dr(rounds: Rounds, limit: float) -> Terms:
    return _corrected(rounds, rounds.weight)


def sndr(rounds: Rounds, limit: float) -> Terms:
    w, zero = rounds.weight, np.zeros(len(rounds.reward))
    ratio = Terms.ratio(w * (rounds.reward - rounds.modelled), w)
    return Terms(base=rounds.expected + zero, top=ratio.top, bottom=ratio.bottom)


def switch_dr(rounds: Rounds, limit: float) -> Terms:
    return _corrected(rounds, np.where(rounds.weight <= limit, rounds.weight, 0.0))


def dros(rounds: Rounds, limit: float) -> Terms:
    return _corrected(rounds, shrunk(rounds.weight, limit))


def shrunk(weight: Array, limit: float) -> Array:
    """limit * w / (w^2 + limit), also at limits 0 and infinity."""
    if limit == 0:
        return np.zeros_like(weight)
    return weight / (weight**2 / limit + 1.0)


def _corrected(rounds: Rounds, weight: Array) -> Terms:
    return Terms.mean(rounds.expected + weight * (rounds.reward - rounds.modelled))


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """One estimator: its terms, and the limits that it may be given, from the least biased to the most."""

    terms: Callable[[Rounds, float], Terms]
    models: bool = False  # whether it reads the reward model
    unbiased: bool = False  # whether its mean is the candidate's value, given full support and true propensities
    limits: tuple[float, ...] = ()
    about: str = ""

    def used(self, rounds: Rounds, limit: float) -> Array:
        """float64[n]: the weights that it gives to rewards."""
        flat = replace(
            rounds, reward=np.ones(len(rounds.reward)), modelled=0 * rounds.weight, expected=0 * rounds.weight
        )
        told = self.terms(flat, limit)
        return told.base if told.averaged else told.top / told.bottom.mean()


WIDE = (INFINITE, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
ESTIMATORS: Mapping[str, Estimator] = {
    "replay": Estimator(terms=replayed, about="mean reward where the logger did the same"),
    "ips": Estimator(terms=ips, unbiased=True, about="inverse propensities"),
    "clipped": Estimator(terms=clipped, limits=WIDE, about="... with weights of at most a limit"),
    "snips": Estimator(terms=snips, about="... divided by the sum of the weights"),
    "ncis": Estimator(terms=ncis, limits=WIDE, about="... and with weights of at most a limit"),
    "sub-gaussian": Estimator(terms=sub_gaussian, limits=(0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
                              about="... with weights bent towards 1"),
    "dm": Estimator(terms=dm, models=True, about="the reward model alone"),
    "dr": Estimator(terms=dr, models=True, unbiased=True, about="the reward model, corrected by weighted residuals"),
    "sndr": Estimator(terms=sndr, models=True, about="... divided by the sum of the weights"),
    "switch-dr": Estimator(terms=switch_dr, models=True, limits=WIDE, about="... corrected where weights are small"),
    "dros": Estimator(terms=dros, models=True, limits=(INFINITE, 1e5, 1e4, 1e3, 100.0, 10.0, 1.0),
                      about="... with weights shrunk"),
}  # fmt: skip


def estimator(name: str) -> Estimator:
    """The estimator called `name`, or a refusal with the nearest."""
    if name not in ESTIMATORS:
        raise unknown("estimator", name, ESTIMATORS)
    return ESTIMATORS[name]


# --------------------------------------------------------------------------------------------------------------------
# Limits, chosen without the truth


def slope(values: Sequence[float], reaches: Sequence[float]) -> int:
    """Which of several estimates to take, by SLOPE: the last whose interval meets all before it.

    They are ordered by bias, least first. An interval is its estimate and twice its reach (a standard error, when
    `tuned` asks) to both sides; reaches must not grow, and are cut where they do.

    >>> slope([0.50, 0.52, 0.80], [0.10, 0.05, 0.01])
    1
    """
    low, high, chosen = -INFINITE, INFINITE, 0
    narrow = np.minimum.accumulate(np.asarray(reaches, np.float64))
    for i, (value, reach) in enumerate(zip(values, narrow.tolist(), strict=True)):
        low, high = max(low, value - 2 * reach), min(high, value + 2 * reach)
        if low > high:
            break
        chosen = i
    return chosen


def tuned(name: str, rounds: Rounds, *, by: str = "slope", who: Array | None = None) -> float:
    """The limit of an estimator, chosen by "slope" or by "mse", an upper bound on its squared error; 0 for none."""
    row = estimator(name)
    if not row.limits:
        return 0.0
    if by not in ("slope", "mse"):
        raise unknown("way of choosing a limit", by, ("slope", "mse"))
    told = [row.terms(rounds, limit) for limit in row.limits]
    reaches = [error(t, who) for t in told]
    if by == "slope":
        return row.limits[slope([t.value for t in told], reaches)]
    bounds = [r**2 + _bias(row, rounds, limit) ** 2 for r, limit in zip(reaches, row.limits, strict=True)]
    return row.limits[int(np.argmin(bounds))]


def _bias(row: Estimator, rounds: Rounds, limit: float, chance: float = 0.05) -> float:
    """With high probability the bias of changed weights is not above this: its estimate and a Bernstein margin."""
    kept = row.used(rounds, limit)
    lost, n = rounds.weight - kept, len(kept)
    if not lost.any():
        return 0.0
    said = np.log(2 / chance)
    margin = np.sqrt(2 * np.mean(rounds.weight**2) * said / n) + 2 * rounds.weight.max() * said / (3 * n)
    return float(abs(np.mean(lost * (rounds.reward - rounds.modelled)))) + float(margin)
