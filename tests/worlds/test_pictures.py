"""Pictures: pure, valid, small, and never broken by what an item is called."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from interplay.worlds.catalogue import catalogue
from interplay.worlds.drawings import THINGS
from interplay.worlds.pictures import drawing, face, hashed, picture

ITEMS = catalogue(360, 5, first_day=0, days=10).to_dicts()


def test_the_hash_is_fnv_1a():
    assert hashed("") == 2166136261 and hashed("a") == 0xE40C292C and hashed("foobar") == 0xBF9CF968


def test_draws_are_even_and_start_anew_with_the_seed():
    draw = drawing("lamp-0001")
    values = np.array([draw() for _ in range(4000)])
    again = drawing("lamp-0001")
    assert [again() for _ in range(5)] == values[:5].tolist() and values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02 and len(set(values.tolist())) > 3990


def test_every_item_of_a_catalogue_has_a_small_valid_picture():
    sizes = []
    for item in ITEMS:
        drawn = picture(item)
        assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
        assert drawn == picture(dict(item)) and "nan" not in drawn
        sizes.append(len(drawn.encode()))
    assert min(sizes) > 700 and max(sizes) < 7168 and np.mean(sizes) < 3072


def test_items_look_different():
    assert len({picture(item) for item in ITEMS}) == len(ITEMS)


def test_every_form_in_the_catalogue_is_drawn_by_its_own_lines():
    for kind, forms in THINGS.items():
        drawn = {picture({"item_id": "x", "kind": kind, "form": form, "mood": "calm"}) for form in forms}
        assert len(drawn) == len(forms)


@pytest.mark.parametrize(
    "item",
    [
        {"item_id": "1", "title": 'A "quoted" <b>&amp; & title</b>', "kind": "film", "maker": "O'Hara & Sons <x>"},
        {
            "item_id": "2",
            "title": 'Knives & <script>alert("x")</script>',
            "kind": "book",
            "genre": "none",
            "maker": "<i>",
        },
        {"item_id": "3", "title": "", "kind": "game", "mood": None},
        {"item_id": "4"},
        {},
        {"item_id": 5, "title": "Ungewöhnlich ✿ Titel", "kind": "print", "form": None, "genre": None},
        {"item_id": "6", "title": "Unbelievablyextraordinarilylongsinglewordtitle", "kind": "lamp", "form": "unknown"},
    ],
)
def test_strange_items_get_a_valid_picture_too(item):
    drawn = picture(item, wide=True, label=str(item.get("title", "")))
    ET.fromstring(drawn)
    assert "<script" not in drawn and "<b>" not in drawn


def test_a_face_is_valid_and_belongs_to_its_seed():
    assert face(1) == face(1) != face(2)
    ET.fromstring(face("Mira"))
