"""Intervals of estimates: over persons, valid at any size where bounds are known."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import BadData, BadSetting, Undecidable
from interplay.evaluate.intervals import Terms, bernstein, bootstrap, error, hoeffding, normal


def test_the_error_of_an_average_is_the_textbooks():
    x = np.random.default_rng(0).normal(size=500)
    assert error(Terms.mean(x)) == pytest.approx(x.std() / np.sqrt(500))


def test_the_error_of_a_ratio_is_what_resampling_finds():
    rng = np.random.default_rng(1)
    w = rng.gamma(2.0, size=2000)
    terms = Terms.ratio(w * rng.random(2000), w)
    drawn = [Terms.ratio(terms.top[i], terms.bottom[i]).value for i in rng.integers(0, 2000, (400, 2000))]
    assert error(terms) == pytest.approx(np.std(drawn), rel=0.15)


def test_rounds_of_one_person_are_drawn_together():
    rng = np.random.default_rng(2)
    own = rng.normal(size=50)
    values, who = np.repeat(own, 40), np.repeat(np.arange(50), 40)
    together, apart = bootstrap(Terms.mean(values), who), bootstrap(Terms.mean(values))
    assert together.high - together.low > 4 * (apart.high - apart.low)
    assert normal(Terms.mean(values), who).low == pytest.approx(own.mean() - 1.96 * own.std() / np.sqrt(50), rel=0.01)


def test_the_same_seed_gives_the_same_interval():
    terms = Terms.mean(np.random.default_rng(3).random(80))
    assert bootstrap(terms, seed=4) == bootstrap(terms, seed=4) != bootstrap(terms, seed=5)


@pytest.mark.parametrize("kind", [hoeffding, bernstein])
def test_intervals_for_any_size_hold_the_mean_nearly_always(kind):
    rng, held = np.random.default_rng(4), 0
    for _ in range(300):
        x = (rng.random(60) < 0.1).astype(float)
        low, high = kind(x, 0.0, 1.0, np.arange(60) // 2)
        held += low <= 0.1 <= high
    assert held >= 0.95 * 300


def test_bernstein_is_narrower_where_the_variance_is_small():
    x = (np.random.default_rng(5).random(5000) < 0.01).astype(float)
    wide, narrow = hoeffding(x, 0.0, 1.0), bernstein(x, 0.0, 1.0)
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)


def test_values_outside_their_bounds_and_levels_that_are_none_are_refused():
    with pytest.raises(BadData, match="outside"):
        hoeffding(np.array([0.5, 2.0]), 0.0, 1.0)
    with pytest.raises(BadSetting, match="level"):
        bootstrap(Terms.mean(np.ones(3)), level=95)
    with pytest.raises(BadData, match="no rounds"):
        _ = Terms.mean(np.zeros(0)).value
    with pytest.raises(Undecidable, match="something else in each"):
        _ = Terms.ratio(np.zeros(3), np.zeros(3)).value
