"""Whole pages: learnt from other people's lists, sound for odd requests, behind a recipe, beside a text model."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from interplay.configure import configured
from interplay.data.lists import Lists, described, folded, things
from interplay.errors import BadData, BadSetting, UnknownName, Unsupported
from interplay.fitted import Fitted, built
from interplay.learn.page_rewards import Seen
from interplay.llm import NoReply, Scripted
from interplay.models.pages import Pages, PagesConfig, completed, proposed
from interplay.ops.threads import one_network
from interplay.recipe import Recipe
from interplay.types import Arrangement, Array, Boost, Dataset, Ragged, Requests, Run, Slates
from small import crowd, made

SMALL: dict[str, Any] = {
    "places": 5, "pool": 15, "dim": 16, "moments": 800, "folds": 2, "groups": 6,
    "reward": {"dim": 16, "layers": 1, "descent": {"epochs": 2}},
    "policy": {"dim": 16, "rounds": 2, "pages": 64, "every": 1, "descent": {"epochs": 2}},
}  # fmt: skip


def log() -> Dataset:
    return crowd(120, 40, 1500)


def base() -> Any:
    return built("markov")


@cache
def fitted() -> Pages:
    return Pages(configured(PagesConfig, SMALL)).fit(log(), run=Run(seed=1), base=base)


def asked(histories: list[list[int]] | None = None, n: int = 15) -> tuple[Requests, Slates]:
    data = log()
    requests = Requests.of(data, np.arange(30, dtype=np.int32)) if histories is None else Requests.strangers(histories)
    return requests, base().fit(data).retrieve(requests, n)


def trusted(config: PagesConfig | None = None) -> Pages:
    """The fitted one, to be used whatever people held out say of so little learning."""
    out = Pages(config or fitted().config).restore(fitted().state())
    out.trusted = True
    return out


def sound(order: Array, slates: Slates) -> None:
    held = slates.items >= 0
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(order.shape[1]), (len(order), 1)))
    assert (np.diff(np.take_along_axis(held, order, 1).astype(int), axis=1) <= 0).all(), "padding stays at the end"


def test_lists_to_learn_from_come_from_bases_that_never_saw_the_person_and_say_only_what_was_before():
    data, fits, seen = log(), [], []

    class Watched:
        def fit(self, dataset: Dataset, *, run: Run) -> Watched:
            self.inner = base().fit(dataset)
            fits.append(set(np.unique(dataset.events.user).tolist()))
            return self

        def retrieve(self, requests: Requests, n: int) -> Slates:
            seen.append(requests)
            return self.inner.retrieve(requests, n)

    known = things(data, dim=8)
    parts = list(folded(data, known, Watched, pool=12, folds=3, most=500, dim=8, run=Run(seed=2)))
    usual = [some for _, some, _ in parts]
    parts = [kept for kept, _, _ in parts]
    assert not all(some.engaged.any(axis=1).all() for some in usual), "usual lists are kept whatever came next"
    people = [set(p.user.tolist()) for p in parts]
    assert len(fits) == 3 and all(not fit & asked for fit, asked in zip(fits, people, strict=True))
    assert all((p.engaged.sum(axis=1) >= 1).all() for p in parts)
    for part, requests in zip(parts, seen, strict=True):
        assert (requests.history.lengths >= 1).all() and len(part) <= len(requests)
    past = seen[0].history
    for i in range(20):
        own = past.row(i)
        assert seen[0].at is not None and (own["time"] < seen[0].at[i]).all()


def test_the_order_is_a_permutation_whose_tail_keeps_the_base_order():
    requests, slates = asked()
    told = trusted().arrange(requests, slates, 5)
    sound(told.order, slates)
    assert (np.diff(told.order[:, 5:], axis=1) > 0).all()
    assert (
        set(told.by) == {"policy"} and np.isfinite(told.after).all() and told.columns["slot"].shape == told.order.shape
    )
    shorter = trusted().arrange(requests, slates, 3)
    np.testing.assert_array_equal(shorter.order[:, :3], told.order[:, :3])


def test_a_batch_is_arranged_as_one_by_one():
    requests, slates = asked()
    together = trusted().arrange(requests, slates, 5).order
    for i in (0, 7, 29):
        alone = trusted().arrange(requests.slice(i, i + 1), slates.slice(i, i + 1), 5).order
        np.testing.assert_array_equal(alone[0], together[i])


def test_odd_requests_get_a_page():
    requests, slates = asked([[], [0], [3, 3, 3], [10_000, 2]])
    sound(trusted().arrange(requests, slates, 5).order, slates)
    one = Slates(items=np.array([[7], [-1], [3], [9_999]], np.int32), scores=np.zeros((4, 1), np.float32))
    np.testing.assert_array_equal(trusted().arrange(requests, one, 5).order, np.zeros((4, 1)))
    same = Slates(items=np.full((4, 6), 7, np.int32), scores=np.zeros((4, 6), np.float32))
    sound(trusted().arrange(requests, same, 5).order, same)
    twice = replace(slates, items=np.concatenate([slates.items[:, :8], slates.items[:, :7]], axis=1))
    told = trusted().arrange(requests, twice, 5)
    sound(told.order, twice)
    for page in np.take_along_axis(twice.items, told.order, 1):
        assert len(set(page[:8].tolist())) == 8, "every copy stands after everything else"
    none = Slates.empty(4, 0)
    assert trusted().arrange(requests, none, 5).order.shape == (4, 0)
    assert len(trusted().arrange(*(x.slice(0, 0) for x in (requests, slates)), 5).order) == 0


def test_what_is_known_moves_to_a_new_instance_and_the_same_seed_learns_the_same():
    requests, slates = asked()
    again = Pages(configured(PagesConfig, SMALL)).fit(log(), run=Run(seed=1), base=base)
    again.trusted = True
    one, two = (m.arrange(requests, slates, 5) for m in (trusted(), again))
    np.testing.assert_array_equal(one.order, two.order)
    np.testing.assert_allclose(one.after, two.after, rtol=1e-4, atol=1e-5)
    assert {"accuracy", "ndcg", "ppo", "trusted"} <= set(again.fitted)


def test_the_base_order_stays_where_little_was_learnt_or_people_held_out_say_so():
    few = Pages(configured(PagesConfig, SMALL)).fit(made([(0, 0), (0, 1), (1, 1), (1, 0)], 2, 2), base=base)
    assert not few.trusted and few.fitted["lists"] < 50
    requests, slates = asked()
    doubted = trusted()
    doubted.trusted = False
    told = doubted.arrange(requests, slates, 5)
    np.testing.assert_array_equal(told.order, np.tile(np.arange(15), (30, 1)))
    assert set(told.by) == {"base"}
    again = Pages(few.config).restore(few.state())
    assert again.arrange(requests, slates, 5).by[0] == "base"


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(Unsupported, match=r"\[arranger\] in a recipe"):
        Pages().fit(log())
    with pytest.raises(BadData, match="no events"):
        Pages().fit(made([], 2, 2), base=base)
    with pytest.raises(BadData, match="no item vectors called 'looks'"):
        Pages(PagesConfig(vectors="looks")).fit(log(), base=base)
    with pytest.raises(UnknownName, match="redundancy"):
        configured(PagesConfig, {"reward": {"margins": {"redundance": 1.0}}})
    with pytest.raises(BadSetting, match="check is 0; expected a number, above 0 to below 1"):
        configured(PagesConfig, {"check": 0})


# --------------------------------------------------------------------------------------------------------------------
# Beside a text model


def test_proposals_name_candidates_alone_and_no_answer_means_none():
    texts, past, items = ["a", "b", "c", ""], np.array([0]), np.array([2, 1, 3, -1])
    model = Scripted(answers=[{"orders": [[3, 1, 1, 9, 0], [], [2]]}])
    assert proposed(model, texts, past, items, 2, 3) == [[2, 0], [1]]
    said = model.asked[0]
    assert [c["number"] for c in said["candidates"]] == [1, 2, 3] and said["candidates"][2]["text"] == "(no text)"
    assert proposed(Scripted(answers=[NoReply("late")]), texts, past, items, 2, 3) == []
    assert proposed(None, texts, past, items, 2, 3) == []
    assert completed([4, 5, 6], np.array([1, 2, -1])).tolist() == [4, 5, -1]


def test_the_rewards_choose_among_the_policy_the_base_and_what_a_text_model_proposes():
    config = replace(fitted().config, proposals=2, policy=replace(fitted().config.policy, share=0.0))
    model, chosen = trusted(config).attend(log()), []
    for i in range(6):
        requests, slates = (x.slice(i, i + 1) for x in asked())
        model.text_model = None
        alone = model.arrange(requests, slates, 5)
        seen = Seen.of(described(model.things, requests, slates), model.things)
        best = model.rewards.item(seen).detach().numpy()[0].argsort()[::-1] + 1  # the best page by items alone
        model.text_model = Scripted(answers=[{"orders": [best.tolist(), [15, 14]]}])
        told = model.arrange(requests, slates, 5)
        sound(told.order, slates)
        assert told.after[0].sum() >= alone.after[0].sum() - 1e-5, "never worse by the same rewards"
        chosen += told.by
        model.text_model = Scripted(answers=[NoReply("spent")])
        assert model.arrange(requests, slates, 5).by[0] != "text model"
    assert "text model" in chosen


# --------------------------------------------------------------------------------------------------------------------
# Behind a recipe

RECIPE = """
[source.next]
system = "markov"
[source.known]
system = "popular"
[arranger]
system = "pagellm"
places = 5
pool = 15
dim = 16
moments = 400
folds = 2
reward = {dim = 16, layers = 1, descent = {epochs = 1}}
policy = {dim = 16, rounds = 1, pages = 32, descent = {epochs = 1}}
"""


@cache
def cooked() -> Fitted:
    out = Fitted.cooked(Recipe.parse(RECIPE, name="paged.toml"), log())
    out.model.arranging.arranger.trusted = True
    return out


def test_a_recipe_arranges_its_first_page_and_says_where_each_item_came_from(tmp_path):
    model, requests = cooked().model, replace(asked()[0], k=5)
    reply = model.respond(requests)
    facts = [trace.stages[4].facts for trace in reply.trace]
    assert all(f["arranger"] == "pagellm" and f["by"] == "policy" for f in facts)
    moved = [item for trace in reply.trace for item in trace.items if item["stood"] != item["place"]]
    assert moved and all("; moved " in item["reason"] and "slot" in item for item in moved)
    assert any("unlike what stands above it" in i["reason"] or "fits your history" in i["reason"] for i in moved)
    cooked().save(tmp_path / "model")
    again = Fitted.load(tmp_path / "model").model
    np.testing.assert_array_equal(again.respond(requests, trace=False).slates.items, reply.slates.items)


def test_searches_and_wishes_for_variety_are_left_alone():
    model, requests = cooked().model, replace(asked()[0].slice(0, 2), k=5, query=["lamp", None])
    traces = model.respond(requests).trace
    assert "arranger" not in traces[0].stages[4].facts and "arranger" in traces[1].stages[4].facts


def test_what_a_person_asked_for_is_not_undone():
    requests = replace(
        asked()[0].slice(0, 3), k=5, boosts=[(), (Boost(where="title != 'brass plum number 18'", by=2.0),), ()]
    )
    places = cooked().model.respond(requests).slates.columns["ranked"]
    assert (places[1] == np.arange(5)).all() and not (places[[0, 2]] == np.arange(5)).all()


def test_a_late_or_failing_arranger_leaves_the_base_order_and_the_trace_says_so():
    model, requests = cooked().model, replace(asked()[0].slice(0, 3), k=5)
    plain = Recipe.parse(RECIPE.split("[arranger]")[0]).build().fit(log()).respond(requests).slates
    kept = model.arranging

    class Slow:
        def arrange(self, requests: Requests, slates: Slates, n: int, **more: Any) -> None:
            time.sleep(0.2)
            raise ValueError("no idea")

    try:
        for seconds, said in ((0.01, "later than 0.01 s"), (None, "ValueError: no idea")):
            model.arranging = replace(kept, arranger=Slow(), seconds=seconds)
            reply = model.respond(requests)
            np.testing.assert_array_equal(reply.slates.items, plain.items)
            assert reply.trace[0].stages[4].facts["left_out"] == said and said in reply.trace[0].stages[4].said
        with pytest.raises(ValueError, match="no idea"):
            model.retrieve(requests, 5)
    finally:
        model.arranging = kept


def test_other_networks_compute_while_a_text_model_is_waited_for():
    went = []

    def answers(data):
        def computes():
            with one_network():
                went.append(True)

        other = threading.Thread(target=computes, daemon=True)
        other.start()
        other.join(timeout=5)
        return {"orders": []}

    model, arranger = cooked().model, trusted(replace(fitted().config, proposals=1)).attend(log())
    arranger.text_model, kept = Scripted(by=answers), model.arranging
    try:
        model.arranging = replace(kept, arranger=arranger)
        reply = model.respond(replace(asked()[0].slice(0, 1), k=5))
    finally:
        model.arranging = kept
    assert went == [True] and "left_out" not in reply.trace[0].stages[4].facts


def test_a_recipe_may_be_lighter_where_an_arranger_learns_from_it():
    built_ = Recipe.parse(f"{RECIPE}base = {{fusion = {{candidates = 30}}}}").build()
    base = built_.arranging.base
    assert base.config.feed.fusion.candidates == 30 != built_.config.feed.fusion.candidates and base.arranging is None
    with pytest.raises(UnknownName, match="candidates"):
        Recipe.parse(f"{RECIPE}base = {{fusion = {{candidate = 30}}}}").build()


def test_the_variety_of_the_recipe_is_the_page_as_it_stands_without_the_arranger():
    model, requests = cooked().model, replace(asked()[0].slice(0, 4), k=5)
    told = model.respond(requests).trace[0].stages[4].facts
    plain = model.respond(replace(requests, arrangement=Arrangement(arranger=False)))
    assert told["orders"]["before"] == plain.slates.items[0].tolist() and plain.trace[0].stages[4].facts["off"]
    varied = model.respond(replace(requests, arrangement=Arrangement(diversity=0.0)))
    assert "orders" not in varied.trace[0].stages[4].facts, "a person's own wish goes before it"
    assert told["after"] == pytest.approx(sum(told["grains"]["after"].values()))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[arranger]\nplaces = 3", "needs system .*arrangers: .*pagellm"),
        ("[arranger]\nsystem = 'popular'", "arrangers: .*pagellm"),
        ("[arranger]\nsystem = 'pagellm'\nserves = 'all'", "expected 'feed', 'search' or 'both'"),
        ("[arranger]\nsystem = 'pagellm'\nplacs = 3", "did you mean 'places'"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table: str, said: str) -> None:
    with pytest.raises((BadData, BadSetting, UnknownName), match=said):
        Recipe.parse(f"[source.a]\nsystem = 'popular'\n{table}").build()


def test_lists_join_and_are_described_without_a_history():
    data = log()
    known = things(data, dim=8)
    requests = Requests(user=np.full(2, -1, np.int32), history=Ragged.of([[], [1, 2]]))
    slates = Slates(items=np.array([[3, 4, -1], [5, 6, 7]], np.int32), scores=np.array([[2, 1, -np.inf], [3, 2, 1]]))
    lists = described(known, requests, slates, Ragged.of([[4], [9]]))
    assert lists.engaged.tolist() == [[False, True, False], [False] * 3]
    assert (lists.numbers[0, :, 4:] == 0).all() and (lists.numbers[0, 2] == 0).all()
    assert np.isfinite(lists.numbers).all() and len(Lists.joined([lists, lists])) == 4
