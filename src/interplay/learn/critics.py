"""What is learnt from when pairs are followed over weeks: transitions of a log, adjacent states, and twin critics.

A step of a pair's decision process is an interaction; the next one may come weeks later, or never. So that a sample
need not wait for it, its next state may be taken from nearby (`APPROXIMATIONS`):

    wait      the pair's own next interaction, discounted by the real days between; over after `window` days without
              one, left out where the log ends before that is known
    request   the pair as it stands at the person's next request, whether or not the maker is shown there
    after     the pair just after the interaction, its counters moved on

The latter two discount by how soon, on average, pairs that stand alike meet again, 0 for those that do not within the
window (`again`): learnt from the older part of the log, where that is known. This stands in for the wait, and its error
is the approximation's bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.types import Array

SEVERAL = 3  # makers of a next request that may be the next action
TRUST = 20.0  # interactions that count as much as those of one's own kind, for how soon pairs meet again


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """n interactions, oldest first, with what came before and after each."""

    x: Array  # float32[n, width]: the pair before
    reward: Array  # float32[n, tasks]
    other: Array  # float32[n, others, width]: the person with makers who were not shown
    time: Array  # int64[n]
    end: int  # where the log ends
    window: float
    after: Array  # int64[n]: the pair's next interaction, if it comes within the window, else -1
    wait: Array  # float32[n]: days until then
    censored: Array  # bool[n]: the log ends before it is known whether there is one
    soon: Array  # float32[n, width]: the pair at the person's next request
    delay: Array  # float32[n]: days until then; NaN where there is none
    post: Array  # float32[n, width]: the pair just after
    again: Array  # float32[n]: how much a pair that stands so is discounted until it meets again
    page: Array  # int64[n]: which request it belongs to
    later: Array  # int64[pages]: the same person's next request, -1
    first: Array  # int64[pages, SEVERAL]: some of its interactions

    def __len__(self) -> int:
        return len(self.x)

    def sums(self, reward: Array, discount: float) -> Array:
        """float32[n, heads]: each interaction's reward and those of the pair after it, discounted by the days."""
        out = np.array(reward, np.float64)
        turn = np.zeros(len(out), np.int64)  # interactions that still follow
        for i in np.flatnonzero(self.after >= 0)[::-1]:  # later rows stand further down, so they are done already
            turn[i] = turn[self.after[i]] + 1
        for left in range(1, int(turn.max(initial=0)) + 1):
            rows = np.flatnonzero(turn == left)
            out[rows] += (discount ** self.wait[rows].astype(np.float64))[:, None] * out[self.after[rows]]
        return out.astype(np.float32)

    def next_pages(self) -> tuple[Array, Array]:
        """(float32[n, SEVERAL, width], bool[n]): what the person was shown at the next request, and whether."""
        later = self.later[self.page]
        return self.x[self.first[np.maximum(later, 0)]], later >= 0


def transitions(
    store: PairStates, met: Interactions, *, refresh: float, others: int, window: float, discount: float, seed: int
) -> tuple[Moves, PairStates]:
    """The transitions of a log that begins where `store` stands, and the store at its end.

    Features are computed anew every `refresh` hours, from what happened before: nobody's own outcome is among them.
    """
    rng = np.random.default_rng([seed, 31])
    n, width, t = len(met), store.width, store.n_tasks
    x, post, soon = (np.zeros((n, width), np.float32) for _ in range(3))
    other = np.zeros((n, others, width), np.float32)
    delay, stand = np.full(n, np.nan, np.float32), np.zeros(n, np.int64)
    block = (met.time - (met.time[0] if n else 0)) // int(refresh * DAY / 24)
    starts = np.flatnonzero(np.diff(block, prepend=-1)) if n else np.zeros(0, np.int64)
    waiting = np.zeros(0, np.int64)  # interactions whose person has not come back yet
    for lo, hi in zip(starts, [*starts[1:], n], strict=True):
        rows = np.arange(lo, hi)
        now = met.take(rows)
        x[rows] = store.features(now.user, now.maker, now.time)
        known = np.flatnonzero(store.maker[:, 0] > 0) if len(store.maker) else np.zeros(0, np.int64)
        pool = known if len(known) else np.unique(now.maker)
        drawn = pool[rng.integers(0, len(pool), (len(rows), others))]
        other[rows] = store.features(
            np.repeat(now.user, others), drawn.ravel(), np.repeat(now.time, others)
        ).reshape(len(rows), others, width)  # fmt: skip
        back, first = np.unique(now.user, return_index=True)
        spot = np.minimum(np.searchsorted(back, met.user[waiting]), len(back) - 1)
        here = back[spot] == met.user[waiting]
        come, at = waiting[here], now.time[first][spot[here]]
        soon[come] = store.features(met.user[come], met.maker[come], at)
        delay[come] = (at - met.time[come]) / DAY
        store = store.update(now)
        post[rows] = store.features(now.user, now.maker, now.time + 1)
        stand[rows] = _standing(store, now)
        waiting = np.concatenate([waiting[~here], rows])
    after, wait = _next(met, window)
    end = int(met.time[-1]) if n else 0
    censored = (after < 0) & (met.time > end - int(window * DAY))
    old = met.time <= end - int(window * DAY)
    page, later, first_of = _pages(met.user, block)
    moves = Moves(
        x=x, reward=met.outcome, other=other, time=met.time, end=end, window=window, after=after, wait=wait,
        censored=censored, soon=soon, delay=delay, post=post, page=page, later=later, first=first_of,
        again=_again(stand, after, wait, old if old.any() else ~censored, discount, 5 * (t + 1)),
    )  # fmt: skip
    return moves, store


def _standing(store: PairStates, met: Interactions) -> Array:
    """int64[n]: a coarse class of where each pair stands: the furthest it came, and how often it met."""
    row, _ = store.find(met.user, met.maker)
    counts = store.pair[row, 3 : 3 + store.n_tasks] > 0
    depth = np.where(counts.any(axis=1), store.n_tasks - counts[:, ::-1].argmax(axis=1), 0)
    often = np.minimum(np.log2(np.maximum(store.pair[row, 0], 1)).astype(np.int64), 4)
    return depth * 5 + often


def _again(stand: Array, after: Array, wait: Array, known: Array, discount: float, kinds: int) -> Array:
    worth = np.where(after >= 0, discount ** wait.astype(np.float64), 0.0)
    overall = float(worth[known].mean()) if known.any() else 0.0
    total = np.bincount(stand[known], worth[known], kinds) + TRUST * overall
    return (total / (np.bincount(stand[known], minlength=kinds) + TRUST))[stand].astype(np.float32)


def _next(met: Interactions, window: float) -> tuple[Array, Array]:
    """(int64[n], float32[n]): each pair's next interaction, if it comes within the window, and the days until it."""
    order = np.lexsort((met.time, met.key))
    key, time = met.key[order], met.time[order]
    after, wait = np.full(len(order), -1, np.int64), np.zeros(len(order), np.float32)
    days = np.diff(time) / DAY
    same = (np.diff(key) == 0) & (days <= window)
    here = np.flatnonzero(same)
    after[order[here]], wait[order[here]] = order[here + 1], days[here]
    return after, wait


def _pages(user: Array, block: Array) -> tuple[Array, Array, Array]:
    """(page of each interaction, each page's next one of the same person, some interactions of each page)."""
    order = np.lexsort((block, user))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(user[order]) != 0) | (np.diff(block[order]) != 0)
    number = np.cumsum(new) - 1
    page = np.empty(len(order), np.int64)
    page[order] = number
    starts = np.flatnonzero(new)
    whose = user[order][starts]
    later = np.full(len(starts), -1, np.int64)
    later[:-1] = np.where(whose[1:] == whose[:-1], np.arange(1, len(starts)), -1)
    size = np.diff(np.append(starts, len(order)))
    first = order[starts[:, None] + np.minimum(np.arange(SEVERAL), size[:, None] - 1)]
    return page, later, first


# --------------------------------------------------------------------------------------------------------------------
# Where the next state is taken from: (next states, discounts, rows that have one, mean days of waiting)

Approximation = Callable[[Moves, float], tuple[Array, Array, Array, float]]


def _wait(moves: Moves, discount: float) -> tuple[Array, Array, Array, float]:
    there = moves.after >= 0
    factor = np.where(there, discount ** moves.wait.astype(np.float64), 0.0).astype(np.float32)
    kept = ~moves.censored
    waited = np.where(there, moves.wait, moves.window)[kept]
    return moves.x[np.maximum(moves.after, 0)], factor, kept, float(waited.mean()) if kept.any() else 0.0


def _request(moves: Moves, discount: float) -> tuple[Array, Array, Array, float]:
    kept = ~np.isnan(moves.delay)
    return moves.soon, moves.again, kept, float(moves.delay[kept].mean()) if kept.any() else 0.0


def _after(moves: Moves, discount: float) -> tuple[Array, Array, Array, float]:
    return moves.post, moves.again, np.ones(len(moves), bool), 0.0


APPROXIMATIONS: dict[str, Approximation] = {"wait": _wait, "request": _request, "after": _after}


# --------------------------------------------------------------------------------------------------------------------
# The network


class Critic(nn.Module):
    """A shared bottom and one head for each task; with `progressive` a head sees the one before it, which it does not
    teach."""

    def __init__(self, width: int, hidden: int, heads: int, *, progressive: bool) -> None:
        super().__init__()
        half = hidden // 2
        self.bottom = nn.Sequential(
            nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(),
        )  # fmt: skip
        sees = [hidden + half * (progressive and h > 0) for h in range(heads)]
        self.towers = nn.ModuleList([nn.Sequential(nn.Linear(s, half), nn.ReLU()) for s in sees])
        self.heads = nn.ModuleList([nn.Linear(half, 1) for _ in range(heads)])
        self.progressive = progressive

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.bottom(x)
        out, before = [], None
        for tower, head in zip(self.towers, self.heads, strict=True):
            seen = shared if before is None or not self.progressive else torch.cat([shared, before.detach()], dim=-1)
            before = tower(seen)
            out.append(head(before))
        return torch.cat(out, dim=-1), shared


class Critics(nn.Module):
    """Twin critics, and auxiliary heads on the first one's bottom that say what happens at once."""

    def __init__(self, width: int, hidden: int, heads: int, tasks: int, *, progressive: bool) -> None:
        super().__init__()
        self.twins = nn.ModuleList([Critic(width, hidden, heads, progressive=progressive) for _ in range(2)])
        self.at_once = nn.Linear(hidden, tasks)

    def said(self, x: Tensor) -> Tensor:
        """The auxiliary logits alone."""
        twin: Any = self.twins[0]
        return self.at_once(twin.bottom(x))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """([q of either twin, [..., heads]], logits [..., tasks])"""
        first, shared = self.twins[0](x)
        second, _ = self.twins[1](x)
        return [first, second], self.at_once(shared)
