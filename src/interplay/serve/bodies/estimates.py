"""What another recipe would have earned: the question, how far it is, and the answers or the refusal."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Answered, Strict, example

RECIPE = 64_000  # characters


class Named(Strict):
    """Something to learn: by its name in the package, or by its text."""

    name: str = Field(default="", max_length=200, description="A recipe or a system of the package, or what to call it")
    text: str = Field(default="", max_length=RECIPE, description="A recipe, where it is none of the package's")


class Learnable(Named):
    """The same, or a version of the store's models."""

    model: int = Field(default=0, ge=0, le=2**31 - 1, description="A model version; 0 is none")


class Window(Strict):
    """Which part of the log is asked."""

    share: float = Field(default=0.5, gt=0, le=1, description="The newest share of the pages; what is older is learnt")
    most: int | None = Field(default=None, ge=1, le=10_000_000, description="At most so many pages, the newest")
    since: int | None = Field(default=None, ge=0, le=2**62, description="Microseconds UTC, in the place of a share")
    until: int | None = Field(default=None, ge=0, le=2**62, description="Microseconds UTC")
    days: float | None = Field(default=None, gt=0, le=100_000, description="The last days of the log, instead of since")


class Question(BaseModel):
    model_config = example(policies=[{"name": "feed.toml"}], reward="click", window={"share": 0.5})

    policies: list[Learnable] = Field(min_length=1, max_length=8)
    reward: str = Field(default="click", min_length=1, max_length=100, description="The event type that counts")
    places: int | None = Field(default=None, ge=1, le=500, description="How far down a page; as far as the log carries")
    window: Window = Field(default_factory=Window)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class Step(BaseModel):
    stage: str
    said: str = ""
    done: int | None = None
    total: int | None = None


class Estimated(BaseModel):
    name: str
    belief: str = Field(description="What it takes a reward to depend on")
    value: float
    interval: list[float]


class Support(BaseModel):
    place: int
    effective: float = Field(description="Pages that the log is worth, down to this place")
    needed: float
    found: float = Field(description="Share of what it would show that the log has")
    holds: bool


class Told(BaseModel):
    policy: str
    reward: str
    places: int = Field(description="Places from the top that this is about")
    width: int
    pages: int
    people: int
    value: float = Field(description="Rewards a page that it would have earned")
    interval: list[float]
    logged: float = Field(description="What was shown earned on those pages")
    logged_interval: list[float]
    difference: list[float]
    estimates: list[Estimated] = Field(description="Every estimator; the first is the answer")
    support: list[Support]
    effective: float
    largest: float = Field(description="The largest weight of a page")
    loggers: dict[str, int] = Field(description="Who showed how many of the pages")
    notes: list[str]
    chosen: bool
    verdict: Literal["better", "worse", "cannot tell"]
    said: str


class Errand(BaseModel):
    errand_id: str
    made_at: int = Field(description="Microseconds UTC")
    ended_at: int | None
    state: Literal["waiting", "running", "done", "refused", "failed"]
    steps: list[Step] = Field(description="What was done so far; the last is what goes on")
    said: str = Field(description="What came of it, or what is missing, in a sentence")


class Estimate(Errand):
    asked: Question
    answers: list[Told]


class Estimates(Answered):
    estimates: list[Estimate] = Field(description="The newest first")
    events: list[str] = Field(description="Event types of the log, any of which may count")


class OneEstimate(Answered):
    estimate: Estimate


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
