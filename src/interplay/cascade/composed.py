"""A composed page beside the one that would stand without the arranger: what moved, and what it is worth.

Items are indices here; what leaves the engine names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interplay.cascade.parts import Answer


def without(answer: Answer, i: int) -> list[int]:
    """The items of a page as it would stand without the arranger, best first."""
    assert answer.ranked is not None
    at = answer.arranged.stood[i]
    return answer.ranked.items[i][at[at >= 0]].tolist()


def composed(answer: Answer, i: int, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Both pages of a request, as composed and as it would stand without the arranger: the order of items, what moved,
    and what each is worth, item by item and as a whole; with the shelves that were chosen for what follows."""
    made = answer.arranged
    grains = _grains(made, i)
    now, was = [item["item"] for item in items], without(answer, i)
    told: dict[str, Any] = {
        "by": made.by[i], "before": sum(grains["before"].values()), "after": sum(grains["after"].values()),
        "grains": grains, "orders": {"before": was[: len(now)], "after": now},
    }  # fmt: skip
    if made.rails is not None:
        told["rails"] = _rails(made.rails, i)
    return told


def _grains(made: Any, i: int) -> dict[str, dict[str, float]]:
    """Both rewards of both pages: the part of single items, and the page's own."""
    return {
        when: {"items": float(worth[i, 0]), "page": float(worth[i, 1])}
        for when, worth in (("before", made.before), ("after", made.after))
    }


def _rails(chosen: Any, i: int) -> dict[str, Any]:
    """The shelves of a page, chosen and by the rule, each with where it comes from, its items and what it earns."""
    shelves, named = chosen.shelves, ("rest", "near", "kind")
    usual = {at: place for place, at in enumerate(chosen.rule[i].tolist(), 1) if at >= 0}
    rows = [
        {
            "origin": named[shelves.origin[i, at]], "of": int(shelves.of[i, at]), "place": place,
            "stood": usual.get(at), "slot": float(chosen.slot[i, place - 1]),
            "propensity": float(chosen.chance[i, place - 1]),
            "items": [item for item in shelves.items[i, at].tolist() if item >= 0],
        }
        for place, at in enumerate(chosen.order[i].tolist(), 1) if at >= 0
    ]  # fmt: skip
    known = {at: row for row, at in zip(rows, [a for a in chosen.order[i].tolist() if a >= 0], strict=True)}
    rule = [
        {"origin": named[shelves.origin[i, at]], "of": int(shelves.of[i, at]), "place": place,
         "stands": known[at]["place"] if at in known else None,
         "items": [item for item in shelves.items[i, at].tolist() if item >= 0]}
        for at, place in usual.items()
    ]  # fmt: skip
    return {"by": chosen.by, "chosen": rows, "rule": rule, "grains": _grains(chosen, i)}
