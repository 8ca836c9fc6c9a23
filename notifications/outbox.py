"""The outbox: one row for each mail or webhook to one recipient, written with the change that it tells of.

A row goes pending → sending → sent; back to pending when the channel failed for now or the sender was lost; to failed
when it will never go, or was tried long enough; to cancelled when it need not go any more. Every function takes the
transaction of its caller, who commits.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    Row,
    Text,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from notifications.instants import UTCDateTime
from notifications.wording import storable

_LONGEST_ERROR = 1000


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class Status(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Message(SQLModel, table=True):
    """One mail or webhook to one recipient.

    `key` says what it tells whom: a second message of the same key is never written. `attempts` are counted when they
    begin, so that a message which kills its sender comes to an end too. `unsure`: it was handed over without an answer, or
    its sender was lost, and may have arrived: so many times, `unsure_times`. `subject`, `text` and `html` are what was sent.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_due", "status", "next_attempt_at", "id"),
        Index("messages_due_by_channel", "channel", "status", "next_attempt_at", "id"),
        Index("messages_by_time", "created_at", "id"),
        Index("messages_by_status", "status", "created_at", "id"),
        Index("messages_by_recipient", "recipient", "created_at", "id"),
        Index("messages_by_unit", "unit", "created_at", "id"),
    )
    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    channel: str
    template: str
    recipient: str
    recipient_name: str
    language: str
    unit: str | None = None
    context: str = Field(sa_type=Text)
    status: str
    attempts: int
    unsure: bool = False
    unsure_times: int = 0
    next_attempt_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    claimed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    claimed_by: str | None = None
    message_id: str
    created_at: datetime = Field(sa_type=UTCDateTime)
    sent_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    last_error: str | None = Field(sa_type=Text, default=None)
    subject: str | None = Field(sa_type=Text, default=None)
    text: str | None = Field(sa_type=Text, default=None)
    html: str | None = Field(sa_type=Text, default=None)


MESSAGES: Any = Message.__table__  # type: ignore[attr-defined]

# Written into the statements, so that the engine can know how few of its rows they are.
IS_PENDING: ColumnElement[bool] = MESSAGES.c.status == literal_column("'pending'")
_IS_SENDING: ColumnElement[bool] = MESSAGES.c.status == literal_column("'sending'")


def is_due(now: datetime) -> ColumnElement[bool]:
    """The condition under which a message waits and its turn to leave has come."""
    due: ColumnElement[bool] = IS_PENDING & (MESSAGES.c.next_attempt_at <= now)
    return due


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What is to be told to whom.

    `id` should grow with time (UUID version 7). `recipient` is one address, or a URL for a webhook. `context` is what
    the template is filled with, in values of JSON; dates and instants are written in ISO form. `send_at` is the
    earliest instant at which it may leave; at once unless given. `attempts` are those of what it takes the place of.
    """

    id: str
    key: str
    template: str
    recipient: str
    recipient_name: str
    created_at: datetime
    context: Mapping[str, Any] = field(default_factory=dict)
    channel: Channel = Channel.EMAIL
    language: str = "zh"
    unit: str | None = None
    send_at: datetime | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that its claimer alone may send now. `attempts` counts this one."""

    id: str
    channel: str
    template: str
    recipient: str
    recipient_name: str
    language: str
    context: dict[str, Any]
    attempts: int
    unsure_times: int
    message_id: str
    created_at: datetime


_CLAIMED = tuple(MESSAGES.c[name] for name in Claimed.__slots__)


def message_id(row_id: str, domain: str) -> str:
    """The Message-ID (RFC 5322) of a message: the same however often it is sent."""
    return f"<{row_id}@{domain}>"


def enqueue(tx: Connection, messages: Iterable[NewMessage], *, domain: str = "jinji.invalid") -> frozenset[str]:
    """Write messages; the ids of those that are new. One whose key is known already is left out, whoever wrote it.

    `domain` stands in the Message-ID. Raises TypeError for a context that is no JSON.
    """
    # In the order of their keys: two writers of the same keys wait for one another and never both.
    rows = [_row(message, domain) for message in sorted(messages, key=lambda message: message.key)]
    if not rows:
        return frozenset()
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = insert(MESSAGES).on_conflict_do_nothing(index_elements=["key"]).returning(MESSAGES.c.id)
    return frozenset(tx.execute(statement, rows).scalars())


def _row(message: NewMessage, domain: str) -> dict[str, Any]:
    return {
        "id": message.id,
        "key": message.key,
        "channel": str(Channel(message.channel)),
        "template": message.template,
        "recipient": storable(message.recipient),
        "recipient_name": storable(message.recipient_name),
        "language": message.language,
        "unit": message.unit,
        "context": written(message.context),
        "status": str(Status.PENDING),
        "attempts": message.attempts,
        "unsure": False,
        "unsure_times": 0,
        "next_attempt_at": message.send_at or message.created_at,
        "message_id": message_id(message.id, domain),
        "created_at": message.created_at,
    }


def written(context: Mapping[str, Any]) -> str:
    """A context as its row keeps it. Raises TypeError for what is no value of JSON."""
    return json.dumps(context, ensure_ascii=True, separators=(",", ":"), default=_iso)


def _iso(value: object) -> str:
    if isinstance(value, date):  # an instant is one too
        return value.isoformat()
    raise TypeError(f"{value!r} in the context of a message is no value of JSON")


@lru_cache
def _claim_of(channel: Channel | None) -> Any:
    """The statement that claims the first messages that are due; made once for each channel, or for all."""
    due = select(MESSAGES.c.id).where(IS_PENDING, MESSAGES.c.next_attempt_at <= bindparam("due", type_=UTCDateTime))
    if channel is not None:
        due = due.where(MESSAGES.c.channel == str(channel))
    first = (
        due.order_by(MESSAGES.c.next_attempt_at, MESSAGES.c.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)  # SQLite leaves this out: it has one writer at a time
        .cte("due")
    )
    return (
        MESSAGES.update()
        .where(MESSAGES.c.id.in_(select(first.c.id)))
        .values(
            status=str(Status.SENDING),
            attempts=MESSAGES.c.attempts + 1,
            next_attempt_at=None,
            claimed_at=bindparam("at", type_=UTCDateTime),
            claimed_by=bindparam("by"),
        )
        .returning(*_CLAIMED)
    )


def claim(
    tx: Connection, now: datetime, by: str, limit: int, channel: Channel | None = None, due_at: datetime | None = None
) -> list[Claimed]:
    """Claim up to `limit` messages that are due, for `by` (one name for each sender). No two claimers get the same.

    Only those of `channel`, unless it is None; those that are due at `due_at`, or else now.
    """
    while rows := tx.execute(_claim_of(channel), {"at": now, "due": due_at or now, "by": by, "most": limit}).all():
        claimed = [message for row in rows if (message := _claimed(tx, row, by)) is not None]
        if claimed:
            return sorted(claimed, key=lambda message: message.id)
    return []


def _claimed(tx: Connection, row: Row[Any], by: str) -> Claimed | None:
    """The message as it was claimed; None for one whose row cannot be read, which fails and stops no other."""
    try:
        context = json.loads(row.context)
    except ValueError as fault:
        record_failure(tx, row.id, by, f"its context cannot be read: {fault}", None)
        return None
    return Claimed(**{**row._mapping, "context": context})


def why(failure: str) -> str:
    """A failure as a row keeps it: nothing that no database stores, and not too long."""
    return storable(failure)[:_LONGEST_ERROR]


_FREED = {"claimed_at": None, "claimed_by": None}


def _mine(row_id: str, by: str) -> ColumnElement[bool]:
    held: ColumnElement[bool] = (MESSAGES.c.id == row_id) & _IS_SENDING & (MESSAGES.c.claimed_by == by)
    return held


def release_stale(
    tx: Connection, now: datetime, after: timedelta, most_attempts: int, channel: Channel | None = None
) -> int:
    """Give back what was claimed `after` or longer ago, whose sender must be lost; how many. Of `channel`, unless None.

    What was tried `most_attempts` times already fails instead: it may be what kills its senders.
    """
    worn_out = MESSAGES.c.attempts >= most_attempts
    of_it = true() if channel is None else MESSAGES.c.channel == str(channel)
    released = tx.execute(
        MESSAGES.update()
        .where(_IS_SENDING, MESSAGES.c.claimed_at <= now - after, of_it)
        .values(
            status=case((worn_out, str(Status.FAILED)), else_=str(Status.PENDING)),
            next_attempt_at=case((worn_out, None), else_=literal(now, UTCDateTime)),
            unsure=true(),
            unsure_times=MESSAGES.c.unsure_times + 1,
            last_error="the process that was sending it was lost; it may have arrived",
            **_FREED,
        )
    )
    return released.rowcount


# Made once, not with every message.
_RECORD_SENT = (
    MESSAGES.update()
    .where(MESSAGES.c.id == bindparam("row_id"), MESSAGES.c.status != str(Status.SENT))
    .values(
        status=str(Status.SENT),
        sent_at=bindparam("at", type_=UTCDateTime),
        next_attempt_at=None,
        recipient=bindparam("sent_to"),
        recipient_name=bindparam("sent_to_name"),
        subject=bindparam("said_as"),
        text=bindparam("said"),
        html=bindparam("shown"),
        **_FREED,
    )
)


def record_sent(
    tx: Connection,
    message: Claimed,
    now: datetime,
    *,
    subject: str,
    text: str,
    html: str | None,
) -> bool:
    """Write down that the channel took the message, and what it was; False if that stood there already.

    It holds against whatever the row says meanwhile: a sender so slow that its claim was released has sent all the same.
    """
    told = {
        "row_id": message.id, "at": now, "sent_to": message.recipient, "sent_to_name": message.recipient_name,
        "said_as": storable(subject), "said": storable(text),
        "shown": None if html is None else storable(html),
    }  # fmt: skip
    recorded = tx.execute(_RECORD_SENT, told)
    return recorded.rowcount == 1


def record_failure(
    tx: Connection,
    row_id: str,
    by: str,
    failure: str,
    next_attempt_at: datetime | None,
    *,
    unsure: bool = False,
) -> bool:
    """Write down that `by` could not send it, and when to try again: never, if None. False if the claim was lost.

    `unsure`: it may have arrived all the same.
    """
    recorded = tx.execute(
        MESSAGES.update()
        .where(_mine(row_id, by))
        .values(
            status=str(Status.FAILED if next_attempt_at is None else Status.PENDING),
            next_attempt_at=next_attempt_at,
            unsure=true() if unsure else MESSAGES.c.unsure,
            unsure_times=MESSAGES.c.unsure_times + int(unsure),
            last_error=why(failure),
            **_FREED,
        )
    )
    return recorded.rowcount == 1


def put_off(tx: Connection, row_id: str, by: str, until: datetime) -> bool:
    """Give back unsent what `by` has claimed, to be sent at `until`: no attempt was made. False if the claim was lost."""
    recorded = tx.execute(
        MESSAGES.update()
        .where(_mine(row_id, by))
        .values(status=str(Status.PENDING), next_attempt_at=until, attempts=MESSAGES.c.attempts - 1, **_FREED)
    )
    return recorded.rowcount == 1


_FIRST_PENDING = select(MESSAGES.c.next_attempt_at).where(IS_PENDING).order_by(MESSAGES.c.next_attempt_at).limit(1)
_FIRST_CLAIMED = select(func.min(MESSAGES.c.claimed_at)).where(_IS_SENDING)


def next_due_at(tx: Connection, stale_after: timedelta, channel: Channel | None = None) -> datetime | None:
    """The earliest instant at which there is something to send or to release; it may have passed. None: never.

    Of `channel`, unless None.
    """
    of_it = true() if channel is None else MESSAGES.c.channel == str(channel)
    pending = tx.execute(_FIRST_PENDING.where(of_it)).scalar()
    claimed = tx.execute(_FIRST_CLAIMED.where(of_it)).scalar()
    instants = [pending] if pending else []
    if claimed is not None:
        instants.append(claimed + stale_after)
    return min(instants, default=None)


def oldest_pending_at(tx: Connection) -> datetime | None:
    """When the oldest message that has not left was written, whether it waits or is being sent; None: all have left."""
    created_at = func.min(MESSAGES.c.created_at)
    oldest = [tx.execute(select(created_at).where(waits)).scalar() for waits in (IS_PENDING, _IS_SENDING)]
    return min((at for at in oldest if at is not None), default=None)


def count_since(tx: Connection, template: str, recipient: str, since: datetime) -> int:
    """How many messages of a template were written to an address since an instant, that included; in whatever case."""
    wanted = (func.lower(MESSAGES.c.recipient) == storable(recipient).lower()) & (MESSAGES.c.created_at >= since)
    counted = select(func.count()).select_from(MESSAGES).where(wanted, MESSAGES.c.template == template)
    return int(tx.execute(counted).scalar_one())


def count_by_status(tx: Connection, of: Collection[Status] = tuple(Status)) -> dict[Status, int]:
    """How many messages stand where, of these."""
    wanted = MESSAGES.c.status.in_([str(status) for status in of])
    counted = tx.execute(select(MESSAGES.c.status, func.count()).where(wanted).group_by(MESSAGES.c.status))
    return dict.fromkeys(of, 0) | {Status(status): count for status, count in counted}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What messages are asked for; None asks for all."""

    status: str | None = None
    recipient: str | None = None
    template: str | None = None
    unit: str | None = None


def page(
    tx: Connection,
    wanted: Wanted,
    limit: int,
    after: tuple[datetime, str] | None = None,
    *,
    seen: ColumnElement[bool] | None = None,
) -> list[dict[str, Any]]:
    """Up to `limit` messages, newest first, beyond the one `after` (its `created_at` and `id`).

    `seen` is a further condition on MESSAGES: what the caller may see.
    """
    statement = select(MESSAGES).order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc()).limit(limit)
    for name in Wanted.__slots__:
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(MESSAGES.c[name] == value)
    if seen is not None:
        statement = statement.where(seen)
    if after is not None:
        at, id_ = after
        # Compared as one row, so that the index is entered there and not walked from the newest message.
        statement = statement.where(
            tuple_(MESSAGES.c.created_at, MESSAGES.c.id) < tuple_(literal(at, UTCDateTime), id_)
        )
    return [dict(row) for row in tx.execute(statement).mappings()]


def get(tx: Connection, row_id: str) -> dict[str, Any] | None:
    """One message with what was sent; None if there is none."""
    row = tx.execute(select(MESSAGES).where(MESSAGES.c.id == row_id)).mappings().one_or_none()
    return None if row is None else dict(row)
