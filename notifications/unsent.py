"""What may still become of a message that has not left: it is tried again, goes elsewhere, says something else, is taken back.

Every function takes the transaction of its caller, who commits.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, select

from notifications.outbox import IS_PENDING, MESSAGES, Status, why, written
from notifications.wording import storable

# What has neither left nor been begun.
CAN_BE_TAKEN_BACK: ColumnElement[bool] = MESSAGES.c.status.in_((str(Status.PENDING), str(Status.FAILED)))


def retry(tx: Connection, row_id: str, now: datetime) -> bool:
    """Let a message that failed, or that waits for its next attempt, be tried at once; its tries are counted on.

    False for any other: one that was sent is never sent again.
    """
    changed = tx.execute(
        MESSAGES.update()
        .where(MESSAGES.c.id == row_id, MESSAGES.c.status.in_((str(Status.FAILED), str(Status.PENDING))))
        .values(status=str(Status.PENDING), next_attempt_at=now)
    )
    return changed.rowcount == 1


def redirect(tx: Connection, ids: Any, recipient: str, recipient_name: str) -> None:
    """Send what has not left to another address of the same person; `ids` as a subquery or a list.

    What is just being sent goes there if its sender is lost.
    """
    unsent = MESSAGES.c.status != str(Status.SENT)
    changed = {"recipient": storable(recipient), "recipient_name": storable(recipient_name)}
    tx.execute(MESSAGES.update().where(_in_order(ids, unsent)).values(**changed))


def _in_order(ids: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Those of these messages for which the condition holds, locked in the order of their ids; a subquery or a list."""
    first = select(MESSAGES.c.id).where(MESSAGES.c.id.in_(ids), condition).order_by(MESSAGES.c.id).with_for_update()
    return MESSAGES.c.id.in_(select(first.cte("taken").c.id))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits and that nobody can claim."""

    id: str
    key: str
    attempts: int
    unsure: bool


def hold(tx: Connection, ids: Collection[str]) -> dict[str, Held]:
    """Those of these messages that still wait and that nobody is claiming, by id: nobody does until the transaction ends."""
    columns = (MESSAGES.c.id, MESSAGES.c.key, MESSAGES.c.attempts, MESSAGES.c.unsure)
    waiting = select(*columns).where(MESSAGES.c.id.in_(ids), IS_PENDING).order_by(MESSAGES.c.id)
    rows = tx.execute(waiting.with_for_update(skip_locked=True)) if ids else ()
    return {row.id: Held(*row) for row in rows}


def put_aside(tx: Connection, ids: Collection[str], failure: str, until: datetime) -> None:
    """Let messages that cannot be put into words wait until then, and say why."""
    said = {"last_error": why(failure), "next_attempt_at": until}
    tx.execute(MESSAGES.update().where(MESSAGES.c.id.in_(ids), IS_PENDING).values(**said))


def cancel(tx: Connection, ids: Any) -> frozenset[str]:
    """Take back what has not left, or failed, as what it tells is no longer so; the ids of those that now never will.

    `ids` as a subquery or a list. It gives up its key: what it was to tell may be told by another.
    """
    cancelled = tx.execute(
        MESSAGES.update()
        .where(_in_order(ids, CAN_BE_TAKEN_BACK))
        .values(status=str(Status.CANCELLED), next_attempt_at=None, key=MESSAGES.c.key + ":" + MESSAGES.c.id)
        .returning(MESSAGES.c.id)
    )
    return frozenset(cancelled.scalars())


def let_go(tx: Connection, ids: Sequence[str], now: datetime) -> None:
    """Send after all what was taken back; not what may have arrived."""
    taken_back = (MESSAGES.c.status == str(Status.CANCELLED)) & ~MESSAGES.c.unsure
    again = {"status": str(Status.PENDING), "next_attempt_at": now}
    tx.execute(MESSAGES.update().where(_in_order(ids, taken_back)).values(**again))


@dataclass(frozen=True, slots=True)
class Standing:
    """A message by its key, and whether it may still say something else: it waits, and cannot have arrived."""

    id: str
    key: str
    is_waiting: bool
    context: dict[str, Any]


def standing(tx: Connection, keys: Iterable[str]) -> dict[str, Standing]:
    """The messages of these keys that there are, by key."""
    rows = tx.execute(_STANDING.where(MESSAGES.c.key.in_(list(keys))))
    return {row.key: _standing(row) for row in rows}


_STANDING = select(MESSAGES.c.id, MESSAGES.c.key, MESSAGES.c.status, MESSAGES.c.unsure, MESSAGES.c.context)


def _standing(row: Any) -> Standing:
    return Standing(row.id, row.key, row.status == Status.PENDING and not row.unsure, json.loads(row.context))


def reword(tx: Connection, row_id: str, template: str, context: Mapping[str, Any]) -> None:
    """Let a message that waits say the same in words that are true now, also one that may have arrived."""
    waits = (MESSAGES.c.id == row_id) & IS_PENDING
    tx.execute(MESSAGES.update().where(waits).values(template=template, context=written(context)))


def rewrite(tx: Connection, row_id: str, template: str, context: Mapping[str, Any], attempts: int = 0) -> bool:
    """Let a message that cannot have arrived say more; False if it is too late for that.

    It is as tired as what it takes up: `attempts`, if those are more than its own.
    """
    tired = case((MESSAGES.c.attempts < attempts, attempts), else_=MESSAGES.c.attempts)
    still = (MESSAGES.c.id == row_id) & IS_PENDING & ~MESSAGES.c.unsure
    changed = tx.execute(
        MESSAGES.update().where(still).values(template=template, context=written(context), attempts=tired)
    )
    return changed.rowcount == 1
