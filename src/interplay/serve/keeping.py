"""Rows that describe items and people: each is judged by itself, and one that does not fit says why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from interplay.errors import BadData
from interplay.types import Id

COLUMNS = 200  # of one row
NAME = 128  # characters of a column's name
TEXT = 20_000  # characters of a text
LISTED = 1_000  # values of a list
ID = 512  # characters of an id


def judged(row: Any, key: str, schema: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """The row, if it can be kept beside what there is: ids are strings or integers, a column keeps its type."""
    if not isinstance(row, Mapping):
        raise BadData(f"a row is a {type(row).__name__}; expected an object with {key} and columns")
    named(row.get(key), key)
    return {key: row[key], **columns({name: value for name, value in row.items() if name != key}, schema)}


def named(name: Any, key: str) -> Id:
    """An id, or a refusal."""
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        raise BadData(f"{key} is {name!r}; expected a string or an integer")
    if len(str(name)) > ID:
        raise BadData(f"{key} has {len(str(name))} characters; at most {ID} are kept")
    if "\ufffd" in str(name) or any(0xD800 <= ord(c) <= 0xDFFF or c == "\x00" for c in str(name)):
        raise BadData(f"{key} holds characters that cannot be kept; expected text without replacement characters")
    return name


def columns(row: Mapping[str, Any], schema: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """The columns, if each name and value can be kept."""
    if len(row) > COLUMNS:
        raise BadData(f"{len(row)} columns; at most {COLUMNS} are kept")
    for name, value in row.items():
        if not name or len(name) > NAME or name in ("item_id", "user_id"):
            raise BadData(f"a column is called {name[:40]!r}; expected 1 to {NAME} characters, and no id")
        if value is not None:
            _fits(name, value, schema.get(name))
    return dict(row)


def _fits(name: str, value: Any, kind: pl.DataType | None) -> None:
    """Refuse a value that is of no kind that is kept, or of another kind than the column's."""
    if isinstance(value, list):
        if len(value) > LISTED:
            raise BadData(f"{name} lists {len(value):,} values; at most {LISTED:,} are kept")
        if not _same(value):
            raise BadData(f"{name} mixes kinds of values in one list; expected texts alone or numbers alone")
        for one in value:
            _plain(name, one)
    else:
        _plain(name, value)
    if kind is not None and not _of(kind, value):
        raise BadData(f"{name} is {value!r:.60}; this column holds {_said(kind)}")


def _same(values: Iterable[Any]) -> bool:
    return len({"number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v) for v in values}) <= 1


def _plain(name: str, value: Any) -> None:
    if isinstance(value, str):
        if len(value) > TEXT:
            raise BadData(f"{name} has {len(value):,} characters; at most {TEXT:,} are kept")
        if any(0xD800 <= ord(c) <= 0xDFFF or c == "\x00" for c in value):
            raise BadData(f"{name} holds characters that cannot be kept (half a pair, or none at all)")
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadData(f"{name} is {value}; expected a finite number")
    elif isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise BadData(f"{name} is {value:.3e}; expected a number of at most 64 bits")
    elif not isinstance(value, (bool, int, float)):
        raise BadData(f"{name} is a {type(value).__name__}; expected text, a number, true or false, or a list of them")


def _of(kind: pl.DataType, value: Any) -> bool:
    if isinstance(kind, pl.List):
        return isinstance(value, list) and all(_of(kind.inner, v) for v in value)  # type: ignore[arg-type]
    if kind == pl.Boolean:
        return isinstance(value, bool)
    if kind.is_numeric():
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind.is_temporal():
        return isinstance(value, str) and _moment(value)
    return isinstance(value, str) or kind == pl.Null or kind.is_nested()


def _moment(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _said(kind: pl.DataType) -> str:
    if isinstance(kind, pl.List):
        return "lists of " + _said(kind.inner)  # type: ignore[arg-type]
    if kind == pl.Boolean:
        return "true and false"
    return "numbers" if kind.is_numeric() else "dates, as in '2024-05-01'" if kind.is_temporal() else "texts"
