"""Logs larger than memory stream into a dataset directory, batch by batch, from files of ours and of other tools.

    ingest(["events.csv", "items.parquet"], "shop/")
    ingest("gorse-export/", "shop/")

What lies in a file is told by data/formats.py, as for a store. Nothing is sorted or numbered here (reading does that),
so memory is bounded by the batch whatever the log's size; what describes items and users is held whole.
Rows that cannot be used go to `refused.csv` with file, row, column, reason and what stood there; nothing is lost.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from interplay.data import checks, formats
from interplay.data.files import ROW, typed, written_whole
from interplay.data.parts import KEYS, Part, typed_cells
from interplay.data.report import Report
from interplay.data.tables import finite
from interplay.errors import BadData
from interplay.types import TEST, TRAIN, VALID

Progress = Callable[[str, Mapping[str, Any]], None]
TYPES = {"timestamp": pl.Int64, "order": pl.Float64, "value": pl.Float32, "event_type": pl.String, "split": pl.String}
NAMES = ("user_id", "item_id", "session_id", "query_id", "request_id")
SPOKEN = {TRAIN: "train", VALID: "valid", TEST: "test"}


def ingest(
    files: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    refused: str | Path | None = None,
    batch: int = 500_000,
    time_unit: str | None = None,
    progress: Progress | None = None,
    replace: bool = False,
) -> Report:
    """Stream files into the dataset directory `out`; returns the counts of every file.

    `files` are what `formats.lying` knows, directories among it; `time_unit` is that of times in files of our own
    format. Each table that they hold is written: interactions, items, users, impressions, queries, qrels, runs. Files
    of one table have the same columns, but for items and users. Good rows are written in the order of the files;
    refused ones to `refused` (by default OUT/refused.csv, made only when needed). `batch` rows are held at once. A
    failure leaves no `out`. Errors: BadData for wrong columns, wrong time units and files that are cut off.
    """
    listed = [Path(files)] if isinstance(files, (str, Path)) else [Path(f) for f in files]
    if not listed:
        raise BadData("nothing to ingest; name at least one file of interactions")
    report, began = Report(Path(out).name), time.perf_counter()
    found = _found(listed, time_unit, report)
    streamed = {table: (parts, *_schema(table, parts, batch)) for table, parts in found.items() if table not in KEYS}
    with written_whole(Path(out), replace=replace) as fresh, ExitStack() as open_files:
        report.sink = RefusedRows(Path(refused) if refused else fresh / "refused.csv", open_files)
        for table, key in KEYS.items():
            if table in found:
                _described(found[table], key, report, batch).write_parquet(fresh / f"{table}.parquet")
        for table, (parts, names, schema) in streamed.items():
            if not names:
                continue
            arrow = pl.DataFrame(schema=dict(schema)).to_arrow().schema
            writer = open_files.enter_context(
                pa.parquet.ParquetWriter(fresh / f"{table}.parquet", arrow, compression="zstd")
            )
            for part in parts:
                for frame in part.read(report, batch):
                    kept = _checked(_shaped(frame, names, part, report), part, report, schema)
                    if len(kept):
                        writer.write_table(kept.to_arrow().cast(writer.schema))
                    if progress is not None:
                        c = report.counts(part.name)
                        progress(f"ingest {part.name}", {"rows": c.rows, "kept": c.kept, "refused": c.refused})
        logs = found.get("interactions", [])
        if logs and not sum(report.counts(p.name).kept for p in logs):
            report.note("no event was kept; nothing can be learnt from behaviour")
        report.sink = None
    if report.refused:
        report.note(f"refused rows are in {refused or Path(out) / 'refused.csv'}")
    seconds = time.perf_counter() - began
    report.note(f"{report.rows:,} rows in {seconds:.1f} s ({report.rows / max(seconds, 1e-9):,.0f} a second)")
    return report


def _found(paths: Sequence[Path], unit: str | None, report: Report) -> dict[str, list[Part]]:
    """Table -> the parts that it is made of."""
    found: dict[str, list[Part]] = {}
    for path in paths:
        parts = formats.lying(path, unit)
        for part in parts:
            found.setdefault(part.table, []).append(part)
        if path.is_dir():
            read = {held for part in parts for held in (part.file, part.file.parent)}
            for other in sorted(set(path.iterdir()) - read):
                report.note(f"{other.name} is not taken over: it is no table of a data set that is read here")
    if not {"interactions", "items"} & set(found):
        if "users" not in found:
            held = ", ".join(part.name for parts in found.values() for part in parts)
            raise BadData(f"{held}: {' and '.join(found)} alone are no data set; name the items or the log as well")
        found["interactions"] = found.pop("users")  # told as a log without items
    return found


def _schema(table: str, parts: Sequence[Part], batch: int) -> tuple[list[str], dict[str, pl.DataType]]:
    """The columns that all parts of a table share, and the type that each is written with."""
    heads = [(p, next(iter(p.read(Report(p.name), min(batch, 65_536))), pl.DataFrame()).drop(ROW, strict=False))
             for p in parts]  # fmt: skip
    heads = [(part, head) for part, head in heads if head.columns] or heads[:1]  # JSON lines without a row say nothing
    names = heads[0][1].columns
    for part, head in heads:
        if table == "interactions":
            checks.columns(head, ("user_id", "item_id"), part.name)
        if set(head.columns) != set(names):
            raise BadData(
                f"{part.name} has columns {head.columns} and {heads[0][0].name} {names}; files that are ingested "
                "together have the same columns"
            )
    schema: dict[str, pl.DataType] = {}
    for name in names:
        kinds = [head.schema[name] for _, head in heads]
        if name in TYPES and table == "interactions":
            schema[name] = TYPES[name]()
        elif name in NAMES:
            schema[name] = pl.Int64() if all(k.is_integer() and k != pl.UInt64 for k in kinds) else pl.String()
        else:
            guessed = {typed(head[name]).dtype if p.untyped else head.schema[name] for p, head in heads}
            numeric = {k for k in guessed if k.is_numeric()}
            one = guessed.pop() if len(guessed) == 1 else pl.Float64() if numeric == guessed else pl.String()
            schema[name] = pl.String() if one in (pl.Null, pl.Categorical, pl.Enum) else one
    return names, schema


def _shaped(frame: pl.DataFrame, names: Sequence[str], part: Part, report: Report) -> pl.DataFrame:
    """A batch with the columns of the table: JSON lines may leave out some, or name others later on."""
    late = [c for c in frame.columns if c not in names and c != ROW]
    if late:
        report.note(f"{part.name}: {', '.join(late)} come first far down in the file and are left out")
    missing = [pl.lit(None, pl.String).alias(c) for c in names if c not in frame.columns]
    return frame.with_columns(missing).select(*names, ROW)


def _checked(frame: pl.DataFrame, part: Part, report: Report, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The good rows of one batch with the types of `schema`."""
    log = part.table == "interactions"
    checked = checks.Checked(frame, part.name, report)
    if log:
        checked = checks.interactions(frame, part.name, report, part.unit)
    for name, kind in schema.items():
        if (log and name in checks.CHECKED) or frame.schema[name] == kind:
            continue
        cast = frame[name].cast(kind, strict=False)
        checked.refuse(cast.is_null() & frame[name].is_not_null(), name,
                       lambda v, k=kind: f"{v!r} is no {k}, as the first rows of the column are")  # type: ignore[misc]  # fmt: skip
        checked.set(name, cast)
    kept = checked.kept()
    if log and "split" in schema:
        kept = kept.with_columns(pl.col("split").replace_strict(SPOKEN, return_dtype=pl.String))
    return kept.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _described(parts: Sequence[Part], key: str, report: Report, batch: int) -> pl.DataFrame:
    """Items or users out of all parts, one row for each: the first that describes it."""
    whole, seen = list[pl.DataFrame](), pl.Series(key, [], pl.String)
    for part in parts:
        frames = []
        for frame in part.read(report, batch):
            checks.columns(frame, (key,), part.name)
            checked = checks.Checked(frame, part.name, report)
            checked.ids(key)
            ids = checked.table[key].cast(pl.String)
            again = ~ids.is_first_distinct() | ids.is_in(seen.implode())
            checked.refuse(again, key, lambda v: f"{v!r} is described twice; the first stays")
            kept = checked.kept().drop(ROW)
            seen = pl.concat([seen, kept[key].cast(pl.String)])
            frames.append(kept)
        told = pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema={key: pl.String})
        whole.append(finite(typed_cells(told, key) if part.untyped else told, part.name, report))
    return pl.concat(whole, how="diagonal_relaxed")


class RefusedRows:
    """The file of refused rows; it comes into being with the first of them."""

    def __init__(self, path: Path, open_files: ExitStack) -> None:
        self.path, self.open_files = path, open_files
        self.out: Any = None

    def __call__(self, file: str, row: int, column: str | None, reason: str, held: str) -> None:
        if self.out is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.out = csv.writer(self.open_files.enter_context(self.path.open("w", newline="", encoding="utf-8")))
            self.out.writerow(["file", "row", "column", "reason", "held"])
        self.out.writerow([file, row, column or "", reason, held])


# --------------------------------------------------------------------------------------------------------------------
# How much memory it takes


def generated(path: Path, n: int, *, seed: int = 0, batch: int = 500_000) -> Path:
    """n rows of made-up interactions (popular items, 2 million people, rising times) as .parquet or .csv."""
    rng, start = np.random.default_rng(seed), 1_600_000_000_000_000
    with ExitStack() as held:
        writer: Any = None
        for lo in range(0, n, batch):
            m = min(batch, n - lo)
            table = pa.table({
                "user_id": rng.integers(0, 2_000_000, m), "item_id": (rng.random(m) ** 3 * 500_000).astype(np.int64),
                "timestamp": start + np.arange(lo, lo + m, dtype=np.int64) * 1_000_000,
                "event_type": pa.array(np.array(["view", "click", "buy"])[rng.integers(0, 3, m)]),
                "value": rng.random(m).astype(np.float32),
            })  # fmt: skip
            if writer is None:
                kind = pa.parquet.ParquetWriter if path.suffix == ".parquet" else pa.csv.CSVWriter
                writer = held.enter_context(kind(path, table.schema))
            writer.write_table(table)
    return path


def measured(n: int, *, kind: str = "parquet", batch: int = 500_000, folder: Path | None = None) -> dict[str, Any]:
    """Generate n rows and ingest them in a process of its own: rows, kept, seconds and peak_memory (bytes)."""
    with tempfile.TemporaryDirectory(dir=folder) as held:
        source = generated(Path(held) / f"log.{kind}", n)
        call = [sys.executable, "-m", "interplay.data.ingest", str(source), str(Path(held) / "out"), str(batch)]
        done = subprocess.run(call, check=True, capture_output=True, text=True)
        return {"file_bytes": source.stat().st_size, **json.loads(done.stdout)}


def peak_memory() -> int:
    """Bytes of this process at its largest. From /proc where there is one: getrusage inherits the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    begun = time.perf_counter()
    told = ingest(sys.argv[1], sys.argv[2], batch=int(sys.argv[3]))
    print(json.dumps({"rows": told.rows, "kept": told.kept, "seconds": round(time.perf_counter() - begun, 3),
                      "peak_memory": peak_memory()}))  # fmt: skip
