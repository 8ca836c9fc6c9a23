"""${message}."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import service.storage.tables
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Bring the database here."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Refused: an audit is not taken apart; restore a backup instead."""
    raise NotImplementedError("migrations go forward only: restore a backup")
