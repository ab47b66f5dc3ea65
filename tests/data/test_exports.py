"""Formats that others write: validated, fitted from, taken into a store batch by batch; bad rows are kept apart."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from interplay.cli import app
from interplay.data import formats
from interplay.data.ingest import ingest as data_set
from interplay.data.read import load
from interplay.data.report import Report
from interplay.data.store.impressions import impressions
from interplay.data.store.loading import ingest
from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData
from interplay.types import Dataset

T = 1_700_000_000  # seconds
PAIRS = [(u, i) for u in range(6) for i in range(5) if (u + i) % 4]  # 22 events of 6 people with 5 items
WORDS = ("brass lamp", "green tea", "blue lamp", "oak table", "smoked tea")


def jsonl(path: Path, *rows: object) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def table(path: Path, separator: str, *rows: tuple, end: str = "") -> None:
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows) + end, encoding="utf-8")


def recbole(folder: Path) -> None:
    head = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    table(folder / "shop.inter", "\t", head, *[(u, i, 4, T + u * 10 + i) for u, i in PAIRS], end="9\t1\n")
    table(folder / "shop.item", "\t", ("item_id:token", "movie_title:token_seq", "year:float"),
          *[(i, w, 1990 + i) for i, w in enumerate(WORDS)])  # fmt: skip


def movielens_dat(folder: Path) -> None:
    table(folder / "ratings.dat", "::", *[(u, i, 4, T + u * 10 + i) for u, i in PAIRS], end="x::1::4::9\n")
    table(folder / "movies.dat", "::", *[(i, w, "Drama|War") for i, w in enumerate(WORDS)])
    table(folder / "users.dat", "::", *[(u, "F", 18, 4, "01234") for u in range(6)])


def movielens_csv(folder: Path) -> None:
    head = ("userId", "movieId", "rating", "timestamp")
    table(folder / "ratings.csv", ",", head, *[(u, i, 4, T + u * 10 + i) for u, i in PAIRS], end="1,1,good,9\n")
    table(folder / "movies.csv", ",", ("movieId", "title", "genres"), *[(i, w, "Drama") for i, w in enumerate(WORDS)])


def amazon(folder: Path) -> None:
    rows = [{"user_id": f"A{u}", "parent_asin": f"B{i}", "rating": 4.0, "timestamp": (T + u * 10 + i) * 1000}
            for u, i in PAIRS]  # fmt: skip
    jsonl(folder / "Beauty.jsonl", *rows, {**rows[0], "user_id": None})
    jsonl(folder / "meta_Beauty.jsonl", *[{"parent_asin": f"B{i}", "title": w} for i, w in enumerate(WORDS)])


def gorse_csv(folder: Path) -> None:
    table(folder / "feedback.csv", ",", ("feedback_type", "user_id", "item_id", "time_stamp"),
          *[("read", f"u{u}", i, f"2023-11-14 10:{u:02}:{i:02} +0000 UTC") for u, i in PAIRS],
          end="read,,1,2023-11-14 10:00:00 +0000 UTC\n")  # fmt: skip
    head = ("item_id", "is_hidden", "categories", "time_stamp", "labels", "comment")
    table(folder / "items.csv", ",", head,
          *[(i, str(i == 3).lower(), "home|" + w.split()[1], "2023-01-01 00:00:00 +0000 UTC", "red|new", w)
            for i, w in enumerate(WORDS)])  # fmt: skip
    table(folder / "users.csv", ",", ("user_id", "labels"), *[(f"u{u}", "eu|vip") for u in range(6)])


def gorse_jsonl(folder: Path) -> None:
    jsonl(folder / "feedback.jsonl",
          *[{"FeedbackType": "read", "UserId": f"u{u}", "ItemId": str(i), "Value": 1.5, "Comment": "",
             "Timestamp": f"2023-11-14T10:{u:02}:{i:02}Z"} for u, i in PAIRS],
          {"FeedbackType": "read", "UserId": "", "ItemId": "1", "Value": 0, "Timestamp": "2023-11-14T10:00:00Z"},
          )  # fmt: skip
    jsonl(folder / "items.jsonl",
          *[{"ItemId": str(i), "IsHidden": i == 3, "Categories": ["home", w.split()[1]], "Comment": w,
             "Timestamp": "2023-01-01T00:00:00Z", "Labels": {"colour": "red", "vector": {"dim": 2}}}
            for i, w in enumerate(WORDS)])  # fmt: skip
    jsonl(folder / "users.jsonl", *[{"UserId": f"u{u}", "Labels": {"region": "eu"}, "Comment": ""} for u in range(6)])


def personalize(folder: Path) -> None:
    table(folder / "part-00000.csv", ",",
          ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE", "IMPRESSION", "DEVICE"),
          *[(f"u{u}", i, T + u * 10 + i, "Watch", 2 if i else "", f"{i}|4|0" if u == 1 else "", "tv")
            for u, i in PAIRS],
          end=f"u1,,{T},Watch,1,,tv\n")  # fmt: skip
    table(folder / "items.csv", ",", ("ITEM_ID", "CREATION_TIMESTAMP", "GENRES", "PRICE", "ITEM_NAME"),
          *[(i, T, "Home|" + w.split()[1].capitalize(), 5.5 + i, w) for i, w in enumerate(WORDS)])  # fmt: skip
    table(folder / "users.csv", ",", ("USER_ID", "AGE"), *[(f"u{u}", 30 + u) for u in range(6)])


def ubi(folder: Path) -> None:
    jsonl(folder / "ubi_queries.ndjson",
          *[{"query_id": f"q{u}", "client_id": f"u{u}", "user_query": "lamp", "timestamp": "2023-11-14T09:59:00.5Z",
             "query_response_hit_ids": ["0", "2"]} for u in range(6)])  # fmt: skip
    said = [{"action_name": "item_click", "query_id": f"q{u}", "client_id": f"u{u}", "session_id": "s",
             "timestamp": f"2023-11-14T10:{u:02}:{i:02}.250Z", "message": "x",
             "event_attributes": {"object": {"object_id": str(i), "object_id_field": "sku"}}}
            for u, i in PAIRS]  # fmt: skip
    jsonl(folder / "ubi_events.ndjson", *said[:3], {"_source": said[3]}, *said[4:],
          {"action_name": "on_search", "query_id": "q1", "client_id": "u1", "timestamp": "2023-11-14T10:00:00Z"},
          {**said[0], "client_id": None})  # fmt: skip


def beir(folder: Path) -> None:
    jsonl(folder / "corpus.jsonl", *[{"_id": str(i), "title": w, "text": f"a {w}"} for i, w in enumerate(WORDS)],
          {"title": "no id"})  # fmt: skip
    jsonl(folder / "queries.jsonl", {"_id": "q1", "text": "lamp"}, {"_id": "q2", "text": "tea"})
    (folder / "qrels").mkdir()
    table(folder / "qrels" / "test.tsv", "\t", ("query-id", "corpus-id", "score"), ("q1", "0", 1), ("q2", "1", 2))


def trec(folder: Path) -> None:
    table(folder / "collection.tsv", "\t", *[(f"d{i}", w) for i, w in enumerate(WORDS)], end="broken\n")
    (folder / "topics.301-302.txt").write_text(
        "<top>\n\n<num> Number: 301\n<title> lamp\n\n<desc> Description:\nWhich lamps?\n\n<narr> Narrative:\nAny.\n"
        "</top>\n"
        "<top>\n<num> Number: 302\n<title> green tea\n</top>\n"
    )
    table(folder / "qrels.301-302.txt", " ", (301, 0, "d0", 1), (301, 0, "d2", 2), (302, 0, "d1", 1))
    table(folder / "bm25.run", " ", (301, "Q0", "d2", 1, 9.5, "bm25"), (302, "Q0", "d1", 1, 8.25, "bm25"))


WRITERS: list[Callable[[Path], None]] = [
    recbole, movielens_dat, movielens_csv, amazon, gorse_csv, gorse_jsonl, personalize, ubi, beir, trec,
]  # fmt: skip
SEARCH = (beir, trec)  # no log


@pytest.fixture(params=WRITERS, ids=lambda writer: writer.__name__)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[Path], None], Path]:
    """An export with one row that cannot be used."""
    folder = tmp_path / "export"
    folder.mkdir()
    request.param(folder)
    return request.param, folder


def run(*said: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(s) for s in said])
    return done.exit_code, done.output


def good(writer: Callable[[Path], None], folder: Path) -> Path:
    """The same export without its bad row."""
    bad = {recbole: "shop.inter", movielens_dat: "ratings.dat", movielens_csv: "ratings.csv", amazon: "Beauty.jsonl",
           gorse_csv: "feedback.csv", gorse_jsonl: "feedback.jsonl", personalize: "part-00000.csv",
           ubi: "ubi_events.ndjson", beir: "corpus.jsonl", trec: "collection.tsv"}[writer]  # fmt: skip
    lines = (folder / bad).read_text().splitlines(keepends=True)
    (folder / bad).write_text("".join(lines[:-1]))
    return folder


def test_a_directory_is_validated_and_fitted_from(written, tmp_path):
    writer, folder = written
    code, said = run("validate", folder)
    assert code == 3 and ", 1 refused" in said and "in, 0 kept" not in said
    good(writer, folder)
    code, said = run("validate", folder)
    assert code == 0 and ", 1 refused" not in said
    system = ("bm25",) if writer in SEARCH else ("popular", "--split", "last-out")
    code, said = run("fit", *system, "--data", folder, "--out", tmp_path / "model")
    assert code == 0 and "fitted on" in said and ", 5 items" in said, said


def test_the_same_directory_is_taken_into_a_store_once_and_the_bad_row_is_kept_apart(written, tmp_path):
    writer, folder = written
    place = tmp_path / "shop.db"
    code, said = run("ingest", folder, "--store", place, "--batch", 7)
    assert code == 3 and ", 1 refused" in said and "refused rows are in" in said
    store = Store.open(place)
    (apart,) = (tmp_path / "shop.db.files").rglob("refused/*.csv")
    with apart.open() as read:
        assert len(list(csv.reader(read))) == 2
    assert store.count() == (0 if writer in SEARCH else len(PAIRS)) and store.head().n_items == 5
    if writer in SEARCH:
        assert "a store holds none, left out" in said
    else:
        whole, taken = load(good(writer, folder)), snapshot(store).dataset
        assert told(whole) == told(taken)
    ingest(store, folder)
    assert store.count() == (0 if writer in SEARCH else len(PAIRS))
    store.close()


def test_the_same_directory_is_streamed_into_a_data_set_directory(written, tmp_path):
    writer, folder = written
    code, said = run("ingest", folder, "--out", tmp_path / "out", "--batch", 7)
    assert code == 3 and ", 1 refused" in said and "refused rows are in" in said, said
    with (tmp_path / "out" / "refused.csv").open() as read:
        assert len(list(csv.reader(read))) == 2
    whole, taken = load(good(writer, folder)), load(tmp_path / "out")
    assert taken.n_items == 5 and catalogue(taken) == catalogue(whole)
    assert {n: len(table) for n, table in taken.tables.items()} == {n: len(table) for n, table in whole.tables.items()}
    if writer not in SEARCH:
        assert told(taken) == told(whole) and len(taken.events) == len(PAIRS)
        assert taken.events.kinds == whole.events.kinds


def test_files_of_several_tools_make_one_data_set_directory(tmp_path):
    folder = tmp_path / "gorse"
    folder.mkdir()
    good(gorse_csv, (gorse_csv(folder), folder)[1])
    table(tmp_path / "more.csv", ",", ("item_id", "title", "price"), (0, "another lamp", 3), (7, "rye", 2.5))
    report = data_set([folder / "feedback.csv", folder / "items.csv", tmp_path / "more.csv"], tmp_path / "out")
    assert set(report.files) == {"feedback.csv", "items.csv", "more.csv"} and report.refused == 1
    assert "'0' is described twice; the first stays" in str(report)
    taken = load(tmp_path / "out")
    assert taken.people is None and taken.n_items == 6 and len(taken.events) == len(PAIRS)
    titles = dict(taken.catalogue.select("item_id", "title").rows())
    assert (titles["0"], titles["7"]) == ("brass lamp", "rye")


def test_judgements_alone_make_no_data_set_directory(tmp_path):
    trec(tmp_path)
    with pytest.raises(BadData, match="qrels alone are no data set; name the items"):
        data_set(tmp_path / "qrels.301-302.txt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def catalogue(d: Dataset) -> list[tuple]:
    """(item, title, text, categories), as far as the catalogue says them."""
    if d.catalogue is None:
        return []
    names = [c for c in ("title", "text", "categories") if c in d.catalogue.columns]
    held = d.catalogue.select(pl.col("item_id").cast(pl.String), *names).rows()
    return sorted((row[0], *(tuple(v) if isinstance(v, list) else v for v in row[1:])) for row in held)


def told(d: Dataset) -> list[tuple]:
    e = d.events
    assert e.time is not None
    value = [None] * len(e) if e.value is None else e.value.tolist()
    return sorted(
        (str(d.users[u]), str(d.items[i]), t, v)
        for u, i, t, v in zip(e.user, e.item, e.time.tolist(), value, strict=True)
    )


def test_files_are_read_in_batches(written):
    found = formats.recognised(written[1])
    assert found is not None and len(found.parts) >= 2
    for part in found.parts:
        frames = list(part.read(Report("x"), 2))
        sizes = [len(f) for f in frames] or [0]
        most = 6 if part.table == "impressions" else 10**6 if part.file.name.startswith("topics") else 2  # 3 a row
        assert max(sizes) <= most and (sum(sizes) <= 2 or len(sizes) > 1 or most > 6), (part.name, sizes)


def test_one_file_alone_is_taken_for_what_it_is(store, tmp_path):
    for writer in (recbole, movielens_dat):
        folder = tmp_path / writer.__name__
        folder.mkdir()
        good(writer, (writer(folder), folder)[1])
    report = ingest(store, [tmp_path / "recbole" / "shop.inter", tmp_path / "movielens_dat" / "movies.dat"])
    assert set(report.files) == {"shop.inter", "movies.dat"} and store.count() == len(PAIRS)
    assert store.item("2").columns["title"] == "blue lamp" and not store.item("2").columns.get("year")
    with pytest.raises(BadData, match="or a file that recbole, movielens"):
        (tmp_path / "what.csv").write_text("a,b\n1,2\n")
        ingest(store, tmp_path / "what.csv")
    with pytest.raises(BadData, match="nothing at"):
        ingest(store, tmp_path / "nowhere.csv")


# ------------------------------------------------------------------------------------------ what each of them comes to


def test_labels_categories_and_hidden_items_of_gorse(store, tmp_path):
    for n, writer in enumerate((gorse_csv, gorse_jsonl)):
        folder = tmp_path / str(n)
        folder.mkdir()
        good(writer, (writer(folder), folder)[1])
        held = store.within(f"t{n}")
        ingest(held, folder)
        lamp, table = held.item("0").columns, held.item("3").columns
        assert lamp["title"] == "brass lamp" and lamp["categories"] == ["home", "lamp"]
        assert lamp["in_stock"] is True and table["in_stock"] is False
        event = held.of("u1")[0]
        assert event.event_type == "read" and event.time == 1_699_956_060_000_000
    assert store.within("t0").item("0").columns["labels"] == ["red", "new"]
    assert store.within("t1").item("0").columns["colour"] == "red" and event.value == 1.5
    assert store.within("t0").user("u1").columns["labels"] == ["eu", "vip"]
    assert store.within("t1").user("u1").columns["region"] == "eu"


def test_impressions_values_and_catalogue_of_personalize(store, tmp_path):
    good(personalize, (personalize(tmp_path), tmp_path)[1])
    report = ingest(store, tmp_path)
    assert "where EVENT_VALUE is empty it counts as 1" in str(report)
    shown = impressions(store)
    rows = sum(u == 1 for u, _ in PAIRS)
    assert len(shown) == 3 * rows and shown["slot"].to_list()[:3] == [0, 1, 2] and set(shown["user_id"]) == {"u1"}
    events = store.of("u1")
    assert {e.request_id for e in events} == set(shown["request_id"]) and events[0].time % 1_000_000 == 0
    assert events[0].payload == {"device": "tv"} and {e.value for e in events} == {1.0, 2.0}
    tea = store.item("1").columns
    assert tea == {"price": 6.5, "title": "green tea", "categories": ["Home", "Tea"], "created": "2023-11-14T22:13:20Z"}
    assert store.user("u3").columns == {"age": 33}
    assert len(load(tmp_path).tables["impressions"]) == 3 * rows


def test_queries_hits_and_actions_of_ubi(store, tmp_path):
    ubi(tmp_path)
    report = ingest(store, tmp_path)
    assert "1 events that say nothing about an item were left out: on_search 1" in str(report)
    event = store.of("u1")[0]
    assert (event.event_type, event.request_id, event.surface) == ("click", "q1", "search")
    assert event.time == 1_699_956_060_250_000 and impressions(store)["item_id"].to_list()[:2] == ["0", "2"]
    d = load(good(ubi, tmp_path))
    assert d.tables["queries"].select("query_id", "text").rows()[0] == ("q0", "lamp")
    mixed = tmp_path / "mixed" / "ubi.jsonl"
    mixed.parent.mkdir()
    mixed.write_text((tmp_path / "ubi_events.ndjson").read_text() + (tmp_path / "ubi_queries.ndjson").read_text())
    again = load(mixed)
    assert len(again.events) == len(d.events) and again.tables["queries"].equals(d.tables["queries"])


def test_topics_judgements_and_runs_of_trec(tmp_path):
    trec(tmp_path)
    d = load(tmp_path, bad="skip")
    assert d.tables["queries"].rows() == [("301", "lamp"), ("302", "green tea")]
    assert d.tables["qrels"].select("query_id", "item_id", "relevance", "split").rows()[1] == ("301", "d2", 2.0, "test")
    assert d.tables["runs"].select("query_id", "item_id", "run", "rank", "score").rows()[0] == (
        "301", "d2", "bm25", 1, 9.5
    )  # fmt: skip
    (tmp_path / "collection.tsv").unlink()
    (tmp_path / "topics.301-302.txt").write_text('<?xml version="1.0"?>\n<topics><topic number="1"><query>lamp</query>')
    d = load(tmp_path)
    assert set(d.items) == {"d0", "d1", "d2"} and d.tables["queries"].rows() == [("1", "lamp")]
    (tmp_path / "topics.301-302.txt").write_text("<top>\n<num> 5\n</top>\n")
    with pytest.raises(BadData, match="holds no topics"):
        load(tmp_path)


def test_files_of_our_own_format_are_not_taken_for_exports(tmp_path):
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nada,tea\n")
    (tmp_path / "items.csv").write_text("item_id,title,labels\ntea,Green tea,a|b\n")
    (tmp_path / "users.csv").write_text("user_id,labels\nada,a|b\n")
    (tmp_path / "queries.jsonl").write_text('{"query_id": "q", "text": "tea"}\n')
    assert formats.recognised(tmp_path) is None and load(tmp_path).people["labels"].to_list() == ["a|b"]
