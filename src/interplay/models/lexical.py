"""Words that query and item share.

bm25    Robertson and Zaragoza, Foundations and Trends in IR 2009; Robertson et al., TREC-3 1994

Learns one weight for each (item, term): 8 bytes each, held twice (by item and by term), plus the vocabulary.
Departs from the papers: the idf is ln(1 + (N - df + 1/2) / (df + 1/2)), which is never negative, and the constant
factor k1 + 1 is left out, as in Lucene; neither changes an order but for terms in more than half of all texts.
A request without a query asks for more of what it has seen: the strongest terms of its last items become the query.
The arithmetic is our own, on sparse matrices: whole batches at once, rules before the cut, and the same numbers on
every run (a library's vocabulary order depends on the interpreter's hash seed). A test compares it with bm25s.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import scipy.sparse as sp

from interplay.configure import NotNegative, Share, Size
from interplay.errors import BadData
from interplay.ops.sparse import history_matrix
from interplay.ops.text import packed, terms, unpacked
from interplay.ops.topk import best
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

BLOCK = 256  # requests scored at once; a block against 100,000 items takes 100 MB


@dataclass(frozen=True, kw_only=True)
class Bm25Config:
    k1: NotNegative = 1.2  # how soon a repeated term stops counting
    b: Share = 0.75  # how much a long text is discounted; 0 is not at all
    stem: str = "english"  # a Snowball language, or "none"
    window: Size = 20  # without a query: the last so many items of the history speak
    strongest: Size = 32  # ... with so many of their terms


class Bm25:
    """Search over titles and texts; without a query, items whose words resemble those of the history."""

    def __init__(self, config: Bm25Config = Bm25Config()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Bm25:
        cut = terms(dataset.texts(), stem=self.config.stem)
        if not any(cut):
            raise BadData(
                f"bm25 reads words; no item of {dataset.name!r} has any in title, text or categories. "
                "Add an items table with one of these columns"
            )
        self.rows = Rows.of(dataset)
        self._speak(sorted(set(chain.from_iterable(cut))))
        counts = self._counted(cut)
        self.idf, self.mean = spread(counts)
        self._weigh(bm25_weights(counts, self.idf, self.mean, self.config.k1, self.config.b))
        self.fitted = {"terms": len(self.vocabulary), "items_without_words": sum(not line for line in cut)}
        return self

    def _speak(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary
        self.place: Mapping[str, int] = {term: i for i, term in enumerate(vocabulary)}

    def _weigh(self, by_item: sp.csr_array) -> None:
        self.by_item = by_item  # items x terms
        self.by_term = by_item.T.tocsr()  # terms x items

    def _counted(self, cut: Sequence[Sequence[str]]) -> sp.csr_array:
        """texts x terms: how often each known term occurs."""
        known = [[self.place[t] for t in line if t in self.place] for line in cut]
        offsets = np.concatenate([[0], np.cumsum([len(line) for line in known])]).astype(np.int64)
        flat = np.fromiter(chain.from_iterable(known), np.int32, count=int(offsets[-1]))
        x = sp.csr_array((np.ones(len(flat), np.float32), flat, offsets), shape=(len(cut), len(self.vocabulary)))
        x.sum_duplicates()
        return x

    def attended(self, dataset: Dataset, changed: Array) -> Bm25:
        """With the texts that `changed` items have now. Terms are as rare as at the fit, new ones very rare."""
        out = copy.copy(self)
        cut = terms(dataset.texts(changed), stem=self.config.stem)
        fresh = sorted(set(chain.from_iterable(cut)) - set(self.place))
        out.rows = self.rows.grown(dataset.items)
        out._speak(self.vocabulary + fresh)
        out.idf = np.concatenate([self.idf, np.full(len(fresh), self.idf.max(initial=0.0))])
        rows = bm25_weights(out._counted(cut), out.idf, self.mean, self.config.k1, self.config.b)
        before = self.by_item.copy()
        before.resize(self.rows.n_items, len(out.vocabulary))
        order = np.minimum(np.arange(out.rows.n_items), self.rows.n_items + len(changed) - 1)
        order[changed] = self.rows.n_items + np.arange(len(changed))
        out._weigh(sp.csr_array(sp.vstack([before, rows], format="csr")[order]))
        return out

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """The items that share a term with the query, best first: a list may be short, or empty.

        Without a query the whole catalogue is ranked; items that share nothing come last, by popularity.
        """
        return best(self.scores, requests, n, self.rows, block=BLOCK)

    def scores(self, requests: Requests) -> Array:
        """float32[len(requests), n_items]; -inf where a query shares no term with the item."""
        queries = [q or "" for q in requests.query or [""] * len(requests)]
        asked = np.array([bool(q.strip()) for q in queries], bool)
        wanted = self._counted(terms(queries, stem=self.config.stem))
        if not asked.all():
            wanted = sp.csr_array(wanted + sp.diags_array((~asked).astype(np.float32)) @ self._alike(requests))
        scores = (wanted @ self.by_term).toarray()
        unshared = np.where(asked[:, None], -np.inf, -1 / (1 + self.rows.popularity))  # all below any shared term
        return np.where(scores > 0, scores, unshared).astype(np.float32)

    def _alike(self, requests: Requests) -> sp.csr_array:
        """requests x terms: the strongest terms of the history's last items, with their summed weights."""
        seen = history_matrix(requests.history.last(self.config.window), self.rows.n_items)
        x = sp.csr_array(seen @ self.by_item)
        row = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        order = np.lexsort((x.indices, -x.data, row))  # strongest first in each row
        place = np.arange(len(order)) - x.indptr[row]  # rows keep their extent under the sort
        kept = order[place < self.config.strongest]
        return sp.csr_array(sp.coo_array((x.data[kept], (row[kept], x.indices[kept])), shape=x.shape))

    def similar_items(self, items: Array, n: int) -> Slates:
        """Items that share the strongest terms of each given item, never itself."""
        known = np.where(np.asarray(items) < self.rows.n_items, items, -1)
        requests = Requests.strangers([[i] if i >= 0 else [] for i in known.tolist()])
        slates = self.retrieve(requests, n)
        unshared = ~(slates.scores > 0) | (known < 0)[:, None]
        return Slates(items=np.where(unshared, -1, slates.items), scores=np.where(unshared, -np.inf, slates.scores))

    def state(self) -> State:
        x = self.by_item
        return State.joined(
            rows=self.rows.state(), vocabulary=State(arrays=packed(self.vocabulary)),
            weights=State(
                arrays={"data": x.data, "indices": x.indices, "indptr": x.indptr, "idf": self.idf},
                facts={"mean": self.mean},
            ),
        )  # fmt: skip

    def restore(self, state: State) -> Bm25:
        self.rows = Rows.restore(state.within("rows"))
        self._speak(unpacked(state.within("vocabulary").arrays))
        w = state.within("weights").arrays
        self.idf, self.mean = w["idf"], float(state.within("weights").facts["mean"])
        shape = (self.rows.n_items, len(self.vocabulary))
        self._weigh(sp.csr_array((w["data"], w["indices"], w["indptr"]), shape=shape))
        return self


def spread(counts: sp.csr_array) -> tuple[Array, float]:
    """The idf of each term, float64[terms], and the mean length of the texts that have any term."""
    length = np.asarray(counts.sum(axis=1)).ravel()
    n, mean = max(int((length > 0).sum()), 1), length.sum() / max((length > 0).sum(), 1)
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log1p((n - df + 0.5) / (df + 0.5)), float(mean)


def bm25_weights(counts: sp.csr_array, idf: Array, mean: float, k1: float, b: float) -> sp.csr_array:
    """What each term of each text is worth: texts x terms, float32 (Robertson and Zaragoza, equation 3.15).

    Texts without any term count neither for the idf nor for the mean length.
    """
    length = np.asarray(counts.sum(axis=1)).ravel()
    discount = k1 * (1 - b + b * length / max(mean, 1e-9))
    tf = counts.data / (counts.data + np.repeat(discount, np.diff(counts.indptr)))
    data = (idf[counts.indices] * tf).astype(np.float32)
    return sp.csr_array((data, counts.indices.astype(np.int32), counts.indptr.astype(np.int64)), shape=counts.shape)
