"""The side of a ranker that is a network: embeddings, batches, the loop with its early stop, calibration, keeping.

    self.learnt = learn(examples, self.config, lambda coder: Net(coder, ...), run)      # in a ranker's fit
    self.learnt.predict(examples)       # task -> float32[n]; what the network says, divided by the temperature
    self.learnt.rank(requests, slates, features, weights)

A network is a module with `forward(batch) -> logits [n, tasks]`, and embeddings in `Tables`. One that needs more than
the masked cross-entropy of its tasks has `loss(batch)` of its own. The rows of people in every `Tables` are kept apart
(`State.users`) and can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay import metrics
from interplay.configure import Count, NotNegative, Size
from interplay.data.coder import Coded, Coder
from interplay.data.examples import Examples
from interplay.data.features import FeatureView
from interplay.data.labelled import USER
from interplay.errors import BadData
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.ranked import divided, ranked, sigmoid, temperature, weights_of
from interplay.types import EMPTY, Array, Requests, Run, Slates, State

BLOCK = 8192  # rows predicted at once
BINS = 8  # pieces of the line that a number becomes
UNJUDGED = 10  # most epochs where nothing is held out to stop by


@dataclass(frozen=True, kw_only=True)
class TabularConfig:
    """What all rankers with a network share."""

    dim: Size = 10
    floor: Count = 1  # values seen less often in training share one code with the unknown
    window: Size = 50  # items of a history that are read
    ridge: NotNegative | None = 0.0  # of the whole table in every step, not of the batch alone; None: `usual`
    negatives: Size = 2  # beside each event, where all that is known is a log of what was taken
    vectors: tuple[str, ...] = ()  # tables of item vectors that are read as numbers (data/features.py)
    tasks: Mapping[str, str] = EMPTY  # of ratings: task -> ">=4" or "<=2"; else the tasks that are kept, with any value
    weights: Mapping[str, float] = EMPTY  # task -> its say in the order; all alike where none is set
    descent: Descent = field(default_factory=lambda: Descent(batch=4096, epochs=100, patience=2, plateau=0.1))


C = TypeVar("C", bound=TabularConfig)


def usual(config: C, rows: int, *, shallow: bool = False) -> C:
    """The settings for so many training rows, where they do not say themselves how much the table is shrunk.

    Published settings of networks fall with the rows: .05 for 0.2 million, .01 for 1.4, 1e-5 for 33. A model without a
    network takes 1 / rows, a prior of variance 1. Batches leave at least 16 steps to an epoch.
    """
    ridge = config.ridge
    if ridge is None:
        ridge = 1.0 / max(rows, 1) if shallow else 0.05 * min(1.0, 300_000 / max(rows, 1)) ** 1.5
    batch = max(min(config.descent.batch, rows // 16), min(config.descent.batch, 32))
    return replace(config, ridge=ridge, descent=replace(config.descent, batch=batch))


class Batch(NamedTuple):
    """Rows as tensors."""

    fields: Tensor  # int64[n, K]
    numbers: Tensor  # float[n, M]
    sequences: dict[str, Tensor]  # int64[n, L] each
    labels: Tensor  # float[n, T]
    mask: Tensor  # float[n, T]: 1 where the label is known


def batch_of(coded: Coded, rows: Array | slice, device: str = "cpu") -> Batch:
    """Some rows of coded examples as tensors."""

    def moved(column: Array, kind: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(column[rows], kind)).to(device)

    return Batch(
        moved(coded.fields, np.int64), moved(coded.numbers, np.float32),
        {k: moved(c, np.int64) for k, c in coded.sequences.items()},
        moved(coded.labels, np.float32), moved(coded.mask, np.float32),
    )  # fmt: skip


class Tables(nn.Module):
    """One vector for each code of each field, all in one table, and a bent line of vectors for each number.

    A number's vector is piecewise linear in its place among the training values; missing has a vector of its own.
    """

    offsets: Tensor
    steps: Tensor

    def __init__(self, coder: Coder, dim: int, std: float = 1e-4) -> None:
        super().__init__()
        self.names, self.sizes = coder.fields, coder.sizes
        self.register_buffer("offsets", torch.tensor(np.cumsum([0, *coder.sizes])[:-1], dtype=torch.int64), False)
        self.register_buffer("steps", torch.arange(BINS, dtype=torch.float32), False)
        self.weight = nn.Parameter(torch.randn(max(sum(coder.sizes), 1), dim) * std)
        self.lines = nn.Parameter(torch.randn(len(coder.numbers), BINS + 2, dim) * std)  # steps, start, missing

    @property
    def width(self) -> int:
        """How many vectors a row has: one a field, one a number."""
        return len(self.names) + len(self.lines)

    def forward(self, batch: Batch) -> Tensor:
        """float[n, fields + numbers, dim]"""
        rows = F.embedding(batch.fields + self.offsets, self.weight)
        if not len(self.lines):
            return rows
        x = batch.numbers[..., None]
        known = (x >= 0).to(x.dtype)
        bent = (x * BINS - self.steps).clamp(0.0, 1.0) * known
        parts = torch.cat([bent, known, 1.0 - known], dim=-1)
        return torch.cat([rows, torch.einsum("nmb,mbd->nmd", parts, self.lines)], dim=1)

    def of(self, name: str, codes: Tensor) -> Tensor:
        """float[..., dim]: the vectors of codes (int64[...]) of one field, such as the items of a history."""
        return F.embedding(codes + self.offsets[self.names.index(name)], self.weight)

    def rows(self, name: str) -> slice:
        """Where a field's rows stand in `weight`."""
        place = self.names.index(name)
        start = int(self.offsets[place])
        return slice(start, start + self.sizes[place])


def shrinkage(net: nn.Module) -> Tensor:
    """Half the squared length of all tables: its gradient is the table itself, whatever the batch holds."""
    parts = [0.5 * (t.weight.square().sum() + t.lines.square().sum()) for t in net.modules() if isinstance(t, Tables)]
    return torch.stack(parts).sum()


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """The mean over rows of each task's cross-entropy, over known labels alone; tasks are summed."""
    each = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none") * batch.mask
    return (each.sum(dim=0) / batch.mask.sum(dim=0).clamp_min(1.0)).sum()


class Prepared(NamedTuple):
    """What a fit begins with."""

    coder: Coder
    coded: Coded  # the rows to learn from
    valid: Coded  # the rows to stop and calibrate by; none in a refit, or where examples are few


def prepared(
    examples: Examples, config: TabularConfig, run: Run, *, n_users: int = 0, histories: bool = True
) -> Prepared:
    """The training and the validation part, coded by vocabularies of the former; with `run.epochs` all rows are learnt.
    Without `histories` none is coded.

    Errors: BadData without examples, or with a task of which no label is known.
    """
    rows, held = (np.arange(len(examples)), np.zeros(0, np.int64)) if run.epochs else divided(examples, run.seed)
    train = examples.take(rows)
    coder = Coder.fit(train, floor=config.floor, window=config.window, n_users=n_users, histories=histories)
    weights_of(config.weights, coder.tasks)
    coded = coder.code(train)
    for place, task in enumerate(coder.tasks):
        if not coded.mask[:, place].any():
            raise BadData(f"no label of the task {task!r} is known in the training part; leave its column out")
    return Prepared(coder, coded, coder.code(examples.take(held)))


def learn(
    examples: Examples,
    config: TabularConfig,
    build: Callable[[Coder], nn.Module],
    run: Run,
    *,
    n_users: int = 0,
    histories: bool = True,
) -> Tabular:
    """Fit a network to the training part, stopped early by the mean AUC of the validation part, then calibrated on it.

    With `run.epochs` set, all rows are learnt from for exactly so many epochs, and nothing is calibrated. Errors: as
    `prepared`.
    """
    begun = prepared(examples, config, run, n_users=n_users, histories=histories)
    with seeded(run.seed):
        net = build(begun.coder)
    return taught(net, begun, config, run)


def taught(
    net: nn.Module, begun: Prepared, config: TabularConfig, run: Run, *,
    changed: Callable[[Batch, np.random.Generator], Batch] | None = None, name: str = "descent",
) -> Tabular:  # fmt: skip
    """The network, fitted; `changed` may alter every training batch, such as by hiding something."""
    coder, coded, valid = begun
    net = net.to(run.device)
    learnt = Tabular(coder, net, device=run.device)
    loss = getattr(net, "loss", lambda batch: cross_entropy(net(batch), batch))

    def made(rows: Array, generator: np.random.Generator) -> Batch:
        rows = np.repeat(rows, 2) if len(rows) == 1 else rows  # a batch norm needs two
        batch = batch_of(coded, rows, run.device)
        return batch if changed is None else changed(batch, generator)

    def step(batch: Batch) -> Tensor:
        value: Tensor = loss(batch)
        return value + config.ridge * shrinkage(net) if config.ridge else value

    descent = config.descent if len(valid) else replace(config.descent, epochs=min(config.descent.epochs, UNJUDGED))
    judged = replace(run, validation=(lambda model: 0.0) if len(valid) else None)
    learnt.fitted = descend(
        step, net, shuffled(len(coded), descent.batch, made), descent=descent, run=judged,
        judge=lambda: judged_by_auc(valid, learnt.logits(valid)), belongs=repr(config), name=name,
    )  # fmt: skip
    learnt.calibrate(valid)
    learnt.net, learnt.device = net.cpu(), "cpu"  # it serves from there, wherever it learnt
    return learnt


def judged_by_auc(coded: Coded, logits: Array) -> float:
    """The mean AUC of the tasks that have both classes; where none has, minus the log loss."""
    areas, losses = [], []
    for t in range(logits.shape[1]):
        known = coded.mask[:, t]
        label, score = coded.labels[known, t], logits[known, t]
        if len(label):
            losses.append(float(np.mean(np.logaddexp(0, score) - label * score)))
        if (label > 0).any() and (label <= 0).any():
            areas.append(metrics.auc(label, score))
    return float(np.mean(areas)) if areas else -float(np.mean(losses or [0.0]))


class Tabular:
    """A network with its coder and its temperatures: what a ranker has learnt."""

    def __init__(self, coder: Coder, net: nn.Module, temperatures: Array | None = None, device: str = "cpu") -> None:
        self.coder, self.net, self.device = coder, net.eval(), device
        self.temperatures = np.ones(len(coder.tasks)) if temperatures is None else temperatures  # logits / these
        self.fitted: dict[str, Any] = {}

    def logits(self, coded: Coded) -> Array:
        """float32[n, tasks], as the network says them."""
        out = np.zeros((len(coded), len(self.coder.tasks)), np.float32)
        training = self.net.training
        if training:  # telling every module costs more than a request has
            self.net.eval()
        with torch.inference_mode():
            for lo in range(0, len(coded), BLOCK):
                part = self.net(batch_of(coded, slice(lo, lo + BLOCK), self.device))
                out[lo : lo + BLOCK] = part.float().cpu().numpy()
        if training:
            self.net.train()
        return out

    def calibrate(self, valid: Coded) -> None:
        """Take the temperatures that these examples ask for."""
        logits = self.logits(valid)
        for t in range(len(self.coder.tasks)):
            known = valid.mask[:, t]
            self.temperatures[t] = temperature(valid.labels[known, t], logits[known, t])
        self.fitted["temperature"] = dict(zip(self.coder.tasks, self.temperatures.round(4).tolist(), strict=True))

    def predict(self, examples: Examples) -> dict[str, Array]:
        """task -> float32[n]: the probability of a 1; never NaN."""
        said = sigmoid(self.logits(self.coder.code(examples)) / self.temperatures).astype(np.float32)
        return {task: said[:, t] for t, task in enumerate(self.coder.tasks)}

    def rank(
        self, requests: Requests, slates: Slates, features: FeatureView | None, weights: Mapping[str, float]
    ) -> Slates:
        """The candidates in the order of the weighted sum, with p_TASK as columns (learn/ranked.py)."""
        return ranked(requests, slates, features, self.predict, self.coder, weights)

    # ----------------------------------------------------------------------------------------------------- keeping it

    def _tables(self) -> dict[str, Tables]:
        return {n: m for n, m in self.net.named_modules() if isinstance(m, Tables) and USER in m.names}

    def state(self) -> State:
        held = {k: v.detach().cpu().numpy().copy() for k, v in self.net.state_dict().items()}
        users = {}
        for name, table in self._tables().items():
            weight = held[f"{name}.weight"] if name else held["weight"]
            own = weight[table.rows(USER)]  # a view
            users[f"{name or 'net'}.{USER}"] = np.where(self.coder.users[:, None] > 0, own[self.coder.users], 0)
            own[1:] = 0
        net = State(arrays={**held, "temperatures": self.temperatures}, users=users)
        return State.joined(coder=self.coder.state(), net=net)

    @staticmethod
    def restore(state: State, build: Callable[[Coder], nn.Module]) -> Tabular:
        """What `state` holds, in a network that `build` makes anew."""
        coder, kept = Coder.restore(state.within("coder")), state.within("net")
        net = build(coder)
        arrays = dict(kept.arrays)
        learnt = Tabular(coder, net, np.array(arrays.pop("temperatures")))
        net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in arrays.items()})
        with torch.no_grad():
            for name, table in learnt._tables().items():
                known = np.flatnonzero(coder.users)
                rows = torch.from_numpy(np.array(kept.users[f"{name or 'net'}.{USER}"])[known])
                table.weight[torch.from_numpy(coder.users[known].astype(np.int64)) + table.rows(USER).start] = rows
        return learnt

    def forget(self, users: Array) -> None:
        """Zero the rows of these users and their codes; from now on they are unknown."""
        users = np.asarray(users)
        users = users[(users >= 0) & (users < len(self.coder.users))]
        codes = self.coder.users[users]
        codes = torch.from_numpy(codes[codes > 0].astype(np.int64))
        with torch.no_grad():
            for table in self._tables().values():
                table.weight[codes + table.rows(USER).start] = 0.0
        self.coder = self.coder.forgetting(users)
