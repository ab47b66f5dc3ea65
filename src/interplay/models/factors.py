"""Vectors for people and items from alternating least squares.

ials   Hu, Koren and Volinsky, ICDM 2008, with the objective of Rendle et al., RecSys 2022 ("Revisiting the Performance
       of iALS on Item Recommendation Benchmarks") and the row solver of Takacs et al., RecSys 2011

With S the observed pairs, w a person's and h an item's vector, minimised is
    sum over S of (w.h - 1)^2 + unobserved * sum over all pairs of (w.h)^2
    + ridge * (sum over people of (events + unobserved * items)^ridge_power |w|^2 + the same for items).
Learns 4 * (people + items) * dim bytes. People without a row, or with more events than at the fit, are folded in: the
exact minimum for their history with the items held fixed.
Departs from Rendle et al.: a sweep moves each row a few conjugate-gradient steps towards its minimum, from where the
last sweep left it, instead of solving blocks of its numbers; `steps=0` solves every row exactly.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numba
import numpy as np
import scipy.sparse as sp

from interplay.configure import Count, NotNegative, Positive, Size
from interplay.errors import BadData
from interplay.ops.solve import solve_in_place
from interplay.ops.sparse import history_matrix, interaction_matrix
from interplay.ops.threads import one_blas_thread, spread
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class IalsConfig:
    dim: Size = 64
    epochs: Size = 16  # sweeps over people and items; fewer when validation says so
    patience: Count = 3  # sweeps without a better validation before stopping
    unobserved: NotNegative = 0.1  # weight of every pair
    ridge: Positive = 0.003
    ridge_power: NotNegative = 1.0  # how the ridge grows with the events of a person or item
    steps: Count = 3  # conjugate-gradient steps of a row in a sweep; 0 solves it exactly
    start: Positive = 0.1  # standard deviation of the first vectors, times the square root of dim


class Ials:
    """A person's vector and an item's vector agree where the item was taken."""

    def __init__(self, config: IalsConfig = IalsConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Ials:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; vectors need at least one")
        c, rng = self.config, np.random.default_rng(run.seed)
        self.rows = Rows.of(dataset)
        x = interaction_matrix(dataset)
        y = sp.csr_array(x.T)
        self.users, self.items = (
            (rng.standard_normal((n, c.dim)) * c.start / c.dim**0.5).astype(np.float32) for n in x.shape
        )
        sweep, best, began = 0, (0, -np.inf, self.users, self.items), time.monotonic()
        if run.checkpoint is not None and (run.checkpoint / "ials.npz").exists():
            sweep, best = self._resume(run.checkpoint / "ials.npz")
        judge = run.validation if run.epochs is None else None
        last = c.epochs if run.epochs is None else run.epochs
        while sweep < last and not (judge and sweep - best[0] >= c.patience):
            self._move(x, self.users, self.items, self._gram(self.items), len(self.items), c.steps)
            self._move(y, self.items, self.users, self._gram(self.users), len(self.users), c.steps)
            self.gram = self._gram(self.items)
            sweep += 1
            value = float(judge(self)) if judge else None
            if value is None:
                best = (sweep, -np.inf, self.users, self.items)
            elif value > best[1]:
                best = (sweep, value, self.users.copy(), self.items.copy())
            run.progress("sweep", {"sweep": sweep, "of": last, "validation": value})
            if run.checkpoint is not None:
                self._save(run.checkpoint, sweep, best)
            if run.seconds is not None and time.monotonic() - began >= run.seconds:
                break
        _, value, self.users, self.items = best
        self.gram = self._gram(self.items)
        self.fitted = {"epochs": best[0], "validation": value if judge else None}
        return self

    def _save(self, directory: Path, sweep: int, best: tuple[int, float, Array, Array]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / "ials.part.npz"
        np.savez(part, sweep=sweep, users=self.users, items=self.items, best_sweep=best[0], best_value=best[1],
                 best_users=best[2], best_items=best[3])  # fmt: skip
        part.replace(directory / "ials.npz")

    def _resume(self, path: Path) -> tuple[int, tuple[int, float, Array, Array]]:
        with np.load(path) as saved:
            self.users, self.items = saved["users"], saved["items"]
            best = (int(saved["best_sweep"]), float(saved["best_value"]), saved["best_users"], saved["best_items"])
            return int(saved["sweep"]), best

    def _gram(self, vectors: Array) -> Array:
        """float64[dim, dim]: what all pairs add to every row's system."""
        with one_blas_thread():  # waiting BLAS threads would spin through the kernel that follows
            return self.config.unobserved * (vectors.T @ vectors).astype(np.float64)

    def _move(self, x: sp.csr_array, rows: Array, others: Array, gram: Array, n: int, steps: int) -> None:
        """Each of `rows` (float[len(x), dim], in place) towards its minimum, the n vectors across held fixed.

        others: those of them that x's columns name; gram: of all n.
        """
        c = self.config
        events = np.diff(x.indptr) + c.unobserved * n
        ridge = (c.ridge * events**c.ridge_power).astype(rows.dtype)
        gram, zero = gram.astype(rows.dtype), rows.dtype.type(0)

        def one(lo: int, hi: int) -> None:
            if steps:
                _descend(x.indptr, x.indices, others, gram, ridge, rows, steps, lo, hi, zero)
            else:
                _solve(x.indptr, x.indices, others, gram, ridge, rows, lo, hi, zero)

        spread(one, len(rows), 512)

    def folded(self, history: Ragged) -> Array:
        """float32[len(history), dim]: the exact minimum for each history, items held fixed; zeros for an empty one."""
        x = history_matrix(history, self.rows.n_items)
        named, place = np.unique(x.indices, return_inverse=True)
        x = sp.csr_array((x.data, place, x.indptr), shape=(len(history), len(named)))
        out = np.zeros((len(history), self.config.dim))
        self._move(x, out, self.items[named].astype(np.float64), self.gram, self.rows.n_items, 0)
        return out.astype(np.float32)

    def _vectors(self, requests: Requests) -> Array:
        """The stored row where it knows all of the history, a fold-in elsewhere."""
        known = (requests.user >= 0) & (requests.user < self.rows.n_users)
        at = np.where(known, requests.user, 0)
        out = np.zeros((len(requests), self.config.dim), np.float32)
        if self.rows.n_users:
            known &= (requests.history.lengths <= self.rows.events[at]) & self.users[at].any(axis=1)
            out[known] = self.users[at[known]]
        fresh = np.flatnonzero(~known)
        if len(fresh):
            out[fresh] = self.folded(requests.history.take(fresh))
        return out

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """By inner product; by popularity for requests of whom nothing is known."""
        vectors = self._vectors(requests)
        out = best_dot(vectors, self.items, requests, n, self.rows)
        lost = np.flatnonzero(~vectors.any(axis=1))
        if len(lost):
            some = best_dot(vectors[lost], self.items, requests.take(lost), n, self.rows, bias=self.rows.popularity)
            out.items[lost], out.scores[lost] = some.items, some.scores
        return out

    def similar_items(self, items: Array, n: int) -> Slates:
        """By the cosine of the item vectors; unknown items and items without events get an empty list."""
        items = np.asarray(items)
        known = (items >= 0) & (items < self.rows.n_items)
        at = np.where(known, items, 0)
        if self.rows.n_items:
            known &= self.items[at].any(axis=1)
        unit = self.items / np.maximum(np.linalg.norm(self.items, axis=1, keepdims=True), 1e-12)
        out = best_dot(unit[at], unit, Requests.strangers([[i] for i in at]), n, self.rows)
        out.items[~known], out.scores[~known] = -1, -np.inf
        return out

    def forget(self, users: Array) -> Ials:
        """Zero the rows of these people; they are answered as strangers."""
        self.users, events = self.users.copy(), self.rows.events.copy()
        self.users[users] = 0
        events[users] = 0
        self.rows = replace(self.rows, events=events)
        return self

    def state(self) -> State:
        vectors = State(arrays={"items": self.items}, users={"users": self.users})
        return State.joined(rows=self.rows.state(), vectors=vectors)

    def restore(self, state: State) -> Ials:
        self.rows = Rows.restore(state.within("rows"))
        vectors = state.within("vectors")
        self.items, self.users = vectors.arrays["items"], vectors.users["users"]
        self.gram = self._gram(self.items)
        return self


# In the kernels, four rows are taken for each pass over a target: it is read and written a quarter as often. `zero`
# carries the number type, and `gram` is unobserved * others.T @ others.


@numba.njit(nogil=True, fastmath=True)
def _gathered(indices, others, taken):  # type: ignore[no-untyped-def]
    """The vectors of a row's items, one after the other, and rows of zeros up to a multiple of four."""
    n = len(indices)
    for i in range(n):
        taken[i] = others[indices[i]]
    taken[n : n + 3] = 0


@numba.njit(nogil=True, fastmath=True)
def _times(gram, ridge, taken, n, p, out, zero):  # type: ignore[no-untyped-def]
    """out = (gram + ridge + taken.T @ taken) @ p"""
    dim = len(p)
    for d in range(dim):
        out[d] = ridge * p[d]
    for a in range(0, dim - 3, 4):
        x0, x1, x2, x3 = p[a], p[a + 1], p[a + 2], p[a + 3]
        g0, g1, g2, g3 = gram[a], gram[a + 1], gram[a + 2], gram[a + 3]
        for d in range(dim):
            out[d] += x0 * g0[d] + x1 * g1[d] + x2 * g2[d] + x3 * g3[d]
    for a in range(dim - dim % 4, dim):
        x0, g0 = p[a], gram[a]
        for d in range(dim):
            out[d] += x0 * g0[d]
    for i in range(0, n, 4):
        h0, h1, h2, h3 = taken[i], taken[i + 1], taken[i + 2], taken[i + 3]
        x0, x1, x2, x3 = zero, zero, zero, zero
        for d in range(dim):
            x0 += h0[d] * p[d]
            x1 += h1[d] * p[d]
            x2 += h2[d] * p[d]
            x3 += h3[d] * p[d]
        for d in range(dim):
            out[d] += x0 * h0[d] + x1 * h1[d] + x2 * h2[d] + x3 * h3[d]


@numba.njit(nogil=True, cache=True, fastmath=True)
def _descend(indptr, indices, others, gram, ridge, rows, steps, lo, hi, zero):  # type: ignore[no-untyped-def]
    """For each row lo..hi, `steps` conjugate-gradient steps from where it stands."""
    dim, longest = rows.shape[1], 0
    for row in range(lo, hi):
        longest = max(longest, indptr[row + 1] - indptr[row])
    taken = np.empty((longest + 3, dim), rows.dtype)
    left, way, bent = np.empty(dim, rows.dtype), np.empty(dim, rows.dtype), np.empty(dim, rows.dtype)
    for row in range(lo, hi):
        n, vector = indptr[row + 1] - indptr[row], rows[row]
        if n == 0:
            vector[:] = zero
            continue
        _gathered(indices[indptr[row] : indptr[row + 1]], others, taken)
        _times(gram, ridge[row], taken, n, vector, bent, zero)
        for d in range(dim):
            left[d] = -bent[d]
        for i in range(n):
            line = taken[i]
            for d in range(dim):
                left[d] += line[d]
        size = zero
        for d in range(dim):
            way[d] = left[d]
            size += left[d] * left[d]
        for _ in range(steps):
            if size < 1e-18:
                break
            _times(gram, ridge[row], taken, n, way, bent, zero)
            curve = zero
            for d in range(dim):
                curve += way[d] * bent[d]
            far, before = size / curve, size
            size = zero
            for d in range(dim):
                vector[d] += far * way[d]
                left[d] -= far * bent[d]
                size += left[d] * left[d]
            turn = size / before
            for d in range(dim):
                way[d] = left[d] + turn * way[d]


@numba.njit(nogil=True, cache=True, fastmath=True)
def _solve(indptr, indices, others, gram, ridge, rows, lo, hi, zero):  # type: ignore[no-untyped-def]
    """For each row lo..hi the exact minimum."""
    dim, longest = rows.shape[1], 0
    for row in range(lo, hi):
        longest = max(longest, indptr[row + 1] - indptr[row])
    taken = np.empty((longest + 3, dim), rows.dtype)
    system = np.empty((dim, dim), rows.dtype)
    for row in range(lo, hi):
        n, vector = indptr[row + 1] - indptr[row], rows[row]
        vector[:] = zero
        if n == 0:
            continue
        _gathered(indices[indptr[row] : indptr[row + 1]], others, taken)
        system[:] = gram
        for a in range(dim):
            system[a, a] += ridge[row]
        for i in range(0, n, 4):
            h0, h1, h2, h3 = taken[i], taken[i + 1], taken[i + 2], taken[i + 3]
            for a in range(dim):
                x0, x1, x2, x3, line = h0[a], h1[a], h2[a], h3[a], system[a]
                vector[a] += x0 + x1 + x2 + x3
                for b in range(a, dim):
                    line[b] += x0 * h0[b] + x1 * h1[b] + x2 * h2[b] + x3 * h3[b]
        solve_in_place(system, vector)
