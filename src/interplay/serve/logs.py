"""One line of JSON for each request, and the request id that ties it to everything logged on the way.

A line names the route as a template, never the path or the query: those hold people's ids, and what is in a log
outlives an erasure. `X-Request-Id` is taken over from the caller when it is short and plain, made otherwise, and sent
back.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.responses import JSONResponse

from interplay.serve.metrics import Measures
from interplay.serve.spans import Spans

log = logging.getLogger("interplay.http")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
PLAIN = re.compile(r"[\w.:-]{1,64}", re.ASCII)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Lines(logging.Formatter):
    """Log records as JSON, each with the id of the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name, "said": record.getMessage(),
        }  # fmt: skip
        if held := REQUEST_ID.get():
            line["request_id"] = held
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def structured(stream: TextIO = sys.stderr, level: int = logging.INFO) -> logging.Handler:
    """Send everything that Interplay and Uvicorn log to `stream` as JSON lines; the handler, to take it off again."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines())
    for name in ("interplay", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    return handler


class Trail:
    """Outermost: gives each request its id, measures it, and writes its line."""

    def __init__(self, app: Any, measures: Measures, spans: Spans | None = None) -> None:
        self.app, self.measures, self.spans = app, measures, spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = time.perf_counter()
        offered = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"").decode("latin-1")
        name = offered if PLAIN.fullmatch(offered) else secrets.token_hex(8)
        held = REQUEST_ID.set(name)
        scope.setdefault("state", {})["request_id"] = name
        state, size = scope["state"], 0

        async def heard(message: MutableMapping[str, Any]) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            with nullcontext() if self.spans is None else self.spans.request(scope):
                await self._kept_up(scope, receive, heard)
        finally:
            self._close(scope, state.get("status", 499), size, time.perf_counter() - begun)
            REQUEST_ID.reset(held)

    async def _kept_up(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Our own mistakes are logged under the id that the caller gets; one request's do not end another."""
        try:
            await self.app(scope, receive, send)
        except Exception as wrong:
            log.error("%s", type(wrong).__name__, exc_info=wrong)
            if "status" in scope["state"]:  # too late to say so
                raise
            name = scope["state"]["request_id"]
            said = f"the engine failed on this request; its log says why under the id {name}"
            await JSONResponse({"request_id": name, "error": said}, 500)(scope, receive, send)

    def _close(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        route = str(getattr(scope.get("route"), "path", "")) or "nowhere"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.measures.requests.labels(route, method, str(status)).inc()
        self.measures.seconds.labels(route).observe(seconds)
        state = scope["state"]
        facts = {
            "request_id": state["request_id"], "method": method, "route": route, "status": status,
            "milliseconds": round(1000 * seconds, 2), "bytes": size, "key": state.get("key_id"),
            "tenant": state.get("tenant"), "refused": state.get("refused"),
        }  # fmt: skip
        facts = {name: value for name, value in facts.items() if value is not None}
        level = logging.ERROR if status >= 500 else logging.INFO
        log.log(level, "%s %s %s", method, route, status, extra={"facts": facts})
