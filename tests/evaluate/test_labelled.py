"""Figures of predictions against labels, their intervals over groups, and the difference of two systems."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import UnknownName
from interplay.evaluate.labelled import JudgedExamples, parse


def judged(noise: float, tasks: tuple[str, ...] = ("click",), seed: int = 0, **more) -> JudgedExamples:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 60, 1500)
    truth = rng.normal(size=1500) + rng.normal(size=60)[group]
    label = (truth > 0.3).astype(np.float32)
    said = 1 / (1 + np.exp(-(truth + noise * np.random.default_rng(seed).normal(size=1500))))
    return JudgedExamples(
        labels=dict.fromkeys(tasks, label), said=dict.fromkeys(tasks, said.astype(np.float32)), group=group,
        metrics=parse("auc,logloss,gauc,ece"), **more,
    )  # fmt: skip


def test_one_task_has_plain_names_and_several_name_theirs():
    assert list(judged(0.5).mean()) == ["auc", "logloss", "gauc", "ece"]
    assert list(judged(0.5, ("click", "buy")).mean())[:2] == ["auc:click", "auc:buy"]


def test_intervals_hold_the_figure_and_are_wider_over_groups_than_over_rows():
    over_groups = judged(1.0)
    rows = JudgedExamples(labels=over_groups.labels, said=over_groups.said, group=None, metrics=parse("auc"))
    low, high = over_groups.intervals()["auc"]
    assert low < over_groups.mean()["auc"] < high
    tight = rows.intervals()["auc"]
    assert high - low > tight[1] - tight[0]


def test_a_difference_of_two_systems_is_paired():
    better, worse = judged(0.3), judged(1.5, seed=4)
    gap, low, high = better.difference(worse, "auc")
    assert 0 < low < gap < high and better.difference(better, "auc") == (0.0, 0.0, 0.0)


def test_what_the_labels_cannot_answer_is_left_out():
    said = {"a": np.full(4, 0.5, np.float32), "b": np.full(4, 0.5, np.float32)}
    labels = {"a": np.zeros(4, np.float32), "b": np.full(4, np.nan, np.float32)}
    told = JudgedExamples(labels=labels, said=said, group=None, metrics=parse("auc,logloss,gauc")).mean()
    assert list(told) == ["logloss:a"] and told["logloss:a"] == pytest.approx(np.log(2), abs=1e-6)


def test_unknown_metrics_and_tasks_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="no metric of labelled examples called 'recall@20'"):
        parse("recall@20")
    with pytest.raises(UnknownName, match="no task called 'clik'; nearest"):
        JudgedExamples(labels={"click": np.ones(1)}, said={}, group=None, metrics=parse("auc:clik")).mean()
