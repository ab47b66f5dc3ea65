"""Figures for whoever keeps it running: latency stage by stage, what came in and what was refused, and the benches.

A `Recorder` listens to one engine and remembers the last answers in fixed arrays; nothing in it says who asked. All
else is read from the store and from the records of benches at the moment somebody looks.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from interplay import reporting, results
from interplay.benches import BENCHES
from interplay.data.store import schema as t
from interplay.serve.answers import Answer
from interplay.serve.engine import Engine
from interplay.serve.metrics import Measures, age

STAGES = ("understand", "retrieve", "rank", "rules", "page")
MINUTES = 15  # that the live figures look back
STEP = 10  # seconds of one point of a line
TARGET = 25.0  # milliseconds, of the 99th percentile
HELD = 1 << 15  # answers remembered
SLOWEST = 8
REASONS = 200  # kinds of refusals remembered
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|\d+")


class Recorder:
    """The last answers of one engine: when, how long, which stages; and which of them to look at."""

    def __init__(self, engine: Engine, measures: Measures, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.clock, self.begun = engine, clock, clock()
        self.n = 0  # answers since the start
        self.at = np.zeros(HELD)
        self.took = np.zeros((HELD, 1 + len(STAGES)), np.float32)  # milliseconds: in all, then by stage
        self.part = np.zeros(HELD, bool)  # answered without a source
        self.ids: list[tuple[str, str]] = [("", "")] * HELD  # request_id, kind
        self.late: deque[tuple[float, str, str, str]] = deque(maxlen=500)  # when, source, why, request_id
        self.refused: dict[str, list[float]] = {}  # shape of the sentence -> [how many, when last]
        self._lock = threading.Lock()
        engine.listeners.append(self.answered)
        measures.watching.append(self.turned_away)

    def answered(self, answer: Answer) -> None:
        """Remember one answer."""
        stages = {stage.name: stage for stage in answer.trace.stages}
        kind = str(stages["understand"].facts.get("kind", "similar")) if "understand" in stages else "similar"
        sources = stages["retrieve"].facts.get("sources", ()) if "retrieve" in stages else ()
        dropped = [s for s in sources if "dropped" in s]
        now = self.clock()
        with self._lock:
            i = self.n % HELD
            self.at[i], self.part[i], self.ids[i] = now, bool(dropped), (answer.request_id, kind)
            self.took[i, 0] = 1000 * answer.seconds
            self.took[i, 1:] = [1000 * stages[s].seconds if s in stages else np.nan for s in STAGES]
            self.n += 1
            for s in dropped:
                self.late.append((now, str(s["source"]), str(s["dropped"]), answer.request_id))

    def turned_away(self, engine: Engine, reasons: Iterable[str]) -> None:
        """Remember why rows were refused: the shape of each sentence, with what was quoted in it left out."""
        now = self.clock()
        with self._lock:
            for reason in reasons if engine is self.engine else ():
                shape = QUOTED.sub("…", reason)
                if shape in self.refused or len(self.refused) < REASONS:
                    held = self.refused.setdefault(shape, [0, now])
                    held[0], held[1] = held[0] + 1, now

    def live(self) -> dict[str, Any]:
        """Latency of the last minutes: quantiles by stage, a line over time, the slowest answers, what was missing."""
        with self._lock:
            now, size = self.clock(), min(self.n, HELD)
            at, took, part = self.at[:size].copy(), self.took[:size].copy(), self.part[:size].copy()
            ids, late = self.ids[:size], list(self.late)
        recent = np.flatnonzero(at >= now - 60 * MINUTES)
        at, took, part = at[recent], took[recent], part[recent]
        span = max(min(60.0 * MINUTES, now - self.begun), 1.0)
        slowest = np.argsort(-took[:, 0], kind="stable")[:SLOWEST]
        missing: dict[str, dict[str, Any]] = {}
        for when, source, why, request_id in late:
            if when >= now - 60 * MINUTES:
                told = missing.setdefault(source, {"source": source, "n": 0})
                told |= {"n": told["n"] + 1, "why": why, "request_id": request_id}
        return {
            "minutes": MINUTES, "answers": len(recent), "a_second": round(len(recent) / span, 2), "target": TARGET,
            "part": round(float(part.mean()), 5) if len(recent) else 0.0, "model_age": round(age(self.engine)),
            "engine": self.engine.name, "since_fit": self.engine.heard(),
            "stages": [
                _quantiles(name, took[:, i]) for i, name in enumerate(("all", *STAGES)) if _any(took[:, i])
            ],
            "p99": _over_time(at, took[:, 0], now, lambda v: float(np.quantile(v, 0.99))),
            "rate": _over_time(at, took[:, 0], now, lambda v: len(v) / STEP, empty=0.0),
            "slowest": [
                {"request_id": ids[recent[i]][0], "kind": ids[recent[i]][1], "at": _iso(at[i]),
                 "milliseconds": round(float(took[i, 0]), 2)}
                for i in slowest
            ],
            "missing": sorted(missing.values(), key=lambda m: -m["n"]),
        }  # fmt: skip


def _any(column: np.ndarray[Any, Any]) -> bool:
    return bool(np.isfinite(column).any())


def _quantiles(name: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    held = values[np.isfinite(values)]
    low, mid, high, top = (round(float(q), 3) for q in np.quantile(held, [0.05, 0.5, 0.95, 0.99]))
    return {"name": name, "n": len(held), "low": low, "mid": mid, "high": high, "top": top}


def _over_time(
    at: np.ndarray[Any, Any], values: np.ndarray[Any, Any], now: float, said: Callable[[np.ndarray[Any, Any]], float],
    empty: float | None = None,
) -> list[list[float | None]]:  # fmt: skip
    """[seconds since 1970, figure] for every step of the window; `empty` where nothing happened."""
    steps = 60 * MINUTES // STEP
    first = int(now // STEP) - steps + 1
    step = (at // STEP).astype(np.int64) - first
    out: list[list[float | None]] = []
    for i in range(steps):
        held = values[step == i]
        out.append([(first + i) * STEP, round(said(held), 3) if len(held) else empty])
    return out


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# --------------------------------------------------------------------------------------------------------------------
# What came in


TAIL = 200_000  # rows of the log that the line of the last hour is read from


def ingestion(recorder: Recorder, taken: Mapping[str, float]) -> dict[str, Any]:
    """Events a minute over the last hour, by type; what was refused and why. `taken`: outcomes since the start."""
    store, now = recorder.engine.store, recorder.clock()
    head, c = store.head(), t.events.c
    minute = sa.cast(c.kept_at / 60_000_000, sa.BigInteger)
    recent = (store.mine(t.events), c.row > head.row - TAIL, c.kept_at >= int((now - 3600) * 1e6))
    counted = sa.select(minute, c.event_type, sa.func.count()).where(*recent).group_by(minute, c.event_type)
    by_minute, by_type = Counter[int](), Counter[str]()
    for when, kind, n in store.database.rows(counted):
        by_minute[int(when)] += n
        by_type[kind] += n
    last = int(now // 60)
    with recorder._lock:
        shapes = list(recorder.refused.items())
    return {
        "database": store.database.said, "rows": head.row, "since_fit": recorder.engine.heard(),
        "people": head.n_users, "items": head.n_items, "hour": sum(by_type.values()),
        "taken": {name: int(n) for name, n in taken.items()},
        "line": [[60 * (last - 59 + i), by_minute.get(last - 59 + i, 0)] for i in range(60)],
        "types": [{"event_type": kind, "n": n} for kind, n in by_type.most_common()],
        "refused": [
            {"reason": shape, "n": int(n), "last": _iso(when)}
            for shape, (n, when) in sorted(shapes, key=lambda held: -held[1][0])
        ],
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Benches


def benches() -> list[dict[str, Any]]:
    """The benches that have records, with when the newest was made."""
    out = []
    for name, page in BENCHES.items():
        held = results.recorded(page)
        if held:
            newest = max(str(record["date"]) for record in held.values())
            out.append({"name": name, "version": page.version, "records": len(held), "date": newest, "kind": page.kind})
    return out


_TABLES: dict[str, tuple[float, dict[str, Any]]] = {}  # bench -> (when its records changed, as drawn)


def bench(name: str) -> dict[str, Any]:
    """The table of one bench as the docs have it: what it is about, columns, rows in groups, what is to be noted."""
    results.bench(name)
    file = results.results_root() / f"{name}.jsonl"
    changed = file.stat().st_mtime if file.exists() else 0.0
    if name not in _TABLES or _TABLES[name][0] != changed:
        _TABLES[name] = (changed, _read(name, reporting.table(name, beside=False)))
    return _TABLES[name][1]


def _read(name: str, text: str) -> dict[str, Any]:
    """A table in Markdown as values."""
    lines = text.splitlines()
    told = [line for line in lines if line.startswith("|")]
    about = [_plain(line) for line in lines if line and not line.startswith("|")]
    rows = [[_plain(cell.strip()) for cell in line.strip("|").split("|")] for line in told]
    head, body = (rows[0], rows[2:]) if len(rows) > 2 else ([], [])
    group, out = "", []
    for row in body:
        if row[0] and not any(row[1:]) and len(row) > 2:
            group = row[0]
        else:
            out.append({"group": group, "cells": row})
    return {"name": name, "about": about, "columns": head, "rows": out}


def _plain(text: str) -> str:
    return re.sub(r"\*\*|`", "", text)
