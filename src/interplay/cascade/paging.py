"""The last stage of a request: the page. An arranger orders it as a whole, variety and caps choose from it, a policy
explores, pins take their places.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from interplay.cascade.page import Page, arrange
from interplay.cascade.parts import ARRANGER, Answer, Explore
from interplay.cascade.path import pool
from interplay.ops.topk import best_dot
from interplay.types import Array, Requests, Slates

if TYPE_CHECKING:
    from interplay.cascade.cascade import Cascade

log = logging.getLogger("interplay.cascade")


def lay(cascade: Cascade, answer: Answer, n: int, forgiving: bool = True) -> None:
    """Arrange the ranked candidates of an answer into pages of at most n items."""
    begun, page = time.perf_counter(), answer.page
    explore = cascade.explore
    if explore is not None and explore.serves not in ("both", answer.kind):
        explore = None
    assert answer.ranked is not None
    ranked, wide = answer.ranked, cascade.width(n if explore is None else max(n, explore.pool))
    order = page.order(ranked.items, ranked.scores, wide)
    made = _arranged(cascade, answer, order[:, : cascade.width(n)], forgiving)
    if made is not None:
        new = _arranged_order(page, ranked, made, wide)
        ranked = replace(ranked, columns={**ranked.columns, **made.columns})
        mine = np.array([who != "base" for who in made.by])[:, None]
        order = np.where(mine, new, order)
    held = order >= 0
    at = np.maximum(order, 0)
    columns = {k: np.take_along_axis(c, at, 1) for k, c in ranked.columns.items()}
    columns["ranked"] = np.where(held, order, -1).astype(np.int32)  # place before the page; -1 for a pin
    slates = Slates(
        items=np.where(held, np.take_along_axis(ranked.items, at, 1), -1),
        scores=np.where(held, np.take_along_axis(ranked.scores, at, 1), -np.inf).astype(np.float32),
        columns=columns,
    )
    pinned = page.arrays["pinned"]
    allowed = _allowed(cascade, answer.requests, pinned) if len(pinned) else np.zeros((len(slates), 0), bool)
    if explore is not None:
        slates = _explored(explore, answer, slates, cascade.width(n), np.where(allowed, pinned[None, :], -2))
    if len(pinned):
        for item, place, may in zip(pinned, page.arrays["pinned_at"], allowed.T, strict=True):
            slates = _pinned(slates, int(item), int(place), may)
    answer.slates = slates
    answer.seconds["page"] = time.perf_counter() - begun


def _arranged(cascade: Cascade, answer: Answer, stood: Array, forgiving: bool) -> Any:
    """What the arranger makes of the candidates, beside the page that stands without it; None without one.

    A person's own wish for variety goes before it, as do soft wishes and boosts of a request: what those have ordered
    is left as it stands.
    """
    wanted, ranked, answer.arranged = cascade.arranging, answer.ranked, None
    asked = answer.requests.arrangement
    assert ranked is not None
    if wanted is None or wanted.serves not in ("both", answer.kind):
        return None
    if asked is not None and (asked.diversity is not None or not asked.arranger):
        return None
    more: dict[str, Any] = {"stood": stood} | ({"rails": True} if asked is not None and asked.rails else {})

    def work() -> Any:
        return wanted.arranger.arrange(answer.requests, ranked, stood.shape[1], **more)

    try:
        limited = forgiving and wanted.seconds is not None
        made = pool().submit(work).result(timeout=wanted.seconds) if limited else work()
    except Exception as problem:
        if not forgiving:
            raise
        late = isinstance(problem, TimeoutError) and wanted.seconds is not None
        why = f"later than {wanted.seconds:g} s" if late else f"{type(problem).__name__}: {problem}"
        answer.dropped[ARRANGER] = why
        log.warning("the arranger is left out of an answer: %s", why)
        return None
    bent = _bent(answer.requests)
    if bent.any():  # what a person asked for has ordered these; it is not undone
        by = tuple("base" if left else who for left, who in zip(bent.tolist(), made.by, strict=True))
        kept = {name: np.where(bent[:, None], 0, column) for name, column in made.columns.items()}
        made = replace(made, columns=kept, by=by, after=np.where(bent[:, None], made.before, made.after))
    answer.arranged = made
    return made


def _arranged_order(page: Page, ranked: Slates, made: Any, n: int) -> Array:
    """int64[n_requests, n]: positions of the candidates as the arranger has them, caps obeyed."""
    items = np.take_along_axis(ranked.items, made.order, 1)
    falling = np.broadcast_to(-np.arange(items.shape[1], dtype=np.float32), items.shape)
    at = arrange(items, falling, n, caps=page.caps)
    return np.where(at >= 0, np.take_along_axis(made.order, np.maximum(at, 0), 1), -1)


def _explored(explore: Explore, answer: Answer, slates: Slates, n: int, pinned: Array) -> Slates:
    """The page that the policy chooses from the arranged list; what is pinned is left to its pin."""
    free = (slates.items[:, :, None] != pinned[:, None, :]).all(axis=2)
    pool = replace(slates, items=np.where(free, slates.items, -1))
    held = np.maximum(pool.items, 0)
    caps = [(np.where(pool.items >= 0, codes[held], -1), most) for codes, most in answer.page.caps]
    answer.pool = pool, caps
    return explore.policy.choose(answer.requests, pool, n, caps, explore.places)


def _allowed(cascade: Cascade, requests: Requests, items: Array) -> Array:
    """bool[len(requests), len(items)]: which of a few items each request's rules let through."""
    bias = np.full(cascade.rows.n_items, -np.inf, np.float32)
    bias[items] = 0
    nothing = np.zeros((len(requests), 1), np.float32)
    shown = best_dot(
        nothing, np.zeros((cascade.rows.n_items, 1), np.float32), requests, len(items), cascade.rows, bias=bias
    )
    return (shown.items[:, :, None] == items[None, None, :]).any(axis=1)


def merged(cascade: Cascade, answers: Sequence[Answer], n_requests: int, n: int) -> Slates:
    """The pages of all kinds in the order of the requests, with a column for every source."""
    out = Slates.empty(n_requests, cascade.width(n))
    columns: dict[str, Array] = {"source": np.zeros(out.items.shape, np.int64)}
    columns |= {f"part_{name}": np.zeros(out.items.shape, np.float32) for name in cascade.sources}
    columns["ranked"] = np.full(out.items.shape, -1, np.int32)
    if cascade.explore is not None:  # what nothing chose was certain to come
        columns |= {"propensity": np.ones(out.items.shape), "explored": np.zeros(out.items.shape, bool)}
    for answer in answers:
        assert answer.slates is not None
        width = answer.slates.items.shape[1]
        out.items[answer.rows, :width], out.scores[answer.rows, :width] = answer.slates.items, answer.slates.scores
        for name, column in answer.slates.columns.items():
            columns.setdefault(name, np.zeros(out.items.shape, column.dtype))[answer.rows, :width] = column
    return replace(out, columns=columns)


def _bent(requests: Requests) -> Array:
    """bool[len(requests)]: whose candidates are ordered by soft wishes or boosts of their own."""
    bent = np.zeros(len(requests), bool)
    for i, wishes in enumerate(requests.wishes or ()):
        bent[i] = any(not wish.hard for wish in wishes)
    for i, boosts in enumerate(requests.boosts or ()):
        bent[i] |= bool(boosts)
    return bent


def _pinned(slates: Slates, item: int, place: int, may: Array) -> Slates:
    """`item` at `place` (from 0) of every row that may show it; what stood there moves down by one."""
    n, k = slates.items.shape
    if place >= k:
        return slates
    gone = (slates.items == item) & may[:, None]
    rank = np.cumsum(~gone, axis=1) - 1
    spot = np.minimum(place, (~gone & (slates.items >= 0)).sum(axis=1))[:, None]  # a short list is not torn apart
    key = np.where(gone, np.inf, rank + (rank >= spot) * may[:, None])
    key = np.concatenate([key, np.where(may[:, None], spot, np.inf)], axis=1)
    order = np.argsort(key, axis=1, kind="stable")[:, :k]

    def laid(column: Array, value: Any) -> Array:
        wide = np.concatenate([column, np.full((n, 1), value, column.dtype)], axis=1)
        return np.take_along_axis(wide, order, 1)

    return Slates(
        items=laid(slates.items, item), scores=laid(slates.scores, 0.0),
        columns={name: laid(c, {"ranked": -1, "propensity": 1}.get(name, 0)) for name, c in slates.columns.items()},
    )  # fmt: skip
