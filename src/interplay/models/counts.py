"""Counting: what many people touched, of late or ever.

popular    number of distinct people who touched an item; the floor of every table
trending   counts that fade with age: an event `half_life` days old counts half

Learns one number per item (and, for trending, keeps one time per event: about 12 bytes each).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interplay.configure import Positive
from interplay.errors import BadData, Unsupported
from interplay.ops.topk import Standing, best
from interplay.types import Array, Dataset, Events, Requests, Rows, Run, Slates, State, World

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, kw_only=True)
class PopularConfig:
    """Nothing to set."""


class Popular:
    """The same list for everybody, less what the person has seen."""

    def __init__(self, config: PopularConfig = PopularConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Popular:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; there is nothing to count")
        return self._count(Rows.of(dataset))

    def _count(self, rows: Rows) -> Popular:
        self.rows, self.counts = rows, rows.popularity.astype(np.float32)
        self.standing = Standing(self.counts, rows)
        return self

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return self.standing.first(requests, n, self.counts)

    def state(self) -> State:
        return State.joined(rows=self.rows.state())

    def restore(self, state: State) -> Popular:
        return self._count(Rows.restore(state.within("rows")))


@dataclass(frozen=True, kw_only=True)
class TrendingConfig:
    half_life: Positive = 7.0  # days


class Trending:
    """Faded counts as of each request's `at` (or of the last event, where a request has no time)."""

    def __init__(self, config: TrendingConfig = TrendingConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Trending:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; there is nothing to count")
        if dataset.events.time is None:
            raise Unsupported(
                f"trending needs the time of each event; {dataset.name!r} has no timestamp column. Use popular"
            )
        self.rows = Rows.of(dataset)
        self._keep(dataset.events.item, dataset.events.time)
        return self

    def _keep(self, item: Array, time: Array) -> None:
        order = np.argsort(time, kind="stable")
        self.item, self.time = item[order], time[order]
        self.last: tuple[Array, Array, Standing] | None = None  # counts as of the last event, rounded, and in order

    def partial_fit(self, events: Events) -> Trending:
        """Count new events at once; those of items without a row wait for the next fit."""
        known = events.item < self.rows.n_items
        time = np.zeros(len(events), np.int64) if events.time is None else events.time
        self._keep(np.concatenate([self.item, events.item[known]]), np.concatenate([self.time, time[known]]))
        return self

    def counts(self, at: int) -> Array:
        """float32[n_items]: sum over events not later than `at` of 2^(-age / half_life)."""
        if self._over(at):
            return self._faded(slice(None), at)
        upto = np.searchsorted(self.time, at, side="right")
        age = (at - self.time[:upto]) / (self.config.half_life * DAY)
        return np.bincount(self.item[:upto], np.exp2(-age), minlength=self.rows.n_items).astype(np.float32)

    def _over(self, at: int) -> bool:
        """Whether nothing is newer: from then on all counts fade alike, and their order stands."""
        return len(self.time) > 0 and at >= self.time[-1]

    def _last(self) -> tuple[Array, Array, Standing]:
        if self.last is None:
            age = (self.time[-1] - self.time) / (self.config.half_life * DAY)
            last = np.bincount(self.item, np.exp2(-age), minlength=self.rows.n_items)
            rounded = last.astype(np.float32)
            self.last = last, rounded, Standing(rounded, self.rows)
        return self.last

    def _faded(self, items: Array | slice, at: int) -> Array:
        """float32: the counts of some items at a moment after the last event."""
        faded = np.exp2(-(at - self.time[-1]) / (self.config.half_life * DAY))
        return (self._last()[0][items] * faded).astype(np.float32)

    def retrieve(self, requests: Requests, n: int) -> Slates:
        latest = int(self.time[-1]) if len(self.time) else 0
        at = np.full(len(requests), latest) if requests.at is None else requests.at
        moments, which = np.unique(at, return_inverse=True)
        order = np.argsort(which, kind="stable")  # requests of one moment share their counts
        out = Slates.empty(len(requests), min(n, max(self.rows.n_items, 1)))
        for m, moment in enumerate(moments):
            rows = order[np.searchsorted(which[order], m) : np.searchsorted(which[order], m, side="right")]
            asked = requests if len(rows) == len(requests) else requests.take(rows)
            if self._over(int(moment)):  # only what is shown has to fade
                _, rounded, standing = self._last()
                items = standing.first(asked, n, rounded).items
                scores = np.where(items >= 0, self._faded(items, int(moment)), -np.inf)
            else:
                counts = self.counts(int(moment))
                slates = best(lambda part, c=counts: np.tile(c, (len(part), 1)), asked, n, self.rows)  # type: ignore[misc]
                items, scores = slates.items, slates.scores
            out.items[rows], out.scores[rows] = items, scores
        return out

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), log=State(arrays={"item": self.item, "time": self.time}))

    def restore(self, state: State) -> Trending:
        self.rows = Rows.restore(state.within("rows"))
        log = state.within("log").arrays
        self._keep(log["item"], log["time"])
        return self
