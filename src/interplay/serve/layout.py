"""One page that several answers make up: what of them stood where on it, and by what chance each row of it came.

    layout = Layout()
    lead = engine.answer(user="17", k=12, layout=layout)      # what was shown waits to be placed
    layout.row(cards)                                         # a row of the page, from the top
    layout.row(cards, propensity=0.2)                         # a shelf that was tried
    layout.keep(engine)

Each thing is logged with its answer's request_id and slot, as ever, and with the page, the row and the place where a
person met it. What an answer holds and the page does not is logged as not seen: it was nobody's to click.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from interplay.serve.answers import Answer
    from interplay.serve.engine import Engine
    from interplay.types import Array, Id


def impressions(answer: Answer, policy: str | Sequence[str], allowed: Array) -> list[dict[str, Any]]:
    """What one answer shows, as `schema.impressions` has it: by one policy or by one for each place; `allowed` is
    bool[n_items], what it could show. Where on a page of several answers it stands is not known here."""
    shown, columns = answer.slates.row(0), answer.slates.columns
    held, tried = columns.get("propensity"), columns.get("explored")
    by = [policy] * len(shown) if isinstance(policy, str) else [*policy, *[policy[-1]] * len(shown)]
    same = {
        "request_id": answer.request_id, "row": 0, "time": answer.at, "temperature": None,
        "candidate_hash": hashlib.blake2b(np.packbits(allowed).tobytes(), digest_size=8).hexdigest(), "seen": None,
        "page": None, "shelf": None, "place": None, "shelf_propensity": None,
    }  # fmt: skip
    return [
        {
            **same,
            "slot": slot,
            "item": item,
            "policy": by[slot],
            "propensity": 1.0 if held is None else float(held[0, slot]),
            "explored": tried is not None and bool(tried[0, slot]),
        }
        for slot, (item, _) in enumerate(shown)
    ]


@dataclass(kw_only=True, eq=False)
class Layout:
    """What waits to be logged, and the rows of the page so far."""

    user: Id | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)
    rows: list[tuple[Sequence[Mapping[str, Any]], float]] = field(default_factory=list)

    def wait(self, shown: Sequence[dict[str, Any]]) -> None:
        """Impressions of one answer, as `schema.impressions` has them."""
        self.waiting += shown

    def row(self, cards: Sequence[Mapping[str, Any]], propensity: float = 1.0) -> None:
        """The next row of the page, from left to right, and its chance to stand there given the rows before it."""
        self.rows.append((cards, propensity))

    def keep(self, engine: Engine) -> None:
        """Log everything that waits. The page is called by its first answer."""
        if not self.waiting:
            return
        page, stood = self.waiting[0]["request_id"], {}
        for shelf, (cards, chance) in enumerate(self.rows):
            items = engine.dataset.items.index([card["item_id"] for card in cards]).tolist()
            for place, (card, item) in enumerate(zip(cards, items, strict=True)):
                stood[card["request_id"], item] = {"shelf": shelf, "place": place, "shelf_propensity": chance}
        nowhere = {"shelf": None, "place": None, "shelf_propensity": None, "seen": False}
        placed = [row | {"page": page} | stood.get((row["request_id"], row["item"]), nowhere) for row in self.waiting]
        engine.store.answered.shown(placed, user=self.user)
