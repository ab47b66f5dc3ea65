"""The door: who may come in, how often, how many at once, how large, and how long it may take.

A key belongs to one tenant and opens only that tenant's engine: routes reach an engine through the key and in no other
way. Without keys the door is open, which is meant for a demo on one's own machine, and
`/readyz` says so. Limits are kept by each process for itself: behind n replicas a key has n times its rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response

from interplay.data.store.keys import PREFIX, SCOPES, Key, Keys, hashed
from interplay.data.store.store import DEFAULT
from interplay.errors import Unavailable
from interplay.serve.logs import Receive, Scope, Send
from interplay.serve.metrics import Measures
from interplay.serve.repeats import Repeats

COOKIE = "interplay_key"
BUCKETS = 10_000  # callers whose rate is remembered
FREE = ("/healthz", "/readyz", "/api/health/", "/web/", "/faces/")  # neither key nor turn: probes, the page's files
SHOWN = (
    "/",
    "/search",
    "/people",
    "/you",
    "/you/history",
    "/operate",
    "/sign-in",
)  # the page: asks for a key by itself


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    largest: int = 4 << 20  # bytes of a body
    patience: float = 20.0  # seconds for a body to arrive
    seconds: float = 30.0  # an answer that takes longer is given up
    at_once: int = 32  # requests worked on at the same time
    waiting: int = 128  # requests that wait for their turn; further ones are sent away
    turn: float = 2.0  # seconds that one waits for its turn
    rate: float | None = None  # requests a second of a caller whose key names none; None is without limit
    burst: float = 2.0  # seconds of the rate that may be used at once
    origins: tuple[str, ...] = ()  # other sites whose pages may ask (CORS)


class Door:
    """Who is let in: everybody as long as there is no key, and from the first key on only keys.

    Once closed it stays closed, also when the last key is revoked.
    """

    def __init__(self, keys: Keys | None) -> None:
        self.keys, self.closed = keys, False

    @property
    def open(self) -> bool:
        """Whether nobody needs a key."""
        if not self.closed and self.keys is not None and len(self.keys):
            self.closed = True
        return not self.closed

    def find(self, text: str) -> Key | None:
        """The key that a text opens with."""
        return None if self.keys is None else self.keys.find(hashed(text))


class Buckets:
    """Token buckets: each caller may use its rate, and a little saved up."""

    def __init__(self, burst: float, clock: Any = time.monotonic) -> None:
        self.burst, self.clock = burst, clock
        self.held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> (tokens, when)

    def wait(self, caller: str, rate: float) -> float:
        """0 when the caller may go on, otherwise the seconds until it may."""
        now, most = self.clock(), max(1.0, rate * self.burst)
        tokens, since = self.held.pop(caller, (most, now))
        tokens = min(most, tokens + (now - since) * rate)
        free = tokens >= 1
        self.held[caller] = (tokens - 1 if free else tokens, now)
        if len(self.held) > BUCKETS:
            self.held.popitem(last=False)
        return 0.0 if free else (1 - tokens) / rate


class Guard:
    """Between the trail and the routes; what it refuses has not been read further than needed."""

    def __init__(
        self,
        app: Any,
        *,
        config: GuardConfig,
        door: Door,
        tenants: Mapping[str, Any],
        measures: Measures,
        repeats: Repeats,
    ) -> None:
        self.app, self.config, self.door, self.tenants, self.measures = app, config, door, tenants, measures
        self.buckets, self.repeats = Buckets(config.burst), repeats
        self.queue = asyncio.Semaphore(config.at_once)
        self.waiting = 0
        self.farewells: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(FREE):
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        try:
            caller = self._caller(scope, headers)
        except Unavailable as wrong:
            return await self._later(scope, 503, "store", str(wrong), 1.0)(scope, receive, send)
        if caller is None:
            if _shown(scope["path"]):
                scope["state"]["caller"] = None
                return await self.app(scope, receive, send)
            said = "this key is not known" if _key(headers) else "a key is needed"
            refusal = self._refused(scope, 401, "key", f"{said}; send it as 'Authorization: Bearer {PREFIX}...'")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return await refusal(scope, receive, send)
        scope["state"] |= {
            "caller": caller,
            "tenant": caller.tenant,
            "key_id": "open" if caller.key_id.startswith("open:") else caller.key_id,
        }
        rate = caller.rate or self.config.rate
        left = self.buckets.wait(caller.key_id, rate) if rate else 0.0
        if left:
            said = f"more than {rate:g} requests a second by this caller; ask again in {left:.2g} s"
            return await self._later(scope, 429, "rate", said, left)(scope, receive, send)
        body = await self._body(scope, headers, receive)
        if isinstance(body, Response):
            return await body(scope, receive, send)
        if body is None:  # the client went away
            return None
        await self._in_turn(scope, _given(body, receive), send, caller, headers, body)

    # --------------------------------------------------------------------------------------------------------- who

    def _caller(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Key | None:
        """The key that was sent; at an open door everybody is one caller per address."""
        if self.door.open:
            address = (scope.get("client") or ("",))[0]
            return Key(key_id=f"open:{address}", tenant=DEFAULT, scopes=frozenset(SCOPES))
        text = _key(headers)
        key = None if text is None else self.door.find(text)
        return key if key is not None and key.tenant in self.tenants else None

    # ------------------------------------------------------------------------------------------------- what and when

    async def _body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | Response | None:
        """The whole body, or why it was not read: too large as announced or as it arrives, or too slow."""
        if scope["method"] in ("GET", "HEAD"):
            return b""
        announced = headers.get(b"content-length", b"0")
        size, parts, more = int(announced) if announced.isdigit() else 0, [], True
        deadline = asyncio.get_running_loop().time() + self.config.patience
        while more and size <= self.config.largest:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                said = f"the body did not arrive within {self.config.patience:g} s; send it in parts or faster"
                return self._refused(scope, 408, "slow", said)
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size, more = max(size, sum(map(len, parts))), message.get("more_body", False)
        if size > self.config.largest:
            said = f"the body has more than {self.config.largest:,} bytes; send it in parts"
            return self._refused(scope, 413, "size", said)
        return b"".join(parts)

    async def _in_turn(
        self, scope: Scope, receive: Receive, send: Send, caller: Key, headers: Mapping[bytes, bytes], body: bytes
    ) -> None:
        """Wait for a free place, then answer within the time there is; an idempotency key answers as it did before."""
        if self.queue.locked():
            if self.waiting >= self.config.waiting:
                return await self._full(scope)(scope, receive, send)
            self.waiting += 1
            try:
                async with asyncio.timeout(self.config.turn):
                    await self.queue.acquire()
            except TimeoutError:
                return await self._full(scope)(scope, receive, send)
            finally:
                self.waiting -= 1
        else:
            await self.queue.acquire()
        self.measures.busy += 1
        sender = _Sender(send)
        timer = asyncio.get_running_loop().call_later(self.config.seconds, self._give_up, scope, receive, sender)
        try:
            name = headers.get(b"idempotency-key")
            if name is None or scope["method"] not in ("POST", "PATCH"):
                await self.app(scope, receive, sender)
            else:
                await self.repeats.once(self.app, scope, receive, sender, (caller.tenant, caller.key_id, name), body)
        finally:
            timer.cancel()
            self.measures.busy -= 1
            self.queue.release()

    def _give_up(self, scope: Scope, receive: Receive, sender: _Sender) -> None:
        """Answer in place of a handler that takes too long; what it still says is not sent."""
        if sender.started:
            return
        sender.closed = True
        said = f"no answer within {self.config.seconds:g} s; ask for less, or again later"
        refusal = self._later(scope, 504, "late", said, 1.0)
        task = asyncio.get_running_loop().create_task(refusal(scope, receive, sender.send))
        self.farewells.add(task)
        task.add_done_callback(self.farewells.discard)

    def _full(self, scope: Scope) -> Response:
        said = f"{self.config.at_once} requests are being answered and others wait; ask again in a second"
        return self._later(scope, 429, "busy", said, 1.0)

    def _later(self, scope: Scope, status: int, why: str, said: str, seconds: float) -> Response:
        refusal = self._refused(scope, status, why, said)
        refusal.headers["Retry-After"] = str(max(1, round(seconds + 0.5)))
        return refusal

    def _refused(self, scope: Scope, status: int, why: str, said: str) -> Response:
        self.measures.refusals.labels(why).inc()
        scope["state"]["refused"] = why
        return JSONResponse({"request_id": scope["state"]["request_id"], "error": said}, status)


class _Sender:
    """`send`, until somebody else has answered."""

    def __init__(self, send: Send) -> None:
        self.send, self.started, self.closed = send, False, False

    async def __call__(self, message: Any) -> None:
        if not self.closed:
            self.started = True
            await self.send(message)


def _given(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; then whatever the client still does."""
    held = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Any:
        return next(held, None) or await receive()

    return again


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    """The key of a request: as a bearer token, in `X-API-Key`, or in the page's cookie."""
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    named = headers.get(b"x-api-key", b"").decode("latin-1").strip()
    return named or cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE) or None


def _shown(path: str) -> bool:
    return path in SHOWN or path.startswith(("/item/", "/operate/"))
