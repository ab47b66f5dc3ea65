"""Figures for the operator's pages: live latency, ingestion, benches, and the simulated people of the market."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request

from interplay.errors import Unsupported
from interplay.serve import operating
from interplay.serve.crowd import Population, asking
from interplay.serve.routes.common import REFUSALS, Measured, RequestId, needs

router = APIRouter(prefix="/v1/operate", tags=["operate"], responses=REFUSALS, dependencies=[needs("admin")])


async def _recorder(request: Request) -> operating.Recorder:
    return request.app.state.recorders[request.state.caller.tenant]


Recording = Annotated[operating.Recorder, Depends(_recorder)]


@router.get("/live")
def live(recorder: Recording, request_id: RequestId) -> dict[str, Any]:
    """Latency of the last minutes, stage by stage, and the slowest answers."""
    return {"request_id": request_id} | recorder.live()


@router.get("/ingestion")
def ingestion(recorder: Recording, measures: Measured, request_id: RequestId) -> dict[str, Any]:
    """What came in over the last hour, and what was refused and why."""
    counted, sample = {}, measures.registry.get_sample_value
    for outcome in ("accepted", "repeated", "refused"):
        counted[outcome] = sample("interplay_events_total", {"outcome": outcome}) or 0.0
    return {"request_id": request_id} | operating.ingestion(recorder, counted)


@router.get("/benches")
def benches(request_id: RequestId) -> dict[str, Any]:
    """The benches that have records here."""
    return {"request_id": request_id, "benches": operating.benches()}


@router.get("/benches/{name}")
def bench(request_id: RequestId, name: str) -> dict[str, Any]:
    """One table, rendered from its records."""
    return {"request_id": request_id} | operating.bench(name)


def _crowd(request: Request, recorder: Recording) -> Population:
    """The people of the tenant's market, made when somebody first looks."""
    crowds, tenant = request.app.state.crowds, request.state.caller.tenant
    if tenant not in crowds:
        page = request.app.state.pages[tenant]
        crowds[tenant] = Population(recorder.engine, but=[p["user_id"] for p in page.people])
    return crowds[tenant]


Crowded = Annotated[Population, Depends(_crowd)]


@router.get("/crowd")
async def crowd(people: Crowded, request_id: RequestId) -> dict[str, Any]:
    """Where the simulated people stand and what they do; they go home when nobody asks this for some minutes."""
    return {"request_id": request_id} | people.seen()


@router.post("/crowd")
async def walk(
    people: Crowded,
    request: Request,
    request_id: RequestId,
    walking: Annotated[bool, Body(embed=True, examples=[True])],
) -> dict[str, Any]:
    """Let the simulated people in, or send them home. They ask over HTTP with the key of whoever let them in."""
    if request.app.state.closing:
        raise Unsupported("the service is closing; nobody is let in any more")
    if walking:
        sent = {k: v for k, v in request.headers.items() if k in ("authorization", "x-api-key", "cookie")}
        people.let_in(asking(request.app, sent))
    else:
        people.send_home()
    return {"request_id": request_id} | people.seen()


@router.get("/crowd/{user_id:path}")
def one_of_them(people: Crowded, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """What one simulated person truly likes, beside what the engine would show."""
    return {"request_id": request_id} | people.one(user_id)
