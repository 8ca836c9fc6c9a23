"""What was told: decisions and the mails that tell them, and mails that may have arrived."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database here."""
    op.add_column("messages", sa.Column("unsure", sa.Boolean(), nullable=False, server_default=sa.false()))
    columns = ["channel", "status", "next_attempt_at", "id"]
    op.create_index("messages_due_by_channel", "messages", columns, unique=False)
    op.create_index("rungs_by_recipient", "rungs", ["recipient"], unique=False)
    op.create_table(
        "results",
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("case_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("recipient", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("taken_back_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["cases.id"],
        ),
        sa.ForeignKeyConstraint(
            ["message"],
            ["messages.id"],
        ),
        sa.PrimaryKeyConstraint("message"),
    )
    op.create_index("results_by_case", "results", ["case_id"], unique=False)
    op.create_index("results_by_recipient", "results", ["recipient"], unique=False)


def downgrade() -> None:
    """Refused: an audit is not taken apart; restore a backup instead."""
    raise NotImplementedError("migrations go forward only: restore a backup")
