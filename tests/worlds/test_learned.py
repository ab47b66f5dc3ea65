"""The world learnt from ratings: its rates, what it knows when, places, seeds; and its report."""

import time
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from interplay.benches import BENCHES
from interplay.errors import BadData, UnknownName
from interplay.metrics import auc, logloss
from interplay.protocols.simulating import (
    distances,
    effects,
    losses,
    of_kinds,
    reported,
    resampled,
    table,
    turn_of,
    validated,
    where,
)
from interplay.types import Dataset, Events, Ids, Reply, Requests, Slates
from interplay.worlds.check import checked, halves, swapped, walked
from interplay.worlds.learned import (
    Answers,
    LearnedConfig,
    LearnedWorld,
    Visits,
    lengths_of,
    parts_by_time,
    told_apart,
)
from interplay.worlds.stylised import MINUTE


@cache
def ratings(n_users: int = 120, n_items: int = 60, each: int = 40) -> Dataset:
    """People with tastes rate what they meet in visits of some ten; items differ in how good they are."""
    rng = np.random.default_rng(0)
    z, v = rng.normal(size=(n_users, 2)), rng.normal(size=(n_items, 2))
    good, kind = rng.normal(size=n_items), rng.normal(size=n_users)
    user = np.repeat(np.arange(n_users), each)
    item = np.concatenate([rng.permutation(n_items)[:each] for _ in range(n_users)])
    logit = good[item] + kind[user] + (z[user] * v[item]).sum(axis=1)
    stars = np.where(rng.random(len(user)) < 1 / (1 + np.exp(-logit)), 5.0, 2.0)
    gap = np.where(rng.random(len(user)) < 0.1, 3000, 1)
    time = (np.cumsum(gap.reshape(n_users, each), axis=1) + rng.integers(0, 3000, (n_users, 1))).ravel() * MINUTE
    events = Events(user=user.astype(np.int32), item=item.astype(np.int32), time=time, value=stars.astype(np.float32))
    return Dataset(
        name="stars", users=Ids([f"u{i}" for i in range(n_users)]), items=Ids([f"i{i}" for i in range(n_items)]),
        events=events,
    )  # fmt: skip


def always(items: list[int]):
    """A policy that shows the same page to everybody."""

    def policy(requests: Requests) -> Slates:
        page = np.tile(np.array(items[: requests.k], np.int32), (len(requests), 1))
        return Slates(items=page, scores=np.zeros(page.shape, np.float32))

    return policy


@cache
def fitted(knows: str = "learned") -> Answers:
    train, valid, _ = parts_by_time(ratings())
    return Answers(LearnedConfig(knows=knows, dim=2)).fit(ratings(), train, valid)


def world(**more) -> LearnedWorld:
    train, valid, _ = parts_by_time(ratings())
    return LearnedWorld(ratings(), train, valid, LearnedConfig(dim=2, places=4, **more))


def test_said_chances_have_the_log_s_base_rate():
    train, valid, _ = parts_by_time(ratings())
    like = (ratings().events.value >= 4).astype(float)
    said = fitted().chances(fitted().along(ratings().events, like, 120))
    assert said[train | valid].mean() == pytest.approx(like[train | valid].mean(), rel=0.05)


def test_knowing_more_foretells_better_and_is_harder_to_tell_apart():
    told = {
        knows: validated(ratings(), LearnedConfig(knows=knows, dim=2))[0] for knows in ("global", "item", "learned")
    }
    assert told["learned"]["logloss"] < told["item"]["logloss"] < told["global"]["logloss"]
    assert told["learned"]["apart"] < told["global"]["apart"]
    assert told["learned"]["people"] > told["global"]["people"]
    assert abs(told["learned"]["base"] - 1) < 0.1


def test_features_of_a_moment_are_the_same_whatever_comes_after():
    e = ratings().events
    like = (e.value >= 4).astype(float)
    before = fitted().along(e, like.copy(), 120)
    late = np.arange(len(e)) % 40 >= 30
    changed = like.copy()
    changed[late] = 1 - changed[late]
    after = fitted().along(e, changed, 120)
    rows = np.arange(len(e)) % 40 <= 30
    np.testing.assert_array_equal(before[rows], after[rows])
    assert not np.array_equal(before, after)


def test_drawn_answers_are_remembered_in_place_of_true_ones():
    e = ratings().events
    like = (e.value >= 4).astype(float)
    own = like.copy()
    x = fitted().along(e, own, 120, drawn=np.ones(len(e), bool), luck=np.random.default_rng(0))
    assert 0.2 < np.abs(own - like).mean() < 0.6
    assert own.mean() == pytest.approx(fitted().chances(x).mean(), abs=0.03)


def test_nothing_is_wrong_with_the_world():
    assert checked(world, always([3, 7, 11, 15]), steps=3) == []
    assert checked(world, always([20, 21, 22, 23]), steps=2, rates={"look": (1.0, "look")}) == []


def test_what_stands_above_is_looked_at_more_and_a_page_upside_down_shows_it():
    policy = always([3, 7, 11, 15])
    up, low = halves(walked(world(attention=0.5), policy, seed=1, steps=1), "look")
    turned_up, turned_low = swapped(lambda: world(attention=0.5), policy, steps=1)
    assert up > 1.5 * low and turned_up >= turned_low
    evenly = halves(walked(world(attention=1.0), policy, seed=1, steps=1), "look")
    assert up < evenly[0] * 1.05 and low < evenly[1]


def test_what_is_liked_of_what_is_looked_at_happens_as_often_as_the_world_says():
    made, said, events = world(attention=1.0), [], []
    asked = made.reset(1)
    while asked is not None and made.at < 8:
        page = np.array([np.flatnonzero(~made.seen[u])[:1] for u in asked.user], np.int32)
        said.append(made.chance(asked.user, page[:, 0]))
        did, asked = made.step(Reply(slates=Slates(items=page, scores=np.zeros(page.shape, np.float32))))
        events.append(np.bincount(did.kind, minlength=2))
    looks, likes = np.sum(events, axis=0)
    expected = np.concatenate(said)
    slack = 3 * np.sqrt((expected * (1 - expected)).sum())
    assert looks == len(expected) and abs(likes - expected.sum()) < slack


def test_nothing_after_the_learnt_parts_reaches_the_world():
    train, valid, test = parts_by_time(ratings())
    value = ratings().events.value.copy()
    value[test] = 6.0 - value[test]
    other = replace(ratings(), events=replace(ratings().events, value=value))
    config = LearnedConfig(dim=2, places=4)
    walks = [walked(LearnedWorld(d, train, valid, config), always([3, 7, 11, 15]), seed=1, steps=3)
             for d in (ratings(), other)]  # fmt: skip
    for (asked, _, did), (again, _, same) in zip(*walks, strict=True):
        np.testing.assert_array_equal(did.item, same.item)
        np.testing.assert_array_equal(asked.history["item"], again.history["item"])
    e, had = ratings().events, walks[0][0][0].history
    assert had.offsets[-1] == (train | valid).sum() and had["time"].max() == e.time[train | valid].max()


def test_some_of_the_people_may_come():
    asked = world(people=7).reset(1)
    assert len(asked) == 7 and len(world().reset(1)) == 120
    np.testing.assert_array_equal(asked.user, world(people=7).reset(2).user)


def test_ten_thousand_steps_of_people_take_less_than_a_second():
    made = world(steps=1000)
    asked, done, pages = made.reset(0), 0, np.arange(240, dtype=np.int32).reshape(60, 4) % 60
    begun = time.process_time()
    while asked is not None and done < 10_000:
        done += len(asked)
        page = np.tile(pages[made.at % 60], (len(asked), 1))
        _, asked = made.step(Reply(slates=Slates(items=page, scores=np.zeros(page.shape, np.float32))))
    assert done / (time.process_time() - begun) > 10_000


def test_nobody_is_asked_about_a_thing_twice():
    made, policy = world(), always([3, 7, 11, 15])
    walk = walked(made, policy, seed=1, steps=4)
    looks = np.concatenate([np.stack([e.user, e.item]).T[e.kind == 0] for _, _, e in walk])
    assert len(np.unique(looks, axis=0)) == len(looks)
    seen = set(zip(*np.nonzero(made.had), strict=True))
    assert not seen & set(map(tuple, looks.tolist()))


def test_visits_last_as_long_as_those_of_the_log():
    train, valid, _ = parts_by_time(ratings())
    e = ratings().events
    like = (e.value >= 4).astype(float)
    made = Visits.of(e, like, train | valid, 60.0)
    real = lengths_of(e, train | valid, 60.0)
    drawn = made.lengths(3000, float(like.mean()), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(real.mean(), rel=0.1)
    assert (made.days > 2).mean() > 0.95


def test_real_and_drawn_answers_that_follow_one_law_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 3))
    p = 1 / (1 + np.exp(-x[:, 0]))
    real, drawn, blind = (rng.random(6000) < p), (rng.random(6000) < p), rng.random(6000) < p.mean()
    assert auc(*told_apart(x, real.astype(float), drawn.astype(float))) == pytest.approx(0.5, abs=0.03)
    assert auc(*told_apart(x, real.astype(float), blind.astype(float))) > 0.57


def test_a_log_without_ratings_or_times_and_an_unknown_simulator_are_refused():
    bare = Dataset(name="bare", users=Ids(["a"]), items=Ids(["x"]),
                   events=Events(user=np.zeros(1, np.int32), item=np.zeros(1, np.int32)))  # fmt: skip
    with pytest.raises(BadData, match="times"):
        parts_by_time(bare)
    with pytest.raises(BadData, match="ratings"):
        Answers().fit(bare, np.ones(1, bool), np.zeros(1, bool))
    with pytest.raises(UnknownName, match="simulator"):
        Answers(LearnedConfig(knows="everything"))


def test_gaps_are_taken_group_by_group_and_effects_are_said_less_true():
    true = np.array([1.0, 0.0, 1.0, 1.0])
    said = np.array([0.5, 0.5, 0.8, 0.8])
    told = where(said, true, np.array([1, 1, 9, 9]), np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2]))
    assert told["deciles"] == pytest.approx(0.1)  # both rate alike much: one group, .65 said and .75 true
    assert told["turns"] == pytest.approx((0.35 + 0.15) / 2)  # firsts: .65 for 1; seconds: .65 for .5
    assert told["boost"] == pytest.approx(0.3 - 0.5) and told["tire"] == 0.0


def test_a_visit_begins_with_another_person_or_after_a_pause():
    minutes = np.array([0, 10, 69, 140, 20, 30])
    user = np.array([0, 0, 0, 0, 1, 1], np.int32)
    e = Events(user=user, item=np.zeros(6, np.int32), time=minutes * MINUTE)
    assert turn_of(e, 60.0).tolist() == [1, 2, 3, 1, 1, 2]


def test_in_the_world_itself_places_count_what_is_liked_by_all_is_liked_and_nothing_twice():
    e = ratings().events
    told = effects(world(attention=0.5), np.bincount(e.item, e.value >= 4, 60))
    assert told["swap"] > 1.5 and told["best"] > 1.1 and told["twice"] < 0.7
    assert effects(world(attention=1.0), np.bincount(e.item, minlength=60))["twice"] == 0.0


def test_distances_are_of_both_kinds_and_kinds_of_likes_are_counted_by_person():
    assert distances("days", np.array([1.0, 1.0]), np.array([4.0, 4.0])) == {"days": 1.0, "days_w": 3.0}
    shelves = [["tea"], ["tea", "tin"], [], ["tin", "pot"]]
    nothing = ratings().events.where(np.zeros(len(ratings().events), bool))
    made = Dataset(name="kinds", users=Ids(list("abc")), items=Ids(list("wxyz")), events=nothing,
                   catalogue=pl.DataFrame({"categories": shelves}))  # fmt: skip
    user, item = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 3, 2, 3])
    assert of_kinds(made, user, item, np.array([1.0, 1.0, 0.0, 1.0, 1.0])).tolist() == [2, 2, 0]
    assert of_kinds(ratings(), user, item, np.ones(5))[:3].tolist() == [0, 0, 0], "nothing is told of these things"


def test_recorded_agents_are_held_against_the_log_like_any_other():
    told = resampled(ratings())
    figures, facts = reported(ratings(), told, LearnedConfig(dim=2))
    known, _ = validated(ratings(), LearnedConfig(dim=2))
    assert set(figures) == set(known) and facts["rows"] == len(told.said)
    assert figures["base"] > 1.5 and figures["logloss"] > known["logloss"] and figures["apart"] > 0.6


def test_losses_are_kept_by_person_and_compared_with_an_interval_over_people(monkeypatch):
    rng = np.random.default_rng(0)
    user, true = np.repeat(np.arange(200), 5), (rng.random(1000) < 0.4).astype(float)
    good, poor = np.where(true > 0, 0.6, 0.3), np.full(1000, 0.4)
    kept = {"learned": losses(user, true, good), "item": losses(user, true, poor)}
    assert kept["item"]["loss"].sum() / 1000 == pytest.approx(logloss(true, poor), rel=1e-5)
    monkeypatch.setattr("interplay.protocols.simulating.read_users", lambda record: kept[record["users"]["file"]])
    metrics = dict.fromkeys(BENCHES["simulators"].metrics, 0.5) | {"days_w": 3.0}
    held = {
        (label, seed): {"metrics": metrics, "facts": {"steps_a_second": 2000}, "protocol": {"judged": "Made"}}
        | ({"users": {"file": label}} if label in kept else {})
        for label in ("learned", "item", "global") for seed in (0, 1)
    }  # fmt: skip
    said = table(BENCHES["simulators"], held, None)
    first, second = (part.splitlines() for part in said.split("\n\n") if part.startswith("| row"))
    column = first[0].split(" | ").index("logloss, more than `learned`")
    cells = {line.split("`")[1]: line.split(" | ")[column].strip() for line in first[2:]}
    more, low, high = (float(x) for x in cells["item"].translate(str.maketrans("()", "  ")).replace("to", "").split())
    assert more == pytest.approx(logloss(true, poor) - logloss(true, good), abs=1e-4) and 0 < low < more < high
    assert cells["learned"] == cells["global"] == "", "itself; and a row whose records kept no losses"
    assert ".5000 (3.0000)" in second[2]
