"""Slates of FINN.no as their publisher ships them (Eide et al., finn-no/recsys-slates-dataset): 20 steps of a person.

    data.npz       userId[n]; click, click_idx and interaction_type[n, 20]; slate[n, 20, 25], what stood there as far as
                   the person scrolled; slate_lengths[n, 20], which counts one too many now and then, is not read
    itemattr.npz   (optional) category[things], one of 290 groups
    ind2val.json   (optional) what the numbers of `category` and `interaction_type` stand for

Ids 0, 1 and 2 are no things: padding, the choice of nothing, which stands first on every slate, and what is not known.
So what stands at slate[1] is in slot 0 here. A page that was clicked where `click_idx` does not say, or on what is not
known, does not tell what was chosen from it and is left out; a click on a thing stays an event. The log has the order
of steps and no times: whoever asks for what somebody had done before a page (models/bandits.py) is told all of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from interplay.data.report import log
from interplay.data.tables import from_frames
from interplay.errors import BadData
from interplay.types import Array, Dataset

COLUMNS = ("userId", "click", "click_idx", "interaction_type", "slate")
NOTHING, FIRST = 1, 3  # the choice of nothing, and the first id that is a thing
PEOPLE = 100_000  # drawn for the variant 100k
FEWEST = 0.5  # share of clicks that click_idx has to point at


def finn(path: Path, name: str = "finn-slates", variant: str = "all", seed: int = 0) -> Dataset:
    """Clicks as events, slates as impressions, groups as categories; `100k` is so many people, drawn by the seed.

    Errors: BadData for a folder without data.npz or one of its arrays, or where click_idx does not point at clicks.
    """
    user, click, at, kind, slate = _arrays(path, PEOPLE if variant == "100k" else None, seed)
    chosen = click >= FIRST
    found = chosen & (np.take_along_axis(slate, at[..., None].astype(np.int64), 2)[..., 0] == click)
    if found.sum() < FEWEST * chosen.sum():
        raise BadData(
            f"{path}: click_idx points at the click in {int(found.sum()):,} of {int(chosen.sum()):,} steps; expected "
            "places from 0 on slates that begin with the choice of nothing (id 1). Take all arrays from one release"
        )
    told = found | (click == NOTHING)
    left_out = int((click > 0).sum() - told.sum())
    if left_out:
        log.warning("%s: %d pages are left out, since they do not tell what was chosen from them", name, left_out)
    request = np.arange(click.size).reshape(click.shape)
    surface = _named(path, "interaction_type")

    def rows(n: Array, step: Array, item: Array, **more: Array) -> pl.DataFrame:
        table = {"request_id": request[n, step], "user_id": user[n], "item_id": item, "surface": kind[n, step], **more}
        return pl.DataFrame(table).with_columns(pl.col("surface").replace_strict(surface, default=None))

    n, step = np.nonzero(chosen)
    events = rows(n, step, click[n, step], order=step).with_columns(event_type=pl.lit("click"))
    n, step, place = np.nonzero((slate >= FIRST) & told[..., None])
    shown = rows(n, step, slate[n, step, place], slot=place - 1)
    things = np.union1d(events["item_id"], shown["item_id"])
    items = {"item_id": things} | ({"categories": _groups(path, things)} if (path / "itemattr.npz").exists() else {})
    return from_frames(name, events, items, {"user_id": user}, {"impressions": shown})


def _arrays(path: Path, people: int | None, seed: int) -> list[Array]:
    if not (path / "data.npz").exists():
        raise BadData(f"{path} has no data.npz; the publisher ships data.npz, itemattr.npz and ind2val.json")
    with np.load(path / "data.npz") as held:
        if missing := [c for c in COLUMNS if c not in held]:
            raise BadData(f"{path / 'data.npz'} has no array {missing[0]!r}; it has {sorted(held)}")
        n = len(held["userId"])
        some = people is not None and people < n
        kept = np.sort(np.random.default_rng(seed).permutation(n)[:people]) if some else slice(None)
        return [held[column][kept] for column in COLUMNS]


def _named(path: Path, column: str) -> dict[int, str]:
    """Number -> name; where the publisher's names are not there, how pages came about is known all the same."""
    if not (path / "ind2val.json").exists():
        return {0: "undefined", 1: "search", 2: "rec"} if column == "interaction_type" else {}
    return {int(k): str(v) for k, v in json.loads((path / "ind2val.json").read_text())[column].items()}


def _groups(path: Path, things: Array) -> pl.Series:
    """The group of each thing as a list of one name, or of its number where it has none."""
    with np.load(path / "itemattr.npz") as held:
        code = pl.Series(held["category"][things].astype(np.int64))
    named = code.replace_strict(_named(path, "category"), default=code.cast(pl.String), return_dtype=pl.String)
    return named.reshape((-1, 1)).arr.to_list()
