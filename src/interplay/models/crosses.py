"""Click predictors over fields: how pairs and larger crosses of fields are modelled, and what is left to a network.

lr         logistic regression                      one weight a value
fm         Rendle, ICDM 2010                        every pair by the product of two vectors
dnn        Covington et al., RecSys 2016            embeddings side by side into a network
deepfm     Guo et al., IJCAI 2017                   both, over the same embeddings
dcn-v2     Wang et al., WWW 2021                    explicit crosses beside a network
autoint    Song et al., CIKM 2019                   fields attend to each other, beside a network and weights (AutoInt+)
finalmlp   Mao et al., AAAI 2023                    two networks, each with a gate on its inputs, fused bilinearly

Learns one vector of `dim` for each value of each field: about 4 * values * dim bytes (thrice that while learning), and
the network. Settings follow the open benchmark of Zhu et al. (CIKM 2021, SIGIR 2022): batch norm, Adam at .001 in
batches of 4,096, the embedding table shrunk as a whole, an early stop by the AUC of the validation part.

Departs from the papers: numbers are embedded as bent lines of their quantile (learn/tabular.py), and several tasks are
several outputs of one network. finalmlp's gates read the person and the thing, as published for Frappe, in tables of
their own; where the data have no such field, a gate reads a learnt vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import NotNegative, PartShare, Size
from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.data.features import FeatureView
from interplay.data.labelled import ITEM, USER
from interplay.errors import BadSetting, unknown
from interplay.learn.layers import mlp
from interplay.learn.tabular import Batch, Tables, Tabular, TabularConfig, learn, usual
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class CrossesConfig(TabularConfig):
    network: str = "dnn"  # a name in NETWORKS
    ridge: NotNegative | None = None
    layers: tuple[Size, ...] = (400, 400, 400)
    second: tuple[Size, ...] = (100,)  # finalmlp: the widths of its other network
    contexts: tuple[str, ...] = (USER, ITEM)  # finalmlp: the field that the gate of each network reads
    gate: Size = 400  # finalmlp: width inside a gate
    dropout: PartShare = 0.2
    crosses: Size = 3  # dcn-v2: cross layers; autoint: layers of attention
    heads: Size = 2  # autoint: of attention; finalmlp: of the bilinear fusion


class Crosses:
    def __init__(self, config: CrossesConfig = CrossesConfig()) -> None:
        if config.network not in NETWORKS:
            raise unknown("network", config.network, NETWORKS)
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Crosses:
        examples = self.examples(dataset)
        config = usual(self.config, len(examples), shallow=self.config.network in ("lr", "fm"))
        self.learnt = learn(examples, config, self._build, run, n_users=dataset.n_users, histories=False)
        self.learnt.fitted["ridge"] = config.ridge
        return self

    def examples(self, dataset: Dataset) -> Examples:
        """What it learns from and is judged on."""
        c = self.config
        return Examples.of(dataset, negatives=c.negatives, tasks=c.tasks, vectors=c.vectors)

    def _build(self, coder: Coder) -> nn.Module:
        return NETWORKS[self.config.network](coder, self.config)

    @property
    def fitted(self) -> dict[str, Any]:
        return self.learnt.fitted

    def predict(self, examples: Examples) -> dict[str, Array]:
        return self.learnt.predict(examples)

    def rank(self, requests: Requests, slates: Slates, features: FeatureView | None) -> Slates:
        return self.learnt.rank(requests, slates, features, self.config.weights)

    def forget(self, users: Array) -> None:
        self.learnt.forget(users)

    def state(self) -> State:
        return self.learnt.state()

    def restore(self, state: State) -> Crosses:
        self.learnt = Tabular.restore(state, self._build)
        return self


# --------------------------------------------------------------------------------------------------------------------
# Parts


def deep(sizes: list[int], dropout: float) -> nn.Sequential:
    """Linear, batch norm, ReLU and dropout for each width after the first."""
    parts: list[nn.Module] = []
    for wide, out in pairwise(sizes):
        parts += [nn.Linear(wide, out), nn.BatchNorm1d(out), nn.ReLU()]
        parts += [nn.Dropout(dropout)] if dropout > 0 else []
    return nn.Sequential(*parts)


class Weights(nn.Module):
    """One weight for each value and task, and a bias: a logistic regression's logit."""

    def __init__(self, coder: Coder) -> None:
        super().__init__()
        self.tables = Tables(coder, len(coder.tasks))
        self.bias = nn.Parameter(torch.zeros(len(coder.tasks)))

    def forward(self, batch: Batch) -> Tensor:
        return self.tables(batch).sum(dim=1) + self.bias


def pairs(vectors: Tensor) -> Tensor:
    """float[n, dim]: the sum over all pairs of the products of their vectors [n, fields, dim] (FM's identity)."""
    return 0.5 * (vectors.sum(dim=1).square() - vectors.square().sum(dim=1))


class Head(nn.Module):
    """A network over the embeddings side by side, and an output for each task."""

    def __init__(self, tables: Tables, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        wide = tables.width * config.dim
        self.deep = deep([wide, *config.layers], config.dropout)
        self.out = nn.Linear([wide, *config.layers][-1], len(coder.tasks))

    def forward(self, vectors: Tensor) -> Tensor:
        return self.out(self.deep(vectors.flatten(1)))


# --------------------------------------------------------------------------------------------------------------------
# Networks: float[n, tasks] logits of a batch


class Linear(nn.Module):
    """lr"""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.weights = Weights(coder)

    def forward(self, batch: Batch) -> Tensor:
        return self.weights(batch)


class Factors(nn.Module):
    """fm: every task has vectors of its own."""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.weights = Weights(coder)
        self.tasks = len(coder.tasks)
        self.tables = Tables(coder, config.dim * self.tasks)

    def forward(self, batch: Batch) -> Tensor:
        return self.weights(batch) + pairs(self.tables(batch)).view(len(batch.fields), self.tasks, -1).sum(dim=2)


class Deep(nn.Module):
    """dnn"""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.tables = Tables(coder, config.dim)
        self.head = Head(self.tables, coder, config)

    def forward(self, batch: Batch) -> Tensor:
        return self.head(self.tables(batch))


class DeepFactors(nn.Module):
    """deepfm: weights, pairs and a network over the same vectors; a task weighs the dimensions of the pairs."""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.weights = Weights(coder)
        self.tables = Tables(coder, config.dim)
        self.head = Head(self.tables, coder, config)
        self.tasks = len(coder.tasks)
        self.mix = nn.Parameter(torch.ones(config.dim, self.tasks)) if self.tasks > 1 else None

    def forward(self, batch: Batch) -> Tensor:
        vectors = self.tables(batch)
        products = pairs(vectors)
        paired = products.sum(dim=1, keepdim=True) if self.mix is None else products @ self.mix
        return self.weights(batch) + paired + self.head(vectors)


class CrossNet(nn.Module):
    """dcn-v2: x_l+1 = x_0 * (W x_l + b) + x_l (eq. 1), beside a network ("parallel")."""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.tables = Tables(coder, config.dim)
        wide = self.tables.width * config.dim
        self.crosses = nn.ModuleList(nn.Linear(wide, wide) for _ in range(config.crosses))
        self.deep = deep([wide, *config.layers], config.dropout)
        self.out = nn.Linear(wide + [wide, *config.layers][-1], len(coder.tasks))

    def forward(self, batch: Batch) -> Tensor:
        first = self.tables(batch).flatten(1)
        x = first
        for cross in self.crosses:
            x = first * cross(x) + x
        return self.out(torch.cat([x, self.deep(first)], dim=1))


class AutoInt(nn.Module):
    """autoint: fields attend to each other, layer after layer, and are weighed; AutoInt+ adds a network and weights."""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        self.weights = Weights(coder)
        self.tables = Tables(coder, config.dim)
        self.head = Head(self.tables, coder, config)
        self.heads, d = config.heads, config.dim
        if d % config.heads:
            raise BadSetting(f"dim must be a multiple of heads; found dim {d} and heads {config.heads}")
        self.joint = nn.ModuleList(nn.Linear(d, 4 * d, bias=False) for _ in range(config.crosses))
        self.out = nn.Linear(self.tables.width * d, len(coder.tasks))

    def forward(self, batch: Batch) -> Tensor:
        vectors = self.tables(batch)
        x = vectors
        for joint in self.joint:
            query, key, value, kept = joint(x).chunk(4, dim=-1)
            split = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)]
            seen = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
            x = torch.relu(seen + kept)
        return self.weights(batch) + self.out(x.flatten(1)) + self.head(vectors)


class Gate(nn.Module):
    """How much of each number of the input a network of finalmlp reads, 0 to 2: 2 sigmoid(MLP(context)).

    The context is one field, with vectors of its own; a learnt vector where the data lack the field.
    """

    def __init__(self, coder: Coder, name: str, wide: int, config: CrossesConfig) -> None:
        super().__init__()
        self.name = name
        known = name in coder.fields
        self.place = coder.fields.index(name) if known else -1
        one = replace(coder, fields=(name,), sizes=(coder.sizes[self.place],), numbers=(), knots={}) if known else None
        self.table = None if one is None else Tables(one, config.dim)
        self.start = None if known else nn.Parameter(torch.zeros(1, config.dim))
        self.net = mlp([config.dim, config.gate, wide])

    def forward(self, batch: Batch) -> Tensor:
        """float[n, wide], or [1, wide] where all rows have the same."""
        context = self.start if self.table is None else self.table.of(self.name, batch.fields[:, self.place])
        return 2.0 * torch.sigmoid(self.net(context))


class TwoStreams(nn.Module):
    """finalmlp: logit = w1 h1 + w2 h2 + sum over heads of h1 W h2, with h1, h2 from gated inputs."""

    def __init__(self, coder: Coder, config: CrossesConfig) -> None:
        super().__init__()
        if len(config.contexts) != 2:
            raise BadSetting(f"finalmlp has two gates, so contexts must name two fields; found {config.contexts}")
        self.tables = Tables(coder, config.dim)
        wide, tasks = self.tables.width * config.dim, len(coder.tasks)
        self.gates = nn.ModuleList(Gate(coder, name, wide, config) for name in config.contexts)
        self.first = deep([wide, *config.layers], config.dropout)
        self.other = deep([wide, *config.second], config.dropout)
        a, b = [wide, *config.layers][-1], [wide, *config.second][-1]
        if a % config.heads or b % config.heads:
            raise BadSetting(f"the last of layers ({a}) and of second ({b}) must be multiples of heads {config.heads}")
        self.heads = config.heads
        self.sums = nn.ModuleList([nn.Linear(a, tasks), nn.Linear(b, tasks)])
        self.products = nn.Parameter(torch.empty(config.heads, a // config.heads, b // config.heads, tasks))
        nn.init.xavier_normal_(self.products)

    def forward(self, batch: Batch) -> Tensor:
        x = self.tables(batch).flatten(1)
        one, two = self.first(x * self.gates[0](batch)), self.other(x * self.gates[1](batch))
        split = one.unflatten(1, (self.heads, -1)), two.unflatten(1, (self.heads, -1))
        fused = torch.einsum("nha,habt,nhb->nt", split[0], self.products, split[1])
        return self.sums[0](one) + self.sums[1](two) + fused


NETWORKS: Mapping[str, Callable[[Coder, CrossesConfig], nn.Module]] = {
    "lr": Linear, "fm": Factors, "dnn": Deep, "deepfm": DeepFactors, "dcn-v2": CrossNet, "autoint": AutoInt,
    "finalmlp": TwoStreams,
}  # fmt: skip
