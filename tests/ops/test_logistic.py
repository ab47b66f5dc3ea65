"""The ridge-logistic regression agrees with scikit-learn's and with calculus."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import BadData
from interplay.ops.logistic import logistic


@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_scikit_learns_regression_with_one_over_c_as_ridge(classes):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(classes)
    x, weight = rng.normal(size=(300, 5)), rng.random(300) + 0.1
    y = np.argmax(x @ rng.normal(size=(5, classes)) + rng.gumbel(size=(300, classes)), axis=1)
    theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000).fit(x, y, sample_weight=weight)
    mine = logistic(x, y, classes=classes, ridge=0.5, weight=weight).chances(x)
    wanted = theirs.predict_proba(x)
    np.testing.assert_allclose(mine, wanted[:, 1] if classes == 2 else wanted, atol=1e-5)


def test_at_the_minimum_the_slope_is_zero():
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(200, 3)), rng.random(200)  # shares instead of classes
    fit = logistic(x, share, ridge=2.0)
    left = fit.chances(x) - share
    np.testing.assert_allclose(x.T @ left + 2.0 * fit.weights[:, 0], 0.0, atol=1e-4)
    assert abs(left.sum()) < 1e-4, "the intercept is free"


def test_nothing_to_fit_on_is_refused():
    with pytest.raises(BadData, match="no rows"):
        logistic(np.zeros((0, 2)), np.zeros(0))
