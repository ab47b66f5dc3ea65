"""A server that is killed under load: what it acknowledged is in the store once, whatever clients send again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import sqlalchemy as sa
from fastapi.testclient import TestClient
from serving import built, shop
from sqlalchemy import make_url

from interplay import learning
from interplay.data.store.store import Store
from interplay.fitted import Fitted
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

    for life in range(3):
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


OVER = """
import sys
from interplay.data.store.store import Store
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.serve.run import run

run(create_app(Engine.over(Store.open(sys.argv[1]))), "127.0.0.1", 0, lines=False)
"""


def test_two_servers_on_one_store_answer_alike_and_lose_nothing(place):
    """Processes of their own, on SQLite and on PostgreSQL; each is told half of what happens, at the same time."""
    with closing(Store.open(place)) as store:
        learning.install(store, Fitted.learn("item-knn", shop()))
        before = store.count()
    runs = [subprocess.Popen([sys.executable, "-c", OVER, place], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        addresses = [run.stdout.readline().strip() for run in runs if run.stdout is not None]

        def push(w: int) -> None:
            for n in range(15):
                what = {"user_id": f"v{n % 3}", "item_id": f"lamp-{4 * n}", "event_type": "click"}
                told = {"events": [{"event_id": f"{w}-{n}-{j}", **what} for j in range(4)]}
                assert httpx.post(f"{addresses[w % 2]}/v1/events", json=told, timeout=60).json()["accepted"] == 4

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(push, range(4)))
        asked = {"user_id": "v1", "k": 20, "draw": 7}
        for who in ("v0", "v1", "v2", "u5", "nobody"):
            one, two = (
                httpx.post(f"{a}/v1/recommendations", json={**asked, "user_id": who}, timeout=60).json()["items"]
                for a in addresses
            )
            assert [i["item_id"] for i in one] == [i["item_id"] for i in two] and one, who
    finally:
        for run in runs:
            run.terminate()
            run.wait()
            assert run.stdout is not None
            run.stdout.close()
    with closing(Store.open(place)) as store:
        kept = [e.event_id for e in store.log()]
        assert len(kept) == len(set(kept)) == before + 4 * 15 * 4


def test_a_full_disk_is_said_over_http_and_nothing_acknowledged_is_lost(tmp_path):
    store = Store.open(tmp_path / "small.db")
    engine = built(shop(), store=store)
    told = {"user_id": "v1", "item_id": "lamp-0", "event_type": "click"}
    with TestClient(create_app(engine)) as app:
        assert app.post("/v1/events", json={"event_id": "before", **told}).status_code == 200
        store.database.flush()
        with store.database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @sa.event.listens_for(store.database.engine, "checkout")
        def full(connection, *_) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages + room[0]}")

        room = [4]
        many = {"events": [{"event_id": f"m{n}", "surface": "s" * 60, **told} for n in range(3000)]}
        refused = app.post("/v1/events", json=many)
        assert refused.status_code == 503 and "no room left to write" in refused.text
        assert "nothing of this was kept" in refused.text
        assert app.get("/v1/recommendations?user_id=v1").json()["items"], "reading goes on"
        room[0] = 10_000
        assert app.post("/v1/events", json=many).json()["accepted"] == 3000, "the same batch, sent again"
    with closing(Store.open(tmp_path / "small.db")) as held:
        kept = [e.event_id for e in held.log()]
        assert kept.count("before") == 1 and len(kept) == len(set(kept)) and set(kept) >= {f"m{n}" for n in range(3000)}


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
