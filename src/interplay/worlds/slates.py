"""A world of slates with known truth, made from a set of ratings: tastes and items are its singular vectors.

A person in state z who sees a slate chooses item i with chance

    exp(u_i) / (exp(nothing) + sum over the slate of exp(u_j)),   u_i = sharpness * z . v_i + appeal_i (+ place_k)

or nothing. After a click the state moves towards the item, on every page it wanders a little and is drawn back home.
`nothing` is set so that the old policy (popularity with noise) gets a click on `rate` of its pages. People are real
people of the ratings, stirred a little where more are asked for. With the same seed it is the same world.

Since the chance of a click grows with every item's exp(u), the best page is the k items with the largest utility:
regret is exact. `place` is 0 unless asked for: then lower places are chosen less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from interplay.errors import BadData, BadSetting
from interplay.ops.spectra import top_right_singular
from interplay.types import Array, Dataset, Events, Ids, Ragged, Reply, Requests

HOUR = 3_600_000_000  # microseconds between a person's pages
START = 1_735_689_600_000_000  # 1 January 2025, UTC
POLICY = "popularity with noise"


@dataclass(frozen=True, kw_only=True)
class SlateWorldConfig:
    """What the world is like."""

    people: int = 2000
    dim: int = 12  # directions of taste that are true
    sharpness: float = 1.0  # standard deviation of taste's part of the utilities of one person
    appeal: float = 0.5  # ... of what everybody likes in an item
    towards: float = 0.15  # how far a click moves the state
    wander: float = 0.1  # standard deviation of what a page moves it, relative to a taste
    home: float = 0.05  # how far each page draws it back
    rate: float = 0.3  # pages of the old policy that get a click
    place: float = 0.0  # by how much the utility falls from place to place
    power: float = 0.7  # the old policy shows an item in proportion to its popularity to this power
    shortest: int = 5
    longest: int = 25
    cold: float = 0.0  # share of items that the old policy never shows


class SlateWorld:
    """People with known tastes, items with known appeal, and an old policy whose log can be learnt from."""

    def __init__(self, ratings: Dataset, config: SlateWorldConfig = SlateWorldConfig(), *, seed: int = 0) -> None:
        c, values = config, ratings.events.value
        if values is None:
            raise BadData(f"{ratings.name!r} has no ratings (value); a slate world is made from a set of them")
        if c.people < 1 or not 1 <= c.shortest <= c.longest <= ratings.n_items:
            raise BadSetting(
                f"a slate world needs people and slates that its {ratings.n_items} items can fill; found {c.people} "
                f"people and slates of {c.shortest} to {c.longest}"
            )
        self.config, self.ratings, self.seed = c, ratings, seed
        self.rng = np.random.default_rng([seed, 1])
        user, item = ratings.events.user, ratings.events.item
        count = np.bincount(item, minlength=ratings.n_items)
        mean = np.bincount(item, values, ratings.n_items) / np.maximum(count, 1)
        overall = float(values.mean())
        good = (count * mean + 10 * overall) / (count + 10) - overall  # ratings of few people say little
        own = np.bincount(user, values - mean[item], ratings.n_users) / np.maximum(
            np.bincount(user, minlength=ratings.n_users), 1
        )
        left = values - mean[item] - own[user]
        x = sp.csr_array((left, (user, item)), shape=(ratings.n_users, ratings.n_items))
        size, v = top_right_singular(x, c.dim)
        z = (x @ v) / np.maximum(np.sqrt(size), 1e-9)
        v = v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)  # no item has more taste than another
        who = (
            self.rng.integers(0, ratings.n_users, c.people)
            if c.people > ratings.n_users
            else self.rng.permutation(ratings.n_users)[: c.people]
        )
        z = z[who] + 0.3 * z.std(axis=0) * self.rng.standard_normal((c.people, z.shape[1]))
        z *= c.sharpness / np.maximum((z @ v.T).std(axis=1, keepdims=True), 1e-9)
        self.home, self.items = z, v
        self.appeal = c.appeal * (good - good.mean()) / max(good.std(), 1e-9)
        self.popularity = (count + 1.0) ** c.power
        cold = self.rng.permutation(ratings.n_items)[: int(c.cold * ratings.n_items)]
        self.cold = np.zeros(ratings.n_items, bool)
        self.cold[cold] = True
        self.popularity[self.cold] = 0.0
        self.users = Ids([f"p{i}" for i in range(c.people)])
        self.size = float(np.linalg.norm(z, axis=1).mean())  # how strong a taste is
        self.nothing = 0.0
        self.forget()
        self.nothing = self._nothing()

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def catalogue(self) -> pl.DataFrame | None:
        """What is known of the items, with a column `group`: all their categories in one text."""
        told = self.ratings.catalogue
        if told is None or "categories" not in told.columns:
            return told
        joined = told["categories"]
        if isinstance(joined.dtype, pl.List):
            joined = joined.list.join(" ")
        return told.with_columns(joined.fill_null("").alias("group"))

    # ---------------------------------------------------------------------------------------------------------- truth

    def forget(self) -> SlateWorld:
        """Everybody is at home again, with nothing behind them."""
        self.state = self.home.copy()
        self.pages = np.zeros(len(self.home), np.int64)
        self.shown: list[dict[str, Array]] = []
        return self

    def utility(self, users: Array, items: Array | None = None) -> Array:
        """float64[n, m]: how much each person wants each item now (all by default, or int[n, m])."""
        z = self.state[users]
        if items is None:
            return z @ self.items.T + self.appeal
        at = np.maximum(items, 0)
        return np.einsum("nd,nmd->nm", z, self.items[at]) + self.appeal[at]

    def chance(self, users: Array, slates: Array) -> Array:
        """float64[n, k]: the chance that each item of a slate (-1 pads) is chosen; what is left is for nothing."""
        u = self.utility(users, slates) - self.config.place * np.arange(slates.shape[1])
        e = np.where(slates >= 0, np.exp(u), 0.0)
        return e / (np.exp(self.nothing) + e.sum(axis=1, keepdims=True))

    def best(self, users: Array, k: int) -> Array:
        """int64[n, k]: the page with the highest chance of a click."""
        u = self.utility(users)
        top = np.argpartition(-u, k - 1, axis=1)[:, :k]
        return np.take_along_axis(top, np.argsort(-np.take_along_axis(u, top, 1), axis=1, kind="stable"), 1)

    def _nothing(self) -> float:
        """The worth of nothing at which the old policy gets the wanted rate of clicks."""
        rng = np.random.default_rng([self.seed, 2])
        users = rng.integers(0, len(self.home), 2000)
        slates = self._stocked(rng, len(users))
        total = np.where(slates >= 0, np.exp(self.utility(users, slates)), 0.0).sum(axis=1)
        low, high = -20.0, 40.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if (total / (total + np.exp(middle))).mean() > self.config.rate else (low, middle)
            )
        return (low + high) / 2

    # ----------------------------------------------------------------------------------------------------- what happens

    def _stocked(self, rng: np.random.Generator, n: int) -> Array:
        """int64[n, longest]: pages of the old policy, drawn without replacement, of even lengths, padded with -1."""
        c = self.config
        with np.errstate(divide="ignore"):
            keys = np.log(self.popularity)[None, :] + rng.gumbel(size=(n, self.n_items))
        slates = np.argpartition(-keys, c.longest - 1, axis=1)[:, : c.longest]
        slates = np.take_along_axis(slates, np.argsort(-np.take_along_axis(keys, slates, 1), axis=1), 1)
        length = rng.integers(c.shortest, c.longest + 1, n)
        return np.where(np.arange(c.longest) < length[:, None], slates, -1)

    def show(self, users: Array, slates: Array, propensity: Array | None = None) -> Array:
        """int64[n]: the place that each person (no one twice) chooses in a slate (int[n, k]), -1 for nothing."""
        c, n = self.config, len(users)
        chance = self.chance(users, slates)
        up = np.cumsum(chance, axis=1)
        at = (up <= self.rng.random(n)[:, None]).sum(axis=1)
        chosen = np.where(at < slates.shape[1], at, -1)
        item = slates[np.arange(n), np.maximum(chosen, 0)]
        z = self.state[users]
        there = self.items[item]
        there = there * (self.size / np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-9))
        pull = np.where((chosen >= 0)[:, None], c.towards * (there - z), 0.0)
        noise = c.wander * self.size / np.sqrt(z.shape[1])
        self.state[users] = z + pull + c.home * (self.home[users] - z) + noise * self.rng.standard_normal(z.shape)
        self.shown.append({
            "user": users, "time": START + self.pages[users] * HOUR, "slates": slates, "chosen": chosen,
            "propensity": np.full(slates.shape, np.nan) if propensity is None else propensity,
        })  # fmt: skip
        self.pages[users] += 1
        return chosen

    def logged(self, pages: int) -> Dataset:
        """Everybody gets `pages` pages of the old policy; the log with everything before."""
        for _ in range(pages):
            self.show(np.arange(len(self.home)), self._stocked(self.rng, len(self.home)))
        return self.dataset()

    def dataset(self, since: int = 0) -> Dataset:
        """What has happened so far (from the page number `since` of each person on), as anybody may see it."""
        names = pl.Series(self.users.names, dtype=pl.String)
        things = pl.Series(self.ratings.items.names)
        request, done = 0, []
        shown: dict[str, list[Array]] = {
            k: [] for k in ("request_id", "user", "timestamp", "slot", "item", "propensity")
        }
        for page in self.shown:
            n = len(page["user"])
            own = request + np.arange(n)
            request += n
            row, slot = np.nonzero((page["slates"] >= 0) & ((page["time"] - START) // HOUR >= since)[:, None])
            for name, column in (
                ("request_id", own[row]), ("user", page["user"][row]), ("timestamp", page["time"][row]), ("slot", slot),
                ("item", page["slates"][row, slot]), ("propensity", page["propensity"][row, slot]),
            ):  # fmt: skip
                shown[name].append(column)
            hit = np.flatnonzero((page["chosen"] >= 0) & ((page["time"] - START) // HOUR >= since))
            item = page["slates"][hit, page["chosen"][hit]]
            done.append(np.stack([page["user"][hit], item, page["time"][hit] + 1, own[hit]]))
        told = {name: np.concatenate(parts) if parts else np.zeros(0, np.int64) for name, parts in shown.items()}
        user, item, time, asked = np.concatenate(done, axis=1) if done else np.zeros((4, 0), np.int64)
        order = np.lexsort((time, user))
        impressions = pl.DataFrame({
            "request_id": told["request_id"], "user_id": names.gather(told["user"]), "timestamp": told["timestamp"],
            "policy": pl.Series([POLICY]).gather(told["user"] * 0), "row": np.zeros(len(told["slot"]), np.int16),
            "slot": told["slot"].astype(np.int16), "item_id": things.gather(told["item"]),
            "propensity": pl.Series(told["propensity"].astype(np.float64)).fill_nan(None),
        })  # fmt: skip
        events = Events(
            user=user[order].astype(np.int32), item=item[order].astype(np.int32), time=time[order],
            kind=np.zeros(len(user), np.int16), kinds=("click",), ordered=True,
            context={"request_id": asked[order]},
        )  # fmt: skip
        return Dataset(
            name=f"slates of {self.ratings.name}", users=self.users, items=self.ratings.items, events=events,
            catalogue=self.catalogue, tables={"impressions": impressions},
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------- as a World

    def reset(self, seed: int) -> Requests:
        """Everybody at home again, asking for a first page; another seed gives other draws."""
        self.rng = np.random.default_rng([self.seed, 3, seed])
        self.forget()
        return self.requests(np.arange(len(self.home)))

    def requests(self, users: Array, k: int = 10) -> Requests:
        """What these people ask now: a page of k, with all they have clicked."""
        users = np.asarray(users)
        clicks: Mapping[str, Any] = {"item": np.zeros(0, np.int32), "time": np.zeros(0, np.int64)}
        row = np.full(len(self.home), -1, np.int64)
        row[users] = np.arange(len(users))
        owner = np.zeros(0, np.int64)
        if self.shown:
            parts = []
            for page in self.shown:
                hit = np.flatnonzero((page["chosen"] >= 0) & (row[page["user"]] >= 0))
                item = page["slates"][hit, page["chosen"][hit]]
                parts.append(np.stack([row[page["user"][hit]], item, page["time"][hit] + 1]))
            owner, item, time = np.concatenate(parts, axis=1)
            clicks = {"item": item.astype(np.int32), "time": time}
        draw = self.rng.integers(0, 2**64, len(users), dtype=np.uint64)
        return Requests(
            user=users.astype(np.int32), history=Ragged.grouped(owner, len(users), **clicks), draw=draw, k=k,
            at=START + self.pages[users] * HOUR,
        )  # fmt: skip

    def step(self, reply: Reply) -> tuple[Events, Requests | None]:
        """What everybody chose from the pages of `reply` (one row each, in order), and what they ask next."""
        if len(reply.slates) != len(self.home):
            raise BadSetting(f"{len(self.home)} people wait for a page, the reply has {len(reply.slates)}")
        users, slates = np.arange(len(self.home)), reply.slates.items.astype(np.int64)
        time = START + self.pages[users] * HOUR
        chosen = self.show(users, slates, reply.slates.columns.get("propensity"))
        hit = np.flatnonzero(chosen >= 0)
        events = Events(
            user=users[hit].astype(np.int32), item=slates[hit, chosen[hit]].astype(np.int32), time=time[hit] + 1,
            kind=np.zeros(len(hit), np.int16), kinds=("click",), ordered=True,
        )  # fmt: skip
        return events, self.requests(users)
