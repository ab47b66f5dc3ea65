"""Sparse item weights against dense ones."""

import numpy as np
import scipy.sparse as sp

from interplay.ops import itemitem
from interplay.ops.solve import solve_in_place
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests, Rows, RuleSet
from small import crowd

DATA = crowd()
X = interaction_matrix(DATA)


def test_the_gram_matrix_is_whole_whatever_the_chunk():
    for chunk in (3, 1000):
        np.testing.assert_array_equal(itemitem.gram(X, chunk=chunk).toarray(), (X.T @ X).toarray())


def test_the_nearest_are_the_largest_of_each_row_ties_to_the_lower_index():
    rng = np.random.default_rng(0)
    x = sp.csr_array((rng.random((50, 30)) < 0.3).astype(np.float32))
    sizes = np.asarray(x.sum(axis=0)).ravel()
    near = itemitem.nearest(x, 4, lambda c, a, b: c, sizes, chunk=7).toarray()
    c = (x.T @ x).toarray()
    np.fill_diagonal(c, 0)
    for i in range(30):
        wanted = np.argsort(-c[i], kind="stable")[:4]
        np.testing.assert_array_equal(np.flatnonzero(near[i]), np.sort(wanted))
        np.testing.assert_array_equal(near[i][wanted], c[i][wanted])


def test_many_requests_are_scored_as_few(monkeypatch):
    rows, weights = Rows.of(DATA), itemitem.gram(X)
    requests = Requests.of(DATA, np.arange(DATA.n_users))
    whole = itemitem.best_by_weights(weights, requests, 7, rows)
    monkeypatch.setattr(itemitem, "LINES", 16)
    assert itemitem.best_by_weights(weights, requests, 7, rows).equals(whole)


def test_only_what_a_history_speaks_for_is_scored_and_the_list_is_that_of_scoring_everything():
    rows, weights = Rows.of(DATA), itemitem.nearest(X, 3, lambda c, a, b: c, np.ones(DATA.n_items))
    masks = np.arange(2 * DATA.n_items).reshape(2, -1) % 3 > 0
    requests = Requests.of(DATA, np.append(np.arange(DATA.n_users), -1), rules=RuleSet(masks=masks))
    for n in (3, DATA.n_items):  # the most popular of the rest follow
        dense = itemitem.best_of_history(
            lambda _, x, out: itemitem.add_rows(x, weights, out), requests, n, rows, filler=True
        )
        sparse = itemitem.best_by_weights(weights, requests, n, rows)
        np.testing.assert_array_equal(sparse.items, dense.items)
        np.testing.assert_array_equal(sparse.scores, dense.scores)


def test_weights_come_back_from_their_state():
    weights = itemitem.nearest(X, 3, lambda c, a, b: c, np.ones(DATA.n_items))
    again = itemitem.restored(itemitem.kept(weights), DATA.n_items)
    np.testing.assert_array_equal(again.toarray(), weights.toarray())


def test_small_systems_are_solved_as_by_lapack():
    rng = np.random.default_rng(0)
    for n in (1, 3, 4, 17, 64):
        root = rng.standard_normal((n, n + 3))
        a, b = root @ root.T + np.eye(n), rng.standard_normal(n)
        slow = np.linalg.solve(a, b)
        solve_in_place(np.triu(a), b)
        np.testing.assert_allclose(b, slow, rtol=1e-9)
