"""What one request leans towards: boosts multiply the scores of candidates, caps and diversity arrange its page.

A rule hides; a boost only moves. It acts before the candidates are cut, so what is boosted can come from far below, and
once more on the order of a ranker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from interplay.cascade.page import Page, PageConfig, coded
from interplay.cascade.rules import Catalogue
from interplay.errors import BadSetting, nearest, unknown
from interplay.types import Arrangement, Array, Requests, Slates

WIDE = 1000  # candidates of a request with boosts
LEAST, MOST = 0.01, 100.0  # factors of a boost


def leant(slates: Slates, requests: Requests, catalogue: Catalogue) -> Slates:
    """The candidates in their new order, with a column `boost`: what each one's score was multiplied by.

    A negative score is divided, so that a factor above 1 always raises.
    """
    factor = np.ones(slates.items.shape, np.float32)
    for row, boosts in enumerate(requests.boosts or ()):
        for boost in boosts:
            if not LEAST <= boost.by <= MOST:
                raise BadSetting(f"a boost by {boost.by}; expected a factor from {LEAST} to {MOST:g}")
            met = catalogue.mask(boost.where)
            items = slates.items[row]
            held = (items >= 0) & (items < len(met))
            factor[row] *= np.where(held & met[np.where(held, items, 0)], np.float32(boost.by), np.float32(1.0))
    with np.errstate(invalid="ignore"):
        scores = np.where(slates.scores >= 0, slates.scores * factor, slates.scores / factor)
    order = np.argsort(-scores, axis=1, kind="stable")
    columns = {**slates.columns, "boost": factor}
    return Slates(
        items=np.take_along_axis(slates.items, order, 1),
        scores=np.take_along_axis(scores, order, 1).astype(np.float32),
        columns={name: np.take_along_axis(column, order, 1) for name, column in columns.items()},
    )


def arranged(page: Page, wanted: Arrangement, catalogue: Catalogue) -> Page:
    """The recipe's page with the caps and the diversity of these requests; the recipe's own caps hold on."""
    if not wanted.caps and wanted.diversity is None:
        return page
    config, arrays = page.config, dict(page.arrays)
    for column, most in wanted.caps.items():
        if most < 1:
            raise BadSetting(f"caps allow {most} items of one {column}; expected at least 1")
        arrays[f"cap_{column}"] = _codes(catalogue, column)[:, 0]
    caps: Mapping[str, int] = {
        **config.caps, **{c: min(most, config.caps.get(c, most)) for c, most in wanted.caps.items()}
    }  # fmt: skip
    config = replace(config, caps=caps)
    if wanted.diversity is not None:
        if not 0 <= wanted.diversity <= 1:
            raise BadSetting(f"diversity is {wanted.diversity}; expected 0 (relevance alone) to 1 (variety alone)")
        variety = "mmr" if config.variety == "relevance" and wanted.diversity else config.variety
        config = replace(config, variety=variety, balance=1 - wanted.diversity)
        if wanted.diversity and page.likeness is None:
            column = _alike(catalogue, config)
            arrays["labels"] = _codes(catalogue, column)
            config = replace(config, likeness=column)
    out = Page(config)
    out.arrays = arrays
    return out.ready()


def _alike(catalogue: Catalogue, config: PageConfig) -> str:
    """The column by which items are alike: the recipe's, or the first of the usual names."""
    columns = [] if catalogue.frame is None else catalogue.frame.columns
    for name in (config.likeness, "categories", "category", "kind", "genres", "genre", "type"):
        if name in columns:
            return name
    raise BadSetting(
        f"diversity needs to know how alike items are, and the catalogue has neither {config.likeness!r} nor another "
        "column of categories; add one, or name a column or item vectors as page.likeness in the recipe"
    )


def _codes(catalogue: Catalogue, column: str) -> Array:
    """The labels of every item as codes; worked out once for a catalogue."""
    if column not in catalogue.codes:
        frame = catalogue.frame if catalogue.frame is not None else pl.DataFrame()
        if column not in frame.columns:
            raise unknown("catalogue column", column, nearest(column, frame.columns) or frame.columns)
        catalogue.codes[column] = coded(frame[column])
    return catalogue.codes[column]
