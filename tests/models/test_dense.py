"""Dense search agrees with cosines worked by hand; the encoder is replaced by one that counts letters."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay.errors import BadData, UnknownName
from interplay.models import dense
from interplay.models.dense import Dense, DenseConfig
from interplay.types import Array, Dataset, Events, Ids, Requests

TEXTS = ["abba", "aab", "", "ccd", "dcc c", "abcd"]


def letters(texts: list[str], **more: object) -> Array:
    counts = np.array([[t.count(c) for c in "abcd"] for t in texts], np.float32) + 1e-3
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dense.ENCODERS, "letters", letters)


def shelf(texts: list[str] = TEXTS) -> Dataset:
    none = np.zeros(0, np.int32)
    return Dataset(
        name="shelf", users=Ids([]), items=Ids([f"i{i}" for i in range(len(texts))]),
        events=Events(user=none, item=none), catalogue=pl.DataFrame({"title": texts}),
    )  # fmt: skip


def model() -> Dense:
    return Dense(DenseConfig(encoder="letters")).fit(shelf())


def test_a_query_finds_the_largest_cosines_and_no_item_without_a_text() -> None:
    slates = model().retrieve(Requests.strangers([[], []], query=["ab", "cccd"]), 6)
    cosine = letters(["ab", "cccd"]) @ letters(TEXTS).T
    for i in range(2):
        order = [j for j in np.argsort(-cosine[i]) if j != 2]
        assert [item for item, _ in slates.row(i)] == order
        np.testing.assert_allclose([s for _, s in slates.row(i)], cosine[i, order], rtol=1e-5)


def test_without_a_query_the_mean_of_the_last_items_is_asked_for() -> None:
    fitted = Dense(DenseConfig(encoder="letters", window=2)).fit(shelf())
    slates = fitted.retrieve(Requests.strangers([[3, 0, 1]], query=[None]), 6)
    mean = letters(["abba"]) + letters(["aab"])
    cosine = (letters(TEXTS) @ mean[0]) / np.linalg.norm(mean)
    assert [i for i, _ in slates.row(0)] == [j for j in np.argsort(-cosine) if j not in (0, 1, 2, 3)]


def test_who_says_nothing_gets_what_is_popular() -> None:
    slates = model().retrieve(Requests.strangers([[], [2], [99]]), 6)
    assert (slates.items[:, :5] >= 0).all() and set(slates.items[0].tolist()) == set(range(6))


def test_similar_items_are_the_nearest_others() -> None:
    slates = model().similar_items(np.array([3, 2, 99, -1]), 2)
    assert slates.items[0, 0] == 4 and 3 not in slates.items[0]
    assert (slates.items[1:] == -1).all()


def test_state_moves_and_what_cannot_be_meant_is_refused() -> None:
    fitted, requests = model(), Requests.strangers([[0], []], query=["c", None])
    again = Dense(DenseConfig(encoder="letters")).restore(fitted.state())
    assert again.retrieve(requests, 4).equals(fitted.retrieve(requests, 4))
    with pytest.raises(BadData, match="has a title"):
        Dense(DenseConfig(encoder="letters")).fit(shelf(["", " "]))
    with pytest.raises(UnknownName, match="nearest: \\['letters'"):
        Dense(DenseConfig(encoder="leters")).fit(shelf())


def test_the_packaged_encoder_puts_like_meanings_together() -> None:
    fitted = Dense().fit(shelf(["a sofa for two", "strong black tea", "a couch with cushions", "hot drinks"]))
    assert fitted.vectors.shape == (4, 384)
    assert {fitted.similar_items(np.array([0, 1]), 1).items[i, 0] for i in range(2)} == {2, 3}
