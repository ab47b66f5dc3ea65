"""Containerfile and compose file, which nothing here builds: linters read them, and the commands they name exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from interplay.cli import app

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "compose.yaml"
FILE = (ROOT / "Containerfile").read_text()
WORDS = {
    "FROM",
    "WORKDIR",
    "RUN",
    "COPY",
    "ENV",
    "USER",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "CMD",
    "ENTRYPOINT",
}


def steps() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", FILE, flags=re.M))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def check(arguments: list[str]) -> None:
    """Refuse a command line that the program would not understand."""
    command = typer.main.get_command(app)
    context = command.make_context("interplay", list(arguments[:1]), resilient_parsing=True)
    name, found, rest = command.resolve_command(context, list(arguments))  # type: ignore[attr-defined]
    while hasattr(found, "commands"):
        name, found, rest = found.resolve_command(context, rest)
    known = {option for p in found.params for option in (*p.opts, *p.secondary_opts)}
    assert {a for a in rest if a.startswith("--")} <= known, f"{name}: {rest}"


@pytest.mark.parametrize(
    "linter",
    [["hadolint", "Containerfile"], ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]],
)
def test_a_linter_finds_nothing(linter):
    tool = Path(sys.executable).parent / linter[0]
    done = subprocess.run([tool, *linter[1:]], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr


def test_the_container_runs_as_nobody_in_particular_and_starts_with_a_command_that_exists():
    said = steps()
    assert {word for word, _ in said} <= WORDS
    assert said[0][0] == "FROM" and [w for w, _ in said].count("USER") == 1
    told = dict(said)
    assert told["USER"] != "root" and told["STOPSIGNAL"] == "SIGTERM" and told["EXPOSE"] == "8080"
    assert yaml.safe_load(told["ENTRYPOINT"]) == ["interplay"]
    check(yaml.safe_load(told["CMD"]))


def test_what_is_copied_is_there_and_the_extras_exist():
    import tomllib

    for word, rest in steps():
        if word == "COPY" and "--from" not in rest:
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.search(r"'\.\[([\w,]+)\]'", FILE)
    assert asked and set(asked[1].split(",")) <= set(extras)


def test_the_compose_file_hangs_together():
    told = yaml.safe_load(COMPOSE.read_text())
    engine, database = told["services"]["engine"], told["services"]["database"]
    check(engine["command"])
    assert engine["depends_on"]["database"]["condition"] == "service_healthy" and database["healthcheck"]
    assert engine["environment"]["INTERPLAY_DATABASE_URL"].endswith("@database:5432/interplay")
    assert all(port.startswith("127.0.0.1:") for port in engine["ports"])
    assert (
        "PASSWORD" in database["environment"]["POSTGRES_PASSWORD"]
        and ":?" in database["environment"]["POSTGRES_PASSWORD"]
    )
    used = {v.split(":")[0] for s in told["services"].values() for v in s["volumes"]}
    assert used == set(told["volumes"])


@pytest.mark.parametrize("line", [w for w in COMPOSE.read_text().splitlines() if "compose run" in w])
def test_the_commands_in_the_comments_exist(line):
    words = shlex.split(line, comments=False)[1:]
    words = words[: words.index("#")] if "#" in words else words
    check(words[words.index("engine") + 1 :])
