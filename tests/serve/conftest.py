"""The browser and the served shop of the page's tests, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

AXE = "4.14.1"  # the release whose rules the page is held to


@pytest.fixture(scope="module")  # while it is open an event loop runs, which tests of coroutines cannot bear
def browser() -> Iterator[object]:
    from browsing import CHROMIUM, QUIET
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.fail(f"the page's tests drive {CHROMIUM}, which is not there; install it: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")  # what is wished and clicked in one file is not known in another
def served() -> Iterator[str]:
    from browsing import serving, steered

    with serving(steered()) as address:
        yield address


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from the cache or from the npm registry."""
    import subprocess
    import tarfile
    import tempfile
    from pathlib import Path

    from interplay.data.fetch import cache

    kept = cache() / "tools" / f"axe-core-{AXE}.js"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as place:
            try:
                asked = ["npm", "pack", "--silent", f"axe-core@{AXE}"]
                subprocess.run(asked, cwd=place, check=True, capture_output=True, timeout=120)
                with tarfile.open(next(Path(place).glob("axe-core-*.tgz"))) as packed:
                    source = packed.extractfile("package/axe.min.js").read()  # type: ignore[union-attr]
            except (OSError, subprocess.SubprocessError, StopIteration) as problem:
                pytest.fail(
                    f"axe-core {AXE} is not in {kept.parent} and npm could not fetch it ({problem}); install npm and "
                    f"connect once, or put axe.min.js of that version there as {kept.name}"
                )
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(source)
    return kept.read_text(encoding="utf-8")
