"""What was told, or is to be told, to whom: the messages of one person, whatever they tell of."""

from typing import Any

from sqlalchemy import Connection, select, union

from notifications import outbox
from service.storage.tables import ResultRow, RungRow, table

_RUNGS, _RESULTS = table(RungRow), table(ResultRow)


def redirect(tx: Connection, person: str, email: str, name: str) -> None:
    """Send to another address what has not left for somebody, by the `id` of an addressee."""
    outbox.redirect(tx, _messages(person), email, name)


def take_back_reminders(tx: Connection, person: str) -> frozenset[str]:
    """Remind somebody of nothing more, by the `id` of an addressee; the messages that now never leave."""
    waiting = select(_RUNGS.c.message).where(_RUNGS.c.recipient == person)
    return outbox.cancel(tx, waiting)


def _messages(person: str) -> Any:
    of_rungs, of_results = (select(rows.c.message).where(rows.c.recipient == person) for rows in (_RUNGS, _RESULTS))
    return union(of_rungs, of_results)
