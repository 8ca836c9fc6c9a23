"""Around every request: its id, the instant of its arrival, the limits of its body, one line in the log, one count."""

import asyncio
import re
from functools import cache
from typing import Any

import structlog
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import clock
from service.api.errors import problem_response
from service.chance import Chance
from service.connections import WHOLE
from service.errors import NotFound, ServiceError, TooLarge, TooManyRequests, TooSlow
from service.settings import Settings

# What anybody may send without a token: an objection, and no more.
_PUBLIC, _MOST_OF_PUBLIC = "/api/v1/public/", 64_000
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_log = structlog.get_logger("service.requests")
# Anything else that a client calls a method is counted as one: labels are kept for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUESTS = Counter("jinji_requests_total", "Requests answered.", ["method", "status"])
_SECONDS = Histogram("jinji_request_seconds", "Seconds from arrival to the head of the answer.", ["method"])
_requests, _seconds = cache(_REQUESTS.labels), cache(_SECONDS.labels)


class Edge:
    """The outermost layer but that in which the framework answers what nobody foresaw; in plain ASGI."""

    def __init__(self, app: ASGIApp, *, arrived: Any, chance: Chance, max_body_bytes: int, body_seconds: float) -> None:
        """`arrived()` gives the instant of now, or None on a clock that has to be read in a transaction.

        A request has arrived when its last byte has, so that nobody keeps an earlier instant by sending slowly;
        `body_seconds` after its head it must be complete.
        """
        self._app = app
        self._arrived = arrived
        self._chance = chance
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = clock.monotonic()
        headers = Headers(scope=scope)
        said = headers.get("x-request-id", "")
        request_id = said if _ID.fullmatch(said) else self._chance.hex(128)
        scope["jinji_request_id"] = request_id
        scope["jinji_arrived"] = self._arrived()
        status = 0
        received = 0
        complete = False
        first: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-Id"] = request_id
                out["X-Content-Type-Options"] = "nosniff"
                out.add_vary_header("Accept-Language")
                if "cache-control" not in out:
                    out["Cache-Control"] = "no-store" if "authorization" in headers else "no-cache"
            await send(message)

        async def receiving() -> Message:
            nonlocal received, complete, first
            if first is not None:
                message, first = first, None
                return message
            if complete:  # the only news still to come is that the client has gone
                return await receive()
            if WHOLE in scope:
                message = await receive()
            else:
                try:
                    async with asyncio.timeout(self._body_seconds - (clock.monotonic() - began)):
                        message = await receive()
                except TimeoutError:
                    raise TooSlow from None
            if message["type"] == "http.request":
                complete = not message.get("more_body", False)
                if complete:
                    scope["jinji_arrived"] = self._arrived()
                received += len(message.get("body", b""))
                if received > most:
                    raise TooLarge
            return message

        most = min(self._max_body_bytes, _MOST_OF_PUBLIC) if scope["path"].startswith(_PUBLIC) else self._max_body_bytes
        length = headers.get("content-length", "0")
        try:
            if "\x00" in scope["path"]:  # no id has one, and PostgreSQL takes none in a text
                raise NotFound
            if length.isdecimal() and int(length) > most:
                raise TooLarge
            # Most bodies are complete with their first part: taken here, nothing that the service does meanwhile
            # counts as time that the client took. Who waits for 100 Continue waits for the door's word first.
            if _has_body(headers) and "expect" not in headers:
                first = await receiving()
        except ServiceError as error:
            app: ASGIApp = problem_response(Request(scope), error)
        else:
            app = self._app
        try:
            await app(scope, receiving, sending)
        except BaseException:
            status = status or 500  # what the framework's outermost layer, outside this one, is about to answer
            raise
        finally:
            _count(scope, status, clock.monotonic() - began)


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    _requests(method, status).inc()
    _seconds(method).observe(seconds)
    _log.info(
        "request",
        request_id=scope["jinji_request_id"],
        method=scope["method"],
        path=_without_secrets(scope["path"]),
        status=status,
        caller=scope.get("jinji_caller"),
        ms=round(seconds * 1000, 1),
    )


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _without_secrets(path: str) -> str:
    """The path without a receipt, which is all that an objector has to show."""
    head, found, _ = path.partition("/public/objections/")
    return head + found + "…" if found else path


class Limits:
    """How often one address may call without a token; counted in this process."""

    def __init__(self, settings: Settings) -> None:
        self._reads: RateLimitItem = parse(f"{settings.public_per_minute}/minute")
        self._objections: RateLimitItem = parse(f"{settings.objections_per_hour}/hour")
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def take(self, address: str, *, objecting: bool) -> None:
        """Count one call. Raises TooManyRequests beyond the limit."""
        item = self._objections if objecting else self._reads
        if not self._windows.hit(item, "objections" if objecting else "reads", address):
            raise TooManyRequests(retry_after=3600 if objecting else 60)
