"""Bandits: beliefs as their papers state them, chances that come true, pages that get better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.data.pages import Pages
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.fitted import Fitted, built
from interplay.models.bandits import Bandits, BanditsConfig, Items, Linear, Logistic
from interplay.recipe import Recipe
from interplay.systems import ROWS
from interplay.types import Array, Dataset, Events, Requests, Slates
from small import crowd, made

POLICIES = [row.name for row in ROWS if row.model == "bandits:Bandits"]
K, M = 4, 10


def asked(data: Dataset, n: int, seed: int = 0) -> tuple[Requests, Slates]:
    """n requests, each with M candidates of falling score, the last of every third padded."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(data.n_items)[:M] for _ in range(n)]).astype(np.int32)
    items[::3, -1] = -1
    scores = np.where(items >= 0, np.linspace(1, 0.1, M), -np.inf).astype(np.float32)
    draw = rng.integers(0, 2**64, n, dtype=np.uint64)
    return Requests.of(data, rng.integers(-1, data.n_users, n), draw=draw), Slates(items=items, scores=scores)


def clicks(slates: Slates, liked: Array, seed: int) -> Pages:
    """Pages on which each item is clicked with its own chance, lower places less."""
    rng = np.random.default_rng(seed)
    held = slates.items >= 0
    p = np.where(held, liked[np.maximum(slates.items, 0)], 0.0) * 0.8 ** np.arange(slates.items.shape[1])
    return Pages(items=slates.items[:, None], clicked=(rng.random(p.shape) < p)[:, None], n_items=len(liked))


@pytest.mark.parametrize("name", POLICIES)
def test_logged_propensities_are_the_frequencies_that_draws_have(name: str) -> None:
    data, n = crowd(), 6000
    policy = built(name, {"particles": 40}).fit(data)
    requests, candidates = asked(data, 60)
    shown = policy.choose(requests, candidates, K)
    policy.update(clicks(shown, np.linspace(0.9, 0.1, data.n_items), 1), requests)
    one = requests.take(np.zeros(n, np.int64))
    one = replace(one, draw=np.random.default_rng(3).integers(0, 2**64, n, dtype=np.uint64))
    wide = Slates(items=np.repeat(candidates.items[:1], n, 0), scores=np.repeat(candidates.scores[:1], n, 0))
    pages = policy.choose(one, wide, K)
    first = policy.propensities(one.slice(0, 1), wide.slice(0, 1))[0]
    often = np.array([(pages.items[:, 0] == item).mean() for item in wide.items[0]])
    assert first.sum() == pytest.approx(1) and abs(often - np.where(wide.items[0] >= 0, first, 0)).max() < 0.025
    whole, at, count = np.unique(pages.items, axis=0, return_index=True, return_counts=True)
    said = pages.columns["propensity"][at].prod(axis=1)
    assert abs(count / n - said).max() < 0.025, "the product over places is the chance of the page"
    given = Slates(items=wide.items[at], scores=wide.scores[at])
    np.testing.assert_allclose(policy.chances(one.take(at), given, whole), pages.columns["propensity"][at])


@pytest.mark.parametrize("name", POLICIES)
def test_pages_are_sound_and_a_state_moves_to_a_new_instance(name: str) -> None:
    data = crowd()
    policy = built(name).fit(data)
    requests, candidates = asked(data, 30)
    pages = policy.choose(requests, candidates, K)
    policy.update(clicks(pages, np.full(data.n_items, 0.3), 0), requests)
    pages = policy.choose(requests, candidates, M + 5)
    for given, shown, p in zip(candidates.items, pages.items, pages.columns["propensity"], strict=True):
        held = shown[shown >= 0]
        assert sorted(held.tolist()) == sorted(given[given >= 0].tolist())
        assert (p > 0).all() and (p <= 1).all() and (p[len(held) :] == 1).all()
    again = built(name).restore(policy.state()).choose(requests, candidates, M + 5)
    np.testing.assert_array_equal(pages.items, again.items)
    np.testing.assert_array_equal(pages.columns["propensity"], again.columns["propensity"])
    policy.forget(np.array([0, 99]))
    assert policy.state().users["rows.events"][0] == 0
    plain = policy.choose(replace(requests, draw=None), candidates, K)
    assert (plain.columns["propensity"] == 1).all() and not plain.columns["explored"].any()
    late = Slates(items=np.array([[3, 10_000]], np.int32), scores=np.array([[1, 0.5]], np.float32))
    assert np.isfinite(policy.propensities(requests.slice(0, 1), late)).all()
    assert policy.choose(requests.slice(0, 0), Slates.empty(0, M), K).items.shape == (0, K)


@pytest.mark.parametrize("name", POLICIES)
def test_pages_get_better_as_a_policy_learns(name: str) -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 80)
    user = np.repeat(np.arange(80), 8)
    data = made(np.column_stack([user, rng.integers(0, 10, 640) + 10 * group[user]]), 80, 20)
    policy, earned = built(name, {"dim": 2}).fit(data), []
    for turn in range(25):
        who = rng.integers(0, 80, 60)
        candidates = np.stack([rng.permutation(20)[:M] for _ in range(60)]).astype(np.int32)
        requests = Requests.of(data, who, draw=rng.integers(0, 2**64, 60, dtype=np.uint64))
        pages = policy.choose(requests, Slates(items=candidates, scores=np.zeros(candidates.shape, np.float32)), 3)
        p = (
            np.where(pages.items // 10 == group[who, None], 0.4, 0.05)
            if "bern" not in name
            else np.linspace(0.6, 0.0, 20)[pages.items]
        )
        clicked = rng.random(p.shape) < p
        earned.append(p.mean())
        policy.update(Pages(items=pages.items[:, None], clicked=clicked[:, None], n_items=20), requests)
        assert turn or policy.fitted["pages"] == 60
    by_chance = 0.3 if "bern" in name else 0.225
    assert np.mean(earned[-5:]) > by_chance + 0.1


def test_a_linear_belief_is_a_ridge_regression_and_learning_in_parts_is_learning_at_once() -> None:
    rng, config = np.random.default_rng(0), BanditsConfig(ridge=2.0, noise=0.5)
    x, place, reward = (
        rng.normal(size=(50, 3)),
        rng.integers(0, 4, 50).astype(float),
        (rng.random(50) < 0.3).astype(float),
    )
    none = np.zeros(50, np.int64)
    belief, parts = Linear(config, 3, 5), Linear(config, 3, 5)
    belief.learn(x, none, place, reward)
    for lo in (0, 20):
        parts.learn(x[lo : lo + 20 + lo], none[:1], place[lo : lo + 20 + lo], reward[lo : lo + 20 + lo])
    wide = np.column_stack([x, np.log2(1 + place)])
    a = 2 * np.eye(4) + wide.T @ wide
    w = np.linalg.solve(a, wide.T @ reward)
    np.testing.assert_allclose(belief.mean(x, none), x @ w[:3])
    np.testing.assert_allclose(parts.mean(x, none), x @ w[:3])
    slow = 0.5 * np.sqrt(np.einsum("nd,de,ne->n", x, np.linalg.inv(a)[:3, :3], x))
    np.testing.assert_allclose(belief.doubt(x, none), slow)
    drawn = belief.particles(x, none, 20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), x @ w[:3], atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), slow, rtol=0.05)


def test_a_logistic_belief_stands_at_the_mode_of_its_posterior() -> None:
    rng, config = np.random.default_rng(1), BanditsConfig(ridge=1.5)
    x, reward = rng.normal(size=(60, 2)), (rng.random(60) < 0.4).astype(float)
    belief = Logistic(config, 2, 5)
    start = belief.weights.copy()
    belief.learn(x, np.zeros(60, np.int64), np.zeros(60), reward)
    w, wide = belief.weights, np.column_stack([x, np.zeros(60)])
    slope = 1.5 * (w - start) + wide.T @ (1 / (1 + np.exp(-wide @ w)) - reward)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_a_click_rate_counts_a_trial_low_on_the_page_for_less() -> None:
    belief = Items(BanditsConfig(clicks=1, trials=2), 0, 2)
    rng = np.random.default_rng(0)
    place = rng.integers(0, 2, 20_000) * 3.0
    items = np.where(rng.random(20_000) < np.where(place > 0, 0.7, 0.3), 1, 0)  # item 1 mostly stands low
    reward = (rng.random(20_000) < 0.5 * np.where(place > 0, 0.2, 1.0)).astype(float)
    belief.learn(np.zeros((20_000, 0)), items, place, reward)
    rates = belief.mean(np.zeros((2, 0)), np.array([0, 1]))
    assert rates == pytest.approx(0.5, abs=0.06) and reward[items == 1].mean() < 0.3
    drawn = belief.particles(np.zeros((2, 0)), np.array([0, 1]), 4000)
    np.testing.assert_allclose(drawn.std(axis=0), belief.doubt(np.zeros((2, 0)), np.array([0, 1])), rtol=0.1)


def test_the_newest_pages_are_those_whose_answers_are_in_the_log() -> None:
    data, n = crowd(), 30
    hour, names = 3_600_000_000, data.items.names
    shown = pl.DataFrame({
        "request_id": np.repeat(np.arange(n), 3), "timestamp": np.repeat(np.arange(n) * hour, 3),
        "slot": np.tile(np.arange(3), n), "item_id": [names[i % len(names)] for i in range(3 * n)],
        "surface": np.repeat(["feed", "search"], 3 * n // 2),
    })  # fmt: skip
    clicked = Events(
        user=np.zeros(10, np.int32), item=np.arange(0, 30, 3).astype(np.int32) % data.n_items, ordered=True,
        time=np.arange(10) * hour + 1, kind=np.zeros(10, np.int16), kinds=("click",),
        context={"request_id": np.arange(10)},
    )  # fmt: skip
    part = replace(data, events=clicked, tables={"impressions": shown})  # ends with page 9 of 30
    for newest, surface, learnt in ((4, "", 4), (4, "feed", 4), (None, "", 10), (100, "feed", 10)):
        policy = Bandits(BanditsConfig(newest=newest, surface=surface)).fit(part)
        assert policy.fitted["pages"] == learnt
    with pytest.raises(BadData, match="all of them after the last event"):
        Bandits(BanditsConfig(newest=4, surface="search")).fit(part)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UnknownName, match="nearest: \\['linear'"):
        Bandits(BanditsConfig(belief="linar")).fit(crowd())
    with pytest.raises(BadSetting, match="epsilon and floor from 0 to 1"):
        Bandits(BanditsConfig(epsilon=1.5)).fit(crowd())
    with pytest.raises(BadData, match="no events"):
        Bandits().fit(made([], 2, 2))


# --------------------------------------------------------------------------------------------------------------------
# As the exploring stage of a recipe

RECIPE = """
[source.often]
system = "popular"
[page]
caps = { title = 1 }
pins = { i7 = 2 }
[explore]
system = "NAME"
pool = 8
"""


@pytest.mark.parametrize("name", POLICIES)
def test_a_recipe_explores_and_its_propensities_are_the_true_frequencies(name: str) -> None:
    data, n = crowd(), 4000
    model = Recipe.parse(RECIPE.replace("NAME", name)).build().fit(data)
    draw = np.random.default_rng(0).integers(0, 2**64, n, dtype=np.uint64)
    one = replace(Requests.of(data, np.full(n, 2, np.int32), k=3), draw=draw)
    slates = model.respond(one, trace=False).slates
    pages, at, count = np.unique(slates.items, axis=0, return_index=True, return_counts=True)
    assert len(pages) > 3 or name == "lin-ucb"
    assert abs(count / n - slates.columns["propensity"][at].prod(axis=1)).max() < 0.03
    assert (slates.items[:, 1] == 7).all() and (slates.columns["propensity"][:, 1] == 1).all(), "a pin is certain"
    assert all(len(set(page)) == 3 for page in pages.tolist())
    calm = model.respond(replace(one, draw=None).slice(0, 2), trace=False).slates
    assert (calm.columns["propensity"] == 1).all()


def test_a_query_is_answered_without_trying_and_the_trace_tells_what_was_tried(tmp_path) -> None:
    data = crowd()
    model = Recipe.parse(RECIPE.replace("NAME", "epsilon-greedy") + "epsilon = 1.0").build().fit(data)
    draw = np.arange(40, dtype=np.uint64)
    requests = replace(
        Requests.of(data, np.full(40, 3, np.int32), k=3), draw=draw, query=["x" if i % 2 else None for i in range(40)]
    )
    reply = model.respond(requests)
    tried = reply.slates.columns["explored"]
    assert tried[::2].any() and not tried[1::2].any()
    assert (reply.slates.columns["propensity"][1::2] == 1).all(), "also in a batch with feeds that explore"
    facts = [trace.stages[4].facts for trace in reply.trace]
    assert facts[0]["tried"] == tried[0].sum() and facts[0]["explores"] == "epsilon"
    assert reply.trace[0].items[0]["propensity"] == reply.slates.columns["propensity"][0, 0]


def test_a_fitted_recipe_that_explores_is_kept_and_opened(tmp_path) -> None:
    recipe = Recipe.parse(RECIPE.replace("NAME", "lin-ts"), name="tries.toml")
    fitted = Fitted.cooked(recipe, crowd())
    fitted.save(tmp_path / "model")
    again = Fitted.load(tmp_path / "model")
    requests = replace(Requests.of(crowd(), np.arange(5), k=4), draw=np.arange(5, dtype=np.uint64))
    one, two = (f.model.respond(requests, trace=False).slates for f in (fitted, again))
    np.testing.assert_array_equal(one.items, two.items)
    np.testing.assert_array_equal(one.columns["propensity"], two.columns["propensity"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[explore]\npool = 3", "needs system .*policies: .*lin-ts"),
        ("[explore]\nsystem = 'lin-tz'", r"\[explore\]: no system called 'lin-tz'"),
        ("[explore]\nsystem = 'popular'", "does not explore"),
        ("[explore]\nsystem = 'lin-ts'\npool = 0", "at least 1 candidate"),
        ("[explore]\nsystem = 'lin-ts'\nserves = 'all'", "expected 'feed', 'search' or 'both'"),
        ("[explore]\nsystem = 'lin-ts'\nepsilom = 1", "did you mean 'epsilon'"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table: str, said: str) -> None:
    with pytest.raises((BadData, BadSetting, UnknownName), match=said):
        Recipe.parse(f"[source.a]\nsystem = 'popular'\n{table}").build()
