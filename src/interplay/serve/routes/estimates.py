"""What another recipe would have earned on this log: asked here, worked out in a process of its own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from interplay.serve.bodies import estimates as bodies
from interplay.serve.routes.common import REFUSALS, Asked, ErrandId, RequestId, Works, held, needs, told

router = APIRouter(prefix="/v1/estimates", tags=["experiments"], responses=REFUSALS, dependencies=[needs("admin")])


@router.get("", response_model=bodies.Estimates)
def estimates(engine: Asked, works: Works, request_id: RequestId) -> dict[str, Any]:
    """What was asked, the newest first."""
    listed = [told(e) for e in works.errands.list("estimate")]
    return {"request_id": request_id, "estimates": listed, "events": list(engine.kinds)}


@router.post("", response_model=bodies.OneEstimate, status_code=202)
def ask(works: Works, request_id: RequestId, body: bodies.Question) -> dict[str, Any]:
    """Ask what policies would have earned on the logged traffic. Answers at once; look again for what came of it."""
    errand = works.errands.put("estimate", body.model_dump())
    works.begin(errand)
    return {"request_id": request_id, "estimate": told(errand)}


@router.get("/{errand_id}", response_model=bodies.OneEstimate)
def estimate(works: Works, request_id: RequestId, errand_id: ErrandId) -> dict[str, Any]:
    """How far it is; the answers, or the refusal with what is missing."""
    return {"request_id": request_id, "estimate": told(held(works, errand_id, "estimate"))}


@router.delete("/{errand_id}", response_model=bodies.OneEstimate)
def stop(works: Works, request_id: RequestId, errand_id: ErrandId) -> dict[str, Any]:
    """Stop it where it goes on, and forget it."""
    errand = held(works, errand_id, "estimate")
    works.stop(errand_id)
    return {"request_id": request_id, "estimate": told(errand)}
