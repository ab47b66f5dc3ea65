"""Negatives: outside what the user has, with the chances they promise."""

import numpy as np

from interplay.learn.negatives import Popularity, clashes, held, taken, uniform


def rng():
    return np.random.default_rng(0)


def test_taken_pairs_are_sorted_and_distinct(people):
    keys = taken(people)
    assert (np.diff(keys) > 0).all()
    assert held(keys, people.events.user, people.events.item, people.n_items).all()


def test_uniform_negatives_are_never_taken_and_cover_the_rest(people):
    keys = taken(people)
    users = np.repeat(np.arange(people.n_users), 400)
    drawn = uniform(users, people.n_items, rng(), keys=keys)
    assert not held(keys, users, drawn, people.n_items).any()
    free = [people.n_items - np.count_nonzero(keys // people.n_items == u) for u in range(people.n_users)]
    assert [len(np.unique(drawn[users == u])) for u in range(people.n_users)] == free
    wide = uniform(users, people.n_items, rng(), keys=keys, each=3)
    assert wide.shape == (len(users), 3) and not held(keys, users, wide, people.n_items).any()


def test_a_user_who_has_everything_still_gets_an_item():
    assert uniform(np.array([0]), 2, rng(), keys=np.array([0, 1])).tolist() in ([0], [1])


def test_popular_negatives_follow_count_to_the_power():
    popularity = Popularity(np.array([1.0, 4.0, 0.0, 16.0]), power=0.5)
    drawn = popularity.draw(70_000, rng())
    share = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(share, np.array([1, 2, 0, 4]) / 7, atol=0.01)
    np.testing.assert_allclose(np.exp(popularity.log_q), np.array([1, 2, 0, 4]) / 7, atol=1e-6)
    keys = np.array([0 * 4 + 3])
    assert not (popularity.outside(np.zeros(500, int), rng(), keys=keys) == 3).any()


def test_clashes_mark_what_the_row_has_taken_elsewhere():
    keys = np.array([0 * 3 + 0, 0 * 3 + 1, 1 * 3 + 1])
    found = clashes(np.array([0, 1]), np.array([0, 1]), 3, keys=keys)
    assert found.tolist() == [[True, True], [False, True]]
