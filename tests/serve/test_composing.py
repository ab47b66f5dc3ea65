"""Feeds that an arranger composed: which shelves, in what order, beside the page as it stands without it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from composed import cascade, composed
from fastapi.testclient import TestClient

from interplay.dialogue.state import State
from interplay.fitted import Fitted
from interplay.recipe import Recipe, load_recipe
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.serve.feed import feed
from interplay.serve.layout import Layout
from interplay.serve.shelves import MOST, Shelving
from interplay.serve.steering import Steering
from interplay.types import Arrangement, Run
from interplay.worlds.market import market


@pytest.fixture(scope="module")
def engine() -> Engine:
    return composed()


def shown(page: dict[str, Any]) -> list[str]:
    shelves = [card for shelf in page["shelves"] for card in shelf["items"]]
    return [card["item_id"] for card in [*page["heroes"], *shelves, *page["grid"]]]


def test_a_composed_feed_says_what_stands_elsewhere_and_both_orders_are_whole(engine):
    page = feed(engine, "u3", draw=1)
    told = page["composed"]
    assert told["by"] == "policy" and told["on"] and "stand elsewhere" in told["said"]
    assert len(shown(page)) == len(set(shown(page))) and len(page["heroes"]) == 4
    assert 2 <= len(page["shelves"]) <= MOST and all(s["because"] for s in page["shelves"])
    first = told["first"]
    assert [row["item_id"] for row in first["after"][:4]] == [card["item_id"] for card in page["heroes"]]
    moved = [row for row in first["after"] if row["other"] != row["place"]]
    assert len(moved) == told["moved"]
    for row in first["after"]:  # what came from somewhere is said to have gone from there
        if row["other"] is not None:
            assert first["before"][row["other"] - 1]["other"] == row["place"]
    assert [s["title"] for s in page["shelves"]] == [row["title"] for row in told["rails"]["after"]]
    assert all(isinstance(told["grains"][w][g], float) for w in ("before", "after") for g in ("items", "page"))


def test_one_shelf_is_a_try_whose_chance_is_told_and_which_the_draw_repeats(engine):
    pages = [feed(engine, "u3", draw=draw) for draw in (1, 1, *range(2, 12))]
    tried = [[s for s in page["shelves"] if s.get("propensity", 1.0) < 1] for page in pages]
    assert all(len(t) <= 1 for t in tried) and any(tried)
    assert all("a try, to learn from" in s["because"] for t in tried for s in t)
    same = [[(s["title"], s.get("propensity")) for s in page["shelves"]] for page in pages]
    assert same[0] == same[1] and len({str(s) for s in same}) > 1
    lead = engine.held(pages[0]["request_id"])
    chosen = lead.trace.stages[4].facts["rails"]["chosen"]
    assert [rail["propensity"] < 1 for rail in chosen].count(True) == 1


@pytest.mark.parametrize("user", ["u3", "u7", "u20"])
def test_the_page_without_the_arranger_is_what_it_says_it_would_be(engine, user):
    told, plain = feed(engine, user, draw=1)["composed"], feed(engine, user, draw=1, arranged=False)
    lead = engine.held(plain["request_id"])
    before = [row["item_id"] for row in told["first"]["before"]]
    assert [engine.dataset.items[i] for i in lead.items] == before
    assert not plain["composed"]["on"] and "fixed rule" in plain["composed"]["said"]
    usual = [row["title"] for row in told["rails"]["before"]]
    assert [s["title"] for s in plain["shelves"]] == usual


def test_the_trace_over_http_carries_both_orders_and_debug_mode_takes_the_arranger_away():
    with TestClient(create_app(composed())) as client:
        page = client.get("/v1/feed", params={"user_id": "u3", "draw": 1}).json()
        trace = client.get(f"/v1/traces/{page['request_id']}").json()
        facts = trace["stages"][4]["facts"]
        assert [r["item_id"] for r in facts["orders"]["after"]] == [i["item_id"] for i in trace["items"]]
        assert {"chosen", "rule", "grains"} <= set(facts["rails"]) and facts["arranger"] == "pagellm"
        assert all("slot" in item and "stood" in item for item in trace["items"])
        asked = {"stage": "page", "edit": {"arranger": False}}
        plain = client.post(f"/v1/traces/{page['request_id']}/edits", json=asked).json()
        assert [i["item_id"] for i in plain["items"]] == [r["item_id"] for r in facts["orders"]["before"]]
        assert plain["stages"][4]["facts"]["off"]
        off = client.get("/v1/feed", params={"user_id": "u3", "draw": 1, "arranged": False}).json()
        assert [h["item_id"] for h in off["heroes"]] != [h["item_id"] for h in page["heroes"]]
        drawn = client.get("/", cookies={"interplay_person": "u3"}).text
        assert 'id="uncomposed"' in drawn and "What moved, and why" in drawn


def test_what_a_person_asked_for_is_left_as_it_stands_and_the_page_says_so():
    engine = composed()
    Steering(engine).chat("u5", "more calm")
    page = feed(engine, "u5", draw=1)
    assert page["composed"]["by"] == "base" and "What you said has ordered this page" in page["composed"]["said"]
    assert page["shelves"][0]["title"].lower().startswith("more calm")


def test_one_thing_left_or_none_is_a_page_all_the_same(engine):
    composing = Arrangement(rails=True)
    none = engine.answer(user="u3", k=12, where="price > 1000", arrangement=composing, draw=1)
    assert none.items == [] and none.trace.stages[4].facts["orders"] == {"before": [], "after": []}
    one = engine.answer(user="u3", k=12, allow=["lamp-0"], withhold_seen=False, arrangement=composing, draw=1)
    assert one.items == [0] and one.trace.stages[4].facts["rails"]["chosen"] == []
    assert none.trace.stages[4].said.startswith("A page of 0 by mmr")
    page = feed(engine, "u59", draw=1)  # nothing is known of this one: no shelf near anything
    said = [card["reason"] for card in [*page["heroes"], *page["grid"]]]
    assert not any("your history" in reason for reason in said) and any("expected of it" in r for r in said)
    assert page["shelves"] and not any(s["title"].startswith("Near") for s in page["shelves"])


def test_a_shelf_that_ends_up_empty_or_has_no_name_gives_way_to_the_next(engine):
    shelving = Shelving(engine=engine, user="u3", live=[], state=State(), used=[], relaxed=(), layout=Layout())
    empty = {"origin": "near", "of": 3, "items": [], "slot": 0.0}
    nameless = {"origin": "kind", "of": 1, "items": [0, 1], "slot": 0.0}
    whole = {"origin": "kind", "of": 1, "items": [1, 5], "slot": 0.0}
    assert [s["title"] for s in shelving.chosen({"chosen": [empty, nameless, whole]}, [])] == ["Teas"]


def test_a_late_arranger_leaves_the_fixed_page_and_the_page_says_so():
    engine = composed()
    kept = cascade().arranging

    class Late:
        def arrange(self, *asked: object, **more: object) -> None:
            raise TimeoutError

    try:
        cascade().arranging = replace(kept, arranger=Late())
        page = feed(engine, "u3", draw=1)
        assert page["composed"]["by"] == "base" and "The arranger is missing" in page["composed"]["said"]
        assert page["shelves"] and len(page["heroes"]) == 4
    finally:
        cascade().arranging = kept


def test_an_earlier_answer_asked_on_keeps_its_arrangement(engine):
    lead = feed(engine, "u3", draw=1)
    more = engine.more(lead["request_id"])
    assert more.asked["arrangement"].rails and not set(more.items) & set(engine.held(lead["request_id"]).items)


def test_the_demos_own_table_composes_a_smaller_markets_feeds_and_tries_a_shelf():
    parts = ["[" + part for part in re.split(r"(?m)^\[", load_recipe("market").text)[1:]]
    kept = ("[source.taste]", "[source.fashion]", "[fusion]", "[page]", "[explore]", "[arranger]")
    text = "".join(part for part in parts if part.startswith(kept))  # without the ranker and what reads texts
    recipe = Recipe.parse(re.sub(r"(?m)^base = .*$", "", text))
    data = market(n_items=1000, n_people=500).dataset
    fitted = Fitted.cooked(recipe, data, settings={"page": {"likeness": "categories"}}, run=Run())
    arranger = fitted.model.arranging.arranger
    assert arranger.trusted and arranger.rails.learnt, arranger.fitted
    engine = Engine.of(fitted)
    pages = [feed(engine, data.users[user], draw=user) for user in range(8)]
    assert all(page["composed"]["by"] == "policy" and page["shelves"] for page in pages)
    tried = [shelf for page in pages for shelf in page["shelves"] if shelf.get("propensity", 1.0) < 1]
    assert tried and all("a try, to learn from" in shelf["because"] for shelf in tried)


def test_where_the_rule_leads_the_shelves_one_is_tried_all_the_same():
    engine = composed()
    arranger = engine.cascade.arranging.arranger
    arranger.rails.trusted = False
    try:
        pages = [feed(engine, "u3", draw=draw) for draw in range(8)]
    finally:
        arranger.rails.trusted = True
    assert all(page["composed"]["rails"]["by"] == "rule" for page in pages)
    tried = [[s for s in page["shelves"] if s.get("propensity", 1.0) < 1] for page in pages]
    assert any(tried) and all(len(shelves) <= 1 for shelves in tried)
