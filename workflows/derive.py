"""Derives the draft of another year's programme from the text of one: its dates moved by whole years, comments kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from workflows.errors import ProgrammeRefused
from workflows.programme import Programme
from workflows.programme_checks import days_of, load
from workflows.text import Text
from workflows.working_days import Calendar, DayKind

# Dates stand bare in TOML; what is quoted or a comment only speaks of one.
_QUOTED_OR_DATE = re.compile(
    r"""
      "{3} [\s\S]*? "{3}  |  '{3} [\s\S]*? '{3}  |  " (?: \\. | [^"\\\n] )* "  |  ' [^'\n]* '  |  \# [^\n]*
    | \b (?P<date> \d{4}-\d{2}-\d{2} ) \b
    """,
    re.VERBOSE,
)
_PERIOD = re.compile(r'(?P<before>\bperiod\s*=\s*["\'])(?P<year>\d{4})')
_TITLE = re.compile(r"^title\b.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Remark:
    """A date of the draft that somebody has to look at, where it stands (`keys`), and why."""

    on: date
    keys: tuple[str, ...]
    text: Text


@dataclass(frozen=True, slots=True)
class Derived:
    """The TOML text of the draft, and what to look at before it is published, in the order of the dates."""

    source: str
    remarks: tuple[Remark, ...]


def derive(source: str, year: int, calendar: Calendar) -> Derived:
    """The draft of the programme in `source` for `year`: version 1, every date as many years on (29 February: the 28th).

    `calendar` tells which of the new dates are days off. Raises ProgrammeRefused where `source`, or what would become
    of it (the same year, a year out of range), is no programme.
    """
    programme = load(source)
    years = year - programme.year
    if years == 0:
        raise ProgrammeRefused((f"year: '{programme.id}' is of {year} already",))
    text = _QUOTED_OR_DATE.sub(lambda found: _moved(found, years), source)
    text = _PERIOD.sub(lambda found: f"{found['before']}{int(found['year']) + years:04}", text)
    for key, value in {
        "id": f'"{_for_year(programme.id, programme.year, year)}"',
        "version": "1",
        "year": str(year),
        "source": f'"由 {programme.id}（第 {programme.version} 版）推算的草案，正式方案印发后据以更正"',
        "draft": "true",
    }.items():
        text = _with_value(text, key, value)
    text = _TITLE.sub(lambda title: title[0].replace(str(programme.year), str(year)), text)
    draft = load(text)
    if (draft.year, draft.version, draft.draft) != (year, 1, True):
        raise ProgrammeRefused(("(file): id, version, year and draft must each stand on a line of their own",))
    return Derived(text, tuple(_remarks(programme, draft, calendar)))


def _moved(found: re.Match[str], years: int) -> str:
    return _years_on(date.fromisoformat(found["date"]), years).isoformat() if found["date"] else found[0]


def _years_on(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February, or a year beyond the calendar
        if not date.min.year <= day.year + years <= date.max.year:
            raise ProgrammeRefused((f"year: {day.year + years} is out of range",)) from None
        return date(day.year + years, 2, 28)


def _for_year(id_: str, old: int, new: int) -> str:
    return id_.replace(str(old), str(new)) if str(old) in id_ else f"{id_}-{new}"


def _with_value(text: str, key: str, value: str) -> str:
    """`text` with another value for a key of the file itself; a comment behind it stays."""
    line = re.compile(rf"""^({key}\s*=\s*)("(?:\\.|[^"\\])*"|'[^']*'|[^\s#]+)""", re.MULTILINE)
    return line.sub(lambda found: found[1] + value, text, count=1)


def _remarks(old: Programme, new: Programme, calendar: Calendar) -> Iterator[Remark]:
    before = list(days_of(old))
    keys: dict[date, list[str]] = {}
    for key, on in days_of(new):
        keys.setdefault(on, []).append(key)
    cut = {day for (_, was), (_, day) in zip(before, days_of(new), strict=True) if was.day != day.day}
    for on in sorted(keys):
        said = (*_said_of(on, calendar), *((_CUT,) if on in cut else ()))
        if said:
            yield Remark(
                on,
                tuple(keys[on]),
                Text("；".join(text.zh for text in said), "; ".join(text.en for text in said)),
            )


_CUT = Text("原为 2 月 29 日", "was 29 February")


def _said_of(on: date, calendar: Calendar) -> Iterator[Text]:
    day = calendar.day(on)
    zh, en = "一二三四五六日"[on.weekday()], on.strftime("%A")
    if day.kind == DayKind.OFF:
        yield Text(f"{day.name}放假（周{zh}）", f"a day off ({day.name}), {en}")
    elif not day.working:
        yield Text(f"周{zh}，休息日", f"{en}, a day off")
    if day.kind == DayKind.UNKNOWN:
        yield Text(f"{on.year} 年的放假通知尚未载入", f"no notice of the days off of {on.year} is loaded")
    elif day.provisional:
        yield Text(f"{on.year + 1} 年的放假通知尚未载入，可能调整", f"may change with the notice for {on.year + 1}")
