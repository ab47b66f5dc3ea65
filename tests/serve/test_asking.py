"""Asking with rules and leanings, for many at once, and putting given things in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from serving import NOW, built, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.models.counts import Popular
from interplay.models.dense import Dense
from interplay.serve.app import create_app
from interplay.serve.engine import Engine

DATA = shop()


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(built(DATA))) as client:
        yield client


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def asked(client: TestClient, **body: object) -> dict:
    answer = client.post("/v1/recommendations", json={"user_id": "u3", "k": 12, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rules_of_a_request_hide_and_leanings_only_move(client):
    given = ["lamp-4", "tea-1", "book-2", "tool-3", "no-such"]
    assert set(ids(asked(client, allow=given))) <= set(given)
    assert ids(asked(client, allow=[])) == []
    lifted = asked(client, boosts=[{"where": "kind == 'tea'", "by": 50}])
    assert all(name.startswith("tea") for name in ids(lifted)) and "raised by a rule" in lifted["items"][0]["reason"]
    capped = asked(client, caps={"kind": 2})
    kinds = [name.split("-")[0] for name in ids(capped)]
    assert len(kinds) == 8 and all(kinds.count(kind) == 2 for kind in kinds)
    mixed = client.get("/v1/recommendations?user_id=u3&k=4&diversity=0.9").json()
    assert len({item["kind"] for item in mixed["items"]}) == 4


def test_leanings_hold_for_search_and_for_what_comes_after(client):
    body = {"q": "lamp", "k": 5, "boosts": [{"where": "price < 15", "by": 90}]}
    found = client.post("/v1/search", json=body).json()
    assert all(item["price"] < 15 for item in found["items"])
    first = asked(client, k=3, caps={"kind": 1})
    more = client.get("/v1/recommendations", params={"cursor": first["next"]}).json()
    assert len({i["kind"].split(",")[0] for i in more["items"]}) == 3 and not set(ids(first)) & set(ids(more))


WRONG = {
    "boosts.0.by is 0": {"boosts": [{"where": "price < 3", "by": 0}]},
    "nearest: ['price']": {"boosts": [{"where": "prise < 3", "by": 2}]},
    "no catalogue column called 'maker_'": {"caps": {"maker_": 1}},
    "caps.maker is 0": {"caps": {"maker": 0}},
    "diversity is 2": {"diversity": 2},
    "timeout_ms is 0": {"timeout_ms": 0},
    "at most 20 items": {"boosts": [{"where": "price < 3", "by": 2}] * 21},
}  # fmt: skip


@pytest.mark.parametrize("said", WRONG)
def test_a_leaning_that_cannot_be_meant_is_refused_with_a_sentence(client, said):
    answer = client.post("/v1/recommendations", json={"user_id": "u3", **WRONG[said]})
    assert answer.status_code == 422 and said in answer.json()["error"], answer.text


def test_a_rule_is_never_run_as_code(client):
    for odd in (
        "__import__('os').system('true')",
        "price.__class__",
        "1; DROP TABLE events",
        "title == `x`(1)",
        "(" * 200,
    ):
        answer = client.get("/v1/recommendations", params={"where": odd})
        assert answer.status_code == 422 and answer.json()["error"].startswith("rule "), odd
    quoted = client.get("/v1/items", params={"where": "title == '''; DROP TABLE items; --'"})
    assert quoted.status_code == 422 and client.get("/v1/items").json()["total"] == 160


def test_many_requests_in_one_call_are_answered_each_by_itself(client):
    asks = [{"user_id": "u3", "k": 3}, {"k": 0}, "what", {"user_id": "u4", "k": 2, "where": "prise < 3"}, {}]
    told = client.post("/v1/recommendations:batch", json={"requests": asks}).json()
    assert [("error" in a) for a in told["answers"]] == [False, True, True, True, False] and told["refused"] == 3
    assert ids(told["answers"][0]) == ids(asked(client, k=3)) and len(ids(told["answers"][4])) == 10
    assert "nearest: ['price']" in told["answers"][3]["error"]
    assert client.post("/v1/recommendations:batch", json={"requests": [{}] * 101}).status_code == 422


def test_texts_are_reranked_in_the_usual_body(client):
    body = {
        "model": "some-reranker", "query": "smoked tea", "top_n": 2, "return_documents": True,
        "documents": ["Brass lamp", {"text": "Smoked tea, loose", "sku": 7}, "Green tea"],
    }  # fmt: skip
    told = client.post("/v1/rerank", json=body).json()
    assert [r["index"] for r in told["results"]] == [1, 2] and told["id"] == told["request_id"]
    assert told["results"][0]["document"] == {"text": "Smoked tea, loose", "sku": 7}
    assert 1 >= told["results"][0]["relevance_score"] > told["results"][1]["relevance_score"] > 0
    assert told["model"] == "some-reranker" and told["by"] == "words"


def test_items_are_reranked_by_a_query_or_by_taste(client):
    items = ["tool-3", "tea-1", "lamp-0", "no-such"]
    told = client.post("/v1/rerank", json={"query": "reading lamp", "items": items}).json()
    assert told["results"][0]["item_id"] == "lamp-0" and told["results"][-1]["relevance_score"] == 0
    mine = client.post("/v1/rerank", json={"user_id": "u3", "items": items}).json()
    order = [r["item_id"] for r in mine["results"] if r["relevance_score"] > 0]
    assert order == ids(asked(client, allow=items, seen="keep")) and mine["by"] == "taste"
    for odd in ({}, {"query": "x"}, {"query": "x", "documents": ["a"], "items": ["b"]}, {"documents": ["a"]},
                {"query": "x", "items": ["b"], "user_id": "u3"}):  # fmt: skip
        assert client.post("/v1/rerank", json=odd).status_code == 422


def test_reranking_reads_meaning_where_a_source_does():
    class Letters(Dense):
        """An encoder that counts letters, so that likeness is plain."""

        def encode(self, texts, progress=None, precision="float32"):
            import numpy as np

            counts = np.array([[t.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], np.float32)
            return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    cascade = Cascade({"popular": Source(retriever=Popular()), "letters": Source(retriever=Letters())}).fit(DATA)
    client = TestClient(create_app(Engine(DATA, cascade, clock=lambda: NOW)))
    told = client.post("/v1/rerank", json={"query": "abc", "documents": ["xyz", "cba", "abd"]}).json()
    assert [r["index"] for r in told["results"]] == [1, 2, 0] and told["by"] == "meaning"
    title = DATA.texts()[5]
    told = client.post(
        "/v1/rerank", json={"query": title, "items": [DATA.items[i] for i in range(8)], "top_n": 1}
    ).json()
    assert told["results"][0]["item_id"] == DATA.items[5]


# ------------------------------------------------------------------------------------------------------- search events


def test_search_events_of_other_tools_are_understood(client):
    answer = client.get("/v1/search?q=lantern&user_id=u3").json()
    first = answer["items"][0]["item_id"]
    asked = {"query_id": answer["request_id"], "client_id": "u3"}
    query = {**asked, "user_query": "lantern", "query_response_hit_ids": [first], "application": "shop"}
    about = {"object": {"object_id": first, "object_id_field": "sku"}, "position": {"ordinal": 1}}
    click = {**asked, "action_name": "item_click", "timestamp": "2023-11-14T10:00:00Z", "event_attributes": about}
    hover, bare = {**click, "action_name": "hover"}, {**click, "event_attributes": {}}
    told = client.post("/v1/ubi", json=[query, click, hover, bare, 7]).json()
    assert (told["queries"], told["accepted"], told["unread"]) == (1, 1, {"hover": 1})
    assert [r["place"] for r in told["refused"]] == [3, 4] and "object_id is missing" in told["refused"][0]["reason"]
    done = client.get("/v1/users/u3/history").json()["events"]
    assert any(e["item_id"] == first and e["request_id"] == answer["request_id"] for e in done)


def test_a_batch_of_search_events_under_a_key_counts_once(client):
    click = {"action_name": "click", "client_id": "u3", "event_attributes": {"object": {"object_id": "lamp-0"}}}
    again = [client.post("/v1/ubi", json=[click], headers={"Idempotency-Key": "b1"}).json() for _ in range(2)]
    assert again[0] == again[1] and client.app.state.engine.heard() == 1


# ------------------------------------------------------------------------------------------------------------ steering


def test_a_sentence_bends_the_next_answer_and_can_be_taken_back(client):
    said = {"user_id": "u3", "text": "no tea, under 20", "shown": ["lamp-0"], "view": "feed"}
    told = client.post("/v1/chat", json=said).json()
    assert told["understood"] and len(told["wishes"]) == 2 and told["request_id"]
    assert all(item["price"] < 20 and not item["item_id"].startswith("tea") for item in told["feed"]["grid"])
    wish = told["wishes"][0]["wish_id"]
    changed = client.patch(f"/v1/users/u3/instructions/{wish}", json={"pinned": True}).json()
    assert next(w for w in changed["wishes"] if w["wish_id"] == wish)["pinned"]
    left = client.delete(f"/v1/users/u3/instructions/{wish}").json()
    assert len(left["wishes"]) == 1 and len(client.get("/v1/users/u3/instructions").json()["wishes"]) == 1
    assert len(client.post("/v1/users/u3/instructions/undo").json()["wishes"]) == 2
    assert client.get("/v1/users/u4/instructions").json()["wishes"] == []


def test_a_sentence_is_answered_part_by_part_where_that_is_asked(client):
    said = {"user_id": "u3", "text": "no tea", "stream": True}
    with client.stream("POST", "/v1/chat", json=said) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        names = [line[7:] for line in answer.iter_lines() if line.startswith("event: ")]
    assert names == ["understood", "wishes", "feed"]


def test_the_same_sentence_sent_twice_under_a_key_is_said_once(client):
    said = {"user_id": "u3", "text": "no tea"}
    told = [client.post("/v1/chat", json=said, headers={"Idempotency-Key": "c1"}).json() for _ in range(2)]
    assert told[0] == told[1] and len(client.get("/v1/users/u3/export").json()["events"]) == 1
