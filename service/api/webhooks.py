"""Webhooks: who is told of which events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field, StringConstraints
from pydantic_core import from_json
from sqlalchemy import Connection
from starlette.responses import Response

from notifications.channels.webhook import networks
from service.access import Act, Caller
from service.api import once, openapi, paging, shown
from service.api.cases import Cursor, Limit
from service.api.door import Change, Route, answer, answered, changing, reading, running
from service.api.schemas import Sent
from service.api.shapes import Got, Page
from service.casework import webhooks
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.casework.webhooks import EventType
from service.running import Running

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=Route)

WebhookId = Annotated[str, Path(max_length=64)]
Address = Annotated[str, StringConstraints(strict=True, max_length=2000, pattern=r"^https?://[!-~]+$")]
Secret = Annotated[str, StringConstraints(strict=True, max_length=200, pattern=r"^whsec_[A-Za-z0-9+/]{32,}={0,2}$")]


class WebhookSent(Sent):
    """Another program that is to be told of events. Without a `secret` one is made."""

    url: Address
    secret: Secret | None = None
    events: Annotated[list[EventType], Field(min_length=1, max_length=len(EventType))]


class WebhookGot(Got):
    """A webhook; its secret was shown when it was made. `unit`: whose events it is told of, null: everybody's."""

    id: str
    unit: str | None
    url: str
    events: list[EventType]
    created_at: datetime
    version: int


class WebhookMade(WebhookGot):
    """A new webhook, with the secret that is shown this once."""

    secret: str


class WebhookPage(Page):
    """A page of webhooks."""

    items: list[WebhookGot]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "unit": row["unit"],
        "url": row["url"],
        "events": from_json(row["events"]),
        "created_at": shown.instant(row["created_at"]),
        "version": row["version"],
    }


def _secret(process: Running, webhook_id: str) -> str:
    return webhooks.secret_from(once.octets(process, "webhook", webhook_id))


def _told_besides(process: Running, body: bytes, kept: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"secret": from_json(body).get("secret") or _secret(process, kept["id"])}


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the webhook that a path names. Raises NotFound."""
    version: int = webhooks.read(tx, caller, path["webhook_id"])["version"]
    return version


@router.post("", status_code=201, responses={**openapi.made(WebhookMade), **openapi.CREATES})
def make_webhook(
    change: Annotated[Change, once.changing_once("webhooks.keep", _told_besides)], sent: WebhookSent
) -> Response:
    """Have another program told of events; its secret is shown this once."""
    allowed = networks(change.process.settings.webhook_networks)

    def secret_of(webhook_id: str) -> str:
        return sent.secret or _secret(change.process, webhook_id)

    def do(desk: Desk, act: Act) -> Answer:
        row = webhooks.make(desk, act, url=sent.url, secret_of=secret_of, events=sent.events, allowed=allowed)
        return answer(
            {**_shown(row), "secret": None}, 201, version=1, location=f"/api/v1/webhooks/{row['id']}"
        )  # fmt: skip

    return once.make_once(change, do, lambda kept: {"secret": secret_of(kept["id"])})


@router.get("", response_model=WebhookPage, responses=openapi.LISTS)
def search_webhooks(
    request: Request, caller: Annotated[Caller, reading("webhooks.keep")], cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Webhooks in scope, in the order of making."""
    process = running(request)
    after = paging.position(process.cursor_secret, "webhooks", {}, cursor)
    with process.db.reading() as tx:
        rows = webhooks.search(tx, caller, limit + 1, after[0] if after else None)
    page = paging.page(
        rows, limit, _shown, lambda row: paging.cursor(process.cursor_secret, "webhooks", {}, [row["id"]])
    )  # fmt: skip
    return answered(request, page)


@router.delete("/{webhook_id}", response_model=WebhookGot, responses={**openapi.REMOVES, **openapi.TAGGED})
def remove_webhook(change: Annotated[Change, changing("webhooks.keep", version_of)], webhook_id: WebhookId) -> Response:
    """Tell it of nothing any more; what waits to be sent to it will not be."""

    def do(desk: Desk, act: Act) -> Answer:
        row = webhooks.remove(desk, act, webhook_id)
        return answer(_shown(row), version=row["version"])

    return change.make(do)
