"""Experiments while serving: which of several models answers a person, or both on one page; and what came of it.

Every replica gives a person the same arm, by a hash; the plan is looked at again every second. An arm's model answers
from the scene that is served from, with its own cascade. Whoever cannot be assigned (nobody said who asks, a history of
their own was sent) and whatever an arm cannot answer is answered by the live model, and is not counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interplay.data.store.experiments import LIVE, RUNNING, Experiment, Tally, tally
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, InterplayError
from interplay.evaluate.experiments import (
    FEWEST,
    MISMATCH,
    Arm,
    Gap,
    allocated,
    assigned,
    gap,
    guarded,
    needs,
    preferred,
    sample_ratio,
    team_draft,
)
from interplay.fitted import Fitted
from interplay.ops.choosing import uniforms
from interplay.serve.scene import Scene
from interplay.serve.watch import cascade
from interplay.types import Array, Id, Reply, Requests, Slates

log = logging.getLogger("interplay.engine")
EVERY = 1.0  # seconds between looks at the plans
COURSE = 40  # points of the line of a difference over time


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What a person is part of: an experiment, and the arm that answers (both where pages are interleaved)."""

    plan: Experiment
    arms: tuple[str, ...]


class Trials:
    """The experiments that run over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._looked, self._plans = -EVERY, list[Experiment]()
        self._scenes: dict[int, tuple[Scene, Scene]] = {}  # version -> (the base that it was made from, its own scene)

    def look(self, *, now: bool = False) -> list[Experiment]:
        """The plans that run, read again when a second has passed."""
        if now or time.monotonic() - self._looked >= EVERY:
            self._plans, self._looked = self.store.experiments.list(RUNNING), time.monotonic()
        return self._plans

    def part(self, user: Id | None, searching: bool) -> Part | None:
        """What a person is part of on the feed or in a search; None for nothing."""
        if user is None:
            return None
        surface = "search" if searching else "feed"
        for plan in self.look():
            if plan.surface in ("both", surface):
                arm = assigned(plan.name, str(user), plan.shares, traffic=plan.traffic)
                if arm is not None:
                    every = tuple(a.name for a in plan.arms)
                    return Part(plan=plan, arms=every if plan.kind == "interleave" else (arm,))
        return None

    def respond(
        self, scene: Scene, requests: Requests, user: Id | None, **limit: Any
    ) -> tuple[Scene, Reply, tuple[str, ...] | None]:
        """The answer as the person's part has it; the scene it came from, and the policy of every place (None: the
        live model's own)."""
        searching = requests.query is not None and bool(requests.query[0])
        part = self.part(user, searching)
        if part is not None:
            try:
                return self._answered(part, scene, requests, limit)
            except InterplayError as problem:
                log.error("experiment %s: %s; the live model answers", part.plan.name, problem)
        return scene, scene.cascade.respond(requests, trace=True, **limit), None

    def _answered(
        self, part: Part, scene: Scene, requests: Requests, limit: Mapping[str, Any]
    ) -> tuple[Scene, Reply, tuple[str, ...]]:
        model = {arm.name: arm.model for arm in part.plan.arms}
        scenes = [self.scene(model[name], scene) for name in part.arms]
        replies = [own.cascade.respond(requests, trace=True, **limit) for own in scenes]
        if len(replies) == 1:
            reply = replies[0]
            policies = (part.plan.policy(part.arms[0]),) * len(reply.slates.row(0))
            said = f"It is answered by {part.arms[0]!r} of the experiment {part.plan.name!r}."
        else:
            reply, team = interleaved(replies[0], replies[1], requests)
            policies = tuple(part.plan.policy(part.arms[side]) for side in team)
            said = f"{' and '.join(map(repr, part.arms))} of the experiment {part.plan.name!r} fill it in turns."
        return scenes[0], _noted(reply, said, part), policies

    def scene(self, version: int, base: Scene) -> Scene:
        """The scene with an arm's model in the place of the live one, kept up with it."""
        if version == LIVE:
            return base
        with self._lock:
            held = self._scenes.get(version)
            if held is not None and held[0] is base:
                return held[1]
            fresh = self._read(version, base) if held is None else held[1].caught_up(self.store, base.head).read()
            self._scenes[version] = (base, fresh)
            running = {arm.model for plan in self._plans for arm in plan.arms}
            self._scenes = {v: s for v, s in self._scenes.items() if v in running or v == version}
            return fresh

    def _read(self, version: int, base: Scene) -> Scene:
        model = self.store.models.get(version)
        fitted = Fitted.load(self.store.models.path(model))
        return replace(base, cascade=cascade(fitted, base.dataset), name=fitted.name, unlike={})


def interleaved(first: Reply, second: Reply, requests: Requests) -> tuple[Reply, tuple[int, ...]]:
    """One page out of two answers to a request of one, and whose choice each place was."""
    assert requests.draw is not None
    rows = [dict(reply.slates.row(0)) for reply in (first, second)]
    coins = uniforms(requests.draw ^ np.uint64(0x9E3779B97F4A7C15), requests.k)[0].tolist()
    drafted = team_draft(list(rows[0]), list(rows[1]), requests.k, coins)
    told = [
        {int(row["item"]): row for row in reply.trace[0].items} if reply.trace else {} for reply in (first, second)
    ]  # fmt: skip
    items, scores = [], []
    for place, (item, side) in enumerate(zip(drafted.items, drafted.team, strict=True), 1):
        items.append({**told[side].get(item, {"item": item}), "place": place})
        scores.append(-float(place))  # the two models' scores are of different kinds; the page is in order
    slates = Slates(
        items=np.array([drafted.items], np.int32).reshape(1, -1),
        scores=np.array([scores], np.float32).reshape(1, -1),
        columns={"propensity": np.array([drafted.chance], np.float64).reshape(1, -1)},
    )
    trace = None if not first.trace else [replace(first.trace[0], items=tuple(items))]
    return replace(first, slates=slates, trace=trace), drafted.team


def _noted(reply: Reply, said: str, part: Part) -> Reply:
    """With a line of the trace that says so."""
    if not reply.trace or not reply.trace[0].stages:
        return reply
    trace = reply.trace[0]
    first = trace.stages[0]
    facts = {**first.facts, "experiment": part.plan.name, "arms": list(part.arms)}
    stage = replace(first, said=f"{first.said} {said}", facts=facts)
    return replace(reply, trace=[replace(trace, stages=(stage, *trace.stages[1:]))])


# --------------------------------------------------------------------------------------------------------------------
# What came of it


def results(store: Store, plan: Experiment, *, level: float = 0.95, sharpest: int = 1000) -> dict[str, Any]:
    """What is known up to now, to be looked at as often as one likes: arms, differences from the first, guardrails, how
    the differences came about, and whether it may be stopped."""
    steps = COURSE if plan.started_at is not None else 1
    course = tally(store, plan, plan.reward, steps=steps)
    held = course.until(steps - 1)
    measured = _preferred if plan.kind == "interleave" else _compared
    counts, gaps = measured(plan, held, level, sharpest)
    moved = _moved(held)
    out: dict[str, Any] = {"moved": int(moved.sum()), "sample_ratio": None, "guardrails": []}
    out["arms"] = [_filled(plan, held, k, moved) for k in range(len(plan.arms))]
    if plan.kind == "split" and not plan.moves:
        out["sample_ratio"] = sample_ratio(counts, list(plan.shares.values()))
    why = _too_early(counts, out["sample_ratio"])
    names = [arm.name for arm in plan.arms[1:]]
    out["gaps"] = [_told(name, told, why) for name, told in zip(names, gaps, strict=True)]
    for rail in plan.guardrails if plan.kind == "split" else ():
        sides = measured(plan, tally(store, plan, rail.event), level, sharpest)[1]
        for name, told in zip(names, sides, strict=True):
            state = (
                "open" if why or told is None else guarded(told, rail.margin, higher_is_better=rail.higher_is_better)
            )
            out["guardrails"].append({
                "arm": name, "event": rail.event, "margin": rail.margin, "state": state,
                "higher_is_better": rail.higher_is_better, "difference": None if told is None else told.difference,
                "interval": None if told is None else list(told.interval),
            })  # fmt: skip
    out["course"] = [
        {"at": int(course.ends[step]), "gaps": [_told(name, told, why) for name, told in zip(names, then, strict=True)]}
        for step in range(steps if plan.started_at is not None else 0)
        for then in [measured(plan, course.until(step), level, sharpest)[1]]
    ]
    return out | {"said": _said(plan, out, why)} | _stopping(plan, out, gaps, why, sharpest)


def shares(store: Store, plan: Experiment, *, floor: float = 0.05) -> dict[str, float]:
    """How traffic would be divided by each arm's chance of being best, as of now."""
    if plan.kind != "split" or plan.state != RUNNING:
        raise BadSetting(f"the experiment {plan.name!r} is {plan.state} ({plan.kind}); shares move in a running split")
    held = tally(store, plan, plan.reward)
    arms = [_arm(held, k, _moved(held)) for k in range(len(plan.arms))]
    if min(map(len, arms)) < FEWEST:
        raise BadData(f"arms of {[len(a) for a in arms]} persons; {FEWEST} in each are needed before shares move")
    errors = [float(np.sqrt((arm.influence**2).sum())) / len(arm) for arm in arms]
    found = allocated([arm.rate for arm in arms], errors, floor=floor)
    return {arm.name: float(share) for arm, share in zip(plan.arms, found / found.sum(), strict=True)}


def _moved(held: Tally) -> Array:
    """bool[persons]: who saw more than one arm."""
    return ((held.pages > 0).any(axis=2)).sum(axis=1) > 1


def _arm(held: Tally, k: int, moved: Array) -> Arm:
    """The persons of one arm who saw no other."""
    pages = held.pages[:, k, 0]
    own = (pages > 0) & ~moved
    return Arm(pages=pages[own].astype(float), rewards=held.rewards[own, k, 0].astype(float), before=held.before[own])


def _filled(plan: Experiment, held: Tally, k: int, moved: Array) -> dict[str, Any]:
    """Who and what is in an arm; both arms of interleaved pages have everybody."""
    both = plan.kind == "interleave"
    own = _arm(held, k, moved & (not both))
    pages = int(held.pages.max(axis=1).sum()) if both else int(own.pages.sum())
    rewards = int(held.rewards[:, k].sum()) if both else int(own.rewards.sum())
    return {
        "name": plan.arms[k].name, "model": plan.arms[k].model, "share": plan.arms[k].share,
        "persons": len(held.pages) if both else len(own), "pages": pages, "rewards": rewards,
        "rate": rewards / pages if pages else None,
    }  # fmt: skip


def _compared(plan: Experiment, held: Tally, level: float, sharpest: int) -> tuple[list[int], list[Gap | None]]:
    """How many are in each arm, and each arm's difference from the first."""
    arms = [_arm(held, k, _moved(held)) for k in range(len(plan.arms))]
    return [len(arm) for arm in arms], [_gap(arms[0], arm, level, sharpest) for arm in arms[1:]]


def _preferred(plan: Experiment, held: Tally, level: float, sharpest: int) -> tuple[list[int], list[Gap | None]]:
    """Interleaved pages: how many saw them, and whose items are clicked more, by person."""
    pages = held.pages.max(axis=1)[:, 0].astype(float)
    own = pages > 0
    wins = (held.rewards[:, 1, 0] - held.rewards[:, 0, 0])[own].astype(float)
    told = preferred(wins, pages[own], level=level, sharpest=sharpest) if int(own.sum()) > 1 else None
    return [int(own.sum())], [told]


def _gap(control: Arm, treated: Arm, level: float, sharpest: int) -> Gap | None:
    if min(len(control), len(treated)) < 2:
        return None
    return gap(control, treated, level=level, sharpest=sharpest)


def _too_early(counts: Sequence[int], ratio: float | None) -> str:
    """Why nothing should be concluded yet; '' where something may be."""
    if ratio is not None and ratio < MISMATCH:
        return (
            f"the arms were not filled as planned ({', '.join(map(str, counts))} persons; chance {ratio:.1g}): "
            "something sends or loses people by arm, so the difference means nothing"
        )
    if min(counts) < FEWEST:
        many = f"arms of {', '.join(map(str, counts))} persons" if len(counts) > 1 else f"{counts[0]} persons"
        return f"{many}; {FEWEST} {'in each ' if len(counts) > 1 else ''}are needed"
    return ""


def _told(name: str, told: Gap | None, why: str) -> dict[str, Any]:
    if told is None:
        return {"arm": name, "difference": None, "interval": None, "verdict": "cannot tell", "persons": 0}
    verdict = "cannot tell" if why else told.verdict
    return {
        "arm": name, "difference": told.difference, "interval": list(told.interval), "verdict": verdict,
        "persons": told.persons,
    }  # fmt: skip


def _said(plan: Experiment, out: Mapping[str, Any], why: str) -> str:
    """The result in a sentence."""
    if plan.started_at is None:
        return f"{plan.name} was not started yet"
    if why:
        return f"nothing can be concluded: {why}"
    parts = []
    for told in out["gaps"]:
        low, high = told["interval"]
        parts.append(
            f"{told['arm']} is {told['verdict']} than {plan.arms[0].name}" if told["verdict"] != "cannot tell"
            else f"{told['arm']} and {plan.arms[0].name} cannot be told apart"
        )  # fmt: skip
        parts[-1] += f" ({told['difference']:+.4f} {plan.reward}s a page, between {low:+.4f} and {high:+.4f})"
    breached = [f"{g['event']} by {g['arm']}" for g in out.get("guardrails", ()) if g["state"] == "breached"]
    return "; ".join(parts) + (f". A guardrail is breached: {', '.join(breached)}" if breached else "")


def _stopping(
    plan: Experiment, out: Mapping[str, Any], gaps: Sequence[Gap | None], why: str, sharpest: int
) -> dict[str, Any]:  # fmt: skip
    """Whether it has told what it can, in a sentence, and about how many persons it takes until it has."""
    needed = [needs(told, sharpest=sharpest) for told in gaps if told is not None and told.verdict == "cannot tell"]
    more = max((n for n in needed if n is not None), default=None)
    rails = {state: [g["event"] for g in out["guardrails"] if g["state"] == state] for state in ("breached", "open")}
    if plan.state != RUNNING:
        may, said = False, "it does not run"
    elif out["sample_ratio"] is not None and out["sample_ratio"] < MISMATCH:
        may, said = True, "stop it and find out what sends or loses people by arm; nothing is learnt meanwhile"
    elif rails["breached"]:
        may, said = True, f"stop it: the guardrail {rails['breached'][0]} is breached"
    elif why:
        may, said = False, f"too early: {why}"
    elif any(told is None or told.verdict == "cannot tell" for told in gaps):
        many = "more than a million people" if more is None else f"about {more:,} people in all"
        may, said = False, f"not yet: if the difference is what it looks like, it takes {many} to be sure"
    elif rails["open"]:
        may, said = False, f"the difference is known; the guardrail {rails['open'][0]} is still open"
    else:
        may, said = True, "it may be stopped: the difference is known, whoever looks how often"
    return {"may_stop": may, "stop_said": said, "needed": more}
