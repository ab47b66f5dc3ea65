"""Which shelves a page has, and in what order: the page's rewards and its policy once more, with shelves for items.

A shelf is read as one thing (data/shelves.py): the numbers of its items, weighted by their places, and what they say.
It was gone for where something that stands on it was. The same four families of pairs teach the page's reward, the same
swaps that of single shelves (learn/page_rewards.py), and the same policy is supervised, then reinforced by both
(learn/page_policy.py), with the smallest push away from what stands above that makes shelves as different as the
rule's. The base order is the fixed rule that data/shelves.py states.

Judged by what a page finds: each thing that was gone for counts where it stands first, by the discount of its shelf
times that of its place on it. Where people held out find less than by the rule, the rule stays, but for one place that
is drawn all the same where the settings ask for it: what was never tried is never learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from interplay.configure import Count, Size
from interplay.data.lists import Things
from interplay.data.shelves import RAIL_NUMBERS, WIDE, Shelves
from interplay.errors import BadSetting
from interplay.learn.descend import Descent, seeded
from interplay.learn.page_policy import Mixed, PagePolicy, PolicyConfig, ppo, vary, warm
from interplay.learn.page_rewards import RewardConfig, Rewards, Seen, discount
from interplay.ops.stats import bootstrap
from interplay.types import Array, Run, State

FEWEST = 50  # pages below which nothing is learnt, and the rule stays
VISIBLE = 6  # places of a shelf that stand on a wide screen before anybody scrolls
MARGINS = {"relevance": 1.0, "ranking": 0.5, "redundancy": 0.25}  # diversity by rule: the push away does that better
SHORT = Descent(optimiser="adamw", rate=2e-3, weight_decay=0.01, batch=128, epochs=4, schedule="cosine", clip=1.0)


@dataclass(frozen=True, kw_only=True)
class RailConfig:
    shelves: Count = 0  # that are put in order; 0 leaves shelves to the fixed rule
    pool: Size = 200  # candidates they are made from
    tried: Count = 0  # the place (1 is the first) whose shelf is drawn by the policy's chances, to learn from; 0: none
    reward: RewardConfig = field(default_factory=lambda: RewardConfig(dim=16, margins=MARGINS, descent=SHORT))
    policy: PolicyConfig = field(
        default_factory=lambda: PolicyConfig(dim=16, rounds=8, descent=replace(SHORT, epochs=6))
    )

    def __post_init__(self) -> None:
        if self.shelves < 0 or not 0 <= self.tried <= self.shelves:
            raise BadSetting(
                f"rails.shelves is {self.shelves} and tried {self.tried}; expected a number of shelves, or 0 for none, "
                "and one of their places, or 0 for none"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The shelves of one page each, best first, beside those of the fixed rule."""

    shelves: Shelves
    order: Array  # int64[n, k]: positions in `shelves`, -1 where a page has fewer
    rule: Array  # int64[n, k]: those of the fixed rule
    chance: Array  # float64[n, k]: that this shelf stands at its place, given those above it; 1 where nothing was drawn
    slot: Array  # float32[n, k]: what each chosen shelf earns at its place
    after: Array  # float32[n, 2]: the part of single shelves and the page's own in the reward of the chosen page
    before: Array  # ... of the rule's
    by: str  # "policy" or "rule"

    @staticmethod
    def joined(parts: list[Chosen]) -> Chosen:
        names = ("order", "rule", "chance", "slot", "after", "before")
        return Chosen(
            shelves=Shelves.joined([p.shelves for p in parts]), by=parts[0].by,
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names},
        )  # fmt: skip


class Rails:
    """Learns from pages that could have been, and orders the shelves of new ones."""

    def __init__(self, config: RailConfig, width: int, seed: int) -> None:
        places = max(config.shelves, 1)
        self.config, n = config, len(RAIL_NUMBERS)
        self.rewards = Rewards(replace(config.reward, places=places), width, seed, n)
        with seeded(seed):
            self.policy = PagePolicy(replace(config.policy, places=places), width, n).eval()
        self.mixed, self.trusted = Mixed(self.rewards, config.policy.share), False

    def learn(self, train: Shelves, check: Shelves, known: Things, *, run: Run, doubts: bool = True) -> dict[str, Any]:
        """Facts of what was learnt; `doubts`: the rule stays where people held out find less with the policy."""
        train, check = (s.take(np.flatnonzero(s.engaged.any(axis=1))) for s in (train, check))
        facts: dict[str, Any] = {"pages": len(train), "held_out": len(check)}
        if len(train) + len(check) < FEWEST or not len(train) or not len(check):
            return facts
        self.rewards.learn(train, known, run=run)
        facts["accuracy"] = self.rewards.accuracy(check, known, seed=run.seed)
        warm(self.policy, train, known, run=run)
        supervised = found(check, self.page(check, known))
        facts["ppo"] = ppo(self.policy, self.mixed, train, check, known, run=run)
        facts["alike"] = vary(self.policy, train, known)
        facts["found"] = {
            "rule": found(check, rule(check, self.places)), "supervised": supervised,
            "policy": found(check, self.page(check, known)),
        }  # fmt: skip
        told = facts["found"]
        more = gains(check, self.page(check, known))[0] - gains(check, rule(check, self.places))[0]
        between = bootstrap(more, seed=0)
        facts["more"] = {"mean": float(more.mean()), "low": between.lo, "high": between.hi}
        self.trusted = not doubts or told["policy"]["gain"] >= told["rule"]["gain"]
        return facts | {"trusted": self.trusted}

    @property
    def places(self) -> int:
        return self.policy.config.places

    @property
    def learnt(self) -> bool:
        """Whether the policy knows anything: it has met pages while it was reinforced."""
        return self.trusted or self.mixed.page.n > 0

    def page(self, shelves: Shelves, known: Things) -> Array:
        """int64[n, k]: the policy's likeliest shelves."""
        if not len(shelves):
            return np.zeros((0, self.places), np.int64)
        return self.policy.greedy(Seen.of(shelves, known), self.places)

    def drawn(self, shelves: Shelves, known: Things, draw: Array) -> tuple[Array, Array]:
        """The same with one place drawn by `draw` (uint64[n]), and the chance of each shelf at its place.

        Shelves stand in the order of the rule, so what is not drawn of an untrusted policy is as the rule has it.
        """
        lot = np.array([np.random.default_rng([int(d), 43]).random() for d in draw])
        return self.policy.laid(
            Seen.of(shelves, known), self.places, best=self.trusted, tried=self.config.tried - 1, lot=lot
        )

    def choose(self, shelves: Shelves, known: Things, draw: Array | None = None) -> Chosen:
        """The shelves of each page, by the policy where it is trusted, by the rule elsewhere.

        With `draw` the place `tried` is filled by the policy's chances in both cases, so that what others would earn
        can be learnt; only where nothing was learnt the rule stands whole.
        """
        usual = rule(shelves, self.places)
        order, chance = usual, np.ones(usual.shape)
        if self.learnt and draw is not None and self.config.tried and len(shelves):
            order, chance = self.drawn(shelves, known, draw)
        elif self.trusted:
            order = self.page(shelves, known)
        seen = Seen.of(shelves, known)
        now, was, slots = self.mixed.beside(seen, order, usual)
        return Chosen(
            shelves=shelves, order=order, rule=usual, chance=chance, slot=slots, after=now,
            before=was, by="policy" if self.trusted else "rule",
        )  # fmt: skip

    def state(self) -> State:
        nets = {"page": self.rewards.page, "item": self.rewards.item, "policy": self.policy}
        facts = State(facts={"trusted": self.trusted, "spreads": self.mixed.spreads()})
        arrays = {name: State(arrays={k: v.numpy() for k, v in net.state_dict().items()}) for name, net in nets.items()}
        return State.joined(facts=facts, **arrays)

    def restore(self, state: State) -> Rails:
        """What another instance of the same settings knew."""
        for name, net in (("page", self.rewards.page), ("item", self.rewards.item), ("policy", self.policy)):
            net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.within(name).arrays.items()})
        told = state.within("facts").facts
        self.trusted = bool(told["trusted"])
        self.mixed.take_spreads(told["spreads"])
        return self


def rule(shelves: Shelves, k: int) -> Array:
    """int64[n, k]: the first k shelves that there are, in the order of the fixed rule."""
    order = np.argsort(~shelves.held, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(shelves.held, order, 1), order, -1)


def found(shelves: Shelves, page: Array) -> dict[str, float]:
    """What pages find, on average: `gain` and `seen` of `gains`."""
    gain, seen = gains(shelves, page)
    return {"gain": float(gain.mean()) if len(gain) else 0.0, "seen": float(seen.mean()) if len(seen) else 0.0}


def gains(shelves: Shelves, page: Array) -> tuple[Array, Array]:
    """For each page: the discounts of shelf and place of everything that was gone for, where it stands first; and
    whether something of it stands among the first places of a shelf."""
    rows, at = np.arange(len(page))[:, None], np.maximum(page, 0)
    there, flat = (page >= 0)[:, :, None], (len(page), page.shape[1] * WIDE)
    items = np.where(there, shelves.items[rows, at], -1).reshape(flat)
    wanted = (shelves.wanted[rows, at] & there).reshape(flat)
    again = ((items[:, :, None] == items[:, None]) & np.tri(items.shape[1], k=-1, dtype=bool)).any(axis=2)
    weight = (discount(page.shape[1])[:, None] * discount(WIDE)).reshape(-1)
    first = np.tile(np.arange(WIDE) < VISIBLE, page.shape[1])
    new = wanted & ~again
    return (new * weight).sum(axis=1), (new & first).any(axis=1)
