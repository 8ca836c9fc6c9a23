"""A programme: one plan of one year as data, frozen; `read()` checks all of it and lists every problem at once."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, MinLen
from pydantic import Field, TypeAdapter, ValidationError

from workflows.errors import ProgrammeRefused
from workflows.ladders import FORBID as FORBID
from workflows.ladders import Ladder, OfficeHours
from workflows.parts import name_of, parts
from workflows.text import Text

# A quoted date would be read like one, but nothing that looks for dates in the file would find it.
PlanDay = Annotated[date, Field(strict=True)]


class Role(StrEnum):
    """Who acts. A programme chooses which of them may do what."""

    ADMIN = "admin"
    PROVINCE = "province"
    UNIT = "unit"
    EXPERT = "expert"
    ENTERPRISE = "enterprise"
    AUDITOR = "auditor"
    SYSTEM = "system"


ROLE_NAMES: Mapping[str, Text] = {
    Role.ADMIN: Text("管理员", "the administrator"),
    Role.PROVINCE: Text("省级主管部门", "the province"),
    Role.UNIT: Text("填报单位", "the unit"),
    Role.EXPERT: Text("专家", "the expert"),
    Role.ENTERPRISE: Text("企业", "the enterprise"),
    Role.AUDITOR: Text("审计人员", "the auditor"),
    Role.SYSTEM: Text("系统", "the system"),
}
STAYS = "stays"
GOES_BACK = "back"
UNLISTED = "unlisted"  # where a case is before it is listed: the source of a move that has none


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the plan: its id, where it stands, and the gist of what it says."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    where: str
    says: Text


@dataclass(frozen=True, slots=True)
class Reading:
    """How a clause that leaves room is read, so that whoever disagrees sees what to change."""

    __pydantic_config__: ClassVar[Any] = FORBID
    clause: str
    text: Text


@dataclass(frozen=True, slots=True)
class Area:
    """The province or one of its reporting units; `also` holds other spellings of its name that are read."""

    __pydantic_config__: ClassVar[Any] = FORBID
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    name: Text
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """How many sites each of these areas is to bring into one of the `counted` grades, recognised by the end of `by`."""

    __pydantic_config__: ClassVar[Any] = FORBID
    areas: Annotated[tuple[str, ...], MinLen(1)]
    sites: Annotated[int, Ge(0)]
    counted: Annotated[tuple[str, ...], MinLen(1)]
    by: PlanDay
    clause: str


@dataclass(frozen=True, slots=True)
class Industry:
    """One industry of the programme; `ultra_low`: grade A needs the ultra-low-emission retrofit."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    name: Text
    ultra_low: bool = False
    needs_detail: bool = False


@dataclass(frozen=True, slots=True)
class Grade:
    """One grade: higher `rank` is better within its `ladder`; without a ladder it is below everything."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    name: Text
    rank: int
    ladder: str | None = None
    target: bool = False
    entitlement: Text | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the plan; both days belong to it."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    title: Text
    clause: str
    to: PlanDay
    from_: Annotated[PlanDay | None, Field(alias="from")] = None


@dataclass(frozen=True, slots=True)
class State:
    """A state of a case."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    name: Text
    final: bool = False


@dataclass(frozen=True, slots=True)
class GuardUse:
    """One use of a kind of guard: its name in the code, the clause it carries out, what it is told."""

    __pydantic_config__: ClassVar[Any] = FORBID
    guard: str
    clause: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """From which states to which; `to` may be "stays" (no change) or "back" (to before the last event)."""

    __pydantic_config__: ClassVar[Any] = FORBID
    from_: Annotated[tuple[str, ...], Field(alias="from")]
    to: str
    guards: tuple[GuardUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """When an event has its place: outside `from`–`to` it needs a reason, after `hard_after` it is refused.

    After `late_after` (a day inside the window) it is marked late without a reason. All days inclusive, to 24:00.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    from_: Annotated[PlanDay | None, Field(alias="from")] = None
    to: PlanDay | None = None
    late_after: PlanDay | None = None
    hard_after: PlanDay | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `kind` is what the code knows (its data and effect), everything else is the programme's choice."""

    __pydantic_config__: ClassVar[Any] = FORBID
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: str
    title: Text
    clause: str
    roles: Annotated[tuple[str, ...], MinLen(1)]
    moves: Annotated[tuple[Move, ...], MinLen(1)]
    guards: tuple[GuardUse, ...] = ()
    window: Window = Window()
    needs_reason: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Every state the event leads on from."""
        return tuple(dict.fromkeys(state for move in self.moves for state in move.from_))

    @property
    def target(self) -> str | None:
        """The state the event leads to; None where it stays or goes back."""
        target = self.moves[0].to
        return None if target in (STAYS, GOES_BACK) else target

    def move_from(self, state: str) -> Move | None:
        """The move that starts in `state`."""
        return next((move for move in self.moves if state in (move.from_ or (UNLISTED,))), None)


@dataclass(frozen=True, slots=True)
class Span:
    """A span counted in working days, the first day not counted."""

    __pydantic_config__: ClassVar[Any] = FORBID
    working_days: Annotated[int, Field(ge=1, le=250)]
    clause: str


@dataclass(frozen=True, slots=True)
class Cites:
    """The clauses to cite where something is wrong by itself: an industry, a grade, a unit, what the ledger holds of a
    site, the ultra-low-emission retrofit, a check, and who may not take part."""

    __pydantic_config__: ClassVar[Any] = FORBID
    industries: str
    grades: str
    units: str
    ledger: str
    retrofit: str
    check: str
    persons: str


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of the programme."""

    __pydantic_config__: ClassVar[Any] = FORBID
    notice: Span
    answer: Span
    objection: Span
    correction: Span
    refiling: Span


@dataclass(frozen=True, slots=True)
class DateRule:
    """A date of the plan: who owes what by the end of which day. A hard one refuses, a soft one marks and reminds.

    On a day off it stays where it is unless it `rolls` to the next working day. A case owes it while it stands in one of
    the states `owed_in`, and `when` names what else must be so (`obligations.WHEN`). A case that came to owe it only when
    the day was over owes it, under its own title, by the day of `late` instead, where one is named.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    title: Text
    owner: Literal["unit", "province", "enterprise"]
    due_on: PlanDay
    hard: bool
    ladder: str
    clause: str
    rolls: bool = False
    owed_in: tuple[str, ...] = ()
    when: str | None = None
    late: str | None = None


@dataclass(frozen=True, slots=True)
class Filing:
    """One filing that every unit owes: a form for a period, due on one of the programme's dates."""

    __pydantic_config__: ClassVar[Any] = FORBID
    form: str
    period: str
    due: str
    signed: bool = False
    supplementary: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One allowed value of a column: what stands in the cell and the id it stands for."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    cell: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a form, in its order.

    `choices`: inline, or the name of a list of the programme. `required_when`: the column must be filled where each of
    these columns of the same form holds one of these ids.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    head: str
    type: Literal[
        "number", "text", "lines", "date", "month", "percent", "money", "choice", "persons", "phone", "email",
        "credit_code", "permit_number", "unit", "measure_numbers", "yes_no",
    ]  # fmt: skip
    choices: str | tuple[Choice, ...] = ()
    required: bool = True
    required_when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    help: Text | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """One of the forms that units file: its columns between the common first ones and the remark.

    `rests_on`: the events whose data it carries, which are not corrected any more once it is filed.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    number: str
    title: Text
    clause: str
    row: Literal["case", "measure", "case_month", "site"]
    columns: Annotated[tuple[Column, ...], MinLen(1)]
    signed: bool = False
    rests_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormEdges:
    """The columns with which every form begins and ends."""

    __pydantic_config__: ClassVar[Any] = FORBID
    first: tuple[Column, ...]
    last: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class ReportMonth:
    """A month ("2024-07") of which a report is owed: what of it lies in the phase of tracking, and the date of its filing."""

    month: str
    begins_on: date
    ends_on: date
    due: DateRule


@dataclass(frozen=True)
class Programme:
    """One plan of one year. Immutable: a changed plan is a new `version`."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
    version: Annotated[int, Ge(1)]
    year: Annotated[int, Field(ge=2004, le=2100)]
    title: Text
    source: str
    timezone: Literal["Asia/Shanghai"]
    closes_on: PlanDay
    draft: bool
    office_hours: OfficeHours
    province: Area
    units: Annotated[tuple[Area, ...], MinLen(1)]
    targets: tuple[Target, ...]
    industries: Annotated[tuple[Industry, ...], MinLen(1)]
    indicators: Annotated[tuple[Choice, ...], MinLen(1)]
    measure_kinds: Annotated[tuple[Choice, ...], MinLen(1)]
    equipment_categories: tuple[Choice, ...]
    fundings: tuple[Choice, ...]
    grades: Annotated[tuple[Grade, ...], MinLen(1)]
    clauses: tuple[Clause, ...]
    readings: tuple[Reading, ...]
    phases: tuple[Phase, ...]
    states: Annotated[tuple[State, ...], MinLen(2)]
    events: Annotated[tuple[Event, ...], MinLen(1)]
    spans: Spans
    cites: Cites
    ladders: tuple[Ladder, ...]
    dates: tuple[DateRule, ...]
    filings: tuple[Filing, ...]
    form_edges: FormEdges
    forms: tuple[Form, ...]

    @cached_property
    def parts(self) -> list[tuple[str, Any]]:
        """The programme and everything within it, each with its key as it would be written in the file."""
        return parts(self)

    @cached_property
    def grade_by_id(self) -> dict[str, Grade]:
        """Grades by id."""
        return {grade.id: grade for grade in self.grades}

    @cached_property
    def industry_by_id(self) -> dict[str, Industry]:
        """Industries by id."""
        return {industry.id: industry for industry in self.industries}

    @cached_property
    def unit_by_code(self) -> dict[str, Area]:
        """Units by code, without the province."""
        return {unit.code: unit for unit in self.units}

    @cached_property
    def state_by_id(self) -> dict[str, State]:
        """States by id."""
        return {state.id: state for state in self.states}

    @cached_property
    def event_by_name(self) -> dict[str, Event]:
        """Events by name."""
        return {event.name: event for event in self.events}

    @cached_property
    def date_by_id(self) -> dict[str, DateRule]:
        """Dates by id."""
        return {rule.id: rule for rule in self.dates}

    @cached_property
    def ladder_by_id(self) -> dict[str, Ladder]:
        """Ladders by id, which is the kind of obligation."""
        return {ladder.id: ladder for ladder in self.ladders}

    @cached_property
    def ultra_low_grades(self) -> frozenset[str]:
        """The grades that demand the ultra-low-emission retrofit: those that the guards of the events ask about."""
        uses = (use for event in self.events for use in event.guards if use.guard == "ultra_low_done")
        return frozenset(grade for use in uses for grade in use.given["grades"])

    @cached_property
    def form_by_id(self) -> dict[str, Form]:
        """Forms by id."""
        return {form.id: form for form in self.forms}

    @cached_property
    def choice_lists(self) -> dict[str, tuple[Choice, ...]]:
        """The lists that `choices` of a column may name."""
        return {
            "grades": tuple(Choice(grade.id, grade.name.zh) for grade in self.grades),
            "target_grades": tuple(Choice(grade.id, grade.name.zh) for grade in self.grades if grade.target),
            "industries": tuple(Choice(industry.id, industry.name.zh) for industry in self.industries),
            "indicators": self.indicators,
            "measure_kinds": self.measure_kinds,
            "equipment_categories": self.equipment_categories,
            "fundings": self.fundings,
        }

    def choices_of(self, column: Column) -> tuple[Choice, ...]:
        """What may stand in the cells of a column; empty where anything of its type may."""
        return self.choice_lists[column.choices] if isinstance(column.choices, str) else column.choices

    @cached_property
    def target_by_area(self) -> dict[str, Target]:
        """The target of the province and of each unit, by code."""
        return {area: target for target in self.targets for area in target.areas}

    @cached_property
    def _event_by_kind(self) -> dict[str, Event]:
        return {event.kind: event for event in reversed(self.events)}

    def event_of_kind(self, kind: str) -> Event | None:
        """The event by which this programme does what `kind` does; None where it does not have it."""
        return self._event_by_kind.get(kind)

    @cached_property
    def dates_by_state(self) -> dict[str, tuple[DateRule, ...]]:
        """The dates that a case owes while it stands in a state, by state."""
        return {state.id: tuple(rule for rule in self.dates if state.id in rule.owed_in) for state in self.states}

    @cached_property
    def report_months(self) -> tuple[ReportMonth, ...]:
        """The months of which every case owes a report: those of the filings that have a row for each case and month."""
        clause = self.ladder_by_id["report"].clause
        phase = next((phase for phase in self.phases if phase.clause == clause), None)
        months = []
        for filing in self.filings:
            if self.form_by_id[filing.form].row == "case_month":
                first = date.fromisoformat(f"{filing.period}-01")
                last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
                begins_on = max(first, phase.from_) if phase is not None and phase.from_ is not None else first
                ends_on = min(last, phase.to) if phase is not None else last
                if begins_on <= ends_on:
                    months.append(ReportMonth(filing.period, begins_on, ends_on, self.date_by_id[filing.due]))
        return tuple(months)

    def is_above(self, grade: str, other: str) -> bool:
        """Whether `grade` is above `other`: by rank on one ladder, always across ladders or from none."""
        one, two = self.grade_by_id[grade], self.grade_by_id[other]
        return one.ladder is not None and (one.ladder != two.ladder or one.rank > two.rank)


_PROGRAMME = TypeAdapter(Programme)
Check = Callable[[Programme], Iterator[str]]


def read(source: str, *, checks: tuple[Check, ...] = ()) -> Programme:
    """The programme that stands in the TOML text `source`.

    `checks` look at what types cannot say (`programme_checks.ALL`) and are asked once the types are right. Raises
    ProgrammeRefused with every problem, each behind its key (where it is no TOML: with its line).
    """
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeRefused((f"not TOML: {error}",)) from error
    try:
        programme = _PROGRAMME.validate_python(document)
    except ValidationError as error:
        found = tuple(f"{_key(problem['loc'], document)}: {problem['msg']}" for problem in error.errors())
        raise ProgrammeRefused(found) from error
    problems = tuple(problem for check in checks for problem in check(programme))
    if problems:
        raise ProgrammeRefused(problems)
    return programme


def _key(location: tuple[int | str, ...], document: Any) -> str:
    """Where a finding of the parser stands: entries of a list by what they are called, else by their place."""
    key = ""
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):  # what is missing, or an alternative that the parser names
            document = None
        name = name_of(document) if isinstance(part, int) and isinstance(document, dict) else None
        key += f"[{part}]" if isinstance(part, int) and name is None else f".{name or part}"
    return key.lstrip(".") or "(file)"


@lru_cache
def packaged_sources() -> Mapping[str, str]:
    """The TOML text of every packaged programme by file name without its ending."""
    folder = resources.files("workflows") / "programmes"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}
