"""The puzzles are small, quick, without traps, and not solved by popularity."""

import time

import numpy as np
import pytest

from interplay.models.counts import Popular, Trending
from interplay.worlds.puzzles import PUZZLES, Puzzle


def hit(slates, puzzle: Puzzle) -> float:
    found = [np.isin(slates.items[i], puzzle.truth.row(i)["item"]).any() for i in range(len(slates))]
    return float(np.mean(found))


@pytest.mark.parametrize("name", PUZZLES)
def test_a_puzzle_is_tiny_and_drawn_from_its_seed(name):
    started = time.perf_counter()
    puzzle, again, other = PUZZLES[name](3), PUZZLES[name](3), PUZZLES[name](4)
    assert time.perf_counter() - started < 3
    assert puzzle.dataset.n_users <= 200 and puzzle.dataset.n_items <= 60 and puzzle.name == name
    assert puzzle.dataset.fingerprint == again.dataset.fingerprint != other.dataset.fingerprint
    np.testing.assert_array_equal(puzzle.truth["item"], again.truth["item"])


@pytest.mark.parametrize("name", PUZZLES)
def test_every_request_has_an_answer_that_may_be_shown(name):
    puzzle = PUZZLES[name](0)
    assert len(puzzle.requests) == len(puzzle.truth) and (puzzle.truth.lengths > 0).all() and puzzle.n >= 1
    for i in range(len(puzzle.requests)):
        answers = puzzle.truth.row(i)["item"]
        assert not np.isin(answers, puzzle.requests.history.row(i)["item"]).any()
        assert ((answers >= 0) & (answers < puzzle.dataset.n_items)).all()
        if puzzle.requests.at is not None and "time" in puzzle.requests.history:
            assert (puzzle.requests.history.row(i)["time"] <= puzzle.requests.at[i]).all()


@pytest.mark.parametrize("name", PUZZLES)
def test_events_are_sorted_by_person_and_time(name):
    e = PUZZLES[name](0).dataset.events
    same = e.user[1:] == e.user[:-1]
    assert (np.diff(e.user) >= 0).all() and (np.diff(e.time)[same] >= 0).all()


@pytest.mark.parametrize("name", PUZZLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_popularity_solves_none_of_them_but_the_one_that_is_about_it(name, seed):
    puzzle = PUZZLES[name](seed)
    share = hit(Popular().fit(puzzle.dataset).retrieve(puzzle.requests, puzzle.n), puzzle)
    assert (share <= 0.5) == (puzzle.floor == "popular"), share
    assert puzzle.chance <= 0.5


def test_chance_is_the_share_of_lists_drawn_by_lot_that_hold_an_answer():
    puzzle = PUZZLES["fame"](0)
    rng, found = np.random.default_rng(0), []
    for i in range(len(puzzle.requests)):
        free = np.setdiff1d(np.arange(puzzle.dataset.n_items), puzzle.requests.history.row(i)["item"])
        found += [rng.choice(free) in puzzle.truth.row(i)["item"] for _ in range(50)]
    assert np.mean(found) == pytest.approx(puzzle.chance, abs=0.03)


def test_counts_that_fade_solve_the_fashion_puzzle():
    puzzle = PUZZLES["fashion"](0)
    assert hit(Trending().fit(puzzle.dataset).retrieve(puzzle.requests, puzzle.n), puzzle) == 1.0


def test_seen_items_of_the_slots_puzzle_show_which_are_fine():
    puzzle = PUZZLES["slots"](0)
    shown, e = puzzle.dataset.tables["impressions"], puzzle.dataset.events
    seen = shown.filter(shown["seen"])
    times = np.bincount(puzzle.dataset.items.index(seen["item_id"].to_list()), minlength=puzzle.dataset.n_items)
    rate = np.bincount(e.item, minlength=puzzle.dataset.n_items) / np.maximum(times, 1)
    assert set(np.argsort(-rate)[:4]) == set(puzzle.truth.row(0)["item"])
    assert set(e.context["request_id"]) <= set(shown["request_id"])


def test_baskets_of_the_bundle_puzzle_hold_each_thing_and_its_partner():
    puzzle = PUZZLES["bundle"](0)
    items, baskets = puzzle.dataset.items, puzzle.dataset.tables["baskets"]
    partner = dict(zip(puzzle.requests.history["item"].tolist(), puzzle.truth["item"].tolist(), strict=True))
    for pair in baskets.group_by("basket_id").agg("item_id")["item_id"].to_list():
        a, b = items.index(pair).tolist()
        assert partner.get(a) == b or partner.get(b) == a
