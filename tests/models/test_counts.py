"""Counting against a loop over the log."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.errors import Unsupported
from interplay.models.counts import Popular, Trending, TrendingConfig
from interplay.types import Requests
from small import DAY, crowd, made

DATA = crowd()


def test_popular_is_the_number_of_people():
    model = Popular().fit(DATA)
    people = [len(set(DATA.events.user[DATA.events.item == i].tolist())) for i in range(DATA.n_items)]
    slates = model.retrieve(Requests.strangers([[]]), DATA.n_items)
    assert slates.scores[0].tolist() == sorted(people, reverse=True)


def test_trending_halves_an_event_with_every_half_life_and_knows_nothing_later():
    model = Trending(TrendingConfig(half_life=0.1)).fit(DATA)
    for at in (int(DATA.events.time.min()), int(np.median(DATA.events.time)), int(DATA.events.time.max()) + DAY):
        slow = np.zeros(DATA.n_items)
        for item, time in zip(DATA.events.item, DATA.events.time, strict=True):
            if time <= at:
                slow[item] += 0.5 ** ((at - time) / (0.1 * DAY))
        np.testing.assert_allclose(model.counts(at), slow, rtol=1e-5)


def test_each_request_is_answered_as_of_its_own_moment():
    log = made([(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)])
    at = np.array([log.events.time.min(), log.events.time.max()])
    model = Trending().fit(log)
    slates = model.retrieve(Requests.strangers([[], []], at=at), 1)
    assert slates.items[:, 0].tolist() == [0, 1]


def test_new_events_count_at_once():
    log = made([(0, 0), (1, 0), (2, 1)])
    both = Trending().fit(log.where(np.array([True, False, True]))).partial_fit(log.events.where(np.array([1])))
    np.testing.assert_allclose(
        both.counts(int(log.events.time.max())), Trending().fit(log).counts(int(log.events.time.max()))
    )


def test_trending_without_times_names_popular():
    with pytest.raises(Unsupported, match="Use popular"):
        Trending().fit(made([(0, 0)], times=False))
