"""Experiments as the store keeps them: which arms, who takes part, since when.

A plan does not change while people are in it; only the shares of its arms may move, and every move is kept. What came
of it is in the log: every impression names its experiment and arm as its policy.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store, now
from interplay.errors import BadData, BadSetting, UnknownName, nearest

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
    moves: tuple[Mapping[str, Any], ...] = ()  # of shares: at, shares

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
        return self._changed(replace(plan, arms=arms, moves=(*plan.moves, {"at": at, "shares": dict(shares)})))

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


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the persons of an experiment did: position -> policy -> (pages, rewards), and what they did before."""

    pages: Mapping[int, Mapping[str, int]]
    rewards: Mapping[int, Mapping[str, int]]
    before: Mapping[int, int]  # rewards in the days before the start


def tally(store: Store, plan: Experiment, event: str, *, days: float = 14) -> Tally:
    """Pages and rewards of every known person since the start, by policy; names that were merged are one person."""
    if plan.started_at is None:
        return Tally(pages={}, rewards={}, before={})
    store.database.flush()
    i, e = t.impressions.c, t.events.c
    named: Sequence[str] = [plan.policy(arm.name) for arm in plan.arms]
    until = plan.stopped_at
    mine = [store.mine(t.impressions), i.policy.in_(named), i.user.is_not(None), i.time >= plan.started_at]
    mine += [] if until is None else [i.time <= until]
    undone = sa.select(e.undoes).where(store.mine(t.events), e.event_type == "undo", e.undoes.is_not(None))
    with store.database.read() as connection:
        pages = connection.execute(
            sa.select(i.user, i.policy, sa.func.count(sa.distinct(i.request_id)))
            .where(*mine)
            .group_by(i.user, i.policy)
        ).all()
        followed = (
            sa.select(i.user, i.policy, i.request_id, i.item)
            .select_from(t.events)
            .join(
                t.impressions,
                (i.tenant == e.tenant) & (i.request_id == e.request_id) & (i.item == e.item),
            )
            .where(store.mine(t.events), e.event_type == event, e.time >= plan.started_at, *mine)
            .where(e.event_id.not_in(undone))
            .distinct()
            .subquery()
        )
        f = followed.c
        rewards = connection.execute(sa.select(f.user, f.policy, sa.func.count()).group_by(f.user, f.policy)).all()
        early = (
            (e.event_type == event) & (e.time < plan.started_at) & (e.time >= plan.started_at - round(days * 86_400e6))
        )
        before = connection.execute(
            sa.select(e.user, sa.func.count()).where(store.mine(t.events), early).group_by(e.user)
        ).all()
        u = t.users.c
        into = dict(
            connection.execute(
                sa.select(u.position, u.merged_into).where(store.mine(t.users), u.merged_into.is_not(None))
            ).all()
        )
    out: tuple[dict[int, dict[str, int]], dict[int, dict[str, int]]] = {}, {}
    for held, rows in zip(out, (pages, rewards), strict=True):
        for user, policy, count in rows:
            own = held.setdefault(into.get(user, user), {})
            own[policy] = own.get(policy, 0) + count
    known: dict[int, int] = {}
    for user, count in before:
        known[into.get(user, user)] = known.get(into.get(user, user), 0) + count
    return Tally(pages=out[0], rewards=out[1], before=known)
