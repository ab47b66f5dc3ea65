"""What another policy would have earned: identities to 1e-12, unbiasedness by enumeration, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import BadData, BadSetting, Undecidable, UnknownName
from interplay.evaluate.estimators import ESTIMATORS, Rounds, estimator, shrunk, slope, tuned
from interplay.evaluate.intervals import Terms, error
from interplay.evaluate.offpolicy import Candidate, Log, diagnosed, judged, weighted
from interplay.evaluate.rewards import RewardConfig, cross_fitted
from interplay.evaluate.weighting import by_mixture, by_variance, classified, marginal, odds, reweighted

ACTIONS = 5


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def world(n: int = 4000, seed: int = 0, spread: float = 1.0) -> tuple[Log, Candidate, np.ndarray]:
    """A log by a softmax policy over five actions, another softmax as candidate, and the mean rewards float64[n, 5]."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    score = x @ rng.normal(size=(3, ACTIONS))
    mean = 1 / (1 + np.exp(-score))
    logger, candidate = softmax(-0.5 * spread * score), softmax(spread * score)
    action = np.minimum((logger.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), ACTIONS - 1)
    rows = np.arange(n)
    log = Log(
        action=action, reward=(rng.random(n) < mean[rows, action]).astype(float), propensity=logger[rows, action],
        n_actions=ACTIONS, context=x, chances=logger, who=rng.integers(0, n // 3, n),
    )  # fmt: skip
    return log, Candidate.of(log, candidate), mean


def value(name: str, rounds: Rounds, limit: float = 0.0) -> float:
    return ESTIMATORS[name].terms(rounds, limit).value


@pytest.fixture(scope="module")
def rounds() -> Rounds:
    log, candidate, mean = world()
    rows = np.arange(len(log))
    noisy = np.clip(mean + 0.2, 0, 1)
    return weighted(log, candidate, noisy[rows, log.action], (candidate.chances * noisy).sum(axis=1))


# ---------------------------------------------------------------------------------------------------------- identities


def same(a: float, b: float) -> None:
    assert abs(a - b) < 1e-12


def test_switch_and_shrinkage_are_the_direct_method_at_limit_zero(rounds):
    same(value("switch-dr", rounds, 0.0), value("dm", rounds))
    same(value("dros", rounds, 0.0), value("dm", rounds))


def test_ncis_is_snips_without_a_limit_and_weighs_no_round_by_more_than_its_limit(rounds):
    same(value("ncis", rounds, np.inf), value("snips", rounds))
    w = np.minimum(rounds.weight, 0.7)
    same(value("ncis", rounds, 0.7), float((w * rounds.reward).sum() / w.sum()))


def test_switch_and_shrinkage_are_dr_without_a_limit(rounds):
    same(value("switch-dr", rounds, np.inf), value("dr", rounds))
    same(value("dros", rounds, np.inf), value("dr", rounds))


def test_without_a_reward_model_dr_is_ips_and_sndr_is_snips():
    log, candidate, _ = world()
    plain = weighted(log, candidate)
    same(value("dr", plain), value("ips", plain))
    same(value("sndr", plain), value("snips", plain))
    same(value("dm", plain), 0.0)


def test_a_candidate_that_is_the_logger_earns_the_mean_reward():
    log, _, _ = world()
    itself = weighted(log, Candidate.of(log, log.chances))
    np.testing.assert_allclose(itself.weight, 1.0, atol=1e-12)
    for name in ("ips", "snips", "clipped", "sub-gaussian", "dr", "sndr"):
        limit = 1.0 if name == "clipped" else 0.4
        same(value(name, itself, limit), log.reward.mean())


def test_without_a_limit_clipped_and_bent_weights_are_ips(rounds):
    same(value("clipped", rounds, np.inf), value("ips", rounds))
    same(value("sub-gaussian", rounds, 0.0), value("ips", rounds))
    same(value("sub-gaussian", rounds, 1.0), rounds.reward[rounds.weight > 0].sum() / len(rounds.reward))


def test_a_perfect_reward_model_needs_no_correction_in_dr():
    log, candidate, mean = world()
    rows = np.arange(len(log))
    exact = weighted(log, candidate, log.reward, (candidate.chances * mean).sum(axis=1))
    for name in ("dr", "sndr", "switch-dr", "dros"):
        same(value(name, exact, 3.0), value("dm", exact))
    assert rows.size == 4000


def test_replay_is_the_mean_of_the_rounds_that_agree():
    rng = np.random.default_rng(1)
    action, wanted = rng.integers(0, ACTIONS, 900), rng.integers(0, ACTIONS, 900)
    log = Log(action=action, reward=rng.random(900), propensity=np.full(900, 1 / ACTIONS), n_actions=ACTIONS)
    told = weighted(log, Candidate.always(log, wanted))
    same(value("replay", told), log.reward[action == wanted].mean())
    same(value("replay", told), value("snips", told))  # of uniform logging


def test_shrunk_weights_are_the_formula_and_stay_below_half_its_root():
    w = np.linspace(0, 50, 200)
    np.testing.assert_allclose(shrunk(w, 25.0), 25.0 * w / (w**2 + 25.0), atol=1e-12)
    assert shrunk(w, 25.0).max() <= np.sqrt(25.0) / 2 + 1e-12


# --------------------------------------------------------------------------------------------- unbiased by enumeration


def everything() -> tuple[Log, Candidate, np.ndarray, np.ndarray, float]:
    """Every (context, action, reward) of a world with two contexts, three actions and rewards 0 and 1, the chance of
    each, mean rewards and the candidate's value."""
    of_x = np.array([0.3, 0.7])
    logger = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    wanted = np.array([[0.1, 0.1, 0.8], [0.6, 0.0, 0.4]])
    mean = np.array([[0.2, 0.9, 0.4], [0.7, 0.1, 0.5]])
    x, a, r = (c.ravel() for c in np.meshgrid([0, 1], [0, 1, 2], [0, 1], indexing="ij"))
    chance = of_x[x] * logger[x, a] * np.where(r == 1, mean[x, a], 1 - mean[x, a])
    log = Log(
        action=a, reward=r.astype(float), propensity=logger[x, a], n_actions=3, chances=logger[x],
        context=np.eye(2)[x], names=["lamp", "tea", "fern"],
    )  # fmt: skip
    assert abs(chance.sum() - 1) < 1e-12
    return log, Candidate.of(log, wanted[x]), chance, mean[x], float(of_x @ (wanted * mean).sum(axis=1))


def expected(terms: Terms, chance: np.ndarray) -> float:
    """The estimate on the whole distribution."""
    return float(chance @ terms.base + (chance @ terms.top) / (chance @ terms.bottom))


def test_ips_and_dr_are_unbiased_and_the_normalised_ones_consistent():
    log, candidate, chance, _, truth = everything()
    wrong = np.random.default_rng(0).random((len(log), 3))[log.context.argmax(axis=1)]  # any q will do
    q, e = wrong[np.arange(len(log)), log.action], (candidate.chances * wrong).sum(axis=1)
    told = weighted(log, candidate, q, e)
    for name in ("ips", "dr", "snips", "sndr"):
        same(expected(ESTIMATORS[name].terms(told, 0.0), chance), truth)
    assert abs(expected(ESTIMATORS["dm"].terms(told, 0.0), chance) - truth) > 0.01


def test_the_direct_method_is_unbiased_with_the_true_rewards():
    log, candidate, chance, mean, truth = everything()
    q, e = mean[np.arange(len(log)), log.action], (candidate.chances * mean).sum(axis=1)
    same(expected(ESTIMATORS["dm"].terms(weighted(log, candidate, q, e), 0.0), chance), truth)


def test_weights_of_kinds_are_unbiased_where_the_reward_depends_on_the_kind_alone():
    log, candidate, _, _, _ = everything()
    kind = np.array([0, 1, 1])  # tea and fern are alike
    mean = np.array([0.3, 0.8])
    of_x = np.array([0.3, 0.7])
    rows = np.arange(len(log)) % 2 == 0  # each (context, action) once
    part, at = log.take(rows), Candidate.of(log.take(rows), candidate.chances[rows])
    told = reweighted(weighted(part, at), marginal(part, at, kind))
    chance = of_x[part.context.argmax(axis=1)] * part.propensity
    truth = float((of_x[:, None] * (at.chances[::3] @ np.eye(2)[kind] * mean)).sum())
    same(float(chance @ (told.weight * mean[kind[part.action]])), truth)
    spread = [float(chance @ (w * mean[kind[part.action]]) ** 2) for w in (weighted(part, at).weight, told.weight)]
    assert spread[1] < spread[0], "and vary less than weights of actions"


# ------------------------------------------------------------------------------------------------ on samples, and more


def test_every_estimate_comes_near_the_truth_and_its_interval_holds_it():
    log, candidate, mean = world(n=6000, seed=3)
    q = cross_fitted(log, candidate, RewardConfig(crossed=True))
    report = judged(log, candidate, modelled=q.modelled, expected=q.expected)
    truth = float((candidate.chances * mean).sum(axis=1).mean())
    assert set(report.estimates) == set(ESTIMATORS) - {"replay"}
    for name, told in report.estimates.items():
        assert abs(told.value - truth) < 4 * report["ips"].error, name  # what SLOPE may give away, too
    for name in ("ips", "snips", "dr", "sndr"):  # the others are narrow around what they estimate, which is biased
        told = report[name]
        assert told.interval.low < truth < told.interval.high, name
        assert told.interval.low <= told.value <= told.interval.high
    assert report["dr"].error < report["ips"].error
    for name in ("ips", "dr"):
        assert report[name].hoeffding.high > report[name].bernstein.high > report[name].interval.high
    assert report["snips"].hoeffding is None and report["dm"].hoeffding is None
    assert report.logged.value == pytest.approx(log.reward.mean())


def test_rewards_are_predicted_by_other_peoples_rounds():
    log, candidate, _ = world(n=600)
    config = RewardConfig(model="table", ridge=1e-9)
    before = cross_fitted(log, candidate, config)
    one = log.who == log.who[0]
    changed = Log(**{**vars(log), "reward": np.where(one, 1 - log.reward, log.reward)})
    after = cross_fitted(changed, candidate, config)
    np.testing.assert_array_equal(before.table[one], after.table[one])
    assert (before.table != after.table).any()


@pytest.mark.parametrize("model", ["constant", "table", "logistic"])
@pytest.mark.parametrize("fit", ["plain", "importance", "mrdr"])
def test_reward_models_stay_inside_the_rewards_and_know_positions(model, fit):
    log, candidate, _ = world(n=500)
    placed = Log(**{**vars(log), "position": np.arange(500) % 3, "reward": 2.0 + 3.0 * log.reward})
    q = cross_fitted(placed, candidate, RewardConfig(model=model, fit=fit))
    assert q.table.shape == (500, ACTIONS) and np.isfinite(q.table).all()
    assert q.table.min() >= 2.0 - 1e-9 and q.table.max() <= 5.0 + 1e-9


def test_a_constant_reward_is_modelled_by_itself():
    log, candidate, _ = world(n=300)
    nothing = Log(**{**vars(log), "reward": np.zeros(300)})
    assert not cross_fitted(nothing, candidate).table.any()


def test_slope_takes_the_last_whose_interval_meets_all_before_it():
    assert slope([0.5], [0.1]) == 0
    assert slope([0.50, 0.55, 0.60], [0.10, 0.05, 0.04]) == 2
    assert slope([0.50, 0.90, 0.52], [0.10, 0.05, 0.01]) == 0, "it stops at the first that does not meet them"


def test_limits_are_chosen_by_either_rule_and_lower_the_error_where_weights_are_heavy():
    log, candidate, _ = world(n=1500, spread=2.5)
    told = weighted(log, candidate)
    for by in ("slope", "mse"):
        limit = tuned("clipped", told, by=by, who=log.who)
        assert limit in ESTIMATORS["clipped"].limits
        assert error(ESTIMATORS["clipped"].terms(told, limit)) <= error(ESTIMATORS["ips"].terms(told, 0.0))
    assert tuned("ips", told) == 0.0
    with pytest.raises(UnknownName, match="slope"):
        tuned("clipped", told, by="truth")


def test_weights_by_a_description_are_the_exact_ones_where_it_names_the_kind():
    log, candidate, _ = world(n=3000)
    kind = np.array([0, 0, 1, 1, 2])
    exact = marginal(log, candidate, kind)
    told = classified(log, candidate, np.eye(3)[kind[log.action]], ridge=1e-3)
    assert np.corrcoef(exact, told)[0, 1] > 0.97


def test_odds_of_a_classifier_stand_in_for_unknown_propensities():
    log, candidate, mean = world(n=4000, spread=0.5)
    weight, raised = odds(log, candidate)
    truth = float((candidate.chances * mean).sum(axis=1).mean())
    assert raised < 0.05
    assert value("snips", reweighted(weighted(log, candidate), weight)) == pytest.approx(truth, abs=0.03)


def test_several_loggers_are_weighed_by_their_mixture_or_by_their_errors():
    rng = np.random.default_rng(5)
    log, candidate, mean = world(n=3000, seed=5)
    uniform = np.full((3000, ACTIONS), 1 / ACTIONS)
    which = rng.integers(0, 2, 3000)
    table = np.where(which[:, None] == 0, log.chances, uniform)
    action = np.minimum((table.cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1), ACTIONS - 1)
    rows = np.arange(3000)
    reward = (rng.random(3000) < mean[rows, action]).astype(float)
    both = Log(action=action, reward=reward, propensity=table[rows, action], n_actions=ACTIONS, logger=which)
    at = Candidate.of(both, candidate.chances)
    truth = float((candidate.chances * mean).sum(axis=1).mean())
    mixed = by_mixture(both, np.column_stack([log.chances[rows, action], uniform[rows, action]]))
    naive = ESTIMATORS["ips"].terms(weighted(both, at), 0.0)
    balanced = ESTIMATORS["ips"].terms(weighted(mixed, at), 0.0)
    assert error(balanced) < error(naive)
    assert balanced.value == pytest.approx(truth, abs=4 * error(balanced))
    by_error, says = by_variance(both, weighted(both, at))
    assert by_error == pytest.approx(truth, abs=4 * error(naive)) and says[1] > says[0]


# ------------------------------------------------------------------------------------------------------------- refusal


def test_a_candidate_beyond_the_loggers_support_is_refused_by_name():
    log, candidate, _, _, _ = everything()
    without = np.where(np.arange(3) == 2, 0.0, log.chances)
    never = Log(**{**vars(log), "chances": without / without.sum(axis=1, keepdims=True)})
    told = diagnosed(never, candidate, fewest=0, share=0.0)
    assert (
        told.missing == pytest.approx(float(candidate.chances[:, 2].mean()))
        and told.actions == ("fern",)
        and told.exact
    )
    with pytest.raises(Undecidable, match="never takes: fern"):
        judged(never, candidate)


def test_without_the_loggers_distribution_what_it_never_did_counts():
    log, candidate, _ = world(n=2000)
    rows = log.action != 3
    part = Log(**{**vars(log.take(np.flatnonzero(rows))), "chances": None, "names": list("abcde")})
    told = diagnosed(part, Candidate.of(part, candidate.chances[rows]))
    assert told.actions == ("d",) and not told.exact and "never took in this log: d" in told.reasons[0]


def test_too_few_effective_rounds_are_refused_and_may_be_looked_at_anyway():
    log, candidate, _ = world(n=150)
    few = log.take(np.arange(90))
    at = Candidate.of(few, candidate.chances[:90])
    with pytest.raises(Undecidable, match="100 are needed"):
        judged(few, at)
    assert not judged(few, at, anyway=True).diagnosis.usable


def test_what_is_wrong_with_a_log_is_said():
    good = {
        "action": np.array([0, 1]),
        "reward": np.array([0.0, 1.0]),
        "propensity": np.array([0.5, 0.5]),
        "n_actions": 2,
    }
    for change, said in (
        ({"propensity": np.array([0.0, 0.5])}, "not in"),
        ({"propensity": np.array([1.5, 0.5])}, "not in"),
        ({"propensity": np.array([np.nan, 0.5])}, "not in"),
        ({"reward": np.array([np.nan, 0.5])}, "NaN"),
        ({"action": np.array([0, 2])}, "outside 0..1"),
        ({"who": np.array([0])}, "1 rows of who"),
        ({"chances": np.array([[np.nan, 0.5], [0.5, 0.5]])}, r"logger's chances are no distributions in 1 of 2 rounds"),
        ({"chances": np.array([[0.5, 0.6], [0.5, 0.6]])}, "no distributions in 2 of 2"),
        ({"chances": np.ones((2, 3)) / 3}, r"logger's chances have shape \(2, 3\)"),
    ):
        with pytest.raises(BadData, match=said):
            Log(**{**good, **change})
    log = Log(**good)
    with pytest.raises(BadData, match="no distributions"):
        Candidate.of(log, np.array([[0.5, 0.4], [0.5, 0.5]]))
    with pytest.raises(BadData, match="shape"):
        Candidate.of(log, np.ones((2, 3)) / 3)
    with pytest.raises(BadData, match="by position"):
        Candidate.of(log, np.ones((2, 2, 3)) / 2)
    with pytest.raises(BadSetting, match="reward model"):
        judged(log, Candidate.of(log, np.full((2, 2), 0.5)), names=["dr"], anyway=True)
    with pytest.raises(UnknownName, match="snips"):
        estimator("snipps")


def test_low_estimated_propensities_are_raised_and_counted():
    log = Log(action=np.zeros(4, int), reward=np.ones(4), propensity=np.array([1e-6, 0.5, 1.0, 1e-4]), n_actions=1)
    raised, share = log.floored(1e-3)
    assert share == 0.5 and raised.propensity.min() == 1e-3


def test_a_candidate_by_position_takes_each_rounds_own():
    log = Log(
        action=np.array([0, 1]), reward=np.ones(2), propensity=np.full(2, 0.5), n_actions=2, position=np.array([1, 0])
    )
    table = np.zeros((2, 2, 2))
    table[:, 0, 1], table[:, 1, 1] = 0.9, 0.1
    table[:, 0, 0], table[:, 1, 0] = 0.3, 0.7
    np.testing.assert_allclose(Candidate.of(log, table).chance, [0.9, 0.7])
