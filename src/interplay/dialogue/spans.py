"""A sentence with its parts marked: cues, values, amounts, directions, references, titles, words of texts, slips.

Marks never overlap. What is surer is marked first: quotes, names of several words, amounts, cues, references, single
names, directions, titles; what is left over is a word of the catalogue's texts, a slip to repair, or unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from interplay.dialogue.amounts import amounts
from interplay.dialogue.cues import COUNTS, ORDINALS, SMALL, cues, mended
from interplay.dialogue.lexicon import FAMILIES, Lexicon
from interplay.dialogue.tongue import WORD, apart, plain, stem

# A name with a year after it is a title, whether or not the catalogue has it.
DATED = re.compile(
    r"(?<![\w'])[A-Z0-9][\w'’&:.-]*"
    r"(?: (?:[A-Z0-9][\w'’&:.!-]*|of|the|and|a|an|in|to|for|on|with|or|vs\.?|&))* \((?:18|19|20)\d{2}\)"
)
QUOTED = re.compile(r"[\"“”«»„]([^\"“”«»„]{2,80})[\"“”«»„]")
CORRECTED = re.compile(r"([^\W\d_]+)[\s.!?,]*\*([^\W\d_]+)")  # "kettel... *kettle"
_NTH = "|".join(ORDINALS)
_THINGS = r"(?:ones?|items?|things?|results?|films?|movies?|books?|suggestions?|options?)"
REFERENCE = re.compile(
    rf"(?:the )?(?P<run>first|last) (?P<many>two|three|four|five|\d)(?: {_THINGS})?(?!\w)"
    rf"|(?:the )?(?:(?P<nth>{_NTH})|(?P<digits>\d{{1,2}})(?:st|nd|rd|th))"
    rf"(?: {_THINGS}| of (?:these|those|them))?(?![\w])"
    rf"|(?:number|no\.|nr\.?|item|#)\s?(?P<number>\d{{1,2}}|one|two|three|four|five|six|seven|eight|nine|ten)(?![\w])"
    rf"|(?:the )?(?P<last>last|final)(?: {_THINGS}| of (?:these|those|them))(?!\w)|the last(?= but|,|\.|$)"
)
_UNITS = sorted(
    {u for f in FAMILIES for u in f.units if u.isalpha() and len(u) > 1 and u not in ("in", "people", "person", "min")},
    key=len,
    reverse=True,
)
_AROUND = r"(?:(?:under|over|below|above|less than|more than|at most|at least|around|about|up to) )?"
UNMEASURED = re.compile(
    rf"{_AROUND}(?P<sign>[€$£])\s?\d+|{_AROUND}\d+(?:[.,]\d+)?\s?(?P<unit>(?:{'|'.join(_UNITS)})s?)(?!\w)"
)


@dataclass
class Mark:
    """One part of a sentence and what it is."""

    start: int
    end: int
    kind: str  # cue, value, amount, direction, shown, title, text, unknown
    what: Any = None
    cue: str | None = None  # the cue that governs it, once that is known
    governor: Mark | None = field(default=None, repr=False)
    inherited: bool = False  # by coordination: "no war or westerns"
    linked: bool = False  # joined to the mark before it by "or", "and" or a comma
    read: str = ""  # a repaired word, as read


@dataclass
class Marked:
    """A sentence with its marks, in order."""

    text: str
    plain: str
    marks: list[Mark]
    repaired: list[tuple[str, str]]
    unknown: list[str]

    def said(self, start: int, end: int) -> str:
        """The person's own words."""
        return (self.text if len(self.text) == len(self.plain) else self.plain)[start:end].strip(" ,.;:!?")


def marked(
    text: str, lexicon: Lexicon, *, shown: int = 0, known: Callable[[str], bool] | None = None,
    blank: Sequence[tuple[int, int]] = (),
) -> Marked:  # fmt: skip
    """Mark the parts of a sentence; `known` says whether a word that the catalogue lacks is an English one, `shown` is
    how many things a reference may point to, `blank` are parts that were understood already."""
    for m in CORRECTED.finditer(text):
        if apart(plain(m[1]), plain(m[2])) <= 2:
            text = text[: m.start()] + m[2].ljust(m.end() - m.start()) + text[m.end() :]
    flat = plain(text)
    for a, b in blank:
        flat = flat[:a] + " " * (b - a) + flat[b:]
    if known is not None:
        for m in WORD.finditer(flat):
            if len(m[0]) > 4 and not known(m[0]) and stem(m[0]) not in lexicon.known:
                read = mended(m[0])
                flat = flat[: m.start()] + read + flat[m.end() :] if read else flat
    return _Marker(text, flat, lexicon, shown, known).marked()


class _Marker:
    def __init__(self, text: str, flat: str, lexicon: Lexicon, shown: int, known: Callable[[str], bool] | None) -> None:
        self.text, self.plain, self.lexicon, self.shown, self.known = text, flat, lexicon, shown, known
        self.tokens = [(m.start(), m.end(), stem(m[0]), m[0]) for m in _tokens(flat)]
        self.free = [True] * (len(flat) + 1)
        self.marks: list[Mark] = []
        self.repaired: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    def put(self, start: int, end: int, kind: str, what: Any = None) -> bool:
        """Add a mark where nothing is marked yet."""
        if end <= start or not all(self.free[start:end]):
            return False
        self.marks.append(Mark(start, end, kind, what))
        self.free[start:end] = [False] * (end - start)
        return True

    def _a_thing(self, start: int, end: int) -> bool:
        """Whether what could be a cue is a thing of the catalogue here: "a saw"."""
        named = (stem(self.plain[start:end]),) in self.lexicon.senses
        return named and re.search(r"\b(?:an?|the|any|some|no|my) $", self.plain[:start]) is not None

    def _until_taken(self, start: int, end: int) -> int:
        """Where a cue ends whose last words belong to something surer: "sick of the" before "of the 80s"."""
        taken = self.free.index(False, start, end) if not all(self.free[start:end]) else end
        return start + len(self.plain[start:taken].rstrip())

    def marked(self) -> Marked:
        for m in QUOTED.finditer(self.plain):
            self.put(m.start(), m.end(), "title", self._titled(m[1]))
        self._titles(least=1, dated=True)
        for m in DATED.finditer(self.text if len(self.text) == len(self.plain) else ""):
            self.put(m.start(), m.end(), "title", ())
        self._named(several=True)
        self._titles(least=3)
        self._unmeasured()
        for amount in amounts(self.plain, self.lexicon):
            self.put(amount.start, amount.end, "amount", amount)
        self._referred()
        for start, end, kind in cues(self.plain):
            if kind != "seen" or not self._a_thing(start, end):
                self.put(start, self._until_taken(start, end), "cue", kind)
        self._named(several=False)
        self._titles(least=1)
        self._directed()
        self._left_over()
        self.marks.sort(key=lambda m: m.start)
        return Marked(self.text, self.plain, self.marks, self.repaired, self.unknown)

    def _named(self, *, several: bool) -> None:
        """Names of values, the longest first; neighbours written apart or together ("sci fi") are tried too."""
        senses, at = self.lexicon.senses, 0
        while at < len(self.tokens):
            for size in range(min(max(self.lexicon.longest, 2), len(self.tokens) - at), 0, -1):
                if several and size < 2:
                    break
                run = self.tokens[at : at + size]
                if size > 1 and not self._together(run):
                    continue
                key = tuple(t[2] for t in run)
                found = senses.get(key) or (senses.get(("".join(key),)) if size > 1 else None)
                if not found and size < 3 and all(self.free[t[0]] and t[3] not in SMALL and len(t[3]) > 1 for t in run):
                    found = self.lexicon.kin(tuple(t[3] for t in run))
                if found and self.put(run[0][0], run[-1][1], "value", found):
                    at += size - 1
                    break
            at += 1

    def _together(self, run: Sequence[tuple[int, int, str, str]]) -> bool:
        """Whether nothing parts these words; the point after an initial does not."""
        gaps = ((a, self.plain[a[1] : b[0]]) for a, b in pairwise(run))
        return all(not re.search(r"[,.;:!?]", gap) or (gap.strip() == "." and len(a[3]) == 1) for a, gap in gaps)

    def _titles(self, least: int, *, dated: bool = False) -> None:
        """Titles of at least three words as they stand; shorter ones only where they are written as names, or where
        the year follows in brackets (`dated`)."""
        at = 0
        while at < len(self.tokens):
            for size in range(min(self.lexicon.longest_title, len(self.tokens) - at), least - 1, -1):
                run = self.tokens[at : at + size]
                items = self.lexicon.titles.get(tuple(t[2] for t in run))
                if items and self._together(run):
                    year = re.match(r"\s*\((\d{4})\)", self.plain[run[-1][1] :])
                    of_year = tuple(i for i in items if year and year[1] in self.lexicon.title(i))
                    fits = bool(of_year) if dated else self._a_name(run, size)
                    if fits and self.put(
                        run[0][0], run[-1][1] + (year.end() if year else 0), "title", of_year or items
                    ):
                        at += size - 1
                    break
            at += 1

    def _a_name(self, run: Sequence[tuple[int, int, str, str]], size: int) -> bool:
        own = [w for *_, w in run if w not in SMALL]
        if size >= 3:
            return bool(own)
        if len(self.text) != len(self.plain):
            return False
        capital = [self.text[a].isupper() for a, _, _, w in run if w not in SMALL]
        started = run[0][0] == 0 or bool(re.search(r"[.!?]\s*$", self.plain[: run[0][0]]))
        return bool(capital) and all(capital) and (size == 2 or not started)

    def _titled(self, quoted: str) -> tuple[int, ...]:
        return self.lexicon.titles.get(tuple(stem(w) for w in WORD.findall(quoted)), ())

    def _referred(self) -> None:
        if not self.shown:
            return
        for m in REFERENCE.finditer(self.plain):
            places = _places(m, self.shown)
            if self.put(m.start(), m.end(), "shown" if places else "unknown", places or m[0]) and not places:
                self.unknown.append(m[0].strip())

    def _unmeasured(self) -> None:
        """An amount in a unit that nothing here is measured in: named as unknown, with its unit."""
        for m in UNMEASURED.finditer(self.plain):
            if self.lexicon.unit(m["unit"] or m["sign"]) is None and self.put(m.start(), m.end(), "unknown", m[0]):
                self.unknown.append(m[0].strip())

    def _directed(self) -> None:
        for start, end, _, word in self.tokens:
            towards = self.lexicon.direction(word) if self.free[start] else None
            if towards is not None:
                self.put(start, end, "direction", towards)

    def _left_over(self) -> None:
        """Words that nothing has marked: of the texts, slips of the hand, English, or unknown."""
        for start, end, root, word in self.tokens:
            if not self.free[start] or word in SMALL or word[0].isdigit() or len(word) < self._least(start, end):
                continue
            if (root,) in self.lexicon.columns or root in self.lexicon.columns.values():
                continue
            if root in self.lexicon.words:
                if not self.lexicon.common(root):
                    self.put(start, end, "text", root)
                continue
            near = self.lexicon.near(word, 1)
            if near and self.known is not None and self.known(word) and self._far(word, near[0]):
                near = []
            if near:
                self._repair(start, end, word, near[0])
            elif self.known is not None and (self.known(word) or self._made_of(word)):
                self.put(start, end, "text", root)
            elif self.put(start, end, "unknown", word):
                self.unknown.append(word)

    def _least(self, start: int, end: int) -> int:
        """Shorter words are noise, unless they are written as a name."""
        return (
            2 if len(self.text) == len(self.plain) and self.text[start:end].isupper() and not self.text.isupper() else 3
        )

    def _far(self, word: str, near: str) -> bool:
        """An English word is read as another only where one is the other with an ending."""
        short, long = sorted((stem(near), stem(word)), key=len)
        return not (len(short) > 3 and long.startswith(short) and len(long) > len(short))

    def _made_of(self, word: str) -> bool:
        """Whether a word is an English one with an ending of a quality: "gorey", "lampish"."""
        return self.known is not None and any(
            word.endswith(ending) and any(self.known(word[: -len(ending)] + e) for e in ("", "e"))
            for ending in ("ey", "y", "ish", "ful", "esque", "like")
            if len(word) > len(ending) + 2
        )

    def _repair(self, start: int, end: int, word: str, near: str) -> None:
        root = stem(plain(near))
        found = self.lexicon.senses.get((root,))
        towards = self.lexicon.direction(near)
        kind, what = ("value", found) if found else ("direction", towards) if towards else ("text", root)
        if self.put(start, end, kind, what):
            self.marks[-1].read = near
            self.repaired.append((word, near))


def _tokens(flat: str) -> list[re.Match[str]]:
    return list(WORD.finditer(flat))


def _places(m: re.Match[str], shown: int) -> tuple[int, ...]:
    """Which of the shown things a reference points to, from 0; none when it points past the end."""
    if m["run"]:
        many = COUNTS[m["many"]] if m["many"] in COUNTS else int(m["many"])
        return tuple(range(min(many, shown)) if m["run"] == "first" else range(max(shown - many, 0), shown))
    if m["nth"]:
        place = ORDINALS[m["nth"]]
    elif m["digits"]:
        place = int(m["digits"]) - 1
    elif m["number"]:
        place = (COUNTS[m["number"]] if m["number"] in COUNTS else int(m["number"])) - 1
    else:
        place = shown - 1
    return (place,) if 0 <= place < shown else ()
