"""Telling: events, and search events in the form of User Behavior Insights."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, field_validator

from interplay.serve.bodies.common import Answered, ItemId, Strict, example

MICROSECONDS = 1_000_000


class Event(Strict):
    """One thing that happened. Sent twice with the same `event_id`, it counts once."""

    model_config = example(event_id="5f1c", user_id="u17", item_id="lamp-4", event_type="click")

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


class EventRefused(BaseModel):
    place: int = Field(description="Position in the batch, from 0")
    event_id: str | None
    reason: str


class EventsTaken(Answered):
    accepted: int = Field(description="Events now in the log")
    repeated: int = Field(description="Events whose id was in the log already; nothing changed")
    refused: list[EventRefused]
    error: str | None = Field(default=None, description="With status 422: nothing was taken, and why")


class UbiObject(BaseModel):
    """What an event is about."""

    model_config = ConfigDict(extra="ignore")

    object_id: ItemId | None = None
    object_id_field: str | None = Field(None, max_length=200)


class UbiPosition(BaseModel):
    model_config = ConfigDict(extra="ignore")

    ordinal: int | None = Field(None, ge=0, le=100_000)


class UbiAttributes(BaseModel):
    model_config = ConfigDict(extra="ignore")

    object: UbiObject | None = None
    position: UbiPosition | None = None


class UbiEvent(BaseModel):
    """One UBI event; fields that are not kept are read over."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{
                "action_name": "item_click", "query_id": "7b21e0c4", "client_id": "u17",
                "timestamp": "2026-01-20T10:00:00Z", "event_attributes": {"object": {"object_id": "lamp-4"}},
            }]
        },
    )  # fmt: skip

    action_name: str = Field(max_length=64)
    client_id: ItemId | None = None
    user_id: ItemId | None = None
    query_id: str | None = Field(None, max_length=64, description="The request_id of the answer")
    session_id: str | None = Field(None, max_length=128)
    timestamp: int | datetime | None = None
    event_attributes: UbiAttributes = Field(default_factory=UbiAttributes)


class UbiQuery(BaseModel):
    """One UBI query: what was asked, and which objects the answer held."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{
                "query_id": "7b21", "client_id": "u17", "user_query": "lamp", "query_response_hit_ids": ["lamp-4"],
            }]
        },
    )  # fmt: skip

    query_id: str = Field(max_length=64)
    client_id: ItemId | None = None
    user_id: ItemId | None = None
    user_query: str = Field("", max_length=400)
    timestamp: int | datetime | None = None
    query_response_hit_ids: list[ItemId] = Field(default_factory=list, max_length=1000)


class UbiTaken(EventsTaken):
    queries: int = Field(description="Queries taken")
    unread: dict[str, int] = Field(description="Actions that no event type stands for, and how many there were")
