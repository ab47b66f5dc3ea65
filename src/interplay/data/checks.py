"""The columns of an event log, checked and brought to one type each; what cannot be used is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

from interplay.data.files import ROW, TEXTUAL, row_numbers
from interplay.data.report import Report
from interplay.errors import BadData, nearest
from interplay.types import TEST, TRAIN, VALID, Array

KNOWN = ("user_id", "item_id", "timestamp", "order", "event_type", "value", "session_id", "query_id", "request_id",
         "surface", "split")  # fmt: skip
CHECKED = frozenset(KNOWN) - {"query_id", "request_id", "surface"}  # the others are context: any type
PARTS = {"train": TRAIN, "valid": VALID, "validation": VALID, "val": VALID, "dev": VALID, "test": TEST}
UNITS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1, "nanoseconds": 0.001}  # microseconds each
PLAUSIBLE = (788_918_400, 4_102_444_800)  # 1995 and 2100, in seconds: where event times of real logs lie


def columns(table: pl.DataFrame, needed: tuple[str, ...], file: str) -> None:
    """Refuse a table without the columns that it cannot do without, naming the nearest that it has."""
    have = [c for c in table.columns if c != ROW]
    for name in needed:
        if name not in have:
            close = nearest(name, have, 1)
            hint = f"; rename {close[0]!r}?" if close else ""
            raise BadData(f"{file} has no column {name}: it has {have}, and {list(needed)} are needed{hint}")


class Checked:
    """A table under inspection: rows fall out of it one column at a time, each with a reason."""

    def __init__(self, table: pl.DataFrame, file: str, report: Report) -> None:
        self.table, self.file, self.report = table, file, report
        self.numbers = row_numbers(table)
        self.given = table  # as it came, for the file of refused rows
        self.good = np.ones(len(table), bool)

    def refuse(self, bad: Array | pl.Series, column: str, reason: Callable[[object], str] | str) -> None:
        """Take the flagged rows out; a row that fell already keeps its first reason."""
        flags = bad.fill_null(False).to_numpy() if isinstance(bad, pl.Series) else bad
        at = np.flatnonzero(flags & self.good)
        if not len(at):
            return
        self.good[at] = False
        source = self.given[column]

        def sentence(i: int) -> str:
            return reason if isinstance(reason, str) else reason(source[int(at[i])])

        def held(i: int) -> str:
            row = self.given.row(int(at[i]), named=True)
            return json.dumps({k: v for k, v in row.items() if k != ROW}, default=str)

        self.report.refuse(self.file, self.numbers[at], column, sentence, held)

    def set(self, column: str, values: pl.Series) -> None:
        self.table = self.table.with_columns(values.alias(column))

    def kept(self) -> pl.DataFrame:
        """The rows that are left; their number is added to the report."""
        self.report.counts(self.file).kept += int(self.good.sum())
        return self.table if self.good.all() else self.table.filter(pl.Series(self.good))

    # ---- one column each

    def ids(self, column: str, *, optional: bool = False) -> None:
        """Any string or integer; never empty unless `optional`."""
        values = self.table[column]
        kind = values.dtype
        if kind.is_float():
            self.refuse(values.is_infinite() | (values.floor() != values), column,
                        lambda v: f"{v} is not a whole number; an id is a string or an integer")  # fmt: skip
            values = values.cast(pl.Int64, strict=False)
        elif kind.is_integer():
            wide = kind == pl.UInt64 and len(values) and (values.max() or 0) >= 2**63  # type: ignore[operator]
            values = values.cast(pl.String if wide else pl.Int64)
        elif kind in (pl.Categorical, pl.Enum, pl.Null) or kind.is_decimal():
            values = values.cast(pl.String)
        elif kind != pl.String:
            raise BadData(f"{self.file}, column {column}: {kind} is no id; expected strings or integers")
        if not optional:
            empty = (values == "") if values.dtype == pl.String else pl.Series([False]).new_from_index(0, len(values))
            self.refuse(values.is_null() | empty.fill_null(False), column, "the id is missing")
            if values.dtype == pl.String and self.file.endswith(TEXTUAL):
                self.refuse(values.str.contains("\n", literal=True), column,
                            "the id holds a line break; is a quote never closed?")  # fmt: skip
        self.set(column, values)

    def times(self, column: str, unit: str | None) -> None:
        """int64 microseconds UTC from integers, floats, dates or ISO text. A wrong unit stops everything."""
        values, kind = self.table[column], self.table[column].dtype
        if kind == pl.Date or kind == pl.Datetime:
            self.refuse(values.is_null(), column, "the time is missing")
            self.set(column, values.cast(pl.Datetime("us")).dt.epoch("us"))
            return
        self.refuse(values.is_null(), column, "the time is missing")
        if kind == pl.String:
            values = _parsed_times(values)
            if values.dtype == pl.Datetime:
                self.refuse(values.is_null(), column, lambda v: f"{v!r} is no time; expected microseconds or ISO 8601")
                self.set(column, values.dt.epoch("us"))
                return
            self.refuse(values.is_null(), column, lambda v: f"{v!r} is no time; expected microseconds or ISO 8601")
        elif not kind.is_numeric() and kind != pl.Null:
            raise BadData(f"{self.file}, column {column}: {kind} is no time; expected int64 microseconds since 1970")
        if values.dtype.is_float():
            self.refuse(~values.is_finite(), column, lambda v: f"{v} is no time; expected a finite number")
        if unit is None:
            wrong_unit(values.filter(pl.Series(self.good)), self.file, column)
            factor: float = 1
        else:
            factor = UNITS[unit]
        for other, strays in odd_units(values, unit or "microseconds").items():
            self.refuse(strays, column, lambda v, u=other: f"{v} looks like {u}, among {unit or 'microseconds'}")  # type: ignore[misc]
        if factor < 1:
            values = (values / round(1 / factor)).floor()
        elif factor > 1:
            values = values * int(factor) if values.dtype.is_integer() else (values * factor).round()
        self.set(column, values.cast(pl.Int64, strict=False))

    def numbers_in(self, column: str, kind: pl.DataType | type[pl.DataType]) -> None:
        """Finite numbers in every row."""
        values = self.table[column]
        self.refuse(values.is_null(), column, "is missing; once the column is there every row needs a number")
        if values.dtype == pl.Boolean:
            values = values.cast(pl.Int8)
        if not values.dtype.is_numeric() and values.dtype not in (pl.String, pl.Null):
            raise BadData(f"{self.file}, column {column}: {values.dtype} is no number")
        wide = values.cast(pl.Float64, strict=False)
        self.refuse(wide.is_null(), column, lambda v: f"{v!r} is not a number")
        narrow = wide.cast(pl.Float32) if kind == pl.Float32 else wide
        self.refuse(~narrow.is_finite(), column, lambda v: f"{v} is not a finite number")
        self.set(column, narrow.cast(kind, strict=False))

    def names(self, column: str) -> None:
        """Text in every row."""
        values = self.table[column].cast(pl.String)
        self.refuse(values.is_null(), column, "is missing; once the column is there every row needs a name")
        self.set(column, values)

    def parts(self, column: str) -> None:
        """train, valid or test, as int8."""
        spoken = self.table[column].cast(pl.String).str.strip_chars().str.to_lowercase()
        part = spoken.replace_strict(list(PARTS), list(PARTS.values()), default=None, return_dtype=pl.Int8)
        self.refuse(part.is_null(), column, lambda v: f"{v!r} is no part; expected train, valid or test")
        self.set(column, part)


def interactions(table: pl.DataFrame, file: str, report: Report, unit: str | None = None) -> Checked:
    """The event log with every known column checked and typed; refused rows are in the report, not yet dropped."""
    columns(table, ("user_id", "item_id"), file)
    if unit is not None and unit not in UNITS:
        raise BadData(f"no time unit called {unit!r}; known: {sorted(UNITS)}")
    checked = Checked(table, file, report)
    checked.ids("user_id")
    checked.ids("item_id")
    have = set(table.columns)
    if "timestamp" in have:
        checked.times("timestamp", unit)
    if "order" in have:
        checked.numbers_in("order", pl.Float64)
    if "value" in have:
        checked.numbers_in("value", pl.Float32)
    if "event_type" in have:
        checked.names("event_type")
    if "session_id" in have:
        checked.ids("session_id", optional=True)
    if "split" in have:
        checked.parts("split")
    return checked


def _parsed_times(text: pl.Series) -> pl.Series:
    """Numbers where most values are numbers, else datetimes; null where neither."""
    text = text.str.strip_chars()
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole
    wide = text.cast(pl.Float64, strict=False)
    if wide.null_count() - text.null_count() <= (len(text) - text.null_count()) / 2:
        finite = wide.filter(wide.is_finite())
        return wide if (finite != finite.floor()).any() else whole.fill_null(wide.cast(pl.Int64, strict=False))
    iso = text.str.replace(r"Z$", "+00:00").str.replace(" ", "T", literal=True)
    zoned = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False)
    plain = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.replace_time_zone("UTC")
    day = iso.str.to_datetime("%Y-%m-%d", time_unit="us", strict=False).dt.replace_time_zone("UTC")
    return zoned.fill_null(plain).fill_null(day)


def odd_units(values: pl.Series, unit: str) -> dict[str, pl.Series]:
    """Other unit -> flags of the values that can only be meant in it, where most of the column is plainly in `unit`."""
    middle = values.median()
    if middle is None or not _plausible(unit)[0] <= middle <= _plausible(unit)[1]:  # type: ignore[operator]
        return {}
    low, high = values.min(), values.max()
    if _plausible(unit)[0] <= low and high <= _plausible(unit)[1]:  # type: ignore[operator]
        return {}
    return {other: values.is_between(*_plausible(other)).fill_null(False) for other in UNITS if other != unit}


def _plausible(unit: str) -> tuple[float, float]:
    """1995 and 2100 in ticks of a unit; the ranges of different units do not overlap."""
    scale = 1_000_000 / UNITS[unit]
    return PLAUSIBLE[0] * scale, PLAUSIBLE[1] * scale


def wrong_unit(values: pl.Series, file: str, column: str) -> None:
    """Refuse times that can only be meant in another unit than microseconds.

    The range from 1995 to 2100 in seconds, milliseconds, microseconds and nanoseconds does not overlap; the middle 98 %
    of the values decide, so a handful of odd rows does not hide a wrong column.
    """
    if not len(values):
        return
    low, high = values.quantile(0.01, "nearest"), values.quantile(0.99, "nearest")
    for unit, factor in UNITS.items():
        scale = 1_000_000 / factor  # ticks in a second
        if unit != "microseconds" and _plausible(unit)[0] <= low and high <= _plausible(unit)[1]:  # type: ignore[operator]
            first, last = (datetime.fromtimestamp(v / scale, UTC).date() for v in (low, high))  # type: ignore[operator]
            raise BadData(
                f"{file}, column {column}: {int(low)} to {int(high)} look like {unit} ({first} to {last}); "  # type: ignore[arg-type]
                f"expected microseconds since 1970 UTC. Convert it, or say time_unit='{unit}' (--time-unit {unit})"
            )
