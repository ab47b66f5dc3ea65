"""Asking: recommendations for one and for many, search, similar items, reranking, and the page's feed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ValidationError

from interplay.errors import InterplayError
from interplay.serve import reranking, views
from interplay.serve.answers import Answer
from interplay.serve.bodies import asking as bodies
from interplay.serve.bodies.common import K
from interplay.serve.engine import Engine
from interplay.serve.feed import feed
from interplay.serve.finding import search
from interplay.serve.refusing import checked, sentence
from interplay.serve.routes.common import REFUSALS, Asked, Facets, RequestId, listed, needs
from interplay.serve.routes.straight import Straight
from interplay.types import Arrangement, Boost

Draw = Annotated[int, Query(ge=0, lt=2**64, description="The only randomness of serving; repeats an answer")]
router = APIRouter(prefix="/v1", tags=["ask"], responses=REFUSALS, dependencies=[needs("read")], route_class=Straight)


def recommendations(engine: Engine, answer: Answer) -> dict[str, Any]:
    """An answer as it is sent."""
    return {
        "request_id": answer.request_id, "items": views.cards(engine, answer), "draw": f"{answer.draw:016x}",
        "next": answer.request_id if answer.more else None, "milliseconds": round(1000 * answer.seconds, 2),
        "notes": list(answer.notes),
    }  # fmt: skip


def ruled(ask: bodies.Ask) -> dict[str, Any]:
    """The rules and leanings of one request, as the engine takes them."""
    wanted = bool(ask.caps) or ask.diversity is not None
    return {
        "k": ask.k, "exclude": ask.exclude, "allow": ask.allow, "where": ask.where, "facets": ask.facets,
        "draw": ask.draw, "boosts": [Boost(where=b.where, by=b.by) for b in ask.boosts],
        "arrangement": Arrangement(caps=ask.caps, diversity=ask.diversity) if wanted else None,
        "seconds": None if ask.timeout_ms is None else ask.timeout_ms / 1000,
    }  # fmt: skip


def recommend(engine: Engine, ask: bodies.AskRecommendations) -> dict[str, Any]:
    if ask.cursor is not None:
        return recommendations(engine, engine.more(ask.cursor))
    answer = engine.answer(user=ask.user_id, history=ask.history, withhold_seen=ask.seen == "drop", **ruled(ask))
    return recommendations(engine, answer)


@router.get("/recommendations", response_model=bodies.Recommendations)
def recommendations_typed(
    engine: Asked,
    user_id: str | None = None,
    k: K = 10,
    exclude: Annotated[str, Query(description="Item ids, separated by commas")] = "",
    where: str | None = None,
    facet: Facets = [],  # noqa: B006
    diversity: float | None = None,
    draw: int | None = None,
    timeout_ms: int | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """What to show somebody now."""
    asked = {
        "user_id": user_id, "k": k, "exclude": listed(exclude), "where": where, "facets": facet, "draw": draw,
        "cursor": cursor, "diversity": diversity, "timeout_ms": timeout_ms,
    }  # fmt: skip
    return recommend(engine, checked(bodies.AskRecommendations, asked))


@router.post("/recommendations", response_model=bodies.Recommendations)
def recommendations_for(engine: Asked, ask: bodies.AskRecommendations) -> dict[str, Any]:
    """What to show somebody now, with a history, rules and leanings of your own."""
    return recommend(engine, ask)


@router.post("/recommendations:batch", response_model=bodies.ManyRecommendations)
def recommendations_for_many(engine: Asked, request_id: RequestId, ask: bodies.AskMany) -> dict[str, Any]:
    """Up to 100 requests in one call. One that cannot be answered says why and holds up no other."""
    answers: list[dict[str, Any]] = []
    for one in ask.requests:
        try:
            answers.append(recommend(engine, bodies.AskRecommendations.model_validate(one)))
        except ValidationError as wrong:
            answers.append({"error": sentence(dict(wrong.errors()[0]))})
        except InterplayError as wrong:
            answers.append({"error": str(wrong)})
    return {"request_id": request_id, "answers": answers, "refused": sum("error" in a for a in answers)}


def searched(engine: Engine, ask: bodies.AskSearch) -> dict[str, Any]:
    if ask.cursor is not None:
        answer = engine.more(ask.cursor)
        more = {"query": ask.q, "total": 0 if answer.counts is None else answer.counts["allowed"]}
        return recommendations(engine, answer) | more | {"near": [], "facets": [], "said": []}
    found = search(engine, ask.q, user=ask.user_id, **ruled(ask))
    return recommendations(engine, found.answer) | {
        "query": ask.q, "total": found.total, "facets": found.facets, "said": found.notes,
        "near": [] if found.near is None else views.cards(engine, found.near),
    }  # fmt: skip


@router.get("/search", response_model=bodies.SearchResults)
def search_typed(
    engine: Asked,
    q: Annotated[str, Query(max_length=400)] = "",
    user_id: str | None = None,
    k: K = 24,
    facet: Facets = [],  # noqa: B006
    where: str | None = None,
    exclude: str = "",
    draw: int | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Things that have the words, best first, and how many each facet value would leave."""
    asked = {
        "q": q, "user_id": user_id, "k": k, "facets": facet, "where": where, "exclude": listed(exclude), "draw": draw,
        "cursor": cursor,
    }  # fmt: skip
    return searched(engine, checked(bodies.AskSearch, asked))


@router.post("/search", response_model=bodies.SearchResults)
def search_for(engine: Asked, ask: bodies.AskSearch) -> dict[str, Any]:
    """The same, from a body."""
    return searched(engine, ask)


@router.get("/similar", response_model=bodies.Similar)
def similar(
    engine: Asked,
    item_id: str,
    user_id: str | None = None,
    k: K = 10,
    exclude: str = "",
    where: str | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Items near one item; never the item itself."""
    if cursor is not None:
        answer = engine.more(cursor)
    else:
        answer = engine.similar(item_id, user=user_id, k=k, exclude=listed(exclude), where=where)
    shown = recommendations(engine, answer)
    because = shown["items"][0]["reason"] if shown["items"] else "Nothing here is near it"
    return shown | {"item_id": item_id, "because": because}


@router.post("/rerank", response_model=bodies.Reranked, response_model_exclude_none=True)
def rerank(engine: Asked, request_id: RequestId, ask: bodies.AskRerank) -> dict[str, Any]:
    """Texts or items in the order of a query, or items in the order of a person's taste."""
    texts = [d if isinstance(d, str) else d.text for d in ask.documents or ()]
    index = engine.dataset.items.index(list(ask.items or ()))
    if ask.query is None:
        scores, by = reranking.items_by_taste(engine, ask.user_id or "", ask.items or [])
    elif ask.items is not None:
        scores, by = reranking.items_by_query(engine, ask.query, index)
    else:
        scores, by = reranking.by_query(engine, ask.query, texts)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[: ask.top_n]
    results: list[dict[str, Any]] = []
    for i in order:
        row: dict[str, Any] = {"index": i, "relevance_score": round(float(scores[i]), 6)}
        if ask.items is not None:
            row["item_id"] = ask.items[i]
        if ask.return_documents:
            sent = ask.documents[i] if ask.documents is not None else None
            spoken = {"text": texts[i]} if isinstance(sent, str) else sent.model_dump() if sent is not None else None
            row["document"] = spoken or engine.window.card(int(index[i])) if spoken or index[i] >= 0 else None
        results.append(row)
    return {"request_id": request_id, "id": request_id, "model": ask.model or engine.name, "results": results, "by": by}


@router.get("/feed")
def whole_feed(
    engine: Asked,
    user_id: str | None = None,
    draw: Draw | None = None,
    arranged: Annotated[bool, Query(description="False: the page as it stands without the recipe's arranger")] = True,
) -> dict[str, Any]:
    """The page's feed: what to lead with, shelves with where each comes from, and the first stretch of the rest.

    Where the recipe has an arranger, `composed` tells what stands elsewhere than it would without, and why.
    """
    return feed(engine, user_id, draw=draw, arranged=arranged)
