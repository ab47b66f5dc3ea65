"""Work that goes on in a process of its own, as it is sent: an estimate, a look, a training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Strict

RECIPE = 64_000  # characters


class Named(Strict):
    """Something to learn: by its name in the package, or by its text."""

    name: str = Field(default="", max_length=200, description="A recipe or a system of the package, or what to call it")
    text: str = Field(default="", max_length=RECIPE, description="A recipe, where it is none of the package's")


class Step(BaseModel):
    stage: str
    said: str = ""
    done: int | None = None
    total: int | None = None


class Errand(BaseModel):
    errand_id: str
    made_at: int = Field(description="Microseconds UTC")
    ended_at: int | None
    state: Literal["waiting", "running", "done", "refused", "failed"]
    steps: list[Step] = Field(description="What was done so far; the last is what goes on")
    said: str = Field(description="What came of it, or what is missing, in a sentence")
