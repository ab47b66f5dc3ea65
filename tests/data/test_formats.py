"""Other people's files: RecBole, MovieLens, Amazon reviews, BEIR."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from interplay.data.read import load
from interplay.data.report import Report
from interplay.errors import BadData


def lines(path: Path, *records: dict | str) -> Path:
    text = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records)
    if path.suffix == ".gz":
        with gzip.open(path, "wt") as out:
            out.write(text)
    else:
        path.write_text(text)
    return path


def named(d) -> list[tuple]:
    e = d.events
    return sorted((d.users[u], d.items[i]) for u, i in zip(e.user, e.item, strict=True))


def recbole(folder: Path) -> None:
    (folder / "shop.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n186\t302\t4\t891717742.0\n"
    )
    (folder / "shop.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:float\tclass:token_seq\n"
        "242\tToy Story\t1995\tAnimation Comedy\n"
    )
    (folder / "shop.user").write_text("user_id:token\tage:float\n196\t49\n")


def test_recbole_atomic_files_by_directory_or_by_file(tmp_path: Path):
    recbole(tmp_path)
    d = load(tmp_path)
    assert named(d) == [("186", "302"), ("196", "242")] and load(tmp_path / "shop.inter").fingerprint == d.fingerprint
    assert sorted(d.events.time) == [881250949_000_000, 891717742_000_000] and sorted(d.events.value) == [3, 4]
    row = int(d.items.index(["242"])[0])
    assert d.catalogue["categories"][row].to_list() == ["Animation", "Comedy"] and d.catalogue["year"][row] == 1995
    assert d.texts()[row] == "Toy Story. Animation Comedy"
    assert d.people["age"][int(d.users.index(["196"])[0])] == 49


def test_recbole_faults_are_named(tmp_path: Path):
    log = tmp_path / "shop.inter"
    log.write_text("user_id:token\titem_id:token\n1\t2\n1\n")
    with pytest.raises(BadData, match=r"shop.inter, row 2: 1 fields where 2 are expected"):
        load(log)
    log.write_text("user_id\titem_id:word\n1\t2\n")
    with pytest.raises(BadData, match="should read name:type"):
        load(log)
    log.write_text("user_id:token\titem_id:token\trating:float\n1\t2\tnan\n3\t4\t1\n")
    with pytest.raises(BadData, match=r"shop.inter, row 1, column value: nan is not a finite number"):
        load(log)
    (tmp_path / "other.inter").write_text(log.read_text())
    with pytest.raises(BadData, match=r"should hold one .inter file"):
        load(tmp_path)


def test_recbole_with_other_column_names_takes_the_first_two_tokens(tmp_path: Path):
    (tmp_path / "x.inter").write_text("uid:token\tartist:token\tweight:float\n7\t8\t2.5\n")
    assert named(load(tmp_path)) == [("7", "8")]


def test_movielens_csv(tmp_path: Path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n31,"Dangerous Minds, The (1995)",Drama|Crime\n')
    d = load(tmp_path)
    assert d.events.time.tolist() == [1260759144_000_000] and d.catalogue["categories"].to_list() == [
        ["Drama", "Crime"]
    ]
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,31,good,1260759144\n")
    with pytest.raises(BadData, match=r"ratings.csv, row 1, column value: 'good' is not a number"):
        load(tmp_path)


OLD = {"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1_400_000_000, "reviewText": "x"}
NEW = {"user_id": "A1", "asin": "B1v", "parent_asin": "B1", "rating": 5.0, "timestamp": 1_400_000_000_123}


def test_amazon_reviews_of_both_kinds(tmp_path: Path):
    old = load(lines(tmp_path / "Beauty_5.json", OLD, {**OLD, "asin": "B2"}))
    assert named(old) == [("A1", "B1"), ("A1", "B2")] and old.events.time.tolist() == [1_400_000_000_000_000] * 2
    new = load(lines(tmp_path / "Beauty.jsonl.gz", NEW))
    assert named(new) == [("A1", "B1")] and new.events.time.tolist() == [1_400_000_000_123_000]


def test_amazon_products_join_their_reviews(tmp_path: Path):
    lines(tmp_path / "Beauty.jsonl", NEW)
    lines(
        tmp_path / "meta_Beauty.jsonl",
        {
            "parent_asin": "B1",
            "title": "Soap",
            "categories": ["Bath"],
            "description": ["mild", "soap"],
            "price": "$3.50",
            "store": "Acme",
        },
        {"parent_asin": "B2", "title": "Brush", "categories": [], "price": "from 2.00"},
    )
    d = load(tmp_path)
    told = dict(zip(d.items, d.catalogue.drop("item_id").rows(named=True), strict=True))
    assert told["B1"] == {"title": "Soap", "categories": ["Bath"], "text": "mild soap", "brand": "Acme", "price": 3.5}
    assert told["B2"]["price"] is None
    (tmp_path / "old").mkdir()
    lines(tmp_path / "old" / "Beauty_5.json", OLD)
    lines(
        tmp_path / "old" / "meta.json", {"asin": "B1", "title": "Soap", "categories": [["Beauty", "Bath"], ["Gifts"]]}
    )
    d = load(tmp_path / "old")
    assert d.catalogue["categories"].to_list() == [["Beauty", "Bath", "Gifts"]]


def test_broken_reviews_are_counted_and_a_file_that_is_cut_off_is_said(tmp_path: Path):
    file = lines(tmp_path / "x.jsonl", OLD, '{"reviewerID": "A', {**OLD, "reviewerID": None})
    with pytest.raises(BadData, match=r"2 of 3 rows cannot be used; the first: x.jsonl, row 2: not a JSON object"):
        load(file)
    report = Report("x")
    assert len(load(file, bad="skip", report=report).events) == 1 and report.refused == 2
    whole = lines(tmp_path / "y.json.gz", *[{**OLD, "asin": f"B{i * 7919 % 10007}"} for i in range(3000)])
    whole.write_bytes(whole.read_bytes()[:-4000])
    with pytest.raises(BadData, match=r"y.json.gz is cut off or damaged after row"):
        load(whole)


def beir(folder: Path) -> Path:
    lines(
        folder / "corpus.jsonl", {"_id": "d1", "title": "T", "text": "body"}, {"_id": "d2", "title": "", "text": "more"}
    )
    lines(
        folder / "queries.jsonl",
        {"_id": "q1", "text": "one"},
        {"_id": "q2", "text": "two"},
        {"_id": "q3", "text": "three"},
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td1\t2\n")
    return folder


def test_beir_sets_have_items_queries_and_judgements(tmp_path: Path):
    d = load(beir(tmp_path))
    assert len(d.events) == 0 and set(d.items) == {"d1", "d2"} and "T. body" in d.texts()
    assert d.tables["queries"].rows() == [("q1", "one", "test"), ("q2", "two", "valid"), ("q3", "three", None)]
    assert sorted(d.tables["qrels"].rows()) == [("q1", "d2", 1.0, "test"), ("q2", "d1", 2.0, "valid")]
    (tmp_path / "qrels" / "test.tsv").unlink()
    (tmp_path / "qrels" / "dev.tsv").unlink()
    with pytest.raises(BadData, match="has no qrels"):
        load(tmp_path)
