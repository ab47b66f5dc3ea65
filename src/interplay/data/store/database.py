"""One database: SQLite or PostgreSQL, its schema brought up to date, and one writer that gathers what waits.

A write is a function of a connection. The writer runs all that wait in one transaction, so many threads share one
flush to disk; a write that fails is run again alone and fails alone. When `write` returns, what it wrote is durable:
SQLite runs in WAL mode with synchronous = FULL, PostgreSQL as its administrator set synchronous_commit.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from interplay.errors import BadData, InterplayError, Mismatch, Unavailable, extra

log = logging.getLogger("interplay.store")
T = TypeVar("T")
HEAD = "0004"  # the schema that this program writes: the newest file of migrations/versions
BUSY = 30_000  # milliseconds that SQLite waits for another process's write
GATHER = 0.05  # seconds that what nobody waits for may stay in memory
MOST = 256  # writes in one transaction
PATIENCE = 30  # seconds that a clean-up waits for readers that still see what was deleted
BACKLOG = 5000  # of what nobody waits for; above it whoever adds to it waits after all
Work = Callable[[sa.Connection], Any]


def address(where: str | Path | None) -> str:
    """The SQLAlchemy URL of a path, a URL or nothing (in memory).

    >>> address("shop.db")
    'sqlite:///shop.db'
    >>> address("postgresql://ada@localhost/shop")
    'postgresql+psycopg://ada@localhost/shop'
    """
    if where is None:
        return "sqlite://"
    said = str(where)
    for scheme in ("postgresql://", "postgres://"):
        if said.startswith(scheme):
            return "postgresql+psycopg://" + said.removeprefix(scheme)
    if said.startswith(("postgresql+psycopg://", "sqlite://")):
        return said
    if "://" in said:
        raise BadData(f"{said.split('://')[0]!r} is no database of ours; expected a file's path or postgresql://...")
    return f"sqlite:///{said}"


class Database:
    """Connections to one database and its one writer; every method may be called from any thread."""

    def __init__(self, where: str | Path | None = None) -> None:
        url = sa.make_url(address(where))
        self.lite = url.get_backend_name() == "sqlite"
        self.path = Path(url.database) if self.lite and url.database else None
        self.said = str(self.path) if self.path else "the store in memory" if self.lite else _named(url)
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.alone: Any = threading.RLock() if self.lite and self.path is None else nullcontext()
        self.engine = self._connected(url)
        # One query needs no transaction around it: on PostgreSQL that spares two round trips, on SQLite a statement.
        alone = {"quick": True} if self.lite else {"isolation_level": "AUTOCOMMIT"}
        self.quick = self.engine.execution_options(**alone)
        self.waiting: deque[tuple[Work, Future[Any]]] = deque()
        self.later: dict[Any, tuple[Callable[[sa.Connection, list[Any]], None], list[Any]]] = {}
        self.texts: dict[Any, tuple[str, list[tuple[str, Any]]]] = {}  # queries as the driver reads them
        self.idle: deque[Any] = deque()  # the driver's connections that short queries go over
        self.behind, self.since = 0, 0.0  # how much nobody waits for, and since when
        self.rung, self.closed = threading.Condition(), False
        try:
            self._brought_up()
        except BaseException:
            self.engine.dispose()
            raise
        self.writer = threading.Thread(target=self._write_on, name="store-writer", daemon=True)
        self.writer.start()

    def _connected(self, url: sa.URL) -> sa.Engine:
        if not self.lite:
            try:
                return sa.create_engine(url, pool_size=16, max_overflow=48, pool_pre_ping=False)
            except ImportError as missing:
                raise extra("psycopg", "postgres") from missing
        more: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": BUSY / 1000}}
        if self.path is None:
            more["poolclass"] = sa.StaticPool
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            more |= {"pool_size": 16, "max_overflow": 48}
        engine = sa.create_engine(url, **more)

        @sa.event.listens_for(engine, "connect")
        def pragmas(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY",
                           "cache_size = -16000", "mmap_size = 1073741824",
                           f"busy_timeout = {BUSY}"):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            options = connection.get_execution_options()
            if not options.get("quick"):
                connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writing") else "BEGIN")

        return engine

    # ----------------------------------------------------------------------------------------------------- the schema

    def _brought_up(self) -> None:
        """Make the tables, or bring older ones up to date; refuse newer ones and what is no store."""
        with self.telling(), self.alone, self.engine.connect() as connection:
            names = set(sa.inspect(connection).get_table_names())
            found = None
            if "alembic_version" in names:
                found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            if found == HEAD:
                return
            if found is None and "events" in names:
                raise BadData(f"{self.said} holds tables that are not a store's; name another database")
        migrate(self, found)

    # ---------------------------------------------------------------------------------------------- reading and writing

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one moment of the database."""
        with self.telling(), self.alone, self.engine.connect() as connection:
            if not self.lite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def rows(self, statement: Any, parameters: Any = None) -> list[Any]:
        """All rows of one query. A connection that broke meanwhile is made anew, once."""
        with self.telling(), self.alone:
            for once in (True, False):
                try:
                    with self.quick.connect() as connection:
                        return list(connection.execute(statement, parameters).all())
                except DBAPIError as wrong:
                    if not (wrong.connection_invalidated and once):
                        raise
        raise AssertionError

    def quickly(self, statement: sa.sql.ClauseElement, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of a query of whole numbers and texts that every request asks. On SQLite it goes straight to the
        driver: SQLAlchemy's layers cost five times what such a query does."""
        if not self.lite:
            return self.rows(statement, parameters)
        held = self.texts.get(statement)
        if held is None:
            compiled: Any = statement.compile(self.engine)
            named = [(name, compiled.params[name]) for name in compiled.positiontup]
            held = self.texts[statement] = str(compiled), named
        text, named = held
        given = parameters or {}
        with self.telling(), self.alone:
            connection = self._idle()
            try:
                rows = connection.execute(text, [given.get(name, value) for name, value in named]).fetchall()
            except sqlite3.Error:
                if self.path is not None:
                    connection.close()
                return self.rows(statement, parameters)  # once more, and with a sentence where it is wrong again
            self.idle.append(connection)
            return rows

    def _idle(self) -> Any:
        """A driver's connection for short queries that nobody uses: such ones are kept, and never given back."""
        with suppress(IndexError):
            return self.idle.pop()
        connection = self.engine.raw_connection()
        if self.path is not None:  # in memory there is but one
            connection.detach()
        return connection.dbapi_connection

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns, once it is durable. Others' writes may share the transaction.

        `work` may run twice, so it keeps nothing but through its connection and its result.
        """
        done: Future[T] = Future()
        with self.rung:
            if self.closed:
                raise Unavailable(f"{self.said} was closed; open it again")
            self.waiting.append((work, done))
            self.rung.notify()
        return done.result()

    def write_later(self, key: Any, flush: Callable[[sa.Connection, list[Any]], None], item: Any) -> None:
        """Write within a moment; nobody waits, and a crash may lose it.

        What has the same key goes to `flush` together. Whoever writes faster than the database waits for it.
        """
        with self.rung:
            if self.closed:
                raise Unavailable(f"{self.said} was closed; open it again")
            if not self.later:
                self.since = time.monotonic()
                self.rung.notify()
            self.later.setdefault(key, (flush, []))[1].append(item)
            self.behind += 1
            many = self.behind > BACKLOG
        if many:
            self.flush()

    def flush(self) -> None:
        """Return when everything that was to be written is durable."""
        self.write(lambda _: None)
        while self.later:
            self.write(lambda _: None)

    def _write_on(self) -> None:
        while True:
            with self.rung:
                while not (self.closed or self.waiting or self._late()):
                    self.rung.wait(None if not self.later else max(self.since + GATHER - time.monotonic(), 0.0))
                if not (self.waiting or self.later):
                    return
                taken = [self.waiting.popleft() for _ in range(min(MOST, len(self.waiting)))]
                later, self.later, self.behind = self.later, {}, 0
            self._written(taken, list(later.values()))

    def _late(self) -> bool:
        """Whether what nobody waits for has been waiting long enough."""
        return bool(self.later) and time.monotonic() - self.since >= GATHER

    def _written(self, taken: list[tuple[Work, Future[Any]]], later: list[tuple[Any, list[Any]]]) -> None:
        """Run works in one transaction; if any fails, each for itself."""
        try:
            with self.writing() as connection:
                results = [work(connection) for work, _ in taken]
                for flush, items in later:
                    flush(connection, items)
        except BaseException as wrong:
            if len(taken) + len(later) > 1:
                for one in taken:
                    self._written([one], [])
                for rest in later:
                    self._written([], [rest])
            elif taken:
                taken[0][1].set_exception(self.sentence(wrong) or wrong)
            else:
                log.warning(
                    "%s: %d rows were not written: %s", self.said, len(later[0][1]), self.sentence(wrong) or wrong
                )
            return
        for (_, done), result in zip(taken, results, strict=True):
            done.set_result(result)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction of its own, for the writer and for whatever must not share one."""
        with self.alone:
            for once in (True, False):
                connection = self.engine.connect().execution_options(writing=True)
                try:
                    transaction = connection.begin()
                    if not self.lite:
                        connection.exec_driver_sql("SELECT 1")  # a connection that broke meanwhile says so here
                    break
                except DBAPIError as wrong:
                    connection.close()
                    if not (wrong.connection_invalidated and once):
                        raise
            try:
                with transaction:
                    yield connection
            finally:
                connection.close()

    def insert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, unless: str = ""
    ) -> int:
        """Insert rows that all have the same columns; the number inserted. A row whose `unless` columns are those of
        one that is there stays out."""
        if not rows:
            return 0
        names, rest = list(rows[0]), f"ON CONFLICT ({unless}) DO NOTHING" if unless else ""
        columns = ", ".join(f'"{n}"' for n in names)
        if self.lite:
            marks = ", ".join("?" * len(names))
            statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks}) {rest}'
            return connection.exec_driver_sql(statement, [tuple(row.values()) for row in rows]).rowcount
        # One array for each column: some ten times as fast as a statement for each row
        arrays = ", ".join(f"%s::{table.c[n].type.compile(self.engine.dialect)}[]" for n in names)
        statement = f'INSERT INTO "{table.name}" ({columns}) SELECT * FROM unnest({arrays}) {rest}'
        return connection.exec_driver_sql(statement, tuple([row[n] for row in rows] for n in names)).rowcount

    def positions(
        self, connection: sa.Connection, table: sa.Table, tenant: str, names: Sequence[str]
    ) -> dict[str, int]:
        """Positions of those of the names that a table of users or items has. The names go as one value: SQLAlchemy
        takes longer over a thousand of them than SQLite over finding them."""
        listed, of = ("json_each(?)", "?") if self.lite else ("unnest(%s::text[])", "%s")
        asked = "asked.value" if self.lite else "asked.name"
        called = "asked" if self.lite else "asked(name)"
        statement = (
            f'SELECT e.name, e.position FROM {listed} AS {called} CROSS JOIN "{table.name}" AS e '
            f"WHERE e.tenant = {of} AND e.name = {asked}"
        )
        given = (json.dumps(list(names)) if self.lite else list(names), tenant)
        return dict(connection.exec_driver_sql(statement, given).cursor.fetchall())

    # -------------------------------------------------------------------------------------------------------- the rest

    @contextmanager
    def telling(self) -> Iterator[None]:
        """The database's errors as sentences."""
        try:
            yield
        except DBAPIError as wrong:
            told = self.sentence(wrong)
            if told is None:
                raise
            raise told from wrong

    def sentence(self, wrong: BaseException) -> InterplayError | None:
        """What a database error means for a person; None for those that only we can mend."""
        if not isinstance(wrong, DBAPIError):
            return wrong if isinstance(wrong, InterplayError) else None
        said, kind = str(wrong.orig).splitlines()[0] if str(wrong.orig) else "", type(wrong.orig).__name__
        if "disk is full" in said or kind == "DiskFull" or "No space left" in said:
            return Unavailable(
                f"no room left to write {self.said}; nothing of this was kept. Make room, and send it again"
            )
        if "is not a database" in said or "malformed" in said:
            return BadData(f"{self.said} is no store ({said}); name another file, or restore a dump")
        if "readonly" in said or "unable to open" in said:
            return BadData(f"{self.said} cannot be written ({said}); check its permissions and its directory")
        if "database is locked" in said:
            return Unavailable(f"{self.said} is held by another process for more than {BUSY // 1000} s; try again")
        if wrong.connection_invalidated or kind in ("OperationalError", "AdminShutdown", "CannotConnectNow"):
            return Unavailable(f"{self.said} does not answer ({said}); is the database up?")
        return None

    def compact(self) -> None:
        """Give freed room back and leave nothing of what was deleted in the files that hold the tables."""
        self.flush()
        with self.telling(), self.alone, self.engine.connect() as connection:
            if self.lite:
                connection.rollback()
                raw: Any = connection.connection.dbapi_connection
                self._checkpoint(raw)
                raw.execute("VACUUM")
                self._checkpoint(raw)
            else:
                free = connection.execution_options(isolation_level="AUTOCOMMIT")
                from interplay.data.store.schema import metadata

                self._unseen(free)
                for table in metadata.tables:
                    free.exec_driver_sql(f'VACUUM (FULL, ANALYZE) "{table}"')
                with suppress(DBAPIError):  # for who may; whoever may not has an administrator whose clock does
                    free.exec_driver_sql("CHECKPOINT")

    def _unseen(self, free: sa.Connection) -> None:
        """Wait until nobody can see any more what was deleted before now: PostgreSQL keeps it for whoever can, and its
        own housekeeping is among them."""
        now = free.exec_driver_sql("SELECT pg_current_xact_id()::xid::text").scalar()
        older = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            f"AND backend_xmin IS NOT NULL AND age(backend_xmin) >= age('{now}'::xid)"
        )
        for _ in range(round(PATIENCE * 20)):
            if not free.exec_driver_sql(older).scalar():
                return
            time.sleep(0.05)
        raise Unavailable(f"{self.said} is being read without end; what was deleted stays in its files. Try again")

    def _checkpoint(self, raw: Any) -> None:
        """Empty the write-ahead log; a reader in the middle of something is waited for."""
        for _ in range(100):
            busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            time.sleep(0.05)
        raise Unavailable(f"{self.said} is being read without end; its write-ahead log could not be emptied. Try again")

    def files(self) -> Path:
        """Where what is no table lies: models and refused rows. Beside an SQLite file, else INTERPLAY_FILES."""
        named = os.environ.get("INTERPLAY_FILES")
        if self.path is not None:
            return self.path.with_name(self.path.name + ".files")
        if self.lite:  # what is in memory is gone with the process, and so are its files
            self.folder = self.folder or tempfile.TemporaryDirectory(prefix="interplay-")
            return Path(self.folder.name)
        if named:
            return Path(named)
        raise BadData(
            f"{self.said} needs a directory for models, shared by all who serve from it; set INTERPLAY_FILES or files="
        )

    def close(self) -> None:
        """Write what waits, then let go; closing twice is no error."""
        with self.rung:
            self.closed = True
            self.rung.notify_all()
        self.writer.join()
        while self.idle:
            self.idle.pop().close()
        self.engine.dispose()
        if self.folder is not None:
            self.folder.cleanup()


def _named(url: sa.URL) -> str:
    """A database as a person may read it, without the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def migrate(database: Database, found: str | None) -> None:
    """Bring the tables from schema `found` (None: nothing is there) to this program's, all of it or nothing."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)

    try:
        with database.telling(), database.writing() as connection:
            if not database.lite:  # replicas that start together make the tables once
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7203715)")
            context = MigrationContext.configure(connection, opts={"fn": steps, "script": script})
            with context.begin_transaction(_per_migration=False):
                from alembic.operations import Operations

                with Operations.context(context):
                    context.run_migrations()
    except CommandError as wrong:
        raise Mismatch(
            f"{database.said} has schema {found}, which this Interplay does not know; it reads up to {HEAD}. It was "
            "written by a newer version: install that one, or restore a dump into a new store"
        ) from wrong
