"""Nearest items by vector, under rules, behind one call.

exact    every item is scored, in blocks that stay in cache; a rule costs nothing and nothing is missed

An approximate index is another function in SEARCHES: it is given the same queries, requests and rows and owes the same
rules before the cut. Vectors that lie with several workers: cluster/shards.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from interplay.configure import Size
from interplay.errors import BadSetting, unknown
from interplay.ops.sparse import history_matrix
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

SEARCHES: dict[str, Callable[..., Slates]] = {"exact": best_dot}  # queries, vectors, requests, n, rows, bias= -> Slates


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    vectors: str = ""  # a table of item vectors of the data set
    search: str = "exact"  # a name in SEARCHES
    cosine: bool = True  # unit vectors; False is the plain inner product
    window: Size = 20  # without a query vector: the mean of the history's last so many items


class Index:
    """Maximum inner product search over given item vectors; as a source, more of what the history holds.

    >>> rows = Rows(n_users=0, n_items=3, keys=np.arange(3, dtype=np.uint64), popularity=np.ones(3), events=np.zeros(0))
    >>> index = Index().hold(np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), rows)
    >>> index.search(np.array([[1.0, 0.1]]), Requests.strangers([[0]]), 2).items.tolist()
    [[1, 2]]
    """

    def __init__(self, config: IndexConfig = IndexConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Index:
        if self.config.vectors not in dataset.vectors:
            raise unknown(f"table of vectors in {dataset.name!r}", self.config.vectors, dataset.vectors)
        return self.hold(dataset.vectors[self.config.vectors], Rows.of(dataset))

    def hold(self, vectors: Array, rows: Rows) -> Index:
        """Take over item vectors, float[rows.n_items, dim]; an item whose vector is zero is never found."""
        if len(vectors) != rows.n_items:
            raise BadSetting(f"{len(vectors)} vectors for {rows.n_items} items; expected one for each")
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.maximum(norm, 1e-12) if self.config.cosine else vectors
        self.rows, self.vectors = rows, np.ascontiguousarray(unit, np.float32)
        self.silent = np.where(norm[:, 0] > 0, 0, -np.inf).astype(np.float32)  # added to scores
        return self

    def search(self, queries: Array, requests: Requests, n: int) -> Slates:
        """The n items with the largest inner product with each query (float[len(requests), dim]) under its rules."""
        if self.config.search not in SEARCHES:
            raise unknown("search", self.config.search, SEARCHES)
        self._check(queries, requests, self.vectors.shape[1])
        return SEARCHES[self.config.search](queries, self.vectors, requests, n, self.rows, bias=self.silent)

    @staticmethod
    def _check(queries: Array, requests: Requests, dim: int) -> None:
        if queries.shape != (expected := (len(requests), dim)):
            raise BadSetting(f"query vectors of shape {queries.shape}; expected {expected}, one row for each request")

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """What lies nearest to the mean of the last items; popular items for an empty history."""
        wanted = self.summed(history_matrix(requests.history.last(self.config.window), self.rows.n_items))
        out, mute = self.search(wanted, requests, n), ~wanted.any(axis=1)
        if mute.any():
            rest = requests.take(np.flatnonzero(mute))
            same = np.zeros((len(rest), 1), np.float32), np.zeros((self.rows.n_items, 1), np.float32)
            popular = best_dot(*same, rest, n, self.rows, bias=self.rows.popularity)
            out.items[mute], out.scores[mute] = popular.items, popular.scores
        return out

    def summed(self, seen: sp.csr_array) -> Array:
        """float[n, dim]: the vectors of each row's items (seen: n x items) added up."""
        return seen @ self.vectors

    def similar_items(self, items: Array, n: int) -> Slates:
        """The nearest other items of each given item."""
        items = np.asarray(items, np.int64)
        known = (items >= 0) & (items < self.rows.n_items)
        held = np.flatnonzero(known & (self.silent[np.where(known, items, 0)] == 0))
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        slates = self.retrieve(Requests.strangers([[i] for i in items[held].tolist()]), n)
        out.items[held], out.scores[held] = slates.items, slates.scores
        return out

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), items=State(arrays={"vectors": self.vectors}))

    def restore(self, state: State) -> Index:
        return self.hold(state.within("items").arrays["vectors"], Rows.restore(state.within("rows")))
