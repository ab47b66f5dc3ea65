"""Attention and blocks: what a place may see."""

import pytest
import torch

from interplay.learn.layers import Attention, Block, mlp


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_causal_block_ignores_the_future_and_the_padding(norm):
    torch.manual_seed(0)
    block = Block(8, heads=2, norm=norm).eval()
    x = torch.randn(1, 5, 8)
    later = x.clone()
    later[0, 3:] = 9.0
    torch.testing.assert_close(block(x)[0, :3], block(later)[0, :3])
    present = torch.tensor([[False, False, True, True, True]])
    torch.testing.assert_close(block(x, present)[:, 2:], block(x[:, 2:]))
    assert torch.isfinite(block(x, torch.zeros(1, 5, dtype=torch.bool))).all()


def test_attention_is_a_softmax_weighted_mean():
    torch.manual_seed(0)
    attention = Attention(4, causal=False)
    x = torch.randn(1, 3, 4)
    query, key, value = attention.joint(x)[0].split(4, dim=1)
    slow = torch.softmax(query @ key.T / 4**0.5, dim=1) @ value
    torch.testing.assert_close(attention(x)[0], attention.out(slow))
    with pytest.raises(ValueError, match="multiple of heads"):
        Attention(5, heads=2)


def test_an_mlp_has_activations_between_its_layers_only():
    kinds = [type(part).__name__ for part in mlp([3, 5, 2], "tanh", 0.1)]
    assert kinds == ["Linear", "Tanh", "Dropout", "Linear"]
    assert type(mlp([3, 2], last=True)[-1]).__name__ == "ReLU"
