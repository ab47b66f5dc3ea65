"""Rows out of files, a batch at a time: CSV, TSV, Parquet, Arrow and JSON lines; and directories written whole or not.

A broken CSV line is refused and reading goes on; a file that is cut off raises one sentence. CSV cells are read as text
and typed later, so that a bad cell can be named by its row.
"""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from interplay.data.report import Report
from interplay.errors import BadData, InterplayError
from interplay.types import Array

ROW = "__row"  # the row number in the file, from 1, carried through all checks
TEXTUAL = (".csv", ".tsv", ".txt")
ARROW = (".arrow", ".feather", ".ipc")
LINES = (".jsonl", ".ndjson")
SUFFIXES = (".parquet", *TEXTUAL, *ARROW, *LINES)
BATCH = 262_144  # rows
BLOCK = 1 << 20  # bytes of CSV parsed at once; the reader runs some 32 blocks ahead


def frame(table: Any) -> pl.DataFrame:
    """A Polars, pandas or Arrow table, or a mapping of columns, as a Polars frame. Mixed columns become text."""
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, (pa.Table, pa.RecordBatch)):
        return pl.DataFrame(pl.from_arrow(table))
    if isinstance(table, pa.RecordBatchReader):
        return pl.DataFrame(pl.from_arrow(table.read_all()))
    if isinstance(table, Mapping):
        return pl.DataFrame(dict(table), strict=False)
    if type(table).__module__.startswith("pandas"):
        try:
            return pl.from_pandas(table)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):  # a column of several types, ids as a rule
            return pl.DataFrame({str(c): table[c].tolist() for c in table.columns}, strict=False)
    raise BadData(f"a table is a Polars, pandas or Arrow table or a mapping of columns; found {type(table).__name__}")


def batches(path: Path, report: Report, *, rows: int = BATCH) -> Iterator[pl.DataFrame]:
    """The rows of one file in order, at most about `rows` at a time, with a column `ROW`.

    Broken CSV and JSON lines are refused in `report`. Errors: BadData for a file that is missing, cut off or of an
    unknown kind.
    """
    if not path.is_file():
        raise BadData(f"no file at {path}")
    suffix = path.suffix.lower()
    if suffix in TEXTUAL:
        yield from _csv_batches(path, report, rows)
        return
    if suffix in LINES:
        yield from _json_batches(path, report, rows)
        return
    if suffix == ".parquet":
        source = _parquet_batches(path, rows)
    elif suffix in ARROW:
        source = _arrow_batches(path)
    else:
        raise BadData(f"{path.name} is of no known kind; known endings: {', '.join(SUFFIXES)}")
    done = 0
    try:
        for batch in source:
            part = pl.DataFrame(pl.from_arrow(batch))
            report.counts(path.name).rows += len(part)
            yield part.with_columns(pl.Series(ROW, np.arange(done + 1, done + len(part) + 1)))
            done += len(part)
    except (pa.ArrowException, OSError) as error:
        raise BadData(
            f"{path.name} cannot be read after row {done:,}: it is cut off or damaged ({_first_line(error)}). "
            "Copy it again or write it anew"
        ) from error


def read_table(path: Path, report: Report) -> pl.DataFrame:
    """The whole file, with the column `ROW`."""
    parts = list(batches(path, report))
    return pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame({ROW: np.zeros(0, np.int64)})


def column_names(path: Path) -> list[str]:
    """The columns of a CSV, Parquet, Arrow or JSON-lines file, without reading it all."""
    for part in batches(path, Report(path.name), rows=1024):
        return [c for c in part.columns if c != ROW]
    return []


def delimiter(header: str) -> str:
    """The separator that a header line uses: whichever of tab, semicolon, bar and comma occurs most.

    >>> delimiter("user_id;item_id;value")
    ';'
    """
    return max(",\t;|", key=header.count)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")


def _parquet_batches(path: Path, rows: int) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(path, pre_buffer=False) as file:  # buffering ahead would hold the whole file
        yield from file.iter_batches(batch_size=rows)
        if not file.metadata.num_rows:
            yield from file.schema_arrow.empty_table().to_batches(max_chunksize=1) or [
                pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            ]


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            source.seek(0)
            yield from pa.ipc.open_stream(source)


def _csv_batches(path: Path, report: Report, rows: int) -> Iterator[pl.DataFrame]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as text:
        header = text.readline()
    if not header.strip():
        raise BadData(f"{path.name} is empty; its first line should name the columns")
    separator = "\t" if path.suffix.lower() == ".tsv" else delimiter(header)
    names = [n.strip() for n in next(csv.reader([header], delimiter=separator))]
    if len(set(names)) != len(names):
        raise BadData(f"{path.name} names a column twice in its header: {names}")
    broken: list[int] = []  # row numbers of lines that were left out, ascending

    def refuse(line: Any) -> str:
        row = line.number - 1  # the header is line 1
        swallowed = line.text.count("\n")
        quote = f" (a quote that is never closed takes in {swallowed} more lines)" if swallowed else ""
        reason = f"{line.actual_columns} fields where the header has {line.expected_columns}{quote}"
        broken.append(row)
        report.counts(path.name).rows += 1
        report.refuse(path.name, [row], None, lambda _: f"{reason}: {line.text[:120]!r}", lambda _: line.text)
        return "skip"

    done = 0

    def numbered(blocks: list[pa.RecordBatch]) -> pl.DataFrame:
        part = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(blocks)))
        good = np.arange(done - len(part), done)
        before = np.asarray(broken) - np.arange(1, len(broken) + 1)  # good rows that precede each broken one
        number = good + 1 + np.searchsorted(before, good, side="right")
        report.counts(path.name).rows += len(part)
        return part.with_columns(pl.Series(ROW, number))

    try:
        reader = pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows=1),
            parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=pa.csv.ConvertOptions(column_types={n: pa.string() for n in names}, null_values=[""],
                                                  strings_can_be_null=True, quoted_strings_can_be_null=False),
        )  # fmt: skip
        held, size = [pa.RecordBatch.from_pylist([], schema=reader.schema)], 0
        for block in (whole.slice(lo, rows) for whole in reader for lo in range(0, whole.num_rows, rows)):
            if size and size + block.num_rows > rows:
                yield numbered(held)
                held, size = [], 0
            held.append(block)
            size, done = size + block.num_rows, done + block.num_rows
        yield _closed(numbered(held), path, report)  # the end, which an open quote may have taken in
    except pa.ArrowException as error:
        raise BadData(f"{path.name} cannot be read after row {done:,}: {_first_line(error)}") from error


def _closed(part: pl.DataFrame, path: Path, report: Report) -> pl.DataFrame:
    """The last rows of a CSV file, less a last one whose quote is never closed and so swallowed the end of the file."""
    value = part.drop(ROW).row(-1)[-1] if len(part) else None
    if value is None or "\n" not in value:
        return part
    end = value.encode("utf-8", "surrogateescape")
    with path.open("rb") as raw:
        raw.seek(-min(len(end), path.stat().st_size), os.SEEK_END)
        if raw.read() != end:  # a closed value is followed by its quote
            return part
    reason = f"a quote in this row is never closed; it takes in the {end.count(10)} line breaks that follow"
    report.refuse(path.name, [part[-1, ROW]], None, lambda _: reason, lambda _: value)
    return part[:-1]


def _json_batches(path: Path, report: Report, rows: int) -> Iterator[pl.DataFrame]:
    held: list[dict[str, Any]] = []
    for number, value in objects(path, report):
        report.counts(path.name).rows += 1
        held.append({**value, ROW: number})
        if len(held) >= rows:
            yield pl.DataFrame(held, infer_schema_length=None, strict=False)
            held = []
    if held:
        yield pl.DataFrame(held, infer_schema_length=None, strict=False)


def objects(path: Path, report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, one a line, with their line numbers; a name in .gz is unpacked.

    A line that is none is counted and refused in `report`; the others are the caller's to count. Errors: BadData for a
    file that is cut off.
    """
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                    if not isinstance(value, dict):
                        raise ValueError("a line holds one object")
                except ValueError as error:
                    why, text = f"not a JSON object: {error}", line.rstrip("\n")
                    report.counts(path.name).rows += 1
                    report.refuse(path.name, [number], None, lambda _, w=why: w, lambda _, t=text: t)  # type: ignore[misc]
                    continue
                yield number, value
    except (EOFError, OSError) as error:
        raise BadData(f"{path.name} is cut off or damaged after row {number}: {error}") from error


def fields(
    path: Path, report: Report, rows: int, *, separator: str | None, columns: Sequence[str] = (),
    encoding: str = "utf-8",
) -> Iterator[pl.DataFrame]:  # fmt: skip
    """Batches of a separated file without quoting, all cells as text, with the column `ROW`.

    Without `columns` the first line names them; separator None is any run of white space. A line with another number of
    fields is refused. Errors: BadData for an empty file whose first line should name the columns.
    """
    split = "\t" if separator is None else separator

    def told(names: Sequence[str], numbers: list[int], held: list[str]) -> pl.DataFrame:
        lines, number = pl.Series(held, dtype=pl.String), np.array(numbers, np.int64)
        if separator is None:
            lines = lines.str.strip_chars().str.replace_all(r"\s+", split)
        cells = lines.str.split(split)
        good = (cells.list.len() == len(names)).to_numpy()
        report.counts(path.name).rows += len(held)
        at = np.flatnonzero(~good)
        report.refuse(
            path.name, number[at], None,
            lambda i: f"{len(cells[int(at[i])])} fields where {len(names)} are expected",
            lambda i: held[int(at[i])],
        )  # fmt: skip
        kept = cells.filter(pl.Series(good))
        table = kept.list.to_struct(fields=list(names)).struct.unnest() if len(kept) else pl.DataFrame(
            schema=dict.fromkeys(names, pl.String))  # fmt: skip
        table = table.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())
        return table.with_columns(pl.Series(ROW, number[good]))

    with path.open(encoding=encoding, errors="replace") as lines:
        names = list(columns) or lines.readline().rstrip("\n").removeprefix("\ufeff").split(split)
        if names == [""]:
            raise BadData(f"{path.name} is empty; its first line should name the columns")
        numbers, held, none = list[int](), list[str](), True
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if line.strip():
                numbers.append(number)
                held.append(line)
            if len(held) >= rows:
                yield told(names, numbers, held)
                numbers, held, none = [], [], False
        if held or none:
            yield told(names, numbers, held)


def typed(column: pl.Series) -> pl.Series:
    """A text column as integers or floats where every value is one, else as it stands.

    >>> typed(pl.Series(["1", "2", None])).dtype
    Int64
    """
    if column.dtype != pl.String:
        return column
    if column.str.contains(r"^[+-]?0\d").any():  # 007 is a name, not a number
        return column
    missing = column.null_count()
    for kind in (pl.Int64, pl.Float64):
        cast = column.cast(kind, strict=False)
        if cast.null_count() == missing and missing < len(column):
            return cast
    return column


def row_numbers(table: pl.DataFrame) -> Array:
    """int64[n]: the file rows of a frame that came from `batches`, or 1..n."""
    return table[ROW].to_numpy() if ROW in table.columns else np.arange(1, len(table) + 1)


@contextmanager
def written_whole(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new directory beside `path` that takes its place when the block ends without an error.

    What stood at `path` stays as it was until the last moment, and for good if anything fails (a full disk, say).
    Errors: BadData if `path` exists and may not be replaced; InterplayError if the disk is full.
    """
    path = path.absolute()
    if path.exists() and not replace:
        raise BadData(f"{path} exists already; choose another directory or remove it first")
    fresh, previous = path.with_name(f".{path.name}.new-{os.getpid()}"), path.with_name(f".{path.name}.previous")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        yield fresh
        for file in fresh.rglob("*"):
            if file.is_file():
                with file.open("rb") as held:
                    os.fsync(held.fileno())
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        full = _disk_full(error)
        if full is None:
            raise
        kept = "; what was there before is unharmed" if path.exists() else ""
        raise InterplayError(f"no room left to write {path} ({os.strerror(full)}){kept}") from error
    if path.exists():
        shutil.rmtree(previous, ignore_errors=True)
        path.rename(previous)
    fresh.rename(path)
    shutil.rmtree(previous, ignore_errors=True)


def _disk_full(error: BaseException) -> int | None:
    """The system's error number if that is what it says; libraries wrap it in exceptions of their own."""
    said = re.search(r"(?:os error|errno) (\d+)", str(error), re.IGNORECASE)
    number = getattr(error, "errno", None) or (int(said[1]) if said else None)
    return number if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else None


def recovered(path: Path) -> Path:
    """`path`, put back first if a crash fell between the two renames of `written_whole`."""
    previous = path.absolute().with_name(f".{path.name}.previous")
    if not path.exists() and previous.is_dir():
        previous.rename(path)
    return path
