"""What is believed of a person: guesses that can be checked, and the last word that the person has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.dialogue.profile import (
    DAY,
    HALF_LIFE,
    Trait,
    checked,
    confidence,
    corrected,
    folded,
    guess_id,
    guessed,
    sensitive,
)
from interplay.errors import BadSetting, UnknownName

N, NOW = 100, 1_700_000_000_000_000
TENTH = np.arange(N) % 10 == 0


def trait(where: str = "kind == 'tea'", mask: np.ndarray = TENTH, text: str = "Likes teas") -> Trait:
    return Trait(trait_id=where, text=text, named="teas", where=where, mask=mask, share=float(mask.mean()))


def history(teas: int, others: int, days: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    items = np.array([0] * teas + [1] * others, np.int32)
    return items, np.full(len(items), NOW - round(days * DAY))


def test_a_statement_needs_events_a_surplus_and_certainty():
    assert [b.text for b in guessed(*history(6, 4), [trait()], NOW)] == ["Likes teas"]
    assert guessed(*history(2, 0), [trait()], NOW) == []  # two events are no taste
    assert guessed(*history(10, 90), [trait()], NOW) == []  # as everybody
    assert guessed(np.zeros(0, np.int32), None, [trait()], NOW) == []


def test_a_statement_says_what_it_rests_on_and_how_it_fades():
    belief = guessed(*history(6, 4), [trait()], NOW)[0]
    assert belief.evidence == ("6 of 10 events are about teas; among everybody it is 10 %.", "The last was yesterday.")
    assert belief.source == "guessed" and "30 days" in belief.fades and 0.75 <= belief.confidence < 1


def test_confidence_is_the_chance_that_the_claim_comes_true():
    rng = np.random.default_rng(0)
    share = 0.1
    tastes = rng.beta(8 * share, 8 * (1 - share), 4000)  # people as the prior has them
    hits = rng.binomial(20, tastes)
    said = np.array([confidence(h, 20, share) for h in hits])
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
        among = (said >= low) & (said < high)
        if among.sum() > 50:
            assert abs((tastes[among] > share).mean() - said[among].mean()) < 0.06


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.01, 0.9))
def test_more_of_it_never_makes_less_sure(hits, others, share):
    assert confidence(hits + 1, hits + others + 1, share) >= confidence(hits, hits + others, share) - 1e-9


def test_old_events_count_less_until_nothing_is_stated():
    fresh = guessed(*history(6, 4, 1), [trait()], NOW)[0].confidence
    old = guessed(*history(6, 4, 2 * HALF_LIFE), [trait()], NOW)[0].confidence
    assert old < fresh and guessed(*history(6, 4, 12 * HALF_LIFE), [trait()], NOW) == []


def test_what_counts_more_makes_surer():
    items, at = history(4, 6)
    plain = guessed(items, at, [trait()], NOW)[0]
    bought = guessed(items, at, [trait()], NOW, worth=np.where(items == 0, 3.0, 1.0))[0]
    assert bought.share > plain.share


def test_two_names_for_the_same_things_are_one_statement():
    both = [trait(), trait("categories contains 'Teas'", text="Likes Teas")]
    assert len(guessed(*history(6, 4), both, NOW)) == 1


@pytest.mark.parametrize(
    "text", ["Reads about diabetes", "Likes books whose topic is Islam", "Is gay", "Votes Republican"]
)
def test_some_things_are_never_guessed_and_never_kept(text):
    assert sensitive(text) and guessed(*history(6, 4), [trait(text=text)], NOW) == []
    with pytest.raises(BadSetting, match="never kept"):
        checked(text)


def test_everyday_words_are_not_taken_for_private_ones():
    for text in ("Likes racing games", "Likes romance novels", "Likes Turkish tea", "Likes things by Churchill Works",
                 "Mostly chooses things with a price under 20", "Likes race cars", "Likes jewels",
                 "Likes hives"):  # fmt: skip
        assert not sensitive(text), text


# ---------------------------------------------------------------------------------------------------------- corrections

GUESS = guess_id("kind == 'tea'")
ABOUT = {"statement_id": GUESS, "where": "kind == 'tea'", "text": "Likes teas"}


def believed(*payloads: dict, teas: int = 6):
    notes = folded([(NOW, p) for p in payloads])
    return corrected(guessed(*history(teas, 4), [trait()], NOW, spared=notes.spared), notes), notes


def test_agreeing_makes_it_certain_and_lasting():
    (belief,), notes = believed({"op": "agree", "on": True, **ABOUT})
    assert (belief.source, belief.confidence) == ("agreed", 1.0) and belief.fades == "stays until you say so"
    assert notes.leanings == [("kind == 'tea'", True)]
    assert believed({"op": "agree", "on": True, **ABOUT}, teas=0)[0][0].text == "Likes teas"  # after it faded too
    assert (
        believed({"op": "agree", "on": True, **ABOUT}, {"op": "agree", "on": False, **ABOUT})[0][0].source == "guessed"
    )


def test_a_pinned_guess_stays_when_its_evidence_fades():
    belief = believed({"op": "pin", "on": True, **ABOUT}, teas=0)[0][0]
    assert (
        belief.pinned and belief.source == "guessed" and believed({"op": "pin", "on": False, **ABOUT}, teas=0)[0] == []
    )


def test_other_words_take_the_place_of_a_guess():
    (belief,), notes = believed(
        {"op": "edit", "statement_id": GUESS, "text": "Only green tea", "where": "x", "wanted": True}
    )
    assert belief.source == "said" and belief.text == "Only green tea"
    assert belief.evidence[0] == "You changed this; it was guessed as “Likes teas”." and notes.leanings == [("x", True)]


def test_a_deleted_guess_is_not_made_again_from_the_same_events():
    held, notes = believed({"op": "drop", **ABOUT})
    assert held == [] and notes.muted == [("kind == 'tea'", NOW)] and notes.leanings == []
    items, at = history(6, 4)
    assert guessed(items, at + 10 * DAY, [trait()], NOW + 10 * DAY, spared=notes.spared)  # new events may say so again


def test_what_one_wrote_can_be_changed_and_deleted():
    written = {"op": "write", "statement_id": "s-1", "text": "Reads at night", "where": None}
    held, _ = believed(written, teas=0)
    assert held[0].evidence[1].startswith("This catalogue has no word for it") and held[0].confidence == 1.0
    held, _ = believed(written, {"op": "edit", "statement_id": "s-1", "text": "Reads by day"}, teas=0)
    assert held[0].text == "Reads by day"
    assert believed(written, {"op": "drop", "statement_id": "s-1"}, teas=0)[0] == []


def test_ones_own_words_come_first():
    held, _ = believed({"op": "write", "statement_id": "s-1", "text": "Hates lamps", "where": "l", "wanted": False})
    assert [b.source for b in held] == ["said", "guessed"]


def test_an_operation_that_does_not_exist_is_refused():
    with pytest.raises(UnknownName, match="agree"):
        folded([(NOW, {"op": "agre", "statement_id": "x"})])
