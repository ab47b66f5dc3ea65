"""A fitted system with its names: what `fit` leaves behind, and what everything that serves opens.

    from interplay.fitted import Fitted
    model = Fitted.learn("ease", frame)                 # pandas, Polars or Arrow; or a Dataset
    model.recommend(users=["ada", "grace"], k=10)
    model.similar_items(["lamp-12"], k=5)
    model.save("here"); Fitted.load("here")

External ids go in and come out; inside, everything is an index.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import interplay
from interplay.data.store.models import load_model, save_model
from interplay.data.tables import from_frames
from interplay.errors import BadSetting, Mismatch, Unsupported
from interplay.evaluate.reads import LOG
from interplay.recipe import Recipe, load_recipe
from interplay.systems import ROWS, SYSTEMS, system
from interplay.types import Dataset, Events, Id, Ragged, Requests, RuleSet, Run, Slates

FORMAT = 2


def built(name: str, *overrides: Mapping[str, Any]) -> Any:
    """A new, unfitted system by its row's name, or a recipe by its file (`shop.toml`)."""
    if name.endswith(".toml"):
        return load_recipe(name).build(*overrides)
    row = system(name)
    return load_recipe(row.recipe).build(*overrides) if row.recipe else row.build(*overrides)


class Fitted:
    """A fitted model, the data it answers from, and a manifest that says where both came from."""

    def __init__(self, *, model: Any, dataset: Dataset, manifest: Mapping[str, Any]) -> None:
        self.model = model
        self.dataset = dataset  # the log (histories) and the catalogue that requests are built from
        self.manifest = dict(manifest)

    @property
    def name(self) -> str:
        return str(self.manifest["system"])

    @property
    def recipe(self) -> Recipe | None:
        """The recipe it was fitted by, as it was then; None for a single system."""
        if "recipe" in self.manifest:
            return Recipe.parse(self.manifest["recipe"], name=self.name)
        return load_recipe(self.name) if self.name.endswith(".toml") else None

    @property
    def searches(self) -> bool:
        """Whether it reads queries: it, or one source of its recipe, is a system that needs them."""
        row = SYSTEMS.get(self.name)
        recipe = self.name if row is None else row.recipe
        if not recipe:
            return row is not None and "queries" in row.needs
        sources = load_recipe(recipe).tables["source"].values()
        return any("queries" in SYSTEMS[s["system"]].needs for s in sources if s.get("system") in SYSTEMS)

    # ---------------------------------------------------------------------------------------------- learn, keep, open

    @staticmethod
    def learn(
        name: str, data: Any, *, settings: Mapping[str, Any] | None = None, run: Run | None = None, **tables: Any
    ) -> Fitted:
        """Fit a system or recipe on all of `data`: a Dataset, or a frame of interactions (user_id, item_id, ...).

        `tables` are further frames of the data format: items=, users=.
        """
        dataset = data if isinstance(data, Dataset) else from_frames("frame", data, **tables)
        return Fitted._learn(name, built(name, settings or {}), dataset, settings or {}, run or Run())

    @staticmethod
    def cooked(
        recipe: Recipe, dataset: Dataset, *, settings: Mapping[str, Any] | None = None, run: Run | None = None
    ) -> Fitted:
        """Fit a recipe that is at hand, whatever its file says by now."""
        fitted = Fitted._learn(recipe.name, recipe.build(settings or {}), dataset, settings or {}, run or Run())
        fitted.manifest["recipe"] = recipe.text
        return fitted

    @staticmethod
    def _learn(name: str, model: Any, dataset: Dataset, settings: Mapping[str, Any], run: Run) -> Fitted:
        begun = time.perf_counter()
        model.fit(dataset, run=run)
        seconds = time.perf_counter() - begun
        told = manifest(name, dataset, settings, run, model, seconds=seconds)
        return Fitted(model=model, dataset=dataset, manifest=told)

    def save(self, path: str | Path, *, log: bool = True) -> None:
        """Write a model directory; an existing one is replaced only when the new one is complete.

        Without `log` the events stay out of it, for models whose log lies in a store. Which test parts were read from
        this place stays on record, whatever is saved here.
        """
        d = self.dataset
        tables = {"catalogue": d.catalogue} if d.catalogue is not None else {}
        tables |= {"users.people": d.people} if d.people is not None else {}
        told = {k: v for k, v in self.manifest.items() if k != "log"}
        told |= {"recipe": self.recipe.text} if self.recipe else {}
        if log:
            tables["users.log"] = pl.DataFrame({**d.events.history_columns(), "user": d.events.user})
            told["log"] = {"kinds": list(d.events.kinds), "ordered": d.events.ordered}
        reads = Path(path) / LOG
        read = reads.read_text() if reads.is_file() else ""
        save_model(path, told, self.model.state(), d.users, d.items, tables=tables)
        if read:
            reads.write_text(read)

    @staticmethod
    def load(path: str | Path) -> Fitted:
        """Open a model directory; refuses one of another version or a broken one with a sentence."""
        loaded = load_model(path)
        told = loaded.manifest
        if told.get("format") != FORMAT:
            raise Mismatch(
                f"{path} holds a model of format {told.get('format')!r}; this Interplay reads format {FORMAT}. "
                f"Fit it again: interplay fit {told.get('system', 'SYSTEM')} --data ... --out {path}"
            )
        if "recipe" in told:
            model = Recipe.parse(told["recipe"], name=told["system"]).build(told["settings"])
        else:
            model = built(told["system"], told["settings"])
        if "log" in told:
            log = loaded.tables["users.log"]
            columns: dict[str, Any] = {name: log[name].to_numpy() for name in log.columns}
            events = Events(**columns, kinds=tuple(told["log"]["kinds"]), ordered=told["log"]["ordered"])
        else:
            events = Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32))
        dataset = Dataset(
            name=told["data"]["name"], users=loaded.users, items=loaded.items, events=events,
            catalogue=loaded.tables.get("catalogue"), people=loaded.tables.get("users.people"),
        )  # fmt: skip
        model = model.restore(loaded.state)
        if hasattr(model, "attend"):
            model.attend(dataset)
        return Fitted(model=model, dataset=dataset, manifest=told)

    # ----------------------------------------------------------------------------------------------- the answering face

    def recommend(
        self,
        users: Sequence[Id] | None = None,
        *,
        histories: Sequence[Sequence[Id]] | None = None,
        queries: Sequence[str] | None = None,
        k: int = 10,
        exclude: Sequence[Id] = (),
        allow: Sequence[Id] | None = None,
        where: str | None = None,
        seen: bool = False,
    ) -> pl.DataFrame:
        """The best k items for each user, history or query: columns request, user_id, rank (from 1), item_id, score.

        `users` nobody has heard of are strangers; `exclude` withholds items from all, `allow` shows nothing else,
        `where` is a predicate over catalogue columns; `seen=True` lets known items come back, as a query always does.
        """
        requests = self.requests(
            users, histories=histories, queries=queries, k=k, exclude=exclude, allow=allow, where=where, seen=seen
        )
        if not hasattr(self.model, "retrieve"):
            raise Unsupported(f"{self.name} orders candidates and finds none; name it as [ranker] in a recipe")
        slates = self.model.retrieve(requests, k)
        row, place = np.nonzero(slates.items >= 0)
        listed = None if users is None else [users[i] for i in row.tolist()]
        return pl.DataFrame(
            {
                "request": row,
                "user_id": listed if listed is not None else [None] * len(row),
                "rank": place + 1,
                "item_id": [self.dataset.items[i] for i in slates.items[row, place]],
                "score": slates.scores[row, place],
            },
            strict=False,
        )

    def requests(
        self,
        users: Sequence[Id] | None = None,
        *,
        histories: Sequence[Sequence[Id]] | None = None,
        queries: Sequence[str] | None = None,
        k: int = 10,
        exclude: Sequence[Id] = (),
        allow: Sequence[Id] | None = None,
        where: str | None = None,
        seen: bool = False,
    ) -> Requests:
        """What `recommend` asks, as a batch."""
        given = [len(g) for g in (users, histories, queries) if g is not None]
        if not given or len(set(given)) > 1:
            raise BadSetting(
                f"recommend takes users, histories or queries, of one length; found lengths {given or 'none'}"
            )
        if queries is not None and not self.searches:
            able = [row.name for row in ROWS if "queries" in row.needs]
            raise Unsupported(f"{self.name} reads no queries; systems that do: {', '.join(able)}")
        n = given[0]
        rows = np.full(n, -1, np.int32) if users is None else self.dataset.users.index(users)
        known = seen or queries is not None  # who searches for a thing may have met it
        rules = self.rules(n, exclude=exclude, allow=allow, where=where, seen=known)
        more: dict[str, Any] = {"k": k, "rules": rules, "query": None if queries is None else list(queries)}
        if histories is None:
            return Requests.of(self.dataset, rows, **more)
        lists = [[i for i in self.dataset.items.index(h).tolist() if i >= 0] for h in histories]
        return Requests(user=rows, history=Ragged.of(lists), **more)

    def rules(
        self, n: int, *, exclude: Sequence[Id] = (), allow: Sequence[Id] | None = None, where: str | None = None,
        seen: bool = False,
    ) -> RuleSet:  # fmt: skip
        """One RuleSet for n requests that share their rules."""
        from interplay.cascade.rules import compile_rules

        return compile_rules(
            self.dataset, n, where=where, exclude=list(exclude), allow=None if allow is None else list(allow),
            withhold_seen=not seen,
        )  # fmt: skip

    def similar_items(self, items: Sequence[Id], *, k: int = 10) -> pl.DataFrame:
        """The k items most like each given one: columns item_id, rank, similar_id, score."""
        if not hasattr(self.model, "similar_items"):
            raise Unsupported(f"{self.name} knows no similar items; systems that do: item-knn, ease, minilm, lightgcn")
        slates: Slates = self.model.similar_items(self.dataset.items.index(items), k)
        row, place = np.nonzero(slates.items >= 0)
        return pl.DataFrame(
            {
                "item_id": [items[i] for i in row.tolist()],
                "rank": place + 1,
                "similar_id": [self.dataset.items[i] for i in slates.items[row, place]],
                "score": slates.scores[row, place],
            },
            strict=False,
        )


def manifest(
    name: str, dataset: Dataset, settings: Mapping[str, Any], run: Run, model: Any, *, seconds: float, **more: Any
) -> dict[str, Any]:
    """What a model directory says about itself."""
    return {
        "format": FORMAT,
        "interplay": interplay.__version__,
        "system": name,
        "settings": dict(settings),
        "seed": run.seed,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "n_users": dataset.n_users,
            "n_items": dataset.n_items,
            "n_events": len(dataset.events),
        },
        "fitted": dict(getattr(model, "fitted", {})) | {"seconds": round(seconds, 3)},
        **more,
    }
