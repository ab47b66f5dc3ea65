"""Networks in NumPy, as they answer: a live request is one small batch, for which each of torch's calls costs more
than its arithmetic, and gives Python's lock away besides.

    ready(module)(x)            # what module(x) is in eval mode, without a gradient, on float32 arrays

A network whose answers are asked for one at a time registers its form with `plain.register` beside its `forward`.
Weights are read where they lie: what changes them in place, as learning and loading do, changes the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import erf
from torch import Tensor, nn

from interplay.learn.layers import Attention, Block
from interplay.types import Array

Answer = Callable[..., Any]
HALF, ROOT = np.float32(0.5), np.float32(0.5**0.5)


@singledispatch
def plain(module: nn.Module) -> Answer:
    """The module as a function of arrays, which must not hold on to it; TypeError for one without a form in NumPy."""
    raise TypeError(f"{type(module).__name__} has no form in NumPy; register one with plain.register")


def ready(module: nn.Module) -> Answer:
    """`plain(module)`, made once for each module; a copy of one has its own."""
    if module not in _made:
        _made[module] = plain(module)
    return _made[module]


_made: WeakKeyDictionary[nn.Module, Answer] = WeakKeyDictionary()


def array(tensor: Tensor) -> Array:
    """The numbers of a parameter or buffer, where they lie."""
    return tensor.detach().numpy()


@plain.register
def _(module: nn.Sequential) -> Answer:
    parts = [plain(part) for part in module if not isinstance(part, nn.Dropout)]

    def said(x: Array) -> Array:
        for part in parts:
            x = part(x)
        return x

    return said


@plain.register
def _(module: nn.Linear) -> Answer:
    weight, bias = array(module.weight).T, None if module.bias is None else array(module.bias)
    wide, out = weight.shape

    def said(x: Array) -> Array:
        y = x.reshape(-1, wide) @ weight
        if bias is not None:
            y += bias
        return y.reshape(*x.shape[:-1], out)

    return said


@plain.register
def _(module: nn.LayerNorm) -> Answer:
    weight, bias, little = array(module.weight), array(module.bias), np.float32(module.eps)
    share = np.float32(1 / module.normalized_shape[0])

    def said(x: Array) -> Array:
        x = x - np.add.reduce(x, axis=-1, keepdims=True) * share
        x /= np.sqrt(np.add.reduce(x * x, axis=-1, keepdims=True) * share + little)
        x *= weight
        x += bias
        return x

    return said


@plain.register
def _(module: nn.ReLU) -> Answer:
    return lambda x: np.maximum(x, np.float32(0))


@plain.register
def _(module: nn.GELU) -> Answer:
    return lambda x: x * (HALF + HALF * erf(x * ROOT))


@plain.register
def _(module: Attention) -> Answer:
    joint, out, heads, causal = plain(module.joint), plain(module.out), module.heads, module.causal

    def said(x: Array, present: Array | None = None) -> Array:
        n, length, dim = x.shape
        query, key, value = joint(x).reshape(n, length, 3, heads, dim // heads).transpose(2, 0, 3, 1, 4)
        odds = query @ key.swapaxes(2, 3)
        odds *= np.float32((heads / dim) ** 0.5)
        own = np.eye(length, dtype=bool)  # padding sees itself, so that no row is empty
        seen = np.ones_like(own) if present is None else present[:, None, None, :] | own
        odds = np.where(seen & np.tri(length, dtype=bool) if causal else seen, odds, np.float32(-np.inf))
        odds -= np.maximum.reduce(odds, axis=3, keepdims=True)
        np.exp(odds, out=odds)
        odds /= np.add.reduce(odds, axis=3, keepdims=True)
        return out((odds @ value).transpose(0, 2, 1, 3).reshape(n, length, dim))

    return said


@plain.register
def _(module: Block) -> Answer:
    (first, second), attention, feed = map(plain, module.norms), plain(module.attention), plain(module.feed)

    def before(x: Array, present: Array | None = None) -> Array:
        x = x + attention(first(x), present)
        return x + feed(second(x))

    def after(x: Array, present: Array | None = None) -> Array:
        x = first(x + attention(x, present))
        return second(x + feed(x))

    return before if module.pre else after
