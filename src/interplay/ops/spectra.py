"""The leading singular vectors of a sparse matrix.

exact        block Lanczos with full reorthogonalisation on the smaller side (Golub and Underwood, 1977), grown until
             the residual of every wanted pair is below 1e-5 of the largest value (which
             leaves the values an error of its square)
randomized   subspace iteration from a random start (Halko, Martinsson and Tropp, 2011): a few products, less exact

Both work on float64 blocks, so that nearly all arithmetic is matrix-matrix.
Memory: 8 bytes * min(rows, columns) * the size of the basis (exact: 2 to 5 times the rank; randomized: rank + 32).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from interplay.errors import unknown
from interplay.ops.sparse import product
from interplay.ops.threads import one_blas_thread, spread
from interplay.types import Array

TOLERANCE = 1e-5  # of the largest value: the residual at which a pair counts as found
DENSE = 800  # a side this short is decomposed whole
BLOCK = 16  # vectors grown at once
STRETCH = 4096  # rows of a tall matrix that one thread takes at a time
POWERS = 3  # rounds of the randomized method


def top_right_singular(x: sp.csr_array, rank: int, *, method: str = "exact", seed: int = 0) -> tuple[Array, Array]:
    """(values float64[r], vectors float64[columns, r]) of x, largest first; r = min(rank, rows, columns).

    The sign of a vector is chosen so that its largest entry is positive; a value of 0 has a vector of zeros.
    `method` is a name in METHODS.

    >>> values, vectors = top_right_singular(sp.csr_array([[3.0, 0.0], [0.0, 4.0]]), 1)
    >>> values.round(6).tolist(), np.abs(vectors[:, 0]).round(6).tolist()
    ([4.0], [0.0, 1.0])
    """
    if method not in METHODS:
        raise unknown("method of decomposition", method, METHODS)
    x = sp.csr_array(x, dtype=np.float64)
    rank, wide = min(rank, *x.shape), x.shape[0] < x.shape[1]
    if rank < 1 or not x.nnz:
        return np.zeros(max(rank, 0)), np.zeros((x.shape[1], max(rank, 0)))
    side = x if wide else sp.csr_array(x.T)  # side @ side.T is the smaller of the two Gram matrices
    other = sp.csr_array(side.T)
    if min(x.shape) <= max(DENSE, 2 * rank):
        squares, found = scipy.linalg.eigh((side @ other).toarray())
        squares, found = squares[::-1][:rank], found[:, ::-1][:, :rank]
    else:
        with one_blas_thread():  # the arithmetic is spread over the cores here, not inside BLAS
            squares, found = METHODS[method](side, other, rank, np.random.default_rng(seed))
    values = np.sqrt(np.maximum(squares, 0.0))
    values[values <= 1e-7 * values[0]] = 0.0  # below the root of what rounding leaves of a square
    if wide:
        inverse = np.divide(1.0, values, where=values > 0, out=np.zeros(rank))
        found = product(other, np.ascontiguousarray(found)) * inverse
    else:
        found = found * (values > 0)
    signs = np.where(found[np.abs(found).argmax(axis=0), np.arange(rank)] < 0, -1.0, 1.0)
    return values, found * signs


def _lanczos(side: sp.csr_array, other: sp.csr_array, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Leading eigenpairs of side @ other, which is symmetric: the basis grows by a block until they are found."""
    n = side.shape[0]
    width = min(max(BLOCK, min(_parts(side), rank)), n)  # each part may repeat a value: as many starts find them all
    basis = np.empty((min(n, 4 * max(rank, width)), n))  # row j is a vector
    small = np.zeros((len(basis), len(basis)))  # the matrix as the basis sees it
    block, coupling = _orthonormal(rng.standard_normal((n, width)))
    basis[:width], before, size, check = block.T, np.zeros((0, n)), width, 3 * rank
    while True:
        fresh = product(side, product(other, block))
        latest = basis[size - width : size]
        if len(before):
            _subtract(before, coupling.T, fresh)
        own = _inner(latest, fresh)
        small[size - width : size, size - width : size] = (own + own.T) / 2
        _subtract(latest, own, fresh)
        _subtract(basis[:size], _inner(basis[:size], fresh), fresh)  # what rounding left along the basis
        block, coupling = _orthonormal(fresh)
        full = size + width > n
        if size >= check or full:
            wanted = (size - rank, size - 1)
            values, turned = scipy.linalg.eigh(small[:size, :size], subset_by_index=wanted, check_finite=False)
            values, turned = values[::-1], turned[:, ::-1]
            residual = np.linalg.norm(coupling @ turned[size - width :], axis=0)
            if full or residual.max() <= TOLERANCE * values[0]:
                return values, _combined(basis[:size], turned)
            check = size + size // 8
        if size + width > len(basis):
            longer = min(n, size + size // 2 + width)
            basis = np.concatenate([basis, np.empty((longer - len(basis), n))])
            small = np.pad(small, (0, longer - len(small)))
        spent = ~coupling.any(axis=1)
        if spent.any():  # the space is exhausted in these directions: go on from new ones, to which nothing leads
            block[:, spent] = rng.standard_normal((n, int(spent.sum())))
            for _ in range(2):
                _subtract(basis[:size], _inner(basis[:size], block), block)
                block[:, spent] -= block[:, ~spent] @ (block[:, ~spent].T @ block[:, spent])
                block[:, spent] = _orthonormal(block[:, spent])[0]
        basis[size : size + width] = block.T
        small[size : size + width, size - width : size] = coupling
        small[size - width : size, size : size + width] = coupling.T
        before, size = latest, size + width


def _orthonormal(block: Array) -> tuple[Array, Array]:
    """(q, r) with block = q r and orthonormal columns of q; where r has a row of zeros, q has a column of zeros."""
    coupling = np.eye(block.shape[1])
    for _ in range(2):
        squares, turned = np.linalg.eigh(_inner(block.T, block))
        held = squares > 1e-15 * max(squares[-1], 1e-15)
        root = np.where(held, np.sqrt(np.maximum(squares, 0.0)), 0.0)
        block = _combined(block.T, turned * np.divide(1.0, root, where=held, out=np.zeros(len(root))))
        coupling = (turned * root).T @ coupling
    return block, coupling


def _inner(basis: Array, block: Array) -> Array:
    """basis @ block; the parts are summed in a fixed order."""
    n = len(block)
    parts: dict[int, Array] = {}
    spread(lambda lo, hi: parts.update({lo: basis[:, lo:hi] @ block[lo:hi]}), n, STRETCH)
    return sum((parts[lo] for lo in sorted(parts)), np.zeros((len(basis), block.shape[1])))


def _subtract(basis: Array, along: Array, block: Array) -> None:
    """block -= basis.T @ along"""

    def one(lo: int, hi: int) -> None:
        block[lo:hi] -= basis[:, lo:hi].T @ along

    spread(one, len(block), STRETCH)


def _combined(basis: Array, turned: Array) -> Array:
    """basis.T @ turned"""
    out = np.empty((basis.shape[1], turned.shape[1]))

    def one(lo: int, hi: int) -> None:
        out[lo:hi] = basis[:, lo:hi].T @ turned

    spread(one, len(out), STRETCH)
    return out


def _parts(side: sp.csr_array) -> int:
    """How many groups of rows share no column with each other; rows without entries do not count."""
    rows, columns = side.shape
    graph = sp.block_array([[sp.csr_array((rows, rows)), side], [None, sp.csr_array((columns, columns))]]).tocsr()
    _, labels = connected_components(graph, directed=False)
    return len(np.unique(labels[:rows][np.diff(side.indptr) > 0]))


def _subspace(side: sp.csr_array, other: sp.csr_array, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Leading eigenpairs of side @ other after POWERS rounds from a random start."""
    block = rng.standard_normal((side.shape[0], min(rank + BLOCK, side.shape[0])))
    for _ in range(POWERS):
        block = product(side, product(other, _orthonormal(block)[0]))
    block = _orthonormal(block)[0]
    half = product(other, block)
    values, turned = scipy.linalg.eigh(_inner(half.T, half), check_finite=False)
    return values[::-1][:rank], _combined(block.T, turned[:, ::-1][:, :rank])


METHODS: dict[str, Callable[[sp.csr_array, sp.csr_array, int, np.random.Generator], tuple[Array, Array]]] = {
    "exact": _lanczos,
    "randomized": _subspace,
}
