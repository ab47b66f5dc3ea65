"""The bench of click predictors: labelled examples, one fit, probabilities against labels, and what pairs were found.

A row is judged as the network says it and as it is served, with its temperature. Each row's logits are kept beside the
labels and groups of the test part, so the table with its paired intervals is made without the data.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from interplay.benches import Bench, Entry
from interplay.data.examples import Examples
from interplay.data.fetch import cache
from interplay.data.read import load
from interplay.evaluate.labelled import JudgedExamples, parse
from interplay.learn.ranked import logit, sigmoid
from interplay.protocols.tables import figure, ruled, searched, tried
from interplay.ranking import METRICS, divide, fit_ranker, judge_ranker, milliseconds
from interplay.types import TEST, TRAIN, VALID, Array

SHOWN = 6  # pairs whose way through the search is shown
RESAMPLES = 200  # of the users, for the intervals of differences


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """Fit and judge one row: figures as the network says them and as they are served, with their temperature.

    `auc_new` is the AUC without the positives whose user and item training has seen together as a positive; `_valid`
    are figures of the validation rows, as the network says them.
    """
    data = load(page.data)
    division = divide(data, page.split, seed=page.split_seed)
    begun = time.perf_counter()
    held = cache() / "runs" / f"{page.name}-{page.version}-{entry.label}-{seed}"  # a row cut off goes on from here
    fitted = fit_ranker(
        entry.system, division, on=page.on, settings=entry.settings, seed=seed, seconds=entry.seconds, progress=_said,
        checkpoint=held,
    )  # fmt: skip
    spent = max(time.perf_counter() - begun, float(fitted.manifest["choice"].get("seconds", 0.0)))
    shutil.rmtree(held, ignore_errors=True)
    judged = judge_ranker(fitted, division, METRICS)
    raw = plain(fitted.model, judged)
    figures = judged.mean() | {
        f"{name}_raw": v for name, v in raw.mean().items() if name.startswith(("logloss", "ece"))
    }
    whole = fitted.model.examples(division.dataset)
    test, valid = (np.flatnonzero(whole.part == which) for which in (TEST, VALID))
    figures |= _named(plain(fitted.model, _said_of(fitted.model, whole.take(valid))), "valid")
    if {"user", "item"} <= set(whole.fields):
        kept = ~again(whole, test)
        new = {t: label[kept] for t, label in judged.labels.items()}
        said = {t: p[kept] for t, p in judged.said.items()}
        figures |= _named(replace(judged, labels=new, said=said, group=None, metrics=parse("auc")), "new")
    figures["ms"] = milliseconds(fitted.model, division.dataset)
    facts = {k: v for k, v in fitted.manifest["fitted"].items() if k not in ("losses",)}
    figures |= {name: float(facts[of]) for name, of in (("epochs", "best_epoch"), ("rows", "rows")) if of in facts}
    facts |= {"fit": round(spent, 2), "split": division.hash, "parameters": size(fitted.model)}
    return {
        "metrics": figures, "protocol": sentences(judged.protocol), "facts": facts, "rows": _kept(judged),
    }  # fmt: skip


def _said_of(model: Any, examples: Examples) -> JudgedExamples:
    """What a model says of some examples, to be judged by AUC and log loss."""
    return JudgedExamples(
        labels=examples.labels, said=model.predict(examples), group=None, metrics=parse("auc,logloss")
    )  # fmt: skip


def _named(judged: JudgedExamples, what: str) -> dict[str, float]:
    """Figures with `_what` behind the measure: auc_valid, or auc_valid:TASK."""
    told = {tuple(name.partition(":")): value for name, value in judged.mean().items()}
    return {f"{measure}_{what}{colon}{task}": value for (measure, colon, task), value in told.items()}


def _kept(judged: JudgedExamples) -> dict[str, Array]:
    """What is kept of each test row: logits, labels (-1 where not known) and the group."""
    logits = {f"logit_{t}": logit(p).astype(np.float16) for t, p in judged.said.items()}
    labels = {f"label_{t}": np.nan_to_num(label, nan=-1.0).astype(np.float16) for t, label in judged.labels.items()}
    return logits | labels | ({} if judged.group is None else {"group": judged.group.astype(np.int32)})


def size(model: Any) -> int:
    """Numbers that the model keeps, those of its vocabularies apart."""
    state = model.state()
    held = {**state.arrays, **{f"users.{k}": v for k, v in state.users.items()}}
    return sum(v.size for k, v in held.items() if not k.removeprefix("users.").startswith(("coder.", "crossed.")))


def sentences(protocol: Mapping[str, Any]) -> dict[str, str]:
    """What was judged and how, for people."""
    split_, rows = protocol["split"], protocol["rows"]
    notes = "; ".join(split_["notes"])
    return {
        "data": f"{protocol['data']}, {protocol['examples']}",
        "rows": f"{rows['train']:,} rows train, {rows['valid']:,} validate, {rows['test']:,} test (split "
        + (f"{split_['rule']}; {notes})" if notes else f"{split_['rule']})"),
        "positive": "Positive: " + ", ".join(f"{v:.1%} ({t})" for t, v in protocol["positive"].items()),
        "choice": "Epochs stop by the AUC of the validation rows, temperatures are fitted on them; test is read once",
    }


def plain(model: Any, judged: JudgedExamples) -> JudgedExamples:
    """The same before calibration."""
    told = model.fitted.get("temperature", {})
    told = told if isinstance(told, Mapping) else {}
    return replace(judged, said={t: sigmoid(logit(p) * told.get(t, 1.0)) for t, p in judged.said.items()})


def again(examples: Examples, rows: Array) -> Array:
    """bool[rows]: positives (of any task) whose user and item stand together in a positive of the training part."""
    positive = np.any([label > 0 for label in examples.labels.values()], axis=0)
    pair = examples.fields["user"].astype(np.int64) * (1 << 32) + examples.fields["item"]
    known = np.unique(pair[(examples.part == TRAIN) & positive])
    return positive[rows] & np.isin(pair[rows], known)


def _said(stage: str, facts: Mapping[str, Any]) -> None:
    told = (f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items())
    print(f"  {stage}: " + ", ".join(told), flush=True)


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Mean and s.d. over seeds, what was published, and the paired intervals of the differences from the baseline and
    from the rival of the row's group."""
    newest = list(held.values())[-1]
    drawn = _drawn(held, root)
    bases = [base for base in dict.fromkeys([page.baseline, *page.rivals.values()]) if base in drawn]
    head = ["system", *(COLUMNS.get(m, m.replace("_", " ")) for m in page.metrics)]
    head += [*(f"AUC against `{base}`" for base in bases), "published", "trials", "fit s"]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()) + f" {READ}", ""]
    lines += ruled(head)
    searches = searched(page, root)
    for group in page.columns():
        lines += [f"| **{group}** |" + " |" * (len(head) - 1)] if group else []
        for entry in page.entries:
            own = [r for (label, _), r in held.items() if label == entry.label]
            if entry.column != group or not own:
                continue
            cells = [entry.shown + (f" ({len(own)} seeds)" if len(own) > 1 else "")]
            cells += [_spread(_figures(own, m), m) for m in page.metrics]
            for base in bases:
                compared = entry.label != base and base in (page.baseline, page.rivals.get(group))
                cells.append(_gap(drawn[entry.label], drawn[base]) if compared else "")
            cells += [entry.published_text(), tried(entry, searches)]
            cells.append(f"{float(np.mean([r['facts']['fit'] for r in own])):.0f}")
            lines.append("| " + " | ".join(cells) + " |")
    for entry in page.entries:
        own = [r for (label, _), r in held.items() if label == entry.label and r["facts"].get("tried")]
        if own:
            lines += ["", *found(entry.label, own)]
            break
    return "\n".join([*lines, "", page.note] if page.note else lines)


COLUMNS = {
    "auc": "AUC", "logloss_raw": "log loss", "logloss": "scaled", "ece_raw": "ECE", "ece": "ECE, scaled",
    "gauc": "gAUC", "auc_new": "AUC, new pairs", "ms": "ms per 1,000", "rows": "combinations kept",
    "auc_valid": "valid AUC", "logloss_valid": "valid log loss",
}  # fmt: skip
READ = (
    "Scaled: with one temperature. New pairs: without the positives whose user and item training holds together as a "
    "positive. Brackets: s.d. over seeds; 95 % paired bootstrap over users, of the differences between the mean AUCs "
    "of the seeds. Milliseconds: the least over seeds, features joined. Parameters: all numbers that are kept."
)
FACTS = {"parameters": "parameters", "auc_valid": "best"}  # figures that also stand among the facts of a fit


def _figures(own: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """One figure of each seed that has it."""
    told = [r["metrics"].get(metric, r["facts"].get(FACTS.get(metric, ""))) for r in own]
    return [float(v) for v in told if v is not None]


def _spread(values: Sequence[float], metric: str) -> str:
    if not values:
        return ""
    if metric in ("rows", "parameters"):
        return f"{np.mean(values):,.0f}"
    if metric in ("ms", "epochs"):
        return f"{min(values) if metric == 'ms' else np.mean(values):.1f}"
    mean = f"{np.mean(values):.4f}".replace("0.", ".", 1)
    if len(values) == 1:
        return mean
    return f"{mean} [{np.std(values, ddof=1):.4f}]".replace("[0.", "[.")


def _labels(root: Path, records: Any) -> JudgedExamples | None:
    """The labels and groups of the test rows, from any record that keeps them; None where none does."""
    for record in records:
        frame = pl.read_parquet(root / record["users"]["file"])
        labels = {c.removeprefix("label_"): frame[c].to_numpy() for c in frame.columns if c.startswith("label_")}
        if labels:
            known = {t: np.where(v < 0, np.nan, v).astype(np.float32) for t, v in labels.items()}
            group = frame["group"].to_numpy().astype(np.int64) if "group" in frame.columns else None
            return JudgedExamples(labels=known, said={}, group=group, metrics=parse("auc"))
    return None


def _drawn(held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> dict[str, Array]:
    """label -> float64[1 + resamples]: the mean over a row's seeds of the first task's AUC, on all test rows and on
    each resample of the users, the same for every row. Empty where no record keeps labels."""
    judged = _labels(root, held.values())
    if judged is None:
        return {}
    task, label = next(iter(judged.labels.items()))
    rows = [np.arange(len(label)), *judged.resamples(0, RESAMPLES)]
    times = np.stack([np.bincount(r, minlength=len(label)) for r in rows]).astype(np.float32)
    seeds: dict[str, list[Array]] = {}
    for (name, _), record in held.items():
        logits = pl.read_parquet(root / record["users"]["file"])[f"logit_{task}"].to_numpy()
        seeds.setdefault(name, []).append(areas(label, logits, times))
    return {name: np.mean(own, axis=0) for name, own in seeds.items()}


def areas(label: Array, score: Array, times: Array) -> Array:
    """float64[r]: the AUC where every row counts so many times (float[r, n]), ties half; rows without a label do not.

    >>> areas(np.array([1, 0, 1, 0]), np.array([0.9, 0.9, 0.8, 0.1]), np.array([[1, 1, 1, 1], [3, 1, 1, 0]]))
    array([0.625, 0.375])
    """
    place = np.unique(score, return_inverse=True)[1]
    above, below = (  # how often each score stands among positives and among negatives, in each resample
        sparse.csr_array(((label == y).astype(np.float32), (place, np.arange(len(place))))) @ times.T for y in (1, 0)
    )
    beaten = below.cumsum(axis=0, dtype=np.float64) - below / 2
    both = above.sum(axis=0, dtype=np.float64) * below.sum(axis=0, dtype=np.float64)
    return np.divide((above * beaten).sum(axis=0), both, out=np.full(len(both), np.nan), where=both > 0)


def _gap(own: Array, base: Array) -> str:
    """The difference on all test rows, with its interval over the resamples."""
    gap = own - base
    told, low, high = (figure(v, signed=True) for v in (gap[0], *np.nanpercentile(gap[1:], [2.5, 97.5])))
    return f"{told} [{low}, {high}]"


# --------------------------------------------------------------------------------------------------------------------
# What a search of pairs found


def found(label: str, own: Sequence[Mapping[str, Any]]) -> list[str]:
    """The method of every pair, what each trial reached on validation, and alpha's shares along the search."""
    own = sorted(own, key=lambda r: int(r["seed"]))
    return [*_chosen(label, own), "", *_trials(own), *_alpha(own)]


def _chosen(label: str, own: Sequence[Mapping[str, Any]]) -> list[str]:
    said = {"memorize": "R", "factorize": "F", "naive": "-"}
    pairs = [{tuple(k.split(" x ")): said[v] for k, v in r["facts"]["chosen"].items()} for r in own]
    names = fields(own[0])
    lines = [
        f"What `{label}` chose for each pair of fields, one letter a seed: R remembered, F factorized, - left naive.",
        "", *ruled(["", *names[1:]]),
    ]  # fmt: skip
    for i, one in enumerate(names[:-1]):
        cells = ["".join(p[one, other] for p in pairs) if j > i else "" for j, other in enumerate(names) if j]
        lines.append("| " + " | ".join([f"**{one}**", *cells]) + " |")
    return lines


def fields(record: Mapping[str, Any]) -> list[str]:
    """The fields of a record's pairs in their order: the first of them stands first in all of its pairs."""
    pairs = [k.split(" x ") for k in record["facts"]["chosen"]]
    first = {name: sum(a == name for a, _ in pairs) for pair in pairs for name in pair}
    return sorted(first, key=lambda name: -first[name])


def _trials(own: Sequence[Mapping[str, Any]]) -> list[str]:
    """Narrow networks that remember more and more pairs, and the AUC that each reached on validation."""
    counts = sorted({t["pairs"] for r in own for t in r["facts"]["tried"]})
    lines = ["The AUC on validation of narrow networks that remember so many pairs.", ""]
    lines += ruled(["pairs remembered", *map(str, counts)])
    for r in own:
        reached = {t["pairs"]: f"{t['auc']:.4f}".replace("0.", ".", 1) for t in r["facts"]["tried"]}
        lines.append("| " + " | ".join([f"seed {r['seed']}", *(reached.get(c, "") for c in counts)]) + " |")
    return lines


def _alpha(own: Sequence[Mapping[str, Any]]) -> list[str]:
    """The softmax of alpha at the steps where it was written down: the pairs that end nearest to being remembered."""
    record = next((r for r in own if r["facts"].get("alpha_steps")), None)
    if record is None:
        return []
    names, steps = fields(record), record["facts"]["alpha_steps"]
    pairs = [f"{a} x {b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    shares = np.array(record["facts"]["alpha"])  # snapshots x pairs x methods
    order = np.argsort(-shares[-1, :, 0], kind="stable")
    lines = ["", f"Alpha's share of remembering by step of the search (seed {record['seed']}).", ""]
    lines += ruled(["step", *map(str, steps)])
    lines += ["| " + " | ".join([pairs[p], *(f"{v:.2f}" for v in shares[:, p, 0])]) + " |" for p in order[:SHOWN]]
    rest = shares[:, order[SHOWN:]].mean(axis=1) if len(order) > SHOWN else np.zeros((0, 0))
    for place, what in enumerate(("remembering", "factorizing", "leaving naive") if rest.size else ()):
        told = [f"mean of the other {len(order) - SHOWN}: {what}", *(f"{v:.2f}" for v in rest[:, place])]
        lines.append("| " + " | ".join(told) + " |")
    return lines
