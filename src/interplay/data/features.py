"""What is known of people, items and the moment, as of a moment: the columns that rankers read.

Counters count only events strictly before `at`, so what is served and what is trained on are joined alike and nothing
that is to be predicted is counted. A log without times counts whole.

Vectors of items, such as those of their texts, are read as a few numbers. Wide ones are turned by a fixed random
projection, which keeps distances (Johnson and Lindenstrauss, 1984) and, unlike one that is learnt, means the same after
the catalogue has grown.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import polars as pl

from interplay.errors import unknown
from interplay.types import Array, Dataset, Events, Requests, Slates

HOUR, DAY = 3_600_000_000, 86_400_000_000  # microseconds
WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
CATEGORIES = 1000  # a text column with more distinct values is text, no feature
VECTOR = 16  # numbers that an item's vector is read as at most
LIKED, DISLIKED = 4.0, 2.0  # a rating from here on says that somebody liked it, up to here that it was disliked


def rated(events: Events) -> bool:
    """Whether the values of a log are ratings: some say that something was liked, some do not, and none is above 10."""
    known = np.zeros(0) if events.value is None else events.value[np.isfinite(events.value)]
    return bool(len(known)) and float(known.min()) < LIKED <= float(known.max()) <= 10.0


class FeatureView:
    """Features of a dataset, joined as of each request; every column is float32, or int32 codes with -1 for unknown.

    A missing number is NaN. Codes are places in `vocabulary["user.NAME"]` or `vocabulary["item.NAME"]`.

    >>> from interplay.data.tables import from_frames
    >>> log = {"user_id": ["ann", "bob"], "item_id": ["tea", "tea"], "timestamp": [10, 20]}
    >>> view = FeatureView(from_frames("shop", log))
    >>> view.counters(np.array([0, 0]), np.array([20, 21]))["count"].tolist()
    [1.0, 2.0]
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.vocabulary: dict[str, tuple[str, ...]] = {}
        self._people = self._columns(dataset.people, "user")
        self._things = self._columns(dataset.catalogue, "item")
        e = dataset.events
        self._vectors: dict[str, Array] = {}
        self._by_item = _AsOf(e.item, e.time, dataset.n_items, e.value, e.kind, e.kinds)
        self._by_user = _AsOf(e.user, e.time, dataset.n_users, e.value, e.kind, e.kinds)

    @cached_property
    def rated(self) -> bool:
        """Whether the log's values are ratings."""
        return rated(self.dataset.events)

    def user(self, users: Array) -> dict[str, Array]:
        """What the users table says of each user (int[n]); strangers are all missing."""
        return _taken(self._people, users)

    def items(self, items: Array) -> dict[str, Array]:
        """What the catalogue says of each item (int[...], -1 for padding), in the shape of `items`."""
        return _taken(self._things, items)

    def vectors(self, name: str, items: Array) -> dict[str, Array]:
        """The vector of each item (int[...], -1 for padding) in one of the dataset's tables: NAME.0, NAME.1 ...

        Each is in the shape of `items`, and 0 for an item without a vector. Errors: UnknownName for another table.
        """
        if name not in self._vectors:
            if name not in self.dataset.vectors:
                raise unknown("table of item vectors", name, self.dataset.vectors)
            self._vectors[name] = _narrow(self.dataset.vectors[name])
        held, items = self._vectors[name], np.asarray(items)
        known = (items >= 0) & (items < len(held))
        found = np.where(known[..., None], held[np.where(known, items, 0)] if len(held) else 0.0, 0.0)
        return {f"{name}.{i}": found[..., i].astype(np.float32) for i in range(held.shape[1])}

    def context(self, requests: Requests) -> dict[str, Array]:
        """Length of the history, hour (0 to 23) and weekday (0 is Monday) in UTC, and the request's own numbers."""
        out = {"history": requests.history.lengths.astype(np.float32)}
        if requests.at is not None:
            out["hour"] = (requests.at // HOUR % 24).astype(np.float32)
            out["weekday"] = ((requests.at // DAY + 3) % 7).astype(np.float32)  # 1970 began on a Thursday
        for name, column in requests.context.items():
            if np.asarray(column).dtype.kind in "biuf":
                out[name] = np.asarray(column, np.float32)
        return out

    def counters(self, items: Array, at: Array | int | None = None) -> dict[str, Array]:
        """Events of each item before `at` (int64[n], one for each row of `items`; None: the whole log).

        Columns in the shape of `items`: count, count_1d, count_7d, count_30d, days (since the last event, NaN for
        none), value (mean, where events carry one), and count_KIND for each kind of event.
        """
        return self._by_item.counters(items, at)

    def counters_user(self, users: Array, at: Array | int | None = None) -> dict[str, Array]:
        """The same columns for the events of each user (int[n])."""
        return self._by_user.counters(users, at)

    def joined(self, requests: Requests, slates: Slates) -> dict[str, Array]:
        """Every feature of every candidate, [n, k] each, named user.*, item.*, context.*, item_log.*, user_log.*"""
        shape, users = slates.items.shape, requests.user
        wide = {f"user.{n}": c for n, c in self.user(users).items()}
        wide |= {f"context.{n}": c for n, c in self.context(requests).items()}
        wide |= {f"user_log.{n}": c for n, c in self.counters_user(users, requests.at).items()}
        out = {n: np.broadcast_to(c[:, None], shape) for n, c in wide.items()}
        out |= {f"item.{n}": c for n, c in self.items(slates.items).items()}
        return out | {f"item_log.{n}": c for n, c in self.counters(slates.items, requests.at).items()}

    def _columns(self, table: pl.DataFrame | None, whose: str) -> dict[str, Array]:
        """Numbers as they are, texts with few values (or the first of a list) as codes; ids and prose left out."""
        out: dict[str, Array] = {}
        for column in () if table is None else table.drop(f"{whose}_id", strict=False):
            if column.dtype.is_numeric() or column.dtype == pl.Boolean:
                out[column.name] = column.cast(pl.Float32).fill_null(np.nan).to_numpy()
                continue
            said = column.list.first() if column.dtype == pl.List(pl.String) else column
            if said.dtype in (pl.String, pl.Categorical, pl.Enum):
                said = said.cast(pl.String)
                names = tuple(said.drop_nulls().unique().sort().to_list())
                if 0 < len(names) <= CATEGORIES:
                    places = list(range(len(names)))
                    codes = said.replace_strict(list(names), places, default=-1, return_dtype=pl.Int32)
                    out[column.name] = codes.fill_null(-1).to_numpy()
                    self.vocabulary[f"{whose}.{column.name}"] = names
        return out


class _AsOf:
    """Events by owner and time, so that "how many before" is one binary search for any number of questions."""

    def __init__(
        self, owner: Array, time: Array | None, n: int, value: Array | None, kind: Array | None, kinds: tuple[str, ...]
    ) -> None:
        self.n, self.timed = n, time is not None
        time = np.zeros(len(owner), np.int64) if time is None else time
        self.moments, rank = np.unique(time, return_inverse=True)
        self.width = len(self.moments) + 1  # owner and rank of the moment fit into one int64; the time itself would not
        keys = owner.astype(np.int64) * self.width + rank
        order = np.argsort(keys, kind="stable")
        self.keys, self.time = keys[order], time[order]
        self.starts = np.searchsorted(self.keys, np.arange(n + 1, dtype=np.int64) * self.width)
        self.value = None if value is None else np.concatenate([[0.0], np.cumsum(value[order], dtype=np.float64)])
        self.kinds: Mapping[str, Array] = {}
        if kind is not None:
            of = kind[order]
            self.kinds = {k: np.concatenate([[0], np.cumsum(of == i)]) for i, k in enumerate(kinds)}

    def counters(self, owner: Array, at: Array | int | None) -> dict[str, Array]:
        owner = np.asarray(owner)
        known = (owner >= 0) & (owner < self.n)
        safe = np.where(known, owner, 0)
        start = np.where(known, self.starts[safe], 0) if self.n else np.zeros(owner.shape, np.int64)
        moment: Array | None = None
        if at is None or not self.timed:
            end = np.where(known, self.starts[np.minimum(safe + 1, self.n)], 0)
            if self.timed and at is None:
                moment = np.broadcast_to(self.moments[-1:] if len(self.moments) else np.zeros(1, np.int64), owner.shape)
        else:
            moment = np.asarray(at, np.int64)
            moment = np.broadcast_to(moment.reshape(moment.shape + (1,) * (owner.ndim - moment.ndim)), owner.shape)
            end = np.where(known, self._before(safe, moment), 0)
        count = end - start
        out = {"count": count.astype(np.float32)}
        if moment is not None:
            for name, length in WINDOWS.items():
                since = np.where(known, self._before(safe, moment - length), 0)
                out[f"count_{name}"] = np.maximum(end - np.maximum(since, start), 0).astype(np.float32)
            last = self.time[np.maximum(end - 1, 0)] if len(self.time) else np.zeros(owner.shape, np.int64)
            out["days"] = np.where(count > 0, (moment - last) / DAY, np.nan).astype(np.float32)
        if self.value is not None:
            total = self.value[end] - self.value[start]
            out["value"] = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return out | {f"count_{k}": (c[end] - c[start]).astype(np.float32) for k, c in self.kinds.items()}

    def _before(self, owner: Array, moment: Array) -> Array:
        """The place in `keys` where the owner's events at or after `moment` begin."""
        return np.searchsorted(self.keys, owner.astype(np.int64) * self.width + np.searchsorted(self.moments, moment))


def _narrow(vectors: Array) -> Array:
    """float32[n, VECTOR at most], the same for a row whatever the others are; what is no number counts as 0."""
    vectors = np.nan_to_num(np.asarray(vectors, np.float32), posinf=0.0, neginf=0.0)
    wide = vectors.shape[1]
    if wide <= VECTOR:
        return vectors
    turn = np.random.default_rng([wide, 23]).standard_normal((wide, VECTOR)) / np.sqrt(VECTOR)
    return vectors @ turn.astype(np.float32)


def _taken(columns: Mapping[str, Array], at: Array) -> dict[str, Array]:
    at = np.asarray(at)
    out = {}
    for name, column in columns.items():
        known = (at >= 0) & (at < len(column))
        missing = np.float32(np.nan) if column.dtype.kind == "f" else np.int32(-1)
        out[name] = np.where(known, column[np.where(known, at, 0)] if len(column) else missing, missing)
    return out
