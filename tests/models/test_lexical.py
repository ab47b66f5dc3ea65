"""BM25 agrees with its definition and with an outside implementation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from interplay.errors import BadData, BadSetting
from interplay.models.lexical import Bm25, Bm25Config
from interplay.ops.text import terms
from interplay.types import Dataset, Events, Ids, Requests, RuleSet

TEXTS = [
    "A brass lamp for the desk",
    "Desk lamp, brass, with a long brass arm",
    "Paper moon",
    "The tea of the harbour: strong tea, plum tea",
    "",
    "Plum jam and plum tea",
]


def shelf(texts: list[str] | None = None) -> Dataset:
    texts, none = TEXTS if texts is None else texts, np.zeros(0, np.int32)
    return Dataset(
        name="shelf", users=Ids([]), items=Ids([f"i{i}" for i in range(len(texts))]),
        events=Events(user=none, item=none), catalogue=pl.DataFrame({"title": texts}, schema={"title": pl.String}),
    )  # fmt: skip


def searched(*queries: str, **more: object) -> Requests:
    return Requests.strangers([[]] * len(queries), query=list(queries), **more)


def test_scores_are_those_of_the_formula() -> None:
    model = Bm25(Bm25Config(k1=1.5, b=0.6)).fit(shelf())
    cut = terms(TEXTS)
    texts = [line for line in cut if line]
    mean = sum(map(len, texts)) / len(texts)
    scores = model.scores(searched("brass lamps and plum plum teas"))[0]
    for item, line in enumerate(cut):
        expected, count = 0.0, Counter(line)
        for term in terms(["brass lamps and plum plum teas"])[0]:
            df = sum(term in other for other in texts)
            idf = np.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            expected += idf * count[term] / (count[term] + 1.5 * (1 - 0.6 + 0.6 * len(line) / mean))
        assert scores[item] == pytest.approx(expected, rel=1e-5) if expected else scores[item] == -np.inf


def test_an_outside_implementation_ranks_the_same() -> None:
    import bm25s

    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(60)])
    texts = [" ".join(rng.choice(words, rng.integers(3, 30), p=np.arange(60, 0, -1) / 1830)) for _ in range(80)]
    model = Bm25().fit(shelf(texts))
    other = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    other.index(terms(texts), show_progress=False)
    for query in ("word1 word40", "word7 word7 word30 word59"):
        theirs = other.get_scores(terms([query])[0])
        mine = model.scores(searched(query))[0]
        np.testing.assert_allclose(np.where(np.isfinite(mine), mine, 0), theirs, rtol=1e-4, atol=1e-6)


def test_only_items_that_share_a_word_are_found() -> None:
    model = Bm25().fit(shelf())
    slates = model.retrieve(searched("plum", "zeppelin", "the of and"), 6)
    assert {i for i, _ in slates.row(0)} == {3, 5}
    assert slates.row(1) == [] and slates.row(2) == []


def test_words_are_stemmed_or_not_as_set() -> None:
    found = lambda stem: Bm25(Bm25Config(stem=stem)).fit(shelf()).retrieve(searched("lamps"), 6).row(0)
    assert {i for i, _ in found("english")} == {0, 1} and found("none") == []
    with pytest.raises(BadSetting, match="nearest: \\['english'"):
        Bm25(Bm25Config(stem="englsh")).fit(shelf())


def test_without_a_query_the_history_speaks() -> None:
    model = Bm25().fit(shelf())
    slates = model.retrieve(Requests.strangers([[0], [5], [4], []], query=[None, "  ", None, None]), 6)
    assert slates.items[0, 0] == 1 and slates.items[1, 0] == 3
    assert 0 not in slates.items[0] and (slates.items[2:, :5] >= 0).all()
    assert model.similar_items(np.array([0, 4, 77]), 3).items.tolist() == [[1, -1, -1], [-1, -1, -1], [-1, -1, -1]]


def test_rules_come_before_the_cut() -> None:
    mask = np.array([[False, True, True, True, True, True]])
    slates = Bm25().fit(shelf()).retrieve(searched("brass lamp desk", rules=RuleSet(masks=mask, names=("no i0",))), 1)
    assert slates.items.tolist() == [[1]]


def test_a_catalogue_without_words_is_refused() -> None:
    with pytest.raises(BadData, match="no item of 'shelf' has any"):
        Bm25().fit(shelf(["", "!"]))
