"""Files that people already have: RecBole atomic files, MovieLens, Amazon reviews, BEIR, KuaiRand, and in exports.py
what Gorse, Amazon Personalize, User Behavior Insights and TREC write.

Each format is a function from a file to the parts that lie in it (data/parts.py), none where the file is of another
kind. Times are converted as their publishers write them: RecBole and MovieLens seconds, Amazon reviews seconds (2014,
2018) or milliseconds (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from interplay.data import checks
from interplay.data.exports import gorse, personalize, trec, ubi
from interplay.data.files import ROW, SUFFIXES, column_names, fields, typed
from interplay.data.kuairand import kuairand_frames
from interplay.data.parts import KEYS, SHOWN, Part, first, header, made, of_file, of_frame
from interplay.data.report import Report
from interplay.errors import BadData

GENRES = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
          "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
          "Western")  # fmt: skip
MAIN = frozenset({"interactions", "queries", "qrels", "runs"})  # a directory is of a format that finds one of these
STEMS = {"items": "items", "users": "users", "interactions": "interactions", "events": "interactions",
         "impressions": "impressions"}  # names of our own files in a directory -> table  # fmt: skip
BELOW = ("qrels",)  # folders of a data set in which further files lie


@dataclass(frozen=True)
class Found:
    """Files of a known format."""

    format: str
    name: str  # of the data set
    parts: Sequence[Part]


def recognised(path: Path, *, alone: bool = False) -> Found | None:
    """What lies in a file or directory of a known format; None for our own format, or none that is known.

    A file of a release that belongs together (RecBole, MovieLens) brings its neighbours unless it stands `alone`.
    """
    if path.is_dir() and (any(path.glob("log_standard_*.csv")) or any(path.glob("data/log_standard_*.csv"))):
        return Found("kuairand", path.name, _kuairand(path))
    files = [path] if path.is_file() else _files(path)
    for name, known in FORMATS.items():
        parts = [part for file in files for part in known.read(file)]
        if not parts or (path.is_dir() and not MAIN & {p.table for p in parts}):
            continue
        called = path.name if path.is_dir() else path.name.partition(".")[0]
        if known.one_log:
            logs = [p.file for p in parts if p.table == "interactions"]
            if len(logs) > 1:
                raise BadData(f"{path} should hold one .inter file; found {[p.name for p in logs]}")
            called = logs[0].stem if logs else called
            if path.is_dir():
                parts = [p for p in parts if p.file.stem == called]
        if path.is_file() and not alone and known.kin is not None:
            kin = [file for file in _files(path.parent) if known.kin(path, file)]
            parts = [part for file in kin for part in known.read(file)]
            called = path.parent.name if known.release else called
        return Found(name, called, parts)
    return None


def lying(path: Path, unit: str | None = None) -> list[Part]:
    """What lies in one file, or in the files of a directory, of a known format or of our own.

    A file of ours is known by its columns: request_id, slot and item_id are impressions, user_id and item_id events,
    item_id alone describes items, user_id alone users; in a directory by its name. `unit` is that of its times. Errors:
    BadData for what is none of these.
    """
    if not path.exists():
        raise BadData(f"nothing at {path}; expected a file or a dataset directory")
    found = recognised(path, alone=True)
    if found is not None:
        return list(found.parts)
    if path.is_dir():
        held = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and p.stem in STEMS]
        if not held:
            raise BadData(
                f"{path} holds none of {', '.join(STEMS)} as {', '.join(SUFFIXES)}, and nothing that "
                f"{', '.join(FORMATS)} write; it is no data set"
            )
        return [of_file(STEMS[p.stem], p, unit=unit) for p in held]
    columns = set(column_names(path))
    table = _table(columns)
    if table is None:
        raise BadData(
            f"{path.name} has columns {sorted(columns)}; expected user_id and item_id (events), request_id, slot "
            "and item_id (impressions), item_id (items) or user_id (users), or a file that "
            f"{', '.join(FORMATS)} write"
        )
    return [of_file(table, path, unit=unit)]


def _table(columns: set[str]) -> str | None:
    if set(SHOWN) <= columns:
        return "impressions"
    if {"user_id", "item_id"} <= columns:
        return "interactions"
    return next((table for table, key in KEYS.items() if key in columns), None)


def _files(path: Path) -> list[Path]:
    folders = [path, *(path / below for below in BELOW if (path / below).is_dir())]
    return [file for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]


# --------------------------------------------------------------------------------------------------------------------
# RecBole

ATOMIC = {"token", "token_seq", "float", "float_seq"}
RENAMED = {"class": "categories", "genre": "categories", "movie_title": "title", "release_year": "year"}


def recbole(path: Path) -> list[Part]:
    """One RecBole atomic file, `NAME.inter`, `NAME.item` or `NAME.user` (columns are `name:type`).

    `user_id`, `item_id`, `rating` (our value), `timestamp` (seconds) and `session_id` are understood; the first token
    columns stand in where user_id or item_id is called otherwise. Errors: BadData for a header of another kind.
    """
    table = {".inter": "interactions", ".item": "items", ".user": "users"}.get(path.suffix)
    if table is None:
        return []

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for frame in fields(path, report, rows, separator="\t"):
            yield _atomic(frame, table, path.name)

    return [Part(table=table, file=path, read=read, unit="seconds")]


def _atomic(frame: pl.DataFrame, table: str, file: str) -> pl.DataFrame:
    """Cells by the RecBole type of their column, columns by our names."""
    said = {c: c.partition(":") for c in frame.columns if c != ROW}
    wrong = [c for c, (_, colon, kind) in said.items() if not colon or kind not in ATOMIC]
    if wrong:
        raise BadData(f"{file}: header {wrong} should read name:type with a type of {sorted(ATOMIC)}")
    out = [frame[ROW]]
    for column, (short, _, kind) in said.items():
        values = frame[column]
        if kind == "token_seq":
            values = values.str.split(" ")
        elif kind == "float_seq":
            values = values.str.split(" ").list.eval(pl.element().cast(pl.Float32, strict=False))
        elif kind == "float" and short not in ("timestamp", "rating"):  # those two are checked and named row by row
            values = typed(values)
        out.append(values.alias(short))
    made, names = pl.DataFrame(out), [short for short, _, _ in said.values()]
    if table != "interactions":
        made = made.rename({names[0]: f"{table.removesuffix('s')}_id"})
        have = set(made.columns)
        return made.rename({c: o for c, o in RENAMED.items() if c in have and o not in have})
    tokens = [short for short, _, kind in said.values() if kind == "token"]
    for ours, at in (("user_id", 0), ("item_id", 1)):
        if ours not in made.columns and len(tokens) > at:
            made = made.rename({tokens[at]: ours})
    return made.rename({"rating": "value"}, strict=False)


# --------------------------------------------------------------------------------------------------------------------
# MovieLens

LOG = ("user_id", "item_id", "value", "timestamp")
PEOPLE = ("user_id", "gender", "age", "occupation", "zip_code")
RELEASES: dict[str, tuple[str, str, tuple[str, ...], str]] = {  # file -> table, separator, columns, encoding
    "u.data": ("interactions", "\t", LOG, "utf-8"),
    "u.item": ("items", "|", ("item_id", "title", "released", "video", "imdb", *GENRES), "latin-1"),
    "u.user": ("users", "|", ("user_id", "age", "gender", "occupation", "zip_code"), "utf-8"),
    "ratings.dat": ("interactions", "::", LOG, "utf-8"),
    "movies.dat": ("items", "::", ("item_id", "title", "categories"), "latin-1"),
    "users.dat": ("users", "::", PEOPLE, "utf-8"),
}  # fmt: skip


def movielens(path: Path) -> list[Part]:
    """One file of a MovieLens release: u.data and its like (100K), ratings.dat (1M, 10M), ratings.csv (20M and later).

    Ids are whole numbers; a row with another one is refused.
    """
    if path.name in RELEASES:
        table, separator, columns, encoding = RELEASES[path.name]

        def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
            for frame in fields(path, report, rows, separator=separator, columns=columns, encoding=encoding):
                yield _released(frame, path.name, report)

        return [Part(table=table, file=path, read=read, unit="seconds")]
    if path.name not in ("ratings.csv", "movies.csv") or "movieId" not in header(path):
        return []
    table = "interactions" if path.name == "ratings.csv" else "items"
    ours = {"userId": "user_id", "movieId": "item_id", "rating": "value", "genres": "categories"}
    plain = of_file(table, path)

    def read_csv(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for frame in plain.read(report, rows):
            yield _released(frame.rename(ours, strict=False), path.name, report)

    return [Part(table=table, file=path, read=read_csv, unit="seconds")]


def _released(frame: pl.DataFrame, file: str, report: Report) -> pl.DataFrame:
    """Ids as whole numbers, genres as lists, and of the 100K release genres out of their flags."""
    checked = checks.Checked(frame, file, report)
    for key in ("user_id", "item_id"):
        if key in frame.columns:
            whole = frame[key].cast(pl.Int64, strict=False)
            wrong = whole.is_null() & frame[key].is_not_null()
            checked.refuse(wrong, key, lambda v: f"{v!r} is no whole number, as ids of MovieLens are")
            checked.set(key, whole)
    frame = checked.table.filter(pl.Series(checked.good))
    if "unknown" in frame.columns:
        year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32)
        picked = pl.concat_list(pl.when(pl.col(g) == "1").then(pl.lit(g)) for g in GENRES).list.drop_nulls()
        return frame.select(ROW, "item_id", "title", categories=picked, year=year)
    if "categories" in frame.columns:
        return frame.with_columns(pl.col("categories").str.split("|"))
    numbers = [c for c in ("age", "occupation") if c in frame.columns and frame[c].str.contains(r"^\d*$").all()]
    return frame.with_columns(pl.col(numbers).cast(pl.Int32))


def movielens_frames(path: Path) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.DataFrame | None]:
    """(log, films, people) of a MovieLens release; times in microseconds, ratings as value. Errors: BadData."""
    parts = [part for file in _files(path) for part in movielens(file)]
    report = Report(path.name)
    held: dict[str, pl.DataFrame] = {}
    for part in parts:
        frames = list(part.read(report, 1 << 20))
        if part.table == "interactions":
            frames = [checks.interactions(f, part.name, report, part.unit).kept() for f in frames]
        held[part.table] = pl.concat(frames, how="diagonal_relaxed").drop(ROW)
    if "interactions" not in held:
        raise BadData(f"{path} is no MovieLens release; expected u.data, ratings.dat or ratings.csv")
    report.require()
    return held["interactions"], held.get("items"), held.get("users")


# --------------------------------------------------------------------------------------------------------------------
# Amazon reviews

REVIEW = {  # our column -> its names in the releases of 2014 and 2018, and of 2023
    "user_id": ("reviewerID", "user_id"), "item_id": ("asin", "parent_asin"), "value": ("overall", "rating"),
    "timestamp": ("unixReviewTime", "timestamp"),
}  # fmt: skip
META = {"item_id": ("asin", "parent_asin"), "title": ("title",), "categories": ("categories", "category"),
        "text": ("description",), "brand": ("brand", "store"), "price": ("price",)}  # fmt: skip
PRODUCT = {"categories": pl.List(pl.String), "price": pl.Float64, "title": pl.String, "text": pl.String,
           "brand": pl.String}  # fmt: skip
OBJECTS = (".json", ".json.gz", ".jsonl", ".jsonl.gz")


def amazon(path: Path) -> list[Part]:
    """Amazon reviews as JSON lines (.json, .jsonl, or .gz), or the products in a `meta*` file.

    The fields of 2014 and 2018 (reviewerID, asin, overall, unixReviewTime in seconds) and of 2023 (user_id,
    parent_asin, rating, timestamp in milliseconds) are told apart by their names.
    """
    if not path.name.endswith(OBJECTS):
        return []
    told = first(path)
    if path.name.startswith("meta") and {"asin", "parent_asin"} & told.keys():
        return [Part(table="items", file=path, read=lambda report, rows: made(path, report, rows, _product, PRODUCT))]
    if path.name.startswith("meta") or not {"reviewerID", "parent_asin"} & told.keys():
        return []
    new = "parent_asin" in told

    def review(record: dict[str, Any]) -> dict[str, Any]:
        return {ours: record.get(recent if new else old) for ours, (old, recent) in REVIEW.items()}

    return [Part(table="interactions", file=path, unit="milliseconds" if new else "seconds",
                 read=lambda report, rows: made(path, report, rows, review))]  # fmt: skip


def _product(record: dict[str, Any]) -> dict[str, Any]:
    return {
        ours: _plain(next((record[n] for n in reversed(names) if record.get(n)), None), ours)
        for ours, names in META.items()
    }


def _plain(value: Any, column: str) -> Any:
    """A text for text columns, a flat list for categories (2014 nests them), a number for prices like '$3.50'."""
    if value is None:
        return None
    if column == "categories":
        parts = value if isinstance(value, list) else [value]
        return [str(v) for part in parts for v in (part if isinstance(part, list) else [part])]
    if column == "price":
        try:
            return float(str(value).replace("$", "").replace(",", ""))
        except ValueError:
            return None  # 'None', 'from 12.99' and stray markup stand in the releases
    return " ".join(map(str, value)) if isinstance(value, list) else value


# --------------------------------------------------------------------------------------------------------------------
# BEIR

SPOKEN = {"train": "train", "dev": "valid", "test": "test"}


def beir(path: Path) -> list[Part]:
    """One file of a BEIR set: corpus.jsonl (the items), queries.jsonl, qrels/train.tsv, dev.tsv, test.tsv.

    Tables: `queries` (query_id, text, split) and `qrels` (query_id, item_id, relevance, split). Errors: BadData for a
    set without judgements.
    """
    if path.name == "corpus.jsonl":
        schema = {"title": pl.String, "text": pl.String}
        return [Part(table="items", file=path, read=lambda report, rows: made(path, report, rows, _document, schema))]
    if path.name == "queries.jsonl" and (path.parent / "corpus.jsonl").exists():
        return [Part(table="queries", file=path, read=lambda report, rows: _asked(path, report, rows))]
    if path.parent.name != "qrels" or path.suffix != ".tsv" or "corpus-id" not in header(path, "\t"):
        return []

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for frame in fields(path, report, rows, separator="\t"):
            yield _judged(frame, path)

    return [Part(table="qrels", file=path, read=read)]


def _document(record: dict[str, Any]) -> dict[str, Any]:
    return {"item_id": record.get("_id"), "title": record.get("title"), "text": record.get("text")}


def _judged(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    frame = frame.rename({"query-id": "query_id", "corpus-id": "item_id", "score": "relevance"})
    told = frame.select(pl.col("query_id", "item_id"), pl.col("relevance").cast(pl.Float32), ROW)
    return told.with_columns(split=pl.lit(SPOKEN.get(path.stem, path.stem)))


def _asked(path: Path, report: Report, rows: int) -> Iterator[pl.DataFrame]:
    """Queries, each with the part that it is judged in."""
    judged = sorted((path.parent / "qrels").glob("*.tsv"))
    if not judged:
        raise BadData(f"{path.parent} has no qrels/*.tsv; expected train.tsv, dev.tsv or test.tsv")
    own = Report(path.parent.name)
    read = [_judged(f, file) for file in judged for f in fields(file, own, 1 << 20, separator="\t")]
    split = pl.concat(read).select("query_id", "split").unique("query_id", keep="first", maintain_order=True)
    schema = {"query_id": pl.String, "text": pl.String}
    for frame in made(path, report, rows, lambda r: {"query_id": r.get("_id"), "text": r.get("text")}, schema):
        yield frame.join(split, on="query_id", how="left", maintain_order="left")


# --------------------------------------------------------------------------------------------------------------------
# KuaiRand


def _kuairand(path: Path) -> list[Part]:
    """The standard log of KuaiRand: what was shown, answers as events, videos and people."""
    held: dict[str, pl.DataFrame] = {}

    def table(name: str) -> Callable[[], pl.DataFrame]:
        def read() -> pl.DataFrame:
            if not held:
                held.update(kuairand_frames(path))
            return held[name]

        return read

    folder = path / "data" if (path / "data").is_dir() else path
    files = {"interactions": "log_standard_*.csv", "items": "video_features_basic_*.csv",
             "users": "user_features_*.csv", "impressions": "log_standard_*.csv"}  # fmt: skip
    return [
        of_frame(name, found, table(name))
        for name, pattern in files.items()
        if (found := next(iter(sorted(folder.glob(pattern))), None)) is not None
    ]


class Format(NamedTuple):
    """A kind of files: what reads one of them, and how those of one folder belong together."""

    read: Callable[[Path], list[Part]]
    kin: Callable[[Path, Path], bool] | None = None  # (a file, another of its folder): it comes along
    one_log: bool = False  # a folder has a single log, which gives the data set its name
    release: bool = False  # the folder gives it its name, whichever file was pointed at


FORMATS: dict[str, Format] = {
    "recbole": Format(recbole, kin=lambda file, other: other.stem == file.stem, one_log=True),
    "movielens": Format(movielens, kin=lambda file, other: True, release=True),
    "beir": Format(beir), "gorse": Format(gorse), "personalize": Format(personalize), "ubi": Format(ubi),
    "trec": Format(trec), "amazon": Format(amazon),
}  # fmt: skip
