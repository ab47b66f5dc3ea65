"""What other people's files hold, one table of one file at a time: a reader for a data set and for a store alike.

    for part in formats.recognised(path).parts:
        for frame in part.read(report, rows): ...       # our column names and ROW, at most about `rows` rows

A `Part` reads its file from the beginning each time, batch by batch, so memory is bounded by the batch. Read to the end
and put together, the parts of a directory are a `Dataset`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data import checks
from interplay.data.files import BATCH, ROW, TEXTUAL, batches, delimiter, objects, typed
from interplay.data.report import Report
from interplay.data.tables import assembled, finite
from interplay.types import EMPTY, Dataset

KEYS = {"items": "item_id", "users": "user_id"}
SHOWN = ("request_id", "slot", "item_id")  # columns that make a file one of impressions
PLAIN = frozenset({"title", "text", "timestamp"})  # never taken for numbers, whatever stands in them
Read = Callable[[Report, int], Iterator[pl.DataFrame]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One table out of one file."""

    table: str  # interactions, items, users, impressions, queries, qrels, runs
    file: Path
    read: Read  # (report, rows) -> batches; rows are counted and broken lines refused in the report
    unit: str | None = None  # of `timestamp`, where it is not microseconds
    called: str = ""  # in the report, where one file holds several tables
    untyped: bool = False  # cells are text, and numbers are to be found among them

    @property
    def name(self) -> str:
        return self.called or self.file.name


def of_file(table: str, path: Path, *, unit: str | None = None) -> Part:
    """A file that has our own column names."""

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        return batches(path, report, rows=rows)

    return Part(table=table, file=path, read=read, unit=unit, untyped=path.suffix.lower() in TEXTUAL)


def of_frame(table: str, path: Path, held: Callable[[], pl.DataFrame]) -> Part:
    """A table that its reader makes whole: nothing bounds its memory."""
    called = f"{path.name} ({table})"

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        whole = held()
        whole = whole.with_columns(pl.Series(ROW, np.arange(1, len(whole) + 1)))
        for lo in range(0, max(len(whole), 1), rows):
            part = whole[lo : lo + rows]
            report.counts(called).rows += len(part)
            yield part

    return Part(table=table, file=path, read=read, called=called)


def made(
    path: Path, report: Report, rows: int, row: Callable[[dict[str, Any]], dict[str, Any] | None],
    schema: Mapping[str, Any] = EMPTY,
) -> Iterator[pl.DataFrame]:  # fmt: skip
    """Batches of what `row` makes of each JSON object of a file; an object of which it makes nothing is no row."""
    held: list[dict[str, Any]] = []
    for number, record in objects(path, report):
        told = row(record)
        if told is None:
            continue
        report.counts(path.name).rows += 1
        held.append({**told, ROW: number})
        if len(held) >= rows:
            yield pl.DataFrame(held, schema_overrides=schema, infer_schema_length=None, strict=False)
            held = []
    if held:
        yield pl.DataFrame(held, schema_overrides=schema, infer_schema_length=None, strict=False)


def header(path: Path, separator: str = "") -> list[str]:
    """The names in the first line of a separated file; none for another kind of file."""
    if path.suffix.lower() not in TEXTUAL:
        return []
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        line = lines.readline(1 << 16).rstrip("\n")
    return [name.strip().strip('"') for name in line.split(separator or delimiter(line))]


def first(path: Path) -> dict[str, Any]:
    """The first JSON object of a file; nothing where there is none."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as lines:
            told = json.loads(lines.readline())
    except (OSError, EOFError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def mapped(part: Part, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Part:
    """The same part with each batch changed; rows stay rows."""

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        return map(change, part.read(report, rows))

    return Part(**{**vars(part), "read": read})


def derived(table: str, part: Part, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Part:
    """Another table out of the rows of a part, counted by itself; what is broken there is not refused again."""
    called = f"{part.file.name} ({table})"

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for batch in part.read(Report(part.name), rows):
            made = change(batch)
            report.counts(called).rows += len(made)
            yield made

    return Part(table=table, file=part.file, read=read, called=called)


def typed_cells(table: pl.DataFrame, *keep: str) -> pl.DataFrame:
    """Text columns as numbers where every cell is one, but for ids and texts."""
    return table.with_columns(typed(table[c]) for c in table.columns if c not in PLAIN and c not in (*keep, ROW))


def dataset_of(name: str, parts: Sequence[Part], *, bad: str = "raise", report: Report | None = None) -> Dataset:
    """The Dataset in some files; `bad` and `report` as in `tables.from_frames`.

    Who or what is described twice keeps the first description. Errors: BadData.
    """
    report = Report(name) if report is None else report
    held: dict[str, list[pl.DataFrame]] = {}
    for part in parts:
        read = partial(_checked, part, report)
        held.setdefault(part.table, []).extend(read(frame) for frame in part.read(report, BATCH))
    whole = {t: pl.concat(frames, how="diagonal_relaxed") for t, frames in held.items() if frames}
    called = {t: ", ".join(dict.fromkeys(p.name for p in parts if p.table == t)) or t for t in
              ("interactions", "items", "users")}  # fmt: skip
    told: dict[str, pl.DataFrame | None] = {}
    for table, key in KEYS.items():
        untyped = any(p.untyped for p in parts if p.table == table)
        told[table] = _described(whole.pop(table, None), key, called[table], report, untyped=untyped)
    log = whole.pop("interactions", None)
    if log is not None and any(p.untyped for p in parts if p.table == "interactions"):
        log = typed_cells(log, *checks.KNOWN)
    if told["items"] is None and log is None:  # judgements without a collection: items are known by their ids
        named = [whole[t].select("item_id") for t in ("qrels", "runs") if t in whole]
        told["items"] = pl.concat(named).unique(maintain_order=True) if named else None
    nothing = pl.DataFrame(schema={"user_id": pl.Int64, "item_id": pl.Int64})
    return assembled(
        name, nothing if log is None else log, told["items"], told["users"], whole, bad=bad, report=report,
        called=called, logged=log is not None,
    )  # fmt: skip


def _checked(part: Part, report: Report, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of a batch that can be used, without their numbers."""
    if part.table == "interactions":
        kept = checks.interactions(frame, part.name, report, part.unit).kept()
    elif part.table in KEYS:
        checks.columns(frame, (KEYS[part.table],), part.name)
        checked = checks.Checked(frame, part.name, report)
        checked.ids(KEYS[part.table])
        kept = checked.kept()
    else:  # nothing is checked in these: what came in is kept
        report.counts(part.name).kept += len(frame)
        kept = frame
    return kept.drop(ROW)


def _described(
    table: pl.DataFrame | None, key: str, called: str, report: Report, *, untyped: bool
) -> pl.DataFrame | None:
    if table is None:
        return None
    first = table.unique(key, keep="first", maintain_order=True)
    if len(first) < len(table):
        report.note(f"{called}: {len(table) - len(first):,} rows describe what is described already; the first stays")
    return finite(typed_cells(first, key) if untyped else first, called, report)
