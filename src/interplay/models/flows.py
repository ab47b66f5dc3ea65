"""Information flows: every outcome is a token of its own and reads the fields and the histories in its own way.

infnet   INFNet, arXiv 2508.11565, 2025

Fields, events and tasks are tokens of one width. A few proxies stand for each type; block after block, proxies and
tasks read the tokens of the other types (cross attention), and the proxies gate the tokens of their own (the proxy
gated unit). The cost is proxies x tokens: linear in the length of the histories. A head reads each task's token.

Learns a vector for each value of each field (items of histories share those of the candidates) and blocks of a few
dim x dim matrices: about 4 * dim * (users + items) bytes.

The paper leaves open, and we chose: gates read the proxies after the cross attention (`gated_by`), proxies and tasks
keep what they were and are normalised when they read (`residual`; fields and events are read as they are, since the
length of a number's token is what it says), gates start near 1 and not near .5 (`doubled`), histories are pooled by
their mean and not their sum (`pooled`), an event's token says which history it stands in, tasks and shared tasks read
through the same matrices, attention heads have no matrix behind them, and how many blocks, heads and hidden units there
are. Numbers are tokens as well. Ablations: `task_tokens` False leaves out all flows to and from tasks and lets every
head read the proxies; `attention` False reads all tokens evenly; `gates` False.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interplay.configure import Count, PartShare, Positive, Size
from interplay.data.coder import Coder
from interplay.data.examples import Examples, candidates
from interplay.data.features import FeatureView
from interplay.data.labelled import ITEM
from interplay.errors import BadSetting, unknown
from interplay.learn.descend import Descent
from interplay.learn.experts import Heads
from interplay.learn.histories import attend
from interplay.learn.layers import mlp
from interplay.learn.tabular import Batch, Tables, Tabular, TabularConfig, batch_of, learn
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class FlowsConfig(TabularConfig):
    dim: Size = 16
    blocks: Size = 2
    heads: Size = 2  # of the cross attention
    hidden: Size = 32  # width inside gates, the squeeze of the fields, and the tasks' heads
    few_fields: Size = 4  # proxies
    few_events: Count = 0  # 0: one for each history
    few_tasks: Size = 2
    pooled: str = "mean"  # what becomes of a history's proxy: a name in POOLED
    task_tokens: bool = True  # False: an ablation, heads read the proxies
    attention: bool = True  # False: an ablation, every token is read alike
    gates: bool = True  # False: an ablation
    gated_by: str = "updated"  # or "old": the proxies as they were before the block
    residual: bool = True
    doubled: bool = True  # gates start near 1
    dropout: PartShare = 0.0
    explained: Count = 0  # events (and fields) that the trace names for each item
    spread: Positive = 0.05  # standard deviation that vectors start with
    descent: Descent = field(default_factory=lambda: Descent(batch=1024, epochs=30, patience=2, weight_decay=1e-6))


# --------------------------------------------------------------------------------------------------------------------
# A block


class CrossAttention(nn.Module):
    """softmax(Q W_Q (K W_K)^T / sqrt(d)) (V W_V), heads side by side; `even` weighs all that is present alike."""

    def __init__(self, dim: int, heads: int = 1, *, even: bool = False) -> None:
        super().__init__()
        if dim % heads:
            raise BadSetting(f"dim must be a multiple of heads; found dim {dim} and heads {heads}")
        self.heads, self.even = heads, even
        self.value = nn.Linear(dim, dim, bias=False)
        self.query = None if even else nn.Linear(dim, dim, bias=False)
        self.key = None if even else nn.Linear(dim, dim, bias=False)

    def asked(self, queries: Tensor) -> Tensor:
        """float[n, heads * q, dim]: Q W_Q W_K / sqrt(d), which meets the tokens as they are."""
        if self.query is None or self.key is None:
            return queries.new_zeros(len(queries), self.heads * queries.shape[1], queries.shape[2])
        split = torch.unflatten(self.query(queries), -1, (self.heads, -1)) / math.sqrt(queries.shape[2] // self.heads)
        return torch.einsum("nqhk,hkd->nhqd", split, self._matrix(self.key)).flatten(1, 2)

    def said(self, read: Tensor) -> Tensor:
        """float[n, q, dim]: what each head read of the tokens [n, heads * q, dim], times W_V, heads side by side."""
        split = torch.unflatten(read, 1, (self.heads, -1))
        return torch.einsum("nhqd,hkd->nqhk", split, self._matrix(self.value)).flatten(2)

    def forward(self, queries: Tensor, tokens: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """float[n, q, dim], 0 where a row has no token, and the weights float[n, q, length], heads averaged."""
        return look([(self, queries)], tokens, present)[0]

    def _matrix(self, layer: nn.Linear) -> Tensor:
        """float[heads, dim / heads, dim]"""
        return torch.unflatten(layer.weight, 0, (self.heads, -1))


def look(
    readers: Sequence[tuple[CrossAttention, Tensor]], tokens: Tensor, present: Tensor | None = None
) -> list[tuple[Tensor, Tensor]]:
    """What each reader's queries read of the same tokens, and how they weighed them, in one pass over the tokens.

    Queries are few and tokens many, so W_K is taken to the queries and W_V to what was read: no token is multiplied by
    a matrix.
    """
    asked = [reader.asked(queries) for reader, queries in readers]
    weights = attend(torch.cat(asked, dim=1) @ tokens.transpose(1, 2), None if present is None else present[:, None])
    sizes = [a.shape[1] for a in asked]
    parts = zip(readers, torch.split(weights @ tokens, sizes, dim=1), torch.split(weights, sizes, dim=1), strict=True)
    return [(one.said(read), torch.unflatten(share, 1, (one.heads, -1)).mean(dim=1)) for (one, _), read, share in parts]


class Gate(nn.Module):
    """The proxy gated unit: a channel gate, read off the proxies, over all tokens of their type.

    The paper's gate starts near .5, so each block would halve its tokens; `doubled` starts it near 1.
    """

    def __init__(self, proxies: int, dim: int, hidden: int, *, doubled: bool = True) -> None:
        super().__init__()
        self.net = mlp([proxies * dim, hidden, dim])
        self.scale = 2.0 if doubled else 1.0

    def forward(self, tokens: Tensor, proxies: Tensor) -> Tensor:
        return tokens * (self.scale * torch.sigmoid(self.net(proxies.flatten(1))))[:, None]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The tokens of a batch and their proxies as they stand between two blocks."""

    fields: Tensor  # n x M x dim
    events: Tensor  # n x L x dim: all histories, one after the other
    tasks: Tensor  # n x N_task x dim; no task at all in the ablation without task tokens
    few_fields: Tensor  # proxies: n x m x dim
    few_events: Tensor  # n x F x dim
    few_tasks: Tensor  # n x N_s x dim
    present: Tensor  # bool[n, L]


class Block(nn.Module):
    """One block: proxies and tasks read the other types' tokens, then the proxies gate the tokens of their own.

    The last block holds only what the heads read in the end: the tasks, or the proxies where there are no tasks.
    """

    def __init__(self, config: FlowsConfig, few_events: int, *, last: bool = False) -> None:
        super().__init__()
        c = self.config = config
        self.whole = ("fields", "events", "tasks") if c.task_tokens else ("fields", "events")
        self.readers = ("tasks",) if last and c.task_tokens else self.whole
        gated = () if not c.gates or (last and not c.task_tokens) else self.readers
        sizes = {"fields": c.few_fields, "events": few_events, "tasks": c.few_tasks}
        self.reads = nn.ModuleDict({
            f"{k}-{other}": CrossAttention(c.dim, c.heads, even=not c.attention)
            for k in self.readers for other in self.whole if other != k
        })  # fmt: skip
        normed = [*(f"few_{k}" for k in self.readers), *(["tasks"] if c.task_tokens else [])]
        self.norms = nn.ModuleDict({k: nn.LayerNorm(c.dim) for k in normed if c.residual})
        self.gates = nn.ModuleDict({k: Gate(sizes[k], c.dim, c.hidden, doubled=c.doubled) for k in gated})

    def forward(self, flow: Flow) -> tuple[Flow, dict[str, Tensor]]:
        """The flow after this block, and the attention of each task token: fields [n, T, M] and events [n, T, L]."""
        tokens = {k: self._normed(k, getattr(flow, k)) for k in self.whole}
        asking = {k: self._normed(f"few_{k}", getattr(flow, f"few_{k}")) for k in self.readers}
        few = {k: getattr(flow, f"few_{k}") if self.config.residual else 0.0 for k in self.readers}
        n_few, seen = flow.few_tasks.shape[1], dict[str, Tensor]()
        tasks: Any = flow.tasks if self.config.residual else 0.0
        if self.config.task_tokens:  # both kinds of task tokens read through the same matrices
            asking["tasks"] = torch.cat([asking["tasks"], tokens["tasks"]], dim=1)
        for kind in self.whole:
            who = [k for k in self.readers if k != kind]
            present = flow.present if kind == "events" else None
            read = look([(self.reads[f"{k}-{kind}"], asking[k]) for k in who], tokens[kind], present) if who else []  # type: ignore[misc]
            for k, (value, share) in zip(who, read, strict=True):
                if k == "tasks":
                    tasks, seen[kind] = tasks + value[:, n_few:], share[:, n_few:]
                    value = value[:, :n_few]
                few[k] = few[k] + value
        now: dict[str, Any] = {f"few_{k}": v for k, v in few.items()}
        after = replace(flow, **now)
        after = replace(after, tasks=tasks) if self.config.task_tokens else after
        by = after if self.config.gated_by == "updated" else flow
        return replace(after, **{k: g(getattr(after, k), getattr(by, f"few_{k}")) for k, g in self.gates.items()}), seen

    def _normed(self, kind: str, x: Tensor) -> Tensor:
        return self.norms[kind](x) if kind in self.norms else x


# --------------------------------------------------------------------------------------------------------------------
# The network


def summed(events: Tensor, present: Tensor) -> Tensor:
    """float[n, F, dim]: the sum of each history [n, F, L, dim]."""
    return (events * present[..., None]).sum(dim=2)


def meant(events: Tensor, present: Tensor) -> Tensor:
    """The same, divided by how many there are."""
    return summed(events, present) / present.sum(dim=2).clamp_min(1)[..., None]


POOLED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": meant, "sum": summed}


class FlowNet(nn.Module):
    """Tokens of fields and histories in, one logit for each task out."""

    def __init__(self, n_fields: int, n_histories: int, n_tasks: int, config: FlowsConfig) -> None:
        super().__init__()
        c = self.config = config
        if c.gated_by not in ("updated", "old"):
            raise unknown("gated_by", c.gated_by, ("updated", "old"))
        if c.pooled not in POOLED:
            raise unknown("pooled", c.pooled, POOLED)
        self.few_events = c.few_events or max(n_histories, 1)
        self.squeeze = mlp([max(n_fields, 1) * c.dim, c.hidden, c.few_fields * c.dim], dropout=c.dropout)  # MLP_cat
        self.project = nn.Linear(c.dim, c.dim)  # phi_seq, one for all histories
        self.recount = nn.Linear(n_histories, self.few_events, bias=False) if c.few_events and n_histories else None
        self.kinds = nn.Parameter(torch.randn(n_histories, c.dim) * c.spread)  # which history an event stands in
        self.tasks = nn.Parameter(torch.randn(n_tasks if c.task_tokens else 0, c.dim))
        self.shared = nn.Parameter(torch.randn(c.few_tasks if c.task_tokens else 0, c.dim))
        self.blocks = nn.ModuleList([Block(c, self.few_events, last=i + 1 == c.blocks) for i in range(c.blocks)])
        width = c.dim if c.task_tokens else (c.few_fields + self.few_events) * c.dim
        self.heads = Heads(n_tasks, [width, c.hidden, 1], c.dropout)
        self.n_tasks = n_tasks

    def start(self, fields: Tensor, events: Tensor, present: Tensor) -> Flow:
        """The flow before the first block, from fields [n, M, dim], events [n, F, L, dim] and present bool[n, F, L]."""
        n, dim = len(events), self.config.dim
        tokens = fields if fields.shape[1] else fields.new_zeros(n, 1, dim)
        events = (events + self.kinds[:, None]) * present[..., None]
        pooled = POOLED[self.config.pooled](self.project(events), present)
        if self.recount is not None:
            pooled = self.recount(pooled.transpose(1, 2)).transpose(1, 2)
        if not pooled.shape[1]:
            pooled = fields.new_zeros(n, self.few_events, dim)
        return Flow(
            fields=tokens, events=events.flatten(1, 2), present=present.flatten(1), tasks=self.tasks.expand(n, -1, -1),
            few_fields=self.squeeze(tokens.flatten(1)).view(n, -1, dim), few_events=pooled,
            few_tasks=self.shared.expand(n, -1, -1),
        )  # fmt: skip

    def forward(self, fields: Tensor, events: Tensor, present: Tensor) -> Tensor:
        return self.looked(fields, events, present)[0]

    def looked(self, fields: Tensor, events: Tensor, present: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """float[n, tasks] logits, and where each task token looked in the last block: fields and events."""
        flow, seen = self.start(fields, events, present), {}
        for block in self.blocks:
            flow, seen = block(flow)
        if self.config.task_tokens:
            return self.heads(flow.tasks), seen
        proxies = torch.cat([flow.few_fields, flow.few_events], dim=1).flatten(1)
        return self.heads(proxies[:, None].expand(-1, self.n_tasks, -1)), seen


class Net(nn.Module):
    """Codes become tokens, and flow."""

    def __init__(self, coder: Coder, config: FlowsConfig) -> None:
        super().__init__()
        self.tables = Tables(coder, config.dim, config.spread)
        self.names = coder.sequences
        self.flow = FlowNet(self.tables.width, len(self.names), len(coder.tasks), config)

    def forward(self, batch: Batch) -> Tensor:
        return self.looked(batch)[0]

    def looked(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        fields = self.tables(batch)
        if not self.names:
            nothing = fields.new_zeros(len(fields), 0, 0, fields.shape[2])
            return self.flow.looked(fields, nothing, nothing[..., 0].bool())
        codes = torch.stack([batch.sequences[name] for name in self.names], dim=1)
        return self.flow.looked(fields, self.tables.of(ITEM, codes), codes > 0)


# --------------------------------------------------------------------------------------------------------------------
# The ranker


class Flows:
    """Probabilities of several outcomes for a candidate, and where each outcome looked."""

    explains = "looked"  # what a trace calls the explanation

    def __init__(self, config: FlowsConfig = FlowsConfig()) -> None:
        self.config = config

    def fit(
        self, dataset: Dataset, *, run: Run = Run(), world: World | None = None, examples: Examples | None = None
    ) -> Flows:
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

    def restore(self, state: State) -> Flows:
        self.learnt = Tabular.restore(state, self._build)
        return self

    def forget(self, users: Array) -> None:
        self.learnt.forget(users)

    def explain(
        self, requests: Requests, slates: Slates, features: FeatureView | None, *, n: int = 5
    ) -> list[list[dict[str, Any]]]:
        """For each candidate of each request and each task: the `n` fields and the `n` past events it looked at most.

        {task: {"fields": [[name, share] ...], "events": [[history, item, share] ...]}}; the shares of all fields sum
        to 1, and so do those of all events. Padding has no entry; without task tokens or attention, entries are empty.
        """
        coder = self.learnt.coder
        examples = candidates(features, requests, slates.items, **coder.asks)
        coded = coder.code(examples)
        with torch.inference_mode():
            seen = self.learnt.net.looked(batch_of(coded, slice(None), self.learnt.device))[1]  # type: ignore[operator]
        shares = {k: v.cpu().numpy() for k, v in seen.items()} if self.config.attention else {}
        names = [*coder.fields, *coder.numbers]
        known = np.concatenate([[-1], coder.keys[ITEM][0]]) if coder.sequences else np.zeros(1, np.int64)
        past = [(s, known[coded.sequences[s]]) for s in coder.sequences]

        def told(row: int) -> dict[str, Any]:
            return {task: _top(shares, names, past, row, t, n) for t, task in enumerate(coder.tasks)}

        wide = slates.items.shape[1]
        return [[told(i * wide + j) for j in range(wide) if row[j] >= 0] for i, row in enumerate(slates.items)]

    def explain_candidates(
        self, requests: Requests, items: Array, features: FeatureView | None, n: int = 5
    ) -> list[dict[str, Any]]:
        """The same for every place of `items` (int[requests, k], none padded), row by row: what a trace shows."""
        slates = Slates(items=items, scores=np.zeros(items.shape, np.float32))
        return [entry for row in self.explain(requests, slates, features, n=n) for entry in row]


def _top(
    shares: Mapping[str, Array], names: Sequence[str], past: Sequence[tuple[str, Array]], row: int, task: int, n: int
) -> dict[str, list[list[Any]]]:
    """What one task's token looked at most, for one example."""
    out: dict[str, list[list[Any]]] = {"fields": [], "events": []}
    if "fields" in shares:
        share = shares["fields"][row, task]
        best = np.argsort(-share, kind="stable")[:n]
        out["fields"] = [[names[i], round(float(share[i]), 4)] for i in best if i < len(names)]
    if "events" in shares and past:
        share, length = shares["events"][row, task], past[0][1].shape[1]
        for i in np.argsort(-share, kind="stable")[:n]:
            history, items = past[i // length]
            if items[row, i % length] >= 0:
                out["events"].append([history, int(items[row, i % length]), round(float(share[i]), 4)])
    return out
