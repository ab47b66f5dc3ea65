"""Items that stand for "not this one": drawn by vectorised rejection, never by a loop over users.

A set of (user, item) pairs is a sorted array of keys `user * n_items + item`; looking a batch up is one search.
"""

from __future__ import annotations

import numpy as np

from interplay.types import Array, Dataset

TRIES = 50  # a user who has nearly everything keeps what was drawn last


def taken(dataset: Dataset) -> Array:
    """int64[m], sorted, distinct: the keys of all (user, item) pairs in the log."""
    events = dataset.events
    return np.unique(events.user.astype(np.int64) * dataset.n_items + events.item)


def held(keys: Array, users: Array, items: Array, n_items: int) -> Array:
    """bool, shaped as `items`: is the pair among the keys? `users` [n], `items` [n] or [n, m].

    >>> held(np.array([1, 5]), np.array([0, 1]), np.array([[0, 1], [2, 0]]), 3).tolist()
    [[False, True], [True, False]]
    """
    users = np.asarray(users, np.int64).reshape(-1, *[1] * (np.ndim(items) - 1))
    wanted = users * n_items + items
    if not len(keys):
        return np.zeros(wanted.shape, bool)
    return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted


def uniform(
    users: Array, n_items: int, generator: np.random.Generator, *, keys: Array, each: int | None = None
) -> Array:
    """int64[n], or [n, each]: items drawn evenly from those outside each user's keys."""
    shape = (len(users),) if each is None else (len(users), each)
    return _rejected(users, lambda size: generator.integers(0, n_items, size), shape, n_items, keys)


class Popularity:
    """Draws items with chance proportional to count ** power; power 0 is even, 1 is as they occur.

    `log_q` float32[n_items] is the log of those chances (-inf where the count is 0 and the power is not).
    """

    def __init__(self, counts: Array, power: float = 0.75) -> None:
        weight = np.asarray(counts, np.float64) ** power
        if not weight.sum() > 0:
            weight = np.ones_like(weight)
        self.steps = np.cumsum(weight / weight.sum())
        with np.errstate(divide="ignore"):
            self.log_q = np.log(weight / weight.sum()).astype(np.float32)

    def draw(self, size: int | tuple[int, ...], generator: np.random.Generator) -> Array:
        """int64[size], with repetition."""
        at = np.searchsorted(self.steps, generator.random(size) * self.steps[-1], side="right")
        return np.minimum(at, len(self.steps) - 1)

    def outside(self, users: Array, generator: np.random.Generator, *, keys: Array, each: int | None = None) -> Array:
        """int64[n], or [n, each]: draws from those outside each user's keys."""
        shape = (len(users),) if each is None else (len(users), each)
        return _rejected(users, lambda size: self.draw(size, generator), shape, len(self.steps), keys)


def _rejected(users: Array, draw, shape: tuple[int, ...], n_items: int, keys: Array) -> Array:  # type: ignore[no-untyped-def]
    owners = np.repeat(np.asarray(users, np.int64), shape[1] if len(shape) == 2 else 1)
    drawn = draw(len(owners)).astype(np.int64)
    again = np.arange(len(owners))
    for _ in range(TRIES):
        again = again[held(keys, owners[again], drawn[again], n_items)]
        if not len(again):
            break
        drawn[again] = draw(len(again))
    return drawn.reshape(shape)


def clashes(users: Array, items: Array, n_items: int, *, keys: Array) -> Array:
    """bool[n, n]: True where item j, as a negative for row i inside the batch, is one that user i has taken."""
    return held(keys, users, np.broadcast_to(np.asarray(items, np.int64), (len(users), len(items))), n_items)
