"""The directory format: Parquet files that become a `Dataset`, and back.

Only `interactions` is needed: user_id, item_id; optional timestamp (int64 microseconds UTC), order (rank within the
user), event_type, value, session_id, split (train/valid/test); any other column is context. Beside it `items` and
`users` (item_id, user_id, any columns), `vectors/NAME` (item_id or user_id, one fixed-size list), and the tables in
`TABLES`. Sorting is by user, timestamp, order, row. CSV, TSV, Arrow and JSON lines are read as well.

Users and items are numbered by a keyed hash of their external id: the numbering that public files come with often
follows popularity or first appearance (the next item is then the next number), and no model may see that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data import checks
from interplay.data.files import ROW, SUFFIXES, TEXTUAL, frame, read_table, recovered, row_numbers, typed, written_whole
from interplay.data.labelled import mentioned
from interplay.data.report import Report, log
from interplay.errors import BadData
from interplay.types import EMPTY, TEST, TRAIN, VALID, Array, Dataset, Events, Ids

TABLES = ("attributes", "item_attributes", "impressions", "examples", "baskets", "queries", "qrels", "runs", "triples",
          "dialogues")  # fmt: skip
SPOKEN = {TRAIN: "train", VALID: "valid", TEST: "test"}


def from_frames(
    name: str,
    interactions: Any = None,
    items: Any = None,
    users: Any = None,
    tables: Mapping[str, Any] = EMPTY,
    vectors: Mapping[str, Any] = EMPTY,
    *,
    time_unit: str | None = None,
    bad: str = "raise",
    report: Report | None = None,
    files: Mapping[str, str] = EMPTY,
) -> Dataset:
    """A Dataset from tables (Polars, pandas, Arrow, or mappings of columns) with the columns of the directory format.

    Args:
        interactions: the event log; None for a set that has only a catalogue and queries.
        vectors: name -> table of item_id (or user_id) and one list column; or a float array with a row per `items` row.
        time_unit: what `timestamp` is in, if not microseconds.
        bad: what becomes of rows that cannot be used: "raise" one sentence, or "skip" them (a warning is logged).
        report: filled with counts, refused rows and notes.
        files: table name -> the file name to speak of.

    Errors: BadData.

    >>> d = from_frames("shop", {"user_id": ["ann", "ann", 7], "item_id": [1, 2, 2]})
    >>> len(d.events), d.n_users, d.n_items
    (3, 2, 2)
    """
    if bad not in ("raise", "skip"):
        raise BadData(f"bad={bad!r}: expected 'raise' or 'skip'")
    report = Report(name) if report is None else report
    called = {n: files.get(n, n) for n in ("interactions", "items", "users")}
    nothing = {"user_id": pl.Series([], dtype=pl.Int64), "item_id": pl.Series([], dtype=pl.Int64)}
    events = _events(
        frame(nothing if interactions is None else interactions), called["interactions"], report, time_unit
    )
    things = None if items is None else _entities(frame(items), "item_id", called["items"], report)
    people = None if users is None else _entities(frame(users), "user_id", called["users"], report)
    return assembled(
        name, events, things, people, tables, vectors, bad=bad, report=report, called=called,
        logged=interactions is not None,
    )  # fmt: skip


def assembled(
    name: str, events: pl.DataFrame, things: pl.DataFrame | None, people: pl.DataFrame | None,
    tables: Mapping[str, Any] = EMPTY, vectors: Mapping[str, Any] = EMPTY, *, bad: str, report: Report,
    called: Mapping[str, str], logged: bool = True,
) -> Dataset:  # fmt: skip
    """A Dataset from tables whose rows are checked: what `report` refused until now is raised or skipped by `bad`.

    `called` names the files of interactions, items and users; `logged` says whether there was a log at all.
    """
    if bad == "raise":
        report.require()
    elif report.refused:
        log.warning("%s: %d of %d rows refused; the first: %s", name, report.refused, report.rows, report.problems[0])

    labelled = frame(tables["examples"]) if "examples" in tables else None
    item_ids, events = _space(events, things, "item_id", called["items"], report, mentioned(labelled, "item"))
    user_ids, events = _space(events, people, "user_id", called["users"], report, mentioned(labelled, "user"))
    if logged and not len(events):
        report.note(f"{called['interactions']} has no events; nothing can be learnt from behaviour")
    kept, user_vectors = _vectors(vectors, things, item_ids, report)
    return Dataset(
        name=name, users=user_ids, items=item_ids, events=_sorted(events, report, called["interactions"]),
        catalogue=_aligned(things, "item_id", item_ids), people=_aligned(people, "user_id", user_ids),
        tables={**{n: frame(t) for n, t in tables.items()}, **user_vectors}, vectors=kept,
    )  # fmt: skip


def read_directory(
    path: str | Path, *, time_unit: str | None = None, bad: str = "raise", report: Report | None = None
) -> Dataset:
    """The Dataset in a directory of our format (or in a single file of interactions); arguments as in `from_frames`.

    Errors: BadData for missing files or columns, files that are cut off, and (unless bad="skip") unusable rows.
    """
    path = Path(path)
    report = Report(path.name) if report is None else report
    found = {"interactions": path} if path.is_file() else _found(path, report)
    read = {n: _read(p, report) for n, p in found.items() if not n.startswith("vectors/")}
    vectors = {n.removeprefix("vectors/"): _read(p, report) for n, p in found.items() if n.startswith("vectors/")}
    extra = {n: read.pop(n) for n in list(read) if n not in ("interactions", "items", "users")}
    for name, table in extra.items():  # nothing is checked in these: what came in is kept
        report.counts(found[name].name).kept += len(table)
    for name, table in vectors.items():
        report.counts(found[f"vectors/{name}"].name).kept += len(table)
    return from_frames(
        path.stem if path.is_file() else path.name, read.get("interactions"), read.get("items"), read.get("users"),
        {n: t.drop(ROW) for n, t in extra.items()}, {n: t.drop(ROW) for n, t in vectors.items()},
        time_unit=time_unit, bad=bad, report=report, files={n: p.name for n, p in found.items()},
    )  # fmt: skip


def write_directory(dataset: Dataset, path: str | Path, *, replace: bool = False) -> Path:
    """Write `dataset` as Parquet files, whole or not at all; reading it back gives an equal dataset.

    Errors: BadData if `path` exists and may not be replaced; InterplayError if the disk is full.
    """
    path = Path(path)
    with written_whole(path, replace=replace) as fresh:
        _log_frame(dataset).write_parquet(fresh / "interactions.parquet")
        for file, ids, column, told in (
            ("items", dataset.items, "item_id", dataset.catalogue),
            ("users", dataset.users, "user_id", dataset.people),
        ):
            named = pl.DataFrame({column: _id_column(ids)})
            if told is not None:
                named = named.with_columns(told.drop(column, strict=False).get_columns())
            named.write_parquet(fresh / f"{file}.parquet")
        (fresh / "vectors").mkdir()
        for name, table in dataset.tables.items():
            target = fresh / "vectors" / f"{name.removeprefix('user_vectors/')}.parquet"
            table.write_parquet(target if name.startswith("user_vectors/") else fresh / f"{name}.parquet")
        for name, vectors in dataset.vectors.items():
            held = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
            pl.DataFrame({"item_id": _id_column(dataset.items), "vector": held}).write_parquet(
                fresh / "vectors" / f"{name}.parquet"
            )
    return path


# --------------------------------------------------------------------------------------------------------------------
# Parts


def _found(path: Path, report: Report) -> dict[str, Path]:
    """Table name -> file, for every table of the format in a directory."""
    if not recovered(path).is_dir():
        raise BadData(f"no data set at {path}; expected a directory with interactions.parquet, or one file")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if not file.is_file() or file.suffix.lower() not in SUFFIXES:
            continue
        name = file.name.removesuffix(file.suffix)
        if name == "refused":
            continue  # what ingest could not use
        if name not in ("interactions", "items", "users", *TABLES):
            report.note(f"{file.name} is no table of the format; left alone")
        elif name in found:
            raise BadData(f"{path} holds {name} twice: {found[name].name} and {file.name}; keep one")
        else:
            found[name] = file
    if (path / "vectors").is_dir():
        for file in sorted((path / "vectors").iterdir()):
            if file.suffix.lower() in SUFFIXES:
                found[f"vectors/{file.stem}"] = file
    if not {"interactions", "items", "examples"} & set(found):
        held = sorted(f.name for f in path.iterdir())
        raise BadData(f"{path} holds no interactions.parquet (or .csv), no items and no examples; it holds {held}")
    return found


def _read(path: Path, report: Report) -> pl.DataFrame:
    table = read_table(path, report)
    if path.suffix.lower() not in TEXTUAL:
        return table
    names = [c for c in table.columns if c not in (*checks.KNOWN, ROW)]  # ids and known columns are typed by the checks
    return table.with_columns(typed(table[c]) for c in names)


def _events(table: pl.DataFrame, file: str, report: Report, unit: str | None) -> pl.DataFrame:
    if ROW not in table.columns:
        report.counts(file).rows += len(table)
        table = table.with_columns(pl.Series(ROW, row_numbers(table)))
    kept = checks.interactions(table, file, report, unit).kept()
    return kept.drop(ROW)


def _entities(table: pl.DataFrame, column: str, file: str, report: Report) -> pl.DataFrame:
    """items or users: one row per id."""
    checks.columns(table, (column,), file)
    if ROW not in table.columns:
        report.counts(file).rows += len(table)
    checked = checks.Checked(table, file, report)
    checked.ids(column)
    checked.refuse(
        ~checked.table[column].is_first_distinct(), column, lambda v: f"{v!r} is described twice; the first stays"
    )
    return finite(checked.kept().drop(ROW, strict=False), file, report)


def finite(kept: pl.DataFrame, file: str, report: Report) -> pl.DataFrame:
    """A table of items or users in which NaN and infinite numbers are missing ones; how many is noted."""
    floats = [c for c, kind in kept.schema.items() if kind.is_float()]
    odd = {c: int((~kept[c].is_finite()).sum()) for c in floats}
    for name, count in odd.items():
        if count:
            report.note(f"{file}: {count:,} NaN or infinite values of {name} are taken as missing")
    fixed = [pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c, n in odd.items() if n]
    return kept.with_columns(fixed)


def _space(
    events: pl.DataFrame, told: pl.DataFrame | None, column: str, file: str, report: Report, also: pl.Series
) -> tuple[Ids, pl.DataFrame]:
    """The index space of users or of items, and the log with an int32 column `user` or `item` for the ids.

    `also` are ids that labelled examples mention; they have places too.
    """
    here = events[column]
    there = pl.Series(column, [], dtype=here.dtype) if told is None else told[column]
    if there.dtype != here.dtype:  # 7 in one file and "7" in the other are one id
        if not len(here):
            here = here.cast(there.dtype)
        elif len(there):
            here, there = here.cast(pl.String), there.cast(pl.String)
        else:
            there = there.cast(here.dtype)
    seen = here.unique()
    unheard = seen.filter(~seen.is_in(there.implode()))
    if told is not None and len(unheard):
        what = column.removesuffix("_id")
        report.note(f"{len(unheard):,} {what}s of the log are not in {file}; they are in the index space all the same")
    names = pl.concat([there, unheard]) if len(unheard) else there
    names = _with(names, also)  # text, where one of the two is
    ids = Ids(names.to_list())
    order = np.argsort(ids.keys, kind="stable")  # the keyed hash says nothing about popularity or first appearance
    ids = Ids(names.gather(order).to_list() if len(order) else [])
    places = np.arange(len(order), dtype=np.int32)
    index = pl.DataFrame({column: names.gather(order), column.removesuffix("_id"): places})
    here = here.cast(names.dtype).alias(column)
    joined = events.with_columns(here).join(index, on=column, how="left", maintain_order="left")
    return ids, joined.drop(column)


def _with(names: pl.Series, also: pl.Series) -> pl.Series:
    """`names` and whatever of `also` is not among them; all as text where one of the two is."""
    also = also.drop_nulls().unique()
    if not len(also):
        return names
    if not len(names):
        return also.alias(names.name)
    if also.dtype != names.dtype:
        names, also = names.cast(pl.String), also.cast(pl.String)
    fresh = also.filter(~also.is_in(names.implode()))
    return pl.concat([names, fresh.alias(names.name)]) if len(fresh) else names


def _sorted(events: pl.DataFrame, report: Report, file: str) -> Events:
    """Events sorted by (user, time, order, row)."""

    def column(name: str) -> Array | None:
        return events[name].to_numpy() if name in events.columns else None

    _repeated(events, report, file)
    user, time, order = events["user"].to_numpy(), column("timestamp"), column("order")
    keys = [k for k in (order, time) if k is not None]
    by = np.lexsort([*keys, user]) if keys else np.argsort(user, kind="stable")
    events = events[by] if len(by) and (np.diff(by) != 1).any() else events
    kind, kinds = None, ()
    if "event_type" in events.columns:
        kinds = tuple(events["event_type"].unique().sort().to_list())
        kind = (
            events["event_type"].replace_strict(list(kinds), list(range(len(kinds))), return_dtype=pl.Int16).to_numpy()
        )
    if time is not None and len(time):
        middle = float(np.median(time)) / 1e6
        if not checks.PLAUSIBLE[0] <= middle <= checks.PLAUSIBLE[1]:
            report.note(
                f"{file}: times are around {middle:.3g} s after 1970, outside 1995 to 2100; are they microseconds?"
            )
    known = {"user", "item", *checks.CHECKED}
    return Events(
        user=_own(events["user"]), item=_own(events["item"]),
        time=_own(events["timestamp"]) if time is not None else None,
        value=_own(events["value"]) if "value" in events.columns else None,
        kind=kind, kinds=kinds, session=_sessions(events), ordered=time is None and order is not None,
        part=_own(events["split"]) if "split" in events.columns else None,
        context={c: _own(events[c]) for c in events.columns if c not in known},
    )  # fmt: skip


def _repeated(events: pl.DataFrame, report: Report, file: str) -> None:
    """Note how many rows say what another row says; they are events all the same."""
    more = [c for c in ("timestamp", "event_type", "order") if c in events.columns]
    pair = pl.col("user").cast(pl.Int64) * 2**32 + pl.col("item")
    distinct = events.select(pair.alias("pair"), *more).select(pl.struct("pair", *more) if more else "pair")
    repeated = len(events) - distinct.to_series().n_unique()
    if repeated:
        said = ", ".join(["user_id", "item_id", *more])
        report.note(f"{file}: {repeated:,} rows repeat another row's {said}; they are kept as events")


def _sessions(events: pl.DataFrame) -> Array | None:
    """int64[m]: integers as they are, names numbered in order of first row; -1 for no session."""
    if "session_id" not in events.columns:
        return None
    named = events["session_id"]
    if named.dtype == pl.String:
        known = named.drop_nulls().unique(maintain_order=True)
        named = named.replace_strict(known, np.arange(len(known)), default=None, return_dtype=pl.Int64)
    return _own(named.fill_null(-1).cast(pl.Int64))


def _own(column: pl.Series) -> Array:
    """A NumPy array that may be written to and does not keep a frame alive."""
    return np.array(column.to_numpy(), copy=True)


def _aligned(told: pl.DataFrame | None, column: str, ids: Ids) -> pl.DataFrame | None:
    """Row i describes index i; an id that the table does not know has an empty row."""
    if told is None:
        return None
    names = _id_column(ids)
    if names.dtype != told[column].dtype:
        told = told.with_columns(pl.col(column).cast(names.dtype))
    return pl.DataFrame({column: names}).join(told, on=column, how="left", maintain_order="left")


def _id_column(ids: Ids) -> pl.Series:
    """External ids as one column: integers if all are, else text."""
    whole = all(isinstance(n, int) for n in ids)
    return pl.Series(list(ids.names), dtype=pl.Int64) if whole else pl.Series([str(n) for n in ids], dtype=pl.String)


def _vectors(
    vectors: Mapping[str, Any], items: pl.DataFrame | None, ids: Ids, report: Report
) -> tuple[dict[str, Array], dict[str, pl.DataFrame]]:
    """float32[n_items, dim] per name (zeros where an item has none), and the user vectors as tables."""
    kept: dict[str, Array] = {}
    tables: dict[str, pl.DataFrame] = {}
    for name, given in vectors.items():
        if isinstance(given, np.ndarray):
            if items is None or len(given) != len(items):
                held = "no items" if items is None else f"{len(items)} items"
                raise BadData(
                    f"vectors/{name} has {len(given)} rows and the catalogue {held}; one row per item is needed"
                )
            owners, values = items["item_id"], np.asarray(given, np.float32)
        else:
            table = frame(given)
            if "user_id" in table.columns and "item_id" not in table.columns:
                tables[f"user_vectors/{name}"] = table
                continue
            checks.columns(table, ("item_id",), f"vectors/{name}")
            lists = [c for c, kind in table.schema.items() if isinstance(kind, (pl.List, pl.Array))]
            if len(lists) != 1:
                raise BadData(f"vectors/{name} should have item_id and one list column; it has {table.columns}")
            lengths = table[lists[0]].list.len() if isinstance(table.schema[lists[0]], pl.List) else None
            if lengths is not None and (lengths.n_unique() > 1 or lengths.null_count()):
                raise BadData(f"vectors/{name}: lists of different length; every item needs a vector of one size")
            owners = table["item_id"]
            values = np.array(table[lists[0]].to_list(), np.float32).reshape(len(table), -1)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
            raise BadData(
                f"vectors/{name}, row {row + 1}, item {owners[row]!r}: NaN or infinite; vectors must be finite"
            )
        index = ids.index(owners.to_list())
        out = np.zeros((len(ids), values.shape[1]), np.float32)
        out[index[index >= 0]] = values[index >= 0]
        strangers, without = int((index < 0).sum()), len(ids) - len(np.unique(index[index >= 0]))
        if strangers:
            report.note(f"vectors/{name}: {strangers:,} vectors of items that neither items nor the log know; left out")
        if without:
            report.note(f"vectors/{name}: {without:,} items have no vector; theirs is zero")
        kept[name] = out
    return kept, tables


def _log_frame(dataset: Dataset) -> pl.DataFrame:
    """The event log with external ids, in canonical order."""
    e = dataset.events
    out: dict[str, Any] = {
        "user_id": _id_column(dataset.users).gather(e.user), "item_id": _id_column(dataset.items).gather(e.item)
    }  # fmt: skip
    if e.time is not None:
        out["timestamp"] = e.time
    elif e.ordered:
        out["order"] = np.arange(len(e)) - dataset.offsets[e.user]
    if e.kind is not None:
        out["event_type"] = pl.Series(list(e.kinds), dtype=pl.String).gather(e.kind)
    if e.value is not None:
        out["value"] = e.value
    if e.session is not None:
        out["session_id"] = e.session
    if e.part is not None:
        out["split"] = pl.Series(e.part).replace_strict(SPOKEN, return_dtype=pl.String)
    return pl.DataFrame({**out, **{n: pl.Series(c) for n, c in e.context.items()}})
