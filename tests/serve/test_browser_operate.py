"""The operator's pages: live figures, ingestion, models, benches and the market's people."""

from __future__ import annotations

import httpx
import pytest
from browsing import opened, serving
from playwright.sync_api import expect

from interplay.cascade.cascade import Cascade, Source
from interplay.models.counts import Popular
from interplay.serve.engine import Engine
from interplay.worlds.market import market

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small_market():
    dataset = market(n_items=400, n_people=120, days=12).dataset
    with serving(Engine(dataset, Cascade({"popular": Source(retriever=Popular())}).fit(dataset))) as address:
        yield address


def test_live_figures_show_every_stage_and_open_a_slow_answer(browser, served):
    with opened(browser, served, "u61") as page:
        page.get_by_role("link", name="Operate", exact=True).click()
        expect(page.get_by_role("heading", level=1, name="Live")).to_be_focused()
        expect(page).to_have_title("Live · Interplay")
        chart = page.locator('[data-chart="stages"] svg')
        label = chart.get_attribute("aria-label") or ""
        assert all(stage in label for stage in ("understand", "retrieve", "rank", "rules", "page", "in all", "target"))
        page.locator("#panel [data-trace]").first.click()
        expect(page.get_by_role("dialog").locator(".stage").first).to_be_visible()


def test_ingestion_counts_what_was_refused_without_quoting_it(browser, served):
    bad = {"user_id": "u62", "item_id": "no-such-thing", "event_type": "click"}
    httpx.post(served + "/v1/events", json={"events": [bad]})
    with opened(browser, served, "u62", "/operate/ingestion") as page:
        row = page.locator("#panel tr", has_text="no item called")
        expect(row).to_be_visible()
        expect(page.locator("#panel")).not_to_contain_text("no-such-thing")


def test_models_say_which_one_serves(browser, served):
    with opened(browser, served, "u63", "/operate/models") as page:
        expect(page.locator("#panel")).to_contain_text("serves, from memory")


def test_benches_are_rendered_from_records(browser, served):
    with opened(browser, served, "u64", "/operate/benches?name=market") as page:
        table = page.get_by_role("region", name="Bench market")
        expect(table.get_by_role("rowheader", name="popular", exact=True)).to_be_visible()
        expect(table.locator("tbody svg").first).to_be_attached()


def test_a_shop_without_simulated_people_says_so(browser, served):
    with opened(browser, served, "u65", "/operate/people", forgiven="422") as page:
        expect(page.locator("#panel")).to_contain_text("only the built-in market has simulated people")


def test_simulated_people_use_this_very_api_and_stand_under_their_banner(browser, small_market):
    with opened(browser, small_market, "p-00001", "/operate/people") as page:
        expect(page.locator("#panel .sim")).to_contain_text("None of them exists")
        page.get_by_role("button", name="Let them in").click()
        expect(page.get_by_role("button", name="Send them home")).to_be_visible()
        expect(page.locator("#panel .facts dd").first).not_to_have_text("0", timeout=20_000)
        page.get_by_label("Look at").select_option(index=3)
        expect(page.locator('[data-chart="taste"] svg')).to_be_visible()
        page.get_by_role("button", name="Send them home").click()
        expect(page.get_by_role("button", name="Let them in")).to_be_visible()
        page.get_by_role("link", name="Ingestion").click()
        expect(page.get_by_role("region", name="Events by type")).to_contain_text("click")
