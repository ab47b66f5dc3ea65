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
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from interplay.cascade.fuse import fused
from interplay.cascade.page import Page, PageConfig
from interplay.cascade.paging import lay, merged
from interplay.cascade.parts import (
    FEED,
    RANKER,
    SEARCH,
    WISHES,
    Answer,
    Arranging,
    CascadeConfig,
    Explore,
    Lasting,
    Manner,
    Ranking,
    Source,
)
from interplay.cascade.path import rank, retrieve, understand
from interplay.cascade.rules import Catalogue
from interplay.cascade.trace import traces
from interplay.data.features import FeatureView
from interplay.data.pages import Pages
from interplay.errors import BadData, BadSetting, InterplayError, Unsupported, unknown
from interplay.ops.choosing import following
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
        unfitted = None if self.arranging is None else (self.arranging.base or self).bare()
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
            try:
                self.ranking.ranker.fit(dataset, run=own, world=world)
            except InterplayError as problem:
                if not self.ranking.optional:
                    raise
                log.warning("the ranker is left out: %s", problem)
                self.left_out[RANKER] = str(problem)
            else:
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

    def bare(self) -> Cascade:
        """The same path of a feed up to the page, before anything is fitted: what an arranger learns from.

        Without the ranker: fitting it once more takes longer than all the rest, and an arranger learns from what stands
        together, whatever put it into order."""
        plain = replace(self.config, feed=replace(self.config.feed, page=PageConfig()), search=Manner())
        sources = {n: s for n, s in self.sources.items() if n != WISHES and s.serves in ("both", FEED)}
        return copy.deepcopy(Cascade(sources, config=plain))

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

    def judge(self, kind: str) -> Ranking | None:
        """What orders the candidates of a "feed" or a "search" anew, where anything does."""
        ranking = None if RANKER in self.left_out else self.ranking
        return ranking if ranking is not None and ranking.serves in ("both", kind) else None

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

    @property
    def learns(self) -> bool:
        """Whether anything here can learn between two fits."""
        able = any(hasattr(source.retriever, "partial_fit") for source in self.active().values())
        return able or self.lasting is not None or self.trier is not None

    @property
    def trier(self) -> Any:
        """The policy that learns from single pages, where one explores; None without."""
        return self.explore.policy if self.explore is not None and hasattr(self.explore.policy, "taught") else None

    def taught(self, events: Events, answered: Sequence[tuple[Pages, Requests]] = ()) -> Cascade:
        """A cascade that has learnt from new events, and its policy from pages (with the requests that they answered),
        as far as they can; this one answers as before."""
        out = copy.copy(self)
        out.sources = {
            name: replace(s, retriever=copy.copy(s.retriever)) if hasattr(s.retriever, "partial_fit") else s
            for name, s in self.sources.items()
        }
        if self.lasting is not None:
            out.lasting = replace(self.lasting, model=copy.copy(self.lasting.model))
        if len(events):
            out.partial_fit(events)
        policy = self.trier
        for pages, requests in answered if policy is not None else ():
            policy = policy.taught(pages, requests)
        if self.explore is not None and policy is not None:
            out.explore = replace(self.explore, policy=policy)
        return out

    def beside(self, other: Cascade) -> Cascade:
        """This cascade, which has read newer texts, with what `other` of the same recipe learnt meanwhile."""
        out = copy.copy(self)
        out.sources = {
            n: other.sources[n] if hasattr(s.retriever, "partial_fit") else s for n, s in self.sources.items()
        }
        out.lasting, out.explore = other.lasting, other.explore
        return out

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
        ranker = {"ranker": self.ranking.ranker.state()} if self.ranking and RANKER not in self.left_out else {}
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
        if self.ranking is not None and RANKER not in self.left_out:
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
        return merged(self, self._answers(requests, n, forgiving=False), len(requests), n)

    def respond(
        self, requests: Requests, *, trace: bool = True, ids: Sequence[str] | None = None, seconds: float | None = None
    ) -> Reply:
        """Pages of `requests.k` items; with `trace`, how each came about (`ids` are the request ids to name there).

        A source that has not answered after `seconds` is left out, as one later than its own limit is.
        """
        answers = self._answers(requests, requests.k, forgiving=True, seconds=seconds)
        slates = merged(self, answers, len(requests), requests.k)
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
            policy, where = self.explore.policy, self.explore.places
            out[answer.rows] = policy.chances(answer.requests, answer.pool[0], own, answer.pool[1], where)
        return out

    def similar_items(self, items: Array, n: int) -> Slates:
        """What the sources that know similar items say together, fused as for a feed."""
        able = {name: s for name, s in self.active().items() if hasattr(s.retriever, "similar_items")}
        if not able:
            raise Unsupported(f"none of the sources {sorted(self.active())} knows similar items")
        lists = {name: s.retriever.similar_items(items, max(n, s.n)) for name, s in able.items()}
        return fused(lists, self.weights(FEED), self.config.feed.fusion, self.rows, self.width(n))

    def width(self, n: int) -> int:
        return min(n, max(self.rows.n_items, 1))

    def _answers(self, requests: Requests, n: int, *, forgiving: bool, seconds: float | None = None) -> list[Answer]:
        asked = [q is not None and bool(q.strip()) for q in requests.query or [None] * len(requests)]
        kinds = np.array(asked, bool)
        answers = []
        for kind, rows in ((SEARCH, np.flatnonzero(kinds)), (FEED, np.flatnonzero(~kinds))):
            if len(rows):
                whole = len(rows) == len(requests)
                answer = understand(self, kind, rows, requests if whole else requests.take(rows))
                retrieve(self, answer, n, forgiving, seconds)
                rank(self, answer, n, forgiving)
                lay(self, answer, n, forgiving)
                answers.append(answer)
        return answers
