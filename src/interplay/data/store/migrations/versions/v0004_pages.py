"""Where on a page of several answers a thing stood, and by what chance its row did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("page", sa.Text()), sa.Column("shelf", sa.Integer()), sa.Column("place", sa.Integer()),
        sa.Column("shelf_propensity", sa.Float()),
    ):  # fmt: skip
        op.add_column("impressions", column)
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE impressions ALTER COLUMN "page" SET STATISTICS 0')  # as request_id (0002)
