"""The house stands as drawn: imports point down, wings and families are strangers, listing loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import interplay

ROOT = Path(interplay.__file__).parent
FLOORS = {
    "types": 0, "errors": 0,
    "ops": 1, "configure": 1, "metrics": 1, "llm": 1, "client": 1,
    "data": 2, "learn": 2,
    "models": 3, "cascade": 3, "dialogue": 3, "worlds": 3, "evaluate": 3,
    "systems": 4, "recipe": 4, "fitted": 4, "ranking": 4, "experiment": 4, "results": 4, "reporting": 4, "learning": 4,
    "estimating": 4, "traffic": 4,
    "errands": 4, "watching": 4, "cluster": 4, "tuning": 4, "searches": 4, "answering": 4, "benches": 4, "protocols": 4,
    "serve": 5, "cli": 5,
}  # fmt: skip
WINGS = {room for room, floor in FLOORS.items() if floor == 3}


def imports(path: Path) -> set[str]:
    """Modules of our own that a file imports, inside functions too, as dotted names below `interplay`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return {name.removeprefix("interplay.") for name in found if name.startswith("interplay.")}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = [p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py"]


def test_every_file_stands_on_a_floor():
    assert {room(p) for p in FILES} <= set(FLOORS), "give a new room its floor in this test and in docs/house.md"


def test_imports_point_down():
    wrong = [
        f"{p.relative_to(ROOT)} imports {name}"
        for p in FILES
        for name in imports(p)
        if (other := name.split(".")[0]) in FLOORS and FLOORS[other] > FLOORS[room(p)]
    ]
    assert not wrong


def test_wings_are_strangers():
    wrong = [
        f"{p.relative_to(ROOT)} imports {name}"
        for p in FILES
        if room(p) in WINGS
        for name in imports(p)
        if (other := name.split(".")[0]) in WINGS and other != room(p)
    ]
    assert not wrong


def test_families_inside_models_are_strangers():
    families = {p.stem for p in (ROOT / "models").glob("*.py")}
    wrong = [
        f"{p.name} imports {name}"
        for p in (ROOT / "models").glob("*.py")
        for name in imports(p)
        if name.startswith("models.") and name.split(".")[1] in families - {p.stem}
    ]
    assert not wrong


def test_no_circles():
    graph: dict[str, set[str]] = {}
    for p in FILES:
        graph.setdefault(room(p), set()).update({n.split(".")[0] for n in imports(p)} & set(FLOORS) - {room(p)})

    def walk(at: str, path: tuple[str, ...]) -> None:
        assert at not in path, f"circle: {' -> '.join([*path, at])}"
        for to in graph.get(at, ()):
            walk(to, (*path, at))

    for start in graph:
        walk(start, ())


def test_listing_the_systems_loads_nothing_heavy():
    code = (
        "import sys, interplay, interplay.systems; interplay.systems.SYSTEMS;"
        "print([m for m in ('torch', 'polars', 'scipy', 'numba', 'pandas', 'fastapi') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_no_branch_on_the_name_of_a_data_set():
    names = ("gowalla", "ml-1m", "ml-100k", "amazon", "scifact", "home_depot", "tiktok", "lastfm")
    allowed = {ROOT / "data" / "read.py", *(ROOT / "benches").glob("*.py")}
    wrong = [
        f"{p.relative_to(ROOT)}: {ast.unparse(node)[:80]}"
        for p in FILES
        if p not in allowed
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.If | ast.IfExp | ast.Match)
        for text in [ast.unparse(node.subject if isinstance(node, ast.Match) else node.test)]
        if any(name in text for name in names)
    ]
    assert not wrong
