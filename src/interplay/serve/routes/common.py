"""What every route needs: the caller's own engine, the scope it asks for, the id of the request."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request

from interplay.data.store.keys import Key
from interplay.errands import Errand
from interplay.errors import UnknownName
from interplay.serve.answers import NotHere
from interplay.serve.bodies.common import Sentence
from interplay.serve.engine import Engine
from interplay.serve.metrics import Measures
from interplay.serve.working import Workshop

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Sentence, "description": "No key, or one that is not known"},
    403: {"model": Sentence, "description": "A key without the scope that this needs"},
    404: {"model": Sentence, "description": "An id, facet or cursor that does not exist"},
    413: {"model": Sentence, "description": "A body or a batch that is too large"},
    422: {"model": Sentence, "description": "A value that cannot be meant"},
    429: {"model": Sentence, "description": "More than this key may ask, or too much at the moment; see Retry-After"},
    503: {"model": Sentence, "description": "The store does not answer at the moment; see Retry-After"},
}  # fmt: skip


def needs(scope: str) -> Any:
    """A dependency that refuses keys without this scope."""

    async def check(request: Request) -> None:
        caller: Key = request.state.caller
        if not caller.may(scope):
            held = ", ".join(sorted(caller.scopes)) or "none"
            raise HTTPException(403, f"this needs the scope {scope!r}; the key has: {held}")

    check.__dict__["scope"] = scope
    return Depends(check)


async def _engine(request: Request) -> Engine:
    """The engine of the caller's tenant: the only way from a request to anybody's data."""
    return request.app.state.engines[request.state.caller.tenant]


async def _request_id(request: Request) -> str:
    return request.state.request_id


async def _measures(request: Request) -> Measures:
    return request.app.state.measures


async def _works(request: Request) -> Workshop:
    """The processes of the caller's tenant."""
    return request.app.state.works[request.state.caller.tenant]


async def _caller(request: Request) -> Key:
    return request.state.caller


Asked = Annotated[Engine, Depends(_engine)]
RequestId = Annotated[str, Depends(_request_id)]
Measured = Annotated[Measures, Depends(_measures)]
Works = Annotated[Workshop, Depends(_works)]
ErrandId = Annotated[str, Path(min_length=1, max_length=40)]
Who = Annotated[Key, Depends(_caller)]
Facets = Annotated[list[str], Query(max_length=100, description="name:value; may be repeated")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many in one part")]


def held(works: Workshop, errand_id: str, kind: str) -> Errand:
    """One errand, or a refusal as HTTP has it."""
    try:
        return works.errands.get(errand_id, kind)
    except UnknownName as wrong:
        raise NotHere(str(wrong)) from None


def told(errand: Errand) -> dict[str, Any]:
    """An errand as it is sent."""
    return {k: v for k, v in asdict(errand).items() if k != "kind"}


def none_taken(refused: list[dict[str, Any]]) -> str:
    """The sentence for a batch of which nothing was taken."""
    first = refused[0]
    return f"none of the {len(refused):,} rows was taken; the one at place {first['place']}: {first['reason']}"


def listed(text: str) -> list[str]:
    """`"a, b"` as its parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def place(cursor: str | None) -> int:
    """Where a part begins, from the `next` of the part before."""
    if cursor is None or cursor == "":
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 12):
        raise HTTPException(422, f"cursor is {cursor[:40]!r}; expected the 'next' of an earlier answer")
    return int(cursor)


def part(rows: list[Any], start: int, limit: int) -> tuple[list[Any], str | None]:
    """`limit` rows from `start` on, and the cursor of those after them."""
    return rows[start : start + limit], str(start + limit) if start + limit < len(rows) else None
