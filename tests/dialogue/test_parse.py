"""One command becomes typed wishes: polarity and reach, strength, references, take-backs, nothing for nonsense."""

from __future__ import annotations

import pytest

from dialogue.shop import films, shop
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.parse import parse
from interplay.dialogue.said import Parsed

SHOP, FILMS = Lexicon.of(shop()), Lexicon.of(films())


def wishes(parsed: Parsed) -> list[tuple[str, str | None]]:
    """Each wish as (+/- and hard/soft, where)."""
    return [(("+" if p.wish.wanted else "-") + ("!" if p.wish.hard else "~"), p.wish.where) for p in parsed.wishes]


COMEDY, HORROR, NOIR = (
    "categories contains 'Comedy'",
    "categories contains 'Horror'",
    "categories contains 'Film-Noir'",
)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("no horror", [("-!", HORROR)]),
        ("no horror or noir", [("-!", HORROR), ("-!", NOIR)]),
        ("no horror, more comedies", [("-!", HORROR), ("+~", COMEDY)]),
        ("no horror but comedies", [("-!", HORROR), ("+!", COMEDY)]),
        ("anything but horror", [("-!", HORROR)]),
        ("comedies without horror", [("+!", COMEDY), ("-!", HORROR)]),
        ("comedies instead of horror", [("+!", COMEDY), ("-!", HORROR)]),
        ("less horror", [("-~", HORROR)]),
        ("not so much horror", [("-~", HORROR)]),
        ("horror is not for me", [("-!", HORROR)]),
        ("horror? no thanks", [("-!", HORROR)]),
        ("only comedies", [("+!", COMEDY)]),
        ("not only comedies", [("+!", COMEDY)]),
        ("I can't get enough of comedies", [("+~", COMEDY)]),
        ("don't hide comedies", [("+!", COMEDY)]),
        ("comedies or noir", [("+!", f"({COMEDY}) or ({NOIR})")]),
        ("swap the horror for comedies", [("-!", HORROR), ("+!", COMEDY)]),
        ("before 1980", [("+!", "year < 1980")]),
        ("nothing newer than 1980", [("-!", "year > 1980")]),
        ("more 90s comedies", [("+~", f"year >= 1990 and year <= 1999 and {COMEDY}")]),
        ("no horor", [("-!", HORROR)]),
    ],
)  # fmt: skip
def test_polarity_strength_and_reach(said: str, found: list[tuple[str, str]]):
    assert wishes(parse(said, FILMS)) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("nothing older, 1980 is the limit", [("+!", "year >= 1980")]),
        ("these are too old, from 1980 please", [("+!", "year >= 1980")]),
        ("only newer ones, 1980 or so and up", [("+!", "year >= 1980")]),
        ("before 1980 is too old", [("-!", "year < 1980")]),
        ("no older films than those of 1980", [("+!", "year >= 1980")]),
        ("older than 1980? no", [("-!", "year < 1980")]),
        ("no film that is older than 1980", [("-!", "year < 1980")]),
        ("I won't go further back than 1980", [("-!", "year < 1980")]),
        ("unless it was made after 1980 I don't want it", [("+!", "year > 1980")]),
        ("make 1980 the minimum", [("+!", "year >= 1980")]),
        ("at the earliest from 1980", [("+!", "year >= 1980")]),
        ("something shorter, 90 minutes", [("+!", "runtime <= 90")]),
        ("anything from 1980 on and no horror", [("+!", "year >= 1980"), ("-!", HORROR)]),
        ("after 1980 and fewer comedies", [("+!", "year > 1980"), ("-~", COMEDY)]),
        ("no horror and newer: 1980 and up", [("-!", HORROR), ("+!", "year >= 1980")]),
    ],
)
def test_a_bound_is_read_however_its_side_is_said(said: str, found: list[tuple[str, str]]):
    assert wishes(parse(said, FILMS)) == found


def test_a_list_of_noes_ends_at_an_amount():
    assert wishes(parse("no horror, under 2 hours", FILMS)) == [("-!", HORROR), ("+!", "runtime < 120")]


def test_words_of_one_phrase_are_one_wish():
    assert wishes(parse("red kettles", SHOP)) == [("+!", "shade == 'red' and kind == 'kettle'")]
    assert wishes(parse("no red kettles", SHOP)) == [("-!", "shade == 'red' and kind == 'kettle'")]
    assert wishes(parse("red or blue kettles", SHOP)) == [
        ("+!", "(shade == 'red' or shade == 'blue') and kind == 'kettle'")
    ]


def test_a_name_with_an_initial_is_one_name():
    assert wishes(parse("no more things by R. Teal", SHOP)) == [("-!", "maker == 'R. Teal'")]


def test_a_comparative_is_measured_against_the_thing_referred_to():
    prices = shop()["price"]
    parsed = parse("something like the second one but cheaper", SHOP, shown=(3, 9, 4))
    assert parsed.wishes[0].wish.like == (9,)
    assert parsed.wishes[1].wish.where == f"price < {prices[9]:g}"


def test_a_comparative_alone_is_measured_against_what_is_shown():
    prices = sorted(shop()["price"][i] for i in (3, 9, 4))
    assert wishes(parse("cheaper", SHOP, shown=(3, 9, 4))) == [("+!", f"price < {prices[1]:g}")]
    assert wishes(parse("too expensive", SHOP, shown=(3, 9, 4))) == [("+!", f"price < {prices[1]:g}")]


@pytest.mark.parametrize(
    ("said", "items"), [("like number 3", (4,)), ("more like the last one", (7,)), ("like the first two", (3, 9))]
)
def test_references_point_into_the_page(said: str, items: tuple[int, ...]):
    assert parse(said, SHOP, shown=(3, 9, 4, 7)).wishes[0].wish.like == items


def test_a_reference_past_the_page_says_nothing():
    assert not parse("like the tenth one", SHOP, shown=(3, 9)).wishes


def test_words_of_the_texts_can_be_asked_for_and_refused():
    assert wishes(parse("something about a harbour", SHOP)) == [
        ("+~", "(title contains 'harbour' or text contains 'harbour')")
    ]
    assert wishes(parse("nothing about tents", SHOP)) == [("-!", "(title contains 'tent' or text contains 'tent')")]


@pytest.mark.parametrize("said", ["", "  ", "?!", "cromulent", "under 2 parsecs"])
def test_nonsense_changes_nothing(said: str):
    assert not parse(said, SHOP).changes


def test_what_is_unknown_is_named_with_near_words():
    parsed = parse("cromulent", SHOP)
    assert parsed.unknown == ("cromulent",) and parsed.near


def test_an_amount_that_nothing_is_measured_in_is_named():
    assert parse("no red, under 3 kg", SHOP).unknown == ("under 3 kg",)


@pytest.mark.parametrize("said", ["start over", "forget everything", "clear my wishes, please", "wipe the slate clean"])
def test_starting_over(said: str):
    assert parse(said, SHOP).reset


def test_a_change_of_mind_is_no_reset():
    parsed = parse("I changed my mind, kettles", SHOP)
    assert parsed.drift and not parsed.reset and wishes(parsed) == [("+!", "kind == 'kettle'")]


def test_a_wish_is_taken_back_by_its_words_or_its_column():
    assert parse("forget the horror thing", FILMS).taken_back[0].values == ("Horror",)
    assert parse("never mind the price", SHOP).taken_back[0].about == ("price",)
    no_horror = parse("no horror", FILMS).wishes[0].wish
    assert parse("horror is fine again", FILMS, standing=(no_horror,)).taken_back[0].unwanted_only


def test_how_long_a_wish_lasts():
    assert parse("always under 20 euros", SHOP).wishes[0].lasts == "always"
    assert parse("kettles for tonight", SHOP).wishes[0].lasts == "today"
    assert parse("kettles", SHOP).wishes[0].lasts == "this visit"


def test_a_question_asks_for_nothing():
    parsed = parse("is it a horror?", FILMS, shown=(1,))
    assert parsed.acts == ("ask",) and not parsed.wishes
    assert parsed.mentions[0].wanted is None


def test_what_points_back_speaks_of_the_sentence_before():
    assert wishes(parse("Why so much horror? I don't want that.", FILMS)) == [("-!", HORROR)]


def test_having_seen_something_is_no_wish():
    parsed = parse('I have seen "Story of Number 3"', FILMS)
    assert not parsed.wishes and parsed.mentions[0].items == (3,)
    assert parsed.mentions[0].wanted is None


def test_titles_are_references():
    assert parse('more like "Story of Number 3"', FILMS).wishes[0].wish.like == (3,)
    assert parse("something like Story of Number 3 (1963)", FILMS).wishes[0].wish.like == (3,)


def test_a_sentence_without_a_cue_leans_as_its_nearest_examples_do():
    against = parse(
        "kettles make me grumble", SHOP, leaning=lambda sentence: "no" if sentence == "stuff make me grumble" else None
    )
    assert wishes(against) == [("-!", "kind == 'kettle'")]
    unsure = parse("kettles make me grumble", SHOP, known=lambda _: True, leaning=lambda _: None)
    assert wishes(unsure) == [("+~", "kind == 'kettle'")]


def test_a_command_is_read_up_to_a_length():
    assert len(parse("red " * 1000, SHOP).text) == 600
