"""Who does a piece of work of a tenant just now, so that nobody else does: for so long, or until it is given back."""

from __future__ import annotations

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store, now


class Leases:
    """The leases of one tenant."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` may do the work called `name` for so long, and nobody else.

        Asking again renews it; 0 seconds give it back.
        """
        c, at = t.leases.c, now()

        def work(connection: sa.Connection) -> bool:
            self.store.locked(connection)
            which = self.store.mine(t.leases) & (c.name == name)
            held = connection.execute(sa.select(c.holder, c.until).where(which)).first()
            if held is not None and held[0] != holder and held[1] > at:
                return False
            connection.execute(sa.delete(t.leases).where(which))
            if seconds > 0:
                until = at + round(seconds * 1e6)
                connection.execute(
                    sa.insert(t.leases), {"tenant": self.store.tenant, "name": name, "holder": holder, "until": until}
                )
            return True

        return self.store.database.write(work)
