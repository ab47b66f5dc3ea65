"""A world learnt from ratings: whether somebody likes what is looked at, how long visits last, when people come back.

What one likes is a calibrated logistic model of the item's rate, the person's, their taste so far and the last
answer; how long one stays is a hazard that depends on what was rated and liked in the visit; days until the next visit
are drawn from those of the log. `SIMULATORS` are the same with less: three that know next to nothing stand beside it,
so that what learning brings can be seen (`interplay bench simulators`).

Item rates and vectors come from the first `warm` of the training part's time, the model from the rest, its calibration
from the validation part: no answer helps to tell itself. Ratings say nothing of places: `attention` is given, not
learnt, and so is what a policy may show. Nothing learnt in here may be sold as a live gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit

from interplay.configure import Count, PartShare, Positive, Share, Size
from interplay.errors import BadData, unknown
from interplay.ops.logistic import Logistic, logistic
from interplay.ops.spectra import top_right_singular
from interplay.types import Array, Dataset, Events, Ragged
from interplay.worlds.stylised import MINUTE, START, Crowd

DAY = 1440 * MINUTE
SIMULATORS: Mapping[str, tuple[int, ...]] = {  # which features each knows
    "global": (), "item": (0,), "logistic": (0, 2), "learned": tuple(range(7)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LearnedConfig:
    knows: str = "learned"  # a name in SIMULATORS
    liked: float = 4.0  # ratings from here on are likes
    warm: PartShare = 0.5
    dim: Size = 8
    pause: Positive = 60.0  # minutes without a rating after which a visit is over
    ridge: Positive = 1.0
    attention: Share = 0.85  # how likely each place is looked at, given the one above it was
    places: Size = 5
    steps: Size = 200
    people: Count = 0  # how many of the log's people come, by lot; 0 is all


@dataclass(eq=False)
class Memory:
    """What has been between each person and everything, so far."""

    count: Array  # float64[n]
    likes: Array  # float64[n]
    taste: Array  # float64[n, dim]
    last: Array  # float64[n]: the last answer, less the rate of its item

    @staticmethod
    def empty(n: int, dim: int) -> Memory:
        return Memory(np.zeros(n), np.zeros(n), np.zeros((n, dim)), np.zeros(n))


class Answers:
    """Whether a person likes an item, learnt from a log with times and parts."""

    def __init__(self, config: LearnedConfig = LearnedConfig()) -> None:
        if config.knows not in SIMULATORS:
            raise unknown("simulator", config.knows, SIMULATORS)
        self.config = config

    def fit(self, dataset: Dataset, train: Array, valid: Array) -> Answers:
        """Learn from the flagged events (bool[m] each) of a data set with ratings and times."""
        e, c = dataset.events, self.config
        if e.value is None or e.time is None:
            raise BadData(f"{dataset.name!r} needs ratings (value) and times; a world is learnt from both")
        like = (e.value >= c.liked).astype(float)
        warm = train & (e.time <= np.quantile(e.time[train], c.warm))
        self.rate = float(like[warm].mean())
        n = np.bincount(e.item[warm], minlength=dataset.n_items)
        self.item_rate = (np.bincount(e.item[warm], like[warm], dataset.n_items) + 5 * self.rate) / (n + 5)
        self.known = np.log1p(n)
        off = like[warm] - self.item_rate[e.item[warm]]
        x = sp.csr_array((off, (e.user[warm], e.item[warm])), shape=(dataset.n_users, dataset.n_items))
        _, v = top_right_singular(x, c.dim)
        self.vectors = np.zeros((dataset.n_items, c.dim))
        self.vectors[:, : v.shape[1]] = v * np.sqrt(dataset.n_items)
        told = self.along(e, like, dataset.n_users)
        fitted = train & ~warm
        self.moved = np.stack([told[fitted].mean(axis=0), told[fitted].std(axis=0) + 1e-9])
        self.model = logistic(self._seen(told[fitted]), like[fitted], ridge=c.ridge)
        raw = logit(np.clip(self.model.chances(self._seen(told[valid])), 1e-6, 1 - 1e-6))
        self.bent: Logistic = logistic(raw[:, None], like[valid], ridge=1e-3)
        return self

    def _seen(self, x: Array) -> Array:
        held = (x - self.moved[0]) / self.moved[1]
        return held[:, SIMULATORS[self.config.knows]]

    def chances(self, x: Array) -> Array:
        """float64[n]: how likely each row of features is liked."""
        raw = logit(np.clip(self.model.chances(self._seen(x)), 1e-6, 1 - 1e-6))
        return self.bent.chances(raw[:, None])

    def features(self, memory: Memory, user: Array, item: Array) -> Array:
        """float64[n, 7]: item's rate, how known it is, person's rate, taste for it, last answer, events, both rates."""
        item_rate = logit(self.item_rate[item])
        own = logit((memory.likes[user] + 4 * self.rate) / (memory.count[user] + 4))
        taste = (memory.taste[user] * self.vectors[item]).sum(axis=1) / (memory.count[user] + 5)
        count = np.log1p(memory.count[user])
        return np.column_stack([item_rate, self.known[item], own, taste, memory.last[user], count, item_rate * own])

    def take_in(self, memory: Memory, user: Array, item: Array, like: Array) -> None:
        """Remember one answer of each of these people (no one twice)."""
        off = like - self.item_rate[item]
        memory.count[user] += 1
        memory.likes[user] += like
        memory.taste[user] += off[:, None] * self.vectors[item]
        memory.last[user] = off

    def along(self, e: Events, like: Array, n_users: int, *, drawn: Array | None = None,
              luck: np.random.Generator | None = None) -> Array:  # fmt: skip
        """float64[m, 7]: the features of every event as of just before it.

        Where `drawn` (bool[m]) says so an answer is drawn from this model and remembered instead of the true one; what
        was drawn is written into `like`.
        """
        memory, out = Memory.empty(n_users, self.vectors.shape[1]), np.zeros((len(e), 7))
        turn = np.arange(len(e)) - np.searchsorted(e.user, e.user)  # events are sorted by person and time
        order = np.argsort(turn, kind="stable")
        for rows in np.split(order, np.cumsum(np.bincount(turn))[:-1]):
            user, item = e.user[rows], e.item[rows]
            out[rows] = self.features(memory, user, item)
            if drawn is not None and luck is not None:
                own = np.flatnonzero(drawn[rows])
                like[rows[own]] = luck.random(len(own)) < self.chances(out[rows[own]])
            self.take_in(memory, user, item, like[rows])
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Visits:
    """How long visits last and how many days lie between them."""

    ends: Logistic  # chance that a visit ends after a rating, from log(1 + ratings in it) and the share liked
    days: Array  # float64[k]: gaps of the log
    flat: bool

    @staticmethod
    def of(e: Events, like: Array, kept: Array, pause: float, *, flat: bool = False) -> Visits:
        """From the kept events; `flat` lets every rating end a visit with the same chance."""
        user, time, like = e.user[kept], e.time[kept], like[kept]  # type: ignore[index]
        place, share, last, days = _visited(user, time, like, pause)
        x = np.column_stack([np.log1p(place), share])
        return Visits(ends=logistic(0 * x if flat else x, last.astype(float), ridge=1e-3), days=days, flat=flat)

    def chances(self, place: Array, share: Array) -> Array:
        x = np.column_stack([np.log1p(place), share])
        return self.ends.chances(0 * x if self.flat else x)

    def lengths(self, n: int, like: float, rng: np.random.Generator, longest: int = 1000) -> Array:
        """int64[n]: ratings in each of n visits in which things are liked at a rate."""
        out, going, likes = np.zeros(n, np.int64), np.ones(n, bool), np.zeros(n)
        for place in range(1, longest + 1):
            out[going] = place
            likes += rng.random(n) < like
            going &= rng.random(n) >= self.chances(np.full(n, float(place)), likes / place)
            if not going.any():
                break
        return out


def _visited(user: Array, time: Array, like: Array, pause: float) -> tuple[Array, Array, Array, Array]:
    """(place in its visit from 1, share liked in it so far, whether it is the last, days between visits)."""
    gap = np.diff(time) / MINUTE
    new = np.concatenate([[True], (np.diff(user) != 0) | (gap >= pause)])
    number = np.cumsum(new) - 1
    start = np.flatnonzero(new)
    place = np.arange(len(user)) - start[number] + 1.0
    total = np.cumsum(like)
    share = (total - (total[start] - like[start])[number]) / place
    last = np.concatenate([new[1:], [True]])
    days = gap[(np.diff(user) == 0) & (gap >= pause)] * MINUTE / DAY
    return place, share, last, days if len(days) else np.ones(1)


def lengths_of(e: Events, kept: Array, pause: float) -> Array:
    """int64[v]: ratings in each visit of the kept events."""
    place, _, last, _ = _visited(e.user[kept], e.time[kept], np.zeros(int(kept.sum())), pause)  # type: ignore[index]
    return place[last].astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """What some of the people of a step say of their pages themselves; what the others do is drawn."""

    own: Array  # bool[n]: who says it
    looked: Array  # bool[n, k]
    liked: Array  # bool[n, k]
    leaves: Array  # bool[n]

    @staticmethod
    def nothing(shape: tuple[int, int]) -> Told:
        n = shape[0]
        return Told(
            own=np.zeros(n, bool), looked=np.zeros(shape, bool), liked=np.zeros(shape, bool), leaves=np.zeros(n, bool)
        )


class LearnedWorld(Crowd):
    """The people of a log, as they stood at its end, shown pages. Requests carry all that a person has met so far."""

    KINDS: tuple[str, ...] = ("look", "like")

    def __init__(
        self, dataset: Dataset, train: Array, valid: Array, config: LearnedConfig = LearnedConfig(), *, seed: int = 0
    ) -> None:
        self.config, self.answers = config, Answers(config).fit(dataset, train, valid)
        e = dataset.events
        assert e.value is not None and e.time is not None
        like = (e.value >= config.liked).astype(float)
        kept = train | valid
        self.visits = Visits.of(e, like, kept, config.pause, flat=config.knows != "learned")
        self.start = Memory.empty(dataset.n_users, config.dim)
        self.had = np.zeros((dataset.n_users, dataset.n_items), bool)
        self.had[e.user[kept], e.item[kept]] = True
        part = e.where(kept)
        turn = np.arange(len(part)) - np.searchsorted(part.user, part.user)
        for rows in np.split(np.argsort(turn, kind="stable"), np.cumsum(np.bincount(turn))[:-1]):
            self.answers.take_in(self.start, part.user[rows], part.item[rows], like[kept][rows])
        assert part.time is not None
        self.before: tuple[Array, ...] = (part.user, part.item, part.time)
        self.come = np.ones(dataset.n_users, bool)
        if config.people:
            there = np.flatnonzero(self.start.count > 0)
            lot = np.random.default_rng([seed, 54]).permutation(there)[: config.people]
            self.come = np.isin(np.arange(dataset.n_users), lot)
        super().__init__(dataset.n_users, dataset.n_items, config.places, config.steps)
        self.users, self.items = dataset.users, dataset.items

    def begin(self) -> None:
        s = self.start
        self.memory = Memory(s.count.copy(), s.likes.copy(), s.taste.copy(), s.last.copy())
        self.here, self.seen, self.lived = self.come.copy(), self.had.copy(), self.before
        self.times = np.full(self.n, START)
        self.place, self.liked = np.zeros(self.n), np.zeros(self.n)

    def clock(self, user: Array) -> Array:
        return self.times[user]

    def remember(self, user: Array, item: Array) -> None:
        at = np.searchsorted(self.lived[0], user, side="right")
        new = (user, item, self.clock(user))
        self.lived = tuple(np.insert(old, at, more) for old, more in zip(self.lived, new, strict=True))

    def history(self, user: Array) -> Ragged:
        whose, item, time = self.lived
        offsets = np.searchsorted(whose, np.arange(self.n + 1))
        return Ragged(offsets=offsets, columns={"item": item.astype(np.int32), "time": time}).take(user)

    def chance(self, user: Array, item: Array) -> Array:
        """float64[n]: how likely a person likes an item now, if it is looked at; 0 for what was seen before."""
        return np.where(self.seen[user, item], 0.0, self.answers.chances(
            self.answers.features(self.memory, user, item)))  # fmt: skip

    def told(self, user: Array, slates: Array) -> Told:
        """What people say themselves; here nobody does."""
        return Told.nothing(slates.shape)

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        c, rng, said = self.config, self.luck(1), self.told(user, slates)
        stops = rng.geometric(1 - c.attention, self.n)[user] if c.attention < 1 else np.full(len(user), c.places)
        luck, leave, gap = rng.random((self.n, slates.shape[1]))[user], rng.random(self.n), rng.random(self.n)
        out, before = [], self.place.copy()
        for place in range(slates.shape[1]):
            item = slates[:, place]
            looks = np.where(said.own, said.looked[:, place], place < stops)
            row = np.flatnonzero((item >= 0) & looks)
            row = row[~self.seen[user[row], item[row]]]
            who, what = user[row], item[row]
            like = np.where(said.own[row], said.liked[row, place], luck[row, place] < self.chance(who, what))
            self.answers.take_in(self.memory, who, what, like.astype(float))
            self.seen[who, what] = True
            self.place[who] += 1
            self.liked[who] += like
            self.remember(who, what)
            kind = np.concatenate([np.zeros(len(who), np.int64), np.ones(int(like.sum()), np.int64)])
            out.append((np.concatenate([who, who[like]]), np.concatenate([what, what[like]]), kind))
        self.total[user] = self.memory.likes[user] - self.start.likes[user]
        share = self.liked / np.maximum(self.place, 1)
        looked = self.place - before
        gone = leave < 1 - (1 - self.visits.chances(np.maximum(self.place, 1), share)) ** looked
        gone[user[said.own]] = said.leaves[said.own]
        days = np.quantile(self.visits.days, gap[gone])
        self.times[user] += MINUTE
        self.times[gone] += (days * DAY).astype(np.int64)
        self.place[gone] = self.liked[gone] = 0
        who, what, kind = (np.concatenate(column) for column in zip(*out, strict=True))
        return who, what, kind, np.ones(len(who))


def parts_by_time(dataset: Dataset, valid: float = 0.1, test: float = 0.1) -> tuple[Array, Array, Array]:
    """(train, valid, test) bool[m] each, cut at two moments."""
    time = dataset.events.time
    if time is None:
        raise BadData(f"{dataset.name!r} has no times to cut at")
    first, second = np.quantile(time, [1 - valid - test, 1 - test])
    return time < first, (time >= first) & (time < second), time >= second


def told_apart(x: Array, real: Array, drawn: Array, *, seed: int = 0) -> tuple[Array, Array]:
    """(label, score) of a classifier that has to tell real answers from drawn ones to the very same rows.

    It sees every feature, the answer and their products, learns on half of the rows and is asked about the others; an
    AUC of .5 says that it cannot.
    """
    held = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)

    def rows(like: Array) -> Array:
        centred = (like - real.mean())[:, None]
        return np.column_stack([centred, held, centred * held])

    half = np.random.default_rng(seed).random(len(x)) < 0.5
    both = np.concatenate([rows(real)[half], rows(drawn)[half]])
    model = logistic(both, np.repeat([1.0, 0.0], int(half.sum())), ridge=1.0)
    ask = np.concatenate([rows(real)[~half], rows(drawn)[~half]])
    return np.repeat([1.0, 0.0], int((~half).sum())), expit((ask @ model.weights + model.intercept)[:, 0])
