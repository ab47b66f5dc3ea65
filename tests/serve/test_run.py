"""A service in a process of its own: how it starts, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from interplay.errors import BadSetting
from interplay.ops.threads import one_thread_a_request
from interplay.serve.run import guarded, local, run

SERVING = """
import sys, time
sys.path.insert(0, {here!r})
from serving import built, shop
from interplay.serve.app import create_app
from interplay.serve.run import run
engine = built(shop(40, 12))
app = create_app(engine)
respond = engine.cascade.respond
def slowly(*given, **more):
    time.sleep(0.8)
    return respond(*given, **more)
engine.cascade.respond = slowly
run(app, "127.0.0.1", 0)
"""


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = SERVING.format(here=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process, address
    finally:
        process.kill()
        process.wait()


def test_told_to_stop_it_finishes_what_was_begun_and_takes_nothing_new():
    with served() as (process, address):
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{address}/v1/recommendations?k=3", timeout=9))
        )
        with httpx.Client(base_url=address) as kept:
            assert kept.get("/readyz").json()["ready"]
            asking.start()
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{address}/healthz", timeout=1)
            asking.join()
        assert answers[0].status_code == 200 and len(answers[0].json()["items"]) == 3
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines() if line.startswith("{")]
        assert any(line.get("route") == "/v1/recommendations" and line["status"] == 200 for line in lines)


def test_while_it_closes_it_says_that_nothing_should_be_sent_here():
    from fastapi.testclient import TestClient
    from serving import built, shop

    from interplay.serve.app import create_app

    client = TestClient(create_app(built(shop(40, 12))))
    client.app.state.closing = True
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "what was begun is finished" in answer.json()["said"][0]
    assert client.get("/healthz").status_code == 200


def test_an_address_that_others_can_reach_needs_a_key_or_a_clear_word():
    assert (
        local("127.0.0.1")
        and local("::1")
        and local("localhost")
        and not local("0.0.0.0")
        and not local("shop.example")
    )
    assert guarded("0.0.0.0", 1) and guarded("127.0.0.1", 1)
    assert not guarded("127.0.0.1", 0) and not guarded("0.0.0.0", 0, opened=True)
    with pytest.raises(BadSetting, match="interplay keys create"):
        guarded("0.0.0.0", 0)


def test_a_port_that_is_taken_is_said_in_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadSetting, match="is taken"):
            run(None, "127.0.0.1", taken.getsockname()[1], lines=False)  # type: ignore[arg-type]


def test_a_serving_process_computes_each_answer_on_one_thread(monkeypatch):
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    try:
        torch.set_num_threads(2)
        one_thread_a_request()
        assert torch.get_num_threads() == 1 and os.environ["OMP_NUM_THREADS"] == "1"
    finally:
        torch.set_num_threads(before)
