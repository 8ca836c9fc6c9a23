"""Telling an enterprise what became of its case: accepted, not passed (with what is missing and until when), recognised."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from notifications import outbox
from notifications.outbox import NewMessage
from service.casework import private
from service.casework.desk import Desk
from service.casework.standing import Standing
from service.storage.tables import Enterprise, table
from workflows.programme import Programme
from workflows.text import Text
from workflows.working_days import legal_day

_SITES = table(Enterprise)
# What an event means for the enterprise, by the kind of event; all others are the unit's to explain.
_OUTCOMES: Mapping[str, str] = {
    "accept": "passed", "fast_track": "passed", "reject": "not_passed", "uphold_objection": "not_passed",
    "recognise": "awarded",
}  # fmt: skip
_NEXT: Mapping[str, Text] = {
    "passed": Text("等待省级复核或公示", "await the province's check or the publication"),
    "not_passed": Text(
        "逐条整改并答复，由填报单位再次报送", "put right and answer each finding; your unit submits you again"
    ),
    "awarded": Text("保持绩效水平，接受监督", "keep the level that was recognised"),
}


def tell(desk: Desk, moved: Iterable[Standing]) -> None:
    """Write to the enterprises of those cases whose newest event decided something for them, where they have an address."""
    decided = [stands for stands in moved if _outcome(stands) is not None]
    if not decided:
        return
    people = _people(desk, {stands.case.enterprise for stands in decided})
    messages = [
        _message(desk, stands, people[stands.case.enterprise]) for stands in decided if stands.case.enterprise in people
    ]
    outbox.enqueue(desk.tx, messages, domain=desk.books.links.domain)


def _outcome(stands: Standing) -> str | None:
    last = stands.case.last_event
    return _OUTCOMES.get(last.kind) if last is not None else None


def _people(desk: Desk, sites: set[str]) -> dict[str, Mapping[str, Any]]:
    """The contact of each of these sites that has an address."""
    statement = select(_SITES.c.id, _SITES.c.contact).where(_SITES.c.id.in_(sites), _SITES.c.contact.is_not(None))
    contacts = {row.id: row.contact for row in desk.tx.execute(statement)}
    kept = private.read(desk.tx, set(contacts.values()))
    return {site: kept[contact] for site, contact in contacts.items() if kept.get(contact, {}).get("email")}


def _message(desk: Desk, stands: Standing, person: Mapping[str, Any]) -> NewMessage:
    case, last, outcome = stands.case, stands.case.last_event, _outcome(stands)
    assert last is not None
    assert outcome is not None
    programme = desk.lifecycle(case.programme, case.programme_version).programme
    return NewMessage(
        id=desk.chance.id(last.at), key=f"result:{case.id}.{stands.version}", template="result",
        recipient=person["email"], recipient_name=person["name"], created_at=last.at, unit=case.unit,
        context=_context(desk, programme, stands, outcome),
    )  # fmt: skip


def _context(desk: Desk, programme: Programme, stands: Standing, outcome: str) -> dict[str, Any]:
    case, last = stands.case, stands.case.last_event
    assert last is not None
    today = legal_day(last.at)
    name = stands.row["site_name"]
    chance = next((row for row in stands.owes if row["kind"] == "resubmission" and row["status"] == "open"), None)
    clause = next(each for each in programme.clauses if each.id == programme.event_by_name[last.event].clause)
    until = chance and {
        "due_on": chance["due_on"], "working_days": desk.calendar.between(today, chance["due_on"]),
        "provisional": chance["provisional"], "hard": chance["hard"],
    }  # fmt: skip
    findings = case.findings if outcome == "not_passed" else ()
    return {
        "told_on": today,
        "programme": _both(programme.title),
        "sender": _both(programme.province.name),
        "outcome": outcome,
        "enterprise": {"zh": name, "en": name},
        "industry": _both(programme.industry_by_id[case.industry].name),
        "unit": _both(programme.unit_by_code[case.unit].name),
        "grade": _both(programme.grade_by_id[case.grade_reached or case.target_grade].name),
        "decided_on": today,
        "findings": [{"number": each.number, "text": each.text} for each in findings],
        "clause": {"id": clause.id, "where": clause.where, "text": _both(clause.says)},
        "next": _both(_NEXT[outcome]),
        "until": until if chance and chance["due_on"] >= today else None,
        "link": desk.books.links.to("cases", case.id),
        "calendar": None,
    }


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}
