"""Mult-VAE against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interplay.learn.descend import Descent
from interplay.models.autoencoders import MultVae, MultVaeConfig, Net, Sets
from interplay.ops.sparse import history_matrix
from interplay.types import Ragged, Requests, Run
from small import crowd, made

SMALL = {"dim": 4, "hidden": 8, "descent": Descent(batch=16, epochs=3)}


def quiet(**settings) -> MultVae:
    return MultVae(MultVaeConfig(**{**SMALL, **settings})).fit(crowd(), run=Run(seed=0, epochs=1))


def test_the_loss_is_likelihood_plus_weighed_divergence():
    model = quiet()
    sets = Sets.of(history_matrix(Ragged.of([[1, 4], [2]]), 40))
    with torch.no_grad():
        net = model.net
        loss = model.loss(sets, beta=0.3).item()
        total = 0.0
        for items in ([1, 4], [2]):
            hidden = torch.tanh(net.read.weight[items].sum(dim=0) / math.sqrt(len(items)) + net.bias)
            squeezed = net.squeeze(hidden)
            mean, log_variance = squeezed[:4], squeezed[4:]
            logits = net.write(torch.tanh(net.widen(mean)))
            share = logits.exp() / logits.exp().sum()
            total -= share[items].log().sum().item()
            total += 0.3 * 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum().item()
    assert loss == pytest.approx(total / 2, rel=1e-5)


def test_dropout_withholds_items_of_the_history_and_keeps_its_expectation():
    torch.manual_seed(0)
    net = Net(30, MultVaeConfig(dim=4, hidden=3, dropout=0.5, variational=False))
    read = []
    net.read.register_forward_hook(lambda layer, given, out: read.append(out.detach()))
    sets = Sets.of(history_matrix(Ragged.of([list(range(30))]), 30))
    for _ in range(4000):
        net.encode(sets)
    net.eval()
    net.encode(sets)
    assert len({tuple(r[0].tolist()) for r in read[:10]}) == 10
    torch.testing.assert_close(torch.cat(read[:-1]).mean(dim=0), read[-1][0], atol=0.02, rtol=0.05)


def test_two_tastes_are_told_apart():
    shelves = [(u, (u % 2) * 10 + i) for u in range(60) for i in np.random.default_rng(u).permutation(10)[:6]]
    config = MultVaeConfig(dim=8, hidden=32, descent=Descent(batch=20, epochs=40, rate=5e-3))
    model = MultVae(config).fit(made(shelves, 60, 20), run=Run(seed=0))
    slates = model.retrieve(Requests.strangers([[0, 1, 2], [13, 14]]), 5)
    assert (slates.items[0] < 10).all() and (slates.items[1] >= 10).all()
    assert model.fitted["losses"][-1] < model.fitted["losses"][0]


def test_the_order_and_the_repeats_of_a_history_do_not_matter():
    model = quiet()
    slates = model.retrieve(Requests.strangers([[5, 1, 9], [9, 9, 5, 1, 5], [1, 5, 9, 10_000]]), 10)
    assert (slates.items[0] == slates.items[1]).all() and (slates.items[1] == slates.items[2]).all()


def test_without_the_variational_part_the_code_is_the_mean():
    model = quiet(variational=False)
    sets = Sets.of(history_matrix(Ragged.of([[1, 4]]), 40))
    model.net.train()
    torch.manual_seed(3)
    first = model.loss(sets, beta=5.0).item()
    torch.manual_seed(3)
    assert model.loss(sets, beta=0.0).item() == first


def test_without_a_known_item_popularity_answers():
    model = quiet()
    slates = model.retrieve(Requests.strangers([[], [10_000]]), 4)
    np.testing.assert_array_equal(slates.scores, np.tile(np.sort(model.rows.popularity)[::-1][:4], (2, 1)))
