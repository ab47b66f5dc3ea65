"""Whole slates: each estimator is exact under its own belief, worked over every slate there is."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from interplay.errors import BadData, Undecidable
from interplay.evaluate.slates import (
    SLATE_ESTIMATORS,
    Chances,
    SlateLog,
    cascade_dr,
    cascade_model,
    design,
    pseudo_inverse,
    uniform_design,
)

ITEMS, K = 3, 2


def every(belief: str) -> tuple[SlateLog, np.ndarray, float]:
    """Every slate of two places over three items (repeats allowed, places independent), its chance and the truth."""
    rng = np.random.default_rng(7)
    logger, wanted = rng.dirichlet(np.ones(ITEMS), K), rng.dirichlet(np.ones(ITEMS), K)
    items = np.array(list(product(range(ITEMS), repeat=K)))
    own, pair = rng.random((K, ITEMS)), rng.random((ITEMS, ITEMS))
    reward = own[np.arange(K), items]
    if belief != "independent":
        reward[:, 1] += pair[items[:, 0], items[:, 1]]
    if belief == "standard":
        reward[:, 0] += pair[items[:, 1], items[:, 0]]
    at = logger[np.arange(K), items], wanted[np.arange(K), items]
    log = SlateLog(reward=reward, logged=Chances.independent(at[0]), candidate=Chances.independent(at[1]), items=items)
    return log, at[0].prod(axis=1), float(at[1].prod(axis=1) @ reward.sum(axis=1))


RIGHT = {
    "independent": {"sips", "rips", "iips"}, "cascade": {"sips", "rips"}, "standard": {"sips"},
}  # fmt: skip


@pytest.mark.parametrize("belief", RIGHT)
@pytest.mark.parametrize("name", ["sips", "iips", "rips"])
def test_an_estimator_is_unbiased_just_where_its_belief_holds(belief, name):
    log, chance, truth = every(belief)
    told = float(chance @ SLATE_ESTIMATORS[name](log).base)
    assert (abs(told - truth) < 1e-12) == (name in RIGHT[belief]), (told, truth)


def test_with_a_candidate_that_is_the_logger_all_are_the_mean():
    log, _, _ = every("standard")
    same = SlateLog(reward=log.reward, logged=log.logged, candidate=log.logged)
    for name, estimate in SLATE_ESTIMATORS.items():
        assert abs(estimate(same).value - log.reward.sum(axis=1).mean()) < 1e-12, name


def test_one_place_makes_all_of_them_one():
    log, _, _ = every("independent")
    one = Chances.independent(log.logged.item[:, :1]), Chances.independent(log.candidate.item[:, :1])
    short = SlateLog(reward=log.reward[:, :1], logged=one[0], candidate=one[1])
    told = [SLATE_ESTIMATORS[n](short).value for n in ("sips", "iips", "rips")]
    assert max(told) - min(told) < 1e-12
    told = [SLATE_ESTIMATORS[n](short).value for n in ("snsips", "sniips", "snrips")]
    assert max(told) - min(told) < 1e-12


def test_the_normalised_are_sums_of_weighted_means():
    log, _, _ = every("cascade")
    w = log.weight("prefix")
    slow = sum((w[:, k] * log.reward[:, k]).sum() / w[:, k].sum() for k in range(K))
    assert abs(SLATE_ESTIMATORS["snrips"](log).value - slow) < 1e-12
    nothing = SlateLog(reward=log.reward, logged=log.logged, candidate=Chances(prefix=np.zeros((len(w), K))))
    with pytest.raises(Undecidable, match="place 0"):
        SLATE_ESTIMATORS["snrips"](nothing)


def test_cascade_dr_without_a_model_is_rips_and_unbiased_with_any():
    log, chance, truth = every("cascade")
    zero = np.zeros_like(log.reward)
    assert abs(cascade_dr(log, zero, zero).value - SLATE_ESTIMATORS["rips"](log).value) < 1e-12
    q = np.random.default_rng(0).random((ITEMS, ITEMS))  # any Q of the second place, of both items
    wanted = [log.candidate.item[[0, 3, 6], 0], log.candidate.item[:3, 1]]
    first = np.random.default_rng(1).random(ITEMS)
    modelled = np.column_stack([first[log.items[:, 0]], q[log.items[:, 0], log.items[:, 1]]])
    mean = np.column_stack([np.full(9, wanted[0] @ first), q[log.items[:, 0]] @ wanted[1]])
    assert abs(float(chance @ cascade_dr(log, modelled, mean).base) - truth) < 1e-12


def drawn(n: int, seed: int) -> tuple[SlateLog, np.ndarray, float]:
    """A sample of slates with rewards that cascade, the candidate's steps, and its value."""
    rng = np.random.default_rng(seed)
    whole, chance, truth = every("cascade")
    at = rng.choice(len(chance), n, p=chance)
    reward = whole.reward[at] + rng.normal(0, 0.1, (n, K))
    cut = [Chances.independent(c.item[at]) for c in (whole.logged, whole.candidate)]
    first, second = whole.candidate.item[[0, 3, 6], 0], whole.candidate.item[:3, 1]
    steps = np.tile(np.stack([first, second]), (n, 1, 1))
    return SlateLog(reward=reward, logged=cut[0], candidate=cut[1], items=whole.items[at]), steps, truth


def test_a_fitted_model_lowers_the_variance_of_rips():
    told = []
    for seed in range(40):
        log, steps, truth = drawn(400, seed)
        with_model = cascade_dr(log, *cascade_model(log, steps, seed=seed)).value
        told.append((with_model - truth, SLATE_ESTIMATORS["rips"](log).value - truth))
    mine, plain = np.array(told).T
    assert abs(mine.mean()) < 4 * mine.std() / np.sqrt(40)
    assert mine.std() < 0.8 * plain.std()


def test_the_pseudo_inverse_is_unbiased_for_sums_over_pairs():
    log, chance, truth = every("independent")
    gram, _ = design(log.items, chance, ITEMS)
    _, target = design(log.items, log.candidate.slate, ITEMS)
    assert abs(float(chance @ pseudo_inverse(log, gram, target).base) - truth) < 1e-12


def test_the_pseudo_inverse_knows_uniform_permutations():
    slates = np.array(list(permutations(range(4), 3)))
    uniform = np.full(len(slates), 1 / len(slates))
    np.testing.assert_allclose(design(slates, uniform, 4)[0], uniform_design(4, 3), atol=1e-12)
    own = np.random.default_rng(2).random((3, 4))
    reward = own[np.arange(3), slates]
    candidate = np.random.default_rng(3).dirichlet(np.ones(len(slates)))
    log = SlateLog(reward=reward, logged=Chances(slate=uniform), candidate=Chances(slate=candidate), items=slates)
    told = pseudo_inverse(log, uniform_design(4, 3), design(slates, candidate, 4)[1])
    assert abs(float(uniform @ told.base) - float(candidate @ reward.sum(axis=1))) < 1e-12
    assert told.base.std() < (log.weight("slate") * reward.sum(axis=1)).std()


def test_steps_of_a_log_make_prefixes_and_what_is_missing_is_named():
    told = Chances.stepwise(np.array([[0.5, 0.4], [0.2, 1.0]]))
    np.testing.assert_allclose(told.prefix, [[0.5, 0.2], [0.2, 0.2]])
    log = SlateLog(reward=np.ones((2, 2)), logged=told, candidate=told)
    with pytest.raises(BadData, match="each item under both"):
        SLATE_ESTIMATORS["iips"](log)
    with pytest.raises(BadData, match="had a chance"):
        SlateLog(reward=np.ones((1, 2)), logged=Chances.stepwise(np.array([[0.5, 0.0]])), candidate=told)
    with pytest.raises(BadData, match="rewards of the slates are NaN"):
        SlateLog(reward=np.array([[1.0, np.nan], [0.0, 0.0]]), logged=told, candidate=told)
    for wrong in (1.5, -0.1, np.nan):
        other = Chances(item=np.array([[0.5, wrong], [0.2, 1.0]]))
        with pytest.raises(BadData, match=r"candidate's chances \(item\) are not in \[0, 1\]"):
            SlateLog(reward=np.ones((2, 2)), logged=told, candidate=other)
