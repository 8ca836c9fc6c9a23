"""Who plays: the people of each unit and of the province, and the enterprises with what is going to become of each.

Everything is drawn from the seed and the number of the player, so that nobody's lot hangs on who came before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from service.access import Caller
from service.chance import Chance
from service.sample import credit_code
from workflows.programme import Area, Grade, Industry, Programme, Role
from workflows.working_days import Calendar

_SURNAMES = ("张", "王", "李", "赵", "刘", "陈", "杨", "黄", "周", "吴", "徐", "马")
_PLACES = ("嵩山", "黄河", "中原", "龙门", "淇水", "太行", "伏牛", "颍水", "洛神", "殷商", "大河", "云台")
_TRADES = ("实业", "新材料", "机械", "环保科技", "工贸", "制造")


@dataclass(frozen=True, slots=True)
class Office:
    """The people of one unit, or of the province: two officers, and one who takes no part in cases."""

    area: Area
    officers: tuple[Caller, Caller]
    apart: Caller
    handler: str

    @property
    def names(self) -> Iterator[tuple[str, str]]:
        """Each duty, and who has it."""
        yield "officer", self.officers[0].name
        yield "supervisor", self.apart.name
        yield "handler", self.handler


@dataclass(frozen=True, slots=True)
class Enterprise:
    """One enterprise that takes part, and its lot. Spans are working days but `lag`, days between when a measure is due
    and when it is done; `…_at` is the version at which it happens.
    """

    number: int
    unit: str
    name: str
    code: str
    has_address: bool
    industry: Industry
    current: str
    target: str
    retrofit: str | None
    listed_on: date
    pace: int
    measures: int
    lag: int
    assessor: str
    reviewers: tuple[str, str]
    inspector: str
    is_hasty: bool
    is_careless: bool
    goes_fast: bool
    plan_returned: bool
    plan_amended: bool
    fails_first: bool
    checked_after: int
    results: tuple[str, ...]
    objected: bool
    resubmits: str
    leaves_at: int | None
    comes_back: bool
    corrected_at: int | None
    banned_on: date | None
    asks_on: tuple[date, ...]


def office(area: Area, role: str) -> Office:
    """The people of a unit or of the province, with names of their own."""
    own = Chance.seeded(area.code)
    surnames = [own.one_of(_SURNAMES) for _ in range(4)]
    unit = area.code if role == Role.UNIT else None
    # Of the province nobody has the name of somebody of a unit: who took part is told by names.
    given_names = ("晓岚", "雨桐", "志强") if unit else ("正平", "守信", "明德")
    callers = [
        Caller(f"{area.code}-{number}", f"{surname}{given}", role, unit)
        for number, (surname, given) in enumerate(zip(surnames, given_names, strict=False), 1)
    ]
    return Office(area, (callers[0], callers[1]), callers[2], f"{surnames[3]}若溪")


def shared_out(programme: Programme, cases: int) -> list[str]:
    """The unit of each of so many cases, in the proportion of the units' targets, in turns."""
    codes = [unit.code for unit in programme.units]
    targets = programme.target_by_area
    weights = {code: max(1, targets[code].sites if code in targets else 1) for code in codes}
    total = sum(weights.values())
    quotas = {code: cases * weight // total for code, weight in weights.items()}
    left = sorted(codes, key=lambda code: (-(cases * weights[code] % total), code))
    for code in left[: cases - sum(quotas.values())]:
        quotas[code] += 1
    turns = [(turn, code) for code in codes for turn in range(quotas[code])]
    return [code for _, code in sorted(turns, key=lambda each: (each[0], codes.index(each[1])))]


def enterprises(programme: Programme, calendar: Calendar, begins_on: date, cases: int, seed: int) -> list[Enterprise]:
    """So many enterprises with their lots."""
    return [
        _enterprise(programme, calendar, begins_on, number, unit, Chance.seeded(f"{seed}:enterprise:{number}"))
        for number, unit in enumerate(shared_out(programme, cases), 1)
    ]


def _enterprise(
    programme: Programme, calendar: Calendar, begins_on: date, number: int, unit: str, chance: Chance
) -> Enterprise:
    def happens(share: float) -> bool:
        return chance.fraction() < share

    industry = chance.one_of(programme.industries)
    current, target = _grades(programme, industry, chance)
    demands_retrofit = industry.ultra_low and target in programme.ultra_low_grades
    first, last = begins_on, _last_day_of_listing(programme, begins_on)
    term = max(1, calendar.between(first, last))
    listed_on = (
        calendar.add(last, 1 + chance.below(12)) if happens(0.05) else calendar.add(first, 1 + chance.below(term))
    )
    days = (programme.closes_on - first).days
    surname, place = chance.one_of(_SURNAMES), chance.one_of(_PLACES)
    return Enterprise(
        number=number,
        unit=unit,
        name=f"{programme.unit_by_code[unit].name.zh}{place}{industry.name.zh}{chance.one_of(_TRADES)}{number}有限公司",
        code=credit_code(unit, number),
        has_address=happens(0.7),
        industry=industry,
        current=current,
        target=target,
        retrofit=chance.one_of(("done", "done", "later", "never")) if demands_retrofit else None,
        listed_on=listed_on.due_on,
        pace=1 + chance.below(5) + (15 if happens(0.08) else 0),
        measures=1 + chance.below(3),
        lag=chance.below(30) - 26 + (25 if happens(0.1) else 0),
        assessor=f"{surname}文博",
        reviewers=(f"{chance.one_of(_SURNAMES)}建国", f"{chance.one_of(_SURNAMES)}立新"),
        inspector=f"{chance.one_of(_SURNAMES)}清源",
        is_hasty=happens(0.03),
        is_careless=happens(0.04),
        goes_fast=happens(0.08),
        plan_returned=happens(0.05),
        plan_amended=happens(0.05),
        fails_first=happens(0.08),
        checked_after=1 + chance.below(40),
        results=tuple(chance.one_of(_RESULTS) for _ in range(2)),
        objected=happens(0.08),
        resubmits=chance.one_of(("soon", "soon", "soon", "late", "never")),
        leaves_at=2 + chance.below(7) if happens(0.06) else None,
        comes_back=happens(0.4),
        corrected_at=2 + chance.below(6) if happens(0.03) else None,
        banned_on=first + timedelta(days=60 + chance.below(days - 60)) if happens(0.015) else None,
        asks_on=tuple(first + timedelta(days=20 + chance.below(days - 30)) for _ in range(chance.below(3))),
    )


_RESULTS = ("passed",) * 15 + ("failed",) * 3 + ("rectify",) * 2


def _last_day_of_listing(programme: Programme, begins_on: date) -> date:
    event = programme.event_of_kind("list")
    return (event.window.to if event else None) or begins_on + timedelta(days=30)


def _grades(programme: Programme, industry: Industry, chance: Chance) -> tuple[str, str]:
    """A present grade and one above it that is a target."""
    targets: Sequence[Grade] = [grade for grade in programme.grades if grade.target]
    if industry.ultra_low and chance.fraction() < 0.5:
        targets = [grade for grade in targets if grade.id in programme.ultra_low_grades] or targets
    target = chance.one_of(targets)
    below = [grade.id for grade in programme.grades if programme.is_above(target.id, grade.id)]
    own = [id_ for id_ in below if programme.grade_by_id[id_].ladder == target.ladder]
    return chance.one_of(own if own and chance.fraction() < 0.8 else below), target.id


def contact_of(enterprise: Enterprise) -> dict[str, Any]:
    """Whom to reach at an enterprise."""
    person = {"name": f"联系人{enterprise.number:04d}", "phone": f"0371-{60000000 + enterprise.number}"}
    return person | ({"email": f"site{enterprise.number}@example.org"} if enterprise.has_address else {})
