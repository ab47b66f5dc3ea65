"""Talking to the engine: commands, standing wishes, and what became of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from interplay.serve.bodies.common import Answered, ItemId, Strict, example


class Say(Strict):
    """Something said to the engine, and what the person sees while saying it."""

    model_config = example(
        user_id="u17", text="no horror, something like the second one but under 20", shown=["lamp-4", "tea-1"]
    )

    user_id: ItemId
    text: str = Field(min_length=1, max_length=1000)
    shown: list[ItemId] = Field(default_factory=list, max_length=500, description="Item ids in page order")
    view: Literal["feed", "search", "item"] | None = None
    item_id: ItemId | None = Field(None, description="The item whose page is open")
    q: str | None = Field(None, max_length=400, description="The query whose results are open")
    draw: int | None = Field(None, ge=0, lt=2**64)
    stream: bool = Field(False, description="Send the parts one by one as server-sent events")


class Chip(BaseModel):
    """A standing wish."""

    model_config = ConfigDict(extra="allow")

    wish_id: str
    text: str = Field(description="The person's own words")
    wanted: bool
    hard: bool
    scope: str
    until: str | None = Field(description="ISO 8601; null stays until it is taken back")
    pinned: bool
    says: str = Field(description="Strictness and time, as in 'never, this visit'")


class ChangeMade(BaseModel):
    model_config = ConfigDict(extra="allow")

    did: Literal["added", "updated", "removed", "kept"]
    wish_id: str
    text: str


class Instructions(Answered):
    wishes: list[Chip] = Field(description="The newest first")


class Obeyed(Answered):
    """The wishes as they stand now, and the feed that obeys them."""

    model_config = ConfigDict(extra="allow")

    said: str
    changes: list[ChangeMade]
    wishes: list[Chip]
    left: int = Field(description="How many things may be shown")
    relaxed: list[dict[str, Any]] = Field(description="Wishes let go of for this answer, and how that is said")
    feed: dict[str, Any]


class Understood(Obeyed):
    understood: bool
    near: list[str] = Field(description="Words of the catalogue near those that were not understood")
    milliseconds: float


class ChangeWish(Strict):
    """What to change about one wish."""

    model_config = example(hard=True, until="2026-12-24T18:00:00Z")

    hard: bool | None = None
    wanted: bool | None = None
    scope: str | None = Field(
        None, max_length=200, description="everything, a kind of thing, or a sentence over columns as in `where`"
    )
    until: str | None = Field(None, max_length=40, description="ISO 8601; null stays until it is taken back")
    pinned: bool | None = None
