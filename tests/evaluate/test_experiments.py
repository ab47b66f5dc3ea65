"""Experiments: fair and fixed assignment, intervals that survive peeking, interleaving with exact chances."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from interplay.errors import BadData, BadSetting
from interplay.evaluate.experiments import (
    Arm,
    Gap,
    allocated,
    assigned,
    checked_shares,
    gap,
    guarded,
    preferred,
    reach,
    sample_ratio,
    team_draft,
)
from interplay.evaluate.intervals import Interval

HALVES = {"old": 0.5, "new": 0.5}


# ---------------------------------------------------------------------------------------------------------- assignment


def test_assignment_is_fixed_fair_and_independent_between_experiments():
    people = [f"p{i}" for i in range(20_000)]
    one = [assigned("one", p, {"old": 0.8, "new": 0.2}) for p in people]
    assert one == [assigned("one", p, {"old": 0.8, "new": 0.2}) for p in people]
    assert Counter(one)["new"] == pytest.approx(4000, abs=200)
    other = [assigned("two", p, HALVES) for p in people]
    both = Counter(zip(one, other, strict=True))
    assert both["new", "new"] == pytest.approx(2000, abs=160)


def test_only_a_part_of_the_people_takes_part_and_growing_the_part_moves_nobody():
    people = [f"p{i}" for i in range(5000)]
    some = {p: assigned("e", p, HALVES, traffic=0.1) for p in people}
    more = {p: assigned("e", p, HALVES, traffic=0.5) for p in people}
    inside = [p for p in people if some[p]]
    assert len(inside) == pytest.approx(500, abs=80)
    assert all(more[p] == some[p] for p in inside)


def test_shares_that_divide_nobody_are_refused():
    for wrong in ({"a": 1.0}, {"a": 0.5, "b": 0.6}, {"a": 1.0, "b": 0.0}):
        with pytest.raises(BadSetting, match="sum to 1"):
            checked_shares(wrong)


def test_a_sample_ratio_mismatch_shows():
    assert sample_ratio([5010, 4990], [0.5, 0.5]) > 0.5
    assert sample_ratio([5300, 4700], [0.5, 0.5]) < 1e-6
    assert sample_ratio([0, 0], [0.5, 0.5]) == 1.0


# ---------------------------------------------------------------------------------------------------------- intervals


def stream(rng: np.random.Generator, people: int, lift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visits in the order in which they happen: who, in which arm, clicks. Some come often, and click alike."""
    arm = rng.integers(0, 2, people)
    eager = rng.gamma(1.0, size=people)
    who = rng.choice(people, size=8 * people, p=eager / eager.sum())
    liking = rng.beta(1.5, 6.0, people) + lift * arm
    return who, arm, (rng.random(len(who)) < np.minimum(liking[who], 1)).astype(float)


def looks(who: np.ndarray, arm: np.ndarray, click: np.ndarray, times: int) -> list[Gap]:
    """What is told when somebody looks again and again."""
    out = []
    for stop in np.linspace(len(who) / times, len(who), times).astype(int):
        pages = np.bincount(who[:stop], minlength=len(arm)).astype(float)
        rewards = np.bincount(who[:stop], click[:stop], minlength=len(arm))
        seen = pages > 0
        arms = [Arm(rewards=rewards[seen & (arm == a)], pages=pages[seen & (arm == a)]) for a in (0, 1)]
        if min(map(len, arms)) >= 50:
            out.append(gap(*arms))
    return out


def test_looking_twenty_times_is_free_with_the_sequence_and_dear_without_it():
    wrong, naive, runs = 0, 0, 200
    for seed in range(runs):
        told = looks(*stream(np.random.default_rng(seed), 400), times=20)
        wrong += any(g.verdict != "cannot tell" for g in told)
        naive += any(g.fixed.low > 0 or g.fixed.high < 0 for g in told)
    assert wrong / runs <= 0.05
    assert naive / runs > 0.1, "an interval for one look is broken by twenty"


def test_a_true_difference_is_found():
    found = [looks(*stream(np.random.default_rng(seed), 1500, lift=0.07), times=5)[-1] for seed in range(10)]
    assert sum(g.verdict == "better" for g in found) >= 9
    assert np.mean([g.difference for g in found]) == pytest.approx(0.07, abs=0.01)


def test_the_sequence_is_the_formula_and_shrinks():
    n, alpha = 400.0, 0.05
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / 1000
    slow = np.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha))
    assert reach(n, 3.0) == pytest.approx(3.0 * slow)
    assert reach(100, 1.0) > reach(1000, 1.0) > reach(10_000, 1.0)
    assert reach(1000, 1.0, sharpest=1000) < reach(1000, 1.0, sharpest=100_000)


def test_what_people_did_before_takes_variance_away_and_nothing_else():
    rng = np.random.default_rng(0)
    arms, plain = [], []
    for lift in (0.0, 0.5):
        habit = rng.gamma(2.0, size=2000)
        pages = np.full(2000, 10.0)
        arms.append(
            Arm(rewards=rng.poisson(habit * (1 + lift)).astype(float), pages=pages, before=rng.poisson(4 * habit))
        )
        plain.append(Arm(rewards=arms[-1].rewards, pages=pages))
    with_it, without = gap(*arms), gap(*plain)
    assert with_it.error < 0.8 * without.error
    assert with_it.difference == pytest.approx(without.difference, abs=3 * without.error)
    assert gap(*arms, cuped=False) == without


def test_arms_of_nobody_are_refused():
    one = Arm(rewards=np.ones(1), pages=np.ones(1))
    with pytest.raises(BadData, match="at least 2"):
        gap(one, one)
    with pytest.raises(BadData, match="expected the same"):
        Arm(rewards=np.ones(2), pages=np.ones(3))
    with pytest.raises(BadSetting, match="level"):
        gap(Arm(rewards=np.ones(3), pages=np.ones(3)), Arm(rewards=np.ones(3), pages=np.ones(3)), level=95)


def test_a_guardrail_is_breached_held_or_open():
    slower = Gap(difference=30.0, interval=Interval(10.0, 50.0), fixed=Interval(0, 0), error=1.0, persons=9)
    assert guarded(slower, 5.0, higher_is_better=False) == "breached"
    assert guarded(slower, 60.0, higher_is_better=False) == "held"
    assert guarded(slower, 20.0, higher_is_better=False) == "open"


def test_traffic_moves_to_the_best_and_leaves_everybody_a_floor():
    shares = allocated([0.10, 0.20, 0.11], [0.01, 0.01, 0.01], floor=0.05)
    assert shares[1] == pytest.approx(0.90, abs=1e-6) and shares.sum() == pytest.approx(1.0)
    even = allocated([0.1, 0.1], [0.05, 0.05])
    assert even[0] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(BadSetting, match="more than all"):
        allocated([0.1, 0.1], [0.1, 0.1], floor=0.6)


# -------------------------------------------------------------------------------------------------------- interleaving


def test_a_draft_gives_both_teams_as_many_and_keeps_their_orders():
    for seed in range(50):
        coins = np.random.default_rng(seed).random(6)
        page = team_draft([1, 2, 3, 4, 5], [4, 6, 1, 7, 8], 6, coins)
        assert len(set(page.items)) == 6 and page.team.count(0) == 3
        for team, order in ((0, [1, 2, 3, 4, 5]), (1, [4, 6, 1, 7, 8])):
            mine = [i for i, t in zip(page.items, page.team, strict=True) if t == team]
            assert mine == [i for i in order if i in mine]


def test_the_chances_of_a_draft_are_what_all_coins_give():
    lists = [1, 2, 3, 4], [1, 3, 5, 2]
    count: Counter[tuple[int, ...]] = Counter()
    told: dict[tuple[int, ...], float] = {}
    for coins in product((0.25, 0.75), repeat=4):
        page = team_draft(*lists, 4, coins)
        count[page.items] += 1
        told[page.items] = float(np.prod(page.chance))
    assert len(told) > 2
    for items, n in count.items():
        assert told[items] == pytest.approx(n / 16)
    assert sum(told.values()) == pytest.approx(1.0)


def test_lists_that_agree_are_shown_for_certain_and_a_short_one_passes():
    same = team_draft([3, 1, 2], [3, 1, 2], 3, [0.1, 0.9, 0.4])
    assert same.items == (3, 1, 2) and same.chance == (1.0, 1.0, 1.0)
    short = team_draft([9], [1, 2, 3], 4, [0.1, 0.9, 0.4, 0.9])
    assert set(short.items) == {9, 1, 2, 3} and short.team.count(0) == 1


def test_interleaving_prefers_who_is_clicked_more():
    rng = np.random.default_rng(1)
    pages = rng.integers(1, 9, 800).astype(float)
    wins = rng.binomial(pages.astype(int), 0.35) - rng.binomial(pages.astype(int), 0.2)
    assert preferred(wins, pages).verdict == "better"
    assert preferred(-wins, pages).verdict == "worse"
    with pytest.raises(BadData, match="at least 2"):
        preferred(wins[:1], pages[:1])
