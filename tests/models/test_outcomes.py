"""Rankers of interests and of several outcomes: what they learn on a small made world, and what they say of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Ranking, Source
from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.data.features import FeatureView
from interplay.errors import BadData, UnknownName
from interplay.fitted import built
from interplay.learn.tabular import batch_of, cross_entropy
from interplay.metrics import auc
from interplay.models.flows import Flows, FlowsConfig
from interplay.models.interests import Interests, InterestsConfig
from interplay.types import Dataset, Events, Ids, Ragged, Requests, Run, Slates

RANKERS = ("din", "cate-moe", "aw-moe", "shared-bottom", "mmoe", "ple", "infnet")
TASKS = {"like": ">=4", "love": ">=5", "dislike": "<=2"}
MINUTE = 60_000_000


@cache
def rated(n_users: int = 60, n_items: int = 24, each: int = 20, seed: int = 0) -> Dataset:
    """Half of the people love the even items and dislike the odd ones, the other half the reverse."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), each)
    item = np.concatenate([rng.permutation(n_items)[:each] for _ in range(n_users)])
    fits = (item % 2) == (user % 2)
    value = np.where(fits, rng.choice([4, 5], len(user)), rng.choice([1, 2, 3], len(user))).astype(np.float32)
    time = (1_700_000_000_000_000 + np.tile(np.arange(each), n_users) * MINUTE).astype(np.int64)
    events = Events(user=user.astype(np.int32), item=item.astype(np.int32), time=time, value=value)
    users, items = Ids([f"u{i}" for i in range(n_users)]), Ids([f"i{i}" for i in range(n_items)])
    return Dataset(name="rated", users=users, items=items, events=events)


QUICK = {"tasks": TASKS, "descent": {"epochs": 2, "batch": 128}}


@cache
def fitted(name: str):
    return built(name, QUICK).fit(rated(), run=Run(seed=0))


@pytest.mark.parametrize("name", ["din", "aw-moe", "mmoe", "infnet"])
def test_a_taste_that_only_the_history_shows_is_learnt(name):
    d = rated()
    few = {"tasks": TASKS, "spread": 0.3, "descent": {"epochs": 15, "patience": 0, "batch": 64, "rate": 0.01}}
    examples = Examples.of(d, tasks=TASKS)
    examples = replace(
        examples, fields={"item": examples.fields["item"]}, numbers={},
        part=np.where(d.events.user < 45, 0, np.where(d.events.user < 50, 1, 2)).astype(np.int8),
    )  # fmt: skip
    model = built(name, few).fit(d, examples=examples, run=Run(seed=0))
    late = examples.take((examples.part == 2) & (np.arange(len(examples)) % 20 >= 8))
    said = model.predict(late)
    for task in TASKS:
        assert auc(late.labels[task], said[task]) > 0.8, task


@pytest.mark.parametrize("name", RANKERS)
def test_tasks_without_positives_and_labels_that_nobody_knows_stay_finite(name):
    examples = Examples.of(rated(), tasks=TASKS)
    labels = dict(examples.labels)
    labels["never"] = np.zeros(len(examples), np.float32)
    labels["rarely"] = np.where(np.arange(len(examples)) == 3, 1.0, np.nan).astype(np.float32)
    model = built(name, QUICK).fit(rated(), examples=replace(examples, labels=labels), run=Run(seed=0))
    assert np.isfinite(model.fitted["losses"]).all()
    for p in model.predict(examples.take(np.arange(50))).values():
        assert np.isfinite(p).all() and (p > 0).all() and (p < 1).all()


@pytest.mark.parametrize("name", RANKERS)
def test_a_batch_without_a_known_label_has_a_loss_of_zero_and_a_gradient(name):
    examples = Examples.of(rated(), tasks=TASKS).take(np.arange(40))
    nothing = replace(examples, labels={t: np.full(40, np.nan, np.float32) for t in TASKS})
    coder = Coder.fit(examples)
    net = built(name)._build(coder)
    batch = batch_of(coder.code(nothing), slice(None))
    loss = cross_entropy(net(batch), batch)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("name", RANKERS)
def test_strangers_new_items_and_empty_histories_are_ranked(name):
    model, d = fitted(name), rated()
    history = Ragged.of([[], [0, 1], [10_000]])
    requests = Requests(
        user=np.array([-1, 3, 9_999], np.int32), history=history, at=np.full(3, int(d.events.time.max()) + 1)
    )
    slates = Slates(
        items=np.array([[0, 1, 2], [5, 10_000, -1], [7, -1, -1]], np.int32), scores=np.zeros((3, 3), np.float32)
    )
    for view in (FeatureView(d), None):
        ranked = model.rank(requests, slates, view)
        held = ranked.items >= 0
        assert np.isfinite(ranked.scores[held]).all() and held.sum(axis=1).tolist() == [3, 2, 1]
        assert all(np.isfinite(ranked.columns[f"p_{t}"]).all() for t in TASKS)


def asked() -> tuple[Requests, Slates, FeatureView]:
    d = rated()
    requests = Requests.of(d, np.array([2, 5]), at=np.full(2, int(d.events.time.max()) + 1))
    return requests, Slates(items=np.array([[1, 2], [3, -1]], np.int32), scores=np.zeros((2, 2))), FeatureView(d)


def test_the_gate_inspector_shows_shares_and_what_each_event_did_to_them():
    requests, slates, view = asked()
    model = fitted("aw-moe")
    told = model.explain(requests, slates, view, n=3)
    assert [len(row) for row in told] == [2, 1]
    entry = told[0][0]
    assert len(entry["experts"]) == len(entry["start"]) == 4 and len(entry["events"]) == 3
    seen = requests.history.row(0)["item"].tolist()
    event = entry["events"][0]
    assert event["item"] in seen
    less = replace(requests, history=requests.history.where(requests.history["item"] != event["item"]))
    again = model.explain(less, slates, view)[0][0]
    np.testing.assert_allclose(again["experts"], event["without"], atol=2e-4)
    stranger = Requests(user=np.array([-1], np.int32), history=Ragged.of([[]]), at=requests.at[:1])
    alone = model.explain(stranger, slates.slice(0, 1), view)[0][0]
    assert alone["experts"] == alone["start"] and alone["events"] == []


def test_interests_without_a_mixture_show_what_each_event_mattered():
    requests, slates, view = asked()
    entry = fitted("din").explain(requests, slates, view)[0][0]
    assert entry["experts"] == [1.0] and any(e["matters"] != 0 for e in entry["events"])
    usage = fitted("aw-moe").usage(Examples.of(rated(), tasks=TASKS).take(np.arange(60)))
    assert 0 <= usage["entropy"] <= 1 and -1 <= usage["alike"] <= 1


def test_every_task_shows_the_fields_and_the_events_it_looked_at():
    requests, slates, view = asked()
    told = fitted("infnet").explain(requests, slates, view, n=200)
    assert [len(row) for row in told] == [2, 1] and set(told[0][0]) == set(TASKS)
    like = told[0][0]["like"]
    assert sum(share for _, share in like["fields"]) == pytest.approx(1.0, abs=0.01)
    assert sum(share for *_, share in like["events"]) == pytest.approx(1.0, abs=0.01)
    histories = {name for name, *_ in like["events"]}
    assert histories == {"history", "history.liked", "history.disliked"}
    seen = set(requests.history.row(0)["item"].tolist())
    assert {item for _, item, _ in like["events"]} <= seen


@pytest.mark.parametrize(("name", "key"), [("aw-moe", "gate"), ("infnet", "looked")])
def test_the_trace_of_a_live_answer_shows_what_the_ranker_looked_at(name, key):
    d = rated()
    model = built(name, {**QUICK, "explained": 2})
    cascade = Cascade({"popular": Source(retriever=built("popular"))}, ranking=Ranking(ranker=model, name=name))
    cascade.fit(d, run=Run(seed=0))
    cascade.attend(d)
    reply = cascade.respond(Requests.of(d, np.array([2]), at=np.full(1, int(d.events.time.max()) + 1), k=3))
    assert reply.trace is not None
    shown = reply.trace[0].items[0]
    assert shown[key] and set(shown["predicted"]) == set(TASKS)


@pytest.mark.parametrize("off", [{"task_tokens": False}, {"attention": False}, {"gates": False}, {"few_events": 4}])
def test_ablations_and_other_numbers_of_proxies_learn_and_explain(off):
    model = Flows(FlowsConfig(tasks=TASKS, **off)).fit(rated(), run=Run(seed=0, epochs=1))
    requests, slates, view = asked()
    assert np.isfinite(model.rank(requests, slates, view).scores[slates.items >= 0]).all()
    entry = model.explain(requests, slates, view)[0][0]["love"]
    assert bool(entry["fields"]) == ("gates" in off or "few_events" in off)


def test_names_of_parts_are_checked():
    for more in ({"gate": "evnts"}, {"norm": "max"}, {"pooling": "sum"}):
        with pytest.raises(UnknownName):
            Interests(InterestsConfig(**more)).fit(rated(), run=Run(seed=0, epochs=1))
    with pytest.raises(UnknownName, match="body"):
        built("mmoe", {"body": "moe"}).fit(rated(), run=Run(seed=0, epochs=1))


def test_the_contrast_moves_the_gate_and_nothing_else():
    examples = Examples.of(rated(), tasks=TASKS)
    coder = Coder.fit(examples)
    torch.manual_seed(0)
    net = built("aw-moe", {"contrast": 1.0})._build(coder)
    batch = batch_of(coder.code(examples), slice(0, 1200))
    plain = built("aw-moe", {"contrast": 0.0})._build(coder)
    plain.load_state_dict(net.state_dict())
    grads = []
    for one in (net, plain):
        torch.manual_seed(1)
        one.loss(batch).backward()
        grads.append({k: p.grad.clone() for k, p in one.named_parameters()})
    moved = {k for k, g in grads[0].items() if not torch.allclose(g, grads[1][k])}
    assert moved and all(k.startswith("gate.") for k in moved)


def test_rules_for_ratings_name_their_bounds():
    with pytest.raises(ValueError, match="such as '>=4'"):
        Examples.of(rated(), tasks={"like": "4 and more"})
    with pytest.raises(BadData, match="no values"):
        Examples.of_log(replace(rated(), events=replace(rated().events, value=None)))
