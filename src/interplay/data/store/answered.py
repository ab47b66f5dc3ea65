"""What was answered: what stood on a page, and how that came about.

Both are written a moment later, in the transactions of others; a crash may lose the last fraction of a second of them.

    store.answered.shown(rows, user="17")              # impressions, as schema.impressions has them
    store.answered.traced("a41f", made, user="17", time=...)
    store.answered.trace("a41f")
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store
from interplay.ops.jsons import encoded
from interplay.types import Id


class Answered:
    """Impressions and traces of one tenant."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def shown(self, rows: Sequence[Mapping[str, Any]], *, user: Id | None) -> None:
        """Keep impressions, within a moment: the columns of `schema.impressions` but tenant and user."""
        if rows:
            self._later(user, list(rows))

    def traced(self, request_id: str, trace: Callable[[], Any], *, user: Id | None, time: int) -> None:
        """Keep a trace, within a moment; `trace` is called for its JSON when it is written."""
        self._later(user, (request_id, time, trace))

    def _later(self, user: Id | None, what: Any) -> None:
        self.store.database.write_later((self.store.tenant, "answered"), self._answered, (user, what))

    def _answered(self, connection: sa.Connection, told: Sequence[tuple[Id | None, Any]]) -> None:
        """Write impressions and traces; the people of both are looked up together."""
        at: dict[Any, int | None] = {None: None, **self._people_placed(connection, [user for user, _ in told])}
        shown, traced = list[dict[str, Any]](), list[dict[str, Any]]()
        for user, what in told:
            mine = {"tenant": self.store.tenant, "user": at[None if user is None else str(user)]}
            if isinstance(what, tuple):
                request_id, time, trace = what
                body = zlib.compress(encoded(trace()), 1)
                traced.append({**mine, "request_id": request_id, "time": time, "body": body})
            else:
                shown += [{**row, **mine} for row in what]
        self.store.database.insert(connection, t.impressions, shown, unless='tenant, request_id, "row", slot')
        self.store.database.insert(connection, t.traces, traced, unless="tenant, request_id")

    def _people_placed(self, connection: sa.Connection, users: Sequence[Id | None]) -> dict[str, int]:
        """Positions of people, given where they have none."""
        named = [user for user in users if user is not None]
        if not named:
            return {}
        head = self.store.locked(connection)
        at, n_users = self.store.placed(connection, "users", named, head)
        if n_users > head.n_users:
            self.store.moved(connection, n_users=n_users)
        return at

    def trace(self, request_id: str) -> dict[str, Any] | None:
        """A trace that was kept, or None. What is about to be written is found a moment later."""
        query = sa.select(t.traces.c.body).where(self.store.mine(t.traces), t.traces.c.request_id == request_id)
        rows = self.store.database.rows(query)
        return json.loads(zlib.decompress(rows[0][0])) if rows else None
