"""Benches: a record is appended, read back, tabled and verified; nothing is overwritten."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest

from interplay import reporting, results
from interplay.benches import BENCHES, Entry
from interplay.errors import BadSetting
from small import small_bench

SMALL = "a-small-bench"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    entries = (Entry(system="popular"), Entry(system="ease", settings={"ridge": 10.0}), Entry(system="item-knn"))
    page = small_bench(SMALL, tmp_path, entries)
    monkeypatch.setitem(BENCHES, SMALL, page)
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path / "results"))
    return page


def test_a_row_appends_one_record_that_says_how_it_came_about(bench):
    record = results.run_row(SMALL, "ease", 0)
    (kept,) = results.records(SMALL)
    assert kept == json.loads(json.dumps(record, default=str))
    for told in ("metrics", "config", "command", "packages", "seconds", "peak_memory", "commit", "data", "users"):
        assert kept[told], told
    assert kept["config"]["settings"] == {"ridge": 10.0} and kept["protocol"]["split"]["rule"] == "last-out"
    results.run_row(SMALL, "ease", 0)
    assert len(results.records(SMALL)) == 2


def test_the_table_shows_each_row_beside_the_baseline_and_the_protocol_above(bench):
    assert "No record" in reporting.table(SMALL)
    for entry in bench.entries:
        results.run_row(SMALL, entry.label, 0)
    lines = reporting.table(SMALL).splitlines()
    assert "split last-out" in lines[2]
    rows = [line for line in lines[: lines.index("", 4)] if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == ["popular", "ease", "item-knn"]
    assert "cannot tell" in rows[1] or "better" in rows[1]


def test_the_panel_beyond_accuracy_is_kept_and_stands_in_a_second_table(bench):
    popular, ease = (results.run_row(SMALL, label, 0) for label in ("popular", "ease"))
    panel = popular["facts"]["panel"]
    assert {"coverage@5", "gini@5", "novelty@5", "serendipity@5"} <= set(panel)
    assert panel["serendipity@5"] == 0 and panel["coverage@5"] < ease["facts"]["panel"]["coverage@5"]
    text = reporting.table(SMALL)
    second = text[text.index("beyond accuracy, at 5") :].splitlines()
    assert second[2].startswith("| system | coverage | Gini |") and [r.split("`")[1] for r in second[4:]] == [
        "popular", "ease"
    ]  # fmt: skip
    assert "beyond accuracy" not in reporting.table(SMALL, beside=False)


def test_records_without_a_panel_are_named_or_leave_no_table(bench):
    results.run_row(SMALL, "popular", 0)
    path = results.results_root() / f"{SMALL}.jsonl"
    (record,) = results.records(SMALL)
    path.write_text(json.dumps(record | {"facts": {}}) + "\n")
    assert "beyond accuracy" not in reporting.table(SMALL)
    results.run_row(SMALL, "ease", 0)
    assert "Judged before this was kept: `popular`." in reporting.table(SMALL)


def test_reads_of_the_test_part_are_counted_over_seeds_and_superseded_records(bench, capfd):
    for nth, seed in enumerate((0, 1, 1), 1):
        assert results.run_row(SMALL, "popular", seed)["protocol"]["test_reads"] == nth
        assert ("WARNING" in capfd.readouterr().out) == (nth == 3)
    results.run_row(SMALL, "ease", 0)
    head, rows = _cells(reporting.table(SMALL))
    assert [row[head.index("test reads")] for row in rows] == ["3", "1"]
    assert "trials" not in head


def test_how_many_settings_were_tried_stands_beside_the_rows_that_tell_it(bench, monkeypatch):
    entries = (replace(bench.entries[0], trials=0), replace(bench.entries[1], trials=7), bench.entries[2])
    monkeypatch.setitem(BENCHES, SMALL, replace(bench, entries=entries))
    for entry in entries:
        results.run_row(SMALL, entry.label, 0)
    head, rows = _cells(reporting.table(SMALL))
    assert [row[head.index("trials")] for row in rows] == ["0", "7", ""]


def test_what_nobody_has_judged_is_said_above_the_table_row_by_row(bench):
    for label, share in (("popular", 0.25), ("ease", 0.5)):
        results.run_row(SMALL, label, 0)
        path = results.results_root() / f"{SMALL}.jsonl"
        *before, last = results.records(SMALL)
        last["protocol"]["unjudged_share_of_10"] = share
        path.write_text("".join(json.dumps(r) + "\n" for r in [*before, last]))
    assert "of the first ten: `popular` 25%, `ease` 50%." in reporting.table(SMALL).splitlines()[2]


def _cells(text: str) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the first table."""
    lines = [line.strip("|").split("|") for line in text.split("\n\n")[2].splitlines()]
    return [c.strip() for c in lines[0]], [[c.strip() for c in line] for line in lines[2:]]


def test_cold_and_warm_stand_apart_where_both_are_many():
    assert reporting._worth({"warm": {"requests": 90}, "cold": {"requests": 76}})
    assert not reporting._worth({"warm": {"requests": 1319}, "cold": {"requests": 2}})
    assert not reporting._worth({})


def test_verify_tells_a_record_that_does_not_come_out_again(bench):
    record = results.run_row(SMALL, "popular", 0)
    assert results.verify(SMALL, seed=0, said=lambda _: None)
    path = results.results_root() / f"{SMALL}.jsonl"
    path.write_text(json.dumps(record | {"metrics": {m: v + 0.01 for m, v in record["metrics"].items()}}) + "\n")
    assert not results.verify(SMALL, seed=0, said=lambda _: None)


def test_a_missing_file_of_users_is_named_with_the_command_that_brings_it_back(bench):
    record = results.run_row(SMALL, "popular", 0)
    (results.results_root() / record["users"]["file"]).unlink()
    with pytest.raises(BadSetting, match=f"interplay bench {SMALL} --systems popular"):
        reporting.table(SMALL)


def test_tables_are_rendered_between_their_marks(bench, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n<!-- table:{SMALL} -->\nstale\n<!-- end -->\nafter\n")
    results.run_row(SMALL, "popular", 0)
    assert reporting.render([page]) == [page]
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "| `popular` |" in text and "stale" not in text
    assert reporting.render([page]) == []


def test_further_seeds_learn_for_the_epochs_that_the_first_one_chose(bench, monkeypatch):
    quick = {"descent": {"epochs": 4, "every": 2, "batch": 64}}
    page = replace(bench, entries=(Entry(system="bpr-mf", settings=quick, seeds=(0, 1)),))
    monkeypatch.setitem(BENCHES, SMALL, page)
    first, second = results.run_row(SMALL, "bpr-mf", 0), results.run_row(SMALL, "bpr-mf", 1)
    assert second["choice"]["chosen_with_seed"] == 0
    assert second["fitted"]["epochs"] == first["choice"]["best_epoch"]
    monkeypatch.setitem(BENCHES, SMALL, replace(page, entries=(Entry(system="bpr-mf", settings={}, seeds=(0, 1)),)))
    assert results._chosen(BENCHES[SMALL], BENCHES[SMALL].entries[0], 1) is None  # chosen for other settings


def test_seeds_are_averaged_and_counted(bench, monkeypatch):
    for seed in (0, 1):
        results.run_row(SMALL, "popular", seed)
    assert "(2 seeds)" in reporting.table(SMALL)
    assert np.isfinite(results.records(SMALL)[1]["metrics"]["recall@5"])


def test_side_by_side_a_rows_first_seed_comes_before_those_that_learn_for_as_long(bench, monkeypatch):
    waves = []

    def spread(work, rows, **more):
        waves.append([(label, seed) for _, label, seed, _ in rows])
        return ((results.run_row(SMALL, label, seed, keep=False), b"") for label, seed in waves[-1])

    monkeypatch.setattr(results, "joined", lambda workers: contextlib.nullcontext())
    monkeypatch.setattr(results, "spread", spread)
    results.run_bench(SMALL, systems=["ease", "popular"], seeds=[1, 0, 2], workers=2, said=lambda line: None)
    assert waves == [[("popular", 0), ("ease", 0)], [("popular", 1), ("popular", 2), ("ease", 1), ("ease", 2)]]
    assert [r["protocol"]["test_reads"] for r in results.records(SMALL) if r["label"] == "ease"] == [1, 2, 3]


def test_the_re_split_plans_one_seed():
    assert {entry.seeds for entry in BENCHES["gowalla-resplit"].entries} == {(0,)}
