"""The market's simulated people as customers of this very service: they ask over HTTP, look, click, tire and leave.

They exist only where the built-in market is served and somebody lets them in. What they truly like is known to this
module and shown to whoever operates the service; no model, no parser and no answer can see it. Their events are in the
log under their own names, with the surface `crowd`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import httpx
import numpy as np
import polars as pl

from interplay.errors import Unsupported
from interplay.serve.engine import Engine
from interplay.types import Array
from interplay.worlds.market import MOST_PAGES, K, seed_of
from interplay.worlds.people import Crowd, Visits
from interplay.worlds.phrases import Facets
from interplay.worlds.truth import KIND_NAMES, Truth, keyed

MOST = 400  # people on the map
TOGETHER = 8  # people of one step
PACE = 8.0  # requests a second
UNWATCHED = 180.0  # seconds after which they go home when nobody looks
TIRED = 0.6  # patience below which a person is tired
TOP = 50  # things in what a person would like best, and in what the engine would show
DREAMY, PRACTICAL = ("book", "print", "game", "tea"), ("tool", "pot", "bag", "textile")
NOT_HERE, LOOKING, CLICKED, WEARY, GONE = "not here", "looking", "just clicked", "tired", "gone"
COLUMNS = ("kind", "mood", "genre", "traits", "colour", "price", "maker")
Ask = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Population:
    """Some people of the market: where they stand, what they do, and what the engine believes of one of them."""

    def __init__(self, engine: Engine, but: Collection[Any] = (), clock: Callable[[], float] = time.time) -> None:
        """`but` are people who are left alone: those whom a visitor of the page may step into."""
        self.engine, self.clock = engine, clock
        self.wares, self.truth, seed = known(engine)
        self.crowd = Crowd(self.truth, Facets(self.wares), seed + 104_729)
        ids, n = engine.dataset.users, self.truth.n_people
        order = np.argsort(keyed(seed, "crowd", np.arange(n)), kind="stable")
        left = {str(b) for b in but}
        self.who = np.array([u for u in order.tolist() if str(ids[u]) not in left][:MOST])
        self.place = {int(u): i for i, u in enumerate(self.who)}
        self.state = np.full(len(self.who), NOT_HERE, object)
        self.patience = self.truth.patience[self.who].copy()
        self.events = np.zeros(len(self.who), np.int64)
        self.map = self._map()
        self.clicks: list[int] = []  # of every page they were shown
        self.bought = self.wave = 0
        self.watched = clock()
        self.task: asyncio.Task[None] | None = None
        self.trouble = ""

    def _map(self) -> Array:
        """float[n, 2] in 0..1: practical to dreamy, thrifty to lavish, by rank so that nobody stands on another."""
        tastes, groups = self.truth.tastes(self.who), self.truth.groups
        of = {name: groups["kind"].start + i for i, name in enumerate(KIND_NAMES)}
        dreamy = tastes[:, [of[k] for k in DREAMY]].sum(axis=1) - tastes[:, [of[k] for k in PRACTICAL]].sum(axis=1)
        dear = tastes[:, groups["price"]].sum(axis=1)

        def spread(values: Array) -> Array:
            low, high = np.quantile(values, [0.01, 0.99])
            return np.clip((values - low) / max(high - low, 1e-9), 0, 1)

        return np.stack([spread(dreamy), spread(dear)], axis=1)

    # ---------------------------------------------------------------------------------------------------- walking

    @property
    def walking(self) -> bool:
        return self.task is not None

    def let_in(self, ask: Ask, pace: float = PACE) -> None:
        """Let them in; they stay until sent home or until nobody looks any more."""
        self.watched = self.clock()
        if not self.walking:
            self.trouble = ""
            self.task = asyncio.get_running_loop().create_task(self._walk(ask, pace))

    def send_home(self) -> None:
        """No further page of theirs is asked for; what one of them is doing may end, so that log and page agree."""
        self.task = None
        self.state[:] = NOT_HERE

    async def _walk(self, ask: Ask, pace: float) -> None:
        try:
            while self._go_on():
                await self._day(ask, pace)
        except Exception as problem:  # said on the page; a simulated person must not end a server
            self.trouble = f"{type(problem).__name__}: {problem}"
        if self.task is asyncio.current_task():
            self.task = None
            self.state[:] = NOT_HERE

    def _go_on(self) -> bool:
        """Whether the walk that asks is the one let in, and is watched."""
        return self.task is asyncio.current_task() and self.clock() - self.watched < UNWATCHED

    async def _day(self, ask: Ask, pace: float) -> None:
        """One wave: whoever comes on a day of theirs, until the last has left."""
        self.wave += 1
        self.state[self.state != NOT_HERE] = NOT_HERE
        here = self.crowd.come(59 + self.wave, self.engine.now(), 1_000_000 * self.wave, self.who)
        waiting = deque(here.take(np.arange(i, min(i + TOGETHER, len(here)))) for i in range(0, len(here), TOGETHER))
        self._note(here.user, np.full(len(here), LOOKING), here.patience)
        while waiting and self._go_on():
            begun, visits = time.perf_counter(), waiting.popleft()
            on = await self._step(visits, ask)
            if len(on):
                waiting.append(on)
            await asyncio.sleep(max(len(visits) / pace - (time.perf_counter() - begun), 0.01))

    async def _step(self, visits: Visits, ask: Ask) -> Visits:
        """One page for each of a few people, and what they do with it; those who want another."""
        items, ids, requests = self.engine.dataset.items, self.engine.dataset.users, []
        slates = np.full((len(visits), K), -1, np.int64)
        for row, (user, text) in enumerate(zip(visits.user.tolist(), visits.text.tolist(), strict=True)):
            path = "/v1/recommendations" if text is None else "/v1/search"
            asked = {"user_id": str(ids[user]), "k": K} | ({} if text is None else {"q": text})
            answer = await ask("GET", path, asked)
            shown = items.index([card["item_id"] for card in answer["items"]][:K])
            shown = np.where(shown < self.truth.n_items, shown, -1)
            slates[row, : len(shown)] = shown
            requests.append(answer["request_id"])
        if not self._go_on():
            return visits.take(np.arange(0))
        done = self.crowd.look(visits, slates)
        events = []
        bought = "buy" if "buy" in self.engine.kinds else "purchase"
        for which, kind in ((done.clicked, "click"), (done.kept, "keep"), (done.carted, "cart"), (done.bought, bought)):
            for row, at in zip(*np.nonzero(which), strict=True):
                events.append({
                    "user_id": str(ids[int(visits.user[row])]), "item_id": str(items[int(slates[row, at])]),
                    "event_type": kind, "request_id": requests[row], "surface": "crowd",
                    "session_id": f"crowd-{int(visits.session[row])}",
                })  # fmt: skip
        if events:
            await ask("POST", "/v1/events", {"events": events})
        clicked = done.clicked.sum(axis=1)
        self.clicks += clicked.tolist()
        self.bought += int(done.bought.sum())
        self.events[[self.place[int(u)] for u in visits.user]] += clicked
        doing = np.where(clicked > 0, CLICKED, np.where(done.left < TIRED, WEARY, LOOKING)).astype(object)
        doing[done.left <= 0] = GONE
        if self._go_on():
            self._note(visits.user, doing, np.maximum(done.left, 0))
        on = self.crowd.go_on(visits, slates, done)
        return on.take(np.flatnonzero(on.page < MOST_PAGES))

    def _note(self, users: Array, doing: Array, patience: Array) -> None:
        at = [self.place[int(u)] for u in users]
        self.state[at], self.patience[at] = doing, patience

    # ---------------------------------------------------------------------------------------------------- looking on

    def seen(self) -> dict[str, Any]:
        """The map, who does what, how patient they are, and what came of their pages so far."""
        self.watched = self.clock()
        users, people = self.engine.dataset.users, self.engine.dataset.people
        names = people["name"].to_list() if people is not None and "name" in people.columns else []
        counts = Counter(self.state.tolist())
        here = np.isin(self.state, (LOOKING, CLICKED, WEARY, GONE))
        clicks = np.array(self.clicks, float)
        low = high = mean = None
        if len(clicks) > 1:
            mean, reach = float(clicks.mean()), 1.96 * float(clicks.std(ddof=1)) / len(clicks) ** 0.5
            low, high = mean - reach, mean + reach
        bins = np.minimum((self.patience[here] / 0.5).astype(int), 8)
        return {
            "walking": self.walking, "trouble": self.trouble, "wave": self.wave, "pages": len(clicks),
            "clicks": int(clicks.sum()), "bought": self.bought, "clicks_a_page": mean, "low": low, "high": high,
            "people": [
                {
                    "user_id": str(users[int(u)]), "name": str(names[u]) if u < len(names) else str(users[int(u)]),
                    "x": round(float(x), 3), "y": round(float(y), 3), "state": str(state),
                }
                for u, (x, y), state in zip(self.who.tolist(), self.map, self.state, strict=True)
            ],
            "states": [{"state": s, "n": counts.get(s, 0)} for s in (LOOKING, CLICKED, WEARY, GONE, NOT_HERE)],
            "patience": [int((bins == b).sum()) for b in range(9)],
            "axes": ["practical", "dreamy", "thrifty", "lavish"],
        }  # fmt: skip

    def one(self, user_id: str) -> dict[str, Any]:
        """What a person truly likes beside what the engine would show: shares of the first `TOP` things of each."""
        index = int(self.engine.dataset.users.index([user_id])[0])
        if index not in self.place:
            raise Unsupported(f"{user_id!r} is not among the {len(self.who)} people on the map; choose one of them")
        past = self.engine.dataset.histories(np.array([index], np.int32))["item"]
        wanted = self.truth.utility(np.array([index]))[0]
        wanted[past[past < self.truth.n_items]] = -np.inf
        best = np.argsort(-wanted, kind="stable")[:TOP]
        answer = self.engine.answer(user=user_id, k=TOP)
        shown = np.array([i for i in answer.items if i < self.truth.n_items], np.int64)
        level = (self.truth.items[:, self.truth.groups["price"]].sum(axis=1) + 1) / 2
        truly, believed = _shares(self.truth.kind[best]), _shares(self.truth.kind[shown])
        kinds = sorted(range(len(KIND_NAMES)), key=lambda k: -(truly[k] + believed[k]))[:4]
        labels = {name: self._label(name) for name in KIND_NAMES}
        rows = [[labels[KIND_NAMES[k]], round(truly[k], 3), round(believed[k], 3)] for k in kinds]
        rows.append(["dear", round(float(np.clip(level[best].mean(), 0, 1)), 3),
                     round(float(np.clip(level[shown].mean(), 0, 1)), 3) if len(shown) else 0.0])  # fmt: skip
        place = self.place[index]
        return {
            "user_id": user_id, "events": len(past) + len(self.engine.touched(user_id)), "rows": rows, "top": TOP,
            "shared": len(set(best.tolist()) & set(shown.tolist())), "state": str(self.state[place]),
            "patience": round(float(self.patience[place]), 2), "request_id": answer.request_id,
        }  # fmt: skip

    def _label(self, kind: str) -> str:
        held = self.engine.window.kinds()
        return held.labels[held.values.index(kind)].lower() if held and kind in held.values else kind


def known(engine: Engine) -> tuple[pl.DataFrame, Truth, int]:
    """The market's wares, what is true of its people, and its seed; refused where another catalogue is served."""
    frame, people = engine.dataset.catalogue, engine.dataset.people
    seed = None if people is None or "name" not in people.columns else seed_of(people["name"].to_list()[:16])
    if engine.dataset.name != "market" or frame is None or seed is None or not set(COLUMNS) <= set(frame.columns):
        raise Unsupported("only the built-in market has simulated people; make one with `interplay demo`")
    kept = frame["kind"].is_not_null() & frame["price"].is_not_null()
    wares = frame.head(len(kept) if kept.all() else int(kept.arg_min() or 0))
    users = [str(u) for u in engine.dataset.users.names]
    n = next((i for i, u in enumerate(users) if u != f"p-{i:05d}"), len(users))
    return wares, Truth(wares, n, seed), seed


def _shares(codes: Array) -> list[float]:
    counts = np.bincount(codes, minlength=len(KIND_NAMES)) if len(codes) else np.zeros(len(KIND_NAMES))
    return [float(c) / max(len(codes), 1) for c in counts]


def asking(app: Any, headers: Mapping[str, str]) -> Ask:
    """Requests to the app itself, through its own door and routes, as the one who let them in."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, client=("127.0.0.1", 0)), base_url="http://interplay", timeout=30,
        headers=dict(headers),
    )  # fmt: skip

    async def ask(method: str, path: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
        sent = {"params": dict(said)} if method == "GET" else {"content": json.dumps(said)}
        kind = {} if method == "GET" else {"headers": {"content-type": "application/json"}}
        answer = await client.request(method, path, **sent, **kind)  # type: ignore[arg-type]
        told = answer.json()
        if answer.status_code >= 400:
            raise Unsupported(str(told.get("error", answer.status_code)))
        return dict(told)

    return ask
