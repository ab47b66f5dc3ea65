"""Why this, and what if: the trace in words and numbers, and changing one stage of it."""

from __future__ import annotations

import re

import pytest
from browsing import PHONE, opened, say, serving
from playwright.sync_api import expect
from serving import judged

pytestmark = pytest.mark.browser


def drawer(page, at=0):
    """Open the drawer of a hero and turn debug mode on."""
    page.locator("#heroes [data-why]").nth(at).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("switch").check()
    return dialog


def change(dialog, what):
    """Open one stage's form."""
    dialog.locator("summary", has_text=what).click()
    return dialog.locator(f'form[aria-label="{what}"]')


def test_the_drawer_says_what_was_asked_for_and_what_was_learnt(browser, served):
    with opened(browser, served, "u31") as page:
        say(page, "no books, more calm")
        page.locator("#heroes [data-why]").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".answer")).to_contain_text("it fits more calm")
        expect(dialog.locator(".bars", has_text="no books").locator(".said-bar").first).to_be_attached()
        expect(dialog.locator(".bars", has_text="Your wishes").locator(".said-bar").first).to_be_attached()


@pytest.mark.parametrize(("user", "look"), (("u32", {}), ("u32-phone", PHONE)))
def test_a_changed_weight_runs_what_lies_downstream_and_says_what_rose(browser, served, user, look):
    with opened(browser, served, user, **look) as page:
        dialog = drawer(page)
        form = change(dialog, "Change the score")
        slider = form.get_by_label("Popular")
        slider.evaluate("el => { el.value = 0; el.dispatchEvent(new Event('input', { bubbles: true })); }")
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag")).to_have_text(
            ["kept as it was", "kept as it was", "edited by you", "kept as it was", "run again"]
        )
        expect(dialog.locator("#edit-said")).to_contain_text(re.compile("rose|New on the page|Nothing rose"))
        expect(dialog.locator(".log")).to_contain_text("edit.rank")
        undo = dialog.get_by_role("button", name="Undo the edit")
        expect(undo).to_be_focused()
        undo.click()
        expect(dialog.locator(".stage .top .tag")).to_have_count(0)
        expect(dialog.get_by_role("switch")).to_be_focused()


def test_rules_act_inside_the_search_so_three_stages_run_again(browser, served):
    with opened(browser, served, "u33") as page:
        dialog = drawer(page)
        form = change(dialog, "Change the rules")
        form.get_by_label("Only where").fill("kind == 'tea'")
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag")).to_have_text(
            ["kept as it was", "run again", "run again", "edited by you", "run again"]
        )
        expect(dialog.locator("#edit-said")).to_contain_text("Rules act inside the search")
        expect(dialog.locator("#edit-said")).to_contain_text("New on the page")


def test_a_source_can_be_left_out_and_a_wish_unread(browser, served):
    with opened(browser, served, "u34") as page:
        say(page, "no books, more calm")
        dialog = drawer(page)
        form = change(dialog, "Change the sources")
        form.get_by_label("Trending").uncheck()
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag").nth(1)).to_have_text("edited by you")
        dialog.get_by_role("button", name="Undo the edit").click()
        form = change(dialog, "Change how it was read")
        form.get_by_label("calm").uncheck()
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag").first).to_have_text("edited by you")
        page.keyboard.press("Escape")
        expect(page.locator("#wishes b")).to_have_count(2)  # an edit is a try; the wishes stand


def test_the_words_of_a_search_can_be_read_as_others(browser, served):
    with opened(browser, served, "u37", "/search?q=lantern") as page:
        page.locator("#hits [data-why]").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".answer")).to_contain_text("You asked for lantern.")
        dialog.get_by_role("switch").check()
        form = change(dialog, "Change how it was read")
        expect(form.get_by_label("The query")).to_have_value("lantern")
        form.get_by_label("The query").fill("smoked tea")
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag").first).to_have_text("edited by you")
        expect(dialog.locator("#edit-said")).to_contain_text(re.compile("New on the page: .*smoked tea"))
        expect(dialog.locator(".log")).to_contain_text('"query":"smoked tea"')
        dialog.get_by_role("button", name="Undo the edit").click()
        page.keyboard.press("Escape")
        expect(page.locator("#hits h3").first).to_contain_text("lantern")  # the results themselves stand


def test_an_edit_that_cannot_be_read_is_refused_in_a_sentence(browser, served):
    with opened(browser, served, "u35", forgiven="422") as page:
        dialog = drawer(page)
        form = change(dialog, "Change the rules")
        form.get_by_label("Only where").fill("prise <")
        form.get_by_role("button", name="Run on from here").click()
        expect(form.get_by_role("alert")).to_contain_text("prise")


def test_the_page_can_be_made_more_varied(browser, served):
    with opened(browser, served, "u36") as page:
        dialog = drawer(page)
        form = change(dialog, "Change the page")
        form.get_by_label("Of one kind, at most").evaluate("el => { el.value = 1; }")
        form.get_by_role("button", name="Run on from here").click()
        expect(dialog.locator(".stage .top .tag").nth(4)).to_have_text("edited by you")
        expect(dialog.locator(".stage").nth(4)).to_contain_text("at most 1 of one kind")


def test_debug_mode_shows_the_experts_of_a_person_and_what_each_event_did_to_them(browser):
    with serving(judged()) as served, opened(browser, served, "u31") as page:
        page.locator("#heroes [data-why]").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".stages")).to_contain_text("aw-moe")
        assert "experts" not in dialog.inner_text()  # only who wants to know is told
        dialog.get_by_role("switch").check()
        expect(dialog).to_contain_text("Shares of the ranker’s experts, here and for somebody without a past")
        rank = dialog.locator(".stage", has_text="Shares of the ranker’s experts")
        expect(rank.locator(".bars", has_text="Expert 4")).to_contain_text("without a past")
        told = rank.get_by_text(re.compile(r"^Without .*, expert \d would have"))
        expect(told).to_have_count(2)
        before, instead = (float(n.replace("−", "-")) for n in told.first.locator("b").all_inner_texts())
        assert before != instead


def test_debug_mode_shows_the_fields_and_the_events_that_an_outcome_looked_at(browser):
    with serving(judged("infnet")) as served, opened(browser, served, "u31") as page:
        dialog = drawer(page)
        rank = dialog.locator(".stage", has_text="Looked at most for like")
        shares = rank.locator(".bars", has_text=re.compile("no. \\d+"))  # events of the past have titles
        expect(shares.locator(".n")).to_have_text([re.compile("^(under )?[0-9.]+ %$")] * 4)
