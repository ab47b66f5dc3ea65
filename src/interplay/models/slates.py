"""Slates: what is chosen competes only with what stood beside it and with choosing nothing; doubt becomes trying.

dynamic-slate   Eide, Leslie, Frigessi, Rishaug, Jenssen and Verrewaere, DMKD 2022 (arXiv 2104.15046)

Learns a Gaussian belief about item vectors, which are drawn around the mean of their group, about how a person's state
moves with each click, and about what choosing nothing is worth beside each number of items: 8 * items * dim bytes,
and 4 * particles * items * dim while answering. Keeps nothing of people: a state is the walk through a history. With
`start = "own"` a walk begins at what was learnt of the person, as much again for each of them; with `user = "static"`
nothing moves it, which is matrix factorisation with the likelihood of slates.

P(i | slate) = exp(s_i) / (exp(nothing[length]) + sum over the slate of exp(s_j)), s_i = -|z - v_i| or z . v_i + b_i

greedy     the items that the mean of the belief holds best
together   one draw of the belief for a whole page (Thompson sampling)
apart      one draw for each place (in-slate Thompson sampling): the same doubt, but the places do not share it

Chances at a place are exact, since a belief answers from `particles` draws that are fixed by the fit (ops/choosing.py).
It learns at trainings alone: what happens between two of them moves states, through histories, and no belief.
A log without impressions, or candidates = "all", is learnt from clicked items beside uniformly drawn ones.

Departs from the paper: everybody starts from one learnt state (`start = "prior"`), from a learnt state of their own
(`"own"`), or from the first clicks before the pages that are learnt from (`"past"`), where the released code looks at
all clicks of the training part, later ones too; the width of a group is log-normal, where the paper's absolute value of
a Gaussian comes near 0 now and then, and no item can follow; z . v has a number for each item beside it, and is the
default, where the released settings have the distance; a bias for each place is an option. The likelihood's weight is
`power`: 30 to 100 in the paper, which leaves hardly any doubt, 1 here; `widen` multiplies the scales of the belief when
choosing, and `calibrate` fits by how much intervals are to be stretched. Items that were never shown are drawn from
their group. Of a page the first 1,000 cells are looked at; a choice beyond them is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.special import expit, logit
from torch import Tensor

from interplay.configure import Count, NotNegative, Positive, Share, Size
from interplay.data.pages import Choices, Pages
from interplay.errors import BadData, BadSetting, unknown
from interplay.learn.descend import Descent, descend, seeded
from interplay.learn.variational import Gaussians
from interplay.learn.walks import NO_PAGE, Batch, Stretches, Walk, scored, seen_as
from interplay.ops.choosing import (
    Caps,
    Chooser,
    Greedy,
    Shares,
    Together,
    at_some,
    chances,
    choose,
    offered,
    page_of,
    places,
)
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

SCORES, USERS, STARTS = ("distance", "dot"), ("gru", "linear", "static"), ("prior", "past", "own")
MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 12.0)  # what `calibrate` tries
WEIGHTS = ("ir", "iu", "in", "hr", "hu", "hn", "out")  # of the recurrent state
LONGEST = 1000  # cells of a page that are looked at
CANDIDATES, WAYS = ("shown", "all"), ("apart", "together", "greedy")


@dataclass(frozen=True, kw_only=True)
class SlatesConfig:
    user: str = "gru"  # a name in USERS: how the state moves, if it does
    score: str = "dot"  # a name in SCORES
    start: str = "prior"  # a name in STARTS: where it begins
    candidates: str = "shown"  # a name in CANDIDATES: what a click competes with
    groups: str = "categories"  # catalogue column whose values group the items; "" puts all into one group
    places: bool = False  # whether each place of a slate has a bias
    dim: Size = 12
    window: Size = 20  # last clicks that move the state
    stretch: Size = 20  # pages of a person that are learnt from at once
    negatives: Size = 100  # candidates = "all": items drawn beside the clicked one
    power: NotNegative = 1.0  # weight of the likelihood against the prior
    particles: Size = 32  # draws that stand for the belief
    way: str = "apart"  # a name in WAYS: how a page is chosen
    floor: Share = 0.0  # share of places at which any candidate may come
    widen: NotNegative = 1.0  # factor on the scales of the belief when answering
    group_spread: Positive = 1.0  # prior: standard deviation of the group means
    item_spread: Positive = 0.3  # ... of an item around its group, as far as it is not learnt
    state_spread: Positive = 0.5  # ... of the state at the start, and of each person's own around it
    weight_spread: Positive = 7.0  # ... of the weights that move the state
    scale: Positive = 0.1  # where the scales of the belief start
    linear_epochs: Count = 5  # gru: epochs in which a linear state places the items first
    kinds: tuple[str, ...] = ("click",)  # events that answer a page and move the state
    descent: Descent = field(
        default_factory=lambda: Descent(rate=0.01, batch=64, epochs=20, patience=4, schedule="cosine", clip=10.0)
    )


class DynamicSlate:
    """A belief about items and people from what was shown and chosen, and pages that act on its doubt."""

    def __init__(self, config: SlatesConfig = SlatesConfig()) -> None:
        self.config = config

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> DynamicSlate:
        c = self.config
        for what, given, known in (
            ("user model", c.user, USERS), ("score", c.score, SCORES), ("start", c.start, STARTS),
            ("candidates", c.candidates, CANDIDATES), ("way of choosing", c.way, WAYS),
        ):  # fmt: skip
            if given not in known:
                raise unknown(what, given, known)
        if c.power <= 0 or c.widen < 0 or c.particles < 1 or not 0 <= c.floor <= 1:
            raise BadSetting(
                "dynamic-slate needs power > 0, widen >= 0, particles >= 1 and floor from 0 to 1; found "
                f"{c.power}, {c.widen}, {c.particles} and {c.floor}"
            )
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; slates are learnt from what was chosen")
        self.widen, self.margin, self.group = c.widen, 1.0, grouped(dataset, c.groups)
        return self._learn(dataset, run, fresh=True)

    def update(self, dataset: Dataset, *, run: Run = Run()) -> DynamicSlate:
        """Go on from what is believed, with a log of the same items that has grown."""
        return self._learn(dataset, run, fresh=False)

    def _learn(self, dataset: Dataset, run: Run, *, fresh: bool) -> DynamicSlate:
        c = self.config
        self.rows, self.clicks = Rows.of(dataset), [i for i, kind in enumerate(dataset.events.kinds) if kind in c.kinds]
        self.placing = c.linear_epochs if fresh and c.user == "gru" else 0
        self.shown, choices = self._choices(dataset)
        kept = choices.take(choices.chosen < LONGEST)
        left_out, choices = len(choices) - len(kept), replace(kept, slate=kept.slate[:, :LONGEST])
        if not len(choices):
            raise BadData(
                f"{dataset.name!r} has no choice to learn from: {left_out:,} were made beyond the first {LONGEST:,} "
                "cells of a page, which are all that is looked at. Log the rows of a page as pages of their own"
            )
        met = np.unique(choices.slate)
        self.met = np.zeros(dataset.n_items, bool)  # shown while learning
        self.met[met[met >= 0]] = True
        if fresh:
            with seeded(run.seed):
                share = float(np.clip((choices.chosen >= 0).mean(), 0.01, 0.99))
                groups, people = int(self.group.max(initial=0)) + 1, dataset.n_users if c.start == "own" else 0
                self.belief = self._start(groups, dataset.n_items, choices.slate.shape[1], share, people)
        longest = len(self.belief.mean["nothing"]) - 1  # longer pages, which an update may bring, count as so long
        lengths = np.minimum((choices.slate >= 0).sum(axis=1), longest)
        self.lengths = np.bincount(lengths, minlength=longest + 1).astype(np.int64)
        stretches = Stretches(choices, stretch=c.stretch, window=c.window)
        self.learnt = len(choices)
        self.fitted: dict[str, Any] = descend(
            self.loss, self.belief, lambda e, g: self._batches(stretches, e, g), descent=c.descent, run=run,
            belongs=f"{dataset.fingerprint} {asdict(c)}",
            judge=lambda: run.validation(self._placed()) if run.validation else 0.0,
        )  # fmt: skip
        self.fitted |= {"choices": len(choices), "left_out": left_out, "slates": "shown" if self.shown else "drawn"}
        return self._placed()

    def _choices(self, dataset: Dataset) -> tuple[bool, Choices]:
        """Whether what stood beside a choice is known, and the choices."""
        c = self.config
        if c.candidates == "shown" and "impressions" in dataset.tables:
            return True, Choices.of(Pages.of(dataset, c.kinds))
        e = dataset.events
        kept = np.isin(e.kind, self.clicks) if self.clicks and e.kind is not None else np.ones(len(e), bool)
        at = np.arange(len(e), dtype=np.int64) if e.time is None else e.time
        return False, Choices(
            user=e.user[kept], at=at[kept], slate=e.item[kept][:, None], chosen=np.zeros(int(kept.sum()), np.int64)
        )

    def _start(self, groups: int, n_items: int, longest: int, chosen: float = 0.5, people: int = 0) -> Gaussians:
        """Everything near one place; nothing is worth so much that a share `chosen` of all slates gets a choice."""
        d, s = self.config.dim, torch.randn
        group = 0.1 * s(groups, d)
        own = group[torch.from_numpy(self.group.astype(np.int64))] + 0.1 * s(n_items, d)
        means = {
            "group": group, "width": torch.full((groups, d), self.config.item_spread).log(), "vectors": own,
            "bias": torch.zeros(n_items), "nothing": torch.zeros(longest + 1), "start": 0.1 * s(d),
            "keep": torch.full((1,), 0.5),
        }  # fmt: skip
        means["nothing"] += torch.arange(len(means["nothing"])).clamp(min=1).log() + float(
            np.log((1 - chosen) / chosen)
        )
        if self.config.score == "distance":
            means["nothing"] -= (means["start"] - own).norm(dim=1).mean()
        if self.config.places:
            means["place"] = torch.zeros(longest)
        if people:
            means["people"] = torch.zeros(people, d)
        if self.config.user == "gru":
            means |= {name: 0.3 * s(d, d) / d**0.5 for name in ("ir", "iu", "hr", "hu", "hn")}
            means |= {"in": torch.eye(d), "out": torch.eye(d)}
        # noise of a weight acts through every number that it multiplies
        return Gaussians(means, scale=self.config.scale, scales=dict.fromkeys(WEIGHTS, self.config.scale / d))

    def _batches(self, stretches: Stretches, epoch: int, generator: np.random.Generator) -> list[Batch]:
        """Stretches in random order; the state is linear in the first epochs, to place the items."""
        c = self.config
        self.walk = self._walk("linear" if epoch < self.placing else c.user)
        return stretches.batches(
            c.descent.batch, generator, drawn=0 if self.shown else c.negatives, n_items=self.rows.n_items
        )

    def _walk(self, user: str) -> Walk:
        met = np.flatnonzero(self.lengths)
        lengths = torch.from_numpy(met if len(met) else np.zeros(1, np.int64)) if self.shown else None
        return Walk(user, self.config.score, self.config.start, lengths)

    def loss(self, batch: Batch) -> Tensor:
        """- (mean log-likelihood of the choices) + KL / (power * choices): the evidence bound, tempered."""
        c, values = self.config, self.belief.draw()
        told = self.walk.told(values, batch)
        pages = max(int((batch.chosen > NO_PAGE).sum()), 1)
        return -told.sum() / pages + self._kl(values) / (c.power * max(self.learnt, 1))

    def _kl(self, values: dict[str, Tensor]) -> Tensor:
        c, kl = self.config, self.belief.kl
        group = torch.from_numpy(self.group.astype(np.int64))
        width = values["width"].exp()
        total = kl("group", 0.0, c.group_spread) + kl("width", float(np.log(c.item_spread)), 0.5)
        total = total + kl("vectors", values["group"][group], width[group]) + kl("start", 0.0, c.state_spread)
        total = total + kl("bias", 0.0, 1.0) + kl("nothing", 0.0, 5.0) + kl("keep", 0.5, 0.3)
        for name in WEIGHTS:
            if name in self.belief.mean:
                total = total + kl(name, 0.0, c.weight_spread)
        total = total + kl("people", 0.0, c.state_spread) if "people" in self.belief.mean else total
        return total + kl("place", 0.0, 1.0) if "place" in self.belief.mean else total

    # ------------------------------------------------------------------------------------------------------ answering

    def _placed(self) -> DynamicSlate:
        """Ready to answer: the mean of the belief; never-shown items stand where their group does."""
        self.walk = self._walk(self.config.user)
        self.__dict__.pop("drawn", None)
        with torch.no_grad():
            self.mean = {name: value.detach().clone() for name, value in self.belief.means().items()}
            group = torch.from_numpy(self.group.astype(np.int64))
            met = torch.from_numpy(self.met)[:, None]
            self.mean["vectors"] = torch.where(met, self.mean["vectors"], self.mean["group"][group])
        return self

    @cached_property
    def drawn(self) -> list[dict[str, Tensor]]:
        """The particles: draws of the belief, the same for the same fit."""
        out = []
        with torch.no_grad():
            group = torch.from_numpy(self.group.astype(np.int64))
            met = torch.from_numpy(self.met)[:, None]
            for p in range(self.config.particles):
                generator = torch.Generator().manual_seed(p)
                values = self.belief.draw(spread=self.widen, generator=generator)
                width = self.belief.mean["width"].exp()[group]
                fresh = torch.randn(values["vectors"].shape, generator=generator)
                unmet = values["group"][group] + min(self.widen, 1.0) * width * fresh
                values["vectors"] = torch.where(met, values["vectors"], unmet)
                out.append(values)
        return out

    def states(self, requests: Requests, values: dict[str, Tensor] | None = None) -> Tensor:
        """float[n, dim]: what each person looks for after their history; strangers stand at the start."""
        values = self.mean if values is None else values
        history = requests.history
        keep = (history["item"] >= 0) & (history["item"] < self.rows.n_items)
        if self.clicks and "kind" in history:
            keep &= np.isin(history["kind"], self.clicks)
        history = history.where(keep).last(self.config.window)
        past = np.full((len(requests), int(history.lengths.max(initial=0))), -1, np.int64)
        place = np.arange(len(history["item"])) - np.repeat(history.offsets[1:], history.lengths)
        past[history.owner, past.shape[1] + place] = history["item"]
        known = (requests.user >= 0) & (requests.user < self.rows.n_users)
        known[known] = self.rows.events[requests.user[known]] > 0  # a person who is forgotten is a stranger
        user = torch.from_numpy(np.where(known, requests.user, -1).astype(np.int64))
        with torch.no_grad():
            h = self.walk.state(values, values["vectors"], torch.from_numpy(past), user)
            return seen_as(values, self.walk.user, h)

    def scores(self, requests: Requests, items: Array, values: dict[str, Tensor] | None = None) -> Array:
        """float32[n, m]: how much each item (int[n, m], -1 pads) is wanted."""
        values = self.mean if values is None else values
        return self._scores(self.states(requests, values), items, values)

    def _scores(self, z: Tensor, items: Array, values: dict[str, Tensor]) -> Array:
        known = (items >= 0) & (items < self.rows.n_items)
        at = torch.from_numpy(np.where(known, items, 0).astype(np.int64))
        with torch.no_grad():
            s = scored(z, values["vectors"][at], values["bias"][at], self.config.score)
        return np.where(known, s.numpy(), -1e30).astype(np.float32)

    def click_probability(self, requests: Requests, slates: Slates, values: dict[str, Tensor] | None = None) -> Array:
        """float64[n, k]: the chance that each item of a slate is the one that is chosen."""
        values = self.mean if values is None else values
        return self._chosen(self.states(requests, values), slates.items, values)

    def _chosen(self, z: Tensor, items: Array, values: dict[str, Tensor]) -> Array:
        s = torch.from_numpy(self._scores(z, items, values))
        with torch.no_grad():
            logits = self.walk.log_choice(values, s, torch.from_numpy(items >= 0))
        return logits[:, 1:].exp().double().numpy()

    def interval(self, requests: Requests, slates: Slates, level: float = 0.9) -> tuple[Array, Array]:
        """(low, high), float64[n] each: where the chance of any click on a slate lies, by the calibrated belief."""
        each = stretched(self._odds(requests, slates), self.margin)
        low, high = np.quantile(each, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def _odds(self, requests: Requests, slates: Slates) -> Array:
        """float64[particles, n]: log-odds of any click on a slate, by each draw of the belief."""
        each = [self.click_probability(requests, slates, values).sum(axis=1) for values in self.drawn]
        return logit(np.stack(each).clip(1e-9, 1 - 1e-9))

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """The items wanted most by the mean of the belief."""
        z, v = self.states(requests).numpy(), self.mean["vectors"].numpy()
        if self.config.score == "dot":
            return best_dot(z, v, requests, n, self.rows, bias=self.mean["bias"].numpy())
        return best_dot(2 * z, v, requests, n, self.rows, bias=-(v**2).sum(axis=1))  # |z|^2 - |z - v|^2

    def similar_items(self, items: Array, n: int) -> Slates:
        """The nearest in the space of items."""
        items, v = np.asarray(items), self.mean["vectors"].numpy()
        known = np.flatnonzero((items >= 0) & (items < self.rows.n_items))
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        own = v[items[known]]
        asked = Requests.strangers(list(items[known][:, None]))
        found = best_dot(2 * own, v, asked, n, self.rows, bias=-(v**2).sum(axis=1))
        out.items[known], out.scores[known] = found.items, found.scores
        return out

    # ------------------------------------------------------------------------------------------------------- choosing

    def choose(
        self, requests: Requests, candidates: Slates, k: int, caps: Caps = (), where: Sequence[int] = ()
    ) -> Slates:
        """k of the candidates of each request, with the columns propensity and explored; greedy without a draw.

        With `where` it fills those places (from 1) alone; all others take the next candidate as it comes. A draw brings
        the columns low and high too, where slates were shown: between what the chance that an item is chosen from this
        page is believed to lie, nine times in ten, stretched as `interval` is.
        """
        free = offered(candidates.items)
        best = Greedy(self.scores(requests, candidates.items))
        drawn = requests.draw is not None
        draw = requests.draw if requests.draw is not None else np.zeros(len(requests), np.uint64)
        walks = self._walks(requests) if drawn else []
        chooser = self._chooser(requests, candidates, walks) if drawn else best
        chosen = choose(at_some(chooser, where), free, k, draw, caps)
        page = page_of(candidates, chosen, at_some(best, where), free, caps)
        if drawn and self.shown:
            page = replace(page, columns={**page.columns, **self._between(walks, page.items)})
        return page

    def _walks(self, requests: Requests) -> list[Tensor]:
        """The states of the requests, by each draw of the belief."""
        return [self.states(requests, values) for values in self.drawn]

    def _between(self, walks: list[Tensor], items: Array) -> dict[str, Array]:
        each = np.stack([self._chosen(z, items, values) for z, values in zip(walks, self.drawn, strict=True)])
        ends = np.quantile(stretched(logit(each.clip(1e-9, 1 - 1e-9)), self.margin), [0.05, 0.95], axis=0)
        return {
            name: np.where(items >= 0, end, 0.0).astype(np.float32)
            for name, end in zip(("low", "high"), ends, strict=True)
        }

    def propensities(self, requests: Requests, candidates: Slates) -> Array:
        """float64[n, m]: the chance that each candidate takes the first place; 0 for padding and for what stands there
        already."""
        return self._chooser(requests, candidates, self._walks(requests)).next(offered(candidates.items))

    def chances(
        self, requests: Requests, candidates: Slates, shown: Array, caps: Caps = (), where: Sequence[int] = ()
    ) -> Array:
        """float64[n, k]: the chance that these items (int[n, k], -1 pads) take these places, each given those above."""
        chooser = at_some(self._chooser(requests, candidates, self._walks(requests)), where)
        return chances(chooser, offered(candidates.items), places(shown, candidates.items), caps)

    def _chooser(self, requests: Requests, candidates: Slates, walks: list[Tensor]) -> Chooser:
        c = self.config
        if c.way == "greedy":
            return Greedy(self.scores(requests, candidates.items), c.floor)
        drawn = zip(walks, self.drawn, strict=True)
        each = np.stack([self._scores(z, candidates.items, values) for z, values in drawn])
        return (Together if c.way == "together" else Shares)(each, c.floor)

    # ----------------------------------------------------------------------------------------------------- calibration

    def calibrate(self, requests: Requests, slates: Slates, truth: Array, level: float = 0.9) -> DynamicSlate:
        """Set `margin` so that `level` of the intervals hold the true chance of a click (float[n]) on these slates.

        Truth comes from a world, or from slates that were shown so often that their rate is known. Single clicks do not
        tell it: whatever the width of the belief, one click or none is all that comes of a page.
        """
        inside, odds = {}, self._odds(requests, slates)
        for margin in MARGINS:
            low, high = np.quantile(stretched(odds, margin), [(1 - level) / 2, (1 + level) / 2], axis=0)
            inside[margin] = float(((low <= truth) & (truth <= high)).mean())
        self.margin = min(inside, key=lambda m: (abs(inside[m] - level), m))
        self.fitted |= {"inside": {str(m): round(v, 4) for m, v in inside.items()}, "margin": self.margin}
        return self

    # -------------------------------------------------------------------------------------------------------- keeping

    def forget(self, users: Array) -> DynamicSlate:
        """Erase what was learnt of these people (`start = "own"`) and how many events they had; they are strangers."""
        events, users = self.rows.events.copy(), np.asarray(users, np.int64)
        users = users[(users >= 0) & (users < self.rows.n_users)]
        events[users] = 0
        self.rows = replace(self.rows, events=events)
        if "people" in self.belief.mean:
            with torch.no_grad():
                for part in (self.belief.mean, self.belief.raw):
                    part["people"][users] = 0
        return self._placed()

    def state(self) -> State:
        held = {name: tensor.detach().numpy() for name, tensor in self.belief.state_dict().items()}
        people = {name: held.pop(name) for name in list(held) if name.endswith(".people")}
        own = State(
            arrays={"group": self.group, "lengths": self.lengths, "met": self.met},
            facts={
                "shown": self.shown,
                "clicks": self.clicks,
                "widen": self.widen,
                "margin": self.margin,
                "learnt": self.learnt,
            },
        )
        belief, fit = State(arrays=held, users=people), State(facts=self.fitted)
        return State.joined(rows=self.rows.state(), belief=belief, own=own, fit=fit)

    def restore(self, state: State) -> DynamicSlate:
        self.rows, own, belief = Rows.restore(state.within("rows")), state.within("own"), state.within("belief")
        self.group, self.lengths, self.met = own.arrays["group"], own.arrays["lengths"], own.arrays["met"]
        self.shown, self.clicks, self.widen = own.facts["shown"], list(own.facts["clicks"]), own.facts["widen"]
        self.margin = own.facts["margin"]
        self.learnt, self.fitted = own.facts["learnt"], dict(state.within("fit").facts)
        learnt = {name: torch.from_numpy(np.array(array)) for name, array in {**belief.arrays, **belief.users}.items()}
        self.belief = Gaussians({k.removeprefix("mean."): v for k, v in learnt.items() if k.startswith("mean.")})
        self.belief.load_state_dict(learnt)
        return self._placed()


def stretched(odds: Array, margin: float) -> Array:
    """float64[particles, n]: chances whose log-odds lie `margin` times as far from the middle of their slate's draws.

    The middle is the draws' own mean. What the belief's mean says lies to one side of it where noise moves scores one
    way: a drawn item is farther off than its mean, so by the distance every draw is clicked less.
    """
    middle = odds.mean(axis=0)
    return expit(middle + margin * (odds - middle))


def grouped(dataset: Dataset, column: str) -> Array:
    """int32[n_items]: the first value of a catalogue column, numbered; items without one share a group."""
    out = np.zeros(dataset.n_items, np.int32)
    if not column or dataset.catalogue is None or column not in dataset.catalogue.columns:
        return out
    values = dataset.catalogue[column]
    if isinstance(values.dtype, pl.List):
        values = values.list.first()
    codes = values.cast(pl.String).rank("dense").fill_null(0).to_numpy()
    out[:] = codes
    return out
