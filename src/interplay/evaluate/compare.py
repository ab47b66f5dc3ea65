"""Systems side by side: means with intervals, paired differences from a baseline, and a verdict for each.

All systems answer the same requests, so users are drawn once for all of them and differences are paired. Where a system
was fitted under several seeds, seeds are drawn too. The verdict needs both: an interval of the difference that excludes
0, and a Holm-corrected paired test below 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from rich.table import Table as RichTable

from interplay.errors import BadData, Mismatch, unknown
from interplay.evaluate.judged import Judged
from interplay.ops import stats
from interplay.types import EMPTY, Array

Values: TypeAlias = Judged | Mapping[str, Array]
TESTS = {"t": stats.paired_t, "wilcoxon": stats.wilcoxon}
SAME = ("data", "fingerprint", "split", "part", "on", "history", "seen", "candidates", "requests", "relevant")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure from a paper, to stand beside ours."""

    values: Mapping[str, float]
    source: str  # paper and table
    same_protocol: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One system against the baseline; every mapping is by metric."""

    name: str
    seeds: int
    mean: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    difference: Mapping[str, float]  # from the baseline; 0 for the baseline itself
    difference_low: Mapping[str, float]
    difference_high: Mapping[str, float]
    p: Mapping[str, float]  # Holm-corrected over the systems compared
    effect: Mapping[str, float]  # mean difference in standard deviations of the differences
    verdicts: Mapping[str, str]  # better, worse, cannot tell; empty for the baseline
    published: Published | None = None
    test_reads: int = 0  # how often this class had read the test part by then; 0 unknown
    seconds: float | None = None

    @property
    def verdict(self) -> str:
        """By the first metric."""
        return next(iter(self.verdicts.values()))

    def told(self, metric: str) -> str:
        """The verdict in one figure, with the difference and its interval."""
        gap = (self.difference[metric], self.difference_low[metric], self.difference_high[metric])
        mean, low, high = (f"{v:+.4f}".replace("0.", ".", 1) for v in gap)
        return f"{self.verdicts[metric]}: {mean} [{low}, {high}]"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows in the order given, and all that is needed to read them."""

    rows: tuple[Row, ...]
    baseline: str
    metrics: tuple[str, ...]
    n: int  # requests
    detectable: Mapping[str, float]  # smallest difference that so many requests can show
    protocol: Mapping[str, Any] = field(default_factory=dict)
    test: str = "t"

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown("row", name, [row.name for row in self.rows])

    def protocol_line(self) -> str:
        """What was judged and how, in one paragraph."""
        smallest = ", ".join(f"{figure(v)} {m}" for m, v in self.detectable.items())
        tested = {"t": "t test", "wilcoxon": "Wilcoxon test"}[self.test]
        return (
            (describe(self.protocol) + " " if self.protocol else "")
            + f"Brackets: 95 % bootstrap intervals over {self.n:,} requests (10,000 resamples; seeds drawn too where "
            f"there are several). Verdicts against {self.baseline}: paired {tested}, Holm-corrected, and an interval "
            f"without 0. So many requests can show differences from about {smallest} on."
        )

    def markdown(self) -> str:
        """The table as Markdown, the protocol above it."""
        head = self._head()
        lines = [self.protocol_line(), "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in map(self._cells, self.rows)]) + "\n"

    def rich(self) -> RichTable:
        """The table for a terminal, the protocol as its title."""
        out = RichTable(*self._head(), title=self.protocol_line(), title_justify="left", title_style="dim")
        for row in self.rows:
            out.add_row(*self._cells(row))
        return out

    def _head(self) -> list[str]:
        shown = ["system", *self.metrics, f"difference in {self.metrics[0]}", "p", "verdict"]
        return shown + ["published"] * any(row.published for row in self.rows)

    def _cells(self, row: Row) -> list[str]:
        first, base = self.metrics[0], row.name == self.baseline
        name = row.name + (f" ({row.seeds} seeds)" if row.seeds > 1 else "")
        cells = [name + (f" (test read {row.test_reads} times)" if row.test_reads > row.seeds else "")]
        cells += [f"{figure(row.mean[m])} [{figure(row.low[m])}, {figure(row.high[m])}]" for m in self.metrics]
        between = f"[{figure(row.difference_low[first])}, {figure(row.difference_high[first])}]"
        if base:
            cells += ["", "", "baseline"]
        else:
            cells += [f"{row.difference[first]:+.4f} {between}", f"{row.p[first]:.2g}", _verdicts(row)]
        if any(other.published for other in self.rows):
            told = row.published
            cells.append("" if told is None else
                         "/".join(figure(told.values[m]) if m in told.values else "-" for m in self.metrics)
                         + f" ({told.source}; {'same' if told.same_protocol else 'other'} protocol)")  # fmt: skip
        return cells

    def frame(self) -> pl.DataFrame:
        """One row per system and metric, every number."""
        kept = ("mean", "low", "high", "difference", "difference_low", "difference_high", "p", "effect", "verdicts")
        return pl.DataFrame([
            {"system": row.name, "metric": m, "seeds": row.seeds, "requests": self.n, "detectable": self.detectable[m]}
            | {column.removesuffix("s"): getattr(row, column)[m] for column in kept}
            for row in self.rows for m in self.metrics
        ])  # fmt: skip


def _verdicts(row: Row) -> str:
    if len(set(row.verdicts.values())) == 1:
        return row.verdict
    return "; ".join(f"{told} ({metric})" for metric, told in row.verdicts.items())


def compare(
    judged: Mapping[str, Values | Sequence[Values]],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    group: str | None = None,
    published: Mapping[str, Published] = EMPTY,
    test: str = "t",
    seed: int = 0,
    resamples: int = stats.RESAMPLES,
) -> Comparison:
    """Compare systems that were judged on the same requests; a list under one name holds one entry per seed.

    baseline  a name in `judged`; the first by default
    group     `warm` or `cold` requests only
    test      `t` or `wilcoxon`

    Raises Mismatch when the protocols differ: such numbers must not stand in one table.
    """
    if not judged:
        raise BadData("nothing to compare; give at least one judged system")
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    several = {name: [v] if isinstance(v, Judged | Mapping) else list(v) for name, v in judged.items()}
    baseline = baseline if baseline is not None else next(iter(several))
    if baseline not in several:
        raise unknown("baseline", baseline, several)
    protocol = _one_protocol([v for values in several.values() for v in values])
    first = several[baseline][0]
    names = tuple(metrics or (first.users if isinstance(first, Judged) else first))
    tables = {name: np.stack([_columns(name, v, names, group) for v in values]) for name, values in several.items()}
    sizes = {table.shape[1] for table in tables.values()}
    if len(sizes) != 1:
        raise Mismatch(f"the systems were judged on {sorted(sizes)} requests; judge all of them on one split")
    draws = _drawn(tables, seed, resamples)
    people = {name: table.mean(axis=0) for name, table in tables.items()}  # float64[n, metrics], over seeds
    others = [name for name in tables if name != baseline]
    p = np.ones((len(others), len(names)))
    for j in range(len(names)):
        p[:, j] = stats.holm([TESTS[test](people[name][:, j], people[baseline][:, j]) for name in others])
    corrected = dict(zip(others, p, strict=True)) | {baseline: np.ones(len(names))}

    def row(name: str) -> Row:
        def by_metric(values: Sequence[Any] | Array) -> dict[str, Any]:
            return dict(zip(names, values.tolist() if isinstance(values, np.ndarray) else values, strict=True))

        mean, base = people[name].mean(axis=0), people[baseline].mean(axis=0)
        low, high = np.quantile(draws[name], [0.025, 0.975], axis=0)
        below, above = np.quantile(draws[name] - draws[baseline], [0.025, 0.975], axis=0)
        gaps = [stats.Estimate(mean=d, lo=a, hi=b, n=len(people[name]))
                for d, a, b in zip(mean - base, below, above, strict=True)]  # fmt: skip
        verdicts = [stats.verdict(gap, q) for gap, q in zip(gaps, corrected[name], strict=True)]
        if name == baseline:
            verdicts = [""] * len(names)
        effects = [stats.effect_size(people[name][:, j], people[baseline][:, j]) for j in range(len(names))]
        entries = [v for v in several[name] if isinstance(v, Judged)]
        return Row(
            name=name, seeds=len(tables[name]), mean=by_metric(mean), low=by_metric(low), high=by_metric(high),
            difference=by_metric(mean - base), difference_low=by_metric(below), difference_high=by_metric(above),
            p=by_metric(corrected[name]), effect=by_metric(effects), verdicts=by_metric(verdicts),
            published=published.get(name),
            test_reads=max((int(v.protocol.get("test_reads", 0)) for v in entries), default=0),
            seconds=sum(v.seconds for v in entries) / len(entries) if entries else None,
        )  # fmt: skip

    detectable = {m: stats.minimum_detectable(people[baseline][:, j]) for j, m in enumerate(names)}
    return Comparison(
        rows=tuple(row(name) for name in tables), baseline=baseline, metrics=names, n=sizes.pop(), protocol=protocol,
        test=test, detectable=detectable,
    )  # fmt: skip


def _drawn(tables: Mapping[str, Array], seed: int, resamples: int) -> dict[str, Array]:
    """Per system float64[resamples, metrics]: means over the same drawn users, and over drawn seeds of its own."""
    flat = np.concatenate([t.transpose(1, 0, 2).reshape(t.shape[1], -1) for t in tables.values()], axis=1)
    means, out, at = stats.resampled(flat, resamples=resamples, seed=seed), {}, 0
    for i, (name, table) in enumerate(tables.items()):
        seeds, _, width = table.shape
        part = means[:, at : at + seeds * width].reshape(resamples, seeds, width)
        chosen = np.random.default_rng([seed, i]).multinomial(seeds, np.full(seeds, 1 / seeds), resamples)
        out[name] = (part * chosen[:, :, None]).sum(axis=1) / seeds
        at += seeds * width
    return out


def _columns(name: str, values: Values, metrics: Sequence[str], group: str | None) -> Array:
    """float64[n, metrics]"""
    users = values.users if isinstance(values, Judged) else values
    for metric in metrics:
        if metric not in users:
            raise unknown(f"measure of {name!r}", metric, users)
    out = np.column_stack([np.asarray(users[m], np.float64) for m in metrics])
    if group is None:
        return out
    if not isinstance(values, Judged):
        raise BadData("only judged systems know which requests are warm or cold; leave `group` out")
    if group not in ("warm", "cold"):
        raise unknown("group", group, ("warm", "cold"))
    return out[values.cold == (group == "cold")]


def _one_protocol(values: Sequence[Values]) -> Mapping[str, Any]:
    judged = [v for v in values if isinstance(v, Judged)]
    for other in judged[1:]:
        for key in SAME:
            a, b = judged[0].protocol.get(key), other.protocol.get(key)
            if a != b:
                raise Mismatch(f"the protocols differ in {key!r}: {a} and {b}; such numbers cannot stand in one table")
        if not np.array_equal(judged[0].who, other.who):
            raise Mismatch("the systems were judged on different requests; judge all of them on the same split")
    return judged[0].protocol if judged else {}


def describe(protocol: Mapping[str, Any]) -> str:
    """A protocol as one sentence for people."""
    split, said = protocol.get("split", {}), [str(protocol.get("data", ""))]
    if split:
        said.append(f"split {split['rule']} (seed {split['seed']}, {split['hash'].removeprefix('queries:')[:12]})")
    if "on" in protocol:
        said.append(f"fitted on {protocol['on']}, judged on {protocol['part']}, history {protocol['history']}, "
                    f"seen items {'withheld' if protocol['seen'] == 'drop' else 'may come again'}")  # fmt: skip
    said.append(f"candidates: {protocol.get('candidates', 'all items')}")
    counted = f"{protocol.get('requests', 0):,} requests"
    if protocol.get("cold"):
        counted += f", {protocol['cold']:,} of them cold"
    if protocol.get("left_out"):
        counted += f", {protocol['left_out']:,} left out for want of anything relevant"
    return "; ".join([*said, counted, *split.get("notes", ())]) + "."


def figure(value: float) -> str:
    """Four places, without the leading zero.

    >>> figure(0.18494), figure(-0.0021), figure(1.0)
    ('.1849', '-.0021', '1.0000')
    """
    shown = f"{value:.4f}"
    return shown.replace("0.", ".", 1) if abs(value) < 1 and shown.lstrip("-").startswith("0.") else shown
