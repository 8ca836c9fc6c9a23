"""The few values that the database keeps of itself, by name."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from service.storage.tables import Stamp, table

_STAMPS = table(Stamp)
# Made once: a virtual clock is read here with every message.
_GET = select(_STAMPS.c.value).where(_STAMPS.c.name == bindparam("name"))


def get(tx: Connection, name: str) -> str | None:
    """The value, or None where none was put."""
    value: str | None = tx.execute(_GET, {"name": name}).scalar()
    return value


def get_locked(tx: Connection, name: str) -> str | None:
    """The value, kept from changes by others until this transaction ends."""
    value: str | None = tx.execute(_GET.with_for_update(), {"name": name}).scalar()
    return value


def named(name: str) -> Any:
    """The value as part of another statement."""
    return select(_STAMPS.c.value).where(_STAMPS.c.name == name).scalar_subquery()


def put(tx: Connection, name: str, value: str) -> None:
    """Put or replace a value."""
    if tx.execute(update(_STAMPS).where(_STAMPS.c.name == name).values(value=value)).rowcount == 0:
        tx.execute(_STAMPS.insert().values(name=name, value=value))
