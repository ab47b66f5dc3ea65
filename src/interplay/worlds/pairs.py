"""A world of pairs: people and the makers they return to, from the first click over weeks to follows and gifts.

Each active day a person makes some requests. At each, makers that could be shown are at hand (whom one follows or has
clicked of late comes up more often); a policy shows a few of them, and of every shown one the person may

    click    affinity, less weariness of what was shown shortly before
    like     mostly after a click
    follow   once in the life of a pair, likelier the more clicks there were (it saturates)
    gift     on a click at a maker one follows, likelier the more regularly the maker is seen; amounts are heavy tailed

Makers who are hardly shown leave; some join late. How often things happen is set to the aggregates of a real log that
are handed in (`Aggregates`; the defaults are those known of KuaiRand-Pure): rates, how they go together, and the days
between visits. Gifts, leaving and every shape are our construction: no aggregate of them is known.

`shape = "other"` is the same world with other laws, for asking whether what was tuned on the first holds: weariness
falls in a straight line, follows come in bursts (three clicks within days), gifts get rarer with each one given.

Every draw is keyed by person, maker, day and request, so two policies meet the very same people. A policy sees only
what `Requests` and `Events` hold; `truth` of it is for judges.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri

from interplay.errors import BadSetting, unknown
from interplay.types import Array, Dataset, Events, Ids, Ragged, Reply, Requests, Slates
from interplay.worlds.pairlaws import DAY, KINDS, SHAPES, START, Levels, PairWorldConfig
from interplay.worlds.truth import draws, keyed

PAST = 20  # clicks that a request's history carries


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Who asks now, and the makers at hand."""

    user: Array  # int64[n]
    candidates: Array  # int64[n, m], -1 pads
    day: int
    slot: int
    time: int  # microseconds


class PairWorld:
    """People, makers, and what has been between them."""

    def __init__(
        self, config: PairWorldConfig = PairWorldConfig(), *, seed: int = 0, levels: Levels | None = None
    ) -> None:
        c = config
        if c.shape not in SHAPES:
            raise unknown("shape of a world of pairs", c.shape, SHAPES)
        if min(c.people, c.makers, c.days, c.requests) < 1 or not c.aggregates.places <= c.candidates <= c.makers:
            raise BadSetting(
                f"a world of pairs needs people, days and at least as many makers as candidates, and as many of those "
                f"as places ({c.aggregates.places}); found {c.people}, {c.days}, {c.makers} and {c.candidates}"
            )
        self.config, self.seed, self.shape = c, seed, SHAPES[c.shape]
        self.levels = levels if levels is not None else levels_of(c, seed)
        rng = np.random.default_rng([seed, 21])
        z, v = rng.standard_normal((c.people, c.dim)), rng.standard_normal((c.makers, c.dim))
        both = z @ v.T / np.sqrt(c.dim) + 0.5 * rng.standard_normal(c.makers)
        self.affinity = (both / both.std()).astype(np.float32)  # people x makers
        own = rng.standard_normal(both.shape).astype(np.float32)
        self.believed = (self.affinity + c.stubborn * own) / np.sqrt(1 + c.stubborn**2)  # by the old policy
        late = rng.permutation(c.makers)[: int(c.late * c.makers)]
        self.joins = np.zeros(c.makers, np.int64)
        self.joins[late] = rng.integers(1, max(c.days, 2), len(late))
        self.users, self.items = Ids([f"p{i}" for i in range(c.people)]), Ids([f"m{i}" for i in range(c.makers)])
        self.until = c.days
        self._begin(seed)

    def _begin(self, run: int) -> None:
        c = self.config
        self.run, self.day, self.slot = run, 0, 0
        pairs = (c.people, c.makers)
        self.shown, self.clicks, self.recent, self.heat, self.regular, self.gifts = (
            np.zeros(pairs, np.float32) for _ in range(6)
        )
        self.last = np.full(pairs, -100.0, np.float32)  # day of the last showing
        self.follows = np.zeros(pairs, bool)
        self.seen = np.full(c.makers, self._even(), np.float32)  # showings a day, of late
        self.left = np.zeros(c.makers, bool)
        self.past = np.full((c.people, PAST), -1, np.int32)
        first = self._gap(np.arange(c.people), -1)
        self.next = np.floor(draws(keyed(self.run, "phase", np.arange(c.people)), 0, 1)[:, 0] * first).astype(np.int64)
        self.tally = dict.fromkeys((*KINDS, "amount", "click?", "like?", "follow?", "follow with click?",
                                    "follow with like?", "like with click?"), 0.0)  # fmt: skip
        self.moment = self._come()

    def copy(self) -> PairWorld:
        """The same world at the same moment, to try something else from here."""
        out = copy.copy(self)
        for name in ("shown", "clicks", "recent", "heat", "regular", "gifts", "last", "follows", "seen", "left", "past",
                     "next"):  # fmt: skip
            setattr(out, name, getattr(self, name).copy())
        out.tally = dict(self.tally)
        return out

    def longer(self, days: int) -> PairWorld:
        """It goes on until so many days from its beginning."""
        self.until = days
        if self.moment is None:
            self.moment = self._come()
        return self

    # ------------------------------------------------------------------------------------------------------ who comes

    def _even(self) -> float:
        """Showings a maker would get a day if all got the same."""
        c, law = self.config, self.config.aggregates.gaps()
        often = 1 / (law * np.arange(1, len(law) + 1)).sum()
        return c.people * often * c.requests * c.aggregates.places / c.makers

    def _gap(self, users: Array, day: int) -> Array:
        edges = np.cumsum(self.config.aggregates.gaps())
        drawn = draws(keyed(self.run, "gap", users, day + 1), 0, 1)[:, 0]
        return 1 + np.minimum(np.searchsorted(edges, drawn), len(edges) - 1)

    def here(self) -> Array:
        """bool[makers]: who can be shown today."""
        return ~self.left & (self.joins <= self.day)

    def _come(self) -> Moment | None:
        """The next moment at which somebody asks, or None when the days are over."""
        c = self.config
        while self.day < self.until:
            users = np.flatnonzero(self.next == self.day)
            if self.slot < c.requests and len(users):
                return self._at_hand(users)
            self._night(users)
        return None

    def _at_hand(self, users: Array) -> Moment:
        c, here = self.config, self.here()
        rng = np.random.default_rng([self.run, 22, self.day, self.slot])
        luck = rng.random((c.people, c.makers), np.float32)[users]
        weight = 0.7 * self.believed[users] + 2.5 * self.follows[users] + np.minimum(self.recent[users], 3.0) * 0.5
        with np.errstate(divide="ignore"):
            weight -= np.log(-np.log(np.clip(luck, 1e-7, 1 - 1e-7)))
        weight[:, ~here] = -np.inf
        top = np.argpartition(-weight, c.candidates - 1, axis=1)[:, : c.candidates]
        top = np.sort(top, axis=1)  # their order says nothing
        held = np.isfinite(np.take_along_axis(weight, top, 1))
        time = START + self.day * DAY + 9 * DAY // 24 + self.slot * (DAY // 2) // c.requests
        return Moment(user=users, candidates=np.where(held, top, -1), day=self.day, slot=self.slot, time=time)

    def _night(self, users: Array) -> None:
        c = self.config
        if len(users):
            self.next[users] += self._gap(users, self.day)
        hungry = self.here() & (self.seen < c.starved * self._even())
        tired = draws(keyed(self.run, "leave", np.arange(c.makers), self.day), 0, 1)[:, 0] < c.leaves
        self.left |= hungry & tired
        self.seen *= 1 - 1 / 7
        self.heat *= 0.6
        self.recent *= 0.75
        self.regular *= 0.9
        self.day, self.slot = self.day + 1, 0

    # ---------------------------------------------------------------------------------------------------- what happens

    def chances(self, user: Array, maker: Array) -> Array:
        """float64[n]: the true chance that a showing now is clicked."""
        weary = self.shape.weariness(self.heat[user, maker], self.day - self.last[user, maker], self.shown[user, maker])
        c = self.config
        return expit(self.levels.click + c.sharpness * self.affinity[user, maker] - c.weary * weary)

    def show(self, slates: Array) -> Events:
        """What the people of this moment do with these makers (int[n, k], -1 pads); then the next moment comes."""
        now, c, level = self.moment, self.config, self.levels
        if now is None:
            raise BadSetting(f"the world is over after {self.until} days; reset it, or make it longer")
        if len(slates) != len(now.user):
            raise BadSetting(f"{len(now.user)} people wait for a page, the reply has {len(slates)}")
        row, _ = np.nonzero(slates >= 0)
        maker = slates[slates >= 0].astype(np.int64)
        if not (now.candidates[row] == maker[:, None]).any(axis=1).all():
            raise BadSetting("a page holds a maker who is not at hand; choose from the candidates of the request")
        if len(np.unique(row * c.makers + maker)) != len(maker):
            raise BadSetting("a page holds a maker twice")
        user = now.user[row]
        luck = draws(keyed(self.run, "outcome", user, maker, now.day, now.slot), 0, 5)
        p = self.chances(user, maker)
        click = luck[:, 0] < p
        warmth = np.exp(0.5 * self.affinity[user, maker] - 0.125)
        fond = np.clip(np.where(click, level.liked * warmth, level.plain), 0, 0.9)
        like = luck[:, 1] < fond
        self.clicks[user, maker] += click
        self.recent[user, maker] += click
        followed = self.follows[user, maker]
        joins = level.follow * np.where(click, level.clicked, 1.0) * np.where(like, level.fond, 1.0) * warmth
        joins = np.where(followed, 0.0, np.clip(joins * self.shape.growth(
            self.clicks[user, maker], self.recent[user, maker]), 0, 0.9))  # fmt: skip
        follow = luck[:, 2] < joins
        gives = c.gift * self.shape.giving(np.minimum(self.regular[user, maker] / 3, 1.0), self.gifts[user, maker])
        gift = click & followed & (luck[:, 3] < np.minimum(gives * warmth, 0.9))
        amount = c.amount * np.exp(c.spread * ndtri(luck[:, 4]))
        self._remember(user, maker, click, follow, gift)
        for name, value in (
            ("show", len(user)), ("click", click.sum()), ("like", like.sum()), ("follow", follow.sum()),
            ("gift", gift.sum()), ("amount", amount[gift].sum()), ("click?", p.sum()), ("like?", fond.sum()),
            ("follow?", joins.sum()), ("follow with click?", joins[click].sum()),
            ("follow with like?", joins[like].sum()), ("like with click?", fond[click].sum()),
        ):  # fmt: skip
            self.tally[name] += float(value)
        events = _events(user, maker, now.time, (np.ones(len(user), bool), click, like, follow, gift), amount)
        self.slot += 1
        self.moment = self._come()
        return events

    def _remember(self, user: Array, maker: Array, click: Array, follow: Array, gift: Array) -> None:
        self.shown[user, maker] += 1
        self.heat[user, maker] += 0.6
        self.regular[user, maker] += 1
        self.last[user, maker] = self.day
        self.follows[user, maker] |= follow
        self.gifts[user, maker] += gift
        self.seen += np.bincount(maker, minlength=self.config.makers) / 7
        order = np.flatnonzero(click)
        for _ in range(int(np.bincount(user[order]).max(initial=0))):  # at most as often as a page has places
            _, first = np.unique(user[order], return_index=True)
            own = order[first]
            self.past[user[own]] = np.roll(self.past[user[own]], -1, axis=1)
            self.past[user[own], -1] = maker[own]
            order = np.delete(order, first)

    # ------------------------------------------------------------------------------------------------------- as a World

    def reset(self, seed: int) -> Requests:
        """Everybody is a stranger to everybody again; another seed gives other draws over the same tastes."""
        self._begin(seed)
        asked = self.requests()
        assert asked is not None
        return asked

    def requests(self) -> Requests | None:
        """Who asks now: the column `candidates` of the context holds the makers at hand, -1 pads."""
        now = self.moment
        if now is None:
            return None
        past = self.past[now.user]
        held = past >= 0
        owner = np.nonzero(held)[0]
        return Requests(
            user=now.user.astype(np.int32), history=Ragged.grouped(owner, len(past), item=past[held]),
            context={"candidates": now.candidates.astype(np.int32)}, k=self.config.aggregates.places,
            at=np.full(len(past), now.time), draw=keyed(self.run, "draw", now.user, now.day, now.slot),
        )  # fmt: skip

    def step(self, reply: Reply) -> tuple[Events, Requests | None]:
        """What people did with the pages of `reply`, and who asks next."""
        return self.show(reply.slates.items), self.requests()

    def old_policy(self, requests: Requests) -> Slates:
        """What the log was made with: what it believes of affinity, with luck; knows nothing of follows or gifts."""
        at = requests.context["candidates"].astype(np.int64)
        draw = requests.draw
        assert draw is not None
        luck = draws(draw, 1, at.shape[1])
        return first_of(at, self.old_scores(requests) - np.log(-np.log(luck)), requests.k)

    def old_scores(self, requests: Requests) -> Array:
        """float64[n, m]: the logarithms of the weights by which it draws, without replacement; -inf where nobody is."""
        at = requests.context["candidates"].astype(np.int64)
        return np.where(at >= 0, 1.5 * self.believed[requests.user[:, None], np.maximum(at, 0)], -np.inf)

    def logged(self, day: int) -> Dataset:
        """The old policy serves until the day `day`; the log of it."""
        parts = []
        self.longer(day)
        while (asked := self.requests()) is not None:
            parts.append(self.show(self.old_policy(asked).items))
        return self.dataset(parts)

    def dataset(self, parts: list[Events]) -> Dataset:
        """A log as anybody may see it, from what `show` or `step` gave."""
        import polars as pl

        names = ("user", "item", "time", "value", "kind")
        whole: dict[str, Any] = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
        order = np.lexsort((whole["kind"], whole["time"], whole["user"]))
        events = Events(**{n: column[order] for n, column in whole.items()}, kinds=KINDS, ordered=True)
        catalogue = pl.DataFrame({"title": self.items.names, "author_id": self.items.names})
        return Dataset(name="pairs", users=self.users, items=self.items, events=events, catalogue=catalogue)


def first_of(candidates: Array, scores: Array, k: int) -> Slates:
    """The k best of each row's candidates (int[n, m], -1 pads), best first."""
    scores = np.where(candidates >= 0, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return Slates(
        items=np.take_along_axis(candidates, order, 1).astype(np.int32),
        scores=np.take_along_axis(scores, order, 1).astype(np.float32),
    )  # fmt: skip


def _events(user: Array, maker: Array, time: int, did: tuple[Array, ...], amount: Array) -> Events:
    """One event for everything done, a second apart by kind."""
    rows = [np.flatnonzero(d) for d in did]
    at = np.concatenate(rows)
    kind = np.repeat(np.arange(len(KINDS)), [len(r) for r in rows])
    order = np.lexsort((kind, user[at]))
    at, kind = at[order], kind[order]
    return Events(
        user=user[at].astype(np.int32), item=maker[at].astype(np.int32), time=time + kind.astype(np.int64) * 1_000_000,
        kind=kind.astype(np.int16), kinds=KINDS, ordered=True,
        value=np.where(kind == KINDS.index("gift"), amount[at], 1.0).astype(np.float32),
    )  # fmt: skip


@lru_cache(maxsize=32)
def levels_of(config: PairWorldConfig, seed: int = 0, *, rounds: int = 7) -> Levels:
    """Levels at which the old policy's log of these very people has the wanted rates; found by trying, with other
    luck."""
    want = config.aggregates
    levels = Levels(click=float(logit(want.click)))
    unclicked = (want.like - want.like_of_clicks * want.click) / (1 - want.click)
    liked = want.follow_of_likes * want.like / want.follow  # share of follows that come with a like
    if not 0 <= unclicked <= 1 or not 0 < liked < 1:
        raise BadSetting(f"these aggregates contradict each other: {want}")
    for turn in range(rounds):
        world = PairWorld(config, seed=seed, levels=levels)
        world.reset(1_000_000 + turn)
        world.logged(config.days)
        t, step = world.tally, 1.0 if turn < 3 else 0.5  # smaller later: what is left is luck
        odds = (_odds(want.click_of_follows) / _odds(t["follow with click?"] / t["follow?"])) ** step
        fonder = (_odds(liked) / _odds(t["follow with like?"] / t["follow?"])) ** step
        rarer = (want.follow / (t["follow?"] / t["show"])) ** step
        levels = Levels(
            click=levels.click + 1.2 * step * float(logit(want.click) - logit(t["click?"] / t["show"])),
            liked=levels.liked * (want.like_of_clicks / (t["like with click?"] / t["click"])) ** step,
            plain=unclicked, clicked=levels.clicked * odds, fond=levels.fond * fonder,
            follow=levels.follow * rarer * (1 + (1 / odds - 1) * want.click_of_follows)
            * (1 + (1 / fonder - 1) * liked),
        )  # fmt: skip
    return levels


def _odds(share: float) -> float:
    return min(max(share, 1e-4), 1 - 1e-4) / (1 - min(max(share, 1e-4), 1 - 1e-4))
