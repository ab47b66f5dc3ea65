"""What another recipe would have earned: the question, how far it is, and the answers or the refusal."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from interplay.serve.bodies.common import Answered, Strict, example
from interplay.serve.bodies.errands import Errand, Named


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


class Estimate(Errand):
    asked: Question
    answers: list[Told]


class Estimates(Answered):
    estimates: list[Estimate] = Field(description="The newest first")
    events: list[str] = Field(description="Event types of the log, any of which may count")


class OneEstimate(Answered):
    estimate: Estimate
