"""Stylised people after RecSim and RecoGym: laws on a page, truth known, nothing learnt from any log.

InterestWorld   Ie et al., arXiv 1909.04847 (RecSim, interest evolution)   what is clicked moves what one wants
TemptingWorld   the same (long-term satisfaction, "choc" and "kale")       what tempts now spoils what comes after
OrganicWorld    Rohde et al., arXiv 1808.00720 (RecoGym)                   views of one's own, and adverts in between

Each is a `World` over a whole crowd at once: a step shows one page to everybody who is here. Draws are keyed by step
and person, so nobody's fate depends on who else is there and two policies meet the same people. A policy sees items,
what people did, and in the catalogue what an item shows; not interests, satisfaction or tastes.

Departs from the published code: people are drawn once and stay the same over a reset; in TemptingWorld sensitivity is
1 and memory .9, where the published .01 hardly lets satisfaction move, and a page is chosen from by how tempting it is;
in OrganicWorld an advert is answered by the first place of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit

from interplay.errors import BadSetting
from interplay.types import Array, Dataset, Events, Ids, Ragged, Reply, Requests

MINUTE, START = 60_000_000, 1_735_689_600_000_000  # microseconds; 1 January 2025, UTC
PAST = 20  # things that a request's history carries


class Crowd:
    """People who are shown one page a step: what all stylised worlds share."""

    KINDS: tuple[str, ...] = ("click",)

    def __init__(self, n: int, n_items: int, k: int, steps: int) -> None:
        if min(n, n_items, k, steps) < 1 or k > n_items:
            raise BadSetting(
                f"a world needs people, steps, and more items than places; found {n}, {steps}, {n_items}, {k}"
            )
        self.n, self.n_items, self.k, self.steps = n, n_items, k, steps
        self.users, self.items = Ids([f"p{i}" for i in range(n)]), Ids([f"i{i}" for i in range(n_items)])
        self.reset(0)

    def reset(self, seed: int) -> Requests:
        """Everybody at the beginning; another seed gives other draws."""
        self.run, self.at = seed, 0
        self.here = np.ones(self.n, bool)
        self.past = np.full((self.n, PAST), -1, np.int32)
        self.past_at = np.zeros((self.n, PAST), np.int64)
        self.total = np.zeros(self.n)  # what a person was worth so far
        self.begin()
        asked = self.requests()
        assert asked is not None
        return asked

    def luck(self, purpose: int) -> np.random.Generator:
        """Draws of this step; take them for all n people, whoever is here."""
        return np.random.default_rng([self.run, self.at, purpose])

    @property
    def now(self) -> int:
        return START + self.at * MINUTE

    def clock(self, user: Array) -> Array:
        """int64[n], microseconds: what time it is for these people."""
        return np.full(len(user), self.now)

    def remember(self, user: Array, item: Array) -> None:
        """Add one thing to the past of each of these people (no one twice)."""
        for table, new in ((self.past, item), (self.past_at, self.clock(user))):
            table[user, :-1] = table[user, 1:]
            table[user, -1] = new

    def requests(self) -> Requests | None:
        """A page for everybody who is here, or None when nobody is."""
        user = np.flatnonzero(self.asks())
        if self.at >= self.steps or not len(user):
            return None
        draw = self.luck(0).integers(0, 2**64, self.n, dtype=np.uint64)
        return Requests(
            user=user.astype(np.int32), at=self.clock(user), draw=draw[user], k=self.k, history=self.history(user)
        )

    def history(self, user: Array) -> Ragged:
        """What these people have had, oldest first."""
        held = self.past[user] >= 0
        owner = np.nonzero(held)[0]
        return Ragged.grouped(owner, len(user), item=self.past[user][held], time=self.past_at[user][held])

    def step(self, reply: Reply) -> tuple[Events, Requests | None]:
        """What people did with the pages of `reply`, and who asks next."""
        user = np.flatnonzero(self.asks())
        if len(reply.slates) != len(user):
            raise BadSetting(f"{len(user)} people wait for a page, the reply has {len(reply.slates)}")
        start = self.clock(np.arange(self.n)) + 1_000_000
        who, item, kind, value = self.respond(user, reply.slates.items.astype(np.int64))
        order = np.lexsort((kind, who))
        self.at += 1
        events = Events(
            user=who[order].astype(np.int32), item=item[order].astype(np.int32), kind=kind[order].astype(np.int16),
            kinds=self.KINDS, value=value[order].astype(np.float32), ordered=True,
            time=start[who[order]],
        )  # fmt: skip
        return events, self.requests()

    def asks(self) -> Array:
        """bool[n]: who waits for a page."""
        return self.here

    def begin(self) -> None:
        """Put what people carry back to where it was."""
        raise NotImplementedError

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        """(person, item, kind, value) of what these people did with their pages (-1 pads), and move them on."""
        raise NotImplementedError

    def catalogue(self) -> pl.DataFrame:
        """What anybody may see of the items."""
        return pl.DataFrame({"title": self.items.names})

    def dataset(self, parts: list[Events]) -> Dataset:
        """A log of steps as a data set."""
        names = ("user", "item", "time", "value", "kind")
        whole: dict[str, Any] = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
        order = np.lexsort((whole["time"], whole["user"]))
        events = Events(**{n: column[order] for n, column in whole.items()}, kinds=self.KINDS, ordered=True)
        return Dataset(name=type(self).__name__, users=self.users, items=self.items, events=events,
                       catalogue=self.catalogue())  # fmt: skip


def chosen(scores: Array, luck: Array) -> Array:
    """int64[n]: the place taken by multinomial logit, places beyond -inf never; `luck` float64[n] in (0, 1).

    The last column stands for nothing and comes back as -1.
    """
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    up = np.cumsum(weight, axis=1)
    place = (up <= luck[:, None] * up[:, -1:]).sum(axis=1)
    return np.where(place < scores.shape[1] - 1, place, -1)


# --------------------------------------------------------------------------------------------------------------------
# Interest evolution


@dataclass(frozen=True, kw_only=True)
class InterestConfig:
    people: int = 1000
    items: int = 200
    topics: int = 20
    places: int = 5
    budget: float = 200.0  # minutes
    watch: float = 4.0  # minutes that a thing takes
    back: float = 0.9  # minutes given back per minute watched and unit of quality
    idle: float = 0.5  # minutes that a page without a click costs
    pull: float = 0.3  # how far a click moves an interest of 0
    nothing: float = 1.0  # logit of no click
    steps: int = 400


class InterestWorld(Crowd):
    """Interests in topics, each in [-1, 1]; what is clicked moves them, and quality keeps people longer."""

    def __init__(self, config: InterestConfig = InterestConfig(), *, seed: int = 0) -> None:
        c, rng = config, np.random.default_rng([seed, 51])
        self.config = c
        self.topic = rng.integers(0, c.topics, c.items)
        low = max(round(0.7 * c.topics), 1)
        mean = np.concatenate([rng.uniform(-3, 0, low), rng.uniform(0, 3, c.topics - low)])
        self.quality = np.clip(rng.normal(mean[self.topic], 0.1), -3, 3)
        self.first = rng.uniform(-1, 1, (c.people, c.topics))
        super().__init__(c.people, c.items, c.places, c.steps)

    def begin(self) -> None:
        self.interest, self.left = self.first.copy(), np.full(self.n, self.config.budget)

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        c, at = self.config, np.maximum(slates, 0)
        score = np.where(slates >= 0, self.interest[user[:, None], self.topic[at]], -np.inf)
        luck = self.luck(1).random((self.n, 2))[user]
        place = chosen(np.column_stack([score, np.full(len(user), c.nothing)]), luck[:, 0])
        hit = np.flatnonzero(place >= 0)
        who, item = user[hit], slates[hit, place[hit]]
        topic = self.topic[item]
        u = self.interest[who, topic]
        self.interest[who, topic] = np.clip(moved(u, luck[hit, 1] < (u + 1) / 2, c.pull), -1, 1)
        self.left[user] -= c.idle
        self.left[who] += c.idle - c.watch + c.back * c.watch * self.quality[item] / 3
        self.total[who] += c.watch
        self.remember(who, item)
        self.here &= self.left > 0
        return who, item, np.zeros(len(who), np.int64), np.full(len(who), c.watch)

    def catalogue(self) -> pl.DataFrame:
        topic = [f"topic {t}" for t in self.topic]
        return pl.DataFrame({"title": self.items.names, "categories": topic, "quality": self.quality.round(2)})


def moved(interest: Array, towards: Array, pull: float = 0.3) -> Array:
    """An interest after a click: (1 - |u|) pull of the way to 1, or as far away from it."""
    step = (pull - pull * np.abs(interest)) * (1.0 - interest)
    return np.where(towards, interest + step, interest - step)


# --------------------------------------------------------------------------------------------------------------------
# Long-term satisfaction


@dataclass(frozen=True, kw_only=True)
class TemptingConfig:
    people: int = 1000
    items: int = 100
    places: int = 1
    steps: int = 60
    memory: float = 0.9  # share of past exposure that stays each step
    sensitivity: float = 1.0
    noise: float = 0.05
    choc: float = 5.0  # mean of the logarithm of minutes with the most tempting ...
    kale: float = 4.0  # ... and the least tempting things, at full satisfaction
    spread: float = 0.3  # standard deviation of that logarithm
    tempted: float = 1.0  # how much more likely the tempting thing of a page is taken


class TemptingWorld(Crowd):
    """Things from kale (0) to choc (1): choc holds people longer now and spoils their satisfaction."""

    KINDS = ("watch",)

    def __init__(self, config: TemptingConfig = TemptingConfig(), *, seed: int = 0) -> None:
        c = config
        self.config = c
        self.bait = np.random.default_rng([seed, 52]).uniform(0, 1, c.items)
        super().__init__(c.people, c.items, c.places, c.steps)

    def begin(self) -> None:
        self.exposure = np.zeros(self.n)

    @property
    def satisfaction(self) -> Array:
        """float64[n] in (0, 1)."""
        return expit(self.config.sensitivity * self.exposure)

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        c, rng = self.config, self.luck(1)
        luck, noise, length = rng.random(self.n)[user], rng.normal(size=self.n)[user], rng.normal(size=self.n)[user]
        score = np.where(slates >= 0, c.tempted * self.bait[np.maximum(slates, 0)], -np.inf)
        there = np.any(slates >= 0, axis=1)
        score = np.where(there[:, None], score, 0.0)
        place = np.where(there, chosen(np.column_stack([score, np.full(len(user), -np.inf)]), luck), -1)
        hit = np.flatnonzero(place >= 0)
        who, item = user[hit], slates[hit, place[hit]]
        bait = self.bait[item]
        minutes = np.exp((bait * c.choc + (1 - bait) * c.kale) * self.satisfaction[who] + c.spread * length[hit])
        self.exposure[who] = c.memory * self.exposure[who] - 2 * (bait - 0.5) + c.noise * noise[hit]
        self.total[who] += minutes
        self.remember(who, item)
        return who, item, np.zeros(len(who), np.int64), minutes

    def catalogue(self) -> pl.DataFrame:
        return pl.DataFrame({"title": self.items.names, "bait": self.bait.round(3)})


# --------------------------------------------------------------------------------------------------------------------
# Organic views and adverts


@dataclass(frozen=True, kw_only=True)
class OrganicConfig:
    people: int = 1000
    items: int = 100
    steps: int = 100
    dim: int = 5
    wander: float = 0.1  # of tastes, with each view
    popularity: float = 3.0  # standard deviation of what everybody views
    appeal: float = 0.0  # mean and ...
    differing: float = 0.0  # ... standard deviation of what makes adverts be clicked by everybody
    flips: int = 0  # pairs of items whose adverts work like the other's
    leave: float = 0.01
    to_advert: float = 0.25
    to_view: float = 0.05


class OrganicWorld(Crowd):
    """People view things of their own accord; in between a policy shows them one advert at a time."""

    KINDS = ("view", "click")

    def __init__(self, config: OrganicConfig = OrganicConfig(), *, seed: int = 0) -> None:
        c, rng = config, np.random.default_rng([seed, 53])
        if 2 * c.flips > c.items:
            raise BadSetting(f"{c.flips} flips need {2 * c.flips} items; there are {c.items}")
        self.config = c
        self.organic = rng.normal(size=(c.items, c.dim))
        self.popular = c.popularity * rng.normal(size=c.items)
        self.adverts = self.organic.copy()
        swap = rng.permutation(c.items)[: 2 * c.flips].reshape(2, -1)
        self.adverts[swap[0]], self.adverts[swap[1]] = self.organic[swap[1]], self.organic[swap[0]]
        self.appeal = c.appeal + c.differing * rng.normal(size=c.items)
        self.first = rng.normal(size=(c.people, c.dim))
        super().__init__(c.people, c.items, 1, c.steps)

    def begin(self) -> None:
        self.taste, self.advert = self.first.copy(), np.zeros(self.n, bool)
        self.views: list[tuple[Array, Array]] = []
        self._browse()

    def asks(self) -> Array:
        return self.here & self.advert

    def chance(self, user: Array, item: Array) -> Array:
        """float64[n]: how likely an advert is clicked by a person now."""
        return clickable((self.adverts[item] * self.taste[user]).sum(axis=-1) + self.appeal[item])

    def _browse(self) -> None:
        """Everybody who is here and sees no advert views things until one comes, or leaves."""
        c, turn = self.config, 0
        while (browsing := np.flatnonzero(self.here & ~self.advert)).size:
            rng = np.random.default_rng([self.run, self.at, 2, turn])
            luck, way, drift = rng.random(self.n), rng.random(self.n), rng.normal(size=self.taste.shape)
            self.taste[browsing] += c.wander * drift[browsing]
            score = self.taste[browsing] @ self.organic.T + self.popular
            item = chosen(np.column_stack([score, np.full(len(browsing), -np.inf)]), luck[browsing])
            self.remember(browsing, item)
            self.views.append((browsing, item))
            self.here[browsing[way[browsing] < c.leave]] = False
            self.advert[browsing] = (way[browsing] >= c.leave) & (way[browsing] < c.leave + c.to_advert)
            turn += 1

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        c, rng = self.config, self.luck(1)
        luck, way = rng.random(self.n)[user], rng.random(self.n)[user]
        item = slates[:, 0]
        hit = np.flatnonzero((item >= 0) & (luck < self.chance(user, np.maximum(item, 0))))
        self.total[user[hit]] += 1
        self.here[user[way < c.leave]] = False
        self.advert[user] = way >= c.leave + c.to_view
        self._browse()
        return user[hit], item[hit], np.ones(len(hit), np.int64), np.ones(len(hit))

    def organic_views(self) -> tuple[Array, Array]:
        """(people, items) of everything viewed of one's own accord since the reset."""
        return np.concatenate([u for u, _ in self.views]), np.concatenate([i for _, i in self.views])


def clickable(x: Array) -> Array:
    """RecoGym's law from a score to a chance: about .01 at 0, at most .03."""
    return expit(5 * expit(2 * expit(0.3 * x) - 2) - 6)
