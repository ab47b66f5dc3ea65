"""What a cascade is made of, and what becomes of the requests that pass through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interplay.cascade.fuse import FusionConfig
from interplay.cascade.page import Page, PageConfig
from interplay.errors import BadSetting
from interplay.ops.choosing import Caps
from interplay.types import Array, Requests, Slates

FEED, SEARCH = "feed", "search"
WISHES = "wishes"  # the source that finds what soft wishes ask for
ARRANGER, RANKER, LIFTER = "the arranger", "the ranker", "the lifter"  # what a trace calls them where they are missing


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One retriever of a cascade, and what it is asked for."""

    retriever: Any
    serves: str = "both"  # "search" (requests with a query), "feed" (those without) or "both"
    weight: float = 1.0  # its say in the fusion
    n: int = 200  # items it is asked for
    seconds: float | None = None  # later than this it is left out of a served answer
    optional: bool = False  # a fit without the tables it needs leaves it out
    says: str = ""  # the reason given for an item that it gave
    stranger: str = "Many others chose it"  # the reason where neither history nor query said anything

    def __post_init__(self) -> None:
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"a source serves {self.serves!r}; expected 'feed', 'search' or 'both'")


@dataclass(frozen=True, kw_only=True, eq=False)
class Explore:
    """A policy that fills the page from more candidates than the page has places, and knows the chance of each choice.

    It has the verbs of models/bandits.py: fit, choose, chances, state, restore, forget.
    """

    policy: Any
    pool: int = 30  # candidates it may choose from: the first of the arranged list
    serves: str = FEED  # "feed", "search" or "both"
    places: tuple[int, ...] = ()  # the places (from 1) that it fills, all others as arranged; none named: every place

    def __post_init__(self) -> None:
        if any(place < 1 for place in self.places):
            raise BadSetting(f"explore.places are {list(self.places)}; expected places of a page, the first being 1")
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"explore.serves is {self.serves!r}; expected 'feed', 'search' or 'both'")
        if self.pool < 1:
            raise BadSetting(f"explore.pool is {self.pool}; expected at least 1 candidate to choose from")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """What orders the fused candidates anew."""

    ranker: Any
    name: str = ""  # what the trace calls it
    serves: str = "both"
    order: float = 0.0  # what the order of the sources counts in the sum, from 1 for its first candidate to 0
    first: int | None = None  # so many of the fused candidates are judged, the others follow; None: all
    optional: bool = False  # a data set without what it needs leaves it out

    def __post_init__(self) -> None:
        if self.order < 0 or (self.first is not None and self.first < 1):
            raise BadSetting(f"ranker.order is {self.order} and first {self.first}; expected 0 or more, and 1 or more")
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"a ranker serves {self.serves!r}; expected 'feed', 'search' or 'both'")


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranging:
    """What arranges the first page as a whole, in the place of variety; the base order stays where it is late or fails.

    It has the verbs of models/pages.py: fit, arrange, attend, state, restore, forget.
    """

    arranger: Any
    name: str = ""  # what the trace calls it
    serves: str = FEED  # "feed", "search" or "both"
    seconds: float | None = None  # later than this it is left out of a served answer
    base: Any = None  # an unfitted cascade whose path up to the page it learns from; None: the one it arranges for

    def __post_init__(self) -> None:
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"an arranger serves {self.serves!r}; expected 'feed', 'search' or 'both'")


@dataclass(frozen=True, kw_only=True, eq=False)
class Lasting:
    """What lifts candidates whose maker a person may come back to: a ranker whose scores build on those it is given.

    It has the verbs of models/longterm.py: fit, rank, update, state, restore, forget.
    """

    model: Any
    name: str  # what the trace calls it
    serves: str = FEED  # "feed", "search" or "both"

    def __post_init__(self) -> None:
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"longterm.serves is {self.serves!r}; expected 'feed', 'search' or 'both'")


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How one kind of request is answered."""

    fusion: FusionConfig = field(default_factory=FusionConfig)
    page: PageConfig = field(default_factory=PageConfig)


@dataclass(frozen=True, kw_only=True)
class CascadeConfig:
    feed: Manner = field(default_factory=Manner)
    search: Manner = field(default_factory=Manner)
    where: tuple[str, ...] = ()  # rules for everybody, over catalogue columns


@dataclass(kw_only=True, eq=False)
class Answer:
    """What happened to the requests of one kind, for the trace."""

    kind: str
    rows: Array  # which requests of the batch
    requests: Requests  # ... with all rules that held
    page: Page  # the recipe's, or as these requests want it
    notes: list[list[str]]  # per request: what was understood and what was not
    steered: list[Any] | None = None  # per request: its wishes as they are obeyed
    weights: Mapping[str, float] | None = None  # each source's say, where it is not the recipe's
    lists: dict[str, Slates] = field(default_factory=dict)  # what each source gave
    seconds: dict[str, float] = field(default_factory=dict)  # per source and stage, for the whole batch
    dropped: dict[str, str] = field(default_factory=dict)  # source -> why it is missing
    ranked: Slates | None = None  # candidates before the page
    arranged: Any = None  # what the arranger made of them, where there is one
    slates: Slates | None = None  # the page
    pool: tuple[Slates, Caps] | None = None  # what a policy chose the page from, where one explores
