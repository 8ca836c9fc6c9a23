"""The storage on both engines: migrations, triggers, instants."""

import threading

import pytest
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_connection_to_sqlite_logs_ahead_syncs_fully_keeps_foreign_keys_and_waits(database_url: str) -> None:
    db = Database(database_url)
    with db.reading() as first, db.reading() as second:
        for tx in (first, second):
            told = {
                name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            full = 2
            assert told == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 15_000}
    db.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_writers_who_wait_for_their_turn_on_sqlite_keep_no_reader_waiting(database_url: str) -> None:
    db = Database(database_url, pool_size=2)
    done: list[int] = []

    def write(number: int) -> None:
        with db.transaction():
            done.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    with db.transaction():
        for writer in writers:
            writer.start()
        with db.reading() as tx:
            assert tx.exec_driver_sql("SELECT 1").scalar() == 1
        assert done == []
    for writer in writers:
        writer.join()
    assert sorted(done) == list(range(20))
    db.close()
