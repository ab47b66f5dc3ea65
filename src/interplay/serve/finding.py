"""Search: words choose, the search model orders, facets narrow, and nothing found is said in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interplay.serve.answers import Answer
from interplay.serve.engine import Engine
from interplay.serve.wishes import standing
from interplay.types import Array, Id

NEAR = 12  # things that lack a word, shown after fewer than so many that have them all


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a query found."""

    answer: Answer
    total: int  # things that match and are allowed; where the search sources choose alone, those shown
    near: Answer | None  # things that come near, though they lack a word
    facets: list[dict[str, Any]]
    notes: list[dict[str, Any]]  # tone, strong, text, queries


def search(
    engine: Engine, query: str, *, user: Id | None = None, k: int = 24, facets: Sequence[str] = (),
    where: str | None = None, exclude: Sequence[Id] = (), draw: int | None = None, **ruled: Any,
) -> Found:  # fmt: skip
    """Things that have every word of the query (the last letters may be missing), best first; `ruled` is what else
    `Engine.request` takes.

    A word that the catalogue lacks is read as the nearest one it has, and a note says so. Where no thing has every
    word the search model answers alone, or, without one, things that have some of them.
    """
    engine.look()
    chosen = engine.window.chosen(facets)
    asked: dict[str, Any] = {
        "user": user, "exclude": exclude, "where": where, "facets": facets, "draw": draw, "withhold_seen": False,
        **ruled,
    }  # fmt: skip
    if not query.strip():
        everything = np.ones(engine.dataset.n_items, bool)
        answer = engine.answer(k=k, **asked)
        left, _ = _wished(engine, user, everything, answer)
        total = _allowed(answer)
        return Found(answer=answer, total=total, near=None, facets=engine.window.counted(left, chosen), notes=[])
    read = engine.words.understand(query)
    known = [w for w in read.read if w]
    spoken = " ".join(known) or query
    notes, match, meant = _notes(engine, query, read, known)
    narrowed = match & engine.window.mask(chosen)
    answer = engine.answer(k=k, query=spoken, masks={f"has the words “{spoken}”": match}, **asked)
    total = len(answer.items) if meant else _allowed(answer)
    if match.any() and not narrowed.any():
        notes.append({
            "tone": "care", "strong": "No result is left under these boxes.",
            "text": f"Without them there are {int(match.sum()):,}.", "queries": [], "untick": True,
        })  # fmt: skip
    near = None
    if engine.searches and not meant and total < NEAR and query.strip():
        lacking = {f"lacks a word of “{spoken}”": ~match}
        near = engine.answer(k=NEAR, query=spoken, masks=lacking, **asked)
    if meant:
        match = np.zeros(engine.dataset.n_items, bool)
        match[answer.items] = True
    else:
        match, hidden = _wished(engine, user, match, answer)
        notes += hidden
    return Found(answer=answer, total=total, near=near, facets=engine.window.counted(match, chosen), notes=notes)


def _wished(engine: Engine, user: Id | None, found: Array, answer: Answer) -> tuple[Array, list[dict[str, Any]]]:
    """What the person's own rules leave of what was found, and a note where they hide something."""
    if user is None:
        return found, []
    understood = next((s.facts for s in answer.trace.stages if s.name == "understand"), {})
    let_go = {told["wish_id"] for told in understood.get("relaxed", ())}
    left, hiding = found.copy(), []
    for held in standing(engine.lately(user), engine.now()):
        if held.wish.hard and held.wish.where is not None and held.wish_id not in let_go:
            mask = engine.catalogue.mask(str(held.wish.rule), strict=False)[: len(found)]
            if (found & ~mask).any():
                hiding.append((int((found & ~mask).sum()), held))
            left &= mask
    hidden = int(found.sum() - left.sum())
    if not hidden:
        return left, []
    words = [held.wish.text for _, held in hiding]
    most = max(hiding, key=lambda pair: pair[0])[1]
    stay = "One result stays" if hidden == 1 else f"{hidden:,} results stay"
    said = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    note = {
        "tone": "plain", "strong": "", "text": f"{stay} hidden because you said {said}.", "said": words, "queries": [],
        "wish": most.wish_id,
    }  # fmt: skip
    return left, [note]


def _notes(engine: Engine, query: str, read: Any, known: list[str]) -> tuple[list[dict[str, Any]], Array, bool]:
    """The sentences to say, the items to rank, and whether the search sources choose alone."""
    notes: list[dict[str, Any]] = []
    if read.found.any():
        if read.repaired:
            typed, word = (" ".join(part) for part in zip(*read.repaired, strict=True))
            notes.append({
                "tone": "plain", "strong": "", "queries": [],
                "text": f"Nothing here is called “{typed}”. Showing “{word}”, the nearest in this catalogue.",
            })  # fmt: skip
        return notes, read.found, False
    alone = [(w, int(engine.words.having(w).sum())) for w in known]
    alone = sorted(((w, n) for w, n in alone if n), key=lambda pair: pair[1])[:3]
    said = [f"“{w}” alone has {n:,}." for w, n in alone if len(read.typed) > 1]
    said += [f"“{w}” is not a word in this catalogue." for w in read.unknown[:2]]
    semantic = engine.searches
    if semantic:
        said.append("What follows comes nearest.")
    elif alone:
        said.append("What follows has some of the words.")
    notes.append({
        "tone": "care", "text": " ".join(said),
        "strong": f"Nothing {'matches' if read.unknown else 'has every word of'} “{query.strip()}”.",
        "queries": [w for w, _ in alone if len(read.typed) > 1],
    })  # fmt: skip
    if semantic:
        return notes, np.ones(engine.dataset.n_items, bool), True
    some = np.zeros(engine.dataset.n_items, bool)
    for word, _ in alone:
        some |= engine.words.having(word)
    return notes, some, False


def _allowed(answer: Answer) -> int:
    return 0 if answer.counts is None else answer.counts["allowed"]
