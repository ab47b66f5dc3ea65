"""People of a log who are spoken for by a text model: it is told who somebody is and what is shown, and answers in a
fixed shape what that person looks at, clicks and rates, and whether they leave.

The same interface as the other worlds, and the same people as the learned one (worlds/learned.py), which answers
wherever the text model does not: too late, refusing, not in the shape, of a place that is not on the page, or its
budget spent. How often that happened, and why, is in `report()`; events that come of the model's own words carry
`context["spoken"]`. With every answer from the fallback this is the learned world, event for event.

A persona is made from the log's part that may be learnt from: how much a person rates, how far from others, of how many
kinds, and some titles liked and not. What is on a page goes as data and is never obeyed: an answer can only name places
of that page. A text model knows famous titles, likes what stands first and rates kindly: `tells=("categories",)` hides
titles, `shuffled` tells a page's things in an order by lot; both are controls to run, and neither makes it true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from interplay.errors import BadSetting
from interplay.llm import NoReply, TextModel
from interplay.types import Array, Dataset, Events, Reply, Requests
from interplay.worlds.learned import LearnedConfig, LearnedWorld, Told

TASK = (
    "You speak for one person who looks at a page of items. `person` says who that is, `lately` what they met before, "
    "`page` what is shown now. Say for each place of the page whether this person looks at it, whether they click it, "
    "and the rating they give if they do, inside `ratings`; and whether they leave afterwards. People look at few "
    "places, click fewer, and are often disappointed. Be this person, not a kind one."
)
LONGEST = 200  # characters of one told value
LATELY = 10  # answers that the model is reminded of


@dataclass(frozen=True, kw_only=True)
class AgentConfig(LearnedConfig):
    people: int = 20
    tells: tuple[str, ...] = ("title", "categories", "year")  # columns of the catalogue, where it has them
    shuffled: bool = False  # things of a page are told in an order by lot; each keeps its place's number
    calls: int = 1000  # of one run; what comes after is answered by the fallback
    patience: int = 20  # calls in a row without an answer, after which a run asks no more
    at_once: int = 8


class PlaceAnswer(BaseModel):
    """What the person does with one place of the page."""

    model_config = ConfigDict(extra="forbid")

    place: int = Field(ge=1)
    looks: bool
    clicks: bool = False
    rating: float | None = None


class PageAnswer(BaseModel):
    """What the person does with a page."""

    model_config = ConfigDict(extra="forbid")

    answers: list[PlaceAnswer] = Field(max_length=100)
    leaves: bool
    why: str = Field("", max_length=500)


class AgentWorld(LearnedWorld):
    """The learned world in which a text model answers for people; `report()` says how often it did."""

    KINDS = ("look", "like", "click", "rate")

    def __init__(
        self, dataset: Dataset, train: Array, valid: Array, model: TextModel, config: AgentConfig = AgentConfig(), *,
        seed: int = 0,
    ) -> None:  # fmt: skip
        if min(config.calls, config.patience, config.at_once) < 1:
            raise BadSetting(
                f"calls, patience and at_once are at least 1; found {config.calls}, {config.patience}, {config.at_once}"
            )
        self.model, self.agents = model, config
        self.things = Things(dataset, config.tells)
        self.personas = Personas(dataset, train | valid, config)
        value = dataset.events.value
        self.scale = (0.0, 0.0) if value is None else (float(value.min()), float(value.max()))
        super().__init__(dataset, train, valid, config, seed=seed)

    def begin(self) -> None:
        super().begin()
        self.tally: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.silent = 0  # calls without an answer since the last that had one
        self.lately: dict[int, list[dict[str, Any]]] = {}
        self.more: list[tuple[int, int, int, float]] = []
        self.spoke = np.zeros(self.n, bool)

    # ------------------------------------------------------------------------------------------------- what is asked

    def told(self, user: Array, slates: Array) -> Told:
        fresh = (slates >= 0) & ~self.seen[user[:, None], np.maximum(slates, 0)]
        said = self.asked(user, slates, fresh)
        out = Told.nothing(slates.shape)
        self.more, self.spoke = [], np.zeros(self.n, bool)
        for row, answer in said.items():
            out.own[row], out.leaves[row], self.spoke[user[row]] = True, answer.leaves, True
            for a in answer.answers:
                at, who, what = a.place - 1, int(user[row]), int(slates[row, a.place - 1])
                out.looked[row, at] = a.looks
                out.liked[row, at] = a.looks and (a.rating >= self.config.liked if a.rating is not None else a.clicks)
                if a.clicks:
                    self.more.append((who, what, 2, 1.0))
                if a.rating is not None:
                    self.more.append((who, what, 3, a.rating))
        return out

    def asked(self, user: Array, slates: Array, fresh: Array) -> dict[int, PageAnswer]:
        """The model's answers by row; for other rows the reason is counted."""
        rows = np.flatnonzero(fresh.any(axis=1))
        left = self.agents.calls - self.tally["asked"] if self.silent < self.agents.patience else 0
        put, rest = rows[:left], rows[left:]
        pages = [self.page(int(user[r]), slates[r], fresh[r]) for r in put]
        with ThreadPoolExecutor(self.agents.at_once) as pool:
            heard = list(pool.map(self._one, pages))
        out: dict[int, PageAnswer] = {}
        for row, answer in zip(put.tolist(), heard, strict=True):
            if isinstance(answer, NoReply):
                self.reasons[str(answer)] += 1
                self.silent += 1
            else:
                out[row], self.silent = answer, 0
        if len(rest):
            spent = self.tally["asked"] + len(put) >= self.agents.calls
            why = f"the run's {self.agents.calls} calls are spent" if spent else (
                f"not asked any more after {self.agents.patience} calls in a row without an answer"
            )  # fmt: skip
            self.reasons[why] += len(rest)
        self.tally.update(pages=len(rows), asked=len(put), answered=len(out), fell_back=len(rows) - len(out))
        return out

    def page(self, user: int, slate: Array, fresh: Array) -> dict[str, Any]:
        """All that the model is told for one page."""
        places = np.flatnonzero(fresh)
        if self.agents.shuffled:
            places = np.random.default_rng([self.run, self.at, 3, user]).permutation(places)
        return {
            "person": self.personas(user), "lately": list(self.lately.get(user, ())), "ratings": list(self.scale),
            "page": [{"place": int(p) + 1, **self.things(int(slate[p]))} for p in places],
        }  # fmt: skip

    def _one(self, page: Mapping[str, Any]) -> PageAnswer | NoReply:
        try:
            answer = self.model.reply(TASK, page, PageAnswer)
            _sound(answer, {told["place"] for told in page["page"]}, self.scale)
        except NoReply as problem:
            return problem
        return answer

    # ------------------------------------------------------------------------------------------------ what comes of it

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        who, what, kind, value = super().respond(user, slates)
        liked = set(zip(who[kind == 1].tolist(), what[kind == 1].tolist(), strict=True))
        for person, item in zip(who[kind == 0].tolist(), what[kind == 0].tolist(), strict=True):
            own = self.lately.setdefault(person, [])
            own.append({**self.things(item), "liked": (person, item) in liked})
            del own[:-LATELY]
        more = np.array(self.more, np.float64).reshape(-1, 4)
        return (
            np.concatenate([who, more[:, 0].astype(who.dtype)]), np.concatenate([what, more[:, 1].astype(what.dtype)]),
            np.concatenate([kind, more[:, 2].astype(kind.dtype)]), np.concatenate([value, more[:, 3]]),
        )  # fmt: skip

    def step(self, reply: Reply) -> tuple[Events, Requests | None]:
        events, following = super().step(reply)
        return replace(events, context={"spoken": self.spoke[events.user]}), following

    def report(self) -> dict[str, Any]:
        """Since the reset: pages with something new, calls, answers, pages that the fallback answered, and why."""
        counts = {name: self.tally[name] for name in ("pages", "asked", "answered", "fell_back")}
        return {**counts, "reasons": dict(self.reasons.most_common())}


def _sound(answer: PageAnswer, places: set[int], scale: tuple[float, float]) -> None:
    """Refuse what the shape allows and the page does not. Errors: NoReply."""
    named = [a.place for a in answer.answers]
    if wrong := sorted(set(named) - places):
        raise NoReply(f"the text model answers for places that are not on the page: {wrong[:3]}")
    if len(set(named)) < len(named):
        raise NoReply("the text model answers twice for one place")
    for a in answer.answers:
        if not a.looks and (a.clicks or a.rating is not None):
            raise NoReply("the text model clicks or rates what is not looked at")
        if a.rating is not None and not scale[0] <= a.rating <= scale[1]:
            raise NoReply(f"the text model rates outside {scale[0]:g} to {scale[1]:g}")


# --------------------------------------------------------------------------------------------------------------------
# What is told


class Things:
    """What a page says of an item: the told columns of its catalogue row, cut."""

    def __init__(self, dataset: Dataset, tells: tuple[str, ...]) -> None:
        frame = dataset.catalogue
        self.names = dataset.items
        self.columns = {} if frame is None else {c: frame[c].to_list() for c in tells if c in frame.columns}

    def __call__(self, item: int) -> dict[str, Any]:
        told = {name: _short(column[item]) for name, column in self.columns.items() if column[item] is not None}
        return told or {"item": _short(self.names[item])}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, list | tuple):
        return [_short(v) for v in value[:10]]
    return value if isinstance(value, int | float | bool) else str(value)[:LONGEST]


class Personas:
    """Who somebody is, by what they did in the kept part of a log.

    activity, conformity and diversity are 1 to 3 by thirds of all people, as in Agent4Rec: how many ratings, how close
    to others' mean rating, how many categories.
    """

    def __init__(self, dataset: Dataset, kept: Array, config: AgentConfig) -> None:
        e = dataset.events.where(kept)
        assert e.value is not None
        self.events, self.config, self.things = e, config, Things(dataset, config.tells)
        n = np.bincount(e.item, minlength=dataset.n_items)
        mean = np.bincount(e.item, e.value, dataset.n_items) / np.maximum(n, 1)
        count = np.bincount(e.user, minlength=dataset.n_users)
        off = np.bincount(e.user, np.abs(e.value - mean[e.item]), dataset.n_users) / np.maximum(count, 1)
        self.kinds = categories(dataset)
        pairs = {(u, c) for u, i in zip(e.user.tolist(), e.item.tolist(), strict=True) for c in self.kinds[i]}
        wide = np.bincount([u for u, _ in pairs], minlength=dataset.n_users)
        self.traits = {
            name: _thirds(values, count > 0)
            for name, values in (("activity", count), ("conformity", -off), ("diversity", wide))
        }
        self.offsets = np.searchsorted(e.user, np.arange(dataset.n_users + 1))

    def __call__(self, user: int) -> dict[str, Any]:
        e, own = self.events, slice(self.offsets[user], self.offsets[user + 1])
        item, value = e.item[own], e.value[own]  # type: ignore[index]
        traits = {name: int(held[user]) for name, held in self.traits.items()}
        if not len(item):
            return {**traits, "ratings": 0}
        best = np.lexsort((-np.arange(len(item)), -value))  # the newest of the best first
        good = [i for i in item[best].tolist() if value[item == i].max() >= self.config.liked]
        bad = [i for i in item[best[::-1]].tolist() if value[item == i].max() < self.config.liked - 1]
        often = Counter(c for i in good for c in self.kinds[i])
        return {
            **traits, "ratings": len(item), "usual_rating": round(float(value.mean()), 1),
            "likes_one_in": round(1 / max(float((value >= self.config.liked).mean()), 0.01), 1),
            "likes": [self.things(i) for i in good[:10]], "dislikes": [self.things(i) for i in bad[:5]],
            "kinds_liked": [c for c, _ in often.most_common(5)],
        }  # fmt: skip


def categories(dataset: Dataset) -> list[list[str]]:
    """Of every item; empty where the catalogue has none."""
    frame = dataset.catalogue
    if frame is None or "categories" not in frame.columns:
        return [[] for _ in range(dataset.n_items)]
    held = frame["categories"].to_list()
    return [[] if c is None else [str(v) for v in c] if isinstance(c, list | tuple) else [str(c)] for c in held]


def _thirds(values: Array, known: Array) -> Array:
    """int64[n]: 1, 2 or 3 by thirds of those who are known."""
    if not known.any():
        return np.ones(len(values), np.int64)
    return 1 + np.searchsorted(np.quantile(values[known], [1 / 3, 2 / 3]), values, side="left")
