"""A pointer that fills a page place by place, compiled: what a network said of the candidates is all it needs."""

from __future__ import annotations

import numba
import numpy as np

from interplay.types import Array


@numba.njit(nogil=True, cache=True)
def pointed(
    states: Array, first: Array, like: Array, group: Array, held: Array, weight: Array, bias: Array, places: Array,
    near_by: float, same_by: float, k: int, best: bool, tried: int, lot: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """(candidates int64[b, k], -1 where nothing was left; float64[b, k], the chance of each at its place).

    The logit of candidate j is first_j + q . states_j / sqrt(dim) + near_by * (likeness to the nearest above) +
    same_by * (share of the places above that are of its group), with q = weight @ (mean of the states above,
    places[place]) + bias. The best takes the place, or (`best` False) the first that is left; place `tried` is drawn
    in proportion to exp(logit) by `lot` (float64[b] in [0, 1)).

    Shapes: states [b, m, dim], first and held [b, m], like [b, m, m], group [b, m] with -1 for none, weight
    [dim, 2 dim], places [at least k, dim].
    """
    b, m, dim = states.shape
    page, chance = np.full((b, k), -1, np.int64), np.ones((b, k))
    total, query = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    near, same = np.zeros(m, np.float32), np.zeros(m, np.float32)
    free, logits = np.zeros(m, np.bool_), np.zeros(m)
    root = np.sqrt(dim)
    for row in range(b):
        total[:], near[:], same[:], free[:] = 0, 0, 0, held[row]
        for place in range(k):
            above = max(place, 1)
            for d in range(dim):
                asked = bias[d]
                for e in range(dim):
                    asked += weight[d, e] * total[e] / above + weight[d, dim + e] * places[place, e]
                query[d] = asked / root
            at, most = -1, -np.inf
            for j in range(m):
                if free[j]:
                    logit = first[row, j] + near_by * near[j] + same_by * same[j] / above
                    for d in range(dim):
                        logit += states[row, j, d] * query[d]
                    logits[j] = logit
                    if at < 0 or (logit > most and (best or place == tried)):
                        at = j
                    most = max(most, logit)
            if at < 0:
                break
            if place == tried:
                whole = 0.0
                for j in range(m):
                    if free[j]:
                        whole += np.exp(logits[j] - most)
                passed = 0.0
                for j in range(m):
                    if free[j]:
                        at, chance[row, place] = j, np.exp(logits[j] - most) / whole
                        passed += chance[row, place]
                        if passed > lot[row]:
                            break
            page[row, place] = at
            free[at] = False
            for d in range(dim):
                total[d] += states[row, at, d]
            for j in range(m):
                near[j] = max(near[j], like[row, at, j])
                if group[row, at] >= 0 and group[row, j] == group[row, at]:
                    same[j] += 1
    return page, chance
