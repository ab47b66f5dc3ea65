"""Transitions: what people touched next, counted.

markov         directed transitions up to `skip` events ahead, faded by distance, normalised at both ends
markov-skip3   the same with the settings of a floor often printed beside neural sequence models

Learns a sparse items x items matrix (at most 12 * skip bytes an event) and keeps each user's last `skip` items, so
that new events can be counted without reading the log again.

The scores of a request are  sum_a recency^age(a) * W[a, :],  W[a, b] = C[a, b] / (n_a^source_power * n_b^target_power),
C[a, b] = sum over b following a at distance d <= skip of decay^(d - 1), n = events of the item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from interplay.configure import NotNegative, Share, Size
from interplay.errors import BadData, BadSetting, Unsupported
from interplay.ops.sparse import degree_power, scaled
from interplay.ops.topk import best
from interplay.types import Array, Dataset, Events, Ragged, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class MarkovConfig:
    skip: Size = 10  # how many events ahead a transition may reach
    decay: Share = 0.8  # weight of one more event between the two
    backward: NotNegative = 0.0  # weight of the reversed transitions; 1 makes it plain co-occurrence
    source_power: NotNegative = 0.3  # how far frequent triggers are held down
    target_power: NotNegative = 0.1  # how far frequent targets are held down; 0.5 with 0.5 is the cosine
    window: Size = 10  # last events of the request that are used
    recency: Share = 0.6  # weight of one more step back in the request's history


class Markov:
    """Items that followed the request's last items in other histories; the rest of the list is what is popular."""

    def __init__(self, config: MarkovConfig = MarkovConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Markov:
        if self.config.skip < 1 or self.config.window < 1:
            raise BadSetting(
                f"markov needs skip and window of at least 1; found {self.config.skip} and {self.config.window}"
            )
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; markov counts transitions and needs at least one event")
        if dataset.events.time is None and not dataset.events.ordered:
            raise Unsupported(
                f"markov needs the order of each user's events; {dataset.name!r} has neither a timestamp nor an order "
                "column. Use an item-neighbour model, which does not ask for one"
            )
        self.rows = Rows.of(dataset)
        self.touched = np.bincount(dataset.events.item, minlength=dataset.n_items).astype(np.float32)
        self.counts = self._counted(dataset.log)
        self.tails = self._tails(dataset.log)
        self._weigh()
        return self

    def _counted(self, log: Ragged, fresh: Array | None = None) -> sp.csr_array:
        """items x items, float32: faded transitions whose later event is `fresh` (bool, all when not given)."""
        c, n, item, owner = self.config, self.rows.n_items, log["item"], log.owner
        counts = sp.csr_array((n, n), dtype=np.float32)
        for distance in range(1, min(c.skip, len(item) - 1) + 1):
            a, b = item[:-distance], item[distance:]
            kept = (owner[:-distance] == owner[distance:]) & (a != b)
            if fresh is not None:
                kept &= fresh[distance:]
            weights = np.full(int(kept.sum()), c.decay ** (distance - 1), np.float32)
            counts = counts + sp.coo_array((weights, (a[kept], b[kept])), shape=(n, n)).tocsr()
        return counts

    def _tails(self, log: Ragged) -> Array:
        """int32[n_users, skip]: each user's last items plus one, oldest first; 0 in front where there are fewer."""
        tails = np.zeros((len(log), self.config.skip), np.int32)
        last = log.last(self.config.skip)
        back = np.repeat(last.offsets[1:], last.lengths) - np.arange(len(last["item"]))  # 1 is the latest
        tails[last.owner, self.config.skip - back] = last["item"] + 1
        return tails

    def _weigh(self) -> None:
        c, counts = self.config, self.counts
        if c.backward:
            counts = (counts + c.backward * counts.T).tocsr()
        left, right = degree_power(self.touched, -c.source_power), degree_power(self.touched, -c.target_power)
        self.weights = scaled(counts.astype(np.float32), left, right)  # items x items; row a leads to column b

    def partial_fit(self, events: Events) -> Markov:
        """Count new events, each user's later than those already counted; items without a row are passed over."""
        held = events.where((events.item >= 0) & (events.item < self.rows.n_items))
        users, compact = np.unique(held.user, return_inverse=True)
        known = users < len(self.tails)
        before = np.zeros((len(users), self.config.skip), np.int32)
        before[known] = self.tails[users[known]]
        was = before > 0
        owner = np.concatenate([np.repeat(np.arange(len(users)), was.sum(axis=1)), compact])
        fresh = np.concatenate([np.zeros(int(was.sum()), bool), np.ones(len(held), bool)])
        log = Ragged.grouped(owner, len(users), item=np.concatenate([before[was] - 1, held.item]), fresh=fresh)
        self.counts = self.counts + self._counted(log, log["fresh"])
        self.touched = self.touched + np.bincount(held.item, minlength=self.rows.n_items).astype(np.float32)
        self.tails = self.tails.copy()
        self.tails[users[known]] = self._tails(log)[known]
        self._weigh()
        return self

    def scores(self, history: Ragged) -> sp.csr_array:
        """requests x items: the evidence of each history; items without a row are passed over before the window."""
        kept = history.where((history["item"] >= 0) & (history["item"] < self.rows.n_items)).last(self.config.window)
        age = np.repeat(kept.offsets[1:], kept.lengths) - 1 - np.arange(len(kept["item"]))
        faded = (self.config.recency**age).astype(np.float32)
        shape = (len(history), self.rows.n_items)
        return (sp.csr_array((faded, kept["item"], kept.offsets), shape=shape) @ self.weights).tocsr()

    def retrieve(self, requests: Requests, n: int) -> Slates:
        popularity = self.rows.popularity
        rest = popularity / (1.0 + popularity.max(initial=0.0)) - 1.0  # below zero: after everything that was reached

        def score(part: Requests) -> Array:
            reached = self.scores(part.history).toarray()
            return np.where(reached > 0, reached, rest)

        return best(score, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What most often follows each item; an item that never led anywhere, or has no row, gets an empty list."""

        def score(part: Requests) -> Array:
            reached = self.scores(part.history).toarray()
            return np.where(reached > 0, reached, -np.inf)

        return best(score, Requests.strangers(list(np.asarray(items)[:, None])), n, self.rows)

    def forget(self, users: Array) -> Markov:
        """Drop what is kept of `users`; their past transitions stay in the shared counts until the next fit."""
        users = np.asarray(users)
        self.tails = self.tails.copy()
        self.tails[users[(users >= 0) & (users < len(self.tails))]] = 0
        return self

    def state(self) -> State:
        c = self.counts
        learnt = State(
            arrays={"data": c.data, "indices": c.indices, "indptr": c.indptr, "touched": self.touched},
            users={"tails": self.tails},
        )
        return State.joined(rows=self.rows.state(), learnt=learnt)

    def restore(self, state: State) -> Markov:
        self.rows = Rows.restore(state.within("rows"))
        learnt = state.within("learnt")
        a, n = learnt.arrays, self.rows.n_items
        self.counts = sp.csr_array((a["data"], a["indices"], a["indptr"]), shape=(n, n))
        self.touched, self.tails = a["touched"], learnt.users["tails"]
        self._weigh()
        return self
