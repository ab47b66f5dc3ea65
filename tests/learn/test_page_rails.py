"""Shelves of a page: what they are made of, what a page of them finds, and a policy that learns which to show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interplay.data.lists import NUMBERS, Lists, Things, unit
from interplay.data.shelves import FEWEST, LED, ORIGINS, WIDE, Shelves
from interplay.errors import BadSetting
from interplay.learn.descend import Descent
from interplay.learn.page_policy import PolicyConfig
from interplay.learn.page_rails import RailConfig, Rails, found, gains, rule
from interplay.learn.page_rewards import RewardConfig
from interplay.types import Run

M, SHORT = 40, Descent(rate=5e-3, batch=64, epochs=4)
CONFIG = RailConfig(
    shelves=3, tried=2, reward=RewardConfig(dim=8, descent=SHORT),
    policy=PolicyConfig(dim=8, rounds=2, pages=64, every=1, descent=SHORT),
)  # fmt: skip


def planted(n: int, seed: int = 0) -> tuple[Lists, Things]:
    """60 things of five kinds; people go for the one kind whose things have the highest first number."""
    rng = np.random.default_rng(seed)
    group = (np.arange(60) % 5).astype(np.int32)
    things = Things(
        content=unit(np.eye(8)[group] + 0.2 * rng.normal(size=(60, 8))), taken=np.zeros((60, 0), np.float32),
        popularity=np.zeros(60, np.float32), group=group,
    )  # fmt: skip
    items = np.stack([rng.permutation(60)[:M] for _ in range(n)]).astype(np.int32)
    liked = rng.integers(0, 5, n)
    of = group[items] == liked[:, None]
    numbers = rng.normal(size=(n, M, len(NUMBERS))).astype(np.float32)
    numbers[:, :, 0] += 3 * of
    engaged = of & (np.cumsum(of & (np.arange(M) >= LED), axis=1) == 4) & (np.arange(M) >= LED)
    recent = np.full((n, 10), -1, np.int32)
    recent[:, :2] = rng.integers(0, 60, (n, 2))
    lists = Lists(
        items=items, numbers=numbers, past=np.zeros((n, 8), np.float32), recent=recent, engaged=engaged,
        passed=np.zeros_like(engaged), user=np.arange(n, dtype=np.int32),
    )  # fmt: skip
    return lists, things


def test_shelves_are_of_one_kind_or_near_one_thing_and_lead_nothing():
    lists, things = planted(30)
    shelves = Shelves.of_lists(lists, things, block=7)
    assert len(shelves) == 30 and np.isfinite(shelves.numbers).all()
    for i in range(30):
        first = set(lists.items[i, :LED].tolist())
        for j in np.flatnonzero(shelves.held[i]):
            on = [item for item in shelves.items[i, j].tolist() if item >= 0]
            assert FEWEST <= len(on) <= WIDE and len(set(on)) == len(on) and not first & set(on)
            if ORIGINS[shelves.origin[i, j]] == "kind":
                assert {int(things.group[item]) for item in on} == {int(shelves.of[i, j])}
                place = [lists.items[i].tolist().index(item) for item in on]
                assert place == sorted(place), "in the order of the list"
            if ORIGINS[shelves.origin[i, j]] == "near":
                assert shelves.of[i, j] in lists.recent[i] and shelves.of[i, j] not in on
    np.testing.assert_array_equal(shelves.items[:, 0], lists.items[:, LED : LED + WIDE])


def test_short_lists_empty_ones_and_strangers_have_the_shelves_that_there_are():
    lists, things = planted(4)
    short = replace(lists, items=np.where(np.arange(M) < LED + 2, lists.items, -1))
    assert not Shelves.of_lists(short, things).held.any(), "two things are no shelf"
    stranger = replace(lists, recent=np.full((4, 10), -1, np.int32))
    assert not (Shelves.of_lists(stranger, things).origin == ORIGINS.index("near")).any()
    assert len(Shelves.of_lists(lists.take(np.arange(0)), things)) == 0


def test_a_page_finds_a_thing_once_where_it_first_stands():
    lists, things = planted(2)
    shelves = Shelves.of_lists(lists, things)
    items, wanted = np.full_like(shelves.items, -1), np.zeros_like(shelves.wanted)
    items[0, 0, :3], items[0, 1, :2] = [5, 6, 7], [7, 8]
    wanted[0, 0, 2] = wanted[0, 1, 0] = True  # the same thing, third on one shelf and first on the other
    made = replace(shelves, items=items, wanted=wanted)
    gain, seen = gains(made, np.array([[0, 1], [0, 1]]))
    assert gain.tolist() == pytest.approx([1 / np.log2(4), 0]) and seen.tolist() == [True, False]
    gain, _ = gains(made, np.array([[1, 0], [-1, -1]]))
    assert gain[0] == pytest.approx(1.0)


def test_the_policy_finds_more_than_the_rule_and_moves_to_a_new_instance():
    lists, things = planted(700)
    shelves = Shelves.of_lists(lists, things)
    train, check = shelves.take(np.arange(500)), shelves.take(np.arange(500, 700))
    rails = Rails(CONFIG, 8, 0)
    told = rails.learn(train, check, things, run=Run(seed=1))
    assert told["trusted"] and told["more"]["low"] > 0
    again = Rails(CONFIG, 8, 5).restore(rails.state())
    np.testing.assert_array_equal(again.page(check, things), rails.page(check, things))
    chosen = again.choose(check, things)
    assert chosen.by == "policy" and (chosen.chance == 1).all() and np.isfinite(chosen.after).all()
    doubted = Rails(CONFIG, 8, 0)
    assert doubted.choose(check, things).by == "rule"
    np.testing.assert_array_equal(doubted.choose(check, things).order, rule(check, 3))
    assert found(check.take(np.arange(0)), np.zeros((0, 3), np.int64)) == {"gain": 0.0, "seen": 0.0}


def test_the_tried_place_is_drawn_with_the_chance_that_is_told():
    lists, things = planted(1)
    one = Shelves.of_lists(lists, things)
    many = one.take(np.zeros(4000, np.int64))
    rails = Rails(CONFIG, 8, 0)
    rails.trusted = True
    chosen = rails.choose(many, things, np.arange(4000).astype(np.uint64))
    assert (chosen.chance[:, [0, 2]] == 1).all() and len(set(chosen.order[:, 0].tolist())) == 1
    for at in np.unique(chosen.order[:, 1]):
        drawn = chosen.order[:, 1] == at
        told = float(chosen.chance[drawn, 1][0])
        assert abs(drawn.mean() - told) < 4 * np.sqrt(told * (1 - told) / 4000)
    same = rails.choose(many, things, np.arange(4000).astype(np.uint64))
    np.testing.assert_array_equal(same.order, chosen.order)


def test_where_the_rule_leads_one_place_is_tried_all_the_same():
    lists, things = planted(700)
    shelves = Shelves.of_lists(lists, things)
    train, check = shelves.take(np.arange(500)), shelves.take(np.arange(500, 700))
    rails = Rails(CONFIG, 8, 0)
    rails.learn(train, check, things, run=Run(seed=1))
    rails.trusted, draw, usual = False, np.arange(200).astype(np.uint64), rule(check, 3)
    chosen = Rails(CONFIG, 8, 5).restore(rails.state()).choose(check, things, draw)
    assert chosen.by == "rule" and (chosen.chance[:, 1] < 1).any() and (chosen.chance[:, [0, 2]] == 1).all()
    np.testing.assert_array_equal(chosen.order[:, 0], usual[:, 0])
    as_usual = chosen.order[:, 1] == usual[:, 1]
    assert 0 < as_usual.sum() < len(check)
    np.testing.assert_array_equal(chosen.order[as_usual], usual[as_usual])
    assert all(len(set(page)) == len(page) for page in chosen.order.tolist())


def test_a_try_stands_on_one_of_the_shelves():
    with pytest.raises(BadSetting, match="one of their places"):
        RailConfig(shelves=2, tried=3)
