"""A pointer's chances are those of its choices; reinforcement raises what it is paid for; short lists stay sound."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch

from interplay.data.lists import NUMBERS, Lists, Things, unit
from interplay.learn.descend import Descent, seeded
from interplay.learn.page_policy import (
    HALVINGS,
    PUSHES,
    Mixed,
    PagePolicy,
    PolicyConfig,
    Spread,
    advantages,
    gains,
    ppo,
    vary,
    warm,
)
from interplay.learn.page_rewards import RewardConfig, Rewards, Seen, crowding, likeness
from interplay.types import Run

K = 4
CONFIG = PolicyConfig(
    places=K, dim=16, dropout=0.0, rounds=12, pages=128, batch=64, passes=4, rate=2e-3, every=4, slack=1.0, wanted=3.0,
    most=50.0,
    descent=Descent(rate=5e-3, batch=64, epochs=4),
)  # fmt: skip


def lists_of(n: int, m: int, seed: int = 0) -> tuple[Lists, Things]:
    """Lists in which what is gone for has the highest first number."""
    rng = np.random.default_rng(seed)
    things = Things(
        content=unit(rng.normal(size=(30, 5))), taken=np.zeros((30, 0), np.float32),
        popularity=np.zeros(30, np.float32), group=(np.arange(30) % 3).astype(np.int32),
    )  # fmt: skip
    numbers = rng.normal(size=(n, m, len(NUMBERS))).astype(np.float32)
    engaged = np.zeros((n, m), bool)
    engaged[np.arange(n), numbers[:, :, 0].argmax(axis=1)] = True
    items = np.stack([rng.permutation(30)[:m] for _ in range(n)]).astype(np.int32)
    past = rng.normal(size=(n, 5)).astype(np.float32)
    none = np.full((n, 10), -1, np.int32), np.zeros_like(engaged)
    return Lists(
        items=items, numbers=numbers, past=past, recent=none[0], engaged=engaged, passed=none[1], user=np.arange(n)
    ), things


def policy(seed: int = 0, stirred: float = 0.0) -> PagePolicy:
    with seeded(seed):
        out = PagePolicy(CONFIG, 5).eval()
        for p in (out.query.weight, out.crowd):
            p.data += stirred * torch.randn_like(p)
    return out


def test_the_chances_of_all_pages_sum_to_one_and_are_those_of_plackett_luce_before_any_learning():
    lists, things = lists_of(1, 4)
    pages = torch.tensor(list(permutations(range(4), 3)))
    seen = Seen.of(lists.take(np.zeros(len(pages), int)), things)
    for stirred in (0.0, 1.0):
        said = policy(stirred=stirred).given(seen, pages).said.sum(dim=1).exp()
        assert said.sum().item() == pytest.approx(1, abs=1e-5)
    plain = policy()
    s = plain.read(seen)[1][0].exp().detach()
    for page, chance in zip(pages.tolist(), plain.given(seen, pages).said.sum(dim=1).exp().tolist(), strict=True):
        left, slow = [0, 1, 2, 3], 1.0
        for i in page:
            slow *= float(s[i] / s[left].sum())
            left.remove(i)
        assert chance == pytest.approx(slow, rel=1e-4)


def test_a_drawn_page_says_the_chance_that_it_is_given_and_repeats_nothing():
    lists, things = lists_of(40, 9)
    seen, p = Seen.of(lists, things), policy(stirred=1.0)
    walk = p.drawn(seen, K, torch.Generator().manual_seed(1))
    torch.testing.assert_close(walk.said, p.given(seen, walk.page).said)
    assert all(len(set(row)) == K for row in walk.page.tolist())


def test_short_lists_and_padding_end_in_nothing():
    lists, things = lists_of(5, 6)
    items = np.where(np.arange(6) < np.array([0, 1, 2, 3, 6])[:, None], lists.items, -1)
    seen = Seen.of(replace(lists, items=items, engaged=lists.engaged & (items >= 0)), things)
    walk = policy().drawn(seen, K, torch.Generator().manual_seed(1))
    assert (walk.page >= 0).sum(dim=1).tolist() == [0, 1, 2, 3, 4]
    assert torch.isfinite(walk.said).all() and (walk.said[walk.page < 0] == 0).all()
    assert policy().greedy(seen, 9).shape == (5, K)
    assert np.isfinite(gains(seen, walk.page.numpy())).all()


def test_the_page_laid_in_numpy_is_the_walk_that_always_takes_the_likeliest():
    lists, things = lists_of(40, 12)
    for stirred in (0.0, 1.0):
        p, seen = policy(stirred=stirred), Seen.of(lists, things)
        p.push.fill_(0.7)
        with torch.no_grad():
            walked = p.walk(seen, K, lambda place, logits: logits.argmax(dim=1))
        np.testing.assert_array_equal(p.greedy(seen, K), walked.page.numpy())
    few = replace(lists, items=np.where(np.arange(12) < 2, lists.items, -1), engaged=np.zeros((40, 12), bool))
    assert (p.greedy(Seen.of(few, things), K)[:, 2:] == -1).all()


def test_two_pages_are_judged_in_numpy_as_the_networks_judge_them():
    lists, things = lists_of(7, 12)
    few = replace(lists, items=np.where(np.arange(12) < np.array([0, 1, 3, 12, 12, 12, 12])[:, None], lists.items, -1))
    for of in (lists, few):
        seen, rewards = Seen.of(of, things), Rewards(RewardConfig(places=K, dim=16, layers=2), 5, seed=2)
        mixed = Mixed(rewards, 0.3)
        mixed.page.meet(torch.tensor([1.0, 3.0])), mixed.item.meet(torch.tensor([0.5, 2.5]))
        pages = policy(stirred=1.0).greedy(seen, K), policy(seed=4, stirred=1.0).greedy(seen, K)
        first, second, slots = mixed.beside(seen, *pages)
        for told, page in zip((first, second), pages, strict=True):
            whole, places = mixed.parts(seen, torch.from_numpy(page))
            slow = torch.stack(mixed.grains(whole, places), dim=1).numpy()
            np.testing.assert_allclose(told, slow, atol=2e-5)
        np.testing.assert_allclose(slots, mixed.slots(mixed.parts(seen, torch.from_numpy(pages[0]))[1]), atol=2e-5)


def test_advantages_are_the_sum_of_faded_surprises():
    reward, value, trace = torch.randn(3, 5), torch.randn(3, 5), 0.8
    for row in range(3):
        delta = [reward[row, k] + (value[row, k + 1] if k < 4 else 0) - value[row, k] for k in range(5)]
        slow = [sum(trace ** (j - k) * delta[j] for j in range(k, 5)) for k in range(5)]
        torch.testing.assert_close(advantages(reward, value, trace)[row], torch.stack(slow))


def test_a_running_spread_is_that_of_all_numbers():
    spread, parts = Spread(), [torch.randn(7), 3 + torch.randn(50), torch.randn(1)]
    for part in parts:
        spread.meet(part)
    every = torch.cat(parts)
    assert spread.mean == pytest.approx(float(every.mean()), abs=1e-5)
    assert spread.sd == pytest.approx(float(every.std()), rel=1e-4)


def test_the_mixed_reward_is_the_sum_of_what_its_places_earn():
    lists, things = lists_of(6, 9)
    mixed = Mixed(Rewards(RewardConfig(places=K, dim=8, layers=1), 5), share=0.3)
    seen, page = Seen.of(lists, things), torch.arange(K).expand(6, -1)
    whole, places = mixed.parts(seen, page)
    mixed.meet(whole, places)
    z = [(x - x.mean()) / x.std() for x in (whole, places.sum(dim=1))]
    torch.testing.assert_close(mixed.steps(whole, places).sum(dim=1), 0.3 * z[0] + 0.7 * z[1])
    torch.testing.assert_close(mixed.steps(whole, places)[:, :-1], mixed.slots(places)[:, :-1])


def test_supervision_finds_what_was_gone_for_and_reinforcement_raises_the_reward():
    (lists, things), (check, _) = lists_of(300, 10), lists_of(60, 10, seed=5)
    rewards = Rewards(RewardConfig(places=K, dim=16, layers=1, descent=Descent(rate=5e-3, batch=64, epochs=3)), 5)
    rewards.learn(lists, things, run=Run())
    p = policy()
    seen = Seen.of(check, things)
    before = gains(seen, p.greedy(seen, K)).mean()
    warm(p, lists, things, run=Run())
    assert gains(seen, p.greedy(seen, K)).mean() > before + 0.1
    told = ppo(p, Mixed(rewards, 0.5), lists, check, things, run=Run())
    assert [c["round"] for c in told["checks"]] == [0, 4, 8, 12]
    assert told["rounds"][0]["divergence"] == pytest.approx(0, abs=1e-5)
    first, best = told["checks"][0], next(c for c in told["checks"] if c["round"] == told["chosen"])
    assert best["item"] + best["page"] >= first["item"] + first["page"]
    earned = [told["rounds"][i]["reward"] for i in range(12)]
    assert np.mean(earned[-4:]) > np.mean(earned[:4]), "in spreads of all pages so far"


def test_reinforcement_may_not_cost_the_people_held_out_more_than_the_slack():
    lists, things = lists_of(80, 10)
    p = policy()
    p.config = replace(CONFIG, rate=0.5, slack=0.0, rounds=2, every=1)  # a rate that ruins everything
    told = ppo(p, Mixed(Rewards(RewardConfig(places=K, dim=8, layers=1), 5), 0.5), lists, lists, things, run=Run())
    best = max(c["ndcg"] for c in told["checks"])
    seen = Seen.of(lists, things)
    assert float(gains(seen, p.greedy(seen, K)).mean()) == pytest.approx(best, abs=1e-5)


def test_the_push_is_the_smallest_that_keeps_pages_as_varied_as_those_of_the_base():
    lists, things = lists_of(60, 12)
    near = (things.content[lists.items] @ things.content[3]).astype(np.float32)
    lists = replace(lists, numbers=np.repeat(near[:, :, None], len(NUMBERS), axis=2))  # what is alike scores high
    p = policy()
    p.inputs.scale(lists)
    with torch.no_grad():
        for part in (p.inputs.told.weight, p.inputs.told.bias):
            part.zero_()
    for asked in (None, 1.0):
        p.config = replace(CONFIG, crowding=asked)
        told = vary(p, lists, things)
        assert told["push"] == 0 if asked is None or told["policy"] <= told["base"] else told["varied"] <= told["base"]
    seen = Seen.of(lists, things)

    def alike(push: float) -> float:
        p.push.fill_(push)
        page = p.greedy(seen, K)
        near = likeness(seen, page)[:, ~np.eye(K, dtype=bool)]
        return float(near.mean())

    for crowding_ in (0.9, 0.5, 0.2):
        p.config = replace(CONFIG, crowding=crowding_)
        told = vary(p, lists, things)
        assert alike(told["push"]) == pytest.approx(told["varied"]) and told["varied"] <= crowding_ * told["base"]
        if told["push"] > 0:  # a little less of a push would not do
            gap = max(b - a for a, b in pairwise((0.0, *PUSHES)) if a <= told["push"] <= b) / 2**HALVINGS
            assert alike(max(told["push"] - gap, 0.0)) > crowding_ * told["base"]
    p.push.zero_()
    alone = [crowding(seen, p.greedy(seen, K))[:, :, 0].mean()]
    p.push.fill_(5.0)
    assert crowding(seen, p.greedy(seen, K))[:, :, 0].mean() < alone[0], "a push keeps things apart"
