"""Keeping the catalogue: describing, changing, renaming and deleting items."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from interplay.serve.bodies.common import Answered, ItemId, Strict, example

LARGEST = 20_000  # characters of one text
MOST = 2_000  # items in one batch
_COLUMNS: dict[str, JsonValue] = {
    "item_id": "lamp-4", "title": "Brass reading lamp", "text": "Bends where you want it.", "categories": ["Lamps"],
    "price": 34.0, "maker": "Hale Works", "in_stock": True,
}  # fmt: skip


class ItemRow(BaseModel):
    """One item: its id and any columns. `in_stock: false` keeps it from being shown."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_COLUMNS]})

    item_id: ItemId


class PutItems(Strict):
    """Rows of any columns; each is judged by itself."""

    model_config = example(items=[_COLUMNS])

    items: list[Any] = Field(min_length=1, max_length=MOST, description="Items with their columns")


class PatchItem(BaseModel):
    """Columns to change; null empties one, `item_id` renames."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"price": 29.0, "in_stock": False}]})

    item_id: ItemId | None = None


class DeleteItems(Strict):
    model_config = example(item_ids=["lamp-4", "tea-1"])

    item_ids: list[ItemId] = Field(min_length=1, max_length=MOST)


class RowRefused(BaseModel):
    place: int = Field(description="Position in the batch, from 0")
    item_id: ItemId | None = None
    user_id: ItemId | None = None
    reason: str


class RowsTaken(Answered):
    accepted: int
    new: int = Field(description="Of those accepted: not known before")
    refused: list[RowRefused]
    error: str | None = Field(default=None, description="With status 422: nothing was taken, and why")


class Deleted(Answered):
    deleted: int
    unknown: list[ItemId] = Field(description="Ids that there were not, or that were deleted before")
