"""Ladders of reminders: which rung of one is reached when, in office hours of working days, but for a breach."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, MinLen

from workflows.text import Text
from workflows.working_days import SHANGHAI, Calendar, end_of_day, legal_day

FORBID: dict[str, Any] = {"extra": "forbid", "arbitrary_types_allowed": True}
RUNG = re.compile(
    r"t-(?P<before>[1-9]\d*)|working-day-(?P<working_day>[1-9]\d*)|handed|due|overdue|breach|daily|escalated", re.ASCII
)
# With one of these a ladder says that passing its date is a failure and not just an end.
_BREACHES = frozenset({"overdue", "breach"})
# What is told only once a term is over.
AFTERWARDS = _BREACHES | {"escalated"}
_DAILY, _HANDED = "daily", "handed"


def is_rung(told: str, rung: str) -> bool:
    """Whether something was told as this rung: the name says so, with the day behind it where the term began anew."""
    return told == rung or told.startswith(f"{rung}-")


@lru_cache(maxsize=4096)  # what is owed is reckoned with every event of a case
def _instant_of(on: date, at: time) -> datetime:
    return datetime.combine(on, at, SHANGHAI).astimezone(UTC)


Recipient = Literal["handler", "officer", "supervisor", "province", "enterprise"]


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """Between which times of a working day, in Asia/Shanghai, reminders go out."""

    __pydantic_config__: ClassVar[Any] = FORBID
    opens: time
    closes: time

    def opening(self, on: date) -> datetime:
        """When the office opens on that day, aware UTC."""
        return _instant_of(on, self.opens)

    def is_open(self, calendar: Calendar, now: datetime) -> bool:
        """Whether `now` lies in office hours of a working day."""
        clock = now.astimezone(SHANGHAI).time()
        return calendar.day(legal_day(now)).working and self.opens <= clock < self.closes

    def open_from(self, calendar: Calendar, at: datetime) -> datetime:
        """`at`, if the office is open then, else the next opening."""
        if self.is_open(calendar, at):
            return at
        on = legal_day(at)
        if calendar.day(on).working and at < self.opening(on):
            return self.opening(on)
        return self.opening(calendar.add(on, 1).due_on)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder and who gets it.

    `t-7`: seven days before the due day; `working-day-3`: on the third working day; `handed`: at once; `due`: on the day;
    `breach`: the moment the day is over, at whatever hour; `overdue`: on the first working day after it, `escalated`: on
    the `after`-th; `daily`: on each working day after that moment's. `required`: nobody can switch it off.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    to: Annotated[tuple[Recipient, ...], MinLen(1)]
    after: Annotated[int | None, Ge(1)] = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """What one kind of obligation is called, which clause asks for it, what to do, and the rungs of its reminders."""

    __pydantic_config__: ClassVar[Any] = FORBID
    id: str
    title: Text
    next: Text
    clause: str
    rungs: Annotated[tuple[Rung, ...], MinLen(1)]

    @property
    def breaches(self) -> bool:
        """Whether passing the due day is a failure (a re-submission is a chance, a notice simply ends)."""
        return any(rung.id in _BREACHES for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class Reached:
    """A rung at its instant, aware UTC; `id` of a daily one carries its day: daily-2024-10-14."""

    id: str
    at: datetime
    rung: Rung = field(compare=False)


@dataclass(frozen=True, slots=True)
class Term:
    """What a ladder leans on: the aware instant at which something began to be owed, and the last day for it.

    `is_handed`: somebody is given it at that instant, and is told at once. A date of the plan is given to nobody.
    """

    since: datetime
    due_on: date
    is_handed: bool = True

    @property
    def due_at(self) -> datetime:
        """24:00 of the due day."""
        return end_of_day(self.due_on)


def climb(
    ladder: Ladder, term: Term, calendar: Calendar, hours: OfficeHours, *, until: datetime
) -> tuple[Reached, ...]:
    """Every rung of `ladder` from the beginning of `term` up to and including the instant `until`, in order.

    Of rungs at the same instant the later of the ladder comes last. What would have come before the term began is left
    out: nobody is told today that it will be due in a week when it is due tomorrow.
    """
    found = [reached for reached in _fixed(ladder, term, calendar, hours) if reached.at <= until]
    for rung in ladder.rungs:
        if rung.id == _DAILY:
            days = _working_days_after(_broken_on(term), calendar, legal_day(until))
            found += (_daily(rung, on, hours) for on in days)
    return tuple(sorted((each for each in found if term.since <= each.at <= until), key=lambda each: each.at))


def _fixed(ladder: Ladder, term: Term, calendar: Calendar, hours: OfficeHours) -> Iterator[Reached]:
    """The rungs that come once, in the order of the ladder."""
    for rung in ladder.rungs:
        if rung.id == _DAILY or (rung.id == _HANDED and not term.is_handed):
            continue
        at = _instant(rung, term, calendar, hours)
        if at < term.since and rung.id in AFTERWARDS:  # over before it began: that is what has to be told first
            at = term.since if rung.id == "breach" else hours.open_from(calendar, term.since)
        yield Reached(rung.id, at, rung)


def _broken_on(term: Term) -> date:
    """The day that begins when the term is over: of that the breach itself tells."""
    return term.due_on + timedelta(days=1)


def _daily(rung: Rung, on: date, hours: OfficeHours) -> Reached:
    return Reached(f"{rung.id}-{on}", hours.opening(on), rung)


def _working_days_after(day: date, calendar: Calendar, until: date) -> Iterator[date]:
    while (day := calendar.add(day, 1).due_on) <= until:
        yield day


def _instant(rung: Rung, term: Term, calendar: Calendar, hours: OfficeHours) -> datetime:
    told = RUNG.fullmatch(rung.id)
    assert told is not None  # programme_checks has seen to it
    if rung.id == "breach":
        return term.due_at
    if rung.id == "handed":
        return hours.open_from(calendar, term.since)
    if rung.id in ("overdue", "escalated"):
        return hours.opening(calendar.add(term.due_on, rung.after or 1).due_on)
    if told["working_day"]:
        return hours.opening(calendar.add(legal_day(term.since), int(told["working_day"])).due_on)
    day = term.due_on - timedelta(days=int(told["before"] or 0))
    return hours.opening(calendar.last_working_day_on_or_before(day))


def next_at(ladder: Ladder, term: Term, calendar: Calendar, hours: OfficeHours, *, after: datetime) -> datetime | None:
    """The first instant beyond `after` at which a rung is reached or the term is over; None: nothing more comes."""
    instants = [each.at for each in _fixed(ladder, term, calendar, hours) if each.at >= term.since]
    if ladder.breaches:
        instants.append(max(term.due_at, term.since))
    if any(rung.id == _DAILY for rung in ladder.rungs):
        begins = max(after, term.since - timedelta(microseconds=1))
        from_ = max(_broken_on(term), legal_day(begins) - timedelta(days=1))
        on = calendar.add(from_, 1).due_on
        if hours.opening(on) <= begins:
            on = calendar.add(on, 1).due_on
        instants.append(hours.opening(on))
    return min((at for at in instants if at > after), default=None)
