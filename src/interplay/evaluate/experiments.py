"""Experiments on people: who sees what, how sure one may be while looking every day, and when to stop.

assignment      by a keyed hash of experiment and person: the same on every replica, independent between experiments
sequences       an interval that holds at all times at once, so that looking is free: the asymptotic confidence sequence
                of Waudby-Smith et al. (Annals of Statistics, 2024), which is Robbins' normal mixture (1970) with an
                estimated variance; over persons, by the linearised ratio of rewards to pages
cuped           what people did before takes away variance that the experiment did not make (Deng et al., WSDM 2013)
interleaving    two lists drafted into one page (Radlinski, Kurup and Joachims, CIKM 2008), with exact chances
allocation      shares of traffic by the chance of being best (Scott, 2010), never below a floor
sample ratio    whether as many people came to each arm as were sent there (Fabijan et al., KDD 2019)

Departs from the sequences' paper: a person's outcomes grow while the experiment runs, so persons are no independent
sequence; that it holds up is simulated in the tests, not proved. Nothing is said below 50 persons in an arm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from interplay.errors import BadData, BadSetting
from interplay.evaluate.intervals import Interval
from interplay.types import Array

FEWEST = 50  # persons in an arm below which nothing is concluded
MISMATCH = 0.001  # p value below which the arms were not filled as planned


# --------------------------------------------------------------------------------------------------------------------
# Who sees what


def drawn(experiment: str, unit: str, purpose: str = "arm") -> float:
    """A number in [0, 1) that belongs to a person in an experiment, for good.

    >>> drawn("new-feed", "ada") == drawn("new-feed", "ada") != drawn("other", "ada")
    True
    """
    digest = hashlib.blake2b(unit.encode(), digest_size=8, key=f"{purpose}:{experiment}".encode()[:64]).digest()
    return int.from_bytes(digest, "big") / 2**64


def assigned(experiment: str, unit: str, shares: Mapping[str, float], *, traffic: float = 1.0) -> str | None:
    """The arm of a person, by share; None for the part of all people who take no part."""
    if drawn(experiment, unit, "traffic") >= traffic:
        return None
    mark, above = drawn(experiment, unit), 0.0
    total = sum(shares.values())
    for arm, share in shares.items():
        above += share / total
        if mark < above:
            return arm
    return list(shares)[-1]


def checked_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares that do not divide people among at least two arms."""
    if len(shares) < 2 or not all(s > 0 for s in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise BadSetting(f"the shares are {dict(shares)}; expected two or more above 0 that sum to 1")


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> float:
    """p value that so many persons came to the arms by chance, given the shares that they were drawn with."""
    n, expected = np.asarray(counts, float), np.asarray(shares, float)
    expected = n.sum() * expected / expected.sum()
    if not n.sum():
        return 1.0
    return float(chdtrc(len(n) - 1, ((n - expected) ** 2 / expected).sum()))


# --------------------------------------------------------------------------------------------------------------------
# How sure one may be


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """What happened to the persons of one arm, float64[n] each."""

    rewards: Array  # sum over a person's pages
    pages: Array  # how many pages the person saw
    before: Array | None = None  # something known of the person before the start

    def __post_init__(self) -> None:
        if len(self.rewards) != len(self.pages):
            raise BadData(
                f"{len(self.rewards)} persons have rewards and {len(self.pages)} have pages; expected the same"
            )

    def __len__(self) -> int:
        return len(self.pages)

    @property
    def rate(self) -> float:
        """Rewards a page."""
        return float(self.rewards.sum() / max(float(self.pages.sum()), 1e-300))

    @property
    def influence(self) -> Array:
        """float64[n]: what each person adds to the rate, to first order; the mean is 0."""
        return (self.rewards - self.rate * self.pages) / max(float(self.pages.mean()), 1e-300)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The difference of two arms."""

    difference: float
    interval: Interval  # holds at all times at once
    fixed: Interval  # would hold had one looked this once only
    error: float
    persons: int

    @property
    def verdict(self) -> str:
        """better, worse, cannot tell"""
        return self.interval.verdict


def reach(n: float, spread: float, *, level: float = 0.95, sharpest: int = 1000) -> float:
    """Half the width of the sequence after n persons of standard deviation `spread`; tightest near `sharpest` persons.

    >>> 1.5 < reach(1000, 1.0) / (1.96 / 1000**0.5) < 1.7
    True
    """
    alpha = 1 - level
    rho = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / sharpest  # rho squared
    width = 2 * (n * rho + 1) / (n**2 * rho) * np.log(np.sqrt(n * rho + 1) / alpha)
    return float(spread * np.sqrt(width))


def gap(control: Arm, treated: Arm, *, level: float = 0.95, sharpest: int = 1000, cuped: bool = True) -> Gap:
    """Rewards a page of `treated` less those of `control`, with what both persons did before taken out where known."""
    _level(level)
    arms = (control, treated)
    if min(len(control), len(treated)) < 2:
        raise BadData(f"arms of {len(control)} and {len(treated)} persons; expected at least 2 in each")
    difference = treated.rate - control.rate
    parts = [arm.influence for arm in arms]
    if cuped and control.before is not None and treated.before is not None:
        before = [np.asarray(arm.before, float) for arm in arms]
        middle = np.concatenate(before).mean()
        known, own = np.concatenate([b - b.mean() for b in before]), np.concatenate(parts)
        slope = float(known @ own / max(float(known @ known), 1e-300)) if known.any() else 0.0
        parts = [part - slope * (b - b.mean()) for part, b in zip(parts, before, strict=True)]
        difference -= slope * float((before[1] - middle).mean() - (before[0] - middle).mean())
    error = float(np.sqrt(sum((part**2).sum() / len(part) ** 2 for part in parts)))
    n = len(control) + len(treated)
    half = reach(n, error * np.sqrt(n), level=level, sharpest=sharpest)
    fixed = 1.96 * error
    return Gap(
        difference=difference, interval=Interval(difference - half, difference + half),
        fixed=Interval(difference - fixed, difference + fixed), error=error, persons=n,
    )  # fmt: skip


def needs(told: Gap, *, level: float = 0.95, sharpest: int = 1000, most: int = 1_000_000) -> int | None:
    """How many persons it takes until the interval leaves 0, if the difference and its spread stay what they look like;
    None above `most`.

    >>> told = Gap(difference=0.1, interval=Interval(-1, 1), fixed=Interval(-1, 1), error=0.1, persons=100)
    >>> 900 < needs(told) < 1200
    True
    """
    spread = told.error * told.persons**0.5
    low, high = told.persons, most
    if not told.difference or reach(most, spread, level=level, sharpest=sharpest) >= abs(told.difference):
        return None
    while low < high:
        middle = (low + high) // 2
        if reach(middle, spread, level=level, sharpest=sharpest) < abs(told.difference):
            high = middle
        else:
            low = middle + 1
    return low


def preferred(wins: Array, pages: Array, *, level: float = 0.95, sharpest: int = 1000) -> Gap:
    """Of interleaved pages: clicks on the treated arm's items less those on the other's, a page, over persons."""
    _level(level)
    arm = Arm(rewards=np.asarray(wins, float), pages=np.asarray(pages, float))
    if len(arm) < 2:
        raise BadData(f"{len(arm)} persons saw interleaved pages; expected at least 2")
    error = float(np.sqrt((arm.influence**2).sum())) / len(arm)
    half = reach(len(arm), error * np.sqrt(len(arm)), level=level, sharpest=sharpest)
    return Gap(
        difference=arm.rate, interval=Interval(arm.rate - half, arm.rate + half), error=error, persons=len(arm),
        fixed=Interval(arm.rate - 1.96 * error, arm.rate + 1.96 * error),
    )  # fmt: skip


def _level(level: float) -> None:
    if not 0.5 <= level < 1:
        raise BadSetting(f"the level is {level}; expected at least 0.5 and less than 1, as 0.95")


def guarded(told: Gap, margin: float, *, higher_is_better: bool = True) -> str:
    """Whether a measure that must not suffer by more than `margin` did: "breached", "held", or "open" as yet.

    >>> told = Gap(difference=-0.2, interval=Interval(-0.3, -0.1), fixed=Interval(0, 0), error=0.0, persons=9)
    >>> guarded(told, 0.05), guarded(told, 0.4), guarded(told, 0.2)
    ('breached', 'held', 'open')
    """
    low, high = told.interval if higher_is_better else (-told.interval.high, -told.interval.low)
    return "breached" if high < -margin else "held" if low > -margin else "open"


# --------------------------------------------------------------------------------------------------------------------
# Shares that move


def allocated(
    rates: Sequence[float], errors: Sequence[float], *, floor: float = 0.05, draws: int = 20_000, seed: int = 0
) -> Array:
    """float64[arms]: shares of traffic by each arm's chance of being the best, none below `floor`."""
    if not 0 <= floor * len(rates) <= 1:
        raise BadSetting(f"a floor of {floor} for each of {len(rates)} arms is more than all traffic")
    sampled = np.random.default_rng(seed).normal(rates, np.maximum(errors, 1e-12), (draws, len(rates)))
    best = np.bincount(sampled.argmax(axis=1), minlength=len(rates)) / draws
    return floor + (1 - floor * len(rates)) * best


# --------------------------------------------------------------------------------------------------------------------
# Interleaving


@dataclass(frozen=True, kw_only=True, eq=False)
class Drafted:
    """One page out of two lists."""

    items: tuple[int, ...]
    team: tuple[int, ...]  # 0 or 1: whose choice the item was
    chance: tuple[float, ...]  # of each item at its place, given those above


def team_draft(first: Sequence[int], second: Sequence[int], k: int, coins: Sequence[float]) -> Drafted:
    """k items from two lists: in each round a coin (one number in [0, 1) for each place) says who chooses first.

    The chances take into account that the same items can come about by other coins.
    """
    lists, taken = (list(first), list(second)), [0, 0]
    items: list[int] = []
    team: list[int] = []
    chance: list[float] = []
    likely = {0: 1.0}  # how many more the first team has -> how likely that is, given the items so far
    for place in range(k):
        heads = [next((i for i in own if i not in items), None) for own in lists]
        if heads[0] is None and heads[1] is None:
            break
        first_turn = {lead: _turn(lead, heads) for lead in likely}  # chance that the first team chooses now
        turn = 0 if coins[place] < _turn(taken[0] - taken[1], heads) else 1
        item = heads[turn]
        assert item is not None
        after: dict[int, float] = {}
        for lead, weight in likely.items():
            for side, p in ((0, first_turn[lead]), (1, 1 - first_turn[lead])):
                if p > 0 and heads[side] == item:
                    step = lead + (1 if side == 0 else -1)
                    after[step] = after.get(step, 0.0) + weight * p
        total = sum(after.values())
        items.append(item)
        team.append(turn)
        chance.append(total)
        taken[turn] += 1
        likely = {lead: weight / total for lead, weight in after.items()}
    return Drafted(items=tuple(items), team=tuple(team), chance=tuple(chance))


def _turn(lead: int, heads: Sequence[int | None]) -> float:
    """The chance that the first team chooses: a coin where both have as many, else who has fewer; who has none left
    passes."""
    if heads[0] is None or heads[1] is None:
        return 0.0 if heads[0] is None else 1.0
    return 0.5 if lead == 0 else 0.0 if lead > 0 else 1.0
