"""The bodies of Gorse's REST: field names as its clients write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Lenient(BaseModel):
    """Fields of other versions are read over."""

    model_config = ConfigDict(extra="ignore")


class Feedback(Lenient):
    FeedbackType: str = Field(min_length=1, max_length=64)
    UserId: str = Field(min_length=1, max_length=512)
    ItemId: str = Field(min_length=1, max_length=512)
    Timestamp: datetime | str | None = None
    Value: float | None = Field(default=None, allow_inf_nan=False)
    Comment: str = Field(default="", max_length=20_000)


class Item(Lenient):
    ItemId: str = Field(min_length=1, max_length=512)
    IsHidden: bool = False
    Categories: list[str] | None = None
    Timestamp: datetime | str | None = None
    Labels: Any = None
    Comment: str = Field(default="", max_length=20_000)


class ItemPatch(Lenient):
    IsHidden: bool | None = None
    Categories: list[str] | None = None
    Timestamp: datetime | str | None = None
    Labels: Any = None
    Comment: str | None = Field(default=None, max_length=20_000)


class User(Lenient):
    UserId: str = Field(min_length=1, max_length=512)
    Labels: Any = None
    Subscribe: list[str] | None = None
    Comment: str = Field(default="", max_length=20_000)


class UserPatch(Lenient):
    Labels: Any = None
    Subscribe: list[str] | None = None
    Comment: str | None = Field(default=None, max_length=20_000)


class RowAffected(BaseModel):
    RowAffected: int


class Score(BaseModel):
    Id: str
    Score: float


class Feedbacks(BaseModel):
    Cursor: str
    Feedback: list[dict[str, Any]]


class Items(BaseModel):
    Cursor: str
    Items: list[dict[str, Any]]


class Users(BaseModel):
    Cursor: str
    Users: list[dict[str, Any]]
