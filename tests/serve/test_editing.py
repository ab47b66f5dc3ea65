"""Debug mode: one stage of an answer changed; what lies before it stays, what follows runs again, and it is logged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from serving import NOW, built, shop

from interplay.serve.app import create_app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(built(shop()))) as client:
        yield client


def answered(client: TestClient, **asked: object) -> dict:
    return client.post("/v1/recommendations", json={"user_id": "u3", "k": 8, **asked}).json()


def edited(client: TestClient, request_id: str, stage: str, **edit: object) -> dict:
    answer = client.post(f"/v1/traces/{request_id}/edits", json={"stage": stage, "edit": edit})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def states(answer: dict) -> str:
    return " ".join(stage["state"] for stage in answer["stages"])


def test_without_a_source_its_candidates_are_gone_and_nobody_is_asked_again(client):
    first = answered(client)
    sources = client.app.state.engine.cascade.sources
    asked = []
    for name, source in sources.items():
        plain = source.retriever.retrieve
        source.retriever.retrieve = lambda r, n, plain=plain, name=name: (asked.append(name), plain(r, n))[1]
    after = edited(client, first["request_id"], "retrieve", without=["trending"])
    assert states(after) == "kept edited again kept again"
    assert {s["source"] for i in after["items"] for s in i["sources"]} == {"popular"}
    before = len(asked)  # the stages were worked out once more for the first edit
    again = edited(client, first["request_id"], "retrieve", without=["popular"])
    assert len(asked) == before and ids(again) != ids(after)


def test_other_weights_order_anew_and_say_what_rose(client):
    first = answered(client)
    after = edited(client, first["request_id"], "rank", weights={"popular": 0.0, "trending": 1.0})
    assert states(after) == "kept kept edited kept again"
    old = ids(first)
    for row in after["rose"]:
        assert old.index(row["item_id"]) + 1 == row["from"] > row["place"] == ids(after).index(row["item_id"]) + 1
    assert [row["item_id"] for row in after["new"]] == [name for name in ids(after) if name not in old]
    assert after["stages"][0]["milliseconds"] == 0 and after["edited"] == first["request_id"]


def test_rules_act_inside_the_search_so_the_search_runs_again(client):
    first = answered(client, where="price < 40")
    after = edited(client, first["request_id"], "rules", without=["price < 40"], where="kind == 'tea'", seen="keep")
    assert states(after) == "kept again again edited again"
    assert all(name.startswith("tea") for name in ids(after)) and len(ids(after)) == 8
    facts = after["stages"][3]["facts"]
    assert (
        facts["withhold_seen"] is False and facts["where"] == "kind == 'tea'" and "price < 40" not in facts["by_rule"]
    )


def test_the_page_alone_runs_again_where_only_it_changed(client):
    first = answered(client)
    after = edited(client, first["request_id"], "page", caps={"kind": 2}, diversity=0.5)
    assert states(after) == "kept kept kept kept edited"
    kinds = [name.split("-")[0] for name in ids(after)]
    assert all(kinds.count(kind) <= 2 for kind in kinds)


def test_other_words_and_fewer_wishes_run_everything_again(client):
    found = client.get("/v1/search?q=lantern&user_id=u3&k=5").json()
    after = edited(client, found["request_id"], "understand", query="novel")
    assert states(after) == "edited again again again again" and after["query"] == "novel"
    assert all("novel" in item["title"] for item in after["items"])
    told = client.post("/v1/chat", json={"user_id": "u3", "text": "no tea"}).json()
    wish = told["wishes"][0]["wish_id"]
    first = answered(client, k=40)
    assert not any(name.startswith("tea") for name in ids(first))
    after = edited(client, first["request_id"], "understand", without=[wish])
    assert any(name.startswith("tea") for name in ids(after))
    assert after["stages"][0]["facts"]["heard"][0]["off"] is True
    assert len(client.get("/v1/users/u3/instructions").json()["wishes"]) == 1  # nothing was taken back


def test_what_the_person_forbade_is_not_lifted_here(client):
    client.post("/v1/chat", json={"user_id": "u3", "text": "no tea"})
    first = answered(client)
    rule = next(r for r in client.get(f"/v1/traces/{first['request_id']}").json()["stages"][3]["facts"]["by_rule"])
    answer = client.post(
        f"/v1/traces/{first['request_id']}/edits", json={"stage": "rules", "edit": {"without": [rule]}}
    )
    assert answer.status_code == 422 and "your own instruction" in answer.json()["error"]


def test_an_edit_is_of_the_moment_of_the_answer_and_is_logged(client):
    first = answered(client)
    client.app.state.engine._clock = lambda: NOW + 1_000_000
    client.post("/v1/chat", json={"user_id": "u3", "text": "no lamps"})
    after = edited(client, first["request_id"], "rank", weights={})
    assert ids(after) == ids(first) and after["rose"] == after["new"] == []
    done = client.get("/v1/users/u3/export").json()["events"]
    kept = [e for e in done if e["event_type"] == "edit"]
    assert (
        kept[0]["payload"] == {"stage": "rank", "edit": {"weights": {}}}
        and kept[0]["request_id"] == first["request_id"]
    )
    assert after["event"]["event_id"] == kept[0]["event_id"]
    assert client.get(f"/v1/traces/{after['request_id']}").json()["items"][0]["item_id"] == ids(after)[0]
    assert client.get("/v1/users/u3").json()["events"] == 11  # an edit is no taste


WRONG = {
    "no source called 'poplar'; nearest: ['popular']": ("rank", {"weights": {"poplar": 1}}),
    "expected a number from 0 to 100": ("rank", {"weights": {"popular": -1}}),
    "leaves out every source": ("retrieve", {"without": ["popular", "trending"]}),
    "no rule of this answer": ("rules", {"without": ["price < 3"]}),
    "no wish of this answer": ("understand", {"without": ["w-1"]}),
    "no query to change": ("understand", {"query": "x"}),
    "no field of an edit of page": ("page", {"variety": 1}),
    "expected 'drop' or 'keep'": ("rules", {"seen": "hide"}),
}  # fmt: skip


@pytest.mark.parametrize("said", WRONG)
def test_an_edit_that_cannot_be_meant_is_refused(client, said):
    stage, edit = WRONG[said]
    answer = client.post(f"/v1/traces/{answered(client)['request_id']}/edits", json={"stage": stage, "edit": edit})
    assert answer.status_code == 422 and said in answer.json()["error"], answer.text


def test_what_has_no_stages_cannot_be_edited(client):
    near = client.get("/v1/similar?item_id=lamp-0").json()
    answer = client.post(f"/v1/traces/{near['request_id']}/edits", json={"stage": "page", "edit": {}})
    assert answer.status_code == 422 and "has no such stages" in answer.json()["error"]
