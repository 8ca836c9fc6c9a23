"""Telling people what was decided of a case: the enterprise of what became of it, the unit's officer of what others decided.

A row says which decision each mail tells whom. What has not left when the next decision is made is taken back: nobody reads
after a lapse that he may submit again. What a mistake took back is told after all when that is corrected.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, select, union_all

from notifications import outbox, unsent
from notifications.outbox import MESSAGES, NewMessage
from service.casework import addressees, correspondence
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.letters import both, clause_said
from service.casework.obligations import RUNGS
from service.casework.standing import WITH_SITE, Standing, standing
from service.storage.attempts import AGAIN_AFTER, fault_of
from service.storage.tables import CaseRow, ResultRow, table
from workflows.case import Case
from workflows.programme import Programme, Role
from workflows.results import (
    OVERTAKES,
    STALLED,
    TERMS,
    TO_ENTERPRISE,
    TO_UNIT,
    WITH_REASON,
    Result,
    decides,
    told_as,
    what_next,
)
from workflows.text import Text
from workflows.working_days import legal_day

ROWS, _CASES = table(ResultRow), table(CaseRow)
# Whether anything decided on a case has been told: asked with the case, it spares whoever withdraws or comes again a look.
IS_TOLD_OF = select(ROWS.c.message).where(ROWS.c.case_id == _CASES.c.id).exists()
_SITE = "site:"  # so begins who is an enterprise
# Who decides of a unit's case without it.
_OTHERS = frozenset({Role.PROVINCE, Role.SYSTEM})


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a case: how it stands since, the event's reason, and the version of the event that it corrects.

    `stalled_at`: nothing happened at that instant, when it should have; the reason says why.
    """

    stands: Standing
    reason: str | None
    corrects: int | None = None
    stalled_at: datetime | None = None

    @property
    def kind(self) -> str:
        """The kind of the event."""
        last = self.stands.case.last_event
        return "" if last is None else last.kind

    @property
    def decides(self) -> bool:
        """Whether somebody is told of it."""
        return decides(self.kind)


@dataclass(frozen=True, slots=True)
class _Letter:
    """Whom an event is told to, and how it is put; of a correction, what was told of the mistake."""

    event: Event
    to: Addressee
    result: Result
    mistake: Mapping[str, Any] | None = None


def tell(desk: Desk, events: Iterable[Event]) -> None:
    """Write to those concerned by what was decided, in the order in which it was, where they have an address."""
    told: set[str] = set()
    concerning = []
    for event in events:
        case = event.stands.case.id
        is_told = event.stands.row["is_told_of"] or case in told
        if event.decides or (event.kind in OVERTAKES and is_told):
            concerning.append(event)
            told.add(case)
    for each in _rounds(concerning):
        _tell(desk, each)


def _rounds(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The first event of each case, then the second of each that has one, and so on."""
    rounds: dict[int, list[Event]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for event in events:
        rounds[seen[event.stands.case.id]].append(event)
        seen[event.stands.case.id] += 1
    yield from rounds.values()


def _tell(desk: Desk, events: Sequence[Event]) -> None:
    known = _known(desk.tx, [event.stands.case.id for event in events])
    mistaken: list[tuple[Event, dict[str, Any]]] = []
    left: list[dict[str, Any]] = []
    overtaken: list[tuple[str, int]] = []
    after_all: list[str] = []
    for event in events:
        told = known[event.stands.case.id]
        # Who has heard of a mistake hears that it was one, whether or not he has to act on it.
        stands = (row for row in told if row["taken_back_by"] is None)
        stale = [row for row in stands if event.decides or row["kind"] != "correct"]
        if event.corrects is not None:
            stale = [row for row in told if row["version"] >= event.corrects]
            mistaken += ((event, row) for row in stale)
            after_all += (row["message"] for row in told if row["taken_back_by"] == event.corrects)
        if event.kind == "withdraw" and any(row["kind"] != "withdraw" for row in stale):
            left += (row for row in told if row["recipient"].startswith(_SITE))
        overtaken += ((row["message"], event.stands.version) for row in stale)
    taken_back = _take_back(desk.tx, overtaken)
    events = _with_reasons(desk.tx, events, known)
    _tell_after_all(desk.tx, after_all, max(event.stands.row["head_at"] for event in events))
    heard = {
        (row["case_id"], row["recipient"]): (event, row)
        for event, row in reversed(mistaken)  # of a refusal and the lapse upon it, the refusal is the mistake
        if _has_heard(row, taken_back)
    }
    corrections = (_correction(desk, event, row) for event, row in heard.values())
    letters = [letter for letter in corrections if letter is not None]
    heard_before = {row["case_id"] for row in left if _has_heard(row, taken_back)}
    told_anew = (event for event in events if event.decides or event.stands.case.id in heard_before)
    letters += _letters(desk, [event for event in told_anew if event.corrects is None])
    _send(desk, letters)


def tell_stalled(desk: Desk, stands: Standing, why: Text, now: datetime) -> None:
    """Write to whoever looks after a case that its notice has run and that it cannot be recognised yet, and why."""
    people = _Readers(desk, [stands.case]).of(stands.case)
    _send(desk, [_Letter(Event(stands, why.get(to.language), stalled_at=now), to, STALLED) for to in people])


def _send(desk: Desk, letters: Sequence[_Letter]) -> None:
    messages = [_message(desk, letter) for letter in letters]
    outbox.enqueue(desk.tx, messages, domain=desk.books.links.domain)
    rows = [
        {
            "message": message.id,
            "case_id": each.event.stands.case.id,
            "version": each.event.stands.version,
            "kind": each.event.kind,
            "recipient": each.to.id,
        }
        for message, each in zip(messages, letters, strict=True)
    ]
    if rows:
        desk.tx.execute(ROWS.insert(), rows)


def _with_reasons(
    tx: Connection, events: Sequence[Event], known: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Event]:
    """The events, a lapse upon a refusal with the reason of that: it may be the first that anybody hears of it."""
    refused = {
        row["message"]: row["case_id"]
        for event in events
        for row in known[event.stands.case.id]
        if event.kind == "lapse" and row["kind"] == "reject" and row["version"] == event.stands.version - 1
    }
    if not refused:
        return list(events)
    told = tx.execute(select(MESSAGES.c.id, MESSAGES.c.context).where(MESSAGES.c.id.in_(refused)))
    reasons = {refused[row.id]: from_json(row.context)["reason"] for row in told}
    return [replace(event, reason=reasons.get(event.stands.case.id, event.reason)) for event in events]


def _known(tx: Connection, cases: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Who was told, or was to be told, which decision on each of these cases, by which message."""
    joined = select(ROWS, MESSAGES.c.status, MESSAGES.c.unsure).join(MESSAGES, MESSAGES.c.id == ROWS.c.message)
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in cases}
    for row in tx.execute(joined.where(ROWS.c.case_id.in_(cases)).order_by(ROWS.c.message)).mappings():
        found[row["case_id"]].append(dict(row))
    return found


_MARK = ROWS.update().where(ROWS.c.message == bindparam("told_by")).values(taken_back_by=bindparam("at_version"))


def _take_back(tx: Connection, overtaken: Sequence[tuple[str, int]]) -> frozenset[str]:
    """Tell these messages no more, each because of what its case's version says; those that now never leave."""
    if not overtaken:
        return frozenset()
    tx.execute(_MARK, [{"told_by": message, "at_version": version} for message, version in overtaken])
    return unsent.cancel(tx, [message for message, _ in overtaken])


def _has_heard(row: Mapping[str, Any], taken_back: frozenset[str]) -> bool:
    """Whether a message has been heard, or may have been: it could not be taken back, also as somebody is sending it."""
    never_left = row["message"] in taken_back or row["status"] == "cancelled"
    return bool(row["unsure"] or not never_left)


def _tell_after_all(tx: Connection, messages: Sequence[str], now: datetime) -> None:
    if messages:
        tx.execute(ROWS.update().where(ROWS.c.message.in_(messages)).values(taken_back_by=None))
        unsent.let_go(tx, messages, now)


def _correction(desk: Desk, event: Event, row: Mapping[str, Any]) -> _Letter | None:
    """Whoever has heard of a mistake is told that it was one, and of which; at the address of now, or by nobody."""
    told = desk.tx.execute(select(MESSAGES.c.context).where(MESSAGES.c.id == row["message"])).scalar_one()
    readers = _Readers(desk, [event.stands.case])
    instead = () if row["recipient"].startswith(_SITE) else readers.of(event.stands.case)
    to = readers.known(row["recipient"]) or next(iter(instead), None)
    if to is None:
        return None
    result = (TO_ENTERPRISE if row["recipient"].startswith(_SITE) else TO_UNIT)["correct"]
    return _Letter(event, to, result, from_json(told))


def _letters(desk: Desk, events: Sequence[Event]) -> Iterator[_Letter]:
    """Whom each decision concerns, and how it is put to them."""
    sites = addressees.sites(desk.tx, {event.stands.case.enterprise for event in events})
    officers = _Readers(desk, [event.stands.case for event in events])
    for event in events:
        case = event.stands.case
        name = told_as(event.kind, case)
        if name in TO_ENTERPRISE:
            yield from (_Letter(event, to, TO_ENTERPRISE[name]) for to in sites.get(case.enterprise, ()))
        if name in TO_UNIT and case.last_event is not None and case.last_event.role in _OTHERS:
            yield from (_Letter(event, to, TO_UNIT[name]) for to in officers.of(case))


def stop_overtaken(tx: Connection, now: datetime) -> None:
    """Cancel what would leave now and was taken back while it was being sent, by a sender that was lost."""
    told = select(MESSAGES.c.id).join(ROWS, ROWS.c.message == MESSAGES.c.id)
    if ids := list(tx.execute(told.where(outbox.is_due(now), ROWS.c.taken_back_by.is_not(None))).scalars()):
        unsent.cancel(tx, ids)


def readdress(desk: Desk, now: datetime) -> None:
    """Let what would leave now go where its reader is now: to the address that the ledger has for an enterprise, or to
    none; for an officer who has been removed to whoever looks after the case instead.
    """
    _follow_sites(desk.tx, now)
    told = select(ROWS.c.message, ROWS.c.case_id).join(MESSAGES, MESSAGES.c.id == ROWS.c.message)
    orphaned = told.where(outbox.is_due(now), correspondence.is_removed(ROWS.c.recipient)).order_by(ROWS.c.message)
    for row in desk.tx.execute(orphaned).all():
        if fault := fault_of(desk.tx, _pass_on, desk, row.message, row.case_id):
            unsent.put_aside(desk.tx, [row.message], repr(fault), now + AGAIN_AFTER)


def _pass_on(desk: Desk, message: str, case_id: str) -> None:
    stands = standing(desk.tx.execute(WITH_SITE.where(_CASES.c.id == case_id)).mappings().one())
    version = select(ROWS.c.version).where(ROWS.c.message == message).scalar_subquery()
    of_it = select(ROWS.c.recipient).where(ROWS.c.case_id == case_id, ROWS.c.version == version)
    people = _Readers(desk, [stands.case]).of(stands.case)
    if set(desk.tx.execute(of_it).scalars()) & {to.id for to in people}:
        unsent.cancel(desk.tx, [message])  # whoever looks after the case has it already
        return
    for to in people[:1]:
        unsent.redirect(desk.tx, [message], to.email, to.name)
        desk.tx.execute(ROWS.update().where(ROWS.c.message == message).values(recipient=to.id))


def _follow_sites(tx: Connection, now: datetime) -> None:
    told = union_all(*(select(rows.c.message, rows.c.recipient) for rows in (RUNGS, ROWS))).subquery()
    due = select(MESSAGES.c.id, MESSAGES.c.recipient, told.c.recipient.label("person")).distinct()
    due = due.join(told, told.c.message == MESSAGES.c.id).where(outbox.is_due(now), told.c.recipient.startswith(_SITE))
    rows = tx.execute(due.order_by(MESSAGES.c.id)).all()
    sites = addressees.sites(tx, {row.person.removeprefix(_SITE) for row in rows})
    for row in rows:
        there = next(iter(sites.get(row.person.removeprefix(_SITE), ())), None)
        if there is None:
            unsent.cancel(tx, [row.id])
        elif there.email != row.recipient:
            unsent.redirect(tx, [row.id], there.email, there.name)


class _Readers:
    """Who reads what is decided of cases: whoever looks after them, and the enterprises; looked up once for all of them."""

    def __init__(self, desk: Desk, cases: Iterable[Case]) -> None:
        self._desk = desk
        self._directory = Directory(desk, [_whose(case) for case in cases])

    def of(self, case: Case) -> list[Addressee]:
        """Everybody who looks after a case in its unit, or for it the province."""
        programme = self._desk.lifecycle(case.programme, case.programme_version).programme
        return self._directory.people(programme, _whose(case), ("officer",))

    def known(self, person: str) -> Addressee | None:
        """Somebody by the `id` of an addressee, of these units or the enterprise itself; None who has no address now."""
        return self._directory.known(person)


def _whose(case: Case) -> dict[str, Any]:
    return {
        "programme": case.programme, "programme_version": case.programme_version, "unit": case.unit, "area": case.unit,
        "enterprise": case.enterprise, "officer": case.officer, "handler": None,
    }  # fmt: skip


def _message(desk: Desk, letter: _Letter) -> NewMessage:
    event, to = letter.event, letter.to
    case, last = event.stands.case, event.stands.case.last_event
    assert last is not None
    programme = desk.lifecycle(case.programme, case.programme_version).programme
    at = event.stalled_at or last.at
    return NewMessage(
        id=desk.chance.id(at), key=f"result:{case.id}.{event.stands.version}:{to.id}", template="result",
        recipient=to.email, recipient_name=to.name, created_at=at, language=to.language, unit=case.unit,
        context=_context(desk, programme, letter),
    )  # fmt: skip


def _context(desk: Desk, programme: Programme, letter: _Letter) -> dict[str, Any]:
    event, result, mistake = letter.event, letter.result, letter.mistake
    stands = event.stands
    case, last = stands.case, stands.case.last_event
    assert last is not None
    today = legal_day(event.stalled_at or last.at)
    name = stands.row["site_name"]
    terms = (row for row in stands.owes if row["kind"] in TERMS and row["status"] == "open" and row["due_on"] >= today)
    term = next(terms, None)
    until = term and {
        "due_on": term["due_on"], "working_days": desk.calendar.between(today, term["due_on"]),
        "provisional": term["provisional"], "hard": term["hard"],
    }  # fmt: skip
    said = _findings(case, last.kind) if result.with_findings else []
    grade = case.target_grade if result.is_applied_for else case.grade_reached or case.target_grade
    return {
        "told_on": today,
        "programme": both(programme.title),
        "sender": both(programme.province.name if last.role in _OTHERS else programme.unit_by_code[case.unit].name),
        "tag": both(result.tag),
        "headline": both(result.headline),
        "enterprise": {"zh": name, "en": name},
        "industry": both(programme.industry_by_id[case.industry].name),
        "unit": both(programme.unit_by_code[case.unit].name),
        "grade_label": both(_APPLIED_FOR if result.is_applied_for else _REACHED),
        "grade": both(programme.grade_by_id[grade].name),
        "decided_on": today,
        "findings": [{"number": number, "text": text} for number, text in said],
        "reason": event.reason if event.stalled_at else _reason(case, last.kind, event.reason),
        "measures": _ordered(case, last.kind),
        "mistake": mistake
        and {
            "tag": mistake["tag"],
            "decided_on": mistake["decided_on"],
            "state": both(programme.state_by_id[case.state].name),
        },
        "clause": mistake["clause"] if mistake else clause_said(programme, programme.event_by_name[last.event].clause),
        "next": both(what_next(result, has_term=until is not None)),
        "until": until,
        "link": desk.books.links.to("cases", case.id),
        "calendar": None,
    }


_APPLIED_FOR, _REACHED = Text("申报等级", "Grade applied for"), Text("绩效等级", "Grade")


def _findings(case: Case, kind: str) -> list[tuple[int, str]]:
    """What was found wanting, with the numbers by which it is answered."""
    if kind == "fail_acceptance" and case.failed_review is not None:
        return list(enumerate(case.failed_review.findings, 1))
    return [(each.number, each.text) for each in case.findings]


def _ordered(case: Case, kind: str) -> list[dict[str, Any]]:
    """The measures that were ordered, and by when they have to be done."""
    ordered = (
        each for each in case.measures if kind == "order_rectification" and each.ordered and each.done_on is None
    )
    return [{"number": each.number, "text": each.title, "due_on": each.due_on} for each in ordered]


def _reason(case: Case, kind: str, reason: str | None) -> str | None:
    """What the decision rests on: its reason, or the violation and the number of the paper by which eligibility was lost."""
    lost = case.disqualification
    if kind == "disqualify" and lost is not None:
        return f"{lost.violation}（{lost.document}）"
    return reason if kind in WITH_REASON else None
