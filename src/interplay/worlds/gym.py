"""Worlds as Gymnasium environments: `gymnasium.make("interplay/Pairs-v0")` after `register()`.

One environment is one person over some weeks: an observation tells what is known of each maker at hand, an action is a
score for each of them, the best are shown, and the reward is what the person does, weighted. For many people at once
take the world itself (worlds/pairs.py), whose steps are batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from interplay.data.pairs import Interactions, PairStates
from interplay.errors import extra
from interplay.types import Array
from interplay.worlds.pairlaws import KINDS, Levels, PairWorldConfig
from interplay.worlds.pairs import PairWorld, first_of, levels_of

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as missing:
    raise extra("gymnasium", "sim") from missing

PAIRS = "interplay/Pairs-v0"
ALONE = PairWorldConfig(makers=100, days=30, starved=0.0)  # one person starves nobody
FAR = 100.0  # no feature is further from 0
TASKS = ("click", "follow", "gift")


@dataclass(frozen=True, kw_only=True)
class PairEnvConfig:
    world: PairWorldConfig = field(default_factory=lambda: ALONE)
    weights: tuple[float, ...] = (1.0, 5.0, 20.0)  # reward of a click, a follow, and log(1 + amount) of a gift


class PairEnv(gymnasium.Env[Array, Array]):
    """One person and the makers at hand; over when the days are."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (gymnasium's own attribute)

    def __init__(self, config: PairEnvConfig = PairEnvConfig(), levels: Levels | None = None) -> None:
        self.config = config
        self.levels = levels if levels is not None else levels_of(replace(config.world, people=300))
        self.world = PairWorld(replace(config.world, people=1), levels=self.levels)
        self.places = config.world.candidates
        width = self._store().width
        self.observation_space = spaces.Box(-FAR, FAR, (self.places, width), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (self.places,), np.float32)

    def _store(self) -> PairStates:
        return PairStates.empty(np.zeros((self.config.world.makers, 0), np.float32), len(TASKS), 1)

    def _observed(self) -> Array:
        """float32[candidates, width]; zeros for what is padded, and when the days are over."""
        asked = self.world.requests()
        if asked is None:
            return np.zeros((self.places, self.states.width), np.float32)
        at = asked.context["candidates"][0].astype(np.int64)
        assert asked.at is not None
        x = self.states.features(np.zeros(len(at), np.int64), at, int(asked.at[0]))
        return np.where((at >= 0)[:, None], np.clip(x, -FAR, FAR), 0.0).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Another person each time; the same seed brings the same one, and the same days."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(0, 2**31))
        self.world = PairWorld(replace(self.config.world, people=1), seed=drawn, levels=self.levels)
        self.states = self._store()
        return self._observed(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Show the makers with the highest scores."""
        asked = self.world.requests()
        if asked is None:
            return self._observed(), 0.0, True, False, {}
        at = asked.context["candidates"].astype(np.int64)
        score = np.nan_to_num(np.clip(np.asarray(action, np.float64), -1, 1))
        page = first_of(at, score[None, :], asked.k)
        events = self.world.show(page.items)
        met = Interactions.of_events(events, TASKS, amounts=("gift",))
        self.states = self.states.update(met)
        reward = float(met.outcome.sum(axis=0) @ np.asarray(self.config.weights))
        assert events.kind is not None
        did = np.bincount(events.kind, minlength=len(KINDS))
        over = self.world.moment is None
        return self._observed(), reward, over, False, {"shown": page.items[0], **dict(zip(KINDS, did, strict=True))}


def register() -> str:
    """Make the environment known to `gymnasium.make`; returns its name. May be called again."""
    if PAIRS not in gymnasium.registry:
        gymnasium.register(id=PAIRS, entry_point="interplay.worlds.gym:PairEnv")
    return PAIRS
