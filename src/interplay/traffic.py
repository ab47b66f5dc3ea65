"""The pages of a log that can be asked again: who was shown what, by what chance, and what came of it.

What cannot be used is left out and counted in the notes: answers to searches, pages without chances, pages that show
the same thing twice. Where nothing is left, what is missing is named.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from interplay.data.pages import Pages
from interplay.data.store import schema as t
from interplay.data.store.snapshot import Snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, Undecidable, UnknownName, nearest
from interplay.types import Array, Dataset

SLICE = 0.5  # the newest share of the pages, on which candidates are judged


@dataclass(frozen=True, kw_only=True, eq=False)
class Traffic:
    """Logged pages that can be asked again, with what is older than all of them to learn from."""

    dataset: Dataset  # the whole log
    older: Dataset  # events before the first of these pages
    pages: Pages  # as single lines
    steps: Array  # float64[n, k]: the logged chance of each item given those above it
    reward: str
    loggers: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def items(self) -> Array:
        """int32[n, k]"""
        return self.pages.items[:, 0]

    @staticmethod
    def of(store: Store, taken: Snapshot, reward: str, *, share: float, most: int | None) -> Traffic:
        """The newest pages of the log that were answers to feeds and whose chances are known."""
        data, events = taken.dataset, taken.dataset.events
        if "impressions" not in data.tables:
            raise BadData(
                f"{store.database.said} holds no impressions, so nothing is known of what was shown; serve from it, or "
                "ingest a file of impressions"
            )
        if reward not in events.kinds:
            close = nearest(reward, events.kinds)
            raise UnknownName(
                f"the log has no events of type {reward!r}; "
                + (f"nearest: {close}" if close else f"it has {events.kinds}")
            )
        shown, notes = data.tables["impressions"], []
        special = _special(store)
        plain = shown.filter(~pl.col("request_id").is_in(list(special)))
        if len(plain) < len(shown):
            left = shown["request_id"].n_unique() - plain["request_id"].n_unique()
            notes.append(f"{left:,} pages answered searches or had rules of their own and are left out")
        if not len(plain):
            raise Undecidable(
                "every logged page answered a search or had rules of its own; no feed is left to ask again"
            )
        pages = Pages.of(replace(data, tables={"impressions": plain}), (reward,)).line()
        assert pages.at is not None
        order = np.argsort(pages.at, kind="stable")
        cut = len(order) - (round(share * len(order)) if most is None else min(most, round(share * len(order))))
        pages = pages.take(order[cut:])
        by = dict(zip(plain["request_id"].to_list(), plain["policy"].to_list(), strict=True))
        whose = np.array([by[request] for request in pages.request or ()])
        held = pages.items[:, 0] >= 0
        p = np.full(held.shape, np.nan) if pages.propensity is None else pages.propensity[:, 0]
        known = np.logical_not((np.isnan(p) & held).any(axis=1))
        if not known.any():
            listed = _listed(whose)
            raise Undecidable(
                f"the log does not say by what chance anything was shown: propensities are missing for {listed}. Serve "
                "with an exploring recipe ([explore]), whose chances are logged"
            )
        if not known.all():
            notes.append(f"{int((~known).sum()):,} pages lack propensities and are left out: {_listed(whose[~known])}")
        pages, p = pages.take(known), p[known]
        loggers = Counter(whose[known].tolist())
        if "" in loggers:
            raise Undecidable(
                f"{loggers['']:,} pages do not say which policy showed them; a log is judged by policies that are known"
            )
        assert pages.at is not None
        first = int(pages.at.min())
        older = data.where(events.time < first) if events.time is not None else data
        return Traffic(
            dataset=data, older=older, pages=pages, steps=np.where(pages.items[:, 0] >= 0, p, 1.0), reward=reward,
            loggers=dict(loggers), notes=tuple(notes),
        )  # fmt: skip

    def take(self, rows: Array) -> Traffic:
        return replace(self, pages=self.pages.take(rows), steps=self.steps[rows])

    @property
    def who(self) -> Array:
        """int64[n]: whose page it was; every stranger is somebody else."""
        user = np.asarray(self.pages.user, np.int64)
        return np.where(user >= 0, user, -1 - np.arange(len(user)))

    def halves(self) -> list[Traffic]:
        """The pages of two halves of the people, by a hash of the person."""
        drawn = [
            hashlib.blake2b(str(w).encode(), digest_size=1, key=b"halves").digest()[0] & 1 for w in self.who.tolist()
        ]
        return [self.take(np.flatnonzero(np.array(drawn) == half)) for half in (0, 1)]


def _listed(policies: Array) -> str:
    """The policies that showed the most of these pages."""
    return ", ".join(f"{name} ({n:,} pages)" for name, n in Counter(policies.tolist()).most_common(5))


def _special(store: Store) -> set[str]:
    """Answers that a feed would not have given: to a query, about an item, with rules or a history of their own."""
    c = t.traces.c
    with store.database.read() as connection:
        rows = connection.execute(sa.select(c.request_id, c.body).where(store.mine(t.traces)))
        return {request_id for request_id, body in rows if _own_rules(json.loads(zlib.decompress(body)))}


def _own_rules(told: Mapping[str, Any]) -> bool:
    asked = told.get("asked") or {}
    own = (
        "item",
        "query",
        "history",
        "where",
        "allow",
        "exclude",
        "facets",
        "masks",
        "boosts",
        "wishes",
        "arrangement",
    )
    return bool(told.get("query")) or any(asked.get(name) for name in own)
