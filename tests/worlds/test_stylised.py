"""The stylised worlds: their published laws by hand, what they are known to teach, and how fast they go."""

import time

import numpy as np
import pytest

from interplay.errors import BadSetting
from interplay.types import Reply, Requests, Slates
from interplay.worlds.check import checked, halves, swapped, walked
from interplay.worlds.stylised import (
    InterestConfig,
    InterestWorld,
    OrganicConfig,
    OrganicWorld,
    TemptingConfig,
    TemptingWorld,
    chosen,
    clickable,
    moved,
)

WORLDS = {
    "interest": lambda: InterestWorld(InterestConfig(people=60, items=40)),
    "tempting": lambda: TemptingWorld(TemptingConfig(people=60, items=40, places=2)),
    "organic": lambda: OrganicWorld(OrganicConfig(people=200, items=30, appeal=5.0)),
}


def always(items: list[int]):
    """A policy that shows the same page to everybody."""

    def policy(requests: Requests) -> Slates:
        page = np.tile(np.array(items[: requests.k], np.int32), (len(requests), 1))
        return Slates(items=page, scores=np.zeros(page.shape, np.float32))

    return policy


def earned(world, policy, steps: int = 10**6) -> float:
    """What people were worth under a policy, in the mean."""
    asked, n = world.reset(3), 0
    while asked is not None and n < steps:
        _, asked = world.step(Reply(slates=policy(asked)))
        n += 1
    return float(world.total.mean())


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_wrong_with_it(name):
    if name == "organic":  # what people view of their own accord is in their history, and in no answer to a page
        views = WORLDS[name]().reset(1).history
        assert views.lengths.min() >= 1
        said = [s for s in checked(WORLDS[name], always(list(range(20))), steps=25) if "has not happened" not in s]
    else:
        said = checked(WORLDS[name], always(list(range(20))), steps=25)
    assert said == []


@pytest.mark.parametrize("name", WORLDS)
def test_ten_thousand_steps_of_people_take_less_than_a_second(name):
    world = {"interest": InterestWorld, "tempting": TemptingWorld, "organic": OrganicWorld}[name]()
    asked, done, policy = world.reset(0), 0, always(list(range(10)))
    begun = time.process_time()
    while asked is not None and done < 10_000:
        done += len(asked)
        _, asked = world.step(Reply(slates=policy(asked)))
    assert done / (time.process_time() - begun) > 10_000


def test_an_interest_moves_by_the_published_law():
    u = np.array([0.5, 0.5, -0.5, 1.0])
    step = (0.3 - 0.3 * 0.5) * np.array([0.5, 0.5, 1.5, 0.0])
    said = moved(u, np.array([True, False, True, True]))
    np.testing.assert_allclose(said, u + step * np.array([1, -1, 1, 1]) * np.array([1, 1, 1, 0]))


def test_places_are_taken_by_multinomial_logit_and_nothing_may_be():
    scores = np.tile([1.0, 0.0, -np.inf, 1.0], (40_000, 1))
    place = chosen(scores, np.random.default_rng(0).random(40_000))
    e = np.exp([1.0, 0.0, 1.0])
    assert not (place == 2).any()
    np.testing.assert_allclose([(place == p).mean() for p in (0, 1, -1)], e / e.sum(), atol=0.01)


@pytest.mark.parametrize("name", ["interest", "tempting"])
def test_a_page_upside_down_is_answered_alike_for_places_do_not_matter(name):
    def wider():
        if name == "tempting":
            return TemptingWorld(TemptingConfig(people=400, items=40, places=4))
        made = InterestWorld(InterestConfig(people=400, items=40, places=4))
        made.first[:] = np.where(np.arange(20) % 2, -0.9, 0.9)  # everybody wants every other topic
        return made

    made = wider()
    wanted = np.argsort(made.topic % 2 if name == "interest" else -made.bait)
    policy = always([*wanted[:2].tolist(), *wanted[-2:].tolist()])
    up, low = halves(walked(wider(), policy, seed=1, steps=8))
    turned_up, turned_low = swapped(wider, policy, seed=1, steps=8)
    assert turned_up == pytest.approx(low, rel=0.1) and turned_low == pytest.approx(up, rel=0.1)
    assert up > 1.3 * low, "so a swap would be seen"


def test_the_first_advert_alone_is_answered():
    made = WORLDS["organic"]()
    events = [e for _, _, e in walked(made, always([2, 5]), seed=1, steps=20)]
    assert {int(i) for e in events for i in e.item} == {2}


def test_good_things_keep_people_longer():
    world = WORLDS["interest"]()
    best, worst = np.argsort(-world.quality)[:10].tolist(), np.argsort(world.quality)[:10].tolist()
    assert earned(world, always(best)) > 1.2 * earned(world, always(worst))


def test_what_tempts_wins_at_once_and_loses_in_the_end():
    world = TemptingWorld(TemptingConfig(people=300))
    choc, kale = always([int(world.bait.argmax())]), always([int(world.bait.argmin())])
    assert earned(world, choc, steps=1) > earned(world, kale, steps=1)
    assert earned(world, choc) < 0.5 * earned(world, kale)


def test_satisfaction_follows_exposure_by_the_published_law():
    world = TemptingWorld(TemptingConfig(people=5, noise=0.0))
    world.reset(0)
    for _ in range(2):
        world.step(Reply(slates=always([7])(world.requests())))
    bait = world.bait[7]
    n = 0.9 * (-2 * (bait - 0.5)) - 2 * (bait - 0.5)
    np.testing.assert_allclose(world.satisfaction, 1 / (1 + np.exp(-n)))


def test_the_chance_of_a_click_is_recogym_s():
    def sig(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    for x in (-2.0, 0.0, 3.0):
        assert clickable(np.array(x)) == pytest.approx(sig(5 * sig(2 * sig(0.3 * x) - 2) - 6))


def test_flips_make_what_people_view_a_worse_guide_to_what_they_click():
    def gap(flips: int) -> float:
        world = OrganicWorld(OrganicConfig(people=400, items=20, flips=flips, popularity=0.0))
        world.reset(0)
        everyone, items = np.arange(400), np.arange(20)
        clicks = world.chance(everyone[:, None], items[None, :])
        by_views = (world.taste @ world.organic.T).argmax(axis=1)
        return float((clicks.max(axis=1) - clicks[everyone, by_views]).mean())

    assert gap(0) == pytest.approx(0, abs=1e-12)
    assert gap(0) < gap(4) < gap(10)


def test_a_page_of_the_wrong_length_and_a_world_without_room_are_refused():
    world = WORLDS["interest"]()
    with pytest.raises(BadSetting, match="wait for a page"):
        world.step(Reply(slates=Slates.empty(3, 5)))
    with pytest.raises(BadSetting, match="more items than places"):
        InterestWorld(InterestConfig(items=3, places=5))
