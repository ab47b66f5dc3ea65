"""Vectors for people and items from alternating least squares.

ials   Hu, Koren and Volinsky, ICDM 2008; objective and block solver of Rendle et al., "Revisiting the Performance of
       iALS on Item Recommendation Benchmarks" (RecSys 2022) and "iALS++" (arXiv 2110.14044)

With S the observed pairs, w a person's and h an item's vector, minimised is
    sum over S of (w.h - 1)^2 + unobserved * sum over all pairs of (w.h)^2
    + ridge * (sum over people of (events + unobserved * items)^ridge_power |w|^2 + the same for items).
Learns 4 * (people + items) * dim bytes (dim rounded up to a multiple of 8). People without a row, or with more events
than at the fit, are folded in: the exact minimum for their history with the items held fixed.
Departs from iALS++: all blocks of one row are visited before the next row, so that its numbers stay in cache. Rows do
not depend on each other, so the result of a sweep is the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numba
import numpy as np
import scipy.sparse as sp

from interplay.errors import BadData
from interplay.ops.solve import solve_in_place
from interplay.ops.sparse import history_matrix, interaction_matrix
from interplay.ops.threads import spread
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run, Slates, State, World

TILE = 8  # numbers that the kernel holds in one register; vectors are padded with zeros to a multiple


@dataclass(frozen=True, kw_only=True)
class IalsConfig:
    dim: int = 64
    epochs: int = 16  # sweeps over people and items; fewer when validation says so
    patience: int = 3  # sweeps without a better validation before stopping
    unobserved: float = 0.1  # weight of every pair
    ridge: float = 0.003
    ridge_power: float = 1.0  # how the ridge grows with the events of a person or item
    block: int = 8  # numbers of a vector solved for at once; dim solves each row exactly
    start: float = 0.1  # standard deviation of the first item vectors, times the square root of dim


class Ials:
    """A person's vector and an item's vector agree where the item was taken."""

    def __init__(self, config: IalsConfig = IalsConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Ials:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; vectors need at least one")
        self.rows = Rows.of(dataset)
        x = interaction_matrix(dataset)
        y = sp.csr_array(x.T)
        rng = np.random.default_rng(run.seed)
        self.users, self.items = self._start(rng, dataset.n_users), self._start(rng, dataset.n_items)
        sweep, best, began = 0, (0, -np.inf, self.users, self.items), time.monotonic()
        if run.checkpoint is not None and (run.checkpoint / "ials.npz").exists():
            sweep, best = self._resume(run.checkpoint / "ials.npz")
        judge = run.validation if run.epochs is None else None
        last = self.config.epochs if run.epochs is None else run.epochs
        while sweep < last and not (judge and sweep - best[0] >= self.config.patience):
            self._sweep(x, self.users, self.items, self.config.block)
            self._sweep(y, self.items, self.users, self.config.block)
            sweep += 1
            value = float(judge(self)) if judge else None
            if value is None or value > best[1]:
                best = (sweep, -np.inf if value is None else value, self.users.copy(), self.items.copy())
            run.progress("sweep", {"sweep": sweep, "of": last, "validation": value})
            if run.checkpoint is not None:
                self._save(run.checkpoint, sweep, best)
            if run.seconds is not None and time.monotonic() - began >= run.seconds:
                break
        _, value, self.users, self.items = best
        self.fitted = {"epochs": best[0], "validation": value if judge else None}
        return self

    def _start(self, rng: np.random.Generator, n: int) -> Array:
        out = np.zeros((n, -(-self.config.dim // TILE) * TILE), np.float32)
        out[:, : self.config.dim] = rng.standard_normal((n, self.config.dim)) * self.config.start / self.config.dim**0.5
        return out

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

    def _sweep(self, x: sp.csr_array, rows: Array, others: Array, block: int) -> None:
        """One pass over `rows` (float[len(x), dim], in place): each block of each row is set to its minimum."""
        c = self.config
        gram = (c.unobserved * (others.T @ others)).astype(rows.dtype)
        events = np.diff(x.indptr) + c.unobserved * len(others)
        ridge = (c.ridge * events**c.ridge_power).astype(rows.dtype)
        size, zero = min(-(-block // TILE) * TILE, rows.shape[1]), rows.dtype.type(0)
        spread(
            lambda lo, hi: _solve_blocks(x.indptr, x.indices, others, gram, ridge, rows, size, lo, hi, zero),
            len(rows), 256,
        )  # fmt: skip

    def folded(self, history: Ragged) -> Array:
        """float32[len(history), dim]: the exact minimum for each history, items held fixed; zeros for an empty one."""
        x = history_matrix(history, self.rows.n_items)
        out = np.zeros((len(history), self.items.shape[1]))
        self._sweep(x, out, self.items.astype(np.float64), out.shape[1])
        return out.astype(np.float32)

    def _vectors(self, requests: Requests) -> Array:
        """The stored row where it knows all of the history, a fold-in elsewhere."""
        known = (requests.user >= 0) & (requests.user < self.rows.n_users)
        at = np.where(known, requests.user, 0)
        out = np.zeros((len(requests), self.items.shape[1]), np.float32)
        if self.rows.n_users:
            known &= (requests.history.lengths <= self.rows.events[at]) & self.users[at].any(axis=1)
            out[known] = self.users[at[known]]
        fresh = np.flatnonzero(~known)
        if len(fresh):
            out[fresh] = self.folded(requests.history.take(fresh))
        return out

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """By inner product; one more dimension holds popularity, for requests of whom nothing is known."""
        vectors = self._vectors(requests)
        unknown = ~vectors.any(axis=1)
        items = np.column_stack([self.items, self.rows.popularity])
        return best_dot(np.column_stack([vectors, unknown]), items, requests, n, self.rows)

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
        return self


@numba.njit(nogil=True, cache=True, fastmath=True)
def _solve_blocks(indptr, indices, others, gram, ridge, rows, block, lo, hi, zero):  # type: ignore[no-untyped-def]
    """For each row lo..hi and each block of its numbers, the minimum of the objective with all else held fixed.

    gram: unobserved * others.T @ others. `zero` carries the number type.
    """
    dim, longest = rows.shape[1], 0
    for row in range(lo, hi):
        longest = max(longest, indptr[row + 1] - indptr[row])
    taken = np.empty((longest, dim), rows.dtype)  # the vectors of the row's items, gathered
    miss = np.empty(longest, rows.dtype)  # how far their present scores are from 1
    system = np.empty((block, block), rows.dtype)
    slope = np.empty(block, rows.dtype)
    for row in range(lo, hi):
        first, n, vector = indptr[row], indptr[row + 1] - indptr[row], rows[row]
        if n == 0:
            vector[:] = zero
            continue
        for i in range(n):
            source, line, total = others[indices[first + i]], taken[i], zero - 1
            for d in range(dim):
                total += source[d] * vector[d]
            line[:] = source
            miss[i] = total
        for start in range(0, dim, block):
            size = min(block, dim - start)
            for a in range(size):
                total, line = ridge[row] * vector[start + a], gram[start + a]
                for d in range(dim):
                    total += line[d] * vector[d]
                slope[a] = total
                for b in range(size):
                    system[a, b] = line[start + b]
                system[a, a] += ridge[row]
            for top in range(0, size, 8):
                for left in range(0, top + 8, 8):
                    _add_tile(taken, n, start + top, start + left, system, top, left, zero)
            for left in range(0, size, 8):
                _add_slope(taken, miss, n, start + left, slope, left)
            solve_in_place(system[:size, :size], slope[:size])
            for a in range(size):
                vector[start + a] -= slope[a]
            for left in range(0, size, 8):
                _take_step(taken, miss, n, start + left, slope, left)


@numba.njit(nogil=True, fastmath=True)
def _add_tile(taken, n, above, beside, system, top, left, zero):  # type: ignore[no-untyped-def]
    """system[top:top+8, left:left+8] += taken[:n, above:above+8].T @ taken[:n, beside:beside+8]

    Written out, so that the sums of a row stay in one register.
    """
    for a in range(0, 8, 2):
        p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = zero
        q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = zero
        for i in range(n):
            line = taken[i]
            p, q = line[above + a], line[above + a + 1]
            c0, c1, c2, c3, c4, c5, c6, c7 = line[beside], line[beside + 1], line[beside + 2], line[beside + 3], line[beside + 4], line[beside + 5], line[beside + 6], line[beside + 7]
            p0, p1, p2, p3 = p0 + p * c0, p1 + p * c1, p2 + p * c2, p3 + p * c3
            p4, p5, p6, p7 = p4 + p * c4, p5 + p * c5, p6 + p * c6, p7 + p * c7
            q0, q1, q2, q3 = q0 + q * c0, q1 + q * c1, q2 + q * c2, q3 + q * c3
            q4, q5, q6, q7 = q4 + q * c4, q5 + q * c5, q6 + q * c6, q7 + q * c7
        line = system[top + a]
        line[left] += p0
        line[left + 1] += p1
        line[left + 2] += p2
        line[left + 3] += p3
        line[left + 4] += p4
        line[left + 5] += p5
        line[left + 6] += p6
        line[left + 7] += p7
        line = system[top + a + 1]
        line[left] += q0
        line[left + 1] += q1
        line[left + 2] += q2
        line[left + 3] += q3
        line[left + 4] += q4
        line[left + 5] += q5
        line[left + 6] += q6
        line[left + 7] += q7


@numba.njit(nogil=True, fastmath=True)
def _add_slope(taken, miss, n, beside, slope, left):  # type: ignore[no-untyped-def]
    """slope[left:left+8] += miss[:n] @ taken[:n, beside:beside+8]"""
    s0, s1, s2, s3, s4, s5, s6, s7 = slope[left], slope[left + 1], slope[left + 2], slope[left + 3], slope[left + 4], slope[left + 5], slope[left + 6], slope[left + 7]
    for i in range(n):
        line, m = taken[i], miss[i]
        s0 += m * line[beside]
        s1 += m * line[beside + 1]
        s2 += m * line[beside + 2]
        s3 += m * line[beside + 3]
        s4 += m * line[beside + 4]
        s5 += m * line[beside + 5]
        s6 += m * line[beside + 6]
        s7 += m * line[beside + 7]
    slope[left], slope[left + 1], slope[left + 2], slope[left + 3], slope[left + 4], slope[left + 5], slope[left + 6], slope[left + 7] = s0, s1, s2, s3, s4, s5, s6, s7


@numba.njit(nogil=True, fastmath=True)
def _take_step(taken, miss, n, beside, slope, left):  # type: ignore[no-untyped-def]
    """miss[:n] -= taken[:n, beside:beside+8] @ slope[left:left+8]"""
    s0, s1, s2, s3, s4, s5, s6, s7 = slope[left], slope[left + 1], slope[left + 2], slope[left + 3], slope[left + 4], slope[left + 5], slope[left + 6], slope[left + 7]
    for i in range(n):
        line = taken[i]
        near = s0 * line[beside] + s1 * line[beside + 1] + s2 * line[beside + 2] + s3 * line[beside + 3]
        far = s4 * line[beside + 4] + s5 * line[beside + 5] + s6 * line[beside + 6] + s7 * line[beside + 7]
        miss[i] -= near + far
