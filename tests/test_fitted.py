"""The face that people use: names in, names out, kept on disk and opened again."""

from __future__ import annotations

import json

import polars as pl
import pytest

from interplay.errors import BadSetting, InterplayError, Mismatch, Unsupported
from interplay.fitted import Fitted

LOG = pl.DataFrame(
    {
        "user_id": ["ada", "ada", "bob", "bob", "cyd", "cyd", "dan", "dan", "eve"],
        "item_id": ["tea", "cup", "tea", "cup", "rug", "lamp", "rug", "lamp", "tea"],
    }
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["tea", "cup", "rug", "lamp"],
        "title": ["Plum tea", "Blue cup", "Lap rug", "Brass lamp"],
        "price": [8.0, 12.0, 29.0, 19.0],
    }
)


def learnt(name: str = "item-knn", **more) -> Fitted:
    return Fitted.learn(name, LOG, items=ITEMS, **more)


def test_names_go_in_and_names_come_out():
    frame = learnt().recommend(users=["eve", "nobody"], k=2)
    assert frame.columns == ["request", "user_id", "rank", "item_id", "score"]
    first = frame.filter(pl.col("request") == 0)
    assert first["item_id"][0] == "cup" and first["user_id"].unique().to_list() == ["eve"]
    assert frame.filter(pl.col("user_id") == "nobody").height == 2, "a stranger is served"


def test_rules_hold_for_everybody_and_lists_stay_full():
    model = learnt("ease", settings={"ridge": 1.0})
    assert set(model.recommend(histories=[["tea"]], k=4, exclude=["cup"])["item_id"]) == {"rug", "lamp"}
    assert set(model.recommend(histories=[["tea"]], k=4, allow=["rug"])["item_id"]) == {"rug"}
    assert set(model.recommend(histories=[["tea"]], k=4, where="price > 10 and price < 20")["item_id"]) == {
        "cup",
        "lamp",
    }
    assert "tea" in model.recommend(histories=[["tea"]], k=4, seen=True)["item_id"].to_list()


def test_similar_items_by_name():
    assert learnt().similar_items(["rug"], k=1)["similar_id"].to_list() == ["lamp"]
    with pytest.raises(Unsupported, match="popular knows no similar items"):
        learnt("popular").similar_items(["rug"])


def test_a_query_is_refused_by_what_reads_none():
    assert learnt("bm25").recommend(queries=["brass lamps"], k=1)["item_id"].to_list() == ["lamp"]
    with pytest.raises(Unsupported, match="item-knn reads no queries"):
        learnt().recommend(queries=["brass lamps"])


def test_lengths_that_do_not_match_are_refused():
    with pytest.raises(BadSetting, match="of one length"):
        learnt().recommend(users=["eve"], histories=[["tea"], ["cup"]])


@pytest.mark.parametrize("name", ["item-knn", "ials", "user-knn", "bspm", "bm25"])
def test_a_saved_model_answers_as_before(name, tmp_path):
    model = learnt(name)
    model.save(tmp_path / "model")
    again = Fitted.load(tmp_path / "model")
    people = ["ada", "bob", "eve", "nobody"]
    assert again.recommend(users=people, k=3).equals(model.recommend(users=people, k=3))
    assert again.dataset.catalogue is not None and again.manifest["system"] == name


def test_a_model_of_another_format_is_refused_with_what_to_do(tmp_path):
    learnt().save(tmp_path / "model")
    told = json.loads((tmp_path / "model" / "manifest.json").read_text())
    (tmp_path / "model" / "manifest.json").write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(Mismatch, match=r"format 99.*Fit it again"):
        Fitted.load(tmp_path / "model")


def test_a_damaged_model_is_refused(tmp_path):
    learnt().save(tmp_path / "model")
    arrays = tmp_path / "model" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-8])
    with pytest.raises(InterplayError, match="cut off"):
        Fitted.load(tmp_path / "model")
