"""What Interplay believes of somebody, over HTTP: it can be read, corrected, and bends the next answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest
from fastapi.testclient import TestClient
from serving import built, shop

from interplay.serve.app import create_app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(built(shop()))) as client:
        yield client


def statements(client: TestClient, user: str = "u3") -> dict[str, dict]:
    return {s["text"]: s for s in client.get(f"/v1/users/{user}/statements").json()["statements"]}


def shown(client: TestClient, k: int = 12) -> list[str]:
    return [i["item_id"] for i in client.get(f"/v1/recommendations?user_id=u3&k={k}").json()["items"]]


def test_statements_follow_from_what_somebody_did(client):
    held = statements(client)
    assert held["Likes tools"]["where"] == "kind == 'tool'" and held["Likes tools"]["confidence"] > 0.9
    assert "9 of 11 events are about tools" in held["Likes tools"]["evidence"][0]
    assert statements(client, "nobody") == {}


def test_statements_read_well_whatever_the_columns_are():
    """Films in the place of wares: a list of genres, a person's name, a column of labels in the plural, a year."""
    data = shop()
    catalogue = data.catalogue
    tool = pl.col("kind") == "tool"
    films = catalogue.select(
        "item_id", "title", genres=pl.when(tool).then(["Film-Noir", "Crime"]).otherwise(["Drama"]),
        shot_in=pl.when(tool).then(pl.lit("Oslo")).otherwise(pl.lit("Rome")),
        themes=pl.when(pl.int_range(pl.len()) % 2 == 0).then(["lost_love"]).otherwise(["heists"]),
        year=pl.when(tool).then(1950).otherwise(1980) + pl.int_range(pl.len()) % 20,
    )  # fmt: skip
    data = replace(data, catalogue=films)
    with TestClient(create_app(built(data))) as client:
        held = statements(client)
    assert sorted(held) == [
        "Likes Film-Noir", "Likes things with the theme heists", "Mostly chooses things from before 1981"
    ]  # fmt: skip
    evidence = held["Likes things with the theme heists"]["evidence"][0]
    assert "events are about things with the theme heists; among everybody it is" in evidence


def test_what_one_writes_bends_the_next_answer_and_deleting_it_bends_it_back(client):
    before = shown(client)
    told = client.post("/v1/users/u3/statements", json={"text": "Likes green tea"}).json()
    mine = told["statements"][0]
    assert mine["source"] == "said" and mine["where"] == "categories contains 'Green tea'"
    assert (
        shown(client) != before
        and "raised by a rule" in client.get("/v1/recommendations?user_id=u3&k=1").json()["items"][0]["reason"]
    )
    client.delete(f"/v1/users/u3/statements/{mine['statement_id']}")
    assert shown(client) == before and "Likes green tea" not in statements(client)


def test_a_guess_can_be_agreed_to_pinned_and_put_in_other_words(client):
    guess = statements(client)["Likes tools"]["statement_id"]
    path = f"/v1/users/u3/statements/{guess}"
    client.patch(path, json={"agreed": True, "pinned": True})
    held = statements(client)["Likes tools"]
    assert (held["source"], held["confidence"], held["pinned"]) == ("agreed", 1.0, True)
    client.patch(path, json={"text": "Dislikes dark moods"})
    held = statements(client)["Dislikes dark moods"]
    assert held["source"] == "said" and held["where"] == "mood == 'dark'" and "Likes tools" not in statements(client)
    assert client.patch("/v1/users/u3/statements/g-0", json={"pinned": True}).status_code == 404


def test_deleting_a_guess_takes_what_it_rested_on_out_of_the_history(client):
    guess = statements(client)["Likes tools"]["statement_id"]
    before = client.app.state.engine.request(user="u3").history["item"]
    client.delete(f"/v1/users/u3/statements/{guess}")
    after = client.app.state.engine.request(user="u3").history["item"]
    assert len(before) == 11 and len(after) == 2 and "Likes tools" not in statements(client)
    assert not set(before.tolist()) & {client.app.state.engine.item(name) for name in shown(client, 160)}


def test_private_things_are_refused_and_nothing_is_kept(client):
    answer = client.post("/v1/users/u3/statements", json={"text": "Has diabetes"})
    assert answer.status_code == 422 and "never kept" in answer.json()["error"]
    assert client.app.state.engine.heard() == 0
