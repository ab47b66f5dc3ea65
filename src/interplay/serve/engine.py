"""The engine: one call from a person's request to an answer. HTTP, the command line and tests all ask through it.

Holds the dataset, the fitted cascade, a live log on top of the dataset, and the traces of the last answers. Learning
while serving is what the request itself carries: what a person just did is part of the next request's history.
"""

from __future__ import annotations

import secrets
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from interplay.cascade.cascade import Cascade, Source
from interplay.cascade.rules import Catalogue, compile_rules, together
from interplay.errors import BadSetting, UnknownName, Unsupported, nearest
from interplay.ops.topk import best
from interplay.serve.log import Happened, Log
from interplay.serve.window import Window
from interplay.serve.words import Words
from interplay.systems import SYSTEMS
from interplay.types import (
    Array,
    Dataset,
    Id,
    Ragged,
    Reply,
    Requests,
    Rows,
    RuleSet,
    Slates,
    Stage,
    Trace,
)

DAY = 86_400_000_000  # microseconds
MOST = 500  # items in one answer
LESS_LIKE = 12  # neighbours that "less like this" hides with the item
WITHDRAWN = frozenset({"less", "undo"})  # said against an item: a rule, no taste for it
KINDS = ("click", "view", "keep", "cart", "purchase", "rate", "less", "undo")


class Answering(Protocol):
    def respond(self, requests: Requests, *, trace: bool = ...) -> Reply: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """One answer, in indices, with all that is needed to say how it came about and to ask for more."""

    request_id: str
    user: str | None
    at: int  # microseconds UTC on the engine's clock
    draw: int
    slates: Slates  # one row
    trace: Trace
    seconds: float
    query: str | None = None
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None  # items, allowed, found, ranked, shown
    more: Callable[[], Answer] | None = None  # the next items of the same list

    @property
    def items(self) -> list[int]:
        return [item for item, _ in self.slates.row(0)]


class NotHere(UnknownName):
    """An item, or an earlier answer, that the engine does not have."""


class Engine:
    """Answers requests in external ids."""

    def __init__(
        self,
        dataset: Dataset,
        cascade: Answering,
        *,
        similar: Any = None,
        log: Path | None = None,
        traces: int = 2000,
        name: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """`similar` is anything with `similar_items` (the cascade itself where it is None and can, the catalogue's
        words otherwise); `log` is a file that keeps events over a restart."""
        self.dataset, self.cascade = dataset, cascade
        self.neighbours = similar if similar is not None else cascade if hasattr(cascade, "similar_items") else None
        sources = cascade.active().values() if hasattr(cascade, "active") else ()
        # Whether queries are read; a cascade that cannot read them orders what has the words as it orders a feed.
        self.searches = any(s.serves == "search" or (s.serves == "both" and _reads(s.retriever)) for s in sources)
        self.name = name or dataset.name
        self.window = Window(dataset)
        self.catalogue = Catalogue.of(dataset)  # remembers the masks of rules asked before
        self.log = Log(log)
        self.kinds = tuple(dict.fromkeys((*dataset.events.kinds, *KINDS)))
        self.rows = Rows.of(dataset)
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._unlike: dict[int, Array] = {}  # item -> bool[n_items], False for it and its nearest
        self._keep, self._lock, self._clock = traces, threading.Lock(), clock
        times = dataset.events.time
        ended = max(int(times.max()) if times is not None and len(times) else 0, self.log.latest())
        # A log that ended long ago is served as if today were its last day: otherwise everything in it has faded.
        self._shift = min(0, ended - clock()) if ended and clock() - ended > 7 * DAY else 0

    @classmethod
    def of(cls, fitted: Any, *, log: Path | None = None) -> Engine:
        """The engine over a `Fitted`: its cascade, or its one model as a cascade of one source."""
        model, dataset = fitted.model, fitted.dataset
        if not hasattr(model, "respond"):
            about = SYSTEMS[fitted.name].about if fitted.name in SYSTEMS else ""
            model = Cascade({fitted.name: Source(retriever=_Ready(model), says=about)}).fit(dataset)
        elif hasattr(model, "attend"):
            model.attend(dataset)
        return cls(dataset, model, log=log, name=fitted.name)

    def warm(self) -> Engine:
        """Do once what the first person would otherwise wait for."""
        self.words.nearest("warm")
        self.answer(k=1)
        if self.searches:
            self.answer(query="warm", k=1)
        return self

    @cached_property
    def words(self) -> Words:
        return Words(self.dataset)

    def now(self) -> int:
        """Microseconds UTC, on the log's own calendar when it ended more than a week ago."""
        return self._clock() + self._shift

    # --------------------------------------------------------------------------------------------------- asking

    def request(
        self,
        *,
        user: Id | None = None,
        history: Sequence[Id] | None = None,
        query: str | None = None,
        k: int = 10,
        exclude: Sequence[Id] = (),
        where: str | None = None,
        facets: Sequence[str] = (),
        masks: Mapping[str, Array] | None = None,
        withhold_seen: bool = True,
        draw: int | None = None,
        at: int | None = None,
    ) -> Requests:
        """The batch of one that the cascade is asked: everything a person did up to now, and every rule.

        `masks` are further predicates, name -> bool[n_items]. Refuses unknown facets, an unreadable `where` and a k
        outside 1..500; unknown users are strangers and unknown items in `history` and `exclude` are left out.
        """
        if not 1 <= k <= MOST:
            raise BadSetting(f"k is {k}; expected 1 to {MOST}")
        at = self.now() if at is None else at
        index = -1 if user is None else int(self.dataset.users.index([user])[0])
        if history is None:
            past = self._history(index, user, at)
        else:
            given = self.dataset.items.index(list(history))
            past = Ragged.of([given[given >= 0]])
        out = self.dataset.items.index(list(exclude))
        named: dict[str, Array] = dict(masks or {})
        for facet, values in self.window.chosen(facets).items():
            named[f"{facet}: {' or '.join(values)}"] = self.window.mask({facet: values})
        if user is not None and history is None:
            named |= self._less(str(user))
        rules = compile_rules(
            self.catalogue, 1, where=(where or "").strip() or None,
            exclude=Ragged.of([out[out >= 0]]) if len(out) else None, withhold_seen=withhold_seen,
        )  # fmt: skip
        if named:
            own = RuleSet(masks=np.stack(list(named.values())), names=tuple(named), withhold_seen=withhold_seen)
            rules = together(rules, own, 1)
        return Requests(
            user=np.array([index if history is None else -1], np.int32), history=past,
            query=None if query is None else [query], rules=rules, k=k,
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
        **asked: Any,
    ) -> Answer:
        """The answer to one request; the arguments are those of `request`."""
        started = time.perf_counter()
        at = self.now() if asked.get("at") is None else asked["at"]
        requests = self.request(user=user, history=history, query=query, exclude=exclude, **{**asked, "at": at})
        if not self.searches and hasattr(self.cascade, "active"):
            requests = replace(requests, query=None)
        reply = self.cascade.respond(requests, trace=True)
        trace = reply.trace[0] if reply.trace else Trace(request_id="")
        notes = []
        missing = [str(n) for n, i in zip(exclude, self.dataset.items.index(list(exclude)), strict=True) if i < 0]
        if missing:
            notes.append(f"{len(missing)} of the excluded items are not in this catalogue: {', '.join(missing[:5])}")
        if user is not None and history is None and requests.user[0] < 0 and not requests.history.lengths[0]:
            notes.append(f"nothing is known of {user!r}: answered as to a stranger")
        return self._remember(
            requests, reply.slates, trace, started, user=user, at=at, query=query, notes=tuple(notes),
            more=lambda shown: self.answer(
                user=user, history=history, query=query, exclude=[*exclude, *shown], **{**asked, "at": None}
            ),
        )  # fmt: skip

    def more(self, request_id: str) -> Answer:
        """The next items after those of an earlier answer, with whatever happened in between taken into account."""
        held = self.held(request_id)
        if held.more is None:
            raise NotHere(f"the answer {request_id!r} has no further items; ask again without a cursor")
        return held.more()

    def held(self, request_id: str) -> Answer:
        """An earlier answer, as long as it is among the last ones."""
        with self._lock:
            if request_id in self._answers:
                return self._answers[request_id]
        raise NotHere(
            f"no answer {request_id!r} is held; the engine keeps the last {self._keep}, expected the request_id of one"
        )

    def _remember(
        self, requests: Requests, slates: Slates, trace: Trace, started: float, *, user: Id | None, at: int,
        query: str | None, notes: tuple[str, ...], more: Callable[[list[Id]], Answer] | None,
    ) -> Answer:  # fmt: skip
        assert requests.draw is not None
        request_id = secrets.token_hex(8)
        shown = [self.dataset.items[item] for item, _ in slates.row(0)]
        answer = Answer(
            request_id=request_id, user=None if user is None else str(user), at=at, draw=int(requests.draw[0]),
            slates=slates, trace=replace(trace, request_id=request_id), seconds=time.perf_counter() - started,
            query=query, notes=notes, counts=self._counts(requests, trace, len(shown)),
            more=None if more is None or len(shown) < requests.k else lambda: more(shown),
        )  # fmt: skip
        with self._lock:
            self._answers[request_id] = answer
            while len(self._answers) > self._keep:
                self._answers.popitem(last=False)
        return answer

    def _counts(self, requests: Requests, trace: Trace, shown: int) -> dict[str, int]:
        """How many items each stage left, for the ribbon; one that does not say so left as many as the one before."""
        n = self.dataset.n_items
        allowed = int(self._allowed(requests).sum())
        said = {stage.name: stage.facts for stage in trace.stages}
        gave = [source.get("gave", 0) for source in said.get("retrieve", {}).get("sources", ())]
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

    def _history(self, index: int, user: Id | None, at: int) -> Ragged:
        """One row: the dataset's events of the person, then the live ones, in the dataset's columns."""
        past = self.dataset.histories(np.array([index], np.int32))
        if "time" in past and len(past["time"]):
            past = past.where(past["time"] <= at)
        live = [] if user is None else [e for e in self.touched(str(user)) if e.time <= at]
        item = self.dataset.items.index([e.item_id for e in live])
        known = item >= 0
        columns: dict[str, Sequence[float] | Array] = {
            "item": item, "time": [e.time for e in live], "kind": [self.kinds.index(e.event_type) for e in live],
            "value": [1.0 if e.value is None else e.value for e in live],
            "session": [(1 << 40) + zlib.crc32((e.session_id or "").encode()) for e in live],
        }  # fmt: skip
        joined = {
            name: np.concatenate([column, np.asarray(columns[name], column.dtype)[known]])
            for name, column in past.columns.items()
        }
        return Ragged(offsets=np.array([0, len(joined["item"])], np.int64), columns=joined)

    def touched(self, user: str) -> list[Happened]:
        """The live events that speak for an item, oldest first."""
        return [e for e in self.log.of(user) if e.event_type not in WITHDRAWN]

    def _less(self, user: str) -> dict[str, Array]:
        """One mask for each thing the person wants less of: it and its nearest are withheld."""
        out: dict[str, Array] = {}
        for event in self.log.of(user):
            item = int(self.dataset.items.index([event.item_id])[0])
            if event.event_type == "less" and item >= 0:
                if item not in self._unlike:
                    mask = np.ones(self.dataset.n_items, bool)
                    mask[[item, *(i for i, _ in self._near(item, LESS_LIKE)[0].row(0))]] = False
                    self._unlike[item] = mask
                out[f"less like {self.window.title(item)}"] = self._unlike[item]
        return out

    # --------------------------------------------------------------------------------------------------- similar

    def _near(self, item: int, n: int, allowed: Array | None = None) -> tuple[Slates, str]:
        """The n nearest items and what was compared: behaviour where a model has it, the catalogue's words if not."""
        if self.neighbours is not None:
            free = allowed is None or bool(allowed.all())
            try:
                slates = self.neighbours.similar_items(np.array([item], np.int32), n if free else self.dataset.n_items)
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
            requests, slates, trace, started, user=user, at=at, query=None, notes=(),
            more=lambda shown: self.similar(item, user=user, k=k, exclude=[*exclude, *shown], where=where),
        )  # fmt: skip

    def item(self, name: Id) -> int:
        """The index of an item; an unknown one is refused with the nearest names."""
        index = int(self.dataset.items.index([name])[0])
        if index < 0:
            raise unknown_item(name, self.dataset)
        return index

    def close(self) -> None:
        """Close the log's file."""
        self.log.close()


def unknown_item(name: Id, dataset: Dataset) -> NotHere:
    """The sentence for an item that is not in the catalogue."""
    close = nearest(str(name), [str(n) for n in dataset.items.names[:20000]])
    return NotHere(
        f"no item called {name!r}; " + (f"nearest: {close}" if close else f"this catalogue has {dataset.n_items} items")
    )


class _Ready:
    """A model that is fitted already: a cascade around it learns nothing anew."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, dataset: Dataset, **_: Any) -> _Ready:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def _reads(retriever: Any) -> bool:
    """Whether a retriever reads queries: its row in the systems' page says that it needs texts."""
    kind = type(retriever.model if isinstance(retriever, _Ready) else retriever)
    name = f"{kind.__module__.rpartition('.')[2]}:{kind.__name__}"
    return any(row.model == name and "texts" in row.needs for row in SYSTEMS.values())


def _slate(pairs: Sequence[tuple[int, float]]) -> Slates:
    return Slates(
        items=np.array([[i for i, _ in pairs]], np.int32).reshape(1, -1),
        scores=np.array([[s for _, s in pairs]], np.float32).reshape(1, -1),
    )
