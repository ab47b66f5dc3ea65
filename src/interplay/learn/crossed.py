"""Pairs of fields as one value: which combinations training held, and a row for each.

Every pair has one row for all combinations that are rare or were never met. A combination that a single training row
made tells that row its own label and nothing else: while learning, it is met as a rare one `blind` of the time, as it
would have been had the row not been there. Where few combinations are so, the others are hidden as well, so often that
`LEAST` as many rows as a share of `blind` meet the rare one. So the rare rows learn what an unknown combination is
worth, and calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from interplay.types import Array, State

LEAST = 0.3  # of all training rows, in times of `blind`: how many meet the rare row of a pair


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossed:
    """The combinations of some pairs of fields; row p is the rare one of pair p, row n_pairs + k the k-th kept one."""

    pairs: Array  # int32[P, 2]: places of two fields
    sizes: Array  # int64[K]: codes of each field
    keys: Array  # int64[rows - P], sorted: offset of the pair + code of the one * size of the other + its code
    counts: Array  # int32[rows - P]: training rows that made the combination
    n: int  # training rows

    @staticmethod
    def fit(fields: Array, sizes: Sequence[int], pairs: Array, floor: int = 1) -> Crossed:
        """Combinations that at least `floor` of the training rows `fields` (int32[n, K] codes) made."""
        empty = Crossed(
            pairs=np.asarray(pairs, np.int32).reshape(-1, 2), sizes=np.asarray(sizes, np.int64),
            keys=np.zeros(0, np.int64), counts=np.zeros(0, np.int32), n=len(fields),
        )  # fmt: skip
        held = [np.unique(empty._keys(fields, p), return_counts=True) for p in range(len(empty.pairs))]
        kept = [(k[c >= floor], c[c >= floor]) for k, c in held]
        if not kept:
            return empty
        keys, counts = (np.concatenate(column) for column in zip(*kept, strict=True))
        return replace(empty, keys=keys, counts=counts.astype(np.int32))

    @cached_property
    def offsets(self) -> Array:
        """int64[P + 1]: where the keys of each pair begin."""
        wide = self.sizes[self.pairs[:, 0]] * self.sizes[self.pairs[:, 1]]
        return np.concatenate([[0], np.cumsum(wide)]).astype(np.int64)

    @property
    def rows(self) -> int:
        return len(self.pairs) + len(self.keys)

    @cached_property
    def rows_of(self) -> Array:
        """int64[P]: kept combinations of each pair."""
        return np.diff(np.searchsorted(self.keys, self.offsets))

    def _keys(self, fields: Array, p: int) -> Array:
        one, other = self.pairs[p]
        return self.offsets[p] + fields[:, one].astype(np.int64) * self.sizes[other] + fields[:, other]

    def ids(self, fields: Array) -> Array:
        """int32[n, P]: the row of each combination."""
        out = np.empty((len(fields), len(self.pairs)), np.int32)
        for p in range(len(self.pairs)):
            lo, hi = np.searchsorted(self.keys, self.offsets[p : p + 2])
            own = self.keys[lo:hi]
            if not len(own):
                out[:, p] = p
                continue
            key = self._keys(fields, p)
            at = np.minimum(np.searchsorted(own, key), len(own) - 1)
            out[:, p] = np.where(own[at] == key, len(self.pairs) + lo + at, p)
        return out

    @cached_property
    def once(self) -> Array:
        """bool[rows]: one training row made the combination."""
        return np.concatenate([np.zeros(len(self.pairs), bool), self.counts == 1])

    @cached_property
    def hiding(self) -> Array:
        """float64[rows]: how often a combination is met as a rare one, in times of `blind`."""
        out = self.once.astype(np.float64)
        pair = np.searchsorted(self.offsets, self.keys, "right") - 1
        for p in range(len(self.pairs)):
            kept = self.counts[pair == p]
            alone, several = int((kept == 1).sum()), int(kept[kept > 1].sum())
            wanted = LEAST * self.n - (self.n - kept.sum()) - alone
            out[len(self.pairs) :][(pair == p) & (self.counts > 1)] = min(max(wanted / max(several, 1), 0.0), 1.0)
        return out

    def blinded(self, ids: Array, blind: float, generator: np.random.Generator) -> Array:
        """`ids` as a row would have met them without its own trace: combinations of its own are rare, `blind` often."""
        hidden = generator.random(len(ids))[:, None] < blind * self.hiding[ids]
        return np.where(hidden, np.arange(len(self.pairs), dtype=np.int32), ids)

    def most(self, n: int) -> Crossed:
        """The same without the rarest combinations, so that at most `n` stay; of equally rare ones all go."""
        if len(self.keys) <= n:
            return self
        floor = int(np.sort(self.counts)[-n]) + (np.sum(self.counts >= np.sort(self.counts)[-n]) > n)
        kept = self.counts >= floor
        return replace(self, keys=self.keys[kept], counts=self.counts[kept])

    def of(self, chosen: Array) -> Crossed:
        """The same for some of the pairs (int[])."""
        keys, counts, moved, start = [], [], self.pairs[chosen], 0
        for p in chosen:
            lo, hi = np.searchsorted(self.keys, self.offsets[p : p + 2])
            keys.append(self.keys[lo:hi] - self.offsets[p] + start)
            counts.append(self.counts[lo:hi])
            start += int(self.offsets[p + 1] - self.offsets[p])
        if not len(moved):
            return replace(self, pairs=moved, keys=self.keys[:0], counts=self.counts[:0])
        return replace(self, pairs=moved, keys=np.concatenate(keys), counts=np.concatenate(counts))

    def without(self, field: int, codes: Array) -> tuple[Crossed, Array]:
        """What is left when all combinations with one of these codes of a field go, and the rows that stay (int[])."""
        gone = np.zeros(len(self.keys), bool)
        pair = np.searchsorted(self.offsets, self.keys, "right") - 1
        inside = self.keys - self.offsets[pair]
        wide = self.sizes[self.pairs[pair, 1]]
        gone |= (self.pairs[pair, 0] == field) & np.isin(inside // wide, codes)
        gone |= (self.pairs[pair, 1] == field) & np.isin(inside % wide, codes)
        rows = np.concatenate([np.arange(len(self.pairs)), len(self.pairs) + np.flatnonzero(~gone)])
        return replace(self, keys=self.keys[~gone], counts=self.counts[~gone]), rows

    def state(self) -> State:
        arrays = {"pairs": self.pairs, "sizes": self.sizes, "keys": self.keys, "counts": self.counts}
        return State(arrays=arrays, facts={"n": self.n})

    @staticmethod
    def restore(state: State) -> Crossed:
        return Crossed(**state.arrays, n=int(state.facts["n"]))
