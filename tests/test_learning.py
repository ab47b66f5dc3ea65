"""The learning cycle: what is promoted is not worse, the pointer moves whole, a crash leaves the old model serving."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from interplay import learning
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import load, snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.fitted import Fitted
from interplay.learning import LearningConfig, install, newest, train
from interplay.recipe import Recipe
from interplay.types import TEST, Dataset

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


def test_only_one_training_goes_on_at_a_time(full):
    assert full.lease("train", "somebody", 60)
    with pytest.raises(BadSetting, match="another training of the tenant 'default' goes on"):
        train(full, "popular")
    full.lease("train", "somebody", 0)
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

    def meanwhile(name, recipe, settings, data, seed, progress):
        if len(data.events) == len(people.events) and not erased:
            erased.append("u5")
            learning.erase(full, "u5")
        return fit(name, recipe, settings, data, seed, progress)

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
import sys
from interplay import learning
from interplay.data.store.store import Store
from interplay.recipe import LearningConfig

store = Store.open(sys.argv[1])
print("begun", flush=True)
learning.train(store, "item-knn", learning=LearningConfig(gate="always"), seed=int(sys.argv[2]))
"""


def test_a_crash_at_any_moment_leaves_a_model_that_serves(full, place):
    train(full, "popular", learning=LearningConfig(gate="always"))
    for n in range(3):
        with subprocess.Popen([sys.executable, "-c", CRASHING, place, str(n)], stdout=subprocess.PIPE) as run:
            assert run.stdout is not None and run.stdout.readline()
            time.sleep(0.02 + 0.15 * n)
            os.kill(run.pid, signal.SIGKILL)
        live = full.models.live()
        assert live is not None and Fitted.load(full.models.path(live)).name in ("popular", "item-knn")
        with full.database.writing() as connection:  # a dead training's lease runs out by itself, in hours
            connection.exec_driver_sql("DELETE FROM leases")
    assert train(full, "item-knn", learning=LearningConfig(gate="always")).promoted


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
