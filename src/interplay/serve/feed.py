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

from interplay.dialogue.state import Standing, State, chip
from interplay.serve.answers import Answer
from interplay.serve.engine import Engine
from interplay.serve.views import cards
from interplay.serve.window import Facet
from interplay.serve.wishes import standing
from interplay.types import Id

HEROES, SHELF, GRID = 4, 10, 24
LEAD = 12  # the answer that heroes are chosen from; the rest of it is the first shelf
SPOKEN = {  # event type -> what the person did, as in "which you kept"
    "keep": "kept", "click": "looked at", "look": "looked at", "view": "looked at", "purchase": "bought",
    "buy": "bought", "cart": "put in the basket", "rate": "rated", "rating": "rated",
}  # fmt: skip


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
    called: set[str] = set()
    for index in sorted(spread.tolist(), key=lambda i: zlib.crc32(str(engine.dataset.users[i]).encode())):
        tastes = _tastes(engine, index)
        who = person(engine, engine.dataset.users[index])
        if len(out) < n and who["name"] not in called and (not tastes or met[tastes[0][0]] < 2):
            met[tastes[0][0] if tastes else ""] += 1
            called.add(who["name"])
            liked = " and ".join(label for label, _ in tastes[:2])
            out.append({k: who[k] for k in ("user_id", "name", "face", "events")} | {
                "about": f"{who['events']:,} events" + (f", {liked} most of all." if liked else ".")
            })  # fmt: skip
    return out


def _tastes(engine: Engine, index: int, live: Sequence[int] = ()) -> list[tuple[str, int]]:
    """(value of the kind facet, events) of a person, the most frequent first."""
    kinds = engine.window.kinds()
    if kinds is None:
        return []
    items = np.array(live, np.int32)
    if index >= 0:
        items = np.concatenate([engine.dataset.histories(np.array([index], np.int32))["item"], items])
    counts = kinds.member[:, items].sum(axis=1)
    order = np.argsort(-counts, kind="stable")
    return [(kinds.labels[i], int(counts[i])) for i in order if counts[i]]


def feed(engine: Engine, user: Id | None, *, draw: int | None = None) -> dict[str, Any]:
    """Heroes, shelves and the first stretch of everything else, for a person or a stranger."""
    who = person(engine, user)
    index = -1 if user is None else int(engine.dataset.users.index([user])[0])
    lead = engine.answer(user=user, k=LEAD, draw=draw)
    first = cards(engine, lead)
    heroes = _different(first, HEROES)
    used = [card["item_id"] for card in first]
    live = [] if user is None else engine.touched(user)
    shelves = []
    rest = [card for card in first if card not in heroes]
    if len(rest) >= 2:
        shelves.append(_shelf("More for you" if who["events"] else "What others like", _from(rest), rest))
    relaxed = _relaxed(lead)
    state = State() if user is None else standing(engine.told(user), engine.now())
    musts = _musts(state, relaxed)
    for item, done in _anchors(engine, index, live):
        known = _seen(engine, index, live)
        answer = engine.similar(engine.dataset.items[item], user=user, k=SHELF, exclude=[*used, *known], where=musts)
        near = cards(engine, answer)
        if len(near) >= 2:
            used += [card["item_id"] for card in near]
            alike = "looked at by the same people" if near[0]["source"] == "behaviour" else "alike in their words"
            shelves.append(_shelf(f"Near {engine.window.title(item)}", f"Which you {done}; {alike}", near))
    wished = _wished_shelf(engine, user, state, used, draw)
    shelves = wished + shelves
    tastes = _tastes(engine, index, _indices(engine, live))
    shelves += _kind_shelves(engine, user, tastes, used, draw, 2 - len(wished), relaxed)
    grid = engine.answer(user=user, k=GRID, exclude=used, draw=draw)
    allowed = (lead.counts or {}).get("allowed", engine.dataset.n_items)
    whole = _obeys(grid, relaxed)  # where what obeys is used up, the page ends
    below = cards(engine, grid) if whole else []
    every = [*heroes, *(card for shelf in shelves for card in shelf["items"]), *below]
    return {
        "request_id": lead.request_id, "person": who, "title": _title(who, allowed, state, bool(relaxed)),
        "lead": _lead(who, state), "wishes": [chip(s, met=_met(s, every)) for s in reversed(state.standing)],
        "relaxed": list(relaxed), "notes": [*_let_go(relaxed, state), *_missing(lead, grid)],
        "heroes": heroes, "shelves": shelves, "grid": below,
        "cursor": grid.request_id if grid.more and whole else None, "things": allowed,
        "milliseconds": round(1000 * sum(a.seconds for a in (lead, grid)), 1),
    }  # fmt: skip


def wishes_of(engine: Engine, user: Id) -> list[dict[str, Any]]:
    """The standing wishes of a person as chips, the newest first."""
    return [chip(s) for s in reversed(standing(engine.told(user), engine.now()).standing)]


def _relaxed(answer: Answer) -> list[dict[str, Any]]:
    """The wishes that were let go of for an answer, each with the sentence that says so."""
    return next((s.facts.get("relaxed", []) for s in answer.trace.stages if s.name == "understand"), [])


def _musts(state: State, relaxed: Sequence[Mapping[str, Any]]) -> str | None:
    """The sentence of every "must" that the first answer of the page could keep."""
    let_go = {told["wish_id"] for told in relaxed}
    kept = [s.wish for s in state if s.wish.hard and s.wish.wanted and s.wish.where and s.wish_id not in let_go]
    return " and ".join(f"({wish.rule})" for wish in kept) or None


def _obeys(answer: Answer, relaxed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer let go of nothing but what the first one of the page had to."""
    return {told["wish_id"] for told in _relaxed(answer)} <= {told["wish_id"] for told in relaxed}


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


def _shelf(title: str, because: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": title, "because": because, "items": rows}


def _different(rows: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """The first n of different kinds, topped up in order where there are too few kinds."""
    first = {row["kind"].split(", ")[0]: row for row in reversed(rows)}  # the best placed of each kind
    chosen = sorted(first.values(), key=lambda row: row["place"])[:n]
    chosen += [row for row in rows if row not in chosen][: n - len(chosen)]
    return sorted(chosen, key=lambda row: row["place"])


def _from(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where a shelf comes from: its sources, most frequent first."""
    called = {"wishes": "what you asked for"}
    counts = Counter(called.get(str(row["source"]), str(row["source"])) for row in rows if row["source"])
    named = ", ".join(f"{source} ({n})" for source, n in counts.most_common(3))
    return f"From {named}" if named else "In order of score"


def _anchors(engine: Engine, index: int, live: Sequence[Any]) -> list[tuple[int, str]]:
    """The last two different things a person touched, kept ones first, with what was done."""
    done: dict[int, str] = {}
    for event in sorted(live, key=lambda e: (e.event_type != "keep", -e.time)):
        if event.item >= 0:
            done.setdefault(event.item, SPOKEN.get(event.event_type, "touched"))
    if index >= 0 and len(done) < 2:
        past = engine.dataset.histories(np.array([index], np.int32))
        kinds = past["kind"][::-1] if "kind" in past else np.full(len(past["item"]), -1)
        for item, kind in zip(past["item"][::-1][:40].tolist(), kinds[:40].tolist(), strict=True):
            done.setdefault(item, SPOKEN.get(engine.kinds[kind], "touched") if kind >= 0 else "touched")
    return list(done.items())[:2]


def _indices(engine: Engine, live: Sequence[Any]) -> list[int]:
    return [e.item for e in live if e.item >= 0]


def _seen(engine: Engine, index: int, live: Sequence[Any]) -> list[Id]:
    past = engine.dataset.histories(np.array([index], np.int32))["item"].tolist() if index >= 0 else []
    return [engine.dataset.items[i] for i in {*past, *_indices(engine, live)}]


def _wished_shelf(
    engine: Engine, user: Id | None, state: State, used: list[Id], draw: int | None
) -> list[dict[str, Any]]:
    """A shelf under the person's own words: what the newest leaning that a column can check asks for."""
    wishes = [s.wish for s in reversed(state.standing)]
    leaning = next((w for w in wishes if w.wanted and not w.hard and w.where), None)
    if leaning is None:
        return []
    answer = engine.answer(user=user, k=SHELF, exclude=used, where=leaning.where, draw=draw)
    rows = cards(engine, answer)
    if len(rows) < 2 or not _obeys(answer, ()):
        return []
    used += [card["item_id"] for card in rows]
    of = (answer.counts or {}).get("allowed", len(rows))
    title = leaning.text[:1].upper() + leaning.text[1:]
    return [_shelf(title, f"You asked for it; {len(rows)} of {of:,}", rows)]


def _kind_shelves(
    engine: Engine,
    user: Id | None,
    tastes: Sequence[tuple[str, int]],
    used: list[Id],
    draw: int | None,
    n: int,
    relaxed: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Up to n shelves of one kind each: what the person touches most, or what there is most of."""
    kinds = engine.window.kinds()
    if kinds is None:
        return []
    places = [kinds.labels.index(label) for label, _ in tastes[:n]] or list(range(min(n, len(kinds.labels))))
    touched = dict(tastes)
    out = []
    for place in places:
        label = kinds.labels[place]
        only = f"{kinds.name}:{kinds.values[place]}"
        answer = engine.answer(user=user, k=SHELF, exclude=used, facets=[only], draw=draw)
        rows = cards(engine, answer)
        if len(rows) >= 2 and _obeys(answer, relaxed):
            used += [card["item_id"] for card in rows]
            times = touched.get(label, 0)
            because = f"You touched {'one' if times == 1 else f'{times:,}'} of them" if times else _from(rows)
            out.append(_shelf(label[:1].upper() + label[1:], because, rows))
    return out
