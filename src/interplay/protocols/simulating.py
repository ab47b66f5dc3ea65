"""The bench of simulators: a learnt one and three that know next to nothing, held against a log they have not seen.

Responses one step ahead and in closed loop, by how much people rate and how far into a visit; visits and the days
between them, who of the people likes much, how popular and of how many kinds what they like is, and whether a
classifier tells drawn answers from real ones. Parts are cut by time: rates and models see nothing of what they are
judged on. What happens when pages are turned upside down, hold what is popular, or come twice is tried in the world
itself. Recorded agents, who know nothing of the log, are held against it too. How fast people are simulated is measured
of all of them, and of the stylised worlds, which have no log to be held against.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.stats import ks_2samp, spearmanr, wasserstein_distance

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.read import load
from interplay.errors import BadData, unknown
from interplay.evaluate.intervals import Terms, bootstrap
from interplay.metrics import auc, ece, logloss
from interplay.protocols.looks import folder
from interplay.protocols.tables import PAIRED, Held, above, against, figure, grid, mean, metric, seeds, values
from interplay.results import read_users
from interplay.types import Array, Dataset, Events, Reply, Requests, Slates
from interplay.worlds.agents import categories
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
from interplay.worlds.recorded import LAST, PLACES, STARS, WATCHED, RecordedWorld, activity, counts, likes, visited
from interplay.worlds.stylised import MINUTE, Crowd, InterestWorld, OrganicWorld, TemptingWorld

STYLISED: Mapping[str, type[Crowd]] = {
    "interest": InterestWorld, "tempting": TemptingWorld, "organic": OrganicWorld
}  # fmt: skip
RECORDED, RECORDING = "recorded", "agent4rec_ml1m"
DISTANCES = ("visits", "days", "shares", "popularity", "kinds")
TIMED = 20_000  # steps of people
STEPS = (1, 5, 20)  # drawn answers behind a person, up to twice as many, at which the closed loop is judged
VISIT = (1, 2, 6, 21)  # places in a visit from which a stretch of it begins


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One simulator's validation report as figures; of a stylised one its speed alone."""
    data = load(page.data)
    train, valid, test = parts_by_time(data)
    often = np.bincount(data.events.item[train | valid], minlength=data.n_items)
    figures: dict[str, float] = {}
    facts: dict[str, Any] = {}
    rows: dict[str, Array] = {}
    world: Crowd
    if entry.system in STYLISED:
        world = STYLISED[entry.system](seed=seed)  # type: ignore[call-arg]
    elif entry.system in (*SIMULATORS, RECORDED):
        if entry.system == RECORDED:
            held = zip(counts(folder(RECORDING)), (WATCHED, LAST, STARS), strict=True)
            if not all(np.array_equal(own, known) for own, known in held):
                raise BadData(f"{RECORDING} holds another recording than worlds/recorded.py resamples")
            config, told = LearnedConfig(places=PLACES), resampled(data, seed=seed)
        else:
            config = configured(LearnedConfig, {"knows": entry.system}, entry.settings)
            told = foretold(data, config, seed=seed)
        kind = RecordedWorld if entry.system == RECORDED else LearnedWorld
        world = made = kind(data, train, valid, config, seed=seed)
        figures, facts = reported(data, told, config, seed=seed)
        figures |= effects(made, often, seed=seed)
        rows = losses(data.events.user[test], liked(data, config)[test], told.said)
    else:
        raise unknown("simulator", entry.system, (*SIMULATORS, RECORDED, *STYLISED))
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
                        "people's shares of likes and of how often rated what is liked is, `kinds` of how many "
                        "categories somebody's likes are of, all with Wasserstein's in brackets (ratings, days, share, "
                        "ratings, categories); a step is one person shown one page, in processor time on one core",
            "where": "`deciles` and `turns` are the mean gap between likes said and true over ten groups of people by "
                     "how much they rate, and over ratings 1, 2 to 5, 6 to 20 and later of a visit; `after k` is what "
                     "the closed loop adds to the logloss when k to 2k - 1 drawn answers are behind a person",
            "effects": "`boost` and `tire` are how much more is liked of the tenth rated most than of the rest, and of "
                       "ratings after the twentieth of a visit than of the first five, said less true. `swap`, `best` "
                       "and `twice` are of the world itself: likes of the lower half of a page when it stands on top, "
                       "over those when it stands below; likes a look on pages of what is popular over pages by lot; "
                       "and likes of a page shown again over those of its first time",
        },
        "facts": facts, **({"rows": rows} if rows else {}),
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Foretold:
    """What a simulator says of the judged part of a log, and does there: float64[m] each, but for the last two."""

    seen: Array  # float64[m, f]: what is known of each answer's moment
    said: Array  # chance of a like, one step ahead
    looped: Array  # the same when every answer of this part was drawn and remembered
    drawn: Array  # likes, one step ahead
    lived: Array  # likes, in closed loop
    lengths: Array  # int64[v]: ratings in each of some visits
    days: Array  # float64[d]: between visits


def validated(data: Dataset, config: LearnedConfig, *, seed: int = 0) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and facts of one learnt simulator on the last part of a log."""
    return reported(data, foretold(data, config, seed=seed), config, seed=seed)


def liked(data: Dataset, config: LearnedConfig) -> Array:
    """float64[m]: whether each rating is a like."""
    assert data.events.value is not None
    return (data.events.value >= config.liked).astype(float)


def foretold(data: Dataset, config: LearnedConfig, *, seed: int = 0) -> Foretold:
    """By a simulator that is learnt from the earlier parts."""
    train, valid, test = parts_by_time(data)
    e, rng, like = data.events, np.random.default_rng([seed, 61]), liked(data, config)
    answers = Answers(config).fit(data, train, valid)
    x = answers.along(e, like, data.n_users)[test]
    said = answers.chances(x)
    drawn = (rng.random(len(said)) < said).astype(float)
    own = like.copy()
    looped = answers.chances(answers.along(e, own, data.n_users, drawn=test, luck=rng)[test])
    visits = Visits.of(e, like, train | valid, config.pause, flat=config.knows != "learned")
    return Foretold(
        seen=x, said=said, looped=looped, drawn=drawn, lived=own[test],
        lengths=visits.lengths(2000, float(like[test].mean()), rng), days=visits.days,
    )  # fmt: skip


def resampled(data: Dataset, *, seed: int = 0) -> Foretold:
    """By recorded agents, who like so much of what they watch whatever it is; days are the log's own."""
    train, valid, test = parts_by_time(data)
    config, e, rng = LearnedConfig(), data.events, np.random.default_rng([seed, 61])
    like, user = liked(data, config), e.user[test]
    active = activity(np.bincount(e.user[train | valid], minlength=data.n_users))
    said = likes(config.liked)[active[user]]
    drawn, lived = ((rng.random(len(said)) < said).astype(float) for _ in range(2))
    return Foretold(
        seen=Answers(config).fit(data, train, valid).along(e, like, data.n_users)[test], said=said, looped=said,
        drawn=drawn, lived=lived, lengths=visited(active[rng.choice(np.unique(user), 2000)], rng),
        days=Visits.of(e, like, train | valid, config.pause).days,
    )  # fmt: skip


def reported(
    data: Dataset, told: Foretold, config: LearnedConfig, *, seed: int = 0
) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and facts of what a simulator foretold."""
    train, valid, test = parts_by_time(data)
    e, like = data.events, liked(data, config)
    said, true, user = told.said, like[test], e.user[test]
    label, score = told_apart(told.seen, true, told.drawn, seed=seed)
    total = np.bincount(user, minlength=data.n_users)
    many = np.flatnonzero(total >= 10)
    shares = [(np.bincount(user, a, data.n_users) / np.maximum(total, 1))[many] for a in (told.lived, true)]
    real, again = lengths_of(e, test, config.pause), Visits.of(e, like, test, config.pause).days
    often = np.bincount(e.item[train | valid], minlength=data.n_items)[e.item[test]]
    figures = {
        "auc": auc(true, said), "logloss": logloss(true, said), "ece": ece(true, said),
        "base": float(said.mean() / true.mean()), "closed": logloss(true, told.looped),
        "people": float(spearmanr(*shares).statistic) if len(many) > 2 and np.ptp(shares[0]) else 0.0,
        "apart": auc(label, score), **distances("visits", told.lengths, real), **distances("days", told.days, again),
        **where(said, true, often, user, turn_of(e, config.pause)[test]),
        **distances("popularity", often[told.drawn > 0], often[true > 0]),
    }  # fmt: skip
    if len(many) > 2:
        figures |= distances("shares", *shares)
        kinds = [of_kinds(data, user, e.item[test], a)[many] for a in (told.lived, true)]
        figures |= distances("kinds", *kinds) if kinds[1].any() else {}
    behind = np.arange(len(user)) - np.searchsorted(user, user)  # events are sorted by person and time
    for k in STEPS:
        now = (behind >= k) & (behind < 2 * k)
        if now.any():
            figures[f"after_{k}"] = logloss(true[now], told.looped[now]) - logloss(true[now], said[now])
    return figures, {"rows": len(true), "people": len(many), "visits": len(real), "days": len(again)}


def distances(name: str, own: Array, real: Array) -> dict[str, float]:
    """Kolmogorov and Smirnov's and, as `name_w`, Wasserstein's."""
    return {name: float(ks_2samp(own, real).statistic), f"{name}_w": float(wasserstein_distance(own, real))}


def of_kinds(data: Dataset, user: Array, item: Array, like: Array) -> Array:
    """int64[people]: of how many categories what somebody liked is; all 0 where the catalogue tells none."""
    kinds = categories(data)
    number = {kind: i for i, kind in enumerate(dict.fromkeys(k for own in kinds for k in own))}
    of = [(i, number[kind]) for i, own in enumerate(kinds) for kind in own]
    row, column = np.array(of, np.int64).reshape(-1, 2).T
    held = sp.csr_array((np.ones(len(row)), (row, column)), shape=(data.n_items, max(len(number), 1)))
    mine = sp.csr_array((like, (user, item)), shape=(data.n_users, data.n_items))
    return np.asarray(((mine @ held) > 0).sum(axis=1)).ravel()


def losses(user: Array, true: Array, said: Array) -> dict[str, Array]:
    """Of every judged person: the sum of logarithmic losses, and how many ratings it is of."""
    p = np.clip(said, 1e-15, 1 - 1e-15)
    whose, place = np.unique(user, return_inverse=True)
    loss = np.bincount(place, -(true * np.log(p) + (1 - true) * np.log(1 - p)))
    return {"user": whose.astype(np.float32), "loss": loss.astype(np.float32),
            "ratings": np.bincount(place).astype(np.float32)}  # fmt: skip


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
        looks, likes = np.bincount(kinds, minlength=2)[:2]
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
    """Means over seeds, thousands of steps a second, and what each is worse than the baseline by; distances apart."""
    names = [m for m in page.metrics if m not in DISTANCES]
    told = [(m.replace("_", " "), mean(held, metric(m))) for m in names]
    told.insert(names.index("logloss") + 1, (f"logloss, more than `{page.baseline}`", _more(held, page.baseline)))
    at = [name for name, _ in told].index("apart") + 1
    told.insert(at, (f"apart, more than `{page.baseline}`", against(held, page.baseline, metric("apart"))))

    def fast(entry: Entry) -> str:
        own = values(held, entry.label, lambda record: record["facts"]["steps_a_second"] / 1000)
        return f"{np.mean(list(own.values())):.0f}"

    def both(name: str) -> Callable[[Entry], str]:
        ks, w = mean(held, metric(name)), mean(held, metric(f"{name}_w"))
        return lambda entry: f"{ks(entry)} ({w(entry)})"

    judged = replace(page, entries=tuple(e for e in page.entries if values(held, e.label, metric("auc"))))
    lines = [
        *above(page, held),
        f"More logloss than `{page.baseline}` is paired by person, with a bootstrap interval of 95 % over people; more "
        f"of `apart` is paired over {PAIRED}.",
        "",
        *grid(page, held, [*told, ("thousand steps a second", fast), seeds(held)]),
        "",
        *grid(judged, held, [(name, both(name)) for name in DISTANCES]),
    ]
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _more(held: Held, baseline: str) -> Callable[[Entry], str]:
    """How much more logloss a row has than the baseline, with an interval over people; seeds are averaged."""

    def kept(label: str) -> dict[str, Array]:
        each = [read_users(record) for (row, _), record in sorted(held.items()) if row == label and "users" in record]
        return {} if not each else {**each[0], "loss": np.mean([own["loss"] for own in each], axis=0)}

    def cell(entry: Entry) -> str:
        own, other = kept(entry.label), kept(baseline)
        if entry.label == baseline or not own or not other:
            return ""
        terms = Terms.ratio((own["loss"] - other["loss"]).astype(np.float64), own["ratings"].astype(np.float64))
        low, high = bootstrap(terms, resamples=10_000)
        return f"{figure(terms.value, signed=True)} ({figure(low, signed=True)} to {figure(high, signed=True)})"

    return cell
