"""Filings: what a unit hands the province, frozen from its cases as they stand, and sent back where it is wrong (三)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, literal, select, tuple_

from service.access import Act, Caller, filings_seen
from service.casework import audit, breaches, obligations, private
from service.casework.desk import Desk
from service.casework.obligations import Whose
from service.casework.standing import WITH_SITE, Standing, standing
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.errors import Conflict, Malformed, NotFound, VersionStale
from service.storage import locks
from service.storage.tables import CaseRow, Enterprise, FilingRow, ProgrammeVersion, Request, UTCDateTime, table
from workflows import forms
from workflows import obligations as rules
from workflows.faults import fault
from workflows.forms import PERSONAL, Row
from workflows.obligations import Outcome, Owed
from workflows.programme import Filing, Programme
from workflows.text import Text
from workflows.working_days import legal_day

_FILINGS, _CASES, _SITES = table(FilingRow), table(CaseRow), table(Enterprise)
_VERSIONS, _REQUESTS = table(ProgrammeVersion), table(Request)
_WITH_CONTACT = WITH_SITE.add_columns(_SITES.c.contact.label("site_contact"))
_HANDED_IN = ("submitted", "nil")
OPEN, RETURNED, CLOSED = "open", "returned", "closed"
# Whether it was overdue before it was handed in, by a day that may have moved since.
_BREACHED_AT = (
    select(obligations.ROWS.c.breached_at)
    .where(obligations.ROWS.c.id == literal("filing.") + _FILINGS.c.id)
    .scalar_subquery()
    .label("breached_at")
)


class NotNil(Conflict):
    """A filing is nil where there is nothing to file, and only there."""

    code = "not_nil"
    said = Text("本单位有应报的内容，不能提交零报告；请直接提交", "there are rows to file: submit them, not nil")


class FilingFrozen(Conflict):
    """What was handed in stands once its day has passed, unless the province sends it back."""

    code = "filing_frozen"
    said = Text(
        "该报备已提交且期限已过，内容已固定；如需更正，请省级退回后再提交",
        "this filing was handed in and its day has passed, so it stands: to correct it, ask the province to send it back",
    )


class PeriodNotBegun(Conflict):
    """A period that has not begun has nothing to tell."""

    code = "period_not_begun"
    said = Text("该报备所属期间尚未开始", "the period of this filing has not begun yet")


class ReportsOwed(Conflict):
    """Nothing is to tell only where no case owes its report."""

    code = "reports_owed"
    said = Text(
        "本月尚有培育对象未报进展，不能提交零报告：请先登记其进展",
        "cases owe their report of this month, so the filing is not nil: report their progress first",
    )


class PlansOwed(Conflict):
    """Nothing is to tell only where no case owes its plan."""

    code = "plans_owed"
    said = Text(
        "尚有培育对象未报提升方案，不能提交零报告：请先报送其方案，或将已退出的企业办理退出",
        "cases owe their plan, so the filing is not nil: file their plans, or withdraw who has left",
    )


class FilingNotSubmitted(Conflict):
    """Only what was handed in can be sent back."""

    code = "filing_not_submitted"
    said = Text(
        "该报备尚未提交，或已退回，无可退回", "this filing was not handed in, or was sent back: nothing to return"
    )


class FilingClosed(Conflict):
    """The plan asks for this filing no more."""

    code = "filing_closed"
    said = Text("方案已不再要求此项报备", "the plan does not ask for this filing any more")


@dataclass(frozen=True, slots=True)
class Search:
    """What filings are asked for; None asks for all."""

    programme: str | None = None
    unit: str | None = None
    form: str | None = None
    status: str | None = None


# --- opening ----------------------------------------------------------------------------------------------------------


def open_all(desk: Desk, programme: Programme, at: datetime) -> None:
    """Open the filings of a programme that was published at the aware instant `at`, and what they oblige to.

    Those that are open already stay as they are; a programme that had closed by then asks for none.
    """
    there = set(desk.tx.execute(select(_FILINGS.c.id).where(_FILINGS.c.programme == programme.id)).scalars())
    by_id = {
        rules.filing_id(programme, unit.code, filing): filing
        for unit in programme.units
        for filing in programme.filings
    }
    owed = [each for each in rules.filings(programme, desk.calendar, at) if each.subject not in there]
    if not owed:
        return
    desk.tx.execute(_FILINGS.insert(), [_opened(programme, by_id[each.subject], each) for each in owed])
    owes = [obligations.opened(programme, desk.calendar, each, Whose(each.unit), at) for each in owed]
    obligations.put(desk.tx, sorted(owes, key=lambda row: row["id"]))


def _opened(programme: Programme, filing: Filing, owed: Owed) -> dict[str, Any]:
    return {
        "id": owed.subject, "programme": programme.id, "programme_version": programme.version, "unit": owed.unit,
        "form": filing.form, "period": filing.period, "due_on": owed.due_on, "due_at": owed.due_at, "status": "open",
        "rows": "[]", "documents": "[]", "version": 0,
    }  # fmt: skip


# --- reading ----------------------------------------------------------------------------------------------------------


def read(tx: Connection, caller: Caller, filing_id: str) -> dict[str, Any]:
    """One filing in scope. Raises NotFound."""
    statement = select(_FILINGS, _BREACHED_AT).where(_FILINGS.c.id == filing_id, filings_seen(caller))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def search(
    tx: Connection, caller: Caller, wanted: Search, limit: int, after: tuple[datetime, str] | None
) -> list[dict[str, Any]]:
    """Up to `limit` filings in scope, due first, beyond the one `after` (its `due_at` and id)."""
    seen = select(_FILINGS, _BREACHED_AT).where(filings_seen(caller))
    statement = seen.order_by(_FILINGS.c.due_at, _FILINGS.c.id).limit(limit)
    for name in Search.__slots__:
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(_FILINGS.c[name] == value)
    if after is not None:
        at, id_ = after
        statement = statement.where(tuple_(_FILINGS.c.due_at, _FILINGS.c.id) > tuple_(literal(at, UTCDateTime), id_))
    return [dict(row) for row in tx.execute(statement).mappings()]


def filing_of(desk: Desk, row: Any) -> tuple[Programme, Filing]:
    """The programme of a filing's row, and what it says of the filing."""
    programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
    return programme, next(
        each for each in programme.filings if (each.form, each.period) == (row["form"], row["period"])
    )


def rows_of(desk: Desk, row: Any, *, contacts: bool) -> list[Row]:
    """The frozen rows: the case, when it was accepted where the form tells of that, the columns in the form's order; those
    that tell of persons to reach only with `contacts`.
    """
    programme, filing = filing_of(desk, row)
    columns = forms.columns_of(programme, programme.form_by_id[filing.form])
    kept = from_json(row["rows"])
    persons = private.read(desk.tx, {row["contact"]}).get(row["contact"]) if contacts and row["contact"] else None
    whole = [{**each, **person} for each, person in zip(kept, persons or [{}] * len(kept), strict=True)]
    shown = ["case", "accepted_at", *(column.id for column in columns)]
    return [{name: each[name] for name in shown if name in each} for each in whole]


def drawn_up(desk: Desk, row: Any) -> list[Row]:
    """What the rows of a filing would be if it were handed in now."""
    programme, filing = filing_of(desk, row)
    statement = _WITH_CONTACT.where(_CASES.c.programme == programme.id, _CASES.c.unit == row["unit"])
    found = desk.tx.execute(statement.order_by(_CASES.c.id)).mappings().all()
    form = programme.form_by_id[filing.form]
    columns = {column.id for column in form.columns}
    wanted = {each["site_contact"] for each in found if each["site_contact"]} if columns & PERSONAL else set()
    contacts = private.read(desk.tx, wanted) if wanted else {}
    return forms.rows(
        programme,
        filing,
        ((standing(each).case, _site(each, contacts.get(each["site_contact"]))) for each in found),
        # Only who tells of acceptances has batches (P4); the others need not read what was handed in month by month.
        _others(desk, row) if forms.tells_of_acceptances(form) else forms.Others(),
        _needs(desk.tx, found) if forms.tells_of_needs(form) else {},
    )


def _needs(tx: Connection, cases: Sequence[Any]) -> dict[str, list[forms.Need]]:
    """What was asked for on account of these cases (rows), or of their sites as such, in the order of receipt."""
    by_site: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_site[case["enterprise"]].append(case["id"])
    found: dict[str, list[forms.Need]] = defaultdict(list)
    asked = select(_REQUESTS).where(_REQUESTS.c.enterprise.in_(by_site))
    for row in tx.execute(asked.order_by(_REQUESTS.c.received_at, _REQUESTS.c.id)):
        need = forms.Need(row.text, row.received_at, row.due_on, row.answer, row.answered_at)
        for case_id in [row.case_id] if row.case_id else by_site[row.enterprise]:
            found[case_id].append(need)
    return found


def _others(desk: Desk, row: Any) -> forms.Others:
    """What the unit has told in its other filings of the same form."""
    of_form = (
        (_FILINGS.c.programme == row["programme"]) & (_FILINGS.c.unit == row["unit"]) & (_FILINGS.c.form == row["form"])
    )
    statement = select(_FILINGS.c.status, _FILINGS.c.period, _FILINGS.c.rows).where(of_form, _FILINGS.c.id != row["id"])
    found = desk.tx.execute(statement).all()
    told = [line for each in found if each.status in _HANDED_IN for line in from_json(each.rows)]
    return forms.Others(
        frozenset((line["case"], line["accepted_at"]) for line in told if "accepted_at" in line),
        frozenset(each.period for each in found if each.status in (*_HANDED_IN, CLOSED)),
    )


def _site(row: Any, contact: Any) -> forms.SiteFacts:
    return forms.SiteFacts(
        row["site_name"], row["site_credit_code"], row["site_permit_no"], row["site_county"], contact,
        row["site_completed_on"], row["site_publicised_on"],
    )  # fmt: skip


# --- handing in, sending back -----------------------------------------------------------------------------------------


def submit(
    desk: Desk, act: Act, filing_id: str, version: int, *, documents: Sequence[str] = (), nil: bool = False
) -> dict[str, Any]:
    """Hand in a filing: its rows are frozen as the cases stand; where there are none, it is nil by itself.

    Handed in again, up to its day or after it was sent back, it is the next version; what was received first decides
    whether it was in time, a nil not counted once there is something to tell. Raises NotFound, VersionStale, FilingClosed, FilingFrozen, PeriodNotBegun, Malformed for a
    document that there is not, NotNil, ReportsOwed, PlansOwed.
    """
    row = _locked(desk.tx, act.caller, filing_id, version)
    if row["status"] == CLOSED:
        raise FilingClosed
    if legal_day(act.at) < _begins_on(row["period"]):
        raise PeriodNotBegun(period=row["period"])
    if documents:  # what is scanned and sent has no place yet, so that no id names anything
        raise Malformed(
            *(
                fault("unknown_document", f"documents[{index}]", "没有这份文件", "there is no such document")
                for index in range(len(documents))
            )
        )
    hold(desk.tx, row["programme"], row["unit"])
    rows = drawn_up(desk, row)
    # Nothing was told, and now there is something: late, if its day has passed, also where it was sent back meanwhile.
    is_corrected = bool(rows) and row["first_submitted_at"] is not None and row["rows"] == audit.canonical([])
    if row["status"] in _HANDED_IN and act.at >= row["due_at"] and not is_corrected:
        raise FilingFrozen
    if nil and rows:
        raise NotNil(rows=len(rows))
    if not rows and (owing := _owe_reports(desk, row)):
        raise ReportsOwed(cases=owing)
    if not rows and (owing := _owe_plans(desk, row)):
        raise PlansOwed(cases=owing)
    status = "submitted" if rows else "nil"
    told = [{name: value for name, value in each.items() if name not in PERSONAL} for each in rows]
    persons = [{name: value for name, value in each.items() if name in PERSONAL} for each in rows]
    text = audit.canonical(told)
    kept, commitment = private.keep(desk.tx, desk.chance, persons, act.at) if any(persons) else (None, None)
    changes = {"status": status, "rows_hash": sha256(text.encode()).hexdigest(), "rows": len(rows), "documents": []}
    # Who is to be reached stands beside a salted commitment, as everywhere: the hash of the rows tells nothing of them.
    data = {"contact_commitment": commitment, "rows": told}  # an earlier version can be read there
    change = {
        "status": status, "submitted_at": act.at,
        "first_submitted_at": act.at if is_corrected else row["first_submitted_at"] or act.at,
        "submitted_by": act.caller.name, "return_reason": None, "rows": text, "rows_hash": changes["rows_hash"],
        "contact": kept, "documents": audit.canonical([]),
    }  # fmt: skip
    filed = _record(desk, act, row, "submit", None, data, changes, change)
    said = {"filing": filing_id, "unit": row["unit"], "form": row["form"], "period": row["period"], "status": status}
    enqueue_events(desk, EventType.FILING_SUBMITTED, row["unit"], [Happened(filing_id, filed["version"], act.at, said)])
    return filed


def hold(tx: Connection, programme: str, unit: str) -> None:
    """Have nobody else hand in filings of the unit, or undo what may rest in one, until the transaction ends."""
    locks.take(tx, f"filings:{programme}:{unit}")


def _begins_on(period: str) -> date:
    """The first day of a period: a year, `2024`, or a month, `2024-06`."""
    year, _, month = period.partition("-")
    return date(int(year), int(month or 1), 1)


def _owe_reports(desk: Desk, row: Any) -> list[str]:
    """The cases of the unit that owe the report of the filing's month, where the filing is made of reports."""
    programme, filing = filing_of(desk, row)
    if programme.form_by_id[filing.form].row != "case_month":
        return []
    owed = obligations.ROWS
    statement = select(owed.c.case_id).where(
        owed.c.status == str(Outcome.OPEN), owed.c.kind == "report", owed.c.programme == programme.id,
        owed.c.unit == row["unit"], owed.c.id.endswith(f".{row['period']}", autoescape=True),
    )  # fmt: skip
    return list(desk.tx.execute(statement.order_by(owed.c.case_id)).scalars())


def _owe_plans(desk: Desk, row: Any) -> list[str]:
    """The cases of the unit that owe their plan, where the filing is made of plans."""
    programme, filing = filing_of(desk, row)
    planning = programme.event_of_kind("file_plan")
    if planning is None or not forms.tells_of_plans(programme.form_by_id[filing.form]):
        return []
    dates = (rule for rule in programme.dates if planning.target not in rule.owed_in)
    owed_in = {state for rule in dates if not set(planning.sources).isdisjoint(rule.owed_in) for state in rule.owed_in}
    of_unit = (_CASES.c.programme == programme.id) & (_CASES.c.unit == row["unit"])
    statement = select(_CASES.c.id).where(of_unit, _CASES.c.state.in_(owed_in))
    return list(desk.tx.execute(statement.order_by(_CASES.c.id)).scalars())


def owed_on(desk: Desk, row: Any) -> date | None:
    """By when it is owed now: its own day, or that of the term since it was sent back; None where nothing is owed."""
    if row["status"] == RETURNED:
        owed = obligations.ROWS
        again = owed.c.id == f"filing.{row['id']}.{row['version']}"
        found: date | None = desk.tx.execute(select(owed.c.due_on).where(again)).scalar()
        return found
    return row["due_on"] if row["status"] == "open" else None


def return_(desk: Desk, act: Act, filing_id: str, version: int, reason: str) -> dict[str, Any]:
    """Send back what was handed in: it is owed again. Raises NotFound, VersionStale, FilingNotSubmitted."""
    row = _locked(desk.tx, act.caller, filing_id, version)
    if row["status"] not in _HANDED_IN:
        raise FilingNotSubmitted
    change = {"status": RETURNED, "return_reason": reason}
    return _record(desk, act, row, "return", reason, {}, {"status": RETURNED}, change)


def _locked(tx: Connection, caller: Caller, filing_id: str, version: int) -> dict[str, Any]:
    statement = select(_FILINGS, _BREACHED_AT).where(_FILINGS.c.id == filing_id, filings_seen(caller))
    row = tx.execute(statement.with_for_update(of=_FILINGS)).mappings().one_or_none()
    if row is None:
        raise NotFound
    if row["version"] != version:
        raise VersionStale(version=row["version"])
    return dict(row)


def _record(
    desk: Desk, act: Act, row: dict[str, Any], action: str, reason: str | None, data: Any, changes: Any, change: Any
) -> dict[str, Any]:
    entry = audit.Entry(
        act, "filing", row["id"], row["version"] + 1, action, row["head"], row["unit"], reason, data, changes
    )
    (head,) = audit.append(desk.tx, [entry])
    change = {**change, "version": row["version"] + 1, "head": head}
    desk.tx.execute(_FILINGS.update().where(_FILINGS.c.id == row["id"]).values(**change))
    after = {**row, **change}
    # What was sent back is handed in, or this is sent back.
    again = [each["version"] for each in (row, after) if each["status"] == RETURNED]
    owes = [owed_for(desk, after, act.at), *(owed_again(desk, after, number, act.at) for number in again)]
    breaches.settle(desk, owes, act.at)
    obligations.put(desk.tx, sorted(owes, key=lambda owed: owed["id"]))
    return after


def owed_for(desk: Desk, row: Any, at: datetime) -> dict[str, Any]:
    """The row of what a filing obliges to by its date, as the filing stands at `at`: the first receipt decides."""
    programme, owed = _by_its_date(desk, row)
    first, whose = row["first_submitted_at"], Whose(row["unit"])
    if row["status"] == CLOSED:
        closed_at = audit.at_of(desk.tx, "filing", row["id"], row["version"]) or at
        return obligations.closed(programme, owed, whose, Outcome.CLOSED, closed_at)
    if first is None:
        return obligations.opened(programme, desk.calendar, owed, whose, at)
    was_nil = row["rows"] == "[]" and first < owed.due_at
    return obligations.closed(programme, owed, whose, Outcome.NIL if was_nil else Outcome.MET, first)


def owed_again(desk: Desk, row: Any, number: int, at: datetime) -> dict[str, Any]:
    """The row of what is owed anew since the entry `number` of a filing's history sent it back, as it stands at `at`."""
    programme, owed = _by_its_date(desk, row)
    returned_at = audit.at_of(desk.tx, "filing", row["id"], number)
    assert returned_at is not None
    anew = rules.refiling(programme, desk.calendar, owed, number, returned_at)
    if row["version"] == number:
        return obligations.opened(programme, desk.calendar, anew, Whose(row["unit"]), at)
    handed_in_at = audit.at_of(desk.tx, "filing", row["id"], number + 1) or at
    return obligations.closed(programme, anew, Whose(row["unit"]), Outcome.MET, handed_in_at)


def _by_its_date(desk: Desk, row: Any) -> tuple[Programme, Owed]:
    programme, filing = filing_of(desk, row)
    since = _asked_since(desk, row, filing)
    return programme, next(each for each in rules.filings(programme, desk.calendar, since) if each.subject == row["id"])


def _asked_since(desk: Desk, row: Any, filing: Filing) -> datetime:
    """When the first version that asks for a filing was published, of those up to the one by which it is asked for."""
    up_to = (_VERSIONS.c.programme == row["programme"]) & (_VERSIONS.c.version <= row["programme_version"])
    versions = select(_VERSIONS.c.version, _VERSIONS.c.loaded_at).where(up_to).order_by(_VERSIONS.c.version)
    found: Iterator[datetime] = (
        loaded_at
        for version, loaded_at in desk.tx.execute(versions).all()
        if _asks(desk.lifecycle(row["programme"], version).programme, row["unit"], filing)
    )
    return next(found)


def _asks(programme: Programme, unit: str, filing: Filing) -> bool:
    asked = ((each.form, each.period) for each in programme.filings)
    return unit in programme.unit_by_code and (filing.form, filing.period) in asked


def resting_on(desk: Desk, programme: Programme, stands: Standing) -> Text | None:
    """The newest filing of the unit that was handed in since the case's last event and carries what that event said."""
    last = stands.case.last_event
    resting = {form.id: form for form in programme.forms if last is not None and last.event in form.rests_on}
    if last is None or not resting:
        return None
    wanted = (
        (_FILINGS.c.programme == programme.id) & (_FILINGS.c.unit == stands.case.unit) & _FILINGS.c.form.in_(resting)
        & (_FILINGS.c.status == "submitted")
        & audit.written_after("filing", _FILINGS.c.id, _FILINGS.c.version, stands.case.id, last.event)
    )  # fmt: skip
    filed = desk.tx.execute(select(_FILINGS).where(wanted).order_by(_FILINGS.c.submitted_at.desc())).mappings()
    for row in filed:
        if any(line["case"] == stands.case.id for line in from_json(row["rows"])):
            form = resting[row["form"]]
            return Text(f"{form.number} {row['period']} 已报备", f"{form.title.en} of {row['period']} was filed")
    return None


def is_late(row: Any) -> bool | None:
    """Whether a filing (`read`, `search`) was received when its day was over; None while nothing was received."""
    first = row["first_submitted_at"]
    return None if first is None else bool(first >= row["due_at"] or row["breached_at"] is not None)
