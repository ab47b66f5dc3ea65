"""What is measured while serving, in Prometheus' text format: never who asked, only how often and how long.

Every app has a registry of its own, so that several may live in one process. Tenants are told apart only in the gauges
of what they hold; `/metrics` is read with an admin key of the tenant `default`, which is the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from interplay.serve.answers import Answer
from interplay.serve.engine import Engine

STEPS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Measures:
    """Counters and histograms of one app."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered", "route", "method", "status")
        self.seconds = self._histogram("request_seconds", "From the first byte to the last", "route")
        self.stages = self._histogram("stage_seconds", "Stages of the request path", "stage")
        self.sources = self._histogram("source_seconds", "Sources of candidates", "source")
        self.missing = self._counter("source_missing", "Sources left out of an answer", "source", "why")
        self.answers = self._counter("answers", "Lists given", "kind")
        self.fallbacks = self._counter("fallbacks", "Answers given in a second-best way", "what")
        self.events = self._counter("events", "Events told", "outcome")
        self.refusals = self._counter("refusals", "Requests turned away", "why")
        self.busy = 0
        self.watching: list[Callable[[Engine, Sequence[str]], None]] = []  # told why rows were refused
        self.registry.register(_Holdings(engines, lambda: self.busy))
        for engine in engines.values():
            engine.listeners.append(self.answered)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"interplay_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(f"interplay_{name}", about, labels, registry=self.registry, buckets=STEPS)

    def answered(self, answer: Answer) -> None:
        """Count one answer: its stages, its sources, and what was second best in it."""
        kind, stages = "similar", {stage.name: stage for stage in answer.trace.stages}
        for name, stage in stages.items():
            self.stages.labels(name).observe(stage.seconds)
            kind = str(stage.facts.get("kind", kind)) if name == "understand" else kind
        late = False
        for source in stages["retrieve"].facts.get("sources", ()) if "retrieve" in stages else ():
            if "seconds" in source:
                self.sources.labels(source["source"]).observe(source["seconds"])
            elif "dropped" in source:
                late = True
                why = "late" if str(source["dropped"]).startswith("later than") else "failed"
                self.missing.labels(source["source"], why).inc()
        self.answers.labels(kind).inc()
        if late:
            self.fallbacks.labels("without a source").inc()
        if not answer.items:
            self.fallbacks.labels("empty").inc()
        elif "understand" in stages and stages["understand"].facts.get("events") == 0:
            self.fallbacks.labels("no history").inc()

    def turned_away(self, engine: Engine, reasons: Sequence[str]) -> None:
        """Tell whoever watches why rows were refused."""
        for heard in self.watching if reasons else ():
            heard(engine, reasons)

    def text(self) -> bytes:
        """Everything measured, as Prometheus reads it."""
        return generate_latest(self.registry)


class _Holdings(Collector):
    """What each engine holds at the moment it is asked."""

    def __init__(self, engines: Mapping[str, Engine], busy: Callable[[], int]) -> None:
        self.engines, self.busy = engines, busy

    def collect(self) -> list[Metric]:
        gauges: dict[str, Any] = {
            "items": GaugeMetricFamily("interplay_items", "Items of the catalogue", labels=["tenant"]),
            "people": GaugeMetricFamily("interplay_people", "People known at the fit", labels=["tenant"]),
            "live": GaugeMetricFamily("interplay_live_events", "Events since the fit", labels=["tenant"]),
            "age": GaugeMetricFamily("interplay_model_age_seconds", "Since the fit", labels=["tenant"]),
            "behind": GaugeMetricFamily("interplay_learning_behind", "Rows not learnt yet", labels=["tenant"]),
            "learnt": CounterMetricFamily("interplay_learnt_events", "Events learnt without a fit", labels=["tenant"]),
            "failed": CounterMetricFamily(
                "interplay_learning_failures", "Learning between fits that failed", labels=["tenant"]
            ),
        }  # fmt: skip
        for tenant, engine in self.engines.items():
            gauges["items"].add_metric([tenant], engine.dataset.n_items)
            gauges["people"].add_metric([tenant], engine.dataset.n_users)
            gauges["live"].add_metric([tenant], engine.heard())
            gauges["age"].add_metric([tenant], age(engine))
            gauges["behind"].add_metric([tenant], engine.between.behind)
            gauges["learnt"].add_metric([tenant], engine.between.events)
            gauges["failed"].add_metric([tenant], engine.between.failures)
        busy = GaugeMetricFamily("interplay_requests_in_progress", "Requests being worked on", value=self.busy())
        return [*gauges.values(), busy]


def age(engine: Engine) -> float:
    """Seconds since the newest event that the live model has learnt from."""
    times = engine.dataset.events.time
    newest = int(times.max()) if times is not None and len(times) else None
    return 0.0 if newest is None else max(0.0, (engine.now() - newest) / 1e6)
