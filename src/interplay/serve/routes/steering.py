"""Talking to the engine: `/v1/chat`, at once or as a stream, and the wishes that stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from interplay.errors import InterplayError
from interplay.serve.bodies import steering as bodies
from interplay.serve.routes.common import REFUSALS, RequestId, needs
from interplay.serve.steering import Steering

router = APIRouter(prefix="/v1", tags=["steer"], responses=REFUSALS)
READ, WRITE = [needs("read")], [needs("write")]


async def _steering(request: Request) -> Steering:
    return request.app.state.steering[request.state.caller.tenant]


Steered = Annotated[Steering, Depends(_steering)]


@router.post(
    "/chat", response_model=bodies.Understood, dependencies=WRITE,
    responses={200: {"content": {"text/event-stream": {}}, "description": "The answer; with `stream` its parts"}},
)  # fmt: skip
def chat(steering: Steered, request_id: RequestId, say: bodies.Say) -> Any:
    """Say what one wants. The answer tells what was understood and changed, and carries the feed that obeys.

    With `stream` the parts come one by one, as events `understood`, `wishes` and `feed`.
    """
    shown = list(say.shown)
    if say.item_id is not None and say.item_id not in shown:
        shown.insert(0, say.item_id)  # "like this one" on an item's page
    if not say.stream:
        return steering.chat(say.user_id, say.text, shown=shown, draw=say.draw)
    parts = steering.parts(say.user_id, say.text, shown=shown, draw=say.draw)
    first = next(parts)  # what cannot be done is refused before anything is sent
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(first, parts, request_id), media_type="text/event-stream", headers=headers)


def _told(
    first: tuple[str, dict[str, Any]], parts: Iterator[tuple[str, dict[str, Any]]], request_id: str
) -> Iterator[str]:
    """Parts as server-sent events; what goes wrong on the way is the last of them."""
    yield _event(*first)
    try:
        for name, part in parts:
            yield _event(name, part)
    except InterplayError as wrong:
        yield _event("error", {"request_id": request_id, "error": str(wrong)})


def _event(name: str, part: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(part, ensure_ascii=False)}\n\n"


@router.get("/users/{user_id:path}/instructions", response_model=bodies.Instructions, dependencies=READ)
def instructions(steering: Steered, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """The wishes that stand, the newest first."""
    return {"request_id": request_id} | steering.instructions(user_id)


@router.post("/users/{user_id:path}/instructions/undo", response_model=bodies.Obeyed, dependencies=WRITE)
def undo(steering: Steered, user_id: str) -> dict[str, Any]:
    """Take back the last change of the wishes."""
    return steering.undo(user_id)


@router.patch("/users/{user_id:path}/instructions/{wish_id}", response_model=bodies.Obeyed, dependencies=WRITE)
def change(steering: Steered, user_id: str, wish_id: str, body: bodies.ChangeWish) -> dict[str, Any]:
    """Change one wish by hand: strictness, scope, how long it stands."""
    return steering.change(user_id, wish_id, body.model_dump(exclude_unset=True))


@router.delete("/users/{user_id:path}/instructions/{wish_id}", response_model=bodies.Obeyed, dependencies=WRITE)
def remove(steering: Steered, user_id: str, wish_id: str) -> dict[str, Any]:
    """Take one wish back."""
    return steering.remove(user_id, wish_id)
