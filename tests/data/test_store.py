"""The store: what is kept is kept once, in order, for one tenant, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from interplay.data.store import database
from interplay.data.store import schema as t
from interplay.data.store.database import HEAD, Database
from interplay.data.store.happened import Happened
from interplay.data.store.keys import hashed
from interplay.data.store.store import Kept, Store
from interplay.errors import BadData, BadSetting, InterplayError, Mismatch, UnknownName


def did(
    event_id: str, user: str = "ada", item: str | None = "lamp", kind: str = "click", time: int = 1, **more
) -> Happened:
    return Happened(event_id=event_id, user_id=user, item_id=item, event_type=kind, time=time, **more)


def ids(events: list[Happened]) -> list[str]:
    return [e.event_id for e in events]


# -------------------------------------------------------------------------------------------------------------- the log


def test_what_was_appended_comes_back_as_it_was(store):
    told = did("a", time=5, value=2.5, request_id="r", session_id="s", surface="feed", payload={"x": [1, "é"]})
    store.append([told, did("b", "bo", None, "instruction", 6)])
    back = store.tail()
    assert [vars(e) | {"row": 0, "user": -1, "item": -1} for e in back] == [
        vars(told), vars(did("b", "bo", None, "instruction", 6))
    ]  # fmt: skip
    assert [(e.row, e.user, e.item) for e in back] == [(1, 0, 0), (2, 1, -1)]
    assert store.event("a") == back[0] and store.event("never") is None


def test_an_event_counts_once_however_often_it_is_sent(store):
    assert store.append([did("a"), did("a"), did("b")]) == Kept(2, 1)
    assert store.append([did("b"), did("c")]) == Kept(1, 1)
    assert ids(store.tail()) == ["a", "b", "c"] and store.count() == 3


def test_of_what_a_person_did_long_ago_only_what_was_said_may_be_asked_for(store):
    store.append([did("a"), did("b", kind="instruction"), did("c", kind="undo", undoes="a"), did("d"), did("e")])
    assert ids(store.of("ada", since=4)) == ["b", "c", "e"]
    assert ids(store.of("ada", 2, since=4)) == ["c", "e"]
    assert ids(store.of("ada")) == ["a", "b", "c", "d", "e"]


def test_a_reader_that_goes_on_from_the_last_row_misses_nothing_while_many_write(store):
    read: list[str] = []
    ended = threading.Event()

    def follow() -> None:
        after = 0
        while True:
            last = ended.is_set()
            part = store.tail(after, limit=7)
            read.extend(ids(part))
            after = part[-1].row if part else after
            if last and not part:
                return

    reader = threading.Thread(target=follow)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda w: [store.append([did(f"{w}-{i}", f"u{w}")]) for i in range(20)], range(8)))
    ended.set()
    reader.join()
    assert len(read) == 160 == len(set(read))
    for w in range(8):
        assert [e for e in read if e.startswith(f"{w}-")] == [f"{w}-{i}" for i in range(20)]


def test_one_persons_events_are_found_from_any_row_on(store):
    store.append([did("a"), did("b", "bo"), did("c")])
    assert ids(store.of("ada")) == ["a", "c"] and ids(store.of("ada", after=1)) == ["c"] and store.of("nobody") == []


def test_a_head_says_whether_anything_is_new(store):
    before = store.head()
    assert store.head() == before
    store.append([did("a")])
    after = store.head()
    assert (after.row, after.n_users, after.n_items, after.items_version) == (1, 1, 1, before.items_version + 1)
    store.append([did("b")])
    assert store.head() == after._replace(row=2)


def test_a_batch_that_cannot_be_written_leaves_nothing_behind_and_harms_no_other(store):
    bad = did("x", payload={"never": {1}})  # a set is no JSON
    with ThreadPoolExecutor(4) as pool:
        good = [pool.submit(store.append, [did(f"g{i}")]) for i in range(20)]
        worse = pool.submit(store.append, [did("y"), bad])
        with pytest.raises(TypeError):
            worse.result()
        assert [g.result() for g in good] == [Kept(1, 0)] * 20
    assert sorted(ids(store.tail())) == sorted(f"g{i}" for i in range(20))


def test_nobody_waits_for_traces_and_impressions_but_they_are_kept(store):
    store.put_items([{"item_id": "lamp"}])
    row = {"row": 0, "slot": 0, "time": 7, "policy": "p", "candidate_hash": "h", "item": 0, "propensity": 1.0,
           "temperature": None, "explored": False, "seen": None}  # fmt: skip
    store.answered.shown([{**row, "request_id": "r"}, {**row, "request_id": "r", "slot": 1}], user="ada")
    store.answered.traced("r", lambda: {"stages": ["understand"]}, user="ada", time=7)
    store.database.flush()
    assert store.answered.trace("r") == {"stages": ["understand"]} and store.answered.trace("q") is None
    with store.database.read() as connection:
        assert connection.execute(sa.select(t.impressions.c.slot, t.impressions.c.user)).all() == [(0, 0), (1, 0)]


KILLED = """
import sys, threading
from interplay.data.store.happened import Happened
from interplay.data.store.store import Store

store, start, lock = Store.open(sys.argv[1]), sys.argv[2], threading.Lock()

def write(w):
    i = 0
    while True:
        batch = [f"{start}-{w}-{i + j}" for j in range(5)]
        store.append([Happened(event_id=e, user_id=f"u{w}", item_id="lamp", event_type="click", time=i) for e in batch])
        i += 5
        with lock:
            sys.stdout.write("\\n".join(batch) + "\\n")
            sys.stdout.flush()

for w in range(4):
    threading.Thread(target=write, args=(w,)).start()
"""


def test_every_acknowledged_event_is_there_once_after_kill_9(place):
    acknowledged: list[str] = []
    for kill in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, place, str(kill)], stdout=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout is not None
            first = run.stdout.readline()  # it has begun
            time.sleep(0.15 + 0.13 * kill)
            os.kill(run.pid, signal.SIGKILL)
            told = first + run.stdout.read()
        acknowledged += told.split("\n")[:-1]  # a line that was cut off was not acknowledged
    store = Store.open(place)
    kept = ids(list(store.log()))
    store.close()
    assert len(acknowledged) > 30 and len(kept) == len(set(kept)) and set(acknowledged) <= set(kept)


def test_two_processes_may_write_to_one_store(place):
    once = KILLED.replace("while True", "while i < 100")
    running = [subprocess.Popen([sys.executable, "-c", once, place, str(n)], stdout=subprocess.PIPE) for n in range(2)]
    told = b"".join(run.communicate()[0] for run in running)
    assert [run.returncode for run in running] == [0, 0]
    store = Store.open(place)
    assert store.count() == 800 == len(told.splitlines()) and [e.row for e in store.log()] == list(range(1, 801))
    store.close()


# ------------------------------------------------------------------------------------------------- catalogue and people


def test_places_in_the_index_space_are_given_once_and_never_again(store):
    store.put_items([{"item_id": "lamp", "price": 3}, {"item_id": 7}])
    store.append([did("a", item="tea"), did("b", item="7")])
    store.delete_items(["tea"])
    store.append([did("c", item="awl")])
    assert [(e.position, e.name, e.gone) for e in store.items()] == [
        (0, "lamp", False), (1, 7, False), (2, "tea", True), (3, "awl", False)
    ]  # fmt: skip
    store.put_items([{"item_id": "tea"}])
    assert store.item("tea").position == 2 and not store.item("tea").gone


def test_describing_replaces_and_patching_adds(store):
    assert store.put_items([{"item_id": "lamp", "price": 3, "title": "Lamp"}]) == 1
    assert store.put_items([{"item_id": "lamp", "price": 4}], patch=True) == 0
    assert store.item("lamp").columns == {"price": 4, "title": "Lamp"}
    store.put_items([{"item_id": "lamp", "price": 5}])
    assert store.item("lamp").columns == {"price": 5}
    with pytest.raises(BadData, match="row 1 has item_id None; expected a string or an integer"):
        store.put_items([{"item_id": "x"}, {"price": 1}])
    with pytest.raises(UnknownName, match=r"no item called 'lam'; nearest: \['lamp'\]"):
        store.item("lam")


def test_changes_are_found_by_version(store):
    store.put_items([{"item_id": "lamp"}, {"item_id": "tea"}])
    seen = store.head().items_version
    store.put_items([{"item_id": "tea", "price": 2}])
    store.delete_items(["lamp", "unheard-of"])
    assert {(e.name, e.gone) for e in store.items(since=seen)} == {("tea", False), ("lamp", True)}
    assert store.delete_items(["lamp"]) == 0 and store.items(since=store.head().items_version) == []


def test_a_renamed_item_keeps_its_place_and_its_history(store):
    store.append([did("a")])
    store.rename_item("lamp", "lantern")
    store.append([did("b", item="lantern"), did("c", item="lamp")])
    assert [(e.item_id, e.item) for e in store.tail()] == [("lantern", 0), ("lantern", 0), ("lamp", 1)]
    with pytest.raises(BadData, match="already"):
        store.rename_item("lamp", "lantern")
    with pytest.raises(UnknownName, match="to rename"):
        store.rename_item("tea", "chai")


# ------------------------------------------------------------------------------------------------------ tenants, keys


def test_tenants_share_a_database_and_nothing_else(store):
    other = store.within("other")
    store.append([did("a")])
    assert other.append([did("a", "bo")]) == Kept(1, 0)
    store.put_items([{"item_id": "lamp", "price": 1}])
    assert [e.user_id for e in other.tail()] == ["bo"] and other.of("ada") == [] and other.count() == 1
    assert other.item("lamp").columns == {} and other.delete_items(["tea"]) == 0 and other.event("a").user_id == "bo"
    assert store.tenants() == ["default", "other"]
    with pytest.raises(BadData, match="expected up to 64 letters"):
        store.within("../x")


def test_every_statement_that_touches_a_tenants_rows_names_the_tenant(store):
    said: list[str] = []
    sa.event.listen(store.database.engine, "before_cursor_execute", lambda c, cur, text, *rest: said.append(text))
    store.append([did("a"), did("b", "bo")])
    store.put_items([{"item_id": "lamp", "price": 1}], patch=True), store.put_users([{"user_id": "ada", "name": "Ada"}])
    store.tail(), store.of("ada"), store.event("a"), store.count(), store.items(), store.users(since=0)
    store.delete_items(["lamp"]), store.rename_item("lamp", "tea"), store.leases.take("x", "me", 1), store.keys.list()
    store.models.list(), store.models.moves(), store.answered.trace("r")
    about = [s for s in said if any(f"{verb} {q}{name}" in s for name in t.metadata.tables if name not in ("meta",)
                                    for verb in ("FROM", "UPDATE", "INTO", "JOIN") for q in ("", '"'))]  # fmt: skip
    assert len(about) > 20 and [s for s in about if "tenant" not in s] == []


def test_a_key_opens_what_it_says_until_it_is_revoked(store):
    assert len(store.keys) == 0
    text, key = store.keys.create("the shop", scopes=["read"], rate=5)
    assert store.keys.find(hashed(text)) == key and key.may("read") and not key.may("write") and key.rate == 5
    other, _ = store.within("other").keys.create(scopes=["admin"])
    assert store.keys.find(hashed(other)) is None or store.keys.find(hashed(other)).tenant == "other"
    assert [k.key_id for k in store.keys.list()] == [key.key_id] and store.keys.find("x") is None
    with pytest.raises(UnknownName, match="no key"):
        store.within("other").keys.revoke(key.key_id)
    store.keys.revoke(key.key_id)
    assert store.keys.find(hashed(text)) is None and store.keys.list()[0].revoked_at is not None
    with store.database.read() as connection:
        held = json.dumps([list(map(str, row)) for row in connection.execute(sa.select(t.keys))])
    assert text not in held
    with pytest.raises(UnknownName, match="scope"):
        store.keys.create(scopes=["raed"])
    with pytest.raises(BadSetting, match="expected more than 0"):
        store.keys.create(rate=0)


def test_work_is_leased_to_one_at_a_time(store):
    take = store.leases.take
    assert take("train", "me", 60) and not take("train", "you", 60) and take("train", "me", 60)
    assert take("train", "me", 0) and take("train", "you", 0.001)
    time.sleep(0.01)
    assert take("train", "me", 60)


# ------------------------------------------------------------------------------------------------ schema and full disks


def test_the_migrations_make_the_tables_that_the_schema_describes(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(place):
    store = Store.open(place)
    store.append([did("a")])
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(Mismatch, match=r"schema 9999.*newer version: install that one"):
        Store.open(place)
    database = sa.create_engine(store.database.engine.url)
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.events)).scalar() == 1
    database.dispose()


def test_what_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as the first page of one" * 20)
    with pytest.raises(BadData, match="is no store"):
        Store.open(path)
    assert path.read_text().startswith("not a database")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE events (x)")
    with pytest.raises(BadData, match="not a store's"):
        Store.open(tmp_path / "other.db")
    with pytest.raises(BadData, match="expected a file's path or postgresql://"):
        Database("mysql://ada@localhost/shop")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Store]:
    """A store on a disk with room for little more."""
    store = Store.open(tmp_path / "small.db")
    store.append([did("first")])

    @sa.event.listens_for(store.database.engine, "checkout")
    def pages(connection, *_) -> None:
        connection.execute("PRAGMA max_page_count = 120")

    yield store
    store.close()


def test_a_full_disk_is_said_and_loses_nothing_that_was_kept(small):
    with pytest.raises(InterplayError, match=r"no room left to write .*small\.db; nothing of this was kept"):
        small.append([did(f"e{i}", payload={"x": "y" * 1000}) for i in range(1000)])
    assert ids(small.tail()) == ["first"] and small.append([did("second")]) == Kept(1, 0)


def test_an_address_that_nobody_answers_is_said_in_a_sentence():
    with pytest.raises(InterplayError, match=r"postgresql://ada:\*\*\*@localhost:9/shop does not answer"):
        Store.open("postgresql://ada:secret@localhost:9/shop")


@pytest.mark.parametrize("earlier", ["0001", "0002", "0003"])
def test_a_store_of_an_earlier_schema_is_brought_up_to_date_with_all_it_holds(place, earlier, monkeypatch):
    from alembic.script import ScriptDirectory

    upgrade = ScriptDirectory._upgrade_revs
    monkeypatch.setattr(database, "HEAD", earlier)
    monkeypatch.setattr(ScriptDirectory, "_upgrade_revs", lambda script, _, now: upgrade(script, earlier, now))
    old = Store.open(place)
    old.append([did("a"), did("b", "bo", payload={"x": 1})])
    old.put_items([{"item_id": "lamp", "price": 3}])
    before = [vars(e) for e in old.tail()], old.items(), old.head()
    old.close()
    monkeypatch.undo()
    new = Store.open(place)
    assert ([vars(e) for e in new.tail()], new.items(), new.head()) == before
    with new.database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
    assert new.append([did("a"), did("c")]) == Kept(1, 1)
    new.close()


def test_every_schema_has_its_migration():
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert script.get_heads() == [HEAD]
