"""Wishes bend a cascade: hard ones filter, soft ones order, an explicit no is never let go, and every item says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dialogue.shop import dataset, shop
from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.errors import BadSetting
from interplay.models.neighbours import ItemKnn
from interplay.types import Requests, Wish

DATA = dataset(shop())
FRAME = DATA.catalogue
CASCADE = Cascade(
    {"taste": Source(retriever=ItemKnn(), says="It goes with what you took")}, steer=Steer(SteerConfig(vectors=False))
).fit(DATA)
NO_RED = Wish(text="no red", wanted=False, hard=True, where="shade == 'red'", wish_id="red")
CHEAP = Wish(text="under 10", hard=True, where="price < 10", wish_id="cheap")
KETTLES = Wish(text="more kettles", where="kind == 'kettle'", wish_id="kettles")
LESS_STEEL = Wish(text="less steel", wanted=False, where="tags contains 'steel'", wish_id="steel")


def answer(*wishes: Wish, user: int = 3, k: int = 12):
    requests = replace(Requests.of(DATA, np.array([user])), wishes=[wishes], k=k)
    reply = CASCADE.respond(requests)
    return [int(i) for i in reply.slates.items[0] if i >= 0], reply.trace[0]


def column(name: str, items: list[int]) -> list[object]:
    return [FRAME[name][i] for i in items]


def test_hard_wishes_are_rules():
    items, trace = answer(NO_RED, CHEAP)
    assert items and "red" not in column("shade", items) and max(column("price", items)) < 10
    assert set(trace.stages[3].facts["by_rule"]) == {"not (shade == 'red')", "price < 10"}


def test_a_wish_with_a_scope_is_about_nothing_else():
    red = replace(NO_RED, scope="kind == 'kettle'")
    items, _ = answer(red, k=60)
    assert "red" in column("shade", items)
    assert ("red", "kettle") not in set(zip(column("shade", items), column("kind", items), strict=True))
    cheap, _ = answer(replace(CHEAP, scope="kind == 'kettle'"), k=120)
    paid = list(zip(column("kind", cheap), column("price", cheap), strict=True))
    assert max(p for kind, p in paid if kind == "kettle") < 10 < max(p for kind, p in paid if kind != "kettle")
    steel, trace = answer(replace(LESS_STEEL, scope="kind == 'saw'"), k=60)
    against = [bool(told["against"]) for told in trace.items]
    assert against == [
        k == "saw" and "steel" in t for k, t in zip(column("kind", steel), column("tags", steel), strict=True)
    ]


def test_soft_wishes_order_and_taste_orders_within():
    items, trace = answer(KETTLES)
    kinds = column("kind", items)
    assert kinds == sorted(kinds, key=lambda k: k != "kettle") and "kettle" in kinds
    assert trace.stages[2].facts["weighed"] == [{"text": "more kettles", "wanted": True}]


def test_what_is_rather_not_wanted_is_scored_by_itself_and_sinks():
    tags = lambda items: [("steel" in t) for t in column("tags", items)]
    plain, _ = answer(k=60)
    bent, trace = answer(LESS_STEEL, k=60)
    assert any(tags(plain)) and tags(bent) == sorted(tags(bent))
    assert trace.items[0]["against"] == []


def test_items_say_which_wishes_they_meet_and_go_against_with_figures():
    _, trace = answer(KETTLES, replace(CHEAP, where="price < 40"))
    first = trace.items[0]
    assert {"wish_id": "kettles", "text": "more kettles", "figure": 1.0} in first["meets"]
    assert {m["wish_id"] for m in first["meets"]} == {"kettles", "cheap"}
    assert set(first["wishes"]) == {"taste", "wanted", "unwanted"}
    _, trace = answer(Wish(text="kettles", hard=True, where="kind == 'kettle'"), LESS_STEEL)
    assert [m["wish_id"] for m in trace.items[0]["against"]] == ["steel"]  # every kettle here is of steel


def test_the_newest_hard_wish_is_let_go_first_and_the_nearest_stands_first():
    free = Wish(text="under 1", hard=True, where="price < 1", wish_id="free")
    items, trace = answer(NO_RED, KETTLES, free)
    assert items and "red" not in column("shade", items)
    assert trace.stages[0].facts["relaxed"][0]["wish_id"] == "free"
    said = trace.stages[0].facts["relaxed"][0]["said"]
    assert said.startswith("Nothing is under 1 with everything else you asked.") and said.endswith(
        "Every “never” still holds."
    )
    assert column("kind", items)[0] == "kettle"
    prices = [p for p, k in zip(column("price", items), column("kind", items), strict=True) if k == "kettle"]
    assert prices[0] == min(prices)


def test_an_explicit_no_is_never_let_go_even_when_nothing_is_left():
    nothing = [Wish(text=f"no {s}", wanted=False, hard=True, where=f"shade == '{s}'") for s in ("red", "blue", "green")]
    items, trace = answer(*nothing, CHEAP)
    assert items == []
    assert "nothing is left" in trace.stages[0].said


def test_an_older_wish_outlives_a_newer_one():
    wool = Wish(text="wool", hard=True, where="tags contains 'wool'")
    saws = Wish(text="saws", hard=True, where="kind == 'saw'", wish_id="saws")  # no saw is of wool
    items, trace = answer(wool, saws)
    assert [r["wish_id"] for r in trace.stages[0].facts["relaxed"]] == ["saws"]
    assert all("wool" in t for t in column("tags", items))


def test_a_soft_wish_that_nothing_left_meets_is_named():
    wool = Wish(text="more wool", where="tags contains 'wool'", wish_id="wool")
    _, trace = answer(Wish(text="saws", hard=True, where="kind == 'saw'"), wool)
    assert trace.stages[0].facts["relaxed"] == [
        {"wish_id": "wool", "said": "Nothing meets “wool” of what is left. For this answer I let go of it."}
    ]


def test_being_like_a_thing_is_sharing_its_labels():
    like = Wish(text="like it", like=(5,))
    items, _ = answer(like)
    mine = (FRAME["kind"][5], FRAME["shade"][5], FRAME["maker"][5])
    shared = [sum(a == b for a, b in zip(mine, column_of(i), strict=True)) for i in items]
    assert 5 not in items and shared[0] == max(shared) == 3


def column_of(item: int) -> tuple[object, ...]:
    return FRAME["kind"][item], FRAME["shade"][item], FRAME["maker"][item]


def test_a_wish_whose_time_is_over_or_whose_column_is_gone_holds_nothing():
    over = replace(NO_RED, until=5)
    gone = Wish(text="no heavy things", wanted=False, hard=True, where="weight > 3")
    steered = CASCADE.steer.plan([over, gone], np.ones(len(FRAME), bool), at=6)
    assert steered.where == () and steered.left == len(FRAME)
    assert "cannot be obeyed" in steered.said[0]


def test_without_wishes_a_steered_cascade_answers_as_one_without():
    bare = Cascade({"taste": Source(retriever=ItemKnn())}).fit(DATA)
    requests = Requests.of(DATA, np.arange(10), k=8)
    assert CASCADE.retrieve(requests, 8).equals(bare.retrieve(requests, 8))


def test_a_batch_is_answered_as_one_by_one():
    wishes = [(NO_RED,), (), (KETTLES, LESS_STEEL), (CHEAP,), (KETTLES, replace(CHEAP, where="price < 1"))]
    batch = replace(Requests.of(DATA, np.arange(5), k=10), wishes=wishes)
    together = CASCADE.retrieve(batch, 10)
    for i in range(5):
        assert CASCADE.retrieve(batch.slice(i, i + 1), 10).equals(together.slice(i, i + 1))


def test_a_steered_cascade_moves_with_its_state():
    other = Cascade({"taste": Source(retriever=ItemKnn())}, steer=Steer(SteerConfig(vectors=False)))
    other.restore(CASCADE.state()).attend(DATA)
    requests = replace(Requests.of(DATA, np.array([3]), k=10), wishes=[(KETTLES, NO_RED)])
    assert other.retrieve(requests, 10).equals(CASCADE.retrieve(requests, 10))


def test_settings_that_cannot_be_meant_are_refused():
    with pytest.raises(BadSetting, match="scale is 'log'"):
        Steer(SteerConfig(scale="log"))


def test_what_is_remembered_of_wishes_is_bounded_by_its_bytes(monkeypatch):
    steer = CASCADE.steer.attend(CASCADE.steer.catalogue, FRAME)
    wishes = [Wish(text=f"under {price}", where=f"price < {price}", wish_id=str(price)) for price in range(5, 25)]
    told = [steer.part(wish) for wish in wishes]
    monkeypatch.setattr("interplay.dialogue.steer.HELD", 3 * told[0].nbytes)
    assert len(steer._parts) == len(wishes)
    steer.part(NO_RED)
    assert len(steer._parts) == 3
    assert all((steer.part(wish) == part).all() for wish, part in zip(wishes, told, strict=True))
