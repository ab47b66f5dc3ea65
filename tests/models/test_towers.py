"""Two towers against their definition, and what content is for."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

from interplay.errors import BadSetting, UnknownName
from interplay.learn import negatives
from interplay.learn.descend import Descent
from interplay.models.towers import Batch, TwoTower, TwoTowerConfig, clashes, content, earlier, others
from interplay.types import Dataset, Ragged, Requests, Run
from small import crowd, made

SMALL = {"dim": 8, "hidden": 8, "descent": Descent(batch=64, epochs=3)}


def shelves(**more) -> Dataset:
    """Two shelves of ten; the last item of each has no event, only a vector that says where it stands."""
    pairs = [(u, (u % 2) * 10 + i) for u in range(60) for i in np.random.default_rng(u).permutation(9)[:6]]
    data = made(pairs, 60, 20)
    place = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    return dataclasses.replace(data, vectors={"place": place}, **more)


def test_what_an_event_is_predicted_from():
    log = Ragged.of([[5, 6, 7, 6], [8]])
    for context, expected in ((others, [[6, 7, 6], [5, 7], []]), (earlier, [[], [6, 7], []])):
        bags = context(log, np.array([0, 3, 4]), 3 if context is others else 2)
        assert [bags.row(i)["item"].tolist() for i in range(3)] == expected
    assert others(log, np.array([0]), 2).row(0)["item"].tolist() == [7, 6]


def test_the_loss_is_a_corrected_softmax_over_the_batch():
    model = TwoTower(TwoTowerConfig(**SMALL, temperature=0.5)).fit(crowd(), run=Run(epochs=1))
    log_q = torch.tensor([-2.0, -3.0, -1.0])
    clashes = torch.zeros(3, 3, dtype=torch.bool)
    clashes[0, 2] = True
    batch = Batch(
        users=torch.tensor([0, 1, 2]), distinct=torch.tensor([3, 4, 5, 6]), bag=torch.tensor([1, 3, 0]),
        offsets=torch.tensor([0, 2, 3]), weight=torch.tensor([0.5, 0.5, 1.0]), wanted=torch.tensor([0, 1, 2]),
        log_q=log_q, clashes=clashes,
    )  # fmt: skip
    with torch.no_grad():
        loss, net = model.loss(batch).item(), model.net
        x = net.own.weight
        pooled = torch.stack([(x[4] + x[6]) / 2, x[3], torch.zeros(8)])
        people = torch.nn.functional.normalize(net.user_tower(pooled), dim=1)
        items = torch.nn.functional.normalize(net.item_tower(x[3:6]), dim=1)
        total = 0.0
        for row in range(3):
            logits = (people[row] @ items.T) / 0.5 - log_q
            counted = [j for j in range(3) if not clashes[row, j]]
            total -= (logits[row] - logits[counted].logsumexp(dim=0)).item()
    assert loss == pytest.approx(total / 3, rel=1e-5)


def test_items_that_a_user_has_taken_are_no_negatives():
    data, rng = crowd(), np.random.default_rng(0)
    rows = rng.permutation(len(data.events))[:50]
    user, item = data.events.user[rows], data.events.item[rows]
    slow = negatives.clashes(user, item, data.n_items, keys=negatives.taken(data))
    np.testing.assert_array_equal(clashes(data.log.take(user), item, data.n_items), slow)


def test_an_item_without_events_is_served_by_its_content():
    config = TwoTowerConfig(dim=16, hidden=16, id_dropout=0.3, descent=Descent(batch=64, epochs=20, rate=5e-3))
    model = TwoTower(config).fit(shelves(), run=Run(seed=0))
    requests = Requests.strangers([list(range(9)), list(range(10, 19))])  # only the new item of each shelf is left
    assert model.retrieve(requests, 1).items[:, 0].tolist() == [9, 19]
    assert 9 in model.similar_items(np.array([0]), 9).items[0]


def test_an_item_with_neither_events_nor_content_comes_last():
    data = dataclasses.replace(shelves(), vectors={})
    model = TwoTower(TwoTowerConfig(**SMALL)).fit(data, run=Run(epochs=1))
    slates = model.retrieve(Requests.strangers([[0], [], [12, 13]]), 20)
    for row in slates.items:
        assert set(row[row >= 0][-2:].tolist()) == {9, 19}


def test_content_is_vectors_and_frequent_categories():
    data = shelves(catalogue=pl.DataFrame({"categories": [["a", "b"], ["a"], None, ["c"], []] + [["a", "b"]] * 15}))
    about = content(data, TwoTowerConfig(categories=2))
    np.testing.assert_allclose(about[0], [1, 0, 0.5**0.5, 0.5**0.5], rtol=1e-6)
    np.testing.assert_allclose(about[1:5], [[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    assert content(data, TwoTowerConfig(categories=0, vectors=False)).shape == (20, 0)


def test_people_have_rows_only_when_asked_and_can_be_forgotten():
    assert "net.users" not in TwoTower(TwoTowerConfig(**SMALL)).fit(crowd(), run=Run(epochs=1)).state().users
    model = TwoTower(TwoTowerConfig(**SMALL, user_ids=True)).fit(crowd(), run=Run(epochs=2))
    assert model.state().users["net.users"].any(axis=1).sum() > 50
    model.forget(np.array([3, 10_000]))
    assert not model.state().users["net.users"][3].any()
    known, stranger = (Requests(user=np.array([u], np.int32), history=Ragged.of([[1, 2]])) for u in (3, -1))
    np.testing.assert_allclose(model.encode(known), model.encode(stranger))


def test_both_contexts_learn_the_shelves():
    for context in ("others", "earlier"):
        config = TwoTowerConfig(dim=16, hidden=16, context=context, descent=Descent(batch=64, epochs=20, rate=5e-3))
        slates = TwoTower(config).fit(shelves(), run=Run(seed=0)).retrieve(Requests.strangers([[0, 1], [12]]), 5)
        assert (slates.items[0] < 10).all() and (slates.items[1] >= 10).all()


def test_wrong_settings_are_refused():
    with pytest.raises(UnknownName, match="others"):
        TwoTower(TwoTowerConfig(context="other")).fit(crowd())
    with pytest.raises(BadSetting, match="temperature"):
        TwoTower(TwoTowerConfig(temperature=0.0)).fit(crowd())
