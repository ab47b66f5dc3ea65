"""The log as sparse matrices, and the normalisations that papers use."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from interplay.types import Array, Dataset, Ragged


def interaction_matrix(dataset: Dataset, *, values: bool = False) -> sp.csr_array:
    """users x items, float32: 1 where the user touched the item (`values`: the sum of the event values)."""
    e = dataset.events
    data = np.ones(len(e), np.float32) if not values or e.value is None else e.value.astype(np.float32)
    x = sp.coo_array((data, (e.user, e.item)), shape=(dataset.n_users, dataset.n_items)).tocsr()
    x.sum_duplicates()
    if not values:
        x.data[:] = 1.0
    return x


def history_matrix(history: Ragged, n_items: int, *, binary: bool = True) -> sp.csr_array:
    """requests x items, float32, from the histories of a batch; items without a row (at or above n_items) are left out."""
    kept = history.where((history["item"] >= 0) & (history["item"] < n_items))
    ones = np.ones(len(kept["item"]), np.float32)
    x = sp.csr_array((ones, kept["item"], kept.offsets), shape=(len(history), n_items))
    x.sum_duplicates()
    if binary:
        x.data[:] = 1.0
    return x


def scaled(x: sp.csr_array, left: Array | None = None, right: Array | None = None) -> sp.csr_array:
    """diag(left) x diag(right), float32, without changing x."""
    out = x.copy()
    if left is not None:
        out.data *= np.repeat(left.astype(x.dtype), np.diff(x.indptr))
    if right is not None:
        out.data *= right.astype(x.dtype)[x.indices]
    return out


def degree_power(degree: Array, power: float) -> Array:
    """degree ** power, and 0 where the degree is 0 (an isolated node neither sends nor receives).

    >>> degree_power(np.array([4.0, 0.0]), -0.5).tolist()
    [0.5, 0.0]
    """
    out = np.zeros(len(degree), np.float64)
    held = degree > 0
    out[held] = degree[held].astype(np.float64) ** power
    return out


def symmetric_normalised(x: sp.csr_array, user_power: float = -0.5, item_power: float = -0.5) -> sp.csr_array:
    """D_user^a x D_item^b; a = b = -1/2 is the normalisation of NGCF, LightGCN and GF-CF."""
    users, items = np.asarray(x.sum(axis=1)).ravel(), np.asarray(x.sum(axis=0)).ravel()
    return scaled(x, degree_power(users, user_power), degree_power(items, item_power))
