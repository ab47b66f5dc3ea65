"""A bench of the operator's question: what a recipe would have earned on a store's log, beside what is true.

A shop of the market serves an exploring recipe to its people; pages, chances and clicks go into a store, and
`estimating.estimate` is asked about other recipes as `interplay estimate` and `/v1/estimates` ask it. The truth is the
mean true chance of a click on the pages that the candidate would show the same people at the same moments. A recipe
that shows what the log never tried must be refused: then `told` is 0 and the sentence is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from interplay.benches import Bench, Entry
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import keep
from interplay.data.store.snapshot import load, snapshot
from interplay.data.store.store import Store
from interplay.errors import Undecidable
from interplay.estimating import Asked, Wanted, estimate
from interplay.fitted import Fitted
from interplay.recipe import Recipe
from interplay.traffic import Traffic, Window
from interplay.types import Array, Requests, RuleSet, Run
from interplay.worlds.market import Market, market

PAGES, PLACES, DRAWS = 20_000, 5, 5
SHOWN = RuleSet(withhold_seen=False)  # things come back
EVERY = 30_000_000  # microseconds between two pages
LOGGER = """
[source.popular]
system = "popular"
[explore]
system = "epsilon-greedy"
pool = 20
epsilon = 0.5
[serving]
withhold = "nothing"
"""
RECIPES: Mapping[str, str] = {
    "bolder": LOGGER.replace("0.5", "0.8"),
    "timid": LOGGER.replace("0.5", "0.2"),
    "certain": LOGGER[: LOGGER.index("[explore]")] + LOGGER[LOGGER.index("[serving]") :],
    "taste": '[source.taste]\nsystem = "item-knn"\n',
    "untried": '[source.untried]\nsystem = "ials"\n',
}


@cache
def logged(seed: int) -> tuple[Market, Store]:
    """A market, and a store with its past and with the pages that the logger showed after it."""
    made = market(seed=seed, n_items=150, n_people=800, days=10)
    data, rng = made.dataset, np.random.default_rng(seed)
    store = Store.open()
    load(store, data)
    assert data.events.time is not None
    shop = Fitted.cooked(Recipe.parse(LOGGER, name="logger.toml"), data, run=Run(seed=seed))
    user = rng.integers(0, data.n_users, PAGES).astype(np.int32)
    at = int(data.events.time.max()) + EVERY * (1 + np.arange(PAGES))
    draw = rng.integers(0, 1 << 62, PAGES).astype(np.uint64)
    asked = Requests(user=user, history=data.histories(user), at=at, draw=draw, k=PLACES, rules=SHOWN)
    slates = shop.model.retrieve(asked, PLACES)
    clicked = rng.random(slates.items.shape) < made.truth.click_probability(user, slates.items)
    keep(store, pl.DataFrame({
        "request_id": np.repeat([f"q{i}" for i in range(PAGES)], PLACES), "timestamp": np.repeat(at, PLACES),
        "user_id": [data.users[u] for u in np.repeat(user, PLACES).tolist()], "policy": "logger.toml",
        "slot": np.tile(np.arange(PLACES), PAGES), "item_id": [data.items[i] for i in slates.items.ravel().tolist()],
        "propensity": np.asarray(slates.columns["propensity"], np.float64).ravel(),
    }))  # fmt: skip
    row, place = np.nonzero(clicked)
    store.append([
        Happened(event_id=f"e{i}-{j}", user_id=data.users[user[i]], item_id=data.items[slates.items[i, j]],
                 event_type="click", time=int(at[i]) + 1, request_id=f"q{i}")
        for i, j in zip(row.tolist(), place.tolist(), strict=True)
    ])  # fmt: skip
    return made, store


def truth(made: Market, asked: Asked, traffic: Traffic, places: int, seed: int) -> float:
    """Clicks a page on the first places, had the candidate filled them."""
    rng, told = np.random.default_rng(seed + 1), []
    requests = asked.requests(traffic)
    for _ in range(DRAWS):
        drawn = rng.integers(0, 1 << 62, len(requests)).astype(np.uint64)
        pages: Array = asked.fitted.model.retrieve(replace(requests, draw=drawn), PLACES).items
        told.append(made.truth.click_probability(requests.user, pages)[:, :places].sum(axis=1).mean())
    return float(np.mean(told))


def _asked(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    made, store = logged(seed)
    name = entry.label
    wanted, window = Wanted(name=f"{name}.toml", recipe=Recipe.parse(RECIPES[name], name=f"{name}.toml")), Window()
    metrics, said = {"told": 0.0}, ""
    try:
        one = estimate(store, [wanted], window=window, seed=seed)[0]
    except Undecidable as refusal:
        said = str(refusal)
    else:
        traffic = Traffic.of(store, snapshot(store, shown=True), "click", window)
        asked = Asked.of(store, wanted, traffic, seed=seed, progress=lambda stage, facts: None)
        true, said = truth(made, asked, traffic, one.places, seed), one.said
        metrics = {
            "told": 1.0, "places": float(one.places), "estimate": one.value, "low": one.interval.low,
            "high": one.interval.high, "truth": true, "inside": float(one.interval.low < true < one.interval.high),
            "error": abs(one.value - true) / true, "logged": one.logged, "effective": one.effective,
        }  # fmt: skip
    return {
        "metrics": metrics,
        "protocol": {
            "judged": f"Clicks on the first `places` of a page, {PAGES // 2:,} pages of {PLACES} that a shop with "
            "epsilon-greedy (.5 over the 20 most popular of 150 things) showed 800 people; each recipe is fitted on "
            f"what is older. `truth` is the mean true chance of a click on the recipe's own pages ({DRAWS} draws)",
        },
        "facts": {"said": said},
    }  # fmt: skip


RECIPE_BENCHES: Mapping[str, Callable[[Bench, Entry, int], dict[str, Any]]] = {"offpolicy-recipes": _asked}
