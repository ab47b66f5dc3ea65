"""ials against its objective, and its solver against dense algebra."""

import numpy as np
import pytest

from interplay.models.factors import Ials, IalsConfig
from interplay.ops.sparse import interaction_matrix
from interplay.types import Ragged, Requests, Run
from small import crowd

DATA = crowd()
X = interaction_matrix(DATA).toarray().astype(np.float64)
SMALL = IalsConfig(dim=6, epochs=3, unobserved=0.2, ridge=0.05, ridge_power=0.8)


def minimum(x, others, c):
    """Each row's minimum of the objective, one normal equation at a time."""
    out = np.zeros((len(x), others.shape[1]))
    for row, taken in enumerate(x):
        h = others[taken > 0]
        if len(h):
            ridge = c.ridge * (len(h) + c.unobserved * len(others)) ** c.ridge_power
            system = h.T @ h + c.unobserved * others.T @ others + ridge * np.eye(others.shape[1])
            out[row] = np.linalg.solve(system, h.sum(axis=0))
    return out


def objective(x, w, h, c):
    scores = w @ h.T
    total = (np.square(scores - 1) * x).sum() + c.unobserved * np.square(scores).sum()
    for rows, events, n in ((w, x.sum(axis=1), len(h)), (h, x.sum(axis=0), len(w))):
        total += c.ridge * ((events + c.unobserved * n) ** c.ridge_power * np.square(rows).sum(axis=1)).sum()
    return total


def test_an_exact_sweep_gives_each_side_its_minimum():
    c = IalsConfig(dim=6, epochs=1, unobserved=0.2, ridge=0.05, ridge_power=0.8, steps=0)
    model = Ials(c).fit(DATA)
    np.testing.assert_allclose(model.items, minimum(X.T, model.users.astype(np.float64), c), atol=2e-4)


def test_the_minimum_is_that_of_the_objective():
    model = Ials(SMALL).fit(DATA)
    w = minimum(X, model.items.astype(np.float64), SMALL)
    best, rng = objective(X, w, model.items, SMALL), np.random.default_rng(0)
    for _ in range(20):
        moved = w + 1e-3 * rng.standard_normal(w.shape) * w.any(axis=1, keepdims=True)
        assert objective(X, moved, model.items, SMALL) > best


def test_as_many_gradient_steps_as_dimensions_solve_a_row_and_fewer_still_descend():
    exact = Ials(IalsConfig(dim=6, epochs=1, steps=0)).fit(DATA)
    many = Ials(IalsConfig(dim=6, epochs=1, steps=12)).fit(DATA)
    np.testing.assert_allclose(many.items @ many.users.T, exact.items @ exact.users.T, atol=2e-3)
    values = []
    for epochs in range(1, 7):
        c = IalsConfig(dim=6, epochs=epochs, steps=2)
        model = Ials(c).fit(DATA)
        values.append(objective(X, model.users, model.items, c))
    assert (np.diff(values) < 0).all()


def test_a_fold_in_is_the_exact_minimum_with_the_items_held_fixed():
    model = Ials(SMALL).fit(DATA)
    history = [[0, 5, 7], [], [30]]
    x = np.zeros((3, DATA.n_items))
    for row, items in enumerate(history):
        x[row, items] = 1
    slow = minimum(x, model.items.astype(np.float64), SMALL)
    np.testing.assert_allclose(model.folded(Ragged.of(history)), slow, atol=1e-6)
    slate = model.retrieve(Requests.strangers([[0, 5, 7]]), 3)
    scores = model.items @ slow[0]
    scores[[0, 5, 7]] = -np.inf
    np.testing.assert_array_equal(slate.items[0], np.argsort(-scores)[:3])


def test_a_known_person_is_served_from_the_stored_row_until_the_history_grows():
    model = Ials(SMALL).fit(DATA)
    stored = Requests.of(DATA, np.array([4]))
    items = stored.history["item"].tolist()
    np.testing.assert_allclose(model._vectors(stored)[0], model.users[4])
    grown = Requests(user=np.array([4], np.int32), history=Ragged.of([[*items, 1]]))
    np.testing.assert_allclose(model._vectors(grown), model.folded(grown.history))
    model.forget(np.array([4]))
    np.testing.assert_allclose(model._vectors(stored), model.folded(stored.history))


def test_validation_chooses_the_sweep_and_a_given_number_of_epochs_is_kept():
    seen = []

    def judge(model):
        seen.append(model.items.copy())
        return -abs(len(seen) - 4)  # the fourth is best

    model = Ials(IalsConfig(dim=6, epochs=30, patience=2)).fit(DATA, run=Run(validation=judge))
    assert model.fitted == {"epochs": 4, "validation": 0.0} and len(seen) == 6
    np.testing.assert_array_equal(model.items, seen[3])
    again = Ials(IalsConfig(dim=6, epochs=30)).fit(DATA, run=Run(epochs=4))
    np.testing.assert_array_equal(model.items, again.items)


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path):
    class KilledError(Exception):
        pass

    def kill(stage, facts):
        if facts["sweep"] == 3:
            raise KilledError

    config = IalsConfig(dim=6, epochs=5)
    with pytest.raises(KilledError):
        Ials(config).fit(DATA, run=Run(checkpoint=tmp_path, progress=kill))
    sweeps = []
    run = Run(checkpoint=tmp_path, progress=lambda stage, facts: sweeps.append(facts["sweep"]))
    resumed = Ials(config).fit(DATA, run=run)
    assert sweeps == [3, 4, 5]
    np.testing.assert_array_equal(resumed.items, Ials(config).fit(DATA).items)


def test_time_that_is_up_ends_the_run():
    assert Ials(IalsConfig(epochs=50)).fit(DATA, run=Run(seconds=0.0)).fitted["epochs"] == 1
