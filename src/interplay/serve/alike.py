"""People who touched the same things: the cosine between the sets of items of two people."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp

from interplay.serve.engine import Engine
from interplay.types import Dataset, Id

_SETS: WeakKeyDictionary[Dataset, sp.csr_array] = WeakKeyDictionary()  # people x items, 1 where touched


def people_like(engine: Engine, user: Id, n: int) -> list[tuple[Id, float]]:
    """The n people whose things are most like a person's, and how alike; nobody for a person without a history."""
    dataset = engine.dataset
    if dataset not in _SETS:
        events = dataset.events
        shape = (dataset.n_users, dataset.n_items)
        x = sp.csr_array((np.ones(len(events), np.float32), (events.user, events.item)), shape=shape)
        x.data[:] = 1.0
        _SETS[dataset] = x
    x = _SETS[dataset]
    mine = np.unique(engine.request(user=user).history["item"])
    mine = mine[mine < x.shape[1]]
    if not len(mine):
        return []
    one = np.zeros(x.shape[1], np.float32)
    one[mine] = 1.0
    own = np.diff(x.indptr)
    alike = (x @ one) / np.sqrt(np.maximum(own, 1) * len(mine))
    index = int(dataset.users.index([user])[0])
    if index >= 0:
        alike[index] = 0.0
    best = np.argsort(-alike, kind="stable")[:n]
    return [(dataset.users[i], float(alike[i])) for i in best.tolist() if alike[i] > 0]
