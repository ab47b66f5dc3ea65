"""The bench of long-term worth: policies that go on where a log ends, in a world of pairs whose people are the same.

Every row learns from the same log of 30 days of an old policy, and then serves the same people for 30 days more; draws
are keyed, so rows differ by what they show alone. All rows choose from the same makers at hand, know the same features
(data/pairs.py) and the same base, the chance of a click.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.errors import unknown
from interplay.learn.critics import Moves
from interplay.models.longterm import LongTerm, LongTermConfig
from interplay.protocols.tables import difference, metric, values
from interplay.types import Array, Events, Requests, Run
from interplay.worlds.pairlaws import KINDS, START, PairWorldConfig
from interplay.worlds.pairs import PairWorld, first_of

LOG, SERVED = 30, 30  # days of the log, and days served
PEOPLE, MAKERS = 600, 200
FADE = 0.99  # a day, in `worth`


@dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """A log, what can be learnt from it, and the world as it stands at its end."""

    world: PairWorld
    log: Interactions
    moves: Moves
    model: LongTerm  # the base: learnt on what happens at once; its store stands at the log's end


@lru_cache(maxsize=1)
def beginning(shape: str, seed: int) -> Beginning:
    """The log of one seed; the same for every row."""
    world = PairWorld(PairWorldConfig(people=PEOPLE, makers=MAKERS, days=LOG, shape=shape), seed=seed)
    data = world.logged(LOG)
    model = LongTerm(LongTermConfig(target="reward", conservative=0.0))
    met = model.read(data)
    moves = model.prepared(met, data.n_users, seed=seed)
    model.learn(moves, run=Run(seed=seed))
    return Beginning(world=world, log=met, moves=moves, model=model)


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One row of the bench: 30 days served in one world."""
    settings = dict(entry.settings)
    begun = beginning(settings.pop("shape", "usual"), seed)
    policy = policy_of(entry, settings, begun, seed)
    figures, facts = served(begun, policy.score)
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{PEOPLE} people and {MAKERS} makers; every row learns from the same {LOG} days of an old "
                      f"policy and serves the {SERVED} days that follow; a seed is another world",
            "measures": f"`worth` sums log(1 + amount) of gifts, discounted by {FADE} a day; `median` is a gift's; "
                        "`retained` are pairs with a click in the last two weeks of the log and one in the last ten "
                        "days served; `gini` is of showings over makers, `new` the share of late makers in them",
        },
        "facts": {**facts, **policy.facts},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Policies


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A way of scoring the makers at hand: (features of all pairs, base, requests, store) -> float[n, m]."""

    score: Callable[[Array, Array, Requests, PairStates], Array]
    facts: Mapping[str, Any]


def policy_of(entry: Entry, settings: Mapping[str, Any], begun: Beginning, seed: int) -> Served:
    """A floor by its name, or a model learnt from the log."""
    if entry.system in FLOORS:
        return Served(score=FLOORS[entry.system](begun), facts={})
    if entry.system != "rliv-ua":
        raise unknown("row of the bench of long-term worth", entry.system, [*FLOORS, "rliv-ua"])
    model = LongTerm(configured(LongTermConfig, settings)).share(begun.model)
    model.learn(begun.moves, run=Run(seed=seed))

    def score(x: Array, base: Array, requests: Requests, states: PairStates) -> Array:
        return model.lifted(base, model.worth_of(x).reshape(base.shape))

    facts = {k: v for k, v in model.fitted.items() if k not in ("losses", "judged")}
    return Served(score=score, facts=facts)


def _random(begun: Beginning) -> Callable[..., Array]:
    def score(x: Array, base: Array, requests: Requests, states: PairStates) -> Array:
        assert requests.draw is not None
        return np.stack([np.random.default_rng(int(d)).random(base.shape[1]) for d in requests.draw])

    return score


def _popularity(begun: Beginning) -> Callable[..., Array]:
    def score(x: Array, base: Array, requests: Requests, states: PairStates) -> Array:
        at = np.maximum(requests.context["candidates"], 0)
        return np.where(at < len(states.maker), states.maker[np.minimum(at, len(states.maker) - 1), 1], 0.0)

    return score


def _clicks(begun: Beginning) -> Callable[..., Array]:
    return lambda x, base, requests, states: base


def _myopic(begun: Beginning) -> Callable[..., Array]:
    return lambda x, base, requests, states: begun.model.worth_of(x).reshape(base.shape)


FLOORS: Mapping[str, Callable[[Beginning], Callable[..., Array]]] = {
    "random": _random, "popularity": _popularity, "ctr-greedy": _clicks, "myopic": _myopic,
}  # fmt: skip


def served(begun: Beginning, score: Callable[..., Array]) -> tuple[dict[str, float], dict[str, Any]]:
    """What comes of serving the days after the log by a score."""
    world, base_of = begun.world.copy().longer(LOG + SERVED), begun.model
    states, parts = base_of.states, []
    while (requests := world.requests()) is not None:
        at = requests.context["candidates"].astype(np.int64)
        n, m = at.shape
        assert requests.at is not None
        x = states.features(np.repeat(requests.user, m), at.ravel(), np.repeat(requests.at, m))
        base = base_of.chances(x)[:, 0].reshape(n, m)
        events = world.show(first_of(at, score(x, base, requests, states), requests.k).items)
        states = states.update(base_of.interactions(events))
        parts.append(events)
    return measured(begun, parts), {"left": int(world.left.sum()), "pairs": len(states)}


def measured(begun: Beginning, parts: list[Events]) -> dict[str, float]:
    """The figures of the days served."""
    user, item, time, kind, value = (
        np.concatenate([getattr(p, n) for p in parts]) for n in ("user", "item", "time", "kind", "value")
    )
    of = {name: kind == k for k, name in enumerate(KINDS)}
    day = (time - START) / DAY - LOG
    shown = np.sort(np.bincount(item[of["show"]], minlength=MAKERS)).astype(float)
    late = (begun.world.joins > LOG - 14)[item[of["show"]]]
    key = user.astype(np.int64) * MAKERS + item
    recent = (begun.log.time >= START + (LOG - 14) * DAY) & (begun.log.outcome[:, 0] > 0)
    before = np.unique(begun.log.user[recent] * MAKERS + begun.log.maker[recent])
    after = np.unique(key[of["click"] & (day >= SERVED - 10)])
    rank = np.arange(1, MAKERS + 1)
    return {
        "clicks": float(of["click"].sum()), "follows": float(of["follow"].sum()), "gifts": float(of["gift"].sum()),
        "worth": float((FADE ** day[of["gift"]] * np.log1p(value[of["gift"]])).sum()),
        "median": float(np.median(value[of["gift"]])) if of["gift"].any() else 0.0,
        "retained": float(np.isin(before, after).sum()),
        "gini": float(2 * (rank * shown).sum() / (MAKERS * shown.sum()) - (MAKERS + 1) / MAKERS),
        "new": float(late.mean()),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The table: paired by seed


AGAINST = "ctr-greedy"
PAIRED = ("clicks", "worth")
METHOD, OTHER = "rliv-ua", ", other laws"


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Means over seeds, and differences seed by seed with intervals of 95 %: of every row from choosing by clicks
    alone, and of the method from every row."""
    newest = list(held.values())[-1]
    seeds = sorted({seed for _, seed in held})
    head = ["row", *page.metrics, *(f"{m} against `{AGAINST}`" for m in PAIRED), "seeds"]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    for group in page.columns():
        rows = [e for e in page.entries if e.column == group]
        if group and any((e.label, s) in held for e in rows for s in seeds):
            lines.append(f"| **{group}** |" + " |" * (len(head) - 1))
        floor = next((e.label for e in rows if e.system == AGAINST), "")
        for entry in rows:
            own = {s: held[entry.label, s]["metrics"] for s in seeds if (entry.label, s) in held}
            if own:
                means = [float(np.mean([r[m] for r in own.values()])) for m in page.metrics]
                told = [f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}" for mean in means]
                told += [_against(held, entry.label, floor, m) if entry.label != floor else "" for m in PAIRED]
                lines.append("| " + " | ".join([entry.shown, *told, str(len(own))]) + " |")
    lines += ["", *([page.note, ""] if page.note else []), *_method(page, held)]
    return "\n".join(lines)


def _method(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[str]:
    """What the method has more than each other row, under the laws of its choosing and under others."""
    head = [f"`{METHOD}` against", *PAIRED, *(f"{m}{OTHER}" for m in PAIRED)]
    lines = [
        "The same seeds, relative to the other row, with Student's interval at 95 % over the seeds:", "",
        "| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|",
    ]  # fmt: skip
    for entry in page.entries:
        if entry.label != METHOD and not entry.label.endswith(OTHER):
            told = [_against(held, METHOD + laws, entry.label + laws, m) for laws in ("", OTHER) for m in PAIRED]
            lines.append("| " + " | ".join([f"`{entry.label}`", *told]) + " |")
    return lines


def _against(held: Mapping[tuple[str, int], Mapping[str, Any]], own: str, other: str, name: str) -> str:
    """The relative difference of paired seeds, in per cent, with its interval."""
    mine, theirs = (values(held, label, metric(name)) for label in (own, other))
    told = difference(
        {s: 100 * (v / theirs[s] - 1) for s, v in mine.items() if s in theirs}, dict.fromkeys(theirs, 0.0)
    )
    if told is None:
        return ""
    return f"{told.mean:+.1f} % ({told.mean - told.half:+.1f} to {told.mean + told.half:+.1f})"
