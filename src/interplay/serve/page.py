"""The one page as it is sent: shell, templates, and the first feed drawn into it.

The markup of cards and shelves exists once, as `<template>` elements in `web/index.html`. The server fills them for the
first screen and the browser for every later one, by three rules: `{{name}}` is a value, escaped; `{{*name}}` is markup;
`{{?name}}...{{/name}}` stays where the value is neither empty nor false.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from interplay.serve.engine import Engine
from interplay.serve.feed import people, person

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

    def __init__(self, web: Path, engine: Engine) -> None:
        self.shell = (web / "index.html").read_text(encoding="utf-8")
        self.templates = {name: body.strip() for name, body in _TEMPLATE.findall(self.shell)}
        self.engine = engine

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """The persons one may step into; chosen once."""
        return people(self.engine)

    def cards(self, template: str, rows: Sequence[Mapping[str, Any]], kept: Mapping[str, str], eager: int = 0) -> str:
        """List items, the first `eager` of them with pictures that do not wait."""
        return "".join(
            fill(self.templates[template], {
                **row, "kept": "true" if str(row["item_id"]) in kept else "false",
                "loading": "eager" if place < eager else "lazy",
            })
            for place, row in enumerate(rows)
        )  # fmt: skip

    def shelf(self, shelf: Mapping[str, Any], kept: Mapping[str, str], eager: int) -> str:
        return fill(self.templates["shelf"], {**shelf, "cards": self.cards("card", shelf["items"], kept, eager)})

    def html(self, user: str, feed: Mapping[str, Any] | None) -> str:
        """The page for one person; with a feed, its first screen is drawn and the rest travels as data."""
        who = feed["person"] if feed else person(self.engine, user)
        state = {"user": user, "engine": self.engine.name, "person": who, "feed": feed}
        drawn = {
            "state": json.dumps(state, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
            "hidden": "" if feed else "hidden", "name": who["name"], "face": fill(self.templates["face"], face(who)),
        }  # fmt: skip
        if feed is not None:
            kept = who["kept"]
            drawn |= {
                "title": feed["title"], "lead": feed["lead"], "heroes": self.cards("hero", feed["heroes"], kept, 2),
                "shelves": "".join(self.shelf(shelf, kept, 4) for shelf in feed["shelves"][:1]),
            }  # fmt: skip
        return _SLOT.sub(
            lambda m: drawn.get(m[1], "") if m[1] in _MARKUP else html.escape(drawn.get(m[1], "")), self.shell
        )


def face(who: Mapping[str, Any]) -> dict[str, Any]:
    """A drawn face for an invented person; an outline for everybody else."""
    return {"face": who["face"], "nobody": not who["face"]}


_SLOT = re.compile(r"\[\[(\w+)\]\]")
_MARKUP = frozenset(("state", "face", "heroes", "shelves"))
