"""The words of a catalogue are learnt from its own columns."""

from __future__ import annotations

import polars as pl
import pytest

from dialogue.shop import films, shop
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.tongue import closest, stems

SHOP, FILMS = Lexicon.of(shop()), Lexicon.of(films())


def test_values_are_found_in_singular_and_plural():
    assert SHOP.senses[stems("kettles")] == SHOP.senses[stems("Kettle")]
    assert [s.where for s in SHOP.senses[stems("kettles")]] == ["kind == 'kettle'"]
    assert FILMS.senses[stems("comedies")][0].where == "categories contains 'Comedy'"


def test_names_of_several_words_are_known_whole_joined_and_by_their_own_word():
    assert FILMS.senses[stems("sci-fi")] == FILMS.senses[("scifi",)]
    assert FILMS.senses[("noir",)] == FILMS.senses[stems("film noir")]
    assert SHOP.senses[stems("Bo & Sons")][0].column == "maker"


def test_a_quote_in_a_value_is_written_as_the_language_of_rules_wants_it():
    assert FILMS.senses[stems("children")][0].where == "categories contains 'Children''s'"


def test_numbers_are_measured_by_the_names_of_their_columns():
    assert {n.column: n.family for n in SHOP.numbers} == {"price": "money", "minutes": "time"}
    number, factor = SHOP.unit("hours")
    assert (number.column, factor) == ("minutes", 60.0)
    assert FILMS.number("year").column == "year"


@pytest.mark.parametrize(
    ("word", "column", "sign"), [("cheaper", "price", -1), ("costly", "price", 1), ("lengthy", "minutes", 1)]
)
def test_words_of_direction_point_along_a_column(word: str, column: str, sign: int):
    number, found, _ = SHOP.direction(word)
    assert (number.column, found) == (column, sign)


def test_a_word_of_direction_means_nothing_where_no_column_measures_it():
    assert FILMS.direction("cheap") is None


def test_slips_are_read_as_the_nearest_word_and_nonsense_as_none():
    assert SHOP.near("kettel") == ["kettle"]
    assert SHOP.near("cromulent") == []
    assert closest("lantren", ["lantern", "latter"]) == ["lantern"]


def test_a_catalogue_without_columns_has_no_words():
    empty = Lexicon.of(pl.DataFrame({"item_id": [1, 2, 3]}))
    assert not empty.senses and not empty.numbers and empty.near("lamp") == []


def test_ids_and_prose_are_no_values():
    assert not any(s.column in ("item_id", "title", "text") for found in SHOP.senses.values() for s in found)


def shelf(texts: list[str]) -> Lexicon:
    """Twenty books, half of them mysteries, of which the first ones have these texts."""
    return Lexicon.of(pl.DataFrame({
        "title": [f"Book {i}" for i in range(20)], "sort": ["Mystery" if i < 10 else "Sci-Fi" for i in range(20)],
        "text": [*texts, *("plain" for _ in range(20 - len(texts)))],
    }))  # fmt: skip


def test_a_word_of_the_same_family_means_the_value():
    bare = shelf([])
    assert [s.value for s in bare.kin(("mysterious",)) or ()] == ["Mystery"]
    assert [s.value for s in bare.kin(("science", "fiction")) or ()] == ["Sci-Fi"]
    assert bare.kin(("musty",)) is None and bare.kin(("science", "fair")) is None


def test_the_texts_have_the_last_word_on_families():
    assert shelf(["a mysterious house"] * 6).kin(("mysterious",))
    against = shelf(["plain"] * 10 + ["a mysterious star"] * 6)
    assert against.kin(("mysterious",)) is None
