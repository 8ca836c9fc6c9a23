"""The working calendar as rows that every process sees: packaged years, and those imported since."""

import threading
from datetime import date, timedelta
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service.access import Act
from service.casework import audit
from service.storage import stamps
from service.storage.tables import CalendarYearRow, table
from workflows.working_days import Calendar, CalendarYear, packaged_years, read_year

_YEARS = table(CalendarYearRow)
_REVISION = "calendar_revision"
# Changes whenever a year is loaded; a column, for statements that read it beside something else.
REVISION = stamps.named(_REVISION).label(_REVISION)


class Calendars:
    """The calendar as loaded: built anew when a year was imported, by whichever process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = ""
        self._calendar = Calendar(())

    def get(self, tx: Connection) -> Calendar:
        """The working calendar as this transaction sees it."""
        return self.of(tx, tx.execute(select(REVISION)).scalar())

    def of(self, tx: Connection, revision: str | None) -> Calendar:
        """The working calendar of a revision that this transaction has read."""
        revision = revision or ""
        with self._lock:
            if revision != self._revision:
                documents = tx.execute(select(_YEARS.c.document).order_by(_YEARS.c.year)).scalars()
                self._calendar = Calendar(read_year(from_json(document)) for document in documents)
                self._revision = revision
            return self._calendar


def load_year(tx: Connection, act: Act, year: CalendarYear, reason: str | None = None) -> bool:
    """Load or amend one year; False where it stands already just so."""
    document: Any = year.to_document()
    text = audit.canonical(document)
    known = tx.execute(select(_YEARS).where(_YEARS.c.year == year.year)).one_or_none()
    if known is not None and known.document == text:
        return False
    version = known.version + 1 if known else 1
    entry = audit.Entry(
        act,
        "calendar",
        str(year.year),
        version,
        "import",
        prev=known.head if known else None,
        reason=reason,
        data={"papers": document["papers"], "days": len(document["days"])},
        changes=document,
    )
    (head,) = audit.append(tx, [entry])
    row = {"document": text, "loaded_at": act.at, "version": version, "head": head}
    if known is None:
        tx.execute(_YEARS.insert().values(year=year.year, **row))
    else:
        tx.execute(_YEARS.update().where(_YEARS.c.year == year.year).values(**row))
    stamps.put(tx, _REVISION, head)
    return True


def load_packaged(tx: Connection, act: Act) -> None:
    """Load every packaged year that is not there yet."""
    there = set(tx.execute(select(_YEARS.c.year)).scalars())
    for year in packaged_years():
        if year.year not in there:
            load_year(tx, act, year)


def differences(calendar: Calendar, year: CalendarYear) -> list[str]:
    """What loading `year` would change: a line for each day off or made up for, one for all that become firm as usual."""
    after = Calendar((*calendar.years, year))
    first, last = date(year.year - 1, 12, 25), date(year.year + 1, 1, 7)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    lines, usual = [], 0
    for on in days:
        was, is_ = calendar.day(on), after.day(on)
        if is_.kind in ("weekday", "weekend") and was.kind in (is_.kind, "unknown"):
            usual += was.provisional and not is_.provisional  # the last week waits for the next year's notice
        elif (was.kind, was.provisional) != (is_.kind, is_.provisional):
            firm = "" if is_.provisional else " (firm)"
            lines.append(f"{on} {was.kind} -> {is_.kind}{firm} {is_.name or ''}".rstrip())
    return [*lines, f"{usual} more days are firm now, working on weekdays and off on weekends"] if usual else lines
