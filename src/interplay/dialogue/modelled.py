"""The same typed wishes from a text model, and where it and the rules disagree.

The model is given the command, what the catalogue can say (columns, some values, ranges) and the titles on the page, as
data; it answers with values of `Command`. Nothing it names is believed: a column or a value that the catalogue lacks
becomes a soft wish in words, a place past the page and a wish in words that nobody said are left out: what a title asks
for is no wish of the person's. Its reading is taken, and every wish that the rules
read otherwise is told to the person; where it does not answer, the rules' reading stands and that is told too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from interplay.dialogue.lexicon import Lexicon, Number, quoted
from interplay.dialogue.said import ALWAYS, TODAY, VISIT, Parsed, Proposed, TakenBack
from interplay.dialogue.tongue import stems
from interplay.llm import NoReply, TextModel
from interplay.types import Wish

TASK = (
    "A person looks at a page of items and says something about what they want to see. Turn it into wishes. "
    "wanted is false for what they do not want. hard is true for what must hold (no, never, only, an amount) and false "
    "for a leaning (more, less, rather, maybe). Use column and value exactly as the catalogue has them where it has "
    "them; low and high are bounds of a numeric column; place is the number, from 1, of a shown item they want more or "
    "less like; words are the person's own. forget lists standing wishes that they take back. Leave out what is no "
    "wish."
)
SHOWN_VALUES = 40  # of one column


class ModelWish(BaseModel):
    """One wish, as the model says it."""

    model_config = ConfigDict(extra="forbid")

    words: str = Field(min_length=1, max_length=120)
    wanted: bool
    hard: bool
    column: str | None = None
    value: str | None = None
    low: float | None = None
    high: float | None = None
    place: int | None = None
    lasts: str = VISIT


class Command(BaseModel):
    """A whole command, as the model says it."""

    model_config = ConfigDict(extra="forbid")

    wishes: list[ModelWish] = Field(default_factory=list, max_length=12)
    forget: list[str] = Field(default_factory=list, max_length=12)
    start_over: bool = False
    undo: bool = False


def read_with(
    model: TextModel, rules: Parsed, lexicon: Lexicon, *, shown: Sequence[int] = (), standing: Sequence[Wish] = ()
) -> Parsed:
    """The command as the model reads it, with what the rules read otherwise in `doubts`; the rules' own reading, with a
    doubt that says so, where the model gives none."""
    numbers = {n.column: n for n in lexicon.numbers if not n.moment}
    values: dict[str, list[str]] = {}
    for senses in lexicon.senses.values():
        for sense in senses:
            held = values.setdefault(sense.column, [])
            if len(held) < SHOWN_VALUES and sense.value not in held:
                held.append(sense.value)
    data = {
        "command": rules.text, "columns": values, "numbers": {c: [n.low, n.high] for c, n in numbers.items()},
        "shown": [lexicon.title(i) for i in shown[:20]], "standing": [w.text for w in standing],
    }  # fmt: skip
    try:
        said = model.reply(TASK, data, Command)
    except NoReply as problem:
        return replace(
            rules, doubts=(f"{str(problem)[0].upper()}{str(problem)[1:]}; the built-in parser read it instead.",)
        )
    spoken = set(stems(rules.text))
    heard = [w for w in said.wishes if spoken & set(stems(w.words))]
    wishes = tuple(p for w in heard if (p := _proposed(w, lexicon, numbers, shown)) is not None)
    back = tuple(
        TakenBack(text=t, values=(t,)) for t in said.forget if any(t.lower() in w.text.lower() for w in standing)
    )
    parsed = replace(
        rules, wishes=wishes, taken_back=back, reset=said.start_over, undo=said.undo, drift=False, by="text model",
        unknown=() if wishes or back else rules.unknown, repaired=(),
    )  # fmt: skip
    unsaid = [w.words for w in said.wishes if w not in heard]
    told = [f"The text model heard “{words}”, which you did not say; left out." for words in unsaid]
    if parsed.reset and not rules.reset:
        told.append("The text model heard that you start over; the built-in parser did not. Undo brings all back.")
    return replace(parsed, doubts=(*told, *_doubts(rules, parsed)))


def _proposed(w: ModelWish, lexicon: Lexicon, numbers: dict[str, Number], shown: Sequence[int]) -> Proposed | None:
    """A wish of the model's as the catalogue can check it."""
    lasts = w.lasts if w.lasts in (VISIT, TODAY, ALWAYS) else VISIT
    if w.place is not None:
        if not 1 <= w.place <= len(shown):
            return None
        item = int(shown[w.place - 1])
        wish = Wish(text=w.words, wanted=w.wanted, like=(item,))
        return Proposed(wish=wish, about=("like",), bound="like", values=(str(item),), lasts=lasts)
    if w.column in numbers and (w.low is not None or w.high is not None):
        parts = [f"{quoted(w.column)} >= {w.low:.10g}"] if w.low is not None else []
        parts += [f"{quoted(w.column)} <= {w.high:.10g}"] if w.high is not None else []
        bound = "both" if len(parts) == 2 else "low" if w.high is None else "high"
        wish = Wish(text=w.words, wanted=w.wanted, hard=w.hard, where=" and ".join(parts))
        return Proposed(wish=wish, about=(w.column,), bound=bound, values=(w.words,), lasts=lasts)
    found = [s for s in lexicon.senses.get(stems(w.value or ""), ()) if w.column in (None, s.column)]
    if found:
        where = " or ".join(s.where for s in found)
        wish = Wish(text=w.words, wanted=w.wanted, hard=w.hard, where=where)
        about = tuple(dict.fromkeys(s.column for s in found))
        return Proposed(
            wish=wish, about=about, values=(found[0].value,), several=any(s.several for s in found), lasts=lasts
        )
    wish = Wish(text=w.words, wanted=w.wanted)
    return Proposed(wish=wish, about=("text",), bound="text", values=(w.words,), lasts=lasts)


def _doubts(rules: Parsed, model: Parsed) -> list[str]:
    """Where the two readings differ: what one alone heard, and what one wants and the other does not."""
    out = []
    theirs = {p.wish.where or p.wish.text.lower(): p.wish for p in model.wishes}
    mine = {p.wish.where or p.wish.text.lower(): p.wish for p in rules.wishes}
    for key, wish in mine.items():
        other = theirs.get(key)
        if other is None:
            out.append(f"The built-in parser also heard “{wish.text}”.")
        elif other.wanted != wish.wanted:
            out.append(f"The built-in parser heard “{wish.text}” as {'wanted' if wish.wanted else 'unwanted'}.")
    return out + [f"The built-in parser did not hear “{w.text}”." for key, w in theirs.items() if key not in mine]
