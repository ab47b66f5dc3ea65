"""Pairs of a person and a maker: their interactions in a log, and a store of where each pair stands.

    met = Interactions.of(dataset, tasks=("click", "follow", "gift"))    # what happened within half an hour is one
    states = PairStates(n_kinds=3, vectors=makers).update(met)           # pure: a new store, the old one is unchanged
    states.features(users, makers, at)                                   # float32[n, width], also of unseen pairs

The store is sparse: a row for each pair that has met, sorted by a key of both, and small tables of people and makers.
What belongs to the pair's last interaction is added to it, and what it held already changes nothing; one that began
before it is left out and counted (`late`): what a store says depends on what happened, not on how it was cut into
batches, be it in the middle of an interaction, as long as batches come in the order of time. Inside a batch they are
sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from interplay.errors import BadData
from interplay.types import Array, Dataset, Events, State

DAY = 86_400_000_000  # microseconds
TOGETHER = 30 * 60_000_000  # events of one pair less than this apart are one interaction
FADE = 7.0  # days in which regularity falls to a third
WIDE = 1 << 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Interactions:
    """n meetings of pairs, oldest first, and what came of each."""

    user: Array  # int64[n]
    maker: Array  # int64[n]
    time: Array  # int64[n], microseconds: when it began
    outcome: Array  # float32[n, tasks]: 1 where it happened; for a task with amounts log(1 + amount)
    until: Array | None = None  # int64[n]: when the last of it happened; None: all of it when it began

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Array) -> Interactions:
        return Interactions(
            user=self.user[rows], maker=self.maker[rows], time=self.time[rows], outcome=self.outcome[rows],
            until=None if self.until is None else self.until[rows],
        )  # fmt: skip

    @property
    def key(self) -> Array:
        """int64[n]: one number for each pair."""
        return self.user * WIDE + self.maker

    @staticmethod
    def of(
        dataset: Dataset, tasks: Sequence[str], *, makers: Array | None = None, amounts: Sequence[str] = (),
        most: float | None = None,
    ) -> Interactions:  # fmt: skip
        """From a log; `makers` int[n_items] says whose each item is (-1: nobody's), `most` caps an amount."""
        return Interactions.of_events(dataset.events, tasks, makers=makers, amounts=amounts, most=most)

    @staticmethod
    def of_events(
        events: Events, tasks: Sequence[str], *, makers: Array | None = None, amounts: Sequence[str] = (),
        most: float | None = None,
    ) -> Interactions:  # fmt: skip
        """From events of a kind in `tasks` or of any other kind, which is a meeting without an outcome."""
        if events.time is None:
            raise BadData("pairs are followed over time, and these events have none; give them timestamps")
        item = events.item.astype(np.int64)
        maker = item if makers is None else np.where(item < len(makers), makers[np.minimum(item, len(makers) - 1)], -1)
        known = (maker >= 0) & (events.user >= 0)
        user, maker, time = events.user[known].astype(np.int64), maker[known].astype(np.int64), events.time[known]
        n = len(user)
        outcome = np.zeros((n, len(tasks)), np.float32)
        for t, task in enumerate(tasks):
            if task in events.kinds and events.kind is not None:
                hit = events.kind[known] == events.kinds.index(task)
                amount = np.ones(n)
                if task in amounts and events.value is not None:
                    given = np.maximum(np.nan_to_num(events.value[known]), 0.0)
                    amount = np.log1p(given if most is None else np.minimum(given, most))
                outcome[hit, t] = amount[hit]
        order = np.lexsort((time, maker, user))
        user, maker, time, outcome = user[order], maker[order], time[order], outcome[order]
        first = np.ones(n, bool)
        first[1:] = (np.diff(user) != 0) | (np.diff(maker) != 0) | (np.diff(time) >= TOGETHER)
        starts = np.flatnonzero(first)
        merged = np.maximum.reduceat(outcome, starts, axis=0) if n else outcome
        until = time[np.append(starts[1:], n) - 1] if n else time
        whole = Interactions(user=user[starts], maker=maker[starts], time=time[starts], outcome=merged, until=until)
        return whole.take(np.lexsort((whole.maker, whole.user, whole.time)))


@dataclass(frozen=True, kw_only=True, eq=False)
class PairStates:
    """Where every pair stands; absent pairs stand at the beginning."""

    vectors: Array  # float32[makers, dim]: what is known of makers; later ones have none
    n_tasks: int
    key: Array  # int64[p], sorted
    pair: Array  # float32[p, 3 + 3 * tasks]: times met, regularity, hurry, then per task: how often, how much, how much
    # of it in the last interaction
    last: Array  # int64[p, 3]: when it met last, when last with the first task's outcome, and when that meeting ended
    person: Array  # float32[users, 1 + tasks + dim]: times met, per task how often, sum of vectors of the first task's
    maker: Array  # float32[makers, 1 + tasks]
    late: int = 0  # interactions that came too late and were left out (replays of older ones among them)

    @staticmethod
    def empty(vectors: Array, n_tasks: int, n_users: int = 0) -> PairStates:
        return PairStates(
            vectors=np.asarray(vectors, np.float32), n_tasks=n_tasks, key=np.zeros(0, np.int64),
            pair=np.zeros((0, 3 + 3 * n_tasks), np.float32), last=np.zeros((0, 3), np.int64),
            person=np.zeros((n_users, 1 + n_tasks + vectors.shape[1]), np.float32),
            maker=np.zeros((len(vectors), 1 + n_tasks), np.float32),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.key)

    def find(self, user: Array, maker: Array) -> tuple[Array, Array]:
        """(row, whether it is there) of each pair."""
        key = user.astype(np.int64) * WIDE + maker
        if not len(self.key):
            return np.zeros(len(key), np.int64), np.zeros(len(key), bool)
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return at, (self.key[at] == key) & (user >= 0) & (maker >= 0)

    def update(self, met: Interactions) -> PairStates:
        """The store after these interactions."""
        met = met.take(np.lexsort((met.time, met.key)))
        at, there = self.find(met.user, met.maker)
        late = there & (met.time < self.last[at, 0] if len(self) else there)
        met = met.take(np.flatnonzero(~late))
        fresh = np.setdiff1d(met.key, self.key)
        spots = np.searchsorted(self.key, fresh)
        out = replace(
            self,
            key=np.insert(self.key, spots, fresh),
            pair=np.insert(self.pair, spots, 0.0, axis=0),
            last=np.insert(self.last, spots, 0, axis=0),
            late=self.late + int(late.sum()),
            person=_grown(self.person, int(met.user.max(initial=-1)) + 1),
            maker=_grown(self.maker, int(met.maker.max(initial=-1)) + 1),
        )
        turn = np.arange(len(met)) - np.maximum.accumulate(np.where(_starts(met.key), np.arange(len(met)), 0))
        for nth in range(int(turn.max(initial=-1)) + 1):  # a pair's own interactions one after the other
            out._take_in(met.take(np.flatnonzero(turn == nth)))
        return out

    def _take_in(self, met: Interactions) -> None:
        """Count interactions of different pairs; only `update` calls it, on arrays of its own."""
        at, t = np.searchsorted(self.key, met.key), self.n_tasks
        until = met.time if met.until is None else met.until
        goes_on = (self.pair[at, 0] > 0) & (met.time - self.last[at, 2] < TOGETHER)
        new = at[~goes_on]
        since = np.where(self.last[new, 0] > 0, (met.time[~goes_on] - self.last[new, 0]) / DAY, 1e3)
        self.pair[new, 0] += 1
        self.pair[new, 1] = self.pair[new, 1] * np.exp(-since / FADE) + 1
        self.pair[new, 2] = np.exp(-since)
        self.pair[new, 3 + 2 * t :] = 0
        self.last[new, 0] = met.time[~goes_on]
        self.last[at, 2] = np.where(goes_on, np.maximum(self.last[at, 2], until), until)
        had = self.pair[at, 3 + 2 * t :]
        hit = ((met.outcome > 0) & (had == 0)).astype(np.float32)  # a second click of the same meeting is none
        self.pair[at, 3 : 3 + t] += hit
        self.pair[at, 3 + t : 3 + 2 * t] += np.maximum(met.outcome - had, 0)
        self.pair[at, 3 + 2 * t :] = np.maximum(met.outcome, had)
        first = hit[:, 0] > 0
        self.last[at[first], 1] = self.last[at[first], 0]
        np.add.at(self.person[:, 0], met.user[~goes_on], 1.0)
        np.add.at(self.maker[:, 0], met.maker[~goes_on], 1.0)
        for task in range(t):
            np.add.at(self.person[:, 1 + task], met.user, hit[:, task])
            np.add.at(self.maker[:, 1 + task], met.maker, hit[:, task])
        known = first & (met.maker < len(self.vectors))
        np.add.at(self.person[:, 1 + t :], met.user[known], self.vectors[met.maker[known]])

    @property
    def width(self) -> int:
        return 9 + 5 * self.n_tasks + 3 * self.vectors.shape[1]

    def features(self, user: Array, maker: Array, at: Array | int) -> Array:
        """float32[n, width]: what is known of each pair at a moment; every number is finite, also of unseen pairs."""
        t, d = self.n_tasks, self.vectors.shape[1]
        user, maker = np.asarray(user, np.int64), np.asarray(maker, np.int64)
        row, there = self.find(user, maker)
        pair = np.where(there[:, None], self.pair[row], 0.0) if len(self) else np.zeros((len(user), 3 + 3 * t))
        last = np.where(there[:, None], self.last[row, :2], 0) if len(self) else np.zeros((len(user), 2), np.int64)
        since = np.where(last > 0, np.maximum(np.asarray(at)[..., None] - last, 0) / DAY, 60.0)
        person = _rows(self.person, user, 1 + t + d)
        own = _rows(self.maker, maker, 1 + t)
        vector = _rows(self.vectors, maker, d)
        taste = person[:, 1 + t :] / (person[:, 1:2] + 2.0)
        regular = pair[:, 1] * np.exp(-since[:, 0] / FADE)
        return np.column_stack([
            there, np.log1p(pair[:, 0]), regular / 3, pair[:, 2] * there, np.exp(-since), np.log1p(since) / 3,
            np.log1p(pair[:, 3 : 3 + t]), pair[:, 3 : 3 + t] > 0, np.log1p(pair[:, 3 + t : 3 + 2 * t]) / 2,
            np.log1p(person[:, :1]) / 3, (person[:, 1 : 1 + t] + 0.5) / (person[:, :1] + 2),
            (own[:, 1:] + 0.5) / (own[:, :1] + 20), taste, vector, taste * vector,
        ]).astype(np.float32)  # fmt: skip

    def forget(self, users: Array) -> PairStates:
        """The store without these people: their pairs are gone, their row is empty; makers keep their counts."""
        users = np.asarray(users)
        keep = ~np.isin(self.key // WIDE, users)
        person = self.person.copy()
        person[users[(users >= 0) & (users < len(person))]] = 0
        return replace(self, key=self.key[keep], pair=self.pair[keep], last=self.last[keep], person=person)

    def state(self) -> State:
        """Every person's pairs stand in one row of as many places as anybody needs, so that a person can be erased."""
        user = self.key // WIDE
        n = max(len(self.person), int(user.max(initial=-1)) + 1)
        place = np.arange(len(self.key)) - np.searchsorted(user, user)
        size = (n, int(place.max(initial=-1)) + 1)
        whose = np.zeros(size, np.int64)  # maker + 1; 0 is an empty place
        pair, last = np.zeros((*size, self.pair.shape[1]), np.float32), np.zeros((*size, 3), np.int64)
        whose[user, place], pair[user, place], last[user, place] = self.key % WIDE + 1, self.pair, self.last
        return State(
            arrays={"vectors": self.vectors, "maker": self.maker},
            users={"person": _grown(self.person, n), "whose": whose, "pair": pair, "last": last},
            facts={"n_tasks": self.n_tasks, "late": self.late},
        )  # fmt: skip

    @staticmethod
    def restore(state: State) -> PairStates:
        whose = state.users["whose"]
        user, place = np.nonzero(whose)
        key = user.astype(np.int64) * WIDE + whose[user, place] - 1
        order = np.argsort(key, kind="stable")
        user, place = user[order], place[order]
        return PairStates(
            vectors=state.arrays["vectors"], maker=state.arrays["maker"], person=state.users["person"],
            key=key[order], pair=state.users["pair"][user, place], last=state.users["last"][user, place],
            n_tasks=int(state.facts["n_tasks"]), late=int(state.facts["late"]),
        )  # fmt: skip


def _starts(key: Array) -> Array:
    out = np.ones(len(key), bool)
    out[1:] = np.diff(key) != 0
    return out


def _grown(table: Array, n: int) -> Array:
    """A copy of the table with at least n rows."""
    return np.concatenate([table, np.zeros((max(n - len(table), 0), table.shape[1]), np.float32)])


def _rows(table: Array, at: Array, width: int) -> Array:
    """Rows of a table; zeros for those it does not have."""
    known = (at >= 0) & (at < len(table))
    if not len(table):
        return np.zeros((len(at), width), np.float32)
    return np.where(known[:, None], table[np.where(known, at, 0)], 0.0)
