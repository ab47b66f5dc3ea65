"""The engine: what it asks the cascade, and what it remembers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from serving import DAY, NOW, built, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.data.store.store import Store
from interplay.errors import BadSetting, UnknownName
from interplay.models.counts import Popular
from interplay.ops.topk import best
from interplay.serve.answers import NotHere
from interplay.serve.engine import Engine
from interplay.serve.feed import feed, people
from interplay.serve.finding import search
from interplay.serve.telling import tell
from interplay.serve.views import cards, trace
from interplay.types import Requests, Rows, Slates

DATA = shop()


@pytest.fixture
def engine() -> Engine:
    return built(DATA)


def did(kind: str, item: str, user: str = "u3", **more: object) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "event_type": kind, **more}


def names(engine: Engine, answer: object) -> list[object]:
    return [engine.dataset.items[i] for i in answer.items]  # type: ignore[attr-defined]


def test_the_list_is_the_one_that_the_cascade_computes_offline(engine):
    users = [f"u{i}" for i in range(0, 60, 7)]
    at = np.full(len(users), NOW)
    offline = engine.cascade.respond(Requests.of(DATA, DATA.users.index(users), at=at, k=10)).slates
    for row, user in enumerate(users):
        assert engine.answer(user=user, k=10).slates.equals(offline.slice(row, row + 1))


def test_nothing_seen_is_shown_again_unless_asked_for(engine):
    seen = {DATA.items[i] for i in DATA.histories(np.array([3]))["item"]}
    assert not seen & set(names(engine, engine.answer(user="u3", k=160)))
    assert seen <= set(names(engine, engine.answer(user="u3", k=160, withhold_seen=False)))


def test_what_somebody_does_is_part_of_the_next_request_at_once(engine):
    first = names(engine, engine.answer(user="u3", k=1))[0]
    assert tell(engine, [did("click", first)]).accepted == 1
    request = engine.request(user="u3")
    assert DATA.items[request.history["item"][-1]] == first and request.history.lengths[0] == 12
    assert request.history["time"][-1] == NOW and engine.kinds[request.history["kind"][-1]] == "click"
    assert first not in names(engine, engine.answer(user="u3", k=160))


def test_a_stranger_has_a_history_from_the_first_click_on(engine):
    tell(engine, [did("click", "lamp-0", "visitor-1")])
    request = engine.request(user="visitor-1")
    assert request.user[0] == -1 and request.history["item"].tolist() == [0]
    assert engine.answer(user="nobody").notes == ("nothing is known of 'nobody': answered as to a stranger",)


def test_less_like_this_withholds_it_and_its_nearest_until_taken_back(engine):
    tell(engine, [did("less", "lamp-0", event_id="no")])
    shown = set(names(engine, engine.answer(user="u3", k=160)))
    gone = {"lamp-0", "lamp-60", "lamp-120"}  # the same words in other numbers
    assert not gone & shown
    rules = {s.name: s.facts for s in engine.answer(user="u3").trace.stages}["rules"]
    assert rules["by_rule"] == {"less like Pebble reading lamp, no. 0": 13}
    assert engine.request(user="u3").history.lengths[0] == 11  # it speaks for nothing
    tell(engine, [{"user_id": "u3", "event_type": "undo", "undoes": "no"}])
    seen = {DATA.items[i] for i in DATA.histories(np.array([3]))["item"]}
    assert gone - seen <= set(names(engine, engine.answer(user="u3", k=160)))


def test_rules_facets_and_exclusions_hold_before_the_cut(engine):
    answer = engine.answer(user="u3", k=5, where="price < 30", facets=["kind:tea"], exclude=["tea-1", "unheard-of"])
    rows = [engine.window.row(i) for i in answer.items]
    assert len(rows) == 5 and all(r["price"] < 30 and r["kind"] == "tea" and r["item_id"] != "tea-1" for r in rows)
    assert answer.notes == ("1 of the excluded items are not in this catalogue: unheard-of",)


def test_an_answer_without_anything_says_what_hides_it(engine):
    answer = engine.answer(user="u3", where="price > 1000")
    assert not answer.items
    assert answer.notes == ("nothing to show: 0 of 160 items may be shown: 'price > 1000' hides 160; 10 already seen.",)
    assert not engine.answer(user="u3").notes
    with pytest.raises(BadSetting, match="expected 1 to 500"):
        engine.answer(k=0)
    with pytest.raises(UnknownName, match="price"):
        engine.answer(where="prise < 3")


def test_the_same_draw_and_log_give_the_same_answer(engine):
    assert engine.answer(user="u5", draw=7).slates.equals(engine.answer(user="u5", draw=7).slates)


def test_more_goes_on_where_the_list_ended_until_there_is_nothing_left(engine):
    answer = engine.answer(user="u3", k=40)
    seen, pages = names(engine, answer), 1
    while answer.more:
        answer = engine.more(answer.request_id)
        seen += names(engine, answer)
        pages += 1
    assert len(seen) == len(set(seen)) == 150 and pages == 4
    with pytest.raises(NotHere, match="ask again"):
        engine.more(answer.request_id)


def test_an_answer_that_left_memory_is_found_in_the_store_with_all_that_was_known_of_it():
    engine = built(DATA, traces=1)
    first = engine.answer(user="u3", k=10, where="kind == 'lamp'", exclude=["lamp-0"])
    then = trace(engine, first)
    last = engine.answer()
    assert engine.held(last.request_id) is last
    again = engine.held(first.request_id)
    assert again is not first and trace(engine, again) == then
    assert not set(engine.more(first.request_id).items) & set(first.items)
    with pytest.raises(NotHere, match="no answer 'never'"):
        engine.held("never")


def test_a_trace_names_sources_parts_and_what_the_rules_hid(engine):
    told = trace(engine, engine.answer(user="u3", k=3, where="kind == 'lamp'"))
    assert [s["name"] for s in told["stages"]] == ["understand", "retrieve", "rank", "rules", "page"]
    assert "person u3" in told["stages"][0]["said"]
    assert told["counts"]["items"] == 160 and told["counts"]["shown"] == 3
    assert told["counts"]["allowed"] >= told["counts"]["ranked"] >= 3
    assert told["items"][0]["sources"][0]["source"] in ("popular", "trending") and told["items"][0]["reason"]
    assert told["stages"][3]["facts"]["by_rule"] == {"kind == 'lamp'": 120}


def test_similar_items_fall_back_to_words_and_never_name_the_item_itself(engine):
    answer = engine.similar("lamp-0", k=4, exclude=["lamp-60"])
    assert names(engine, answer)[0] == "lamp-120" and "lamp-0" not in names(engine, answer)
    assert cards(engine, answer)[0]["source"] == "words"
    with pytest.raises(NotHere, match=r"nearest: .*'lamp-0'"):
        engine.similar("lmp-0")


def test_similar_items_of_a_model_come_first_and_obey_the_rules():
    class Next:
        def similar_items(self, items, n):
            near = (items[:, None] + 1 + np.arange(n)) % 160
            scores = -np.arange(n, dtype=np.float32)[None].repeat(len(items), 0)
            return Slates(items=near.astype(np.int32), scores=scores)

    engine = built(DATA, similar=Next())
    assert engine.similar("lamp-0", k=3).items == [1, 2, 3]
    assert engine.similar("lamp-0", k=3, where="kind == 'lamp'").items == [4, 8, 12]
    assert cards(engine, engine.similar("lamp-0"))[0]["source"] == "behaviour"


def test_search_finds_by_words_repairs_narrows_and_says_so(engine):
    found = search(engine, "lantren", user="u3")
    assert found.total == 13 and all("lantern" in engine.window.title(i).lower() for i in found.answer.items)
    said = "Nothing here is called “lantren”. Showing “lantern”, the nearest in this catalogue."
    assert found.notes[0]["text"] == said
    narrowed = search(engine, "lantern", facets=["price:..24"])
    assert narrowed.total == 5 == len(narrowed.answer.items)
    nothing = search(engine, "pebble cromulent")
    assert "“pebble” alone has 20." in nothing.notes[0]["text"] and nothing.notes[0]["queries"] == ["pebble"]
    boxed = search(engine, "lantern", facets=["kind:tea"])
    assert boxed.notes[0]["untick"] and not boxed.answer.items
    assert search(engine, "").total == 160


def test_a_feed_shows_nothing_twice_and_says_where_each_shelf_comes_from(engine):
    tell(engine, [did("keep", "lamp-0")])
    page = feed(engine, "u3")
    on_shelves = [card for shelf in page["shelves"] for card in shelf["items"]]
    shown = [card["item_id"] for card in page["heroes"] + page["grid"] + on_shelves]
    assert len(shown) == len(set(shown)) and len(page["heroes"]) == 4
    assert all(s["because"] for s in page["shelves"])
    assert page["shelves"][1]["title"] == "Near Pebble reading lamp, no. 0" and "kept" in page["shelves"][1]["because"]
    assert page["person"]["events"] == 12 and "lamp-0" in page["person"]["kept"]


ODD = {
    "ids only": {"catalogue": False}, "no times": {"times": False}, "three items": {"n_items": 3, "n_users": 9},
    "one item": {"n_items": 1, "n_users": 2},
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_any_catalogue_and_log_can_be_served(odd):
    data = shop(**ODD[odd])
    engine = built(data)
    for user in (None, "u0", "visitor"):
        page = feed(engine, user)
        assert page["title"] and page["things"] <= data.n_items
    tell(engine, [did("click", data.items[0], "visitor")])
    assert engine.answer(user="visitor", k=5).items == [] or data.n_items > 1
    assert search(engine, str(data.items[0])).answer is not None
    assert isinstance(people(engine), list)


def test_a_log_that_ended_long_ago_is_served_on_its_own_calendar():
    engine = built(DATA)
    late = Engine(DATA, engine.cascade, clock=lambda: NOW + 900 * DAY)
    ended = int(DATA.events.time.max())
    assert ended <= late.now() < ended + DAY
    assert engine.now() == NOW


def test_a_clock_that_is_set_back_loses_nothing_and_shows_nothing_again():
    clock = [NOW]
    engine = Engine(DATA, built(DATA).cascade, clock=lambda: clock[0])
    tell(engine, [did("click", "lamp-0", "newcomer"), did("keep", "tea-1", "newcomer", event_id="kept")])
    before = engine.store.head().row
    clock[0] -= 3_600_000_000
    assert tell(engine, [did("click", "book-2", "newcomer"), did("undo", "", "newcomer", undoes="kept")]).accepted == 2
    shown = {DATA.items[i] for i in engine.answer(user="newcomer", k=160).items}
    assert not {"lamp-0", "book-2"} & shown and "tea-1" in shown, "what was done before the jump and after it counts"
    times = [e.time for e in engine.store.tail()]
    assert engine.now() == NOW and times == sorted(times) and engine.store.head().row == before + 2
    clock[0] = NOW + 5
    assert engine.now() == NOW + 5
    clock[0] -= 900 * DAY  # it had been wrong by years
    assert engine.now() == clock[0] and engine.answer(user="newcomer", k=5).items


def test_events_are_taken_one_by_one_and_a_bad_one_holds_up_no_other(engine):
    taken = tell(engine, [
        did("keep", "lamp-0", event_id="a"), did("keep", "lamp-0", event_id="a"), did("keep", "lmp-0", event_id="b"),
        did("kep", "lamp-0"), did("keep", "lamp-0", undoes="a"), did("undo", "", undoes="zzz"), did("keep", ""),
        did("click", "lamp-4", timestamp=1_700_000_000),
    ])  # fmt: skip
    assert (taken.accepted, taken.repeated) == (1, 1)
    said = {r.place: r.reason for r in taken.refused}
    assert "nearest: ['lamp-0'" in said[2] and "nearest: ['keep']" in said[3] and "undoes" in said[4]
    assert "no event 'zzz'" in said[5] and "needs an item" in said[6] and "expected microseconds" in said[7]


def test_nobody_can_undo_what_somebody_else_did(engine):
    tell(engine, [did("keep", "lamp-0", event_id="mine")])
    taken = tell(engine, [{"user_id": "u4", "event_type": "undo", "undoes": "mine"}])
    assert not taken.accepted and len(engine.told("u3")) == 1


def test_a_store_keeps_events_over_a_restart_and_counts_a_repeat_once(tmp_path: Path):
    path = tmp_path / "kept" / "shop.db"
    engine = built(DATA, store=Store.open(path))
    tell(engine, [did("keep", "lamp-0", event_id="a"), did("click", "tea-1", event_id="b")])
    tell(engine, [{"user_id": "u3", "event_type": "undo", "undoes": "a"}])
    engine.close()
    again = built(DATA, store=Store.open(path))
    assert [e.event_id for e in again.told("u3")] == ["b"]
    assert tell(again, [did("click", "tea-1", event_id="b")]).repeated == 1
    again.close()


def test_search_sources_answer_alone_where_nothing_has_every_word():
    class Reader:
        """Finds lamps, whatever is asked."""

        def fit(self, dataset, **_):
            self.rows = Rows.of(dataset)
            return self

        def retrieve(self, requests, n):
            lamps = np.where(np.arange(160) % 4 == 0, 1.0, -np.inf).astype(np.float32)
            return best(lambda part: np.tile(lamps, (len(part), 1)), requests, n, self.rows)

    feed_source, reader = Source(retriever=Popular(), serves="feed"), Source(retriever=Reader(), serves="search")
    engine = Engine(DATA, Cascade({"popular": feed_source, "reader": reader}).fit(DATA), clock=lambda: NOW)
    found = search(engine, "shining cromulently", k=6)
    assert found.total == 6 == len(found.answer.items) and "comes nearest" in found.notes[0]["text"]
    assert {v["value"]: v["count"] for v in found.facets[0]["values"]} == {"lamp": 6}
    few = search(engine, "pebble reading", k=6)
    assert few.near is not None and not set(few.near.items) & set(few.answer.items)
    assert {s["source"] for row in few.answer.trace.items for s in row["sources"]} == {"reader"}


def test_requests_and_events_may_come_from_many_threads(tmp_path: Path):
    engine = built(DATA, store=Store.open(tmp_path / "shop.db"))

    def visit(n: int) -> int:
        tell(engine, [did("click", f"lamp-{4 * i}", f"visitor-{n % 3}", event_id=f"{n}-{i}") for i in range(5)])
        return len(engine.answer(user=f"visitor-{n % 3}", k=10).items)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(24))) == [10] * 24
    assert engine.heard() == 120
    engine.close()
    assert Store.open(tmp_path / "shop.db").count() == 120
