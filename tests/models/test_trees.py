"""Rates of values and pairs: counted by hand, weighed as a logistic regression, never from a row's own fold."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.learn.ranked import logit, sigmoid
from interplay.models.trees import FOLDS, Lookup, LookupConfig, Rates, Trees, TreesConfig, logistic
from interplay.types import Dataset, Events, Ids, Run


def rows(n: int = 500, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, n), rng.integers(0, 6, n)
    p = np.where((a + b) % 3 == 0, 0.9, 0.1)
    return Examples(fields={"a": a, "b": b}, labels={"click": (rng.random(n) < p).astype(np.float32)})


def dataset(examples: Examples) -> Dataset:
    import polars as pl

    table = pl.DataFrame({**examples.fields, "label_click": examples.labels["click"]})
    empty = Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32))
    return Dataset(name="rows", users=Ids([]), items=Ids([]), events=empty, tables={"examples": table})


def test_a_rate_is_a_smoothed_share_and_its_logit_stands_above_the_mean():
    examples = rows()
    coder = Coder.fit(examples)
    coded = coder.code(examples)
    rates = Rates.of(coded, coder.sizes, 10)
    told = rates.logits(coded, 0, 2.0)
    label, mean = examples.labels["click"], examples.labels["click"].mean()
    for i in (0, 7):
        same_a = examples.fields["a"] == examples.fields["a"][i]
        both = same_a & (examples.fields["b"] == examples.fields["b"][i])
        for column, group in ((0, same_a), (2, both)):
            rate = (label[group].sum() + 2 * mean) / (group.sum() + 2)
            assert abs(told[i, column] - (logit(rate) - logit(mean))) < 1e-5


def test_a_row_is_not_in_its_own_rates_while_trees_learn():
    examples = rows(60)
    coder = Coder.fit(examples)
    coded, folds = coder.code(examples), np.arange(60) % FOLDS
    told = Rates.of(coded, coder.sizes, 10).logits(coded, 0, 1.0, own=folds)
    flipped = Examples(fields=examples.fields, labels={"click": examples.labels["click"].copy()})
    flipped.labels["click"][folds == 2] = 1 - flipped.labels["click"][folds == 2]
    again = coder.code(flipped)
    rates = Rates.of(again, coder.sizes, 10)
    rates.prior = Rates.of(coded, coder.sizes, 10).prior
    np.testing.assert_allclose(rates.logits(again, 0, 1.0, own=folds)[folds == 2], told[folds == 2], atol=1e-5)


def test_the_stack_is_a_ridge_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    label = (rng.random(200) < sigmoid(x @ [2.0, -1.0, 0.0])).astype(float)

    def loss(w):
        z = w[0] + x @ w[1:]
        return np.sum(np.logaddexp(0, z) - label * z) + 0.5 * 3.0 * w[1:] @ w[1:] + 0.5e-3 * w[0] ** 2

    np.testing.assert_allclose(logistic(x, label, 3.0), minimize(loss, np.zeros(4)).x, atol=1e-3)


def test_a_pair_that_decides_is_found_and_pairs_beyond_the_limit_are_left_out():
    from interplay.metrics import auc

    later = rows(400, seed=5)
    settings = {"rounds": 60, "rate": 0.1}
    for model in (Lookup(), Trees(TreesConfig(**settings))):
        model.fit(dataset(rows(2000)), run=Run())
        assert auc(later.labels["click"], model.predict(later)["click"]) > 0.85
    alone = Lookup(LookupConfig(most=0)).fit(dataset(rows(2000)))
    assert auc(later.labels["click"], alone.predict(later)["click"]) < 0.65
