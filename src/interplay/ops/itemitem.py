"""Sparse items x items weights: built from the log in blocks, kept as arrays, scored without a dense matrix.

Row i of the weights is what a click on item i says for every other item. A person's scores are the sum of the rows of
the items in the history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np
import scipy.sparse as sp

from interplay.ops.sparse import history_matrix
from interplay.ops.threads import THREADS, one_blas_thread, spread
from interplay.ops.topk import allowed, before, best, compiled, offer, ordered, withheld
from interplay.types import Array, Ragged, Requests, Rows, Slates, State

Likeness = Callable[[Array, Array, Array], Array]  # entries of the Gram matrix, sizes of row and column -> entries
LINES = 256  # requests scored at once by one thread
FILLER = 1e-9  # what popularity may add: orders items for which nothing speaks, and changes no others


# --------------------------------------------------------------------------------------------------------------------
# Building


def gram(x: sp.csr_array, *, chunk: int = 1024) -> sp.csr_array:
    """x.T @ x as float32 with sorted rows, on every core. Memory: 8 bytes per entry, twice while it is put together."""
    columns, rows = sp.csr_array(x.T, dtype=np.float32), sp.csr_array(x, dtype=np.float32)
    parts: dict[int, sp.csr_array] = {}

    def one(lo: int, hi: int) -> None:
        parts[lo] = columns[lo:hi] @ rows
        parts[lo].sort_indices()

    spread(one, x.shape[1], chunk)
    return stacked([parts[lo] for lo in sorted(parts)], x.shape[1])


def nearest(x: sp.csr_array, k: int, likeness: Likeness, sizes: Array, *, chunk: int = 512) -> sp.csr_array:
    """For each item (row) its k most alike others, float32 items x items with sorted rows.

    x: users x items. `likeness(c, n_i, n_j)` turns the entries c of x.T @ x, with `sizes` (float[n_items]) of the two
    items, into what is compared; only positive results are kept. The Gram matrix is never held whole.
    """
    columns, rows = sp.csr_array(x.T, dtype=np.float32), sp.csr_array(x, dtype=np.float32)
    sizes = sizes.astype(np.float32)
    parts: dict[int, sp.csr_array] = {}

    def one(lo: int, hi: int) -> None:
        block = columns[lo:hi] @ rows
        mine = np.repeat(sizes[lo:hi], np.diff(block.indptr))
        block.data = np.asarray(likeness(block.data, mine, sizes[block.indices]), np.float32)
        parts[lo] = largest(block, k, np.arange(lo, hi))

    spread(one, x.shape[1], chunk)
    return stacked([parts[lo] for lo in sorted(parts)], x.shape[1])


def turned(weights: sp.csr_array) -> sp.csr_array:
    """The transpose, by rows again."""
    return sp.csr_array(weights.T.tocsr())


def largest(x: sp.csr_array, k: int, skip: Array) -> sp.csr_array:
    """The k largest positive entries of each row, without the column `skip[row]`; x is reordered."""
    counts = np.zeros(x.shape[0], np.int64)
    _keep(x.indptr, x.indices, x.data, skip, k, counts)
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    at = np.arange(offsets[-1]) + np.repeat(x.indptr[:-1] - offsets[:-1], counts)
    out = sp.csr_array((x.data[at], x.indices[at], offsets), shape=x.shape)
    out.sort_indices()
    return out


def stacked(parts: list[sp.csr_array], n_items: int) -> sp.csr_array:
    """The parts one under the other; an empty matrix for none."""
    return sp.csr_array(sp.vstack(parts, format="csr")) if parts else sp.csr_array((n_items, n_items), dtype=np.float32)


@numba.njit(nogil=True, cache=True)
def _keep(indptr, indices, values, skip, k, counts):  # type: ignore[no-untyped-def]
    """Move the k largest positive values of each row to its front; ties go to the lower column."""
    for row in range(len(counts)):
        lo, n = indptr[row], 0
        for at in range(lo, indptr[row + 1]):
            value, column = values[at], indices[at]
            if column == skip[row] or not value > 0:
                continue
            if n < k:  # a heap whose root is the worst kept
                place = n
                n += 1
                while place > 0:
                    up = (place - 1) // 2
                    a, b = lo + place, lo + up
                    if values[b] > value or (values[b] == value and indices[b] < column):
                        values[a], indices[a] = values[b], indices[b]
                        place = up
                    else:
                        break
                values[lo + place], indices[lo + place] = value, column
            elif value > values[lo] or (value == values[lo] and column < indices[lo]):
                place = 0
                while True:
                    child = 2 * place + 1
                    if child >= n:
                        break
                    a, b = lo + child, lo + child + 1
                    tied = child + 1 < n and values[b] == values[a] and indices[b] > indices[a]
                    if tied or (child + 1 < n and values[b] < values[a]):
                        child, a = child + 1, b
                    if values[a] < value or (values[a] == value and indices[a] > column):
                        values[lo + place], indices[lo + place] = values[a], indices[a]
                        place = child
                    else:
                        break
                values[lo + place], indices[lo + place] = value, column
        counts[row] = n


# --------------------------------------------------------------------------------------------------------------------
# Scoring


def add_rows(x: sp.csr_array, weights: sp.csr_array, out: Array) -> None:
    """out += x @ weights; out is float32[rows of x, columns of weights]."""
    _add_rows(x.indptr, x.indices, x.data, weights.indptr, weights.indices, weights.data, out)


@numba.njit(nogil=True, cache=True)
def _add_rows(indptr, indices, data, w_indptr, w_indices, w_data, out):  # type: ignore[no-untyped-def]
    for row in range(len(out)):
        line = out[row]
        for at in range(indptr[row], indptr[row + 1]):
            value, item = data[at], indices[at]
            for w in range(w_indptr[item], w_indptr[item + 1]):
                line[w_indices[w]] += value * w_data[w]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="score")


def best_of_history(
    score: Callable[[Requests, sp.csr_array, Array], None],
    requests: Requests,
    n: int,
    rows: Rows,
    *,
    filler: bool = False,
) -> Slates:
    """The n best items of each request by what its history says; a history that says nothing gets popularity.

    `score(part, x, out)` adds to out (float32[len(x), n_items], zeros) the scores of some requests, whose histories are
    the 0/1 matrix x. It is called from several threads at once. With `filler`, items left at 0 are ordered by
    popularity.
    """

    def scores(part: Requests) -> Array:
        x = history_matrix(part.history, rows.n_items)
        out = np.zeros((len(part), rows.n_items), np.float32)
        if filler:
            out += FILLER / max(float(rows.popularity.max(initial=0)), 1.0) * rows.popularity
        score(part, x, out)
        out[np.diff(x.indptr) == 0] = rows.popularity
        return out

    if len(requests) <= LINES:
        return best(scores, requests, n, rows)
    with one_blas_thread():
        parts = [part for _, part in requests.blocks(LINES)]
        return Slates.stacked(list(_pool().map(lambda part: best(scores, part, n, rows), parts)))


def best_by_weights(weights: sp.csr_array, requests: Requests, n: int, rows: Rows) -> Slates:
    """The n best items of each request under sparse items x items weights; a history that says nothing gets popularity.

    Only what the history speaks for is scored; where that is too little, the most popular of the rest follow.
    """
    n = min(n, max(rows.n_items, 1))
    out = Slates.empty(len(requests), n)
    if not rows.n_items:
        return out
    history, hidden = requests.history, withheld(requests, rows.n_items)
    filler = np.float32(FILLER / max(float(rows.popularity[rows.ranking[0]]), 1.0))
    weighed = weights.indptr, weights.indices, weights.data, rows.popularity, filler, rows.ranking
    rules = hidden.offsets, hidden["item"], *compiled(requests.rules, len(requests), rows.n_items), rows.places

    def one(lo: int, hi: int) -> None:
        _best(lo, hi, history.offsets, history["item"], *weighed, *rules, *_paper(rows.n_items), out.items, out.scores)

    spread(one, len(requests), LINES)
    return out


_papers = threading.local()


def _paper(n_items: int) -> tuple[Array, Array, Array]:
    """This thread's own float32, bool and int32 [n_items] to reckon on; the flags are down, and are left so."""
    held: tuple[Array, Array, Array] | None = getattr(_papers, "held", None)
    if held is None or len(held[0]) != n_items:
        held = np.empty(n_items, np.float32), np.zeros(n_items, np.bool_), np.empty(n_items, np.int32)
        _papers.held = held
    return held


@numba.njit(nogil=True, cache=True)
def _best(  # type: ignore[no-untyped-def]
    first, last, starts, items, indptr, indices, data, popularity, filler, ranking, offsets, listed, masks, of, applied,
    rank, line, met, touched, out_items, out_scores,
):  # fmt: skip
    n, n_items = out_items.shape[1], len(line)
    for row in range(first, last):
        kept_items, kept, size, count, previous = out_items[row], out_scores[row], 0, 0, -1
        for item in np.sort(items[starts[row] : starts[row + 1]]):
            if item < 0 or item >= n_items or item == previous:
                continue
            previous = item
            for w in range(indptr[item], indptr[item + 1]):
                other = indices[w]
                if not met[other]:
                    met[other], line[other], touched[count] = True, filler * popularity[other], other
                    count += 1
                line[other] += data[w]
        for t in range(count):
            item, score = touched[t], line[touched[t]]
            good = score > -np.inf and (size < n or score >= kept[0])
            if good and allowed(item, row, offsets, listed, masks, of, applied):
                size = offer(item, score, kept_items, kept, rank, size, n)
        for item in ranking:  # the rest, most popular first: behind the first that falls short, all do
            score = popularity[item] if previous < 0 else filler * popularity[item]
            if size == n and not before(score, rank[item], kept[0], rank[kept_items[0]]):
                break
            if not met[item] and allowed(item, row, offsets, listed, masks, of, applied):
                size = offer(item, score, kept_items, kept, rank, size, n)
        for t in range(count):
            met[touched[t]] = False
    ordered(out_items[first:last], out_scores[first:last], rank)


def similar_by_weights(weights: sp.csr_array, items: Array, n: int, rows: Rows) -> Slates:
    """The n largest positive entries of the given rows, without the item itself; unknown items get an empty list."""
    items = np.asarray(items)
    known = (items >= 0) & (items < rows.n_items)
    n = min(n, max(rows.n_items, 1))
    out = Slates.empty(len(items), n)
    log = Ragged(offsets=weights.indptr.astype(np.int64), columns={"item": weights.indices, "score": weights.data})
    taken = log.take(np.where(known, items, -1))
    taken = taken.where((taken["score"] > 0) & (taken["item"] != items[taken.owner]))
    order = np.lexsort((rows.places[taken["item"]], -taken["score"], taken.owner))
    place = np.arange(len(order)) - np.repeat(taken.offsets[:-1], taken.lengths)
    shown = place < n
    out.items[taken.owner[shown], place[shown]] = taken["item"][order][shown]
    out.scores[taken.owner[shown], place[shown]] = taken["score"][order][shown]
    return out


def similar_by_request(retrieve: Callable[[Requests, int], Slates], items: Array, n: int, rows: Rows) -> Slates:
    """What a stranger with this one click is shown; unknown items and items without events get an empty list."""
    items = np.asarray(items)
    known = (items >= 0) & (items < rows.n_items)
    if rows.n_items:
        known &= rows.popularity[np.where(known, items, 0)] > 0
    clicks = Ragged(offsets=np.arange(len(items) + 1), columns={"item": items.astype(np.int32)})
    out = retrieve(Requests(user=np.full(len(items), -1, np.int32), history=clicks), n)
    out.items[~known], out.scores[~known] = -1, -np.inf
    return out


# --------------------------------------------------------------------------------------------------------------------
# Keeping


def kept(weights: sp.csr_array) -> State:
    """The matrix as plain arrays."""
    return State(arrays={"data": weights.data, "indices": weights.indices, "indptr": weights.indptr})


def restored(state: State, n_columns: int) -> sp.csr_array:
    """The matrix that `kept` stored."""
    a = state.arrays
    return sp.csr_array((a["data"], a["indices"], a["indptr"]), shape=(len(a["indptr"]) - 1, n_columns))
