"""What is believed of a person."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Answered, Strict, example


class Statement(BaseModel):
    statement_id: str
    text: str
    confidence: float = Field(description="From 0 to 1; what the person said or confirmed is 1")
    evidence: list[str] = Field(description="Sentences: what it rests on")
    source: Literal["said", "guessed", "agreed"]
    fades: str
    pinned: bool
    where: str | None = Field(description="The things it is about, as a rule; null where the catalogue has no word")


class Statements(Answered):
    statements: list[Statement] = Field(description="The person's own first, then the surest")
    dropped: int = Field(description="Guesses left unsaid because they touch what is never guessed")


class WriteStatement(Strict):
    """A statement in the person's own words."""

    model_config = example(text="Likes green tea")

    text: str = Field(min_length=1, max_length=400)


class ChangeStatement(Strict):
    """What to change of one statement."""

    model_config = example(agreed=True)

    text: str | None = Field(None, min_length=1, max_length=400)
    pinned: bool | None = None
    agreed: bool | None = None
