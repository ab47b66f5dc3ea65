"""Codes come from the training part; whatever is new later has code 0."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.errors import BadData
from interplay.types import Ragged

TRAIN = Examples(
    fields={
        "user": np.array([4, 4, 2, 0]), "item": np.array([7, 8, 7, 9]),
        "device": np.array(["tv", "tv", None, "pc"], object),
    },
    numbers={"price": np.array([1, 10, 100, np.nan], np.float32)},
    sequences={"history": Ragged.of([[7], [9, 8], [], [11]])},
    labels={"click": np.array([1, 0, np.nan, 1], np.float32)},
)  # fmt: skip


def test_codes_are_of_training_and_rare_or_new_values_share_code_0():
    coder = Coder.fit(TRAIN, floor=2, n_users=6)
    device = coder.code(TRAIN).fields[:, coder.fields.index("device")]
    assert device.tolist() == [1, 1, 0, 0] and coder.sizes[coder.fields.index("device")] == 2
    later = Examples(fields={"user": np.array([4, 99, -1]), "device": np.array(["tv", "radio", ""], object)})
    coded = coder.code(later)
    assert coded.fields[:, 0].tolist() == [1, 0, 0] and coded.fields[:, 2].tolist() == [1, 0, 0]
    assert (coded.fields[:, 1] == 0).all() and not coded.mask.any(), "a missing column is missing in every row"


def test_a_missing_value_is_a_value_where_training_has_it():
    coder = Coder.fit(TRAIN)
    gap = Examples(fields={"device": np.array([None, "new"], object)})
    device = coder.code(gap).fields[:, 2]
    assert device[0] > 0 and device[1] == 0


def test_numbers_become_places_between_0_and_1_and_outliers_stay_there():
    coder = Coder.fit(TRAIN)
    coded = coder.code(Examples(numbers={"price": np.array([1, 10, 100, 1e9, -5, np.nan, np.inf], np.float32)}))
    np.testing.assert_allclose(coded.numbers[:, 0], [0, 0.5, 1, 1, 0, -1, -1], atol=1e-6)


def test_histories_share_the_codes_of_items_and_stand_at_the_right_end():
    coder = Coder.fit(TRAIN, window=3)
    item = {v: int(coder.codes("item", np.array([v]))[0]) for v in (7, 8, 9, 11)}
    assert sorted(item.values()) == [1, 2, 3, 4], "items that only histories hold have codes too"
    rows = coder.code(Examples(sequences={"history": Ragged.of([[9, 8], [1, 7, 7, 7, 8], []])})).sequences["history"]
    assert rows.tolist() == [[0, item[9], item[8]], [item[7], item[7], item[8]], [0, 0, 0]]


def test_a_coder_comes_back_and_forgets_people():
    coder = Coder.fit(TRAIN, n_users=6)
    again = Coder.restore(coder.state())
    for column in ("fields", "numbers", "labels", "mask"):
        np.testing.assert_array_equal(getattr(again.code(TRAIN), column), getattr(coder.code(TRAIN), column))
    left = coder.forgetting(np.array([4, 99]))
    assert left.code(TRAIN).fields[:, 0].tolist() == [0, 0, 2, 1] and coder.users[4] == 3


def test_nothing_labelled_is_refused():
    with pytest.raises(BadData, match="no labelled examples"):
        Coder.fit(Examples(fields={"user": np.array([1])}))
