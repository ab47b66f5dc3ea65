"""A store's life, made up by hypothesis: whatever is done in whatever order, it holds what a plain list would hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from interplay.data.store.dumping import dump
from interplay.data.store.happened import Happened
from interplay.data.store.people import merge_people
from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, UnknownName
from interplay.learning import erase, restore

PEOPLE, THINGS, TENANTS = ("ada", "bo", "cy", "7"), ("lamp", "tea", "awl", "11"), ("default", "other")
tenant = st.sampled_from(TENANTS)
told = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(PEOPLE), st.sampled_from(THINGS), st.sampled_from(["click", "less"])),
    min_size=1, max_size=5,
)  # fmt: skip


class Plain:
    """What a store should hold of one tenant."""

    def __init__(self) -> None:
        self.events: list[
            tuple[str, str, str, str]
        ] = []  # event_id, who did it (now), item (as it is called now), kind
        self.items: dict[str, int] = {}  # name -> place
        self.gone: set[str] = set()
        self.merged: dict[str, str] = {}
        self.placed = 0

    def heard(self, thing: str) -> None:
        if thing not in self.items:
            self.items[thing] = self.placed
            self.placed += 1


class Life(RuleBasedStateMachine):
    where: Any = None
    folder: Path

    @initialize()
    def begin(self) -> None:
        self.held = tempfile.TemporaryDirectory()
        self.folder = Path(self.held.name)
        self.address = self.where() if self.where else str(self.folder / "shop.db")
        self.open()
        self.plain = {name: Plain() for name in TENANTS}
        self.dumps = 0

    def open(self) -> None:
        first = Store.open(self.address, files=self.folder / "files")
        self.stores = {"default": first, "other": first.within("other")}

    @rule(who=tenant, rows=told)
    def append(self, who: str, rows: list[tuple[int, str, str, str]]) -> None:
        plain = self.plain[who]
        events = [Happened(event_id=f"e{n}", user_id=p, item_id=i, event_type=k, time=n) for n, p, i, k in rows]
        known = {e[0] for e in plain.events}
        fresh = {e.event_id: e for e in reversed(events) if e.event_id not in known}
        for e in events:
            plain.heard(str(e.item_id))
        kept = self.stores[who].append(events)
        assert kept == (len(fresh), len(events) - len(fresh))
        seen: set[str] = set()
        for e in events:
            if e.event_id in fresh and e.event_id not in seen:
                seen.add(e.event_id)
                plain.events.append((e.event_id, str(e.user_id), str(e.item_id), e.event_type))

    @rule(who=tenant, things=st.lists(st.sampled_from(THINGS), min_size=1, max_size=3))
    def describe(self, who: str, things: list[str]) -> None:
        for thing in things:
            self.plain[who].heard(thing)
            self.plain[who].gone.discard(thing)
        self.stores[who].put_items([{"item_id": thing, "price": 1} for thing in things])

    @rule(who=tenant, thing=st.sampled_from(THINGS))
    def delete(self, who: str, thing: str) -> None:
        plain = self.plain[who]
        there = thing in plain.items and thing not in plain.gone
        assert self.stores[who].delete_items([thing]) == int(there)
        if there:
            plain.gone.add(thing)

    @rule(who=tenant, old=st.sampled_from(THINGS), new=st.sampled_from(THINGS))
    def rename(self, who: str, old: str, new: str) -> None:
        plain = self.plain[who]
        if new in plain.items:
            with pytest.raises(BadData):
                self.stores[who].rename_item(old, new)
        elif old not in plain.items:
            with pytest.raises(UnknownName):
                self.stores[who].rename_item(old, new)
        else:
            self.stores[who].rename_item(old, new)
            plain.items[new] = plain.items.pop(old)
            plain.events = [(e, p, new if i == old else i, k) for e, p, i, k in plain.events]
            if old in plain.gone:
                plain.gone.remove(old)
                plain.gone.add(new)

    @rule(who=tenant, person=st.sampled_from(PEOPLE))
    def forget(self, who: str, person: str) -> None:
        plain = self.plain[who]
        names = {person} | {v for v, p in plain.merged.items() if p == person}
        if person in plain.merged:
            return  # erased under the name that theirs was merged into
        assert erase(self.stores[who], person).events == sum(e[1] in names for e in plain.events)
        plain.events = [e for e in plain.events if e[1] not in names]
        plain.merged = {v: p for v, p in plain.merged.items() if p != person}

    @rule(who=tenant, visitor=st.sampled_from(PEOPLE), person=st.sampled_from(PEOPLE))
    def sign_in(self, who: str, visitor: str, person: str) -> None:
        plain, store = self.plain[who], self.stores[who]
        known = {e.name for e in store.users()}
        known = {str(name) for name in known if name is not None}
        if visitor == person or visitor not in known or person in plain.merged:
            with pytest.raises((BadData, UnknownName)):
                merge_people(store, visitor, person)
            return
        merge_people(store, visitor, person)
        plain.merged = {v: person if p == visitor else p for v, p in plain.merged.items()} | {visitor: person}
        merged = [e for e in store.tail() if e.event_type == "merge"]
        plain.events = [e for e in plain.events if e[3] != "merge"]
        plain.events += [(e.event_id, str(e.user_id), "None", "merge") for e in merged]

    @rule()
    def close_and_open_again(self) -> None:
        self.stores["default"].close()
        self.open()

    @precondition(lambda self: self.dumps < 2)
    @rule(who=tenant)
    def dump_and_restore(self, who: str) -> None:
        self.dumps += 1
        path = self.folder / f"{self.dumps}.dump"
        dump(self.stores[who], path)
        restore(self.stores[who], path, replace=True)

    @invariant()
    def it_holds_what_a_plain_list_holds(self) -> None:
        for name, store in getattr(self, "stores", {}).items():
            plain = self.plain[name]
            held = [(e.event_id, str(e.user_id), str(e.item_id), e.event_type) for e in store.tail()]
            assert sorted(held) == sorted(plain.events)
            rows = [e.row for e in store.tail()]
            assert rows == sorted(set(rows)) and (not rows or rows[-1] <= store.head().row)
            assert {str(e.name): e.position for e in store.items()} == plain.items
            assert {str(e.name) for e in store.items() if e.gone} == plain.gone
            for person in PEOPLE:
                names = {person} | {v for v, p in plain.merged.items() if p == person}
                assert {e.event_id for e in store.of(person)} == {e[0] for e in plain.events if e[1] in names}
            taken = snapshot(store)
            assert len(taken.dataset.events) == sum(e[3] == "click" for e in plain.events)
            assert [str(n) for n in taken.dataset.items] == sorted(plain.items, key=plain.items.__getitem__)

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.stores["default"].close()
            self.held.cleanup()


SOME = settings(
    max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def test_a_store_in_sqlite_holds_what_a_plain_list_would():
    run_state_machine_as_test(Life, settings=SOME)


def test_a_store_in_postgresql_holds_what_a_plain_list_would(postgres):
    class Elsewhere(Life):
        where = staticmethod(postgres)

    run_state_machine_as_test(Elsewhere, settings=settings(SOME, max_examples=3, stateful_step_count=10))
