"""Rankers on labelled examples: the parts they learn from and are judged on, one fit, one judgement.

    division = divide(dataset, None, seed=0)          # the examples' own split, else by time, else drawn
    fitted = fit_ranker("dcn-v2", division)           # stopped early by the validation part
    judge_ranker(fitted, division).mean()             # auc, logloss ... on the test part, read once

What a ranker learns from holds no test row: it is taken out before the fit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data.features import FeatureView
from interplay.data.labelled import parts_of
from interplay.data.split import split
from interplay.data.tables import SPOKEN
from interplay.errors import BadData, BadSetting, Mismatch, unknown
from interplay.evaluate.labelled import JudgedExamples, parse
from interplay.evaluate.reads import note, refuse_second
from interplay.fitted import Fitted, built, manifest
from interplay.systems import SYSTEMS
from interplay.types import TEST, TRAIN, VALID, Array, Dataset, Requests, Run, Slates

METRICS = ("auc", "logloss", "gauc", "ece")
RULES = ("given", "time", "user-time", "last-out", "random")


def ranks(name: str) -> bool:
    """Whether a system learns from labelled examples and orders candidates, instead of finding them."""
    return name in SYSTEMS and "examples" in SYSTEMS[name].needs


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """A dataset whose labelled rows say which part they belong to."""

    dataset: Dataset  # its examples, impressions or events carry the parts
    rule: str
    seed: int
    part: Array  # int8 per row of the table (or event) that the examples are made from
    source: str  # examples, impressions or events
    notes: tuple[str, ...] = ()

    @cached_property
    def hash(self) -> str:
        """sha256 of the data, the rule, the seed and the parts."""
        h = hashlib.sha256(f"{self.rule}:{self.seed}:{self.source}:{self.dataset.fingerprint}:".encode())
        h.update(np.ascontiguousarray(self.part, np.int8).tobytes())
        return h.hexdigest()

    @property
    def sizes(self) -> dict[str, int]:
        return {SPOKEN[p]: int((self.part == p).sum()) for p in SPOKEN}

    def fitted(self) -> Dataset:
        """What may be learnt from: train and valid rows, each saying which it is."""
        d, learnt = self.dataset, self.part != TEST
        if self.source == "events":
            return d.where(learnt)
        table = d.tables[self.source].filter(pl.Series(learnt))
        kept = replace(d, tables={**d.tables, self.source: table})
        if self.source == "impressions" and d.events.time is not None and not learnt.all():
            cut = int(d.tables["impressions"]["timestamp"].cast(pl.Int64).to_numpy()[~learnt].min())
            kept = kept.where(d.events.time < cut)
        return kept


def divide(
    dataset: Dataset, rule: str | None = None, *, seed: int = 0, valid: float = 0.1, test: float = 0.1
) -> Division:
    """Give every labelled row its part; `rule` None takes given if the data say so, else time, else random.

    Errors: BadData where nothing is labelled, or a part that is needed is empty.
    """
    if rule is not None and rule not in RULES:
        raise unknown("split of labelled examples", rule, RULES)
    source = next((t for t in ("examples", "impressions") if len(dataset.tables.get(t, ()))), "events")
    if source == "events":
        parts = split(dataset, rule, seed=seed, valid=valid, test=test)
        events = replace(parts.dataset.events, part=parts.part)
        return Division(
            dataset=replace(dataset, events=events), rule=parts.rule, seed=seed, part=parts.part, source=source,
            notes=parts.notes,
        )  # fmt: skip
    table = dataset.tables[source]
    rule = rule or ("given" if "split" in table.columns else "time" if "timestamp" in table.columns else "random")
    part, notes = _parts(dataset, source, rule, seed, valid, test)
    said = pl.Series("split", part).replace_strict(SPOKEN, return_dtype=pl.String)
    tables = {**dataset.tables, source: table.with_columns(said)}
    return Division(
        dataset=replace(dataset, tables=tables), rule=rule, seed=seed, part=part, source=source, notes=notes
    )


def _parts(
    dataset: Dataset, source: str, rule: str, seed: int, valid: float, test: float
) -> tuple[Array, tuple[str, ...]]:
    table, rng, notes = dataset.tables[source], np.random.default_rng([seed, 3]), []
    n = len(table)
    if rule == "given":
        part = parts_of(table)
        if part is None:
            raise BadData(f"the {source} of {dataset.name!r} have no split column; choose time or random")
        part = part.copy()
    elif rule == "time":
        if "timestamp" not in table.columns:
            raise BadData(f"the {source} of {dataset.name!r} have no timestamp column; choose random or given")
        at = table["timestamp"].cast(pl.Int64).to_numpy()
        first, second = np.quantile(at, [1 - valid - test, 1 - test], method="higher")
        part = np.where(at >= second, TEST, np.where(at >= first, VALID, TRAIN)).astype(np.int8)
    elif rule == "random":
        draw = rng.random(n)
        part = np.where(draw < test, TEST, np.where(draw < test + valid, VALID, TRAIN)).astype(np.int8)
    else:
        raise BadData(
            f"a split by {rule} needs a log; the {source} of {dataset.name!r} can be split by given, time, random"
        )
    if not (part == VALID).any():
        train = np.flatnonzero(part == TRAIN)
        drawn = rng.permutation(train)[: round(valid * len(train))]
        part[drawn] = VALID
        notes.append(f"no part was for validation: {valid:.0%} of the training rows were drawn (seed {seed})")
    for which in (TRAIN, TEST):
        if not (part == which).any():
            raise BadData(f"the {source} of {dataset.name!r} have no {SPOKEN[which]} rows under the split {rule!r}")
    return part, tuple(notes)


def fit_ranker(
    system: str,
    division: Division,
    *,
    on: str = "train",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    seconds: float | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[str, Mapping[str, Any]], None] | None = None,
    choice: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> Fitted:
    """Fit on the training rows, stopped early and calibrated by the validation rows.

    `on` "train+valid" fits once more, on both, for as many epochs as were best; that model is not calibrated.
    """
    if on not in ("train", "train+valid"):
        raise BadSetting(f"--on is {on!r}; expected 'train' or 'train+valid'")
    settings, data = dict(settings or {}), division.fitted()
    common: dict[str, Any] = {"seed": seed, "seconds": seconds, "device": device}
    common |= {"progress": progress} if progress else {}
    begun, facts = time.perf_counter(), dict(choice or {})
    model, run = built(system, settings), Run(checkpoint=checkpoint and checkpoint / "choose", **common)
    if on == "train" or not facts:
        model.fit(data, run=run)
        facts = {"chosen_on": "auc", **model.fitted}
    if on == "train+valid":
        model = built(system, settings)
        run = Run(epochs=facts.get("best_epoch"), checkpoint=checkpoint and checkpoint / "refit", **common)
        model.fit(data, run=run)
    told = manifest(
        system, division.dataset, settings, run, model, seconds=time.perf_counter() - begun, choice=facts,
        split={"rule": division.rule, "seed": division.seed, "hash": division.hash, "on": on},
    )  # fmt: skip
    told["data"]["n_examples"] = len(division.part)
    return Fitted(model=model, dataset=data, manifest=told)


def judge_ranker(
    fitted: Fitted,
    division: Division,
    metrics: Sequence[str] = METRICS,
    *,
    reread: bool = False,
    log: Path | None = None,
) -> JudgedExamples:
    """What a fitted ranker says of the test rows, against their labels; the test part is read once."""
    names, model = parse(metrics), fitted.model
    refuse_second(model, division.hash, reread=reread)
    whole = model.examples(division.dataset)
    test = whole.take(np.flatnonzero(whole.part == TEST))
    begun = time.perf_counter()
    said = model.predict(test)
    seconds = time.perf_counter() - begun
    protocol = {
        "data": division.dataset.name, "fingerprint": division.dataset.fingerprint,
        "split": {"rule": division.rule, "seed": division.seed, "hash": division.hash, "notes": list(division.notes)},
        "examples": whole.said, "rows": division.sizes, "part": "test", "on": fitted.manifest["split"]["on"],
        "positive": {t: round(float(np.nanmean(v)), 4) for t, v in test.labels.items()},
        "groups": None if test.group is None else len(np.unique(test.group)), "requests": len(test),
        "system": type(model).__name__, "metrics": list(names),
    }  # fmt: skip
    judged = JudgedExamples(
        labels=test.labels, said=said, group=test.group, metrics=names, protocol=protocol, seconds=seconds
    )
    read = note(model, division.hash, tuple(names), data=division.dataset.fingerprint, log=log)
    told: dict[str, Any] = {"test_reads": read.nth}
    absent = [n for n in judged.columns() if n not in judged.mean()]
    if absent:
        told["no_answer"] = f"these labels say nothing of {', '.join(absent)}"
    return replace(judged, protocol={**protocol, **told})


def evaluate_ranker(
    fitted: Fitted, data: Dataset, metrics: Sequence[str] = METRICS, *, log: Path | None = None
) -> JudgedExamples:
    """Judge a fitted ranker on the test part of the very split it was fitted with."""
    told = fitted.manifest
    if "split" not in told:
        raise Mismatch("this model was fitted on everything, so no test part is left; fit it with a split to judge it")
    division = divide(data, told["split"]["rule"], seed=told["split"]["seed"])
    if division.hash != told["split"]["hash"]:
        raise Mismatch(
            f"the split {division.rule} with seed {division.seed} has hash {division.hash[:12]}; the model was fitted "
            f"with {told['split']['hash'][:12]}. Judge it on the data it was fitted on, or fit it again"
        )
    return judge_ranker(fitted, division, metrics, log=log)


def milliseconds(model: Any, dataset: Dataset, n: int = 1000, times: int = 5) -> float:
    """The least wall time of ranking `n` candidates for one request, features joined, on the threads that torch has."""
    view, items = FeatureView(dataset), np.arange(n, dtype=np.int32)[None, :] % max(dataset.n_items, 1)
    slates = Slates(items=items, scores=np.zeros(items.shape, np.float32))
    at = None if dataset.events.time is None else dataset.events.time[-1:] + 1
    requests = Requests.of(dataset, np.zeros(1, np.int32), at=at)
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        model.rank(requests, slates, view)
        spent.append(time.perf_counter() - begun)
    return 1000.0 * min(spent)
