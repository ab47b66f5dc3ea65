"""Keeping people: what is said of them, what they did, and letting go of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from interplay import learning
from interplay.data.store.people import export_person, merge_people
from interplay.errors import BadData
from interplay.serve.answers import NotHere
from interplay.serve.bodies import catalogue, people
from interplay.serve.engine import Engine
from interplay.serve.feed import person
from interplay.serve.history import history
from interplay.serve.keeping import columns, judged, named
from interplay.serve.routes.common import REFUSALS, Asked, Limit, RequestId, needs, none_taken, part, place

router = APIRouter(prefix="/v1/users", tags=["people"], responses=REFUSALS)
READ, WRITE = [needs("read")], [needs("write")]


@router.get("", response_model=people.Users, dependencies=READ)
def users(engine: Asked, request_id: RequestId, limit: Limit = 50, cursor: str | None = None) -> dict[str, Any]:
    """Everybody known, in the order in which they were first heard of."""
    held = [entity for entity in engine.store.users() if not entity.gone]
    rows, after = part(held, place(cursor), limit)
    listed = [{"user_id": entity.name, "columns": dict(entity.columns)} for entity in rows]
    return {"request_id": request_id, "users": listed, "total": len(held), "next": after}


@router.post("", response_model=catalogue.RowsTaken, dependencies=WRITE)
def put_users(engine: Asked, request_id: RequestId, body: people.PutUsers, response: Response) -> dict[str, Any]:
    """Describe people, new or known: what was said of one before is replaced. A row that cannot be kept says why."""
    done = put(engine, body.users, patch=False)
    response.status_code = 422 if "error" in done else 200
    return {"request_id": request_id} | done


def put(engine: Engine, rows: list[Any], *, patch: bool) -> dict[str, Any]:
    """Keep the rows that can be kept; what became of each."""
    frame = engine.dataset.people
    schema = {} if frame is None else dict(frame.schema)
    taken: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        try:
            taken.append(judged(row, "user_id", schema))
        except BadData as wrong:
            name = row.get("user_id") if isinstance(row, dict) else None
            name = name if isinstance(name, (str, int)) and not isinstance(name, bool) else None
            refused.append({"place": at, "user_id": None if name is None else str(name)[:128], "reason": str(wrong)})
    new = engine.store.put_users(taken, patch=patch) if taken else 0
    engine.look()
    done = {"accepted": len(taken), "new": new, "refused": refused}
    return done if taken else done | {"error": none_taken(refused)}


@router.get("/{user_id:path}/history", response_model=people.History, dependencies=READ)
def past(
    engine: Asked, request_id: RequestId, user_id: str, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """What a person did, newest first, less what was taken back."""
    done = history(engine, user_id)
    rows, after = part(done, place(cursor), limit)
    return {"request_id": request_id, "user_id": user_id, "events": rows, "total": len(done), "next": after}


@router.get("/{user_id:path}/export", dependencies=READ)
def export(engine: Asked, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """Everything that is held of a person: columns, other names, events, impressions, traces."""
    engine.store.database.flush()  # what was shown a moment ago is held too
    if not _known(engine, user_id):
        raise NotHere(f"nothing is held of {user_id!r}")
    held = export_person(engine.store, user_id)
    return {"request_id": request_id, **held, "history": history(engine, user_id)}


@router.post("/{user_id:path}/merge", response_model=people.Merged, dependencies=WRITE)
def merge(engine: Asked, request_id: RequestId, user_id: str, body: people.Merge) -> dict[str, Any]:
    """Let what was done under one name count as this person's from now on, as when a visitor signs in."""
    if not _known(engine, str(body.visitor)):
        raise NotHere(f"nobody called {body.visitor!r} is known, so there is nothing to merge into {user_id!r}")
    moved = merge_people(engine.store, body.visitor, user_id, at=engine.now())
    engine.look()
    return {"request_id": request_id, "user_id": user_id, "visitor": str(body.visitor), "events": moved}


@router.delete("/{user_id:path}", response_model=people.Erased, dependencies=WRITE)
def erase(engine: Asked, request: Request, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """Erase a person for good: log, columns, impressions, traces, kept answers, refused rows, rows of every model."""
    gone = learning.erase(engine.store, user_id)
    engine.look()
    request.app.state.repeats.forget(request.state.caller.tenant)
    return {
        "request_id": request_id, "user_id": user_id, "erased": True, **gone._asdict(),
        "said": "What this person left in what models learnt of items changes with the next training.",
    }  # fmt: skip


@router.get("/{user_id:path}", response_model=people.UserKnown, dependencies=READ)
def user(engine: Asked, request_id: RequestId, user_id: str) -> dict[str, Any]:
    """What is known of one person or visitor; an unknown one is a stranger."""
    engine.look()
    said = engine.store.user(user_id).columns if _known(engine, user_id) else {}
    held = {name: value for name, value in said.items() if value is not None}
    return person(engine, user_id) | {"request_id": request_id, "columns": held}


@router.patch("/{user_id:path}", response_model=catalogue.RowsTaken, dependencies=WRITE)
def patch_user(
    engine: Asked, request_id: RequestId, user_id: str, body: Annotated[people.PatchUser, Body()]
) -> dict[str, Any]:
    """Change some columns of one person; null empties one."""
    frame = engine.dataset.people
    change = columns(body.model_extra or {}, {} if frame is None else dict(frame.schema))
    new = engine.store.put_users([{**change, "user_id": named(user_id, "user_id")}], patch=True)
    engine.look()
    return {"request_id": request_id, "accepted": 1, "new": new, "refused": []}


def _known(engine: Engine, user_id: str) -> bool:
    return bool(engine.store.positions(user_id))
