"""What is believed of a person: statements with evidence and confidence, guessed from a history or said by the person.

    guessed(items, at, traits, now)    statements that a history bears out, the surest first
    corrected(guesses, notes)          ... less what the person took back, with what they wrote, agreed to and pinned

A guess is a claim that can be checked: that the share of some kind of thing in what the person goes on to choose is
larger than among everybody. Its confidence is the probability of that under a beta distribution whose prior is what
everybody chooses, with older events counting less. Nothing here is stored: guesses follow from the log whenever they
are asked for, and only what the person says about them is an event.

After GUM (Shaikh et al., UIST 2025), whose statements carry confidence, decay and evidence too. Departs from it: no
text model proposes them, and confidence is a posterior, not an opinion.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import betainc

from interplay.errors import BadSetting, unknown
from interplay.types import Array

DAY = 86_400_000_000  # microseconds
HALF_LIFE = 30.0  # days after which an event counts half
PRIOR = 8.0  # events that what everybody chooses is worth
SURE = 0.75  # below this nothing is stated
HITS = 3  # events that a statement rests on at least
LIFT = 1.2  # how much more than everybody's share it has to be
ALIKE = 0.9  # two kinds of things with so much in common are one statement
MOST = 8  # guesses shown
LONGEST = 400  # characters of a statement
OPS = ("write", "edit", "pin", "agree", "drop")

# Never guessed and never kept: health, faith, politics, origin, love. Stems, looked for at the start of words.
SENSITIVE = re.compile(
    r"\b(?:disease|illness|cancer|diabet|depress|anxiet|disab|pregnan|therap|medication|hiv\b|addict|alcoholi|"
    r"religio|christian|muslim|islam|jew(?:s|ish)?\b|hindu|buddh|atheis|church(?:es)?\b|mosque|synagog|bible|quran|koran|"
    r"politic|democrat|republican|conservativ|liberal|socialis|communis|fascis|left-wing|right-wing|trade union|"
    r"ethnic|racial|immigra|refugee|nationalit|"
    r"gay\b|lesbian|bisexual|homosexual|heterosexual|queer|transgender|sexual|erotic|porn)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trait:
    """Something that can be true of things, and so of a taste."""

    trait_id: str
    text: str  # "Likes teas"
    named: str  # "teas"
    where: str
    mask: Array  # bool[n_items]
    share: float  # of everybody's events


@dataclass(frozen=True, kw_only=True)
class Belief:
    """One statement."""

    statement_id: str
    text: str
    confidence: float  # 0 to 1
    evidence: tuple[str, ...]
    source: str  # guessed, agreed (guessed and confirmed) or said
    fades: str
    pinned: bool = False
    where: str | None = None  # the things it is about; None where the catalogue has no word for them
    wanted: bool = True
    share: float = 0.0  # of the person's weighted events
    of: float = 0.0  # everybody's share


@dataclass(frozen=True, kw_only=True)
class Note:
    """What a person said about one statement, folded from their events."""

    statement_id: str
    text: str | None = None  # their own words in place of the guess's, or a statement of their own
    stated: str | None = None  # the guess as it was when it was pinned or agreed to
    where: str | None = None
    wanted: bool = True
    written: bool = False  # no guess stands behind it
    pinned: bool = False
    agreed: bool = False
    dropped_at: int | None = None  # events up to here say nothing about it any more
    at: int = 0


def sensitive(text: str) -> bool:
    """Whether a statement or a value touches what is never guessed and never kept.

    >>> sensitive("Reads about diabetes"), sensitive("Likes teas")
    (True, False)
    """
    return SENSITIVE.search(text) is not None


def guess_id(where: str) -> str:
    """The id of the guess about some things: the same on every replica and after every restart."""
    return "g-" + hashlib.blake2b(where.encode(), digest_size=8).hexdigest()


# --------------------------------------------------------------------------------------------------------------------
# Guessing


def guessed(
    items: Array, at: Array | None, traits: Sequence[Trait], now: int, *, worth: Array | None = None,
    spared: Mapping[str, int] | None = None,
) -> list[Belief]:  # fmt: skip
    """What a history bears out, the surest first.

    items int32[m], oldest first; `at` int64[m] microseconds; `worth` float[m] is what each event counts before it
    fades. `spared` maps statement ids to the moment up to which events say nothing about them.
    """
    if not len(items):
        return []
    age = np.zeros(len(items)) if at is None else np.maximum(now - at, 0) / DAY
    weight = 0.5 ** (age / HALF_LIFE) * (1.0 if worth is None else worth)
    found: list[tuple[Belief, Trait]] = []
    for trait in traits:
        held = trait.mask[items]
        until = (spared or {}).get(guess_id(trait.where))
        counted = np.ones(len(items), bool) if until is None or at is None else at > until
        hits, total = float(weight[held & counted].sum()), float(weight[counted].sum())
        n = int((held & counted).sum())
        if n < HITS or sensitive(trait.text) or not 0 < trait.share < 1 or total <= 0:
            continue
        sure = confidence(hits, total, trait.share)
        share = hits / total
        if sure >= SURE and share >= LIFT * trait.share:
            last = None if at is None else int(at[held & counted].max())
            found.append((_stated(trait, n, int(counted.sum()), sure, share, last, now), trait))
    found.sort(key=lambda pair: (-pair[0].confidence, -(pair[0].share / max(pair[0].of, 1e-9)), pair[0].statement_id))
    kept: list[tuple[Belief, Trait]] = []
    for belief, trait in found:
        if all(_overlap(trait.mask, other.mask) < ALIKE for _, other in kept):
            kept.append((belief, trait))
    return [belief for belief, _ in kept[:MOST]]


def confidence(hits: float, total: float, share: float) -> float:
    """The probability that a taste for something is larger than everybody's, after `hits` of `total` events.

    >>> round(confidence(0, 0, 0.1), 2), round(confidence(9, 12, 0.1), 2)
    (0.37, 1.0)
    """
    a, b = PRIOR * share + hits, PRIOR * (1 - share) + max(total - hits, 0.0)
    return float(1.0 - betainc(a, b, share))


def _stated(trait: Trait, n: int, of: int, sure: float, share: float, last: int | None, now: int) -> Belief:
    everybody = f"{100 * trait.share:.0f} %" if trait.share >= 0.01 else "less than 1 %"
    evidence = [f"{n} of {of} events are about {trait.named}; among everybody it is {everybody}."]
    if last is not None:
        days = max(0, (now - last) // DAY)
        evidence.append(f"The last was {'today' if not days else 'yesterday' if days == 1 else f'{days} days ago'}.")
    return Belief(
        statement_id=guess_id(trait.where), text=trait.text, confidence=min(sure, 0.99), evidence=tuple(evidence),
        source="guessed", fades=f"fades by half in {HALF_LIFE:.0f} days without more of it", where=trait.where,
        share=share, of=trait.share,
    )  # fmt: skip


def _overlap(a: Array, b: Array) -> float:
    """Shared things over all things that have either."""
    return float((a & b).sum()) / max(float((a | b).sum()), 1.0)


# --------------------------------------------------------------------------------------------------------------------
# Correcting


@dataclass(frozen=True)
class Notes:
    """What a person said about statements; folded from typed events, oldest first."""

    held: Mapping[str, Note] = field(default_factory=dict)

    def heard(self, at: int, payload: Mapping[str, Any]) -> Notes:
        """The notes after one more event: {op, statement_id, text?, where?, wanted?, on?}."""
        op, name = payload.get("op"), str(payload.get("statement_id", ""))
        if op not in OPS:
            raise unknown("operation on a statement", str(op), OPS)
        note = self.held.get(name, Note(statement_id=name, written=op == "write"))
        if op in ("write", "edit"):
            about = payload.get("where"), bool(payload.get("wanted", True))
            note = replace(note, text=str(payload["text"]), where=about[0], wanted=about[1], at=at)
        elif op in ("pin", "agree"):
            change = {"pinned" if op == "pin" else "agreed": bool(payload.get("on", True))}
            note = replace(note, at=at, **change)  # type: ignore[arg-type]
            if note.text is None:
                about = payload.get("where"), bool(payload.get("wanted", True))
                note = replace(note, stated=payload.get("text"), where=about[0], wanted=about[1])
        else:
            held = {k: v for k, v in self.held.items() if k != name}
            gone = Note(statement_id=name, where=payload.get("where"), dropped_at=at, at=at)
            return Notes(held if note.written else {**held, name: gone})
        return Notes({**self.held, name: note})

    @property
    def spared(self) -> dict[str, int]:
        """Statement id -> the moment up to which events say nothing about it."""
        return {name: note.dropped_at for name, note in self.held.items() if note.dropped_at is not None}

    @property
    def leanings(self) -> list[tuple[str, bool]]:
        """(which things, whether they are wanted) of everything the person wrote or confirmed."""
        stated = [n for n in self.held.values() if n.where is not None and (n.text is not None or n.agreed)]
        return [(str(n.where), n.wanted) for n in stated if n.dropped_at is None]

    @property
    def muted(self) -> list[tuple[str, int]]:
        """(which things, up to when) of statements that were deleted: what they rested on counts no longer."""
        return [(n.where, n.dropped_at) for n in self.held.values() if n.where is not None and n.dropped_at is not None]


def folded(events: Sequence[tuple[int, Mapping[str, Any]]]) -> Notes:
    """What a person said about statements, from (moment, payload) of their events, oldest first."""
    notes = Notes()
    for at, payload in events:
        notes = notes.heard(at, payload)
    return notes


def corrected(guesses: Sequence[Belief], notes: Notes) -> list[Belief]:
    """The guesses as the person left them, and what they wrote themselves: their own first, then the surest."""
    out: list[Belief] = []
    left = dict(notes.held)
    for guess in guesses:
        note = left.pop(guess.statement_id, None)
        if note is None or note.dropped_at is not None:
            out.append(guess)
        elif note.text is not None:
            out.append(_said(note, guess))
        else:
            fades = "stays until you say so" if note.agreed or note.pinned else guess.fades
            source = "agreed" if note.agreed else "guessed"
            sure = 1.0 if note.agreed else guess.confidence
            out.append(replace(guess, source=source, pinned=note.pinned, fades=fades, confidence=sure))
    for note in left.values():
        if note.text is not None and note.dropped_at is None:
            out.append(_said(note, None))
        elif note.stated is not None and (note.pinned or note.agreed):
            out.append(_faded(note))
    order = {"said": 0, "agreed": 1, "guessed": 2}
    return sorted(out, key=lambda b: (order[b.source], not b.pinned, -b.confidence, b.statement_id))


def _faded(note: Note) -> Belief:
    """A guess that the history no longer bears out, and that stays because the person wants it to."""
    return Belief(
        statement_id=note.statement_id, text=str(note.stated), confidence=1.0 if note.agreed else SURE,
        evidence=("What it was guessed from counts for little by now.",), fades="stays until you say so",
        source="agreed" if note.agreed else "guessed", pinned=note.pinned, where=note.where, wanted=note.wanted,
    )  # fmt: skip


def _said(note: Note, guess: Belief | None) -> Belief:
    evidence = ["You wrote this." if guess is None else f"You changed this; it was guessed as “{guess.text}”."]
    if note.where is None:
        evidence.append("This catalogue has no word for it, so it moves nothing here.")
    if guess is not None:
        evidence += guess.evidence
    return Belief(
        statement_id=note.statement_id, text=str(note.text), confidence=1.0, evidence=tuple(evidence), source="said",
        fades="stays until you say so", pinned=note.pinned, where=note.where, wanted=note.wanted,
    )  # fmt: skip


def checked(text: str) -> str:
    """A statement that may be kept, or a refusal."""
    said = " ".join(text.split())
    if not said:
        raise BadSetting("the statement is empty; expected a sentence")
    if len(said) > LONGEST:
        raise BadSetting(f"the statement has {len(said)} characters; at most {LONGEST} are kept")
    if sensitive(said):
        raise BadSetting("this touches health, faith, politics, origin or love, which are never kept; leave it out")
    return said
