"""Where people look on the pages that a store's log recorded: a heat map, and whether it is to be trusted.

    seen = watch(store)                               # the newest pages, judged on a fifth of the people
    seen.grid[0][2].examination, seen.gain, seen.said

A thing is clicked where it is looked at and attracts; things that stood in several places tell the two apart
(models/clicks.py). What the model says of people who were left out is set against the click rate of each cell, which
knows nothing of either: where it says no more, the answer says so, and a cell's click rate is all that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from interplay.data.pages import Pages, placed
from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errors import Undecidable, UnknownName, nearest
from interplay.estimating import Progress, spoken
from interplay.evaluate.intervals import Interval, Terms, bootstrap, few
from interplay.learn.descend import Descent
from interplay.models.clicks import Clicks, ClicksConfig
from interplay.ops.rows import arrange_rows
from interplay.types import Array, Dataset, Run

PAGES = 20_000  # the newest that are asked
CELLS = 1_500_000  # of all pages together: wide pages are asked less often, so that an answer takes seconds
WHOLE = 100  # pages of several answers from which on looks are told of them, and not of answers alone
SHOWN = 20  # a place that was shown less often says nothing, and is left out at the end of a page
CLICKS = 200  # below which the answer calls itself a guess
JUDGED = 5  # one part in so many is judged
MOVED = 0.5  # share of showings of things that stood in several places, below which looks and taste run together
FLOOR = "position"  # the click rate of each cell
QUICK = Descent(rate=0.15, batch=1 << 20, epochs=120, schedule="cosine")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of a page."""

    row: int  # from 1
    place: int  # within the row, from 1
    examination: float | None  # relative to the cell that is looked at most; None where nothing stood
    rate: float | None  # clicks a showing
    interval: Interval | None  # of the rate, 95 %
    shown: int


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a row stands where it does in the order that would be clicked most."""

    place: int  # from 1
    row: int  # where it stands now, from 1
    said: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Where people look, as far as the log can tell."""

    kind: str
    model: str
    pages: int
    people: int
    clicks: int
    grid: tuple[tuple[Cell, ...], ...]  # rows of cells
    gain: float  # log-likelihood a page of people left out, over the click rate of each cell
    interval: Interval
    moved: float  # share of showings of things that stood in several places
    rows: tuple[Reason, ...]  # of the average page, in the order that would be clicked most; where there are several
    rows_said: str
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """better, worse, cannot tell: than click rates alone"""
        return self.interval.verdict

    @property
    def said(self) -> str:
        """The answer as a person reads it."""
        cells = [cell for row in self.grid for cell in row if cell.examination is not None]
        most, least = (pick(cells, key=lambda c: c.examination or 0.0) for pick in (max, min))
        gain = f"(gain {self.gain:.4f} {self.interval} log-likelihood a page)"
        trust = {
            "better": f"of people who were left out this tells more than the click rates of places do {gain}",
            "worse": f"of people who were left out the click rates of places tell more {gain}, so trust those",
            "cannot tell": f"it cannot be told whether this says more than the click rates of places do {gain}",
        }[self.verdict]
        guess = f"; {self.clicks} clicks are few, so all of it is a guess" if self.clicks < CLICKS else ""
        return (
            f"{self._where(most)} is looked at most, {self._where(least)} {least.examination:.0%} as often; {trust}; "
            f"{self.clicks:,} {self.kind} events on {self.pages:,} pages of {self.people:,} people{guess}"
        )

    def _where(self, cell: Cell) -> str:
        return f"place {cell.place}" if len(self.grid) == 1 else f"place {cell.place} of row {cell.row}"

    def as_json(self) -> dict[str, Any]:
        """Every number, for machines."""
        return spoken(self) | {"verdict": self.verdict, "said": self.said}


def watch(
    store: Store, kind: str = "click", *, seed: int = 0, progress: Progress = lambda stage, facts: None
) -> Seen:  # fmt: skip
    """Where people look, learnt from the newest pages of a store.

    Errors: Undecidable where the log has no pages, no clicks or a single place; UnknownName for an event type that it
    does not know.
    """
    progress("read", {"said": "the pages of the log"})
    pages, notes = _pages(store, snapshot(store, shown=True).dataset, kind)
    assert pages.user is not None
    who = np.where(pages.user >= 0, pages.user, -1 - np.arange(len(pages)))  # every stranger is somebody else
    unit = np.unique(who, return_inverse=True)[1]
    people = int(unit.max()) + 1
    if people < 2 * JUDGED:
        notes.append(f"{people} people are too few to leave some out, so pages are left out in their place")
        unit = np.arange(len(pages))
    turn = np.random.default_rng([seed, 11]).permutation(int(unit.max()) + 1) % JUDGED
    mine, theirs = pages.take(turn[unit] != 0), pages.take(turn[unit] == 0)
    if not len(theirs) or not mine.clicked.any():
        raise Undecidable(
            f"{len(pages)} pages with {int(pages.clicked.sum())} {kind} events are too few to learn from some and "
            "judge on the others; log for longer and ask again"
        )
    model = "pbm-rank-one" if pages.shape[0] > 1 else "pbm"
    progress("learn", {"said": f"{model} on {len(mine):,} pages, judged on {len(theirs):,}"})
    fitted, floor = (
        Clicks(ClicksConfig(model=name, kinds=(kind,), spread=1.0, descent=QUICK)).learn(mine, run=Run(seed=seed))
        for name in (model, FLOOR)
    )
    gain = Terms.mean(fitted.log_likelihood(theirs) - floor.log_likelihood(theirs))
    moved = _moved(pages)
    if moved < MOVED:
        notes.append(
            f"only {moved:.0%} of what was shown are things that stood in several places; of the rest, what is looked "
            "at cannot be told from what is liked: explore more, or shuffle now and then"
        )
    rows, rows_said = _rows(pages, fitted)
    return Seen(
        kind=kind, model=model, pages=len(pages), people=people, clicks=int(pages.clicked.sum()),
        grid=_grid(pages, fitted.examination()), gain=gain.value,
        interval=bootstrap(gain, unit[turn[unit] == 0], seed=seed), moved=moved, rows=rows,
        rows_said=rows_said, notes=tuple(notes),
    )  # fmt: skip


def _pages(store: Store, data: Dataset, kind: str) -> tuple[Pages, list[str]]:
    """The newest pages, without the places at their end that hardly anybody was shown, and what is to be noted."""
    shown, times = data.tables.get("impressions"), data.events.time
    if shown is None:
        raise Undecidable(
            f"{store.database.said} holds no impressions, so nothing is known of what was shown; serve from it, or "
            "ingest a file of impressions"
        )
    if not len(data.events):
        raise Undecidable("nothing has happened yet; looks are learnt from what was clicked")
    if kind not in data.events.kinds:
        close = nearest(kind, data.events.kinds)
        known = f"nearest: {close}" if close else f"it has {data.events.kinds}"
        raise UnknownName(f"the log has no events of type {kind!r}; {known}")
    assert times is not None
    shown = placed(shown.filter(pl.col("timestamp") <= int(times.max())))
    if not len(shown):
        raise Undecidable(
            "nothing has happened since the first page of the log was shown, so it is not known what became of any; "
            "log for longer and ask again"
        )
    shown, alone = _alike(shown)
    shown = _newest(shown, PAGES)
    often = shown.group_by("row", "slot").len().filter(pl.col("len") >= SHOWN)
    rows, places = (int(often[c].to_numpy().max(initial=-1)) for c in ("row", "slot"))
    if len(often) < 2:
        raise Undecidable(
            f"{'one place of a page was' if len(often) else 'no place of a page was'} shown {SHOWN} times or more, and "
            "looks are told by comparing places; log for longer, or show more than one thing at a time"
        )
    shown = shown.filter(pl.col("row") <= rows, pl.col("slot") <= places)
    shown = _newest(shown, CELLS // ((rows + 1) * (places + 1)))  # a grid takes its room, filled or not
    pages = Pages.of(replace(data, tables={"impressions": shown}), (kind,), whole=True)
    if not pages.clicked.any():
        raise Undecidable(
            f"none of the {len(pages):,} newest pages has an event of type {kind!r} that names it; send the request_id "
            "of an answer along with what follows from it"
        )
    notes = [f"{alone:,} answers that stood alone are left out: these are looks at whole pages"] if alone else []
    return replace(pages, request=None, propensity=None), notes


def _alike(shown: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """What was shown on whole pages, where there are enough of them, and how many answers alone are left out; where
    there are too few, everything that was shown on answers alone."""
    if "page" not in shown.columns:
        return shown, 0
    whole = shown.filter(pl.col("page").is_not_null() & pl.col("shelf").is_not_null())
    alone = shown.filter(pl.col("page").is_null())
    if whole["on"].n_unique() >= WHOLE or not len(alone):
        return whole, alone["on"].n_unique()
    return alone, 0


def _newest(shown: pl.DataFrame, n: int) -> pl.DataFrame:
    """What was shown on the newest n pages."""
    pages = shown.group_by("on").agg(pl.col("timestamp").max())
    return shown.join(pages.sort("timestamp", "on", descending=True).head(n), on="on", how="semi")


def _moved(pages: Pages) -> float:
    """The share of showings of items that stood in more than one cell."""
    held = pages.items >= 0
    cell = np.broadcast_to(np.arange(held[0].size).reshape(held[0].shape), held.shape)[held]
    item = pages.items[held].astype(np.int64)
    places = np.bincount(np.unique(item * held[0].size + cell) // held[0].size, minlength=pages.n_items)
    return float((places[item] > 1).mean())


def _grid(pages: Pages, looks: Array) -> tuple[tuple[Cell, ...], ...]:
    """Rows of cells, each as far as anything was ever shown in it."""
    shown, clicks = (pages.items >= 0).sum(axis=0), pages.clicked.sum(axis=0)
    best = float(looks[shown > 0].max())

    def cell(row: int, place: int) -> Cell:
        n = int(shown[row, place])
        rate = float(clicks[row, place]) / n if n else None
        return Cell(
            row=row + 1, place=place + 1, examination=float(looks[row, place]) / best if n else None, rate=rate,
            interval=None if rate is None else few(rate, n, 1), shown=n,
        )  # fmt: skip

    ends = [int(np.flatnonzero(row).max(initial=-1)) + 1 for row in shown]
    return tuple(tuple(cell(row, place) for place in range(end)) for row, end in enumerate(ends))


def _rows(pages: Pages, model: Clicks) -> tuple[tuple[Reason, ...], str]:
    """The order of the rows of the average page that would be clicked most, and what it would bring; nothing where
    there is one row."""
    if pages.shape[0] < 2:
        return (), ""
    attracts = np.where(pages.items >= 0, model.attraction()[np.maximum(pages.items, 0)], 0.0).mean(axis=0)
    looks = model.examination()
    told, now = arrange_rows(looks, attracts), float((looks * attracts).sum())
    rows = tuple(
        Reason(place=place + 1, row=int(row) + 1, said=said)
        for place, (row, said) in enumerate(zip(told.order, told.said, strict=True))
    )
    return rows, f"{told.gains.sum():.2f} are expected of a page in this order, {now:.2f} in the present one"
