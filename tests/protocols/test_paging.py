"""The bench of whole pages judges everyone on the same lists, and its table says what it found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from interplay.benches import BENCHES, Bench, Entry
from interplay.data.lists import contents
from interplay.protocols import paging
from interplay.types import Ragged
from small import crowd

SMALL = {
    "dim": 8, "moments": 500, "folds": 2, "groups": 4,
    "reward": {"dim": 8, "layers": 1, "descent": {"epochs": 1}},
    "policy": {"dim": 8, "rounds": 1, "pages": 32, "every": 1, "descent": {"epochs": 1}},
}  # fmt: skip


def test_a_page_is_judged_by_what_was_gone_for_and_by_how_different_its_things_are():
    space = np.eye(40, dtype=np.float32)
    space[2] = space[1]
    items = np.full((2, paging.K), -1)
    items[0, :3], items[1, :2] = [1, 2, 3], [4, 5]
    told = paging._judged(items, Ragged.of([[2], [9]]), space)
    assert told["ndcg"].tolist() == pytest.approx([1 / np.log2(3), 0]) and told["recall"].tolist() == [1, 0]
    assert told["twins"].tolist() == [1, 0], "2 has its twin above it"
    assert told["ild"].tolist() == pytest.approx([2 / 3, 1])


def test_one_run_judges_every_way_and_the_table_shows_them(monkeypatch):
    monkeypatch.setattr(paging, "load", lambda name: crowd(100, 60, 1600))
    monkeypatch.setattr(paging, "TIMED", 2)
    rails = {"shelves": 3, "reward": SMALL["reward"], "policy": SMALL["policy"]}
    entry = Entry(system="pagellm", label="small", settings={**SMALL, "families": True, "rails": rails})
    page = Bench(name="pages", version=1, about="Pages.", data="small", kind="pages", entries=(entry,), metrics=())
    told = paging.judge(page, entry, 0)
    ways = {name.split("|")[0] for name in told["metrics"] if name.endswith("|ndcg")}
    assert {
        paging.BASE,
        paging.FULL,
        paging.STIRRED,
        "mmr, balance 0.7",
        "listwise, supervised",
        "without reinforcement",
    } <= ways
    assert sum(way.startswith("without pairs of") for way in ways) == 4
    assert all(np.isfinite(v) for v in told["metrics"].values())
    assert {"rails|rule|gain", "rails|items|seen", "rails|page|gain"} <= set(told["metrics"])
    assert 0 < told["facts"]["same things when stirred"] <= 1
    text = paging.table(page, {("small", 0): {**told, "seed": 0}}, Path())
    assert "| pagellm |" in text and "| swap |" in text and "is among the candidates" in text
    assert "| pagellm, crowding 1.3 |" in text and "| listwise, then mmr 0.9 |" in text
    assert "order would be served" in text or "the policy serves" in text
    assert "± " in next(line for line in text.splitlines() if line.startswith("| relevance |"))
    assert "random orders" in text and "| by single shelves alone |" in text


def test_every_row_of_the_bench_is_another_set_and_the_published_ones_are_learnt_by_the_same_settings():
    entries = BENCHES["pages"].entries
    assert len({e.settings["data"] for e in entries}) == len(entries) == 4
    more = ("data", "families")  # families: further rows, by rewards of their own
    amazon = [e.settings for e in entries if e.settings["data"].startswith("amazon")]
    assert len({tuple(sorted((k, v) for k, v in own.items() if k not in more)) for own in amazon}) == 1
    assert contents(crowd(), "words", 8).shape == (40, 8)


def test_places_of_real_logs_stand_beside_the_weights_of_the_item_reward(tmp_path):
    looks = {"agents": [1.0, 0.6, 0.4, 0.2], "bts": [0.5, 1.0, 0.7], "uniform": [1.0, 0.8, 0.7]}
    record = {"label": paging.LOOKS, "facts": {log: {"looks": seen} for log, seen in looks.items()}}
    (tmp_path / "positions.jsonl").write_text(json.dumps(record) + "\n")
    agents, drawn, learnt = paging._places(tmp_path)[-3:]
    assert agents.endswith("| 6 of 6 | +1.00 |") and drawn.endswith("| 1 of 3 | -0.50 |")
    assert "1.00 0.63 0.50" in learnt and paging._places(tmp_path / "none") == []
