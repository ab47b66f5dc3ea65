"""What a person did, newest first: the data set's events and those of the log, less what was taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from interplay.serve.engine import Engine
from interplay.types import Id


def history(engine: Engine, user: Id) -> list[dict[str, Any]]:
    """One row for each event: event_id (None for one that only the data set has), event_type, item_id, title..."""
    told = engine.told(user)
    rows = [
        {
            "event_id": e.event_id, "event_type": e.event_type, "item_id": e.item_id, "timestamp": e.time,
            "title": engine.window.title(e.item) if 0 <= e.item < engine.dataset.n_items else "", "value": e.value,
            "request_id": e.request_id, **_spoken(e.payload or {}),
        }
        for e in told
    ]  # fmt: skip
    kept = {(e.item, e.time) for e in told}
    index = int(engine.dataset.users.index([user])[0])
    if index >= 0:
        past = engine.dataset.histories(np.array([index], np.int32))
        rows += [row for item, row in _of(engine, past.columns) if (item, row["timestamp"]) not in kept]
    return sorted(rows, key=lambda row: -(row["timestamp"] or 0))


def _spoken(payload: Mapping[str, Any]) -> dict[str, str]:
    """The person's own words in an event that has some, and what kind of saying it was."""
    parsed = payload.get("parsed")
    said = parsed.get("text") if isinstance(parsed, Mapping) else payload.get("text")
    out = {"said": str(said)} if said else {}
    manner = payload.get("kind", payload.get("op"))
    return out | ({"manner": str(manner)} if manner is not None else {})


def _of(engine: Engine, past: Any) -> list[tuple[int, dict[str, Any]]]:
    out = []
    for at, item in enumerate(past["item"].tolist()):
        kind = int(past["kind"][at]) if "kind" in past else -1
        row = {
            "event_id": None, "event_type": engine.kinds[kind] if kind >= 0 else "", "title": engine.window.title(item),
            "item_id": engine.dataset.items[item], "timestamp": int(past["time"][at]) if "time" in past else None,
            "value": float(past["value"][at]) if "value" in past else None, "request_id": None,
        }  # fmt: skip
        out.append((item, row))
    return out
