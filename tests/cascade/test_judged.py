"""The ranker of a cascade: one visible sum, told item by item, and a page whatever is missing or wrong."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from interplay.cascade.cascade import Cascade, Source
from interplay.cascade.parts import RANKER, Ranking
from interplay.errors import BadSetting, InterplayError
from interplay.fitted import Fitted
from interplay.models.counts import Popular
from interplay.recipe import Recipe
from interplay.types import Dataset, Requests, Slates
from interplay.worlds.market import market

RECIPE = """
[source.often]
system = "popular"
[ranker]
system = "lookup"
optional = true
first = 30
order = 0.4
weights = { click = 1, buy = 5 }
tasks = { click = "", buy = "" }
surface = "feed"
newest = 15_000
across = true
"""


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return market(seed=3, n_items=120, n_people=40, days=30).dataset


@pytest.fixture(scope="module")
def model(shop: Dataset) -> Cascade:
    return Recipe.parse(RECIPE).build().fit(shop)


def asked(shop: Dataset, users: list[int], **more: object) -> Requests:
    return Requests.of(shop, np.array(users), at=np.full(len(users), int(shop.events.time.max()) + 1), **more)


def test_the_score_is_the_sum_that_the_trace_tells(shop: Dataset, model: Cascade):
    reply = model.respond(asked(shop, [3, 4, -1], k=10))
    for row, trace in enumerate(reply.trace):
        rank = next(stage for stage in trace.stages if stage.name == "rank")
        assert rank.facts["sum"] == {"click": 1, "buy": 5} and rank.facts["order"] == 0.4
        assert "lookup (1 x click + 5 x buy + 0.4 x their order so far)" in rank.said
        for item, score in zip(trace.items, reply.slates.scores[row], strict=True):
            told = item["predicted"]
            assert 0 < told["buy"] < told["click"] < 1
            assert score == pytest.approx(told["click"] + 5 * told["buy"] + item.get("order", 0.0), abs=1e-5)


def test_only_the_first_are_judged_and_the_others_follow_in_their_order(shop: Dataset, model: Cascade):
    request = asked(shop, [5], k=80)
    plain = Cascade(model.sources).fit(shop).retrieve(request, 80).items[0]
    reply = model.respond(request)
    shown = reply.slates.items[0]
    shown = shown[shown >= 0]
    assert set(shown[:30]) == set(plain[:30]) and shown[30:].tolist() == plain[30 : len(shown)].tolist()
    assert (np.diff(reply.slates.scores[0][: len(shown)]) <= 0).all()
    assert "predicted" in reply.trace[0].items[29] and "predicted" not in reply.trace[0].items[30]


@pytest.mark.parametrize("allowed", [0, 1])
def test_one_candidate_or_none_is_a_page_too(shop: Dataset, model: Cascade, allowed: int):
    rules = Fitted(model=model, dataset=shop, manifest={"system": "popular"}).rules(
        1, where=f"item_id == '{shop.items[7]}'" if allowed else "price < 0", seen=True
    )
    reply = model.respond(asked(shop, [2], k=5, rules=rules))
    assert reply.slates.items[0].tolist() == [7, -1, -1, -1, -1] if allowed else (reply.slates.items == -1).all()
    assert not np.isnan(reply.slates.scores).any() and len(reply.trace[0].items) == allowed


def test_new_categories_and_missing_fields_are_judged_without_nan(shop: Dataset, model: Cascade):
    odd = shop.catalogue.with_columns(
        pl.lit("never seen").alias("kind"), pl.lit(None, pl.Float64).alias("price"), maker=pl.lit(None, pl.String)
    )
    other = Recipe.parse(RECIPE).build().restore(model.state())
    other.attend(Dataset(name="market", users=shop.users, items=shop.items, events=shop.events, catalogue=odd))
    reply = other.respond(asked(shop, [1, -1], k=8))
    assert (reply.slates.items >= 0).all() and np.isfinite(reply.slates.scores).all()
    assert all(0 < item["predicted"]["click"] < 1 for trace in reply.trace for item in trace.items)


class Broken:
    """Predicts what is no number, or fails."""

    config = None

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def fit(self, dataset: Dataset, **_: object) -> Broken:
        return self

    def rank(self, requests: Requests, slates: Slates, features: object) -> Slates:
        if self.fails:
            raise InterplayError("the ranker lost its table")
        nothing = np.full(slates.items.shape, np.nan, np.float32)
        return Slates(items=slates.items, scores=nothing, columns={**slates.columns, "p_click": nothing})


def test_a_prediction_that_is_no_number_counts_nothing(shop: Dataset):
    model = Cascade({"often": Source(retriever=Popular())}, ranking=Ranking(ranker=Broken(), order=1.0)).fit(shop)
    plain = Cascade({"often": Source(retriever=Popular())}).fit(shop).retrieve(asked(shop, [4], k=6), 6)
    reply = model.respond(asked(shop, [4], k=6))
    assert np.isfinite(reply.slates.scores).all() and reply.slates.items.tolist() == plain.items.tolist()
    assert not any("predicted" in item for item in reply.trace[0].items)


def test_a_ranker_that_fails_is_left_out_of_an_answer_and_the_trace_says_so(shop: Dataset):
    model = Cascade({"often": Source(retriever=Popular())}, ranking=Ranking(ranker=Broken(True))).fit(shop)
    reply = model.respond(asked(shop, [4], k=6))
    rank = next(stage for stage in reply.trace[0].stages if stage.name == "rank")
    assert (reply.slates.items >= 0).all() and "the ranker lost its table" in rank.facts["left_out"]
    assert "the ranker is missing" in rank.said
    with pytest.raises(InterplayError, match="lost its table"):
        model.retrieve(asked(shop, [4], k=6), 6)


def test_an_optional_ranker_without_its_outcomes_is_left_out_and_stays_so_when_it_is_kept(shop: Dataset, tmp_path):
    bare = Dataset(name="bare", users=shop.users, items=shop.items, events=shop.events, catalogue=shop.catalogue)
    fitted = Fitted.cooked(Recipe.parse(RECIPE, name="shop.toml"), bare)
    assert RANKER in fitted.model.left_out
    fitted.save(tmp_path / "model")
    reply = Fitted.load(tmp_path / "model").model.respond(asked(bare, [4], k=6))
    assert (reply.slates.items >= 0).all() and "left_out" in reply.trace[0].stages[2].facts
    with pytest.raises(InterplayError):
        Recipe.parse(RECIPE.replace("optional = true", "")).build().fit(bare)
    with pytest.raises(BadSetting, match=r"ranker\.order"):
        Recipe.parse(RECIPE.replace("order = 0.4", "order = -1")).build()


class Counting(Broken):
    """Sees how many compute at the same time."""

    now = most = 0

    def rank(self, requests: Requests, slates: Slates, features: object) -> Slates:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.02)  # lets every other thread go on, as a network's calls do
        self.now -= 1
        return slates


def test_one_network_computes_at_a_time_however_many_answer(shop: Dataset):
    ranker = Counting()
    model = Cascade({"often": Source(retriever=Popular())}, ranking=Ranking(ranker=ranker)).fit(shop)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda user: model.respond(asked(shop, [user], k=6)), range(8)))
    assert all((r.slates.items >= 0).all() for r in replies) and ranker.most == 1
