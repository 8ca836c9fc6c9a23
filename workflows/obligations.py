"""Who owes what by when: pure functions of the programme and the facts.

What a case owes follows from the case as it stands; what became of it when it is owed no more follows from the event in
between (`ended`). So the rows that others keep can be built anew from the history at any time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from statistics import median

from workflows.case import Case
from workflows.ladders import Term, next_at
from workflows.programme import DateRule, Filing, Programme, Span
from workflows.text import Text
from workflows.working_days import SHANGHAI, Calendar, end_of_day, legal_day

KINDS = (
    "filing", "report", "answer", "stage", "measure", "re_review", "objection", "notice", "resubmission", "ultra_low",
)  # fmt: skip


class Outcome(StrEnum):
    """Where an obligation stands. Overdue is not stored: it is open when its term is over (`is_overdue`)."""

    OPEN = "open"
    MET = "met"
    MET_LATE = "met_late"
    NIL = "nil"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that `unit` (the province has its code too) owes by the end of `due_on`, a day in Asia/Shanghai.

    `id` names it for ever: the same thing owed again has the same id. `since` is the aware instant from which it is owed.
    `officer` is the person named in a case, `handler` the contact to whom a request was given. `provisional`: the day
    may still move, as a year's days off are not known.
    """

    id: str
    kind: str
    title: Text
    clause: str
    unit: str
    subject_type: str
    subject: str
    since: datetime = field(compare=False)  # while it stays owed, it stays as it began
    due_on: date
    hard: bool = False
    provisional: bool = False
    officer: str | None = None
    handler: str | None = None

    @property
    def term(self) -> Term:
        """Its beginning and its end, for the ladder."""
        return Term(self.since, self.due_on, is_handed(self.id, self.subject))

    @property
    def due_at(self) -> datetime:
        """24:00 of the due day, aware UTC."""
        return end_of_day(self.due_on)


def filings(programme: Programme, calendar: Calendar, since: datetime) -> Iterator[Owed]:
    """What every unit has to file (三), from the instant at which the programme was loaded.

    A programme that had closed by then asks for nothing any more.
    """
    if since >= end_of_day(programme.closes_on):
        return
    for filing in programme.filings:
        rule = programme.date_by_id[filing.due]
        due_on, provisional = _day(rule, calendar)
        for unit in programme.units:
            id_ = filing_id(programme, unit.code, filing)
            yield Owed(
                f"filing.{id_}", "filing", rule.title, rule.clause, unit.code, "filing", id_, since, due_on, rule.hard,
                provisional,
            )  # fmt: skip


def is_handed(id_: str, subject: str) -> bool:
    """Whether an obligation begins by something being handed to somebody: all but the filings that the plan dates."""
    return id_ != f"filing.{subject}"


def refiling(programme: Programme, calendar: Calendar, owed: Owed, number: int, returned_at: datetime) -> Owed:
    """The filing `owed`, sent back (退回补正) at the aware instant `returned_at` by the entry `number` of its history.

    It is owed anew with a term of its own, which does not end before the plan's date; when it was handed in first stays
    as it is.
    """
    span = programme.spans.refiling
    due = calendar.add(legal_day(returned_at), span.working_days)
    title = Text(f"退回补正：{owed.title.zh}", f"sent back to be corrected: {owed.title.en}")
    return replace(
        owed, id=f"{owed.id}.{number}", title=title, clause=span.clause, since=returned_at,
        due_on=max(due.due_on, owed.due_on), hard=False,
        provisional=due.provisional,
    )  # fmt: skip


def filing_id(programme: Programme, unit: str, filing: Filing) -> str:
    """What names the filing of a unit for a form and a period."""
    return f"{programme.id}.{unit}.{filing.form}.{filing.period}"


def of_case(programme: Programme, calendar: Calendar, case: Case) -> dict[str, Owed]:
    """What is owed on account of a case as it stands, by id."""
    return {
        owed.id: owed
        for owe in (_stages, _reports, _measures, _re_review, _notice)
        for owed in owe(programme, calendar, case)
    }


def stage_due_at(programme: Programme, calendar: Calendar, case: Case) -> datetime | None:
    """The end of the day by which the plan wants the case to have gone on; None where it does not say."""
    return min((owed.due_at for owed in _stages(programme, calendar, case)), default=None)


def ended(programme: Programme, after: Case, owed: Owed, *, undone: bool = False) -> Outcome:
    """What became of something that the case, now `after`, owed before: met (by somebody in time or late: that is
    decided by the instant), or closed, as nothing has to be done any more. `undone`: a correction took it back.
    """
    kind = owed.kind
    if undone:
        return Outcome.CLOSED
    if kind == "report":
        return (
            Outcome.MET if any(owed.id == _report_id(after, each.month) for each in after.reports) else Outcome.CLOSED
        )
    if kind == "measure":
        done = (each for each in after.measures if each.done_on is not None)
        return Outcome.MET if any(owed.id == _measure_id(after, each.number) for each in done) else Outcome.CLOSED
    if kind == "notice":
        return Outcome.MET if after.recognised_at is not None else Outcome.CLOSED
    return Outcome.CLOSED if _has_given_up(after) or _stands_still(programme, after, owed) else Outcome.MET


def answer(programme: Programme, calendar: Calendar, request: str, unit: str, received_at: datetime) -> Owed:
    """The answer to an enterprise's request: within 5 working days, the day of receipt not counted (二（五）)."""
    return _within(programme, calendar, programme.spans.answer, "answer", request, unit, received_at, "request")


def median_working_days(calendar: Calendar, answered: Iterable[tuple[datetime, datetime]]) -> float | None:
    """The median of the working days from receipt to answer, both aware instants; the day of receipt is not counted."""
    days = [calendar.between(legal_day(received_at), legal_day(at)) for received_at, at in answered]
    return median(days) if days else None


def decision(programme: Programme, calendar: Calendar, objection: str, unit: str, lodged_at: datetime) -> Owed:
    """The decision of an objection (三（六）)."""
    span = programme.spans.objection
    return _within(programme, calendar, span, "objection", objection, unit, lodged_at, "objection")


def _within(
    programme: Programme, calendar: Calendar, span: Span, kind: str, subject: str, unit: str, since: datetime, of: str
) -> Owed:
    due = calendar.add(legal_day(since), span.working_days)
    title = programme.ladder_by_id[kind].title
    return Owed(
        f"{kind}.{subject}", kind, title, span.clause, unit, of, subject, since, due.due_on, provisional=due.provisional
    )


def ultra_low(
    programme: Programme, site: str, unit: str, industry: str, grade: str, due_on: date | None, since: datetime
) -> Owed | None:
    """The retrofit that a site already in a grade that demands it has to complete by the day set for it (二（一）)."""
    ladder = programme.ladder_by_id["ultra_low"]
    known = programme.industry_by_id.get(industry)
    if due_on is None or known is None or not known.ultra_low or grade not in programme.ultra_low_grades:
        return None
    return Owed(f"ultra_low.{site}", "ultra_low", ladder.title, ladder.clause, unit, "enterprise", site, since, due_on)


# --- what a case owes -------------------------------------------------------------------------------------------------


def _check_demanded(case: Case) -> bool:
    """Whether nobody but the province can let the case go on: drawn, fast-tracked, re-submitted or checked before."""
    drawn = case.draw is not None and case.draw.drawn
    return drawn or case.route == "fast_track" or case.resubmissions > 0 or case.checks > 0


def _may_be_published(case: Case) -> bool:
    """Whether nothing but the publication is left to do."""
    reviewed = case.acceptance
    if case.check is not None and reviewed is not None and case.check.checked_on >= reviewed.reviewed_on:
        return case.check.result == "passed"  # of this acceptance, and not of one before it
    return case.draw is not None and not case.draw.drawn and not _check_demanded(case)


def _check_not_passed(case: Case) -> bool:
    """Whether the province has found something and has not yet said what follows: rectification, or no."""
    return case.check is not None and case.check.result != "passed"


def _no_re_review(case: Case) -> bool:
    """Whether no re-review is ordered, which asks for a new acceptance by a day of its own."""
    return case.review_on is None


# What a date may ask of a case besides its state.
WHEN: Mapping[str, Callable[[Case], bool]] = {
    "check_demanded": _check_demanded,
    "check_not_passed": _check_not_passed,
    "may_be_published": _may_be_published,
    "no_re_review": _no_re_review,
}


def _stages(programme: Programme, calendar: Calendar, case: Case) -> Iterator[Owed]:
    for rule in programme.dates_by_state[case.state]:
        if rule.when is not None and not WHEN[rule.when](case):
            continue
        held, came_at = rule, _came_at(programme, case, rule)
        while held.late is not None and came_at >= end_of_day(held.due_on):
            held = programme.date_by_id[held.late]  # nobody can have been late for what could not be done in time
        if held is not rule and came_at >= end_of_day(held.due_on):
            continue  # nor for what was all over
        due_on, provisional = _day(held, calendar)
        unit = programme.province.code if rule.owner == "province" else case.unit
        kind = rule.ladder
        # Owed by a later day it is another thing, with rungs and a breach of its own; what has to be done is the same.
        id_ = f"{kind}.{case.id}.{rule.id}" if held is rule else f"{kind}.{case.id}.{rule.id}.{held.id}"
        yield _of_case(case, id_, kind, rule.title, rule.clause, case.entered_at, due_on, unit, rule.hard, provisional)


def _came_at(programme: Programme, case: Case, rule: DateRule) -> datetime:
    """Since when a case has owed a date: since it entered its state, or was listed, where it has only gone on since then."""
    last = programme.event_by_name.get(case.last_event.event) if case.last_event is not None else None
    has_gone_on = last is not None and not set(last.sources).isdisjoint(rule.owed_in)
    listing = programme.event_of_kind("list")
    of_the_listed = listing is not None and listing.target in rule.owed_in
    return case.listed_at if has_gone_on and of_the_listed else case.entered_at


def _reports(programme: Programme, calendar: Calendar, case: Case) -> Iterator[Owed]:
    event = programme.event_of_kind("report_progress")
    if event is None or case.state not in event.sources:
        return
    ladder = programme.ladder_by_id["report"]
    said = {report.month for report in case.reports}
    for each in programme.report_months:
        if each.month in said or case.entered_at >= end_of_day(each.ends_on):
            continue  # done, or the case came into this state when the month, or the phase, was over
        due_on, provisional = _day(each.due, calendar)
        since = max(case.entered_at, datetime.combine(each.begins_on, time.min, SHANGHAI))
        title = Text(f"{ladder.title.zh}（{each.month}）", f"{ladder.title.en} of {each.month}")
        yield _of_case(
            case, _report_id(case, each.month), "report", title, ladder.clause, since, due_on, case.unit,
            provisional=provisional,
        )  # fmt: skip


def _measures(programme: Programme, calendar: Calendar, case: Case) -> Iterator[Owed]:
    planning, reporting = (programme.event_of_kind(kind) for kind in ("file_plan", "report_progress"))
    if case.state not in (planning.target if planning else None, *(reporting.sources if reporting else ())):
        return
    ladder = programme.ladder_by_id["measure"]
    for measure in case.measures:
        if measure.done_on is None:
            title = Text(f"措施 {measure.number}：{measure.title}", f"measure {measure.number}: {measure.title}")
            id_ = _measure_id(case, measure.number)
            yield _of_case(case, id_, "measure", title, ladder.clause, case.entered_at, measure.due_on, case.unit)


def _re_review(programme: Programme, calendar: Calendar, case: Case) -> Iterator[Owed]:
    event = programme.event_of_kind("order_rectification")
    if case.review_on is not None and event is not None and case.state == event.target:
        ladder = programme.ladder_by_id["re_review"]
        yield _of_case(
            case, f"re_review.{case.id}", "re_review", ladder.title, ladder.clause, case.entered_at, case.review_on,
            case.unit,
        )  # fmt: skip


def _notice(programme: Programme, calendar: Calendar, case: Case) -> Iterator[Owed]:
    if case.notice is not None and case.recognised_at is None:
        ladder = programme.ladder_by_id["notice"]
        notice = case.notice
        yield _of_case(
            case, f"notice.{case.id}.{notice.id}", "notice", ladder.title, ladder.clause, case.entered_at, notice.ends_on, case.unit,
            provisional=notice.provisional,
        )  # fmt: skip


def _of_case(
    case: Case, id_: str, kind: str, title: Text, clause: str, since: datetime, due_on: date, unit: str,
    hard: bool = False, provisional: bool = False,
) -> Owed:  # fmt: skip
    officer = case.officer if unit == case.unit else None
    return Owed(id_, kind, title, clause, unit, "case", case.id, since, due_on, hard, provisional, officer)


def _report_id(case: Case, month: str) -> str:
    return f"report.{case.id}.{month}"


def _measure_id(case: Case, number: int) -> str:
    return f"measure.{case.id}.{number}"


def _stands_still(programme: Programme, case: Case, owed: Owed) -> bool:
    """Whether the case has not gone on, and only the condition of a stage is gone: nobody did what was asked."""
    rule = programme.date_by_id.get(owed.id.removeprefix(f"{owed.kind}.{case.id}.").partition(".")[0])
    return rule is not None and case.state in rule.owed_in


def _has_given_up(case: Case) -> bool:
    """Whether the case has ended otherwise than by recognition."""
    last = case.last_event
    return last is not None and last.kind in ("withdraw", "lapse", "disqualify")


def _day(rule: DateRule, calendar: Calendar) -> tuple[date, bool]:
    """The day of a date of the plan, and whether it may still move: a literal date stands, also on a day off."""
    if not rule.rolls or calendar.day(rule.due_on).working:
        return rule.due_on, rule.rolls and calendar.day(rule.due_on).provisional
    due = calendar.add(rule.due_on, 1)
    return due.due_on, due.provisional


# --- why it is due then ----------------------------------------------------------------------------------------------


def span_of(programme: Programme, kind: str, id_: str, subject: str) -> Span | None:
    """The span in which an obligation is counted; None where a day is given."""
    spans = programme.spans
    if kind == "filing":
        return spans.refiling if is_handed(id_, subject) else None
    return {"answer": spans.answer, "objection": spans.objection, "notice": spans.notice}.get(kind)


def why(span: Span | None, calendar: Calendar, due_on: date, counted_to: date | None = None) -> Text:
    """How a day comes about, in a sentence: counted by a span (`counted_to`: to where it leads), or given."""
    if span is not None and counted_to is not None and counted_to < due_on:
        return Text(
            f"自起算日起 {span.working_days} 个工作日至 {counted_to}，早于原定期限，以原定期限 {due_on} 24:00 为准",
            f"{span.working_days} working days lead to {counted_to}, before the plan's own day, which holds: {due_on}, 24:00",
        )
    if span is not None:
        return Text(
            f"{span.working_days} 个工作日，起算当日不计，至最后一个工作日 24:00",
            f"{span.working_days} working days, the first day not counted, to 24:00 of the last",
        )
    if calendar.day(due_on).working:
        return Text("期限为给定日期，至当日 24:00", "a given day, to its end at 24:00")
    before = calendar.last_working_day_on_or_before(due_on)
    return Text(
        f"期限为给定日期，至当日 24:00；逢休息日不顺延，提醒提前到 {before} 发出",
        f"a given day, to its end at 24:00; a day off does not move it, its reminders go out on {before}",
    )


# --- how it stands ----------------------------------------------------------------------------------------------------


def settled(programme: Programme, owed: Owed, outcome: Outcome, at: datetime) -> Outcome:
    """`outcome` at the instant of receipt `at`: what is met when its term is over is met late, where that is a failure."""
    is_late = at >= owed.due_at and programme.ladder_by_id[owed.kind].breaches
    return Outcome.MET_LATE if outcome == Outcome.MET and is_late else outcome


def stage_at(due_on: date, now: datetime, *, escalated: bool = False) -> str:
    """How far something is at `now`, as mails say it: ahead, due (today), overdue, escalated."""
    today = legal_day(now)
    if today < due_on:
        return "ahead"
    if today == due_on:
        return "due"
    return "escalated" if escalated else "overdue"


def wakes_at(programme: Programme, calendar: Calendar, owed: Owed, after: datetime) -> datetime | None:
    """The next instant beyond `after` at which somebody has to be told, or the term ends; None: never."""
    ladder = programme.ladder_by_id[owed.kind]
    return next_at(ladder, owed.term, calendar, programme.office_hours, after=after)
