"""The table of a bench of sessions: figures, the system against each row session by session, what was broken, times."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplay.ops import stats

if TYPE_CHECKING:
    from interplay.benches.values import Bench

SYSTEM = "recbot"  # the row that others are compared with
SETTINGS = ("SR", "MR", "MRID")
COMPARED = tuple(f"pass_{setting}" for setting in SETTINGS)


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Rows of figures; the system against every row, session by session; what was broken, by kind; how long it took."""
    first = next(iter(held.values()))
    shown = {e.label: [r for (label, _), r in held.items() if label == e.label] for e in page.entries}
    lines = [page.about, "", " ".join(f"{v}." for v in first["protocol"].values()), ""]
    head = ["row", *(m.replace("_", " ") for m in page.metrics), "seeds", "test reads", "s"]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    reads = Counter(json.loads(line)["label"] for line in (root / f"{page.name}.jsonl").read_text().splitlines())
    for group in page.columns():
        if any(shown[e.label] for e in page.entries if e.column == group):
            lines.append(f"| **{group}** |" + " |" * (len(head) - 1))
        for entry in page.entries:
            own = shown[entry.label]
            if entry.column == group and own:
                cells = [_told(float(np.mean([r["metrics"][m] for r in own]))) for m in page.metrics]
                spent = f"{np.mean([r['seconds']['all'] for r in own]):.0f}"
                lines.append(
                    f"| `{entry.label}` | " + " | ".join([*cells, str(len(own)), str(reads[entry.label]), spent]) + " |"
                )
    return "\n".join([*lines, *_against(page, shown, root), *_broken(shown), *_times(shown), "", page.note])


def _told(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4f}"


def _against(page: Bench, shown: Mapping[str, Sequence[Mapping[str, Any]]], root: Path) -> list[str]:
    """The system's figure less that of each row over the same sessions of the same seeds, with its interval."""
    kept = {
        label: {r["seed"]: pl.read_parquet(root / r["users"]["file"]) for r in own if "users" in r}
        for label, own in shown.items()
        if not page.entry(label).settings
    }
    ours = kept.get(SYSTEM, {})
    pairs = {
        label: [(ours[s], theirs[s]) for s in sorted(ours.keys() & theirs.keys())]
        for label, theirs in kept.items() if label != SYSTEM
    }  # fmt: skip
    pairs = {label: both for label, both in pairs.items() if both}
    if not pairs:
        return []
    gaps = {
        (label, m): np.concatenate([(a[m] - b[m]).to_numpy().astype(np.float64) for a, b in both])
        for label, both in pairs.items() for m in COMPARED
    }  # fmt: skip
    p = dict(zip(gaps, stats.holm([stats.paired_t(g, np.zeros(len(g))) for g in gaps.values()]), strict=True))
    lines = ["", f"`{SYSTEM}` less each row, session by session over the seeds that both have: mean, 95 % bootstrap "
             "interval (10,000 draws of sessions), and the paired t test's p, Holm-corrected over this table.", "",
             "| row | " + " | ".join(m.replace("_", " ") for m in COMPARED) + " | sessions |",
             "|---|" + "---|" * (len(COMPARED) + 1)]  # fmt: skip
    for label, both in pairs.items():
        cells = []
        for m in COMPARED:
            e = stats.bootstrap(gaps[label, m])
            cells.append(f"{e.mean:+.3f} [{e.lo:+.3f}, {e.hi:+.3f}], p {p[label, m]:.3f}")
        lines.append(f"| `{label}` | " + " | ".join(cells) + f" | {sum(len(a) for a, _ in both)} |")
    return [*lines, *_shares(ours)]


def _shares(ours: Mapping[int, pl.DataFrame]) -> list[str]:
    """The system's share of items that broke a word, with its interval over sessions."""
    told = []
    for setting in SETTINGS:
        broken, shown = (
            np.concatenate([f[f"{what}_{setting}"].to_numpy() for f in ours.values()]) for what in ("broken", "shown")
        )
        draws = stats.resampled(np.column_stack([broken, shown]).astype(np.float64))
        e = stats.between(draws[:, 0] / np.maximum(draws[:, 1], 1e-9), broken.sum() / max(shown.sum(), 1), len(broken))
        told.append(f"{setting} {100 * e.mean:.2f} % [{100 * e.lo:.2f}, {100 * e.hi:.2f}]")
    return ["", f"Violations of `{SYSTEM}`, with 95 % intervals over sessions: {'; '.join(told)}."]


def _broken(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Items that broke a word of each kind, of those shown while one of the kind held: the system, all settings."""
    counts: dict[str, list[int]] = {}
    for record in shown.get(SYSTEM, ()):
        for setting in SETTINGS:
            for kind, (bad, of) in record["facts"].get(setting, {}).get("broken", {}).items():
                held = counts.setdefault(kind, [0, 0])
                held[0], held[1] = held[0] + bad, held[1] + of
    if not counts:
        return []
    told = ", ".join(f"{kind} {bad:,} of {of:,}" for kind, (bad, of) in sorted(counts.items(), key=lambda c: -c[1][0]))
    return ["", f"Items shown by `{SYSTEM}` that break a word, by the kinds of what was said (a sentence of two kinds "
            f"counts under both): {told}."]  # fmt: skip


def _times(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """How long one turn took, where records tell it."""
    lines = []
    for label, own in shown.items():
        told = [r["facts"]["turn_milliseconds"] for r in own if "turn_milliseconds" in r["facts"]]
        if told and label.startswith(SYSTEM):
            median, p90 = (float(np.median([t[k] for t in told])) for k in ("median", "p90"))
            lines.append(f"`{label}` {median:.0f} ms ({p90:.0f})")
    if not lines:
        return []
    return ["", f"One turn alone, from the sentence to the next feed of 10, in the median (and 90 % of 100 turns "
            f"a seed within): {', '.join(lines)}."]  # fmt: skip
