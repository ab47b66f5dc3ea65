"""Single pages that a store's engines showed, and what somebody had done before: what is learnt from between two fits.

pages(store, ["a41f"])             # by request; a page that is about to be written is not among them yet
pages_between(store, after, upto)  # by time
past(store, 12, 9071)              # what a person had done up to a row of the log
newest(store, clock, shift)        # the newest moment that an engine of this store gave out
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import CHUNK, DAY, Store


class Page(NamedTuple):
    """What stood on one page, place by place."""

    request_id: str
    user: int  # position, -1 where nobody said who asked
    time: int  # microseconds on the engine's calendar
    policy: str
    items: tuple[int, ...]


def pages(store: Store, requests: Sequence[str]) -> dict[str, Page]:
    """The pages of these requests, as far as they are kept."""
    out: list[Page] = []
    for lo in range(0, len(requests), CHUNK):
        out += _read(store, t.impressions.c.request_id.in_(requests[lo : lo + CHUNK]))
    return {page.request_id: page for page in out}


def pages_between(store: Store, after: int, upto: int) -> list[Page]:
    """Every page that was shown after a moment and not later than another, oldest first."""
    c = t.impressions.c
    return sorted(_read(store, c.time > after, c.time <= upto), key=lambda page: (page.time, page.request_id))


def _read(store: Store, *which: sa.ColumnElement[bool]) -> list[Page]:
    c = t.impressions.c
    met = c.seen.is_distinct_from(False)  # what stood on no page was passed over by nobody
    query = sa.select(c.request_id, c.user, c.time, c.policy, c.item).where(store.mine(t.impressions), met, *which)
    return _gathered(store.database.rows(query.order_by(c.request_id, c.row, c.slot)))


def _gathered(rows: Iterable[Any]) -> list[Page]:
    out: list[Page] = []
    for request_id, user, time, policy, item in rows:
        if out and out[-1].request_id == request_id:
            out[-1] = out[-1]._replace(items=(*out[-1].items, item))
        else:
            out.append(Page(request_id, -1 if user is None else user, time, policy, (item,)))
    return out


def kept_at(store: Store, after: int, upto: int) -> dict[int, int]:
    """When each row of the log after one and up to another was kept, as the machine's clock said."""
    e = t.events.c
    query = sa.select(e.row, e.kept_at).where(store.mine(t.events), e.row > after, e.row <= upto)
    return {row: at for row, at in store.database.rows(query)}  # noqa: C416


def newest(store: Store, clock: int, shift: int) -> int:
    """The newest moment at which an event was kept or a page was answered, on a calendar that is `shift` microseconds
    off the machine's clock, which says `clock`; 0 where there is none, or only such as are a day and more ahead.

    When an event was kept says more than its own time, which a client with a wrong clock may have given.
    """
    r, before = t.traces.c, clock + DAY
    told = sa.select(sa.func.max(r.time)).where(store.mine(t.traces), r.time < before + shift)
    kept = [at + shift for (at,) in store.database.rows(store.last_kept) if at < before]
    return max(*kept, store.database.rows(told)[0][0] or 0, 0)


class Deed(NamedTuple):
    """One event of a past."""

    item: int
    time: int
    event_type: str
    row: int


def past(store: Store, users: Iterable[int], row: int) -> dict[int, list[Deed]]:
    """What each of these people (positions) had done up to a row of the log and not taken back by then, oldest first.

    What was done under a name that was merged into a person is theirs.
    """
    wanted = sorted({user for user in users if user >= 0})
    out: dict[int, list[Deed]] = {user: [] for user in wanted}
    e, u = t.events.c, t.users.c
    for lo in range(0, len(wanted), CHUNK):
        part = wanted[lo : lo + CHUNK]
        merged = sa.select(u.position, u.merged_into).where(store.mine(t.users), u.merged_into.in_(part))
        into = {p: p for p in part} | {position: other for position, other in store.database.rows(merged)}  # noqa: C416
        query = sa.select(e.user, e.item, e.time, e.event_type, e.row, e.event_id, e.undoes).where(
            store.mine(t.events), e.user.in_(list(into)), e.row <= row
        )
        rows = store.database.rows(query)
        undone = {r[6] for r in rows if r[6] is not None}
        for user, item, time, kind, place, event_id, undoes in rows:
            if item is not None and undoes is None and event_id not in undone:
                out[into[user]].append(Deed(item, time, kind, place))
    return {user: sorted(deeds, key=lambda deed: (deed.time, deed.row)) for user, deeds in out.items()}
