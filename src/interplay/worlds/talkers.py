"""Simulated people who bend a feed by talking: they look for one thing, compare it with what they are shown, and say
what is amiss about one or two attributes.

They know the catalogue and the thing they look for; the engine sees only the sentence. What a sentence truly asks is
kept beside it, so that a feed can be judged by what was meant and not by what was understood. The phrasings are those
of `sayings.py`; a typing slip now and then is theirs too. Nobody says the same thing twice in a session.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from interplay.errors import BadSetting
from interplay.types import Array
from interplay.worlds.sayings import HALVES, JOIN, half

NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
SLIPS = 0.03  # of the commands have one
TWO = 0.4  # of the commands speak of two attributes
LIKELY = {"want": 3.0, "only": 0.8, "avoid": 3.0, "less": 0.8, "number": 2.0, "about": 1.0, "like": 1.0, "swap": 1.0}
WORD = re.compile(r"[^\W\d_]{5,}")


@dataclass(frozen=True, kw_only=True)
class Column:
    """How people speak of the values of one column: `one` and `many` hold {} for the value."""

    name: str
    one: str = "{}"
    many: str = "{} things"
    said: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # value -> (one, many), where they are irregular
    only: frozenset[str] | None = None  # values that people speak of; None is all

    def words(self, value: str) -> tuple[str, str]:
        """(a word for the value, words for things that have it)."""
        if value in self.said:
            return self.said[value]
        return self.one.format(value.lower()), self.many.format(value.lower())


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What can be said about one catalogue."""

    columns: tuple[Column, ...]
    price: str = ""  # a column of money, "" for none
    money: str = "{} euros"
    year: str = ""  # a column of years
    text: str = ""  # a column of prose from which subjects are taken


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """One command, and what it truly asks: `must` and `never` are masks over items, bool[n] each, True where it is met
    and True where it is broken."""

    text: str
    kinds: tuple[str, ...]
    must: tuple[Array, ...] = ()
    never: tuple[Array, ...] = ()

    def broken(self, items: Array) -> Array:
        """bool[...]: which of these items break an explicit must or never."""
        out = np.zeros(np.shape(items), bool)
        for mask in self.must:
            out |= ~mask[items]
        for mask in self.never:
            out |= mask[items]
        return out


@dataclass(frozen=True, eq=False)
class _Point:
    """One thing that could be said."""

    kind: str
    gain: float
    key: tuple[str, str]
    slots: Mapping[str, str]
    must: tuple[Array, ...] = ()
    never: tuple[Array, ...] = ()


class Talkers:
    """People of one catalogue; `phrasings` is the half of the sayings they use."""

    def __init__(self, frame: pl.DataFrame, speech: Speech, *, phrasings: str = "test", seed: int = 0) -> None:
        if phrasings not in HALVES:
            raise BadSetting(f"phrasings is {phrasings!r}; expected one of {list(HALVES)}")
        self.frame, self.speech, self.seed, self.lines = frame, speech, seed, half(phrasings)
        self.n = len(frame)
        self.has: dict[tuple[str, str], Array] = {}
        self.of: list[list[tuple[str, str]]] = [[] for _ in range(self.n)]
        for column in speech.columns:
            for item, value in enumerate(frame[column.name].to_list()):
                for one in value if isinstance(value, list) else [value]:
                    if one is None or (column.only is not None and one not in column.only):
                        continue
                    key = (column.name, str(one))
                    self.has.setdefault(key, np.zeros(self.n, bool))[item] = True
                    self.of[item].append(key)
        for name in frame.columns:  # a word that stands for values of two columns means either
            if frame.schema[name] in (pl.String, pl.List(pl.String)) and name != speech.text:
                self._also(name, frame[name].to_list())
        self.columns = {c.name: c for c in speech.columns}
        self.price = _numbers(frame, speech.price)
        self.year = _numbers(frame, speech.year)
        self.subjects = _subjects(frame, speech.text)

    def _also(self, column: str, values: Sequence[object]) -> None:
        """Another column that has the same words: what is meant by such a word is either."""
        named: dict[str, list[tuple[str, str]]] = {}
        for key in self.has:
            if key[0] != column:
                named.setdefault(key[1].lower(), []).append(key)
        for item, value in enumerate(values):
            for one in value if isinstance(value, list) else [value]:
                for key in named.get(str(one).lower(), ()) if one is not None else ():
                    self.has[key][item] = True

    def say(
        self, person: int, turn: int, target: int, shown: Sequence[int], before: Sequence[tuple[str, str]] = (),
        *, also: int | None = None,
    ) -> tuple[Said, list[tuple[str, str]]]:  # fmt: skip
        """What a person says who looks for `target` and is shown these items; `before` is what was said already (given
        back with what is said now). What is said to be never or must is true of `also`, a later target, too."""
        rng = np.random.default_rng([self.seed, person, turn, 1])
        points = [p for p in self._points(target, shown, also, rng) if p.key not in before]
        if not points:
            points = self._last_words(target, before)
        chosen = self._chosen(points, rng)
        texts = [self._phrased(p, rng) for p in chosen]
        text = texts[0] if len(texts) == 1 else JOIN[int(rng.integers(len(JOIN)))].format(a=texts[0], b=texts[1])
        if rng.random() < SLIPS:
            text = _slipped(text, rng)
        said = Said(
            text=text, kinds=tuple(p.kind for p in chosen), must=tuple(m for p in chosen for m in p.must),
            never=tuple(m for p in chosen for m in p.never),
        )  # fmt: skip
        return said, [*before, *(p.key for p in chosen)]

    def turn_to(self, person: int, turn: int, target: int) -> tuple[Said, list[tuple[str, str]]]:
        """What a person says who has changed their mind and now looks for `target`."""
        rng = np.random.default_rng([self.seed, person, turn, 2])
        keys = self.of[target]
        if not keys:
            return Said(text="", kinds=()), []
        key = keys[int(rng.integers(len(keys)))]
        text = self._line("drift", rng).format(**self._words(key))
        return Said(text=text, kinds=("drift",)), [key]

    # ------------------------------------------------------------------------------------------ what could be said

    def _points(self, target: int, shown: Sequence[int], also: int | None, rng: np.random.Generator) -> list[_Point]:
        mine = dict.fromkeys(self.of[target])  # in the catalogue's order: draws must not depend on that of a set
        theirs = {*mine, *(self.of[also] if also is not None else ())}
        items = [i for i in shown if 0 <= i < self.n]
        counts = Counter(key for i in items for key in self.of[i])
        size = max(len(items), 1)
        out: list[_Point] = []
        for key in mine:
            lacking = 1 - counts[key] / size
            words = self._words(key)
            if lacking > 0.2:
                out.append(_Point("want", lacking, key, words))
                if also is None:
                    out.append(_Point("only", lacking, key, words, must=(self.has[key],)))
        for key, count in counts.items():
            if key not in theirs and count / size >= 0.15:
                out.append(_Point("avoid", count / size, key, self._words(key), never=(self.has[key],)))
            if key not in mine and count / size >= 0.15:
                out.append(_Point("less", count / size, key, self._words(key)))
                for own in mine:
                    if own[0] == key[0] and counts[own] / size < 0.8:
                        slots = self._words(own) | {k.replace("v", "w"): v for k, v in self._words(key).items()}
                        out.append(_Point("swap", count / size, key, slots))
        out += self._bounds(target, items, also)
        subjects = self.subjects.get(target, [])
        if subjects:
            word = subjects[int(rng.integers(len(subjects)))]
            out.append(_Point("about", 0.7, ("text", word), {"word": word}))
        near = [
            (len(mine.keys() & set(self.of[i])) / max(len(mine), 1), place)
            for place, i in enumerate(items[:10])
            if i != target
        ]
        if near and max(near)[0] >= 0.5:
            place = max(near, key=lambda x: (x[0], -x[1]))[1]
            slots = {"nth": NTH[place], "k": str(place + 1)}
            out.append(_Point("like", 0.6, ("like", str(items[place])), slots))
        return out

    def _bounds(self, target: int, items: Sequence[int], also: int | None) -> list[_Point]:
        """Limits of price and year that most of the feed breaks and the target keeps."""
        out: list[_Point] = []
        for column, values, group in (("price", self.price, "price"), ("year", self.year, "year")):
            if values is None or not np.isfinite(values[target]) or not items:
                continue
            own = float(values[target])
            others = [own] if also is None or not np.isfinite(values[also]) else [own, float(values[also])]
            feed = values[list(items)]
            high, low = _above(max(others), group), _below(min(others), group)
            over, under = float(np.nanmean(feed > high)), float(np.nanmean(feed < low))
            with np.errstate(invalid="ignore"):
                if over > 0.25:
                    out.append(
                        _Point(
                            f"{group}_most", over, (column, "most"), self._amount(high, group), never=(values > high,)
                        )
                    )
                if under > 0.25:
                    out.append(
                        _Point(
                            f"{group}_least", under, (column, "least"), self._amount(low, group), never=(values < low,)
                        )
                    )
            if group == "year":
                decade = int(own // 10 * 10)
                apart = float(np.nanmean((feed < decade) | (feed > decade + 9)))
                if apart > 0.5 and 1930 <= decade <= 1990:
                    out.append(_Point("decade", apart, (column, "decade"), {"d": f"{decade % 100}s"}))
        return out

    def _amount(self, value: float, group: str) -> dict[str, str]:
        return {"n": self.speech.money.format(f"{value:g}")} if group == "price" else {"y": f"{value:g}"}

    def _last_words(self, target: int, before: Sequence[tuple[str, str]]) -> list[_Point]:
        """When nothing is amiss any more: repeat what the thing is."""
        keys = self.of[target] or [("text", w) for w in self.subjects.get(target, ["it"])]
        return [_Point("want" if k[0] in self.columns else "about", 1.0, k, self._words(k)) for k in keys]

    def _words(self, key: tuple[str, str]) -> dict[str, str]:
        if key[0] not in self.columns:
            return {"word": key[1]}
        one, many = self.columns[key[0]].words(key[1])
        return {"v": one, "vs": many}

    # --------------------------------------------------------------------------------------------------- how it is said

    def _chosen(self, points: Sequence[_Point], rng: np.random.Generator) -> list[_Point]:
        weights = np.array([p.gain * LIKELY.get(p.kind, LIKELY["number"]) for p in points])
        first = points[int(rng.choice(len(points), p=weights / weights.sum()))]
        rest = [(p, w) for p, w in zip(points, weights, strict=True) if p.key[0] != first.key[0]]
        if rest and rng.random() < TWO and first.kind != "swap":
            other = np.array([w for _, w in rest])
            second = rest[int(rng.choice(len(rest), p=other / other.sum()))][0]
            return [first, second]
        return [first]

    def _line(self, group: str, rng: np.random.Generator) -> str:
        lines = self.lines[group]
        return lines[int(rng.integers(len(lines)))]

    def _phrased(self, point: _Point, rng: np.random.Generator) -> str:
        return self._line(point.kind, rng).format(**point.slots)


def _numbers(frame: pl.DataFrame, column: str) -> Array | None:
    if not column:
        return None
    return frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _above(value: float, group: str) -> float:
    """A round limit at or above a value."""
    if group == "year":
        return float(math.ceil((value + 0.5) / 5) * 5)
    step = 1.0 if value < 10 else 5.0 if value < 50 else 10.0
    return math.ceil((value + 0.01) / step) * step


def _below(value: float, group: str) -> float:
    if group == "year":
        return float(math.floor((value - 0.5) / 5) * 5)
    step = 1.0 if value < 10 else 5.0 if value < 50 else 10.0
    return math.floor((value - 0.01) / step) * step


def _subjects(frame: pl.DataFrame, column: str) -> dict[int, list[str]]:
    """Words of each text that few other texts have."""
    if not column:
        return {}
    words = [set(WORD.findall((t or "").lower())) for t in frame[column].to_list()]
    often = Counter(w for ws in words for w in ws)
    most = max(0.01 * len(frame), 3)
    return {i: sorted(w for w in ws if 2 <= often[w] <= most)[:12] for i, ws in enumerate(words)}


def _slipped(text: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters swapped in one of the longer words."""
    found = list(re.finditer(r"[a-z]{6,}", text))
    if not found:
        return text
    m = found[int(rng.integers(len(found)))]
    at = m.start() + 1 + int(rng.integers(m.end() - m.start() - 3))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
