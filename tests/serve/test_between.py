"""Learning between two fits: a click changes what is believed and what is tried next, for all who read the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from serving import DAY, shop

from interplay import learning
from interplay.data.pages import Pages
from interplay.data.store.impressions import impressions
from interplay.data.store.snapshot import load
from interplay.data.store.store import Store
from interplay.fitted import Fitted
from interplay.recipe import LearningConfig, Recipe
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.serve.telling import tell
from interplay.serve.views import trace
from interplay.types import Run

DATA = shop()
RECIPE = """
[source.often]
system = "popular"
[source.lately]
system = "trending"
weight = 0.2
[explore]
system = "logistic-ts"
pool = 20
places = [3, 6]
ridge = 2.0
[learning]
between = 0.0
wait = 0.2
"""


def fitted(recipe: str = RECIPE) -> Fitted:
    return Fitted.cooked(Recipe.parse(recipe, name="shop.toml"), DATA, run=Run(seed=0))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine.of(fitted())
    yield engine
    engine.close()


def clicked(engine: Engine, answer, place: int, user: str = "u3", **more: object) -> None:
    item = str(engine.dataset.items[answer.items[place - 1]])
    event = {"user_id": user, "item_id": item, "event_type": "click", "request_id": answer.request_id, **more}
    assert tell(engine, [event]).accepted == 1


def weights(engine: Engine) -> np.ndarray:
    return engine.cascade.explore.policy.belief.weights


def test_what_is_logged_is_the_chance_that_was_drawn_by(engine: Engine):
    answers = [engine.answer(user="u3", k=8, draw=int(d)) for d in np.random.default_rng(0).integers(0, 2**63, 400)]
    told = impressions(engine.store).sort("request_id", "slot")
    assert (told.filter(~told["slot"].is_in([2, 5]))["propensity"] == 1.0).all()  # from 0
    first = told.filter(told["slot"] == 2)
    came = first.group_by("item_id").len().rows()
    said = dict(first.select("item_id", "propensity").rows())
    assert len(came) > 5
    for item, n in came:
        assert abs(n / len(answers) - said[item]) < 4 * np.sqrt(said[item] * (1 - said[item]) / len(answers)) + 1e-9
    for answer in answers[:20]:
        assert engine.cascade.chances(
            engine.request(user="u3", k=8, at=answer.at), answer.slates.items[:, :8]
        ) == pytest.approx(answer.slates.columns["propensity"][:, :8])


def test_a_click_over_http_changes_the_belief_and_the_next_chances():
    engine = Engine.of(fitted(RECIPE.replace("wait = 0.2", "wait = 600.0")))
    with TestClient(create_app(engine)) as client:
        asked = {"user_id": "u3", "k": 8, "draw": "5"}
        tried = client.post("/v1/recommendations", json=asked).json()["items"][2]["item_id"]
        before, request = engine.cascade, engine.request(user="u9", k=8)
        for _ in range(5):
            page = client.post("/v1/recommendations", json=asked).json()
            event = {"user_id": "u3", "item_id": tried, "event_type": "click", "request_id": page["request_id"]}
            assert client.post("/v1/events", json={"events": [event]}).status_code == 200
        until = time.monotonic() + 30
        while (engine.between.behind or engine.cascade is before) and time.monotonic() < until:
            time.sleep(0.01)  # the learner has a thread of its own
        pool = before.retrieve(replace(request, k=20), 20)
        place = pool.items[0].tolist().index(engine.item(tried))
        was, now = (c.explore.policy.propensities(request, pool)[0, place] for c in (before, engine.cascade))
        assert now > was
        low = [c.explore.policy.believed(request, pool.items)[0][0, place] for c in (before, engine.cascade)]
        assert low[1] > low[0]
        assert 'interplay_learnt_events_total{tenant="default"} 5' in client.get("/metrics").text
    engine.close()


def test_what_was_not_clicked_counts_once_the_log_goes_on():
    engine = Engine.of(fitted(RECIPE.replace("wait = 0.2", "wait = 1.5")))  # the click comes before
    answer = engine.answer(user="u3", k=8, draw=5)
    clicked(engine, answer, 3)
    engine.between.catch_up()
    assert engine.scene.learnt.pages == 1
    seen = engine.cascade.explore.policy.belief.arrays["a"]
    time.sleep(1.55)
    assert tell(engine, [{"user_id": "u9", "item_id": "tea-1", "event_type": "keep"}]).accepted == 1
    engine.between.catch_up()
    assert engine.scene.learnt.pages == 2 and engine.scene.learnt.closed >= answer.at
    assert np.trace(engine.cascade.explore.policy.belief.arrays["a"]) > np.trace(seen)
    for _ in range(2):  # the same click again changes nothing
        held = weights(engine)
        clicked(engine, answer, 3)
        engine.between.catch_up()
        assert np.array_equal(weights(engine), held)
    engine.close()


def test_a_page_learnt_in_parts_is_a_page_learnt_at_once():
    text = RECIPE.replace("logistic-ts", "lin-ts").replace("wait = 0.2", "wait = 2.0")  # both clicks come before
    linear = Recipe.parse(text, name="shop.toml")
    at_once = Fitted.cooked(linear, DATA, run=Run(seed=0)).model.explore.policy
    engine = Engine.of(Fitted.cooked(linear, DATA, run=Run(seed=0)))
    answer, request = engine.answer(user="u3", k=8, draw=5), engine.request(user="u3", k=8)
    clicked(engine, answer, 2)
    clicked(engine, answer, 5)
    time.sleep(2.1)
    tell(engine, [{"user_id": "u9", "item_id": "tea-1", "event_type": "keep"}])
    engine.between.catch_up()
    whole = np.isin(np.arange(8), [1, 4])[None, None]
    at_once.update(Pages(items=answer.slates.items[:, None, :8], clicked=whole, n_items=DATA.n_items), request)
    np.testing.assert_allclose(weights(engine), at_once.belief.weights, atol=1e-6)
    engine.close()


def test_where_a_pair_stands_moves_with_the_log_event_by_event():
    longterm = '[longterm]\nsystem = "rliv-ua"\nauthor = "maker"\ntasks = ["click", "keep"]\nweights = [1.0, 5.0]\n'
    longterm += "amounts = []\ndim = 2\nhidden = 8\ndescent = {epochs = 1}\n[learning]"
    engine = Engine.of(fitted(RECIPE.replace("[learning]", longterm)))
    item, model = engine.item("lamp-0"), engine.cascade.lasting.model
    pair = np.array([engine.dataset.users.index(["u59"])[0]]), np.array([model.whose[item]])
    assert not model.states.find(*pair)[1].any()
    for kind, met in (("click", 1), ("keep", 1), ("click", 1)):  # one visit, in three pieces
        assert tell(engine, [{"user_id": "u59", "item_id": "lamp-0", "event_type": kind}]).accepted == 1
        engine.between.catch_up()
        states = engine.cascade.lasting.model.states
        row, there = states.find(*pair)
        assert there.all() and states.pair[row[0], 0] == met
    assert states.pair[row[0], 3:5].tolist() == [1, 1]
    told = trace(engine, engine.answer(user="u59", k=8))
    assert "then lifted by rliv-ua" in told["stages"][2]["said"]
    assert all(row["longterm"] >= 1 for row in told["items"])
    engine.close()


# ------------------------------------------------------------------------------------------------------------ replicas


def test_replicas_end_equal_and_a_restart_arrives_where_they_are(store: Store):
    load(store, DATA)
    learning.kept(store, fitted(), learning.snapshot(store), {}, promote="first")
    here, there = Engine.over(store), Engine.over(store)
    rng = np.random.default_rng(1)
    for step in range(30):
        engine = (here, there)[step % 2]
        user = f"u{int(rng.integers(12))}"
        answer = engine.answer(user=user, k=8, draw=int(rng.integers(2**60)))
        clicked(engine, answer, int(rng.integers(1, 8)), user, timestamp=answer.at + step)
        if step % 7 == 0:
            time.sleep(0.1)
            (there, here)[step % 2].between.catch_up()
    store.database.flush()
    engines = [here, there, Engine.over(store)]
    for engine in engines:
        engine.look()
        assert engine.between.catch_up() and not engine.between.behind
    states = [engine.cascade.explore.policy.belief.arrays for engine in engines]
    assert here.scene.learnt.pages > 30
    for name in states[0]:
        assert all(np.array_equal(states[0][name], other[name]) for other in states[1:])
    asked = {"user": "u5", "k": 20, "draw": 3, "at": here.now()}
    pages = [engine.answer(**asked).slates for engine in engines]
    assert pages[0].equals(pages[1]) and pages[0].equals(pages[2])
    for engine in engines[:2]:
        engine.between.close()


def test_a_model_that_takes_over_has_learnt_what_happened_since_its_fit(store: Store):
    load(store, DATA)
    learning.kept(store, fitted(), learning.snapshot(store), {}, promote="first")
    engine = Engine.over(store)
    taken = learning.snapshot(store)
    clicked(engine, engine.answer(user="u3", k=8, draw=5), 3)
    engine.between.catch_up()
    learnt = weights(engine)
    learning.kept(store, fitted(), taken, {}, promote="again")
    until = time.monotonic() + 10
    while engine.scene.head.live != 2 and time.monotonic() < until:
        engine.look()
        time.sleep(0.01)
    assert engine.scene.head.live == 2 and engine.scene.learnt.row == store.head().row
    assert np.array_equal(weights(engine), learnt)
    engine.between.close()


# ------------------------------------------------------------------------------------------------------------ failures


def test_a_failure_is_counted_and_told_and_no_request_fails(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    policy = type(engine.cascade.explore.policy)
    monkeypatch.setattr(policy, "taught", lambda *_: 1 / 0)
    clicked(engine, engine.answer(user="u3", k=8, draw=5), 3)
    assert not engine.between.catch_up() and engine.between.failures >= 1
    answer = engine.answer(user="u3", k=8, draw=5)
    assert len(answer.items) == 8
    assert "ZeroDivisionError" in answer.trace.stages[-1].facts["learnt"]["problem"]
    assert "not learnt yet" in answer.trace.stages[-1].said
    monkeypatch.undo()
    assert engine.between.catch_up() and not engine.between.problem
    assert "Since its fit the model has learnt from 1 event" in engine.answer(user="u3", k=8).trace.stages[-1].said


def test_nothing_is_learnt_between_fits_where_the_recipe_does_not_say_so():
    made = fitted()
    engine = Engine(DATA, made.model, learning=LearningConfig())
    clicked(engine, engine.answer(user="u3", k=8, draw=5), 3)
    assert engine.between.catch_up() and engine.scene.learnt is None and engine.between._thread is None
    assert "learnt" not in engine.answer(user="u3", k=8).trace.stages[-1].facts


def test_a_source_counts_what_happens_without_changing_what_is_served_from(engine: Engine):
    cascade, last = engine.cascade, replace(DATA.events).time.max()
    before = cascade.sources["lately"].retriever.counts(int(last + DAY))
    tell(engine, [{"user_id": f"v{i}", "item_id": "tea-1", "event_type": "click"} for i in range(20)])
    engine.between.catch_up()
    now = engine.cascade.sources["lately"].retriever.counts(engine.now())
    index = engine.item("tea-1")
    assert now[index] > 19 and engine.cascade is not cascade
    assert np.array_equal(cascade.sources["lately"].retriever.counts(int(last + DAY)), before)
