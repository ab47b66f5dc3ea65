"""Where on a page of several answers each thing stood, and by what chance its shelf did: in the log as on the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from composed import composed

from interplay.data.examples import Examples
from interplay.data.pages import Pages
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import impressions
from interplay.data.store.shown import pages as kept_pages
from interplay.data.store.snapshot import snapshot
from interplay.serve.engine import Engine
from interplay.serve.feed import feed


@pytest.fixture
def engine() -> Engine:
    return composed()


def logged(engine: Engine, page: dict[str, Any]) -> pl.DataFrame:
    return impressions(engine.store).filter(pl.col("page") == page["request_id"])


def rows_of(page: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [page["heroes"], *(shelf["items"] for shelf in page["shelves"]), page["grid"]]


@pytest.mark.parametrize("arranged", [True, False])
def test_the_log_lays_out_the_page_that_the_person_saw(engine, arranged):
    page = feed(engine, "u3", draw=1, arranged=arranged)
    stood = logged(engine, page).filter(pl.col("shelf").is_not_null()).sort("shelf", "place")
    rows = rows_of(page)
    assert stood.partition_by("shelf", maintain_order=True)[0]["item_id"].to_list() == [
        card["item_id"] for card in rows[0]
    ]
    want = [(s, p, card["item_id"], card["request_id"]) for s, row in enumerate(rows) for p, card in enumerate(row)]
    assert stood.select("shelf", "place", "item_id", "request_id").rows() == want
    assert stood["seen"].null_count() == len(stood), "whether a person scrolled so far is not known"


def test_the_chance_of_a_tried_shelf_is_logged_with_all_that_stands_on_it(engine):
    pages = [feed(engine, "u3", draw=draw) for draw in range(1, 9)]
    tried = 0
    for page in pages:
        told = logged(engine, page).filter(pl.col("shelf").is_not_null())
        for shelf, chance in enumerate([1.0, *(s.get("propensity", 1.0) for s in page["shelves"]), 1.0]):
            assert set(told.filter(pl.col("shelf") == shelf)["shelf_propensity"]) == {chance}
            tried += chance < 1
    assert tried >= 3


def test_what_an_answer_held_and_the_page_did_not_show_is_nobodys_to_click(engine):
    for draw in range(12):
        page = feed(engine, "u3", draw=draw)
        told = logged(engine, page)
        nowhere = told.filter(pl.col("shelf").is_null())
        assert nowhere["seen"].to_list() == [False] * len(nowhere) and nowhere["place"].null_count() == len(nowhere)
        assert len(told) - len(nowhere) == sum(map(len, rows_of(page)))
        if len(nowhere):
            break
    else:
        pytest.fail("every page showed everything")
    click = {"event_type": "click", "item_id": page["heroes"][0]["item_id"], "request_id": page["request_id"]}
    engine.store.append([Happened(event_id="c", user_id="u3", time=engine.now(), **click)])
    data = snapshot(engine.store, shown=True).dataset
    hidden = set(nowhere["request_id"])
    held = {request: set(page.items) for request, page in kept_pages(engine.store, sorted(hidden)).items()}
    index = {name: i for i, name in enumerate(data.items)}
    for request, item in nowhere.select("request_id", "item_id").rows():
        assert index[item] not in held.get(request, set())
    seen = impressions(engine.store).filter(pl.col("seen").fill_null(True))
    assert len(Examples.of_impressions(data)) == len(seen)


def test_an_answer_that_stands_alone_is_a_page_of_its_own(engine):
    alone = engine.answer(user="u3", k=5)
    page = feed(engine, "u3", draw=1)
    told = impressions(engine.store).filter(pl.col("request_id") == alone.request_id)
    assert told["page"].null_count() == told["shelf"].null_count() == len(told) == 5
    for i, card in enumerate([page["heroes"][2], page["shelves"][1]["items"][0]]):
        click = {"event_type": "click", "item_id": card["item_id"], "request_id": card["request_id"]}
        engine.store.append([Happened(event_id=f"c{i}", user_id="u3", time=engine.now(), **click)])
    data = snapshot(engine.store, shown=True).dataset
    whole, parts = Pages.of(data, whole=True), Pages.of(data)
    assert whole.request is not None and sorted(whole.request) == sorted([alone.request_id, page["request_id"]])
    assert len(parts) > len(whole)
    mine = whole.take([list(whole.request).index(page["request_id"])])
    rows = rows_of(page)
    shown = [[data.items[i] for i in row[row >= 0]] for row in mine.items[0]]
    assert shown == [[card["item_id"] for card in row] for row in rows]
    assert np.argwhere(mine.clicked[0]).tolist() == [[0, 2], [2, 0]]
