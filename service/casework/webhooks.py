"""Webhooks: other programs that are told of events, signed as Standard Webhooks says, in the transaction of the event."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

import httpx
from sqlalchemy import Connection, func, select

from notifications.channels.outgoing import Outgoing
from notifications.channels.webhook import IpAddress, IpNetwork, is_public, sign
from notifications.outbox import Channel, NewMessage, enqueue
from service.access import Act, Caller, hashed, webhooks_seen
from service.casework import audit, receivers
from service.casework.desk import Desk
from service.errors import Conflict, Malformed, NotFound
from service.storage.db import Database
from service.storage.tables import Webhook, table
from workflows.faults import fault
from workflows.programme import Role
from workflows.text import Reason, Text
from workflows.working_days import SHANGHAI

_WEBHOOKS = table(Webhook)
_MOST = 20
# A name as RFC 1123, section 2.1, has it: labels of letters, digits and hyphens, and the last of them no number.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\.?$){_LABEL}\.?", re.IGNORECASE)


class TooManyWebhooks(Conflict):
    """A unit, or the province, has as many as it may have."""

    code = "too_many_webhooks"
    said = Text(
        f"最多登记 {_MOST} 个，请先删除不用的", f"there are {_MOST} already, which is the most: remove what is not used"
    )


class EventType(StrEnum):
    """What a webhook can be told of."""

    CASE_MOVED = "case.moved"
    OBLIGATION_OVERDUE = "obligation.overdue"
    REQUEST_OPENED = "request.opened"
    REQUEST_ANSWERED = "request.answered"
    REQUEST_BREACHED = "request.breached"
    NOTICE_OPENED = "notice.opened"
    OBJECTION_LODGED = "objection.lodged"
    FILING_SUBMITTED = "filing.submitted"


# --- keeping them -----------------------------------------------------------------------------------------------------


def secret_from(octets: bytes) -> str:
    """A secret as Standard Webhooks writes it, from 24 to 64 octets."""
    return f"whsec_{b64encode(octets).decode()}"


def make(
    desk: Desk,
    act: Act,
    *,
    url: str,
    secret_of: Callable[[str], str],
    events: Iterable[EventType],
    allowed: Sequence[IpNetwork],
) -> dict[str, Any]:
    """Have another program told of events: of one's own unit for a unit, of all for the province; its row.

    `secret_of` gives the secret for its id; `allowed` are the networks that may be reached besides the open internet.
    Raises Malformed for an address or a secret that cannot be used, TooManyWebhooks. The audit holds the secret's hash
    alone.
    """
    url = url.strip()
    webhook_id = desk.chance.id(act.at)
    secret = secret_of(webhook_id)
    if faults := [*_address_faults(url, allowed), *_secret_faults(secret)]:
        raise Malformed(*faults)
    unit = act.caller.unit if act.caller.role == Role.UNIT else None
    told_of = sorted({str(event) for event in events})
    standing = select(func.count()).where(_WEBHOOKS.c.unit.is_not_distinct_from(unit), _WEBHOOKS.c.removed_at.is_(None))
    if desk.tx.execute(standing).scalar_one() >= _MOST:
        raise TooManyWebhooks(most=_MOST)
    entry = audit.Entry(
        act, "webhook", webhook_id, 1, "create", None, unit,
        changes={"url": url, "events": told_of, "unit": unit, "secret_hash": hashed(secret), "removed": False},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    row = {
        "id": webhook_id, "unit": unit, "url": url, "secret": secret, "events": audit.canonical(told_of),
        "created_at": act.at, "removed_at": None, "version": 1, "head": head,
    }  # fmt: skip
    desk.tx.execute(_WEBHOOKS.insert().values(**row))
    receivers.changed(desk.tx, head)
    return row


def _address_faults(url: str, allowed: Sequence[IpNetwork]) -> Iterable[Reason]:
    """What is wrong with an address by itself. A name is judged when it is looked up, each time something is sent."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host  # a name that IDNA cannot read is found out only here
    except (httpx.InvalidURL, UnicodeError):
        parsed = httpx.URL()
    is_plain = parsed.scheme == "http" and bool(allowed)
    port = parsed.port if parsed.port is not None else 443
    if not parsed.host or not (parsed.scheme == "https" or is_plain) or not 0 < port < 65536 or parsed.userinfo:
        yield fault(
            "wrong_address",
            "url",
            "应为 https:// 地址，不含用户名和密码",
            "an https:// address without user or password",
        )
        return
    address = _literal(parsed.host)
    if address is None:
        name = parsed.raw_host.decode("ascii")  # `host` would show what IDNA wrote in other letters
        if len(name) > 253 or not _HOST.fullmatch(name):
            yield fault("wrong_address", "url", "主机名写得不对", "no name that a host can have (RFC 1123)")
        return
    is_allowed = any(address in network for network in allowed)
    if not is_allowed and not is_public(address):
        yield fault("private_address", "url", "不得指向内部网络的地址", "an address of a private network is refused")
    elif not is_allowed and parsed.scheme != "https":
        yield fault("wrong_address", "url", "互联网地址须用 https://", "on the open internet it must be https://")


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _secret_faults(secret: str) -> Iterable[Reason]:
    try:
        sign(secret, "", 0, b"")
    except ValueError:
        yield fault(
            "wrong_secret", "secret", "应为 whsec_ 加 24 至 64 字节的 Base64",
            "whsec_ and 24 to 64 octets in Base64 are needed",
        )  # fmt: skip


def search(tx: Connection, caller: Caller, limit: int, after: str | None) -> list[dict[str, Any]]:
    """Up to `limit` webhooks in scope that stand, in the order of making, beyond the id `after`."""
    statement = select(_WEBHOOKS).where(webhooks_seen(caller), _WEBHOOKS.c.removed_at.is_(None))
    if after is not None:
        statement = statement.where(_WEBHOOKS.c.id > after)
    return [dict(row) for row in tx.execute(statement.order_by(_WEBHOOKS.c.id).limit(limit)).mappings()]


def read(tx: Connection, caller: Caller, webhook_id: str) -> dict[str, Any]:
    """One webhook in scope that stands. Raises NotFound."""
    return _standing(tx, caller, select(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id))


def _standing(tx: Connection, caller: Caller, statement: Any) -> dict[str, Any]:
    statement = statement.where(webhooks_seen(caller), _WEBHOOKS.c.removed_at.is_(None))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def remove(desk: Desk, act: Act, webhook_id: str) -> dict[str, Any]:
    """Tell it of nothing any more, and forget its secret; its row. What waits to be sent to it will fail.

    Raises NotFound for one that is removed already.
    """
    row = _standing(desk.tx, act.caller, select(_WEBHOOKS).where(_WEBHOOKS.c.id == webhook_id).with_for_update())
    entry = audit.Entry(
        act, "webhook", webhook_id, row["version"] + 1, "remove", row["head"], row["unit"], changes={"removed": True}
    )
    (head,) = audit.append(desk.tx, [entry])
    change = {"removed_at": act.at, "secret": "", "version": row["version"] + 1, "head": head}
    desk.tx.execute(_WEBHOOKS.update().where(_WEBHOOKS.c.id == webhook_id).values(**change))
    receivers.changed(desk.tx, head)
    return {**row, **change}


# --- telling them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Happened:
    """One event to tell of: the thing and its version since, the aware instant, and what is told, in values of JSON."""

    subject: str
    version: int
    at: datetime
    data: Mapping[str, Any]


def enqueue_events(desk: Desk, type_: EventType, unit: str, items: Iterable[Happened]) -> None:
    """Have everybody told who wants to know of such events of the unit, in the transaction of their cause.

    Each webhook is told of each thing in each version at most once. With no webhook it costs one look at a stamp, or
    none where the transaction has read that beside something else.
    """
    wanted = [each for each in desk.receivers if type_ in each.events and each.unit in (None, unit)]
    if wanted:
        enqueue(desk.tx, [_message(desk, type_, receiver, item) for item in items for receiver in wanted])


def _message(desk: Desk, type_: EventType, receiver: receivers.Receiver, item: Happened) -> NewMessage:
    return NewMessage(
        id=desk.chance.id(item.at),
        key=f"webhook:{receiver.id}:{type_}:{item.subject}.{item.version}",
        template=str(type_),
        recipient=receiver.url,
        recipient_name=receiver.id,
        created_at=item.at,
        context={**item.data, "at": item.at.astimezone(SHANGHAI).isoformat()},
        channel=Channel.WEBHOOK,
        unit=receiver.unit,  # what the province is told is no unit's to see
    )


def secrets_of(db: Database) -> Callable[[Outgoing], Sequence[str]]:
    """What gives the channel the secret of a message's receiver: that of the webhook, if it still stands at that address."""

    def of(message: Outgoing) -> Sequence[str]:
        with db.reading() as tx:
            wanted = (_WEBHOOKS.c.id == message.recipient_name) & (_WEBHOOKS.c.url == message.recipient)
            return (
                tx.execute(select(_WEBHOOKS.c.secret).where(wanted, _WEBHOOKS.c.removed_at.is_(None))).scalars().all()
            )

    return of
