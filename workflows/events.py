"""The kinds of event that the code knows: what each is told (typed, strict) and what is wrong with that by itself.

A programme names its events and chooses their kinds; `KINDS` is the whole list. What an event changes stands in
`effects`, what it needs in `guards`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from workflows.faults import fault, from_validation
from workflows.programme import FORBID, Choice, Programme
from workflows.text import Reason, Text, listed, quoted
from workflows.values import Claim, Day, Line, Lines, Money, Month, Number, Percent, Person, Persons

Indicators = Annotated[Mapping[Line, Literal["met", "not_met", "not_applicable"]], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No data: the event says all."""

    __pydantic_config__: ClassVar[Any] = FORBID


@dataclass(frozen=True, slots=True)
class Listing:
    """A voluntary enterprise enters the list (二（二）, 附件1)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    industry: Line
    current_grade: Line
    target_grade: Line
    applied_on: Day
    industry_detail: Line | None = None
    finish_by: Day | None = None
    officer: Person | None = None
    experts: Annotated[tuple[Person, ...], Field(max_length=30)] = ()
    remark: Lines | None = None


@dataclass(frozen=True, slots=True)
class PreAssessing:
    """The pre-assessment by industry and enterprise (三（二）)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    assessed_on: Day
    assessors: Persons
    gaps: Annotated[Mapping[Line, Lines], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class EquipmentData:
    """Equipment to be renewed (附件3); category and funding by id or as they stand in the form."""

    __pydantic_config__: ClassVar[Any] = FORBID
    category: Line
    before: Line
    after: Line
    investment_10k_cny: Money
    funding: Line
    started_on: Day | None = None
    finished_on: Day | None = None


@dataclass(frozen=True, slots=True)
class MeasureData:
    """A measure that is to be added; it gets the next number."""

    __pydantic_config__: ClassVar[Any] = FORBID
    title: Line
    kind: Line
    due_on: Day
    equipment: EquipmentData | None = None


@dataclass(frozen=True, slots=True)
class MeasureChange:
    """What changes of the measure with this number."""

    __pydantic_config__: ClassVar[Any] = FORBID
    number: Number
    title: Line | None = None
    kind: Line | None = None
    due_on: Day | None = None
    equipment: EquipmentData | None = None


Measures = Annotated[tuple[MeasureData, ...], Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Planning:
    """The plan of one enterprise (一企一策, 附件2)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    measures: Measures
    investment_10k_cny: Money
    start_on: Day
    finish_on: Day


@dataclass(frozen=True, slots=True)
class Starting:
    """The upgrading begins."""

    __pydantic_config__: ClassVar[Any] = FORBID
    started_on: Day


@dataclass(frozen=True, slots=True)
class Amending:
    """Measures added, changed or dropped."""

    __pydantic_config__: ClassVar[Any] = FORBID
    add: Annotated[tuple[MeasureData, ...], Field(max_length=200)] = ()
    change: Annotated[tuple[MeasureChange, ...], Field(max_length=200)] = ()
    drop: Annotated[tuple[Number, ...], Field(max_length=200)] = ()


@dataclass(frozen=True, slots=True)
class Reporting:
    """The monthly on-site assessment (三（三）, 附件4)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    month: Month
    assessed_on: Day
    assessors: Persons
    done: Annotated[tuple[Number, ...], Field(max_length=200)]
    progress: Mapping[Line, Percent]
    delayed: Claim
    conclusion: Lines
    problems: Lines | None = None
    next: Lines | None = None


@dataclass(frozen=True, slots=True)
class Accepting:
    """The city's acceptance against the measures and the indicators (三（四）, 附件5)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    reviewed_on: Day
    reviewers: Persons
    conclusion: Lines
    grade: Line | None = None
    indicators: Indicators | None = None


@dataclass(frozen=True, slots=True)
class FailingAcceptance:
    """The city's review found something wanting."""

    __pydantic_config__: ClassVar[Any] = FORBID
    reviewed_on: Day
    reviewers: Persons
    findings: Annotated[tuple[Lines, ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class FastTracking:
    """The enterprise declares that it meets the grade and goes straight to the on-site check (二（五）)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    declared_on: Day
    declaration: Lines
    grade: Line | None = None
    indicators: Indicators | None = None


@dataclass(frozen=True, slots=True)
class Checking:
    """The province's check (三（五）)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    checked_on: Day
    inspectors: Persons
    result: Literal["passed", "failed", "rectify"]
    findings: Annotated[tuple[Lines, ...], Field(max_length=100)] = ()


@dataclass(frozen=True, slots=True)
class Rectifying:
    """What has to be put right, and when it is looked at again (整改后复审)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    review_on: Day
    measures: Measures


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one finding."""

    __pydantic_config__: ClassVar[Any] = FORBID
    finding: Number
    answer: Lines


@dataclass(frozen=True, slots=True)
class Resubmitting:
    """The refused case comes again with a new review of the city (三（六）)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    answers: Annotated[tuple[Answer, ...], Field(max_length=200)]
    reviewed_on: Day
    reviewers: Persons
    conclusion: Lines


@dataclass(frozen=True, slots=True)
class Upholding:
    """The findings of the objections that were upheld, the decided one first (三（六））."""

    __pydantic_config__: ClassVar[Any] = FORBID
    findings: Annotated[tuple[Lines, ...], Field(min_length=1)]
    objections: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Disqualifying:
    """The decision that cancels the eligibility (四（四）); `document` is its number (文号)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    violation: Lines
    decided_on: Day
    document: Line


Data = (
    Nothing | Listing | PreAssessing | Planning | Starting | Amending | Reporting | Accepting | FailingAcceptance
    | FastTracking | Checking | Rectifying | Resubmitting | Upholding | Disqualifying
)  # fmt: skip
Faults = Callable[[Any, Programme, date], Iterator[Reason]]


def _no_more_faults(data: Any, programme: Programme, today: date) -> Iterator[Reason]:
    return iter(())


@dataclass(frozen=True)
class Kind:
    """A kind of event: the type of its data, and what else can be wrong with them by themselves."""

    data: type
    faults: Faults = _no_more_faults
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", TypeAdapter(self.data))


def _choice(choices: tuple[Choice, ...], said: str) -> str | None:
    return next((choice.id for choice in choices if said in (choice.id, choice.cell)), None)


def _one_of(choices: tuple[Choice, ...], said: str, at: str) -> Iterator[Reason]:
    if _choice(choices, said) is None:
        it, known = quoted(said), listed(_named(choice.id, Text(choice.cell, choice.cell)) for choice in choices)
        yield fault("unknown_value", at, f"{it.zh}不在可选值之内：{known.zh}", f"{it.en} is not one of: {known.en}")


def _named(id_: str, name: Text) -> Text:
    """What may be sent, and what it is called where that differs."""
    zh = id_ if name.zh == id_ else f"{id_}（{name.zh}）"
    return Text(zh, id_ if name.en == id_ else f"{id_} ({name.en})")


def _measures(measures: tuple[MeasureData | MeasureChange, ...], programme: Programme, at: str) -> Iterator[Reason]:
    for index, measure in enumerate(measures):
        if measure.kind is not None:
            yield from _one_of(programme.measure_kinds, measure.kind, f"{at}[{index}].kind")
        if measure.equipment is not None:
            where = f"{at}[{index}].equipment"
            yield from _one_of(programme.equipment_categories, measure.equipment.category, f"{where}.category")
            yield from _one_of(programme.fundings, measure.equipment.funding, f"{where}.funding")


def known_grade(programme: Programme, grade: str, at: str) -> Iterator[Reason]:
    """The fault of a grade that the programme does not know."""
    if grade not in programme.grade_by_id:
        it, known = quoted(grade), listed(_named(grade.id, grade.name) for grade in programme.grades)
        yield fault(
            "unknown_grade", at, f"没有{it.zh}这一绩效等级；可选：{known.zh}", f"no grade {it.en}; known: {known.en}"
        )


def target_faults(programme: Programme, current: str, target: str, at: str = "target_grade") -> Iterator[Reason]:
    """What is wrong with a target: not a target grade, or not above the present one on its ladder (一)."""
    if not {current, target} <= programme.grade_by_id.keys():
        return
    if not programme.grade_by_id[target].target:
        allowed = listed(_named(grade.id, grade.name) for grade in programme.grades if grade.target)
        yield fault(
            "not_a_target",
            at,
            f"拟提升等级只能是：{allowed.zh}",
            f"the target grade must be one of: {allowed.en}",
            programme.cites.grades,
        )
    elif not programme.is_above(target, current):
        now, then = programme.grade_by_id[current].name, programme.grade_by_id[target].name
        yield fault(
            "target_not_above",
            at,
            f"拟提升等级（{then.zh}）必须高于现等级（{now.zh}）",
            f"the target grade ({then.en}) must be above the present one ({now.en})",
            programme.cites.grades,
        )


def _listing(data: Listing, programme: Programme, today: date) -> Iterator[Reason]:
    industry = programme.industry_by_id.get(data.industry)
    if industry is None:
        it, known = quoted(data.industry), listed(_named(each.id, each.name) for each in programme.industries)
        yield fault(
            "unknown_industry", "industry", f"行业{it.zh}不在方案范围内；可选：{known.zh}",
            f"industry {it.en} is not in the programme; known: {known.en}", programme.cites.industries,
        )  # fmt: skip
    elif industry.needs_detail and data.industry_detail is None:
        yield fault(
            "detail_missing", "industry_detail", f"行业为{quoted(industry.name).zh}时须填写行业细分",
            f"for the industry {quoted(industry.name).en} the industry detail is required", programme.cites.industries,
        )  # fmt: skip
    yield from known_grade(programme, data.current_grade, "current_grade")
    yield from known_grade(programme, data.target_grade, "target_grade")
    yield from target_faults(programme, data.current_grade, data.target_grade)


def _pre_assessing(data: PreAssessing, programme: Programme, today: date) -> Iterator[Reason]:
    for category in data.gaps:
        yield from _one_of(programme.indicators, category, f"data.gaps.{category}")


def _planning(data: Planning, programme: Programme, today: date) -> Iterator[Reason]:
    yield from _measures(data.measures, programme, "data.measures")
    if data.finish_on < data.start_on:
        yield fault(
            "finish_before_start", "data.finish_on", "完成时间早于开工时间", "the finish date is before the start date"
        )


def _amending(data: Amending, programme: Programme, today: date) -> Iterator[Reason]:
    if not (data.add or data.change or data.drop):
        yield fault(
            "nothing_amended", "data", "请至少新增、调整或取消一项措施", "add, change or drop at least one measure"
        )
    yield from _measures(data.add, programme, "data.add")
    yield from _measures(data.change, programme, "data.change")
    numbers = [change.number for change in data.change] + list(data.drop)
    yield from _no_repeats(numbers, "data")


def _no_repeats(numbers: list[int], at: str) -> Iterator[Reason]:
    for number in sorted({number for number in numbers if numbers.count(number) > 1}):
        yield fault("repeated_number", at, f"序号 {number} 重复", f"number {number} stands more than once")


def _reporting(data: Reporting, programme: Programme, today: date) -> Iterator[Reason]:
    if data.month > f"{today:%Y-%m}":
        yield fault("in_the_future", "data.month", f"{data.month} 尚未开始", f"{data.month} has not begun yet")
    for kind in data.progress:
        yield from _one_of(programme.measure_kinds, kind, f"data.progress.{kind}")
    yield from _no_repeats(list(data.done), "data.done")


def _reviewed(data: Accepting | FastTracking, programme: Programme, today: date) -> Iterator[Reason]:
    if data.grade is not None:
        yield from known_grade(programme, data.grade, "data.grade")
    for category in data.indicators or ():
        yield from _one_of(programme.indicators, category, f"data.indicators.{category}")


def _checking(data: Checking, programme: Programme, today: date) -> Iterator[Reason]:
    if data.result != "passed" and not data.findings:
        yield fault(
            "findings_missing", "data.findings", "复核未通过或须整改时，须逐条写明问题",
            "unless the check is passed, state its findings", programme.cites.check,
        )  # fmt: skip
    if data.result == "passed" and data.findings:
        yield fault(
            "findings_unexpected", "data.findings", "复核通过时不应再列问题；须整改请用 rectify",
            "a passed check has no findings; use 'rectify' where something must be put right", programme.cites.check,
        )  # fmt: skip


def _rectifying(data: Rectifying, programme: Programme, today: date) -> Iterator[Reason]:
    yield from _measures(data.measures, programme, "data.measures")
    if data.review_on < today:
        yield fault(
            "review_in_the_past",
            "data.review_on",
            "复审日期已过",
            "the re-review date has passed",
            programme.cites.check,
        )


def _resubmitting(data: Resubmitting, programme: Programme, today: date) -> Iterator[Reason]:
    yield from _no_repeats([answer.finding for answer in data.answers], "data.answers")


KINDS: Mapping[str, Kind] = {
    "list": Kind(Listing, _listing),
    "pre_assess": Kind(PreAssessing, _pre_assessing),
    "file_plan": Kind(Planning, _planning),
    "return_plan": Kind(Nothing),
    "start_upgrade": Kind(Starting),
    "amend_plan": Kind(Amending, _amending),
    "report_progress": Kind(Reporting, _reporting),
    "accept": Kind(Accepting, _reviewed),
    "fail_acceptance": Kind(FailingAcceptance),
    "fast_track": Kind(FastTracking, _reviewed),
    "spot_check": Kind(Checking, _checking),
    "order_rectification": Kind(Rectifying, _rectifying),
    "publish": Kind(Nothing),
    "reject": Kind(Nothing),
    "uphold_objection": Kind(Upholding),
    "recognise": Kind(Nothing),
    "resubmit": Kind(Resubmitting, _resubmitting),
    "lapse": Kind(Nothing),
    "withdraw": Kind(Nothing),
    "relist": Kind(Nothing),
    "disqualify": Kind(Disqualifying),
    "correct": Kind(Nothing),
}


def future_days(data: Any, today: date, at: str) -> Iterator[Reason]:
    """A fault for every date of something that happened (`…ed_on`) that is later than `today`."""
    for part in fields(data):
        value = getattr(data, part.name)
        where = f"{at}.{part.name}".lstrip(".")
        if isinstance(value, date) and part.name.endswith("ed_on") and value > today:
            yield fault(
                "in_the_future", where, f"{value} 晚于今天（{today}），不能填写尚未发生的日期",
                f"{value} is later than today ({today}): nothing happened in the future",
            )  # fmt: skip
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if is_dataclass(item):
                    yield from future_days(item, today, f"{where}[{index}]")
        elif is_dataclass(value):
            yield from future_days(value, today, where)


# What is done under the programme. Works may have begun before it, a retrofit may have been completed before it.
_ACTS = ("applied_on", "assessed_on", "declared_on", "reviewed_on", "checked_on", "decided_on")


def _early_days(data: Any, programme: Programme, at: str) -> Iterator[Reason]:
    """A fault for every date of an act under the programme that lies before its year."""
    for name in _ACTS:
        value = getattr(data, name, None)
        if isinstance(value, date) and value.year < programme.year:
            yield fault(
                "before_programme", f"{at}.{name}".lstrip("."), f"{value} 早于本方案所在的 {programme.year} 年，请核对年份",
                f"{value} is before {programme.year}, the year of the programme: look at the year",
            )  # fmt: skip


def read_data(kind: str, sent: Any, programme: Programme, today: date, at: str = "data") -> Data | tuple[Reason, ...]:
    """`sent` as the data of an event of `kind`, or everything that is wrong with it by itself.

    `today` is the legal day in Asia/Shanghai, `at` the field of the request in which the data stand.
    """
    try:
        data: Data = KINDS[kind].adapter.validate_python(sent)
    except ValidationError as error:
        return from_validation(error, at)
    faults = (
        *future_days(data, today, at),
        *_early_days(data, programme, at),
        *KINDS[kind].faults(data, programme, today),
    )
    return faults or data


def choice_id(choices: tuple[Choice, ...], said: str) -> str:
    """The id of a choice that passed the faults, said by id or as it stands in the form."""
    return _choice(choices, said) or said
