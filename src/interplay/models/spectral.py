"""Graph filters in closed form: what a click spreads over the graph of people and items.

gf-cf              Shen et al., CIKM 2021 (arXiv 2108.07567): a linear filter plus an ideal low-pass filter
gf-cf-randomized   the same with singular vectors from a few rounds of subspace iteration
bspm               Choi et al., SIGIR 2023 (arXiv 2211.09324): blurred by both filters, then sharpened

With R the 0/1 matrix of people and items and Rn = D_U^-1/2 R D_I^-1/2, a person with row r is scored
    r (Rn' Rn + low_pass * D_I^-1/2 V V' D_I^1/2),    V: the first `rank` right singular vectors of Rn.
Learns the items x items matrix Rn' Rn (8 bytes per pair of items that share a person) and V (4 * items * rank bytes);
nothing is kept of any person, and a stranger with one click is served like everybody else.
bspm takes b = r (Rn' Rn + low_pass * ...) as the blurred row and lets it flow backwards along db/dt = -b Rn' Rn for
the time `sharpening`, in one Runge-Kutta step (early merge, the paper's BSPM-EM). It keeps what everybody took (4
bytes per event) and no Rn' Rn.
Departs from the papers: none in the scores. A history that says nothing is answered with popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from interplay.configure import NotNegative, Size
from interplay.errors import BadData
from interplay.ops import itemitem
from interplay.ops.sparse import (
    degree_power,
    from_profiles,
    interaction_matrix,
    product,
    profiles,
    symmetric_normalised,
    without_rows,
)
from interplay.ops.spectra import top_right_singular
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class SpectralConfig:
    rank: Size = 256  # singular vectors of the low-pass filter
    low_pass: NotNegative = 0.3  # its weight beside the linear filter; 0 leaves it out
    decomposition: str = "exact"  # a name in ops.spectra.METHODS


class Spectral:
    """What the history says, spread two steps over the graph and smoothed by its slowest waves."""

    def __init__(self, config: SpectralConfig = SpectralConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Spectral:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a graph filter needs at least one")
        self.rows = Rows.of(dataset)
        x = interaction_matrix(dataset)
        normal = symmetric_normalised(x)
        run.progress("gram", {"pairs": int(np.square(np.diff(x.indptr)).sum())})
        self.gram = itemitem.gram(normal)
        rank = self.config.rank if self.config.low_pass else 0
        run.progress("decomposition", {"rank": rank})
        self.values, vectors = top_right_singular(normal, rank, method=self.config.decomposition, seed=run.seed)
        degree = np.asarray(x.sum(axis=0)).ravel()
        self.into = (vectors * degree_power(degree, -0.5)[:, None] * self.config.low_pass).astype(np.float32)
        self.back = (vectors * degree_power(degree, 0.5)[:, None]).astype(np.float32)
        self.fitted = {"rank": len(self.values), "pairs": int(self.gram.nnz)}
        return self

    def retrieve(self, requests: Requests, n: int) -> Slates:
        def score(_: Requests, x: sp.csr_array, out: Array) -> None:
            np.matmul(x @ self.into, self.back.T, out=out)
            itemitem.add_rows(x, self.gram, out)

        return itemitem.best_of_history(score, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What one click on the item spreads to; an item without events has an empty list."""
        return itemitem.similar_by_request(self.retrieve, items, n, self.rows)

    def state(self) -> State:
        filters = State(arrays={"values": self.values, "into": self.into, "back": self.back})
        return State.joined(rows=self.rows.state(), gram=itemitem.kept(self.gram), low_pass=filters)

    def restore(self, state: State) -> Spectral:
        self.rows = Rows.restore(state.within("rows"))
        self.gram = itemitem.restored(state.within("gram"), self.rows.n_items)
        filters = state.within("low_pass").arrays
        self.values, self.into, self.back = filters["values"], filters["into"], filters["back"]
        return self


@dataclass(frozen=True, kw_only=True)
class SharpenedConfig:
    rank: Size = 448  # singular vectors of the low-pass filter
    low_pass: NotNegative = 0.2  # its weight beside the linear filter
    sharpening: NotNegative = 2.5  # time of the backward flow; 0 leaves the row blurred
    order: Size = 4  # of the Runge-Kutta step: 4 is the paper's rk4, 1 its Euler
    decomposition: str = "exact"  # a name in ops.spectra.METHODS


class Sharpened:
    """A history blurred over the graph, then sharpened: what everything near it shares is taken away again."""

    def __init__(self, config: SharpenedConfig = SharpenedConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Sharpened:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a graph filter needs at least one")
        self.rows = Rows.of(dataset)
        x = interaction_matrix(dataset)
        self._keep(x)
        rank = self.config.rank if self.config.low_pass else 0
        run.progress("decomposition", {"rank": rank})
        values, vectors = top_right_singular(self.normal, rank, method=self.config.decomposition, seed=run.seed)
        degree = np.asarray(x.sum(axis=0)).ravel()
        self.into = (vectors * degree_power(degree, -0.5)[:, None] * self.config.low_pass).astype(np.float32)
        smooth = (vectors * degree_power(degree, 0.5)[:, None]).astype(np.float32)
        self.back = self._sharpened(smooth, alone=False)
        self.fitted = {"rank": len(values)}
        return self

    def _keep(self, people: sp.csr_array) -> None:
        self.people, self.normal = people, symmetric_normalised(people)
        self.turned = sp.csr_array(self.normal.T)

    def _sharpened(self, columns: Array, *, alone: bool) -> Array:
        """float32[n_items, d]: sum over j <= order of (-t)^j / j! (Rn' Rn)^j of every column, by Horner's rule."""
        t, out = self.config.sharpening, columns
        for j in range(self.config.order, 0, -1):
            spread_out = product(self.turned, product(self.normal, out, alone=alone), alone=alone)
            out = columns - (t / j) * spread_out
        return np.asarray(out, np.float32)

    def retrieve(self, requests: Requests, n: int) -> Slates:
        def score(_: Requests, x: sp.csr_array, out: Array) -> None:
            blurred = product(self.turned, (self.normal @ x.T.tocsr()).toarray(), alone=True)
            out += self._sharpened(blurred, alone=True).T
            out += (x @ self.into) @ self.back.T

        return itemitem.best_of_history(score, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What one click on the item leaves standing; an item without events has an empty list."""
        return itemitem.similar_by_request(self.retrieve, items, n, self.rows)

    def forget(self, users: Array) -> Sharpened:
        """Nothing of these people is kept, and nobody is served from what they took."""
        self._keep(without_rows(self.people, users))
        return self

    def state(self) -> State:
        filters = State(arrays={"into": self.into, "back": self.back}, users={"profile": profiles(self.people)})
        return State.joined(rows=self.rows.state(), filters=filters)

    def restore(self, state: State) -> Sharpened:
        self.rows = Rows.restore(state.within("rows"))
        filters = state.within("filters")
        self.into, self.back = filters.arrays["into"], filters.arrays["back"]
        self._keep(from_profiles(filters.users["profile"], self.rows.n_items))
        return self
