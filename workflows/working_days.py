"""The Chinese working calendar: counts working days, explains the count, and knows where its knowledge ends."""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from itertools import accumulate
from zoneinfo import ZoneInfo

from workflows.errors import CalendarRefused

SHANGHAI = ZoneInfo("Asia/Shanghai")
MOST_WORKING_DAYS = 250

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"\S+〔\d{4}〕\d+号", re.ASCII)


class DayKind(StrEnum):
    """What a day is. `unknown`: no notice is loaded for its year, so Monday to Friday is only assumed."""

    WEEKDAY = "weekday"
    WEEKEND = "weekend"
    OFF = "off"
    MAKE_UP = "make_up"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Paper:
    """A notice of the State Council: its number (文号) where known, its title, where it can be read."""

    number: str | None
    title: str
    url: str | None

    @property
    def label(self) -> str:
        """How the notice is cited: by its number, else by its title."""
        return self.number or self.title


@dataclass(frozen=True, slots=True)
class NamedDay:
    """A day that a notice names: off, or worked. `paper` is the place of that notice among the year's, from 1."""

    on: date
    name: str
    is_off: bool
    paper: int | None = None


# New Year, Labour Day and the three National Days, as month and day; the other holidays move with the moon.
_ALWAYS_OFF = ((1, 1), (5, 1), (10, 1), (10, 2), (10, 3))


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """What the notices for one year arrange, days in order; they may reach into the neighbouring years."""

    year: int
    papers: tuple[Paper, ...]
    days: tuple[NamedDay, ...]

    @property
    def missing(self) -> tuple[date, ...]:
        """Days that are off in every year (全国年节及纪念日放假办法, 第二条) and that this one lets be worked: is it whole?"""
        off = {day.on for day in self.days if day.is_off}
        fixed = (date(self.year, month, day) for month, day in _ALWAYS_OFF)
        return tuple(on for on in fixed if on not in off and _is_weekday(on.toordinal()))

    def to_document(self) -> dict[str, object]:
        """The year in holiday-cn's JSON form, from which `read_year` makes an equal one.

        What that form has no place for is added: a paper with more than its address is an object instead of a text,
        a day may carry `paper`.
        """
        return {
            "year": self.year,
            "papers": [_paper_document(paper) for paper in self.papers],
            "days": [
                {"name": day.name, "date": day.on.isoformat(), "isOffDay": day.is_off}
                | ({} if day.paper is None else {"paper": day.paper})
                for day in self.days
            ],
        }


@dataclass(frozen=True, slots=True)
class Day:
    """One day: what it is, whether it is worked, whether that may still change, and the notice that names it."""

    on: date
    kind: DayKind
    working: bool
    provisional: bool
    name: str | None
    paper: str | None


@dataclass(frozen=True, slots=True)
class WalkedDay:
    """One day of a count; `number` is its place among the working days, from 1, where it was counted."""

    on: date
    kind: DayKind
    counted: bool
    number: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """The end of a count of working days from `start`, forwards or, where `due_on` is earlier, backwards.

    `due_at` is 24:00 of `due_on` in Asia/Shanghai, as aware UTC. `provisional`: a day of the count is, so that the
    end may still move.
    """

    start: date
    working_days: int
    due_on: date
    due_at: datetime
    provisional: bool
    calendar: "Calendar" = field(repr=False, compare=False)

    @property
    def days(self) -> tuple[WalkedDay, ...]:
        """The walk: each day after `start` to `due_on`. Built when asked for, as a count mostly needs its end only."""
        step = 1 if self.due_on > self.start else -1
        walked, number = [], 0
        for ordinal in range(self.start.toordinal() + step, self.due_on.toordinal() + step, step):
            day = self.calendar.day(date.fromordinal(ordinal))
            number += day.working
            walked.append(WalkedDay(day.on, day.kind, day.working, number if day.working else None))
        return tuple(walked)


@dataclass(frozen=True, slots=True, init=False)
class Calendar:
    """The calendar of the loaded years, a value. A year given twice counts as given last: that is how it is amended.

    Of two years' notices that name the same day the later year's stands. Days are numbered by their ordinal
    (`date.toordinal`, 0001-01-01 is 1, a Monday) and tables reach over the loaded years only: outside them Monday to
    Friday is arithmetic, so every count takes the same short time.
    """

    years: tuple[CalendarYear, ...]
    _loaded: frozenset[int] = field(repr=False, compare=False)
    _named: Mapping[int, tuple[NamedDay, str]] = field(repr=False, compare=False)
    _first: int = field(repr=False, compare=False)
    _last: int = field(repr=False, compare=False)
    _working: tuple[int, ...] = field(repr=False, compare=False)
    _provisional: tuple[int, ...] = field(repr=False, compare=False)

    def __init__(self, years: Iterable[CalendarYear]) -> None:
        by_year = {year.year: year for year in years}
        ordered = tuple(by_year[year] for year in sorted(by_year))
        named = {day.on.toordinal(): (day, _cited(year, day)) for year in ordered for day in year.days}
        first = min([*named, *(date(year, 1, 1).toordinal() for year in by_year)], default=1)
        last = max([*named, *(date(year, 12, 31).toordinal() for year in by_year)], default=0)
        # A frozen class is filled through object.__setattr__.
        fill = object.__setattr__
        fill(self, "years", ordered)
        fill(self, "_loaded", frozenset(by_year))
        fill(self, "_named", named)
        fill(self, "_first", first)
        fill(self, "_last", last)
        span = range(first, last + 1)
        fill(self, "_working", tuple(ordinal for ordinal in span if self._is_working(ordinal)))
        provisional = (self._is_provisional(date.fromordinal(ordinal)) for ordinal in span)
        fill(self, "_provisional", tuple(accumulate(provisional, initial=0)))

    def day(self, on: date) -> Day:
        """What `on`, a day in Asia/Shanghai, is. Raises TypeError for an instant: see `legal_day`."""
        ordinal = _ordinal(on)
        working = self._is_working(ordinal)
        provisional = self._is_provisional(on)
        if ordinal in self._named:
            named, paper = self._named[ordinal]
            # A notice may also say that a weekday is worked as usual ("2月3日起正常上班", 2020): no make-up day.
            kind = DayKind.OFF if named.is_off else DayKind.WEEKDAY if _is_weekday(ordinal) else DayKind.MAKE_UP
            return Day(on, kind, working, provisional, named.name, paper)
        if on.year not in self._loaded:
            return Day(on, DayKind.UNKNOWN, working, provisional, None, None)
        return Day(on, DayKind.WEEKDAY if working else DayKind.WEEKEND, working, provisional, None, None)

    def add(self, start: date, working_days: int) -> Due:
        """The end of `working_days` (1 to 250) working days; the day of `start` is not counted (民法典 201), the last
        one ends at 24:00 (民法典 203; 二（五）).

        Raises ValueError for another number or where the years end, TypeError for an instant.
        """
        ordinal = _ordinal(start)
        return self._due(start, working_days, ordinal, self._count(ordinal) + _checked(working_days))

    def before(self, start: date, working_days: int) -> Due:
        """The `working_days`-th (1 to 250) working day before `start`, which is not counted itself.

        Raises ValueError for another number or where the years begin, TypeError for an instant.
        """
        ordinal = _ordinal(start)
        return self._due(start, working_days, ordinal, self._count(ordinal - 1) - _checked(working_days) + 1)

    def explain(self, start: date, working_days: int) -> Due:
        """The same as `add`, under the name of what it is asked for: its `days`."""
        return self.add(start, working_days)

    def between(self, start: date, end: date) -> int:
        """How many working days lie after `start`, up to and including `end`; 0 where `end` is not after `start`."""
        return max(0, self._count(_ordinal(end)) - self._count(_ordinal(start)))

    def last_working_day_on_or_before(self, on: date) -> date:
        """`on` itself if it is worked, else the last working day before it: when a date on a day off is reminded of."""
        return date.fromordinal(self._nth(self._count(_ordinal(on))))

    def _due(self, start: date, working_days: int, start_ordinal: int, nth: int) -> Due:
        due = self._nth(nth)
        due_on = date.fromordinal(due)
        if due > start_ordinal:
            provisional = self._has_provisional(start_ordinal + 1, due)
        else:
            provisional = self._has_provisional(due, start_ordinal - 1)
        return Due(start, working_days, due_on, end_of_day(due_on), provisional, self)

    def _is_working(self, ordinal: int) -> bool:
        named = self._named.get(ordinal)
        return _is_weekday(ordinal) if named is None else not named[0].is_off

    def _is_provisional(self, on: date) -> bool:
        # The notice for a year also arranges the last week of the year before.
        if on.month == 12 and on.day >= 25 and on.year + 1 not in self._loaded:
            return True
        return on.year not in self._loaded

    def _has_provisional(self, first: int, last: int) -> bool:
        """Whether a day from `first` to `last`, both included, is provisional."""
        if first < self._first or last > self._last:
            return True
        return self._provisional[last + 1 - self._first] > self._provisional[first - self._first]

    def _count(self, ordinal: int) -> int:
        """How many working days there are from 0001-01-01 up to and including `ordinal`."""
        if ordinal < self._first:
            return _weekdays(ordinal)
        inside = _weekdays(self._first - 1) + bisect_right(self._working, ordinal)
        return inside if ordinal <= self._last else inside + _weekdays(ordinal) - _weekdays(self._last)

    def _nth(self, nth: int) -> int:
        """The ordinal of the `nth` working day from 0001-01-01: `_count` turned round."""
        before = _weekdays(self._first - 1)
        if nth > before + len(self._working):
            return _nth_weekday(nth - before - len(self._working) + _weekdays(self._last))
        return self._working[nth - before - 1] if nth > before else _nth_weekday(nth)


@lru_cache(maxsize=4096)
def end_of_day(on: date) -> datetime:
    """24:00 of `on` in Asia/Shanghai, which is 00:00 of the next day, as aware UTC (民法典 203)."""
    return datetime.combine(date.fromordinal(_ordinal(on) + 1), time.min, SHANGHAI).astimezone(UTC)


def legal_day(instant: datetime) -> date:
    """The day in Asia/Shanghai on which `instant` falls. Raises ValueError for a naive one."""
    if instant.utcoffset() is None:
        raise ValueError("an instant needs its time zone")
    return instant.astimezone(SHANGHAI).date()


def read_year(document: object) -> CalendarYear:
    """The year that stands in `document`, holiday-cn's JSON form (or that of `to_document`).

    Unknown fields are passed over. Raises CalendarRefused with every problem: no papers or no days means that the
    notice is not out yet, never that the year has no holidays.
    """
    if not isinstance(document, Mapping):
        raise CalendarRefused(("an object with year, papers and days is needed",))
    problems: list[str] = []
    year = _read_number(document, problems)
    papers = _read_papers(document, problems)
    days = _read_days(document, year, len(papers), problems)
    if problems or year is None:
        raise CalendarRefused(tuple(problems))
    return CalendarYear(year, papers, days)


@lru_cache
def packaged_years() -> tuple[CalendarYear, ...]:
    """The years that come with the package, in order."""
    files = (file for file in (resources.files("workflows") / "calendars").iterdir() if file.name.endswith(".toml"))
    years = (read_year(_from_toml(tomllib.loads(file.read_text(encoding="utf-8")))) for file in files)
    return tuple(sorted(years, key=lambda year: year.year))


def _ordinal(on: date) -> int:
    # A datetime passes for a date, but its date in UTC is the wrong day for eight hours of each.
    if isinstance(on, datetime):
        raise TypeError("a day is needed, not an instant: legal_day() tells the day of an instant")
    return on.toordinal()


def _checked(working_days: int) -> int:
    if not 1 <= working_days <= MOST_WORKING_DAYS:
        raise ValueError(f"the number of working days must be from 1 to {MOST_WORKING_DAYS}, not {working_days}")
    return working_days


def _is_weekday(ordinal: int) -> bool:
    return 1 <= ordinal % 7 <= 5


def _weekdays(ordinal: int) -> int:
    """How many days from Monday to Friday there are from 0001-01-01 up to and including `ordinal`."""
    return ordinal // 7 * 5 + min(ordinal % 7, 5)


def _nth_weekday(nth: int) -> int:
    return (nth - 1) // 5 * 7 + (nth - 1) % 5 + 1


def _cited(year: CalendarYear, day: NamedDay) -> str:
    if day.paper is not None:
        return year.papers[day.paper - 1].label
    return "；".join(paper.label for paper in year.papers)


def _paper_document(paper: Paper) -> str | dict[str, str]:
    if paper == _paper_from_text(paper.title):
        return paper.title
    fields = {"number": paper.number, "title": paper.title, "url": paper.url}
    return {name: value for name, value in fields.items() if value is not None}


def _paper_from_text(text: str) -> Paper:
    """holiday-cn gives the address alone; a number alone is also understood."""
    if text.startswith(("http://", "https://")):
        return Paper(None, text, text)
    return Paper(text if _NUMBER.fullmatch(text) else None, text, None)


def _from_toml(document: Mapping[str, object]) -> dict[str, object]:
    """The packaged form as a document: its days say `on` and `off`."""
    days = document.get("days")
    if isinstance(days, list):
        days = [
            {"name": day.get("name"), "date": str(day.get("on")), "isOffDay": day.get("off"), "paper": day.get("paper")}
            for day in days
        ]
    return {"year": document.get("year"), "papers": document.get("papers"), "days": days}


def _read_number(document: Mapping[str, object], problems: list[str]) -> int | None:
    year = document.get("year")
    # True is an int to isinstance.
    if type(year) is int and 1949 <= year <= 2199:
        return year
    problems.append(f"year: a year from 1949 to 2199 is needed, not {year!r}")
    return None


def _read_papers(document: Mapping[str, object], problems: list[str]) -> tuple[Paper, ...]:
    entries = document.get("papers")
    if not isinstance(entries, list) or not entries:
        problems.append("papers: at least one paper is needed; without one the year is unknown")
        return ()
    # One that cannot be read still has its place, as days refer to papers by their number.
    return tuple(_read_paper(entry, f"papers[{index}]", problems) for index, entry in enumerate(entries))


def _read_paper(entry: object, at: str, problems: list[str]) -> Paper:
    if isinstance(entry, str) and entry.strip():
        return _paper_from_text(entry.strip())
    if not isinstance(entry, Mapping):
        problems.append(f"{at}: an address, a number or an object is needed, not {entry!r}")
        return Paper(None, "", None)
    number, url = (_read_text(entry, name, at, problems, needed=False) for name in ("number", "url"))
    return Paper(number, _read_text(entry, "title", at, problems) or "", url)


def _read_text(
    entry: Mapping[str, object], name: str, at: str, problems: list[str], *, needed: bool = True
) -> str | None:
    text = entry.get(name)
    if text is None and not needed:
        return None
    if isinstance(text, str) and text.strip():
        return text.strip()
    problems.append(f"{at}.{name}: a text is needed, not {text!r}")
    return None


def _read_days(
    document: Mapping[str, object], year: int | None, papers: int, problems: list[str]
) -> tuple[NamedDay, ...]:
    entries = document.get("days")
    if not isinstance(entries, list) or not entries:
        problems.append("days: at least one day is needed; an empty year is unknown, not one without holidays")
        return ()
    days: dict[date, NamedDay] = {}
    for index, entry in enumerate(entries):
        day = _read_day(entry, f"days[{index}]", year, papers, problems)
        if day is None:
            continue
        earlier = days.setdefault(day.on, day)
        if earlier.is_off != day.is_off:
            problems.append(f"days[{index}].date: {day.on} is named both off and worked")
    return tuple(days[on] for on in sorted(days))


def _read_day(entry: object, at: str, year: int | None, papers: int, problems: list[str]) -> NamedDay | None:
    if not isinstance(entry, Mapping):
        problems.append(f"{at}: an object is needed, not {entry!r}")
        return None
    name = _read_text(entry, "name", at, problems)
    on = _read_date(entry.get("date"), f"{at}.date", year, problems)
    is_off, paper = entry.get("isOffDay"), entry.get("paper")
    if paper is not None and (type(paper) is not int or not 1 <= paper <= papers):
        problems.append(f"{at}.paper: the number of one of the {papers} papers, from 1, is needed, not {paper!r}")
        paper = None
    if not isinstance(is_off, bool):
        problems.append(f"{at}.isOffDay: true or false is needed, not {is_off!r}")
        return None
    return None if name is None or on is None else NamedDay(on, name, is_off, paper)


def _read_date(value: object, at: str, year: int | None, problems: list[str]) -> date | None:
    # fromisoformat alone would also take 20240101 and 2024-W01-1.
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        problems.append(f"{at}: a date YYYY-MM-DD is needed, not {value!r}")
        return None
    try:
        on = date.fromisoformat(value)
    except ValueError:
        problems.append(f"{at}: there is no day {value}")
        return None
    # New Year's holiday reaches over the turn of the year: 2023's notice begins with 2022-12-31.
    week = timedelta(days=7)
    if year is not None and not date(year, 1, 1) - week <= on < date(year + 1, 1, 1) + week:
        problems.append(f"{at}: {value} is not arranged by the notice for {year}")
        return None
    return on
