"""Products with a fixed sparse matrix that gradients flow through; on the CPU by `ops.sparse.product`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from interplay.ops.sparse import product


class Propagation:
    """`matrix @ x` and `smoothed(x, layers)` for one sparse matrix, on one device."""

    def __init__(self, matrix: sp.csr_array, device: str = "cpu") -> None:
        ahead = sp.csr_array(matrix, dtype=np.float32)
        back = sp.csr_array(ahead.T)
        self.on_cpu = torch.device(device).type == "cpu"
        self.ahead, self.back = (m if self.on_cpu else _moved(m, device) for m in (ahead, back))

    def __call__(self, x: Tensor) -> Tensor:
        """matrix @ x, float32[rows, d]; x float32[columns, d]."""
        return _Product.apply(x.float(), self)  # type: ignore[no-untyped-call]

    def smoothed(self, x: Tensor, layers: int) -> Tensor:
        """(x + A x + ... + A^layers x) / (layers + 1) for a square matrix A, without keeping the layers."""
        return _Smoothed.apply(x.float(), self, layers)  # type: ignore[no-untyped-call]

    def times(self, matrix: Any, x: Tensor, base: Tensor | None = None) -> Tensor:
        """base + matrix @ x without a gradient; `matrix` is `self.ahead` or `self.back`."""
        if self.on_cpu:
            start = None if base is None else base.detach().contiguous().numpy()
            return torch.from_numpy(product(matrix, x.detach().contiguous().numpy(), start))
        out = matrix @ x
        return out if base is None else out + base

    def polynomial(self, matrix: Any, x: Tensor, layers: int) -> Tensor:
        total = x
        for _ in range(layers):  # Horner: x + A (x + A (x + ...))
            total = self.times(matrix, total, x)
        return total / (layers + 1)


def _moved(matrix: sp.csr_array, device: str) -> Tensor:
    indptr, indices, data = (
        torch.from_numpy(np.ascontiguousarray(a)) for a in (matrix.indptr, matrix.indices, matrix.data)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(indptr, indices, data, size=matrix.shape, device=device, check_invariants=False)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, propagation: Propagation) -> Tensor:
        ctx.propagation = propagation
        return propagation.times(propagation.ahead, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.propagation.times(ctx.propagation.back, gradient), None


class _Smoothed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, propagation: Propagation, layers: int) -> Tensor:
        ctx.propagation, ctx.layers = propagation, layers
        return propagation.polynomial(propagation.ahead, x, layers)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.propagation.polynomial(ctx.propagation.back, gradient, ctx.layers), None, None
