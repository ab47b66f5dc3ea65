"""What may be shown: sentences over catalogue columns become masks over items, shared by the requests that say them.

The sentences are those of `language.py`. Their meaning is two-valued: a comparison with a missing value (null, NaN) is
false; `!=` and `not in` are the exact opposites of `==` and `in`. Text is compared without regard to case.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from interplay.cascade.language import Comparison, Either, Every, Not, Rule, parse
from interplay.errors import BadData, BadSetting, TooLarge, UnknownName, nearest
from interplay.types import Array, Dataset, Id, Ids, Ragged, RuleSet

KEPT = 256  # masks remembered by a catalogue
WIDEST = 2048  # different masks in one batch


class Catalogue:
    """Catalogue columns made ready for rules; remembers the masks it has made.

    >>> shop = Catalogue(pl.DataFrame({"price": [9.0, None, 30.0], "maker": ["Hale", "Norr", None]}))
    >>> shop.mask("price < 20 or maker == 'norr'").tolist()
    [True, True, False]
    """

    def __init__(self, frame: pl.DataFrame | None, items: Ids | None = None) -> None:
        self.frame, self.items = frame, items
        self._columns: dict[str, tuple[str, pl.Series]] = {}
        self._masks: OrderedDict[tuple[str, bool], Array] = OrderedDict()
        self.codes: dict[str, Array] = {}  # column -> labels as codes, of those that pages were arranged by

    @staticmethod
    def of(source: Catalogue | Dataset | pl.DataFrame | None) -> Catalogue:
        if isinstance(source, Catalogue):
            return source
        if not isinstance(source, Dataset):
            return Catalogue(source)
        if source not in _MADE:
            _MADE[source] = Catalogue(source.catalogue, source.items)
        return _MADE[source]

    def index(self, ids: Sequence[Id]) -> Array:
        """int32[]: sorted indices of the external ids that are known."""
        if self.items is None:
            raise BadSetting("external ids need the data set that knows them; pass the Dataset, or a Ragged of indices")
        found = np.unique(self.items.index(ids))
        return found[found >= 0]

    def among(self, items: Array) -> Array:
        """bool[n_items]: True for the given items."""
        if self.items is None and self.frame is None:
            raise BadData("allow needs to know how many items there are; pass a Dataset or a catalogue")
        size = len(self.items) if self.items is not None else 0 if self.frame is None else len(self.frame)
        out = np.zeros(size, bool)
        out[items[(items >= 0) & (items < len(out))]] = True
        return out

    def mask(self, where: str, *, strict: bool = True) -> Array:
        """bool[n_items]: True where the sentence holds. `strict` refuses text values that the column does not have."""
        held = self._masks.get((where, strict))
        if held is None:
            held = self._met(parse(where), where, strict)
            held.flags.writeable = False
            self._masks[where, strict] = held
            if len(self._masks) > KEPT:
                self._masks.popitem(last=False)
        else:
            self._masks.move_to_end((where, strict))
        return held

    def _met(self, rule: Rule, where: str, strict: bool) -> Array:
        if isinstance(rule, Not):
            return ~self._met(rule.part, where, strict)
        if isinstance(rule, Every | Either):
            join = np.logical_and if isinstance(rule, Every) else np.logical_or
            return join.reduce([self._met(part, where, strict) for part in rule.parts])
        kind, series = self._column(rule, where)
        if rule.op == "missing":
            return series.is_null().to_numpy()
        assert self.frame is not None
        reason = _Reason(where, rule, self.frame[rule.column], strict)
        if kind not in _TESTS:
            raise reason.wrong(
                kind, "text, numbers, dates, true and false or lists; of this only 'is missing' can be asked"
            )
        return _TESTS[kind](series, rule, reason).fill_null(False).to_numpy()

    def _column(self, rule: Comparison, where: str) -> tuple[str, pl.Series]:
        """The column as numbers, text, flags, moments or lists of text or numbers; missing values are null."""
        if self.frame is None:
            raise BadData(f"rule {where!r} speaks of {rule.column!r}, but there is no catalogue; add an items table")
        if rule.column not in self._columns:
            if rule.column not in self.frame.columns:
                close = nearest(rule.column, self.frame.columns) or self.frame.columns
                raise UnknownName(
                    f"rule {where!r}: no column {rule.column!r} at character {rule.at + 1}; nearest: {close}"
                )
            self._columns[rule.column] = _ready(self.frame[rule.column])
        return self._columns[rule.column]


_MADE: WeakKeyDictionary[Dataset, Catalogue] = WeakKeyDictionary()  # one for each data set, as long as that lives


def _ready(series: pl.Series) -> tuple[str, pl.Series]:
    kind = series.dtype
    if kind.is_float():
        return "numbers", series.fill_nan(None)
    if kind.is_integer():
        return "numbers", series.cast(pl.Float64 if kind == pl.UInt64 else pl.Int64)
    if kind.is_decimal():
        return "numbers", series.cast(pl.Float64)
    if kind == pl.Boolean:
        return "flags", series
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return "text", series.cast(pl.String).str.to_lowercase()
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if kind.is_temporal() and kind in (pl.Date, pl.Datetime):
        return "moments", series.cast(pl.Datetime("us"))
    if isinstance(kind, pl.List | pl.Array) and kind.inner is not None:
        series = series if isinstance(kind, pl.List) else series.arr.to_list()
        if kind.inner.is_numeric():
            return "lists of numbers", series.cast(pl.List(pl.Float64))
        if kind.inner in (pl.String, pl.Categorical, pl.Enum):
            return "lists of text", series.list.eval(pl.element().cast(pl.String).str.to_lowercase())
    return f"{kind}", series


@dataclass(frozen=True)
class _Reason:
    """What a refusal needs to know."""

    where: str
    rule: Comparison
    column: pl.Series
    strict: bool

    def wrong(self, holds: str, expected: str) -> BadSetting:
        said = f"{self.rule.op} {', '.join(map(repr, self.rule.values))}"
        return BadSetting(
            f"rule {self.where!r}: {self.rule.column!r} holds {holds}; found {said} at character {self.rule.at + 1}; "
            f"expected {expected}"
        )

    def known(self, values: Sequence[str]) -> None:
        """Refuse texts that the column never holds, if that is asked for."""
        if not self.strict:
            return
        column = self.column.explode() if isinstance(self.column.dtype, pl.List | pl.Array) else self.column
        held = {name.lower(): name for name in column.drop_nulls().cast(pl.String).unique().to_list()}
        absent = [v for v in values if v not in held]
        if absent:
            close = [held[name] for name in nearest(absent[0], held)] if len(held) <= 5000 else []
            hint = f"nearest: {close}" if close else f"it holds {sorted(held.values())[:5]}, ..."
            raise UnknownName(f"rule {self.where!r}: no {self.rule.column} is {absent[0]!r}; {hint}")


def _numbers(series: pl.Series, rule: Comparison, reason: _Reason) -> pl.Series:
    values = rule.values
    if series.dtype == pl.Int64 and all(isinstance(v, str) for v in values):  # times are kept as microseconds UTC
        values = tuple(_microseconds(v) for v in values)
    if rule.op == "contains" or any(isinstance(v, bool | str | None) for v in values):
        raise reason.wrong("numbers", "a number, as in price < 20")
    if series.dtype == pl.Float32:  # 9.99 means the nearest number that the column can hold
        series, values = series.cast(pl.Float64), tuple(float(np.float32(v)) for v in values)
    if rule.op in ("==", "in"):
        return _any(series == v for v in values)
    return _ordered(series, rule.op, values[0])


def _text(series: pl.Series, rule: Comparison, reason: _Reason) -> pl.Series:
    if rule.op not in ("==", "in", "contains") or not all(isinstance(v, str) for v in rule.values):
        raise reason.wrong("text", "== in or contains with text in quotes")
    values = [v.lower() for v in rule.values]
    if rule.op == "contains":
        return series.str.contains(values[0], literal=True)
    reason.known(values)
    return series.is_in(values)


def _flags(series: pl.Series, rule: Comparison, reason: _Reason) -> pl.Series:
    if rule.op not in ("==", "in") or not all(isinstance(v, bool) for v in rule.values):
        raise reason.wrong("true and false", "its name alone, or == true")
    return _any(series == v for v in rule.values)


def _moments(series: pl.Series, rule: Comparison, reason: _Reason) -> pl.Series:
    if rule.op == "contains":
        raise reason.wrong("dates", "a comparison, as in added >= '2024-05-01'")
    moments = [_moment(v) for v in rule.values]
    if any(m is None for m in moments):
        raise reason.wrong("dates", "a date in quotes: '2024-05-01' or '2024-05-01T12:30'")
    if rule.op in ("==", "in"):
        return _any(series == m for m in moments)
    return _ordered(series, rule.op, moments[0])


def _moment(value: Any) -> datetime | None:
    """The moment that an ISO text names, UTC without saying so; None when it names none."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _microseconds(value: str) -> int | None:
    moment = _moment(value)
    return None if moment is None else (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _lists(series: pl.Series, rule: Comparison, reason: _Reason, kind: type | tuple[type, ...], said: str) -> pl.Series:
    right = all(isinstance(v, kind) and (kind is str or not isinstance(v, bool)) for v in rule.values)
    if rule.op not in ("contains", "in") or not right:
        raise reason.wrong(f"lists of {said}", f"contains and a value, or in and a list of {said}")
    values = [v.lower() if isinstance(v, str) else float(v) for v in rule.values]
    if kind is str:
        reason.known([str(v) for v in values])
    return _any(series.list.contains(v).fill_null(False) for v in values)


def _any(tests: Iterator[pl.Series]) -> pl.Series:
    first, *rest = tests
    for test in rest:
        first = first | test
    return first


def _ordered(series: pl.Series, op: str, value: Any) -> pl.Series:
    return {"<": series.__lt__, "<=": series.__le__, ">": series.__gt__, ">=": series.__ge__}[op](value)


_TESTS: dict[str, Callable[[pl.Series, Comparison, _Reason], pl.Series]] = {
    "numbers": _numbers,
    "text": _text,
    "flags": _flags,
    "moments": _moments,
    "lists of text": lambda s, rule, reason: _lists(s, rule, reason, str, "text"),
    "lists of numbers": lambda s, rule, reason: _lists(s, rule, reason, (int, float), "numbers"),
}


# --------------------------------------------------------------------------------------------------------------------
# From sentences, exclusions and permissions to the rules of a batch


def compile_rules(
    source: Catalogue | Dataset | pl.DataFrame | None,
    n: int,
    *,
    where: str | Sequence[str | Sequence[str] | None] | None = None,
    exclude: Sequence[Id] | Ragged | None = None,
    allow: Sequence[Id] | Ragged | None = None,
    withhold_seen: bool = True,
    strict: bool = True,
) -> RuleSet:
    """The rules of a batch of n requests; what several say is worked out once.

    `where` is one sentence for all, or for each request a sentence, several, or None. `exclude` (never shown) and
    `allow` (nothing else is shown) are external ids for all, or a Ragged of item indices with a row for each request;
    an id nobody knows is ignored. `strict` refuses text values that a column does not hold and offers the nearest.
    """
    catalogue = Catalogue.of(source)
    places: dict[Any, int] = {}
    masks: list[Array] = []
    names: list[str] = []

    def numbered(key: Any, name: str, make: Callable[[], Array]) -> int:
        if key not in places:
            if len(masks) >= WIDEST:
                raise TooLarge(f"more than {WIDEST} different rules in one batch; split the batch")
            places[key] = len(masks)
            masks.append(make())
            names.append(name)
        return places[key]

    def spoken(sentence: str) -> int:
        said = sentence.strip()
        return numbered(said, said, lambda: catalogue.mask(said, strict=strict))

    def among(items: Array, shown: bool) -> int:
        name = f"{'' if shown else 'not '}one of {len(items)} given items"
        return numbered((shown, items.tobytes()), name, lambda: catalogue.among(items) == shown)

    shared: list[int] = []
    own: list[list[int]] | None = None
    if isinstance(where, str):
        shared.append(spoken(where))
    elif where is not None:
        _counted("where", where, n)
        own = [[spoken(w) for w in ([row] if isinstance(row, str) else row or ())] for row in where]
    if isinstance(allow, Ragged):
        _counted("allow", allow, n)
        given = [among(np.unique(allow.row(i)["item"]), True) for i in range(n)]
        own = [[*row, mask] for row, mask in zip(own or [[]] * n, given, strict=True)]
    elif allow is not None:
        shared.append(among(catalogue.index(allow), True))
    if isinstance(exclude, Ragged):
        _counted("exclude", exclude, n)
    elif exclude is not None and len(exclude):
        shared.append(among(catalogue.index(exclude), False))
    withheld = exclude if isinstance(exclude, Ragged) else None
    if not masks:
        return RuleSet(exclude=withheld, withhold_seen=withhold_seen)
    applied = None if own is None else Ragged.of([list(dict.fromkeys(shared + row)) for row in own], "mask")
    return RuleSet(
        masks=np.stack(masks), names=tuple(names), applied=applied, exclude=withheld, withhold_seen=withhold_seen
    )


def _counted(what: str, given: Any, n: int) -> None:
    if len(given) != n:
        raise BadSetting(f"{what} speaks of {len(given)} requests, the batch holds {n}")


def together(first: RuleSet, second: RuleSet, n: int) -> RuleSet:
    """Both rule sets at once, for a batch of n requests; seen items are withheld if either says so."""
    out = replace(first, withhold_seen=first.withhold_seen or second.withhold_seen)
    if second.masks is not None and len(second.masks):
        if first.masks is None or not len(first.masks):
            out = replace(out, masks=second.masks, names=second.names, applied=second.applied)
        else:
            width = max(first.masks.shape[1], second.masks.shape[1])
            applied = None
            if first.applied is not None or second.applied is not None:
                shift = len(first.masks)
                applied = _side_by_side(_all(first, n), _all(second, n), "mask", shift)
            out = replace(
                out, masks=np.concatenate([_widened(first.masks, width), _widened(second.masks, width)]),
                names=first.names + second.names, applied=applied,
            )  # fmt: skip
    if second.exclude is not None:
        both = second.exclude if first.exclude is None else _side_by_side(first.exclude, second.exclude, "item", 0)
        out = replace(out, exclude=both)
    return out


def _all(rules: RuleSet, n: int) -> Ragged:
    """Which masks hold, written out row by row."""
    if rules.applied is not None:
        return rules.applied
    m = len(rules.masks) if rules.masks is not None else 0
    return Ragged(offsets=np.arange(n + 1) * m, columns={"mask": np.tile(np.arange(m, dtype=np.int32), n)})


def _side_by_side(first: Ragged, second: Ragged, column: str, shift: int) -> Ragged:
    owner = np.concatenate([first.owner, second.owner])
    values: Mapping[str, Array] = {column: np.concatenate([first[column], second[column] + np.int32(shift)])}
    return Ragged.grouped(owner, len(first), **values)


def _widened(masks: Array, width: int) -> Array:
    """Items that came after the masks were made pass, as everywhere."""
    return np.pad(masks, ((0, 0), (0, width - masks.shape[1])), constant_values=True)
