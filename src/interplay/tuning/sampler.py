"""What a search tries next, by Optuna's samplers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interplay.errors import extra
from interplay.tuning.spaces import Axis, Choice, Range
from interplay.tuning.trials import Trial

METHODS = ("tpe", "random")
FRESH = 100  # draws in a row that were tried before end a search: nothing is left of the space
MANNERLY = 20  # of these by the method that was asked for; the rest are drawn evenly


def library() -> Any:
    try:
        import optuna
    except ImportError:
        raise extra("optuna", "tune") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Sampler:
    """What is tried next. It depends on nothing but what is recorded, so a search that was killed goes on as before."""

    def __init__(self, axes: Mapping[str, Axis], *, method: str = "tpe", seed: int = 0, sign: float = 1.0) -> None:
        self.axes, self.method, self.seed, self.sign = axes, method, seed, sign
        self.optuna = library()
        self.spans = {key: _distribution(self.optuna, axis) for key, axis in axes.items()}
        self.study, self.told = self._study(), 0

    def next(
        self, number: int, trials: Sequence[Trial], running: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any] | None:
        """Settings for trial `number` that were not tried before; None where the space seems to hold no more.

        A failed trial counts as worse than any other; one that still runs as the worst so far, so none are alike.
        """
        for trial in trials[self.told :]:
            self._tell(self.study, trial.settings, None if trial.value is None else self.sign * trial.value)
        self.told, study = len(trials), self.study
        known = [self.sign * t.value for t in trials if t.value is not None]
        if running and known:
            study = self._study()
            study.add_trials(self.study.trials)
            for settings in running:
                self._tell(study, settings, min(known))
        seen = {_key(settings) for settings in [*(t.settings for t in trials), *running]}
        samplers = self.optuna.samplers
        for draw in range(FRESH):
            own = int(np.random.SeedSequence([self.seed, number, draw]).generate_state(1)[0])
            orderly = self.method == "tpe" and draw < MANNERLY
            study.sampler = samplers.TPESampler(seed=own) if orderly else samplers.RandomSampler(seed=own)
            asked = study.ask(self.spans)
            study.tell(asked, state=self.optuna.trial.TrialState.FAIL)  # as if never asked
            drawn = asked.params
            found = {k: a.rounded(drawn[k]) if isinstance(a, Range) else drawn[k] for k, a in self.axes.items()}
            if _key(found) not in seen:
                return found
        return None

    def _study(self) -> Any:
        return self.optuna.create_study(direction="maximize")

    def _tell(self, study: Any, settings: Mapping[str, Any], value: float | None) -> None:
        if all(settings[key] in axis for key, axis in self.axes.items()):  # what stands as default may lie outside
            state = self.optuna.trial.TrialState
            study.add_trial(self.optuna.trial.create_trial(
                state=state.PRUNED if value is None else state.COMPLETE, value=value, params=dict(settings),
                distributions=self.spans,
            ))  # fmt: skip


def _distribution(optuna: Any, axis: Axis) -> Any:
    if isinstance(axis, Choice):
        return optuna.distributions.CategoricalDistribution(axis.of)
    if axis.whole:
        return optuna.distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, default=str)
