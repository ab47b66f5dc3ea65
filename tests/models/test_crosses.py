"""Click networks against their papers' equations, worked one row at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from interplay.configure import configured
from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.errors import UnknownName
from interplay.learn.descend import Descent, seeded
from interplay.learn.tabular import Batch, batch_of, learn
from interplay.metrics import auc
from interplay.models.crosses import NETWORKS, Crosses, CrossesConfig
from interplay.types import Run

SMALL = {"dim": 4, "layers": (6, 5), "second": (8,), "heads": 2, "crosses": 2, "dropout": 0.0, "gate": 7,
         "contexts": ("b", "item")}  # fmt: skip


def examples(n: int = 600, tasks: int = 1, seed: int = 0) -> Examples:
    """The label is whether two fields agree; a third field and a number say nothing."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.integers(0, 5, n), rng.integers(0, 5, n), rng.integers(0, 3, n)
    labels = {"click": (a % 2 == b % 2).astype(np.float32), "buy": (a == b).astype(np.float32)}
    return Examples(
        fields={"a": a, "b": b, "c": c}, numbers={"x": rng.normal(size=n).astype(np.float32)},
        labels=dict(list(labels.items())[:tasks]),
    )  # fmt: skip


def made(name: str, tasks: int = 1) -> tuple[torch.nn.Module, Batch]:
    """A network with parameters large enough to see, and four rows."""
    rows = examples(tasks=tasks)
    coder = Coder.fit(rows)
    with seeded(3):
        net = NETWORKS[name](coder, configured(CrossesConfig, SMALL)).eval()
        with torch.no_grad():
            for p in net.parameters():
                p.normal_(0, 0.5)
    return net, batch_of(coder.code(rows), np.arange(4))


def linear(weights: torch.nn.Module, batch: Batch) -> torch.Tensor:
    return weights.tables(batch).sum(dim=1) + weights.bias


def deep(layers: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Linear, batch norm by its running figures (0 and 1), ReLU."""
    for i in range(0, len(layers), 3):
        z = layers[i].weight @ x + layers[i].bias
        z = z / np.sqrt(1 + layers[i + 1].eps) * layers[i + 1].weight + layers[i + 1].bias
        x = z.clamp(min=0)
    return x


def row_by_row(name: str, net: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The logits of the first task, from the definition."""
    out = []
    for n in range(len(batch.fields)):
        own = Batch(batch.fields[n : n + 1], batch.numbers[n : n + 1], {}, batch.labels[:1], batch.mask[:1])
        v = net.weights.tables(own)[0] if name == "lr" else net.tables(own)[0]
        flat = v.flatten()
        pairs = sum(v[i] @ v[j] for i, j in combinations(range(len(v)), 2))
        if name == "lr":
            out.append(linear(net.weights, own)[0, 0])
        elif name == "fm":
            out.append(linear(net.weights, own)[0, 0] + pairs)
        elif name == "dnn":
            out.append(net.head.out(deep(net.head.deep, flat))[0])
        elif name == "deepfm":
            out.append(linear(net.weights, own)[0, 0] + pairs + net.head.out(deep(net.head.deep, flat))[0])
        elif name == "dcn-v2":
            x = flat
            for cross in net.crosses:
                x = flat * (cross.weight @ x + cross.bias) + x
            out.append(net.out(torch.cat([x, deep(net.deep, flat)]))[0])
        elif name == "autoint":
            x = v
            for joint in net.joint:
                query, key, value, kept = (x @ w.T for w in joint.weight.chunk(4))
                heads = []
                for h in range(2):
                    at = slice(2 * h, 2 * h + 2)
                    share = torch.softmax(query[:, at] @ key[:, at].T / np.sqrt(2), dim=1)
                    heads.append(share @ value[:, at])
                x = (torch.cat(heads, dim=1) + kept).clamp(min=0)
            whole = net.out(x.flatten())[0] + net.head.out(deep(net.head.deep, flat))[0]
            out.append(linear(net.weights, own)[0, 0] + whole)
        else:
            read = [net.gates[0].table.weight[own.fields[0, 1]], net.gates[1].start[0]]  # field b; no field item
            gates = [2 * torch.sigmoid(g.net(c)) for g, c in zip(net.gates, read, strict=True)]
            one, two = deep(net.first, flat * gates[0]), deep(net.other, flat * gates[1])
            fused = net.sums[0](one)[0] + net.sums[1](two)[0]
            for h in range(net.heads):
                a, b = one.chunk(net.heads)[h], two.chunk(net.heads)[h]
                fused = fused + a @ net.products[h, :, :, 0] @ b
            out.append(fused)
    return torch.stack(out)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_is_its_definition(name):
    if name == "finalmlp":
        SMALL["layers"] = (6, 4)
    net, batch = made(name)
    torch.testing.assert_close(net(batch)[:, 0], row_by_row(name, net, batch), rtol=1e-4, atol=1e-5)
    wide, batch = made(name, tasks=2)
    assert wide(batch).shape == (4, 2)


@pytest.mark.parametrize(("name", "knows"), [("lr", False), ("fm", True), ("dnn", True), ("dcn-v2", True)])
def test_what_models_pairs_sees_whether_two_fields_agree_and_a_regression_cannot(name, knows):
    config = configured(CrossesConfig, SMALL, {
        "network": name, "layers": (16,), "descent": Descent(rate=0.05, batch=128, epochs=25, patience=0)})  # fmt: skip
    learnt = learn(examples(800), config, lambda coder: NETWORKS[name](coder, config), Run(seed=1))
    later = examples(400, seed=9)
    area = auc(later.labels["click"], learnt.predict(later)["click"])
    assert area > 0.97 if knows else area < 0.65


def test_the_gates_of_finalmlp_are_two():
    with pytest.raises(ValueError, match="contexts must name two fields"):
        SMALL["layers"] = (6, 4)
        NETWORKS["finalmlp"](Coder.fit(examples()), configured(CrossesConfig, SMALL, {"contexts": ("a",)}))


def test_an_unknown_network_is_refused():
    with pytest.raises(UnknownName, match="no network called 'dcnv2'; nearest"):
        Crosses(CrossesConfig(network="dcnv2"))
