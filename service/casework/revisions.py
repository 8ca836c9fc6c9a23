"""When the calendar changes: every open due date that moves, whom it concerns, and the change itself.

What is shown before and what is done then come from the same comparison.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from service.access import Act
from service.casework import audit, calendars, moves, rescheduling
from service.casework.desk import Desk
from service.casework.links import Links
from service.casework.rescheduling import Correction, Held, Moved
from service.casework.standing import Standing
from service.storage.tables import Notice, Objection, Request, table
from workflows.case import Case
from workflows.obligations import Owed, answer, decision, filings, of_case
from workflows.programme import Programme
from workflows.text import Text
from workflows.working_days import Calendar, CalendarYear, end_of_day

_REQUESTS, _OBJECTIONS, _NOTICES = table(Request), table(Objection), table(Notice)


@dataclass(frozen=True, slots=True)
class Revision:
    """What a change of the calendar does to what is open: the days that move, and who is told of them."""

    moved: tuple[Moved, ...]
    corrections: tuple[Correction, ...]


def of_calendar(desk: Desk, year: CalendarYear, now: datetime) -> Revision:
    """What loading `year` would move, as things stand at `now`."""
    after = Calendar((*desk.calendar.years, year))
    moved = tuple(_Compared(desk, desk.calendar, after, now).moved())
    return Revision(moved, rescheduling.corrections(desk, moved))


def load_year(desk: Desk, act: Act, links: Links, year: CalendarYear, reason: str | None) -> Revision | None:
    """Load or amend a year, move what it moves, and tell those concerned; None where it stands already just so."""
    desk.change_calendar()
    before = desk.calendar
    why = Text(reason or f"{year.year} 年放假安排有变", reason or f"the days off of {year.year} have changed")
    if not calendars.load_year(desk.tx, act, year, why.zh):
        return None
    revision = desk.tx.execute(select(calendars.REVISION)).scalar()
    desk.know_calendar(revision)
    held = rescheduling.hold(desk, _Compared(desk, before, desk.calendar, act.at).moved(), act.at)
    _amend_cases(desk, act, before, held, why.zh)
    rescheduling.move(desk, act, held, why.zh)
    rescheduling.wake_anew(desk, act.at)
    found = rescheduling.corrections(desk, held.moved)
    paper = "；".join(paper.label for paper in year.papers)
    rescheduling.tell(desk, act, links, found, why, paper, f"calendar:{revision}")
    return Revision(held.moved, found)


# --- what moves -------------------------------------------------------------------------------------------------------


class _Compared:
    """What is owed by one calendar and by another; what is counted from is looked up once for all."""

    def __init__(self, desk: Desk, before: Calendar, after: Calendar, now: datetime) -> None:
        self.desk, self.before, self.after, self.now = desk, before, after, now
        self._rows = [row for row in map(dict, desk.tx.execute(rescheduling.open_rows()).mappings()) if self._may(row)]
        self._by_version: dict[tuple[str, int], dict[str, Owed]] = {}
        of_kind: dict[str, list[str]] = {"request": [], "objection": [], "case": []}
        for row in self._rows:
            of_kind.setdefault(row["subject_type"], []).append(row["subject"])
        received = select(_REQUESTS.c.id, _REQUESTS.c.received_at).where(_REQUESTS.c.id.in_(of_kind["request"]))
        lodged = select(_OBJECTIONS.c.id, _OBJECTIONS.c.lodged_at).where(_OBJECTIONS.c.id.in_(of_kind["objection"]))
        self._received = {row.id: row.received_at for row in desk.tx.execute(received)}
        self._lodged = {row.id: row.lodged_at for row in desk.tx.execute(lodged)}
        self._cases = moves.read_many(desk.tx, set(of_kind["case"]))

    def moved(self) -> Iterator[Moved]:
        """Every open obligation that would be owed otherwise by the other calendar."""
        for row in self._rows:
            programme = self._programme(row)
            found = rescheduling.compared(row, self._owed(programme, row), programme)
            if found is not None:
                yield found

    def _may(self, row: Mapping[str, Any]) -> bool:
        """Whether its day is counted in working days, or may roll over a day off."""
        counted = row["kind"] in ("answer", "objection", "notice")
        return counted or any(rule.rolls for rule in self._programme(row).dates)

    def _programme(self, row: Mapping[str, Any]) -> Programme:
        return self.desk.lifecycle(row["programme"], row["programme_version"]).programme

    def _owed(self, programme: Programme, row: Mapping[str, Any]) -> Owed | None:
        subject, unit = row["subject"], row["unit"]
        if row["subject_type"] == "request":
            return answer(programme, self.after, subject, unit, self._received[subject])
        if row["subject_type"] == "objection":
            return decision(programme, self.after, subject, unit, self._lodged[subject])
        if row["subject_type"] == "filing":
            return self._filed(programme, row).get(row["id"])
        if row["subject_type"] == "case":
            case = extended(self._cases[subject].case, self.before, self.after, self.now)
            return of_case(programme, self.after, case).get(row["id"])
        return None

    def _filed(self, programme: Programme, row: Mapping[str, Any]) -> dict[str, Owed]:
        """What is filed by a version of a plan; what was received once keeps the day by which it was."""
        if row["ended_at"] is not None:
            return {}
        key = (programme.id, programme.version)
        if key not in self._by_version:
            self._by_version[key] = {owed.id: owed for owed in filings(programme, self.after, row["since"])}
        return self._by_version[key]


def extended(case: Case, before: Calendar, after: Calendar, now: datetime) -> Case:
    """The case whose notice runs as many working days by the calendar `after` as it did by the one `before` (三（六）).

    A notice that has run has run.
    """
    notice = case.notice
    if notice is None or case.recognised_at is not None or now >= end_of_day(notice.ends_on):
        return case
    due = after.add(notice.opened_on, before.between(notice.opened_on, notice.ends_on))
    return replace(case, notice=replace(notice, ends_on=due.due_on, provisional=due.provisional))


# --- the cases --------------------------------------------------------------------------------------------------------


def _amend_cases(desk: Desk, act: Act, before: Calendar, held: Held, reason: str | None) -> None:
    """Put the move into the histories of the cases it concerns, and let running notices run their days."""
    days = rescheduling.days_by_case(held.moved)
    stands = moves.locked(desk, set(days))
    changed, entries = [], []
    for id_, was in stands.items():
        case = extended(was.case, before, desk.calendar, act.at)
        told = act.not_before(was.row["head_at"])
        entry, after = moves.next_entry(desk, told, was, case, "amend", {"due_on": days[id_]}, reason)
        entries.append(entry)
        changed.append(after)
    if changed:
        moves.write_rows(desk.tx, changed, entries, ())  # what they owe is moved with the rest
        _extend_notices(desk, act, stands.values(), changed, reason)


def _extend_notices(
    desk: Desk, act: Act, were: Iterable[Standing], are: Iterable[Standing], reason: str | None
) -> None:
    notices = {
        after.case.notice.id: after.case.notice
        for before, after in zip(were, are, strict=True)
        if after.case.notice is not None and after.case.notice != before.case.notice
    }
    statement = select(_NOTICES).where(_NOTICES.c.id.in_(notices)).order_by(_NOTICES.c.id).with_for_update()
    for row in desk.tx.execute(statement).mappings().all():
        notice = notices[row["id"]]
        entry = audit.Entry(
            act, "notice", row["id"], row["version"] + 1, "amend", row["head"], row["unit"], reason,
            data={"ends_on": [str(row["ends_on"]), str(notice.ends_on)]}, changes={"ends_on": str(notice.ends_on)},
        )  # fmt: skip
        (head,) = audit.append(desk.tx, [entry])
        change = {"ends_on": notice.ends_on, "provisional": notice.provisional, "version": entry.version, "head": head}
        desk.tx.execute(_NOTICES.update().where(_NOTICES.c.id == row["id"]).values(**change))
