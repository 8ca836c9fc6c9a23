"""What was told, or is to be told, to whom: the messages of one person, whatever they tell of."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, union

from notifications import outbox, unsent
from notifications.outbox import MESSAGES
from service.casework import obligations
from service.casework.obligations import RUNGS
from service.storage.tables import Contact, ResultRow, table

_RESULTS, _CONTACTS = table(ResultRow), table(Contact)


def redirect(tx: Connection, person: str, email: str | None, name: str) -> None:
    """Send to another address what has not left for somebody, by the `id` of an addressee; to none that there is not."""
    if email:
        unsent.redirect(tx, _messages(person), email, name)
    else:
        unsent.cancel(tx, _messages(person))


def stop_reminding(tx: Connection, person: str, at: datetime) -> None:
    """Remind somebody, by the `id` of an addressee, of nothing more; who is concerned in its place has its turn at once."""
    waiting = select(RUNGS.c.message).where(RUNGS.c.recipient == person)
    waits = select(MESSAGES.c.id).where(MESSAGES.c.id.in_(waiting), unsent.CAN_BE_TAKEN_BACK)
    _stop(tx, list(tx.execute(waits).scalars()), at)


def stop_reminding_the_removed(tx: Connection, now: datetime) -> None:
    """The same of what would leave now, as its sender failed or was lost while somebody was removed."""
    told = select(MESSAGES.c.id).distinct().join(RUNGS, RUNGS.c.message == MESSAGES.c.id)
    _stop(tx, list(tx.execute(told.where(outbox.is_due(now), is_removed(RUNGS.c.recipient))).scalars()), now)


def is_removed(recipient: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition under which a recipient, by the `id` of an addressee, is a contact that was taken away."""
    contact = select(_CONTACTS.c.id).where(
        recipient == "contact:" + _CONTACTS.c.id, _CONTACTS.c.removed_at.is_not(None)
    )
    return contact.exists()


def _stop(tx: Connection, messages: Collection[str], at: datetime) -> None:
    if messages:
        obligations.wake_of(tx, messages, at)
        unsent.cancel(tx, messages)


def _messages(person: str) -> Any:
    of_rungs, of_results = (select(rows.c.message).where(rows.c.recipient == person) for rows in (RUNGS, _RESULTS))
    return union(of_rungs, of_results)
