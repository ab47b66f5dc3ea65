"""The bench of the page in a real browser: the built-in market served by the command line, opened in Chromium.

    first paint    from the request to the first contentful paint, of people's own first pages, caches cold: what stands
                   above every view, since it is sent while the feed is computed
    feed paint     from the request to the largest contentful paint: the feed's first screen stands
    shift          how far things jump while the page loads (cumulative layout shift)
    command        from the Enter key to the new feed, and the script time of that
    bytes          what the first page sends, compressed as it is sent

Needs Playwright (extra dev) and Chromium, whose path INTERPLAY_CHROMIUM may name.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from interplay.errors import BadData, extra
from interplay.protocols.service import served

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
COMMANDS = ("no lamps", "under 30", "more tea", "only things under 60", "less dark", "start over")
LOADED = """() => new Promise((told) => { let sum = 0, largest = 0;
  const hear = (type, each) => new PerformanceObserver((list) => list.getEntries().forEach(each))
    .observe({ type, buffered: true });
  hear('layout-shift', (e) => { if (!e.hadRecentInput) sum += e.value; });
  hear('largest-contentful-paint', (e) => { largest = e.startTime; });
  setTimeout(() => told([sum, largest]), 300); })"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
BYTES = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((e) => !e.name.includes('/pictures/')).reduce((sum, e) => sum + e.encodedBodySize, 0)"""


def painted(*, pages: int = 20) -> dict[str, float]:
    """Milliseconds, bytes and layout shift over so many people's first pages and as many commands."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as missing:
        raise extra("playwright", "dev") from missing
    chromium = os.environ.get("INTERPLAY_CHROMIUM", CHROMIUM)
    if not Path(chromium).exists():
        raise BadData(f"no browser at {chromium}; install Chromium, or name it in INTERPLAY_CHROMIUM")
    rng, seen = random.Random(0), list[dict[str, float]]()
    with tempfile.TemporaryDirectory(prefix="interplay-page-") as folder, sync_playwright() as playwright:
        store = str(Path(folder) / "market.db")
        with served(["--store", store], "demo") as server:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
            for n in range(pages + 1):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                person = {"name": "interplay_person", "value": f"p-{rng.randrange(2000):05d}", "url": server.address}
                context.add_cookies([person])  # type: ignore[list-item]
                figures = _one(context.new_page(), server.address, COMMANDS[n % len(COMMANDS)])
                context.close()
                seen += [figures] if n else []  # the very first one warms the server
            browser.close()
    out = {f"{name}_p50": float(np.median([one[name] for one in seen])) for name in seen[0]}
    return out | {f"{name}_most": max(one[name] for one in seen) for name in seen[0]} | {"pages": len(seen)}


def _one(page: Any, address: str, command: str) -> dict[str, float]:
    """One person's first page and one command."""
    page.goto(address, wait_until="load")
    shift, largest = page.evaluate(LOADED)
    out = {"first_paint_ms": page.evaluate(PAINT), "feed_paint_ms": largest, "shift": shift}
    out["bytes"] = page.evaluate(BYTES)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")

    def script() -> float:
        told = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(told["ScriptDuration"])

    page.locator("#cmd").fill(command)
    before = script()
    took = page.evaluate(
        """() => new Promise((told) => { const begun = performance.now(), dock = document.querySelector('#dock');
          let busy = false;
          const look = () => { const now = dock.getAttribute('aria-busy') === 'true'; busy ||= now;
            if (busy && !now) return requestAnimationFrame(() => told(performance.now() - begun));
            requestAnimationFrame(look); };
          document.querySelector('#cmd').form.requestSubmit(); look(); })"""
    )
    return {**out, "command_ms": took, "command_script_ms": script() - before}
