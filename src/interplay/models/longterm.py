"""The worth of a pair over weeks: what a person and a maker will still be to each other, as a factor in the ranking.

rliv-ua   after arXiv 2507.16253, Kuaishou, 2025

The paper's words, of which we know the abstract only: one sparse decision process for each pair of a user and an
author, whose steps are interactions and reach across requests (SCRI-MDP); training samples from an adjacent state
instead of the pair's own next one (adjacent state approximation); one critic for each of click, follow and gift, so
that what happens often helps what happens rarely (multi-task critics); an auxiliary supervised task.

Our reconstruction, all of it: the state (data/pairs.py), the discount by real time, both kinds of adjacent state and
the chance to meet again that stands in for the wait, heads that look at the head before them, twin critics with a
slow copy, the conservative term, and score = base^p (1 + w value)^q. Against what one would take first: the loss turns
linear at 50 deviations and not at 1, since at 1 a follow (one showing in a thousand) is an outlier, and its critic
learns next to nothing.

The other rows of its tables are the same class with another target: `reward` (what comes at once), `return` (discounted
sums within the log, regressed), `page` (the next request's best, as DQN over requests has it).

Learns vectors of makers (singular vectors of the first `warm` of the log, which nothing else learns from) and two
networks: about 4 * dim * makers bytes + 200 KB; and keeps where every pair that met stands (data/pairs.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)

from interplay.configure import Count, InnerShare, NotNegative, PartShare, Positive, Size, SomeShare
from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.errors import BadData, BadSetting, unknown
from interplay.learn.critics import APPROXIMATIONS, Critics, Moves, transitions
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.ops.spectra import top_right_singular
from interplay.types import Array, Dataset, Events, Requests, Run, Slates, State, World

BLOCK = 65_536  # pairs valued at once
OVER = 1.5  # times the largest possible sum that a critic may say while it still learns


# --------------------------------------------------------------------------------------------------------------------
# What a critic is told: y, or what y is made of


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """y = y + kept_discount * critic(ahead), for the rows in `kept`."""

    y: Array  # float32[n, heads]
    kept: Array  # bool[n]
    kept_discount: Array  # float32[n]
    ahead: Array | None = None  # float32[n, width] or [n, several, width]
    delay: float = 0.0  # days that a sample waits for its target, on average


def _at_once(moves: Moves, reward: Array, config: LongTermConfig) -> Plan:
    n = len(moves)
    return Plan(y=reward, kept=np.ones(n, bool), kept_discount=np.zeros(n, np.float32))


def _returns(moves: Moves, reward: Array, config: LongTermConfig) -> Plan:
    """Discounted sums over what the log still holds of the pair; those whose window is cut off are left out."""
    y = moves.sums(reward, config.discount)
    kept = moves.time <= moves.end - int(config.window * DAY)
    kept = kept if kept.any() else np.ones(len(moves), bool)
    return Plan(y=y, kept=kept, kept_discount=np.zeros(len(moves), np.float32), delay=config.window)


def _bootstrapped(moves: Moves, reward: Array, config: LongTermConfig) -> Plan:
    ahead, discount, kept, delay = APPROXIMATIONS[config.approximation](moves, config.discount)
    return Plan(y=reward, kept=kept, kept_discount=discount, ahead=ahead, delay=delay)


def _of_pages(moves: Moves, reward: Array, config: LongTermConfig) -> Plan:
    """The person's next request is the next state, its best shown or not shown maker the next action."""
    ahead, there = moves.next_pages()
    return Plan(
        y=reward, kept=np.ones(len(moves), bool), ahead=ahead, delay=0.0,
        kept_discount=np.where(there, config.discount, 0.0).astype(np.float32),
    )  # fmt: skip


TARGETS: dict[str, Callable[[Moves, Array, LongTermConfig], Plan]] = {
    "critic": _bootstrapped, "return": _returns, "reward": _at_once, "page": _of_pages,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The model


@dataclass(frozen=True, kw_only=True)
class LongTermConfig:
    tasks: tuple[str, ...] = ("click", "follow", "gift")  # event kinds, from what happens often to what is rare
    weights: tuple[float, ...] = (1.0, 5.0, 20.0)  # what one of each is worth; 0 switches a task off
    amounts: tuple[str, ...] = ("gift",)  # tasks whose events carry an amount: log(1 + amount) is learnt
    winsor: SomeShare = 0.999  # amounts above this quantile count as it
    author: str = "author_id"  # the catalogue's column of makers; "" takes each item for its own maker
    target: str = "critic"  # a name in TARGETS
    approximation: str = "request"  # a name in APPROXIMATIONS: where a critic's next state is taken from
    progressive: bool = True  # the head of a task sees that of the task before it
    single: bool = False  # one critic of the weighted sum instead of one for each task
    discount: InnerShare = 0.95  # a day
    window: Positive = 14.0  # days after which a pair that has not met is over
    warm: PartShare = 0.3  # first share of the log's time: counts and vectors are made of it, no transition
    dim: Size = 8  # length of a maker's vector
    hidden: Size = 64
    auxiliary: NotNegative = 1.0  # weight of predicting at once what happens
    conservative: NotNegative = 0.05  # weight of holding makers who were not shown below those who were
    delta: Positive = 50.0  # where the loss turns linear, in standard deviations of a task's rewards
    soft: SomeShare = 0.1  # share of the critics that flows into their slow copy at each step; a log gives few steps
    others: Count = 2  # makers who were not shown, drawn for each one who was
    refresh: Positive = 1.0  # hours after which features are computed anew
    base_power: NotNegative = 1.0  # p of the score
    power: NotNegative = 1.0  # q of the score
    worth: NotNegative = 1.0  # w of the score
    most: Positive = 10.0  # values above so many times the mean count as that
    descent: Descent = field(
        default_factory=lambda: Descent(rate=0.003, batch=512, epochs=3, clip=5.0, schedule="cosine")
    )

    def __post_init__(self) -> None:
        if len(self.tasks) != len(self.weights) or not self.tasks:
            raise BadSetting(f"each task needs a weight; found tasks {self.tasks} and weights {self.weights}")
        if self.target not in TARGETS:
            raise unknown("target", self.target, TARGETS)
        if self.approximation not in APPROXIMATIONS:
            raise unknown("approximation", self.approximation, APPROXIMATIONS)


class LongTerm:
    """Fitted to a log of what people and makers did, says what showing a maker to a person is worth from now on."""

    whose: Array  # int64[n_items]: who made each item, -1 where nobody is told
    cap: float | None  # the amount from which on amounts count as it
    states: PairStates  # where each pair stands

    def __init__(self, config: LongTermConfig = LongTermConfig()) -> None:
        self.config = config

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> LongTerm:
        """Learn from the events of `tasks` and of any other kind, which is a meeting nothing came of."""
        return self.learn(self.prepared(self.read(dataset), dataset.n_users, seed=run.seed), run=run)

    def read(self, dataset: Dataset) -> Interactions:
        """The interactions of a log; refused where there are too few, or where makers are not told."""
        self._makers(dataset)
        self._cap(dataset.events)
        met = self.interactions(dataset.events)
        if len(met) < 10:
            raise BadData(
                f"{dataset.name!r} has {len(met)} interactions of people and makers; at least 10 are needed to learn "
                f"from. Its events should have times and kinds like {self.config.tasks}"
            )
        return met

    def share(self, other: LongTerm) -> LongTerm:
        """Take over what another has read of the same log: makers, cap and store."""
        self.whose, self.cap, self.states = other.whose, other.cap, other.states
        return self

    def _makers(self, dataset: Dataset) -> None:
        """Who made each item: self.whose int64[n_items], -1 where nobody is told."""
        column, frame = self.config.author, dataset.catalogue
        if not column:
            self.whose = np.arange(dataset.n_items)
            return
        if frame is None or column not in frame.columns:
            raise BadData(
                f"the catalogue of {dataset.name!r} has no column {column!r} that says whose each item is; name one by "
                "`author`, or set it to '' where each item is its own maker"
            )
        names = frame[column].to_list()
        rows = {name: i for i, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
        self.whose = np.array([rows.get(n, -1) for n in names], np.int64)

    def _cap(self, events: Events) -> None:
        """The amount from which on amounts count as it."""
        c = self.config
        self.cap = None
        if events.value is not None and events.kind is not None:
            held = np.isin(events.kind, [events.kinds.index(t) for t in c.amounts if t in events.kinds])
            if held.any():
                self.cap = float(np.quantile(events.value[held], c.winsor))

    def interactions(self, events: Events) -> Interactions:
        """Events as this model counts them."""
        c = self.config
        return Interactions.of_events(events, c.tasks, makers=self.whose, amounts=c.amounts, most=self.cap)

    def prepared(self, met: Interactions, n_users: int, *, seed: int = 0) -> Moves:
        """The transitions of a log, for `learn`; leaves the store as of the log's end."""
        c = self.config
        n_makers = int(self.whose.max(initial=-1)) + 1
        begin, end = int(met.time[0]), int(met.time[-1])
        cut = begin + int(c.warm * (end - begin))
        early = met.take(np.flatnonzero(met.time < cut))
        vectors = vectors_of(early, n_users, n_makers, c.dim)
        store = PairStates.empty(vectors, len(c.tasks), n_users).update(early)
        moves, self.states = transitions(
            store, met.take(np.flatnonzero(met.time >= cut)), refresh=c.refresh, others=c.others, window=c.window,
            discount=c.discount, seed=seed,
        )  # fmt: skip
        return moves

    def learn(self, moves: Moves, *, run: Run = Run()) -> LongTerm:
        """Learn from transitions. Raises BadSetting when a critic says more than any discounted sum can be."""
        c = self.config
        weights = np.asarray(c.weights)
        spread = np.maximum(moves.reward.std(axis=0), 1e-3).astype(np.float32)
        if c.single:
            total = (moves.reward @ weights)[:, None]
            self.scale = np.maximum(total.std(axis=0), 1e-3).astype(np.float32)
            reward, self.price = (total / self.scale).astype(np.float32), self.scale.copy()
        else:
            self.scale, reward = spread, moves.reward / spread
            self.price = (weights * spread).astype(np.float32)
        self.moved = np.stack([moves.x.mean(axis=0), np.maximum(moves.x.std(axis=0), 1e-3)])
        with seeded(run.seed):
            self.net = self._net(moves.x.shape[1])
            slow = self._net(moves.x.shape[1])
        slow.load_state_dict(self.net.state_dict())
        plan = TARGETS[c.target](moves, reward, c)
        held = reward[plan.kept] if plan.kept.any() else reward
        top = np.maximum(np.maximum(np.abs(held).max(axis=0), np.abs(plan.y).max(axis=0)), 1.0)  # nothing may be known
        self.bound = top / (1 - min(float(plan.kept_discount.max(initial=0.0)), 0.99))
        bound = torch.from_numpy(self.bound.astype(np.float32))
        price = torch.from_numpy(self.price / max(float((reward @ self.price).std()), 1e-6))
        x, other = (torch.from_numpy(self._scaled(part)) for part in (moves.x, moves.other))
        ahead = torch.from_numpy(self._scaled(plan.ahead)) if plan.ahead is not None else None
        y, discount = torch.from_numpy(plan.y), torch.from_numpy(plan.kept_discount)
        kept = torch.from_numpy(plan.kept)
        label = torch.from_numpy((moves.reward > 0).astype(np.float32))
        largest = [0.0]

        def step(rows: Any) -> torch.Tensor:
            with torch.no_grad():
                for mine, theirs in zip(slow.parameters(), self.net.parameters(), strict=True):
                    mine.lerp_(theirs, c.soft)
                aim = y[rows]
                if ahead is not None:
                    later = torch.stack(slow(ahead[rows])[0]).amin(dim=0)  # twins: the lower one
                    if later.dim() == 3:  # several that could come next: the best by what all tasks are worth
                        best = (later * price).sum(dim=2).argmax(dim=1)
                        later = later[torch.arange(len(best)), best]
                    aim = aim + discount[rows, None] * later
                aim = torch.minimum(torch.maximum(aim, -bound), bound)
            both, logits = self.net(x[rows])
            good = kept[rows].float()
            share = good.mean().clamp(min=1e-6)
            loss = sum(
                (F.huber_loss(q, aim, delta=c.delta, reduction="none").mean(dim=1) * good).mean() / share for q in both
            )
            loss = loss + c.auxiliary * F.binary_cross_entropy_with_logits(logits, label[rows])
            if c.conservative:
                shown, not_shown = (both[0] * price).sum(dim=1), (self.net(other[rows])[0][0] * price).sum(dim=2)
                together = torch.cat([shown[:, None], not_shown], dim=1).logsumexp(dim=1)
                loss = loss + c.conservative * (together - shown).mean()
            largest[0] = max(largest[0], float((torch.stack(both).detach().abs() / bound).max()))
            if largest[0] > OVER:
                raise BadSetting(
                    f"a critic says {largest[0]:.1f} times the largest possible discounted return; lower descent.rate "
                    f"(now {c.descent.rate}) or raise conservative (now {c.conservative})"
                )
            return loss

        facts = descend(
            step, self.net, shuffled(len(moves), c.descent.batch, lambda rows, g: torch.from_numpy(rows)),
            descent=c.descent, run=run, name="longterm",
        )  # fmt: skip
        self.fitted = {
            **facts, "interactions": len(moves), "censored": round(float(moves.censored.mean()), 4),
            "used": round(float(plan.kept.mean()), 4), "largest": round(largest[0], 4),
            "delay_days": round(plan.delay, 4), "meets_again": round(float((moves.after >= 0).mean()), 4),
        }  # fmt: skip
        said = self.worth_of(moves.x)
        self.mean = float(max(said.mean(), 1e-6))
        return self

    def _net(self, width: int) -> Critics:
        c = self.config
        heads = 1 if c.single else len(c.tasks)
        return Critics(width, c.hidden, heads, len(c.tasks), progressive=c.progressive and not c.single)

    def _scaled(self, x: Array) -> Array:
        return np.clip((x - self.moved[0]) / self.moved[1], -8, 8).astype(np.float32)

    # --------------------------------------------------------------------------------------------------------- valuing

    def worth_of(self, x: Array) -> Array:
        """float[n]: what showing now is worth, from features; all tasks together, by their weights."""
        with torch.no_grad():
            parts = [
                torch.stack(self.net(torch.from_numpy(self._scaled(x[lo : lo + BLOCK])))[0]).amin(dim=0).numpy()
                for lo in range(0, len(x), BLOCK)
            ]
        q = np.concatenate(parts) if parts else np.zeros((0, len(self.scale)), np.float32)
        return np.clip(q, -self.bound, self.bound) @ self.price

    def critics(self, x: Array) -> Array:
        """float32[n, heads]: what each critic says, in the units of its task (or of the weighted sum)."""
        with torch.no_grad():
            q = torch.stack(self.net(torch.from_numpy(self._scaled(x)))[0]).amin(dim=0).numpy()
        return np.clip(q, -self.bound, self.bound) * self.scale

    def chances(self, x: Array) -> Array:
        """float32[n, tasks]: the auxiliary heads' chance of each outcome at once."""
        with torch.no_grad():
            return torch.sigmoid(self.net.said(torch.from_numpy(self._scaled(x)))).numpy()

    def value(self, users: Array, makers: Array, at: Array | int) -> Array:
        """float32[n]: what showing each maker to each person is worth from now on, all tasks together; never NaN."""
        return self.worth_of(self.states.features(users, makers, at)).astype(np.float32)

    def lifted(self, base: Array, value: Array, *, worth: float | None = None) -> Array:
        """base^p (1 + w value / mean)^q, for bases of at least 0; values below 0 count as 0."""
        c = self.config
        part = np.clip(value / self.mean, 0.0, c.most)
        return np.maximum(base, 1e-9) ** c.base_power * (1 + (c.worth if worth is None else worth) * part) ** c.power

    def rank(self, requests: Requests, slates: Slates, features: Any = None) -> Slates:
        """The slates in the order of the lifted score, with the factor in the column `longterm`.

        The base is the score that comes in, moved to between 0 and 1 by its place among its slate's scores where some
        are not positive; a score that is no number counts as the lowest. Items nobody made keep the factor of an unseen
        pair's mean, 1.
        """
        n, m = slates.items.shape
        held = slates.items >= 0
        item = np.where(held & (slates.items < len(self.whose)), slates.items, 0)
        maker = np.where(held & (slates.items < len(self.whose)), self.whose[item], -1)
        at = np.repeat(requests.at if requests.at is not None else np.full(n, self.now), m)
        value = self.value(np.repeat(requests.user, m), maker.ravel(), at).reshape(n, m)
        factor = np.where(maker >= 0, self.lifted(np.ones((n, m)), value), 1.0)
        told = held & np.isfinite(slates.scores)
        low = np.where(told, slates.scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
        high = np.where(told, slates.scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
        low, high = (np.where(np.isfinite(end), end, 0.0).astype(np.float64) for end in (low, high))
        base = np.where(told, slates.scores, low).astype(np.float64)
        moved = (base - low + 0.05 * (high - low)) / np.maximum(1.05 * (high - low), 1e-9)
        base = np.where(low > 0, base, np.where(high > low, moved, 1.0))
        score = np.where(held, base**self.config.base_power * factor, -np.inf)
        order = np.argsort(-score, axis=1, kind="stable")

        def laid(column: Array) -> Array:
            return np.take_along_axis(column, order, 1)

        columns = {name: laid(column) for name, column in slates.columns.items()}
        columns["longterm"] = laid(np.where(held, factor, 0.0).astype(np.float32))
        return Slates(items=laid(slates.items), scores=laid(score).astype(np.float32), columns=columns)

    @property
    def now(self) -> int:
        """The last moment that the store knows of."""
        return int(self.states.last[:, 2].max(initial=0))

    # ------------------------------------------------------------------------------------------------ while it serves

    def update(self, events: Events) -> LongTerm:
        """Take in what happened; replays change nothing, and what comes too late is counted in `states.late`."""
        self.states = self.states.update(self.interactions(events))
        return self

    partial_fit = update

    def forget(self, users: Array) -> LongTerm:
        """Erase these people's pairs and counts."""
        self.states = self.states.forget(users)
        return self

    def state(self) -> State:
        net = {f"net.{k}": v.numpy() for k, v in self.net.state_dict().items()}
        own = {"whose": self.whose, "scale": self.scale, "price": self.price, "bound": self.bound, "moved": self.moved}
        facts: Mapping[str, Any] = {"mean": self.mean, "cap": self.cap}
        return State.joined(model=State(arrays={**net, **own}, facts=facts), pairs=self.states.state())

    def restore(self, state: State) -> LongTerm:
        model = state.within("model")
        self.states = PairStates.restore(state.within("pairs"))
        for name in ("whose", "scale", "price", "bound", "moved"):
            setattr(self, name, model.arrays[name])
        self.mean, self.cap, self.fitted = model.facts["mean"], model.facts["cap"], {}
        self.net = self._net(self.moved.shape[1])
        self.net.load_state_dict({
            k.removeprefix("net."): torch.from_numpy(np.array(v)) for k, v in model.arrays.items() if k[:4] == "net."
        })  # fmt: skip
        return self


def vectors_of(met: Interactions, n_users: int, n_makers: int, dim: int) -> Array:
    """float32[n_makers, dim]: singular vectors of who had the first task's outcome with whom, of length about 1."""
    hit = met.outcome[:, 0] > 0
    x = sp.csr_array((np.ones(int(hit.sum())), (met.user[hit], met.maker[hit])), shape=(n_users, n_makers))
    x = x.sign()
    out = np.zeros((n_makers, dim), np.float32)
    if x.nnz and min(x.shape) > dim:
        _, v = top_right_singular(x.tocsr(), dim)
        out[:, : v.shape[1]] = v * np.sqrt(n_makers)
    return out
