"""A client that speaks Gorse's REST, as its published clients do: addresses, headers, bodies and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serving import built, shop

from interplay.data.store.store import Store
from interplay.serve.app import create_app

DATA = shop()


class Gorse:
    """The calls of the published clients, by their own addresses."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, f"/api{path}", headers={"X-API-Key": "k", **more.pop("headers", {})}, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def insert(self, *rows: tuple[str, str, str], **more: Any) -> int:
        feedback = [
            {"FeedbackType": t, "UserId": u, "ItemId": i, "Timestamp": "2023-11-13T08:00:00Z", **more}
            for t, u, i in rows
        ]  # fmt: skip
        return self.call("POST", "/feedback", json=feedback)["RowAffected"]


@pytest.fixture
def gorse(tmp_path: Path) -> Iterator[Gorse]:
    engine = built(DATA, store=Store.open(tmp_path / "shop.db"))
    yield Gorse(TestClient(create_app(engine)))
    engine.close()


def test_feedback_is_inserted_once_overwritten_read_and_deleted(gorse):
    rows = [("star", "bob", "lamp-0"), ("star", "bob", "lamp-4"), ("read", "bob", "lamp-0")]
    assert gorse.insert(*rows) == 3 and gorse.insert(*rows) == 0
    assert {f["ItemId"] for f in gorse.call("GET", "/user/bob/feedback/star")} == {"lamp-0", "lamp-4"}
    assert len(gorse.call("GET", "/user/bob/feedback")) == 3 and len(gorse.call("GET", "/feedback/bob/lamp-0")) == 2
    newer = {"FeedbackType": "star", "UserId": "bob", "ItemId": "lamp-0", "Value": 5.0, "Timestamp": "2023-11-14"}
    assert gorse.call("PUT", "/feedback", json=[newer])["RowAffected"] == 1
    one = gorse.call("GET", "/feedback/star/bob/lamp-0")
    assert one["Value"] == 5.0 and one["Timestamp"] == "2023-11-14T00:00:00Z"
    assert {f["FeedbackType"] for f in gorse.call("GET", "/item/lamp-0/feedback/")} == {"star", "read"}
    assert gorse.call("DELETE", "/feedback/star/bob/lamp-0")["RowAffected"] == 1
    assert gorse.http.get("/api/feedback/star/bob/lamp-0").status_code == 404
    assert gorse.insert(rows[0]) == 1 and gorse.call("DELETE", "/feedback/bob/lamp-0")["RowAffected"] == 2


def test_all_feedback_is_read_part_by_part(gorse):
    gorse.insert(*[("star", f"p{i}", "lamp-0") for i in range(7)])
    gorse.call("DELETE", "/feedback/star/p3/lamp-0")
    seen, cursor = [], ""
    while True:
        part = gorse.call("GET", "/feedback/star", params={"n": 2, "cursor": cursor})
        seen += [f["UserId"] for f in part["Feedback"]]
        cursor = part["Cursor"]
        if not cursor:
            break
    assert seen == ["p0", "p1", "p2", "p4", "p5", "p6"]
    assert gorse.call("GET", "/feedback/read", params={"n": 9})["Feedback"] == []


def test_recommendations_are_ids_or_scores_and_leave_out_what_was_read(gorse):
    gorse.insert(("read", "bob", "lamp-0"))
    ids = gorse.call("GET", "/recommend/bob/", params={"n": 5, "offset": 0})
    scores = gorse.call("GET", "/recommend/bob/", params={"n": 5}, headers={"X-API-Version": "2"})
    assert ids == [s["Id"] for s in scores] and all(isinstance(s["Score"], float) for s in scores)
    assert gorse.call("GET", "/recommend/bob", params={"n": 3, "offset": 2}) == ids[2:]
    assert "lamp-0" not in gorse.call("GET", "/recommend/bob", params={"n": 500})
    teas = gorse.call("GET", "/recommend/bob/Teas", params={"n": 5})
    assert teas and all(name.startswith("tea") for name in teas)
    assert gorse.call("GET", "/recommend/bob", params={"category": "Teas", "n": 5}) == teas
    assert gorse.call("GET", "/recommend/bob/Nothing") == []


def test_recommendations_may_be_written_back_as_feedback(gorse):
    first = gorse.call("GET", "/recommend/bob", params={"n": 3, "write-back-type": "read"})
    assert [f["ItemId"] for f in gorse.call("GET", "/user/bob/feedback/read")] == first
    assert not set(first) & set(gorse.call("GET", "/recommend/bob", params={"n": 3}))
    gorse.call("GET", "/recommend/cyd", params={"n": 1, "write-back-type": "read", "write-back-delay": "1h30m0s"})
    assert gorse.call("GET", "/user/cyd/feedback/read")[0]["Timestamp"] == "2023-11-14T23:43:20Z"
    assert gorse.http.get("/api/recommend/bob?write-back-delay=soon").status_code == 422


def test_sessions_neighbours_popular_and_latest_have_scores(gorse):
    session = [{"FeedbackType": "read", "UserId": "", "ItemId": "lamp-0", "Timestamp": "2022-01-01"}]
    session[0]["UserId"] = "anybody"
    found = gorse.call("POST", "/session/recommend?n=4", json=session)
    assert len(found) == 4 and "lamp-0" not in [s["Id"] for s in found]
    near = gorse.call("GET", "/item/lamp-0/neighbors?n=3&offset=0")
    assert len(near) == 3 and near[0]["Score"] >= near[2]["Score"]
    assert gorse.call("GET", "/item/lamp-0/neighbors/Lamps?n=3")[0]["Id"].startswith("lamp")
    like = gorse.call("GET", "/user/u3/neighbors/?n=3")
    assert len(like) == 3 and "u3" not in [s["Id"] for s in like] and like[0]["Score"] > 0
    popular = gorse.call("GET", "/popular?n=5")
    assert popular[0]["Score"] >= popular[4]["Score"]
    read = {f["item_id"] for f in gorse.http.get("/v1/users/u3/history?limit=50").json()["events"]}
    assert not read & {s["Id"] for s in gorse.call("GET", "/popular?n=200&user-id=u3")}
    gorse.call("POST", "/item", json={"ItemId": "fresh", "Timestamp": "2023-11-14T10:00:00Z", "Comment": "Fresh"})
    assert gorse.call("GET", "/latest?n=1")[0]["Id"] == "fresh"


def test_items_go_in_and_come_out_as_they_were(gorse):
    item = {
        "ItemId": "vue", "IsHidden": False, "Categories": ["web", "js"], "Timestamp": "2022-02-22T00:00:00Z",
        "Labels": {"topics": ["frontend", "ui"], "stars": 200, "nested": {"a": [1]}}, "Comment": "A framework",
    }  # fmt: skip
    assert gorse.call("POST", "/item", json=item)["RowAffected"] == 1
    assert gorse.call("GET", "/item/vue") == item
    assert gorse.http.get("/v1/items?where=stars==200").json()["items"][0]["title"] == "A framework"
    listed = {"ItemId": "d3", "Labels": ["viz"], "Categories": [], "Timestamp": "2022-02-22"}
    assert gorse.call("POST", "/items", json=[listed])["RowAffected"] == 1
    held = gorse.call("GET", "/item/d3")
    assert held["Labels"] == ["viz"] and held["Timestamp"] == "2022-02-22T00:00:00Z" and held["Comment"] == ""
    gorse.call("PATCH", "/item/vue", json={"Comment": "Progressive", "IsHidden": True, "Categories": None,
                                           "Labels": None, "Timestamp": None})  # fmt: skip
    changed = gorse.call("GET", "/item/vue")
    assert changed["IsHidden"] and changed["Comment"] == "Progressive" and changed["Labels"] == item["Labels"]
    assert "vue" not in gorse.call("GET", "/recommend/u1", params={"n": 500})
    gorse.call("PUT", "/item/vue/category/ui", json=None)
    gorse.call("DELETE", "/item/vue/category/web")
    assert gorse.call("GET", "/item/vue")["Categories"] == ["js", "ui"]
    assert gorse.call("DELETE", "/item/vue")["RowAffected"] == 1
    assert gorse.http.get("/api/item/vue").status_code == 404
    seen, cursor = [], ""
    while True:
        part = gorse.call("GET", "/items", params={"n": 100, "cursor": cursor})
        seen += [i["ItemId"] for i in part["Items"]]
        cursor = part["Cursor"]
        if not cursor:
            break
    assert len(seen) == 161 and "vue" not in seen
    assert gorse.call("GET", "/items", params={"q": "lantern", "n": 3})["Items"][0]["ItemId"].startswith("lamp")


def test_users_go_in_and_come_out_as_they_were_and_are_deleted_for_good(gorse):
    user = {"UserId": "bob", "Labels": {"age": 30}, "Subscribe": ["news"], "Comment": "Bob"}
    assert gorse.call("POST", "/user", json=user)["RowAffected"] == 1 and gorse.call("GET", "/user/bob") == user
    assert gorse.call("POST", "/users", json=[{"UserId": "eve", "Labels": None, "Comment": ""}])["RowAffected"] == 1
    gorse.call("PATCH", "/user/bob", json={"Comment": "Robert"})
    assert gorse.call("GET", "/user/bob") == {**user, "Comment": "Robert"}
    assert "eve" in [u["UserId"] for u in gorse.call("GET", "/users", params={"n": 100})["Users"]]
    gorse.insert(("star", "bob", "lamp-0"))
    assert gorse.call("DELETE", "/user/bob")["RowAffected"] == 1
    assert gorse.http.get("/api/user/bob").status_code == 404 and gorse.call("GET", "/user/bob/feedback") == []


def test_feedback_cannot_pass_for_what_is_said_to_the_engine(gorse):
    row = {"FeedbackType": "instruction", "UserId": "bob", "ItemId": "lamp-0", "Timestamp": ""}
    wrong = gorse.http.post("/api/feedback", json=[row])
    assert wrong.status_code == 422 and "choose another name" in wrong.json()["error"]


def test_it_says_that_it_is_ready(gorse):
    assert gorse.call("GET", "/health/ready")["Ready"] and gorse.call("GET", "/health/live")
