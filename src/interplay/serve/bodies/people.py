"""Keeping people: describing, reading, merging, exporting and erasing."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from interplay.serve.bodies.common import Answered, ItemId, Strict, example

MOST = 2_000  # people in one batch


class PutUsers(Strict):
    """Rows of any columns; each is judged by itself."""

    model_config = example(users=[{"user_id": "u17", "name": "Ada", "age": 36, "city": "Lyon"}])

    users: list[Any] = Field(min_length=1, max_length=MOST, description="People with their columns")


class PatchUser(BaseModel):
    """Columns to change; null empties one."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"city": "Turin"}]})


class UserKnown(Answered):
    user_id: ItemId
    name: str
    stranger: bool = Field(description="Whether the model knows nothing of this person")
    events: int
    columns: dict[str, Any]
    kept: dict[str, str] = Field(description="Items kept, each with the event that says so")


class UserRow(BaseModel):
    user_id: ItemId
    columns: dict[str, Any]


class Users(Answered):
    users: list[UserRow]
    total: int
    next: str | None


class Done(BaseModel):
    """One thing that a person did."""

    model_config = ConfigDict(extra="allow")

    event_id: str | None
    event_type: str
    item_id: ItemId | None
    title: str
    timestamp: int | None = Field(description="Microseconds UTC")
    value: float | None = None
    request_id: str | None = None


class History(Answered):
    user_id: str
    events: list[Done] = Field(description="Newest first; what was taken back is left out")
    total: int
    next: str | None


class Merge(Strict):
    """Whose history becomes this person's."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"from": "visitor-5f1c"}]})

    visitor: ItemId = Field(alias="from")


class Merged(Answered):
    user_id: str
    visitor: str
    events: int = Field(description="Events of the visitor that count as this person's now")


class Erased(Answered):
    """What was erased. It cannot be taken back."""

    user_id: str
    erased: bool
    events: int
    impressions: int
    traces: int
    models: int = Field(description="Model versions whose files were written anew")
    refused: int = Field(description="Rows taken out of refused-rows files")
    recordings: int = Field(description="Recorded answers of a text model")
    said: str
