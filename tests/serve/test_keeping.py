"""Keeping catalogue and people over HTTP: what is written is in the next answer, and what is erased is nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from serving import NOW, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.data.store.store import Store
from interplay.llm import Scripted
from interplay.llm.recorded import Recorded
from interplay.models.counts import Popular
from interplay.models.lexical import Bm25
from interplay.serve.app import create_app
from interplay.serve.engine import Engine

DATA = shop()
NEW = {"item_id": "new-1", "title": "Cobalt kite", "kind": "kite", "price": 3.5, "categories": ["Kites"]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    sources = {"popular": Source(retriever=Popular()), "words": Source(retriever=Bm25(), serves="search")}
    store = Store.open(tmp_path / "shop.db")
    engine = Engine(DATA, Cascade(sources).fit(DATA), clock=lambda: NOW, store=store)
    with TestClient(create_app(engine)) as client:
        yield client
    engine.close()


def shown(client: TestClient, user: str = "u3", **asked: object) -> list[str]:
    answer = client.post("/v1/recommendations", json={"user_id": user, "k": 300, **asked})
    return [item["item_id"] for item in answer.json()["items"]]


# ---------------------------------------------------------------------------------------------------------------- items


def test_a_new_item_can_be_found_read_and_ruled_at_once(client):
    told = client.post("/v1/items", json={"items": [NEW]}).json()
    assert (told["accepted"], told["new"], told["refused"]) == (1, 1, [])
    found = client.get("/v1/search?q=cobalt").json()
    assert found["items"][0]["item_id"] == "new-1" and found["items"][0]["source"] == "words"
    assert client.get("/v1/items/new-1").json()["columns"]["kind"] == "kite"
    assert client.get("/v1/items?where=price<4").json()["items"][0]["item_id"] == "new-1"
    assert (
        client.post("/v1/events", json={"user_id": "u3", "item_id": "new-1", "event_type": "keep"}).status_code == 200
    )
    assert client.post("/v1/items", json={"items": [NEW]}).json()["new"] == 0


def test_rows_are_refused_one_by_one_with_the_reason(client):
    rows = [NEW, {**NEW, "price": "cheap"}, "what", {"title": "no id"}, {**NEW, "item_id": True},
            {**NEW, "categories": ["a", 1]}, {**NEW, "title": "x" * 20_001}, {**NEW, "nested": {"a": 1}}]  # fmt: skip
    told = client.post("/v1/items", json={"items": rows}).json()
    said = {row["place"]: row["reason"] for row in told["refused"]}
    assert told["accepted"] == 1 and sorted(said) == [1, 2, 3, 4, 5, 6, 7]
    assert said[1] == "price is 'cheap'; this column holds numbers" and "expected an object" in said[2]
    assert "item_id is None" in said[3] and "item_id is True" in said[4] and "mixes kinds" in said[5]
    assert "at most 20,000" in said[6] and "expected text, a number" in said[7]
    nothing = client.post("/v1/items", json={"items": [{"price": 1}]})
    assert nothing.status_code == 422 and nothing.json()["accepted"] == 0


def test_a_change_leaves_what_it_is_silent_about(client):
    assert client.patch("/v1/items/lamp-0", json={"price": 1.5}).status_code == 200
    held = client.get("/v1/items/lamp-0").json()["columns"]
    assert held["price"] == 1.5 and held["title"] == "Pebble reading lamp, no. 0" and held["mood"] == "calm"
    client.patch("/v1/items/lamp-0", json={"mood": None, "price": 2.5})
    held = client.get("/v1/items/lamp-0").json()["columns"]
    assert held["mood"] is None and held["price"] == 2.5 and held["kind"] == "lamp"
    many = [{"item_id": "lamp-4", "price": 7.25}, {"item_id": "lmp", "price": "x"}]
    assert client.patch("/v1/items", json={"items": many}).json()["accepted"] == 1
    assert client.get("/v1/items/lamp-4").json()["price"] == 7.25
    wrong = client.patch("/v1/items/lamp-0", json={"price": "cheap"})
    assert wrong.status_code == 422 and "holds numbers" in wrong.json()["error"]
    assert client.patch("/v1/items/lmp-0", json={"price": 1}).status_code == 404


def test_what_is_out_of_stock_is_not_offered_and_can_still_be_read(client):
    first = shown(client)[0]
    client.patch(f"/v1/items/{first}", json={"in_stock": False})
    assert first not in shown(client) and client.get(f"/v1/items/{first}").status_code == 200
    client.patch(f"/v1/items/{first}", json={"in_stock": True})
    assert shown(client)[0] == first


def test_a_renamed_item_keeps_its_place_and_a_deleted_one_is_shown_no_more(client):
    first, second = shown(client)[:2]
    assert client.patch(f"/v1/items/{first}", json={"item_id": "renamed"}).status_code == 200
    assert shown(client)[:2] == ["renamed", second]
    assert client.get(f"/v1/items/{first}").status_code == 404
    clash = client.patch("/v1/items/renamed", json={"item_id": second})
    assert clash.status_code == 422 and "already" in clash.json()["error"]
    assert client.delete("/v1/items/renamed").json()["deleted"] == 1
    assert shown(client)[0] == second and "was deleted" in client.get("/v1/items/renamed").json()["error"]
    assert "renamed" not in [i["item_id"] for i in client.get("/v1/items?limit=500").json()["items"]]
    assert client.delete("/v1/items/renamed").status_code == 404
    told = client.post("/v1/items:delete", json={"item_ids": [second, "nobody"]}).json()
    assert told["deleted"] == 1 and told["unknown"] == ["nobody"] and second not in shown(client)
    client.post("/v1/items", json={"items": [{**NEW, "item_id": second}]})
    assert client.get(f"/v1/items/{second}").json()["title"] == "Cobalt kite"


# --------------------------------------------------------------------------------------------------------------- people


def test_people_are_described_read_and_listed_in_pages(client):
    told = client.post(
        "/v1/users", json={"users": [{"user_id": "ada", "name": "Ada", "age": 36}, {"name": "x"}]}
    ).json()
    assert (told["accepted"], told["new"]) == (1, 1) and "user_id is None" in told["refused"][0]["reason"]
    client.patch("/v1/users/ada", json={"city": "Lyon"})
    assert client.get("/v1/users/ada").json()["columns"] == {"name": "Ada", "age": 36, "city": "Lyon"}
    client.patch("/v1/users/ada", json={"age": None})
    assert client.get("/v1/users/ada").json()["columns"] == {"name": "Ada", "city": "Lyon"}
    seen, cursor = [], None
    while cursor != "end":
        part = client.get("/v1/users", params={"limit": 25} | ({"cursor": cursor} if cursor else {})).json()
        seen += [user["user_id"] for user in part["users"]]
        cursor = part["next"] or "end"
    assert len(seen) == len(set(seen)) == part["total"] == 61 and seen[-1] == "ada"
    stranger = client.get("/v1/users/nobody").json()
    assert stranger["stranger"] and stranger["columns"] == {}


def test_a_history_is_newest_first_and_leaves_out_what_was_taken_back(client):
    before = client.get("/v1/users/u3/history").json()
    events = [{"event_id": f"e{i}", "user_id": "u3", "item_id": "lamp-0", "event_type": "keep"} for i in range(2)]
    client.post("/v1/events", json={"events": events})
    client.post("/v1/events", json={"user_id": "u3", "event_type": "undo", "undoes": "e0"})
    after = client.get("/v1/users/u3/history?limit=5").json()
    assert after["total"] == before["total"] + 1 == 12 and after["events"][0]["event_id"] == "e1"
    assert after["events"][0]["title"] == "Pebble reading lamp, no. 0" and after["next"] == "5"
    rest = client.get("/v1/users/u3/history", params={"limit": 500, "cursor": after["next"]}).json()
    assert rest["events"] == before["events"][4:] and rest["next"] is None
    wrong = client.get("/v1/users/u3/history?cursor=-1")
    assert wrong.status_code == 422 and "expected the 'next'" in wrong.json()["error"]


def test_what_a_visitor_did_becomes_the_persons(client):
    client.post("/v1/events", json={"user_id": "visitor-1", "item_id": "lamp-0", "event_type": "keep"})
    merged = client.post("/v1/users/u3/merge", json={"from": "visitor-1"}).json()
    assert merged["events"] == 1 and "lamp-0" in client.get("/v1/users/u3").json()["kept"]
    assert client.get("/v1/users/u3/history").json()["events"][0]["item_id"] == "lamp-0"
    unknown = client.post("/v1/users/u3/merge", json={"from": "visitor-2"})
    assert unknown.status_code == 404 and "nothing to merge" in unknown.json()["error"]
    assert client.post("/v1/users/u3/merge", json={"from": "u3"}).status_code == 422


def test_an_export_holds_everything_and_an_erasure_leaves_nothing(client, tmp_path):
    told = {"event_id": "e1", "user_id": "zelda-77", "item_id": "lamp-0", "event_type": "keep"}
    client.post("/v1/users", json={"users": [{"user_id": "zelda-77", "name": "Zelda Quint"}]})
    client.post("/v1/events", json=told, headers={"Idempotency-Key": "z"})
    answer = client.get("/v1/recommendations?user_id=zelda-77").json()
    client.post("/v1/chat", json={"user_id": "zelda-77", "text": "no tea"})
    held = client.get("/v1/users/zelda-77/export").json()
    assert held["columns"] == {"name": "Zelda Quint"} and held["events"][0]["event_id"] == "e1"
    assert any(trace["request_id"] == answer["request_id"] for trace in held["traces"]) and held["impressions"]
    erased = client.delete("/v1/users/zelda-77").json()
    assert erased["erased"] and erased["events"] == 2 and "next training" in erased["said"]
    assert client.get("/v1/users/zelda-77/export").status_code == 404
    assert client.get(f"/v1/traces/{answer['request_id']}").status_code == 404
    assert client.get("/v1/users/zelda-77").json()["events"] == 0
    assert client.get("/v1/users/zelda-77/instructions").json()["wishes"] == []
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"zelda-77" not in kept and b"Quint" not in kept
    again = client.post("/v1/events", json=told, headers={"Idempotency-Key": "z"})
    assert "idempotency-replayed" not in again.headers


def test_what_a_text_model_said_of_a_person_is_recorded_and_erased_with_them(client, tmp_path, monkeypatch):
    monkeypatch.setenv("INTERPLAY_TEXT_MODEL_URL", "http://127.0.0.1:9/v1")
    store = Store.open(tmp_path / "other.db")
    with TestClient(create_app(Engine(DATA, client.app.state.engine.cascade, clock=lambda: NOW, store=store))) as app:
        held = app.app.state.steering["default"].model
        assert isinstance(held, Recorded)
        held.model = Scripted(by=lambda _: {"wishes": []})
        for _ in range(2):
            app.post("/v1/chat", json={"user_id": "zelda-77", "text": "no tea please"})
        assert len(held.model.asked) == 1 and len(list(held.folder.glob("*.json"))) == 1
        assert app.get("/v1/users/zelda-77/export").json()["recordings"][0]["data"]["command"] == "no tea please"
        assert app.delete("/v1/users/zelda-77").json()["recordings"] == 1 and not list(held.folder.iterdir())
    store.close()


def test_somebody_of_the_data_set_can_be_erased_too(client):
    assert client.delete("/v1/users/u3").json()["erased"]
    assert client.get("/v1/users/u3").json()["stranger"] and client.get("/v1/users/u3/history").json()["total"] == 0
    assert shown(client, "u3") == shown(client, "never heard of")


# --------------------------------------------------------------------------------------------------------------- models


def test_models_are_listed_and_what_is_not_there_is_not_promoted(client):
    told = client.get("/v1/models").json()
    assert told["models"] == [] and told["serving"] == "shop"
    missing = client.post("/v1/models/3/promote")
    assert missing.status_code == 404 and "no model version 3" in missing.json()["error"]
    assert client.post("/v1/models/rollback").status_code == 422


def test_rows_of_mixed_kinds_from_elsewhere_stop_nobody(client):
    store = client.app.state.engine.store  # as another program would write
    for odd in (["red"], "red", 3, None, [1.5], True):
        store.put_items([{"item_id": f"odd-{odd}", "colour": odd, "title": "Odd"}])
        assert client.get("/v1/recommendations?user_id=u3&k=3").status_code == 200
    store.put_items([{"item_id": "lamp-0", "price": "cheap", "categories": "Lamps", "title": ["a", "b"]}])
    held = client.get("/v1/items/lamp-0").json()
    assert held["price"] is None and held["columns"]["categories"] == ["Lamps"] and held["title"] == "a, b"
    assert client.get("/v1/items?where=price<20").status_code == 200
