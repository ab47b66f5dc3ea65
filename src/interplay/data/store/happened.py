"""One event, as clients tell it and as the store gives it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interplay.types import Id

# Said about an item or about the engine itself: instructions, corrections, takings-back. They are in the log like
# everything that happens, and they are no taste for the item they name.
SAID = frozenset({"less", "undo", "instruction", "statement", "edit", "merge"})


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One event in external ids; `row`, `user` and `item` are given by the store, 0 and -1 until then.

    The store gives ids back as text; whether an id is an integer it remembers with the user or item.
    """

    event_id: str
    user_id: Id
    event_type: str
    time: int  # microseconds UTC, on the engine's calendar
    item_id: Id | None = None
    value: float | None = None
    request_id: str | None = None
    session_id: str | None = None
    surface: str | None = None
    undoes: str | None = None  # the event_id that an `undo` takes back
    payload: Mapping[str, Any] | None = None  # JSON-able
    row: int = 0
    user: int = -1  # positions in the tenant's index space
    item: int = -1


def standing(events: Sequence[Happened]) -> list[Happened]:
    """What was not taken back, oldest first; the takings-back themselves are left out.

    >>> a = Happened(event_id="a", user_id="ada", event_type="keep", time=1, item_id="lamp")
    >>> standing([a, Happened(event_id="b", user_id="ada", event_type="undo", time=2, undoes="a")])
    []
    """
    undone = {e.undoes for e in events if e.undoes is not None}
    kept = [e for e in events if e.undoes is None and e.event_id not in undone]
    return sorted(kept, key=lambda e: (e.time, e.row))
