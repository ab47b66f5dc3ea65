"""What people did, read from the log when they ask: whoever serves from one store knows the same of a person.

A person's events are read once and then only what came after, so what an answer costs does not grow with a history.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from interplay.data.store.happened import Happened, standing
from interplay.data.store.store import Head, Store

KEPT = 4096  # people whose events are remembered


@dataclass(frozen=True)
class _Read:
    row: int  # the log was read up to here
    people_version: int
    events: tuple[Happened, ...]
    standing: tuple[Happened, ...]


class Pasts:
    """The events of people as of a head of the log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: OrderedDict[str, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: str, head: Head) -> tuple[Happened, ...]:
        """Everything a person did and did not take back, oldest first."""
        return self._read(user, head).standing

    def undone(self, user: str, head: Head) -> list[str]:
        """The ids of events that the person took back."""
        return [e.undoes for e in self._read(user, head).events if e.undoes is not None]

    def _read(self, user: str, head: Head) -> _Read:
        with self._lock:
            held = self._held.get(user)
        if held is not None and held.people_version != head.people_version:
            held = None  # somebody was merged or erased: read anew
        if held is not None and held.row >= head.row:
            return held
        known = () if held is None else held.events
        fresh = self.store.of(user, known[-1].row if known else 0, head=head)
        if held is not None and not fresh:
            read = _Read(head.row, head.people_version, known, held.standing)
        else:
            events = (*known, *fresh)
            read = _Read(head.row, head.people_version, events, tuple(standing(events)))
        with self._lock:
            self._held[user] = read
            self._held.move_to_end(user)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return read
