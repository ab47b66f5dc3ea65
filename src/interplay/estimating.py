"""What another recipe would have earned on the traffic that a store's log recorded, or why the log cannot tell.

    told = estimate(store, ["feed.toml"])             # fitted on the older half of the log, judged on the newer
    told[0].value, told[0].interval, told[0].said

The logged pages are asked of the candidate again, with the history as it was then; its chance of showing the very same
items at the very same places, place by place, over the logged chance, weighs what the page earned (evaluate/slates.py).
Those weights reach down a page as far as the log carries them: where the candidate and the log part ways after the
first two places, only two places can be told, and the answer says so. Where not even one can, it is refused and what
is missing is named. Of several candidates the best is chosen on one half of the people and judged on the other.

What a policy never shows at a place is told from what it could have shown and by luck did not: things that it shows
once there stand for those that it shows not at all (Good, Biometrika 1953), weighted as their pages are.

The belief behind the estimate is that a thing's reward depends on what stands above it, not on what stands below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errors import BadSetting, Mismatch, Undecidable
from interplay.evaluate.intervals import Interval, Terms, bootstrap, error, few
from interplay.evaluate.offpolicy import FEWEST, MISSING, SHARE
from interplay.evaluate.slates import SLATE_ESTIMATORS, Chances, SlateLog
from interplay.fitted import Fitted
from interplay.ops.choosing import following
from interplay.recipe import Recipe
from interplay.traffic import Traffic, Window
from interplay.types import Array, Dataset, Requests, RuleSet, Run

Progress = Callable[[str, Mapping[str, Any]], None]
BLOCK = 256  # pages asked of a candidate at once
NAMED = 10  # missing items that are named
ANSWER = "snrips"  # the estimator whose value is the answer; chosen beforehand, never by what the others say
BELIEFS = {  # estimator -> what it takes a reward to depend on
    "snrips": "on what stands above it; weights divided by their mean",
    "rips": "on what stands above it",
    "snsips": "on everything down to the last place; weights divided by their mean",
    "sips": "on everything down to the last place",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A candidate that has no file: a recipe's text, a system with settings, or a version of the store's models."""

    name: str
    recipe: Recipe | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What one estimator says."""

    name: str
    belief: str
    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Support:
    """Whether the log shows, at one place and above, what the candidate would."""

    place: int  # from 1
    effective: float  # pages that the log is worth
    needed: float  # pages below which nothing is said
    found: float  # share of what the candidate would show that the log has or may lack by luck, at most; 1: all of it
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the log says about one candidate."""

    policy: str
    reward: str
    places: int  # of a page, counted from the top, that this is about
    width: int  # places that logged pages have
    pages: int
    people: int
    value: float  # rewards a page on those places, had the candidate filled them
    interval: Interval
    logged: float  # what those pages earned there
    logged_interval: Interval
    difference: Interval  # of the candidate from what was logged
    estimates: tuple[Estimated, ...]  # of every estimator, the answer's first
    support: tuple[Support, ...]  # by place
    largest: float  # the largest weight
    loggers: Mapping[str, int]  # policy -> pages
    notes: tuple[str, ...]
    chosen: bool = False  # of several candidates, the one that is recommended

    @property
    def effective(self) -> float:
        """How many pages the log is worth for the candidate."""
        return self.support[self.places - 1].effective

    @property
    def verdict(self) -> str:
        """better, worse, cannot tell"""
        return self.difference.verdict

    @property
    def said(self) -> str:
        """The answer as a person reads it."""
        where = "a page" if self.places == self.width else f"the {_places(self.places)} of a page"
        return (
            f"{self.policy} would have earned {self.value:.4g} {self.interval} {self.reward} on {where}, what was "
            f"shown earned {self.logged:.4g} {self.logged_interval}: {self.verdict} (difference {self.difference}); "
            f"{self.pages:,} pages of {self.people:,} people, worth {self.effective:,.0f} for it"
        )

    def as_json(self) -> dict[str, Any]:
        """Every number, for machines."""
        return spoken(self) | {"effective": spoken(self.effective), "verdict": self.verdict, "said": self.said}


def spoken(value: Any) -> Any:
    """Values as JSON has them: rounded, with no more digits than mean anything."""
    if is_dataclass(value):
        return {name: spoken(held) for name, held in vars(value).items()}
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, (tuple, list)):
        return [spoken(held) for held in value]
    return dict(value) if isinstance(value, Mapping) else value


def estimate(
    store: Store,
    policies: Sequence[str | Wanted],
    *,
    reward: str = "click",
    places: int | None = None,
    window: Window = Window(),
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Told]:
    """One answer for each policy: a system or recipe, fitted on what is older than the pages of the window, or a model
    directory that has not learnt from them. Of several, the recommended one comes first and is judged on people whom
    it was not chosen by.

    `places` is how far down a page to look (as far as the log carries, by default). Errors: Undecidable, with what is
    missing, where the log cannot tell.
    """
    if not policies:
        raise BadSetting("name at least one policy: a recipe, a system or a model directory")
    said = progress or (lambda stage, facts: None)
    said("log", {"said": "reading what was shown"})
    taken = snapshot(store, shown=True)
    traffic = Traffic.of(store, taken, reward, window)
    halves = [traffic] if len(policies) == 1 else traffic.halves()
    asked = [Asked.of(store, policy, traffic, seed=seed, progress=said) for policy in policies]
    said("judge", {"said": f"asking {len(traffic.pages):,} pages again"})
    if len(policies) == 1:
        return [_told(asked[0], traffic, places, seed)]
    first: list[tuple[float, Asked]] = []
    refused: dict[str, str] = {}
    for one in asked:
        try:
            first.append((_told(one, halves[0], places, seed).difference.low, one))
        except Undecidable as problem:
            refused[one.name] = str(problem)
    first.sort(key=lambda pair: -pair[0])
    out = list[Told]()
    for _, one in first:
        try:
            told = _told(one, halves[1], places, seed)
        except Undecidable as problem:
            refused[one.name] = str(problem)
            continue
        notes = told.notes if out else (*told.notes, "chosen by half of the people, judged on the other half")
        out.append(replace(told, chosen=not out, notes=notes))
    if not out:
        raise Undecidable("; ".join(f"{name}: {why}" for name, why in refused.items()))
    lost = tuple(f"{name} is left out: {why}" for name, why in refused.items())
    return [replace(out[0], notes=(*out[0].notes, *lost)), *out[1:]]


# --------------------------------------------------------------------------------------------------------------------
# A candidate, asked again


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A fitted candidate, and how likely it would have shown what was shown."""

    name: str
    fitted: Fitted
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(store: Store, policy: str | Wanted, traffic: Traffic, *, seed: int, progress: Progress) -> Asked:
        """A model directory as it is; anything else is fitted on what is older than the pages."""
        name = policy if isinstance(policy, str) else policy.name
        if isinstance(policy, str) and (Path(policy) / "manifest.json").is_file():
            return Asked._opened(store, Path(policy), traffic)
        wanted, notes = Wanted(name=policy) if isinstance(policy, str) else policy, tuple[str, ...]()
        if wanted.version is not None:
            path = store.models.path(store.models.get(wanted.version))
            try:
                return replace(Asked._opened(store, path, traffic), name=name)
            except Undecidable:
                held = Fitted.load(path)
                wanted = Wanted(name=held.name, recipe=held.recipe, settings=held.manifest["settings"])
                notes = ("it has learnt from these pages, so what is judged is its recipe, fitted anew",)
        older = len(traffic.older.events)
        if not older:
            raise Undecidable(
                f"no event is older than the pages that {name} is to be judged on, so there is nothing to fit it on; "
                "look at a smaller share of the log (--share), or name a fitted model directory"
            )
        progress(name, {"said": f"fitting on {older:,} older events"})
        run, data = Run(seed=seed, progress=progress), _without_newer(traffic)
        if wanted.recipe is None:
            fitted = Fitted.learn(wanted.name, data, settings=wanted.settings, run=run)
        else:
            fitted = Fitted.cooked(wanted.recipe, data, settings=wanted.settings, run=run)
        return Asked(name=name, fitted=fitted, notes=(*notes, f"fitted on {older:,} events before them"))

    @staticmethod
    def _opened(store: Store, path: Path, traffic: Traffic) -> Asked:
        fitted, data = Fitted.load(path), traffic.dataset
        known = fitted.dataset.items.names
        if [str(n) for n in known] != [str(n) for n in data.items.names[: len(known)]]:
            raise Mismatch(
                f"{path} was fitted over another catalogue than the store's; name a model of this store, or a recipe"
            )
        time, until = fitted.dataset.events.time, None
        for model in store.models.list():
            if store.models.path(model).resolve() == path.resolve():
                until = int(model.facts.get("until", 0))
        if time is not None and len(time):
            until = int(time.max())
        if until is None:
            return Asked(name=path.name, fitted=fitted, notes=("what it has learnt from is not known",))
        if until > traffic.since:
            raise Undecidable(
                f"{path} has learnt from events that are newer than the pages it would be judged on; ask about its "
                "recipe by name, which is fitted on what is older, or look at a smaller share of the log (--share)"
            )
        return Asked(name=path.name, fitted=fitted)

    def requests(self, traffic: Traffic) -> Requests:
        """The moments of the pages, with the history as it was and what this recipe withholds."""
        recipe = self.fitted.recipe
        comes_back = recipe is not None and recipe.serving.lets_come_back
        asked = traffic.pages.requests(traffic.dataset)
        rules = RuleSet(withhold_seen=not comes_back)
        return replace(asked, rules=rules, k=traffic.items.shape[1])

    def steps(self, traffic: Traffic, seed: int = 0) -> tuple[Array, Array]:
        """float64[n, k]: its chance of each logged item given those above it; and int32[n, k]: the pages it would show,
        one draw of each where it explores."""
        draw = np.random.default_rng([seed, 71]).integers(0, 1 << 62, len(traffic.items)).astype(np.uint64)
        requests, model, items = replace(self.requests(traffic), draw=draw), self.fitted.model, traffic.items
        out, pages = np.ones(items.shape), np.full(items.shape, -1, np.int32)
        length = items.shape[1] - (items[:, ::-1] >= 0).argmax(axis=1)
        for k in np.unique(length).tolist():  # asked for as many as were shown: what is drawn from may depend on it
            rows = np.flatnonzero(length == k)
            for lo, part in replace(requests.take(rows), k=k).blocks(BLOCK):
                here = rows[lo : lo + len(part)]
                own, listed = items[here, :k], model.retrieve(part, k).items[:, :k]
                pages[here, : listed.shape[1]] = listed
                out[here, :k] = model.chances(part, own) if hasattr(model, "chances") else following(listed, own)
        return out, pages


def _without_newer(traffic: Traffic) -> Dataset:
    """What a candidate may learn from: events and impressions before the first page that it is judged on."""
    shown = traffic.dataset.tables["impressions"].filter(pl.col("timestamp") < traffic.since)
    return replace(traffic.older, tables={"impressions": shown} if len(shown) else {})


# --------------------------------------------------------------------------------------------------------------------
# The answer


def _told(asked: Asked, traffic: Traffic, places: int | None, seed: int) -> Told:
    width = traffic.items.shape[1]
    if places is not None and not 1 <= places <= width:
        raise BadSetting(f"places is {places}; logged pages have {width}, so expected 1 to {width}")
    steps, pages = asked.steps(traffic, seed)
    weight = np.cumprod(steps / traffic.steps, axis=1)
    rows, notes = _telling(traffic, weight[:, 0], pages[:, 0])
    traffic, steps, pages, weight = traffic.take(rows), steps[rows], pages[rows], weight[rows]
    unseen = [_unseen(traffic, weight[:, place], pages[:, place], place) for place in range(width)]
    support = _support(weight, unseen, traffic.who)
    deepest = next((s.place - 1 for s in support if not s.holds), width)
    wanted = places or max(deepest, 1)
    if deepest < wanted:
        raise Undecidable(_why(asked, traffic, unseen, support, wanted, deepest))
    cut = slice(0, wanted)
    log = SlateLog(
        reward=traffic.pages.clicked[:, 0, cut].astype(np.float64), logged=Chances.stepwise(traffic.steps[:, cut]),
        candidate=Chances.stepwise(steps[:, cut]), who=traffic.who,
    )  # fmt: skip
    terms = {name: SLATE_ESTIMATORS[name](log) for name in BELIEFS}
    effective = support[wanted - 1].effective
    estimates = tuple(
        Estimated(
            name=name, belief=belief, value=own.value,
            interval=_around(bootstrap(own, traffic.who, seed=seed), few(own.value, effective, wanted)),
        )
        for (name, belief), own in zip(BELIEFS.items(), terms.values(), strict=True)
    )  # fmt: skip
    plain, answer = Terms.mean(log.reward.sum(axis=1)), terms[ANSWER]
    low, high = few(answer.value, effective, wanted)
    place = max(range(wanted), key=lambda at: unseen[at].share)
    if share := unseen[place].share:
        chance = ", which may be chance" if share > MISSING else ""
        notes.append(
            f"{share:.1%} of what it would show at place {place + 1} was never shown there{chance}: "
            f"{unseen[place].named}" + ("; no more at any other place" if wanted > 1 else "")
        )
    if places is None and wanted < width:
        notes.append(
            f"the log cannot tell more than the {_places(wanted)}: further down it is worth "
            f"{support[wanted].effective:.0f} pages for this policy"
        )
    return Told(
        policy=asked.name, reward=f"{traffic.reward}s", places=wanted, width=width, pages=len(traffic.pages),
        people=len(np.unique(traffic.who)), value=answer.value, interval=estimates[0].interval, logged=plain.value,
        logged_interval=bootstrap(plain, traffic.who, seed=seed),
        difference=_around(
            bootstrap(Terms.mean(answer.base - plain.base), traffic.who, seed=seed),
            Interval(low - plain.value, high - plain.value),
        ),
        estimates=estimates,
        support=support, largest=float(weight[:, wanted - 1].max()), loggers=traffic.loggers,
        notes=(*traffic.notes, *notes, *asked.notes),
    )  # fmt: skip


def _around(one: Interval, other: Interval) -> Interval:
    """The narrowest interval that holds both."""
    return Interval(min(one.low, other.low), max(one.high, other.high))


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What a candidate would put at a place where the policy of the page never shows it."""

    share: float  # of the pages
    luck: float  # as much of them as chance may have left out, three standard errors included
    items: tuple[str, ...]  # the most wanted first; where all are shown, those shown least for how much they are wanted

    @property
    def missing(self) -> float:
        """The share that no luck explains."""
        return max(self.share - self.luck, 0.0)

    @property
    def named(self) -> str:
        return ", ".join(self.items)


def _unseen(traffic: Traffic, weight: Array, wanted: Array, place: int) -> Unseen:
    """Weights down to a place and what the candidate would put there, float64[n] and int32[n], against what is shown
    there: page by page by the page's own policy."""
    n, shown, pages = traffic.dataset.n_items, traffic.items[:, place], len(traffic.items)
    never, short, luck, spread = np.zeros(n), np.zeros(n), 0.0, 0.0
    for name in traffic.loggers:
        rows = np.flatnonzero((traffic.policy == name) & (shown >= 0))
        had, want = np.bincount(shown[rows], minlength=n), np.bincount(wanted[rows] + 1, minlength=n + 1)[1:]
        never += np.where(had == 0, want, 0)
        short += np.maximum(want - had, 0)
        often = had[shown[rows]]
        luck += float(weight[rows][often == 1].sum())
        spread += float((weight[rows][often <= 2] ** 2).sum())  # variance of what is never shown, less that luck
    lacking = never if never.any() else short
    order = np.argsort(-lacking, kind="stable")[:NAMED]
    return Unseen(
        share=float(never.sum()) / pages, luck=(luck + 3 * spread**0.5) / pages,
        items=tuple(str(traffic.dataset.items[int(i)]) for i in order if lacking[i]),
    )  # fmt: skip


def _telling(traffic: Traffic, weight: Array, wanted: Array) -> tuple[Array, list[str]]:
    """int64: the pages of policies that may say something about a candidate: those that leave nothing out of what it
    would show first, by weights there (float64[n]) and what it would put there (int32[n]). Rewards play no part in
    this. All pages where none may."""
    kept, lost = list[tuple[str, Array]](), list[tuple[str, Array]]()
    for name in traffic.loggers:
        rows = np.flatnonzero(traffic.policy == name)
        own = traffic.take(rows)
        found = _found(weight[rows], _unseen(own, weight[rows], wanted[rows], 0), own.who)
        (kept if found >= 1 - MISSING else lost).append((name, rows))
    if not kept or not lost:
        return np.arange(len(weight)), []
    told = ", ".join(f"{name} ({len(rows):,} pages)" for name, rows in lost)
    note = f"pages by policies that never show some of what it would are left out: {told}"
    return np.sort(np.concatenate([rows for _, rows in kept])), [note]


def _found(weight: Array, unseen: Unseen, who: Array) -> float:
    """The share of what a candidate would show that the log has, at most: by weights, whose mean is 1 where everything
    may be shown, and by what is never shown."""
    terms = Terms.mean(weight)
    weighed = min(terms.value + 3 * error(terms, who), 1.0) if terms.value < 1 else 1.0
    return min(weighed, 1 - unseen.missing)


def _support(weight: Array, unseen: Sequence[Unseen], who: Array) -> tuple[Support, ...]:
    """Place by place: enough effective pages, and nothing missing, there and everywhere above."""
    needed = max(FEWEST, SHARE * len(weight))
    out, holds = [], True
    for place in range(weight.shape[1]):
        own = weight[:, place]
        effective = float(own.sum() ** 2 / max(float((own**2).sum()), 1e-300))
        found = _found(own, unseen[place], who)
        holds = holds and effective >= needed and found >= 1 - MISSING
        out.append(Support(place=place + 1, effective=effective, needed=needed, found=found, holds=holds))
    return tuple(out)


def _why(
    asked: Asked, traffic: Traffic, unseen: Sequence[Unseen], support: Sequence[Support], wanted: int, deepest: int
) -> str:  # fmt: skip
    """Why the log cannot tell, with what is missing."""
    place, told, never = deepest, support[deepest], unseen[deepest]
    sure = float((traffic.steps[:, place] >= 1 - 1e-9).mean())
    reasons = []
    if never.missing > MISSING:
        reasons.append(
            f"{never.share:.1%} of what it would show at place {place + 1} was never shown there: {never.named}; show "
            "that now and then, or ask about a recipe that leaves it out"
        )
    elif told.found < 1 - MISSING:
        reasons.append(
            f"about {1 - told.found:.0%} of what it would show at place {place + 1} was never shown there in such a "
            "moment" + (f": {never.named}" if never.items else "")
        )
    if told.effective < told.needed:
        reasons.append(
            f"{len(traffic.pages):,} logged pages are worth {told.effective:.0f} for it at place {place + 1}, and "
            f"{told.needed:.0f} are needed: log for longer, or explore more"
        )
    if sure > 0.5:
        reasons.append(
            f"the policies of the log ({', '.join(sorted(traffic.loggers))}) were certain of {sure:.0%} of what they "
            "showed there; serve with [explore] for a while and ask again"
        )
    about = f"what {asked.name} would have earned on the {_places(wanted)} of a page"
    said = f"the log cannot tell {about}: {'; '.join(reasons)}"
    return said + (f"; it can tell the {_places(deepest)}: ask for places={deepest}" if deepest else "")


def _places(n: int) -> str:
    return "first place" if n == 1 else f"first {n} places"
