"""The market: the same from the same seed, honest about its propensities, silent about its truth."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.errors import BadSetting
from interplay.types import Reply, Slates
from interplay.worlds.market import BUY, CART, CLICK, KEEP, LAST_MIDNIGHT, market
from interplay.worlds.people import DAY
from interplay.worlds.shop import Shop
from interplay.worlds.truth import Truth, draws, keyed


@pytest.fixture(scope="module")
def made():
    return market(seed=1, n_items=400, n_people=150, days=20)


def test_the_same_seed_makes_the_same_market(made):
    again, other = market(1, 400, 150, 20), market(2, 400, 150, 20)
    assert again.dataset.fingerprint == made.dataset.fingerprint != other.dataset.fingerprint
    assert again.dataset.catalogue.equals(made.dataset.catalogue)
    for name, table in made.dataset.tables.items():
        assert table.equals(again.dataset.tables[name])


def test_titles_are_distinct_and_columns_are_complete(made):
    wares = made.dataset.catalogue
    assert wares["title"].n_unique() > 0.95 * len(wares) and wares["item_id"].n_unique() == len(wares) == 400
    assert wares["kind"].n_unique() == 12 and (wares["price"] >= 1.5).all() and wares["text"].str.len_chars().min() > 10
    assert wares.null_count().select(pl.exclude("genre")).sum_horizontal().item() == 0
    assert list(made.dataset.items) == wares["item_id"].to_list()


def test_events_are_in_order_and_inside_the_days(made):
    e = made.dataset.events
    same = e.user[1:] == e.user[:-1]
    assert (np.diff(e.user) >= 0).all() and (np.diff(e.time)[same] >= 0).all()
    assert e.time.min() >= LAST_MIDNIGHT - 20 * DAY and e.time.max() < LAST_MIDNIGHT
    added = made.dataset.catalogue["added"].to_numpy()
    clicks = e.kind == e.kinds.index("click")
    assert (added[e.item[clicks]] <= e.time[clicks]).all()
    assert (e.value[e.kind == e.kinds.index("rate")] >= 1).all() and (
        e.value[e.kind == e.kinds.index("rate")] <= 5
    ).all()


def test_every_purchase_was_clicked_on_a_page_that_showed_it(made):
    e, shown = made.dataset.events, made.dataset.tables["impressions"]
    pairs = set(
        zip(shown["request_id"].to_list(), made.dataset.items.index(shown["item_id"].to_list()).tolist(), strict=True)
    )
    assert set(zip(e.context["request_id"].tolist(), e.item.tolist(), strict=True)) <= pairs
    keys = lambda kind: set(zip(e.context["request_id"][e.kind == kind], e.item[e.kind == kind], strict=True))
    assert keys(BUY) <= keys(CART) <= keys(CLICK) and keys(KEEP) <= keys(CLICK) and len(keys(BUY)) > 20


def test_propensities_are_chances_of_a_policy_that_sums_to_one(made):
    shown = made.dataset.tables["impressions"]
    assert shown["propensity"].is_between(0, 1 + 1e-9).all() and (shown["propensity"] > 0).all()
    wares = made.dataset.catalogue
    shop = Shop(wares, made.facets, 150, 1)
    shop.open(LAST_MIDNIGHT)
    visits = made.crowd.come(0, 0, 0)
    everything = np.tile(np.arange(len(wares)), (len(visits), 1))
    np.testing.assert_allclose(shop.chances(visits, everything).sum(axis=1), 1.0, atol=1e-9)
    page = shop.page(visits, 10)
    assert all(len(set(row)) == 10 for row in page.items.tolist())
    first, second = page.propensity[:, 0], page.propensity[:, 1]
    q = shop.chances(visits, page.items)
    np.testing.assert_allclose(first, q[:, 0])
    np.testing.assert_allclose(second, q[:, 1] / (1 - q[:, 0]))


def test_items_are_drawn_as_often_as_the_propensity_says():
    made = market(seed=4, n_items=30, n_people=5, days=3)
    shop, n = Shop(made.dataset.catalogue, made.facets, 5, 9), 20000
    shop.open(LAST_MIDNIGHT)
    one = next(v for v in (made.crowd.come(day, 0, 0) for day in range(99)) if len(v)).take(np.zeros(n, np.int64))
    none = np.full(n, -1, np.int64)
    visits = replace(one, session=np.arange(n), asked=none, target=none)
    page = shop.page(visits, 3)
    often = np.bincount(page.items[:, 0], minlength=30) / n
    expected = shop.chances(visits.take(np.arange(1)), np.arange(30)[None])[0]
    assert (np.abs(often - expected) < 5 * np.sqrt(expected * (1 - expected) / n)).all()
    inverse = np.bincount(page.items[:, 1], 1 / page.propensity[:, 1], minlength=30) / n  # 1 less the chance of slot 0
    assert np.abs(inverse - (1 - expected)).max() < 0.15


def test_nothing_true_is_in_what_models_see(made):
    d = made.dataset
    assert set(d.catalogue.columns) == {
        "item_id", "title", "text", "categories", "kind", "maker", "price", "mood", "genre", "form", "colour",
        "material", "traits", "added",
    }  # fmt: skip
    assert d.people.columns == ["user_id", "name"] and set(d.events.context) == {"request_id", "query_id", "surface"}
    assert set(d.tables) == {"impressions", "queries", "qrels", "baskets"} and not d.vectors
    assert d.tables["queries"].columns == ["query_id", "text", "user_id", "timestamp", "request_id"]
    assert d.tables["impressions"].columns == [
        "request_id", "user_id", "timestamp", "policy", "candidate_hash", "row", "slot", "item_id", "propensity",
        "temperature", "explored", "seen", "surface",
    ]  # fmt: skip


def test_clicks_fall_with_the_place_as_the_examination_says(made):
    d, k = made.dataset, 10
    shown = d.tables["impressions"]
    e = d.events
    place = (shown["row"].to_numpy() * 5 + shown["slot"].to_numpy()).astype(int)
    clicked = pl.DataFrame({"request_id": e.context["request_id"], "item_id": pl.Series(d.items.names).gather(e.item)})
    clicked = clicked.filter(pl.Series(e.kind == CLICK)).with_columns(clicked=pl.lit(1))
    hits = (
        shown.join(clicked, on=["request_id", "item_id"], how="left", maintain_order="left")["clicked"]
        .is_not_null()
        .to_numpy()
    )
    rate = np.bincount(place, hits, k) / np.bincount(place, minlength=k)
    assert rate[0] > rate[2] > rate[4] and rate[5] > rate[9] and rate[0] > 1.2 * rate[5]
    assert (Truth.examination(k)[:5] > Truth.examination(k)[1:6]).tolist() == [True, True, True, True, False]


def test_taste_that_is_known_predicts_clicks_better_than_popularity(made):
    e, truth = made.dataset.events, made.truth
    clicks = np.flatnonzero(e.kind == CLICK)
    others = (draws(keyed(0, "others", clicks), 0, 20) * 400).astype(int)
    wanted = truth.wants(e.user[clicks], np.column_stack([e.item[clicks], others]), 10.0)
    counts = np.bincount(e.item[clicks], minlength=400)
    popular = counts[np.column_stack([e.item[clicks], others])]
    auc = lambda s: float(((s[:, :1] > s[:, 1:]) + 0.5 * (s[:, :1] == s[:, 1:])).mean())
    assert auc(wanted) > 0.75 and auc(wanted) > auc(popular)


def test_a_judge_can_ask_for_the_best_items_and_the_value_of_a_slate(made):
    users, truth = np.arange(40), made.truth
    best = truth.best(users, 10, day=5.0)
    chance = truth.click_probability(users, best, 5.0)
    other = truth.click_probability(users, np.tile(np.arange(10), (40, 1)), 5.0)
    assert chance.shape == (40, 10) and chance.sum() > 2 * other.sum() and chance.max() < 1
    wanted = truth.utility(users, day=5.0)
    np.testing.assert_allclose(np.take_along_axis(wanted, best, 1)[:, 0], wanted.max(axis=1), rtol=1e-5)
    assert truth.click_probability(users, np.full((40, 3), -1), 0.0).sum() == 0


def test_queries_are_about_what_their_writers_meant(made):
    d = made.dataset
    queries = d.tables["queries"].join(made.meant, on="query_id")
    assert len(queries) == len(d.tables["queries"]) > 50 and queries["text"].str.len_chars().min() > 2
    assert (
        set(d.tables["qrels"]["query_id"]) <= set(queries["query_id"])
        and d.tables["qrels"]["relevance"].is_between(1, 3).all()
    )
    clicked = d.tables["qrels"].join(queries.select("query_id", meant="item_id"), on="query_id")
    assert (clicked["item_id"].str.slice(0, 3) == clicked["meant"].str.slice(0, 3)).mean() > 0.8  # the same kind


def test_a_market_that_cannot_be_is_refused():
    with pytest.raises(BadSetting, match="10 items"):
        market(0, 3, 10, 5)


def shown(requests, items) -> Reply:
    items = np.asarray(items, np.int32)
    return Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32)))


def walked(made, choose, seed=0, days=4):
    """The world walked to its end under `choose(requests) -> items`; events of every step."""
    world, log = made.world(n=60, days=days), []
    requests = world.reset(seed)
    while requests is not None and len(requests):
        events, requests = world.step(shown(requests, choose(requests)))
        log.append(events)
    return world, log


def test_people_walk_on_after_the_log_the_same_way_each_time(made):
    best = lambda requests: made.truth.best(requests.user, 10, day=21.0)
    a, log = walked(made, best)
    b, again = walked(made, best)
    assert a.tally == b.tally and len(log) == len(again) and a.tally["clicks"] > 10
    for one, two in zip(log, again, strict=True):
        np.testing.assert_array_equal(one.item, two.item)
    assert all((e.time >= LAST_MIDNIGHT).all() for e in log)


def test_a_better_policy_gets_more_clicks(made):
    good, _ = walked(made, lambda requests: made.truth.best(requests.user, 10, day=21.0))
    poor, _ = walked(made, lambda requests: np.tile(np.arange(10), (len(requests), 1)))
    rate = lambda world: world.tally["clicks"] / world.tally["pages"]
    assert rate(good) > 1.5 * rate(poor)


def test_requests_carry_what_was_done_here_and_nothing_later(made):
    world = made.world(n=60, days=3)
    requests, live = world.reset(1), 0
    while requests is not None:
        history = requests.history
        assert (history["time"] <= np.repeat(requests.at, history.lengths)).all()
        live += int((history["time"] >= LAST_MIDNIGHT).sum())
        _, requests = world.step(shown(requests, made.truth.best(requests.user, 10, day=21.0)))
    assert live > 0


def test_people_do_not_depend_on_who_else_is_there(made):
    many, few = made.crowd.come(30, 0, 0), made.crowd.come(30, 0, 0, np.arange(50))
    both = np.isin(many.user, few.user)
    np.testing.assert_array_equal(many.user[both], few.user)
    np.testing.assert_array_equal(many.time[both], few.time)
    assert many.text[both].tolist() == few.text.tolist()


def test_a_reply_that_fits_nobody_is_refused(made):
    world = made.world(n=40, days=2)
    requests = world.reset(0)
    with pytest.raises(BadSetting, match="answer every request"):
        world.step(shown(requests, np.zeros((len(requests) + 1, 10))))
    with pytest.raises(BadSetting, match="does not sell"):
        world.step(shown(requests, np.full((len(requests), 10), 400)))


def test_padded_and_empty_slates_are_looked_at_without_a_click(made):
    world = made.world(n=40, days=1)
    requests = world.reset(0)
    events, _ = world.step(shown(requests, np.full((len(requests), 10), -1)))
    assert len(events) == 0
