"""Run the rows of a bench and append one record each to `results/`, where nothing is ever edited.

Each row runs in a process of its own, so that its seconds and its peak memory are its own. What is made of the records,
the tables of README and docs, stands in `reporting.py`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.benches import BENCHES, Bench, Entry
from interplay.cluster.crew import joined, spread
from interplay.data.fetch import cache
from interplay.data.ingest import peak_memory
from interplay.data.split import split
from interplay.errors import BadSetting, InterplayError, Unsupported, unknown
from interplay.evaluate.replay import replay, replay_queries
from interplay.experiment import beyond, dataset, fit
from interplay.fitted import Fitted
from interplay.learn.device import maker, usable
from interplay.systems import SYSTEMS
from interplay.types import TEST, Array, Run

PACKAGES = ("interplay", "numpy", "scipy", "numba", "polars", "torch")


def results_root() -> Path:
    """`results/` of the checkout, or INTERPLAY_RESULTS."""
    named = os.environ.get("INTERPLAY_RESULTS")
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2]
    return checkout / "results" if (checkout / "pyproject.toml").exists() else Path.cwd() / "results"


def bench(name: str, systems: Sequence[str] | None = None) -> Bench:
    """The bench called `name`, or a refusal with the nearest names; only the rows of these systems or labels."""
    if name not in BENCHES:
        raise unknown("bench", name, BENCHES)
    page = BENCHES[name]
    if systems is None:
        return page
    known = {e.label for e in page.entries} | {e.system for e in page.entries}
    for wanted in systems:
        if wanted not in known:
            raise unknown(f"row of bench {name!r}", wanted, known)
    return replace(page, entries=tuple(e for e in page.entries if {e.label, e.system} & set(systems)))


def records(name: str) -> list[dict[str, Any]]:
    """Everything recorded for a bench, oldest first."""
    path = results_root() / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


def reads(name: str) -> Counter[str]:
    """How often each row of a bench has read its test part: its records of all seeds, superseded ones too."""
    return Counter(r["label"] for r in records(name))


def recorded(page: Bench) -> dict[tuple[str, int], dict[str, Any]]:
    """The newest record of each (label, seed) of the page's rows, of the bench's present version."""
    rows = {e.label for e in page.entries}
    return {
        (r["label"], r["seed"]): r for r in records(page.name) if r["version"] == page.version and r["label"] in rows
    }


def run_bench(
    name: str,
    *,
    systems: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    resume: bool = False,
    workers: int = 0,
    device: str = "cpu",
    said: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Run the rows of a bench, each in its own process, and append one record each. `resume` skips what stands.

    With `workers`, so many rows run side by side over Ray, one core each, and their records say so: seconds of rows
    that shared a machine mean less. A row's first seed comes before the others, which learn for as many epochs.
    With a GPU as `device`, rows learn there, and their records name it.
    """
    page = bench(name, systems)
    _check_device(page, device, workers)
    done = recorded(page) if resume else {}
    left = []
    for entry in page.entries:
        for seed in seeds if seeds is not None else entry.seeds:
            if (entry.label, seed) in done:
                said(f"{name} {entry.label} seed {seed}: recorded, skipped")
            else:
                left.append((entry, seed))
    if workers:
        return _side_by_side(page, left, workers, resume, said)
    new = []
    for entry, seed in left:
        said(f"{name} {entry.label} seed {seed}: running")
        if not resume:
            shutil.rmtree(_checkpoint(page, entry.label, seed), ignore_errors=True)
        if subprocess.run(_command(name, entry.label, seed, device), check=False).returncode:
            raise InterplayError(f"{name} {entry.label} seed {seed} failed; its error stands above")
        new.append(records(name)[-1])
        said(_judged(new[-1]))
    return new


def _command(name: str, label: str, seed: int, device: str = "cpu") -> list[str]:
    return [sys.executable, "-m", "interplay.results", name, label, str(seed), device]


def _check_device(page: Bench, device: str, workers: int) -> None:
    """Refuse a device that is not there, or rows that would leave it idle or fight for it."""
    if usable(device) == "cpu":
        return
    if workers:
        raise BadSetting(f"rows side by side learn on the processor; on {device!r} they run one after the other")
    idle = [e.label for e in page.entries if page.kind != "collaborative" or not SYSTEMS[e.system].on_device]
    if idle:
        raise Unsupported(
            f"these rows of bench {page.name!r} learn on the processor: {', '.join(idle)}. Name others with --systems, "
            "or leave --device out"
        )


def _judged(record: Mapping[str, Any]) -> str:
    head = f"{record['bench']} {record['label']} seed {record['seed']}"
    return f"{head}: {figures(record['metrics'])} in {record['seconds']['all']:.0f} s"


def _side_by_side(
    page: Bench, left: Sequence[tuple[Entry, int]], workers: int, resume: bool, said: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows that each append to results of their own; what they hold is appended here, one after the other."""
    new = []
    with joined(workers):
        for first in (True, False):  # of a row's seeds
            rows = [(page, e.label, seed, resume) for e, seed in left if (seed == e.seeds[0]) == first]
            path = results_root() / f"{page.name}.jsonl"
            known = path.read_text() if path.exists() else ""
            for record, users in spread(_apart, rows, workers=workers, shared=known, ordered=False):
                record["machine"]["rows_at_once"] = workers
                if "test_reads" in record["protocol"]:
                    record["protocol"]["test_reads"] = reads(page.name)[record["label"]] + 1
                if users:
                    _write_users(record["users"]["file"], users)
                _append(record)
                new.append(record)
                said(_judged(record))
    return new


def _apart(known: str, row: tuple[Bench, str, int, bool]) -> tuple[dict[str, Any], bytes]:
    """The record of one row and its per-user file; `known` is what the bench's records were before."""
    page, label, seed, resume = row
    if not resume:
        shutil.rmtree(_checkpoint(page, label, seed), ignore_errors=True)
    with tempfile.TemporaryDirectory() as own:
        held = Path(own) / f"{page.name}.jsonl"
        held.write_text(known)
        done = subprocess.run(
            _command(page.name, label, seed), env=os.environ | {"INTERPLAY_RESULTS": own}, capture_output=True,
            text=True, check=False, preexec_fn=_end_with_parent,
        )  # fmt: skip
        if done.returncode:
            raise InterplayError(f"{page.name} {label} seed {seed} failed:\n{done.stderr.strip()[-2000:]}")
        record = json.loads(held.read_text().splitlines()[-1])
        return record, (Path(own) / record["users"]["file"]).read_bytes() if "users" in record else b""


def _end_with_parent() -> None:
    """A row does not outlive the worker that runs it (Linux; elsewhere it runs to its end unheard)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run_row(name: str, label: str, seed: int, *, device: str = "cpu", keep: bool = True) -> dict[str, Any]:
    """One row of a bench in this process: fit, judge, and (keep) append the record."""
    page = bench(name)
    entry = page.entry(label)
    if page.kind in OWN:
        return _own(page, entry, seed, keep=keep)
    begun = time.perf_counter()
    data = dataset(page.data)
    loaded = time.perf_counter()
    checkpoint = _checkpoint(page, label, seed) if keep else None
    if page.kind == "search":
        fitted = Fitted.learn(entry.system, data, settings=entry.settings, run=Run(seed=seed))
        fit_done = time.perf_counter()
        judged = replay_queries(fitted.model, data, split="test", metrics=page.metrics, relevant=page.relevant)
    else:
        parts = split(data, page.split, seed=page.split_seed)
        fitted = fit(
            entry.system, parts, on=page.on, settings=entry.settings, seed=seed, metric=page.select,
            seconds=entry.seconds, checkpoint=checkpoint, progress=_said, choice=_chosen(page, entry, seed),
            device=device,
        )  # fmt: skip
        fit_done = time.perf_counter()
        judged = replay(fitted.model, parts, which=TEST, on=page.on, metrics=page.metrics)
    end = time.perf_counter()
    nth = reads(name)[label] + 1
    record = {
        "bench": name,
        "version": page.version,
        "label": label,
        "system": entry.system,
        "seed": seed,
        "metrics": {m: round(float(v), 6) for m, v in judged.mean().items()},
        "groups": judged.groups(),
        "config": {"settings": dict(entry.settings), "seconds": entry.seconds},
        "fitted": fitted.manifest["fitted"],
        "choice": fitted.manifest.get("choice", {}),
        "protocol": {**judged.protocol, "test_reads": nth},
        "facts": {} if page.kind == "search" else {"panel": {m: round(v, 6) for m, v in beyond(judged, data).items()}},
        "command": f"interplay bench {name} --systems {label} --seeds {seed}"
        + ("" if device == "cpu" else f" --device {device}"),
        "seconds": {
            "load": round(loaded - begun, 2), "fit": round(fit_done - loaded, 2), "evaluate": round(end - fit_done, 2),
            "all": round(end - begun, 2),
        },
        "data": fitted.manifest["data"],
        **circumstances(device),
    }  # fmt: skip
    if keep:
        print(f"  {label} has read the test part {nth} times" + _warned(name, label, seed))
        columns = {m: np.asarray(v, np.float32) for m, v in judged.users.items()}
        record["users"] = _keep_users(name, page.version, label, seed, columns)
        _append(record)
        shutil.rmtree(_checkpoint(page, label, seed), ignore_errors=True)
    return record


def _warned(name: str, label: str, seed: int) -> str:
    """What is to be said when a row is judged that has a record with the same seed."""
    earlier = sum(r["label"] == label and r["seed"] == seed for r in records(name))
    if not earlier:
        return ""
    return f", {earlier + 1} of them with seed {seed}. WARNING: what is chosen by a second look is fitted to the test"


def _chosen(page: Bench, entry: Entry, seed: int) -> dict[str, Any] | None:
    """What validation chose for the row's first seed: further seeds learn for as many epochs."""
    first = recorded(page).get((entry.label, entry.seeds[0]))
    if seed == entry.seeds[0] or first is None or first["config"]["settings"] != dict(entry.settings):
        return None
    facts = {k: v for k, v in first["choice"].items() if k in ("chosen_on", "best", "best_epoch")}
    return {**facts, "chosen_with_seed": entry.seeds[0]} if facts.get("best_epoch") else None


def _checkpoint(page: Bench, label: str, seed: int) -> Path:
    """Where a row that was interrupted goes on from."""
    return cache() / "runs" / f"{page.name}-{page.version}-{label}-{seed}"


OWN = {kind: f"interplay.protocols.{module}" for kind, module in {  # kind -> the module whose `judge` judges it
    "ranking": "predicting", "sessions": "sessions", "readings": "readings", "offpolicy": "hindsight",
    "longterm": "lasting", "pairs": "lasting_pairs", "simulators": "simulating", "looks": "looks",
    "slating": "slating", "outcomes": "outcomes", "pages": "paging", "reordering": "reordering", "timing": "timing",
    "ordering": "ordering", "logged": "lasting_logged",
}.items()}  # fmt: skip


def _own(page: Bench, entry: Entry, seed: int, *, keep: bool) -> dict[str, Any]:
    """A row whose module judges it: `judge(page, entry, seed)` gives metrics, protocol and further facts."""
    begun = time.perf_counter()
    told = importlib.import_module(OWN[page.kind]).judge(page, entry, seed)
    record = {
        "bench": page.name, "version": page.version, "label": entry.label, "system": entry.system, "seed": seed,
        "metrics": {k: round(float(v), 6) for k, v in told["metrics"].items()},
        "config": {"settings": dict(entry.settings)}, "protocol": told["protocol"], "facts": told["facts"],
        "command": f"interplay bench {page.name} --systems {entry.label} --seeds {seed}",
        "seconds": {"all": round(time.perf_counter() - begun, 2)}, **circumstances(),
    }  # fmt: skip
    if keep:
        if "rows" in told:  # one value for each judged row, for paired tests
            record["users"] = _keep_users(page.name, page.version, entry.label, seed, told["rows"])
        _append(record)
    return record


def circumstances(device: str = "cpu") -> dict[str, Any]:
    """What else a record needs to be read later: packages, machine, memory, commit, date."""
    machine = {"cpu": platform.machine(), "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS")}
    return {
        "packages": {p: _version(p) for p in PACKAGES},
        "machine": machine | ({} if device == "cpu" else {"learnt_on": maker(device)}),
        "peak_memory": peak_memory(),
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _append(record: Mapping[str, Any]) -> None:
    root = results_root()
    root.mkdir(parents=True, exist_ok=True)
    with open(root / f"{record['bench']}.jsonl", "a") as out:
        out.write(json.dumps(record, sort_keys=True, default=str) + "\n")


def verify(
    name: str, *, systems: Sequence[str] | None = None, seed: int | None = None, said: Callable[[str], None] = print
) -> bool:
    """Rerun one recorded row, drawn at random, and say whether its metrics come out again (within .0005)."""
    page = bench(name, systems)
    held = list(recorded(page).values())
    if not held:
        raise BadSetting(f"bench {name!r} has no record yet; run it first: interplay bench {name}")
    record = held[int(np.random.default_rng(seed).integers(len(held)))]
    again = run_row(name, record["label"], record["seed"], keep=False)
    gap = max((abs(again["metrics"][m] - v) for m, v in record["metrics"].items()), default=0.0)
    said(f"{name} {record['label']} seed {record['seed']}: recorded {figures(record['metrics'])}")
    said(f"{'':{len(name)}} again: {figures(again['metrics'])}; largest difference {gap:.6f}")
    return gap <= 5e-4


def _keep_users(name: str, version: int, label: str, seed: int, columns: Mapping[str, Array]) -> dict[str, str]:
    """Write the per-user table beside the records; returns its path and hash."""
    held = io.BytesIO()
    pl.DataFrame(columns).write_parquet(held, compression="zstd", compression_level=19)
    digest = hashlib.sha256(held.getvalue()).hexdigest()
    file = f"users/{name}-{version}-{label}-{seed}-{digest[:8]}.parquet"  # none is ever overwritten
    _write_users(file, held.getvalue())
    return {"file": file, "sha256": digest}


def _write_users(file: str, table: bytes) -> None:
    path = results_root() / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table)


def read_users(record: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    path = results_root() / record["users"]["file"]
    if not path.exists():
        raise BadSetting(f"{path} is missing, though a record names it; restore it or run: {record['command']}")
    return {c.name: c.to_numpy() for c in pl.read_parquet(path)}


def short(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.4f}"


def figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{m} {short(v)}" for m, v in metrics.items())


def _said(stage: str, facts: Mapping[str, Any]) -> None:
    print(f"  {stage}: " + ", ".join(f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items()))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    """Of the code that runs: INTERPLAY_COMMIT where it lies outside its repository, as in a container."""
    if named := os.environ.get("INTERPLAY_COMMIT"):
        return named
    root = Path(__file__).resolve().parents[2]
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "src"], cwd=root, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def main(arguments: Sequence[str]) -> int:
    """`BENCH LABEL SEED DEVICE` runs one row in this process."""
    if len(arguments) != 4:
        print("usage: python -m interplay.results BENCH LABEL SEED DEVICE", file=sys.stderr)
        return 2
    run_row(arguments[0], arguments[1], int(arguments[2]), device=arguments[3])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
