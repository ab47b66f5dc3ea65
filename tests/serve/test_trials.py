"""Experiments in the engine: two models serve one log, and what came of it is read from that log."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fastapi.testclient import TestClient
from serving import shop

from interplay import learning
from interplay.data.store.dumping import dump
from interplay.data.store.experiments import ArmPlan, Experiment, Guardrail
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import impressions
from interplay.data.store.snapshot import load
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.evaluate.experiments import assigned
from interplay.fitted import Fitted
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.serve.trials import results, shares
from interplay.types import Run

DATA = shop(60, 40)
PLAN = {"name": "often-or-of-late", "arms": [{"name": "old"}, {"name": "new", "model": 2}]}


@pytest.fixture
def sold(tmp_path) -> Store:
    """A store with the shop's log and two models: `popular` serves, `item-knn` is there."""
    store = Store.open(tmp_path / "shop.db")
    load(store, DATA)
    for name in ("popular", "item-knn"):
        fitted = Fitted.learn(name, DATA, run=Run(seed=0))
        learning.kept(store, fitted, learning.snapshot(store), {}, promote=None)
    store.models.promote(1)
    yield store
    store.close()


@pytest.fixture
def engine(sold: Store) -> Engine:
    return Engine.over(sold)


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return TestClient(create_app(engine))


def begun(engine: Engine, **more) -> Experiment:
    arms = (ArmPlan(name="old"), ArmPlan(name="new", model=2))
    engine.store.experiments.create(Experiment(name="e", arms=arms, **more))
    plan = engine.store.experiments.start("e", at=engine.now())
    engine.trials.look(now=True)
    return plan


def clicks(engine: Engine, answer, chosen) -> None:
    engine.store.append([
        Happened(event_id=f"{answer.request_id}-{i}", user_id=answer.user, item_id=engine.dataset.items[i],
                 event_type="click", time=answer.at + 1, request_id=answer.request_id)
        for i in chosen
    ])  # fmt: skip


def test_two_models_serve_one_log_each_to_its_own_people(engine):
    plan = begun(engine)
    alone = {version: Fitted.load(engine.store.models.path(engine.store.models.get(version))) for version in (1, 2)}
    lists = {1: set(), 2: set()}
    for user in DATA.users:
        answer = engine.answer(user=user, k=5)
        arm = assigned("e", str(user), plan.shares)
        model = {"old": 1, "new": 2}[arm]
        expected = alone[model].model.retrieve(engine.request(user=user, k=5), 5).items[0].tolist()
        assert answer.items == expected, (user, arm)
        lists[model].add(tuple(answer.items))
        assert arm in answer.trace.stages[0].said and answer.trace.stages[0].facts["experiment"] == "e"
    kept = impressions(engine.store)
    assert Counter(kept["policy"].to_list()).keys() == {"e:old", "e:new"} and lists[1] and lists[2]
    assert kept["propensity"].to_list() == [1.0] * len(kept)


def test_replicas_agree_and_strangers_take_no_part(engine, sold):
    begun(engine)
    other = Engine.over(sold)
    for user in list(DATA.users)[:10]:
        assert engine.answer(user=user, k=5, draw=1).items == other.answer(user=user, k=5, draw=1).items
    engine.answer(k=5)
    engine.answer(user="u1", history=["lamp-0"], k=5)
    assert set(impressions(engine.store)["policy"]) > {"popular"}


def test_results_are_read_from_the_log_and_a_true_difference_is_found(engine):
    plan = begun(engine, guardrails=(Guardrail(event="less", margin=0.2, higher_is_better=False),))
    rng = np.random.default_rng(0)
    for i in range(300):
        answer = engine.answer(user=f"visitor-{i}", k=5)
        rate = 0.5 if assigned("e", f"visitor-{i}", plan.shares) == "new" else 0.05
        clicks(engine, answer, [item for item in answer.items if rng.random() < rate])
    told = results(engine.store, plan)
    assert [a["persons"] for a in told["arms"]] == [a["pages"] for a in told["arms"]]
    assert sum(a["persons"] for a in told["arms"]) == 300 and told["moved"] == 0 and told["sample_ratio"] > 0.001
    assert told["gaps"][0]["verdict"] == "better" and "new is better than old" in told["said"]
    low, high = told["gaps"][0]["interval"]
    assert low < 2.25 < high
    assert told["guardrails"][0]["state"] == "held"
    then = [point["gaps"][0] for point in told["course"]]
    assert then[-1] == told["gaps"][0] and then[0]["persons"] < then[20]["persons"] < 300
    wide = [g["interval"][1] - g["interval"][0] for g in then if g["interval"]]
    assert wide[-1] < wide[len(wide) // 2] < wide[0]
    assert told["may_stop"] and "whoever looks" in told["stop_said"] and told["needed"] is None


def test_what_cannot_be_told_apart_says_about_how_many_people_it_takes(engine):
    plan = begun(engine)
    rng = np.random.default_rng(1)
    for i in range(120):
        answer = engine.answer(user=f"visitor-{i}", k=5)
        rate = 0.3 if assigned("e", f"visitor-{i}", plan.shares) == "new" else 0.25
        clicks(engine, answer, [item for item in answer.items if rng.random() < rate])
    told = results(engine.store, plan)
    assert told["gaps"][0]["verdict"] == "cannot tell" and not told["may_stop"]
    assert 120 < told["needed"] < 1_000_000 and f"{told['needed']:,} people" in told["stop_said"]
    assert "does not run" in results(engine.store, engine.store.experiments.stop("e", at=engine.now()))["stop_said"]


def test_clicks_that_were_taken_back_or_made_elsewhere_do_not_count(engine):
    plan = begun(engine)
    answer = engine.answer(user="visitor", k=5)
    clicks(engine, answer, answer.items[:2])
    engine.store.append([
        Happened(event_id="undo", user_id="visitor", event_type="undo", time=answer.at + 2,
                 undoes=f"{answer.request_id}-{answer.items[0]}"),
        Happened(event_id="else", user_id="visitor", item_id="lamp-0", event_type="click", time=answer.at + 2),
    ])  # fmt: skip
    assert sum(a["rewards"] for a in results(engine.store, plan)["arms"]) == 1


def test_interleaved_pages_hold_both_models_items_with_exact_chances(engine):
    plan = begun(engine, kind="interleave")
    wins = 0
    for i in range(80):
        answer = engine.answer(user=f"visitor-{i}", history=None, k=6)
        assert len(set(answer.items)) == 6
        shown = impressions(engine.store, after=answer.at - 1).filter(request_id=answer.request_id)
        team = shown["policy"].to_list()
        assert {p.partition(":")[2] for p in team} <= {"old", "new"} and abs(team.count("e:old") - 3) <= 3
        assert all(0 < p <= 1 for p in shown["propensity"].to_list())
        chosen = [item for item, p in zip(answer.items, team, strict=True) if p == "e:new"]
        wins += len(chosen)
        clicks(engine, answer, chosen)
    told = results(engine.store, plan)
    assert told["arms"][1]["rewards"] == wins and told["arms"][0]["rewards"] == 0
    assert told["gaps"][0]["verdict"] == "better" and told["course"][-1]["gaps"] == told["gaps"]


def test_an_arm_whose_model_is_gone_is_answered_by_the_live_one_and_not_counted(engine):
    begun(engine)
    path = engine.store.models.path(engine.store.models.get(2))
    engine.trials._scenes.clear()
    (path / "manifest.json").unlink()
    for user in DATA.users:
        assert engine.answer(user=user, k=3).items
    assert set(impressions(engine.store)["policy"]) == {"e:old", "popular"}


def test_the_catalogue_moves_on_under_an_arm(engine):
    plan = begun(engine)
    user = next(u for u in DATA.users if assigned("e", str(u), plan.shares) == "new")
    first = engine.answer(user=user, k=5)
    engine.store.delete_items([engine.dataset.items[first.items[0]]])
    assert first.items[0] not in engine.answer(user=user, k=5).items


def test_moving_shares_moves_people_who_are_then_left_out(engine):
    plan = begun(engine)
    for i in range(60):
        engine.answer(user=f"visitor-{i}", k=2)
    plan = engine.store.experiments.move("e", {"old": 0.1, "new": 0.9}, at=engine.now())
    engine.trials.look(now=True)
    for i in range(60):
        engine.answer(user=f"visitor-{i}", k=2)
    told = results(engine.store, plan)
    assert 10 < told["moved"] < 40 and told["sample_ratio"] is None
    assert [move["shares"] for move in plan.moves] == [{"old": 0.5, "new": 0.5}, {"old": 0.1, "new": 0.9}]
    assert plan.moves[0]["at"] == plan.started_at
    assert sum(a["persons"] for a in told["arms"]) == 60 - told["moved"]


def test_plans_that_cannot_be_are_refused(sold):
    two = (ArmPlan(name="a"), ArmPlan(name="b", model=2))
    for more, said in (
        ({"name": "no spaces"}, "no name"), ({"arms": two[:1]}, "two or more"), ({"traffic": 0.0}, "of the people"),
        ({"arms": (ArmPlan(name="a", share=0.9), two[1])}, "sum to 1"), ({"kind": "mixed"}, "expected one of"),
        ({"kind": "interleave", "arms": (*two, ArmPlan(name="c"))}, "two"),
        ({"guardrails": (Guardrail(event="less", margin=-1.0),)}, "margin"),
    ):  # fmt: skip
        with pytest.raises(BadSetting, match=said):
            Experiment(**{"name": "e", "arms": two, **more})
    store = sold.experiments
    with pytest.raises(BadSetting, match="same model"):
        store.create(Experiment(name="e", arms=(ArmPlan(name="a"), ArmPlan(name="b"))))
    with pytest.raises(UnknownName, match="no model version 9"):
        store.create(Experiment(name="e", arms=(ArmPlan(name="a"), ArmPlan(name="b", model=9))))
    store.create(Experiment(name="e", arms=two))
    with pytest.raises(BadData, match="already"):
        store.create(Experiment(name="e", arms=two))
    with pytest.raises(BadSetting, match="is made"):
        store.stop("e", at=1)
    store.start("e", at=1)
    store.create(Experiment(name="f", arms=two))
    with pytest.raises(BadSetting, match="runs on the same surface"):
        store.start("f", at=1)
    store.stop("e", at=2)
    with pytest.raises(BadSetting, match="never started"):
        store.start("e", at=3)


def test_experiments_are_dumped_and_come_back(sold, tmp_path):
    sold.experiments.create(Experiment(name="e", arms=(ArmPlan(name="a"), ArmPlan(name="b", model=2))))
    assert dump(sold, tmp_path / "all.zip")["experiments"] == 1
    other = Store.open(tmp_path / "other.db")
    learning.restore(other, tmp_path / "all.zip")
    assert other.experiments.list() == sold.experiments.list()
    other.close()


def test_shares_that_are_left_to_chance_go_to_the_arm_that_is_likely_best(client, engine):
    plan = begun(engine)
    rng = np.random.default_rng(2)
    for i in range(160):
        answer = engine.answer(user=f"visitor-{i}", k=5)
        rate = 0.5 if assigned("e", f"visitor-{i}", plan.shares) == "new" else 0.05
        clicks(engine, answer, [item for item in answer.items if rng.random() < rate])
    assert shares(engine.store, plan) == pytest.approx({"old": 0.05, "new": 0.95}, abs=1e-3)
    told = client.post("/v1/experiments/e/shares", json={"floor": 0.2})
    assert told.status_code == 200, told.text
    now = {arm["name"]: arm["share"] for arm in told.json()["experiment"]["arms"]}
    assert now == pytest.approx({"old": 0.2, "new": 0.8}, abs=1e-3)
    moved = engine.store.experiments.get("e")
    assert assigned("e", "anybody", moved.shares) in now and moved.moves[-1]["shares"] == now


def test_shares_stay_even_while_arms_cannot_be_told_apart(engine):
    plan = begun(engine)
    rng = np.random.default_rng(3)
    for i in range(160):
        answer = engine.answer(user=f"visitor-{i}", k=5)
        clicks(engine, answer, [item for item in answer.items if rng.random() < 0.3])
    told = shares(engine.store, plan)
    assert sum(told.values()) == pytest.approx(1.0) and min(told.values()) > 0.05


def test_over_http_an_experiment_is_planned_started_read_and_stopped(client, engine):
    made = client.post("/v1/experiments", json=PLAN)
    assert made.status_code == 201 and made.json()["experiment"]["state"] == "made"
    assert client.post("/v1/experiments", json=PLAN).status_code == 422
    path = "/v1/experiments/often-or-of-late"
    assert "was not started" in client.get(path).json()["said"]
    assert client.post(f"{path}/start").json()["experiment"]["state"] == "running"
    for i in range(20):
        assert client.get("/v1/feed", params={"user_id": f"v{i}"}).status_code == 200
    engine.store.database.flush()
    told = client.get(path).json()
    assert sum(a["persons"] for a in told["arms"]) == 20 and "50 in each are needed" in told["said"]
    assert told["gaps"][0]["verdict"] == "cannot tell"
    assert client.post(f"{path}/shares", json={"shares": {"old": 0.3, "new": 0.7}}).status_code == 200
    assert "50 in each" in client.post(f"{path}/shares", json={}).text
    assert client.post(f"{path}/stop").json()["experiment"]["stopped_at"] is not None
    assert [e["state"] for e in client.get("/v1/experiments").json()["experiments"]] == ["stopped"]
    missing = client.get("/v1/experiments/often")
    assert missing.status_code == 404 and "often-or-of-late" in missing.text
    client.get("/v1/feed", params={"user_id": "v0"})
    engine.store.database.flush()
    assert impressions(engine.store)["policy"].to_list()[-1] == "popular"
