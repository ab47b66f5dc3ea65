"""What is believed of a person, what was seen of them, and how they take it along or erase it."""

from __future__ import annotations

import json

import pytest
from browsing import PHONE, opened, say
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("user", "look"), (("u41", {}), ("u41-phone", PHONE)))
def test_statements_can_be_written_edited_pinned_and_deleted(browser, served, user, look):
    with opened(browser, served, user, "/you", **look) as page:
        page.get_by_role("button", name="Write one yourself").click()
        page.get_by_label("Say it your way").fill("Drinks nothing hot after six.")
        page.get_by_role("button", name="Save").click()
        mine = page.locator("#beliefs li", has_text="Drinks nothing hot")
        expect(mine.locator(".tag")).to_have_text("agreed")
        expect(mine.get_by_role("img")).to_have_attribute("aria-label", "Confidence 100 %")
        mine.get_by_role("button", name="Edit").click()
        page.get_by_label("Say it your way").fill("Reads on trains.")
        page.keyboard.press("Enter")
        mine = page.locator("#beliefs li", has_text="Reads on trains")
        expect(mine.get_by_role("button", name="Edit")).to_be_focused()
        pin = mine.get_by_role("button", name="Pin")
        before = pin.get_attribute("aria-pressed")
        pin.click()
        expect(pin).not_to_have_attribute("aria-pressed", before or "")
        page.reload()
        mine = page.locator("#beliefs li", has_text="Reads on trains")
        mine.get_by_role("button", name="Delete").click()
        expect(mine).to_have_count(0)


def test_a_guess_stands_with_what_it_rests_on_and_can_be_agreed_to(browser, served):
    with opened(browser, served, "u2", "/you") as page:
        guess = page.locator("#beliefs li:not(.agreed)").first
        words = guess.locator(".claim").inner_text()
        expect(guess.locator(".evidence")).not_to_be_empty()
        guess.get_by_role("button", name="That is so").click()
        expect(page.locator("#beliefs li.agreed", has_text=words)).to_be_visible()


def test_history_shows_what_was_done_and_takes_it_back(browser, served):
    with opened(browser, served, "u43") as page:
        say(page, "no lamps")
        name = page.locator("#heroes h3 a").first.inner_text()
        page.locator("#heroes h3 a").first.click()
        expect(page.locator("#item-h")).to_have_text(name)
        page.get_by_role("link", name="You", exact=True).click()
        page.get_by_role("link", name="Your whole history").click()
        expect(page.locator("#history-h")).to_be_focused()
        expect(page.locator("#days")).to_contain_text("said no lamps")
        back = page.get_by_role("button", name=f"Take back: looked at {name}")
        back.click()
        expect(page.locator("#days li.back")).to_contain_text(name)
        page.get_by_role("button", name="Said").click()
        expect(page.locator("#days li")).to_have_count(1)
        page.reload()
        expect(page.locator("#days")).to_contain_text("said no lamps")
        expect(page.get_by_role("button", name=f"Take back: looked at {name}")).to_have_count(0)


def test_everything_held_can_be_taken_along_in_one_file(browser, served):
    with opened(browser, served, "u44") as page:
        say(page, "no lamps")
        page.get_by_role("link", name="You", exact=True).click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Export my data").click()
        held = json.loads(waiting.value.path().read_text())
        assert "no lamps" in json.dumps(held)


def test_erasing_asks_twice_and_leaves_a_stranger(browser, served):
    with opened(browser, served, "u45") as page:
        say(page, "no lamps")
        page.get_by_role("link", name="You", exact=True).click()
        page.get_by_role("button", name="Erase me").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("1 wish")
        dialog.get_by_role("button", name="Keep it").click()
        expect(page.locator("#you-h")).to_have_text("What Interplay believes about you")
        page.get_by_role("button", name="Erase me").click()
        dialog.get_by_role("button", name="Erase").click()
        expect(page.locator("#you-h")).to_have_text("You are erased")
        page.get_by_role("link", name="See the feed of a stranger").click()
        expect(page.locator("#feed-h")).to_have_text("Hello. Nothing is known of you.")
        expect(page.locator("#wishes li")).to_have_count(0)
    with opened(browser, served, "u45") as page:
        expect(page.locator("#feed-h")).to_have_text("Hello. Nothing is known of you.")


def test_any_person_is_found_by_the_beginning_of_their_id_and_an_unknown_one_is_refused(browser, served):
    with opened(browser, served, "u1", "/people") as page:
        field = page.get_by_label("Somebody else, by id or name")
        expect(page.locator("#people [data-person]")).not_to_have_count(0)
        field.fill("U5")
        expect(page.locator("#people b")).to_have_text(
            ["Person u5", *(f"Person u{i}" for i in range(50, 57)), "A stranger"]
        )
        field.fill("nobody-like-this")
        expect(page.locator("#nobody")).to_have_text(
            "Nobody known here is called “nobody-like-this”. Whoever is new is a stranger."
        )
        expect(page.locator("#people b")).to_have_text(["A stranger"])
        page.keyboard.press("Enter")
        expect(page.locator("#who-name")).to_have_text("Person u1")
        field.fill("u57")
        page.keyboard.press("Enter")
        expect(page.locator("#who-name")).to_have_text("Person u57")
        expect(page.locator("#feed-lead")).to_contain_text("11 events")


def test_what_a_stranger_did_can_join_the_person_they_sign_in_as(browser, served):
    with opened(browser, served, "visitor-51") as page:
        say(page, "no lamps")
        page.locator(".who").click()
        page.locator("#people button").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("1 wish")
        dialog.get_by_role("button", name="Take it along").click()
        expect(page.locator("#wishes li", has_text="no lamps")).to_have_count(1)
        expect(page.locator("#who-name")).not_to_have_text("A stranger")
        page.get_by_role("button", name="Take back no lamps").click()


def test_what_a_stranger_did_can_be_left_behind(browser, served):
    with opened(browser, served, "visitor-52") as page:
        say(page, "no lamps")
        page.locator(".who").click()
        page.locator("#people button").nth(1).click()
        page.get_by_role("dialog").get_by_role("button", name="Leave it behind").click()
        expect(page.locator("#who-name")).not_to_have_text("A stranger")
        expect(page.locator("#wishes li", has_text="no lamps")).to_have_count(0)


def test_what_waits_to_be_sent_survives_a_reload_and_counts_once(browser, served):
    with opened(browser, served, "u46", forgiven="ERR_FAILED") as page:
        page.route("**/v1/events", lambda route: route.abort())
        keep = page.locator("#shelves [data-keep]").first
        name = keep.get_attribute("data-keep")
        keep.click()
        page.reload()
        again = page.locator(f'[data-keep="{name}"]').first
        expect(again).to_have_attribute("aria-pressed", "true")
        page.unroute("**/v1/events")
        page.reload()
        for _ in range(50):
            held = page.evaluate("fetch('/v1/people/u46').then((r) => r.json())")
            if held["kept"]:
                break
            page.wait_for_timeout(100)
        assert list(held["kept"]) == [name]
        page.reload()
        assert page.evaluate("sessionStorage.getItem('interplay.waiting')") == "[]"


def test_a_thing_can_be_put_in_the_basket_and_taken_out(browser, served):
    with opened(browser, served, "u47", "/item/lamp-0") as page:
        put = page.get_by_role("button", name="Put in basket")
        put.click()
        inside = page.get_by_role("button", name="In your basket")
        expect(inside).to_have_attribute("aria-pressed", "true")
        page.reload()
        inside.click()
        expect(put).to_be_visible()
