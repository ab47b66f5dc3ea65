"""A fitted model or recipe before simulated people, with a statement of how far these are like the real ones.

Agents are spoken for by a text model. Where none is configured, recorded agents stand in for them, and `mark` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interplay.errors import BadSetting, Mismatch, unknown
from interplay.fitted import Fitted
from interplay.llm import TextModel
from interplay.protocols.simulating import reported, resampled, validated
from interplay.types import Dataset, Requests, Slates
from interplay.worlds.agents import AgentConfig, AgentWorld
from interplay.worlds.check import walked
from interplay.worlds.learned import SIMULATORS, LearnedConfig, LearnedWorld, parts_by_time
from interplay.worlds.recorded import PLACES, RecordedWorld

AGENTS = "agents"
STAND_IN = (
    "no text model is configured (INTERPLAY_TEXT_MODEL_URL): every answer is resampled from recorded agents, by place "
    "and activity; what is shown plays no part, so nothing here tells two systems apart"
)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What simulated people did, and what is known of them."""

    pages: int
    counts: Mapping[str, int]  # events by kind
    likeness: Mapping[str, float]  # the simulator against ratings it has not seen, as in the bench `simulators`
    spoken: Mapping[str, Any]  # of agents: pages, calls, answers, fallbacks and why; empty for others
    mark: str = ""  # that agents are recorded ones, where they are


def rehearse(
    fitted: Fitted, data: Dataset, *, world: str = "learned", people: int = 20, pages: int = 5, seed: int = 0,
    model: TextModel | None = None,
) -> Rehearsal:  # fmt: skip
    """Show pages of a fitted system to people learnt from a log; nothing in it may be told as a gain with real ones.

    `world` is a simulator's name (worlds/learned.py), or `agents`, for whom `model` answers; without one, recorded
    agents do (worlds/recorded.py), and the answer is marked.
    """
    if world not in (*SIMULATORS, AGENTS):
        raise unknown("simulator", world, (*SIMULATORS, AGENTS))
    if min(people, pages) < 1:
        raise BadSetting(f"a rehearsal needs people and pages; found {people} and {pages}")
    if fitted.dataset.items != data.items or fitted.dataset.users != data.users:
        raise Mismatch(
            f"the model was fitted on {fitted.dataset.name!r}, whose people and items are not these; give it"
        )
    train, valid, _ = parts_by_time(data)
    config = LearnedConfig(knows="learned" if world == AGENTS else world, people=people, steps=pages)
    made: LearnedWorld
    if world != AGENTS:
        made = LearnedWorld(data, train, valid, config, seed=seed)
    elif model is not None:
        made = AgentWorld(data, train, valid, model, AgentConfig(people=people, steps=pages), seed=seed)
    else:
        made = RecordedWorld(data, train, valid, replace(config, places=PLACES), seed=seed)
    recorded = isinstance(made, RecordedWorld)

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
        likeness=(reported(data, resampled(data, seed=seed), config, seed=seed) if recorded
                  else validated(data, LearnedConfig(knows=config.knows), seed=seed))[0],
        spoken=made.report() if isinstance(made, AgentWorld) else {}, mark=STAND_IN if recorded else "",
    )  # fmt: skip
