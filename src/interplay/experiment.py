"""Fit, judge, append one result record.

One path for the command line and the benches: choose epochs on validation, refit on train + valid for that many, read
the test part once. Each bench row runs in a process of its own, so that its seconds and its peak memory are its own.
Records in `results/*.jsonl` are appended, never edited; the tables of README and docs are rendered from them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.benches import BENCHES, Bench, Entry
from interplay.data.fetch import cache
from interplay.data.ingest import peak_memory
from interplay.data.read import load
from interplay.data.report import Report
from interplay.data.split import Split, split
from interplay.errors import BadSetting, InterplayError, Mismatch, unknown
from interplay.evaluate.audit import audit
from interplay.evaluate.compare import compare, describe
from interplay.evaluate.judged import shown
from interplay.evaluate.labelled import JudgedExamples
from interplay.evaluate.panel import kinds, markdown, panel
from interplay.evaluate.replay import BLOCK, Asked, Judged, replay, replay_queries, validation
from interplay.fitted import Fitted, built, manifest
from interplay.metrics import parse
from interplay.ranking import METRICS, Division, divide, evaluate_ranker, fit_ranker, ranks
from interplay.systems import SYSTEMS
from interplay.types import TEST, Array, Dataset, Run

Progress = Callable[[str, Mapping[str, Any]], None]
PACKAGES = ("interplay", "numpy", "scipy", "numba", "polars", "torch")


# --------------------------------------------------------------------------------------------------------------------
# One fit, one judgement


def dataset(name: str | Path, *, time_unit: str | None = None, report: Report | None = None) -> Dataset:
    """A data set by name, a directory, a file, or the built-in `market` (`market:SEED`); arguments as of `load`."""
    kind, _, seed = str(name).partition(":")
    if kind == "market" and not Path(str(name)).exists():
        from interplay.worlds.market import market

        if seed and not seed.isdecimal():
            raise BadSetting(f"{name!r} names no market; expected market or market:SEED, with a whole number as seed")
        return market(seed=int(seed or 0)).dataset
    return load(name, time_unit=time_unit, report=report)


def divided(system: str, data: Dataset, rule: str | None = None, *, seed: int = 0) -> Split | Division:
    """The parts of a data set as a system needs them: of the log, or for a ranker of its labelled examples."""
    return divide(data, rule, seed=seed) if ranks(system) else split(data, rule, seed=seed)


def fit(
    system: str,
    parts: Split | Division,
    *,
    on: str = "train",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    metric: str = "ndcg@20",
    seconds: float | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    choice: Mapping[str, Any] | None = None,
) -> Fitted:
    """Fit on the split's train part, or choose the epochs there and refit on train + valid for that many.

    A system that learns in epochs is judged by `metric` on the validation part; nothing reads the test part here.
    A ranker stops by the AUC of the validation rows. `choice` is what an earlier fit of the same settings with another
    seed chose: its epochs are taken over.
    """
    if isinstance(parts, Division):
        return fit_ranker(
            system, parts, on=on, settings=settings, seed=seed, seconds=seconds, checkpoint=checkpoint,
            progress=progress, choice=choice,
        )  # fmt: skip
    if on not in ("train", "train+valid"):
        raise BadSetting(f"--on is {on!r}; expected 'train' or 'train+valid'")
    parse(metric)  # a wrong one is refused even where nothing is chosen by it
    settings = dict(settings or {})
    common: dict[str, Any] = {"seed": seed, "seconds": seconds} | ({"progress": progress} if progress else {})
    begun = time.perf_counter()
    model = built(system, settings)
    learns = system in SYSTEMS and SYSTEMS[system].epochs
    facts: dict[str, Any] = {} if choice is None else dict(choice)
    judge = validation(parts, metric) if learns else None
    if on == "train" or (learns and not facts):
        run = Run(validation=judge, checkpoint=checkpoint and checkpoint / "choose", **common)
        model.fit(parts.fitted("train"), run=run)
        facts = {"chosen_on": metric, **getattr(model, "fitted", {})} if learns else {}
    if on == "train+valid":
        epochs = facts.get("best_epoch")
        model = built(system, settings)
        run = Run(epochs=epochs, checkpoint=checkpoint and checkpoint / "refit", **common)
        model.fit(parts.fitted(on), run=run)
    audit(parts, parts.fitted(on), on=on, which=TEST, model=model, validation=judge if on == "train" else None)
    told = manifest(
        system, parts.dataset, settings, run, model, seconds=time.perf_counter() - begun, choice=facts,
        split={"rule": parts.rule, "seed": parts.seed, "hash": parts.hash, "on": on},
    )  # fmt: skip
    return Fitted(model=model, dataset=parts.fitted(on), manifest=told)


def evaluate(
    fitted: Fitted,
    data: Dataset,
    *,
    metrics: Sequence[str] | None = None,
    history: str | None = None,
    seen: str = "drop",
    log: Path | None = None,
) -> Judged | JudgedExamples:
    """Judge a fitted system on the test part of the very split it was fitted with.

    By default a ranker is judged by AUC, log loss, AUC per group and calibration, all else by recall@20 and ndcg@20.
    The read is appended to `log`; the command line keeps one in the model directory.
    """
    told = fitted.manifest
    if told["data"]["fingerprint"] != data.fingerprint:
        raise Mismatch(
            f"this model was fitted on {told['data']['name']!r} ({told['data']['n_events']} events, fingerprint "
            f"{told['data']['fingerprint'][:12]}); the data given are {data.name!r} ({len(data.events)} events, "
            f"{data.fingerprint[:12]}). Evaluate on the data it was fitted on, or fit it again"
        )
    if ranks(fitted.name):
        return evaluate_ranker(fitted, data, metrics or METRICS, log=log)
    if "split" not in told:
        raise Mismatch("this model was fitted on everything, so no test part is left; fit it with a split to judge it")
    parts = split(data, told["split"]["rule"], seed=told["split"]["seed"])
    if parts.hash != told["split"]["hash"]:
        raise Mismatch(
            f"the split {parts.rule} with seed {parts.seed} has hash {parts.hash[:12]}; the model was fitted with "
            f"{told['split']['hash'][:12]}. It was made by another version: fit it again"
        )
    return replay(
        fitted.model, parts, which=TEST, on=told["split"]["on"], metrics=tuple(metrics or ("recall@20", "ndcg@20")),
        seen=seen, history=history, log=log,
    )  # fmt: skip


def beyond(judged: Judged, data: Dataset) -> dict[str, float]:
    """What the judged lists are beside accurate: the panel, from the same requests, asked as their protocol says.

    Distances are of the catalogue's categories, where it has them; the obvious list of `serendipity` is `popular`'s.
    """
    told = judged.protocol
    parts = split(data, told["split"]["rule"], seed=told["split"]["seed"])
    learnt, k = parts.fitted(told["on"]), judged.slates.items.shape[1]
    asked = Asked.of(parts, TEST, on=told["on"], seen=told["seen"], history=told["history"])
    obvious, _ = shown(built("popular").fit(learnt), asked.requests, k, block=BLOCK)
    space = kinds(data)
    return panel(judged, learnt, k=k, vectors=space, genres=space, primitive=obvious)


# --------------------------------------------------------------------------------------------------------------------
# Benches


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
    """The newest record of each (label, seed) of the bench's present version."""
    return {(r["label"], r["seed"]): r for r in records(page.name) if r["version"] == page.version}


def _some(page: Bench, systems: Sequence[str] | None) -> dict[tuple[str, int], dict[str, Any]]:
    """`recorded`, of the page's rows alone where only some were asked for."""
    rows = {e.label for e in page.entries}
    return {key: record for key, record in recorded(page).items() if systems is None or key[0] in rows}


def run_bench(
    name: str,
    *,
    systems: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    resume: bool = False,
    said: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Run the rows of a bench, each in its own process, and append one record each. `resume` skips what stands."""
    page = bench(name, systems)
    done = recorded(page)
    new = []
    for entry in page.entries:
        for seed in seeds if seeds is not None else entry.seeds:
            if resume and (entry.label, seed) in done:
                said(f"{name} {entry.label} seed {seed}: recorded, skipped")
                continue
            said(f"{name} {entry.label} seed {seed}: running")
            if not resume:
                shutil.rmtree(_checkpoint(page, entry.label, seed), ignore_errors=True)
            command = [sys.executable, "-m", "interplay.experiment", "row", name, entry.label, str(seed)]
            if subprocess.run(command, check=False).returncode:
                raise InterplayError(f"{name} {entry.label} seed {seed} failed; its error stands above")
            new.append(record := records(name)[-1])
            said(f"{name} {entry.label} seed {seed}: {_figures(record['metrics'])} in {record['seconds']['all']:.0f} s")
    return new


def run_row(name: str, label: str, seed: int, *, keep: bool = True) -> dict[str, Any]:
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
        "command": f"interplay bench {name} --systems {label} --seeds {seed}",
        "seconds": {
            "load": round(loaded - begun, 2), "fit": round(fit_done - loaded, 2), "evaluate": round(end - fit_done, 2),
            "all": round(end - begun, 2),
        },
        "data": fitted.manifest["data"],
        **_circumstances(),
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
        "seconds": {"all": round(time.perf_counter() - begun, 2)}, **_circumstances(),
    }  # fmt: skip
    if keep:
        if "rows" in told:  # one value for each judged row, for paired tests
            record["users"] = _keep_users(page.name, page.version, entry.label, seed, told["rows"])
        _append(record)
    return record


def _own_table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]]) -> str:
    """Rows of figures, grouped; the sentence above says how they came about."""
    newest = list(held.values())[-1]
    published = any(entry.published for entry in page.entries)
    head = ["row", *(m.replace("_", " ") for m in page.metrics), *(["published"] if published else []), "s"]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    for group in page.columns():
        lines += [f"| **{group}** |" + " |" * (len(head) - 1)] if group else []
        for entry in page.entries:
            own = [r for (label, _), r in held.items() if label == entry.label]
            if entry.column == group and own:
                told = [[r["metrics"][m] for r in own if m in r["metrics"]] for m in page.metrics]
                cells = [_short(float(np.mean(values))) if values else "" for values in told]
                cells += [entry.published_text()] if published else []
                spent = np.mean([r["seconds"]["all"] for r in own])
                lines.append("| " + " | ".join([entry.shown, *cells, f"{spent:.0f}"]) + " |")
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _circumstances() -> dict[str, Any]:
    """What else a record needs to be read later: packages, machine, memory, commit, date."""
    return {
        "packages": {p: _version(p) for p in PACKAGES},
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS")},
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
    held = list(_some(page, systems).values())
    if not held:
        raise BadSetting(f"bench {name!r} has no record yet; run it first: interplay bench {name}")
    record = held[int(np.random.default_rng(seed).integers(len(held)))]
    again = run_row(name, record["label"], record["seed"], keep=False)
    gap = max((abs(again["metrics"][m] - v) for m, v in record["metrics"].items()), default=0.0)
    said(f"{name} {record['label']} seed {record['seed']}: recorded {_figures(record['metrics'])}")
    said(f"{'':{len(name)}} again: {_figures(again['metrics'])}; largest difference {gap:.6f}")
    return gap <= 5e-4


def _keep_users(name: str, version: int, label: str, seed: int, columns: Mapping[str, Array]) -> dict[str, str]:
    """Write the per-user table beside the records; returns its path and hash."""
    held = io.BytesIO()
    pl.DataFrame(columns).write_parquet(held, compression="zstd", compression_level=19)
    digest = hashlib.sha256(held.getvalue()).hexdigest()
    path = (
        results_root() / "users" / f"{name}-{version}-{label}-{seed}-{digest[:8]}.parquet"
    )  # none is ever overwritten
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(held.getvalue())
    return {"file": f"users/{path.name}", "sha256": digest}


# --------------------------------------------------------------------------------------------------------------------
# Tables


def table(name: str, *, systems: Sequence[str] | None = None, beside: bool = True) -> str:
    """The bench as Markdown: the protocol above, ours beside the published figures, intervals and paired tests.

    `systems`: of these rows alone. `beside`: with a second table of what the lists are beside accurate, where records
    tell it.
    """
    page = bench(name, systems)
    held = _some(page, systems)
    if not held:
        return f"*No record of bench `{name}` yet: `interplay bench {name}`.*"
    if page.kind in OWN:
        module = importlib.import_module(OWN[page.kind])
        return module.table(page, held, results_root()) if hasattr(module, "table") else _own_table(page, held)
    first = page.metrics[0]
    users = {}
    for entry in page.entries:
        own = [r for (label, _), r in held.items() if label == entry.label]
        if own:
            users[entry.label] = [_read_users(r) for r in own]
    rows = compare(users, metrics=page.metrics, baseline=page.baseline if page.baseline in users else next(iter(users)))
    some, read = next(iter(held.values())), reads(name)
    counted = any(e.trials is not None for e in page.entries if e.label in users)
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
            cells = [f"{entry.shown}" + (f" ({len(own)} seeds)" if len(own) > 1 else "")]
            cells += [_short(row.mean[m]) for m in page.metrics]
            cells.append(f"{_short(row.low[first])} to {_short(row.high[first])}")
            cells += [_short(np.mean([r["groups"][g][first] for r in own])) for g in apart]
            cells.append("" if entry.label == rows.baseline else f"{row.verdict} ({row.difference[first]:+.4f})")
            cells.append(entry.published_text())
            cells += [("" if entry.trials is None else str(entry.trials))] if counted else []
            cells.append(str(read[entry.label]))
            cells.append(f"{np.mean([r['seconds']['fit'] for r in own]):.0f}")
            cells.append(f"{np.mean([r['seconds']['all'] for r in own]):.0f}")
            cells.append(f"{max(r['peak_memory'] for r in own) / 2**30:.1f}")
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["", page.note] if page.note else []
    return "\n".join(lines + (_beside(page, held) if beside else []))


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


def _read_users(record: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    path = results_root() / record["users"]["file"]
    if not path.exists():
        raise BadSetting(f"{path} is missing, though a record names it; restore it or run: {record['command']}")
    return {c.name: c.to_numpy() for c in pl.read_parquet(path)}


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


def _short(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.4f}"


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{m} {_short(v)}" for m, v in metrics.items())


def _said(stage: str, facts: Mapping[str, Any]) -> None:
    print(f"  {stage}: " + ", ".join(f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items()))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "src"], cwd=root, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def main(arguments: Sequence[str]) -> int:
    """`row BENCH LABEL SEED` runs one row here; `docs` renders the tables of README and docs."""
    if arguments[:1] == ["row"]:
        run_row(arguments[1], arguments[2], int(arguments[3]))
    elif arguments[:1] == ["docs"]:
        root = results_root().parent
        for path in render([root / "README.md", *sorted((root / "docs").rglob("*.md"))]):
            print(f"rendered {path.relative_to(root)}")
    else:
        print("usage: python -m interplay.experiment row BENCH LABEL SEED | docs", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
