"""What other engines and search tools write: Gorse, Amazon Personalize, User Behavior Insights, TREC.

gorse         users, items, feedback as CSV or JSON lines (its dashboard's export, or its tables)
personalize   USER_ID, ITEM_ID, TIMESTAMP ... in upper case (its datasets and dataset export jobs); times in seconds
ubi           queries and events as JSON lines, as OpenSearch keeps them (`_source` and bulk lines are understood)
trec          topics, qrels, runs, and a collection as `docid<TAB>text` or as Anserini's JSON lines

Each is a function from a file to the parts that lie in it, as in formats.py. A name that a catalogue has elsewhere is
kept; what an engine calls by its own name has ours.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from interplay.data.files import LINES, ROW, TEXTUAL, fields
from interplay.data.parts import Part, derived, first, header, made, mapped, of_file
from interplay.data.report import Report
from interplay.errors import BadData

# --------------------------------------------------------------------------------------------------------------------
# Gorse

STOCK = "in_stock"  # the catalogue column by which an item is not offered
OWN = ("categories", "comment", "timestamp", "labels", "labels_json", "labelled", "subscribe", STOCK)
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
GO = re.compile(r"^(\S+) (\S+) ([+-]\d\d):?(\d\d)(?: \S+)?$")  # 2020-01-01 10:00:00 +0000 UTC, as Go prints a moment


def gorse(path: Path) -> list[Part]:
    """One file of a Gorse export: users, items or feedback, as CSV or JSON lines.

    Feedback is an event of its type. Labels that are an object become columns of their own, a comment is an item's
    title where the labels bring none, a hidden item is out of stock, as over Gorse's REST.
    """
    lines = path.suffix.lower() in LINES
    names = {_snake(name) for name in (first(path) if lines else header(path))}
    if {"feedback_type", "user_id", "item_id"} <= names:
        table = "interactions"
    elif "item_id" in names and "is_hidden" in names and "user_id" not in names:
        table = "items"
    elif {"user_id", "labels"} <= names <= {"user_id", "labels", "comment", "subscribe"}:
        table = "users"
    else:
        return []
    change = {"interactions": _feedback, "items": _item, "users": _user}[table]
    kinds: dict[str, Any] = {
        "title": pl.String,
        "comment": pl.String,
        "categories": pl.List(pl.String),
        "timestamp": pl.String,
    }

    def read_lines(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        return made(path, report, rows, lambda record: change({_snake(k): v for k, v in record.items()}), kinds)

    plain = of_file(table, path)

    def read_csv(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for frame in plain.read(report, rows):
            told = [change({_snake(k): v for k, v in row.items() if k != ROW}) for row in frame.iter_rows(named=True)]
            table = pl.DataFrame(told, schema_overrides=kinds, infer_schema_length=None, strict=False)
            yield table.with_columns(frame[ROW]) if told else frame[:0].rename(_snake)

    return [Part(table=table, file=path, read=read_lines if lines else read_csv)]


def _snake(name: str) -> str:
    return CAMEL.sub("_", name.strip()).lower()


def _moment(said: Any) -> str | None:
    """A moment as Go's JSON and its printing write it, in ISO 8601; a year 1 is none."""
    if said is None or str(said).startswith("0001-"):
        return None
    text = str(said).strip()
    return f"{go[1]}T{go[2]}{go[3]}:{go[4]}" if (go := GO.match(text)) else text


def _feedback(row: Mapping[str, Any]) -> dict[str, Any]:
    out = {"user_id": row.get("user_id"), "item_id": row.get("item_id"), "event_type": row.get("feedback_type")}
    out["timestamp"] = _moment(row.get("time_stamp") or row.get("timestamp"))
    if row.get("value") is not None:
        out["value"] = row["value"]
    return out | ({"comment": row["comment"]} if row.get("comment") else {})


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    out = {"item_id": row.get("item_id"), **labels(_said(row.get("labels")))}
    comment = row.get("comment")
    out |= {"comment": comment} if comment else {}
    out |= {"title": comment} if comment and "title" not in out else {}
    if (categories := _said(row.get("categories"))) is not None:
        out["categories"] = [str(c) for c in categories] if isinstance(categories, list) else [str(categories)]
    if (moment := _moment(row.get("time_stamp") or row.get("timestamp"))) is not None:
        out["timestamp"] = moment
    hidden = row.get("is_hidden")
    if hidden is not None:
        out[STOCK] = str(hidden).lower() not in ("true", "1", "t")
    return {k: v for k, v in out.items() if v is not None or k == "item_id"}


def _user(row: Mapping[str, Any]) -> dict[str, Any]:
    out = {"user_id": row.get("user_id"), **labels(_said(row.get("labels")))}
    more = {name: row[name] for name in ("comment", "subscribe") if row.get(name)}
    return {k: v for k, v in (out | more).items() if v is not None or k == "user_id"}


def _said(cell: Any) -> Any:
    """What a cell of a CSV export holds: JSON, or names with bars between them; JSON lines hold it as it is."""
    if not isinstance(cell, str):
        return cell
    if cell[:1] in ("[", "{", '"') or cell == "null":
        try:
            return json.loads(cell)
        except ValueError:
            pass
    return [part for part in cell.split("|") if part] or None


def labels(said: Any) -> dict[str, Any]:
    """Gorse's labels as columns: an object's by their names, a list of texts as `labels`, anything else as JSON.

    >>> labels({"genre": "crime", "vector": {"dim": 2}})["labelled"], labels(["a", "b"])["labels"]
    (['genre'], ['a', 'b'])
    """
    if said is None or said == "" or said == []:
        return {}
    if isinstance(said, list) and all(isinstance(v, str) for v in said):
        return {"labels": said, "labels_json": None, "labelled": None}
    if not isinstance(said, Mapping):
        return {"labels": None, "labels_json": json.dumps(said), "labelled": None}
    plain = {str(k): v for k, v in said.items() if str(k) not in OWN and _is_plain(v)}
    rest = {str(k): v for k, v in said.items() if str(k) not in plain}
    return plain | {"labels": None, "labels_json": json.dumps(rest) if rest else None, "labelled": sorted(plain)}


def _is_plain(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    kinds = {type(v) for v in values}
    return bool(values) and kinds <= {str, bool, int, float} and (kinds <= {int, float} or len(kinds) == 1)


# --------------------------------------------------------------------------------------------------------------------
# Amazon Personalize

PERSONALIZED = {"EVENT_VALUE": "value", "RECOMMENDATION_ID": "request_id"}  # others by their name in lower case
TITLES = ("TITLE", "ITEM_NAME", "NAME", "PRODUCT_NAME")
TEXTS = ("DESCRIPTION", "PRODUCT_DESCRIPTION", "ITEM_DESCRIPTION")
KINDS = ("CATEGORIES", "CATEGORY", "GENRES", "GENRE", "CATEGORY_L1", "CATEGORY_L2", "CATEGORY_L3")


def personalize(path: Path) -> list[Part]:
    """One CSV file of an Amazon Personalize dataset: interactions, items or users, known by its upper-case columns.

    TIMESTAMP is seconds. IMPRESSION (item ids with bars between them) becomes rows of `impressions` under the event's
    RECOMMENDATION_ID, or under one that follows from the row. An empty EVENT_VALUE counts as 1, which is noted.
    """
    names = set(header(path))
    if not {"USER_ID", "ITEM_ID"} & names:
        return []
    table = "interactions" if {"USER_ID", "ITEM_ID"} <= names else "items" if "ITEM_ID" in names else "users"
    plain = of_file(table, path)
    if table != "interactions":
        return [mapped(plain, _things if table == "items" else lambda frame: frame.rename(_lower, strict=False))]

    def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        for frame in plain.read(report, rows):
            if "EVENT_VALUE" in frame.columns and frame["EVENT_VALUE"].null_count():
                report.note(f"{path.name}: where EVENT_VALUE is empty it counts as 1")
                frame = frame.with_columns(pl.col("EVENT_VALUE").fill_null("1"))
            if "IMPRESSION" in frame.columns:
                frame = frame.with_columns(_request(frame)).drop("IMPRESSION")
            yield frame.rename(_lower)

    log = Part(table=table, file=path, read=read, unit="seconds", untyped=True)
    return [log, *([derived("impressions", plain, _impressions)] if "IMPRESSION" in names else [])]


def _lower(name: str) -> str:
    return name if name == ROW else PERSONALIZED.get(name, name.lower())


def _request(frame: pl.DataFrame) -> pl.Expr:
    """The request that an event's impression belongs to: its RECOMMENDATION_ID, or one that follows from the row."""
    made = pl.format("shown-{}-{}-{}", pl.col("USER_ID"), pl.col("TIMESTAMP"), pl.col(ROW))
    made = pl.when(pl.col("IMPRESSION").is_not_null()).then(made)
    given = "RECOMMENDATION_ID" in frame.columns
    return (pl.coalesce("RECOMMENDATION_ID", made) if given else made).alias("RECOMMENDATION_ID")


def _impressions(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each item that was shown."""
    shown = frame.filter(pl.col("IMPRESSION").is_not_null() & pl.col("USER_ID").is_not_null())
    told = shown.select(
        ROW, _request(frame).alias("request_id"), pl.col("USER_ID").alias("user_id"),
        (pl.col("TIMESTAMP").cast(pl.Int64, strict=False) * 1_000_000).alias("timestamp"),
        pl.col("IMPRESSION").str.split("|").alias("item_id"), pl.lit("personalize").alias("policy"),
    )  # fmt: skip
    return _places(told.filter(pl.col("timestamp").is_not_null()))


def _places(told: pl.DataFrame) -> pl.DataFrame:
    """A row for each of the listed items, with its place."""
    slots = pl.int_ranges(pl.col("item_id").list.len(), dtype=pl.Int32)
    return told.with_columns(slot=slots).explode("item_id", "slot")


def _things(frame: pl.DataFrame) -> pl.DataFrame:
    """Items with a title, a text and categories by our names; CREATION_TIMESTAMP as a moment."""
    have = frame.columns
    told: list[pl.Expr] = []
    for ours, theirs in (("title", TITLES), ("text", TEXTS)):
        told += [pl.col(c).alias(ours) for c in theirs[::-1] if c in have][-1:]
    kinds = [pl.col(c).fill_null("").str.split("|") for c in KINDS if c in have]
    if kinds:
        told.append(pl.concat_list(kinds).list.eval(pl.element().filter(pl.element() != "")).alias("categories"))
    if "CREATION_TIMESTAMP" in have:
        seconds = pl.col("CREATION_TIMESTAMP").cast(pl.Int64, strict=False)
        told.append(pl.from_epoch(seconds, "s").dt.to_string("%Y-%m-%dT%H:%M:%SZ").alias("created"))
    used = {*TITLES, *TEXTS, *KINDS, "CREATION_TIMESTAMP"}
    return frame.select(*(pl.col(c).alias(_lower(c)) for c in have if c not in used), *told)


# --------------------------------------------------------------------------------------------------------------------
# User Behavior Insights

ACTIONS = {  # usual action names -> event type
    "click": "click", "item_click": "click", "result_click": "click", "product_click": "click", "select": "click",
    "view": "view", "item_view": "view", "product_view": "view", "page_view": "view", "details": "view",
    "save": "keep", "bookmark": "keep", "wishlist": "keep", "add_to_wishlist": "keep", "like": "keep",
    "add_to_cart": "cart", "cart": "cart", "basket": "cart", "purchase": "purchase", "buy": "purchase",
    "order": "purchase", "conversion": "purchase", "rating": "rate", "rate": "rate", "dislike": "less",
}  # fmt: skip
BULK = ("index", "create", "update")


def ubi(path: Path) -> list[Part]:
    """Queries and events of User Behavior Insights as JSON lines, in files of their own or mixed.

    An event about an object is an event of that item, by the person (user_id) or the browser (client_id), under the
    request that its query_id names. A query makes a row of `queries`, its hits rows of `impressions`. Actions that say
    nothing about an item are left out, which is noted.
    """
    if not path.name.endswith((*LINES, *(f"{end}.gz" for end in LINES))):
        return []
    told = _source(first(path))
    if told is None:  # the action line of a bulk file
        told = {"action_name": ""} if "ubi" in path.name.lower() else {}
    if not ("action_name" in told or {"query_id", "user_query"} <= told.keys()):
        return []

    def events(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        left: Counter[str] = Counter()
        kinds = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "session_id": pl.String}
        yield from made(path, report, rows, lambda record: _event(record, left), kinds)
        if left:
            said = ", ".join(f"{action} {n:,}" for action, n in left.most_common(8))
            report.note(f"{path.name}: {left.total():,} events that say nothing about an item were left out: {said}")

    def queries(report: Report, rows: int) -> Iterator[pl.DataFrame]:
        return made(path, report, rows, _query, {"query_id": pl.String, "user_id": pl.String, "text": pl.String,
                    "timestamp": pl.Int64, "item_id": pl.List(pl.String)})  # fmt: skip

    asked = Part(table="queries", file=path, read=queries)
    log = Part(table="interactions", file=path, read=events)
    if "action_name" not in told:
        return [mapped(asked, lambda f: f.drop("item_id")), derived("impressions", asked, _hits)]
    named = mapped(Part(**{**vars(asked), "called": f"{path.name} (queries)"}), lambda f: f.drop("item_id"))
    return [log, derived("queries", named, lambda f: f), derived("impressions", asked, _hits)]


def _source(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The document of an exported hit; None for the action line of a bulk file."""
    if isinstance(record.get("_source"), Mapping):
        return record["_source"]
    return None if len(record) == 1 and next(iter(record)) in BULK else record


def _event(record: Mapping[str, Any], left: Counter[str]) -> dict[str, Any] | None:
    told = _source(record)
    if told is None or "action_name" not in told:
        return None
    action = str(told["action_name"])
    about = (told.get("event_attributes") or {}).get("object") or {}
    kind = ACTIONS.get(action.lower())
    if kind is None or about.get("object_id") is None:
        left[action] += 1
        return None
    who = told.get("user_id") if told.get("user_id") is not None else told.get("client_id")
    return {
        "user_id": who, "item_id": about["object_id"], "event_type": kind, "timestamp": _micro(told.get("timestamp")),
        "query_id": told.get("query_id"), "request_id": told.get("query_id"), "session_id": told.get("session_id"),
        "surface": "search",
    }  # fmt: skip


def _query(record: Mapping[str, Any]) -> dict[str, Any] | None:
    told = _source(record)
    if told is None or "action_name" in told or "query_id" not in told:
        return None
    who = told.get("user_id") if told.get("user_id") is not None else told.get("client_id")
    hits = told.get("query_response_hit_ids") or []
    return {"query_id": told["query_id"], "text": told.get("user_query") or "", "user_id": who,
            "timestamp": _micro(told.get("timestamp")), "item_id": [str(h) for h in hits]}  # fmt: skip


def _hits(frame: pl.DataFrame) -> pl.DataFrame:
    """What an answer held, one row for each place."""
    shown = frame.filter((pl.col("item_id").list.len() > 0) & pl.col("timestamp").is_not_null())
    told = shown.select(ROW, "user_id", "timestamp", "item_id", request_id=pl.col("query_id"), policy=pl.lit("ubi"))
    return _places(told)


def _micro(said: Any) -> int | None:
    """Microseconds of ISO 8601, or of milliseconds as a number; None for what is no time."""
    if isinstance(said, bool) or said is None:
        return None
    if isinstance(said, int | float) or str(said).isdigit():
        return int(said) * 1000
    iso = pl.Series([str(said).replace("Z", "+00:00")])
    for shape in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f"):
        read = iso.str.to_datetime(shape, time_unit="us", strict=False)
        if read[0] is not None:
            return int(read.dt.epoch("us")[0])
    return None


# --------------------------------------------------------------------------------------------------------------------
# TREC

JUDGED = ("query_id", "iteration", "item_id", "relevance")
RUN = ("query_id", "q0", "item_id", "rank", "score", "run")
TAG = re.compile(r"<(num|title|desc|query)>(.*?)(?=<|\Z)", re.S | re.I)
PART = re.compile(r"(?:^|[._-])(train|dev|valid|test)(?:[._-]|$)", re.I)


def trec(path: Path) -> list[Part]:
    """One file of a TREC collection, known by its name and its first line.

    topics*       `<top>` or `<topic number=..>` elements, or `id<TAB>text`: table `queries`
    *qrel*        topic, iteration, document, relevance: table `qrels`; split by its name, else test
    *run*         topic, Q0, document, rank, score, tag: table `runs`, what some system answered
    collection*   `id<TAB>text`, or JSON lines of id and contents: the items
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    if suffix in LINES or name.endswith(".json"):
        known = {"id", "contents"} <= first(path).keys()
        return [Part(table="items", file=path, read=lambda report, rows: made(path, report, rows, _contents))] * known
    if suffix not in (*TEXTUAL, "", ".trec", ".run", ".qrels", ".qrel", ".topics", ".xml", ".sgml") and not any(
        word in name for word in ("qrel", "topics", ".run")
    ):
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        line = next((held for held in lines if held.strip()), "")
    cells = line.split()
    if "qrel" in name and len(cells) == 4 and re.fullmatch(r"-?\d+", cells[3]):
        return [Part(table="qrels", file=path, read=lambda report, rows: _judgements(path, report, rows))]
    if len(cells) == 6 and cells[1].upper() == "Q0":
        return [Part(table="runs", file=path, read=lambda report, rows: _answers(path, report, rows))]
    asked = "topic" in name or name.startswith("queries")
    if asked and ("<top" in line.lower() or line.startswith("<?xml")):
        return [Part(table="queries", file=path, read=lambda report, rows: _topics(path, report))]
    if line.count("\t") == 1 and (asked or name.startswith("collection")):
        table, names = ("queries", ("query_id", "text")) if asked else ("items", ("item_id", "text"))

        def read(report: Report, rows: int) -> Iterator[pl.DataFrame]:
            return fields(path, report, rows, separator="\t", columns=names)

        return [Part(table=table, file=path, read=read)]
    return []


def _contents(record: dict[str, Any]) -> dict[str, Any]:
    return {"item_id": record.get("id"), "text": record.get("contents"), "title": record.get("title")}


def _judgements(path: Path, report: Report, rows: int) -> Iterator[pl.DataFrame]:
    said = PART.search(path.stem)
    part = {"dev": "valid"}.get(said[1].lower(), said[1].lower()) if said else "test"
    for frame in fields(path, report, rows, separator=None, columns=JUDGED):
        worth = pl.col("relevance").cast(pl.Float32, strict=False)
        yield frame.select("query_id", "item_id", relevance=worth, split=pl.lit(part), **{ROW: pl.col(ROW)})


def _answers(path: Path, report: Report, rows: int) -> Iterator[pl.DataFrame]:
    for frame in fields(path, report, rows, separator=None, columns=RUN):
        yield frame.select(
            "query_id", "item_id", "run", ROW, rank=pl.col("rank").cast(pl.Int32, strict=False),
            score=pl.col("score").cast(pl.Float64, strict=False),
        )  # fmt: skip


def _topics(path: Path, report: Report) -> Iterator[pl.DataFrame]:
    """Topics out of their marks, read whole: there are some hundred of them."""
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = []
    for number, held in enumerate(re.split(r"<top(?:ic)?(?=[\s>])", text, flags=re.I)[1:], 1):
        marks = {tag.lower(): re.sub(r"\s+", " ", said).strip() for tag, said in TAG.findall(held)}
        given = re.match(r"[^>]*?(?:number|id)\s*=\s*[\"']([^\"']+)", held)
        name = given[1] if given else re.sub(r"^Number:\s*", "", marks.get("num", ""))
        report.counts(path.name).rows += 1
        said = marks.get("title") or marks.get("query") or re.sub(r"^Description:\s*", "", marks.get("desc", ""))
        if not name or not said:
            report.refuse(path.name, [number], None, lambda _: "a topic without a number or a title")
            continue
        rows.append({"query_id": name, "text": re.sub(r"^Topic:\s*", "", said), ROW: number})
    if not rows:
        raise BadData(f"{path.name} holds no topics; expected <top> or <topic> elements with a number and a title")
    yield pl.DataFrame(rows)
