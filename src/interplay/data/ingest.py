"""Logs larger than memory: CSV, Parquet, Arrow or JSON lines stream into a dataset directory, batch by batch.

Nothing is sorted or numbered here (reading does that), so memory is bounded by the batch whatever the log's size; what
describes items and users is read whole.
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

from interplay.data import checks
from interplay.data.files import ROW, SUFFIXES, TEXTUAL, batches, column_names, typed, written_whole
from interplay.data.report import Report
from interplay.data.tables import described
from interplay.errors import BadData
from interplay.types import TEST, TRAIN, VALID

Progress = Callable[[str, Mapping[str, Any]], None]
TYPES = {"timestamp": pl.Int64, "order": pl.Float64, "value": pl.Float32, "event_type": pl.String, "split": pl.String}
KEYS = {"items": "item_id", "users": "user_id"}
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
    """Stream files of interactions into the dataset directory `out`; returns the counts of every file.

    What has item_id and no user_id describes items, the other way round users; a directory stands for its files of the
    three kinds. All files of interactions have the same columns. Good rows are written in the order of the files;
    refused ones to `refused` (by default OUT/refused.csv, made only when needed). `batch` rows are held at once. A
    failure leaves no `out`. Errors: BadData for wrong columns, wrong time units and files that are cut off.
    """
    listed = [Path(files)] if isinstance(files, (str, Path)) else [Path(f) for f in files]
    if not listed:
        raise BadData("nothing to ingest; name at least one file of interactions")
    report, began = Report(Path(out).name), time.perf_counter()
    found = _found(listed, report)
    names, schema = _schema(found["interactions"], batch)
    with written_whole(Path(out), replace=replace) as fresh, ExitStack() as open_files:
        report.sink = RefusedRows(Path(refused) if refused else fresh / "refused.csv", open_files)
        for kind, key in KEYS.items():
            for path in found[kind]:
                described(path, key, report).write_parquet(fresh / f"{kind}.parquet")
        if found["interactions"]:
            writer = open_files.enter_context(
                pa.parquet.ParquetWriter(
                    fresh / "interactions.parquet", _empty(schema).to_arrow().schema, compression="zstd"
                )
            )
        for path in found["interactions"]:
            for part in batches(path, report, rows=batch):
                kept = _checked(part.select(*names, ROW), path.name, report, schema, time_unit)
                if len(kept):
                    writer.write_table(kept.to_arrow().cast(writer.schema))
                if progress is not None:
                    c = report.counts(path.name)
                    progress(f"ingest {path.name}", {"rows": c.rows, "kept": c.kept, "refused": c.refused})
        if found["interactions"] and not sum(report.counts(p.name).kept for p in found["interactions"]):
            report.note("no event was kept; nothing can be learnt from behaviour")
        report.sink = None
    if report.refused:
        report.note(f"refused rows are in {refused or Path(out) / 'refused.csv'}")
    seconds = time.perf_counter() - began
    report.note(f"{report.rows:,} rows in {seconds:.1f} s ({report.rows / max(seconds, 1e-9):,.0f} a second)")
    return report


def _found(paths: Sequence[Path], report: Report) -> dict[str, list[Path]]:
    """interactions, items, users -> their files, told apart by their columns."""
    found: dict[str, list[Path]] = {"interactions": [], **{kind: [] for kind in KEYS}}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and p.stem in found]
            if not inside:
                raise BadData(
                    f"{path} holds none of {', '.join(found)} as {', '.join(SUFFIXES)}; what other tools write goes "
                    "into a store (--store)"
                )
            for other in sorted(set(path.iterdir()) - set(inside)):
                report.note(f"{other.name} is not taken over: a directory is made of {', '.join(found)}")
        for file in inside:
            have = set(column_names(file))
            alone = [kind for kind, key in KEYS.items() if key in have and not {"user_id", "item_id"} <= have]
            found[alone[0] if alone else "interactions"].append(file)
    if not found["interactions"] and not found["items"]:  # people alone are no data set: told as a log without items
        found["interactions"], found["users"] = found["users"], []
    for kind in KEYS:
        if len(found[kind]) > 1:
            raise BadData(f"{' and '.join(p.name for p in found[kind])} describe {kind}; one file can, so join them")
    return found


def _schema(files: list[Path], batch: int) -> tuple[list[str], dict[str, pl.DataType]]:
    """The columns that all files share, and the type that each is written with."""
    if not files:
        return [], {}
    heads = [next(iter(batches(f, Report(f.name), rows=min(batch, 65_536))), pl.DataFrame()).drop(ROW, strict=False)
             for f in files]  # fmt: skip
    names = heads[0].columns
    for path, head in zip(files, heads, strict=True):
        checks.columns(head, ("user_id", "item_id"), path.name)
        if set(head.columns) != set(names):
            raise BadData(
                f"{path.name} has columns {head.columns} and {files[0].name} {names}; files that are ingested together "
                "have the same columns"
            )
    schema: dict[str, pl.DataType] = {}
    for name in names:
        kinds = [h.schema[name] for h in heads]
        if name in TYPES:
            schema[name] = TYPES[name]()
        elif name in ("user_id", "item_id", "session_id"):
            schema[name] = pl.Int64() if all(k.is_integer() and k != pl.UInt64 for k in kinds) else pl.String()
        else:
            guessed = {typed(h[name]).dtype if p.suffix.lower() in TEXTUAL else h.schema[name]
                       for p, h in zip(files, heads, strict=True)}  # fmt: skip
            numeric = {k for k in guessed if k.is_numeric()}
            one = guessed.pop() if len(guessed) == 1 else pl.Float64() if numeric == guessed else pl.String()
            schema[name] = pl.String() if one in (pl.Null, pl.Categorical, pl.Enum) else one
    return names, schema


def _empty(schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(schema))


def _checked(
    part: pl.DataFrame, file: str, report: Report, schema: Mapping[str, pl.DataType], unit: str | None
) -> pl.DataFrame:
    """The good rows of one batch with the types of `schema`."""
    checked = checks.interactions(part, file, report, unit)
    for name, kind in schema.items():
        if name in checks.CHECKED or part.schema[name] == kind:
            continue
        cast = part[name].cast(kind, strict=False)
        checked.refuse(cast.is_null() & part[name].is_not_null(), name,
                       lambda v, k=kind: f"{v!r} is no {k}, as the first rows of the column are")  # type: ignore[misc]  # fmt: skip
        checked.set(name, cast)
    kept = checked.kept()
    if "split" in schema:
        kept = kept.with_columns(pl.col("split").replace_strict(SPOKEN, return_dtype=pl.String))
    return kept.select(pl.col(name).cast(kind) for name, kind in schema.items())


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
