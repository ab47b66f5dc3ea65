"""Telling: events as Interplay and as User Behavior Insights write them; a bad one is refused alone, with a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, HTTPException, Response
from pydantic import BaseModel, ValidationError

from interplay.data.exports import ACTIONS
from interplay.data.store.keys import Key
from interplay.serve.bodies import telling as bodies
from interplay.serve.engine import Engine
from interplay.serve.refusing import sentence
from interplay.serve.routes.common import REFUSALS, Asked, Measured, RequestId, Who, needs, none_taken
from interplay.serve.telling import tell

router = APIRouter(prefix="/v1", tags=["tell"], responses=REFUSALS, dependencies=[needs("write")])
MOST = 5000  # events in one batch
Repeatable = Annotated[
    str | None,
    Header(max_length=200, description="The same call with the same key is done once, over restarts and replicas too"),
]


def body_of(name: str, *kinds: type[BaseModel]) -> dict[str, Any]:
    """The description of a batch that is read row by row."""
    rows = [kind.model_json_schema() for kind in kinds]
    listed = {"type": "array", "maxItems": MOST, "items": rows[0] if len(rows) == 1 else {"anyOf": rows}}
    schema = {"type": "object", "required": [name], "properties": {name: listed}}
    examples = [{name: [kinds[0].model_json_schema()["examples"][0]]}]
    content = {"application/json": {"schema": schema | {"examples": examples}}}
    return {"requestBody": {"required": True, "content": content}}


def rows_of(body: Any, name: str) -> list[Any]:
    """The rows of `{name: [...]}`, of a list, or of one row alone."""
    listed = body.get(name, [body]) if isinstance(body, dict) else body
    if not isinstance(listed, list) or not listed:
        raise HTTPException(422, f"the body holds no {name}; expected {{'{name}': [...]}} with at least one")
    if len(listed) > MOST:
        raise HTTPException(413, f"{len(listed):,} {name} in one batch; at most {MOST:,} are taken. Send them in parts")
    return listed


def named(events: list[dict[str, Any]], places: list[int], caller: Key, key: str | None) -> None:
    """Give events without an id one that follows from the idempotency key, so that a repeated batch counts once."""
    for event, place in zip(events, places, strict=True) if key else ():
        if event.get("event_id") is None:
            made = hashlib.blake2b(f"{caller.tenant}\n{caller.key_id}\n{key}\n{place}".encode(), digest_size=16)
            event["event_id"] = made.hexdigest()


@router.post("/events", response_model=bodies.EventsTaken, openapi_extra=body_of("events", bodies.Event))
def events(
    engine: Asked,
    caller: Who,
    measures: Measured,
    request_id: RequestId,
    body: Annotated[Any, Body()],
    response: Response,
    idempotency_key: Repeatable = None,
) -> dict[str, Any]:
    """Take a batch of events: `{"events": [...]}`, a list, or one event. A bad one is refused alone, with its reason.

    An acknowledged event is in the log; one with a known `event_id` changes nothing. 422 where none could be taken.
    """
    wrongs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    for place, row in enumerate(rows_of(body, "events")):
        try:
            rows.append(bodies.Event.model_validate(row).__dict__)
            places.append(place)
        except ValidationError as wrong:
            wrongs.append(_wrong(place, row, sentence(dict(wrong.errors()[0]))))
    named(rows, places, caller, idempotency_key)
    return {"request_id": request_id} | took(engine, measures, rows, places, wrongs, response)


def took(
    engine: Engine, measures: Measured, rows: list[dict[str, Any]], places: list[int], wrongs: list[dict[str, Any]],
    response: Response,
) -> dict[str, Any]:  # fmt: skip
    """Tell the engine, and say what became of every row; 422 where none was taken."""
    done = tell(engine, rows)
    wrongs += [{"place": places[r.place], "event_id": r.event_id, "reason": r.reason} for r in done.refused]
    wrongs.sort(key=lambda r: r["place"])
    nothing = bool(wrongs) and not done.accepted and not done.repeated
    response.status_code = 422 if nothing else 200
    measures.turned_away(engine, [r["reason"] for r in wrongs])
    for outcome, n in (("accepted", done.accepted), ("repeated", done.repeated), ("refused", len(wrongs))):
        measures.events.labels(outcome).inc(n)
    return {"accepted": done.accepted, "repeated": done.repeated, "refused": wrongs} | (
        {"error": none_taken(wrongs)} if nothing else {}
    )


def _wrong(place: int, row: Any, reason: str) -> dict[str, Any]:
    event_id = row.get("event_id") if isinstance(row, dict) else None
    return {"place": place, "event_id": None if event_id is None else str(event_id)[:128], "reason": reason}


@router.post("/ubi", response_model=bodies.UbiTaken, openapi_extra=body_of("events", bodies.UbiEvent, bodies.UbiQuery))
def ubi(
    engine: Asked,
    caller: Who,
    measures: Measured,
    request_id: RequestId,
    body: Annotated[Any, Body()],
    response: Response,
    idempotency_key: Repeatable = None,
) -> dict[str, Any]:
    """Take search events in the form of User Behavior Insights: `{"events": [...]}` or a list, queries among them.

    An event about an object becomes an event of that item, its `query_id` the answer it belongs to. A query makes its
    answer known under its `query_id`. Actions that say nothing about a taste (hovering, paging) are counted as unread.
    """
    wrongs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    unread: Counter[str] = Counter()
    queries = 0
    for place, row in enumerate(rows_of(body, "events")):
        try:
            if isinstance(row, dict) and "action_name" not in row and "query_id" in row:
                bodies.UbiQuery.model_validate(row)
                queries += 1
                continue
            event = bodies.UbiEvent.model_validate(row)
        except ValidationError as wrong:
            wrongs.append(_wrong(place, row, sentence(dict(wrong.errors()[0]))))
            continue
        kind = event.action_name if event.action_name in engine.kinds else ACTIONS.get(event.action_name.lower())
        about, who = event.event_attributes.object, event.user_id if event.user_id is not None else event.client_id
        if kind is None:
            unread[event.action_name] += 1
        elif about is None or about.object_id is None:
            wrongs.append(_wrong(place, row, "event_attributes.object.object_id is missing; it names the item"))
        elif who is None:
            wrongs.append(_wrong(place, row, "client_id is missing; it names the person or visitor"))
        else:
            told = {
                "user_id": who, "item_id": about.object_id, "event_type": kind, "timestamp": event.timestamp,
                "request_id": event.query_id, "session_id": event.session_id, "surface": "search",
            }  # fmt: skip
            rows.append(bodies.Event.model_validate(told).model_dump())
            places.append(place)
    named(rows, places, caller, idempotency_key)
    taken = took(engine, measures, rows, places, wrongs, response)
    return {"request_id": request_id, "queries": queries, "unread": dict(unread)} | taken
