"""States that walk through choices: who was shown what before, how a click moves a state, what it makes of a slate.

Choices are cut into stretches of one person, each with the clicks before it, so that the state a stretch is learnt from
is the state that a request would have had. Everything else is a function of drawn values (learn/variational.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interplay.data.pages import Choices
from interplay.types import Array, Ragged

NOTHING, NO_PAGE = -1, -2


@dataclass(frozen=True)
class Batch:
    """b stretches of pages: clicks before them, slates of t pages, and what was chosen."""

    user: Tensor  # int64[b]: whose row it is, negative for a stranger's
    items: Tensor  # int64[d]: the distinct items of the batch
    past: Tensor  # int64[b, w]: clicks before, oldest first, as places in `items`, -1 pads at the front
    slate: Tensor  # int64[b, t, s]: places in `items`, -1 pads
    chosen: Tensor  # int64[b, t]: place in the slate, NOTHING, or NO_PAGE


class Stretches:
    """Rows of at most `stretch` choices of one person in order; a stranger's page is a row of its own."""

    def __init__(self, choices: Choices, *, stretch: int, window: int) -> None:
        self.choices, self.window = choices, window
        order = np.argsort(choices.at, kind="stable")
        self.order = order[np.argsort(choices.user[order], kind="stable")]
        self.rank = np.argsort(self.order, kind="stable")
        user = choices.user[self.order]
        fresh = np.ones(len(user), bool)
        fresh[1:] = (user[1:] != user[:-1]) | (user[1:] < 0)
        first = np.maximum.accumulate(np.where(fresh, np.arange(len(user)), 0))
        fresh |= (np.arange(len(user)) - first) % stretch == 0
        self.rows = Ragged.grouped(np.cumsum(fresh) - 1, int(fresh.sum()), at=self.order, first=first)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int, generator: np.random.Generator, *, drawn: int = 0, n_items: int = 0) -> list[Batch]:
        """All rows in random order. With `drawn`, so many items of `n_items` are drawn beside what was chosen."""
        order = generator.permutation(len(self))
        return [self.batch(order[lo : lo + size], generator, drawn, n_items) for lo in range(0, len(order), size)]

    def batch(self, which: Array, generator: np.random.Generator, drawn: int = 0, n_items: int = 0) -> Batch:
        """The given rows."""
        rows, choices = self.rows.take(which), self.choices
        n, long, wide = len(rows), int(rows.lengths.max(initial=0)), choices.slate.shape[1]
        place = np.arange(len(rows["at"])) - np.repeat(rows.offsets[:-1], rows.lengths)
        slate, chosen = np.full((n, long, wide), -1, np.int64), np.full((n, long), NO_PAGE, np.int64)
        slate[rows.owner, place], chosen[rows.owner, place] = choices.slate[rows["at"]], choices.chosen[rows["at"]]
        if drawn:
            beside = generator.integers(0, n_items, (n, long, drawn))
            beside[beside == slate[:, :, :1]] = -1  # what was chosen stands there once
            slate = np.concatenate([slate, np.where(slate[:, :, :1] >= 0, beside, -1)], axis=2)
        past = self._before(rows)
        items, at = np.unique(np.concatenate([past.ravel(), slate.ravel()]), return_inverse=True)
        at = at - (1 if len(items) and items[0] < 0 else 0)
        user = choices.user[rows["at"][rows.offsets[:-1]]].astype(np.int64)
        past, slate = at[: past.size].reshape(past.shape), at[past.size :].reshape(slate.shape)
        columns = user, items[items >= 0], past, slate, chosen
        return Batch(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns))

    def _before(self, rows: Ragged) -> Array:
        """int64[n, w]: the last clicks of the same person before each row, padded at the front."""
        choices, start = self.choices, rows.offsets[:-1]
        back = self.rank[rows["at"][start]][:, None] - np.arange(4 * self.window, 0, -1)  # pages; not all were clicked
        at = self.order[np.maximum(back, 0)]
        hit = (back >= rows["first"][start][:, None]) & (choices.chosen[at] >= 0)
        item = np.where(hit, choices.slate[at, np.maximum(choices.chosen[at], 0)], -1)
        front = np.argsort(hit, axis=1, kind="stable")  # clicks move to the end, in order
        item = np.take_along_axis(item, front, 1)[:, -self.window :].astype(np.int64)
        return item[:, item.shape[1] - int((item >= 0).sum(axis=1).max(initial=0)) :]


# --------------------------------------------------------------------------------------------------------------------
# How a state moves and what it holds of a slate


def moved(values: dict[str, Tensor], user: str, h: Tensor, v: Tensor) -> Tensor:
    """The state after a click on an item with vector v."""
    if user == "static":
        return h
    if user == "linear":
        keep = values["keep"]
        return keep * h + (1 - keep) * v
    r = (v @ values["ir"].T + h @ values["hr"].T).sigmoid()
    u = (v @ values["iu"].T + h @ values["hu"].T).sigmoid()
    n = (v @ values["in"].T + r * (h @ values["hn"].T)).tanh()
    return (1 - u) * n + u * h


def seen_as(values: dict[str, Tensor], user: str, h: Tensor) -> Tensor:
    """What the state looks for, in the space of items."""
    return h @ values["out"].T if user == "gru" else h


def scored(z: Tensor, v: Tensor, bias: Tensor, score: str) -> Tensor:
    """float[...]: how much each item (v[..., s, dim]) is wanted in state z[..., dim]."""
    if score == "dot":
        return ((z.unsqueeze(-2) * v).sum(-1) + bias).clamp(-100, 20)
    return -((z.unsqueeze(-2) - v) ** 2).sum(-1).add(1e-6).sqrt().clamp(max=100)


def started(values: dict[str, Tensor], start: str, vectors: Tensor, known: Tensor, user: Tensor) -> Tensor:
    """float[n, dim]: the state before anything that is learnt from.

    prior   the same place for everybody
    own     with what was learnt of each person added (`user` int64[n]); strangers and newcomers have none
    past    the mean of the clicks in `vectors` [n, w, dim], oldest first, of which only those flagged in `known`
            bool[n, w] are looked at: the r-th of them has weight 1 / r^4; without any, the same place for everybody
    """
    first = values["start"].expand(len(vectors), -1)
    if start == "own":
        people = values["people"]
        met = (user >= 0) & (user < len(people))
        return first + torch.where(met[:, None], people[user.clamp(0, len(people) - 1)], 0.0)
    if start == "prior" or not vectors.shape[1]:
        return first
    weight = known / known.cumsum(dim=1).clamp(min=1) ** 4.0
    total = weight.sum(dim=1, keepdim=True)
    own = (weight.unsqueeze(-1) * vectors).sum(dim=1) / total.clamp(min=1e-9)
    return torch.where(total > 0, own, first)


@dataclass(frozen=True)
class Walk:
    """How states move, what they start from, how they score, and which lengths of slates were met (int64[], or None
    where choosing nothing was never seen)."""

    user: str  # gru, linear or static
    score: str  # distance or dot
    start: str  # prior, past or own
    lengths: Tensor | None

    def state(self, values: dict[str, Tensor], vectors: Tensor, past: Tensor, user: Tensor) -> Tensor:
        """float[n, dim]: the state of `user` (int64[n]) after the clicks in `past` (int64[n, w], places in `vectors`,
        -1 pads)."""
        known = past >= 0
        clicked = vectors[past.clamp(min=0)] if len(vectors) else torch.zeros(*past.shape, vectors.shape[1])
        h = started(values, self.start, clicked, known, user)
        for w in range(past.shape[1]):
            h = torch.where(known[:, w, None], moved(values, self.user, h, clicked[:, w]), h)
        return h

    def told(self, values: dict[str, Tensor], batch: Batch) -> Tensor:
        """float[b, t]: log-likelihood of each choice, 0 where there is no page."""
        vectors, bias = values["vectors"][batch.items], values["bias"][batch.items]
        h = self.state(values, vectors, batch.past, batch.user)
        states = []
        for t in range(batch.chosen.shape[1]):
            states.append(seen_as(values, self.user, h))
            chosen = batch.chosen[:, t]
            item = batch.slate[:, t].gather(1, chosen.clamp(min=0)[:, None])[:, 0]
            h = torch.where((chosen >= 0)[:, None], moved(values, self.user, h, vectors[item.clamp(min=0)]), h)
        z, held = torch.stack(states, dim=1), batch.slate >= 0
        at = batch.slate.clamp(min=0)
        logits = self.log_choice(values, scored(z, vectors[at], bias[at], self.score), held)
        each = logits.gather(2, (batch.chosen + 1).clamp(min=0)[..., None])[..., 0]
        return torch.where(batch.chosen > NO_PAGE, each, 0.0)

    def log_choice(self, values: dict[str, Tensor], scores: Tensor, held: Tensor) -> Tensor:
        """float[..., 1 + s]: log of the chance of nothing and of each place of a slate."""
        if "place" in values:
            place = torch.arange(scores.shape[-1]).clamp(max=len(values["place"]) - 1)
            scores = scores + values["place"][place]
        scores = scores.masked_fill(~held, -torch.inf)
        if self.lengths is None:  # only what was chosen was learnt from: nothing is no choice
            nothing = torch.full((*scores.shape[:-1], 1), -torch.inf)
        else:
            nothing = values["nothing"][self._nearest(held.sum(-1))].unsqueeze(-1)
        both = torch.cat([nothing, scores], dim=-1)
        empty = ~held.any(dim=-1, keepdim=True)  # nothing to choose from: nothing is certain
        first = torch.zeros_like(both).masked_fill(torch.arange(both.shape[-1]) > 0, -torch.inf)
        return torch.where(empty, first, both.masked_fill(empty, 0.0).log_softmax(dim=-1))

    def _nearest(self, length: Tensor) -> Tensor:
        """int64[...]: for every length of a slate the nearest that was met while learning."""
        assert self.lengths is not None
        return self.lengths[(length.unsqueeze(-1) - self.lengths).abs().argmin(dim=-1)]
