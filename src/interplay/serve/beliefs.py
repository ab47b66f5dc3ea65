"""What Interplay believes of a person, over one engine: guesses from the log, and what the person says about them.

    beliefs.statements("17")            what is believed, with evidence
    beliefs.write("17", "Likes green tea"), .change("17", id, {"pinned": True}), .drop("17", id)

What a person wrote or agreed to leans every answer; what they deleted takes what it rested on out of their history.
Both are typed events in the log, so they can be undone, exported and erased like everything else.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interplay.data.store.happened import Happened
from interplay.dialogue.lexicon import FAMILIES, Number, quoted
from interplay.dialogue.profile import Belief, Notes, Trait, checked, corrected, folded, guess_id, guessed, sensitive
from interplay.dialogue.wording import of_range, of_value
from interplay.errors import InterplayError, UnknownName
from interplay.serve.engine import Engine
from interplay.serve.leaning import STATEMENT
from interplay.serve.steering import Steering
from interplay.serve.window import ROLES
from interplay.types import Array, Id

WORTH = {"keep": 2.0, "cart": 2.0, "purchase": 3.0, "buy": 3.0}  # event type -> what it counts; others 1
CANDIDATES = 40  # values that are looked at, the most frequent in the history first


class Beliefs:
    """Statements about the people of one engine."""

    def __init__(self, engine: Engine, steering: Steering) -> None:
        self.engine, self.steering = engine, steering
        self._traits: dict[str, Trait | None] = {}
        self._of: Any = None  # the catalogue that the traits are of
        self._lock = threading.Lock()

    # --------------------------------------------------------------------------------------------------------- reading

    def statements(self, user: Id) -> dict[str, Any]:
        """What is believed of a person, their own words first, then the surest."""
        believed, dropped = self._believed(user)
        return {"statements": [told(b) for b in believed], "dropped": dropped}

    def notes(self, user: Id) -> Notes:
        """What the person said about statements."""
        return folded([(e.time, e.payload) for e in self.engine.told(user) if e.event_type == STATEMENT and e.payload])

    def _believed(self, user: Id) -> tuple[list[Belief], int]:
        notes, now = self.notes(user), self.engine.now()
        past = self.engine.request(user=user).history.row(0)
        items, at = past["item"], past.get("time")
        worth = None
        if "kind" in past:
            by_kind = np.array([WORTH.get(kind, 1.0) for kind in self.engine.kinds] + [1.0])
            worth = by_kind[past["kind"]]
        traits, dropped = self._candidates(items)
        return corrected(guessed(items, at, traits, now, worth=worth, spared=notes.spared), notes), dropped

    def _candidates(self, items: Array) -> tuple[list[Trait], int]:
        """What could be said of somebody who chose these things, and how much of it is never said."""
        lexicon = self.steering.lexicon
        if self._of is not lexicon:
            with self._lock:
                self._traits, self._of = {}, lexicon
        counts: dict[tuple[str, str], int] = {}
        senses = {(s.column, s.value): s for many in lexicon.senses.values() for s in many if s.value != "true"}
        columns = {column for column, _ in senses}
        for item in items.tolist():
            for column in columns:
                for value in lexicon.values(item, column):
                    counts[column, value] = counts.get((column, value), 0) + 1
        often = sorted((c for c in counts if c in senses), key=lambda c: (-counts[c], c))[:CANDIDATES]
        wanted = [(senses[c].where, "Likes", self._named(*c)) for c in often]
        wanted += [(where, "Mostly chooses", named) for number in lexicon.numbers for where, named in _ends(number)]
        private = sum(sensitive(named) for *_, named in wanted)
        traits = [self._trait(where, f"{does} {named}", named) for where, does, named in wanted if not sensitive(named)]
        return [t for t in traits if t is not None], private

    def _named(self, column: str, value: str) -> str:
        """What things with a value are called, by the window's label where the column is the facet of kinds."""
        kinds = self.engine.window.kinds()
        if kinds is not None and kinds.name == column and value in kinds.values:
            value = kinds.labels[kinds.values.index(value)]
        return of_value(column, value, kind=column in ROLES["kind"], maker=column in ROLES["by"])

    def _trait(self, where: str, text: str, named: str) -> Trait | None:
        if where not in self._traits:
            try:
                mask = self.engine.catalogue.mask(where, strict=False)
            except InterplayError:  # the column went with a newer catalogue
                self._traits[where] = None
            else:
                popularity = self.engine.rows.popularity
                n = self.engine.dataset.n_items
                mask = np.pad(mask, (0, max(0, n - len(mask))))[:n]
                share = float(popularity[mask[: len(popularity)]].sum() / max(popularity.sum(), 1.0))
                self._traits[where] = Trait(
                    trait_id=guess_id(where), text=text, named=named, where=where, mask=mask, share=share
                )
        return self._traits[where]

    # --------------------------------------------------------------------------------------------------------- telling

    def write(self, user: Id, text: str) -> dict[str, Any]:
        """Keep a statement in the person's own words."""
        said = checked(text)
        name = f"s-{secrets.token_hex(6)}"
        return self._kept(user, {"op": "write", "statement_id": name, "text": said, **self._about(user, said)})

    def change(self, user: Id, statement_id: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Change text, pinned or agreed of a statement."""
        held = self._find(user, statement_id)
        events: list[dict[str, Any]] = []
        if change.get("text") is not None:
            said = checked(change["text"])
            events.append({"op": "edit", "text": said, **self._about(user, said)})
        for name, op in (("pinned", "pin"), ("agreed", "agree")):
            if change.get(name) is not None:
                about = {"text": held.text, "where": held.where, "wanted": held.wanted}
                events.append({"op": op, "on": change[name], **about})
        return self._kept(user, *({**event, "statement_id": statement_id} for event in events))

    def drop(self, user: Id, statement_id: str) -> dict[str, Any]:
        """Delete a statement, with what it rested on."""
        held = self._find(user, statement_id)
        return self._kept(user, {"op": "drop", "statement_id": statement_id, "where": held.where})

    def _find(self, user: Id, statement_id: str) -> Belief:
        believed, _ = self._believed(user)
        for belief in believed:
            if belief.statement_id == statement_id:
                return belief
        known = ", ".join(b.statement_id for b in believed) or "none"
        raise UnknownName(f"nothing of the id {statement_id!r} is believed of {user!r}; there are: {known}")

    def _about(self, user: Id, text: str) -> dict[str, Any]:
        """The things that a sentence is about, by the words of the catalogue; nothing where it has none of them."""
        read = self.steering.read(user, text)
        said = [p.wish for p in read.wishes if p.wish.where is not None]
        return {"where": said[0].where, "wanted": said[0].wanted} if said else {}

    def _kept(self, user: Id, *payloads: Mapping[str, Any]) -> dict[str, Any]:
        self.engine.store.append([
            Happened(
                event_id=f"b-{secrets.token_hex(8)}", user_id=str(user), event_type=STATEMENT, time=self.engine.now(),
                payload=dict(payload),
            )
            for payload in payloads
        ])  # fmt: skip
        return self.statements(user)


def told(belief: Belief) -> dict[str, Any]:
    """A statement as it is sent."""
    return {
        "statement_id": belief.statement_id, "text": belief.text, "confidence": round(belief.confidence, 2),
        "evidence": list(belief.evidence), "source": belief.source, "fades": belief.fades, "pinned": belief.pinned,
        "where": belief.where,
    }  # fmt: skip


def _ends(number: Number) -> Sequence[tuple[str, str]]:
    """The lower and the upper third of a scale: (where, name)."""
    if number.moment or not any(f.name == number.family for f in FAMILIES):
        return ()
    column = quoted(number.column)
    return (
        (f"{column} < {number.third:g}", of_range(number, -1)),
        (f"{column} > {number.twothirds:g}", of_range(number, 1)),
    )
