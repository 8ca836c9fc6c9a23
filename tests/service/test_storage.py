"""The storage on both engines: migrations, triggers, instants."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from notifications.outbox import MESSAGES
from service.storage import tables
from service.storage.db import Database


def test_migrations_and_tables_say_the_same(database_url: str) -> None:
    db = Database(database_url)
    with db.reading() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert MESSAGES.metadata is tables.SQLModel.metadata
        assert compare_metadata(context, tables.SQLModel.metadata) == []
    db.close()
