"""Pages as they were shown: which item stood in which cell, what was clicked, and where gaze is known what was seen.

Made from the tables every engine writes (`Pages.of`), from a user's own copy of eye-tracking tables (data/gaze.py), or
by hand. A page is a grid of rows and columns; a plain list is a grid of one row, a banner a grid with one cell filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl

from interplay.errors import BadData
from interplay.types import Array, Dataset, Ids, Requests

WIDE = 100  # cells of a row, and rows, that are kept; what stands after them is left out


@dataclass(frozen=True, kw_only=True, eq=False)
class Pages:
    """n pages of the same size, padded with -1."""

    items: Array  # int32[n, rows, columns]
    clicked: Array  # bool[n, rows, columns]
    n_items: int
    user: Array | None = None  # int32[n], -1 for a stranger
    at: Array | None = None  # int64[n], microseconds
    request: Sequence[Any] | None = None  # n names, as the log has them
    looked: Array | None = None  # bool[n, rows, columns]: an eye rested on the cell
    propensity: Array | None = None  # float64[n, rows, columns]: chance of the item there, given the cells before
    topic: Array | None = None  # int32[n, rows]: what the row is about, -1 where that is not known
    about: Array | None = None  # float32[n, rows, columns, f]: what is known of each cell's attraction
    given: Array | None = None  # float32[n, rows, columns]: attraction that is known beforehand

    def __post_init__(self) -> None:
        if self.items.ndim != 3 or self.clicked.shape != self.items.shape:
            raise BadData(
                f"pages are grids of items and of clicks of one shape [n, rows, columns]; found {self.items.shape} and "
                f"{self.clicked.shape}"
            )
        if (self.clicked & (self.items < 0)).any():
            raise BadData("a cell in which nothing stands was clicked; a click belongs to an item that was shown")

    def __len__(self) -> int:
        return len(self.items)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        return self.items.shape[1], self.items.shape[2]

    def take(self, which: Array) -> Pages:
        """The flagged pages, or those at the given positions."""
        which = np.asarray(which)
        which = np.flatnonzero(which) if which.dtype == bool else which
        cut: dict[str, Any] = {}
        for column in fields(self):
            held = getattr(self, column.name)
            if isinstance(held, np.ndarray):
                cut[column.name] = held[which]
            elif column.name == "request" and held is not None:
                cut[column.name] = [held[i] for i in which.tolist()]
        return replace(self, **cut)

    def line(self) -> Pages:
        """The same pages read as one row, left to right and top to bottom."""
        n, rows, columns = self.items.shape
        flat: dict[str, Any] = {"topic": None}
        for name in ("items", "clicked", "looked", "propensity", "given"):
            held = getattr(self, name)
            flat[name] = None if held is None else held.reshape(n, 1, rows * columns)
        if self.about is not None:
            flat["about"] = self.about.reshape(n, 1, rows * columns, -1)
        return replace(self, **flat)

    def requests(self, dataset: Dataset) -> Requests:
        """The moments at which these pages were asked for, with the history as it was strictly before."""
        n = len(self)
        user = np.full(n, -1, np.int32) if self.user is None else self.user
        history = dataset.histories(user)
        if self.at is not None and "time" in history:
            history = history.where(history["time"] < np.repeat(self.at, history.lengths))
        return Requests(user=user, history=history, at=self.at)

    @staticmethod
    def of(dataset: Dataset, kinds: Sequence[str] = ("click",), *, whole: bool = False) -> Pages:
        """The pages of the table `impressions`; clicked is what has an event of `kinds` with the page's request_id.

        A page is one answer, in its own rows and slots; with `whole` the answers that made up one page are one, with
        its shelves as rows (`placed`). Chances are those of items within their answers in both.
        Where the log knows none of `kinds`, every kind counts. Pages after the last event are left out: what became of
        them is not in this part of the log. So is what is known not to have been seen (column `seen`): that it was not
        clicked says nothing. An item that stands twice on a page counts where it stands first.
        """
        if "impressions" not in dataset.tables:
            raise BadData(f"{dataset.name!r} has no table impressions; pages are learnt from what was shown")
        shown = dataset.tables["impressions"]
        for column in ("request_id", "slot", "item_id"):
            if column not in shown.columns:
                raise BadData(f"impressions have no column {column}; they have {shown.columns}")
        if "row" not in shown.columns:
            shown = shown.with_columns(pl.lit(0).alias("row"))
        shown = placed(shown) if whole else shown.with_columns(pl.col("request_id").alias("on"))
        if "seen" in shown.columns:
            shown = shown.filter(pl.col("seen").cast(pl.Boolean).fill_null(True))
        times, met = dataset.events.time, len(shown)
        if "timestamp" in shown.columns and times is not None and len(times):
            shown = shown.filter(pl.col("timestamp") <= int(times.max()))
        if met and not len(shown):
            raise BadData(
                f"{dataset.name!r} has shown {met:,} things, all of them after the last event of its log, so nothing "
                "says what became of them; ask again once people have done something"
            )
        shown = shown.filter(pl.col("row").is_between(0, WIDE - 1) & pl.col("slot").is_between(0, WIDE - 1))
        item = indexed(shown["item_id"], dataset.items)
        shown, item = shown.filter(pl.Series(item >= 0)), item[item >= 0]
        if not len(shown):
            raise BadData(
                f"{dataset.name!r} has no impressions of things that it knows; nothing can be learnt from them"
            )
        named = shown["on"].unique(maintain_order=True)
        page = _numbers(shown["on"], named)
        row, slot = (shown[c].cast(pl.Int64).to_numpy() for c in ("row", "slot"))
        order = np.lexsort((slot, row, page))
        first = np.unique(page[order] * dataset.n_items + item[order], return_index=True)[1]
        kept = np.sort(order[first])
        page, row, slot, item, shown = page[kept], row[kept], slot[kept], item[kept], shown[kept]
        n = len(named)
        items = np.full((n, int(row.max()) + 1, int(slot.max()) + 1), -1, np.int32)
        items[page, row, slot] = item
        clicked = np.zeros(items.shape, bool)
        done = _done(dataset, kinds, shown["request_id"], page)
        clicked[page, row, slot] = np.isin(page * dataset.n_items + item, done)
        one = np.unique(page, return_index=True)[1]  # a cell of each page, for what all its cells share
        user = np.full(n, -1, np.int32)
        if "user_id" in shown.columns:
            user[page[one]] = indexed(shown["user_id"][one], dataset.users)
        at = None
        if "timestamp" in shown.columns:
            at = np.zeros(n, np.int64)
            at[page[one]] = shown["timestamp"][one].to_numpy()
        held = np.flatnonzero((items >= 0).any(axis=(1, 2)))
        pages = Pages(
            items=items, clicked=clicked, n_items=dataset.n_items, user=user, at=at, request=named.to_list(),
            propensity=_propensity(shown, items, page, row, slot),
        )  # fmt: skip
        return pages if len(held) == n else pages.take(held)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """m single choices, each from one slate or against it, in the order in which they were made."""

    user: Array  # int32[m]
    at: Array  # int64[m], or the order of the choices where times are not known
    slate: Array  # int32[m, k], -1 pads
    chosen: Array  # int64[m]: place in the slate, -1 where nothing was chosen

    def __len__(self) -> int:
        return len(self.slate)

    def take(self, which: Array) -> Choices:
        return Choices(user=self.user[which], at=self.at[which], slate=self.slate[which], chosen=self.chosen[which])

    @staticmethod
    def of(pages: Pages) -> Choices:
        """Pages as choices: m clicks on a page are m choices from it, each without what was chosen before."""
        line = pages.line()
        slate, clicked = line.items[:, 0], line.clicked[:, 0]
        count = np.maximum(clicked.sum(axis=1), 1)
        page = np.repeat(np.arange(len(pages)), count)
        turn = np.arange(len(page)) - np.repeat(np.cumsum(count) - count, count)
        before = np.cumsum(clicked, axis=1)[page] - clicked[page]  # clicks on cells above
        mine = clicked[page]
        chosen = np.where(mine.any(axis=1), (mine & (before == turn[:, None])).argmax(axis=1), -1)
        gone = mine & (before < turn[:, None])
        at = np.arange(len(pages), dtype=np.int64) if pages.at is None else pages.at
        user = np.full(len(pages), -1, np.int32) if pages.user is None else pages.user
        return Choices(user=user[page], at=at[page], slate=np.where(gone, -1, slate[page]), chosen=chosen)


def indexed(names: pl.Series, ids: Ids) -> Array:
    """int32: the index of each name, -1 where it is unknown or missing; every distinct name is looked up once."""
    distinct = names.drop_nulls().unique()
    if not len(distinct):
        return np.full(len(names), -1, np.int32)
    number = _numbers(names, distinct)
    return np.where(number >= 0, ids.index(distinct.to_list())[number], np.int32(-1))


def _numbers(names: pl.Series, distinct: pl.Series) -> Array:
    """int64: the place of each name in `distinct`, -1 where it has none."""
    table = pl.DataFrame({"name": distinct, "number": np.arange(len(distinct), dtype=np.int64)})
    found = pl.DataFrame({"name": names}).join(table, on="name", how="left", maintain_order="left")["number"]
    return found.fill_null(-1).to_numpy()


def placed(shown: pl.DataFrame) -> pl.DataFrame:
    """Impressions with the column `on`, the page on which each thing stood, and with their row and slot there.

    Where several answers made up one page that is `page`, `shelf` and `place`; an answer alone is a page of its own.
    """
    if "page" not in shown.columns:
        return shown.with_columns(pl.col("request_id").alias("on"))
    alone = pl.col("page").is_null()
    return shown.with_columns(
        pl.coalesce("page", "request_id").alias("on"),
        *(pl.when(alone).then(own).otherwise(there).alias(own) for own, there in (("row", "shelf"), ("slot", "place"))),
    )


def _done(dataset: Dataset, kinds: Sequence[str], shown: pl.Series, on: Array) -> Array:
    """page * n_items + item of everything that was clicked; `shown` are answers, `on` the page of each."""
    events = dataset.events
    if "request_id" not in events.context:
        raise BadData(
            f"the events of {dataset.name!r} have no context column request_id, so clicks cannot be told from the "
            "pages they were made on; log the request_id of the answer with each event"
        )
    own = [i for i, kind in enumerate(events.kinds) if kind in kinds]
    kept = np.isin(events.kind, own) if own and events.kind is not None else np.ones(len(events), bool)
    request = pl.Series(events.context["request_id"][kept])
    if request.dtype != shown.dtype:
        request = request.cast(shown.dtype, strict=False)
    of = pl.DataFrame({"name": shown, "on": on}).unique("name")
    page = pl.DataFrame({"name": request}).join(of, on="name", how="left", maintain_order="left")["on"]
    known = page.is_not_null().to_numpy()
    return page.drop_nulls().to_numpy() * dataset.n_items + events.item[kept][known]


def _propensity(shown: pl.DataFrame, items: Array, page: Array, row: Array, slot: Array) -> Array | None:
    if "propensity" not in shown.columns:
        return None
    given = shown["propensity"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    wrong = (given <= 0) | (given > 1)
    if wrong.any():
        raise BadData(
            f"{int(wrong.sum())} of {len(given)} propensities are not in (0, 1], for instance {given[wrong][0]}; a "
            "thing that was shown had some chance to be, so the log or its policy is wrong there"
        )
    out = np.full(items.shape, np.nan)
    out[page, row, slot] = given
    return out
