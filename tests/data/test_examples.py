"""Labelled moments, whichever table they come from: nothing later than the moment is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.data.coder import Coder
from interplay.data.examples import Examples, candidates
from interplay.data.features import FeatureView
from interplay.data.keyed import key, keyed
from interplay.data.tables import from_frames, read_directory, write_directory
from interplay.errors import BadData, UnknownName
from interplay.types import Dataset, Requests

TABLE = pl.DataFrame(
    {
        "user_id": ["ann", "bob", "ann"], "item_id": [3, 5, 5], "device": ["tv", None, "phone"], "hour": [7, None, 7],
        "price": [1.5, None, float("nan")], "history": [[5], [], [3, 99]], "tags": [["a", "b"], [], None],
        "label_click": [1, 0, None], "label_buy": [0.0, 0.0, 1.0], "split": ["train", "valid", "test"],
        "timestamp": [10, 20, 30],
    }
)  # fmt: skip
LOG = {
    "user_id": ["ann", "ann", "ann", "bob", "bob"], "item_id": ["tea", "cup", "pot", "tea", "cup"],
    "timestamp": [10, 20, 20, 15, 40], "value": [5.0, 2.0, 4.0, 1.0, 3.0],
}  # fmt: skip


def shop(**more) -> Dataset:
    items = {"item_id": ["tea", "cup", "pot", "rug"], "kind": ["drink", "ware", "ware", None]}
    return from_frames("shop", LOG, items, **more)


def test_a_table_says_by_its_columns_what_they_are():
    data = from_frames("x", tables={"examples": TABLE})
    assert {data.items[int(i)] for i in range(data.n_items)} == {"3", "5", "99"} or set(data.items) == {3, 5, 99}
    examples = Examples.of(data)
    assert [data.users[u] for u in examples.fields["user"]] == ["ann", "bob", "ann"]
    assert set(examples.fields) == {"user", "item", "device", "hour", "tags"} and set(examples.numbers) == {"price"}
    assert examples.fields["hour"].tolist() == [7, -1, 7] and examples.fields["device"][1] == -1
    assert np.isnan(examples.numbers["price"]).tolist() == [False, True, True]
    assert examples.sequences["history"].lengths.tolist() == [1, 0, 2]
    assert examples.tasks == ("click", "buy") and np.isnan(examples.labels["click"][2])
    assert examples.part.tolist() == [0, 1, 2] and examples.at.tolist() == [10, 20, 30]
    assert examples.group[0] == examples.group[2] != examples.group[1]
    assert examples.take(np.array([False, False, True])).sequences["history"].lengths.tolist() == [2]


def test_a_folder_may_hold_nothing_but_examples_and_its_fingerprint_is_of_them(tmp_path):
    TABLE.write_parquet(tmp_path / "examples.parquet")
    data = read_directory(tmp_path)
    assert len(Examples.of(data)) == 3 and not len(data.events)
    other = from_frames(data.name, tables={"examples": TABLE.with_columns(hour=pl.lit(8))})
    assert other.fingerprint != data.fingerprint == from_frames("y", tables={"examples": TABLE}).fingerprint
    again = read_directory(write_directory(data, tmp_path / "again"))
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [({"click": [1]}, "no column label or label_TASK"), ({"label": [1], "split": ["exam"]}, "split is 'exam'")],
)
def test_what_cannot_be_meant_is_refused(columns, sentence):
    with pytest.raises(BadData, match=sentence):
        Examples.of(from_frames("x", tables={"examples": pl.DataFrame(columns)}))


@pytest.mark.parametrize(
    ("column", "found"),
    [([0, 2, 2, 1], "is 2 in 2 rows"), ([0.5, 1.0, None, 0.0], "is 0.5 in 1 rows"), ([1, -1, 1, -1], "is -1 in 2 rows"),
     ([1.0, float("inf"), 0.0, 0.0], "is inf in 1 rows"), (["1", "yes", "", "0"], "is 'yes' in 1 rows"),
     ([[1], [0], [1], [0]], r"is \[1\] in 4 rows")],
)  # fmt: skip
def test_a_label_says_what_happened_and_nothing_else(column, found):
    table = pl.DataFrame({"label_buy": column, "device": ["tv", "tv", "phone", "phone"]})
    with pytest.raises(BadData, match=f"column 'label_buy' of examples {found}; expected 1 where it happened, 0"):
        Examples.of(from_frames("x", tables={"examples": table}))


@pytest.mark.parametrize(
    "column",
    [[1, 0, None], [True, False, None], ["1", "0", ""], ["1.0", "0.0", None], [1.0, 0.0, float("nan")],
     pl.Series(["1", "0", None], dtype=pl.Categorical)],
)  # fmt: skip
def test_a_label_may_be_a_number_a_truth_value_or_their_words(column):
    examples = Examples.of(from_frames("x", tables={"examples": pl.DataFrame({"label": column, "hour": [1, 2, 3]})}))
    np.testing.assert_array_equal(examples.labels["label"], np.array([1, 0, np.nan], np.float32))


def test_a_log_of_ratings_becomes_likes_with_histories_strictly_before():
    data = shop()
    examples = Examples.of(data)
    assert examples.said == "the log's values" and examples.tasks == ("like",)
    told = {
        (data.users[u], data.items[i]): (like, [data.items[j] for j in examples.sequences["history"].row(n)["item"]])
        for n, (u, i, like) in enumerate(
            zip(examples.fields["user"], examples.fields["item"], examples.labels["like"].tolist(), strict=True)
        )
    }
    assert told[("ann", "tea")] == (1.0, []) and told[("ann", "cup")] == (0.0, ["tea"])
    assert told[("ann", "pot")] == (1.0, ["tea"]), "what happened at the same moment is not before it"
    assert told[("bob", "cup")] == (0.0, ["tea"])
    counts = dict(zip(told, examples.numbers["item_log.count"].tolist(), strict=True))
    assert counts[("bob", "tea")] == 1 and counts[("ann", "tea")] == 0


def test_a_log_of_what_was_taken_stands_beside_things_that_were_not():
    data = from_frames("shop", {k: v for k, v in LOG.items() if k != "value"})
    examples = Examples.of(data, negatives=3)
    taken = set(zip(data.events.user.tolist(), data.events.item.tolist(), strict=True))
    pairs = list(zip(examples.fields["user"].tolist(), examples.fields["item"].tolist(), strict=True))
    assert [pair in taken for pair in pairs] == (examples.labels["take"] == 1).tolist()
    ann = int(data.users.index(["ann"])[0])
    assert all(u != ann for (u, _), y in zip(pairs, examples.labels["take"], strict=True) if y == 0), "ann has all"
    assert Examples.of(data, negatives=3).fields["item"].tolist() == examples.fields["item"].tolist()


def test_impressions_are_joined_with_what_followed_them():
    shown = pl.DataFrame({
        "request_id": ["r1", "r1", "r2"], "user_id": ["ann", "ann", "bob"], "item_id": ["rug", "pot", "pot"],
        "timestamp": [18, 18, 30], "seen": [None, True, False],
    })  # fmt: skip
    log = {**LOG, "event_type": ["view", "view", "buy", "view", "view"], "request_id": ["", "", "r1", "", "r2"]}
    data = from_frames("shop", log, {"item_id": ["tea", "cup", "pot", "rug"]}, tables={"impressions": shown})
    assert Examples.of(data).said == "the log's values", "one outcome is too few to learn from"
    examples = Examples.of_impressions(data)
    assert [data.items[i] for i in examples.fields["item"]] == ["rug", "pot"], "what was not seen is no example"
    assert examples.labels["buy"].tolist() == [0.0, 1.0] and examples.labels["view"].tolist() == [0.0, 0.0]
    assert examples.sequences["history"].lengths.tolist() == [1, 1], "the purchase itself came later"


def test_the_words_of_a_search_are_the_same_fields_in_training_and_in_serving():
    shown = pl.DataFrame({
        "request_id": ["r1", "r1", "r2", "r3"], "user_id": ["ann", "ann", "bob", "bob"],
        "item_id": ["rug", "pot", "pot", "tea"], "timestamp": [18, 18, 30, 31],
        "query": ["a big Red pot", "a big Red pot", None, "one two three four five"],
    })  # fmt: skip
    log = {**LOG, "event_type": ["view", "view", "buy", "view", "view"], "request_id": ["", "", "r1", "", "r2"]}
    data = from_frames("shop", log, {"item_id": ["tea", "cup", "pot", "rug"]}, tables={"impressions": shown})
    taught = Examples.of_impressions(data)
    none = -1
    assert [taught.fields[f"query.{w}"].tolist() for w in (1, 2, 3, 4)] == [
        [key("pot"), key("pot"), none, key("five")], [key("red"), key("red"), none, key("four")],
        [key("big"), key("big"), none, key("three")], [none, none, none, key("two")],
    ]  # fmt: skip
    coder = Coder.fit(taught)
    asked = replace(Requests.of(data, np.array([0]), at=np.array([40])), query=["RED pot!"])
    served = candidates(FeatureView(data), asked, np.array([[0, 1]]), **coder.asks)
    assert [served.fields[f"query.{w}"].tolist() for w in (1, 2, 3)] == [[key("pot")] * 2, [key("red")] * 2, [none] * 2]
    feed = candidates(FeatureView(data), replace(asked, query=None), np.array([[0, 1]]), **coder.asks)
    assert (coder.code(feed).fields[:, coder.fields.index("query.1")] == coder.codes("query.1", np.array([none]))).all()
    silent = replace(data, tables={"impressions": shown.with_columns(query=pl.lit(None, pl.String))})
    assert not any(name.startswith("query") for name in Examples.of_impressions(silent).fields)


def test_a_task_of_ratings_is_learnt_from_ratings_also_once_pages_were_shown(monkeypatch):
    shown = pl.DataFrame({"request_id": ["r1"], "user_id": ["ann"], "item_id": ["pot"], "timestamp": [18]})
    log = {**LOG, "event_type": ["view", "view", "buy", "view", "view"], "request_id": ["", "", "r1", "", ""]}
    data = from_frames("shop", log, {"item_id": ["tea", "cup", "pot", "rug"]}, tables={"impressions": shown})
    monkeypatch.setattr("interplay.data.examples.ENOUGH", 1)
    assert Examples.of(data, tasks={"buy": ""}).said == "impressions and what followed them"
    assert Examples.of(data, tasks={"like": ">=4"}).said == "the log's values"
    with pytest.raises(UnknownName, match="like"):
        Examples.of(
            from_frames("shop", {k: v for k, v in log.items() if k != "value"}, tables={"impressions": shown}),
            tasks={"like": ">=4"},
        )


def test_served_columns_are_those_of_training_and_names_without_a_prefix_are_found():
    data = shop()
    requests = Requests.of(data, np.array([0, -1]), at=np.array([20, 20]), context={"hour": np.array([7, 8])})
    made = candidates(FeatureView(data), requests, np.array([[0, 1], [2, -1]]), fields=["kind", "hour"], numbers=[])
    assert made.fields["hour"].tolist() == [7, 7, 8, 8]
    assert made.fields["kind"][-1] == -1 and set(made.fields["kind"][:3]) <= {key("drink"), key("ware"), -1}


def test_keys_are_the_same_for_figures_and_their_words_and_on_every_machine():
    assert keyed(np.array(["12", "-3", None], object)).tolist() == keyed(pl.Series([12, -3, None])).tolist()
    assert keyed(pl.Series([1.0, None])).tolist() == [1, -1] and key("tv") == 6947648995370288332
