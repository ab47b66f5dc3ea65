"""Where people look: the question, how far it is, and the heat map or the refusal."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Answered, example
from interplay.serve.bodies.errands import Errand


class Question(BaseModel):
    model_config = example(kind="click")

    kind: str = Field(default="click", min_length=1, max_length=100, description="The event type that answers a page")


class Cell(BaseModel):
    row: int = Field(description="From 1")
    place: int = Field(description="Within the row, from 1")
    examination: float | None = Field(description="How often it is looked at, relative to the cell looked at most")
    rate: float | None = Field(description="Events a showing")
    interval: list[float] | None = Field(description="Of the rate, 95 %")
    shown: int


class Reason(BaseModel):
    place: int = Field(description="In the order that would be clicked most, from 1")
    row: int = Field(description="Where it stands now, from 1")
    said: str


class Seen(BaseModel):
    kind: str
    model: str = Field(description="The click model; it is judged on people it was not fitted to")
    pages: int
    people: int
    clicks: int
    grid: list[list[Cell]] = Field(description="Rows of cells")
    gain: float = Field(description="Log-likelihood a page over the click rate of each cell, on people left out")
    interval: list[float]
    moved: float = Field(description="Share of showings of things that stood in several places")
    rows: list[Reason] = Field(description="Why each row stands where it does; empty where pages have one row")
    rows_said: str
    notes: list[str]
    verdict: Literal["better", "worse", "cannot tell"] = Field(description="Than click rates alone")
    said: str


class Look(Errand):
    asked: Question
    answers: list[Seen]


class Looks(Answered):
    looks: list[Look] = Field(description="The newest first")
    events: list[str] = Field(description="Event types of the log, any of which may answer a page")


class OneLook(Answered):
    look: Look
