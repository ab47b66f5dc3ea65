"""Matrix factorisation learnt from pairs: a user's vector times an item's, compared between items.

bpr-mf   Rendle et al., UAI 2009    what was taken scores above what was not, one negative per pair
mf-ssm   Wu et al., TOIS 2024       sampled softmax over a pool of negatives, cosine over a temperature

Learns one vector per user and per item: 4 * (n_users + n_items) * dim bytes, and a dim x dim map for strangers.

A stranger's vector is the least-squares guess from the mean of her items' vectors: one linear map, solved after the
descent over all users at once, min |mean(items of u) M - u|^2 + |M|^2.

Departs from Rendle: pairs are met once an epoch in random order instead of drawn with repetition, in batches, and Adam
moves the vectors instead of plain SGD; no learnt item bias. `prior` is ours: an angle says little of how popular an
item is, so its log popularity stands in the score, both when learning and when serving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor

from interplay.configure import NotNegative, Positive, Size
from interplay.errors import unknown
from interplay.learn.descend import Descent, descend, seeded
from interplay.learn.pairs import LOSSES, Pairs, log_popularity, pair_batches, shrinkage, with_bias
from interplay.learn.vectors import Vectors
from interplay.ops.sparse import degree_power, interaction_matrix, scaled
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

SIMILARITIES: dict[str, Callable[[Tensor], Tensor]] = {"dot": lambda v: v, "cosine": lambda v: F.normalize(v, dim=1)}


@dataclass(frozen=True, kw_only=True)
class PairwiseConfig:
    dim: Size = 64
    spread: Positive = 0.1  # standard deviation of the first vectors
    loss: str = "bpr"  # a name in LOSSES
    similarity: str = "dot"  # a name in SIMILARITIES: what the loss compares, and what is served
    temperature: Positive = 1.0  # scores are divided by it inside the loss
    prior: float = 0.0  # a score gains so many times the log of the item's popularity (after the temperature)
    negatives: Size = 1  # per pair (bpr), or shared by the batch (softmax)
    power: NotNegative = 0.0  # negatives are drawn with chance count ** power
    grouped: bool = False  # all pairs of a user in one batch: one row of scores serves them all
    ridge: NotNegative = 1e-3  # L2 on the batch's vectors
    descent: Descent = field(default_factory=lambda: Descent(batch=2048, epochs=300, every=5))


class Pairwise:
    """Two tables of vectors, learnt from comparisons."""

    def __init__(self, config: PairwiseConfig = PairwiseConfig()) -> None:
        self.config = config
        for what, name, known in (("loss", config.loss, LOSSES), ("similarity", config.similarity, SIMILARITIES)):
            if name not in known:
                raise unknown(what, name, known)

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Pairwise:
        c, pairs = self.config, Pairs.of(dataset)
        self.rows = Rows.of(dataset)
        x = interaction_matrix(dataset)
        with seeded(run.seed):
            tables = {
                side: (torch.randn(n, c.dim) * c.spread).to(run.device).requires_grad_()
                for side, n in (("users", dataset.n_users), ("items", dataset.n_items))
            }
        loss_of, like = LOSSES[c.loss].of, SIMILARITIES[c.similarity]
        self.bias = c.prior * c.temperature * log_popularity(self.rows.popularity) if c.prior else None
        bias = None if self.bias is None else torch.from_numpy(self.bias).to(run.device)

        def step(batch: Any) -> Tensor:
            users, items = tables["users"], tables["items"]
            mine, taken = like(F.embedding(batch.users, users)), like(items)
            if bias is not None:
                mine, taken = with_bias(mine, taken, bias)
            loss = loss_of(mine, taken, batch, c.temperature)
            return loss + c.ridge * shrinkage(users, items, batch) if c.ridge else loss

        def judge() -> float:
            self._settle(tables, x)
            return run.validation(self) if run.validation else 0.0

        batches = pair_batches(
            pairs, loss=c.loss, batch=c.descent.batch, negatives=c.negatives, power=c.power, grouped=c.grouped,
            device=run.device,
        )  # fmt: skip
        self.fitted = descend(
            step, tables, batches, descent=c.descent, run=run, judge=judge, belongs=f"{c} {dataset.fingerprint}"
        )
        self._settle(tables, x)
        return self

    @torch.no_grad()
    def _settle(self, tables: dict[str, Tensor], x: sp.csr_array) -> None:
        """Keep what serving needs: both tables, and the map from a mean of items to a user."""
        users, items = (SIMILARITIES[self.config.similarity](tables[s]).cpu().numpy() for s in ("users", "items"))
        self.vectors = Vectors(self.rows, users, items, self.bias)
        means = _means(x, self.vectors.items).astype(np.float64)
        self.guess = np.linalg.solve(means.T @ means + np.eye(means.shape[1]), means.T @ self.vectors.users)
        self.guess = self.guess.astype(np.float32)  # dim x dim

    def fold(self, x: sp.csr_array) -> Array:
        """float32[n, dim]: vectors of strangers from 0/1 rows over the items."""
        return _means(x, self.vectors.items) @ self.guess

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return self.vectors.retrieve(requests, n, self.fold)

    def similar_items(self, items: Array, n: int) -> Slates:
        return self.vectors.similar_items(items, n)

    def forget(self, users: Array) -> Pairwise:
        self.vectors.forget(users)
        self.rows = self.vectors.rows
        return self

    def state(self) -> State:
        return State.joined(base=self.vectors.state(), fold=State(arrays={"guess": self.guess}))

    def restore(self, state: State) -> Pairwise:
        self.vectors = Vectors.restore(state.within("base"))
        self.rows, self.guess = self.vectors.rows, state.within("fold").arrays["guess"]
        return self


def _means(x: sp.csr_array, items: Array) -> Array:
    """The mean of each row's item vectors; zeros for an empty row."""
    return scaled(x, degree_power(np.diff(x.indptr), -1.0)) @ items
