"""The path of a request: routing, rules, traces, failures, state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.cascade.cascade import Cascade
from interplay.cascade.fuse import FusionConfig
from interplay.cascade.index import Index, IndexConfig
from interplay.cascade.page import PageConfig
from interplay.cascade.parts import CascadeConfig, Manner, Ranking, Source
from interplay.cascade.rules import compile_rules
from interplay.errors import BadData, BadSetting, UnknownName, Unsupported
from interplay.ops.topk import best
from interplay.types import (
    Array,
    Dataset,
    Events,
    Ids,
    Learner,
    Ragged,
    Requests,
    Responder,
    Retriever,
    Rows,
    Run,
    Slates,
    State,
    Turn,
    Wish,
)

N = 24


def shop() -> Dataset:
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(0, 6, 60)).astype(np.int32)
    frame = pl.DataFrame(
        {
            "title": [f"thing {i}" for i in range(N)],
            "price": [float(i) for i in range(N)],
            "maker": [["Hale", "Norr", "Ives"][i % 3] for i in range(N)],
        }
    )
    return Dataset(
        name="shop", users=Ids([f"u{i}" for i in range(6)]), items=Ids([f"i{i}" for i in range(N)]),
        events=Events(user=user, item=rng.integers(0, N, 60).astype(np.int32)), catalogue=frame,
        vectors={"look": rng.normal(size=(N, 5)).astype(np.float32)},
    )  # fmt: skip


class Fixed:
    """A source with one score for each item, which can be told to fail or to dawdle."""

    def __init__(self, scores: Callable[[Array], Array], fails: str = "", seconds: float = 0.0) -> None:
        self.of, self.fails, self.seconds = scores, fails, seconds

    def fit(self, dataset: Dataset, *, run: Run, world: object = None) -> Fixed:
        if self.fails == "fit":
            raise BadData("no price is given")
        self.rows, self.scores = Rows.of(dataset), self.of(np.arange(N)).astype(np.float32)
        self.fitted = {"events": len(dataset.events)}
        return self

    def retrieve(self, requests: Requests, n: int) -> Slates:
        time.sleep(self.seconds)
        if self.fails == "retrieve":
            raise RuntimeError("the disk is gone")
        return best(lambda part: np.tile(self.scores, (len(part), 1)), requests, n, self.rows)

    def similar_items(self, items: Array, n: int) -> Slates:
        return self.retrieve(Requests.strangers([[i] for i in items.tolist()]), n)

    def partial_fit(self, events: Events) -> Fixed:
        self.fitted["events"] += len(events)
        return self

    def forget(self, users: Array) -> Fixed:
        self.fitted["forgot"] = users.tolist()
        return self

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), own=State(arrays={"scores": self.scores}))

    def restore(self, state: State) -> Fixed:
        self.rows, self.scores = Rows.restore(state.within("rows")), state.within("own").arrays["scores"]
        return self


def cascade(config: CascadeConfig = CascadeConfig(), **sources: Source) -> Cascade:
    plain = {
        "cheap": Source(retriever=Fixed(lambda i: -i), says="It costs little"),
        "dear": Source(retriever=Fixed(lambda i: i), serves="feed", weight=0.5),
        "words": Source(retriever=Fixed(lambda i: (i * 7) % N), serves="search"),
    }
    return Cascade({**plain, **sources}, config=config)


VARIED = CascadeConfig(
    feed=Manner(page=PageConfig(variety="mmr", likeness="maker", balance=0.4, caps={"maker": 3}, pins={"i11": 2}))
)


def asked(data: Dataset, **more: object) -> Requests:
    return Requests.of(data, np.array([0, 1, -1, 3]), query=["thing", None, None, " "], **more)  # type: ignore[arg-type]


def test_a_cascade_has_the_verbs_it_should() -> None:
    model = cascade()
    assert isinstance(model, Learner) and isinstance(model, Retriever) and isinstance(model, Responder)


def test_a_query_goes_to_search_sources_and_its_absence_to_feed_sources() -> None:
    data = shop()
    slates = cascade().fit(data).retrieve(asked(data), 5)
    search, feed = slates.columns["source"][0], slates.columns["source"][1:]
    assert set(search.tolist()) <= {1, 4, 5} and (search & 4).any() and not (feed & 4).any() and (feed & 2).any()
    assert not slates.columns["part_dear"][0].any() and slates.columns["part_dear"][1:].any()


def test_a_page_of_five_begins_a_page_of_ten_and_a_batch_answers_as_one_by_one() -> None:
    data = shop()
    model, requests = cascade(VARIED).fit(data), asked(data)
    ten = model.retrieve(requests, 10)
    assert model.retrieve(requests, 5).items.tolist() == ten.items[:, :5].tolist()
    alone = Slates.stacked([model.retrieve(requests.slice(i, i + 1), 10) for i in range(4)])
    assert ten.items.tolist() == alone.items.tolist()
    assert model.respond(replace(requests, k=10)).slates.items.tolist() == ten.items.tolist()


def test_every_shown_item_is_allowed_and_the_trace_counts_what_each_rule_hides() -> None:
    data = shop()
    model = cascade(CascadeConfig(where=("price < 20",), feed=VARIED.feed)).fit(data)
    rules = compile_rules(
        data, 4, where=["maker == 'Hale'", None, "not maker in ('Hale')", None], exclude=Ragged.of([[1]] * 4)
    )
    requests = asked(data, rules=rules, k=6)
    reply = model.respond(requests, ids=["a", "b", "c", "d"])
    assert reply.trace is not None
    for i, trace in enumerate(reply.trace):
        allowed = rules.allowed(i, N) & (np.arange(N) < 20)
        allowed[[1, *requests.history.row(i)["item"]]] = False
        shown = [item for item, _ in reply.slates.row(i)]
        assert shown and allowed[shown].all()
        facts = trace.stages[3].facts
        assert facts["left"] == allowed.sum() and facts["of"] == N and facts["excluded"] == 1
        assert facts["by_rule"]["price < 20"] == 4
    assert reply.trace[0].stages[3].facts["by_rule"]["maker == 'Hale'"] == 16
    assert "maker == 'Hale'" not in reply.trace[1].stages[3].facts["by_rule"]


def test_a_trace_tells_of_every_stage_and_every_item() -> None:
    data = shop()
    reply = cascade(VARIED).fit(data).respond(asked(data, k=6), ids=["a", "b", "c", "d"])
    assert reply.trace is not None and [t.request_id for t in reply.trace] == ["a", "b", "c", "d"]
    for i, trace in enumerate(reply.trace):
        assert [s.name for s in trace.stages] == ["understand", "retrieve", "rank", "rules", "page"]
        assert all(s.said.endswith(".") and s.seconds >= 0 for s in trace.stages)
        assert [t["item"] for t in trace.items] == [item for item, _ in reply.slates.row(i)]
        for told in trace.items:
            if told["ranked"] is None:
                assert told["reason"] == "Pinned to this place" and told["place"] == 2
            else:
                assert told["sources"] and told["reason"]
                assert told["score"] == pytest.approx(sum(s["part"] for s in told["sources"]), rel=1e-5)
    assert "A search for 'thing'" in reply.trace[0].stages[0].said
    assert "A feed for a stranger with no past events" in reply.trace[2].stages[0].said
    assert any("It costs little" in t["reason"] for t in reply.trace[1].items)
    assert any("for variety" in t["reason"] for t in reply.trace[1].items)


def test_a_pin_stands_in_its_place_unless_a_rule_forbids_it() -> None:
    data = shop()
    model = cascade(VARIED).fit(data)
    requests = Requests.strangers([[], [11], []], rules=compile_rules(data, 3, where=[None, None, "price > 12"]))
    slates = model.retrieve(requests, 6)
    assert slates.items[0, 1] == 11 and 11 not in slates.items[1] and 11 not in slates.items[2]
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in slates.items)


def test_a_source_that_fails_is_left_out_of_a_served_answer_and_the_trace_says_so() -> None:
    data = shop()
    model = cascade(broken=Source(retriever=Fixed(lambda i: i, fails="retrieve"))).fit(data)
    reply = model.respond(asked(data, k=4))
    assert reply.trace is not None
    for trace in reply.trace:
        assert "broken is missing (RuntimeError: the disk is gone)" in trace.stages[1].said
    assert (reply.slates.items >= 0).all()
    with pytest.raises(RuntimeError, match="disk"):  # what is measured is never quietly less than it says
        model.retrieve(asked(data), 4)


def test_a_late_source_is_not_waited_for() -> None:
    data = shop()
    model = cascade(slow=Source(retriever=Fixed(lambda i: i, seconds=1.0), seconds=0.05)).fit(data)
    begun = time.perf_counter()
    reply = model.respond(Requests.strangers([[]], k=4))
    assert time.perf_counter() - begun < 0.9
    assert reply.trace is not None and "slow is missing (later than 0.05 s)" in reply.trace[0].stages[1].said


def test_no_source_left_is_an_error() -> None:
    data = shop()
    model = Cascade({"only": Source(retriever=Fixed(lambda i: i, fails="retrieve"), serves="feed")}).fit(data)
    with pytest.raises(Unsupported, match="the disk is gone"):
        model.respond(Requests.strangers([[]]))
    with pytest.raises(Unsupported, match="no source of this cascade serves a search"):
        model.respond(Requests.strangers([[]], query=["lamp"]))
    with pytest.raises(BadSetting, match="at least one source"):
        Cascade({})
    with pytest.raises(BadSetting, match="'feed', 'search' or 'both'"):
        Source(retriever=None, serves="feeds")


def test_an_optional_source_without_its_tables_is_left_out_and_said() -> None:
    data, said = shop(), []
    broken = Fixed(lambda i: i, fails="fit")
    model = cascade(extra=Source(retriever=broken, optional=True)).fit(
        data, run=Run(progress=lambda stage, facts: said.append(stage))
    )
    assert model.fitted["left_out"] == {"extra": "no price is given"} and "fitting words" in said
    reply = model.respond(Requests.strangers([[]]))
    assert reply.trace is not None
    assert {"source": "extra", "left_out": "no price is given"} in reply.trace[0].stages[1].facts["sources"]
    varied = CascadeConfig(feed=Manner(page=PageConfig(variety="mmr", likeness="extra")))
    told = cascade(varied, extra=Source(retriever=broken, optional=True)).fit(data).respond(Requests.strangers([[]]))
    assert told.trace is not None and "A page of 10 by relevance" in told.trace[0].stages[4].said
    again = cascade(extra=Source(retriever=broken, optional=True)).restore(model.state())
    assert again.retrieve(asked(data), 5).equals(model.retrieve(asked(data), 5))
    with pytest.raises(BadData, match="no price"):
        cascade(extra=Source(retriever=broken)).fit(data)


def test_state_moves_with_standing_rules_and_pages() -> None:
    data = shop()
    config = CascadeConfig(where=("price < 15", "maker != 'Ives'"), feed=VARIED.feed)
    model = cascade(config).fit(data)
    again = cascade(config).restore(model.state())
    requests = asked(data)
    assert model.retrieve(requests, 8).items.tolist() == again.retrieve(requests, 8).items.tolist()
    assert all(isinstance(a, np.ndarray) and a.dtype != object for a in model.state().arrays.values())


def test_a_newer_catalogue_changes_what_standing_rules_hide() -> None:
    data = shop()
    model = cascade(CascadeConfig(where=("price < 3",))).fit(data)
    assert set(model.retrieve(Requests.strangers([[]]), 9).items[0].tolist()) == {0, 1, 2, -1}
    assert data.catalogue is not None
    model.attend(data.catalogue.with_columns(price=pl.col("price") * 2))
    assert set(model.retrieve(Requests.strangers([[]]), 9).items[0].tolist()) == {0, 1, -1}


def test_hard_wishes_are_obeyed_and_the_others_are_named() -> None:
    data = shop()
    model = cascade().fit(data)
    wishes = (
        Wish(text="nothing by Hale", wanted=False, hard=True, where="maker == 'Hale'"),
        Wish(text="under ten", hard=True, where="price < 10", until=5),
        Wish(text="cosy", hard=False),
        Wish(text="blue", hard=True, where="colour == 'blue'"),
    )
    turns = [(Turn(speaker="person", text="something cosy"),)]
    requests = Requests.strangers([[]], wishes=[wishes], turns=turns, at=np.array([9]), k=12)
    reply = model.respond(requests)
    assert reply.trace is not None
    assert all(item % 3 for item, _ in reply.slates.row(0)) and max(i for i, _ in reply.slates.row(0)) >= 10
    said = reply.trace[0].stages[0].said
    assert "not (maker == 'Hale')" in said and "has run out" in said and "'cosy' is soft" in said
    assert "conversation is not read" in said
    assert "'blue' cannot be obeyed" in said and "no column 'colour'" in said


class Backwards:
    """A ranker: the candidates in the opposite order."""

    def rank(self, requests: Requests, slates: Slates, features: object) -> Slates:
        items, scores = np.full_like(slates.items, -1), np.full_like(slates.scores, -np.inf)
        for i in range(len(slates)):
            row = [item for item, _ in slates.row(i)][::-1]
            items[i, : len(row)], scores[i, : len(row)] = row, -np.arange(len(row))
        return Slates(items=items, scores=scores)

    def state(self) -> State:
        return State()

    def restore(self, state: State) -> Backwards:
        return self


def test_a_ranker_orders_anew_and_the_sources_stay_known() -> None:
    data = shop()
    plain, model = cascade().fit(data), cascade().fit(data)
    model.ranking = Ranking(ranker=Backwards())
    requests = Requests.of(data, np.array([0, -1]))
    before, after = plain.retrieve(requests, N), model.retrieve(requests, N)
    for i in range(2):
        assert [a for a, _ in after.row(i)] == [a for a, _ in before.row(i)][::-1]
        parts = dict(zip(before.items[i].tolist(), before.columns["part_cheap"][i].tolist(), strict=True))
        width = len(after.row(i))
        assert after.columns["part_cheap"][i, :width].tolist() == [parts[a] for a, _ in after.row(i)]
    assert model.restore(model.state()).retrieve(requests, 3).equals(after.first(3))


def test_learning_forgetting_and_similar_items_are_handed_to_the_sources() -> None:
    data = shop()
    model = cascade().fit(data)
    model.partial_fit(data.events).forget(np.array([2, 99]))
    own = model.sources["cheap"].retriever.fitted
    assert own["events"] == 120 and own["forgot"] == [2, 99] and model.rows.events[2] == 0
    similar = model.similar_items(np.array([0, 5]), 4)
    assert similar.items.shape == (2, 4) and 0 not in similar.items[0] and 5 not in similar.items[1]
    with pytest.raises(Unsupported, match="similar items"):
        Cascade({"x": Source(retriever=Learnless())}).fit(data).similar_items(np.array([0]), 2)


class Learnless:
    def fit(self, dataset: Dataset, **more: object) -> Learnless:
        return self


def test_an_index_finds_the_nearest_under_rules_and_serves_as_a_source() -> None:
    data = shop()
    index = Index(IndexConfig(vectors="look")).fit(data)
    unit = data.vectors["look"] / np.linalg.norm(data.vectors["look"], axis=1, keepdims=True)
    query = np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32)
    rules = compile_rules(data, 2, where=["price < 9", None])
    found = index.search(query, Requests.strangers([[], [3]], rules=rules), 5)
    for i, hidden in enumerate((np.arange(N) >= 9, np.arange(N) == 3)):
        scores = np.where(hidden, -np.inf, unit @ query[i])
        assert found.items[i].tolist() == np.argsort(-scores)[:5].tolist()
    model = cascade(look=Source(retriever=index)).fit(data)
    assert model.retrieve(Requests.strangers([[1, 2], []]), 5).columns["part_look"].any()
    assert index.similar_items(np.array([4, 99]), 3).items[1].tolist() == [-1, -1, -1]
    again = Index(IndexConfig(vectors="look")).restore(index.state())
    assert again.search(query, Requests.strangers([[], []]), 5).equals(
        index.search(query, Requests.strangers([[], []]), 5)
    )
    with pytest.raises(UnknownName, match="look"):
        Index(IndexConfig(vectors="looks")).fit(data)
    with pytest.raises(BadSetting, match="one row for each request"):
        index.search(query[:, :3], Requests.strangers([[], []]), 5)


def test_fusion_weights_decide_the_order() -> None:
    data = shop()
    config = CascadeConfig(feed=Manner(fusion=FusionConfig(method="weighted")))
    model = cascade(config, dear=Source(retriever=Fixed(lambda i: i), weight=5.0, serves="feed")).fit(data)
    assert model.retrieve(Requests.strangers([[]]), 3).items[0].tolist() == [N - 1, N - 2, N - 3]
    named = CascadeConfig(feed=Manner(fusion=FusionConfig(method="weighted", weights={"dear": 5.0})))
    assert cascade(named).fit(data).retrieve(Requests.strangers([[]]), 3).items[0].tolist() == [N - 1, N - 2, N - 3]
    with pytest.raises(UnknownName, match="no source called 'deer'"):
        cascade(CascadeConfig(search=Manner(fusion=FusionConfig(weights={"deer": 1.0}))))


def test_a_stranger_is_not_told_about_a_past() -> None:
    data = shop()
    told = Source(retriever=Fixed(lambda i: i), weight=9.0, says="You chose the like", stranger="Many chose it")
    reply = cascade(told=told).fit(data).respond(Requests.strangers([[], [3]], k=1))
    assert reply.trace is not None
    reasons = [trace.items[0]["reason"].split(";")[0] for trace in reply.trace]
    assert reasons == ["Many chose it", "You chose the like"]
