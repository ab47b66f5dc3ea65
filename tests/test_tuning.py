"""A search is honest (no test part), equal (a budget of processor time), recorded, and goes on after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import interplay.tuning as tuning
from interplay.cli import app
from interplay.cluster import Lost
from interplay.data.split import split
from interplay.data.tables import write_directory
from interplay.errors import BadData, BadSetting, Leakage, Mismatch, MissingExtra, UnknownName
from interplay.evaluate.reads import READS
from interplay.models.linear import Ease
from interplay.ranking import divide
from interplay.systems import SYSTEMS
from interplay.tuning import judges, sampler, tune
from interplay.tuning.spaces import SPACES, Choice, Range, space, standing
from interplay.tuning.trials import Trial, Tuned
from interplay.types import TEST, Dataset, Ids, Rows
from small import crowd, shop
from test_contract import labelled

SHORT = {"metric": "ndcg@5", "specs": ["ridge=1..1000 log"]}


@pytest.fixture
def parts(people):
    return split(people, "last-out")


def figures(found: Tuned) -> list[tuple]:
    return [(t.number, dict(t.settings), t.value, t.error, t.status) for t in found.trials]


# ---------------------------------------------------------------------------------------------------------------- space


@pytest.mark.parametrize("name", SPACES)
def test_the_space_of_a_row_is_of_settings_that_it_has(name):
    axes = space(name)
    assert axes and all(isinstance(axis, Range | Choice) for axis in axes.values())
    outside = {k: standing(name, k, {}) for k, axis in axes.items() if standing(name, k, {}) not in axis}
    assert all(value is None for value in outside.values()), "what stands by default can be found by the search"


def test_what_is_searched_takes_its_type_from_the_setting():
    axes = space("mult-vae", ["descent.epochs=5..50", "beta=0.01..1 log", "variational=true|false"])
    assert axes["descent.epochs"].whole and not axes["beta"].whole and axes["beta"].log
    assert axes["variational"].of == (True, False)
    assert space("dcn-v2", ["layers=64,64|400"])["layers"].of == ("64,64", "400")
    assert (
        space("hybrid", ["source.bm25.weight=1..2", "fusion.method=weighted|reciprocal"])["source.bm25.weight"].high
        == 2
    )


@pytest.mark.parametrize(
    ("system", "spec", "said"),
    [
        ("ease", "rigde=1..5", "did you mean 'ridge'"),
        ("ease", "ridge=0..5", "EaseConfig.ridge is '0'; expected a number, above 0"),
        ("ease", "ridge=5", "is no range"),
        ("ease", "ridge=5..1", "the lower end first"),
        ("ease", "ridge=1..5 lin", "is no range"),
        ("ease", "precision=1..2", "name its choices"),
        ("item-knn", "shrink=0..5 log", "a logarithm begins above 0"),
        ("item-knn", "k=1.5..9", "expected a whole number"),
        ("item-knn", "similarity=cosine|cosine", "twice"),
        ("popular", None, "what is to be searched for popular?"),
        ("hybrid", "source.bm26.k1=1..2", "source.bm25"),
        ("nobody", "k=1..2", "no system called"),
        ("lin-ts", "k=1..2", "is a policy"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_data_are_read(system, spec, said):
    with pytest.raises((BadSetting, UnknownName), match=said.replace("?", r"\?").replace(".", r"\.")):
        tune(system, None, specs=[spec] if spec else [], trials=2)


def test_a_choice_of_names_is_held_against_the_model_by_a_failed_trial(parts):
    found = tune("item-knn", parts, specs=["similarity=cosine|sine"], trials=2, metric="ndcg@5")
    assert [t.status for t in found.trials] == ["done", "failed"] and "sine" in found.failed[0].said


def test_what_is_set_is_not_searched():
    assert "k" not in space("item-knn", settings={"k": "5"})
    with pytest.raises(BadSetting, match="set and searched"):
        space("item-knn", ["k=1..9"], {"k": 5})


def test_a_best_value_at_an_end_is_told_unless_nothing_lies_beyond():
    ridge, share = space("ease", ["ridge=1..100 log"])["ridge"], space("rp3beta", ["beta=0..2"])["beta"]
    assert (ridge.edge(99.0), ridge.edge(1.0), ridge.edge(10.0), ridge.edge(300.0)) == ("upper", "lower", "", "")
    assert (share.edge(0.0), share.edge(2.0)) == ("", "upper")


# --------------------------------------------------------------------------------------------------------------- honest


def test_the_first_trial_is_the_settings_as_they_stand(parts):
    found = tune("ease", parts, settings={"precision": "float32"}, trials=1, **SHORT)
    direct = Ease().fit(parts.fitted("train"))
    judged = judges.validation(parts, "ndcg@5")(direct)
    assert found.trials[0].settings == {"ridge": 300.0} and found.best.value == pytest.approx(judged, abs=1e-6)


def test_a_poisoned_test_part_changes_no_trial(people):
    parts = split(people, "random")
    poisoned = people.events.item.copy()
    held = parts.part == TEST
    poisoned[held] = people.n_items - 1 - poisoned[held]
    other = replace(people, events=replace(people.events, item=poisoned))
    there = replace(parts, dataset=other)
    assert there.dataset.fingerprint != parts.dataset.fingerprint
    found = [tune(s, p, trials=4, metric="ndcg@5") for s in ("item-knn", "markov") for p in (parts, there)]
    assert figures(found[0]) == figures(found[1]) and figures(found[2]) == figures(found[3])


def test_no_judge_is_handed_a_test_row(people):
    strong, queries = split(people, "strong"), pl.DataFrame({"query_id": ["a", "b"], "split": ["test", "train"]})
    kept = judges.judge("ease", replace(strong, dataset=replace(people, tables={"queries": queries})), "ndcg@5", None)
    assert set(np.unique(kept.parts.part)) == {0, 1, 3} and len(kept.parts.dataset.events) == len(kept.parts.part)
    assert kept.parts.dataset.tables["queries"]["query_id"].to_list() == ["b"]
    ranked = judges.judge("lr", divide(shop(), "random"), None, None)
    assert set(np.unique(ranked.division.part)) == {0, 1}


def test_a_search_reads_no_test_part(parts):
    before = len(READS)
    tune("ease", parts, trials=3, **SHORT)
    assert len(READS) == before


def test_a_model_that_knows_more_than_the_train_part_ends_the_search(people, parts, monkeypatch):
    def fit(self, dataset, *, run=None, world=None):
        fitted = real(self, dataset)
        self.rows = Rows.of(people)
        return fitted

    real = Ease.fit
    monkeypatch.setattr(Ease, "fit", fit)
    with pytest.raises(Leakage, match="popularity"):
        tune("ease", parts, trials=2, **SHORT)


def test_a_search_by_queries_chooses_on_those_that_are_not_for_test():
    data = searchable()
    found = tune("bm25", split(data), specs=["k1=0.5..2"], trials=3)
    assert found.metric == "ndcg-linear@10" and found.trials[0].judged == 2
    tested = data.tables["queries"].with_columns(split=pl.lit("test"))
    with pytest.raises(BadData, match="nothing to choose by"):
        tune("bm25", split(replace(data, tables={**data.tables, "queries": tested})), specs=["k1=0.5..2"], trials=1)


def searchable() -> Dataset:
    """Texts and judged queries, no log."""
    whole = crowd(events=1)
    texts = whole.catalogue["title"].to_list()
    queries = pl.DataFrame({"query_id": ["a", "b", "c"], "text": texts[:3], "split": ["train", "train", "test"]})
    qrels = pl.DataFrame({
        "query_id": ["a", "b", "c"], "item_id": ["i0", "i1", "i2"], "relevance": [1, 1, 1], "split": queries["split"],
    })  # fmt: skip
    empty = whole.events.where(np.zeros(0, np.int64))
    return replace(whole, users=Ids([]), events=empty, tables={"queries": queries, "qrels": qrels})


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_a_ranker_is_tuned_by_its_validation_rows(metric):
    settings = {"descent": {"epochs": 2, "batch": 64}}
    found = tune("lr", divide(labelled()), settings=settings, metric=metric, trials=3)
    values = [t.value for t in found.trials]
    assert found.best.value == (max(values) if metric == "auc" else min(values)) and found.best.error > 0
    assert all(t.epochs in (1, 2) for t in found.trials)


# ------------------------------------------------------------------------------------------------- the same, recorded


def test_the_same_seed_gives_the_same_search_and_another_one_another(parts):
    found = [tune("item-knn", parts, trials=13, seed=s, metric="ndcg@5") for s in (3, 3, 4)]
    assert figures(found[0]) == figures(found[1]) != figures(found[2])


def test_a_killed_search_goes_on_as_if_it_had_not_been(parts, tmp_path, monkeypatch):
    whole = tune("item-knn", parts, trials=14, metric="ndcg@5", out=tmp_path / "whole")
    real, made = tuning._tried, []

    def killed(task, job):
        if len(made) == 12:
            raise KeyboardInterrupt
        made.append(job)
        return real(task, job)

    monkeypatch.setattr(tuning, "_tried", killed)
    with pytest.raises(KeyboardInterrupt):
        tune("item-knn", parts, trials=14, metric="ndcg@5", out=tmp_path / "cut")
    file = tmp_path / "cut" / "trials.jsonl"
    assert len(file.read_text().splitlines()) == 12
    file.write_text(file.read_text() + '{"number": 12, "sett')  # killed in the midst of a line
    monkeypatch.setattr(tuning, "_tried", real)
    again = tune("item-knn", parts, trials=14, metric="ndcg@5", out=tmp_path / "cut")
    assert figures(again) == figures(whole)
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == list(range(14))


@pytest.mark.parametrize(
    ("change", "what"),
    [({"system": "ease-block"}, "system"), ({"metric": "ndcg@10"}, "metric"), ({"specs": ["ridge=1..9"]}, "space"),
     ({"seed": 1}, "seed"), ({"people": 9}, "people"), ({"settings": {"precision": "float32"}}, "settings")],
)  # fmt: skip
def test_another_search_in_the_same_directory_is_refused(parts, tmp_path, change, what):
    tune("ease", parts, trials=1, out=tmp_path, **SHORT)
    asked = {"system": "ease", **SHORT, **change}
    with pytest.raises(Mismatch, match=f"holds another search: {what} is"):
        tune(asked.pop("system"), parts, trials=1, out=tmp_path, **asked)


def test_other_data_in_the_same_directory_are_refused(parts, tmp_path):
    tune("ease", parts, trials=1, out=tmp_path, **SHORT)
    with pytest.raises(Mismatch, match="split is"):
        tune("ease", split(crowd(seed=1), "last-out"), trials=1, out=tmp_path, **SHORT)


# ---------------------------------------------------------------------------------------------------- equal, and an end


def test_no_trial_is_begun_when_the_minutes_are_spent(parts, monkeypatch):
    real = tuning._tried
    monkeypatch.setattr(tuning, "_tried", lambda task, job: replace(real(task, job), cpu=25.0))
    found = tune("ease", parts, minutes=1, **SHORT)
    assert [t.cpu for t in found.trials] == [25.0] * 3 and "1 minutes" in found.ended
    assert len(tune("ease", parts, minutes=1, trials=2, **SHORT).trials) == 2


def test_failed_trials_are_kept_and_do_not_end_the_search(parts, tmp_path, monkeypatch):
    def fit(self, dataset, *, run=None, world=None):
        if self.config.ridge < 100:
            raise MemoryError("no room for 81000 x 81000")
        return real(self, dataset)

    real = Ease.fit
    monkeypatch.setattr(Ease, "fit", fit)
    found = tune("ease", parts, trials=8, out=tmp_path, **SHORT)
    kept = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert len(kept) == 8 and 0 < len(found.failed) < 8 and found.best.settings["ridge"] >= 100
    assert all(t.said == "out of memory: no room for 81000 x 81000" and t.value is None for t in found.failed)


def test_a_search_in_which_everything_fails_ends_with_a_sentence(parts, monkeypatch):
    def fit(self, dataset, *, run=None, world=None):
        raise BadSetting("no such thing")

    monkeypatch.setattr(Ease, "fit", fit)
    with pytest.raises(BadSetting, match="none of 10 trials of ease gave a figure; the last one: no such thing"):
        tune("ease", parts, minutes=5, **SHORT)


def test_a_lost_worker_costs_the_trials_under_way_and_workers_that_never_work_end_the_search(parts, monkeypatch):
    def losing(after):
        def spread(work, jobs, *, workers, shared, ordered):
            for done, job in enumerate(jobs):
                if done in after:
                    after.remove(done)
                    raise Lost("the job 2 ended 2 workers")
                yield work(shared, job)

        return spread

    monkeypatch.setattr(tuning, "spread", losing([2]))
    found = tune("ease", parts, trials=5, workers=2, **SHORT)
    assert [t.status for t in found.trials] == ["done", "done", "failed", "done", "done"]
    assert "a worker was lost" in found.failed[0].said
    monkeypatch.setattr(tuning, "spread", losing([0]))
    with pytest.raises(Lost):
        tune("ease", parts, trials=5, workers=2, **SHORT)


def test_a_small_space_is_searched_once_through(parts):
    found = tune("item-knn", parts, specs=["k=1..3", "weighting=none|idf"], trials=50, metric="ndcg@5")
    tried = [tuple(t.settings.values()) for t in found.trials]
    assert len(tried) == len(set(tried)) == 7 and "left of the space" in found.ended  # k = 200 stands, outside


def test_people_draws_the_same_sample_for_every_trial(parts):
    found = tune("ease", parts, trials=3, people=12, **SHORT)
    assert [t.judged for t in found.trials] == [12] * 3
    direct = judges.validation(parts, "ndcg@5", at_most=12)(Ease().fit(parts.fitted("train")))
    assert found.trials[0].value == pytest.approx(direct, abs=1e-6)
    with pytest.raises(BadSetting, match="all its validation rows"):
        tune("lr", divide(shop(), "random"), trials=1, people=5)


def test_a_search_without_a_budget_is_refused(parts):
    with pytest.raises(BadSetting, match="needs a budget"):
        tune("ease", parts)


def test_the_absence_of_optuna_names_the_extra(parts, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"interplay\[tune\]"):
        tune("ease", parts, trials=1)


def test_how_many_are_as_good_as_the_best_is_counted_by_one_standard_error():
    axes = {"ridge": Range(low=1, high=100, log=True)}
    values = (0.30, 0.32, 0.311, 0.309, None)
    trials = [
        Trial(number=i, settings={"ridge": float(v)}, seed=0, value=value, error=0.01, cpu=2.0)
        for i, (v, value) in enumerate(zip((10, 97, 5, 6, 7), values, strict=True))
    ]
    found = Tuned(system="ease", metric="ndcg@20", space=axes, trials=tuple(trials), ended="")
    assert found.best.number == 1 and len(found.near) == 2 and found.cpu == 10.0 and found.pairs == ["ridge=97"]
    assert found.plateau == "ridge 5 to 97"
    assert found.edges == ["ridge is at the upper end of its range (1..100 log); widen it"]
    flipped = replace(found, metric="logloss")
    assert flipped.best.number == 0 and flipped.pairs == [] and len(flipped.near) == 2  # .309 too


def test_the_search_finds_what_a_grid_finds():
    """A made-up bowl: the sampler, fed with its own figures, comes near the bottom."""
    axes = {"ridge": Range(low=1, high=10_000, log=True), "loss": Choice(of=("a", "b"))}
    drawn, trials = sampler.Sampler(axes, seed=1), []
    for number in range(40):
        settings = drawn.next(number, trials)
        value = -((np.log10(settings["ridge"]) - 2.5) ** 2) - (settings["loss"] == "b")
        trials.append(Trial(number=number, settings=settings, seed=0, value=value))
    best = max(trials, key=lambda t: t.value)
    assert best.settings["loss"] == "a" and 200 < best.settings["ridge"] < 500
    late = [t.settings["loss"] for t in trials[20:]]
    assert late.count("a") > 15


# ------------------------------------------------------------------------------------------------ recipes, the command


RECIPE = """
[source.often]
system = "popular"
weight = 1.0

[source.near]
system = "item-knn"
weight = 0.1
k = 5

[fusion]
method = "weighted"
"""


def test_a_recipe_is_tuned_by_the_settings_of_its_parts(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shop.toml").write_text(RECIPE)
    specs = ["source.near.weight=0.1..10 log", "source.near.k=2..30"]
    found = tune("shop.toml", parts, specs=specs, trials=6, metric="ndcg@5", out=tmp_path / "found")
    assert found.trials[0].settings == {"source.near.weight": 0.1, "source.near.k": 5}
    assert len({t.value for t in found.trials}) > 1
    Path("shop.toml").write_text(RECIPE.replace("weight = 1.0", "weight = 2.0"))
    with pytest.raises(Mismatch, match="recipe is"):
        tune("shop.toml", parts, specs=specs, trials=6, metric="ndcg@5", out=tmp_path / "found")


def test_the_command_prints_what_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_directory(crowd(), tmp_path / "crowd")
    asked = ["tune", "item-knn", "--data", "crowd", "--split", "last-out", "--metric", "ndcg@5", "--trials", "4",
             "--space", "k=2..40", "--set", "shrink=3", "--out", "found"]  # fmt: skip
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    assert "lie within one standard error" in said.output and "trial 0" in said.output
    assert (tmp_path / "found" / "trials.jsonl").read_text().count("\n") == 4
    (line,) = [line for line in said.output.splitlines() if line.startswith("best: ")]
    fitted = CliRunner().invoke(app, line.removeprefix("best: interplay ").split())
    assert fitted.exit_code == 0 and "train+valid" in fitted.output and (tmp_path / "found-best").exists()
    again = CliRunner().invoke(app, asked)
    assert again.exit_code == 0 and line in again.output
    refused = CliRunner().invoke(app, [*asked[:-2], "--space", "kk=1..2", "--out", "other"])
    assert isinstance(refused.exception, UnknownName) and not (tmp_path / "other").exists()


def test_workers_try_what_one_process_would_have_counted(parts):
    found = tune("ease", parts, trials=6, workers=2, **SHORT)
    assert sorted(t.number for t in found.trials) == list(range(6))
    assert len({json.dumps(t.settings) for t in found.trials}) == 6 and found.trials[0].settings == {"ridge": 300.0}
    alone = tune("ease", parts, trials=1, **SHORT)
    assert found.trials[0].value == pytest.approx(alone.trials[0].value, abs=1e-9)


def test_every_space_is_of_a_row():
    assert set(SPACES) <= set(SYSTEMS)
