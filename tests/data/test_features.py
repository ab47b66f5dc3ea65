"""Features as of a moment: nothing at or after it is counted, and strangers are missing rather than wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.data.features import DAY, VECTOR, FeatureView
from interplay.data.tables import from_frames
from interplay.errors import UnknownName
from interplay.types import Ragged, Requests, Slates

NOON = 1_700_000_000_000_000


def view(**more) -> FeatureView:
    return FeatureView(
        from_frames(
            "shop",
            {
                "user_id": ["a", "a", "b", "b"],
                "item_id": ["x", "y", "x", "x"],
                "value": [1.0, 2.0, 3.0, 5.0],
                "timestamp": [NOON, NOON + DAY, NOON + 2 * DAY, NOON + 40 * DAY],
                "event_type": ["view", "buy", "view", "buy"],
            },
            items={
                "item_id": ["x", "y", "z"],
                "price": [1.5, None, 3.0],
                "brand": ["acme", "zeta", None],
                "categories": [["tea", "hot"], [], None],
                "new": [True, False, None],
            },
            users={"user_id": ["a", "b"], "age": [30, 40], "town": ["Ulm", None]},
        )
    )


def at(v: FeatureView, name: str) -> int:
    return int(v.dataset.items.index([name])[0])


def test_columns_of_tables_become_numbers_and_codes():
    v = view()
    x, z = at(v, "x"), at(v, "z")
    told = v.items(np.array([[x, z], [-1, 99]]))
    np.testing.assert_array_equal(told["price"], np.array([[1.5, 3.0], [np.nan, np.nan]], np.float32))
    assert (
        v.vocabulary["item.brand"][told["brand"][0, 0]] == "acme" and told["brand"][0, 1] == told["brand"][1, 0] == -1
    )
    assert v.vocabulary["item.categories"][told["categories"][0, 0]] == "tea"
    assert told["new"][0, 0] == 1 and "item_id" not in told
    person = v.user(v.dataset.users.index(["b", "nobody"]))
    np.testing.assert_array_equal(person["age"], [40, np.nan])
    assert person["town"].tolist() == [-1, -1]


def test_vectors_of_items_are_numbers_and_those_of_unknown_items_are_zero():
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=(3, 400)).astype(np.float32)
    plain = view().dataset
    v = FeatureView(replace(plain, vectors={"mood": narrow, "words": wide}))
    told = v.vectors("mood", np.array([[2, -1], [99, 0]]))
    assert list(told) == ["mood.0", "mood.1"] and told["mood.1"].dtype == np.float32
    np.testing.assert_array_equal(told["mood.1"], np.array([[narrow[2, 1], 0], [0, narrow[0, 1]]]))
    words = np.column_stack(list(v.vectors("words", np.arange(3)).values()))
    assert words.shape == (3, VECTOR)
    far = np.linalg.norm(words[0] - words[1]) / np.linalg.norm(wide[0] - wide[1])
    assert far == pytest.approx(1, abs=0.5), "distances are kept, roughly"
    grown = FeatureView(replace(plain, vectors={"words": np.vstack([wide, 5 * wide])}))
    np.testing.assert_allclose(grown.vectors("words", np.arange(1))["words.3"], words[:1, 3], rtol=1e-5)
    with pytest.raises(UnknownName, match="no table of item vectors called 'word'; nearest"):
        v.vectors("word", np.arange(3))


def test_counters_stop_strictly_before_the_moment():
    v = view()
    x = at(v, "x")
    told = v.counters(np.array([[x, -1]] * 3), np.array([NOON, NOON + 1, NOON + 40 * DAY + 1]))
    assert told["count"][:, 0].tolist() == [0, 1, 3] and (told["count"][:, 1] == 0).all()
    assert told["count_1d"][:, 0].tolist() == [0, 1, 1] and told["count_30d"][:, 0].tolist() == [0, 1, 1]
    assert told["count_view"][:, 0].tolist() == [0, 1, 2] and told["count_buy"][2, 0] == 1
    np.testing.assert_allclose(told["value"][:, 0], [np.nan, 1, 3])
    np.testing.assert_allclose(told["days"][:, 0], [np.nan, 0, 0], atol=1e-6)


def test_counters_of_people_and_of_the_whole_log():
    v = view()
    users = v.dataset.users.index(["a", "b", "nobody"])
    assert v.counters_user(users, np.full(3, NOON + 2 * DAY))["count"].tolist() == [2, 0, 0]
    assert v.counters_user(users)["count"].tolist() == [2, 2, 0]
    assert v.counters(np.array([at(v, "x")]), NOON + 3 * DAY)["count"].tolist() == [2]


def test_a_log_without_times_counts_whole():
    v = FeatureView(from_frames("shop", {"user_id": [1, 2], "item_id": [3, 3]}))
    told = v.counters(np.array([0]), np.array([NOON]))
    assert told["count"].tolist() == [2] and set(told) == {"count"}


def test_an_empty_log_has_zeros():
    v = FeatureView(from_frames("shop", {"user_id": [], "item_id": []}, items={"item_id": [1]}))
    assert v.counters(np.array([[0, -1]]), np.array([NOON]))["count"].tolist() == [[0, 0]]
    assert v.counters_user(np.array([-1]))["count"].tolist() == [0]


def test_joined_gives_every_feature_the_shape_of_the_slate():
    v = view()
    requests = Requests(
        user=np.array([0, -1], np.int32),
        history=Ragged.of([[0], []]),
        at=np.array([NOON + 1, NOON + DAY]),
        context={"hour_of_shop": np.array([3, 4])},
    )
    slates = Slates(items=np.array([[0, 1], [2, -1]], np.int32), scores=np.zeros((2, 2), np.float32))
    told = v.joined(requests, slates)
    assert all(c.shape == (2, 2) for c in told.values())
    assert {"user.age", "item.price", "context.hour", "context.hour_of_shop", "item_log.count", "user_log.days"} <= set(
        told
    )
    assert told["context.hour"][0, 0] == 22 and told["context.weekday"][0, 0] == 1  # Tuesday 14 November 2023, 22:13


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), min_size=1, max_size=40), st.integers(-1, 70), st.data()
)
def test_counters_agree_with_counting_one_by_one(events, moment, data):
    items, days = zip(*events, strict=True)
    when = [NOON + d * DAY for d in days]
    v = FeatureView(
        from_frames(
            "log",
            {"user_id": ["u"] * len(items), "item_id": items, "timestamp": when, "value": [1.0 * d for d in days]},
        )
    )
    asked = data.draw(st.integers(0, 4))
    index = v.dataset.items.index([asked])
    told = v.counters(index, np.array([NOON + moment * DAY]))
    before = [d for i, d in events if i == asked and d < moment]
    assert told["count"][0] == len(before)
    assert told["count_7d"][0] == sum(d >= moment - 7 for d in before)
    if before:
        assert told["days"][0] == pytest.approx(moment - max(before)) and told["value"][0] == pytest.approx(
            np.mean(before)
        )
    else:
        assert np.isnan(told["days"][0])
