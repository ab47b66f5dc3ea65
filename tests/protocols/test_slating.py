"""The benches of slates: choices of agents who were left out, and tables that pair seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.benches import BENCHES, Entry
from interplay.data.pages import Choices
from interplay.data.split import split
from interplay.errors import UnknownName
from interplay.fitted import built
from interplay.models.bandits import BELIEFS, BanditsConfig
from interplay.protocols import slating, slating_agents, slating_beliefs
from interplay.protocols.slating_agents import before, kept, softmax
from interplay.protocols.slating_beliefs import foretold
from interplay.types import TRAIN, VALID
from interplay.worlds.market import market

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
                "metrics": dict.fromkeys(page.metrics, 1.0 - more) | {"distance": 2.0 + more, "entropy": 1.5},
                "facts": {"regret": curve},
                "protocol": {"loop": "so"}, "seconds": {"all": 1.0},
            }  # fmt: skip
    lines = slating.table(page, rows, tmp_path).splitlines()
    own = [x for x in lines if x.startswith("| `epsilon`")]
    assert own[0].endswith(" | 3 | 1 |")
    assert own[1].startswith(
        "| `epsilon` | 2.1100 (+.1100 ± .0248) | 10.5500 (+.5500 ± .1242) |"
    )  # 4.303 * .01 / sqrt(3)
    assert sum(x.endswith(" | clicks more | clicks last more | entropy more | distance more |") for x in lines) == 1
    assert own[1].endswith(" | +.0000 ± .0000 | +.1100 ± .0248 |"), "how varied pages are, against the baseline"


def test_rows_whose_intervals_were_not_calibrated_show_no_coverage(tmp_path):
    page = BENCHES["slates"]
    told = {"metrics": dict.fromkeys(page.metrics, 0.0) | {"fit": 1.0}, "protocol": {"world": "so"},
            "seconds": {"all": 1.0}}  # fmt: skip
    lines = slating.table(page, {("popular", 1): told, ("gru-unicand", 1): told, ("gru-hier", 1): told}, tmp_path)
    cells = {x.split("`")[1]: x.split(" | ")[-5:-3] for x in lines.splitlines() if x.endswith("| 1.0000 | 1 | 1 |")}
    assert cells == {"popular": ["", ""], "gru-unicand": ["", ""], "gru-hier": [".0000", ".0000"]}


def test_a_vector_for_each_person_is_a_row_of_slates():
    entry = BENCHES["slates"].entry("static-hier")
    model = built(entry.system, {k: v for k, v in entry.settings.items() if k != "calibrate"})
    assert (model.config.user, model.config.start, model.config.groups) == ("static", "own", "group")


def test_every_policy_of_the_market_is_its_system_with_the_settings_of_its_row(monkeypatch):
    made, given = market(seed=0, n_items=300, n_people=150, days=2), {}

    def told(system, settings):
        given[system] = built(system, settings).config
        raise KeyboardInterrupt

    monkeypatch.setattr(slating, "market", lambda **_: made)
    monkeypatch.setattr(slating, "built", told)
    for label in slating.WAYS:
        with pytest.raises(KeyboardInterrupt):
            slating.regret(BENCHES["market-regret"].entry(label), 0)
    assert given["logistic-ts"].belief == "logistic" and given["bernoulli-ts"].belief == "items"
    assert given["lin-ucb"].way == "optimism" and given["logistic-ts"].floor == given["lin-ts"].floor == 0


def test_what_is_believed_of_the_market_is_judged_on_feeds_that_nobody_learnt_from(monkeypatch):
    made = market(seed=3, n_items=200, n_people=120, days=14)
    monkeypatch.setattr(slating_beliefs, "dataset", lambda name: made.dataset)
    page, few = BENCHES["market-beliefs"], Entry(system="logistic-ts", label="few", settings={"newest": 300})
    told = [slating.judge(page, entry, 0) for entry in (few, page.entry("logistic-ts-all"))]
    for one in told:
        assert 0.55 < one["metrics"]["auc"] < 1 and set(page.metrics) < set(one["metrics"])
    assert told[0]["facts"]["pages"] <= 300 < told[1]["facts"]["pages"]
    assert told[1]["metrics"]["doubt"] < told[0]["metrics"]["doubt"]
    shown = made.dataset.tables["impressions"].filter((pl.col("surface") == "feed") & pl.col("seen"))
    parts = split(made.dataset, "time")
    times = made.dataset.events.time
    first, last = (times[parts.part == part].max() for part in (TRAIN, VALID))
    seen = shown.filter(pl.col("timestamp").is_between(first, last, closed="right"))
    assert told[1]["facts"]["judged"] == seen["request_id"].n_unique()


@pytest.mark.parametrize("belief", ["linear", "logistic", "items"])
def test_a_belief_foretells_less_of_a_place_that_is_hardly_clicked(belief):
    rng = np.random.default_rng(0)
    place, items = rng.integers(0, 6, 20_000), rng.integers(0, 4, 20_000)
    x = np.ones((20_000, 3))
    held = BELIEFS[belief](BanditsConfig(), 3, 4)
    held.learn(x, items, place.astype(float), (rng.random(20_000) < 0.4 / (1 + place)).astype(float))
    told = foretold(held, x[:6], items[:6] * 0, np.arange(6))
    assert (np.diff(told) < 0).all() and told[0] == pytest.approx(0.4, abs=0.15)
