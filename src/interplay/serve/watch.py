"""Keeping up with a store: new items and erased people at once, another model as soon as it is read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.data.store.registry import Model
from interplay.data.store.snapshot import NOBODY, snapshot
from interplay.data.store.store import Head, Store
from interplay.errors import BadData, InterplayError
from interplay.fitted import Fitted
from interplay.ops.garbage import walk_all
from interplay.recipe import LearningConfig, ServingConfig
from interplay.serve.scene import Learnt, Ready, Scene
from interplay.systems import SYSTEMS
from interplay.types import Dataset

log = logging.getLogger("interplay.engine")

DAY = 86_400_000_000  # microseconds
AT_ONCE = 16  # new texts that a request waits for; more are read beside it


def read(store: Store, model: Model) -> tuple[Scene, int]:
    """The scene of a model of the store over all that the store holds now, and by how much its log is late."""
    fitted = Fitted.load(store.models.path(model))
    taken = snapshot(store)
    scene = Scene(
        dataset=taken.dataset, cascade=cascade(fitted, taken.dataset), name=fitted.name, after=taken.head.row,
        head=taken.head._replace(live=model.version), gone=taken.gone, serving=serving(fitted),
        learning=fitted.recipe.learning if fitted.recipe else LearningConfig(),
    )  # fmt: skip
    facts = model.facts
    scene = replace(scene, learnt=begun(scene, model.last_row, facts.get("until", 0), late(facts.get("lag", 0))))
    erased = np.flatnonzero([isinstance(n, str) and n.startswith(NOBODY) for n in taken.dataset.users])
    if len(erased) and hasattr(scene.cascade, "forget"):
        scene.cascade.forget(erased)
    known = scene.unranked  # items that came after the fit
    return replace(scene, waiting=frozenset(range(known, taken.dataset.n_items))).read(), taken.lag


def begun(scene: Scene, row: int, until: int, lag: int) -> Learnt | None:
    """Where a model begins to learn between fits: it knows the log up to a row, and pages up to a moment. None where
    it cannot, or its recipe does not want it."""
    if scene.learning.between is None or not getattr(scene.cascade, "learns", False):
        return None
    return Learnt(row=row, closed=until, lag=lag)


def late(lag: int) -> int:
    """By how much the calendar of a log is behind the clock: one that was kept long after it happened is served as if
    its last day were the day it was kept."""
    return lag if lag > 7 * DAY else 0


def live(store: Store) -> Model:
    """The model that serves, or a refusal."""
    model = store.models.live()
    if model is None:
        raise BadData(f"{store.database.said} has no live model; train one: interplay train SYSTEM --store ...")
    return model


def serving(fitted: Fitted) -> ServingConfig:
    """What the model's recipe says of serving it."""
    return fitted.recipe.serving if fitted.recipe else ServingConfig()


def cascade(fitted: Fitted, dataset: Dataset) -> Any:
    """The fitted cascade with this catalogue; one model alone becomes a cascade of one source."""
    model = fitted.model
    if not hasattr(model, "respond"):
        about = SYSTEMS[fitted.name].about if fitted.name in SYSTEMS else ""
        return Cascade({fitted.name: Source(retriever=Ready(model), says=about)}).fit(dataset)
    return model.attend(dataset) if hasattr(model, "attend") else model


class Watch:
    """The scene that is served from, as the store has it."""

    def __init__(self, store: Store, scene: Scene) -> None:
        self.store, self.scene, self.head = store, scene, scene.head  # the head as of the last look
        self._lock = threading.RLock()
        self._loading: int | None = None  # the model version that is being loaded
        self._reading = False  # whether many new texts are being read
        self.prepared: Callable[[Scene], Scene] = lambda scene: scene  # what another model has to go through first

    def look(self) -> tuple[Head, bool]:
        """Catch up, and return the store's head and whether people changed. One small query where nothing is new."""
        self.head = head = self.store.head()
        scene, people = self.scene, False
        if head.items_version != scene.head.items_version or head.people_version != scene.head.people_version:
            with self._lock:
                people = head.people_version != self.scene.head.people_version
                if head.items_version >= self.scene.head.items_version:  # another thread may have seen more already
                    self.scene = self.scene.caught_up(self.store, head)
                if self.scene.waiting:
                    self._attend()
        if head.live is not None and head.live != self.scene.head.live:
            self._load(head.live)
        return head, people

    def _attend(self) -> None:
        """Let the cascade read new texts: a few at once, many beside the present one, which serves on meanwhile."""
        if len(self.scene.waiting) <= AT_ONCE:
            self.scene = self.scene.read()
            return
        if self._reading:
            return
        self._reading = True
        threading.Thread(target=self._read_on, name="text-reader", daemon=True).start()

    def _read_on(self) -> None:
        while True:
            scene = self.scene
            try:
                grown = scene.read().cascade
            except Exception:
                log.exception(
                    "the cascade could not read %d new texts; they wait for the next model", len(scene.waiting)
                )
                grown = scene.cascade
            with self._lock:
                if self.scene.head.live == scene.head.live:
                    left, now = self.scene.waiting - scene.waiting, self.scene.cascade
                    if now is not scene.cascade and hasattr(grown, "beside"):
                        grown = grown.beside(now)  # what it learnt while the texts were read
                    self.scene = replace(self.scene, cascade=grown, waiting=left)
                if not self.scene.waiting:
                    self._reading = False
                    return

    def swap(self, before: Scene, after: Scene) -> bool:
        """Serve from `after` where `before` is still what is served from, and say whether it was."""
        with self._lock:
            if self.scene is before:
                self.scene = after
                return True
        return False

    def _load(self, version: int) -> None:
        """Read another model beside the present one, which serves on until the new one takes its place."""
        with self._lock:
            if self._loading == version:
                return
            self._loading = version
        threading.Thread(target=self._read_model, args=(version,), name="model-loader", daemon=True).start()

    def _read_model(self, version: int) -> None:
        try:
            scene, _ = read(self.store, self.store.models.get(version))
            scene = self.prepared(scene)
            scene.warm()
        except (InterplayError, OSError) as problem:
            log.error("model %s cannot be served, %s serves on: %s", version, self.scene.name, problem)
            return  # `_loading` stays: it is tried again when the pointer moves
        with self._lock:
            self.scene, self._loading = scene, None
        walk_all()  # the scene before is garbage
        log.info("model %s is live", version)
