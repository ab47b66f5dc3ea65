"""Autoencoders over sets of items: a history is squeezed to a few numbers and the catalogue is read back from them.

mult-vae   Liang et al., WWW 2018   multinomial likelihood, variational, KL weight annealed to 0.2
mult-dae   the same                 without the variational part

Learns an encoder and a decoder: about 8 * items * hidden bytes; users have no rows (strong generalisation by nature).

Departs from the paper: the KL weight rises epoch by epoch, not step by step; inputs are read as sparse rows, which
changes no result; initialisation is Xavier-uniform with zero biases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, PartShare, Size
from interplay.errors import BadData
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.losses import annealed, gaussian_kl, multinomial
from interplay.ops.sparse import history_matrix, interaction_matrix
from interplay.ops.topk import best
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class MultVaeConfig:
    dim: Size = 200  # numbers a history is squeezed to
    hidden: Size = 600  # width between items and those numbers, on both sides
    dropout: PartShare = 0.5  # share of the history that is withheld from the encoder while learning
    variational: bool = True  # False is Mult-DAE
    beta: NotNegative = 0.2  # final weight of the KL term
    anneal: Count = 20  # epochs over which it rises from 0
    descent: Descent = field(default_factory=lambda: Descent(batch=512, epochs=100, patience=10))


@dataclass(frozen=True)
class Sets:
    """Sets of items as sparse rows: row r holds `item[offsets[r]:offsets[r + 1]]`."""

    item: Tensor  # int64[m]
    offsets: Tensor  # int64[n]
    weight: Tensor  # float[m]: 1 / sqrt(size), so that each row has length 1
    owner: Tensor  # int64[m]

    @staticmethod
    def of(x: sp.csr_array, device: str | torch.device = "cpu") -> Sets:
        sizes = np.diff(x.indptr)
        owner = np.repeat(np.arange(len(sizes)), sizes)
        columns = (x.indices.astype(np.int64), x.indptr[:-1].astype(np.int64),
                   sizes[owner].astype(np.float32) ** -0.5, owner)  # fmt: skip
        return Sets(*(torch.from_numpy(column).to(device) for column in columns))

    def dense(self, n_items: int) -> Tensor:
        """float[n, n_items] of 0 and 1."""
        out = torch.zeros(len(self.offsets), n_items, device=self.item.device)
        out[self.owner, self.item] = 1.0
        return out


class Net(nn.Module):
    """items -> hidden -> dim -> hidden -> items, with tanh in the hidden layers."""

    def __init__(self, n_items: int, config: MultVaeConfig) -> None:
        super().__init__()
        c = config
        self.dropout, self.variational = c.dropout, c.variational
        self.read = nn.EmbeddingBag(n_items, c.hidden, mode="sum")  # a linear layer whose input is sparse
        self.bias = nn.Parameter(torch.zeros(c.hidden))
        self.squeeze = nn.Linear(c.hidden, 2 * c.dim if c.variational else c.dim)
        self.widen = nn.Linear(c.dim, c.hidden)
        self.write = nn.Linear(c.hidden, n_items)
        for layer in (self.squeeze, self.widen, self.write):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.read.weight)

    def encode(self, sets: Sets) -> tuple[Tensor, Tensor]:
        """(mean, log variance), each float[n, dim]; the latter is 0 where the model is not variational."""
        weight = F.dropout(sets.weight, self.dropout, self.training)
        hidden = torch.tanh(self.read(sets.item, sets.offsets, per_sample_weights=weight) + self.bias)
        squeezed = self.squeeze(hidden)
        if not self.variational:
            return squeezed, torch.zeros_like(squeezed)
        mean, log_variance = squeezed.chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """float[n, n_items]: one logit for each item."""
        return self.write(torch.tanh(self.widen(z)))


class MultVae:
    """Reads the request's history as a set; whoever has one is served, known or not."""

    def __init__(self, config: MultVaeConfig = MultVaeConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> MultVae:
        c = self.config
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; an autoencoder needs at least one history to read back")
        self.rows = Rows.of(dataset)
        with seeded(run.seed):
            self.net = Net(dataset.n_items, c).to(run.device)
        x = interaction_matrix(dataset)
        x = x[np.flatnonzero(np.diff(x.indptr))]

        def batches(epoch: int, generator: np.random.Generator) -> Any:
            beta = annealed(epoch, c.anneal, c.beta)

            def make(rows: Array, _: np.random.Generator) -> tuple[Sets, float]:
                return Sets.of(x[rows], run.device), beta

            return shuffled(x.shape[0], c.descent.batch, make)(epoch, generator)

        def step(batch: tuple[Sets, float]) -> Tensor:
            sets, beta = batch
            return self.loss(sets, beta)

        self.fitted: dict[str, Any] = descend(
            step, self.net, batches, descent=c.descent, run=run, belongs=f"{dataset.fingerprint} {asdict(c)}",
            judge=lambda: run.validation(self) if run.validation else 0.0,
        )  # fmt: skip
        self.net.to("cpu").eval()
        return self

    def loss(self, sets: Sets, beta: float) -> Tensor:
        """The negative evidence bound of eq. 7: -E_q[log p(x | z)] + beta KL(q(z | x) || N(0, 1)), mean over rows."""
        mean, log_variance = self.net.encode(sets)
        sampled = self.config.variational and self.net.training
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if sampled else mean
        likelihood = multinomial(self.net.decode(z), sets.dense(self.rows.n_items))
        return likelihood + beta * gaussian_kl(mean, log_variance) if self.config.variational else likelihood

    def scores(self, requests: Requests) -> Array:
        """float32[n, n_items]: the logits of each history, or popularity where it holds no item with a row."""
        x = history_matrix(requests.history, self.rows.n_items)
        with torch.inference_mode():
            logits = self.net.decode(self.net.encode(Sets.of(x, self.net.bias.device))[0]).cpu().numpy()
        return np.where(np.diff(x.indptr)[:, None] > 0, logits, self.rows.popularity)

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return best(self.scores, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What a history of this one item leads to; an item without a row gets an empty list."""
        items = np.asarray(items)
        known = np.flatnonzero((items >= 0) & (items < self.rows.n_items))
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        found = self.retrieve(Requests.strangers(list(items[known][:, None])), n)
        out.items[known], out.scores[known] = found.items, found.scores
        return out

    def state(self) -> State:
        learnt = {name: tensor.detach().cpu().numpy() for name, tensor in self.net.state_dict().items()}
        return State.joined(rows=self.rows.state(), net=State(arrays=learnt), fit=State(facts=self.fitted))

    def restore(self, state: State) -> MultVae:
        self.rows = Rows.restore(state.within("rows"))
        with seeded(0):
            self.net = Net(self.rows.n_items, self.config)
        learnt = state.within("net").arrays
        self.net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in learnt.items()})
        self.net.eval()
        self.fitted = dict(state.within("fit").facts)
        return self
