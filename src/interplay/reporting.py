"""The tables of README and docs, drawn from the records in `results/`; `python -m interplay.reporting` renders all."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interplay.benches import Bench
from interplay.evaluate.compare import compare, describe
from interplay.evaluate.panel import markdown
from interplay.protocols.tables import searched, tried
from interplay.results import OWN, bench, read_users, reads, recorded, results_root, short


def table(name: str, *, systems: Sequence[str] | None = None, beside: bool = True) -> str:
    """The bench as Markdown: the protocol above, ours beside the published figures, intervals and paired tests.

    `systems`: of these rows alone. `beside`: with a second table of what the lists are beside accurate, where records
    tell it.
    """
    page = bench(name, systems)
    held = recorded(page)
    if not held:
        return f"*No record of bench `{name}` yet: `interplay bench {name}`.*"
    if page.kind in OWN:
        return importlib.import_module(OWN[page.kind]).table(page, held, results_root())
    first = page.metrics[0]
    users = {}
    for entry in page.entries:
        own = [r for (label, _), r in held.items() if label == entry.label]
        if own:
            users[entry.label] = [read_users(r) for r in own]
    rows = compare(users, metrics=page.metrics, baseline=page.baseline if page.baseline in users else next(iter(users)))
    some, read = next(iter(held.values())), reads(name)
    searches = searched(page, results_root())
    counted = any(e.trials is not None or e.label in searches for e in page.entries if e.label in users)
    apart = [g for g in ("warm", "cold") if _worth(some.get("groups", {}))]
    head = [
        "system", *page.metrics, f"95 % of {first}", *(f"{first}, {g}" for g in apart), f"against {rows.baseline}",
        "published", *(["trials"] if counted else []), "test reads", "fit s", "all s", "GiB",
    ]  # fmt: skip
    lines = [
        f"{page.about}",
        "",
        f"{describe(some['protocol'])} Seeds are averaged; intervals are bootstrap over users (10,000); "
        f"the paired test against `{rows.baseline}` is Holm-corrected. {_told(page, held, counted)}",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "|".join("---" for _ in head) + "|",
    ]
    for group in page.columns():
        if group:
            lines.append(f"| **{group}** |" + " |" * (len(head) - 1))
        for entry in page.entries:
            if entry.column != group or entry.label not in users:
                continue
            own = [r for (label, _), r in held.items() if label == entry.label]
            row = rows[entry.label]
            cells = [entry.shown + _which(own)]
            cells += [short(row.mean[m]) for m in page.metrics]
            cells.append(f"{short(row.low[first])} to {short(row.high[first])}")
            cells += [short(np.mean([r["groups"][g][first] for r in own])) for g in apart]
            cells.append("" if entry.label == rows.baseline else f"{row.verdict} ({row.difference[first]:+.4f})")
            cells.append(entry.published_text())
            cells += [tried(entry, searches)] if counted else []
            cells.append(str(read[entry.label]))
            cells += [_seconds(own, "fit"), _seconds(own, "all")]
            cells.append(f"{max(r['peak_memory'] for r in own) / 2**30:.1f}")
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["", page.note] if page.note else []
    return "\n".join(lines + (_beside(page, held) if beside else []))


def _by_device(own: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The records of a row by what they learnt on: "" is the processor, which comes first."""
    places = sorted({r["machine"].get("learnt_on", "") for r in own})
    return {place: [r for r in own if r["machine"].get("learnt_on", "") == place] for place in places}


def _which(own: Sequence[Mapping[str, Any]]) -> str:
    """How many seeds a row has, where several, and how many of them learnt on a GPU."""
    said = [f"{len(own)} seeds"] if len(own) > 1 else []
    for place, held in _by_device(own).items():
        if place:
            said.append(f"on {place}" if len(held) == len(own) else f"{len(held)} on {place}")
    return f" ({', '.join(said)})" if said else ""


def _seconds(own: Sequence[Mapping[str, Any]], of: str) -> str:
    """The mean over seeds; a mean for the processor / one for each GPU where a row has both."""
    return " / ".join(f"{np.mean([r['seconds'][of] for r in held]):.0f}" for held in _by_device(own).values())


def _told(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], counted: bool) -> str:
    """What else is said above the table: what its counts are, and how much of the first ten nobody has judged."""
    said = ["Trials: settings tried on validation for the row; empty: not counted."] if counted else []
    said.append("Test reads: records of the row, of all seeds, superseded ones too.")
    shares = {r["label"]: r["protocol"].get("unjudged_share_of_10") for r in held.values()}
    unjudged = [f"`{e.label}` {shares[e.label]:.0%}" for e in page.entries if shares.get(e.label) is not None]
    if unjudged:
        said.append("Nobody has judged, and so irrelevant, of the first ten: " + ", ".join(unjudged) + ".")
    return " ".join(said)


def _beside(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[str]:
    """The panel beyond accuracy of the rows whose records tell it, over seeds; no line where none does."""
    rows = {}
    for entry in page.entries:
        own = [r for (label, _), r in held.items() if label == entry.label]
        kept = [p for r in own if (p := r.get("facts", {}).get("panel"))]
        if kept:
            rows[f"`{entry.label}`"] = {m: float(np.mean([p[m] for p in kept if m in p])) for m in kept[0]}
    if not rows:
        return []
    k = next(iter(next(iter(rows.values())))).partition("@")[2]
    absent = [f"`{e.label}`" for e in page.entries if any(label == e.label for label, _ in held)]
    absent = [label for label in absent if label not in rows]
    said = f"The same lists beyond accuracy, at {k}; docs/evaluation.md says what the columns are."
    if absent:
        said += " Judged before this was kept: " + ", ".join(absent) + "."
    return ["", said, "", *markdown(rows)]


def _worth(groups: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether cold and warm requests are to be told apart: each is at least a tenth of all."""
    counts = [groups.get(g, {}).get("requests", 0) for g in ("warm", "cold")]
    return min(counts) >= 0.1 * sum(counts) > 0


def render(paths: Iterable[Path]) -> list[Path]:
    """Fill every `<!-- table:NAME -->` ... `<!-- end -->` in these files; returns the files that changed.

    A README shows what is accurate alone.
    """
    changed = []
    pattern = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- end -->)", re.S)
    for path in paths:
        text, beside = path.read_text(), path.name != "README.md"

        def drawn(m: re.Match[str], beside: bool = beside) -> str:
            return f"{m[1]}{table(m[2], beside=beside)}\n{m[3]}"

        new = pattern.sub(drawn, text)
        if new != text:
            path.write_text(new)
            changed.append(path)
    return changed


def main() -> int:
    """Render the tables of README and docs of this checkout."""
    root = results_root().parent
    for path in render([root / "README.md", *sorted((root / "docs").rglob("*.md"))]):
        print(f"rendered {path.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
