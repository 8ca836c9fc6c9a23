"""Requests: what enterprises need, graded or on the way, handed to somebody and answered within working days (二（五）)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, bindparam, select

from service import access
from service.access import SYSTEM, Act, Caller
from service.casework import audit, contacts, obligations, replies
from service.casework.desk import Desk
from service.casework.obligations import Whose
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.errors import Conflict, Malformed, NotFound, VersionStale
from service.storage.sets import sent_rows, write_set
from service.storage.tables import CaseRow, Enterprise, Request, table
from workflows import obligations as rules
from workflows.faults import fault
from workflows.ladders import climb
from workflows.obligations import Outcome, Owed
from workflows.programme import Programme, Role
from workflows.text import Text
from workflows.working_days import WalkedDay, legal_day

ROWS = table(Request)
_CASES, _SITES = table(CaseRow), table(Enterprise)
_LADDER = "answer"
OPEN, OVERDUE, ANSWERED = "open", "overdue", "answered"
_TOLD = (
    "programme", "programme_version", "unit", "case_id", "enterprise", "kind", "state", "handler", "received_at",
    "due_on", "provisional", "breached_at", "answered_at", "late",
)  # fmt: skip


class RequestAnswered(Conflict):
    """A request is answered once."""

    code = "request_answered"
    said = Text(
        "该需求已答复，不能再次答复或转交", "this request is answered: no second answer, nobody else to hand it to"
    )


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What an enterprise needs, for one of its cases or for a site; `received_at` (aware) where it came in earlier."""

    kind: str
    text: str
    case: str | None = None
    enterprise: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Of:
    """Whose request it is, and the programme whose term it has."""

    programme: Programme
    unit: str
    case: str | None
    enterprise: str


def enter(desk: Desk, act: Act, sent: NewRequest) -> dict[str, Any]:
    """Take a request in, hand it to the unit's handler and owe its answer; its row.

    Raises NotFound for a case or site out of scope, Malformed for a receipt in the future.
    """
    desk.hold_calendar()
    of = _of_case(desk, act.caller, sent.case) if sent.case else _of_site(desk, act.caller, sent.enterprise or "")
    received_at = sent.received_at or act.at
    if received_at > act.at:
        raise Malformed(
            fault("in_the_future", "received_at", "收到时间不得晚于现在", "it cannot have been received later than now")
        )
    if legal_day(received_at).year < of.programme.year:
        raise Malformed(
            fault(
                "before_programme", "received_at", f"不得早于本方案所在的 {of.programme.year} 年",
                f"not before {of.programme.year}, the year of the programme",
            )
        )  # fmt: skip
    if act.caller.role == Role.ENTERPRISE and legal_day(received_at) < legal_day(act.at):
        raise Malformed(
            fault(
                "received_earlier", "received_at", "在此提出的需求以今日为收到日；此前以其他方式提出的，由填报单位登记",
                "what is asked here is received today; what was asked before in another way is entered by the unit",
                of.programme.spans.answer.clause,
            )
        )  # fmt: skip
    request_id = desk.chance.id(act.at)
    handler = contacts.first_with(desk.tx, of.unit, "handler")
    owed = rules.answer(of.programme, desk.calendar, request_id, of.unit, received_at)
    row = {
        "id": request_id, "programme": of.programme.id, "programme_version": of.programme.version, "unit": of.unit,
        "case_id": of.case, "enterprise": of.enterprise, "kind": sent.kind, "text": sent.text, "state": OPEN,
        "handler": handler, "received_at": received_at, "opened_at": act.at, "due_on": owed.due_on,
        "due_at": owed.due_at, "provisional": owed.provisional, "breached_at": None, "answered_at": None,
        "answer": None, "late": None, "version": 1,
    }  # fmt: skip
    told = {name: value for name, value in told_of(row).items() if value is not None}
    data = {name: told[name] for name in ("kind", "received_at", "due_on")}
    entry = audit.Entry(act, "request", request_id, 1, "open", None, of.unit, None, {**data, "text": sent.text}, told)
    (row["head"],) = audit.append(desk.tx, [entry])
    desk.tx.execute(ROWS.insert().values(**row))
    owes = obligations.opened(of.programme, desk.calendar, replace(owed, handler=handler), _whose(row), act.at)
    obligations.put(desk.tx, [owes])
    _tell(desk, EventType.REQUEST_OPENED, row, act.at)
    return row


def _of_case(desk: Desk, caller: Caller, case_id: str) -> _Of:
    statement = select(_CASES).where(_CASES.c.id == case_id, access.cases_seen(caller))
    row = desk.tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
    return _Of(programme, row["unit"], case_id, row["enterprise"])


def _of_site(desk: Desk, caller: Caller, site_id: str) -> _Of:
    """By the newest programme that knows the site's unit."""
    statement = select(_SITES.c.unit).where(_SITES.c.id == site_id, access.enterprises_seen(caller))
    unit = desk.tx.execute(statement).scalar()
    programmes = (lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx))
    knowing = [programme for programme in programmes if unit in programme.unit_by_code]
    if unit is None or not knowing:
        raise NotFound
    return _Of(max(knowing, key=lambda programme: programme.closes_on), unit, None, site_id)


def assign(desk: Desk, act: Act, request_id: str, version: int, handler: str) -> dict[str, Any]:
    """Give an open request to a contact of its unit; its row, unchanged where that one has it already.

    Raises NotFound, VersionStale, RequestAnswered, Malformed for somebody who is not a contact of the unit.
    """
    row = _locked_open(desk, act.caller, request_id, version)
    if not contacts.stands_in(desk.tx, row["unit"], handler):
        raise Malformed(
            fault(
                "unknown_handler", "handler", "该单位没有这一联系人，见 GET /contacts",
                "no such contact of the unit: GET /contacts lists them",
            )
        )  # fmt: skip
    if handler == row["handler"]:
        return row
    row = _recorded(desk, act, row, "assign", {"handler": handler}, {"handler": handler})
    # Whoever has it now is told in the next office hour, and not when the old ladder would have come to speak.
    programme = _programme(desk, row)
    wakes_at = programme.office_hours.open_from(desk.calendar, act.at)
    owes = obligations.standing(desk.tx, [f"{_LADDER}.{request_id}"])
    for id_, owed in owes.items():
        change = {"handler": handler, "next_at": min(owed["next_at"] or wakes_at, wakes_at)}
        desk.tx.execute(obligations.ROWS.update().where(obligations.ROWS.c.id == id_).values(**change))
    return row


def answer(desk: Desk, act: Act, request_id: str, version: int, text: str) -> dict[str, Any]:
    """Answer a request, late or not by the instant of receipt, and write to the enterprise; its row.

    Late, the breach enters its history first, if no sweep has put it there: the answer does not undo it. Raises
    NotFound, VersionStale, RequestAnswered.
    """
    row = _locked_open(desk, act.caller, request_id, version)
    late = act.at >= row["due_at"] or row["breached_at"] is not None  # a day that moved since does not undo it
    if late and row["breached_at"] is None:
        row = _recorded(desk, replace(act, caller=SYSTEM), row, "breach", *_breach(row))
    change = {"state": ANSWERED, "answered_at": act.at, "late": late}
    row = _recorded(desk, act, row, "answer", {"answer": text, "late": late}, change, {"answer": text})
    programme = _programme(desk, row)
    met = obligations.closed(programme, _owed(desk, programme, row), _whose(row), Outcome.MET, act.at)
    obligations.put(desk.tx, [met])
    replies.tell(desk, met, act.at)
    _tell(desk, EventType.REQUEST_ANSWERED, row, act.at)
    return row


def _locked_open(desk: Desk, caller: Caller, request_id: str, version: int) -> dict[str, Any]:
    statement = select(ROWS).where(ROWS.c.id == request_id, access.requests_seen(caller)).with_for_update()
    row = desk.tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    if row["version"] != version:
        raise VersionStale(version=row["version"])
    if row["state"] == ANSWERED:
        raise RequestAnswered
    return dict(row)


def _recorded(
    desk: Desk,
    act: Act,
    row: dict[str, Any],
    action: str,
    data: dict[str, Any],
    change: dict[str, Any],
    kept: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Append an entry and make the row as it says; `kept` are columns that the entry tells as data."""
    version = row["version"] + 1
    entry = audit.Entry(
        act, "request", row["id"], version, action, row["head"], row["unit"], reason, data, _plain(change)
    )
    (head,) = audit.append(desk.tx, [entry])
    columns = {**change, **(kept or {}), "version": version, "head": head}
    desk.tx.execute(ROWS.update().where(ROWS.c.id == row["id"]).values(**columns))
    return {**row, **columns}


def reschedule(desk: Desk, act: Act, row: dict[str, Any], owed: Owed, reason: str | None) -> None:
    """Give an open request, locked, the day of `owed`, as the calendar has changed. A breach that was recorded stays."""
    change = {"due_on": owed.due_on, "due_at": owed.due_at, "provisional": owed.provisional}
    _recorded(desk, act, row, "amend", {"due_on": [str(row["due_on"]), str(owed.due_on)]}, change, reason=reason)


# --- the breach -------------------------------------------------------------------------------------------------------


_BREACHED = ("breached_at", "version", "head")
_MARK = (
    ROWS.update()
    .where(ROWS.c.id == bindparam("request_id", type_=String))
    .values({name: bindparam(name, type_=ROWS.c[name].type) for name in _BREACHED})
)
_SENT = sent_rows(0, {"request_id": ROWS.c.id, **{name: ROWS.c[name] for name in _BREACHED}})
_MARK_SET = ROWS.update().where(ROWS.c.id == _SENT.request_id).values({name: _SENT[name] for name in _BREACHED})
_HEAD_AT = (
    select(audit.AT)
    .where(ROWS.c.id == audit.OF_SUBJECT, audit.OF_TYPE == "request", ROWS.c.version == audit.OF_VERSION)
    .scalar_subquery()
)


def record_breach(desk: Desk, ids: Iterable[str], now: datetime) -> list[str]:
    """Put the breach of those of these requests that are overdue at `now` into their histories; whose it was put into.

    One whose breach stands there already, that is answered, or that somebody else holds, is left alone: whoever answers
    late records the breach too.
    """
    overdue = [ROWS.c.state == OPEN, ROWS.c.due_at <= now, ROWS.c.breached_at.is_(None)]
    statement = select(ROWS, _HEAD_AT.label("head_at")).where(ROWS.c.id.in_(list(ids)), *overdue).order_by(ROWS.c.id)
    rows = desk.tx.execute(statement.with_for_update(of=ROWS, skip_locked=True)).mappings().all()
    entries, marks = [], []
    for row in rows:
        # An entry that was made after this statement began to read is not there yet for its inner part.
        before = row["head_at"] or audit.at_of(desk.tx, "request", row["id"], row["version"]) or now
        data, change = _breach(row)
        version = row["version"] + 1
        act = Act(SYSTEM, now).not_before(before)
        entry = audit.row_of(
            audit.Entry(
                act, "request", row["id"], version, "breach", row["head"], row["unit"], None, data, _plain(change)
            )
        )
        entries.append(entry)
        marks.append({"request_id": row["id"], **change, "version": version, "head": entry["hash"]})
    if rows:
        write_set(desk.tx, [(_MARK, marks)], _MARK_SET)
        audit.insert(desk.tx, entries)
    for row, mark in zip(rows, marks, strict=True):
        _tell(desk, EventType.REQUEST_BREACHED, {**row, **mark}, now)
    return [row["id"] for row in rows]


def _tell(desk: Desk, event: EventType, row: Mapping[str, Any], at: datetime) -> None:
    """Have the webhooks told; what is asked and answered is not."""
    data = {
        "request": row["id"], "unit": row["unit"], "case": row["case_id"], "enterprise": row["enterprise"],
        "kind": row["kind"], "state": row["state"], "due_on": str(row["due_on"]), "late": row["late"],
    }  # fmt: skip
    enqueue_events(desk, event, row["unit"], [Happened(row["id"], row["version"], at, data)])


def _breach(row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the entry of a breach says, and the change: it happened when the term was over, whenever it is recorded."""
    said = {"due_on": str(row["due_on"]), "breached_at": audit.instant_text(row["due_at"])}
    return said, {"breached_at": row["due_at"]}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """What requests are asked for; None asks for all."""

    state: str | None = None
    unit: str | None = None
    kind: str | None = None
    case: str | None = None
    enterprise: str | None = None


def state_of(row: Mapping[str, Any], now: datetime) -> str:
    """How a request stands at `now`: the stored state, or overdue."""
    return OVERDUE if row["state"] == OPEN and row["due_at"] <= now else str(row["state"])


def in_state(state: str, now: datetime) -> ColumnElement[bool]:
    """The condition that `state_of` decides."""
    if state == ANSWERED:
        return ROWS.c.state == ANSWERED  # type: ignore[no-any-return]
    late: ColumnElement[bool] = ROWS.c.due_at <= now
    is_open: ColumnElement[bool] = ROWS.c.state == OPEN
    return is_open & (late if state == OVERDUE else ~late)


def read(tx: Connection, caller: Caller, request_id: str) -> dict[str, Any]:
    """One request in scope. Raises NotFound."""
    statement = select(ROWS).where(ROWS.c.id == request_id, access.requests_seen(caller))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def search(
    tx: Connection, caller: Caller, wanted: Search, now: datetime, limit: int, after: str | None
) -> list[dict[str, Any]]:
    """Up to `limit` requests in scope beyond the id `after`, in the order of entry."""
    statement = select(ROWS).where(access.requests_seen(caller)).order_by(ROWS.c.id).limit(limit)
    for column, value in (
        (ROWS.c.unit, wanted.unit),
        (ROWS.c.kind, wanted.kind),
        (ROWS.c.case_id, wanted.case),
        (ROWS.c.enterprise, wanted.enterprise),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.state is not None:
        statement = statement.where(in_state(wanted.state, now))
    if after is not None:
        statement = statement.where(ROWS.c.id > after)
    return [dict(row) for row in tx.execute(statement).mappings()]


def walk(desk: Desk, row: Mapping[str, Any]) -> tuple[WalkedDay, ...]:
    """The days after the receipt, up to the last one for the answer."""
    working_days = _programme(desk, row).spans.answer.working_days
    return desk.calendar.explain(legal_day(row["received_at"]), working_days).days


def rungs(desk: Desk, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rungs of a request's ladder up to its breach, and those beyond of which somebody was told; each with what was
    sent: to whom, in which message, and how that stands."""
    programme = _programme(desk, row)
    term = _owed(desk, programme, row).term
    hours = programme.office_hours
    reached = climb(programme.ladder_by_id[_LADDER], term, desk.calendar, hours, until=term.due_at)
    found: dict[str, dict[str, Any]] = {each.id: {"rung": each.id, "at": each.at, "sent": []} for each in reached}
    for told in obligations.told_of(desk.tx, f"{_LADDER}.{row['id']}"):
        rung = found.setdefault(told["rung"], {"rung": told["rung"], "at": told["at"], "sent": []})
        rung["sent"].append({name: told[name] for name in ("recipient", "message", "status", "sent_at")})
    return list(found.values())


def _programme(desk: Desk, row: Mapping[str, Any]) -> Programme:
    return desk.lifecycle(row["programme"], row["programme_version"]).programme


def _owed(desk: Desk, programme: Programme, row: Mapping[str, Any]) -> Owed:
    """What is owed on a request, by the day that stands in its row."""
    owed = rules.answer(programme, desk.calendar, row["id"], row["unit"], row["received_at"])
    return replace(owed, due_on=row["due_on"], provisional=row["provisional"], handler=row["handler"])


def _whose(row: Mapping[str, Any]) -> Whose:
    return Whose(row["unit"], row["case_id"], row["enterprise"])


def _plain(change: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as the audit tells them."""
    return {
        name: audit.instant_text(value)
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, date)
        else value
        for name, value in change.items()
    }


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of a request tells of a row as changes."""
    return _plain({name: row[name] for name in _TOLD})
