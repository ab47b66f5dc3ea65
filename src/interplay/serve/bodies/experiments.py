"""Experiments: plans and what came of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from interplay.serve.bodies.common import Answered

Name = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")


class PlannedArm(BaseModel):
    name: str = Name
    model: int = Field(default=0, ge=0, le=2**31 - 1, description="A model version; 0 is whatever is live")
    share: float = Field(default=0.5, gt=0, le=1, description="Of the people who take part")


class PlannedRail(BaseModel):
    event: str = Field(min_length=1, max_length=100, description="An event type, as `less` or `purchase`")
    margin: float = Field(ge=0, le=1e6, description="How much worse, in events a page, is still accepted")
    higher_is_better: bool = True


class Plan(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{
                "name": "new-feed", "arms": [{"name": "now"}, {"name": "next", "model": 2}],
                "guardrails": [{"event": "purchase", "margin": 0.01}],
            }]
        }
    )  # fmt: skip

    name: str = Name
    arms: list[PlannedArm] = Field(min_length=2, max_length=10, description="The others are compared with the first")
    kind: Literal["split", "interleave"] = Field(
        default="split", description="Each person is answered by one arm, or both arms fill each page in turns"
    )
    reward: str = Field(default="click", min_length=1, max_length=100, description="The event type that counts")
    surface: Literal["feed", "search", "both"] = "feed"
    traffic: float = Field(default=1.0, gt=0, le=1, description="The share of people who take part")
    guardrails: list[PlannedRail] = Field(default=[], max_length=10)


class Move(BaseModel):
    at: int = Field(description="Microseconds UTC, on the engine's calendar")
    shares: dict[str, float]


class Kept(Plan):
    state: Literal["made", "running", "stopped"]
    made_at: int = Field(description="Microseconds UTC")
    started_at: int | None = Field(description="Microseconds UTC, on the engine's calendar")
    stopped_at: int | None
    moves: list[Move] = Field(description="Of shares; the first is what it began with")


class Listed(Answered):
    experiments: list[Kept]
    events: list[str] = Field(description="Event types of the log, any of which may count")


class Changed(Answered):
    experiment: Kept


class FoundArm(BaseModel):
    name: str
    model: int
    share: float
    persons: int
    pages: int
    rewards: int
    rate: float | None = Field(description="Rewards a page")


class FoundGap(BaseModel):
    arm: str
    difference: float | None = Field(description="Rewards a page more than the first arm")
    interval: list[float] | None = Field(description="Holds however often it is looked at")
    verdict: Literal["better", "worse", "cannot tell"]
    persons: int


class FoundRail(BaseModel):
    arm: str
    event: str
    margin: float
    state: Literal["breached", "held", "open"]
    higher_is_better: bool
    difference: float | None
    interval: list[float] | None


class Point(BaseModel):
    at: int = Field(description="Microseconds UTC, on the engine's calendar")
    gaps: list[FoundGap] = Field(description="As they were then")


class Results(Answered):
    experiment: Kept
    arms: list[FoundArm]
    gaps: list[FoundGap]
    guardrails: list[FoundRail]
    moved: int = Field(description="Persons who saw more than one arm; they are left out")
    sample_ratio: float | None = Field(description="Chance that so many came to each arm; small where people are lost")
    said: str
    course: list[Point] = Field(description="How the differences came about; each interval held when it was looked at")
    may_stop: bool = Field(description="It has told what it can; stopping it earlier is allowed and concludes nothing")
    stop_said: str
    needed: int | None = Field(description="About how many persons it takes, if the difference is what it looks like")


class Decision(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"arm": "next"}]})

    arm: str = Name


class Shares(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"shares": {"now": 0.8, "next": 0.2}}]})

    shares: dict[str, float] | None = Field(
        default=None, description="Of every arm; by each arm's chance of being best where none are given"
    )
    floor: float = Field(default=0.05, ge=0, le=0.5, description="The least share of an arm, where none are given")
