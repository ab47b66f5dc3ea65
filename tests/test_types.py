"""The values everybody speaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplay.errors import BadData
from interplay.types import Ids, Ragged, Requests, Rows, RuleSet, Slates
from small import made

LISTS = st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=8)


def test_names_find_each_other_as_text_and_number():
    ids = Ids(["a", 7, "12", "-3"])
    assert ids.index(["7", 12, -3, "a", "b", 99]).tolist() == [1, 2, 3, 0, -1, -1]
    assert ids.index(["²", "--3", "", "٣", "9" * 40]).tolist() == [-1] * 5


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(BadData, match="occurs twice"):
        Ids(["a", "a"]).index(["a"])


def test_an_extended_space_keeps_every_index():
    ids = Ids(["a", "b"])
    longer = ids.extended(["c"])
    assert longer.index(["a", "b", "c"]).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(longer.keys[:2], ids.keys)


@given(LISTS, st.data())
def test_ragged_take_where_and_last_agree_with_lists(lists, data):
    ragged = Ragged.of(lists)
    assert [ragged.row(i)["item"].tolist() for i in range(len(lists))] == lists
    rows = data.draw(st.lists(st.integers(-1, len(lists) - 1), max_size=6)) if lists else []
    taken = ragged.take(np.array(rows, int))
    assert [taken.row(i)["item"].tolist() for i in range(len(rows))] == [[] if r < 0 else lists[r] for r in rows]
    odd = ragged.where(ragged["item"] % 2 == 1)
    assert [odd.row(i)["item"].tolist() for i in range(len(lists))] == [[v for v in row if v % 2] for row in lists]
    last = ragged.last(2)
    assert [last.row(i)["item"].tolist() for i in range(len(lists))] == [row[-2:] for row in lists]


def test_requests_take_and_slice_carry_every_column():
    rules = RuleSet(
        exclude=Ragged.of([[1], [2], [3]]), applied=Ragged.of([[0], [], [1]], "mask"), masks=np.ones((2, 9), bool)
    )
    requests = Requests(
        user=np.array([4, 5, 6], np.int32), history=Ragged.of([[1, 2], [], [3]]), query=["a", None, "c"], rules=rules,
        at=np.array([10, 20, 30]), draw=np.array([1, 2, 3], np.uint64), context={"device": np.array([0, 1, 0])},
    )  # fmt: skip
    for part in (requests.take(np.array([2, 0])), requests.slice(0, 2)):
        for i in range(2):
            j = int(part.user[i]) - 4
            assert part.history.row(i)["item"].tolist() == requests.history.row(j)["item"].tolist()
            assert part.rules.exclude.row(i)["item"].tolist() == [j + 1]
            assert (part.query[i], part.at[i], part.draw[i]) == (requests.query[j], 10 * (j + 1), j + 1)
            assert part.context["device"][i] == requests.context["device"][j]


def test_histories_are_cut_at_the_moment_of_the_request():
    data = made([(0, 3), (0, 1), (1, 2), (0, 4)])
    at = np.full(2, data.events.time[1])
    requests = Requests.of(data, np.array([0, 1]), at=at)
    assert [requests.history.row(i)["item"].tolist() for i in range(2)] == [[3, 1], []]


def test_strangers_and_late_users_have_empty_histories():
    data = made([(0, 1)])
    assert Requests.of(data, np.array([-1, 0, 99])).history.lengths.tolist() == [0, 1, 0]


def test_two_slates_are_equal_up_to_swaps_of_near_ties():
    a = Slates(items=np.array([[1, 2, 3]]), scores=np.array([[3.0, 2.0, 1.0]], np.float32))
    near = Slates(items=np.array([[1, 3, 2]]), scores=np.array([[3.0, 2.0, 2.0]], np.float32))
    tied = Slates(items=np.array([[1, 2, 3]]), scores=np.array([[3.0, 2.0, 2.0]], np.float32))
    assert near.equals(tied) and not near.equals(a)
    assert not a.equals(Slates.empty(1, 3))


def test_popularity_counts_people_not_events():
    rows = Rows.of(made([(0, 1), (0, 1), (1, 1), (1, 0)]))
    assert rows.popularity.tolist() == [1, 2] and rows.events.tolist() == [2, 2]


def test_the_fingerprint_follows_the_data_and_not_the_name():
    a, b = made([(0, 1), (1, 0)], name="a"), made([(0, 1), (1, 0)], name="b")
    assert a.fingerprint == b.fingerprint != made([(0, 1), (1, 1)]).fingerprint
