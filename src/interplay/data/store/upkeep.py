"""Keeping a store small: nothing older than need be, no files that nobody needs, no room that is not used."""

from __future__ import annotations

import shutil
import time

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store, now
from interplay.errors import BadSetting

STRAY = 86_400.0  # seconds after which a directory that no version has is no training in progress


def retain(store: Store, days: float) -> dict[str, int]:
    """Drop events, impressions, traces and recordings that were kept more than so many days ago; how many of each.

    What models learnt from them stays until the next training.
    """
    if days < 0:
        raise BadSetting(f"days is {days}; expected 0 or more")
    before = now() - round(days * 86_400e6)

    def work(connection: sa.Connection) -> dict[str, int]:
        store.locked(connection)
        out = {}
        for table, moment in (
            (t.events, t.events.c.kept_at), (t.impressions, t.impressions.c.time), (t.traces, t.traces.c.time)
        ):  # fmt: skip
            out[table.name] = connection.execute(sa.delete(table).where(store.mine(table), moment < before)).rowcount
        return out

    dropped = store.database.write(work)
    folder = store.files("recordings")
    old = [p for p in folder.glob("*") if p.stat().st_mtime < before / 1e6] if folder.is_dir() else []
    for path in old:
        path.unlink(missing_ok=True)
    return dropped | {"recordings": len(old)}


def compact(store: Store, *, keep: int | None = None) -> int:
    """Give back room: rebuild the tables, remove what interrupted trainings left, and with `keep` all but the newest
    model versions; the number of directories removed."""
    gone = len(store.models.prune(keep)) if keep is not None else 0
    for path in store.models.strays():
        if time.time() - path.stat().st_mtime > STRAY:
            shutil.rmtree(path, ignore_errors=True)
            gone += 1
    store.database.compact()
    return gone
