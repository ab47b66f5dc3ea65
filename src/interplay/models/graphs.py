"""Collaborative filtering on the graph of users and items: a vector is smoothed by those of its neighbours.

ngcf      Wang et al., SIGIR 2019    layers with weights, self and product terms, all layers side by side
lightgcn  He et al., SIGIR 2020      the mean of plain normalised sums over 0..layers steps

Learns one vector per user and per item (and, for ngcf, two dim x dim maps per layer); serves the smoothed ones:
4 * (n_users + n_items) * width bytes, width = dim for lightgcn and dim * (layers + 1) for ngcf, and for strangers
4 * n_items * dim (lightgcn) or * dim * layers (ngcf) more. With x = D^-1/2 A D^-1/2 e, isolated nodes send and get 0.

A stranger with the items H is folded in as a new node whose edges send but change nobody else: she has no vector of
her own (e_u^0 = 0), and layer k gives her the sum over H of e_i^(k-1) / sqrt(|H| d_i), passed through the layer's
weights for ngcf. For lightgcn that is one product with a stored table: the sum of e_i^k / sqrt(d_i) over k < layers,
divided by layers + 1.

Departs from the papers: every pair is met once an epoch (both codes draw users evenly until as many pairs are met);
the best epoch is chosen on validation, never on test; ngcf's node dropout is left out, as in the authors' commands.
`norm="row"` is the default of ngcf's code, D^-1 (A + I), where the self term comes from the loop; "symmetric" is the
paper. `loss="softmax"` with `similarity="cosine"` is the sampled softmax of Wu et al. (TOIS 2024), which needs tens of
epochs where BPR needs hundreds. `prior` is ours: an angle says little of how popular an item is, so its log popularity
stands in the score, both when learning and when serving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, PartShare, Positive, Size
from interplay.errors import unknown
from interplay.learn.descend import Descent, descend, seeded
from interplay.learn.pairs import LOSSES, Pairs, log_popularity, pair_batches, shrinkage, with_bias
from interplay.learn.propagate import Propagation
from interplay.learn.vectors import Vectors
from interplay.ops.sparse import degree_power, interaction_matrix, scaled
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class GraphsConfig:
    encoder: str = "light"  # a name in ENCODERS
    norm: str = "symmetric"  # a name in NORMS
    dim: Size = 64
    layers: Count = 3
    dropout: PartShare = 0.0  # of messages, ngcf only
    spread: Positive = 0.1  # standard deviation of the first vectors
    loss: str = "bpr"  # a name in LOSSES
    similarity: str = "dot"  # a name in SIMILARITIES: what the loss compares, and what is served
    temperature: Positive = 1.0  # scores are divided by it inside the loss
    prior: float = 0.0  # a score gains so many times the log of the item's popularity (after the temperature)
    negatives: Size = 1  # per pair (bpr), or shared by the batch (softmax)
    power: NotNegative = 0.0  # negatives are drawn with chance count ** power
    grouped: bool = False  # all pairs of a user in one batch: one row of scores serves them all
    ridge: NotNegative = 1e-4  # L2 on the batch's vectors: first ones (light) or final ones (ngcf)
    descent: Descent = field(default_factory=lambda: Descent(batch=2048, epochs=1000, every=10))


class Norm(NamedTuple):
    """How the graph is weighted: item i sends `sent(d_i)` times its vector, a user takes `taken(d_u)` times the sum."""

    user: Callable[[Array], Array]
    item: Callable[[Array], Array]
    loop: bool  # every node is its own neighbour too (and there is no separate self term)


NORMS: dict[str, Norm] = {
    "symmetric": Norm(lambda d: degree_power(d, -0.5), lambda d: degree_power(d, -0.5), False),
    "row": Norm(lambda d: degree_power(d + 1.0, -1.0), lambda d: np.ones(len(d)), True),
}

SIMILARITIES: dict[str, Callable[[Tensor], Tensor]] = {"dot": lambda v: v, "cosine": lambda v: F.normalize(v, dim=1)}


def graph(x: sp.csr_array, norm: str) -> sp.csr_array:
    """The normalised matrix of the whole graph, users first: float32[n_users + n_items, n_users + n_items]."""
    rule = NORMS[norm]
    nodes = sp.block_array([[None, x], [x.T, None]], format="csr") if x.nnz else sp.csr_array((sum(x.shape),) * 2)
    degree = np.asarray(nodes.sum(axis=1)).ravel()
    if rule.loop:
        nodes = nodes + sp.eye_array(len(degree), format="csr")
    return scaled(sp.csr_array(nodes, dtype=np.float32), rule.user(degree), rule.item(degree))


class Light(nn.Module):
    """The mean over 0..layers of A^k e."""

    def __init__(self, config: GraphsConfig, n: int) -> None:
        super().__init__()
        self.layers, self.ego = config.layers, nn.Parameter(torch.randn(n, config.dim) * config.spread)

    def forward(self, over: Propagation) -> tuple[Tensor, Tensor]:
        """(final vectors, the vectors that L2 shrinks), both over all nodes."""
        return over.smoothed(self.ego, self.layers), self.ego

    def sends(self, over: Propagation) -> list[Tensor]:
        """What neighbours send a stranger: one table (nodes x dim) for each sum that she would take."""
        if not self.layers:
            return [torch.zeros_like(self.ego)]
        return [over.smoothed(self.ego, self.layers - 1) * (self.layers / (self.layers + 1))]

    def receive(self, sums: list[Tensor], loop: Tensor | None) -> Tensor:
        """Final vectors of strangers from the weighted sums of what was sent."""
        return sums[0]


class Ngcf(nn.Module):
    """E_k = leaky((S + E) W1 + b1) + leaky((E * S) W2 + b2) with S = A E: Wang et al. 2019, eq. 7, biases as coded."""

    def __init__(self, config: GraphsConfig, n: int) -> None:
        super().__init__()
        self.dropout, self.loop = config.dropout, NORMS[config.norm].loop
        self.ego = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n, config.dim)))
        self.sums = nn.ModuleList([nn.Linear(config.dim, config.dim) for _ in range(config.layers)])
        self.products = nn.ModuleList([nn.Linear(config.dim, config.dim) for _ in range(config.layers)])
        for layer in (*self.sums, *self.products):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def layer(self, k: int, sent: Tensor, own: Tensor) -> Tensor:
        """Vectors of layer k + 1 from the summed messages and the nodes' own vectors of layer k."""
        added = sent if self.loop else sent + own
        summed = F.leaky_relu(self.sums[k](added), 0.2)
        return summed + F.leaky_relu(self.products[k](own * sent), 0.2)

    def walk(self, over: Propagation) -> list[Tensor]:
        found: list[Tensor] = [self.ego]
        for k in range(len(self.sums)):
            found.append(F.dropout(self.layer(k, over(found[-1]), found[-1]), self.dropout, self.training))
        return found

    def forward(self, over: Propagation) -> tuple[Tensor, Tensor]:
        first, *later = self.walk(over)
        final = torch.cat([first, *(F.normalize(e, dim=1) for e in later)], dim=1)
        return final, final

    def sends(self, over: Propagation) -> list[Tensor]:
        return self.walk(over)[:-1]

    def receive(self, sums: list[Tensor], loop: Tensor | None) -> Tensor:
        own = torch.zeros_like(sums[0])
        found = [own]
        for k, sent in enumerate(sums):
            own = self.layer(k, sent if loop is None else sent + loop * own, own)
            found.append(F.normalize(own, dim=1))
        return torch.cat(found, dim=1)


ENCODERS: dict[str, Callable[[GraphsConfig, int], Any]] = {"light": Light, "ngcf": Ngcf}


class Graphs:
    """Vectors learnt over the user-item graph."""

    def __init__(self, config: GraphsConfig = GraphsConfig()) -> None:
        self.config = config
        for what, name, known in (
            ("encoder", config.encoder, ENCODERS), ("norm", config.norm, NORMS),
            ("loss", config.loss, LOSSES), ("similarity", config.similarity, SIMILARITIES),
        ):  # fmt: skip
            if name not in known:
                raise unknown(what, name, known)

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Graphs:
        c, pairs = self.config, Pairs.of(dataset)
        self.rows = Rows.of(dataset)
        over = Propagation(graph(interaction_matrix(dataset), c.norm), run.device)
        with seeded(run.seed):
            self.net = ENCODERS[c.encoder](c, dataset.n_users + dataset.n_items).to(run.device)
        sides = [dataset.n_users, dataset.n_items]
        loss_of, like = LOSSES[c.loss].of, SIMILARITIES[c.similarity]
        self.bias = c.prior * c.temperature * log_popularity(self.rows.popularity) if c.prior else None
        bias = None if self.bias is None else torch.from_numpy(self.bias).to(run.device)

        def step(batch: Any) -> Tensor:
            final, shrunk = self.net(over)
            users, items = torch.split(final, sides)
            mine, items = like(F.embedding(batch.users, users)), like(items)
            if bias is not None:
                mine, items = with_bias(mine, items, bias)
            loss = loss_of(mine, items, batch, c.temperature)
            if not c.ridge:
                return loss
            users, items = torch.split(shrunk, sides)
            return loss + c.ridge * shrinkage(users, items, batch)

        def judge() -> float:
            self._settle(over)
            return run.validation(self) if run.validation else 0.0

        batches = pair_batches(
            pairs, loss=c.loss, batch=c.descent.batch, negatives=c.negatives, power=c.power, grouped=c.grouped,
            device=run.device,
        )  # fmt: skip
        self.fitted = descend(
            step, self.net, batches, descent=c.descent, run=run, judge=judge, belongs=f"{c} {dataset.fingerprint}"
        )
        self._settle(over)
        self.net.cpu()
        return self

    @torch.no_grad()
    def _settle(self, over: Propagation) -> None:
        """Keep what serving needs: final vectors, and what each item sends to strangers."""
        n_users = self.rows.n_users
        final = SIMILARITIES[self.config.similarity](self.net(over)[0]).cpu().numpy()
        self.vectors = Vectors(self.rows, final[:n_users], final[n_users:], self.bias)
        send = NORMS[self.config.norm].item(self.rows.popularity)[:, None].astype(np.float32)
        self.sends = [send * table[n_users:].cpu().numpy() for table in self.net.sends(over)]

    @torch.no_grad()
    def fold(self, x: sp.csr_array) -> Array:
        """float32[n, width]: vectors of strangers from 0/1 rows over the items."""
        norm, degree = NORMS[self.config.norm], np.diff(x.indptr).astype(np.float64)
        take = norm.user(degree)[:, None].astype(np.float32)
        sums = [torch.from_numpy(take * (x @ table)) for table in self.sends]
        final = self.net.receive(sums, torch.from_numpy(take) if norm.loop else None)
        return SIMILARITIES[self.config.similarity](final).numpy()

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return self.vectors.retrieve(requests, n, self.fold)

    def similar_items(self, items: Array, n: int) -> Slates:
        return self.vectors.similar_items(items, n)

    def forget(self, users: Array) -> Graphs:
        self.vectors.forget(users)
        self.rows = self.vectors.rows
        return self

    def state(self) -> State:
        weights = {k: v.detach().numpy() for k, v in self.net.named_parameters() if k != "ego"}
        sends = {str(k): table for k, table in enumerate(self.sends)}
        return State.joined(base=self.vectors.state(), sends=State(arrays=sends), net=State(arrays=weights))

    def restore(self, state: State) -> Graphs:
        self.vectors = Vectors.restore(state.within("base"))
        self.rows = self.vectors.rows
        sends, weights = state.within("sends").arrays, state.within("net").arrays
        self.sends = [sends[str(k)] for k in range(len(sends))]
        self.net = ENCODERS[self.config.encoder](self.config, 0).eval()
        with torch.no_grad():
            for name, parameter in self.net.named_parameters():
                if name != "ego":
                    parameter.copy_(torch.from_numpy(weights[name].copy()))
        return self
