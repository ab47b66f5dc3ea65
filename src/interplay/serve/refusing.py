"""Refusals: every one is a sentence that says what was found, what was expected and what to do."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from interplay.errors import Unavailable
from interplay.serve.answers import NotHere


def checked(body: type[Any], values: dict[str, Any]) -> Any:
    """`values` as a body, refused as FastAPI refuses one."""
    try:
        return body.model_validate(values)
    except ValidationError as wrong:
        raise RequestValidationError(wrong.errors()) from None


def sentence(error: dict[str, Any]) -> str:
    """One refusal of Pydantic's as: what was found, what was expected."""
    place = ".".join(str(p) for p in error["loc"] if p not in ("body", "query", "path")) or "the body"
    found, said = error.get("input"), str(error["msg"])
    if error["type"] == "missing":
        return f"{place} is missing; it is required"
    if error["type"] == "extra_forbidden":
        return f"there is no field {place!r}; see /openapi.json for those there are"
    shown = repr(found) if not isinstance(found, (dict, list)) else f"a {type(found).__name__}"
    return f"{place} is {shown[:80]}; {said[:1].lower()}{said[1:]}"


def say(request: Request, status: int, text: str) -> JSONResponse:
    """A refusal as it is sent, under the id of the request it answers."""
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse({"request_id": request.state.request_id, "error": text}, status, headers)


async def refused(request: Request, wrong: Exception) -> JSONResponse:
    """Anything that a person can mend."""
    status = 404 if isinstance(wrong, NotHere) else 503 if isinstance(wrong, Unavailable) else 422
    return say(request, status, str(wrong))


async def unreadable(request: Request, wrong: Exception) -> JSONResponse:
    """A body or a parameter that is not what was described."""
    assert isinstance(wrong, RequestValidationError)
    return say(request, 422, "; ".join(sentence(dict(e)) for e in wrong.errors()[:3]))


async def plainly(request: Request, wrong: Exception) -> JSONResponse:
    """What the routes and the framework refuse by status."""
    status = getattr(wrong, "status_code", 500)
    detail = str(getattr(wrong, "detail", ""))
    if detail == "Not Found":
        detail = f"nothing is served at {request.url.path}; see /openapi.json for what is"
    if detail == "Method Not Allowed":
        detail = f"{request.url.path} does not take {request.method}; see /openapi.json"
    if detail == "There was an error parsing the body":
        status, detail = 422, "the body is no JSON that can be read; it may be cut off, or nested too deeply"
    return say(request, status, detail)
