"""Things like one thing: by who touches them where a model knows that, by the words that describe them elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from interplay.errors import Unsupported
from interplay.ops.topk import best
from interplay.serve.scene import Scene
from interplay.types import Array, Requests, RuleSet, Slates, Stage, Trace


def near(scene: Scene, item: int, n: int, allowed: Array | None = None) -> tuple[Slates, str]:
    """The n nearest items and what was compared: "behaviour" where a model has it, the catalogue's "words" if not."""
    if scene.neighbours is not None:
        free = allowed is None or bool(allowed.all())
        try:
            slates = scene.neighbours.similar_items(np.array([item], np.int32), n if free else scene.dataset.n_items)
        except Unsupported:  # a cascade none of whose sources knows neighbours: the words below do
            slates = Slates.empty(1, 0)
        kept = [(i, s) for i, s in slates.row(0) if free or allowed is None or allowed[i]][:n]
        if kept:
            return slate(kept), "behaviour"
    like = scene.words.like(item)
    like[item] = 0.0
    rules = RuleSet(masks=None if allowed is None else allowed[None], withhold_seen=False)
    asked = Requests.strangers([[]], rules=rules)
    return best(lambda _: np.where(like > 0, like, -np.inf)[None], asked, n, scene.rows), "words"


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
