"""The models of a store: which there are, how each gate stood, which one serves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from interplay.data.store.registry import Model
from interplay.errands import choices
from interplay.errors import UnknownName
from interplay.serve.answers import NotHere
from interplay.serve.bodies import models as bodies
from interplay.serve.routes import common
from interplay.serve.routes.common import REFUSALS, Asked, RequestId, Works, needs

router = APIRouter(prefix="/v1/models", tags=["models"], responses=REFUSALS, dependencies=[needs("admin")])
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("", response_model=bodies.Models)
def models(engine: Asked, works: Works, request_id: RequestId) -> dict[str, Any]:
    """All versions, oldest first, every move of the live pointer, and what is being learnt."""
    moves = engine.store.models.moves()
    served = {move["version"] for move in moves}
    listed = [told(model) | {"closed": closed(model, model.version in served)} for model in engine.store.models.list()]
    return {
        "request_id": request_id, "models": listed, "moves": moves, "serving": engine.name,
        "trainings": [common.told(e) for e in works.errands.list("train")],
        "choices": [asdict(choice) for choice in choices()],
    }  # fmt: skip


@router.post("", response_model=bodies.OneTraining, status_code=202)
def learn(works: Works, request_id: RequestId, body: bodies.Wish) -> dict[str, Any]:
    """Learn a new version in a process of its own. Answers at once; /v1/models says how far it is."""
    errand = works.errands.put("train", body.model_dump())
    works.begin(errand)
    return {"request_id": request_id, "training": common.told(errand)}


@router.post("/rollback", response_model=bodies.Moved)
def rollback(engine: Asked, request_id: RequestId) -> dict[str, Any]:
    """Let the version serve that served before the present one."""
    live = engine.store.models.rollback()
    engine.look()
    return {"request_id": request_id, "live": told(live)}


@router.post("/{version}/promote", response_model=bodies.Moved)
def promote(engine: Asked, request_id: RequestId, version: Version) -> dict[str, Any]:
    """Let a version serve from now on; it is loaded beside the present one and then takes its place."""
    try:
        live = engine.store.models.promote(version, why="over HTTP")
    except UnknownName as wrong:
        raise NotHere(str(wrong)) from None
    engine.look()
    return {"request_id": request_id, "live": told(live)}


def closed(model: Model, served: bool) -> str:
    """What would open the gate of a version; empty where it is open: it served before, or was judged and is not worse.
    The gate binds the page alone: whoever promotes by number, here or on the command line, knows why."""
    verdict = model.facts.get("verdict", "not judged")
    if served or verdict in ("better", "cannot tell"):
        return ""
    said = "It was judged worse" if verdict == "worse" else "It was not judged"
    return (
        f"{said}. What opens the gate: an experiment that keeps it, or a test that it passes when it is learnt again. "
        f"By force: `interplay models promote {model.version}`, or POST /v1/models/{model.version}/promote."
    )


def told(model: Model) -> dict[str, Any]:
    """A version as it is sent."""
    return {
        "version": model.version, "name": model.name, "made_at": model.made_at, "last_row": model.last_row,
        "live": model.live, "facts": dict(model.facts),
    }  # fmt: skip
