"""The bench of simulators: a learnt one and three that know next to nothing, held against a log they have not seen.

Responses one step ahead and in closed loop, by how much people rate and how far into a visit; visits and the days
between them, who of the people likes much, how popular what they like is, and whether a classifier tells drawn answers
from real ones. Parts are cut by time: rates and models see nothing of what they are judged on. What happens when pages
are turned upside down, hold what is popular, or come twice is tried in the world itself. How fast people are simulated
is measured too, of these and of the stylised worlds, which have no log to be held against.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, spearmanr

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.read import load
from interplay.errors import unknown
from interplay.metrics import auc, ece, logloss
from interplay.protocols.tables import Held, above, grid, mean, metric, seeds, values
from interplay.types import Array, Dataset, Events, Reply, Requests, Slates
from interplay.worlds.check import Policy, halves, swapped, walked
from interplay.worlds.learned import (
    SIMULATORS,
    Answers,
    LearnedConfig,
    LearnedWorld,
    Visits,
    lengths_of,
    parts_by_time,
    told_apart,
)
from interplay.worlds.stylised import MINUTE, Crowd, InterestWorld, OrganicWorld, TemptingWorld

STYLISED: Mapping[str, type[Crowd]] = {
    "interest": InterestWorld, "tempting": TemptingWorld, "organic": OrganicWorld
}  # fmt: skip
TIMED = 20_000  # steps of people
STEPS = (1, 5, 20)  # drawn answers behind a person, up to twice as many, at which the closed loop is judged
VISIT = (1, 2, 6, 21)  # places in a visit from which a stretch of it begins


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One simulator's validation report as figures; of a stylised one its speed alone."""
    data = load(page.data)
    figures: dict[str, float] = {}
    if entry.system in STYLISED:
        world: Crowd = STYLISED[entry.system](seed=seed)  # type: ignore[call-arg]
        facts: dict[str, Any] = {}
    elif entry.system in SIMULATORS:
        config = configured(LearnedConfig, {"knows": entry.system}, entry.settings)
        figures, facts = validated(data, config, seed=seed)
        train, valid, _ = parts_by_time(data)
        world = LearnedWorld(data, train, valid, config, seed=seed)
        figures |= effects(world, np.bincount(data.events.item[train | valid], minlength=data.n_items), seed=seed)
    else:
        raise unknown("simulator", entry.system, (*SIMULATORS, *STYLISED))
    facts = {**facts, "steps_a_second": round(speed(world, seed=seed))}  # no metric: it is another one each time
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{data.name}: learnt from the first 80 % of the ratings by time, calibrated on the next 10, "
                      "judged on the last 10, where most people are new. An answer is whether a rating is 4 or more",
            "measures": "`base` is the chance said over the share true; `closed` is the logloss when every answer of "
                        "the judged part was drawn and remembered instead of the true one; `people` is the rank "
                        "correlation of people's shares of likes, drawn against true; `apart` is the AUC of a "
                        "classifier of real against drawn answers (.5 is best); `visits`, `days`, `shares` and "
                        "`popularity` are Kolmogorov-Smirnov distances of visit lengths, of days between visits, of "
                        "people's shares of likes and of how often rated what is liked is; a step is one person shown "
                        "one page, in processor time on one core",
            "where": "`deciles` and `turns` are the mean gap between likes said and true over ten groups of people by "
                     "how much they rate, and over ratings 1, 2 to 5, 6 to 20 and later of a visit; `after k` is what "
                     "the closed loop adds to the logloss when k to 2k - 1 drawn answers are behind a person",
            "effects": "`boost` and `tire` are how much more is liked of the tenth rated most than of the rest, and of "
                       "ratings after the twentieth of a visit than of the first five, said less true. `swap`, `best` "
                       "and `twice` are of the world itself: likes of the lower half of a page when it stands on top, "
                       "over those when it stands below; likes a look on pages of what is popular over pages by lot; "
                       "and likes of a page shown again over those of its first time",
        },
        "facts": facts,
    }  # fmt: skip


def validated(data: Dataset, config: LearnedConfig, *, seed: int = 0) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and facts of one simulator on the last part of a log."""
    train, valid, test = parts_by_time(data)
    e, rng = data.events, np.random.default_rng([seed, 61])
    assert e.value is not None
    like = (e.value >= config.liked).astype(float)
    answers = Answers(config).fit(data, train, valid)
    x = answers.along(e, like, data.n_users)[test]
    said, true = answers.chances(x), like[test]
    drawn = (rng.random(len(said)) < said).astype(float)
    label, score = told_apart(x, true, drawn, seed=seed)
    own = like.copy()
    looped = answers.chances(answers.along(e, own, data.n_users, drawn=test, luck=rng)[test])
    user = e.user[test]
    many = np.flatnonzero(np.bincount(user, minlength=data.n_users) >= 10)
    total = np.maximum(np.bincount(user, minlength=data.n_users), 1)
    shares = [(np.bincount(user, a, data.n_users) / total)[many] for a in (own[test], true)]
    flat = config.knows != "learned"
    visits = Visits.of(e, like, train | valid, config.pause, flat=flat)
    lengths, real = visits.lengths(2000, float(true.mean()), rng), lengths_of(e, test, config.pause)
    again = Visits.of(e, like, test, config.pause).days
    figures = {
        "auc": auc(true, said), "logloss": logloss(true, said), "ece": ece(true, said),
        "base": float(said.mean() / true.mean()), "closed": logloss(true, looped),
        "people": float(spearmanr(*shares).statistic) if len(many) > 2 else 0.0, "apart": auc(label, score),
        "visits": float(ks_2samp(lengths, real).statistic), "days": float(ks_2samp(visits.days, again).statistic),
        "shares": float(ks_2samp(*shares).statistic) if len(many) > 2 else 0.0,
    }  # fmt: skip
    often = np.bincount(e.item[train | valid], minlength=data.n_items)[e.item[test]]
    told = where(said, true, often, user, turn_of(e, config.pause)[test])
    figures |= told | {"popularity": float(ks_2samp(often[drawn > 0], often[true > 0]).statistic)}
    behind = np.arange(len(user)) - np.searchsorted(user, user)  # events are sorted by person and time
    for k in STEPS:
        now = (behind >= k) & (behind < 2 * k)
        if now.any():
            figures[f"after_{k}"] = logloss(true[now], looped[now]) - logloss(true[now], said[now])
    return figures, {"rows": len(true), "people": len(many), "visits": len(real), "days": len(again)}


def turn_of(e: Events, pause: float) -> Array:
    """int64[m]: which rating of its visit each event is, from 1."""
    assert e.time is not None
    new = np.ones(len(e), bool)
    new[1:] = (np.diff(e.user) != 0) | (np.diff(e.time) / MINUTE >= pause)
    start = np.flatnonzero(new)
    return np.arange(len(e)) - start[np.cumsum(new) - 1] + 1


def where(said: Array, true: Array, often: Array, user: Array, turn: Array) -> dict[str, float]:
    """Gaps between likes said and true: over people by how much they rate, over places in a visit, and of two effects.

    `often` is how often each thing was rated before, `turn` which rating of its visit each is.
    """

    def gap(group: Array) -> float:
        return float(np.mean([abs(said[group == g].mean() - true[group == g].mean()) for g in np.unique(group)]))

    def more(these: Array, those: Array) -> float:
        each = [p[these].mean() - p[those].mean() if these.any() and those.any() else 0.0 for p in (said, true)]
        return float(each[0] - each[1])

    rated = np.bincount(user)[user]
    tenth = np.searchsorted(np.quantile(rated, np.arange(0.1, 1, 0.1)), rated)
    top = often >= np.quantile(often, 0.9)
    return {
        "deciles": gap(tenth), "turns": gap(np.searchsorted(VISIT, turn, side="right")), "boost": more(top, ~top),
        "tire": more(turn > 20, turn <= 5),
    }  # fmt: skip


def effects(world: LearnedWorld, often: Array, *, seed: int = 0, steps: int = 2) -> dict[str, float]:
    """What comes of turning pages upside down, of showing what is popular, and of showing a page again."""
    lot = np.random.default_rng([seed, 63]).random(len(often))

    def new(wanted: Array, asked: Requests) -> Slates:
        """The things wanted most of those that a person has not met."""
        score = np.tile(wanted.astype(float), (len(asked), 1))
        score[asked.history.owner, asked.history["item"]] = -np.inf
        items = np.argsort(-score, axis=1, kind="stable")[:, : asked.k].astype(np.int32)
        return Slates(items=items, scores=np.take_along_axis(score, items, 1).astype(np.float32))

    def popular(asked: Requests) -> Slates:
        return new(often, asked)

    first: dict[int, Array] = {}

    def same(asked: Requests) -> Slates:
        page = popular(asked)
        items = np.stack([first.setdefault(int(u), page.items[i]) for i, u in enumerate(asked.user)])
        return Slates(items=items, scores=page.scores)

    def rate(policy: Policy) -> float:
        kinds = np.concatenate(
            [e.kind for *_, e in walked(world, policy, seed=seed, steps=steps) if e.kind is not None]
        )
        looks, likes = np.bincount(kinds, minlength=2)
        return float(likes / max(looks, 1))

    below = halves(walked(world, popular, seed=seed, steps=steps), "like")[1]
    above = swapped(lambda: world, popular, seed=seed, steps=steps)[0]
    pages = [int(np.count_nonzero(e.kind == 1)) for *_, e in walked(world, same, seed=seed, steps=2)]
    return {
        "swap": above / max(below, 1e-9), "best": rate(popular) / max(rate(lambda asked: new(lot, asked)), 1e-9),
        "twice": pages[1] / max(pages[0], 1),
    }  # fmt: skip


def speed(world: Crowd, *, seed: int = 0, least: int = TIMED) -> float:
    """Steps of people in a second of processor time; a step is one person shown one page, by lot."""
    asked = world.reset(seed)
    done, spent, round_ = 0, 0.0, 0
    assert asked is not None
    while done < least:
        rng = np.random.default_rng([seed, round_, 62])
        first = rng.integers(0, world.n_items, len(asked))[:, None]
        items = ((first + 7 * np.arange(asked.k)) % world.n_items).astype(np.int32)
        reply = Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32)))
        begun = time.process_time()
        _, following = world.step(reply)
        spent += time.process_time() - begun
        done, round_ = done + len(asked), round_ + 1
        asked = following if following is not None else world.reset(seed + round_)
    return done / max(spent, 1e-9)


def table(page: Bench, held: Held, root: Path) -> str:
    """Means over seeds, and thousands of steps a second."""
    told = [(m.replace("_", " "), mean(held, metric(m))) for m in page.metrics]

    def fast(entry: Entry) -> str:
        own = values(held, entry.label, lambda record: record["facts"]["steps_a_second"] / 1000)
        return f"{np.mean(list(own.values())):.0f}"

    lines = [*above(page, held), *grid(page, held, [*told, ("thousand steps a second", fast), seeds(held)])]
    return "\n".join([*lines, "", page.note] if page.note else lines)
