"""How requests are answered, by unit and kind (二（五）, 四（二）)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from service import access
from service.access import Caller
from service.casework.desk import Desk
from service.casework.requests import ANSWERED, OPEN, OVERDUE, ROWS, in_state
from workflows.obligations import median_working_days
from workflows.working_days import Calendar, end_of_day

_Spans = list[tuple[datetime, datetime]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests are counted; None counts all. `from_` and `to` are days of receipt, both included."""

    unit: str | None = None
    kind: str | None = None
    from_: date | None = None
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How many were received; each of them is answered, open, or overdue. `median_working_days`: from receipt to answer.

    `share_in_time` is of those whose term has shown: answered, or overdue.
    """

    received: int
    answered: int
    answered_late: int
    open: int
    overdue: int
    median_working_days: float | None

    @property
    def share_in_time(self) -> float | None:
        """From 0 to 1; None where no term has shown anything yet."""
        shown = self.answered + self.overdue
        return round((self.answered - self.answered_late) / shown, 4) if shown else None


def by_unit_and_kind(
    desk: Desk, caller: Caller, wanted: Wanted, now: datetime
) -> tuple[dict[tuple[str, str], Figures], Figures]:
    """The figures of each unit and kind that has requests in scope, as they stand at `now`, and those of all together."""
    conditions = [access.requests_seen(caller)]
    if wanted.unit is not None:
        conditions.append(ROWS.c.unit == wanted.unit)
    if wanted.kind is not None:
        conditions.append(ROWS.c.kind == wanted.kind)
    if wanted.from_ is not None:
        conditions.append(ROWS.c.received_at >= end_of_day(wanted.from_ - timedelta(days=1)))
    if wanted.to is not None:
        conditions.append(ROWS.c.received_at < end_of_day(wanted.to))
    group = ROWS.c.unit, ROWS.c.kind
    tallies = [
        func.count(),
        func.count().filter(in_state(ANSWERED, now)),
        func.count().filter(in_state(ANSWERED, now) & ROWS.c.late),
        func.count().filter(in_state(OPEN, now)),
        func.count().filter(in_state(OVERDUE, now)),
    ]
    counted = desk.tx.execute(select(*group, *tallies).where(*conditions).group_by(*group).order_by(*group)).all()
    answered = select(*group, ROWS.c.received_at, ROWS.c.answered_at).where(*conditions, in_state(ANSWERED, now))
    spans: defaultdict[tuple[str, str], _Spans] = defaultdict(list)
    for unit, kind, received_at, answered_at in desk.tx.execute(answered):
        spans[unit, kind].append((received_at, answered_at))
    tallied = {(unit, kind): tally for unit, kind, *tally in counted}
    everything = [sum(column) for column in zip(*tallied.values(), strict=True)] or [0] * len(tallies)
    figures = {name: _figures(desk.calendar, tally, spans[name]) for name, tally in tallied.items()}
    return figures, _figures(desk.calendar, everything, [span for each in spans.values() for span in each])


def _figures(calendar: Calendar, tally: Sequence[int], spans: _Spans) -> Figures:
    received, answered, late, still_open, overdue = tally
    return Figures(received, answered, late, still_open, overdue, median_working_days(calendar, spans))
