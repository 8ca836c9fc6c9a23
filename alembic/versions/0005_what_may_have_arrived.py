"""How often a mail may have arrived: what is counted against it, and not how often a server was away."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database here."""
    op.add_column("messages", sa.Column("unsure_times", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Refused: an audit is not taken apart; restore a backup instead."""
    raise NotImplementedError("migrations go forward only: restore a backup")
