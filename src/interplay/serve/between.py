"""Learning between two fits: what happens acts on the live model at once, as far as its parts can learn so.

Sources with `partial_fit` count new events; a policy that explores hears of every page that was answered: what was
clicked on it counts at once, what was not counts when the log goes on `wait` seconds after it was shown. A
click that comes later still counts, beside the place that was taken for unwanted before.

What has been learnt follows from the log alone: whoever reads it in order from the row that the model was fitted at
believes the same, so replicas end equal and a restart arrives where it was. It is learnt on a copy, which takes the
place of what is served from in one step. A failure is counted and told; the log is read again from there a little
later, and every request is answered as before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.data.pages import WIDE, Pages
from interplay.data.store import shown
from interplay.data.store.happened import SAID, Happened
from interplay.data.store.shown import Page
from interplay.data.store.store import Store
from interplay.serve.scene import Learnt, Scene
from interplay.serve.watch import Watch
from interplay.types import Array, Events, Ragged, Requests, Trace

log = logging.getLogger("interplay.engine")

ROWS = 1000  # of the log, learnt at once
PATIENCE = 5.0  # seconds that a click waits for its page, which another process may be about to write
LONGEST = 60.0  # seconds between two tries after failures
DAY = 86_400_000_000  # microseconds
SECOND = 1_000_000
NOTHING: frozenset[int] = frozenset()


class Between:
    """Keeps the scene of a watch up with the log."""

    def __init__(self, store: Store, watch: Watch, clock: Callable[[], int], *, inside: bool) -> None:
        """`clock` is the engine's; `inside`: the store's log holds the data set's own events too."""
        self.store, self.watch, self.clock, self.inside = store, watch, clock, inside
        self.events, self.failures = 0, 0  # since the start: learnt from, and times that it went wrong
        self.problem = ""  # what went wrong last, until it goes well again
        self._missed: dict[str, float] = {}  # request -> when its page was looked for first
        self._woken, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float | None:
        """In how many seconds the live model learns; None where it does not."""
        scene = self.watch.scene
        return None if scene.learnt is None else scene.learning.between

    @property
    def behind(self) -> int:
        """Rows of the log that are not learnt yet, as of the last look at it."""
        learnt = self.watch.scene.learnt
        return 0 if learnt is None else max(self.watch.head.row - learnt.row, 0)

    # ----------------------------------------------------------------------------------------------------------- when

    def wake(self) -> None:
        """There may be something new: it is learnt within `seconds`, beside whatever is asked meanwhile."""
        if self.seconds is None or self._ended.is_set():
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
                self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """Learn nothing more."""
        self._ended.set()
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        wait = 0.0
        while not self._ended.is_set():
            if not wait:
                self._woken.wait()
            self._woken.clear()
            if self._ended.wait(max(wait, self.seconds or 0.0)):
                return
            whole = self.catch_up()
            wait = 0.0 if whole else min(max(2 * wait, 1.0), LONGEST)

    def catch_up(self) -> bool:
        """Learn everything up to the log's end; False where something is in the way and it should be tried again."""
        try:
            while self._step():
                pass
        except Exception as problem:
            self.failures += 1
            self.problem = f"{type(problem).__name__}: {problem}"
            log.exception("learning between fits stops at row %d of the log; it is tried again", self._row())
            return False
        self.problem = ""
        return not self._missed

    def _row(self) -> int:
        learnt = self.watch.scene.learnt
        return 0 if learnt is None else learnt.row

    def _step(self) -> bool:
        """Learn the next rows and serve from what that gives; whether there may be more."""
        scene = self.watch.scene
        if scene.learnt is None or scene.learning.between is None:
            return False
        fresh = self.advanced(scene)
        if fresh is scene:
            return False
        if self.watch.swap(scene, fresh) and fresh.learnt is not None:
            self.events += fresh.learnt.events - scene.learnt.events
        return True  # where another scene came meanwhile it is learnt again, from there

    # ----------------------------------------------------------------------------------------------------------- what

    def arrived(self, scene: Scene) -> Scene:
        """A scene that nobody is served from yet, once it has learnt everything up to the log's end."""
        while (fresh := self.advanced(scene)) is not scene:
            scene = fresh
        return scene

    def advanced(self, scene: Scene) -> Scene:
        """The scene with the next rows of the log learnt; itself where there are none."""
        learnt = scene.learnt
        if learnt is None or scene.learning.between is None:
            return scene
        heard = _Hearing(self, scene, learnt, self.store.tail(learnt.row, ROWS))
        if not heard.rows:
            return scene
        events, answered = _events(heard.rows, scene), list(heard.answered())
        cascade = scene.cascade.taught(events, answered)  # type: ignore[attr-defined]
        cascade.respond(Requests.strangers([[]], k=1), trace=False)  # what is derived is made here, not while asked
        position = replace(
            heard.learnt, row=heard.rows[-1].row, events=learnt.events + len(events), pages=learnt.pages + heard.pages
        )
        return scene.taught(cascade, position)

    def found(self, events: Sequence[Happened]) -> tuple[dict[str, Page], set[str]]:
        """The pages that events answer, by request, and the requests whose pages may be on their way."""
        wanted = list(dict.fromkeys(e.request_id for e in events if e.request_id is not None))
        held = shown.pages(self.store, wanted)
        if len(held) < len(wanted):
            self.store.database.flush()  # this process may be about to write them
            held |= shown.pages(self.store, [r for r in wanted if r not in held])
        now, soon = time.monotonic(), self.clock() - round(PATIENCE * SECOND)
        fresh = {e.request_id for e in events if e.request_id not in held and e.time > soon}
        self._missed = {r: self._missed.get(r, now) for r in fresh if r is not None}
        return held, {r for r, since in self._missed.items() if now - since < PATIENCE}

    def requests(self, scene: Scene, pages: Sequence[Page], row: int) -> Requests:
        """What was known of each page's person when it was made, as far as the log told by a row."""
        own = [-1 if page.policy == "holdout" else page.user for page in pages]
        told = shown.past(self.store, own, row)
        kinds = {kind: code for code, kind in enumerate(scene.kinds)}
        base = scene.dataset.histories(np.array(own, np.int32)) if not self.inside else None
        items: list[Array] = []
        codes: list[Array] = []
        for i, (page, user) in enumerate(zip(pages, own, strict=True)):
            past = [d for d in told.get(user, ()) if d.time < page.time and d.event_type not in SAID]
            item, kind = [d.item for d in past], [kinds.get(d.event_type, -1) for d in past]
            before = base.row(i) if base is not None else {}
            if "item" in before:
                kept = before["time"] < page.time if "time" in before else np.ones(len(before["item"]), bool)
                item = [*before["item"][kept].tolist(), *item]
                kind = [*(before["kind"][kept].tolist() if "kind" in before else [-1] * int(kept.sum())), *kind]
            items.append(np.array(item, np.int32))
            codes.append(np.array(kind, np.int16))
        offsets = np.concatenate([[0], np.cumsum([len(i) for i in items])]).astype(np.int64)
        history = Ragged(offsets=offsets, columns={"item": np.concatenate(items), "kind": np.concatenate(codes)})
        return Requests(user=np.array(own, np.int32), history=history)


class _Hearing:
    """What some rows of the log tell of the pages that were shown."""

    def __init__(self, between: Between, scene: Scene, learnt: Learnt, rows: Sequence[Happened]) -> None:
        self.between, self.scene, self.learnt, self.pages = between, scene, learnt, 0  # pages that were learnt from
        policy = getattr(scene.cascade, "trier", None)
        self.kinds: tuple[str, ...] = ()
        if policy is not None:
            known, wanted = scene.dataset.events.kinds, policy.config.kinds
            none = bool(known) and not set(wanted) & set(known)
            self.kinds = tuple(k for k in scene.kinds if k not in SAID) if none else tuple(wanted)
        clicks = [e for e in rows if self._wanted(e)]
        self.held, late = between.found(clicks)
        stop = next((i for i, e in enumerate(rows) if self._wanted(e) and e.request_id in late), len(rows))
        self.rows = rows[:stop]  # what can be heard now
        self.kept = shown.kept_at(between.store, learnt.row, self.rows[-1].row) if self.rows else {}

    def answered(self) -> Iterator[tuple[Pages, Requests]]:
        """Pages and parts of pages in the order in which they are to be learnt; after them `learnt` is up to date."""
        if not self.kinds:
            return
        back, closed = self.learnt.lag + round(self.scene.learning.wait * SECOND), self.learnt.closed
        clicked, at = dict(self.learnt.clicked), 0
        old = shown.pages_between(self.between.store, closed, max(self.kept.values()) - back)
        for event in self.rows:
            clock = self.kept[event.row]
            page = self.held.get(event.request_id or "") if self._wanted(event) else None
            if page is not None and event.item in page.items:
                when, done = clicked.get(page.request_id, (clock, NOTHING))
                done = done if when > clock - DAY else NOTHING
                if event.item not in done:
                    clicked[page.request_id] = clock, done | {event.item}
                    yield self._learnt([page], [frozenset({event.item})], event.row, wanted=True)
            closed, first = max(closed, clock - back), at
            while at < len(old) and old[at].time <= closed:
                at += 1
            if at > first:
                left = [frozenset(p.items) - clicked.get(p.request_id, (0, NOTHING))[1] for p in old[first:at]]
                yield self._learnt(old[first:at], left, event.row, wanted=False)
        kept = {r: (when, done) for r, (when, done) in clicked.items() if when > clock - DAY}
        self.learnt = replace(self.learnt, closed=closed, clicked=kept)

    def _wanted(self, event: Happened) -> bool:
        return event.event_type in self.kinds and event.request_id is not None and event.item >= 0

    def _learnt(
        self, pages: Sequence[Page], which: Sequence[frozenset[int]], row: int, *, wanted: bool
    ) -> tuple[Pages, Requests]:
        """Some items of some pages at their places, all of them clicked or none."""
        wide = max(min(len(p.items), WIDE) for p in pages)
        items = np.full((len(pages), 1, wide), -1, np.int32)
        for i, (page, own) in enumerate(zip(pages, which, strict=True)):
            seen: set[int] = set()
            for place, item in enumerate(page.items[:wide]):
                if item in own and item not in seen:  # an item that stands twice counts where it stands first
                    items[i, 0, place] = item
                    seen.add(item)
        self.pages += len(pages)
        told = Pages(items=items, clicked=(items >= 0) & wanted, n_items=self.scene.dataset.n_items)
        return told, self.between.requests(self.scene, pages, row)


def _events(rows: Sequence[Happened], scene: Scene) -> Events:
    """What people did with items, in the order of the log for each of them."""
    held = [e for e in rows if e.event_type not in SAID and e.item >= 0]
    kinds = {kind: code for code, kind in enumerate(scene.kinds)}
    order = np.argsort([e.user for e in held], kind="stable") if held else np.zeros(0, np.int64)
    columns: dict[str, Any] = {
        "user": np.array([e.user for e in held], np.int32), "item": np.array([e.item for e in held], np.int32),
        "time": np.array([e.time for e in held], np.int64),
        "value": np.array([1.0 if e.value is None else e.value for e in held], np.float32),
        "kind": np.array([kinds.get(e.event_type, -1) for e in held], np.int16),
    }  # fmt: skip
    return Events(**{name: column[order] for name, column in columns.items()}, kinds=scene.kinds)


def told(trace: Trace, scene: Scene, between: Between) -> Trace:
    """The trace with a sentence on what the model has learnt since its fit."""
    learnt = scene.learnt
    if learnt is None or scene.learning.between is None or not trace.stages:
        return trace
    facts: dict[str, Any] = {"events": learnt.events, "pages": learnt.pages, "row": learnt.row}
    last = trace.stages[-1]
    said = f" Since its fit the model has learnt from {learnt.events:,} event{'s' * (learnt.events != 1)}"
    said += f" and {learnt.pages:,} answered page{'s' * (learnt.pages != 1)}." if learnt.pages else "."
    if not learnt.events and not learnt.pages:
        said = ""
    if between.problem:
        facts |= {"behind": between.behind, "problem": between.problem}
        said += f" What happened since is not learnt yet ({between.problem}); it is tried again."
    stage = replace(last, said=last.said + said, facts={**last.facts, "learnt": facts})
    return replace(trace, stages=(*trace.stages[:-1], stage))
