"""Policies learnt from logged feedback: which of a fixed set of actions to take, given a context.

off-policy   after Saito et al., NeurIPS D&B 2021, chapter "learning": six objectives over one small network

    ipw     weighted classification: say what was done where it paid, by reward over propensity (Beygelzimer and
            Langford, KDD 2009)
    ips     the gradient of the IPS value            snips   ... of the self-normalised one
    dr      ... of the doubly robust value           poem    clipped IPS less a multiple of its standard error
                                                             (Swaminathan and Joachims, JMLR 2015)
    q       a reward for each action, and a softmax over them

Learns a network from context to one number for each action: with `hidden` = 0 it is linear, 4 * d * actions bytes. It
reads context, action, reward and propensity of every round, nothing else; `chances` gives the whole distribution, so
that what such a policy does can be logged and judged in turn.

Departs from the papers: POEM's majorised variance is replaced by the batch's own; SNIPS is normalised within a batch
and held near a mean weight of 1 by a penalty; dr takes the reward model of `q`, fitted on the other half of the rounds.
Rewards may be anything finite; for ipw, poem and q they are moved and scaled into 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, Positive, Share
from interplay.errors import BadData, BadSetting, Unsupported, unknown
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.types import Array, Dataset, Run, State, World


@dataclass(frozen=True, kw_only=True)
class PoliciesConfig:
    objective: str = "dr"  # a name in OBJECTIVES
    hidden: Count = 0  # width of the layer inside the network; 0 is linear
    temperature: Positive = 1.0  # of the softmax that acts; below 1 it is surer than it learnt to be
    clip: Positive = 100.0  # largest weight
    penalty: NotNegative = 0.1  # poem: standard errors; snips: of the squared distance of the mean weight from 1
    entropy: NotNegative = 0.0  # how much an open mind is worth: keeps every action's chance above 0
    least: Share = 0.0  # chance of every action at least, as a share of 1 / actions
    descent: Descent = field(
        default_factory=lambda: Descent(rate=0.02, batch=1024, epochs=60, schedule="cosine", weight_decay=1e-5)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some rounds, as tensors."""

    x: Tensor  # [n, d]
    action: Tensor  # [n]
    reward: Tensor  # [n]
    propensity: Tensor  # [n]
    q: Tensor  # [n, actions], of a reward model; 0 where there is none


Objective = Callable[[Tensor, Batch, PoliciesConfig], Tensor]  # logits [n, actions] -> a loss


def _weights(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    chance = F.softmax(logits, dim=1).gather(1, batch.action[:, None])[:, 0]
    return (chance / batch.propensity).clamp(max=config.clip)


def by_ipw(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    says = (batch.reward / batch.propensity).clamp(max=config.clip)
    loss = F.cross_entropy(logits, batch.action, reduction="none")
    return (says * loss).sum() / says.sum().clamp(min=1e-9)


def by_ips(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    return -(_weights(logits, batch, config) * batch.reward).mean()


def by_snips(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    w = _weights(logits, batch, config)
    return -(w * batch.reward).sum() / w.sum().clamp(min=1e-9) + config.penalty * (w.mean() - 1) ** 2


def by_dr(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    held = batch.q.gather(1, batch.action[:, None])[:, 0]
    expected = (F.softmax(logits, dim=1) * batch.q).sum(dim=1)
    return -(expected + _weights(logits, batch, config) * (batch.reward - held)).mean()


def by_poem(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    gain = _weights(logits, batch, config) * batch.reward  # in 0..1 before weighting: losses in -1..0, as published
    return -gain.mean() + config.penalty * (gain.var() / len(gain)).clamp(min=1e-12).sqrt()


def by_q(logits: Tensor, batch: Batch, config: PoliciesConfig) -> Tensor:
    own = logits.gather(1, batch.action[:, None])[:, 0]
    return F.binary_cross_entropy_with_logits(own, batch.reward)


OBJECTIVES: Mapping[str, Objective] = {
    "ipw": by_ipw, "ips": by_ips, "snips": by_snips, "dr": by_dr, "poem": by_poem, "q": by_q,
}  # fmt: skip
SCALED = ("ipw", "poem", "q")


class Policies:
    """Learns from a log of rounds which action to take."""

    def __init__(self, config: PoliciesConfig = PoliciesConfig()) -> None:
        if config.objective not in OBJECTIVES:
            raise unknown("objective", config.objective, OBJECTIVES)
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Policies:
        """Refused: a data set has things, and this learns actions of which every round could have had any."""
        raise Unsupported(
            "a policy over a fixed set of actions is learnt from contexts, actions, rewards and propensities: "
            "Policies().learn(...). What a recipe would have earned on a store's log says: interplay estimate"
        )

    def learn(
        self, context: Array, action: Array, reward: Array, propensity: Array, *, actions: int, run: Run = Run()
    ) -> Policies:
        """Fit on float[n, d] contexts, int[n] actions, float[n] rewards and the logger's float[n] propensities."""
        n = len(action)
        if not n:
            raise BadData("no rounds to learn from; expected at least one")
        p = np.asarray(propensity, np.float64)
        if not ((p > 0) & (p <= 1 + 1e-9)).all():
            raise BadData("some propensities are not in (0, 1]; a policy cannot be learnt from rounds without a chance")
        if not np.isfinite(context).all() or not np.isfinite(reward).all():
            raise BadData("some contexts or rewards are NaN or inf; leave those rounds out, and say how many")
        x = np.asarray(context, np.float32)
        self.actions, self.middle = actions, x.mean(axis=0)
        self.spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1).astype(np.float32)
        low, high = float(np.min(reward)), float(np.max(reward))
        self.low, self.wide = low, high - low if high > low else 1.0
        q = self._rewards(x, action, reward, p, run) if self.config.objective == "dr" else np.zeros((n, 1))
        scaled = (reward - self.low) / self.wide if self.config.objective in SCALED else reward
        kinds = {"x": np.float32, "reward": np.float32, "propensity": np.float32, "q": np.float32, "action": np.int64}
        columns = {"x": self._scaled(x), "reward": scaled, "propensity": p, "q": q, "action": action}
        held = {name: torch.from_numpy(np.ascontiguousarray(columns[name], kind)) for name, kind in kinds.items()}
        with seeded(run.seed):
            self.net = _network(x.shape[1], actions, self.config.hidden)
        loss = OBJECTIVES[self.config.objective]

        def step(rows: Tensor) -> Tensor:
            batch = Batch(**{name: column[rows] for name, column in held.items()})
            logits = self.net(batch.x)
            spread = F.softmax(logits, dim=1) * F.log_softmax(logits, dim=1)
            return loss(logits, batch, self.config) + self.config.entropy * spread.sum(dim=1).mean()

        batches = shuffled(n, self.config.descent.batch, lambda rows, _: torch.from_numpy(rows))
        self.fitted = descend(step, self.net, batches, descent=self.config.descent, run=run)
        return self

    def _rewards(self, x: Array, action: Array, reward: Array, propensity: Array, run: Run) -> Array:
        """float64[n, actions]: rewards by a model of the rounds' other half."""
        half = np.random.default_rng(run.seed).permutation(len(x)) % 2
        out = np.zeros((len(x), self.actions))
        for k in (0, 1):
            rest = np.flatnonzero(half != k) if len(x) > 1 else np.arange(1)
            model = Policies(replace(self.config, objective="q"))
            model.learn(x[rest], action[rest], reward[rest], propensity[rest], actions=self.actions, run=run)
            out[half == k] = model.rewards(x[half == k])
        return out

    def rewards(self, context: Array) -> Array:
        """float64[n, actions]: what each action is expected to earn; only the objective `q` knows."""
        if self.config.objective != "q":
            raise BadSetting(f"a policy learnt by {self.config.objective!r} knows no rewards; learn it by 'q'")
        return self.low + self.wide / (1 + np.exp(-self._logits(context)))

    def chances(self, context: Array) -> Array:
        """float64[n, actions]: how likely each action is."""
        score = self._logits(context)
        if self.config.objective == "q":
            score = 1 / (1 + np.exp(-score))
        score = score / self.config.temperature
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        sure = odds / odds.sum(axis=1, keepdims=True)
        return (1 - self.config.least) * sure + self.config.least / self.actions

    def _logits(self, context: Array) -> Array:
        with torch.no_grad():
            return self.net(torch.from_numpy(self._scaled(np.asarray(context, np.float32)))).double().numpy()

    def _scaled(self, x: Array) -> Array:
        return (x - self.middle) / self.spread

    def state(self) -> State:
        arrays = {f"net.{name}": value.numpy() for name, value in self.net.state_dict().items()}
        facts: dict[str, Any] = {"actions": self.actions, "low": self.low, "wide": self.wide, "fitted": self.fitted}
        return State(arrays={**arrays, "middle": self.middle, "spread": self.spread}, facts=facts)

    def restore(self, state: State) -> Policies:
        self.middle, self.spread = state.arrays["middle"], state.arrays["spread"]
        self.actions, self.low, self.wide = (state.facts[k] for k in ("actions", "low", "wide"))
        self.fitted = dict(state.facts["fitted"])
        self.net = _network(len(self.middle), self.actions, self.config.hidden)
        held = state.within("net").arrays
        self.net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in held.items()})
        return self


def _network(width: int, actions: int, hidden: int) -> nn.Sequential:
    if not hidden:
        return nn.Sequential(nn.Linear(width, actions))
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, actions))
