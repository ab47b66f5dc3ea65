"""The benches of slates: choices of agents who were left out, and tables that pair seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.benches import BENCHES, Entry
from interplay.data.pages import Choices
from interplay.errors import UnknownName
from interplay.protocols import slating, slating_agents
from interplay.protocols.slating_agents import before, kept, softmax

AGENTS, FILMS = 40, 12


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Pages of four films; the first place is watched three times in four, and film 0 always."""
    rng, rows = np.random.default_rng(0), []
    for agent in range(AGENTS):
        for page in (1, 2, 3):
            for place, item in enumerate(rng.permutation(FILMS)[:4].tolist()):
                watched = item == 0 or rng.random() < (0.75, 0.2, 0.1, 0.1)[place]
                rows.append({"agent": agent, "page": page, "position": place, "item": item, "watched": watched})
    folder = tmp_path / "agent4rec_ml1m"
    folder.mkdir()
    pl.DataFrame(rows).write_parquet(folder / "llm_agent_log.parquet")
    films = {"item": list(range(FILMS)), "title": [f"film {i}" for i in range(FILMS)], "genres": ["Drama|War"] * FILMS}
    pl.DataFrame(films).write_parquet(folder / "movies.parquet")
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path))
    slating_agents.watched.cache_clear()
    yield slating_agents.watched()
    slating_agents.watched.cache_clear()


def test_agents_pages_become_impressions_and_what_they_watched_events_in_order(told):
    shown = told.tables["impressions"]
    assert len(shown) == AGENTS * 3 * 4 and told.n_users == AGENTS and told.n_items == FILMS
    watched = pl.read_parquet(slating_agents.folder("agent4rec_ml1m") / "llm_agent_log.parquet")["watched"]
    assert len(told.events) == watched.sum() and told.events.time is not None
    same = np.diff(told.events.user) == 0
    assert (np.diff(told.events.time)[same] > 0).all()
    assert told.catalogue is not None and told.catalogue["categories"][0].to_list() == ["Drama", "War"]


def test_places_foretell_agents_who_were_left_out_better_than_how_much_is_left(told):
    page = BENCHES["slates-agents"]
    figures = {label: slating.judge(page, page.entry(label), 0)["metrics"] for label in ("left", "places and films")}
    assert figures["places and films"]["ll"] > figures["left"]["ll"] + 0.05
    assert figures["places and films"]["gain"] == 0.0 and figures["left"]["high"] < 0.0


def test_a_slate_model_is_judged_on_the_same_choices_and_one_of_drawn_films_knows_no_nothing(told):
    quick = {"dim": 2, "descent": {"epochs": 2, "batch": 64}}
    own = Entry(system="dynamic-slate-linear", settings=quick | {"places": True})
    drawn = replace(own, settings=quick | {"candidates": "all", "negatives": 5})
    figures = slating_agents.agents(own, 0)["metrics"]
    assert figures["ll"] < 0 and figures["low"] < figures["gain"] < figures["high"]
    assert set(slating_agents.agents(drawn, 0)["metrics"]) == {"which_ll", "which_gain", "which_low", "which_high"}
    with pytest.raises(UnknownName):
        slating_agents.agents(Entry(system="floor", label="place"), 0)


def test_agents_who_are_left_out_leave_no_page_and_no_event(told):
    people = np.arange(AGENTS) < 10
    part = kept(told, people)
    assert part.tables["impressions"]["user_id"].max() == 9 and part.events.user.max() == 9


def test_a_choice_has_the_choices_before_it_and_none_of_other_agents():
    choices = Choices(
        user=np.array([0, 0, 0, 1], np.int32), at=np.arange(4), chosen=np.array([1, -1, 0, 0]),
        slate=np.array([[4, 5], [6, 7], [6, -1], [5, 4]], np.int32),
    )  # fmt: skip
    past = before(choices)
    assert [past.take(np.array([i]))["item"].tolist() for i in range(4)] == [[], [5], [5], []]


def test_the_floor_by_place_says_how_often_each_place_is_chosen():
    rng = np.random.default_rng(0)
    chosen = rng.choice([-1, 0, 1], 4000, p=[0.5, 0.3, 0.2])
    slate = np.tile(np.array([[1, 2]], np.int32), (4000, 1))
    choices = Choices(user=np.arange(4000, dtype=np.int32), at=np.arange(4000), slate=slate, chosen=chosen)
    log_p = softmax(choices, ("place",), 3, 0)(choices)
    for at, p in ((-1, 0.5), (0, 0.3), (1, 0.2)):
        assert np.exp(log_p[chosen == at, 0]).mean() == pytest.approx(p, abs=0.02)
    assert np.exp(log_p[chosen == 0, 1]).mean() == pytest.approx(0.6, abs=0.02)  # given that one is chosen


def test_the_loop_s_table_pairs_regret_round_by_round(tmp_path):
    page, rows = BENCHES["slate-loop"], {}
    for seed in (0, 1, 2):
        for label, more in (("greedy", 0.0), ("epsilon", 0.1 + 0.01 * seed)):
            curve = [1.0 + seed + more] * 30
            rows[label, seed] = {
                "metrics": dict.fromkeys(page.metrics, 1.0 - more), "facts": {"regret": curve},
                "protocol": {"loop": "so"}, "seconds": {"all": 1.0},
            }  # fmt: skip
    lines = slating.table(page, rows, tmp_path).splitlines()
    own = [x for x in lines if x.startswith("| `epsilon`")]
    assert own[0].endswith(" | 3 | 1 |")
    assert own[1].startswith(
        "| `epsilon` | 2.1100 (+.1100 ± .0248) | 10.5500 (+.5500 ± .1242) |"
    )  # 4.303 * .01 / sqrt(3)
