"""Every example runs: Python blocks and commands of README and docs, and the doctests of the modules; recipes build,
JSON parses."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import interplay

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[str]:
    return re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", page.read_text(), re.S | re.M)


def listed(*languages: str) -> list[object]:
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}-{i}")
        for page in PAGES
        for i, block in enumerate(blocks(page, *languages))
    ]


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `interplay ...` line of a page, in order."""
    lines = [line for block in blocks(page, "bash", "text") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("interplay ")]


COMMANDED = [page for page in PAGES if commands(page)]
INSTEAD = {"postgresql://...": "other.db", "cuda": "cpu"}  # what a reader has and the tests have not
SHORTER = {
    ("bench", "gowalla", "--table"): ["--systems", "popular,item-knn"],
    ("fit", "bpr-mf", "--data", "data/", "--out", "model", "--workers", "2", "--set", "descent.batch=512"): [
        "--set", "descent.epochs=2",
    ],
    ("fit", "sasrec", "--data", "data/", "--out", "model", "--device", "cuda"): ["--set", "descent.epochs=2"],
    ("tune",): ["--trials", "2"],
}  # fmt: skip


def shorter(arguments: list[str]) -> list[str]:
    """What is added to a command so that a test of it is short: of those very arguments, or of every such command."""
    return SHORTER.get(tuple(arguments), SHORTER.get(tuple(arguments[:1]), []))


BEFORE = {  # what a reader's log or store holds by then
    "estimate": [["ingest", "impressions.parquet", "--store", "shop.db"]],
    "models": [["train", "popular", "--store", "shop.db", "--gate", "always"]] * 2,
}
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(interplay.__path__, "interplay.") if not m.name.endswith("__main__")
)


@pytest.mark.parametrize("block", listed("python"))
def test_an_example_of_the_docs_runs(block):
    module = types.ModuleType("example")  # a real module, since dataclasses look theirs up
    sys.modules["example"] = module
    exec(compile(block, "example", "exec"), module.__dict__)


@pytest.mark.parametrize("block", listed("json"))
def test_json_of_the_docs_is_json(block):
    assert isinstance(json.loads(block), dict)


@pytest.mark.parametrize("block", listed("toml"))
def test_a_recipe_of_the_docs_builds(block):
    from interplay.recipe import Recipe

    tables = tomllib.loads(block)
    if "source" not in tables:  # some tables of a recipe, told alone
        block += '\n[source.plain]\nsystem = "popular"\n'
    recipe = Recipe.parse(block)
    assert recipe.build().sources and recipe.serving and recipe.learning


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """What a reader has at hand: a log, a catalogue, what was shown, a recipe, and a public set under its own name."""
    from logged import PLACES, pages, small

    user, items, chance, clicked = (part[:3000] for part in pages(0, False))
    market, at = small().dataset, 1_700_000_000_000_000 + np.arange(len(user)) * 60_000_000
    row, place = np.nonzero(clicked)
    names, people = np.array(market.items.names), np.array(market.users.names)
    log = pl.DataFrame({
        "user_id": people[user[row]], "item_id": names[items[row, place]], "timestamp": at[row] + 1,
        "event_type": "click", "request_id": [f"q{i}" for i in row],
    })  # fmt: skip
    shown = pl.DataFrame({
        "request_id": np.repeat([f"q{i}" for i in range(len(user))], PLACES), "timestamp": np.repeat(at, PLACES),
        "user_id": people[np.repeat(user, PLACES)], "slot": np.tile(np.arange(PLACES), len(user)),
        "item_id": names[items.ravel()], "propensity": chance.ravel(), "policy": "soft-1",
    })  # fmt: skip
    things = market.catalogue.select("item_id", "title", "price")
    (tmp_path / "data").mkdir()
    for name, table in {"log.csv": log, "events.csv": log, "items.csv": things, "data/interactions.csv": log,
                        "data/items.csv": things}.items():  # fmt: skip
        table.write_csv(tmp_path / name)
    shown.write_parquet(tmp_path / "impressions.parquet")
    (tmp_path / "people.txt").write_text("ada\nbob\n")
    (tmp_path / "other.toml").write_text('[source.often]\nsystem = "item-knn"\n')
    public = tmp_path / "public" / "ml-1m"
    public.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pairs = pl.DataFrame({"user": rng.integers(0, 60, 900), "item": rng.integers(0, 40, 900)}).unique(
        maintain_order=True
    )
    pairs.with_columns(part=rng.choice(3, len(pairs), p=(0.7, 0.1, 0.2))).write_parquet(public / "implicit_ge3.parquet")
    pairs.write_parquet(public / "sequences.parquet")  # by which the set is known
    others = {  # what other tools wrote
        "ml-1m/ratings.dat": "1::10::5::978300760\n2::10::3::978300761\n",
        "ml-1m/movies.dat": "10::Heat (1995)::Crime\n",
        "gorse/feedback.csv": "feedback_type,user_id,item_id,time_stamp\nread,ann,tea,2024-05-01 10:00:00 +0000 UTC\n",
        "shop.inter": "user_id:token\titem_id:token\ttimestamp:float\nann\ttea\t1700000000\n",
    }  # fmt: skip
    for name, text in others.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path / "public"))
    monkeypatch.setenv("INTERPLAY_RESULTS", str(ROOT / "results"))
    monkeypatch.setattr("interplay.serve.run.run", lambda *a, **more: None)  # a service would stay in the foreground
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", COMMANDED, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run_one_after_the_other(page, shop):
    from interplay.cli import app

    def done(arguments: list[str]) -> None:
        said = CliRunner().invoke(app, arguments)
        assert said.exit_code == 0, (arguments, said.output, said.exception)

    assert len(commands(page)) >= 3
    prepared = set()
    for arguments in commands(page):
        for earlier in BEFORE.get(arguments[0], []) if arguments[0] not in prepared else []:
            done(earlier)
        prepared.add(arguments[0])
        done([INSTEAD.get(a, a) for a in arguments] + shorter(arguments))


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

    fitted, others = ("\n".join(p.read_text() for p in (ROOT / "docs").glob(g)) for g in ("systems/*.md", "**/*.md"))
    assert not [row.name for row in ROWS if f"`{row.name}`" not in (others if row.command else fitted)]
