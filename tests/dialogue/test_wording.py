"""Tastes in words, for catalogues of several kinds."""

from __future__ import annotations

import polars as pl
import pytest

from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.wording import of_range, of_value

N = 60
CATALOGUES: dict[str, dict[str, list]] = {
    "shop": {"traits": [["travel"], ["quiet", "gift"]], "mood": ["calm", "dark"], "weight_kg": [0.5, 9.5]},
    "films": {"languages": [["English"], ["French", "English"]], "directed_by": ["Ang Lee", "Jane Campion"],
              "runtime": [80, 190], "year": [1960, 2020]},
    "books": {"subject_categories": [["Naval history"], ["Poetry"]], "pages": [90, 900], "series": ["Dune", "Culture"]},
    "recipes": {"made_in": ["Italy", "France"], "minutes": [10, 120], "people": [1, 8],
                "spiceLevel": ["mild", "very hot"]},
    "flats": {"rent": [400, 2_400_000], "pets": ["cats_only", "all welcome"], "age_score": [1.5, 9.25]},
}  # fmt: skip


def catalogue(name: str) -> Lexicon:
    """A catalogue of sixty things that have each of a column's two values in turn, numbers in even steps between."""
    frame = {}
    for column, (a, b) in CATALOGUES[name].items():
        numeric = isinstance(a, int | float)
        frame[column] = [a + (b - a) * i / (N - 1) if numeric else (a, b)[i % 2] for i in range(N)]
    return Lexicon.of(pl.DataFrame(frame))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", {"the trait travel", "the trait quiet", "the trait gift", "the mood calm", "the mood dark"}),
        ("films", {"the language English", "the language French", "directed by Ang Lee", "directed by Jane Campion"}),
        ("books", {"the subject category Naval history", "the subject category Poetry", "the series Dune",
                   "the series Culture"}),
        ("recipes", {"made in Italy", "made in France", "the spice level mild", "the spice level very hot"}),
        ("flats", {"the pet cats only", "the pet all welcome"}),
    ],
)  # fmt: skip
def test_a_value_is_named_by_its_column_in_the_singular(name, said):
    senses = {s for many in catalogue(name).senses.values() for s in many}
    told = {of_value(s.column, s.value).removeprefix("things ").removeprefix("with ") for s in senses}
    assert told == said


@pytest.mark.parametrize(
    ("name", "column", "low", "high"),
    [
        ("shop", "weight_kg", "with a weight under 3.5 kg", "with a weight over 6.5 kg"),
        ("films", "runtime", "with a runtime under 116.67", "with a runtime over 153.33"),
        ("films", "year", "from before 1980", "from after 2000"),
        ("books", "pages", "with fewer than 360 pages", "with more than 630 pages"),
        ("recipes", "minutes", "with fewer than 46.67 minutes", "with more than 83.33 minutes"),
        ("recipes", "people", "with fewer than 3.33 people", "with more than 5.67 people"),
        ("flats", "rent", "with a rent under 800,266.67", "with a rent over 1,600,133.33"),
        ("flats", "age_score", "with an age score under 4.08", "with an age score over 6.67"),
    ],
)
def test_an_end_of_a_scale_is_named_as_one_would_say_it(name, column, low, high):
    number = next(n for n in catalogue(name).numbers if n.column == column)
    assert (of_range(number, -1), of_range(number, 1)) == (f"things {low}", f"things {high}")


def test_what_says_what_a_thing_is_or_who_made_it_needs_no_column():
    assert of_value("categories", "Green tea", kind=True) == "green tea"
    assert of_value("genres", "Film-Noir", kind=True) == "Film-Noir" and of_value("type", "R&B", kind=True) == "R&B"
    assert of_value("store", "O'Neill_Works", maker=True) == "things by O'Neill Works"
