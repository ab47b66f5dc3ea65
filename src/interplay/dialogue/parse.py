"""The built-in parser: one command becomes typed wishes, without a text model.

A sentence is marked (`spans.py`), and every named thing gets the cue that governs it (`clauses.py`). A cue and a thing
make a wish: wanted or not, hard or soft, a sentence over columns where the catalogue can check it.

What cannot be read changes nothing and is named, with the catalogue's nearest words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from interplay.data.encode import english
from interplay.dialogue import leaning as meaning
from interplay.dialogue.acts import acts_of, is_question
from interplay.dialogue.amounts import Amount
from interplay.dialogue.clauses import NEGATIVE, Clause, beside, decade, governed
from interplay.dialogue.cues import ALSO, ALWAYS, DRIFT, INSTEAD, RESET, SMALL, TODAY, TURN, UNDO
from interplay.dialogue.lexicon import Lexicon, Number, Sense, quoted, shares, text
from interplay.dialogue.said import ALWAYS as LASTS_ALWAYS
from interplay.dialogue.said import TODAY as LASTS_TODAY
from interplay.dialogue.said import VISIT, Mention, Parsed, Proposed, TakenBack
from interplay.dialogue.spans import Mark, Marked, marked
from interplay.dialogue.tongue import WORD, plain
from interplay.types import Wish

LONGEST = 600  # characters of one command that are read


def parse(
    said: str,
    lexicon: Lexicon,
    *,
    shown: Sequence[int] = (),
    standing: Sequence[Wish] = (),
    known: Callable[[str], bool] | None = None,
    leaning: Callable[[str], str | None] | None = None,
) -> Parsed:
    """What a command says about this catalogue.

    `shown` are the items on the page in its order, for "the second one"; `standing` the wishes that hold, for "never
    mind the price"; `known` says whether a word that the catalogue lacks is English, so that it may be weighed by
    meaning (without it such a word is unknown); `leaning` says which way a sentence leans in which no cue was found.
    `reader` makes the last two from what is installed.
    """
    said = said[:LONGEST]
    flat = plain(said)
    if not WORD.search(flat):
        return Parsed(text=said)
    if UNDO.match(flat):
        return Parsed(text=said, acts=("undo",), undo=True)
    reset, drift = list(RESET.finditer(flat)), list(DRIFT.finditer(flat))
    strong = [m for m in drift if not re.match(r"(?:actually|now|for a change)", m[0])]
    sentence = marked(said, lexicon, shown=len(shown), known=known, blank=[m.span() for m in reset + strong])
    clauses = governed(sentence, leaning)
    reader = _Reader(sentence, lexicon, shown, standing, clauses)
    wishes, back = reader.wishes(), reader.taken_back
    manner = "also" if ALSO.search(flat) else "instead" if drift or INSTEAD.search(flat) else "add"
    lasts = LASTS_ALWAYS if ALWAYS.search(flat) else LASTS_TODAY if TODAY.search(flat) else VISIT
    wishes = [replace(w, manner=manner, lasts=lasts) for w in wishes]
    mentions = tuple(reader.mentions())
    nothing = not (wishes or back or reset or strong or mentions) and not flat.rstrip().endswith("?")
    near = tuple(dict.fromkeys(n for w in sentence.unknown for n in lexicon.near(w)))
    return Parsed(
        text=said, wishes=tuple(wishes), taken_back=tuple(back), reset=bool(reset),
        drift=not reset and (bool(strong) or (TURN.search(flat) is not None and any(w.wish.wanted for w in wishes))),
        mentions=mentions, repaired=tuple(sentence.repaired),
        unknown=tuple(sentence.unknown), near=near or (_examples(lexicon) if nothing else ()),
        acts=acts_of(
            flat, wishes=bool(wishes), back=bool(back), reset=bool(reset), mentions=mentions, shown=bool(shown)
        ),
    )  # fmt: skip


def reader(lexicon: Lexicon) -> Callable[..., Parsed]:
    """`parse` with this lexicon and, where the extra `text` is installed, with MiniLM's words and meaning."""
    words = english()
    more: dict[str, Any] = {"known": words.__contains__, "leaning": meaning.leaning} if words else {}
    return partial(parse, lexicon=lexicon, **more)


def _examples(lexicon: Lexicon, n: int = 3) -> tuple[str, ...]:
    """Some words that would have been understood: values that many items have, each of another column."""
    best: dict[str, tuple[int, str]] = {}
    for key, senses in lexicon.senses.items():
        sense = senses[0]
        if len(key) == 1 and sense.value != "true" and sense.count > best.get(sense.column, (0, ""))[0]:
            best[sense.column] = (sense.count, sense.value.replace("_", " ").lower())
    return tuple(value for _, value in sorted(best.values(), reverse=True)[:n])


# --------------------------------------------------------------------------------------------------------------------
# From governed things to wishes


class _Reader:
    def __init__(
        self, sentence: Marked, lexicon: Lexicon, shown: Sequence[int], standing: Sequence[Wish], clauses: list[Clause]
    ) -> None:  # fmt: skip
        self.sentence, self.lexicon, self.shown, self.standing = sentence, lexicon, shown, standing
        self.clauses, self.taken_back = clauses, list[TakenBack]()
        self.positive = any(m.cue in ("want", "rather", "must") for c in clauses for m in c.things)
        self.words = len(WORD.findall(sentence.plain))
        self.measured = {m.what.number.column for c in clauses for m in c.things if m.kind == "amount"}
        self.reference = next((m for c in clauses for m in c.things if m.kind in ("shown", "title")), None)
        self.settled = _bounded(clauses)

    def wishes(self) -> list[Proposed]:
        """Every wish of the sentence; takes note of what is taken back on the way."""
        out: list[Proposed] = []
        linked: list[bool] = []
        for clause in self.clauses:
            self._columns_taken_back(clause)
            if is_question(self.sentence.plain, clause.start, clause.end):
                continue
            for group in self._groups(clause):
                made = self._wish(group)
                for wish in made:
                    out.append(wish)
                    linked.append(group[0].linked)
        return _alternatives(out, linked)

    def mentions(self) -> list[Mention]:
        """Everything that was named, with its polarity."""
        out = []
        for clause in self.clauses:
            for mark in clause.named:
                if mark.kind in ("text", "unknown") and mark.cue is None:
                    continue
                kind = mark.what[0].column if mark.kind == "value" else "text" if mark.kind == "unknown" else mark.kind
                items = tuple(mark.what) if mark.kind == "title" else tuple(self._items(mark))
                out.append(
                    Mention(
                        text=self.sentence.said(mark.start, mark.end),
                        kind=kind,
                        wanted=self._wanted(mark, clause),
                        items=items,
                    )
                )
        return out

    def _wanted(self, mark: Mark, clause: Clause) -> bool | None:
        """Whether a named thing is wanted; None where it is only asked about, seen or spoken of."""
        if mark.cue == "seen" or is_question(self.sentence.plain, clause.start, clause.end):
            return None
        if mark.cue in (*NEGATIVE, "forget"):
            return False
        if mark.cue == "observe":
            return False if self.positive else None
        return True

    def _groups(self, clause: Clause) -> list[list[Mark]]:
        """Things of one noun phrase: "90s comedies", "lamps made of glass". Bounds stand alone unless unwanted."""
        groups: list[list[Mark]] = []
        for mark in clause.things:
            last = groups[-1][-1] if groups else None
            if (
                last is not None
                and last.governor is mark.governor
                and last.cue == mark.cue
                and self._one_phrase(last, mark)
            ):
                groups[-1].append(mark)
            else:
                groups.append([mark])
        return groups

    def _one_phrase(self, a: Mark, b: Mark) -> bool:
        between = WORD.findall(self.sentence.plain[a.end : b.start])
        if any(w not in SMALL for w in between) or len(between) > 4:
            return False
        pair = {a.kind, b.kind}
        if "shown" in pair or "title" in pair:
            return False
        if pair == {"text"}:
            return True
        if "text" in pair:
            return False
        loose = [m for m in (a, b) if m.kind == "amount" and not decade(m.what)]
        return not loose or a.cue in NEGATIVE

    def _wish(self, group: list[Mark]) -> list[Proposed]:
        cue = group[0].cue
        if cue == "seen":
            return []
        if cue == "observe":
            cue = "no" if self.positive else "rather not"
        if cue in ("forget", "fine"):
            if self._take_back(group, cue) or cue == "forget":
                return []
            cue = "rather"
        first = group[0]
        if first.kind in ("shown", "title"):
            return self._like(first, cue)
        if first.kind == "text":
            return self._meant(group, cue)
        if cue in ("like", "unlike"):
            cue = "rather" if cue == "like" else "rather not"
        wanted = cue not in NEGATIVE
        hard = cue in ("no", "must", "want", None)
        if cue == "rather" and all(m.kind == "amount" and not decade(m.what) for m in group):
            hard = not self._hedged(first)
        parts: list[str] = []
        about: list[str] = []
        values: list[str] = []
        bound = "value"
        for mark in group:
            if mark.kind == "value":
                senses: tuple[Sense, ...] = mark.what
                parts.append(_either([s.where for s in senses]))
                about.extend(s.column for s in senses)
                values.append(senses[0].value)
            elif mark.kind == "amount":
                amount: Amount = mark.what
                parts.append(amount.where)
                about.append(amount.number.column)
                values.append(self.sentence.said(mark.start, mark.end))
                bound = amount.bound if len(group) == 1 and not decade(amount) else bound
            else:
                made = self._directed(mark, cue, alone=len(group) == 1)
                if made is None:
                    continue
                where, wanted_too, hard_too = made
                parts.append(where)
                about.append(mark.what[0].column)
                values.append(self.sentence.said(mark.start, mark.end))
                if len(group) == 1:
                    wanted, hard, bound = wanted_too, hard_too, "high" if "<" in where else "low"
        if not parts:
            return []
        where = " and ".join(f"({p})" if " or " in p else p for p in parts)
        said = self._words(group, cue, wanted)
        if len(group) == 1 and first.kind == "direction" and bound != "value":
            said = f"{said} than {where.split()[-1]}" if said.split()[-1].endswith("er") else said
        wish = Wish(text=said, wanted=wanted, hard=hard, where=where)
        several = any(m.kind == "value" and m.what[0].several for m in group)
        return [
            Proposed(wish=wish, about=tuple(dict.fromkeys(about)), bound=bound, values=tuple(values), several=several)
        ]

    def _hedged(self, mark: Mark) -> bool:
        said = "" if mark.governor is None else self.sentence.plain[mark.governor.start : mark.governor.end]
        return re.match(r"maybe|perhaps|possibly|ideally|prefer|if possible", said) is not None

    def _like(self, mark: Mark, cue: str | None) -> list[Proposed]:
        """A wish to see, or not to see, things like one that was shown or named."""
        items = tuple(self._items(mark))
        wanted = cue not in NEGATIVE
        if not items or (mark.kind == "title" and cue is None and self.words > 8):
            return []
        name = self.sentence.said(mark.start, mark.end) if mark.kind == "title" else self.lexicon.title(items[0])
        wish = Wish(text=f"{'like' if wanted else 'less like'} {name}", wanted=wanted, hard=False, like=items)
        return [Proposed(wish=wish, about=("like",), bound="like", values=tuple(map(str, items)))]

    def _items(self, mark: Mark) -> list[int]:
        if mark.kind == "title":
            return list(mark.what)
        return [int(self.shown[p]) for p in mark.what if p < len(self.shown)] if mark.kind == "shown" else []

    def _meant(self, group: list[Mark], cue: str | None) -> list[Proposed]:
        """A wish in words of the texts, or of English: weighed by meaning, and by the words where texts have them."""
        if (cue is None and self.words > 6) or self._by_the_way(group):
            return []
        words = [str(m.what) for m in group]
        wanted = cue not in NEGATIVE
        has = [w for w in words if self.lexicon.words.get(w, 0) > 0 and len(w) > 3 and self.lexicon.prose]
        where = None
        if len(has) == len(words):
            where = " and ".join(
                _either(
                    [f"{quoted(c)} contains {text(self.lexicon.begins(w))}" for c in self.lexicon.prose], braced=True
                )
                for w in has
            )
        hard = cue == "no" and where is not None
        shown = " ".join(m.read or self.sentence.said(m.start, m.end) for m in group)
        said = (
            self._words(group, cue, wanted)
            if not any(m.read for m in group)
            else f"{'' if wanted else 'no ' if hard else 'less '}{shown}"
        )
        wish = Wish(text=said, wanted=wanted, hard=hard, where=where)
        return [Proposed(wish=wish, about=("text",), bound="text", values=(shown,))]

    def _by_the_way(self, group: list[Mark]) -> bool:
        """Whether words stand in a clause that is about something else: "spend" in "to spend at most 30"."""
        clause = next(c for c in self.clauses if group[0] in c.things)
        others = [m for m in clause.things if m.kind not in ("text", "shown", "title")]
        before = self.sentence.plain[clause.start : group[0].start]
        led = re.search(
            r"\b(?:about|with|without|involving|featuring|on|like|of|no|not|in)(?: (?:the|a|an|any|some))?\s*$", before
        )
        near = [m for m in others if m.kind != "amount"]
        return bool(others) and led is None and not any(beside(m, near, self.sentence) for m in group)

    def _directed(self, mark: Mark, cue: str | None, *, alone: bool) -> tuple[str, bool, bool] | None:
        """(where, wanted, hard) of a word like "cheap" or "longer"; None where an amount already says how much."""
        number, sign, compared = mark.what
        if mark in self.settled or (number.column in self.measured and not compared):
            return None
        governor = "" if mark.governor is None else self.sentence.plain[mark.governor.start : mark.governor.end]
        wanted = cue not in NEGATIVE
        if cue == "rather" and "more" in governor.split():
            compared = True
        if cue == "rather not" and alone:  # less expensive, too long, not so old: the other way
            sign, compared, wanted = -sign, True, True
        if compared:
            value = self._level(number)
            if cue == "no" and alone:
                return f"{quoted(number.column)} {'>' if sign > 0 else '<'} {value:.10g}", False, True
            return f"{quoted(number.column)} {'>' if sign > 0 else '<'} {value:.10g}", True, True
        value = number.twothirds if sign > 0 else number.third
        return f"{quoted(number.column)} {'>=' if sign > 0 else '<='} {value:.10g}", wanted, cue in ("no", "must")

    def _level(self, number: Number) -> float:
        """What "cheaper" is measured against: the thing referred to, or the middle of what is shown, or of all."""
        values = shares(self.lexicon, number.column)
        items = self._items(self.reference) if self.reference is not None else list(self.shown)
        held = [float(values[i]) for i in items if 0 <= i < len(values) and np.isfinite(values[i])]
        return float(np.median(held)) if held else number.middle

    def _take_back(self, group: list[Mark], cue: str) -> bool:
        """Note the standing wishes that these words name; False where none stands."""
        about, values = _named(group, self.sentence)
        if group[0].kind == "shown":
            return False
        noted = TakenBack(
            text=self.sentence.said(group[0].start, group[-1].end), about=about, values=values,
            unwanted_only=cue == "fine",
        )  # fmt: skip
        if cue == "fine" and not any(not w.wanted and _speaks(w, noted) for w in self.standing):
            return False
        self.taken_back.append(noted)
        return True

    def _columns_taken_back(self, clause: Clause) -> None:
        """ "Never mind the price": a column's own name after such a cue."""
        said = [m for m in clause.marks if m.kind == "cue" and m.what == "forget"]
        if not said or clause.things:
            return
        rest = self.sentence.plain[said[-1].end : clause.end]
        for key, column in self.lexicon.columns.items():
            if re.search(rf"\b{re.escape(' '.join(key))}\w{{0,2}}\b", rest):
                self.taken_back.append(TakenBack(text=rest.strip(), about=(column,)))
                return

    def _words(self, group: list[Mark], cue: str | None, wanted: bool) -> str:
        """The person's own words for one wish, short enough for a chip."""
        start, end = group[0].start, group[-1].end
        own = self.sentence.said(start, end)
        if any(m.read for m in group):
            own = " ".join(m.read or self.sentence.said(m.start, m.end) for m in group)
        governor = group[0].governor
        if governor is not None and governor.end <= start and not group[0].inherited:
            said = self.sentence.said(governor.start, end)
            short = len(said) <= 36 and not any(m.read for m in group) and cue in (*NEGATIVE, "must", "rather")
            between = WORD.findall(self.sentence.plain[governor.end : start])
            if (
                short
                and not between
                and re.match(
                    r"no\b|not\b|never|without|less|fewer|more|only|just|nothing|too|anything|everything", said.lower()
                )
            ):
                return said
        if cue in ("want", None, "like", "fine") or (wanted and all(m.kind == "direction" for m in group)):
            return own
        return {"no": "no ", "rather not": "less ", "unlike": "less like ", "must": "only "}.get(cue or "", "") + own


def _bounded(clauses: list[Clause]) -> list[Mark]:
    """ "Nothing older, say from 1990": a number that a word of direction goes with is a bound on its side.

    Gives the words that have said all they say by this; "newer than the second one" is not among them.
    """
    settled = []
    for at, clause in enumerate(clauses):
        near = [m for c in clauses[max(at - 1, 0) : at + 2] for m in c.things if m.kind == "amount"]
        if any(m.kind in ("shown", "title") for m in clause.things):
            continue
        for word in clause.things:
            if word.kind != "direction":
                continue
            number, sign, _ = word.what
            for mark in near:
                guessed = mark.governor is not None and mark.governor.start == mark.governor.end  # by the leaning
                if mark.what.number.column == number.column:
                    settled.append(word)
                    if guessed or mark.cue not in NEGATIVE:
                        mark.what = mark.what.towards((sign > 0) != (word.cue in (*NEGATIVE, "observe")))
                        mark.cue = "must" if mark.cue != "rather" or word.cue == "no" else "rather"
    return settled


def _either(parts: Sequence[str], *, braced: bool = False) -> str:
    joined = " or ".join(dict.fromkeys(parts))
    return f"({joined})" if braced and " or " in joined else joined


def _named(group: list[Mark], sentence: Marked) -> tuple[tuple[str, ...], tuple[str, ...]]:
    about: list[str] = []
    values: list[str] = []
    for mark in group:
        if mark.kind == "value":
            about.append(mark.what[0].column)
            values.append(mark.what[0].value)
        elif mark.kind == "amount":
            about.append(mark.what.number.column)
        elif mark.kind == "direction":
            about.append(mark.what[0].column)
        else:
            about.append("text")
            values.append(mark.read or sentence.said(mark.start, mark.end))
    return tuple(dict.fromkeys(about)), tuple(values)


def _speaks(wish: Wish, noted: TakenBack) -> bool:
    """Whether a standing wish is about what was named."""
    said = (wish.where or wish.text).lower()
    return all(v.lower() in said or v.lower() in wish.text.lower() for v in noted.values) and (
        bool(noted.values) or any(quoted(c) in said for c in noted.about)
    )


def _alternatives(wishes: list[Proposed], linked: list[bool]) -> list[Proposed]:
    """Wanted values of one column in a list are alternatives: "comedies and dramas" are either."""
    out: list[Proposed] = []
    for wish, joined in zip(wishes, linked, strict=True):
        last = out[-1] if out else None
        if (
            joined and last is not None and last.wish.wanted and wish.wish.wanted and last.wish.hard == wish.wish.hard
            and last.about == wish.about and last.bound == wish.bound == "value" and last.wish.where and wish.wish.where
        ):  # fmt: skip
            both = f"({last.wish.where}) or ({wish.wish.where})"
            told = replace(last.wish, where=both, text=f"{last.wish.text} or {wish.wish.text.removeprefix('rather ')}")
            out[-1] = replace(last, wish=told, values=(*last.values, *wish.values))
        else:
            out.append(wish)
    return out
