"""Messages: what was mailed to whom, how that stands, the text as it was sent, and another try."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from notifications.outbox import Channel
from service.access import Act, Caller
from service.api import openapi, paging, shown
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Change, Route, answer, answered, changing, reading, running
from service.api.shapes import Got, Page
from service.casework import messages
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.casework.messages import Search

router = APIRouter(prefix="/messages", tags=["messages"], route_class=Route)

MessageId = Annotated[str, Path(max_length=64, description="The id of a message.")]


class RungGot(Got):
    """One rung of one obligation that a message tells of."""

    obligation: str
    rung: str


class DecisionGot(Got):
    """The event of a case that a message tells of: its kind, and the version of the case that it made."""

    case: str
    version: int
    kind: str


class MessageLine(Got):
    """A mail or webhook to one recipient."""

    id: str
    channel: Literal["email", "webhook"]
    template: str
    recipient: str
    recipient_name: str
    language: str
    unit: str | None
    status: Literal["pending", "sent", "failed", "cancelled"]
    attempts: int
    message_id: str
    created_at: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None
    last_error: str | None
    rungs: list[RungGot]
    decision: DecisionGot | None


class MessageGot(MessageLine):
    """A message with its text as it was sent; null until it has left, and always where it carries a secret."""

    subject: str | None
    text: str | None
    html: str | None


class MessagePage(Page):
    """A page of messages."""

    items: list[MessageLine]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "channel": row["channel"],
        "template": row["template"],
        "recipient": _recipient(row),
        "recipient_name": row["recipient_name"],
        "language": row["language"],
        "unit": row["unit"],
        "status": messages.status_of(row),
        "attempts": row["attempts"],
        "message_id": row["message_id"],
        "created_at": shown.instant(row["created_at"]),
        "next_attempt_at": shown.instant(row["next_attempt_at"]),
        "sent_at": shown.instant(row["sent_at"]),
        "last_error": row["last_error"],
        "rungs": row["rungs"],
        "decision": row["decision"],
    }


def _recipient(row: dict[str, Any]) -> str:
    """Who gets it; of a webhook without its query, where receivers have their secrets."""
    recipient: str = row["recipient"]
    return recipient.partition("?")[0] if row["channel"] == Channel.WEBHOOK else recipient


# What only whoever opens the mailbox may know.
_SECRET = frozenset({"confirm_address"})


def _shown_whole(row: dict[str, Any]) -> dict[str, Any]:
    parts = ("subject", "text", "html")
    return {**_shown(row), **{part: None if row["template"] in _SECRET else row[part] for part in parts}}


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """What stands for the version of the message that a path names: how often it was tried. Raises NotFound."""
    attempts: int = messages.read(tx, caller, path["message_id"])["attempts"]
    return attempts


@router.get("", response_model=MessagePage, responses=openapi.LISTS)
def search_messages(
    request: Request,
    caller: Annotated[Caller, reading("messages.read")],
    status: Annotated[Literal["pending", "sent", "failed", "cancelled"] | None, Query()] = None,
    recipient: Filter = None,
    template: Filter = None,
    obligation: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Messages in scope, newest first, with the rungs that each tells of."""
    process = running(request)
    wanted = Search(status, recipient, template, obligation)
    filters = {name: getattr(wanted, name) for name in Search.__slots__}
    after = paging.position(process.cursor_secret, "messages", filters, cursor)
    place = (datetime.fromisoformat(after[0]), after[1]) if after else None
    with process.db.reading() as tx:
        rows = messages.search(tx, caller, wanted, limit + 1, place)

    def next_cursor(row: dict[str, Any]) -> str:
        position = [row["created_at"].isoformat(), row["id"]]
        return paging.cursor(process.cursor_secret, "messages", filters, position)

    return answered(request, paging.page(rows, limit, _shown, next_cursor))


@router.get("/{message_id}", response_model=MessageGot, responses={**openapi.READS, **openapi.TAGGED})
def read_message(
    request: Request, caller: Annotated[Caller, reading("messages.read")], message_id: MessageId
) -> Response:
    """One message, with its text as it was sent."""
    with running(request).db.reading() as tx:
        row = messages.read(tx, caller, message_id)
    return answered(request, _shown_whole(row), version=row["attempts"])


@router.post("/{message_id}/retry", response_model=MessageGot, responses={**openapi.CHANGES, **openapi.TAGGED})
def retry_message(change: Annotated[Change, changing("messages.retry", version_of)], message_id: MessageId) -> Response:
    """Let a message that failed, or waits for its next attempt, be tried at once."""

    def do(desk: Desk, act: Act) -> Answer:
        row = messages.retry(desk, act, message_id, change.version)
        return answer(_shown_whole(row), version=row["attempts"])

    return change.make(do)
