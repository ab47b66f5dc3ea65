"""Benches of off-policy evaluation of whole pages: the slate trap, and the market, whose truth is known.

    slates   three places over ten items, logged uniformly; a policy that stacks what attracts, and its opposite
    market   pages of ten from the market's own log; candidates are the shop with other habits, and the truth is what
             the same people do with their pages at the same moments

In the slates world two attractive items on one page take from each other (a construction of our own, in the place of
the cascade-additive rewards of the Open Bandit Pipeline), so a belief in independent places gets the order wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import numpy as np
from scipy.special import expit

from interplay.benches import Bench, Entry
from interplay.evaluate.intervals import Interval, Terms, bootstrap, error
from interplay.evaluate.slates import (
    SLATE_ESTIMATORS,
    Chances,
    SlateLog,
    cascade_dr,
    cascade_model,
    design,
    pseudo_inverse,
    uniform_design,
)
from interplay.types import Array
from interplay.worlds.market import K, Log, Market, market
from interplay.worlds.people import DAY, Crowd, Visits
from interplay.worlds.shop import Shop

ITEMS, PLACES, LOGGED = 10, 3, 10_000
TAKES = {"independent": (0.0, 0.0), "cascade": (6.0, 0.0), "standard": (2.5, 1.25)}  # from above, from below
PEAKED = 0.7  # how sharply the two candidates prefer


# --------------------------------------------------------------------------------------------------------------------
# The slate trap


def stacked(log_odds: Array, slates: Array) -> tuple[Array, Array]:
    """Plackett-Luce over all items: the chance of each item given those above it, float64[m, k], and of every item
    there, float64[m, k, items]."""
    m, k = slates.shape
    steps, left = np.zeros((m, k, len(log_odds))), np.tile(np.exp(log_odds), (m, 1))
    for place in range(k):
        steps[:, place] = left / left.sum(axis=1, keepdims=True)
        left[np.arange(m), slates[:, place]] = 0.0
    return np.take_along_axis(steps, slates[:, :, None], axis=2)[:, :, 0], steps


def clicks(belief: str, attraction: Array, slates: Array) -> Array:
    """float64[m, k]: the chance of a click at each place; the attractive take from each other as `belief` has it."""
    above, below = TAKES[belief]
    own = attraction[slates]
    strong = np.maximum(own, 0)
    over = np.cumsum(strong, axis=1) - strong
    under = strong.sum(axis=1, keepdims=True) - over - strong
    return expit(own + 0.3 - strong * (above * over + below * under))


def trap(belief: str, name: str, *, seed: int, resamples: int = 2000) -> dict[str, float]:
    """One estimator for both candidates from one uniform log, beside their true values."""
    attraction = np.linspace(-1.2, 1.2, ITEMS)
    every = np.array(list(permutations(range(ITEMS), PLACES)))
    chance = clicks(belief, attraction, every)
    rng = np.random.default_rng(seed)
    at = rng.integers(0, len(every), LOGGED)
    items = every[at]
    reward = (rng.random(items.shape) < chance[at]).astype(float)
    left = 1 / (ITEMS - np.arange(PLACES))
    step = np.broadcast_to(left, items.shape)
    logged = Chances(slate=np.full(LOGGED, left.prod()), prefix=np.cumprod(step, axis=1),
                     item=np.full(items.shape, 1 / ITEMS))  # fmt: skip
    out: dict[str, float] = {}
    for said, sign in (("stacking", 1.0), ("spreading", -1.0)):
        whole = stacked(sign * PEAKED * attraction, every)[0].prod(axis=1)
        marginal = design(every, whole, ITEMS)[1].reshape(PLACES, ITEMS)
        own, steps = stacked(sign * PEAKED * attraction, items)
        prefix = np.cumprod(own, axis=1)
        candidate = Chances(slate=prefix[:, -1], prefix=prefix, item=marginal[np.arange(PLACES), items])
        log = SlateLog(reward=reward, logged=logged, candidate=candidate, items=items)
        terms, interval = told(name, log, steps, marginal, seed=seed, resamples=resamples)
        out |= {said: terms.value, f"{said}_low": interval.low, f"{said}_high": interval.high}
        out[f"{said}_truth"] = float(whole @ chance.sum(axis=1))
    out["right_order"] = float((out["stacking"] > out["spreading"]) == (out["stacking_truth"] > out["spreading_truth"]))
    return out


def told(
    name: str, log: SlateLog, steps: Array, marginal: Array, *, seed: int, resamples: int
) -> tuple[Terms, Interval]:
    """One estimate with its bootstrap interval."""
    if name == "cascade-dr":
        terms = cascade_dr(log, *cascade_model(log, steps, seed=seed))
    elif name == "pi":
        terms = pseudo_inverse(log, uniform_design(ITEMS, PLACES), marginal.ravel())
    else:
        terms = SLATE_ESTIMATORS[name](log)
    return terms, bootstrap(terms, resamples=resamples, seed=seed)


def _trapped(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    return {
        "metrics": trap(entry.settings["belief"], entry.system, seed=seed),
        "protocol": {
            "judged": f"Clicks per slate of {PLACES} places over {ITEMS} items, from {LOGGED:,} slates logged uniformly"
            " without repeats, with bootstrap intervals of 95 %; `truth` is by enumeration. `stacking` puts what "
            "attracts most first, `spreading` last",
        },
        "facts": {"belief": entry.settings["belief"]},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The market


class Other(Shop):
    """The shop with other habits, over the same counts: a share of every page is drawn from one part of its mixture."""

    share: float
    part: int

    @staticmethod
    def of(shop: Shop, share: float, part: int) -> Other:
        """It sees what `shop` has counted, now and later."""
        out = Other.__new__(Other)
        out.__dict__ = shop.__dict__ | {"share": share, "part": part}
        return out

    def _mix(self, visits: Visits) -> tuple[Array, Array]:
        mix, shares = super()._mix(visits)
        has = mix[:, self.part] > 0
        moved = (1 - self.share) * mix
        moved[:, self.part] += self.share
        return np.where(has[:, None], moved, mix), shares


HABITS = {"taste": 1, "facet": 2, "random": 4}  # part of the shop's mixture that a candidate leans to


def walked(
    share: float, part: int, *, seed: int = 0, n_items: int = 5000, n_people: int = 2000, days: int = 30,
    truths: int = 3,
) -> tuple[SlateLog, Array]:  # fmt: skip
    """The feeds of a market, as its shop filled them, with the candidate's chances of the very same pages; and
    float64[truths, n]: what each person did with a page of the candidate's at the same moment, in other draws."""
    made: Market = market(seed=seed, n_items=n_items, n_people=n_people, days=1)
    wares, facets = made.dataset.catalogue, made.facets
    assert wares is not None
    crowd, shop, log = Crowd(made.truth, facets, seed, per_row=5), Shop(wares, facets, n_people, seed), Log(wares)
    rows: list[dict[str, Array]] = []
    first = int(wares["added"].max())  # type: ignore[arg-type]
    for day in range(days):
        shop.open(first + day * DAY)
        other = Other.of(shop, share, part)
        visits = crowd.come(day, first + day * DAY, log.sessions)
        log.sessions += len(visits)
        while len(visits):
            page, apart = shop.page(visits, K), other.page(visits, K)
            alike = other.chances(visits, page.items)
            above = np.cumsum(alike, axis=1) - alike
            did = [_tried(crowd, seed + 1000 * (t + 1), visits, apart.items) for t in range(truths)]
            response = crowd.look(visits, page.items)
            feed = visits.target < 0
            rows.append({
                "reward": response.clicked[feed].astype(float), "logged": page.propensity[feed],
                "step": (alike / np.maximum(1 - above, 1e-12))[feed], "items": page.items[feed],
                "who": visits.user[feed], "truth": np.array(did).T[feed],
            })  # fmt: skip
            row, place = np.nonzero(response.clicked)
            shop.count(visits.user[row], page.items[row, place])
            visits = crowd.go_on(visits, page.items, response)
    joined = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
    logged, candidate = Chances.stepwise(joined["logged"]), Chances.stepwise(joined["step"])
    # The chance of an item at its place is known given those above it; iips takes that in the place of the marginal.
    logged, candidate = (
        Chances(slate=c.slate, prefix=c.prefix, item=joined[name])
        for c, name in ((logged, "logged"), (candidate, "step"))
    )
    log_of = SlateLog(
        reward=joined["reward"], logged=logged, candidate=candidate, items=joined["items"], who=joined["who"]
    )
    return log_of, joined["truth"].T


def _tried(crowd: Crowd, seed: int, visits: Visits, items: Array) -> Array:
    """float64[n]: clicks on a page that is shown to a copy of these people, who then forget it."""
    again = copy.copy(crowd)
    again.seed = seed
    for memory in ("shown", "looked", "bought"):
        setattr(again, memory, getattr(crowd, memory).copy())
    return again.look(visits, items).clicked.sum(axis=1).astype(float)


def _walked(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    habit, share = entry.settings["habit"], entry.settings["share"]
    log, truths = walked(share, HABITS[habit], seed=seed)
    terms = SLATE_ESTIMATORS[entry.system](log)
    own, plain = Terms.mean(truths.mean(axis=0)), Terms.mean(log.reward.sum(axis=1))
    interval, truth = bootstrap(terms, log.who), own.value
    weight = log.weight("item" if entry.system.endswith("iips") else "prefix")
    effective = weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0)
    return {
        "metrics": {
            "estimate": terms.value, "low": interval.low, "high": interval.high, "truth": truth,
            "error": abs(terms.value - truth) / truth, "noise": error(own, log.who) / truth, "logged": plain.value,
            "effective_first": effective[0], "effective_last": effective[-1],
        },
        "protocol": {
            "judged": f"Clicks per page of {K} of the market's feed, {len(log.reward):,} pages that 2,000 people saw "
            "in 30 days; `truth` is what the same people do with the candidate's pages at the same moments (3 draws), "
            "`noise` its standard error. The log's chances are those given the items above; `iips` takes them in the "
            "place of marginal ones",
        },
        "facts": {"habit": habit, "share": share},
    }  # fmt: skip


SLATE_BENCHES: Mapping[str, Callable[[Bench, Entry, int], dict[str, Any]]] = {
    "offpolicy-slates": _trapped, "offpolicy-market": _walked,
}  # fmt: skip
