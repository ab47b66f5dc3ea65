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
    """What is known up to now, to be looked at as often as one likes: arms, differences from the first, guardrails."""
    held = tally(store, plan, plan.reward)
    policies = [plan.policy(arm.name) for arm in plan.arms]
    out: dict[str, Any] = {"arms": [], "gaps": [], "guardrails": [], "moved": 0, "sample_ratio": None}
    if plan.kind == "interleave":
        return out | _preference(plan, held, policies, level, sharpest)
    moved = {user for user, own in held.pages.items() if len(own) > 1}
    arms = [_arm(held, policy, moved) for policy in policies]
    out["moved"] = len(moved)
    out["arms"] = [
        {"name": a.name, "model": a.model, "share": a.share, "persons": len(arm), "pages": int(arm.pages.sum()),
         "rewards": int(arm.rewards.sum()), "rate": arm.rate if len(arm) else None}
        for a, arm in zip(plan.arms, arms, strict=True)
    ]  # fmt: skip
    counts = [len(arm) for arm in arms]
    if not plan.moves:
        out["sample_ratio"] = sample_ratio(counts, list(plan.shares.values()))
    why = _too_early(counts, out["sample_ratio"])
    out["gaps"] = [_told(name, _gap(arms[0], arm, level, sharpest), why)
                   for name, arm in zip([a.name for a in plan.arms][1:], arms[1:], strict=True)]  # fmt: skip
    for rail in plan.guardrails:
        other = tally(store, plan, rail.event)
        sides = [_arm(other, policy, moved) for policy in policies]
        for arm_plan, side in zip(plan.arms[1:], sides[1:], strict=True):
            told = _gap(sides[0], side, level, sharpest)
            state = (
                "open" if why or told is None else guarded(told, rail.margin, higher_is_better=rail.higher_is_better)
            )
            out["guardrails"].append({
                "arm": arm_plan.name, "event": rail.event, "margin": rail.margin, "state": state,
                "higher_is_better": rail.higher_is_better, "difference": None if told is None else told.difference,
                "interval": None if told is None else list(told.interval),
            })  # fmt: skip
    return out | {"said": _said(plan, out, why)}


def shares(store: Store, plan: Experiment, *, floor: float = 0.05) -> dict[str, float]:
    """How traffic would be divided by each arm's chance of being best, as of now."""
    if plan.kind != "split" or plan.state != RUNNING:
        raise BadSetting(f"the experiment {plan.name!r} is {plan.state} ({plan.kind}); shares move in a running split")
    held = tally(store, plan, plan.reward)
    moved = {user for user, own in held.pages.items() if len(own) > 1}
    arms = [_arm(held, plan.policy(arm.name), moved) for arm in plan.arms]
    if min(map(len, arms)) < FEWEST:
        raise BadData(f"arms of {[len(a) for a in arms]} persons; {FEWEST} in each are needed before shares move")
    errors = [float(np.sqrt((arm.influence**2).sum())) / len(arm) for arm in arms]
    found = allocated([arm.rate for arm in arms], errors, floor=floor)
    return {arm.name: float(share) for arm, share in zip(plan.arms, found / found.sum(), strict=True)}


def _arm(held: Tally, policy: str, moved: set[int]) -> Arm:
    users = [user for user, own in held.pages.items() if policy in own and user not in moved]
    return Arm(
        pages=np.array([held.pages[u][policy] for u in users], float),
        rewards=np.array([held.rewards.get(u, {}).get(policy, 0) for u in users], float),
        before=np.array([held.before.get(u, 0) for u in users], float),
    )


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
        return f"arms of {', '.join(map(str, counts))} persons; {FEWEST} in each are needed"
    return ""


def _told(name: str, told: Gap | None, why: str) -> dict[str, Any]:
    if told is None:
        return {"arm": name, "difference": None, "interval": None, "verdict": "cannot tell", "persons": 0}
    verdict = "cannot tell" if why else told.verdict
    return {
        "arm": name, "difference": told.difference, "interval": list(told.interval), "verdict": verdict,
        "persons": told.persons,
    }  # fmt: skip


def _preference(
    plan: Experiment, held: Tally, policies: Sequence[str], level: float, sharpest: int
) -> dict[str, Any]:  # fmt: skip
    """Interleaved pages: whose items are clicked more, by person."""
    users = list(held.pages)
    clicks: Array = np.array([[held.rewards.get(u, {}).get(p, 0) for p in policies] for u in users], float).reshape(
        -1, 2
    )
    pages = np.array([max(held.pages[u].values()) for u in users], float)
    arms = [
        {"name": a.name, "model": a.model, "share": 0.5, "persons": len(users), "pages": int(pages.sum()),
         "rewards": int(c), "rate": float(c) / max(float(pages.sum()), 1.0)}
        for a, c in zip(plan.arms, clicks.sum(axis=0) if len(users) else (0, 0), strict=True)
    ]  # fmt: skip
    why = f"{len(users)} persons; {FEWEST} are needed" if len(users) < FEWEST else ""
    told = preferred(clicks[:, 1] - clicks[:, 0], pages, level=level, sharpest=sharpest) if len(users) > 1 else None
    out: dict[str, Any] = {"arms": arms, "gaps": [_told(plan.arms[1].name, told, why)]}
    return out | {"said": _said(plan, out, why)}


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
