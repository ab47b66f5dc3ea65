"""The words of one catalogue, learnt from its own columns and texts: what can be asked for, and how it is called.

A column of labels (few values, many items each) gives names of values; a column of numbers gives units and words of
direction ("cheap", "longer", "recent"), found by the column's name and by what its numbers look like; titles give
references; texts give the words that may be asked for softly. Nothing here knows films or shops: only English units
and adjectives, and what the catalogue says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np
import polars as pl

from interplay.dialogue.cues import SMALL
from interplay.dialogue.kin import families, kin
from interplay.dialogue.tongue import WORD, closest, plain, stem, stems
from interplay.types import Array, Dataset

HIDDEN = re.compile(r"(^|_)(id|ids|url|uri|link|image|img|seed|embedding|vector|slug|asin|sku)$")
PROSE = re.compile(r"(^|_)(title|name|text|about|description|summary|plot|abstract|overview|headline|review)s?$")
TITLES = ("title", "name", "product_title", "headline")
LABELS = 40_000  # distinct values of a label column, at most
NAMES = 400  # from here on they are names: nobody means one of them by half of it
COMMON = 0.2  # a word in more than this share of all texts says nothing here

# What a numeric column measures, by its name; the first that fits wins. `by` says which words people use of it: a word
# of direction -> -1 for less of it, +1 for more of it. Units are factors to the family's base.
_MONEY = dict.fromkeys(
    ["€", "$", "£", "eur", "euro", "usd", "dollar", "buck", "gbp", "pound", "quid", "chf", "franc"], 1.0
)
_TIME = {"second": 1 / 60, "sec": 1 / 60, "minute": 1.0, "min": 1.0, "hour": 60.0, "hr": 60.0, "h": 60.0, "day": 1440.0}
_WEIGHT = {"g": 1.0, "gram": 1.0, "kg": 1000.0, "kilo": 1000.0, "kilogram": 1000.0, "oz": 28.35, "ounce": 28.35,
           "lb": 453.6, "pound": 453.6}  # fmt: skip
_SIZE = {"mm": 0.1, "cm": 1.0, "centimetre": 1.0, "centimeter": 1.0, "m": 100.0, "metre": 100.0, "meter": 100.0,
         "inch": 2.54, "in": 2.54, "ft": 30.48, "foot": 30.48, "feet": 30.48}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One sort of number: names of columns, units, and the words that point down or up."""

    name: str
    columns: re.Pattern[str]
    units: dict[str, float]
    down: frozenset[str]
    up: frozenset[str]


def _family(name: str, columns: str, units: dict[str, float], down: str, up: str) -> Family:
    return Family(name, re.compile(columns), units, frozenset(down.split()), frozenset(up.split()))


FAMILIES = (
    _family(
        "money",
        r"(^|_)(price|cost|fee|fare|rent|rrp)s?(_|$)",
        _MONEY,
        "cheap affordable inexpensive low-priced",
        "expensive pricey costly dear luxurious",
    ),
    _family(
        "year",
        r"(^|_)(year|released|release_year|vintage)(_|$)",
        {},
        "old classic vintage early",
        "new recent modern late contemporary",
    ),
    _family(
        "time",
        r"(^|_)(runtime|running_time|duration|length|minutes?|mins?|seconds?|hours?)(_|$)",
        _TIME,
        "short brief quick",
        "long lengthy",
    ),
    _family("weight", r"(^|_)(weight|mass|kg|grams?)(_|$)", _WEIGHT, "light lightweight", "heavy"),
    _family(
        "size",
        r"(^|_)(size|height|width|depth|diameter|cm|mm)(_|$)",
        _SIZE,
        "small little tiny compact",
        "big large huge tall wide",
    ),
    _family(
        "rating",
        r"(^|_)(rating|stars?|score|grade)(_|$)",
        {"star": 1.0, "point": 1.0},
        "bad poor",
        "good well-rated acclaimed",
    ),
    _family("pages", r"(^|_)pages?(_|$)", {"page": 1.0}, "short thin", "long thick"),
    _family(
        "players",
        r"(^|_)(players?|persons?|people|seats?)(_|$)",
        {"player": 1.0, "people": 1.0, "person": 1.0, "seat": 1.0},
        "",
        "",
    ),
)
IRREGULAR = {"better": "good", "best": "good", "worse": "bad", "worst": "bad", "dearer": "dear", "older": "old",
             "elder": "old", "lighter": "light", "latest": "late", "younger": "new"}  # fmt: skip


@dataclass(frozen=True)
class Sense:
    """One value of one column: what a word of the catalogue stands for."""

    column: str
    value: str  # as the catalogue writes it
    where: str  # the sentence of cascade/language.py that finds it
    count: int  # items that have it
    several: bool  # an item may have other values of this column too


@dataclass(frozen=True)
class Number:
    """One numeric column: what it measures, in which unit, and how its values lie."""

    column: str
    family: str
    factor: float  # base units of the family in one unit of the column (minutes in a column of hours: 60)
    low: float
    third: float
    middle: float
    twothirds: float
    high: float
    whole: bool = False
    moment: bool = False  # microseconds UTC

    @property
    def units(self) -> dict[str, float]:
        """Words for units of what is measured, in the family's base."""
        return next((f.units for f in FAMILIES if f.name == self.family), {})

    def holds(self, value: float) -> bool:
        """Whether the number could be meant of this column."""
        width = max(self.high - self.low, abs(self.high) * 0.2, 1.0)
        return self.low - 0.5 * width <= value <= self.high + 0.5 * width


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Everything that can be said about one catalogue."""

    senses: dict[tuple[str, ...], tuple[Sense, ...]]
    numbers: tuple[Number, ...]
    titles: dict[tuple[str, ...], tuple[int, ...]]  # stems of a title -> items
    columns: dict[tuple[str, ...], str]  # stems of a column's name -> column
    words: dict[str, int]  # stem in titles and texts -> items that have it
    spelling: dict[str, str]  # stem -> the way it is mostly written
    prose: tuple[str, ...]  # columns of text
    n_items: int
    frame: pl.DataFrame = field(repr=False)

    @staticmethod
    def of(source: Dataset | pl.DataFrame) -> Lexicon:
        """Learn the words of a catalogue; one without columns has none."""
        frame = source if isinstance(source, pl.DataFrame) else source.catalogue
        return _learnt(pl.DataFrame() if frame is None else frame)

    @cached_property
    def longest(self) -> int:
        """Words of the longest name of a value."""
        return max((len(key) for key in self.senses), default=0)

    @cached_property
    def longest_title(self) -> int:
        return min(max((len(key) for key in self.titles), default=0), 12)

    @cached_property
    def known(self) -> frozenset[str]:
        """Every stem that the catalogue uses in a name of a value, a column or a text."""
        return frozenset(chain_words(self.senses)) | frozenset(chain_words(self.columns)) | frozenset(self.words)

    @cached_property
    def _repairs(self) -> tuple[str, ...]:
        """The stems that a slip may be read as: names of values and words of direction, then words of texts."""
        directed = {stem(w) for n in self.numbers for f in FAMILIES if f.name == n.family for w in f.down | f.up}
        often = [w for w, n in self.words.items() if n >= 3 and len(w) > 3]
        return tuple(dict.fromkeys([*chain_words(self.senses), *directed, *often]))

    @cached_property
    def _by_start(self) -> dict[tuple[int, str], tuple[str, ...]]:
        """Words by length and first letter: a slip rarely hits the first letter, other than by swapping it."""
        out: dict[tuple[int, str], list[str]] = defaultdict(list)
        for word in self._repairs:
            out[len(word), word[0]].append(word)
        return {n: tuple(ws) for n, ws in out.items()}

    def near(self, word: str, n: int = 3) -> list[str]:
        """The catalogue's words nearest to one that it does not have, as people write them."""
        typed = stem(plain(word))
        among = [w for d in range(-2, 3) for c in set(typed[:2]) for w in self._by_start.get((len(typed) + d, c), ())]
        return [self.spelling.get(w, w) for w in closest(typed, among, n=n)]

    @cached_property
    def families(self) -> dict[str, list[tuple[Sense, tuple[str, ...]]]]:
        """Values, but no names, with the words of their names, by the first two letters."""
        return families(self.senses.values(), NAMES)

    @cached_property
    def _kin(self) -> dict[tuple[str, ...], tuple[Sense, ...] | None]:
        return {}

    def kin(self, said: tuple[str, ...]) -> tuple[Sense, ...] | None:
        """The value that these words are of one family with ("animated": Animation), if the catalogue bears it out."""
        if said not in self._kin:
            self._kin[said] = kin(self, said)
        return self._kin[said]

    def begins(self, root: str) -> str:
        """What all forms of a word begin with, as texts write them."""
        written = self.spelling.get(root, root)
        shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(root, written, strict=False)))
        return shared if len(shared) > 3 else written

    def common(self, word: str) -> bool:
        """Whether so many texts have the word that it says nothing."""
        return self.words.get(word, 0) > COMMON * max(self.n_items, 1)

    def direction(self, word: str) -> tuple[Number, int, bool] | None:
        """(column, -1 or +1, comparative) of a word like "cheap" or "longer", where the catalogue has such a column."""
        base, compared = _positive(word)
        for number in self.numbers:
            family = next((f for f in FAMILIES if f.name == number.family), None)
            for form in (word, *base):
                if family is not None and form in family.down | family.up:
                    return number, 1 if form in family.up else -1, compared and form != word
        return None

    def number(self, family: str) -> Number | None:
        """The column of a family, if there is one."""
        return next((n for n in self.numbers if n.family == family), None)

    def unit(self, word: str) -> tuple[Number, float] | None:
        """(column, what one such unit is in the column's own unit)."""
        for number in self.numbers:
            for form in (word, word.removesuffix("s"), word.removesuffix("es")):
                if form in number.units:
                    return number, number.units[form] / number.factor
        return None

    def values(self, item: int, column: str) -> list[str]:
        """What the catalogue says of an item in a label column."""
        said = self.frame[column][item] if column in self.frame.columns and item < self.frame.height else None
        if said is None:
            return []
        return [str(v) for v in (said if isinstance(said, pl.Series | list) else [said])]

    def title(self, item: int) -> str:
        column = next((c for c in TITLES if c in self.frame.columns), None)
        said = None if column is None or item >= self.frame.height else self.frame[column][item]
        return f"item {item}" if said is None else str(said)


def chain_words(keys: Iterable[Sequence[str]]) -> Iterable[str]:
    """All words of all keys."""
    for key in keys:
        yield from key


def quoted(column: str) -> str:
    """A column as the language of rules writes it.

    >>> quoted("price"), quoted("unit price")
    ('price', '`unit price`')
    """
    reserved = {"and", "or", "not", "in", "contains", "is", "missing", "null", "true", "false"}
    return column if re.fullmatch(r"[^\W\d]\w*", column) and column not in reserved else f"`{column}`"


def text(value: str) -> str:
    """A text as the language of rules writes it."""
    return "'" + value.replace("'", "''") + "'"


def _positive(word: str) -> tuple[tuple[str, ...], bool]:
    """The forms that a comparative or superlative may come from, and whether it is one."""
    if word in IRREGULAR:
        return (IRREGULAR[word],), True
    for ending in ("est", "er"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            cut = word[: -len(ending)]
            forms = [cut, cut + "e"]
            if cut.endswith("i"):
                forms.append(cut[:-1] + "y")
            if cut.endswith("y"):
                forms.append(cut[:-1] + "ey")
            if len(cut) > 2 and cut[-1] == cut[-2]:
                forms.append(cut[:-1])
            if cut.endswith("i"):
                forms.append(cut[:-1] + "ey")
            return tuple(forms), True
    return (), False


# --------------------------------------------------------------------------------------------------------------------
# Learning


def _learnt(frame: pl.DataFrame) -> Lexicon:
    senses: dict[tuple[str, ...], list[Sense]] = defaultdict(list)
    members: dict[str, frozenset[int]] = {}
    numbers: list[Number] = []
    prose: list[str] = []
    spelling: dict[str, Counter[str]] = defaultdict(Counter)
    label_columns: list[str] = []
    for name in frame.columns:
        series = frame[name]
        if HIDDEN.search(name.lower()) or not len(series):
            continue
        if series.dtype.is_numeric():
            numbers.extend(_measured(name, series))
        elif series.dtype == pl.Boolean:
            _flag(name, series, senses)
            label_columns.append(name)
        elif series.dtype in (pl.String, pl.Categorical, pl.Enum) or series.dtype == pl.List(pl.String):
            labels = None if PROSE.search(name.lower()) else _labels(name, series)
            if labels is None:
                if series.dtype != pl.List(pl.String):
                    prose.append(name)
                continue
            label_columns.append(name)
            for sense, items in labels:
                key = stems(sense.value.replace("_", " "))
                if key:
                    senses[key].append(sense)
                    members[sense.where] = items
                    for w in WORD.findall(plain(sense.value)):
                        spelling[stem(w)][w] += 1000
    words, titles = _texts(frame, prose, spelling)
    numbers.sort(key=lambda n: [f.name for f in FAMILIES].index(n.family) if n.family else len(FAMILIES))
    named = {key: tuple(_distinct(found, members)) for key, found in senses.items()}
    for key, found in _short_names(named, words, len(frame)).items():
        named.setdefault(key, found)
    columns = {stems(c.replace("_", " ")): c for c in (*label_columns, *(n.column for n in numbers))}
    return Lexicon(
        senses=named, numbers=tuple(numbers), titles=titles, columns={k: c for k, c in columns.items() if k},
        words=words, spelling={s: c.most_common(1)[0][0] for s, c in spelling.items()}, prose=tuple(prose),
        n_items=frame.height, frame=frame,
    )  # fmt: skip


def _flag(name: str, series: pl.Series, senses: dict[tuple[str, ...], list[Sense]]) -> None:
    key = stems(name.replace("_", " ").removeprefix("is ").removeprefix("has "))
    if key and series.any():
        senses[key].append(Sense(name, "true", quoted(name), int(series.sum()), False))


def _labels(name: str, series: pl.Series) -> list[tuple[Sense, frozenset[int]]] | None:
    """The values of a label column with their items; None for a column that is no such thing."""
    listed, piped = series.dtype == pl.List(pl.String), False
    if not listed:
        series = series.cast(pl.String)
        piped = bool(series.str.contains("|", literal=True).sum() > series.len() / 4)
        series = series.str.split("|") if piped else series
    rows = pl.DataFrame({"item": np.arange(series.len()), "value": series})
    if listed or piped:
        rows = rows.explode("value")
    rows = rows.filter(pl.col("value").is_not_null() & (pl.col("value").str.strip_chars() != ""))
    if not rows.height:
        return None
    found = rows.group_by("value").agg(pl.col("item"))
    often = rows.height / found.height
    lengths = found["value"].str.len_chars()
    if found.height > LABELS or float(lengths.mean() or 0) > 32 or (often < 1.2 and found.height > 24):  # type: ignore[arg-type]
        return None
    out = []
    for value, items in found.sort("value").iter_rows():
        said, column = text(value), quoted(name)
        where = f"{column} contains {said}" if listed or piped else f"{column} == {said}"
        out.append((Sense(name, value, where, len(items), listed or piped), frozenset(items)))
    return out


def _measured(name: str, series: pl.Series) -> list[Number]:
    """A numeric column as something one may speak of; codes and constants are not."""
    values = series.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
    if len(values) < 3 or values.min() == values.max():
        return []
    whole = bool(np.all(values == np.floor(values)))
    lower = name.lower()
    moment = whole and np.median(values) > 1e14
    family = next((f.name for f in FAMILIES if f.columns.search(lower)), "")
    if moment or (whole and family in ("", "time") and np.mean((values >= 1850) & (values <= 2100)) > 0.95):
        family = "year"
    factor = 1.0
    if family == "time":
        factor = _scale(lower, float(np.median(values)), ((r"sec", 1 / 60), (r"hour|hrs", 60.0), (r"min", 1.0)),
                        (15, 60.0), (1000, 1 / 60))  # fmt: skip
    elif family == "weight":
        factor = _scale(lower, float(np.median(values)), ((r"kg|kilo", 1000.0), (r"gram|_g$", 1.0)), (50, 1000.0), None)
    elif family == "size":
        factor = _scale(lower, float(np.median(values)), ((r"mm", 0.1), (r"inch|_in$", 2.54), (r"cm", 1.0)), None, None)
    low, third, middle, twothirds, high = (float(q) for q in np.quantile(values, [0.01, 1 / 3, 0.5, 2 / 3, 0.99]))
    return [Number(name, family, factor, low, third, middle, twothirds, high, whole, bool(moment))]


def _scale(
    name: str, middle: float, named: Sequence[tuple[str, float]], small: tuple[float, float] | None,
    large: tuple[float, float] | None,
) -> float:  # fmt: skip
    """Base units in one unit of a column: by its name, or by how large its numbers are."""
    for pattern, factor in named:
        if re.search(pattern, name):
            return factor
    if small is not None and middle < small[0]:
        return small[1]
    return large[1] if large is not None and middle > large[0] else 1.0


def _distinct(found: list[Sense], members: dict[str, frozenset[int]]) -> list[Sense]:
    """Senses that find the same items, or a part of another's, are one."""
    out: list[Sense] = []
    for sense in sorted(found, key=lambda s: (-s.count, s.several, s.column)):
        mine = members.get(sense.where)
        if mine is None or not any(mine <= members.get(kept.where, frozenset()) for kept in out):
            out.append(sense)
    return out


def _short_names(
    named: dict[tuple[str, ...], tuple[Sense, ...]], words: dict[str, int], n_items: int
) -> dict[tuple[str, ...], tuple[Sense, ...]]:
    """Names of several words by one of them ("noir" for "Film-Noir"), where no other value has that word; and joined
    ("scifi" for "Sci-Fi")."""
    by_word: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    sizes = Counter(s.column for found in named.values() for s in found)
    out: dict[tuple[str, ...], tuple[Sense, ...]] = {}
    for key in named:
        for word in set(key):
            by_word[word].append(key)
        if len(key) > 1:
            out[("".join(key),)] = named[key]
    for word, keys in by_word.items():
        few = all(sizes[s.column] <= NAMES for s in named[keys[0]])
        if few and len(keys) == 1 and len(keys[0]) > 1 and len(word) > 3 and (word,) not in named:
            count = sum(s.count for s in named[keys[0]])
            head = keys[0][-1] == word
            if word not in (keys[0][0], keys[0][-1]) or word in SMALL:
                continue
            if words.get(word, 0) <= (4 if head else 1.2) * count + 5:  # the word means this value and little else
                out[(word,)] = named[keys[0]]
    return out


def _texts(
    frame: pl.DataFrame, prose: Sequence[str], spelling: dict[str, Counter[str]]
) -> tuple[dict[str, int], dict[tuple[str, ...], tuple[int, ...]]]:
    """How many items have each stem in a text, and the items of each title."""
    words: Counter[str] = Counter()
    titles: dict[tuple[str, ...], list[int]] = defaultdict(list)
    if not prose:
        return {}, {}
    named = next((c for c in TITLES if c in prose), None)
    for row in frame.select(prose).iter_rows():
        seen: set[str] = set()
        for value in row:
            if value:
                seen.update(w for w in WORD.findall(plain(str(value))[:4000]) if not w.isdigit())
        mine = {stem(w) for w in seen}
        words.update(mine)
        for w in seen:
            spelling[stem(w)][w] += 1
    if named is not None:
        for item, title in enumerate(frame[named].to_list()):
            for form in _title_forms(str(title or "")):
                titles[form].append(item)
    return dict(words), {k: tuple(v) for k, v in titles.items()}


def _title_forms(title: str) -> set[tuple[str, ...]]:
    """A title as people say it: without the year and what stands in brackets, articles in front or not at all."""
    bare = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", title).strip()
    moved = re.sub(r"^(.*), (the|a|an|les?|la|il|der|die|das)$", r"\2 \1", bare, flags=re.I)
    forms = {stems(bare), stems(moved), stems(re.sub(r"^(the|a|an) ", "", moved, flags=re.I))}
    return {f for f in forms if f}


def shares(lexicon: Lexicon, column: str) -> Array:
    """float64[n]: values of a numeric column, NaN where there is none."""
    series: Any = lexicon.frame[column].cast(pl.Float64).fill_null(float("nan"))
    return np.asarray(series.to_numpy(), np.float64)
