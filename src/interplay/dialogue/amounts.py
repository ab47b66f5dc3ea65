"""Amounts in words: "under 2 hours", "between 10 and 20", "€15 or less", "the late 80s", "before 2000".

An amount becomes a range of one numeric column of the catalogue, in that column's own unit. Which column is meant is
said by the unit, by a word of direction ("cheaper than 20"), by the column's name, or by what the number looks like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from interplay.dialogue.cues import COUNTS, DECADES, SMALL
from interplay.dialogue.lexicon import Lexicon, Number, quoted
from interplay.dialogue.tongue import stem

_NUMBER = r"\d+(?:[.,]\d+)?"
_WORDED = "|".join(sorted([*COUNTS, "a hundred", "half an", "an", "a couple of"], key=len, reverse=True))
_AMOUNT = (
    rf"(?P<sign{{0}}>[€$£]\s?)?(?P<number{{0}}>{_NUMBER}|(?:{_WORDED})\b)\s?(?P<unit{{0}}>[€$£]|(?:{{unit}})(?![\w]))?"
)
_IS = r"(?: (?:is|at|of|be|being|=|(?:should|would|must|has to|may|can) be))?"
_BELOW = (
    r"under|below|beneath|less than|fewer than|lower than|smaller than|no more than|not more than|at most"
    r"|max(?:imum)?(?: of)?|maximally|up to|not over|not above|never over|within|before|until|till|by|prior to"
    r"|no later than|not later than|not after|not exceeding|pre|(?:pre|ante)dat(?:ing|es?|ed)|preced(?:ing|es?)"
    r"|capped at|cap (?:it|them|that|this) at"
    r"|the latest|latest|or older than|ending (?:in|at|with)|as far as|as late as|<=?|≤"
    r"|(?:further|farther) back than|back (?:further|farther) than|back (?:past|before|beyond)"
    rf"|(?:upper (?:limit|bound|end)|ceiling|maximum|max|cap){_IS}"
)
_ABOVE = (
    r"over|above|more than|greater than|higher than|at least|min(?:imum)?(?: of)?|no less than|not less than|not under"
    r"|not below|(?:starting|beginning) (?:at|from|with|in)|from|since|after|no earlier than|not before|beyond"
    r"|exceeding|past|post|postdat(?:ing|es?|ed)|as of|>=?|≥|(?:at least )?as (?:new|recent|young) as"
    r"|(?:the )?(?:earliest|oldest)"
    r"|at least (?:from|of)|(?:(?:dat|go)(?:ing|es|e)? )?(?:back )?no (?:further|farther)(?: back)? than"
    r"|at (?:the |its |their )?(?:very )?(?:earliest|oldest)|only from"
    r"|as (?:far back|old|early) as|(?<!me )(?<!us )back to|start(?:s|ing)? (?:at|from|with|in)"
    r"|begin(?:s|ning)? (?:at|from|with|in)"
    r"|this side of|years from"
    rf"|(?:lower (?:limit|bound|end)|floor|minimum|min|starting (?:point|year)){_IS}"
)
_STRICT = re.compile(
    r"under|below|beneath|(?:less|fewer|lower|smaller|more|greater|higher) than|before|prior to|pre"
    r"|(?:pre|ante|post)dat\w+|preced\w+|over|above|after|beyond|exceeding|past|post|[<>]"
    r"|(?:back )?(?:further|farther) (?:back )?than|back (?:past|before|beyond)"
)
# The end of a scale: "the oldest I'd take is 1975" is a bound on the other side.
_MOST = r"(?:(?!best|worst|least|most|rest)\w+est|(?:most|least) \w+|(?:furthest|farthest)(?: back)?)"
_ANY = r"(?:everything|anything|all|whatever|those|ones|what|films|things)(?: (?:that|which|came|comes|made|is|are))*"
_END = r"(?=\W*$|\W*[,;!?.]|\s+(?:and|but|please|thanks|only)\b)"  # "1990 and fewer lamps" says no bound
_AFTER_BELOW = (
    r"or (?:less|below|under|fewer|cheaper|lower|earlier|older|before|shorter|smaller)"
    rf"|and (?:(?:below|under|cheaper|lower|earlier|older|before|shorter|smaller)|(?:less|fewer){_END})"
    r"|at (?:the )?(?:very )?most"
    rf"|at (?:the |its |their )?(?:very )?latest|max(?:imum)?|tops|and no (?:more|later){_END}|or so at (?:the )?most"
    rf"|(?:and|or|plus) {_ANY} (?:before|earlier|older|under|below|cheaper)(?: (?:it|that|then))?"
    r"|(?:is|'s) as (?:new|late|recent|high|far) as"
    r"|(?:is|'s|being) (?:(?:my|the|our) )?(?:absolute )?"
    r"(?:limit|ceiling|cap|maximum|max|most|upper limit|newest|latest)"
)
_AFTER_ABOVE = (
    rf"(?:or so )?(?:or more|and more{_END})"
    r"|(?:or so )?(?:or|and) (?:above|over|later|newer|up|upwards?|after(?:wards?)?|longer|higher|greater|onwards?"
    r"|younger)|upwards?|(?:as |to be )?(?:the|my|our|a) (?:minimum|earliest|oldest|lowest|starting)(?: \w+)?"
    rf"|(?:and|or|plus) {_ANY} (?:after|since|later|newer|onwards?|beyond|above|over)(?: (?:it|that|then))?"
    r"|(?:is|'s) as (?:old|early|low|far back) as|(?:is|'s) old enough"
    r"|onwards?|at least|min(?:imum)?|plus|\+|up(?! to)|forward|on(?=\W*$|\W*[,;!?.]|\s+(?:and|but)\b)"
    r"|(?:and|or) (?:so )?(?:on|beyond|forward|up)|(?:till|until|to|up to|and) (?:now|today|the present|this day|date)"
    r"|at (?:the |its |their )?(?:very )?(?:earliest|oldest|least)"
    r"|(?:is|'s|being) (?:(?:my|the|our) )?(?:absolute )?(?:floor|minimum|min|least|lower limit|oldest|earliest)"
)
_OF = (
    r"(?:(?:those|that|these|ones|what|things?) )?(?:(?:from|of|in|made in|out in)(?: the year)?|the year)"  # than ...
)
_TOP = rf"(?P<most>{_MOST})(?: [\w']+){{0,6}}?(?:(?: (?:is|be|being|are|was)|'s)(?: only| just| about)?|:)"
_LIMIT = r"(?:budget|limit|spend|pay|cost|afford|maximum)"
_ANEW = r"(?!\s+(?:the )?[€$£'\d])"  # "over 20 or before 1990" are two
_SIDELESS = re.compile(r"(?:is|'s|being) .*\blimit")  # of years: which side is said elsewhere, if at all


@dataclass(frozen=True)
class Amount:
    """A range of one column, and the part of the sentence that says it."""

    start: int
    end: int
    number: Number
    low: float | None
    high: float | None
    open_low: bool = False  # the bound itself is outside
    open_high: bool = False
    near: bool = False  # one number, and some room around it
    sided: bool = True  # which side the bound is on was said with it

    @property
    def bound(self) -> str:
        return "both" if self.low is not None and self.high is not None else "low" if self.high is None else "high"

    def towards(self, up: bool) -> Amount:
        """The same number as a lower (`up`) or an upper bound; a real range and a bound whose side was said stay."""
        if self.low is not None and self.high is not None:
            if self.low != self.high and not self.near:
                return self
            value = (self.low + self.high) / 2
        elif self.sided or (self.high is None) == up:
            return self
        else:
            value = self.high if self.low is None else self.low  # type: ignore[assignment]
        return Amount(self.start, self.end, self.number, value if up else None, None if up else value)

    @property
    def where(self) -> str:
        """The sentence of cascade/language.py."""
        parts = []
        if self.low is not None:
            parts.append(
                f"{quoted(self.number.column)} {'>' if self.open_low else '>='} {_said(self.low, self.number)}"
            )
        if self.high is not None:
            parts.append(
                f"{quoted(self.number.column)} {'<' if self.open_high else '<='} {_said(self.high, self.number)}"
            )
        if len(parts) == 2 and self.low == self.high and not (self.open_low or self.open_high):
            return f"{quoted(self.number.column)} == {_said(self.low or 0.0, self.number)}"
        return " and ".join(parts)


def _said(value: float, number: Number) -> str:
    if number.moment:  # a year said of a moment is its first day
        return (
            str(int(datetime(int(value), 1, 1, tzinfo=UTC).timestamp() * 1e6))
            if 1 <= value <= 9999
            else str(int(value))
        )
    return f"{value:.10g}"


def amounts(plain: str, lexicon: Lexicon) -> list[Amount]:
    """Every amount in a plain lower-case sentence, in order; numbers that no column could mean are left alone."""
    if not lexicon.numbers:
        return []
    units = {form for n in lexicon.numbers for u in n.units if u.isalpha() for form in (u, u + "s", u + "es")}
    said = "|".join(sorted(units, key=len, reverse=True)) or "\\Z"

    def amount(k: int) -> str:
        return _AMOUNT.format(k, unit=said)

    found: list[Amount] = [*_decades(plain, lexicon)]
    patterns = (
        rf"(?:(?P<between>between|from|in the range(?: of)?)\s+)?{amount(1)}\s*(?:and|to|-|–|until)\s*{amount(2)}",
        rf"(?:(?P<no>no|not) )?(?P<compared>\w+) than\s+(?:about )?(?:{_OF} )?{amount(1)}",
        rf"(?P<no>no|not) (?P<compared>\w+) (?:\w+ )?than\s+(?:{_OF} )?{amount(1)}",
        rf"(?P<unequal>not|never) (?:quite |nearly )?(?:as|so) (?P<compared>\w+) as\s+(?:{_OF} )?{amount(1)}",
        rf"{_TOP}\s+(?:{_OF} )?{amount(1)}",
        rf"(?P<most>{_MOST})[:,]?\s+(?:{_OF} )?{amount(1)}{_END}",
        rf"{amount(1)}\s*(?P<link>is|being|as|at|'s)?\s+(?:(?:the|its|their|my|our|a) )?(?:very )?"
        rf"(?P<most>{_MOST})(?!\w)",
        rf"(?P<own>\b(?:i|we)(?: only| just)?(?:(?:'ve| have) got| have| got)"
        rf"(?: (?:only|just|about|around|roughly|maybe))*)\s+{amount(1)}",
        rf"(?P<pre>{_BELOW}|{_ABOVE})[\s-]+(?:(?:is|be|being|should be|i(?:'d| would)? (?:go|watch|take) is) )?"
        rf"(?:(?:from|of|in) )?(?:the )?(?:year )?{amount(1)}"
        rf"(?:\s*(?P<post>{_AFTER_BELOW}|{_AFTER_ABOVE})(?!\w){_ANEW})?",
        rf"{amount(1)}\s*(?P<post>{_AFTER_BELOW}|{_AFTER_ABOVE})(?!\w){_ANEW}",
        rf"(?P<about>about|around|roughly|approximately|circa|some|~|close to|near)\s*{amount(1)}",
        amount(1),
    )  # fmt: skip
    for pattern in patterns:
        for match in re.finditer(rf"(?<![\w.,]){pattern}", plain):
            if all(match.end() <= a.start or match.start() >= a.end for a in found):
                made = _made(match, plain, lexicon)
                if made is not None:
                    found.append(made)
    return sorted(found, key=lambda a: a.start)


def _value(text: str) -> float:
    if text[0].isdigit():
        text = text.replace(",", ".") if re.fullmatch(r"\d+,\d{1,2}", text) else text.replace(",", "")
        return float(text)
    return {"a hundred": 100.0, "half an": 0.5, "an": 1.0, "a couple of": 2.0}.get(text) or float(COUNTS[text])


def _made(match: re.Match[str], plain: str, lexicon: Lexicon) -> Amount | None:
    held = match.groupdict()
    values = [_value(held[f"number{k}"]) for k in (1, 2) if held.get(f"number{k}")]
    signs = [(held.get(f"sign{k}") or held.get(f"unit{k}") or "").strip() for k in (1, 2)]
    unit = next((s for s in signs if s), "")
    worded = not match["number1"][0].isdigit()
    compared = held.get("compared") or ""
    towards = lexicon.direction(compared) if compared else None
    if held.get("most"):
        towards = _end_of(held["most"], lexicon)
        if towards is None:
            return None
    if held.get("unequal") and towards is None:
        return None
    if compared and towards is None and f"{compared} than" not in {*_BELOW.split("|"), *_ABOVE.split("|")}:
        return None
    number, factor = _column(values[0], unit, towards[0] if towards else None, match, plain, lexicon)
    if number is None or (worded and not unit):
        return None
    if held.get("most") and (
        towards is None or number != towards[0]
        or not (unit or number.family == "year" or held.get("link") or match.start("most") < match.start("number1"))
    ):  # fmt: skip
        return None  # the ten cheapest
    if held.get("own") and (not unit or number.family not in ("time", "money")):
        return None
    follows = re.match(r"\s*([a-z]+)", plain[match.end() :])
    counted = not unit and number.family != "year" and follows and follows[1] not in SMALL
    if counted and follows and stem(follows[1]) not in lexicon.known:
        return None  # so many of something that this catalogue does not have
    values = [v * factor for v in values]
    if not number.family and not unit and not (held.get("pre") or held.get("post") or held.get("between")):
        return None
    year = number.family == "year"
    if year and not all(1000 <= v <= 2200 for v in values):
        return None
    start, end = match.span()
    if len(values) == 2:
        low, high = min(values), max(values)
        return Amount(start, end, number, low, high)
    value = values[0]
    pre, post = held.get("pre") or "", held.get("post") or ""
    if held.get("most") and towards:
        return Amount(start, end, number, None, value) if towards[1] > 0 else Amount(start, end, number, value, None)
    if held.get("own"):
        return Amount(start, end, number, None, value)
    if held.get("unequal") and towards:
        up = towards[1] < 0
        return Amount(start, end, number, value if up else None, None if up else value, up, not up)
    if compared:
        up = towards[1] > 0 if towards else compared in ("more", "greater", "higher", "later")
        if held.get("no"):  # no longer than: as long, or shorter
            return Amount(start, end, number, None, value) if up else Amount(start, end, number, value, None)
        return (
            Amount(start, end, number, value, None, True)
            if up
            else Amount(start, end, number, None, value, False, True)
        )
    if post:
        up = re.fullmatch(_AFTER_ABOVE, post) is not None
        sided = not (year and _SIDELESS.match(post))
        return Amount(start, end, number, value if up else None, None if up else value, sided=sided)
    if pre:
        if pre == "from" and year and not post:
            return Amount(start, end, number, value, value)
        up = re.fullmatch(_ABOVE, pre) is not None
        strict = _STRICT.fullmatch(pre) is not None
        return (
            Amount(start, end, number, value, None, strict)
            if up
            else Amount(start, end, number, None, value, False, strict)
        )
    if held.get("about"):
        reach = 2.0 if year else 0.2 * value
        return Amount(start, end, number, value - reach, value + reach, near=True)
    if year:
        return Amount(start, end, number, value, value)
    if number.family == "money" and (unit or re.search(_LIMIT, plain)):
        return Amount(start, end, number, None, value)
    if re.search(rf"{_LIMIT}\b[^.;]*$", plain[:start]) and number.family:
        return Amount(start, end, number, None, value)
    return Amount(start, end, number, 0.8 * value, 1.2 * value, near=True) if unit else None


def _end_of(said: str, lexicon: Lexicon) -> tuple[Number, int, bool] | None:
    """(column, -1 or +1, superlative) of "oldest", "most recent", "least expensive", "furthest back"."""
    if said.startswith(("furthest", "farthest")):
        year = lexicon.number("year")
        return None if year is None else (year, -1, True)
    towards = lexicon.direction(said.split()[-1])
    if towards is None or not (towards[2] or " " in said):
        return None
    return (towards[0], -towards[1] if said.startswith("least ") else towards[1], True)


def _column(
    value: float, unit: str, towards: Number | None, match: re.Match[str], plain: str, lexicon: Lexicon
) -> tuple[Number | None, float]:
    """The column meant, and what one unit said is in its own unit."""
    if unit:
        measured = lexicon.unit(unit)
        return measured if measured is not None else (None, 1.0)
    if towards is not None:
        return towards, 1.0
    clause = plain[max(plain.rfind(",", 0, match.start()), 0) : match.end() + 20]
    for key, column in lexicon.columns.items():
        if re.search(rf"\b{re.escape(' '.join(key))}\w{{0,2}}\b", clause):
            for number in lexicon.numbers:
                if number.column == column:
                    return number, 1.0
    year = lexicon.number("year")
    if year is not None and 1850 <= value <= 2100 and float(value).is_integer():
        return year, 1.0
    for number in lexicon.numbers:
        if not number.moment and number.family not in ("year",) and (number.holds(value) or number.family == "money"):
            return number, 1.0
    return None, 1.0


def _decades(plain: str, lexicon: Lexicon) -> list[Amount]:
    year = lexicon.number("year")
    if year is None:
        return []
    words = "|".join(DECADES)
    out = []
    for m in re.finditer(
        rf"(?:from |in |of )?(?:the )?(?:(?P<part>early|mid|late)[ -])?"
        rf"(?:(?P<full>(?:18|19|20)\d0)'?s|'?(?P<short>\d0)'?s|(?P<word>{words}))(?!\w)"
        rf"(?: (?:and|to) (?:(?P<full2>(?:18|19|20)\d0)'?s|'?(?P<short2>\d0)'?s|(?P<word2>{words}))(?!\w))?",
        plain,
    ):
        firsts = _decade(m["full"], m["short"], m["word"])
        lasts = _decade(m["full2"], m["short2"], m["word2"])
        low, high = firsts, (firsts if lasts is None else lasts) + 9  # type: ignore[operator]
        if m["part"] == "early":
            high = low + 3  # type: ignore[operator]
        elif m["part"] == "late":
            low = low + 6  # type: ignore[operator]
        elif m["part"]:
            low, high = low + 3, low + 6  # type: ignore[operator]
        said = next(m.start(g) for g in ("part", "full", "short", "word") if m[g])
        out.append(_decade_bound(plain, (m.start(), said), m.end(), float(low), float(high), year, lexicon))  # type: ignore[arg-type]
    return out


def _decade_bound(
    plain: str, starts: tuple[int, int], end: int, low: float, high: float, year: Number, lexicon: Lexicon
) -> Amount:
    """What the words around a decade, the years `low` to `high`, make of it: a bound, or the decade itself.

    `starts`: of all that says it ("from the 80s"), and of its own name.
    """
    start, before = starts[0], plain[: starts[0]]
    than = re.search(r"(?:\b(?P<no>no|not) )?\b(?P<compared>\w+) than (?:the )?$", before)
    unequal = re.search(r"\b(?:not|never) (?:quite |nearly )?(?:as|so) (?P<compared>\w+) as (?:the )?$", before)
    most = re.search(rf"\b{_TOP}\s+(?:the )?$", before)
    for found in (than, unequal):
        towards = lexicon.direction(found["compared"]) if found else None
        if found and towards is not None and towards[0] == year:
            up = towards[1] > 0
            if found is unequal:  # not as old as the 80s: newer than them
                return Amount(found.start(), end, year, *((None, low - 1) if up else (high + 1, None)))
            if found["no"]:  # no older than the 80s: of the 80s, or newer
                return Amount(found.start(), end, year, *((None, high) if up else (low, None)))
            return Amount(found.start(), end, year, *((high + 1, None) if up else (None, low - 1)))
    if most:
        towards = _end_of(most["most"], lexicon)
        if towards is not None and towards[0] == year:
            return Amount(most.start(), end, year, *((None, high) if towards[1] > 0 else (low, None)))
    said = re.search(rf"(?<![\w-])(?P<pre>{_BELOW}|{_ABOVE})[\s-]+(?:the )?'?$", plain[: starts[1]])
    if said and (
        said["pre"] in ("from", "only from", "within")
        or re.search(r"\b(?:i'm|i am|we're|so|get) $", before[: said.start()])
    ):
        said = None  # "I'm over the 80s" is no bound
    after = re.match(rf"\s*(?P<post>{_AFTER_BELOW}|{_AFTER_ABOVE})(?!\w){_ANEW}", plain[end:])
    if after and not said:
        up = re.fullmatch(_AFTER_ABOVE, after["post"]) is not None
        return Amount(start, end + after.end(), year, low if up else None, None if up else high)
    if said:
        strict = _STRICT.fullmatch(said["pre"]) is not None
        if re.fullmatch(_ABOVE, said["pre"]) is not None:
            return Amount(said.start(), end, year, high + 1 if strict else low, None)
        return Amount(said.start(), end, year, None, low if strict else high, False, strict)
    return Amount(start, end, year, low, high)


def _decade(full: str | None, short: str | None, word: str | None) -> float | None:
    if full:
        return float(full)
    if short or word:
        number = int(short) if short else DECADES[str(word)]
        return float(1900 + number if number >= 30 or word == "twenties" else 2000 + number)
    return None
