"""The kinds of guard: each looks at one condition and yields a reason for all that is unmet.

A guard must be total: it is asked in every state, and without data (`ask.data is None`) when events are offered. What
depends on the data alone comes on top then, with a `field` under `data`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter

from workflows.case import Case
from workflows.events import choice_id
from workflows.facts import Ask, Site
from workflows.persons import folded, in_both
from workflows.programme import FORBID, Choice, Programme, Role
from workflows.text import Reason, Text
from workflows.working_days import end_of_day, legal_day

Judge = Callable[[Ask, Any, str], Iterator[Reason]]
Opens = Callable[[Programme, Case, Any], datetime | None]


@dataclass(frozen=True, slots=True)
class Untold:
    """The guard is told nothing."""

    __pydantic_config__: ClassVar[Any] = FORBID


@dataclass(frozen=True)
class Guard:
    """One kind of guard: what it is told, how it judges, and for those that wait, when they open."""

    judge: Judge
    given: type = Untold
    opens: Opens | None = None
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", TypeAdapter(self.given))


def _cell(choices: tuple[Choice, ...], id_: str) -> str:
    return next((choice.cell for choice in choices if choice.id == id_), id_)


# --- the grade and the site -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForGrades:
    """The grades for which the condition holds."""

    __pydantic_config__: ClassVar[Any] = FORBID
    grades: tuple[str, ...]


def grade_asked(ask: Ask) -> str:
    """The grade that the event would reach or rests on: as said, else as reached, else the target."""
    if ask.event.kind in ("accept", "fast_track"):
        return getattr(ask.data, "grade", None) or ask.case.target_grade
    return ask.case.grade_reached or ask.case.target_grade


def _ultra_low_done(ask: Ask, given: ForGrades, clause: str) -> Iterator[Reason]:
    industry = ask.programme.industry_by_id.get(ask.case.industry)
    grade = grade_asked(ask)
    if industry is None or not industry.ultra_low or grade not in given.grades:
        return
    name = ask.programme.grade_by_id[grade].name
    if ask.facts.site.ultra_low_completed_on is None:
        yield ask.reason(
            "ultra_low_not_completed",
            f"{industry.name.zh}企业评 {name.zh}，须先完成超低排放改造：请在企业台账填写完成日期",
            f"grade {name.en} in {industry.name.en} needs the ultra-low-emission retrofit completed: "
            "enter its date at the site",
            clause, field="ultra_low.completed_on", who=Role.UNIT,
        )  # fmt: skip
    if ask.facts.site.ultra_low_publicised_on is None:
        yield ask.reason(
            "ultra_low_not_publicised",
            f"{industry.name.zh}企业评 {name.zh}，超低排放改造须已公示：请在企业台账填写公示日期",
            f"grade {name.en} in {industry.name.en} needs the ultra-low-emission retrofit publicised: "
            "enter its date at the site",
            clause, field="ultra_low.publicised_on", who=Role.UNIT,
        )  # fmt: skip


def takes_emergency_cuts(programme: Programme, case: Case, site: Site) -> bool:
    """Whether the site is in an industry that needs the retrofit and has not completed it.

    Such a site takes the cuts of every heavy-pollution alert (二（一）); it is a mark, it refuses nothing.
    """
    industry = programme.industry_by_id.get(case.industry)
    return industry is not None and industry.ultra_low and site.ultra_low_completed_on is None


def _grade_in_reach(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None or ask.data.grade is None:
        return
    grades = ask.programme.grade_by_id
    reached, current, target = (grades[g] for g in (ask.data.grade, ask.case.current_grade, ask.case.target_grade))
    if not ask.programme.is_above(reached.id, current.id):
        yield ask.reason(
            "grade_not_above_present",
            f"验收等级（{reached.name.zh}）未高于现等级（{current.name.zh}），不能通过验收",
            f"the grade reached ({reached.name.en}) is not above the present one ({current.name.en})",
            clause, field="data.grade",
        )  # fmt: skip
    if reached.ladder != target.ladder or reached.rank > target.rank:
        yield ask.reason(
            "grade_above_target",
            f"验收等级（{reached.name.zh}）超出拟提升等级（{target.name.zh}）",
            f"the grade reached ({reached.name.en}) is not within the target ({target.name.en})",
            clause, field="data.grade",
        )  # fmt: skip


def _indicators_met(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    for category, result in (ask.data.indicators or {}).items():
        if result == "not_met":
            cell = _cell(ask.programme.indicators, category)
            yield ask.reason(
                "indicator_not_met",
                f"指标“{cell}”未达到，不能通过；整改后再验收",
                f"indicator '{category}' is not met: put it right, then review again",
                clause, field=f"data.indicators.{category}",
            )  # fmt: skip


# --- measures and reports ---------------------------------------------------------------------------------------------


def _measures_done(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    left = [measure for measure in ask.case.measures if measure.done_on is None]
    if left:
        zh = "；".join(f"{measure.number}. {measure.title}（期限 {measure.due_on}）" for measure in left)
        en = "; ".join(f"{measure.number}. {measure.title} (due {measure.due_on})" for measure in left)
        yield ask.reason(
            "measures_not_done",
            f"还有 {len(left)} 项措施未完成：{zh}。完成后请在月度跟踪评估中登记",
            f"{len(left)} measure(s) not done: {en}. Report them done in the monthly progress report",
            clause, field="measures",
        )  # fmt: skip
    if not ask.case.measures:
        yield ask.reason(
            "no_measures",
            "尚无“一企一策”提升方案，没有可据以验收的措施",
            "there is no plan yet, so there are no measures to accept against",
            clause, field="measures",
        )  # fmt: skip


def _numbers_named(data: Any) -> Iterator[tuple[str, int]]:
    for number in getattr(data, "done", ()):
        yield "data.done", number
    for change in getattr(data, "change", ()):
        yield "data.change", change.number
    for number in getattr(data, "drop", ()):
        yield "data.drop", number


def _measures_known(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    known = {measure.number for measure in ask.case.measures}
    for at, number in _numbers_named(ask.data):
        if number not in known:
            yield ask.reason(
                "unknown_measure",
                f"方案中没有第 {number} 项措施；现有：{'、'.join(map(str, sorted(known))) or '无'}",
                f"the plan has no measure {number}; it has: {', '.join(map(str, sorted(known))) or 'none'}",
                clause, field=at,
            )  # fmt: skip


def _measures_left(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None or ask.data.add:
        return
    if not {measure.number for measure in ask.case.measures} - set(ask.data.drop):
        yield ask.reason(
            "no_measure_left",
            "方案至少须保留一项措施",
            "the plan must keep at least one measure",
            clause, field="data.drop",
        )  # fmt: skip


def _ordered(ask: Ask, numbers: set[int]) -> list[int]:
    return [measure.number for measure in ask.case.measures if measure.ordered and measure.number in numbers]


def _ordered_kept(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    touched = {change.number for change in ask.data.change} | set(ask.data.drop)
    for number in _ordered(ask, touched):
        yield ask.reason(
            "measure_ordered",
            f"第 {number} 项措施由省级责令整改，填报单位不得调整或取消",
            f"measure {number} was ordered by the province: the unit neither changes nor drops it",
            clause, field="data.drop" if number in ask.data.drop else "data.change",
        )  # fmt: skip


def _ordered_done(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    for number in _ordered(ask, {measure.number for measure in ask.case.measures if measure.done_on is None}):
        yield ask.reason(
            "ordered_not_done",
            f"第 {number} 项措施由省级责令整改，尚未完成，不能走快速通道",
            f"measure {number} was ordered by the province and is not done: no fast track until it is",
            clause, field="measures",
        )  # fmt: skip


def _progress_by_kind(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    owed = {measure.kind for measure in ask.case.measures}
    said = {choice_id(ask.programme.measure_kinds, kind) for kind in ask.data.progress}
    for kind in sorted(owed - said):
        cell = _cell(ask.programme.measure_kinds, kind)
        yield ask.reason(
            "progress_missing", f"缺少“{cell}”的进度（%）", f"the progress (percent) of '{kind}' is missing",
            clause, field=f"data.progress.{kind}",
        )  # fmt: skip
    for kind in sorted(said - owed):
        cell = _cell(ask.programme.measure_kinds, kind)
        yield ask.reason(
            "progress_unexpected", f"方案中没有“{cell}”类措施，不应填报其进度", f"the plan has no measure of '{kind}'",
            clause, field=f"data.progress.{kind}",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Months:
    """The months, inclusive, for which there are reports."""

    __pydantic_config__: ClassVar[Any] = FORBID
    first: date
    last: date


def _month_within(ask: Ask, given: Months, clause: str) -> Iterator[Reason]:
    if ask.data is not None and not f"{given.first:%Y-%m}" <= ask.data.month <= f"{given.last:%Y-%m}":
        yield ask.reason(
            "month_outside",
            f"跟踪评估的月份应在 {given.first:%Y-%m} 至 {given.last:%Y-%m} 之间",
            f"progress is reported for the months {given.first:%Y-%m} to {given.last:%Y-%m}",
            clause, field="data.month",
        )  # fmt: skip


# --- persons ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Apart:
    """Which named people may not be among those who did something before; on one route only, if said."""

    __pydantic_config__: ClassVar[Any] = FORBID
    people: Literal["reviewers", "inspectors", "assessors"]
    did: Literal["assessed_by", "reviewed_by", "inspected_by"]
    route: Literal["normal", "fast_track"] | None = None


_DID = {
    "assessed_by": ("参加过预评估", "took part in the pre-assessment"),
    "reviewed_by": ("参加过市级评审验收", "took part in the city's review"),
    "inspected_by": ("参加过省级复核", "took part in the province's check"),
}


def _apart(ask: Ask, given: Apart, clause: str) -> Iterator[Reason]:
    if ask.data is None or given.route not in (None, ask.case.route):
        return
    for name in in_both(getattr(ask.data, given.people), getattr(ask.case, given.did)):
        zh, en = _DID[given.did]
        yield ask.reason(
            "same_person",
            f"{name}{zh}，按廉洁评级要求须回避，请换人",
            f"{name} {en} and must not take part here: name somebody else",
            clause, field=f"data.{given.people}",
        )  # fmt: skip


# --- the province's check, re-submission ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """The result that the newest check must have."""

    __pydantic_config__: ClassVar[Any] = FORBID
    result: Literal["passed", "failed", "rectify"]


_RESULTS = {"passed": "通过", "failed": "未通过", "rectify": "须整改", None: "尚未复核"}


def _check_resulted(ask: Ask, given: Result, clause: str) -> Iterator[Reason]:
    result = ask.case.check.result if ask.case.check else None
    if result != given.result:
        yield ask.reason(
            "check_result",
            f"省级复核结果须为“{_RESULTS[given.result]}”，现为“{_RESULTS[result]}”",
            f"the province's check must have resulted in '{given.result}'; it is '{result or 'not checked yet'}'",
            clause, field="check", who=Role.PROVINCE,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResultUntil:
    """A result that can be given only until the end of a day."""

    __pydantic_config__: ClassVar[Any] = FORBID
    result: Literal["passed", "failed", "rectify"]
    until: date


def _result_until(ask: Ask, given: ResultUntil, clause: str) -> Iterator[Reason]:
    if ask.data is not None and ask.data.result == given.result and ask.facts.now >= end_of_day(given.until):
        yield ask.reason(
            "too_late",
            f"“{_RESULTS[given.result]}”这一结果只能在 {given.until} 24:00 前作出",
            f"the result '{given.result}' was possible only until 24:00 of {given.until}",
            clause, field="data.result", until=end_of_day(given.until),
        )  # fmt: skip


def _never_checked(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.checks:
        yield ask.reason(
            "checked_before",
            "该企业曾被省级复核，须再次复核通过后才能公示",
            "the province has checked this case before: it must pass a check again before publication",
            clause, field="check", who=Role.PROVINCE,
        )  # fmt: skip


def _not_fast_tracked(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.route == "fast_track":
        yield ask.reason(
            "fast_tracked",
            "快速通道企业不得免于省级复核，复核通过后才能公示",
            "a fast-tracked case cannot skip the province's check: it must pass one before publication",
            clause, field="check", who=Role.PROVINCE,
        )  # fmt: skip


def _passed_over_by_draw(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.checks or ask.case.route == "fast_track":
        return  # no draw can free it: the guards of these say so
    if ask.case.draw is None:
        yield ask.reason(
            "not_drawn_over",
            "验收后尚无已备案的抽签，不能免复核公示；请待省级抽签，或待复核通过",
            "no recorded draw has passed this case over since its acceptance: await the province's draw or check",
            clause, field="draw", who=Role.PROVINCE,
        )  # fmt: skip
    elif ask.case.draw.drawn:
        yield ask.reason(
            "drawn",
            "该企业已被抽中，省级复核通过后才能公示",
            "this case was drawn: the province's check must pass before publication",
            clause, field="draw", who=Role.PROVINCE,
        )  # fmt: skip


def _findings_answered(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    numbers = {finding.number: finding for finding in ask.case.findings}
    answered = {answer.finding for answer in ask.data.answers}
    for number in sorted(set(numbers) - answered):
        yield ask.reason(
            "finding_unanswered",
            f"第 {number} 条问题未答复：{numbers[number].text}",
            f"finding {number} is not answered: {numbers[number].text}",
            clause, field="data.answers",
        )  # fmt: skip
    for number in sorted(answered - set(numbers)):
        yield ask.reason(
            "unknown_finding", f"没有第 {number} 条问题", f"there is no finding {number}", clause, field="data.answers"
        )


def _reviewed_anew(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    refused_on = legal_day(ask.case.entered_at)
    if ask.data is not None and ask.data.reviewed_on < refused_on:
        yield ask.reason(
            "review_too_old",
            f"再次报送须有新的市级评审，评审日期不得早于未通过之日（{refused_on}）",
            f"a re-submission needs a new review, not one from before the refusal ({refused_on})",
            clause, field="data.reviewed_on",
        )  # fmt: skip


# --- notice, recognition, lapse ---------------------------------------------------------------------------------------


def _notice_end(programme: Programme, case: Case, given: Any) -> datetime | None:
    return end_of_day(case.notice.ends_on) if case.notice else None


def _notice_over(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    ends_at = _notice_end(ask.programme, ask.case, given)
    if ends_at is None or ask.facts.now < ends_at:
        until = ask.case.notice.ends_on if ask.case.notice else "—"
        yield ask.reason(
            "notice_running",
            f"公示期未满（至 {until} 24:00）",
            f"the notice has not run its days (until 24:00 of {until})",
            clause, field="notice", who=Role.SYSTEM,
        )  # fmt: skip


def _no_open_objection(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.facts.open_objections:
        yield ask.reason(
            "objection_open",
            f"有 {ask.facts.open_objections} 件公示异议尚未处理",
            f"{ask.facts.open_objections} objection(s) are not decided yet",
            clause, field="objections", who=Role.UNIT,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class After:
    """The day after whose end the event may happen, and how many minutes it waits beyond."""

    __pydantic_config__: ClassVar[Any] = FORBID
    day: date
    grace_minutes: int = 0


def _opens_after(programme: Programme, case: Case, given: After) -> datetime | None:
    return end_of_day(given.day) + timedelta(minutes=given.grace_minutes)


def _after(ask: Ask, given: After, clause: str) -> Iterator[Reason]:
    opens_at = end_of_day(given.day) + timedelta(minutes=given.grace_minutes)
    if ask.facts.now < opens_at:
        yield ask.reason(
            "too_early",
            f"{given.day} 24:00 之前不会失效",
            f"not before 24:00 of {given.day}",
            clause, who=Role.SYSTEM, until=opens_at,
        )  # fmt: skip


# --- correction -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correctable:
    """Which kinds of event cannot be corrected."""

    __pydantic_config__: ClassVar[Any] = FORBID
    never: tuple[str, ...]


def _correctable(ask: Ask, given: Correctable, clause: str) -> Iterator[Reason]:
    last = ask.case.last_event
    event = ask.programme.event_by_name.get(last.event) if last else None
    if last is None or event is None or last.kind in given.never or last.role == Role.SYSTEM:
        zh, en = (event.title.zh, event.title.en) if event else ("—", "—")
        said = Text(f"最近一次事件“{zh}”不能更正", f"the last event, {en}, cannot be corrected")
        yield Reason("not_correctable", said, clause)
        return
    role = ask.facts.actor.role
    due = ask.facts.calendar.add(legal_day(last.at), ask.programme.spans.correction.working_days)
    if role not in event.roles or (last.role == Role.PROVINCE and role != Role.PROVINCE):
        yield ask.reason(
            "not_your_event",
            f"最近一次事件“{event.title.zh}”须由作出它的一方更正",
            f"the last event, {event.title.en}, is corrected by the side that made it",
            clause, who=last.role, until=due.due_at,
        )  # fmt: skip
    if folded(ask.facts.actor.name) == folded(last.actor):
        yield ask.reason(
            "same_person",
            f"更正须由另一人作出（原操作人：{last.actor}）",
            f"a correction needs another person than {last.actor}, who made the event",
            clause, who=last.role, until=due.due_at,
        )  # fmt: skip
    if ask.facts.now >= due.due_at:
        yield ask.reason(
            "too_late",
            f"更正期限为 {due.working_days} 个工作日，已于 {due.due_on} 24:00 届满",
            f"a correction is possible within {due.working_days} working days, until 24:00 of {due.due_on}",
            clause, until=due.due_at,
        )  # fmt: skip
    if ask.facts.rested_on:
        said = Text(
            f"已有后续事项以此为依据（{ask.facts.rested_on}），不能更正",
            f"something rests on it already ({ask.facts.rested_on})",
        )
        yield Reason("rested_on", said, clause)


GUARDS: Mapping[str, Guard] = {
    "ultra_low_done": Guard(_ultra_low_done, ForGrades),
    "grade_in_reach": Guard(_grade_in_reach),
    "indicators_met": Guard(_indicators_met),
    "measures_done": Guard(_measures_done),
    "measures_known": Guard(_measures_known),
    "measures_left": Guard(_measures_left),
    "ordered_kept": Guard(_ordered_kept),
    "ordered_done": Guard(_ordered_done),
    "progress_by_kind": Guard(_progress_by_kind),
    "month_within": Guard(_month_within, Months),
    "apart": Guard(_apart, Apart),
    "check_resulted": Guard(_check_resulted, Result),
    "result_until": Guard(_result_until, ResultUntil),
    "never_checked": Guard(_never_checked),
    "not_fast_tracked": Guard(_not_fast_tracked),
    "passed_over_by_draw": Guard(_passed_over_by_draw),
    "findings_answered": Guard(_findings_answered),
    "reviewed_anew": Guard(_reviewed_anew),
    "notice_over": Guard(_notice_over, opens=_notice_end),
    "no_open_objection": Guard(_no_open_objection),
    "after": Guard(_after, After, opens=_opens_after),
    "correctable": Guard(_correctable, Correctable),
}
