"""Serving two tables of vectors: who has a row, who is folded in, who gets what most people touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from interplay.ops.sparse import history_matrix
from interplay.ops.topk import best, best_dot
from interplay.types import Array, Ragged, Requests, Rows, Slates, State

FAR = -1e6  # the score of items that nobody touched: after all others, in the order of ties


class Vectors:
    """Scores are inner products of `users` (float32[n_users, d]) and `items` (float32[n_items, d]), plus `bias`."""

    def __init__(self, rows: Rows, users: Array, items: Array, bias: Array | None = None) -> None:
        self.rows = rows
        self.users = np.ascontiguousarray(users, np.float32)
        self.items = np.ascontiguousarray(items, np.float32)
        untouched = rows.popularity <= 0
        self.items[untouched] = 0.0
        self.users[rows.events <= 0] = 0.0
        self.bias = bias  # float32[n_items]
        if untouched.any():
            self.bias = np.where(untouched, FAR, 0.0 if bias is None else bias).astype(np.float32)

    def retrieve(self, requests: Requests, n: int, fold: Callable[[sp.csr_array], Array]) -> Slates:
        """A known user's own row, unless the request knows more events than the fit did; otherwise `fold`.

        `fold` turns a 0/1 matrix (requests x items, touched items only, no empty row) into vectors [requests, d].
        Who has neither a row nor a usable history gets the most popular items.
        """
        own = self._has_row(requests)
        vectors = np.zeros((len(requests), self.items.shape[1]), np.float32)
        vectors[own] = self.users[requests.user[own]]
        others = np.flatnonzero(~own)
        known = np.ones(len(requests), bool)
        if len(others):
            x = self.touched(requests.history.take(others))
            usable = np.diff(x.indptr) > 0
            known[others[~usable]] = False
            if usable.any():
                vectors[others[usable]] = fold(x[usable])
        if known.all():
            return best_dot(vectors, self.items, requests, n, self.rows, bias=self.bias)
        out = Slates.empty(len(requests), min(n, max(self.rows.n_items, 1)))
        for chosen in (np.flatnonzero(known), np.flatnonzero(~known)):
            part = requests.take(chosen)
            if known[chosen].all():
                found = best_dot(vectors[chosen], self.items, part, n, self.rows, bias=self.bias)
            else:
                found = best(lambda p: np.tile(self.rows.popularity, (len(p), 1)), part, n, self.rows)
            out.items[chosen], out.scores[chosen] = found.items, found.scores
        return out

    def _has_row(self, requests: Requests) -> Array:
        user = requests.user
        if not self.rows.n_users:
            return np.zeros(len(user), bool)
        inside = (user >= 0) & (user < self.rows.n_users)
        events = np.where(inside, self.rows.events[np.where(inside, user, 0)], 0)
        return (events > 0) & (requests.history.lengths <= events)

    def touched(self, history: Ragged) -> sp.csr_array:
        """requests x items, 0/1: the items of each history that somebody touched before the fit."""
        item = history["item"]
        inside = (item >= 0) & (item < self.rows.n_items)
        popularity = self.rows.popularity[np.where(inside, item, 0)] if self.rows.n_items else np.zeros(len(item))
        return history_matrix(history.where(inside & (popularity > 0)), self.rows.n_items)

    def similar_items(self, items: Array, n: int) -> Slates:
        """The items whose vectors point the same way, by cosine; never the item itself, nor one that nobody touched."""
        items = np.asarray(items)
        length = np.linalg.norm(self.items, axis=1, keepdims=True)
        unit = np.divide(self.items, length, out=np.zeros_like(self.items), where=length > 0)
        inside = (items >= 0) & (items < self.rows.n_items)
        known = inside & (length[np.where(inside, items, 0), 0] > 0)
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        itself = Ragged(offsets=np.arange(known.sum() + 1), columns={"item": items[known].astype(np.int32)})
        asked = Requests(user=np.full(len(itself), -1, np.int32), history=itself)
        hide = np.where(length[:, 0] > 0, 0.0, -np.inf).astype(np.float32)
        found = best_dot(unit[items[known]], unit, asked, n, self.rows, bias=hide)
        out.items[known], out.scores[known] = found.items, found.scores
        return out

    def forget(self, users: Array) -> None:
        """Zero the rows of `users`; from now on they are served from the history in the request."""
        users = np.asarray(users)
        users = users[(users >= 0) & (users < self.rows.n_users)]
        self.users = self.users.copy()
        self.users[users] = 0.0
        events = self.rows.events.copy()
        events[users] = 0
        self.rows = replace(self.rows, events=events)

    def state(self) -> State:
        arrays = {"items": self.items} if self.bias is None else {"items": self.items, "bias": self.bias}
        return State.joined(rows=self.rows.state(), vectors=State(arrays=arrays, users={"users": self.users}))

    @staticmethod
    def restore(state: State) -> Vectors:
        held = state.within("vectors")
        rows = Rows.restore(state.within("rows"))
        return Vectors(rows, held.users["users"], held.arrays["items"], held.arrays.get("bias"))
