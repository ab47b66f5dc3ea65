"""PostgreSQL's planner remembers no value of what may name a person: it would keep them after an erasure."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

PERSONAL = {
    "users": ("name", "columns"),
    "events": ("event_id", "request_id", "session_id", "surface", "undoes", "payload"),
    "traces": ("request_id", "body"),
    "impressions": ("request_id",),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in PERSONAL.items():
            for column in columns:
                op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STATISTICS 0')
