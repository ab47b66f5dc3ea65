"""slim and ease against their objectives, item by item."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from interplay.errors import BadSetting, TooLarge
from interplay.models.linear import BlockEase, BlockEaseConfig, Ease, EaseConfig, Slim, SlimConfig
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests
from small import crowd, made

X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 1, 1]], np.float64)
FIVE = made(np.argwhere(X), 5, 4)  # five people, four items


def ridges(x, ridge, candidates=None):
    """One ridge regression for each item, from its candidates (all others, if none are given)."""
    n = x.shape[1]
    slow = np.zeros((n, n))
    for item in range(n):
        others = [i for i in range(n) if i != item] if candidates is None else candidates[item]
        a = x[:, others]
        slow[others, item] = np.linalg.solve(a.T @ a + ridge * np.eye(len(others)), a.T @ x[:, item])
    return slow


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_ease_is_one_ridge_regression_per_item(precision):
    model = Ease(EaseConfig(ridge=0.7, precision=precision)).fit(FIVE)
    np.testing.assert_allclose(model.weights, ridges(X, 0.7), atol=1e-6)


def test_a_person_is_scored_by_row_times_weights():
    model = Ease(EaseConfig(ridge=0.7)).fit(FIVE)
    scores = dict(model.retrieve(Requests.strangers([[0, 2]]), 4).row(0))
    slow = np.array([1, 0, 1, 0]) @ ridges(X, 0.7)
    assert scores == {i: pytest.approx(slow[i], abs=1e-6) for i in (1, 3)}


def test_ease_refuses_a_catalogue_that_does_not_fit_and_names_what_does():
    with pytest.raises(TooLarge, match=r"dense 4 x 4 matrix \(0\.0 GB\); raise max_items \(3\) or choose ease-block"):
        Ease(EaseConfig(max_items=3)).fit(FIVE)
    with pytest.raises(BadSetting, match="singular"):
        Ease(EaseConfig(ridge=0.0)).fit(made([(0, 0), (0, 1)], 1, 2))


def test_ease_block_with_all_candidates_is_ease():
    data = crowd()
    x = interaction_matrix(data).toarray().astype(np.float64)
    shared = x.T @ x > 0
    np.fill_diagonal(shared, False)
    model = BlockEase(BlockEaseConfig(ridge=5.0, candidates=40)).fit(data)
    slow = ridges(x, 5.0, [np.flatnonzero(row) for row in shared])
    np.testing.assert_allclose(model.weights.toarray(), slow, atol=2e-6)


def test_ease_block_keeps_to_the_nearest_candidates():
    data = crowd()
    x = interaction_matrix(data).toarray().astype(np.float64)
    c, n = x.T @ x, x.sum(axis=0)
    alike = c / np.sqrt(np.maximum(np.outer(n, n), 1))
    np.fill_diagonal(alike, 0)
    model = BlockEase(BlockEaseConfig(ridge=5.0, candidates=6, popularity=0.5)).fit(data)
    near = [np.argsort(-row, kind="stable")[:6] for row in alike]
    slow = ridges(x, 5.0, [row[alike[i][row] > 0] for i, row in enumerate(near)])
    np.testing.assert_allclose(model.weights.toarray(), slow, atol=2e-6)


@pytest.mark.parametrize("negative", [False, True])
def test_slim_is_an_elastic_net_per_item(negative):
    data = crowd()
    x = interaction_matrix(data).toarray().astype(np.float64)
    ridge, lasso = 2.0, 1.5
    config = SlimConfig(ridge=ridge, lasso=lasso, candidates=40, negative=negative, sweeps=500, tolerance=1e-7)
    model = Slim(config).fit(data)
    total = (ridge + lasso) / len(x)  # scikit-learn divides the first term by the number of rows
    net = ElasticNet(alpha=total, l1_ratio=lasso / (ridge + lasso), positive=not negative, fit_intercept=False,
                     max_iter=10_000, tol=1e-10)  # fmt: skip
    for item in (0, 7, 25):
        others = x * (x.T @ x[:, item] > 0)  # candidates share a person with the item
        others[:, item] = 0
        slow = net.fit(others, x[:, item]).coef_
        np.testing.assert_allclose(model.weights.toarray()[:, item], slow, atol=1e-4)
    assert negative or (model.weights.data > 0).all()


def test_similar_items_are_those_that_the_item_speaks_most_for():
    for model in (Ease().fit(crowd()), BlockEase().fit(crowd()), Slim(SlimConfig(lasso=0.1)).fit(crowd())):
        weights = model.weights if isinstance(model, Ease) else model.weights.toarray()
        slate = model.similar_items(np.array([2, 99]), 3)
        np.testing.assert_allclose(weights[2][slate.items[0]], np.sort(weights[2])[::-1][:3], rtol=1e-6)
        assert (slate.items[1] == -1).all()
