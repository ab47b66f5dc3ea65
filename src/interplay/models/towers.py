"""Two towers: one network for the person, one for the item, and an inner product between them.

two-tower   after Yi et al., RecSys 2019   in-batch sampled softmax with log q correction

Learns an item table and two small networks: about 4 * items * dim bytes, more with content. Without `user_ids` people
have no rows: a person is the mean of what is in the history.

An item is its own vector plus a projection of its content (all vectors that the dataset has for items, and its most
frequent categories). While learning, an item's own vector is left out now and then, so that content alone means
something: an item without any event is served by its content, and one that has neither comes last.

Departs from the paper: how often an item is in a batch is known from the log, not estimated from the stream; items
that the user has taken do not count as negatives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, PartShare, Positive, Share, Size
from interplay.errors import BadData, BadSetting, unknown
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.layers import mlp
from interplay.learn.losses import in_batch_softmax
from interplay.learn.negatives import Popularity
from interplay.ops.topk import best_dot
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run, Slates, State, World


@dataclass(frozen=True, kw_only=True)
class TwoTowerConfig:
    dim: Size = 64
    hidden: Size = 128  # width of the layer inside each tower
    window: Size = 50  # last events of a history that are pooled
    context: str = "others"  # a name in CONTEXTS: what an event is predicted from
    vectors: bool = True  # use the item vectors that the dataset brings
    categories: Count = 256  # most frequent categories that are used; 0 uses none
    id_dropout: Share = 0.1  # how often an item's own vector is left out while learning
    user_ids: bool = False  # a vector for each known user, added to what the history says
    dropout: PartShare = 0.1
    temperature: Positive = 0.1
    descent: Descent = field(default_factory=lambda: Descent(batch=1024, epochs=50, patience=5))


def others(log: Ragged, events: Array, window: int) -> Ragged:
    """The last `window` events of the same user that are of another item: for logs judged as sets."""
    bags = log.take(log.owner[events])
    return bags.where(bags["item"] != np.repeat(log["item"][events], bags.lengths)).last(window)


def earlier(log: Ragged, events: Array, window: int) -> Ragged:
    """The last `window` events of the same user before this one: for logs judged in time."""
    start = np.maximum(log.offsets[:-1][log.owner[events]], events - window)
    offsets = np.concatenate([[0], np.cumsum(events - start)])
    at = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], events - start)
    return Ragged(offsets=offsets, columns={"item": log["item"][at]})


CONTEXTS: dict[str, Callable[[Ragged, Array, int], Ragged]] = {"others": others, "earlier": earlier}


def clashes(taken: Ragged, item: Array, n_items: int) -> Array:
    """bool[n, n]: True where the item of row j is one that the user of row i has `taken` (their whole log, n rows)."""
    wanted, place = np.unique(item, return_inverse=True)
    column = np.full(n_items, -1)
    column[wanted] = np.arange(len(wanted))
    at = column[taken["item"]]
    flags = np.zeros((len(item), len(wanted)), bool)
    flags[taken.owner[at >= 0], at[at >= 0]] = True
    return flags[:, place]


def content(dataset: Dataset, config: TwoTowerConfig) -> Array:
    """float32[n_items, width]: what is known of each item without any event; every part has length 1, or 0."""
    parts = [np.zeros((dataset.n_items, 0), np.float32)]
    if config.vectors:
        parts += [np.asarray(v, np.float32) for v in dataset.vectors.values() if len(v) == dataset.n_items]
    if config.categories and dataset.catalogue is not None and "categories" in dataset.catalogue.columns:
        listed = [[v] if isinstance(v, str) else v or [] for v in dataset.catalogue["categories"].to_list()]
        counted = Counter(c for row in listed for c in row)
        column = {c: i for i, (c, _) in enumerate(counted.most_common(config.categories))}
        flags = np.zeros((dataset.n_items, len(column)), np.float32)
        pairs = [(row, column[c]) for row, names in enumerate(listed) for c in names if c in column]
        if pairs:
            flags[tuple(np.array(pairs).T)] = 1.0
        parts.append(flags)
    return np.hstack([p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-12) for p in parts])


class Net(nn.Module):
    """Both towers; what goes into them is the same item vector, alone or as the mean of a history."""

    about: Tensor
    touched: Tensor

    def __init__(self, n_users: int, about: Tensor, touched: Tensor, config: TwoTowerConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.register_buffer("about", about)  # n_items x width
        self.register_buffer("touched", touched)  # bool[n_items]: has an event, so its own vector means something
        self.own = nn.Embedding(len(about), c.dim)
        nn.init.normal_(self.own.weight, std=c.dim**-0.5)
        self.project = nn.Linear(about.shape[1], c.dim, bias=False) if about.shape[1] else None
        self.users = nn.Parameter(torch.zeros(n_users, c.dim)) if c.user_ids else None
        self.user_tower = mlp([c.dim, c.hidden, c.dim], dropout=c.dropout)
        self.item_tower = mlp([c.dim, c.hidden, c.dim], dropout=c.dropout)

    def inputs(self, items: Tensor) -> Tensor:
        """float[m, dim]: own vector plus content."""
        kept = self.touched[items].to(torch.float32)
        if self.training and self.project is not None:
            kept = kept * (torch.rand(len(items), device=kept.device) >= self.config.id_dropout)
        own = self.own(items) * kept[:, None]
        return own if self.project is None else own + self.project(self.about[items])

    def items(self, inputs: Tensor) -> Tensor:
        """float[m, dim], of length 1."""
        return F.normalize(self.item_tower(inputs), dim=1)

    def people(self, pooled: Tensor, users: Tensor) -> Tensor:
        """float[n, dim], of length 1; `users` int64[n], -1 for a stranger."""
        if self.users is not None and len(self.users):
            known = (users >= 0) & (users < len(self.users))
            own = F.embedding(torch.where(known, users, 0), self.users) * known[:, None]
            if self.training:  # now and then everybody is a stranger
                own = own * (torch.rand(len(users), 1, device=own.device) >= self.config.id_dropout)
            pooled = pooled + own
        return F.normalize(self.user_tower(pooled), dim=1)


@dataclass(frozen=True)
class Batch:
    """n events: who, from which bag, which item. Items are places in `distinct`, so that each is looked up once."""

    users: Tensor  # int64[n]
    distinct: Tensor  # int64[d]: items in the batch
    bag: Tensor  # int64[m], places in `distinct`
    offsets: Tensor  # int64[n]
    weight: Tensor  # float[m]: 1 / size of the bag
    wanted: Tensor  # int64[n], places in `distinct`
    log_q: Tensor  # float[n]
    clashes: Tensor  # bool[n, n]


class TwoTower:
    """People and items meet in one space, so that a person's list is a nearest-neighbour search."""

    def __init__(self, config: TwoTowerConfig = TwoTowerConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> TwoTower:
        c = self.config
        if c.context not in CONTEXTS:
            raise unknown("context", c.context, CONTEXTS)
        if c.temperature <= 0 or c.window < 1:
            raise BadSetting(f"two-tower needs temperature > 0 and window >= 1; found {c.temperature} and {c.window}")
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; two towers learn from who took what")
        self.rows = Rows.of(dataset)
        with seeded(run.seed):
            about, touched = torch.from_numpy(content(dataset, c)), torch.from_numpy(self.rows.popularity > 0)
            self.net = Net(dataset.n_users, about, touched, c).to(run.device)
        log, events = dataset.log, dataset.events
        log_q = Popularity(np.bincount(events.item, minlength=dataset.n_items), power=1.0).log_q

        def make(rows: Array, generator: np.random.Generator) -> Batch:
            user, item = events.user[rows].astype(np.int64), events.item[rows]
            bags = CONTEXTS[c.context](log, rows, c.window)
            distinct, place = np.unique(np.concatenate([item, bags["item"]]), return_inverse=True)
            columns = (
                user, distinct.astype(np.int64), place[len(rows) :], bags.offsets[:-1], _even(bags), place[: len(rows)],
                log_q[item], clashes(log.take(user), item, dataset.n_items),
            )  # fmt: skip
            return Batch(*(torch.from_numpy(column).to(run.device) for column in columns))

        self.fitted: dict[str, Any] = descend(
            self.loss, self.net, shuffled(len(events), c.descent.batch, make), descent=c.descent, run=run,
            belongs=f"{dataset.fingerprint} {asdict(c)}",
            judge=lambda: run.validation(self._placed()) if run.validation else 0.0,
        )  # fmt: skip
        self.net.to("cpu").eval()
        return self._placed()

    def _placed(self) -> TwoTower:
        """Send every item up its tower, once for all requests to come."""
        device = self.net.own.weight.device
        with torch.inference_mode():
            self.inputs = self.net.inputs(torch.arange(self.rows.n_items, device=device))  # n_items x dim
            self.vectors: Array = self.net.items(self.inputs).cpu().numpy()  # n_items x dim
        popularity = self.rows.popularity
        hollow = (popularity == 0) & ~self.net.about.any(dim=1).cpu().numpy()  # neither events nor content
        self.last = np.where(hollow, np.float32(-3.0), np.float32(0.0))  # below any cosine: after all others
        # one more dimension serves those without a history by popularity
        self.table = np.hstack([self.vectors, popularity[:, None]])
        return self

    def loss(self, batch: Batch) -> Tensor:
        """-log softmax over the items of the batch, each less the log of how often it occurs (Yi et al., eq. 5)."""
        inputs = self.net.inputs(batch.distinct)
        pooled = F.embedding_bag(batch.bag, inputs, batch.offsets, mode="sum", per_sample_weights=batch.weight)
        items = self.net.items(inputs)[batch.wanted]
        people = self.net.people(pooled, batch.users)
        return in_batch_softmax(people, items, self.config.temperature, batch.log_q, batch.clashes)

    def encode(self, requests: Requests) -> Array:
        """float32[n, dim]; 0 where the history holds no item with a row."""
        history, device = requests.history, self.inputs.device
        kept = history.where((history["item"] >= 0) & (history["item"] < self.rows.n_items)).last(self.config.window)
        columns = (kept["item"].astype(np.int64), kept.offsets[:-1], _even(kept), requests.user.astype(np.int64))
        with torch.inference_mode():
            bag, offsets, weight, users = (torch.from_numpy(column).to(device) for column in columns)
            pooled = F.embedding_bag(bag, self.inputs, offsets, mode="sum", per_sample_weights=weight)
            people = self.net.people(pooled, users).cpu().numpy()
        return np.where(kept.lengths[:, None] > 0, people, np.float32(0.0))

    def retrieve(self, requests: Requests, n: int) -> Slates:
        people = self.encode(requests)
        nothing = ~people.any(axis=1, keepdims=True)
        return best_dot(
            np.hstack([people, nothing.astype(np.float32)]), self.table, requests, n, self.rows, bias=self.last
        )

    def similar_items(self, items: Array, n: int) -> Slates:
        """The nearest by cosine in the item tower; an item without a row gets an empty list."""
        items, vectors = np.asarray(items), self.vectors
        known = np.flatnonzero((items >= 0) & (items < self.rows.n_items))
        out = Slates.empty(len(items), min(n, max(self.rows.n_items, 1)))
        found = best_dot(vectors[items[known]], vectors, Requests.strangers(list(items[known][:, None])), n, self.rows)
        out.items[known], out.scores[known] = found.items, found.scores
        return out

    def forget(self, users: Array) -> TwoTower:
        """Zero the rows of `users`, where users have rows."""
        if self.net.users is not None:
            users = np.asarray(users, np.int64)
            known = torch.from_numpy(users[(users >= 0) & (users < len(self.net.users))])
            with torch.no_grad():
                self.net.users[known] = 0
        return self

    def state(self) -> State:
        learnt = {name: tensor.detach().cpu().numpy() for name, tensor in self.net.state_dict().items()}
        people = {"users": learnt.pop("users")} if "users" in learnt else {}
        net = State(arrays=learnt, users=people)
        return State.joined(rows=self.rows.state(), net=net, fit=State(facts=self.fitted))

    def restore(self, state: State) -> TwoTower:
        self.rows = Rows.restore(state.within("rows"))
        net = state.within("net")
        learnt = {name: torch.from_numpy(np.array(array)) for name, array in {**net.arrays, **net.users}.items()}
        with seeded(0):
            self.net = Net(self.rows.n_users, learnt["about"], learnt["touched"], self.config)
        self.net.load_state_dict(learnt)
        self.net.eval()
        self.fitted = dict(state.within("fit").facts)
        return self._placed()


def _even(bags: Ragged) -> Array:
    """float32[m]: the weight that makes the sum of each bag a mean."""
    return (1.0 / np.maximum(np.repeat(bags.lengths, bags.lengths), 1)).astype(np.float32)
