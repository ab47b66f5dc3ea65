"""The description of the service: OpenAPI with an example of every argument, body and answer.

The answers are real ones of a small shop, shortened: tests/serve/test_described.py asks every call as its example says,
and `python tests/serve/test_described.py` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

ANSWERS = Path(__file__).with_name("answers.json")  # "get /v1/similar" -> an answer
PARAMETERS: dict[str, Any] = {
    "user_id": "u17", "item_id": "lamp-4", "q": "reading lamp", "k": 10, "where": "price < 20 and kind == 'lamp'",
    "exclude": ["lamp-8"], "facet": ["kind:lamp"], "diversity": 0.3, "draw": 17, "timeout_ms": 200, "limit": 50,
    "cursor": "b1946ac92492d234", "arranged": True, "prefix": "u1", "idempotency-key": "order-5f1c", "seen": "drop",
    "request_id": "b1946ac92492d234", "wish_id": "w1", "statement_id": "s1", "version": 2, "name": "new-feed",
    "errand_id": "e1", "category": "Lamps", "n": 10, "offset": 0, "user-id": "u17", "write-back-type": "read",
    "write-back-delay": "10m", "X-API-Version": "2", "kind": "star",
}  # fmt: skip
BENCH = {"name": "gowalla"}  # an argument of the same name, of another kind


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with examples and the two ways to send a key."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        answers = json.loads(ANSWERS.read_text(encoding="utf-8"))
        for path, method, call in operations(schema):
            for argument in call.get("parameters", ()):
                held = BENCH if path.startswith("/v1/operate/benches") else PARAMETERS
                if argument["name"] in held and not argument["schema"].get("examples"):
                    argument["example"] = held[argument["name"]]
            told = answers.get(f"{method} {path}")
            for status in (told and [s for s in call["responses"] if s.startswith("2")]) or ():
                call["responses"][status]["content"]["application/json"]["example"] = told
        schema["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        schema["security"] = [{"bearer": []}, {"key": []}, {}]
        app.openapi_schema = schema
    return app.openapi_schema


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, what is said of it), of every call."""
    for path, calls in schema["paths"].items():
        for method, call in calls.items():
            yield path, method, call
