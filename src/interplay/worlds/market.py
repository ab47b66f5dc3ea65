"""The built-in market: a catalogue, people with known tastes, and the log of what they did.

`market()` makes it from a seed. `Market.dataset` is all that a model may see: catalogue, names, events, impressions
with exact propensities, queries and baskets. `Market.truth` is for judges. `MarketWorld` lets the same people walk on
after the last day of the log, under whatever policy answers them.

Event kinds: click (value: seconds looked at), keep, cart, buy (value: euros), rate (value: stars, 1 to 5). Context
columns of an event: request_id, query_id (-1 for none) and surface (0 feed, 1 search).
Default size: about 1.25 million impressions and 185,000 events, in some 6 s on one core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from interplay.errors import BadSetting
from interplay.types import Array, Dataset, Events, Ids, Ragged, Reply, Requests
from interplay.worlds.catalogue import catalogue
from interplay.worlds.people import DAY, Crowd, Response, Visits
from interplay.worlds.phrases import Facets
from interplay.worlds.shop import POLICY, TEMPERATURE, Shop
from interplay.worlds.truth import Truth, draws, keyed
from interplay.worlds.wares import FIRST

LAST_MIDNIGHT = 1_764_547_200_000_000  # 1 December 2025, UTC: the log ends here
KINDS = ("buy", "cart", "click", "keep", "rate")  # by name, as a reader of files numbers them
BUY, CART, CLICK, KEEP, RATE = range(5)
K, PER_ROW = 10, 5  # places of a page, and of one row of it
SURFACES = ("feed", "search")
MOST_PAGES = 7  # nobody looks at more in one visit


@dataclass(frozen=True, kw_only=True, eq=False)
class Market:
    """A made market: what models see, and what is true."""

    dataset: Dataset
    truth: Truth
    facets: Facets  # what can be asked for
    meant: pl.DataFrame  # query_id -> item_id in mind, and the facet (column, value) the words were chosen for
    crowd: Crowd  # the people as they are on the last evening; copied by every MarketWorld
    seed: int
    days: int

    def world(self, *, n: int = 200, days: int = 7, k: int = K) -> MarketWorld:
        """The days after the log, for `n` of its people."""
        return MarketWorld(self, n=n, days=days, k=k)


def market(seed: int = 0, n_items: int = 5000, n_people: int = 2000, days: int = 60) -> Market:
    """The built-in market; the same seed and sizes give the same market."""
    if min(n_items, n_people, days) < 1 or n_items < K:
        raise BadSetting(f"a market needs {K} items, one person and one day; got {n_items}, {n_people} and {days}")
    first_day = LAST_MIDNIGHT - days * DAY
    wares = catalogue(n_items, seed, first_day=first_day, days=days)
    truth, facets = Truth(wares, n_people, seed), Facets(wares)
    crowd, shop, log = Crowd(truth, facets, seed, per_row=PER_ROW), Shop(wares, facets, n_people, seed), Log(wares)
    for day in range(days):
        shop.open(first_day + day * DAY)
        visits = crowd.come(day, first_day + day * DAY, log.sessions)
        log.sessions += len(visits)
        for step in range(MOST_PAGES):
            if step and not len(visits):
                break
            page = shop.page(visits, K)
            response = crowd.look(visits, page.items)
            log.page(visits, page.items, response, propensity=page.propensity, explored=page.explored,
                     candidate_hash=shop.candidate_hash)  # fmt: skip
            row, place = np.nonzero(response.clicked)
            shop.count(visits.user[row], page.items[row, place])
            visits = crowd.go_on(visits, page.items, response)
    people = _people(seed, n_people)
    users, items = Ids(people["user_id"].to_list()), Ids(wares["item_id"].to_list())
    events = log.events(until=LAST_MIDNIGHT)
    dataset = Dataset(
        name="market", users=users, items=items, events=events, catalogue=wares, people=people,
        tables=log.tables(users, items, events),
    )  # fmt: skip
    return Market(
        dataset=dataset, truth=truth, facets=facets, meant=log.meant(facets, items), crowd=crowd, seed=seed, days=days,
    )  # fmt: skip


def _people(seed: int, n: int) -> pl.DataFrame:
    """user_id and a display name; nothing else is known of anybody."""
    return pl.DataFrame({"user_id": [f"p-{u:05d}" for u in range(n)], "name": _names(seed, n)})


def _names(seed: int, n: int) -> list[str]:
    draw = draws(keyed(seed, "name", np.arange(n)), 0, 2)
    return [f"{FIRST[int(a * len(FIRST))]} {chr(65 + int(b * 26))}." for a, b in draw.tolist()]


def seed_of(names: Sequence[str], seeds: int = 1000) -> int | None:
    """The seed of the market whose first people have these names; None where it is none of the first `seeds`."""
    return next((seed for seed in range(seeds) if _names(seed, len(names)) == list(names)), None)


class Log:
    """Pages as they were shown and what came of them, gathered column by column."""

    def __init__(self, wares: pl.DataFrame) -> None:
        self.prices = wares["price"].to_numpy()
        self.shown: list[dict[str, Array]] = []
        self.done: list[dict[str, Array]] = []
        self.asked: list[dict[str, Array]] = []
        self.sessions = self.requests = self.queries = 0
        self.hashes: list[str] = []

    def page(
        self, visits: Visits, items: Array, response: Response, *, propensity: Array | None = None,
        explored: Array | None = None, candidate_hash: str = "",
    ) -> dict[str, Array]:  # fmt: skip
        """Write one page of every visit down; the events it led to, as columns."""
        n, k = items.shape
        request = self.requests + np.arange(n)
        self.requests += n
        searching = np.flatnonzero(visits.target >= 0)
        query = np.full(n, -1, np.int64)
        query[searching] = self.queries + np.arange(len(searching))
        self.queries += len(searching)
        self.asked.append({
            "query_id": query[searching], "text": visits.text[searching], "user": visits.user[searching],
            "timestamp": visits.time[searching], "request_id": request[searching], "target": visits.target[searching],
            "facet": visits.asked[searching],
        })  # fmt: skip
        if propensity is not None and explored is not None:
            if candidate_hash not in self.hashes[-1:]:
                self.hashes.append(candidate_hash)
            self.shown.append({
                "request_id": np.repeat(request, k), "user": np.repeat(visits.user, k),
                "timestamp": np.repeat(visits.time, k), "hash": np.full(n * k, len(self.hashes) - 1),
                "row": np.tile(np.arange(k) // PER_ROW, n).astype(np.int16), "surface": np.repeat(query >= 0, k),
                "slot": np.tile(np.arange(k) % PER_ROW, n).astype(np.int16), "item": items.ravel(),
                "propensity": propensity.ravel(), "explored": explored.ravel(), "seen": response.seen.ravel(),
            })  # fmt: skip
        done = self._done(visits, items, response, request, query)
        self.done.append(done)
        return done

    def _done(self, visits: Visits, items: Array, response: Response, request: Array, query: Array) -> dict[str, Array]:
        """Clicks and what follows each of them: kept while looking, bought a little later, rated days later."""
        later = (response.seconds * 600_000).astype(np.int64)
        rated = DAY * (1 + items.astype(np.int64) % 5)
        steps = [(response.clicked, 0 * later), (response.kept, later), (response.carted, later + 1_000_000),
                 (response.bought, later + 40_000_000), (response.stars > 0, rated)]  # fmt: skip
        values = [response.seconds, np.ones_like(response.seconds), np.ones_like(response.seconds),
                  self.prices[items], response.stars]  # fmt: skip
        parts = []
        order = (CLICK, KEEP, CART, BUY, RATE)
        for kind, (which, delay), value in zip(order, steps, values, strict=True):
            row, place = np.nonzero(which)
            parts.append({
                "user": visits.user[row], "item": items[row, place],
                "time": visits.time[row] + response.wait[row, place] + delay[row, place],
                "value": value[row, place].astype(np.float32), "kind": np.full(len(row), kind, np.int16),
                "session": visits.session[row], "request_id": request[row], "query_id": query[row],
                "surface": (query[row] >= 0).astype(np.int8),
            })  # fmt: skip
        return _joined(parts)

    def events(self, until: int) -> Events:
        """What was done before `until`, sorted by person and time."""
        done = _joined(self.done)
        return as_events({name: column[done["time"] < until] for name, column in done.items()})

    def tables(self, users: Ids, items: Ids, events: Events) -> dict[str, pl.DataFrame]:
        """impressions, queries, qrels (what was clicked: 1, put in the basket: 2, bought: 3) and baskets."""
        shown, asked = _joined(self.shown), _joined(self.asked)
        user_ids, item_ids = pl.Series(users.names, dtype=pl.String), pl.Series(items.names, dtype=pl.String)
        impressions = pl.DataFrame({
            "request_id": shown["request_id"], "user_id": user_ids.gather(shown["user"]),
            "timestamp": shown["timestamp"], "policy": pl.Series([POLICY]).gather(shown["hash"] * 0),
            "candidate_hash": pl.Series(self.hashes, dtype=pl.String).gather(shown["hash"]), "row": shown["row"],
            "slot": shown["slot"], "item_id": item_ids.gather(shown["item"]), "propensity": shown["propensity"],
            "temperature": np.full(len(shown["item"]), TEMPERATURE), "explored": shown["explored"],
            "seen": shown["seen"], "surface": pl.Series(SURFACES).gather(shown["surface"].astype(np.int64)),
        })  # fmt: skip
        queries = pl.DataFrame({
            "query_id": asked["query_id"], "text": pl.Series(asked["text"].tolist(), dtype=pl.String),
            "user_id": user_ids.gather(asked["user"]), "timestamp": asked["timestamp"],
            "request_id": asked["request_id"],
        })  # fmt: skip
        kind, session, time, query = events.kind, events.session, events.time, events.context["query_id"]
        assert kind is not None and session is not None and time is not None
        kept = np.isin(kind, (CLICK, CART, BUY)) & (query >= 0)
        grade = np.array([3, 2, 1, 0, 0], np.int8)[kind[kept]]
        judged = pl.DataFrame({"query_id": query[kept], "item": events.item[kept], "relevance": grade})
        qrels = judged.group_by("query_id", "item").agg(pl.col("relevance").max()).sort("query_id", "item")
        qrels = qrels.select("query_id", item_ids.gather(qrels["item"]).alias("item_id"), "relevance")
        bought = np.flatnonzero(kind == BUY)
        baskets = pl.DataFrame({
            "basket_id": session[bought], "user_id": user_ids.gather(events.user[bought]),
            "item_id": item_ids.gather(events.item[bought]), "timestamp": time[bought],
        }).sort("basket_id", "timestamp", maintain_order=True)  # fmt: skip
        return {"impressions": impressions, "queries": queries, "qrels": qrels, "baskets": baskets}

    def meant(self, facets: Facets, items: Ids) -> pl.DataFrame:
        """What each query's writer had in mind."""
        asked = _joined(self.asked)
        names = [facets.names[f] if f >= 0 else ("", "title", "") for f in asked["facet"].tolist()]
        return pl.DataFrame({
            "query_id": asked["query_id"], "item_id": pl.Series(items.names).gather(asked["target"]),
            "column": [column for _, column, _ in names], "value": [value for _, _, value in names],
        }, schema_overrides={"column": pl.String, "value": pl.String})  # fmt: skip


def _joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def as_events(done: Mapping[str, Array]) -> Events:
    """Columns of the log as `Events`, sorted by person and time."""
    order = np.lexsort((done["kind"], done["time"], done["user"]))
    context = {name: done[name][order] for name in ("request_id", "query_id", "surface")}
    return Events(
        user=done["user"][order].astype(np.int32), item=done["item"][order].astype(np.int32), time=done["time"][order],
        value=done["value"][order], kind=done["kind"][order], kinds=KINDS, session=done["session"][order], ordered=True,
        context=context,
    )  # fmt: skip


class MarketWorld:
    """The days after the log: `reset` says who wants something, `step` takes the reply and says what they did.

    Nothing but requests and events comes out; `Market.truth` judges. Two policies meet the same people with the same
    draws. People come back less when they were bored. `tally` counts what happened since the reset.
    """

    def __init__(self, market: Market, *, n: int = 200, days: int = 7, k: int = K) -> None:
        self.market, self.n, self.days, self.k = market, n, days, k

    def reset(self, seed: int) -> Requests:
        """The first batch of people. Another seed chooses other people and other draws."""
        made = self.market
        self.seed, self.crowd = seed, Crowd(made.truth, made.facets, made.seed + 7919 * (seed + 1), per_row=PER_ROW)
        for name in ("shown", "looked", "bought", "joy"):
            setattr(self.crowd, name, getattr(made.crowd, name).copy())
        order = np.argsort(keyed(seed, "who", np.arange(made.truth.n_people)), kind="stable")
        self.users = np.sort(order[: self.n])
        self.log = Log(made.dataset.catalogue)  # type: ignore[arg-type]
        self.log.sessions = int(made.dataset.events.session.max(initial=-1)) + 1  # type: ignore[union-attr]
        self.day, self.visits = 0, self.crowd.come(0, 0, 0, self.users[:0])
        self.tally: dict[str, float] = dict.fromkeys(("visits", "pages", "clicks", "bought", "euros"), 0.0)
        requests = self._next()
        return Requests(user=np.zeros(0, np.int32), history=Ragged.of([])) if requests is None else requests

    def step(self, reply: Reply) -> tuple[Events, Requests | None]:
        """What the people did with the pages of `reply` (one row each, in the order of the requests), and who comes
        next; None when the days are over."""
        waiting = len(self.visits)
        if len(reply.slates) != waiting:
            found = len(reply.slates)
            raise BadSetting(f"{waiting} people wait for a page, the reply has {found}; answer every request, in order")
        items = reply.slates.items[:, : self.k]
        if (items >= self.market.dataset.n_items).any():
            raise BadSetting("the reply shows items that the market does not sell; use the indices of its dataset")
        response = self.crowd.look(self.visits, items)
        done = self.log.page(self.visits, items, response)
        self.tally["pages"] += len(items)
        self.tally["clicks"] += float(response.clicked.sum())
        self.tally["bought"] += float(response.bought.sum())
        self.tally["euros"] += float(self.log.prices[items][response.bought].sum())
        going = self.crowd.go_on(self.visits, items, response)
        self.visits = going.take(np.flatnonzero(going.page < MOST_PAGES))
        return as_events({name: column[done["kind"] != RATE] for name, column in done.items()}), self._next()

    def _next(self) -> Requests | None:
        """Requests of those who are here; when all have left, of those who come on the next day that brings anybody."""
        while not len(self.visits) and self.day < self.days:
            day = self.market.days + self.day
            self.visits = self.crowd.come(day, LAST_MIDNIGHT + self.day * DAY, self.log.sessions, self.users)
            self.log.sessions += len(self.visits)
            self.tally["visits"] += len(self.visits)
            self.day += 1
        if not len(self.visits):
            return None
        v = self.visits
        return Requests(
            user=v.user, history=self._history(v), query=v.text.tolist(), at=v.time, k=self.k,
            draw=keyed(self.crowd.seed, "draw", v.user, v.day, v.page),
            context={"session": v.session, "page": v.page},
        )  # fmt: skip

    def _history(self, visits: Visits) -> Ragged:
        """The log of each person and what they have done here since."""
        base = self.market.dataset.histories(visits.user)
        if not self.log.done:
            return base
        done: dict[str, Any] = _joined(self.log.done)
        row = np.full(self.market.truth.n_people, -1, np.int64)
        row[visits.user] = np.arange(len(visits))
        now = np.flatnonzero((row[done["user"]] >= 0) & (done["time"] <= visits.time[row[done["user"]]]))
        now = now[np.argsort(done["time"][now], kind="stable")]
        owner = np.concatenate([base.owner, row[done["user"][now]]])
        new = {name: done[name][now].astype(column.dtype) for name, column in base.columns.items()}
        columns = {name: np.concatenate([column, new[name]]) for name, column in base.columns.items()}
        return Ragged.grouped(owner, len(visits), **columns)
