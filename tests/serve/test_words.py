"""Words and the shop window."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from serving import shop

from interplay.errors import UnknownName
from interplay.serve.window import Window
from interplay.serve.words import Words, slips
from interplay.types import Dataset, Events, Ids


def bare(frame: pl.DataFrame | None, n: int = 6, name: str = "bare") -> Dataset:
    nobody = Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32))
    return Dataset(name=name, users=Ids(["u"]), items=Ids(list(range(n))), events=nobody, catalogue=frame)


def test_every_word_of_a_query_must_be_there_and_the_last_letters_may_be_missing():
    index = Words(bare(pl.DataFrame({"title": ["Brass lamp", "Brass awl", "Tin lantern", "Lamp oil", "", None]})))
    assert index.understand("brass la").found.nonzero()[0].tolist() == [0]
    assert index.understand("LA").found.nonzero()[0].tolist() == [0, 2, 3]
    assert index.understand("the lamp").found.nonzero()[0].tolist() == [0, 3]
    assert not index.understand("brass lantern").found.any()


def test_a_misspelt_word_is_read_as_the_nearest_one_and_nonsense_as_none():
    index = Words(bare(pl.DataFrame({"title": ["Brass lamp", "Tin lantern", "Lantern", "Lamprey", "x", "y"]})))
    read = index.understand("lantren")
    assert read.repaired == (("lantren", "lantern"),)
    assert read.found.nonzero()[0].tolist() == [1, 2]
    assert index.understand("cromulent").unknown == ("cromulent",)
    assert index.understand("zq").unknown == ("zq",)  # too short to guess at


def test_slips_count_letters_put_in_left_out_changed_or_swapped():
    for word, n in {"tea": 0, "eta": 1, "teas": 1, "pea": 1, "lamp": 3}.items():
        assert slips("tea", word, 2) == slips(word, "tea", 2) == n


def test_likeness_in_words_is_the_cosine_of_their_weights():
    titles = ["red lamp", "red lamp", "red tea", "blue tea", "", "plum"]
    like = Words(bare(pl.DataFrame({"title": titles}))).like(0)
    df = {"red": 3, "lamp": 2, "tea": 2, "blue": 1, "plum": 1}
    w = {word: np.log1p(6 / n) for word, n in df.items()}
    slow = w["red"] ** 2 / np.hypot(w["red"], w["lamp"]) / np.hypot(w["red"], w["tea"])
    np.testing.assert_allclose(like, [1, 1, slow, 0, 0, 0], atol=1e-6)


def test_a_card_shows_what_the_catalogue_says_and_nothing_else():
    window = Window(shop())
    card = window.card(0)
    assert card["title"] == "Pebble reading lamp, no. 0" and card["by"] == "Pebble Works" and card["price_said"] == "5"
    assert card["kind"] == "Lamps, Reading lamp" and card["link"] == "/item/lamp-0"
    silent = Window(bare(None)).card(3)
    assert silent["title"] == "Item 3" and silent["item_id"] == 3 and silent["price"] is None and silent["by"] == ""


def test_ids_of_any_shape_make_addresses():
    frame = pl.DataFrame({"title": ["A", "B"]})
    data = Dataset(name="odd", users=Ids([]), items=Ids(["a/b c", "ü?&"]), events=bare(None).events, catalogue=frame)
    assert [Window(data).card(i)["link"] for i in (0, 1)] == ["/item/a%2Fb%20c", "/item/%C3%BC%3F%26"]


def test_facets_are_the_columns_with_few_values_kind_and_price_first():
    window = Window(shop())
    assert [f.name for f in window.facets][:2] == ["kind", "price"]
    assert {"maker", "mood"} <= {f.name for f in window.facets} and "title" not in {f.name for f in window.facets}
    kind = window.facets[0]
    assert set(kind.labels) == {"Lamps", "Teas", "Books", "Tools"}
    price = window.facets[1]
    assert price.member.sum() == 160 and (price.member.sum(axis=0) == 1).all()
    assert Window(bare(None)).facets == ()


def test_genres_in_one_text_and_lists_both_make_facets():
    genres = ["Comedy|Drama", "Drama", "Drama|War", "War", "Comedy", "War"]
    bars = pl.DataFrame({"title": list("abcdef"), "genres": genres})
    lists = bars.with_columns(pl.col("genres").str.split("|"))
    for frame in (bars, lists):
        facet = Window(bare(frame)).facets[0]
        assert dict(zip(facet.values, facet.member.sum(axis=1), strict=True)) == {"Drama": 3, "War": 3, "Comedy": 2}


def test_counts_of_a_facet_leave_its_own_choice_out():
    window = Window(shop())
    everything = np.ones(160, bool)
    counted = {f["name"]: f for f in window.counted(everything, {"kind": ["lamp"]})}
    counts = {v["value"]: v["count"] for v in counted["kind"]["values"]}
    assert counts == dict.fromkeys(("lamp", "tea", "book", "tool"), 40)
    assert sum(v["count"] for v in counted["mood"]["values"]) == 40
    assert [v["value"] for v in counted["kind"]["values"] if v["chosen"]] == ["lamp"]


def test_an_unknown_facet_or_value_is_refused_with_the_nearest():
    window = Window(shop())
    with pytest.raises(UnknownName, match="nearest: \\['kind'\\]"):
        window.chosen(["kinds:lamp"])
    with pytest.raises(UnknownName, match="nearest: \\['lamp'\\]"):
        window.chosen(["kind:lmp"])


def test_missing_prices_nan_and_text_prices_do_no_harm():
    window = Window(bare(pl.DataFrame({"title": list("abcdef"), "price": [1.0, None, float("nan"), 20.0, 30.0, 45.0]})))
    assert [window.card(i)["price_said"] for i in (0, 1, 2)] == ["1", "", ""]
    assert window.facets[0].member.sum() == 4
    assert Window(bare(pl.DataFrame({"title": ["a"] * 6, "price": ["9 euros"] * 6}))).card(0)["price"] is None
