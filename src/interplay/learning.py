"""The learning cycle: from a store's log to the model that serves, and never to a worse one.

    train(store)                    # snapshot -> judge -> gate -> fit on everything -> register -> move the pointer
    install(store, fitted)          # a model that was fitted elsewhere, with its data, into an empty store

The candidate and the live model are judged on the newest slice of the log, which neither has learnt from, and compared
by a paired test. Until the pointer moves, which is one transaction, everything serves as before: a crash at any moment
leaves at most a directory that `compact` removes, and a lease that nobody renews and that ends by itself.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data.split import Split
from interplay.data.store.dumping import restore as restored
from interplay.data.store.impressions import queried
from interplay.data.store.people import Erased, erase_person
from interplay.data.store.registry import Model
from interplay.data.store.snapshot import Progress, Snapshot, called, load, snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, InterplayError, Mismatch
from interplay.evaluate.compare import compare
from interplay.evaluate.judged import Judged
from interplay.evaluate.replay import Asked, replay
from interplay.fitted import Fitted
from interplay.learn.device import usable
from interplay.recipe import LearningConfig, Recipe, load_recipe
from interplay.types import TEST, TRAIN, Dataset, Id, Ids, Run

log = logging.getLogger("interplay.learning")

FLOOR = "popular"  # what a first model is compared with
BEAT = 5.0  # seconds between two signs of life of a training
SILENT = 60.0  # seconds without one after which it is taken for dead
NOT_PROMOTED = 3  # what `interplay train` ends with where the gate keeps the live model
FEWEST = 20  # judged requests below which a slice decides nothing


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training came to."""

    model: Model | None  # None: the candidate was not kept
    promoted: bool
    verdict: str  # better, worse, cannot tell; "not judged" without enough new events
    said: str  # the whole story in a sentence
    metrics: Mapping[str, float]  # of the candidate on the slice
    baseline: Mapping[str, float]  # of what it was compared with


def _silent(stage: str, facts: Mapping[str, Any]) -> None:
    """No progress wanted."""


def train(
    store: Store,
    name: str | None = None,
    *,
    recipe: Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    learning: LearningConfig | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = _silent,
) -> Trained:
    """Fit a system or recipe (the live model's, where none is named) on the store, and promote it if the gate passes.
    `recipe` is one that is no file. On a GPU as `device` learns what can; all else learns on the processor.

    Errors: BadData for a store without events; BadSetting while another training of this tenant goes on; Unsupported
    for a device that is not there.
    """
    run = Run(seed=seed, device=usable(device), progress=progress)
    live = store.models.live()
    if name is None:
        if live is None:
            raise BadSetting("this store has no model yet, so there is none to train anew; name a system or a recipe")
        name, settings = live.name, {**live.facts.get("settings", {}), **(settings or {})}
    settings = dict(settings or {})
    recipe = recipe or _recipe(store, name, live)
    learning = learning or (recipe.learning if recipe else LearningConfig())
    with _alone(store) as still:
        return _trained(store, name, recipe, settings, learning, live, run, still)


@contextmanager
def _alone(store: Store) -> Iterator[Callable[[], None]]:
    """The right to train, renewed every `BEAT` seconds: who was killed loses it after `SILENT`.

    Gives a function that refuses where it was lost, as after a machine slept: another training may go on then.
    """
    holder, over = secrets.token_hex(8), threading.Event()

    def still() -> None:
        if not store.leases.take("train", holder, SILENT):
            raise BadSetting(
                f"another training of the tenant {store.tenant!r} goes on; wait until it has ended. One that was "
                f"killed is given up {SILENT:g} seconds after its last sign of life"
            )

    def beat() -> None:
        while not over.wait(BEAT):
            try:
                still()
            except BadSetting:
                return  # who trains is told before it registers anything
            except InterplayError as problem:
                log.warning("a training could not say that it goes on: %s", problem)

    still()
    beating = threading.Thread(target=beat, name="training-beat", daemon=True)
    beating.start()
    try:
        yield still
    finally:
        over.set()
        beating.join()
        store.leases.take("train", holder, 0)


def _trained(
    store: Store, name: str, recipe: Recipe | None, settings: Mapping[str, Any], learning: LearningConfig,
    live: Model | None, run: Run, still: Callable[[], None],
) -> Trained:  # fmt: skip
    run.progress("snapshot", {"said": "reading the log"})
    learns = recipe is not None and bool({"ranker", "explore"} & set(recipe.tables))  # from what was shown
    taken = snapshot(store, shown=learns)
    if recipe is not None and "ranker" in recipe.tables and "impressions" in taken.dataset.tables:
        shown = queried(store, taken.dataset.tables["impressions"])  # a ranker reads the words of searches
        taken = taken._replace(dataset=replace(taken.dataset, tables={**taken.dataset.tables, "impressions": shown}))
    if not len(taken.dataset.events):
        raise BadData(f"{store.database.said} holds no events to learn from; `interplay ingest FILES --store ...`")
    run.progress("snapshot", {"said": f"{len(taken.dataset.events):,} events"})
    parts = newest(taken.dataset, learning.slice)
    gate = _gate(store, name, recipe, settings, learning, live, parts, run)
    if not gate.passes:
        return Trained(
            model=None,
            promoted=False,
            verdict=gate.verdict,
            said=gate.said,
            metrics=gate.metrics,
            baseline=gate.baseline,
        )
    run.progress("fit", {"said": "on everything"})
    fitted = _fitted(name, recipe, settings, taken.dataset, run)
    facts = {
        "settings": dict(settings), "metrics": dict(gate.metrics), "baseline": dict(gate.baseline),
        "verdict": gate.verdict, "said": gate.said, "seed": run.seed, "paired": dict(gate.paired),
    }  # fmt: skip
    goes_live = learning.gate != "never"
    still()
    model = kept(store, fitted, taken, facts, promote=gate.said if goes_live else None)
    store.models.prune(learning.keep)
    return Trained(
        model=model,
        promoted=goes_live,
        verdict=gate.verdict,
        said=gate.said,
        metrics=gate.metrics,
        baseline=gate.baseline,
    )


def kept(store: Store, fitted: Fitted, taken: Snapshot, facts: Mapping[str, Any], *, promote: str | None) -> Model:
    """Save a model among the store's files and register it; people erased meanwhile are taken out of it first."""
    facts = {"until": _until(taken.dataset), "lag": taken.lag, **facts}
    folder, seen = store.models.folder(fitted.name.removesuffix(".toml")), taken.head.people_version
    path = store.files(*Path(folder).parts)
    try:
        fitted.save(path, log=False)
        while True:
            version = store.head().people_version
            erased = [e.position for e in store.users(since=seen) if e.gone]
            if erased:
                forget(path, erased)
            try:
                return store.models.register(
                    fitted.name, folder, last_row=taken.head.row, facts=facts, promote=promote, people_version=version
                )
            except Mismatch:
                seen = version
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def install(store: Store, fitted: Fitted, *, progress: Progress = _silent) -> Model:
    """Bring a model that was fitted elsewhere, with the log and catalogue that it was saved with, into an empty store.

    Errors: BadData where the store holds something already: its index space would be another.
    """
    head = store.head()
    if head[:3] != (0, 0, 0):
        raise BadData(
            f"{store.database.said} holds {head.n_items:,} items already; serve from it without naming a model, or "
            "choose a new store"
        )
    load(store, fitted.dataset, progress=progress)
    taken = snapshot(store)
    facts = {"settings": fitted.manifest["settings"], "said": "installed"}
    return kept(store, fitted, taken, facts, promote="installed")


# --------------------------------------------------------------------------------------------------------------------
# The gate


@dataclass(frozen=True, kw_only=True)
class _Gate:
    passes: bool
    verdict: str
    said: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    paired: Mapping[str, Sequence[float]] = field(default_factory=dict)  # metric -> difference, low, high at 95 %


def newest(dataset: Dataset, share: float) -> Split:
    """The newest `share` of the events is judged, all others may be learnt from."""
    time = dataset.events.time
    assert time is not None  # a store has times
    cut = np.quantile(time, 1 - share, method="higher") if len(time) else 0
    part = np.where(time >= cut, TEST, TRAIN).astype(np.int8)
    return Split(dataset=dataset, rule="time", seed=0, part=part)


def _gate(
    store: Store, name: str, recipe: Recipe | None, settings: Mapping[str, Any], learning: LearningConfig,
    live: Model | None, parts: Split, run: Run,
) -> _Gate:  # fmt: skip
    nothing: dict[str, float] = {}
    if learning.gate in ("always", "never"):
        said = "promoted without a gate" if learning.gate == "always" else "kept to be tried, not judged"
        return _Gate(passes=True, verdict="not judged", said=said, metrics=nothing, baseline=nothing)
    older = _older(parts)
    judgeable = _judgeable(parts)
    if judgeable < FEWEST:
        said = f"only {judgeable} people in the newest {learning.slice:.0%} of the log; {FEWEST} are needed to judge"
        return _Gate(passes=live is None, verdict="not judged", said=said, metrics=nothing, baseline=nothing)
    metrics = (learning.metric,)
    run.progress("gate", {"said": "fitting the candidate on what is older than the slice"})
    candidate = replay(_fitted(name, recipe, settings, older, run).model, parts, which=TEST, metrics=metrics)
    baseline, rival = _rival(store, live, older, parts, metrics, run)
    table = compare({"rival": baseline, "candidate": candidate}, baseline="rival", metrics=metrics)
    row = table["candidate"]
    verdict, gap = row.verdict, row.difference[learning.metric]
    passes = verdict == "better" or (learning.gate == "not worse" and verdict != "worse")
    ours, theirs = row.mean[learning.metric], table["rival"].mean[learning.metric]
    said = (
        f"{verdict}: {learning.metric} {ours:.4f} against {rival} {theirs:.4f} ({gap:+.4f}), {table.n:,} people of the "
        f"newest {learning.slice:.0%} of the log"
    )
    between = row.difference_low[learning.metric], row.difference_high[learning.metric]
    return _Gate(
        passes=passes, verdict=verdict, said=said, metrics=candidate.mean(), baseline=baseline.mean(),
        paired={learning.metric: (gap, *between)},
    )  # fmt: skip


def _older(parts: Split) -> Dataset:
    """What is older than the slice: the events, and what was shown before it."""
    fitted, judged = parts.fitted("train+valid"), parts.part == TEST
    shown, time = fitted.tables.get("impressions"), parts.dataset.events.time
    if shown is None or time is None or not judged.any():
        return fitted
    early = shown.filter(pl.col("timestamp") < int(time[judged].min()))
    return replace(fitted, tables={**fitted.tables, "impressions": early})


def _judgeable(parts: Split) -> int:
    """How many people did something in the slice that can be judged."""
    try:
        return len(Asked.of(parts, TEST).requests)
    except BadData:
        return 0


def _rival(
    store: Store,
    live: Model | None,
    older: Dataset,
    parts: Split,
    metrics: Sequence[str],
    run: Run,
) -> tuple[Judged, str]:
    """What the candidate is compared with, judged on the slice: the live model, or popularity where there is none.

    A live model that has learnt from a part of the slice would be asked what it was told; then its recipe is fitted
    anew on what is older, as the candidate was.
    """
    if live is None:
        model = _fitted(FLOOR, None, {}, older, run).model
        return replay(model, parts, which=TEST, metrics=metrics), FLOOR
    until = older.events.time.max() if older.events.time is not None else 0
    saw = live.facts.get("until", 0) > until
    run.progress("gate", {"said": f"judging model {live.version}" + (", fitted anew on the same part" if saw else "")})
    held = Fitted.load(store.models.path(live))
    if saw:
        again = _fitted(live.name, held.recipe, held.manifest["settings"], older, run)
        return replay(again.model, parts, which=TEST, metrics=metrics), f"model {live.version} on the same part"
    if hasattr(held.model, "attend"):
        held.model.attend(parts.dataset)
    return replay(held.model, parts, which=TEST, metrics=metrics), f"model {live.version}"


def _recipe(store: Store, name: str, live: Model | None) -> Recipe | None:
    """The recipe of that name; the live model's own text where the file is not here any more."""
    if not name.endswith(".toml"):
        return None
    try:
        return load_recipe(name)
    except InterplayError:
        if live is None or live.name != Path(name).name:
            raise
        return Fitted.load(store.models.path(live)).recipe


def _fitted(name: str, recipe: Recipe | None, settings: Mapping[str, Any], data: Dataset, run: Run) -> Fitted:
    if recipe is None:
        return Fitted.learn(name, data, settings=settings, run=run)
    return Fitted.cooked(recipe, data, settings=settings, run=run)


def _until(dataset: Dataset) -> int:
    """The time of the newest event that was learnt."""
    time = dataset.events.time
    return int(time.max()) if time is not None and len(time) else 0


# --------------------------------------------------------------------------------------------------------------------
# Erasing


def forget(path: Path, positions: Sequence[int]) -> None:
    """Take people out of a model directory: their rows of everything kept per user, and their names."""
    fitted = Fitted.load(path)
    at = np.array(sorted(positions), np.int32)
    known = at[at < fitted.dataset.n_users]
    model, d = fitted.model, fitted.dataset
    if hasattr(model, "forget"):
        model.forget(known)
    names: list[Id] = list(d.users.names)
    for position in known.tolist():
        names[position] = called(position)
    people = None
    if d.people is not None:
        blank = pl.Series(np.isin(np.arange(d.n_users), known))
        people = d.people.with_columns(
            pl.when(blank).then(None).otherwise(pl.col(c)).alias(c) for c in d.people.columns
        )
    kept_events = d.events.where(~np.isin(d.events.user, known))
    dataset = Dataset(
        name=d.name, users=Ids(names), items=d.items, events=kept_events, catalogue=d.catalogue, people=people
    )
    Fitted(model=model, dataset=dataset, manifest=fitted.manifest).save(path, log="log" in fitted.manifest)


def erase(store: Store, user_id: Id) -> Erased:
    """Erase a person from everything the store owns; see `data/store/people.py`."""
    return erase_person(store, user_id, forget=forget)


def restore(store: Store, path: str | Path, *, replace: bool = False) -> dict[str, int]:
    """Read a dump; whoever was erased since it was taken stays erased, in its models too."""
    return restored(store, path, forget=forget, replace=replace)


# --------------------------------------------------------------------------------------------------------------------
# A schedule


class Schedule:
    """Trains in a process of its own every so many hours, as long as the service runs.

    Replicas over one store share the schedule: whoever takes the lease trains, the others wait for the next turn. The
    store's address goes to the process by its environment: it may hold a password, and arguments are seen by everybody.
    """

    def __init__(
        self, store: Store, where: str, hours: float, *, wait: Callable[[float], bool] | None = None,
        run: Callable[..., subprocess.CompletedProcess[Any]] = subprocess.run,
    ) -> None:  # fmt: skip
        """`wait` sleeps so many seconds, or less where the service ends, and then says so; `run` runs a command."""
        self.store, self.hours, self.run = store, hours, run
        self.command = [sys.executable, "-m", "interplay.cli", "train", "--tenant", store.tenant]
        self.environment = {**os.environ, "INTERPLAY_DATABASE_URL": where}
        self.ended = threading.Event()
        self.wait = wait or self.ended.wait
        self.thread = threading.Thread(target=self.go_on, name="schedule", daemon=True)

    def start(self) -> Schedule:
        self.thread.start()
        return self

    def stop(self) -> None:
        self.ended.set()

    def go_on(self) -> None:
        """Train at every turn until the service ends; a database that is down costs one turn."""
        while not self.wait(self.hours * 3600):
            try:
                mine = self.store.leases.take("schedule", secrets.token_hex(8), self.hours * 3600 * 0.9)
            except InterplayError as problem:
                log.warning("a scheduled training was left out: %s", problem)
                continue
            if mine:
                status = self.run(self.command, check=False, env=self.environment).returncode
                if status not in (0, NOT_PROMOTED):
                    log.error("a scheduled training of the tenant %s ended with status %d", self.store.tenant, status)
