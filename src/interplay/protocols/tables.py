"""Tables of benches whose seeds are worlds: means over seeds, how many there are, and differences seed by seed.

A row differs from another by the mean of what it has more in each seed that both were run with; the interval is
Student's, at 95 %, over these seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy.special import stdtrit

from interplay.benches import Bench, Entry

Held: TypeAlias = Mapping[tuple[str, int], Mapping[str, Any]]  # (label, seed) -> record
Value: TypeAlias = Callable[[Mapping[str, Any]], float]  # of a record
Column: TypeAlias = tuple[str, Callable[[Entry], str]]  # a heading, and the cell of a row
PAIRED = "the same seeds, with Student's interval at 95 % over them"


class Difference(NamedTuple):
    """How much more a row has than another, and half the width of the interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{figure(self.mean, signed=True)} ± {figure(self.half)}"


def ruled(head: Sequence[str]) -> list[str]:
    """The two lines that begin a table.

    >>> ruled(["row", "auc"])
    ['| row | auc |', '|---|---|']
    """
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]


def metric(name: str) -> Value:
    """A metric of a record."""
    return lambda record: float(record["metrics"][name])


def values(held: Held, label: str, value: Value) -> dict[int, float]:
    """seed -> value, of a row; records that lack it are left out."""
    told = {}
    for (own, seed), record in sorted(held.items()):
        if own == label:
            with suppress(KeyError):
                told[seed] = value(record)
    return told


def difference(own: Mapping[int, float], other: Mapping[int, float]) -> Difference | None:
    """What `own` has more than `other`, seed by seed; None where there are not two seeds of both.

    >>> difference({0: 1.0, 1: 2.0, 2: 6.0}, {0: 1.0, 1: 1.0, 2: 4.0})
    Difference(mean=1.0, half=2.4841377...)
    """
    both = sorted(set(own) & set(other))
    if len(both) < 2:
        return None
    each = np.array([own[s] - other[s] for s in both])
    half = float(stdtrit(len(both) - 1, 0.975)) * float(each.std(ddof=1)) / np.sqrt(len(both))
    return Difference(float(each.mean()), float(half))


def against(held: Held, baseline: str, value: Value) -> Callable[[Entry], str]:
    """The difference from the row `baseline`, as a column's cells."""

    def cell(entry: Entry) -> str:
        if entry.label == baseline:
            return ""
        told = difference(values(held, entry.label, value), values(held, baseline, value))
        return "" if told is None else str(told)

    return cell


def mean(held: Held, value: Value) -> Callable[[Entry], str]:
    """The mean over seeds, as a column's cells; empty where no record has the value."""

    def cell(entry: Entry) -> str:
        own = list(values(held, entry.label, value).values())
        return figure(float(np.mean(own))) if own else ""

    return cell


def spread(held: Held, value: Value) -> Callable[[Entry], str]:
    """Mean and standard deviation over seeds, as a column's cells."""

    def cell(entry: Entry) -> str:
        own = list(values(held, entry.label, value).values())
        told = figure(float(np.mean(own))) if own else ""
        return told + (f" ± {figure(float(np.std(own, ddof=1)))}" if len(own) > 1 else "")

    return cell


def seeds(held: Held) -> Column:
    """How many seeds a row was run with."""
    return "seeds", lambda entry: str(sum(label == entry.label for label, _ in held))


def seconds(held: Held) -> Column:
    """Seconds that a row took, all of it."""
    return (
        "s",
        lambda entry: f"{np.mean([r['seconds']['all'] for (label, _), r in held.items() if label == entry.label]):.0f}",
    )


def grid(page: Bench, held: Held, columns: Sequence[Column], *, settings: bool = True) -> Iterator[str]:
    """Lines of a table: a heading, the groups of rows, and a line for every row that has a record."""
    head = ["row", *(name for name, _ in columns)]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    known = {label for label, _ in held}
    for group in page.columns():
        rows = [e for e in page.entries if e.column == group and e.label in known]
        if group and rows:
            yield f"| **{group}** |" + " |" * len(columns)
        for entry in rows:
            name = entry.shown if settings else f"`{entry.label}`"
            yield "| " + " | ".join([name, *(cell(entry) for _, cell in columns)]) + " |"


def above(page: Bench, held: Held) -> list[str]:
    """What stands above a table: what it is about, and how its figures came about."""
    newest = list(held.values())[-1]
    return [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]


def searched(page: Bench, root: Path) -> dict[str, dict[str, Any]]:
    """label -> the newest search of settings for each row of a bench, as `interplay bench NAME --search` kept it."""
    path = root / "searches" / f"{page.name}.jsonl"
    told = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    return {record["label"]: record for record in told if record["version"] == page.version}


def tried(entry: Entry, searches: Mapping[str, Mapping[str, Any]]) -> str:
    """How many settings were tried for a row: by hand before, as far as they were counted, and by a recorded search,
    its own or that of the row which it stands beside."""
    search = searches.get(entry.label.removesuffix("-searched"))
    by_hand = "" if entry.trials is None else str(entry.trials)
    if search is None:
        return by_hand
    told = f"{len(search['trials'])} in {search['minutes']:g} min"
    return f"{by_hand} + {told}" if entry.trials else told


def figure(value: float, *, signed: bool = False) -> str:
    """A figure to four places, without the nought before the point.

    >>> figure(0.25), figure(-0.5, signed=True), figure(12.0)
    ('.2500', '-.5000', '12.0000')
    """
    told = f"{value:+.4f}" if signed else f"{value:.4f}"
    sign = told[0] if told[0] in "+-" else ""
    return sign + told.removeprefix(sign).removeprefix("0") if abs(round(value, 4)) < 1 else told
