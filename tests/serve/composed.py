"""The small shop with an arranger that composes its feeds: learnt in a moment, and trusted whatever so little says."""

from __future__ import annotations

from functools import cache
from typing import Any

from serving import NOW, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.page import PageConfig
from interplay.cascade.parts import Arranging, CascadeConfig, Manner, Source
from interplay.configure import configured
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.models.counts import Popular, Trending
from interplay.models.pages import Pages, PagesConfig
from interplay.serve.engine import Engine

LEARNT: dict[str, Any] = {"dim": 8, "descent": {"epochs": 1}}
SMALL: dict[str, Any] = {
    "places": 12, "pool": 40, "dim": 8, "moments": 600, "folds": 2, "reward": LEARNT,
    "policy": {**LEARNT, "rounds": 1, "pages": 32}, "doubts": False,
    "rails": {"shelves": 6, "tried": 3, "pool": 80, "reward": LEARNT, "policy": {**LEARNT, "rounds": 1, "pages": 32}},
}  # fmt: skip


@cache
def cascade() -> Cascade:
    sources = {
        "popular": Source(retriever=Popular(), says="What most people touched"),
        "trending": Source(retriever=Trending(), says="What people touch of late"),
    }
    page = PageConfig(variety="mmr", likeness="categories")
    return Cascade(
        sources, config=CascadeConfig(feed=Manner(page=page)), steer=Steer(SteerConfig(vectors=False)),
        arranging=Arranging(arranger=Pages(configured(PagesConfig, SMALL)), name="pagellm"),
    ).fit(shop())  # fmt: skip


def composed() -> Engine:
    """An engine of its own store over the one fitted cascade."""
    return Engine(shop(), cascade(), clock=lambda: NOW)
