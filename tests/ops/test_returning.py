"""BG/NBD against its authors' own worked customer, by hand, and against a crowd that was drawn from it."""

import numpy as np
import pytest
from scipy.special import beta, gamma

from interplay.ops.returning import Returning, returning

CDNOW = Returning(r=0.243, alpha=4.414, a=0.793, b=2.426)


def test_the_authors_customer_is_expected_to_buy_1_226_times_in_39_weeks():
    said = CDNOW.expected(np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert said[0] == pytest.approx(1.226, abs=5e-4)


def test_the_likelihood_is_the_paper_s_sum_of_staying_and_going():
    r, alpha, a, b, x, last, age = 0.7, 3.0, 0.8, 2.4, 3.0, 20.0, 35.0
    stays = beta(a, b + x) / beta(a, b) * gamma(r + x) * alpha**r / (gamma(r) * (alpha + age) ** (r + x))
    goes = beta(a + 1, b + x - 1) / beta(a, b) * gamma(r + x) * alpha**r / (gamma(r) * (alpha + last) ** (r + x))
    said = Returning(r=r, alpha=alpha, a=a, b=b).log_likelihood(np.array([x]), np.array([last]), np.array([age]))
    assert said[0] == pytest.approx(np.log(stays + goes))


def test_who_came_back_long_ago_is_less_likely_alive_and_who_never_did_cannot_have_gone():
    age = np.full(3, 100.0)
    alive = CDNOW.alive(np.array([3.0, 3.0, 0.0]), np.array([90.0, 10.0, 0.0]), age)
    assert alive[0] > 0.5 > alive[1]
    assert alive[2] == 1.0


def test_a_crowd_drawn_from_the_law_is_found_again():
    rng = np.random.default_rng(0)
    n, age = 1500, np.full(1500, 40.0)
    rate, leaves = rng.gamma(0.8, 1 / 6.0, n), rng.beta(0.9, 2.5, n)
    x, last = np.zeros(n), np.zeros(n)
    for i in range(n):
        at = 0.0
        while (at := at + rng.exponential(1 / rate[i])) < 40:
            x[i], last[i] = x[i] + 1, at
            if rng.random() < leaves[i]:
                break
    found = returning(x, last, age)
    assert found.r / found.alpha == pytest.approx(0.8 / 6.0, rel=0.25)
    assert found.expected(np.zeros(1), np.zeros(1), np.zeros(1), 40.0)[0] == pytest.approx(x.mean(), rel=0.1)
