"""What one system showed to every judged request, and how good that was."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.errors import BadData, Mismatch, unknown
from interplay.evaluate.reads import note
from interplay.ops.stats import between, resampled
from interplay.types import Array, Ids, Ragged, Requests, Retriever, Slates

TABLE = 1 << 24  # bytes of the tables of flags that are held at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What one system showed to every judged request, and how good that was."""

    users: Mapping[str, Array]  # measure -> float64[n], one value per request
    who: Array  # int32[n]: the user of each request, -1 for a stranger
    cold: Array  # bool[n]: nothing was known of this user, neither at the fit nor in the request
    slates: Slates  # n lists, as long as the deepest measure looks
    truth: Ragged  # n rows of relevant items
    protocol: Mapping[str, Any]  # JSON-able: what was judged, and how
    seconds: float  # spent in retrieve

    def __len__(self) -> int:
        return len(self.who)

    def mean(self, group: str | None = None) -> dict[str, float]:
        """The mean over requests, of all or of the `warm` or `cold` ones."""
        rows = self._rows(group)
        if not len(rows):
            raise BadData(f"no request is {group}; groups: {self.groups()}")
        return {name: float(values[rows].mean()) for name, values in self.users.items()}

    def groups(self) -> dict[str, dict[str, float]]:
        """For `warm` and `cold` requests apart: how many there are, and their means."""
        return {
            group: {"requests": len(self._rows(group)), **(self.mean(group) if len(self._rows(group)) else {})}
            for group in ("warm", "cold")
        }

    def _rows(self, group: str | None) -> Array:
        if group is None:
            return np.arange(len(self))
        if group not in ("warm", "cold"):
            raise unknown("group", group, ("warm", "cold"))
        return np.flatnonzero(self.cold == (group == "cold"))

    def intervals(self, *, seed: int = 0, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """The bootstrap interval of each mean, over 10,000 resamples of requests."""
        means = resampled(np.column_stack(list(self.users.values())), seed=seed)
        told = {m: between(means[:, j], 0.0, len(self), level) for j, m in enumerate(self.users)}
        return {m: (e.lo, e.hi) for m, e in told.items()}

    def noted(self, retriever: Retriever, part: str, log: Path | None) -> Judged:
        """This judgement with the read of test part `part` noted, and its number in the protocol."""
        read = note(retriever, part, tuple(self.users), data=self.protocol["fingerprint"], log=log)
        return replace(self, protocol={**self.protocol, "test_reads": read.nth})

    def table(self, ids: Ids | None = None) -> pl.DataFrame:
        """One row per request: user (its external id where `ids` are given), cold, and every measure."""
        who = self.who.tolist() if ids is None else [None if u < 0 else str(ids[u]) for u in self.who]
        return pl.DataFrame({"user": who, "cold": self.cold, **self.users})


def shown(retriever: Retriever, requests: Requests, n: int, *, block: int) -> tuple[Slates, float]:
    """The lists of n places (padded) for every request, and the seconds that retrieve took.

    Raises Mismatch for a list that shows what the request withholds. Warns of NaN scores.
    """
    out, system, spent = Slates.empty(len(requests), n), type(retriever).__name__, 0.0
    for lo, part in requests.blocks(block):
        begun = time.perf_counter()
        slates = retriever.retrieve(part, n)
        spent += time.perf_counter() - begun
        if len(slates) != len(part):
            raise Mismatch(f"{system} gave {len(slates)} lists for {len(part)} requests; expected one each")
        width = min(n, slates.items.shape[1])
        out.items[lo : lo + len(part), :width] = slates.items[:, :width]
        out.scores[lo : lo + len(part), :width] = slates.scores[:, :width]
    if np.isnan(out.scores[out.items >= 0]).any():
        warnings.warn(f"{system} shows items with NaN scores, where it put them", RuntimeWarning, stacklevel=2)
    if requests.rules.withhold_seen:
        wrong = _seen_again(out, requests.history)
        if wrong:
            raise Mismatch(
                f"{system} shows {wrong} items that the histories hold, though the rules withhold them; "
                "obey requests.rules before the cut (ops.topk.best does)"
            )
    return out, spent


def _seen_again(slates: Slates, history: Ragged) -> int:
    """How many shown items stand in the same request's history."""
    width, wrong = int(max(slates.items.max(initial=0), history["item"].max(initial=0))) + 1, 0
    step = max(1, TABLE // width)
    for lo in range(0, len(slates), step):
        items, known = slates.items[lo : lo + step], history.slice(lo, min(lo + step, len(slates)))
        shown = np.zeros((len(items), width + 1), bool)
        shown[np.arange(len(items))[:, None], items] = True  # -1 falls into the last column
        wrong += int(shown[known.owner, known["item"]].sum())
    return wrong


def as_rows(slates: Slates) -> Ragged:
    """The lists as rows of items, padding (-1) included."""
    n, k = slates.items.shape
    return Ragged(offsets=np.arange(n + 1) * k, columns={"item": slates.items.ravel()})


def inside(rows: Ragged, others: Ragged) -> Array:
    """bool[]: the elements of `rows` whose item stands in the same row of `others`."""
    a, b = rows["item"].astype(np.int64), others["item"].astype(np.int64)
    width = max(int(a.max(initial=0)), int(b.max(initial=0))) + 1
    held = np.unique((others.owner * width + b)[b >= 0])
    asked = rows.owner * width + a
    if not len(held):
        return np.zeros(len(a), bool)
    return (held[np.minimum(np.searchsorted(held, asked), len(held) - 1)] == asked) & (a >= 0)
