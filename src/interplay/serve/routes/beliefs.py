"""What is believed of a person, and what they say about it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from interplay.errors import UnknownName
from interplay.serve.answers import NotHere
from interplay.serve.beliefs import Beliefs
from interplay.serve.bodies import beliefs as bodies
from interplay.serve.routes.common import REFUSALS, RequestId, needs

router = APIRouter(prefix="/v1/users", tags=["people"], responses=REFUSALS)
READ, WRITE = [needs("read")], [needs("write")]


async def _beliefs(request: Request) -> Beliefs:
    return request.app.state.beliefs[request.state.caller.tenant]


Held = Annotated[Beliefs, Depends(_beliefs)]


@router.get("/{user_id:path}/statements", response_model=bodies.Statements, dependencies=READ)
def statements(beliefs: Held, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """What is believed of a person: each statement with its evidence, how sure it is, and how it fades."""
    return {"request_id": request_id} | beliefs.statements(user_id)


@router.post("/{user_id:path}/statements", response_model=bodies.Statements, dependencies=WRITE)
def write(beliefs: Held, request_id: RequestId, user_id: str, body: bodies.WriteStatement) -> dict[str, Any]:
    """Write a statement in one's own words; the next answer leans to it where the catalogue has a word for it."""
    return {"request_id": request_id} | beliefs.write(user_id, body.text)


@router.patch("/{user_id:path}/statements/{statement_id}", response_model=bodies.Statements, dependencies=WRITE)
def change(
    beliefs: Held, request_id: RequestId, user_id: str, statement_id: str, body: bodies.ChangeStatement
) -> dict[str, Any]:
    """Put a statement in other words, pin it, or agree to it."""
    try:
        return {"request_id": request_id} | beliefs.change(user_id, statement_id, body.model_dump())
    except UnknownName as wrong:
        raise NotHere(str(wrong)) from None


@router.delete("/{user_id:path}/statements/{statement_id}", response_model=bodies.Statements, dependencies=WRITE)
def drop(beliefs: Held, request_id: RequestId, user_id: str, statement_id: str) -> dict[str, Any]:
    """Delete a statement with what it rested on; the same events do not lead to it again."""
    try:
        return {"request_id": request_id} | beliefs.drop(user_id, statement_id)
    except UnknownName as wrong:
        raise NotHere(str(wrong)) from None
