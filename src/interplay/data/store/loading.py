"""Files into a store: events, impressions, items and users, streamed; what cannot be used goes to a file of its own.

    ingest(store, ["events.csv", "items.parquet", "ml-1m/ratings.dat", "gorse-export/"])

What lies in a file is told by data/formats.py, as for a data set directory. An event's id is its `event_id` column, or
follows from its row, so that the same file counts once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from interplay.data import checks, formats
from interplay.data.files import ROW
from interplay.data.ingest import RefusedRows
from interplay.data.parts import KEYS, Part, typed_cells
from interplay.data.report import Report
from interplay.data.store import impressions
from interplay.data.store import schema as t
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import spoken
from interplay.data.store.store import Store, now
from interplay.errors import BadData

ROWS = 20_000  # rows in one transaction
Progress = Callable[[str, Mapping[str, Any]], None]
OWN = frozenset({*checks.KNOWN, "event_id", "undoes"})  # columns of an event; further ones are its payload


def ingest(
    store: Store,
    files: Sequence[str | Path] | str | Path,
    *,
    time_unit: str | None = None,
    progress: Progress | None = None,
    batch: int = ROWS,
) -> Report:
    """Take files, or the files of dataset directories, into the store; counts of every file.

    Good rows are durable batch by batch, so an interrupted call is simply made again. Refused rows lie in the store's
    files, named in the report. Errors: BadData for wrong columns, wrong time units and files that are cut off.
    """
    paths = [Path(files)] if isinstance(files, (str, Path)) else [Path(f) for f in files]
    parts = [part for path in paths for part in formats.lying(path, time_unit)]
    if not parts:
        raise BadData("nothing to ingest; name at least one file or dataset directory")
    report, name = Report(store.tenant), secrets.token_hex(6)
    listed = sorted(_held(parts, report), key=lambda part: part.table == "interactions")
    target, repeated = store.files("refused", f"{name}.csv"), 0
    with ExitStack() as held:
        report.sink = RefusedRows(target, held)
        for part in listed:
            for frame in part.read(report, batch):
                if part.table == "interactions":
                    repeated += _events(store, frame, part, report)
                elif part.table == "impressions":
                    repeated += _shown(store, frame, part, report)
                else:
                    _described(store, frame, part, report)
                if progress is not None:
                    c = report.counts(part.name)
                    progress(f"ingest {part.name}", {"rows": c.rows, "kept": c.kept, "refused": c.refused})
    report.sink = None
    if report.refused:
        report.note(f"refused rows are in {target}")
    if repeated:
        said = "events or impressions" if any(part.table == "impressions" for part in listed) else "events"
        report.note(f"{repeated:,} {said} were in the store already")
    read = sorted({str(part.file) for part in listed})
    row = {
        "tenant": store.tenant, "batch": name, "at": now(), "files": json.dumps(read),
        "rows": report.rows, "kept": report.kept - repeated, "repeated": repeated, "refused": report.refused,
        "refused_file": f"refused/{name}.csv" if report.refused else None,
    }  # fmt: skip
    store.database.write(lambda connection: store.database.insert(connection, t.batches, [row]))
    return report


def _held(parts: Sequence[Part], report: Report) -> Iterator[Part]:
    """The parts that a store has a place for; the others are noted."""
    for part in parts:
        if part.table in ("interactions", "impressions", *KEYS):
            yield part
        else:
            report.note(f"{part.name}: {part.table} are for judging search (--data); a store holds none, left out")


def _events(store: Store, frame: pl.DataFrame, part: Part, report: Report) -> int:
    """Keep one batch of events; how many were there already."""
    at = now()
    kept = checks.interactions(frame, part.name, report, part.unit).kept()
    more = [c for c in kept.columns if c not in OWN and c != ROW]
    events = []
    for row in kept.iter_rows(named=True):
        said = {c: spoken(row[c]) for c in more if row[c] is not None}
        events.append(
            Happened(
                event_id=str(row.get("event_id") or _named(row)), user_id=row["user_id"],
                item_id=row["item_id"], event_type=row.get("event_type") or "view", time=row.get("timestamp", at),
                value=row.get("value"), request_id=_text(row.get("request_id")), payload=said or None,
                session_id=_text(row.get("session_id")), surface=_text(row.get("surface")),
                undoes=_text(row.get("undoes")),
            )
        )  # fmt: skip
    return store.append(events).repeated


def _shown(store: Store, frame: pl.DataFrame, part: Part, report: Report) -> int:
    """Keep one batch of impressions; how many were there already. A chance that is none is refused with its row."""
    checked = checks.Checked(frame, part.name, report)
    checked.ids("request_id")
    checked.ids("item_id")
    if "user_id" in frame.columns:
        checked.ids("user_id", optional=True)
    if "timestamp" in frame.columns:
        checked.times("timestamp", part.unit)
    for name in [c for c in impressions.CHANCES if c in frame.columns]:
        p = frame[name].cast(pl.Float64, strict=False)
        checked.refuse(
            ~((p > 0) & (p <= 1)) & frame[name].is_not_null(), name,
            lambda v: f"{v} is no chance; expected a number above 0, at most 1, or nothing where it is not known",
        )  # fmt: skip
        checked.set(name, p)
    kept = checked.kept()
    return len(kept) - impressions.keep(store, kept.drop(ROW))


def _named(row: Mapping[str, Any]) -> str:
    """An id that follows from what the row says and from its place in the file."""
    said = "\n".join(str(row.get(c)) for c in (ROW, "user_id", "item_id", "timestamp", "event_type", "value"))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _described(store: Store, frame: pl.DataFrame, part: Part, report: Report) -> None:
    key = KEYS[part.table]
    checked = checks.Checked(frame, part.name, report)
    checked.ids(key)
    kept = checked.kept().drop(ROW)
    if part.untyped:
        kept = typed_cells(kept, key)
    rows = [{k: spoken(v) for k, v in row.items() if v is not None} for row in kept.iter_rows(named=True)]
    (store.put_items if part.table == "items" else store.put_users)(rows)
