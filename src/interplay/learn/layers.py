"""Parts of networks that more than one family builds with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.errors import BadSetting

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU, "leaky": lambda: nn.LeakyReLU(0.2),
}  # fmt: skip


def mlp(sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0, *, last: bool = False) -> nn.Sequential:
    """Linear layers of the given widths with an activation (and dropout) between them; `last`: also after the last."""
    parts: list[nn.Module] = []
    for i, (wide, out) in enumerate(pairwise(sizes)):
        parts.append(nn.Linear(wide, out))
        if i + 2 < len(sizes) or last:
            parts.append(ACTIVATIONS[activation]())
            if dropout > 0:
                parts.append(nn.Dropout(dropout))
    return nn.Sequential(*parts)


class Attention(nn.Module):
    """Multi-head self-attention over [n, length, dim]; `causal`: a place sees itself and what came before."""

    def __init__(self, dim: int, heads: int = 1, dropout: float = 0.0, *, causal: bool = True) -> None:
        super().__init__()
        if dim % heads:
            raise BadSetting(f"dim must be a multiple of heads; found dim {dim} and heads {heads}")
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.joint = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """`present` bool[n, length] is False at padding, which nobody sees (a place always sees itself)."""
        n, length, dim = x.shape
        query, key, value = self.joint(x).view(n, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mask = None
        if present is not None:
            own = torch.eye(length, dtype=torch.bool, device=x.device)  # padding sees itself, so that no row is empty
            mask = present[:, None, None, :] | own
            if self.causal:
                mask = mask & torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        seen = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=self.causal and mask is None,
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        return self.out(seen.transpose(1, 2).reshape(n, length, dim))


class Block(nn.Module):
    """One transformer layer: attention, then a two-layer network, each with dropout, a residual and a layer norm.

    `norm` "pre" normalises what goes into each part (SASRec, GPT-2), "post" what comes out (BERT).
    """

    def __init__(
        self, dim: int, heads: int = 1, dropout: float = 0.0, *, hidden: int | None = None, activation: str = "relu",
        norm: str = "pre", causal: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention = Attention(dim, heads, dropout, causal=causal)
        self.feed = mlp([dim, hidden or dim, dim], activation, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.drop = nn.Dropout(dropout)
        self.pre = norm == "pre"

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        if self.pre:
            x = x + self.drop(self.attention(self.norms[0](x), present))
            return x + self.drop(self.feed(self.norms[1](x)))
        x = self.norms[0](x + self.drop(self.attention(x, present)))
        return self.norms[1](x + self.drop(self.feed(x)))
