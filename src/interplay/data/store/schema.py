"""The tables of the store: one schema for SQLite and PostgreSQL, a tenant in every row.

Users and items are positions in an append-only index space per tenant, given in the order in which they are first heard
of and never used again. Events are rows of a log that only grows (but for erasure and retention); what is changeable
(a wish, a statement, an edit) is an event too, and whoever reads folds them. The row of `tenants` is the head of
everything: who appends holds it, so rows become visible in their own order, and one look at it tells a reader whether
anything is new.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

meta = Table(
    "meta", metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

tenants = Table(
    "tenants", metadata,
    Column("tenant", Text, primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    Column("called", Text),  # the data set that it began with
    Column("last_row", BigInteger, nullable=False),  # of events
    Column("n_users", Integer, nullable=False),  # positions given, erased ones counted
    Column("n_items", Integer, nullable=False),
    Column("items_version", BigInteger, nullable=False),  # grows with every change of the catalogue
    Column("people_version", BigInteger, nullable=False),  # ... of people: put, merged, erased
    Column("models", Integer, nullable=False),  # versions given
    Column("live", Integer),  # the version that serves
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("tenant", Text, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("user", Integer, nullable=False),
    Column("item", Integer),
    Column("event_type", Text, nullable=False),
    Column("time", BigInteger, nullable=False),  # microseconds UTC, as the client or the engine's calendar says
    Column("kept_at", BigInteger, nullable=False),  # ... as the machine's clock said when it was kept; rises
    Column("value", Float),
    Column("request_id", Text),
    Column("session_id", Text),
    Column("surface", Text),
    Column("undoes", Text),
    Column("payload", Text),  # JSON
    PrimaryKeyConstraint("tenant", "row"),
    UniqueConstraint("tenant", "event_id", name="events_by_id"),
    Index("events_by_user", "tenant", "user", "row"),
    sqlite_with_rowid=False,
)  # fmt: skip


def _entities(name: str, *more: Column[Any]) -> Table:
    """Users or items by position. The name is NULL where a person was erased."""
    return Table(
        name, metadata,
        Column("tenant", Text, nullable=False),
        Column("position", Integer, nullable=False),
        Column("name", Text),
        Column("whole", Boolean, nullable=False),  # the external id is an integer
        Column("columns", Text),  # JSON object
        Column("version", BigInteger, nullable=False),  # of its last change
        *more,
        PrimaryKeyConstraint("tenant", "position"),
        UniqueConstraint("tenant", "name", name=f"{name}_by_name"),
        Index(f"{name}_by_version", "tenant", "version"),
    )  # fmt: skip


users = _entities("users", Column("merged_into", Integer), Column("erased", Boolean, nullable=False))
items = _entities("items", Column("deleted", Boolean, nullable=False))
Index("users_by_merger", users.c.tenant, users.c.merged_into)

vectors = Table(
    "vectors", metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("item", Integer, nullable=False),
    Column("numbers", LargeBinary, nullable=False),  # float32, little-endian
    PrimaryKeyConstraint("tenant", "name", "item"),
)  # fmt: skip

impressions = Table(
    "impressions", metadata,
    Column("tenant", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("row", Integer, nullable=False),  # which list of the answer
    Column("slot", Integer, nullable=False),  # which place in it, from 0
    Column("user", Integer),  # NULL: nobody said who asked
    Column("time", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("candidate_hash", Text, nullable=False),
    Column("item", Integer, nullable=False),
    Column("propensity", Float),
    Column("temperature", Float),
    Column("explored", Boolean, nullable=False),
    Column("seen", Boolean),  # NULL: not known
    Column("page", Text),  # request_id of the first answer of the page that several make up; NULL: an answer alone
    Column("shelf", Integer),  # which row of that page, from 0; NULL where it stood in none
    Column("place", Integer),  # which place in that row, from 0
    Column("shelf_propensity", Float),  # chance of the row there, given those before it
    PrimaryKeyConstraint("tenant", "request_id", "row", "slot"),
    Index("impressions_by_user", "tenant", "user"),
    Index("impressions_by_time", "tenant", "time"),
)  # fmt: skip

traces = Table(
    "traces", metadata,
    Column("tenant", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("user", Integer),
    Column("time", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zlib of JSON
    PrimaryKeyConstraint("tenant", "request_id"),
    Index("traces_by_user", "tenant", "user"),
    Index("traces_by_time", "tenant", "time"),
)  # fmt: skip

models = Table(
    "models", metadata,
    Column("tenant", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),  # a system or a recipe
    Column("folder", Text, nullable=False),  # below the store's files
    Column("made_at", BigInteger, nullable=False),
    Column("called", Text),  # the data set that it began with
    Column("last_row", BigInteger, nullable=False),  # of the events it was fitted on
    Column("facts", Text, nullable=False),  # JSON: metrics, gate, protocol
    PrimaryKeyConstraint("tenant", "version"),
)  # fmt: skip

moves = Table(  # of the live pointer, oldest first
    "moves", metadata,
    Column("tenant", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "number"),
)  # fmt: skip

keys = Table(
    "keys", metadata,
    Column("tenant", Text, nullable=False),
    Column("key_id", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # sha256 of a text with 256 random bits
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # read, write, admin, separated by spaces
    Column("rate", Float),  # requests a second; NULL: no limit of its own
    Column("made_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)  # fmt: skip

experiments = Table(
    "experiments", metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),  # made, running, stopped
    Column("made_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON: the plan
    PrimaryKeyConstraint("tenant", "name"),
)  # fmt: skip

batches = Table(
    "batches", metadata,
    Column("tenant", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("files", Text, nullable=False),  # JSON list of names
    Column("rows", BigInteger, nullable=False),
    Column("kept", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("refused_file", Text),  # below the store's files
    PrimaryKeyConstraint("tenant", "batch"),
)  # fmt: skip

tombstones = Table(
    "tombstones", metadata,
    Column("tenant", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("digest", Text, nullable=False),  # keyed hash of the erased id: says who it was only to who asks by name
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "salt", "digest"),
)  # fmt: skip

leases = Table(
    "leases", metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)  # fmt: skip
