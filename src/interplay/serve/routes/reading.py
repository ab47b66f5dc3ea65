"""Reading: the catalogue, traces, and what is known of people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from interplay.serve import views
from interplay.serve.answers import NotHere
from interplay.serve.bodies import asking, reading
from interplay.serve.editing import Editing
from interplay.serve.feed import called, person
from interplay.serve.routes.common import REFUSALS, Asked, Facets, Limit, RequestId, needs, part, place
from interplay.serve.routes.straight import Straight

router = APIRouter(prefix="/v1", tags=["read"], responses=REFUSALS, dependencies=[needs("read")], route_class=Straight)
Prefix = Annotated[str, Query(max_length=128)]


@router.get("/items", response_model=reading.Items)
def items(
    engine: Asked,
    request_id: RequestId,
    where: str | None = None,
    facet: Facets = [],  # noqa: B006
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The catalogue in its own order, and how many items each facet value has."""
    engine.look()
    chosen = engine.window.chosen(facet)
    held = engine.catalogue.mask(where) if where and where.strip() else None
    mask = engine.window.mask({})
    if held is not None:
        mask[: len(held)] &= held
    mask[: len(engine.scene.gone)] &= ~engine.scene.gone
    rows, after = part((mask & engine.window.mask(chosen)).nonzero()[0].tolist(), place(cursor), limit)
    total = int((mask & engine.window.mask(chosen)).sum())
    return {
        "request_id": request_id, "items": [engine.window.card(i) for i in rows], "total": total, "next": after,
        "facets": engine.window.counted(mask, chosen),
    }  # fmt: skip


@router.get("/items/{item_id:path}", response_model=reading.Item)
def item(engine: Asked, request_id: RequestId, item_id: str, user_id: str | None = None) -> dict[str, Any]:
    """Everything the catalogue says of one item; for somebody also which of their wishes it meets."""
    engine.look()
    index, gone = engine.item(item_id), engine.scene.gone
    if index < len(gone) and gone[index]:
        raise NotHere(f"the item {item_id!r} was deleted; describing it anew brings it back")
    return views.item(engine, item_id, user=user_id) | {"request_id": request_id}


@router.get("/traces/{request_id}", response_model=asking.Traced)
def traces(engine: Asked, request_id: str) -> dict[str, Any]:
    """How an answer came about, stage by stage."""
    return views.trace(engine, engine.held(request_id))


@router.post("/traces/{request_id}/edits", response_model=asking.Edited, dependencies=[needs("write")])
def edits(request: Request, request_id: str, body: asking.EditStage) -> dict[str, Any]:
    """Change one stage of an answer. What lies before it is as it was, what follows runs again; nothing is shown to
    anybody, and the change is an event in the person's log."""
    editing: Editing = request.app.state.editing[request.state.caller.tenant]
    return editing.edit(request_id, body.stage, body.edit)


@router.get("/people", response_model=reading.People)
def demo_people(engine: Asked, request: Request, request_id: RequestId, prefix: Prefix = "") -> dict[str, Any]:
    """Some persons of the log, to look through the eyes of; with a prefix those whose id or name begins so."""
    page = request.app.state.pages[request.state.caller.tenant]
    found = called(engine, prefix) if prefix else page.people
    return {"request_id": request_id, "people": found, "invented": engine.dataset.name == "market"}


@router.get("/people/{user_id:path}")
def one_person(engine: Asked, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """What is known of one person or visitor: name, number of events, what is kept."""
    return person(engine, user_id) | {"request_id": request_id}
