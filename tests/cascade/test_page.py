"""Pages agree with the definitions of their papers, worked the slow way."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.cascade.page import TWIN, Labels, Page, PageConfig, Vectors, arrange, coded
from interplay.errors import BadSetting, UnknownName
from interplay.types import Dataset, Events, Ids

rng = np.random.default_rng(3)
LIKE = Vectors(rng.normal(size=(12, 4)) + 0.4)


def candidates(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    items = np.stack([draw.permutation(12)[:9] for _ in range(n)]).astype(np.int32)
    scores = -np.sort(-draw.random((n, 9)).astype(np.float32), axis=1)
    items[0, 6:], scores[0, 6:] = -1, -np.inf  # a shorter list
    return items, scores


def relevance(scores: np.ndarray) -> np.ndarray:
    held = scores[np.isfinite(scores)].astype(np.float64)
    return (held - held.min()) / (held.max() - held.min())


@pytest.mark.parametrize("balance", [0.0, 0.5, 0.8])
def test_mmr_takes_what_is_relevant_and_unlike_what_was_taken(balance: float) -> None:
    items, scores = candidates(3)
    order = arrange(items, scores, 8, variety="mmr", balance=balance, likeness=LIKE)
    cosine = LIKE.vectors @ LIKE.vectors.T
    for row in range(3):
        rel, chosen = relevance(scores[row]), []
        while len(chosen) < min(8, len(rel)):
            left = [j for j in range(len(rel)) if j not in chosen]
            near = {j: max((cosine[items[row, j], items[row, i]] for i in chosen), default=0.0) for j in left}
            chosen.append(max(left, key=lambda j: (round(balance * rel[j] - (1 - balance) * near[j], 6), -j)))
        assert [p for p in order[row] if p >= 0] == chosen


@pytest.mark.parametrize("balance", [0.2, 0.6])
def test_dpp_takes_the_item_that_most_enlarges_the_determinant(balance: float) -> None:
    items, scores = candidates(3, seed=1)
    order = arrange(items, scores, 4, variety="dpp", balance=balance, likeness=LIKE)
    for row in range(3):
        rel = relevance(scores[row])
        unit = LIKE.vectors[items[row, : len(rel)]].astype(np.float64)
        like = TWIN * unit @ unit.T
        np.fill_diagonal(like, 1.0)
        quality = np.exp(balance / (2 * (1 - balance)) * rel)
        kernel = quality[:, None] * like * quality[None, :]
        chosen: list[int] = []
        for _ in range(4):
            left = [j for j in range(len(rel)) if j not in chosen]
            chosen.append(max(left, key=lambda j: np.linalg.det(kernel[np.ix_([*chosen, j], [*chosen, j])])))
        assert order[row].tolist() == chosen


def test_labels_are_as_alike_as_the_share_they_have_in_common() -> None:
    like = Labels(coded(pl.Series([["a", "b"], ["b"], [], None, ["c", "b", "a", "d"]])))
    expected = [[1.0, 1 / np.sqrt(2), 0.0, 0.0, 2 / np.sqrt(8)]]
    np.testing.assert_allclose(like.among(np.arange(5)[None, :])(np.array([0])), expected)
    assert coded(pl.Series(["x", None, "y", "x"])).tolist() == [[0], [-1], [1], [0]]


def test_twins_are_set_apart_but_not_banned() -> None:
    like = Labels(np.array([[0], [0], [0], [1]], np.int32))
    items, scores = np.array([[0, 1, 2, 3]], np.int32), np.array([[1.0, 0.9, 0.8, 0.1]], np.float32)
    for variety in ("mmr", "dpp"):
        order = arrange(items, scores, 4, variety=variety, balance=0.3, likeness=like)
        assert order.tolist() == [[0, 3, 1, 2]]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 50), st.sampled_from(["relevance", "mmr", "dpp"]), st.integers(1, 3), st.integers(1, 4),
    st.integers(1, 9),
)  # fmt: skip
def test_caps_hold_and_a_shorter_page_is_the_beginning_of_a_longer_one(seed, variety, first, second, n) -> None:
    items, scores = candidates(3, seed)
    codes = [np.arange(12) % 3, np.where(np.arange(12) < 8, np.arange(12) // 4, -1)]
    caps = list(zip(codes, (first, second), strict=True))
    order = arrange(items, scores, 9, variety=variety, balance=0.6, likeness=LIKE, places=5, caps=caps)
    short = arrange(items, scores, n, variety=variety, balance=0.6, likeness=LIKE, places=5, caps=caps)
    np.testing.assert_array_equal(order[:, :n], short)
    for row in range(3):
        shown = items[row, order[row][order[row] >= 0]]
        assert len(set(shown.tolist())) == len(shown)
        for code, most in caps:
            assert np.bincount(code[shown][code[shown] >= 0], minlength=3).max() <= most
        waiting = set(items[row][items[row] >= 0].tolist()) - set(shown.tolist())
        for item in waiting:  # whoever waits is kept out by a full cap
            assert any(c[item] >= 0 and (c[shown] == c[item]).sum() >= most for c, most in caps)


def test_a_batch_is_arranged_as_one_by_one() -> None:
    items, scores = candidates(150, 2)
    for variety in ("mmr", "dpp"):
        together = arrange(items, scores, 7, variety=variety, likeness=LIKE, places=4)
        alone = [
            arrange(items[i : i + 1], scores[i : i + 1], 7, variety=variety, likeness=LIKE, places=4)
            for i in range(150)
        ]
        np.testing.assert_array_equal(together, np.concatenate(alone))


def shelf() -> Dataset:
    none = np.zeros(0, np.int32)
    frame = pl.DataFrame({"title": list("abcd"), "maker": ["x", "x", None, "y"]})
    return Dataset(
        name="shelf", users=Ids([]), items=Ids(list("abcd")), events=Events(user=none, item=none), catalogue=frame
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (PageConfig(variety="mmr", likeness="makr"), "nearest: \\['maker'"),
        (PageConfig(caps={"brand": 2}), "page.caps names 'brand'"),
        (PageConfig(caps={"maker": 0}), "at least 1"),
        (PageConfig(pins={"zz": 1}), "pins name the item 'zz'"),
    ],
)
def test_a_page_that_asks_for_what_is_not_there_is_refused(config: PageConfig, said: str) -> None:
    with pytest.raises((UnknownName, BadSetting), match=said):
        Page(config).fit(shelf(), {})


def test_an_unknown_variety_or_balance_is_refused() -> None:
    items, scores = candidates(1)
    with pytest.raises(UnknownName, match="mmr"):
        arrange(items, scores, 3, variety="mmrr")
    with pytest.raises(BadSetting, match="balance is 2"):
        arrange(items, scores, 3, variety="mmr", balance=2, likeness=LIKE)
