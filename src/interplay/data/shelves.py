"""Shelves that a page could have, made of one list of candidates, and what is known of each.

rest   what the list goes on with after its first places
near   what of the list is most like one of the last things of the past
kind   what of the list is of one kind, by how much of the past is of it

They stand in the order of a fixed rule (the rest, near the last two things, the two kinds that the past is fullest of,
then the others), each with its items in the order of the list: that is the page as it is without anybody who learns.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from interplay.data.lists import NUMBERS, Lists, Things, faded, unit
from interplay.types import Array

ORIGINS = ("rest", "near", "kind")
LED = 4  # places of a list that lead the page and stand on no shelf
WIDE = 10  # items of a shelf
FEWEST = 3  # items below which there is no shelf
NEAR, KINDS = 4, 8  # things of the past, and kinds, that have a shelf of their own at most
ALIKE = 0.3  # likeness from which on an item stands near another
RAIL_NUMBERS = (
    *(f"{name}, mean" for name in NUMBERS), *(f"{name}, most" for name in NUMBERS), "full", *ORIGINS,
)  # fmt: skip
RULE = (("rest", 0), ("near", 0), ("near", 1), ("kind", 0), ("kind", 1), ("near", 2), ("near", 3),
        *(("kind", i) for i in range(2, KINDS)))  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Shelves:
    """n pages of r shelves that could be, those that there are not with origin -1."""

    origin: Array  # int8[n, r]: place in ORIGINS
    of: Array  # int32[n, r]: the item it is near to, the code of its kind; -1 for the rest
    items: Array  # int32[n, r, WIDE], padded with -1
    numbers: Array  # float32[n, r, len(RAIL_NUMBERS)]
    vectors: Array  # float32[n, r, d]: what its items say, the first the most
    group: Array  # int32[n, r]: what kind most of its items are of
    past: Array  # float32[n, d]
    wanted: Array  # bool[n, r, WIDE]: gone for next
    user: Array  # int32[n]

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def held(self) -> Array:
        """bool[n, r]: which there are."""
        return np.asarray(self.origin >= 0)

    @property
    def engaged(self) -> Array:
        """bool[n, r]: on which stands what was gone for."""
        return np.asarray(self.wanted.any(axis=2))

    @property
    def passed(self) -> Array:
        """bool[n, r]: no shelf is known to have been looked at and left."""
        return np.zeros(self.origin.shape, bool)

    def take(self, rows: Array) -> Shelves:
        return Shelves(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @staticmethod
    def joined(parts: list[Shelves]) -> Shelves:
        return Shelves(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Shelves)})

    @staticmethod
    def of_lists(lists: Lists, known: Things, block: int = 256) -> Shelves:
        """What pages could be made of these lists."""
        starts = range(0, max(len(lists), 1), block)
        return Shelves.joined([_of(lists.take(np.arange(lo, min(lo + block, len(lists)))), known) for lo in starts])


def _of(lists: Lists, known: Things) -> Shelves:
    n, m = lists.items.shape
    n_items, rows = len(known.group), np.arange(n)[:, None]
    inside = (lists.items >= 0) & (lists.items < n_items)
    at = np.where(inside, lists.items, 0)
    group = np.where(inside, known.group[at], -1) if n_items else np.full((n, m), -1)
    free = inside & (np.arange(m) >= LED)
    made: dict[tuple[str, int], tuple[Array, Array]] = {("rest", 0): (_firsts(free), np.full(n, -1))}
    own = known.likeness[at] if n_items else np.zeros((n, m, 1), np.float32)
    anchors = _distinct(lists.recent, NEAR)
    for i in range(NEAR):
        anchor = anchors[:, i]
        like = np.matmul(own, known.likeness[np.maximum(anchor, 0)][:, :, None])[:, :, 0] if n_items else free * 0.0
        near = free & (anchor >= 0)[:, None] & (like >= ALIKE) & (lists.items != anchor[:, None])
        made["near", i] = _best(np.where(near, like, -np.inf)), anchor
    for i, kind in enumerate(_kinds(group, free, lists.recent, known).T):
        made["kind", i] = _firsts(free & (group == kind[:, None]) & (kind >= 0)[:, None]), kind
    place = np.stack([made[name][0] for name in RULE], axis=1)  # [n, r, WIDE]
    there = place >= 0
    whole = there.sum(axis=2) >= FEWEST
    there &= whole[:, :, None]
    cell = rows[:, :, None], np.maximum(place, 0)
    weight = there / np.log2(np.arange(WIDE) + 2)
    share = (weight / np.maximum(weight.sum(axis=2, keepdims=True), 1e-9)).astype(np.float32)
    told = lists.numbers[cell]
    mean = (told * share[..., None]).sum(axis=2)
    most = np.where(there[..., None], told, -np.inf).max(axis=2)
    origin = np.array([ORIGINS.index(name) for name, _ in RULE], np.int8)
    one = np.broadcast_to(np.eye(len(ORIGINS), dtype=np.float32)[origin], (n, len(RULE), len(ORIGINS)))
    full = there.mean(axis=2, dtype=np.float32)[..., None]
    numbers = np.concatenate([mean, np.where(np.isfinite(most), most, 0), full, one], axis=2).astype(np.float32)
    said = known.content[at][cell] if n_items else np.zeros((n, len(RULE), WIDE, 1), np.float32)
    vectors = unit((said * share[..., None]).sum(axis=2).reshape(n * len(RULE), said.shape[3])).reshape(
        n, len(RULE), said.shape[3]
    )
    first = np.where(there[:, :, 0], group[rows, np.maximum(place[:, :, 0], 0)], -1)
    of = np.stack([made[name][1] for name in RULE], axis=1)
    return Shelves(
        origin=np.where(whole, origin, -1).astype(np.int8), of=np.where(whole, of, -1).astype(np.int32),
        items=np.where(there, lists.items[cell], -1).astype(np.int32),
        numbers=numbers * whole[..., None], vectors=vectors, group=first.astype(np.int32), past=lists.past,
        wanted=lists.engaged[cell] & there, user=lists.user,
    )  # fmt: skip


def _firsts(mask: Array) -> Array:
    """int64[n, WIDE]: the first flagged positions of each row, -1 where there are fewer."""
    return _best(np.where(mask, -np.arange(mask.shape[1], dtype=np.float64), -np.inf))


def _best(score: Array) -> Array:
    order = np.argsort(-score, axis=1, kind="stable")[:, :WIDE]
    out = np.where(np.take_along_axis(score, order, 1) > -np.inf, order, -1)
    return np.pad(out, ((0, 0), (0, WIDE - out.shape[1])), constant_values=-1)


def _distinct(past: Array, most: int) -> Array:
    """int32[n, most]: the first different items of each row, padded with -1.

    >>> _distinct(np.array([[4, 4, 7, -1]]), 3).tolist()
    [[4, 7, -1]]
    """
    again = (past[:, :, None] == past[:, None]) & np.tri(past.shape[1], k=-1, dtype=bool)
    new = (past >= 0) & ~again.any(axis=2)
    order = np.argsort(~new, axis=1, kind="stable")[:, :most]
    return np.where(np.take_along_axis(new, order, 1), np.take_along_axis(past, order, 1), -1)


def _kinds(group: Array, free: Array, past: Array, known: Things) -> Array:
    """int64[n, KINDS]: the kinds that enough candidates are of, the fullest of the past first, then of the list."""
    n, size = len(group), int(known.group.max(initial=-1)) + 1
    row, column = np.nonzero(free & (group >= 0))
    count = np.zeros((n, max(size, 1)))
    np.add.at(count, (row, group[row, column]), 1.0)
    liked = np.zeros_like(count)
    before = np.where(past >= 0, known.group[np.maximum(past, 0)], -1) if size else np.full_like(past, -1)
    row, column = np.nonzero(before >= 0)
    np.add.at(liked, (row, before[row, column]), faded(past)[row, column])
    key = np.where(count >= FEWEST, 1e4 * liked + count, -np.inf)
    order = np.argsort(-key, axis=1, kind="stable")[:, :KINDS]
    out = np.where(np.take_along_axis(key, order, 1) > -np.inf, order, -1)
    return np.pad(out, ((0, 0), (0, KINDS - out.shape[1])), constant_values=-1)
