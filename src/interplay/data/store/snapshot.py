"""From the store to a Dataset and back: what is learnt from, in the store's own index space.

    taken = snapshot(store)            # taken.dataset, and the head it was taken at
    load(store, dataset)               # a whole data set into an empty store

A snapshot holds what stands: nothing that was taken back, nothing of the erased, and what was done under a name that
was merged into another belongs to that other. Deleted items keep their place, flagged in `gone`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from interplay.data.store import impressions
from interplay.data.store import schema as t
from interplay.data.store.happened import SAID, Happened
from interplay.data.store.store import CHUNK, Entity, Head, Store
from interplay.errors import BadData, Mismatch
from interplay.ops.garbage import uncollected
from interplay.types import Array, Dataset, Events, Id, Ids

MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
NOBODY = "\N{REPLACEMENT CHARACTER}"
ROWS = 100_000  # of the log, fetched at once
Progress = Callable[[str, Mapping[str, Any]], None]


class Snapshot(NamedTuple):
    """A tenant at one moment."""

    dataset: Dataset
    head: Head
    gone: Array  # bool[n_items]: deleted, never to be shown
    lag: int  # microseconds by which the newest event was kept after it happened


@uncollected()
def snapshot(store: Store, *, shown: bool = False) -> Snapshot:
    """The tenant as it is now: one moment, whatever is written meanwhile.

    With `shown` the data set has the table impressions, and its events name their request_id.
    """
    if shown:
        store.database.flush()
    with store.database.read() as connection:
        head = Head(*connection.execute(store.heading).one())
        name = connection.execute(sa.select(t.tenants.c.called).where(store.mine(t.tenants))).scalar()
        users = _entities(connection, store, t.users, t.users.c.erased)
        items = _entities(connection, store, t.items, t.items.c.deleted)
        merged = dict(
            connection.execute(
                sa.select(t.users.c.position, t.users.c.merged_into).where(
                    store.mine(t.users), t.users.c.merged_into.is_not(None)
                )
            ).all()
        )
        log = pl.concat([_columns([], shown), *_log(connection, store, shown)])
        vectors = _vectors(connection, store, head.n_items)
        tables = {"impressions": impressions.read(store, connection)} if shown else {}
        newest = log["row"][int(log["time"].arg_max() or 0)] if len(log) else 0
        e = t.events.c
        lag = connection.execute(sa.select(e.kept_at - e.time).where(store.mine(t.events), e.row == newest)).scalar()
    dataset = Dataset(
        name=name or store.tenant, users=Ids([named(e) for e in users]), items=Ids([named(e) for e in items]),
        events=_events(log, merged), catalogue=table(items, "item_id"), people=table(users, "user_id"), vectors=vectors,
        tables={name: held for name, held in tables.items() if len(held)},
    )  # fmt: skip
    return Snapshot(dataset, head, np.array([e.gone for e in items], bool), max(lag or 0, 0))


def named(entity: Entity) -> Id:
    """The external id, or what stands in its place for a person who was erased."""
    return called(entity.position) if entity.name is None else entity.name


def called(position: int) -> str:
    """What an erased person is called in an index space; nobody else can be."""
    return f"{NOBODY}{position}"


def _entities(connection: sa.Connection, store: Store, kind: sa.Table, gone: Any) -> list[Entity]:
    c = kind.c
    query = sa.select(c.position, c.name, c.whole, c.columns, c.version, gone).where(store.mine(kind))
    held: Any = connection.execute(query.order_by(c.position)).cursor  # the driver's own rows, as below
    return Entity.each(held.fetchall())


def _log(connection: sa.Connection, store: Store, requests: bool) -> Iterator[pl.DataFrame]:
    """Events about items, oldest row first, less those that were taken back."""
    e = t.events.c
    undone = sa.select(e.undoes).where(store.mine(t.events), e.event_type == "undo", e.undoes.is_not(None))
    more = (e.request_id,) if requests else ()
    query = (
        sa.select(e.user, e.item, e.event_type, e.time, e.value, e.session_id, e.row, *more)
        .where(store.mine(t.events), e.item.is_not(None), e.event_type.not_in(sorted(SAID)), e.event_id.not_in(undone))
        .order_by(e.row)
    )
    if store.database.lite:  # the driver's own rows, a million objects fewer; it streams by itself
        held: Any = connection.execute(query).cursor
    else:
        held = connection.execution_options(stream_results=True).execute(query)
    while part := held.fetchmany(ROWS):
        yield _columns(part, requests)


def _columns(rows: Sequence[Any], requests: bool) -> pl.DataFrame:
    schema = {"user": pl.Int32, "item": pl.Int32, "kind": pl.String, "time": pl.Int64, "value": pl.Float64,
              "session": pl.String, "row": pl.Int64} | ({"request": pl.String} if requests else {})  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)  # thrice as fast as from rows
    return pl.DataFrame([pl.Series(n, held, kind) for (n, kind), held in zip(schema.items(), columns, strict=True)])


def _events(log: pl.DataFrame, merged: Mapping[int, int]) -> Events:
    """The log as columns, sorted by (user, time, row)."""
    user = log["user"].replace(list(merged), list(merged.values())) if merged else log["user"]
    log = log.with_columns(user).sort("user", "time", "row")
    kinds = tuple(log["kind"].unique().sort().to_list())
    session, valueless = log["session"], log["value"].null_count() == len(log)
    single = session.null_count() == len(log)
    return Events(
        user=log["user"].to_numpy().copy(), item=log["item"].to_numpy().copy(), time=log["time"].to_numpy().copy(),
        value=None if valueless else log["value"].fill_null(1.0).cast(pl.Float32).to_numpy(),
        kind=log["kind"].cast(pl.Enum(kinds)).to_physical().cast(pl.Int16).to_numpy(), kinds=kinds,
        session=None if single else (session.rank("dense").fill_null(0).cast(pl.Int64) - 1).to_numpy(),  # -1 for none
        context={"request_id": log["request"].fill_null("").to_numpy()} if "request" in log.columns else {},
    )  # fmt: skip


def _vectors(connection: sa.Connection, store: Store, n_items: int) -> dict[str, Array]:
    out: dict[str, Array] = {}
    for name, item, numbers in connection.execute(
        sa.select(t.vectors.c.name, t.vectors.c.item, t.vectors.c.numbers).where(store.mine(t.vectors))
    ):
        row = np.frombuffer(numbers, "<f4")
        out.setdefault(name, np.zeros((n_items, len(row)), np.float32))[item] = row
    return out


def table(entities: Sequence[Entity], key: str) -> pl.DataFrame | None:
    """One row for each entity, in order, with the columns that any of them has; None where nothing is said of any.

    Text that is an ISO date or time in every row becomes one: JSON has no other way to say it.
    """
    names = list(dict.fromkeys(name for e in entities for name in e.columns))
    if not names:
        return None
    ids: pl.Series = pl.Series(key, [str(named(e)) for e in entities], dtype=pl.String)
    columns = [_column(name, [e.columns.get(name) for e in entities]) for name in names if name != key]
    return pl.DataFrame([ids, *(_dated(column) for column in columns)])


def _column(name: str, values: list[Any]) -> pl.Series:
    """A column of one kind; where rows are of several, of lists if most are lists, otherwise of texts."""
    kinds = {type(v) for v in values} - {type(None)}
    if kinds == {list}:
        inside = {type(v) for row in values if row is not None for v in row}
        if inside == {str}:  # through Arrow, which makes lists ten times as fast
            return pl.Series(name, pa.array(values, pa.large_list(pa.large_string())))
        return pl.Series(name, values, strict=False)
    if list in kinds:
        lists = sum(isinstance(v, list) for v in values)
        said = sum(v is not None for v in values)
        return as_kind(pl.Series(name, values, pl.Object), pl.List(pl.String) if 2 * lists > said else pl.String())
    if len(kinds) == 1 and (known := _KINDS.get(next(iter(kinds)))) is not None:
        return pl.Series(name, values, known)  # told its kind, a column is made five times as fast
    column = pl.Series(name, values, strict=False)
    return as_kind(column, pl.String) if column.dtype == pl.Object else column


_KINDS = {str: pl.String, float: pl.Float64, bool: pl.Boolean}


def as_kind(column: pl.Series, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """A column as another kind; a value that cannot be one is missing."""
    if column.dtype == kind:
        return column
    if column.dtype != pl.Object and not (column.dtype.is_nested() or kind.is_nested()):
        return column.cast(kind, strict=False)

    def value(held: Any) -> Any:
        if held is None:
            return None
        if isinstance(kind, pl.List):
            listed = held if isinstance(held, list) else [held]
            return [str(v) for v in listed] if kind.inner == pl.String else listed
        if kind == pl.String:
            return ", ".join(map(str, held)) if isinstance(held, list) else str(held)
        return None if isinstance(held, list) else held

    return pl.Series(column.name, [value(v) for v in column.to_list()], strict=False).cast(kind, strict=False)


def _dated(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String or column.null_count() == len(column):
        return column
    first = column.drop_nulls()[0]
    if not MOMENT.fullmatch(first) or not all(MOMENT.fullmatch(v) for v in column.drop_nulls()):
        return column
    try:
        read = [None if v is None else datetime.fromisoformat(v) for v in column]
    except ValueError:
        return column
    if all(v is None or len(v) == 10 for v in column):
        return pl.Series(column.name, [None if v is None else v.date() for v in read], dtype=pl.Date)
    if all(v is None or v.tzinfo is not None for v in read):
        return pl.Series(column.name, read, dtype=pl.Datetime("us", "UTC"))
    return pl.Series(
        column.name, [None if v is None else v.replace(tzinfo=None) for v in read], dtype=pl.Datetime("us")
    )


# --------------------------------------------------------------------------------------------------------------------
# Into the store


def spoken(value: Any) -> Any:
    """A catalogue cell as JSON says it: dates in ISO 8601, arrays as lists."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (list, tuple, np.ndarray, pl.Series)):
        return [spoken(v) for v in value]
    if isinstance(value, Mapping):
        return {k: spoken(v) for k, v in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def adopt(store: Store, dataset: Dataset) -> None:
    """Give a dataset's users and items the first places of an empty tenant, without describing them.

    Errors: Mismatch where the tenant's index space begins otherwise.
    """

    def work(connection: sa.Connection) -> None:
        head = store.locked(connection)
        for kind, ids in (("users", dataset.users), ("items", dataset.items)):
            found, given = store.placed(connection, kind, ids.names, head)
            if [found[str(n)] for n in ids] != list(range(len(ids))):
                raise Mismatch(
                    f"{store.database.said} knows other {kind} than the data set {dataset.name!r}, or in another "
                    "order; serve from the store alone, or from a new store"
                )
            fresh = kind == "items" and given > head.n_items  # new items are of the next version
            more = {"items_version": head.items_version + 1} if fresh else {}
            store.moved(connection, **{f"n_{kind}": given}, **more)

    store.database.write(work)


def load(store: Store, dataset: Dataset, *, progress: Progress | None = None) -> int:
    """A whole data set into the tenant: items, users, events, vectors; the number of events kept.

    Doing it again changes nothing. In an empty tenant the index spaces are equal. Where the data have no times, a
    person's events follow each other by a second, up to now.
    """
    if store.head()[:3] == (0, 0, 0):
        adopt(store, dataset)
    for ids, frame, put, key in (
        (dataset.items, dataset.catalogue, store.put_items, "item_id"),
        (dataset.users, dataset.people, store.put_users, "user_id"),
    ):
        if frame is not None:
            told = frame.drop(key, strict=False)
            for lo in range(0, len(told), CHUNK):
                rows = told[lo : lo + CHUNK].iter_rows(named=True)
                put([
                    {key: ids[i], **{k: spoken(v) for k, v in row.items() if v is not None}}
                    for i, row in enumerate(rows, lo)
                ])  # fmt: skip
    store.database.write(lambda connection: store.moved(connection, called=dataset.name))
    for name, vectors in dataset.vectors.items():
        _keep_vectors(store, name, dataset.items, vectors)
    kept, total = 0, len(dataset.events)
    for done, part in _told(dataset):
        kept += store.append(part).kept
        if progress is not None:
            progress("store", {"done": done, "total": total})
    return kept


def _told(dataset: Dataset) -> Iterator[tuple[int, list[Happened]]]:
    """The events in the order of their times, in chunks, with ids that follow from the data."""
    e = dataset.events
    time = e.time
    if time is None:
        place = np.arange(len(e)) - dataset.offsets[e.user]
        last = np.diff(dataset.offsets)[e.user]
        time = datetime.now().timestamp() * 1e6 - (last - place) * 1e6
    order = np.argsort(time, kind="stable")
    users, items = [str(n) for n in dataset.users], [str(n) for n in dataset.items]
    stamp = dataset.fingerprint[:16]
    requests = e.context.get("request_id")
    for lo in range(0, len(order), 2 * CHUNK):
        rows = order[lo : lo + 2 * CHUNK]
        yield lo + len(rows), [
            Happened(
                event_id=f"{stamp}-{i}", user_id=users[e.user[i]], item_id=items[e.item[i]],
                event_type="view" if e.kind is None else e.kinds[e.kind[i]], time=int(time[i]),
                value=None if e.value is None else float(e.value[i]),
                session_id=None if e.session is None or e.session[i] < 0 else str(e.session[i]),
                request_id=None if requests is None else str(requests[i]),
            )
            for i in rows.tolist()
        ]  # fmt: skip


def _keep_vectors(store: Store, name: str, ids: Ids, vectors: Array) -> None:
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise BadData(f"vectors {name!r} have shape {vectors.shape}; expected one row for each of {len(ids)} items")

    def work(connection: sa.Connection) -> None:
        head = store.locked(connection)
        at, _ = store.placed(connection, "items", ids.names, head)
        mine = store.mine(t.vectors)
        connection.execute(sa.delete(t.vectors).where(mine, t.vectors.c.name == name))
        store.database.insert(connection, t.vectors, [
            {"tenant": store.tenant, "name": name, "item": at[str(n)], "numbers": row.astype("<f4").tobytes()}
            for n, row in zip(ids, vectors, strict=True)
        ])  # fmt: skip

    store.database.write(work)
