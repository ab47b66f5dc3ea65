"""gf-cf against the equation of its paper, with dense matrices."""

import numpy as np
import pytest

from interplay.models.spectral import Sharpened, SharpenedConfig, Spectral, SpectralConfig
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests, RuleSet
from small import crowd

DATA = crowd()
EVERYTHING = RuleSet(withhold_seen=False)


def filtered(x, rank, low_pass):
    """The paper's filter, items x items: a row of x times it is what a person is scored."""
    people, items = x.sum(axis=1), x.sum(axis=0)
    root = lambda d: np.divide(1.0, np.sqrt(d), out=np.zeros(len(d)), where=d > 0)
    normal = root(people)[:, None] * x * root(items)
    v = np.linalg.svd(normal, full_matrices=False)[2][:rank].T
    return normal.T @ normal + low_pass * root(items)[:, None] * (v @ v.T) * np.sqrt(items)


@pytest.mark.parametrize(("rank", "low_pass"), [(5, 0.3), (5, 0.0), (1000, 1.0)])
def test_scores_are_the_linear_filter_plus_the_ideal_low_pass_filter(rank, low_pass):
    x = interaction_matrix(DATA).toarray().astype(np.float64)
    model = Spectral(SpectralConfig(rank=rank, low_pass=low_pass)).fit(DATA)
    requests = Requests.of(DATA, np.arange(DATA.n_users), rules=EVERYTHING)
    slates = model.retrieve(requests, DATA.n_items)
    rank = min(rank, *x.shape)
    slow = x @ filtered(x, rank, low_pass)
    for person in np.flatnonzero(x.any(axis=1)):
        np.testing.assert_allclose(slates.scores[person], slow[person][slates.items[person]], atol=2e-6)


def test_a_stranger_with_one_click_is_scored_by_that_row_of_the_filter():
    x = interaction_matrix(DATA).toarray().astype(np.float64)
    model = Spectral(SpectralConfig(rank=5)).fit(DATA)
    slate = model.retrieve(Requests.strangers([[7]], rules=EVERYTHING), 40)
    np.testing.assert_allclose(slate.scores[0], filtered(x, 5, 0.3)[7][slate.items[0]], atol=2e-6)


def test_similar_items_are_what_one_click_spreads_to():
    model = Spectral(SpectralConfig(rank=5)).fit(DATA)
    similar, one = model.similar_items(np.array([7, 39]), 5), model.retrieve(Requests.strangers([[7]]), 5)
    assert similar.slice(0, 1).equals(one)
    assert (similar.items[1] == -1).all(), "nobody touched item 39"


def test_bspm_is_its_two_processes_worked_slowly():
    x = interaction_matrix(DATA).toarray().astype(np.float64)
    model = Sharpened(SharpenedConfig(rank=4, low_pass=0.4, sharpening=1.5)).fit(DATA)
    p = filtered(x, 4, 0.0)
    blurred = x @ filtered(x, 4, 0.4)  # one Euler step of the heat equation, and the ideal low-pass filter

    def flow(b):
        return -b @ p

    k1 = flow(blurred)  # one step of the classic Runge-Kutta method over the time 1.5
    k2 = flow(blurred + 0.75 * k1)
    k3 = flow(blurred + 0.75 * k2)
    k4 = flow(blurred + 1.5 * k3)
    slow = blurred + 1.5 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    slates = model.retrieve(Requests.of(DATA, np.arange(DATA.n_users), rules=EVERYTHING), DATA.n_items)
    for person in np.flatnonzero(x.any(axis=1)):
        np.testing.assert_allclose(slates.scores[person], slow[person][slates.items[person]], atol=2e-5)
