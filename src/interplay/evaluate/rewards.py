"""Reward models for off-policy estimates: q(x, a), fitted on other people's rounds than those it is used on.

constant   the mean reward, whatever is done: what a direct method must beat
table      the mean of each action (at its position), drawn towards the mean of all
logistic   a ridge-logistic regression on context and action, added up; `crossed` also multiplies them
lightgbm   boosted trees on the same columns (the extra `trees`)

Every round is predicted by a fit on the other folds, and folds hold whole persons: otherwise DR inherits the fit's
optimism. `fit` says how rounds count: "plain"; "importance", by pi_e / pi_b; or "mrdr", which makes the variance of DR
small (Farajtabar et al., ICML 2018), here with the candidate's chance in place of a deterministic choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from interplay.errors import BadData, BadSetting, extra, unknown
from interplay.evaluate.intervals import persons
from interplay.evaluate.offpolicy import Candidate, Log
from interplay.ops.logistic import logistic
from interplay.types import Array

Predict = Callable[[Array, Array], Array]  # rows of the log, one action for each -> float64


class Modelled(NamedTuple):
    """A reward model's say on every round of a log."""

    modelled: Array  # float64[n]: q(x_i, a_i)
    expected: Array  # float64[n]: q(x_i, pi_e)
    table: Array  # float64[n, actions]


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    model: str = "logistic"  # a name in MODELS
    folds: int = 3
    ridge: float = 1.0  # of the regression, and of the table towards the mean (in rounds)
    crossed: bool = False  # whether context and action are multiplied too
    fit: str = "plain"  # or "importance", "mrdr"

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise BadSetting(f"folds is {self.folds}; expected 2 or more, since no round is judged by its own fit")
        if self.fit not in ("plain", "importance", "mrdr"):
            raise unknown("way of fitting", self.fit, ("plain", "importance", "mrdr"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """What a reward model sees of a round: its context, its position and what is known of an action."""

    context: Array  # float64[n, d]
    place: Array  # int64[n], 0 where there are no positions
    places: int
    about: Array  # float64[actions, e]; one column for each action by default

    @staticmethod
    def of(log: Log, about: Array | None = None) -> Features:
        place = np.zeros(len(log), np.int64) if log.position is None else np.asarray(log.position, np.int64)
        context = np.zeros((len(log), 0)) if log.context is None else np.asarray(log.context, np.float64)
        own = np.eye(log.n_actions)
        return Features(
            context=context, place=place, places=int(place.max(initial=0)) + 1,
            about=own if about is None else np.column_stack([own, about]),
        )  # fmt: skip

    def rows(self, rows: Array, action: Array, *, crossed: bool) -> Array:
        """float64[len(rows), width]"""
        x, e = self.context[rows], self.about[action]
        parts = [x, e]
        if self.places > 1:
            parts.append(np.eye(self.places)[self.place[rows]])
        if crossed:
            parts.append((x[:, :, None] * e[:, None, :]).reshape(len(rows), -1))
        return np.concatenate(parts, axis=1)


def cross_fitted(
    log: Log, candidate: Candidate, config: RewardConfig = RewardConfig(), *, about: Array | None = None, seed: int = 0
) -> Modelled:
    """q of every round by a fit that has not seen its person; `about` are columns that describe the actions."""
    if config.model not in MODELS:
        raise unknown("reward model", config.model, MODELS)
    if candidate.chances is None:
        raise BadData("a reward model needs all of the candidate's chances, not only those of what was done")
    n, person = len(log), persons(log.who, len(log))
    count = int(person.max(initial=-1)) + 1
    if count < config.folds:
        raise BadData(f"{count} persons cannot be dealt into {config.folds} folds; log longer or lower folds")
    fold = (np.random.default_rng(seed).permutation(count) % config.folds)[person]
    weight, features = _counted(log, candidate, config.fit), Features.of(log, about)
    table = np.zeros((n, log.n_actions))
    for k in range(config.folds):
        rest, here = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        predict = MODELS[config.model](log, features, rest, weight[rest], config, seed)
        for action in range(log.n_actions):
            table[here, action] = predict(here, np.full(len(here), action))
    rows = np.arange(n)
    return Modelled(table[rows, log.action], (candidate.chances * table).sum(axis=1), table)


def _counted(log: Log, candidate: Candidate, fit: str) -> Array:
    """How much each round counts in the fit."""
    weight = candidate.chance / log.propensity
    if fit == "plain":
        return np.ones(len(log))
    out = weight if fit == "importance" else weight * candidate.chance * (1 - log.propensity) / log.propensity
    return out / max(float(out.mean()), 1e-300)


# --------------------------------------------------------------------------------------------------------------------
# The models: each fits on some rounds and gives a function of rounds and actions


def _constant(log: Log, features: Features, rows: Array, weight: Array, config: RewardConfig, seed: int) -> Predict:
    mean = float(weight @ log.reward[rows] / max(float(weight.sum()), 1e-300))
    return lambda here, action: np.full(len(here), mean)


def _table(log: Log, features: Features, rows: Array, weight: Array, config: RewardConfig, seed: int) -> Predict:
    cell = features.place * log.n_actions
    size = features.places * log.n_actions
    mean = float(weight @ log.reward[rows] / max(float(weight.sum()), 1e-300))
    at = cell[rows] + log.action[rows]
    top = np.bincount(at, weight * log.reward[rows], size) + config.ridge * mean
    values = top / (np.bincount(at, weight, size) + config.ridge)
    return lambda here, action: values[cell[here] + action]


def _logistic(log: Log, features: Features, rows: Array, weight: Array, config: RewardConfig, seed: int) -> Predict:
    reward = log.reward[rows]
    low, high = float(log.reward.min()), float(log.reward.max())
    if not high > low:
        return _constant(log, features, rows, weight, config, seed)
    x = features.rows(rows, log.action[rows], crossed=config.crossed)
    fit = logistic(x, (reward - low) / (high - low), ridge=config.ridge, weight=weight)

    def predict(here: Array, action: Array) -> Array:
        return low + (high - low) * fit.chances(features.rows(here, action, crossed=config.crossed))

    return predict


def _lightgbm(log: Log, features: Features, rows: Array, weight: Array, config: RewardConfig, seed: int) -> Predict:
    try:
        import lightgbm
    except ImportError as missing:
        raise extra("lightgbm", "trees") from missing
    binary = bool(np.isin(log.reward, (0.0, 1.0)).all())
    settings = {
        "objective": "binary" if binary else "regression", "num_leaves": 15, "learning_rate": 0.05, "verbose": -1,
        "min_data_in_leaf": 20, "lambda_l2": config.ridge, "seed": seed, "num_threads": 1, "deterministic": True,
    }  # fmt: skip
    x = features.rows(rows, log.action[rows], crossed=config.crossed)
    held = lightgbm.Dataset(x, log.reward[rows], weight=weight, free_raw_data=False)
    trees = lightgbm.train(settings, held, num_boost_round=100)
    return lambda here, action: np.asarray(trees.predict(features.rows(here, action, crossed=config.crossed)))


MODELS: Mapping[str, Callable[[Log, Features, Array, Array, RewardConfig, int], Predict]] = {
    "constant": _constant, "table": _table, "logistic": _logistic, "lightgbm": _lightgbm,
}  # fmt: skip
