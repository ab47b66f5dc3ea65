"""What is served from at one moment: a data set, a model, and all that is derived from the two.

A scene is never changed. When the catalogue changes, people are erased or another model goes live, a new scene takes
the place of the old one; a request that began under the old one ends under it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl

from interplay.cascade.rules import Catalogue
from interplay.data.store.snapshot import as_kind, named, table
from interplay.data.store.store import Entity, Head, Store
from interplay.recipe import LearningConfig, ServingConfig
from interplay.serve.window import Window
from interplay.serve.words import Words, told
from interplay.systems import SYSTEMS
from interplay.types import EMPTY, Array, Dataset, Ids, Reply, Requests, Rows

KINDS = ("click", "view", "keep", "cart", "purchase", "rate", "less", "undo")
STOCK = "in_stock"  # a catalogue column; what it says false of is not shown


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """How far a cascade has learnt from the log between two fits (serve/between.py)."""

    row: int  # the log was learnt up to here
    lag: int = 0  # microseconds by which the engine's calendar is behind the machine's clock
    closed: int = 0  # pages that were shown up to this moment are learnt whole
    clicked: Mapping[str, tuple[int, frozenset[int]]] = EMPTY  # request -> when it was answered, items learnt as wanted
    events: int = 0  # since the fit: events that sources or the policy learnt from
    pages: int = 0  # ... and pages


class Answering(Protocol):
    def respond(self, requests: Requests, *, trace: bool = ...) -> Reply: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A data set and a model in one index space, as of `head`."""

    dataset: Dataset
    cascade: Answering
    name: str
    head: Head
    after: int  # events up to this row of the log are in the dataset; those after it are read from the store
    similar: Any = None
    gone: Array = field(default_factory=lambda: np.zeros(0, bool))  # bool[n_items]: deleted
    serving: ServingConfig = field(default_factory=ServingConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    waiting: frozenset[int] = frozenset()  # items whose texts the cascade has not read yet
    unlike: dict[int, Array] = field(default_factory=dict)  # item -> bool[n_items], False for it and its nearest
    learnt: Learnt | None = None  # how far the cascade has learnt since its fit; None where it does not

    @cached_property
    def neighbours(self) -> Any:
        """What knows similar items by behaviour; None where the catalogue's words have to do."""
        if self.similar is not None:
            return self.similar
        return self.cascade if hasattr(self.cascade, "similar_items") else None

    @cached_property
    def searches(self) -> bool:
        """Whether queries are read; a cascade that cannot orders what has the words as it orders a feed."""
        sources = self.cascade.active().values() if hasattr(self.cascade, "active") else ()
        return any(s.serves == "search" or (s.serves == "both" and reads(s.retriever)) for s in sources)

    def warm(self) -> None:
        """Make now what the first request would otherwise wait for."""
        self.words.nearest("warm")
        self.window.facets, self.rows, self.catalogue  # noqa: B018

    @cached_property
    def window(self) -> Window:
        return Window(self.dataset)

    @cached_property
    def words(self) -> Words:
        return Words(self.dataset)

    @cached_property
    def catalogue(self) -> Catalogue:
        """It remembers the masks of rules asked before."""
        return Catalogue.of(self.dataset)

    @cached_property
    def rows(self) -> Rows:
        return Rows.of(self.dataset)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.dataset.events.kinds, *KINDS)))

    @cached_property
    def offered(self) -> Array | None:
        """bool[n_items]: neither deleted nor out of stock; None where everything is offered."""
        out = np.ones(self.dataset.n_items, bool)
        out[: len(self.gone)] &= ~self.gone
        frame = self.dataset.catalogue
        if frame is not None and STOCK in frame.columns and frame[STOCK].dtype == pl.Boolean:
            out[: len(frame)] &= frame[STOCK].fill_null(True).to_numpy()
        return None if out.all() else out

    def caught_up(self, store: Store, head: Head) -> Scene:
        """The scene as of a newer head: changed items and people are as they are now, erased people nowhere."""
        scene = self
        if head.items_version != self.head.items_version:
            scene = scene._with_items(store.items(since=self.head.items_version))
        if head.people_version != self.head.people_version:
            scene = scene._with_people(store.users(since=self.head.people_version))
        return replace(scene, head=head)

    def _with_items(self, changed: Sequence[Entity]) -> Scene:
        if not changed:
            return self
        items = placed(self.dataset.items, changed)
        gone = np.zeros(len(items), bool)
        gone[: len(self.gone)] = self.gone
        gone[[e.position for e in changed]] = [e.gone for e in changed]
        frame = described(self.dataset.catalogue, changed, items, "item_id")
        vectors = {name: _longer(v, len(items)) for name, v in self.dataset.vectors.items()}
        dataset = replace(self.dataset, items=items, catalogue=frame, vectors=vectors)
        at = np.array([e.position for e in changed], np.int32)
        known = at[at < self.dataset.n_items]
        before = dict(zip(known.tolist(), self.dataset.texts(known), strict=True))
        retold = {int(i) for i, text in zip(at, dataset.texts(at), strict=True) if before.get(int(i)) != text}
        if hasattr(self.cascade, "attend"):
            self.cascade.attend(dataset)
        scene = replace(self, dataset=dataset, gone=gone, waiting=self.waiting | retold, unlike={})
        self._handed_on(scene, at)
        return scene

    def _handed_on(self, scene: Scene, changed: Array) -> None:
        """Give a newer scene what the changed items leave as it was: a price or a stock says no new word."""
        made, passed = vars(self), vars(scene)  # cached properties lie there once they are made
        if "rows" in made:
            passed["rows"] = self.rows.grown(scene.dataset.items)
        old, new = self.dataset.catalogue, scene.dataset.catalogue
        if scene.dataset.n_items > self.dataset.n_items or old is None or new is None:
            return
        ids = Ids([self.dataset.items[i] for i in changed.tolist()])
        before, after = old[changed], new[changed]
        if "words" in made and told(replace(self.dataset, items=ids, catalogue=before)) == told(
            replace(self.dataset, items=ids, catalogue=after)
        ):
            passed["words"] = self.words
        if "window" in made and "facets" in vars(self.window):
            columns = [facet.name for facet in self.window.facets]
            if before.select(columns).equals(after.select(columns)):
                vars(scene.window)["facets"] = self.window.facets

    def taught(self, cascade: Answering, learnt: Learnt) -> Scene:
        """The scene with a cascade that has learnt more; all that was derived from the data set stays."""
        scene = replace(self, cascade=cascade, learnt=learnt)
        made = {n: v for n, v in vars(self).items() if isinstance(getattr(Scene, n, None), cached_property)}
        vars(scene).update({n: v for n, v in made.items() if n != "neighbours"})
        return scene

    def read(self) -> Scene:
        """The scene with a cascade that has read the texts of all new and changed items."""
        if not self.waiting or not hasattr(self.cascade, "attended"):
            return replace(self, waiting=frozenset())
        cascade = self.cascade.attended(self.dataset, np.array(sorted(self.waiting), np.int32))
        return replace(self, cascade=cascade, waiting=frozenset())

    @property
    def unranked(self) -> int:
        """Items from this one on came after the cascade read the catalogue: it cannot show them."""
        rows = getattr(self.cascade, "rows", None)
        return self.dataset.n_items if rows is None else rows.n_items

    def _with_people(self, changed: Sequence[Entity]) -> Scene:
        known = [e for e in changed if e.position < self.dataset.n_users]
        erased = np.array([e.position for e in known if e.gone], np.int32)
        dataset = self.dataset
        if known:
            users = placed(dataset.users, known)
            people = None if dataset.people is None else described(dataset.people, known, users, "user_id")
            dataset = replace(dataset, users=users, people=people)
        if len(erased):
            dataset = dataset.where(~np.isin(dataset.events.user, erased))
            if hasattr(self.cascade, "forget"):
                self.cascade.forget(erased)
        return replace(self, dataset=dataset)


def placed(ids: Ids, changed: Sequence[Entity]) -> Ids:
    """The index space with the names that entities have now; new ones come after all others."""
    if all(e.position < len(ids) and ids[e.position] == named(e) for e in changed):
        return ids
    names = list(ids.names)
    for entity in changed:
        if entity.position == len(names):
            names.append(named(entity))
        else:
            names[entity.position] = named(entity)
    return Ids(names)


def described(frame: pl.DataFrame | None, changed: Sequence[Entity], ids: Ids, key: str) -> pl.DataFrame | None:
    """The table with the columns that entities have now; a new column is empty for all others."""
    fresh = table(changed, key)
    if frame is None and fresh is None:
        return None
    if fresh is None:
        fresh = pl.DataFrame({key: [str(named(e)) for e in changed]})
    if frame is None:
        frame = pl.DataFrame({key: [str(n) for n in ids.names[: len(ids)]]})
    schema = {name: kind for name, kind in frame.schema.items() if kind != pl.Null}  # nothing was ever said there
    for name, kind in fresh.schema.items():
        schema.setdefault(name, kind)
    rows = pl.DataFrame([
        as_kind(fresh[n], k) if n in fresh.columns else pl.Series(n, [None] * len(fresh), k) for n, k in schema.items()
    ])  # fmt: skip
    told = frame.select(name for name in frame.columns if name in schema and frame.schema[name] != pl.Null)
    before = told.select((pl.col(n) if n in told.columns else pl.lit(None, k)).alias(n) for n, k in schema.items())
    order = np.arange(len(ids))
    order[[e.position for e in changed]] = len(before) + np.arange(len(changed))
    return pl.concat([before, rows])[order]


def _longer(rows: Array, n: int) -> Array:
    return rows if len(rows) >= n else np.concatenate([rows, np.zeros((n - len(rows), *rows.shape[1:]), rows.dtype)])


def reads(retriever: Any) -> bool:
    """Whether a retriever reads queries: its row in the systems' page says that it needs texts."""
    kind = type(retriever.model if isinstance(retriever, Ready) else retriever)
    name = f"{kind.__module__.rpartition('.')[2]}:{kind.__name__}"
    return any(row.model == name and "texts" in row.needs for row in SYSTEMS.values())


class Ready:
    """A model that is fitted already: a cascade around it learns nothing anew."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, dataset: Dataset, **_: Any) -> Ready:
        return self

    def __copy__(self) -> Ready:
        return Ready(copy.copy(self.model))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)
