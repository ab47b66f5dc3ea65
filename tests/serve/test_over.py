"""The engine over a store: what is new acts at once, for all who serve from it, and another model without a pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from serving import NOW, built, shop

from interplay import learning
from interplay.data.store.happened import Happened
from interplay.data.store.people import merge_people
from interplay.data.store.shown import newest
from interplay.data.store.snapshot import load
from interplay.data.store.store import Store
from interplay.errors import BadData
from interplay.fitted import Fitted
from interplay.recipe import LearningConfig, Recipe, ServingConfig
from interplay.serve.answers import NotHere
from interplay.serve.engine import DAY, Engine
from interplay.serve.feed import feed
from interplay.serve.finding import search
from interplay.serve.telling import tell
from interplay.types import Run, Wish

DATA = shop()
ALWAYS = LearningConfig(gate="always")
RECIPE = """
where = ["price < 1000"]
[source.words]
system = "bm25"
[source.taste]
system = "item-knn"
serves = "feed"
[source.often]
system = "popular"
weight = 0.1
[page]
caps = { maker = 9 }
"""


@pytest.fixture
def sold(store: Store) -> Store:
    """A store with the shop's log and a model of it."""
    load(store, DATA)
    fitted = Fitted.cooked(Recipe.parse(RECIPE, name="shop.toml"), DATA, run=Run(seed=0))
    learning.kept(store, fitted, learning.snapshot(store), {}, promote="first")
    return store


@pytest.fixture
def engine(sold: Store) -> Engine:
    return Engine.over(sold)


def names(engine: Engine, answer) -> list[object]:
    return [engine.dataset.items[i] for i in answer.items]


def did(kind: str, item: str | None, user: str = "u3", **more: object) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "event_type": kind, **more}


def everything(engine: Engine, user: str = "u3", **more: object) -> list[object]:
    return names(engine, engine.answer(user=user, k=300, **more))


# ------------------------------------------------------------------------------------------- a clock that was set back

HOUR = 3_600_000_000


def back(by: int):
    """The machine's clock, set back."""
    return lambda: time.time_ns() // 1000 - by


@pytest.mark.parametrize("answered", [False, True])
def test_a_clock_that_was_set_back_before_a_restart_moves_nothing_before_the_log(sold, place, answered, monkeypatch):
    first = Engine.over(sold)
    tell(first, [did("click", "lamp-0", "newcomer")])
    before = sold.of("newcomer")[-1].time
    if answered:  # the newest moment is then that of a page
        first._clock = back(-HOUR // 2)
        before = first.answer(user="newcomer", k=3).at
        sold.database.flush()
    for by, item in ((HOUR, "book-2"), (2 * HOUR, "tea-1")):
        monkeypatch.setattr("interplay.data.store.store.now", back(by))  # when an event is kept
        again = Engine.over(Store.open(place), clock=back(by))
        assert before <= again.now() < before + 60_000_000
        tell(again, [did("click", item, "newcomer")])
        assert not {"lamp-0", item} & set(everything(again, "newcomer"))
        again.close()
    times = [e.time for e in sold.of("newcomer")]
    assert times == sorted(times) and len(times) == 3


def test_a_clock_that_was_wrong_by_days_before_a_restart_is_followed(sold):
    first = Engine.over(sold)
    tell(first, [did("click", "lamp-0", "newcomer")])
    lag = first.now() - first._clock()
    again = Engine.over(sold, clock=back(3 * DAY))
    assert abs(again.now() - (again._clock() + lag)) < 60_000_000


def test_a_client_whose_clock_is_ahead_holds_up_no_restarted_engine(store):
    now = time.time_ns() // 1000
    ahead = Happened(event_id="a", user_id="v", item_id="i", event_type="click", time=now + DAY // 2)
    assert newest(store, now, 0) == 0
    store.append([ahead])
    assert now <= newest(store, now, 0) < now + 60_000_000
    assert newest(store, now - 2 * DAY, 0) == 0, "a day and more ahead the clock was wrong"


# ---------------------------------------------------------------------------------------------------------- two engines


def test_two_engines_over_one_store_give_equal_answers_after_the_same_events(sold):
    here, there = (Engine.over(sold) for _ in range(2))
    rng = np.random.default_rng(0)
    for step in range(12):
        item = str(DATA.items[int(rng.integers(160))])
        writer = (here, there)[step % 2]
        tell(writer, [did(("click", "keep", "less")[step % 3], item, f"v{step % 3}", event_id=f"e{step}")])
        if step == 4:
            sold.put_items([{"item_id": "new", "title": "Cobalt kite", "price": 3.0, "kind": "kite"}])
        if step == 7:
            tell(there, [did("undo", None, "v0", undoes="e0")])
        if step == 9:
            merge_people(sold, "v1", "v0", at=here.now())
        for user in ("v0", "v1", "v2", "u7", None):
            at = here.now()
            a, b = (e.answer(user=user, k=20, draw=7, at=at) for e in (here, there))
            assert names(here, a) == names(there, b)
            assert a.slates.equals(b.slates)
        a, b = (search(e, "lantern", user="v0").answer for e in (here, there))
        assert names(here, a) == names(there, b)


def test_an_answer_of_one_engine_is_told_of_and_gone_on_with_by_another(sold):
    here, there = (Engine.over(sold) for _ in range(2))
    first = search(here, "lantern", k=5).answer
    sold.database.flush()
    held = there.held(first.request_id)
    assert held.items == first.items and held.draw == first.draw and held.trace.stages[0].said
    then = names(there, there.more(first.request_id))
    assert len(then) == 5 and not set(then) & set(names(here, first))


def test_what_was_shown_is_kept_with_the_policy_that_showed_it(engine):
    answer = engine.answer(user="u3", k=3)
    from interplay.data.store.people import export_person

    engine.store.database.flush()
    kept = [i for i in export_person(engine.store, "u3")["impressions"] if i["request_id"] == answer.request_id]
    assert [i["item_id"] for i in kept] == names(engine, answer) and kept[0]["policy"] == "shop.toml"
    assert kept[0]["propensity"] == 1.0 and [i["slot"] for i in kept] == [0, 1, 2]


# -------------------------------------------------------------------------------------------------------- the catalogue


def test_a_new_item_is_found_by_its_words_shown_in_feeds_and_ruled_at_once(engine):
    kite = {"item_id": "new", "title": "Cobalt kite", "text": "Flies.", "price": 3.0, "kind": "kite", "maker": "Wind"}
    assert "is not a word" in search(engine, "cobalt").notes[0]["text"]
    engine.store.put_items([kite])
    found = search(engine, "cobalt kite")
    assert names(engine, found.answer)[0] == "new" and found.total == 1
    assert "new" in everything(engine) and everything(engine, where="kind == 'kite'") == ["new"]
    assert engine.window.title(engine.item("new")) == "Cobalt kite"
    tell(engine, [did("click", "new", "visitor")])
    assert engine.request(user="visitor").history["item"].tolist() == [160]
    assert feed(engine, "visitor")["title"]


def test_a_model_without_texts_shows_what_is_new_where_its_own_list_ends():
    engine = built(DATA)
    engine.store.put_items([{"item_id": "new", "title": "Cobalt kite", "price": 3.0}])
    shown = everything(engine)
    assert shown[-1] == "new" and len(shown) == 151
    assert names(engine, search(engine, "cobalt").answer) == ["new"]
    assert engine.answer(user="u3", k=300).trace.items[-1]["reason"].startswith("New here")


def test_many_new_items_are_read_beside_the_requests(engine, monkeypatch):
    rows = [{"item_id": f"n{i}", "title": f"Cobalt kite {i}", "price": 3.0} for i in range(40)]
    reading, may = engine.watch._read_on, threading.Event()
    monkeypatch.setattr(engine.watch, "_read_on", lambda: may.wait() and reading())
    engine.store.put_items(rows)
    found = search(engine, "cobalt", k=50)  # by their words, before the cascade has read them
    assert engine.scene.unranked == 160 and found.total == 40 and len(names(engine, found.answer)) == 40
    dear = [Wish(text="above 5", where="price > 5", hard=True)]
    assert not any(name.startswith("n") for name in names(engine, engine.answer(k=300, wishes=dear)))
    may.set()
    for _ in range(100):
        if not engine.scene.waiting:
            break
        time.sleep(0.05)
    assert not engine.scene.waiting and engine.scene.unranked == 200
    assert len(names(engine, search(engine, "cobalt", k=50).answer)) == 40


def test_a_changed_item_is_shown_as_it_is_now(engine):
    engine.store.put_items([{"item_id": "lamp-0", "title": "Ruby anchor", "price": 2.0}], patch=True)
    assert names(engine, search(engine, "ruby anchor").answer) == ["lamp-0"] and engine.window.row(0)["kind"] == "lamp"
    assert engine.window.row(0)["price"] == 2.0 and "lamp-0" in everything(
        engine, where="price < 3", withhold_seen=False
    )


def test_a_deleted_item_is_never_shown_again(engine):
    engine.store.delete_items(["lamp-0", "tea-1"])
    for user in (None, "u3", "u5"):
        assert not {"lamp-0", "tea-1"} & set(everything(engine, user, withhold_seen=False))
    assert "lamp-0" not in names(engine, engine.similar("lamp-60", k=100))
    assert "lamp-0" not in names(engine, search(engine, "pebble reading", k=100).answer)
    engine.store.put_items([{"item_id": "lamp-0", "title": "Back again", "price": 5.0}])
    assert "lamp-0" in everything(engine, None, withhold_seen=False)


def test_what_is_out_of_stock_is_not_shown_until_it_is_back(engine):
    engine.store.put_items([{"item_id": "lamp-0", "in_stock": False}], patch=True)
    assert "lamp-0" not in everything(engine, None) and "on offer" in str(engine.answer().trace.stages)
    engine.store.put_items([{"item_id": "lamp-0", "in_stock": True}], patch=True)
    assert "lamp-0" in everything(engine, None)


def test_a_renamed_item_goes_by_its_new_name_with_its_old_history(engine):
    item = DATA.items[int(DATA.histories(np.array([3]))["item"][0])]
    engine.store.rename_item(item, "renamed")
    assert engine.item("renamed") == DATA.items.index([item])[0]
    assert "renamed" not in everything(engine) and "renamed" in everything(engine, withhold_seen=False)
    with pytest.raises(NotHere):
        engine.item(item)


# -------------------------------------------------------------------------------------------------------------- people


def test_what_was_learnt_can_be_taken_back_too(engine, sold):
    known = sold.of("u3")[0]
    before = engine.request(user="u3").history.lengths[0]
    tell(engine, [did("undo", None, undoes=known.event_id)])
    assert engine.request(user="u3").history.lengths[0] == before - 1


def test_a_visitor_who_signs_in_brings_the_visit_along(engine):
    tell(engine, [did("click", "lamp-0", "visitor"), did("less", "tea-1", "visitor")])
    before = engine.request(user="u4").history["item"].tolist()
    merge_people(engine.store, "visitor", "u4", at=engine.now())
    after = engine.request(user="u4").history["item"].tolist()
    assert sorted(after) == sorted([*before, 0]) and "tea-1" not in everything(engine, "u4", withhold_seen=False)


def test_an_erased_person_is_a_stranger_at_once(engine, sold):
    answer = engine.answer(user="u3")
    learning.erase(sold, "u3")
    request = engine.request(user="u3")
    assert request.user[0] == -1 and request.history.lengths[0] == 0
    assert not (engine.dataset.events.user == 3).any()
    with pytest.raises(NotHere):
        engine.held(answer.request_id)
    assert engine.answer(user="u3").notes == ("nothing is known of 'u3': answered as to a stranger",)
    assert Engine.over(sold).request(user="u3").history.lengths[0] == 0


# ----------------------------------------------------------------------------------------------------- models, policies


def test_a_promoted_model_takes_over_and_no_request_is_dropped(sold):
    engine = Engine.over(sold)
    failed: list[BaseException] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                assert len(engine.answer(user="u3", k=10).items) == 10
            except BaseException as wrong:
                failed.append(wrong)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    tell(engine, [did("click", f"lamp-{4 * i}", f"v{i}") for i in range(20)])
    done = learning.train(sold, "popular", learning=ALWAYS)
    for _ in range(200):
        if engine.scene.head.live == done.model.version:
            break
        time.sleep(0.05)
    ended.set()
    for thread in threads:
        thread.join()
    assert not failed and engine.name == "popular" and engine.heard() == 0
    assert engine.request(user="v3").history["item"].tolist() == [12]
    sold.models.rollback()
    engine.look()
    for _ in range(200):
        if engine.name == "shop.toml":
            break
        time.sleep(0.05)
    assert engine.name == "shop.toml" and engine.request(user="v3").history["item"].tolist() == [12]


def test_a_model_that_cannot_be_read_leaves_the_old_one_serving(sold, caplog):
    engine = Engine.over(sold)
    done = learning.train(sold, "popular", learning=ALWAYS)
    (sold.models.path(done.model) / "arrays.safetensors").write_bytes(b"broken")
    before = engine.name
    for _ in range(50):
        assert engine.answer(user="u3", k=5).items
        if "serves on" in caplog.text:
            break
        time.sleep(0.05)
    assert engine.name == before and "changed; copy the directory again" in caplog.text
    sold.models.rollback()
    assert engine.answer(user="u3", k=5).items and engine.scene.head.live == 1


def test_a_store_without_a_model_says_what_to_do(store):
    with pytest.raises(BadData, match="has no live model; train one: interplay train"):
        Engine.over(store)


def test_an_old_log_is_served_on_its_own_calendar_by_every_engine(sold):
    engine, other = Engine.over(sold), Engine.over(sold)  # the log was kept just now, long after it happened
    ended = int(DATA.events.time.max())
    assert ended <= engine.now() < ended + DAY and abs(engine.now() - other.now()) < 1_000_000
    fresh = Store.open()
    fresh.append([Happened(event_id="a", user_id="u", item_id="i", event_type="click", time=time.time_ns() // 1000)])
    learning.train(fresh, "popular", learning=ALWAYS)
    assert abs(Engine.over(fresh).now() - time.time_ns() // 1000) < 1_000_000
    fresh.close()


@pytest.fixture
def buying() -> Iterator[Store]:
    yield (store := Store.open())
    store.close()


def policed(store: Store, **settings: object) -> Engine:
    return built(DATA, store=store, serving=ServingConfig(**settings))  # type: ignore[arg-type]


def test_what_is_bought_again_and_again_may_be_shown_again(buying):
    engine = policed(buying, withhold="bought", again=30.0)
    tell(engine, [did("click", "lamp-0", "v"), did("purchase", "tea-1", "v"),
                  did("purchase", "book-2", "v", timestamp=NOW - 40 * DAY)])  # fmt: skip
    shown = set(everything(engine, "v"))
    assert {"lamp-0", "book-2"} <= shown and "tea-1" not in shown
    assert "tea-1" in everything(policed(Store.open(), withhold="nothing"), "u3")


def test_a_holdout_is_answered_as_strangers_are_and_says_so(buying):
    engine = policed(buying, holdout=0.4)
    out = [u for u in (f"u{i}" for i in range(59)) if engine.held_out(u)]
    assert 12 <= len(out) <= 35 and out == [u for u in (f"u{i}" for i in range(59)) if engine.held_out(u)]
    answer = engine.answer(user=out[0])
    assert any("held out" in note for note in answer.notes) and engine.request(user=out[0]).user[0] == -1
    seen = {DATA.items[i] for i in DATA.histories(DATA.users.index([out[0]]))["item"]}
    assert not seen & set(everything(engine, out[0]))
