"""Experiments: plan one, start it, look as often as you like, move its shares, stop it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from interplay.data.store.experiments import LIVE, RUNNING, ArmPlan, Experiment, Guardrail
from interplay.errors import BadSetting, UnknownName
from interplay.serve import trials
from interplay.serve.answers import NotHere
from interplay.serve.bodies import experiments as bodies
from interplay.serve.engine import Engine
from interplay.serve.routes.common import REFUSALS, Asked, RequestId, needs

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], responses=REFUSALS, dependencies=[needs("admin")])
Name = Annotated[str, Path(min_length=1, max_length=40)]


@router.get("", response_model=bodies.Listed)
def experiments(engine: Asked, request_id: RequestId) -> dict[str, Any]:
    """All experiments, oldest first."""
    listed = [told(plan) for plan in engine.store.experiments.list()]
    return {"request_id": request_id, "experiments": listed, "events": list(engine.kinds)}


@router.post("", response_model=bodies.Changed, status_code=201)
def create(engine: Asked, request_id: RequestId, body: bodies.Plan) -> dict[str, Any]:
    """Plan an experiment; nobody takes part before it is started."""
    plan = engine.store.experiments.create(
        Experiment(
            name=body.name, arms=tuple(ArmPlan(**arm.model_dump()) for arm in body.arms), kind=body.kind,
            reward=body.reward, surface=body.surface, traffic=body.traffic,
            guardrails=tuple(Guardrail(**rail.model_dump()) for rail in body.guardrails),
        )
    )  # fmt: skip
    return {"request_id": request_id, "experiment": told(plan)}


@router.get("/{name}", response_model=bodies.Results)
def results(engine: Asked, request_id: RequestId, name: Name) -> dict[str, Any]:
    """What came of it up to now. Intervals hold however often this is asked."""
    plan = _held(engine, name)
    return {"request_id": request_id, "experiment": told(plan), **trials.results(engine.store, plan)}


@router.post("/{name}/start", response_model=bodies.Changed)
def start(engine: Asked, request_id: RequestId, name: Name) -> dict[str, Any]:
    """Let people into it, on every replica within a second."""
    plan = _held(engine, name)
    for arm in plan.arms:  # read here, so that nobody waits for it
        engine.trials.scene(arm.model, engine.scene)
    return _changed(engine, request_id, engine.store.experiments.start(name, at=engine.now()))


@router.post("/{name}/stop", response_model=bodies.Changed)
def stop(engine: Asked, request_id: RequestId, name: Name) -> dict[str, Any]:
    """Let the live model answer everybody again; what was found stays."""
    _held(engine, name)
    return _changed(engine, request_id, engine.store.experiments.stop(name, at=engine.now()))


@router.post("/{name}/decide", response_model=bodies.Changed)
def decide(engine: Asked, request_id: RequestId, name: Name, body: bodies.Decision) -> dict[str, Any]:
    """Stop it and let one arm's model answer everybody from now on."""
    plan = _held(engine, name)
    model = {arm.name: arm.model for arm in plan.arms}
    if body.arm not in model:
        raise BadSetting(f"{name!r} has no arm {body.arm!r}; it has {sorted(model)}")
    if plan.state == RUNNING and model[body.arm] != LIVE:
        engine.store.models.promote(model[body.arm], why=f"{body.arm} of the experiment {name}")
        engine.look()
    return _changed(engine, request_id, engine.store.experiments.stop(name, at=engine.now()))


@router.post("/{name}/shares", response_model=bodies.Changed)
def shares(engine: Asked, request_id: RequestId, name: Name, body: bodies.Shares) -> dict[str, Any]:
    """Move traffic between the arms: as given, or by each arm's chance of being best."""
    plan = _held(engine, name)
    wanted = trials.shares(engine.store, plan, floor=body.floor) if body.shares is None else body.shares
    return _changed(engine, request_id, engine.store.experiments.move(name, wanted, at=engine.now()))


def _held(engine: Engine, name: str) -> Experiment:
    try:
        return engine.store.experiments.get(name)
    except UnknownName as wrong:
        raise NotHere(str(wrong)) from None


def _changed(engine: Engine, request_id: str, plan: Experiment) -> dict[str, Any]:
    engine.trials.look(now=True)
    return {"request_id": request_id, "experiment": told(plan)}


def told(plan: Experiment) -> dict[str, Any]:
    """A plan as it is sent."""
    return asdict(plan)
