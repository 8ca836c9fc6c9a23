"""Objections of the public to an entry of a notice, and their decision by somebody who took no part (三（六）, 四（四）)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service import access
from service.access import Act, Caller, hashed
from service.casework import audit, breaches, moves, notices, obligations, private
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.casework.obligations import Whose
from service.casework.standing import WITH_SITE, Standing, standing
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.errors import Conflict, EventRefused, Malformed, NotFound, ServiceError, VersionStale
from service.storage.tables import AuditEntry, CaseRow, Notice, Objection, table
from workflows import obligations as rules
from workflows.case import Case, load
from workflows.faults import fault
from workflows.obligations import Outcome
from workflows.persons import folded
from workflows.programme import Role
from workflows.text import Reason, Text
from workflows.working_days import end_of_day, legal_day

_OBJECTIONS, _NOTICES, _CASES, _AUDIT = table(Objection), table(Notice), table(CaseRow), table(AuditEntry)

PUBLIC = Caller("public", "public", "public")


class NoticeOver(Conflict):
    """The notice has run, or its entry has left it: there is nothing to object to any more."""

    code = "notice_over"
    said = Text("公示期已满，或该企业已不在此公示中", "the notice is over, or the enterprise is no longer in it")


class ObjectionDecided(Conflict):
    """An objection is decided once."""

    code = "objection_decided"
    said = Text("该异议已处理", "this objection is decided already")


def lodge(
    desk: Desk,
    at: datetime,
    request_id: str | None,
    notice_id: str,
    case_id: str,
    reasons: str,
    contact: Any,
    *,
    receipt: str,
) -> dict[str, Any]:
    """Take an objection to one entry of a running notice; its row. Only the hash of its `receipt` is kept.

    Raises NotFound, Malformed for a case that is not in the notice, NoticeOver.
    """
    desk.hold_calendar()
    notice = desk.tx.execute(select(_NOTICES).where(_NOTICES.c.id == notice_id)).mappings().one_or_none()
    if notice is None:
        raise NotFound
    locked = select(_CASES).where(_CASES.c.id == case_id).with_for_update()
    case_row = desk.tx.execute(locked).mappings().one_or_none()
    entered = notices.entry_of(desk.tx, notice_id, case_id)
    if case_row is None or entered is None:
        raise Malformed(fault("not_in_notice", "case", "该公示中没有这一企业", "this case is not in the notice"))
    # With the case locked: the tick may have recognised it meanwhile, whatever the entry still says.
    case = load(from_json(case_row["facts"]))
    stands_in = case.notice
    if at >= end_of_day(notice["ends_on"]) or entered["left_as"] is not None:
        raise NoticeOver
    if stands_in is None or stands_in.id != notice_id or case_row["recognised_grade"] is not None:
        raise NoticeOver
    lifecycle = desk.lifecycle(case_row["programme"], case_row["programme_version"])
    due = desk.calendar.add(legal_day(at), lifecycle.programme.spans.objection.working_days)
    kept, commitment = private.keep(desk.tx, desk.chance, contact, at) if contact else (None, None)
    objection_id = desk.chance.id(at)
    data = {"notice": notice_id, "case": case_id, "reasons": reasons, "due_on": str(due.due_on)}
    if commitment:
        data["contact_commitment"] = commitment
    entry = audit.Entry(
        Act(PUBLIC, at, request_id),
        "objection",
        objection_id,
        1,
        "lodge",
        None,
        case_row["unit"],
        None,
        data,
        {"state": "open"},
    )
    (head,) = audit.append(desk.tx, [entry])
    row = {
        "id": objection_id, "receipt_hash": hashed(receipt), "notice": notice_id, "case_id": case_id,
        "unit": case_row["unit"], "reasons": reasons, "contact": kept, "state": "open", "lodged_at": at,
        "due_on": due.due_on, "provisional": due.provisional, "decided_at": None, "finding": None, "version": 1,
        "head": head,
    }  # fmt: skip
    desk.tx.execute(_OBJECTIONS.insert().values(**row))
    obligations.put(desk.tx, [owed_for(desk, row, case)])
    told = {
        "objection": objection_id, "notice": notice_id, "case": case_id, "unit": case_row["unit"], "due_on": due.due_on,
    }  # fmt: skip
    enqueue_events(desk, EventType.OBJECTION_LODGED, case_row["unit"], [Happened(objection_id, 1, at, told)])
    return row


def owed_for(desk: Desk, row: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """The row of the decision that an objection to a case obliges to, as the objection stands.

    Neither the enterprise nor its experts see it: who is objected to is not told before the decision.
    """
    programme = desk.lifecycle(case.programme, case.programme_version).programme
    owed = rules.decision(programme, desk.calendar, row["id"], row["unit"], row["lodged_at"])
    owed = replace(owed, due_on=row["due_on"], provisional=row["provisional"])  # as it was told to the objector
    if row["decided_at"] is None:
        return obligations.opened(programme, desk.calendar, owed, Whose(row["unit"]), row["lodged_at"])
    return obligations.closed(programme, owed, Whose(row["unit"]), Outcome.MET, row["decided_at"])


def by_receipt(tx: Connection, receipt: str) -> dict[str, Any]:
    """The objection that a receipt follows. Raises NotFound."""
    row = tx.execute(select(_OBJECTIONS).where(_OBJECTIONS.c.receipt_hash == hashed(receipt))).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def read(tx: Connection, caller: Caller, objection_id: str) -> dict[str, Any]:
    """One objection in scope; who objected only for those who decide. Raises NotFound."""
    statement = select(_OBJECTIONS).where(_OBJECTIONS.c.id == objection_id, access.objections_seen(caller))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return _shown(tx, caller, [dict(row)])[0]


def search(
    tx: Connection, caller: Caller, *, state: str | None, unit: str | None, limit: int, after: str | None
) -> list[dict[str, Any]]:
    """Up to `limit` objections in scope beyond the id `after`, in the order of receipt."""
    statement = select(_OBJECTIONS).where(access.objections_seen(caller)).order_by(_OBJECTIONS.c.id).limit(limit)
    if state is not None:
        statement = statement.where(_OBJECTIONS.c.state == state)
    if unit is not None:
        statement = statement.where(_OBJECTIONS.c.unit == unit)
    if after is not None:
        statement = statement.where(_OBJECTIONS.c.id > after)
    return _shown(tx, caller, [dict(row) for row in tx.execute(statement).mappings()])


def _shown(tx: Connection, caller: Caller, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    decides = caller.role in (Role.UNIT, Role.PROVINCE)
    contacts = private.read(tx, {row["contact"] for row in rows if row["contact"]}) if decides else {}
    return [{**row, "contact": contacts.get(row["contact"])} for row in rows]


def decide(desk: Desk, act: Act, objection_id: str, version: int, *, upheld: bool, finding: str) -> dict[str, Any]:
    """Decide an objection; upheld, the case is rejected in the same transaction.

    Other open objections to the case are upheld with it, their reasons being findings 2, 3, … A case that stands in no
    notice any more (disqualified, withdrawn, on its way anew) stays as it is. Raises NotFound, VersionStale, ObjectionDecided,
    EventRefused (a person who took part).
    """
    seen = read(desk.tx, act.caller, objection_id)
    locked = WITH_SITE.where(_CASES.c.id == seen["case_id"]).with_for_update(of=_CASES)
    stands = standing(desk.tx.execute(locked).mappings().one())
    rows = desk.tx.execute(
        select(_OBJECTIONS).where(_OBJECTIONS.c.case_id == seen["case_id"]).order_by(_OBJECTIONS.c.id).with_for_update()
    ).mappings()
    objections = {row["id"]: dict(row) for row in rows}
    objection = objections[objection_id]
    if objection["version"] != version:
        raise VersionStale(version=objection["version"])
    if objection["state"] != "open":
        raise ObjectionDecided
    _require_no_part(desk, act, stands, end_of_day(objection["due_on"]))
    others = (
        [row for row in objections.values() if row["state"] == "open" and row["id"] != objection_id] if upheld else []
    )
    if upheld:
        ids = [objection_id, *(row["id"] for row in others)]
        _uphold(desk, act, stands, ids, [finding, *(row["reasons"] for row in others)])
    decided = _record(desk, act, objection, upheld=upheld, finding=finding)
    taken_along = [_record(desk, act, row, upheld=True, finding=row["reasons"], with_=objection_id) for row in others]
    owes = [owed_for(desk, row, stands.case) for row in (decided, *taken_along)]
    breaches.settle(desk, owes, act.at)
    obligations.put(desk.tx, sorted(owes, key=lambda row: row["id"]))
    return {**decided, "contact": None}  # the answer is kept under its key: who objected is read from the objection


def _require_no_part(desk: Desk, act: Act, stands: Standing, until: datetime) -> None:
    statement = select(_AUDIT.c.actor_name).where(
        _AUDIT.c.subject_type == "case", _AUDIT.c.subject_id == stands.case.id
    )
    took_part = {folded(name) for name in (*stands.case.people, *desk.tx.execute(statement).scalars())}
    programme = desk.lifecycle(stands.case.programme, stands.case.programme_version).programme
    if folded(act.caller.name) in took_part:
        raise EventRefused(
            None,
            (
                Reason(
                    "took_part",
                    Text(
                        f"{act.caller.name} 参与过该企业的办理，须回避；请由未参与的人员处理异议",
                        f"{act.caller.name} took part in this case: somebody who did not must decide",
                    ),
                    programme.cites.persons,
                    None,
                    act.caller.role,
                    until,
                ),
            ),
        )


def _uphold(desk: Desk, act: Act, stands: Standing, objection_ids: list[str], findings: list[str]) -> None:
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    if stands.case.notice is None:
        return  # it has ended, or begun anew and has to pass everything again
    event = lifecycle.programme.event_of_kind("uphold_objection")
    if event is None:
        raise NotFound
    data = {"findings": findings, "objections": objection_ids}
    command = Command(act, stands.case.id, event.name, data, frozenset({stands.version}), findings[0], by_service=True)
    (outcome,) = moves.apply_events(desk, [command])
    if isinstance(outcome, ServiceError):
        raise outcome
    assert isinstance(outcome, Applied)


def _record(
    desk: Desk, act: Act, row: Mapping[str, Any], *, upheld: bool, finding: str, with_: str | None = None
) -> dict[str, Any]:
    state = "upheld" if upheld else "dismissed"
    late = act.at >= end_of_day(row["due_on"])
    data: dict[str, Any] = {"upheld": upheld, "finding": finding, "late": late}
    if with_ is not None:
        data["decided_with"] = with_
    entry = audit.Entry(
        act, "objection", row["id"], row["version"] + 1, "decide", row["head"], row["unit"], finding, data,
        {"state": state},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    change = {
        "state": state, "decided_at": act.at, "finding": finding, "version": row["version"] + 1, "head": head,
    }  # fmt: skip
    desk.tx.execute(_OBJECTIONS.update().where(_OBJECTIONS.c.id == row["id"]).values(**change))
    return {**row, **change}
