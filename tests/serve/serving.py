"""A small invented shop, the same every time: what the service's tests ask and the browser looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Ranking, Source
from interplay.fitted import built as system
from interplay.models.counts import Popular, Trending
from interplay.serve.engine import Engine
from interplay.types import Dataset, Events, Ids, Run

DAY = 86_400_000_000
NOW = 1_700_000_000_000_000
KINDS = {"lamp": "Lamps", "tea": "Teas", "book": "Books", "tool": "Tools"}
NOUNS = {
    "lamp": ("reading lamp", "lantern", "night light"), "tea": ("green tea", "smoked tea", "chai"),
    "book": ("novel", "poems", "atlas"), "tool": ("plane", "gauge", "shears"),
}  # fmt: skip
NAMES = (
    "Pebble", "Heron", "Moon", "Wren", "Harbour", "Ripple", "Estuary", "Kite", "Otter", "Lichen", "Thistle", "Juniper",
    "Marsh", "Cinder", "Ember",
)  # fmt: skip


def shop(n_items: int = 160, n_users: int = 60, *, catalogue: bool = True, times: bool = True) -> Dataset:
    """People who each prefer one kind of thing; item i is of kind i % 4."""
    rng = np.random.default_rng(0)
    kinds = [list(KINDS)[i % 4] for i in range(n_items)]
    users, items = [], []
    for user in range(n_users - 1):  # the last one has no events
        own = np.arange(user % 4, n_items, 4)
        liked = rng.choice(own, min(8, len(own)), replace=False)
        other = rng.choice(n_items, min(3, n_items), replace=False)
        touched = rng.permutation(np.concatenate([liked, other]))
        users += [user] * len(touched)
        items += touched.tolist()
    time = NOW - DAY * 3 + np.arange(len(users)) * 60_000_000
    frame = pl.DataFrame({
        "item_id": [f"{kind}-{i}" for i, kind in enumerate(kinds)],
        "title": [f"{NAMES[i % 15]} {NOUNS[k][i // 4 % 3]}, no. {i}" for i, k in enumerate(kinds)],
        "text": [f"A {NOUNS[k][i // 4 % 3]} for slow evenings, made by hand." for i, k in enumerate(kinds)],
        "categories": [[KINDS[k], NOUNS[k][i // 4 % 3].capitalize()] for i, k in enumerate(kinds)],
        "kind": kinds, "maker": [f"{NAMES[i // 4 % 15]} Works" for i in range(n_items)],
        "price": [float(5 + i * 7 % 60) for i in range(n_items)],
        "mood": [("calm", "warm", "dark")[i % 3] for i in range(n_items)],
    })  # fmt: skip
    return Dataset(
        name="shop", users=Ids([f"u{i}" for i in range(n_users)]), items=Ids(frame["item_id"].to_list()),
        events=Events(
            user=np.array(users, np.int32), item=np.array(items, np.int32), time=time if times else None, ordered=True,
            kind=np.zeros(len(users), np.int16), kinds=("click",),
        ),
        catalogue=frame if catalogue else None,
    )  # fmt: skip


def built(dataset: Dataset, **more: object) -> Engine:
    """An engine over popular and trending items, at the end of the log."""
    sources = {"popular": Source(retriever=Popular(), says="What most people touched")}
    if dataset.events.time is not None:
        sources["trending"] = Source(retriever=Trending(), says="What people touch of late")
    return Engine(dataset, Cascade(sources).fit(dataset), clock=lambda: NOW, **more)  # type: ignore[arg-type]


def judged(ranker: str = "aw-moe", **more: object) -> Engine:
    """The shop with ratings, its feed ordered by a ranker that says what it looked at."""
    dataset = shop()
    own = dataset.events.item % 4 == dataset.events.user % 4
    dataset = replace(dataset, events=replace(dataset.events, value=np.where(own, 5, 1).astype(np.float32)))
    told = {"tasks": {"like": ">=4"}, "descent": {"epochs": 2, "batch": 128}, "explained": 2}
    cascade = Cascade(
        {"popular": Source(retriever=Popular(), says="What most people touched")},
        ranking=Ranking(ranker=system(ranker, told), name=ranker),
    ).fit(dataset, run=Run(seed=0))  # fmt: skip
    return Engine(dataset, cascade, clock=lambda: NOW, **more)  # type: ignore[arg-type]
