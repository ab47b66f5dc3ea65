"""Reading: items, people and the state of the service."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from interplay.serve.bodies.common import Answered, FacetCounts, ItemId


class Item(Answered):
    model_config = ConfigDict(extra="allow")  # with a user_id: meets, against

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


class Ready(Answered):
    ready: bool
    open: bool = Field(description="Whether anybody may come in without a key")
    said: list[str] = Field(description="What stands in the way, and what an operator should know")
