"""A server that is killed under load: what it acknowledged is in the store once, whatever clients send again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psycopg
from fastapi.testclient import TestClient
from serving import built, shop
from sqlalchemy import make_url

from interplay.data.store.store import Store
from interplay.serve.app import create_app

SERVER = """
import sys
from serving import built, shop
from interplay.data.store.store import Store
from interplay.serve.app import create_app
from interplay.serve.run import run

run(create_app(built(shop(), store=Store.open(sys.argv[1]))), "127.0.0.1", 0, lines=False)
"""


def test_events_acknowledged_over_http_outlive_kill_9_and_count_once_when_sent_again(place):
    acknowledged: set[str] = set()
    sent: list[list[dict[str, str]]] = []

    def push(address: str, life: int, w: int) -> None:
        for n in range(10_000):
            ids = [f"{life}-{w}-{n}-{j}" for j in range(4)]
            what = {"user_id": f"v{w}", "item_id": f"lamp-{4 * (n % 40)}", "event_type": "click"}
            batch = [{"event_id": e, **what} for e in ids]
            sent.append(batch)
            try:
                if httpx.post(f"{address}/v1/events", json={"events": batch}).json()["accepted"] != 4:
                    return
            except httpx.HTTPError:
                return
            acknowledged.update(ids)

    for life in range(2):
        run = subprocess.Popen(
            [sys.executable, "-c", SERVER, place], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        )
        assert run.stdout is not None
        address = run.stdout.readline().strip()
        for batch in sent:  # a client that got no answer sends again
            assert httpx.post(f"{address}/v1/events", json={"events": batch}).status_code == 200
            acknowledged |= {event["event_id"] for event in batch}

        threads = [threading.Thread(target=push, args=(address, life, w)) for w in range(3)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 40 * (life + 1):
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        run.wait()
        run.stdout.close()
    store = Store.open(place)
    kept = [e.event_id for e in store.log()]
    store.close()
    assert len(kept) == len(set(kept)) and acknowledged <= set(kept)


def test_a_database_that_goes_down_is_said_to_be_down_and_nothing_acknowledged_is_missing_when_it_is_back(
    postgres, tmp_path, monkeypatch
):
    monkeypatch.setenv("INTERPLAY_FILES", str(tmp_path))
    url = postgres()
    name = url.rsplit("/", 1)[-1].partition("?")[0]
    acknowledged: list[str] = []
    with TestClient(create_app(built(shop(), store=Store.open(url)))) as app, psycopg.connect(
        make_url(url).set(database="postgres").render_as_string(hide_password=False), autocommit=True
    ) as operator:  # fmt: skip

        def told(event_id: str) -> httpx.Response:
            event = {"event_id": event_id, "user_id": "u1", "item_id": "lamp-0", "event_type": "click"}
            answer = app.post("/v1/events", json=event)
            if answer.status_code == 200:
                acknowledged.append(event_id)
            return answer

        assert told("before").status_code == 200
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        asked, lost = app.get("/v1/recommendations?user_id=u1"), told("meanwhile")
        for refused in (asked, lost):
            assert refused.status_code == 503 and "is the database up?" in refused.text
            assert int(refused.headers["retry-after"]) > 0
        assert app.get("/readyz").status_code == 503 and app.get("/healthz").status_code == 200
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert app.get("/readyz").status_code == 200
        assert told("meanwhile").status_code == 200 and told("after").status_code == 200
        assert app.get("/v1/recommendations?user_id=u1").json()["items"]
    held = Store.open(url)
    assert [e.event_id for e in held.tail()] == acknowledged == ["before", "meanwhile", "after"]
    held.close()
