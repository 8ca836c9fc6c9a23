"""Feeds of dates for calendar programs: made by those who are known, read with the feed's own token."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from notifications.ics import MEDIA_TYPE
from service.access import Act, Caller
from service.api import once, openapi, paging, shown
from service.api.cases import Cursor, Limit
from service.api.door import Change, Reading, Route, answer, answered, changing, reading, running
from service.api.notices import within_limit
from service.api.schemas import Code, Sent
from service.api.shapes import Got, Page
from service.casework import feeds
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.casework.objections import PUBLIC
from service.running import Running

router = APIRouter(prefix="/feeds", tags=["feeds"], route_class=Route)
public = APIRouter(tags=["feeds"], route_class=Route)

FeedId = Annotated[str, Path(max_length=64)]


class FeedSent(Sent):
    """Whose dates are wanted: a unit's own unless said."""

    unit: Code | None = None


class FeedGot(Got):
    """A feed; its token was shown when it was made."""

    id: str
    unit: str
    created_at: datetime
    created_by: str
    version: int


class FeedMade(FeedGot):
    """A new feed, with the token that is shown this once, and the address for a calendar program."""

    token: str
    url: str


class FeedPage(Page):
    """A page of feeds."""

    items: list[FeedGot]


class _Calendar(Response):
    media_type = MEDIA_TYPE


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "unit": row["unit"],
        "created_at": shown.instant(row["created_at"]),
        "created_by": row["created_by"],
        "version": row["version"],
    }


def _told(process: Running, token: str) -> dict[str, Any]:
    base = process.settings.base_url.rstrip("/")
    return {"token": token, "url": f"{base}/api/v1/calendar.ics?token={token}"}


def _token(process: Running, feed_id: str) -> str:
    return f"feed_{once.octets(process, 'feed', feed_id).hex()}"


def _told_besides(process: Running, body: bytes, kept: Mapping[str, Any]) -> Mapping[str, Any]:
    return _told(process, _token(process, kept["id"]))


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the feed that a path names. Raises NotFound."""
    version: int = feeds.read(tx, caller, path["feed_id"])["version"]
    return version


@router.post("", status_code=201, responses={**openapi.made(FeedMade), **openapi.CREATES})
def make_feed(change: Annotated[Change, once.changing_once("feeds.make", _told_besides)], sent: FeedSent) -> Response:
    """Make a feed of a unit's dates; its token is shown this once."""

    def do(desk: Desk, act: Act) -> Answer:
        row = feeds.make(desk, act, sent.unit, partial(_token, change.process))
        return answer(_shown(row), 201, version=1, location=f"/api/v1/feeds/{row['id']}")

    return once.make_once(change, do, partial(_told_besides, change.process, b""))


@router.get("", response_model=FeedPage, responses=openapi.LISTS)
def search_feeds(
    request: Request, caller: Annotated[Caller, reading("feeds.make")], cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Feeds in scope, in the order of making."""
    process = running(request)
    after = paging.position(process.cursor_secret, "feeds", {}, cursor)
    with process.db.reading() as tx:
        rows = feeds.search(tx, caller, limit + 1, after[0] if after else None)
    page = paging.page(
        rows, limit, _shown, lambda row: paging.cursor(process.cursor_secret, "feeds", {}, [row["id"]])
    )  # fmt: skip
    return answered(request, page)


@router.delete("/{feed_id}", response_model=FeedGot, responses={**openapi.REMOVES, **openapi.TAGGED})
def remove_feed(change: Annotated[Change, changing("feeds.make", version_of)], feed_id: FeedId) -> Response:
    """End a feed: its token opens nothing from now on."""

    def do(desk: Desk, act: Act) -> Answer:
        row = feeds.remove(desk, act, feed_id)
        return answer(_shown(row), version=row["version"])

    return change.make(do)


@public.get("/calendar.ics", response_class=_Calendar, responses=openapi.PUBLIC, dependencies=[Depends(within_limit)])
def read_calendar(
    request: Request,
    token: Annotated[str, Query(max_length=200, description="The token of a feed, which opens nothing else.")],
    lang: Annotated[str | None, Query(pattern="^(zh|en)$", description="Before Accept-Language.")] = None,
) -> Response:
    """The dates of a feed's unit, for calendar programs (RFC 5545)."""
    process = running(request)
    host = urlsplit(process.settings.base_url).hostname or "localhost"
    with process.db.reading() as tx:
        here = Reading(process, tx, PUBLIC, request)
        return _Calendar(feeds.calendar(here.desk, token, here.now, lang or here.language, host))
