"""What people did, read from the log when they ask: whoever serves from one store knows the same of a person.

A person's events are read once and then only what came after, so what an answer costs does not grow with a history. The
history of a request is that of the scene's data set with what happened since laid over it: of what is older an answer
needs only what the person said.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from interplay.data.store.happened import SAID, Happened, standing
from interplay.data.store.store import Head, Store
from interplay.recipe import ServingConfig
from interplay.serve.scene import Scene
from interplay.types import Array, Id, Ragged

DAY = 86_400_000_000  # microseconds
KEPT = 4096  # people whose events are remembered


@dataclass(frozen=True)
class _Read:
    row: int  # the log was read up to here
    people_version: int
    since: int  # of what is not after this row, only what was said
    events: tuple[Happened, ...]
    standing: tuple[Happened, ...]


class Pasts:
    """The events of people as of a head of the log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: OrderedDict[str, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: str, head: Head, since: int = 0) -> tuple[Happened, ...]:
        """What a person did and did not take back, oldest first: everything after a row, and all that was said."""
        return self._read(user, head, since).standing

    def undone(self, user: str, head: Head, since: int = 0) -> list[str]:
        """The ids of events that the person took back."""
        return [e.undoes for e in self._read(user, head, since).events if e.undoes is not None]

    def _read(self, user: str, head: Head, since: int) -> _Read:
        with self._lock:
            held = self._held.get(user)
        if held is not None and (held.people_version != head.people_version or held.since > since):
            held = None  # somebody was merged or erased, or more is asked for: read anew
        if held is not None and held.row >= head.row:
            return held
        known: tuple[Happened, ...] = ()
        upto = 0
        if held is not None:  # what was read may reach beyond the head of that time
            known, since = held.events, held.since
            upto = max(held.row, known[-1].row) if known else held.row
        fresh = self.store.of(user, upto, head=head, since=since)
        if held is not None and not fresh:
            read = replace(held, row=head.row)
        else:
            events = (*known, *fresh)
            read = _Read(head.row, head.people_version, since, events, tuple(standing(events)))
        with self._lock:
            self._held[user] = read
            self._held.move_to_end(user)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return read

    # ---------------------------------------------------------------------------------------- histories of requests

    def history(self, scene: Scene, user: Id | None, at: int, head: Head) -> Ragged:
        """One row: the data set's events of the person, then those since it was read, in the data set's columns."""
        dataset, live = scene.dataset, list[Happened]()
        index = -1 if user is None else int(dataset.users.index([user])[0])
        past = dataset.histories(np.array([index], np.int32))
        if user is not None:
            live = [e for e in self.of(str(user), head, scene.after) if e.time <= at and fresh(e, scene)]
            past = self._mended(past, scene, str(user), index, head)
        if "time" in past and len(past["time"]):
            past = past.where(past["time"] <= at)
        kinds = {kind: code for code, kind in enumerate(scene.kinds)}
        columns: dict[str, Sequence[float]] = {
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

    def _mended(self, past: Ragged, scene: Scene, user: str, index: int, head: Head) -> Ragged:
        """A history of the data set with what happened to it since: other names merged in, events taken back."""
        others = [p for p in self.store.positions(user, head) if p != index and p < scene.dataset.n_users]
        if others:
            parts = [past, *(scene.dataset.histories(np.array([p], np.int32)) for p in others)]
            joined = {name: np.concatenate([part[name] for part in parts]) for name in past.columns}
            order = np.argsort(joined["time"], kind="stable") if "time" in joined else np.arange(len(joined["item"]))
            offsets = np.array([0, len(order)], np.int64)
            past = Ragged(offsets=offsets, columns={name: column[order] for name, column in joined.items()})
        if "time" in past and scene.after:
            for event_id in self.undone(user, head, scene.after):
                event = self.store.event(event_id)
                if event is not None and event.row <= scene.after:
                    past = past.where((past["item"] != event.item) | (past["time"] != event.time))
        return past


def fresh(event: Happened, scene: Scene) -> bool:
    """Whether an event speaks for an item and came after the scene's data set was read."""
    return event.row > scene.after and event.event_type not in SAID and 0 <= event.item < scene.dataset.n_items


def withheld(past: Ragged, at: int, serving: ServingConfig, kinds: Sequence[str]) -> Array:
    """int32[]: items of a history that are not shown again, by the recipe's [serving]."""
    kept = np.full(len(past["item"]), serving.withhold != "nothing")
    if serving.withhold == "bought" and "kind" in past:
        kept &= np.isin(past["kind"], [code for code, kind in enumerate(kinds) if kind in serving.bought])
    if serving.again is not None and "time" in past:
        kept &= past["time"] > at - round(serving.again * DAY)
    return past["item"][kept]
