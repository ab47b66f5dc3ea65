"""The one page as it is sent: shell, templates, and the first feed drawn into it.

The markup of cards and shelves exists once, as `<template>` elements in `web/index.html`. The server fills them for the
first screen and the browser for every later one, by three rules: `{{name}}` is a value, escaped; `{{*name}}` is markup;
`{{?name}}...{{/name}}` stays where the value is neither empty nor false.
"""

from __future__ import annotations

import html
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from interplay.llm import TextModel
from interplay.serve.engine import Engine
from interplay.serve.feed import people, person, sayings, wishes_of
from interplay.serve.photos import Photos
from interplay.serve.run import local

log = logging.getLogger(__name__)
_TEMPLATE = re.compile(r'<template id="t-(\w+)">(.*?)</template>', re.DOTALL)
_OPTION = re.compile(r"\{\{\?(\w+)\}\}(.*?)\{\{/\1\}\}", re.DOTALL)
_VALUE = re.compile(r"\{\{(\*?)(\w+)\}\}")


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A template with its values.

    >>> fill('<b>{{title}}</b>{{?price}} {{price}}{{/price}}', {"title": "Salt & Stairs", "price": ""})
    '<b>Salt &amp; Stairs</b>'
    """

    def said(found: re.Match[str]) -> str:
        value = values.get(found[2])
        text = "" if value is None or value is False else "true" if value is True else str(value)
        return text if found[1] else html.escape(text)

    return _VALUE.sub(said, _OPTION.sub(lambda m: m[2] if values.get(m[1]) else "", template))


class Page:
    """The served HTML."""

    def __init__(self, web: Path, engine: Engine, *, photos: Photos = Photos(), model: TextModel | None = None) -> None:
        """`photos` and `model` are what the foot of the page names: whom else a browser or the engine asks."""
        shell = (web / "index.html").read_text(encoding="utf-8")
        above, views, below = shell.partition(_VIEWS)
        self.top, self.rest = above + views, below
        self.templates = {name: body.strip() for name, body in _TEMPLATE.findall(shell)}
        self.engine = engine
        self.foot = {"served": served(photos, model), "parser": reads(model)}

    @property
    def shift(self) -> int:
        """Milliseconds by which the engine's calendar is ahead of the clock; 0 but for a log that ended long ago."""
        ahead = self.engine.now() // 1000 - time.time_ns() // 1_000_000
        return ahead if abs(ahead) > 86_400_000 else 0

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """The persons one may step into; chosen once."""
        return people(self.engine)

    def cards(self, template: str, rows: Sequence[Mapping[str, Any]], kept: Mapping[str, str], eager: int = 0) -> str:
        """List items, the first `eager` of them with pictures that do not wait."""
        return "".join(
            fill(self.templates[template], {
                **row, "kept": "true" if str(row["item_id"]) in kept else "false", "meets": self.meets(row),
                "loading": "eager" if place < eager else "lazy",
            })
            for place, row in enumerate(rows)
        )  # fmt: skip

    def meets(self, row: Mapping[str, Any]) -> str:
        """Which wishes a thing meets and which it goes against; empty where none stands."""
        if "meets" not in row:
            return ""
        yes, no = (", ".join(wish["text"] for wish in row.get(side, ())) for side in ("meets", "against"))
        told = ". ".join(part for part in (yes and f"Meets: {yes}", no and f"Against: {no}") if part)
        values = {"told": told, "mark": "yes" if yes else "no", "only": "" if yes else "against"}
        return fill(self.templates["meets"], values)

    def wish(self, chip: Mapping[str, Any]) -> str:
        """A standing wish as a list item."""
        wanted, strict, says = chip["wanted"], chip["hard"], str(chip["says"])
        if chip["until"] and ", to " in says:
            day = datetime.fromisoformat(chip["until"]) - timedelta(milliseconds=self.shift)
            says = f"{says.rpartition(', to ')[0]}, to {day.day} {day:%b}"
        return fill(self.templates["wish"], {
            **chip, "manner": f"{'want' if wanted else 'avoid'} {'hard' if strict else 'soft'}",
            "sign": "want" if wanted else "avoid", "says": says.replace(", ", " · "),
            "held": "true" if chip["pinned"] else "false",
        })  # fmt: skip

    def note(self, note: Mapping[str, Any]) -> str:
        """A sentence above the feed, with the person's own words in their own ink and at most two buttons."""
        buttons = [_BUTTON.format(f'data-drop="{html.escape(note["wish"])}"', "Take it back")] if "wish" in note else []
        if note.get("strict"):
            buttons.append(_BUTTON.format('data-do="strict"', "Show nothing instead"))
        words = html.escape(note["text"])
        for said in filter(None, note.get("said", ())):
            words = words.replace(html.escape(said), f'<span class="said">{html.escape(said)}</span>')
        told = {**note, "sign": note.get("sign", "note"), "words": words, "buttons": "".join(buttons)}
        return fill(self.templates["note"], told)

    def composed(self, told: Mapping[str, Any] | None) -> str:
        """Who composed the page, and the switch to the page as it stands without; nothing without an arranger."""
        return "" if told is None else fill(self.templates["composed"], told)

    def shelf(self, shelf: Mapping[str, Any], kept: Mapping[str, str], eager: int) -> str:
        return fill(self.templates["shelf"], {**shelf, "cards": self.cards("card", shelf["items"], kept, eager)})

    def parts(self, user: str, first: Callable[[], Mapping[str, Any]] | None, *, talks: bool = True) -> Iterator[str]:
        """The page for one person in two parts: what stands above every view, which a browser draws while the feed is
        computed, and the rest. `first` gives the feed; in other views there is none. `talks`: the view has the box to
        talk to. Where computing the feed fails the page asks for it again, and tells what it hears.
        """
        who = person(self.engine, user)
        top = self._filled(self.top, {"name": who["name"], "face": fill(self.templates["face"], face(who))})
        return chain((top,), self._views(user, who, wishes_of(self.engine, user), first, talks))

    def _views(
        self,
        user: str,
        who: dict[str, Any],
        wishes: list[dict[str, Any]],
        first: Callable[[], Mapping[str, Any]] | None,
        talks: bool,
    ) -> Iterator[str]:
        feed = None
        try:
            feed = first and first()
        except Exception as wrong:  # too late for another status
            log.error("no first feed", exc_info=wrong)
        if feed:
            who, wishes = feed["person"], feed["wishes"]
        kinds = self.engine.window.kinds()
        sorts = [v.replace("_", " ") for v in kinds.values[:40]] if kinds else []
        state = {
            "user": user, "engine": self.engine.name, "person": who, "feed": feed, "wishes": wishes,
            "capped": kinds.name if kinds else None, "kinds": sorts, "shift": self.shift,
        }  # fmt: skip
        drawn = {
            "dock": "" if talks else "hidden", **self.foot,
            "tries": "".join(fill(self.templates["try"], {"text": said}) for said in sayings(self.engine)),
            "wishes": "".join(map(self.wish, wishes)), "notes": "".join(map(self.note, feed["notes"] if feed else ())),
            "state": json.dumps(state, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
            "hidden": "" if first else "hidden",
        }  # fmt: skip
        if feed:
            kept = who["kept"]
            drawn |= {
                "title": feed["title"], "lead": feed["lead"], "composed": self.composed(feed["composed"]),
                "heroes": self.cards("hero", feed["heroes"], kept, 2),
                "shelves": "".join(self.shelf(shelf, kept, 4) for shelf in feed["shelves"][:1]),
            }  # fmt: skip
        yield self._filled(self.rest, drawn)

    @staticmethod
    def _filled(shell: str, drawn: Mapping[str, str]) -> str:
        return _SLOT.sub(lambda m: drawn.get(m[1], "") if m[1] in _MARKUP else html.escape(drawn.get(m[1], "")), shell)


def face(who: Mapping[str, Any]) -> dict[str, Any]:
    """A drawn face for an invented person; an outline for everybody else."""
    return {"face": who["face"], "nobody": not who["face"]}


def served(photos: Photos, model: TextModel | None) -> str:
    """Who answers, and whether anything is asked of another machine."""
    said = "Served by your own engine."
    if photos.hosts:
        return f"{said} Photographs come from {', '.join(photos.hosts)}."
    return said if _host(model) else f"{said} No request leaves this machine."


def reads(model: TextModel | None) -> str:
    """What reads the commands."""
    if model is None:
        return "No text model is configured; the built-in parser reads what you say."
    host = _host(model)
    return f"A text model{f' at {host}' if host else ''} reads what you say, beside the built-in parser."


def _host(model: TextModel | None) -> str:
    """The other machine that a text model is asked on; empty where there is none."""
    named = urlsplit(getattr(model, "address", "")).hostname or ""
    return "" if local(named) else named


_VIEWS = '<main id="main" tabindex="-1">'  # above it stands what is the same for every view
_SLOT = re.compile(r"\[\[(\w+)\]\]")
_MARKUP = frozenset(("state", "face", "heroes", "shelves", "wishes", "notes", "tries", "composed"))
_BUTTON = '<button class="b slim" {}>{}</button>'
