"""What a person's own statements do to an answer: those they wrote or agreed to lean it, those they deleted mute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interplay.cascade.rules import Catalogue
from interplay.data.store.happened import Happened
from interplay.dialogue.profile import folded
from interplay.errors import InterplayError
from interplay.types import Array, Boost, Ragged

STATEMENT = "statement"  # the event type under which what a person says of statements stands in the log
AGREED = 1.25  # what a liked thing's score is multiplied by; a disliked one's is divided


def leaning(told: Sequence[Happened], past: Ragged, catalogue: Catalogue) -> tuple[list[Boost], Ragged, Array]:
    """Boosts for what the person wrote or agreed to, the history without what deleted statements rested on, and the
    items that were taken out of it: they have been seen all the same.

    A statement about columns or values that the catalogue has no longer does nothing.
    """
    events = [(e.time, e.payload) for e in told if e.event_type == STATEMENT and e.payload is not None]
    if not events:
        return [], past, np.zeros(0, np.int32)
    notes, boosts = folded(events), []
    for where, wanted in notes.leanings:
        if _known(where, catalogue):
            boosts.append(Boost(where=where, by=AGREED if wanted else 1 / AGREED))
    keep = np.ones(len(past["item"]), bool)
    for where, until in notes.muted:
        if _known(where, catalogue):
            mask, items = catalogue.mask(where), past["item"]
            held = (items < len(mask)) & mask[np.minimum(items, len(mask) - 1)]
            keep &= ~(held & (past["time"] <= until)) if "time" in past else ~held
    return boosts, past if keep.all() else past.where(keep), past["item"][~keep]


def _known(where: str, catalogue: Catalogue) -> bool:
    try:
        catalogue.mask(where)
    except InterplayError:
        return False
    return True
