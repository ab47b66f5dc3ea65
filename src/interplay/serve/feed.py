"""The first page: what to lead with, which shelves follow, and where each of them comes from.

Each part is an answer of its own, with its own trace; nothing stands on the page twice. Everything here is in external
ids and plain values: what HTTP sends and what the page draws.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interplay.data.store.snapshot import NOBODY
from interplay.dialogue.state import Standing, State, chip
from interplay.serve.answers import Answer
from interplay.serve.composing import compared, composition
from interplay.serve.engine import Engine
from interplay.serve.layout import Layout
from interplay.serve.shelves import Shelving, let_go, obeys, tastes
from interplay.serve.views import cards
from interplay.serve.window import Facet
from interplay.serve.wishes import standing
from interplay.types import Arrangement, Id

HEROES, GRID = 4, 24
LEAD = 12  # the answer that heroes are chosen from; the rest of it is the first shelf


def person(engine: Engine, user: Id | None) -> dict[str, Any]:
    """Who is looking: name, number of events, whether nothing is known, what is kept."""
    index = -1 if user is None else int(engine.dataset.users.index([user])[0])
    told = () if user is None else engine.told(user)
    events = int(engine.rows.events[index]) if index >= 0 else 0
    touched = 0 if user is None else len(engine.touched(user))
    return {
        "user_id": None if user is None else str(user), "stranger": index < 0, "events": events + touched,
        "name": "A stranger" if index < 0 else name(engine, index),
        "face": f"/faces/{index}.svg" if index >= 0 and engine.dataset.name == "market" else "",
        "kept": {e.item_id: e.event_id for e in told if e.event_type == "keep"},
        "basket": {e.item_id: e.event_id for e in told if e.event_type == "cart"},
    }  # fmt: skip


def name(engine: Engine, index: int) -> str:
    """What to call a person: the people table's name where there is one, the id otherwise."""
    people, who = engine.dataset.people, engine.dataset.users[index]
    if people is not None and "name" in people.columns and people["name"][index]:
        return str(people["name"][index])
    return f"Person {who}"


def people(engine: Engine, n: int = 11) -> list[dict[str, Any]]:
    """Persons of the log to look through the eyes of: of different tastes, from little to much history."""
    events = engine.rows.events
    active = np.flatnonzero(events >= min(5, events.max(initial=0)))
    if not len(active) or not events.max(initial=0):
        return []
    order = active[np.argsort(events[active], kind="stable")]
    spread = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), 6 * n)).astype(int))]
    out: list[dict[str, Any]] = []
    met: Counter[str] = Counter()
    named: set[str] = set()
    for index in sorted(spread.tolist(), key=lambda i: zlib.crc32(str(engine.dataset.users[i]).encode())):
        liking = tastes(engine, index)
        who = person(engine, engine.dataset.users[index])
        if len(out) < n and who["name"] not in named and (not liking or met[liking[0][0]] < 2):
            met[liking[0][0] if liking else ""] += 1
            named.add(who["name"])
            out.append(_introduced(who, liking))
    return out


LOOKED = 50_000  # people at most whose names are looked through while somebody types


def called(engine: Engine, prefix: str, n: int = 8) -> list[dict[str, Any]]:
    """Persons whose id or name begins so, in the order of the log, of its first ones where there are very many; whoever
    has that very id comes first."""
    wanted, users, table = prefix.strip().lower(), engine.dataset.users, engine.dataset.people
    names = table["name"].to_list() if table is not None and "name" in table.columns else []
    found = [i for i in users.index([prefix.strip()]).tolist() if i >= 0]
    for index, user in enumerate(users):
        if len(found) >= n or index >= LOOKED:
            break
        known = str(user).lower(), str((names[index] if index < len(names) else None) or "").lower()
        if index not in found and any(text.startswith(wanted) for text in known) and not str(user).startswith(NOBODY):
            found.append(index)
    return [_introduced(person(engine, users[i]), tastes(engine, i)) for i in found]


def _introduced(who: Mapping[str, Any], liking: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """A person in a list to choose from."""
    liked, events = " and ".join(label for label, _ in liking[:2]), who["events"]
    said = f"{events:,} event{'s' * (events != 1)}" + (f", {liked} most of all." if liked else ".")
    return {k: who[k] for k in ("user_id", "name", "face", "events")} | {"about": said}


def feed(engine: Engine, user: Id | None, *, draw: int | None = None, arranged: bool = True) -> dict[str, Any]:
    """Heroes, shelves and the first stretch of everything else, for a person or a stranger.

    Where the recipe has an arranger it composes them, and `composed` tells what stands elsewhere than without it; with
    `arranged` false this is the page as it stands without.
    """
    who = person(engine, user)
    composes = getattr(engine.cascade, "arranging", None) is not None
    first = Arrangement(rails=arranged, arranger=arranged) if composes else None
    later = None if arranged else first
    shelved = Arrangement(arranger=False) if composes else None  # their own order stands
    layout = Layout(user=user)
    lead = engine.answer(user=user, k=LEAD, draw=draw, arrangement=first, layout=layout)
    rows, told = cards(engine, lead), composition(lead)
    heroes = _different(rows, HEROES) if told is None else rows[:HEROES]
    state = State() if user is None else standing(engine.told(user), engine.now())
    relaxed = let_go(lead)
    shelving = Shelving(
        engine=engine, user=user, live=[] if user is None else engine.touched(user), state=state, relaxed=relaxed,
        used=[card["item_id"] for card in rows], arrangement=shelved, layout=layout, draw=draw,
        known=bool(who["events"]),
    )  # fmt: skip
    rest = [card for card in rows if card not in heroes]
    rails = None if told is None else told.get("rails")
    tried = rails is not None and any(rail["propensity"] < 1 for rail in rails["chosen"])  # also beside the rule's
    chosen = rails is not None and (rails["by"] == "policy" or tried)
    shelves = shelving.chosen(rails, rest) if rails is not None and chosen else shelving.by_rule(rest)
    grid = engine.answer(user=user, k=GRID, exclude=shelving.used, draw=draw, arrangement=later, layout=layout)
    allowed = (lead.counts or {}).get("allowed", engine.dataset.n_items)
    whole = obeys(grid, relaxed)  # where what obeys is used up, the page ends
    below = cards(engine, grid) if whole else []
    layout.row(heroes)
    for shelf in shelves:
        layout.row(shelf["items"], shelf.get("propensity", 1.0))
    layout.row(below)
    layout.keep(engine)
    every = [*heroes, *(card for shelf in shelves for card in shelf["items"]), *below]
    return {
        "request_id": lead.request_id, "person": who, "title": _title(who, allowed, state, bool(relaxed)),
        "lead": _lead(who, state), "wishes": [chip(s, met=_met(s, every)) for s in reversed(state.standing)],
        "relaxed": list(relaxed), "notes": [*_let_go(relaxed, state), *_missing(lead, grid)],
        "heroes": heroes, "shelves": shelves, "grid": below,
        "composed": compared(shelving, lead, shelves, HEROES, arranged) if composes else None,
        "cursor": grid.request_id if grid.more and whole else None, "things": allowed,
        "milliseconds": round(1000 * sum(a.seconds for a in (lead, grid)), 1),
    }  # fmt: skip


def wishes_of(engine: Engine, user: Id) -> list[dict[str, Any]]:
    """The standing wishes of a person as chips, the newest first."""
    return [chip(s) for s in reversed(standing(engine.told(user), engine.now()).standing)]


def _let_go(relaxed: Sequence[Mapping[str, Any]], state: State) -> list[dict[str, Any]]:
    """One note for each wish that was let go of for this answer, with its words to be shown as the person's."""
    words = {s.wish_id: s.wish.text for s in state}
    out: list[dict[str, Any]] = []
    for told in relaxed:
        first, _, rest = str(told["said"]).partition(". ")
        out.append({
            "tone": "care", "strong": f"{first}.", "text": rest, "said": [words.get(told["wish_id"], "")],
            "wish": told["wish_id"], "strict": not out,
        })  # fmt: skip
    return out


def _missing(*answers: Answer) -> list[dict[str, Any]]:
    """A note where a source was late or failed: which one, and that it comes back by itself."""
    names = {
        str(source["source"]).replace("_", " ").capitalize()
        for answer in answers for stage in answer.trace.stages
        for source in stage.facts.get("sources", ()) if "dropped" in source
    }  # fmt: skip
    if not names:
        return []
    strong = "One source was late" if len(names) == 1 else f"{_number(len(names), 'source')} were late"
    rest = "is missing. It comes back by itself." if len(names) == 1 else "are missing. They come back by themselves."
    text = f"“{'”, “'.join(sorted(names))}” {rest}"
    return [{"tone": "care", "sign": "wait", "strong": f"{strong}, so this page is a little plainer.", "text": text}]


def sayings(engine: Engine) -> list[str]:
    """Things one could say about this catalogue, from its own columns: a kind and a price, a likeness, a no, a wish."""
    facets = {facet.name: facet for facet in engine.window.facets}
    kind, column = engine.window.kinds(), engine.window.roles["price"]
    price = facets.get(column) if column is not None else None
    others = [f for f in facets.values() if f is not kind and f is not price and f.name != engine.window.roles["by"]]
    out = []
    if kind is not None:
        under = f", {price.labels[0]}" if price is not None else ""
        out.append(f"only {kind.labels[0].lower()}{under}")
    out.append(f"something like the second one{' but cheaper' if price is not None else ''}")
    if others:
        out += [f"no {_rare(others[-1])}", f"more {others[0].labels[0].lower()}"]
    elif kind is not None and len(kind.labels) > 1:
        out.append(f"no {kind.labels[-1].lower()}")
    return out


def _rare(facet: Facet) -> str:
    """A value that some things have and most have not, so that taking it back is felt and leaves plenty."""
    counts = facet.member.sum(axis=1)
    order = np.argsort(np.abs(counts - 0.08 * facet.member.shape[1]), kind="stable")
    return facet.labels[int(order[0])].lower()


NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def _title(who: Mapping[str, Any], allowed: int, state: State, relaxed: bool) -> str:
    if relaxed:
        return f"Nothing fits it all. {allowed:,} things come near."
    rules = sum(s.wish.hard for s in state)
    said = [_number(rules, "rule")] if rules else []
    said += [_number(len(state) - rules, "leaning")] if len(state) > rules else []
    if said:
        whole = ", ".join(said) + f", {allowed:,} things."
        return whole[0] + whole[1:].lower()
    if who["stranger"] and not who["events"]:
        return "Hello. Nothing is known of you."
    return f"Nothing asked. {allowed:,} things."


def _number(n: int, what: str) -> str:
    return f"{NUMBERS[n] if n < len(NUMBERS) else n} {what}{'s' * (n != 1)}"


def _met(held: Standing, shown: Sequence[Mapping[str, Any]]) -> int:
    """How many of the shown things meet a wish; an explicit no is met by all of them."""
    if held.wish.hard and not held.wish.wanted:
        return len(shown)
    key = "meets" if held.wish.wanted else "against"
    met = sum(any(w["wish_id"] == held.wish_id for w in card.get(key, ())) for card in shown)
    return met if held.wish.wanted else len(shown) - met


def _lead(who: Mapping[str, Any], state: State) -> str:
    if len(state):
        return "What you said stays until you take it back."
    events = f"{who['events']:,} event{'' if who['events'] == 1 else 's'}"
    if not who["events"]:
        return "You see what others like. What you look at changes the next feed."
    if who["stranger"]:
        return f"Ordered by {events} of this visit. What you look at changes the next feed."
    return f"Ordered by {events}. What you look at changes the next feed."


def _different(rows: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """The first n of different kinds, topped up in order where there are too few kinds."""
    first = {row["kind"].split(", ")[0]: row for row in reversed(rows)}  # the best placed of each kind
    chosen = sorted(first.values(), key=lambda row: row["place"])[:n]
    chosen += [row for row in rows if row not in chosen][: n - len(chosen)]
    return sorted(chosen, key=lambda row: row["place"])
