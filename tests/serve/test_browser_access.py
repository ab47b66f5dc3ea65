"""The page for everybody: rules of axe-core, the keyboard alone, every width, and what it weighs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from browsing import PHONE, findings, opened, say
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

VIEWS = (
    "/", "/search?q=lamp", "/search?q=lantren", "/item/lamp-0", "/you", "/you/history", "/people", "/operate/live",
    "/operate/ingestion", "/operate/models", "/operate/benches?name=market", "/operate/people",
    "/operate/experiments?new=1", "/operate/earned?new=1",
)  # fmt: skip
FORGIVEN = "422"  # the shop has no simulated people


def settled(page):
    """Wait until the view is drawn."""
    expect(page.locator("[data-view]:not([hidden]) h1").first).to_be_attached()
    expect(page.locator("[data-view]:not([hidden]) [aria-busy]")).to_have_count(0)


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("width", (390, 1440))
def test_axe_finds_nothing_serious(browser, served, axe, width, scheme):
    look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "reduced_motion": "reduce"}
    with opened(browser, served, f"axe-{width}-{scheme}", forgiven=FORGIVEN, **look) as page:
        say(page, "no books, more calm, less tea")
        say(page, "under 2")
        wrong = findings(page, axe)
        page.locator("#heroes [data-why]").first.click()
        page.get_by_role("switch").check()
        for summary in page.locator("#why summary").all():
            summary.click()
        wrong += findings(page, axe)
        page.keyboard.press("Escape")
        page.locator("#wishes [data-wish]").first.click()
        wrong += findings(page, axe)
        for path in VIEWS:
            page.goto(served + path)
            settled(page)
            wrong += [f"{path} {w}" for w in findings(page, axe)]
        assert not wrong, wrong
    with opened(browser, served, "u2", "/you", **look) as page:  # somebody with a past
        settled(page)
        expect(page.locator("#beliefs .claim").first).to_be_visible()
        assert not findings(page, axe)


@pytest.mark.parametrize("look", ({}, PHONE))
def test_chips_and_bars_stay_readable_in_forced_colours(browser, served, look):
    with opened(browser, served, f"forced-{len(look)}", forced_colors="active", **look) as page:
        assert page.evaluate("matchMedia('(forced-colors: active)').matches")
        say(page, "only lamps, no books, more calm")
        page.locator("#heroes [data-why]").first.click()
        expect(page.get_by_role("dialog").locator(".track i").first).to_be_attached()
        seen = page.evaluate("""() => {
            const style = (el, what) => getComputedStyle(el)[what], all = (s) => [...document.querySelectorAll(s)];
            const bars = all('.track i').filter((i) => i.clientWidth > 2);
            return [all('.wish').map((w) => [style(w.querySelector('b'), 'color'), style(w, 'backgroundColor'),
                        style(w, 'borderTopColor')]),
                    bars.map((i) => [style(i, 'backgroundColor'), style(i.parentNode, 'backgroundColor')])];
        }""")
        chips, bars = seen
        assert len(chips) == 3 and bars
        assert all(text != ground for text, ground, _ in chips) and all(bar != track for bar, track in bars)
        assert all(edge != ground for _, ground, edge in chips if ground == "rgba(0, 0, 0, 0)")


@pytest.mark.parametrize("width", (320, 390, 820, 1440))
def test_no_width_scrolls_sideways(browser, served, width):
    look = {"viewport": {"width": width, "height": 844}}
    with opened(browser, served, f"wide-{width}", forgiven=FORGIVEN, **look) as page:
        say(page, "no books, more calm, less tea, under 40")
        for path in VIEWS:
            page.goto(served + path)
            settled(page)
            page.wait_for_timeout(150)
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width, path


@pytest.mark.parametrize("width", (320, 390, 820, 1440))
def test_nothing_moves_at_load_with_wishes_standing(browser, served, width):
    look = {"viewport": {"width": width, "height": 844}}
    with opened(browser, served, f"calm-{width}", **look) as page:
        say(page, "no books, more calm, less tea")
        say(page, "under 2")
        page.goto(served)
        page.wait_for_timeout(300)
        shift = page.evaluate("""() => new Promise((done) => {
            const summed = (list) => done(list.getEntries().reduce((sum, e) => sum + e.value, 0));
            new PerformanceObserver(summed).observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => done(0), 200);
        })""")
        assert shift <= 0.02


def test_the_keyboard_alone_says_changes_pins_undoes_and_asks_why(browser, served):
    with opened(browser, served, "keys") as page:

        def tab_to(selector, most=60):
            for _ in range(most):
                page.keyboard.press("Tab")
                if page.evaluate("(s) => document.activeElement.matches(s)", selector):
                    return
            raise AssertionError(f"the keyboard does not reach {selector}")

        page.locator("#cmd").focus()
        page.keyboard.type("no lamps")
        page.keyboard.press("Enter")
        expect(page.locator("#wishes b")).to_have_text(["no lamps"])
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        tab_to(".skip")
        tab_to("[data-wish]")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("[data-wish]")).to_be_focused()
        tab_to("[data-pin]", 1)
        page.keyboard.press("Space")
        expect(page.locator("[data-pin]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[data-pin]")).to_be_focused()
        tab_to("[data-drop]", 1)
        page.keyboard.press("Enter")
        expect(page.locator("#wishes li")).to_have_count(0)
        expect(page.locator("#feed-h")).to_be_focused()
        tab_to("[data-why]")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("[data-why]").first).to_be_focused()
        tab_to("#shelves [data-keep]")
        page.keyboard.press("Space")
        expect(page.locator("#news")).to_have_text("Kept.")
        page.keyboard.press("Space")
        expect(page.locator("#news")).to_have_text("No longer kept.")
        tab_to("#shelves [data-less]", 2)
        page.keyboard.press("Enter")
        expect(page.locator("[data-untake]")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#shelves [data-less]").first).to_be_focused()


def test_nothing_moves_for_who_asks_for_that_and_headings_are_in_order(browser, served):
    with opened(browser, served, "u56", reduced_motion="reduce") as page:
        say(page, "more calm")
        assert page.evaluate("document.getAnimations().length") == 0
        levels = page.evaluate("""[...document.querySelectorAll('[data-view="feed"] :is(h1, h2, h3)')]
            .map((h) => +h.tagName[1])""")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
