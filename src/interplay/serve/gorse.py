"""Between Gorse's rows and ours: items, users and feedback as its clients write and read them.

Labels that are an object become columns of their own, so that rules, facets and models can use them; `labelled` names
which they were. A comment is what a person reads of an item, so it is its title where the labels bring none. Hidden
items are out of stock. A piece of feedback, unique by type, user and item, is an event whose id follows from the three.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from interplay.data.exports import labels
from interplay.data.store.happened import SAID, Happened
from interplay.errors import BadSetting
from interplay.serve.bodies import gorse as bodies
from interplay.serve.engine import Engine
from interplay.serve.keeping import columns, named
from interplay.serve.scene import STOCK

ZERO = "0001-01-01T00:00:00Z"  # what Gorse says where there is no moment
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_UNITS = {"h": 3600e6, "m": 60e6, "s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}  # microseconds


# ------------------------------------------------------------------------------------------------------------- moments


def microseconds(said: datetime | str | None) -> int | None:
    """A moment as Gorse's clients write it: ISO 8601, or a date alone; nothing is now."""
    if said is None or said == "" or said == ZERO:
        return None
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else said
    except ValueError:
        raise BadSetting(f"Timestamp is {said!r}; expected a moment as in 2026-02-24T10:00:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def spelled(at: int | None) -> str:
    """A moment as Gorse writes it.

    >>> spelled(1_700_000_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    return ZERO if at is None else datetime.fromtimestamp(at / 1e6, UTC).isoformat().replace("+00:00", "Z")


def _spelled(held: Any) -> str:
    """A moment of the catalogue, which reads texts that are moments as such."""
    moment = held.replace(tzinfo=held.tzinfo or UTC) if isinstance(held, datetime) else held
    return ZERO if moment is None else spelled(microseconds(moment))


def delay(said: str) -> int:
    """Microseconds of a duration as in `1h30m`.

    >>> delay("1m30s")
    90000000
    """
    if said and _DELAY.sub("", said):
        raise BadSetting(f"write-back-delay is {said!r}; expected a duration as in 1h30m0s")
    return round(sum(float(n) * _UNITS[unit] for n, unit in _DELAY.findall(said)))


# ------------------------------------------------------------------------------------------------------- items, people


def _labels_of(held: Mapping[str, Any]) -> Any:
    """Labels as they were sent."""
    if held.get("labels") is not None:
        return list(held["labels"])
    rest = json.loads(held["labels_json"]) if held.get("labels_json") else None
    names = held.get("labelled")
    return rest if names is None else {name: held[name] for name in names if held.get(name) is not None} | (rest or {})


def item_row(item: bodies.Item | bodies.ItemPatch) -> dict[str, Any]:
    """The columns that an item says something about."""
    said = item.model_dump(exclude_unset=isinstance(item, bodies.ItemPatch), exclude={"ItemId"})
    out: dict[str, Any] = {}
    if said.get("Labels") is not None:
        out |= labels(said["Labels"])
    if said.get("Comment"):
        out |= {"comment": said["Comment"]} | ({} if "title" in out else {"title": said["Comment"]})
    if said.get("Categories") is not None:
        out["categories"] = said["Categories"]
    if said.get("Timestamp"):
        out["timestamp"] = spelled(microseconds(said["Timestamp"]))
    if said.get("IsHidden") is not None:
        out[STOCK] = not said["IsHidden"]
    return columns(out, {})


def item_of(name: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """An item as Gorse sends it."""
    return {
        "ItemId": str(name), "IsHidden": held.get(STOCK) is False, "Categories": list(held.get("categories") or []),
        "Timestamp": _spelled(held.get("timestamp")), "Labels": _labels_of(held),
        "Comment": str(held.get("comment") or held.get("title") or ""),
    }  # fmt: skip


def user_row(user: bodies.User | bodies.UserPatch) -> dict[str, Any]:
    """The columns that a user says something about."""
    said = user.model_dump(exclude_unset=isinstance(user, bodies.UserPatch), exclude={"UserId"})
    out = labels(said.get("Labels"))
    if said.get("Comment"):
        out["comment"] = said["Comment"]
    if said.get("Subscribe") is not None:
        out["subscribe"] = said["Subscribe"]
    return columns(out, {})


def user_of(name: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """A user as Gorse sends it."""
    return {
        "UserId": str(name), "Labels": _labels_of(held), "Subscribe": list(held.get("subscribe") or []),
        "Comment": str(held.get("comment") or ""),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ feedback


def _id(kind: str, user: str, item: str) -> str:
    return "gorse-" + hashlib.blake2b(f"{kind}\n{user}\n{item}".encode(), digest_size=16).hexdigest()


def insert(engine: Engine, rows: Iterable[bodies.Feedback], *, overwrite: bool, after: int = 0) -> int:
    """Keep feedback, `after` microseconds from now where it names no moment; what is there stays unless overwritten."""
    now = engine.now() + after
    told = {}
    for row in rows:
        if row.FeedbackType in SAID - {"less"}:
            raise BadSetting(f"FeedbackType {row.FeedbackType!r} is said to the engine itself; choose another name")
        at = microseconds(row.Timestamp)
        told[row.FeedbackType, row.UserId, row.ItemId] = Happened(
            event_id=_id(row.FeedbackType, row.UserId, row.ItemId), user_id=str(named(row.UserId, "UserId")),
            item_id=str(named(row.ItemId, "ItemId")), event_type=row.FeedbackType, time=now if at is None else at,
            value=row.Value, payload={"comment": row.Comment} if row.Comment else None,
        )  # fmt: skip
    if overwrite:
        remove(engine, [e for key in told for e in found(engine, *key)])
    events = list(told.values())
    kept = engine.store.append(events)
    if not kept.repeated:
        return kept.kept
    anew = [event for event in events if not found(engine, event.event_type, str(event.user_id), str(event.item_id))]
    for event in anew:  # taken back before: its id is spent
        again = {**vars(event), "event_id": f"{event.event_id}-{secrets.token_hex(4)}"}
        engine.store.append([Happened(**again)])
    return kept.kept + len(anew)


def found(engine: Engine, kind: str | None, user: str, item: str | None) -> list[Happened]:
    """The standing feedback of a user, of one type and about one item where these are named."""
    return [
        e
        for e in engine.told(user)
        if e.item_id is not None
        and (e.event_type not in SAID or e.event_type == "less")
        and kind in (None, e.event_type)
        and item in (None, e.item_id)
    ]


def remove(engine: Engine, events: Sequence[Happened]) -> int:
    """Take feedback back; the log only grows."""
    if events:
        engine.store.append([
            Happened(
                event_id=f"undo-{secrets.token_hex(12)}", user_id=e.user_id, event_type="undo", time=engine.now(),
                item_id=e.item_id, undoes=e.event_id,
            )
            for e in events
        ])  # fmt: skip
    return len(events)


def feedback_of(event: Happened) -> dict[str, Any]:
    """Feedback as Gorse sends it."""
    return {
        "FeedbackType": event.event_type, "UserId": event.user_id, "ItemId": event.item_id,
        "Value": event.value or 0.0, "Timestamp": spelled(event.time), "Updated": spelled(event.time),
        "Comment": str((event.payload or {}).get("comment", "")),
    }  # fmt: skip


def listed(engine: Engine, kind: str | None, after: int, n: int) -> tuple[list[dict[str, Any]], int | None]:
    """`n` pieces of standing feedback after a row of the log, and the row to go on from."""
    out: list[dict[str, Any]] = []
    while len(out) < n:
        part = engine.store.tail(after, max(2 * n, 100))
        if not part:
            return out, None
        for event in part:
            after = event.row
            if kind in (None, event.event_type) and any(e.event_id == event.event_id for e in found(
                engine, event.event_type, str(event.user_id), str(event.item_id)
            )):  # fmt: skip
                out.append(feedback_of(event))
                if len(out) == n:
                    break
    return out, after if engine.store.tail(after, 1) else None
