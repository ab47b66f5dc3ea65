"""Chances of a page: exact, place by place, and what the draws in fact do."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.ops.choosing import NEVER, Greedy, Shares, Together, chances, choose, uniforms
from interplay.types import Array

N = 40_000
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(12, 1, 5))


def chooser(name: str, n: int) -> Greedy | Shares | Together:
    wide = np.repeat(SCORES, n, axis=1)
    made = {"greedy": lambda: Greedy(wide[0], 0.3), "shares": lambda: Shares(wide, 0.1)}
    return made.get(name, lambda: Together(wide, 0.1))()


@pytest.mark.parametrize("name", ["greedy", "shares", "together"])
def test_every_page_comes_as_often_as_the_product_of_its_chances(name: str) -> None:
    free = np.ones((N, 5), bool)
    free[:, 3] = False
    draw = RNG.integers(0, 2**64, N, dtype=np.uint64)
    found = choose(chooser(name, N), free, 3, draw)
    pages, first, count = np.unique(found.at, axis=0, return_index=True, return_counts=True)
    said = found.chance[first].prod(axis=1)
    assert abs(count / N - said).max() < 4 * np.sqrt(0.25 / N)
    assert said.sum() > 0.98 and not (pages == 3).any()
    again = chances(chooser(name, len(pages)), free[: len(pages)], pages)
    np.testing.assert_allclose(again, found.chance[first], atol=1e-12)


def test_together_is_thompson_sampling_with_one_draw_and_shares_with_one_for_each_place() -> None:
    free = np.ones((1, 5), bool)
    orders = np.argsort(-SCORES[:, 0], axis=1)
    pages, count = np.unique(orders[:, :3], axis=0, return_counts=True)
    for page, share in zip(pages, count / len(orders), strict=True):
        assert chances(Together(SCORES), free, page[None]).prod() == pytest.approx(share)
        slow = 1.0
        for place in range(3):
            left = np.setdiff1d(np.arange(5), page[:place])
            slow *= (left[SCORES[:, 0, left].argmax(axis=1)] == page[place]).mean()
        assert chances(Shares(SCORES), free, page[None]).prod() == pytest.approx(slow)


def test_without_doubt_every_way_shows_the_same_page() -> None:
    certain: Array = np.repeat(SCORES[:1], 12, axis=0)
    draw = np.array([5], np.uint64)
    pages = [
        choose(c, np.ones((1, 5), bool), 4, draw).at for c in (Greedy(certain[0]), Shares(certain), Together(certain))
    ]
    assert pages[0].tolist() == pages[1].tolist() == pages[2].tolist()
    assert pages[0][0].tolist() == np.argsort(-certain[0, 0])[:4].tolist()


def test_no_item_comes_twice_caps_hold_and_a_short_list_leaves_places_empty() -> None:
    codes = np.array([[0, 0, 0, 1, 1]])
    for seed in range(50):
        page = choose(Shares(SCORES, 0.5), np.ones((1, 5), bool), 5, np.array([seed], np.uint64), [(codes, 2)])
        shown = page.at[0][page.at[0] >= 0]
        assert len(set(shown.tolist())) == len(shown) == 4
        assert (page.chance[0, 4], page.at[0, 4]) == (1.0, -1)
    nothing = choose(Greedy(SCORES[0]), np.zeros((1, 5), bool), 2, np.array([1], np.uint64))
    assert nothing.at.tolist() == [[-1, -1]] and nothing.chance.tolist() == [[1.0, 1.0]]


def test_what_cannot_come_has_no_chance() -> None:
    free = np.ones((1, 5), bool)
    assert chances(Greedy(SCORES[0], 0.2), free, np.array([[NEVER, 0]]))[0, 0] == 0
    assert chances(Greedy(SCORES[0], 0.2), free, np.array([[1, 1]]))[0, 1] == 0
    worst = int(SCORES[0, 0].argmin())
    assert chances(Greedy(SCORES[0]), free, np.array([[worst, -1]]))[0].tolist() == [0.0, 1.0]


def test_draws_are_even_and_replayable() -> None:
    u = uniforms(np.arange(10_000, dtype=np.uint64), 3)
    assert abs(u.mean() - 0.5) < 0.01 and abs(np.corrcoef(u.T)[0, 1]) < 0.03
    np.testing.assert_array_equal(u[7:8], uniforms(np.array([7], np.uint64), 3))


def test_many_particles_of_one_mind_are_certain_and_no_more() -> None:
    scores = np.broadcast_to(np.array([3.0, 2.0, 1.0]), (9, 2, 3))  # nine ninths add up to a bit more than 1
    assert sum([1 / 9] * 9) > 1
    for way in (Together(scores), Shares(scores)):
        assert way.next(np.ones((2, 3), bool)).max() == 1.0
