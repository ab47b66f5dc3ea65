"""Rankers from a folder to a figure, and as a stage of a recipe."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from interplay.cli import app
from interplay.data.features import FeatureView
from interplay.data.tables import from_frames
from interplay.errors import BadData, BadSetting, Leakage, Mismatch, UnknownName
from interplay.experiment import evaluate
from interplay.fitted import Fitted, built
from interplay.metrics import auc
from interplay.protocols.predicting import again
from interplay.ranking import divide, evaluate_ranker, fit_ranker, judge_ranker, milliseconds, ranks
from interplay.recipe import Recipe
from interplay.types import TEST, Dataset, Events, Ids, Requests, Run, Slates
from small import crowd
from test_contract import labelled

QUICK = {"layers": "16", "descent": {"epochs": 3, "batch": 64}}


def test_parts_are_the_datas_own_or_by_time_or_drawn():
    data = labelled()
    assert divide(data).rule == "given" and divide(data).sizes == {"train": 180, "valid": 60, "test": 60}
    table = data.tables["examples"].drop("split")
    timed = divide(from_frames("x", tables={"examples": table}))
    at = table["timestamp"].to_numpy()
    assert timed.rule == "time" and at[timed.part == TEST].min() > at[timed.part != TEST].max()
    drawn = divide(from_frames("x", tables={"examples": table.drop("timestamp")}), seed=3)
    assert drawn.rule == "random" and drawn.hash == divide(drawn.dataset, "random", seed=3).hash
    two = data.tables["examples"].with_columns(split=pl.col("split").replace("valid", "train"))
    assert "drawn" in divide(from_frames("x", tables={"examples": two})).notes[0]
    with pytest.raises(BadData, match="have no test rows"):
        divide(from_frames("x", tables={"examples": two.filter(pl.col("split") == "train")}))


def test_no_test_row_reaches_the_fit_and_the_test_part_is_read_once():
    division = divide(labelled())
    assert set(division.fitted().tables["examples"]["split"]) == {"train", "valid"}
    fitted = fit_ranker("dnn", division, settings=QUICK)
    judge_ranker(fitted, division)
    with pytest.raises(Leakage, match="has read test part"):
        judge_ranker(fitted, division)


def test_epochs_chosen_on_validation_are_learnt_again_on_both_parts():
    division = divide(labelled())
    fitted = fit_ranker("dnn", division, on="train+valid", settings=QUICK)
    assert fitted.manifest["fitted"]["epochs"] == fitted.manifest["choice"]["best_epoch"]


def test_a_log_becomes_examples_and_its_own_split_their_parts():
    data = crowd()
    division = divide(data)
    fitted = fit_ranker("lookup", division)
    judged = judge_ranker(fitted, division)
    assert division.rule == "time" and judged.mean()["auc"] > 0.5
    assert "drawn items" in judged.protocol["examples"] and judged.group is not None


def test_from_the_command_line_with_nothing_but_examples(tmp_path):
    folder = tmp_path / "clicks"
    folder.mkdir()
    labelled().tables["examples"].write_parquet(folder / "examples.parquet")
    run, model = CliRunner(), str(tmp_path / "model")
    common = ["--data", str(folder)]
    told = run.invoke(app, ["fit", "fm", *common, "--out", model, "--set", "descent.epochs=2"])
    assert told.exit_code == 0 and "fm fitted on clicks (300 examples" in told.output
    told = run.invoke(app, ["evaluate", model, *common, "--metrics", "auc,logloss,gauc,ece"])
    assert told.exit_code == 0 and "auc:click" in told.output and "ece:buy" in told.output
    other = labelled(seed=1)
    with pytest.raises(Mismatch, match="Judge it on the data it was fitted on"):
        evaluate_ranker(Fitted.load(model), other)


def shop() -> Dataset:
    """A log in which whatever is drink is bought and whatever is ware only looked at."""
    rng = np.random.default_rng(0)
    n, names = 900, [f"t{i}" for i in range(40)]
    item = rng.integers(0, 40, n)
    log = {
        "user_id": [f"u{u}" for u in rng.integers(0, 30, n)], "item_id": [names[i] for i in item],
        "timestamp": 1_700_000_000_000_000 + np.arange(n) * 60_000_000, "value": np.where(item % 2, 5.0, 1.0),
    }  # fmt: skip
    items = {"item_id": names, "kind": ["drink" if i % 2 else "ware" for i in range(40)]}
    return from_frames("shop", log, items)


RECIPE = """
[source.popular]
system = "popular"
[ranker]
system = "dnn"
weights = {like = 2.0}
layers = [16]
descent = {epochs = 8, batch = 256, rate = 0.01}
"""


def test_a_recipe_ranks_by_what_it_predicts_and_the_trace_says_so(tmp_path):
    data = shop()
    fitted = Fitted.cooked(Recipe.parse(RECIPE), data, run=Run(seed=1))
    requests = Requests.of(data, np.array([0, -1]), at=np.full(2, int(data.events.time.max()) + 1), k=5)
    reply = fitted.model.respond(requests)
    stage = next(s for s in reply.trace[0].stages if s.name == "rank")
    assert stage.facts["ranker"] == "dnn" and stage.facts["sum"] == {"like": 2.0} and "2 x like" in stage.said
    shown = reply.trace[1].items
    assert [row["predicted"]["like"] for row in shown] == sorted((r["predicted"]["like"] for r in shown), reverse=True)
    kinds = data.catalogue["kind"].to_list()
    assert {kinds[row["item"]] for row in shown} == {"drink"}
    fitted.save(tmp_path / "model")
    assert Fitted.load(tmp_path / "model").model.respond(requests).slates.equals(reply.slates)


def test_the_trace_names_the_crosses_that_moved_a_score():
    recipe = RECIPE.replace('"dnn"', '"optinter-m"').replace("[ranker]", "[ranker]\nexplained = 2")
    data = shop()
    fitted = Fitted.cooked(Recipe.parse(recipe), data, run=Run(seed=1))
    requests = Requests.of(data, np.array([0]), at=np.full(1, int(data.events.time.max()) + 1), k=3)
    for row in fitted.model.respond(requests).trace[0].items:
        assert len(row["crosses"]) == 2 and "remembered from" in row["crosses"][0]["said"]


def moods() -> Dataset:
    """Whether a thing is liked is one number of its vector; each is met about once, and the last 40 never."""
    rng, n, known = np.random.default_rng(3), 1200, 1000
    mood = rng.normal(size=(known + 40, 3)).astype(np.float32)
    mood[known] = 0.0
    item = rng.integers(0, known, n).astype(np.int32)
    user = np.sort(rng.integers(0, 30, n)).astype(np.int32)
    time = (1_700_000_000_000_000 + np.arange(n) * 60_000_000).astype(np.int64)
    value = np.where(mood[item, 1] > 0, 5.0, 1.0).astype(np.float32)
    users, items = Ids([f"u{i}" for i in range(30)]), Ids([f"t{i}" for i in range(known + 40)])
    events = Events(user=user, item=item, time=time, value=value)
    return Dataset(name="moods", users=users, items=items, events=events, vectors={"mood": mood})


@pytest.mark.parametrize("name", ["dnn", "dcn-v2", "din", "lightgbm"])
def test_a_ranker_told_of_vectors_reads_them_and_knows_things_that_nobody_took(name):
    data = moods()
    quick = (
        {"rounds": 60, "least": 10} if name == "lightgbm" else {"descent": {"epochs": 12, "batch": 64, "rate": 0.01}}
    )
    requests = Requests.of(data, np.array([0]), at=np.full(1, int(data.events.time.max()) + 1))
    new = np.append(np.arange(1000, 1040), -1)[None].astype(np.int32)
    said = {}
    for told in ((), ("mood",)):
        model = built(name, {"vectors": told, **quick}).fit(data, run=Run(seed=0))
        assert ("vector.mood.1" in getattr(model, "learnt", model).coder.numbers) == bool(told)
        ranked = model.rank(requests, Slates(items=new, scores=np.zeros(new.shape)), FeatureView(data))
        said[told] = dict(zip(ranked.items[0].tolist(), ranked.columns["p_like"][0].tolist(), strict=True))
    place = np.arange(1001, 1040)
    high = data.vectors["mood"][place, 1] > 0
    area = {told: auc(high, np.round([p[i] for i in place], 5)) for told, p in said.items()}  # rounding is no opinion
    assert area["mood",] > 0.95 and area[()] == 0.5, "without vectors new things are all alike"
    assert np.isfinite(said["mood",][1000]), "nor is a thing of zeros anything special"
    with pytest.raises(UnknownName, match="no table of item vectors"):
        built(name, {"vectors": ("words",)}).fit(data, run=Run(seed=0))


def test_a_recipe_refuses_a_finder_as_ranker_and_a_ranker_as_source():
    with pytest.raises(BadSetting, match="ease finds items and ranks none"):
        Recipe.parse(RECIPE.replace('"dnn"', '"ease"')).build()
    with pytest.raises(BadSetting, match="fm ranks items and finds none"):
        Recipe.parse(RECIPE.replace('"popular"', '"fm"')).build()
    with pytest.raises(BadData, match=r"\[ranker\] needs system"):
        Recipe.parse(RECIPE.replace('system = "dnn"', ""))


def test_pairs_that_training_holds_as_positives_are_told_apart_and_speed_is_measured():
    division = divide(crowd())
    fitted = fit_ranker("lookup", division)
    whole = fitted.model.examples(division.dataset)
    test = np.flatnonzero(whole.part == TEST)
    pairs = {
        (u, i) for u, i, y, part in zip(
            whole.fields["user"], whole.fields["item"], whole.labels["take"], whole.part, strict=True
        ) if part == 0 and y == 1
    }  # fmt: skip
    slow = [whole.labels["take"][n] == 1 and (whole.fields["user"][n], whole.fields["item"][n]) in pairs for n in test]
    assert again(whole, test).tolist() == slow and any(slow)
    assert milliseconds(fitted.model, division.dataset, 50, 1) > 0 and ranks("fm") and not ranks("ease")


@pytest.mark.parametrize("source", ["table", "log"])
def test_a_ranker_is_judged_on_data_that_does_not_say_its_parts(source):
    table = labelled().tables["examples"].drop("split")
    data = crowd() if source == "log" else from_frames("timed", tables={"examples": table})
    fewer = from_frames("timed", tables={"examples": table.head(200)})
    fitted = fit_ranker("lookup", divide(data))
    assert all(0 < v <= 1 for name, v in evaluate(fitted, data).mean().items() if name.startswith("auc"))
    other = data.where(np.arange(len(data.events)) > 3) if source == "log" else fewer
    with pytest.raises(Mismatch, match="has hash"):
        evaluate(fitted, other)
