"""Interests: the candidate decides which of the past events count, and which experts are asked.

din        Zhou et al., KDD 2018                    events weighted by the candidate, one network
cate-moe   after Xiao et al., arXiv 2104.02677      experts mixed by a category alone
aw-moe     Gong et al., ICDE 2023                   experts mixed by the events, each weighted by the candidate, and a
                                                    contrast that holds the mixture steady when events are missing

Learns a vector for each value of each field (items of histories share those of the candidates), a small network for
the weight of an event, `experts` networks over everything side by side and, for the mixtures, a gate: about
4 * dim * (users + items) bytes. In search, `by` names the fields of the query, which then drive the gate.

Departs from the papers: events are items without their categories, since only candidates are described; hidden layers
are plain ReLU (din: Dice). cate-moe is the category gate alone, without that paper's soft constraint and adversary.
Of aw-moe we know the structure, not the settings: widths, rates, temperature and the weight of the contrast are ours,
as are the learnt start of the gate (near 1 / K; all that an empty history has), that one masked event always stays,
that two moments of one person are no negatives, and that the contrast moves the gate and not the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, PartShare, Positive, Size
from interplay.data.coder import Coded, Coder
from interplay.data.examples import Examples, candidates
from interplay.data.features import FeatureView
from interplay.data.labelled import ITEM, USER
from interplay.errors import unknown
from interplay.learn.descend import Descent
from interplay.learn.experts import Experts
from interplay.learn.histories import POOLINGS, ActivationUnit
from interplay.learn.layers import mlp
from interplay.learn.tabular import Batch, Tables, Tabular, TabularConfig, batch_of, cross_entropy, learn
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class InterestsConfig(TabularConfig):
    dim: Size = 16
    hidden: tuple[Size, ...] = (64, 32)  # widths inside each expert
    unit: Size = 16  # width inside the networks that look at one event
    experts: Size = 1
    gate: str = "none"  # a name in GATES: what mixes the experts
    by: tuple[str, ...] = (ITEM,)  # fields that drive the gate; the item, where the data have none of them
    norm: str = "none"  # a name in NORMS: what becomes of the gate
    contrast: NotNegative = 0.0  # weight of the contrast between a gate and the same with fewer events
    mask: PartShare = 0.3  # share of the events that the contrast drops
    temperature: Positive = 0.2  # of the contrast
    pooling: str = "attention"  # a name in POOLINGS
    dropout: PartShare = 0.0
    explained: Count = 0  # events (and fields) that the trace names for each item
    spread: Positive = 0.05  # standard deviation that vectors start with
    descent: Descent = field(default_factory=lambda: Descent(batch=1024, epochs=30, patience=2, weight_decay=1e-6))


# --------------------------------------------------------------------------------------------------------------------
# Gates: [rows, length, dim] events, [rows, dim] what drives them, bool[rows, length] -> [rows, experts]


class EventGate(nn.Module):
    """Which experts a history calls for: the sum of what each event calls for, times how much it matters.

    g = start + sum_j w_j u_j, with u_j in R^K from the gate unit and w_j from the activation unit. Both read the event
    beside whatever drives the gate. `start` is learnt, near 1 / K: an empty history has just that.
    """

    def __init__(self, dim: int, hidden: int, experts: int, *, activation: bool = True, driven: bool = True) -> None:
        super().__init__()
        self.driven = driven
        self.calls = ActivationUnit(dim, hidden, experts, parts="both")
        self.matters = ActivationUnit(dim, hidden, 1, parts="both") if activation else None
        self.start = nn.Parameter(torch.full((experts,), 1.0 / experts))

    def parts(self, events: Tensor, by: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """What each event calls for, float[n, length, K], and how much it matters, float[n, length, 1]."""
        by = by if self.driven else torch.zeros_like(by)
        calls = self.calls(events, by, present)
        if self.matters is None:
            return calls, present[..., None].to(calls.dtype)
        return calls, self.matters(events, by, present)

    def forward(self, events: Tensor, by: Tensor, present: Tensor) -> Tensor:
        calls, matters = self.parts(events, by, present)
        return self.start + (calls * matters).sum(dim=1)


class FieldGate(nn.Module):
    """Which experts a category calls for; the history plays no part."""

    def __init__(self, dim: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.net = mlp([dim, hidden, experts])
        self.start = nn.Parameter(torch.full((experts,), 1.0 / experts))

    def forward(self, events: Tensor, by: Tensor, present: Tensor) -> Tensor:
        return self.start + self.net(by)


class EvenGate(nn.Module):
    """Every expert counts the same, always."""

    def __init__(self, dim: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, events: Tensor, by: Tensor, present: Tensor) -> Tensor:
        return by.new_full((len(by), self.experts), 1.0 / self.experts)


GATES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "none": EvenGate, "category": FieldGate, "events": EventGate,
    "events-unweighted": lambda d, h, k: EventGate(d, h, k, activation=False),
    "events-undriven": lambda d, h, k: EventGate(d, h, k, driven=False),
}  # fmt: skip

NORMS: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda g: g, "softmax": lambda g: g.softmax(dim=-1)}


def masked(present: Tensor, rate: float, lots: Tensor) -> Tensor:
    """`present` with each event dropped with chance `rate` by its lot in 0..1; the luckiest of a row always stays."""
    lots = lots.masked_fill(~present, -1.0)
    best = lots >= lots.amax(dim=1, keepdim=True)
    return present & ((lots >= rate) | best)


def contrast(gate: Tensor, other: Tensor, owner: Tensor, temperature: float) -> Tensor:
    """InfoNCE between gates and the gates of the same moments with fewer events, by cosine; the other people of the
    batch are the negatives, other moments of the same person are not (`owner` int[n], below 0 for strangers)."""
    alike = F.normalize(gate, dim=1) @ F.normalize(other, dim=1).T / temperature
    same = (owner[:, None] == owner) & (owner >= 0)[:, None]
    same = same & ~torch.eye(len(gate), dtype=torch.bool, device=gate.device)
    return F.cross_entropy(alike.masked_fill(same, -torch.inf), torch.arange(len(gate), device=gate.device))


# --------------------------------------------------------------------------------------------------------------------
# The network


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a batch was turned into on the way to its logits."""

    fields: Tensor  # n x (fields + numbers) x dim
    events: Tensor  # n x length x dim: the whole history
    by: Tensor  # n x dim: what drives the gate
    present: Tensor  # bool[n, length]
    gate: Tensor  # n x K
    scores: Tensor  # n x K x tasks: what each expert says


class Net(nn.Module):
    """Fields, and histories as the candidate sees them, into experts; their scores are mixed by the gate."""

    def __init__(self, coder: Coder, config: InterestsConfig) -> None:
        super().__init__()
        c = self.config = config
        for what, given, known in (("gate", c.gate, GATES), ("norm", c.norm, NORMS), ("pooling", c.pooling, POOLINGS)):
            if given not in known:
                raise unknown(what, given, known)
        self.tables = Tables(coder, c.dim, c.spread)
        self.names = coder.sequences
        self.item = coder.fields.index(ITEM) if ITEM in coder.fields else -1
        self.user = coder.fields.index(USER) if USER in coder.fields else -1
        self.driving = [coder.fields.index(n) for n in c.by if n in coder.fields] or [max(self.item, 0)]
        self.pools = nn.ModuleList([POOLINGS[c.pooling](c.dim, c.unit) for _ in self.names])
        wide = (self.tables.width + len(self.names)) * c.dim
        self.experts = Experts(c.experts, [wide, *c.hidden, len(coder.tasks)], c.dropout, last=False)
        self.gate = GATES[c.gate](c.dim, c.unit, c.experts)

    def forward(self, batch: Batch) -> Tensor:
        return self.mixed(self.look(batch))

    def mixed(self, looked: Looked) -> Tensor:
        """float[n, tasks]: sum over experts of their share times their score."""
        return (looked.gate[..., None] * looked.scores).sum(dim=1)

    def look(self, batch: Batch) -> Looked:
        fields = self.tables(batch)
        target, by = fields[:, self.item], fields[:, self.driving].mean(dim=1)
        read = [fields.flatten(1)]
        events, present = fields[:, :0], torch.zeros(len(fields), 0, dtype=torch.bool, device=fields.device)
        for place, (name, pool) in enumerate(zip(self.names, self.pools, strict=True)):
            codes = batch.sequences[name]
            here, held = self.tables.of(ITEM, codes), codes > 0
            read.append(pool(here, target, held))
            if place == 0:
                events, present = here, held
        gate = NORMS[self.config.norm](self.gate(events, by, present))
        return Looked(
            fields=fields, events=events, by=by, present=present, gate=gate, scores=self.experts(torch.cat(read, dim=1))
        )

    def loss(self, batch: Batch) -> Tensor:
        """The masked cross-entropy of the tasks, and the contrast where it has a weight."""
        looked = self.look(batch)
        loss = cross_entropy(self.mixed(looked), batch)
        several = looked.present.sum(dim=1) > 1  # of one event, nothing can be dropped
        if self.config.contrast <= 0 or int(several.sum()) < 2:
            return loss
        events, by, present = looked.events[several].detach(), looked.by[several].detach(), looked.present[several]
        fewer = masked(present, self.config.mask, torch.rand(present.shape, device=present.device))
        owner = batch.fields[several, self.user] if self.user >= 0 else torch.zeros(len(by), device=by.device)
        apart = contrast(
            self.gate(events, by, present), self.gate(events, by, fewer), torch.where(owner > 0, owner, -1),
            self.config.temperature,
        )  # fmt: skip
        return loss + self.config.contrast * apart


# --------------------------------------------------------------------------------------------------------------------
# The ranker


class Interests:
    """Probabilities of each task for a candidate, given what somebody did before."""

    explains = "gate"  # what a trace calls the explanation

    def __init__(self, config: InterestsConfig = InterestsConfig()) -> None:
        self.config = config

    def fit(
        self, dataset: Dataset, *, run: Run = Run(), world: World | None = None, examples: Examples | None = None
    ) -> Interests:
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

    def restore(self, state: State) -> Interests:
        self.learnt = Tabular.restore(state, self._build)
        return self

    def forget(self, users: Array) -> None:
        self.learnt.forget(users)

    def explain(
        self, requests: Requests, slates: Slates, features: FeatureView | None, *, n: int = 5
    ) -> list[list[dict[str, Any]]]:
        """For each candidate of each request: the experts' shares, and the `n` events that move them most.

        `experts` are the shares and `start` those of somebody without a history; an event says how much it `matters`,
        and `without` are the shares if it had not happened. Padding has no entry.
        """
        coder, net = self.learnt.coder, self.learnt.net
        examples = candidates(features, requests, slates.items, **coder.asks)
        coded = coder.code(examples)
        with torch.inference_mode():
            looked = net.look(batch_of(coded, slice(None), self.learnt.device))  # type: ignore[operator]
            told = _told(net, looked)  # type: ignore[arg-type]
        items = _items(coder, coded)
        out, wide = [], slates.items.shape[1]
        for i, row in enumerate(slates.items):
            out.append([_event_shares(told, items, i * wide + j, n) for j in range(wide) if row[j] >= 0])
        return out

    def explain_candidates(
        self, requests: Requests, items: Array, features: FeatureView | None, n: int = 5
    ) -> list[dict[str, Any]]:
        """The same for every place of `items` (int[requests, k], none padded), row by row: what a trace shows."""
        slates = Slates(items=items, scores=np.zeros(items.shape, np.float32))
        return [entry for row in self.explain(requests, slates, features, n=n) for entry in row]

    def usage(self, examples: Examples) -> dict[str, float]:
        """How the experts are used: entropy of their mean share (1 is even), and how alike they score (1 is one)."""
        coded, net = self.learnt.coder.code(examples), self.learnt.net
        with torch.inference_mode():
            looked = net.look(batch_of(coded, slice(None), self.learnt.device))  # type: ignore[operator]
        share = np.abs(looked.gate.cpu().numpy()).mean(axis=0)
        share = share / max(float(share.sum()), 1e-12)
        k = len(share)
        scores = looked.scores[..., 0].cpu().numpy()
        alike = np.corrcoef(scores.T)[np.triu_indices(k, 1)] if k > 1 else np.ones(1)
        entropy = -float(np.sum(share * np.log(np.maximum(share, 1e-12)))) / np.log(k) if k > 1 else 1.0
        return {"entropy": entropy, "alike": float(np.nan_to_num(alike).mean())}


def _told(net: Net, looked: Looked) -> Mapping[str, Array]:
    """Shares with all events, with none, and without each one of them, as arrays."""
    n, length = looked.present.shape
    norm = NORMS[net.config.norm]
    if isinstance(net.gate, EventGate) and length:
        calls, matters = net.gate.parts(looked.events, looked.by, looked.present)
        moved = calls * matters
        whole = net.gate.start + moved.sum(dim=1)
        without, weight = norm(whole[:, None] - moved), matters[..., 0]
        start = norm(net.gate.start).expand(n, -1)
    else:
        without, start = looked.gate[:, None].expand(-1, length, -1), looked.gate
        unit = getattr(net.pools[0], "unit", None) if len(net.pools) else None
        target = looked.fields[:, net.item]
        weight = torch.zeros(n, length) if unit is None else unit(looked.events, target, looked.present)[..., 0]
    told = {"experts": looked.gate, "start": start, "without": without, "matters": weight, "present": looked.present}
    return {k: v.cpu().numpy() for k, v in told.items()}


def _items(coder: Coder, coded: Coded) -> Array:
    """int64[n, length]: the items of the whole history, -1 at padding."""
    if not coder.sequences:
        return np.zeros((len(coded), 0), np.int64)
    codes = coded.sequences[coder.sequences[0]]
    return np.concatenate([[-1], coder.keys[ITEM][0]])[codes]


def _event_shares(told: Mapping[str, Array], items: Array, row: int, n: int) -> dict[str, Any]:
    moved = np.abs(told["without"][row] - told["experts"][row]).sum(axis=1) + np.abs(told["matters"][row]) * 1e-6
    order = np.argsort(-np.where(told["present"][row], moved, -1.0), kind="stable")[:n]
    events = [
        {
            "item": int(items[row, j]), "matters": round(float(told["matters"][row, j]), 4),
            "without": told["without"][row, j].round(4).tolist(),
        }
        for j in order if told["present"][row, j]
    ]  # fmt: skip
    return {
        "experts": told["experts"][row].round(4).tolist(), "start": told["start"][row].round(4).tolist(),
        "events": events,
    }  # fmt: skip
