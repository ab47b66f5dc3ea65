"""The bench `market-beliefs`: what a policy believes of things of the market's feeds, learnt from some pages or all.

A belief learns from feeds of the training part (global time) and is asked of every thing that was seen on the feeds of
the validation part, as of the moment of its page. Its order is by what it holds a thing to be worth at the first place,
as when it chooses; its log loss is of the chance at the place where the thing stood.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from interplay.data.pages import Pages
from interplay.data.split import split
from interplay.experiment import dataset
from interplay.fitted import built
from interplay.metrics import auc, gauc, logloss
from interplay.models.bandits import Items, Logistic
from interplay.types import TRAIN, VALID, Array, Run

SURFACE = "feed"
SURE = 1e-3  # no chance is held to be nearer to 0 or 1


def beliefs(entry: Any, seed: int) -> dict[str, Any]:
    """One belief on the feeds of one market."""
    data = dataset(f"market:{seed}")
    parts = split(data, "time")
    assert data.events.time is not None
    first, last = (int(data.events.time[parts.part == part].max()) for part in (TRAIN, VALID))
    begun = time.perf_counter()
    policy = built(entry.system, {**entry.settings, "surface": SURFACE}).fit(parts.fitted("train"), run=Run(seed=seed))
    spent = time.perf_counter() - begun
    shown = data.tables["impressions"].filter(
        (pl.col("surface") == SURFACE) & pl.col("timestamp").is_between(first, last, closed="right")
    )
    line = Pages.of(replace(data, tables={"impressions": shown})).line()
    asked, items = line.requests(data), line.items[:, 0]
    page, place = np.nonzero(items >= 0)
    x = policy.scene.of_items(policy.scene.past(asked.history), items)[page, place]
    thing, clicked = items[page, place], line.clicked[:, 0][page, place].astype(np.int64)
    believed = policy.belief.mean(x, thing)
    rate = np.full(len(clicked), clicked.mean())
    return {
        "metrics": {
            "auc": auc(clicked, believed), "within": gauc(page, clicked, believed),
            "logloss": logloss(clicked, foretold(policy.belief, x, thing, place)),
            "constant": logloss(clicked, rate), "doubt": float(policy.belief.doubt(x, thing).mean()), "fit": spent,
        },
        "protocol": {
            "market": "Markets of 2,000 people and 5,000 things, another with each seed, split by time; a belief is "
            "asked of what was seen on the feeds of the validation part",
        },
        "facts": {"pages": policy.fitted["pages"], "judged": len(line), "seen": len(clicked)},
    }  # fmt: skip


def foretold(belief: Any, x: Array, items: Array, place: Array) -> Array:
    """float64[m]: the chance of a click on each thing at its place (from 0), by the belief's mean."""
    if isinstance(belief, Items):
        clicks, trials = belief.arrays["places"].T
        looked = (clicks + 1) / (trials + 20)
        chance = belief.mean(x, items) * np.minimum(looked / looked[0], 1.0)[np.minimum(place, len(looked) - 1)]
    else:
        chance = np.column_stack([x, np.log2(1 + place)]) @ belief.weights
        chance = 1 / (1 + np.exp(-chance)) if isinstance(belief, Logistic) else chance
    return np.clip(chance, SURE, 1 - SURE)
