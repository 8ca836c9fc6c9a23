"""When the calendar or the plan changes: every open due date that moves, whom it concerns, and the change itself.

What is shown before (`preview`) and what is done then come from the same comparison. A rung that was told stays told; what
was breached stays breached, with the change noted in the history of its thing; those concerned get one correction each.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from notifications import outbox
from notifications.outbox import NewMessage
from service.access import Act
from service.casework import audit, calendars, moves, obligations, requests
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.letters import Letters
from service.casework.links import Links
from service.casework.obligations import ROWS, Whose
from service.storage.tables import Notice, Objection, Request, table
from workflows.obligations import Outcome, Owed, answer, decision, filings, of_case
from workflows.programme import Programme
from workflows.text import Text
from workflows.working_days import Calendar, CalendarYear

_REQUESTS, _OBJECTIONS, _NOTICES = table(Request), table(Objection), table(Notice)


@dataclass(frozen=True, slots=True)
class Moved:
    """An open obligation whose day moves, or that becomes firm or provisional: its row as it was, and what it is then."""

    row: Mapping[str, Any]
    owed: Owed
    programme: Programme

    @property
    def day_moves(self) -> bool:
        """Whether anybody has to be told: a day that only becomes firm is no news."""
        return bool(self.row["due_on"] != self.owed.due_on)


@dataclass(frozen=True, slots=True)
class Revision:
    """What a change of calendar or plan does to what is open: the days that move, and who gets a correction of what."""

    moved: tuple[Moved, ...]
    corrections: tuple[tuple[Addressee, tuple[Moved, ...]], ...]


def of_calendar(desk: Desk, year: CalendarYear, now: datetime) -> Revision:
    """What loading `year` would move, as things stand at `now`."""
    calendar = Calendar((*desk.calendar.years, year))
    return _revision(desk, _compared(desk, calendar), now)


def load_year(desk: Desk, act: Act, links: Links, year: CalendarYear, reason: str | None) -> Revision | None:
    """Load or amend a year, move what it moves, and tell those concerned; None where it stands already just so."""
    if not calendars.load_year(desk.tx, act, year, reason):
        return None
    desk.know_calendar(desk.tx.execute(select(calendars.REVISION)).scalar())
    revision = _revision(desk, _compared(desk, desk.calendar), act.at)
    _move(desk, act, revision.moved, reason)
    _wake_anew(desk, act.at)
    paper = "；".join(paper.label for paper in year.papers)
    why = Text(reason or f"{year.year} 年放假安排有变", reason or f"the days off of {year.year} have changed")
    _correct(desk, act, links, revision, why, paper)
    return revision


def _revision(desk: Desk, moved: Iterable[Moved], now: datetime) -> Revision:
    found = tuple(moved)
    told = [each for each in found if each.day_moves]
    directory = Directory(desk, [each.row for each in told])
    people: dict[str, Addressee] = {}
    concerning: dict[str, list[Moved]] = defaultdict(list)
    for each in told:
        who = dict.fromkeys(to for rung in each.programme.ladder_by_id[each.row["kind"]].rungs for to in rung.to)
        for person in directory.people(each.programme, each.row, who):
            people[person.id] = person
            concerning[person.id].append(each)
    return Revision(found, tuple((people[id_], tuple(each)) for id_, each in sorted(concerning.items())))


# --- what moves -------------------------------------------------------------------------------------------------------


def _compared(desk: Desk, calendar: Calendar) -> Iterator[Moved]:
    """Every open obligation that would be owed otherwise by another calendar; only what is counted in working days is."""
    rows = [dict(row) for row in desk.tx.execute(_open_rows()).mappings()]
    begun = _beginnings(desk, rows)
    for row in rows:
        programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
        owed = _owed_anew(programme, calendar, row, begun)
        if owed is not None and (owed.due_on, owed.provisional) != (row["due_on"], row["provisional"]):
            yield Moved(row, owed, programme)


def _open_rows() -> Any:
    return select(ROWS).where(ROWS.c.status == str(Outcome.OPEN)).order_by(ROWS.c.id)


def _beginnings(desk: Desk, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By the id of its obligation: when a request was received or an objection lodged, the case in a notice."""
    asked = {row["subject"]: row["id"] for row in rows if row["kind"] == "answer"}
    objected = {row["subject"]: row["id"] for row in rows if row["kind"] == "objection"}
    publicised = {row["subject"]: row["id"] for row in rows if row["kind"] == "notice"}
    found: dict[str, Any] = {}
    received = select(_REQUESTS.c.id, _REQUESTS.c.received_at).where(_REQUESTS.c.id.in_(asked))
    lodged = select(_OBJECTIONS.c.id, _OBJECTIONS.c.lodged_at).where(_OBJECTIONS.c.id.in_(objected))
    found |= {asked[row.id]: row.received_at for row in desk.tx.execute(received)}
    found |= {objected[row.id]: row.lodged_at for row in desk.tx.execute(lodged)}
    found |= {publicised[id_]: stands for id_, stands in moves.read_many(desk.tx, publicised).items()}
    return found


def _owed_anew(
    programme: Programme, calendar: Calendar, row: Mapping[str, Any], begun: Mapping[str, Any]
) -> Owed | None:
    kind, begins = row["kind"], begun.get(row["id"])
    if kind == "filing":
        all_ = {owed.id: owed for owed in filings(programme, calendar, row["since"])}
        return all_.get(row["id"])
    if begins is None:
        return None
    if kind == "answer":
        owed = answer(programme, calendar, row["subject"], row["unit"], begins)
        return replace(owed, handler=row["handler"])
    if kind == "objection":
        return decision(programme, calendar, row["subject"], row["unit"], begins)
    notice = begins.case.notice
    if notice is None:
        return None
    due = calendar.add(notice.opened_on, programme.spans.notice.working_days)
    case = replace(begins.case, notice=replace(notice, ends_on=due.due_on, provisional=due.provisional))
    return of_case(programme, calendar, case).get(row["id"])


# --- the change -------------------------------------------------------------------------------------------------------


def _move(desk: Desk, act: Act, moved: Sequence[Moved], reason: str | None) -> None:
    by_kind: dict[str, list[Moved]] = defaultdict(list)
    for each in moved:
        by_kind[each.row["kind"]].append(each)
    for each in by_kind["answer"]:
        requests.reschedule(desk, act, each.row["subject"], each.owed, reason)
    for each in by_kind["objection"]:
        _reschedule(desk, act, each, reason)
    _extend_notices(desk, act, by_kind["notice"], reason)
    obligations.put(
        desk.tx,
        [
            obligations.opened(each.programme, desk.calendar, each.owed, _whose(each.row), act.at)
            for each in moved
            if each.row["kind"] != "notice"  # written with its case
        ],
    )


def _whose(row: Mapping[str, Any]) -> Whose:
    return Whose(row["area"], row["case_id"], row["enterprise"])


def _reschedule(desk: Desk, act: Act, moved: Moved, reason: str | None) -> None:
    """Give an objection its new day."""
    found = select(_OBJECTIONS).where(_OBJECTIONS.c.id == moved.row["subject"]).with_for_update()
    row = desk.tx.execute(found).mappings().one()
    due_on = moved.owed.due_on
    entry = audit.Entry(
        act, "objection", row["id"], row["version"] + 1, "amend", row["head"], row["unit"], reason,
        data={"due_on": [str(row["due_on"]), str(due_on)]},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    change = {"due_on": due_on, "provisional": moved.owed.provisional, "version": entry.version, "head": head}
    desk.tx.execute(_OBJECTIONS.update().where(_OBJECTIONS.c.id == row["id"]).values(**change))


def _extend_notices(desk: Desk, act: Act, moved: Sequence[Moved], reason: str | None) -> None:
    """Let running notices run their days by the new calendar (三（六）): the notice, and each case that stands in it."""
    stands = moves.locked(desk, {each.row["subject"] for each in moved})
    changed, entries, notices = [], [], {}
    for each in stands.values():
        notice = each.case.notice
        assert notice is not None
        span = desk.lifecycle(each.case.programme, each.case.programme_version).programme.spans.notice
        due = desk.calendar.add(notice.opened_on, span.working_days)
        notices[notice.id] = due
        case = replace(each.case, notice=replace(notice, ends_on=due.due_on, provisional=due.provisional))
        data = {"notice": [str(notice.ends_on), str(due.due_on)]}
        entry, after = moves.next_entry(desk, act, each, case, "amend", data, reason)
        entries.append(entry)
        changed.append(after)
    if changed:
        owes = [row for after in changed for row in after.owes]
        moves.write_rows(desk.tx, changed, entries, owes)
    for id_ in sorted(notices):
        row = desk.tx.execute(select(_NOTICES).where(_NOTICES.c.id == id_).with_for_update()).mappings().one()
        ends_on, provisional = notices[id_].due_on, notices[id_].provisional
        noted = audit.Entry(
            act, "notice", id_, row["version"] + 1, "amend", row["head"], row["unit"], reason,
            data={"ends_on": [str(row["ends_on"]), str(ends_on)]}, changes={"ends_on": str(ends_on)},
        )  # fmt: skip
        (head,) = audit.append(desk.tx, [noted])
        desk.tx.execute(
            _NOTICES.update().where(_NOTICES.c.id == id_)
            .values(ends_on=ends_on, provisional=provisional, version=noted.version, head=head)
        )  # fmt: skip


def _wake_anew(desk: Desk, now: datetime) -> None:
    """Reminders go out on working days: by another calendar the next turn of anything open may be another."""
    turns = []
    for row in map(dict, desk.tx.execute(_open_rows()).mappings()):
        programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
        after = max(now, row["since"])
        next_at = obligations.next_turn(programme, desk.calendar, row, after)
        if row["next_at"] is not None and row["next_at"] > now and next_at != row["next_at"]:
            turns.append({"obligation": row["id"], "at": next_at})
    obligations.wake(desk.tx, turns)


def _correct(desk: Desk, act: Act, links: Links, revision: Revision, why: Text, paper: str) -> None:
    """One correction to each of those concerned."""
    rows = [{**each.row, "due_on": each.owed.due_on, "due_at": each.owed.due_at, "sequence": each.row["sequence"] + 1,
             "provisional": each.owed.provisional, "was_on": each.row["due_on"]} for each in revision.moved]  # fmt: skip
    by_id = {row["id"]: row for row in rows}
    letters = Letters(desk, links, act.at, rows, {})
    messages = []
    for person, moved in revision.corrections:
        template, context = letters.correction([by_id[each.row["id"]] for each in moved], why, paper)
        id_ = desk.chance.id(act.at)
        messages.append(
            NewMessage(
                id=id_, key=f"correction:{audit.instant_text(act.at)}:{person.id}", template=template,
                recipient=person.email, recipient_name=person.name, created_at=act.at, context=context,
                language=person.language, unit=person.unit,
            )
        )  # fmt: skip
    outbox.enqueue(desk.tx, messages, domain=links.domain)


def told(revision: Revision) -> Iterator[str]:
    """The revision in lines for a person at a keyboard."""
    for each in revision.moved:
        firm = "" if each.owed.provisional else " (firm)"
        moved = f"{each.row['due_on']} -> {each.owed.due_on}" if each.day_moves else f"{each.row['due_on']} stays"
        breached = ", breached before: stays so" if each.row["breached_at"] else ""
        yield f"{moved}{firm}{breached}  {each.row['unit']}  {each.row['kind']}  {each.row['id']}"
    for person, moved_for in revision.corrections:
        yield f"mail: 1 correction to {person.email} ({person.unit}) about {len(moved_for)}"
