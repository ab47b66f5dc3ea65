"""Next-item models: the last `window` events of a history score the catalogue.

sasrec        Kang and McAuley, ICDM 2018       causal attention; here with sampled softmax, the recipe that holds up
sasrec-full   the same                          cross-entropy over the whole catalogue
sasrec-bce    the same, as published            one negative for each place
gsasrec       Petrov and Macdonald, RecSys 2023 generalised BCE with many negatives
gru4rec       Hidasi et al., ICLR 2016          a recurrent encoder

Learns item vectors (used on both sides) and an encoder: about 4 * items * dim bytes, plus the encoder.

Departs from the papers: histories of like length are learnt from together and stand at the left of their row, so
hardly any padding is computed and place 0 is the oldest event of the window; negatives are shared by a batch (except
with sampler "each"); layer norms stand before each part; gru4rec learns from shuffled rows, not sessions side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, PartShare, Positive, Share, Size
from interplay.errors import BadData, BadSetting, Unsupported, unknown
from interplay.learn import losses, negatives
from interplay.learn.descend import Descent, descend, seeded
from interplay.learn.layers import Block
from interplay.learn.together import Epoch
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run, Slates, State, World

HIDDEN = -1e9  # the score of a negative that is the wanted item itself; finite, so that no gradient is lost in it
SERVED = 50_000  # places encoded at once when serving


@dataclass(frozen=True, kw_only=True)
class SequencesConfig:
    dim: Size = 128
    window: Size = 50  # older events are not seen at all
    stretches: Count = 1  # windows of a long history that are learnt from, latest first; 0 takes all
    encoder: str = "causal"  # a name in ENCODERS
    layers: Size = 1
    heads: Size = 1
    dropout: PartShare = 0.4
    activation: str = "gelu"
    loss: str = "softmax"  # a name in LOSSES
    sampler: str = "shared"  # a name in SAMPLERS
    negatives: Size = 256  # for a batch (shared) or for each place (each); all items where there are no more
    temperature: Positive = 1.0
    calibration: Share = 0.75  # of gbce: 0 is plain BCE, 1 undoes all of the overconfidence
    descent: Descent = field(default_factory=lambda: Descent(rate=1.5e-3, batch=512, epochs=100, every=2, patience=5))


@dataclass(frozen=True)
class Places:
    """What a loss looks at: the encoded places of a batch, what came next, and what did not."""

    hidden: Tensor  # float[m, dim]
    wanted: Tensor  # int64[m]
    table: Tensor  # float[n_items, dim]
    drawn: Tensor  # int64[k], shared, or int64[m, k]

    def scores(self) -> tuple[Tensor, Tensor]:
        """[m] of the wanted items and [m, k] of the drawn ones; a drawn item that is the wanted one cannot count."""
        both = F.embedding(torch.cat([self.wanted, self.drawn.flatten()]), self.table)  # one look-up: one gradient
        wanted, drawn = both[: len(self.wanted)], both[len(self.wanted) :]
        positive = (self.hidden * wanted).sum(dim=1)
        if self.drawn.dim() == 1:
            negative = self.hidden @ drawn.T
        else:
            negative = torch.einsum("md,mkd->mk", self.hidden, drawn.view(*self.drawn.shape, -1))
        return positive, negative.masked_fill(self.drawn == self.wanted[:, None], HIDDEN)


Loss = Callable[[Places, SequencesConfig], Tensor]


def full(places: Places, config: SequencesConfig) -> Tensor:
    """-log softmax over the whole catalogue."""
    return F.cross_entropy(places.hidden @ places.table.T / config.temperature, places.wanted)


def softmax(places: Places, config: SequencesConfig) -> Tensor:
    """Sampled softmax with log q correction: each negative stands for n_items / k of the catalogue."""
    positive, negative = places.scores()
    share = torch.full((negative.shape[1],), math.log(negative.shape[1] / len(places.table)), device=negative.device)
    return losses.sampled_softmax(positive, negative, config.temperature, negative_log_q=share)


def gbce(places: Places, config: SequencesConfig) -> Tensor:
    """Generalised binary cross-entropy of gSASRec."""
    positive, negative = places.scores()
    return losses.gbce(positive, negative, len(places.table), config.calibration)


def bce(places: Places, config: SequencesConfig) -> Tensor:
    """Binary cross-entropy, as SASRec was published."""
    return losses.bce(*places.scores())


LOSSES: dict[str, Loss] = {"softmax": softmax, "full": full, "gbce": gbce, "bce": bce}


class Causal(nn.Module):
    """Self-attention in which a place sees itself and what came before it; [n, length, dim] -> the same shape."""

    def __init__(self, config: SequencesConfig) -> None:
        super().__init__()
        c = config
        self.places = nn.Parameter(torch.randn(c.window, c.dim) * c.dim**-0.5)
        self.drop = nn.Dropout(c.dropout)
        self.blocks = nn.ModuleList(Block(c.dim, c.heads, c.dropout, activation=c.activation) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(x + self.places[: x.shape[1]])
        for block in self.blocks:
            x = block(x)  # rows start at the left: what pads them comes later, so no place sees it
        return self.norm(x)


class Recurrent(nn.Module):
    """Gated recurrent units read the history once; [n, length, dim] -> the same shape."""

    def __init__(self, config: SequencesConfig) -> None:
        super().__init__()
        c = config
        self.drop = nn.Dropout(c.dropout)
        self.units = nn.GRU(c.dim, c.dim, c.layers, batch_first=True, dropout=c.dropout if c.layers > 1 else 0.0)
        self.out = nn.Linear(c.dim, c.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.drop(self.units(self.drop(x))[0]))


ENCODERS: dict[str, Callable[[SequencesConfig], nn.Module]] = {"causal": Causal, "recurrent": Recurrent}


class Net(nn.Module):
    """Item vectors and the encoder over them. What an item's index is never reaches it but as the choice of a row."""

    def __init__(self, n_items: int, config: SequencesConfig) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, config.dim)
        nn.init.normal_(self.items.weight, std=config.dim**-0.5)
        self.encoder = ENCODERS[config.encoder](config)

    def forward(self, items: Tensor) -> Tensor:
        """int64[n, length] -> float[n, length, dim]; place t has read items 0..t."""
        return self.encoder(self.items(items))


@dataclass(frozen=True)
class Batch:
    """Windows of like length, oldest event first, padded at the right with item 0, which no loss and no place sees."""

    items: Tensor  # int64[b, length]
    present: Tensor  # bool[b, length]
    wanted: Tensor  # int64[m]: the next item of each present place, row by row
    drawn: Tensor  # int64[k] or int64[m, k]


def shared(config: SequencesConfig, n_items: int, users: Array, taken: Array, generator: np.random.Generator) -> Array:
    """int64[k]: distinct items, drawn evenly, for all places of a batch."""
    return generator.choice(n_items, min(config.negatives, n_items), replace=False, shuffle=False)


def each(config: SequencesConfig, n_items: int, users: Array, taken: Array, generator: np.random.Generator) -> Array:
    """int64[m, k]: items that the user of the place has not taken, drawn evenly."""
    return negatives.uniform(users, n_items, generator, keys=taken, each=config.negatives)


SAMPLERS = {"shared": shared, "each": each}


def windows(log: Ragged, window: int, stretches: int = 1) -> tuple[Array, Array, Array]:
    """(start, length, user): stretches of at most window + 1 events with at least two, cut from the latest backwards.

    Neighbouring stretches share one event: what the later one starts from is what the earlier one has to guess.

    >>> start, length, user = windows(Ragged.of([[1, 2, 3, 4, 5, 6], [7]]), window=2, stretches=0)
    >>> sorted(zip(start.tolist(), length.tolist(), user.tolist()))
    [(0, 2, 0), (1, 3, 0), (3, 3, 0)]
    """
    pieces = -(-(log.lengths - 1) // window)  # a single event leaves nothing to guess
    pieces = np.maximum(pieces if stretches == 0 else np.minimum(pieces, stretches), 0)
    user = np.repeat(np.arange(len(log)), pieces)
    nth = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # 0 is the latest
    stop = log.offsets[1:][user] - nth * window
    start = np.maximum(stop - window - 1, log.offsets[:-1][user])
    return start, stop - start, user


def alike(lengths: Array, size: int, generator: np.random.Generator) -> list[Array]:
    """Rows in groups of nearly equal length that hold about `size` places each; which rows meet, and when, is drawn."""
    order = np.lexsort((generator.random(len(lengths)), lengths))
    group = (np.cumsum(lengths[order]) - lengths[order]) // size
    groups = np.split(order, np.flatnonzero(np.diff(group)) + 1)
    return [groups[i] for i in generator.permutation(len(groups)) if len(groups[i])]


class Sequences:
    """Encodes what the request has done; users have no rows, so a stranger with a history is served like anybody."""

    def __init__(self, config: SequencesConfig = SequencesConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Sequences:
        c = self.config
        self._check(dataset)
        self.rows = Rows.of(dataset)
        with seeded(run.seed):
            self.net = Net(dataset.n_items, c).to(run.device)
        start, length, user = windows(dataset.log, c.window, c.stretches)
        item, taken = dataset.events.item.astype(np.int64), negatives.taken(dataset)

        def make(rows: Array, generator: np.random.Generator) -> Batch:
            steps = np.arange(length[rows].max() - 1)
            present = steps < length[rows, None] - 1
            at = np.where(present, start[rows, None] + steps, 0)
            of = np.repeat(user[rows], length[rows] - 1)
            drawn = SAMPLERS[c.sampler](c, dataset.n_items, of, taken, generator)
            columns = (np.where(present, item[at], 0), present, item[at[present] + 1], drawn)
            return Batch(*(torch.from_numpy(column).to(run.device) for column in columns))

        def batches(epoch: int, generator: np.random.Generator) -> Epoch:
            return Epoch(alike(length - 1, c.descent.batch, generator), make, generator)

        def step(batch: Batch) -> Tensor:
            hidden = self.net(batch.items)[batch.present]
            return LOSSES[c.loss](Places(hidden, batch.wanted, self.net.items.weight, batch.drawn), c)

        self.fitted: dict[str, Any] = descend(
            step, self.net, batches, descent=c.descent, run=run, belongs=f"{dataset.fingerprint} {asdict(c)}",
            judge=lambda: run.validation(self._placed()) if run.validation else 0.0,
        )  # fmt: skip
        self.net.to("cpu").eval()
        return self._placed()

    def _placed(self) -> Sequences:
        """Lay the item vectors out for search, once for all requests to come."""
        self.vectors: Array = self.net.items.weight.detach().cpu().numpy()  # n_items x dim
        # one more dimension serves those without a history by popularity
        self.table = np.hstack([self.vectors, self.rows.popularity[:, None]])
        return self

    def _check(self, dataset: Dataset) -> None:
        c = self.config
        for what, name, known in (("encoder", c.encoder, ENCODERS), ("loss", c.loss, LOSSES),
                                  ("sampler", c.sampler, SAMPLERS)):  # fmt: skip
            if name not in known:
                raise unknown(what, name, known)
        if c.window < 1 or c.negatives < 1 or c.stretches < 0 or c.dim % c.heads:
            raise BadSetting(
                "a sequence model needs window >= 1, negatives >= 1, stretches >= 0 and a dim that heads divides; "
                f"found window {c.window}, negatives {c.negatives}, stretches {c.stretches}, dim {c.dim}, "
                f"heads {c.heads}"
            )
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a sequence model learns from what followed what")
        if dataset.events.time is None and not dataset.events.ordered:
            raise Unsupported(
                f"a sequence model needs the order of each user's events; {dataset.name!r} has neither a timestamp nor "
                "an order column. Use ease or item-knn, which see sets"
            )

    def encode(self, history: Ragged) -> Array:
        """float32[n, dim]: one vector per history; 0 where no item of it has a row.

        Histories of one length go together, so nothing is padded and a batch answers as one by one.
        """
        kept = history.where((history["item"] >= 0) & (history["item"] < self.rows.n_items)).last(self.config.window)
        out = np.zeros((len(history), self.config.dim), np.float32)
        lengths, item = kept.lengths, kept["item"].astype(np.int64)
        device = self.net.items.weight.device
        with torch.inference_mode():
            for length in np.unique(lengths[lengths > 0]):
                rows = np.flatnonzero(lengths == length)
                for part in np.array_split(rows, -(-len(rows) * length // SERVED)):
                    at = kept.offsets[part][:, None] + np.arange(length)
                    out[part] = self.net(torch.from_numpy(item[at]).to(device))[:, -1].cpu().numpy()
        return out

    def retrieve(self, requests: Requests, n: int) -> Slates:
        encoded = self.encode(requests.history)
        nothing = ~encoded.any(axis=1, keepdims=True)
        return best_dot(np.hstack([encoded, nothing.astype(np.float32)]), self.table, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """The nearest by cosine of the item vectors; an item without a row gets an empty list."""
        items = np.asarray(items)
        known = np.flatnonzero((items >= 0) & (items < self.rows.n_items))
        vectors = self.vectors / np.maximum(np.linalg.norm(self.vectors, axis=1, keepdims=True), 1e-12)
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        found = best_dot(vectors[items[known]], vectors, Requests.strangers(list(items[known][:, None])), n, self.rows)
        out.items[known], out.scores[known] = found.items, found.scores
        return out

    def state(self) -> State:
        learnt = {name: tensor.detach().cpu().numpy() for name, tensor in self.net.state_dict().items()}
        return State.joined(rows=self.rows.state(), net=State(arrays=learnt), fit=State(facts=self.fitted))

    def restore(self, state: State) -> Sequences:
        self.rows = Rows.restore(state.within("rows"))
        with seeded(0):
            self.net = Net(self.rows.n_items, self.config)
        learnt = state.within("net").arrays
        self.net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in learnt.items()})
        self.net.eval()
        self.fitted = dict(state.within("fit").facts)
        return self._placed()
