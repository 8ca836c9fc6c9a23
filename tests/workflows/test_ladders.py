"""Ladders: which rung is reached when, in office hours of working days, but for a breach."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.cases import calendar, henan, instant
from workflows.ladders import Ladder, OfficeHours, Reached, Term, climb, next_at
from workflows.programme import Programme
from workflows.programme_checks import load
from workflows.working_days import end_of_day

SECOND = load((Path(__file__).parent / "data" / "second.toml").read_text(encoding="utf-8"))
HOURS = henan().programme.office_hours


def climbed(
    ladder: str, since: str, due_on: str, until: str = "2025-06-30", *, programme: Programme | None = None
) -> list[tuple[str, str]]:
    """The rungs of one ladder, each with its instant in Shanghai as tests write it."""
    programme = programme or henan().programme
    term = Term(instant(since), date.fromisoformat(due_on), is_handed=ladder != "filing")
    found = climb(
        programme.ladder_by_id[ladder], term, calendar(), programme.office_hours, until=instant(until)
    )  # fmt: skip
    return [(each.id, said(each)) for each in found]


def said(reached: Reached) -> str:
    """The instant of a rung in Shanghai."""
    return f"{reached.at.astimezone(UTC) + timedelta(hours=8):%Y-%m-%d %H:%M}"


ANSWERS = [
    pytest.param(
        "2024-09-27",
        "2024-10-10",
        [
            ("handed", "2024-09-27 09:00"),
            ("working-day-3", "2024-10-08 08:30"),
            ("working-day-4", "2024-10-09 08:30"),
            ("due", "2024-10-10 08:30"),
            ("breach", "2024-10-11 00:00"),
        ],
        id="before the holidays",
    ),
    pytest.param(
        "2024-09-30",
        "2024-10-12",
        [
            ("handed", "2024-09-30 09:00"),
            ("working-day-3", "2024-10-10 08:30"),
            ("working-day-4", "2024-10-11 08:30"),
            ("due", "2024-10-12 08:30"),
            ("breach", "2024-10-13 00:00"),
            ("daily-2024-10-14", "2024-10-14 08:30"),
        ],
        id="due on a Saturday that is worked",
    ),
]


@pytest.mark.parametrize(("since", "due_on", "rungs"), ANSWERS)
def test_w5_an_answer_is_reminded_on_its_third_fourth_and_fifth_working_day_and_breached_at_midnight(
    since: str, due_on: str, rungs: list[tuple[str, str]]
) -> None:
    assert climbed("answer", since, due_on, until=rungs[-1][1]) == rungs


def test_w5_an_unanswered_request_is_told_of_on_every_working_day_until_it_is_answered() -> None:
    daily = [id_ for id_, _ in climbed("answer", "2024-09-30", "2024-10-12", until="2024-10-21") if "daily" in id_]
    assert daily == [f"daily-2024-10-{day}" for day in (14, 15, 16, 17, 18, 21)]


HANDED = [
    pytest.param("2024-06-03 08:29", "2024-06-03 08:30", id="before the office opens"),
    pytest.param("2024-06-03 08:30", "2024-06-03 08:30", id="at the opening"),
    pytest.param("2024-06-03 17:29", "2024-06-03 17:29", id="before the office closes"),
    pytest.param("2024-06-03 17:30", "2024-06-04 08:30", id="at the closing"),
    pytest.param("2024-06-07 20:00", "2024-06-11 08:30", id="on the eve of a long weekend"),
    pytest.param("2024-06-08 10:00", "2024-06-11 08:30", id="on a Saturday off"),
    pytest.param("2024-09-29 10:00", "2024-09-29 10:00", id="on a Sunday that is worked"),
    pytest.param("2024-10-01 10:00", "2024-10-08 08:30", id="in the holidays"),
]


@pytest.mark.parametrize(("since", "told"), HANDED)
def test_w5_what_is_handed_outside_office_hours_waits_for_the_next_opening(since: str, told: str) -> None:
    assert dict(climbed("answer", since, "2024-12-31"))["handed"] == told


FILINGS = [
    pytest.param("2024-06-13", {"due": "2024-06-13 08:30", "t-1": "2024-06-12 08:30", "t-3": "2024-06-07 08:30",
                                "overdue": "2024-06-14 08:30", "escalated": "2024-06-18 08:30"}, id="a Thursday"),
    pytest.param("2024-06-15", {"due": "2024-06-14 08:30", "t-1": "2024-06-14 08:30", "t-3": "2024-06-12 08:30",
                                "t-7": "2024-06-07 08:30", "overdue": "2024-06-17 08:30"}, id="a Saturday"),
    pytest.param("2024-06-30", {"due": "2024-06-28 08:30", "t-1": "2024-06-28 08:30", "t-3": "2024-06-27 08:30",
                                "overdue": "2024-07-01 08:30", "escalated": "2024-07-03 08:30"}, id="a Sunday"),
    pytest.param("2024-10-01", {"due": "2024-09-30 08:30", "t-1": "2024-09-30 08:30", "t-3": "2024-09-27 08:30",
                                "overdue": "2024-10-08 08:30", "escalated": "2024-10-10 08:30"}, id="a holiday"),
    pytest.param("2024-10-12", {"due": "2024-10-12 08:30", "t-1": "2024-10-11 08:30", "overdue": "2024-10-14 08:30"},
                 id="a Saturday that is worked"),
]  # fmt: skip


@pytest.mark.parametrize(("due_on", "rungs"), FILINGS)
def test_r2_what_would_be_said_on_a_day_off_is_said_on_the_working_day_before_and_lateness_on_the_one_after(
    due_on: str, rungs: dict[str, str]
) -> None:
    found = dict(climbed("filing", "2024-05-20", due_on))
    assert {name: found[name] for name in rungs} == rungs
    assert list(found) == ["t-7", "t-3", "t-1", "due", "overdue", "escalated"]


def test_r2_rungs_at_the_same_instant_stand_in_the_order_of_the_ladder() -> None:
    assert [id_ for id_, at in climbed("filing", "2024-05-20", "2024-06-15") if at == "2024-06-14 08:30"] == [
        "t-1", "due",
    ]  # fmt: skip


def test_r2_what_would_have_been_said_before_it_was_owed_is_not_said() -> None:
    assert [id_ for id_, _ in climbed("filing", "2024-06-12 09:00", "2024-06-15")] == [
        "t-1", "due", "overdue", "escalated",
    ]  # fmt: skip
    assert next(id_ for id_, _ in climbed("filing", "2024-06-12 08:30", "2024-06-15")) == "t-3"


OVER = [
    pytest.param("filing", "2024-06-20 10:00", [("overdue", "2024-06-20 10:00"), ("escalated", "2024-06-20 10:00")],
                 id="filing in office hours"),
    pytest.param("filing", "2024-06-22 10:00", [("overdue", "2024-06-24 08:30"), ("escalated", "2024-06-24 08:30")],
                 id="filing at the weekend"),
    pytest.param("filing", "2024-06-17 10:00", [("overdue", "2024-06-17 10:00"), ("escalated", "2024-06-19 08:30")],
                 id="filing not yet to be escalated"),
    pytest.param("answer", "2024-06-22 10:00", [("breach", "2024-06-22 10:00"), ("handed", "2024-06-24 08:30"),
                                                ("daily-2024-06-24", "2024-06-24 08:30")], id="answer"),
    pytest.param("resubmission", "2024-06-22 10:00", [], id="a chance that has passed"),
    pytest.param("notice", "2024-06-22 10:00", [], id="an end that has passed"),
]  # fmt: skip


@pytest.mark.parametrize(("ladder", "since", "rungs"), OVER)
def test_r2_what_is_over_before_it_began_is_told_at_once(ladder: str, since: str, rungs: list[tuple[str, str]]) -> None:
    found = climbed(ladder, since, "2024-06-15", until="2024-06-24")
    assert [each for each in found if not each[0].startswith("working-day")] == rungs


BREACHING = {"filing", "report", "answer", "stage", "measure", "re_review", "objection", "ultra_low"}


def test_p6_a_re_submission_is_a_chance_and_a_notice_an_end_and_the_rest_can_be_failed() -> None:
    assert {ladder.id for ladder in henan().programme.ladders if ladder.breaches} == BREACHING


def test_another_programme_has_its_own_rungs_hours_and_length_of_an_answer() -> None:
    assert climbed("answer", "2025-04-28", "2025-05-06", until="2025-05-08", programme=SECOND) == [
        ("handed", "2025-04-28 09:00"),
        ("working-day-2", "2025-04-30 09:00"),
        ("due", "2025-05-06 09:00"),
        ("breach", "2025-05-07 00:00"),
        ("daily-2025-05-08", "2025-05-08 09:00"),
    ]
    assert [id_ for id_, _ in climbed("filing", "2025-03-01", "2025-03-31", programme=SECOND)] == [
        "t-5", "due", "overdue",
    ]  # fmt: skip
    assert climbed("measure", "2025-03-01", "2025-04-05", programme=SECOND) == [("due", "2025-04-03 09:00")]
    assert not SECOND.ladder_by_id["measure"].breaches


# --- for any term at all ----------------------------------------------------------------------------------------------

LADDERS = [(ladder, HOURS) for ladder in henan().programme.ladders]
LADDERS += [(ladder, SECOND.office_hours) for ladder in SECOND.ladders]
instants = st.integers(0, 400 * 24 * 60).map(lambda minute: instant("2024-04-01 00:00") + timedelta(minutes=minute))
terms = st.builds(Term, instants, st.integers(0, 300).map(lambda day: date(2024, 4, 15) + timedelta(days=day)))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LADDERS), terms, instants)
def test_the_next_instant_is_that_of_the_next_rung_or_the_end_of_the_term(
    which: tuple[Ladder, OfficeHours], term: Term, after: datetime
) -> None:
    ladder, hours = which
    until = max(after, term.due_at, term.since) + timedelta(days=40)
    coming = [each.at for each in climb(ladder, term, calendar(), hours, until=until)]
    if ladder.breaches:
        coming.append(max(term.due_at, term.since))
    expected = min((at for at in coming if at > after), default=None)
    assert next_at(ladder, term, calendar(), hours, after=after) == expected


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LADDERS), terms, instants)
def test_every_rung_comes_once_in_order_within_the_term_and_but_for_a_breach_while_the_office_is_open(
    which: tuple[Ladder, OfficeHours], term: Term, until: datetime
) -> None:
    ladder, hours = which
    found = climb(ladder, term, calendar(), hours, until=until)
    assert len({each.id for each in found}) == len(found)
    assert all(earlier.at <= later.at for earlier, later in pairwise(found))
    for each in found:
        assert term.since <= each.at <= until
        assert each.rung.id == "breach" or hours.is_open(calendar(), each.at)
    # Whoever looks later sees the same and more.
    later = climb(ladder, term, calendar(), hours, until=until + timedelta(days=9))
    assert later[: len(found)] == found


def test_a_term_ends_at_24_00_of_its_day_in_shanghai() -> None:
    term = Term(instant("2024-09-27"), date(2024, 10, 10))
    assert term.due_at == end_of_day(date(2024, 10, 10)) == instant("2024-10-11 00:00")
    assert replace(term, due_on=date(2024, 10, 12)).due_at == instant("2024-10-13 00:00")
