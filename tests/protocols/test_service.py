"""The generator of the service's bench: it asks at its own pace, and counts from when an answer was due."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplay.protocols import service
from interplay.protocols.service import _asked, _made, paced, per_answer


class Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(0.2)
        body = b'{"ok": true}'
        self.send_response(500 if self.path == "/wrong" or "user_id=u1&" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def server() -> Iterator[Any]:
    held = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=held.serve_forever, daemon=True).start()
    yield SimpleNamespace(host="127.0.0.1", port=held.server_address[1])
    held.shutdown()
    held.server_close()


def test_calls_are_made_at_their_pace_whatever_comes_back(server):
    begun = time.perf_counter()
    took, failed = asyncio.run(paced(server, lambda i: "/", 50, 25))
    assert 0.6 < time.perf_counter() - begun < 2.5  # 25 slow answers one after the other would take 5 s
    assert failed == 0 and len(took) == 25 and (took >= 0.2).all()


def test_an_answer_that_is_no_success_counts_as_failed(server):
    _, failed = asyncio.run(paced(server, lambda i: "/wrong" if i % 2 else "/", 50, 10))
    assert failed == 5


def test_the_cpu_is_shared_among_answers_and_a_refusal_is_none(server, monkeypatch):
    monkeypatch.setattr(service, "WARM", 0)
    spent = iter((0.0, 0.5, 2.0, 3.0))
    server.cpu = lambda: next(spent)
    told = asyncio.run(_asked(server, 2, 20, 1))
    shown = per_answer(told)
    assert shown["noop_answer_cpu_ms"] == pytest.approx(500 / 20) and 0 < told["live_failed"] < 20
    assert shown["live_answer_cpu_ms"] == pytest.approx(1000 / (20 - told["live_failed"]))
    assert "live_cpu_ms" not in shown and set(told) - set(shown) == {"live_cpu_ms", "noop_cpu_ms"}
    assert np.isnan(per_answer({"live_cpu_ms": 9.0, "live_n": 5, "live_failed": 5})["live_answer_cpu_ms"])
    assert per_answer({"http_event_cpu_ms": 0.1}) == {"http_event_cpu_ms": 0.1}


def test_the_generated_shop_has_tastes_and_a_head(tmp_path):
    folder = _made(tmp_path / "data", 2000, 100, 20_000)
    log, items = pl.read_parquet(folder / "interactions.parquet"), pl.read_parquet(folder / "items.parquet")
    assert len(items) == 2000 and len(log) == 20_000 and log["timestamp"].is_sorted()
    user, item = (log[c].str.slice(1).cast(pl.Int64).to_numpy() for c in ("user_id", "item_id"))
    assert (user % 10 == item % 10).mean() > 0.6
    counts = np.sort(np.bincount(item, minlength=2000))[::-1]
    assert counts[:200].sum() > 0.3 * counts.sum()
