"""Refusals: every one is a sentence that says what was found, what was expected and what to do."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from interplay.serve.engine import NotHere


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


def say(status: int, text: str) -> JSONResponse:
    return JSONResponse({"request_id": secrets.token_hex(8), "error": text}, status)


async def refused(request: Request, wrong: Exception) -> JSONResponse:
    return say(404 if isinstance(wrong, NotHere) else 422, str(wrong))


async def unreadable(request: Request, wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, RequestValidationError)
    return say(422, "; ".join(sentence(e) for e in wrong.errors()[:3]))


async def plainly(request: Request, wrong: Exception) -> JSONResponse:
    status = getattr(wrong, "status_code", 500)
    detail = str(getattr(wrong, "detail", ""))
    if detail == "Not Found":
        detail = f"nothing is served at {request.url.path}; see /openapi.json for what is"
    if detail == "Method Not Allowed":
        detail = f"{request.url.path} does not take {request.method}; see /openapi.json"
    return say(status, detail)


Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Limit:
    """Refuses bodies above `largest` bytes: by the announced length, or while they arrive."""

    def __init__(self, app: Any, largest: int) -> None:
        self.app, self.largest = app, largest

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        parts, size, more = [], int(announced) if announced.isdigit() else 0, True
        while more and size <= self.largest:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size, more = max(size, sum(map(len, parts))), message.get("more_body", False)
        if size > self.largest:
            text = f"the body has more than {self.largest:,} bytes; send it in parts"
            return await say(413, text)(scope, receive, send)  # type: ignore[arg-type]
        body = iter([{"type": "http.request", "body": b"".join(parts), "more_body": False}])

        async def held() -> MutableMapping[str, Any]:
            return next(body, None) or await receive()

        return await self.app(scope, held, send)
