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

import numpy as np

from interplay.errors import BadSetting, unknown
from interplay.types import Array, Rows, Slates


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    method: str = "reciprocal"  # a name in METHODS
    constant: float = 60.0  # reciprocal: how little the first places stand out
    normalise: str = "minmax"  # weighted: a name in NORMALISED
    candidates: int = 200  # items kept for ranking and page
    weights: Mapping[str, float] = field(default_factory=dict)  # source -> its say here, in place of its own weight


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
    n_requests = len(next(iter(lists.values())))
    keys, parts, whose = [], [], []
    turn = {name: s for s, name in enumerate(n for n in weights if n in lists)}
    for name, slates in lists.items():
        held = slates.items >= 0
        part = METHODS[config.method](slates, held, turn[name], len(lists), config)
        row, place = np.nonzero(held)
        keys.append(row * max(rows.n_items, 1) + slates.items[row, place])
        weight = 1.0 if config.method == "interleaved" else weights[name]
        parts.append(part[row, place] * weight)
        whose.append(np.full(len(row), turn[name]))
    key, at = np.unique(np.concatenate(keys), return_inverse=True)
    owner, item = np.divmod(key, max(rows.n_items, 1))
    given = np.zeros((len(lists), len(key)))
    given[np.concatenate(whose), at] = np.concatenate(parts)
    bit = {name: s for s, name in enumerate(weights)}
    source = np.bitwise_or.reduce([_flagged(k, key) << bit[name] for name, k in zip(lists, keys, strict=True)])
    score = given.max(axis=0) if config.method == "interleaved" else given.sum(axis=0)
    order = np.lexsort((rows.keys[item], -score, owner))
    starts = np.searchsorted(owner[order], np.arange(n_requests))
    place = np.arange(len(order)) - starts[owner[order]]
    kept = place < n
    order, at_row, at_place = order[kept], owner[order][kept], place[kept]

    def laid(values: Array, dtype: type, missing: float) -> Array:
        out: Array = np.full((n_requests, n), missing, dtype)
        out[at_row, at_place] = values[order]
        return out

    return Slates(
        items=laid(item, np.int32, -1),
        scores=laid(score, np.float32, -np.inf),
        columns={"source": laid(source, np.int64, 0)}
        | {f"part_{name}": laid(given[s], np.float32, 0.0) for name, s in turn.items()},
    )


def _flagged(mine: Array, every: Array) -> Array:
    out = np.zeros(len(every), np.int64)
    out[np.searchsorted(every, mine)] = 1
    return out
