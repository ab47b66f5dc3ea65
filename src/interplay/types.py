"""The values and verbs everybody speaks.

Batches are columnar: `Requests` are n moments as columns, `Slates` n ordered lists as columns. A live request is a
batch of one, so serving and evaluation run the same lines. Users and items are int32 indices of one append-only space;
their external names exist only in `Ids`, where data enters and replies leave.

There is no base class to inherit. A system shows what it can do by the verbs it has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from interplay.errors import BadData

if TYPE_CHECKING:
    import polars as pl

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Id: TypeAlias = str | int


class _Nothing(Mapping[str, Any]):
    """The empty mapping, as a default value that cannot be changed."""

    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, Any] = _Nothing()
NUMBER = re.compile(r"-?[0-9]{1,18}")

TRAIN, VALID, TEST, VALID_FOLD, TEST_FOLD = 0, 1, 2, 3, 4  # parts of a split; a fold is shown as history, never judged


# --------------------------------------------------------------------------------------------------------------------
# One index space


class Ids:
    """External names of users or of items; the position of a name is its index, and never changes.

    >>> ids = Ids(["lamp", "tea", 7])
    >>> ids.index(["tea", "unknown", 7]).tolist()
    [1, -1, 2]
    >>> ids[0]
    'lamp'
    """

    def __init__(self, names: Sequence[Id] | Array) -> None:
        self.names: list[Id] = names.tolist() if isinstance(names, np.ndarray) else list(names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Id:
        return self.names[index]

    def __iter__(self) -> Iterator[Id]:
        return iter(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self.names == other.names

    def __hash__(self) -> int:
        return hash((len(self.names), self.names[:1], self.names[-1:]).__repr__())

    @cached_property
    def positions(self) -> dict[Id, int]:
        found: dict[Id, int] = {name: i for i, name in enumerate(self.names)}
        if len(found) != len(self.names):
            raise BadData("an id occurs twice in one index space; every user and item needs a name of its own")
        return found

    def index(self, names: Sequence[Id] | Array) -> Array:
        """int32 indices of `names`, -1 where one is unknown or missing. `7` and `"7"` find each other."""
        listed = names.tolist() if isinstance(names, np.ndarray) else names
        get = self.positions.get
        return np.fromiter((self._find(get, n) for n in listed), dtype=np.int32, count=len(listed))

    @staticmethod
    def _find(get: Callable[..., int | None], name: Id | None) -> int:
        found = get(name)
        if found is None and name is not None:
            other: Id | None = str(name) if isinstance(name, int) else int(name) if NUMBER.fullmatch(name) else None
            found = None if other is None else get(other)
        return -1 if found is None else found

    @cached_property
    def keys(self) -> Array:
        """uint64[n]: a fixed keyed hash of each external id. Ties break by it, lowest first, in serving and metrics."""
        digest = (hashlib.blake2b(str(n).encode(), digest_size=8, key=b"interplay").digest() for n in self.names)
        return np.frombuffer(b"".join(digest), dtype="<u8") if self.names else np.zeros(0, np.uint64)

    def extended(self, names: Sequence[Id]) -> Ids:
        """A new space with `names` appended; indices already given keep their meaning."""
        return Ids([*self.names, *names])


@dataclass(frozen=True, kw_only=True, eq=False)
class Ragged:
    """n rows of different length over shared columns: row i is `offsets[i]:offsets[i + 1]` of every column."""

    offsets: Array  # int64[n + 1]
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    @property
    def lengths(self) -> Array:
        """int64[n]"""
        return np.diff(self.offsets)

    @property
    def owner(self) -> Array:
        """int64[offsets[-1]]: the row that each element belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def row(self, i: int) -> dict[str, Array]:
        lo, hi = self.offsets[i], self.offsets[i + 1]
        return {name: column[lo:hi] for name, column in self.columns.items()}

    def slice(self, lo: int, hi: int) -> Ragged:
        """Rows lo to hi, sharing memory."""
        a, b = self.offsets[lo], self.offsets[hi]
        return Ragged(offsets=self.offsets[lo : hi + 1] - a, columns={k: c[a:b] for k, c in self.columns.items()})

    def take(self, rows: Array) -> Ragged:
        """The given rows, in the given order; a row may be taken twice. -1 takes an empty row."""
        rows = np.asarray(rows)
        held = rows >= 0
        at = np.where(held, rows, 0) if len(self) else np.zeros(len(rows), np.int64)
        starts = self.offsets[at]
        lengths = np.where(held, self.offsets[at + 1] - starts, 0) if len(self) else np.zeros(len(rows), np.int64)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Ragged(offsets=offsets, columns={k: c[at] for k, c in self.columns.items()})

    def where(self, keep: Array) -> Ragged:
        """Only the elements whose flag in `keep` (bool[offsets[-1]]) is set; rows stay, some may become empty."""
        counts = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])
        return Ragged(offsets=counts[self.offsets], columns={k: c[keep] for k, c in self.columns.items()})

    def last(self, n: int) -> Ragged:
        """At most the last n elements of each row."""
        start = np.maximum(self.offsets[1:] - n, self.offsets[:-1])
        position = np.arange(self.offsets[-1])
        return self.where(position >= np.repeat(start, self.lengths))

    @staticmethod
    def of(rows: Sequence[Sequence[int] | Array], column: str = "item", dtype: Any = np.int32) -> Ragged:
        """From nested lists, for tests and small calls."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(r) for r in rows], out=offsets[1:])
        flat = np.concatenate([np.asarray(r, dtype) for r in rows]) if rows else np.zeros(0, dtype)
        return Ragged(offsets=offsets, columns={column: flat.astype(dtype)})

    @staticmethod
    def grouped(owner: Array, n: int, **columns: Array) -> Ragged:
        """Elements gathered by `owner` (int[m], rows 0..n-1); inside a row the given order is kept."""
        order = np.argsort(owner, kind="stable")
        offsets = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=n)[:n], out=offsets[1:])
        return Ragged(offsets=offsets, columns={k: c[order] for k, c in columns.items()})


# --------------------------------------------------------------------------------------------------------------------
# What may be learnt from


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """The log as columns, sorted by (user, time, order, row): inside a user, oldest first."""

    user: Array  # int32[m]
    item: Array  # int32[m]
    time: Array | None = None  # int64[m], microseconds UTC
    value: Array | None = None  # float32[m]: rating, watch time, amount
    kind: Array | None = None  # int16[m]: index into `kinds`
    kinds: tuple[str, ...] = ()
    session: Array | None = None  # int64[m]
    part: Array | None = None  # int8[m]: TRAIN, VALID or TEST as the data set itself says
    ordered: bool = False  # True when `time` is missing but the order inside a user is known
    context: Mapping[str, Array] = EMPTY

    def __len__(self) -> int:
        return len(self.user)

    def where(self, keep: Array) -> Events:
        """The flagged rows (bool[m]) or the rows at the given positions (int[]), which must keep the order."""

        def cut(column: Array | None) -> Array | None:
            return None if column is None else column[keep]

        return replace(
            self, user=self.user[keep], item=self.item[keep], time=cut(self.time), value=cut(self.value),
            kind=cut(self.kind), session=cut(self.session), part=cut(self.part),
            context={k: c[keep] for k, c in self.context.items()},
        )  # fmt: skip

    def history_columns(self) -> dict[str, Array]:
        """The columns that a request's history carries."""
        named = {"item": self.item, "time": self.time, "kind": self.kind, "value": self.value, "session": self.session}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What may be learnt from: an event log and a catalogue in one index space, and whatever else is present."""

    name: str
    users: Ids
    items: Ids
    events: Events
    catalogue: pl.DataFrame | None = None  # row i describes item i; columns as in the file (title, text, categories...)
    people: pl.DataFrame | None = None  # row i describes user i
    tables: Mapping[str, pl.DataFrame] = EMPTY  # queries, qrels, impressions, examples, baskets, triples, dialogues
    vectors: Mapping[str, Array] = EMPTY  # name -> float32[n_items, dim], row i belongs to item i

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @cached_property
    def offsets(self) -> Array:
        """int64[n_users + 1]: user u's events are `offsets[u]:offsets[u + 1]`."""
        out = np.zeros(self.n_users + 1, np.int64)
        np.cumsum(np.bincount(self.events.user, minlength=self.n_users), out=out[1:])
        return out

    @cached_property
    def log(self) -> Ragged:
        """Every user's history, oldest first, as one ragged array."""
        return Ragged(offsets=self.offsets, columns=self.events.history_columns())

    def histories(self, users: Array) -> Ragged:
        """The histories of `users` (int[n]); a stranger (-1) or a user without events has an empty one."""
        users = np.asarray(users)
        return self.log.take(np.where(users < self.n_users, users, -1))

    def where(self, keep: Array) -> Dataset:
        """The same index space and catalogue with only the flagged events."""
        return replace(self, events=self.events.where(keep))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the events, of both id spaces and of labelled examples, if any; the name plays no part."""
        h = hashlib.sha256()
        for column in (self.events.user, self.events.item, self.events.time, self.events.value, self.events.kind,
                       self.events.part):  # fmt: skip
            h.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
        for ids in (self.users, self.items):
            h.update(np.ascontiguousarray(ids.keys).tobytes())
        if "examples" in self.tables:
            for told in self.tables["examples"]:
                h.update(told.name.encode())
                h.update("\0".join(map(str, told.to_list())).encode())
        return h.hexdigest()

    def texts(self, items: Array | None = None) -> list[str]:
        """One text per item (or for each of `items`): title, text and categories joined; '' where there is none."""
        n = self.n_items if items is None else len(items)
        if self.catalogue is None:
            return [""] * n
        frame = self.catalogue if items is None else self.catalogue[items]
        said = [c for c in ("title", "text", "categories") if c in frame.columns]
        columns = [frame[c].to_list() for c in said]
        return [". ".join(t for t in map(_told, row) if t) for row in zip(*columns, strict=True)] or [""] * n


def _told(value: Any) -> str:
    """One cell of the catalogue as words."""
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The part of the index space that a model was fitted on, and what it falls back to.

    Indices at or above `n_users` / `n_items` came after the fit: they have no row.
    """

    n_users: int
    n_items: int
    keys: Array  # uint64[n_items], for ties
    popularity: Array  # float32[n_items], number of users who touched the item
    events: Array  # int32[n_users], events of each user at the fit

    @cached_property
    def places(self) -> Array:
        """int32[n_items]: the place of each item when ordered by its key; of equal scores the lowest place wins."""
        places = np.empty(self.n_items, np.int32)
        places[np.argsort(self.keys, kind="stable")] = np.arange(self.n_items, dtype=np.int32)
        return places

    @cached_property
    def ranking(self) -> Array:
        """int32[n_items]: the items, most popular first; of equally popular ones the lowest place first."""
        return np.lexsort((self.places, -self.popularity)).astype(np.int32)

    @staticmethod
    def of(dataset: Dataset) -> Rows:
        user, item = dataset.events.user.astype(np.int64), dataset.events.item
        distinct = np.unique(user * max(dataset.n_items, 1) + item) % max(dataset.n_items, 1)
        return Rows(
            n_users=dataset.n_users, n_items=dataset.n_items, keys=dataset.items.keys,
            popularity=np.bincount(distinct, minlength=dataset.n_items).astype(np.float32),
            events=np.diff(dataset.offsets).astype(np.int32),
        )  # fmt: skip

    def grown(self, items: Ids) -> Rows:
        """With items that came after the fit: nobody has touched them yet."""
        more = len(items) - self.n_items
        if more <= 0:
            return self
        return replace(
            self, n_items=len(items), keys=np.concatenate([self.keys, Ids(items.names[self.n_items :]).keys]),
            popularity=np.concatenate([self.popularity, np.zeros(more, np.float32)]),
        )  # fmt: skip

    def state(self) -> State:
        return State(arrays={"keys": self.keys, "popularity": self.popularity}, users={"events": self.events})

    @staticmethod
    def restore(state: State) -> Rows:
        return Rows(
            n_users=len(state.users["events"]), n_items=len(state.arrays["keys"]), keys=state.arrays["keys"],
            popularity=state.arrays["popularity"], events=state.users["events"],
        )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# One moment at which somebody wants something


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleSet:
    """What may be shown: shared predicates, compiled once, and each row's own exclusions.

    A mask holds for every row unless `applied` lists, row by row, the masks that do.
    """

    masks: Array | None = None  # bool[m, n_items]: True where the item may be shown
    names: tuple[str, ...] = ()  # m sentences, for the trace
    applied: Ragged | None = None  # column `mask`: which masks hold for the row
    exclude: Ragged | None = None  # column `item`: items withheld from the row
    withhold_seen: bool = True  # items of the request's own history are not shown again

    def slice(self, lo: int, hi: int) -> RuleSet:
        if self.applied is None and self.exclude is None:
            return self
        return replace(
            self, applied=None if self.applied is None else self.applied.slice(lo, hi),
            exclude=None if self.exclude is None else self.exclude.slice(lo, hi),
        )  # fmt: skip

    def take(self, rows: Array) -> RuleSet:
        if self.applied is None and self.exclude is None:
            return self
        return replace(
            self, applied=None if self.applied is None else self.applied.take(rows),
            exclude=None if self.exclude is None else self.exclude.take(rows),
        )  # fmt: skip

    def allowed(self, row: int, n_items: int) -> Array:
        """bool[n_items]: what the shared predicates leave for one row. Items after the masks were compiled pass."""
        out = np.ones(n_items, bool)
        if self.masks is not None:
            chosen = range(len(self.masks)) if self.applied is None else self.applied.row(row)["mask"]
            for m in chosen:
                width = min(n_items, self.masks.shape[1])
                out[:width] &= self.masks[m, :width]
        return out


EVERYTHING = RuleSet()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn of a conversation."""

    speaker: str  # "person" or "engine"
    text: str
    acts: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    accepted: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()


EVERYWHERE = "everything"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One standing instruction. `where` is a predicate over catalogue columns, `like` are items referred to."""

    text: str
    wanted: bool = True
    hard: bool = False
    where: str | None = None
    like: tuple[int, ...] = ()
    scope: str = EVERYWHERE  # or a sentence over columns: the wish is about the things of which it is true
    until: int | None = None  # microseconds UTC; None stays until taken back
    wish_id: str = ""  # whoever keeps the wish gives it, and finds it again in traces

    @property
    def rule(self) -> str | None:
        """What a hard wish leaves, as one sentence over columns; None where no column can tell.

        >>> Wish(text="no horror", wanted=False, where="genre == 'horror'", scope="kind == 'book'").rule
        "not ((kind == 'book') and (genre == 'horror'))"
        """
        if self.where is None or self.scope == EVERYWHERE:
            return self.where if self.wanted or self.where is None else f"not ({self.where})"
        both = f"({self.scope}) and ({self.where})"
        return f"not ({self.scope}) or ({self.where})" if self.wanted else f"not ({both})"

    @property
    def met(self) -> str | None:
        """The sentence of the things that have what the wish is about, inside its scope."""
        return self.where if self.where is None or self.scope == EVERYWHERE else f"({self.scope}) and ({self.where})"


Wishes: TypeAlias = tuple[Wish, ...]


@dataclass(frozen=True, kw_only=True)
class Boost:
    """A leaning of one request: the score of what meets `where` is multiplied by `by`."""

    where: str
    by: float


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How the pages of one batch are arranged, in place of what the recipe says."""

    caps: Mapping[str, int] = EMPTY  # catalogue column -> most items of one value on a page
    diversity: float | None = None  # 0 is relevance alone, 1 variety alone; None leaves it to the recipe
    arranger: bool = True  # False is the page as it stands without the recipe's arranger
    rails: bool = False  # shelves are chosen too, where the recipe's arranger knows how


@dataclass(frozen=True, kw_only=True, eq=False)
class Requests:
    """n moments, as columns. Build live ones with `Requests.one`, many from a log with `Requests.of`."""

    user: Array  # int32[n], -1 is a stranger
    history: Ragged  # columns item (oldest first); time, kind, value, session, query when known
    query: Sequence[str | None] | None = None
    turns: Sequence[tuple[Turn, ...]] | None = None
    rules: RuleSet = EVERYTHING
    wishes: Sequence[Wishes] | None = None
    boosts: Sequence[tuple[Boost, ...]] | None = None
    arrangement: Arrangement | None = None  # of every page of the batch, like `k`
    context: Mapping[str, Array] = EMPTY
    at: Array | None = None  # int64[n], microseconds UTC; nothing later may be used
    draw: Array | None = None  # uint64[n]: the only randomness of serving, logged, so any answer can be replayed
    k: int = 10

    def __len__(self) -> int:
        return len(self.user)

    def slice(self, lo: int, hi: int) -> Requests:
        """Requests lo to hi, sharing memory."""

        def cut(column: Any) -> Any:
            return None if column is None else column[lo:hi]

        return replace(
            self, user=self.user[lo:hi], history=self.history.slice(lo, hi), query=cut(self.query),
            turns=cut(self.turns), rules=self.rules.slice(lo, hi), wishes=cut(self.wishes), boosts=cut(self.boosts),
            context={k: c[lo:hi] for k, c in self.context.items()}, at=cut(self.at), draw=cut(self.draw),
        )  # fmt: skip

    def take(self, rows: Array) -> Requests:
        """The given requests, in the given order."""
        rows = np.asarray(rows)

        def listed(column: Sequence[Any] | None) -> list[Any] | None:
            return None if column is None else [column[i] for i in rows]

        return replace(
            self, user=self.user[rows], history=self.history.take(rows), query=listed(self.query),
            turns=listed(self.turns), rules=self.rules.take(rows), wishes=listed(self.wishes),
            boosts=listed(self.boosts), context={k: c[rows] for k, c in self.context.items()},
            at=None if self.at is None else self.at[rows], draw=None if self.draw is None else self.draw[rows],
        )  # fmt: skip

    def blocks(self, size: int) -> Iterator[tuple[int, Requests]]:
        """(first row, block) for blocks of at most `size` requests."""
        for lo in range(0, len(self), size):
            yield lo, self.slice(lo, min(lo + size, len(self)))

    @staticmethod
    def of(dataset: Dataset, users: Array, *, at: Array | None = None, **more: Any) -> Requests:
        """One request per user with the history that `dataset` holds, cut to events not later than `at`."""
        users = np.asarray(users, np.int32)
        history = dataset.histories(users)
        if at is not None and "time" in history:
            history = history.where(history["time"] <= np.repeat(at, history.lengths))
        return Requests(user=users, history=history, at=at, **more)

    @staticmethod
    def strangers(histories: Sequence[Sequence[int]], **more: Any) -> Requests:
        """Requests of people without a row, with nothing but these items (oldest first)."""
        return Requests(user=np.full(len(histories), -1, np.int32), history=Ragged.of(list(histories)), **more)


# --------------------------------------------------------------------------------------------------------------------
# What goes back


@dataclass(frozen=True, kw_only=True, eq=False)
class Slates:
    """n ordered lists, as columns; shorter lists are padded."""

    items: Array  # int32[n, k], padded with -1
    scores: Array  # float32[n, k], padded with -inf
    columns: Mapping[str, Array] = EMPTY  # source, propensity, p_<task>, reason ... each [n, k]

    def __len__(self) -> int:
        return len(self.items)

    def slice(self, lo: int, hi: int) -> Slates:
        return Slates(
            items=self.items[lo:hi], scores=self.scores[lo:hi],
            columns={k: c[lo:hi] for k, c in self.columns.items()},
        )  # fmt: skip

    def first(self, k: int) -> Slates:
        """The first k places of every list."""
        return Slates(
            items=self.items[:, :k], scores=self.scores[:, :k], columns={n: c[:, :k] for n, c in self.columns.items()}
        )

    def row(self, i: int) -> list[tuple[int, float]]:
        """(item, score) of one list, without padding."""
        return [(int(a), float(s)) for a, s in zip(self.items[i], self.scores[i], strict=True) if a >= 0]

    @staticmethod
    def empty(n: int, k: int) -> Slates:
        return Slates(items=np.full((n, k), -1, np.int32), scores=np.full((n, k), -np.inf, np.float32))

    @staticmethod
    def stacked(parts: Sequence[Slates]) -> Slates:
        """Rows of several batches, one after the other; all of the same width and columns."""
        return Slates(
            items=np.concatenate([p.items for p in parts]), scores=np.concatenate([p.scores for p in parts]),
            columns={k: np.concatenate([p.columns[k] for p in parts]) for k in parts[0].columns},
        )  # fmt: skip

    def equals(self, other: Slates, *, relative: float = 1e-5) -> bool:
        """Same items in the same order, swaps allowed only where scores differ by less than `relative`."""
        if self.items.shape != other.items.shape:
            return False
        differ = self.items != other.items
        if not differ.any():
            return True
        here, there = self.scores[differ].astype(np.float64), other.scores[differ].astype(np.float64)
        if not (np.isfinite(here).all() and np.isfinite(there).all()):
            return False
        return bool((np.abs(here - there) <= relative * np.maximum(np.abs(here), np.abs(there)) + 1e-12).all())


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question to the person: attributes, choices and why it is asked."""

    attributes: tuple[str, ...]
    choices: tuple[str, ...] = ()
    mode: str = "pick"  # or "yes/no"
    reason: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One step of the request path: what it did in words, in numbers, and how long it took."""

    name: str  # understand, retrieve, rank, rules, page
    seconds: float
    said: str
    facts: Mapping[str, Any] = EMPTY  # JSON-able


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """How one answer came about."""

    request_id: str
    stages: tuple[Stage, ...] = ()
    items: tuple[Mapping[str, Any], ...] = ()  # one per shown item: item, sources, score parts, reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Reply:
    """What goes back for n requests; everything but the slates is optional."""

    slates: Slates
    say: Sequence[str | None] | None = None
    ask: Sequence[Ask | None] | None = None
    trace: Sequence[Trace] | None = None


# --------------------------------------------------------------------------------------------------------------------
# Learning


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """All that a fitted system knows: arrays, per-user arrays (kept in files of their own), and small settings."""

    arrays: Mapping[str, Array] = EMPTY
    users: Mapping[str, Array] = EMPTY  # first axis is the user index; erased row by row
    facts: Mapping[str, Any] = EMPTY  # JSON-able

    def within(self, prefix: str) -> State:
        """The part stored under `prefix.`"""

        def cut(held: Mapping[str, Any]) -> dict[str, Any]:
            return {k[len(prefix) + 1 :]: v for k, v in held.items() if k.startswith(prefix + ".")}

        return State(arrays=cut(self.arrays), users=cut(self.users), facts=cut(self.facts))

    @staticmethod
    def joined(**parts: State) -> State:
        """Several states in one, each under its name."""

        def merged(held: str) -> dict[str, Any]:
            return {f"{name}.{k}": v for name, part in parts.items() for k, v in getattr(part, held).items()}

        return State(arrays=merged("arrays"), users=merged("users"), facts=merged("facts"))


def _silent(stage: str, facts: Mapping[str, Any]) -> None:
    """No progress wanted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """Everything about a fit that is not a setting of the model."""

    seed: int = 0
    device: str = "cpu"
    seconds: float | None = None  # stop after this much wall time
    validation: Callable[[Any], float] | None = None  # judges the model as it stands; higher is better
    epochs: int | None = None  # exactly so many, no early stop: a refit on train + valid
    checkpoint: Path | None = None  # a directory; a killed run goes on from here
    progress: Callable[[str, Mapping[str, Any]], None] = field(default=_silent)


@runtime_checkable
class Learner(Protocol):
    def fit(self, dataset: Dataset, *, run: Run = ..., world: World | None = None) -> Any: ...
    def state(self) -> State: ...
    def restore(self, state: State) -> Any: ...


@runtime_checkable
class Retriever(Protocol):
    def retrieve(self, requests: Requests, n: int) -> Slates:
        """At most n items for each request, best first. The rules are obeyed before the cut."""


@runtime_checkable
class Ranker(Protocol):
    def rank(self, requests: Requests, slates: Slates, features: Any) -> Slates: ...


@runtime_checkable
class Policy(Protocol):
    def propensities(self, requests: Requests, candidates: Slates) -> Array: ...


@runtime_checkable
class Responder(Protocol):
    def respond(self, requests: Requests) -> Reply: ...


@runtime_checkable
class Updater(Protocol):
    def update(self, events: Events) -> Any: ...


@runtime_checkable
class World(Protocol):
    def reset(self, seed: int) -> Requests: ...
    def step(self, reply: Reply) -> tuple[Events, Requests | None]: ...
