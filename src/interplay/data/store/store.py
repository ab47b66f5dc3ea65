"""The store of one tenant: an append-only log, a catalogue and people, in one index space.

    store = Store.open("shop.db")                  # or postgresql://..., or nothing: in memory
    store.append([Happened(event_id="5f1c", user_id="17", item_id="lamp-3", event_type="click", time=...)])
    store.of("17"), store.tail(after=0)

An event that `append` has taken is durable, and is there once however often it is sent. Everything is asked for one
tenant: no method of a Store reads or writes another's rows.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.database import Database
from interplay.data.store.happened import SAID, Happened
from interplay.errors import BadData, UnknownName, nearest
from interplay.types import Id

if TYPE_CHECKING:
    from interplay.data.store.answered import Answered
    from interplay.data.store.experiments import Experiments
    from interplay.data.store.keys import Keys
    from interplay.data.store.leases import Leases
    from interplay.data.store.registry import Registry

CHUNK = 5000  # names asked for, and rows written, in one statement
KNOWN = 500_000  # names whose positions are remembered; more are asked for again
COUNTERS = ("last_row", "n_users", "n_items", "items_version", "people_version", "models")
DAY = 86_400_000_000  # microseconds
DEFAULT = "default"  # the tenant of a store that has only one


class Head(NamedTuple):
    """Where a tenant stands: equal heads mean that nothing has changed."""

    row: int  # of the newest event
    n_users: int
    n_items: int
    items_version: int
    people_version: int
    live: int | None  # the model version that serves


class Kept(NamedTuple):
    """What became of a batch of events."""

    kept: int
    repeated: int  # their ids were in the log already


class Entity(NamedTuple):
    """A user or an item as the store holds it."""

    position: int
    name: Id | None  # None: a person who was erased
    columns: Mapping[str, Any]
    version: int
    gone: bool  # a deleted item, an erased person

    @staticmethod
    def each(rows: Iterable[Sequence[Any]]) -> list[Entity]:
        """From rows of position, name, whole, columns, version, gone. All columns are read as one JSON text: thrice as
        fast as one by one."""
        held = list(rows)
        said = json.loads(f"[{','.join(row[3] or '{}' for row in held)}]")
        return [
            Entity(position, int(name) if whole and name is not None else name, columns, version, bool(gone))
            for (position, name, whole, _, version, gone), columns in zip(held, said, strict=True)
        ]


class Kind(NamedTuple):
    """Users or items: their table, and the columns that say the same of either."""

    table: sa.Table
    key: str  # the external id, in rows from outside
    given: str  # in the head: how many positions are given
    version: str  # in the head: of the last change
    gone: str  # in the table: erased, or deleted


KINDS = {
    "users": Kind(t.users, "user_id", "n_users", "people_version", "erased"),
    "items": Kind(t.items, "item_id", "n_items", "items_version", "deleted"),
}


def now() -> int:
    """Microseconds UTC on the machine's clock."""
    return time.time_ns() // 1000


class Store:
    """One tenant's part of a database; every method may be called from any thread."""

    def __init__(self, database: Database, tenant: str = DEFAULT, *, files: Path | None = None) -> None:
        if not tenant or len(tenant) > 64 or not all(c.isalnum() or c in "-_." for c in tenant) or tenant[0] == ".":
            raise BadData(f"a tenant is called {tenant!r}; expected up to 64 letters, digits, '-', '_' and '.'")
        self.database, self.tenant, self._files = database, tenant, files
        self._names: dict[str, dict[str, int]] = {"users": {}, "items": {}}
        self._seen: dict[str, int] = {"users": -1, "items": -1}  # the versions that these names were read at
        self._lock = threading.Lock()
        self._kept_at: int | None = None  # the moment of the newest row; None: not read yet
        self._people: OrderedDict[str, tuple[int, tuple[int, ...]]] = OrderedDict()
        fresh = {"tenant": tenant, "made_at": now(), **dict.fromkeys(COUNTERS, 0)}
        if not self.database.rows(sa.select(t.tenants.c.tenant).where(t.tenants.c.tenant == tenant)):
            self.database.write(lambda c: self.database.insert(c, t.tenants, [fresh], unless="tenant"))

    @staticmethod
    def open(where: str | Path | None = None, *, tenant: str = DEFAULT, files: Path | None = None) -> Store:
        """The store at a path or PostgreSQL URL, made or brought up to date where needed; in memory without one.

        `files` is where models and refused rows lie: beside an SQLite file by default, INTERPLAY_FILES for PostgreSQL.
        Errors: Mismatch for a database that a newer version wrote; BadData for what is no store.
        """
        return Store(Database(where), tenant, files=files)

    def within(self, tenant: str) -> Store:
        """The same database for another tenant."""
        return self if tenant == self.tenant else Store(self.database, tenant, files=self._files)

    def tenants(self) -> list[str]:
        """Who has a part of this database."""
        return [row[0] for row in self.database.rows(sa.select(t.tenants.c.tenant).order_by(t.tenants.c.tenant))]

    def close(self) -> None:
        """Write what waits and let the database go, for all its tenants."""
        self.database.close()

    @cached_property
    def keys(self) -> Keys:
        from interplay.data.store.keys import Keys

        return Keys(self)

    @cached_property
    def answered(self) -> Answered:
        from interplay.data.store.answered import Answered

        return Answered(self)

    @cached_property
    def experiments(self) -> Experiments:
        from interplay.data.store.experiments import Experiments

        return Experiments(self)

    @cached_property
    def leases(self) -> Leases:
        from interplay.data.store.leases import Leases

        return Leases(self)

    @cached_property
    def models(self) -> Registry:
        from interplay.data.store.registry import Registry

        return Registry(self)

    def files(self, *parts: str) -> Path:
        """A path below the tenant's own directory of files; made when missing."""
        root = (self._files or self.database.files()) / self.tenant
        path = root.joinpath(*parts)
        (path if not parts else path.parent).mkdir(parents=True, exist_ok=True)
        return path

    def mine(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The criterion that keeps a statement to this tenant's rows; every statement has it."""
        return table.c.tenant == self.tenant

    # --------------------------------------------------------------------------------------------------------- the log

    @cached_property
    def heading(self) -> sa.Select[Any]:
        """The query of the head."""
        c = t.tenants.c
        return sa.select(c.last_row, c.n_users, c.n_items, c.items_version, c.people_version, c.live).where(
            self.mine(t.tenants)
        )

    @cached_property
    def last_kept(self) -> sa.Select[Any]:
        """The query of when the newest row was kept."""
        e = t.events.c
        return sa.select(e.kept_at).where(self.mine(t.events)).order_by(e.row.desc()).limit(1)

    def head(self) -> Head:
        """Where the tenant stands now; the cheapest question there is."""
        rows = self.database.quickly(self.heading)
        if not rows:
            raise UnknownName(f"{self.database.said} has no tenant {self.tenant!r} any more")
        return Head(*rows[0])

    def locked(self, connection: sa.Connection) -> Head:
        """The head, held until the transaction ends: who writes comes after whoever wrote before."""
        row = connection.execute(self.heading.with_for_update()).one()
        return Head(*row)

    def moved(self, connection: sa.Connection, **head: Any) -> None:
        """Write new values into the head, which must be held."""
        connection.execute(sa.update(t.tenants).where(self.mine(t.tenants)).values(**head))

    def append(self, events: Sequence[Happened]) -> Kept:
        """Keep the events whose id is new, all of them durably or none. A repeated id is no event.

        Users and items that nobody has heard of get a place in the index space.
        """
        if not events:
            return Kept(0, 0)
        listed = list(events)
        return self.database.write(lambda connection: self._appended(connection, listed))

    def _appended(self, connection: sa.Connection, events: Sequence[Happened]) -> Kept:
        head = self.locked(connection)
        users, n_users = self.placed(connection, "users", [e.user_id for e in events], head)
        named = [e.item_id for e in events if e.item_id is not None]
        items, n_items = self.placed(connection, "items", named, head)
        at, kept = self._moment(connection), 0
        rows = [
            {
                "tenant": self.tenant, "row": row, "event_id": e.event_id, "user": users[str(e.user_id)],
                "item": None if e.item_id is None else items[str(e.item_id)], "event_type": e.event_type,
                "time": e.time, "kept_at": at, "value": e.value, "request_id": e.request_id,
                "session_id": e.session_id, "surface": e.surface, "undoes": e.undoes,
                "payload": None if e.payload is None else json.dumps(e.payload),
            }
            for row, e in enumerate(events, head.row + 1)
        ]  # fmt: skip
        for lo in range(0, len(rows), CHUNK):
            kept += self.database.insert(connection, t.events, rows[lo : lo + CHUNK], unless="tenant, event_id")
        more: dict[str, Any] = {"items_version": head.items_version + 1} if n_items > head.n_items else {}
        self.moved(connection, last_row=head.row + len(rows), n_users=n_users, n_items=n_items, **more)
        return Kept(kept, len(rows) - kept)

    def _moment(self, connection: sa.Connection) -> int:
        """When a batch is kept: now, or with the newest row while the clock is set back by less than a day."""
        if self._kept_at is None:
            self._kept_at = connection.execute(self.last_kept).scalar() or 0
        said = now()
        self._kept_at = self._kept_at if 0 < self._kept_at - said < DAY else said
        return self._kept_at

    def placed(
        self, connection: sa.Connection, kind: str, names: Iterable[Id], head: Head
    ) -> tuple[dict[str, int], int]:
        """Positions of all names, given here to those that have none, and how many positions are given now."""
        of = KINDS[kind]
        wanted = {str(n): isinstance(n, int) for n in names}
        found = self._known(connection, kind, list(wanted), head)
        fresh = [n for n in wanted if n not in found]
        given: int = getattr(head, of.given)
        if fresh:
            version = 0 if kind == "users" else head.items_version + 1  # a new name alone says nothing of a person
            same = {"tenant": self.tenant, "version": version, of.gone: False}
            rows = [{**same, "position": p, "name": n, "whole": wanted[n]} for p, n in enumerate(fresh, given)]
            self.database.insert(connection, of.table, rows)
            found |= {n: p for p, n in enumerate(fresh, given)}
        return found, given + len(fresh)

    def _known(self, connection: sa.Connection, kind: str, names: Sequence[str], head: Head) -> dict[str, int]:
        """Positions of the names that have one. What was read from committed rows is remembered until names change."""
        of = KINDS[kind]
        version, given = getattr(head, of.version), getattr(head, of.given)
        with self._lock:
            if self._seen[kind] != version or len(self._names[kind]) > KNOWN:
                self._names[kind], self._seen[kind] = {}, version
            held = self._names[kind]
            found = {n: held[n] for n in names if n in held}
        missing = [n for n in names if n not in found]
        for lo in range(0, len(missing), CHUNK):
            read = self.database.positions(connection, of.table, self.tenant, missing[lo : lo + CHUNK])
            found |= read
            with self._lock:  # what this very transaction made is read too, and may yet be rolled back
                if self._seen[kind] == version:
                    self._names[kind] |= {n: p for n, p in read.items() if p < given}
        return found

    @cached_property
    def _events(self) -> sa.Select[Any]:
        e, u, i = t.events.c, t.users.c, t.items.c
        return (  # outer joins, so that SQLite begins with the events
            sa.select(
                e.event_id, u.name, e.event_type, e.time, i.name, e.value, e.request_id, e.session_id, e.surface,
                e.undoes, e.payload, e.row, e.user, e.item,
            )
            .select_from(t.events)
            .outerjoin(t.users, (u.tenant == e.tenant) & (u.position == e.user))
            .outerjoin(t.items, (i.tenant == e.tenant) & (i.position == e.item))
            .where(self.mine(t.events))
        )  # fmt: skip

    def _told(self, rows: Iterable[Any]) -> list[Happened]:
        return [
            Happened(
                event_id=r[0], user_id=r[1], event_type=r[2], time=r[3], item_id=r[4], value=r[5], request_id=r[6],
                session_id=r[7], surface=r[8], undoes=r[9], payload=None if r[10] is None else json.loads(r[10]),
                row=r[11], user=r[12], item=-1 if r[13] is None else r[13],
            )
            for r in rows
        ]  # fmt: skip

    @cached_property
    def _tail(self) -> sa.Select[Any]:
        row = t.events.c.row
        return self._events.where(row > sa.bindparam("after")).order_by(row).limit(sa.bindparam("most"))

    def tail(self, after: int = 0, limit: int = 10_000) -> list[Happened]:
        """Events in the order of the log, after row `after`; whoever goes on from the last row misses none."""
        return self._told(self.database.rows(self._tail, {"after": after, "most": limit}))

    def log(self, after: int = 0, *, chunk: int = 10_000) -> Iterator[Happened]:
        """The whole log from a row on, read in chunks."""
        while part := self.tail(after, chunk):
            yield from part
            after = part[-1].row

    @cached_property
    def _of(self) -> sa.Select[Any]:
        e = t.events.c
        said = sa.or_(e.undoes.is_not(None), *(e.event_type == kind for kind in sorted(SAID)))
        part = (e.row > sa.bindparam("after")) & ((e.row > sa.bindparam("since")) | said)
        return self._events.where(e.user == sa.bindparam("who"), part).order_by(e.row)

    def of(self, user_id: Id, after: int = 0, *, head: Head | None = None, since: int = 0) -> list[Happened]:
        """Everything the person did after a row, in the order of the log, and what was done under names merged in.

        `head` is the tenant's head where the caller has just asked for it. Of what is not after row `since` only what
        was said comes, takings-back among it.
        """
        who = self.positions(str(user_id), head)
        asked = {"after": after, "since": since}
        rows = [row for p in who for row in self.database.quickly(self._of, {"who": p, **asked})]
        return self._told(sorted(rows, key=lambda row: row[11]) if len(who) > 1 else rows)

    @cached_property
    def _same(self) -> sa.CompoundSelect[Any]:
        """Positions of a name and of those merged into it; two queries, since an OR would walk all users."""
        u, merged = t.users.c, t.users.alias()
        own = sa.select(u.position).where(self.mine(t.users), u.name == sa.bindparam("name"))
        into = (merged.c.tenant == self.tenant, merged.c.merged_into == own.scalar_subquery())
        return own.union_all(sa.select(merged.c.position).where(*into))

    def positions(self, user_id: str, head: Head | None = None) -> tuple[int, ...]:
        """The person's own position and those of the names that were merged into it; nothing for an unknown one."""
        version = (head or self.head()).people_version
        with self._lock:
            held = self._people.get(user_id)
        if held is not None and held[0] == version:
            return held[1]
        found = tuple(sorted(row[0] for row in self.database.quickly(self._same, {"name": user_id})))
        if found:
            with self._lock:
                self._people[user_id] = version, found
                while len(self._people) > 10_000:
                    self._people.popitem(last=False)
        return found

    def event(self, event_id: str) -> Happened | None:
        """One event by its client's id."""
        told = self._told(self.database.rows(self._events.where(t.events.c.event_id == event_id)))
        return told[0] if told else None

    def about(self, item_id: Id) -> list[Happened]:
        """Every event about an item, in the order of the log; reads the whole log, so it is no part of an answer."""
        query = self._events.where(t.items.c.name == str(item_id)).order_by(t.events.c.row)
        return self._told(self.database.rows(query))

    def count(self) -> int:
        """How many events the log holds."""
        return self.database.rows(sa.select(sa.func.count()).select_from(t.events).where(self.mine(t.events)))[0][0]

    # ------------------------------------------------------------------------------------------- the catalogue, people

    def put_items(self, rows: Sequence[Mapping[str, Any]], *, patch: bool = False) -> int:
        """Describe items: rows of item_id and any columns; the number of new ones.

        What was said of an item before is replaced, or with `patch` kept where the row is silent. A deleted item that
        is described again is back, in its old place.
        """
        return self._put("items", rows, patch)

    def put_users(self, rows: Sequence[Mapping[str, Any]], *, patch: bool = False) -> int:
        """Describe users: rows of user_id and any columns; otherwise as `put_items`."""
        return self._put("users", rows, patch)

    def _put(self, kind: str, rows: Sequence[Mapping[str, Any]], patch: bool) -> int:
        table, key, given_in, versioned, gone = KINDS[kind]
        told: dict[str, dict[str, Any]] = {}
        whole: dict[str, bool] = {}
        for place, row in enumerate(rows):
            name = row.get(key)
            if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
                raise BadData(f"row {place} has {key} {name!r}; expected a string or an integer")
            said = {k: v for k, v in row.items() if k != key}
            told[str(name)] = told.get(str(name), {}) | said if patch else said
            whole[str(name)] = isinstance(name, int)
        if not told:
            return 0

        def work(connection: sa.Connection) -> int:
            head = self.locked(connection)
            version = getattr(head, versioned) + 1
            names = [int(n) if whole[n] else n for n in told]
            found, given = self.placed(connection, kind, names, head)
            before = self._described(connection, table, list(found.values())) if patch else {}
            revive: dict[str, Any] = {gone: False} if kind == "items" else {}  # who was erased has no name any more
            change = (
                sa.update(table)
                .where(self.mine(table), table.c.position == sa.bindparam("at"))
                .values(columns=sa.bindparam("said"), version=version, **revive)
            )
            values = [
                {"at": found[n], "said": json.dumps(before.get(found[n], {}) | said, default=str)}
                for n, said in told.items()
            ]
            for lo in range(0, len(values), CHUNK):
                connection.execute(change, values[lo : lo + CHUNK])
            self.moved(connection, **{given_in: given, versioned: version})
            return given - getattr(head, given_in)

        return self.database.write(work)

    def _described(self, connection: sa.Connection, table: sa.Table, at: Sequence[int]) -> dict[int, dict[str, Any]]:
        out: dict[int, dict[str, Any]] = {}
        for lo in range(0, len(at), CHUNK):
            query = sa.select(table.c.position, table.c.columns).where(
                self.mine(table), table.c.position.in_(at[lo : lo + CHUNK])
            )
            out |= {p: json.loads(said) for p, said in connection.execute(query) if said}
        return out

    def items(self, *, since: int = -1) -> list[Entity]:
        """The catalogue in the order of the index space, or what changed in it after version `since`."""
        return self._entities("items", since)

    def users(self, *, since: int = -1) -> list[Entity]:
        """Everybody in the order of the index space, or who was described or erased after version `since`."""
        return self._entities("users", since)

    def _entities(self, kind: str, since: int) -> list[Entity]:
        query, c = self._entity_rows(kind), KINDS[kind].table.c
        rows = self.database.rows((query.where(c.version > since) if since >= 0 else query).order_by(c.position))
        return Entity.each(rows)

    def _entity_rows(self, kind: str) -> sa.Select[Any]:
        """The query of what `Entity.each` reads."""
        c = KINDS[kind].table.c
        return sa.select(c.position, c.name, c.whole, c.columns, c.version, c[KINDS[kind].gone]).where(
            self.mine(KINDS[kind].table)
        )

    def item(self, item_id: Id) -> Entity:
        """One item, deleted or not; an unknown one is refused with the nearest names."""
        return self._entity("items", item_id)

    def user(self, user_id: Id) -> Entity:
        """One user; an unknown one is refused."""
        return self._entity("users", user_id)

    def _entity(self, kind: str, name: Id) -> Entity:
        c = KINDS[kind].table.c
        rows = self.database.rows(self._entity_rows(kind).where(c.name == str(name)))
        if not rows:
            some = sa.select(c.name).where(self.mine(KINDS[kind].table), c.name.is_not(None)).limit(20_000)
            listed = [row[0] for row in self.database.rows(some)] if kind == "items" else []  # people are not offered
            close = nearest(str(name), listed)
            raise UnknownName(f"no {kind[:-1]} called {name!r}" + (f"; nearest: {close}" if close else ""))
        return Entity.each(rows[:1])[0]

    def delete_items(self, names: Sequence[Id]) -> int:
        """Never show these again; the number of those that were there. What people did with them stays in the log."""
        known = [str(n) for n in names]
        c = t.items.c

        def work(connection: sa.Connection) -> int:
            version = self.locked(connection).items_version + 1
            gone = 0
            for lo in range(0, len(known), CHUNK):
                which = (self.mine(t.items), c.name.in_(known[lo : lo + CHUNK]), c.deleted.is_(False))
                gone += connection.execute(
                    sa.update(t.items).where(*which).values(deleted=True, version=version)
                ).rowcount
            if gone:
                self.moved(connection, items_version=version)
            return gone

        return self.database.write(work)

    def rename_item(self, old: Id, new: Id) -> None:
        """Give an item another external id; its place, its history and what models know of it stay."""
        if not str(new):
            raise BadData("an item cannot be renamed to nothing; expected a string or an integer")
        c = t.items.c

        def work(connection: sa.Connection) -> None:
            version = self.locked(connection).items_version + 1
            if connection.execute(sa.select(c.position).where(self.mine(t.items), c.name == str(new))).first():
                raise BadData(f"there is an item {new!r} already; delete or rename that one first")
            done = connection.execute(
                sa.update(t.items)
                .where(self.mine(t.items), c.name == str(old))
                .values(name=str(new), whole=isinstance(new, int), version=version)
            ).rowcount
            if not done:
                raise UnknownName(f"no item called {old!r} to rename")
            self.moved(connection, items_version=version)

        self.database.write(work)
