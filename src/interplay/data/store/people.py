"""People: everything that is held of one, two names that are one person, and erasing one for good.

Erasing takes a person out of the log, the people table, impressions, traces, files of refused rows, recordings of a
text model and the `users.*` files of every model version, leaves a tombstone, and then empties the write-ahead log and
rebuilds the tables, so that no file of the store holds the name any longer. What a person left in shared item
parameters of a model changes with the next training.
"""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.happened import Happened
from interplay.data.store.store import Head, Store, now
from interplay.errors import BadData, UnknownName
from interplay.llm.recorded import recordings
from interplay.types import Id

SHOWN = ("request_id", "row", "slot", "time", "policy", "propensity", "explored", "seen", "page", "shelf", "place",
         "shelf_propensity")  # of an impression, what its person is told  # fmt: skip
NOTHING = {"events": 0, "impressions": 0, "traces": 0}
Forget = Callable[[Path, Sequence[int]], None]  # a model directory without the per-user rows of these positions


class Erased(NamedTuple):
    """What was erased."""

    events: int
    impressions: int
    traces: int
    models: int  # versions whose files were written anew
    refused: int  # rows of refused-rows files
    recordings: int  # of what a text model answered


def export_person(store: Store, user_id: Id) -> dict[str, Any]:
    """Everything that the store holds of a person, as JSON says it; an unknown one is refused."""
    user = store.user(user_id)
    at = list(store.positions(str(user_id)))
    u, i, s, r = t.users.c, t.items.c, t.impressions.c, t.traces.c
    with store.database.read() as connection:
        names = connection.execute(
            sa.select(u.name).where(store.mine(t.users), u.position.in_(at), u.name != str(user_id))
        )
        other = [row[0] for row in names]
        shown = connection.execute(
            sa.select(i.name, *(s[name] for name in SHOWN))
            .select_from(t.impressions)
            .outerjoin(t.items, (i.tenant == s.tenant) & (i.position == s.item))
            .where(store.mine(t.impressions), s.user.in_(at))
            .order_by(s.time, s.request_id, s.row, s.slot)
        ).mappings()
        impressions = [{("item_id" if k == "name" else k): v for k, v in row.items()} for row in shown]
        told = connection.execute(sa.select(r.request_id, r.time, r.body).where(store.mine(t.traces), r.user.in_(at)))
        traces = [{"request_id": q, "time": w, "trace": json.loads(zlib.decompress(b))} for q, w, b in told]
    events = [
        {k: v for k, v in vars(e).items() if v is not None and k not in ("row", "user", "item")}
        for e in store.of(user_id)
    ]
    return {
        "user_id": user.name, "columns": dict(user.columns), "also_called": other, "events": events,
        "impressions": impressions, "traces": traces,
        "recordings": [told for _, told in recordings(store.files("recordings"), {str(user_id), *other}) if told],
        "models": [m.version for m in store.models.list()],  # whose users.* files may hold a row of the person
    }  # fmt: skip


def merge_people(store: Store, visitor: Id, into: Id, *, at: int | None = None) -> int:
    """What was done under one name belongs to another from now on, as when a visitor signs in; the events concerned.

    The log keeps both names. Errors: UnknownName for a visitor nobody has heard of, BadData for a circle.
    """
    if str(visitor) == str(into):
        raise BadData(f"{into!r} cannot be merged into itself; expected the visitor's id and the person's")
    u = t.users.c

    def work(connection: sa.Connection) -> int:
        head = store.locked(connection)
        found = dict(
            connection.execute(
                sa.select(u.name, u.position).where(store.mine(t.users), u.name.in_([str(visitor), str(into)]))
            ).all()
        )
        if str(visitor) not in found:
            raise UnknownName(f"nobody called {visitor!r} is known, so there is nothing to merge into {into!r}")
        placed, n_users = store.placed(connection, "users", [into], head)
        target = placed[str(into)]
        onward = connection.execute(sa.select(u.merged_into).where(store.mine(t.users), u.position == target)).scalar()
        if onward is not None:
            raise BadData(f"{into!r} was merged into another person; merge into that one")
        source = found[str(visitor)]
        which = store.mine(t.users) & ((u.position == source) | (u.merged_into == source))
        connection.execute(sa.update(t.users).where(which).values(merged_into=target, version=head.people_version + 1))
        store.moved(connection, people_version=head.people_version + 1, n_users=n_users)
        moved = sa.select(sa.func.count()).select_from(t.events).where(store.mine(t.events), t.events.c.user == source)
        return connection.execute(moved).scalar_one()

    moved = store.database.write(work)
    told = Happened(
        event_id=secrets.token_hex(16), user_id=str(into), event_type="merge", time=now() if at is None else at,
        payload={"from": str(visitor)},
    )  # fmt: skip
    store.append([told])
    return moved


def erase_person(store: Store, user_id: Id, *, forget: Forget) -> Erased:
    """Erase a person, and everything done under names that were merged into theirs.

    `forget` takes rows out of a model directory. Interrupted, it is begun again by the same call: the name goes last.
    A name that is not known (any more) only has the files cleaned again.
    """
    at = list(store.positions(str(user_id)))
    names = {str(user_id)}
    if at:
        u = t.users.c
        asked = sa.select(u.name).where(store.mine(t.users), u.position.in_(at), u.name.is_not(None))
        names |= {row[0] for row in store.database.rows(asked)}
    models = _out_of_models(store, at, forget) if at else 0
    refused, recorded = _out_of_refused(store, names), set[Path]()

    def work(connection: sa.Connection) -> dict[str, int]:
        head = store.locked(connection)
        recorded.update(_out_of_recordings(store, names))
        return _out_of_tables(store, connection, head, at, names) if at else NOTHING

    counts = store.database.write(work)
    store.database.compact()
    return Erased(models=models, refused=refused, recordings=len(recorded), **counts)


def unless_erased(store: Store) -> Callable[[Callable[[], None]], None]:
    """The keeper of a tenant's recordings (llm/recorded.py), from which people are erased.

    It writes while it holds the tenant's head, as an erasure does: what was written before the erasure is found by it,
    and once anybody was erased since the question was asked, nothing is written. Whom an answer names cannot be told
    from a tombstone, so it does not matter who it was.
    """
    asked = store.head().people_version

    def keep(write: Callable[[], None]) -> None:
        u = t.users.c
        fresh = sa.select(u.position).where(store.mine(t.users), u.version > asked, u.erased).limit(1)

        def work(connection: sa.Connection) -> None:
            store.locked(connection)
            if connection.execute(fresh).first() is None:
                write()

        store.database.write(work)

    return keep


def _out_of_recordings(store: Store, names: set[str]) -> list[Path]:
    """The recordings that were about these people, or name one of them."""
    gone = [path for path, _ in recordings(store.files("recordings"), names)]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _out_of_models(store: Store, at: Sequence[int], forget: Forget) -> int:
    """Every version's directory without the person, in a new place that the registry then points to."""
    done = 0
    for model in store.models.list():
        path = store.models.path(model)
        if not (path / "manifest.json").is_file():
            continue
        store.models.rewrite(model, lambda copy: forget(copy, at))
        done += 1
    return done


def _out_of_refused(store: Store, names: set[str]) -> int:
    """Refused-rows files without the rows that name the person, or that might."""
    gone = 0
    for path in sorted(store.files("refused", "x").parent.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as read:
            rows = list(csv.reader(read))
        kept = [row for row in rows if not any(name in cell for name in names for cell in row)]
        if len(kept) < len(rows):
            fresh = path.with_suffix(".new")
            with fresh.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows(kept)
            fresh.replace(path)
            gone += len(rows) - len(kept)
    return gone


def _out_of_tables(
    store: Store, connection: sa.Connection, head: Head, at: Sequence[int], names: set[str]
) -> dict[str, int]:
    """The tables without the person, and a tombstone; the head is held."""
    counts = {}
    for table in (t.events, t.impressions, t.traces):
        which = (store.mine(table), table.c.user.in_(at))
        counts[table.name] = connection.execute(sa.delete(table).where(*which)).rowcount
    blank = {"name": None, "columns": None, "whole": False, "merged_into": None, "erased": True}
    connection.execute(
        sa.update(t.users)
        .where(store.mine(t.users), t.users.c.position.in_(at))
        .values(**blank, version=head.people_version + 1)
    )
    store.moved(connection, people_version=head.people_version + 1)
    salt = _salt(store, connection)
    stones = [{"tenant": store.tenant, "salt": salt, "digest": digest(n, salt), "at": now()} for n in sorted(names)]
    connection.execute(
        sa.delete(t.tombstones).where(
            store.mine(t.tombstones), t.tombstones.c.digest.in_([s["digest"] for s in stones])
        )
    )
    store.database.insert(connection, t.tombstones, stones)
    with store.files("tombstones.jsonl").open("a") as out:  # outlives the tables, for a restore into new ones
        out.writelines(json.dumps({k: v for k, v in stone.items() if k != "tenant"}) + "\n" for stone in stones)
    return counts


def digest(name: str, salt: str) -> str:
    """Keyed hash of a name: tells whether this name was erased, and nobody's name."""
    return hashlib.blake2b(name.encode(), digest_size=16, key=bytes.fromhex(salt)).hexdigest()


def _salt(store: Store, connection: sa.Connection) -> str:
    held = connection.execute(sa.select(t.meta.c.value).where(t.meta.c.name == "salt")).scalar()
    if held is None:
        held = secrets.token_hex(32)
        connection.execute(sa.insert(t.meta), {"name": "salt", "value": held})
    return held


def tombstones(store: Store, *, since: int = 0) -> list[tuple[str, str]]:
    """(salt, digest) of everybody erased after a moment, by the tables and by the file beside them."""
    c = t.tombstones.c
    found = {
        (r[0], r[1])
        for r in store.database.rows(sa.select(c.salt, c.digest).where(store.mine(t.tombstones), c.at > since))
    }
    path = store.files("tombstones.jsonl")
    if path.exists():
        told = [json.loads(line) for line in path.read_text().splitlines() if line]
        found |= {(s["salt"], s["digest"]) for s in told if s["at"] > since}
    return sorted(found)
