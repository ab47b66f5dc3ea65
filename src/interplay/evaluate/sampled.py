"""Sampled measures: each relevant item among a few drawn negatives, instead of the whole catalogue.

They are here because papers use them, not because they should be used. The expected sampled measure is another
function of the rank than the full one, so it can reverse the order of two systems (Krichene and Rendle, KDD 2020); only
AUC keeps its meaning. Every call warns, and every name ends in the number of negatives: `recall@10~100neg`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from interplay import metrics as measures
from interplay.errors import BadSetting
from interplay.evaluate.judged import Judged, shown
from interplay.evaluate.reads import refuse_second
from interplay.evaluate.replay import Asked
from interplay.types import TEST, Array, Ragged, Retriever, Slates

if TYPE_CHECKING:
    from interplay.data.split import Split

BLOCK = 1 << 24  # ranks and draws held at once


class SampledMeasure(UserWarning):
    """A measure over drawn negatives is reported."""


def sampled(
    retriever: Retriever,
    split: Split,
    *,
    negatives: int = 100,
    which: int = TEST,
    on: str | None = None,
    metrics: str | Sequence[str] = ("recall@10", "ndcg@10"),
    history: str | None = None,
    seed: int = 0,
    draws: int = 1,
    reread: bool = False,
) -> Judged:
    """Judge by ranking the relevant items of each request among `negatives` items drawn uniformly for that request.

    Negatives are neither relevant nor in the history, drawn without replacement, and the same for every system: they
    depend on the split and `seed` only. Each request is given the mean over `draws` draws; the lists kept are those of
    the last. Warns each time.
    """
    if negatives < 1 or draws < 1:
        raise BadSetting(f"negatives is {negatives} and draws is {draws}; expected at least 1 of each")
    names = tuple(measures.parse(metrics))
    asked = Asked.of(split, which, on=on, history=history)
    if which == TEST:
        refuse_second(retriever, split.hash, reread=reread)
    warnings.warn(
        f"{', '.join(f'{m}~{negatives}neg' for m in names)}: measured among {negatives} drawn negatives, which can "
        "order systems otherwise than the full catalogue does; use evaluate.replay.replay for anything that matters",
        SampledMeasure, stacklevel=2,
    )  # fmt: skip
    n_items = split.dataset.n_items
    cut = max(k for _, k in measures.parse(names).values())
    lists, spent = Slates.empty(len(asked.requests), cut), 0.0
    values = {m: np.zeros(len(lists)) for m in names}
    step = max(1, BLOCK // max(n_items, 1))
    for lo, part in asked.requests.blocks(step):
        here, truth = slice(lo, lo + len(part)), asked.truth.slice(lo, lo + len(part))
        full, seconds = shown(retriever, part, n_items, block=step)
        spent += seconds
        rank = _ranks(full, n_items)
        for draw in range(draws):
            rng = np.random.default_rng([seed, draw, lo])
            candidates = _candidates(truth, part.history, n_items, negatives, rng)
            lists.items[here], lists.scores[here] = _reranked(rank, candidates, n_items, cut)
            for m, value in measures.measure(lists.slice(lo, lo + len(part)), truth, names).items():
                values[m][here] += value / draws
    judged = Judged(
        users={f"{m}~{negatives}neg": v for m, v in values.items()}, who=asked.requests.user, cold=asked.cold,
        slates=lists, truth=asked.truth, seconds=spent,
        protocol={
            **asked.protocol, "candidates": f"the relevant items and {negatives} drawn ones", "draws": draws,
            "seed": seed, "system": type(retriever).__name__, "metrics": [f"{m}~{negatives}neg" for m in names],
        },
    )  # fmt: skip
    return judged.noted(retriever, split.hash, None) if which == TEST else judged


def _candidates(truth: Ragged, history: Ragged, n_items: int, negatives: int, rng: np.random.Generator) -> Array:
    """int64[n, longest + negatives]: the relevant items, then the drawn ones; -1 pads."""
    lots = rng.random((len(truth), n_items), np.float32)
    for held in (truth, history):
        inside = (held["item"] >= 0) & (held["item"] < n_items)
        lots[held.owner[inside], held["item"][inside]] = np.inf
    m = min(negatives, n_items)
    drawn = np.argpartition(lots, m - 1, axis=1)[:, :m]
    drawn = np.where(np.isfinite(np.take_along_axis(lots, drawn, axis=1)), drawn, -1)
    relevant = np.full((len(truth), int(truth.lengths.max(initial=0))), -1, np.int64)
    relevant[truth.owner, np.arange(len(truth["item"])) - truth.offsets[truth.owner]] = truth["item"]
    return np.concatenate([relevant, drawn], axis=1)


def _ranks(full: Slates, n_items: int) -> Array:
    """int32[n, n_items + 1]: place of each item in the full list; n_items for absent ones and, last, for padding."""
    n, k = full.items.shape
    rank = np.full((n, n_items + 1), n_items, np.int32)
    rank[np.arange(n)[:, None], full.items] = np.arange(k)  # -1 falls into the last column
    rank[:, n_items] = n_items
    return rank


def _reranked(rank: Array, candidates: Array, n_items: int, cut: int) -> tuple[Array, Array]:
    """The candidates of each request in the order of its full list: the first `cut`, padded, and their scores."""
    place = np.take_along_axis(rank, np.where(candidates >= 0, candidates, n_items), axis=1)
    order = np.argsort(place, axis=1, kind="stable")[:, :cut]
    ranked = np.take_along_axis(place, order, axis=1)
    items = np.where(ranked < n_items, np.take_along_axis(candidates, order, axis=1), -1)
    short = ((0, 0), (0, cut - items.shape[1]))
    scores = np.where(ranked < n_items, -ranked, -np.inf)
    return np.pad(items, short, constant_values=-1), np.pad(scores, short, constant_values=-np.inf)


def expected_hit(rank: Array, n_items: int, negatives: int, k: int) -> Array:
    """float64[m]: how likely an item of true rank 1..n_items is among the first k of itself and drawn negatives.

    Its sampled rank is 1 + Binomial(negatives, (rank - 1) / (n_items - 1)) (Krichene and Rendle, KDD 2020, section 4).
    """
    from scipy.special import bdtr

    above = (np.asarray(rank, np.float64) - 1) / max(n_items - 1, 1)
    return np.asarray(bdtr(k - 1, negatives, above), np.float64)
