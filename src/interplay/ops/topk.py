"""The first n of many: rules obeyed before the cut, ties broken by a fixed hash of the item's name.

`best` takes a function that scores a block of requests against every item; `best_dot` takes two tables of vectors and
never writes the scores out whole: blocks of users x items stay in cache and are merged into a running top n. Where
bfloat16 is fast a block is scored so first, and exactly where that leaves a doubt.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from interplay.ops.rough import ERROR, Rough, worth_it
from interplay.ops.threads import THREADS, spread
from interplay.types import Array, Ragged, Requests, Rows, RuleSet, Slates

BLOCK = 1024  # requests and items per block; the block of scores is 4 MiB and stays in cache


def best(score: Callable[[Requests], Array], requests: Requests, n: int, rows: Rows, *, block: int = BLOCK) -> Slates:
    """The n best items of each request under its rules. `score(block)` returns float32[len(block), rows.n_items].

    An item whose score is NaN or -inf is not shown.
    """
    n = min(n, max(rows.n_items, 1))
    out = Slates.empty(len(requests), n)
    if not rows.n_items:
        return out
    rank = rows.places
    for first, part in requests.blocks(block):
        scores = np.ascontiguousarray(score(part), np.float32)

        def select(lo: int, hi: int, part: Requests = part, scores: Array = scores, first: int = first) -> None:
            a, b = first + lo, first + hi
            _Merger(part.slice(lo, hi), rows.n_items, rank, out.items[a:b], out.scores[a:b]).offer(
                scores[lo:hi], 0
            ).close()

        spread(select, len(part), max(8, -(-len(part) // THREADS)))
    return out


def best_dot(
    users: Array, items: Array, requests: Requests, n: int, rows: Rows, *, bias: Array | None = None
) -> Slates:
    """The n items with the largest inner product: users float32[len(requests), d], items float32[rows.n_items, d].

    `bias` (float32[rows.n_items]) is added to every request's scores.
    """
    n = min(n, max(rows.n_items, 1))
    out = Slates.empty(len(requests), n)
    if not rows.n_items:
        return out
    users, items = np.ascontiguousarray(users, np.float32), np.ascontiguousarray(items, np.float32)
    rank = rows.places
    if worth_it(users, items) and _best_rough(users, items, requests, rows, bias, out):
        return out

    def one(lo: int, hi: int) -> None:
        merger = _Merger(requests.slice(lo, hi), rows.n_items, rank, out.items[lo:hi], out.scores[lo:hi])
        width = max(BLOCK, BLOCK * BLOCK // (hi - lo))
        buffer = np.empty(((hi - lo), min(width, rows.n_items)), np.float32)
        for start in range(0, rows.n_items, width):
            stop = min(start + width, rows.n_items)
            scores = buffer[:, : stop - start]
            np.matmul(users[lo:hi], items[start:stop].T, out=scores)
            if bias is not None:
                scores += bias[start:stop]
            merger.offer(scores, start)
        merger.close()

    spread(one, len(requests), BLOCK)
    return out


def _best_rough(users: Array, items: Array, requests: Requests, rows: Rows, bias: Array | None, out: Slates) -> bool:
    """Fill `out` as `best_dot` does: exact scores, of those items alone whose rough ones may be good enough.

    False where the vectors do not allow it. Long vectors come first: they raise what is good enough, and leave blocks
    of short ones with little to be unsure of.
    """
    order = np.argsort(-np.linalg.norm(items, axis=1), kind="stable").astype(np.int32)
    items = items[order]
    added = np.zeros(len(order), np.float32) if bias is None else np.asarray(bias, np.float32)[order]
    rough = Rough(users, items)
    if not rough.sound:
        return False

    def one(lo: int, hi: int) -> None:
        merger = _Merger(requests.slice(lo, hi), rows.n_items, rows.places, out.items[lo:hi], out.scores[lo:hi])
        for start in range(0, rows.n_items, BLOCK):
            part = slice(start, min(start + BLOCK, rows.n_items))
            off = (ERROR * rough.items[part].max()) * rough.users[lo:hi] + added[part].max()
            merger.consider(rough.product(slice(lo, hi), part), start, order, users[lo:hi], items, off, added)
        merger.close()

    spread(one, len(requests), BLOCK)
    return True


class Standing:
    """One list for everybody, best first, that each request's rules are read off: the walk ends where n are found."""

    def __init__(self, scores: Array, rows: Rows) -> None:
        """`scores` (float32[rows.n_items]); an item whose score is NaN or -inf is not in the list."""
        order = np.lexsort((rows.places, -scores)).astype(np.int32)
        self.rows, self.order = rows, order[np.isfinite(scores[order])]

    def first(self, requests: Requests, n: int, scores: Array) -> Slates:
        """The first n that each request may be shown, with these scores, which must stand in the list's order."""
        n = min(n, max(self.rows.n_items, 1))
        out = Slates.empty(len(requests), n)
        hidden = withheld(requests, self.rows.n_items)
        rules = compiled(requests.rules, len(requests), self.rows.n_items)
        _walk(self.order, scores, hidden.offsets, hidden["item"], *rules, out.items, out.scores)
        return out


class _Merger:
    """A running top n of some requests, to which blocks of scores are offered."""

    def __init__(self, part: Requests, n_items: int, rank: Array, items: Array, kept: Array) -> None:
        hidden = withheld(part, n_items)
        self.rules = (hidden.offsets, hidden["item"], *compiled(part.rules, len(part), n_items), rank)
        self.items, self.kept, self.sizes = items, kept, np.zeros(len(part), np.int32)

    def offer(self, scores: Array, start: int) -> _Merger:
        _merge(scores, start, *self.rules, self.items, self.kept, self.sizes)
        return self

    def consider(
        self, rough: Array, start: int, order: Array, users: Array, items: Array, off: Array, bias: Array
    ) -> None:
        """Offer the exact scores of a block whose rough ones, the bits of bfloat16s without the bias, are given.

        The vectors and the bias are those of the items `order`; a rough score may be `off` (float32[len(part)]) below.
        """
        _sieve(rough, start, order, users, items, off, bias, *self.rules, self.items, self.kept, self.sizes)

    def close(self) -> None:
        ordered(self.items, self.kept, self.rules[-1])


def withheld(requests: Requests, n_items: int) -> Ragged:
    """Per request the sorted items that its own exclusions, and its history where that is asked, hide."""
    rules, parts = requests.rules, []
    if rules.withhold_seen:
        parts.append(requests.history)
    if rules.exclude is not None:
        parts.append(rules.exclude)
    if not parts:
        return Ragged(offsets=np.zeros(len(requests) + 1, np.int64), columns={"item": np.zeros(0, np.int32)})
    owner = np.concatenate([p.owner for p in parts])
    item = np.concatenate([p["item"] for p in parts])
    keep = (item >= 0) & (item < n_items)
    joint = np.sort(owner[keep].astype(np.int64) * n_items + item[keep])
    offsets = np.searchsorted(joint, np.arange(len(requests) + 1, dtype=np.int64) * n_items)
    return Ragged(offsets=offsets, columns={"item": (joint % max(n_items, 1)).astype(np.int32)})


def compiled(rules: RuleSet, n: int, n_items: int) -> tuple[Array, Array, Array]:
    """Masks as bool[m, n_items] with the ragged list of masks per row; items newer than the masks pass."""
    if rules.masks is None or not len(rules.masks):
        return np.zeros((0, 1), np.bool_), np.zeros(n + 1, np.int64), np.zeros(0, np.int32)
    masks = np.ascontiguousarray(rules.masks[:, :n_items], np.bool_)
    if masks.shape[1] < n_items:
        masks = np.pad(masks, ((0, 0), (0, n_items - masks.shape[1])), constant_values=True)
    if rules.applied is not None:
        return masks, rules.applied.offsets, rules.applied["mask"].astype(np.int32)
    m = len(masks)
    return masks, np.arange(n + 1, dtype=np.int64) * m, np.tile(np.arange(m, dtype=np.int32), n)


@numba.njit(inline="always")
def before(score_a, tie_a, score_b, tie_b):  # type: ignore[no-untyped-def]
    return score_a > score_b or (score_a == score_b and tie_a < tie_b)


@numba.njit
def _sift(items, scores, rank, size, at):  # type: ignore[no-untyped-def]
    """Restore the heap whose root is the worst kept item."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        right = child + 1
        if right < size and before(scores[child], rank[items[child]], scores[right], rank[items[right]]):
            child = right
        if before(scores[child], rank[items[child]], scores[at], rank[items[at]]):
            return
        items[at], items[child] = items[child], items[at]
        scores[at], scores[child] = scores[child], scores[at]
        at = child


@numba.njit
def offer(item, score, items, scores, rank, size, n):  # type: ignore[no-untyped-def]
    """Put one candidate into the heap; returns the new size."""
    if size < n:
        at = size
        items[at], scores[at] = item, score
        while at > 0:
            parent = (at - 1) // 2
            if before(scores[parent], rank[items[parent]], scores[at], rank[items[at]]):
                items[at], items[parent] = items[parent], items[at]
                scores[at], scores[parent] = scores[parent], scores[at]
                at = parent
            else:
                break
        return size + 1
    if before(score, rank[item], scores[0], rank[items[0]]):
        items[0], scores[0] = item, score
        _sift(items, scores, rank, size, 0)
    return size


@numba.njit
def _hidden(item, lo, hi, listed):  # type: ignore[no-untyped-def]
    end = hi
    while lo < hi:
        middle = (lo + hi) // 2
        if listed[middle] < item:
            lo = middle + 1
        else:
            hi = middle
    return lo < end and listed[lo] == item


@numba.njit
def allowed(item, row, offsets, listed, masks, of, applied):  # type: ignore[no-untyped-def]
    """Whether the row's exclusions and rules let an item through."""
    if _hidden(item, offsets[row], offsets[row + 1], listed):
        return False
    shown = True
    for m in range(of[row], of[row + 1]):
        shown = shown and masks[applied[m], item]
    return shown


@numba.njit(inline="always")
def _taken(item, score, row, offsets, listed, masks, of, applied, items, scores, rank, size, n):  # type: ignore[no-untyped-def]
    """Put a candidate into the row's heap where the row's rules let it through; returns the size."""
    if allowed(item, row, offsets, listed, masks, of, applied):
        size = offer(item, score, items, scores, rank, size, n)
    return size


@numba.njit(nogil=True, cache=True)
def _walk(order, scores, offsets, listed, masks, of, applied, items, kept):  # type: ignore[no-untyped-def]
    for row in range(items.shape[0]):
        found = 0
        for item in order:
            if found == items.shape[1]:
                break
            if allowed(item, row, offsets, listed, masks, of, applied):
                items[row, found], kept[row, found] = item, scores[item]
                found += 1


@numba.njit(nogil=True, cache=True)
def _merge(scores, start, offsets, listed, masks, of, applied, rank, kept_items, kept, sizes):  # type: ignore[no-untyped-def]
    n, width = kept.shape[1], scores.shape[1]
    for row in range(scores.shape[0]):
        size = sizes[row]
        line, items, best_scores = scores[row], kept_items[row], kept[row]
        floor = best_scores[0] if size == n else np.float32(-np.inf)
        for begin in range(0, width, 32):
            end = min(begin + 32, width)
            if size == n:  # most stretches hold nothing good enough; this test is done 8 scores at a time
                reach = 0
                for j in range(begin, end):
                    reach += line[j] >= floor
                if reach == 0:
                    continue
            for j in range(begin, end):
                score = line[j]
                if not score >= floor or score == -np.inf:
                    continue
                size = _taken(
                    start + j, score, row, offsets, listed, masks, of, applied, items, best_scores, rank, size, n
                )
                if size == n:
                    floor = best_scores[0]
        sizes[row] = size


@numba.njit(inline="always")
def _key(bits):  # type: ignore[no-untyped-def]
    """An integer that stands in the order of the bfloat16 with these bits."""
    return bits ^ ((bits >> 15) & 0x7FFF)


@numba.njit(fastmath={"reassoc", "contract"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    out = 0.0
    for i in range(len(a)):
        out += np.float64(a[i]) * b[i]
    return np.float32(out)


@numba.njit(inline="always")
def _reached(line, begin, least):  # type: ignore[no-untyped-def]
    """Whether any of 64 bfloat16s reaches a positive one, whose bits stand in the order of integers. Unsigned indices
    and a byte: so it is done 32 at a time."""
    hit = np.uint8(0)
    for j in range(np.uint64(64)):
        hit |= np.uint8(line[begin + j] >= least)
    return hit != 0


@numba.njit(nogil=True, cache=True)
def _sieve(  # type: ignore[no-untyped-def]
    rough, start, order, users, vectors, off, bias, offsets, listed, masks, of, applied, rank, kept_items, kept, sizes
):
    n, width = kept.shape[1], rough.shape[1]
    bound = np.empty(1, np.float32)
    bits = bound.view(np.int32)
    for row in range(rough.shape[0]):
        size = sizes[row]
        line, items, best_scores = rough[row], kept_items[row], kept[row]
        floor = best_scores[0] if size == n else np.float32(-np.inf)
        bound[0] = floor - off[row]
        least = np.int16(_key(np.int16(bits[0] >> 16)) - (bits[0] < 0))  # not above the bound
        for begin in range(0, width, 64):
            end = min(begin + 64, width)
            if least > 0 and end - begin == 64 and not _reached(line, np.uint64(begin), least):
                continue
            for j in range(begin, end):
                if _key(line[j]) < least:
                    continue
                score = _dot(users[row], vectors[start + j]) + bias[start + j]
                if not score >= floor or score == -np.inf:
                    continue
                size = _taken(
                    order[start + j], score, row, offsets, listed, masks, of, applied, items, best_scores, rank, size, n
                )
                if size == n and best_scores[0] > floor:
                    floor = best_scores[0]
                    bound[0] = floor - off[row]
                    least = np.int16(_key(np.int16(bits[0] >> 16)) - (bits[0] < 0))
        sizes[row] = size


@numba.njit(nogil=True, cache=True)
def ordered(kept_items, kept, rank):  # type: ignore[no-untyped-def]
    """Each row from best to worst, padding last: the heap is emptied from its worst end."""
    for row in range(kept.shape[0]):
        items, scores = kept_items[row], kept[row]
        size = 0
        while size < len(items) and items[size] >= 0:
            size += 1
        for end in range(size - 1, 0, -1):
            items[0], items[end] = items[end], items[0]
            scores[0], scores[end] = scores[end], scores[0]
            _sift(items, scores, rank, end, 0)
