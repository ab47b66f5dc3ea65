"""What the page's tests share: Debian's Chromium, a served shop that obeys wishes, pages that must not complain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, expect
from serving import NOW, shop

from interplay.cascade.cascade import Cascade
from interplay.cascade.parts import Source
from interplay.dialogue.steer import Steer, SteerConfig
from interplay.models.counts import Popular, Trending
from interplay.serve.app import create_app
from interplay.serve.engine import Engine
from interplay.types import Dataset

CHROMIUM = Path("/usr/bin/chromium")
expect.set_options(timeout=15_000)  # milliseconds; the machine may be busy
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def steered(dataset: Dataset | None = None, clock: Callable[[], int] = lambda: NOW) -> Engine:
    """The shop with a cascade that obeys wishes; texts are weighed by their words alone, which needs no model."""
    dataset = dataset or shop()
    sources = {
        "popular": Source(retriever=Popular(), says="What most people touched"),
        "trending": Source(retriever=Trending(), says="What people touch of late"),
    }
    cascade = Cascade(sources, steer=Steer(SteerConfig(vectors=False))).fit(dataset)
    return Engine(dataset, cascade, clock=clock)


@contextmanager
def serving(engine: Engine, **more: Any) -> Iterator[str]:
    """The address of an app that is up; `more` is what `create_app` takes."""
    server = uvicorn.Server(uvicorn.Config(create_app(engine, **more), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@contextmanager
def opened(
    browser: Browser, served: str, user: str, path: str = "/", *, forgiven: str = "-", **more: Any
) -> Iterator[Page]:
    """A page of somebody's own, which must not complain (but of what is `forgiven`) and must not ask another host."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **more})
    context.add_cookies([{"name": "interplay_person", "value": user, "url": served}])
    page, wrong = context.new_page(), []
    page.set_default_timeout(30_000)
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(f"{m.text} {m.location['url']}"))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith((served, "data:", "blob:")) else wrong.append(r.url))
    page.goto(served + path)
    yield page
    context.close()
    assert not [w for w in wrong if forgiven not in w], wrong


def say(page: Page, text: str) -> None:
    """Type a command, send it, and wait for the answer."""
    page.locator("#cmd").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#dock")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#reply")).to_be_visible()


def titles(page: Page) -> list[str]:
    """Everything on the feed, in the order of the page."""
    return page.locator("#heroes h3, #shelves h3").all_inner_texts()


def findings(page: Page, axe: str) -> list[str]:
    """What axe-core calls serious or worse, as rule and element."""
    page.evaluate(axe)
    return page.evaluate("""async () => {
        const found = await axe.run(document, { resultTypes: ['violations'] });
        return found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
            .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 120)}`));
    }""")
