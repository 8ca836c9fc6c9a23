"""The outbox: one row for each message to one recipient."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import notifications.instants

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database here."""
    op.create_table(
        "messages",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("template", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("recipient", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("recipient_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("message_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("messages_by_recipient", "messages", ["recipient", "created_at", "id"], unique=False)
    op.create_index("messages_by_status", "messages", ["status", "created_at", "id"], unique=False)
    op.create_index("messages_by_time", "messages", ["created_at", "id"], unique=False)
    op.create_index("messages_by_unit", "messages", ["unit", "created_at", "id"], unique=False)
    op.create_index("messages_due", "messages", ["status", "next_attempt_at", "id"], unique=False)


def downgrade() -> None:
    """Refused: an audit is not taken apart; restore a backup instead."""
    raise NotImplementedError("migrations go forward only: restore a backup")
