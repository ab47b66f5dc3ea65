"""A fitted model or recipe before simulated people, with a statement of how far these are like the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interplay.errors import BadSetting, Mismatch, unknown
from interplay.fitted import Fitted
from interplay.llm import TextModel
from interplay.protocols.simulating import validated
from interplay.types import Dataset, Requests, Slates
from interplay.worlds.agents import AgentConfig, AgentWorld
from interplay.worlds.check import walked
from interplay.worlds.learned import SIMULATORS, LearnedConfig, LearnedWorld, parts_by_time

AGENTS = "agents"


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What simulated people did, and what is known of them."""

    pages: int
    counts: Mapping[str, int]  # events by kind
    likeness: Mapping[str, float]  # the simulator against ratings it has not seen, as in the bench `simulators`
    spoken: Mapping[str, Any]  # of agents: pages, calls, answers, fallbacks and why; empty for others


def rehearse(
    fitted: Fitted, data: Dataset, *, world: str = "learned", people: int = 20, pages: int = 5, seed: int = 0,
    model: TextModel | None = None,
) -> Rehearsal:  # fmt: skip
    """Show pages of a fitted system to people learnt from a log; nothing in it may be told as a gain with real ones.

    `world` is a simulator's name (worlds/learned.py), or `agents`, for whom `model` answers.
    """
    if world not in (*SIMULATORS, AGENTS):
        raise unknown("simulator", world, (*SIMULATORS, AGENTS))
    if min(people, pages) < 1:
        raise BadSetting(f"a rehearsal needs people and pages; found {people} and {pages}")
    if fitted.dataset.items != data.items or fitted.dataset.users != data.users:
        raise Mismatch(
            f"the model was fitted on {fitted.dataset.name!r}, whose people and items are not these; give it"
        )
    if world == AGENTS and model is None:
        raise BadSetting(
            "agents need a text model; name one by INTERPLAY_TEXT_MODEL_URL, or take the learned simulator"
        )
    train, valid, _ = parts_by_time(data)
    knows = "learned" if world == AGENTS else world
    made: LearnedWorld
    if model is not None and world == AGENTS:
        made = AgentWorld(data, train, valid, model, AgentConfig(people=people, steps=pages), seed=seed)
    else:
        made = LearnedWorld(data, train, valid, LearnedConfig(knows=knows, people=people, steps=pages), seed=seed)

    def policy(requests: Requests) -> Slates:
        system = fitted.model
        slates = (
            system.respond(requests).slates if hasattr(system, "respond") else system.retrieve(requests, requests.k)
        )
        return Slates(items=slates.items[:, : requests.k], scores=slates.scores[:, : requests.k])

    walk = walked(made, policy, seed=seed, steps=pages)
    counts = np.sum([np.bincount(e.kind, minlength=len(made.KINDS)) for *_, e in walk], axis=0)  # type: ignore[arg-type]
    return Rehearsal(
        pages=sum(len(asked) for asked, *_ in walk), counts=dict(zip(made.KINDS, counts.tolist(), strict=True)),
        likeness=validated(data, LearnedConfig(knows=knows), seed=seed)[0],
        spoken=made.report() if isinstance(made, AgentWorld) else {},
    )  # fmt: skip
