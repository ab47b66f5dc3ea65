"""Benches of whole pages: the same candidates of a base ranker, arranged by everyone in turn.

A run learns once and arranges many times: the base order, variety by mmr and dpp, a supervised listwise ranker, the
policy, and the policy with one of its parts taken away. Everybody arranges the same lists of the same people, whose
last event nothing has read. Rewards are checked on the people held out of their learning, beside rewards that were
taught with shuffled labels.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from interplay.benches import Bench, Entry
from interplay.cascade.page import Vectors, arrange
from interplay.configure import configured
from interplay.data.lists import Lists, contents, described
from interplay.data.read import load
from interplay.data.split import Split, split
from interplay.fitted import built
from interplay.learn.page_policy import vary
from interplay.learn.page_rails import Rails
from interplay.learn.page_rewards import FAMILIES, Rewards, Seen, discount
from interplay.metrics import ild, measure
from interplay.models.pages import BLOCK, Pages, PagesConfig
from interplay.ops.stats import bootstrap
from interplay.types import TEST, Array, Dataset, Ragged, Requests, Run, Slates

K, POOL, PEOPLE, TIMED = 20, 100, 4000, 60
SPACE = 256  # directions of words by which pages are judged, four times those that are learnt from
TWIN = 0.9  # cosine from which on two items of a page count as twins
VARIETY = (("mmr", 0.9), ("mmr", 0.7), ("dpp", 0.9), ("dpp", 0.7))
BASE, FULL, STIRRED = "base order", "pagellm", "pagellm, candidates stirred"
UNREINFORCED = "without reinforcement"
STIRS = 3  # random orders of the candidates over which a policy is averaged, to see what it owes to their places
SHELVES = {  # how the shelves of a page are chosen
    "rule": "the fixed rule", "supervised": "supervised", "policy": "reinforced by both grains",
    "items": "by single shelves alone", "page": "by the whole page alone",
}  # fmt: skip
LISTWISE, CURVE = "listwise, supervised", "curve: "  # rows of the curve of order against variety begin so
CROWDINGS = (1.6, 1.3, 1.15, 1.0, 0.85)  # likeness inside the policy's pages, in times of the base order's
AFTERWARDS = (("mmr", 0.95), ("mmr", 0.9), ("mmr", 0.8), ("mmr", 0.7), ("dpp", 0.95), ("dpp", 0.9), ("dpp", 0.8))
LOOKS, LOGS = "pbm", {  # the row of the bench `positions` that is read, and what its columns were fitted to
    "agents": "four films of a page, language-model agents", "bts": "three banners drawn at random, 46 clicks",
    "uniform": "three banners by Thompson sampling, 69 clicks, not weighted",
}  # fmt: skip
CONTROLS, BRIEF = 10, 2  # networks taught with shuffled labels, each drawn anew, and their epochs
JUDGED = {"last-out": "the last event", "time": "what came in the last tenth of the log"}


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One data set and seed: metrics are named `way|measure`, accuracies `accuracy|family`."""
    told: dict[str, Any] = dict(entry.settings)
    base, families = told.pop("base", "markov"), told.pop("families", False)
    parts = split(_loaded(told.pop("data", page.data)), told.pop("split", "last-out"))
    data = parts.fitted("train+valid")
    model = Pages(configured(PagesConfig, {"places": K, "pool": POOL}, told))
    requests, truth = _asked(parts)
    rails = model.config.rails  # a list is described as it was learnt from: as long, where shelves are made of it
    wide = _base(base).fit(data, run=Run(seed=seed)).retrieve(requests, max(POOL, rails.pool if rails.shelves else 0))
    candidates = Slates(items=wide.items[:, :POOL], scores=wide.scores[:, :POOL])
    space = contents(data, "words", SPACE)
    pages: dict[str, Array] = {BASE: candidates.items[:, :K]}
    for name, balance in VARIETY:
        pages[f"{name}, balance {balance:g}"] = varied(candidates, name, balance, space)
    facts: dict[str, Any] = {}
    accuracy: dict[str, float] = {}
    for name, way in _ways(model, data, base, seed, families, facts, accuracy):
        pages[name] = _page(way, requests, wide)
        if name == LISTWISE:
            ordered = _ordered(way, requests, wide)
            for variety, balance in AFTERWARDS:
                pages[f"{CURVE}listwise, then {variety} {balance:g}"] = varied(ordered, variety, balance, space)
    for crowding in CROWDINGS:
        pages[f"{CURVE}pagellm, crowding {crowding:g}"] = _page(_crowded(model, crowding), requests, wide)
    rows = {name: _judged(items, truth, space) for name, items in pages.items()}
    rows[STIRRED], facts["same things when stirred"] = _stirred(model, requests, wide, pages[FULL], truth, space)
    metrics = {f"{name}|{m}": float(np.nanmean(v)) for name, row in rows.items() for m, v in row.items()}
    for name, row in rows.items():
        for m, other, said in (("ndcg", BASE, ""), ("ild", BASE, ""), ("ndcg", FULL, " of pagellm")):
            gain = row[m] - rows[other][m]
            between = bootstrap(gain[~np.isnan(gain)], seed=0)
            metrics |= {f"{name}|{m} low{said}": between.lo, f"{name}|{m} high{said}": between.hi}
    metrics |= {f"accuracy|{family}": value for family, value in accuracy.items()}
    metrics["ceiling"] = float(measure(candidates, truth, f"recall@{POOL}")[f"recall@{POOL}"].mean())
    metrics["p95 ms"] = _late(model, requests, wide)
    for part, found in facts.get("rails", {}).get("found", {}).items():
        metrics |= {f"rails|{part}|{name}": value for name, value in found.items()}
    return {
        "metrics": metrics,
        "protocol": {
            "judged": f"{len(requests):,} people drawn from {data.name}, each by {JUDGED[parts.rule]}, K = {K} of the "
            f"first {POOL} candidates of `{base}` over the whole catalogue; the base was fitted on train + valid",
            "learnt": f"Lists of {model.config.moments:,} earlier moments at most, by a base fitted on "
            + (f"other people ({model.config.folds} folds)" if model.config.folds > 1 else "the log's older part")
            + ", of which those are kept whose next item is among the candidates",
            "space": f"Intra-list distance and twins (cosine above {TWIN}) in {SPACE} directions of title words",
        },
        "facts": facts,
        "rows": {f"{name}|ndcg": row["ndcg"] for name, row in rows.items() if not name.startswith(CURVE)},
    }  # fmt: skip


def _loaded(name: str) -> Dataset:
    if name == "market":
        from interplay.worlds.market import market

        return market().dataset
    return load(name)


def _base(name: str) -> Any:
    """A new ranker; of a recipe, its path up to the page."""
    return built(name).bare() if name.endswith(".toml") else built(name)


def _page(way: Pages, requests: Requests, candidates: Slates) -> Array:
    """int32[n, K]: the items of its pages."""
    return np.take_along_axis(candidates.items, way.arrange(requests, candidates, K).order[:, :K], 1)


def varied(candidates: Slates, variety: str, balance: float, space: Array) -> Array:
    """int32[n, K]: the items of pages that keep a distance by MMR or DPP, -1 pads."""
    order = arrange(
        candidates.items, candidates.scores, K, variety=variety, balance=balance, likeness=Vectors(space), places=K
    )
    return np.where(order >= 0, np.take_along_axis(candidates.items, np.maximum(order, 0), 1), -1)


@torch.no_grad()
def _ordered(way: Pages, requests: Requests, candidates: Slates) -> Slates:
    """All candidates in the order of a policy's scores before anything is chosen, with those scores."""
    lists = described(way.things, requests, candidates).first(POOL)
    worth = []
    for lo in range(0, len(lists), BLOCK):
        seen = Seen.of(lists.take(np.arange(lo, min(lo + BLOCK, len(lists)))), way.things)
        worth.append(way.policy.read(seen)[1].masked_fill(~seen.present, -np.inf).numpy())
    scores = np.concatenate(worth)
    order = np.argsort(-scores, axis=1, kind="stable")
    return Slates(items=np.take_along_axis(lists.items, order, 1), scores=np.take_along_axis(scores, order, 1))


def _crowded(model: Pages, crowding: float) -> Pages:
    """The same policy, pushed away from what stands above until its pages are at most so alike."""
    out = _plain(model)
    out.policy.config = replace(out.policy.config, crowding=crowding)
    vary(out.policy, out.usual, out.things)
    return out


def _stirred(
    model: Pages, requests: Requests, candidates: Slates, page: Array, truth: Ragged, space: Array
) -> tuple[dict[str, Array], float]:
    """The same policy over candidates in random orders, each with its own score, on average; and the share of its page
    that stays the same."""
    told, same = [], []
    for draw in range(STIRS):
        drawn = np.random.default_rng([draw, 41]).random(candidates.items.shape)
        key = np.where(np.arange(candidates.items.shape[1]) < POOL, drawn, 1.0)  # only the pool is stirred
        order = np.argsort(np.where(candidates.items >= 0, key, 2.0), axis=1, kind="stable")
        mixed = Slates(
            items=np.take_along_axis(candidates.items, order, 1), scores=np.take_along_axis(candidates.scores, order, 1)
        )
        items = np.take_along_axis(mixed.items, model.arrange(requests, mixed, K).order[:, :K], 1)
        told.append(_judged(items, truth, space))
        held = items >= 0
        same.append(float(((items[:, :, None] == page[:, None]).any(axis=2) & held).sum() / max(held.sum(), 1)))
    return {name: np.mean([t[name] for t in told], axis=0) for name in told[0]}, float(np.mean(same))


def _asked(parts: Split) -> tuple[Requests, Ragged]:
    requests, truth = parts.judged(TEST)
    some = np.sort(np.random.default_rng(0).permutation(len(requests))[:PEOPLE])
    return requests.take(some), truth.take(some)


def _ways(
    model: Pages, data: Dataset, base: str, seed: int, families: bool, facts: dict[str, Any],
    accuracy: dict[str, float],
) -> Iterator[tuple[str, Pages]]:  # fmt: skip
    """Each way to arrange, learnt in turn from the same lists; `model` is the full one afterwards."""
    run, begun = Run(seed=seed), time.perf_counter()
    train, check = model.gather(data, lambda: _base(base), run=run)
    facts["gather s"] = round(time.perf_counter() - begun, 1)
    model.reward(train, check, run=run)
    accuracy |= model.fitted["accuracy"]
    accuracy |= _controls(model, train, check, seed)

    def other(name: str, rewards: Callable[[Pages], None] | None = None, **policy: Any) -> tuple[str, Pages]:
        """The same lists and warm policy under other settings of what follows."""
        settings = replace(model.config, policy=replace(model.config.policy, **policy))
        out = Pages(settings)
        out.things, out.usual, out.fitted = model.things, model.usual, {}
        out._build(seed)
        out.rewards = out.mixed.rewards = model.rewards
        if rewards is not None:
            rewards(out)
        out.policy.load_state_dict(warm)
        out.reinforce(train, check, run=run)
        out.trusted = True
        facts[name] = {k: v for k, v in out.fitted.items() if k in ("ndcg", "alike")} | {
            "chosen": out.fitted["ppo"]["chosen"], "checks": out.fitted["ppo"]["checks"],
            "rounds": out.fitted["ppo"]["rounds"][-1:],
        }  # fmt: skip
        return name, out

    model.supervise(train, run=run)
    warm = {k: v.detach().clone() for k, v in model.policy.state_dict().items()}
    model.reinforce(train, check, run=run)
    facts["held out"], facts["alike"], facts["trusted"] = model.fitted["ndcg"], model.fitted["alike"], model.trusted
    facts["lists"], facts["rounds"] = model.fitted["lists"], model.fitted["ppo"]["rounds"]
    facts["checks"], facts["chosen"] = model.fitted["ppo"]["checks"], model.fitted["ppo"]["chosen"]
    model.trusted = True  # judged as it is, also where it would step back
    if model.config.rails.shelves:
        facts["rails"] = model.rails.learn(*model.could, model.things, run=run, doubts=False)
        for name, share in (("items", 0.0), ("page", 1.0)):
            rails = replace(model.config.rails, policy=replace(model.config.rails.policy, share=share))
            other_rails = Rails(rails, model.things.content.shape[1], seed)
            told = other_rails.learn(*model.could, model.things, run=run, doubts=False)
            facts["rails"]["found"][name] = told["found"]["policy"]
    yield FULL, model
    yield other(LISTWISE, rounds=0, crowding=None)
    yield other(UNREINFORCED, rounds=0)
    yield "without the push for variety", _plain(model)
    yield other("without the page reward", share=0.0)
    yield other("without the item reward", share=1.0)
    for family in FAMILIES if families else ():
        yield other(f"without pairs of {family}", rewards=_apart(family, model, train, run))
    facts["learn s"] = round(time.perf_counter() - begun, 1)


def _controls(model: Pages, train: Lists, check: Lists, seed: int) -> dict[str, float]:
    """How often rewards are right that were taught with shuffled labels: the mean over networks, and its error.

    One such network prefers one side of a pair for no reason, and all pairs of a family alike: it is right about nearly
    all of them or hardly any. Only many networks say that nothing leaks from a label into a pair.
    """
    c = replace(model.config.reward, shuffled=True)
    c, told = replace(c, descent=replace(c.descent, epochs=min(BRIEF, c.descent.epochs))), dict[str, list[float]]()
    for lot in range(CONTROLS):
        control = Rewards(c, model.things.content.shape[1], 1000 * (seed + 1) + lot)
        control.learn(train, model.things, run=Run(seed=1000 * (seed + 1) + lot))
        for name, value in control.accuracy(check, model.things, seed=seed).items():
            told.setdefault(name, []).append(value)
    out = {f"{name}, shuffled": float(np.mean(values)) for name, values in told.items()}
    error = {name: float(np.std(values, ddof=1) / len(values) ** 0.5) for name, values in told.items()}
    return out | {f"{name}, shuffled error": value for name, value in error.items()}


def _plain(model: Pages) -> Pages:
    """The same policy, which keeps no distance beyond what it has learnt."""
    out = copy.copy(model)
    out.policy = copy.deepcopy(model.policy)
    out.policy.push.zero_()
    return out


def _apart(family: str, model: Pages, train: Any, run: Run) -> Callable[[Pages], None]:
    """Rewards taught without one family of pairs."""

    def teach(out: Pages) -> None:
        margins = {k: v for k, v in model.config.reward.margins.items() if k != family}
        out.rewards = Rewards(replace(model.config.reward, margins=margins), model.things.content.shape[1], run.seed)
        out.rewards.learn(train, model.things, run=run)
        out.mixed.rewards = out.rewards

    return teach


def _judged(items: Array, truth: Ragged, space: Array) -> dict[str, Array]:
    slates = Slates(items=items.astype(np.int32), scores=-np.arange(K, dtype=np.float32) * (items >= 0))
    own = Vectors(space).vectors[np.maximum(items, 0)]
    like = np.where(np.tri(K, k=-1, dtype=bool), np.matmul(own, own.transpose(0, 2, 1)), -1)
    like = np.where(((items >= 0)[:, :, None] & (items >= 0)[:, None]), like, -1)
    return {
        "ndcg": measure(slates, truth, f"ndcg@{K}")[f"ndcg@{K}"], "recall": measure(slates, truth, f"recall@{K}")[
            f"recall@{K}"
        ],
        "ild": ild(slates, space, K), "twins": (like.max(axis=2) > TWIN).sum(axis=1).astype(float),
    }  # fmt: skip


def _late(model: Pages, requests: Requests, candidates: Slates) -> float:
    """Milliseconds that arranging adds to one request, of which one in twenty takes longer."""
    spent = []
    for i in range(min(TIMED, len(requests))):
        begun = time.perf_counter()
        model.arrange(requests.slice(i, i + 1), candidates.slice(i, i + 1), K)
        spent.append(time.perf_counter() - begun)
    return 1000 * float(np.quantile(spent, 0.95))


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """For each data set: ways and what they do, what was lost without each part, and how often rewards are right."""
    lines = [page.about, ""]
    for entry in page.entries:
        own = [r for (label, _), r in held.items() if label == entry.label]
        if own:
            lines += [f"**{entry.label}** ({len(own)} seed{'s' * (len(own) > 1)})", ""]
            lines += [" ".join(f"{v}." for v in own[-1]["protocol"].values()), "", *_of(own), ""]
    lines += _places(root)
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _places(root: Path) -> list[str]:
    """Whether places that the item reward weighs more are looked at more in real logs, by the bench `positions`."""
    path = root / "positions.jsonl"
    told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    looks = next((record["facts"] for record in reversed(told) if record["label"] == LOOKS), None)
    if looks is None:
        return []
    lines = ["The item reward weighs a place as 1 / log2(place + 1). Where people looked in real logs, as the row "
             f"`{LOOKS}` of the bench `positions` fits it:", "",
             "| log | looked at, by place | weights | swaps of two places that agree | rank correlation |",
             "|---|---|---|---|---|"]  # fmt: skip
    for log, name in LOGS.items():
        seen = np.array(looks[log]["looks"])
        weight, (a, b) = discount(len(seen)), np.triu_indices(len(seen), 1)
        shown, weights = (" ".join(f"{v:.2f}" for v in row) for row in (seen, weight))
        agree, rank = int((seen[a] > seen[b]).sum()), spearmanr(seen, weight).statistic
        lines.append(f"| {name} | {shown} | {weights} | {agree} of {len(a)} | {rank:+.2f} |")
    return lines


def _of(own: Sequence[Mapping[str, Any]]) -> list[str]:
    def mean(name: str) -> float:
        return float(np.mean([r["metrics"][name] for r in own if name in r["metrics"]]))

    def interval(name: str, said: str = "") -> str:
        ends = [f"{name} {end}{said}" for end in ("low", "high")]
        known = all(end in r["metrics"] for r in own[-1:] for end in ends)
        return " to ".join(f"{mean(end):+.4f}" for end in ends) if known else ""

    every = list(dict.fromkeys(k for r in own for k in r["metrics"]))
    ways = list(dict.fromkeys(k.split("|")[0] for k in every if k.endswith("|ndcg")))
    lines = [
        f"| way | ndcg@{K} | against the base | 95 % | recall@{K} | intra-list distance | twins | against {FULL} "
        "| 95 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for way in ways:
        if way.startswith(CURVE):
            continue
        ndcg = mean(f"{way}|ndcg")
        each = [r["metrics"][f"{way}|ndcg"] for r in own if f"{way}|ndcg" in r["metrics"]]
        shown = f"{ndcg:.4f}" + (f" ± {np.std(each, ddof=1):.4f}" if len(each) > 1 else "")
        lines.append(
            f"| {way} | {shown} | {ndcg / mean(f'{BASE}|ndcg') - 1:+.1%} | {interval(f'{way}|ndcg')} | "
            f"{mean(f'{way}|recall'):.4f} | {mean(f'{way}|ild'):.4f} | {mean(f'{way}|twins'):.2f} | "
            f"{ndcg / mean(f'{FULL}|ndcg') - 1:+.1%} | {interval(f'{way}|ndcg', ' of pagellm')} |"
        )
    trusted = [bool(r["facts"]["trusted"]) for r in own]
    served = "the policy serves" if all(trusted) else "the base order would be served" if not any(trusted) else (
        f"the policy would serve in {sum(trusted)} of {len(trusted)} seeds, the base order in the others"
    )  # fmt: skip
    seeds = f", their ends means over {len(own)} seeds; ± is the deviation of seeds" if len(own) > 1 else ""
    lines += ["", f"By the people held out of its learning, {served}. Intervals are bootstraps over people{seeds}."]
    lines += ["", _rounds(own, [way for way in ways if not way.startswith(CURVE)])]
    lines += _curve([way for way in ways if way.startswith(CURVE)], mean, interval)
    told = [k.split("|")[1] for k in every if k.startswith("accuracy|") and ", shuffled" not in k and " pairs" not in k]
    lots = any(k.endswith(", shuffled error") for k in every)
    lines += ["", "| pairs, people held out | right | taught with shuffled labels | pairs |", "|---|---|---|---|"]
    for family in told:
        shuffled, count = f"accuracy|{family}, shuffled", f"accuracy|{family} pairs"
        errors = [r["metrics"][f"{shuffled} error"] for r in own if f"{shuffled} error" in r["metrics"]]
        beside = f" ± {np.sqrt(np.square(errors).sum()) / len(errors):.3f}" if errors else ""
        right = [r["metrics"][f"accuracy|{family}"] for r in own]
        spread = f" ± {np.std(right, ddof=1):.3f}" if len(right) > 1 else ""
        lines.append(
            f"| {family} | {np.mean(right):.3f}{spread} | {mean(shuffled):.3f}{beside} | "
            + (f"{mean(count):,.0f} |" if count in every else "|")
        )
    if lots:
        lines += ["", f"Shuffled: the mean of {CONTROLS} networks of {BRIEF} epochs, with its standard error."]
    lines += ["", f"Of what pages are judged by {mean('ceiling'):.1%} is among the candidates; no order can find more. "
              f"Arranging adds {mean('p95 ms'):.1f} ms to a request (95th percentile, one core)."]  # fmt: skip
    same = [r["facts"]["same things when stirred"] for r in own if "same things when stirred" in r["facts"]]
    if same:
        lines += ["", f"Stirred: the candidates in {STIRS} random orders, each with its own score; {np.mean(same):.0%} "
                  "of the page stay the same things."]  # fmt: skip
    if "rails|rule|gain" in every:
        lines += ["", "| shelves, people held out | what they find, discounted | pages with something in sight |"]
        lines += ["|---|---|---|"]
        lines += [
            f"| {name} | {mean(f'rails|{part}|gain'):.4f} | {mean(f'rails|{part}|seen'):.4f} |"
            for part, name in SHELVES.items()
        ]
        lines += ["", *(_more(r["facts"]["rails"]) for r in own)]
    return lines


def _rounds(own: Sequence[Mapping[str, Any]], ways: Sequence[str]) -> str:
    """How many rounds of reinforcement the people held out kept; where it is none, the way is the supervised one."""
    told = {}
    for way in ways:
        facts = [r["facts"] if way == FULL else r["facts"].get(way) for r in own]
        if all(f is not None and "chosen" in f for f in facts) and way not in (LISTWISE, UNREINFORCED):
            told[way] = ", ".join(str(f["chosen"]) for f in facts)
    said = "; ".join(f"{way} {rounds}" for way, rounds in told.items())
    return f"Rounds of reinforcement that were kept, seed by seed (0: it stays as it was supervised): {said}."


def _more(rails: Mapping[str, Any]) -> str:
    more = rails["more"]
    return (
        f"What the chosen shelves find beyond the fixed rule's: {more['mean']:+.4f} ({more['low']:+.4f} to "
        f"{more['high']:+.4f}, 95 % bootstrap over {rails['held_out']:,} pages)."
    )


def _curve(ways: Sequence[str], mean: Callable[[str], float], interval: Callable[[str], str]) -> list[str]:
    """The curve of order against variety: the policy at several pushes, and what is done to a listwise order
    afterwards, beside the policy's own line at the same distance."""
    if not ways:
        return []
    own = np.array(sorted((mean(f"{way}|ild"), mean(f"{way}|ndcg")) for way in ways if FULL in way))
    lines = ["", f"| order against variety | ndcg@{K} | more than the base, 95 % | intra-list distance | "
             "pagellm's line at that distance |", "|---|---|---|---|---|"]  # fmt: skip
    for way in ways:
        apart, ndcg = mean(f"{way}|ild"), mean(f"{way}|ndcg")
        inside = own[0, 0] <= apart <= own[-1, 0] and FULL not in way
        line = f"{np.interp(apart, own[:, 0], own[:, 1]):.4f}" if inside else ""
        more = interval(f"{way}|ndcg")
        lines.append(f"| {way.removeprefix(CURVE)} | {ndcg:.4f} | {more} | {apart:.4f} | {line} |")
    return lines
