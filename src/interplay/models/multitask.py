"""Several outcomes from one input: what the tasks share, and what each keeps to itself.

shared-bottom   Caruana, Machine Learning 1997   one network below, a head for each task
mmoe            Ma et al., KDD 2018              experts that all tasks share, a gate for each task
ple             Tang et al., RecSys 2020         shared experts and own ones, extracted level by level

Learns a vector for each value of each field (items of histories share those of the candidates), experts and heads:
about 4 * dim * (users + items) bytes, and the networks. All read the same: every field, and every history as the
candidate sees it (`pooling`, as in din), so that they differ only in what is shared.

Departs from the papers: heads are networks of one hidden layer throughout. A task without a known label in a batch adds
nothing to its loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from interplay.configure import PartShare, Positive, Size
from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.data.features import FeatureView
from interplay.data.labelled import ITEM
from interplay.errors import unknown
from interplay.learn.descend import Descent
from interplay.learn.experts import Experts, Gates, Heads
from interplay.learn.histories import POOLINGS
from interplay.learn.layers import mlp
from interplay.learn.tabular import Batch, Tables, Tabular, TabularConfig, learn
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class MultitaskConfig(TabularConfig):
    dim: Size = 16
    body: str = "shared-bottom"  # a name in BODIES
    hidden: tuple[Size, ...] = (64, 32)  # widths of an expert, or of the shared network
    head: Size = 16  # width inside each task's head
    experts: Size = 4  # mmoe: all of them; ple: the shared ones of each level
    own: Size = 2  # ple: experts of each task on each level
    levels: Size = 2  # ple
    pooling: str = "attention"  # a name in POOLINGS
    unit: Size = 16  # width inside the network that looks at one event
    dropout: PartShare = 0.0
    spread: Positive = 0.05  # standard deviation that vectors start with
    descent: Descent = field(default_factory=lambda: Descent(batch=1024, epochs=30, patience=2, weight_decay=1e-6))


# --------------------------------------------------------------------------------------------------------------------
# Bodies: [rows, wide] -> [rows, n_tasks, hidden[-1]]


class SharedBottom(nn.Module):
    """One network that all tasks read."""

    def __init__(self, wide: int, n_tasks: int, c: MultitaskConfig) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.net = mlp([wide, *c.hidden], dropout=c.dropout, last=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[:, None].expand(-1, self.n_tasks, -1)


class Mmoe(nn.Module):
    """Each task mixes the same experts by a softmax of its own over the input."""

    def __init__(self, wide: int, n_tasks: int, c: MultitaskConfig) -> None:
        super().__init__()
        self.experts = Experts(c.experts, [wide, *c.hidden], c.dropout)
        self.gates = Gates(wide, n_tasks, c.experts)

    def forward(self, x: Tensor) -> Tensor:
        return self.gates(x, self.experts(x))


class Level(nn.Module):
    """One extraction level of ple: a task mixes its own and the shared experts, the shared stream mixes all.

    Streams are [rows, n_tasks + 1, width], the shared one last; the last level has no shared stream.
    """

    def __init__(self, wide: int, n_tasks: int, c: MultitaskConfig, *, final: bool) -> None:
        super().__init__()
        self.n_tasks, self.final = n_tasks, final
        sizes = [wide, *c.hidden]
        counts = [c.own] * n_tasks + [c.experts]
        self.experts = nn.ModuleList([Experts(n, sizes, c.dropout) for n in counts])
        self.gates = nn.ModuleList([Gates(wide, 1, c.own + c.experts) for _ in range(n_tasks)])
        if not final:
            self.gates.append(Gates(wide, 1, sum(counts)))

    def forward(self, streams: Tensor) -> Tensor:
        said = [expert(streams[:, i]) for i, expert in enumerate(self.experts)]
        out = [
            gate(streams[:, i], torch.cat([said[i], said[-1]] if i < self.n_tasks else said, dim=1))
            for i, gate in enumerate(self.gates)
        ]
        return torch.cat(out, dim=1)


class Ple(nn.Module):
    """Levels of extraction, each with experts of its own; the first reads the same input in every stream."""

    def __init__(self, wide: int, n_tasks: int, c: MultitaskConfig) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        widths = [wide] + [c.hidden[-1]] * (c.levels - 1)
        self.levels = nn.Sequential(*(Level(w, n_tasks, c, final=i + 1 == c.levels) for i, w in enumerate(widths)))

    def forward(self, x: Tensor) -> Tensor:
        return self.levels(x[:, None].expand(-1, self.n_tasks + 1, -1))


BODIES: dict[str, Callable[[int, int, MultitaskConfig], nn.Module]] = {
    "shared-bottom": SharedBottom, "mmoe": Mmoe, "ple": Ple,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The network and its ranker


class Net(nn.Module):
    """Fields and pooled histories into the body, and a head for each task."""

    def __init__(self, coder: Coder, config: MultitaskConfig) -> None:
        super().__init__()
        c = config
        for what, given, known in (("body", c.body, BODIES), ("pooling", c.pooling, POOLINGS)):
            if given not in known:
                raise unknown(what, given, known)
        self.tables = Tables(coder, c.dim, c.spread)
        self.names = coder.sequences
        self.item = coder.fields.index(ITEM) if ITEM in coder.fields else -1
        self.pools = nn.ModuleList([POOLINGS[c.pooling](c.dim, c.unit) for _ in self.names])
        wide = (self.tables.width + len(self.names)) * c.dim
        self.body = BODIES[c.body](wide, len(coder.tasks), c)
        self.heads = Heads(len(coder.tasks), [c.hidden[-1], c.head, 1])

    def forward(self, batch: Batch) -> Tensor:
        return self.heads(self.body(self.read(batch)))

    def read(self, batch: Batch) -> Tensor:
        """float[n, wide]: everything side by side."""
        fields = self.tables(batch)
        read = [fields.flatten(1)]
        for name, pool in zip(self.names, self.pools, strict=True):
            codes = batch.sequences[name]
            read.append(pool(self.tables.of(ITEM, codes), fields[:, self.item], codes > 0))
        return torch.cat(read, dim=1)


class Multitask:
    """Probabilities of several outcomes for a candidate."""

    def __init__(self, config: MultitaskConfig = MultitaskConfig()) -> None:
        self.config = config

    def fit(
        self, dataset: Dataset, *, run: Run = Run(), world: World | None = None, examples: Examples | None = None
    ) -> Multitask:
        """Learn from the examples of a dataset, or from those given."""
        examples = self.examples(dataset) if examples is None else examples
        self.learnt = learn(examples, self.config, self._build, run, n_users=dataset.n_users)
        return self

    def examples(self, dataset: Dataset) -> Examples:
        """What it learns from and is judged on."""
        c = self.config
        return Examples.of(dataset, negatives=c.negatives, tasks=c.tasks, vectors=c.vectors)

    def _build(self, coder: Coder) -> Net:
        return Net(coder, self.config)

    @property
    def fitted(self) -> dict[str, Any]:
        return self.learnt.fitted

    def predict(self, examples: Examples) -> dict[str, Array]:
        """task -> float32[n]: the probability of a 1."""
        return self.learnt.predict(examples)

    def rank(self, requests: Requests, slates: Slates, features: FeatureView | None) -> Slates:
        return self.learnt.rank(requests, slates, features, self.config.weights)

    def state(self) -> State:
        return self.learnt.state()

    def restore(self, state: State) -> Multitask:
        self.learnt = Tabular.restore(state, self._build)
        return self

    def forget(self, users: Array) -> None:
        self.learnt.forget(users)
