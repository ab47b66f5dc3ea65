"""Debug mode: an earlier answer with one stage changed. What lies before it is as it was; what follows ran again.

The stages of the answer are worked out once more when its first edit comes, of the same log, moment and draw, and are
kept for a while; an edit then runs only what lies downstream. Every edit is a typed event in the person's log. It shows
nothing to anybody, so it leaves no impressions.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.cascade import parts
from interplay.cascade.cascade import Cascade
from interplay.cascade.editing import AGAIN, checked, edited, replayed, shown, states
from interplay.cascade.trace import traces
from interplay.data.store.happened import Happened
from interplay.dialogue.state import chip
from interplay.errors import BadSetting, Unsupported, unknown
from interplay.serve import views
from interplay.serve.answers import Answer
from interplay.serve.engine import Engine
from interplay.serve.wishes import standing
from interplay.types import Array

KEPT = 64  # answers whose stages are kept


class Editing:
    """Edits of the answers of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._held: OrderedDict[tuple[str, int], parts.Answer] = OrderedDict()
        self._lock = threading.Lock()

    def edit(self, request_id: str, stage: str, edit: Mapping[str, Any]) -> dict[str, Any]:
        """The trace of the answer after the change, with the state of each stage, what rose and what is new."""
        held, cascade = self.engine.held(request_id), self.engine.cascade
        if not isinstance(cascade, Cascade) or "item" in held.asked:
            raise Unsupported("only an answer of sources, fusion and page can be edited; this one has no such stages")
        checked(stage, edit)
        base = self._base(held, cascade)
        begun = time.perf_counter()
        yours = self._yours(held)
        if stage == "understand":
            after = self._read_anew(held, cascade, edit)
        else:
            mine = sorted(set(edit.get("without") or ()) & set(yours)) if stage == "rules" else []
            if mine:
                raise BadSetting(f"{mine[0]!r} is your own instruction; it is taken back on the feed, not here")
            after = edited(cascade, base, stage, edit, int(held.asked.get("k", 10)))
        return self._told(held, base, after, stage, edit, yours, time.perf_counter() - begun)

    # ---------------------------------------------------------------------------------------------------- as it was

    def _asked(self, held: Answer, without: Sequence[str] = (), **change: Any) -> dict[str, Any]:
        """What the engine was asked, at the same moment and with the same draw; wishes said since play no part."""
        asked = {k: v for k, v in held.asked.items() if k not in ("seconds", "at", "draw")} | change
        if held.user is not None and asked.get("wishes") is None and asked.get("history") is None:
            state = self._standing(held)
            asked["wishes"] = [replace(s.wish, wish_id=s.wish_id) for s in state if s.wish_id not in without]
        return asked | {"at": held.at, "draw": held.draw}

    def _standing(self, held: Answer) -> list[Any]:
        if held.user is None:
            return []
        said = [e for e in self.engine.told(held.user) if e.time <= held.at]
        return list(standing(said, held.at))

    def _base(self, held: Answer, cascade: Cascade) -> parts.Answer:
        """The stages of the answer as they were."""
        name = held.request_id, id(cascade)
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        base = self._run(held, cascade, self._asked(held))
        with self._lock:
            self._held[name] = base
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return base

    def _run(self, held: Answer, cascade: Cascade, asked: Mapping[str, Any]) -> parts.Answer:
        requests = self.engine.request(**asked)
        if not self.engine.searches:
            requests = replace(requests, query=None)
        return replayed(cascade, requests, int(asked.get("k", 10)))

    def _yours(self, held: Answer) -> list[str]:
        """The names of rules that the person made by what they said."""
        said = [s.wish.rule for s in self._standing(held) if s.wish.hard and s.wish.rule]
        titles = [self.engine.window.title(e.item) for e in self._less(held)]
        return [*map(str, said), *(f"less like {title}" for title in titles)]

    def _less(self, held: Answer) -> list[Happened]:
        told = () if held.user is None else self.engine.told(held.user)
        return [e for e in told if e.event_type == "less" and 0 <= e.item < self.engine.dataset.n_items]

    # -------------------------------------------------------------------------------------------------- read anew

    def _read_anew(self, held: Answer, cascade: Cascade, edit: Mapping[str, Any]) -> parts.Answer:
        """The whole path for other words, or without some wishes."""
        without = [str(w) for w in edit.get("without") or ()]
        known = [s.wish_id for s in self._standing(held)]
        for wish in without:
            if wish not in known:
                raise unknown("wish of this answer", wish, known)
        change: dict[str, Any] = {}
        if "query" in edit:
            if held.query is None:
                raise BadSetting("this answer had no query to change; edit its wishes or another stage")
            query = str(edit["query"]).strip()
            change = {"query": query, "masks": self._words(query, held.asked.get("masks") or {})}
        return self._run(held, cascade, self._asked(held, without, **change))

    def _words(self, query: str, masks: Mapping[str, Array]) -> dict[str, Array]:
        """The masks of the answer, those about words for other words."""
        kept = {n: m for n, m in masks.items() if not n.startswith(("has the words", "lacks a word"))}
        found = self.engine.words.understand(query).found if query else np.zeros(0, bool)
        return kept | {f"has the words “{query}”": found} if found.any() else kept

    # ----------------------------------------------------------------------------------------------------- telling

    def _told(
        self, held: Answer, base: parts.Answer, after: parts.Answer, stage: str, edit: Mapping[str, Any],
        yours: Sequence[str], seconds: float,
    ) -> dict[str, Any]:  # fmt: skip
        engine, request_id = self.engine, secrets.token_hex(8)
        assert base.slates is not None and after.slates is not None
        slates = shown(engine.cascade, after, int(held.asked.get("k", 10)))
        trace = traces(engine.cascade, [after], after.requests, [request_id])[0]
        allowed = next(int(s.facts["left"]) for s in trace.stages if s.name == "rules")
        query = str(edit["query"]).strip() if "query" in edit else held.query
        answer = replace(
            held, request_id=request_id, slates=slates, trace=trace, seconds=seconds, query=query, more=False,
            counts=engine._counts(allowed, trace, len(slates.row(0))),
        )  # fmt: skip
        engine.answers.hold(answer)
        event = self._logged(held, stage, edit)
        told = views.trace(engine, answer)
        became = states(stage)
        for row in told["stages"]:
            row["state"] = became[row["name"]]
            if row["name"] not in AGAIN[stage] and row["name"] != stage:
                row["milliseconds"] = 0.0
            if row["name"] == "understand":
                left = {str(w) for w in edit.get("without") or ()} if stage == "understand" else set()
                row["facts"]["heard"] = [chip(s) | {"off": s.wish_id in left} for s in self._standing(held)]
            if row["name"] == "rules":
                where = edit.get("where") if stage == "rules" else None
                row["facts"] |= {"yours": list(yours), "where": where}
                row["facts"]["withhold_seen"] = after.requests.rules.withhold_seen
        return told | self._moved(base, after) | {"event": event, "edited": held.request_id}

    def _moved(self, base: parts.Answer, after: parts.Answer) -> dict[str, Any]:
        """What stands higher than before, most first, and what was not there."""
        assert base.slates is not None and after.slates is not None
        was = {item: place for place, (item, _) in enumerate(base.slates.row(0), 1)}
        now = {item: place for place, (item, _) in enumerate(after.slates.row(0), 1)}

        def named(item: int, **more: int) -> dict[str, Any]:
            return {"item_id": self.engine.dataset.items[item], "title": self.engine.window.title(item), **more}

        rose = [(was[i] - place, i, place) for i, place in now.items() if i in was and place < was[i]]
        return {
            "rose": [named(i, **{"from": was[i], "place": place}) for _, i, place in sorted(rose, key=lambda r: -r[0])],
            "new": [named(i, place=place) for i, place in now.items() if i not in was],
        }

    def _logged(self, held: Answer, stage: str, edit: Mapping[str, Any]) -> dict[str, Any]:
        """The edit as an event; kept where somebody asked, since the log is by person."""
        event = Happened(
            event_id=f"edit-{secrets.token_hex(8)}", user_id=held.user or "", event_type="edit", time=self.engine.now(),
            request_id=held.request_id, payload={"stage": stage, "edit": dict(edit)},
        )  # fmt: skip
        if held.user is not None:
            self.engine.store.append([event])
        told = ("event_id", "user_id", "event_type", "time", "request_id", "payload")
        return {name: getattr(event, name) for name in told}
