"""The world of pairs: its rates, its seeds, what a policy may see, and its environment."""

import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from interplay.errors import BadSetting
from interplay.types import Events, Ragged, Reply, Requests, Slates
from interplay.worlds.check import checked, first_at_hand, halves, swapped, walked
from interplay.worlds.gym import PairEnv, PairEnvConfig, register
from interplay.worlds.pairlaws import DAY, KINDS, START, Aggregates, Levels, PairWorldConfig
from interplay.worlds.pairs import PairWorld, first_of, levels_of

SMALL = PairWorldConfig(people=80, makers=50, days=12)
LEVELS = Levels(click=-1.15, liked=0.015, plain=0.005, follow=0.02, clicked=2.0, fond=17.0)  # follows are common here


def small(**more) -> PairWorld:
    return PairWorld(replace(SMALL, **more), seed=3, levels=LEVELS)


def clicked_first(requests: Requests) -> Slates:
    """Makers of the history first: a policy that reads what it may."""
    at = requests.context["candidates"].astype(np.int64)
    past = requests.history
    known = np.zeros(at.shape)
    for i in range(len(requests)):
        known[i] = np.isin(at[i], past.row(i)["item"])
    return first_of(at, known - 0.001 * np.arange(at.shape[1]), requests.k)


def test_the_old_policy_s_log_has_the_rates_that_were_asked_for():
    wanted = Aggregates(click=0.3, like=0.02, follow=0.004, like_of_clicks=0.05, click_of_follows=0.8,
                        follow_of_likes=0.05)  # fmt: skip
    config = PairWorldConfig(people=200, makers=60, days=10, aggregates=wanted)
    world = PairWorld(config, seed=5, levels=levels_of(config, 5))
    world.logged(10)
    t = world.tally  # the chances, summed: what happens is them and luck
    assert t["click?"] / t["show"] == pytest.approx(wanted.click, rel=0.05)
    assert t["like?"] / t["show"] == pytest.approx(wanted.like, rel=0.05)
    assert t["follow?"] / t["show"] == pytest.approx(wanted.follow, rel=0.15)
    assert t["follow with click?"] / t["follow?"] == pytest.approx(wanted.click_of_follows, abs=0.05)
    assert t["click"] / t["show"] == pytest.approx(t["click?"] / t["show"], rel=0.03)


def test_people_come_back_by_the_law_of_gaps():
    world = PairWorld(replace(SMALL, people=1500, makers=25, days=40, requests=1, candidates=6), levels=LEVELS)
    gaps, before = [], np.full(1500, -1)
    while world.moment is not None:
        users = world.moment.user
        seen = before[users] >= 0
        gaps.append(world.moment.day - before[users][seen])
        before[users] = world.moment.day
        world.show(np.full((len(users), 1), -1))
    share = np.bincount(np.concatenate(gaps), minlength=6)[1:6] / len(np.concatenate(gaps))
    np.testing.assert_allclose(share, [0.617, 0.165, 0.079, 0.047, 0.031], atol=0.02)


@pytest.mark.parametrize("shape", ["usual", "other"])
def test_nothing_is_wrong_with_it(shape):
    for policy in (first_at_hand, clicked_first):
        assert checked(lambda: small(shape=shape), policy, steps=20) == []


def test_place_does_not_matter_in_it():
    walk = walked(small(), first_at_hand, seed=1, steps=1)
    up, low = halves(walk)
    turned_up, turned_low = swapped(small, first_at_hand, steps=1)
    assert (up, low) == (turned_low, turned_up)


def test_makers_who_are_not_at_hand_cannot_be_shown():
    world = small()
    requests = world.reset(0)
    absent = np.setdiff1d(np.arange(50), requests.context["candidates"][0])[0]
    pages = np.full((len(requests), 6), -1, np.int32)
    pages[0, 0] = absent
    with pytest.raises(BadSetting, match="not at hand"):
        world.step(Reply(slates=Slates(items=pages, scores=np.zeros(pages.shape, np.float32))))


def test_two_policies_meet_the_same_people():
    def gone(policy) -> list[list[int]]:
        return [asked.user.tolist() for asked, _, _ in walked(small(), policy, seed=4, steps=15)]

    assert gone(first_at_hand) == gone(clicked_first)


def test_a_copy_goes_its_own_way_and_a_longer_world_goes_on():
    world = small()
    world.logged(12)
    assert world.moment is None
    other = world.copy().longer(14)
    before = world.shown.copy()
    while other.moment is not None:
        other.show(other.old_policy(other.requests()).items)
    np.testing.assert_array_equal(world.shown, before)
    assert other.shown.sum() > before.sum()


def test_weariness_follows_and_regularity_do_what_the_laws_say():
    world = small()
    user, maker = np.array([0]), np.array([0])
    fresh = world.chances(user, maker)
    world.heat[0, 0] = 1.2
    assert world.chances(user, maker) < fresh
    usual, other = small().shape, small(shape="other").shape
    assert usual.growth(np.array(6.0), np.array(0.0)) > 0.8 > other.growth(np.array(6.0), np.array(0.0))
    assert usual.giving(np.array(1.0), np.array(9.0)) == 1.0
    assert other.giving(np.array(1.0), np.array(9.0)) == pytest.approx(0.1)


def test_starved_makers_leave():
    world = small(starved=0.5, leaves=0.5)
    while world.moment is not None:
        world.show(first_of(world.moment.candidates, -world.moment.candidates.astype(float), 6).items)
    assert 0 < world.left.sum() < 50
    assert world.left[:5].sum() <= world.left[-20:].sum()


def test_the_log_is_an_ordinary_data_set():
    data = small().logged(6)
    e = data.events
    assert e.kinds == KINDS and data.catalogue["author_id"].len() == 50
    assert (np.diff(e.user) >= 0).all() and (e.time >= START).all() and (e.time < START + 6 * DAY).all()


class TestTheChecker:
    """It finds what is wrong with worlds that have a fault each."""

    def test_draws_that_no_seed_governs(self):
        class Loose(PairWorld):
            def step(self, reply: Reply) -> tuple[Events, Requests | None]:
                self.run = int(np.random.default_rng().integers(2**31))
                return super().step(reply)

        said = checked(lambda: Loose(SMALL, levels=LEVELS), steps=6)
        assert any("different ways" in s for s in said)

    def test_something_left_over_from_before(self):
        class Sticky(PairWorld):
            def _begin(self, run: int) -> None:
                super()._begin(run)
                self.begun = getattr(self, "begun", -1) + 1
                self.heat += self.begun

        assert any("left over" in s for s in checked(lambda: Sticky(SMALL, levels=LEVELS), steps=6))

    def test_a_seed_that_changes_nothing(self):
        class Deaf(PairWorld):
            def reset(self, seed: int) -> Requests:
                return super().reset(0)

        assert any("another seed" in s for s in checked(lambda: Deaf(SMALL, levels=LEVELS), steps=6))

    def test_a_history_from_the_future(self):
        class Seer(PairWorld):
            def requests(self) -> Requests | None:
                asked = super().requests()
                if asked is None:
                    return None
                liked = self.affinity[asked.user].argmax(axis=1).astype(np.int32)
                return replace(asked, history=Ragged.of([[i] for i in liked]))

        assert any("has not happened" in s for s in checked(lambda: Seer(SMALL, levels=LEVELS), steps=6))

    def test_rates_that_are_off(self):
        said = checked(small, steps=20, rates={"click": (0.9, "show")})
        assert len(said) == 1 and "expected 0.90000" in said[0]


def test_the_environment_passes_gymnasium_s_own_checks():
    config = PairEnvConfig(world=replace(SMALL, starved=0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(PairEnv(config, levels=LEVELS), skip_render_check=True)
    env = gymnasium.make(register(), config=config, levels=LEVELS)
    totals = []
    for _ in range(2):
        seen, _ = env.reset(seed=7)
        env.action_space.seed(7)
        total, over = 0.0, False
        while not over:
            seen, reward, over, cut, _ = env.step(env.action_space.sample())
            assert env.observation_space.contains(seen) and not cut
            total += reward
        totals.append(total)
    assert totals[0] == totals[1] > 0
