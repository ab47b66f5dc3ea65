"""Sparse products with gradients: equal to the dense ones."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from interplay.learn.propagate import Propagation, product


@pytest.mark.parametrize("width", [1, 16, 40])
def test_a_product_and_its_gradient_equal_the_dense_ones(width):
    rng = np.random.default_rng(0)
    dense = rng.random((3000, 70)).astype(np.float32) * (rng.random((3000, 70)) < 0.1)
    x = torch.from_numpy(rng.normal(size=(70, width)).astype(np.float32)).requires_grad_()
    weight = torch.from_numpy(rng.normal(size=(3000, width)).astype(np.float32))
    over = Propagation(sp.csr_array(dense))
    got, expected = over(x), torch.from_numpy(dense) @ x
    torch.testing.assert_close(got, expected)
    (mine,), (theirs,) = (torch.autograd.grad((y * weight).sum(), x) for y in (got, expected))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_smoothing_is_the_mean_of_the_powers_forwards_and_backwards():
    rng = np.random.default_rng(1)
    dense = (rng.random((9, 9)) * (rng.random((9, 9)) < 0.4)).astype(np.float32)
    x = torch.from_numpy(rng.normal(size=(9, 3)).astype(np.float32)).requires_grad_()
    a = torch.from_numpy(dense)
    slow = (x + a @ x + a @ a @ x + a @ a @ a @ x) / 4
    fast = Propagation(sp.csr_array(dense)).smoothed(x, 3)
    torch.testing.assert_close(fast, slow)
    weight = torch.from_numpy(rng.normal(size=(9, 3)).astype(np.float32))
    (mine,), (theirs,) = (torch.autograd.grad((y * weight).sum(), x) for y in (fast, slow))
    torch.testing.assert_close(mine, theirs)


def test_empty_rows_give_the_base_or_zeros():
    matrix = sp.csr_array((3, 2), dtype=np.float32)
    assert not product(matrix, np.ones((2, 4), np.float32)).any()
    assert (product(matrix, np.ones((2, 4), np.float32), np.full((3, 4), 2, np.float32)) == 2).all()
