"""One process at a time: a lock in the database that ends with its transaction.

On SQLite a writing transaction is alone from its beginning.
"""

from sqlalchemy import Connection, func, select


def taken(tx: Connection, name: str) -> bool:
    """Take the lock `name` until the transaction ends; False where another transaction has it."""
    if tx.dialect.name != "postgresql":
        return True
    return bool(tx.execute(select(func.pg_try_advisory_xact_lock(func.hashtext(name)))).scalar())


def share(tx: Connection, name: str) -> None:
    """Wait until nobody holds the lock `name`, and let nobody but sharers take it until the transaction ends."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock_shared(func.hashtext(name))))


def take(tx: Connection, name: str) -> None:
    """Wait for the lock `name`, and hold it until the transaction ends."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))
