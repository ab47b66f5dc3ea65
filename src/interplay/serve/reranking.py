"""Putting given texts or items in the order of a query, or of a person's taste.

By meaning where a source of the cascade has a text encoder, by shared words where none has: each query word counts by
how rare the catalogue makes it. Relevance is on 0 to 1; texts that say the same keep the order they came in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from interplay.serve.engine import Engine
from interplay.serve.words import SMALL, words
from interplay.types import Array, Id


def by_query(engine: Engine, query: str, texts: Sequence[str]) -> tuple[Array, str]:
    """float[n] relevance of each text, and what compared them."""
    encoder = _encoder(engine)
    if encoder is None:
        return _shared(engine, query, texts), "words"
    vectors = encoder.encode([query, *texts])
    return np.clip(vectors[1:] @ vectors[0], 0.0, 1.0), "meaning"


def items_by_query(engine: Engine, query: str, items: Array) -> tuple[Array, str]:
    """The same for items of the catalogue (int[n], -1 for an unknown one, which counts 0)."""
    encoder, known = _encoder(engine), items >= 0
    if encoder is None:
        texts = engine.dataset.texts()
        relevance = _shared(engine, query, [texts[i] if i >= 0 else "" for i in items.tolist()])
        return relevance, "words"
    held = known & (items < len(encoder.vectors))
    wanted = encoder.encode([query])[0]
    return np.where(held, np.clip(encoder.vectors[np.where(held, items, 0)] @ wanted, 0.0, 1.0), 0.0), "meaning"


def items_by_taste(engine: Engine, user: Id, items: Sequence[Id]) -> tuple[Array, str]:
    """Relevance of items to a person: 1 for the first of the list that the engine would show of them, falling to 0."""
    answer = engine.answer(user=user, allow=items, k=max(1, min(len(items), 500)), withhold_seen=False)
    place = {item: n for n, item in enumerate(answer.items)}
    index = engine.dataset.items.index(list(items))
    return np.array([1 - place[i] / len(items) if i in place else 0.0 for i in index.tolist()]), "taste"


def _encoder(engine: Engine) -> Any:
    """The first source that turns texts into vectors; None where no source does."""
    sources = engine.cascade.active().values() if hasattr(engine.cascade, "active") else ()
    found = (s.retriever for s in sources if hasattr(s.retriever, "encode") and hasattr(s.retriever, "vectors"))
    return next(found, None)


def _shared(engine: Engine, query: str, texts: Sequence[str]) -> Array:
    """The share of the query's weight that a text holds; a word said again counts a little more."""
    index, n = engine.words, max(engine.dataset.n_items, 1)
    asked = [word for word in dict.fromkeys(words(query)) if word not in SMALL] or words(query)
    weight = {word: math.log1p(n / max(int(index.having(word).sum()), 1)) for word in asked}
    whole = sum(weight.values()) or 1.0
    out = []
    for text in texts:
        said = Counter(words(text))
        out.append(sum(weight[word] * said[word] / (said[word] + 0.5) * 1.5 for word in asked if said[word]) / whole)
    return np.minimum(np.array(out, np.float64), 1.0)
