"""Webhooks: signed, sorted by status, and only to where they may go."""

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from notifications.channels.outgoing import Outgoing
from notifications.channels.webhook import WebhookChannel, is_public, networks, sign
from notifications.errors import Away, Broken, ChannelRefused, Permanent, SendFailed, Temporary
from notifications.rendering import event_body
from tests.notifications.conftest import NOW
from tests.notifications.test_mail import AUTHORITY, own_tls

SECRET = "whsec_" + b64encode(b"0123456789abcdef01234567").decode()
LOOPBACK = networks("127.0.0.0/8, ::1/128")


def event(url: str) -> Outgoing:
    rendered = event_body("case.accept", "0190-1", NOW, {"enterprise": "郑州恒远铸造有限公司"})
    return Outgoing("0190-1", "<0190-1@jinji.example>", url, "", "zh", rendered)


def answering(status: int, headers: dict[str, str] | None = None) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, headers=headers))


def channel(transport: httpx.AsyncBaseTransport | None = None, **told: Any) -> WebhookChannel:
    told = {"resolve": lambda host, port: ["8.8.8.8"]} | told
    return WebhookChannel(told.pop("secrets_of", lambda message: [SECRET]), transport=transport, **told)


class Receiver(ThreadingHTTPServer):
    """A real HTTP server that keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.location = ""
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is that of the class above
        """Nothing is written to the terminal."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    signed = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "secret", "whsec_!", "whsec_c2hvcnQ=", "whsec_" + "QUJD" * 40])
def test_a_secret_that_is_none_fails_for_good(secret: str) -> None:
    with pytest.raises(Permanent, match="secret"):
        channel(answering(200), secrets_of=lambda message: [secret]).send(event("https://hooks.example/a"), NOW)


def test_a_real_receiver_gets_the_event_and_can_verify_it(receiver: Receiver) -> None:
    other = "whsec_" + b64encode(b"x" * 32).decode()
    ours = channel(None, allowed=LOOPBACK, secrets_of=lambda message: [SECRET, other],
                   resolve=lambda host, port: ["127.0.0.1"])  # fmt: skip
    ours.send(event(f"http://hooks.example:{receiver.server_port}/a?b=c"), NOW)
    ours.close()
    ((path, headers, body),) = receiver.got
    assert path == "/a?b=c"
    assert headers["host"] == f"hooks.example:{receiver.server_port}"
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["data"] == {"enterprise": "郑州恒远铸造有限公司"}
    stamp = int(headers["webhook-timestamp"])
    assert stamp == int(NOW.timestamp())
    expected = [sign(secret, headers["webhook-id"], stamp, body) for secret in (SECRET, other)]
    assert headers["webhook-signature"] == " ".join(expected)


def test_the_certificate_is_checked_against_the_name(receiver: Receiver, tmp_path: Path) -> None:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    receiver.socket = own_tls().wrap_socket(receiver.socket, server_side=True)
    told: dict[str, Any] = {"allowed": LOOPBACK, "resolve": lambda host, port: ["127.0.0.1"]}
    ours = channel(None, authorities=str(tmp_path / "authority.pem"), **told)
    ours.send(event(f"https://hooks.example:{receiver.server_port}/"), NOW)
    with pytest.raises(Away, match="certificate"):
        ours.send(event(f"https://other.example:{receiver.server_port}/"), NOW)
    with pytest.raises(Away, match="certificate"):
        channel(None, **told).send(event(f"https://hooks.example:{receiver.server_port}/"), NOW)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_two_hundred_and_something_is_taken(status: int) -> None:
    channel(answering(status)).send(event("https://hooks.example/"), NOW)


@pytest.mark.parametrize(
    "status, kind",
    [(code, Permanent) for code in (400, 401, 403, 404, 410, 422)]
    + [(code, Temporary) for code in (301, 302, 307, 408, 425, 429, 500, 502, 503, 504)],
)
def test_a_refusal_is_sorted_by_its_status(status: int, kind: type[SendFailed]) -> None:
    with pytest.raises(SendFailed, match=str(status)) as failed:
        channel(answering(status, {"Location": "https://elsewhere.example/"})).send(event("https://a.example/"), NOW)
    assert type(failed.value) is kind


@pytest.mark.parametrize(
    "told, waits",
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(NOW + timedelta(minutes=7)), timedelta(minutes=7)),
        (format_datetime(NOW - timedelta(minutes=7)), timedelta(0)),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_a_receiver_that_says_when_to_come_again_is_heard(told: str, waits: timedelta | None) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(503, headers=[(b"Retry-After", told.encode())]))
    with pytest.raises(Temporary) as failed:
        channel(transport).send(event("https://hooks.example/"), NOW)
    assert failed.value.retry_after == waits


@pytest.mark.parametrize(
    "error, kind",
    [(httpx.ConnectError("refused"), Away), (httpx.ConnectTimeout("slow"), Away), (httpx.ReadTimeout("slow"), Broken),
     (httpx.RemoteProtocolError("nonsense"), Broken)],
)  # fmt: skip
def test_a_failing_line_is_sorted_by_whether_anything_was_sent(error: Exception, kind: type[SendFailed]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(SendFailed) as failed:
        channel(httpx.MockTransport(fail)).send(event("https://hooks.example/"), NOW)
    assert type(failed.value) is kind


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "239.1.1.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "192.0.0.8", "192.0.0.192", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001:0:1::1",
     "2001:db8::1"],
)  # fmt: skip
def test_a_network_that_is_not_public_is_refused_unless_allowed(address: str) -> None:
    assert not is_public(ip_address(address))
    refused = channel(answering(200), resolve=lambda host, port: [address])
    with pytest.raises(Permanent, match="may not reach"):
        refused.send(event("https://hooks.example/"), NOW)
    allowed = channel(answering(200), resolve=lambda host, port: [address], allowed=networks(address))
    allowed.send(event("http://hooks.example/"), NOW)


@pytest.mark.parametrize("address", ["8.8.8.8", "114.114.114.114", "2400:3200::1", "::ffff:8.8.8.8"])
def test_the_open_internet_may_be_reached(address: str) -> None:
    channel(answering(200), resolve=lambda host, port: [address]).send(event("https://hooks.example/"), NOW)


def test_one_address_in_a_closed_network_among_open_ones_is_refused() -> None:
    with pytest.raises(Permanent, match="may not reach"):
        channel(answering(200), resolve=lambda host, port: ["8.8.8.8", "10.0.0.1"]).send(
            event("https://a.example/"), NOW
        )


def test_a_name_is_looked_up_once_and_that_address_is_connected_to() -> None:
    looked_up: list[str] = []
    connected: list[tuple[str, str, Any]] = []

    def changing(host: str, port: int) -> Sequence[str]:
        looked_up.append(host)
        return ["8.8.8.8"] if len(looked_up) == 1 else ["127.0.0.1"]

    def answer(request: httpx.Request) -> httpx.Response:
        connected.append((request.url.host, request.headers["Host"], request.extensions.get("sni_hostname")))
        return httpx.Response(200)

    channel(httpx.MockTransport(answer), resolve=changing).send(event("https://hooks.example/a"), NOW)
    assert looked_up == ["hooks.example"]
    assert connected == [("8.8.8.8", "hooks.example", "hooks.example")]


def test_an_address_that_cannot_be_reached_gives_way_to_the_next() -> None:
    tried: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.host)
        if ":" in request.url.host:
            raise httpx.ConnectError("no route")
        return httpx.Response(200)

    both = channel(httpx.MockTransport(answer), resolve=lambda host, port: ["2400:3200::1", "8.8.8.8"])
    both.send(event("https://hooks.example/"), NOW)
    assert tried == ["2400:3200::1", "8.8.8.8"]


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.location = 307, f"http://127.0.0.1:{receiver.server_port}/secret"
    ours = channel(None, allowed=LOOPBACK, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(Temporary, match="307"):
        ours.send(event(f"http://hooks.example:{receiver.server_port}/"), NOW)
    assert [path for path, _, _ in receiver.got] == ["/"]


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "https://", "https://u:p@hooks.example/",
     "https://hooks.example:99999/", "http://hooks.example/", "https://a.example/\r\nX: y"],
)  # fmt: skip
def test_an_address_that_will_not_do_fails_for_good(url: str) -> None:
    with pytest.raises(Permanent):
        channel(answering(200)).send(event(url), NOW)


def test_a_name_that_nobody_knows_is_away() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(Away, match=r"hooks\.example"):
        channel(answering(200), resolve=unknown).send(event("https://hooks.example/"), NOW)
    with pytest.raises(Away):
        channel(answering(200), resolve=lambda host, port: []).send(event("https://hooks.example/"), NOW)


def test_a_receiver_without_a_secret_is_gone() -> None:
    with pytest.raises(Permanent, match="removed"):
        channel(answering(200), secrets_of=lambda message: []).send(event("https://hooks.example/"), NOW)


def test_two_receivers_behind_one_host_are_away_together_and_no_others() -> None:
    ours = channel()
    assert ours.side("https://a.example/x") == ours.side("https://a.example/y") != ours.side("https://b.example/x")
    assert ours.side("nonsense") == "nonsense"


@pytest.mark.parametrize("setting", ["ten", "10.0.0.1/8", "10.0.0.0/40"])
def test_networks_that_are_none_are_refused(setting: str) -> None:
    with pytest.raises(ChannelRefused):
        networks(setting)


def test_no_networks_are_none() -> None:
    assert networks(" ") == ()


def test_a_receiver_that_answers_an_octet_at_a_time_is_left_in_the_end() -> None:
    """Each step would be in time, so the bound is on the whole."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
                while not over.wait(0.05):
                    line.sendall(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        slow = WebhookChannel(
            lambda message: [SECRET], allowed=LOOPBACK, timeout=0.5, resolve=lambda host, port: ["127.0.0.1"]
        )
        with pytest.raises(Broken, match="longer than"):
            slow.send(event(f"http://127.0.0.1:{server.getsockname()[1]}/"), NOW)
        over.set()
        thread.join()


@pytest.mark.parametrize("address", ["::127.0.0.1", "fec0::1", "::ffff:0:127.0.0.1", "5f00::1", "3fff::1"])
def test_what_of_ipv6_was_not_given_out_is_not_the_open_internet(address: str) -> None:
    assert not is_public(ip_address(address))


def test_a_resolver_that_hangs_holds_nobody_up() -> None:
    hangs = threading.Event()
    slow = channel(answering(204), resolve=lambda host, port: ["8.8.8.8"] if hangs.wait(30) else [], timeout=0.05)
    try:
        with pytest.raises(Away, match="was not found within"):
            slow.send(event("https://hooks.example.org/"), NOW)
    finally:
        hangs.set()
