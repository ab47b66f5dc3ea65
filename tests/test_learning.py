"""The learning cycle: what is promoted is not worse, the pointer moves whole, a crash leaves the old model serving."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from itertools import combinations

import numpy as np
import pytest

from interplay import learning
from interplay.data.keyed import MISSING, key
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import load, snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, Unavailable, UnknownName
from interplay.fitted import Fitted
from interplay.learning import LearningConfig, install, newest, train
from interplay.recipe import Recipe
from interplay.serve.engine import Engine
from interplay.types import TEST, Dataset, Slates

COOKED = """
[source.taste]
system = "item-knn"
[learning]
metric = "recall@10"
slice = 0.2
[serving]
holdout = 0.5
"""


@pytest.fixture
def full(store: Store, people: Dataset) -> Store:
    """A store with a log and no model."""
    load(store, people)
    return store


def test_a_first_model_is_judged_against_popularity_and_goes_live(full, people):
    done = train(full, "item-knn")
    assert done.promoted and done.model is not None and done.model.live and done.verdict in ("better", "cannot tell")
    assert done.said.startswith(done.verdict) and "against popular" in done.said and done.metrics["ndcg@10"] > 0
    gap, low, high = done.model.facts["paired"]["ndcg@10"]
    assert low <= gap <= high and f"({gap:+.4f})" in done.said
    fitted = Fitted.load(full.models.path(full.models.live()))
    assert fitted.name == "item-knn" and fitted.manifest["data"]["n_events"] == len(people.events)
    assert len(fitted.dataset.events) == 0  # the log stays in the store


def test_a_model_that_is_worse_than_the_live_one_is_not_promoted(full):
    train(full, "item-knn")
    before = full.models.list()
    done = train(full, "popular", learning=LearningConfig(gate="better"))
    assert not done.promoted and done.model is None and full.models.list() == before
    assert "against model 1 on the same part" in done.said and full.models.strays() == []


def test_a_model_may_be_promoted_without_a_gate_and_rolled_back(full):
    train(full, "item-knn")
    train(full, "popular", learning=LearningConfig(gate="always"))
    assert full.models.live().name == "popular"
    assert full.models.rollback().version == 1 and full.models.live().name == "item-knn"
    with pytest.raises(BadData, match="promote a version by its number"):
        full.models.rollback()
    assert full.models.promote(2).live and full.models.rollback().version == 1
    assert [m["version"] for m in full.models.moves()] == [1, 2, 1, 2, 1]
    with pytest.raises(UnknownName, match="no model version 7; there are: 1, 2"):
        full.models.promote(7)


def test_training_again_without_a_name_repeats_what_is_live_on_all_there_is_now(full, people):
    train(full, "item-knn", settings={"k": 7})
    new = [Happened(event_id=f"n{i}", user_id=f"u{i % 40}", item_id=f"i{(i * 11 + i // 40) % 38}", event_type="click",
                    time=int(people.events.time.max()) + i) for i in range(300)]  # fmt: skip
    full.append(new)
    done = train(full)
    assert done.model is not None and done.model.name == "item-knn" and done.model.facts["settings"] == {"k": 7}
    assert done.model.last_row == len(people.events) + 300
    assert "against model 1 " in done.said and "on the same part" not in done.said  # model 1 has not seen the new slice


def test_too_little_that_is_new_decides_nothing(full):
    train(full, "item-knn")
    done = train(full, learning=LearningConfig(slice=0.005))
    assert done.verdict == "not judged" and not done.promoted and "20 are needed" in done.said


def test_a_recipe_says_how_it_is_trained_and_its_text_goes_with_the_model(full, tmp_path):
    (tmp_path / "shop.toml").write_text(COOKED)
    done = train(full, str(tmp_path / "shop.toml"))
    assert list(done.metrics) == ["recall@10"] and "newest 20%" in done.said
    (tmp_path / "shop.toml").unlink()
    kept = Fitted.load(full.models.path(full.models.live()))
    assert kept.recipe.serving.holdout == 0.5 and train(full).promoted
    with pytest.raises(BadSetting, match="expected 'not worse', 'better', 'always' or 'never'"):
        Recipe.parse(COOKED.replace('metric = "recall@10"', 'gate = "maybe"')).build()
    with pytest.raises(UnknownName, match="did you mean 'holdout'"):
        Recipe.parse(COOKED.replace("holdout", "hold_out")).build()


JUDGED = """
[source.words]
system = "bm25"
serves = "search"
[source.often]
system = "popular"
serves = "feed"
[learning]
gate = "always"
"""
RANKER = """
[ranker]
system = "aw-moe"
by = ["query.1", "query.2"]
tasks = { click = "" }
dim = 4
descent = { epochs = 2 }
"""


def test_a_ranker_learns_from_the_searches_that_were_shown_and_becomes_a_stage_of_the_next_answers(full, tmp_path):
    recipe = tmp_path / "shop.toml"
    recipe.write_text(JUDGED)
    train(full, str(recipe))
    engine = Engine.over(full)
    for n in range(60):  # two clicks on every page of a search or a feed
        answer = engine.answer(user=f"u{n % 50}", query=(None, "lamp", "salt tea")[n % 3], k=5)
        clicked = [str(engine.dataset.items[answer.items[place]]) for place in (n % 2, 3)]
        full.append([
            Happened(event_id=f"c{n}-{item}", user_id=f"u{n % 50}", item_id=item, event_type="click",
                     time=answer.at + 1, request_id=answer.request_id) for item in clicked
        ])  # fmt: skip
    recipe.write_text(JUDGED + RANKER)
    assert train(full, str(recipe)).promoted
    engine = Engine.over(full)
    ranker = engine.scene.cascade.ranking.ranker
    coder = ranker.learnt.coder
    assert coder.tasks == ("click",) and {"query.1", "query.2"} <= set(coder.fields)
    assert sorted(coder.keys["query.1"][0].tolist()) == sorted([MISSING, key("lamp"), key("tea")])
    assert [coder.fields[at] for at in ranker.learnt.net.driving] == ["query.1", "query.2"]
    for query in ("lamp", None):
        answer = engine.answer(user="u3", query=query, k=5)
        rank = next(stage for stage in answer.trace.stages if stage.name == "rank")
        assert "aw-moe" in rank.said and set(answer.trace.items[0]["predicted"]) == {"click"}
    said = []
    for query in ("lamp", "tea", "unheard"):
        asked = engine.request(user="u3", query=query, k=5, at=engine.now())
        slates = Slates(items=np.array([[1, 2, 3]], np.int32), scores=np.zeros((1, 3), np.float32))
        said.append(np.sort(ranker.rank(asked, slates, engine.scene.cascade.features).columns["p_click"]))
    assert all(np.abs(a - b).max() > 0 for a, b in combinations(said, 2)), "the words of a live search are read"


def test_only_one_training_goes_on_at_a_time(full):
    assert full.leases.take("train", "somebody", 60)
    with pytest.raises(BadSetting, match="another training of the tenant 'default' goes on"):
        train(full, "popular")
    full.leases.take("train", "somebody", 0)
    with pytest.raises(BadSetting, match="name a system or a recipe"):
        train(full)
    with pytest.raises(BadData, match="holds no events"):
        train(full.within("empty"), "popular")


def test_the_slice_is_the_newest_part_of_the_log(people):
    parts = newest(people, 0.1)
    time = people.events.time
    assert time[parts.part == TEST].min() > time[parts.part != TEST].max()
    assert abs((parts.part == TEST).mean() - 0.1) < 0.01


def test_people_who_are_erased_while_a_model_is_made_are_not_in_it(full, people, monkeypatch):
    fit = learning._fitted
    erased: list[str] = []

    def meanwhile(name, recipe, settings, data, run):
        if len(data.events) == len(people.events) and not erased:
            erased.append("u5")
            learning.erase(full, "u5")
        return fit(name, recipe, settings, data, run)

    monkeypatch.setattr(learning, "_fitted", meanwhile)
    train(full, "user-knn")
    model = Fitted.load(full.models.path(full.models.live()))
    assert erased and "u5" not in list(model.dataset.users)
    assert not model.model.people[[int(people.users.index(["u5"])[0])]].nnz


def test_old_versions_make_room_for_new_ones(full):
    always = LearningConfig(gate="always", keep=2)
    for _ in range(4):
        train(full, "popular", learning=always)
    assert [m.version for m in full.models.list()] == [3, 4]
    assert len(list(full.files("models", "x").parent.iterdir())) == 2


def test_installing_brings_a_fitted_model_and_its_data(store, people, tmp_path):
    fitted = Fitted.learn("item-knn", people)
    fitted.save(tmp_path / "model")
    assert install(store, Fitted.load(tmp_path / "model")).live
    np.testing.assert_array_equal(snapshot(store).dataset.events.item, people.events.item)
    with pytest.raises(BadData, match="items already; serve from it without naming a model"):
        install(store, fitted)


CRASHING = """
import os, signal, sys, time
from interplay import fitted, learning
from interplay.data.store import models, registry
from interplay.data.store.store import Store
from interplay.recipe import LearningConfig

learning.SILENT, learning.BEAT = 1.0, 0.2
POINTS = {
    "snapshot": (learning, "snapshot"), "fit": (learning, "_fitted"), "save": (fitted, "save_model"),
    "half of the files": (models, "_ids_frame"), "register": (registry.Registry, "register"),
    "in the transaction": (registry.Registry, "_move"), "registered": (registry.Registry, "prune"),
}

def deadly(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:  # a child for each point, so that what is imported is imported once
    pid = os.fork()
    if not pid:
        setattr(*POINTS[line.strip()], deadly)
        time.sleep(1.1)  # the lease of the one before
        learning.train(Store.open(sys.argv[1]), "item-knn", learning=LearningConfig(gate="always"))
        os._exit(0)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
POINTS = ("snapshot", "fit", "save", "half of the files", "register", "in the transaction", "registered")


def test_a_kill_at_any_point_of_a_training_leaves_a_model_that_serves_and_the_next_one_works(full, place):
    train(full, "popular", learning=LearningConfig(gate="always"))
    before = full.models.list()
    with subprocess.Popen(
        [sys.executable, "-c", CRASHING, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdin is not None and run.stdout is not None
        for point in POINTS:
            run.stdin.write(f"{point}\n")
            run.stdin.flush()
            assert int(run.stdout.readline()) == signal.SIGKILL, point
            live = full.models.live()
            assert live is not None and Fitted.load(full.models.path(live)).recommend(["u1"], k=3).height == 3
            if point == "registered":
                assert live.name == "item-knn" and [m["version"] for m in full.models.moves()] == [1, 2]
            else:
                assert full.models.list() == before and [m["version"] for m in full.models.moves()] == [1], point
            if point == "half of the files":
                assert any(p.name.startswith(".item-knn-") for p in full.models.strays())
        run.stdin.close()
    time.sleep(1.1)  # the killed one's lease
    assert train(full, "item-knn", learning=LearningConfig(gate="always")).promoted


def test_a_training_that_was_killed_holds_up_the_next_one_for_a_minute_at_most(full, monkeypatch):
    at = 1_700_000_000_000_000
    monkeypatch.setattr("interplay.data.store.leases.now", lambda: at)
    assert full.leases.take("train", "dead", learning.SILENT) and learning.SILENT == 60
    with pytest.raises(BadSetting, match="is given up 60 seconds after its last sign of life"):
        train(full, "popular", learning=LearningConfig(gate="always"))
    at += 60_000_001
    assert train(full, "popular", learning=LearningConfig(gate="always")).promoted


def test_a_training_keeps_its_lease_as_long_as_it_lives_and_stops_where_it_lost_it(full, monkeypatch):
    monkeypatch.setattr(learning, "SILENT", 0.5)
    monkeypatch.setattr(learning, "BEAT", 0.1)
    fit, asked = learning._fitted, []

    def slow(*args):
        time.sleep(1.0)
        asked.append(full.leases.take("train", "another", 60))
        return fit(*args)

    monkeypatch.setattr(learning, "_fitted", slow)
    always = LearningConfig(gate="always")
    assert train(full, "popular", learning=always).promoted and asked == [False]
    assert full.leases.take("train", "another", 0), "the lease was given back"

    def asleep(*args):  # as if the machine had slept: the lease ran out and somebody else took it
        with full.database.writing() as connection:
            connection.exec_driver_sql("UPDATE leases SET holder = 'another'")
        return fit(*args)

    monkeypatch.setattr(learning, "_fitted", asleep)
    monkeypatch.setattr(learning, "SILENT", 60.0)
    with full.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM leases")
    with pytest.raises(BadSetting, match="another training of the tenant 'default' goes on"):
        train(full, "item-knn", learning=always)
    assert full.models.live().name == "popular" and len(full.models.list()) == 1
    assert not full.leases.take("train", "third", 1), "what another holds is not given back by whoever lost it"


class Turns:
    """A clock that only a schedule's waiting moves, and a command that only counts."""

    def __init__(self, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.at, self.waited, self.ran = turns, 1_700_000_000_000_000, [], []
        self.status = 0
        monkeypatch.setattr("interplay.data.store.leases.now", lambda: self.at)

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.at += round(seconds * 1e6)
        self.left -= 1
        return self.left < 0

    def run(self, command, **more):
        self.ran.append((command, more))
        return subprocess.CompletedProcess(command, self.status)


def test_a_schedule_trains_at_every_turn_and_names_no_password_in_its_command(full, monkeypatch):
    turns = Turns(3, monkeypatch)
    where = "postgresql://ada:secret@host/shop"
    learning.Schedule(full, where, 24.0, wait=turns.wait, run=turns.run).go_on()
    assert turns.waited == [24 * 3600.0] * 4 and len(turns.ran) == 3
    command, more = turns.ran[0]
    assert command[1:] == ["-m", "interplay.cli", "train", "--tenant", "default"]
    assert more["env"]["INTERPLAY_DATABASE_URL"] == where and "secret" not in " ".join(command)


def test_replicas_share_one_schedule(full, monkeypatch):
    turns = Turns(0, monkeypatch)
    one, two = (learning.Schedule(full, "x", 2.0, wait=lambda _: turns.left < 0, run=turns.run) for _ in range(2))

    def turn(schedule: learning.Schedule) -> int:
        asked = iter([False, True])
        schedule.wait = lambda _: next(asked)
        before = len(turns.ran)
        schedule.go_on()
        return len(turns.ran) - before

    assert (turn(one), turn(two)) == (1, 0)
    turns.at += 2 * 3_600_000_000
    assert (turn(two), turn(one)) == (1, 0)


def test_a_schedule_outlives_a_database_that_is_down_and_a_training_that_fails(full, monkeypatch, caplog):
    turns = Turns(2, monkeypatch)
    turns.status = 1
    lease, broken = full.leases.take, [True]

    def sometimes(*args):
        if broken.pop() if broken else False:
            raise Unavailable("the database does not answer")
        return lease(*args)

    monkeypatch.setattr(full.leases, "take", sometimes)
    learning.Schedule(full, "x", 1.0, wait=turns.wait, run=turns.run).go_on()
    assert len(turns.ran) == 1 and "was left out" in caplog.text and "ended with status 1" in caplog.text


def test_a_recipe_sets_the_schedule_and_its_command_trains(people, tmp_path):
    full = Store.open(tmp_path / "shop.db")
    load(full, people)
    (tmp_path / "shop.toml").write_text(COOKED.replace("slice = 0.2", 'slice = 0.2\nevery = 12\ngate = "always"'))
    train(full, str(tmp_path / "shop.toml"))
    assert Engine.over(full).scene.learning.every == 12
    schedule = learning.Schedule(full, str(tmp_path / "shop.db"), 12)
    done = schedule.run(schedule.command, env=schedule.environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0 and "model 2 (shop.toml) is live" in done.stdout, done.stderr
    full.close()


def test_promoting_is_seen_whole_by_everybody(full):
    for _ in range(2):
        train(full, "popular", learning=LearningConfig(gate="always", keep=9))
    seen: list[object] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            live = full.models.live()
            seen.append(None if live is None else (live.version, full.head().live in (1, 2)))

    watcher = threading.Thread(target=look)
    watcher.start()
    for i in range(40):
        full.models.promote(1 + i % 2)
    ended.set()
    watcher.join()
    assert set(seen) <= {(1, True), (2, True)} and len(full.models.moves()) == 42
