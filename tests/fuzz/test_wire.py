"""What no HTTP library would send, written to the socket by hand: refused, and the next one is served."""

import socket
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import pytest

from service import logs
from tests.fuzz.live import Live, serving, settings_for
from tests.service.world import ZHENGZHOU, open_world

OFFICER = f"officer {ZHENGZHOU}"
_CASES = b"POST /api/v1/cases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
# name → (what is written, the statuses of which one must come; 0: the connection ends without an answer)
WRITTEN: dict[str, tuple[bytes, set[int]]] = {
    "a path that is no UTF-8": (b"GET /api/v1/cases/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400}),
    "a body longer than allowed": (_CASES + b"AUTH\r\nContent-Length: 9000000\r\n\r\n{", {413}),
    "a length of 5,000 digits": (_CASES + b"AUTH\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{", {0, 400, 413}),
    "chunks beyond the limit": (_CASES + b"AUTH\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNK * 5 + b"0\r\n\r\n", {413}),
    "a chunk that is none": (_CASES + b"AUTH\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {0, 400}),
    "two lengths": (_CASES + b"AUTH\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {0, 400, 422}),
    "a NUL in a header": (b"GET /api/v1/clock HTTP/1.1\r\nHost: x\r\nAUTH\r\nAccept: a\x00b\r\n\r\n", {0, 400}),
    "a version that is no Latin": (
        b"POST /api/v1/cases/x/events HTTP/1.1\r\nHost: x\r\nAUTH\r\nIf-Match: \"\xff\"\r\nContent-Length: 2\r\n\r\n{}",
        {404},
    ),
    "an address with a host": (b"GET http://elsewhere/api/v1/clock HTTP/1.1\r\nHost: x\r\nAUTH\r\n\r\n", {200, 400, 404}),
    "no host": (b"GET /api/v1/clock HTTP/1.1\r\nAUTH\r\n\r\n", {200, 400}),
    "a host that is none": (b"GET /api/v1/clock HTTP/1.1\r\nHost: [\r\nAUTH\r\n\r\n", {200, 400}),
    "no HTTP": (b"\x16\x03\x01\x00\xa5\x01\x00\x00", {0, 400}),
}  # fmt: skip

HUNG_UP = ["/api/v1/cases", "/api/v1/cases/x/events", f"/api/v1/cases/{UUID(int=1)}/events"]


def _status(url: str, written: bytes) -> int:
    """The status of the answer; 0 where the connection ends without one."""
    address = urlsplit(url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        try:
            connection.sendall(written)
            said = connection.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            return 0
    return int(said.split()[1]) if said.startswith(b"HTTP/1.1 ") else 0


def _hang_up(url: str, path: str, token: str) -> None:
    """Promise a body, send its beginning, and go."""
    address = urlsplit(url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())


@pytest.mark.fuzz
def test_what_is_no_http_is_refused_and_the_next_request_is_served(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    logs.begin("critical")
    settings = settings_for(database_url)
    world = open_world(settings)
    token = world.secrets[OFFICER]
    world.running.db.close()
    with serving(Live("", {}), settings) as live:
        told = {
            name: _status(live.url, written.replace(b"AUTH", b"Authorization: Bearer " + token.encode()))
            for name, (written, _) in WRITTEN.items()
        }
        for path in HUNG_UP:
            _hang_up(live.url, path, token)
        counted = httpx2.get(f"{live.url}/metrics")
        assert counted.status_code == 200
        assert 'status="500"' not in counted.text
    assert {name: status for name, status in told.items() if status not in WRITTEN[name][1]} == {}
