"""Time and memory: each row is a function of protocols/timing.py or service.py."""

from __future__ import annotations

from interplay.benches.values import Bench, Entry, add

for _name, _version, _rows, _about in (
    ("columns", 1, ("columns",), "**Columns**: making requests of 30,000 people and slates, beside scoring them."),
    ("gowalla-speed", 1, ("gowalla-speed", "time-to-178"),
     "**Speed on Gowalla**, beside implicit and RecBole in the same run."),
    ("ingest", 1, ("ingest",), "**Ingestion** of 50 million generated rows."),
    ("page", 2, ("page",), "**The page** in Chromium: paints, shifts, a command from key to feed, on the market"),
    ("service", 2, ("requests", "ranked", "narrow", "narrow-100", "memory", "kills"),
     "**The service** over 100,000 items and 1,000,000 events on SQLite: 100 requests a second, open loop."),
):  # fmt: skip
    add(Bench(
        name=_name, version=_version, about=_about, data="", kind="timing", metrics=(),
        entries=tuple(Entry(system=_name, label=row) for row in _rows),
    ))  # fmt: skip
