"""Idempotency: the same call with the same `Idempotency-Key` is done once and answered twice.

Answers are kept for a while by this process. What must survive a restart or another replica does so by other means:
the events of a batch get ids made from the key, and the log takes an id once.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from interplay.serve.logs import Receive, Scope, Send

KEPT, LASTING, LARGEST = 4096, 600.0, 256 << 10  # answers, seconds, bytes of one answer
LONGEST = 200  # characters of a key


@dataclass
class _Held:
    """One call: what it asked, and its answer once there is one."""

    asked: str
    since: float
    messages: list[Any] = field(default_factory=list)
    done: bool = False


class Repeats:
    """The answers of calls that named an idempotency key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.held: OrderedDict[tuple[str, str, bytes], _Held] = OrderedDict()
        self.clock = clock

    async def once(
        self, app: Any, scope: Scope, receive: Receive, send: Send, name: tuple[str, str, bytes], body: bytes
    ) -> None:
        """Do the call, or answer as the first time. Another call under the same key is refused."""
        asked = hashlib.sha256(f"{scope['method']} {scope['path']}\n".encode() + body).hexdigest()
        held = self.held.get(name)
        if held is not None and self.clock() - held.since > LASTING:
            del self.held[name]
            held = None
        if len(name[2]) > LONGEST:
            said = f"an Idempotency-Key of {len(name[2])} characters; at most {LONGEST} are taken"
            return await _refusal(scope, 422, said)(scope, receive, send)
        if held is None:
            return await self._first(app, scope, receive, send, name, asked)
        if held.asked != asked:
            said = "this Idempotency-Key was used for another call; take a new one for each call"
            return await _refusal(scope, 422, said)(scope, receive, send)
        if not held.done:
            said = "the call with this Idempotency-Key is still being answered; ask again in a second"
            refusal = _refusal(scope, 409, said)
            refusal.headers["Retry-After"] = "1"
            return await refusal(scope, receive, send)
        for kept in held.messages:
            message = _own(kept)
            if message["type"] == "http.response.start":
                message["headers"].append((b"idempotency-replayed", b"true"))
            await send(message)

    async def _first(
        self, app: Any, scope: Scope, receive: Receive, send: Send, name: tuple[str, str, bytes], asked: str
    ) -> None:
        held = self.held[name] = _Held(asked, self.clock())
        size = 0

        async def heard(message: Any) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            if size <= LARGEST:
                held.messages.append(_own(message))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                held.done = True
            await send(message)

        try:
            await app(scope, receive, heard)
        finally:
            status = held.messages[0]["status"] if held.messages else 500
            if not held.done or size > LARGEST or status >= 500 or status == 429:
                self.held.pop(name, None)  # nothing was promised: the next try is a first one
            while len(self.held) > KEPT:
                self.held.popitem(last=False)

    def forget(self, tenant: str) -> None:
        """Drop every kept answer of a tenant: they may hold what a person wants erased."""
        for name in [name for name in self.held if name[0] == tenant]:
            del self.held[name]


def _own(message: Any) -> dict[str, Any]:
    """A message with a list of headers of its own: compression changes the one that it is given."""
    return {**message, "headers": list(message["headers"])} if "headers" in message else dict(message)


def _refusal(scope: Scope, status: int, said: str) -> JSONResponse:
    return JSONResponse({"request_id": scope["state"]["request_id"], "error": said}, status)
