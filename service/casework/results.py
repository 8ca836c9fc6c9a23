"""Telling people what was decided of a case: the enterprise of what became of it, the unit's officer of what others decided.

What has not left when the next decision is made is taken back: nobody reads after a lapse that he may submit again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from notifications import outbox
from notifications.outbox import MESSAGES, NewMessage
from service.casework import private
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.standing import Standing
from service.storage.tables import Enterprise, table
from workflows.case import Case
from workflows.programme import Programme, Role
from workflows.text import Text
from workflows.working_days import legal_day

_SITES = table(Enterprise)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a decision is put: the beginning of the subject, what was decided, what to do next; `closed` where nothing is."""

    tag: Text
    headline: Text
    next: Text
    with_findings: bool = False
    is_applied_for: bool = True  # the grade that is named is not reached


_AWAIT = Text("等待省级复核或公示", "await the province's check or the publication")
_CLOSED = Text("本年度不再受理，可在下一年度行动中申请", "nothing more this year: apply in the next year's programme")
_AGAIN = Text("逐条整改并答复，由填报单位再次报送", "put right and answer each finding; your unit submits you again")
_ASK_UNIT = Text("向填报单位了解情况", "ask your unit about it")

# By the kind of event; all others are the unit's to explain.
_TO_ENTERPRISE: Mapping[str, _Outcome] = {
    "accept": _Outcome(
        Text("【通过验收】", "[Accepted] "), Text("贵单位已通过验收。", "Your site has passed its acceptance."), _AWAIT,
        is_applied_for=False,
    ),
    "fast_track": _Outcome(
        Text("【快速通道】", "[Fast track] "),
        Text("贵单位经快速通道列入验收名单，须经省级复核。", "Your site was put forward by the fast track; the province checks it."),
        Text("等待省级复核", "await the province's check"),
    ),
    "reject": _Outcome(
        Text("【未通过】", "[Not passed] "),
        Text("贵单位未通过省级复核，问题如下。", "Your site has not passed the province's check; the findings are below."),
        _AGAIN, with_findings=True,
    ),
    "order_rectification": _Outcome(
        Text("【责令整改】", "[To be put right] "),
        Text(
            "省级复核要求贵单位整改，问题如下；完成后须重新验收并复审。",
            "The province's check found what has to be put right, below; then you are accepted and checked anew.",
        ),
        Text("完成责令整改的措施", "finish what was ordered"), with_findings=True,
    ),
    "uphold_objection": _Outcome(
        Text("【未通过】", "[Not passed] "),
        Text(
            "对贵单位的公示异议经核查属实，贵单位未通过，问题如下。",
            "An objection of the public was found to be right, and your site has not passed; the findings are below.",
        ),
        _AGAIN, with_findings=True,
    ),
    "recognise": _Outcome(
        Text("【等级认定】", "[Recognised] "),
        Text("贵单位的绩效等级已获认定。", "The grade of your site is recognised."),
        Text("保持绩效水平，接受监督", "keep the level that was recognised"), is_applied_for=False,
    ),
    "lapse": _Outcome(
        Text("【未获认定】", "[Lapsed] "),
        Text("贵单位本年度未获认定，本次培育已结束。", "Your site was not recognised this year; its case is closed."), _CLOSED,
    ),
    "disqualify": _Outcome(
        Text("【取消资格】", "[Disqualified] "),
        Text("贵单位已被取消资格。", "Your site has lost its eligibility."), _ASK_UNIT,
    ),
    "correct": _Outcome(
        Text("【更正】", "[Corrected] "),
        Text("此前发给贵单位的决定系误录，已更正，以本通知为准。", "The decision that you were told of was entered by mistake and is corrected."),
        _ASK_UNIT,
    ),
}  # fmt: skip
# What the province decides of a unit's case.
_TO_UNIT: Mapping[str, _Outcome] = {
    "return_plan": _Outcome(
        Text("【退回补正】", "[Sent back] "),
        Text("下列企业的提升方案已被退回。", "The plan of this enterprise was sent back."),
        Text("补正后重新报送方案", "correct the plan and file it again"),
    ),
    "reject": _Outcome(
        Text("【未通过】", "[Not passed] "),
        Text("下列企业未通过省级复核，问题如下。", "This enterprise has not passed the province's check; the findings are below."),
        _AGAIN, with_findings=True,
    ),
    "uphold_objection": _Outcome(
        Text("【未通过】", "[Not passed] "),
        Text(
            "对下列企业的公示异议经核查属实，认定未通过，问题如下。",
            "An objection to this enterprise was found to be right: it has not passed; the findings are below.",
        ),
        _AGAIN, with_findings=True,
    ),
    "order_rectification": _Outcome(
        Text("【责令整改】", "[To be put right] "),
        Text("下列企业被责令整改，完成后须重新验收并复审。", "This enterprise has to put things right, to be accepted and checked anew."),
        Text("完成责令整改的措施并重新验收", "finish what was ordered and accept the case again"), with_findings=True,
    ),
    "disqualify": _Outcome(
        Text("【取消资格】", "[Disqualified] "),
        Text("下列企业已被取消资格。", "This enterprise has lost its eligibility."),
        Text("告知企业并核对本单位名单", "tell the enterprise and look at your lists"),
    ),
    "correct": _Outcome(
        Text("【更正】", "[Corrected] "),
        Text("此前对下列企业作出的省级决定系误录，已更正。", "The province's decision on this enterprise was entered by mistake and is corrected."),
        Text("核对该企业现状", "look how the case stands"),
    ),
}  # fmt: skip
# What a case owes after a decision, by whose day something is to be done.
_TERMS = ("resubmission", "re_review")
_SITE = "site"
# Whose reason is told; of the others it stands in the findings, or there is none.
_WITH_REASON = ("return_plan", "reject", "order_rectification")


def tell(desk: Desk, moved: Iterable[Standing], reasons: Mapping[str, str | None]) -> None:
    """Write to those concerned by each case's newest event, where it decided something and where they have an address.

    `reasons` are those of the events, by case.
    """
    decided = [stands for stands in moved if (kind := _kind(stands)) in _TO_ENTERPRISE or kind in _TO_UNIT]
    if not decided:
        return
    told = _taken_back(desk, decided)
    sites = _sites(desk, {stands.case.enterprise for stands in decided})
    messages = []
    for stands in decided:
        kind, case = _kind(stands), stands.case
        site = sites.get(case.enterprise)
        was_told = kind != "correct" or case.id in told
        if kind in _TO_ENTERPRISE and site is not None and was_told:
            messages.append(_message(desk, stands, _TO_ENTERPRISE[kind], site, reasons.get(case.id)))
        if kind in _TO_UNIT and case.last_event is not None and case.last_event.role == Role.PROVINCE:
            found = _officers(desk, case)
            messages += [_message(desk, stands, _TO_UNIT[kind], to, reasons.get(case.id)) for to in found]
    outbox.enqueue(desk.tx, messages, domain=desk.books.links.domain)


def _kind(stands: Standing) -> str:
    return stands.case.last_event.kind if stands.case.last_event is not None else ""


def _taken_back(desk: Desk, decided: Iterable[Standing]) -> set[str]:
    """Take back what has not left of earlier decisions on these cases; those that had read of the decision before this one."""
    by_case = {stands.case.id: stands for stands in decided}
    waiting = select(MESSAGES.c.id, MESSAGES.c.key).where(
        MESSAGES.c.status.in_(("pending", "failed")), MESSAGES.c.template == "result"
    )
    stale = [row.id for row in desk.tx.execute(waiting) if _case_of(row.key) in by_case]
    if stale:
        outbox.cancel(desk.tx, stale)
    before = [_key(stands.case, stands.version - 1, _SITE) for stands in by_case.values()]
    sent = select(MESSAGES.c.key).where(MESSAGES.c.key.in_(before), MESSAGES.c.status == "sent")
    return {_case_of(key) for key in desk.tx.execute(sent).scalars()}


def _key(case: Case, version: int, to: str) -> str:
    return f"result:{case.id}.{version}:{to}"


def _case_of(key: str) -> str:
    return key.removeprefix("result:").partition(".")[0]


def _sites(desk: Desk, sites: set[str]) -> dict[str, Addressee]:
    """The contact of each of these sites that has an address."""
    statement = select(_SITES.c.id, _SITES.c.unit, _SITES.c.contact)
    rows = desk.tx.execute(statement.where(_SITES.c.id.in_(sites), _SITES.c.contact.is_not(None))).all()
    kept = private.read(desk.tx, {row.contact for row in rows})
    return {
        row.id: Addressee(_SITE, row.unit, kept[row.contact]["name"], kept[row.contact]["email"])
        for row in rows
        if kept.get(row.contact, {}).get("email")
    }


def _officers(desk: Desk, case: Case) -> list[Addressee]:
    """Who looks after a case in its unit, or for it the province."""
    programme = desk.lifecycle(case.programme, case.programme_version).programme
    whose = {
        "programme": case.programme, "programme_version": case.programme_version, "unit": case.unit, "area": case.unit,
        "enterprise": None, "officer": case.officer, "handler": None,
    }  # fmt: skip
    return Directory(desk, [whose]).people(programme, whose, ("officer",))


def _message(desk: Desk, stands: Standing, outcome: _Outcome, to: Addressee, reason: str | None) -> NewMessage:
    case, last = stands.case, stands.case.last_event
    assert last is not None
    programme = desk.lifecycle(case.programme, case.programme_version).programme
    return NewMessage(
        id=desk.chance.id(last.at), key=_key(case, stands.version, to.id), template="result",
        recipient=to.email, recipient_name=to.name, created_at=last.at, language=to.language, unit=case.unit,
        context=_context(desk, programme, stands, outcome, reason),
    )  # fmt: skip


def _context(
    desk: Desk, programme: Programme, stands: Standing, outcome: _Outcome, reason: str | None
) -> dict[str, Any]:
    case, last = stands.case, stands.case.last_event
    assert last is not None
    today = legal_day(last.at)
    name = stands.row["site_name"]
    terms = (row for row in stands.owes if row["kind"] in _TERMS and row["status"] == "open" and row["due_on"] >= today)
    term = next(terms, None)
    clause = next(each for each in programme.clauses if each.id == programme.event_by_name[last.event].clause)
    until = term and {
        "due_on": term["due_on"], "working_days": desk.calendar.between(today, term["due_on"]),
        "provisional": term["provisional"], "hard": term["hard"],
    }  # fmt: skip
    said = case.findings if outcome.with_findings else ()
    what_next = _CLOSED if outcome.next is _AGAIN and until is None else outcome.next
    grade = case.target_grade if outcome.is_applied_for else case.grade_reached or case.target_grade
    return {
        "told_on": today,
        "programme": _both(programme.title),
        "sender": _both(programme.province.name),
        "tag": _both(outcome.tag),
        "headline": _both(outcome.headline),
        "enterprise": {"zh": name, "en": name},
        "industry": _both(programme.industry_by_id[case.industry].name),
        "unit": _both(programme.unit_by_code[case.unit].name),
        "grade_label": _both(_APPLIED_FOR if outcome.is_applied_for else _REACHED),
        "grade": _both(programme.grade_by_id[grade].name),
        "decided_on": today,
        "findings": [{"number": each.number, "text": each.text} for each in said],
        "reason": _reason(case, last.kind, reason),
        "clause": {"id": clause.id, "where": clause.where, "text": _both(clause.says)},
        "next": _both(what_next),
        "until": until,
        "link": desk.books.links.to("cases", case.id),
        "calendar": None,
    }


_APPLIED_FOR, _REACHED = Text("申报等级", "Grade applied for"), Text("绩效等级", "Grade")


def _reason(case: Case, kind: str, reason: str | None) -> str | None:
    """What the decision rests on: its reason, or the violation and the number of the paper by which eligibility was lost."""
    lost = case.disqualification
    if kind == "disqualify" and lost is not None:
        return f"{lost.violation}（{lost.document}）"
    return reason if kind in _WITH_REASON else None


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}
