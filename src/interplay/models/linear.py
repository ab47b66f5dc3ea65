"""Linear models: each item is a weighted sum of the others, and a person's scores are their row times the weights.

slim         Ning and Karypis, ICDM 2011        elastic net per item, weights not negative, few candidates
ease         Steck, WWW 2019 (arXiv 1905.03375)  one ridge regression per item, all solved by one inverse
ease-block   the same regression, each item's candidates restricted to the items most alike to it

With x the 0/1 matrix of people and items, each column j of the weights minimises
    |x_j - x w|^2 + ridge |w|^2 (+ lasso |w|_1 for slim, both halved there),    w_j = 0.
ease holds a dense items x items matrix (4 bytes for each pair; at the fit 12, or 8 in float32: 4.8 GB for 20,000 items)
and refuses more than `max_items`. slim and ease-block hold 8 bytes per kept weight and, at the fit, the Gram matrix of
the log (8 bytes per pair of items that share a person). Nothing is kept of any person.
Departs from slim: only the nearest items by cosine are candidates, as in the paper's fsSLIM.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import scipy.linalg
import scipy.sparse as sp

from interplay.configure import NotNegative, Positive, Size
from interplay.errors import BadData, BadSetting, TooLarge
from interplay.ops import itemitem
from interplay.ops.solve import solve_in_place
from interplay.ops.sparse import interaction_matrix
from interplay.ops.threads import spread
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class EaseConfig:
    ridge: Positive = 300.0  # grows with the number of events, not of people
    max_items: Size = 20_000  # more are refused: memory grows with the square, time with the cube
    precision: str = "float64"  # of the inverse; float32 halves its memory and time


@dataclass(frozen=True, kw_only=True)
class BlockEaseConfig:
    ridge: Positive = 100.0
    candidates: Size = 100  # items that may speak for an item: the nearest by cosine
    popularity: NotNegative = 0.5  # power of the candidate's popularity in that cosine: less prefers popular candidates


@dataclass(frozen=True, kw_only=True)
class SlimConfig:
    ridge: NotNegative = 50.0
    lasso: NotNegative = 1.0
    candidates: Size = 100  # items that may speak for an item: the nearest by cosine
    negative: bool = False  # whether an item may speak against another
    sweeps: Size = 50  # rounds of coordinate descent at most
    tolerance: NotNegative = 1e-4  # a round that changes no weight by more is the last


def _log(dataset: Dataset) -> sp.csr_array:
    if not len(dataset.events):
        raise BadData(f"{dataset.name!r} has no events; a linear model needs at least one")
    return interaction_matrix(dataset)


class Ease:
    """Every item from all others: exact, dense, one setting."""

    def __init__(self, config: EaseConfig = EaseConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Ease:
        c, n = self.config, dataset.n_items
        if c.precision not in ("float64", "float32"):
            raise BadSetting(f"EaseConfig.precision is {c.precision!r}; expected 'float64' or 'float32'")
        if n > c.max_items:
            raise TooLarge(
                f"Ease needs a dense {n} x {n} matrix ({n * n * int(c.precision[-2:]) / 8e9:.1f} GB); "
                f"raise max_items ({c.max_items}) or choose ease-block"
            )
        x = _log(dataset)
        self.rows = Rows.of(dataset)
        gram = (x.T @ x).astype(c.precision).toarray(order="F")
        gram[np.diag_indices(n)] += c.ridge
        self.weights = _ease(gram)
        return self

    def retrieve(self, requests: Requests, n: int) -> Slates:
        def score(_: Requests, x: sp.csr_array, out: Array) -> None:
            out += x @ self.weights

        return itemitem.best_of_history(score, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What one click on the item speaks for; unknown items and items without events get an empty list."""
        return itemitem.similar_by_request(self.retrieve, items, n, self.rows)

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), ease=State(arrays={"weights": self.weights}))

    def restore(self, state: State) -> Ease:
        self.rows = Rows.restore(state.within("rows"))
        self.weights = state.within("ease").arrays["weights"]
        return self


def _ease(gram: Array) -> Array:
    """float32[n, n], the weights for a regularised Gram matrix, whose memory is used for the inverse."""
    potrf, potri = scipy.linalg.get_lapack_funcs(("potrf", "potri"), (gram,))
    factor, failed = potrf(gram, lower=True, overwrite_a=True, clean=False)
    if failed:
        raise BadSetting("ease: the Gram matrix is singular; a ridge above 0 makes every item solvable")
    inverse, _ = potri(factor, lower=True, overwrite_c=True)  # the lower triangle of a symmetric matrix
    weights = np.empty(inverse.shape, np.float32)
    scale = -1.0 / inverse.diagonal()  # column j predicts item j from all others
    spread(lambda lo, hi: _mirror(inverse, scale, weights, lo, hi), len(weights), 256)
    return weights


@numba.njit(nogil=True, cache=True)
def _mirror(inverse, scale, weights, lo, hi):  # type: ignore[no-untyped-def]
    for i in range(lo, hi):
        for j in range(len(scale)):
            value = inverse[i, j] if i > j else inverse[j, i]
            weights[i, j] = 0.0 if i == j else value * scale[j]


class _Restricted:
    """Weights of each item from few candidates; serving is sparse."""

    rows: Rows
    weights: sp.csr_array  # items x items; row i is what item i says for the others

    def _candidates(self, dataset: Dataset, k: int, popularity: float) -> tuple[sp.csr_array, sp.csr_array]:
        """The Gram matrix of the log, and for each item (row) its nearest others in ascending order."""
        x = _log(dataset)
        self.rows = Rows.of(dataset)
        return itemitem.gram(x), itemitem.nearest(
            x, k, lambda c, a, b: c / (np.sqrt(a) * b**popularity), self.rows.popularity
        )

    def _keep(self, near: sp.csr_array, values: Array) -> None:
        weights = sp.csr_array((values, near.indices, near.indptr), shape=near.shape)
        weights.eliminate_zeros()
        self.weights = sp.csr_array(weights.T)
        self.weights.sort_indices()
        self.fitted = {"weights": int(self.weights.nnz)}

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return itemitem.best_by_weights(self.weights, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """The items that the item speaks most for."""
        return itemitem.similar_by_weights(self.weights, items, n, self.rows)

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), weights=itemitem.kept(self.weights))


class BlockEase(_Restricted):
    """Each item from the items most alike to it: the ridge regression of ease on a block of its own.

    Time grows with items * candidates^2 * (candidates / 6 + the mean number of partners of a candidate).
    """

    def __init__(self, config: BlockEaseConfig = BlockEaseConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> BlockEase:
        c = self.config
        if c.ridge <= 0:
            raise BadSetting(f"BlockEaseConfig.ridge is {c.ridge}; expected a number above 0")
        gram, near = self._candidates(dataset, c.candidates, c.popularity)
        values = np.zeros(near.nnz, np.float32)
        spread(
            lambda lo, hi: _ridge(
                gram.indptr, gram.indices, gram.data, near.indptr, near.indices, c.ridge, values, lo, hi
            ),
            dataset.n_items, 256,
        )  # fmt: skip
        self._keep(near, values)
        return self

    def restore(self, state: State) -> BlockEase:
        self.rows = Rows.restore(state.within("rows"))
        self.weights = itemitem.restored(state.within("weights"), self.rows.n_items)
        return self


class Slim(_Restricted):
    """Each item from few others, none of which speaks against it."""

    def __init__(self, config: SlimConfig = SlimConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Slim:
        c = self.config
        gram, near = self._candidates(dataset, c.candidates, 0.5)
        values = np.zeros(near.nnz, np.float32)
        spread(
            lambda lo, hi: _elastic_net(
                gram.indptr, gram.indices, gram.data, near.indptr, near.indices, c.ridge, c.lasso, c.negative, c.sweeps,
                c.tolerance, values, lo, hi,
            ),
            dataset.n_items, 256,
        )  # fmt: skip
        self._keep(near, values)
        return self

    def restore(self, state: State) -> Slim:
        self.rows = Rows.restore(state.within("rows"))
        self.weights = itemitem.restored(state.within("weights"), self.rows.n_items)
        return self


@numba.njit(nogil=True, fastmath=True)
def _gathered(indptr, indices, data, chosen, target, place, system, shared):  # type: ignore[no-untyped-def]
    """system = the Gram matrix among the `chosen`, shared = their entries with `target`; place is scratch, all -1."""
    n = len(chosen)
    for a in range(n):
        place[chosen[a]] = a
    for a in range(n):
        line = system[a]
        line[:n] = 0
        for at in range(indptr[chosen[a]], indptr[chosen[a] + 1]):
            b = place[indices[at]]
            if b >= 0:
                line[b] = data[at]
    for at in range(indptr[target], indptr[target + 1]):
        b = place[indices[at]]
        if b >= 0:
            shared[b] = data[at]
    for a in range(n):
        place[chosen[a]] = -1


@numba.njit(nogil=True, cache=True, fastmath=True)
def _ridge(indptr, indices, data, near_indptr, near_indices, ridge, values, lo, hi):  # type: ignore[no-untyped-def]
    """The minimum for each target lo..hi over its candidates, which all share a person with it."""
    widest = 0
    for item in range(lo, hi):
        widest = max(widest, near_indptr[item + 1] - near_indptr[item])
    system, place = np.empty((widest, widest), np.float32), np.full(len(indptr) - 1, -1, np.int32)
    for item in range(lo, hi):
        first, last = near_indptr[item], near_indptr[item + 1]
        n = last - first
        _gathered(indptr, indices, data, near_indices[first:last], item, place, system, values[first:last])
        for a in range(n):
            system[a, a] += ridge
        solve_in_place(system[:n, :n], values[first:last])


@numba.njit(nogil=True, cache=True, fastmath=True)
def _elastic_net(  # type: ignore[no-untyped-def]
    indptr, indices, data, near_indptr, near_indices, ridge, lasso, negative, sweeps, tolerance, values, lo, hi
):
    """Coordinate descent for each target lo..hi; `left` is the part of the target not yet explained, item by item."""
    widest = 0
    for item in range(lo, hi):
        widest = max(widest, near_indptr[item + 1] - near_indptr[item])
    system, place = np.empty((widest, widest), np.float32), np.full(len(indptr) - 1, -1, np.int32)
    left = np.empty(widest, np.float32)
    for item in range(lo, hi):
        first, last = near_indptr[item], near_indptr[item + 1]
        n, weights = last - first, values[first:last]
        _gathered(indptr, indices, data, near_indices[first:last], item, place, system, left)
        for _ in range(sweeps):
            largest = 0.0
            for a in range(n):
                line = system[a]
                pull = left[a] + line[a] * weights[a]
                if pull > lasso:
                    new = (pull - lasso) / (line[a] + ridge)
                elif negative and pull < -lasso:
                    new = (pull + lasso) / (line[a] + ridge)
                else:
                    new = 0.0
                change = np.float32(new - weights[a])
                if change != 0:
                    weights[a] = new
                    for b in range(n):
                        left[b] -= change * line[b]
                    largest = max(largest, float(abs(change)))
            if largest <= tolerance:
                break
