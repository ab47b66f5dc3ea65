"""Intervals cover, tests agree with SciPy, corrections and verdicts are careful."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from interplay.errors import BadData
from interplay.ops import stats


def test_the_bootstrap_agrees_with_theory_and_repeats_itself():
    values = np.random.default_rng(0).random(2000)
    found = stats.bootstrap(values, resamples=4000)
    error = values.std() / np.sqrt(2000)
    assert found.mean == pytest.approx(values.mean())
    assert found.lo == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.hi == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert found == stats.bootstrap(values, resamples=4000)
    assert found != stats.bootstrap(values, resamples=4000, seed=1)


def test_draws_are_uniform_and_paired_across_columns():
    values = np.eye(7)
    means = stats.resampled(values, resamples=20_000)
    np.testing.assert_allclose(means.sum(axis=1), 1.0)  # every resample draws exactly seven users
    np.testing.assert_allclose(means.mean(axis=0), 1 / 7, atol=0.003)
    np.testing.assert_allclose(means.var(axis=0), (1 / 7) * (6 / 7) / 7, rtol=0.05)


def test_blocks_of_resamples_do_not_change_the_answer(monkeypatch):
    values = np.random.default_rng(1).random(50)
    whole = stats.resampled(values, resamples=101)
    monkeypatch.setattr(stats, "BLOCK", 50 * 7)
    np.testing.assert_allclose(stats.resampled(values, resamples=101), whole, rtol=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = 0
    for s in range(300):
        found = stats.bootstrap(rng.random(80), resamples=400, seed=s)
        held += found.lo <= 0.5 <= found.hi
    assert 0.90 <= held / 300 <= 0.98


def test_the_hierarchical_interval_holds_the_variance_of_seeds():
    rng = np.random.default_rng(3)
    users = rng.random(500)
    calm, wild = np.tile(users, (5, 1)), users + np.array([-0.2, -0.1, 0.0, 0.1, 0.2])[:, None]
    narrow, wide = stats.hierarchical(calm, resamples=2000), stats.hierarchical(wild, resamples=2000)
    assert wide.hi - wide.lo > 3 * (narrow.hi - narrow.lo)
    one = stats.bootstrap(users, resamples=2000)
    assert narrow.hi - narrow.lo == pytest.approx(one.hi - one.lo, rel=0.1)


def test_paired_tests_agree_with_scipy():
    rng = np.random.default_rng(4)
    a, b = rng.random(60), rng.random(60)
    b[:10] = a[:10]
    assert stats.paired_t(a, b) == pytest.approx(reference.ttest_rel(a, b).pvalue)
    assert stats.wilcoxon(a, b) == pytest.approx(reference.wilcoxon(a, b, zero_method="pratt").pvalue)
    assert stats.paired_t(a, a) == stats.wilcoxon(a, a) == 1.0
    assert stats.paired_t(a + 1, a) < 1e-100


def test_paired_tests_need_the_same_users():
    with pytest.raises(BadData, match="same users"):
        stats.paired_t(np.zeros(3), np.zeros(4))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_at_least_p_at_most_bonferroni_and_keeps_the_order(p):
    raw, out = np.array(p), stats.holm(p)
    assert (out >= raw).all() and (out <= np.minimum(raw * len(raw), 1) + 1e-12).all()
    assert (np.diff(out[np.argsort(raw, kind="stable")]) >= 0).all()


def test_a_verdict_needs_interval_and_test():
    clear = stats.Estimate(mean=0.02, lo=0.01, hi=0.03, n=10)
    assert stats.verdict(clear, 0.01) == "better"
    assert stats.verdict(clear, 0.2) == "cannot tell"
    assert stats.verdict(stats.Estimate(mean=-0.02, lo=-0.03, hi=-0.01, n=10), 0.01) == "worse"


def test_the_same_system_twice_is_rarely_called_different():
    rng = np.random.default_rng(5)
    wrong = sum(stats.paired_t(rng.random(100), rng.random(100)) < 0.05 for _ in range(400))
    assert wrong / 400 < 0.09


def test_the_detectable_difference_is_detected_about_half_the_time():
    rng, n = np.random.default_rng(6), 200
    gap = stats.minimum_detectable(rng.normal(size=n))
    found = np.mean([stats.paired_t(rng.normal(size=n) + gap, rng.normal(size=n)) < 0.05 for _ in range(300)])
    assert 0.38 < found < 0.62


@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_values_that_cannot_be_averaged_are_refused(values):
    with pytest.raises(BadData):
        stats.bootstrap(values)
