"""What a search has tried: one record for each trial, their table of honour, and the directory that keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from interplay.errors import Mismatch
from interplay.tuning.spaces import Axis, Range, written

TRIALS, SEARCH = "trials.jsonl", "search.json"
LOWER = ("logloss", "brier", "ece")  # better the lower they are


def sign(metric: str) -> float:
    """1 where more of a metric is better, else -1."""
    return -1.0 if metric.partition(":")[0].lower() in LOWER else 1.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting that was tried, and what came of it."""

    number: int
    settings: Mapping[str, Any]  # by dotted key: what is searched, no more
    seed: int
    status: str = "done"  # or "failed"
    value: float | None = None  # the metric on validation
    error: float | None = None  # its standard error over people, queries, or groups of rows
    judged: int = 0  # how many of them there were
    epochs: int | None = None  # that validation chose, of a system that learns in epochs
    seconds: float = 0.0
    cpu: float = 0.0  # seconds of processor time: what a budget is counted in
    said: str = ""  # why it failed


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """All trials of a search, in the order in which they were begun."""

    system: str
    metric: str
    space: Mapping[str, Axis]
    trials: tuple[Trial, ...]
    ended: str  # why no more were begun

    @property
    def ranked(self) -> list[Trial]:
        """The trials that gave a figure, best first; of equal ones the earlier."""
        way = sign(self.metric)
        return sorted((t for t in self.trials if t.value is not None), key=lambda t: (-way * (t.value or 0), t.number))

    @property
    def best(self) -> Trial:
        return self.ranked[0]

    @property
    def near(self) -> list[Trial]:
        """The trials within one standard error of the best, itself among them, best first."""
        best, way = self.best, sign(self.metric)
        floor = way * (best.value or 0.0) - (best.error or 0.0)
        return [t for t in self.ranked if way * (t.value or 0.0) >= floor]

    @property
    def plateau(self) -> str:
        """What these were set to: the ends of each range, the choices made.

        Where they are far apart, the setting hardly matters.
        """
        told = []
        for key, axis in self.space.items():
            values = [t.settings[key] for t in self.near if t.settings[key] in axis]
            if isinstance(axis, Range) and values:
                told.append(f"{key} {written(min(values))} to {written(max(values))}")
            elif values:
                told.append(f"{key} {' or '.join(dict.fromkeys(map(written, values)))}")
        return ", ".join(told)

    @property
    def cpu(self) -> float:
        """Seconds of processor time that all trials took, failed ones too."""
        return sum(t.cpu for t in self.trials)

    @property
    def failed(self) -> list[Trial]:
        return [t for t in self.trials if t.status == "failed"]

    @property
    def pairs(self) -> list[str]:
        """The best settings as `--set` takes them; none where those that stood were not beaten."""
        return [] if not self.best.number else [f"{k}={written(v)}" for k, v in self.best.settings.items()]

    @property
    def edges(self) -> list[str]:
        """A sentence for each setting whose best value stands at an end of its range."""
        told = [(key, axis, axis.edge(self.best.settings[key])) for key, axis in self.space.items()]
        return [f"{key} is at the {end} end of its range ({axis}); widen it" for key, axis, end in told if end]


@dataclass(kw_only=True, eq=False)
class Log:
    """The trials of a search in a directory, or nowhere."""

    file: Path | None = None
    kept: list[Trial] = field(default_factory=list)

    @staticmethod
    def at(out: Path | None, about: Mapping[str, Any]) -> Log:
        """Open the search that stands in `out`, or begin one there. Errors: Mismatch where another one stands."""
        if out is None:
            return Log()
        told, file = out / SEARCH, out / TRIALS
        about = json.loads(json.dumps(about))
        if told.exists():
            there = json.loads(told.read_text())
            if differ := [k for k in about if about[k] != there.get(k)]:
                raise Mismatch(
                    f"{out} holds another search: "
                    + "; ".join(f"{k} is {_said(there.get(k))} there and {_said(about[k])} here" for k in differ)
                    + ". Choose another directory, or ask for the same"
                )
        elif file.exists():
            raise Mismatch(f"{file} is there without {SEARCH}, so nobody knows what was searched; move it away")
        else:
            out.mkdir(parents=True, exist_ok=True)
            fresh = told.with_suffix(".new")
            fresh.write_text(json.dumps(about, indent=1) + "\n")
            os.replace(fresh, told)
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        if lines and not lines[-1].endswith("\n"):  # killed while writing: that trial is run again
            lines.pop()
            file.write_text("".join(lines))
        return Log(file=file, kept=[Trial(**json.loads(line)) for line in lines])

    def append(self, trial: Trial) -> None:
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps(asdict(trial)) + "\n")
                file.flush()
                os.fsync(file.fileno())


def _said(value: Any) -> str:
    said = json.dumps(value)
    return said if len(said) <= 120 else f"{said[:117]}..."
