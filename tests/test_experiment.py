"""Benches: a record is appended, read back, tabled and verified; nothing is overwritten."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from interplay import experiment
from interplay.benches import BENCHES, Bench, Entry
from interplay.data.tables import write_directory
from interplay.errors import BadSetting
from small import crowd

SMALL = "a-small-bench"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    write_directory(crowd(), tmp_path / "crowd")
    entries = (Entry(system="popular"), Entry(system="ease", settings={"ridge": 10.0}), Entry(system="item-knn"))
    page = Bench(
        name=SMALL, version=1, about="**Small**.", data=str(tmp_path / "crowd"), entries=entries, split="last-out",
        metrics=("recall@5", "ndcg@5"), select="ndcg@5",
    )  # fmt: skip
    monkeypatch.setitem(BENCHES, SMALL, page)
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path / "results"))
    return page


def test_a_row_appends_one_record_that_says_how_it_came_about(bench):
    record = experiment.run_row(SMALL, "ease", 0)
    (kept,) = experiment.records(SMALL)
    assert kept == json.loads(json.dumps(record, default=str))
    for told in ("metrics", "config", "command", "packages", "seconds", "peak_memory", "commit", "data", "users"):
        assert kept[told], told
    assert kept["config"]["settings"] == {"ridge": 10.0} and kept["protocol"]["split"]["rule"] == "last-out"
    experiment.run_row(SMALL, "ease", 0)
    assert len(experiment.records(SMALL)) == 2


def test_the_table_shows_each_row_beside_the_baseline_and_the_protocol_above(bench):
    assert "No record" in experiment.table(SMALL)
    for entry in bench.entries:
        experiment.run_row(SMALL, entry.label, 0)
    lines = experiment.table(SMALL).splitlines()
    assert "split last-out" in lines[2]
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == ["popular", "ease", "item-knn"]
    assert "cannot tell" in rows[1] or "better" in rows[1]


def test_cold_and_warm_stand_apart_where_both_are_many():
    assert experiment._worth({"warm": {"requests": 90}, "cold": {"requests": 76}})
    assert not experiment._worth({"warm": {"requests": 1319}, "cold": {"requests": 2}})
    assert not experiment._worth({})


def test_verify_tells_a_record_that_does_not_come_out_again(bench):
    record = experiment.run_row(SMALL, "popular", 0)
    assert experiment.verify(SMALL, seed=0, said=lambda _: None)
    path = experiment.results_root() / f"{SMALL}.jsonl"
    path.write_text(json.dumps(record | {"metrics": {m: v + 0.01 for m, v in record["metrics"].items()}}) + "\n")
    assert not experiment.verify(SMALL, seed=0, said=lambda _: None)


def test_a_missing_file_of_users_is_named_with_the_command_that_brings_it_back(bench):
    record = experiment.run_row(SMALL, "popular", 0)
    (experiment.results_root() / record["users"]["file"]).unlink()
    with pytest.raises(BadSetting, match=f"interplay bench {SMALL} --systems popular"):
        experiment.table(SMALL)


def test_tables_are_rendered_between_their_marks(bench, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n<!-- table:{SMALL} -->\nstale\n<!-- end -->\nafter\n")
    experiment.run_row(SMALL, "popular", 0)
    assert experiment.render([page]) == [page]
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "| `popular` |" in text and "stale" not in text
    assert experiment.render([page]) == []


def test_further_seeds_learn_for_the_epochs_that_the_first_one_chose(bench, monkeypatch):
    quick = {"descent": {"epochs": 4, "every": 2, "batch": 64}}
    page = replace(bench, entries=(Entry(system="bpr-mf", settings=quick, seeds=(0, 1)),))
    monkeypatch.setitem(BENCHES, SMALL, page)
    first, second = experiment.run_row(SMALL, "bpr-mf", 0), experiment.run_row(SMALL, "bpr-mf", 1)
    assert second["choice"]["chosen_with_seed"] == 0
    assert second["fitted"]["epochs"] == first["choice"]["best_epoch"]
    monkeypatch.setitem(BENCHES, SMALL, replace(page, entries=(Entry(system="bpr-mf", settings={}, seeds=(0, 1)),)))
    assert experiment._chosen(BENCHES[SMALL], BENCHES[SMALL].entries[0], 1) is None  # chosen for other settings


def test_seeds_are_averaged_and_counted(bench, monkeypatch):
    for seed in (0, 1):
        experiment.run_row(SMALL, "popular", seed)
    assert "(2 seeds)" in experiment.table(SMALL)
    assert np.isfinite(experiment.records(SMALL)[1]["metrics"]["recall@5"])
