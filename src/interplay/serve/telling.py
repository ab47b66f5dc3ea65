"""Events: from what a client says happened to the log, one by one; a bad one holds up no other."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interplay.data.store.happened import Happened
from interplay.errors import BadSetting, InterplayError, UnknownName, unknown
from interplay.serve.engine import DAY, Engine
from interplay.serve.scene import Scene
from interplay.types import Id

FIRST = 631_152_000_000_000  # 1 January 1990, microseconds UTC: anything earlier is in another unit


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One event that was not taken, and why."""

    place: int
    event_id: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a batch."""

    accepted: int
    repeated: int  # their ids were in the log already
    refused: list[Refused]


def tell(engine: Engine, rows: Sequence[Mapping[str, Any]]) -> Taken:
    """Take events into the log. Rows hold user_id, item_id and event_type, and may hold event_id, timestamp, value,
    request_id, session_id, surface and undoes; what is accepted is durable when this returns."""
    engine.look()  # items that came a moment ago are known
    scene, now = engine.scene, engine.now()
    named: list[Any] = [row.get("item_id") for row in rows]
    items = dict(zip(named, scene.dataset.items.index(named).tolist(), strict=True))  # all at once, as `scene` has them
    taken: list[Happened] = []
    refused: list[Refused] = []
    for place, row in enumerate(rows):
        try:
            taken.append(_event(engine, scene, items, now, row, taken))
        except InterplayError as wrong:
            refused.append(Refused(place=place, event_id=row.get("event_id"), reason=str(wrong)))
    kept = engine.store.append(taken)
    if kept.kept:
        engine.look()  # what can learn from them is told
    return Taken(accepted=kept.kept, repeated=kept.repeated, refused=refused)


def _event(
    engine: Engine, scene: Scene, items: Mapping[Id | None, int], now: int, row: Mapping[str, Any],
    before: Sequence[Happened],
) -> Happened:  # fmt: skip
    kind, undoes = row["event_type"], row.get("undoes")
    if kind not in scene.kinds:
        raise unknown("event type", kind, scene.kinds)
    user, item = str(row["user_id"]), row.get("item_id")
    if kind == "undo":
        past = next((e for e in before if e.event_id == undoes), None) or engine.store.event(undoes or "")
        if past is None or past.user_id != user:
            raise UnknownName(f"no event {undoes!r} of {user!r} to undo; expected its event_id in 'undoes'")
        item = past.item_id
    elif undoes is not None:
        raise BadSetting(f"'undoes' belongs to an event of type undo; found it in one of type {kind!r}")
    if item is None or item == "":
        raise BadSetting("item_id is missing; an event needs an item")
    when = row.get("timestamp")
    if when is not None and not FIRST <= when <= now + DAY:
        raise BadSetting(f"timestamp is {when}; expected microseconds UTC from 1990 to one day after {now}")
    index = items.get(item, -1)
    if index < 0:  # another spelling, or an item that came meanwhile; an unknown one is refused
        index = engine.item(item)
    return Happened(
        event_id=row.get("event_id") or secrets.token_hex(16), user_id=user,
        item_id=str(engine.dataset.items[index]), event_type=kind, time=now if when is None else when,
        value=row.get("value"), request_id=row.get("request_id"), session_id=row.get("session_id"),
        surface=row.get("surface"), undoes=undoes,
    )  # fmt: skip
