"""The board (四（二）): how far the province and each unit are, what they owe and have met, and who is behind.

Everything is counted by a handful of grouped statements, however many cases there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from sqlalchemy import case, func, literal, select

from service.casework import obligations
from service.casework.desk import Desk
from service.storage.tables import CaseRow, Request, UTCDateTime, table
from workflows.obligations import Outcome
from workflows.programme import Area, Programme
from workflows.working_days import end_of_day

_CASES, _REQUESTS = table(CaseRow), table(Request)
_OWED = obligations.ROWS
_SHOWN = {"met": "met", "met_late": "late", "nil": "nil", "open": "open", "overdue": "overdue"}


@dataclass(slots=True)
class Standing:
    """How one area stands. `counted`: sites that came into a counted grade in time, `counted_after`: later than that."""

    area: Area
    target: int | None
    counted: int = 0
    counted_after: int = 0
    by_state: dict[str, int] = field(default_factory=dict)
    obligations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SHOWN.values(), 0))
    requests: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("open", "overdue", "answered_late"), 0))
    own_obligations: dict[str, int] | None = None
    rank: int | None = None

    @property
    def reached(self) -> Fraction:
        """The share of the target that is reached; all of it where there is nothing to reach."""
        if self.target is None:
            return Fraction(0)
        return Fraction(self.counted, self.target) if self.target else Fraction(1)

    @property
    def in_time(self) -> Fraction:
        """The share of what had to be done by now that was done in time; all of it where nothing had to be."""
        kept = self.obligations["met"] + self.obligations["nil"]
        had_to_be = kept + self.obligations["late"] + self.obligations["overdue"]
        return Fraction(kept, had_to_be) if had_to_be else Fraction(1)


def draw_up(desk: Desk, programme: Programme, now: datetime) -> tuple[Standing, list[Standing]]:
    """The province and its units as they stand at `now`, units in the programme's order."""
    targets = programme.target_by_area
    areas = {
        area.code: Standing(area, targets[area.code].sites if area.code in targets else None)
        for area in (programme.province, *programme.units)
    }
    province = areas[programme.province.code]
    units = [areas[unit.code] for unit in programme.units]
    _count_sites(desk, programme, areas)
    _count_cases(desk, programme, areas)
    _count_obligations(desk, programme, areas, now)
    _count_requests(desk, programme, areas, now)
    province.own_obligations = dict(province.obligations)
    for standing in units:
        for name, number in standing.obligations.items():
            province.obligations[name] += number
        for name, number in standing.by_state.items():
            province.by_state[name] = province.by_state.get(name, 0) + number
        for name, number in standing.requests.items():
            province.requests[name] += number
    _rank(units)
    return province, units


def _rank(units: Sequence[Standing]) -> None:
    """By the share of the target reached, then by the share of obligations met in time; equals share a place."""
    shares = {standing.area.code: (standing.reached, standing.in_time) for standing in units}
    for standing in units:
        standing.rank = 1 + sum(other > shares[standing.area.code] for other in shares.values())


def _count_sites(desk: Desk, programme: Programme, areas: Mapping[str, Standing]) -> None:
    """Sites (家), each once, by when it first came into a counted grade that it did not hold at listing."""
    province = programme.province.code
    for target in programme.targets:
        first = (
            select(_CASES.c.unit, func.min(_CASES.c.entered_at).label("first_at"))
            .where(
                _CASES.c.programme == programme.id,
                _CASES.c.recognised_grade.in_(target.counted),
                _CASES.c.recognised_grade != _CASES.c.current_grade,
            )
            .group_by(_CASES.c.unit, _CASES.c.enterprise)
            .subquery()
        )
        is_timely = first.c.first_at < literal(end_of_day(target.by), UTCDateTime)
        timely = func.sum(case((is_timely, 1), else_=0))
        counted = select(first.c.unit, func.count(), timely).group_by(first.c.unit)
        for unit, sites, in_time in desk.tx.execute(counted):
            for code in {unit, province} & set(target.areas):
                areas[code].counted += in_time
                areas[code].counted_after += sites - in_time


def _count_cases(desk: Desk, programme: Programme, areas: Mapping[str, Standing]) -> None:
    statement = select(_CASES.c.unit, _CASES.c.state, func.count()).where(_CASES.c.programme == programme.id)
    found: dict[tuple[str, str], int] = {
        (unit, state): number
        for unit, state, number in desk.tx.execute(statement.group_by(_CASES.c.unit, _CASES.c.state))
    }
    for unit in programme.units:
        counted = ((state.id, found.get((unit.code, state.id), 0)) for state in programme.states)
        areas[unit.code].by_state.update((state, number) for state, number in counted if number)


def _count_obligations(desk: Desk, programme: Programme, areas: Mapping[str, Standing], now: datetime) -> None:
    """What each owes, and what became of it. What is closed did not have to be met, unless its term was over before."""
    is_overdue = obligations.is_overdue(now, [programme])
    was_broken = (_OWED.c.status == str(Outcome.CLOSED)) & _OWED.c.breached_at.is_not(None)
    status = case((is_overdue, "overdue"), (was_broken, str(Outcome.MET_LATE)), else_=_OWED.c.status).label("shown")
    is_counted = (_OWED.c.status != str(Outcome.CLOSED)) | was_broken
    statement = (
        select(_OWED.c.unit, status, func.count())
        .where(_OWED.c.programme == programme.id, obligations.begun(now), is_counted)
        .group_by(_OWED.c.unit, status)
    )
    for unit, shown, number in desk.tx.execute(statement):
        if unit in areas:
            areas[unit].obligations[_SHOWN[shown]] += number


def _count_requests(desk: Desk, programme: Programme, areas: Mapping[str, Standing], now: datetime) -> None:
    is_open = _REQUESTS.c.state == "open"
    counts = {
        "open": is_open & (_REQUESTS.c.due_at > now),
        "overdue": is_open & (_REQUESTS.c.due_at <= now),
        "answered_late": ~is_open & _REQUESTS.c.late.is_(True),
    }
    columns = (func.sum(case((condition, 1), else_=0)).label(name) for name, condition in counts.items())
    statement = select(_REQUESTS.c.unit, *columns).where(_REQUESTS.c.programme == programme.id)
    for row in desk.tx.execute(statement.group_by(_REQUESTS.c.unit)).mappings():
        if row["unit"] in areas:
            areas[row["unit"]].requests.update({name: int(row[name]) for name in counts})
