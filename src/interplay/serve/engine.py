"""The engine: one call from a person's request to an answer. HTTP, the command line and tests all ask through it.

Before it answers, the engine looks whether the store has anything new: what people did since the data set was read is
part of their history, changed items and erased people are as they are now, and another model that went live is loaded
beside the old one and then takes its place. Engines over one store give equal answers after the same events.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.cascade.cascade import Cascade, Source
from interplay.cascade.rules import Catalogue, compile_rules, together
from interplay.data.store.happened import SAID, Happened
from interplay.data.store.registry import Model
from interplay.data.store.snapshot import NOBODY, adopt, snapshot
from interplay.data.store.store import Head, Store
from interplay.errors import BadData, BadSetting, InterplayError, Unsupported, nearest
from interplay.fitted import Fitted
from interplay.ops.topk import best
from interplay.recipe import ServingConfig
from interplay.serve.answers import Answer, Answers, NotHere
from interplay.serve.past import Pasts
from interplay.serve.scene import Answering, Ready, Scene
from interplay.serve.window import Window
from interplay.serve.wishes import nevers, standing
from interplay.serve.words import Words
from interplay.systems import SYSTEMS
from interplay.types import (
    Arrangement,
    Array,
    Boost,
    Dataset,
    Id,
    Ragged,
    Requests,
    Rows,
    RuleSet,
    Slates,
    Stage,
    Trace,
    Wish,
)

log = logging.getLogger("interplay.engine")

DAY = 86_400_000_000  # microseconds
MOST = 500  # items in one answer
AT_ONCE = 16  # new texts that a request waits for; more are read beside it
LESS_LIKE = 12  # neighbours that "less like this" hides with the item


class Engine:
    """Answers requests in external ids."""

    def __init__(
        self,
        dataset: Dataset,
        cascade: Answering,
        *,
        similar: Any = None,
        store: Store | None = None,
        traces: int = 2000,
        name: str = "",
        serving: ServingConfig = ServingConfig(),
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """`similar` is anything with `similar_items` (the cascade itself where it is None and can, the catalogue's
        words otherwise); `store` (in memory where it is None) is where everything new goes, and must be empty or begin
        with the dataset's users and items. A store that holds the events too is served by `Engine.over`."""
        self.store = Store.open() if store is None else store
        adopt(self.store, dataset)
        times = dataset.events.time
        ended = int(times.max()) if times is not None and len(times) else 0
        # A log that ended long ago is served as if today were its last day: otherwise everything in it has faded.
        shift = min(0, ended - clock()) if ended and clock() - ended > 7 * DAY else 0
        head = self.store.head()
        scene = Scene(
            dataset=dataset, cascade=cascade, name=name or dataset.name, head=head, after=head.row, similar=similar
        )
        self._begin(scene, traces=traces, serving=serving, clock=clock, shift=shift)

    def _begin(
        self, scene: Scene, *, traces: int = 2000, serving: ServingConfig, clock: Callable[[], int], shift: int
    ) -> None:
        self.scene, self.serving, self._clock, self._shift = scene, serving, clock, shift
        self.answers, self.pasts = Answers(self.store, traces), Pasts(self.store)
        self.listeners: list[Callable[[Answer], None]] = []  # told of every answer: measures and spans
        self._lock = threading.RLock()
        self._loading: int | None = None  # the model version that is being loaded
        self._reading = False  # whether many new texts are being read

    @classmethod
    def of(cls, fitted: Fitted, *, store: Store | None = None, **more: Any) -> Engine:
        """The engine over a `Fitted`: its cascade, or its one model as a cascade of one source."""
        serving = fitted.recipe.serving if fitted.recipe else ServingConfig()
        return cls(
            fitted.dataset, _cascade(fitted, fitted.dataset), store=store, name=fitted.name, serving=serving, **more
        )

    @classmethod
    def over(cls, store: Store, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> Engine:
        """The engine over everything in a store, with the model that is live there. Refused where none is."""
        model = store.models.live()
        if model is None:
            raise BadData(f"{store.database.said} has no live model; train one: interplay train --store ...")
        engine = cls.__new__(cls)
        engine.store = store
        scene, serving, lag = engine._read(model)
        # What was kept long after it happened is an old log: it is served as if its last day were the day it was kept.
        engine._begin(scene, serving=serving, clock=clock, shift=-lag if lag > 7 * DAY else 0)
        return engine

    def _read(self, model: Model) -> tuple[Scene, ServingConfig, int]:
        """The scene of a model of the store, over all that the store holds now."""
        fitted = Fitted.load(self.store.models.path(model))
        taken = snapshot(self.store)
        dataset = taken.dataset
        scene = Scene(
            dataset=dataset, cascade=_cascade(fitted, dataset), name=fitted.name, after=taken.head.row,
            head=taken.head._replace(live=model.version), gone=taken.gone,
        )  # fmt: skip
        erased = np.flatnonzero([isinstance(n, str) and n.startswith(NOBODY) for n in dataset.users])
        if len(erased) and hasattr(scene.cascade, "forget"):
            scene.cascade.forget(erased)
        return scene, fitted.recipe.serving if fitted.recipe else ServingConfig(), taken.lag

    def warm(self) -> Engine:
        """Do once what the first person would otherwise wait for."""
        self.words.nearest("warm")
        self.answer(k=1)
        if self.searches:
            self.answer(query="warm", k=1)
        return self

    def now(self) -> int:
        """Microseconds UTC, on the log's own calendar when it ended more than a week ago."""
        return self._clock() + self._shift

    # ------------------------------------------------------------------------------------- what is served from just now

    @property
    def dataset(self) -> Dataset:
        return self.scene.dataset

    @property
    def cascade(self) -> Any:
        return self.scene.cascade

    @property
    def name(self) -> str:
        return self.scene.name

    @property
    def window(self) -> Window:
        return self.scene.window

    @property
    def words(self) -> Words:
        return self.scene.words

    @property
    def catalogue(self) -> Catalogue:
        return self.scene.catalogue

    @property
    def rows(self) -> Rows:
        return self.scene.rows

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.scene.kinds

    @property
    def searches(self) -> bool:
        return self.scene.searches

    def look(self) -> Head:
        """Catch up with the store, and return its head. One small query where nothing has changed."""
        head, scene = self.store.head(), self.scene
        if head.items_version != scene.head.items_version or head.people_version != scene.head.people_version:
            with self._lock:
                if head.people_version != self.scene.head.people_version:
                    self.answers.forget(lambda user: not self.store.positions(user))
                self.scene = self.scene.caught_up(self.store, head)
                if self.scene.waiting:
                    self._attend()
        if head.live is not None and head.live != self.scene.head.live:
            self._load(head.live)
        return head

    def _attend(self) -> None:
        """Let the cascade read new texts: a few at once, many beside the present one, which serves on meanwhile."""
        if len(self.scene.waiting) <= AT_ONCE:
            self.scene = self.scene.read()
            return
        if self._reading:
            return
        self._reading = True

        def work() -> None:
            while True:
                scene = self.scene
                cascade = scene.read().cascade
                with self._lock:
                    if self.scene.head.live == scene.head.live:
                        left = self.scene.waiting - scene.waiting
                        self.scene = replace(self.scene, cascade=cascade, waiting=left)
                    if not self.scene.waiting:
                        self._reading = False
                        return

        threading.Thread(target=work, name="text-reader", daemon=True).start()

    def _load(self, version: int) -> None:
        """Read another model beside the present one, which serves on until the new one takes its place."""
        with self._lock:
            if self._loading == version:
                return
            self._loading = version

        def work() -> None:
            try:
                scene, serving, _ = self._read(self.store.models.get(version))
                for warm in (scene.window.facets, scene.words, scene.rows):
                    del warm
            except (InterplayError, OSError) as problem:
                log.error("model %s cannot be served, %s serves on: %s", version, self.name, problem)
                return  # `_loading` stays: it is tried again when the pointer moves
            with self._lock:
                self.scene, self.serving, self._loading = scene, serving, None
            log.info("model %s is live", version)

        threading.Thread(target=work, name="model-loader", daemon=True).start()

    def told(self, user: Id) -> tuple[Happened, ...]:
        """Everything the store knows that a person did and did not take back, oldest first."""
        return self.pasts.of(str(user), self.look())

    def touched(self, user: Id) -> list[Happened]:
        """What the person did since the data set was read that speaks for an item, oldest first."""
        return [e for e in self.told(user) if self._fresh(e)]

    def _fresh(self, event: Happened) -> bool:
        return event.row > self.scene.after and event.event_type not in SAID and 0 <= event.item < self.dataset.n_items

    def heard(self) -> int:
        """How many events there are that the model has not learnt from."""
        return max(self.store.head().row - self.scene.after, 0)

    # --------------------------------------------------------------------------------------------------- asking

    def request(
        self,
        *,
        user: Id | None = None,
        history: Sequence[Id] | None = None,
        query: str | None = None,
        k: int = 10,
        exclude: Sequence[Id] = (),
        allow: Sequence[Id] | None = None,
        where: str | None = None,
        boosts: Sequence[Boost] = (),
        arrangement: Arrangement | None = None,
        facets: Sequence[str] = (),
        masks: Mapping[str, Array] | None = None,
        wishes: Sequence[Wish] | None = None,
        withhold_seen: bool = True,
        draw: int | None = None,
        at: int | None = None,
    ) -> Requests:
        """The batch of one that the cascade is asked: everything a person did up to now, and every rule.

        `masks` are further predicates, name -> bool[n_items]; `wishes` stand in for those that the person's own
        instructions leave. Refuses unknown facets, an unreadable `where` and a k
        outside 1..500; unknown users are strangers and unknown items in `history` and `exclude` are left out.
        """
        if not 1 <= k <= MOST:
            raise BadSetting(f"k is {k}; expected 1 to {MOST}")
        head, at = self.look(), self.now() if at is None else at
        index = -1 if user is None else int(self.dataset.users.index([user])[0])
        if history is None:
            past = self._history(index, user, at, head)
        else:
            given = self.dataset.items.index(list(history))
            past = Ragged.of([given[given >= 0]])
        out = self.dataset.items.index(list(exclude))
        named: dict[str, Array] = dict(masks or {})
        for facet, values in self.window.chosen(facets).items():
            named[f"{facet}: {' or '.join(values)}"] = self.window.mask({facet: values})
        if self.scene.offered is not None:
            named["on offer"] = self.scene.offered
        if user is not None and history is None:
            named |= self._less(str(user), head)
            wishes = standing(self.pasts.of(str(user), head), at).wishes if wishes is None else wishes
        if withhold_seen and self.serving.lets_come_back:
            withhold_seen, out = False, np.concatenate([out, self._withheld(past, at)])
        if user is not None and history is None and self.held_out(user):
            out = np.concatenate([out, past["item"]]) if withhold_seen else out
            index, past = -1, past.where(np.zeros(len(past["item"]), bool))
        rules = compile_rules(
            self.catalogue, 1, where=(where or "").strip() or None, allow=allow,
            exclude=Ragged.of([out[out >= 0]]) if len(out) else None, withhold_seen=withhold_seen,
        )  # fmt: skip
        if named:
            own = RuleSet(masks=np.stack(list(named.values())), names=tuple(named), withhold_seen=withhold_seen)
            rules = together(rules, own, 1)
        return Requests(
            user=np.array([index if history is None else -1], np.int32), history=past,
            query=None if query is None else [query], rules=rules, k=k,
            boosts=[tuple(boosts)] if boosts else None, arrangement=arrangement,
            wishes=[tuple(wishes)] if wishes else None,
            at=None if self.dataset.events.time is None else np.array([at], np.int64),
            draw=np.array([secrets.randbits(64) if draw is None else draw], np.uint64),
        )  # fmt: skip

    def answer(
        self,
        *,
        user: Id | None = None,
        history: Sequence[Id] | None = None,
        query: str | None = None,
        exclude: Sequence[Id] = (),
        seconds: float | None = None,
        **asked: Any,
    ) -> Answer:
        """The answer to one request, asked for as in `request`; a source later than `seconds` is left out of it."""
        started = time.perf_counter()
        at = self.now() if asked.get("at") is None else asked["at"]
        requests = self.request(user=user, history=history, query=query, exclude=exclude, **{**asked, "at": at})
        scene = self.scene
        if not scene.searches and hasattr(scene.cascade, "active"):
            requests = replace(requests, query=None)
        limit: dict[str, Any] = {} if seconds is None else {"seconds": seconds}
        reply = scene.cascade.respond(requests, trace=True, **limit)
        trace = reply.trace[0] if reply.trace else Trace(request_id="")
        slates, trace = self._newcomers(scene, requests, reply.slates, trace)
        notes = []
        missing = [str(n) for n, i in zip(exclude, self.dataset.items.index(list(exclude)), strict=True) if i < 0]
        if missing:
            notes.append(f"{len(missing)} of the excluded items are not in this catalogue: {', '.join(missing[:5])}")
        if user is not None and history is None and requests.user[0] < 0 and not requests.history.lengths[0]:
            notes.append(f"nothing is known of {user!r}: answered as to a stranger")
        held_out = user is not None and history is None and self.held_out(user)
        if held_out:
            notes.append("held out, to measure what knowing people is worth: answered as to a stranger")
        again = {"user": user, "history": history, "query": query, "exclude": list(exclude), "seconds": seconds}
        return self._remember(
            requests, slates, trace, started, user=user, at=at, query=query, notes=tuple(notes),
            asked={**again, **asked, "at": None}, policy="holdout" if held_out else scene.name,
        )  # fmt: skip

    def _newcomers(self, scene: Scene, requests: Requests, slates: Slates, trace: Trace) -> tuple[Slates, Trace]:
        """Things that the cascade has not met yet, newest first, where its own list leaves room."""
        free = requests.k - len(slates.row(0))
        if free <= 0 or scene.unranked >= scene.dataset.n_items:
            return slates, trace
        allowed = self._allowed(requests)
        allowed[: scene.unranked] = False
        fresh = np.flatnonzero(allowed)[::-1][:free].tolist()
        if not fresh:
            return slates, trace
        shown = slates.row(0)
        rows = tuple(
            {"item": i, "place": place, "sources": [], "reason": "New here: the next model will know it"}
            for place, i in enumerate(fresh, len(shown) + 1)
        )
        return _slate([*shown, *((i, 0.0) for i in fresh)]), replace(trace, items=(*trace.items, *rows))

    def more(self, request_id: str) -> Answer:
        """The next items after those of an earlier answer, with whatever happened in between taken into account."""
        held = self.held(request_id)
        if not held.more:
            raise NotHere(f"the answer {request_id!r} has no further items; ask again without a cursor")
        asked = dict(held.asked)
        exclude = [*asked.pop("exclude"), *(self.dataset.items[i] for i in held.items)]
        if "item" in asked:
            return self.similar(asked.pop("item"), exclude=exclude, **asked)
        if asked.get("masks"):  # things that came since are not among what the words found
            n = self.dataset.n_items
            asked["masks"] = {name: np.pad(m, (0, n - len(m))) for name, m in asked["masks"].items()}
        return self.answer(exclude=exclude, **asked)

    def held(self, request_id: str) -> Answer:
        """An earlier answer, of this engine or of another over the same store."""
        return self.answers.of(request_id)

    def _remember(
        self, requests: Requests, slates: Slates, trace: Trace, started: float, *, user: Id | None, at: int,
        query: str | None, notes: tuple[str, ...], asked: Mapping[str, Any], policy: str,
    ) -> Answer:  # fmt: skip
        assert requests.draw is not None
        request_id, shown = secrets.token_hex(8), slates.row(0)
        allowed = self._allowed(requests)
        answer = Answer(
            request_id=request_id, user=None if user is None else str(user), at=at, draw=int(requests.draw[0]),
            slates=slates, trace=replace(trace, request_id=request_id), seconds=time.perf_counter() - started,
            query=query, notes=notes, counts=self._counts(int(allowed.sum()), trace, len(shown)), asked=asked,
            more=len(shown) >= requests.k,
        )  # fmt: skip
        for heard in self.listeners:
            heard(answer)
        self.answers.hold(answer)
        held = slates.columns.get("propensity")
        same = {
            "request_id": request_id, "row": 0, "time": at, "policy": policy, "temperature": None, "explored": False,
            "candidate_hash": hashlib.blake2b(np.packbits(allowed).tobytes(), digest_size=8).hexdigest(), "seen": None,
        }  # fmt: skip
        self.store.shown(
            [
                {**same, "slot": slot, "item": item, "propensity": 1.0 if held is None else float(held[0, slot])}
                for slot, (item, _) in enumerate(shown)
            ],
            user=answer.user,
        )  # fmt: skip
        return answer

    def _counts(self, allowed: int, trace: Trace, shown: int) -> dict[str, int]:
        """How many items each stage left, for the ribbon; one that does not say so left as many as the one before."""
        n = self.dataset.n_items
        said = {stage.name: stage.facts for stage in trace.stages}
        gave = [source.get("gave", 0) for source in said.get("retrieve", {}).get("sources", ())]
        allowed = min(said.get("rules", {}).get("left", allowed), allowed)  # hard wishes act inside the cascade
        found = min(sum(gave) if gave else allowed, allowed)
        ranked = min(said.get("rank", {}).get("candidates", found), allowed)
        return {"items": n, "allowed": allowed, "found": max(found, ranked), "ranked": ranked, "shown": shown}

    def _allowed(self, requests: Requests) -> Array:
        """bool[n_items]: what the rules of a request of one leave."""
        allowed = requests.rules.allowed(0, self.dataset.n_items)
        if requests.rules.withhold_seen:
            allowed[requests.history["item"]] = False
        if requests.rules.exclude is not None:
            allowed[requests.rules.exclude["item"]] = False
        return allowed

    # ------------------------------------------------------------------------------------------- history and rules

    def _history(self, index: int, user: Id | None, at: int, head: Head) -> Ragged:
        """One row: the dataset's events of the person, then those since it was read, in the dataset's columns."""
        dataset, live = self.dataset, []
        past = dataset.histories(np.array([index], np.int32))
        if user is not None:
            live = [e for e in self.pasts.of(str(user), head) if e.time <= at and self._fresh(e)]
            past = self._mended(past, str(user), index, head)
        if "time" in past and len(past["time"]):
            past = past.where(past["time"] <= at)
        kinds = {kind: code for code, kind in enumerate(self.kinds)}
        columns: dict[str, Sequence[float] | Array] = {
            "item": [e.item for e in live], "time": [e.time for e in live],
            "kind": [kinds.get(e.event_type, -1) for e in live],
            "value": [1.0 if e.value is None else e.value for e in live],
            "session": [(1 << 40) + zlib.crc32((e.session_id or "").encode()) for e in live],
        }  # fmt: skip
        joined = {
            name: np.concatenate([column, np.asarray(columns[name], column.dtype)])
            for name, column in past.columns.items()
        }
        return Ragged(offsets=np.array([0, len(joined["item"])], np.int64), columns=joined)

    def _mended(self, past: Ragged, user: str, index: int, head: Head) -> Ragged:
        """A history of the data set with what happened to it since: other names merged in, events taken back."""
        others = [p for p in self.store.positions(user, head) if p != index and p < self.dataset.n_users]
        if others:
            parts = [past, *(self.dataset.histories(np.array([p], np.int32)) for p in others)]
            joined = {name: np.concatenate([part[name] for part in parts]) for name in past.columns}
            order = np.argsort(joined["time"], kind="stable") if "time" in joined else np.arange(len(joined["item"]))
            offsets = np.array([0, len(order)], np.int64)
            past = Ragged(offsets=offsets, columns={name: column[order] for name, column in joined.items()})
        if "time" in past and self.scene.after:
            for event_id in self.pasts.undone(user, head):
                event = self.store.event(event_id)
                if event is not None and event.row <= self.scene.after:
                    past = past.where((past["item"] != event.item) | (past["time"] != event.time))
        return past

    def _withheld(self, past: Ragged, at: int) -> Array:
        """Items of a history that are not shown again, by the recipe's [serving]."""
        kept = np.ones(len(past["item"]), bool)
        if self.serving.withhold == "bought" and "kind" in past:
            bought = [code for code, kind in enumerate(self.kinds) if kind in self.serving.bought]
            kept &= np.isin(past["kind"], bought)
        elif self.serving.withhold != "seen":
            kept[:] = False
        if self.serving.again is not None and "time" in past:
            kept &= past["time"] > at - round(self.serving.again * DAY)
        return past["item"][kept]

    def held_out(self, user: Id) -> bool:
        """Whether a person is in the holdout: by a hash of the id, so always or never."""
        if not self.serving.holdout:
            return False
        drawn = hashlib.blake2b(str(user).encode(), digest_size=8, key=b"holdout").digest()
        return int.from_bytes(drawn, "big") < self.serving.holdout * 2**64

    def _less(self, user: str, head: Head) -> dict[str, Array]:
        """One mask for each thing the person wants less of: it and its nearest are withheld."""
        out: dict[str, Array] = {}
        scene = self.scene
        for event in self.pasts.of(user, head):
            item = event.item
            if event.event_type == "less" and 0 <= item < scene.dataset.n_items:
                if item not in scene.unlike:
                    mask = np.ones(scene.dataset.n_items, bool)
                    mask[[item, *(i for i, _ in self._near(item, LESS_LIKE)[0].row(0))]] = False
                    scene.unlike[item] = mask
                out[f"less like {scene.window.title(item)}"] = scene.unlike[item]
        return out

    # --------------------------------------------------------------------------------------------------- similar

    def _near(self, item: int, n: int, allowed: Array | None = None) -> tuple[Slates, str]:
        """The n nearest items and what was compared: behaviour where a model has it, the catalogue's words if not."""
        if self.scene.neighbours is not None:
            free = allowed is None or bool(allowed.all())
            try:
                slates = self.scene.neighbours.similar_items(
                    np.array([item], np.int32), n if free else self.dataset.n_items
                )
            except Unsupported:  # a cascade none of whose sources knows neighbours: the words below do
                slates = Slates.empty(1, 0)
            kept = [(i, s) for i, s in slates.row(0) if free or allowed is None or allowed[i]][:n]
            if kept:
                return _slate(kept), "behaviour"
        like = self.words.like(item)
        like[item] = 0.0
        rules = RuleSet(masks=None if allowed is None else allowed[None], withhold_seen=False)
        asked = Requests.strangers([[]], rules=rules)
        slates = best(lambda _: np.where(like > 0, like, -np.inf)[None], asked, n, self.rows)
        return slates, "words"

    def similar(
        self, item: Id, *, user: Id | None = None, k: int = 10, exclude: Sequence[Id] = (), where: str | None = None
    ) -> Answer:
        """Items near one item, never the item itself; an unknown item is refused with the nearest names."""
        started, at = time.perf_counter(), self.now()
        index = self.item(item)
        requests = self.request(user=user, k=k, exclude=exclude, where=where, withhold_seen=False)
        if requests.wishes is not None:  # what is like one thing is not steered; every explicit no holds
            no = compile_rules(self.catalogue, 1, where=[nevers(requests.wishes[0])], withhold_seen=False, strict=False)
            requests = replace(requests, rules=together(requests.rules, no, 1))
        allowed = self._allowed(requests)
        ruled = time.perf_counter()
        slates, by = self._near(index, k, allowed)
        done = time.perf_counter()
        title, free, found = self.window.title(index), int(allowed.sum()), slates.row(0)
        compared = "by who looks at it" if by == "behaviour" else "by the words that describe it"
        rules = requests.rules
        hidden = {} if rules.masks is None else dict(zip(rules.names, (~rules.masks).sum(axis=1).tolist(), strict=True))
        withheld = 0 if rules.exclude is None else len(rules.exclude["item"])
        stages = (
            Stage(name="understand", seconds=0.0, said=f"Things like {title}."),
            Stage(
                name="rules", seconds=ruled - started, said=f"{free} of {self.dataset.n_items} items may be shown.",
                facts={"by_rule": hidden, "excluded": withheld, "seen": 0},
            ),
            Stage(
                name="retrieve", seconds=done - ruled, said=f"Every item that may be shown was compared {compared}.",
                facts={"sources": [{"source": by, "gave": len(found)}]},
            ),
        )  # fmt: skip
        rows = tuple(
            {
                "item": i, "sources": [{"source": by, "place": place, "score": score, "part": score}],
                "reason": f"Close to {title} {compared}",
            }
            for place, (i, score) in enumerate(found, 1)
        )  # fmt: skip
        trace = Trace(request_id="", stages=stages, items=rows)
        return self._remember(
            requests, slates, trace, started, user=user, at=at, query=None, notes=(), policy=f"similar by {by}",
            asked={"item": item, "user": user, "k": k, "exclude": list(exclude), "where": where},
        )  # fmt: skip

    def item(self, name: Id) -> int:
        """The index of an item; an unknown one is refused with the nearest names."""
        index = int(self.dataset.items.index([name])[0])
        if index < 0:
            raise unknown_item(name, self.dataset)
        return index

    def close(self) -> None:
        """Write what waits and let the store go."""
        self.store.close()


def _cascade(fitted: Fitted, dataset: Dataset) -> Any:
    """The fitted cascade with this catalogue; one model alone becomes a cascade of one source."""
    model = fitted.model
    if not hasattr(model, "respond"):
        about = SYSTEMS[fitted.name].about if fitted.name in SYSTEMS else ""
        return Cascade({fitted.name: Source(retriever=Ready(model), says=about)}).fit(dataset)
    return model.attend(dataset) if hasattr(model, "attend") else model


def unknown_item(name: Id, dataset: Dataset) -> NotHere:
    """The sentence for an item that is not in the catalogue."""
    close = nearest(str(name), [str(n) for n in dataset.items.names[:20000]])
    return NotHere(
        f"no item called {name!r}; " + (f"nearest: {close}" if close else f"this catalogue has {dataset.n_items} items")
    )


def _slate(pairs: Sequence[tuple[int, float]]) -> Slates:
    return Slates(
        items=np.array([[i for i, _ in pairs]], np.int32).reshape(1, -1),
        scores=np.array([[s for _, s in pairs]], np.float32).reshape(1, -1),
    )
