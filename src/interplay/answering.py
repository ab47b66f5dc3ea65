"""Lists for many people at once, written to a file: what `recommend` says of each, block after block.

    told = answer_all("model", "people.csv", "lists.parquet", k=10)
    told = answer_all("model", "all", "lists.csv", workers=4)

Nothing but one block of people and their lists is held at a time (beside the model), and one for each worker. The file
takes its place when it is complete: a run that is stopped leaves what was there before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from interplay.cluster import spread
from interplay.data.files import ROW, batches
from interplay.data.report import Report
from interplay.errors import BadData, BadSetting
from interplay.fitted import Fitted
from interplay.types import Id, Ids

Progress = Callable[[str, Mapping[str, Any]], None]

BLOCK = 1024  # people answered at once
ALL = "all"
NAMED = ("user_id", "user")  # the column of a file that names people
ENDINGS = (".parquet", ".csv", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What was written."""

    people: int  # asked for, in the order of the file; who stands there twice is answered twice
    unknown: int  # of them are strangers to the model, who get what strangers get
    empty: int  # of them have no list: nothing may be shown to them
    rows: int
    refused: Report  # lines of the file that could not be read


def answer_all(
    model: str | Path,
    users: str | Path,
    out: str | Path,
    *,
    k: int = 10,
    exclude: Sequence[Id] = (),
    where: str | None = None,
    workers: int = 0,
    block: int = BLOCK,
    progress: Progress | None = None,
) -> Answered:
    """Write the best k items for many people: columns user_id, rank (from 1), item_id, score, and title where known.

    users      "all" that the model knows, or a file: a table with a column user_id (or user), or a text file (.txt) of
               ids, one a line
    out        a file in .parquet, .csv or .jsonl
    exclude, where   as of `Fitted.recommend`
    workers    0: this process; else so many by Ray, each of which opens the model once

    Ids are written as the model has them: whole numbers where all are, else text.
    Errors: BadData for a file without people, or with an id of another kind than the model's.
    """
    out, ending = Path(out), Path(out).suffix.lower()
    if ending not in ENDINGS:
        raise BadSetting(f"{out} ends in {ending or 'nothing'}; lists are written as {', '.join(ENDINGS)}")
    everybody, report, fitted = str(users) == ALL, Report(str(users)), Fitted.load(model)
    fitted.rules(1, exclude=exclude, where=where)  # what is wrong with them is told before anybody is answered
    ids, items = fitted.dataset.users, fitted.dataset.items
    whole = _are_whole(ids)
    total = len(ids) if everybody else _counted(Path(users))
    blocks = _everybody(ids, block) if everybody else _people(Path(users), block, report)
    task = _Task(
        model=str(Path(model).absolute()), k=k, exclude=tuple(exclude), where=where, fitted=None if workers else fitted
    )
    people = unknown = empty = rows = 0
    with _Written(out, _schema(whole, _are_whole(items), titles=_titles(fitted) is not None)) as file:
        jobs = (_whole(names, users) if whole else names for names in blocks)
        for answer in spread(_answered, jobs, workers=workers, shared=task):
            people, unknown = people + answer.people, unknown + answer.unknown
            empty, rows = empty + answer.empty, rows + len(answer.lists)
            file.append(answer.lists)
            if progress is not None:
                progress("ask", {"done": people, "total": max(total, people), "rows": rows})
        if not people:
            raise BadData(f"{users} names nobody; expected ids in a column user_id, or one a line in a .txt file")
    return Answered(people=people, unknown=unknown, empty=empty, rows=rows, refused=report)


# --------------------------------------------------------------------------------------------------------------------
# Who is asked for


def _everybody(ids: Ids, block: int) -> Iterator[list[Id]]:
    for lo in range(0, len(ids), block):
        yield ids.names[lo : lo + block]


def _counted(path: Path) -> int:
    """About how many people a file names, for the progress bar alone: its rows or lines."""
    if not path.is_file():
        raise BadData(f"no file at {path}; --users takes a file of ids, or all")
    if path.suffix.lower() == ".parquet":
        return int(pa.parquet.read_metadata(path).num_rows)
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _people(path: Path, block: int, report: Report) -> Iterator[list[Id]]:
    """The ids of a file, at most `block` at a time. Errors: BadData where no column or no line names people."""
    if path.suffix.lower() == ".txt":
        yield from _lines(path, block)
        return
    for part in batches(path, report, rows=block):
        column = next((name for name in NAMED if name in part.columns), None)
        if column is None:
            found = [name for name in part.columns if name != ROW]
            raise BadData(f"{path.name} has the columns {found}; people are named by {' or '.join(NAMED)}")
        missing = part[column].is_null()
        if missing.any():
            report.refuse(path.name, part[ROW].filter(missing).to_numpy(), column, lambda _: "names nobody")
        ids = part[column].filter(~missing)
        if ids.dtype != pl.String and not ids.dtype.is_integer():
            raise BadData(f"{path.name}: {column} holds {ids.dtype}; ids are text or whole numbers")
        if len(ids):
            yield from (ids[lo : lo + block].to_list() for lo in range(0, len(ids), block))


def _lines(path: Path, block: int) -> Iterator[list[Id]]:
    held: list[Id] = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines):
            name = line.strip()
            if name and not (number == 0 and name in NAMED):
                held.append(name)
            if len(held) >= block:
                yield held
                held = []
    if held:
        yield held


def _are_whole(ids: Ids) -> bool:
    return all(isinstance(name, int) for name in ids)


def _whole(ids: Sequence[Id], users: str | Path) -> list[Id]:
    """The ids as whole numbers, as all of the model's are."""
    try:
        return [int(one) for one in ids]
    except ValueError:
        odd = next(one for one in ids if not str(one).lstrip("-").isdecimal())
        raise BadData(f"{users} names {odd!r}; the people of this model are whole numbers") from None


# --------------------------------------------------------------------------------------------------------------------
# One block


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What all blocks share."""

    model: str
    k: int
    exclude: tuple[Id, ...]
    where: str | None
    fitted: Fitted | None  # the model, in this process; workers open it


@dataclass(frozen=True, kw_only=True)
class _Answer:
    lists: pl.DataFrame
    people: int
    unknown: int
    empty: int


@lru_cache(maxsize=1)
def _opened(path: str) -> Fitted:
    """The model, read once in each worker."""
    return Fitted.load(path)


def _answered(task: _Task, people: Sequence[Id]) -> _Answer:
    fitted = task.fitted or _opened(task.model)
    frame = fitted.recommend(list(people), k=task.k, exclude=list(task.exclude), where=task.where)
    titles = _titles(fitted)
    if titles is not None:
        frame = frame.with_columns(titles.gather(fitted.dataset.items.index(frame["item_id"].to_list())).alias("title"))
    unknown = int((fitted.dataset.users.index(people) < 0).sum())
    empty = len(people) - frame["request"].n_unique()
    return _Answer(lists=frame.drop("request"), people=len(people), unknown=unknown, empty=empty)


def _titles(fitted: Fitted) -> pl.Series | None:
    catalogue = fitted.dataset.catalogue
    return None if catalogue is None or "title" not in catalogue.columns else catalogue["title"].cast(pl.String)


# --------------------------------------------------------------------------------------------------------------------
# The file


def _schema(whole_users: bool, whole_items: bool, *, titles: bool) -> pl.Schema:
    def kind(whole: bool) -> Any:
        return pl.Int64 if whole else pl.String

    columns = {"user_id": kind(whole_users), "rank": pl.Int32, "item_id": kind(whole_items), "score": pl.Float32}
    return pl.Schema(columns | ({"title": pl.String} if titles else {}))


class _Written:
    """Rows of one schema, appended to a file that takes its place when the block ends without an error."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        if path.is_dir():
            raise BadData(f"{path} is a directory; name a file")
        self.path, self.schema = path, schema
        self.fresh = path.with_name(f".{path.name}.new-{os.getpid()}")
        self.kind = path.suffix.lower()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.fresh.open("wb")
        self.parquet: Any = None
        if self.kind == ".parquet":
            arrow = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
            self.parquet = pa.parquet.ParquetWriter(self.file, arrow, compression="zstd")
        elif self.kind == ".csv":
            pl.DataFrame(schema=schema).write_csv(self.file)

    def append(self, rows: pl.DataFrame) -> None:
        rows = rows.select(pl.col(name).cast(kind) for name, kind in self.schema.items())
        if not len(rows):
            return
        if self.parquet is not None:
            self.parquet.write_table(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        elif self.kind == ".csv":
            rows.write_csv(self.file, include_header=False)
        else:
            rows.write_ndjson(self.file)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, kind: type[BaseException] | None, *more: Any) -> None:
        try:
            if self.parquet is not None:
                self.parquet.close()
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            if kind is None:
                os.replace(self.fresh, self.path)
        finally:
            self.file.close()
            self.fresh.unlink(missing_ok=True)
