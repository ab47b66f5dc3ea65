"""Figures for operators: latency, ingestion, benches, and the market's people as customers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from fastapi.testclient import TestClient
from serving import built, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.errors import Unsupported
from interplay.models.counts import Popular
from interplay.serve import operating
from interplay.serve.app import create_app
from interplay.serve.crowd import GONE, NOT_HERE, TOGETHER, Population, asking, known
from interplay.serve.engine import Engine
from interplay.worlds.market import market, seed_of


@pytest.fixture(scope="module")
def client():
    return TestClient(create_app(built(shop())))


@pytest.fixture(scope="module")
def stall():
    dataset = market(seed=3, n_items=300, n_people=90, days=8).dataset
    return Engine(dataset, Cascade({"popular": Source(retriever=Popular())}).fit(dataset))


def test_live_figures_tell_every_stage_and_the_slowest_answers(client):
    for _ in range(5):
        client.get("/v1/recommendations", params={"user_id": "u1"})
    told = client.get("/v1/operate/live").json()
    assert [s["name"] for s in told["stages"]] == ["all", *operating.STAGES]
    assert all(s["low"] <= s["mid"] <= s["high"] <= s["top"] for s in told["stages"])
    assert told["answers"] >= 5 and told["missing"] == []
    slow = [s["milliseconds"] for s in told["slowest"]]
    assert slow == sorted(slow, reverse=True)
    trace = client.get(f"/v1/traces/{told['slowest'][0]['request_id']}").json()
    assert trace["milliseconds"] == pytest.approx(slow[0], abs=0.02)


def test_figures_are_of_the_last_minutes_only():
    engine, now = built(shop()), [1_000_000.0]
    app = create_app(engine)
    recorder = operating.Recorder(engine, app.state.measures, clock=lambda: now[0])
    engine.answer(user="u1", k=3)
    now[0] += 60 * operating.MINUTES + 1
    assert recorder.live()["answers"] == 0
    engine.answer(user="u1", k=3)
    told = recorder.live()
    assert told["answers"] == 1
    assert [at for at, v in told["p99"] if v is not None] == [now[0] // operating.STEP * operating.STEP]


def test_a_source_that_is_late_is_named_with_an_answer_to_look_at():
    class Slow:
        def fit(self, dataset, **_):
            return self

        def retrieve(self, requests, n):
            raise RuntimeError("no light")

    dataset = shop()
    sources = {"popular": Source(retriever=Popular()), "baskets": Source(retriever=Slow())}
    client = TestClient(create_app(Engine(dataset, Cascade(sources).fit(dataset))))
    feed = client.get("/v1/feed", params={"user_id": "u1"}).json()
    assert feed["notes"][0]["text"] == "“Baskets” is missing. It comes back by itself."
    told = client.get("/v1/operate/live").json()
    assert told["missing"][0]["source"] == "baskets" and 0 < told["part"] <= 1
    assert client.get(f"/v1/traces/{told['missing'][0]['request_id']}").status_code == 200


def test_ingestion_counts_what_was_kept_and_refused_and_quotes_nobody(client):
    good = {"event_id": "e1", "user_id": "u3", "item_id": "lamp-0", "event_type": "click"}
    bad = [{"user_id": "secret", "item_id": "nowhere", "event_type": "click"}, {"user_id": "u3", "item_id": "lamp-0"}]
    client.post("/v1/events", json={"events": [good, good, *bad]})
    told = client.get("/v1/operate/ingestion").json()
    assert told["taken"] == {"accepted": 1, "repeated": 1, "refused": 2}
    assert told["hour"] == 1 and told["types"] == [{"event_type": "click", "n": 1}]
    assert sum(n for _, n in told["line"]) == 1 and len(told["line"]) == 60
    assert sum(r["n"] for r in told["refused"]) == 2
    assert not any(word in str(told["refused"]) for word in ("secret", "nowhere", "lamp-0"))


def test_a_bench_is_told_as_the_docs_have_it(client, tmp_path, monkeypatch):
    names = [b["name"] for b in client.get("/v1/operate/benches").json()["benches"]]
    assert "market" in names
    told = client.get("/v1/operate/benches/market").json()
    assert told["columns"][0] == "system" and any(row["cells"][0].startswith("popular") for row in told["rows"])
    assert all(len(row["cells"]) == len(told["columns"]) for row in told["rows"])
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path))
    assert client.get("/v1/operate/benches").json()["benches"] == []


def test_only_the_market_has_simulated_people(client, stall):
    answer = client.get("/v1/operate/crowd")
    assert answer.status_code == 422 and "only the built-in market" in answer.json()["error"]
    assert known(stall)[2] == 3
    assert seed_of(["Nobody A.", "Nobody B."]) is None


def test_simulated_people_ask_and_tell_over_http_and_leave(stall):
    app = create_app(stall)
    people = Population(stall, but=["p-00000"])
    heard: list[str] = []

    async def walk() -> None:
        ask = asking(app, {})

        async def listened(method, path, said):
            heard.append(f"{method} {path}")
            return await ask(method, path, said)

        people.let_in(listened, pace=10_000)
        while people.wave < 3 and not people.trouble:
            people.seen()
            await asyncio.sleep(0.01)
        walking = people.task
        people.send_home()
        assert not people.seen()["walking"]
        await walking

    asyncio.run(walk())
    told = people.seen()
    asked = heard.count("GET /v1/recommendations") + heard.count("GET /v1/search")
    assert not told["trouble"] and 0 <= asked - told["pages"] <= TOGETHER  # the last few were sent home while asking
    assert told["clicks"] > 0 and told["low"] < told["clicks_a_page"] < told["high"]
    assert {p["state"] for p in told["people"]} == {NOT_HERE}
    assert "p-00000" not in {p["user_id"] for p in told["people"]}
    events = stall.store.tail()
    assert {e.surface for e in events} == {"crowd"} and sum(e.event_type == "click" for e in events) == told["clicks"]


def test_what_one_of_them_likes_is_told_beside_what_the_engine_would_show(stall):
    people = Population(stall)
    who = people.seen()["people"][0]["user_id"]
    told = people.one(who)
    assert 0 <= told["shared"] <= told["top"] == 50 and told["state"] in (NOT_HERE, GONE)
    assert all(0 <= true <= 1 and 0 <= believed <= 1 for _, true, believed in told["rows"])
    with pytest.raises(Unsupported, match="not among"):
        people.one("p-99999")
    assert np.ptp(people.map, axis=0).min() > 0.5
