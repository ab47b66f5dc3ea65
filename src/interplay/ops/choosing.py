"""Choosing a page place by place with every chance known.

A *chooser* says, for each request and each candidate that is still free, the chance that it takes the next place. The
chance of an item at its place, given the places above, is what a log needs to be judged by: it is exact here, also for
Thompson sampling, since a belief is a set of particles that stand in the model, not fresh noise.

greedy     the best of the free, and with chance `epsilon` any of the free
shares     Thompson sampling with one particle for each place: the share of particles that hold an item the best free
together   Thompson sampling with one particle for the whole page: given the places above, only particles that would
           have filled them so are left
at some    one of these at some places of a page; the first of the free candidates, for certain, at all others
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interplay.types import Array, Slates

NEVER = -2
BLOCK = 1 << 16  # numbers looked at once
_STEP = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = tuple(map(np.uint64, (30, 27, 31)))
_FACTORS = tuple(map(np.uint64, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))


def uniforms(draw: Array, n: int) -> Array:
    """float64[len(draw), n] in (0, 1): the numbers that each request's draw stands for (splitmix64).

    >>> bool((uniforms(np.array([7], np.uint64), 4) == uniforms(np.array([7], np.uint64), 4)).all())
    True
    """
    with np.errstate(over="ignore"):
        x = np.asarray(draw, np.uint64)[:, None] + np.arange(1, n + 1, dtype=np.uint64) * _STEP
        x = (x ^ (x >> _SHIFTS[0])) * _FACTORS[0]
        x = (x ^ (x >> _SHIFTS[1])) * _FACTORS[1]
        x = x ^ (x >> _SHIFTS[2])
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


class Chooser(Protocol):
    def next(self, free: Array) -> Array:
        """float64[n, m]: the chance of each free candidate; rows with any free one add up to 1."""

    def chose(self, at: Array, free: Array) -> None:
        """Hear which candidate (int64[n], -1 for none) took the place that `next` was about."""


class Greedy:
    """The candidate with the highest score (float[n, m]), ties to the first; with chance `epsilon` any of the free."""

    def __init__(self, scores: Array, epsilon: float = 0.0) -> None:
        self.scores, self.epsilon = scores, epsilon

    def next(self, free: Array) -> Array:
        return _stirred(_best(self.scores, free), free, self.epsilon)

    def chose(self, at: Array, free: Array) -> None:
        """What was taken changes nothing."""


class Shares:
    """The share of particles (scores float[p, n, m]) that hold each candidate best; `floor` is left to chance."""

    def __init__(self, scores: Array, floor: float = 0.0) -> None:
        self.scores, self.floor = scores, floor

    def next(self, free: Array) -> Array:
        total = np.zeros(free.shape)
        row = np.arange(len(free))
        step = max(BLOCK // max(free.size, 1), 1)  # particles at once: the memory of a page, not of all of them
        for lo in range(0, len(self.scores), step):
            best = np.where(free, self.scores[lo : lo + step], -np.inf).argmax(axis=2)
            np.add.at(total, (np.broadcast_to(row, best.shape), best), 1.0)
        return _stirred(np.where(free, total / len(self.scores), 0.0), free, self.floor)

    def chose(self, at: Array, free: Array) -> None:
        """Each place has a particle of its own."""


class Together:
    """One particle for all places: its chance given the places above is kept for each request."""

    def __init__(self, scores: Array, floor: float = 0.0) -> None:
        self.scores, self.floor = scores, floor
        self.weight = np.full((len(scores), scores.shape[1]), 1.0 / len(scores))  # particles x n

    def next(self, free: Array) -> Array:
        total, row = np.zeros(free.shape), np.arange(len(free))
        self.best = np.stack([np.where(free, particle, -np.inf).argmax(axis=1) for particle in self.scores])
        for weight, best in zip(self.weight, self.best, strict=True):
            total[row, best] += weight
        return _stirred(np.where(free, total, 0.0), free, self.floor)

    def chose(self, at: Array, free: Array) -> None:
        count = np.maximum(free.sum(axis=1), 1)
        likely = (1 - self.floor) * (self.best == at[None, :]) + self.floor / count[None, :]
        weight = self.weight * np.where(at[None, :] >= 0, likely, 1.0)
        self.weight = weight / np.maximum(weight.sum(axis=0, keepdims=True), 1e-300)


class Sometimes:
    """Another chooser at `places` (from 1) of a page; everywhere else the first of the free candidates is certain."""

    def __init__(self, chooser: Chooser, places: Sequence[int]) -> None:
        self.chooser, self.places, self.place = chooser, frozenset(places), 1

    def next(self, free: Array) -> Array:
        if self.place in self.places:
            return self.chooser.next(free)
        return _best(np.zeros(free.shape), free)

    def chose(self, at: Array, free: Array) -> None:
        if self.place in self.places:
            self.chooser.chose(at, free)
        self.place += 1


def at_some(chooser: Chooser, places: Sequence[int]) -> Chooser:
    """The chooser for `places` (from 1) alone; for every place where none is named."""
    return Sometimes(chooser, places) if len(places) else chooser


def _best(scores: Array, free: Array) -> Array:
    out = np.zeros(free.shape)
    row = np.arange(len(free))
    if free.shape[1]:
        out[row, np.where(free, scores, -np.inf).argmax(axis=1)] = 1.0
    return np.where(free, out, 0.0)


def _stirred(chance: Array, free: Array, share: float) -> Array:
    even = free / np.maximum(free.sum(axis=1, keepdims=True), 1)
    return np.minimum((1 - share) * chance + share * even, 1.0)  # many small weights may add up to a bit more than 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """A page: which candidate took each place, and with what chance."""

    at: Array  # int64[n, k], -1 where nothing was left
    chance: Array  # float64[n, k]: given the places above; 1 where nothing was left


Caps = Sequence[tuple[Array, int]]  # codes of the candidates (int[n, m], -1 for none), and the most of one code


def page_of(candidates: Slates, chosen: Chosen, best: Chooser, free: Array, caps: Caps = ()) -> Slates:
    """The chosen candidates as a page, with the columns propensity and explored (`best` would have taken another)."""
    safe, held = np.maximum(chosen.at, 0), chosen.at >= 0

    def taken(column: Array, nothing: float) -> Array:
        return np.where(held, np.take_along_axis(column, safe, 1), nothing).astype(column.dtype)

    columns = {name: taken(column, 0) for name, column in candidates.columns.items()}
    columns["propensity"] = np.where(held, chosen.chance, 1.0)
    columns["explored"] = held & (chances(best, free, chosen.at, caps) < 0.5)
    return Slates(items=taken(candidates.items, -1), scores=taken(candidates.scores, -np.inf), columns=columns)


def again(items: Array) -> Array:
    """bool[n, m]: where an item of a list stands a second time.

    >>> again(np.array([[4, 7, 4, -1, -1]])).tolist()
    [[False, False, True, False, False]]
    """
    order = np.argsort(items, axis=1, kind="stable")
    sorted_, out = np.take_along_axis(items, order, 1), np.zeros(items.shape, bool)
    same = np.zeros(items.shape, bool)
    same[:, 1:] = (sorted_[:, 1:] == sorted_[:, :-1]) & (sorted_[:, 1:] >= 0)
    np.put_along_axis(out, order, same, 1)
    return out


def offered(items: Array) -> Array:
    """bool[n, m]: which candidates (int[n, m], -1 pads) can be chosen: each item where it stands first."""
    return (items >= 0) & ~again(items)


def places(shown: Array, candidates: Array) -> Array:
    """int64[n, k]: where each shown item stands among the candidates; -1 for padding, NEVER for what is not there."""
    same = shown[:, :, None] == candidates[:, None, :]
    return np.where(shown < 0, -1, np.where(same.any(axis=2), same.argmax(axis=2), NEVER))


def choose(chooser: Chooser, free: Array, k: int, draw: Array, caps: Caps = ()) -> Chosen:
    """Fill k places for each request (free bool[n, m]) as `draw` (uint64[n]) says."""
    u = uniforms(draw, k)

    def pick(place: int, chance: Array) -> Array:
        up = np.cumsum(chance, axis=1)
        at = (up <= u[:, place : place + 1] * up[:, -1:]).sum(axis=1)
        return np.minimum(at, chance.shape[1] - 1)

    return _filled(chooser, free, k, pick, caps)


def chances(chooser: Chooser, free: Array, at: Array, caps: Caps = ()) -> Array:
    """float64[n, k]: the chance that these candidates (int64[n, k], -1 pads) take these places, each given those above.

    0 for one that was not free, and for NEVER, which stands for something that is no candidate.
    """
    return _filled(chooser, free, at.shape[1], lambda place, chance: at[:, place], caps).chance


def _filled(chooser: Chooser, free: Array, k: int, pick, caps: Caps) -> Chosen:  # type: ignore[no-untyped-def]
    free, row = free.copy(), np.arange(len(free))
    out, chance = np.full((len(free), k), -1, np.int64), np.ones((len(free), k))
    for place in range(k if free.size else 0):
        some = free.any(axis=1)
        if not some.any():
            break
        next_ = chooser.next(free)
        wanted = pick(place, next_)
        at = np.where(some & (wanted >= 0), wanted, -1)
        safe = np.maximum(at, 0)
        chance[:, place] = np.where(at >= 0, next_[row, safe], np.where(wanted == NEVER, 0.0, 1.0))
        chooser.chose(at, free)
        out[:, place] = at
        free[row[at >= 0], at[at >= 0]] = False
        for codes, most in caps:
            mine = np.where(at >= 0, codes[row, safe], -1)
            taken = np.where(
                out[:, : place + 1] >= 0, np.take_along_axis(codes, np.maximum(out[:, : place + 1], 0), 1), -2
            )
            full = (mine >= 0) & ((taken == mine[:, None]).sum(axis=1) >= most)
            free &= ~(full[:, None] & (codes == mine[:, None]))
    return Chosen(at=out, chance=chance)


def following(order: Array, shown: Array) -> Array:
    """float64[n, k]: 1 where a shown item (int[n, k], -1 pads) is the first of `order` (int[n, m]) that does not stand
    above it, 0 where it is not: the chances of a page by whoever never explores.

    >>> following(np.array([[4, 2, 9]]), np.array([[4, 9, 2]])).tolist()
    [[1.0, 0.0, 1.0]]
    """
    free, row = order >= 0, np.arange(len(order))
    out = np.ones(shown.shape)
    for place in range(shown.shape[1] if order.shape[1] else 0):
        first = order[row, free.argmax(axis=1)]
        out[:, place] = (first == shown[:, place]) & free.any(axis=1) | (shown[:, place] < 0)
        free &= order != shown[:, place : place + 1]
    return out
