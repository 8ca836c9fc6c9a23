"""What REST clients get of the programme and of the calendar."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from service.api.shapes import Got, Page


class ProgrammeLine(Got):
    """A programme in short."""

    id: str
    version: int
    title: str
    closes_on: date


class ProgrammeList(Page):
    """The newest version of every programme."""

    items: list[ProgrammeLine]


class PhaseGot(Got):
    """A phase of the programme; its days are included on both ends."""

    id: str
    title: str
    from_: date | None = Field(alias="from", description="Null: from the beginning.")
    to: date
    clause: str


class AreaGot(Got):
    """A reporting unit, or the province, with its target."""

    code: str
    name: str
    target: int
    counted: list[str]
    clause: str


class IndustryGot(Got):
    """An industry of the programme."""

    id: str
    name: str
    ultra_low: bool
    needs_detail: bool


class ChoiceGot(Got):
    """One allowed value: its id and how it is written in the forms."""

    id: str
    name: str


class GradeGot(Got):
    """A grade; higher `rank` is better within its `ladder`."""

    id: str
    name: str
    ladder: str | None
    rank: int
    target: bool
    entitlement: str | None


class StateGot(Got):
    """A state of the machine."""

    id: str
    name: str
    final: bool


class WindowGot(Got):
    """When an event belongs: outside it needs a reason, after `hard_after` it is refused."""

    from_: date | None = Field(alias="from")
    to: date | None
    hard_after: date | None = None


class GuardGot(Got):
    """A condition that an event needs, and the clause it carries out."""

    guard: str
    clause: str


class EventGot(Got):
    """An event of the machine; `to` is null where the state stays or goes back."""

    id: str
    name: str
    kind: str
    title: str
    from_: list[str] = Field(alias="from")
    to: str | None
    roles: list[str]
    window: WindowGot
    needs_reason: bool
    clause: str
    guards: list[GuardGot]
    data_schema: dict[str, Any] = Field(description="The JSON schema of the event's `data`.")


class SpanGot(Got):
    """So many working days."""

    working_days: int
    clause: str


class DateGot(Got):
    """A date that somebody owes something by."""

    id: str
    title: str
    owner: str
    due_on: date
    hard: bool
    ladder: list[str]
    clause: str


class ColumnGot(Got):
    """A column of a form."""

    id: str
    head: str
    type: str
    required: bool


class FormGot(Got):
    """A form of the plan's annexes."""

    id: str
    number: str
    title: str
    clause: str
    signed: bool
    columns: list[ColumnGot]


class ClauseGot(Got):
    """A clause of the plan: where it stands and what it says."""

    id: str
    where: str
    says: str


class ReadingGot(Got):
    """How an open question of a clause was read."""

    clause: str
    text: str


class ProgrammeGot(ProgrammeLine):
    """A programme, whole."""

    source: str
    year: int
    timezone: str
    draft: bool
    phases: list[PhaseGot]
    units: list[AreaGot]
    province: AreaGot
    industries: list[IndustryGot]
    indicators: list[ChoiceGot]
    measure_kinds: list[ChoiceGot]
    equipment_categories: list[ChoiceGot]
    fundings: list[ChoiceGot]
    grades: list[GradeGot]
    states: list[StateGot]
    events: list[EventGot]
    spans: dict[str, SpanGot]
    dates: list[DateGot]
    filings: list[dict[str, Any]]
    forms: list[FormGot]
    clauses: list[ClauseGot]
    readings: list[ReadingGot]


class DayGot(Got):
    """One day of the working calendar, and the notice that arranged it."""

    on: date = Field(alias="date")
    working: bool
    kind: Literal["weekday", "weekend", "off", "make_up", "unknown"]
    provisional: bool
    name: str | None
    paper: str | None


class WalkedDay(Got):
    """One step of the walk: `number` counts the working days."""

    on: date = Field(alias="date")
    kind: str
    counted: bool
    number: int | None


class DueGot(Got):
    """The end of so many working days, with the walk day by day."""

    start: date
    working_days: int
    due_on: date
    due_at: datetime
    provisional: bool
    days: list[WalkedDay]
