"""Gorse's own published Python client, unchanged, against a running engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import serving
from gorse import Gorse, GorseException
from serving import built, shop

from interplay.data.store.store import Store

WHEN = "2023-11-13T08:00:00Z"


@pytest.fixture
def gorse(tmp_path: Path) -> Iterator[Gorse]:
    engine = built(shop(), store=Store.open(tmp_path / "shop.db"))
    with serving(engine) as address:
        yield Gorse(address, "any", timeout=30)
    engine.close()


def told(kind: str, user: str, item: str) -> dict[str, object]:
    return {"FeedbackType": kind, "UserId": user, "ItemId": item, "Timestamp": WHEN, "Value": 1.0}


def test_feedback_goes_in_and_comes_out(gorse: Gorse) -> None:
    assert gorse.insert_feedback("star", "bob", "lamp-0", WHEN, 5)["RowAffected"] == 1
    assert gorse.insert_feedbacks([told("star", "bob", "lamp-4"), told("read", "cyd", "tea-1")])["RowAffected"] == 2
    assert {f["ItemId"] for f in gorse.list_feedbacks("star", "bob")} == {"lamp-0", "lamp-4"}
    whole, cursor = gorse.get_feedbacks(100)
    assert {("bob", "lamp-4"), ("cyd", "tea-1")} <= {(f["UserId"], f["ItemId"]) for f in whole}
    first, cursor = gorse.get_feedbacks(1)
    second, _ = gorse.get_feedbacks(1, cursor)
    assert cursor and first != second
    assert gorse.delete_feedback("bob", "lamp-0")["RowAffected"] == 1
    assert {f["ItemId"] for f in gorse.list_feedbacks("star", "bob")} == {"lamp-4"}


def test_answers_are_scored_items_without_what_was_read(gorse: Gorse) -> None:
    gorse.insert_feedback("read", "bob", "lamp-0", WHEN)
    ten = gorse.get_recommend("bob")
    assert len(ten) == 10 and "lamp-0" not in [score.id for score in ten]
    assert [s.id for s in gorse.get_recommend("bob", n=3, offset=2)] == [s.id for s in ten[2:5]]
    assert all(s.id.startswith("tea") for s in gorse.get_recommend("bob", "Teas", n=5))
    back = gorse.get_recommend("cyd", n=2, write_back_type="read", write_back_delay="10m")
    assert [f["ItemId"] for f in gorse.list_feedbacks("read", "cyd")] == [s.id for s in back]
    assert len(gorse.session_recommend([told("read", "anybody", "lamp-0")], n=4)) == 4
    assert len(gorse.get_neighbors("lamp-0", n=3)) == 3


def test_items_are_kept_found_changed_and_deleted(gorse: Gorse) -> None:
    item = {
        "ItemId": "vue", "IsHidden": False, "Categories": ["web"], "Timestamp": WHEN, "Labels": {"stars": 200},
        "Comment": "A framework",
    }  # fmt: skip
    assert gorse.insert_item(item)["RowAffected"] == 1 and gorse.get_item("vue") == item
    assert gorse.update_item("vue", comment="Another", categories=["web", "js"])["RowAffected"] == 1
    assert gorse.get_item("vue") == item | {"Comment": "Another", "Categories": ["web", "js"]}
    part, cursor = gorse.get_items(5)
    assert len(part) == 5 and cursor
    assert "vue" in [found["ItemId"] for found in gorse.search_items("another")]
    assert gorse.delete_item("vue")["RowAffected"] == 1
    with pytest.raises(GorseException) as gone:
        gorse.get_item("vue")
    assert gone.value.status_code == 404


def test_people_are_kept_and_erased(gorse: Gorse) -> None:
    assert gorse.insert_user({"UserId": "dee", "Labels": {"likes": "tea"}, "Comment": ""})["RowAffected"] == 1
    assert gorse.insert_users([{"UserId": "eve", "Labels": None}])["RowAffected"] == 1
    assert gorse.get_user("dee")["Labels"] == {"likes": "tea"}
    people, _ = gorse.get_users(500)
    assert {"dee", "eve"} <= {p["UserId"] for p in people}
    assert gorse.delete_user("dee")["RowAffected"] == 1
    with pytest.raises(GorseException):
        gorse.get_user("dee")
