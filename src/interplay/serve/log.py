"""The live log: what people did since the model was fitted. Append-only, idempotent by the client's event id.

With a path it is an SQLite file in WAL mode with synchronous = FULL: an acknowledged event survives `kill -9`. Without
one it lives in memory. Nothing is ever changed in it: taking something back is an event too (`undo`).
"""

from __future__ import annotations

import bisect
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from interplay.errors import BadData


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One event in external ids."""

    event_id: str
    user_id: str
    item_id: str
    event_type: str
    time: int  # microseconds UTC, on the engine's clock
    value: float | None = None
    request_id: str | None = None
    session_id: str | None = None
    surface: str | None = None
    undoes: str | None = None


COLUMNS = tuple(f.name for f in fields(Happened))
SCHEMA = 1


class Log:
    """Events by person, oldest first."""

    def __init__(self, path: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.people: dict[str, list[Happened]] = {}
        self.known: dict[str, Happened] = {}
        self.undone: set[str] = set()
        self.file = None if path is None else self._open(path)
        if self.file is not None:
            for row in self.file.execute(f"SELECT {', '.join(COLUMNS)} FROM events ORDER BY row"):
                self._remember(Happened(**dict(zip(COLUMNS, row, strict=True))))

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = sqlite3.connect(path, check_same_thread=False)
            found = file.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, SCHEMA):
                raise BadData(f"{path} is an event log of version {found}; this program writes version {SCHEMA}")
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = FULL")
            file.execute(
                "CREATE TABLE IF NOT EXISTS events (row INTEGER PRIMARY KEY AUTOINCREMENT, "
                "event_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT NOT NULL, "
                "event_type TEXT NOT NULL, time INTEGER NOT NULL, value REAL, request_id TEXT, session_id TEXT, "
                "surface TEXT, undoes TEXT)"
            )
            file.execute(f"PRAGMA user_version = {SCHEMA}")
            file.commit()
        except sqlite3.DatabaseError as wrong:
            raise BadData(f"{path} is no event log ({wrong}); name another file, or move this one away") from wrong
        return file

    def _remember(self, event: Happened) -> None:
        self.known[event.event_id] = event
        if event.undoes is not None:
            self.undone.add(event.undoes)
        bisect.insort(self.people.setdefault(event.user_id, []), event, key=lambda e: e.time)

    def append(self, events: Sequence[Happened]) -> int:
        """Keep the events whose id is new, all of them durably or none; the number kept. A repeated id is no event."""
        with self.lock:
            fresh: dict[str, Happened] = {}
            for event in events:
                if event.event_id not in self.known:
                    fresh.setdefault(event.event_id, event)
            if self.file is not None and fresh:
                marks = ", ".join("?" * len(COLUMNS))
                with self.file:
                    self.file.executemany(
                        f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({marks})", map(astuple, fresh.values())
                    )
            for event in fresh.values():
                self._remember(event)
            return len(fresh)

    def of(self, user_id: str) -> list[Happened]:
        """What the person did and did not take back, oldest first."""
        with self.lock:
            events: Iterable[Happened] = self.people.get(user_id, ())
            return [e for e in events if e.undoes is None and e.event_id not in self.undone]

    def latest(self) -> int:
        """The time of the newest event, 0 for an empty log."""
        with self.lock:
            return max((events[-1].time for events in self.people.values()), default=0)

    def __len__(self) -> int:
        return len(self.known)

    def close(self) -> None:
        with self.lock:
            if self.file is not None:
                self.file.close()
                self.file = None
