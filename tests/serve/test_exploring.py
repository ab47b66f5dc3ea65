"""An engine whose recipe explores logs, with each impression, by what chance it was shown and whether it was tried."""

from __future__ import annotations

import numpy as np
from serving import NOW, shop

from interplay.data.store.impressions import impressions
from interplay.recipe import Recipe
from interplay.serve.engine import Engine

RECIPE = """
[source.often]
system = "popular"
[explore]
system = "epsilon-greedy"
epsilon = 0.5
pool = 12
"""


def test_the_log_has_the_propensity_of_every_impression_and_whether_it_was_tried():
    data = shop()
    engine = Engine(data, Recipe.parse(RECIPE).build().fit(data), clock=lambda: NOW)
    answers = [engine.answer(user=f"u{i}", k=5, draw=i) for i in range(30)]
    told = impressions(engine.store).sort("request_id", "slot")
    for answer in answers:
        mine = told.filter(told["request_id"] == answer.request_id)
        assert mine["propensity"].to_list() == answer.slates.columns["propensity"][0].tolist()
        assert mine["explored"].to_list() == answer.slates.columns["explored"][0].tolist()
    left = 12 - told["slot"].to_numpy()  # candidates that were free at the place
    expected = 0.5 / left + np.where(told["explored"].to_numpy(), 0.0, 0.5)
    np.testing.assert_allclose(told["propensity"].to_numpy(), expected)
    assert 0.2 < told["explored"].mean() < 0.6


def test_the_same_draw_gives_the_same_page_also_where_something_is_tried():
    data = shop()
    engine = Engine(data, Recipe.parse(RECIPE).build().fit(data), clock=lambda: NOW)
    first, again, other = (engine.answer(user="u3", k=5, draw=draw).items for draw in (11, 11, 12))
    assert list(first) == list(again) != list(other)


def test_what_is_newer_than_the_model_was_certain_to_come():
    data = shop(n_items=6)
    engine = Engine(data, Recipe.parse(RECIPE).build().fit(data), clock=lambda: NOW)
    engine.store.put_items([{"item_id": "new-1", "title": "A new thing"}])
    answer = engine.answer(user="u59", k=10, draw=5)
    columns = answer.slates.columns
    assert columns["propensity"].shape == answer.slates.items.shape
    assert columns["propensity"][0, len(answer.items) - 1] == 1.0
