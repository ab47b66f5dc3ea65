"""Moments at which something was gone for, out of a log, and what may be learnt before each of them.

A moment is a page of a feed that was shown and acted on (table impressions): all that was gone for on it, and what was
looked at and left. Where pages are not known, or hardly any, it is a single event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from interplay.data.pages import indexed
from interplay.types import Array, Dataset, Ragged, Requests

NEWEST = 0.25  # share of a log, by time, that is asked about where there is one fold
FEWEST = 200  # pages that were acted on, below which single events are the moments


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """When something was gone for, and what."""

    at: Array  # int64[n], ascending: the position in the log of the first event that came of it
    truth: Ragged  # column item: what was gone for
    left: Ragged  # column item: what was looked at beside it and left; empty where that is not known

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: Array) -> Moments:
        return Moments(at=self.at[rows], truth=self.truth.take(rows), left=self.left.take(rows))

    @staticmethod
    def of(dataset: Dataset) -> Moments:
        """The pages of a feed that were acted on; single events where few or none are known. Nobody's first event."""
        events = dataset.events
        first = np.zeros(len(events), bool)
        first[dataset.offsets[:-1][np.diff(dataset.offsets) > 0]] = True
        pages = _pages(dataset)
        pages = None if pages is None else pages.take(np.flatnonzero(~first[pages.at]))
        if pages is not None and len(pages) >= FEWEST:
            return pages
        at = np.flatnonzero(~first)
        one = np.arange(len(at) + 1)
        return Moments(
            at=at, truth=Ragged(offsets=one, columns={"item": events.item[at]}),
            left=Ragged(offsets=np.zeros(len(at) + 1, np.int64), columns={"item": np.zeros(0, np.int32)}),
        )  # fmt: skip

    def asked(self, dataset: Dataset) -> Requests:
        """The requests just before these moments: the past alone, of nobody known."""
        events, at = dataset.events, self.at
        start = dataset.offsets[events.user[at]]
        lengths = at - start
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        where = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths)
        columns = {k: c[where] for k, c in events.history_columns().items()}
        return Requests(
            user=np.full(len(at), -1, np.int32), history=Ragged(offsets=offsets, columns=columns),
            at=None if events.time is None else events.time[at],
        )  # fmt: skip


def _pages(dataset: Dataset) -> Moments | None:
    """The shown pages of a feed that something was gone for on; None where the log does not say which they were."""
    shown, events = dataset.tables.get("impressions"), dataset.events
    if shown is None or "request_id" not in events.context or not {"request_id", "item_id"} <= set(shown.columns):
        return None
    if "timestamp" in shown.columns and events.time is not None and len(events):
        shown = shown.filter(pl.col("timestamp") <= int(events.time.max()))  # what came of later ones is not known
    if "surface" in shown.columns:
        shown = shown.filter(pl.col("surface") == "feed")
    if "seen" in shown.columns:
        shown = shown.filter(pl.col("seen").cast(pl.Boolean).fill_null(True))
    named = pl.Series("request", events.context["request_id"]).cast(shown.schema["request_id"], strict=False)
    done = pl.DataFrame({"request": named, "item": events.item, "at": np.arange(len(events))}).drop_nulls()
    done = done.join(shown.select(request="request_id").unique(), on="request")
    pages = done.group_by("request").agg(pl.col("at").min()).sort("at").with_row_index("page")
    done = done.join(pages.select("request", "page"), on="request").unique(["page", "item"]).sort("page", "at")
    seen = shown.select("item_id", request="request_id").join(pages.select("request", "page"), on="request")
    seen = seen.with_columns(pl.Series("item", indexed(seen["item_id"], dataset.items))).filter(pl.col("item") >= 0)
    seen = seen.join(done.select("page", "item"), on=["page", "item"], how="anti").sort("page", maintain_order=True)
    truth, left = (Ragged.grouped(t["page"].to_numpy(), len(pages), item=t["item"].to_numpy()) for t in (done, seen))
    return Moments(at=pages["at"].to_numpy().astype(np.int64), truth=truth, left=left)


def cut(
    dataset: Dataset, moments: Moments, folds: int, most: int, rng: np.random.Generator
) -> Iterator[tuple[Dataset, Moments]]:
    """What a ranker is fitted on, and the moments it is asked about, at most `most` in all, fold by fold.

    People are dealt into folds; one fold cuts the log by time. Without times there are two folds.
    """
    events, shown = dataset.events, dataset.tables.get("impressions")
    if folds == 1 and events.time is not None and len(events):
        since = int(np.quantile(events.time, 1 - NEWEST))
        newer = rng.permutation(np.flatnonzero(events.time[moments.at] >= since))[:most]
        older = dataset.where(events.time < since)
        if shown is not None and "timestamp" in shown.columns:
            older = replace(older, tables={**dataset.tables, "impressions": shown.filter(pl.col("timestamp") < since)})
        yield older, moments.take(np.sort(newer))
        return
    fold = rng.integers(0, max(folds, 2), dataset.n_users)
    chosen = rng.permutation(len(moments))[:most]
    for f in range(max(folds, 2)):
        apart = fold[events.user] == f
        if apart.all():
            continue
        others = dataset.where(~apart)
        if shown is not None and "user_id" in shown.columns:
            who = indexed(shown["user_id"], dataset.users)
            theirs = (who >= 0) & (fold[who] == f)
            others = replace(others, tables={**dataset.tables, "impressions": shown.filter(pl.Series(~theirs))})
        yield others, moments.take(np.sort(chosen[apart[moments.at[chosen]]]))
