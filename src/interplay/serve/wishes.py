"""Standing wishes, read from a person's events: what the engine obeys in every answer until they are taken back."""

from __future__ import annotations

from collections.abc import Sequence

from interplay.data.store.happened import Happened
from interplay.dialogue.state import Event, State, fold, from_dict
from interplay.types import Wish

INSTRUCTION = "instruction"  # the event type under which a wish, and every change of one, stands in the log


def instructions(told: Sequence[Happened]) -> list[Event]:
    """The typed events of a person about wishes, oldest first."""
    return [from_dict(e.payload) for e in told if e.event_type == INSTRUCTION and e.payload is not None]


def standing(told: Sequence[Happened], now: int) -> State:
    """What a person asked for and has not taken back, as of a moment on the engine's calendar."""
    return fold(instructions(told), now)


def nevers(wishes: Sequence[Wish]) -> list[str]:
    """The sentences that hold wherever there is no steering: every explicit no."""
    return [w.rule for w in wishes if w.hard and not w.wanted and w.rule]
