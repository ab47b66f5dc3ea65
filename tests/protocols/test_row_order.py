"""Whole rows of a page in another order."""

from __future__ import annotations

import numpy as np

from interplay.data.pages import Pages
from interplay.protocols.looks import moved


def test_a_row_moves_with_its_heading_its_clicks_and_what_is_known_of_it():
    items = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
    pages = Pages(
        items=items, clicked=items % 5 == 0, n_items=12, topic=np.array([[0, 1, 2], [2, 0, 1]]),
        about=items[..., None].astype(np.float32),
    )  # fmt: skip
    order = np.array([[2, 0, 1], [1, 2, 0]])
    out = moved(pages, order)
    assert out.items[0].tolist() == [[4, 5], [0, 1], [2, 3]] and out.topic.tolist() == [[2, 0, 1], [0, 1, 2]]
    np.testing.assert_array_equal(out.clicked, out.items % 5 == 0)
    np.testing.assert_array_equal(out.about[..., 0], out.items)
