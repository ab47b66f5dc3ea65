"""The models of a store."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Answered, example
from interplay.serve.bodies.errands import Errand, Named


class Version(BaseModel):
    version: int
    name: str = Field(description="A system or a recipe")
    made_at: int = Field(description="Microseconds UTC")
    last_row: int = Field(description="The log up to here was learnt")
    live: bool
    facts: dict[str, Any] = Field(description="Measures, the gate and how it was judged")


class Listed(Version):
    closed: str = Field(description="What would open its gate; empty where it is open")


class Move(BaseModel):
    version: int
    at: int
    why: str


class Wish(Named):
    model_config = example(name="feed.toml", gate="never")

    gate: Literal["never", "not worse", "better", "always"] = Field(
        default="never", description="When it goes live; never: it is kept, to be an arm of an experiment"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class Training(Errand):
    asked: dict[str, Any]
    answers: list[dict[str, Any]] = Field(description="The version that was kept")


class OneTraining(Answered):
    training: Training


class Choice(BaseModel):
    name: str
    about: str


class Models(Answered):
    models: list[Listed]
    moves: list[Move] = Field(description="Every move of the live pointer, oldest first")
    serving: str = Field(description="What answers at this moment")
    trainings: list[Training] = Field(description="What is or was learnt over HTTP, the newest first")
    choices: list[Choice] = Field(description="What can be learnt by its name")


class Moved(Answered):
    live: Version
