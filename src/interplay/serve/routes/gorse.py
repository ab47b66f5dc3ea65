"""Gorse's REST over the same engine, so that a client written for Gorse works by changing its address.

Names, shapes and status codes are those of Gorse 0.4 and 0.5 (`X-API-Version: 2` gives scores where ids used to be).
What is not there: its dashboard, its measurements and its own administration.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Query, Request

from interplay import learning
from interplay.serve import gorse as told
from interplay.serve.alike import people_like
from interplay.serve.bodies import gorse as bodies
from interplay.serve.engine import Engine
from interplay.serve.finding import search
from interplay.serve.keeping import named
from interplay.serve.routes.catalogue import completed
from interplay.serve.routes.common import REFUSALS, Asked, needs, part, place

router = APIRouter(prefix="/api", tags=["gorse"], responses=REFUSALS)
READ, WRITE = [needs("read")], [needs("write")]
N = Annotated[int, Query(ge=0, le=500, description="How many")]
Offset = Annotated[int, Query(ge=0, le=10_000)]
Cursor = Annotated[str, Query(max_length=20)]
Version = Annotated[str, Header(alias="X-API-Version")]


def _affected(n: int) -> dict[str, int]:
    return {"RowAffected": n}


# -------------------------------------------------------------------------------------------------------- recommending


def _category(engine: Engine, *categories: str) -> dict[str, Any]:
    """The rule that stands for Gorse's categories."""
    asked = [c for c in categories if c]
    if not asked:
        return {}
    held = engine.window.roles["kind"]
    if held is None or engine.dataset.catalogue is None:
        return {"allow": []}
    op = "contains" if engine.dataset.catalogue[held].dtype.is_nested() else "=="
    sentence = " and ".join(f"`{held}` {op} '{c.replace(chr(39), chr(39) * 2)}'" for c in asked)
    mask = engine.catalogue.mask(sentence, strict=False)  # a category that nothing has is an empty list, no mistake
    return {"masks": {f"category {' and '.join(asked)}": np.pad(mask, (0, engine.dataset.n_items - len(mask)))}}


def _scored(engine: Engine, rows: list[tuple[int, float]]) -> list[dict[str, Any]]:
    return [{"Id": str(engine.dataset.items[item]), "Score": float(score)} for item, score in rows]


def _offered(engine: Engine, n: int, offset: int, **asked: Any) -> list[dict[str, Any]]:
    """Items `offset` to `offset + n` of one list, with scores."""
    if not n:
        return []
    return _scored(engine, engine.answer(k=min(n + offset, 500), **asked).slates.row(0)[offset : offset + n])


@router.get("/recommend/{user_id}", dependencies=READ)
@router.get("/recommend/{user_id}/", dependencies=READ, include_in_schema=False)
@router.get("/recommend/{user_id}/{category}", dependencies=READ)
def recommend(
    engine: Asked,
    user_id: str,
    category: str = "",
    categories: Annotated[list[str], Query(alias="category", max_length=10)] = [],  # noqa: B006
    n: N = 10,
    offset: Offset = 0,
    write_back_type: Annotated[str, Query(alias="write-back-type", max_length=64)] = "",
    write_back_delay: Annotated[str, Query(alias="write-back-delay", max_length=40)] = "",
    version: Version = "1",
) -> list[Any]:
    """Item ids for a user, best first; with scores for version 2. May be written back as feedback of a type."""
    later = told.delay(write_back_delay)
    found = _offered(engine, n, offset, user=user_id, **_category(engine, category, *categories))
    if write_back_type:
        rows = [
            bodies.Feedback(FeedbackType=write_back_type, UserId=user_id, ItemId=row["Id"]) for row in found
        ]  # fmt: skip
        told.insert(engine, rows, overwrite=False, after=later)
    return found if version == "2" else [row["Id"] for row in found]


@router.get("/intermediate/recommend/{user_id}", response_model=list[bodies.Score], dependencies=READ)
@router.get("/intermediate/recommend/{user_id}/{category}", response_model=list[bodies.Score], dependencies=READ)
def scored(engine: Asked, user_id: str, category: str = "", n: N = 10, offset: Offset = 0) -> list[dict[str, Any]]:
    """The same list with scores."""
    return _offered(engine, n, offset, user=user_id, **_category(engine, category))


@router.post("/session/recommend", response_model=list[bodies.Score], dependencies=READ)
@router.post("/session/recommend/{category}", response_model=list[bodies.Score], dependencies=READ)
def session_recommend(
    engine: Asked, rows: list[bodies.Feedback], category: str = "", n: N = 10, offset: Offset = 0
) -> list[dict[str, Any]]:
    """Items for somebody of whom only this session is known."""
    seen = sorted(rows, key=lambda row: told.microseconds(row.Timestamp) or 0)
    return _offered(engine, n, offset, history=[row.ItemId for row in seen], **_category(engine, category))


@router.get("/item/{item_id}/neighbors", response_model=list[bodies.Score], dependencies=READ)
@router.get("/item/{item_id}/neighbors/", response_model=list[bodies.Score], dependencies=READ, include_in_schema=False)
@router.get("/item/{item_id}/neighbors/{category}", response_model=list[bodies.Score], dependencies=READ)
def item_neighbors(engine: Asked, item_id: str, category: str = "", n: N = 10, offset: Offset = 0) -> list[Any]:
    """Items near one item."""
    if not n:
        return []
    among = next(iter(_category(engine, category).get("masks", {}).values()), None)
    rows = engine.similar(item_id, k=500 if among is not None else min(n + offset, 500)).slates.row(0)
    kept = [(item, score) for item, score in rows if among is None or among[item]]
    return _scored(engine, kept[offset : offset + n])


@router.get("/user/{user_id}/neighbors", response_model=list[bodies.Score], dependencies=READ)
@router.get("/user/{user_id}/neighbors/", response_model=list[bodies.Score], dependencies=READ, include_in_schema=False)
def user_neighbors(engine: Asked, user_id: str, n: N = 10, offset: Offset = 0) -> list[dict[str, Any]]:
    """People who touched the same things."""
    rows = people_like(engine, user_id, n + offset)[offset : offset + n] if n else []
    return [{"Id": str(name), "Score": score} for name, score in rows]


@router.get("/popular", response_model=list[bodies.Score], dependencies=READ)
@router.get("/popular/{category}", response_model=list[bodies.Score], dependencies=READ)
@router.get("/non-personalized/popular", response_model=list[bodies.Score], dependencies=READ)
def popular(
    engine: Asked,
    category: str = "",
    n: N = 10,
    offset: Offset = 0,
    user_id: Annotated[str | None, Query(alias="user-id")] = None,
) -> list[dict[str, Any]]:
    """What most people touched, without what `user-id` has."""
    return _ordered(engine, engine.rows.popularity.astype(np.float64), category, n, offset, user_id)


@router.get("/latest", response_model=list[bodies.Score], dependencies=READ)
@router.get("/latest/{category}", response_model=list[bodies.Score], dependencies=READ)
@router.get("/non-personalized/latest", response_model=list[bodies.Score], dependencies=READ)
def latest(
    engine: Asked,
    category: str = "",
    n: N = 10,
    offset: Offset = 0,
    user_id: Annotated[str | None, Query(alias="user-id")] = None,
) -> list[dict[str, Any]]:
    """What came last: by the items' timestamps, by when they were first heard of where they have none."""
    engine.look()
    frame, at = engine.dataset.catalogue, np.zeros(engine.dataset.n_items)
    if frame is not None and "timestamp" in frame.columns:
        spoken = [told.microseconds(v) if v is not None else None for v in frame["timestamp"].to_list()]
        at[: len(spoken)] = [(v or 0) / 1e6 for v in spoken]
    return _ordered(engine, at + np.arange(len(at)) * 1e-6, category, n, offset, user_id)


def _ordered(
    engine: Engine, scores: np.ndarray[Any, Any], category: str, n: int, offset: int, user_id: str | None
) -> list[dict[str, Any]]:
    """The catalogue in the order of a score, less what is not offered and what a user has touched."""
    engine.look()
    allowed = np.ones(engine.dataset.n_items, bool)
    if engine.scene.offered is not None:
        allowed &= engine.scene.offered
    for mask in _category(engine, category).get("masks", {}).values():
        allowed &= mask
    if user_id is not None:
        allowed[engine.request(user=user_id).history["item"]] = False
    order = np.argsort(-np.where(allowed[: len(scores)], scores[: len(allowed)], -np.inf), kind="stable")
    rows = [(i, float(scores[i])) for i in order[: n + offset].tolist() if allowed[i]]
    return _scored(engine, rows[offset : offset + n])


# ------------------------------------------------------------------------------------------------------------ feedback


@router.post("/feedback", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_feedback(engine: Asked, rows: list[bodies.Feedback]) -> dict[str, int]:
    """Insert feedback; what is there already stays as it is."""
    return _affected(told.insert(engine, rows, overwrite=False))


@router.put("/feedback", response_model=bodies.RowAffected, dependencies=WRITE)
def overwrite_feedback(engine: Asked, rows: list[bodies.Feedback]) -> dict[str, int]:
    """Insert feedback in place of what is there already."""
    return _affected(told.insert(engine, rows, overwrite=True))


@router.get("/feedback", response_model=bodies.Feedbacks, dependencies=READ)
@router.get("/feedback/{kind}", response_model=bodies.Feedbacks, dependencies=READ)
def all_feedback(engine: Asked, kind: str | None = None, n: N = 100, cursor: Cursor = "") -> dict[str, Any]:
    """All feedback, oldest first, part by part."""
    rows, after = told.listed(engine, kind, place(cursor), max(n, 1))
    return {"Cursor": "" if after is None else str(after), "Feedback": rows}


@router.get("/feedback/{user_id}/{item_id}", dependencies=READ)
def feedback_between(engine: Asked, user_id: str, item_id: str) -> list[dict[str, Any]]:
    """What a user said of an item, of all types."""
    return [told.feedback_of(e) for e in told.found(engine, None, user_id, item_id)]


@router.delete("/feedback/{user_id}/{item_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def delete_feedback_between(engine: Asked, user_id: str, item_id: str) -> dict[str, int]:
    """Take back what a user said of an item, of all types."""
    return _affected(told.remove(engine, told.found(engine, None, user_id, item_id)))


@router.get("/feedback/{kind}/{user_id}/{item_id}", dependencies=READ)
def one_feedback(engine: Asked, kind: str, user_id: str, item_id: str) -> dict[str, Any]:
    """One piece of feedback."""
    held = told.found(engine, kind, user_id, item_id)
    if not held:
        raise HTTPException(404, f"no feedback of type {kind!r} between {user_id!r} and {item_id!r}")
    return told.feedback_of(held[-1])


@router.delete("/feedback/{kind}/{user_id}/{item_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def delete_one_feedback(engine: Asked, kind: str, user_id: str, item_id: str) -> dict[str, int]:
    """Take one piece of feedback back."""
    return _affected(told.remove(engine, told.found(engine, kind, user_id, item_id)))


@router.get("/user/{user_id}/feedback", dependencies=READ)
@router.get("/user/{user_id}/feedback/{kind}", dependencies=READ)
def feedback_by_user(engine: Asked, user_id: str, kind: str | None = None) -> list[dict[str, Any]]:
    """What a user said."""
    return [told.feedback_of(e) for e in told.found(engine, kind, user_id, None)]


@router.get("/item/{item_id}/feedback", dependencies=READ)
@router.get("/item/{item_id}/feedback/", dependencies=READ, include_in_schema=False)
@router.get("/item/{item_id}/feedback/{kind}", dependencies=READ)
def feedback_on_item(engine: Asked, item_id: str, kind: str | None = None) -> list[dict[str, Any]]:
    """What was said of an item."""
    who = dict.fromkeys(str(e.user_id) for e in engine.store.about(item_id))
    return [told.feedback_of(e) for user in who for e in told.found(engine, kind, user, item_id)]


# --------------------------------------------------------------------------------------------------------------- items


@router.post("/item", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_item(engine: Asked, item: bodies.Item) -> dict[str, int]:
    """Insert an item, in place of what was said of it before."""
    return insert_items(engine, [item])


@router.post("/items", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_items(engine: Asked, items: list[bodies.Item]) -> dict[str, int]:
    """Insert items, in place of what was said of them before."""
    rows = [{**told.item_row(item), "item_id": named(item.ItemId, "ItemId")} for item in items]
    engine.store.put_items(rows)
    engine.look()
    return _affected(len(rows))


@router.patch("/item/{item_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def modify_item(engine: Asked, item_id: str, patch: bodies.ItemPatch) -> dict[str, int]:
    """Change what a patch names."""
    name = engine.dataset.items[_here(engine, item_id)]
    engine.store.put_items([completed(engine, {**told.item_row(patch), "item_id": name})], patch=True)
    engine.look()
    return _affected(1)


@router.get("/items", response_model=bodies.Items, dependencies=READ)
def all_items(
    engine: Asked, n: N = 100, cursor: Cursor = "", q: Annotated[str, Query(max_length=400)] = ""
) -> dict[str, Any]:
    """All items, part by part; with `q` those that have the words."""
    engine.look()
    if q:
        held, after = search(engine, q, k=max(n, 1)).answer.items, None
    else:
        gone = np.zeros(engine.dataset.n_items, bool)
        gone[: len(engine.scene.gone)] = engine.scene.gone
        held, after = part(np.flatnonzero(~gone).tolist(), place(cursor), max(n, 1))
    rows = [told.item_of(engine.dataset.items[i], engine.window.row(i)) for i in held]
    return {"Cursor": after or "", "Items": rows}


@router.get("/item/{item_id}", dependencies=READ)
def one_item(engine: Asked, item_id: str) -> dict[str, Any]:
    """One item."""
    index = _here(engine, item_id)
    return told.item_of(engine.dataset.items[index], engine.window.row(index))


@router.delete("/item/{item_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def delete_item(engine: Asked, item_id: str) -> dict[str, int]:
    """Never show an item again."""
    deleted = engine.store.delete_items([item_id])
    engine.look()
    return _affected(deleted)


@router.put("/item/{item_id}/category/{category}", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_category(engine: Asked, item_id: str, category: str) -> dict[str, int]:
    """Add a category to an item."""
    held = one_item(engine, item_id)["Categories"]
    return modify_item(engine, item_id, bodies.ItemPatch(Categories=[*held, *({category} - set(held))]))


@router.delete("/item/{item_id}/category/{category}", response_model=bodies.RowAffected, dependencies=WRITE)
def delete_category(engine: Asked, item_id: str, category: str) -> dict[str, int]:
    """Take a category from an item."""
    held = one_item(engine, item_id)["Categories"]
    return modify_item(engine, item_id, bodies.ItemPatch(Categories=[c for c in held if c != category]))


def _here(engine: Engine, item_id: str) -> int:
    engine.look()
    index, gone = engine.item(item_id), engine.scene.gone
    if index < len(gone) and gone[index]:
        raise HTTPException(404, f"no item called {item_id!r}: it was deleted")
    return index


# --------------------------------------------------------------------------------------------------------------- users


@router.post("/user", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_user(engine: Asked, user: bodies.User) -> dict[str, int]:
    """Insert a user, in place of what was said of them before."""
    return insert_users(engine, [user])


@router.post("/users", response_model=bodies.RowAffected, dependencies=WRITE)
def insert_users(engine: Asked, users: list[bodies.User]) -> dict[str, int]:
    """Insert users, in place of what was said of them before."""
    rows = [{**told.user_row(user), "user_id": named(user.UserId, "UserId")} for user in users]
    engine.store.put_users(rows)
    engine.look()
    return _affected(len(rows))


@router.patch("/user/{user_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def modify_user(engine: Asked, user_id: str, patch: bodies.UserPatch) -> dict[str, int]:
    """Change what a patch names."""
    engine.store.put_users([{**told.user_row(patch), "user_id": named(user_id, "UserId")}], patch=True)
    engine.look()
    return _affected(1)


@router.get("/users", response_model=bodies.Users, dependencies=READ)
def all_users(engine: Asked, n: N = 100, cursor: Cursor = "") -> dict[str, Any]:
    """All users, part by part."""
    held = [entity for entity in engine.store.users() if not entity.gone]
    rows, after = part(held, place(cursor), max(n, 1))
    return {"Cursor": after or "", "Users": [told.user_of(e.name, e.columns) for e in rows]}


@router.get("/user/{user_id}", dependencies=READ)
def one_user(engine: Asked, user_id: str) -> dict[str, Any]:
    """One user."""
    if not engine.store.positions(user_id):
        raise HTTPException(404, f"no user called {user_id!r}")
    held = engine.store.user(user_id)
    return told.user_of(held.name, held.columns)


@router.delete("/user/{user_id}", response_model=bodies.RowAffected, dependencies=WRITE)
def delete_user(engine: Asked, request: Request, user_id: str) -> dict[str, int]:
    """Erase a user and everything they did, for good."""
    known = bool(engine.store.positions(user_id))
    learning.erase(engine.store, user_id)
    engine.look()
    request.app.state.repeats.forget(request.state.caller.tenant)
    return _affected(int(known))


@router.get("/health/live")
@router.get("/health/ready")
async def health() -> dict[str, Any]:
    """Whether requests may be sent."""
    return {"Ready": True, "DataStoreError": None, "CacheStoreError": None, "DataStoreConnected": True,
            "CacheStoreConnected": True}  # fmt: skip
