"""The shelves of a feed: by a fixed rule, or those that the recipe's arranger chose; each is an answer of its own.

The rule: what the person's own words ask for, the rest of the first answer, near the last two things they touched, and
the kinds they touch most. An arranger chooses among the same sorts of shelf (learn/page_rails.py) and says in which
order; what the person asked for in words stands first in both. A shelf with fewer than two things is left out, and the
next one takes its place. Nothing stands on the page twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interplay.dialogue.state import State
from interplay.serve.answers import Answer
from interplay.serve.engine import Engine
from interplay.serve.layout import Layout
from interplay.serve.views import cards
from interplay.types import Arrangement, Id, Wish

SHELF, MOST = 10, 5  # things on a shelf, and shelves of a page
SPOKEN = {  # event type -> what the person did, as in "which you kept"
    "keep": "kept", "click": "looked at", "look": "looked at", "view": "looked at", "purchase": "bought",
    "buy": "bought", "cart": "put in the basket", "rate": "rated", "rating": "rated",
}  # fmt: skip


@dataclass(kw_only=True, eq=False)
class Shelving:
    """One feed that is being filled."""

    engine: Engine
    user: Id | None
    live: Sequence[Any]  # what the person did since the model was made
    state: State
    used: list[Id]  # what stands on the page already
    relaxed: Sequence[Mapping[str, Any]]  # wishes that the first answer had to let go of
    arrangement: Arrangement | None = None  # how the answers are arranged
    layout: Layout
    draw: int | None = None
    known: bool = True  # whether anything is known of the person

    def __post_init__(self) -> None:
        self.index = -1 if self.user is None else int(self.engine.dataset.users.index([self.user])[0])
        self.tastes = tastes(self.engine, self.index, [e.item for e in self.live if e.item >= 0])

    # ---------------------------------------------------------------------------------------------------- by the rule

    def by_rule(self, rest: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The shelves of the fixed rule; `rest` is what the first answer has left."""
        first = [] if len(rest) < 2 else [self.rest(rest)]
        near = [self.near(item, done) for item, done in self.anchors(2)]
        wished = self.wished()
        kinds = [self.kind(place) for place in self.favourites(2 - len(wished))]
        return [*wished, *first, *(shelf for shelf in (*near, *kinds) if shelf)]

    def usual(self, rest: int) -> list[str]:
        """What the shelves of the fixed rule are called where the first answer leaves so much, without filling them;
        one that ends up with too few things falls away."""
        kinds, wished = self.engine.window.kinds(), self.leaning()
        titles = [] if wished is None else [headed(wished.text)]
        titles += [self.title("rest", -1)] if rest >= 2 else []
        titles += [self.title("near", item) for item, _ in self.anchors(2)]
        favourites = self.favourites(2 if wished is None else 1)
        return titles + [headed(kinds.labels[place]) for place in favourites if kinds is not None]

    def rest(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return made(self.title("rest", -1), whence(rows), rows)

    def near(self, item: int, done: str) -> dict[str, Any] | None:
        """What is like one thing, for anybody."""
        engine = self.engine
        answer = engine.similar(
            engine.dataset.items[item],
            user=self.user,
            k=SHELF,
            exclude=[*self.used, *self.seen()],
            where=self.musts(),
            layout=self.layout,
        )
        near = self.taken(answer)
        if near is None:
            return None
        alike = "looked at by the same people" if near[0]["source"] == "behaviour" else "alike in their words"
        return made(self.title("near", item), f"Which you {done}; {alike}", near)

    def wished(self) -> list[dict[str, Any]]:
        """A shelf under the person's own words: what the newest leaning that a column can check asks for."""
        leaning = self.leaning()
        if leaning is None:
            return []
        answer = self.answer(where=leaning.where)
        rows = self.taken(answer, relaxed=())
        if rows is None:
            return []
        of = (answer.counts or {}).get("allowed", len(rows))
        return [made(headed(leaning.text), f"You asked for it; {len(rows)} of {of:,}", rows)]

    def leaning(self) -> Wish | None:
        wishes = [s.wish for s in reversed(self.state.standing)]
        return next((w for w in wishes if w.wanted and not w.hard and w.where), None)

    def favourites(self, n: int) -> list[int]:
        """Up to n kinds, by their place among all: those the person touches most, or what there is most of."""
        kinds = self.engine.window.kinds()
        if kinds is None:
            return []
        liked = [kinds.labels.index(label) for label, _ in self.tastes[:n]]
        return liked or list(range(min(n, len(kinds.labels))))

    def kind(self, place: int) -> dict[str, Any] | None:
        """What there is of one kind, in the person's order."""
        kinds = self.engine.window.kinds()
        assert kinds is not None
        rows = self.taken(self.answer(facets=[f"{kinds.name}:{kinds.values[place]}"]))
        if rows is None:
            return None
        label = kinds.labels[place]
        times = dict(self.tastes).get(label, 0)
        because = f"You touched {'one' if times == 1 else f'{times:,}'} of them" if times else whence(rows)
        return made(headed(label), because, rows)

    # ----------------------------------------------------------------------------------------------------- as chosen

    def chosen(self, rails: Mapping[str, Any], rest: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The shelves that the arranger chose, in its order; one that ends up empty gives way to the next."""
        out = self.wished()
        done = dict(self.anchors(4))
        for rail in rails["chosen"]:
            if len(out) == MOST:
                break
            shelf = self.filled(rail, rest, done)
            if shelf is not None:
                chance = float(rail.get("propensity", 1.0))
                if chance < 1:
                    shelf["because"] += f"; a try, to learn from: 1 in {1 / max(chance, 1e-6):,.0f} such pages"
                out.append(shelf | {k: rail[k] for k in ("slot", "origin", "of")} | {"propensity": chance})
        return out

    def filled(
        self, rail: Mapping[str, Any], rest: list[dict[str, Any]], done: Mapping[int, str]
    ) -> dict[str, Any] | None:
        """One chosen shelf with its things; None where it has no name here, or too little is left of it."""
        if rail["origin"] == "rest":
            return self.rest(rest) if len(rest) >= 2 else None
        if rail["origin"] == "kind":
            place = self.kind_of(rail["items"])
            return None if place is None else self.kind(place)
        names = self.engine.dataset.items
        rows = self.taken(self.answer(allow=[names[i] for i in rail["items"]]))
        because = f"Which you {done.get(rail['of'], 'touched')}; alike in their words, in your order"
        return None if rows is None else made(self.title("near", rail["of"]), because, rows)

    def kind_of(self, items: Sequence[int]) -> int | None:
        """The kind that all these things are of."""
        kinds = self.engine.window.kinds()
        if kinds is None or not items:
            return None
        shared = np.flatnonzero(kinds.member[:, list(items)].all(axis=1))
        return int(shared[0]) if len(shared) else None

    def title(self, origin: str, of: int, items: Sequence[int] = ()) -> str:
        """What a shelf is called; empty where there is no name for it."""
        if origin == "rest":
            return "More for you" if self.known else "What others like"
        if origin == "near":
            return f"Near {self.engine.window.title(of)}"
        place, kinds = self.kind_of(items), self.engine.window.kinds()
        label = "" if place is None or kinds is None else kinds.labels[place]
        return headed(label)

    # ---------------------------------------------------------------------------------------------------------- parts

    def answer(self, **asked: Any) -> Answer:
        return self.engine.answer(
            user=self.user, k=SHELF, exclude=self.used, draw=self.draw, arrangement=self.arrangement,
            layout=self.layout, **asked,
        )  # fmt: skip

    def taken(self, answer: Answer, relaxed: Sequence[Mapping[str, Any]] | None = None) -> list[dict[str, Any]] | None:
        """The cards of an answer, from now on used; None of too few, or where it let go of more than the first had."""
        rows = cards(self.engine, answer)
        if len(rows) < 2 or not obeys(answer, self.relaxed if relaxed is None else relaxed):
            return None
        self.used += [card["item_id"] for card in rows]
        return rows

    def musts(self) -> str | None:
        """The sentence of every "must" that the first answer of the page could keep."""
        let_go = {told["wish_id"] for told in self.relaxed}
        kept = [
            s.wish for s in self.state if s.wish.hard and s.wish.wanted and s.wish.where and s.wish_id not in let_go
        ]
        return " and ".join(f"({wish.rule})" for wish in kept) or None

    def anchors(self, n: int) -> list[tuple[int, str]]:
        """The last n different things a person touched, kept ones first, with what was done."""
        engine, done = self.engine, dict[int, str]()
        for event in sorted(self.live, key=lambda e: (e.event_type != "keep", -e.time)):
            if event.item >= 0:
                done.setdefault(event.item, SPOKEN.get(event.event_type, "touched"))
        if self.index >= 0 and len(done) < n:
            past = engine.dataset.histories(np.array([self.index], np.int32))
            kinds = past["kind"][::-1] if "kind" in past else np.full(len(past["item"]), -1)
            for item, kind in zip(past["item"][::-1][:40].tolist(), kinds[:40].tolist(), strict=True):
                done.setdefault(item, SPOKEN.get(engine.kinds[kind], "touched") if kind >= 0 else "touched")
        return list(done.items())[:n]

    def seen(self) -> list[Id]:
        engine = self.engine
        past = []
        if self.index >= 0:
            past = engine.dataset.histories(np.array([self.index], np.int32))["item"].tolist()
        return [engine.dataset.items[i] for i in {*past, *(e.item for e in self.live if e.item >= 0)}]


def headed(text: str) -> str:
    return text[:1].upper() + text[1:]


def made(title: str, because: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": title, "because": because, "items": rows}


def whence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where a shelf comes from: its sources, most frequent first."""
    called = {"wishes": "what you asked for"}
    counts = Counter(called.get(str(row["source"]), str(row["source"])) for row in rows if row["source"])
    named = ", ".join(f"{source} ({n})" for source, n in counts.most_common(3))
    return f"From {named}" if named else "In order of score"


def tastes(engine: Engine, index: int, live: Sequence[int] = ()) -> list[tuple[str, int]]:
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


def let_go(answer: Answer) -> list[dict[str, Any]]:
    """The wishes that were let go of for an answer, each with the sentence that says so."""
    return next((s.facts.get("relaxed", []) for s in answer.trace.stages if s.name == "understand"), [])


def obeys(answer: Answer, relaxed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer let go of nothing but what the first one of the page had to."""
    return {told["wish_id"] for told in let_go(answer)} <= {told["wish_id"] for told in relaxed}
