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
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, rule
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

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        store = Store.open(self.folder / "shops.db")
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
        self.kept: dict[str, dict[str, int]] = {tenant: {} for tenant in TENANTS}  # person -> events told

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
            self.kept[tenant][row["event_id"]] = 1

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
        self.kept[tenant] = {k: v for k, v in self.kept[tenant].items() if not k.startswith(f"{user}-")}

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
        self.kept[tenant].setdefault(f"ada-{held[1]}", 1)

    @rule(tenant=WHO, user=USERS, what=st.sampled_from(["", "/history", "/export", "/instructions", "/statements"]))
    def read(self, tenant: str, user: str, what: str) -> None:
        self.call(tenant, "GET", f"/v1/users/{user}{what}")

    @rule(
        tenant=WHO,
        path=st.sampled_from(["/", "/v1/feed?user_id=u1", "/v1/users", "/v1/people", "/v1/models", "/v1/operate/live",
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
                assert len(told) == sum(k.startswith(f"{user}-") for k in self.kept[tenant])

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
