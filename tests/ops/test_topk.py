"""Exact top n: against a slow reference, with ties, rules and everything hidden."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.ops.rough import ERROR, Rough
from interplay.ops.topk import Standing, _best_rough, best, best_dot, withheld
from interplay.types import Ids, Ragged, Requests, Rows, RuleSet, Slates
from small import crowd


def rows_of(n_items: int) -> Rows:
    return Rows(
        n_users=0, n_items=n_items, keys=Ids([f"i{i}" for i in range(n_items)]).keys,
        popularity=np.ones(n_items, np.float32), events=np.zeros(0, np.int32),
    )  # fmt: skip


def slowly(scores, hidden, allowed, rows, n):
    """Sort everything that may be shown by (score, place of the key)."""
    out = []
    for line, away, may in zip(scores, hidden, allowed, strict=True):
        kept = [
            i for i in range(rows.n_items) if i not in away and may[i] and not np.isnan(line[i]) and line[i] > -np.inf
        ]
        out.append(sorted(kept, key=lambda i: (-line[i], rows.places[i]))[:n])
    return out


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_best_is_a_full_sort_of_what_may_be_shown(data):
    n, n_items, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 70)), data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(-2, 3, (n, n_items)).astype(np.float32)  # few values: many ties
    scores[rng.random((n, n_items)) < 0.1] = rng.choice([np.nan, -np.inf, np.inf])
    hidden = [rng.integers(0, n_items, rng.integers(0, 6)) for _ in range(n)]
    masks = rng.random((2, n_items)) < 0.7
    applied = [sorted(set(rng.integers(0, 2, rng.integers(0, 3)).tolist())) for _ in range(n)]
    rows = rows_of(n_items)
    rules = RuleSet(masks=masks, names=("a", "b"), applied=Ragged.of(applied, "mask"))
    requests = Requests(user=np.full(n, -1, np.int32), history=Ragged.of(hidden), rules=rules)
    slates = best(lambda part: scores, requests, k, rows)
    allowed = [rules.allowed(i, n_items) for i in range(n)]
    assert [[i for i, _ in slates.row(r)] for r in range(n)] == slowly(scores, hidden, allowed, rows, k)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 1500), st.integers(1, 1300))
def test_best_dot_equals_best_of_the_written_out_product(seed, n, n_items):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(-2, 3, (n, 3)).astype(np.float32), rng.integers(-2, 3, (n_items, 3)).astype(np.float32)
    hidden = [rng.integers(0, n_items, 3) for _ in range(n)]
    requests = Requests(user=np.arange(n, dtype=np.int32), history=Ragged.of(hidden))
    rows, bias = rows_of(n_items), rng.integers(0, 2, n_items).astype(np.float32)
    quick = best_dot(users, items, requests, 7, rows, bias=bias)
    slow = best(lambda part: users[part.user] @ items.T + bias, requests, 7, rows)
    np.testing.assert_array_equal(quick.items, slow.items)
    np.testing.assert_array_equal(quick.scores, slow.scores)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 1100), st.integers(1, 2100), st.sampled_from([1, 7, 64]),
    st.sampled_from(["none", "small", "large", "silent"]),
)  # fmt: skip
def test_the_rough_way_is_exact(seed, n, n_items, dim, biased):
    """Whole numbers up to 300 are no bfloat16s, and their products are exact in single precision: so lists must equal
    those of the written out product, ties and all."""
    rng = np.random.default_rng(seed)
    users = rng.integers(-300, 301, (n, dim)).astype(np.float32)
    items = rng.integers(-300, 301, (n_items, dim)) * (rng.random((n_items, 1)) < 0.8)  # some have no length
    items = (items // rng.integers(1, 100, (n_items, 1)))[rng.integers(0, n_items, n_items)].astype(np.float32)  # twins
    bias = {
        "none": None, "small": rng.integers(0, 2, n_items), "large": rng.integers(-90_000, 90_001, n_items),
        "silent": np.where(rng.random(n_items) < 0.9, -np.inf, 0),
    }[biased]  # fmt: skip
    bias = None if bias is None else bias.astype(np.float32)
    masks = rng.random((1, n_items)) < 0.5
    rules = RuleSet(masks=masks, names=("half",), applied=Ragged.of([[0]] * (n // 2) + [[]] * (n - n // 2), "mask"))
    hidden = Ragged.of([rng.integers(0, n_items, 3) for _ in range(n)])
    requests = Requests(user=np.arange(n, dtype=np.int32), history=hidden, rules=rules)
    rows, k = rows_of(n_items), min(int(rng.integers(1, 40)), n_items)
    quick = Slates.empty(n, k)
    assert _best_rough(users, items, requests, rows, bias, quick)
    slow = best(lambda part: users[part.user] @ items.T + (0 if bias is None else bias), requests, k, rows)
    np.testing.assert_array_equal(quick.items, slow.items)
    np.testing.assert_array_equal(quick.scores, slow.scores)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(-30, 15))
@settings(max_examples=40, deadline=None)
def test_a_rough_product_is_as_near_as_it_says(seed, dim, scale):
    rng = np.random.default_rng(seed)
    users, items = ((rng.standard_normal((50, dim)) * 10.0**s).astype(np.float32) for s in (scale / 2, scale / 3))
    rough = Rough(users, items)
    said = (rough.product(slice(0, 50), slice(0, 50)).astype(np.int32) << 16).view(np.float32)
    exact = users.astype(np.float64) @ items.T.astype(np.float64)
    assert (np.abs(said - exact) <= rough.users[:, None] * rough.items * ERROR).all()


def test_vectors_that_are_no_numbers_do_not_go_the_rough_way():
    users, items = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    for wrong in (np.nan, np.inf, 1e30):
        items[1, 1] = wrong
        assert not _best_rough(users, items, Requests.strangers([[], []]), rows_of(4), None, Slates.empty(2, 2))


def test_large_work_goes_the_rough_way_where_the_processor_has_it(monkeypatch):
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 64)).astype(np.float32) for n in (1024, 4096))
    requests, rows = Requests.strangers([[]] * 1024), rows_of(4096)
    used = []
    monkeypatch.setattr("interplay.ops.topk._best_rough", lambda *a: used.append(1))
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"avx512_bf16": has})
        best_dot(users, items, requests, 5, rows)
    best_dot(users[:8], items, requests.slice(0, 8), 5, rows)  # too little to be worth it
    assert used == [1]


def test_of_constant_scores_every_item_comes_first_equally_often_over_keys():
    firsts = np.zeros(20)
    for salt in range(400):
        keys = Ids([f"{salt}-{i}" for i in range(20)]).keys
        rows = Rows(n_users=0, n_items=20, keys=keys, popularity=np.ones(20, np.float32), events=np.zeros(0, np.int32))
        slates = best(lambda part: np.zeros((1, 20)), Requests.strangers([[]]), 5, rows)
        firsts[slates.items[0]] += 1
    assert firsts.sum() == 2000 and abs(firsts - 100).max() < 45  # five standard deviations


def test_items_newer_than_the_masks_pass_them():
    rules = RuleSet(masks=np.array([[True, False]]), names=("first",))
    requests = Requests(user=np.array([-1], np.int32), history=Ragged.of([[]]), rules=rules)
    slates = best(lambda part: np.arange(4.0)[None], requests, 4, rows_of(4))
    assert slates.items[0].tolist() == [3, 2, 0, -1]


def test_withheld_joins_history_and_exclusions():
    rules = RuleSet(exclude=Ragged.of([[5], [1, 9]]))
    requests = Requests(user=np.array([-1, -1], np.int32), history=Ragged.of([[3, 3], []]), rules=rules)
    hidden = withheld(requests, 6)
    assert [hidden.row(i)["item"].tolist() for i in range(2)] == [[3, 3, 5], [1]]


def test_a_standing_list_read_off_under_rules_is_the_best_of_its_scores():
    rng = np.random.default_rng(3)
    dataset = crowd()
    rows = Rows.of(dataset)
    scores = rng.integers(0, 4, dataset.n_items).astype(np.float32)  # many ties
    scores[5] = -np.inf
    even = np.arange(dataset.n_items) % 2 == 0
    for rules in (RuleSet(), RuleSet(withhold_seen=False), RuleSet(masks=even[None], names=("even",))):
        requests = Requests.of(dataset, np.arange(dataset.n_users, dtype=np.int32), rules=rules)
        quick = Standing(scores, rows).first(requests, 9, scores)
        slow = best(lambda part: np.tile(scores, (len(part), 1)), requests, 9, rows)
        assert (quick.items == slow.items).all() and (quick.scores == slow.scores).all()
