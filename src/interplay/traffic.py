"""The pages of a log that can be asked again: who was shown what, by what chance, and what came of it.

What cannot be used is left out and counted in the notes: answers to searches, pages of which nobody says whose they
are, pages without chances, pages that show the same thing twice, pages that were never on a screen, and those shown
after the last event of the log. Where nothing is left, what is missing is named.
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
from interplay.errors import BadData, BadSetting, Undecidable, UnknownName, nearest
from interplay.types import Array, Dataset, Events

SLICE = 0.5  # the newest share of the pages, on which candidates are judged


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of the log is asked: times in microseconds UTC, or its newest share."""

    share: float = SLICE  # the newest share of the pages; all from `since` on where that is given
    most: int | None = None  # at most so many pages, the newest
    since: int | None = None
    until: int | None = None
    days: float | None = None  # in the place of `since`: the last so many days of the log

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadSetting(f"the share is {self.share}; expected part of the log's pages, above 0 and at most 1")
        if self.most is not None and self.most < 1:
            raise BadSetting(f"most is {self.most}; expected how many pages to use, 1 or more")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise BadSetting("the window ends before it begins; expected `since` earlier than `until`")
        if self.days is not None and (self.since is not None or self.days <= 0):
            raise BadSetting("a window has `since` or `days`, and days are above 0")

    def of(self, at: Array) -> Array:
        """int64: the pages inside, by their moments, oldest first."""
        order = np.argsort(at, kind="stable")
        since, until = self.since, int(at.max(initial=0)) if self.until is None else self.until
        if self.days is not None:
            since = int(at.max(initial=0) - self.days * 86_400e6)
        order = order[(at[order] >= (since or 0)) & (at[order] <= until)]
        n = round(self.share * len(order)) if since is None else len(order)
        return order[len(order) - (n if self.most is None else min(self.most, n)) :]


@dataclass(frozen=True, kw_only=True, eq=False)
class Traffic:
    """Logged pages that can be asked again, with what is older than all of them to learn from."""

    dataset: Dataset  # the whole log
    older: Dataset  # events before the first of these pages
    pages: Pages  # as single lines
    steps: Array  # float64[n, k]: the logged chance of each item given those above it
    policy: Array  # str[n]: who showed it
    reward: str
    notes: tuple[str, ...]

    @property
    def items(self) -> Array:
        """int32[n, k]"""
        return self.pages.items[:, 0]

    @property
    def loggers(self) -> dict[str, int]:
        """Policy -> pages."""
        return dict(Counter(self.policy.tolist()))

    @property
    def since(self) -> int:
        """The moment of the first of these pages."""
        assert self.pages.at is not None
        return int(self.pages.at.min())

    @staticmethod
    def of(store: Store, taken: Snapshot, reward: str, window: Window = Window()) -> Traffic:
        """The pages of a window that were answers to feeds and whose chances are known."""
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
        plain, notes = _plain(store, data.tables["impressions"])
        plain, more = _answered(plain, events)
        notes += more
        if not len(plain):
            raise Undecidable(
                f"no logged page is left to ask again: {'; '.join(notes)}. Ask once people have done more"
            )
        pages = Pages.of(replace(data, tables={"impressions": plain}), (reward,)).line()
        assert pages.at is not None
        inside = window.of(pages.at)
        if not len(inside):
            raise Undecidable("no page of the log lies in this window; look at another one")
        pages = pages.take(inside)
        by = dict(zip(plain["request_id"].to_list(), plain["policy"].to_list(), strict=True))
        whose = np.array([by[request] for request in pages.request or ()], dtype=object)
        held = pages.items[:, 0] >= 0
        p = np.full(held.shape, np.nan) if pages.propensity is None else pages.propensity[:, 0]
        known = np.logical_not((np.isnan(p) & held).any(axis=1))
        if not known.any():
            raise Undecidable(
                f"the log does not say by what chance anything was shown: propensities are missing for "
                f"{_listed(whose)}. Serve with an exploring recipe ([explore]), whose chances are logged"
            )
        if not known.all():
            notes.append(f"{int((~known).sum()):,} pages lack propensities and are left out: {_listed(whose[~known])}")
        pages, p, whose = pages.take(known), p[known], whose[known]
        assert pages.at is not None
        older = data.where(events.time < int(pages.at.min())) if events.time is not None else data
        return Traffic(
            dataset=data, older=older, pages=pages, steps=np.where(pages.items[:, 0] >= 0, p, 1.0), policy=whose,
            reward=reward, notes=tuple(notes),
        )  # fmt: skip

    def take(self, rows: Array) -> Traffic:
        return replace(self, pages=self.pages.take(rows), steps=self.steps[rows], policy=self.policy[rows])

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


def _plain(store: Store, shown: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Pages that a feed gives to anybody, by a policy that is named, and that show everything once; and how many are
    none."""
    notes: list[str] = []

    def without(told: pl.DataFrame, odd: list[str], said: str, mend: str) -> pl.DataFrame:
        left = told.filter(~pl.col("request_id").is_in(odd))
        gone = _pages(told) - _pages(left)
        if gone:
            notes.append(f"{gone:,} pages {said} and are left out")
        if not len(left):
            raise Undecidable(f"no feed is left to ask again: {'; '.join(notes)}. {mend}")
        return left

    plain = without(
        shown, list(_special(store)), "answered searches or had rules of their own", "Ask once feeds have been shown"
    )
    nobodys = plain.filter(pl.col("policy") == "")["request_id"].unique().to_list()
    plain = without(
        plain, nobodys, "do not say which policy showed them",
        "A chance is somebody's; give the column policy with the version of what showed each page",
    )  # fmt: skip
    twice = plain.filter(pl.struct("request_id", "item_id").is_duplicated())["request_id"].unique().to_list()
    plain = without(
        plain, twice, "show an item twice, which has no chance to be told",
        "Mend what writes the log, or ingest pages on which every item stands once",
    )  # fmt: skip
    return plain, notes


def _answered(shown: pl.DataFrame, events: Events) -> tuple[pl.DataFrame, list[str]]:
    """The pages that something can have come of, and what is left out: pages that were on no screen, and those shown
    after the last event. Of the others every place stays, since a page is asked again as it was asked; a place that was
    on no screen has earned nothing."""
    seen = shown.filter(pl.col("seen").fill_null(True))
    met = shown.filter(pl.col("request_id").is_in(seen["request_id"].unique().to_list()))
    last = None if events.time is None or not len(events) else int(events.time.max())
    late = met.clear() if last is None else met.filter(pl.col("timestamp") > last)
    kept = met.join(late, on="request_id", how="anti")
    gone = {
        "pages never on a screen": _pages(shown) - _pages(met),
        "pages shown after the last event of the log": _pages(late),
    }
    notes = [f"left out: {said} ({n:,})" for said, n in gone.items() if n]
    hidden = int((~kept["seen"].fill_null(True)).sum())
    notes += [f"places never on a screen have earned nothing ({hidden:,})"] if hidden else []
    return kept.with_columns(pl.lit(None, pl.Boolean).alias("seen")), notes


def _pages(shown: pl.DataFrame) -> int:
    return shown["request_id"].n_unique()


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
    own = ("item", "query", "history", "where", "allow", "exclude", "facets", "masks", "boosts", "wishes")
    if told.get("query") or any(asked.get(name) for name in own):
        return True
    wanted = asked.get("arrangement") or {}  # composing is the recipe's own doing; rails are another answer's matter
    if wanted.get("caps") or wanted.get("diversity") is not None or not wanted.get("arranger", True):
        return True
    facts = {stage["name"]: stage["facts"] for stage in told.get("stages", ())}  # what stands without being asked for
    return bool(facts.get("understand", {}).get("wishes") or facts.get("rank", {}).get("boosts"))
