"""The Python client against the real service, and against one that fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from serving import built, shop

import interplay
from interplay import AsyncClient, Client
from interplay.client import CannotBeMeant, Failed, NotAllowed, NotFound, TryLater, Unreachable
from interplay.data.store.store import Store
from interplay.serve.app import create_app

DATA = shop()


@pytest.fixture
def engine() -> Client:
    return Client(http=TestClient(create_app(built(DATA))))


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_the_verbs_ask_tell_and_read(engine):
    first = engine.recommend("u3", k=5, where="price < 40", boosts=[{"where": "kind == 'tea'", "by": 3}])
    assert len(ids(first)) == 5 and engine.trace(first["request_id"])["user_id"] == "u3"
    told = engine.event("u3", ids(first)[0], request_id=first["request_id"])
    assert told["accepted"] == 1 and ids(first)[0] not in ids(engine.recommend("u3", k=160))
    assert engine.search("lantern")["total"] == 13
    assert "lamp-0" not in ids(engine.similar("lamp-0", exclude=["lamp-60"]))
    assert engine.rerank("smoked tea", ["brass lamp", "smoked tea"])["results"][0]["index"] == 1
    assert len(list(engine.each_item(limit=70))) == 160 == engine.health()["n_items"]
    many = engine.recommend_many([{"user_id": "u1", "k": 2}, {"k": 0}])["answers"]
    assert len(ids(many[0])) == 2 and many[1]["error"].startswith("k is 0")
    assert engine.ready()["ready"] and engine.feed("u3")["heroes"]


def test_the_same_verbs_can_be_awaited():
    async def visit() -> tuple[int, int]:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(built(DATA))), base_url="http://engine")
        async with AsyncClient(http=http) as engine:
            answer, told = await asyncio.gather(engine.recommend("u3", k=4), engine.event("u3", "lamp-0"))
            listed = [item async for item in engine.each_item()]
            return len(answer["items"]) + told["accepted"], len(listed)

    assert asyncio.run(visit()) == (5, 160)


def test_a_refusal_is_an_exception_with_the_services_sentence(engine):
    with pytest.raises(NotFound, match=r"nearest: .*'lamp-0'") as missing:
        engine.item("lmp-0")
    assert missing.value.status == 404 and missing.value.request_id
    with pytest.raises(CannotBeMeant, match=r"nearest: \['price'\]"):
        engine.recommend(where="prise < 3")
    store = Store.open()
    key = store.keys.create("test", scopes=["read"])[0]
    with pytest.raises(NotAllowed, match="a key is needed"):
        Client(http=TestClient(create_app(built(DATA), keys=store.keys))).items()
    reader = Client(http=TestClient(create_app(built(DATA), keys=store.keys)), key=key)
    assert reader.items()["total"] == 160
    with pytest.raises(NotAllowed, match="needs the scope 'write'"):
        reader.event("u1", "lamp-0")
    store.close()


def test_a_batch_of_which_nothing_was_taken_is_an_answer(engine):
    told = engine.events([{"user_id": "u1", "item_id": "lmp-0", "event_type": "click"}])
    assert told["accepted"] == 0 and "nearest" in told["refused"][0]["reason"]


def flaky(*answers: Callable[[httpx.Request], httpx.Response]) -> tuple[Client, list[httpx.Request]]:
    """A client of a service that gives these answers, one after the other."""
    seen: list[httpx.Request] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return left.pop(0)(request)

    return Client(http=httpx.Client(transport=httpx.MockTransport(handle), base_url="http://engine")), seen


def busy(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503, json={"error": "busy", "request_id": "r"}, headers={"Retry-After": "0"})


def gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def done(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"accepted": 1})


def test_a_call_that_did_not_get_through_is_tried_again_under_one_idempotency_key():
    client, seen = flaky(busy, gone, done)
    assert client.event("u1", "lamp-0") == {"accepted": 1}
    assert len({r.headers["Idempotency-Key"] for r in seen}) == 1 and len({r.content for r in seen}) == 1
    other, more = flaky(done)
    other.event("u1", "lamp-0")
    assert more[0].headers["Idempotency-Key"] != seen[0].headers["Idempotency-Key"]


def test_when_the_tries_are_used_up_the_last_sentence_is_raised():
    client, seen = flaky(busy, busy, busy, busy)
    with pytest.raises(TryLater, match="busy") as later:
        client.health()
    assert len(seen) == 4 and later.value.retry_after >= 0
    client, _ = flaky(gone)
    client.retries = 0
    with pytest.raises(Unreachable, match="no engine answers at http://engine"):
        client.health()


def test_what_cannot_be_mended_by_waiting_is_not_tried_again():
    wrong = lambda _: httpx.Response(422, json={"error": "k is 0", "request_id": "r"})
    broken = lambda _: httpx.Response(500, json={"error": "the engine failed", "request_id": "r1"})
    for answer, kind in ((wrong, CannotBeMeant), (broken, Failed)):
        client, seen = flaky(answer)
        with pytest.raises(kind):
            client.recommend(k=0)
        assert len(seen) == 1


def test_a_stream_is_read_part_by_part():
    text = 'event: understood\ndata: {"understood": true}\n\nevent: feed\ndata: {"items": []}\n\n'
    client, _ = flaky(lambda _: httpx.Response(200, text=text))
    assert list(client.chat_stream("u1", "no horror")) == [
        ("understood", {"understood": True}),
        ("feed", {"items": []}),
    ]
    client, _ = flaky(lambda _: httpx.Response(422, json={"error": "text is missing", "request_id": "r"}))
    with pytest.raises(CannotBeMeant, match="text is missing"):
        list(client.chat_stream("u1", ""))


def test_ids_of_any_shape_reach_the_service():
    client, seen = flaky(done, done, done)
    for name in ("a/b c", "..", "ü?&#"):
        client.item(name)
    assert [r.url.raw_path.decode() for r in seen] == [
        "/v1/items/a%2Fb%20c",
        "/v1/items/%2E%2E",
        "/v1/items/%C3%BC%3F%26%23",
    ]


def test_the_package_loads_no_client_until_it_is_asked_for():
    code = "import sys, interplay; print('httpx' in sys.modules); interplay.Client; print('httpx' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'Clent'"):
        interplay.Clent  # noqa: B018


def test_both_clients_have_the_same_verbs():
    verbs = lambda kind: {n for n in dir(kind) if not n.startswith("_")}
    assert verbs(Client) == verbs(AsyncClient)
