"""The bench of orders: six systems ranked by simulated people, against their order by what real people went on to do.

Each person's last ratings are held out. Systems and the learned simulators see what came before; the held-out part says
two things of a system: how many of the films that somebody then liked it puts among its first 20 (`found`), and of the
films that somebody then rated, how many of the five it puts first were liked (`rated`), which is nearer to what the
learned simulators know. In the stylised worlds, which know nothing of the log, the same systems learn from a log of a
policy by lot and go on from its end.

Kendall's tau over the pairs of systems; its interval draws people on both sides anew, the same ones where both sides
are the people of the log. A tau of few systems is coarse, so it is also told how many pairs the held-out people can
tell apart at all, and how many of those the simulator has the same way round.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interplay import metrics
from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.read import load
from interplay.data.split import Split, split
from interplay.errors import BadData, unknown
from interplay.fitted import built
from interplay.types import TEST, TRAIN, VALID, Array, Dataset, Events, Ragged, Reply, Requests, Run, Slates
from interplay.worlds.learned import SIMULATORS, LearnedConfig, LearnedWorld
from interplay.worlds.stylised import (
    START,
    Crowd,
    InterestConfig,
    InterestWorld,
    OrganicConfig,
    OrganicWorld,
    TemptingConfig,
    TemptingWorld,
)

POLICIES = ("popular", "item-knn", "rp3beta", "ease", "ials", "markov")  # presets; none was chosen by what comes out
PAGES, PLACES = 4, 5  # pages that a simulator of the log shows: 20 places, as many as `found` looks at
LOGGED, SERVED = 15, 20  # steps of a stylised world: by lot, and by a system
FEWEST = 10  # ratings that a person has in the held-out part, to be asked about the five put first
RESAMPLES = 2000
STYLISED: Mapping[str, Callable[[int], Crowd]] = {
    "interest": lambda seed: InterestWorld(InterestConfig(items=400), seed=seed),
    "tempting": lambda seed: TemptingWorld(TemptingConfig(items=400, places=5), seed=seed),
    "organic": lambda seed: OrganicWorld(OrganicConfig(items=400, appeal=5.0), seed=seed),
}
HALVES = "held-out"  # one half of the people against the other: what order there is to be found


@dataclass(frozen=True, kw_only=True, eq=False)
class Worth:
    """What every system was worth to each person."""

    values: Array  # float64[n, systems]
    who: Array  # int64[n]


# --------------------------------------------------------------------------------------------------------------------
# Two sides


def held_out(parts: Split, models: Mapping[str, Any], *, liked: float = 4.0) -> tuple[Worth, Worth]:
    """(found, rated): what the held-out ratings say of models that saw what came before."""
    data, e = parts.dataset, parts.dataset.events
    if e.value is None:
        raise BadData(f"{data.name!r} has no ratings; what people liked is not known")
    requests, _ = parts.judged(TEST)
    row = np.full(data.n_users, -1)
    row[requests.user] = np.arange(len(requests))
    test = np.flatnonzero(parts.part == TEST)
    owner, item, like = row[e.user[test]], e.item[test], e.value[test] >= liked
    truth = Ragged.grouped(owner[like], len(requests), item=item[like])
    some, many = metrics.judgeable(truth), np.flatnonzero(np.bincount(owner, minlength=len(requests)) >= FEWEST)
    found, rated = [], []
    for model in models.values():
        slates = model.retrieve(requests, data.n_items)
        first = Slates(items=slates.items[some, :20], scores=slates.scores[some, :20])
        found.append(metrics.measure(first, truth.take(some), "ndcg@20")["ndcg@20"])
        place = np.full((len(requests), data.n_items + 1), data.n_items)
        np.put_along_axis(
            place, np.where(slates.items >= 0, slates.items, data.n_items), np.arange(slates.items.shape[1])[None], 1
        )
        order = np.lexsort((place[owner, item], owner))
        start = np.searchsorted(owner[order], many)
        rated.append(like[order][start[:, None] + np.arange(5)].mean(axis=1))
    return (
        Worth(values=np.column_stack(found), who=requests.user[some]),
        Worth(values=np.column_stack(rated), who=requests.user[many]),
    )


def simulated(world: Crowd, models: Mapping[str, Any], *, steps: int) -> Worth:
    """What people were worth from where the world stands, once with each model."""
    earned = []
    for model in models.values():
        here = copy.deepcopy(world)
        before = here.total.copy()
        asked = here.requests()
        for _ in range(steps):
            if asked is None:
                break
            _, asked = here.step(Reply(slates=model.retrieve(asked, asked.k)))
        earned.append(here.total - before)
    came = np.flatnonzero(world.here)
    return Worth(values=np.column_stack(earned)[came], who=came)


def by_lot(world: Crowd, seed: int, *, steps: int) -> Dataset:
    """The log of a policy that knows nothing, from a world that is left standing at its end."""
    asked: Requests | None = world.reset(seed)
    parts = []
    for step in range(steps):
        if asked is None:
            break
        luck = np.random.default_rng([seed, step, 71]).random((len(asked), world.n_items))
        items = np.argpartition(luck, asked.k, axis=1)[:, : asked.k].astype(np.int32)
        events, asked = world.step(Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32))))
        parts.append(events)
    if isinstance(world, OrganicWorld):  # what people view of their own accord is logged too, and is most of it
        user, item = world.organic_views()
        viewed = Events(
            user=user.astype(np.int32), item=item.astype(np.int32), time=START + np.arange(len(user)),
            value=np.ones(len(user), np.float32), kind=np.zeros(len(user), np.int16), kinds=world.KINDS,
        )  # fmt: skip
        parts.append(viewed)
    return world.dataset(parts)


# --------------------------------------------------------------------------------------------------------------------
# Their agreement


def tau(first: Array, second: Array) -> Array:
    """float64[...]: Kendall's tau of two orders of the last axis; a tie counts as neither.

    >>> float(tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))).__round__(3)
    0.333
    """
    return np.asarray((_signs(first) * _signs(second)).mean(axis=-1))


def _signs(values: Array) -> Array:
    i, j = np.triu_indices(values.shape[-1], 1)
    return np.sign(values[..., i] - values[..., j])


def agreement(
    own: Worth, real: Worth, *, paired: bool, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float, float, int, float]:
    """(tau, its 95 % interval's ends, pairs that `real` can tell apart, share of them that `own` has the same way)."""
    rng = np.random.default_rng([seed, 72])
    n = int(max(own.who.max(), real.who.max())) + 1
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    other = drawn if paired else rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    means = [(w[:, side.who] @ side.values) / np.maximum(w[:, side.who].sum(axis=1, keepdims=True), 1)
             for w, side in ((drawn, own), (other, real))]  # fmt: skip
    low, high = np.quantile(tau(*means), [0.025, 0.975])
    i, j = np.triu_indices(real.values.shape[1], 1)
    ends = np.quantile(means[1][:, i] - means[1][:, j], [0.025, 0.975], axis=0)
    apart = (ends[0] > 0) | (ends[1] < 0)
    same = _signs(own.values.mean(axis=0)) == _signs(real.values.mean(axis=0))
    share = float(same[apart].mean()) if apart.any() else 0.0
    return (
        float(tau(own.values.mean(axis=0), real.values.mean(axis=0))), float(low), float(high), int(apart.sum()), share
    )  # fmt: skip


def halved(real: Worth, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """(mean tau of one half of the people against the other, and where 95 % of such taus lie)."""
    rng = np.random.default_rng([seed, 73])
    told = []
    for _ in range(resamples):
        lot = rng.permutation(len(real.who))
        first, second = np.array_split(lot, 2)
        told.append(float(tau(real.values[first].mean(axis=0), real.values[second].mean(axis=0))))
    low, high = np.quantile(told, [0.025, 0.975])
    return float(np.mean(told)), float(low), float(high)


# --------------------------------------------------------------------------------------------------------------------
# The bench


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One simulator's order of the systems against that of the people whose ratings were held out."""
    if entry.system not in (HALVES, *SIMULATORS, *STYLISED):
        raise unknown("simulator", entry.system, (HALVES, *SIMULATORS, *STYLISED))
    data = load(page.data)
    parts = split(data, page.split, seed=page.split_seed)
    known = parts.fitted("train+valid")
    models = {name: built(name).fit(known, run=Run(seed=seed)) for name in POLICIES}
    found, rated = held_out(parts, models)
    facts: dict[str, Any] = {"found": _named(found), "rated": _named(rated), "people": len(found.who)}
    figures: dict[str, float] = {}
    if entry.system == HALVES:
        for name, real in (("found", found), ("rated", rated)):
            figures |= dict(zip((f"{name}_tau", f"{name}_low", f"{name}_high"), halved(real, seed=seed), strict=True))
    else:
        own, paired = _worth(entry, data, parts, models, seed), entry.system in SIMULATORS
        for name, real in (("found", found), ("rated", rated)):
            told = agreement(own, real, paired=paired, seed=seed)
            keys = (f"{name}_{k}" for k in ("tau", "low", "high", "apart", "same"))
            figures |= dict(zip(keys, told, strict=True))
        facts |= {"own": _named(own), "simulated_people": len(own.who)}
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{', '.join(POLICIES)}, at their presets, learn from each person's first 90 % of {data.name}; "
                      "the last 10 % are held out",
            "measures": f"`found` orders them by ndcg@20 of what {len(found.who)} people then liked, out of the whole "
                        f"catalogue; `rated` by the likes among the five put first of what somebody then rated, for "
                        f"{len(rated.who)} people with {FEWEST} or more. tau is Kendall's, with a bootstrap interval "
                        "over people; `same` is how many of the pairs that the held-out people tell apart the "
                        "simulator has the same way round",
            "worlds": f"simulators of the log show {PAGES} pages of {PLACES} and count likes; stylised worlds serve "
                      f"{SERVED} steps after a log of {LOGGED} steps by lot, and count minutes (interest, tempting) "
                      "or clicks on adverts (organic)",
        },
        "facts": facts,
    }  # fmt: skip


def _worth(entry: Entry, data: Dataset, parts: Split, models: Mapping[str, Any], seed: int) -> Worth:
    if entry.system in SIMULATORS:
        config = configured(LearnedConfig, {"knows": entry.system, "places": PLACES}, entry.settings)
        world = LearnedWorld(data, parts.part == TRAIN, parts.part == VALID, config, seed=seed)
        world.reset(seed)
        return simulated(world, models, steps=PAGES)
    made = STYLISED[entry.system](seed)
    log = by_lot(made, seed, steps=LOGGED)
    own = {name: built(name).fit(log, run=Run(seed=seed)) for name in POLICIES}
    return simulated(made, own, steps=SERVED)


def _named(worth: Worth) -> dict[str, float]:
    return dict(zip(POLICIES, worth.values.mean(axis=0).round(5).tolist(), strict=True))


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Agreement by simulator, and below it what each system was worth."""
    newest = list(held.values())[-1]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]
    lines += ["| simulator | tau with `found` | same | tau with `rated` | same | s |", "|---|---|---|---|---|---|"]
    rows = [(entry, held[entry.label, s]) for entry in page.entries for s in entry.seeds if (entry.label, s) in held]
    for entry, record in rows:
        m = record["metrics"]
        cells = []
        for name in ("found", "rated"):
            cells.append(f"{m[f'{name}_tau']:+.2f} ({m[f'{name}_low']:+.2f} to {m[f'{name}_high']:+.2f})")
            apart = m.get(f"{name}_apart")
            cells.append("" if apart is None else f"{apart * m[f'{name}_same']:.0f} of {apart:.0f}")
        lines.append("| " + " | ".join([f"`{entry.label}`", *cells, f"{record['seconds']['all']:.0f}"]) + " |")
    lines += ["", "| worth in | " + " | ".join(f"`{p}`" for p in POLICIES) + " |", "|---" * (len(POLICIES) + 1) + "|"]
    told = [(name, newest["facts"][name]) for name in ("found", "rated")]
    told += [(entry.label, record["facts"]["own"]) for entry, record in rows if "own" in record["facts"]]
    lines += ["| " + " | ".join([f"`{name}`", *(f"{own[p]:.4g}" for p in POLICIES)]) + " |" for name, own in told]
    return "\n".join([*lines, "", page.note] if page.note else lines)
