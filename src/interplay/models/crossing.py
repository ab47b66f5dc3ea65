"""Click prediction that decides, for each pair of fields, whether to remember it, to factorize it or to leave it be.

optinter       Lyu et al., ICDE 2022 (arXiv 2108.01265)   searched, then learnt anew with what was found
optinter-m     the same, every pair remembered
optinter-f     the same, every pair factorized
optinter-random  the same, drawn by lot

A remembered pair has a vector for each combination that training held, a factorized one the product of two vectors of a
second table, a naive one nothing. Their vectors stand beside the embeddings of the fields, before a network with layer
norm. Search: a narrow network in which every pair is all three, weighed by a softmax of alpha whose temperature falls
(the code's, without Gumbel noise). Learns 4 * rows * cross_dim bytes for remembered combinations.

Ours, beside the paper: alpha is learnt on one half of the validation rows ("two" levels; "one" is the paper's, on the
training batch), with a cost on the share of rows that is remembered. Alpha says which way and not how much, so pairs
are put in order of what one Newton step of remembering them takes off the validation loss of a network that remembers
nothing, and the first 0, 1, 2, 4 ... of them, within `budget`, are tried in narrow networks (`trials`; 0 leaves it to
alpha); all others are factorized or naive as alpha says. And `blind` (learn/crossed.py): a combination that a single
training row made is met as a rare one that often while learning, since it would otherwise tell its own label and teach
the network to trust it; where hardly any is so, the others are at times, that the rare one is learnt. No more than
`most` combinations are kept, the most frequent. The embedding table is shrunk as a whole, remembered rows as they are
looked up.

What is remembered of a person goes with them: `forget` takes out all combinations with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, PartShare, Positive, Share, Size
from interplay.data.coder import Coded, Coder
from interplay.data.examples import Examples, candidates
from interplay.data.features import FeatureView
from interplay.data.labelled import USER
from interplay.errors import unknown
from interplay.learn.crossed import Crossed
from interplay.learn.descend import Descent, seeded
from interplay.learn.ranked import sigmoid
from interplay.learn.tabular import (
    Batch,
    Prepared,
    Tables,
    Tabular,
    TabularConfig,
    batch_of,
    cross_entropy,
    prepared,
    shrinkage,
    taught,
    usual,
)
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World

REMEMBER, FACTORIZE, NAIVE = range(3)
METHODS = ("memorize", "factorize", "naive")
CROSSES = "crosses"  # where a batch carries the rows of its combinations
SNAPSHOTS = 5  # of alpha in each epoch of the search


@dataclass(frozen=True, kw_only=True)
class CrossingConfig(TabularConfig):
    ridge: NotNegative | None = None
    method: str = "two"  # how pairs are decided: two or one level of search, or memorize, factorize, naive, random
    cross_dim: Size = 4
    layers: tuple[Size, ...] = (128, 128)  # what is remembered needs no wide network
    dropout: PartShare = 0.2
    cross_floor: Count = 1  # combinations seen less often in training are rare
    most: Size = 2_000_000  # combinations in all
    blind: Share = 0.5  # how often a combination is hidden from the one row that made it
    cross_ridge: NotNegative = 0.0  # on remembered rows as they are looked up
    scout: tuple[Size, ...] = (64, 64)  # the network of the search
    epochs: Size = 2  # of the search
    alpha_rate: Positive = 0.04
    cost: NotNegative = 0.02  # in nats, of remembering every combination there is
    budget: Share = 0.5  # largest share of all combinations that is remembered after a search
    trials: Count = 6  # narrow networks that remember more and more pairs, of which validation chooses; 0 trusts alpha
    gain: NotNegative = 0.0005  # of AUC, that remembering more pairs must bring on validation
    explained: Count = 0  # crosses that the trace names for each item; costs a pass of the network for each pair
    descent: Descent = field(default_factory=lambda: Descent(batch=4096, epochs=100, patience=2, plateau=0.1))


class Crossing:
    def __init__(self, config: CrossingConfig = CrossingConfig()) -> None:
        known = ("two", "one", "random", *METHODS)
        if config.method not in known:
            raise unknown("method of deciding pairs", config.method, known)
        self.config = config

    def examples(self, dataset: Dataset) -> Examples:
        """What it learns from and is judged on."""
        c = self.config
        return Examples.of(dataset, negatives=c.negatives, tasks=c.tasks, vectors=c.vectors)

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Crossing:
        examples = self.examples(dataset)
        c = usual(self.config, len(examples))
        begun = prepared(examples, c, run, n_users=dataset.n_users, histories=False)
        pairs = np.array(list(combinations(range(len(begun.coder.fields)), 2)), np.int32).reshape(-1, 2)
        whole = Crossed.fit(begun.coded.fields, begun.coder.sizes, pairs, c.cross_floor).most(c.most)
        self.tried: list[dict[str, Any]] = []
        self.path: dict[int, Any] = {}  # step of the search -> alpha's shares, pairs x methods
        self.methods = self._decided(begun, whole, c, run)
        self.pairs, self.all_rows = pairs, len(whole.keys)
        self.crossed = whole.of(np.flatnonzero(self.methods == REMEMBER))
        self.learnt = self._learnt(begun, whole, self.methods, c, run, "descent")
        self.learnt.fitted |= {"chosen": self.chosen(), "rows": len(self.crossed.keys), "all_rows": self.all_rows,
                               "alpha": list(self.path.values()), "alpha_steps": list(self.path),
                               "tried": self.tried, "ridge": c.ridge}  # fmt: skip
        return self

    # ------------------------------------------------------------------------------------------------------ searching

    def _decided(self, begun: Prepared, whole: Crossed, c: CrossingConfig, run: Run) -> Array:
        """int[P]: the method of each pair."""
        n, method = len(whole.pairs), c.method
        if method in METHODS:
            return np.full(n, METHODS.index(method))
        if method == "random" or not n:
            return np.random.default_rng([run.seed, 13]).integers(0, 3, n)
        alpha = self._searched(begun, whole, c, run)
        if not c.trials or not len(begun.valid):
            return within(alpha, alpha[:, REMEMBER] - alpha[:, 1:].max(axis=1), whole.rows_of, c)
        return self._tried(alpha, begun, whole, c, run)

    def _tried(self, alpha: Array, begun: Prepared, whole: Crossed, c: CrossingConfig, run: Run) -> Array:
        """int[P]: of networks that remember more and more pairs, the methods of the one that validation likes best."""
        brief = replace(c, layers=c.scout, descent=replace(c.descent, epochs=min(c.descent.epochs, 2 * c.epochs + 1)))
        others = 1 + alpha[:, 1:].argmax(axis=1)
        best, chosen, worth = -np.inf, others, np.zeros(len(alpha))
        for most in [0, *(2**i for i in range(c.trials - 1))]:
            methods = within(np.where(np.arange(3) == REMEMBER, worth[:, None], -1.0), worth, whole.rows_of, c, most)
            methods = np.where(methods == REMEMBER, REMEMBER, others)
            if most and (methods == REMEMBER).sum() <= self.tried[-1]["pairs"]:
                break
            learnt = self._learnt(begun, whole, methods, brief, run, f"trial-{most}")
            area = float(learnt.fitted["best"])
            self.tried.append({"pairs": int((methods == REMEMBER).sum()), "auc": round(area, 5)})
            run.progress("trial", self.tried[-1])
            if area > best + (c.gain if most else 0.0):
                best, chosen = area, methods
            if not most:
                worth = newton(learnt.logits(begun.coded), begun.coded, learnt.logits(begun.valid), begun.valid, whole)
        return chosen

    def _learnt(
        self, begun: Prepared, whole: Crossed, methods: Array, c: CrossingConfig, run: Run, name: str
    ) -> Tabular:
        """A network with these methods, fitted."""
        crossed = whole.of(np.flatnonzero(methods == REMEMBER))
        with seeded(run.seed):
            net = Network(begun.coder, c, crossed, methods, c.layers)
        told = Prepared(begun.coder, _with(begun.coded, crossed), _with(begun.valid, crossed))
        return taught(net, told, c, run, changed=lambda b, g: _blinded(b, crossed, c.blind, g), name=name)

    def _searched(self, begun: Prepared, whole: Crossed, c: CrossingConfig, run: Run) -> Array:
        """float[P, 3] alpha after the search; its softmax is written down on the way."""
        rng = np.random.default_rng([run.seed, 17])
        coded, valid = _with(begun.coded, whole), _with(begun.valid, whole)
        half = np.flatnonzero(rng.random(len(valid)) < 0.5)
        two = c.method == "two" and len(half) > 0
        with seeded(run.seed):
            net = Network(begun.coder, c, whole, np.full(len(whole.pairs), -1), c.scout).to(run.device)
            share = torch.from_numpy(whole.rows_of / max(len(whole.keys), 1)).float().to(run.device)
            weights = [p for name, p in net.named_parameters() if name != "alpha"]
            adam = torch.optim.Adam(weights, lr=c.descent.rate)
            other = torch.optim.Adam([net.alpha], lr=c.alpha_rate)
            size = c.descent.batch
            steps, done = c.epochs * -(-len(coded) // size), 0
            written = np.linspace(0, steps, c.epochs * SNAPSHOTS + 1).round().astype(int)
            self._write_down(0, net)
            for epoch in range(c.epochs):
                order = rng.permutation(len(coded))
                for lo in range(0, len(order), size):
                    net.heat = max(1.0 - done / steps, 0.05)
                    batch = _blinded(batch_of(coded, order[lo : lo + size], run.device), whole, c.blind, rng)
                    adam.zero_grad(), other.zero_grad()
                    _searching(net, batch, share, c).backward()  # type: ignore[no-untyped-call]
                    adam.step()
                    if two:
                        other.zero_grad()
                        rows = rng.choice(half, min(size, len(half)), replace=False)
                        judged = batch_of(valid, rows, run.device)
                        _searching(net, judged, share, c).backward()  # type: ignore[no-untyped-call]
                    other.step()
                    done += 1
                    if done in written:
                        self._write_down(done, net)
                run.progress("search", {"epoch": epoch + 1, "of": c.epochs})
        return net.alpha.detach().cpu().numpy()

    def _write_down(self, step: int, net: Network) -> None:
        self.path[step] = net.shares().detach().cpu().numpy().astype(float).round(3).tolist()

    # ------------------------------------------------------------------------------------------------------- answering

    def _build(self, coder: Coder) -> Network:
        return Network(coder, self.config, self.crossed, self.methods, self.config.layers)

    @property
    def fitted(self) -> dict[str, Any]:
        return self.learnt.fitted

    def chosen(self) -> dict[str, str]:
        """The method of each pair, by name."""
        names = self.learnt.coder.fields
        return {f"{names[a]} x {names[b]}": METHODS[m] for (a, b), m in zip(self.pairs, self.methods, strict=True)}

    def predict(self, examples: Examples) -> dict[str, Array]:
        return self.learnt.predict(examples)

    def rank(self, requests: Requests, slates: Slates, features: FeatureView | None) -> Slates:
        return self.learnt.rank(requests, slates, features, self.config.weights)

    def explain(self, examples: Examples, n: int = 3) -> list[list[dict[str, Any]]]:
        """For each example the `n` crosses that move its first task's logit most: fields, method, by how much.

        A cross's effect is what the logit loses when a remembered combination is taken for an unknown one, or when a
        product is nothing; `seen` is how many training rows had the combination.
        """
        coder, net = self.learnt.coder, self.learnt.net
        coded, rows, names = coder.code(examples), len(examples), coder.fields
        ids = self.crossed.ids(coded.fields)
        which = np.flatnonzero(self.methods != NAIVE)
        if not len(which) or not rows:
            return [[] for _ in range(rows)]
        effects = np.zeros((rows, len(which)))
        with torch.inference_mode():
            batch = batch_of(_with(coded, self.crossed), slice(None))
            own = net(batch)[:, 0]
            for place, p in enumerate(which.tolist()):
                effects[:, place] = (own - net(batch, without=p)[:, 0]).numpy() / self.learnt.temperatures[0]
        remembered = np.flatnonzero(self.methods == REMEMBER).tolist()
        out = []
        for i in range(rows):
            told = []
            for place in np.argsort(-np.abs(effects[i]))[:n].tolist():
                p = int(which[place])
                a, b = self.pairs[p].tolist()
                said = {"cross": f"{names[a]} x {names[b]}", "method": METHODS[self.methods[p]],
                        "effect": round(float(effects[i, place]), 4)}  # fmt: skip
                if p in remembered:
                    row = int(ids[i, remembered.index(p)]) - len(remembered)
                    said["seen"] = int(self.crossed.counts[row]) if row >= 0 else 0
                told.append({**said, "said": explained(said)})
            out.append(told)
        return out

    def explain_candidates(
        self, requests: Requests, items: Array, features: FeatureView | None, n: int = 3
    ) -> list[list[dict[str, Any]]]:
        """The same for every place of `items` (int[requests, k]), row by row."""
        coder = self.learnt.coder
        return self.explain(candidates(features, requests, items, **coder.asks), n)

    # --------------------------------------------------------------------------------------------------------- keeping

    def forget(self, users: Array) -> None:
        """Take out these users' rows and every combination with them."""
        coder = self.learnt.coder
        if USER in coder.fields:
            users = np.asarray(users)
            codes = coder.users[users[(users >= 0) & (users < len(coder.users))]]
            self.crossed, rows = self.crossed.without(coder.fields.index(USER), codes[codes > 0])
            cast(Network, self.learnt.net).keep(self.crossed, rows)
        self.learnt.forget(users)

    def state(self) -> State:
        own = State(arrays={"methods": self.methods, "pairs": self.pairs}, facts={"all_rows": self.all_rows})
        return State.joined(learnt=self.learnt.state(), crossed=self.crossed.state(), own=own)

    def restore(self, state: State) -> Crossing:
        own = state.within("own")
        self.methods, self.pairs, self.all_rows = own.arrays["methods"], own.arrays["pairs"], own.facts["all_rows"]
        self.crossed, self.path = Crossed.restore(state.within("crossed")), {}
        self.learnt = Tabular.restore(state.within("learnt"), self._build)
        return self


def newton(logits: Array, coded: Coded, told: Array, valid: Coded, whole: Crossed) -> Array:
    """float[P]: what one Newton step of remembering each pair takes off the validation loss of these logits.

    A combination's step is its training rows' residuals over their curvature and a prior of 1; that of the unknown ones
    comes from combinations that a single row made, as they were unknown before it.
    """
    out = np.zeros(len(whole.pairs))
    here, there = whole.ids(coded.fields), whole.ids(valid.fields)
    for t in range(logits.shape[1]):
        p, known = sigmoid(logits[:, t]), coded.mask[:, t]
        slope, bend = np.where(known, coded.labels[:, t] - p, 0.0), np.where(known, p * (1 - p), 0.0)
        rows, label, z = valid.mask[:, t], valid.labels[valid.mask[:, t], t], told[valid.mask[:, t], t]
        if not len(label):
            continue
        for pair in range(len(whole.pairs)):
            own = here[:, pair]
            alone = whole.once[own] | (own == pair)
            up, down = (np.bincount(own, column, minlength=whole.rows) for column in (slope, bend))
            up[pair], down[pair] = slope[alone].sum(), bend[alone].sum()
            moved = z + np.clip(up / (down + 1.0), -4.0, 4.0)[there[rows, pair]]
            out[pair] += float(np.mean(_loss(label, z) - _loss(label, moved)))
    return out


def _loss(label: Array, z: Array) -> Array:
    return np.logaddexp(0.0, z) - label * z


def within(alpha: Array, worth: Array, rows: Array, c: CrossingConfig, most: int | None = None) -> Array:
    """int[P] the method of each pair: alpha's, where remembering is worth its cost; dearest first, within the budget.

    `most` pairs at most are remembered.
    """
    methods = alpha.argmax(axis=1)
    total, left = max(int(rows.sum()), 1), c.budget * rows.sum()
    taken = 0
    for p in np.argsort(-worth, kind="stable"):
        if methods[p] != REMEMBER:
            continue
        if worth[p] > c.cost * rows[p] / total and rows[p] <= left and (most is None or taken < most):
            left, taken = left - rows[p], taken + 1
        else:
            methods[p] = 1 + alpha[p, 1:].argmax()
    return methods


def _searching(net: Network, batch: Batch, share: Tensor, c: CrossingConfig) -> Tensor:
    """The loss of the search: with what it costs to remember so much."""
    loss = net.loss(batch) + c.cost * (net.shares()[:, REMEMBER] * share).sum()
    return loss + c.ridge * shrinkage(net) if c.ridge else loss


def _with(coded: Coded, crossed: Crossed) -> Coded:
    """Coded rows that carry the rows of their combinations."""
    return replace(coded, sequences={**coded.sequences, CROSSES: crossed.ids(coded.fields)})


def _blinded(batch: Batch, crossed: Crossed, blind: float, generator: np.random.Generator) -> Batch:
    ids = crossed.blinded(batch.sequences[CROSSES].cpu().numpy(), blind, generator)
    hidden = torch.from_numpy(ids.astype(np.int64)).to(batch.fields.device)
    return batch._replace(sequences={**batch.sequences, CROSSES: hidden})


class Network(nn.Module):
    """Embeddings and the vectors of all pairs into layers with layer norm; a pair of method -1 is all three at once."""

    one: Tensor  # int64[pairs that are factorized]: places of their fields
    other: Tensor

    def __init__(
        self, coder: Coder, config: CrossingConfig, crossed: Crossed, methods: Array, layers: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.config, self.crossed = config, crossed
        fields = np.array(list(combinations(range(len(coder.fields)), 2)), np.int64).reshape(-1, 2)
        self.methods = methods
        self.remembered = np.flatnonzero((methods == REMEMBER) | (methods < 0))
        self.factored = np.flatnonzero((methods == FACTORIZE) | (methods < 0))
        for name, side in zip(("one", "other"), fields[self.factored].T, strict=True):
            self.register_buffer(name, torch.from_numpy(side.copy()), False)
        self.tables = Tables(coder, config.dim)
        self.second = Tables(replace_numbers(coder), config.cross_dim, 1e-2) if len(self.factored) else None
        self.cross = nn.Parameter(torch.randn(crossed.rows, config.cross_dim) * 1e-2)
        self.alpha = nn.Parameter(torch.zeros(len(methods), 3), requires_grad=bool((methods < 0).any()))
        self.heat = 1.0
        blocks = len(methods) if (methods < 0).any() else len(self.remembered) + len(self.factored)
        sizes = [self.tables.width * config.dim + blocks * config.cross_dim, *layers]
        parts: list[nn.Module] = []
        for wide, out in pairwise(sizes):
            parts += [nn.Linear(wide, out), nn.LayerNorm(out), nn.ReLU(), nn.Dropout(config.dropout)]
        self.deep = nn.Sequential(*parts, nn.Linear(sizes[-1], len(coder.tasks)))

    def shares(self) -> Tensor:
        """float[P, 3]: the softmax of alpha at the present temperature."""
        return torch.softmax(self.alpha / self.heat, dim=1)

    def forward(self, batch: Batch, without: int | None = None) -> Tensor:
        """float[n, tasks]; `without`: as if one pair were unknown."""
        ids = batch.sequences.get(CROSSES)
        if ids is None:
            ids = torch.from_numpy(self.crossed.ids(batch.fields.cpu().numpy()).astype(np.int64)).to(self.cross.device)
        if without is not None and without in self.remembered:
            ids = ids.clone()
            place = int(np.searchsorted(self.remembered, without))
            ids[:, place] = place
        remembered = F.embedding(ids, self.cross)
        parts = [self.tables(batch).flatten(1)]
        products = remembered[:, :0]
        if self.second is not None:
            vectors = self.second(batch)
            products = vectors.index_select(1, self.one) * vectors.index_select(1, self.other)
            if without is not None and without in self.factored and without not in self.remembered:
                products[:, int(np.searchsorted(self.factored, without))] = 0.0
        if self.alpha.requires_grad:
            p = self.shares()
            parts.append((remembered * p[:, REMEMBER, None] + products * p[:, FACTORIZE, None]).flatten(1))
        else:
            parts += [remembered.flatten(1), products.flatten(1)]
        return self.deep(torch.cat(parts, dim=1))

    def loss(self, batch: Batch) -> Tensor:
        loss = cross_entropy(self(batch), batch)
        if self.config.cross_ridge > 0:
            rows = F.embedding(batch.sequences[CROSSES], self.cross)
            loss = loss + 0.5 * self.config.cross_ridge * rows.square().sum(dim=(1, 2)).mean()
        return loss

    def keep(self, crossed: Crossed, rows: Array) -> None:
        """Go on with some of the remembered rows (int[])."""
        self.crossed = crossed
        self.cross = nn.Parameter(self.cross.detach()[torch.from_numpy(rows)])


def replace_numbers(coder: Coder) -> Coder:
    """The same fields without numbers, which are in no pair."""
    return replace(coder, numbers=(), knots={})


def explained(effects: Mapping[str, Any]) -> str:
    """One cross in words.

    >>> explained({"cross": "user x item", "method": "memorize", "effect": 1.25, "seen": 3})
    'user x item, remembered from 3 earlier rows: +1.25'
    """
    seen = effects.get("seen")
    how = "as a product of vectors" if seen is None else f"remembered from {seen} earlier row{'s' * (seen != 1)}"
    return f"{effects['cross']}, {how if seen != 0 else 'never met before'}: {effects['effect']:+.2f}"
