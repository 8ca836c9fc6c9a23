"""Cases: read as they are or were, searched, and their facts amended by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service import access
from service.access import Act, Caller
from service.casework import audit, ledger, moves, private
from service.casework.desk import Desk
from service.casework.standing import WITH_SITE, Standing, standing
from service.errors import Conflict, Malformed, NotFound, VersionStale
from service.storage.tables import CaseRow, Enterprise, table
from workflows.case import Case, dump
from workflows.events import known_grade, target_faults
from workflows.lifecycle import Lifecycle, replay
from workflows.text import Text
from workflows.working_days import legal_day

_CASES, _SITES = table(CaseRow), table(Enterprise)
_SITE_SHOWN = {
    "name": "name", "credit_code": "credit_code", "permit_no": "permit_no", "county": "county",
    "completed_on": "ultra_low_completed_on", "publicised_on": "ultra_low_publicised_on",
}  # fmt: skip


class TargetFixed(Conflict):
    """The target grade stands once the plan is filed."""

    code = "target_fixed"
    said = Text(
        "提升方案已报备，拟提升等级不能再改；尚未开工的，可先退回方案再改",
        "the plan is filed, so the target is fixed; until upgrading starts, return the plan first",
    )


def read(tx: Connection, caller: Caller, case_id: str) -> Standing:
    """One case. Raises NotFound outside the caller's scope."""
    row = tx.execute(WITH_SITE.where(_CASES.c.id == case_id, access.cases_seen(caller))).mappings().one_or_none()
    if row is None:
        raise NotFound
    return standing(row)


def read_as_of(tx: Connection, caller: Caller, case_id: str, at: datetime) -> Standing:
    """The case as its history had made it at the aware instant `at`. Raises NotFound, also before it was listed."""
    now = read(tx, caller, case_id)
    rows = [row for row in audit.history(tx, "case", case_id) if row["at"] <= at]
    if not rows:
        raise NotFound
    case = replay(audit.changes_of(rows))
    row = {**now.row, **_site_as_of(tx, case.enterprise, at)}
    row |= {"state": case.state, "version": rows[-1]["version"], "head": rows[-1]["hash"]}
    return Standing(row, case, dump(case))


def _site_as_of(tx: Connection, site_id: str, at: datetime) -> dict[str, Any]:
    """What the ledger said of a site at the instant `at`, as the columns that a case shows of it."""
    said: dict[str, Any] = {}
    for row in audit.history(tx, "enterprise", site_id):
        if row["at"] <= at:
            said |= from_json(row["changes"])
    return {f"site_{shown}": said.get(name) for shown, name in _SITE_SHOWN.items()}


@dataclass(frozen=True, slots=True)
class Search:
    """What cases are asked for; None asks for all."""

    programme: str | None = None
    unit: str | None = None
    state: str | None = None
    industry: str | None = None
    target_grade: str | None = None
    current_grade: str | None = None
    enterprise: str | None = None
    overdue: bool | None = None
    q: str | None = None


def search(
    tx: Connection, caller: Caller, wanted: Search, now: datetime, limit: int, after: str | None
) -> list[Standing]:
    """Up to `limit` cases in scope beyond the id `after`, in the order of listing.

    Overdue is a case that stands, at `now`, in a state that the plan wanted it to have left.
    """
    statement = WITH_SITE.where(access.cases_seen(caller)).order_by(_CASES.c.id).limit(limit)
    for name in ("programme", "unit", "state", "industry", "target_grade", "current_grade", "enterprise"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(_CASES.c[name] == value)
    if wanted.overdue is True:
        statement = statement.where(_CASES.c.owed_at <= now)
    elif wanted.overdue is False:
        statement = statement.where(_CASES.c.owed_at.is_(None) | (_CASES.c.owed_at > now))
    if wanted.q is not None:
        statement = statement.where(ledger.named_like(wanted.q))
    if after is not None:
        statement = statement.where(_CASES.c.id > after)
    return [standing(row) for row in tx.execute(statement).mappings()]


def _target_is_fixed(lifecycle: Lifecycle, case: Case) -> bool:
    """Whether a plan stands on the target and cannot be filed anew, or a grade was reached against it."""
    filing = lifecycle.programme.event_of_kind("file_plan")
    refiled = filing is not None and filing.move_from(case.state) is not None
    return case.grade_reached is not None or (case.plan is not None and not refiled)


_PATCHED = ("finish_by", "officer", "experts", "remark", "target_grade")


def amend(
    desk: Desk, act: Act, case_id: str, version: int, change: Mapping[str, Any], reason: str | None = None
) -> Standing:
    """Amend facts of a case (PATCH): its own, and through it those of its site; its state stays.

    Raises NotFound, VersionStale, Malformed, TargetFixed, EnterpriseExists.
    """
    statement = WITH_SITE.where(_CASES.c.id == case_id, access.cases_seen(act.caller)).with_for_update(of=_CASES)
    row = desk.tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    stands = standing(row)
    if stands.version != version:
        raise VersionStale(version=stands.version)
    act = act.not_before(audit.at_of(desk.tx, "case", case_id, version) or act.at)
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    own = {name: value for name, value in change.items() if name in _PATCHED}
    if "target_grade" in own:
        target = own["target_grade"]
        faults = [
            *known_grade(lifecycle.programme, target, "target_grade"),
            *target_faults(lifecycle.programme, stands.case.current_grade, target),
        ]
        if faults:
            raise Malformed(*faults)
        if target != stands.case.target_grade and _target_is_fixed(lifecycle, stands.case):
            raise TargetFixed
    case = replace(stands.case, **own)
    told = _plain(own)
    site_row = _amend_site(desk, act, stands, change, reason)
    if site_row is not None:
        told |= {"enterprise": {"id": site_row["id"], "version": site_row["version"]}}
    if case == stands.case and site_row is None:
        return stands
    entry, after = moves.next_entry(desk, act, stands, case, "amend", told, reason)
    moves.write_rows(desk.tx, [after], [entry], after.owes)
    return read(desk.tx, act.caller, case_id)


def _amend_site(
    desk: Desk, act: Act, stands: Standing, change: Mapping[str, Any], reason: str | None
) -> dict[str, Any] | None:
    """Amend the ledger's facts of the case's site; its row if anything changed."""
    wanted = dict(change.get("enterprise") or {})
    if change.get("ultra_low") is not None:
        wanted["ultra_low"] = change["ultra_low"]
    if not wanted:
        return None
    found = desk.tx.execute(select(_SITES).where(_SITES.c.id == stands.case.enterprise).with_for_update(key_share=True))
    site = dict(found.mappings().one())
    contact = private.read(desk.tx, {site["contact"]}).get(site["contact"]) if site["contact"] else None
    facts = ledger.changed(ledger.facts_of(site, contact), wanted)
    programmes = [lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx)]
    if faults := ledger.site_faults(facts, programmes, legal_day(act.at)):
        raise Malformed(*faults)
    row = ledger.amend(desk, act, site, facts, reason)
    return row if row["version"] != site["version"] else None


def _plain(change: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if value is None or isinstance(value, str) else _said(value) for name, value in change.items()}


def _said(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else str(value)
