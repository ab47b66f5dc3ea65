"""The leading singular vectors against LAPACK, where the spectrum is kind and where it is not."""

import numpy as np
import pytest
import scipy.sparse as sp

from interplay.errors import UnknownName
from interplay.ops import spectra
from interplay.ops.spectra import top_right_singular


def graph(n_users, n_items, seed=0):
    rng = np.random.default_rng(seed)
    x = sp.random_array((n_users, n_items), density=0.02, rng=rng, format="csr")
    x.data[:] = 1.0
    return x


@pytest.fixture
def always_sparse(monkeypatch):
    monkeypatch.setattr(spectra, "DENSE", 0)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_exact_values_and_vectors_are_those_of_lapack(shape, always_sparse):
    x = graph(*shape)
    values, vectors = top_right_singular(x, 12)
    _, slow, slow_vectors = np.linalg.svd(x.toarray())
    np.testing.assert_allclose(values, slow[:12], rtol=1e-7)
    np.testing.assert_allclose(np.abs((vectors * slow_vectors[:12].T).sum(axis=0)), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-7)


def test_a_short_side_is_decomposed_whole_with_the_same_answer(monkeypatch):
    x = graph(150, 120)
    whole = top_right_singular(x, 6)
    monkeypatch.setattr(spectra, "DENSE", 0)
    for one, other in zip(whole, top_right_singular(x, 6), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_value_repeated_by_unconnected_groups_is_found_as_often(always_sparse):
    x = sp.block_diag([np.ones((3, 2)) / np.sqrt(6)] * 40 + [graph(60, 60).toarray() * 0.01], format="csr")
    values, _ = top_right_singular(sp.csr_array(x), 20)
    np.testing.assert_allclose(values, 1.0, rtol=1e-9)


def test_a_matrix_of_low_rank_has_zeros_after_its_values(always_sparse):
    rng = np.random.default_rng(0)
    x = sp.csr_array(rng.standard_normal((100, 3)) @ rng.standard_normal((3, 90)))
    values, vectors = top_right_singular(x, 8)
    np.testing.assert_allclose(values[:3], np.linalg.svd(x.toarray())[1][:3], rtol=1e-8)
    assert (values[3:] == 0).all() and (vectors[:, 3:] == 0).all() and np.isfinite(vectors).all()


def test_the_randomized_method_comes_close(always_sparse):
    x = graph(400, 300)
    values, _ = top_right_singular(x, 10, method="randomized")
    np.testing.assert_allclose(values, np.linalg.svd(x.toarray())[1][:10], rtol=0.05)


def test_rank_is_bounded_by_the_matrix_and_nothing_gives_zeros():
    values, vectors = top_right_singular(sp.csr_array(np.eye(3)), 10)
    assert values.shape == (3,) and vectors.shape == (3, 3)
    values, vectors = top_right_singular(sp.csr_array((4, 3)), 2)
    assert not values.any() and vectors.shape == (3, 2)
    with pytest.raises(UnknownName, match="exact"):
        top_right_singular(graph(5, 5), 2, method="exakt")


def test_the_seed_decides_and_the_sign_is_fixed(always_sparse):
    x = graph(200, 150)
    one, same, other = (top_right_singular(x, 5, seed=s)[1] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    np.testing.assert_allclose(one, other, atol=1e-4)
