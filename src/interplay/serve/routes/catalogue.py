"""Keeping the catalogue: what is written here is in the next answer. Reading it is in `reading.py`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response

from interplay.data.store.snapshot import spoken
from interplay.errors import BadData
from interplay.serve.bodies import catalogue as bodies
from interplay.serve.engine import Engine
from interplay.serve.keeping import columns, judged, named
from interplay.serve.routes.common import REFUSALS, Asked, RequestId, needs, none_taken

router = APIRouter(prefix="/v1", tags=["keep"], responses=REFUSALS, dependencies=[needs("write")])


def put(engine: Engine, rows: list[Any], *, patch: bool) -> dict[str, Any]:
    """Keep the rows that can be kept; what became of each."""
    frame = engine.dataset.catalogue
    schema = {} if frame is None else dict(frame.schema)
    taken: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        try:
            said = judged(row, "item_id", schema)
            taken.append(completed(engine, said) if patch else said)
        except BadData as wrong:
            name = row.get("item_id") if isinstance(row, dict) else None
            name = name if isinstance(name, (str, int)) and not isinstance(name, bool) else None
            refused.append({"place": place, "item_id": None if name is None else str(name)[:128], "reason": str(wrong)})
    new = engine.store.put_items(taken, patch=patch) if taken else 0
    engine.look()
    done = {"accepted": len(taken), "new": new, "refused": refused}
    return done if taken else done | {"error": none_taken(refused)}


def completed(engine: Engine, row: dict[str, Any]) -> dict[str, Any]:
    """A change, with what the catalogue says of the item where the store has not been told it yet."""
    index = int(engine.dataset.items.index([row["item_id"]])[0])
    if index < 0 or engine.store.item(engine.dataset.items[index]).columns:
        return row
    known = {name: spoken(value) for name, value in engine.window.row(index).items() if value is not None}
    return {**known, **row, "item_id": engine.dataset.items[index]}


@router.post("/items", response_model=bodies.RowsTaken)
def put_items(engine: Asked, request_id: RequestId, body: bodies.PutItems, response: Response) -> dict[str, Any]:
    """Describe items, new or known: what was said of one before is replaced. A row that cannot be kept says why."""
    done = put(engine, body.items, patch=False)
    response.status_code = 422 if "error" in done else 200
    return {"request_id": request_id} | done


@router.patch("/items", response_model=bodies.RowsTaken)
def patch_items(engine: Asked, request_id: RequestId, body: bodies.PutItems, response: Response) -> dict[str, Any]:
    """Change some columns of items; those a row is silent about stay. Prices and stock of a whole shop, say."""
    done = put(engine, body.items, patch=True)
    response.status_code = 422 if "error" in done else 200
    return {"request_id": request_id} | done


@router.post("/items:delete", response_model=bodies.Deleted)
def delete_items(engine: Asked, request_id: RequestId, body: bodies.DeleteItems) -> dict[str, Any]:
    """Never show these again. What people did with them stays in the log."""
    known = {str(name) for name in body.item_ids if _there(engine, name)}
    deleted = engine.store.delete_items(sorted(known))
    engine.look()
    unknown = [name for name in body.item_ids if str(name) not in known]
    return {"request_id": request_id, "deleted": deleted, "unknown": unknown}


@router.patch("/items/{item_id:path}", response_model=bodies.RowsTaken)
def patch_item(
    engine: Asked, request_id: RequestId, item_id: str, body: Annotated[bodies.PatchItem, Body()]
) -> dict[str, Any]:
    """Change some columns of one item; null empties one. With another `item_id` in the body it is renamed."""
    name = engine.dataset.items[engine.item(item_id)]
    frame = engine.dataset.catalogue
    change = columns(body.model_extra or {}, {} if frame is None else dict(frame.schema))
    if change:
        engine.store.put_items([completed(engine, {**change, "item_id": name})], patch=True)
    if body.item_id is not None and str(body.item_id) != str(name):
        engine.store.rename_item(name, named(body.item_id, "item_id"))
    engine.look()
    return {"request_id": request_id, "accepted": 1, "new": 0, "refused": []}


@router.delete("/items/{item_id:path}", response_model=bodies.Deleted)
def delete_item(engine: Asked, request_id: RequestId, item_id: str) -> dict[str, Any]:
    """Never show this item again. What people did with it stays in the log; describing it anew brings it back."""
    name = engine.dataset.items[engine.item(item_id)]
    if not engine.store.delete_items([name]):
        raise HTTPException(404, f"the item {item_id!r} was deleted before")
    engine.look()
    return {"request_id": request_id, "deleted": 1, "unknown": []}


def _there(engine: Engine, name: str | int) -> bool:
    return int(engine.dataset.items.index([name])[0]) >= 0
