"""Weights for logs that plain propensities do not suit: many actions, unknown propensities, several loggers.

mips            weights of what an action is like, not of which it is (Saito and Joachims, ICML 2022): right where the
                reward depends on the action by its description alone
balanced-ips    weights as odds of a classifier that tells the log from the candidate's own actions (Sondhi et al.,
                AISTATS 2020); it asks for no propensities
several loggers naive, by the mixture of them all ("balanced"), and by how much each logger's estimate varies (Agarwal
                et al., KDD 2017)

Every function gives weights for `reweighted`, and from there on the estimators are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from interplay.errors import BadData
from interplay.evaluate.estimators import Rounds
from interplay.evaluate.intervals import Terms, error, persons
from interplay.evaluate.offpolicy import Candidate, Log
from interplay.ops.logistic import logistic
from interplay.types import Array


def reweighted(rounds: Rounds, weight: Array) -> Rounds:
    """The same rounds under other weights."""
    return replace(rounds, weight=weight)


# --------------------------------------------------------------------------------------------------------------------
# What an action is like


def marginal(log: Log, candidate: Candidate, kind: Array) -> Array:
    """float64[n]: weights of each action's kind (int64[actions]), p(kind | x, pi_e) / p(kind | x, pi_b), exactly."""
    if log.chances is None or candidate.chances is None:
        raise BadData("exact weights of kinds need the whole distributions of logger and candidate; see `classified`")
    one = np.eye(int(kind.max()) + 1)[kind]
    above, below = candidate.chances @ one, log.chances @ one
    rows, own = np.arange(len(log)), kind[log.action]
    return above[rows, own] / below[rows, own]


def classified(
    log: Log, candidate: Candidate, embedding: Array, *, ridge: float = 1.0, folds: int = 3, seed: int = 0
) -> Array:
    """float64[n]: the same for any description of what was done (float64[n, e], drawn anew in each round or not).

    w(x, e) = E[w(x, a) | x, e], with a classifier for pi_b(a | x, e) that is fitted on other persons' rounds.
    """
    if log.chances is None or candidate.chances is None:
        raise BadData("weights of a description need the logger's and the candidate's chance of every action")
    ratio = np.divide(candidate.chances, log.chances, out=np.zeros_like(log.chances), where=log.chances > 0)
    context = np.zeros((len(log), 0)) if log.context is None else log.context
    x, out = np.concatenate([context, embedding], axis=1), np.zeros(len(log))
    for rest, here in _folds(log, folds, seed):
        seen = np.unique(log.action[rest])  # a class without a row has no chance to be predicted
        y = np.searchsorted(seen, log.action[rest])
        if len(seen) == 1:
            out[here] = ratio[here, seen[0]]
            continue
        fit = logistic(x[rest], y, classes=max(len(seen), 3) if len(seen) > 2 else 2, ridge=ridge)
        told = fit.chances(x[here])
        chances = np.column_stack([1 - told, told]) if told.ndim == 1 else told
        out[here] = (chances * ratio[here][:, seen]).sum(axis=1)
    return out


# --------------------------------------------------------------------------------------------------------------------
# Unknown propensities


def odds(
    log: Log, candidate: Candidate, *, ridge: float = 1e-3, folds: int = 3, seed: int = 0, least: float = 1e-3
) -> tuple[Array, float]:
    """Weights by a classifier that tells the log's rounds from the same contexts with the candidate's actions.

    Also the share of rounds whose predicted chance was raised to `least` (or lowered to 1 - least): never silently.
    """
    if candidate.chances is None:
        raise BadData("balanced weights need all of the candidate's chances, not only those of what was done")
    context = np.zeros((len(log), 0)) if log.context is None else log.context
    eye = np.eye(log.n_actions)

    def told(rows: Array, action: Array) -> Array:
        x, a = context[rows], eye[action]
        return np.concatenate([x, a, (x[:, :, None] * a[:, None, :]).reshape(len(rows), -1)], axis=1)

    out, raised = np.zeros(len(log)), 0
    for rest, here in _folds(log, folds, seed):
        # every action of the candidate stands once, weighted by its chance: nothing is drawn
        row, action = np.nonzero(candidate.chances[rest] > 0)
        x = np.concatenate([told(rest, log.action[rest]), told(rest[row], action)])
        y = np.concatenate([np.zeros(len(rest)), np.ones(len(row))])
        weight = np.concatenate([np.ones(len(rest)), candidate.chances[rest][row, action]])
        p = logistic(x, y, ridge=ridge, weight=weight).chances(told(here, log.action[here]))
        raised += int(((p < least) | (p > 1 - least)).sum())
        p = np.clip(p, least, 1 - least)
        out[here] = p / (1 - p)
    return out, raised / max(len(log), 1)


def _folds(log: Log, folds: int, seed: int) -> list[tuple[Array, Array]]:
    person = persons(log.who, len(log))
    count = int(person.max(initial=-1)) + 1
    if count < folds:
        raise BadData(f"{count} persons cannot be dealt into {folds} folds; log longer or lower folds")
    fold = (np.random.default_rng(seed).permutation(count) % folds)[person]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


# --------------------------------------------------------------------------------------------------------------------
# Several loggers


def by_mixture(log: Log, under: Array) -> Log:
    """The log with the propensities of the mixture that filled it: `under` float64[n, loggers] says how likely each
    logger is to have done what was done."""
    if log.logger is None:
        raise BadData("the log does not say which policy acted; give Log(logger=...)")
    share = np.bincount(log.logger, minlength=under.shape[1]) / len(log)
    return replace(log, propensity=under @ share)


def by_variance(log: Log, rounds: Rounds) -> tuple[float, Mapping[int, float]]:
    """Each logger's own IPS estimate, averaged by the inverse of its squared error; and every logger's say in it."""
    if log.logger is None:
        raise BadData("the log does not say which policy acted; give Log(logger=...)")
    values, precision = {}, {}
    for which in np.unique(log.logger).tolist():
        own = log.logger == which
        terms = Terms.mean((rounds.weight * rounds.reward)[own])
        spread = error(terms, None if log.who is None else log.who[own])
        values[which] = terms.value
        precision[which] = 1 / spread**2 if spread > 0 else 0.0  # without a spread nothing is known of its error
    total = sum(precision.values())
    if not total:
        return float(np.mean(list(values.values()))), dict.fromkeys(values, 1 / len(values))
    says = {which: p / total for which, p in precision.items()}
    return sum(says[which] * value for which, value in values.items()), says
