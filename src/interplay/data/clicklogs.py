"""Published click logs in their own layouts: Criteo, Avazu, Ali-CCP, AliExpress.

A folder holds one file (all rows), or files that begin with the names of their parts (train, valid, test). Criteo's
own `train.txt` has tabs and no header; its 13 counts are numbers. Avazu's `hour` (YYMMDDHH) becomes a timestamp, an
hour and a weekday, so that its rows are split by time; its `id` says nothing.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from interplay.data.files import ROW, SUFFIXES, TEXTUAL, read_table, typed
from interplay.data.report import Report
from interplay.data.tables import from_frames
from interplay.errors import BadData
from interplay.types import Dataset

COUNTS, HASHES = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
CRITEO = ["label", *COUNTS, *HASHES]
LABELS = {"click": "label_click", "purchase": "label_purchase", "conversion": "label_conversion"}


def examples_of(table: pl.DataFrame) -> pl.DataFrame:
    """A table of one of the layouts, with the columns of `examples`."""
    if set(CRITEO) <= set(table.columns):
        return table.with_columns(pl.col(COUNTS).cast(pl.Float32, strict=False))
    if "hour" in table.columns and "device_ip" in table.columns:
        moment = (pl.col("hour").cast(pl.String) + "00").str.to_datetime("%y%m%d%H%M", time_unit="us")
        return table.drop("id", strict=False).rename({"click": "label"}).with_columns(
            timestamp=moment.cast(pl.Int64), hour=moment.dt.hour(), weekday=moment.dt.weekday()
        )  # fmt: skip
    named = {c: LABELS[c] for c in LABELS if c in table.columns}
    if "search_id" in table.columns:
        named["search_id"] = "request_id"
    dense = [c for c in table.columns if c.startswith(("numerical_", "D")) and c[-1].isdigit()]
    return table.rename(named).with_columns(pl.col(dense).cast(pl.Float32, strict=False))


def click_log(path: Path, name: str, variant: str = "", seed: int = 0) -> Dataset:
    """The labelled rows in a folder of one of the layouts.

    Errors: BadData for a folder without a table, or with tables of which only some name their part.
    """
    files = [f for f in sorted(path.iterdir()) if f.suffix.lower() in SUFFIXES]
    if not files:
        raise BadData(f"{path} holds no table; expected the publisher's file, or train, valid and test files")
    named = [next((p for p in ("train", "valid", "test") if f.stem.startswith(p)), None) for f in files]
    parts = named if len(files) > 1 else [None]
    if any(parts) and not all(parts):
        raise BadData(f"{path}: of {[f.name for f in files]} some name no part; begin them with train, valid or test")
    tables = []
    for file, part in zip(files, parts, strict=True):
        if file.suffix == ".txt":
            table = pl.read_csv(file, separator="\t", has_header=False, new_columns=CRITEO)
        else:
            table = read_table(file, Report(name)).drop(ROW)
            table = table.with_columns(typed(c) for c in table) if file.suffix in TEXTUAL else table
        table = examples_of(table)
        tables.append(table if part is None else table.with_columns(split=pl.lit(part)))
    return from_frames(name, tables={"examples": pl.concat(tables, how="diagonal_relaxed")})
