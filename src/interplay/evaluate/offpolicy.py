"""What another policy would have earned, from a log that says by what chance each action was taken.

    log = Log(action=a, reward=r, propensity=p, n_actions=34)
    candidate = Candidate.of(log, chances)          # pi_e(a | x): float64[n, actions]
    report = judged(log, candidate)                 # estimates, intervals, diagnosis; refused where the log cannot tell

off-policy   after Saito et al., Open Bandit Pipeline, NeurIPS D&B 2021

The estimators stand in estimators.py, estimated weights in weighting.py, reward models in rewards.py, whole slates in
slates.py. Refusal is a rule of our own: below max(100, 1 % of n) effective rounds, or with more than 1 % of the
candidate's mass where the logger never goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interplay.errors import BadData, BadSetting, Undecidable, unknown
from interplay.evaluate.estimators import ESTIMATORS, Rounds, estimator, tuned
from interplay.evaluate.intervals import RESAMPLES, Interval, Terms, bernstein, bootstrap, error, hoeffding
from interplay.types import Array, Id

FEWEST, SHARE = 100, 0.01  # effective rounds, and their share of all, below which nothing is estimated
MISSING = 0.01  # share of the candidate's mass on actions that the logger never takes


def _distributions(table: Array, shape: tuple[int, int], said: str) -> None:
    """Refuse what is no distribution over actions in each round."""
    if table.shape != shape:
        raise BadData(f"{said} have shape {table.shape}; expected {shape}, rounds by actions")
    wrong = ~np.isfinite(table).all(axis=1) | (table < 0).any(axis=1) | ~(np.abs(table.sum(axis=1) - 1) <= 1e-6)
    if wrong.any():
        raise BadData(
            f"{said} are no distributions in {int(wrong.sum()):,} of {shape[0]:,} rounds (NaN, below 0 or another sum "
            "than 1); leave those rounds out, or mend what writes them"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Log:
    """n rounds, as columns: what was done, by what chance, and what came of it."""

    action: Array  # int64[n]
    reward: Array  # float64[n]
    propensity: Array  # float64[n]: pi_b(a_i | x_i), the chance of what was done
    n_actions: int
    context: Array | None = None  # float64[n, d]
    position: Array | None = None  # int64[n]: the place that the action had; a candidate may differ by it
    who: Array | None = None  # int64[n]: whose round it was
    logger: Array | None = None  # int64[n]: which policy acted, where there were several
    chances: Array | None = None  # float64[n, n_actions]: all of pi_b(. | x_i), where it is known
    names: Sequence[Id] | None = None  # of the actions, for what is said to people

    def __post_init__(self) -> None:
        n = len(self.action)
        for name in ("reward", "propensity", "context", "position", "who", "logger", "chances"):
            held = getattr(self, name)
            if held is not None and len(held) != n:
                raise BadData(f"the log has {n} actions and {len(held)} rows of {name}; expected one for each round")
        if n and not (self.action.min() >= 0 and self.action.max() < self.n_actions):
            raise BadData(f"actions of the log lie outside 0..{self.n_actions - 1}; number them from 0")
        if not np.isfinite(self.reward).all():
            raise BadData("some rewards of the log are NaN or inf; leave those rounds out, and say how many")
        p = self.propensity
        wrong = ~((p > 0) & (p <= 1 + 1e-9))
        if wrong.any():
            raise BadData(
                f"{int(wrong.sum())} of {n} logged propensities are not in (0, 1] (first: {p[wrong][0]}); a log "
                "without the chance of what was done cannot be used"
            )
        if self.chances is not None:
            _distributions(self.chances, (n, self.n_actions), "the logger's chances")

    def __len__(self) -> int:
        return len(self.action)

    def take(self, rows: Array) -> Log:
        """The given rounds."""
        columns = ("action", "reward", "propensity", "context", "position", "who", "logger", "chances")
        held = {name: getattr(self, name) for name in columns}
        return replace(self, **{name: c[rows] for name, c in held.items() if c is not None})

    def floored(self, least: float = 1e-3) -> tuple[Log, float]:
        """With no propensity below `least`, for propensities that were estimated; and the share that was raised."""
        low = self.propensity < least
        return replace(self, propensity=np.maximum(self.propensity, least)), float(low.mean())

    def name(self, action: int) -> str:
        return str(self.names[action]) if self.names is not None else str(action)


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """What the policy to be judged would do in the rounds of a log."""

    chance: Array  # float64[n]: pi_e(a_i | x_i), of what was done
    chances: Array | None = None  # float64[n, n_actions]: all of pi_e(. | x_i), at the round's position

    @staticmethod
    def of(log: Log, chances: Array) -> Candidate:
        """From float64[n, actions], or [n, actions, positions] of which each round's own position is taken."""
        table, rows = np.asarray(chances, np.float64), np.arange(len(log))
        if table.ndim == 3:
            if log.position is None:
                raise BadData("the candidate differs by position and the log has none; give Log(position=...)")
            table = table[rows, :, log.position]
        _distributions(table, (len(log), log.n_actions), "the candidate's chances")
        return Candidate(chance=table[rows, log.action], chances=table)

    @staticmethod
    def always(log: Log, actions: Array) -> Candidate:
        """A policy that does one thing in each round: int64[n]."""
        table = np.zeros((len(log), log.n_actions))
        table[np.arange(len(log)), actions] = 1.0
        return Candidate(chance=table[np.arange(len(log)), log.action], chances=table)

    @property
    def deterministic(self) -> bool:
        """Whether it does one thing in each round."""
        table = self.chance if self.chances is None else self.chances
        return bool(((table == 0) | (table == 1)).all())


def weighted(log: Log, candidate: Candidate, modelled: Array | None = None, expected: Array | None = None) -> Rounds:
    """What the estimators look at: rewards, weights and a reward model's predictions where there is one."""
    none = np.zeros(len(log))
    return Rounds(
        reward=np.asarray(log.reward, np.float64), weight=candidate.chance / log.propensity,
        modelled=none if modelled is None else modelled, expected=none if expected is None else expected,
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Whether the log can tell


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """How far a log can speak for a candidate."""

    n: int
    effective: float  # (sum w)^2 / sum w^2
    mean_weight: float  # 1 where the logger may do all that the candidate does
    max_weight: float
    matched: float  # share of rounds with a weight above 0
    missing: float  # the candidate's mass on actions that the logger never takes
    actions: tuple[str, ...]  # ... which they are, the heaviest first
    exact: bool  # whether `missing` is by the logger's own distribution, or by what it never did in the log
    reasons: tuple[str, ...]  # why nothing should be concluded; none where something may be

    @property
    def usable(self) -> bool:
        return not self.reasons


def diagnosed(log: Log, candidate: Candidate, *, fewest: int = FEWEST, share: float = SHARE) -> Diagnosis:
    """Effective rounds, weights and support, with the reasons against an estimate."""
    weight = candidate.chance / log.propensity
    total, squares = float(weight.sum()), float((weight**2).sum())
    effective = total**2 / squares if squares else 0.0
    missing, named, exact = _missing(log, candidate)
    reasons = []
    if missing > MISSING:
        listed = ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
        never = "never takes" if exact else "never took in this log"
        reasons.append(
            f"{missing:.1%} of what the candidate would do are actions that the logging policy {never}: {listed}; log "
            "with a policy that tries them, or ask about one that leaves them out"
        )
    needed = max(fewest, share * len(log))
    if effective < needed:
        reasons.append(
            f"the log is worth {effective:.0f} rounds for this candidate (of {len(log):,}; {needed:.0f} are needed); "
            "log longer, or with a policy that is closer to it"
        )
    return Diagnosis(
        n=len(log), effective=effective, mean_weight=total / max(len(log), 1),
        max_weight=float(weight.max(initial=0.0)), matched=float((weight > 0).mean()) if len(log) else 0.0,
        missing=missing, actions=tuple(named), exact=exact, reasons=tuple(reasons),
    )  # fmt: skip


def _missing(log: Log, candidate: Candidate) -> tuple[float, list[str], bool]:
    """The candidate's mass outside the logger's support, the actions by mass, and whether the support is known."""
    if candidate.chances is None:
        return 0.0, [], False
    if log.chances is not None:
        mass = np.where(log.chances <= 0, candidate.chances, 0.0).sum(axis=0)
    else:
        place = np.zeros(len(log), np.int64) if log.position is None else np.asarray(log.position, np.int64)
        mass = np.zeros(log.n_actions)
        for at in np.unique(place):
            here = place == at
            never = np.bincount(log.action[here], minlength=log.n_actions) == 0
            mass[never] += candidate.chances[here][:, never].sum(axis=0)
    order = np.argsort(-mass, kind="stable")
    named = [log.name(int(a)) for a in order if mass[a] > 1e-12 * max(len(log), 1)]
    return float(mass.sum()) / max(len(log), 1), named, log.chances is not None


# --------------------------------------------------------------------------------------------------------------------
# All at once


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one estimator says."""

    name: str
    value: float
    error: float  # standard error
    interval: Interval  # bootstrap over persons
    hoeffding: Interval | None  # of unbiased ones whose weights are known to stay below a bound
    bernstein: Interval | None
    limit: float | None  # of weights, where it has one


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a log says about a candidate."""

    estimates: Mapping[str, Estimate]
    logged: Estimate  # what the logging policy itself earned
    diagnosis: Diagnosis

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.estimates:
            raise unknown("estimate", name, self.estimates)
        return self.estimates[name]


def judged(
    log: Log,
    candidate: Candidate,
    *,
    modelled: Array | None = None,
    expected: Array | None = None,
    names: Sequence[str] | None = None,
    by: str = "slope",
    bounds: tuple[float, float] | None = None,
    largest: float | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    anyway: bool = False,
) -> Report:
    """Every estimator that the inputs allow (or those in `names`), with intervals.

    `modelled` and `expected` are a reward model's q(x, a) and q(x, pi_e); `bounds` are the least and the largest reward
    there can be (by default the rewards' own) and `largest` the largest weight (by default what the logger's whole
    distribution says): unbiased estimators then get the intervals that hold at any size. Undecidable is raised where
    the log cannot tell, unless asked `anyway`.
    """
    diagnosis = diagnosed(log, candidate)
    if diagnosis.reasons and not anyway:
        raise Undecidable("; ".join(diagnosis.reasons))
    rounds = weighted(log, candidate, modelled, expected)
    chosen = [n for n in ESTIMATORS if _able(n, candidate, modelled)] if names is None else list(names)
    for name in chosen:
        if estimator(name).models and modelled is None:
            raise BadSetting(f"{name!r} needs a reward model; give modelled= and expected= (rewards.cross_fitted)")
    top = _largest(log, candidate) if largest is None else largest
    span = (float(log.reward.min()), float(log.reward.max())) if bounds is None else bounds

    def one(name: str) -> Estimate:
        row, limit = estimator(name), tuned(name, rounds, by=by, who=log.who)
        terms = row.terms(rounds, limit)
        reach = _reach(row.models, rounds, top, span) if row.unbiased and top is not None else None
        certain = {
            kind.__name__: None if reach is None else kind(terms.base, *reach, log.who, level=level)
            for kind in (hoeffding, bernstein)
        }
        return Estimate(
            name=name, value=terms.value, error=error(terms, log.who), limit=limit if row.limits else None,
            interval=bootstrap(terms, log.who, resamples=resamples, level=level, seed=seed), **certain,
        )  # fmt: skip

    plain = Terms.mean(np.asarray(log.reward, np.float64))
    logged = Estimate(
        name="logged", value=plain.value, error=error(plain, log.who), limit=None, hoeffding=None, bernstein=None,
        interval=bootstrap(plain, log.who, resamples=resamples, level=level, seed=seed),
    )  # fmt: skip
    return Report(estimates={n: one(n) for n in chosen}, logged=logged, diagnosis=diagnosis)


def _able(name: str, candidate: Candidate, modelled: Array | None) -> bool:
    if name == "replay":
        return candidate.deterministic and bool(candidate.chance.any())
    return modelled is not None or not ESTIMATORS[name].models


def _largest(log: Log, candidate: Candidate) -> float | None:
    """The largest weight there can be, by the logger's own distribution; None where that is not known."""
    if log.chances is None or candidate.chances is None:
        return None
    ratio = np.divide(candidate.chances, log.chances, out=np.zeros_like(log.chances), where=log.chances > 0)
    return float(ratio.max())


def _reach(models: bool, rounds: Rounds, largest: float, span: tuple[float, float]) -> tuple[float, float]:
    """Between what bounds one round's term of ips or dr lies."""
    if not models:
        return min(largest * span[0], 0.0), max(largest * span[1], 0.0)
    low = min(span[0], float(rounds.modelled.min()), float(rounds.expected.min()))
    high = max(span[1], float(rounds.modelled.max()), float(rounds.expected.max()))
    return low - largest * (high - low), high + largest * (high - low)
