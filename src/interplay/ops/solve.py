"""Small dense systems inside compiled kernels, where a call into LAPACK per row would cost more than the arithmetic."""

from __future__ import annotations

import numba


@numba.njit(nogil=True, cache=True, fastmath=True)
def solve_in_place(a, b):  # type: ignore[no-untyped-def]
    """b becomes the solution of a z = b; a is symmetric positive definite, its lower triangle is read and overwritten.

    By Cholesky's decomposition, row by row, so that every inner loop runs along two rows.
    """
    n = len(b)
    for j in range(n):
        row = a[j]
        for i in range(j):
            other, total = a[i], row[i]
            for k in range(i):
                total -= row[k] * other[k]
            row[i] = total * other[i]
        total = row[j]
        for k in range(j):
            total -= row[k] * row[k]
        row[j] = total**-0.5  # the diagonal holds reciprocals
        total = b[j]
        for k in range(j):
            total -= row[k] * b[k]
        b[j] = total * row[j]
    for j in range(n - 1, -1, -1):
        b[j] *= a[j, j]
        value, row = b[j], a[j]
        for k in range(j):
            b[k] -= value * row[k]
