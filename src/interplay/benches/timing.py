"""Time and memory: one row each, a function of protocols/timing.py."""

from __future__ import annotations

from interplay.benches.values import Bench, Entry, add

for _name, _about in {
    "columns": "**Columns**: building the requests of 30,000 people and their slates, beside scoring them.",
    "gowalla-speed": "**Speed on Gowalla**, beside implicit and RecBole in the same run.",
    "ingest": "**Ingestion** of 50 million generated rows.",
    "page": "**The page** in Chromium: first paint, layout shift, a command from key to feed, on the market.",
    "service": "**The service** over 100,000 items and 1,000,000 events on SQLite: 100 requests a second, open loop.",
}.items():
    add(Bench(name=_name, version=1, about=_about, data="", kind="timing", entries=(Entry(system=_name),), metrics=()))
