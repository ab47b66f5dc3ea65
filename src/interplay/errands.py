"""Work that is asked for over HTTP and done in a process of its own, so that no request waits for it.

    errand = Errands(store).put("estimate", {"policies": [{"name": "feed.toml"}]})
    Errands(store).run(errand.errand_id)             # what that process does: `interplay errand ID --store WHERE`
    Errands(store).get(errand.errand_id).state       # waiting, running, done, refused or failed

An errand is a file beside the store's models: every replica over the store sees how far it is, and what came of it
outlives a restart. Whoever works touches the file every few seconds; one that nobody touches any more has failed.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from interplay import learning
from interplay.data.store.store import Store, now
from interplay.errors import BadSetting, InterplayError, Undecidable, UnknownName, Unsupported
from interplay.estimating import Progress, Wanted, estimate
from interplay.learning import BEAT, SILENT
from interplay.recipe import LearningConfig, Recipe, load_recipe, recipes
from interplay.systems import ROWS, system
from interplay.traffic import Window

KINDS = ("estimate", "looks", "train")
PLAIN = frozenset({"interactions", "timestamp"})  # what every store's log has
STAGES = ("ranker", "explore", "arranger", "longterm")  # tables of a recipe that name a system
WAITING, RUNNING, DONE, REFUSED, FAILED = "waiting", "running", "done", "refused", "failed"
KEPT = 50  # the newest errands whose files are kept


@dataclass(frozen=True, kw_only=True)
class Errand:
    """One piece of work: what was asked, how far it is, what came of it."""

    errand_id: str
    kind: str
    asked: Mapping[str, Any]
    made_at: int  # microseconds UTC
    state: str = WAITING
    ended_at: int | None = None
    steps: tuple[Mapping[str, Any], ...] = ()  # stage and said, in their order; the last is what goes on
    answers: tuple[Mapping[str, Any], ...] = ()
    said: str = ""  # what came of it in a sentence

    @property
    def ended(self) -> bool:
        return self.state in (DONE, REFUSED, FAILED)


class Errands:
    """The errands of one tenant."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # ------------------------------------------------------------------------------------------------- who asks

    def put(self, kind: str, asked: Mapping[str, Any]) -> Errand:
        """Keep what was asked. Refused while another errand goes on, and where no other process can read the store."""
        where(self.store)
        _checked(self.store, kind, asked)
        held = self.list()
        for other in held:
            if not other.ended:
                raise BadSetting(
                    f"another {other.kind} goes on ({other.errand_id}); wait until it has ended, or stop it"
                )
        for old in held[KEPT - 1 :]:
            self._path(old.errand_id).unlink(missing_ok=True)
        errand = Errand(errand_id=secrets.token_hex(8), kind=kind, asked=dict(asked), made_at=now())
        self._write(errand)
        return errand

    def list(self, kind: str | None = None) -> list[Errand]:
        """The newest first, of one kind or all."""
        found = [e for path in self._root().glob("*.json") if (e := self._read(path)) is not None]
        return sorted((e for e in found if kind in (None, e.kind)), key=lambda e: -e.made_at)

    def get(self, errand_id: str, kind: str | None = None) -> Errand:
        """One of them. Errors: UnknownName."""
        held = self._read(self._path(errand_id)) if errand_id.isalnum() else None
        if held is None or kind not in (None, held.kind):
            raise UnknownName(f"no {kind or 'errand'} called {errand_id!r}; the newest {KEPT} are kept")
        return held

    def drop(self, errand_id: str) -> None:
        """Forget it; a process that works on it ends by itself."""
        self._path(errand_id).unlink(missing_ok=True)

    def fail(self, errand_id: str, said: str) -> None:
        """Say that it will not come to an end, where it has not."""
        held = self._read(self._path(errand_id))
        if held is not None and not held.ended:
            self._write(replace(held, state=FAILED, said=said, ended_at=now()))

    # ------------------------------------------------------------------------------------------------- who works

    def run(self, errand_id: str) -> Errand:
        """Do it and keep what came of it; a refusal is an answer."""
        errand = replace(self.get(errand_id), state=RUNNING)
        steps: dict[str, dict[str, Any]] = {}
        last = 0.0

        def progress(stage: str, facts: Mapping[str, Any]) -> None:
            nonlocal last
            steps.setdefault(stage, {"stage": stage, "said": ""}).update(_told(facts))
            if time.monotonic() - last > 0.3:
                self._write(replace(errand, steps=tuple(steps.values())))
                last = time.monotonic()

        with self._beating(errand_id):
            self._write(errand)
            try:
                answers, said = DO[errand.kind](self.store, errand.asked, progress)
                errand = replace(errand, state=DONE, answers=answers, said=said)
            except InterplayError as problem:
                state = REFUSED if isinstance(problem, Undecidable) else FAILED
                errand = replace(errand, state=state, said=str(problem))
        errand = replace(errand, steps=tuple(steps.values()), ended_at=now())
        self._write(errand)
        return errand

    @contextmanager
    def _beating(self, errand_id: str) -> Iterator[None]:
        """Touch the file while work goes on; where it was dropped the process ends."""
        path, over = self._path(errand_id), threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                try:
                    os.utime(path)
                except FileNotFoundError:
                    os._exit(0)  # nobody wants to know any more

        threading.Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    # ------------------------------------------------------------------------------------------------- files

    def _root(self) -> Path:
        return self.store.files("errands", "x").parent

    def _path(self, errand_id: str) -> Path:
        return self._root() / f"{errand_id}.json"

    def _write(self, errand: Errand) -> None:
        path = self._path(errand.errand_id)
        if errand.state != WAITING and not path.exists():
            return  # it was dropped
        part = path.with_suffix(f".{secrets.token_hex(4)}")
        part.write_text(json.dumps(asdict(errand), default=str))
        part.replace(path)

    def _read(self, path: Path) -> Errand | None:
        try:
            told, touched = json.loads(path.read_text()), path.stat().st_mtime
        except FileNotFoundError:
            return None
        errand = Errand(**{**told, "steps": tuple(told["steps"]), "answers": tuple(told["answers"])})
        if not errand.ended and time.time() - touched > SILENT:
            return replace(errand, state=FAILED, said="the process that worked on it is gone; ask again")
        return errand


def where(store: Store) -> str:
    """How another process opens the store. Errors: Unsupported for one in memory."""
    database = store.database
    if not database.lite:
        return database.engine.url.render_as_string(hide_password=False)
    if database.path is None:
        raise Unsupported(
            "this service answers from memory, which no other process can read; serve from a store "
            "(`interplay serve MODEL --store shop.db`) and ask again"
        )
    return str(database.path)


# --------------------------------------------------------------------------------------------------------------------
# What can be asked


@dataclass(frozen=True)
class Choice:
    """Something that can be learnt by its name alone."""

    name: str
    about: str = field(default="")


def choices() -> list[Choice]:
    """The recipes of the package, and the systems that need nothing but a log."""
    own = [Choice(name, about) for name, about in sorted(recipes().items())]
    return own + [Choice(row.name, row.paper) for row in ROWS if row.kind == "model" and row.needs <= PLAIN]


def _checked(store: Store, kind: str, asked: Mapping[str, Any]) -> None:
    """Refuse what cannot be meant before a process is started for it."""
    if kind not in KINDS:
        raise BadSetting(f"an errand is of kind {kind!r}; expected one of {KINDS}")
    if kind == "looks":
        return  # what the log knows is found out there
    if kind == "estimate":
        Window(**asked.get("window", {}))
    for policy in asked.get("policies", ()) if kind == "estimate" else (asked,):
        wanted = _wanted(policy)
        if wanted.recipe is not None:  # names alone: to build it would load what learns into this process
            tables = wanted.recipe.tables
            parts = [*tables["source"].values(), *(tables[name] for name in STAGES if name in tables)]
            for name in (str(part["system"]) for part in parts if "system" in part):
                system(name)
        elif wanted.version is not None:
            store.models.get(wanted.version)
        else:
            system(wanted.name)


def _wanted(policy: Mapping[str, Any]) -> Wanted:
    """A name of the package, a recipe's text, or a version of the store's models; never a path of this machine."""
    if policy.get("model"):
        return Wanted(name=policy.get("name") or f"model {policy['model']}", version=int(policy["model"]))
    name = str(policy.get("name") or "recipe.toml")
    if policy.get("text"):
        name = name if name.endswith(".toml") else f"{name}.toml"
        return Wanted(name=name, recipe=Recipe.parse(str(policy["text"]), name=name))
    if Path(name).name != name:
        raise UnknownName(f"{name!r} is a path; name a recipe or a system of the package, or send a recipe's text")
    if name.endswith(".toml"):
        if name not in recipes():
            raise UnknownName(f"no recipe called {name!r}; there are {sorted(recipes())}, or send a recipe's text")
        return Wanted(name=name, recipe=load_recipe(name.removesuffix(".toml")))
    return Wanted(name=name)


Done = tuple[tuple[Mapping[str, Any], ...], str]


def _estimated(store: Store, asked: Mapping[str, Any], progress: Progress) -> Done:
    told = estimate(
        store, [_wanted(policy) for policy in asked["policies"]], reward=asked.get("reward", "click"),
        places=asked.get("places"), window=Window(**asked.get("window", {})), seed=asked.get("seed", 0),
        progress=progress,
    )  # fmt: skip
    return tuple(one.as_json() for one in told), told[0].said


def _looked(store: Store, asked: Mapping[str, Any], progress: Progress) -> Done:
    from interplay.watching import watch  # learns by gradient; a service that asks does not load that

    seen = watch(store, asked.get("kind", "click"), progress=progress)
    return (seen.as_json(),), seen.said


def _trained(store: Store, asked: Mapping[str, Any], progress: Progress) -> Done:
    wanted = _wanted(asked)
    done = learning.train(
        store, wanted.name, recipe=wanted.recipe, learning=LearningConfig(gate=asked.get("gate", "never")),
        seed=asked.get("seed", 0), progress=progress,
    )  # fmt: skip
    if done.model is None:
        return (), f"not kept. {done.said}"
    answer = {"version": done.model.version, "name": done.model.name, "live": done.promoted}
    return (
        answer,
    ), f"model {done.model.version} ({done.model.name}) is {'live' if done.promoted else 'kept'}. {done.said}"


DO: Mapping[str, Callable[[Store, Mapping[str, Any], Progress], Done]] = {
    "estimate": _estimated,
    "looks": _looked,
    "train": _trained,
}


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage says of itself: a sentence, and how far it is where it knows."""
    return {k: facts[k] for k in ("said", "done", "total") if k in facts}
