"""Networks in NumPy say what torch says."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from interplay.learn.layers import Attention, Block, mlp
from interplay.learn.plain import ready


def told(module: nn.Module, x: torch.Tensor, *more: torch.Tensor) -> None:
    module.eval()
    with torch.no_grad():
        theirs = module(x, *more).numpy()
    ours = ready(module)(x.numpy(), *(m.numpy() for m in more))
    assert ours.dtype == np.float32 and ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(6, 3), nn.Linear(6, 3, bias=False), nn.ReLU(), nn.GELU(), nn.LayerNorm(6),
        mlp([6, 5, 4, 1], "gelu", 0.3), mlp([6, 4], last=True),
    ],
    ids=lambda m: type(m).__name__,
)  # fmt: skip
def test_parts(module):
    for shape in ((2, 3, 6), (1, 6), (0, 6)):
        told(module, 3 * torch.randn(*shape))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_blocks_whether_padded_or_not(causal, norm):
    x, present = (
        torch.randn(3, 5, 8),
        torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], dtype=torch.bool),
    )
    block = Block(8, 2, 0.2, hidden=16, activation="gelu", norm=norm, causal=causal)
    told(block, x), told(block, x, present)
    told(Attention(8, 4, causal=causal), x, present)


def test_what_nobody_has_put_into_numpy_is_named():
    with pytest.raises(TypeError, match="Conv1d has no form in NumPy"):
        ready(nn.Conv1d(2, 2, 1))


def test_what_is_learnt_later_is_said_and_a_copy_has_its_own():
    net, x = nn.Linear(3, 2), np.ones((1, 3), np.float32)
    before = ready(net)(x)
    other = copy.deepcopy(net)
    with torch.no_grad():
        net.weight.add_(1.0)
    np.testing.assert_allclose(ready(net)(x), before + 3, rtol=1e-5)
    np.testing.assert_allclose(ready(other)(x), before, rtol=1e-5)
    net.load_state_dict(other.state_dict())
    np.testing.assert_allclose(ready(net)(x), before, rtol=1e-5)
