"""Click models: what is looked at and what is liked are told apart; rows are ordered by what they will earn."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import polars as pl
import pytest
import torch

from interplay.data.pages import Choices, Pages
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.fitted import built
from interplay.learn.descend import Descent
from interplay.models.clicks import Clicks, ClicksConfig
from interplay.ops.rows import arrange_rows
from interplay.recipe import Recipe
from interplay.types import Dataset, Events, Ids, Requests, Slates
from interplay.worlds.puzzles import PUZZLES

QUICK = Descent(rate=0.15, batch=8192, epochs=120, schedule="cosine")


def blank(n: int = 1200, rows: int = 3, columns: int = 4, n_items: int = 30, seed: int = 0) -> Pages:
    """Pages on which every item stands in every place now and then."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(n_items)[: rows * columns].reshape(rows, columns) for _ in range(n)])
    topic = rng.integers(0, 4, (n, rows)).astype(np.int32)
    return Pages(items=items.astype(np.int32), clicked=np.zeros(items.shape, bool), n_items=n_items, topic=topic)


def world(name: str, pages: Pages) -> tuple[Clicks, Pages]:
    """A model with drawn logits, and its clicks on the pages."""
    model = Clicks(ClicksConfig(model=name, visible=2, descent=replace(QUICK, epochs=0))).learn(pages)
    generator, usual = torch.Generator().manual_seed(1), {"a.base": -1.5, "nothing": 0.0}
    model.logits = {
        k: (v * 0 + usual[k] if k in usual else v) + torch.randn(v.shape, generator=generator)
        for k, v in model.logits.items()
    }
    return model, replace(pages, clicked=model.simulate(pages, seed=2))


@pytest.mark.parametrize("name", ["pbm", "pbm-rank-one", "pbm-swipe", "carousel", "one-choice"])
def test_examination_and_attraction_are_recovered(name: str) -> None:
    truth, pages = world(name, blank())
    model = Clicks(ClicksConfig(model=name, visible=2, descent=QUICK)).learn(pages)
    held_out = replace(blank(seed=9), clicked=truth.simulate(blank(seed=9), seed=4))
    assert np.corrcoef(model.examination().ravel(), truth.examination().ravel())[0, 1] > 0.9
    assert np.corrcoef(model.attraction(), truth.attraction())[0, 1] > 0.8
    gap = truth.log_likelihood(held_out).mean() - model.log_likelihood(held_out).mean()
    floor = Clicks(ClicksConfig(model="position", descent=QUICK)).learn(pages).log_likelihood(held_out).mean()
    assert gap < 0.1 < truth.log_likelihood(held_out).mean() - floor


def test_expectation_maximisation_and_the_gradient_end_in_the_same_place() -> None:
    _, pages = world("pbm", blank(n=800, rows=1, columns=5, n_items=15))
    slow = Clicks(ClicksConfig(estimator="em", descent=replace(QUICK, epochs=300))).learn(pages)
    fast = Clicks(ClicksConfig(descent=replace(QUICK, epochs=300))).learn(pages)
    assert (np.diff(slow.fitted["losses"]) < 1e-3).all(), "every round explains the clicks better"
    np.testing.assert_allclose(slow.click_probability(pages), fast.click_probability(pages), atol=0.04)


def test_a_gaze_tells_examination_without_any_click() -> None:
    pages = blank(n=600)
    rng = np.random.default_rng(0)
    look = np.array([[0.9, 0.6, 0.3, 0.1], [0.5, 0.4, 0.2, 0.1], [0.3, 0.2, 0.1, 0.05]])
    pages = replace(pages, looked=rng.random(pages.items.shape) < look)
    model = Clicks(ClicksConfig(model="observed", descent=QUICK)).learn(pages)
    np.testing.assert_allclose(model.examination(), look / look.max(), atol=0.06)
    with pytest.raises(BadData, match="there is no gaze"):
        Clicks(ClicksConfig(model="observed")).learn(blank(n=5))


def test_one_choice_beats_independent_cells_on_one_choice_pages_and_refuses_two_clicks() -> None:
    _, pages = world("one-choice", blank())
    mine = Clicks(ClicksConfig(model="one-choice", descent=QUICK)).learn(pages).log_likelihood(pages).mean()
    theirs = Clicks(ClicksConfig(model="pbm", descent=QUICK)).learn(pages).log_likelihood(pages).mean()
    assert mine > theirs
    two = pages.clicked.copy()
    two[0] = True
    with pytest.raises(BadData, match="1 of 1200 pages have more than one click"):
        Clicks(ClicksConfig(model="one-choice")).learn(replace(pages, clicked=two))


def test_pages_without_clicks_one_row_pages_unseen_places_and_unseen_items_work() -> None:
    nothing = blank(n=50, rows=1, columns=3)
    for name in ("pbm", "pbm-swipe", "cascade", "dbn", "carousel", "one-choice"):
        model = Clicks(ClicksConfig(model=name, visible=2, descent=replace(QUICK, epochs=20))).learn(nothing)
        wide = blank(n=4, rows=2, columns=6)
        wide = replace(wide, items=np.where(wide.items == 0, 10_000, wide.items), topic=wide.topic + 90)
        p = model.click_probability(wide)
        assert np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()
        assert np.isfinite(model.log_likelihood(wide)).all()
        padded = replace(wide, items=np.where(np.arange(6) > 2, -1, wide.items).astype(np.int32))
        assert not model.click_probability(padded)[:, :, 3:].any()


def test_inverse_weights_undo_the_place_and_are_clipped() -> None:
    _, pages = world("pbm", blank())
    model = Clicks(ClicksConfig(descent=QUICK, clip=3.0)).learn(pages)
    weight = model.weights(pages)
    np.testing.assert_allclose(weight[0], np.minimum(1 / model.examination(), 3.0), rtol=1e-6)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(UnknownName, match="nearest: \\['cascade'"):
        Clicks(ClicksConfig(model="cascad")).learn(blank(n=3))
    with pytest.raises(BadSetting, match="worked out for model = 'pbm'"):
        Clicks(ClicksConfig(model="dbn", estimator="em")).learn(blank(n=3))
    with pytest.raises(BadData, match="do not carry it"):
        Clicks(ClicksConfig(attraction="about")).learn(blank(n=3))


def test_rows_by_greedy_gain_are_the_best_order_for_a_product_of_places_and_move_whole() -> None:
    rng = np.random.default_rng(3)
    down, across = np.array([0.4, 1.0, 0.7, 0.2]), np.array([1.0, 0.6, 0.3])
    look, attraction = down[:, None] * across, rng.random((4, 3))
    found = arrange_rows(look, attraction, dict(enumerate("abcd")))
    best = max(sum((look[p] * attraction[r]).sum() for p, r in enumerate(order)) for order in permutations(range(4)))
    by_score = np.argsort(-attraction.mean(axis=1))
    assert found.gains.sum() == pytest.approx(best)
    assert best > sum((look[p] * attraction[r]).sum() for p, r in enumerate(by_score))
    assert sorted(found.order.tolist()) == [0, 1, 2, 3] and "stands at place 2" in found.said[1]


def test_recgaze_moves_to_a_new_instance_and_ranks_by_attraction() -> None:
    puzzle = PUZZLES["slots"](0)
    model = built("recgaze").fit(puzzle.dataset)
    again = built("recgaze").restore(model.state())
    first = model.retrieve(puzzle.requests, 5)
    assert first.equals(again.retrieve(puzzle.requests, 5))
    given = Slates(items=first.items[:, ::-1].copy(), scores=first.scores)
    ranked = again.rank(puzzle.requests, given, None)
    assert ranked.items.tolist() == first.items.tolist() and (ranked.columns["p_click"] > 0).all()


def test_recgaze_orders_the_candidates_of_a_recipe_and_the_trace_says_by_what_chance() -> None:
    puzzle = PUZZLES["slots"](0)
    text = '[source.popular]\nsystem = "popular"\n[ranker]\nsystem = "recgaze"\n'
    reply = Recipe.parse(text).build().fit(puzzle.dataset).respond(puzzle.requests)
    assert reply.trace is not None
    stage, items = reply.trace[0].stages[2], reply.trace[0].items
    assert "then ordered by recgaze (1 x click)" in stage.said
    told = [row["predicted"]["click"] for row in items]
    assert told == sorted(told, reverse=True) and len(set(told)) > 1
    with pytest.raises(BadSetting, match="off-policy finds items and ranks none"):
        Recipe.parse(text.replace("recgaze", "off-policy")).build()


def small() -> Dataset:
    shown = pl.DataFrame({
        "request_id": ["a", "a", "a", "b", "b", "late"], "user_id": ["u", "u", "u", "v", "v", "u"],
        "timestamp": [10, 10, 10, 20, 20, 99], "slot": [0, 1, 2, 0, 1, 0],
        "item_id": ["x", "y", "x", "y", "z", "x"], "propensity": [0.5, 0.5, 0.2, 1.0, 0.5, 0.5],
    })  # fmt: skip
    events = Events(
        user=np.array([0, 1, 1], np.int32), item=np.array([1, 1, 2], np.int32), time=np.array([11, 21, 25]),
        kind=np.array([1, 1, 0], np.int16), kinds=("buy", "click"), context={"request_id": np.array(["a", "b", "b"])},
    )  # fmt: skip
    return Dataset(
        name="small", users=Ids(["u", "v"]), items=Ids(["x", "y", "z"]), events=events, tables={"impressions": shown}
    )


def test_pages_come_from_impressions_and_what_was_clicked_on_them() -> None:
    pages = Pages.of(small())
    assert pages.request == ["a", "b"], "what came after the last event is left out"
    assert pages.items[:, 0].tolist() == [[0, 1], [1, 2]], "an item counts where it stands first"
    assert pages.clicked[:, 0].tolist() == [[False, True], [True, False]], "a purchase is no click"
    assert pages.requests(small()).history.lengths.tolist() == [0, 0]
    assert Pages.of(small(), kinds=("buy",)).clicked[:, 0].tolist() == [[False] * 2, [False, True]]


def test_what_was_not_seen_is_not_on_the_page() -> None:
    data = small()
    shown = data.tables["impressions"].with_columns(seen=pl.Series([None, True, True, True, False, True]))
    assert Pages.of(replace(data, tables={"impressions": shown})).items[:, 0].tolist() == [[0, 1], [1, -1]]


def test_impossible_propensities_and_clicks_without_a_page_are_refused() -> None:
    data = small()
    for wrong in (0.0, 1.5):
        shown = data.tables["impressions"].with_columns(propensity=pl.lit(wrong))
        with pytest.raises(BadData, match="not in"):
            Pages.of(replace(data, tables={"impressions": shown}))
    with pytest.raises(BadData, match="request_id"):
        Pages.of(replace(data, events=replace(data.events, context={})))


def test_several_clicks_on_a_page_are_choices_one_after_the_other() -> None:
    items = np.array([[[4, 5, 6]], [[7, 8, -1]]], np.int32)
    clicked = np.array([[[True, False, True]], [[False, False, False]]])
    choices = Choices.of(Pages(items=items, clicked=clicked, n_items=9, user=np.array([0, 1], np.int32)))
    assert choices.slate.tolist() == [[4, 5, 6], [-1, 5, 6], [7, 8, -1]]
    assert choices.chosen.tolist() == [0, 2, -1]


def test_requests_keep_only_what_was_before_the_page() -> None:
    data = small()
    late = replace(Pages.of(data), at=np.array([12, 22]))
    assert late.requests(data).history.lengths.tolist() == [1, 1]
    assert isinstance(late.requests(data), Requests)
