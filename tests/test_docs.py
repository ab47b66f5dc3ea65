"""Every example runs: the Python blocks of README and docs, and the doctests of the modules."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import sys
import types
from pathlib import Path

import pytest

import interplay

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M))
]
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(interplay.__path__, "interplay.") if not m.name.endswith("__main__")
)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_of_the_docs_runs(block):
    module = types.ModuleType("example")  # a real module, since dataclasses look theirs up
    sys.modules["example"] = module
    exec(compile(block, "example", "exec"), module.__dict__)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert not result.failed, f"{result.failed} examples of {name} fail"


def test_links_between_pages_lead_somewhere():
    wrong = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in PAGES
        for target in re.findall(
            r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
        )
        if not target.startswith(("http:", "https:")) and not (page.parent / target).exists()
    ]
    assert not wrong


def test_every_system_stands_on_a_page():
    from interplay.systems import ROWS

    pages = "\n".join(p.read_text() for p in (ROOT / "docs" / "systems").glob("*.md"))
    assert not [row.name for row in ROWS if f"`{row.name}`" not in pages]
