"""What one command says, as typed values: acts, wishes to stand, wishes to go. Nothing is left to be read later."""

from __future__ import annotations

from dataclasses import dataclass

from interplay.types import Wish

VISIT, TODAY, ALWAYS = "this visit", "today", "always"  # how long a wish lasts
ACTS = ("wish", "critique", "accept", "reject", "seen", "ask", "forget", "reset", "undo", "other")


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """One wish that was said, before it meets those that stand."""

    wish: Wish
    about: tuple[str, ...]  # the columns it speaks of, or ("like",), ("text",)
    bound: str = "value"  # value, low, high, both, like, text or item: two of one kind about one thing compete
    values: tuple[str, ...] = ()
    several: bool = False  # a thing may have several values of this column: a second one adds, it does not replace
    lasts: str = VISIT
    manner: str = "add"  # add; also: beside what stands; instead: in its place


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """A wish that shall stand no longer: the words that name it, and the columns and values they mean."""

    text: str
    about: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    unwanted_only: bool = False  # "horror is fine again" takes back a no, never a wish for horror


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A value, title or thing that was named, and whether it was wanted; None where it was only spoken of."""

    text: str
    kind: str  # the column, or "title", "number", "text", "shown"
    wanted: bool | None
    items: tuple[int, ...] = ()

    @property
    def polarity(self) -> str:
        """ "+" for wanted, "-" for unwanted, "0" for neither."""
        return "0" if self.wanted is None else "+" if self.wanted else "-"


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """All that one command says."""

    text: str
    acts: tuple[str, ...] = ("other",)
    wishes: tuple[Proposed, ...] = ()
    taken_back: tuple[TakenBack, ...] = ()
    reset: bool = False  # start over: nothing unpinned stands
    drift: bool = False  # another errand: what was sought goes, every no and every bound stays
    undo: bool = False
    mentions: tuple[Mention, ...] = ()
    repaired: tuple[tuple[str, str], ...] = ()  # (typed, read)
    unknown: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    by: str = "rules"  # or "text model"
    doubts: tuple[str, ...] = ()  # sentences: where two readings differ, or why there is one only

    @property
    def changes(self) -> bool:
        """Whether this says anything that could change what stands."""
        return bool(self.wishes or self.taken_back or self.reset or self.drift or self.undo)
