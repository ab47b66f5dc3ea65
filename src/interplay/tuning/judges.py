"""How a trial is judged: after learning from the train part, on the validation part, of data without a test part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from interplay.data.split import Split
from interplay.errors import BadData, BadSetting
from interplay.evaluate import labelled
from interplay.evaluate.audit import audit
from interplay.evaluate.judged import Judged
from interplay.evaluate.labelled import JudgedExamples
from interplay.evaluate.queries import replay_queries
from interplay.evaluate.replay import Validation, validation
from interplay.fitted import built
from interplay.metrics import parse
from interplay.ranking import Division, fit_ranker, ranks
from interplay.systems import SYSTEMS
from interplay.types import TEST, TEST_FOLD, VALID, Dataset, Run

RESAMPLES = 50  # for the standard error of a figure over labelled rows


class Judge(Protocol):
    """Learns with these settings from the train part and judges on the validation part: value, error, n, epochs."""

    metric: str

    def __call__(
        self, system: str, settings: Mapping[str, Any], run: Run, *, first: bool
    ) -> tuple[float, float, int, int | None]: ...


def judge(system: str, parts: Split | Division, metric: str | None, people: int | None) -> Judge:
    """The judge that a data set and a system call for, over data that hold no test part any more."""
    if isinstance(parts, Division):
        if people is not None:
            raise BadSetting("--people draws people of a log; a ranker is judged by all its validation rows")
        return _Labels(division=_less_test(parts), metric=one_metric(metric or "auc", labels=True))
    if ranks(system):
        raise BadSetting(f"{system} learns from labelled examples: it takes ranking.divide(dataset), not a split")
    if not len(parts.dataset.events):
        if people is not None:
            raise BadSetting("--people draws people of a log; search is judged by all its validation queries")
        data, name = _queries_less_test(parts.dataset), one_metric(metric or "ndcg-linear@10", labels=False)
        return _Queries(dataset=data, part=_validating(data), metric=name)
    name = one_metric(metric or "ndcg@20", labels=False)
    kept = _split_less_test(parts)
    judging = validation(kept, name, at_most=people)
    assert len(judging.asked.requests)  # what is asked is made once, outside of any trial's time
    return _Lists(parts=kept, judging=judging, metric=name)


def one_metric(names: str, *, labels: bool) -> str:
    """The metric that a search chooses by; refused where it is unknown or one of several."""
    known = labelled.parse(names) if labels else parse(names)
    if len(known) != 1:
        raise BadSetting(f"a search needs one metric to choose by; found {', '.join(known)}")
    return next(iter(known))


def _split_less_test(parts: Split) -> Split:
    """The split without the events of its test part, in the same index space, and without what tables say of it."""
    kept = ~np.isin(parts.part, (TEST, TEST_FOLD))
    data = replace(parts.dataset.where(kept), tables=_tables_less_test(parts.dataset.tables))
    return replace(parts, dataset=data, part=parts.part[kept])


def _tables_less_test(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {n: t.filter(pl.col("split") != "test") if "split" in t.columns else t for n, t in tables.items()}


def _queries_less_test(data: Dataset) -> Dataset:
    for name in ("queries", "qrels"):
        if name not in data.tables or "split" not in data.tables[name].columns:
            raise BadData(
                f"{data.name!r} has no events, and its {name!r} do not say which of them may be chosen by; "
                "a search needs a column split there, with valid (or train) and test"
            )
    return replace(data, tables=_tables_less_test(data.tables))


def _validating(data: Dataset) -> str:
    held = data.tables["queries"]["split"].unique().to_list()
    for name in ("valid", "dev", "train"):  # nothing that searches learns from queries
        if name in held:
            return name
    raise BadData(f"the queries of {data.name!r} have no part but test ({held or 'none left'}); nothing to choose by")


def _less_test(division: Division) -> Division:
    return replace(division, dataset=division.fitted(), part=division.part[division.part != TEST])


@dataclass(kw_only=True, eq=False)
class _Lists:
    """Whole lists, for the people of the validation part."""

    parts: Split
    judging: Validation
    metric: str

    def __call__(
        self, system: str, settings: Mapping[str, Any], run: Run, *, first: bool
    ) -> tuple[float, float, int, int | None]:
        learnt, model = self.parts.fitted("train"), built(system, settings)
        epochs = system in SYSTEMS and SYSTEMS[system].epochs
        model.fit(learnt, run=replace(run, validation=self.judging if epochs else None))
        if first:  # all trials are given the same
            audit(self.parts, learnt, on="train", which=VALID, model=model, validation=self.judging)
        judged = self.judging.asked.judge(model, (self.metric,), also={})
        return *_mean(judged, self.metric), getattr(model, "fitted", {}).get("best_epoch") if epochs else None


@dataclass(kw_only=True, eq=False)
class _Queries:
    """Search, for the validation queries of a set that has no log."""

    dataset: Dataset
    part: str
    metric: str

    def __call__(
        self, system: str, settings: Mapping[str, Any], run: Run, *, first: bool
    ) -> tuple[float, float, int, int | None]:
        model = built(system, settings)
        model.fit(self.dataset, run=run)
        return *_mean(replay_queries(model, self.dataset, split=self.part, metrics=self.metric), self.metric), None


@dataclass(kw_only=True, eq=False)
class _Labels:
    """A ranker's predictions for the labelled rows of the validation part, by which it also stops."""

    division: Division
    metric: str

    def __call__(
        self, system: str, settings: Mapping[str, Any], run: Run, *, first: bool
    ) -> tuple[float, float, int, int | None]:
        model = fit_ranker(system, self.division, settings=settings, seed=run.seed, progress=run.progress).model
        whole = model.examples(self.division.dataset)
        rows = whole.take(np.flatnonzero(whole.part == VALID))
        judged = JudgedExamples(
            labels=rows.labels, said=model.predict(rows), group=rows.group, metrics=labelled.parse(self.metric)
        )
        figures = list(judged.mean().values())
        if not figures:
            raise BadData(f"the labels of the validation rows have no answer to {self.metric}")
        widths = [high - low for low, high in judged.intervals(resamples=RESAMPLES).values()]
        epochs = model.fitted.get("best_epoch") if SYSTEMS[system].epochs else None
        return float(np.mean(figures)), float(np.mean(widths)) / 3.92, len(rows), epochs


def _mean(judged: Judged, metric: str) -> tuple[float, float, int]:
    values = np.asarray(judged.users[metric], np.float64)
    n = len(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0, n
