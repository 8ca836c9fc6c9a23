"""Messages as officers see them: what was told to whom, which rungs it carried, and another try for what failed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, true

from notifications import outbox, unsent
from notifications.outbox import MESSAGES, Status, Wanted
from service.access import Act, Caller
from service.casework import audit
from service.casework.desk import Desk
from service.casework.obligations import RUNGS
from service.errors import Conflict, NotFound, VersionStale
from service.storage.tables import AuditEntry, ResultRow, table
from workflows.programme import Role
from workflows.text import Text

_AUDIT, _RESULTS = table(AuditEntry), table(ResultRow)


class MessageSent(Conflict):
    """What was sent, or taken back, is not sent again."""

    code = "message_sent"
    said = Text("该通知已发出或已撤回，不再重发", "this message was sent or taken back: it is not sent again")


@dataclass(frozen=True, slots=True)
class Search:
    """What messages are asked for; None asks for all."""

    status: str | None = None
    recipient: str | None = None
    template: str | None = None
    obligation: str | None = None


def seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a message is in scope."""
    if caller.sees_all:
        return true()
    return MESSAGES.c.unit == (caller.unit if caller.role == Role.UNIT else "")  # type: ignore[no-any-return]


def status_of(row: dict[str, Any]) -> str:
    """How a message stands for whoever waits for it: what is being sent has not been sent yet."""
    return str(Status.PENDING if row["status"] == Status.SENDING else row["status"])


def search(
    tx: Connection, caller: Caller, wanted: Search, limit: int, after: tuple[datetime, str] | None
) -> list[dict[str, Any]]:
    """Up to `limit` messages in scope, newest first, beyond the one `after` (its `created_at` and id), with what each tells of."""
    condition = seen(caller)
    if wanted.status == Status.PENDING:
        condition &= MESSAGES.c.status.in_((str(Status.PENDING), str(Status.SENDING)))
    elif wanted.status is not None:
        condition &= MESSAGES.c.status == wanted.status
    if wanted.obligation is not None:
        condition &= MESSAGES.c.id.in_(select(RUNGS.c.message).where(RUNGS.c.obligation == wanted.obligation))
    asked = Wanted(recipient=wanted.recipient, template=wanted.template)
    return _with_causes(tx, outbox.page(tx, asked, limit, after, seen=condition))


def read(tx: Connection, caller: Caller, message_id: str) -> dict[str, Any]:
    """One message in scope. Raises NotFound."""
    row = tx.execute(select(MESSAGES).where(MESSAGES.c.id == message_id, seen(caller))).mappings().one_or_none()
    if row is None:
        raise NotFound
    return _with_causes(tx, [dict(row)])[0]


def retry(desk: Desk, act: Act, message_id: str, attempts: int) -> dict[str, Any]:
    """Let a message that failed or waits be tried at once. Raises NotFound, VersionStale, MessageSent."""
    row = read(desk.tx, act.caller, message_id)
    if row["attempts"] != attempts:
        raise VersionStale(version=row["attempts"])
    if not unsent.retry(desk.tx, message_id, act.at):
        raise MessageSent
    newest = desk.tx.execute(
        select(func.max(_AUDIT.c.version)).where(_AUDIT.c.subject_type == "message", _AUDIT.c.subject_id == message_id)
    ).scalar()
    last = audit.history(desk.tx, "message", message_id)[-1]["hash"] if newest else None
    entry = audit.Entry(act, "message", message_id, (newest or 0) + 1, "retry", last, row["unit"])
    audit.append(desk.tx, [entry])
    return read(desk.tx, act.caller, message_id)


def _with_causes(tx: Connection, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Why each was written: the rungs of obligations that it tells of, or the decision on a case."""
    rows = list(rows)
    results = select(_RESULTS).where(_RESULTS.c.message.in_([row["id"] for row in rows]))
    decided = {
        each.message: {"case": each.case_id, "version": each.version, "kind": each.kind} for each in tx.execute(results)
    }
    told = defaultdict(list)
    statement = (
        select(RUNGS.c.message, RUNGS.c.obligation, RUNGS.c.rung)
        .where(RUNGS.c.message.in_([row["id"] for row in rows]))
        .order_by(RUNGS.c.obligation, RUNGS.c.rung)
    )
    for each in tx.execute(statement):
        told[each.message].append({"obligation": each.obligation, "rung": each.rung})
    return [{**row, "rungs": told[row["id"]], "decision": decided.get(row["id"])} for row in rows]
