"""Notices: the publication of results, what the public is shown of them, and who was recognised (三（六）)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, select

from service.access import Act
from service.casework import audit
from service.casework.desk import Desk
from service.casework.standing import WITH_SITE, Standing, standing
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.errors import NotFound
from service.storage.tables import CaseRow, Notice, NoticeEntryRow, table
from workflows.lifecycle import Decision
from workflows.working_days import end_of_day

_NOTICES, _ENTRIES, _CASES = table(Notice), table(NoticeEntryRow), table(CaseRow)


@dataclass(slots=True)
class Publications:
    """What the events of one batch do to notices, written after what they do to their cases."""

    _opened: dict[str, dict[str, Any]] = field(default_factory=dict)
    _entered: list[dict[str, Any]] = field(default_factory=list)
    _left: list[tuple[Act, str, str, str | None]] = field(default_factory=list)

    def note(self, act: Act, decision: Decision, after: Standing) -> None:
        """Take up the notice that an event opens, enters or leaves, if any."""
        was, is_ = decision.before.notice, decision.after.notice
        case = after.case
        if is_ is not None and was is None and decision.event.kind == "publish":
            notice = {
                "act": act, "programme": case.programme, "unit": case.unit, "opened_on": is_.opened_on,
                "ends_on": is_.ends_on, "provisional": is_.provisional, "cases": [],
            }  # fmt: skip
            self._opened.setdefault(is_.id, notice)["cases"].append(case.id)
            self._entered.append({"notice": is_.id, "case_id": case.id, "shown": to_json(_shown(after)).decode()})
        elif is_ is not None and was is None:
            self._left.append((act, is_.id, case.id, None))
        elif was is not None and is_ is None:
            self._left.append((act, was.id, case.id, decision.event.kind))

    def write(self, desk: Desk) -> None:
        """Write everything that was taken up."""
        for notice_id, opened in self._opened.items():
            _open(desk, notice_id, opened)
        if self._entered:
            desk.tx.execute(_ENTRIES.insert(), self._entered)
        for act, notice_id, case_id, left_as in sorted(self._left, key=lambda left: left[1]):
            _leave(desk.tx, act, notice_id, case_id, left_as)


def _shown(stands: Standing) -> dict[str, Any]:
    """What the public is shown of a published case: nothing of persons."""
    case, row = stands.case, stands.row
    return {
        "enterprise": row["site_name"],
        "credit_code": row["site_credit_code"],
        "permit_no": row["site_permit_no"],
        "county": row["site_county"],
        "industry": case.industry,
        "current_grade": case.current_grade,
        "grade": case.grade_reached,
    }


def _open(desk: Desk, notice_id: str, opened: dict[str, Any]) -> None:
    act: Act = opened["act"]
    entry = audit.Entry(
        act, "notice", notice_id, 1, "open", None, opened["unit"],
        data={"programme": opened["programme"], "cases": opened["cases"]},
        changes={"opened_on": str(opened["opened_on"]), "ends_on": str(opened["ends_on"])},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    desk.tx.execute(
        _NOTICES.insert().values(
            id=notice_id, programme=opened["programme"], unit=opened["unit"], opened_at=act.at,
            opened_on=opened["opened_on"], ends_on=opened["ends_on"], provisional=opened["provisional"],
            version=1, head=head,
        )
    )  # fmt: skip
    data = {
        "notice": notice_id, "unit": opened["unit"], "cases": opened["cases"], "opened_on": opened["opened_on"],
        "ends_on": opened["ends_on"],
    }  # fmt: skip
    enqueue_events(desk, EventType.NOTICE_OPENED, opened["unit"], [Happened(notice_id, 1, act.at, data)])


def _leave(tx: Connection, act: Act, notice_id: str, case_id: str, left_as: str | None) -> None:
    """Take a case's entry out of its notice by an event, or (None) put it back where that event was corrected."""
    notice = tx.execute(select(_NOTICES).where(_NOTICES.c.id == notice_id).with_for_update()).mappings().one()
    version = notice["version"] + 1
    entry = audit.Entry(
        act, "notice", notice_id, version, "remove" if left_as else "restore", notice["head"], notice["unit"],
        data={"case": case_id}, changes={"left_as": left_as},
    )  # fmt: skip
    (head,) = audit.append(tx, [entry])
    tx.execute(_NOTICES.update().where(_NOTICES.c.id == notice_id).values(version=version, head=head))
    of_case = (_ENTRIES.c.notice == notice_id) & (_ENTRIES.c.case_id == case_id)
    tx.execute(_ENTRIES.update().where(of_case).values(left_as=left_as))


def entry_of(tx: Connection, notice_id: str, case_id: str) -> Any:
    """The row of a case's entry in a notice, or None."""
    wanted = (_ENTRIES.c.notice == notice_id) & (_ENTRIES.c.case_id == case_id)
    return tx.execute(select(_ENTRIES).where(wanted)).mappings().one_or_none()


def read(tx: Connection, notice_id: str) -> dict[str, Any]:
    """One notice with its entries, as the public may see it. Raises NotFound."""
    row = tx.execute(select(_NOTICES).where(_NOTICES.c.id == notice_id)).mappings().one_or_none()
    if row is None:
        raise NotFound
    return _with_entries(tx, [dict(row)])[0]


def search(tx: Connection, unit: str | None, limit: int, after: str | None) -> list[dict[str, Any]]:
    """Up to `limit` notices, newest first, beyond the id `after`."""
    statement = select(_NOTICES).order_by(_NOTICES.c.id.desc()).limit(limit)
    if unit is not None:
        statement = statement.where(_NOTICES.c.unit == unit)
    if after is not None:
        statement = statement.where(_NOTICES.c.id < after)
    return _with_entries(tx, [dict(row) for row in tx.execute(statement).mappings()])


def _with_entries(tx: Connection, notices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    entries: dict[str, list[dict[str, Any]]] = {notice["id"]: [] for notice in notices}
    rows = tx.execute(
        select(_ENTRIES).where(_ENTRIES.c.notice.in_(entries)).order_by(_ENTRIES.c.notice, _ENTRIES.c.case_id)
    ).mappings()
    for row in rows:
        entries[row["notice"]].append({"case": row["case_id"], **from_json(row["shown"]), "left_as": row["left_as"]})
    return [{**notice, "entries": entries[notice["id"]]} for notice in notices]


def runs(notice: Any, now: datetime) -> bool:
    """Whether the notice still runs at `now`: until 24:00 of its last day."""
    return now < end_of_day(notice["ends_on"])


def recognised(
    tx: Connection, *, programme: str | None, unit: str | None, grade: str | None, limit: int, after: str | None
) -> list[Standing]:
    """Up to `limit` recognised cases beyond the id `after`, in the order of listing."""
    statement = WITH_SITE.where(_CASES.c.recognised_grade.is_not(None)).order_by(_CASES.c.id).limit(limit)
    for column, value in (
        (_CASES.c.programme, programme),
        (_CASES.c.unit, unit),
        (_CASES.c.recognised_grade, grade),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(_CASES.c.id > after)
    return [standing(row) for row in tx.execute(statement).mappings()]
