"""Keeping an app up: an address to listen on, lines to log, and an end in which what was begun is finished.

On SIGTERM or SIGINT `/readyz` says 503 at once, no new connection is taken, requests in progress have `grace` seconds
to end, and the store is closed last.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from interplay.errors import BadSetting
from interplay.ops.garbage import walk_once
from interplay.ops.threads import one_thread_a_request
from interplay.serve.logs import structured

GRACE = 20  # seconds


class Server(uvicorn.Server):
    """Says that it is closing before it closes."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self.closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends it gently, a second one at once."""
        self.closing()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and return to the caller: raised again, the signal would end the process before the store is closed."""
        await super().shutdown(sockets)
        self._captured_signals.clear()


def run(app: FastAPI, host: str, port: int, *, lines: bool = True, grace: int = GRACE) -> None:
    """Serve until told to stop; prints the address. `lines` logs JSON to stderr, otherwise only what goes wrong."""
    if lines:
        structured()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) only on sockets that say they are TCP; otherwise each answer waits 40 ms
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise BadSetting(f"port {port} on {host} is taken ({error.strerror}); choose another: --port 0") from None
        config = uvicorn.Config(
            app, access_log=False, log_config=None if lines else uvicorn.config.LOGGING_CONFIG,
            log_level="info" if lines else "warning", timeout_graceful_shutdown=grace, timeout_keep_alive=30,
            server_header=False, h11_max_incomplete_event_size=64 << 10, limit_concurrency=2000,
        )  # fmt: skip
        named = f"[{host}]" if ":" in host else host
        one_thread_a_request()
        walk_once()
        listening.listen(2048)  # whoever reads the address and comes at once waits; nobody is turned away
        print(f"http://{named}:{listening.getsockname()[1]}", flush=True)
        Server(config, lambda: setattr(app.state, "closing", True)).run(sockets=[listening])


def local(host: str) -> bool:
    """Whether only programs on this machine can reach an address.

    >>> local("127.0.0.1"), local("localhost"), local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guarded(host: str, n_keys: int, *, opened: bool = False) -> bool:
    """Whether keys are asked for: always where there are any. Without any only this machine may come in, unasked."""
    if n_keys:
        return True
    if local(host) or opened:
        return False
    raise BadSetting(
        f"{host} can be reached by others and there is no key; make one with `interplay keys create`, listen on "
        "127.0.0.1, or say --open if everybody may read, write and erase"
    )
