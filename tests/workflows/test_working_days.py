"""The working calendar against an independent one, against the law's own examples, and at the edge of its knowledge."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache

import chinese_calendar  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.errors import CalendarRefused, WorkflowError
from workflows.working_days import (
    Calendar,
    CalendarYear,
    Day,
    DayKind,
    NamedDay,
    Paper,
    WalkedDay,
    end_of_day,
    legal_day,
    packaged_years,
    read_year,
)

CALENDAR = Calendar(packaged_years())
FIRST, LAST = date(2004, 1, 1), date(2026, 12, 31)
# 国办发明电〔2005〕35号, for 2006: "12月31日(星期六)上班". chinesecalendar 1.11.0 has that Saturday free.
AGAINST_THE_NOTICE = {date(2005, 12, 31)}

# As holiday-cn would give it; the notice for 2027 is not out, so these days are made up.
NOTICE_OF_2027 = {
    "$schema": "https://raw.githubusercontent.com/NateScarlet/holiday-cn/master/schema.json",
    "$id": "https://raw.githubusercontent.com/NateScarlet/holiday-cn/master/2027.json",
    "year": 2027,
    "papers": ["https://www.gov.cn/zhengce/zhengceku/202611/content_0000000.htm"],
    "days": [
        {"name": "元旦", "date": "2026-12-27", "isOffDay": False},
        {"name": "元旦", "date": "2026-12-31", "isOffDay": True},
        {"name": "元旦", "date": "2027-01-01", "isOffDay": True},
        {"name": "春节", "date": "2027-02-08", "isOffDay": True},
    ],
}
WITH_2027 = Calendar((*packaged_years(), read_year(NOTICE_OF_2027)))

days = st.dates(FIRST - timedelta(days=900), LAST + timedelta(days=900))
counts = st.integers(1, 250)


@cache
def day(on: date) -> Day:
    """What a day is: properties ask for the same days again and again."""
    return CALENDAR.day(on)


def every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def document(**changes: object) -> dict[str, object]:
    return {**NOTICE_OF_2027, **changes}


def problems_of(given: object) -> tuple[str, ...]:
    with pytest.raises(CalendarRefused) as refused:
        read_year(given)
    return refused.value.problems


# What a day is


def test_every_day_from_2004_to_2026_is_what_chinesecalendar_says_but_where_the_notice_says_otherwise() -> None:
    differing = {on for on in every_day(FIRST, LAST) if CALENDAR.day(on).working != chinese_calendar.is_workday(on)}
    assert differing == AGAINST_THE_NOTICE


def test_every_packaged_year_has_numbered_papers_and_no_weekday_named_as_worked() -> None:
    assert [year.year for year in packaged_years()] == list(range(2004, 2027))
    for year in packaged_years():
        assert all(paper.number for paper in year.papers), year.year
        assert all(day.is_off or day.on.weekday() >= 5 for day in year.days), year.year
        assert {"元旦", "春节", "劳动节"} <= {day.name for day in year.days}, year.year


@pytest.mark.parametrize(
    ("on", "kind", "working", "name", "paper"),
    [
        (date(2024, 9, 27), DayKind.WEEKDAY, True, None, None),
        (date(2024, 9, 28), DayKind.WEEKEND, False, None, None),
        (date(2024, 9, 29), DayKind.MAKE_UP, True, "国庆节", "国办发明电〔2023〕7号"),
        (date(2024, 10, 1), DayKind.OFF, False, "国庆节", "国办发明电〔2023〕7号"),
        # A weekend within a holiday is off, as the notice says.
        (date(2024, 10, 5), DayKind.OFF, False, "国庆节", "国办发明电〔2023〕7号"),
        # Arranged by the notice of the next year.
        (date(2022, 12, 31), DayKind.OFF, False, "元旦", "国办发明电〔2022〕16号"),
        (date(2005, 12, 31), DayKind.MAKE_UP, True, "元旦", "国办发明电〔2005〕35号"),
        # Changed after publication: 2015, 2019 and 2020.
        (
            date(2015, 9, 3),
            DayKind.OFF,
            False,
            "中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日",
            "国发明电〔2015〕1号",
        ),
        (
            date(2015, 9, 6),
            DayKind.MAKE_UP,
            True,
            "中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日",
            "国发明电〔2015〕1号",
        ),
        (date(2019, 5, 2), DayKind.OFF, False, "劳动节", "国办发明电〔2019〕3号"),
        (date(2019, 5, 5), DayKind.MAKE_UP, True, "劳动节", "国办发明电〔2019〕3号"),
        (date(2020, 1, 31), DayKind.OFF, False, "春节", "国办发明电〔2020〕1号"),
        (date(2020, 2, 1), DayKind.OFF, False, "春节", "国办发明电〔2020〕1号"),
        (date(2020, 2, 3), DayKind.WEEKDAY, True, None, None),
    ],
    ids=str,
)
def test_a_day_tells_its_kind_its_name_and_its_notice(
    on: date, kind: DayKind, working: bool, name: str | None, paper: str | None
) -> None:
    day = CALENDAR.day(on)
    assert (day.on, day.kind, day.working, day.provisional, day.name, day.paper) == (
        on,
        kind,
        working,
        False,
        name,
        paper,
    )


def test_a_weekday_that_a_notice_says_is_worked_is_no_make_up_day() -> None:
    calendar = Calendar([read_year(document(days=[{"name": "春节", "date": "2027-02-15", "isOffDay": False}]))])
    assert calendar.day(date(2027, 2, 15)).kind is DayKind.WEEKDAY
    assert calendar.day(date(2027, 2, 15)).working


def test_an_instant_does_not_pass_for_a_day() -> None:
    with pytest.raises(TypeError, match="legal_day"):
        CALENDAR.day(datetime(2024, 9, 27, tzinfo=UTC))
    with pytest.raises(TypeError, match="legal_day"):
        CALENDAR.add(datetime(2024, 9, 27, tzinfo=UTC), 5)


# Counting


@pytest.mark.parametrize(
    ("start", "due_on"),
    [
        pytest.param(date(2024, 9, 27), date(2024, 10, 10), id="W5 over the National Day and its make-up Sunday"),
        pytest.param(date(2024, 9, 30), date(2024, 10, 12), id="W5 ends on a make-up Saturday"),
        pytest.param(date(2024, 12, 27), date(2025, 1, 6), id="W5 over the turn of the year"),
        pytest.param(date(2024, 6, 3), date(2024, 6, 11), id="W5 民法典 201: the day of receipt is not counted"),
        pytest.param(date(2024, 6, 8), date(2024, 6, 17), id="W5 民法典 201: receipt on a day off"),
    ],
)
def test_five_working_days_end_at_24_00_of_the_fifth_in_shanghai(start: date, due_on: date) -> None:
    due = CALENDAR.add(start, 5)
    assert (due.start, due.working_days, due.due_on, due.provisional) == (start, 5, due_on, False)
    assert due.due_at == datetime(due_on.year, due_on.month, due_on.day, 16, tzinfo=UTC)
    assert due.due_at.tzinfo is UTC


def test_the_walk_names_each_day_after_the_start_and_numbers_the_working_ones() -> None:
    expected = [("09-28", "weekend", None), ("09-29", "make_up", 1), ("09-30", "weekday", 2)]
    expected += [(f"10-0{day}", "off", None) for day in range(1, 8)]
    expected += [("10-08", "weekday", 3), ("10-09", "weekday", 4), ("10-10", "weekday", 5)]
    assert CALENDAR.explain(date(2024, 9, 27), 5).days == tuple(
        WalkedDay(date.fromisoformat(f"2024-{on}"), DayKind(kind), number is not None, number)
        for on, kind, number in expected
    )


def test_the_walk_before_a_day_runs_backwards() -> None:
    due = CALENDAR.before(date(2024, 10, 9), 2)
    assert (due.due_on, due.provisional) == (date(2024, 9, 30), False)
    assert [(day.on.day, day.number) for day in due.days] == [
        (8, 1), (7, None), (6, None), (5, None), (4, None), (3, None), (2, None), (1, None), (30, 2),
    ]  # fmt: skip


def test_a_date_on_a_day_off_has_its_last_working_day_before_it() -> None:
    assert CALENDAR.last_working_day_on_or_before(date(2024, 6, 15)) == date(2024, 6, 14)
    assert CALENDAR.last_working_day_on_or_before(date(2024, 10, 7)) == date(2024, 9, 30)
    assert CALENDAR.last_working_day_on_or_before(date(2024, 10, 12)) == date(2024, 10, 12)


def test_nothing_lies_between_a_day_and_itself_or_an_earlier_one() -> None:
    assert CALENDAR.between(date(2024, 10, 10), date(2024, 10, 10)) == 0
    assert CALENDAR.between(date(2024, 10, 10), date(2024, 9, 27)) == 0
    assert CALENDAR.between(date(2024, 9, 27), date(2024, 10, 10)) == 5


@pytest.mark.parametrize("working_days", [-1, 0, 251])
def test_only_1_to_250_working_days_are_counted(working_days: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 250"):
        CALENDAR.add(date(2024, 9, 27), working_days)
    with pytest.raises(ValueError, match="from 1 to 250"):
        CALENDAR.before(date(2024, 9, 27), working_days)


def test_where_the_years_end_nothing_is_counted() -> None:
    with pytest.raises(ValueError, match=r"out of range|must be >= 1"):
        CALENDAR.add(date.max, 1)
    with pytest.raises(ValueError, match=r"out of range|must be >= 1"):
        CALENDAR.before(date.min, 1)
    with pytest.raises(ValueError, match=r"out of range|must be >= 1"):
        end_of_day(date.max)


@given(start=days, working_days=counts)
def test_a_count_is_the_walk_day_by_day(start: date, working_days: int) -> None:
    on, left, provisional = start, working_days, False
    while left:
        on += timedelta(days=1)
        left -= day(on).working
        provisional = provisional or day(on).provisional
    due = CALENDAR.add(start, working_days)
    assert (due.due_on, due.provisional) == (on, provisional)
    walk = due.days
    assert [walked.on for walked in walk] == every_day(start + timedelta(days=1), on)
    assert walk[-1].number == working_days


@given(start=days, working_days=counts)
def test_before_is_the_inverse_of_add(start: date, working_days: int) -> None:
    there = CALENDAR.add(start, working_days)
    again = CALENDAR.before(there.due_on, working_days)
    walk = again.days
    assert again.due_on == CALENDAR.last_working_day_on_or_before(start)
    assert walk[-1].number == working_days
    assert again.provisional == any(day(walked.on).provisional for walked in walk)


@given(start=days, working_days=counts)
def test_as_many_working_days_lie_between_as_were_added(start: date, working_days: int) -> None:
    assert CALENDAR.between(start, CALENDAR.add(start, working_days).due_on) == working_days


@given(start=days, working_days=st.integers(1, 249), later=st.integers(0, 60))
def test_more_days_or_a_later_start_never_end_earlier(start: date, working_days: int, later: int) -> None:
    due_on = CALENDAR.add(start, working_days).due_on
    assert due_on < CALENDAR.add(start, working_days + 1).due_on
    assert due_on <= CALENDAR.add(start + timedelta(days=later), working_days).due_on


@given(on=days)
def test_a_working_day_is_its_own_last_one(on: date) -> None:
    last = CALENDAR.last_working_day_on_or_before(on)
    assert CALENDAR.day(last).working
    assert last <= on
    assert CALENDAR.between(last, on) == 0


# Where knowledge ends


@pytest.mark.parametrize(
    ("on", "kind", "provisional"),
    [
        (date(2026, 12, 24), DayKind.WEEKDAY, False),
        (date(2026, 12, 25), DayKind.WEEKDAY, True),
        (date(2026, 12, 27), DayKind.WEEKEND, True),
        (date(2026, 12, 31), DayKind.WEEKDAY, True),
        (date(2027, 1, 1), DayKind.UNKNOWN, True),
        (date(2003, 12, 31), DayKind.UNKNOWN, True),
        (date(2004, 1, 1), DayKind.OFF, False),
    ],
    ids=str,
)
def test_the_last_week_of_the_last_year_is_provisional_and_beyond_it_all_is_unknown(
    on: date, kind: DayKind, provisional: bool
) -> None:
    assert (CALENDAR.day(on).kind, CALENDAR.day(on).provisional) == (kind, provisional)


def test_an_unknown_day_is_assumed_to_be_worked_from_monday_to_friday() -> None:
    week = every_day(date(2027, 10, 4), date(2027, 10, 10))
    assert [on.isoweekday() for on in week if CALENDAR.day(on).working] == [1, 2, 3, 4, 5]


def test_a_count_into_the_unknown_is_provisional() -> None:
    assert not CALENDAR.add(date(2026, 12, 17), 5).provisional
    assert CALENDAR.add(date(2026, 12, 18), 5).provisional
    assert CALENDAR.add(date(2026, 12, 30), 5).provisional
    assert CALENDAR.add(date(2031, 3, 3), 5).provisional
    assert CALENDAR.before(date(2004, 1, 6), 3).provisional
    # The day from which is counted is not of the count, in either direction.
    assert not CALENDAR.add(date(2003, 12, 31), 1).provisional
    assert not CALENDAR.before(date(2026, 12, 25), 1).provisional


def test_the_notice_of_2027_makes_the_end_of_2026_and_2027_firm() -> None:
    assert CALENDAR.add(date(2026, 12, 25), 5).due_on == date(2027, 1, 1)
    due = WITH_2027.add(date(2026, 12, 25), 5)
    assert (due.due_on, due.provisional) == (date(2027, 1, 4), False)
    assert [(day.on.day, day.kind) for day in due.days if day.kind in {DayKind.OFF, DayKind.MAKE_UP}] == [
        (27, DayKind.MAKE_UP), (31, DayKind.OFF), (1, DayKind.OFF),
    ]  # fmt: skip
    assert WITH_2027.day(date(2026, 12, 31)).paper == NOTICE_OF_2027["papers"][0]  # type: ignore[index]
    assert WITH_2027.day(date(2027, 12, 24)).kind is DayKind.WEEKDAY
    assert not WITH_2027.day(date(2027, 12, 24)).provisional
    assert WITH_2027.day(date(2027, 12, 27)).provisional


def test_a_year_between_two_loaded_ones_is_unknown_too() -> None:
    calendar = Calendar(year for year in packaged_years() if year.year != 2024)
    assert calendar.day(date(2024, 10, 1)).kind is DayKind.UNKNOWN
    assert calendar.add(date(2024, 9, 27), 5).provisional
    assert calendar.day(date(2023, 12, 26)).provisional
    assert not calendar.add(date(2025, 9, 26), 5).provisional


def test_without_any_year_all_is_unknown_and_monday_to_friday() -> None:
    due = Calendar([]).add(date(2024, 9, 27), 5)
    assert (due.due_on, due.provisional) == (date(2024, 10, 4), True)


def test_a_year_given_again_is_amended() -> None:
    original = CalendarYear(2019, (Paper("1号", "1号", None),), (NamedDay(date(2019, 5, 1), "劳动节", is_off=True),))
    amended = Calendar([original, *packaged_years()])
    assert Calendar([*packaged_years(), original]).day(date(2019, 5, 2)).working
    assert not amended.day(date(2019, 5, 2)).working
    assert amended == CALENDAR


def test_of_two_years_that_name_the_same_day_the_later_stands() -> None:
    paper, on = (Paper("1号", "1号", None),), date(2026, 12, 31)
    years = [CalendarYear(year, paper, (NamedDay(on, "元旦", is_off=year == 2027),)) for year in (2026, 2027)]
    assert Calendar(years).day(on).kind is DayKind.OFF
    assert Calendar(reversed(years)).day(on).kind is DayKind.OFF


# Reading a year


@pytest.mark.parametrize("year", packaged_years(), ids=lambda year: str(year.year))
def test_a_year_survives_being_written_and_read(year: CalendarYear) -> None:
    assert read_year(json.loads(json.dumps(year.to_document(), ensure_ascii=False))) == year


def test_a_document_of_holiday_cn_is_read_and_written_back_without_its_unknown_fields() -> None:
    year = read_year(NOTICE_OF_2027)
    address = "https://www.gov.cn/zhengce/zhengceku/202611/content_0000000.htm"
    assert year.papers == (Paper(None, address, address),)
    assert year.days[1] == NamedDay(date(2026, 12, 31), "元旦", is_off=True)
    assert year.to_document() == {name: NOTICE_OF_2027[name] for name in ("year", "papers", "days")}


def test_where_it_is_not_said_which_notice_names_a_day_all_are_cited() -> None:
    year = read_year(document(papers=["国办发明电〔2026〕1号", {"number": "国办发明电〔2027〕1号", "title": "通知"}]))
    assert Calendar([year]).day(date(2027, 1, 1)).paper == "国办发明电〔2026〕1号；国办发明电〔2027〕1号"


def test_a_year_without_papers_or_days_is_unknown_and_refused() -> None:
    problems = problems_of({"year": 2027, "papers": [], "days": []})
    assert [problem.split(":")[0] for problem in problems] == ["papers", "days"]


@pytest.mark.parametrize("given", [None, [], "2027", {}], ids=repr)
def test_what_is_no_calendar_is_refused_and_a_refusal_is_an_error_of_the_rules(given: object) -> None:
    with pytest.raises(WorkflowError):
        read_year(given)


def test_every_problem_of_a_year_is_named_at_once() -> None:
    off = {"name": "元旦", "isOffDay": True}
    given = document(
        papers=["", {"title": 3}, 7],
        days=[
            "2027-01-01",
            {**off, "date": "20270101"},
            {**off, "date": "2027-02-29"},
            {**off, "date": "2026-12-24"},
            {**off, "date": "2028-01-08"},
            {**off, "date": "2027-01-01"},
            {**off, "date": "2027-01-01", "isOffDay": False},
            {**off, "date": "2027-01-02", "isOffDay": 1, "paper": 4},
            {"name": " ", "date": None, "isOffDay": True},
            {**off, "date": "2027-01-03", "paper": True},
        ],
    )
    assert [problem.split(": ")[0] for problem in problems_of(given)] == [
        "papers[0]",
        "papers[1].title",
        "papers[2]",
        "days[0]",
        "days[1].date",
        "days[2].date",
        "days[3].date",
        "days[4].date",
        "days[6].date",
        "days[7].paper",
        "days[7].isOffDay",
        "days[8].name",
        "days[8].date",
        "days[9].paper",
    ]


@pytest.mark.parametrize("year", [None, "2027", 2027.0, True, 0, 10000], ids=repr)
def test_a_year_is_a_whole_number(year: object) -> None:
    assert [problem.split(":")[0] for problem in problems_of(document(year=year))] == ["year"]


def test_the_same_day_named_twice_alike_is_one_day() -> None:
    twice = [{"name": name, "date": "2027-10-01", "isOffDay": True} for name in ("国庆节", "中秋节")]
    assert read_year(document(days=twice)).days == (NamedDay(date(2027, 10, 1), "国庆节", is_off=True),)


@pytest.mark.parametrize("on", ["2026-12-25", "2026-12-31", "2028-01-07"])
def test_a_notice_may_reach_a_week_into_the_neighbouring_years(on: str) -> None:
    assert read_year(document(days=[{"name": "元旦", "date": on, "isOffDay": True}])).days[0].on.isoformat() == on


# Instants and days


@pytest.mark.parametrize(
    ("instant", "on"),
    [
        (datetime(2024, 9, 26, 15, 59, 59, 999999, tzinfo=UTC), date(2024, 9, 26)),
        (datetime(2024, 9, 26, 16, tzinfo=UTC), date(2024, 9, 27)),
        (datetime(2024, 9, 27, 15, 59, 59, tzinfo=UTC), date(2024, 9, 27)),
        (datetime(2024, 12, 31, 16, tzinfo=UTC), date(2025, 1, 1)),
        (datetime(2024, 9, 27, 0, 30, tzinfo=timezone(timedelta(hours=8))), date(2024, 9, 27)),
    ],
    ids=str,
)
def test_the_legal_day_begins_at_16_00_utc_of_the_day_before(instant: datetime, on: date) -> None:
    assert legal_day(instant) == on


def test_a_naive_instant_has_no_legal_day() -> None:
    with pytest.raises(ValueError, match="time zone"):
        legal_day(datetime(2024, 9, 27, 8))  # noqa: DTZ001


@given(on=days)
def test_the_end_of_a_day_is_the_first_instant_of_the_next(on: date) -> None:
    assert legal_day(end_of_day(on)) == on + timedelta(days=1)
    assert legal_day(end_of_day(on) - timedelta(microseconds=1)) == on


def test_no_packaged_year_lets_a_statutory_holiday_be_worked() -> None:
    assert {year.year: year.missing for year in packaged_years() if year.missing} == {}
