"""The slate world: clicks come as often as it says, the best page is the best, the same seed is the same world."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from interplay.data.pages import Pages
from interplay.errors import BadData, BadSetting
from interplay.types import Dataset, Events, Ids, Reply, Slates, World
from interplay.worlds.slates import SlateWorld, SlateWorldConfig


def ratings() -> Dataset:
    rng = np.random.default_rng(0)
    user, item = np.repeat(np.arange(40), 8), rng.integers(0, 9, 320)
    return Dataset(
        name="rated", users=Ids(list(range(40))), items=Ids([f"i{i}" for i in range(9)]),
        events=Events(
            user=user.astype(np.int32), item=item.astype(np.int32), value=rng.integers(1, 6, 320).astype(np.float32)
        ),
    )  # fmt: skip


SMALL = SlateWorldConfig(people=50, dim=3, shortest=2, longest=4)


def test_clicks_come_as_often_as_the_world_says_and_the_old_policy_gets_its_rate() -> None:
    world = SlateWorld(ratings(), SlateWorldConfig(people=4000, dim=3, shortest=2, longest=4, wander=0.0), seed=1)
    users, slates = np.arange(4000), np.tile([[0, 1, 2, -1]], (4000, 1))
    said = world.chance(users, slates).mean(axis=0)
    chosen = world.show(users, slates)
    assert [(chosen == place).mean() for place in range(3)] == pytest.approx(said[:3], abs=0.025)
    log = SlateWorld(ratings(), SlateWorldConfig(people=2000, dim=3, shortest=2, longest=4), seed=1).logged(3)
    assert Pages.of(log).clicked.any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.03)


def test_the_best_page_is_the_best_of_all_pages() -> None:
    world = SlateWorld(ratings(), SMALL)
    users = np.arange(5)
    every = np.array(list(combinations(range(9), 3)))
    for user in users:
        chances = world.chance(np.full(len(every), user), every).sum(axis=1)
        mine = world.chance(np.array([user]), world.best(np.array([user]), 3)).sum()
        assert mine == pytest.approx(chances.max())


def test_a_click_draws_the_state_towards_the_item_and_nothing_leaves_it() -> None:
    still = SlateWorldConfig(people=50, dim=3, shortest=2, longest=4, wander=0.0, home=0.0, towards=0.5)
    world = SlateWorld(ratings(), still)
    before, slates = world.state.copy(), np.tile([[4, 5]], (50, 1))
    chosen = world.show(np.arange(50), slates)
    np.testing.assert_array_equal(world.state[chosen < 0], before[chosen < 0])
    hit = np.flatnonzero(chosen >= 0)
    towards = world.items[slates[hit, chosen[hit]]]
    assert (((world.state - before)[hit] * towards).sum(axis=1) > 0).mean() > 0.8


def test_the_same_seed_is_the_same_world_and_a_log_tells_what_was_shown() -> None:
    one, two = (SlateWorld(ratings(), SMALL, seed=3).logged(4) for _ in range(2))
    assert one.fingerprint == two.fingerprint != SlateWorld(ratings(), SMALL, seed=4).logged(4).fingerprint
    pages = Pages.of(one)
    assert pages.clicked.sum() == len(one.events) and (pages.items >= 0).sum(axis=2).min() >= 2
    assert pages.requests(one).history.lengths.max() > 0


def test_it_is_a_world_whose_people_answer_every_page() -> None:
    world = SlateWorld(ratings(), SMALL)
    assert isinstance(world, World)
    requests = world.reset(1)
    for _ in range(3):
        assert requests is not None and len(requests) == 50
        items = np.tile(np.array([0, 1, 2], np.int32), (50, 1))
        events, requests = world.step(Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32))))
    assert requests.history.lengths.sum() == len(world.dataset().events) >= len(events)
    assert len(Pages.of(world.dataset(since=2))) == 50
    with pytest.raises(BadSetting, match="50 people wait"):
        world.step(Reply(slates=Slates.empty(3, 2)))


def test_cold_items_are_never_shown_and_a_set_without_ratings_is_refused() -> None:
    world = SlateWorld(ratings(), SlateWorldConfig(people=50, dim=3, shortest=2, longest=4, cold=0.3))
    shown = Pages.of(world.logged(5)).items
    assert world.cold.sum() == 2 and not np.isin(shown, np.flatnonzero(world.cold)).any()
    plain = ratings()
    with pytest.raises(BadData, match="no ratings"):
        SlateWorld(Dataset(name="x", users=plain.users, items=plain.items,
                           events=Events(user=plain.events.user, item=plain.events.item)))  # fmt: skip
    with pytest.raises(BadSetting, match="slates of 5 to 25"):
        SlateWorld(plain)
