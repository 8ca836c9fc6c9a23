"""Mail by SMTP (RFC 5321): plain, with STARTTLS or within TLS, with or without login; one connection for a whole run.

Each step is taken by itself, since what a failure means depends on where it comes. A reply that concerns the recipient
or the text is about this message; one to the greeting, the login or the sender is about our standing with that server,
which somebody can mend: then nothing is lost, everything waits.
"""

import contextlib
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from enum import StrEnum

from notifications.channels.mail import compose, recipient_of
from notifications.channels.outgoing import Outgoing
from notifications.errors import Away, Broken, Permanent, SendFailed, Temporary
from notifications.wording import one_line

_TOO_LARGE = 552
_CLOSING = 421  # "service not available, closing": about the server, wherever it comes


class Security(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how to speak to it. Times are in seconds.

    `data_timeout` is how long it may think about a message that it has got whole: giving up too early makes repeats.
    """

    host: str
    port: int
    security: Security = Security.NONE
    user: str | None = None
    password: str | None = None
    timeout: float = 30.0
    data_timeout: float = 300.0
    authorities: str | None = None  # a PEM file, for a server with a certificate of one's own


class SmtpChannel:
    """Sends by one server."""

    def __init__(self, server: Server, sender: Address) -> None:
        """Nothing is connected until the first message comes."""
        self.server = server
        self.sender = sender
        self._open: smtplib.SMTP | None = None

    def side(self, recipient: str) -> str:
        """The server, whoever the mail is for."""
        return f"{self.server.host}:{self.server.port}"

    def send(self, message: Outgoing, now: datetime) -> None:
        """Hand one letter over. A connection that broke is let go, and the next message opens another."""
        recipient = recipient_of(message).addr_spec
        letter = compose(message, self.sender, now)
        utf8 = not recipient.isascii()
        octets = letter.as_bytes(policy=letter.policy.clone(utf8=True) if utf8 else None)  # type: ignore[call-arg]
        smtp = self._connected()
        try:
            self._hand_over(smtp, recipient, octets, utf8=utf8)
        except SendFailed:
            raise
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise Broken(f"the connection to {self.side('')} broke: {_told(error)}") from error

    def close(self) -> None:
        """Take leave of the server."""
        if self._open is not None:
            # The messages are the server's already, so what goes wrong now concerns none of them.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._open.quit()
            self._drop()

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connected(self) -> smtplib.SMTP:
        if self._open is not None:
            # Servers end idle connections; found out now, it costs a new one, found out later a failed attempt.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._open.noop()[0] == 250:
                    return self._open
            self._drop()
        try:
            self._open = self._connect()
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise Away(f"the mail server {self.side('')} cannot be used: {_told(error)}") from error
        return self._open

    def _connect(self) -> smtplib.SMTP:
        server = self.server
        # Without a name of our own smtplib would ask the resolver, which may take long and say little.
        greeting = self.sender.domain or "localhost"
        if server.security is Security.TLS:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, greeting, timeout=server.timeout, context=self._protection()
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, greeting, timeout=server.timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.security is Security.STARTTLS:
                smtp.starttls(context=self._protection())  # raises where the server offers none: never back to plain
                smtp.ehlo()
            if server.user is not None:
                smtp.login(server.user, server.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _protection(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.server.authorities)

    def _hand_over(self, smtp: smtplib.SMTP, recipient: str, octets: bytes, *, utf8: bool) -> None:
        if utf8 and not smtp.has_extn("smtputf8"):
            raise Permanent(f"recipient refused: {self.side('')} takes no address like {recipient!r} (SMTPUTF8)")
        options = [f"SIZE={len(octets)}"] if smtp.has_extn("size") else []
        options += ["SMTPUTF8"] if utf8 else []
        code, said = smtp.mail(self.sender.addr_spec, options)
        if code != 250:
            self._refused(smtp, code)
            raise _sorted(code, said, "sender", never=code == _TOO_LARGE)
        code, said = smtp.rcpt(recipient)
        if code not in (250, 251):
            self._refused(smtp, code)
            raise _sorted(code, said, f"recipient {recipient}", never=_is_permanent(code))
        code, said = self._text(smtp, octets)
        if code != 250:
            self._refused(smtp, code)
            raise _sorted(code, said, "message", never=_is_permanent(code))

    def _text(self, smtp: smtplib.SMTP, octets: bytes) -> tuple[int, bytes]:
        """The text, and the reply to it."""
        assert smtp.sock is not None
        smtp.sock.settimeout(self.server.data_timeout)
        try:
            return smtp.data(octets)
        except smtplib.SMTPDataError as error:  # not even begun
            return error.smtp_code, _octets(error.smtp_error)
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            self._drop()
            raise Broken(
                f"{self.side('')} gave no answer after the text ({_told(error)}): it may have arrived", unsure=True
            ) from error
        finally:
            if smtp.sock is not None:
                smtp.sock.settimeout(self.server.timeout)

    def _refused(self, smtp: smtplib.SMTP, code: int) -> None:
        """Make the connection ready for the next message, or let it go where the server is about to."""
        if code == _CLOSING:
            self._drop()
            return
        try:
            smtp.rset()
        except (smtplib.SMTPException, OSError):
            self._drop()


def _sorted(code: int, said: bytes, what: str, *, never: bool) -> SendFailed:
    told = f"{what} refused: {code} {one_line(said.decode('utf-8', 'replace'))}"
    if never:
        return Permanent(told)
    # The sender is the same in every message: what is said of it is said of all.
    return Away(told) if code == _CLOSING or (what == "sender" and _is_permanent(code)) else Temporary(told)


def _is_permanent(code: int) -> bool:
    return 500 <= code < 600


def _octets(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode()


def _told(error: Exception) -> str:
    """What went wrong, without what we sent: a login's failure must not carry the password."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {one_line(_octets(error.smtp_error).decode('utf-8', 'replace'))}"
    return one_line(f"{type(error).__name__}: {error}")
