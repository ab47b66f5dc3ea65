"""Files into a store: events, impressions, items and users, streamed; what cannot be used goes to a file of its own.

    ingest(store, ["events.csv", "items.parquet"])

What a file holds is known by its columns: request_id, slot and item_id are impressions, user_id and item_id events,
item_id alone describes items, user_id alone users. An event's id is its `event_id` column, or follows from its row, so
that the same file counts once.
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

from interplay.data import checks
from interplay.data.files import ROW, SUFFIXES, TEXTUAL, batches, column_names, typed
from interplay.data.ingest import RefusedRows
from interplay.data.report import Report
from interplay.data.store import impressions
from interplay.data.store import schema as t
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import spoken
from interplay.data.store.store import Store, now
from interplay.errors import BadData

ROWS = 20_000  # rows in one transaction
Progress = Callable[[str, Mapping[str, Any]], None]
KINDS = {"items": "item_id", "users": "user_id"}
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
    listed = sorted(_files(paths), key=lambda found: found[0] == "interactions")
    report, name = Report(store.tenant), secrets.token_hex(6)
    target, repeated = store.files("refused", f"{name}.csv"), 0
    with ExitStack() as held:
        report.sink = RefusedRows(target, held)
        for kind, path in listed:
            for part in batches(path, report, rows=batch):
                if kind == "interactions":
                    repeated += _events(store, part, path, report, time_unit)
                elif kind == "impressions":
                    repeated += _shown(store, part, path, report, time_unit)
                else:
                    _described(store, part, kind, path, report)
                if progress is not None:
                    c = report.counts(path.name)
                    progress(f"ingest {path.name}", {"rows": c.rows, "kept": c.kept, "refused": c.refused})
    report.sink = None
    if report.refused:
        report.note(f"refused rows are in {target}")
    if repeated:
        said = "events or impressions" if any(kind == "impressions" for kind, _ in listed) else "events"
        report.note(f"{repeated:,} {said} were in the store already")
    row = {
        "tenant": store.tenant, "batch": name, "at": now(), "files": json.dumps([str(p) for _, p in listed]),
        "rows": report.rows, "kept": report.kept - repeated, "repeated": repeated, "refused": report.refused,
        "refused_file": f"refused/{name}.csv" if report.refused else None,
    }  # fmt: skip
    store.database.write(lambda connection: store.database.insert(connection, t.batches, [row]))
    return report


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(what it holds, file) of all files, those in directories included."""
    if not paths:
        raise BadData("nothing to ingest; name at least one file or dataset directory")
    for path in paths:
        if path.is_dir():
            found = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and p.stem in _STEMS]
            if not found:
                raise BadData(f"{path} holds none of {', '.join(_STEMS)} as {', '.join(SUFFIXES)}; it is no data set")
            yield from ((_STEMS[p.stem], p) for p in found)
            continue
        columns = set(column_names(path))
        kind = _held(columns)
        if kind is None:
            raise BadData(
                f"{path.name} has columns {sorted(columns)}; expected user_id and item_id (events), request_id, slot "
                "and item_id (impressions), item_id (items) or user_id (users)"
            )
        yield kind, path


_STEMS = {
    "items": "items", "users": "users", "interactions": "interactions", "events": "interactions",
    "impressions": "impressions",
}  # fmt: skip


def _held(columns: set[str]) -> str | None:
    if set(impressions.NEEDED) <= columns:
        return "impressions"
    if {"user_id", "item_id"} <= columns:
        return "interactions"
    return next((kind for kind, key in KINDS.items() if key in columns), None)


def _events(store: Store, part: pl.DataFrame, path: Path, report: Report, unit: str | None) -> int:
    """Keep one batch of events; how many were there already."""
    at = now()
    kept = checks.interactions(part, path.name, report, unit).kept()
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


def _shown(store: Store, part: pl.DataFrame, path: Path, report: Report, unit: str | None) -> int:
    """Keep one batch of impressions; how many were there already. A chance that is none is refused with its row."""
    checked = checks.Checked(part, path.name, report)
    checked.ids("request_id")
    checked.ids("item_id")
    if "user_id" in part.columns:
        checked.ids("user_id", optional=True)
    if "timestamp" in part.columns:
        checked.times("timestamp", unit)
    if "propensity" in part.columns:
        p = part["propensity"].cast(pl.Float64, strict=False)
        checked.refuse(
            ~((p > 0) & (p <= 1)) & part["propensity"].is_not_null(), "propensity",
            lambda v: f"{v} is no chance; expected a number above 0, at most 1, or nothing where it is not known",
        )  # fmt: skip
        checked.set("propensity", p)
    kept = checked.kept()
    return len(kept) - impressions.keep(store, kept.drop(ROW), policy=path.stem)


def _named(row: Mapping[str, Any]) -> str:
    """An id that follows from what the row says and from its place in the file."""
    said = "\n".join(str(row.get(c)) for c in (ROW, "user_id", "item_id", "timestamp", "event_type", "value"))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _described(store: Store, part: pl.DataFrame, kind: str, path: Path, report: Report) -> None:
    key = KINDS[kind]
    checked = checks.Checked(part, path.name, report)
    checked.ids(key)
    kept = checked.kept().drop(ROW)
    if path.suffix.lower() in TEXTUAL:
        kept = kept.with_columns(typed(kept[c]) for c in kept.columns if c != key)
    rows = [{k: spoken(v) for k, v in row.items() if v is not None} for row in kept.iter_rows(named=True)]
    (store.put_items if kind == "items" else store.put_users)(rows)
