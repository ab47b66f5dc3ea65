"""optinter: what it decides for each pair, what it remembers, what it says of it and what it forgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from interplay.data.examples import Examples
from interplay.data.tables import from_frames
from interplay.errors import UnknownName
from interplay.learn.descend import Descent
from interplay.learn.ranked import sigmoid
from interplay.learn.tabular import batch_of
from interplay.metrics import auc, logloss
from interplay.models.crossing import CROSSES, METHODS, SNAPSHOTS, Crossing, CrossingConfig, Network, within
from interplay.types import Dataset, Run

QUICK = CrossingConfig(
    dim=4, layers=(16,), scout=(16,), epochs=6, alpha_rate=0.1, cost=0.05, dropout=0.0,
    descent=Descent(rate=0.02, batch=256, epochs=12, patience=3, plateau=0.3),
)  # fmt: skip


def shop(n: int = 4000, seed: int = 0) -> Dataset:
    """Whether somebody takes a thing is settled once for the two of them, by lot; weather and place are noise."""
    rng = np.random.default_rng(seed)
    user, item, weather = rng.integers(0, 20, n), rng.integers(0, 20, n), rng.integers(0, 9, n)
    liked = np.random.default_rng(7).random((20, 20)) < 0.4
    table = pl.DataFrame({
        "user_id": user, "item_id": item, "weather": weather, "place": rng.integers(0, 9, n),
        "label": liked[user, item].astype(np.int8),
        "split": np.where(rng.random(n) < 0.6, "train", np.where(rng.random(n) < 0.5, "valid", "test")),
    })  # fmt: skip
    return from_frames("shop", tables={"examples": table})


def judged(model: Crossing, data: Dataset) -> tuple[float, float]:
    test = model.examples(data)
    test = test.take(test.part == 2)
    p, label = model.predict(test)["label"], test.labels["label"]
    return auc(label, p), logloss(label, p)


@pytest.fixture(scope="module")
def found() -> Crossing:
    return Crossing(QUICK).fit(shop(), run=Run(seed=1))


def test_the_search_remembers_the_pair_that_decides_and_keeps_to_its_budget(found):
    assert found.chosen()["user x item"] == "memorize"
    assert found.fitted["rows"] <= 0.5 * found.fitted["all_rows"]
    shares = np.array(found.fitted["alpha"])
    assert shares.shape == (1 + 6 * SNAPSHOTS, 6, 3) and np.allclose(shares.sum(axis=2), 1, atol=0.01)
    assert found.fitted["alpha_steps"][0] == 0 and (np.diff(found.fitted["alpha_steps"]) > 0).all()
    assert np.allclose(shares[0], 1 / 3, atol=0.01), "nothing is preferred before the first step"


def test_what_is_remembered_is_worth_its_cost_and_within_the_budget():
    alpha = np.array([[3.0, 1, 0], [3, 0, 1], [3, 1, 0], [0, 3, 0], [3, 1, 0]])
    worth, rows = np.array([0.05, 0.2, 0.001, 0.5, 0.1]), np.array([40, 50, 10, 100, 0])
    methods = within(alpha, worth, rows, replace(QUICK, cost=0.05, budget=0.3))
    assert methods.tolist() == [1, 0, 1, 1, 0], "the dearest first; what is worth less than it costs goes by alpha"


def test_remembering_answers_what_products_cannot(found):
    data = shop()
    area, _ = judged(found, data)
    other, _ = judged(Crossing(replace(QUICK, method="naive")).fit(data, run=Run(seed=1)), data)
    assert area > 0.95 and area > other + 0.03


def test_hiding_a_combination_from_its_one_row_makes_honest_probabilities():
    rng = np.random.default_rng(0)
    n, user, again = 6000, rng.integers(0, 40, 6000), rng.random(6000) < 0.4
    item = np.where(again, user * 3 + rng.integers(0, 3, n), rng.integers(0, 120, n))  # a person's own three, or any
    table = pl.DataFrame({
        "user_id": user, "item_id": item, "label": (rng.random(n) < np.where(again, 0.9, 0.15)).astype(np.int8),
        "split": np.where(rng.random(n) < 0.6, "train", np.where(rng.random(n) < 0.5, "valid", "test")),
    })  # fmt: skip
    data = from_frames("again", tables={"examples": table})
    learnt = from_frames("again", tables={"examples": table.filter(pl.col("split") != "test")})
    blind, seeing = (
        judged(Crossing(replace(QUICK, method="memorize", blind=b)).fit(learnt, run=Run(epochs=12)), data)
        for b in (0.5, 0.0)
    )
    assert blind[0] > seeing[0] and blind[1] < seeing[1] - 0.1


@pytest.mark.parametrize("size", [60, 20], ids=["few-rows-of-a-pair", "many-rows-of-a-pair"])
def test_a_pair_never_seen_in_training_is_judged_as_without_memory(size):
    rng, drawn, n = np.random.default_rng(3), np.random.default_rng(7), 6000
    user, item = rng.integers(0, size, n), rng.integers(0, size, n)
    taste, charm, luck = drawn.normal(0, 1.5, size), drawn.normal(0, 1.5, size), drawn.normal(0, 2, (size, size))
    new = (7 * user + 3 * item) % 5 == 0
    p = sigmoid(taste[user] + charm[item] + luck[user, item])
    table = pl.DataFrame({
        "user_id": user, "item_id": item, "label": rng.random(n) < p,
        "split": np.where(new, "test", np.where(rng.random(n) < 0.75, "train", "valid")),
    })  # fmt: skip
    whole = from_frames("shop", tables={"examples": table})
    learnt = from_frames("shop", tables={"examples": table.filter(pl.col("split") != "test")})
    base, own = (Crossing(replace(QUICK, method=m)).fit(learnt, run=Run(seed=1)) for m in ("naive", "memorize"))
    rows = own.examples(whole)
    rows = rows.take(rows.part == 2)
    assert (own.crossed.ids(own.learnt.coder.code(rows).fields) == 0).all(), "none of them is known"
    said, plain, label = own.predict(rows)["label"], base.predict(rows)["label"], rows.labels["label"]
    assert np.abs(said - plain).mean() < 0.13, "what is remembered of another pair is .2 away"
    assert logloss(label, said) < logloss(label, plain) + 0.03


@pytest.mark.parametrize("method", METHODS)
def test_a_block_is_its_definition(method):
    data = shop(300)
    model = Crossing(replace(QUICK, method=method)).fit(data, run=Run(epochs=1))
    net, coder = model.learnt.net, model.learnt.coder
    coded = coder.code(model.examples(data).take(np.arange(3)))
    batch = batch_of(coded, slice(None))
    ids, second = model.crossed.ids(coded.fields), net.second
    slow = []
    for n in range(3):
        parts = [net.tables(batch)[n].flatten()]
        for p, (a, b) in enumerate(model.pairs):
            if method == "memorize":
                parts.append(net.cross[ids[n, p]])
            elif method == "factorize":
                vectors = second(batch)[n]
                parts.append(vectors[a] * vectors[b])
        slow.append(net.deep(torch.cat(parts)))
    torch.testing.assert_close(net(batch), torch.stack(slow))


def test_while_undecided_a_pair_is_all_three_by_the_softmax_of_alpha():
    data = shop(300)
    model = Crossing(replace(QUICK, method="memorize")).fit(data, run=Run(epochs=1))
    coder, whole = model.learnt.coder, model.crossed
    net = Network(coder, QUICK, whole, np.full(6, -1), (5,)).eval()
    with torch.no_grad():
        net.alpha.normal_()
    net.heat = 0.5
    coded = coder.code(model.examples(data).take(np.arange(2)))
    batch = batch_of(coded, slice(None))
    share = torch.softmax(net.alpha / 0.5, dim=1)
    vectors, ids = net.second(batch), whole.ids(coded.fields)
    mixed = [
        [share[p, 0] * net.cross[ids[n, p]] + share[p, 1] * vectors[n, a] * vectors[n, b]
         for p, (a, b) in enumerate(model.pairs)]
        for n in range(2)
    ]  # fmt: skip
    slow = [net.deep(torch.cat([net.tables(batch)[n].flatten(), *mixed[n]])) for n in range(2)]
    torch.testing.assert_close(net(batch), torch.stack(slow))
    assert CROSSES not in batch.sequences


def test_a_score_is_explained_by_the_crosses_that_moved_it(found):
    data = shop()
    rows = found.examples(data).take(np.arange(20))
    told = found.explain(rows, 2)
    first = [max(row, key=lambda t: abs(t["effect"])) for row in told]
    assert sum(t["cross"] == "user x item" for t in first) >= 15
    right = [
        (own["effect"] > 0) == bool(label)
        for row, label in zip(told, rows.labels["label"], strict=True)
        for own in row
        if own["cross"] == "user x item" and own["seen"] > 1
    ]
    assert np.mean(right) > 0.85 and "remembered from" in told[0][0]["said"]
    unheard = Examples(fields={"user": np.array([-1]), "item": np.array([3])})
    assert np.isfinite(found.predict(unheard)["label"]).all() and found.explain(unheard)[0][0].get("seen", 0) == 0


def test_who_is_forgotten_leaves_no_combination():
    data = shop(600)
    model = Crossing(replace(QUICK, method="memorize")).fit(data, run=Run(epochs=2))
    before = model.crossed.rows
    model.forget(np.array([4]))
    gone = before - model.crossed.rows
    rows = model.examples(data)
    own = rows.fields["user"] == 4
    assert gone == sum(len(set(rows.fields[other][own].tolist())) for other in ("item", "weather", "place"))
    again = Crossing(replace(QUICK, method="memorize")).restore(model.state())
    for p, q in zip(model.predict(rows)["label"], again.predict(rows)["label"], strict=True):
        assert abs(p - q) < 1e-6


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownName, match="no method of deciding pairs called 'tow'"):
        Crossing(CrossingConfig(method="tow"))
