"""Measures: pure functions over (slates, truth), each with an example worked by hand.

Lists     recall, recall_capped, precision, hit, mrr, average_precision, ndcg: one value per request, cut at k
Ties      expected_recall, expected_ndcg: the mean over every order of tied scores, in closed form
Classes   auc, gauc; logloss, brier, ece for probabilities; rmse, mae for ratings
Beyond    coverage, gini, entropy, novelty, arp, popularity_lift, ild, personalisation, calibration_kl, serendipity,
          tail_share, exposure_ratio, group_gap

`truth` is a Ragged with the column `item` and, for graded judgements, `relevance` (0 and below is not relevant). An
item that stands twice in a list, or twice in the truth, counts once. Padding (-1) takes a place and never hits. A
request without anything relevant has no value: it is refused here, so that whoever leaves it out has to say so
(`judgeable`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from interplay.errors import BadData, BadSetting, Mismatch, unknown
from interplay.ops.sparse import history_matrix
from interplay.ops.stats import Estimate, between, resampled
from interplay.types import Array, Ragged, Slates

# --------------------------------------------------------------------------------------------------------------------
# Where the lists hit


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """Slates laid over the truth, so that several measures share the work."""

    gain: Array  # float64[n, k]: relevance of the item in that place; 0 where it misses
    sizes: Array  # int64[n]: how many items are relevant
    ideal: Array  # float64[n, longest]: relevances of the request, largest first, padded with 0

    def first(self, k: int) -> Matched:
        """The first k places, padded where the lists are shorter."""
        if k < 1:
            raise BadSetting(f"a measure is cut at place k = {k}; k must be at least 1")
        short = k - self.gain.shape[1]
        gain = np.pad(self.gain, ((0, 0), (0, short))) if short > 0 else self.gain[:, :k]
        return Matched(gain=gain, sizes=self.sizes, ideal=self.ideal)

    @property
    def hits(self) -> Array:
        """bool[n, k]"""
        return self.gain > 0


Lists: TypeAlias = Slates | Matched


def listed(rows: Sequence[Sequence[int]]) -> Slates:
    """Slates from nested lists, best first, for tests and small calls.

    >>> listed([[4, 2], [7]]).items.tolist()
    [[4, 2], [7, -1]]
    """
    out = Slates.empty(len(rows), max((len(r) for r in rows), default=0))
    for i, row in enumerate(rows):
        out.items[i, : len(row)], out.scores[i, : len(row)] = row, -np.arange(len(row))
    return out


def judgeable(truth: Ragged) -> Array:
    """int64[]: the requests that have something relevant; take them, and say how many were left out.

    >>> judgeable(Ragged.of([[3], [], [1, 2]])).tolist()
    [0, 2]
    """
    relevant = truth["relevance"] > 0 if "relevance" in truth else np.ones(len(truth["item"]), bool)
    return np.flatnonzero(np.bincount(truth.owner[relevant], minlength=len(truth)))


def matched(slates: Lists, truth: Ragged) -> Matched:
    """Every place of every list with the relevance of what stands there. Raises BadData where nothing is relevant.

    >>> found = matched(listed([[4, 2, 4, 9]]), Ragged.of([[9, 4, 5]]))
    >>> found.gain.tolist(), found.sizes.tolist()
    ([[1.0, 0.0, 0.0, 1.0]], [3])
    """
    if isinstance(slates, Matched):
        return slates
    n = len(slates)
    if n != len(truth):
        raise Mismatch(f"{n} lists and {len(truth)} truths; both need one row per request, in the same order")
    keys, relevance, width = _relevant(truth, slates.items)
    sizes = np.bincount(keys // width, minlength=n)
    if not sizes.all():
        raise BadData(
            f"{int((sizes == 0).sum())} of {n} requests have nothing relevant, so nothing can be measured for them; "
            "keep the rows that metrics.judgeable(truth) names"
        )
    gain = np.zeros(slates.items.shape)
    if slates.items.size:
        asked = np.arange(n, dtype=np.int64)[:, None] * width + slates.items
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        hit = np.flatnonzero((keys[place] == asked) & (slates.items >= 0))
        hit = hit[np.unique(asked.ravel()[hit], return_index=True)[1]]  # a repeated item counts where it stands first
        gain.ravel()[hit] = relevance[place.ravel()[hit]]
    return Matched(gain=gain, sizes=sizes, ideal=_descending(keys // width, relevance, sizes))


def _relevant(truth: Ragged, shown: Array) -> tuple[Array, Array, int]:
    """Sorted keys row * width + item of the distinct relevant pairs, their relevance, and the width."""
    item, owner = truth["item"].astype(np.int64), truth.owner
    if len(item) and item.min() < 0:
        raise BadData(f"the truth holds item {int(item.min())}; items are indices from 0, so map unknown ids first")
    width = int(max(item.max(initial=0), shown.max(initial=0))) + 1
    keys = owner * width + item
    if "relevance" not in truth:
        keys = np.unique(keys)
        return keys, np.ones(len(keys)), width
    relevance = truth["relevance"].astype(np.float64)
    if not np.isfinite(relevance).all():
        raise BadData("a relevance in the truth is NaN or inf; give 0 to what is not relevant")
    order = np.lexsort((-relevance, keys))
    order = order[relevance[order] > 0]
    first = np.diff(keys[order], prepend=-1) != 0
    return keys[order][first], relevance[order][first], width


def _descending(owner: Array, relevance: Array, sizes: Array) -> Array:
    out = np.zeros((len(sizes), int(sizes.max(initial=0))))
    order = np.lexsort((-relevance, owner))
    starts = np.cumsum(sizes) - sizes
    out[owner[order], np.arange(len(owner)) - starts[owner[order]]] = relevance[order]
    return out


# --------------------------------------------------------------------------------------------------------------------
# Lists: float64[n], one value per request


def recall(slates: Lists, truth: Ragged, k: int) -> Array:
    """Share of what is relevant that stands in the first k places: hits / |R|.

    >>> recall(listed([[4, 2, 9]]), Ragged.of([[9, 4, 5, 6]]), 3).tolist()  # 4 and 9 of four
    [0.5]
    """
    found = matched(slates, truth).first(k)
    return found.hits.sum(axis=1) / found.sizes


def recall_capped(slates: Lists, truth: Ragged, k: int) -> Array:
    """hits / min(k, |R|), which a perfect list brings to 1; called Recall in the tables of the VAE papers.

    >>> recall_capped(listed([[4, 2]]), Ragged.of([[9, 4, 5, 6]]), 2).tolist()
    [0.5]
    """
    found = matched(slates, truth).first(k)
    return found.hits.sum(axis=1) / np.minimum(found.sizes, k)


def precision(slates: Lists, truth: Ragged, k: int) -> Array:
    """hits / k, also when the list is shorter.

    >>> precision(listed([[4, 2]]), Ragged.of([[4]]), 4).tolist()
    [0.25]
    """
    return matched(slates, truth).first(k).hits.sum(axis=1) / k


def hit(slates: Lists, truth: Ragged, k: int) -> Array:
    """1 where at least one of the first k is relevant.

    >>> hit(listed([[4, 2], [4, 2]]), Ragged.of([[2, 8], [3]]), 2).tolist()
    [1.0, 0.0]
    """
    return np.where(matched(slates, truth).first(k).hits.any(axis=1), 1.0, 0.0)


def mrr(slates: Lists, truth: Ragged, k: int) -> Array:
    """1 / place of the first relevant item, 0 where none stands in the first k.

    >>> mrr(listed([[4, 2, 9]]), Ragged.of([[2, 9]]), 3).tolist()
    [0.5]
    """
    hits = matched(slates, truth).first(k).hits
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def average_precision(slates: Lists, truth: Ragged, k: int) -> Array:
    """(1 / min(k, |R|)) times the sum of precision@place over the places that hit.

    >>> average_precision(listed([[4, 2, 9]]), Ragged.of([[4, 9]]), 3).round(4).tolist()  # (1/1 + 2/3) / 2
    [0.8333]
    """
    found = matched(slates, truth).first(k)
    at = np.cumsum(found.hits, axis=1) / np.arange(1, k + 1)
    return (at * found.hits).sum(axis=1) / np.minimum(found.sizes, k)


GAINS: Mapping[str, Callable[[Array], Array]] = {
    "exponential": lambda relevance: np.exp2(relevance) - 1.0,  # Burges et al. 2005; the web search convention
    "linear": lambda relevance: relevance,  # Järvelin and Kekäläinen 2002; what trec_eval, and so BEIR, computes
}


def ndcg(slates: Lists, truth: Ragged, k: int, gain: str = "exponential") -> Array:
    """DCG / ideal DCG, with DCG = sum of gain / log2(place + 1) over the first k places.

    The gain of relevance r is 2^r - 1 (`exponential`) or r (`linear`); without grades both are 1.

    >>> ndcg(listed([[4, 2, 9]]), Ragged.of([[9]]), 3).tolist()  # one relevant item in place 3: 1 / log2(4)
    [0.5]
    """
    if gain not in GAINS:
        raise unknown("gain", gain, GAINS)
    found, worth = matched(slates, truth).first(k), GAINS[gain]
    best = worth(found.ideal[:, :k])
    out: Array = worth(found.gain) @ discount(k) / (best @ discount(best.shape[1]))
    return out


def discount(k: int) -> Array:
    """float64[k]: 1 / log2(place + 1).

    >>> discount(3).round(4).tolist()
    [1.0, 0.6309, 0.5]
    """
    return 1.0 / np.log2(np.arange(2, k + 2))


Measure: TypeAlias = Callable[[Lists, Ragged, int], Array]
MEASURES: Mapping[str, Measure] = {
    "recall": recall, "recall-capped": recall_capped, "precision": precision, "hit": hit, "mrr": mrr,
    "map": average_precision, "ndcg": ndcg, "ndcg-linear": partial(ndcg, gain="linear"),
}  # fmt: skip


def parse(names: str | Sequence[str]) -> dict[str, tuple[Measure, int]]:
    """`"recall@20,ndcg@20"` or a list of such names -> name, its function and its cut.

    >>> [(name, k) for name, (_, k) in parse("recall@20,ndcg@10").items()]
    [('recall@20', 20), ('ndcg@10', 10)]
    """
    out = {}
    for name in names.split(",") if isinstance(names, str) else names:
        name = name.strip().lower()
        base, _, cut = name.partition("@")
        if base not in MEASURES:
            raise unknown("metric", base, MEASURES)
        if not cut.isdigit() or int(cut) < 1:
            raise BadSetting(f"metric {name!r} needs the number of places it looks at, such as {base}@20")
        out[name] = (MEASURES[base], int(cut))
    if not out:
        raise BadSetting(f"no metric was named; known: {sorted(MEASURES)}, each with a cut, such as recall@20")
    return out


def measure(slates: Lists, truth: Ragged, names: str | Sequence[str]) -> dict[str, Array]:
    """float64[n] per name: every named measure of every request.

    >>> {name: v.tolist() for name, v in measure(listed([[4, 2]]), Ragged.of([[2]]), "recall@1,mrr@2").items()}
    {'recall@1': [0.0], 'mrr@2': [0.5]}
    """
    functions = parse(names)
    found = matched(slates, truth)
    return {name: function(found, truth, k) for name, (function, k) in functions.items()}


# --------------------------------------------------------------------------------------------------------------------
# Ties: scores float[n, n_items], -inf is withheld, NaN is warned about and never shown


def _tie_groups(scores: Array) -> tuple[Array, Array, Array]:
    """Per score: how many are higher, how many are equal (itself among them), and whether it may be shown."""
    scores = _without_nan(scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    n_items, place = scores.shape[1], np.arange(scores.shape[1])
    new = np.ones(scores.shape, bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    last = np.ones(scores.shape, bool)
    last[:, :-1] = new[:, 1:]
    end = np.minimum.accumulate(np.where(last, place, n_items)[:, ::-1], axis=1)[:, ::-1]
    higher, equal = np.empty(scores.shape, np.int64), np.empty(scores.shape, np.int64)
    np.put_along_axis(higher, order, first, axis=1)
    np.put_along_axis(equal, order, end - first + 1, axis=1)
    return higher, equal, scores > -np.inf


def _without_nan(scores: Array) -> Array:
    scores = np.asarray(scores, np.float64)
    missing = np.isnan(scores)
    if missing.any():
        warnings.warn(f"{int(missing.sum())} scores are NaN; they rank last", RuntimeWarning, stacklevel=3)
        return np.where(missing, -np.inf, scores)
    return scores


def _expected(scores: Array, truth: Ragged, within: Array) -> tuple[Array, Array]:
    """Sum over relevant items of the mean of `within` (float[k]) over the places a tie may give them; and |R|."""
    higher, equal, shown = _tie_groups(scores)
    upto = np.concatenate([[0.0], np.cumsum(within)])
    keys, _, width = _relevant(truth, np.array([scores.shape[1] - 1]))
    row, item = keys // width, keys % width
    sizes = np.bincount(row, minlength=len(truth))
    if not sizes.all():
        raise BadData(f"{int((sizes == 0).sum())} requests have nothing relevant; keep metrics.judgeable(truth)")
    inside = item < scores.shape[1]
    row, item = row[inside], item[inside]
    a, t = higher[row, item], equal[row, item]
    k = len(within)
    worth = (upto[np.minimum(a + t, k)] - upto[np.minimum(a, k)]) / t * shown[row, item]
    return np.bincount(row, worth, minlength=len(truth)), sizes


def expected_recall(scores: Array, truth: Ragged, k: int) -> Array:
    """Recall@k of float[n, n_items] scores, averaged over every order of equal scores.

    >>> expected_recall(np.zeros((1, 4)), Ragged.of([[2]]), 1).tolist()  # constant scores: k / n_items
    [0.25]
    """
    total, sizes = _expected(scores, truth, np.ones(k))
    return total / sizes


def expected_ndcg(scores: Array, truth: Ragged, k: int) -> Array:
    """Binary NDCG@k of float[n, n_items] scores, averaged over every order of equal scores.

    >>> expected_ndcg(np.array([[1.0, 1.0, 0.0]]), Ragged.of([[0]]), 3).round(4).tolist()  # (1 + 1/log2(3)) / 2
    [0.8155]
    """
    total, sizes = _expected(scores, truth, discount(k))
    return total / np.cumsum(discount(k))[np.minimum(sizes, k) - 1]


# --------------------------------------------------------------------------------------------------------------------
# Classes, probabilities, ratings: label, score and predicted are float[m], one value per event


def user_auc(group: Array, label: Array, score: Array) -> tuple[Array, Array, Array]:
    """Per group (user): its number, its AUC (NaN where it has one class only), and how many events it has.

    >>> groups, area, size = user_auc(np.array([7, 7, 9]), np.array([1, 0, 1]), np.array([0.2, 0.9, 0.5]))
    >>> groups.tolist(), area.tolist(), size.tolist()
    ([7, 9], [0.0, nan], [2, 1])
    """
    score, label = _without_nan(score), np.asarray(label) > 0
    groups, group = np.unique(group, return_inverse=True)
    order = np.lexsort((score, group))
    g, s = group[order], score[order]
    new = np.ones(len(s), bool)
    new[1:] = (g[1:] != g[:-1]) | (s[1:] != s[:-1])
    run = np.cumsum(new) - 1  # events of one user with one score share the mean of their ranks
    size = np.bincount(group, minlength=len(groups))
    rank = np.arange(len(s)) - (np.cumsum(size) - size)[g] + 1.0
    rank = (np.bincount(run, rank) / np.bincount(run))[run]
    positive = np.bincount(g, label[order], minlength=len(groups))
    negative = size - positive
    summed = np.bincount(g, rank * label[order], minlength=len(groups))
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (summed - positive * (positive + 1) / 2) / (positive * negative)
    return groups, np.where((positive > 0) & (negative > 0), area, np.nan), size


def auc(label: Array, score: Array) -> float:
    """How often a positive scores above a negative, ties half (mean-rank formula).

    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.9, 0.8, 0.1]))  # pairs: tie, win, loss, win
    0.625
    """
    area = user_auc(np.zeros(len(label), np.int64), label, score)[1] if len(label) else np.array([np.nan])
    if np.isnan(area[0]):
        raise BadData("auc needs positive and negative labels; all of them are of one class")
    return float(area[0])


def gauc(group: Array, label: Array, score: Array, weights: str = "equal") -> float:
    """Mean AUC over the users who have both classes, weighted equally or by `impressions`; the others have none.

    >>> gauc(np.array([1, 1, 2, 2, 2, 3]), np.array([1, 0, 1, 0, 0, 1]), np.array([2.0, 1, 1, 1, 2, 5]))
    0.625
    """
    if weights not in ("equal", "impressions"):
        raise unknown("weighting", weights, ("equal", "impressions"))
    _, area, size = user_auc(group, label, score)
    both = ~np.isnan(area)
    if not both.any():
        raise BadData("gauc needs at least one user with positive and negative labels; none has both")
    return float(np.average(area[both], weights=size[both] if weights == "impressions" else None))


def rmse(rating: Array, predicted: Array, low: float | None = None, high: float | None = None) -> float:
    """Root mean squared error, predictions clipped to [low, high] where given.

    >>> rmse(np.array([5.0, 1.0]), np.array([7.0, 1.0]), high=5.0), rmse(np.array([3.0, 3.0]), np.array([4.0, 2.0]))
    (0.0, 1.0)
    """
    return float(np.sqrt(np.mean(_errors(rating, predicted, low, high) ** 2)))


def mae(rating: Array, predicted: Array, low: float | None = None, high: float | None = None) -> float:
    """Mean absolute error, predictions clipped to [low, high] where given.

    >>> mae(np.array([5.0, 1.0]), np.array([4.0, 1.0]))
    0.5
    """
    return float(np.mean(np.abs(_errors(rating, predicted, low, high))))


def _errors(rating: Array, predicted: Array, low: float | None, high: float | None) -> Array:
    rating, predicted = np.asarray(rating, np.float64), np.asarray(predicted, np.float64)
    if rating.shape != predicted.shape or not len(rating):
        raise BadData(f"{rating.shape} ratings and {predicted.shape} predictions; expected as many of both, at least 1")
    if not (np.isfinite(rating).all() and np.isfinite(predicted).all()):
        raise BadData("a rating or a prediction is NaN or inf; predict a number for every event")
    return (predicted if low is None and high is None else np.clip(predicted, low, high)) - rating


def _probabilities(label: Array, p: Array) -> tuple[Array, Array]:
    label, p = np.asarray(label, np.float64), np.asarray(p, np.float64)
    if label.shape != p.shape or not len(p):
        raise BadData(f"{label.shape} labels and {p.shape} probabilities; expected the same number, at least one")
    if not ((p >= 0) & (p <= 1)).all():
        raise BadData("a probability is NaN or outside 0..1; pass scores through a sigmoid first")
    if not ((label == 0) | (label == 1)).all():
        raise BadData("a label is neither 0 nor 1; say which events count as positive first")
    return label, p


def logloss(label: Array, p: Array) -> float:
    """Mean negative log likelihood in nats; probabilities are kept 1e-15 away from 0 and 1.

    >>> round(logloss(np.array([1, 0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    label, p = _probabilities(label, p)
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log1p(-p)))


def brier(label: Array, p: Array) -> float:
    """Mean squared difference of probability and outcome.

    >>> brier(np.array([1, 0]), np.array([0.5, 0.0]))
    0.125
    """
    label, p = _probabilities(label, p)
    return float(np.mean((p - label) ** 2))


def reliability(label: Array, p: Array, bins: int = 20) -> tuple[Array, Array, Array]:
    """For bins of equal mass: events, mean probability, mean outcome; what a reliability plot draws.

    Events with the same probability share their mean outcome first, so the order they came in plays no part.

    >>> [column.tolist() for column in reliability(np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.9, 0.7]), bins=2)]
    [[2, 2], [0.2, 0.8], [0.5, 1.0]]
    """
    label, p = _probabilities(label, p)
    _, which = np.unique(p, return_inverse=True)
    shared = (np.bincount(which, label) / np.bincount(which))[which]
    order = np.argsort(p, kind="stable")
    bin_of = np.arange(len(p)) * min(bins, len(p)) // len(p)
    size = np.bincount(bin_of)
    return size, np.bincount(bin_of, p[order]) / size, np.bincount(bin_of, shared[order]) / size


def ece(label: Array, p: Array, bins: int = 20) -> float:
    """Expected calibration error: mean |probability - outcome| over bins of equal mass, weighted by their events.

    >>> round(ece(np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.9, 0.7]), bins=2), 4)  # (|.2 - .5| + |.8 - 1|) / 2
    0.25
    """
    size, said, was = reliability(label, p, bins)
    return float(np.average(np.abs(said - was), weights=size))


# --------------------------------------------------------------------------------------------------------------------
# Beyond accuracy: float where one number describes all lists, float64[n] where each list has its own; NaN where a list
# has none (it is empty, or nothing is known of its items)


def exposure(slates: Slates, n_items: int, k: int) -> Array:
    """int64[n_items]: in how many places among the first k of all lists each item stands.

    >>> exposure(listed([[0, 2], [2, 1]]), 4, 2).tolist()
    [1, 1, 2, 0]
    """
    items = slates.items[:, :k]
    return np.bincount(items[items >= 0], minlength=n_items)[:n_items]


def coverage(slates: Slates, n_items: int, k: int) -> float:
    """Share of the catalogue that stands in any list.

    >>> coverage(listed([[0, 2], [2, 1]]), 4, 2)
    0.75
    """
    return float((exposure(slates, n_items, k) > 0).mean())


def gini(slates: Slates, n_items: int, k: int) -> float:
    """Inequality of exposure over the whole catalogue: 0 when all items are shown alike, towards 1 for one item.

    >>> gini(listed([[0, 2], [2, 1]]), 4, 2)  # exposure 0, 1, 1, 2: (-3*0 - 1*1 + 1*1 + 3*2) / (4 * 4)
    0.375
    """
    x = np.sort(exposure(slates, n_items, k))
    return float((2 * np.arange(1, n_items + 1) - n_items - 1) @ x / (n_items * max(x.sum(), 1)))


def entropy(slates: Slates, n_items: int, k: int) -> float:
    """Shannon entropy of exposure in bits; log2(n_items) when all items are shown alike.

    >>> entropy(listed([[0, 2], [2, 1]]), 4, 2)  # shares 1/4, 1/4, 1/2
    1.5
    """
    x = exposure(slates, n_items, k)
    share = x[x > 0] / max(x.sum(), 1)
    return float(-(share * np.log2(share)).sum() + 0.0)


def _mean_of(slates: Slates, per_item: Array, k: int) -> Array:
    """float64[n]: mean of a number per item over the filled places among the first k."""
    items = slates.items[:, :k]
    shown = items >= 0
    value = np.where(shown, np.asarray(per_item, np.float64)[np.where(shown, items, 0)], 0.0)
    return _ratio(value.sum(axis=1), shown.sum(axis=1))


def _unpadded(slates: Slates, k: int) -> Ragged:
    items = slates.items[:, :k]
    rows = Ragged(offsets=np.arange(len(items) + 1) * items.shape[1], columns={"item": items.ravel()})
    return rows.where(rows["item"] >= 0)


def _ratio(above: Array, below: Array) -> Array:
    out = np.full(np.shape(above), np.nan)
    return np.divide(above, below, out=out, where=np.asarray(below) > 0)


def novelty(slates: Slates, popularity: Array, n_users: int, k: int) -> Array:
    """Mean of -log2 of the share of users who touched the item; an item nobody touched counts as if half a user had.

    >>> novelty(listed([[0, 1]]), np.array([4, 1]), 4, 2).tolist()  # (0 + 2) / 2
    [1.0]
    """
    return _mean_of(slates, -np.log2(np.maximum(popularity, 0.5) / n_users), k)


def arp(slates: Slates, popularity: Array, k: int) -> Array:
    """Average recommendation popularity: mean training count of what is shown.

    >>> arp(listed([[0, 1]]), np.array([4, 1]), 2).tolist()
    [2.5]
    """
    return _mean_of(slates, popularity, k)


def popularity_lift(slates: Slates, history: Ragged, popularity: Array, k: int) -> Array:
    """(ARP of the list - ARP of the profile) / ARP of the profile; NaN for an empty profile.

    >>> popularity_lift(listed([[0]]), Ragged.of([[1, 1]]), np.array([4, 2]), 1).tolist()
    [1.0]
    """
    total = np.bincount(history.owner, np.asarray(popularity, np.float64)[history["item"]], minlength=len(history))
    profile = _ratio(total, history.lengths)
    return _ratio(arp(slates, popularity, k) - profile, profile)


def ild(slates: Slates, vectors: Array, k: int) -> Array:
    """Intra-list distance: mean 1 - cosine over pairs of shown items, in the space float[n_items, d] given.

    Items without a vector (all zero) are left out; NaN where fewer than two remain. Name the space beside the number.

    >>> ild(listed([[0, 1, 2]]), np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]), 3).round(4).tolist()
    [0.6667]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
    out = np.empty(len(slates))
    for lo in range(0, len(slates), 1024):
        items = slates.items[lo : lo + 1024, :k]
        shown = (items >= 0) & (length[:, 0] > 0)[np.maximum(items, 0)]
        summed = (unit[np.maximum(items, 0)] * shown[:, :, None]).sum(axis=1)
        m = shown.sum(axis=1)
        # |sum of unit vectors|^2 = m + 2 * sum of the cosines of all pairs
        out[lo : lo + 1024] = _ratio(m * (m - 1) - ((summed**2).sum(axis=1) - m), m * (m - 1))
    return out


def personalisation(slates: Slates, k: int) -> float:
    """1 - the mean share of items that two people's lists have in common, over all pairs of lists, exactly.

    >>> personalisation(listed([[0, 1], [1, 2], [3, 4]]), 2)  # one shared item among 3 pairs of 2 places
    0.8333333333333334
    """
    n, width = len(slates), min(k, slates.items.shape[1])
    if n < 2:
        raise BadData(f"personalisation compares lists with each other; found {n}, expected at least 2")
    count = exposure(slates, int(slates.items.max(initial=0)) + 1, k)
    return float(1.0 - (count * (count - 1)).sum() / (n * (n - 1) * max(width, 1)))


def calibration_kl(slates: Slates, history: Ragged, genres: Array, k: int, alpha: float = 0.01) -> Array:
    """KL(p || (1 - alpha) q + alpha p) in nats, p and q the genre mix of history and list (Steck, RecSys 2018).

    `genres` is float[n_items, g], the weight of each genre for each item; lower is better. NaN where history or list
    has no genre.

    >>> calibration_kl(listed([[0, 1]]), Ragged.of([[0, 1]]), np.eye(2), 2).tolist()
    [0.0]
    """
    total = genres.sum(axis=1, keepdims=True)
    share = np.divide(genres, total, out=np.zeros(genres.shape), where=total > 0)
    p, q = (history_matrix(r, len(genres), binary=False) @ share for r in (history, _unpadded(slates, k)))
    p, q = (_ratio(m, np.broadcast_to(m.sum(axis=1, keepdims=True), m.shape)) for m in (p, q))
    mixed = (1 - alpha) * q + alpha * p
    logs = np.log(np.divide(p, mixed, out=np.ones(p.shape), where=p > 0))
    return np.where(np.isnan(mixed).any(axis=1), np.nan, np.maximum((p * logs).sum(axis=1), 0.0))


def serendipity(slates: Slates, truth: Ragged, primitive: Slates, k: int) -> Array:
    """Share of the first k places that hold something relevant which a primitive recommender did not show in its k.

    >>> serendipity(listed([[4, 2]]), Ragged.of([[4, 2]]), listed([[4, 9]]), 2).tolist()
    [0.5]
    """
    obvious = _unpadded(primitive, k)
    expected = np.zeros((len(slates), k), bool)
    rows = judgeable(obvious)
    found = matched(Slates(items=slates.items[rows], scores=slates.scores[rows]), obvious.take(rows))
    expected[rows] = found.first(k).hits
    return (matched(slates, truth).first(k).hits & ~expected).sum(axis=1) / k


def tail_share(slates: Slates, popularity: Array, k: int, tail: float = 0.8) -> Array:
    """Share of the shown items that belong to the `tail` of the catalogue with the fewest events.

    Where equal counts stand across the border, each counts as the part of them that lies in the tail.

    >>> tail_share(listed([[0, 1]]), np.array([9, 1, 1, 1, 1]), 2).tolist()
    [0.5]
    """
    border = tail * len(popularity)
    _, which, size = np.unique(popularity, return_inverse=True, return_counts=True)
    below = np.cumsum(size) - size
    return _mean_of(slates, np.clip((border - below) / size, 0.0, 1.0)[which], k)


def exposure_ratio(slates: Slates, truth: Ragged, group: Array, k: int) -> Array:
    """float64[g]: per creator group of items, its share of exposure over its share of relevance (disparate treatment).

    `group` is int[n_items]. Exposure fades with the place by 1 / log2(place + 1). 1 is even-handed, NaN where nothing
    of the group is relevant.

    >>> exposure_ratio(listed([[0], [0]]), Ragged.of([[0], [1]]), np.array([0, 1]), 1).tolist()
    [2.0, 0.0]
    """
    items = slates.items[:, :k]
    shown, n = items >= 0, int(group.max(initial=0)) + 1
    seen = np.broadcast_to(discount(items.shape[1]), items.shape)[shown]
    given = np.bincount(group[items[shown]], seen, minlength=n)
    due = np.bincount(group[truth["item"]], minlength=n).astype(np.float64)
    return _ratio(given / max(given.sum(), 1e-12), due / max(due.sum(), 1.0))


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far a measure differs between groups of people."""

    groups: Mapping[str, Estimate]
    best: str
    worst: str
    gap: Estimate  # best less worst


def group_gap(values: Array, groups: Sequence[str] | Array, *, minimum: int = 50, seed: int = 0) -> Gap:
    """Means per group of users with intervals, and the distance of the best from the worst.

    Raises BadData for a group of fewer than `minimum` users: so few say little, and could be recognised.

    >>> gap = group_gap(np.repeat([0.2, 0.5], 60), ["young"] * 60 + ["old"] * 60)
    >>> gap.best, round(gap.gap.mean, 2)
    ('old', 0.3)
    """
    names, which, size = np.unique(np.asarray(groups).astype(str), return_inverse=True, return_counts=True)
    small = {str(n): int(s) for n, s in zip(names, size, strict=True) if s < minimum}
    if small or len(names) < 2:
        raise BadData(
            f"groups with users: {dict(zip(names.tolist(), size.tolist(), strict=True))}; expected at least two groups "
            f"of {minimum} users or more; join small groups"
        )
    values = np.asarray(values, np.float64)
    means = [resampled(values[which == g], seed=seed + g)[:, 0] for g in range(len(names))]
    told = [between(means[g], float(values[which == g].mean()), int(size[g])) for g in range(len(names))]
    ordered = sorted(range(len(names)), key=lambda g: told[g].mean)
    worst, best = ordered[0], ordered[-1]
    return Gap(
        groups={str(name): told[g] for g, name in enumerate(names)}, best=str(names[best]), worst=str(names[worst]),
        gap=between(means[best] - means[worst], told[best].mean - told[worst].mean, len(values)),
    )  # fmt: skip
