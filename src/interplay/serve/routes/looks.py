"""Where people look on the pages that were shown: asked here, learnt in a process of its own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from interplay.serve.bodies import looks as bodies
from interplay.serve.routes.common import REFUSALS, Asked, ErrandId, RequestId, Works, held, needs, told

router = APIRouter(prefix="/v1/looks", tags=["experiments"], responses=REFUSALS, dependencies=[needs("admin")])


@router.get("", response_model=bodies.Looks)
def looks(engine: Asked, works: Works, request_id: RequestId) -> dict[str, Any]:
    """What was asked, the newest first."""
    listed = [told(e) for e in works.errands.list("looks")]
    return {"request_id": request_id, "looks": listed, "events": list(engine.kinds)}


@router.post("", response_model=bodies.OneLook, status_code=202)
def ask(works: Works, request_id: RequestId, body: bodies.Question) -> dict[str, Any]:
    """Ask where on a page people look. Answers at once; look again for the heat map."""
    errand = works.errands.put("looks", body.model_dump())
    works.begin(errand)
    return {"request_id": request_id, "look": told(errand)}


@router.get("/{errand_id}", response_model=bodies.OneLook)
def look(works: Works, request_id: RequestId, errand_id: ErrandId) -> dict[str, Any]:
    """How far it is; the heat map, or the refusal with what is missing."""
    return {"request_id": request_id, "look": told(held(works, errand_id, "looks"))}


@router.delete("/{errand_id}", response_model=bodies.OneLook)
def stop(works: Works, request_id: RequestId, errand_id: ErrandId) -> dict[str, Any]:
    """Stop it where it goes on, and forget it."""
    errand = held(works, errand_id, "looks")
    works.stop(errand_id)
    return {"request_id": request_id, "look": told(errand)}
