"""Click prediction without embeddings: how often things ended well, looked up, and trees over that.

lookup     folklore; the floor of click tables    smoothed rates of values and pairs of values, weighed on validation
lightgbm   Ke et al., NeurIPS 2017                boosted trees over numbers, small categories and the same rates

Learns a sum and a count for each value of each field and for each combination of two fields that training holds: about
24 bytes each and task. A rate is smoothed towards the mean as if `smooth` rows more had had it, and read as a logit.

In training the rates that lightgbm reads come from the other rows of FOLDS, as they will for a row that is not known
yet; lookup's weights come from the validation rows, which are in no rate. Of more than `most` pairs those are kept that
have fewest combinations, since rates of combinations that never come back say nothing. Ours: the pairs, the folds, and
the smoothing chosen on validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from interplay.configure import Count, NotNegative, Positive, Several, Size
from interplay.data.coder import Coded, Coder
from interplay.data.examples import Examples
from interplay.data.features import FeatureView
from interplay.data.labelled import ITEM, USER
from interplay.errors import BadData, extra
from interplay.learn.crossed import Crossed
from interplay.learn.ranked import divided, logit, ranked, sigmoid, temperature, weights_of
from interplay.types import EMPTY, Array, Dataset, Requests, Run, Slates, State, World

SMOOTH = (0.5, 2.0, 8.0, 32.0)  # tried by lookup on the validation rows
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class LookupConfig:
    most: Count = 60  # pairs of fields whose rates are kept
    smooth: NotNegative | None = None  # rows of average outcome in every rate; None is chosen on validation
    ridge: NotNegative = 1.0  # on the weights of the rates
    negatives: Size = 2  # beside each event, where all that is known is a log of what was taken
    across: bool = False  # only pairs of something of the person with something of the thing
    newest: Size | None = None  # impressions that are learnt from; None is all of them
    surface: str = ""  # only what was shown there, where impressions name their surface
    vectors: tuple[str, ...] = ()  # tables of item vectors that lightgbm reads as numbers
    weights: Mapping[str, float] = EMPTY  # task -> its say in the order
    tasks: Mapping[str, str] = EMPTY  # as of the networks (learn/tabular.py)


@dataclass(frozen=True, kw_only=True)
class TreesConfig(LookupConfig):
    smooth: NotNegative | None = 8.0
    leaves: Several = 63
    rate: Positive = 0.05
    rounds: Size = 600
    patience: Count = 30  # rounds without a better AUC on validation before stopping
    least: Count = 50  # rows in a leaf
    small: Count = 64  # fields of at most so many values are also read as categories


@dataclass(kw_only=True, eq=False)
class Rates:
    """Sums and counts of every value and of every combination, from training rows."""

    crossed: Crossed
    singles: list[Array]  # per field float64[size, 2 T]: sums, then counts
    doubles: Array  # float64[rows, 2 T]
    prior: Array  # float64[T]

    @staticmethod
    def of(coded: Coded, sizes: tuple[int, ...], most: int, among: Sequence[tuple[int, int]] | None = None) -> Rates:
        """Of all pairs of fields, or of `among` those; at most `most`."""
        told = np.hstack([coded.labels * coded.mask, coded.mask]).astype(np.float64)
        wanted = combinations(range(len(sizes)), 2) if among is None else among
        pairs = np.array(list(wanted), np.int32).reshape(-1, 2)
        crossed = Crossed.fit(coded.fields, sizes, pairs)
        if len(pairs) > most:
            crossed = crossed.of(np.sort(np.argsort(crossed.rows_of, kind="stable")[:most]))
        ids = crossed.ids(coded.fields)
        doubles = np.column_stack([
            np.bincount(ids.ravel(), np.repeat(column, ids.shape[1]), minlength=crossed.rows) for column in told.T
        ])  # fmt: skip
        singles = [
            np.column_stack([np.bincount(coded.fields[:, f], column, minlength=size) for column in told.T])
            for f, size in enumerate(sizes)
        ]
        tasks = coded.labels.shape[1]
        total = told.sum(axis=0)
        prior = np.clip(total[:tasks] / np.maximum(total[tasks:], 1.0), 1e-4, 1 - 1e-4)
        return Rates(crossed=crossed, singles=singles, doubles=doubles, prior=prior)

    def logits(
        self, coded: Coded, task: int, smooth: float, *, own: Array | None = None, ids: Array | None = None
    ) -> Array:
        """float32[n, fields + pairs]: the logit of each smoothed rate, above the mean.

        `own` (int[n]) are the folds of rows that the rates were made from: a row's own fold is taken out of its rates.
        `ids` are the rows' combinations, where they are known already.
        """
        tasks, pairs = len(self.prior), len(self.crossed.pairs)
        ids = self.crossed.ids(coded.fields) if ids is None else ids
        told = np.stack([coded.labels[:, task] * coded.mask[:, task], coded.mask[:, task]], axis=1)
        own_of = None if own is None else (told, own)
        parts = np.zeros((len(coded), len(self.singles) + pairs, 2))
        for f, single in enumerate(self.singles):
            parts[:, f] = _less(single, [task, tasks + task], coded.fields[:, f], own_of)
        if own_of is None:
            parts[:, len(self.singles) :] = np.stack([self.doubles[:, c][ids] for c in (task, tasks + task)], axis=2)
        for p in range(pairs if own_of is not None else 0):
            parts[:, len(self.singles) + p] = _less(self.doubles, [task, tasks + task], ids[:, p], own_of)
        parts[:, len(self.singles) :][ids < pairs] = 0.0  # never met
        prior = self.prior[task]
        rate = (parts[:, :, 0] + smooth * prior) / (parts[:, :, 1] + smooth)
        return (logit(rate) - logit(prior)).astype(np.float32)

    def forget(self, field: int, codes: Array) -> None:
        self.singles[field][codes[codes > 0]] = 0.0
        self.crossed, rows = self.crossed.without(field, codes)
        self.doubles = self.doubles[rows]


def _less(held: Array, columns: list[int], at: Array, own: tuple[Array, Array] | None) -> Array:
    """float64[n, 2]: the sums and counts (columns of `held`) at `at`, without those of the rows of the same fold.

    `own`: what each row told, float[n, 2], and its fold.
    """
    out = held[at][:, columns]
    if own is None:
        return out
    told, fold_of = own
    for fold in range(FOLDS):
        rows = np.flatnonzero(fold_of == fold)
        for column in range(2):
            mine = np.bincount(at[rows], told[rows, column], minlength=len(held))
            out[rows, column] -= mine[at[rows]]
    return np.maximum(out, 0.0)


def logistic(x: Array, label: Array, ridge: float) -> Array:
    """float64[1 + columns]: the ridge logistic regression of `label` on an intercept and x, by Newton's method."""
    wide = np.hstack([np.ones((len(x), 1)), x]).astype(np.float64)
    shrink = np.full(wide.shape[1], ridge)
    shrink[0] = 1e-3
    weights = np.zeros(wide.shape[1])
    for _ in range(50):
        p = sigmoid(wide @ weights)
        slope = wide.T @ (p - label) + shrink * weights
        bend = (wide * (p * (1 - p))[:, None]).T @ wide + np.diag(shrink)
        step = np.linalg.solve(bend, slope)
        weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return weights


class Lookup:
    """Rates of values and pairs, weighed by a logistic regression on the validation rows."""

    def __init__(self, config: LookupConfig = LookupConfig()) -> None:
        self.config = config
        self.fitted: dict[str, Any] = {}

    def examples(self, dataset: Dataset) -> Examples:
        c = self.config
        return Examples.of(
            dataset, negatives=c.negatives, tasks=c.tasks, newest=c.newest, surface=c.surface, vectors=c.vectors
        )  # fmt: skip

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Lookup:
        examples = self.examples(dataset)
        rows, held = divided(examples, run.seed)
        held = held if len(held) else rows
        train = examples.take(rows)
        self.coder = Coder.fit(train, n_users=dataset.n_users, histories=False)
        weights_of(self.config.weights, self.coder.tasks)
        coded, valid = self.coder.code(train), self.coder.code(examples.take(held))
        self.rates = Rates.of(coded, self.coder.sizes, self.config.most, self._pairs())
        self._learn(coded, valid, run)
        return self

    def _pairs(self) -> list[tuple[int, int]] | None:
        """The pairs of fields that are counted together; None is all of them."""
        if not self.config.across:
            return None
        sides = [name.partition(".")[0] for name in self.coder.fields]
        return [(u, i) for u, a in enumerate(sides) for i, b in enumerate(sides) if (a, b) == (USER, ITEM)]

    def _learn(self, coded: Coded, valid: Coded, run: Run) -> None:
        tried = SMOOTH if self.config.smooth is None else (self.config.smooth,)
        losses = []
        for smooth in tried:  # half of the validation rows weigh, the other half says which smoothing is best
            half = np.arange(len(valid)) % 2 == 0
            kept = self._weighed(valid.take(half), smooth)
            losses.append(self._loss(valid.take(~half) if (~half).any() else valid, smooth, kept))
        self.smooth = tried[int(np.argmin(losses))]
        self.stack = self._weighed(valid, self.smooth)
        self.fitted = {"smooth": self.smooth, "losses": dict(zip(map(str, tried), losses, strict=True)),
                       "combinations": len(self.rates.crossed.keys)}  # fmt: skip

    def _features(self, coded: Coded, task: int, smooth: float, ids: Array | None = None) -> Array:
        return np.hstack([self.rates.logits(coded, task, smooth, ids=ids), np.maximum(coded.numbers, -0.5)])

    def _weighed(self, valid: Coded, smooth: float) -> Array:
        """float64[T, 1 + columns]"""
        out = []
        for t in range(valid.labels.shape[1]):
            known = np.flatnonzero(valid.mask[:, t])
            if not len(known):
                raise BadData(f"no label of the task {self.coder.tasks[t]!r} is known in the validation part")
            part = valid.take(known)
            out.append(logistic(self._features(part, t, smooth), part.labels[:, t], self.config.ridge))
        return np.array(out)

    def _loss(self, coded: Coded, smooth: float, stack: Array) -> float:
        out = []
        for t, weights in enumerate(stack):
            z = weights[0] + self._features(coded, t, smooth) @ weights[1:]
            each = np.logaddexp(0, z) - coded.labels[:, t] * z
            out.append(float(each[coded.mask[:, t]].mean()) if coded.mask[:, t].any() else 0.0)
        return float(np.mean(out))

    def predict(self, examples: Examples) -> dict[str, Array]:
        coded = self.coder.code(examples)
        out, ids = {}, self.rates.crossed.ids(coded.fields)
        for t, task in enumerate(self.coder.tasks):
            z = self.stack[t, 0] + self._features(coded, t, self.smooth, ids) @ self.stack[t, 1:]
            out[task] = sigmoid(z).astype(np.float32)
        return out

    def rank(self, requests: Requests, slates: Slates, features: FeatureView | None) -> Slates:
        return ranked(requests, slates, features, self.predict, self.coder, self.config.weights)

    def forget(self, users: Array) -> None:
        if USER in self.coder.fields:
            users = np.asarray(users)
            codes = self.coder.users[users[(users >= 0) & (users < len(self.coder.users))]]
            self.rates.forget(self.coder.fields.index(USER), codes)
            self.coder = self.coder.forgetting(users)

    def state(self) -> State:
        r, place = self.rates, {f: i for i, f in enumerate(self.coder.fields)}
        singles = {f"single.{f}": r.singles[i] for f, i in place.items() if f != USER}
        users = {}
        if USER in place:
            users = {USER: np.where(self.coder.users[:, None] > 0, r.singles[place[USER]][self.coder.users], 0.0)}
            singles["strangers"] = r.singles[place[USER]][:1]
        own = State(arrays={**singles, "doubles": r.doubles, "prior": r.prior, **self._kept()}, users=users,
                    facts={"smooth": self.smooth})  # fmt: skip
        return State.joined(coder=self.coder.state(), crossed=r.crossed.state(), own=own)

    def _kept(self) -> dict[str, Array]:
        return {"stack": self.stack}

    def restore(self, state: State) -> Lookup:
        self.coder, own = Coder.restore(state.within("coder")), state.within("own")
        singles = []
        for f, size in zip(self.coder.fields, self.coder.sizes, strict=True):
            if f != USER:
                singles.append(np.array(own.arrays[f"single.{f}"]))
                continue
            whole = np.zeros((size, own.arrays["strangers"].shape[1]))
            whole[0] = own.arrays["strangers"][0]
            known = np.flatnonzero(self.coder.users)
            whole[self.coder.users[known]] = own.users[USER][known]
            singles.append(whole)
        self.rates = Rates(
            crossed=Crossed.restore(state.within("crossed")), singles=singles, doubles=own.arrays["doubles"],
            prior=own.arrays["prior"],
        )  # fmt: skip
        self.smooth = float(own.facts["smooth"])
        self._hold(own.arrays)
        return self

    def _hold(self, arrays: Mapping[str, Array]) -> None:
        self.stack = arrays["stack"]


class Trees(Lookup):
    """Boosted trees, stopped by the AUC of the validation rows and calibrated on them."""

    config: TreesConfig

    def __init__(self, config: TreesConfig = TreesConfig()) -> None:
        super().__init__(config)

    def _learn(self, coded: Coded, valid: Coded, run: Run) -> None:
        lightgbm, c = _lightgbm(), self.config
        self.smooth = 8.0 if c.smooth is None else c.smooth
        told = {
            "objective": "binary", "metric": "auc", "num_leaves": c.leaves, "learning_rate": c.rate, "verbosity": -1,
            "min_data_in_leaf": c.least, "seed": run.seed, "deterministic": True, "force_row_wise": True,
            "feature_pre_filter": False,
        }  # fmt: skip
        self.trees, self.temperatures, rounds = [], [], []
        for t in range(coded.labels.shape[1]):
            rows, held = np.flatnonzero(coded.mask[:, t]), np.flatnonzero(valid.mask[:, t])
            columns = self._columns()
            part, judged = coded.take(rows), valid.take(held)
            folds = np.random.default_rng([run.seed, 5]).integers(0, FOLDS, len(part))
            learnt = lightgbm.Dataset(
                self._inputs(part, t, folds), part.labels[:, t].copy(), categorical_feature=columns
            )
            both = 0 < judged.labels[:, t].sum() < len(judged)
            stop = [lightgbm.early_stopping(c.patience, verbose=False)] if both else []
            watched = learnt.create_valid(self._inputs(judged, t), judged.labels[:, t].copy()) if both else None
            booster = lightgbm.train(
                told, learnt, c.rounds if both else min(c.rounds, 100), [watched] if both else None, callbacks=stop
            )
            z = booster.predict(self._inputs(judged, t), raw_score=True) if both else np.zeros(len(judged))
            self.temperatures.append(temperature(judged.labels[:, t], z))
            self.trees.append(booster)
            rounds.append(booster.best_iteration or booster.current_iteration())
        self.fitted = {"rounds": rounds, "smooth": self.smooth, "temperature": self.temperatures}

    def _columns(self) -> list[int]:
        """Which inputs are categories: the first ones, fields with few values."""
        return list(range(sum(size <= self.config.small for size in self.coder.sizes)))

    def _inputs(self, coded: Coded, task: int, own: Array | None = None, ids: Array | None = None) -> Array:
        small = [i for i, size in enumerate(self.coder.sizes) if size <= self.config.small]
        rates = self.rates.logits(coded, task, self.smooth, own=own, ids=ids)
        numbers = np.where(coded.numbers < 0, np.nan, coded.numbers)
        return np.hstack([coded.fields[:, small].astype(np.float32), rates, numbers])

    def predict(self, examples: Examples) -> dict[str, Array]:
        coded, out = self.coder.code(examples), {}
        ids = self.rates.crossed.ids(coded.fields)
        for t, task in enumerate(self.coder.tasks):
            if len(coded):
                z = self.trees[t].predict(self._inputs(coded, t, ids=ids), raw_score=True, num_threads=1)
            else:
                z = np.zeros(0)
            out[task] = sigmoid(z / self.temperatures[t]).astype(np.float32)
        return out

    def _kept(self) -> dict[str, Array]:
        texts = {f"trees.{t}": np.frombuffer(b.model_to_string().encode(), np.uint8) for t, b in enumerate(self.trees)}
        return {**texts, "temperatures": np.array(self.temperatures)}

    def _hold(self, arrays: Mapping[str, Array]) -> None:
        lightgbm = _lightgbm()
        self.temperatures = arrays["temperatures"].tolist()
        texts = [np.asarray(arrays[f"trees.{t}"]).tobytes().decode() for t in range(len(self.temperatures))]
        self.trees = [lightgbm.Booster(model_str=text) for text in texts]


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError:
        raise extra("lightgbm", "trees") from None
    return lightgbm
