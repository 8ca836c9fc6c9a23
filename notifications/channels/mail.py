"""The letter itself (RFC 5322, MIME), the same for every way that mail takes."""

import re
from collections.abc import Iterator
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, quote

from notifications.channels.outgoing import Outgoing
from notifications.errors import Permanent
from notifications.rendering import Attachment
from notifications.wording import is_unprintable, one_line

_LONGEST_LINE = 998  # octets, RFC 5322 2.1.1
_LONGEST_NAME = 60
_LONGEST_PLAIN = 200

_POLICY = SMTP.clone(refold_source="none")


def address(name: str, addr_spec: str) -> Address:
    """One mail address with the name shown for it; a newline in the name becomes a blank.

    A domain in Chinese is written in its ASCII form (IDNA). Raises ValueError for what is no single address.
    """
    if is_unprintable(addr_spec):
        raise ValueError(f"{addr_spec!r} holds a character that no address has")
    local, at, domain = addr_spec.strip().rpartition("@")
    if not (local and at and domain) or any(character in addr_spec.strip() for character in ' ,;<>()[]"\\'):
        raise ValueError(f"{addr_spec!r} is no single mail address")
    if local.count("@"):
        raise ValueError(f"{addr_spec!r} is no single mail address")
    try:
        host = domain.encode("idna").decode("ascii")
        # Read back, since the class takes parts that do not make an address together. It reads ASCII only.
        made = Address(username=re.sub("[^\x00-\x7f]", "x", local), domain=host)
        if Address(addr_spec=made.addr_spec) != made:
            raise ValueError
    except (MessageError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"{addr_spec!r} is no single mail address") from error
    shown = one_line(name)
    return Address(shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…", local, host)


def recipient_of(message: Outgoing) -> Address:
    """The one address that a message is for. Raises Permanent for what is none."""
    try:
        return address(message.recipient_name, message.recipient)
    except ValueError as error:
        raise Permanent(f"recipient refused: {error}") from error


def compose(message: Outgoing, sender: Address, now: datetime, *, eight_bit: bool = False) -> EmailMessage:
    """The letter. But for its date it is the same to the last octet however often it is made.

    `eight_bit` leaves the text readable as it stands; else it is made of ASCII, which every server passes on whole.
    Raises Permanent for a recipient that is no address.
    """
    letter = EmailMessage(policy=_POLICY)
    # Written as they are sent: where EmailMessage itself folds a long Chinese name, blanks slip into it.
    letter.set_raw("Date", format_datetime(now))
    letter.set_raw("From", _mailbox("From", sender))
    letter.set_raw("To", _mailbox("To", recipient_of(message)))
    letter.set_raw("Subject", _encoded("Subject", one_line(message.rendered.subject)))
    letter.set_raw("Message-ID", one_line(message.message_id))
    letter.set_raw("Auto-Submitted", "auto-generated")  # RFC 3834: nobody's holiday note answers it
    text, html = message.rendered.text, message.rendered.html
    letter.set_content(text, cte=_encoding(text, eight_bit))
    if html is not None:
        letter.add_alternative(html, subtype="html", cte=_encoding(html, eight_bit))
    for attachment in message.rendered.attachments:
        _attach(letter, attachment)
    # Only now: what begins with Content- would have gone down into the first part.
    letter["Content-Language"] = "zh-CN" if message.language == "zh" else message.language
    for number, part in enumerate(_multiparts(letter)):
        part.set_boundary(f"=_{number}_{message.id}")  # else it would be drawn by chance
    return letter


def _mailbox(header: str, mailbox: Address) -> str:
    """A mailbox as it stands in a header, its address on a line of its own."""
    name = mailbox.display_name
    if not name:
        return f"<{mailbox.addr_spec}>"
    shown = f'"{quote(name)}"' if _is_plain(name) else _encoded(header, name)
    return f"{shown}\n <{mailbox.addr_spec}>"


def _encoded(header: str, text: str) -> str:
    """A text in encoded words (RFC 2047) unless it is plain."""
    return text if _is_plain(text) else Header(text, "utf-8", header_name=header).encode()


def _is_plain(text: str) -> bool:
    """Whether a text may stand in a header by itself, on one line."""
    return text.isascii() and text.isprintable() and "=?" not in text and len(text) <= _LONGEST_PLAIN


def _encoding(text: str, eight_bit: bool) -> str:
    fits = max(len(line.encode()) for line in text.split("\n")) <= _LONGEST_LINE
    return "8bit" if eight_bit and fits else "base64"


def _attach(letter: EmailMessage, attachment: Attachment) -> None:
    maintype, _, subtype = attachment.media_type.partition("/")
    letter.add_attachment(
        attachment.content,
        maintype=maintype,
        subtype=subtype,
        filename=attachment.name,
        params=dict(attachment.parameters),
    )


def _multiparts(letter: EmailMessage) -> Iterator[EmailMessage]:
    for part in letter.walk():
        if part.is_multipart():
            assert isinstance(part, EmailMessage)
            yield part
