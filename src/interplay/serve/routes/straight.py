"""Routes that FastAPI describes and we call: the way from a query to the bytes of an answer without detours.

FastAPI looks for every argument of every dependency in four places, and checks an answer on another thread than the one
that made it; for a live request that is a fifth of what it costs. What only reads its path and its query goes this way,
all else FastAPI's.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from inspect import iscoroutinefunction
from typing import Any, get_origin

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute

from interplay.ops.jsons import encoded

Answering = Callable[[Request], Coroutine[Any, Any, Response]]


class Straight(APIRoute):
    """A route whose arguments are read, and whose answer is checked and written, in one go each."""

    def get_route_handler(self) -> Answering:
        """What answers a request: our own way where there is no body and no header to read."""
        own = self.dependant
        elsewhere = own.header_params or own.cookie_params or own.body_params or own.response_param_name
        needs = [(d.name, d.call, str(d.request_param_name)) for d in own.dependencies]
        simple = all(
            iscoroutinefunction(d.call) and d.request_param_name and not (d.dependencies or d.query_params)
            for d in own.dependencies
        )
        if elsewhere or not simple or iscoroutinefunction(own.call) or own.background_tasks_param_name:
            return super().get_route_handler()
        places = [("path", field) for field in own.path_params] + [("query", field) for field in own.query_params]
        listed = {field.alias for _, field in places if get_origin(field.field_info.annotation) is list}

        async def answered(request: Request) -> Response:
            values: dict[str, Any] = {}
            for name, call, key in needs:
                got = await call(**{key: request})  # type: ignore[misc]
                if name is not None:
                    values[name] = got
            if own.request_param_name:
                values[own.request_param_name] = request
            query, wrongs = request.query_params, []
            for place, field in places:
                alias, held = field.alias, query if place == "query" else request.path_params
                if alias in held:
                    given = query.getlist(alias) if alias in listed else held[alias]
                    values[field.name], wrong = field.validate(given, {}, loc=(place, alias))
                    wrongs += wrong
                elif field.field_info.is_required():
                    wrongs.append({"type": "missing", "loc": (place, alias), "msg": "Field required", "input": None})
                else:
                    values[field.name] = copy(field.default)
            if wrongs:
                raise RequestValidationError(wrongs)
            return await run_in_threadpool(self._answer, values)

        return answered

    def _answer(self, values: dict[str, Any]) -> Response:
        """The endpoint's answer, checked against what is described of it."""
        assert self.dependant.call is not None
        told = self.dependant.call(**values)
        if isinstance(told, Response):
            return told
        if self.response_field is None:
            body = encoded(told)
        else:
            value, wrongs = self.response_field.validate(told, {}, loc=("response",))
            if wrongs:
                raise ResponseValidationError(errors=wrongs, body=told)
            body = self.response_field.serialize_json(value, exclude_none=self.response_model_exclude_none)
        return Response(body, self.status_code or 200, media_type="application/json")
