"""Several lists become one, and every item keeps who gave it and what for.

reciprocal    sum of weight / (constant + place); Cormack, Clarke and Buettcher, SIGIR 2009
weighted      sum of weight * normalised score; Bruch, Gai and Ingber, TOIS 2023
interleaved   the lists take turns; an item stands where the first list to name it puts it

A fused list has the columns `source` (int64: bit s is set when source s gave the item) and `part_<name>` (float32: what
that source added to the score; the score is their sum, but for interleaved, where it is the largest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numba
import numpy as np

from interplay.configure import NotNegative, Size
from interplay.errors import BadSetting, unknown
from interplay.ops.threads import spread
from interplay.ops.topk import offer, ordered
from interplay.types import Array, Rows, Slates

BLOCK = 256  # requests that one thread fuses at once


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    method: str = "reciprocal"  # a name in METHODS
    constant: NotNegative = 60.0  # reciprocal: how little the first places stand out
    normalise: str = "minmax"  # weighted: a name in NORMALISED
    candidates: Size = 200  # items kept for ranking and page
    weights: Mapping[str, NotNegative] = field(default_factory=dict)  # source -> its say, in place of its own weight


def minmax(scores: Array, held: Array) -> Array:
    """Each row's held scores on [0, 1]; all 1 when they are equal. An item that is not in the list counts 0."""
    low = np.where(held, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(held, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(held, np.where(high > low, (scores - low) / (high - low), 1.0), 0.0)


def standard(scores: Array, held: Array) -> Array:
    """Each row's held scores in standard deviations above its lowest; an item that is not in the list counts 0.

    Counting from the lowest rather than from the mean keeps an item that only one source knows from being punished.
    """
    count = np.maximum(held.sum(axis=1, keepdims=True), 1)
    kept = np.where(held, scores, 0.0)
    mean = kept.sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(held, (kept - mean) ** 2, 0.0).sum(axis=1, keepdims=True) / count)
    low = np.where(held, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(held, np.where(spread > 0, (scores - low) / np.maximum(spread, 1e-12), 1.0), 0.0)


NORMALISED: dict[str, Callable[[Array, Array], Array]] = {"minmax": minmax, "standard": standard}


def _reciprocal(slates: Slates, held: Array, which: int, of: int, config: FusionConfig) -> Array:
    return np.broadcast_to(1.0 / (config.constant + 1 + np.arange(held.shape[1])), held.shape)


def _weighted(slates: Slates, held: Array, which: int, of: int, config: FusionConfig) -> Array:
    if config.normalise not in NORMALISED:
        raise unknown("normalisation", config.normalise, NORMALISED)
    return NORMALISED[config.normalise](slates.scores.astype(np.float64), held)


def _interleaved(slates: Slates, held: Array, which: int, of: int, config: FusionConfig) -> Array:
    return np.broadcast_to(1.0 / (1 + which + of * np.arange(held.shape[1])), held.shape)


METHODS: dict[str, Callable[[Slates, Array, int, int, FusionConfig], Array]] = {
    "reciprocal": _reciprocal,
    "weighted": _weighted,
    "interleaved": _interleaved,
}


def fused(
    lists: Mapping[str, Slates], weights: Mapping[str, float], config: FusionConfig, rows: Rows, n: int
) -> Slates:
    """At most n items for each request from all lists (each of the same requests), best first.

    `weights` has the say of every source there is, in the order that numbers them; lists may come from some of them
    only. Interleaved pays heed to the order alone. No user is looped over.
    """
    if config.method not in METHODS:
        raise unknown("fusion", config.method, METHODS)
    if not lists:
        raise BadSetting("nothing to fuse; a cascade needs at least one source")
    turn = {name: s for s, name in enumerate(name for name in weights if name in lists)}
    bits = np.array([1 << s for s, name in enumerate(weights) if name in lists], np.int64)
    parts = []
    for name, slates in lists.items():
        part = METHODS[config.method](slates, slates.items >= 0, turn[name], len(lists), config)
        parts.append(part * (1.0 if config.method == "interleaved" else weights[name]))
    given = (
        np.concatenate([slates.items for slates in lists.values()], axis=1),
        np.concatenate(parts, axis=1),
        np.repeat([turn[name] for name in lists], [slates.items.shape[1] for slates in lists.values()]),
    )
    out = Slates.empty(len(given[0]), n)
    scores = np.full(out.items.shape, -np.inf)
    source = np.zeros(out.items.shape, np.int64)
    shares = np.zeros((len(lists), *out.items.shape), np.float32)

    def one(lo: int, hi: int) -> None:
        _fuse(lo, hi, *given, bits, config.method == "interleaved", rows.places, out.items, scores, source, shares)

    spread(one, len(out), BLOCK)
    return Slates(
        items=out.items, scores=scores.astype(np.float32),
        columns={"source": source} | {f"part_{name}": shares[s] for name, s in turn.items()},
    )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _fuse(first, last, listed, parts, whose, bits, largest, rank, out, scores, source, shares):  # type: ignore[no-untyped-def]
    """Rows first to last: what all lists give an item is gathered, then the best are put in order."""
    n_lists, width, n = len(bits), listed.shape[1], out.shape[1]
    size = 2
    while size < 2 * width:
        size *= 2
    table, found = np.empty(size, np.int32), np.empty(width, np.int32)  # slot -> place in `found`
    held, by = np.empty((width, n_lists)), np.empty(width, np.int64)
    for row in range(first, last):
        table[:] = -1
        count = 0
        for at in range(width):
            item = listed[row, at]
            if item < 0:
                continue
            slot = _slot(item, table, found)
            if table[slot] < 0:
                table[slot], found[count], by[count], held[count] = count, item, 0, 0.0
                count += 1
            own = table[slot]
            held[own, whose[at]] = parts[row, at]
            by[own] |= bits[whose[at]]
        kept = 0
        for own in range(count):
            score = held[own, 0]
            for s in range(1, n_lists):
                score = max(score, held[own, s]) if largest else score + held[own, s]
            kept = offer(found[own], score, out[row], scores[row], rank, kept, n)
        ordered(out[row : row + 1], scores[row : row + 1], rank)
        for place in range(kept):
            own = table[_slot(out[row, place], table, found)]
            source[row, place] = by[own]
            for s in range(n_lists):
                shares[s, row, place] = held[own, s]


@numba.njit
def _slot(item, table, found):  # type: ignore[no-untyped-def]
    """Where an item stands in a table whose size is a power of two, or the free slot where it would."""
    slot = (item * 2654435761) & (len(table) - 1)
    while table[slot] >= 0 and found[table[slot]] != item:
        slot = (slot + 1) & (len(table) - 1)
    return slot
