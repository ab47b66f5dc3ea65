"""What a bench and its rows are. When the meaning of a bench changes, its version does.

A row's `settings` are the authors' published ones, or were selected on the validation part (`column` says which);
none was selected on test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interplay.errors import unknown


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a bench."""

    system: str
    label: str = ""  # unique in the bench; the system's name unless it stands twice
    settings: Mapping[str, Any] = field(default_factory=dict)
    column: str = ""  # the group it is shown under
    seeds: tuple[int, ...] = (0,)
    seconds: float | None = None  # time budget of a fit
    published: Mapping[str, float] = field(default_factory=dict)
    source: str = ""  # table the published figure came from
    same: bool = True  # whether the published figure has the same protocol
    trials: int | None = None  # settings tried on validation for this row, as the docs tell; None: not counted
    space: Mapping[str, str] = field(default_factory=dict)  # what `interplay bench NAME --search` searches

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.system)

    @property
    def shown(self) -> str:
        flat = [pair for k, v in self.settings.items() for pair in (v.items() if isinstance(v, Mapping) else [(k, v)])]
        told = ", ".join(f"{k}={v}" for k, v in flat)
        return f"`{self.label}`" + (f" {told}" if told else "")

    def published_text(self) -> str:
        if not self.published:
            return ""
        figures = " / ".join(f"{v:.4f}".lstrip("0") for v in self.published.values())
        return f"{figures} ({self.source}{'' if self.same else '; another protocol'})"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One table: the data, the split, who is judged, by what."""

    name: str
    version: int
    about: str
    data: str
    entries: tuple[Entry, ...]
    kind: str = "collaborative"  # search: judged by queries and qrels; sessions, readings, timing: by their own module
    split: str | None = None
    split_seed: int = 0
    on: str = "train+valid"
    select: str = "ndcg@20"  # what epochs are chosen by, on validation
    metrics: tuple[str, ...] = ("recall@20", "ndcg@20")
    baseline: str = "popular"
    rivals: Mapping[str, str] = field(default_factory=dict)  # ranking: group -> the row it is also compared with
    relevant: float | None = None  # search: grades from here on count 1, others 0; None keeps the grades
    note: str = ""

    def entry(self, label: str) -> Entry:
        found = {e.label: e for e in self.entries}
        if label not in found:
            raise unknown(f"row of bench {self.name!r}", label, found)
        return found[label]

    def columns(self) -> list[str]:
        return list(dict.fromkeys(e.column for e in self.entries))


PUBLISHED = "authors' published settings"
SELECTED = "settings selected on the validation part"
BARS = "BARS leaderboard, same split"

BENCHES: dict[str, Bench] = {}  # by name, in the order of the tables


def add(bench: Bench) -> None:
    """Enter a bench; its name is its own."""
    assert bench.name not in BENCHES, f"two benches are called {bench.name!r}"
    BENCHES[bench.name] = bench
