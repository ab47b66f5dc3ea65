"""What every system promises. Enrolment is by its row in `systems.py`: nothing to register here."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from interplay.benches import BENCHES
from interplay.cli import app
from interplay.configure import Within, configured, parsed
from interplay.data.features import FeatureView
from interplay.errors import BadData, BadSetting, Unsupported
from interplay.fitted import built
from interplay.systems import ROWS, SYSTEMS, System
from interplay.types import Dataset, Ragged, Requests, RuleSet, Run, Slates
from small import crowd, made, shop


def has(row: System, verb: str) -> bool:
    """Whether the class of a row has a verb."""
    module, _, name = row.model.partition(":")
    return hasattr(getattr(importlib.import_module(f"interplay.models.{module}"), name), verb)


RETRIEVERS = [row.name for row in ROWS if row.kind == "model" and "examples" not in row.needs]
RANKERS = [row.name for row in ROWS if row.kind == "model" and "examples" in row.needs]
ORDERING = {"choose": "policy", "arrange": "arranger", "rank": "lifter"}  # verb -> the kind of row that goes by it
ORDERERS = [row.name for row in ROWS if row.kind in ORDERING.values() or (row.kind == "judge" and has(row, "rank"))]
CHOOSERS = [row.name for row in ROWS if row.model and has(row, "choose")]
PLACES = [row.name for row in ROWS if row.kind in ("world", "benchmark", "checklist")]  # where others are tried
ACTORS = [row.name for row in ROWS if row.kind == "judge" and has(row, "learn") and has(row, "chances")]
BY_TEXT = [row.name for row in ROWS if "interactions" not in row.needs]
QUICK = Run(seed=1, epochs=2)  # two epochs tell as much of a promise as two hundred


@cache
def fitted(name: str, seed: int = 1):
    return built(name).fit(crowd(), run=Run(seed=seed, epochs=2))


def asked(dataset: Dataset, users: np.ndarray | None = None, **more) -> Requests:
    users = np.arange(dataset.n_users, dtype=np.int32) if users is None else users
    if "query" not in more:
        more["query"] = ["brass lamp" if i % 3 == 0 else None for i in range(len(users))]
    return Requests.of(dataset, users, **more)


def sound(slates: Slates, requests: Requests, n_items: int) -> None:
    shown = slates.items >= 0
    assert slates.items.dtype == np.int32 and slates.scores.dtype == np.float32
    assert (slates.items < n_items).all()
    assert np.isfinite(slates.scores[shown]).all()
    assert (slates.scores[~shown] == -np.inf).all()
    assert (np.diff(shown.astype(int), axis=1) <= 0).all(), "padding stands at the end"
    assert (np.diff(np.where(shown, slates.scores, -1e30), axis=1) <= 0).all(), "best first"
    for i in range(len(slates)):
        items = slates.items[i][shown[i]]
        assert len(set(items.tolist())) == len(items), "an item stands once in a list"
        if requests.rules.withhold_seen:
            assert not set(items.tolist()) & set(requests.history.row(i)["item"].tolist()), (
                "nothing seen is shown again"
            )


@pytest.mark.parametrize("name", RETRIEVERS)
class TestEveryRetriever:
    def test_lists_are_sound_for_users_strangers_and_the_unheard_of(self, name):
        data, model = crowd(), fitted(name)
        everyone = asked(data)
        sound(model.retrieve(everyone, 10), everyone, data.n_items)
        odd = Requests.strangers([[], [0], [3, 3, 3], list(range(30)), [10_000, 2]])
        sound(model.retrieve(odd, 10), odd, data.n_items)
        late = Requests(user=np.array([10_000], np.int32), history=Ragged.of([[1, 2]]))
        sound(model.retrieve(late, 10), late, data.n_items)
        assert (model.retrieve(odd, 10).items[:, 0] >= 0).all(), "a stranger is served"

    def test_a_batch_answers_as_one_by_one(self, name):
        data, model = crowd(), fitted(name)
        requests = asked(data)
        together = model.retrieve(requests, 8)
        alone = Slates.stacked([model.retrieve(requests.slice(i, i + 1), 8) for i in range(len(requests))])
        assert Slates(items=together.items, scores=together.scores).equals(
            Slates(items=alone.items, scores=alone.scores), relative=2e-5
        )

    def test_an_empty_batch_and_a_list_longer_than_the_catalogue(self, name):
        data, model = crowd(), fitted(name)
        assert len(model.retrieve(asked(data, np.zeros(0, np.int32)), 5)) == 0
        requests = asked(data, np.arange(3, dtype=np.int32))
        slates = model.retrieve(requests, 10 * data.n_items)
        assert slates.items.shape[1] <= data.n_items
        sound(slates, requests, data.n_items)

    def test_rules_are_obeyed_before_the_cut(self, name):
        data, model = crowd(), fitted(name)
        even = np.arange(data.n_items) % 2 == 0
        low = np.arange(data.n_items) < 30
        users = np.arange(20, dtype=np.int32)
        rules = RuleSet(
            masks=np.stack([even, low]), names=("even", "low"),
            applied=Ragged.of([[0] if u % 2 else [0, 1] for u in range(20)], "mask"),
            exclude=Ragged.of([[0, 2, 4]] * 20),
        )  # fmt: skip
        requests = asked(data, users, rules=rules)
        slates = model.retrieve(requests, 6)
        sound(slates, requests, data.n_items)
        plain = model.retrieve(asked(data, users), data.n_items)
        for row in range(20):
            allowed = rules.allowed(row, data.n_items)
            allowed[[0, 2, 4]] = False
            items = slates.items[row][slates.items[row] >= 0]
            assert allowed[items].all()
            kept = [i for i in plain.items[row] if i >= 0 and allowed[i]][:6]
            assert len(items) == len(kept), "rules act inside the search, so the list stays full"

    def test_seen_items_come_back_when_asked_for(self, name):
        data, model = crowd(), fitted(name)
        requests = asked(data, np.arange(5, dtype=np.int32), rules=RuleSet(withhold_seen=False))
        slates = model.retrieve(requests, data.n_items)
        seen = [set(requests.history.row(i)["item"].tolist()) for i in range(5)]
        assert any(seen[i] & set(slates.items[i].tolist()) for i in range(5))

    def test_inputs_are_left_alone(self, name):
        data, model = crowd(), fitted(name)
        requests = asked(data)
        before = [requests.history.offsets.copy(), requests.history["item"].copy(), requests.user.copy()]
        model.retrieve(requests, 5)
        for was, now in zip(before, [requests.history.offsets, requests.history["item"], requests.user], strict=True):
            np.testing.assert_array_equal(was, now)

    def test_state_moves_to_a_new_instance(self, name):
        data, model = crowd(), fitted(name)
        state = model.state()
        for array in [*state.arrays.values(), *state.users.values()]:
            assert isinstance(array, np.ndarray) and array.dtype != object
        again = built(name).restore(state)
        requests = asked(data)
        assert model.retrieve(requests, 10).equals(again.retrieve(requests, 10))

    def test_the_same_seed_gives_the_same_answer(self, name):
        data, model = crowd(), fitted(name)
        again = built(name).fit(crowd(), run=QUICK)
        requests = asked(data)
        assert model.retrieve(requests, 10).equals(again.retrieve(requests, 10))

    def test_nothing_after_at_is_used(self, name):
        data, model = crowd(), fitted(name)
        at = np.full(data.n_users, int(np.median(data.events.time)))
        early = asked(data.where(data.events.time <= at[0]), at=at)
        cut = asked(data, at=at)
        assert model.retrieve(early, 8).equals(model.retrieve(cut, 8))

    def test_tiny_data_fit_and_an_empty_log_is_refused(self, name):
        texts = ["plum tea", "brass lamp", "paper moon"]
        for pairs, users, items in [([(0, 0)], 1, 1), ([(0, 0), (0, 1), (1, 1), (1, 0), (1, 2)], 3, 3)]:
            tiny = made(pairs, users, items, texts=texts[:items])
            model = built(name).fit(tiny, run=QUICK)
            requests = asked(tiny)
            sound(model.retrieve(requests, 5), requests, items)
        if name not in BY_TEXT:
            with pytest.raises(BadData, match="no events"):
                built(name).fit(made([], 2, 2, texts=texts[:2]), run=QUICK)

    def test_similar_items_leave_the_item_itself_out(self, name):
        model = fitted(name)
        if not hasattr(model, "similar_items"):
            assert name in {"popular", "trending", "user-knn", "mult-vae"}, f"{name} should know similar items"
            return
        slates = model.similar_items(np.array([0, 5, 10_000]), 6)
        assert 0 not in slates.items[0] and 5 not in slates.items[1]
        assert (slates.items[2] == -1).all(), "an item without a row has no known neighbours"
        assert (slates.items[0] >= 0).any()

    def test_forgotten_users_leave_no_row(self, name):
        model = built(name).restore(fitted(name).state())
        kept = {k: v for k, v in model.state().users.items() if v.size}
        if not hasattr(model, "forget"):
            assert not [k for k in kept if not k.endswith("rows.events")], (
                f"{name} keeps per-user rows but cannot forget"
            )
            return
        model.forget(np.array([2, 3]))
        for column, array in model.state().users.items():
            if not column.endswith("rows.events"):
                assert not array[[2, 3]].any(), column


def candidates_of(data: Dataset, n: int = 12) -> tuple[Requests, Slates]:
    """Everybody, strangers and the unheard of, each with candidates of which some rows are short, single or empty."""
    users = np.append(np.arange(20, dtype=np.int32), [-1, 10_000]).astype(np.int32)
    history = Ragged(offsets=np.zeros(len(users) + 1, np.int64), columns={"item": np.zeros(0, np.int32)})
    at = np.full(len(users), int(data.events.time[-1]) + 1)
    known = Requests.of(data, users[:20], at=at[:20]).history
    history = Ragged(offsets=np.append(known.offsets, [known.offsets[-1]] * 2), columns=known.columns)
    items = np.stack([np.random.default_rng(i).permutation(data.n_items)[:n] for i in range(len(users))])
    items[3, 5:], items[4, 1:], items[5, :], items[6, 0] = -1, -1, -1, 10_000
    scores = np.where(items >= 0, -np.arange(n, dtype=np.float32), -np.inf).astype(np.float32)
    return Requests(user=users, history=history, at=at), Slates(items=items.astype(np.int32), scores=scores)


@cache
def learnt(name: str):
    return built(name).fit(crowd(), run=QUICK)


def labelled(n: int = 300, seed: int = 0) -> Dataset:
    """An examples table as people have them: gaps, words, numbers out of scale, a task that never happens."""
    import polars as pl

    from interplay.data.tables import from_frames

    rng = np.random.default_rng(seed)
    table = pl.DataFrame({
        "user_id": rng.integers(0, 12, n), "item_id": [f"thing {i}" for i in rng.integers(0, 9, n)],
        "place": [None if i % 7 == 0 else f"p{i % 3}" for i in range(n)],
        "price": np.where(rng.random(n) < 0.2, np.nan, 10 ** rng.normal(0, 3, n)),
        "timestamp": 1_700_000_000_000_000 + np.arange(n) * 60_000_000,
        "label_click": (rng.random(n) < 0.3).astype(np.int8),
        "label_buy": [None if i % 5 == 0 else 0 for i in range(n)],
        "split": ["test" if i % 5 == 4 else "valid" if i % 5 == 3 else "train" for i in range(n)],
    })  # fmt: skip
    return from_frames("labelled", tables={"examples": table})


@pytest.mark.parametrize("name", RANKERS)
class TestEveryRanker:
    def test_candidates_are_ordered_and_what_is_padded_stays_padded(self, name):
        data, model = crowd(), learnt(name)
        requests, slates = candidates_of(data)
        for view in (FeatureView(data), None):
            ranked = model.rank(requests, slates, view)
            assert ranked.items.dtype == np.int32 and ranked.scores.dtype == np.float32
            held = ranked.items >= 0
            assert (np.sort(ranked.items, axis=1) == np.sort(slates.items, axis=1)).all(), "the same candidates"
            assert (np.diff(held.astype(int), axis=1) <= 0).all() and np.isfinite(ranked.scores[held]).all()
            assert (ranked.scores[~held] == -np.inf).all()
            assert (np.diff(np.where(held, ranked.scores, -1e30), axis=1) <= 0).all(), "best first"
            said = [c for c in ranked.columns if c.startswith("p_")]
            assert said and all(((ranked.columns[c] >= 0) & (ranked.columns[c] <= 1)).all() for c in said)

    def test_a_batch_answers_as_one_by_one_and_inputs_are_left_alone(self, name):
        data, model = crowd(), learnt(name)
        requests, slates = candidates_of(data)
        before = slates.items.copy(), requests.history["item"].copy(), slates.scores.copy()
        view = FeatureView(data)
        together = model.rank(requests, slates, view)
        alone = [model.rank(requests.slice(i, i + 1), slates.slice(i, i + 1), view) for i in range(len(requests))]
        assert together.equals(Slates.stacked(alone), relative=2e-5)
        for was, now in zip(before, (slates.items, requests.history["item"], slates.scores), strict=True):
            np.testing.assert_array_equal(was, now)

    def test_a_row_is_served_as_it_was_trained(self, name):
        data, model = crowd(), learnt(name)
        examples = model.examples(data)
        rows = np.random.default_rng(0).integers(0, len(examples), 40)
        trained = model.predict(examples.take(rows))
        users, items = examples.fields["user"][rows], examples.fields["item"][rows]
        requests = Requests.of(data, users, at=examples.at[rows])
        slates = Slates(items=items[:, None].astype(np.int32), scores=np.zeros((len(rows), 1), np.float32))
        served = model.rank(requests, slates, FeatureView(data))
        for task, p in trained.items():
            np.testing.assert_allclose(served.columns[f"p_{task}"][:, 0], p, atol=2e-6)

    def test_nothing_after_at_is_used(self, name):
        data, model = crowd(), learnt(name)
        requests, slates = candidates_of(data)
        cut = int(np.median(data.events.time))
        early = data.where(data.events.time < cut)
        at = np.full(len(requests), cut)
        asked_of = [model.rank(Requests.of(d, requests.user, at=at), slates, FeatureView(d)) for d in (early, data)]
        assert asked_of[0].equals(asked_of[1])

    def test_state_moves_and_the_same_seed_gives_the_same_answer(self, name):
        data, model = crowd(), learnt(name)
        requests, slates = candidates_of(data)
        state, view = model.state(), FeatureView(data)
        for array in [*state.arrays.values(), *state.users.values()]:
            assert isinstance(array, np.ndarray) and array.dtype != object
        first = model.rank(requests, slates, view)
        assert first.equals(built(name).restore(state).rank(requests, slates, view))
        assert first.equals(built(name).fit(crowd(), run=QUICK).rank(requests, slates, view))

    def test_people_who_are_forgotten_leave_no_row_and_are_ranked_for_as_strangers(self, name):
        data = crowd()
        model = built(name).restore(learnt(name).state())
        model.forget(np.array([2, 3]))
        for column, array in model.state().users.items():
            assert not array[[2, 3]].any(), column
        requests, slates = candidates_of(data)
        sound = model.rank(requests, slates, FeatureView(data))
        assert np.isfinite(sound.scores[sound.items >= 0]).all()

    def test_gaps_rare_tasks_and_unheard_of_values_give_finite_probabilities(self, name):
        from interplay.data.examples import Examples
        from interplay.ranking import divide, fit_ranker, judge_ranker

        few = {"descent": {"epochs": 2}} if SYSTEMS[name].epochs else {}
        division = divide(labelled())
        fitted = fit_ranker(name, division, settings=few, seed=1)
        figures = judge_ranker(fitted, division).mean()
        assert {"auc:click", "logloss:click", "logloss:buy", "gauc:click", "ece:click"} <= set(figures)
        odd = Examples(
            fields={"user": np.array([10**6, -1]), "item": np.array([0, 7]), "place": np.array([None, "new"], object)},
            numbers={"price": np.array([np.nan, np.inf], np.float32)},
        )
        for examples in (odd, Examples(fields={"user": np.array([1])})):
            assert all(
                np.isfinite(p).all() and len(p) == len(examples) for p in fitted.model.predict(examples).values()
            )

    def test_nothing_to_learn_from_is_refused(self, name):
        with pytest.raises(BadData, match="no events"):
            built(name).fit(made([], 2, 2), run=QUICK)


SMALL = {  # where a preset is meant for more than sixty people
    "arranger": {"places": 5, "pool": 12, "dim": 8, "moments": 400, "folds": 2, "groups": 6, "doubts": False,
                 "reward": {"dim": 8}, "policy": {"dim": 8, "rounds": 1, "pages": 32}},
    "lifter": {"dim": 2, "hidden": 8},
}  # fmt: skip


def ordering(name: str, data: Dataset):
    """A row that orders or chooses among candidates, learnt from a log that has all it needs."""
    row = SYSTEMS[name]
    model = built(name, SMALL.get(row.kind, {}))
    beside = {"base": lambda: built("popular")} if row.kind == "arranger" else {}
    return model.fit(data, run=QUICK, **beside)


@cache
def ordered(name: str):
    return ordering(name, shop())


def answered(name: str, model, requests: Requests, slates: Slates) -> Slates:
    """All candidates in the order that the row gives them, whatever its verb."""
    verb = next(v for v, kind in ORDERING.items() if kind == SYSTEMS[name].kind or hasattr(model, v))
    if verb == "choose":
        return model.choose(requests, slates, slates.items.shape[1])
    if verb == "rank":
        return model.rank(requests, slates, FeatureView(shop()))
    order = model.arrange(requests, slates, slates.items.shape[1]).order
    return Slates(items=np.take_along_axis(slates.items, order, 1), scores=np.zeros(order.shape, np.float32))


def drawn(data: Dataset) -> tuple[Requests, Slates]:
    requests, slates = candidates_of(data)
    draw = np.random.default_rng(5).integers(0, 2**64, len(requests), dtype=np.uint64)
    return replace(requests, draw=draw), slates


@pytest.mark.parametrize("name", ORDERERS)
class TestEveryRowThatOrdersCandidates:
    def test_the_candidates_stay_and_what_is_padded_stays_padded(self, name):
        requests, slates = drawn(shop())
        before = slates.items.copy(), slates.scores.copy(), requests.history["item"].copy()
        out = answered(name, ordered(name), requests, slates)
        assert (np.sort(out.items, axis=1) == np.sort(slates.items, axis=1)).all(), "the same candidates"
        assert (np.diff((out.items >= 0).astype(int), axis=1) <= 0).all(), "padding stands at the end"
        assert np.isfinite(out.scores[out.items >= 0]).all()
        for was, now in zip(before, (slates.items, slates.scores, requests.history["item"]), strict=True):
            np.testing.assert_array_equal(was, now)

    def test_it_has_an_opinion(self, name):
        requests, slates = drawn(shop())
        level = replace(slates, scores=np.where(slates.items >= 0, np.float32(1), -np.inf).astype(np.float32))
        once = answered(name, ordered(name), requests, level)
        assert (once.items[:3] != level.items[:3]).any(), "the order that came in is not the one that goes out"

    def test_a_batch_answers_as_one_by_one(self, name):
        model, (requests, slates) = ordered(name), drawn(shop())
        together = answered(name, model, requests, slates)
        for i in range(len(requests)):
            alone = answered(name, model, requests.slice(i, i + 1), slates.slice(i, i + 1))
            assert together.slice(i, i + 1).equals(alone, relative=2e-5)

    def test_state_moves_and_the_same_seed_gives_the_same_answer(self, name):
        model, (requests, slates) = ordered(name), drawn(shop())
        first, state = answered(name, model, requests, slates), model.state()
        for array in [*state.arrays.values(), *state.users.values()]:
            assert isinstance(array, np.ndarray) and array.dtype != object
        again = built(name, SMALL.get(SYSTEMS[name].kind, {})).restore(state)
        assert first.equals(answered(name, again, requests, slates))
        assert first.equals(answered(name, ordering(name, shop()), requests, slates))

    def test_people_who_are_forgotten_leave_no_row(self, name):
        model = built(name, SMALL.get(SYSTEMS[name].kind, {})).restore(ordered(name).state())
        if not hasattr(model, "forget"):
            assert not [k for k, v in model.state().users.items() if v.size and not k.endswith("rows.events")]
            return
        model.forget(np.array([2, 3]))
        for column, array in model.state().users.items():
            held = array[[2, 3]] if len(array) == shop().n_users else array
            assert not np.isin(held, (2, 3)).any() if column.endswith("user") else not held.any(), column
        requests, slates = drawn(shop())
        assert np.isfinite(answered(name, model, requests, slates).scores[slates.items >= 0]).any()

    def test_nothing_to_learn_from_is_refused(self, name):
        none = shop()
        none = none.where(np.zeros(len(none.events), bool))
        with pytest.raises(BadData, match=r"no events|has 0 interactions"):
            ordering(name, none)


@pytest.mark.parametrize("name", CHOOSERS)
class TestEveryRowThatExplores:
    """A draw decides the page and nothing else does; what is logged as its chance is its chance."""

    def test_the_same_draw_is_the_same_page_and_no_draw_is_the_best_one(self, name):
        model, (requests, slates) = ordered(name), drawn(shop())
        one, two = (model.choose(requests, slates, 4) for _ in range(2))
        np.testing.assert_array_equal(one.items, two.items)
        calm = model.choose(replace(requests, draw=None), slates, 4)
        assert (calm.columns["propensity"] == 1).all() and not calm.columns["explored"].any()

    def test_chances_are_chances_and_those_of_a_page_are_what_was_logged(self, name):
        model, (requests, slates) = ordered(name), drawn(shop())
        first = model.propensities(requests, slates)
        held = slates.items >= 0
        assert (first >= 0).all() and not first[~held].any()
        np.testing.assert_allclose(first.sum(axis=1), held.any(axis=1), atol=1e-6)
        page = model.choose(requests, slates, 4)
        said = np.where(page.items >= 0, page.columns["propensity"], 1.0)
        assert ((said > 0) & (said <= 1)).all()
        told = model.chances(requests, slates, page.items)
        np.testing.assert_allclose(np.where(page.items >= 0, told, 1.0), said, rtol=1e-5)

    def test_a_candidate_that_is_named_twice_is_shown_once_at_the_chances_of_one(self, name):
        model, (requests, slates) = ordered(name), drawn(shop())
        twice = np.concatenate([slates.items, slates.items[:, ::-1]], axis=1)
        twice = Slates(items=twice, scores=np.zeros(twice.shape, np.float32))
        first, width = model.propensities(requests, twice), slates.items.shape[1]
        assert not first[:, width:].any()
        np.testing.assert_allclose(first.sum(axis=1), (slates.items >= 0).any(axis=1), atol=1e-6)
        page = model.choose(requests, twice, 2 * width)
        for given, shown in zip(slates.items, page.items, strict=True):
            assert sorted(shown[shown >= 0].tolist()) == sorted(given[given >= 0].tolist())
        told = model.chances(requests, twice, page.items)
        held = page.items >= 0
        np.testing.assert_allclose(told[held], page.columns["propensity"][held], rtol=1e-5)


@pytest.mark.parametrize("name", ACTORS)
class TestEveryRowThatLearnsToActFromALog:
    @staticmethod
    def rounds(n: int = 400):
        rng = np.random.default_rng(0)
        x, action = rng.normal(size=(n, 3)), rng.integers(0, 4, n)
        return x, action, (rng.random(n) < 0.2 + 0.6 * (action == (x[:, 0] > 0))).astype(float), np.full(n, 0.25)

    def test_chances_add_up_and_are_the_same_with_the_same_seed_and_in_a_new_instance(self, name):
        x, action, reward, chance = self.rounds()
        one, two = (built(name).learn(x, action, reward, chance, actions=4, run=QUICK) for _ in range(2))
        np.testing.assert_allclose(one.chances(x).sum(axis=1), 1.0)
        np.testing.assert_array_equal(one.chances(x), two.chances(x))
        np.testing.assert_array_equal(one.chances(x), built(name).restore(one.state()).chances(x))
        np.testing.assert_allclose(one.chances(x[7:8]), one.chances(x)[7:8], rtol=1e-5)

    def test_a_log_without_chances_or_rounds_is_refused(self, name):
        x, action, reward, chance = self.rounds(20)
        with pytest.raises(BadData, match="propensities"):
            built(name).learn(x, action, reward, 0 * chance, actions=4)
        with pytest.raises(BadData, match="no rounds"):
            built(name).learn(x[:0], action[:0], reward[:0], chance[:0], actions=4)
        with pytest.raises(Unsupported):
            built(name).fit(shop())


@pytest.mark.parametrize("name", PLACES)
def test_what_is_not_fitted_names_a_command_that_there_is(name):
    row = SYSTEMS[name]
    program, command, *words = row.command.split()
    assert program == "interplay"
    if command == "bench":
        assert words[0] in BENCHES
    else:
        assert command in {c.callback.__name__ for c in app.registered_commands if c.callback}
    for refused in (row.build, lambda: built(name, {"dim": 3}), lambda: configured(row.settings())):
        with pytest.raises(Unsupported, match=f"nothing that is fitted; run `{row.command}`"):
            refused()


def test_no_row_goes_without_a_contract():
    enrolled = {*RETRIEVERS, *RANKERS, *ORDERERS, *ACTORS, *PLACES}
    assert {row.name for row in ROWS} == enrolled
    explorers = {row.name for row in ROWS if row.kind == "policy"}
    assert explorers <= set(CHOOSERS), "what is called a policy says the chances of what it does"


@pytest.mark.parametrize(("name", "puzzle"), [(row.name, p) for row in ROWS for p in sorted(row.solves)])
def test_the_puzzles_that_a_system_claims_are_solved(name, puzzle):
    from interplay.metrics import hit
    from interplay.worlds.puzzles import PUZZLES

    world = PUZZLES[puzzle](0)
    model = built(name)
    descent = getattr(getattr(model, "config", None), "descent", None)
    epochs = descent and min(descent.epochs, 150)  # hundreds are for logs of another size
    model.fit(world.dataset, run=Run(seed=0, epochs=epochs))
    mine = hit(model.retrieve(world.requests, world.n), world.truth, world.n).mean()
    theirs = world.chance
    if world.floor != "chance":
        floor = built(world.floor).fit(world.dataset)
        theirs = hit(floor.retrieve(world.requests, world.n), world.truth, world.n).mean()
    assert mine >= 0.8 and mine > theirs, f"{name} answers {mine:.2f} of {puzzle}; {world.floor} {theirs:.2f}"


def test_every_row_that_finds_items_claims_a_puzzle_or_is_known_for_why_not():
    without = {row.name for row in ROWS if row.kind == "model" and "examples" not in row.needs and not row.solves}
    assert without == {"recbot", "dynamic-slate"}, "recbot obeys what is said; dynamic-slate needs shown pages"


def numbers(config: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type, Within | None]]:
    """(path, int or float, range) of every number among the settings, nested ones too."""
    for name, hint in typing.get_type_hints(config, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from numbers(typing.cast(type, hint), (*path, name))
            continue
        parts = [hint]
        while typing.get_origin(parts[-1]) not in (None, typing.Annotated):
            parts.append(next(a for a in reversed(typing.get_args(parts[-1])) if a not in (type(None), ...)))
        plain, *more = typing.get_args(parts[-1]) or (parts[-1],)
        if plain in (int, float):
            inside = Mapping in map(typing.get_origin, parts)
            yield (
                (*path, name, *(["x"] if inside else [])),
                plain,
                next((m for m in more if isinstance(m, Within)), None),
            )


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.model])
def test_every_number_among_the_settings_says_its_range_and_is_held_to_it(name):
    config = SYSTEMS[name].settings()
    for path, kind, within in numbers(config):
        assert kind is float or within is not None, f"{'.'.join(path)} of {name} is a whole number without a range"
        low = within is not None and (within.low - 1 if kind is int else within.low - 0.1)
        for wrong in ("nan", "-inf", *([str(low)] if within is not None else [])):
            with pytest.raises(BadSetting, match=rf"{path[-1]} is '{wrong}'; expected"):
                configured(config, parsed([f"{'.'.join(path)}={wrong}"]))


def test_every_row_says_what_it_is():
    for row in SYSTEMS.values():
        assert row.about and row.paper and row.needs
        assert [bool(row.model), bool(row.recipe), bool(row.command)].count(True) == 1
