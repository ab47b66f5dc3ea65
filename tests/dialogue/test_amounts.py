"""Amounts in words become ranges of one column, in the column's own unit."""

from __future__ import annotations

import pytest

from dialogue.shop import films, shop
from interplay.dialogue.amounts import amounts
from interplay.dialogue.lexicon import Lexicon

SHOP, FILMS = Lexicon.of(shop()), Lexicon.of(films())


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("under 2 hours", "minutes < 120"),
        ("at least 90 minutes", "minutes >= 90"),
        ("no longer than 45 minutes", "minutes <= 45"),
        ("between 10 and 20", "price >= 10 and price <= 20"),
        ("€15 or less", "price <= 15"),
        ("cheaper than 20", "price < 20"),
        ("around 30 euros", "price >= 24 and price <= 36"),
        ("over 40 euros", "price > 40"),
        ("10-12 dollars", "price >= 10 and price <= 12"),
        ("my budget is 25", "price <= 25"),
    ],
)
def test_of_a_shop(said: str, where: str):
    assert [a.where for a in amounts(said, SHOP)] == [where]


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("from the 90s", "year >= 1990 and year <= 1999"),
        ("the late eighties", "year >= 1986 and year <= 1989"),
        ("before 2000", "year < 2000"),
        ("since 1975", "year >= 1975"),
        ("from 1994", "year == 1994"),
        ("from 1994 onwards", "year >= 1994"),
        ("older than 1970", "year < 1970"),
        ("before the 80s", "year < 1980"),
    ],
)
def test_of_films(said: str, where: str):
    assert [a.where for a in amounts(said, FILMS)] == [where]


def test_a_number_that_no_column_could_mean_is_left_alone():
    assert amounts("the second one of 3", FILMS) == []
    assert amounts("under 20 euros", FILMS) == []
