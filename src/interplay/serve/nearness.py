"""Things like one thing: by who touches them where a model knows that, by the words that describe them elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from interplay.errors import Unsupported
from interplay.ops.topk import best
from interplay.serve.scene import Scene
from interplay.types import Array, Requests, RuleSet, Slates, Stage, Trace

SPARE, SHORT = 4, 100  # under rules so many times as many as are wanted are asked for, and no fewer than this


def near(scene: Scene, item: int, n: int, allowed: Array | None = None) -> tuple[Slates, str]:
    """The n nearest items and what was compared: "behaviour" where a model has it, the catalogue's "words" if not."""
    if scene.neighbours is not None:
        kept = _alike(scene, item, n, allowed)
        if kept:
            return slate(kept), "behaviour"
    like = scene.words.like(item)
    like[item] = 0.0
    rules = RuleSet(masks=None if allowed is None else allowed[None], withhold_seen=False)
    asked = Requests.strangers([[]], rules=rules)
    return best(lambda _: np.where(like > 0, like, -np.inf)[None], asked, n, scene.rows), "words"


def _alike(scene: Scene, item: int, n: int, allowed: Array | None) -> list[tuple[int, float]]:
    """The n nearest allowed items by behaviour: a short list is asked for, a longer one where rules hide most of it."""
    wide, every = n if allowed is None or allowed.all() else max(SPARE * n, SHORT), scene.dataset.n_items
    while True:
        try:
            found = scene.neighbours.similar_items(np.array([item], np.int32), min(wide, every)).row(0)
        except Unsupported:  # a cascade none of whose sources knows neighbours: the words do
            return []
        kept = [(i, s) for i, s in found if allowed is None or allowed[i]][:n]
        if len(kept) >= n or len(found) < wide or wide >= every:
            return kept
        wide *= 8


def nearest_told(
    scene: Scene, item: int, n: int, allowed: Array, requests: Requests, ruled: float
) -> tuple[Slates, str, Trace]:
    """The n nearest allowed items, what was compared, and how that came about; the rules took `ruled` seconds."""
    begun = time.perf_counter()
    slates, by = near(scene, item, n, allowed)
    seconds = time.perf_counter() - begun
    title, free, found = scene.window.title(item), int(allowed.sum()), slates.row(0)
    compared = "by who looks at it" if by == "behaviour" else "by the words that describe it"
    rules = requests.rules
    hidden = {} if rules.masks is None else dict(zip(rules.names, (~rules.masks).sum(axis=1).tolist(), strict=True))
    excluded = 0 if rules.exclude is None else len(rules.exclude["item"])
    stages = (
        Stage(name="understand", seconds=0.0, said=f"Things like {title}."),
        Stage(
            name="rules", seconds=ruled, said=f"{free} of {scene.dataset.n_items} items may be shown.",
            facts={"by_rule": hidden, "excluded": excluded, "seen": 0},
        ),
        Stage(
            name="retrieve", seconds=seconds, said=f"Every item that may be shown was compared {compared}.",
            facts={"sources": [{"source": by, "gave": len(found)}]},
        ),
    )  # fmt: skip
    rows = tuple(
        {
            "item": i, "sources": [{"source": by, "place": place, "score": score, "part": score}],
            "reason": f"Close to {title} {compared}",
        }
        for place, (i, score) in enumerate(found, 1)
    )  # fmt: skip
    return slates, by, Trace(request_id="", stages=stages, items=rows)


def slate(pairs: Sequence[tuple[int, float]]) -> Slates:
    """One list of (item, score)."""
    return Slates(
        items=np.array([[i for i, _ in pairs]], np.int32).reshape(1, -1),
        scores=np.array([[s for _, s in pairs]], np.float32).reshape(1, -1),
    )
