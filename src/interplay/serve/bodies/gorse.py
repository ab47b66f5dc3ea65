"""The bodies of Gorse's REST: field names as its clients write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Lenient(BaseModel):
    """Fields of other versions are read over."""

    model_config = ConfigDict(extra="ignore")


def like(**values: Any) -> ConfigDict:
    """A configuration that shows this body in the description."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Feedback(Lenient):
    model_config = like(FeedbackType="star", UserId="u17", ItemId="lamp-4", Timestamp="2026-05-01T08:00:00Z", Value=1.0)

    FeedbackType: str = Field(min_length=1, max_length=64)
    UserId: str = Field(min_length=1, max_length=512)
    ItemId: str = Field(min_length=1, max_length=512)
    Timestamp: datetime | str | None = None
    Value: float | None = Field(default=None, allow_inf_nan=False)
    Comment: str = Field(default="", max_length=20_000)


class Item(Lenient):
    model_config = like(
        ItemId="lamp-500", IsHidden=False, Categories=["Lamps"], Timestamp="2026-05-01T08:00:00Z",
        Labels={"maker": "Hale Works", "price": 34}, Comment="Brass reading lamp",
    )  # fmt: skip

    ItemId: str = Field(min_length=1, max_length=512)
    IsHidden: bool = False
    Categories: list[str] | None = None
    Timestamp: datetime | str | None = None
    Labels: Any = None
    Comment: str = Field(default="", max_length=20_000)


class ItemPatch(Lenient):
    model_config = like(IsHidden=True, Comment="Brass reading lamp, last one")

    IsHidden: bool | None = None
    Categories: list[str] | None = None
    Timestamp: datetime | str | None = None
    Labels: Any = None
    Comment: str | None = Field(default=None, max_length=20_000)


class User(Lenient):
    model_config = like(UserId="u500", Labels={"city": "Lyon"}, Comment="Ada")

    UserId: str = Field(min_length=1, max_length=512)
    Labels: Any = None
    Subscribe: list[str] | None = None
    Comment: str = Field(default="", max_length=20_000)


class UserPatch(Lenient):
    model_config = like(Labels={"city": "Paris"})

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
