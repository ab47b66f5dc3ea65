"""The policy that made the market's log: popularity, softened and stirred, with every propensity exact.

A page is drawn without replacement from a mixture that depends on the person:

    q(i) = a P(i) + b sum_c share(c) P(i | kind c) + d P(i | facet) + e [i in mind] + f / n_available

P is a softmax of (editor's guess + log(1 + clicks so far)) / temperature over what is on sale that day, P(i | facet)
the same inside a facet; share is what the person has clicked of each kind; the facet is what was asked for or, on the
feed, one of those of the last thing clicked. Drawing with replacement and dropping repeats
is drawing without replacement, so the chance of an item at its slot, given the slots above it, is q(i) / (1 - sum of q
above): this is the logged propensity. The old search box read its own queries perfectly: it knew the facet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from interplay.types import Array
from interplay.worlds.people import Visits
from interplay.worlds.phrases import Facets
from interplay.worlds.truth import KIND_NAMES, draws, keyed, normal

POLICY = "popular-soft-1"
TEMPERATURE = 1.6
FEED = np.array([0.2, 0.3, 0.38, 0.0, 0.12])  # everything, by kind, one facet, the very item, at random
SEARCH = np.array([0.04, 0.10, 0.78, 0.0, 0.08])
BY_TITLE = np.array([0.06, 0.40, 0.0, 0.46, 0.08])


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """What the shop shows: items int32[n, k], propensity float64[n, k], explored bool[n, k]."""

    items: Array
    propensity: Array
    explored: Array


class Shop:
    """The old policy with what it has counted so far."""

    def __init__(self, items: pl.DataFrame, facets: Facets, n_people: int, seed: int) -> None:
        self.facets, self.seed, self.n_items = facets, seed, len(items)
        self.guess = 0.5 * normal(keyed(seed, "editor", np.arange(len(items))), 0, 1)[:, 0]
        self.added = items["added"].to_numpy()
        self.kind = facets.of[:, 0].astype(np.int64)
        self.clicks = np.zeros(len(items))
        self.shares = np.full((n_people, len(KIND_NAMES)), 0.4)
        self.last = np.full(n_people, -1, np.int64)  # a facet of what each person clicked last
        # the facets' members and then everything: bucket len(facets.names) holds all items
        self.members = np.concatenate([facets.members, np.arange(len(items))])
        self.offsets = np.concatenate([facets.offsets, [len(facets.members) + len(items)]])

    def open(self, midnight: int) -> None:
        """Fix the day's weights from the clicks so far and from what is on sale at midnight."""
        on_sale = self.added <= midnight
        self.weight = np.where(on_sale, np.exp((self.guess + np.log1p(self.clicks)) / TEMPERATURE), 0.0)
        self.cumulated = np.concatenate([[0.0], np.cumsum(self.weight[self.members])])
        self.total = self.cumulated[self.offsets[1:]] - self.cumulated[self.offsets[:-1]]  # of each bucket
        self.available = np.flatnonzero(on_sale)
        self.candidate_hash = hashlib.blake2b(np.packbits(on_sale).tobytes(), digest_size=8).hexdigest()

    def count(self, user: Array, item: Array) -> None:
        """Learn from clicks; weights change when the shop opens next."""
        np.add.at(self.clicks, item, 1.0)
        np.add.at(self.shares, (user, self.kind[item]), 1.0)
        which = (keyed(self.seed, "facet", user, item) % np.uint64(self.facets.of.shape[1] - 1)).astype(np.int64) + 1
        self.last[user] = self.facets.of[item, which]

    def page(self, visits: Visits, k: int) -> Page:
        """k items for each visitor, fewer only when fewer are on sale."""
        k = min(k, len(self.available))
        mix, share = self._mix(visits)
        n, items, explored = len(visits), np.zeros((len(visits), 0), np.int64), np.zeros((len(visits), 0), bool)
        unfinished, first = np.arange(n), 0
        out, tried = np.full((n, k), -1, np.int64), np.zeros((n, k), bool)
        while len(unfinished):
            more, random = self._draws(visits.take(unfinished), mix[unfinished], share[unfinished], first, 3 * k)
            items, explored = np.concatenate([items, more], axis=1), np.concatenate([explored, random], axis=1)
            place = _order_of_first(items)
            row, column = np.nonzero(place < k)
            out[unfinished[row], place[row, column]] = items[row, column]
            tried[unfinished[row], place[row, column]] = explored[row, column]
            short = out[unfinished, k - 1] < 0
            unfinished, items, explored, first = unfinished[short], items[short], explored[short], first + 3 * k
        q = self._chances(visits, out, mix, share)
        above = np.cumsum(q, axis=1) - q
        return Page(items=out.astype(np.int32), propensity=q / np.maximum(1.0 - above, 1e-12), explored=tried)

    def chances(self, visits: Visits, items: Array) -> Array:
        """float64[n, k]: q of each item for each visitor, as it would stand in the first slot."""
        return self._chances(visits, items, *self._mix(visits))

    def _chances(self, visits: Visits, items: Array, mix: Array, share: Array) -> Array:
        weight, kind = self.weight[items], self.kind[items]
        facet = self._facet(visits)
        inside = (self.facets.of[items] == facet[:, None, None]).any(axis=2) & (facet >= 0)[:, None]
        of_facet = np.where(inside, weight / np.maximum(self.total[facet], 1e-300)[:, None], 0.0)
        of_kind = np.take_along_axis(share, kind, axis=1) * weight / np.maximum(self.total[kind], 1e-300)
        everything, in_mind = weight / self.total[-1], (items == visits.target[:, None]).astype(float)
        random = (weight > 0) / len(self.available)
        parts = (everything, of_kind, of_facet, in_mind, random)
        return sum(mix[:, j, None] * part for j, part in enumerate(parts))

    def _facet(self, visits: Visits) -> Array:
        """int64[n]: what is asked for; on the feed, a facet of the last thing clicked; -1 for neither."""
        return np.where(visits.target >= 0, visits.asked, self.last[visits.user])

    def _mix(self, visits: Visits) -> tuple[Array, Array]:
        """Weights of the five parts for each visitor, and of the kinds; empty parts fall to the random one."""
        mix = np.where((visits.target >= 0)[:, None], np.where((visits.asked >= 0)[:, None], SEARCH, BY_TITLE), FEED)
        share = self.shares[visits.user] * (self.total[: len(KIND_NAMES)] > 0)
        share /= share.sum(axis=1, keepdims=True)
        facet = self._facet(visits)
        lost = np.where((facet < 0) | (self.total[facet] <= 0), mix[:, 2], 0.0)
        gone = np.where((visits.target >= 0) & (self.weight[visits.target] <= 0), mix[:, 3], 0.0)
        mix[:, 2:] += np.column_stack([-lost, -gone, lost + gone])
        return mix, share

    def _draws(self, visits: Visits, mix: Array, share: Array, first: int, m: int) -> tuple[Array, Array]:
        """m draws with replacement for each visitor: items int64[n, m] and whether the random part drew them."""
        stream = keyed(self.seed, "shop", visits.session, visits.page)
        draw = draws(stream, 3 * first, 3 * m)
        part = (np.cumsum(mix, axis=1)[:, None, :-1] < draw[:, :m, None]).sum(axis=2)
        kind = (np.cumsum(share, axis=1)[:, None, :-1] < draw[:, m : 2 * m, None]).sum(axis=2)
        u = draw[:, 2 * m :]
        bucket = np.choose(part, [len(self.total) - 1, kind, np.maximum(self._facet(visits), 0)[:, None], 0, 0])
        mark = self.cumulated[self.offsets[bucket]] + u * self.total[bucket]
        at = np.clip(
            np.searchsorted(self.cumulated, mark, "right") - 1, self.offsets[bucket], self.offsets[bucket + 1] - 1
        )
        picked = np.where(part == 3, visits.target[:, None], self.members[at])
        return np.where(part == 4, self.available[(u * len(self.available)).astype(np.int64)], picked), part == 4


def _order_of_first(items: Array) -> Array:
    """int64[n, m]: the how-manieth distinct item each first occurrence is; repeats get m."""
    n, m = items.shape
    order = np.argsort(items, axis=1, kind="stable")
    in_order = np.take_along_axis(items, order, axis=1)
    new = np.ones((n, m), bool)
    new[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    first = np.zeros((n, m), bool)
    np.put_along_axis(first, order, new, axis=1)
    return np.where(first, np.cumsum(first, axis=1) - 1, m)
