"""What another recipe would have earned: the truth where the log can tell, a sentence where it cannot.

The log is the market's: its people, things and true chances of a click, and pages by a policy whose chances are known.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from interplay import estimating
from interplay.cli import app
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import keep
from interplay.data.store.snapshot import adopt, snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, Mismatch, Undecidable, UnknownName
from interplay.estimating import Asked, Traffic, estimate
from interplay.fitted import Fitted
from interplay.types import Run
from interplay.worlds.market import Market, market
from small import crowd

PLACES, PAGES, MINUTE = 3, 5000, 60_000_000
RECIPE = """
[source.popular]
system = "popular"
[explore]
system = "epsilon-greedy"
pool = 12
epsilon = 0.8
[serving]
withhold = "nothing"
"""


@cache
def small() -> Market:
    return market(seed=1, n_items=12, n_people=150, days=2)


def pages(seed: int, sure: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Users, pages, stepwise chances and clicks: drawn without replacement by a fixed liking, or always the same."""
    rng, made = np.random.default_rng(seed), small()
    user = rng.integers(0, 150, PAGES)
    weight = np.exp(np.random.default_rng(3).normal(0, 0.5, 12))
    items, chance, left = np.zeros((PAGES, PLACES), int), np.ones((PAGES, PLACES)), np.tile(weight, (PAGES, 1))
    for place in range(PLACES):
        p = left / left.sum(axis=1, keepdims=True)
        at = p.argmax(axis=1) if sure else np.minimum((p.cumsum(axis=1) < rng.random((PAGES, 1))).sum(axis=1), 11)
        items[:, place], chance[:, place] = at, 1.0 if sure else p[np.arange(PAGES), at]
        left[np.arange(PAGES), at] = 0
    clicked = rng.random(items.shape) < made.truth.click_probability(user, items)
    return user, items, chance, clicked


def fill(store: Store, *, seed: int = 0, sure: bool = False, known: bool = True, policy: str = "soft-1") -> Store:
    """A store with the market's catalogue and people and a log of pages, one a minute."""
    made, (user, items, chance, clicked) = small().dataset, pages(seed, sure)
    adopt(store, made)
    n = user.size
    at = 1_700_000_000_000_000 + np.arange(n) * MINUTE
    keep(store, pl.DataFrame({
        "request_id": np.repeat([f"q{i}" for i in range(n)], PLACES), "timestamp": np.repeat(at, PLACES),
        "user_id": [made.users[u] for u in np.repeat(user, PLACES)], "slot": np.tile(np.arange(PLACES), n),
        "item_id": [made.items[i] for i in items.ravel()], "policy": policy,
        "propensity": chance.ravel() if known else np.full(items.size, None, object),
    }, schema_overrides={"propensity": pl.Float64}))  # fmt: skip
    row, place = np.nonzero(clicked)
    store.append([
        Happened(event_id=f"e{i}-{j}", user_id=made.users[user[i]], item_id=made.items[items[i, j]], event_type="click",
                 time=int(at[i]) + 1, request_id=f"q{i}")
        for i, j in zip(row.tolist(), place.tolist(), strict=True)
    ])  # fmt: skip
    return store


@pytest.fixture(scope="module")
def logged() -> Store:
    return fill(Store.open())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("recipes") / "bolder.toml"
    path.write_text(RECIPE)
    return str(path)


def truth(store: Store, name: str, places: int) -> float:
    """Clicks a page on the first places that the candidate would truly earn at the logged moments."""
    traffic = Traffic.of(store, snapshot(store, shown=True), "click", share=0.5, most=None)
    asked = Asked.of(store, name, traffic, seed=0, progress=lambda stage, facts: None)
    requests = asked.requests(traffic)
    if not hasattr(asked.fitted.model, "chances"):
        shown = [asked.fitted.model.retrieve(requests, PLACES).items]
    else:
        draws = np.random.default_rng(0)
        asked.fitted.model.explore  # noqa: B018 (the recipe explores)
        shown = []
        for _ in range(5):
            drawn = draws.integers(0, 1 << 62, len(requests)).astype(np.uint64)
            requests = estimating.replace(requests, draw=drawn)
            shown.append(asked.fitted.model.retrieve(requests, PLACES).items)
    p = [small().truth.click_probability(requests.user, page)[:, :places].sum(axis=1).mean() for page in shown]
    return float(np.mean(p))


def test_an_exploring_recipe_is_told_the_truth(logged, recipe):
    told = estimate(logged, [recipe])[0]
    wanted = truth(logged, recipe, told.places)
    assert told.places == PLACES and told.pages == pytest.approx(PAGES // 2, abs=1)
    assert told.interval.low < wanted < told.interval.high, (told.said, wanted)
    assert told.logged == pytest.approx(pages(0, False)[3][PAGES // 2 :].sum() / (PAGES // 2), rel=0.01)


def test_a_recipe_that_never_explores_is_told_as_far_down_as_the_log_carries(logged):
    told = estimate(logged, ["popular"])[0]
    assert told.places < PLACES, "a certain page of three was shown too seldom"
    wanted = truth(logged, "popular", told.places)
    assert told.interval.low < wanted < told.interval.high, (told.said, wanted)
    assert any("cannot tell more than the first" in note for note in told.notes)
    with pytest.raises(Undecidable, match=f"place {told.places + 1}"):
        estimate(logged, ["popular"], places=PLACES)


def test_the_logging_policys_own_pages_earn_what_they_earned(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click", share=1.0, most=None)

    class Itself:
        def retrieve(self, requests, n):
            return Fitted.learn("popular", crowd()).model.retrieve(requests, n)

        def chances(self, requests, shown):
            at = {tuple(row): i for i, row in enumerate(traffic.items.tolist())}
            return np.array([traffic.steps[at[tuple(row)]] for row in shown.tolist()])

    asked = Asked(name="itself", fitted=Fitted(model=Itself(), dataset=traffic.dataset, manifest={"system": "popular"}))
    told = estimating._told(asked, traffic, None, 0)
    assert told.value == pytest.approx(told.logged, abs=1e-12) and told.verdict == "cannot tell"
    assert told.effective == (float(told.pages),) * PLACES


def test_a_log_that_never_tried_is_refused_with_what_is_missing():
    store = fill(Store.open(), sure=True)
    first = small().dataset.items[pages(0, True)[1][0, 0]]
    with pytest.raises(Undecidable) as refusal:
        estimate(store, ["item-knn"])
    said = str(refusal.value)
    assert "was never shown there" in said and "soft-1" in said and "certain of 100%" in said
    named = [
        name
        for name in small().dataset.items
        if f" {name}" in said.replace(",", " ").replace(":", " ").replace(";", " ")
    ]
    assert named and first not in named, said


def test_a_log_without_chances_is_refused_with_the_policies_that_lack_them():
    with pytest.raises(Undecidable, match="propensities are missing for quiet-7"):
        estimate(fill(Store.open(), known=False, policy="quiet-7"), ["popular"])


def test_a_log_of_nobody_knows_whom_is_refused():
    with pytest.raises(Undecidable, match="do not say which policy"):
        estimate(fill(Store.open(), policy=""), ["popular"])


def test_of_several_the_best_is_chosen_by_one_half_and_judged_on_the_other(logged, recipe):
    told = estimate(logged, ["popular", recipe])
    assert [one.chosen for one in told] == [True, False]
    assert (
        told[0].people
        + Traffic.of(logged, snapshot(logged, shown=True), "click", share=0.5, most=None).halves()[0].who.size
        > told[0].people
    )
    assert told[0].people < 150 and any("judged on the other half" in note for note in told[0].notes)


def test_halves_share_nobody(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click", share=0.5, most=None)
    first, second = traffic.halves()
    assert not set(first.who.tolist()) & set(second.who.tolist())
    assert (
        len(first.pages) + len(second.pages) == len(traffic.pages) and min(len(first.pages), len(second.pages)) > 1000
    )


def test_a_candidate_learns_nothing_of_the_pages_that_it_is_judged_on(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click", share=0.5, most=None)
    assert traffic.older.events.time.max() < traffic.pages.at.min()
    asked = Asked.of(logged, "popular", traffic, seed=0, progress=lambda stage, facts: None)
    assert asked.fitted.manifest["data"]["n_events"] == len(traffic.older.events)


def test_a_model_that_has_learnt_from_the_log_is_refused(logged, tmp_path):
    taken = snapshot(logged).dataset
    Fitted.learn("popular", taken, run=Run()).save(tmp_path / "knows")
    with pytest.raises(Undecidable, match="newer than the pages"):
        estimate(logged, [str(tmp_path / "knows")])
    old = taken.where(taken.events.time < np.quantile(taken.events.time, 0.3))
    Fitted.learn("popular", old, run=Run()).save(tmp_path / "old")
    assert estimate(logged, [str(tmp_path / "old")])[0].policy == "old"
    Fitted.learn("popular", crowd(), run=Run()).save(tmp_path / "other")
    with pytest.raises(Mismatch, match="another catalogue"):
        estimate(logged, [str(tmp_path / "other")])


def test_answers_to_searches_and_special_requests_are_left_out(logged):
    store = fill(Store.open())
    for i in range(PAGES - 100, PAGES):
        store.traced(f"q{i}", lambda: {"query": "lamp", "asked": {"query": "lamp"}}, user=None, time=0)
    store.traced("q0", lambda: {"query": None, "asked": {"exclude": [], "user": "ada", "k": 3}}, user=None, time=0)
    store.database.flush()
    told = estimate(store, ["popular"])[0]
    assert told.pages == (PAGES - 100) // 2 and any("100 pages answered searches" in note for note in told.notes)


def test_what_cannot_be_asked_is_said(logged):
    with pytest.raises(UnknownName, match="'click'"):
        estimate(logged, ["popular"], reward="clicks")
    with pytest.raises(BadSetting, match="1 to 3"):
        estimate(logged, ["popular"], places=4)
    with pytest.raises(BadSetting, match="share"):
        estimate(logged, ["popular"], share=0.0)
    with pytest.raises(UnknownName, match="popular"):
        estimate(logged, ["populer"])
    with pytest.raises(Undecidable, match="nothing to fit it on"):
        estimate(logged, ["popular"], share=1.0)
    with pytest.raises(BadData, match="no impressions"):
        estimate(Store.open(), ["popular"])


def test_the_command_prints_a_sentence_or_json(tmp_path, recipe):
    where = str(tmp_path / "shop.db")
    fill(Store.open(where)).close()
    said = CliRunner().invoke(app, ["estimate", "--log", where, "--policy", recipe, "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)[0]
    assert told["policy"] == recipe and told["interval"][0] < told["value"] < told["interval"][1]
    plain = CliRunner().invoke(app, ["estimate", "--log", where, "--policy", recipe])
    assert "would have earned" in plain.stdout and f"of {told['people']} people" in plain.stdout
