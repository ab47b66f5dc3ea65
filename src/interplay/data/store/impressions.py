"""What was shown, out of the store as a table and into it from one.

    impressions(store)                 # one row for each shown item, columns as in the directory format
    queried(store, frame)              # the same with what each request asked for
    keep(store, frame)                 # rows from elsewhere: another engine's log, a file, the built-in market

A row says who was shown what, where, under which policy and by what chance; events that followed carry its request_id.
`row` and `slot` are places of the answer; where several answers made up one page, `page`, `shelf` and `place` say where
on it the thing stood, and `shelf_propensity` by what chance its shelf did.
A policy that is not told stays "": nobody's name is put in its place, and such pages are not judged (traffic.py).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import polars as pl
import sqlalchemy as sa

from interplay.data.parts import SHOWN
from interplay.data.store import schema as t
from interplay.data.store.store import CHUNK, Store
from interplay.errors import BadData

SCHEMA = {
    "request_id": pl.String, "user": pl.Int32, "timestamp": pl.Int64, "policy": pl.String, "candidate_hash": pl.String,
    "row": pl.Int32, "slot": pl.Int32, "item": pl.Int32, "propensity": pl.Float64, "temperature": pl.Float64,
    "explored": pl.Boolean, "seen": pl.Boolean, "page": pl.String, "shelf": pl.Int32, "place": pl.Int32,
    "shelf_propensity": pl.Float64,
}  # fmt: skip
ROWS = 50_000
CHANCES = {"propensity": "propensities", "shelf_propensity": "propensities of shelves"}


def impressions(store: Store, *, after: int | None = None) -> pl.DataFrame:
    """Everything that was shown (after a moment, in microseconds), oldest first; `user_id` is null for a stranger."""
    store.database.flush()
    with store.database.read() as connection:
        return read(store, connection, after=after)


def read(store: Store, connection: sa.Connection, *, after: int | None = None) -> pl.DataFrame:
    """The same within a transaction. What was shown to somebody who was merged into another belongs to that other."""
    c, u = t.impressions.c, t.users.c
    columns = (c["time" if name == "timestamp" else name] for name in SCHEMA)
    query = sa.select(*columns).where(store.mine(t.impressions))
    if after is not None:
        query = query.where(c.time > after)
    held = connection.execute(query.order_by(c.time, c.request_id, c.row, c.slot))
    parts = [pl.DataFrame([], schema=SCHEMA, orient="row")]
    while some := held.fetchmany(ROWS):
        parts.append(pl.DataFrame([tuple(row) for row in some], schema=SCHEMA, orient="row"))
    frame = pl.concat(parts)
    people = connection.execute(sa.select(u.position, u.name, u.merged_into).where(store.mine(t.users))).all()
    names = {position: name for position, name, _ in people}
    into = {position: other for position, _, other in people if other is not None}
    things = dict(connection.execute(sa.select(t.items.c.position, t.items.c.name).where(store.mine(t.items))).all())
    users = [None if p is None else names.get(into.get(p, p)) for p in frame["user"].to_list()]
    rest = [name for name in SCHEMA if name not in ("request_id", "user", "item")]
    named = pl.Series("item_id", [things.get(i) for i in frame["item"].to_list()], pl.String)
    return frame.select("request_id", pl.Series("user_id", users, pl.String), *rest, named)


def queried(store: Store, frame: pl.DataFrame) -> pl.DataFrame:
    """With the column `query`: what each request asked for, as its trace says; null for a feed, or without a trace."""
    c = t.traces.c
    with store.database.read() as connection:
        streamed = connection.execution_options(stream_results=True)
        rows = streamed.execute(sa.select(c.request_id, c.body).where(store.mine(t.traces)))
        told = ((request, json.loads(zlib.decompress(body)).get("query")) for request, body in rows)
        asked = {request: query for request, query in told if query}
    query = [asked.get(request) for request in frame["request_id"].to_list()]
    return frame.with_columns(pl.Series("query", query, pl.String))


def keep(store: Store, frame: pl.DataFrame) -> int:
    """Rows of request_id, slot, item_id and any others of the directory format into the store; the number of new ones.

    A place of an answer that is there already is not written again; a row without a policy has "". Errors: BadData for
    missing columns, and for propensities outside (0, 1].
    """
    missing = [c for c in SHOWN if c not in frame.columns]
    if missing:
        raise BadData(f"impressions lack {', '.join(missing)}; they have {frame.columns}")
    for name, said in CHANCES.items():
        if name in frame.columns:
            p = frame[name].cast(pl.Float64)
            wrong = int((~((p > 0) & (p <= 1 + 1e-9)) & p.is_not_null()).sum())
            if wrong:
                raise BadData(
                    f"{wrong} of {len(frame)} {said} are not in (0, 1]; leave a cell empty where it is not known"
                )
    kept = 0
    for rows in _told(store, frame):

        def work(connection: sa.Connection, rows: list[dict[str, Any]] = rows) -> int:
            head = store.locked(connection)
            named = [r["user"] for r in rows if r["user"] is not None]
            users, n_users = store.placed(connection, "users", named, head)
            items, n_items = store.placed(connection, "items", [r["item"] for r in rows], head)
            listed = [
                {**r, "user": None if r["user"] is None else users[str(r["user"])], "item": items[str(r["item"])]}
                for r in rows
            ]
            more: dict[str, Any] = {"items_version": head.items_version + 1} if n_items > head.n_items else {}
            store.moved(connection, n_users=n_users, n_items=n_items, **more)
            return store.database.insert(connection, t.impressions, listed, unless='tenant, request_id, "row", slot')

        kept += store.database.write(work)
    return kept


def _told(store: Store, frame: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """The rows as the table holds them, users and items by name, in chunks; what is missing has its usual value."""
    n = len(frame)

    def column(name: str, usual: Any) -> list[Any]:
        return [usual] * n if name not in frame.columns else [usual if v is None else v for v in frame[name].to_list()]

    request = [str(r) for r in frame["request_id"].to_list()]
    columns = {
        "request_id": request, "row": column("row", 0), "slot": column("slot", 0), "user": column("user_id", None),
        "time": column("timestamp", 0), "policy": [str(p).strip() for p in column("policy", "")],
        "candidate_hash": [str(h) for h in column("candidate_hash", "")], "item": column("item_id", None),
        "propensity": column("propensity", None), "temperature": column("temperature", None),
        "explored": [bool(e) for e in column("explored", False)], "seen": column("seen", None),
        **{name: column(name, None) for name in ("page", "shelf", "place", "shelf_propensity")},
    }  # fmt: skip
    if any(i is None for i in columns["item"]):
        raise BadData("some impressions name no item; leave those rows out")
    for lo in range(0, n, CHUNK):
        part = {name: values[lo : lo + CHUNK] for name, values in columns.items()}
        yield [
            {"tenant": store.tenant, **dict(zip(part, row, strict=True))} for row in zip(*part.values(), strict=True)
        ]
