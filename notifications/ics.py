"""Calendars for other programs (RFC 5545): due dates as all-day events, attached to mails and served as a feed.

Only what all-day dates need is here; no time zone is, since a date has none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from notifications.wording import clean

MEDIA_TYPE = "text/calendar"
_OCTETS = 75  # RFC 5545 3.1: without the line's end


@dataclass(frozen=True, slots=True)
class Entry:
    """One date. `uid` never changes; `sequence` is raised when anything else does, or programs keep what they have.

    `revised_at` is the aware instant of that change. A cancelled entry takes the date out of the reader's calendar.
    """

    uid: str
    sequence: int
    on: date
    title: str
    revised_at: datetime
    note: str = ""
    url: str | None = None
    cancelled: bool = False


def calendar(entries: Iterable[Entry], *, name: str | None = None, method: str = "PUBLISH") -> bytes:
    """The entries as one calendar, UTF-8 with CRLF. `name` is what programs show for a feed."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//jinji//dates//ZH", "CALSCALE:GREGORIAN", f"METHOD:{method}"]
    if name is not None:
        lines.append(f"X-WR-CALNAME:{_text(name)}")
    for entry in entries:
        lines.extend(_event(entry))
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(entry: Entry) -> Iterator[str]:
    stamp = entry.revised_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(entry.uid)}"
    yield f"SEQUENCE:{entry.sequence}"
    # With METHOD the stamp is that of the instance, without it that of its last change: one value serves both.
    yield f"DTSTAMP:{stamp}"
    yield f"LAST-MODIFIED:{stamp}"
    yield f"DTSTART;VALUE=DATE:{entry.on:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{entry.on + timedelta(days=1):%Y%m%d}"  # exclusive
    yield f"SUMMARY:{_text(entry.title)}"
    if entry.note:
        yield f"DESCRIPTION:{_text(entry.note)}"
    if entry.url is not None:
        yield f"URL:{clean(entry.url)}".replace("\n", "")  # a URI, not a text: nothing in it is escaped
    yield f"STATUS:{'CANCELLED' if entry.cancelled else 'CONFIRMED'}"
    yield "TRANSP:TRANSPARENT"  # a due date does not make its owner busy
    yield "END:VEVENT"


def _text(value: str) -> str:
    """A value of type TEXT (RFC 5545 3.3.11)."""
    value = clean(value).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return value.replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """One content line in parts of at most 75 octets; a part never ends within a character."""
    parts, part, room = [], b"", _OCTETS
    for character in line:
        octets = character.encode()
        if len(part) + len(octets) > room:
            parts.append(part)
            part, room = b"", _OCTETS - 1  # the blank before a continued line counts
        part += octets
    parts.append(part)
    return b"\r\n ".join(parts) + b"\r\n"
