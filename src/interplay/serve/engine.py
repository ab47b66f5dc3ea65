"""The engine: one call from a person's request to an answer. HTTP, the command line and tests all ask through it.

Before it answers, the engine looks whether the store has anything new: what people did since the data set was read is
part of their history, changed items and erased people are as they are now, and another model that went live is loaded
beside the old one and then takes its place. Engines over one store give equal answers after the same events.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.cascade.rules import Catalogue, compile_rules, together
from interplay.data.store.happened import Happened
from interplay.data.store.shown import newest
from interplay.data.store.snapshot import adopt
from interplay.data.store.store import Head, Store
from interplay.errors import BadSetting, nearest
from interplay.fitted import Fitted
from interplay.recipe import LearningConfig, ServingConfig
from interplay.serve.answers import Answer, Answers, NotHere
from interplay.serve.between import Between, told
from interplay.serve.layout import Layout, impressions
from interplay.serve.leaning import leaning
from interplay.serve.nearness import near, nearest_told
from interplay.serve.past import Pasts, fresh, withheld
from interplay.serve.scene import Answering, Scene
from interplay.serve.trials import Trials
from interplay.serve.watch import Watch, begun, cascade, late, live, read, serving
from interplay.serve.window import Window
from interplay.serve.wishes import nevers, standing
from interplay.serve.words import Words
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
    Trace,
    Wish,
)

DAY = 86_400_000_000  # microseconds
MOST = 500  # items in one answer
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
        learning: LearningConfig = LearningConfig(),
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
            dataset=dataset, cascade=cascade, name=name or dataset.name, head=head, after=head.row, similar=similar,
            serving=serving, learning=learning,
        )  # fmt: skip
        scene = replace(scene, learnt=begun(scene, head.row, ended, time.time_ns() // 1000 - clock() - shift))
        self._begin(scene, traces=traces, clock=clock, shift=shift, inside=False)

    def _begin(self, scene: Scene, *, traces: int = 2000, clock: Callable[[], int], shift: int, inside: bool) -> None:
        self.watch, self._clock, self._shift = Watch(self.store, scene), clock, shift
        self._latest = newest(self.store, clock(), shift)  # what an engine before this one gave out is past
        self.between = Between(self.store, self.watch, self.now, inside=inside)
        self.watch.prepared = self.between.arrived
        self.answers, self.pasts, self.trials = Answers(self.store, traces), Pasts(self.store), Trials(self.store)
        self.listeners: list[Callable[[Answer], None]] = []  # told of every answer: measures and spans

    @classmethod
    def of(cls, fitted: Fitted, *, store: Store | None = None, **more: Any) -> Engine:
        """The engine over a `Fitted`: its cascade, or its one model as a cascade of one source."""
        model, asked = cascade(fitted, fitted.dataset), serving(fitted)
        learning = fitted.recipe.learning if fitted.recipe else LearningConfig()
        return cls(fitted.dataset, model, store=store, name=fitted.name, serving=asked, learning=learning, **more)

    @classmethod
    def over(cls, store: Store, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> Engine:
        """The engine over everything in a store, with the model that is live there. Refused where none is."""
        engine = cls.__new__(cls)
        engine.store = store
        scene, lag = read(store, live(store))
        engine._begin(scene, clock=clock, shift=-late(lag), inside=True)
        engine.between.catch_up()
        return engine

    def warm(self) -> Engine:
        """Do once what the first person would otherwise wait for."""
        self.words.nearest("warm")
        self.answer(k=1)
        if self.searches:
            self.answer(query="warm", k=1)
        return self

    def now(self) -> int:
        """Microseconds UTC, on the log's own calendar when it ended more than a week ago.

        A clock that is set back by less than a day makes time stand still until it has caught up: what happened a
        moment ago stays the past, over restarts too, by what the store holds. One that is set back further was wrong
        before, and is followed.
        """
        said = self._clock() + self._shift
        if 0 < self._latest - said < DAY:
            return self._latest
        self._latest = said
        return said

    # ------------------------------------------------------------------------------------- what is served from just now

    @property
    def scene(self) -> Scene:
        return self.watch.scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        self.watch.scene = scene

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
        head, people = self.watch.look()
        if people:
            self.answers.forget(lambda user: not self.store.positions(user, head))
        if self.between.behind:
            self.between.wake()
        return head

    def told(self, user: Id, head: Head | None = None) -> tuple[Happened, ...]:
        """Everything the store knows, now or as of a head, that a person did and did not take back, oldest first."""
        return self.pasts.of(str(user), self.look() if head is None else head)

    def lately(self, user: Id, head: Head | None = None) -> tuple[Happened, ...]:
        """The part of it that the data set does not have: all that the person said, and what was done since."""
        return self.pasts.of(str(user), self.look() if head is None else head, self.scene.after)

    def touched(self, user: Id) -> list[Happened]:
        """What the person did since the data set was read that speaks for an item, oldest first."""
        return [e for e in self.lately(user) if fresh(e, self.scene)]

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
        scene = self.scene
        dataset = scene.dataset
        index = -1 if user is None else int(dataset.users.index([user])[0])
        if history is None:
            past = self.pasts.history(scene, user, at, head)
        else:
            given = dataset.items.index(list(history))
            past = Ragged.of([given[given >= 0]])
        out = dataset.items.index(list(exclude))
        named: dict[str, Array] = dict(masks or {})
        for facet, values in scene.window.chosen(facets).items():
            named[f"{facet}: {' or '.join(values)}"] = scene.window.mask({facet: values})
        if scene.offered is not None:
            named["on offer"] = scene.offered
        if user is not None and history is None:
            named |= self._less(scene, str(user), head)
            told = self.pasts.of(str(user), head, scene.after)
            wishes = standing(told, at).wishes if wishes is None else wishes
            leant, past, muted = leaning(told, past, scene.catalogue)
            boosts = [*boosts, *leant]
            out = np.concatenate([out, muted]) if withhold_seen else out
        if withhold_seen and scene.serving.lets_come_back:
            withhold_seen, out = False, np.concatenate([out, withheld(past, at, scene.serving, scene.kinds)])
        if user is not None and history is None and self.held_out(user):
            out = np.concatenate([out, past["item"]]) if withhold_seen else out
            index, past = -1, past.where(np.zeros(len(past["item"]), bool))
        rules = compile_rules(
            scene.catalogue, 1, where=(where or "").strip() or None, allow=allow,
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
            at=None if dataset.events.time is None else np.array([at], np.int64),
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
        layout: Layout | None = None,
        **asked: Any,
    ) -> Answer:
        """The answer to one request, asked for as in `request`; a source later than `seconds` is left out of it.

        What it shows is logged now, or with the rest of the page that `layout` is of.
        """
        started = time.perf_counter()
        at = self.now() if asked.get("at") is None else asked["at"]
        requests = self.request(user=user, history=history, query=query, exclude=exclude, **{**asked, "at": at})
        scene = self.scene
        if not scene.searches and hasattr(scene.cascade, "active"):
            requests = replace(requests, query=None)
        limit: dict[str, Any] = {} if seconds is None else {"seconds": seconds}
        held_out = user is not None and history is None and self.held_out(user)
        who = None if held_out or history is not None else user
        scene, reply, policies = self.trials.respond(scene, requests, who, **limit)
        trace = reply.trace[0] if reply.trace else Trace(request_id="")
        slates, trace = self._newcomers(scene, requests, reply.slates, told(trace, scene, self.between))
        notes = []
        missing = [str(n) for n, i in zip(exclude, self.dataset.items.index(list(exclude)), strict=True) if i < 0]
        if missing:
            notes.append(f"{len(missing)} of the excluded items are not in this catalogue: {', '.join(missing[:5])}")
        if user is not None and history is None and requests.user[0] < 0 and not requests.history.lengths[0]:
            notes.append(f"nothing is known of {user!r}: answered as to a stranger")
        if held_out:
            notes.append("held out, to measure what knowing people is worth: answered as to a stranger")
        if not slates.row(0):
            notes += [f"nothing to show: {stage.said}" for stage in trace.stages if stage.name == "rules"]
        again = {"user": user, "history": history, "query": query, "exclude": list(exclude), "seconds": seconds}
        return self._remember(
            requests, slates, trace, started, user=user, at=at, query=query, notes=tuple(notes),
            asked={**again, **asked, "at": None}, policy="holdout" if held_out else policies or scene.name,
            layout=layout,
        )  # fmt: skip

    def _newcomers(self, scene: Scene, requests: Requests, slates: Slates, trace: Trace) -> tuple[Slates, Trace]:
        """Things that the cascade has not met yet, newest first, where its own list leaves room."""
        free = requests.k - len(slates.row(0))
        if free <= 0 or scene.unranked >= scene.dataset.n_items:
            return slates, trace
        fresh = np.flatnonzero(self._unread(scene, requests))[::-1][:free].tolist()
        if not fresh:
            return slates, trace
        shown = slates.row(0)
        rows = tuple(
            {"item": i, "place": place, "sources": [], "reason": "New here: the next model will know it"}
            for place, i in enumerate(fresh, len(shown) + 1)
        )
        return _longer(slates, fresh), replace(trace, items=(*trace.items, *rows))

    def _unread(self, scene: Scene, requests: Requests) -> Array:
        """bool[n_items]: things that the cascade has not met yet and that rules and hard wishes leave."""
        allowed = self._allowed(requests)
        allowed[: scene.unranked] = False
        for wish in requests.wishes[0] if requests.wishes else ():
            if wish.hard and wish.where is not None:
                allowed &= scene.catalogue.mask(str(wish.rule), strict=False)
        return allowed

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
        query: str | None, notes: tuple[str, ...], asked: Mapping[str, Any], policy: str | Sequence[str],
        layout: Layout | None,
    ) -> Answer:  # fmt: skip
        assert requests.draw is not None
        request_id, shown = secrets.token_hex(8), slates.row(0)
        allowed, scene = self._allowed(requests), self.scene
        unread = int(self._unread(scene, requests).sum()) if scene.unranked < len(allowed) else 0
        counts = self._counts(int(allowed[: scene.unranked].sum()), trace, len(shown), unread)
        answer = Answer(
            request_id=request_id, user=None if user is None else str(user), at=at, draw=int(requests.draw[0]),
            slates=slates, trace=replace(trace, request_id=request_id), seconds=time.perf_counter() - started,
            query=query, notes=notes, counts=counts, asked=asked,
            more=len(shown) >= requests.k,
        )  # fmt: skip
        for heard in self.listeners:
            heard(answer)
        self.answers.hold(answer)
        rows = impressions(answer, policy, allowed)
        if layout is None:
            self.store.answered.shown(rows, user=answer.user)
        else:
            layout.wait(rows)
        return answer

    def _counts(self, allowed: int, trace: Trace, shown: int, unread: int = 0) -> dict[str, int]:
        """How many items each stage left, for the ribbon; one that does not say so left as many as the one before.

        `unread` come to what the cascade left: it has not met them yet."""
        n = self.dataset.n_items
        said = {stage.name: stage.facts for stage in trace.stages}
        gave = [source.get("gave", 0) for source in said.get("retrieve", {}).get("sources", ())]
        allowed = min(said.get("rules", {}).get("left", allowed), allowed) + unread  # wishes act inside the cascade
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

    def held_out(self, user: Id) -> bool:
        """Whether a person is in the holdout: by a hash of the id, so always or never."""
        share = self.scene.serving.holdout
        if not share:
            return False
        drawn = hashlib.blake2b(str(user).encode(), digest_size=8, key=b"holdout").digest()
        return int.from_bytes(drawn, "big") < share * 2**64

    def _less(self, scene: Scene, user: str, head: Head) -> dict[str, Array]:
        """One mask for each thing the person wants less of: it and its nearest are withheld."""
        out: dict[str, Array] = {}
        for event in self.pasts.of(user, head, scene.after):
            item = event.item
            if event.event_type == "less" and 0 <= item < scene.dataset.n_items:
                if item not in scene.unlike:
                    mask = np.ones(scene.dataset.n_items, bool)
                    mask[[item, *(i for i, _ in near(scene, item, LESS_LIKE)[0].row(0))]] = False
                    scene.unlike[item] = mask
                out[f"less like {scene.window.title(item)}"] = scene.unlike[item]
        return out

    # --------------------------------------------------------------------------------------------------- similar

    def similar(
        self, item: Id, *, user: Id | None = None, k: int = 10, exclude: Sequence[Id] = (), where: str | None = None,
        layout: Layout | None = None,
    ) -> Answer:  # fmt: skip
        """Items near one item, never the item itself; an unknown item is refused with the nearest names."""
        started, at = time.perf_counter(), self.now()
        index = self.item(item)
        requests = self.request(user=user, k=k, exclude=exclude, where=where, withhold_seen=False)
        if requests.wishes is not None:  # what is like one thing is not steered; every explicit no holds
            no = compile_rules(self.catalogue, 1, where=[nevers(requests.wishes[0])], withhold_seen=False, strict=False)
            requests = replace(requests, rules=together(requests.rules, no, 1))
        ruled = time.perf_counter() - started
        slates, by, trace = nearest_told(self.scene, index, k, self._allowed(requests), requests, ruled)
        return self._remember(
            requests, slates, trace, started, user=user, at=at, query=None, notes=(), policy=f"similar by {by}",
            asked={"item": item, "user": user, "k": k, "exclude": list(exclude), "where": where}, layout=layout,
        )  # fmt: skip

    def item(self, name: Id) -> int:
        """The index of an item; an unknown one is refused with the nearest names."""
        index = int(self.dataset.items.index([name])[0])
        if index < 0:  # it may have come a moment ago
            self.look()
            index = int(self.dataset.items.index([name])[0])
        if index < 0:
            raise unknown_item(name, self.dataset)
        return index

    def close(self) -> None:
        """Write what waits and let the store go."""
        self.between.close()
        self.store.close()


def _longer(slates: Slates, more: Sequence[int]) -> Slates:
    """One list with further items at its end; what is known of the others stays, and these were certain to come."""
    k, items = len(slates.row(0)), np.array([more], np.int32)
    columns = {
        name: np.concatenate([c[:, :k], np.full(items.shape, name == "propensity", c.dtype)], axis=1)
        for name, c in slates.columns.items()
    }
    scores = np.concatenate([slates.scores[:, :k], np.zeros(items.shape, np.float32)], axis=1)
    return Slates(items=np.concatenate([slates.items[:, :k], items], axis=1), scores=scores, columns=columns)


def unknown_item(name: Id, dataset: Dataset) -> NotHere:
    """The sentence for an item that is not in the catalogue."""
    close = nearest(str(name), [str(n) for n in dataset.items.names[:20000]])
    return NotHere(
        f"no item called {name!r}; " + (f"nearest: {close}" if close else f"this catalogue has {dataset.n_items} items")
    )
