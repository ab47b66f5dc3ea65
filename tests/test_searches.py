"""Searches for the settings of a bench's rows: one budget, from the settings as they stand, kept beside the records."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from interplay import reporting, results, searches
from interplay.benches import BENCHES, Entry
from interplay.cli import app
from interplay.configure import flattened
from interplay.errors import BadSetting, Unsupported
from interplay.protocols.tables import searched
from interplay.tuning.spaces import standing
from small import small_bench

SMALL = "a-searched-bench"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    entries = (
        Entry(system="ease", settings={"ridge": 10.0, "precision": "float32"}, space={"ridge": "1..100 log"}, trials=3),
        Entry(system="item-knn", space={"k": "2..50"}),
        Entry(system="popular"),
    )
    page = small_bench(SMALL, tmp_path, entries)
    monkeypatch.setitem(BENCHES, SMALL, page)
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("INTERPLAY_CACHE", str(tmp_path / "cache"))
    return page


def test_every_row_with_a_space_is_searched_from_its_own_settings_and_the_table_counts_it(bench):
    lines: list[str] = []
    ease, knn = searches.search(SMALL, 0.004, said=lines.append)
    assert [r["label"] for r in (ease, knn)] == ["ease", "item-knn"]
    assert ease["trials"][0]["settings"] == {"ridge": 10.0}
    assert ease["settings"] == {"ridge": 10.0, "precision": "float32"}
    assert knn["trials"][0]["settings"] == {"k": standing("item-knn", "k", {})}
    for record in (ease, knn):
        assert record["minutes"] == 0.004 and record["metric"] == "ndcg@5"
        spent = [t["cpu"] for t in record["trials"]]
        assert sum(spent[:-1]) < 0.24, "the last trial begins within the budget"
        assert sum(spent) >= 0.24 or "nothing that was not tried is left" in record["ended"]
        values = [t["value"] for t in record["trials"]]
        assert values[record["best"]] == max(values)
    assert any("item-knn: ndcg@5" in line for line in lines)
    assert searched(bench, results.results_root()) == json.loads(json.dumps({"ease": ease, "item-knn": knn}))
    for label in ("popular", "ease"):
        results.run_row(SMALL, label, 0)
    row = next(line for line in reporting.table(SMALL).splitlines() if line.startswith("| `ease`"))
    assert f"3 + {len(ease['trials'])} in 0.004 min" in row


def test_a_search_that_was_cut_off_goes_on(bench):
    (short,) = searches.search(SMALL, 0.001, systems=["ease"], said=lambda line: None)
    (longer,) = searches.search(SMALL, 0.003, systems=["ease"], said=lambda line: None)
    assert longer["trials"][: len(short["trials"])] == short["trials"], "with the seconds that each took"


def test_what_cannot_be_searched_says_so(bench):
    with pytest.raises(BadSetting, match="no row of bench 'a-searched-bench' that was asked for has a space"):
        searches.search(SMALL, 1, systems=["popular"])
    with pytest.raises(Unsupported, match=r"judged by a protocol of their own \(slating\)"):
        searches.search("slates", 1)
    said = CliRunner().invoke(app, ["bench", SMALL, "--search", "0"])
    assert "expected more than nothing" in str(said.exception)


@pytest.mark.parametrize("name", sorted({p.stem for p in (results.results_root() / "searches").glob("*.jsonl")}))
def test_what_a_search_found_better_stands_beside_the_row_it_began_from(name):
    page = BENCHES[name]
    for label, record in searched(page, results.results_root()).items():
        entry, best = page.entry(label), record["trials"][record["best"]]
        assert flattened(entry.settings) == record["settings"], "as it stood when the search began"
        beside = [e for e in page.entries if e.label == f"{label}-searched"]
        want = [{**record["settings"], **best["settings"]}] if record["best"] else []
        assert [flattened(e.settings) for e in beside] == want and all(e.system == entry.system for e in beside), label
