"""Pairs of pages differ in one respect; rewards learn from them what people go for, and nothing from shuffled ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from interplay.data.lists import NUMBERS, Lists, Things, unit
from interplay.learn.descend import Descent
from interplay.learn.page_rewards import (
    DROP,
    FAMILIES,
    RewardConfig,
    Rewards,
    Seen,
    better,
    by_place,
    crowding,
    discount,
    entropy,
    swaps,
)
from interplay.types import Run

K, M = 6, 20
CONFIG = RewardConfig(places=K, dim=16, layers=1, descent=Descent(rate=5e-3, batch=64, epochs=4))


def planted(n: int = 400, *, m: int = M, seed: int = 0) -> tuple[Lists, Things]:
    """Lists in which the one thing gone for stands out by one of its numbers; 60 items in 5 groups of near-twins."""
    rng = np.random.default_rng(seed)
    group = np.arange(60) % 5
    content = unit(rng.normal(size=(5, 8))[group] + 0.15 * rng.normal(size=(60, 8)))
    things = Things(
        content=content, taken=np.zeros((60, 0), np.float32), popularity=np.zeros(60, np.float32),
        group=group.astype(np.int32),
    )  # fmt: skip
    items = np.stack([rng.permutation(60)[:m] for _ in range(n)]).astype(np.int32)
    numbers = rng.normal(size=(n, m, len(NUMBERS))).astype(np.float32)
    engaged = np.zeros((n, m), bool)
    engaged[np.arange(n), (numbers[:, :, 0] + 0.3 * rng.normal(size=(n, m))).argmax(axis=1)] = True
    lists = Lists(
        items=items,
        numbers=numbers,
        past=np.zeros((n, 8), np.float32),
        recent=np.full((n, 10), -1, np.int32),
        engaged=engaged,
        passed=np.zeros_like(engaged),
        user=np.arange(n, dtype=np.int32),
    )
    return lists, things


@pytest.fixture
def drawn() -> tuple[np.ndarray, Seen, np.random.Generator]:
    lists, things = planted(50)
    lists = replace(
        lists, items=np.where(np.arange(M) >= M - 3, -1, lists.items), engaged=lists.engaged & (np.arange(M) < 9)
    )
    seen, rng = Seen.of(lists, things), np.random.default_rng(1)
    return better(seen.engaged.numpy(), seen.present.numpy(), K, rng), seen, rng


def wanted(page: np.ndarray, seen: Seen) -> np.ndarray:
    return np.take_along_axis(seen.engaged.numpy(), page, 1)


def test_a_better_page_has_what_was_gone_for_on_top_and_the_rest_in_the_base_order(drawn):
    page, seen, _ = drawn
    some = seen.engaged.numpy().any(axis=1)
    assert some.any() and not some.all()
    assert wanted(page, seen)[some, 0].all() and not wanted(page, seen)[:, 1:].any()
    assert (np.diff(page[:, 1:], axis=1) > 0).all() and (page < M - 3).all()


def test_relevance_puts_others_in_the_place_of_what_was_gone_for(drawn):
    page, seen, rng = drawn
    worse, valid = FAMILIES["relevance"](page, seen, CONFIG, rng)
    np.testing.assert_array_equal(valid, seen.engaged.numpy().any(axis=1))
    np.testing.assert_array_equal(worse[:, 1:], page[:, 1:])
    assert not wanted(worse, seen)[valid].any()
    assert all(len(set(row)) == K for row in worse.tolist())


def test_ranking_moves_what_was_gone_for_down_and_changes_nothing_else(drawn):
    page, seen, rng = drawn
    worse, valid = FAMILIES["ranking"](page, seen, CONFIG, rng)
    np.testing.assert_array_equal(np.sort(worse, axis=1), np.sort(page, axis=1))
    assert (wanted(worse, seen)[valid].argmax(axis=1) > 0).all()


def test_diversity_falls_by_the_share_that_is_promised_and_what_was_gone_for_stays(drawn):
    page, seen, rng = drawn
    worse, valid = FAMILIES["diversity"](page, seen, CONFIG, rng)
    group = seen.group.numpy()
    before, after = (entropy(np.take_along_axis(group, p, 1)) for p in (page, worse))
    assert valid.any() and (after[valid] <= (1 - DROP) * before[valid] + 1e-9).all()
    np.testing.assert_array_equal(worse[:, 0][wanted(page, seen)[:, 0]], page[:, 0][wanted(page, seen)[:, 0]])


def test_redundancy_brings_in_near_duplicates_of_what_stands_there(drawn):
    page, seen, rng = drawn
    worse, valid = FAMILIES["redundancy"](page, seen, CONFIG, rng)
    assert valid.any()
    for row in np.flatnonzero(valid):
        new = set(worse[row]) - set(page[row])
        assert new and all(seen.like[row, i, page[row]].max() >= CONFIG.twin for i in new)


def test_a_swap_exchanges_two_places_and_what_was_gone_for_goes_down(drawn):
    page, seen, rng = drawn
    first, second, a, b = swaps(page, seen, rng)
    able = a < b
    np.testing.assert_array_equal(able, seen.engaged.numpy().any(axis=1))
    for row in np.flatnonzero(able):
        apart = np.flatnonzero(first[row] != second[row])
        assert apart.tolist() == [a[row], b[row]]
        assert seen.engaged[row, first[row, a[row]]] and seen.engaged[row, second[row, b[row]]]
    np.testing.assert_array_equal(first[~able], second[~able])


def test_the_item_reward_of_a_page_is_the_discounted_sum_of_its_items():
    worth, page = torch.tensor([[3.0, 5.0, 7.0]]), torch.tensor([[2, 0, -1]])
    assert by_place(worth, page).sum().item() == pytest.approx(7 / np.log2(2) + 3 / np.log2(3))


def test_crowding_is_the_nearest_above_and_the_share_of_its_category_there():
    lists, things = planted(3)
    seen, page = Seen.of(lists, things), np.tile([4, 9, 2, -1], (3, 1))
    told = crowding(seen, page)
    for row in range(3):
        codes = things.group[lists.items[row, [4, 9, 2]]]
        near = things.content[lists.items[row, [4, 9, 2]]] @ things.content[lists.items[row, [4, 9, 2]]].T
        assert told[row, 0].tolist() == [0, 0]
        assert told[row, 2, 0] == pytest.approx(max(near[2, 0], near[2, 1], 0), abs=1e-6)
        assert told[row, 2, 1] == pytest.approx(np.mean(codes[:2] == codes[2]))


def test_both_rewards_learn_what_people_go_for_and_nothing_from_shuffled_labels():
    (lists, things), (check, _) = planted(500), planted(200, seed=9)
    seen = Seen.of(check, things)
    page = better(seen.engaged.numpy(), seen.present.numpy(), K, np.random.default_rng(2))
    first, second, _, _ = swaps(page, seen, np.random.default_rng(2))
    won = {}
    for shuffled in (False, True):
        rewards = Rewards(replace(CONFIG, shuffled=shuffled), 8, seed=3)
        rewards.learn(lists, things, run=Run(seed=3))
        worth = rewards.item(seen).detach()
        won[shuffled] = (by_place(worth, torch.from_numpy(first)) - by_place(worth, torch.from_numpy(second))).sum(
            dim=1
        )
        if not shuffled:
            told = rewards.accuracy(check, things)
            assert all(told[name] >= 0.75 for name in (*FAMILIES, "swap")), told
    assert abs(won[True].mean()) < 0.25 * won[False].mean()


def test_a_family_that_is_not_named_is_not_learnt_from():
    lists, things = planted(100)
    rewards = Rewards(replace(CONFIG, margins={"redundancy": 0.5}), 8)
    one = rewards.learn(lists, things, run=Run(epochs=1))["page"]
    assert one[0] < np.log1p(np.exp(0.5)) + 0.1, "one family's loss alone"
    np.testing.assert_allclose(discount(3), 1 / np.log2([2, 3, 4]), rtol=1e-6)
