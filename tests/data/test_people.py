"""People and dumps: export, merging, erasing to the last byte, a tenant as one file and back."""

from __future__ import annotations

import json
import threading
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from interplay.data.store import database
from interplay.data.store import schema as t
from interplay.data.store.dumping import dump
from interplay.data.store.happened import Happened
from interplay.data.store.loading import ingest
from interplay.data.store.people import export_person, merge_people, unless_erased
from interplay.data.store.snapshot import load, snapshot
from interplay.data.store.store import Store
from interplay.data.store.upkeep import compact, retain
from interplay.dialogue.modelled import Command
from interplay.errors import BadData, Mismatch, Unavailable, UnknownName
from interplay.fitted import Fitted
from interplay.learning import erase, install, restore
from interplay.llm import Scripted
from interplay.llm.recorded import Recorded, recordings
from interplay.types import Run

SHOWN = {"row": 0, "slot": 0, "time": 7, "policy": "p", "candidate_hash": "h", "item": 0, "propensity": 1.0,
         "temperature": None, "explored": False, "seen": None}  # fmt: skip
NAME, VISITOR = "margarethe-47.11", "visitor-0f9e8d7c"


def did(
    event_id: str, user: str = NAME, item: str | None = "i3", kind: str = "click", time: int = 1, **more
) -> Happened:
    return Happened(event_id=event_id, user_id=user, item_id=item, event_type=kind, time=time, **more)


def lived(store: Store, people) -> None:
    """A person with everything that a store can hold of one, in a store with a model."""
    install(store, Fitted.learn("user-knn", people, run=Run(seed=0)))
    store.put_users([{"user_id": NAME, "name": "Margarethe"}])
    store.append(
        [did("a"), did("b", VISITOR), did("c", kind="instruction", item=None, payload={"text": f"I am {NAME}"})]
    )
    merge_people(store, VISITOR, NAME)
    store.answered.shown([{**SHOWN, "request_id": "r"}], user=NAME)
    store.answered.traced("r", lambda: {"user": NAME, "stages": []}, user=NAME, time=7)
    model = Recorded(Scripted(by=lambda _: {"wishes": []}), store.files("recordings"), name="small")
    for person, said in ((NAME, "no horror"), (VISITOR, "a lamp"), (None, f"for {NAME}"), ("u1", "no horror")):
        model.about(person).reply("read it", {"command": said}, Command)
    store.database.flush()


def holding(root: Path, *names: str) -> list[str]:
    """Files below a directory in which one of the names stands, as text or inside of compressed traces."""
    return [str(p) for p in root.rglob("*") if p.is_file() and any(n.encode() in p.read_bytes() for n in names)]


def test_an_export_holds_everything(store, people):
    lived(store, people)
    told = export_person(store, NAME)
    assert told["columns"] == {"name": "Margarethe"} and told["also_called"] == [VISITOR] and told["models"] == [1]
    assert [e["event_type"] for e in told["events"]] == ["click", "click", "instruction", "merge"]
    assert told["impressions"][0]["item_id"] == people.items[0] and told["traces"][0]["trace"]["user"] == NAME
    assert [r["data"]["command"] for r in told["recordings"] if r["person"] == NAME] == ["no horror"]
    assert len(told["recordings"]) == 3 and json.loads(json.dumps(told)) == told
    with pytest.raises(UnknownName, match="no user called 'nobody'"):
        export_person(store, "nobody")


def test_what_a_visitor_did_belongs_to_whom_the_visitor_turns_out_to_be(store):
    store.append([did("a", "v1", time=1), did("b", "ada", time=2), did("c", "v2", "i9", time=3)])
    assert merge_people(store, "v1", "ada") == 1 and merge_people(store, "v2", "v1x") == 1
    assert [e.event_id for e in store.of("ada")][:2] == ["a", "b"]
    taken = snapshot(store).dataset
    ada = int(taken.users.index(["ada"])[0])
    assert taken.histories(np.array([ada]))["time"].tolist() == [1, 2]
    store.append([did("d", "v1", time=4)])  # a device that still says the old name
    assert [e.event_id for e in store.of("ada") if e.event_type == "click"] == ["a", "b", "d"]
    with pytest.raises(UnknownName, match="nobody called 'v9'"):
        merge_people(store, "v9", "ada")
    with pytest.raises(BadData, match="merge into that one"):
        merge_people(store, "ada", "v1")


def test_erasing_leaves_no_byte_in_any_file_of_the_store(tmp_path, people):
    store = Store.open(tmp_path / "shop.db")
    lived(store, people)
    bad = tmp_path / "in" / "bad.csv"
    bad.parent.mkdir()
    bad.write_text(
        f"user_id,item_id,timestamp\n{NAME},i1,never\nu1,i1,never\n"
        + "u1,i2,1700000000000000\nu1,i3,1700000000000001\nu1,i4,1700000000000002\n"
    )
    ingest(store, bad)
    bad.unlink()
    known = Fitted.load(store.models.path(store.models.live()))
    row = int(people.users.index(["u5"])[0])
    assert known.model.people[[row]].nnz and holding(tmp_path, NAME) and holding(tmp_path, '"u5"', "u5")
    done = erase(store, NAME)
    assert (done.events, done.impressions, done.traces, done.models, done.refused) == (4, 1, 1, 1, 1)
    assert done.recordings == 3 and len(list(store.files("recordings").iterdir())) == 1  # of somebody else
    assert holding(tmp_path, NAME, VISITOR, "Margarethe") == []
    assert store.of(NAME) == [] and store.count() == len(people.events) + 3
    assert any(p.suffix == ".csv" and "u1" in p.read_text() for p in tmp_path.rglob("*.csv"))
    store.append([did("new")])  # somebody of that name is a new person
    assert store.user(NAME).position == len(people.users) + 2
    store.close()


def test_erasing_takes_a_person_out_of_every_retained_model(store, people):
    install(store, Fitted.learn("user-knn", people, run=Run(seed=0)))
    row = int(people.users.index(["u5"])[0])
    assert Fitted.load(store.models.path(store.models.live())).model.people[[row]].nnz
    erase(store, "u5")
    model = Fitted.load(store.models.path(store.models.live()))
    assert not model.model.people[[row]].nnz and "u5" not in list(model.dataset.users)
    assert model.dataset.users.index(["u6"])[0] == people.users.index(["u6"])[0]
    assert store.models.strays() == []


def test_no_table_of_postgresql_holds_an_erased_name(postgres, tmp_path, people, monkeypatch):
    monkeypatch.setenv("INTERPLAY_FILES", str(tmp_path / "files"))
    store = Store.open(postgres())
    lived(store, people)
    with store.database.read() as connection:
        data = Path(connection.exec_driver_sql("SHOW data_directory").scalar())
        mine = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()").scalar()
    store.database.compact()  # out of PostgreSQL's own memory, into its files
    assert holding(data / "base" / str(mine), NAME)
    erase(store, NAME)
    assert holding(data / "base" / str(mine), NAME, VISITOR) == [] == holding(tmp_path, NAME, VISITOR)
    store.close()


def test_erasing_waits_for_who_still_sees_what_is_erased_and_says_so_where_nobody_goes(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("INTERPLAY_FILES", str(tmp_path / "files"))
    store = Store.open(postgres())
    store.append([did("a", NAME)])
    store.database.compact()

    def looking() -> Any:
        """A reader in the middle of something, as a dump is or the database's own housekeeping."""
        reader = store.database.engine.connect().execution_options(isolation_level="REPEATABLE READ")
        reader.exec_driver_sql("SELECT 1")
        return reader

    with store.database.read() as connection:
        data = Path(connection.exec_driver_sql("SHOW data_directory").scalar())
        mine = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()").scalar()
    reader = looking()
    leaving = threading.Timer(0.5, reader.close)
    leaving.start()
    erase(store, NAME)
    leaving.join()
    assert holding(data / "base" / str(mine), NAME) == []
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    reader = looking()
    with pytest.raises(Unavailable, match="what was deleted stays in its files"):
        store.database.compact()
    reader.close()
    store.database.compact()
    store.close()


def remembered(store: Store, by) -> Recorded:
    """A text model whose answers the store keeps, as a service has it."""
    return Recorded(Scripted(by=by), store.files("recordings"), name="small", keeper=partial(unless_erased, store))


def held_of(store: Store) -> list[str]:
    """Whom the recordings that are kept are about."""
    return sorted(str(json.loads(path.read_text())["person"]) for path in store.files("recordings").glob("*"))


@pytest.mark.parametrize("person", [NAME, None])
def test_what_a_text_model_answers_after_its_person_was_erased_is_not_kept(store, people, person):
    """The answer arrives when everything else is erased; what is about nobody may name the person all the same."""
    lived(store, people)

    def late(data):
        erase(store, NAME)
        return {"wishes": []}

    asked = {"command": f"late, for {NAME}"}
    assert remembered(store, late).about(person).reply("read it", asked, Command).wishes == []
    assert held_of(store) == ["u1"]
    after = remembered(store, lambda _: {"wishes": []})
    after.about(NAME).reply("read it", {"command": "no horror"}, Command)  # somebody of that name is a new person
    assert held_of(store) == [NAME, "u1"]


def test_what_a_text_model_answers_while_its_person_is_being_erased_is_not_kept(store, people, monkeypatch):
    """The answer arrives when the recordings were looked through and the name is still in the tables."""
    lived(store, people)
    asked, looked = threading.Event(), threading.Event()

    def waiting(data):
        asked.set()
        looked.wait(20)
        return {"wishes": []}

    model = remembered(store, waiting).about(NAME)
    thread = threading.Thread(target=model.reply, args=("read it", {"command": "late"}, Command))
    thread.start()
    assert asked.wait(20)

    def looking(folder, names):
        found = list(recordings(folder, names))
        looked.set()
        thread.join(0.5)  # time enough to write, if nothing holds it up
        return found

    monkeypatch.setattr("interplay.data.store.people.recordings", looking)
    assert erase(store, NAME).recordings == 3
    thread.join(20)
    assert not thread.is_alive() and held_of(store) == ["u1"]


def test_an_erasure_that_was_interrupted_is_finished_by_asking_again(store, people, monkeypatch):
    lived(store, people)

    def broken() -> None:
        raise OSError("the power went")

    with monkeypatch.context() as cut:
        cut.setattr(store.database, "compact", broken)
        with pytest.raises(OSError, match="power"):
            erase(store, NAME)
    assert erase(store, NAME).events == 0 and store.of(NAME) == []


def test_a_dump_holds_a_tenant_and_restores_it_elsewhere(store, place, tmp_path, people):
    lived(store, people)
    store.keys.create("k")
    store.within("other").append([did("x", "somebody-else")])
    counts = dump(store, tmp_path / "shop.dump")
    assert counts["events"] == len(people.events) + 4 and counts["models"] == 1 and counts["keys"] == 1
    fresh = Store.open(tmp_path / "fresh.db")
    assert restore(fresh, tmp_path / "shop.dump") == counts | {"users": counts["users"]}
    assert [vars(e) for e in fresh.log()] == [vars(e) for e in store.log()]
    told = export_person(store, NAME)
    assert export_person(fresh, NAME) == told | {"recordings": []}, "recordings stay where they were made"
    assert Fitted.load(fresh.models.path(fresh.models.live())).name == "user-knn"
    assert fresh.append([did("a"), did("z")]).repeated == 1 and fresh.tenants() == ["default"]
    fresh.close()
    with pytest.raises(BadData, match="exists already"):
        dump(store, tmp_path / "shop.dump")


def test_whoever_was_erased_since_a_dump_stays_erased_when_it_is_restored(store, tmp_path, people):
    lived(store, people)
    dump(store, tmp_path / "shop.dump")
    erase(store, NAME)
    with pytest.raises(BadData, match="--replace"):
        restore(store, tmp_path / "shop.dump")
    restore(store, tmp_path / "shop.dump", replace=True)
    assert store.of(NAME) == [] and store.of(VISITOR) == [] and store.count() == len(people.events)
    assert store.answered.trace("r") is None and not [e for e in store.users() if e.name in (NAME, VISITOR)]
    erase(store, "u5")
    restore(store, tmp_path / "shop.dump", replace=True)
    row = int(people.users.index(["u5"])[0])
    assert not Fitted.load(store.models.path(store.models.live())).model.people[[row]].nnz


def test_tombstones_outlive_the_tables_in_a_file_beside_them(tmp_path, people):
    store = Store.open(tmp_path / "shop.db")
    lived(store, people)
    dump(store, tmp_path / "shop.dump")
    erase(store, NAME)
    store.close()
    for file in tmp_path.glob("shop.db*"):
        if file.is_file():
            file.unlink()
    again = Store.open(tmp_path / "shop.db")
    restore(again, tmp_path / "shop.dump")
    assert again.of(NAME) == [] and again.count() == len(people.events)
    again.close()


def test_a_dump_of_a_newer_version_and_what_is_no_dump_are_refused(store, tmp_path):
    (tmp_path / "x.dump").write_text("no dump")
    with pytest.raises(BadData, match="is no dump, or is damaged"):
        restore(store, tmp_path / "x.dump")
    with zipfile.ZipFile(tmp_path / "y.dump", "w") as out:
        out.writestr("dump.json", json.dumps({"interplay": "store", "schema": "9999"}))
    with pytest.raises(Mismatch, match="was written with schema 9999"):
        restore(store, tmp_path / "y.dump")
    with pytest.raises(BadData, match="no file at"):
        restore(store, tmp_path / "z.dump")


def test_what_is_older_than_need_be_is_dropped(store):
    store.append([did("a"), did("b")])
    store.answered.shown([{**SHOWN, "request_id": "r"}], user=NAME)
    store.database.flush()
    assert retain(store, 1) == {"events": 0, "impressions": 1, "traces": 0, "recordings": 0}
    assert retain(store, 0)["events"] == 2 and store.count() == 0 and store.append([did("c")]).kept == 1
    assert store.tail()[0].row == 3


def test_compacting_gives_room_back(tmp_path):
    store = Store.open(tmp_path / "shop.db")
    store.append([did(f"e{i}", payload={"x": "y" * 500}) for i in range(5000)])
    compact(store)
    before = (tmp_path / "shop.db").stat().st_size
    retain(store, 0)
    compact(store)
    assert (tmp_path / "shop.db").stat().st_size < before / 10
    store.close()


def test_a_data_set_comes_back_from_a_store_as_it_went_in(store, people):
    assert load(store, people) == len(people.events) and load(store, people) == 0
    back = snapshot(store).dataset
    assert back.users == people.users and back.items == people.items and back.name == people.name
    for column in ("user", "item", "time"):
        np.testing.assert_array_equal(getattr(back.events, column), getattr(people.events, column))
    assert back.catalogue["title"].to_list() == people.catalogue["title"].to_list()


def test_a_snapshot_leaves_out_what_was_taken_back_and_what_is_no_taste(store):
    store.append([did("a", item="x"), did("b", item="y"), did("c", item=None, kind="undo", undoes="a"),
                  did("d", kind="less", item="z"), did("e", kind="edit", item=None)])  # fmt: skip
    store.delete_items(["y"])
    taken = snapshot(store)
    assert taken.dataset.events.item.tolist() == [1] and taken.gone.tolist() == [False, True, False]


def test_files_are_ingested_once_and_bad_rows_are_kept_apart(store, tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,price\n1,Lamp,3.5\n2,Tea,2\n")
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,event_type,mood\nada,1,1700000000000000,click,calm\n,2,1700000000000001,click,\n"
        "bo,3,1700000000000002,buy,\n"
    )
    report = ingest(store, [tmp_path / "log.csv", tmp_path / "items.csv"])
    assert (report.rows, report.kept, report.refused) == (5, 4, 1) and store.count() == 2
    assert [(e.name, dict(e.columns)) for e in store.items()] == [
        ("1", {"title": "Lamp", "price": 3.5}), ("2", {"title": "Tea", "price": 2.0}), ("3", {})
    ]  # fmt: skip
    assert store.of("ada")[0].payload == {"mood": "calm"}
    again = ingest(store, tmp_path / "log.csv")
    assert store.count() == 2 and "2 events were in the store already" in again.notes
    with store.database.read() as connection:
        kept = connection.execute(sa.select(t.batches.c.kept, t.batches.c.repeated, t.batches.c.refused)).all()
    assert sorted(kept) == [(0, 2, 1), (4, 0, 1)]
    with pytest.raises(BadData, match=r"expected user_id and item_id \(events\)"):
        (tmp_path / "what.csv").write_text("a,b\n1,2\n")
        ingest(store, tmp_path / "what.csv")
