"""How things are shown to REST clients: plain values, instants with +08:00."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from service.casework import audit
from service.casework.notices import runs
from service.casework.standing import Standing
from workflows.guards.measures import takes_emergency_cuts
from workflows.programme import Programme
from workflows.working_days import SHANGHAI, end_of_day


def instant(at: datetime | None) -> str | None:
    """An instant as RFC 3339 with +08:00."""
    return at.astimezone(SHANGHAI).isoformat() if at is not None else None


def enterprise(row: Mapping[str, Any]) -> dict[str, Any]:
    """A site of the ledger."""
    return {
        "id": row["id"],
        "unit": row["unit"],
        "name": row["name"],
        "credit_code": row["credit_code"],
        "permit_no": row["permit_no"],
        "county": row["county"],
        "industry": row["industry"],
        "grade": row["grade"],
        "contact": row["contact"],
        "ultra_low": {
            "due_on": row["ultra_low_due_on"],
            "completed_on": row["ultra_low_completed_on"],
            "publicised_on": row["ultra_low_publicised_on"],
        },
        "version": row["version"],
    }


def case(stands: Standing, programme: Programme) -> dict[str, Any]:
    """A case with all its facts."""
    facts, row, document = stands.case, stands.row, stands.document
    flags = list(facts.flags)
    if takes_emergency_cuts(programme, facts, stands.site):
        flags.append("emergency_cuts")
    if row.get("stalled"):  # the scheduler's turn came and was refused: the offers say why
        flags.append("stalled")
    return {
        "id": facts.id,
        "programme": facts.programme,
        "programme_version": facts.programme_version,
        "unit": facts.unit,
        "enterprise": {
            "id": facts.enterprise,
            "name": row["site_name"],
            "credit_code": row["site_credit_code"],
            "permit_no": row["site_permit_no"],
            "county": row["site_county"],
        },
        "industry": facts.industry,
        "industry_detail": facts.industry_detail,
        "current_grade": facts.current_grade,
        "target_grade": facts.target_grade,
        "applied_on": facts.applied_on,
        "finish_by": facts.finish_by,
        "officer": facts.officer,
        "experts": facts.experts,
        "ultra_low": {"completed_on": row["site_completed_on"], "publicised_on": row["site_publicised_on"]},
        "remark": facts.remark,
        "state": facts.state,
        "version": stands.version,
        "head": row["head"],
        "listed_at": instant(facts.listed_at),
        "entered_at": instant(facts.entered_at),
        "flags": flags,
        "route": facts.route,
        "grade_reached": facts.grade_reached,
        "resubmissions": facts.resubmissions,
        "pre_assessment": document["pre_assessment"],
        "plan": document["plan"],
        "started_on": facts.started_on,
        "measures": document["measures"],
        "reports": document["reports"],
        "failed_review": document.get("failed_review"),  # a case stored before this was kept has none
        "findings": document["findings"],
        "check": {"result": facts.check.result, "checked_on": facts.check.checked_on} if facts.check else None,
        "draw": document["draw"],
        "review_on": facts.review_on,
        "notice": {"id": facts.notice.id, "ends_on": facts.notice.ends_on} if facts.notice else None,
        "recognised_at": instant(facts.recognised_at),
        "disqualification": document["disqualification"],
    }


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """An audit entry."""
    return {
        "id": audit.entry_id(row),
        "at": instant(row["at"]),
        "actor": {"id": row["actor_id"], "name": row["actor_name"], "role": row["actor_role"]},
        "unit": row["unit"],
        "action": row["action"],
        "subject": {"type": row["subject_type"], "id": row["subject_id"]},
        "version": row["version"],
        "reason": row["reason"],
        "data": from_json(row["data"]),
        "changes": from_json(row["changes"]),
        "prev": row["prev"],
        "hash": row["hash"],
        "request_id": row["request_id"],
    }


def history(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a case, each with the version of the one that corrects it, if any."""
    told = [entry(row) for row in rows]
    corrected = {each["data"]["corrects"]: each["version"] for each in told if "corrects" in each["data"]}
    return [{**each, "corrected_by": corrected.get(each["version"])} for each in told]


def notice(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A notice, as the public may see it."""
    return {
        "id": row["id"],
        "programme": row["programme"],
        "unit": row["unit"],
        "opened_on": row["opened_on"],
        "ends_on": row["ends_on"],
        "ends_at": instant(end_of_day(row["ends_on"])),
        "provisional": row["provisional"],
        "running": runs(row, now),
        "entries": row["entries"],
        "version": row["version"],
    }


def objection(row: Mapping[str, Any]) -> dict[str, Any]:
    """An objection as those see it who are inside."""
    return {
        "id": row["id"],
        "notice": row["notice"],
        "case": row["case_id"],
        "unit": row["unit"],
        "reasons": row["reasons"],
        "contact": row["contact"],
        "state": row["state"],
        "lodged_at": instant(row["lodged_at"]),
        "due_on": row["due_on"],
        "provisional": row["provisional"],
        "decided_at": instant(row["decided_at"]),
        "finding": row["finding"],
        "version": row["version"],
    }
