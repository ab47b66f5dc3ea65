"""What another recipe would have earned, asked over HTTP: worked out beside the service, told the truth or refused."""

from __future__ import annotations

import time

import pytest
from composed import SMALL
from fastapi.testclient import TestClient
from serving import built, shop

from interplay import learning
from interplay.client import Client
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errands import Errands
from interplay.errors import BadSetting, Undecidable
from interplay.estimating import Wanted, estimate
from interplay.fitted import Fitted
from interplay.recipe import LearningConfig, Recipe
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.serve.feed import feed
from interplay.traffic import Traffic, Window
from interplay.types import Arrangement, Run
from logged import RECIPE, fill, small, truth

BOLDER = Recipe.parse(RECIPE, name="bolder.toml")


def served(path, **log) -> Client:
    """A service over a market's log and a model that never saw it."""
    store = fill(Store.open(path), **log)
    learning.kept(
        store, Fitted.learn("popular", small().dataset, run=Run()), snapshot(store), {}, promote="it is there"
    )
    return Client(http=TestClient(create_app(Engine.over(store))))


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Client:
    return served(tmp_path_factory.mktemp("store") / "shop.db")


def ended(client: Client, asked: dict) -> dict:
    """An estimate when it has come to its end."""
    for _ in range(3000):
        told = client.estimated(asked["estimate"]["errand_id"])["estimate"]
        if told["ended_at"] is not None:
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def test_an_operator_is_told_the_truth_about_two_recipes(client):
    engine = client.http.app.state.engine
    asked = client.estimate(["popular", {"name": "bolder.toml", "text": RECIPE}])
    assert asked["estimate"]["state"] == "waiting" and asked["estimate"]["answers"] == []
    with pytest.raises(Exception, match="another estimate goes on"):
        client.estimate(["popular"])
    assert client.recommend("p-00001", k=3)["items"], "the service answers meanwhile"
    told = ended(client, asked)
    assert told["state"] == "done", told
    judged = Traffic.of(engine.store, snapshot(engine.store, shown=True), "click").halves()[1]
    for answer in told["answers"]:
        wanted = Wanted(name="popular") if answer["policy"] == "popular" else Wanted(name="bolder.toml", recipe=BOLDER)
        low, high = answer["interval"]
        assert low < truth(engine.store, wanted, answer["places"], judged) < high, answer["said"]
        assert answer["estimates"][0]["value"] == answer["value"] and answer["support"][0]["holds"]
    assert [answer["chosen"] for answer in told["answers"]] == [True, False]
    assert client.estimates()["estimates"][0]["errand_id"] == told["errand_id"]
    client.stop_estimate(told["errand_id"])
    with pytest.raises(Exception, match="no estimate called"):
        client.estimated(told["errand_id"])


def test_a_log_without_propensities_is_refused_with_what_is_missing(tmp_path):
    client = served(tmp_path / "quiet.db", known=False, policy="quiet-7")
    errands = Errands(client.http.app.state.engine.store)
    kept = errands.put("estimate", {"policies": [{"name": "popular"}]})
    assert errands.run(kept.errand_id).state == "refused"
    told = client.estimated(kept.errand_id)["estimate"]
    assert told["state"] == "refused" and "propensities are missing for quiet-7" in told["said"]
    assert "[explore]" in told["said"] and told["answers"] == []


def test_what_cannot_be_asked_is_said_at_once(client):
    for policies, more, said in (
        ([{"name": "../etc/feed.toml"}], {}, "is a path"), (["other.toml"], {}, "no recipe called"),
        (["populer"], {}, "popular"), ([{"name": "x", "text": "sources = ["}], {}, "not TOML"),
        ([{"text": "[source.a]\nsystem = 'populer'"}], {}, "popular"), ([{"model": 7}], {}, "no model version 7"),
        (["popular"], {"window": {"since": 9, "until": 8}}, "ends before"), ([], {}, "policies"),
        (["popular"], {"window": {"share": 2}}, "share"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=said):
            client.estimate(policies, **more)
    assert client.estimates()["estimates"] == []


def test_a_service_in_memory_says_that_it_cannot_be_asked():
    client = Client(http=TestClient(create_app(built(shop(40, 12)))))
    for ask in (lambda: client.estimate(["popular"]), lambda: client.learn("popular")):
        with pytest.raises(Exception, match="serve from a store"):
            ask()


def test_a_version_that_has_learnt_from_the_pages_is_judged_by_its_recipe_fitted_anew(client):
    store = client.http.app.state.engine.store
    model = learning.kept(store, Fitted.cooked(BOLDER, snapshot(store).dataset), snapshot(store), {}, promote=None)
    errands = Errands(store)
    told = errands.run(errands.put("estimate", {"policies": [{"model": model.version}]}).errand_id)
    assert told.state == "done" and told.answers[0]["policy"] == f"model {model.version}"
    assert any("fitted anew" in note for note in told.answers[0]["notes"])


def test_a_version_is_learnt_without_going_live_and_may_be_an_arm(tmp_path):
    store = Store.open(tmp_path / "shop.db")
    learning.load(store, shop(60, 40))
    errands = Errands(store)
    learning.train(store, "popular")
    done = errands.run(
        errands.put("train", {"name": "alike.toml", "text": "[source.a]\nsystem = 'item-knn'"}).errand_id
    )
    assert done.state == "done" and done.answers[0] == {"version": 2, "name": "alike.toml", "live": False}
    assert store.models.live().version == 1 and "is kept" in done.said
    client = Client(http=TestClient(create_app(Engine.over(store))))
    client.plan_experiment("e", [{"name": "now"}, {"name": "alike", "model": 2}])
    learning.train(store, "popular", learning=LearningConfig(gate="never"))
    assert store.models.prune(1) == [], "arms of an experiment are kept"
    assert client.models()["trainings"][0]["state"] == "done"
    assert "feed.toml" in [choice["name"] for choice in client.models()["choices"]]
    client.start_experiment("e")
    with pytest.raises(Exception, match="no arm 'other'"):
        client.decide_experiment("e", "other")
    assert client.decide_experiment("e", "alike")["experiment"]["state"] == "stopped"
    assert store.models.live().version == 2
    with pytest.raises(BadSetting, match="only one that runs"):
        store.experiments.stop("e", at=1)


def test_an_errand_whose_process_is_gone_has_failed_and_one_that_was_dropped_leaves_nothing(client, monkeypatch):
    errands = Errands(client.http.app.state.engine.store)
    kept = errands.put("estimate", {"policies": [{"name": "popular"}]})
    monkeypatch.setattr("interplay.errands.SILENT", -1.0)
    assert errands.get(kept.errand_id).state == "failed" and "ask again" in errands.get(kept.errand_id).said
    errands.drop(kept.errand_id)
    errands.fail(kept.errand_id, "too late")
    assert kept.errand_id not in [e.errand_id for e in errands.list()]


COMPOSED = """
[source.popular]
system = "popular"
[source.trending]
system = "trending"
[page]
variety = "mmr"
likeness = "categories"
[explore]
system = "epsilon-greedy"
epsilon = 0.5
pool = 12
places = [4]
[arranger]
system = "pagellm"
"""


def test_pages_that_an_arranger_composed_can_be_asked_again_and_what_was_never_tried_is_refused(tmp_path):
    composing = {"arranger": SMALL}
    store = Store.open()
    learning.install(store, Fitted.cooked(Recipe.parse(COMPOSED), shop(), settings=composing, run=Run()))
    engine = Engine.over(store)
    pages = [feed(engine, f"u{draw}", draw=draw) for draw in range(10)]  # what the browser shows
    assert all(page["composed"]["by"] == "policy" for page in pages)
    leads = [engine.held(page["request_id"]) for page in pages]
    for draw in range(10, 105):  # and how each of them begins
        leads.append(engine.answer(user=f"u{draw % 59}", k=12, draw=draw, arrangement=Arrangement(rails=True)))
    store.append([
        Happened(event_id=f"e{i}", user_id=lead.user, item_id=engine.dataset.items[lead.items[i % 12]],
                 event_type="click", time=engine.now(), request_id=lead.request_id)
        for i, lead in enumerate(leads)
    ])  # fmt: skip
    told = estimate(store, [Wanted(name="itself", version=1)], window=Window(share=1.0))[0]
    assert told.pages == 105 and told.places == told.width == 12  # the first answer of each page, not its shelves
    assert told.effective == pytest.approx(105) and told.value == pytest.approx(told.logged) and told.logged == 1.0
    plain = Fitted.cooked(Recipe.parse(COMPOSED.split("[arranger]")[0]), shop(), run=Run())
    plain.save(tmp_path / "plain")
    with pytest.raises(Undecidable, match="certain of 100% of what they showed there"):
        estimate(store, [str(tmp_path / "plain")], window=Window(share=1.0))
