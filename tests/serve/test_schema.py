"""Whatever the description of the service allows, and some of what it does not: never an answer above 499."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from serving import built, shop

from interplay.data.store.store import Store
from interplay.serve.app import create_app

TRIES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 4}  # calls of each operation, as described or not


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    engine = built(shop(40, 12), store=Store.open(tmp_path_factory.mktemp("store") / "shop.db"))
    yield schemathesis.openapi.from_asgi("/openapi.json", create_app(engine))
    engine.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_call_breaks_the_engine_and_every_answer_is_as_described(described, mode):
    wrong, asked = [], 0
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=TRIES[mode], deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def calls(case: Any) -> None:
            nonlocal asked
            asked += 1
            answer = case.call()
            case.validate_response(answer, checks=(not_a_server_error, response_schema_conformance))

        try:
            calls()
        except Unsatisfiable:  # nothing about this call can be said wrongly
            continue
        except (Exception, BaseExceptionGroup) as problem:
            wrong.append(f"{operation.label}: {problem}")
    assert not wrong, "\n\n".join(wrong)
    assert asked > 150
