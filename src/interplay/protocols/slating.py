"""The benches of slates: what a likelihood learns from slates, and what trying things costs and brings.

slates         a world of known taste over MovieLens-100K; every row learns from the old policy's pages and is judged by
               pages that come after, by true utilities, and by what people would choose from its own page
slate-loop     the same world with 200 items: 30 rounds of showing, choosing and learning, by way of choosing
market-regret  the built-in market with 300 things: 30 days of pages by a belief that starts untaught, by policy
market-beliefs what beliefs hold of the market's feeds (slating_beliefs.py)
slates-agents  real pages that language-model agents answered (slating_agents.py)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from interplay.benches import Bench, Entry
from interplay.data.pages import Pages
from interplay.data.read import load
from interplay.fitted import built
from interplay.learn.descend import Descent
from interplay.metrics import judgeable, ndcg, recall
from interplay.models.slates import DynamicSlate, SlatesConfig
from interplay.protocols.slating_agents import agents
from interplay.protocols.slating_beliefs import beliefs
from interplay.protocols.tables import PAIRED, Held, Value, above, against, grid, mean, metric, seconds, seeds
from interplay.types import EVERYTHING, Array, Dataset, Events, Ids, Ragged, Reply, Requests, Run, Slates
from interplay.worlds.market import CLICK, market
from interplay.worlds.slates import SlateWorld, SlateWorldConfig

K = 10
ALL = replace(EVERYTHING, withhold_seen=False)


def judge(page: Any, entry: Any, seed: int) -> dict[str, Any]:
    """One row of a bench."""
    return JUDGES[page.name](entry, seed)


# --------------------------------------------------------------------------------------------------------------------
# What a likelihood learns from slates


@cache
def stage(seed: int) -> tuple[SlateWorld, Dataset]:
    """The world after 20 pages of everybody, and their log."""
    world = SlateWorld(load("ml-100k"), SlateWorldConfig(people=2000, cold=0.1), seed=seed)
    return world, world.logged(20)


def slates(entry: Any, seed: int) -> dict[str, Any]:
    """One system on the log of the slate world."""
    world, log = stage(seed)
    begun = time.perf_counter()
    settings = {k: v for k, v in entry.settings.items() if k != "calibrate"}
    model = built(entry.system, settings).fit(log, run=Run(seed=seed))
    spent = time.perf_counter() - begun
    users = np.arange(len(world.home))
    now = replace(world.requests(users, K), rules=ALL)
    everything = np.tile(np.arange(world.n_items), (len(users), 1))
    score = scores(model, now, everything)
    wanted = world.utility(users)
    figures = ranked(world, score, wanted)
    line = Pages.of(log)
    figures |= link(world, model, line.requests(log), line, now, seed)
    facts: dict[str, Any] = {}
    covered = {"narrow": 0.0, "covered": 0.0}
    if entry.settings.get("calibrate"):
        half = np.arange(len(users)) % 2 == 0
        fresh = old_pages(world, seed)
        truth = world.chance(users, fresh).sum(axis=1)
        shown = Slates(items=fresh.astype(np.int32), scores=np.zeros(fresh.shape, np.float32))
        asked, judged = (now.take(np.flatnonzero(h)) for h in (half, ~half))
        mine, theirs = (Slates(items=shown.items[h], scores=shown.scores[h]) for h in (half, ~half))
        covered["narrow"] = inside(model, judged, theirs, truth[~half])
        model.calibrate(asked, mine, truth[half])
        covered["covered"] = inside(model, judged, theirs, truth[~half])
        facts |= {"margin": model.margin, "inside": model.fitted["inside"]}
    figures |= later(world, model, score, users)  # last: it lets time pass
    stage.cache_clear()
    told = {
        "world": f"{len(users)} people, {world.n_items} items of which {int(world.cold.sum())} were never shown, "
        f"{len(line)} pages of 5 to 25, {len(log.events)} clicks",
    }
    return {"metrics": figures | covered | {"fit": spent}, "protocol": told, "facts": facts}


def scores(model: Any, requests: Requests, items: Array) -> Array:
    """float[n, m]: how much a system wants each item; what it does not name stands below the rest."""
    if hasattr(model, "scores"):
        return model.scores(requests, items).astype(np.float64)
    found = model.retrieve(requests, items.shape[1])
    out = np.full(items.shape, np.nan)
    row, place = np.nonzero(found.items >= 0)
    out[row, found.items[row, place]] = found.scores[row, place]
    low = np.nanmin(out, axis=1, keepdims=True)
    return np.where(np.isnan(out), low, out)


def ranked(world: SlateWorld, score: Array, wanted: Array) -> dict[str, float]:
    """Agreement with true utilities, over warm and over cold items; the page of the ten best and how popular it is."""
    top = np.argsort(-score, axis=1, kind="stable")[:, :K]
    popular = rankdata(world.popularity) / world.n_items
    users = np.arange(len(score))
    return {
        "order": spearman(score[:500, ~world.cold], wanted[:500, ~world.cold]),
        "order_cold": spearman(score[:500, world.cold], wanted[:500, world.cold]),
        "clicks": float(world.chance(users, top).sum(axis=1).mean()),
        "popular": float(popular[top].mean()),
    }


def spearman(a: Array, b: Array) -> float:
    """The mean over rows of the rank correlation; a row without any order counts 0."""
    a, b = (rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (a, b))
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return float((np.where(size > 0, (a * b).sum(axis=1) / np.maximum(size, 1e-12), 0.0)).mean())


def link(world: SlateWorld, model: Any, before: Requests, line: Pages, now: Requests, seed: int) -> dict[str, float]:
    """Expected log loss on pages of the old policy, of the choice and of the choice given that there is one.

    Every system gets the same two numbers, fitted on 4,000 of the pages that it learnt from: a factor on its scores and
    the worth of nothing.
    """
    rng = np.random.default_rng([seed, 7])
    some = rng.permutation(len(line))[:4000]
    part, asked = line.take(some), replace(before.take(some), rules=ALL)
    items = part.items[:, 0]
    known = on_slates(model, asked, items)
    chosen = np.where(part.clicked[:, 0].any(axis=1), part.clicked[:, 0].argmax(axis=1), -1)
    scale = max(float(known[items >= 0].std()), 1e-9)
    s, held = torch.from_numpy(known / scale), torch.from_numpy(items >= 0)
    free = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([free], max_iter=60, line_search_fn="strong_wolfe")

    def log_p(s: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
        scored = (free[0] * s).masked_fill(~held, -torch.inf)
        return torch.cat([free[1].expand(len(s), 1), scored], dim=1).log_softmax(dim=1)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = -log_p(s, held).gather(1, torch.from_numpy(chosen + 1)[:, None]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    fresh = old_pages(world, seed)
    users = np.arange(len(fresh))
    truth = world.chance(users, fresh)
    s, held = torch.from_numpy(on_slates(model, now, fresh.astype(np.int32)) / scale), torch.from_numpy(fresh >= 0)
    with torch.no_grad():
        told = log_p(s, held).numpy()
    each = np.where(fresh >= 0, told[:, 1:], 0.0)
    any_ = truth.sum(axis=1)
    nll = -(truth * each).sum(axis=1) - (1 - any_) * told[:, 0]
    given = each - np.log(np.maximum(1 - np.exp(told[:, :1]), 1e-12))
    which = -(truth / any_[:, None] * np.where(fresh >= 0, given, 0.0)).sum(axis=1)
    return {"nll": float(nll.mean()), "nll_choice": float(which.mean())}


def on_slates(model: Any, requests: Requests, items: Array) -> Array:
    """float[n, k]: scores of the items of slates, 0 at the padding; those of pages the model would not name are low."""
    if hasattr(model, "scores"):
        return np.where(items >= 0, model.scores(requests, items), 0.0).astype(np.float64)
    out = np.zeros(items.shape)
    for lo in range(0, len(items), 500):
        part = requests.slice(lo, min(lo + 500, len(items)))
        whole = scores(model, part, np.empty((len(part), model.rows.n_items)))
        out[lo : lo + 500] = np.take_along_axis(whole, np.maximum(items[lo : lo + 500], 0), 1)
    return np.where(items >= 0, out, 0.0)


def old_pages(world: SlateWorld, seed: int) -> Array:
    """A page of the old policy for everybody that nobody has learnt from."""
    return world._stocked(np.random.default_rng([seed, 8]), len(world.home))


def inside(model: DynamicSlate, requests: Requests, slates: Slates, truth: Array) -> float:
    """Share of slates whose true chance of a click lies in the belief's 90 % interval."""
    low, high = model.interval(requests, slates, 0.9)
    return float(((low <= truth) & (truth <= high)).mean())


def later(world: SlateWorld, model: Any, score: Array, users: Array) -> dict[str, float]:
    """The paper's count of later clicks among the first twenty, and recall and nDCG over the whole catalogue."""
    pages = len(world.shown)
    for _ in range(5):
        world.show(users, world._stocked(world.rng, len(users)))
    done = [(p["user"][h], p["slates"][h, p["chosen"][h]]) for p in world.shown[pages:] for h in [p["chosen"] >= 0]]
    truth = Ragged.grouped(
        np.concatenate([u for u, _ in done]), len(users), item=np.concatenate([i for _, i in done]).astype(np.int32)
    )
    top = np.argsort(-score, axis=1, kind="stable")[:, :20].astype(np.int32)
    lists = Slates(items=top, scores=-np.arange(20, dtype=np.float32) + np.zeros(top.shape, np.float32))
    kept = judgeable(truth)
    hit = (top[truth.owner] == truth["item"][:, None]).any(axis=1)
    pair = np.unique(truth.owner[hit] * world.n_items + truth["item"][hit])
    some, short = lists.items[kept], truth.take(kept)
    listed = Slates(items=some, scores=lists.scores[kept])
    return {
        "hits": len(pair) / len(users), "recall@20": float(recall(listed, short, 20).mean()),
        "ndcg@20": float(ndcg(listed, short, 20).mean()),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# What trying things costs and brings

LOOP = SlatesConfig(
    user="linear", groups="group", dim=8, particles=16,
    descent=Descent(rate=0.02, batch=64, epochs=10, clip=10.0),
)  # fmt: skip
ROUNDS, PEOPLE, THINGS = 30, 150, 200


@cache
def small_ratings() -> Dataset:
    """The 200 films with most ratings."""
    data = load("ml-100k")
    assert data.catalogue is not None
    count = np.bincount(data.events.item, minlength=data.n_items)
    best = np.sort(np.argsort(-count, kind="stable")[:THINGS])
    place = np.full(data.n_items, -1)
    place[best] = np.arange(THINGS)
    events = data.events.where(place[data.events.item] >= 0)
    return replace(
        data, items=Ids([data.items[i] for i in best.tolist()]), catalogue=data.catalogue[best],
        events=replace(events, item=place[events.item].astype(np.int32)), tables={}, vectors={},
    )  # fmt: skip


def loop(entry: Any, seed: int) -> dict[str, Any]:
    """Rounds of a page for everybody, learnt from at once."""
    way = entry.label
    config = SlateWorldConfig(people=PEOPLE, dim=8, shortest=K, longest=K)
    world = SlateWorld(small_ratings(), config, seed=seed)
    world.rng = np.random.default_rng([seed, 4])
    data = world.logged(3)
    model = DynamicSlate(replace(LOOP, **entry.settings)).fit(data, run=Run(seed=seed))
    users = np.arange(PEOPLE)
    everything = np.tile(np.arange(THINGS, dtype=np.int32), (PEOPLE, 1))
    all_of_it = Slates(items=everything, scores=np.zeros(everything.shape, np.float32))
    earned, ideal, spread, apart, tried = [], [], [], [], []
    groups = model.group
    for turn in range(ROUNDS):
        requests = world.requests(users, K)
        page = model.choose(requests, all_of_it, K)
        earned.append(world.chance(users, page.items).sum(axis=1).mean())
        ideal.append(world.chance(users, world.best(users, K)).sum(axis=1).mean())
        spread.append(entropy(groups[page.items]))
        apart.append(distance(world.items, page.items))
        tried.append(page.columns["explored"].mean())
        world.show(users, page.items.astype(np.int64), page.columns["propensity"])
        model.update(world.dataset(), run=Run(seed=1000 * seed + turn, epochs=2))
    regret = np.array(ideal) - np.array(earned)
    return {
        "metrics": {
            "clicks": float(np.mean(earned)), "clicks_last": float(np.mean(earned[-10:])),
            "regret": float(regret.sum()), "regret_last": float(regret[-10:].mean()),
            "entropy": float(np.mean(spread)), "distance": float(np.mean(apart)), "tried": float(np.mean(tried)),
        },
        "protocol": {"loop": f"{ROUNDS} rounds, {PEOPLE} people, {THINGS} films, pages of {K}, learnt after each"},
        "facts": {"way": way, "regret": np.round(regret, 4).tolist(), "clicks": np.round(earned, 4).tolist()},
    }  # fmt: skip


def entropy(groups: Array) -> float:
    """Mean over pages of the entropy of their groups, in nats."""
    out = []
    for page in groups:
        share = np.unique(page, return_counts=True)[1] / len(page)
        out.append(-(share * np.log(share)).sum())
    return float(np.mean(out))


def distance(vectors: Array, pages: Array) -> float:
    """Mean over pages of one less the cosine of their items' true vectors."""
    v = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    own = v[pages]
    k = pages.shape[1]
    like = (np.einsum("nkd,njd->n", own, own) - k) / (k * (k - 1))
    return float(1 - like.mean())


WAYS: Mapping[str, Mapping[str, Any]] = {  # row -> what it sets beside its system's preset
    "greedy": {"epsilon": 0.0}, "epsilon": {"epsilon": 0.1}, "together": {"together": True, "floor": 0.0},
    "apart": {"floor": 0.0}, "lin-ucb": {"floor": 0.0}, "random": {"epsilon": 1.0}, "logistic-ts": {"floor": 0.0},
    "bernoulli-ts": {"floor": 0.0},
}  # fmt: skip


def regret(entry: Any, seed: int) -> dict[str, Any]:
    """Thirty days of the market; a belief that starts untaught fills every page."""
    made = market(seed=seed, n_items=300, n_people=150, days=10)
    shop = replace(made.dataset, tables={k: v for k, v in made.dataset.tables.items() if k != "impressions"})
    policy = built(entry.system, {"particles": 64, "trust": 0.0, **WAYS[entry.label]}).fit(shop, run=Run(seed=seed))
    world = made.world(n=150, days=30, k=K)
    requests: Requests | None = world.reset(seed)
    earned: dict[int, list[float]] = {}
    lost: dict[int, list[float]] = {}
    worth: dict[int, Array] = {}
    spread: list[float] = []
    everything = np.arange(300, dtype=np.int32)
    look = made.truth.examination(K)
    kinds = made.truth.kind
    while requests is not None:
        day = world.day
        if day not in worth:  # what each person would click of each thing today, were it looked at
            alone = np.tile(everything[:, None], (150, 1))
            who = np.repeat(world.users, 300)
            chance = made.truth.click_probability(who, alone, made.days + day - 1) / made.truth.examination(1)[0]
            worth = {day: chance.reshape(150, 300)}
        row = np.searchsorted(world.users, requests.user)
        mine = worth[day][row]
        wide = np.tile(everything, (len(requests), 1))
        page = policy.choose(requests, Slates(items=wide, scores=np.zeros(wide.shape, np.float32)), K)
        got = (np.take_along_axis(mine, page.items, 1) * look).sum(axis=1)
        best = (-np.sort(-mine, axis=1)[:, :K] * look).sum(axis=1)
        earned.setdefault(day, []).extend(got.tolist())
        lost.setdefault(day, []).extend((best - got).tolist())
        spread.append(entropy(kinds[page.items]))
        events, after = world.step(Reply(slates=page))
        policy.update(answered(page, requests, events), requests)
        requests = after
    days = sorted(lost)
    curve = np.array([np.mean(lost[d]) for d in days])
    clicks = np.array([np.mean(earned[d]) for d in days])
    return {
        "metrics": {
            "clicks": float(clicks.mean()), "clicks_last": float(clicks[-10:].mean()), "regret": float(curve.sum()),
            "regret_last": float(curve[-10:].mean()), "entropy": float(np.mean(spread)),
            "bought": world.tally["bought"] / max(world.tally["visits"], 1),
        },
        "protocol": {"market": "300 things, 150 people, 30 days after a log of 10, pages of 10; regret is of expected "
                     "clicks a page, before weariness, summed over the days' means"},
        "facts": {"regret": curve.round(4).tolist(), "clicks": clicks.round(4).tolist()},
    }  # fmt: skip


def answered(page: Slates, requests: Requests, events: Events) -> Pages:
    """The pages with what was clicked of them."""
    hit = events.kind == CLICK if events.kind is not None else np.ones(len(events), bool)
    pair = events.user[hit].astype(np.int64) * 1_000_000 + events.item[hit]
    mine = requests.user[:, None].astype(np.int64) * 1_000_000 + page.items
    return Pages(items=page.items[:, None], clicked=np.isin(mine, pair)[:, None], n_items=int(page.items.max()) + 1)


JUDGES = {
    "slates": slates, "slate-loop": loop, "market-regret": regret, "market-beliefs": beliefs, "slates-agents": agents,
}  # fmt: skip

# --------------------------------------------------------------------------------------------------------------------
# Tables: paired by seed

BESIDE = ("nll", "nll_choice", "order", "order_cold", "clicks", "popular", "hits")
CALIBRATED = ("narrow", "covered")  # without `calibrate` a record has 0 there, which stands for nothing
MARKS = (1, 5, 10, 20, 30)  # rounds after which regret is told
MORE = {  # loop -> what else is told against its baseline
    "slate-loop": ("clicks", "clicks_last", "entropy", "distance"),
    "market-regret": ("clicks", "clicks_last", "entropy", "bought"),
}


def table(page: Bench, held: Held, root: Path) -> str:
    """Means over seeds, and what each row has more than the bench's baseline, seed by seed."""
    base = page.baseline
    means = [(m.replace("_", " "), means_of(held, m)) for m in page.metrics]
    lines = [
        *above(page, held),
        *grid(page, held, [*means, seeds(held), seconds(held)]),
        "",
        *([page.note, ""] if page.note else []),
    ]
    if page.name == "slates":
        lines += [f"More than `{base}`, {PAIRED}:", ""]
        beside = [(m.replace("_", " "), against(held, base, metric(m))) for m in BESIDE]
        lines += grid(page, held, beside, settings=False)
    elif page.name in MORE:
        lines += [f"Regret summed up to a round, and how much more than `{base}`, {PAIRED}:", ""]
        marks = [(f"after {n}", both(held, base, summed(n))) for n in MARKS]
        more = [(f"{m.replace('_', ' ')} more", against(held, base, metric(m))) for m in MORE[page.name]]
        lines += grid(page, held, [*marks, *more], settings=False)
    return "\n".join(lines).rstrip("\n")


def means_of(held: Held, name: str) -> Callable[[Entry], str]:
    """The mean over seeds; empty for intervals of rows that were not calibrated."""
    told = mean(held, metric(name))
    return lambda entry: "" if name in CALIBRATED and not entry.settings.get("calibrate") else told(entry)


def summed(n: int) -> Value:
    """Regret of the first n rounds."""
    return lambda record: float(np.sum(record["facts"]["regret"][:n]))


def both(held: Held, base: str, value: Value) -> Callable[[Entry], str]:
    """The mean over seeds, and in brackets the difference from the baseline."""
    own, more = mean(held, value), against(held, base, value)
    return lambda entry: own(entry) + (f" ({told})" if (told := more(entry)) else "")
