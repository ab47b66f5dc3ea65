"""Standing wishes are folded from events: keep, add, update, delete; undo, pin, expiry; what cancels out is gone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogue.shop import dataset, shop
from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.parse import parse
from interplay.dialogue.state import (
    VISIT_LENGTH,
    Changed,
    Removed,
    Spoke,
    State,
    Undone,
    apply,
    between,
    chip,
    fold,
    from_dict,
    to_dict,
    told,
)
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.errors import BadSetting, UnknownName
from interplay.models.neighbours import ItemKnn
from interplay.types import Requests

SHOP = Lexicon.of(shop())
DATA = dataset(shop())
CASCADE = Cascade({"taste": Source(retriever=ItemKnn())}, steer=Steer(SteerConfig(vectors=False))).fit(DATA)
MINUTE = 60_000_000


def spoke(text: str, n: int, state: State = State(), at: int | None = None) -> Spoke:
    return Spoke(event_id=f"e{n}", at=n * MINUTE if at is None else at, parsed=parse(text, SHOP, standing=state.wishes))


def said(*texts: str) -> State:
    """The wishes after a few commands."""
    state = State()
    for n, text in enumerate(texts):
        state, _ = apply(state, spoke(text, n, state))
    return state


def feed(state: State) -> list[int]:
    """What is shown while these wishes stand."""
    return CASCADE.retrieve(Requests.of(DATA, np.array([3]), wishes=[state.wishes], k=12), 12).items[0].tolist()


def words(state: State) -> list[str]:
    return [s.wish.text for s in state]


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (("no red", "under 40"), ["no red", "under 40"]),
        (("under 40", "under 20"), ["under 20"]),
        (("under 40", "over 20"), ["under 40", "over 20"]),
        (("between 10 and 40", "under 20"), ["under 20"]),
        (("kettles", "scarves"), ["scarves"]),
        (("kettles", "also scarves"), ["kettles or scarves"]),
        (("no red", "red kettles"), ["no red", "red kettles"]),
        (("no red", "red"), ["red"]),
        (("red", "no red"), ["no red"]),
        (("no red", "no blue"), ["no red", "no blue"]),
        (("more wool", "more steel"), ["more wool", "more steel"]),
        (("kettles, under 20", "scarves instead"), ["under 20", "scarves"]),
        (("no red, kettles, under 20", "I changed my mind, scarves"), ["no red", "under 20", "scarves"]),
        (("no red, kettles", "start over"), []),
        (("no red", "forget the red thing"), []),
        (("under 20, kettles", "never mind the price"), ["kettles"]),
        (("no red", "red is fine again"), []),
        (("no red", "cromulent"), ["no red"]),
    ],
)
def test_what_commands_leave(texts: tuple[str, ...], left: list[str]):
    assert words(said(*texts)) == left


def test_a_repeated_wish_is_kept_and_a_firmer_one_updates_it():
    state = said("more wool")
    same, changes = apply(state, spoke("more wool", 1))
    assert [c.did for c in changes] == ["kept"] and same.same(state)
    firmer, changes = apply(state, spoke("only wool", 2))
    assert [c.did for c in changes] == ["updated"] and firmer.standing[0].wish.hard


ASKED = (
    "no red",
    "only kettles",
    "under 30 euros",
    "more gift",
    "less than 2 hours",
    "less steel",
    "things by Orla Finch",
)
BACK = {
    "no red": "red is fine again", "only kettles": "forget the kettles", "under 30 euros": "never mind the price",
    "more gift": "forget the gift thing", "less than 2 hours": "never mind the minutes", "less steel": "forget steel",
    "things by Orla Finch": "forget Orla Finch",
}  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(ASKED), unique=True, min_size=1),
    st.randoms(use_true_random=False),
    st.sampled_from(["", "no blue", "less blue for tonight"]),
)
def test_commands_that_cancel_out_restore_what_stood(asked: list[str], random: object, stood: str):
    """Each wish is taken back some time after it was said, in any order."""
    start = said(stood) if stood else State()
    steps: list[tuple[float, int, str]] = []
    for text in asked:
        when = sorted((random.random(), random.random()))  # type: ignore[attr-defined]
        steps += [(when[0], 0, text), (when[1], 1, BACK[text])]
    state = start
    for n, (*_, text) in enumerate(sorted(steps)):
        state, _ = apply(state, spoke(text, n + 1, state))
    assert state.same(start) and feed(state) == feed(start)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from((*ASKED, *BACK.values(), "start over", "I changed my mind, scarves", "cromulent")), max_size=8
    )
)
def test_undoing_every_change_leads_back_through_every_state(texts: list[str]):
    events, states = [], [State()]
    for n, text in enumerate(texts):
        event = spoke(text, n, states[-1])
        events.append(event)
        if event.parsed.changes:
            states.append(fold(events))
    for n, state in enumerate(reversed(states[:-1])):
        events.append(Undone(event_id=f"u{n}", at=(100 + n) * MINUTE))
        assert fold(events).same(state) and feed(fold(events)) == feed(state)
    events.append(Undone(event_id="once more", at=200 * MINUTE))
    assert fold(events).same(State())


def test_every_command_of_the_property_bends_the_feed():
    assert all(feed(said(text)) != feed(State()) for text in ASKED)


def test_undo_said_in_words_is_an_undo():
    events = [spoke("no red", 0), spoke("kettles", 1), spoke("undo", 2)]
    assert words(fold(events)) == ["no red"]


def test_changes_by_hand():
    state = said("less steel", "no red")
    steel, red = state.standing
    state, changes = apply(state, Changed(event_id="c", at=MINUTE, wish_id=steel.wish_id, fields={"hard": True}))
    assert changes[0].did == "updated" and state.find(steel.wish_id).strength == "never"
    state, _ = apply(state, Removed(event_id="r", at=MINUTE, wish_id=red.wish_id))
    assert words(state) == ["less steel"]


def test_a_wish_that_no_column_can_check_cannot_be_made_hard():
    state = State(
        (replace(said("less steel").standing[0], wish=replace(said("less steel").standing[0].wish, where=None)),)
    )
    with pytest.raises(BadSetting, match="no column"):
        apply(state, Changed(event_id="c", at=0, wish_id=state.standing[0].wish_id, fields={"hard": True}))


def test_unknown_wishes_and_fields_are_refused():
    with pytest.raises(UnknownName, match="no wish called 'w'"):
        apply(State(), Removed(event_id="r", at=0, wish_id="w"))
    state = said("no red")
    with pytest.raises(UnknownName, match="no field of a wish called 'colour'"):
        apply(state, Changed(event_id="c", at=0, wish_id=state.standing[0].wish_id, fields={"colour": 1}))


def test_a_visit_ends_when_nothing_is_said_and_goes_on_while_something_is():
    events = [spoke("no red", 0, at=0), spoke("under 20", 1, at=VISIT_LENGTH - MINUTE)]
    assert words(fold(events, VISIT_LENGTH + MINUTE)) == ["no red", "under 20"]
    assert words(fold(events, 2 * VISIT_LENGTH)) == []


def test_what_is_pinned_or_said_for_always_stays():
    events = [spoke("no red", 0, at=0), spoke("always under 20", 1, at=0)]
    red = fold(events).standing[0]
    events.append(Changed(event_id="p", at=0, wish_id=red.wish_id, fields={"pinned": True}))
    later = fold(events, 100 * VISIT_LENGTH)
    assert words(later) == ["no red", "under 20"]
    assert later.standing[0].says == "never, until you say so"
    assert words(said_after(later, "start over")) == ["no red"]


def said_after(state: State, text: str) -> State:
    return apply(state, spoke(text, 9, state))[0]


def test_events_come_back_from_json_as_they_were():
    events = [
        spoke("no red, like the first, cromulent, more wool", 0), Removed(event_id="r", at=1, wish_id="w"),
        Changed(event_id="c", at=2, wish_id="w", fields={"pinned": True}), Undone(event_id="u", at=3),
    ]  # fmt: skip
    assert [from_dict(json.loads(json.dumps(to_dict(e)))) for e in events] == events


def test_the_sentences_of_the_page():
    before = said("under 40")
    after, changes = apply(before, spoke("under 20", 1, before))
    assert told(changes) == "Now: under 20 instead of under 40."
    assert told(between(after, before)) == "Now: under 40. Taken back: under 20."
    nothing = parse("cromulent", SHOP)
    assert told((), nothing) == "I found nothing here called “cromulent”, so nothing changed."
    assert told((), parse("", SHOP)) == "Nothing was said, so nothing changed."
    slip = parse("kettel", SHOP)
    _, changes = apply(State(), Spoke(event_id="e", at=0, parsed=slip))
    assert (
        told(changes, slip)
        == "Now: kettle. Nothing here is called “kettel”; read as “kettle”, the nearest word in this catalogue."
    )


def test_a_chip_says_how_strict_and_until_when():
    shown = chip(said("no red").standing[0], met=3)
    assert (shown["says"], shown["met"], shown["hard"], shown["pinned"]) == ("never, this visit", 3, True, False)
    assert shown["until"] == "1970-01-01T06:00:00+00:00" and shown["where"] == "shade == 'red'"
