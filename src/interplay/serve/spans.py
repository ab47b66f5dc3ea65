"""OpenTelemetry, for whoever has a collector: a span for each request, and in it one for each stage of an answer.

On when `OTEL_EXPORTER_OTLP_ENDPOINT` is set (the extra `telemetry` brings the exporter) or when a tracer is handed in.
Spans name routes, sources and counts; like the logs they hold no person's id, no query and no path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from interplay.errors import extra
from interplay.serve.answers import Answer

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Spans:
    """Writes spans with one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    @contextmanager
    def request(self, scope: Mapping[str, Any]) -> Iterator[None]:
        """The span of one request, under the caller's own where `traceparent` names it."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        begun = {"http.request.method": scope["method"], "interplay.request_id": scope["state"]["request_id"]}
        with self.tracer.start_as_current_span(
            scope["method"], context=extract(headers), kind=SpanKind.SERVER, attributes=begun, record_exception=False
        ) as span:
            yield
            route, status = str(getattr(scope.get("route"), "path", "nowhere")), scope["state"].get("status", 500)
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})
            if status >= 500:
                span.set_status(StatusCode.ERROR)

    def answered(self, answer: Answer) -> None:
        """The stages of an answer, laid out in the time that it took."""
        at = time.time_ns() - round(answer.seconds * 1e9)
        for stage in answer.trace.stages:
            numbers = {k: v for k, v in stage.facts.items() if isinstance(v, (int, float, bool))}
            span = self.tracer.start_span(stage.name, start_time=at, attributes=numbers)
            for source in stage.facts.get("sources", ()):
                facts = {k: v for k, v in source.items() if isinstance(v, (str, int, float, bool))}
                span.add_event(str(source["source"]), facts, timestamp=at)
            at += round(stage.seconds * 1e9)
            span.end(at)


def exported() -> Spans | None:
    """Spans that go to the collector named in the environment; None where none is named."""
    if not os.environ.get(ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise extra("opentelemetry-exporter-otlp-proto-http", "telemetry") from missing
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "interplay")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return Spans(provider.get_tracer("interplay"))
