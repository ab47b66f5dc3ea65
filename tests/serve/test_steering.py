"""Talking to the engine: the next feed obeys, keeps obeying, says what it did, and can be told to forget."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.data.store.store import Store
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.errors import BadSetting, UnknownName
from interplay.llm import NoReply, Scripted
from interplay.models.neighbours import ItemKnn
from interplay.serve.engine import Engine
from interplay.serve.steering import Steering
from interplay.types import Dataset
from interplay.worlds.market import market

MARKET = replace(market(n_items=300, n_people=60, days=7).dataset, name="stall")
WHO = "p-00003"


def built(dataset: Dataset = MARKET, store: Store | None = None) -> Steering:
    steer = Steer(SteerConfig(vectors=False))
    cascade = Cascade({"taste": Source(retriever=ItemKnn(), serves="feed")}, steer=steer).fit(dataset)
    return Steering(Engine(dataset, cascade, store=store))


def cards(feed: dict) -> list[dict]:
    return [*feed["heroes"], *(c for shelf in feed["shelves"] for c in shelf["items"]), *feed["grid"]]


def columns(steering: Steering, feed: dict, name: str) -> list[object]:
    frame = steering.engine.dataset.catalogue
    index = steering.engine.dataset.items.index([c["item_id"] for c in cards(feed)])
    return [frame[name][int(i)] for i in index]


def test_the_whole_feed_obeys_and_goes_on_obeying():
    steering = built()
    answer = steering.chat(WHO, "no books, under 20")
    assert answer["understood"] and answer["said"].startswith("Now: no books and under 20. ")
    for feed in (answer["feed"], steering.chat(WHO, "cromulent")["feed"]):
        assert "book" not in columns(steering, feed, "kind")
        prices = [c["price"] for c in [*feed["heroes"], *feed["grid"]]]
        assert prices and max(prices) < 20
    assert [c["text"] for c in answer["wishes"]] == ["under 20", "no books"]
    assert answer["feed"]["title"].startswith("Two rules, ")
    json.dumps(answer)


def test_rails_of_similar_things_never_show_what_was_refused():
    steering = built()
    steering.chat(WHO, "no books")
    engine = steering.engine
    for item in engine.dataset.items.names[:40]:
        near = engine.similar(item, user=WHO, k=10)
        assert all(engine.window.row(i)["kind"] != "book" for i in near.items)


def test_cards_and_chips_say_which_wishes_are_met():
    steering = built()
    answer = steering.chat(WHO, "more teas, less plastic")
    teas = next(c for c in answer["wishes"] if c["text"] == "more teas")
    meeting = [c for c in cards(answer["feed"]) if any(m["wish_id"] == teas["wish_id"] for m in c.get("meets", ()))]
    assert meeting and teas["met"] == len(meeting)
    assert {c["kind"].split(", ")[0] for c in meeting} == {"Teas"}


def test_a_reference_is_to_the_page_as_it_was_sent():
    steering = built()
    shown = [str(i) for i in steering.engine.dataset.items.names[10:16]]
    answer = steering.chat(WHO, "like the second one but cheaper", shown=shown)
    title = steering.engine.window.title(steering.engine.item(shown[1]))
    price = steering.engine.window.card(steering.engine.item(shown[1]))["price"]
    assert f"like {title}" in answer["said"]
    assert any(c["where"] == f"price < {price:g}" for c in answer["wishes"])


def test_undo_gives_the_same_feed_back():
    steering = built()
    before = steering.chat(WHO, "no books", draw=1)
    steering.chat(WHO, "teas", draw=1)
    after = steering.chat(WHO, "undo", draw=1)
    assert after["said"].startswith("Taken back: teas.")
    ids = lambda feed: [c["item_id"] for c in cards(feed)]
    assert ids(after["feed"]) == ids(before["feed"])
    assert steering.undo(WHO)["wishes"] == [] and steering.undo(WHO)["said"] == "There is nothing to take back."


def test_nonsense_writes_nothing_and_says_so():
    steering = built()
    head = steering.engine.store.head().row
    answer = steering.chat(WHO, "cromulent")
    assert not answer["understood"] and answer["near"] and answer["changes"] == []
    assert answer["said"] == "I found nothing here called “cromulent”, so nothing changed."
    assert steering.engine.store.head().row == head


def test_an_empty_pool_is_relaxed_and_told():
    steering = built()
    answer = steering.chat(WHO, "no books, under 1 euro")
    assert [r["wish_id"] for r in answer["relaxed"]] == [answer["wishes"][0]["wish_id"]]
    assert answer["feed"]["title"].startswith("Nothing fits it all.")
    assert "book" not in columns(steering, answer["feed"], "kind")


def test_changes_by_hand_answer_with_the_new_wishes_and_feed():
    steering = built()
    wish = steering.chat(WHO, "less plastic")["wishes"][0]["wish_id"]
    hard = steering.change(WHO, wish, {"hard": True, "pinned": True})
    assert hard["wishes"][0]["says"] == "never, until you say so"
    assert all("plastic" not in traits for traits in columns(steering, hard["feed"], "traits"))
    until = steering.change(WHO, wish, {"pinned": False, "until": "2030-01-01T00:00:00+00:00"})
    assert until["wishes"][0]["until"] == "2030-01-01T00:00:00+00:00"
    assert steering.remove(WHO, wish)["wishes"] == []
    with pytest.raises(BadSetting, match="expected a moment"):
        steering.change(WHO, wish, {"until": "next week"})
    with pytest.raises(UnknownName, match="no wish called"):
        steering.remove(WHO, wish)


def test_a_scope_keeps_a_wish_to_one_kind_of_thing():
    steering = built()
    wish = steering.chat(WHO, "no plastic")["wishes"][0]["wish_id"]
    kind = steering.engine.window.kinds()
    narrowed = steering.change(WHO, wish, {"scope": kind.labels[0]})
    assert narrowed["wishes"][0]["scope"] == kind.values[0] and kind.values[0] in narrowed["wishes"][0]["says"]
    assert steering.change(WHO, wish, {"scope": "price < 20"})["wishes"][0]["scope"] == "price < 20"
    with pytest.raises(UnknownName, match="nearest"):
        steering.change(WHO, wish, {"scope": "prise < 20"})
    assert steering.change(WHO, wish, {"scope": "everything"})["wishes"][0]["says"] == "never, this visit"


def test_wishes_are_the_persons_own_and_survive_a_restart(tmp_path):
    store = Store.open(tmp_path / "log.db")
    steering = built(store=store)
    steering.chat(WHO, "no books")
    assert steering.instructions("p-00004") == {"wishes": []}
    again = built(store=store)
    assert [c["text"] for c in again.instructions(WHO)["wishes"]] == ["no books"]


def test_a_stream_sends_what_was_understood_before_the_feed():
    names = [name for name, _ in built().parts(WHO, "no books")]
    assert names == ["understood", "wishes", "feed"]


def test_the_words_are_those_of_the_catalogue_as_it_is_now():
    steering = built()
    assert not steering.read(WHO, "gramophones").changes
    engine = steering.engine
    engine.store.put_items([{"item_id": "g-1", "kind": "gramophone", "title": "Gramophone"}])
    engine.store.put_items([{"item_id": "g-2", "kind": "gramophone", "title": "Gramophone, small"}])
    engine.look()
    assert steering.read(WHO, "gramophones").wishes[0].wish.where == "kind == 'gramophone'"


def test_a_catalogue_of_nothing_but_ids_can_be_talked_to():
    bare = replace(MARKET, catalogue=pl.DataFrame({"item_id": MARKET.items.names}))
    answer = built(bare).chat(WHO, "no books")
    assert not answer["understood"] and answer["feed"]["heroes"]


def test_a_text_model_is_asked_too_and_its_silence_is_told():
    steering = built()
    said = {"wishes": [{"words": "nothing to read", "wanted": False, "hard": True, "column": "kind", "value": "book"}]}
    steering.model = Scripted(answers=[said, NoReply("the text model did not answer within 2 seconds")])
    answer = steering.chat(WHO, "nothing to read")
    assert answer["by"] == "text model" and answer["wishes"][0]["where"] == "kind == 'book'"
    assert "book" not in columns(steering, answer["feed"], "kind")
    silent = steering.chat(WHO, "no teas")
    assert silent["by"] == "rules" and silent["doubts"][0].endswith("the built-in parser read it instead.")
