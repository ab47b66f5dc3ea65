"""The door: keys, scopes, rates, turns, sizes and times; and what is logged and measured of it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from serving import built, shop

from interplay.data.store.store import Store
from interplay.errors import BadSetting
from interplay.serve.app import create_app
from interplay.serve.guard import COOKIE, Buckets, GuardConfig
from interplay.serve.logs import structured
from interplay.serve.spans import Spans

DATA = shop()
CLICK = {"user_id": "u1", "item_id": "lamp-0", "event_type": "click"}


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.open()
    yield store
    store.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made(store: Store, *scopes: str, **more: Any) -> str:
    return store.keys.create("test", scopes=scopes or ("read", "write"), **more)[0]


# ---------------------------------------------------------------------------------------------- keys


def test_without_a_key_nothing_but_probes_is_answered(store):
    client = TestClient(create_app(built(DATA), keys=store.keys))
    key = made(store)
    for path in (
        "/v1/recommendations",
        "/v1/items",
        "/api/recommend/u1",
        "/metrics",
        "/openapi.json",
        "/pictures/1/a.svg",
    ):
        answer = client.get(path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
        assert "a key is needed" in answer.json()["error"]
    assert client.get("/v1/items", headers=bearer("ip_0_0")).json()["error"].startswith("this key is not known")
    assert client.get("/v1/items", headers=bearer(key)).status_code == 200
    assert client.get("/v1/items", headers={"X-API-Key": key}).status_code == 200
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_a_key_opens_what_its_scopes_say_and_no_more(store):
    client = TestClient(create_app(built(DATA), keys=store.keys))
    read, write, admin = (bearer(made(store, scope)) for scope in ("read", "write", "admin"))
    assert client.get("/v1/items", headers=read).status_code == 200
    refused = client.post("/v1/events", json=CLICK, headers=read)
    assert refused.status_code == 403 and "needs the scope 'write'; the key has: read" in refused.json()["error"]
    assert client.post("/v1/events", json=CLICK, headers=write).status_code == 200
    assert client.get("/v1/items", headers=write).status_code == 403
    assert client.get("/metrics", headers=read).status_code == 403
    for path in ("/metrics", "/v1/items"):
        assert client.get(path, headers=admin).status_code == 200


def test_the_first_key_closes_the_door_and_revoking_the_last_one_does_not_open_it(store):
    client = TestClient(create_app(built(DATA), keys=store.keys))
    assert client.get("/v1/items").status_code == 200 and client.get("/readyz").json()["open"]
    key = bearer(made(store))
    assert client.get("/v1/items").status_code == 401 and not client.get("/readyz").json()["open"]
    assert client.get("/v1/items", headers=key).status_code == 200
    store.keys.revoke(store.keys.list()[0].key_id)
    assert client.get("/v1/items", headers=key).status_code == 401
    assert client.get("/v1/items").status_code == 401 and not client.get("/readyz").json()["open"]


def test_every_route_that_shows_or_takes_anything_asks_for_a_scope():
    app = create_app(built(DATA))
    free = {"/healthz", "/readyz", "/sign-in", "/", "/search", "/people", "/item/{item_id:path}", "/faces/{seed}.svg"}
    for path, calls in app.openapi()["paths"].items():
        assert path in free or all("403" in call["responses"] for call in calls.values()), path


def test_the_page_asks_for_a_key_once_and_keeps_it_where_scripts_cannot_read_it(store):
    client = TestClient(create_app(built(DATA), keys=store.keys))
    key = made(store, "read")
    door = client.get("/")
    assert door.status_code == 401 and 'action="/sign-in"' in door.text and "Pebble" not in door.text
    wrong = client.post("/sign-in", data={"key": "ip_1_<b>"})
    assert wrong.status_code == 401 and COOKIE not in client.cookies and "<b>" not in wrong.text
    inside = client.post("/sign-in", data={"key": key}, follow_redirects=False)
    assert inside.status_code == 303
    kept = inside.headers["set-cookie"].lower()
    assert "httponly" in kept and "samesite=strict" in kept
    assert "Pebble" in client.get("/").text and client.get("/v1/items").status_code == 200
    picture = client.get("/pictures/1/lamp-0.svg")
    assert picture.status_code == 200 and picture.headers["cache-control"].startswith("private")


def test_an_engine_for_the_operator_is_needed():
    with pytest.raises(BadSetting, match="no engine for the tenant 'default'"):
        create_app({"shop": built(DATA)})


# ---------------------------------------------------------------------------------------------- rates


def test_a_bucket_lets_through_its_rate_and_a_little_saved_up():
    now = [0.0]
    buckets = Buckets(burst=2.0, clock=lambda: now[0])
    assert [buckets.wait("a", 2.0) for _ in range(4)] == [0.0] * 4
    assert buckets.wait("a", 2.0) == pytest.approx(0.5) and buckets.wait("b", 2.0) == 0.0
    now[0] += 0.5
    assert buckets.wait("a", 2.0) == 0.0 and buckets.wait("a", 2.0) > 0
    now[0] += 100
    assert sum(buckets.wait("a", 2.0) == 0 for _ in range(10)) == 4


def test_a_key_above_its_rate_is_told_when_to_come_again(store):
    client = TestClient(create_app(built(DATA), keys=store.keys))
    slow, other = bearer(made(store, rate=1)), bearer(made(store))
    answers = [client.get("/v1/items", headers=slow) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1 and "requests a second" in answers[-1].json()["error"]
    assert client.get("/v1/items", headers=other).status_code == 200


def test_an_open_door_counts_by_address():
    client = TestClient(create_app(built(DATA), guard=GuardConfig(rate=1.0, burst=3.0)))
    assert [client.get("/v1/items").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get("/healthz").status_code == 200


# ---------------------------------------------------------------------------------------------- turns and times


class Slow:
    """A cascade that takes its time."""

    def __init__(self, cascade: Any) -> None:
        self.cascade, self.seconds, self.most, self.now, self.lock = cascade, 0.0, 0, 0, threading.Lock()

    def respond(self, requests: Any, *, trace: bool = True) -> Any:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return self.cascade.respond(requests, trace=trace)


def slowly(pause: float, **guard: Any) -> tuple[Any, Slow]:
    engine = built(DATA)
    slow = Slow(engine.cascade)
    engine.scene = replace(engine.scene, cascade=slow)
    app = create_app(engine, guard=GuardConfig(**guard))
    slow.seconds = pause
    return app, slow


def at_once(app: Any, n: int, path: str = "/v1/recommendations") -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
            return await asyncio.gather(*(client.get(path) for _ in range(n)))

    return asyncio.run(ask())


def test_more_than_can_be_worked_on_wait_and_more_than_can_wait_are_sent_away():
    app, slow = slowly(0.2, at_once=2, waiting=3, turn=5.0)
    answers = at_once(app, 9)
    status = sorted(a.status_code for a in answers)
    assert status == [200] * 5 + [429] * 4 and slow.most == 2
    away = next(a for a in answers if a.status_code == 429)
    assert away.headers["retry-after"] == "2" and "2 requests are being answered" in away.json()["error"]


def test_who_waits_too_long_for_a_turn_is_sent_away():
    app, _ = slowly(0.5, at_once=1, waiting=9, turn=0.1)
    assert sorted(a.status_code for a in at_once(app, 3)) == [200, 429, 429]


def test_an_answer_that_takes_too_long_is_given_up():
    app, _ = slowly(0.6, seconds=0.1)
    late = at_once(app, 1)[0]
    assert late.status_code == 504 and late.json()["error"].startswith("no answer within 0.1 s")
    assert late.headers["x-request-id"] == late.json()["request_id"]


def test_a_request_may_say_how_long_it_can_wait():
    engine = built(DATA)
    retriever = engine.cascade.sources["trending"].retriever
    asked = retriever.retrieve
    client = TestClient(create_app(engine))
    retriever.retrieve = lambda requests, n: (time.sleep(0.3), asked(requests, n))[1]
    answer = client.post("/v1/recommendations", json={"user_id": "u3", "k": 3, "timeout_ms": 50}).json()
    assert len(answer["items"]) == 3 and answer["milliseconds"] < 250
    told = client.get(f"/v1/traces/{answer['request_id']}").json()
    assert "trending is missing (later than 0.05 s)" in told["stages"][1]["said"]
    assert 'interplay_source_missing_total{source="trending",why="late"} 1.0' in client.get("/metrics").text


def test_a_body_that_trickles_in_is_not_waited_for():
    app = create_app(built(DATA), guard=GuardConfig(patience=0.1))

    async def trickle() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.03)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/events",
            "headers": [],
            "query_string": b"",
            "state": {},
        }
        await app(scope, receive, send)
        return sent

    sent = asyncio.run(trickle())
    assert sent[0]["status"] == 408 and b"did not arrive within 0.1 s" in sent[1]["body"]


def test_a_hundred_megabytes_are_refused_and_not_held():
    client = TestClient(create_app(built(DATA)))
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * (1 << 20)

    announced = client.post("/v1/events", content=b"x", headers={"content-length": str(100 << 20)})
    assert announced.status_code == 413
    assert client.post("/v1/events", content=endless()).status_code == 413


# ---------------------------------------------------------------------------------------------- other sites


def test_other_sites_may_ask_only_where_they_are_named():
    closed = TestClient(create_app(built(DATA)))
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in closed.get("/v1/items", headers=asked).headers
    opened = TestClient(create_app(built(DATA), guard=GuardConfig(origins=("https://shop.example",))))
    assert opened.get("/v1/items", headers=asked).headers["access-control-allow-origin"] == "https://shop.example"
    before = opened.options("/v1/events", headers={**asked, "Access-Control-Request-Headers": "authorization"})
    assert before.status_code == 200 and "authorization" in before.headers["access-control-allow-headers"]
    other = opened.options("/v1/events", headers={**asked, "Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


# ---------------------------------------------------------------------------------------------- idempotency


def test_the_same_call_with_the_same_key_is_done_once():
    engine = built(DATA)
    client = TestClient(create_app(engine))
    name = {"Idempotency-Key": "order-66"}
    first = client.post("/v1/events", json={"events": [CLICK, CLICK]}, headers=name)
    again = client.post("/v1/events", json={"events": [CLICK, CLICK]}, headers=name)
    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    assert engine.heard() == 2
    other = client.post("/v1/events", json={"events": [CLICK]}, headers=name)
    assert other.status_code == 422 and "used for another call" in other.json()["error"]


def test_a_batch_under_an_idempotency_key_counts_once_over_a_restart_too():
    engine, name = built(DATA), {"Idempotency-Key": "order-66"}
    for accepted, repeated in ((2, 0), (0, 2)):  # the second app has not seen the first call
        told = TestClient(create_app(engine)).post("/v1/events", json={"events": [CLICK, CLICK]}, headers=name).json()
        assert (told["accepted"], told["repeated"]) == (accepted, repeated)


def test_the_same_call_at_the_same_time_is_not_done_twice():
    app, _ = slowly(0.2)

    async def both() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
            ask = lambda: client.post("/v1/recommendations", json={"k": 1}, headers={"Idempotency-Key": "x"})
            return sorted(a.status_code for a in await asyncio.gather(ask(), ask()))

    assert asyncio.run(both()) == [200, 409]


def test_a_call_that_failed_on_our_side_may_be_tried_again_under_its_key():
    engine = built(DATA)
    client = TestClient(create_app(engine), raise_server_exceptions=False)
    respond, engine.cascade.respond = engine.cascade.respond, None
    name = {"Idempotency-Key": "x"}
    broken = client.post("/v1/recommendations", json={"k": 1}, headers=name)
    assert broken.status_code == 500 and broken.json()["request_id"] in broken.json()["error"]
    engine.cascade.respond = respond
    assert client.post("/v1/recommendations", json={"k": 1}, headers=name).status_code == 200


# ---------------------------------------------------------------------------------------------- logs and measures


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    loggers = [logging.getLogger(name) for name in ("interplay", "uvicorn.error")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    structured(stream)
    yield stream
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_a_request_leaves_one_line_that_names_no_person(lines, store):
    key = made(store)
    client = TestClient(create_app(built(DATA), keys=store.keys))
    answer = client.get("/v1/people/u17?secret=1", headers={**bearer(key), "X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1" == answer.json()["request_id"]
    line = json.loads(lines.getvalue().splitlines()[-1])
    assert line["request_id"] == "abc-1" and line["route"] == "/v1/people/{user_id:path}" and line["status"] == 200
    assert line["key"] == store.keys.list()[0].key_id and line["milliseconds"] > 0
    assert "u17" not in lines.getvalue() and "secret" not in lines.getvalue() and key not in lines.getvalue()


def test_what_is_logged_on_the_way_carries_the_request_id(lines):
    engine = built(DATA)
    client = TestClient(create_app(engine))
    engine.cascade.sources["trending"].retriever.retrieve = lambda requests, n: 1 / 0
    assert client.get("/v1/recommendations?user_id=u3", headers={"X-Request-Id": "r1"}).status_code == 200
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    left_out = next(line for line in told if "trending is left out" in line["said"])
    assert left_out["request_id"] == "r1" and left_out["level"] == "warning"


def test_a_failure_of_ours_is_in_the_log_under_the_id_that_the_caller_got(lines):
    engine = built(DATA)
    client = TestClient(create_app(engine), raise_server_exceptions=False)
    engine.cascade.respond = None
    answer = client.get("/v1/recommendations")
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    failed = next(line for line in told if "error" in line)
    assert failed["request_id"] == answer.json()["request_id"] and "Traceback" in failed["error"]


def test_an_odd_request_id_is_not_taken_over():
    client = TestClient(create_app(built(DATA)))
    for odd in ("x" * 65, 'a"b', "a b"):
        assert client.get("/healthz", headers={"X-Request-Id": odd}).headers["x-request-id"] != odd


def test_what_happens_is_measured():
    client = TestClient(create_app(built(DATA)))
    client.get("/v1/recommendations?user_id=u3")
    client.get("/v1/recommendations?user_id=somebody+new")
    client.post("/v1/events", json={"events": [CLICK, {**CLICK, "item_id": "lmp"}]})
    client.get("/v1/items/nope")
    client.request("BREW", "/v1/items")
    told = client.get("/metrics").text
    for said in (
        'interplay_requests_total{method="GET",route="/v1/recommendations",status="200"} 2.0',
        'interplay_requests_total{method="GET",route="/v1/items/{item_id:path}",status="404"} 1.0',
        'interplay_stage_seconds_count{stage="retrieve"}', 'interplay_source_seconds_count{source="popular"}',
        'interplay_events_total{outcome="accepted"} 1.0', 'interplay_events_total{outcome="refused"} 1.0',
        'interplay_fallbacks_total{what="no history"}', 'interplay_live_events{tenant="default"} 1.0',
        'interplay_model_age_seconds{tenant="default"}', "interplay_requests_in_progress 1.0", 'method="other"',
    ):  # fmt: skip
        assert said in told, said
    assert "u3" not in told and "somebody" not in told


def test_a_collector_gets_a_span_for_each_request_and_stage_and_no_names():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    held, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(held))
    client = TestClient(create_app(built(DATA), spans=Spans(provider.get_tracer("test"))))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.get("/v1/people/u17", headers={"traceparent": parent})
    client.get("/v1/recommendations?user_id=u3", headers={"traceparent": parent})
    spans = held.get_finished_spans()
    asked = next(s for s in spans if s.name == "GET /v1/recommendations")
    assert f"{asked.context.trace_id:032x}" in parent and asked.attributes["http.response.status_code"] == 200
    inside = [s.name for s in spans if s.parent and s.parent.span_id == asked.context.span_id]
    assert inside == ["understand", "retrieve", "rank", "rules", "page"]
    assert {e.name for s in spans if s.name == "retrieve" for e in s.events} == {"popular", "trending"}
    assert not any("u17" in s.to_json() or "u3" in s.to_json() for s in spans)


BROKEN = {
    "cut off": b'{"events": [', "no JSON": b"<xml/>", "no text": b"\xff\xfe\x00", "nested too deeply": b"[" * 100_000,
    "a number that is none": b'{"user_id": "u1", "item_id": "lamp-0", "event_type": "rate", "value": NaN}',
    "a number too large": b'{"user_id": "u1", "item_id": "lamp-0", "event_type": "rate", "value": 1e999}',
    "half a character": b'{"user_id": "\\ud800", "item_id": "lamp-0", "event_type": "click"}', "nothing": b"",
    "a time before there were any": b'{"user_id": "u", "item_id": "lamp-0", "event_type": "click", "timestamp": -9e99}',
}  # fmt: skip


@pytest.mark.parametrize("odd", BROKEN)
def test_a_body_that_cannot_be_read_is_refused_with_a_sentence(odd):
    engine = built(DATA)
    client = TestClient(create_app(engine), raise_server_exceptions=False)
    for path in ("/v1/events", "/v1/items", "/v1/recommendations", "/api/feedback"):
        answer = client.post(path, content=BROKEN[odd], headers={"content-type": "application/json"})
        assert answer.status_code == 422, (path, answer.text)
        told = answer.json()
        assert told["error"] if "error" in told else told["refused"]
    assert engine.heard() == 0
