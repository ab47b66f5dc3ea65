"""What the arranger did to a page, for people: the page as composed beside the page as it would stand without it.

Both orders carry names and titles, what moved carries where from, and the two grains of the reward stand beside each
other: what single things earn at their places, and what the page earns as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interplay.ops.jsons import plain
from interplay.serve.answers import Answer
from interplay.serve.engine import Engine

if TYPE_CHECKING:
    from interplay.serve.shelves import Shelving


def composition(answer: Answer) -> Mapping[str, Any] | None:
    """What the page stage of an answer says of its arranger; None where none had a say in this page."""
    facts = next((s.facts for s in answer.trace.stages if s.name == "page"), {})
    return facts if facts.get("by", "base") != "base" else None


def named(engine: Engine, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a page stage with both orders in external ids and titles instead of indices."""
    told = dict(facts)
    if "orders" in facts:
        told["orders"] = orders(engine, facts["orders"])
    if "rails" in facts:
        rails = facts["rails"]
        told["rails"] = {k: rails[k] for k in ("by", "grains")} | {
            part: [
                {k: v for k, v in rail.items() if k not in ("of", "items")}
                | {"of": engine.dataset.items[rail["of"]] if rail["origin"] == "near" else None,
                   "items": [engine.dataset.items[i] for i in rail["items"]]}
                for rail in rails[part]
            ]
            for part in ("chosen", "rule")
        }  # fmt: skip
    return plain(told)


def orders(engine: Engine, told: Mapping[str, Sequence[int]]) -> dict[str, list[dict[str, Any]]]:
    """Both orders; each thing with its place here and, as `other`, its place on the other page, None where it is not
    there."""
    before, after = list(told["before"]), list(told["after"])

    def row(item: int, place: int, other: list[int]) -> dict[str, Any]:
        away = other.index(item) + 1 if item in other else None
        return {
            "item_id": engine.dataset.items[item], "title": engine.window.title(item), "place": place, "other": away,
        }  # fmt: skip

    return {
        "before": [row(item, place, after) for place, item in enumerate(before, 1)],
        "after": [row(item, place, before) for place, item in enumerate(after, 1)],
    }


def compared(
    shelving: Shelving, lead: Answer, shelves: Sequence[Mapping[str, Any]], heroes: int, arranged: bool
) -> dict[str, Any]:
    """The whole first page, composed and not: what leads, which shelves follow, what moved and what it is worth."""
    engine, facts = shelving.engine, composition(lead)
    stage = next((s.facts for s in lead.trace.stages if s.name == "page"), {})
    out: dict[str, Any] = {
        "arranger": stage.get("arranger"),
        "on": arranged,
        "by": "base",
        "both": not arranged or facts is not None,  # whether there is another page to switch to
        "request_id": lead.request_id,
    }
    if facts is None:
        why = "Nobody composed it: this is the fused order with its variety, and the fixed rule for shelves."
        if "left_out" in stage:
            why = f"The arranger is missing ({stage['left_out']}), so the fixed order stands."
        elif arranged and len(shelving.state):
            why = "What you said has ordered this page, so the arranger left it as it stands."
        return out | {"said": why}
    first = orders(engine, facts["orders"])
    moved = sum(row["other"] != row["place"] for row in first["after"])
    out |= {"by": facts["by"], "first": first, "grains": facts["grains"], "moved": moved, "heroes": heroes}
    said = f"{moved} of the first {len(first['after'])} things"
    rails = facts.get("rails")
    if rails is not None:
        out["rails"] = {"by": rails["by"], "grains": rails["grains"]} | _shelves(
            shelving.usual(len(first["before"]) - heroes), shelves
        )
        apart = sum(row["other"] != row["place"] for row in out["rails"]["after"])
        said += f" and {apart} of {len(out['rails']['after'])} shelves"
    return plain(out | {"said": f"Composed as one page: {said} stand elsewhere than by the fixed order."})


def _shelves(usual: Sequence[str], shown: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The shelves by the rule and as they stand, each with its place among the others' and what it earns."""
    before: list[dict[str, Any]] = [{"title": title} for title in usual]

    def rows(these: Sequence[Mapping[str, Any]], those: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        away = [shelf["title"] for shelf in those]
        return [
            {"title": shelf["title"], "place": place, "slot": shelf.get("slot"),
             "other": away.index(shelf["title"]) + 1 if shelf["title"] in away else None}
            for place, shelf in enumerate(these, 1)
        ]  # fmt: skip

    return {"before": rows(before, shown), "after": rows(shown, before)}
