"""A real SMTP server on the loopback that keeps what it is sent, or refuses as it is told."""

import asyncio
import ssl
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class _Controller(Controller):
    """Bound to whichever port is free, unless one is told."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Sink:
    """`replies` gives the reply to a step (connect, MAIL, RCPT, DATA) for an address; None lets it pass.

    `arrived` is called with a letter kept and its sender not yet answered.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        replies: dict[str, str] | None = None,
        smtputf8: bool = False,
        size: int = 10_000_000,
    ) -> None:
        self.letters: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.sessions: set[int] = set()
        self.logins: list[bytes] = []
        self.secured: list[bool] = []
        self.replies = replies or {}
        self.arrived: Callable[[], None] = lambda: None
        self._login = login
        # Named, so that it does not ask a resolver for its own name on each connection.
        more: dict[str, Any] = {"enable_SMTPUTF8": smtputf8, "data_size_limit": size, "server_hostname": "sink.example"}
        if starttls is not None:
            more |= {"tls_context": starttls, "require_starttls": True}
        if login is not None:
            more |= {"authenticator": self._authenticate, "auth_require_tls": starttls is not None}
        self._controller = _Controller(self, hostname="127.0.0.1", port=port, ssl_context=tls, **more)

    @property
    def port(self) -> int:
        return int(self._controller.port)

    # Methods: the server looks at every attribute of whom it hands letters to, at each connection.
    def mails(self) -> list[EmailMessage]:
        """The letters, parsed."""
        return [message_from_bytes(letter, policy=default) for letter in self.letters]  # type: ignore[arg-type]

    def message_ids(self) -> list[str]:
        """The Message-ID of each letter."""
        return [str(mail["Message-ID"]) for mail in self.mails()]

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        known = self._login is not None and (data.login.decode(), data.password.decode()) == self._login
        return AuthResult(success=known, handled=False) if not known else AuthResult(success=True)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if "MAIL" in self.replies:
            return self.replies["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        for told in (address, "RCPT"):
            if told in self.replies:
                return self.replies[told]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.replies.get("DATA", "250 OK")
        if reply == "hang up":
            assert server.transport is not None
            server.transport.abort()
            await asyncio.sleep(0)
            return "250 too late"
        if reply.startswith("250"):
            assert isinstance(envelope.original_content, bytes)
            self.letters.append(envelope.original_content)
            self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
            self.sessions.add(id(session))
            assert server.transport is not None
            self.secured.append(server.transport.get_extra_info("ssl_object") is not None)
            self.arrived()
        return reply
