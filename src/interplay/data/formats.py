"""Files that people already have: RecBole atomic files, MovieLens, Amazon reviews, BEIR, KuaiRand; each is a Dataset.

Every reader takes `(path, *, name, bad, report)` as `from_frames` does. Their times are converted here, explicitly:
RecBole and MovieLens write seconds, Amazon reviews seconds (2014, 2018) or milliseconds (2023).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from interplay.data.files import typed
from interplay.data.kuairand import kuairand
from interplay.data.report import Report
from interplay.data.tables import from_frames
from interplay.errors import BadData
from interplay.types import Dataset

GENRES = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
          "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
          "Western")  # fmt: skip


def recognised(path: Path) -> Callable[..., Dataset] | None:
    """The reader whose files lie at `path`, or None: then it should be a directory of our own format."""
    if path.is_file():
        names = {path.name}
        if path.suffix == ".inter":
            return recbole
    else:
        names = {p.name for p in path.iterdir()}
        if any(n.endswith(".inter") for n in names):
            return recbole
        if names & {"u.data", "ratings.dat", "ratings.csv"}:
            return movielens
        if "corpus.jsonl" in names:
            return beir
        if any(path.glob("log_standard_*.csv")) or any(path.glob("data/log_standard_*.csv")):
            return kuairand
    if any(n.endswith((".json", ".json.gz", ".jsonl", ".jsonl.gz")) and _is_reviews(path, n) for n in names):
        return amazon_reviews
    return None


# --------------------------------------------------------------------------------------------------------------------
# RecBole


def recbole(path: str | Path, *, name: str | None = None, bad: str = "raise", report: Report | None = None) -> Dataset:
    """RecBole atomic files: `NAME.inter` and, beside it, `NAME.item` and `NAME.user` (columns are `name:type`).

    `user_id`, `item_id`, `rating` (our value), `timestamp` (seconds) and `session_id` are understood; the first token
    columns stand in where user_id or item_id is called otherwise. Errors: BadData.
    """
    path = Path(path)
    logs = [path] if path.is_file() else sorted(path.glob("*.inter"))
    if len(logs) != 1:
        raise BadData(f"{path} should hold one .inter file; found {[p.name for p in logs]}")
    inter = logs[0]
    log, kinds = _atomic(inter)
    tokens = [c for c in log.columns if kinds[c] == "token"]
    for ours, at in (("user_id", 0), ("item_id", 1)):
        if ours not in log.columns and len(tokens) > at:
            log = log.rename({tokens[at]: ours})
    log = log.rename({c: o for c, o in (("rating", "value"),) if c in log.columns})
    others: dict[str, pl.DataFrame | None] = {"item": None, "user": None}
    for what in others:
        file = inter.with_suffix(f".{what}")
        if file.exists():
            table, _ = _atomic(file)
            first = table.columns[0]
            table = table.rename({first: f"{what}_id"})
            held = {"class": "categories", "genre": "categories", "movie_title": "title", "release_year": "year"}
            have = set(table.columns)
            others[what] = table.rename({c: o for c, o in held.items() if c in have and o not in have})
    return from_frames(
        name or inter.stem, log, others["item"], others["user"], time_unit="seconds", bad=bad, report=report,
        files={"interactions": inter.name, "items": f"{inter.stem}.item", "users": f"{inter.stem}.user"},
    )  # fmt: skip


def _atomic(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame of one atomic file and the RecBole type of each column."""
    table = _text_frame(path, "\t")
    spoken = {c: c.partition(":") for c in table.columns}
    wrong = [c for c, (_, colon, kind) in spoken.items() if not colon or kind not in ATOMIC]
    if wrong:
        raise BadData(f"{path.name}: header {wrong} should read name:type with a type of {sorted(ATOMIC)}")
    out = []
    for column, (short, _, kind) in spoken.items():
        values = table[column]
        if kind == "token_seq":
            values = values.str.split(" ")
        elif kind == "float_seq":
            values = values.str.split(" ").list.eval(pl.element().cast(pl.Float32, strict=False))
        elif kind == "float" and short not in ("timestamp", "rating"):  # those two are checked and named row by row
            values = typed(values)
        out.append(values.alias(short))
    return pl.DataFrame(out), {short: kind for short, _, kind in spoken.values()}


ATOMIC = {"token", "token_seq", "float", "float_seq"}


def _text_frame(path: Path, separator: str, columns: list[str] | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """A separated file without quoting, all as text. Errors: BadData naming a row with the wrong number of fields."""
    lines = pl.Series(path.read_bytes().decode(encoding, "replace").splitlines(), dtype=pl.String)
    if columns is None:
        if not len(lines):
            raise BadData(f"{path.name} is empty; its first line should name the columns")
        columns, lines = lines[0].split(separator), lines[1:]
    number = pl.int_range(1, len(lines) + 1, eager=True).filter(lines != "")
    fields = lines.filter(lines != "").str.split(separator)
    wrong = (fields.list.len() != len(columns)).arg_true()
    if len(wrong):
        row = int(number[int(wrong[0])])
        raise BadData(f"{path.name}, row {row}: {len(fields[int(wrong[0])])} fields where {len(columns)} are expected "
                      f"({len(wrong)} such rows)")  # fmt: skip
    table = fields.list.to_struct(fields=columns).struct.unnest() if len(fields) else pl.DataFrame(
        schema=dict.fromkeys(columns, pl.String))  # fmt: skip
    return table.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())


# --------------------------------------------------------------------------------------------------------------------
# MovieLens


def movielens(
    path: str | Path, *, name: str | None = None, bad: str = "raise", report: Report | None = None
) -> Dataset:
    """An unpacked MovieLens release: u.data (100K), ratings.dat (1M, 10M) or ratings.csv (20M and later)."""
    path = Path(path)
    path = path.parent if path.is_file() else path
    return from_frames(name or path.name, *movielens_frames(path), bad=bad, report=report)


def movielens_frames(path: Path) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.DataFrame | None]:
    """(log, films, people) of a MovieLens release; times in microseconds, ratings as value."""
    films = people = None
    four = ["user_id", "item_id", "value", "timestamp"]
    if (path / "u.data").exists():
        log = _text_frame(path / "u.data", "\t", four)
        if (path / "u.item").exists():
            heads = ["item_id", "title", "released", "video", "imdb", *GENRES]
            flags = _text_frame(path / "u.item", "|", heads, "latin-1")
            picked = pl.concat_list(pl.when(pl.col(g) == "1").then(pl.lit(g)) for g in GENRES).list.drop_nulls()
            year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32)
            films = flags.select("item_id", "title", categories=picked, year=year)
        if (path / "u.user").exists():
            people = _text_frame(path / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip_code"])
            people = people.with_columns(pl.col("age").cast(pl.Int32))
    elif (path / "ratings.dat").exists():
        log = _text_frame(path / "ratings.dat", "::", four)
        if (path / "movies.dat").exists():
            films = _text_frame(path / "movies.dat", "::", ["item_id", "title", "categories"], "latin-1")
            films = films.with_columns(pl.col("categories").str.split("|"))
        if (path / "users.dat").exists():
            people = _text_frame(path / "users.dat", "::", ["user_id", "gender", "age", "occupation", "zip_code"])
            people = people.with_columns(pl.col("age", "occupation").cast(pl.Int32))
    elif (path / "ratings.csv").exists():
        log = pl.read_csv(path / "ratings.csv", infer_schema=False)
        log = log.rename(dict(zip(log.columns, four, strict=False)))
        if (path / "movies.csv").exists():
            films = pl.read_csv(path / "movies.csv", infer_schema=False)
            films = films.rename({"movieId": "item_id", "genres": "categories"})
            films = films.with_columns(pl.col("categories").str.split("|"))
    else:
        raise BadData(f"{path} is no MovieLens release; expected u.data, ratings.dat or ratings.csv")
    try:
        log = log.with_columns(
            pl.col("user_id", "item_id").cast(pl.Int64), pl.col("value").cast(pl.Float32),
            pl.col("timestamp").cast(pl.Int64) * 1_000_000,
        )  # fmt: skip
        films = None if films is None else films.with_columns(pl.col("item_id").cast(pl.Int64))
        people = None if people is None else people.with_columns(pl.col("user_id").cast(pl.Int64))
    except pl.exceptions.PolarsError as error:
        raise BadData(f"{path}: a rating that is not four numbers ({str(error).splitlines()[0]})") from error
    return log, films, people


# --------------------------------------------------------------------------------------------------------------------
# Amazon reviews

REVIEW = {  # our column -> its names in the releases of 2014 and 2018, and of 2023
    "user_id": ("reviewerID", "user_id"), "item_id": ("asin", "parent_asin"), "value": ("overall", "rating"),
    "timestamp": ("unixReviewTime", "timestamp"),
}  # fmt: skip
META = {"item_id": ("asin", "parent_asin"), "title": ("title",), "categories": ("categories", "category"),
        "text": ("description",), "brand": ("brand", "store"), "price": ("price",)}  # fmt: skip


def amazon_reviews(
    path: str | Path, meta: str | Path | None = None, *, name: str | None = None, bad: str = "raise",
    report: Report | None = None,
) -> Dataset:  # fmt: skip
    """Amazon reviews as JSON lines (.json, .jsonl, or .gz), with a `meta*` file of the products beside them or given.

    The fields of 2014 and 2018 (reviewerID, asin, overall, unixReviewTime in seconds) and of 2023 (user_id,
    parent_asin, rating, timestamp in milliseconds) are told apart by their names. Errors: BadData.
    """
    path = Path(path)
    report = Report(name or path.name) if report is None else report
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if ".json" in p.name)
    logs = [p for p in files if not p.name.startswith("meta")]
    metas = [Path(meta)] if meta else [p for p in files if p.name.startswith("meta")]
    if len(logs) != 1:
        raise BadData(f"{path} should hold one file of reviews; found {[p.name for p in logs]}")
    new = False
    columns: dict[str, list[Any]] = {ours: [] for ours in REVIEW}
    for record in _lines(logs[0], report):
        new = new or "parent_asin" in record
        for ours, (old, recent) in REVIEW.items():
            columns[ours].append(record.get(recent if "parent_asin" in record else old))
    log = pl.DataFrame(columns, strict=False)
    items = None
    if metas:
        told: dict[str, list[Any]] = {ours: [] for ours in META}
        for record in _lines(metas[0], report):
            for ours, names in META.items():
                told[ours].append(_plain(next((record[n] for n in reversed(names) if record.get(n)), None), ours))
        items = pl.DataFrame(told, schema_overrides={"categories": pl.List(pl.String)}, strict=False).unique(
            "item_id", keep="first", maintain_order=True
        )
    return from_frames(
        name or path.name.partition(".")[0], log, items, time_unit="milliseconds" if new else "seconds", bad=bad,
        report=report, files={"interactions": logs[0].name, "items": metas[0].name if metas else "items"},
    )  # fmt: skip


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


def _lines(path: Path, report: Report) -> Any:
    """JSON objects of a file, one a line; a broken line is refused in the report."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                try:
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise ValueError("a line holds one object")
                except ValueError as error:
                    report.counts(path.name).rows += 1
                    report.refuse(path.name, [number], None, lambda _, e=error: f"not a JSON object: {e}")  # type: ignore[misc]
                    continue
                yield record
        except (EOFError, OSError) as error:
            raise BadData(f"{path.name} is cut off or damaged after row {number}: {error}") from error


def _is_reviews(path: Path, name: str) -> bool:
    file = path if path.is_file() else path / name
    if file.name.startswith("meta"):
        return False
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8", errors="replace") as lines:
            first = json.loads(lines.readline())
    except (OSError, EOFError, ValueError):
        return False
    return isinstance(first, dict) and bool({"reviewerID", "parent_asin"} & first.keys())


# --------------------------------------------------------------------------------------------------------------------
# BEIR


def beir(path: str | Path, *, name: str | None = None, bad: str = "raise", report: Report | None = None) -> Dataset:
    """A BEIR set: corpus.jsonl (the items), queries.jsonl, qrels/train.tsv, dev.tsv, test.tsv.

    Tables: `queries` (query_id, text, split) and `qrels` (query_id, item_id, relevance, split). Errors: BadData.
    """
    path = Path(path)
    report = Report(name or path.name) if report is None else report
    corpus = [(r.get("_id"), r.get("title"), r.get("text")) for r in _lines(path / "corpus.jsonl", report)]
    asked = [(r.get("_id"), r.get("text")) for r in _lines(path / "queries.jsonl", report)]
    spoken = {"train": "train", "dev": "valid", "test": "test"}
    parts = []
    for file in sorted((path / "qrels").glob("*.tsv")):
        judged = _text_frame(file, "\t").rename({"query-id": "query_id", "corpus-id": "item_id", "score": "relevance"})
        part = pl.lit(spoken.get(file.stem, file.stem))
        parts.append(judged.with_columns(pl.col("relevance").cast(pl.Float32), split=part))
    if not parts:
        raise BadData(f"{path} has no qrels/*.tsv; expected train.tsv, dev.tsv or test.tsv")
    qrels = pl.concat(parts)
    queries = pl.DataFrame(asked, schema={"query_id": pl.String, "text": pl.String}, orient="row", strict=False)
    queries = queries.join(qrels.select("query_id", "split").unique("query_id", keep="first", maintain_order=True),
                           on="query_id", how="left", maintain_order="left")  # fmt: skip
    items = pl.DataFrame(corpus, schema={"item_id": pl.String, "title": pl.String, "text": pl.String}, orient="row",
                         strict=False)  # fmt: skip
    tables = {"queries": queries, "qrels": qrels}
    return from_frames(
        name or path.name, None, items, tables=tables, bad=bad, report=report, files={"items": "corpus.jsonl"}
    )
