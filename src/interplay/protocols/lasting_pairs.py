"""Two studies of long-term worth: what adjacent states cost in truth, and how well real pairs are foretold.

`longterm-bias` knows the truth: the old policy of a world of pairs goes on after the log, so that every interaction's
discounted sum of what followed is known, and critics learnt from the log by each approximation are held against it.

`longterm-pairs` is about prediction alone, on real purchases: from a pair's past at a day, the discounted number of its
events in the half year that follows. Nothing about a policy follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.data.read import load
from interplay.errors import extra, unknown
from interplay.learn.critics import Moves
from interplay.models.longterm import LongTerm, LongTermConfig, vectors_of
from interplay.ops.returning import returning
from interplay.protocols.lasting import LOG, beginning
from interplay.protocols.tables import Held, above, figure, grid, metric, seconds, seeds, spread, values
from interplay.types import Array, Run

AFTER = 45  # days that the old policy goes on, so that hardly anything is left out of a sum


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One row of either study."""
    known = {"longterm-bias": _biased, "longterm-pairs": _foretold}
    if page.name not in known:
        raise unknown("study of long-term worth", page.name, known)
    return known[page.name](page, entry, seed)


def ranks_alike(first: Array, second: Array) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


# --------------------------------------------------------------------------------------------------------------------
# The bias of adjacent states


def _biased(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """Critics of one approximation against the discounted sums that followed."""
    begun = beginning("usual", seed)
    config = configured(LongTermConfig, entry.settings)
    model = LongTerm(config).share(begun.model).learn(begun.moves, run=Run(seed=seed))
    truth = _sums(begun, config)
    said = model.critics(begun.moves.x)
    newest = begun.moves.time > begun.moves.end - 7 * DAY
    weights = np.asarray(config.weights)
    figures = {"delay": model.fitted["delay_days"], "used": model.fitted["used"], "censored": model.fitted["censored"]}
    all_of = [(task, said[:, t], truth[:, t]) for t, task in enumerate(config.tasks)]
    for name, own, true in (*all_of, ("all", said @ weights, truth @ weights)):
        figures |= {
            f"bias_{name}": float(own.mean() / true.mean() - 1),
            f"newest_{name}": float(own[newest].mean() / true[newest].mean() - 1),
            f"rank_{name}": ranks_alike(own, true),
        }
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"Critics learnt from {LOG} days of the old policy, against the discounted sums that truly "
                      f"followed while it went on for {AFTER} days more",
            "measures": "`bias` is the mean said over the mean true, less 1, `newest` the same for the log's last "
                        "week; `rank` is Spearman's correlation over interactions; `delay` is how many days a sample "
                        "waits for its target; `used` is the share of interactions that have one",
        },
        "facts": {"interactions": len(begun.moves), "largest": model.fitted["largest"]},
    }  # fmt: skip


def _sums(begun: Any, config: LongTermConfig) -> Array:
    """float32[n, tasks]: what truly followed each interaction of the log, itself included."""
    world = begun.world.copy().longer(LOG + AFTER)
    parts = [begun.log.take(np.flatnonzero(begun.log.time >= begun.moves.time[0]))]
    while (requests := world.requests()) is not None:
        parts.append(begun.model.interactions(world.show(world.old_policy(requests).items)))
    whole = Interactions(**{
        n: np.concatenate([getattr(p, n) for p in parts]) for n in ("user", "maker", "time", "outcome")
    })  # fmt: skip
    return sums_of(whole, config.discount, config.window)[: len(begun.moves)]


def sums_of(met: Interactions, discount: float, window: float) -> Array:
    """float32[n, tasks]: each interaction's outcomes and those of its pair after it, discounted, until `window` days
    pass without one."""
    order = np.lexsort((met.time, met.key))
    key, time, total = met.key[order], met.time[order], met.outcome[order].astype(np.float64)
    days = np.diff(time) / DAY
    linked = (np.diff(key) == 0) & (days <= window)
    for i in np.flatnonzero(linked)[::-1]:
        total[i] += discount ** days[i] * total[i + 1]
    out = np.empty_like(total)
    out[order] = total
    return out.astype(np.float32)


# --------------------------------------------------------------------------------------------------------------------
# Real pairs


@dataclass(frozen=True, kw_only=True)
class Foretelling:
    """How pairs are foretold."""

    ahead: int = 180  # days
    every: int = 30  # days between the moments that a critic learns from
    discount: float = 0.99  # a day
    excluded: tuple[str, ...] = ("Generic",)  # makers that are none


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Interactions of real pairs, and two days: one whose future may be learnt from, one that is judged."""

    met: Interactions
    learnt: int  # microseconds
    judged: int
    n_users: int
    n_makers: int
    plan: Foretelling


def scene(data: str, plan: Foretelling) -> Scene:
    """The buyers and brands of a data set; what has no known brand is left out."""
    dataset = load(data)
    assert dataset.catalogue is not None
    frame = dataset.catalogue.with_columns(author_id=dataset.catalogue["brand"])
    author = frame["author_id"].to_list()
    frame = frame.with_columns(author_id=np.array([None if a in plan.excluded else a for a in author], object))
    model = LongTerm(LongTermConfig(tasks=("buy",), weights=(1.0,), amounts=()))
    met = model.read(replace(dataset, catalogue=frame))
    end = int(met.time.max())
    return Scene(
        met=met, judged=end - plan.ahead * DAY, learnt=end - 2 * plan.ahead * DAY, n_users=dataset.n_users,
        n_makers=int(model.whose.max()) + 1, plan=plan,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """Every pair that has met by a day."""

    user: Array
    maker: Array
    count: Array  # events so far
    last: Array  # days from its first event to its last
    age: Array  # days from its first event to now
    future: Array  # discounted events in what follows
    x: Array  # features


def cut(s: Scene, at: int, vectors: Array) -> Cut:
    """The pairs as they stand at a moment, and what followed."""
    past = s.met.take(np.flatnonzero(s.met.time <= at))
    key, row = np.unique(past.key, return_inverse=True)
    first, last = np.full(len(key), np.iinfo(np.int64).max), np.zeros(len(key), np.int64)
    np.minimum.at(first, row, past.time)
    np.maximum.at(last, row, past.time)
    coming = s.met.take(np.flatnonzero((s.met.time > at) & (s.met.time <= at + s.plan.ahead * DAY)))
    spot = np.minimum(np.searchsorted(key, coming.key), len(key) - 1)
    there = key[spot] == coming.key
    worth = s.plan.discount ** ((coming.time[there] - at) / DAY)
    user, maker = key >> 32, key & ((1 << 32) - 1)
    states = PairStates.empty(vectors, 1, s.n_users).update(past)
    return Cut(
        user=user, maker=maker, count=np.bincount(row), last=(last - first) / DAY, age=(at - first) / DAY,
        future=np.bincount(spot[there], worth, len(key)), x=states.features(user, maker, at),
    )  # fmt: skip


def _counted(s: Scene, old: Cut, now: Cut, vectors: Array, seed: int, settings: Mapping[str, Any]) -> Array:
    """In proportion to how often the pair met so far; the factor is that of the earlier day."""
    return now.count * old.future.sum() / old.count.sum()


def _died(s: Scene, old: Cut, now: Cut, vectors: Array, seed: int, settings: Mapping[str, Any]) -> Array:
    """BG/NBD of times alone, month by month."""
    crowd = returning(now.count - 1, now.last, now.age)
    edges = np.arange(0, s.plan.ahead + 1, 30)
    until = np.array([crowd.expected(now.count - 1, now.last, now.age, float(t)) if t else 0 * now.age for t in edges])
    return (np.diff(until, axis=0) * (s.plan.discount ** (edges[1:] - 15.0))[:, None]).sum(axis=0)


def _boosted(s: Scene, old: Cut, now: Cut, vectors: Array, seed: int, settings: Mapping[str, Any]) -> Array:
    """Boosted trees over the same features and times, for the expected number (Poisson), from four days of the past."""
    try:
        import lightgbm
    except ImportError as missing:
        raise extra("lightgbm", "trees") from missing

    def columns(c: Cut) -> Array:
        return np.column_stack([c.x, c.count, c.last, c.age, c.age - c.last])

    options = {
        "objective": "poisson", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100, "verbose": -1,
        "seed": seed, "num_threads": 1, "deterministic": True,
    }  # fmt: skip
    days = [old, *(cut(s, s.learnt - ago * DAY, vectors) for ago in (60, 120, 180))]
    x, y = np.concatenate([columns(c) for c in days]), np.concatenate([c.future for c in days])
    held = np.random.default_rng([seed, 41]).random(s.n_users)[np.concatenate([c.user for c in days])] < 0.2
    train, valid = lightgbm.Dataset(x[~held], y[~held]), lightgbm.Dataset(x[held], y[held])
    trees = lightgbm.train(
        options, train, 400, valid_sets=[valid], callbacks=[lightgbm.early_stopping(30, verbose=False)]
    )
    return np.asarray(trees.predict(columns(now)))


def _valued(s: Scene, old: Cut, now: Cut, vectors: Array, seed: int, settings: Mapping[str, Any]) -> Array:
    """Our critic: pairs as they stand month by month, what a month brought, and the critic of the month after."""
    own = {
        "tasks": ("buy",), "weights": (1.0,), "amounts": (), "discount": s.plan.discount, "conservative": 0.0,
        "window": float(s.plan.ahead), "soft": 0.02, "descent": {"batch": 2048, "epochs": 2},
    }  # fmt: skip
    config = configured(LongTermConfig, own, settings)
    model = LongTerm(config).learn(monthly(s, vectors, target=config.target), run=Run(seed=seed))
    return np.maximum(model.critics(now.x)[:, 0], 0.0)


def monthly(s: Scene, vectors: Array, *, target: str) -> Moves:
    """Every pair at every month from its first event until the day that is judged; a step is a month."""
    begin, step = s.learnt - s.plan.ahead * DAY, s.plan.every * DAY
    moments = np.arange(s.judged, begin, -step)[::-1]
    store = PairStates.empty(vectors, 1, s.n_users).update(s.met.take(np.flatnonzero(s.met.time <= moments[0])))
    x, reward, time, key = [], [], [], []
    for at, following in pairwise(moments):
        user, maker = store.key >> 32, store.key & ((1 << 32) - 1)
        x.append(store.features(user, maker, at))
        coming = s.met.take(np.flatnonzero((s.met.time > at) & (s.met.time <= following)))
        spot = np.minimum(np.searchsorted(store.key, coming.key), len(store) - 1)
        there = store.key[spot] == coming.key
        worth = s.plan.discount ** ((coming.time[there] - at) / DAY)
        reward.append(np.bincount(spot[there], worth, len(store)))
        time.append(np.full(len(store), at))
        key.append(store.key)
        store = store.update(coming)
    whole = Interactions(
        user=np.concatenate(key) >> 32, maker=np.concatenate(key) & ((1 << 32) - 1), time=np.concatenate(time),
        outcome=np.concatenate(reward).astype(np.float32)[:, None],
    )  # fmt: skip
    order = np.lexsort((whole.time, whole.key))
    after = np.full(len(order), -1, np.int64)
    same = np.flatnonzero(np.diff(whole.key[order]) == 0)
    after[order[same]] = order[same + 1]
    n, features = len(order), np.concatenate(x)
    return Moves(
        x=features, reward=whole.outcome, other=features[:, None, :], time=whole.time, end=s.judged,
        window=float(s.plan.ahead), after=after, wait=np.full(n, s.plan.every, np.float32), censored=after < 0,
        soon=features, delay=np.full(n, np.nan, np.float32), post=features, again=np.zeros(n, np.float32),
        page=np.zeros(n, np.int64), later=np.full(1, -1), first=np.zeros((1, 1), np.int64),
    )  # fmt: skip


FORETELLERS: Mapping[str, Callable[[Scene, Cut, Cut, Array, int, Mapping[str, Any]], Array]] = {
    "last-count": _counted, "bg-nbd": _died, "boosting": _boosted, "rliv-ua": _valued,
}  # fmt: skip


@lru_cache(maxsize=1)
def _scene_of(data: str) -> tuple[Scene, Array, Cut, Cut]:
    s = scene(data, Foretelling())
    early = s.met.take(np.flatnonzero(s.met.time <= s.learnt))
    vectors = vectors_of(early, s.n_users, s.n_makers, LongTermConfig.dim)
    return s, vectors, cut(s, s.learnt, vectors), cut(s, s.judged, vectors)


def _foretold(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """What one way of foretelling says of every pair, against what came."""
    if entry.system not in FORETELLERS:
        raise unknown("way of foretelling", entry.system, FORETELLERS)
    s, vectors, old, now = _scene_of(page.data)
    said = FORETELLERS[entry.system](s, old, now, vectors, seed, entry.settings)
    figures = foretold(said, now)
    if entry.system != page.baseline:
        other = FORETELLERS[page.baseline](s, old, now, vectors, seed, {})
        figures |= dict(zip(AHEAD, ahead(said, other, now, seed), strict=True))
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{len(now.future):,} pairs of a buyer and a brand that had met by a day {s.plan.ahead} days "
                      f"before the end, {int((now.future > 0).sum()):,} of which met again; events that followed are "
                      f"discounted by {s.plan.discount} a day. What is learnt ends on that day",
            "measures": "`rank` is Spearman's correlation; `lift` is how many times more the foremost tenth holds than "
                        "a tenth; `calibration` is all that was said over all that came; `repeated` is the rank "
                        "correlation among pairs with two events or more; brackets: 95 % paired bootstrap over buyers, "
                        "the mean of its ends over seeds",
        },
        "facts": {"pairs": len(now.future), "learnt_pairs": len(old.future)},
    }  # fmt: skip


AHEAD = ("ahead", "ahead_low", "ahead_high")


def ahead(said: Array, other: Array, now: Cut, seed: int, resamples: int = 300) -> tuple[float, float, float]:
    """How much higher one rank correlation is than another, and the interval when buyers are drawn again."""
    rng, order = np.random.default_rng([seed, 47]), np.argsort(now.user, kind="stable")
    starts = np.flatnonzero(np.diff(now.user[order], prepend=-1))
    size = np.diff(starts, append=len(order))

    def gap(rows: Array) -> float:
        return ranks_alike(said[rows], now.future[rows]) - ranks_alike(other[rows], now.future[rows])

    drawn = (rng.multinomial(len(starts), np.full(len(starts), 1 / len(starts))) for _ in range(resamples))
    gaps = [gap(np.repeat(order, np.repeat(times, size))) for times in drawn]
    low, high = np.quantile(gaps, [0.025, 0.975])
    return gap(order), float(low), float(high)


def foretold(said: Array, now: Cut) -> dict[str, float]:
    """Rank correlation, lift of the foremost tenth (ties shared) and calibration."""
    tenth, again = len(said) / 10, now.count > 1
    edge = np.sort(said)[::-1][int(tenth)]
    above, tied = said > edge, said == edge
    top = now.future[above].sum() + (tenth - above.sum()) * now.future[tied].mean()
    return {
        "rank": ranks_alike(said, now.future),
        "lift": float(top / tenth / now.future.mean()),
        "calibration": float(said.sum() / now.future.sum()),
        "repeated": ranks_alike(said[again], now.future[again]),
    }


# --------------------------------------------------------------------------------------------------------------------
# Tables


def table(page: Bench, held: Held, root: Path) -> str:
    """Means and standard deviations over seeds, and how many there are."""
    told = [(m.replace("_", " "), spread(held, metric(m))) for m in page.metrics]
    if page.baseline in FORETELLERS:
        told.append((f"rank against `{page.baseline}`", partial(_ahead, held)))
    lines = [*above(page, held), *grid(page, held, [*told, seeds(held), seconds(held)])]
    lines += ["", "After ± stands the standard deviation over seeds."]
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _ahead(held: Held, entry: Entry) -> str:
    own = [list(values(held, entry.label, metric(name)).values()) for name in AHEAD]
    if not own[0]:
        return ""
    more, low, high = (figure(float(np.mean(v)), signed=True) for v in own)
    return f"{more} [{low}, {high}]"
