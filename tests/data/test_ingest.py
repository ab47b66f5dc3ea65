"""Logs larger than memory: batch by batch into a directory, nothing lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplay.data.ingest import generated, ingest, measured
from interplay.data.tables import read_directory
from interplay.errors import BadData

NOON = 1_700_000_000_000_000


def test_a_log_in_many_batches_is_the_log_at_once(tmp_path: Path):
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "user_id": rng.integers(0, 50, 5000),
            "item_id": [f"i{i}" for i in rng.integers(0, 90, 5000)],
            "timestamp": NOON + rng.integers(0, 10**9, 5000),
            "value": rng.random(5000).astype(np.float32),
            "split": rng.choice(["train", "valid", "test"], 5000),
            "page": rng.integers(0, 5, 5000),
        }
    )
    log.write_parquet(tmp_path / "log.parquet")
    log.write_csv(tmp_path / "log.csv")
    told: list[dict] = []
    report = ingest(
        tmp_path / "log.parquet", tmp_path / "a", batch=700, progress=lambda stage, facts: told.append(dict(facts))
    )
    ingest(tmp_path / "log.csv", tmp_path / "b", batch=700)
    whole = read_directory(tmp_path / "log.parquet")
    for out in ("a", "b"):
        d = read_directory(tmp_path / out)
        assert d.fingerprint == whole.fingerprint and (d.events.context["page"] == whole.events.context["page"]).all()
    assert report.ok and len(told) == 8 and told[-1] == {"rows": 5000, "kept": 5000, "refused": 0}
    assert "5,000 rows in, 5,000 kept, 0 refused" in str(report)


def test_refused_rows_are_written_down_with_their_reason_and_content(tmp_path: Path):
    (tmp_path / "a.csv").write_text("user_id,item_id,value\nann,tea,1\nbob,tea\n,jam,3\n")
    (tmp_path / "b.csv").write_text("value,user_id,item_id\nmuch,cy,rye\n4,dee,jam\n")
    report = ingest([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "out", batch=2)
    assert (report.rows, report.kept, report.refused) == (5, 2, 3)
    refused = pl.read_csv(tmp_path / "out" / "refused.csv")
    assert refused.select("file", "row", "column").rows() == [
        ("a.csv", 2, None),
        ("a.csv", 3, "user_id"),
        ("b.csv", 1, "value"),
    ]
    assert (
        refused["held"][0] == "bob,tea" and '"user_id": "cy"' in refused["held"][2] and "'much'" in refused["reason"][2]
    )
    assert "refused.csv" in str(report)
    assert len(read_directory(tmp_path / "out").events) == 2
    ingest([tmp_path / "a.csv"], tmp_path / "other", refused=tmp_path / "elsewhere" / "bad.csv")
    assert (tmp_path / "elsewhere" / "bad.csv").exists() and not (tmp_path / "other" / "refused.csv").exists()


def test_a_context_column_that_changes_its_kind_is_refused_row_by_row(tmp_path: Path):
    rows = "".join(f"u{i},i{i},{i}\n" for i in range(20_000))
    (tmp_path / "log.csv").write_text(f"user_id,item_id,page\n{rows}u,i,home\n")
    report = ingest(tmp_path / "log.csv", tmp_path / "out", batch=1000)
    assert report.refused == 1 and (report.problems[0].row, report.problems[0].column) == (20_001, "page")


def test_json_lines_may_leave_columns_out_and_bring_others_late(tmp_path: Path):
    rows = [{"user_id": "ann", "item_id": "tea", "page": 1}, {"user_id": "bob", "item_id": "tea"},
            {"user_id": "cy", "item_id": "jam", "mood": "calm"}]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = ingest(tmp_path / "log.jsonl", tmp_path / "out", batch=1)
    assert report.kept == 3 and "mood come first far down in the file" in str(report)
    assert pl.read_parquet(tmp_path / "out" / "interactions.parquet")["page"].to_list() == [1, None, None]


def test_a_catalogue_comes_along_and_its_bad_rows_are_refused_like_others(tmp_path: Path):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "interactions.csv").write_text("user_id,item_id\nann,tea\nbob,jam\n")
    (shop / "items.csv").write_text("item_id,price\ntea,2\n,3\ntea,4\njam,nan\n")
    (shop / "users.csv").write_text("user_id,city\nann,Oslo\n")
    (shop / "notes.txt").write_text("a\n")
    with pytest.raises(BadData, match=r"interplay ingest FILES --out DIR"):
        read_directory(shop)
    for given, out in (([shop], "a"), ([shop / f"{n}.csv" for n in ("items", "users", "interactions")], "b")):
        report = ingest(given, tmp_path / out)
        told = read_directory(tmp_path / out)
        assert (report.kept, report.refused) == (5, 2) and "1 NaN or infinite values of price" in str(report)
        assert told.catalogue is not None and told.people is not None and len(told.events) == 2
        assert pl.read_csv(tmp_path / out / "refused.csv").select("file", "row", "column").rows() == [
            ("items.csv", 2, "item_id"),
            ("items.csv", 3, "item_id"),
        ]
    assert "notes.txt is not taken over" in str(ingest(shop, tmp_path / "c"))
    ingest(shop / "items.csv", tmp_path / "words")
    assert read_directory(tmp_path / "words").n_items == 2
    report = ingest([shop / "items.csv", shop], tmp_path / "d")
    assert report.refused == 2 * 2 + 2 and read_directory(tmp_path / "d").n_items == 2, "the first description stays"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": "user_id,thing\n1,2\n"}, "no column item_id"),
        ({"a.csv": "user_id,item_id\n1,2\n", "b.csv": "user_id,item_id,value\n1,2,3\n"}, "have the same columns"),
        ({"a.csv": "user_id,item_id,timestamp\n1,2,1700000000\n"}, "look like seconds"),
        ({"a.txt": ""}, "is empty"),
        ({}, "nothing to ingest"),
    ],
)
def test_what_cannot_be_ingested_leaves_nothing_behind(tmp_path: Path, files, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=said):
        ingest([tmp_path / n for n in files], tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == set(files)


def test_a_truncated_parquet_is_said_and_an_existing_directory_stays(tmp_path: Path):
    file = generated(tmp_path / "log.parquet", 20_000, batch=4000)
    ingest(file, tmp_path / "out")
    with pytest.raises(BadData, match="exists already"):
        ingest(file, tmp_path / "out")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadData, match="cut off or damaged"):
        ingest(file, tmp_path / "out", replace=True)
    assert len(read_directory(tmp_path / "out").events) == 20_000


def test_seconds_are_converted_when_said(tmp_path: Path):
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\n1,2,1700000000\n")
    ingest(tmp_path / "a.csv", tmp_path / "out", time_unit="seconds")
    assert read_directory(tmp_path / "out").events.time.tolist() == [NOON]


def test_an_empty_log_is_ingested_and_said(tmp_path: Path):
    (tmp_path / "a.csv").write_text("user_id,item_id\n")
    report = ingest(tmp_path / "a.csv", tmp_path / "out")
    assert "no event was kept" in str(report) and len(read_directory(tmp_path / "out").events) == 0


def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path):
    told = measured(20_000, kind="csv", batch=5000, folder=tmp_path)
    assert told["rows"] == told["kept"] == 20_000 and 20e6 < told["peak_memory"] < 1e9 and not list(tmp_path.iterdir())
