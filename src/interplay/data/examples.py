"""Labelled moments as columns: what rankers learn from, whichever table of a dataset they come from.

    examples = Examples.of(dataset)              # its examples table, its impressions, its ratings or its log
    coder = Coder.fit(examples.take(train))      # data/coder.py: codes and scales, from the training part alone
    served = candidates(view, requests, items)   # the same columns for what is to be ranked

Whatever is joined from a log is joined as of the moment: histories and counters hold what happened strictly before
`at`. The examples of training and those of serving are made by one function, `candidates`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from interplay.data.features import DISLIKED, LIKED, FeatureView, rated
from interplay.data.keyed import MISSING, keyed, keys_of
from interplay.data.labelled import ITEM, USER, id_column, is_history, listed, number, outcome, parts_of
from interplay.errors import BadData, BadSetting, unknown
from interplay.ops.text import words
from interplay.types import EMPTY, Array, Dataset, Ragged, Requests

log = logging.getLogger("interplay.data")

HISTORY = 100  # last items of a history that examples carry, in training and in serving alike
ENOUGH = 100  # outcomes from which on impressions say more than the log; fewer do where half of the log are such
WORDS = 4  # last words of a query that are fields: `query.1` is its last one
RULE = re.compile(r"(>=|<=)\s*(-?[0-9]+(?:\.[0-9]+)?)")
RESERVED = ("split", "timestamp", "request_id", "group")


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """n labelled moments, as columns, before coding."""

    fields: Mapping[str, Array] = EMPTY  # categories: int or str; None, "" and -1 are missing
    numbers: Mapping[str, Array] = EMPTY  # float32[n], NaN is missing
    sequences: Mapping[str, Ragged] = EMPTY  # column `item`: indices of what came before the moment, oldest first
    labels: Mapping[str, Array] = EMPTY  # task -> float32[n], NaN is not known
    group: Array | None = None  # int64[n]: whose (a user or a request), for gAUC and paired tests
    at: Array | None = None  # int64[n], microseconds UTC
    part: Array | None = None  # int8[n]: TRAIN, VALID or TEST
    said: str = ""  # where they came from, for people

    def __len__(self) -> int:
        held: tuple[Array | Ragged, ...] = (
            *self.fields.values(), *self.numbers.values(), *self.sequences.values(), *self.labels.values()
        )  # fmt: skip
        return len(held[0]) if held else 0

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.labels)

    def take(self, rows: Array) -> Examples:
        """The given rows (int[] or bool[n]), in the given order."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows

        def cut(column: Array | None) -> Array | None:
            return None if column is None else column[rows]

        return replace(
            self, fields={k: c[rows] for k, c in self.fields.items()},
            numbers={k: c[rows] for k, c in self.numbers.items()},
            sequences={k: c.take(rows) for k, c in self.sequences.items()},
            labels={k: c[rows] for k, c in self.labels.items()},
            group=cut(self.group), at=cut(self.at), part=cut(self.part),
        )  # fmt: skip

    def only(self, tasks: Collection[str]) -> Examples:
        """With no other tasks than these; all of them where none is named."""
        for task in tasks:
            if task not in self.labels:
                raise unknown("task", task, self.labels)
        return replace(self, labels={t: self.labels[t] for t in tasks}) if tasks else self

    # ------------------------------------------------------------------------------------------- where they come from

    @staticmethod
    def of(
        dataset: Dataset, *, negatives: int = 2, seed: int = 0, tasks: Mapping[str, str] = EMPTY,
        newest: int | None = None, surface: str = "", vectors: Collection[str] = (),
    ) -> Examples:  # fmt: skip
        """From the first of these that the dataset has: examples, impressions with outcomes, ratings, a log.

        `tasks` are rules for ratings (`of_log`); of examples and impressions only the tasks named there are kept.
        A task that is no kind of event asks for ratings, where there are any, whatever was shown.
        `newest` and `surface` say which impressions are taken: so many, and of that surface, where they name theirs.
        `vectors` are tables of item vectors that are read as numbers. Errors: BadData where it has none of the four,
        UnknownName for a table that it lacks.
        """
        if "examples" in dataset.tables:
            return Examples.of_table(dataset, vectors=vectors).only(tasks)
        shown = dataset.tables.get("impressions", pl.DataFrame())
        if surface and "surface" in shown.columns:
            shown = shown.filter(pl.col("surface") == surface)
        if newest is not None and len(shown) > newest:
            shown = shown.sort("timestamp", maintain_order=True).tail(newest)
        if "impressions" in dataset.tables:
            dataset = replace(dataset, tables={**dataset.tables, "impressions": shown})
        kinds = dataset.events.kinds or ("event",)
        other = [task for task in tasks if task not in kinds] if rated(dataset.events) else []
        if other:
            log.info("no kind of event is called %s; a ranker learns from the ratings", " or ".join(map(repr, other)))
        elif len(shown) and "request_id" in dataset.events.context:  # else nothing says what followed them
            examples = Examples.of_impressions(dataset, vectors=vectors).only(tasks)
            followed = max((int(np.nansum(label)) for label in examples.labels.values()), default=0)
            if followed >= min(ENOUGH, len(dataset.events) / 2):
                return examples
            log.info("only %d impressions were followed by anything; a ranker learns from the log", followed)
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no examples, no impressions and no events; a ranker needs one of them")
        if rated(dataset.events):
            return Examples.of_log(dataset, tasks=tasks, vectors=vectors)
        return Examples.of_pairs(dataset, negatives=negatives, seed=seed, vectors=vectors)

    @staticmethod
    def of_table(dataset: Dataset, *, vectors: Collection[str] = ()) -> Examples:
        """From the `examples` table: label or label_TASK, and every other column by its kind.

        Floats are numbers, lists called history or *_history hold items, anything else is a category (of another list
        its first). user_id and item_id (or user and item) become the fields `user` and `item`, as indices; split,
        timestamp, request_id and group are what they are elsewhere.
        Errors: BadData without a label, with a label that is neither 0, 1 nor missing, or with a split that is no part.
        """
        t = dataset.tables["examples"]
        named = {c.removeprefix("label_"): c for c in t.columns if c == "label" or c.startswith("label_")}
        if not named:
            raise BadData(f"examples has no column label or label_TASK; it has {t.columns}")
        fields: dict[str, Array] = {}
        numbers: dict[str, Array] = {}
        sequences: dict[str, Ragged] = {}
        ids = {USER: dataset.users, ITEM: dataset.items}
        held = {field: name for field in ids if (name := id_column(t, field))}
        fields |= {field: ids[field].index(t[name].to_list()) for field, name in held.items()}
        if ITEM in fields and vectors:
            numbers |= _vectors(FeatureView(dataset), fields[ITEM], vectors)
        for column in t:
            if column.name in (*RESERVED, *named.values(), *held.values()):
                continue
            if is_history(column):
                sequences[column.name] = listed(column, dataset)
            elif column.dtype in (pl.List, pl.Array):
                first = column.list.first() if column.dtype == pl.List else column.arr.first()
                fields[column.name] = keyed(first)
            elif column.dtype.is_float() or column.dtype.is_decimal():
                numbers[column.name] = number(column)
            elif column.dtype.is_temporal() or column.dtype.is_nested():
                log.warning("examples: %s is %s, which is no feature; left out", column.name, column.dtype)
            else:
                fields[column.name] = keyed(column)
        return Examples(
            fields=fields, numbers=numbers, sequences=sequences, group=_groups(t, fields), part=parts_of(t),
            labels={task: outcome(t[c]) for task, c in named.items()},
            at=t["timestamp"].cast(pl.Int64).to_numpy() if "timestamp" in t.columns else None,
            said="the examples table",
        )  # fmt: skip

    @staticmethod
    def of_log(
        dataset: Dataset, *, tasks: Mapping[str, str] = EMPTY, view: FeatureView | None = None,
        vectors: Collection[str] = (),
    ) -> Examples:  # fmt: skip
        """Every event of a log with values, and for each task whether the value is such: ">=4" (like) or "<=2".

        Errors: BadData for a log without values, or without any order to tell before from after.
        """
        e = dataset.events
        if e.value is None:
            raise BadData(f"the log of {dataset.name!r} has no values; examples of what was shown need impressions")
        such = {task: _such(e.value, rule) for task, rule in (tasks or {"like": f">={LIKED:g}"}).items()}
        labels = {task: np.where(np.isnan(e.value), np.nan, yes).astype(np.float32) for task, yes in such.items()}
        view = view or FeatureView(dataset)
        made = moments(view, e.user, e.item, e.time, ends=_ends(dataset), vectors=vectors)
        return replace(made, labels=labels, part=e.part, group=e.user.astype(np.int64), said="the log's values")

    @staticmethod
    def of_impressions(dataset: Dataset, *, view: FeatureView | None = None, vectors: Collection[str] = ()) -> Examples:
        """Every item that was shown, and for each kind of event whether it followed under the same request.

        Items that are known not to have been seen are left out. The words of a search are fields where the column
        `query` says what was asked. Errors: BadData where no event names its request.
        """
        t, e = dataset.tables["impressions"], dataset.events
        if "request_id" not in e.context:
            raise BadData("the events name no request_id, so nothing tells which impression they followed")
        if "seen" in t.columns:
            t = t.filter(pl.col("seen").fill_null(True).cast(pl.Boolean))
        user, item = dataset.users.index(t["user_id"].to_list()), dataset.items.index(t["item_id"].to_list())
        requests = pl.Series("request", t["request_id"]).cast(pl.String)
        happened = pl.DataFrame({
            "request": pl.Series(e.context["request_id"]).cast(pl.String), "item": e.item,
            "kind": np.zeros(len(e), np.int16) if e.kind is None else e.kind,
        }).drop_nulls()  # fmt: skip
        shown = pl.DataFrame({"request": requests, "item": item})
        labels = {}
        for place, kind in enumerate(e.kinds or ("event",)):
            who = happened.filter(pl.col("kind") == place).select("request", "item").unique()
            followed = shown.join(who.with_columns(hit=True), on=["request", "item"], how="left", maintain_order="left")
            labels[kind] = followed["hit"].fill_null(False).cast(pl.Float32).to_numpy()
        at = t["timestamp"].cast(pl.Int64).to_numpy()
        query = t["query"].cast(pl.String).to_list() if "query" in t.columns else []
        made = moments(
            view or FeatureView(dataset), user, item, at, query=query if any(query) else None, vectors=vectors
        )  # fmt: skip
        group = requests.rank("dense").cast(pl.Int64).to_numpy()
        return replace(made, labels=labels, group=group, part=parts_of(t), said="impressions and what followed them")

    @staticmethod
    def of_pairs(
        dataset: Dataset, *, negatives: int = 2, seed: int = 0, view: FeatureView | None = None,
        vectors: Collection[str] = (),
    ) -> Examples:  # fmt: skip
        """Every event as taken (1), beside `negatives` items that the same person never touched (0), drawn evenly.

        The task is called `take`. Drawn items keep the moment and the part of the event that they stand beside.
        """
        e = dataset.events
        if not len(e):
            raise BadData(f"{dataset.name!r} has no events; a ranker that learns from a log needs at least one")
        drawn = _untouched(dataset, np.repeat(e.user, negatives), seed)
        rows = np.concatenate([np.arange(len(e)), np.repeat(np.arange(len(e)), negatives)])
        item = np.concatenate([e.item, drawn])
        label = np.concatenate([np.ones(len(e), np.float32), np.zeros(len(drawn), np.float32)])
        held = item >= 0  # who has touched everything has no negatives
        rows, item, label = rows[held], item[held], label[held]
        view, ends = view or FeatureView(dataset), _ends(dataset)
        made = moments(
            view, e.user[rows], item, None if e.time is None else e.time[rows],
            ends=None if ends is None else ends[rows], vectors=vectors,
        )  # fmt: skip
        return replace(
            made, labels={"take": label}, part=None if e.part is None else e.part[rows],
            group=e.user[rows].astype(np.int64), said=f"the log, each event beside {negatives} drawn items",
        )  # fmt: skip


def _such(value: Array, rule: str) -> Array:
    """bool[n]: whether each value is as the rule says."""
    found = RULE.fullmatch(rule.strip())
    if found is None:
        raise BadSetting(f"a task's rule is {rule!r}; expected a bound on the values, such as '>=4' or '<=2'")
    return value >= float(found[2]) if found[1] == ">=" else value <= float(found[2])


# --------------------------------------------------------------------------------------------------------------------
# One function makes the columns, in training and in serving


def candidates(
    view: FeatureView | None, requests: Requests, items: Array, *, fields: Collection[str] | None = None,
    numbers: Collection[str] | None = None, sequences: Collection[str] | None = None, vectors: Collection[str] = (),
) -> Examples:  # fmt: skip
    """One example for each place of `items` (int[n, k]), row by row, with what was known at the request's moment.

    Of `fields`, `numbers` and `sequences` only those named are made (None: all, with the tables of `vectors`): `user`,
    `item`, `user.NAME`, `item.NAME`, `context.NAME`, `user_log.NAME`, `item_log.NAME`, `vector.TABLE.PLACE`, and where
    requests have queries their last words, `query.1` (the last), `query.2` ... A name without such a prefix is looked
    for in the request's context, then in the catalogue, then among what is known of the user.
    """
    history = requests.history
    if requests.at is not None and "time" in history:
        history = history.where(history["time"] < np.repeat(requests.at, history.lengths))
    history = history.last(HISTORY)
    past = sides(history, view) if sequences is None or sequences else {}
    requests = replace(requests, history=history)
    shape, flat = items.shape, items.reshape(-1)
    made: dict[str, Array] = {USER: np.broadcast_to(requests.user[:, None], shape).reshape(-1), ITEM: flat}
    asked = None if fields is None or numbers is None else {*fields, *numbers}
    given = {name: np.asarray(c) for name, c in requests.context.items()}
    for name, column in _joined(view, requests, items, asked).items():
        made[name] = np.broadcast_to(column, shape).reshape(-1)  # what one request repeats lies there once
    if view is not None:
        told = {a.split(".", 1)[1].rpartition(".")[0] for a in asked or () if a.startswith("vector.")}
        made |= _vectors(view, flat, [t for t in told if t in view.dataset.vectors] if asked is not None else vectors)
    if requests.query is not None and (asked is None or any(a.startswith("query.") for a in asked)):
        for name, column in _spoken(requests.query).items():
            made[name] = np.broadcast_to(column[:, None], shape).reshape(-1)
    for name, column in given.items():
        if column.dtype.kind not in "biuf":
            made[f"context.{name}"] = np.repeat(keyed(column), shape[1])
    for name in asked or ():
        if name not in made and name in given:
            categorical = name in (fields or ())
            made[name] = np.repeat(keyed(given[name]) if categorical else number(pl.Series(given[name])), shape[1])
        for prefix in ("context", "item", "user"):
            if name not in made and f"{prefix}.{name}" in made:
                made[name] = made[f"{prefix}.{name}"]
    held = {k: c for k, c in made.items() if c.dtype.kind == "f" and (numbers is None or k in numbers)}
    kept = {k: c for k, c in made.items() if c.dtype.kind != "f" and (fields is None or k in fields)}
    rows = np.repeat(np.arange(len(requests)), shape[1])
    return Examples(
        fields=kept, numbers=held,
        sequences={name: part.take(rows) for name, part in past.items() if sequences is None or name in sequences},
        at=None if requests.at is None else np.repeat(requests.at, shape[1]),
    )  # fmt: skip


def sides(history: Ragged, view: FeatureView | None) -> dict[str, Ragged]:
    """A history as the histories that it is made of: all of it, what was liked and disliked, and each kind of event.

    The former two where the log's values are ratings, the kinds where the log has several.
    """
    out = {"history": Ragged(offsets=history.offsets, columns={"item": history["item"]})}
    if view is not None and view.rated and "value" in history:
        out["history.liked"] = out["history"].where(history["value"] >= LIKED)
        out["history.disliked"] = out["history"].where(history["value"] <= DISLIKED)
    kinds = () if view is None else view.dataset.events.kinds
    if len(kinds) > 1 and "kind" in history:
        out |= {f"history.{kind}": out["history"].where(history["kind"] == i) for i, kind in enumerate(kinds)}
    return out


def _vectors(view: FeatureView, items: Array, tables: Collection[str]) -> dict[str, Array]:
    """float32[n] each: the numbers of these tables of item vectors."""
    return {f"vector.{name}": c for table in tables for name, c in view.vectors(table, items).items()}


def _spoken(queries: Sequence[str | None]) -> dict[str, Array]:
    """int64[n] each: the keys of the last words of each query, the last one first."""
    said = {query: words(query or "")[::-1] for query in set(queries)}
    none = [None] * WORDS
    rows = np.array([[*said[query], *none][:WORDS] for query in queries], object).reshape(-1, WORDS)
    return {f"query.{place + 1}": keyed(column) for place, column in enumerate(rows.T)}


def _joined(
    view: FeatureView | None, requests: Requests, items: Array, asked: Collection[str] | None
) -> dict[str, Array]:
    """The columns of the view that are asked for, float32 or int64 keys, [n, k] or [n, 1] each."""
    if view is None:
        return {}
    timed = view.dataset.events.time is not None and requests.at is not None  # else counters would count the answer

    def wanted(prefix: str) -> bool:
        return asked is None or any(a.startswith(prefix + ".") or "." not in a for a in asked)

    out: dict[str, Array] = {}
    if wanted("user"):
        out |= {f"user.{k}": c[:, None] for k, c in view.user(requests.user).items()}
    if wanted("context"):
        out |= {f"context.{k}": c[:, None] for k, c in view.context(requests).items()}
    if wanted("item"):
        out |= {f"item.{k}": c for k, c in view.items(items).items()}
    if timed and (asked is None or any(a.startswith("user_log.") for a in asked)):
        out |= {f"user_log.{k}": c[:, None] for k, c in view.counters_user(requests.user, requests.at).items()}
    if timed and (asked is None or any(a.startswith("item_log.") for a in asked)):
        out |= {f"item_log.{k}": c for k, c in view.counters(items, requests.at).items()}
    for name, column in out.items():
        if column.dtype.kind != "f":  # places in a vocabulary that may grow: their names' keys stay
            keys = np.append(keys_of(view.vocabulary[name]), MISSING)
            out[name] = keys[np.where(column < 0, len(keys) - 1, column)]
    return out


def moments(
    view: FeatureView, user: Array, item: Array, at: Array | None, *, ends: Array | None = None,
    query: Sequence[str | None] | None = None, vectors: Collection[str] = (),
) -> Examples:  # fmt: skip
    """Examples without labels: each user with one item at one moment, joined as a request for that item would be.

    `ends` (int64[n]) are the places in the log where the users' histories end; by default, the first event at `at`.
    `query` is what each moment asked for, None for nothing.
    """
    events = view.dataset.events
    if ends is None:
        ends = _before(view.dataset, user, at)
    known = (user >= 0) & (user < view.dataset.n_users)
    starts = np.maximum(np.where(known, view.dataset.offsets[np.where(known, user, 0)], ends), ends - HISTORY)
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], ends - starts)
    columns = {k: c[places] for k, c in events.history_columns().items() if k in ("item", "value", "kind")}
    history = Ragged(offsets=offsets, columns=columns)
    requests = Requests(user=user.astype(np.int32), history=history, query=query, at=at)
    return candidates(view, requests, item[:, None], vectors=vectors)


def _ends(dataset: Dataset) -> Array | None:
    """int64[n_events]: where each event's own history ends: before all events of the same moment."""
    e = dataset.events
    if e.time is None:
        if not e.ordered:
            raise BadData(f"the log of {dataset.name!r} has neither times nor an order, so nothing is before anything")
        return np.arange(len(e))
    new = np.ones(len(e), bool)
    new[1:] = (np.diff(e.time) != 0) | (np.diff(e.user) != 0)
    return np.maximum.accumulate(np.where(new, np.arange(len(e)), 0))


def _before(dataset: Dataset, user: Array, at: Array | None) -> Array:
    """int64[n]: the place in the log of each user's first event at or after `at`."""
    e = dataset.events
    known = (user >= 0) & (user < dataset.n_users)
    safe = np.where(known, user, 0)
    if at is None or e.time is None:
        return np.where(known, dataset.offsets[safe + 1], 0)
    instants, rank = np.unique(e.time, return_inverse=True)
    width = len(instants) + 1
    keys = e.user.astype(np.int64) * width + rank
    found = np.searchsorted(keys, safe.astype(np.int64) * width + np.searchsorted(instants, at))
    return np.where(known, found, 0)


def _untouched(dataset: Dataset, user: Array, seed: int) -> Array:
    """int32[n]: for each user an item with events that this user has none with; -1 where there is none."""
    e = dataset.events
    pool, width = np.unique(e.item), np.int64(max(dataset.n_items, 1))
    taken = np.unique(e.user * width + e.item)
    rng = np.random.default_rng([seed, 7])
    out = np.full(len(user), -1, np.int32)
    left = np.flatnonzero(np.bincount(taken // width, minlength=dataset.n_users)[user] < len(pool))
    while len(left):
        drawn = pool[rng.integers(0, len(pool), len(left))]
        key = user[left] * width + drawn
        free = taken[np.minimum(np.searchsorted(taken, key), len(taken) - 1)] != key
        out[left[free]] = drawn[free]
        left = left[~free]
    return out


def _groups(table: pl.DataFrame, fields: Mapping[str, Array]) -> Array | None:
    """Whose each row is: the column group, else the user, else the request."""
    for name in ("group", "user_id", "user", "request_id"):
        if name in table.columns:
            return table[name].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return fields.get(USER)
