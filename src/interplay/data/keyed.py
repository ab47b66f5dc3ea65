"""Values of categories become keys: int64, the same on every machine and in every version."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from interplay.types import NUMBER, Array

MISSING = -1  # the key of a value that is not there


def key(value: Any) -> int:
    """The key of one category: a whole number is itself, in figures or not; other text its hash."""
    text = str(value)
    if NUMBER.fullmatch(text):
        return int(text)
    return int.from_bytes(
        hashlib.blake2b(text.encode(), digest_size=8, key=b"interplay").digest(), "little", signed=True
    )


@lru_cache(maxsize=512)
def keys_of(names: tuple[str, ...]) -> Array:
    """int64[n]: the key of each name."""
    return np.array([key(n) for n in names], np.int64)


def keyed(column: Array | pl.Series) -> Array:
    """int64[n] keys of a column of categories; None, "" and NaN are MISSING.

    >>> keyed(np.array([3, 5])).tolist(), keyed(np.array(["3", None, ""], object)).tolist()
    ([3, 5], [3, -1, -1])
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "biu":
            return column.astype(np.int64)
        column = pl.Series(column.tolist(), strict=False)
    if column.dtype.is_integer() or column.dtype == pl.Boolean:
        return column.cast(pl.Int64).fill_null(MISSING).to_numpy()
    if column.dtype.is_float():
        whole = column.fill_nan(None)
        if bool((whole.drop_nulls() == whole.drop_nulls().round()).all()):
            return whole.cast(pl.Int64, strict=False).fill_null(MISSING).to_numpy()
    said = column.cast(pl.String, strict=False).fill_null("")
    distinct = said.unique()
    keys = pl.Series([MISSING if v == "" else key(v) for v in distinct], dtype=pl.Int64)
    return said.replace_strict(distinct, keys, return_dtype=pl.Int64).to_numpy()
