"""Writing, and asking for, many rows by one statement.

PostgreSQL is sent them as JSON texts: one round trip, and one prepared statement however many they are. SQLite, to
which the way is short, takes them one after another.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Column, Connection, Executable, String, bindparam, cast, func
from sqlalchemy.dialects.postgresql import JSON

# The texts of many rows stand in memory several times over on their way.
_SENT_AT_ONCE = 100


def sent_rows(place: int, columns: Mapping[str, Any]) -> Any:
    """The columns of the rows that `write_set` sends to PostgreSQL in this place: by name, the column each is for."""
    sent = func.json_to_recordset(cast(bindparam(f"rows_{place}", type_=String), JSON))
    typed = sent.table_valued(*(Column(name, column.type) for name, column in columns.items()))
    return typed.render_derived(with_types=True).c


def read_set(tx: Connection, one: Executable, many: Executable, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """What is found for all of `rows`: `one` asks by one row's values, `many` reads them all by `sent_rows(0, …)`."""
    if tx.dialect.name == "sqlite":
        return [found for row in rows for found in tx.execute(one, row)]
    return list(tx.execute(many, {"rows_0": to_json(rows).decode()}))


def write_set(
    tx: Connection, by_row: Sequence[tuple[Executable, Sequence[dict[str, Any]]]], by_set: Executable
) -> None:
    """Write rows: `by_row` are statements that take one row's values, with their rows; `by_set` does the same as all of
    them and reads each one's rows by `sent_rows`."""
    if tx.dialect.name == "sqlite":
        for statement, rows in by_row:
            tx.execute(statement, rows)
    else:
        for first in range(0, max(len(rows) for _, rows in by_row), _SENT_AT_ONCE):
            parts = [rows[first : first + _SENT_AT_ONCE] for _, rows in by_row]
            tx.execute(by_set, {f"rows_{place}": to_json(rows).decode() for place, rows in enumerate(parts)})
