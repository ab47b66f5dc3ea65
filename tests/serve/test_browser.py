"""The page in a browser: what a person sees, does and can undo."""

from __future__ import annotations

import re

import pytest
from browsing import opened, titles
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_look_changes_the_next_feed(browser, served):
    with opened(browser, served, "u1") as page:
        first = page.locator("#heroes h3 a").first.inner_text()
        page.locator("#heroes h3 a").first.click()
        expect(page.locator("#item-h")).to_have_text(first)
        expect(page.locator("#item-h")).to_be_focused()
        expect(page).to_have_title(f"{first} · Interplay")
        expect(page.get_by_role("heading", name="Similar")).to_be_visible()
        page.get_by_role("link", name="Feed", exact=True).click()
        expect(page.locator("#feed-lead")).to_contain_text("12 events")
        expect(page.get_by_role("heading", name=f"Near {first}")).to_be_visible()
        assert first not in titles(page)


def test_what_the_server_drew_is_what_the_browser_draws(browser, served):
    with opened(browser, served, "u2") as page:
        alike = page.evaluate("""async () => {
            const { cards, shelf } = await import('/web/parts.js'), { state } = await import('/web/api.js');
            const plain = (el) => el.innerHTML.replace(/loading="\\w+"/g, '');
            const drawn = (html) => plain(Object.assign(document.createElement('ul'), { innerHTML: html }));
            return [drawn(cards(state.feed.heroes, 'hero')) === plain(document.querySelector('#heroes')),
                    drawn(shelf(state.feed.shelves[0])) === drawn(document.querySelector('#shelves .shelf').outerHTML)];
        }""")
        assert alike == [True, True]


def test_search_as_you_type_repairs_narrows_and_can_be_shared(browser, served):
    with opened(browser, served, "u1") as page:
        page.keyboard.press("/")
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.type("lantren")
        expect(page.locator("#repair")).to_contain_text("Showing “lantern”")
        expect(page.locator("#found")).to_contain_text("13 results")
        expect(page.locator("#found-said")).to_contain_text("13 results")  # a line of its own, not that of the dock
        expect(page.locator("#news")).to_be_empty()
        page.get_by_label("under 24").check()
        expect(page.locator("#found")).to_contain_text("5 results")
        expect(page.get_by_label("under 24")).to_be_focused()
        page.reload()
        expect(page.locator("#found")).to_contain_text("5 results")
        page.locator("#q").fill("lantern tea")
        expect(page.locator("#repair")).to_contain_text("Nothing has every word of “lantern tea”")
        page.get_by_role("button", name="Search “lantern”").click()
        expect(page.locator("#found")).to_contain_text("5 results")


def test_why_shows_the_trace_stage_by_stage_and_gives_the_focus_back(browser, served):
    with opened(browser, served, "u1") as page:
        why = page.locator("#heroes [data-why]").first
        why.focus()
        page.keyboard.press("Enter")
        drawer = page.get_by_role("dialog")
        expect(drawer.locator(".stage h3")).to_have_text(["Understand", "Retrieve", "Rank", "Rules", "Page"])
        expect(drawer.locator(".narrow")).to_have_attribute("aria-label", re.compile(r"160 items, \d+ allowed"))
        expect(drawer).to_contain_text("Already seen")
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(why).to_be_focused()


def test_keeping_and_less_like_this_can_be_taken_back_where_they_are_shown(browser, served):
    with opened(browser, served, "u5") as page:
        card = page.locator("#shelves .card").first
        keep = card.locator("[data-keep]")
        with page.expect_response("**/v1/events"):  # acknowledged: what is reloaded before is a race
            keep.click()
        expect(keep).to_have_attribute("aria-pressed", "true")
        page.reload()
        page.get_by_role("link", name="Search", exact=True).click()
        kept = page.locator('#hits [aria-pressed="true"]')
        expect(kept).to_have_count(1)
        kept.click()
        page.get_by_role("link", name="Feed", exact=True).click()
        expect(page.locator("#feed-lead")).to_contain_text("11 events")
        card = page.locator("#shelves .card").first
        gone = card.locator("h3").inner_text()
        card.locator("[data-less]").click()
        back = card.get_by_role("button", name="Take back")
        expect(back).to_be_focused()
        back.click()
        card.locator("[data-less]").click()
        page.get_by_role("link", name="Feed", exact=True).click()
        expect(page.locator("#shelves .card h3").first).not_to_have_text(gone)
        assert gone not in titles(page)


def test_one_can_become_somebody_else_or_a_stranger(browser, served):
    with opened(browser, served, "u1") as page:
        page.locator(".who").click()
        expect(page.locator("#people button")).not_to_have_count(0)
        page.get_by_role("button", name="A stranger").click()
        expect(page.locator("#feed-h")).to_have_text("Hello. Nothing is known of you.")
        page.reload()
        expect(page.locator("#feed-h")).to_have_text("Hello. Nothing is known of you.")
        page.locator(".who").click()
        page.locator("#people button").first.click()
        expect(page.locator("#feed-lead")).to_contain_text("11 events")


def test_the_feed_goes_on_and_coming_back_finds_it_as_it_was(browser, served):
    with opened(browser, served, "u7") as page:
        page.mouse.wheel(0, 20_000)
        expect(page.locator("#rest .card")).not_to_have_count(0)
        for _ in range(6):
            page.mouse.wheel(0, 20_000)
            page.wait_for_timeout(120)
        shown = titles(page)
        assert len(shown) == len(set(shown)) > 60
        link = page.locator("#rest h3 a").nth(6)
        link.scroll_into_view_if_needed()
        top = page.evaluate("scrollY")
        link.click()
        expect(page.locator("#item-h")).to_be_visible()
        page.go_back()
        expect(page.locator("#feed-note")).to_contain_text("would change this feed")
        assert abs(page.evaluate("scrollY") - top) < 200 and titles(page) == shown


def test_an_engine_that_is_gone_is_said_in_a_sentence_and_what_was_done_is_sent_later(browser, served):
    with opened(browser, served, "u9", forgiven="ERR_FAILED") as page:
        page.route("**/v1/**", lambda route: route.abort())
        page.locator("#shelves [data-keep]").first.click()
        page.get_by_role("link", name="Search", exact=True).click()
        expect(page.locator("#hits")).to_contain_text("The engine is not answering.")
        page.unroute("**/v1/**")
        page.get_by_role("button", name="Try now").click()
        expect(page.locator("#found")).to_contain_text("160 things")
        expect(page.locator('#hits [aria-pressed="true"]')).to_have_count(1)
        page.get_by_role("link", name="Feed", exact=True).click()
        expect(page.locator("#feed-lead")).to_contain_text("12 events")
