"""Contacts of persons: kept as text beside a salted commitment, so that erasing the text breaks no chain.

The audit holds SHA-256(salt ‖ canonical JSON). With salt and text anybody can check what was committed; once both are
erased (个人信息保护法 47), the commitment says nothing.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service.casework.audit import canonical
from service.chance import Chance
from service.storage.tables import PrivateText, table

_TEXTS = table(PrivateText)


def commitment(salt: str, value: Any) -> str:
    """What stands in the audit for `value`."""
    return sha256((salt + canonical(value)).encode()).hexdigest()


def keep(tx: Connection, chance: Chance, value: Any, at: datetime) -> tuple[str, str]:
    """Keep `value`; its id, and the commitment for the audit."""
    row, said = prepared(chance, value, at)
    insert(tx, [row])
    return row["id"], said


def prepared(chance: Chance, value: Any, at: datetime) -> tuple[dict[str, str], str]:
    """The row that keeps `value`, for whoever writes many at once, and its commitment."""
    salt = chance.hex(128)
    return {"id": chance.id(at), "salt": salt, "text": canonical(value)}, commitment(salt, value)


def insert(tx: Connection, rows: list[dict[str, str]]) -> None:
    """Write rows made by `prepared`."""
    tx.execute(_TEXTS.insert(), rows)


def read(tx: Connection, ids: set[str]) -> dict[str, Any]:
    """The kept values by id; one that was erased is absent."""
    rows = tx.execute(select(_TEXTS.c.id, _TEXTS.c.text).where(_TEXTS.c.id.in_(ids)))
    return {row.id: from_json(row.text) for row in rows}
