"""Learning from (user, item) pairs with two tables of vectors: the batches and the losses that such models share.

A loss is a name in LOSSES. It says whether each pair has negatives of its own ("bpr") or the whole batch shares a pool
("softmax"); a shared pool makes scoring one matrix product per batch, and pairs of one user share even that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor

from interplay.errors import BadData, BadSetting, unknown
from interplay.learn import losses
from interplay.learn.descend import Batches
from interplay.learn.negatives import Popularity, taken
from interplay.learn.together import Epoch
from interplay.types import Array, Dataset, Ragged


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distinct (user, item) pairs of a log, in order of user and item."""

    keys: Array  # int64[m], sorted: user * n_items + item
    n_users: int
    n_items: int

    @staticmethod
    def of(dataset: Dataset) -> Pairs:
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a model of behaviour needs at least one")
        return Pairs(taken(dataset), dataset.n_users, dataset.n_items)

    @property
    def user(self) -> Array:
        return self.keys // self.n_items

    @property
    def item(self) -> Array:
        return self.keys % self.n_items

    def by_user(self) -> Ragged:
        return Ragged.grouped(self.user, self.n_users, item=self.item, place=np.arange(len(self.keys)))


class Batch(NamedTuple):
    """Pairs, and what they are held against."""

    users: Tensor  # int64[u]: the distinct users
    owner: Tensor  # int64[b]: the place of each pair's user in `users`
    items: Tensor  # int64[b]
    negatives: Tensor  # int64[b, m]: each pair's own, or int64[m]: shared by all
    hidden: tuple[Tensor, Tensor]  # places (user, negative) of the shared pool where the user has taken the item


def pair_batches(
    pairs: Pairs, *, loss: str, batch: int, negatives: int, power: float = 0.0, grouped: bool = False,
    device: str = "cpu",
) -> Batches:  # fmt: skip
    """Batches of about `batch` pairs in random order, each pair once an epoch.

    `grouped` keeps the pairs of a user together. Negatives are drawn with chance count ** `power`: 0 is even, 1 is as
    in-batch negatives come. A pool of at least n_items is the whole catalogue.
    """
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if negatives < 1:
        raise BadSetting(f"negatives must be at least 1; found {negatives}")
    user, item, by_user = pairs.user, pairs.item, pairs.by_user()
    popularity = Popularity(np.bincount(item, minlength=pairs.n_items), power)
    slot = np.full(pairs.n_items, -1, np.int64)  # an item's place in the pool, put back to -1 after each batch
    nowhere = torch.zeros(0, dtype=torch.int64)

    def moved(array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(device)

    def made(rows: Array, generator: np.random.Generator) -> Batch:
        users, owner = np.unique(user[rows], return_inverse=True)
        if not LOSSES[loss].shared:
            own = popularity.outside(user[rows], generator, keys=pairs.keys, each=negatives)
            return Batch(moved(users), moved(owner), moved(item[rows]), moved(own), (nowhere, nowhere))
        if negatives >= pairs.n_items:
            pool = np.arange(pairs.n_items)
        else:
            pool = np.unique(popularity.draw(negatives, generator))
        slot[pool] = np.arange(len(pool))
        histories = by_user.take(users)
        at = slot[histories["item"]]
        slot[pool] = -1
        clash = at >= 0
        hidden = moved(histories.owner[clash]), moved(at[clash])
        return Batch(moved(users), moved(owner), moved(item[rows]), moved(pool), hidden)

    def batches(epoch: int, generator: np.random.Generator) -> Epoch:
        if grouped:
            order = by_user.take(generator.permutation(pairs.n_users))["place"]
        else:
            order = generator.permutation(len(user))
        cuts = np.linspace(0, len(order), max(1, -(-len(order) // batch)) + 1).astype(np.int64)  # nearly the same size
        return Epoch([order[lo:hi] for lo, hi in pairwise(cuts.tolist())], made, generator)

    return batches


class PairLoss(NamedTuple):
    shared: bool  # one pool of negatives for the batch, or each pair its own
    of: Callable[[Tensor, Tensor, Batch, float], Tensor]  # vectors of batch.users, of all items; batch; temperature


def _bpr(mine: Tensor, items: Tensor, batch: Batch, temperature: float) -> Tensor:
    own = F.embedding(batch.owner, mine) / temperature
    positive = (own * F.embedding(batch.items, items)).sum(dim=1)
    if batch.negatives.shape[1] == 1:
        negative = (own * F.embedding(batch.negatives[:, 0], items)).sum(dim=1)
    else:
        negative = torch.einsum("bd,bmd->bm", own, F.embedding(batch.negatives, items))
    return losses.bpr(positive, negative)


def _softmax(mine: Tensor, items: Tensor, batch: Batch, temperature: float) -> Tensor:
    mine = mine / temperature
    against = losses.pool_log_sum_exp(mine, F.embedding(batch.negatives, items), batch.hidden)
    positive = (F.embedding(batch.owner, mine) * F.embedding(batch.items, items)).sum(dim=1)
    return F.softplus(F.embedding(batch.owner, against[:, None])[:, 0] - positive).mean()


LOSSES: dict[str, PairLoss] = {"bpr": PairLoss(False, _bpr), "softmax": PairLoss(True, _softmax)}


def log_popularity(popularity: Array) -> Array:
    """float32[n_items]: the log of how many people touched each item; 0 where nobody did."""
    return np.log(np.maximum(popularity, 1.0)).astype(np.float32)


def with_bias(mine: Tensor, items: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Both tables with one more column, so that every inner product gains the item's bias (float32[n_items])."""
    return torch.cat([mine, mine.new_ones(len(mine), 1)], dim=1), torch.cat([items, bias[:, None]], dim=1)


def shrinkage(users: Tensor, items: Tensor, batch: Batch) -> Tensor:
    """Half the squared length of the batch's vectors, over the number of pairs (the L2 term of NGCF and LightGCN)."""
    own, positive = F.embedding(batch.users[batch.owner], users), F.embedding(batch.items, items)
    against = F.embedding(batch.negatives.flatten(), items)
    return 0.5 * ((own**2).sum() + (positive**2).sum() + (against**2).sum()) / len(batch.items)
