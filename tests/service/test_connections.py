"""Clients that send slowly, without end, or through a proxy; and when what they sent has arrived."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service import connections, serving
from service.api.edge import Edge
from service.api.errors import problem_response
from service.chance import Chance
from service.errors import TooSlow
from service.running import open_running
from service.settings import Settings
from service.setup import migrate
from tests.service.conftest import CLOCK

BEFORE, AFTER = (datetime(2024, 9, 10, hour, tzinfo=UTC) for hour in (15, 17))


def _ask(parts: list[bytes | None], *, length: str | None, body_seconds: float = 30) -> tuple[int, datetime | None]:
    """Send a body in parts (None: nothing more comes) past the edge; the status, and the instant of arrival.

    The clock shows BEFORE until the last part has left.
    """
    headers = [(b"content-length", length.encode())] if length else []
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    left = list(parts)
    sent: list[Message] = []

    async def receive() -> Message:
        part = left.pop(0)
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            await request.body()
            response = Response()
        except TooSlow as error:
            response = problem_response(request, error)
        await response(scope, receive, send)

    edge = Edge(
        app, arrived=lambda: BEFORE if left else AFTER, chance=Chance(), max_body_bytes=1000, body_seconds=body_seconds
    )
    asyncio.run(edge(scope, receive, send))
    headers_sent = dict(sent[0]["headers"])
    if sent[0]["status"] == 408:
        assert headers_sent[b"connection"] == b"close"
        assert headers_sent[b"content-type"] == b"application/problem+json"
    return sent[0]["status"], scope["jinji_arrived"]


@pytest.mark.parametrize("length", ["3", None])
def test_a_request_has_arrived_when_its_last_byte_has(length: str | None) -> None:
    assert _ask([b"a", b"b", b"c"], length=length) == (200, AFTER)


@pytest.mark.parametrize("parts", [[None], [b"a", None]])
def test_a_body_that_does_not_come_to_its_end_in_time_is_408_and_the_connection_closed(
    parts: list[bytes | None],
) -> None:
    assert _ask(parts, length="3", body_seconds=0.01)[0] == 408


def test_a_body_that_is_said_to_be_too_long_is_413_before_any_of_it_is_read() -> None:
    assert _ask([None], length="1001", body_seconds=0.01)[0] == 413
    assert _ask([b"x" * 1000], length="1000")[0] == 200


@contextmanager
def _served(folder: Path, **changes: Any) -> Iterator[tuple[str, int]]:
    """A service that listens, over a database of its own."""
    settings = replace(Settings(database_url=f"sqlite:///{folder}/jinji.db", clock=CLOCK, port=0), **changes)
    migrate(settings)
    process = open_running(settings)
    server = uvicorn.Server(serving.configured(process))
    with serving.listen(settings) as listening:
        address: tuple[str, int] = listening.getsockname()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield address
        server.should_exit = True
        thread.join()


def _said(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_a_head_without_end_is_cut_off(tmp_path: Path) -> None:
    with _served(tmp_path) as address, socket.create_connection(address, timeout=30) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Long: ")
        client.sendall(b"x" * (connections.HEAD_BYTES + 1))
        assert client.recv(65536).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("beginning", [b"", b"\r\n", b"GET /health/live HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_does_not_come_in_time_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with _served(tmp_path) as address, socket.create_connection(address, timeout=30) as client:
        client.sendall(beginning)
        said = _said(client)
        assert said.startswith(b"HTTP/1.1 408 ") if beginning.startswith(b"GET") else said == b""


def test_the_limit_of_heads_does_not_touch_requests_on_one_connection(tmp_path: Path) -> None:
    with _served(tmp_path) as address, socket.create_connection(address, timeout=30) as client:
        for _ in range(5):
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def _public(address: tuple[str, int], citizen: str) -> int:
    with socket.create_connection(address, timeout=30) as client:
        head = (
            f"GET /api/v1/public/notices HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {citizen}\r\n\r\n"
        )
        client.sendall(head.encode())
        return int(_said(client).split()[1])


@pytest.mark.parametrize(("proxies", "other"), [("127.0.0.1, 10.0.0.1", 200), ("10.0.0.1", 429), ("", 429)])
def test_the_public_limits_count_citizens_behind_trusted_proxies_alone(
    tmp_path: Path, proxies: str, other: int
) -> None:
    with _served(tmp_path, public_per_minute=1, trusted_proxies=proxies) as address:
        assert [_public(address, "203.0.113.1") for _ in range(2)] == [200, 429]
        assert _public(address, "203.0.113.2") == other


def test_a_slow_body_is_answered_408_over_the_wire(tmp_path: Path) -> None:
    with _served(tmp_path, body_seconds=1) as address, socket.create_connection(address, timeout=30) as client:
        client.sendall(b"POST /api/v1/cases HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        head, _, body = _said(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["code"] == "request_timeout"
