"""What every ranker does with its predictions: order candidates by a visible sum, and say what they are worth.

Nothing here needs a deep-learning library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from interplay.data.coder import Coder
from interplay.data.examples import Examples, candidates
from interplay.data.features import FeatureView
from interplay.errors import unknown
from interplay.types import Array, Requests, Slates

Predict = Callable[[Examples], Mapping[str, Array]]
HELD_OUT = 0.1  # of the examples, where nobody says which validate
FEWEST = 20  # examples below which none is held out


def ranked(
    requests: Requests, slates: Slates, view: FeatureView | None, predict: Predict, coder: Coder,
    weights: Mapping[str, float],
) -> Slates:  # fmt: skip
    """The candidates in a new order: best first by the sum of weight times p_TASK, with a column for each p_TASK.

    Padding stays at the end. Of equal scores the lower key of the item's id comes first.
    """
    items, held = slates.items, slates.items >= 0
    if not items.size:
        empty = {f"p_{task}": np.zeros(items.shape, np.float32) for task in coder.tasks}
        return Slates(items=items, scores=slates.scores, columns={**slates.columns, **empty})
    said = predict(candidates(view, requests, items, **coder.asks))
    columns = {f"p_{t}": np.where(held, p.reshape(items.shape), 0).astype(np.float32) for t, p in said.items()}
    score = np.where(held, weighed(columns, coder.tasks, weights), -np.inf).astype(np.float32)
    keys = items.astype(np.uint64)
    if view is not None and view.dataset.n_items:
        known = held & (items < view.dataset.n_items)
        keys = np.where(known, view.dataset.items.keys[np.where(known, items, 0)], keys)
    order = np.lexsort((keys, -score), axis=-1)
    columns = {**slates.columns, **columns}
    return Slates(
        items=np.take_along_axis(items, order, 1), scores=np.take_along_axis(score, order, 1),
        columns={name: np.take_along_axis(c, order, 1) for name, c in columns.items()},
    )  # fmt: skip


def weighed(columns: Mapping[str, Array], tasks: Sequence[str], weights: Mapping[str, float]) -> Array:
    """The visible sum: every task's weight (1 where none is set) times its p_TASK."""
    return np.sum([weights.get(t, 0.0 if weights else 1.0) * columns[f"p_{t}"] for t in tasks], axis=0)


def weights_of(weights: Mapping[str, float], tasks: Sequence[str]) -> Mapping[str, float]:
    """The weights as they are, once every task that they name is known."""
    for task in weights:
        if task not in tasks:
            raise unknown("task", task, tasks)
    return weights


def divided(examples: Examples, seed: int) -> tuple[Array, Array]:
    """Rows to learn from and rows to choose by (int[] each): the parts, where the examples say them.

    Else the newest tenth validates, or a tenth drawn by `seed` where there are no times; of very few, none.
    """
    n = len(examples)
    if examples.part is not None and (examples.part == 0).any():
        return np.flatnonzero(examples.part == 0), np.flatnonzero(examples.part == 1)
    rows = np.arange(n)
    if n < FEWEST:
        return rows, rows[:0]
    newest = np.random.default_rng([seed, 11]).permutation(n) if examples.at is None else examples.at
    valid = newest > np.quantile(newest, 1 - HELD_OUT)
    return rows[~valid], rows[valid]


def logit(p: Array) -> Array:
    """float64: log p / (1 - p), with p kept 1e-7 away from 0 and 1."""
    p = np.clip(np.asarray(p, np.float64), 1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)


def sigmoid(x: Array) -> Array:
    """float64: 1 / (1 + exp -x), for any finite x.

    >>> sigmoid(np.array([0.0, -800.0])).tolist()
    [0.5, 0.0]
    """
    e = np.exp(-np.abs(np.asarray(x, np.float64)))
    return np.where(np.asarray(x) >= 0, 1.0 / (1.0 + e), e / (1.0 + e))


def temperature(label: Array, score: Array) -> float:
    """What logits are divided by so that their log loss is least (Guo et al., ICML 2017); 1 without both classes.

    >>> round(temperature(np.array([1, 1, 1, 0]), np.array([9.0, 9.0, 9.0, 9.0])), 3)  # sigmoid(9 / T) = 3 / 4
    8.192
    """
    label, score = np.asarray(label, np.float64), np.asarray(score, np.float64)
    if not 0 < label.sum() < len(label):
        return 1.0
    slope = 1.0  # of the logit; the loss is convex in it
    for _ in range(50):
        p = sigmoid(slope * score)
        bend = float(np.mean(p * (1 - p) * score**2)) + 1e-12
        step = float(np.mean((p - label) * score)) / bend
        slope = float(np.clip(slope - np.clip(step, -0.5 * slope, slope), 1e-2, 1e2))
        if abs(step) < 1e-9:
            break
    return 1.0 / slope
