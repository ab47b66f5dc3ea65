"""Small dense systems inside compiled kernels, where a call into LAPACK per row would cost more than the arithmetic."""

from __future__ import annotations

import numba


@numba.njit(nogil=True, cache=True, fastmath=True)
def solve_in_place(a, b):  # type: ignore[no-untyped-def]
    """b becomes the solution of a z = b; a is symmetric positive definite, its upper triangle is read and overwritten.

    Cholesky's decomposition, four pivots at a time, so that every inner loop runs along rows and reads its target once.
    """
    n = len(b)
    for first in range(0, n, 4):
        last = min(first + 4, n)
        for j in range(first, last):
            row = a[j]
            for i in range(first, j):
                other, x = a[i], a[i, j]
                for k in range(j, n):
                    row[k] -= x * other[k]
            x = row[j] ** -0.5
            for k in range(j, n):
                row[k] *= x
        if last - first == 4:
            r0, r1, r2, r3 = a[first], a[first + 1], a[first + 2], a[first + 3]
            for i in range(last, n):
                x0, x1, x2, x3, row = r0[i], r1[i], r2[i], r3[i], a[i]
                for k in range(i, n):
                    row[k] -= x0 * r0[k] + x1 * r1[k] + x2 * r2[k] + x3 * r3[k]
    for j in range(n):
        row = a[j]
        b[j] /= row[j]
        x = b[j]
        for k in range(j + 1, n):
            b[k] -= x * row[k]
    for j in range(n - 1, -1, -1):
        row, total = a[j], b[j]
        for k in range(j + 1, n):
            total -= row[k] * b[k]
        b[j] = total / row[j]
