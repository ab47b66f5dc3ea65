"""Predictions against labels: AUC, log loss, AUC per group, calibration, each with an interval over groups.

Rows of one group (a user, a request) rise and fall together, so it is groups that are drawn again for the intervals,
and for the paired differences of two systems on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from interplay import metrics as measures
from interplay.errors import BadData, BadSetting, unknown
from interplay.types import Array

EDGE = 1e-7  # probabilities are kept so far from 0 and 1 when their log is taken, as the open benchmark does
NONE = float("nan")  # the labels have no answer: one class only, no groups, no outcomes of 0 or 1
WORK = 20_000_000  # rows that all resamples of an interval may hold together


MEASURES: Mapping[str, Callable[[Array, Array, Array | None], float]] = {
    "auc": lambda label, p, group: measures.auc(label, p),
    "logloss": lambda label, p, group: measures.logloss(label, np.clip(p, EDGE, 1 - EDGE)),
    "gauc": lambda label, p, group: NONE if group is None else measures.gauc(group, label, p, weights="impressions"),
    "ece": lambda label, p, group: measures.ece(label, p),
    "brier": lambda label, p, group: measures.brier(label, p),
}


def parse(names: str | Sequence[str]) -> dict[str, tuple[str, str]]:
    """`"auc,logloss:like"` or a list of such names -> name, its measure and its task ("" for every task).

    >>> parse("auc,logloss:like")
    {'auc': ('auc', ''), 'logloss:like': ('logloss', 'like')}
    """
    out = {}
    for name in names.split(",") if isinstance(names, str) else names:
        base, _, task = name.strip().partition(":")
        if base.lower() not in MEASURES:
            raise unknown("metric of labelled examples", base, MEASURES)
        out[name.strip()] = (base.lower(), task)
    if not out:
        raise BadSetting(f"no metric was named; known: {sorted(MEASURES)}, for one task such as auc:click")
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedExamples:
    """What one system said of every judged example, and how good that was."""

    labels: Mapping[str, Array]  # task -> float32[n], NaN is not known
    said: Mapping[str, Array]  # task -> float32[n], probabilities
    group: Array | None  # int64[n]
    metrics: Mapping[str, tuple[str, str]]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0  # spent in predict

    def columns(self) -> dict[str, tuple[str, str]]:
        """Every figure by its name: measure and task; a task is named where there are several."""
        out = {}
        for name, (measure, task) in self.metrics.items():
            if task and task not in self.labels:
                raise unknown("task", task, self.labels)
            if task or len(self.labels) == 1:
                out[name] = measure, task or next(iter(self.labels))
            else:
                out |= {f"{measure}:{t}": (measure, t) for t in self.labels}
        return out

    def mean(self) -> dict[str, float]:
        """Every figure; those that these labels have no answer to (no group, one class only) are left out."""
        found = {name: self._figure(name, None) for name in self.columns()}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def intervals(self, *, seed: int = 0, level: float = 0.95, resamples: int = 200) -> dict[str, tuple[float, float]]:
        """The bootstrap interval of each figure; groups are drawn, or rows where there are none."""
        names = list(self.mean())
        drawn = [[self._figure(name, rows) for name in names] for rows in self.resamples(seed, resamples)]
        tails = [50 * (1 - level), 50 * (1 + level)]
        table = np.array(drawn, np.float64).reshape(len(drawn), len(names))
        return {n: tuple(np.nanpercentile(table[:, j], tails).tolist()) for j, n in enumerate(names)}

    def difference(
        self, other: JudgedExamples, name: str, *, seed: int = 0, resamples: int = 200
    ) -> tuple[float, float, float]:
        """By how much this system's figure exceeds the other's on the same rows, and the 95 % interval of that."""
        gap = self._figure(name, None) - other._figure(name, None)
        drawn = [self._figure(name, r) - other._figure(name, r) for r in self.resamples(seed, resamples)]
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        return gap, float(low), float(high)

    def resamples(self, seed: int, resamples: int) -> Sequence[Array]:
        """Rows (int[]) of each resample; fewer where rows are many."""
        n = len(next(iter(self.labels.values())))
        times = int(np.clip(WORK // max(n, 1), 20, resamples))
        rng = np.random.default_rng(seed)
        if self.group is None:
            return [rng.integers(0, n, n) for _ in range(times)]
        _, group = np.unique(self.group, return_inverse=True)
        order = np.argsort(group, kind="stable")
        size = np.bincount(group)
        starts = np.cumsum(size) - size
        out = []
        for _ in range(times):
            chosen = rng.integers(0, len(size), len(size))
            at = np.repeat(starts[chosen] - np.concatenate([[0], np.cumsum(size[chosen])[:-1]]), size[chosen])
            out.append(order[np.arange(len(at)) + at])
        return out

    def _figure(self, name: str, rows: Array | None) -> float:
        measure, task = self.columns()[name]
        label, p, group = self.labels[task], self.said[task], self.group
        if rows is not None:
            label, p, group = label[rows], p[rows], None if group is None else group[rows]
        known = np.isfinite(label)
        try:
            return float(MEASURES[measure](label[known], p[known], None if group is None else group[known]))
        except BadData:
            return NONE
