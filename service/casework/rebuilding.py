"""Obligations built anew from what the database knows: histories of cases and sites, objections, filings.

The rows follow from the rest, so a database that has the rest and not them (it is older) gets them here. Whoever wants
to know whether they are still right compares. Answers to requests are not here: requests came with the rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from typing import Any

from pydantic_core import from_json
from sqlalchemy import func, select

from service.casework import filings, ledger, objections, obligations
from service.casework.desk import Desk
from service.storage.tables import AuditEntry, CaseRow, Enterprise, FilingRow, Objection, ProgrammeVersion, table
from workflows.case import Case, load
from workflows.obligations import Outcome
from workflows.programme import Programme
from workflows.working_days import end_of_day

_AUDIT, _CASES, _OBJECTIONS, _FILINGS = table(AuditEntry), table(CaseRow), table(Objection), table(FilingRow)
_SITES, _VERSIONS = table(Enterprise), table(ProgrammeVersion)
_LATER = _VERSIONS.alias()
_AT_ONCE = 500

Rows = Iterator[dict[str, Any]]


def catch_up(desk: Desk, now: datetime) -> None:
    """Give a database what this code keeps and an older one did not: filings that are open, rows of what is owed.

    Changes nothing where all is there. A programme that is closed at `now` is left as it ended.
    """
    is_older = not _any(desk, obligations.ROWS) and _any(desk, _SITES)
    for row in desk.tx.execute(_unopened()).all():
        programme = desk.lifecycle(row.programme, row.version).programme
        if now < end_of_day(programme.closes_on):
            filings.open_all(desk, programme, row.loaded_at)
    if is_older:
        rebuild(desk)


def _unopened() -> Any:
    """The newest version of each programme of which no filing is open: so that the others need not be read."""
    newest = select(func.max(_VERSIONS.c.version)).where(_VERSIONS.c.programme == _LATER.c.programme).scalar_subquery()
    opened = select(_FILINGS.c.id).where(
        _FILINGS.c.programme == _LATER.c.programme, _FILINGS.c.programme_version == _LATER.c.version
    )
    return select(_LATER).where(_LATER.c.version == newest, ~opened.exists()).order_by(_LATER.c.programme)


def _any(desk: Desk, rows: Any) -> bool:
    return desk.tx.execute(select(rows.c.id).limit(1)).first() is not None


def rebuild(desk: Desk) -> None:
    """Write every row of what is owed, or was, as history makes it. A row that is right already stays as it is."""
    waiting: list[dict[str, Any]] = []
    for row in derived(desk):
        waiting.append(row)
        if len(waiting) >= _AT_ONCE:
            obligations.put(desk.tx, waiting)
            waiting = []
    obligations.put(desk.tx, waiting)


def derived(desk: Desk) -> Rows:
    """Every row of what is owed, or was, but the answers to requests; each once, as it is last."""
    yield from _of_cases(desk)
    yield from _of_objections(desk)
    yield from _of_sites(desk)
    found = desk.tx.execute(select(_FILINGS, _VERSIONS.c.loaded_at).join(_VERSIONS, _of_version())).mappings().all()
    for row in found:
        yield filings.owed_for(desk, row, row["loaded_at"])
    by_id = {row["id"]: row for row in found}
    sent_back = (_AUDIT.c.subject_type == "filing") & (_AUDIT.c.action == "return")
    returns = select(_AUDIT.c.subject_id, _AUDIT.c.version, _AUDIT.c.at).where(sent_back).order_by(_AUDIT.c.seq)
    for entry in desk.tx.execute(returns).all():
        yield filings.owed_again(desk, by_id[entry.subject_id], entry.version, entry.at)


def _of_version() -> Any:
    return (_VERSIONS.c.programme == _FILINGS.c.programme) & (_VERSIONS.c.version == _FILINGS.c.programme_version)


def _folded(rows: Iterable[dict[str, Any]]) -> Rows:
    """The rows of one thing in the order in which they were made, as they are last: what stays owed began when it began."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = last.get(row["id"])
        since = before["since"] if before is not None and before["status"] == Outcome.OPEN else row["since"]
        last[row["id"]] = {**row, "since": since}
    yield from (last[name] for name in sorted(last))


def _of_cases(desk: Desk) -> Rows:
    for entries in _histories(desk, "case", select(_CASES.c.id)):
        yield from _folded(_of_case(desk, entries))


def _of_case(desk: Desk, entries: Iterable[Any]) -> Rows:
    said: dict[str, Any] = {}
    before: Case | None = None
    by: Programme | None = None
    for entry in entries:
        said |= from_json(entry["changes"])
        after = load(said)
        programme = desk.lifecycle(after.programme, after.programme_version).programme
        event = programme.event_by_name.get(entry["action"])
        undone = event is not None and event.kind == "correct"
        yield from obligations.between(programme, desk.calendar, before, after, entry["at"], undone=undone, by=by)
        before, by = after, programme


def _of_objections(desk: Desk) -> Rows:
    statement = select(_OBJECTIONS, _CASES.c.facts).join(_CASES, _CASES.c.id == _OBJECTIONS.c.case_id)
    for row in desk.tx.execute(statement.order_by(_OBJECTIONS.c.id)).mappings().all():
        yield objections.owed_for(desk, dict(row), load(from_json(row["facts"])))


def _of_sites(desk: Desk) -> Rows:
    had_a_day = _AUDIT.c.changes.contains('"ultra_low_due_on":"', autoescape=True)
    with_a_day = select(_AUDIT.c.subject_id).where(_AUDIT.c.subject_type == "enterprise", had_a_day)
    for entries in _histories(desk, "enterprise", select(_SITES.c.id).where(_SITES.c.id.in_(with_a_day))):
        yield from _folded(_of_site(desk, entries))


def _of_site(desk: Desk, entries: Iterable[Any]) -> Rows:
    before: Mapping[str, Any] | None = None
    for entry in entries:
        said = {**(before or {"id": entry["subject_id"]}), **from_json(entry["changes"])}
        after = {name: _day(value) if name.endswith("_on") else value for name, value in said.items()}
        yield from ledger.retrofit(desk, before, after, entry["at"])
        before = after


def _day(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _histories(desk: Desk, subject_type: str, ids: Any) -> Iterator[list[Any]]:
    """The histories of the things that the statement `ids` names, oldest entry first, read in parts."""
    after = ""
    (id_,) = ids.selected_columns
    while part := list(desk.tx.execute(ids.where(id_ > after).order_by(id_).limit(_AT_ONCE)).scalars()):
        statement = select(_AUDIT).where(_AUDIT.c.subject_type == subject_type, _AUDIT.c.subject_id.in_(part))
        entries = desk.tx.execute(statement.order_by(_AUDIT.c.subject_id, _AUDIT.c.version)).mappings().all()
        for _, entries_of_one in groupby(entries, key=lambda entry: entry["subject_id"]):
            yield list(entries_of_one)
        after = part[-1]
