"""Where people look, asked over HTTP: learnt beside the service, told as a heat map or refused."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient
from serving import built, shop

from interplay import learning
from interplay.client import Client
from interplay.data.store.store import Store
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from test_watching import filled


def ended(client: Client, asked: dict) -> dict:
    for _ in range(3000):
        told = client.looked(asked["look"]["errand_id"])["look"]
        if told["ended_at"] is not None:
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def test_an_operator_is_told_where_people_look_and_why_a_log_cannot_tell(tmp_path):
    store = filled(Store.open(tmp_path / "shop.db"), [[1.0, 0.6, 0.3]], pages=1200)
    learning.train(store, "popular")
    client = Client(http=TestClient(create_app(Engine.over(store))))
    asked = client.look()
    assert asked["look"]["state"] == "waiting" and asked["look"]["asked"] == {"kind": "click"}
    assert client.recommend("p1", k=3)["items"], "the service answers meanwhile"
    told = ended(client, asked)
    assert told["state"] == "done", told
    seen = told["answers"][0]
    first, second, third = (cell["examination"] for cell in seen["grid"][0])
    assert first == 1.0 > second > third and seen["verdict"] == "better" and told["said"] == seen["said"]
    missing = ended(client, client.look("purchase"))
    assert missing["state"] == "failed" and "no events of type 'purchase'" in missing["said"]
    listed = client.looks()
    assert [look["state"] for look in listed["looks"]] == ["failed", "done"] and "click" in listed["events"]
    client.stop_look(told["errand_id"])
    with pytest.raises(Exception, match="no looks called"):
        client.looked(told["errand_id"])


def test_a_service_in_memory_says_that_its_pages_cannot_be_read():
    client = Client(http=TestClient(create_app(built(shop(40, 12)))))
    with pytest.raises(Exception, match="serve from a store"):
        client.look()
    with pytest.raises(Exception, match="kind"):
        client.look("")
