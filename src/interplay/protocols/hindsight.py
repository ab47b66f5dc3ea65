"""Benches of off-policy evaluation: estimates beside a truth that is known, or that was measured on the spot.

    digits     handwritten digits as actions: behaviour .4 logistic regression + .6 uniform, candidate .9 forest + .1
    synthetic  normal contexts, logistic rewards; the logger prefers what earns little
    learning   policies learnt from such a log, by what they truly earn
    obd        a campaign that ran under two policies: each judged from the other's log
    coverage   how often an interval of 95 % holds the truth, at three overlaps of logger and candidate

Slates and the market are in hindsight_slates.py. Generators follow the Open Bandit Pipeline (Saito et al., NeurIPS D&B
2021) as its sheet describes them; scales and coefficients are drawn in our own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from interplay.benches import Bench, Entry
from interplay.data.logged import Campaign, Feedback, campaign
from interplay.errors import extra, unknown
from interplay.evaluate.estimators import ESTIMATORS, tuned
from interplay.evaluate.intervals import Terms, bernstein, bootstrap, error, hoeffding, normal
from interplay.evaluate.offpolicy import Candidate, Log, diagnosed, judged, weighted
from interplay.evaluate.rewards import Modelled, RewardConfig, cross_fitted
from interplay.models.policies import Policies, PoliciesConfig
from interplay.ops.logistic import logistic
from interplay.protocols.hindsight_recipes import RECIPE_BENCHES
from interplay.protocols.hindsight_slates import SLATE_BENCHES
from interplay.protocols.tables import Column, Held, grid, metric, seconds, seeds, values
from interplay.results import short
from interplay.types import Array, Run

RUNS = {"offpolicy-digits": 30, "offpolicy-synthetic": 20}
REPEATS = 500  # logs of one overlap level
CONSTANT = "constant"  # the direct method with one number for everything: what luck with few rewards looks like


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One row of an off-policy bench: its metrics, protocol and facts."""
    known: Mapping[str, Callable[[Bench, Entry, int], dict[str, Any]]] = {
        "offpolicy-digits": _repeated, "offpolicy-synthetic": _repeated, "offpolicy-learning": _learnt,
        "offpolicy-obd": _observed, "offpolicy-coverage": _covered, **SLATE_BENCHES, **RECIPE_BENCHES,
    }  # fmt: skip
    if page.name not in known:
        raise unknown("off-policy bench", page.name, known)
    return known[page.name](page, entry, seed)


def drawn(chances: Array, rng: np.random.Generator) -> Array:
    """int64[n]: one action of each row's distribution."""
    edges = np.cumsum(chances, axis=1)
    return np.minimum((edges < rng.random((len(chances), 1)) * edges[:, -1:]).sum(axis=1), chances.shape[1] - 1)


# --------------------------------------------------------------------------------------------------------------------
# Digits and the synthetic world: relative errors over runs


def digits(seed: int, *, behaviour: float = 0.4, candidate: float = 0.9) -> tuple[Log, Candidate, float]:
    """A log over seven tenths of the digits, by a classifier fitted on the rest; reward 1 for the right digit."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as missing:
        raise extra("scikit-learn", "dev") from missing
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    cut = round(0.3 * len(x))
    train, rest = order[:cut], order[cut:]
    x = x / 16.0

    def mixed(said: Array, share: float) -> Array:
        return share * np.eye(10)[said] + (1 - share) / 10

    line = logistic(x[train], y[train], classes=10, ridge=1.0)
    forest = RandomForestClassifier(random_state=seed).fit(x[train], y[train])
    logger = mixed(line.chances(x[rest]).argmax(axis=1), behaviour)
    wanted = mixed(forest.predict(x[rest]), candidate)
    action, rows = drawn(logger, rng), np.arange(len(rest))
    log = Log(
        action=action, reward=(action == y[rest]).astype(float), propensity=logger[rows, action], n_actions=10,
        context=x[rest], chances=logger,
    )  # fmt: skip
    return log, Candidate.of(log, wanted), float(wanted[rows, y[rest]].mean())


def synthetic(
    seed: int, *, n: int = 10_000, actions: int = 30, dim: int = 5, beta: float = -3.0, world: int = 12345
) -> tuple[Log, Array]:
    """A log of the generated world, and the mean reward of every action in every round, float64[n, actions].

    Logits of rewards are linear in the context, in the action and in both together, scaled to a spread of one. `world`
    is the seed of the coefficients, `seed` that of the rounds.
    """
    own, rng = np.random.default_rng(world), np.random.default_rng(seed)
    by_context, by_action, by_both = (own.uniform(-1, 1, s) for s in ((dim, 1), (1, actions), (dim, actions)))
    x = rng.normal(size=(n, dim))

    def logits(x: Array) -> Array:
        return (x @ by_context) / dim + by_action / actions + (x @ by_both) / dim

    some = logits(own.normal(size=(5000, dim)))
    mean = expit((logits(x) - some.mean()) / some.std())
    chances = softmax(beta * mean, axis=1)
    action, rows = drawn(chances, rng), np.arange(n)
    log = Log(
        action=action, reward=(rng.random(n) < mean[rows, action]).astype(float), propensity=chances[rows, action],
        n_actions=actions, context=x, chances=chances,
    )  # fmt: skip
    return log, mean


def learned(log: Log, context: Array) -> Array:
    """float64[n, actions]: the distribution of a weighted classification learnt from a log (the `ipw` learner)."""
    weight = log.reward / log.propensity
    paid = weight > 0
    fit = logistic(log.context[paid], log.action[paid], classes=log.n_actions, weight=weight[paid])  # type: ignore[index]
    return fit.chances(context)


def _synthetic(seed: int) -> tuple[Log, Candidate, float]:
    train, _ = synthetic(10_000 + seed)
    log, mean = synthetic(seed)
    assert log.context is not None
    wanted = learned(train, log.context)
    return log, Candidate.of(log, wanted), float((wanted * mean).sum(axis=1).mean())


def modelled(
    log: Log, candidate: Candidate, name: str, *, seed: int, crossed: bool = False, **more: Any
) -> Modelled | None:  # fmt: skip
    """The reward model that an estimator's row asks for."""
    if name == CONSTANT:
        return cross_fitted(log, candidate, RewardConfig(model="constant"), seed=seed)
    config = RewardConfig(crossed=crossed)
    return cross_fitted(log, candidate, config, seed=seed, **more) if ESTIMATORS[name].models else None


def _repeated(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """Relative errors of one estimator over many logs."""
    made = {"offpolicy-digits": digits, "offpolicy-synthetic": _synthetic}[page.name]
    name, errors, effective, limits = entry.system, [], [], []
    for run in range(RUNS[page.name]):
        log, candidate, truth = made(seed * 1000 + run)
        q = modelled(log, candidate, name, seed=run, crossed=bool(entry.settings.get("crossed")))
        rounds = weighted(log, candidate, *(() if q is None else q[:2]))
        row = ESTIMATORS["dm" if name == CONSTANT else name]
        limit = tuned("dm" if name == CONSTANT else name, rounds)
        errors.append(abs(row.terms(rounds, limit).value - truth) / truth)
        effective.append(diagnosed(log, candidate).effective)
        limits.append(limit)
    return {
        "metrics": {"error": np.mean(errors), "sd": np.std(errors, ddof=1), "effective": np.mean(effective)},
        "protocol": {
            "judged": f"Relative error |estimate - truth| / truth, mean and standard deviation over {len(errors)} logs",
            "models": "The reward model is a ridge-logistic regression on context and action, cross-fitted in 3 folds; "
                      "limits on weights are chosen by SLOPE",
        },
        "facts": {"errors": [round(e, 6) for e in errors], "limits": limits},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Learning


def _learnt(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """What a policy learnt from 10,000 rounds over 10 actions earns on 10,000 new ones, and what it was judged by."""
    log, mean = synthetic(seed, actions=10, beta=-2.0)
    test, truth = synthetic(20_000 + seed, actions=10, beta=-2.0)
    assert log.context is not None and test.context is not None and test.chances is not None
    if entry.system == "uniform":
        chances = np.full_like(truth, 0.1)
    elif entry.system == "logger":
        chances = test.chances
    elif entry.system == "best":
        chances = np.eye(10)[truth.argmax(axis=1)]
    else:
        policy = Policies(PoliciesConfig(**entry.settings))
        policy.learn(log.context, log.action, log.reward, log.propensity, actions=10, run=Run(seed=seed))
        chances = policy.chances(test.context)
    candidate = Candidate.of(test, chances)
    q = cross_fitted(test, candidate, seed=seed)
    told = judged(test, candidate, modelled=q.modelled, expected=q.expected, names=["dr"], anyway=True)
    return {
        "metrics": {
            "value": float((chances * truth).sum(axis=1).mean()), "estimate": told["dr"].value,
            "low": told["dr"].interval.low, "high": told["dr"].interval.high, "effective": told.diagnosis.effective,
        },
        "protocol": {
            "judged": "The true value on 10,000 new rounds over 10 actions, beside a doubly robust estimate of it from "
                      "what the logger did there, with its bootstrap interval of 95 %",
        },
        "facts": {"spread": float(mean.std())},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Two policies on the same traffic


def as_log(feedback: Feedback, n_items: int) -> Log:
    """Impressions as rounds; position is part of the context."""
    return Log(
        action=feedback.action, reward=feedback.reward, propensity=feedback.propensity, n_actions=n_items,
        context=feedback.context, position=feedback.position,
    )  # fmt: skip


def frequencies(made: Campaign, policy: str) -> Array:
    """float64[items, positions]: how often a policy showed each item at each position; its rewards play no part."""
    held = made.logs[policy]
    table = np.zeros((made.n_items, made.positions))
    np.add.at(table, (held.action, held.position), 1.0)
    return table / table.sum(axis=0)


def by_prior(made: Campaign, *, draws: int = 100_000, seed: int = 0) -> Array:
    """float64[items, positions]: Thompson sampling by the campaign's prior alone, by simulation."""
    assert made.prior is not None
    rng, table = np.random.default_rng(seed), np.zeros((made.n_items, made.positions))
    for _ in range(draws // 10_000):
        theta = rng.beta(*made.prior, size=(10_000, made.n_items))
        best = np.argsort(-theta, axis=1)[:, : made.positions]
        for place in range(made.positions):
            table[:, place] += np.bincount(best[:, place], minlength=made.n_items)
    return table / table.sum(axis=0)


def directions(made: Campaign) -> dict[str, tuple[str, str, Array]]:
    """Name -> (whose log, whose truth, the candidate's chances float64[items, positions])."""
    uniform = np.full((made.n_items, made.positions), 1 / made.n_items)
    out = {
        "random to bts": ("random", "bts", frequencies(made, "bts")), "bts to random": ("bts", "random", uniform)
    }  # fmt: skip
    return out if made.prior is None else {**out, "random to bts, by its prior": ("random", "bts", by_prior(made))}


def cross(made: Campaign, direction: str, name: str, *, model: str = "logistic", seed: int = 0) -> dict[str, Any]:
    """One estimator from one policy's log of the other's value, beside what the other's own log says."""
    source, target, table = directions(made)[direction]
    log = as_log(made.logs[source], made.n_items)
    candidate = Candidate.of(log, np.broadcast_to(table, (len(log), *table.shape)))
    q = None
    if name == CONSTANT:
        q = modelled(log, candidate, CONSTANT, seed=seed)
    elif ESTIMATORS[name].models:
        q = cross_fitted(log, candidate, RewardConfig(model=model), about=made.about, seed=seed)
    kind = "dm" if name == CONSTANT else name
    report = judged(
        log, candidate, modelled=None if q is None else q.modelled, expected=None if q is None else q.expected,
        names=[kind], bounds=(0.0, 1.0), anyway=True, seed=seed,
    )  # fmt: skip
    told, own = report[kind], Terms.mean(made.logs[target].reward)
    truth, noise = own.value, error(own)
    metrics = {
        "estimate": told.value, "low": told.interval.low, "high": told.interval.high, "truth": truth,
        "error": abs(told.value - truth) / truth, "noise": noise / truth, "effective": report.diagnosis.effective,
    }  # fmt: skip
    reasons = list(report.diagnosis.reasons)
    return {"metrics": metrics, "limit": told.limit, "reasons": reasons, "max_weight": report.diagnosis.max_weight}


def _observed(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    made = campaign(page.data)
    told = cross(made, entry.settings["direction"], entry.system, seed=seed)
    return {
        "metrics": told.pop("metrics"),
        "protocol": {
            "judged": "Clicks per impression. `truth` is the mean of the other policy's own log, `noise` its standard "
                      "error relative to it: errors below some two of it cannot be told apart. `error` is relative",
            "models": "The reward model is a ridge-logistic regression on person, item and position, cross-fitted in 3 "
                      "folds; `constant` is one number for everything",
        },
        "facts": {**told, "direction": entry.settings["direction"]},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Coverage

OVERLAPS = {"near": 0.5, "middle": 1.5, "far": 3.0}  # how sharply candidate and logger want opposite things


def finite(overlap: float, *, contexts: int = 20, actions: int = 10) -> tuple[Array, Array, Array, float]:
    """A world of few contexts: logger and candidate float64[contexts, actions], mean rewards, the candidate's value."""
    rng = np.random.default_rng(99)
    liking = rng.normal(size=(contexts, actions))
    mean = expit(liking - 1.5)
    logger, wanted = softmax(-0.5 * overlap * liking, axis=1), softmax(0.5 * overlap * liking, axis=1)
    return logger, wanted, mean, float((wanted * mean).sum(axis=1).mean())


def _covered(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """How often each interval of one estimator holds the truth; every person has two rounds."""
    name, n = entry.system, 2000
    logger, wanted, mean, truth = finite(OVERLAPS[entry.settings["overlap"]])
    kinds: dict[str, list[bool]] = {}
    widths, effective, values = [], [], []
    largest = float((wanted / logger).max())
    for repeat in range(REPEATS):
        rng = np.random.default_rng([seed, repeat])
        x, who = np.repeat(rng.integers(0, len(mean), n // 2), 2), np.repeat(np.arange(n // 2), 2)
        action = drawn(logger[x], rng)
        log = Log(
            action=action, reward=(rng.random(n) < mean[x, action]).astype(float), propensity=logger[x, action],
            n_actions=mean.shape[1], context=np.eye(len(mean))[x], chances=logger[x], who=who,
        )  # fmt: skip
        candidate = Candidate.of(log, wanted[x])
        q = modelled(log, candidate, name, seed=repeat)
        rounds = weighted(log, candidate, *(() if q is None else q[:2]))
        terms = ESTIMATORS[name].terms(rounds, tuned(name, rounds, who=who))
        found = {"bootstrap": bootstrap(terms, who, resamples=500, seed=repeat), "normal": normal(terms, who)}
        if name == "ips":
            found["bernstein"] = bernstein(terms.base, 0.0, largest, who)
            found["hoeffding"] = hoeffding(terms.base, 0.0, largest, who)
        for kind, told in found.items():
            kinds.setdefault(kind, []).append(told.low <= truth <= told.high)
        widths.append((found["bootstrap"].high - found["bootstrap"].low) / truth)
        values.append(terms.value)
        effective.append(diagnosed(log, candidate).effective)
    return {
        "metrics": {
            "effective": np.mean(effective), "bias": np.mean(values) / truth - 1, "width": np.mean(widths),
            **{kind: np.mean(held) for kind, held in kinds.items()},
        },
        "protocol": {
            "judged": f"{REPEATS} logs of {n} rounds of {n // 2} persons in a world of 20 contexts and 10 actions; the "
                      "share of intervals of 95 % that hold the true value. `width` is that of the bootstrap interval "
                      "and `bias` the mean error, both relative to the value",
        },
        "facts": {"truth": truth, "largest_weight": largest, "sd": float(np.std(values) / truth)},
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Held, root: Path) -> str:
    """Means over seeds, and how many there are where there are several; where records tell the error on every log, how
    much it is more than the baseline's on the same logs."""
    columns: list[Column] = [(name.replace("_", " "), _mean(held, name)) for name in page.metrics]
    paired = any("errors" in record["facts"] for record in held.values())
    columns += [(f"more than `{page.baseline}`", _more(held, page.baseline))] if paired else []
    columns += [("published", Entry.published_text)] if any(entry.published for entry in page.entries) else []
    several = max(Counter(label for label, _ in held).values()) > 1
    columns += [*([seeds(held)] if several else []), seconds(held)]
    said = [f"{v[:1].upper()}{v[1:]}." for v in list(held.values())[-1]["protocol"].values()]
    ends = any(name.endswith("low") for name in page.metrics)
    said.append(f"Figures are means over seeds{', ends of intervals too' * ends}." if several else "One seed.")
    if paired:
        said.append(
            f"Differences from `{page.baseline}` are paired by log, with a bootstrap interval of 95 % over logs."
        )
    lines = [page.about, "", " ".join(said), "", *grid(page, held, columns)]
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _mean(held: Held, name: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        own = list(values(held, entry.label, metric(name)).values())
        return short(float(np.mean(own))) if own else ""

    return cell


def _more(held: Held, baseline: str) -> Callable[[Entry], str]:
    """How much more a row is off than the baseline, log by log."""

    def off(label: str) -> Array:
        own = [record["facts"]["errors"] for (row, _), record in sorted(held.items()) if row == label]
        return np.concatenate([np.array(errors) for errors in own]) if own else np.zeros(0)

    def cell(entry: Entry) -> str:
        own, other = off(entry.label), off(baseline)
        if entry.label == baseline or len(own) != len(other):
            return ""
        low, high = bootstrap(Terms.mean(own - other), resamples=10_000)
        return f"{float(np.mean(own - other)):+.4f} ({low:+.4f} to {high:+.4f})"

    return cell
