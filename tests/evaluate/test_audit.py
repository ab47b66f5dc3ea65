"""Every planted leak fails the audit, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_replay import log

from interplay.data.split import split
from interplay.errors import Leakage, Mismatch
from interplay.evaluate.audit import audit
from interplay.evaluate.replay import validation
from interplay.models.counts import Popular
from interplay.types import TEST, TRAIN, VALID, Dataset


@pytest.mark.parametrize("on", ["train", "train+valid"])
@pytest.mark.parametrize("rule", ["time", "last-out", "random", "strong"])
def test_an_honest_fit_passes(rule, on):
    parts = split(log(repeats=True), rule)
    fitted = parts.fitted(on)
    told = audit(parts, fitted, on=on, model=Popular().fit(fitted), vocabulary=np.unique(fitted.events.item))
    assert len(told.checked) >= 4 and "belong to" in str(told)


@pytest.mark.parametrize("rule", ["time", "last-out", "random", "strong"])
def test_one_test_event_in_what_was_fitted_is_found(rule):
    parts = split(log(), rule)
    keep = np.isin(parts.part, (TRAIN, VALID))
    keep[np.flatnonzero(parts.part == TEST)[3]] = True
    with pytest.raises(Leakage, match=r"1 fitted events do not belong.*'test': 1"):
        audit(parts, parts.dataset.where(keep))


def test_a_repeated_purchase_is_no_leak_but_its_second_copy_is():
    data = log(repeats=True)
    data = replace(data, events=replace(data.events, time=None, ordered=True))
    parts = split(data, "random")
    audit(parts, parts.fitted("train+valid"))
    with pytest.raises(Leakage, match="'test'"):
        audit(parts, data)


def test_fitting_on_validation_while_saying_train_is_found():
    parts = split(log(), "random")
    with pytest.raises(Leakage, match="'valid'"):
        audit(parts, parts.fitted("train+valid"), on="train")


def test_events_later_than_the_cut_are_found():
    parts = split(log(), "time")
    wrong = parts.part.copy()
    wrong[np.flatnonzero(wrong == TEST)[5:]] = TRAIN  # a split whose parts do not follow its cut
    broken = replace(parts, part=wrong)
    with pytest.raises(Leakage, match="not older than the first judged"):
        audit(broken, broken.fitted("train+valid"))


def test_popularity_of_the_future_is_found():
    parts = split(log(), "time")
    with pytest.raises(Leakage, match="model's popularity counts more"):
        audit(parts, parts.fitted("train+valid"), model=Popular().fit(parts.dataset))
    counts = np.bincount(parts.dataset.events.item, minlength=25)
    with pytest.raises(Leakage, match="trend table counts more"):
        audit(parts, parts.fitted("train"), on="train", counts={"trend table": counts})


def test_a_vocabulary_of_the_future_is_found():
    data = log()
    parts = split(data, "time")
    late = parts.fitted("train+valid").events.item == 24
    fitted = parts.fitted("train+valid").where(~late)
    thin = replace(parts, dataset=data.where(~((data.events.item == 24) & (parts.part != TEST))),
                   part=parts.part[~((data.events.item == 24) & (parts.part != TEST))])  # fmt: skip
    with pytest.raises(Leakage, match="1 items of the vocabulary"):
        audit(thin, fitted, vocabulary=np.arange(25))


def test_a_history_that_holds_what_is_judged_is_found():
    parts = split(log(), "time")

    class Careless(type(parts)):
        def judged(self, which, on=None, *, history=None):
            requests, truth = super().judged(which, on)
            everything: Dataset = self.dataset
            return replace(requests, history=everything.histories(requests.user)), truth

    careless = Careless(dataset=parts.dataset, rule="time", seed=0, part=parts.part)
    with pytest.raises(Leakage, match="later than the moment"):
        audit(careless, parts.fitted("train+valid"))
    untimed = replace(parts.dataset, events=replace(parts.dataset.events, time=None, ordered=True))
    careless = Careless(dataset=untimed, rule="last-out", seed=0, part=parts.part)
    with pytest.raises(Leakage, match="history events are judged ones"):
        audit(careless, careless.fitted("train+valid"))


def test_epochs_chosen_on_the_test_part_are_found():
    parts = split(log(), "random")
    honest = validation(parts, "recall@5")
    told = audit(parts, parts.fitted("train"), on="train", validation=honest)
    assert "on the validation part" in told.checked[-1]
    with pytest.raises(Leakage, match="that it holds"):
        audit(parts, parts.fitted("train+valid"), validation=honest)
    cheat = validation(parts, "recall@5")
    cheat.which = TEST
    with pytest.raises(Leakage, match="chosen on the test part"):
        audit(parts, parts.fitted("train"), on="train", validation=cheat)
    told = audit(parts, parts.fitted("train"), on="train", validation=lambda model: 0.0)
    assert "unknown here" in told.checked[-1]


def test_another_index_space_is_refused():
    parts = split(log(), "random")
    with pytest.raises(Mismatch, match="index spaces"):
        audit(parts, log(n_users=41))
