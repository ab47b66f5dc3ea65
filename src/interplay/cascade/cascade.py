"""The path of a request: sources are asked, their lists fused, ranked, arranged into a page, and the answer explained.

    understand   with a query it is a search, without one a feed; standing rules and hard wishes join the request's own,
                 and where those leave nothing, some are let go
    retrieve     every source that serves this kind of request gives its best items, rules obeyed before the cut
    rank         the lists are fused; a ranker, where there is one, orders the candidates anew; soft wishes and boosts
                 move them
    rules        (the trace counts what each rule hides; nothing is filtered after the fact)
    page         an arranger, where there is one, chooses the first page as a whole; variety, caps and pins; where the
                 recipe explores, a policy fills the places from the arranged list,
                 and the chance of each item at its place stands in the column `propensity`

Learns nothing itself: it fits its sources. `retrieve` answers as it would be served and lets a source's error through;
`respond` goes on without a source that fails or is late, and its trace says so.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from interplay.cascade.fuse import FusionConfig, fused
from interplay.cascade.leaning import WIDE, arranged, leant
from interplay.cascade.page import Page, PageConfig
from interplay.cascade.rules import Catalogue, compile_rules, together
from interplay.cascade.trace import traces
from interplay.data.features import FeatureView
from interplay.errors import BadData, BadSetting, InterplayError, Unsupported, unknown
from interplay.ops.choosing import Caps, following
from interplay.ops.topk import best_dot, withheld
from interplay.types import (
    EVERYTHING,
    Array,
    Dataset,
    Events,
    Reply,
    Requests,
    Rows,
    RuleSet,
    Run,
    Slates,
    State,
    World,
)

log = logging.getLogger("interplay.cascade")

FEED, SEARCH = "feed", "search"
WISHES = "wishes"  # the source that finds what soft wishes ask for
ARRANGER = "the arranger"  # what a trace calls it where it is missing
WISHED = 600  # candidates of a request with wishes


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

    def __post_init__(self) -> None:
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

    def __post_init__(self) -> None:
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

    def __post_init__(self) -> None:
        if self.serves not in ("both", FEED, SEARCH):
            raise BadSetting(f"an arranger serves {self.serves!r}; expected 'feed', 'search' or 'both'")


@dataclass(frozen=True, kw_only=True, eq=False)
class Lasting:
    """What lifts candidates whose maker a person may come back to: a ranker whose scores build on those it is given.

    It has the verbs of models/longterm.py: fit, rank, update, state, restore, forget.
    """

    model: Any
    name: str = ""  # what the trace calls it
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


class Cascade:
    """Sources, fusion, an optional ranker and a page, behind the verbs of one system."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        config: CascadeConfig = CascadeConfig(),
        ranking: Ranking | None = None,
        steer: Any = None,
        explore: Explore | None = None,
        lasting: Lasting | None = None,
        arranging: Arranging | None = None,
    ) -> None:
        """`steer` weighs soft wishes and lets go of what cannot be met (dialogue/steer.py); without it only hard wishes
        are obeyed."""
        if not sources:
            raise BadSetting("a cascade needs at least one source")
        self.sources, self.config, self.ranking, self.steer = dict(sources), config, ranking, steer
        self.explore, self.arranging, self.lasting = explore, arranging, lasting
        if steer is not None:
            says = "It meets what you asked for"
            self.sources[WISHES] = Source(retriever=steer, serves=FEED, says=says, stranger=says)
        for name in (*config.feed.fusion.weights, *config.search.fusion.weights):
            if name not in self.sources:
                raise unknown("source", name, self.sources)
        self.features: FeatureView | None = None  # for the ranker: the catalogue and the log as of the last `attend`
        self.catalogue = Catalogue(None)

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Cascade:
        """Fit every source, then the page; a source marked optional is left out where its tables are missing."""
        begun, self.fitted = time.perf_counter(), {}
        unfitted = self._unfitted()
        self.left_out: dict[str, str] = {}
        for i, (name, source) in enumerate(self.sources.items()):
            run.progress(f"fitting {name}", {"source": i + 1, "of": len(self.sources)})
            left = None if run.seconds is None else max(run.seconds - (time.perf_counter() - begun), 1.0)
            own = replace(run, seconds=left, checkpoint=None if run.checkpoint is None else run.checkpoint / name)
            try:
                source.retriever.fit(dataset, run=own, world=world)
            except (BadData, Unsupported) as problem:
                if not source.optional:
                    raise
                log.warning("source %s is left out: %s", name, problem)
                self.left_out[name] = str(problem)
            else:
                self.fitted[name] = getattr(source.retriever, "fitted", {})
        if len(self.left_out) == len(self.sources):
            raise BadData("no source could be fitted: " + "; ".join(f"{n}: {p}" for n, p in self.left_out.items()))
        if self.left_out:
            self.fitted["left_out"] = self.left_out
        self.rows = Rows.of(dataset)
        tables = {n: s.retriever.vectors for n, s in self.active().items() if hasattr(s.retriever, "vectors")}
        self.pages = {k: Page(getattr(self.config, k).page).fit(dataset, tables, self.left_out) for k in (FEED, SEARCH)}
        if self.ranking is not None:
            run.progress("fitting the ranker", {})
            own = replace(run, checkpoint=None if run.checkpoint is None else run.checkpoint / "ranker")
            self.ranking.ranker.fit(dataset, run=own, world=world)
            self.fitted["ranker"] = getattr(self.ranking.ranker, "fitted", {})
        if self.arranging is not None:
            run.progress("fitting the arranger", {})
            self.arranging.arranger.fit(dataset, run=run, world=world, base=lambda: copy.deepcopy(unfitted))
            self.fitted["arranger"] = getattr(self.arranging.arranger, "fitted", {})
        if self.lasting is not None:
            run.progress("fitting what pairs are worth", {})
            self.lasting.model.fit(dataset, run=replace(run, checkpoint=None), world=world)
            self.fitted["longterm"] = self.lasting.model.fitted
        if self.explore is not None:
            run.progress("fitting what explores", {})
            self.explore.policy.fit(dataset, run=run, world=world)
        self.standing = EVERYTHING
        return self.attend(dataset)

    def attend(self, source: Catalogue | Dataset | pl.DataFrame) -> Cascade:
        """Take over a newer catalogue: standing rules and wishes are about its columns from now on.

        From a Dataset the ranker's features come too: what its log and tables say of people and things.
        """
        self.catalogue = Catalogue.of(source)
        if self.arranging is not None and isinstance(source, Dataset):
            self.arranging.arranger.attend(source)
        if self.ranking is not None and isinstance(source, Dataset):
            self.features = FeatureView(source)
        if self.steer is not None:
            self.steer = self.steer.attend(self.catalogue, self.catalogue.frame)
            self.sources = {**self.sources, WISHES: replace(self.sources[WISHES], retriever=self.steer)}
        if self.config.where:
            masks = [self.catalogue.mask(w, strict=False)[: self.rows.n_items] for w in self.config.where]
            self.standing = RuleSet(masks=np.stack(masks), names=self.config.where, withhold_seen=False)
        return self

    def _unfitted(self) -> Cascade | None:
        """What an arranger learns from: the same path up to the page, before anything is fitted."""
        if self.arranging is None:
            return None
        plain = replace(self.config, feed=replace(self.config.feed, page=PageConfig()))
        sources = {n: s for n, s in self.sources.items() if n != WISHES and s.serves in ("both", FEED)}
        return copy.deepcopy(Cascade(sources, config=plain, ranking=self.ranking))

    def attended(self, dataset: Dataset, changed: Array) -> Cascade:
        """A cascade over a catalogue in which the texts of `changed` items (int[]) are new.

        Sources that read the catalogue take them in, the others go on without; where none does, nothing is changed.
        This cascade answers as before.
        """
        if not any(hasattr(source.retriever, "attended") for source in self.active().values()):
            return self

        def grown(source: Source) -> Source:
            able = hasattr(source.retriever, "attended")
            return replace(source, retriever=source.retriever.attended(dataset, changed)) if able else source

        out = copy.copy(self)
        out.sources = {n: s if n in self.left_out else grown(s) for n, s in self.sources.items()}
        out.rows = self.rows.grown(dataset.items)
        tables = {n: s.retriever.vectors for n, s in out.active().items() if hasattr(s.retriever, "vectors")}
        out.pages = {k: Page(getattr(self.config, k).page).fit(dataset, tables, self.left_out) for k in (FEED, SEARCH)}
        return out.attend(dataset)

    def active(self) -> dict[str, Source]:
        """The sources that were fitted."""
        return {n: s for n, s in self.sources.items() if n not in self.left_out}

    def weights(self, kind: str) -> dict[str, float]:
        """Every source's say in the fusion of a "feed" or a "search"."""
        own: Mapping[str, float] = getattr(self.config, kind).fusion.weights
        return {name: own.get(name, s.weight) for name, s in self.sources.items()}

    def partial_fit(self, events: Events) -> Cascade:
        """Hand new events to every source that can learn from them at once; the others wait for the next fit."""
        for source in self.active().values():
            if hasattr(source.retriever, "partial_fit"):
                source.retriever.partial_fit(events)
        if self.lasting is not None:
            self.lasting.model.update(events)
        return self

    def forget(self, users: Array) -> Cascade:
        """Erase what is kept of these users, here and in every source."""
        known = np.asarray(users)[(np.asarray(users) >= 0) & (np.asarray(users) < self.rows.n_users)]
        events = self.rows.events.copy()
        events[known] = 0
        self.rows = replace(self.rows, events=events)
        for source in self.active().values():
            if hasattr(source.retriever, "forget"):
                source.retriever.forget(users)
        if self.explore is not None:
            self.explore.policy.forget(users)
        if self.lasting is not None:
            self.lasting.model.forget(users)
        if self.arranging is not None:
            self.arranging.arranger.forget(users)
        return self

    def state(self) -> State:
        standing = {} if self.standing.masks is None else {"masks": self.standing.masks}
        ranker = {} if self.ranking is None else {"ranker": self.ranking.ranker.state()}
        ranker |= {} if self.explore is None else {"explore": self.explore.policy.state()}
        ranker |= {} if self.lasting is None else {"longterm": self.lasting.model.state()}
        ranker |= {} if self.arranging is None else {"arranger": self.arranging.arranger.state()}
        return State.joined(
            rows=self.rows.state(), path=State(arrays=standing, facts={"left_out": self.left_out}),
            source=State.joined(**{n: s.retriever.state() for n, s in self.active().items()}),
            page=State.joined(**{kind: page.state() for kind, page in self.pages.items()}), **ranker,
        )  # fmt: skip

    def restore(self, state: State) -> Cascade:
        """Give a new cascade of the same recipe what another knew; `attend` brings the catalogue that wishes need."""
        path = state.within("path")
        self.rows, self.left_out, self.fitted = Rows.restore(state.within("rows")), dict(path.facts["left_out"]), {}
        for name, source in self.active().items():
            source.retriever.restore(state.within("source").within(name))
        pages = state.within("page")
        self.pages = {k: Page(getattr(self.config, k).page).restore(pages.within(k)) for k in (FEED, SEARCH)}
        if self.ranking is not None:
            self.ranking.ranker.restore(state.within("ranker"))
        if self.explore is not None:
            self.explore.policy.restore(state.within("explore"))
        if self.lasting is not None:
            self.lasting.model.restore(state.within("longterm"))
        if self.arranging is not None:
            self.arranging.arranger.restore(state.within("arranger"))
        self.standing = EVERYTHING
        if "masks" in path.arrays:
            masks = path.arrays["masks"]
            self.standing = RuleSet(masks=masks, names=self.config.where, withhold_seen=False)
        return self

    # ------------------------------------------------------------------------------------------------------- answering

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """At most n items for each request, as they would be served, best first."""
        return self._merged(self._answers(requests, n, forgiving=False), len(requests), n)

    def respond(
        self, requests: Requests, *, trace: bool = True, ids: Sequence[str] | None = None, seconds: float | None = None
    ) -> Reply:
        """Pages of `requests.k` items; with `trace`, how each came about (`ids` are the request ids to name there).

        A source that has not answered after `seconds` is left out, as one later than its own limit is.
        """
        answers = self._answers(requests, requests.k, forgiving=True, seconds=seconds)
        slates = self._merged(answers, len(requests), requests.k)
        if not trace:
            return Reply(slates=slates)
        return Reply(slates=slates, trace=traces(self, answers, requests, ids))

    def chances(self, requests: Requests, shown: Array) -> Array:
        """float64[n, k]: the chance that it would show these items (int[n, k], -1 pads) at these places of a page,
        each given those above it. Where nothing explores that is 1 for the next of its own list, and 0 for all else.
        """
        out = np.ones(shown.shape)
        for answer in self._answers(requests, shown.shape[1], forgiving=False):
            own = shown[answer.rows]
            if answer.pool is None:
                assert answer.slates is not None
                out[answer.rows] = following(answer.slates.items, own)
                continue
            if len(answer.page.arrays["pinned"]):
                raise Unsupported("the chances of a page with pins are not known; ask about the recipe without them")
            assert self.explore is not None
            out[answer.rows] = self.explore.policy.chances(answer.requests, answer.pool[0], own, answer.pool[1])
        return out

    def similar_items(self, items: Array, n: int) -> Slates:
        """What the sources that know similar items say together, fused as for a feed."""
        able = {name: s for name, s in self.active().items() if hasattr(s.retriever, "similar_items")}
        if not able:
            raise Unsupported(f"none of the sources {sorted(self.active())} knows similar items")
        lists = {name: s.retriever.similar_items(items, max(n, s.n)) for name, s in able.items()}
        return fused(lists, self.weights(FEED), self.config.feed.fusion, self.rows, self._width(n))

    def _width(self, n: int) -> int:
        return min(n, max(self.rows.n_items, 1))

    def _answers(self, requests: Requests, n: int, *, forgiving: bool, seconds: float | None = None) -> list[Answer]:
        asked = [q is not None and bool(q.strip()) for q in requests.query or [None] * len(requests)]
        kinds = np.array(asked, bool)
        answers = []
        for kind, rows in ((SEARCH, np.flatnonzero(kinds)), (FEED, np.flatnonzero(~kinds))):
            if len(rows):
                whole = len(rows) == len(requests)
                answer = self._understand(kind, rows, requests if whole else requests.take(rows))
                self._retrieve(answer, n, forgiving, seconds)
                self._rank(answer, n)
                self._page(answer, n, forgiving)
                answers.append(answer)
        return answers

    def _understand(self, kind: str, rows: Array, requests: Requests) -> Answer:
        begun, n = time.perf_counter(), len(requests)
        notes: list[list[str]] = [[] for _ in range(n)]
        for i, turns in enumerate(requests.turns or ()):
            if turns:
                notes[i].append("the conversation is not read here; only the query and the history are")
        rules = requests.rules
        if self.standing.masks is not None:
            rules = together(rules, self.standing, n)
        steered = None
        if requests.wishes is not None and any(requests.wishes):
            if self.steer is None:
                wished = [self._wished(requests, i, notes[i]) for i in range(n)]
            else:
                steered = self._steered(replace(requests, rules=rules))
                wished = [list(s.where) for s in steered]
                for told, s in zip(notes, steered, strict=True):
                    told.extend(s.said)
                requests = replace(requests, wishes=[s.wishes for s in steered])
            hard = compile_rules(self.catalogue, n, where=wished, withhold_seen=False, strict=False)
            rules = together(rules, hard, n)
        page, wanted = self.pages[kind], requests.arrangement
        answer = Answer(
            kind=kind, rows=rows, requests=replace(requests, rules=rules), notes=notes, steered=steered,
            page=page if wanted is None else arranged(page, wanted, self.catalogue),
        )  # fmt: skip
        answer.seconds["understand"] = time.perf_counter() - begun
        return answer

    def _steered(self, requests: Requests) -> list[Any]:
        """What is obeyed of each request's wishes, given what its rules, its history and its exclusions leave."""
        hidden, out = withheld(requests, self.rows.n_items), []
        for i, wishes in enumerate(requests.wishes or ()):
            allowed = requests.rules.allowed(i, self.rows.n_items)
            allowed[hidden.row(i)["item"]] = False
            out.append(self.steer.plan(wishes, allowed, None if requests.at is None else int(requests.at[i])))
        return out

    def _wished(self, requests: Requests, i: int, notes: list[str]) -> list[str]:
        """The sentences of one request's hard wishes; what cannot be obeyed is noted."""
        out = []
        for wish in (requests.wishes or ())[i]:
            if wish.until is not None and requests.at is not None and requests.at[i] > wish.until:
                notes.append(f"the wish {wish.text!r} has run out")
            elif not wish.hard or wish.where is None:
                notes.append(f"the wish {wish.text!r} is soft; no source or ranker here weighs it")
            else:
                sentence = wish.where if wish.wanted else f"not ({wish.where})"
                try:
                    self.catalogue.mask(sentence, strict=False)
                except InterplayError as problem:
                    notes.append(f"the wish {wish.text!r} cannot be obeyed: {problem}")
                else:
                    out.append(sentence)
        return out

    def _retrieve(self, answer: Answer, n: int, forgiving: bool, seconds: float | None) -> None:
        begun = time.perf_counter()
        if answer.requests.boosts is not None and any(answer.requests.boosts):
            n = max(n, WIDE)
        asked = {name: s for name, s in self.active().items() if s.serves in ("both", answer.kind)}
        if not asked:
            raise Unsupported(
                f"no source of this cascade serves a {answer.kind}; its sources are {sorted(self.active())}"
            )
        limits = {name: [t for t in (s.seconds, seconds) if t is not None] for name, s in asked.items()}
        timed = {name: min(limit) for name, limit in limits.items() if limit and forgiving}
        running: dict[str, Future[tuple[Slates, float]]] = {
            name: _pool().submit(_timed, asked[name], answer.requests, n) for name in timed
        }
        problem: Exception | None = None
        for name, source in asked.items():
            try:
                if name in running:
                    left = timed[name] - (time.perf_counter() - begun)
                    answer.lists[name], took = running[name].result(timeout=max(left, 0.0))
                else:
                    answer.lists[name], took = _timed(source, answer.requests, n)
                answer.seconds[name] = took
            except TimeoutError as late:
                problem = late
                answer.dropped[name] = f"later than {timed[name]:g} s"
            except Exception as error:
                if not forgiving:
                    raise
                problem = error
                answer.dropped[name] = f"{type(error).__name__}: {error}"
            if name in answer.dropped:
                log.warning("source %s is left out of an answer: %s", name, answer.dropped[name])
        if not answer.lists:
            raise Unsupported(f"no source could answer: {answer.dropped}") from problem
        if self.steer is not None and answer.kind == FEED and answer.steered is not None:
            self._lean(answer, n)
        answer.seconds["retrieve"] = time.perf_counter() - begun

    def _lean(self, answer: Answer, n: int) -> None:
        """Ask every source once more for the items that meet the soft wishes, so that taste orders those too."""
        found = self.steer.leaning(answer.requests)
        if found is None:
            return
        rows, rules = found
        part = answer.requests.take(rows)
        part = replace(part, rules=together(part.rules, rules, len(rows)))
        for name in answer.lists:
            if name != WISHES:
                more, took = _timed(self.sources[name], part, n)
                answer.lists[name] = _joined(answer.lists[name], rows, more)
                answer.seconds[name] += took

    def _rank(self, answer: Answer, n: int) -> None:
        begun = time.perf_counter()
        fusion = getattr(self.config, answer.kind).fusion
        weights = answer.weights or self.weights(answer.kind)
        candidates = self._width(max(fusion.candidates, n, WISHED if answer.steered is not None else 0))
        boosted = answer.requests.boosts is not None and any(answer.requests.boosts)
        wide = self._width(max(WIDE, candidates)) if boosted else candidates
        answer.ranked = fused(answer.lists, weights, fusion, self.rows, wide)
        if boosted:
            answer.ranked = leant(answer.ranked, answer.requests, self.catalogue).first(candidates)
        if self.ranking is not None and self.ranking.serves in ("both", answer.kind):
            ranked = self.ranking.ranker.rank(answer.requests, answer.ranked, self.features)
            answer.ranked = _carried(answer.ranked, ranked)
            if boosted:
                answer.ranked = leant(answer.ranked, answer.requests, self.catalogue)
        if self.lasting is not None and self.lasting.serves in ("both", answer.kind):
            answer.ranked = self.lasting.model.rank(answer.requests, answer.ranked, self.features)
        if answer.steered is not None:
            answer.ranked = self.steer.rank(answer.requests, answer.ranked, self.features)
        answer.seconds["rank"] = time.perf_counter() - begun

    def _page(self, answer: Answer, n: int, forgiving: bool = True) -> None:
        begun, page = time.perf_counter(), answer.page
        ranked, places = self._arranged(answer, n, forgiving)
        explore = None if self.explore is None or self.explore.serves not in ("both", answer.kind) else self.explore
        order = page.order(ranked.items, ranked.scores, self._width(n if explore is None else max(n, explore.pool)))
        held = order >= 0
        at = np.maximum(order, 0)
        columns = {k: np.take_along_axis(c, at, 1) for k, c in ranked.columns.items()}
        before = order if places is None else np.take_along_axis(places, at, 1)
        columns["ranked"] = np.where(held, before, -1).astype(np.int32)  # place before the page; -1 for a pin
        slates = Slates(
            items=np.where(held, np.take_along_axis(ranked.items, at, 1), -1),
            scores=np.where(held, np.take_along_axis(ranked.scores, at, 1), -np.inf).astype(np.float32),
            columns=columns,
        )
        pinned = page.arrays["pinned"]
        allowed = self._allowed(answer.requests, pinned) if len(pinned) else np.zeros((len(slates), 0), bool)
        if explore is not None:
            slates = self._explored(explore, answer, slates, self._width(n), np.where(allowed, pinned[None, :], -2))
        if len(pinned):
            for item, place, may in zip(pinned, page.arrays["pinned_at"], allowed.T, strict=True):
                slates = _pinned(slates, int(item), int(place), may)
        answer.slates = slates
        answer.seconds["page"] = time.perf_counter() - begun

    def _arranged(self, answer: Answer, n: int, forgiving: bool) -> tuple[Slates, Array | None]:
        """The candidates as the arranger has them, and where each stood before; as ranked, and None, without one.

        A wish for variety, a person's own or the recipe's, goes before it, as do soft wishes and boosts of a request.
        """
        wanted, ranked, answer.arranged = self.arranging, answer.ranked, None
        assert ranked is not None
        if wanted is None or wanted.serves not in ("both", answer.kind) or answer.page.config.variety != "relevance":
            return ranked, None
        try:
            if forgiving and wanted.seconds is not None:
                work = _pool().submit(wanted.arranger.arrange, answer.requests, ranked, n)
                made = work.result(timeout=wanted.seconds)
            else:
                made = wanted.arranger.arrange(answer.requests, ranked, n)
        except Exception as problem:
            if not forgiving:
                raise
            late = isinstance(problem, TimeoutError) and wanted.seconds is not None
            why = f"later than {wanted.seconds:g} s" if late else f"{type(problem).__name__}: {problem}"
            answer.dropped[ARRANGER] = why
            log.warning("the arranger is left out of an answer: %s", why)
            return ranked, None
        bent = _bent(answer.requests)
        if bent.any():  # what a person asked for has ordered these; it is not undone
            by = tuple("base" if left else who for left, who in zip(bent.tolist(), made.by, strict=True))
            same = np.arange(ranked.items.shape[1])
            kept = {name: np.where(bent[:, None], 0, column) for name, column in made.columns.items()}
            order = np.where(bent[:, None], same, made.order)
            made = replace(made, order=order, columns=kept, by=by, after=np.where(bent, made.before, made.after))
        answer.arranged, order = made, made.order
        columns = {k: np.take_along_axis(c, order, 1) for k, c in ranked.columns.items()}
        items, scores = np.take_along_axis(ranked.items, order, 1), np.take_along_axis(ranked.scores, order, 1)
        return Slates(items=items, scores=scores, columns={**columns, **made.columns}), order

    def _explored(self, explore: Explore, answer: Answer, slates: Slates, n: int, pinned: Array) -> Slates:
        """The page that the policy chooses from the arranged list; what is pinned is left to its pin."""
        free = (slates.items[:, :, None] != pinned[:, None, :]).all(axis=2)
        pool = replace(slates, items=np.where(free, slates.items, -1))
        held = np.maximum(pool.items, 0)
        caps = [(np.where(pool.items >= 0, codes[held], -1), most) for codes, most in answer.page.caps]
        answer.pool = pool, caps
        return explore.policy.choose(answer.requests, pool, n, caps)  # type: ignore[no-any-return]

    def _allowed(self, requests: Requests, items: Array) -> Array:
        """bool[len(requests), len(items)]: which of a few items each request's rules let through."""
        bias = np.full(self.rows.n_items, -np.inf, np.float32)
        bias[items] = 0
        nothing = np.zeros((len(requests), 1), np.float32)
        shown = best_dot(
            nothing, np.zeros((self.rows.n_items, 1), np.float32), requests, len(items), self.rows, bias=bias
        )
        return (shown.items[:, :, None] == items[None, None, :]).any(axis=1)

    def _merged(self, answers: Sequence[Answer], n_requests: int, n: int) -> Slates:
        """The pages of all kinds in the order of the requests, with a column for every source."""
        out = Slates.empty(n_requests, self._width(n))
        columns: dict[str, Array] = {"source": np.zeros(out.items.shape, np.int64)}
        columns |= {f"part_{name}": np.zeros(out.items.shape, np.float32) for name in self.sources}
        columns["ranked"] = np.full(out.items.shape, -1, np.int32)
        if self.explore is not None:  # what nothing chose was certain to come
            columns |= {"propensity": np.ones(out.items.shape), "explored": np.zeros(out.items.shape, bool)}
        for answer in answers:
            assert answer.slates is not None
            width = answer.slates.items.shape[1]
            out.items[answer.rows, :width], out.scores[answer.rows, :width] = answer.slates.items, answer.slates.scores
            for name, column in answer.slates.columns.items():
                columns.setdefault(name, np.zeros(out.items.shape, column.dtype))[answer.rows, :width] = column
        return replace(out, columns=columns)


def _bent(requests: Requests) -> Array:
    """bool[len(requests)]: whose candidates are ordered by soft wishes or boosts of their own."""
    bent = np.zeros(len(requests), bool)
    for i, wishes in enumerate(requests.wishes or ()):
        bent[i] = any(not wish.hard for wish in wishes)
    for i, boosts in enumerate(requests.boosts or ()):
        bent[i] |= bool(boosts)
    return bent


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8, thread_name_prefix="source")


def _timed(source: Source, requests: Requests, n: int) -> tuple[Slates, float]:
    begun = time.perf_counter()
    return source.retriever.retrieve(requests, max(source.n, n)), time.perf_counter() - begun


def _joined(lists: Slates, rows: Array, more: Slates) -> Slates:
    """A source's lists with further items of the same source for some rows; the order is by its score."""
    width = lists.items.shape[1] + more.items.shape[1]
    out = Slates.empty(len(lists), width)
    out.items[:, : lists.items.shape[1]], out.scores[:, : lists.items.shape[1]] = lists.items, lists.scores
    for i, row in enumerate(rows):
        items = np.concatenate([lists.items[row], more.items[i]])
        scores = np.concatenate([lists.scores[row], more.scores[i]])
        _, first = np.unique(items, return_index=True)
        first = np.sort(first[items[first] >= 0])
        first = first[np.argsort(-scores[first], kind="stable")]
        out.items[row], out.scores[row] = -1, -np.inf
        out.items[row, : len(first)], out.scores[row, : len(first)] = items[first], scores[first]
    return out


def _carried(before: Slates, after: Slates) -> Slates:
    """The ranker's order with the columns that came before it."""
    n, m = before.items.shape
    row = np.repeat(np.arange(n), m)
    size = int(before.items.max(initial=0)) + 2
    key = row * size + before.items.ravel() + 1
    order = np.argsort(key, kind="stable")
    wanted = np.repeat(np.arange(n), after.items.shape[1]) * size + after.items.ravel() + 1
    at = order[np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)] if len(order) else order
    columns = {k: c.ravel()[at].reshape(after.items.shape) for k, c in before.columns.items()}
    return replace(after, columns={**columns, **after.columns})


def _pinned(slates: Slates, item: int, place: int, may: Array) -> Slates:
    """`item` at `place` (from 0) of every row that may show it; what stood there moves down by one."""
    n, k = slates.items.shape
    if place >= k:
        return slates
    gone = (slates.items == item) & may[:, None]
    rank = np.cumsum(~gone, axis=1) - 1
    spot = np.minimum(place, (~gone & (slates.items >= 0)).sum(axis=1))[:, None]  # a short list is not torn apart
    key = np.where(gone, np.inf, rank + (rank >= spot) * may[:, None])
    key = np.concatenate([key, np.where(may[:, None], spot, np.inf)], axis=1)
    order = np.argsort(key, axis=1, kind="stable")[:, :k]

    def laid(column: Array, value: Any) -> Array:
        wide = np.concatenate([column, np.full((n, 1), value, column.dtype)], axis=1)
        return np.take_along_axis(wide, order, 1)

    return Slates(
        items=laid(slates.items, item), scores=laid(slates.scores, 0.0),
        columns={name: laid(c, {"ranked": -1, "propensity": 1}.get(name, 0)) for name, c in slates.columns.items()},
    )  # fmt: skip
