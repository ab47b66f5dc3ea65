"""A log whose truth is known: pages of the market's things, shown by a policy whose chances are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl

from interplay.data.store.happened import Happened
from interplay.data.store.impressions import keep
from interplay.data.store.snapshot import adopt, snapshot
from interplay.data.store.store import Store
from interplay.estimating import Asked, Wanted
from interplay.traffic import Traffic
from interplay.worlds.market import Market, market

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


def truth(store: Store, policy: str | Wanted, places: int, traffic: Traffic | None = None) -> float:
    """Clicks a page on the first places that a candidate would truly earn at the logged moments."""
    traffic = traffic or Traffic.of(store, snapshot(store, shown=True), "click")
    asked = Asked.of(store, policy, traffic, seed=0, progress=lambda stage, facts: None)
    requests, draws, model = asked.requests(traffic), np.random.default_rng(0), asked.fitted.model
    told = []
    for _ in range(5 if hasattr(model, "chances") else 1):
        drawn = draws.integers(0, 1 << 62, len(requests)).astype(np.uint64)
        page = model.retrieve(replace(requests, draw=drawn), PLACES).items
        told.append(small().truth.click_probability(requests.user, page)[:, :places].sum(axis=1).mean())
    return float(np.mean(told))
