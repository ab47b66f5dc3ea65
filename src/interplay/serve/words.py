"""The words of a catalogue: what a person typed, word by word, and the nearest word where there is none.

Words choose which items a search may show; the search model orders them. The last letters of a word may be missing
(search as you type), and a misspelt word is read as the nearest one that the catalogue has.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp

from interplay.serve.window import ROLES
from interplay.types import Array, Dataset

WORD = re.compile(r"\w+", re.UNICODE)
SMALL = frozenset(("a", "an", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to"))


def words(text: str) -> list[str]:
    """Lower case, without accents.

    >>> words("Crème brûlée, No. 4")
    ['creme', 'brulee', 'no', '4']
    """
    if text.isascii():
        return WORD.findall(text.lower())
    flat = unicodedata.normalize("NFKD", text.lower())
    return WORD.findall("".join(c for c in flat if not unicodedata.combining(c)))


@dataclass(frozen=True)
class Understood:
    """A query as the catalogue's own words."""

    typed: tuple[str, ...]
    read: tuple[str | None, ...]  # the catalogue's word for each, None where nothing is near
    found: Array  # bool[n_items]: items that have every word

    @property
    def repaired(self) -> tuple[tuple[str, str], ...]:
        """(typed, read) of words that had to be corrected; a completed word is not one."""
        return tuple((t, r) for t, r in zip(self.typed, self.read, strict=True) if r and not r.startswith(t))

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(t for t, r in zip(self.typed, self.read, strict=True) if r is None)


class Words:
    """An inverted index over every text column of the catalogue."""

    def __init__(self, dataset: Dataset) -> None:
        self.n_items = dataset.n_items
        texts = told(dataset)
        bags = [set(words(text)) for text in texts]
        self.vocabulary: list[str] = sorted(set().union(*bags)) if bags else []
        place = {word: i for i, word in enumerate(self.vocabulary)}
        word = np.fromiter((place[w] for bag in bags for w in bag), np.int64)
        item = np.repeat(np.arange(len(bags)), [len(b) for b in bags])
        order = np.lexsort((item, word))
        self.items = item[order].astype(np.int32)  # postings, word after word
        self.offsets = np.zeros(len(self.vocabulary) + 1, np.int64)
        np.cumsum(np.bincount(word, minlength=len(self.vocabulary)), out=self.offsets[1:])

    def having(self, start: str) -> Array:
        """bool[n_items]: items with a word that begins so. Words with one beginning are neighbours in the index."""
        lo, hi = self._range(start)
        out = np.zeros(self.n_items, bool)
        out[self.items[self.offsets[lo] : self.offsets[hi]]] = True
        return out

    def _range(self, start: str) -> tuple[int, int]:
        return bisect_left(self.vocabulary, start), bisect_left(self.vocabulary, start + "\U0010ffff")

    def understand(self, query: str) -> Understood:
        """Each typed word as itself, as a word it begins, as the nearest word, or as nothing."""
        typed = [w for w in words(query) if w not in SMALL] or words(query)
        read: list[str | None] = []
        found = np.ones(self.n_items, bool)
        for word in typed:
            lo, hi = self._range(word)
            if lo < hi:
                exact = self.vocabulary[lo] == word
                frequency = np.diff(self.offsets[lo : hi + 1])
                read.append(word if exact else self.vocabulary[lo + int(frequency.argmax())])
                found &= self.having(word)
            else:
                close = self.nearest(word)
                read.append(close)
                found &= self.having(close) if close else np.zeros(self.n_items, bool)
        return Understood(tuple(typed), tuple(read), found)

    def nearest(self, word: str) -> str | None:
        """The catalogue's word with the fewest typing slips between, the more frequent first; None beyond two slips."""
        most = 0 if len(word) < 3 else 1 if len(word) < 6 else 2
        if not most or not self.vocabulary:
            return None
        apart = np.abs(self._letters - _letters([word])).sum(axis=1)  # one slip changes at most two letter counts
        near = [(slips(word, self.vocabulary[i], most), -int(self.offsets[i + 1] - self.offsets[i]), i)
                for i in np.flatnonzero(apart <= 2 * most)]  # fmt: skip
        slip, _, i = min(near, default=(most + 1, 0, 0))
        return self.vocabulary[i] if slip <= most else None

    @cached_property
    def _letters(self) -> Array:
        return _letters(self.vocabulary)

    @cached_property
    def _weighted(self) -> sp.csr_array:
        """items x words, rows of unit length; a rare word weighs more (log inverse frequency)."""
        word = np.repeat(np.arange(len(self.vocabulary)), np.diff(self.offsets))
        rare = np.log1p(self.n_items / np.maximum(np.diff(self.offsets), 1))
        x = sp.csr_array((rare[word], (self.items, word)), shape=(self.n_items, len(self.vocabulary)))
        length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
        return sp.csr_array(sp.diags_array(1 / np.maximum(length, 1e-12)) @ x)

    def like(self, item: int) -> Array:
        """float32[n_items]: cosine of the words of each item with those of one; 0 where they share none."""
        if not self.vocabulary:
            return np.zeros(self.n_items, np.float32)
        x = self._weighted
        return np.asarray((x @ x[[item]].T).todense(), np.float32).ravel()


def told(dataset: Dataset) -> list[str]:
    """One text per item from every text column but the names of photographs; the ids where there is none."""
    if dataset.catalogue is None:
        return [str(name) for name in dataset.items]
    columns = []
    for column in dataset.catalogue.iter_columns():
        if column.dtype == pl.List(pl.String):
            columns.append(column.list.join(" "))
        elif column.dtype in (pl.String, pl.Categorical, pl.Enum) and column.name not in ("item_id", *ROLES["photo"]):
            columns.append(column.cast(pl.String))
    if not columns:
        return [str(name) for name in dataset.items]
    frame = pl.DataFrame([c.fill_null("").alias(str(i)) for i, c in enumerate(columns)])
    texts: list[str] = frame.select(pl.concat_str(pl.all(), separator=" ")).to_series().to_list()
    return texts + [""] * (dataset.n_items - len(texts))


def _letters(listed: Sequence[str]) -> Array:
    """int8[n, 37]: how often each of a-z, 0-9 and anything else occurs."""
    out = np.zeros((len(listed), 37), np.int8)
    for i, word in enumerate(listed):
        for c in word:
            out[i, ord(c) - 97 if "a" <= c <= "z" else ord(c) - 22 if "0" <= c <= "9" else 36] += 1
    return out


def slips(a: str, b: str, most: int) -> int:
    """Letters put in, left out, changed or swapped with a neighbour between two words; `most + 1` stands for more.

    >>> slips("lantren", "lantern", 2)
    1
    """
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            now.append(cost)
        before, last = last, now
    return min(last[-1], most + 1)
