"""Rankers over HTTP: what a saved one says of the scores that it gave."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from serving import NOW, shop

from interplay.fitted import Fitted
from interplay.recipe import Recipe
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.types import Run

RECIPE = """
[source.popular]
system = "popular"
[ranker]
system = "optinter-m"
explained = 2
layers = [16]
descent = {epochs = 2, batch = 256}
"""


def test_a_saved_service_names_the_crosses_that_moved_each_score_most(tmp_path: Path):
    Fitted.cooked(Recipe.parse(RECIPE), shop(), run=Run(seed=1)).save(tmp_path / "model")
    engine = Engine(shop(), Fitted.load(tmp_path / "model").model, clock=lambda: NOW)
    with TestClient(create_app(engine)) as client:
        answer = client.get("/v1/recommendations", params={"user_id": "u3", "k": 4}).json()
        told = client.get(f"/v1/traces/{answer['request_id']}").json()
    assert len(told["items"]) == 4
    for item in told["items"]:
        first, second = item["crosses"]
        assert abs(first["effect"]) >= abs(second["effect"]) and first["effect"] != 0
        assert first["method"] == "memorize" and " x " in first["cross"]
        assert first["said"].startswith(f"{first['cross']}, ") and f"{first['effect']:+.2f}" in first["said"]
        assert first["seen"] >= 0
    engine.close()
