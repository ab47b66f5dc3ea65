"""HTTP: a body in, one call of the engine, an answer out. `create_app(engine)` is the whole service and the page.

Every answer carries a `request_id`; every refusal is a sentence. No answer and no page refers to another host.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

import interplay
from interplay.data.store.keys import Keys
from interplay.data.store.people import unless_erased
from interplay.data.store.store import DEFAULT
from interplay.errors import BadSetting, InterplayError
from interplay.llm import TextModel, configured
from interplay.llm.recorded import remembering
from interplay.serve import refusing
from interplay.serve.beliefs import Beliefs
from interplay.serve.describing import described
from interplay.serve.editing import Editing
from interplay.serve.engine import Engine
from interplay.serve.guard import Door, Guard, GuardConfig
from interplay.serve.logs import Trail
from interplay.serve.metrics import Measures
from interplay.serve.operating import Recorder
from interplay.serve.page import Page
from interplay.serve.photos import Photos
from interplay.serve.repeats import Repeats
from interplay.serve.routes import (
    asking,
    beliefs,
    catalogue,
    estimates,
    experiments,
    figures,
    gorse,
    looks,
    models,
    operating,
    pages,
    people,
    reading,
    steering,
    telling,
)
from interplay.serve.spans import Spans
from interplay.serve.steering import Steering
from interplay.serve.working import Workshop

ABOUT = (
    "Ids are any string or integer. Every answer has a `request_id`: `/v1/traces/{request_id}` tells how it came "
    "about, and events that follow from it carry it back. Paths below `/api` speak Gorse's REST."
)


def create_app(
    engine: Engine | Mapping[str, Engine],
    *,
    keys: Keys | None = None,
    guard: GuardConfig = GuardConfig(),
    photos: Photos = Photos(),
    model: TextModel | None = None,
    spans: Spans | None = None,
) -> FastAPI:
    """The service over one engine, or over one for each tenant. From the first of `keys` on every request
    but a probe needs one. `model` reads commands beside the rules: by default the one that the environment names."""
    engines = {DEFAULT: engine} if isinstance(engine, Engine) else dict(engine)
    if DEFAULT not in engines:
        raise BadSetting(f"no engine for the tenant {DEFAULT!r}, which is the operator's; found {sorted(engines)}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.closing = True
        for crowd in app.state.crowds.values():
            crowd.send_home()
        for works in app.state.works.values():
            works.close()

    app = FastAPI(
        title="Interplay", version=interplay.__version__, docs_url=None, redoc_url=None,  # both load from another host
        summary="Search, recommendation and conversation from one request path, each answer with its trace.",
        description=ABOUT, lifespan=lifespan, separate_input_output_schemas=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would name paths, which hold ids
    )  # fmt: skip
    for one in engines.values():
        one.warm()
    state, measures = app.state, Measures(engines)
    state.engines, state.engine, state.measures, state.door, state.closing = (
        engines, engines[DEFAULT], measures, Door(keys), False
    )  # fmt: skip
    state.repeats = Repeats()
    spoken = configured() if model is None else None
    speaks = {  # what a model of the environment answers is remembered among the tenant's own files
        tenant: remembering(spoken, one.store.files("recordings"), partial(unless_erased, one.store))
        if spoken is not None
        else model
        for tenant, one in engines.items()
    }
    state.photos = photos
    state.steering = {tenant: Steering(one, model=speaks[tenant]).warm() for tenant, one in engines.items()}
    state.beliefs = {tenant: Beliefs(one, state.steering[tenant]) for tenant, one in engines.items()}
    state.editing = {tenant: Editing(one) for tenant, one in engines.items()}
    asked = spoken or model
    state.pages = {tenant: Page(pages.WEB, one, photos=photos, model=asked) for tenant, one in engines.items()}
    state.works = {tenant: Workshop(one.store) for tenant, one in engines.items()}
    state.recorders, state.crowds = {tenant: Recorder(one, measures) for tenant, one in engines.items()}, {}
    app.add_middleware(Guard, config=guard, door=state.door, tenants=engines, measures=measures, repeats=state.repeats)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    if guard.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=guard.origins, allow_methods=["*"], max_age=600,
            allow_headers=["authorization", "content-type", "x-api-key", "x-request-id", "idempotency-key"],
            expose_headers=["x-request-id", "retry-after"],
        )  # fmt: skip
    for one in engines.values() if spans is not None else ():
        one.listeners.append(spans.answered)  # type: ignore[union-attr]
    app.add_middleware(Trail, measures=measures, spans=spans)
    app.add_exception_handler(InterplayError, refusing.refused)
    app.add_exception_handler(RequestValidationError, refusing.unreadable)
    app.add_exception_handler(HTTPException, refusing.plainly)
    for routes in (
        asking,
        telling,
        steering,
        beliefs,
        catalogue,
        reading,
        people,
        models,
        experiments,
        estimates,
        looks,
        figures,
        gorse,
        operating,
        pages,
    ):
        app.include_router(routes.router)
    app.mount("/web", pages.Web(directory=pages.WEB), name="web")
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    return app
