"""Clauses, and the cue that governs each thing that is named in them.

A cue governs what follows it in its clause; where nothing follows, what stands before it ("horror is not for me"); in a
bare list, what follows in the next clauses too ("no war or westerns"). "But" ends a list, a full stop ends everything
except what "them" points back to. Where no cue is found at all, the sentence leans as its nearest examples do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from interplay.dialogue.acts import is_question
from interplay.dialogue.amounts import Amount
from interplay.dialogue.cues import THEM
from interplay.dialogue.leaning import THING
from interplay.dialogue.spans import Mark, Marked
from interplay.dialogue.tongue import WORD

NEGATIVE = ("no", "rather not", "unlike")
WEAK = frozenset(
    ["with", "including", "include", "any", "see", "try", "take", "after", "into", "search", "go", "please"]
)  # they never undo a no before them
# Words that leave a clause no more than what it names.
PLAINLY = frozenset(
    [
        "please",
        "thanks",
        "thank",
        "you",
        "a",
        "an",
        "the",
        "some",
        "any",
        "things",
        "thing",
        "ones",
        "one",
        "and",
        "or",
        "of",
        "by",
        "in",
        "from",
        "with",
        "made",
        "for",
        "me",
        "i",
        "want",
    ]
)
_BE = r"is|are|was|were|'s|would be|seems?|feels?"
THINGS = ("value", "amount", "direction", "shown", "title", "text")
# What stands between two things of which the first is preferred; "to" only after a word that prefers.
OVER = re.compile(
    r"\s*(?:(?:any ?(?:day|time)|always) )?(?:over|above|before|rather than|(?:more|better) than)(?: (?:the|any))?\s*"
)
TO = re.compile(r"\s*(?:films|movies|things|ones|books)?\s*(?:to|than)(?: (?:the|any))?\s*")
PREFERS = re.compile(r".*\b(?:prefer|favou?r|rather|sooner)")
A_BIT = re.compile(r"a (?:bit|tad|touch|litt?le)\b")
THERE = re.compile(r"\s*if (?:there (?:is|are)|you (?:have|'ve got|got)) (?:any|some|one)")
ECHO = re.compile(r"^\W*(?:ditto|same (?:for|with|goes for))\b|\b(?:too|as well|also|likewise|either|same|ditto)\W*$")
FINITE = re.compile(
    r"(?:\w+n't|(?:do|does|did|is|are|was|were|has|have|had|can|will|would) (?:not|never)|cannot|never)\b"
)
HARMLESS = re.compile(
    r"\W*(?:\w+ )?(?:bad|boring|terrible|awful|scare|bother|bore|annoy|disgust|upset|offend|hurt|matter|mind)\w*\b"
)
NO = re.compile(r"(?:please )?(?:no|nope|nah|pass)\b")
COPULA = re.compile(
    r"\s*(?:(?:films?|movies|things|ones|stuff|books|is|are|was|were|has|have|'s|'re|looks?|looked|seems?|seemed|sounds?|feels?|felt|just"
    r"|really|simply|always|usually|often|all|so|also|to be|do|does) ?)*\s*"
)
PLEASANT = re.compile(r"\W*(?:good|great|funny|fun|nice|lovely|precious|beautiful|important)\b(?! enough)")
BREAK = re.compile(
    r"(?P<stop>[.!?;:\n]+(?=\s|$)|\.{2,}|[!?]+|\s[-–]\s)|(?P<but>\b(?:but|though|although|however|yet)\b)"
    r"|(?P<list>,|\band\b|\bor\b|&|/|\bplus\b)"
)


@dataclass
class Clause:
    marks: list[Mark]
    joined: str  # stop, but, list: what stands before it
    start: int
    end: int
    things: list[Mark] = field(default_factory=list)  # what can become a wish
    named: list[Mark] = field(default_factory=list)  # and what cannot, being unknown
    comma: bool = False  # nothing but a comma stands before it


def governed(sentence: Marked, leaning: Callable[[str], str | None] | None) -> list[Clause]:
    """The clauses of a sentence, every named thing with its cue."""
    clauses = _clauses(sentence)
    _govern(clauses, sentence)
    _too(clauses, sentence)
    _of_the_subject(clauses, sentence)
    _preferred(clauses, sentence)
    _echoed(clauses, sentence)
    _shared(clauses)
    _swapped(clauses, sentence)
    if leaning is not None:
        _leant(clauses, sentence, leaning)
    return clauses


def _clauses(sentence: Marked) -> list[Clause]:
    taken = [(m.start, m.end) for m in sentence.marks]
    out, start, joined, comma, marks = [], 0, "stop", False, list(sentence.marks)
    breaks = [b for b in BREAK.finditer(sentence.plain) if all(b.end() <= s or b.start() >= e for s, e in taken)]
    for b in [*breaks, None]:
        end = len(sentence.plain) if b is None else b.start()
        inside = [m for m in marks if start <= m.start < end]
        named = [m for m in inside if m.kind != "cue"]
        out.append(Clause(inside, joined, start, end, [m for m in named if m.kind in THINGS], named, comma))
        if b is not None:
            start, joined, comma = b.end(), str(b.lastgroup), b[0] == ","
    return out


def _govern(clauses: list[Clause], sentence: Marked) -> None:
    """Give every thing its cue."""
    carried: Mark | None = None
    last: list[Mark] = []  # the things of the clause before
    before: list[Mark] = []  # the things of the clauses before, up to a full stop and the sentence after it
    disgust: Mark | None = None  # "ugh", before what it is said of
    for clause in clauses:
        if clause.joined != "list":
            carried = None
        current: Mark | None = None
        pending: list[Mark] = []
        used = True
        for mark in clause.marks:
            if mark.kind == "cue":
                current, used = _stacked(current, used, mark, sentence), False
                if current.what == "yuck":
                    current = Mark(mark.start, mark.end, "cue", "no" if clause.things and not pending else "no after")
                continue
            if current is not None and not str(current.what).endswith("after"):
                mark.cue, mark.governor, used = str(current.what), current, True
                if mark.kind == "value" and A_BIT.match(sentence.plain, current.start):
                    mark.cue = "rather"  # "a little comedy" is asked for, "a little slow" is not
            else:
                pending.append(mark)
        _behind(clause, current, used, pending, sentence)
        if not clause.things and current is not None:
            disgust = current if _disgusted(clause) and (not before or clause.joined == "but") else None
            if disgust is None:
                _points_back(current, clause, before, last, sentence)
            _if_there_is(clause, last, sentence)
        if not any(m.kind == "cue" for m in clause.marks):
            bare = _bare(clause, sentence)
            for mark in pending:
                mark.linked = clause.joined == "list" and bool(before)
                if disgust is not None:  # "ugh, horror"
                    mark.cue, mark.governor = "no", disgust
                elif carried is not None and bare and _carries(carried, before, mark, clause, sentence):
                    mark.cue, mark.governor, mark.inherited = str(carried.what), carried, True
            if any(not m.inherited for m in pending):
                carried = None  # the list has ended: "no war, under 2 hours, after 1990"
        elif clause.things:
            clause.things[0].linked = clause.joined == "list" and bool(before)
            carried = current if used and current is not None else None
        if clause.things:
            last, disgust = clause.things, None
            before = clause.things if clause.joined == "stop" else [*before, *clause.things]


def _bare(clause: Clause, sentence: Marked) -> bool:
    """Whether a clause is no more than an item of a list: what it names, and words that say nothing."""
    spans = [(m.start - clause.start, m.end - clause.start) for m in clause.things if m.kind != "text"]
    texts = {w for m in clause.things if m.kind == "text" for w in WORD.findall(sentence.plain[m.start : m.end])}
    rest = WORD.findall(_without(sentence.plain[clause.start : clause.end], spans))
    return all(w in PLAINLY or w == THING or w in texts for w in rest)


def _carries(carried: Mark, before: list[Mark], mark: Mark, clause: Clause, sentence: Marked) -> bool:
    """Whether a list goes on: "no war or westerns" does, "no war, under 20" does not, and nor does "no red, lamps"."""
    if not before or (before[-1].kind == "amount") != (mark.kind == "amount"):
        return False
    other, gap = before[-1], sentence.plain[before[-1].end : mark.start]
    parted = "," in gap and not re.search(r"\bn?or\b", gap)
    if carried.what == "forget" and clause.comma:
        return False  # "never mind the price, lamps"
    if parted and mark.kind == other.kind == "amount" and mark.what.number.column != other.what.number.column:
        return False  # "nothing over 20, and from 1990 on"
    if parted and re.search(r"\band\b", gap) and re.search(r"\bplease\b", sentence.plain[mark.end : clause.end]):
        return False  # "no war, and comedies please"
    if mark.kind == "direction" and mark.what[2] and other.kind != "direction":
        return False  # "no red, cheaper"
    return not (clause.comma and mark.kind == other.kind == "value" and mark.what[0].column != other.what[0].column)


def _stacked(current: Mark | None, used: bool, mark: Mark, sentence: Marked) -> Mark:
    """The cue that two in a row make: "not only", "don't hide", "show me more", "maybe without"."""
    if current is None:
        return mark
    was, now = current.what, mark.what
    word = sentence.plain[mark.start : mark.end]
    if word.split()[0] in WEAK and was not in ("seen", "observe"):
        return current
    if now == "observe" and not used and word.split("'")[0].split()[0] == "that":
        return current  # nothing that is
    if used:
        return mark
    joint: str | None = None
    if was == "no" and now == "must":
        joint = "want"  # not only
    elif was == "no" and now == "no" and mark.start - current.end <= 1:
        joint = "want" if word.split()[0] not in ("no", "any", "more") else "no"  # don't hide
    elif was == "no" and now == "no after" and FINITE.match(sentence.plain, current.start):
        joint = "rather after"  # doesn't bore me
    elif was in NEGATIVE and now in ("want", "rather", "like"):
        joint = "unlike" if now == "like" else was  # not looking for
    elif was == "must" and now in ("want", "rather"):
        joint = "must"
    elif was == "rather" and now == "want":
        joint = "rather"
    if joint is None:
        return mark
    return Mark(current.start, mark.end, "cue", joint)


def _behind(clause: Clause, current: Mark | None, used: bool, pending: list[Mark], sentence: Marked) -> None:
    """A cue with nothing after it speaks of what stands before it in the clause."""
    if current is None or used:
        return
    kind = str(current.what).removesuffix(" after")
    for mark in clause.things:
        loose = (
            mark in pending or mark.cue in ("observe", "seen", "want", "like") or str(current.what).endswith("after")
        )
        if loose and kind != "observe":
            mark.cue, mark.governor = kind, current


def _points_back(
    current: Mark, clause: Clause, before: list[Mark], last: list[Mark], sentence: Marked
) -> None:  # fmt: skip
    """ "Westerns again? Not those": a cue without a thing of its own."""
    kind = str(current.what).removesuffix(" after")
    if is_question(sentence.plain, clause.start, clause.end):
        return
    said = sentence.plain[clause.start : clause.end]
    pointed = THEM.search(said) is not None or _alone(current, clause, sentence)
    loose = [m for m in before if m.cue is None or m.cue in ("observe", "seen") or (m.inherited and m in last)]
    loose = [m for m in loose if m.cue == "observe"] or [m for m in loose if m.kind != "amount" or m in last]
    if NO.match(sentence.plain, current.start):  # an answer: to a question of one's own it is a no, else a reply
        loose = [m for m in loose if m.cue != "seen" and not is_question(sentence.plain, m.start, m.end)]
    for mark in loose or last:
        bare = mark in loose
        against = kind in (*NEGATIVE, "fine") and (pointed or (bare and str(current.what).endswith("after")))
        if against or (kind in ("want", "rather") and pointed and bare and mark.cue is not None):
            mark.cue, mark.governor = kind, current


def _if_there_is(clause: Clause, last: list[Mark], sentence: Marked) -> None:
    """ "No war, and comedy, if you have some": what may be there is wanted, though a list of noes led to it."""
    if THERE.match(sentence.plain[clause.start : clause.end]):
        for mark in last:
            if mark.inherited and mark.cue in NEGATIVE:
                mark.cue, mark.governor, mark.inherited = "rather", clause.marks[0] if clause.marks else None, False


def _of_the_subject(clauses: list[Clause], sentence: Marked) -> None:
    """ "War films don't thrill me", "I find westerns too slow": what is denied of a thing, or too much of it."""
    for clause in clauses:
        for thing, cue in pairwise(clause.marks):
            behind = [m for m in clause.marks if m.start >= cue.end]
            said = sentence.plain[cue.start : cue.end]
            if (
                thing not in clause.things
                or cue.kind != "cue"
                or any(m.kind not in ("text", "unknown") for m in behind)
                or not COPULA.fullmatch(sentence.plain[thing.end : cue.start])
            ):
                continue
            found = thing.governor is not None and sentence.plain[thing.governor.start : thing.governor.end] == "find"
            if PLEASANT.match(sentence.plain, cue.end):
                continue  # too good to miss
            if cue.what == "rather not" and said.endswith("too") and behind and (thing.cue is None or found):
                thing.cue, thing.governor = "rather not", cue
            elif cue.what == "no" and (thing.cue is None or thing.governor is cue) and FINITE.match(said):
                if HARMLESS.match(sentence.plain, cue.end):
                    thing.cue, thing.governor = "rather", cue
                else:
                    thing.cue, thing.governor = "no", cue
                clause.things = [m for m in clause.things if m not in behind]


def _preferred(clauses: list[Clause], sentence: Marked) -> None:
    """ "Comedies over war", "I prefer lamps to rugs": the one rather, the other rather not."""
    for at, clause in enumerate(clauses):
        for one, other in pairwise(clause.things):
            gap = sentence.plain[one.end : other.start]
            led = "" if one.governor is None else sentence.plain[one.governor.start : one.governor.end]
            if (
                any(m.kind not in ("value", "title", "shown") and not _era(m) for m in (one, other))
                or one.cue in NEGATIVE
                or not (OVER.fullmatch(gap) or (TO.fullmatch(gap) and PREFERS.match(led)))
            ):
                continue
            if one.cue is None:
                one.governor = Mark(one.start, one.start, "cue", "rather")
            one.cue = "rather"
            cue = Mark(one.end, other.start, "cue", "rather not")
            more = clauses[at + 1] if at + 1 < len(clauses) and clauses[at + 1].joined == "list" else None
            shared = more.things if more and _bare(more, sentence) and not _cued(more) else []
            for mark in [other, *shared]:
                mark.cue, mark.governor, mark.inherited = "rather not", cue, mark is not other


def _echoed(clauses: list[Clause], sentence: Marked) -> None:
    """ "Hated Low Tide. Old Ferry too": a verdict that is said again of another thing; only a verdict against it."""
    verdict: Mark | None = None
    for clause in clauses:
        echo = ECHO.search(sentence.plain[clause.start : clause.end])
        if echo and verdict is not None and not _cued(clause):
            for mark in clause.things:
                if mark.cue is None and (mark.kind == "title" or not re.search("too|also|as well", echo[0])):
                    mark.cue, mark.governor = verdict.cue, Mark(clause.start, clause.start, "cue", verdict.cue)
        verdict = next((m for m in reversed(clause.things) if m.cue in ("no", "rather not")), verdict)
        if any(m.cue in ("want", "rather", "must") for m in clause.things):
            verdict = None


def _era(mark: Mark) -> bool:
    return mark.kind == "amount" and decade(mark.what)


def _disgusted(clause: Clause) -> bool:
    return any(m.what == "yuck" for m in clause.marks)


def _cued(clause: Clause) -> bool:
    return any(m.kind == "cue" for m in clause.marks)


def _too(clauses: list[Clause], sentence: Marked) -> None:
    """ "Before 1990 is too old": what a word of direction behind "too" is said of is not wanted."""
    for clause in clauses:
        for amount, word in pairwise(clause.things):
            if (
                (amount.kind, word.kind) == ("amount", "direction")
                and word.what[0].column == amount.what.number.column
                and re.search(r"\btoo\s*$", sentence.plain[amount.end : word.start])
                and re.match(rf"\s*(?:{_BE})\b", sentence.plain[amount.end :])
            ):
                amount.cue, amount.governor, amount.inherited = "no", word.governor, False


def _alone(current: Mark, clause: Clause, sentence: Marked) -> bool:
    """Whether a clause is the answer to a question of one's own: "Older than that? No thanks"."""
    asked = sentence.plain[: clause.start].rstrip().endswith("?")
    rest = WORD.findall(sentence.plain[clause.start : current.start] + sentence.plain[current.end : clause.end])
    return asked and all(w in PLAINLY for w in rest)


def _shared(clauses: list[Clause]) -> None:
    """ "Blue or green pots": a bare value before the list's last one shares what that one is joined to."""
    for a, b in pairwise(clauses):
        if (
            b.joined != "list"
            or len(a.things) != 1
            or len(b.things) < 2
            or (a.things[0].governor is not b.things[0].governor and not b.things[0].inherited)
        ):
            continue
        one, other = a.things[0], b.things[0]
        if one.kind == other.kind == "value" and one.what[0].column == other.what[0].column:
            other.what, other.start = (*one.what, *other.what), one.start
            other.cue, other.governor, other.inherited, other.linked = one.cue, one.governor, one.inherited, one.linked
            for thing in b.things[1:]:
                if thing.inherited:
                    thing.cue, thing.governor = one.cue, one.governor
            a.things.clear()


def _swapped(clauses: list[Clause], sentence: Marked) -> None:
    """ "Swap the lamps for teas": what stands before "for", "with" or "to" goes, what stands after comes."""
    for clause in clauses:
        mine = [m for m in clause.things if m.cue == "swap"]
        if not mine:
            continue
        turned = next(
            (
                m.end()
                for m in re.finditer(r"\b(?:for|with|by|to|against)\b", sentence.plain[: clause.end])
                if m.start() >= mine[0].end
            ),
            None,
        )
        for mark in mine:
            mark.cue = "want" if turned is not None and mark.start >= turned else "no"


def _leant(clauses: list[Clause], sentence: Marked, leaning: Callable[[str], str | None]) -> None:
    """Where no cue was found, ask which way the sentence leans by its meaning; where that is not clear, it leans.

    A title is spoken of in many ways: of it only what leans against it is taken.
    """
    for clause in clauses:
        named = [
            m for m in clause.things if m.kind in ("value", "direction") or (m.kind == "amount" and decade(m.what))
        ]
        titles = [m for m in clause.things if m.kind == "title"] if not named else []
        named = named or titles
        if (
            not named
            or any(m.cue is not None and not m.inherited for m in clause.things)
            or any(m.kind == "cue" for m in clause.marks)
        ):
            continue
        said = _blanked(sentence.plain, [m for m in clause.things if m.kind == "amount" and m not in named])
        rest = _without(
            said[clause.start : clause.end], [(m.start - clause.start, m.end - clause.start) for m in named]
        )
        bare = [w for w in WORD.findall(rest) if w != THING]
        if not any(w not in PLAINLY for w in bare):
            continue
        found = {"want": "rather", "must": "want"}.get(way := leaning(rest) or "rather", way)
        if titles and found not in NEGATIVE:
            continue
        governor = Mark(clause.start, clause.start, "cue", found)
        for mark in named:
            mark.cue, mark.governor, mark.inherited = found, governor, False
        clause.things = [m for m in clause.things if m.kind != "text" or beside(m, named, sentence)]


def _blanked(plain: str, marks: list[Mark]) -> str:
    """A sentence without its limits: "over 90 minutes" tells nothing of how a thing is liked."""
    for m in marks:
        plain = plain[: m.start] + " " * (m.end - m.start) + plain[m.end :]
    return plain


def _without(said: str, spans: list[tuple[int, int]]) -> str:
    """A sentence with all that it names replaced by one word."""
    out, last = "", 0
    for a, b in spans:
        out, last = out + said[last:a] + THING, b
    out += said[last:]
    out = re.sub(rf"{THING}(?: (?:and |or )?(?:the )?{THING}| things?| ones?| stuff)+", THING, out)
    return re.sub(rf"\b(?:things?|ones?) (?:(?:made|out) )*(?:of|by|in|from) {THING}", THING, out).strip(" ,.;:!?")


def beside(mark: Mark, named: list[Mark], sentence: Marked) -> bool:
    """Whether a word stands right beside something named, as its quality: "slow evenings"."""
    gaps = [sentence.plain[mark.end : m.start] for m in named if m.start >= mark.end]
    gaps += [sentence.plain[m.end : mark.start] for m in named if m.end <= mark.start]
    return any(not gap.strip() for gap in gaps)


def decade(amount: Amount) -> bool:
    """A span of years said as one name, or one year: a quality of a thing rather than a limit."""
    return amount.number.family == "year" and amount.low is not None and amount.high is not None
