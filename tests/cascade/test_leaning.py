"""What one request leans towards: boosts, caps, diversity, and a time by which it wants its answer."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest

from interplay.cascade.cascade import Cascade
from interplay.cascade.page import PageConfig
from interplay.cascade.parts import CascadeConfig, Manner, Source
from interplay.errors import BadSetting, UnknownName, Unsupported
from interplay.types import Arrangement, Boost, Dataset, Events, Ids, Requests, Rows, Slates

N = 400
DATA = Dataset(
    name="row", users=Ids(["ada"]), items=Ids([f"i{i}" for i in range(N)]),
    events=Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32), ordered=True),
    catalogue=pl.DataFrame({
        "kind": ["lamp" if i % 4 else "tea" for i in range(N)], "price": [float(i) for i in range(N)],
        "categories": [[f"shelf {i // 4 % 8}"] for i in range(N)],
    }),
)  # fmt: skip


class Line:
    """Gives the items in the order of their index, with the scores it is made with."""

    def __init__(self, first: float = 400.0) -> None:
        self.first = first

    def fit(self, dataset, **_):
        self.rows = Rows.of(dataset)
        return self

    def retrieve(self, requests, n):
        items = np.tile(np.arange(min(n, N), dtype=np.int32), (len(requests), 1))
        return Slates(items=items, scores=np.float32(self.first) - items.astype(np.float32))


def line(**page: object) -> Cascade:
    config = CascadeConfig(feed=Manner(page=PageConfig(**page)))  # type: ignore[arg-type]
    return Cascade({"line": Source(retriever=Line(), n=200)}, config=config).fit(DATA)


def asked(k: int = 5, **more: object) -> Requests:
    return Requests.strangers([[]], k=k, **more)  # type: ignore[arg-type]


def test_a_boost_lifts_what_meets_it_from_beyond_the_usual_candidates():
    reply = line().respond(asked(boosts=[(Boost(where="price >= 395", by=100.0),)]))
    assert reply.slates.items[0].tolist() == [395, 396, 397, 398, 399]
    facts = next(s.facts for s in reply.trace[0].stages if s.name == "rank")
    assert facts["boosts"] == [{"where": "price >= 395", "by": 100.0}] and facts["boosted"] == 5
    assert reply.trace[0].items[0]["reason"].endswith("raised by a rule of this request (x100)")


def test_a_boost_below_one_lowers_and_boosts_multiply():
    down = line().respond(asked(boosts=[(Boost(where="kind == 'tea'", by=0.5),)])).slates
    assert not set(down.items[0] % 4) & {0}
    both = line().respond(asked(boosts=[(Boost(where="price < 2", by=4.0), Boost(where="price < 2", by=0.25))])).slates
    assert both.items[0].tolist() == [0, 1, 2, 3, 4]


def test_a_factor_above_one_raises_a_negative_score_too():
    from interplay.cascade.leaning import leant
    from interplay.cascade.rules import Catalogue

    slates = Slates(items=np.array([[0, 1]], np.int32), scores=np.array([[-2.0, -3.0]], np.float32))
    out = leant(slates, asked(boosts=[(Boost(where="price == 1", by=2.0),)]), Catalogue.of(DATA))
    assert out.items.tolist() == [[1, 0]] and out.scores.tolist() == [[-1.5, -2.0]]


def test_each_request_of_a_batch_has_its_own_boosts():
    two = Requests.strangers([[], []], k=2, boosts=[(), (Boost(where="price == 7", by=100.0),)])
    assert line().respond(two).slates.items.tolist() == [[0, 1], [7, 0]]
    assert line().respond(two.take(np.array([1]))).slates.items.tolist() == [[7, 0]]


def test_caps_of_a_request_join_those_of_the_recipe_and_never_loosen_them():
    reply = line().respond(asked(arrangement=Arrangement(caps={"kind": 2})))
    assert reply.slates.items[0].tolist() == [0, 1, 2, 4, -1]
    strict = line(caps={"kind": 1}).respond(asked(arrangement=Arrangement(caps={"kind": 3}))).slates
    assert strict.items[0].tolist() == [0, 1, -1, -1, -1]
    assert "at most 2 of one kind" in next(s.said for s in reply.trace[0].stages if s.name == "page")


def test_diversity_mixes_shelves_where_the_recipe_orders_by_relevance():
    shelves = lambda slates: len(set(slates.items[0] // 4 % 8))
    assert shelves(line().respond(asked(k=8)).slates) == 2
    assert shelves(line().respond(asked(k=8, arrangement=Arrangement(diversity=0.8))).slates) == 8
    none = line().respond(asked(k=8, arrangement=Arrangement(diversity=0.0))).slates
    assert none.items[0].tolist() == list(range(8))


@pytest.mark.parametrize("wrong", [{"caps": {"kind": 0}}, {"diversity": 1.5}])
def test_an_arrangement_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(BadSetting, match="expected"):
        line().respond(asked(arrangement=Arrangement(**wrong)))


def test_names_that_the_catalogue_lacks_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="kind"):
        line().respond(asked(arrangement=Arrangement(caps={"kinds": 2})))
    with pytest.raises(UnknownName, match="price"):
        line().respond(asked(boosts=[(Boost(where="prise < 2", by=2.0),)]))
    with pytest.raises(BadSetting, match=r"from 0\.01 to 100"):
        line().respond(asked(boosts=[(Boost(where="price < 2", by=0.0),)]))


def test_a_source_later_than_the_request_can_wait_is_left_out_and_the_trace_says_so():
    class Late(Line):
        def retrieve(self, requests, n):
            time.sleep(0.4)
            return super().retrieve(requests, n)

    cascade = Cascade({"late": Source(retriever=Late()), "prompt": Source(retriever=Line())}).fit(DATA)
    begun = time.perf_counter()
    reply = cascade.respond(asked(), seconds=0.05)
    assert time.perf_counter() - begun < 0.3 and (reply.slates.items[0] >= 0).all()
    assert "late is missing (later than 0.05 s)" in next(s.said for s in reply.trace[0].stages if s.name == "retrieve")
    with pytest.raises(Unsupported, match="no source could answer"):
        Cascade({"late": Source(retriever=Late())}).fit(DATA).respond(asked(), seconds=0.01)
