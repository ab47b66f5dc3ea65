"""Search the settings of a bench's rows, every row with the same budget of processor time, and keep what was tried.

    interplay bench frappe --search 15                  # minutes of processor time for each row that has a space

A search sees the train and validation parts and no test row. Its first trial is the row's settings as they stood, which
may be published ones. One record for each search is appended to `results/searches/`; a search that was cut off goes on.
Settings that were found better get a row of their own in `benches/`, LABEL-searched; a test holds the two against each
other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from interplay.benches import Bench, Entry
from interplay.configure import flattened, nested
from interplay.data.fetch import cache
from interplay.data.split import Split, split
from interplay.errors import BadSetting, Unsupported
from interplay.experiment import dataset
from interplay.ranking import Division, divide
from interplay.results import bench, circumstances, results_root
from interplay.tuning import Trial, tune

KINDS = ("collaborative", "ranking")  # benches whose rows learn from one split of one data set


def search(
    name: str, minutes: float, *, systems: Sequence[str] | None = None, said: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Search the rows of a bench that have a space, `minutes` of processor time each; the records appended.

    Errors: Unsupported for a bench that is judged by a protocol of its own, BadSetting where no row has a space.
    """
    page = bench(name, systems)
    if page.kind not in KINDS:
        raise Unsupported(
            f"rows of bench {name!r} are judged by a protocol of their own ({page.kind}), which no search knows; its "
            "note says how their settings were chosen"
        )
    rows = [entry for entry in page.entries if entry.space]
    if not rows:
        raise BadSetting(f"no row of bench {name!r} that was asked for has a space to be searched")
    parts, new = _parts(page), []
    for entry in rows:
        new.append(_searched(page, entry, parts, minutes, said))
        best = new[-1]["trials"][new[-1]["best"]]
        said(f"{name} {entry.label}: {new[-1]['metric']} {best['value']:.5f} by {best['settings']}")
    return new


def _parts(page: Bench) -> Split | Division:
    data = dataset(page.data)
    return (divide if page.kind == "ranking" else split)(data, page.split, seed=page.split_seed)


def _searched(
    page: Bench, entry: Entry, parts: Split | Division, minutes: float, said: Callable[[str], None]
) -> dict[str, Any]:
    given = flattened(entry.settings)
    held = cache() / "searches" / f"{page.name}-{page.version}-{entry.label}"

    def told(stage: str, facts: Mapping[str, Any]) -> None:
        if stage == "tune" and "best" in facts:
            said(f"  {entry.label}: {facts['trials']} trials, best {facts['best']:.5f}, {facts.get('done')} CPU s")

    found = tune(
        entry.system, parts, specs=[f"{key}={spec}" for key, spec in entry.space.items()],
        settings=nested({k: v for k, v in given.items() if k not in entry.space}),
        first={k: v for k, v in given.items() if k in entry.space},
        metric=None if page.kind == "ranking" else page.select, minutes=minutes, out=held, progress=told,
    )  # fmt: skip
    record = {
        "bench": page.name, "version": page.version, "label": entry.label, "system": entry.system, "minutes": minutes,
        "metric": found.metric, "space": {k: str(axis) for k, axis in found.space.items()}, "settings": dict(given),
        "trials": [_plain(t) for t in found.trials], "best": found.best.number, "near": len(found.near),
        "plateau": found.plateau, "edges": found.edges, "ended": found.ended,
        "split": {"rule": parts.rule, "seed": parts.seed, "hash": parts.hash}, **circumstances(),
    }  # fmt: skip
    path = results_root() / "searches" / f"{page.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(json.dumps(record, sort_keys=True, default=str) + "\n")
    return record


def _plain(trial: Trial) -> dict[str, Any]:
    kept = ("number", "settings", "status", "value", "error", "epochs", "cpu", "said")
    return {k: v for k, v in asdict(trial).items() if k in kept and v not in (None, "")}
