"""Tables: paired, corrected, with the protocol above and the published figure beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from test_replay import log, popular

from interplay.data.split import split
from interplay.errors import BadData, BadSetting, Mismatch, UnknownName
from interplay.evaluate.compare import Published, compare
from interplay.evaluate.demonstrations import agreement, sampled_reversal, swapped, temporal_against_last_out
from interplay.evaluate.panel import kinds, markdown, panel
from interplay.evaluate.replay import replay
from interplay.models.counts import Popular, Trending, TrendingConfig
from interplay.ops import stats


def users(seed: int = 0, n: int = 300, lift: float = 0.0) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).random((2, n))
    own = np.random.default_rng(seed + 1).normal(0, 0.05, (2, n))
    return {"recall@20": noise[0] + own[0] + lift, "ndcg@20": noise[1] + own[1]}


def test_rows_hold_means_differences_and_verdicts():
    told = compare({"base": users(), "good": users(1, lift=0.05), "same": users(4), "bad": users(3, lift=-0.05)})
    assert told.baseline == "base" and told.metrics == ("recall@20", "ndcg@20")
    assert [row.verdicts["recall@20"] for row in told.rows] == ["", "better", "cannot tell", "worse"]
    good = told["good"]
    assert good.difference["recall@20"] == pytest.approx(good.mean["recall@20"] - told["base"].mean["recall@20"])
    assert good.low["recall@20"] < good.mean["recall@20"] < good.high["recall@20"]
    paired = good.difference_high["recall@20"] - good.difference_low["recall@20"]
    assert paired < 0.3 * (good.high["recall@20"] - good.low["recall@20"])  # users agree, so the difference is sharper


def test_p_values_are_corrected_over_the_systems_compared():
    judged = {f"s{i}": users(i, lift=0.006 * (i > 0)) for i in range(4)}
    told = compare(judged, metrics=["recall@20"])
    raw = [stats.paired_t(judged[f"s{i}"]["recall@20"], judged["s0"]["recall@20"]) for i in (1, 2, 3)]
    assert [told[f"s{i}"].p["recall@20"] for i in (1, 2, 3)] == pytest.approx(stats.holm(raw).tolist())


def test_seeds_widen_the_interval_when_they_disagree():
    steady = compare({"base": users(), "s": [users(s, lift=0.05) for s in (1, 2, 3)]})["s"]
    wild = compare({"base": users(), "s": [users(s, lift=lift) for s, lift in ((1, -0.3), (2, 0.05), (3, 0.4))]})["s"]
    assert steady.seeds == 3 and steady.verdict == "better"
    assert wild.mean["recall@20"] == pytest.approx(steady.mean["recall@20"])
    assert wild.verdict == "cannot tell"


def test_the_table_says_its_protocol_and_the_published_figure():
    parts = split(log(), "time", test=0.2)
    learnt = parts.fitted("train+valid")
    judged = {
        "popular": replay(Popular().fit(learnt), parts),
        "trending": replay(Trending(TrendingConfig(half_life=0.001)).fit(learnt), parts),
    }
    source = Published(values={"recall@20": 0.1849}, source="A et al. 2020, table 2", same_protocol=False)
    told = compare(judged, baseline="popular", published={"trending": source})
    text = told.markdown()
    assert text.startswith("log; split time (seed 0, ") and "judged on test" in text and "seen items withheld" in text
    assert ".1849/- (A et al. 2020, table 2; other protocol)" in text
    assert "cold" in text and "can show differences from about" in text
    console = Console(width=250, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(told.rich())
    shown = console.export_text()
    assert "trending" in shown and "baseline" in shown
    assert told.frame().height == 4 and told["trending"].seconds is not None
    warm = compare(judged, group="warm")
    assert warm.n == int((~judged["popular"].cold).sum())


def test_numbers_of_different_protocols_do_not_stand_in_one_table():
    parts = split(log(), "time")
    model = popular(parts)
    first = replay(model, parts)
    with pytest.raises(Mismatch, match="differ in 'seen'"):
        compare({"a": first, "b": replay(model, parts, seen="keep", reread=True)})
    with pytest.raises(Mismatch, match="differ in 'fingerprint'"):
        compare({"a": first, "b": replay(popular(parts), split(log(seed=1), "time"))})
    with pytest.raises(Mismatch, match=r"\[300, 301\] requests"):
        compare({"a": users(), "b": users(n=301)})


def test_names_that_do_not_exist_are_refused():
    for wrong in ({"baseline": "bas"}, {"metrics": ["recal@20"]}, {"test": "u"}):
        with pytest.raises(UnknownName):
            compare({"base": users()}, **wrong)
    with pytest.raises(BadData):
        compare({})
    with pytest.raises(BadData, match="warm or cold"):
        compare({"base": users()}, group="warm")


def test_how_often_the_test_part_was_read_stands_in_the_table():
    parts = split(log(seed=3), "time")
    model = popular(parts)
    for _ in range(3):
        judged = replay(model, parts, reread=True)
    assert "test read 3 times" in compare({"popular": judged}).markdown()


def test_the_panel_tells_what_is_shown():
    parts = split(log(), "time", test=0.2)
    learnt = parts.fitted("train+valid")
    judged = replay(Popular().fit(learnt), parts, metrics="recall@5")
    told = panel(judged, learnt, k=5, vectors=np.eye(25), genres=np.eye(25), primitive=judged.slates)
    assert told["ild@5"] == pytest.approx(1.0) and told["serendipity@5"] == 0.0
    assert 0 < told["coverage@5"] < 1 and 0 < told["tail_share@5"] < 0.8 and len(told) == 11
    with pytest.raises(BadSetting, match="hold 5 places"):
        panel(judged, learnt, k=6)


def test_the_categories_of_a_catalogue_are_the_space_of_distances():
    def told(catalogue):
        return kinds(replace(log(n_items=3), catalogue=catalogue))

    assert told(None) is None and told(pl.DataFrame({"title": ["a", "b", "c"]})) is None
    lists = pl.DataFrame({"categories": [["x", "y"], None, ["x", " "]]})
    assert told(lists).tolist() == [[1, 1], [0, 0], [1, 0]]  # the most frequent first; empty ones are none
    assert told(pl.DataFrame({"categories": ["y", "", "y"]})).tolist() == [[1], [0], [1]]
    assert told(pl.DataFrame({"categories": pl.Series([None] * 3, dtype=pl.List(pl.String))})) is None


def test_panels_stand_in_one_table_in_a_fixed_order():
    lines = markdown({"a": {"arp@5": 1234.5, "coverage@5": 0.25}, "b": {"coverage@5": 1.0}})
    assert lines == ["| system | coverage | ARP |", "|---|---|---|", "| a | .250 | 1,234 |", "| b | 1.00 |  |"]


def test_the_demonstrations_run_and_give_numbers():
    data = log(n_users=80, n_items=60, events=2500)
    parts = split(data, "last-out")
    learnt = parts.fitted("train+valid")
    systems = {"popular": Popular().fit(learnt), "trending": Trending(TrendingConfig(half_life=0.001)).fit(learnt)}
    told = sampled_reversal(systems, parts, metrics=("recall@5",), negatives=10)
    row = told["metrics"]["recall@5"]
    assert row["sampled"]["popular"] > row["full"]["popular"] and -1 <= row["tau"] <= 1
    fits = {"popular": Popular().fit, "trending": Trending(TrendingConfig(half_life=0.001)).fit}
    both = temporal_against_last_out(fits, data, metric="recall@5")
    assert both["rules"]["time"]["older_than_fitted"] == 0 < both["rules"]["last-out"]["older_than_fitted"]
    assert set(both["rules"]["time"]["all"]) == set(fits)


def test_orders_are_compared():
    first, second = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 2.0, "b": 3.0, "c": 1.0}
    assert swapped(first, second) == [("a", "b")]
    assert agreement(first, second) == pytest.approx({"rho": 0.5, "tau": 1 / 3})
