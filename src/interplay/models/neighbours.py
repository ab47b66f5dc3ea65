"""Neighbours: items that the same people took, people who took the same items.

item-knn   Deshpande and Karypis, TOIS 2004     the items most alike to those in the history
user-knn   Resnick et al., CSCW 1994            what the people most alike to the history took
rp3beta    Paudel et al., TiiS 2017             a walk item -> person -> item, popular ends made less likely

item-knn and rp3beta learn at most k neighbours of each item (8 * items * k bytes) and keep nothing of any person.
user-knn learns nothing and keeps everybody's newest events (4 * people * window bytes, less where all are shorter).
Departs from item-knn: the k neighbours are kept of the candidate, not of the item in the history; with k = 200 that
gives .221 instead of .167 Recall@20 on the validation part of ml-1m:ge3, and .175 instead of .162 on Gowalla's.
From rp3beta: the walk starts from every item of the history with equal weight, since the weight of the first
step is the same for all items of one person. From user-knn: events have no ratings, so votes are not centred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import scipy.sparse as sp

from interplay.configure import NotNegative, Share, Size
from interplay.errors import BadData, unknown
from interplay.ops import itemitem
from interplay.ops.sparse import (
    degree_power,
    from_profiles,
    history_matrix,
    interaction_matrix,
    profiles,
    scaled,
    without_rows,
)
from interplay.types import Array, Dataset, Events, Requests, Rows, Run, Slates, State, World

Self = TypeVar("Self", bound="_ItemToItem")


@dataclass(frozen=True, kw_only=True)
class ItemKnnConfig:
    k: Size = 200  # neighbours of each item
    similarity: str = "cosine"  # a name in SIMILARITIES
    shrink: NotNegative = 0.0  # added to the denominator: pairs seen together a few times count less
    balance: Share = 0.5  # asymmetric and tversky: share of the history's item, the rest is the candidate's
    weighting: str = "none"  # a name in WEIGHTINGS: how much each person's taking two items together counts


@dataclass(frozen=True, kw_only=True)
class UserKnnConfig:
    k: Size = 200  # neighbours of each request
    similarity: str = "cosine"  # a name in SIMILARITIES
    shrink: NotNegative = 0.0
    balance: Share = 0.5  # asymmetric and tversky: share of the request, the rest is the neighbour's
    window: Size = 500  # newest events of a neighbour that are kept


@dataclass(frozen=True, kw_only=True)
class Rp3BetaConfig:
    k: Size = 200  # neighbours of each item
    alpha: NotNegative = 1.0  # power of every transition probability
    beta: NotNegative = 0.5  # power of the popularity that divides where the walk ends


class _Alike(Protocol):
    @property
    def shrink(self) -> float: ...
    @property
    def balance(self) -> float: ...


def _cosine(c: Array, a: Array, b: Array, s: _Alike) -> Array:
    return c / (np.sqrt(a * b) + s.shrink)


def _jaccard(c: Array, a: Array, b: Array, s: _Alike) -> Array:
    return c / (a + b - c + s.shrink)


def _asymmetric(c: Array, a: Array, b: Array, s: _Alike) -> Array:
    """Aiolli, RecSys 2013; balance 1 is the share of a's people who took b."""
    return c / (a**s.balance * b ** (1 - s.balance) + s.shrink)


def _tversky(c: Array, a: Array, b: Array, s: _Alike) -> Array:
    return c / (c + s.balance * (a - c) + (1 - s.balance) * (b - c) + s.shrink)


SIMILARITIES: dict[str, Callable[[Array, Array, Array, _Alike], Array]] = {  # c in common, sizes a and b -> likeness
    "cosine": _cosine,
    "jaccard": _jaccard,
    "asymmetric": _asymmetric,
    "tversky": _tversky,
}

WEIGHTINGS: dict[str, Callable[[Array, int], Array]] = {  # events of each person, n_items -> weight of the person
    "none": lambda events, n_items: np.ones(len(events)),
    "idf": lambda events, n_items: np.log1p(n_items / np.maximum(events, 1.0)),
    "activity": lambda events, n_items: degree_power(events, -0.5),
}


def _likeness(config: ItemKnnConfig | UserKnnConfig) -> itemitem.Likeness:
    if config.similarity not in SIMILARITIES:
        raise unknown("similarity", config.similarity, SIMILARITIES)
    part = SIMILARITIES[config.similarity]
    return lambda c, a, b: part(c, a, b, config)


def _log(dataset: Dataset) -> sp.csr_array:
    if not len(dataset.events):
        raise BadData(f"{dataset.name!r} has no events; neighbours need at least one")
    return interaction_matrix(dataset)


class _ItemToItem:
    """Serving from sparse weights: row i is what item i says for the others."""

    rows: Rows
    weights: sp.csr_array  # items x items

    def retrieve(self, requests: Requests, n: int) -> Slates:
        return itemitem.best_by_weights(self.weights, requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        """What the item says most for, at most k."""
        return itemitem.similar_by_weights(self.weights, items, n, self.rows)

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), weights=itemitem.kept(self.weights))

    def restore(self: Self, state: State) -> Self:
        self.rows = Rows.restore(state.within("rows"))
        self.weights = itemitem.restored(state.within("weights"), self.rows.n_items)
        return self


class ItemKnn(_ItemToItem):
    """Each item listens to the k items most alike to it, as far as they are in the history."""

    near: sp.csr_array  # items x items: row j holds what item j listens to

    def __init__(self, config: ItemKnnConfig = ItemKnnConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> ItemKnn:
        likeness, x = _likeness(self.config), _log(dataset)
        if self.config.weighting not in WEIGHTINGS:
            raise unknown("weighting", self.config.weighting, WEIGHTINGS)
        self.rows = Rows.of(dataset)
        x = scaled(x, np.sqrt(WEIGHTINGS[self.config.weighting](np.diff(x.indptr), dataset.n_items)))
        sizes = np.asarray(x.power(2).sum(axis=0)).ravel()
        near = itemitem.nearest(x, self.config.k, lambda c, a, b: likeness(c, b, a), sizes)
        self.near, self.weights = near, itemitem.turned(near)
        return self

    def similar_items(self, items: Array, n: int) -> Slates:
        """The items that the item listens to, at most k."""
        return itemitem.similar_by_weights(self.near, items, n, self.rows)

    def restore(self, state: State) -> ItemKnn:
        super().restore(state)
        self.near = itemitem.turned(self.weights)
        return self


class Rp3Beta(_ItemToItem):
    """The history's items each send a walker over one of their people to another item of that person."""

    def __init__(self, config: Rp3BetaConfig = Rp3BetaConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Rp3Beta:
        x, c = _log(dataset), self.config
        self.rows = Rows.of(dataset)
        x = scaled(x, degree_power(np.diff(x.indptr), -c.alpha / 2))
        self.weights = itemitem.nearest(x, c.k, lambda p, a, b: p * a**-c.alpha * b**-c.beta, self.rows.popularity)
        return self


class UserKnn:
    """The k people whose events are most like the history vote for what they took."""

    def __init__(self, config: UserKnnConfig = UserKnnConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> UserKnn:
        _likeness(self.config)
        x = _log(dataset)
        if np.diff(x.indptr).max() > self.config.window:
            newest = dataset.log.last(self.config.window)
            x = history_matrix(newest, dataset.n_items)
        self.rows = Rows.of(dataset)
        self._keep(x)
        return self

    def _keep(self, people: sp.csr_array) -> None:
        self.people = people  # people x items
        self.takers = sp.csr_array(people.T)  # items x people
        self.sizes = np.diff(people.indptr).astype(np.float32)

    def retrieve(self, requests: Requests, n: int) -> Slates:
        likeness = _likeness(self.config)

        def score(part: Requests, x: sp.csr_array, out: Array) -> None:
            common = x @ self.takers
            mine = np.repeat(np.diff(x.indptr).astype(np.float32), np.diff(common.indptr))
            common.data = likeness(common.data, mine, self.sizes[common.indices]).astype(np.float32)
            nearest = itemitem.largest(common, self.config.k, part.user)  # nobody is a neighbour of themselves
            itemitem.add_rows(nearest, self.people, out)

        return itemitem.best_of_history(score, requests, n, self.rows, filler=True)

    def partial_fit(self, events: Events) -> UserKnn:
        """Take in new events of known people and items; a profile may outgrow the window until the next fit."""
        n_users, n_items = self.people.shape
        held = events.where((events.user >= 0) & (events.user < n_users) & (events.item >= 0) & (events.item < n_items))
        fresh = sp.coo_array((np.ones(len(held), np.float32), (held.user, held.item)), shape=self.people.shape)
        people = sp.csr_array(self.people + fresh.tocsr())
        people.data[:] = 1.0
        self._keep(people)
        events_of = self.rows.events + np.bincount(held.user, minlength=n_users).astype(np.int32)
        popularity = np.bincount(people.indices, minlength=n_items).astype(np.float32)
        self.rows = replace(self.rows, events=events_of, popularity=np.maximum(self.rows.popularity, popularity))
        return self

    def forget(self, users: Array) -> UserKnn:
        """Nothing of these people is kept, and nobody is served from what they took."""
        self._keep(without_rows(self.people, users))
        events = self.rows.events.copy()
        events[np.asarray(users)] = 0
        self.rows = replace(self.rows, events=events)
        return self

    def state(self) -> State:
        people = State(users={"profile": profiles(self.people)})
        return State.joined(rows=self.rows.state(), people=people)

    def restore(self, state: State) -> UserKnn:
        self.rows = Rows.restore(state.within("rows"))
        self._keep(from_profiles(state.within("people").users["profile"], self.rows.n_items))
        return self
