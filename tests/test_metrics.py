"""Measures agree with loops written from their definitions, with outside implementations, and with their own ties."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from math import log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from interplay import metrics
from interplay.errors import BadData, BadSetting, Mismatch, UnknownName
from interplay.ops.topk import best
from interplay.types import Ragged, Requests, Rows, Slates

NAMES = tuple(metrics.MEASURES)


def lists(n: int = 40, k: int = 12, n_items: int = 30, seed: int = 0) -> tuple[Slates, Ragged]:
    """Random lists with repeats and padding, and graded truths of 1 to 8 items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, n_items, (n, k)).astype(np.int32)
    items[np.arange(k) >= rng.integers(0, k + 1, n)[:, None]] = -1
    rows = [rng.choice(n_items, rng.integers(1, 9), replace=False) for _ in range(n)]
    truth = Ragged.of(rows)
    grades = rng.integers(1, 4, len(truth["item"])).astype(np.float64)
    return Slates(items=items, scores=np.zeros(items.shape, np.float32)), Ragged(
        offsets=truth.offsets, columns={**truth.columns, "relevance": grades}
    )


def slow(name: str, shown: list[int], grade: dict[int, float], k: int) -> float:
    """One list, from the definitions, place by place."""
    met, rel = set(), []
    for place in range(k):
        item = shown[place] if place < len(shown) else -1
        rel.append(grade.get(item, 0.0) if item >= 0 and item not in met else 0.0)
        met.add(item)
    hits = [r > 0 for r in rel]
    size, found = len(grade), sum(hits)
    if name == "recall":
        return found / size
    if name == "recall-capped":
        return found / min(size, k)
    if name == "precision":
        return found / k
    if name == "hit":
        return float(found > 0)
    if name == "mrr":
        return next((1 / (i + 1) for i, h in enumerate(hits) if h), 0.0)
    if name == "map":
        return sum(sum(hits[: i + 1]) / (i + 1) for i, h in enumerate(hits) if h) / min(size, k)
    gain = (lambda r: r) if name == "ndcg-linear" else (lambda r: 2**r - 1)
    ideal = sorted(grade.values(), reverse=True)[:k]
    dcg = sum(gain(r) / log2(i + 2) for i, r in enumerate(rel))
    return dcg / sum(gain(r) / log2(i + 2) for i, r in enumerate(ideal))


@pytest.mark.parametrize("k", [1, 3, 12, 50])
@pytest.mark.parametrize("name", NAMES)
def test_a_list_measure_is_its_definition(name, k):
    slates, truth = lists()
    found = metrics.measure(slates, truth, [f"{name}@{k}"])[f"{name}@{k}"]
    for i in range(len(slates)):
        row = truth.row(i)
        grade = dict(zip(row["item"].tolist(), row["relevance"].tolist(), strict=True))
        assert found[i] == pytest.approx(slow(name, slates.items[i].tolist(), grade, k))


RANX = """
import json, sys
from ranx import Qrels, Run, evaluate
job = json.load(sys.stdin)
print(json.dumps(evaluate(Qrels(job["qrels"]), Run(job["run"]), job["metrics"])))
"""


def test_list_measures_agree_with_ranx():
    rng = np.random.default_rng(1)
    shown = np.argsort(rng.random((25, 40)), axis=1)[:, :15].astype(np.int32)
    _, truth = lists(n=25, n_items=40, seed=2)
    grades = [truth.row(i) for i in range(25)]
    pairs = {"recall@10": "recall@10", "precision@10": "precision@10", "hit@10": "hit_rate@10", "mrr@10": "mrr@10",
             "ndcg-linear@10": "ndcg@10", "ndcg@10": "ndcg_burges@10", "map@15": "map@15"}  # fmt: skip
    job = {
        "run": {f"q{i:02}": {str(a): float(20 - p) for p, a in enumerate(row)} for i, row in enumerate(shown)},
        "qrels": {f"q{i:02}": {str(a): int(r) for a, r in zip(row["item"], row["relevance"], strict=True)}
                  for i, row in enumerate(grades)},
        "metrics": list(pairs.values()),
    }  # fmt: skip
    told = subprocess.run(  # without its compiler: compiling takes minutes, judging 25 lists does not
        [sys.executable, "-c", RANX], input=json.dumps(job), env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(told.stdout.splitlines()[-1])
    ours = metrics.measure(Slates(items=shown, scores=np.zeros(shown.shape, np.float32)), truth, list(pairs))
    for name, other in pairs.items():
        assert ours[name].mean() == pytest.approx(theirs[other], abs=1e-6), name


def test_ndcg_agrees_with_scikit_learn():
    rng = np.random.default_rng(3)
    grades, scores = rng.integers(0, 4, (20, 15)), rng.random((20, 15))
    grades[:, 0] += 1
    order = np.argsort(-scores, axis=1).astype(np.int32)
    truth = Ragged(
        offsets=np.arange(21) * 15, columns={"item": np.tile(np.arange(15), 20), "relevance": grades.ravel()}
    )
    slates = Slates(items=order, scores=np.zeros(order.shape, np.float32))
    assert metrics.ndcg(slates, truth, 7, gain="linear").mean() == pytest.approx(sk.ndcg_score(grades, scores, k=7))
    assert metrics.ndcg(slates, truth, 7).mean() == pytest.approx(sk.ndcg_score(2.0**grades - 1, scores, k=7))


def test_a_repeated_item_counts_once_and_where_it_stands_first():
    twice = metrics.listed([[5, 5, 8]])
    assert metrics.recall(twice, Ragged.of([[5, 8]]), 2).tolist() == [0.5]
    assert metrics.mrr(twice, Ragged.of([[8]]), 3).tolist() == [pytest.approx(1 / 3)]
    assert metrics.recall(metrics.listed([[5]]), Ragged.of([[5, 5, 5, 6]]), 1).tolist() == [0.5]


def test_padding_never_hits_and_short_lists_may_be_cut_deep():
    nothing = Slates.empty(2, 3)
    values = metrics.measure(nothing, Ragged.of([[0], [1, 2]]), [f"{name}@10" for name in NAMES])
    assert all((v == 0).all() for v in values.values())
    assert metrics.precision(metrics.listed([[1]]), Ragged.of([[1]]), 4).tolist() == [0.25]


def test_one_relevant_item_makes_ndcg_a_function_of_its_place():
    for place in range(1, 8):
        slates = metrics.listed([[*range(100, 99 + place), 3]])
        assert metrics.ndcg(slates, Ragged.of([[3]]), 10)[0] == pytest.approx(1 / log2(place + 1))


def test_no_requests_give_no_values():
    assert metrics.recall(Slates.empty(0, 5), Ragged.of([]), 5).shape == (0,)


def test_a_request_without_anything_relevant_is_refused_and_named():
    with pytest.raises(BadData, match=r"1 of 2 requests have nothing relevant.*judgeable"):
        metrics.recall(metrics.listed([[1], [2]]), Ragged.of([[1], []]), 1)
    graded = Ragged(offsets=np.array([0, 1, 2]), columns={"item": np.array([1, 2]), "relevance": np.array([0.0, 2.0])})
    assert metrics.judgeable(graded).tolist() == [1]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("recal@20", UnknownName, "nearest: .*recall"),
        ("recall", BadSetting, "recall@20"),
        ("ndcg@0", BadSetting, "ndcg@20"),
        ("ndcg@ten", BadSetting, "ndcg@20"),
        ("", UnknownName, "known"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(name, error, said):
    with pytest.raises(error, match=said):
        metrics.measure(metrics.listed([[1]]), Ragged.of([[1]]), name)


def test_wrong_rows_and_wrong_items_are_refused():
    with pytest.raises(Mismatch, match="2 lists and 1 truths"):
        metrics.recall(metrics.listed([[1], [2]]), Ragged.of([[1]]), 1)
    with pytest.raises(BadData, match="item -1"):
        metrics.recall(metrics.listed([[1]]), Ragged.of([[-1]]), 1)
    with pytest.raises(UnknownName, match="gain"):
        metrics.ndcg(metrics.listed([[1]]), Ragged.of([[1]]), 1, gain="cubic")
    with pytest.raises(BadSetting, match="k = 0"):
        metrics.recall(metrics.listed([[1]]), Ragged.of([[1]]), 0)


rows = st.lists(st.integers(-1, 15), max_size=10)
truths = st.lists(st.integers(0, 15), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rows, truths), min_size=1, max_size=6), st.integers(1, 14), st.randoms())
def test_measures_stay_in_their_bounds_and_do_not_mind_names_or_the_order_of_rows(cases, k, random):
    slates, truth = metrics.listed([a for a, _ in cases]), Ragged.of([b for _, b in cases])
    found = metrics.measure(slates, truth, [f"{name}@{k}" for name in NAMES])
    renamed = list(range(16))
    random.shuffle(renamed)
    order = list(range(len(cases)))
    random.shuffle(order)
    other = metrics.measure(
        metrics.listed([[renamed[a] if a >= 0 else -1 for a in cases[i][0]] for i in order]),
        Ragged.of([[renamed[b] for b in sorted(cases[i][1])] for i in order]),
        [f"{name}@{k}" for name in NAMES],
    )
    for name, values in found.items():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
        np.testing.assert_allclose(values[order], other[name])


# --------------------------------------------------------------------------------------------------------------------
# Ties


def test_constant_scores_give_recall_k_of_n():
    truth = Ragged.of([[0], [3, 5], [1, 2, 4, 6]])
    np.testing.assert_allclose(metrics.expected_recall(np.zeros((3, 20)), truth, 5), 5 / 20)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_the_fixed_hash_breaks_ties_as_chance_would(seed, k):
    rng = np.random.default_rng(seed)
    n_items, draws = 9, 300
    scores = rng.integers(0, 3, n_items).astype(np.float32)
    truth = Ragged.of([rng.choice(n_items, 3, replace=False)])
    values = []
    for _ in range(draws):  # other names of the items, so other keys
        held = Rows(n_users=0, n_items=n_items, keys=rng.integers(0, 1 << 63, n_items, dtype=np.uint64),
                    popularity=np.zeros(n_items, np.float32), events=np.zeros(0, np.int32))  # fmt: skip
        slates = best(lambda part: scores[None], Requests.strangers([[]]), k, held)
        found = metrics.measure(slates, truth, [f"recall@{k}", f"ndcg@{k}"])
        values.append([v[0] for v in found.values()])
    expected = [f(scores[None], truth, k)[0] for f in (metrics.expected_recall, metrics.expected_ndcg)]
    error = np.std(values, axis=0) / np.sqrt(draws)
    assert (np.abs(np.mean(values, axis=0) - expected) <= 5 * error + 1e-9).all()


def test_without_ties_the_expectation_is_the_measure():
    rng = np.random.default_rng(4)
    scores = rng.random((10, 30))
    order = np.argsort(-scores, axis=1).astype(np.int32)
    _, truth = lists(n=10, seed=5)
    truth = Ragged(offsets=truth.offsets, columns={"item": truth["item"]})
    slates = Slates(items=order, scores=np.zeros(order.shape, np.float32))
    np.testing.assert_allclose(metrics.expected_recall(scores, truth, 7), metrics.recall(slates, truth, 7))
    np.testing.assert_allclose(metrics.expected_ndcg(scores, truth, 7), metrics.ndcg(slates, truth, 7))


def test_nan_ranks_last_with_a_warning_and_withheld_items_are_never_shown():
    scores = np.array([[np.nan, 0.0, -np.inf]])
    with pytest.warns(RuntimeWarning, match="1 scores are NaN"):
        assert metrics.expected_recall(scores, Ragged.of([[0]]), 3).tolist() == [0.0]
    assert metrics.expected_recall(np.array([[0.0, -np.inf]]), Ragged.of([[1]]), 2).tolist() == [0.0]
    with pytest.warns(RuntimeWarning, match="NaN"):
        assert metrics.auc(np.array([1, 0]), np.array([np.nan, -5.0])) == 0.0


# --------------------------------------------------------------------------------------------------------------------
# Classes, probabilities, ratings


def events(seed: int = 0, m: int = 400):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 21, m) / 20
    return rng.integers(0, 30, m), (rng.random(m) < p).astype(int), p


def test_auc_is_the_share_of_pairs_won():
    _, label, p = events()
    assert metrics.auc(label, p) == pytest.approx(sk.roc_auc_score(label, p))
    pairs = [(a > b) + (a == b) / 2 for a in p[label == 1] for b in p[label == 0]]
    assert metrics.auc(label, p) == pytest.approx(np.mean(pairs))
    assert metrics.auc(label, np.zeros(len(label))) == 0.5


def test_gauc_averages_users_with_both_classes():
    user, label, p = events(m=150)
    both = [u for u in np.unique(user) if 0 < label[user == u].mean() < 1]
    areas = [sk.roc_auc_score(label[user == u], p[user == u]) for u in both]
    assert len(both) < len(np.unique(user))
    assert metrics.gauc(user, label, p) == pytest.approx(np.mean(areas))
    sizes = [(user == u).sum() for u in both]
    assert metrics.gauc(user, label, p, weights="impressions") == pytest.approx(np.average(areas, weights=sizes))


def test_probabilities_are_judged_as_scikit_learn_judges_them():
    _, label, p = events()
    assert metrics.brier(label, p) == pytest.approx(sk.brier_score_loss(label, p))
    inside = np.clip(p, 0.01, 0.99)
    assert metrics.logloss(label, inside) == pytest.approx(sk.log_loss(label, inside))


def test_ece_has_bins_of_equal_mass_and_does_not_mind_order():
    rng = np.random.default_rng(6)
    p = rng.random(4000)
    label = (rng.random(4000) < p**2).astype(int)
    order = np.argsort(p)
    slow = [abs(p[part].mean() - label[part].mean()) for part in np.array_split(order, 20)]
    assert metrics.ece(label, p) == pytest.approx(np.mean(slow))
    _, label, p = events()
    shuffled = rng.permutation(len(p))
    assert metrics.ece(label, p) == pytest.approx(metrics.ece(label[shuffled], p[shuffled]))


def test_a_constant_guess_of_the_mean_is_calibrated():
    label = np.array([1, 0, 0, 0] * 25)
    assert metrics.ece(label, np.full(100, 0.25)) == pytest.approx(0.0)


def test_rating_errors():
    rng = np.random.default_rng(7)
    truth, guess = rng.integers(1, 6, 50).astype(float), rng.normal(3, 2, 50)
    assert metrics.rmse(truth, guess) == pytest.approx(sk.root_mean_squared_error(truth, guess))
    assert metrics.mae(truth, guess) == pytest.approx(sk.mean_absolute_error(truth, guess))
    assert metrics.rmse(truth, guess, 1, 5) <= metrics.rmse(truth, guess)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: metrics.auc(np.array([1, 1]), np.array([0.1, 0.2])), "one class"),
        (lambda: metrics.auc(np.array([]), np.array([])), "one class"),
        (lambda: metrics.gauc(np.array([1, 2]), np.array([1, 0]), np.array([0.1, 0.2])), "none has both"),
        (lambda: metrics.logloss(np.array([1]), np.array([1.2])), "sigmoid"),
        (lambda: metrics.brier(np.array([2]), np.array([0.2])), "neither 0 nor 1"),
        (lambda: metrics.rmse(np.array([1.0]), np.array([np.nan])), "NaN"),
        (lambda: metrics.mae(np.array([1.0]), np.array([1.0, 2.0])), "as many of both"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, said):
    with pytest.raises(BadData, match=said):
        call()


# --------------------------------------------------------------------------------------------------------------------
# Beyond accuracy


def test_exposure_measures_are_their_definitions():
    slates, _ = lists(seed=8)
    count = np.bincount([a for row in slates.items[:, :5].tolist() for a in row if a >= 0], minlength=35)
    assert metrics.coverage(slates, 35, 5) == (count > 0).mean()
    pairs = np.abs(count[:, None] - count[None]).sum() / (2 * 35**2 * count.mean())
    assert metrics.gini(slates, 35, 5) == pytest.approx(pairs)
    share = [c / count.sum() for c in count if c]
    assert metrics.entropy(slates, 35, 5) == pytest.approx(-sum(s * log2(s) for s in share))


def test_one_item_for_all_is_unequal_and_every_item_alike_is_equal():
    assert metrics.gini(metrics.listed([[0]] * 5), 100, 1) == pytest.approx(0.99)
    assert metrics.gini(metrics.listed([[0], [1], [2]]), 3, 1) == pytest.approx(0.0)
    assert metrics.personalisation(metrics.listed([[0, 1]] * 4), 2) == pytest.approx(0.0)


def test_popularity_measures_are_their_definitions():
    slates, truth = lists(seed=9)
    popularity = np.random.default_rng(9).integers(0, 50, 30)
    values = {
        "novelty": metrics.novelty(slates, popularity, 60, 5), "arp": metrics.arp(slates, popularity, 5),
        "lift": metrics.popularity_lift(slates, truth, popularity, 5),
    }  # fmt: skip
    for i, row in enumerate(slates.items[:, :5].tolist()):
        shown = [a for a in row if a >= 0]
        if not shown:
            assert all(np.isnan(v[i]) for v in values.values())
            continue
        arp = np.mean([popularity[a] for a in shown])
        profile = np.mean(popularity[truth.row(i)["item"]])
        assert values["novelty"][i] == pytest.approx(np.mean([-log2(max(popularity[a], 0.5) / 60) for a in shown]))
        assert values["arp"][i] == pytest.approx(arp)
        assert values["lift"][i] == pytest.approx((arp - profile) / profile)


def test_intra_list_distance_is_the_mean_over_pairs():
    rng = np.random.default_rng(10)
    vectors = rng.normal(size=(30, 4))
    vectors[3] = 0.0
    items = np.array([rng.choice(30, 6, replace=False) for _ in range(20)], np.int32)
    items[0] = [3, 7, -1, -1, -1, -1]
    found = metrics.ild(Slates(items=items, scores=np.zeros(items.shape, np.float32)), vectors, 6)
    assert np.isnan(found[0])  # one vector is no pair
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    for i in range(1, 20):
        shown = [a for a in items[i] if a != 3]
        far = [1 - unit[a] @ unit[b] for x, a in enumerate(shown) for b in shown[:x]]
        assert found[i] == pytest.approx(np.mean(far))


def test_personalisation_is_the_mean_over_all_pairs():
    items = np.array([np.random.default_rng(s).choice(15, 5, replace=False) for s in range(12)], np.int32)
    slates = Slates(items=items, scores=np.zeros(items.shape, np.float32))
    shared = [len(set(items[a]) & set(items[b])) / 5 for a in range(12) for b in range(a)]
    assert metrics.personalisation(slates, 5) == pytest.approx(1 - np.mean(shared))
    with pytest.raises(BadData, match="at least 2"):
        metrics.personalisation(slates.slice(0, 1), 5)


def test_calibration_is_steck_divergence():
    genres = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    slates, history = metrics.listed([[1, 2], [0], [3]]), Ragged.of([[0, 1], [0], [0]])
    found = metrics.calibration_kl(slates, history, genres, 2)
    p, q = [0.25, 0.75, 0.0], [0.0, 0.5, 0.5]
    slow = sum(a * log(a / (0.99 * b + 0.01 * a)) for a, b in zip(p, q, strict=True) if a)
    assert found[0] == pytest.approx(slow, rel=1e-5)
    assert found[1] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(found[2])  # nothing is known of item 3


def test_serendipity_counts_only_what_the_primitive_did_not_show():
    slates, truth = lists(seed=11)
    primitive, _ = lists(seed=12)
    found = metrics.serendipity(slates, truth, primitive, 6)
    for i in range(len(slates)):
        obvious, relevant = set(primitive.items[i, :6].tolist()), set(truth.row(i)["item"].tolist())
        assert found[i] == pytest.approx(len((set(slates.items[i, :6].tolist()) - {-1}) & relevant - obvious) / 6)


def test_the_tail_is_shared_out_among_equal_counts():
    assert metrics.tail_share(metrics.listed([[0], [4]]), np.array([5, 5, 5, 5, 5]), 1) == pytest.approx(0.8)
    shown = metrics.tail_share(metrics.listed([[0, 1, 2, 3, 4]]), np.array([9, 7, 5, 3, 1]), 5)
    assert shown == pytest.approx(0.8)


def test_exposure_ratio_is_one_where_exposure_follows_relevance():
    truth = Ragged.of([[0], [1], [2], [3]])
    group = np.array([0, 0, 1, 1])
    assert metrics.exposure_ratio(metrics.listed([[0], [1], [2], [3]]), truth, group, 1).tolist() == [1.0, 1.0]
    assert metrics.exposure_ratio(metrics.listed([[0], [1], [0], [1]]), truth, group, 1).tolist() == [2.0, 0.0]


def test_group_gaps_have_intervals_and_small_groups_are_refused():
    rng = np.random.default_rng(13)
    values, groups = rng.random(300), np.repeat(["a", "b", "c"], 100)
    values[groups == "b"] += 0.5
    gap = metrics.group_gap(values, groups)
    assert gap.best == "b" and gap.gap.lo < gap.gap.mean < gap.gap.hi and gap.gap.lo > 0
    assert gap.groups["a"].mean == pytest.approx(values[groups == "a"].mean())
    with pytest.raises(BadData, match="at least two groups of 50"):
        metrics.group_gap(values, np.where(np.arange(300) < 49, "few", "many"))


def test_measuring_warns_of_nothing():
    slates, truth = lists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.measure(slates, truth, [f"{name}@5" for name in NAMES])
        metrics.ild(slates, np.zeros((30, 3)), 5)
        metrics.calibration_kl(slates, truth, np.zeros((30, 3)), 5)
