"""What every system promises. Enrolment is by its row in `systems.py`: nothing to register here."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from interplay.data.features import FeatureView
from interplay.errors import BadData
from interplay.fitted import built
from interplay.systems import ROWS, SYSTEMS
from interplay.types import Dataset, Ragged, Requests, RuleSet, Run, Slates
from small import crowd, made

RETRIEVERS = [row.name for row in ROWS if row.kind == "model" and "examples" not in row.needs]
RANKERS = [row.name for row in ROWS if row.kind == "model" and "examples" in row.needs]
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


@pytest.mark.parametrize(("name", "puzzle"), [(row.name, p) for row in ROWS for p in sorted(row.solves)])
def test_the_puzzles_that_a_system_claims_are_solved(name, puzzle):
    from interplay.metrics import hit
    from interplay.worlds.puzzles import PUZZLES

    world = PUZZLES[puzzle](0)
    model = built(name).fit(world.dataset, run=Run(seed=0))
    floor = built("popular").fit(world.dataset)
    mine = hit(model.retrieve(world.requests, world.n), world.truth, world.n).mean()
    theirs = hit(floor.retrieve(world.requests, world.n), world.truth, world.n).mean()
    assert mine >= 0.8 and mine > theirs, f"{name} answers {mine:.2f} of {puzzle}; popularity {theirs:.2f}"


def test_every_row_says_what_it_is():
    for row in SYSTEMS.values():
        assert row.about and row.paper and row.needs
        assert bool(row.model) != bool(row.recipe)
