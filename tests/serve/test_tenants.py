"""Two shops over one store and one service: whatever they do, in whatever order, neither ever sees the other's data."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from serving import built, shop

from interplay.data.store.store import Store
from interplay.serve.app import create_app

TENANTS = ("default", "bravo")
SECRET = {"default": "alphasecret", "bravo": "bravosecret"}  # in every text that a tenant tells, and in no other
DATA = shop(24, 8)
USERS = st.sampled_from(["u1", "u2", "ada"])  # both tenants call people and things by the same names
ITEMS = st.sampled_from(["lamp-0", "tea-1", "fresh-1", "fresh-2"])
WHO = st.sampled_from(TENANTS)


class Shops(RuleBasedStateMachine):
    answers = Bundle("answers")  # (tenant, request_id)

    def place(self) -> str:
        return str(self.folder / "shops.db")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        store = Store.open(self.place())
        engines, self.headers = {}, {}
        for tenant in TENANTS:
            own = store.within(tenant)
            titles = DATA.catalogue["title"] + f" {SECRET[tenant]}"
            data = replace(DATA, catalogue=DATA.catalogue.with_columns(title=titles, owner=pl.lit(SECRET[tenant])))
            engines[tenant] = built(data, store=own)
            key, _ = own.keys.create(tenant, scopes=["admin"])
            self.headers[tenant] = {"Authorization": f"Bearer {key}"}
        self.store, self.client = store, TestClient(create_app(engines, keys=store.keys))
        self.items = {tenant: {str(name) for name in DATA.items} for tenant in TENANTS}
        self.known = {tenant: set(names) for tenant, names in self.items.items()}  # deleted ones too
        self.kept: dict[str, dict[str, str]] = {tenant: {} for tenant in TENANTS}  # event -> whose it is

    def call(self, tenant: str, method: str, path: str, **more: Any) -> Any:
        headers = {**self.headers[tenant], **more.pop("headers", {})}
        answer = self.client.request(method, path, headers=headers, **more)
        other = SECRET[TENANTS[1 - TENANTS.index(tenant)]]
        assert answer.status_code < 500 and other not in answer.text, (method, path, answer.text)
        try:
            return answer.json()
        except json.JSONDecodeError:
            return {}

    # ------------------------------------------------------------------------------------------------------ telling

    @rule(tenant=WHO, user=USERS, item=ITEMS, event=st.sampled_from(["e1", "e2", "e3"]))
    def tell(self, tenant: str, user: str, item: str, event: str) -> None:
        row = {"event_id": f"{user}-{event}", "user_id": user, "item_id": item, "event_type": "keep"}
        told = self.call(tenant, "POST", "/v1/events", json=row)
        fresh = item in self.known[tenant] and row["event_id"] not in self.kept[tenant]
        assert told["accepted"] == fresh
        if fresh:
            self.kept[tenant][row["event_id"]] = user

    @rule(tenant=WHO, item=ITEMS, price=st.integers(1, 50))
    def describe(self, tenant: str, item: str, price: int) -> None:
        row = {"item_id": item, "title": f"Thing {SECRET[tenant]}", "price": float(price), "kind": "lamp"}
        self.call(tenant, "POST", "/v1/items", json={"items": [row]})
        self.items[tenant].add(item)
        self.known[tenant].add(item)

    @rule(tenant=WHO, item=ITEMS)
    def delete(self, tenant: str, item: str) -> None:
        self.call(tenant, "DELETE", f"/v1/items/{item}")
        self.items[tenant].discard(item)

    @rule(tenant=WHO, user=USERS)
    def name(self, tenant: str, user: str) -> None:
        self.call(tenant, "POST", "/v1/users", json={"users": [{"user_id": user, "name": SECRET[tenant]}]})

    @rule(tenant=WHO, user=USERS, text=st.sampled_from(["no tea", "under 20", "more lamps"]))
    def say(self, tenant: str, user: str, text: str) -> None:
        self.call(tenant, "POST", "/v1/chat", json={"user_id": user, "text": f"{text} {SECRET[tenant]}"},
                  headers={"Idempotency-Key": f"{user} {text}"})  # fmt: skip

    @rule(tenant=WHO, user=USERS)
    def state(self, tenant: str, user: str) -> None:
        self.call(tenant, "POST", f"/v1/users/{user}/statements", json={"text": f"Likes {SECRET[tenant]}"})

    @rule(tenant=WHO, user=USERS)
    def erase(self, tenant: str, user: str) -> None:
        self.call(tenant, "DELETE", f"/v1/users/{user}")
        self.kept[tenant] = {event: whose for event, whose in self.kept[tenant].items() if whose != user}

    @rule(tenant=WHO, user=USERS, item=ITEMS, event=st.sampled_from(["e1", "e2"]))
    def sign_in(self, tenant: str, user: str, item: str, event: str) -> None:
        """Somebody unknown does something and then says who they are; who says so last has it all."""
        visitor, event = f"visitor-{event}", f"visitor-{event}"
        row = {"event_id": event, "user_id": visitor, "item_id": item, "event_type": "keep"}
        fresh = self.call(tenant, "POST", "/v1/events", json=row)["accepted"]
        merged = self.call(tenant, "POST", f"/v1/users/{user}/merge", json={"from": visitor})
        if "error" not in merged and (fresh or event in self.kept[tenant]):
            self.kept[tenant][event] = user

    @rule(tenant=WHO, item=ITEMS, price=st.integers(1, 50))
    def change(self, tenant: str, item: str, price: int) -> None:
        row = {"price": float(price), "text": f"Better {SECRET[tenant]}"}
        self.call(tenant, "PATCH", f"/v1/items/{item}", json=row)

    @rule(tenant=WHO)
    def rename(self, tenant: str) -> None:
        """To and fro; nothing else speaks of these."""
        old, new = ("tea-9", "tea-x") if "tea-9" in self.items[tenant] else ("tea-x", "tea-9")
        told = self.call(tenant, "PATCH", f"/v1/items/{old}", json={"item_id": new})
        assert told["accepted"] == 1, told
        self.items[tenant] = self.items[tenant] - {old} | {new}

    @rule(tenant=WHO, user=USERS)
    def rewrite(self, tenant: str, user: str) -> None:
        self.call(tenant, "PATCH", f"/v1/users/{user}", json={"city": SECRET[tenant]})

    @rule(tenant=WHO, user=USERS)
    def undo(self, tenant: str, user: str) -> None:
        self.call(tenant, "POST", f"/v1/users/{user}/instructions/undo")

    @rule(tenant=WHO, user=USERS, item=ITEMS)
    def tell_as_ubi(self, tenant: str, user: str, item: str) -> None:
        query = {"query_id": f"{user}-{item}", "client_id": user, "user_query": SECRET[tenant]}
        self.call(tenant, "POST", "/v1/ubi", json={"queries": [query]})

    # ------------------------------------------------------------------------------------------------------- asking

    @rule(target=answers, tenant=WHO, user=USERS, ask=st.sampled_from(["recommendations", "search", "similar"]))
    def ask(self, tenant: str, user: str, ask: str) -> Any:
        more = {"search": "&q=lamp", "similar": "&item_id=tea-5"}.get(ask, "")
        told = self.call(tenant, "GET", f"/v1/{ask}?user_id={user}&k=3{more}")
        return (tenant, told["request_id"]) if "items" in told else multiple()

    @rule(tenant=WHO, held=answers, how=st.sampled_from(["trace", "cursor", "edit"]))
    def follow(self, tenant: str, held: tuple[str, str], how: str) -> None:
        owner, request_id = held
        if how == "trace":
            told = self.call(tenant, "GET", f"/v1/traces/{request_id}")
        elif how == "cursor":
            told = self.call(tenant, "GET", f"/v1/recommendations?cursor={request_id}")
        else:
            told = self.call(tenant, "POST", f"/v1/traces/{request_id}/edits", json={"stage": "page", "edit": {}})
        assert tenant == owner or "error" in told

    @rule(tenant=WHO, held=consumes(answers))
    def forge(self, tenant: str, held: tuple[str, str]) -> None:
        """An answer of one shop, told of as a click by the other."""
        row = {"user_id": "ada", "item_id": "tea-5", "event_type": "click", "request_id": held[1], "event_id": held[1]}
        self.call(tenant, "POST", "/v1/events", json=row)
        self.kept[tenant].setdefault(held[1], "ada")

    @rule(owner=WHO, user=USERS, kind=st.sampled_from(["instructions", "statements"]), body=st.booleans())
    def reach(self, owner: str, user: str, kind: str, body: bool) -> None:
        """A wish or statement of one shop, changed and dropped by the other."""
        stranger = TENANTS[1 - TENANTS.index(owner)]
        self.say(owner, user, "no tea")
        self.state(owner, user)
        held = self.call(owner, "GET", f"/v1/users/{user}/{kind}")
        mine = [one["wish_id"] for one in held.get("wishes", ())]
        mine += [one["statement_id"] for one in held.get("statements", ()) if one["statement_id"]]
        theirs = self.call(stranger, "GET", f"/v1/users/{user}/{kind}")
        for name in mine:
            if name in json.dumps(theirs):  # the same words make the same id, in each shop its own
                continue
            more = {"json": {"pinned": True}} if body else {}
            told = self.call(stranger, "PATCH" if body else "DELETE", f"/v1/users/{user}/{kind}/{name}", **more)
            assert "error" in told, told
        assert self.call(owner, "GET", f"/v1/users/{user}/{kind}") | {"request_id": ""} == held | {"request_id": ""}

    @rule(owner=WHO)
    def experiment(self, owner: str) -> None:
        """What one shop plans the other neither sees nor ends."""
        stranger = TENANTS[1 - TENANTS.index(owner)]
        name = f"plan-{SECRET[owner]}"
        told = self.call(owner, "POST", "/v1/experiments", json={"name": name, "arms": [{"name": "a"}, {"name": "b"}]})
        for method, path in (("GET", ""), ("POST", "/start"), ("POST", "/stop"), ("POST", "/shares")):
            more = {"json": {}} if method == "POST" else {}
            known = self.client.request(method, f"/v1/experiments/{name}{path}", headers=self.headers[stranger], **more)
            assert known.status_code >= 400, (told, known.text)

    @rule(tenant=WHO, kind=st.sampled_from(["models/7/promote", "models/rollback"]))
    def promote(self, tenant: str, kind: str) -> None:
        self.call(tenant, "POST", f"/v1/{kind}")

    @rule(tenant=WHO, words=st.sampled_from(list(SECRET.values())))
    def rerank(self, tenant: str, words: str) -> None:
        """By the shop's own words, and by ids that only the other may have."""
        mine = SECRET[tenant]
        self.call(tenant, "POST", "/v1/rerank", json={"query": f"{mine} lamp", "documents": ["lamp", "tea"]})
        self.call(tenant, "POST", "/v1/rerank", json={"item_ids": ["fresh-1", "lamp-0"], "user_id": "ada"})

    @rule(tenant=WHO, user=USERS, what=st.sampled_from(["", "/history", "/export", "/instructions", "/statements"]))
    def read(self, tenant: str, user: str, what: str) -> None:
        self.call(tenant, "GET", f"/v1/users/{user}{what}")

    @rule(
        tenant=WHO,
        path=st.sampled_from(["/", "/v1/feed?user_id=u1", "/v1/users", "/v1/people", "/v1/models", "/v1/operate/live",
                              "/v1/experiments", "/v1/estimates", "/v1/looks", "/v1/operate/crowd",
                              "/v1/operate/benches",
                              "/v1/operate/ingestion", "/api/items", "/api/users", "/api/feedback", "/api/user/ada",
                              "/api/recommend/ada", "/api/user/u1/neighbors", "/v1/items/lamp-0", "/openapi.json"]),
    )  # fmt: skip
    def look(self, tenant: str, path: str) -> None:
        self.call(tenant, "GET", path)

    # --------------------------------------------------------------------------------------------------- what holds

    @rule()
    def each_catalogue_is_its_own(self) -> None:
        for tenant in TENANTS:
            listed = self.call(tenant, "GET", "/v1/items?limit=200")["items"]
            assert {row["item_id"] for row in listed} == self.items[tenant]

    @rule()
    def each_log_is_its_own(self) -> None:
        for tenant in TENANTS:
            for user in ("u1", "u2", "ada"):
                told = [e for e in self.store.within(tenant).of(user) if e.event_type in ("keep", "click")]
                assert len(told) == sum(whose == user for whose in self.kept[tenant].values())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.each_catalogue_is_its_own()
            self.each_log_is_its_own()
            self.store.close()
            shutil.rmtree(self.folder, ignore_errors=True)


Shops.TestCase.settings = settings(
    max_examples=7, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    database=None, phases=[Phase.generate],
)  # fmt: skip
TestNoSequenceOfCallsShowsAnothersData = Shops.TestCase


def test_no_sequence_of_calls_over_postgresql_shows_anothers_data(postgres, tmp_path, monkeypatch):
    class Postgres(Shops):
        def place(self) -> str:
            return postgres()

    monkeypatch.setenv("INTERPLAY_FILES", str(tmp_path))
    run_state_machine_as_test(Postgres, settings=settings(Shops.TestCase.settings, max_examples=2))


def test_only_the_operator_reads_the_measures_which_name_all_tenants(tmp_path):
    store = Store.open(tmp_path / "shops.db")
    engines = {tenant: built(DATA, store=store.within(tenant)) for tenant in TENANTS}
    client = TestClient(create_app(engines, keys=store.keys))
    keys = {tenant: store.within(tenant).keys.create(scopes=["admin"])[0] for tenant in TENANTS}
    told = {tenant: client.get("/metrics", headers={"X-API-Key": key}) for tenant, key in keys.items()}
    assert 'tenant="bravo"' in told["default"].text and told["bravo"].status_code == 403
    store.close()


def test_a_key_of_a_tenant_that_is_not_served_opens_nothing(tmp_path):
    store = Store.open(tmp_path / "shops.db")
    client = TestClient(create_app(built(DATA, store=store), keys=store.keys))
    stray = store.within("closed").keys.create()[0]
    assert client.get("/v1/items", headers={"X-API-Key": stray}).status_code == 401
    store.close()


def test_what_one_tenant_was_answered_the_other_cannot_ask_about(tmp_path):
    store = Store.open(tmp_path / "shops.db")
    engines = {tenant: built(DATA, store=store.within(tenant)) for tenant in TENANTS}
    client = TestClient(create_app(engines, keys=store.keys))
    mine, other = ({"X-API-Key": store.within(t).keys.create(scopes=["admin"])[0]} for t in TENANTS)
    told = client.get("/v1/recommendations?user_id=u1&k=3", headers=mine).json()
    body = {"stage": "page", "edit": {}}
    store.database.flush()
    for name in (told["request_id"], told["next"]):
        assert client.get(f"/v1/traces/{name}", headers=mine).status_code == 200
        assert client.get(f"/v1/traces/{name}", headers=other).status_code == 404
        assert client.get(f"/v1/recommendations?cursor={name}", headers=other).status_code == 404
        assert client.post(f"/v1/traces/{name}/edits", json=body, headers=other).status_code == 404
    store.close()
