"""A search for settings that is honest, equal for everybody and recorded (`pip install 'interplay[tune]'`).

    parts = divided("ease", dataset("ml-100k"), "user-time")
    found = tune("ease", parts, minutes=2, out=Path("ease-search"))
    found.best.settings                                 # {"ridge": 214.0}

Every trial learns from the train part and is judged on the validation part; the test part is taken out of the data
before the first trial. The first trial is the settings as they stand, so nobody is worse off for having searched. What
is spent is the processor time of the trials, which is the same for one worker and for eight. Trials are appended to
`trials.jsonl` as they end, and a search that was killed goes on from there.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interplay.cluster import Lost, spread
from interplay.configure import flattened, nested
from interplay.data.split import Split
from interplay.errors import BadSetting, InterplayError, Leakage, MissingExtra, unknown
from interplay.ranking import Division, ranks
from interplay.systems import SYSTEMS
from interplay.tuning.judges import Judge, judge, one_metric
from interplay.tuning.sampler import METHODS, Sampler, library
from interplay.tuning.spaces import Axis, recipe_of, space, standing
from interplay.tuning.trials import Log, Trial, Tuned, sign
from interplay.types import Run

__all__ = ["Trial", "Tuned", "tune"]

Progress = Callable[[str, Mapping[str, Any]], None]
HOPELESS = 10  # trials that fail, with none that does not, end a search


def tune(
    system: str,
    parts: Split | Division,
    *,
    specs: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    first: Mapping[str, Any] | None = None,
    metric: str | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    people: int | None = None,
    workers: int = 0,
    seed: int = 0,
    sampler: str = "tpe",
    out: Path | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Search the settings of a row or recipe on the validation part of a split, until a budget is spent.

    specs      what is searched, as `ridge=1..100 log`; by default the row's own space (tuning/spaces.py)
    settings   what is set and not searched
    first      what is searched, as the first trial has it where that is not as it stands, such as published settings
    metric     by default ndcg@20; for a set of texts and queries ndcg-linear@10; for rankers auc
    minutes    of processor time, over all workers; a trial that is under way may finish
    trials     how many, failed ones among them
    people     judge a drawn sample of so many people of the validation part, the same for every trial
    workers    0: this process, and then the same seed gives the same search; else so many Ray workers
    out        a directory that keeps the trials; a search that is there already goes on

    Errors: BadSetting where no trial gave a figure; Mismatch where `out` holds another search.
    """
    axes = asked(
        system, specs, settings or {}, minutes=minutes, trials=trials, people=people, sampler=sampler, metric=metric
    )
    first = flattened(first or {})
    for key in first:
        if key not in axes:
            raise unknown("searched setting", key, axes)
    judging, recipe = judge(system, parts, metric, people), recipe_of(system)
    about = {
        "system": system, "settings": flattened(settings or {}), "space": {k: str(a) for k, a in axes.items()},
        "metric": judging.metric, "people": people, "seed": seed, "sampler": sampler, "data": parts.dataset.name,
        "split": {"rule": parts.rule, "seed": parts.seed, "hash": parts.hash},
        "recipe": recipe and hashlib.sha256(recipe.text.encode()).hexdigest(),
    } | ({"first": first} if first else {})  # fmt: skip
    search = _Search(
        task=_Task(
            system=system, settings=dict(settings or {}), seed=seed, judge=judging, said=None if workers else progress,
        ), axes=axes, first=first,
        sampler=Sampler(axes, method=sampler, seed=seed, sign=sign(judging.metric)),
        seconds=None if minutes is None else 60 * minutes, most=trials, log=Log.at(out, about), said=progress,
    )  # fmt: skip
    search.go(workers)
    done = Tuned(
        system=system, metric=judging.metric, space=axes, trials=tuple(sorted(search.trials, key=lambda t: t.number)),
        ended=search.ended,
    )  # fmt: skip
    if not done.ranked:
        last = done.trials[-1].said if done.trials else "none was begun"
        raise BadSetting(f"none of {len(done.trials)} trials of {system} gave a figure; the last one: {last}")
    return done


def asked(
    system: str, specs: Sequence[str], settings: Mapping[str, Any], *, minutes: float | None, trials: int | None,
    people: int | None, sampler: str, metric: str | None = None,
) -> dict[str, Axis]:  # fmt: skip
    """What is searched, or a refusal of whatever can be refused before any data are read."""
    if minutes is None and trials is None:
        raise BadSetting("a search needs a budget: --minutes of processor time, or a number of --trials")
    if (minutes is not None and not 0 < minutes < math.inf) or (trials is not None and trials < 1):
        raise BadSetting(f"a budget of {minutes} minutes and {trials} trials; expected more than nothing")
    if sampler not in METHODS:
        raise unknown("sampler", sampler, METHODS)
    if people is not None and people < 2:
        raise BadSetting(f"people is {people}; two are the fewest that a standard error can be told of")
    if system in SYSTEMS and SYSTEMS[system].kind != "model":
        raise BadSetting(f"{system} is a {SYSTEMS[system].kind}; what can be tuned finds or ranks items by itself")
    if metric is not None:
        one_metric(metric, labels=ranks(system))
    library()
    return space(system, specs, settings)


# --------------------------------------------------------------------------------------------------------------------
# One trial


@dataclass(kw_only=True, eq=False)
class _Task:
    """What all trials share."""

    system: str
    settings: Mapping[str, Any]
    seed: int
    judge: Judge
    said: Progress | None  # what a trial says while it learns, in this process


@dataclass(frozen=True)
class _Job:
    number: int
    settings: Mapping[str, Any]


def _tried(task: _Task, job: _Job) -> Trial:
    """Learn and judge once. What a setting can be the reason of is kept as a failure; anything else comes out."""
    begun, cpu = time.perf_counter(), time.process_time()
    run = Run(seed=task.seed) if task.said is None else Run(seed=task.seed, progress=task.said)
    told: dict[str, Any]
    try:
        value, error, judged, epochs = task.judge(
            task.system, _laid_over(task.settings, job.settings), run, first=job.number == 0
        )
        if not math.isfinite(value):
            raise BadSetting(f"{task.judge.metric} is {value}")
        told = {"value": value, "error": error, "judged": judged, "epochs": epochs}
    except (Leakage, MissingExtra):
        raise
    except (InterplayError, ArithmeticError, np.linalg.LinAlgError) as problem:
        told = {"status": "failed", "said": str(problem)}
    except MemoryError as problem:
        told = {"status": "failed", "said": f"out of memory{f': {problem}' if str(problem) else ''}"}
    except RuntimeError as problem:  # how torch says that memory is out
        if "memory" not in str(problem):
            raise
        told = {"status": "failed", "said": str(problem).splitlines()[0]}
    return Trial(
        number=job.number, settings=job.settings, seed=task.seed, seconds=round(time.perf_counter() - begun, 3),
        cpu=round(time.process_time() - cpu, 3), **told,
    )  # fmt: skip


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    return nested({**flattened(below), **above})


# --------------------------------------------------------------------------------------------------------------------
# The search


@dataclass(kw_only=True, eq=False)
class _Search:
    """Where a search stands."""

    task: _Task
    axes: Mapping[str, Axis]
    first: Mapping[str, Any]
    sampler: Sampler
    seconds: float | None
    most: int | None
    log: Log
    said: Progress | None

    def __post_init__(self) -> None:
        self.trials = list(self.log.kept)
        self.running: dict[int, Mapping[str, Any]] = {}
        self.ended = ""

    def go(self, workers: int) -> None:
        self._tell()
        while not self.ended:
            before = len(self.trials)
            try:
                for trial in spread(_tried, self._jobs(), workers=workers, shared=self.task, ordered=False):
                    self._take(trial)
            except Lost as lost:  # which of those under way it was cannot be told, so none of them is tried again
                if len(self.trials) == before:  # it is the workers, not a setting
                    raise
                for number, settings in list(self.running.items()):
                    said = f"under way when a worker was lost: {lost}"
                    self._take(Trial(number=number, settings=settings, seed=self.task.seed, status="failed", said=said))

    def _take(self, trial: Trial) -> None:
        self.running.pop(trial.number)
        self.trials.append(trial)
        self.log.append(trial)
        self._tell()

    def _jobs(self) -> Iterator[_Job]:
        """Trials to run, each chosen when a worker has room for it."""
        while not (why := self._over()):
            taken = {t.number for t in self.trials} | set(self.running)
            number = next(n for n in range(len(taken) + 1) if n not in taken)
            settings = self._next(number)
            if settings is None:
                why = "nothing that was not tried is left of the space"
                break
            self.running[number] = settings
            yield _Job(number, settings)
        self.ended = why

    def _next(self, number: int) -> Mapping[str, Any] | None:
        task = self.task
        if number == 0:
            return {**{key: standing(task.system, key, task.settings) for key in self.axes}, **self.first}
        return self.sampler.next(number, self.trials, list(self.running.values()))

    def _over(self) -> str:
        """Why no further trial is begun; trials under way are taken to cost what the others did."""
        done = len(self.trials)
        if self.most is not None and done + len(self.running) >= self.most:
            return f"{self.most} trials were made"
        spent = sum(t.cpu for t in self.trials)
        ahead = spent / done * len(self.running) if done else 0.0
        if self.seconds is not None and spent + ahead >= self.seconds:
            return f"{self.seconds / 60:g} minutes of processor time were spent"
        if done >= HOPELESS and not any(t.value is not None for t in self.trials):
            return f"the first {done} trials all failed"
        return ""

    def _tell(self) -> None:
        if self.said is None:
            return
        way = sign(self.task.judge.metric)
        values = [way * t.value for t in self.trials if t.value is not None]
        facts: dict[str, Any] = {"trials": len(self.trials)}
        facts |= {"best": way * max(values)} if values else {}
        if self.most is not None:
            facts |= {"done": len(self.trials), "total": self.most}
        elif self.seconds is not None:
            spent = sum(t.cpu for t in self.trials)
            facts |= {"done": round(min(spent, self.seconds)), "total": round(self.seconds), "said": "CPU s"}
        self.said("tune", facts)
