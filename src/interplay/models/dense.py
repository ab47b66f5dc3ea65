"""Meaning that query and item share: both become vectors of one text encoder.

minilm    Reimers and Gurevych, EMNLP 2019 (sentence embeddings); Wang et al., NeurIPS 2020 (MiniLM)

Learns nothing from behaviour: one unit vector for each item with a text, 4 * 384 bytes each. Encoding is the whole
cost, some 200 short texts a second on two cores; what was encoded before is not encoded again.
A request without a query asks for more of what it has seen: the mean vector of its last items becomes the query.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interplay.configure import Size
from interplay.data.encode import encode_texts
from interplay.data.fetch import cache
from interplay.errors import BadData, unknown
from interplay.ops.sparse import history_matrix
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

ENCODERS: dict[str, Callable[..., Array]] = {"minilm": encode_texts}  # texts -> float32[n, dim], unit length
WORTH_KEEPING = 512  # so many texts at once are kept in the cache directory; fewer are sooner encoded again


@dataclass(frozen=True, kw_only=True)
class DenseConfig:
    encoder: str = "minilm"  # a name in ENCODERS
    batch: Size = 64  # texts encoded at once
    precision: str = "float32"  # of the items' encoding; "bfloat16" takes half the time. Queries are always float32
    window: Size = 20  # without a query: the last so many items of the history speak


class Dense:
    """Search by cosine; without a query, items whose texts mean what the history's texts mean."""

    def __init__(self, config: DenseConfig = DenseConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Dense:
        texts = dataset.texts()
        told = np.array([bool(t.strip()) for t in texts], bool)
        if not told.any():
            raise BadData(
                f"{self.config.encoder} reads texts; no item of {dataset.name!r} has a title, text or categories. "
                "Add an items table with one of these columns"
            )
        self.rows = Rows.of(dataset)
        spoken = [t for t, has in zip(texts, told, strict=True) if has]
        said = self.encode(spoken, progress=run.progress, precision=self.config.precision)
        vectors = np.zeros((len(texts), said.shape[1]), np.float32)
        vectors[told] = said
        self._hold(vectors)
        self.fitted = {"dim": int(said.shape[1]), "items_without_text": int((~told).sum())}
        return self

    def attended(self, dataset: Dataset, changed: Array) -> Dense:
        """With the texts that `changed` items have now."""
        out = copy.copy(self)
        out.rows = self.rows.grown(dataset.items)
        vectors = np.zeros((out.rows.n_items, self.vectors.shape[1]), np.float32)
        vectors[: len(self.vectors)] = self.vectors
        texts = dataset.texts(changed)
        told = np.array([bool(t.strip()) for t in texts], bool)
        vectors[changed[~told]] = 0
        vectors[changed[told]] = self.encode([t for t in texts if t.strip()], precision=self.config.precision)
        out._hold(vectors)
        return out

    def _hold(self, vectors: Array) -> None:
        self.vectors = vectors  # items x dim, zero for an item without text
        self.told = np.linalg.norm(vectors, axis=1) > 0  # bool[n_items]
        self.muted = np.where(self.told, 0, -np.inf).astype(np.float32)  # added to scores

    def encode(self, texts: Sequence[str], progress: Any = None, precision: str = "float32") -> Array:
        """float32[n, dim]: unit vectors of any texts, in the space of the items' vectors."""
        if self.config.encoder not in ENCODERS:
            raise unknown("encoder", self.config.encoder, ENCODERS)
        folder = cache() / "vectors" if len(texts) >= WORTH_KEEPING else None
        encode = ENCODERS[self.config.encoder]
        return encode(texts, batch=self.config.batch, cache=folder, progress=progress, precision=precision)

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """The items nearest in meaning, best first; items without a text are left out.

        A request that says nothing (no query, no known item) gets what is popular.
        """
        wanted = self.wanted(requests)
        mute = ~wanted.any(axis=1)
        out = best_dot(wanted, self.vectors, requests, n, self.rows, bias=self.muted)
        if mute.any():
            rest = requests.take(np.flatnonzero(mute))
            same = np.zeros((len(rest), 1), np.float32), np.zeros((self.rows.n_items, 1), np.float32)
            popular = best_dot(*same, rest, n, self.rows, bias=self.rows.popularity)
            out.items[mute], out.scores[mute] = popular.items, popular.scores
        return out

    def wanted(self, requests: Requests) -> Array:
        """float32[len(requests), dim]: unit vectors of the queries, or of the histories' means; zero if neither."""
        recent = history_matrix(requests.history.last(self.config.window), self.rows.n_items)
        mean = recent @ self.vectors
        out = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        asked = [i for i, q in enumerate(requests.query or ()) if q is not None and q.strip()]
        if asked:
            out[asked] = self.encode([requests.query[i] for i in asked])  # type: ignore[index, misc]
        return out.astype(np.float32)

    def similar_items(self, items: Array, n: int) -> Slates:
        """The nearest other items of each given item."""
        items = np.asarray(items, np.int64)
        known = (items >= 0) & (items < self.rows.n_items)
        held = np.flatnonzero(known & self.told[np.where(known, items, 0)])
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        slates = self.retrieve(Requests.strangers([[i] for i in items[held].tolist()]), n)
        out.items[held], out.scores[held] = slates.items, slates.scores
        return out

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), items=State(arrays={"vectors": self.vectors}))

    def restore(self, state: State) -> Dense:
        self.rows = Rows.restore(state.within("rows"))
        self._hold(state.within("items").arrays["vectors"])
        return self
