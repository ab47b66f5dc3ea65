"""Talking to the engine: a command becomes typed events in the log, and the next feed obeys them.

`Steering(engine)` is what HTTP and the page call. It keeps nothing of its own: what a person asked for is folded from
their events, so it survives a restart and every replica over one store knows it. The words of the catalogue are learnt
once for each catalogue and again when it changes; those of a large one in a thread beside the requests.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from interplay.data.encode import english
from interplay.data.store.happened import Happened
from interplay.dialogue.leaning import leaning
from interplay.dialogue.lexicon import Lexicon, quoted, text
from interplay.dialogue.modelled import read_with
from interplay.dialogue.parse import parse
from interplay.dialogue.said import Parsed
from interplay.dialogue.state import (
    Change,
    Changed,
    Event,
    Removed,
    Spoke,
    State,
    Undone,
    apply,
    between,
    chip,
    effective,
    fold,
    to_dict,
    told,
)
from interplay.errors import BadSetting
from interplay.llm import TextModel
from interplay.llm.recorded import about
from interplay.serve.engine import Engine
from interplay.serve.feed import feed
from interplay.serve.wishes import INSTRUCTION, instructions
from interplay.types import EVERYWHERE, Id, Wish

log = logging.getLogger("interplay.steering")

AT_ONCE = 20_000  # items of a catalogue whose words are learnt in well under a second


class Steering:
    """Commands, chips and take-backs of one engine's people."""

    def __init__(self, engine: Engine, *, model: TextModel | None = None) -> None:
        """With a text `model` commands are read by it too; where it and the rules differ, the answer says so."""
        self.engine, self.model = engine, model
        self._learnt: tuple[Any, Lexicon] | None = None  # the catalogue that they are the words of, and they
        self._lock, self._learning = threading.Lock(), threading.Lock()

    def warm(self) -> Steering:
        """Learn the catalogue's words, or the first person who says something waits for it; a large one's beside."""
        if self.engine.dataset.n_items <= AT_ONCE:
            self._read_on()
        else:
            self._beside()
        return self

    @property
    def lexicon(self) -> Lexicon:
        """The words of the catalogue as it is now; of a large one that has just changed, as it was a moment ago."""
        dataset, held = self.engine.dataset, self._learnt
        if held is not None and held[0] is dataset.catalogue:
            return held[1]
        if held is not None and dataset.n_items > AT_ONCE:
            self._beside()
            return held[1]
        with self._lock:
            if self._learnt is None or self._learnt[0] is not dataset.catalogue:
                self._learnt = (dataset.catalogue, Lexicon.of(dataset))
            return self._learnt[1]

    def _beside(self) -> None:
        """Learn in a thread of its own, unless one is at it."""
        if not self._learning.acquire(blocking=False):
            return
        threading.Thread(target=self._learn, name="word-learner", daemon=True).start()

    def _learn(self) -> None:
        try:
            while self._learnt is None or self._learnt[0] is not self.engine.dataset.catalogue:
                with self._lock:
                    dataset = self.engine.dataset
                    self._learnt = (dataset.catalogue, Lexicon.of(dataset))
            self._read_on()
        except Exception:
            log.exception("the words of the catalogue could not be learnt; the next command tries again")
        finally:
            self._learning.release()

    def _read_on(self) -> None:
        self._by_rules(f"{next(iter(self.lexicon.senses), ('warm',))[0]} warms me", (), ())

    # --------------------------------------------------------------------------------------------------------- asking

    def events(self, user: Id) -> list[Event]:
        """The person's typed events about wishes, oldest first."""
        return instructions(self.engine.told(user))

    def state(self, user: Id) -> State:
        """What the person asked for and has not taken back."""
        return fold(self.events(user), self.engine.now())

    def instructions(self, user: Id) -> dict[str, Any]:
        """The standing wishes as chips, the newest first."""
        return {"wishes": chips(self.state(user))}

    def read(self, user: Id, text: str, shown: Sequence[Id] = ()) -> Parsed:
        """What a command says, without any effect. `shown` are item ids in page order."""
        items = [int(i) for i in self.engine.dataset.items.index(list(shown)) if i >= 0]
        standing = self.state(user).wishes
        parsed = self._by_rules(text, items, standing)
        if self.model is None or not parsed.text.strip():
            return parsed
        return read_with(about(self.model, user), parsed, self.lexicon, shown=items, standing=standing)

    def _by_rules(self, text: str, shown: Sequence[int], standing: Sequence[Wish]) -> Parsed:
        """What the built-in parser reads, with the meaning that the engine weighs anyway."""
        words = english()
        steer = getattr(self.engine.cascade, "steer", None)  # with its vectors the encoder is loaded already
        return parse(
            text,
            self.lexicon,
            shown=shown,
            standing=standing,
            known=words.__contains__ if words else None,
            leaning=leaning if steer is not None and steer.weighs_meaning else None,
        )

    # --------------------------------------------------------------------------------------------------------- telling

    def chat(self, user: Id, text: str, *, shown: Sequence[Id] = (), draw: int | None = None) -> dict[str, Any]:
        """Read a command, keep what it changes, and answer with the next feed: the parts of `parts` in one."""
        out: dict[str, Any] = {}
        for _, part in self.parts(user, text, shown=shown, draw=draw):
            out |= part
        return out

    def parts(
        self, user: Id, text: str, *, shown: Sequence[Id] = (), draw: int | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The same one after the other, as a stream sends them: ("understood", ...), ("wishes", ...), ("feed", ...)."""
        begun = time.perf_counter()
        parsed = self.read(user, text, shown)
        changes, state = self._spoken(user, parsed)
        said = told(changes, parsed)
        yield "understood", {
            "understood": bool(changes), "changes": [_change(c) for c in changes], "near": list(parsed.near),
            "acts": list(parsed.acts), "by": parsed.by, "doubts": list(parsed.doubts), "said": said,
        }  # fmt: skip
        yield "wishes", {"wishes": chips(state)}
        page = feed(self.engine, user, draw=draw)
        spent = round(1000 * (time.perf_counter() - begun))
        if changes:
            said = f"{said} {page['things']:,} thing{'s' * (page['things'] != 1)}, {spent} ms."
        yield "feed", {
            "request_id": page["request_id"], "said": said, "wishes": page["wishes"], "left": page["things"],
            "relaxed": page["relaxed"], "milliseconds": spent, "feed": page,
        }  # fmt: skip

    def change(self, user: Id, wish_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change one wish by hand: hard, wanted, scope, until (ISO 8601 or None), pinned. Refuses what cannot be."""
        held = dict(fields)
        if isinstance(held.get("until"), str):
            held["until"] = _microseconds(held["until"])
        if isinstance(held.get("scope"), str):
            held["scope"] = self._scope(held["scope"])
        return self._kept(user, Changed(event_id=_new(), at=self.engine.now(), wish_id=wish_id, fields=held))

    def _scope(self, said: str) -> str:
        """The sentence of a scope: `everything`, a kind of thing by its value or label, or a sentence of its own."""
        kinds, flat = self.engine.window.kinds(), said.strip().lower()
        if flat == EVERYWHERE:
            return EVERYWHERE
        if kinds is not None and self.engine.dataset.catalogue is not None:
            listed = self.engine.dataset.catalogue.schema[kinds.name] == pl.List(pl.String)
            for value, label in zip(kinds.values, kinds.labels, strict=True):
                if flat in (
                    value.lower(),
                    value.lower().replace("_", " "),
                    label.lower(),
                    f"{kinds.name}:{value}".lower(),
                ):
                    return f"{quoted(kinds.name)} {'contains' if listed else '=='} {text(value)}"
        self.engine.catalogue.mask(said)  # refuses what is no sentence, and columns that are not there
        return said

    def remove(self, user: Id, wish_id: str) -> dict[str, Any]:
        """Take one wish back."""
        return self._kept(user, Removed(event_id=_new(), at=self.engine.now(), wish_id=wish_id))

    def undo(self, user: Id) -> dict[str, Any]:
        """Take back the last change; the answer says what came back and what went."""
        before = self.state(user)
        if not effective(self.events(user)):
            return self._answer(user, (), "There is nothing to take back.")
        self._append(user, Undone(event_id=_new(), at=self.engine.now()))
        changes = between(before, self.state(user))
        return self._answer(user, changes, told(changes))

    def _spoken(self, user: Id, parsed: Parsed) -> tuple[tuple[Change, ...], State]:
        before, events = self.state(user), self.events(user)
        if parsed.undo:
            if effective(events):
                self._append(user, Undone(event_id=_new(), at=self.engine.now()))
            after = self.state(user)
            return between(before, after), after
        if not parsed.changes:
            return (), before
        event = Spoke(event_id=_new(), at=self.engine.now(), parsed=parsed)
        after, changes = apply(before, event)
        if any(c.did != "kept" for c in changes):
            self._append(user, event)
        return changes, after

    def _kept(self, user: Id, event: Changed | Removed) -> dict[str, Any]:
        _, changes = apply(self.state(user), event)  # refused before it is written
        self._append(user, event)
        return self._answer(user, changes, told(changes))

    def _answer(self, user: Id, changes: Sequence[Change], said: str) -> dict[str, Any]:
        page = feed(self.engine, user)
        return {
            "request_id": page["request_id"], "said": said, "changes": [_change(c) for c in changes],
            "wishes": page["wishes"], "left": page["things"], "relaxed": page["relaxed"], "feed": page,
        }  # fmt: skip

    def _append(self, user: Id, event: Event) -> None:
        self.engine.store.append([
            Happened(event_id=event.event_id, user_id=str(user), event_type=INSTRUCTION, time=event.at,
                     payload=to_dict(event))
        ])  # fmt: skip


def chips(state: State) -> list[dict[str, Any]]:
    """Standing wishes as the page shows them, the newest first."""
    return [chip(s) for s in reversed(state.standing)]


def _new() -> str:
    return f"w-{secrets.token_hex(6)}"


def _change(c: Change) -> dict[str, Any]:
    return {"did": c.did, "wish_id": c.wish_id, "text": c.text} | ({"replaced": c.replaced} if c.replaced else {})


def _microseconds(said: str) -> int:
    try:
        return int(datetime.fromisoformat(said).timestamp() * 1e6)
    except ValueError:
        raise BadSetting(f"until is {said!r}; expected a moment as in 2026-11-29T23:00:00+00:00, or null") from None
