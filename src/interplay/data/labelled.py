"""What the columns of an examples table say: parts, ids, histories, labels, numbers."""

from __future__ import annotations

import numpy as np
import polars as pl

from interplay.data.checks import PARTS
from interplay.errors import BadData
from interplay.types import Array, Dataset, Ragged

USER, ITEM = "user", "item"  # fields that hold indices of the dataset's own spaces
NAMED = {USER: ("user_id", "user"), ITEM: ("item_id", "item")}  # columns of an examples table that hold external ids


def parts_of(table: pl.DataFrame) -> Array | None:
    """int8[n]: what the split column of a table says; None without one.

    Errors: BadData for a word that is no part.
    """
    if "split" not in table.columns:
        return None
    said = table["split"].cast(pl.String).str.to_lowercase()
    odd = said.filter(said.is_null() | ~said.is_in(list(PARTS)))
    if len(odd):
        raise BadData(f"split is {odd[0]!r} in {len(odd):,} rows; expected train, valid or test")
    return said.replace_strict(PARTS, return_dtype=pl.Int8).to_numpy()


def id_column(table: pl.DataFrame, field: str) -> str | None:
    """The column of an examples table that holds the external ids of `user` or `item`."""
    return next((c for c in NAMED[field] if c in table.columns), None)


def mentioned(table: pl.DataFrame | None, field: str) -> pl.Series:
    """The external ids of `user` or `item` that an examples table mentions, lists of items among them; -1 is none."""
    held: list[pl.Series] = []
    if table is not None:
        name = id_column(table, field)
        held += [table[name]] if name else []
        lists = [c for c in table if is_history(c)] if field == ITEM else []
        held += [(c.arr.to_list() if c.dtype == pl.Array else c).explode() for c in lists]
    kept = [c.drop_nulls().unique().cast(pl.Int64 if c.dtype.is_numeric() else pl.String) for c in held]
    kept = [c.filter(c != (-1 if c.dtype == pl.Int64 else "")) for c in kept]
    if len({c.dtype for c in kept}) > 1:
        kept = [c.cast(pl.String) for c in kept]
    return pl.concat([c.alias(field) for c in kept]) if kept else pl.Series(field, [], dtype=pl.Int64)


def is_history(column: pl.Series) -> bool:
    """Whether a column of an examples table lists the items that came before."""
    listed = column.dtype in (pl.List, pl.Array)
    return listed and (column.name == "history" or column.name.endswith("_history"))


def number(column: pl.Series) -> Array:
    """float32[n]; whatever is missing or infinite is NaN."""
    out = np.array(column.cast(pl.Float32, strict=False).fill_null(np.nan).to_numpy(), np.float32)
    out[~np.isfinite(out)] = np.nan
    return out


def outcome(column: pl.Series) -> Array:
    """float32[n]: 1 where it happened, 0 where it did not, NaN where that is not known (None, NaN or "").

    Errors: BadData for any other value.
    """
    told = column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column
    told = told.replace("", None) if told.dtype == pl.String else told
    plain = not (told.dtype.is_nested() or told.dtype.is_temporal())
    number = told.cast(pl.Float32, strict=False) if plain else pl.Series([None] * len(told), dtype=pl.Float32)
    odd = told.filter(
        told.is_not_null() & ~number.is_in([0.0, 1.0]).fill_null(False) & ~number.is_nan().fill_null(False)
    )
    if len(odd):
        raise BadData(
            f"column {column.name!r} of examples is {odd.to_list()[0]!r} in {len(odd):,} rows; expected 1 where it "
            "happened, 0 where it did not, nothing where that is not known. Turn its values into these, one column "
            "label_TASK for each outcome"
        )
    return np.array(number.fill_null(np.nan).to_numpy(), np.float32)


def listed(column: pl.Series, dataset: Dataset) -> Ragged:
    """A column of lists as items; names that are no item of the dataset are left out."""
    lists = column.arr.to_list() if column.dtype == pl.Array else column
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    items = dataset.items.index(lists.filter(pl.Series(lengths > 0)).explode().to_list())
    whole = Ragged(offsets=np.concatenate([[0], np.cumsum(lengths)]), columns={"item": items})
    return whole.where(items >= 0)
