"""Experiments as the store keeps them: which arms, who takes part, since when.

A plan does not change while people are in it; only the shares of its arms may move, and every move is kept. What came
of it is in the log: every impression names its experiment and arm as its policy.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import CHUNK, Store, now
from interplay.errors import BadData, BadSetting, UnknownName, nearest
from interplay.types import Array

KINDS = ("split", "interleave")
SURFACES = ("feed", "search", "both")
MADE, RUNNING, STOPPED = "made", "running", "stopped"
LIVE = 0  # the model of an arm that is whatever serves


@dataclass(frozen=True, kw_only=True)
class ArmPlan:
    """One arm: a name, the model version that answers (0: whatever is live), its share of the people."""

    name: str
    model: int = LIVE
    share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """An event type whose rate on a page must not suffer by more than `margin`."""

    event: str
    margin: float
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment. The first arm is what the others are compared with."""

    name: str
    arms: tuple[ArmPlan, ...]
    kind: str = "split"  # or "interleave": both arms' items on one page
    reward: str = "click"
    surface: str = "feed"
    traffic: float = 1.0  # the share of people who take part
    guardrails: tuple[Guardrail, ...] = ()
    state: str = MADE
    made_at: int = 0
    started_at: int | None = None  # on the engine's calendar, as impressions are
    stopped_at: int | None = None
    moves: tuple[Mapping[str, Any], ...] = ()  # of shares: at, shares; the first is what it began with

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for name in (self.name, *names):
            if not name or len(name) > 40 or not all(c.isalnum() or c in "-_." for c in name):
                raise BadSetting(f"{name!r} is no name here; expected up to 40 letters, digits, '-', '_' and '.'")
        if len(set(names)) < len(names) or len(names) < 2:
            raise BadSetting(f"the arms are called {names}; expected two or more different names")
        if self.kind not in KINDS or self.surface not in SURFACES:
            raise BadSetting(
                f"kind {self.kind!r} and surface {self.surface!r}; expected one of {KINDS} and one of {SURFACES}"
            )
        if self.kind == "interleave" and len(names) != 2:
            raise BadSetting(f"{len(names)} arms cannot be interleaved; expected two")
        if not 0 < self.traffic <= 1:
            raise BadSetting(f"traffic is {self.traffic}; expected a share of the people, above 0 and at most 1")
        if abs(sum(self.shares.values()) - 1) > 1e-6 or min(self.shares.values()) <= 0:
            raise BadSetting(f"the shares are {self.shares}; expected numbers above 0 that sum to 1")
        if any(g.margin < 0 for g in self.guardrails):
            raise BadSetting("a guardrail's margin is below 0; expected how much worse is still accepted")

    @property
    def shares(self) -> dict[str, float]:
        return {arm.name: arm.share for arm in self.arms}

    def policy(self, arm: str) -> str:
        """What impressions of an arm name as their policy."""
        return f"{self.name}:{arm}"


class Experiments:
    """The experiments of one tenant."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self, state: str | None = None) -> builtins.list[Experiment]:
        """All of them, or those in one state, oldest first."""
        c = t.experiments.c
        query = sa.select(c.body).where(self.store.mine(t.experiments)).order_by(c.made_at, c.name)
        rows = self.store.database.rows(query if state is None else query.where(c.state == state))
        return [_read(row[0]) for row in rows]

    def get(self, name: str) -> Experiment:
        """One of them, or a refusal with the nearest names."""
        found = {e.name: e for e in self.list()}
        if name not in found:
            close = nearest(name, found)
            known = f"nearest: {close}" if close else f"there are: {sorted(found) or 'none yet'}"
            raise UnknownName(f"no experiment called {name!r}; {known}")
        return found[name]

    def create(self, plan: Experiment) -> Experiment:
        """Keep a plan; refused where the name is taken or a model version does not exist."""
        plan = replace(plan, state=MADE, made_at=now(), started_at=None, stopped_at=None, moves=())
        self._models(plan)

        def work(connection: sa.Connection) -> None:
            self.store.locked(connection)
            row = {"tenant": self.store.tenant, "name": plan.name, "state": plan.state, "made_at": plan.made_at}
            row["body"] = json.dumps(asdict(plan))
            if not self.store.database.insert(connection, t.experiments, [row], unless="tenant, name"):
                raise BadData(f"there is an experiment called {plan.name!r} already; choose another name")

        self.store.database.write(work)
        return plan

    def start(self, name: str, *, at: int) -> Experiment:
        """Let people into it from a moment on. One that was stopped is not started again: its people know both."""
        plan = self.get(name)
        if plan.state != MADE:
            raise BadSetting(f"the experiment {name!r} is {plan.state}; only one that was never started can be started")
        self._models(plan)
        for other in self.list(RUNNING):
            if "both" in (plan.surface, other.surface) or plan.surface == other.surface:
                raise BadSetting(
                    f"the experiment {other.name!r} runs on the same surface ({other.surface}); stop it first, so that "
                    "nobody is in two at once"
                )
        return self._changed(replace(plan, state=RUNNING, started_at=at))

    def stop(self, name: str, *, at: int) -> Experiment:
        """Answer everybody as before from now on; what was found stays readable."""
        plan = self.get(name)
        if plan.state != RUNNING:
            raise BadSetting(f"the experiment {name!r} is {plan.state}; only one that runs can be stopped")
        return self._changed(replace(plan, state=STOPPED, stopped_at=at))

    def move(self, name: str, shares: Mapping[str, float], *, at: int) -> Experiment:
        """Give the arms other shares; people near the edges change arms, and results leave them out."""
        plan = self.get(name)
        if plan.state != RUNNING or plan.kind != "split":
            raise BadSetting(f"the experiment {name!r} is {plan.state} ({plan.kind}); shares move in a running split")
        if set(shares) != set(plan.shares):
            raise BadSetting(f"shares are of {sorted(shares)}; expected one for each of {sorted(plan.shares)}")
        arms = tuple(replace(arm, share=float(shares[arm.name])) for arm in plan.arms)
        moves = plan.moves or ({"at": plan.started_at, "shares": plan.shares},)
        return self._changed(replace(plan, arms=arms, moves=(*moves, {"at": at, "shares": dict(shares)})))

    def _models(self, plan: Experiment) -> None:
        for arm in plan.arms:
            if arm.model != LIVE:
                self.store.models.get(arm.model)
        if len({arm.model for arm in plan.arms}) < 2:
            raise BadSetting(f"every arm of {plan.name!r} is answered by the same model; name two versions")

    def _changed(self, plan: Experiment) -> Experiment:
        which = self.store.mine(t.experiments) & (t.experiments.c.name == plan.name)
        values = {"state": plan.state, "body": json.dumps(asdict(plan))}
        self.store.database.write(lambda c: c.execute(sa.update(t.experiments).where(which).values(**values)))
        return plan


def _read(body: str) -> Experiment:
    told = json.loads(body)
    arms = tuple(ArmPlan(**arm) for arm in told.pop("arms"))
    rails = tuple(Guardrail(**rail) for rail in told.pop("guardrails"))
    return Experiment(arms=arms, guardrails=rails, moves=tuple(told.pop("moves")), **told)


# --------------------------------------------------------------------------------------------------------------------
# What came of it


@dataclass(frozen=True, kw_only=True, eq=False)
class Tally:
    """What the persons of an experiment did, step by step since its start."""

    pages: Array  # int32[persons, arms, steps]
    rewards: Array  # int32[persons, arms, steps]
    before: Array  # float64[persons]: rewards in the days before the start
    ends: Array  # int64[steps]: when each step ended, in microseconds

    def until(self, step: int) -> Tally:
        """What was known when a step had ended, as one step."""
        pages, rewards = (held[:, :, : step + 1].sum(axis=2, keepdims=True) for held in (self.pages, self.rewards))
        return replace(self, pages=pages, rewards=rewards, ends=self.ends[step : step + 1])


def tally(store: Store, plan: Experiment, event: str, *, steps: int = 1, days: float = 14) -> Tally:
    """Pages and rewards of every known person since the start, by arm; names that were merged are one person."""
    arms = {plan.policy(arm.name): k for k, arm in enumerate(plan.arms)}
    started = plan.started_at
    if started is None:
        nothing: Array = np.zeros((0, len(arms), 1), np.int32)
        return Tally(pages=nothing, rewards=nothing, before=np.zeros(0), ends=np.zeros(1, np.int64))
    store.database.flush()
    i, e, u = t.impressions.c, t.events.c, t.users.c
    shown = [store.mine(t.impressions), i.policy.in_(list(arms)), i.user.is_not(None), i.time >= started]
    shown += [] if plan.stopped_at is None else [i.time <= plan.stopped_at]
    shown += [i.seen.is_distinct_from(False)]
    undone = sa.select(e.undoes).where(store.mine(t.events), e.event_type == "undo", e.undoes.is_not(None))
    with store.database.read() as connection:
        last = connection.execute(sa.select(sa.func.max(i.time)).where(*shown)).scalar() or started
        width = max(-(-(last + 1 - started) // steps), 1)
        step = (i.time - started) // width
        pages = connection.execute(
            sa.select(i.user, i.policy, step, sa.func.count(sa.distinct(i.request_id)))
            .where(*shown)
            .group_by(i.user, i.policy, step)
        ).all()
        done = connection.execute(
            sa.select(e.request_id, e.item, sa.func.min(e.time))
            .where(store.mine(t.events), e.event_type == event, e.time >= started, e.request_id.is_not(None))
            .where(e.event_id.not_in(undone))
            .group_by(e.request_id, e.item)
        ).all()
        when = {(request, item): at for request, item, at in done}
        rewards = set[tuple[int, str, str, int]]()
        asked = sorted({request for request, _, _ in done})
        for lo in range(0, len(asked), CHUNK):  # by their keys: left to itself SQLite reads the log for each page
            theirs = sa.select(i.user, i.policy, i.request_id, i.item).where(*shown)
            held = connection.execute(theirs.where(i.request_id.in_(asked[lo : lo + CHUNK]))).all()
            rewards |= {
                (user, policy, request, item) for user, policy, request, item in held if (request, item) in when
            }
        early = (e.event_type == event) & (e.time < started) & (e.time >= started - round(days * 86_400e6))
        before = connection.execute(
            sa.select(e.user, sa.func.count()).where(store.mine(t.events), early).group_by(e.user)
        ).all()
        into = dict(
            connection.execute(
                sa.select(u.position, u.merged_into).where(store.mine(t.users), u.merged_into.is_not(None))
            ).all()
        )
    persons = {p: row for row, p in enumerate(sorted({into.get(user, user) for user, *_ in pages}))}
    out = [np.zeros((len(persons), len(arms), steps), np.int32) for _ in range(2)]
    for user, policy, at, count in pages:
        out[0][persons[into.get(user, user)], arms[policy], at] += count
    for user, policy, request, item in rewards:
        at = min((when[request, item] - started) // width, steps - 1)
        out[1][persons[into.get(user, user)], arms[policy], at] += 1
    known = np.zeros(len(persons))
    for user, count in before:
        if (row := persons.get(into.get(user, user))) is not None:
            known[row] += count
    return Tally(
        pages=out[0], rewards=out[1], before=known, ends=started + width * np.arange(1, steps + 1, dtype=np.int64)
    )
