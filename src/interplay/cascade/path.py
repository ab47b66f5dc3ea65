"""The first stages of a request: what it asks for is understood, the sources are asked, their lists become one order.

Rules act inside the sources, before the cut; what each stage made stands in the Answer that goes through them. The page
is cascade/paging.py.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from interplay.cascade.fuse import fused
from interplay.cascade.leaning import WIDE, arranged, leant
from interplay.cascade.parts import FEED, LIFTER, RANKER, WISHES, Answer, Ranking, Source
from interplay.cascade.rules import compile_rules, together
from interplay.data.features import FeatureView
from interplay.errors import InterplayError, Unsupported
from interplay.ops.threads import one_network
from interplay.ops.topk import withheld
from interplay.types import Array, Requests, Slates

if TYPE_CHECKING:
    from interplay.cascade.cascade import Cascade

log = logging.getLogger("interplay.cascade")

WISHED = 600  # candidates of a request with wishes
STEP = 1e-3  # by which the score falls from one candidate that no ranker judged to the next


def understand(cascade: Cascade, kind: str, rows: Array, requests: Requests) -> Answer:
    """What requests of one kind ask for: their rules, wishes and page, with what could not be obeyed noted."""
    begun, n = time.perf_counter(), len(requests)
    notes: list[list[str]] = [[] for _ in range(n)]
    for i, turns in enumerate(requests.turns or ()):
        if turns:
            notes[i].append("the conversation is not read here; only the query and the history are")
    rules = requests.rules
    if cascade.standing.masks is not None:
        rules = together(rules, cascade.standing, n)
    steered = None
    if requests.wishes is not None and any(requests.wishes):
        if cascade.steer is None:
            wished = [_wished(cascade, requests, i, notes[i]) for i in range(n)]
        else:
            steered = _steered(cascade, replace(requests, rules=rules))
            wished = [list(s.where) for s in steered]
            for told, s in zip(notes, steered, strict=True):
                told.extend(s.said)
            requests = replace(requests, wishes=[s.wishes for s in steered])
        hard = compile_rules(cascade.catalogue, n, where=wished, withhold_seen=False, strict=False)
        rules = together(rules, hard, n)
    page, wanted = cascade.pages[kind], requests.arrangement
    answer = Answer(
        kind=kind, rows=rows, requests=replace(requests, rules=rules), notes=notes, steered=steered,
        page=page if wanted is None else arranged(page, wanted, cascade.catalogue),
    )  # fmt: skip
    answer.seconds["understand"] = time.perf_counter() - begun
    return answer


def _steered(cascade: Cascade, requests: Requests) -> list[Any]:
    """What is obeyed of each request's wishes, given what its rules, its history and its exclusions leave."""
    hidden, out = withheld(requests, cascade.rows.n_items), []
    for i, wishes in enumerate(requests.wishes or ()):
        allowed = requests.rules.allowed(i, cascade.rows.n_items)
        allowed[hidden.row(i)["item"]] = False
        out.append(cascade.steer.plan(wishes, allowed, None if requests.at is None else int(requests.at[i])))
    return out


def _wished(cascade: Cascade, requests: Requests, i: int, notes: list[str]) -> list[str]:
    """The sentences of one request's hard wishes; what cannot be obeyed is noted."""
    out = []
    for wish in (requests.wishes or ())[i]:
        if wish.until is not None and requests.at is not None and requests.at[i] > wish.until:
            notes.append(f"the wish {wish.text!r} has run out")
        elif not wish.hard or wish.where is None:
            notes.append(f"the wish {wish.text!r} is soft; no source or ranker here weighs it")
        else:
            sentence = wish.where if wish.wanted else f"not ({wish.where})"
            try:
                cascade.catalogue.mask(sentence, strict=False)
            except InterplayError as problem:
                notes.append(f"the wish {wish.text!r} cannot be obeyed: {problem}")
            else:
                out.append(sentence)
    return out


def retrieve(cascade: Cascade, answer: Answer, n: int, forgiving: bool, seconds: float | None) -> None:
    """Ask every source for its best items; one that fails or is late is left out of a forgiving answer."""
    begun = time.perf_counter()
    if answer.requests.boosts is not None and any(answer.requests.boosts):
        n = max(n, WIDE)
    asked = {name: s for name, s in cascade.active().items() if s.serves in ("both", answer.kind)}
    if not asked:
        raise Unsupported(
            f"no source of this cascade serves a {answer.kind}; its sources are {sorted(cascade.active())}"
        )
    limits = {name: [t for t in (s.seconds, seconds) if t is not None] for name, s in asked.items()}
    timed = {name: min(limit) for name, limit in limits.items() if limit and forgiving}
    running: dict[str, Future[tuple[Slates, float]]] = {
        name: pool().submit(_timed, asked[name], answer.requests, n) for name in timed
    }
    problem: Exception | None = None
    for name, source in asked.items():
        try:
            if name in running:
                left = timed[name] - (time.perf_counter() - begun)
                answer.lists[name], took = running[name].result(timeout=max(left, 0.0))
            else:
                answer.lists[name], took = _timed(source, answer.requests, n)
            answer.seconds[name] = took
        except TimeoutError as late:
            problem = late
            answer.dropped[name] = f"later than {timed[name]:g} s"
        except Exception as error:
            if not forgiving:
                raise
            problem = error
            answer.dropped[name] = f"{type(error).__name__}: {error}"
        if name in answer.dropped:
            log.warning("source %s is left out of an answer: %s", name, answer.dropped[name])
    if not answer.lists:
        raise Unsupported(f"no source could answer: {answer.dropped}") from problem
    if cascade.steer is not None and answer.kind == FEED and answer.steered is not None:
        _lean(cascade, answer, n)
    answer.seconds["retrieve"] = time.perf_counter() - begun


def _lean(cascade: Cascade, answer: Answer, n: int) -> None:
    """Ask every source once more for the items that meet the soft wishes, so that taste orders those too."""
    found = cascade.steer.leaning(answer.requests)
    if found is None:
        return
    rows, rules = found
    part = answer.requests.take(rows)
    part = replace(part, rules=together(part.rules, rules, len(rows)))
    for name in answer.lists:
        if name != WISHES:
            more, took = _timed(cascade.sources[name], part, n)
            answer.lists[name] = _joined(answer.lists[name], rows, more)
            answer.seconds[name] += took


def rank(cascade: Cascade, answer: Answer, n: int, forgiving: bool = True) -> None:
    """One list of candidates from all that the sources gave, in the order of all that has a say; a ranker or a lifter
    that fails is left out of a forgiving answer."""
    begun = time.perf_counter()
    fusion = getattr(cascade.config, answer.kind).fusion
    weights = answer.weights or cascade.weights(answer.kind)
    candidates = cascade.width(max(fusion.candidates, n, WISHED if answer.steered is not None else 0))
    boosted = answer.requests.boosts is not None and any(answer.requests.boosts)
    wide = cascade.width(max(WIDE, candidates)) if boosted else candidates
    answer.ranked = fused(answer.lists, weights, fusion, cascade.rows, wide)
    if boosted:
        answer.ranked = leant(answer.ranked, answer.requests, cascade.catalogue).first(candidates)
    ranking = cascade.judge(answer.kind)
    if ranking is not None:
        try:
            answer.ranked = judged(ranking, answer.requests, answer.ranked, cascade.features)
        except Exception as problem:
            if not forgiving:
                raise
            answer.dropped[RANKER] = f"{type(problem).__name__}: {problem}"
            log.warning("the ranker is left out of an answer: %s", answer.dropped[RANKER])
        else:
            if boosted:
                answer.ranked = leant(answer.ranked, answer.requests, cascade.catalogue)
    if cascade.lasting is not None and cascade.lasting.serves in ("both", answer.kind):
        try:
            answer.ranked = cascade.lasting.model.rank(answer.requests, answer.ranked, cascade.features)
        except Exception as problem:
            if not forgiving:
                raise
            answer.dropped[LIFTER] = f"{type(problem).__name__}: {problem}"
            log.warning("the lifter is left out of an answer: %s", answer.dropped[LIFTER])
    if answer.steered is not None:
        answer.ranked = cascade.steer.rank(answer.requests, answer.ranked, cascade.features)
    answer.seconds["rank"] = time.perf_counter() - begun


def judged(ranking: Ranking, requests: Requests, fused: Slates, features: FeatureView | None) -> Slates:
    """The candidates in the ranker's order: by the sum of what it predicts and of what their place among the fused
    counts, which stands in the column `order`. Those beyond `first` follow as they were, and nothing is predicted."""
    held = fused.items >= 0
    low = np.where(held, fused.scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    high = np.where(held, fused.scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    with np.errstate(invalid="ignore"):
        place = np.where(held & (high > low), (fused.scores - low) / np.maximum(high - low, 1e-12), 0.0)
    whole = replace(fused, columns={**fused.columns, "order": (ranking.order * place).astype(np.float32)})
    n = whole.items.shape[1] if ranking.first is None else ranking.first
    head, rest = whole.first(n), whole.items[:, n:]
    with one_network():
        ranked = _carried(head, ranking.ranker.rank(requests, head, features))
    columns = {k: np.nan_to_num(c) if k.startswith("p_") else c for k, c in ranked.columns.items()}
    held = ranked.items >= 0
    score = np.where(held, np.nan_to_num(ranked.scores, neginf=0.0) + columns["order"], -np.inf)
    order = np.argsort(-score, axis=1, kind="stable")
    score, last = np.take_along_axis(score, order, 1), np.where(held, score, np.inf).min(axis=1, initial=np.inf)
    below = np.where(rest >= 0, last[:, None] - STEP * np.arange(1, rest.shape[1] + 1), -np.inf)
    nothing = np.zeros(rest.shape, np.float32)

    def joined(column: Array, more: Array) -> Array:
        return np.concatenate([np.take_along_axis(column, order, 1), more], axis=1).astype(column.dtype)

    return Slates(
        items=joined(ranked.items, rest), scores=np.concatenate([score, below], axis=1).astype(np.float32),
        columns={k: joined(c, whole.columns[k][:, n:] if k in whole.columns else nothing) for k, c in columns.items()},
    )  # fmt: skip


@cache
def pool() -> ThreadPoolExecutor:
    """The threads of sources that have a time limit."""
    return ThreadPoolExecutor(8, thread_name_prefix="source")


def _timed(source: Source, requests: Requests, n: int) -> tuple[Slates, float]:
    begun = time.perf_counter()
    return source.retriever.retrieve(requests, max(source.n, n)), time.perf_counter() - begun


def _joined(lists: Slates, rows: Array, more: Slates) -> Slates:
    """A source's lists with further items of the same source for some rows; the order is by its score."""
    width = lists.items.shape[1] + more.items.shape[1]
    out = Slates.empty(len(lists), width)
    out.items[:, : lists.items.shape[1]], out.scores[:, : lists.items.shape[1]] = lists.items, lists.scores
    for i, row in enumerate(rows):
        items = np.concatenate([lists.items[row], more.items[i]])
        scores = np.concatenate([lists.scores[row], more.scores[i]])
        _, first = np.unique(items, return_index=True)
        first = np.sort(first[items[first] >= 0])
        first = first[np.argsort(-scores[first], kind="stable")]
        out.items[row], out.scores[row] = -1, -np.inf
        out.items[row, : len(first)], out.scores[row, : len(first)] = items[first], scores[first]
    return out


def _carried(before: Slates, after: Slates) -> Slates:
    """The ranker's order with the columns that came before it."""
    n, m = before.items.shape
    row = np.repeat(np.arange(n), m)
    size = int(before.items.max(initial=0)) + 2
    key = row * size + before.items.ravel() + 1
    order = np.argsort(key, kind="stable")
    wanted = np.repeat(np.arange(n), after.items.shape[1]) * size + after.items.ravel() + 1
    at = order[np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)] if len(order) else order
    columns = {k: c.ravel()[at].reshape(after.items.shape) for k, c in before.columns.items()}
    return replace(after, columns={**columns, **after.columns})
