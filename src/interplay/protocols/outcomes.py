"""Benches of several outcomes: rankers of like, love and dislike on the same rows, under two splits in time.

    tasks-global   what was fitted is older than what is judged; most people who are judged have no training row
    tasks-user     the last tenth of each person; other people's future is known

Every ranker reads the same fields, numbers and histories and is stopped by the mean AUC of the validation rows. A row
`apart` is one model for each outcome; all others learn the outcomes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.benches import Bench, Entry
from interplay.data.examples import Examples
from interplay.data.read import load
from interplay.evaluate.compare import Comparison, compare
from interplay.evaluate.labelled import JudgedExamples, parse
from interplay.metrics import user_auc
from interplay.protocols.tables import ruled
from interplay.ranking import Division, divide, fit_ranker, milliseconds
from interplay.types import TEST, Array

TASKS: Mapping[str, str] = {"like": ">=4", "love": ">=5", "dislike": "<=2"}


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One row of a bench of outcomes: its metrics, protocol, facts, and each person's AUC."""
    division = divide(load(page.data), page.split, seed=page.split_seed)
    settings = dict(entry.settings)
    apart = settings.pop("apart", False)
    groups = [{t: rule} for t, rule in TASKS.items()] if apart else [dict(TASKS)]
    models = [fit_ranker(entry.system, division, settings={**settings, "tasks": g}, seed=seed).model for g in groups]
    test = _test(division)
    said: dict[str, Array] = {}
    for model in models:
        said |= model.predict(test)
    judged = JudgedExamples(labels=test.labels, said=said, group=test.group, metrics=parse("auc,gauc,logloss,ece"))
    fitted = {f"{m.learnt.coder.tasks}": m.fitted["best_epoch"] for m in models if hasattr(m, "learnt")}
    return {
        "metrics": judged.mean(),
        "protocol": {
            "rows": f"{len(division.part):,} ratings: {', '.join(f'{n:,} {p}' for p, n in division.sizes.items())}; "
                    f"{_strangers(division):.0%} of the test rows are of people without a training row",
            "tasks": "Outcomes: " + ", ".join(f"{t} (rating {rule})" for t, rule in TASKS.items()),
            "reads": "Every history ends strictly before the rating's second, and counters count what came before it",
            "gauc": "AUC is over all rows, gAUC over a person's rows, weighted by rows",
        },
        "facts": {
            "intervals": judged.intervals(), "epochs": fitted, "split": division.hash,
            "parameters": sum(_parameters(model) for model in models),
            "ms": round(sum(milliseconds(model, division.dataset) for model in models), 3),
        },
        "rows": _people(test, said),
    }  # fmt: skip


def _test(division: Division) -> Examples:
    whole = Examples.of(division.dataset, tasks=TASKS)
    assert whole.part is not None
    return whole.take(whole.part == TEST)


def _strangers(division: Division) -> float:
    """The share of test rows whose person has no training row."""
    user = division.dataset.events.user
    known = np.isin(user[division.part == TEST], user[division.part == 0])
    return float(1 - known.mean())


def _people(test: Examples, said: Mapping[str, Array]) -> dict[str, Array]:
    """Each person's AUC in each outcome, NaN where all of the ratings are of one class, and how many rows there are."""
    assert test.group is not None
    out = {}
    for task, label in test.labels.items():
        _, out[f"gauc:{task}"], out["rows"] = user_auc(test.group, label, said[task])
    return out


def _parameters(model: Any) -> int:
    """Numbers that a network has learnt; 0 for what is no network."""
    return sum(p.numel() for p in model.learnt.net.parameters()) if hasattr(model, "learnt") else 0


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Rows of figures with the spread over seeds, and the paired test of each person's AUC against the baseline."""
    rows = {e.label: [r for (label, _), r in held.items() if label == e.label] for e in page.entries}
    rows = {label: own for label, own in rows.items() if own}
    newest = list(held.values())[-1]
    base = page.baseline if page.baseline in rows else next(iter(rows))
    verdicts = {task: _compared(rows, task, base, root) for task in TASKS}
    figures = [f"{m} {t}" for t in TASKS for m in ("auc", "gauc", "logloss")]
    head = ["row", *figures, "trials", "parameters", "ms", "s"]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), "", *ruled(head)]
    tests = ruled([f"gauc against {base}", *(f"{t} ({verdicts[t].n} people)" for t in TASKS)])
    for group in page.columns():
        lines += [f"| **{group}** |" + " |" * (len(head) - 1)] if group else []
        for entry in page.entries:
            if entry.column == group and entry.label in rows:
                lines.append("| " + " | ".join(_cells(entry, rows[entry.label])) + " |")
            if entry.column == group and entry.label in rows and entry.label != base:
                told = [verdicts[task][entry.label].told(f"gauc:{task}") for task in TASKS]
                tests.append("| " + " | ".join([f"`{entry.label}`", *told]) + " |")
    return "\n".join([*lines, "", TESTED, "", *tests, *(["", page.note] if page.note else [])])


TESTED = (
    "Paired tests of each person's AUC, every person alike, over those who have both classes; seeds averaged and "
    "drawn. `better` and `worse` need a 95 % bootstrap interval without 0 and a Holm-corrected p below .05."
)


def _compared(rows: Mapping[str, Sequence[Mapping[str, Any]]], task: str, base: str, root: Path) -> Comparison:
    """The paired comparison of one outcome over those people who have both classes in it."""
    column = f"gauc:{task}"
    values = {
        label: [{column: pl.read_parquet(root / r["users"]["file"])[column].to_numpy()} for r in own]
        for label, own in rows.items()
    }
    both = ~np.isnan(values[base][0][column])
    cut = {label: [{column: v[column][both]} for v in own] for label, own in values.items()}
    return compare(cut, metrics=(column,), baseline=base)


def _cells(entry: Entry, own: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [entry.shown + (f" ({len(own)} seeds)" if len(own) > 1 else "")]
    for task in TASKS:
        for measure in ("auc", "gauc", "logloss"):
            figures = [r["metrics"][f"{measure}:{task}"] for r in own]
            spread = f" ± {np.std(figures, ddof=1):.4f}".replace("0.", ".", 1) if len(figures) > 1 else ""
            cells.append(f"{np.mean(figures):.4f}".replace("0.", ".", 1) + spread)
    cells.append("" if entry.trials is None else str(entry.trials))
    cells.append(f"{np.mean([r['facts']['parameters'] for r in own]):,.0f}")
    cells.append(f"{min(r['facts']['ms'] for r in own):.1f}")
    return [*cells, f"{np.mean([r['seconds']['all'] for r in own]):.0f}"]
