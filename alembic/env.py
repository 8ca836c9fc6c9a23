"""Runs migrations on the connection that the service hands in; `alembic` by itself takes JINJI_DATABASE_URL."""

from alembic import context

import notifications.outbox  # its table is in the same metadata
from service.settings import Settings
from service.storage import tables
from service.storage.db import Database

assert notifications.outbox.Message
target_metadata = tables.SQLModel.metadata


def _run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=target_metadata,
        compare_type=True,
        transaction_per_migration=False,
    )
    context.run_migrations()


handed_in = context.config.attributes.get("connection")
if handed_in is not None:
    _run(handed_in)
else:
    with Database(Settings.from_environment().database_url).transaction() as own:
        _run(own)
