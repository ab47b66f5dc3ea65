"""What bodies share: ids, strictness, the request id of every answer, and the refusal."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

ItemId = Annotated[str, Field(max_length=512)] | int
K = Annotated[int, Field(ge=1, le=500, description="How many items to show")]


def example(**values: Any) -> ConfigDict:
    """A configuration that refuses unknown fields and shows this body in the description."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class Strict(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


class Answered(BaseModel):
    request_id: str


class Sentence(Answered):
    """What went wrong: what was found, what was expected, what to do."""

    error: str


class Wrong(BaseModel):
    """One row of a batch that was refused alone."""

    place: int = Field(description="Position in the batch, from 0")
    reason: str


class Value(BaseModel):
    value: str
    label: str
    count: int
    chosen: bool


class FacetCounts(BaseModel):
    name: str
    legend: str
    values: list[Value]
