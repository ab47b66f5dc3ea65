"""What a log says of long-term policies before they serve: normalised capped importance sampling beside the truth.

After the log that everything is learnt from, the old policy of a world of pairs serves two weeks more, and the chance
with which it showed each maker is known. A policy is asked at every one of those moments what it would have shown, and
the outcomes of what both show are weighted by one over that chance (places do not matter in this world, so a maker's
chance to be on the page at all is the right one). Beside the estimate stand two truths: `once`, what its pages would
have brought at those very moments, which is what the estimate is about; and `served`, what they bring when the policy
itself serves those two weeks, which is what one would like to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interplay.benches import Bench, Entry
from interplay.data.pairs import PairStates
from interplay.evaluate.estimators import Rounds, estimator, tuned
from interplay.evaluate.intervals import bootstrap
from interplay.ops.racing import inclusion
from interplay.protocols.lasting import LOG, Beginning, beginning, policy_of
from interplay.types import Array, Events, Requests
from interplay.worlds.pairlaws import KINDS
from interplay.worlds.pairs import PairWorld, first_of

DAYS = 14  # judged, after the log that is learnt from
LUCKS = 10  # times that a page's outcomes are drawn for `once`
OUTCOMES = ("click", "gift")  # share of showings clicked; log(1 + amount) of gifts per 1,000 showings
OLD = "old policy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """Every showing of the judged days: what came of it, and how likely both policies were to show it."""

    who: Array  # int64[n]
    outcome: Array  # float64[n, outcomes]
    logged: Array  # float64[n]
    chance: Array  # float64[n]: by the judged policy; 0 or 1 unless it is the old one
    once: Array  # float64[outcomes]
    paths: int  # people who would have been shown the same pages throughout


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One policy: estimates, their effective size, and both truths."""
    settings = dict(entry.settings)
    begun = beginning(settings.pop("shape", "usual"), seed)
    old = entry.system == OLD
    score = None if old else policy_of(entry, settings, begun, seed).score
    told = seen_by(begun, score)
    earned = np.sum([totals(events) for *_, events in days(begun, score, serves=True)], axis=0)
    served = earned[1:] / earned[0]
    weight = told.chance / told.logged
    figures: dict[str, float] = {
        "effective": float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12)), "paths": float(told.paths),
        "largest": float(weight.max()),
    }  # fmt: skip
    for o, name in enumerate(OUTCOMES):
        rounds = Rounds(reward=told.outcome[:, o], weight=weight, modelled=0 * weight, expected=0 * weight)
        limit = tuned("ncis", rounds, who=told.who)
        terms = estimator("ncis").terms(rounds, limit)
        low, high = bootstrap(terms, told.who, seed=seed)
        figures |= {
            name: terms.value, f"{name}_low": low, f"{name}_high": high, f"{name}_limit": min(limit, 1e9),
            f"{name}_once": float(told.once[o]), f"{name}_served": float(served[o]),
        }  # fmt: skip
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"Policies learn from {LOG} days of the old policy; {len(told.who):,} showings of the {DAYS} "
                      "days after it, in which it goes on, are what they are judged by",
            "measures": "`ncis` is normalised capped importance sampling by showing, its cap chosen by SLOPE, with a "
                        "bootstrap interval over people; `effective` is what the log is worth for this policy, in "
                        "showings; `once` is the truth that is estimated: outcomes of its pages at the logged moments; "
                        "`served` is the truth when it serves those days itself; `paths` counts people whose whole "
                        "days would have been the same, which is all that weights over whole paths could use",
        },
        "facts": {"showings": len(told.who), "people": len(np.unique(told.who))},
    }  # fmt: skip


def days(
    begun: Beginning, score: Callable[..., Array] | None, *, serves: bool
) -> Iterator[tuple[PairWorld, Requests, Array, Array, Events]]:
    """(world before it, request, old policy's page, judged policy's page, events) of each moment of the judged days."""
    world, states = begun.world.copy().longer(LOG + DAYS), begun.model.states
    while (requests := world.requests()) is not None:
        before, own = world.copy(), world.old_policy(requests).items
        other = own if score is None else _page(begun, score, requests, states)
        events = world.show(other if serves else own)
        states = states.update(begun.model.interactions(events))
        yield before, requests, own, other, events


def _page(begun: Beginning, score: Callable[..., Array], requests: Requests, states: PairStates) -> Array:
    at = requests.context["candidates"].astype(np.int64)
    n, m = at.shape
    assert requests.at is not None
    x = states.features(np.repeat(requests.user, m), at.ravel(), np.repeat(requests.at, m))
    base = begun.model.chances(x)[:, 0].reshape(n, m)
    return first_of(at, score(x, base, requests, states), requests.k).items


def seen_by(begun: Beginning, score: Callable[..., Array] | None) -> Seen:
    """The old policy's days as another policy sees them; None is the old one itself."""
    who, outcome, logged, chance, sums = [], [], [], [], np.zeros(1 + len(OUTCOMES))
    differs = np.zeros(begun.world.config.people, bool)
    for before, requests, own, other, events in days(begun, score, serves=False):
        at, row, shown = requests.context["candidates"].astype(np.int64), np.nonzero(own >= 0)[0], own[own >= 0]
        user = requests.user[row].astype(np.int64)
        drawn = inclusion(before.old_scores(requests), requests.k)
        likely = drawn[row, (at[row] == shown[:, None]).argmax(axis=1)]
        both = (other[row] == shown[:, None]).any(axis=1)
        who.append(user)
        logged.append(likely)
        chance.append(likely if score is None else both.astype(float))
        outcome.append(_by_showing(events, user, shown))
        np.logical_or.at(differs, user, ~both)
        for luck in range(1, LUCKS + 1):
            again = before.copy()
            again.run = before.run + 1_000_003 * luck
            sums += totals(again.show(other))
    came = np.unique(np.concatenate(who))
    return Seen(
        who=np.concatenate(who), outcome=np.concatenate(outcome), logged=np.concatenate(logged),
        chance=np.concatenate(chance), once=sums[1:] / sums[0], paths=int((~differs[came]).sum()),
    )  # fmt: skip


def _amounts(events: Events) -> tuple[Array, Array]:
    """(which outcome of OUTCOMES each event is, -1 for none; how much it counts)."""
    assert events.kind is not None and events.value is not None
    which = np.full(len(KINDS), -1)
    which[[KINDS.index(name) for name in OUTCOMES]] = np.arange(len(OUTCOMES))
    kind = which[events.kind]
    return kind, np.where(kind == OUTCOMES.index("gift"), 1000 * np.log1p(events.value), 1.0)


def totals(events: Events) -> Array:
    """float64[1 + outcomes]: showings, and each outcome's sum."""
    kind, amount = _amounts(events)
    shows = float((np.asarray(events.kind) == KINDS.index("show")).sum())
    return np.array([shows, *(amount[kind == o].sum() for o in range(len(OUTCOMES)))])


def _by_showing(events: Events, user: Array, maker: Array) -> Array:
    """float64[n, outcomes]: what came of each showing of one moment."""
    kind, amount = _amounts(events)
    out, key = np.zeros((len(user), len(OUTCOMES))), user * (1 << 32) + maker
    order = np.argsort(key)
    at = order[np.searchsorted(key[order], events.user.astype(np.int64) * (1 << 32) + events.item)]
    np.add.at(out, (at[kind >= 0], kind[kind >= 0]), amount[kind >= 0])
    return out


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Estimates with what they are worth, and both truths beside them; the first seed that is recorded."""
    newest = list(held.values())[-1]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]
    head = ["row", "effective", "paths"]
    for name in ("clicks", "gifts"):
        head += [f"{name}: ncis", "once", "served"]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for entry in page.entries:
        own = next((held[entry.label, s]["metrics"] for s in entry.seeds if (entry.label, s) in held), None)
        if own:
            cells = [f"{own['effective']:,.0f}", f"{own['paths']:.0f}"]
            for o, digits in zip(OUTCOMES, (3, 1), strict=True):
                low, high = own[f"{o}_low"], own[f"{o}_high"]
                cells.append(f"{own[o]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
                cells += [f"{own[f'{o}_once']:.{digits}f}", f"{own[f'{o}_served']:.{digits}f}"]
            lines.append("| " + " | ".join([entry.shown, *cells]) + " |")
    return "\n".join([*lines, "", page.note] if page.note else lines)
