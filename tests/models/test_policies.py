"""Policies learnt from a log: every objective beats the logger, and its loss is the paper's, worked slowly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interplay.errors import BadData, BadSetting, UnknownName, Unsupported
from interplay.learn.descend import Descent
from interplay.models.policies import OBJECTIVES, Batch, Policies, PoliciesConfig
from interplay.types import Run
from small import crowd

ACTIONS = 4
QUICK = Descent(rate=0.05, batch=512, epochs=25, schedule="cosine")


def log(n: int = 3000, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    coefficients = np.random.default_rng(7).normal(size=(3, ACTIONS)) * 1.5
    mean = 1 / (1 + np.exp(-x @ coefficients))
    logger = np.full((n, ACTIONS), 1 / ACTIONS)
    action = rng.integers(0, ACTIONS, n)
    reward = (rng.random(n) < mean[np.arange(n), action]).astype(float)
    return x, action, reward, logger[:, 0], mean


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_earns_more_than_the_logger_did(objective):
    x, action, reward, p, _ = log()
    sure = {"q": 0.05, "ipw": 0.2}  # what these learn is meant to be acted on by its largest
    policy = Policies(PoliciesConfig(objective=objective, descent=QUICK, temperature=sure.get(objective, 1.0)))
    policy.learn(x, action, reward, p, actions=ACTIONS)
    fresh, *_, mean = log(seed=1)
    chances = policy.chances(fresh)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-9)
    best, uniform = mean.max(axis=1).mean(), mean.mean()
    earned = (chances * mean).sum(axis=1).mean()
    assert earned > uniform + 0.5 * (best - uniform), (objective, earned, uniform, best)


def batch(n: int = 6) -> tuple[torch.Tensor, Batch, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    logits, q = rng.normal(size=(n, ACTIONS)), rng.random((n, ACTIONS))
    action, reward, p = rng.integers(0, ACTIONS, n), rng.random(n), 0.2 + 0.5 * rng.random(n)
    as_tensor = {"action": action, "reward": reward, "propensity": p, "q": q, "x": np.zeros((n, 1))}
    held = Batch(**{k: torch.from_numpy(v) for k, v in as_tensor.items()})
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return torch.from_numpy(logits), held, chance, chance[np.arange(n), action] / p


def test_losses_are_the_papers_values_with_the_sign_turned():
    logits, held, chance, w = batch()
    r, q, a, n = held.reward.numpy(), held.q.numpy(), held.action.numpy(), 6
    p = held.propensity.numpy()
    config = PoliciesConfig(penalty=0.3)
    slow = {
        "ips": -sum(w[i] * r[i] for i in range(n)) / n,
        "snips": -sum(w * r) / sum(w) + 0.3 * (sum(w) / n - 1) ** 2,
        "dr": -sum((chance[i] * q[i]).sum() + w[i] * (r[i] - q[i, a[i]]) for i in range(n)) / n,
        "ipw": -sum(r[i] / p[i] * np.log(chance[i, a[i]]) for i in range(n)) / sum(r / p),
        "poem": -sum(w * r) / n + 0.3 * np.sqrt(np.var(w * r, ddof=1) / n),
    }
    for name, wanted in slow.items():
        assert float(OBJECTIVES[name](logits, held, config)) == pytest.approx(wanted), name


def test_weights_are_clipped():
    logits, held, _, w = batch()
    told = float(OBJECTIVES["ips"](logits, held, PoliciesConfig(clip=0.5)))
    assert told == pytest.approx(-(np.minimum(w, 0.5) * held.reward.numpy()).mean())


def test_state_moves_to_a_new_instance_and_the_same_seed_learns_the_same():
    x, action, reward, p, _ = log(400)
    config = PoliciesConfig(objective="ips", hidden=8, descent=QUICK)
    first, again = (Policies(config).learn(x, action, reward, p, actions=ACTIONS, run=Run(seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first.chances(x), again.chances(x))
    np.testing.assert_array_equal(first.chances(x), Policies(config).restore(first.state()).chances(x))


def test_a_floor_keeps_every_action_possible():
    x, action, reward, p, _ = log(400)
    policy = Policies(PoliciesConfig(objective="ips", least=0.2, temperature=0.01, descent=QUICK))
    assert policy.learn(x, action, reward, p, actions=ACTIONS).chances(x).min() >= 0.2 / ACTIONS - 1e-12


def test_a_log_that_cannot_be_learnt_from_is_refused():
    x, action, reward, p, _ = log(50)
    with pytest.raises(BadData, match="propensities"):
        Policies().learn(x, action, reward, 0 * p, actions=ACTIONS)
    with pytest.raises(BadData, match="NaN"):
        Policies().learn(x, action, reward * np.nan, p, actions=ACTIONS)
    with pytest.raises(BadData, match="no rounds"):
        Policies().learn(x[:0], action[:0], reward[:0], p[:0], actions=ACTIONS)
    with pytest.raises(BadSetting, match="knows no rewards"):
        Policies(PoliciesConfig(objective="ips")).rewards(x)
    with pytest.raises(Unsupported, match="interplay estimate"):
        Policies().fit(crowd())
    with pytest.raises(UnknownName, match="snips"):
        Policies(PoliciesConfig(objective="snip"))
