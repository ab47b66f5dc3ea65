"""The exact nearest items where each of several workers holds a part of the vectors.

    from interplay.cluster import sharded
    with sharded(index, shards=4) as parts:                # index: a cascade.index.Index that holds vectors
        parts.search(queries, requests, 10)                # as index.search, and retrieve and similar_items

Each worker searches its items under the rules that concern them; the best of all parts are merged by score and, where
scores are equal, by the same fixed hash as everywhere. Once made, this process holds no vectors: 4 * items * dim bytes
lie with the workers, over as many machines as the cluster has.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from interplay.cascade.index import Index
from interplay.cluster.crew import ONE_THREAD, Lost, joined, why
from interplay.errors import BadSetting
from interplay.ops.topk import best_dot
from interplay.types import Array, Ragged, Requests, Rows, RuleSet, Slates, State

AGAIN = {"max_restarts": 3, "max_task_retries": 3}  # a worker that ends is begun anew and asked again, so many times


def sharded(index: Index, *, shards: int, address: str | None = None) -> Sharded:
    """The index with its vectors dealt out to `shards` workers; close it, or use it in a `with`.

    Errors: BadSetting for another search than "exact" or more shards than items; as `spread` where the cluster is too
    small.
    """
    return Sharded(index, shards, address)


class Sharded(Index):
    """An index whose vectors lie elsewhere."""

    def __init__(self, index: Index, shards: int, address: str | None) -> None:
        super().__init__(index.config)
        self.rows, self.silent, self.dim = index.rows, index.silent, index.vectors.shape[1]
        if index.config.search != "exact":
            raise BadSetting(f"shards are searched exactly; the index is searched by {index.config.search!r}")
        if not 1 <= shards <= self.rows.n_items:
            raise BadSetting(f"{shards} shards of {self.rows.n_items} items; expected from 1 to as many as there are")
        self.cuts = np.linspace(0, self.rows.n_items, shards + 1).astype(np.int64)
        self.hands = []
        with ExitStack() as held:
            self.ray = held.enter_context(joined(shards, address))
            options = {"num_cpus": 1, "runtime_env": {"env_vars": ONE_THREAD}, **AGAIN}
            for lo, hi in self._spans():
                rows = Rows(
                    n_users=0, n_items=hi - lo, keys=self.rows.keys[lo:hi], popularity=self.rows.popularity[lo:hi],
                    events=np.zeros(0, np.int32),
                )  # fmt: skip
                hand = self.ray.remote(**options)(_Shard).remote(index.vectors[lo:hi], rows, index.silent[lo:hi])
                held.callback(self.ray.kill, hand)
                self.hands.append(hand)
            self.held = held.pop_all()

    def __enter__(self) -> Sharded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the workers go."""
        self.held.close()

    def search(self, queries: Array, requests: Requests, n: int) -> Slates:
        """The n items with the largest inner product with each query under its rules, as the whole index finds them.

        Scores may differ in their last bit from those of one process, since products are summed in other blocks.
        """
        self._check(queries, requests, self.dim)
        n = min(n, max(self.rows.n_items, 1))
        queries = np.ascontiguousarray(queries, np.float32)
        asked = [h.search.remote(queries, _within(requests, lo, hi), n) for h, (lo, hi) in self._each()]
        found = self._answers(asked)
        items = np.hstack([np.where(f.items >= 0, f.items + lo, -1) for f, lo in zip(found, self.cuts, strict=False)])
        scores = np.hstack([f.scores for f in found])
        place = np.where(items >= 0, self.rows.places[items], self.rows.n_items)
        order = np.lexsort((place, -scores))[:, :n]
        out = Slates.empty(len(requests), n)
        out.items[:] = np.take_along_axis(items, order, axis=1)
        out.scores[:] = np.take_along_axis(scores, order, axis=1)
        return out

    def summed(self, seen: sp.csr_array) -> Array:
        distinct, at = np.unique(seen.indices, return_inverse=True)
        ends = np.searchsorted(distinct, self.cuts)
        asked = [
            hand.vectors.remote(distinct[a:b] - lo)
            for hand, lo, a, b in zip(self.hands, self.cuts, ends, ends[1:], strict=False)
        ]
        few = sp.csr_array((seen.data, at, seen.indptr), shape=(seen.shape[0], len(distinct)))
        return few @ np.concatenate(self._answers(asked))

    def state(self) -> State:
        everything = [hand.vectors.remote(np.arange(hi - lo)) for hand, (lo, hi) in self._each()]
        vectors = np.concatenate(self._answers(everything))
        return State.joined(rows=self.rows.state(), items=State(arrays={"vectors": vectors}))

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self.cuts.tolist(), self.cuts[1:].tolist(), strict=False))

    def _each(self) -> list[tuple[Any, tuple[int, int]]]:
        return list(zip(self.hands, self._spans(), strict=True))

    def _answers(self, asked: list[Any]) -> list[Any]:
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise Lost(f"a worker that holds a part of the index has ended: {why(error)}. Make it again") from error


def _within(requests: Requests, lo: int, hi: int) -> Requests:
    """What a search among items lo to hi needs to know, with them as 0 to hi - lo."""
    rules, none = requests.rules, Ragged.of([[]] * len(requests))
    return Requests(
        user=requests.user,
        history=_moved(requests.history, lo) if rules.withhold_seen else none,
        rules=RuleSet(
            masks=None if rules.masks is None else rules.masks[:, lo:hi], applied=rules.applied,
            exclude=None if rules.exclude is None else _moved(rules.exclude, lo), withhold_seen=rules.withhold_seen,
        ),
    )  # fmt: skip


def _moved(listed: Ragged, lo: int) -> Ragged:
    """Only the items, counted from `lo`; one below it is no item."""
    return replace(listed, columns={"item": listed["item"] - np.int32(lo)})


class _Shard:
    """A part of the vectors, in a worker; they lie in the object store of its machine once."""

    def __init__(self, vectors: Array, rows: Rows, silent: Array) -> None:
        self.held, self.rows, self.silent = vectors, rows, silent

    def search(self, queries: Array, requests: Requests, n: int) -> Slates:
        return best_dot(queries, self.held, requests, n, self.rows, bias=self.silent)

    def vectors(self, items: Array) -> Array:
        return self.held[items]
