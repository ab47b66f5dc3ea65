"""The browser and the served shop of the page's tests, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    from browsing import CHROMIUM, QUIET
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.fail(f"the page's tests drive {CHROMIUM}, which is not there; install it: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    from browsing import serving, steered

    with serving(steered()) as address:
        yield address
