"""The bodies of requests and answers: what HTTP reads and writes, with an example each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

ItemId = str | int
K = Annotated[int, Field(ge=1, le=500, description="How many items to show")]
MICROSECONDS = 1_000_000


class Strict(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


class Ask(Strict):
    """What somebody wants: a recommendation, or with a query a search."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user_id": "17", "k": 10, "exclude": ["lamp-3"], "where": "price < 20 and kind == 'lamp'"}]
        },
    )

    user_id: ItemId | None = Field(None, description="Whose history to use; an unknown one is a stranger")
    k: K = 10
    exclude: list[ItemId] = Field(default_factory=list, max_length=10_000, description="Items not to show")
    where: str | None = Field(None, max_length=4000, description="A rule over catalogue columns, obeyed before the cut")
    facets: list[str] = Field(default_factory=list, max_length=100, description="name:value, as the facets are listed")
    draw: int | None = Field(None, ge=0, lt=2**64, description="The only randomness of serving; repeats an answer")
    cursor: str | None = Field(None, description="The `next` of an earlier answer: the items after those")


class AskRecommendations(Ask):
    history: list[ItemId] | None = Field(
        None, max_length=10_000, description="Items instead of the person's own history, oldest first"
    )
    seen: Literal["drop", "keep"] = Field("drop", description="Whether items of the history may be shown again")


class AskSearch(Ask):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"q": "reading lamp", "facets": ["kind:lamp"], "k": 24}]}
    )

    q: str = Field("", max_length=400, description="What was typed; the last letters of a word may be missing")
    k: K = 24


class Shown(BaseModel):
    """One item of a list, as a person sees it."""

    item_id: ItemId
    place: int
    score: float
    request_id: str = Field(description="The answer it belongs to; later events carry it back")
    title: str
    by: str
    kind: str
    about: str
    price: float | None
    price_said: str
    link: str
    picture: str
    wide: str
    source: str = Field(description="Which source found it first")
    reason: str


class Answered(BaseModel):
    request_id: str


class Note(BaseModel):
    """A sentence about the answer, with other queries to try."""

    tone: Literal["plain", "care"]
    strong: str
    text: str
    queries: list[str] = []
    untick: bool = False


class Value(BaseModel):
    value: str
    label: str
    count: int
    chosen: bool


class FacetCounts(BaseModel):
    name: str
    legend: str
    values: list[Value]


class Recommendations(Answered):
    items: list[Shown]
    next: str | None = Field(description="The cursor of the next items; null at the end")
    draw: str = Field(description="16 hexadecimal digits: with the same log and this draw the answer is the same")
    milliseconds: float
    notes: list[str] = []


class SearchResults(Recommendations):
    query: str
    total: int = Field(description="How many things match and are allowed")
    near: list[Shown] = Field(description="Things that come near, though a word is missing")
    facets: list[FacetCounts]
    said: list[Note]


class Similar(Recommendations):
    item_id: ItemId
    because: str


class Event(Strict):
    """One thing that happened. Sent twice with the same `event_id`, it counts once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"event_id": "5f1c", "user_id": "17", "item_id": "lamp-3", "event_type": "click"}]
        },
    )

    event_id: str | None = Field(None, min_length=1, max_length=128)
    user_id: ItemId
    item_id: ItemId | None = None
    event_type: str = Field(
        max_length=64, description="click, view, keep, cart, purchase, rate, less, undo, or a kind of the data set"
    )
    timestamp: int | datetime | None = Field(None, description="Microseconds UTC or ISO 8601; now where it is missing")
    value: float | None = Field(None, allow_inf_nan=False)
    request_id: str | None = Field(None, max_length=64, description="The answer in which the item was seen")
    session_id: str | None = Field(None, max_length=128)
    surface: str | None = Field(None, max_length=64)
    undoes: str | None = Field(None, max_length=128, description="With type undo: the event taken back")

    @field_validator("timestamp")
    @classmethod
    def microseconds(cls, value: int | datetime | None) -> int | None:
        return round(value.timestamp() * MICROSECONDS) if isinstance(value, datetime) else value


class EventsTaken(Answered):
    accepted: int = Field(description="Events now in the log")
    repeated: int = Field(description="Events whose id was in the log already; nothing changed")
    refused: list[EventRefused]


class EventRefused(BaseModel):
    place: int = Field(description="Position in the batch, from 0")
    event_id: str | None
    reason: str


class Item(Answered):
    item_id: ItemId
    title: str
    by: str
    kind: str
    about: str
    price: float | None
    price_said: str
    link: str
    picture: str
    wide: str
    properties: list[dict[str, str]]
    people: int = Field(description="How many different people touched it in the log the model learnt from")
    columns: dict[str, Any] = Field(description="The catalogue's own columns")


class Items(Answered):
    items: list[dict[str, Any]]
    total: int
    next: str | None
    facets: list[FacetCounts]


class TraceItem(BaseModel):
    model_config = ConfigDict(extra="allow")

    item_id: ItemId
    title: str
    by: str
    picture: str
    place: int
    score: float
    reason: str
    sources: list[dict[str, Any]] = Field(description="Who found it: source, place and score there, part of the score")


class TraceStage(BaseModel):
    name: str
    milliseconds: float
    said: str
    facts: dict[str, Any]


class Traced(Answered):
    user_id: str | None
    query: str | None
    at: int
    draw: str
    engine: str
    milliseconds: float
    counts: dict[str, int] = Field(description="How many items each stage left: items, allowed, found, ranked, shown")
    stages: list[TraceStage]
    items: list[TraceItem]


class Person(BaseModel):
    user_id: str
    name: str
    face: str
    events: int
    about: str


class People(Answered):
    people: list[Person]
    invented: bool = Field(description="Whether these people exist only in the built-in market")


class Health(Answered):
    status: Literal["ok"]
    engine: str
    n_items: int
    n_users: int
    live_events: int


class Sentence(Answered):
    """What went wrong: what was found, what was expected, what to do."""

    error: str
