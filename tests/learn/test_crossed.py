"""Combinations of two fields: each has the row it was given in training, all others the rare one of their pair."""

from __future__ import annotations

import numpy as np

from interplay.learn.crossed import LEAST, Crossed

FIELDS = np.array([[1, 1, 0], [1, 1, 2], [1, 2, 1], [2, 1, 1], [2, 1, 1], [0, 2, 2]], np.int32)
SIZES, PAIRS = (3, 3, 3), np.array([[0, 1], [0, 2], [1, 2]])


def test_rows_are_given_to_what_training_made_often_enough():
    crossed = Crossed.fit(FIELDS, SIZES, PAIRS, floor=2)
    ids = crossed.ids(FIELDS)
    assert ids[0, 0] == ids[1, 0] >= 3 and ids[3, 0] == ids[4, 0] >= 3 and ids[2, 0] == 0 == ids[5, 0]
    assert (ids[[0, 1, 2], 1] == 1).all() and crossed.rows_of.tolist() == [2, 1, 1] and crossed.rows == 7
    assert crossed.ids(np.array([[9 % 3, 0, 0]])).tolist() == [[0, 1, 2]], "never met is rare"


def test_what_one_row_made_is_hidden_from_that_row():
    crossed = Crossed.fit(FIELDS, SIZES, PAIRS)
    ids, rng = crossed.ids(FIELDS), np.random.default_rng(0)
    blind = crossed.blinded(ids, 1.0, rng)
    assert blind[2].tolist() == [0, 1, 2] and blind[3].tolist() == ids[3].tolist()
    np.testing.assert_array_equal(crossed.blinded(ids, 0.0, rng), ids)


def test_where_no_row_is_alone_others_are_hidden_so_that_the_rare_rows_learn_too():
    few = np.repeat(np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1]], np.int32), [2, 4, 4], axis=0)
    crossed = Crossed.fit(few, SIZES, PAIRS[:1])
    assert crossed.hiding.tolist() == [0, LEAST, LEAST, LEAST]
    ids = np.tile(crossed.ids(few), (2000, 1))
    share = (crossed.blinded(ids, 0.5, np.random.default_rng(0)) == 0).mean()
    assert abs(share - 0.5 * LEAST) < 0.01
    assert crossed.of(np.array([0])).hiding.tolist() == crossed.hiding.tolist()
    floored = Crossed.fit(few, SIZES, PAIRS[:1], floor=3)  # two rows of ten are rare anyway, one more is wanted
    np.testing.assert_allclose(floored.hiding, [0, 0.125, 0.125])
    assert Crossed.fit(FIELDS, SIZES, PAIRS).hiding.max(initial=0) == 1, "a third is made by one row: enough"
    assert (Crossed.fit(FIELDS, SIZES, PAIRS).hiding[Crossed.fit(FIELDS, SIZES, PAIRS).ids(FIELDS)[3]] < 1).all()


def test_some_pairs_alone_and_the_most_frequent_alone_keep_their_meaning():
    crossed = Crossed.fit(FIELDS, SIZES, PAIRS)
    own, whole = crossed.of(np.array([2])), crossed.ids(FIELDS)[:, 2]
    same = own.ids(FIELDS)[:, 0]
    assert ((same[:, None] == same) == (whole[:, None] == whole)).all() and own.rows == 1 + crossed.rows_of[2]
    assert (crossed.most(4).counts >= 2).all() and len(crossed.most(4).keys) == 4
    assert not len(crossed.most(3).keys), "of equally rare ones all go"


def test_combinations_of_the_forgotten_go_and_the_others_stay_where_rows_say():
    crossed = Crossed.fit(FIELDS, SIZES, PAIRS)
    left, rows = crossed.without(0, np.array([1]))
    ids = left.ids(FIELDS)
    assert (ids[:3, 0] == 0).all() and (ids[:3, 1] == 1).all()
    np.testing.assert_array_equal(rows[ids[3:]], crossed.ids(FIELDS)[3:])
    np.testing.assert_array_equal(rows[ids[:, 2]], crossed.ids(FIELDS)[:, 2])
    again = Crossed.restore(left.state())
    np.testing.assert_array_equal(again.ids(FIELDS), ids)
