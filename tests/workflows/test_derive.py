"""A programme for another year is derived as a draft: dates moved, comments kept, doubtful days remarked."""

import re
from datetime import date
from functools import lru_cache
from pathlib import Path

import pytest

from tests.workflows.cases import henan
from workflows.derive import Derived, derive
from workflows.errors import ProgrammeRefused
from workflows.lifecycle import Lifecycle
from workflows.programme import Programme, packaged_sources
from workflows.programme_checks import days_of, load
from workflows.working_days import Calendar, packaged_years

HENAN = packaged_sources()["henan-2024"]
SECOND = (Path(__file__).parent / "data" / "second.toml").read_text(encoding="utf-8")
# Fixed, so that a calendar packaged later changes nothing here.
CALENDAR = Calendar(year for year in packaged_years() if year.year <= 2026)


BEFORE = henan().programme


@lru_cache
def drafted(year: int, source: str = HENAN) -> Derived:
    """The draft, derived once for all that is asked about it."""
    return derive(source, year, CALENDAR)


@lru_cache
def loaded(source: str) -> Programme:
    """A draft as it is loaded, once."""
    return load(source)


@pytest.fixture(scope="module")
def derived() -> Derived:
    return drafted(2027)


def remark_on(derived: Derived, on: date) -> str | None:
    return next((remark.text.zh for remark in derived.remarks if remark.on == on), None)


def test_the_draft_loads_and_makes_a_machine(derived: Derived) -> None:
    programme = loaded(derived.source)
    assert (programme.id, programme.version, programme.year, programme.draft) == ("henan-2027", 1, 2027, True)
    assert programme.title.zh.startswith("河南省 2027 年")
    assert programme.title.en.startswith("Henan 2027")
    assert "henan-2024" in programme.source
    Lifecycle(programme)


@pytest.mark.parametrize("year", [2023, 2025, 2027, 2028])
def test_every_date_moves_by_whole_years(year: int) -> None:
    before, after = BEFORE, loaded(drafted(year).source)
    assert [(key, day.replace(year=day.year + year - 2024)) for key, day in days_of(before)] == list(days_of(after))


def test_the_periods_of_the_filings_move_too(derived: Derived) -> None:
    periods = [filing.period for filing in loaded(derived.source).filings]
    assert periods[0] == "2027"
    assert next(period for period in periods if "-" in period) == "2027-06"
    assert not any("2024" in period for period in periods)


def test_comments_and_sentences_stay_as_they_are(derived: Derived) -> None:
    comments = re.compile(r"#[^\n]*")
    assert comments.findall(derived.source) == comments.findall(HENAN)
    before, after = BEFORE, loaded(derived.source)
    assert (after.readings, after.clauses, after.forms, after.units) == (
        before.readings, before.clauses, before.forms, before.units
    )  # fmt: skip


def test_a_quoted_date_or_one_in_a_comment_is_not_moved() -> None:
    line = 'says.en = "By 2024-05-31 # not 2024-06-01."  # since 2024-01-01'
    source = re.sub(r'(?m)^says\.en = "Twelve.*$', line, HENAN)
    assert line in source
    assert line in derive(source, 2027, CALENDAR).source


def test_29_february_becomes_the_28th_and_is_remarked() -> None:
    source = HENAN.replace("due_on = 2024-05-31", "due_on = 2024-02-29")
    derived = derive(source, 2025, CALENDAR)
    assert loaded(derived.source).date_by_id["list"].due_on == date(2025, 2, 28)
    assert remark_on(derived, date(2025, 2, 28)) == "原为 2 月 29 日"
    assert load(derive(source, 2028, CALENDAR).source).date_by_id["list"].due_on == date(2028, 2, 29)


def test_each_date_on_a_day_off_is_remarked_with_where_it_stands() -> None:
    derived = drafted(2025)
    assert remark_on(derived, date(2025, 5, 31)) == "端午节放假（周六）"
    assert remark_on(derived, date(2025, 6, 15)) == "周日，休息日"
    assert remark_on(derived, date(2025, 6, 30)) is None
    remark = next(remark for remark in derived.remarks if remark.on == date(2025, 6, 15))
    assert {"dates.plans.due_on", "events.file_plan.window.late_after"} <= set(remark.keys)
    assert remark.text.en == "Sunday, a day off"


def test_every_date_in_a_year_without_notice_is_remarked(derived: Derived) -> None:
    days = {day for _, day in days_of(loaded(derived.source))}
    assert [remark.on for remark in derived.remarks] == sorted(days)
    assert remark_on(derived, date(2027, 11, 30)) == "2027 年的放假通知尚未载入"
    assert remark_on(derived, date(2027, 7, 31)) == "周六，休息日；2027 年的放假通知尚未载入"


def test_the_last_week_of_a_year_is_remarked_until_the_next_notice_is_known() -> None:
    assert remark_on(drafted(2026), date(2026, 12, 31)) == "2027 年的放假通知尚未载入，可能调整"


def test_another_programme_is_derived_as_well() -> None:
    programme = load(drafted(2026, SECOND).source)
    assert (programme.id, programme.version, programme.closes_on) == ("shandong-2026", 1, date(2026, 12, 31))
    assert [filing.period for filing in programme.filings] == ["2026", "2026-09"]


def test_an_id_without_its_year_gets_the_new_one() -> None:
    source = SECOND.replace('id = "shandong-2025"', 'id = "shandong"')
    assert load(derive(source, 2026, CALENDAR).source).id == "shandong-2026"


def test_a_draft_can_be_derived_from_a_draft() -> None:
    assert load(derive(drafted(2026, SECOND).source, 2028, CALENDAR).source).id == "shandong-2028"


@pytest.mark.parametrize("year", [2025, 1999, 2500, 0, 10_000])
def test_the_same_year_and_years_out_of_range_are_refused(year: int) -> None:
    with pytest.raises(ProgrammeRefused) as refused:
        derive(SECOND, year, CALENDAR)
    assert refused.value.problems[0].startswith("year: ")


def test_a_source_that_is_no_programme_is_refused() -> None:
    with pytest.raises(ProgrammeRefused):
        derive("", 2027, CALENDAR)
