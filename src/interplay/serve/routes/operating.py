"""For whoever keeps it running: is it up, may it be asked, what is measured."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from interplay.data.store.store import DEFAULT
from interplay.errors import Unavailable
from interplay.serve.bodies import reading
from interplay.serve.metrics import CONTENT_TYPE
from interplay.serve.routes.common import REFUSALS, Measured, RequestId, needs

router = APIRouter(tags=["operate"])


@router.get("/healthz", response_model=reading.Health)
async def healthz(request: Request, request_id: RequestId) -> dict[str, Any]:
    """Whether the process answers, and what it holds. The store is not asked: /readyz does that."""
    engine = request.app.state.engine
    return {
        "request_id": request_id, "status": "ok", "engine": engine.name, "n_items": engine.dataset.n_items,
        "n_users": engine.dataset.n_users,
    }  # fmt: skip


@router.get("/readyz", response_model=reading.Ready, responses={503: {"model": reading.Ready}})
def readyz(request: Request, request_id: RequestId, response: Response) -> dict[str, Any]:
    """Whether requests should be sent here: 503 while starting, while closing, and while the store does not answer."""
    state = request.app.state
    said = ["closing: what was begun is finished, nothing new is taken"] if state.closing else []
    try:
        state.engine.store.head()
    except Unavailable as problem:
        said.append(str(problem))
    ready = not said
    response.status_code = 200 if ready else 503
    opened = state.door.open
    if opened:
        said.append("open to anybody who can reach this address; make a key to close it")
    return {"request_id": request_id, "ready": ready, "open": opened, "said": said}


@router.get("/metrics", response_class=Response, responses=REFUSALS, dependencies=[needs("admin")])
async def metrics(request: Request, measures: Measured) -> Response:
    """What is measured, as Prometheus reads it. Needs an admin key of the tenant `default`."""
    if request.state.caller.tenant != DEFAULT:
        raise HTTPException(403, f"the measures are the operator's; this needs an admin key of the tenant {DEFAULT!r}")
    return Response(measures.text(), media_type=CONTENT_TYPE)
