"""Answers as others read them: external ids, plain values, every item with where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interplay.cascade.trace import percent
from interplay.ops.jsons import plain
from interplay.serve.answers import Answer
from interplay.serve.composing import named
from interplay.serve.engine import Engine
from interplay.serve.wishes import standing
from interplay.types import Id
from interplay.worlds import pictures


def cards(engine: Engine, answer: Answer, **more: Any) -> list[dict[str, Any]]:
    """The items of an answer as a person sees them: place, words, picture, source and reason."""
    told = {int(row["item"]): row for row in answer.trace.items}
    lacking = [item for item in answer.items if "meets" not in told.get(item, {})]
    met = dict(zip(lacking, wished(engine, answer.user, lacking), strict=True))
    out, shown = [], answer.slates.row(0)
    for place, ((item, score), card) in enumerate(zip(shown, engine.window.cards(answer.items), strict=True), 1):
        row = told.get(item, {})
        sources = row.get("sources") or ()
        out.append(
            card
            | {
                "place": place, "score": round(float(score), 6), "request_id": answer.request_id,
                "source": str(sources[0]["source"]) if sources else "", "reason": str(row.get("reason", "")),
            }
            | ({"tried": _tried(row)} if row.get("explored") else {})
            | {k: [{n: w[n] for n in ("wish_id", "text")} for w in row[k]] for k in ("meets", "against") if k in row}
            | met.get(item, {})
            | more
        )  # fmt: skip
    return out


def _tried(row: Mapping[str, Any]) -> str:
    """That a thing is shown to learn from, in the words of a card."""
    return f"A try: shown to learn, chance {percent(row['propensity'])}"


def wished(engine: Engine, user: Id | None, items: Sequence[int]) -> list[dict[str, Any]]:
    """Which standing wishes of a person each item meets and which it goes against; nothing where none stands."""
    state = standing(engine.lately(user, engine.watch.head), engine.now()) if user is not None else ()
    if not state or not items:
        return [{}] * len(items)
    out: list[dict[str, Any]] = [{"meets": [], "against": []} for _ in items]
    steer, wishes = getattr(engine.cascade, "steer", None), [held.wish for held in state]
    if steer is not None:
        parts = steer.meets(wishes, items)
        met = [({j for j, _ in yes}, {j for j, _ in no}) for yes, no in parts]
    else:
        masks = {j: engine.catalogue.mask(w.met, strict=False) for j, w in enumerate(wishes) if w.met is not None}
        of = [{j for j, mask in masks.items() if mask[i]} for i in items]
        wanted = {j for j in masks if wishes[j].wanted}
        met = [(have & wanted, have - wanted) for have in of]
    for row, (yes, no) in zip(out, met, strict=True):
        for j, held in enumerate(state):
            told = {"wish_id": held.wish_id, "text": held.wish.text}
            row["meets"] += [told] if j in yes else []
            row["against"] += [told] if j in no else []
    return out


def trace(engine: Engine, answer: Answer) -> dict[str, Any]:
    """How an answer came about, stage by stage, in words and numbers."""
    person = -1 if answer.user is None else int(engine.dataset.users.index([answer.user])[0])
    rows = {int(row["item"]): row for row in answer.trace.items}
    items = []
    for (index, _), card in zip(answer.slates.row(0), cards(engine, answer), strict=True):
        told = {k: v for k, v in rows.get(index, {}).items() if k not in ("item", "place", "score", "reason")}
        if "gate" in told:
            told["gate"] = {**told["gate"], "events": [_event(engine, e) for e in told["gate"]["events"]]}
        if "looked" in told:
            told["looked"] = {task: _looked(engine, at) for task, at in told["looked"].items()}
        kept = ("item_id", "title", "by", "picture", "place", "score", "reason")
        items.append({k: card[k] for k in kept} | {"sources": []} | plain(told))
    return {
        "request_id": answer.request_id, "user_id": answer.user, "query": answer.query, "at": answer.at,
        "draw": f"{answer.draw:016x}", "engine": engine.name, "milliseconds": round(1000 * answer.seconds, 2),
        "counts": dict(answer.counts or {}),
        "stages": [
            {
                "name": s.name, "milliseconds": round(1000 * s.seconds, 3), "facts": named(engine, s.facts),
                "said": s.said.replace(f"person {person} ", f"person {answer.user} ") if person >= 0 else s.said,
            }
            for s in answer.trace.stages
        ],
        "items": items,
    }  # fmt: skip


def _event(engine: Engine, told: Mapping[str, Any]) -> dict[str, Any]:
    """What one event of the past did to a ranker, with the name and title of its item."""
    index = int(told["item"])
    known = 0 <= index < engine.dataset.n_items
    return {
        **told, "item": engine.dataset.items[index] if known else None,
        "title": engine.window.title(index) if known else "a thing of before",
    }  # fmt: skip


def _looked(engine: Engine, told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields and the events of the past that a ranker looked at most for one outcome, each with its share."""
    fields = [{"field": field, "share": share} for field, share in told["fields"]]
    events = [_event(engine, dict(zip(("history", "item", "share"), e, strict=True))) for e in told["events"]]
    return {"fields": fields, "events": events}


def item(engine: Engine, item_id: Id, *, user: Id | None = None) -> dict[str, Any]:
    """Everything the catalogue says of one item; an unknown one is refused with the nearest names."""
    index = engine.item(item_id)
    row = {k: v for k, v in engine.window.row(index).items() if k != "item_id"}
    about = engine.window.roles["about"]
    card = engine.window.card(index)
    return card | wished(engine, user, [index])[0] | {
        "about": str(row.get(about) or "") if about else "", "properties": engine.window.properties(index),
        "people": int(engine.rows.popularity[index]), "columns": {k: plain(_spoken(v)) for k, v in row.items()},
    }  # fmt: skip


def _spoken(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, bool, int, float, list)) else str(value)


def picture(engine: Engine, item_id: Id, *, wide: bool = False) -> str:
    """The SVG of an item, drawn from its columns and its id; the same one every time."""
    index = engine.item(item_id)
    row = engine.window.row(index)
    seed = row.get("seed") or str(engine.dataset.items[index])
    return pictures.picture({**row, "title": engine.window.title(index), "seed": seed}, wide=wide)
