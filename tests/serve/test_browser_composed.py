"""A page that an arranger composed, beside the page as it stands without it: seen, switched and read out."""

from __future__ import annotations

import pytest
from browsing import opened, serving, titles
from composed import composed
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def arranged():
    with serving(composed()) as address:
        yield address


def test_the_page_without_the_arranger_is_one_switch_away_and_what_moved_one_button(browser, arranged):
    with opened(browser, arranged, "u3") as page:
        expect(page.locator("#composed")).to_contain_text("stand elsewhere than by the fixed order")
        first = titles(page)
        page.get_by_role("button", name="What moved, and why").click()
        dialog = page.get_by_role("dialog", name="What moved, and why")
        expect(dialog.get_by_role("heading", name="Shelves")).to_be_visible()
        expect(dialog.get_by_role("heading", name="Without the arranger")).to_have_count(2)
        expect(dialog.locator(".went small").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="What moved, and why")).to_be_focused()
        switch = page.get_by_role("switch", name="Without the arranger")
        switch.focus()
        page.keyboard.press("Space")
        expect(page.locator("#composed")).to_contain_text("the fixed rule for shelves")
        expect(switch).to_be_checked()
        expect(switch).to_be_focused()
        expect(page.locator("#news")).to_have_text("This is the page without the arranger.")
        assert titles(page) != first
        page.keyboard.press("Space")
        expect(page.locator("#composed")).to_contain_text("stand elsewhere than by the fixed order")
        assert titles(page)[:4] == first[:4]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_why_shows_both_orders_and_nothing_keeps_anybody_out(browser, arranged, axe, scheme):
    with opened(browser, arranged, "u4", viewport={"width": 390, "height": 844}, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#heroes [data-why]").first.click()
        dialog = page.get_by_role("dialog")
        dialog.locator("summary", has_text="with and without").click()
        expect(dialog.locator(".both-ways li").first).to_be_visible()
        dialog.get_by_role("switch").check()
        dialog.locator("summary", has_text="Change the page").click()
        dialog.get_by_label("Let the arranger choose the page").uncheck()
        dialog.locator('form[data-stage="page"] button').click()
        expect(dialog.locator("#edit-said")).to_contain_text("Page changed")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="What moved, and why").click()
        page.evaluate(axe)
        found = page.evaluate("async () => await axe.run(document, { resultTypes: ['violations'] })")["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
