"""A person's TOML file becomes a cascade.

    about = "What this recipe is for"
    where = ["in_stock"]               # rules for everybody (cascade/language.py)

    [source.taste]                     # any number of sources, each with a name of its own
    system = "ease"                    # a row of systems.py, or vectors = "NAME" of the data set
    serves = "feed"                    # feed, search or both; further: weight, n, seconds, optional, says, stranger
    ridge = 300                        # everything else is a setting of the system

    [fusion]                           # cascade/fuse.py: FusionConfig
    [ranker]                           # a system that orders the fused candidates anew
    system = "dcn-v2"                  # a row that needs examples; further: serves, order, first and optional
                                       # (cascade/parts.py: Ranking)
    weights = {click = 1, buy = 5}     # the visible sum of what it predicts; all else is a setting of the system
    [page]                             # cascade/page.py: PageConfig, for feeds
    [search.fusion]                    # laid over [fusion] when there is a query
    [search.page]                      # the page of a search; [page] has no say in it
    [arranger]                         # what chooses a feed's first page as a whole: system = "pagellm" (a row of
                                       # kind arranger), serves, seconds; base is laid over this recipe where its
                                       # path is fitted to learn from; all else is a setting of the system
    [explore]                          # what fills the page to learn from it: system = "lin-ts" (a row of kind policy),
                                       # pool, serves (cascade/parts.py: Explore); all else is a setting of the system
    [longterm]                         # what a pair of person and maker is worth over weeks lifts the score: system =
                                       # "rliv-ua", serves (cascade/parts.py: Lasting); all else is a setting of it
    [wishes]                           # SteerConfig (dialogue/steer.py): with this table soft wishes are obeyed too
    [serving]                          # ServingConfig: what may come back, who is held out
    [learning]                         # LearningConfig: how `interplay train` judges, promotes and repeats itself

Nothing unknown is accepted; the nearest name is offered.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from interplay.cascade.cascade import Cascade
from interplay.cascade.fuse import FusionConfig
from interplay.cascade.index import Index, IndexConfig
from interplay.cascade.page import PageConfig
from interplay.cascade.parts import WISHES, Arranging, CascadeConfig, Explore, Lasting, Manner, Ranking, Source
from interplay.configure import InnerShare, NotNegative, PartShare, Positive, Several, Size, configured
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.errors import BadData, BadSetting, UnknownName, nearest, unknown
from interplay.systems import ROWS, system

TABLES = (
    "about", "where", "source", "fusion", "ranker", "page", "search", "arranger", "explore", "longterm", "wishes",
    "serving", "learning",
)  # fmt: skip
SHAPES: Mapping[str, type] = {"fusion": FusionConfig, "page": PageConfig}
OF_SOURCE = tuple(f.name for f in fields(Source) if f.name != "retriever")


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """What a service does with a recipe's answers."""

    withhold: str = "seen"  # items of the history that are not shown again: "seen", "bought" or "nothing"
    bought: tuple[str, ...] = ("purchase", "buy")  # the event types that "bought" means
    again: NotNegative | None = None  # days after which what is withheld may come back; None is never
    holdout: PartShare = 0.0  # share of people who are answered as strangers, to measure what knowing people is worth

    def __post_init__(self) -> None:
        if self.withhold not in ("seen", "bought", "nothing"):
            raise BadSetting(f"serving.withhold is {self.withhold!r}; expected 'seen', 'bought' or 'nothing'")

    @property
    def lets_come_back(self) -> bool:
        """Whether anything of a history may be shown again."""
        return self.withhold != "seen" or self.again is not None


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """How a store's model is renewed."""

    metric: str = "ndcg@10"  # what the candidate and the live model are compared by
    slice: InnerShare = 0.1  # the newest share of the events, on which both are judged
    gate: str = "not worse"  # promote when the test says "not worse" or "better"; "always", "never": without one
    every: Positive | None = None  # hours between trainings while serving; None trains only when asked
    between: NotNegative | None = None  # seconds in which what can learn without a fit learns what happened; None waits
    wait: Positive = 600.0  # seconds after which what was shown and not clicked counts as not wanted
    keep: Several = 5  # versions whose files are kept: the live one, and one to roll back to, among them

    def __post_init__(self) -> None:
        if self.gate not in ("not worse", "better", "always", "never"):
            raise BadSetting(f"learning.gate is {self.gate!r}; expected 'not worse', 'better', 'always' or 'never'")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The part of a source's table that is not a setting of its system."""

    serves: str = "both"
    weight: NotNegative = 1.0
    n: Size = 200
    seconds: Positive | None = None
    optional: bool = False
    says: str = ""
    stranger: str = Source.stranger


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """The part of [ranker] that is not a setting of its system."""

    serves: str = Ranking.serves
    order: float = 0.0
    first: int | None = None
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """The part of [explore] that is not a setting of its policy."""

    pool: int = Explore.pool
    serves: str = Explore.serves
    places: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Laid:
    """The part of [arranger] that is not a setting of its system."""

    serves: str = Arranging.serves
    seconds: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe as written: `build` makes an unfitted cascade of it."""

    name: str
    text: str  # the file, so that a model directory can carry it
    tables: Mapping[str, Any]

    @property
    def about(self) -> str:
        return str(self.tables.get("about", ""))

    @staticmethod
    def parse(text: str, *, name: str = "recipe") -> Recipe:
        """From the text of a TOML file; refuses what is no TOML, an unknown table and a recipe without sources."""
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise BadData(f"{name} is not TOML: {problem}") from None
        recipe = Recipe(name=name, text=text, tables=tables)
        recipe._check(tables)
        return recipe

    def _check(self, tables: Mapping[str, Any]) -> None:
        _known(self.name, tables, TABLES)
        for table in (name for name in TABLES if name not in ("about", "where")):
            if not isinstance(tables.get(table, {}), Mapping):
                raise BadData(f"{self.name}: {table!r} is {tables[table]!r}; expected a table, as in [{table}]")
        _known(f"{self.name} [search]", tables.get("search", {}), ("fusion", "page"))
        configured(ServingConfig, tables.get("serving", {}))
        configured(LearningConfig, tables.get("learning", {}))
        if not tables.get("source"):
            raise BadData(f"{self.name} has no [source.NAME]; a recipe needs at least one source")
        for name, table in tables["source"].items():
            if name == WISHES and "wishes" in tables:
                raise BadData(f"{self.name}: a source is called {name!r}, as is what [wishes] adds; rename it")
            if not name.isidentifier():
                raise BadData(f"{self.name}: a source is called {name!r}; expected letters, digits and _")
            if not isinstance(table, Mapping) or ("system" in table) == ("vectors" in table):
                raise BadData(f'{self.name} [source.{name}] needs system = "..." or vectors = "...", one of the two')

        ranker = tables.get("ranker", {})
        if "ranker" in tables and "system" not in ranker:
            raise BadData(f'{self.name} [ranker] needs system = "...", a row of systems.py that needs examples')

    @property
    def serving(self) -> ServingConfig:
        return configured(ServingConfig, self.tables.get("serving", {}))

    @property
    def learning(self) -> LearningConfig:
        return configured(LearningConfig, self.tables.get("learning", {}))

    def build(self, *overrides: Mapping[str, Any]) -> Cascade:
        """A new, unfitted cascade. Overrides are nested like the file: {"source": {"bm25": {"k1": 0.9}}}."""
        tables: Mapping[str, Any] = self.tables
        for override in overrides:
            tables = _laid_over(tables, override)
        self._check(tables)
        fusion, search = tables.get("fusion", {}), tables.get("search", {})
        where = tables.get("where", ())
        return Cascade(
            {name: self._source(name, table) for name, table in tables["source"].items()},
            config=CascadeConfig(
                feed=Manner(
                    fusion=configured(FusionConfig, fusion), page=configured(PageConfig, tables.get("page", {}))
                ),
                search=Manner(
                    fusion=configured(FusionConfig, fusion, search.get("fusion", {})),
                    page=configured(PageConfig, search.get("page", {})),
                ),
                where=(where,) if isinstance(where, str) else tuple(where),
            ),
            steer=Steer(configured(SteerConfig, tables["wishes"])) if "wishes" in tables else None,
            ranking=self._ranking(tables["ranker"]) if "ranker" in tables else None,
            explore=self._explore(tables["explore"]) if "explore" in tables else None,
            arranging=self._arranging(tables) if "arranger" in tables else None,
            lasting=self._lasting(tables["longterm"]) if "longterm" in tables else None,
        )

    def held(self, key: str, *overrides: Mapping[str, Any]) -> tuple[Any, str]:
        """The config that holds a setting which decides an answer, as it stands, and what the setting is called there.

        `source.taste.ridge` is `ridge` of that source's system, `source.taste.weight` of the source, `fusion.constant`
        of the fusion. Errors: UnknownName for a key of no such place.
        """
        tables: Mapping[str, Any] = self.tables
        for override in overrides:
            tables = _laid_over(tables, override)
        head, _, rest = key.partition(".")
        if head == "search":
            part, _, rest = rest.partition(".")
            if part in SHAPES and rest:
                own = tables.get("search", {}).get(part, {})
                return configured(SHAPES[part], *([tables.get(part, {})] if part == "fusion" else []), own), rest
        elif head in SHAPES and rest:
            return configured(SHAPES[head], tables.get(head, {})), rest
        elif head == "ranker" and rest and "ranker" in tables:
            return _within(tables["ranker"], rest, _Judged)
        elif head == "source":
            name, _, rest = rest.partition(".")
            if rest and name in tables["source"]:
                return _within(tables["source"][name], rest, _Asked)
        sources = ", ".join(f"source.{name}" for name in tables["source"])
        raise UnknownName(
            f"{self.name} has no setting {key!r} that decides its lists; such stand in {sources}, "
            f"{'ranker, ' if 'ranker' in tables else ''}fusion, page, search.fusion and search.page, as fusion.constant"
        )

    def _lasting(self, table: Mapping[str, Any]) -> Lasting:
        able = [row.name for row in ROWS if row.kind == "lifter"]
        if table.get("system") not in able:
            raise BadData(f'{self.name} [longterm] needs system = "..."; there are: {", ".join(able)}')
        settings = {k: v for k, v in table.items() if k not in ("serves", "system")}
        try:
            model = system(table["system"]).build(settings)
            return Lasting(model=model, name=table["system"], serves=table.get("serves", Lasting.serves))
        except (UnknownName, BadSetting) as problem:
            raise type(problem)(f"{self.name} [longterm]: {problem}") from None

    def _arranging(self, tables: Mapping[str, Any]) -> Arranging:
        table = tables["arranger"]
        able = [row.name for row in ROWS if row.kind == "arranger"]
        if table.get("system") not in able:
            raise BadData(f'{self.name} [arranger] needs system = "..."; arrangers: {", ".join(able)}')
        asked = configured(_Laid, {k: v for k, v in table.items() if k in ("serves", "seconds")})
        settings = {k: v for k, v in table.items() if k not in ("serves", "seconds", "system", "base")}
        base = None
        if "base" in table:
            plain = {k: v for k, v in tables.items() if k not in ("arranger", "explore", "longterm")}
            base = Recipe(name=f"{self.name} [arranger.base]", text="", tables=_laid_over(plain, table["base"])).build()
        try:
            return Arranging(
                arranger=system(table["system"]).build(settings), name=table["system"], base=base, **vars(asked)
            )
        except (UnknownName, BadSetting) as problem:
            raise type(problem)(f"{self.name} [arranger]: {problem}") from None

    def _ranking(self, table: Mapping[str, Any]) -> Ranking:
        own = [f.name for f in fields(_Judged)]
        settings = {k: v for k, v in table.items() if k not in (*own, "system")}
        try:
            row = system(table["system"])
            ranker = row.build(settings) if "examples" in row.needs or row.kind == "judge" else None
            if not hasattr(ranker, "rank"):
                raise BadSetting(f"{row.name} finds items and ranks none; name it as a [source.NAME]")
            asked = configured(_Judged, {k: v for k, v in table.items() if k in own})
            return Ranking(name=row.name, ranker=ranker, **vars(asked))
        except (UnknownName, BadSetting) as problem:
            raise type(problem)(f"{self.name} [ranker]: {problem}") from None

    def _explore(self, table: Mapping[str, Any]) -> Explore:
        if "system" not in table:
            able = ", ".join(row.name for row in ROWS if row.kind == "policy")
            raise BadData(f'{self.name} [explore] needs system = "..."; policies: {able}')
        own = [f.name for f in fields(_Tried)]
        asked = {k: v for k, v in table.items() if k in own}
        settings = {k: v for k, v in table.items() if k not in (*own, "system")}
        try:
            policy = system(table["system"]).build(settings)
            if not hasattr(policy, "choose"):
                raise BadSetting(f"{table['system']} does not explore; take a row of kind policy")
            return Explore(policy=policy, **vars(configured(_Tried, asked)))
        except (UnknownName, BadSetting) as problem:
            raise type(problem)(f"{self.name} [explore]: {problem}") from None

    def _source(self, name: str, table: Mapping[str, Any]) -> Source:
        asked = {k: v for k, v in table.items() if k in OF_SOURCE}
        settings = {k: v for k, v in table.items() if k not in OF_SOURCE and k != "system"}
        try:
            if "vectors" in table:
                retriever: Any = Index(configured(IndexConfig, settings))
            else:
                row = system(table["system"])
                if "examples" in row.needs:
                    raise BadSetting(f"{row.name} ranks items and finds none; name it in [ranker]")
                retriever = load_recipe(row.recipe).build(settings) if row.recipe else row.build(settings)
            return Source(retriever=retriever, **vars(configured(_Asked, asked)))
        except (UnknownName, BadSetting) as problem:
            raise type(problem)(f"{self.name} [source.{name}]: {problem}") from None


def _within(table: Mapping[str, Any], key: str, asked: type) -> tuple[Any, str]:
    """The config of a source or ranker that holds `key`: of what is asked of it, or of its system."""
    own = [f.name for f in fields(asked)]
    if key in own:
        return configured(asked, {k: v for k, v in table.items() if k in own}), key
    settings = {k: v for k, v in table.items() if k not in (*own, "system", "vectors")}
    if "vectors" in table:
        return configured(IndexConfig, {"vectors": table["vectors"], **settings}), key
    row = system(table["system"])
    if row.recipe:
        return load_recipe(row.recipe).held(key, settings)
    return configured(row.settings(), row.preset, settings), key


def _known(where: str, table: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in table:
        if name not in names:
            close = nearest(name, names, 1)
            raise UnknownName(
                f"{where} has no place for {name!r}; " + (f"did you mean {close[0]!r}?" if close else f"it has {names}")
            )


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for name, value in above.items():
        both = isinstance(value, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = _laid_over(out[name], value) if both else value
    return out


def recipes() -> dict[str, str]:
    """The recipes that come with the package: name -> what it is for."""
    folder = resources.files("interplay") / "recipes"
    return {
        f.name: Recipe.parse(f.read_text(), name=f.name).about for f in folder.iterdir() if f.name.endswith(".toml")
    }


def load_recipe(name: str | Path) -> Recipe:
    """The recipe in the file `name`, or the one of that name in the package (`market.toml` or `market`)."""
    path = Path(name)
    if path.is_file():
        return Recipe.parse(path.read_text(), name=path.name)
    own = resources.files("interplay") / "recipes" / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    if path.name != str(name) or not own.is_file():
        raise unknown("recipe", str(name), recipes())
    return Recipe.parse(own.read_text(), name=own.name)
