"""Every call is described with examples, the examples work as they stand, and their answers are real ones.

python tests/serve/test_described.py     writes the answers anew
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient
from serving import DAY, shop

from interplay import learning
from interplay.data.store.snapshot import load
from interplay.data.store.store import Store
from interplay.fitted import Fitted
from interplay.serve.app import create_app
from interplay.serve.describing import ANSWERS, operations
from interplay.serve.engine import Engine
from interplay.serve.working import Workshop
from interplay.types import Run

LAST = (
    "delete /v1/items/{item_id}",
    "post /v1/items:delete",
    "post /v1/users/{user_id}/merge",
    "delete /v1/users/{user_id}",
)
ORDER = ("", "/start", "/shares", "/stop", "/decide")  # an experiment is started before it can be stopped
ELSEWHERE = re.compile(r"/v1/operate/crowd|/api/|/healthz|/readyz|/metrics")  # simulated people; Gorse's own clients
DEPTH = 2  # so many of a list are enough to see what it is


def short(value: Any) -> Any:
    """A real answer, its lists cut."""
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    return [short(v) for v in value[:DEPTH]] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Workshop, "begin", lambda works, errand: None
        )  # what is learnt beside the service is no matter here
        yield made(tmp_path_factory.mktemp("described"))


def made(folder: Path) -> TestClient:
    """The shop with two models, and somebody who has said something."""
    data = shop(60, 40)
    late = time.time_ns() // 1000 - DAY - int(data.events.time.max())
    data = replace(data, events=replace(data.events, time=data.events.time + late))  # it goes on to this day
    store = Store.open(folder / "shop.db")
    load(store, data)
    for name in ("popular", "item-knn"):
        learning.kept(store, Fitted.learn(name, data, run=Run(seed=0)), learning.snapshot(store), {}, promote=None)
    store.models.promote(2)
    store.models.promote(1)
    client = TestClient(create_app(Engine.over(store)))
    client.post("/v1/events", json={"user_id": "visitor-5f1c", "item_id": "lamp-4", "event_type": "click"})
    client.post("/v1/chat", json={"user_id": "u17", "text": "no books"})
    return client


def asked(client: TestClient, schema: dict[str, Any]) -> dict[str, tuple[int, Any]]:
    """ "get /v1/similar" -> status and answer, of every call asked as its examples say."""
    calls = [(f"{m} {p}", p, m, c) for p, m, c in operations(schema) if not ELSEWHERE.search(p)]
    calls.sort(key=lambda c: (c[0] in LAST, LAST.index(c[0]) if c[0] in LAST else 0, _when(c[1]), c[2] == "delete"))
    out: dict[str, tuple[int, Any]] = {}
    errands = client.app.state.works["default"].errands  # type: ignore[attr-defined]
    for name, path, method, call in calls:
        for waiting in errands.list():  # one of a kind at a time
            errands.drop(waiting.errand_id)
        given = {p["name"]: _example(p, schema) for p in call.get("parameters", ())} | _now(client, path)
        place = re.sub(r"{(\w+)(:path)?}", lambda m, given=given: str(given[m[1]]), path)
        query = {p["name"]: given[p["name"]] for p in call.get("parameters", ()) if p["in"] == "query"}
        query.pop("cursor", None)  # it is that of an answer before
        body = call.get("requestBody")
        more = {} if body is None else {"json": _example(body["content"]["application/json"], schema)}
        answer = client.request(method.upper(), place, params=query, **more)
        kind = answer.headers.get("content-type", "")
        out[name] = answer.status_code, answer.json() if "json" in kind else answer.text
    return out


def _when(path: str) -> int:
    return next((ORDER.index(end) for end in ORDER[1:] if path.startswith("/v1/experiments") and path.endswith(end)), 0)


def _example(told: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The example of an argument or a body; None where there is none."""
    if "example" in told or told.get("examples"):
        return told["example"] if "example" in told else told["examples"][0]
    inner = told.get("schema", {})
    if "items" in inner:
        one = _example({"schema": inner["items"]}, schema)
        return None if one is None else [one]
    if "$ref" in inner:
        inner = schema["components"]["schemas"][inner["$ref"].rpartition("/")[2]]
    if inner.get("examples"):
        return inner["examples"][0]
    one = next((part for part in inner.get("anyOf", ()) if "$ref" in part), None)
    if inner.get("properties"):
        held = {k: _example({"schema": v} | v, schema) for k, v in inner["properties"].items()}
        return {k: v for k, v in held.items() if v is not None} or None
    return _example({"schema": one}, schema) if one else None


def _now(client: TestClient, path: str) -> dict[str, Any]:
    """Ids that exist only once something was done."""
    if "{request_id}" in path:
        return {"request_id": client.get("/v1/recommendations?user_id=u17&k=5").json()["request_id"]}
    if "{wish_id}" in path:
        client.post("/v1/chat", json={"user_id": "u17", "text": "no tea"})
        held = client.get("/v1/users/u17/instructions").json()["wishes"]
        return {"wish_id": held[0]["wish_id"]}
    if "{statement_id}" in path:
        held = client.post("/v1/users/u17/statements", json={"text": "Likes lamps"}).json()["statements"]
        return {"statement_id": next(s["statement_id"] for s in held if s["statement_id"])}
    if path.endswith("/decide"):  # the one before is stopped
        arms = [{"name": "now"}, {"name": "next", "model": 2}]
        client.post("/v1/experiments", json={"name": "newer-feed", "arms": arms})
        client.post("/v1/experiments/newer-feed/start")
        return {"name": "newer-feed"}
    if "{errand_id}" in path:
        kind = path.split("/")[2]
        body = {"policies": [{"name": "feed.toml"}]} if kind == "estimates" else {}
        told = client.post(f"/v1/{kind}", json=body).json()[kind.removesuffix("s")]
        return {"errand_id": told["errand_id"]}
    return {}


def test_every_argument_body_and_answer_has_an_example(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    missing = []
    for path, method, call in operations(schema):
        for argument in call.get("parameters", ()):
            if _example(argument, schema) is None:
                missing.append(f"{method} {path}: {argument['name']}")
        body = call.get("requestBody", {}).get("content", {}).get("application/json")
        if body and _example(body, schema) is None:
            missing.append(f"{method} {path}: body")
        told = next(answer for status, answer in call["responses"].items() if status.startswith("2"))
        if not ELSEWHERE.search(path) and "example" not in told.get("content", {}).get(
            "application/json", {"example": 0}
        ):
            missing.append(f"{method} {path}: answer")
    assert not missing


def test_every_call_answers_as_its_example_says(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    for name, (status, told) in asked(client, schema).items():
        assert status < 300, (name, status, told)


def test_the_answers_shown_are_of_the_shape_that_is_described(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    for path, method, call in operations(schema):
        told = next(answer for status, answer in call["responses"].items() if status.startswith("2"))
        held = told.get("content", {}).get("application/json", {})
        if "example" in held and held["schema"]:
            whole = held["schema"] | {"components": schema["components"]}
            for wrong in jsonschema_rs.validator_for(whole).iter_errors(held["example"]):
                raise AssertionError(f"{method} {path}: {wrong}")


if __name__ == "__main__":
    import tempfile

    Workshop.begin = lambda works, errand: None  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        app = made(Path(folder))
        told = asked(app, app.get("/openapi.json").json())
        for name, (status, answer) in told.items():
            if status >= 300:
                print(name, status, json.dumps(answer)[:300])
        kept = {
            name: short(answer)
            for name, (status, answer) in sorted(told.items())
            if status < 300 and not isinstance(answer, str)
        }
        text = json.dumps(kept, indent=1, ensure_ascii=False).replace(folder, "/srv/interplay")
        ANSWERS.write_text(text + "\n", encoding="utf-8")
