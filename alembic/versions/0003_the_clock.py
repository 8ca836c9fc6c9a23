"""The clock: obligations and their rungs, requests, contacts, filings, feeds, webhooks."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import notifications.instants

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database here."""
    op.create_table(
        "feeds",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("token_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("removed_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "filings",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("form", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("period", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("due_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("first_submitted_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("submitted_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("submitted_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("return_reason", sa.Text(), nullable=True),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("rows_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("contact", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("documents", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact"],
            ["private_texts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("filings_by_due", "filings", ["due_at", "id"], unique=False)
    op.create_index("filings_by_unit", "filings", ["unit", "due_at", "id"], unique=False)
    op.create_table(
        "obligations",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("clause", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("area", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("case_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("enterprise", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("officer", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("handler", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("since", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("due_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ended_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("next_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("rung", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("breached_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("obligations_by_area", "obligations", ["area", "due_at", "id"], unique=False)
    op.create_index("obligations_by_due", "obligations", ["due_at", "id"], unique=False)
    op.create_index("obligations_by_next", "obligations", ["next_at"], unique=False)
    op.create_index("obligations_by_subject", "obligations", ["subject"], unique=False)
    op.create_index("obligations_by_status", "obligations", ["status", "due_at", "id"], unique=False)
    op.create_index("obligations_by_unit", "obligations", ["unit", "due_at", "id"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("created_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("removed_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhooks_by_unit", "webhooks", ["unit", "id"], unique=False)
    op.create_table(
        "contacts",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("duty", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("person", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("muted", sa.Text(), nullable=False),
        sa.Column("confirmation_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("confirmed_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("removed_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["private_texts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("contacts_by_unit", "contacts", ["unit", "id"], unique=False)
    op.create_table(
        "rungs",
        sa.Column("obligation", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rung", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("recipient", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message"],
            ["messages.id"],
        ),
        sa.ForeignKeyConstraint(
            ["obligation"],
            ["obligations.id"],
        ),
        sa.PrimaryKeyConstraint("obligation", "rung", "recipient"),
    )
    op.create_index("rungs_by_message", "rungs", ["message"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("unit", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("case_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("enterprise", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("handler", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("received_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("opened_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("due_at", notifications.instants.UTCDateTime(timezone=True), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("breached_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("answered_at", notifications.instants.UTCDateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["cases.id"],
        ),
        sa.ForeignKeyConstraint(
            ["enterprise"],
            ["enterprises.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("requests_by_case", "requests", ["case_id"], unique=False)
    op.create_index("requests_by_due", "requests", ["state", "due_at"], unique=False)
    op.create_index("requests_by_enterprise", "requests", ["enterprise"], unique=False)
    op.create_index("requests_by_unit", "requests", ["unit", "id"], unique=False)


def downgrade() -> None:
    """Refused: an audit is not taken apart; restore a backup instead."""
    raise NotImplementedError("migrations go forward only: restore a backup")
