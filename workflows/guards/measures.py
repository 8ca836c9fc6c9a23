"""Guards on what a case has to show for itself: its grade, its site, its indicators, its measures and reports."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from workflows.case import Case
from workflows.events import choice_id
from workflows.facts import Ask, Site
from workflows.guards.kind import Guard, Untold
from workflows.programme import FORBID, Choice, Programme, Role
from workflows.text import Reason, Text, listed, quoted


def _named(choices: tuple[Choice, ...], id_: str) -> Text:
    # A choice is called by what stands in the cell; its id is the English that there is.
    cell = next((choice.cell for choice in choices if choice.id == id_), id_)
    return quoted(Text(cell, id_.replace("_", " ")))


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
            name = _named(ask.programme.indicators, category)
            yield ask.reason(
                "indicator_not_met",
                f"指标{name.zh}未达到，不能通过；整改后再验收",
                f"indicator {name.en} is not met: put it right, then review again",
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
    known = [measure.number for measure in ask.case.measures]
    there = listed([str(number) for number in known] or [Text("无", "none")])
    for at, number in _numbers_named(ask.data):
        if number not in known:
            yield ask.reason(
                "unknown_measure",
                f"方案中没有第 {number} 项措施；现有：{there.zh}",
                f"the plan has no measure {number}; it has: {there.en}",
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
        name = _named(ask.programme.measure_kinds, kind)
        yield ask.reason(
            "progress_missing", f"缺少{name.zh}的进度（%）", f"the progress (percent) of {name.en} is missing",
            clause, field=f"data.progress.{kind}",
        )  # fmt: skip
    for kind in sorted(said - owed):
        name = _named(ask.programme.measure_kinds, kind)
        yield ask.reason(
            "progress_unexpected", f"方案中没有{name.zh}类措施，不应填报其进度", f"the plan has no measure of {name.en}",
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
}
