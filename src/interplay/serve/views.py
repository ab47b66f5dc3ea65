"""Answers as others read them: external ids, plain values, every item with where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interplay.serve.engine import Answer, Engine
from interplay.systems import SYSTEMS
from interplay.types import Id


def cards(engine: Engine, answer: Answer, **more: Any) -> list[dict[str, Any]]:
    """The items of an answer as a person sees them: place, words, picture, source and reason."""
    told = {int(row["item"]): row for row in answer.trace.items}
    out = []
    for place, (item, score) in enumerate(answer.slates.row(0), 1):
        row = told.get(item, {})
        sources = named(row.get("sources"))
        out.append(
            engine.window.card(item)
            | {
                "place": place, "score": round(float(score), 6), "request_id": answer.request_id,
                "source": next(iter(sources), ""), "reason": str(row.get("reason") or _reason(sources)),
            }
            | more
        )  # fmt: skip
    return out


def named(sources: Any) -> dict[str, float]:
    """Which sources found an item, name -> place or score, however the trace lists them; the first one first."""
    if isinstance(sources, Mapping):
        return {str(k): v for k, v in sources.items()}
    if isinstance(sources, str):
        return {sources: 1}
    return {str(s[0]): s[1] for s in sources or () if isinstance(s, Sequence) and len(s) > 1 and not isinstance(s, str)} or {
        str(s): place for place, s in enumerate(sources or (), 1)
    }


def _reason(sources: Mapping[str, float]) -> str:
    """What a source is, for people; nothing where the trace names none."""
    source = next(iter(sources), "")
    return SYSTEMS[source].about if source in SYSTEMS else f"Found by {source}" if source else ""


def trace(engine: Engine, answer: Answer) -> dict[str, Any]:
    """How an answer came about, stage by stage, in words and numbers."""
    rows = {int(row["item"]): row for row in answer.trace.items}
    items = []
    for card in cards(engine, answer):
        row = rows.get(int(engine.dataset.items.index([card["item_id"]])[0]), {})
        items.append(
            {k: card[k] for k in ("item_id", "title", "by", "picture", "place", "score", "reason")}
            | {"sources": named(row.get("sources")), "parts": _numbers(row.get("parts"))}
            | {k: plain(v) for k, v in row.items() if k not in ("item", "sources", "parts", "reason", "place", "score")}
        )
    return {
        "request_id": answer.request_id, "user_id": answer.user, "query": answer.query, "at": answer.at,
        "draw": f"{answer.draw:016x}", "engine": engine.name, "milliseconds": round(1000 * answer.seconds, 2),
        "counts": dict(answer.counts or {}),
        "stages": [
            {"name": s.name, "milliseconds": round(1000 * s.seconds, 3), "said": s.said, "facts": plain(dict(s.facts))}
            for s in answer.trace.stages
        ],
        "items": items,
    }  # fmt: skip


def _numbers(parts: Any) -> dict[str, float]:
    return {str(k): float(v) for k, v in parts.items()} if isinstance(parts, Mapping) else {}


def plain(value: Any) -> Any:
    """Arrays and NumPy numbers as lists and Python numbers; a number that JSON lacks becomes None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [plain(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def item(engine: Engine, item_id: Id) -> dict[str, Any]:
    """Everything the catalogue says of one item; an unknown one is refused with the nearest names."""
    index = engine.item(item_id)
    row = {k: v for k, v in engine.window.row(index).items() if k != "item_id"}
    about = engine.window.roles["about"]
    card = engine.window.card(index)
    return card | {
        "about": str(row.get(about) or "") if about else "", "properties": engine.window.properties(index),
        "people": int(engine.rows.popularity[index]), "columns": {k: plain(_spoken(v)) for k, v in row.items()},
    }  # fmt: skip


def _spoken(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, bool, int, float, list)) else str(value)


def picture(engine: Engine, item_id: Id, *, wide: bool = False) -> str:
    """The SVG of an item, drawn from its columns and its id; the same one every time."""
    from interplay.worlds.pictures import picture as drawn

    index = engine.item(item_id)
    row = engine.window.row(index)
    seed = row.get("seed") or str(engine.dataset.items[index])
    return drawn({**row, "title": engine.window.title(index), "seed": seed}, wide=wide)
