"""The operator's pages: live figures, ingestion, models, benches and the market's people."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from browsing import PHONE, findings, opened, serving
from playwright.sync_api import expect
from serving import shop

from interplay import learning
from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.data.store.snapshot import load, snapshot
from interplay.data.store.store import Store
from interplay.fitted import Fitted
from interplay.models.counts import Popular
from interplay.recipe import LearningConfig
from interplay.serve.engine import Engine
from interplay.worlds.market import market
from logged import RECIPE, fill, small

pytestmark = pytest.mark.browser
DARK = {**PHONE, "color_scheme": "dark", "reduced_motion": "reduce"}
LOOKS = (DARK, {"color_scheme": "light", "reduced_motion": "reduce"})


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


@pytest.fixture
def two_models(tmp_path):
    """A shop served from a store in which two models were learnt; the second is live."""
    store = Store.open(tmp_path / "shop.db")
    load(store, shop())
    for name in ("item-knn", "popular"):
        learning.train(store, name, learning=LearningConfig(gate="always"))
    with serving(Engine.over(store)) as address:
        yield address
    store.close()


def test_a_model_is_rolled_back_and_promoted_by_a_button_and_serves_without_a_pause(browser, two_models):
    def serves(name: str) -> None:
        for _ in range(100):
            if httpx.get(two_models + "/healthz").json()["engine"] == name:
                return
            assert httpx.get(two_models + "/v1/recommendations?k=3").json()["items"]
            time.sleep(0.05)
        pytest.fail(f"{name} never served")

    with opened(browser, two_models, "u66", "/operate/models") as page:
        serves("popular")
        expect(page.locator("#panel .model", has_text="popular")).to_contain_text("live")
        page.get_by_role("button", name="Go back to 1").click()
        page.get_by_role("button", name="Leave it").click()
        serves("popular")
        page.get_by_role("button", name="Go back to 1").click()
        page.get_by_role("button", name="Go back", exact=True).click()
        expect(page.locator("#panel .model", has_text="item-knn").locator(".tag")).to_have_text("live")
        serves("item-knn")
        page.get_by_role("button", name="Make live").click()
        page.get_by_role("button", name="Make it live").click()
        expect(page.locator("#panel .model", has_text="popular").locator(".tag")).to_have_text("live")
        serves("popular")


@pytest.fixture
def gated(tmp_path):
    """A shop served from a store with a live version and others whose gates stand differently."""
    store = Store.open(tmp_path / "shop.db")
    load(store, shop())
    learning.train(store, "popular", learning=LearningConfig(gate="always"))
    measured = {"metrics": {"ndcg@10": 0.12}, "baseline": {"ndcg@10": 0.15}}
    for facts in (
        {},
        {**measured, "verdict": "worse", "paired": {"ndcg@10": [-0.03, -0.041, -0.022]}, "said": "worse: as it is"},
        {**measured, "verdict": "cannot tell", "paired": {"ndcg@10": [-0.03, -0.081, 0.022]}},
        {**measured, "verdict": "better", "paired": {"ndcg@10": [0.03, 0.022, 0.041]}},
    ):
        learning.kept(store, Fitted.learn("item-knn", shop()), snapshot(store), facts, promote=None)
    with serving(Engine.over(store)) as address:
        yield address
    store.close()


def test_a_closed_gate_says_its_figure_and_what_would_open_it_and_lets_nothing_through(browser, gated, axe):
    for look in LOOKS:
        with opened(browser, gated, "u67", "/operate/models", **look) as page:
            expect(page.locator("#panel .model")).to_have_count(5)
            assert not findings(page, axe)
    with opened(browser, gated, "u67", "/operate/models") as page:
        better, unsure, worse, unjudged, live = (page.locator("#panel .model").nth(i) for i in range(5))
        expect(worse.locator(".gate.no")).to_have_text(
            "worse than what served: ndcg@10 .12, before it .15, −.030 [−.041, −.022]"
        )
        expect(better.locator(".gate:not(.no, .wait)")).to_contain_text("better than what served: ndcg@10 .12")
        expect(better.locator(".gate")).to_contain_text("+.030 [.022, .041]")
        expect(unsure.locator(".gate.wait")).to_contain_text("−.030 [−.081, .022]")
        expect(unjudged.locator(".gate.wait")).to_have_text("not judged")
        for model, why in ((worse, "It was judged worse."), (unjudged, "It was not judged.")):
            expect(model.get_by_role("button", name="Make live")).to_be_disabled()
            expect(model.locator(".gates")).to_contain_text(f"{why} What opens the gate: an experiment that keeps it")
            expect(model.locator(".gates")).to_contain_text("By force: `interplay models promote")
        for model in (better, unsure):
            expect(model.get_by_role("button", name="Make live")).to_be_enabled()
            expect(model.locator(".gates")).not_to_contain_text("By force")
        expect(live.locator(".tag")).to_have_text("live")
        better.get_by_role("button", name="Make live").click()
        page.get_by_role("button", name="Make it live").click()
        expect(better.locator(".tag")).to_have_text("live")
        expect(live.get_by_role("button", name="Make live")).to_be_enabled()  # it served before
    assert httpx.post(gated + "/v1/models/3/promote").json()["live"]["version"] == 3  # by force


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


def test_a_list_that_has_the_focus_does_not_stop_the_panel_and_an_open_one_does(browser, small_market):
    with opened(browser, small_market, "p-00004", "/operate/people") as page:
        page.get_by_role("button", name="Let them in").click()
        home, chosen = page.get_by_role("button", name="Send them home"), page.get_by_label("Look at")
        expect(home).to_be_visible()
        chosen.focus()
        chosen.select_option(index=3)
        person = chosen.input_value()
        expect(page.locator("#who-of:open")).to_have_count(0)
        httpx.post(small_market + "/v1/operate/crowd", json={"walking": False})  # somebody else sends them home
        expect(home).to_have_count(0)
        expect(chosen).to_be_focused()
        expect(chosen).to_have_value(person)
        chosen.press("Alt+ArrowDown")
        expect(page.locator("#who-of:open")).to_have_count(1)
        httpx.post(small_market + "/v1/operate/crowd", json={"walking": True})
        with page.expect_response(lambda said: said.url.endswith("/v1/operate/crowd")):
            pass
        page.wait_for_timeout(500)
        expect(page.locator("#who-of:open")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(home).to_be_visible()
        home.click()
        expect(page.get_by_role("button", name="Let them in")).to_be_visible()


def test_a_slow_press_is_not_lost_to_a_panel_that_draws_itself_anew(browser, small_market):
    with opened(browser, small_market, "p-00003", "/operate/people") as page:
        page.get_by_role("button", name="Let them in").click()
        button = page.get_by_role("button", name="Send them home")
        expect(button).to_be_visible()
        button.hover()
        page.mouse.down()
        with page.expect_response(lambda said: said.url.endswith("/v1/operate/crowd") and said.request.method == "GET"):
            pass
        with page.expect_response(lambda said: said.url.endswith("/v1/operate/crowd") and said.request.method == "GET"):
            page.wait_for_timeout(300)
        page.mouse.up()
        expect(page.get_by_role("button", name="Let them in")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_on_the_map_of_people(browser, small_market, axe, look):
    with opened(browser, small_market, "p-00002", "/operate/people", **look) as page:
        expect(page.locator('[data-chart="crowd"] svg')).to_be_visible()
        expect(page.locator('[data-chart="taste"] svg')).to_be_visible()
        assert not findings(page, axe)
        page.get_by_role("button", name="Why the engine thinks so").click()
        stage = page.get_by_role("dialog").locator(".stage").first
        expect(stage).to_contain_text(re.compile(r"person p-0\d{4} "))  # an id is no number


def test_an_experiment_is_planned_started_looked_at_and_decided_on_the_page(browser, two_models, axe):
    with opened(browser, two_models, "u3", "/operate/experiments", forgiven="422", reduced_motion="reduce") as page:
        panel = page.locator("#panel")
        expect(panel).to_contain_text("None was planned yet")
        panel.get_by_role("link", name="Plan one").click()
        expect(panel.get_by_role("heading", level=1)).to_be_focused()
        page.get_by_label("Name", exact=False).first.fill("often or alike")
        page.get_by_label("Arm 1").fill("often")
        page.get_by_label("Arm 2").fill("alike")
        expect(page.locator("[name=model1]")).to_have_value("1")
        page.get_by_label("Event").first.select_option("click")
        page.keyboard.press("Enter")
        panel.get_by_role("button", name="Plan it").click()
        expect(panel.get_by_role("alert")).to_contain_text("name is 'often or alike'")
        page.get_by_label("Name", exact=False).first.fill("often-or-alike")
        page.keyboard.press("Enter")
        expect(panel).to_contain_text("was not started yet")
        panel.get_by_role("button", name="Start it").click()
        page.get_by_role("dialog").get_by_role("button", name="Start it").click()
        expect(panel).to_contain_text("often-or-alike is running.")
        for i in range(12):
            httpx.get(two_models + "/v1/feed", params={"user_id": f"visitor-{i}"})
        page.reload()
        expect(panel).to_contain_text("50 in each are needed")
        expect(panel.locator(".gates")).to_contain_text("too early")
        label = page.locator('[data-chart="course0"] svg').get_attribute("aria-label") or ""
        assert label.startswith("alike, over ") and "clicks a page more" in label
        expect(panel.get_by_role("row", name="alike").first).to_contain_text("cannot tell")
        assert not findings(page, axe)
        httpx.post(two_models + "/v1/experiments/often-or-alike/shares", json={"shares": {"often": 0.3, "alike": 0.7}})
        page.reload()
        label = page.locator('[data-chart="shares"] svg').get_attribute("aria-label") or ""
        assert "often 50, then 30; alike 50, then 70" in label
        panel.get_by_role("button", name="Keep “alike”").click()
        page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
        expect(panel).to_contain_text("often-or-alike is stopped.")
        page.get_by_role("link", name="Models").click()
        expect(page.locator("#panel .model", has_text="item-knn").locator(".tag")).to_have_text("live")


@pytest.fixture
def logged_market(tmp_path):
    """A market served from a store whose log says by what chance things were shown."""
    store = fill(Store.open(tmp_path / "market.db"))
    learning.kept(store, Fitted.learn("popular", small().dataset), snapshot(store), {}, promote="it is there")
    with serving(Engine.over(store)) as address:
        yield address
    store.close()


def test_the_log_is_asked_what_a_pasted_recipe_would_have_earned(browser, logged_market, axe):
    with opened(browser, logged_market, "p-00001", "/operate/earned", forgiven="422", **DARK) as page:
        panel = page.locator("#panel")
        expect(panel).to_contain_text("Nothing was asked yet")
        panel.get_by_role("link", name="Ask about a recipe").click()
        page.get_by_label("Recipe", exact=False).first.select_option(label="One that I paste")
        page.get_by_label("Its text").fill("[source.a]\nsystem = 'populer'")
        panel.get_by_role("button", name="Ask").click()
        expect(panel.get_by_role("alert")).to_contain_text("populer")
        page.get_by_label("Its text").fill(RECIPE)
        panel.get_by_role("button", name="Ask").click()
        expect(panel).to_contain_text("mine.toml is being asked.")
        expect(panel).to_contain_text("mine.toml would have earned", timeout=300_000)
        label = page.locator('[data-chart="values0"] svg').get_attribute("aria-label") or ""
        assert label.startswith("what was shown: ") and "snrips: " in label
        expect(panel.get_by_role("region", name="Estimators for mine.toml").get_by_role("row")).to_have_count(5)
        expect(page.locator('[data-chart="support0"] svg')).to_be_visible()
        assert not findings(page, axe) and page.evaluate("document.scrollingElement.scrollWidth") <= 390
        panel.get_by_role("button", name="Forget this answer").click()
        page.get_by_role("dialog").get_by_role("button", name="Forget it").click()
        expect(panel).to_contain_text("Nothing was asked yet")


def test_the_log_is_asked_where_people_look_and_answers_with_a_heat_map(browser, logged_market, axe):
    with opened(browser, logged_market, "p-00001", "/operate/looks", forgiven="422", **DARK) as page:
        panel = page.locator("#panel")
        expect(panel).to_contain_text("Nothing was asked yet")
        panel.get_by_role("link", name="Ask the log").click()
        expect(page.get_by_label("What answers a page")).to_have_value("click")
        panel.get_by_role("button", name="Ask").click()
        expect(panel).to_contain_text("The log is being asked.")
        expect(panel).to_contain_text("is looked at most", timeout=300_000)
        heat = page.locator('[data-chart="heat"] svg')
        expect(heat).to_be_visible()
        label = heat.get_attribute("aria-label") or ""
        assert "place 1 100, place 2 " in label and heat.get_attribute("role") == "img"
        assert heat.locator("rect").count() == 3
        expect(panel.get_by_role("region", name="Places").get_by_role("row")).to_have_count(4)
        assert not findings(page, axe) and page.evaluate("document.scrollingElement.scrollWidth") <= 390
        panel.get_by_role("button", name="Forget this answer").click()
        page.get_by_role("dialog").get_by_role("button", name="Forget it").click()
        expect(panel).to_contain_text("Nothing was asked yet")
