"""HTTP: a body in, one call of the engine, an answer out. `create_app(engine)` is the whole service and the page.

Every answer carries a `request_id`; every refusal is a sentence. No answer and no page refers to another host.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.middleware.gzip import GZipMiddleware

import interplay
from interplay.errors import InterplayError
from interplay.serve import bodies, views
from interplay.serve.engine import Answer, Engine, NotHere
from interplay.serve.feed import feed, person
from interplay.serve.finding import search
from interplay.serve.page import Page
from interplay.serve.refusing import Limit, checked, plainly, refused, sentence, unreadable
from interplay.serve.telling import tell
from interplay.worlds.pictures import VERSION, face

WEB = Path(__file__).parent / "web"
LARGEST = 1 << 20  # bytes of a body
FOREVER = "public, max-age=31536000, immutable"
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": bodies.Sentence, "description": "An id, facet or cursor that does not exist"},
    413: {"model": bodies.Sentence, "description": f"A body of more than {LARGEST:,} bytes"},
    422: {"model": bodies.Sentence, "description": "A value that cannot be meant"},
}  # fmt: skip


def create_app(engine: Engine, *, largest: int = LARGEST) -> FastAPI:
    """The service over one engine; bodies above `largest` bytes are refused."""
    app = FastAPI(
        title="Interplay", version=interplay.__version__, docs_url=None, redoc_url=None,  # both load from another host
        summary="Search and recommendation from one request path, each answer with its trace.",
        description="Ids are any string or integer. Every answer has a `request_id`: `/v1/traces/{request_id}` tells "
        "how it came about, and events that follow from it carry it back.",
    )  # fmt: skip
    app.state.engine = engine.warm()
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Limit, largest=largest)
    app.add_exception_handler(InterplayError, refused)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, plainly)
    app.add_exception_handler(HTTPStatus.NOT_FOUND, plainly)
    app.include_router(api)
    app.include_router(life)
    app.include_router(pages)
    app.mount("/web", Web(directory=WEB), name="web")
    app.state.page = Page(WEB, engine)
    return app


def _engine(request: Request) -> Engine:
    return request.app.state.engine


Asked = Annotated[Engine, Depends(_engine)]
api = APIRouter(prefix="/v1", responses=REFUSALS)
life = APIRouter()
pages = APIRouter(include_in_schema=False)


# ------------------------------------------------------------------------------------------------------------ asking


def _recommendations(engine: Engine, answer: Answer) -> dict[str, Any]:
    return {
        "request_id": answer.request_id, "items": views.cards(engine, answer), "draw": f"{answer.draw:016x}",
        "next": answer.request_id if answer.more else None, "milliseconds": round(1000 * answer.seconds, 2),
        "notes": list(answer.notes),
    }  # fmt: skip


def _recommend(engine: Engine, ask: bodies.AskRecommendations) -> dict[str, Any]:
    if ask.cursor is not None:
        return _recommendations(engine, engine.more(ask.cursor))
    return _recommendations(
        engine,
        engine.answer(
            user=ask.user_id, history=ask.history, k=ask.k, exclude=ask.exclude, where=ask.where, facets=ask.facets,
            draw=ask.draw, withhold_seen=ask.seen == "drop",
        ),
    )  # fmt: skip


@api.get("/recommendations", response_model=bodies.Recommendations, tags=["ask"])
def recommendations(
    engine: Asked,
    user_id: str | None = None,
    k: bodies.K = 10,
    exclude: Annotated[str, Query(description="Item ids, separated by commas")] = "",
    where: str | None = None,
    facet: Annotated[list[str], Query(description="name:value; may be repeated")] = [],  # noqa: B006
    draw: int | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """What to show somebody now."""
    asked = {
        "user_id": user_id, "k": k, "exclude": _listed(exclude), "where": where, "facets": facet, "draw": draw,
        "cursor": cursor,
    }  # fmt: skip
    return _recommend(engine, checked(bodies.AskRecommendations, asked))


@api.post("/recommendations", response_model=bodies.Recommendations, tags=["ask"])
def recommendations_for(engine: Asked, ask: bodies.AskRecommendations) -> dict[str, Any]:
    """What to show somebody now, with a history of your own and longer exclusions."""
    return _recommend(engine, ask)


def _search(engine: Engine, ask: bodies.AskSearch) -> dict[str, Any]:
    if ask.cursor is not None:
        answer = engine.more(ask.cursor)
        more = {"query": ask.q, "total": 0 if answer.counts is None else answer.counts["allowed"]}
        return _recommendations(engine, answer) | more | {"near": [], "facets": [], "said": []}
    found = search(
        engine, ask.q, user=ask.user_id, k=ask.k, facets=ask.facets, where=ask.where, exclude=ask.exclude, draw=ask.draw
    )
    return _recommendations(engine, found.answer) | {
        "query": ask.q, "total": found.total, "facets": found.facets, "said": found.notes,
        "near": [] if found.near is None else views.cards(engine, found.near),
    }  # fmt: skip


@api.get("/search", response_model=bodies.SearchResults, tags=["ask"])
def search_typed(
    engine: Asked,
    q: Annotated[str, Query(max_length=400)] = "",
    user_id: str | None = None,
    k: bodies.K = 24,
    facet: Annotated[list[str], Query(description="name:value; may be repeated")] = [],  # noqa: B006
    where: str | None = None,
    exclude: str = "",
    draw: int | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Things that have the words, best first, and how many each facet value would leave."""
    asked = {
        "q": q, "user_id": user_id, "k": k, "facets": facet, "where": where, "exclude": _listed(exclude), "draw": draw,
        "cursor": cursor,
    }  # fmt: skip
    return _search(engine, checked(bodies.AskSearch, asked))


@api.post("/search", response_model=bodies.SearchResults, tags=["ask"])
def search_for(engine: Asked, ask: bodies.AskSearch) -> dict[str, Any]:
    """The same, from a body."""
    return _search(engine, ask)


@api.get("/similar", response_model=bodies.Similar, tags=["ask"])
def similar(
    engine: Asked,
    item_id: str,
    user_id: str | None = None,
    k: bodies.K = 10,
    exclude: str = "",
    where: str | None = None,
) -> dict[str, Any]:
    """Items near one item; never the item itself."""
    answer = engine.similar(item_id, user=user_id, k=k, exclude=_listed(exclude), where=where)
    shown = _recommendations(engine, answer)
    because = shown["items"][0]["reason"] if shown["items"] else "Nothing here is near it"
    return shown | {"item_id": item_id, "because": because}


@api.get("/feed", tags=["ask"])
def whole_feed(engine: Asked, user_id: str | None = None, draw: int | None = None) -> dict[str, Any]:
    """The page's feed: what to lead with, shelves with where each comes from, and the first stretch of the rest."""
    return feed(engine, user_id, draw=draw)


# ------------------------------------------------------------------------------------------------------------ telling


_BATCH = {
    "type": "object", "required": ["events"],
    "properties": {"events": {"type": "array", "maxItems": 5000, "items": bodies.Event.model_json_schema()}},
}  # fmt: skip


@api.post(
    "/events", response_model=bodies.EventsTaken, tags=["tell"],
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BATCH}}}},
)  # fmt: skip
def events(engine: Asked, body: Annotated[Any, Body()], response: Response) -> dict[str, Any]:
    """Take a batch of events: `{"events": [...]}`, a list, or one event. A bad one is refused alone, with its reason.

    An acknowledged event is in the log; one with a known `event_id` changes nothing. 422 where none could be taken.
    """
    listed = body.get("events", [body]) if isinstance(body, dict) else body
    if not isinstance(listed, list) or not listed:
        raise HTTPException(422, "the body holds no events; expected {'events': [...]} with at least one")
    if len(listed) > 5000:
        raise HTTPException(413, f"{len(listed):,} events in one batch; at most 5,000 are taken. Send them in parts")
    wrongs: list[dict[str, Any]] = []
    taken: list[tuple[int, dict[str, Any]]] = []
    for place, row in enumerate(listed):
        try:
            taken.append((place, bodies.Event.model_validate(row).model_dump()))
        except ValidationError as wrong:
            event_id = row.get("event_id") if isinstance(row, dict) else None
            reason = sentence(dict(wrong.errors()[0]))
            wrongs.append({"place": place, "event_id": None if event_id is None else str(event_id), "reason": reason})
    done = tell(engine, [row for _, row in taken])
    wrongs += [{"place": taken[r.place][0], "event_id": r.event_id, "reason": r.reason} for r in done.refused]
    if not done.accepted and not done.repeated:
        response.status_code = 422
    wrongs.sort(key=lambda r: r["place"])
    return {"request_id": secrets.token_hex(8), "accepted": done.accepted, "repeated": done.repeated, "refused": wrongs}


# ------------------------------------------------------------------------------------------------------------ reading


@api.get("/items", response_model=bodies.Items, tags=["read"])
def items(
    engine: Asked,
    where: str | None = None,
    facet: Annotated[list[str], Query()] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int, Query(ge=0, description="The `next` of the page before")] = 0,
) -> dict[str, Any]:
    """The catalogue in its own order, and how many items each facet value has."""
    chosen = engine.window.chosen(facet)
    held = engine.catalogue.mask(where) if where and where.strip() else None
    mask = engine.window.mask({})
    if held is not None:
        mask[: len(held)] &= held
    narrowed = (mask & engine.window.mask(chosen)).nonzero()[0]
    part = narrowed[cursor : cursor + limit].tolist()
    return {
        "request_id": secrets.token_hex(8), "items": [engine.window.card(i) for i in part], "total": len(narrowed),
        "next": str(cursor + limit) if cursor + limit < len(narrowed) else None,
        "facets": engine.window.counted(mask, chosen),
    }  # fmt: skip


@api.get("/items/{item_id:path}", response_model=bodies.Item, tags=["read"])
def item(engine: Asked, item_id: str) -> dict[str, Any]:
    """Everything the catalogue says of one item."""
    return views.item(engine, item_id) | {"request_id": secrets.token_hex(8)}


@api.get("/traces/{request_id}", response_model=bodies.Traced, tags=["read"])
def traces(engine: Asked, request_id: str) -> dict[str, Any]:
    """How an answer came about, stage by stage."""
    return views.trace(engine, engine.held(request_id))


@api.get("/people", response_model=bodies.People, tags=["read"])
def demo_people(engine: Asked, request: Request) -> dict[str, Any]:
    """Some persons of the log, to look through the eyes of."""
    page: Page = request.app.state.page
    return {"request_id": secrets.token_hex(8), "people": page.people, "invented": engine.dataset.name == "market"}


@api.get("/people/{user_id:path}", tags=["read"])
def one_person(engine: Asked, user_id: str) -> dict[str, Any]:
    """What is known of one person or visitor: name, number of events, what is kept."""
    return person(engine, user_id) | {"request_id": secrets.token_hex(8)}


# ------------------------------------------------------------------------------------------------------------ the page


@life.get("/healthz", response_model=bodies.Health, tags=["read"])
def healthz(engine: Asked) -> dict[str, Any]:
    """Whether the engine answers, and what it holds."""
    return {
        "request_id": secrets.token_hex(8), "status": "ok", "engine": engine.name, "n_items": engine.dataset.n_items,
        "n_users": engine.dataset.n_users, "live_events": len(engine.log),
    }  # fmt: skip


@pages.get("/", response_class=HTMLResponse)
@pages.get("/search", response_class=HTMLResponse)
@pages.get("/people", response_class=HTMLResponse)
@pages.get("/item/{item_id:path}", response_class=HTMLResponse)
def page(
    engine: Asked,
    request: Request,
    who: Annotated[str | None, Cookie(alias="interplay_person")] = None,
    item_id: str = "",
) -> HTMLResponse:
    """The one page; the feed's first screen is inside."""
    built: Page = request.app.state.page
    user = who if who and len(who) <= 128 else f"visitor-{secrets.token_hex(6)}"
    status = 200 if not item_id or engine.dataset.items.index([item_id])[0] >= 0 else 404
    html = built.html(user, feed(engine, user) if request.url.path == "/" else None)
    answer = HTMLResponse(html, status, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
    if user != who:
        answer.set_cookie("interplay_person", user, samesite="lax")
    return answer


@pages.get("/pictures/{version}/{item_id:path}")
def item_picture(engine: Asked, version: str, item_id: str, wide: bool = False) -> Response:
    """The drawing of an item; its address changes when the way of drawing does, so it is cached for ever."""
    if version != str(VERSION) or not item_id.endswith(".svg"):
        raise NotHere(f"no picture at version {version!r} of {item_id!r}; expected /pictures/{VERSION}/ITEM.svg")
    return _svg(views.picture(engine, item_id.removesuffix(".svg"), wide=wide))


@pages.get("/faces/{seed}.svg")
def item_face(seed: str) -> Response:
    """The face of an invented person."""
    return _svg(face(seed))


def _svg(drawing: str) -> Response:
    if "xmlns=" not in drawing[:400]:
        drawing = drawing.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    headers = {"Cache-Control": FOREVER, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(drawing, media_type="image/svg+xml", headers=headers)


class Web(StaticFiles):
    """The page's own files: always asked for again, and answered with 304 while they are the same."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        answer = super().file_response(*args, **more)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
