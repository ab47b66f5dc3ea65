"""What a person asked for and has not taken back: a value, folded from the typed events of what they said and did.

A new wish meets those that stand: it is kept (it stood already), added, put in the place of one about the same thing,
or it removes what it contradicts. Undo, pin, change and take-back are events too, so the same events always give the
same wishes, and taking back the last event gives the wishes before it.

A wish lasts for the visit unless it says "always" or is pinned. A visit ends when nothing was said for `VISIT_LENGTH`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from interplay.dialogue.said import ALWAYS, TODAY, VISIT, Parsed, Proposed, TakenBack
from interplay.errors import BadSetting, unknown
from interplay.types import EVERYWHERE, Wish

HOUR = 3_600_000_000  # microseconds
VISIT_LENGTH = 6 * HOUR
BOUNDS = ("low", "high", "both")
LIKES = 2  # things to be alike to, at most: the newest


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One wish that holds."""

    wish_id: str
    wish: Wish
    about: tuple[str, ...]
    bound: str = "value"
    values: tuple[str, ...] = ()
    several: bool = False
    lasts: str = VISIT
    pinned: bool = False
    said_at: int = 0
    event_id: str = ""

    @property
    def strength(self) -> str:
        """must, rather, never or rather not."""
        if self.wish.wanted:
            return "must" if self.wish.hard else "rather"
        return "never" if self.wish.hard else "rather not"

    @property
    def says(self) -> str:
        """The second line of a chip."""
        about = "" if self.wish.scope == EVERYWHERE else f"{scoped(self.wish)}, "
        return f"{self.strength}, {about}{'until you say so' if self.pinned or self.lasts == ALWAYS else self.lasts}"

    def same(self, other: Standing) -> bool:
        """Whether both ask for the same thing, whoever said it when."""
        return self._meaning() == other._meaning()

    def _meaning(self) -> tuple[Any, ...]:
        w = self.wish
        return (w.wanted, w.hard, w.where, w.like, w.scope, w.text if w.where is None else "", self.pinned, self.lasts)


@dataclass(frozen=True)
class State:
    """The wishes of one person, the oldest first."""

    standing: tuple[Standing, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.standing)

    def __len__(self) -> int:
        return len(self.standing)

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """As requests carry them, in the same order."""
        return tuple(replace(s.wish, wish_id=s.wish_id) for s in self.standing)

    def find(self, wish_id: str) -> Standing:
        """The standing wish of that id, or a refusal with those there are."""
        for standing in self.standing:
            if standing.wish_id == wish_id:
                return standing
        raise unknown("wish", wish_id, [s.wish_id for s in self.standing])

    def at(self, now: int) -> State:
        """What still holds at a moment (microseconds UTC)."""
        return State(tuple(s for s in self.standing if s.pinned or s.wish.until is None or now <= s.wish.until))

    def same(self, other: State) -> bool:
        """Whether both hold the same wishes, in any order."""
        left = list(other.standing)
        for standing in self.standing:
            match = next((o for o in left if o.same(standing)), None)
            if match is None:
                return False
            left.remove(match)
        return not left


@dataclass(frozen=True, kw_only=True)
class Spoke:
    """A command was read."""

    event_id: str
    at: int
    parsed: Parsed


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One wish was changed by hand: `fields` of hard, wanted, scope, until (microseconds or None), pinned."""

    event_id: str
    at: int
    wish_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """One wish was taken back by hand."""

    event_id: str
    at: int
    wish_id: str


@dataclass(frozen=True, kw_only=True)
class Undone:
    """The last change was taken back."""

    event_id: str
    at: int


Event: TypeAlias = Spoke | Changed | Removed | Undone
CHANGEABLE = ("hard", "wanted", "scope", "until", "pinned")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one event did to one wish."""

    did: str  # added, updated, removed or kept
    wish_id: str
    text: str
    replaced: str | None = None  # the words of what it took the place of


# --------------------------------------------------------------------------------------------------------------------
# Folding


def effective(events: Iterable[Event]) -> list[Event]:
    """The events that count: an undo and what it took back are left out, and so is a command that changed nothing."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, Undone) or (isinstance(event, Spoke) and event.parsed.undo):
            if out:
                out.pop()
        elif not isinstance(event, Spoke) or event.parsed.changes:
            out.append(event)
    return out


def fold(events: Iterable[Event], now: int | None = None) -> State:
    """The wishes that a person's events leave; `now` lets those go whose time is over."""
    state = State()
    for event in effective(events):
        state, _ = apply(state, event)
    return state if now is None else state.at(now)


def apply(state: State, event: Event) -> tuple[State, tuple[Change, ...]]:
    """The wishes after one more event, and what it changed. An undo needs the events before: use `fold`."""
    state = state.at(event.at)
    if isinstance(event, Spoke):
        return _spoken(state, event)
    if isinstance(event, Undone):
        raise BadSetting("an undo is about the events before it; fold them all, apply takes one that stands for itself")
    held = state.find(event.wish_id)
    rest = tuple(s for s in state if s.wish_id != event.wish_id)
    if isinstance(event, Removed):
        return State(rest), (Change(did="removed", wish_id=held.wish_id, text=held.wish.text),)
    for name in event.fields:
        if name not in CHANGEABLE:
            raise unknown("field of a wish", name, CHANGEABLE)
    new = _changed(held, event.fields)
    told = Change(did="updated" if new != held else "kept", wish_id=held.wish_id, text=new.wish.text)
    return State(tuple(new if s.wish_id == new.wish_id else s for s in state)), (told,)


def _changed(held: Standing, fields: Mapping[str, Any]) -> Standing:
    wish = replace(held.wish, **{k: v for k, v in fields.items() if k in ("hard", "wanted", "scope", "until")})
    if wish.hard and wish.where is None:
        raise BadSetting(
            f"{wish.text!r} cannot be a {'must' if wish.wanted else 'never'}: no column of the catalogue says whether "
            "a thing is like that. It can be weighed (hard = false), or said with a word that the catalogue has"
        )
    pinned, lasts = bool(fields.get("pinned", held.pinned)), held.lasts
    if pinned:
        wish = replace(wish, until=None)
    elif held.pinned and wish.until is None and "until" not in fields:
        wish, lasts = replace(wish, until=held.said_at + VISIT_LENGTH), VISIT
    elif "until" in fields:
        lasts = ALWAYS if wish.until is None else f"to {_day(wish.until)}"
    return replace(held, wish=wish, pinned=pinned, lasts=lasts)


def _day(moment: int) -> str:
    """
    >>> _day(1_764_374_400_000_000)
    '29 Nov'
    """
    said = datetime.fromtimestamp(moment / 1e6, UTC)
    return f"{said.day} {said:%b}"


def _spoken(state: State, event: Spoke) -> tuple[State, tuple[Change, ...]]:
    parsed, changes = event.parsed, list[Change]()
    standing = [_lengthened(s, event.at) for s in state]

    def drop(gone: Sequence[Standing]) -> None:
        for s in gone:
            standing.remove(s)
            changes.append(Change(did="removed", wish_id=s.wish_id, text=s.wish.text))

    if parsed.reset:
        drop([s for s in standing if not s.pinned])
    elif parsed.drift:
        drop([s for s in standing if not s.pinned and s.wish.wanted and s.bound not in BOUNDS])
    for named in parsed.taken_back:
        drop([s for s in standing if _named(s, named)])
    for i, proposed in enumerate(parsed.wishes):
        new = _stands(proposed, f"{event.event_id}-{i}", event)
        twin = next((s for s in standing if s.about == new.about and _same_wish(s.wish, new.wish)), None)
        if twin is not None:
            firmer = replace(twin, wish=replace(new.wish, hard=twin.wish.hard or new.wish.hard), lasts=new.lasts)
            standing[standing.index(twin)] = firmer
            did = "updated" if firmer.wish.hard != twin.wish.hard or firmer.lasts != twin.lasts else "kept"
            changes.append(Change(did=did, wish_id=twin.wish_id, text=new.wish.text))
            continue
        if proposed.manner == "also" and (other := _widened(standing, new)) is not None:
            old = next(s for s in standing if s.wish_id == other.wish_id)
            standing[standing.index(old)] = other
            changes.append(Change(did="updated", wish_id=old.wish_id, text=other.wish.text, replaced=old.wish.text))
            continue
        mine = {f"{event.event_id}-{j}" for j in range(len(parsed.wishes))}
        beaten = [s for s in standing if _beaten(s, new, proposed.manner, s.wish_id in mine)]
        for s in beaten:
            standing.remove(s)
        standing.append(new)
        replaced = " and ".join(s.wish.text for s in beaten) or None
        changes.append(
            Change(did="updated" if beaten else "added", wish_id=new.wish_id, text=new.wish.text, replaced=replaced)
        )
    likes = [s for s in standing if s.bound == "like" and s.wish.wanted and not s.pinned]
    drop(likes[:-LIKES] if len(likes) > LIKES else [])
    return State(tuple(standing)), tuple(changes)


def _lengthened(s: Standing, at: int) -> Standing:
    """A visit goes on as long as something is said."""
    return replace(s, wish=replace(s.wish, until=at + VISIT_LENGTH)) if s.lasts == VISIT and s.wish.until else s


def _stands(p: Proposed, wish_id: str, event: Spoke) -> Standing:
    until: int | None = None
    if p.lasts == VISIT:
        until = event.at + VISIT_LENGTH
    elif p.lasts == TODAY:
        until = event.at - event.at % (24 * HOUR) + 28 * HOUR  # four in the morning: an evening is not over at midnight
    return Standing(
        wish_id=wish_id, wish=replace(p.wish, until=until), about=p.about, bound=p.bound, values=p.values,
        several=p.several, lasts=p.lasts, said_at=event.at, event_id=event.event_id,
    )  # fmt: skip


def _same_wish(a: Wish, b: Wish) -> bool:
    same = a.wanted == b.wanted and a.where == b.where and a.like == b.like
    return same and (a.where is not None or bool(a.like) or a.text.lower() == b.text.lower())


def _named(s: Standing, named: TakenBack) -> bool:
    """Whether a take-back means this wish."""
    if named.unwanted_only and s.wish.wanted:
        return False
    if named.values:
        values = {v.lower() for v in s.values}
        return all(v.lower() in values or v.lower() in s.wish.text.lower() for v in named.values)
    return bool(set(named.about) & set(s.about))


def _widened(standing: Sequence[Standing], new: Standing) -> Standing | None:
    """ "Also teas": the standing wish for another value of the column, with this one beside it."""
    for s in standing:
        if new.wish.text.startswith("only "):
            return None
        if (
            s.about == new.about
            and s.bound == new.bound == "value"
            and s.wish.wanted
            and new.wish.wanted
            and s.wish.where
            and s.wish.scope == new.wish.scope
        ):
            wish = replace(
                s.wish, where=f"({s.wish.where}) or ({new.wish.where})", text=f"{s.wish.text} or {new.wish.text}"
            )
            return replace(s, wish=wish, values=(*s.values, *new.values))
    return None


def _beaten(s: Standing, new: Standing, manner: str, together: bool) -> bool:
    """Whether a new wish takes the place of one that stands; `together`: both were said in one breath."""
    if s.pinned and s.wish.wanted == new.wish.wanted:
        return False
    if s.wish.wanted != new.wish.wanted:  # a contradiction: the older goes
        if s.bound in BOUNDS or new.bound in BOUNDS or together:
            return False
        mine, theirs = set(new.values), set(s.values)
        return s.about == new.about and bool(mine) and bool(theirs) and (mine <= theirs or theirs <= mine)
    if together or s.about != new.about or not new.wish.wanted:
        return s.about == new.about and not together and _competing(s, new)
    if _competing(s, new):
        return True
    if s.bound != "value" or new.bound != "value":
        return False
    if manner == "instead":
        return True
    return s.wish.hard and new.wish.hard and not new.several


def _competing(s: Standing, new: Standing) -> bool:
    """Two bounds of one kind about one column, or one and a span: the newer counts."""
    if s.wish.wanted != new.wish.wanted or s.bound not in BOUNDS or new.bound not in BOUNDS:
        return False
    return s.bound == new.bound or "both" in (s.bound, new.bound)


def between(before: State, after: State) -> tuple[Change, ...]:
    """What lies between two states, for an undo: what came back and what went."""
    gone = [s for s in before if not any(s.wish_id == a.wish_id and s.same(a) for a in after)]
    back = [s for s in after if not any(s.wish_id == b.wish_id and s.same(b) for b in before)]
    changes = [Change(did="added", wish_id=s.wish_id, text=s.wish.text) for s in back]
    return (*changes, *(Change(did="removed", wish_id=s.wish_id, text=s.wish.text) for s in gone))


# --------------------------------------------------------------------------------------------------------------------
# Told and kept


def told(changes: Sequence[Change], parsed: Parsed | None = None) -> str:
    """What was understood, in the words of the page; nothing understood names what was not found."""
    parts: list[str] = []
    now = [
        f"{c.text} instead of {c.replaced}" if c.replaced else c.text for c in changes if c.did in ("added", "updated")
    ]
    kept = [c.text for c in changes if c.did == "kept"]
    gone = [c.text for c in changes if c.did == "removed"]
    if now:
        parts.append(f"Now: {listed(now)}.")
    if kept:
        parts.append(f"{listed(kept)}: that stood already.")
    if gone:
        parts.append(f"Taken back: {listed(gone)}.")
    if parsed is not None:
        for typed, read in parsed.repaired:
            parts.append(f"Nothing here is called “{typed}”; read as “{read}”, the nearest word in this catalogue.")
        if parsed.unknown:
            words = "”, “".join(parsed.unknown)
            rest = "that part changed nothing" if parts else "nothing changed"
            parts.append(f"I found nothing here called “{words}”, so {rest}.")
        elif not parts and parsed.undo:
            parts.append("There is nothing to take back.")
        elif not parts:
            said = "I found no wish in that" if parsed.text.strip() else "Nothing was said"
            parts.append(f"{said}, so nothing changed.")
    return " ".join(parts)


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["no horror", "under 20", "calm"])
    'no horror, under 20 and calm'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def scoped(wish: Wish) -> str:
    """A wish's scope in a person's words: the value it names, or the sentence where it names none or several.

    >>> scoped(Wish(text="no horror", scope="kind == 'book'")), scoped(Wish(text="calm"))
    ('book', 'everything')
    """
    named = re.findall(r"'([^']*)'", wish.scope)
    return named[0].replace("_", " ") if len(named) == 1 else wish.scope


def chip(s: Standing, *, met: int = 0) -> dict[str, Any]:
    """A standing wish as the page shows it."""
    until = s.wish.until
    return {
        "wish_id": s.wish_id, "text": s.wish.text, "wanted": s.wish.wanted, "hard": s.wish.hard,
        "scope": scoped(s.wish),
        "until": None if until is None else datetime.fromtimestamp(until / 1e6, UTC).isoformat(timespec="seconds"),
        "pinned": s.pinned, "met": met, "says": s.says, "event_id": s.event_id, "where": s.wish.where,
    }  # fmt: skip


_KINDS: dict[str, type] = {"spoke": Spoke, "changed": Changed, "removed": Removed, "undone": Undone}


def to_dict(event: Event) -> dict[str, Any]:
    """An event as JSON-able values, for a log; `from_dict` gives the same event back."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(event, cls))
    return {"kind": kind, **asdict(event)}


def from_dict(held: Mapping[str, Any]) -> Event:
    """The event that `to_dict` wrote."""
    kind = str(held.get("kind"))
    if kind not in _KINDS:
        raise unknown("kind of instruction event", kind, _KINDS)
    fields = {k: v for k, v in held.items() if k != "kind"}
    if kind == "spoke":
        fields["parsed"] = parsed_from(fields["parsed"])
    return _KINDS[kind](**fields)


def parsed_from(held: Mapping[str, Any]) -> Parsed:
    """A `Parsed` from JSON-able values."""
    from interplay.dialogue.said import Mention

    out = dict(held)
    out["wishes"] = tuple(
        Proposed(**{**_tupled(p, ("about", "values")), "wish": Wish(**_tupled(p["wish"], ("like",)))})
        for p in held.get("wishes", ())
    )
    out["taken_back"] = tuple(TakenBack(**_tupled(b, ("about", "values"))) for b in held.get("taken_back", ()))
    out["mentions"] = tuple(Mention(**_tupled(m, ("items",))) for m in held.get("mentions", ()))
    out["repaired"] = tuple((a, b) for a, b in held.get("repaired", ()))
    return Parsed(**_tupled(out, ("acts", "unknown", "near", "doubts")))


def _tupled(held: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {k: tuple(v) if k in names else v for k, v in held.items()}
