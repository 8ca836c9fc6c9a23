"""Who owes what by when: the dates of the plan over the states of a case, and what became of each when it is owed no more."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.cases import (
    EXAMPLES,
    MEASURE,
    PLAN,
    PRE_ASSESSMENT,
    PROVINCE,
    REPORT,
    REVIEW,
    STATES,
    SYSTEM,
    Walk,
    answers,
    calendar,
    check,
    henan,
    instant,
    new_case,
)
from workflows.case import Case, Drawn, NoticeEntry
from workflows.facts import Actor
from workflows.lifecycle import Lifecycle
from workflows.obligations import (
    KINDS,
    Outcome,
    Owed,
    answer,
    decision,
    ended,
    filings,
    of_case,
    refiling,
    settled,
    stage_at,
    stage_due_at,
    ultra_low,
    wakes_at,
)
from workflows.programme import Programme, Role
from workflows.programme_checks import load
from workflows.working_days import Calendar, packaged_years

HENAN = henan().programme
SECOND = load((Path(__file__).parent / "data" / "second.toml").read_text(encoding="utf-8"))
PROVINCE_CODE = "410000"


def owed(case: Case, programme: Programme = HENAN) -> dict[str, Owed]:
    """What a case owes, by the part of the id that stands for the kind and the date, whichever date holds it late."""
    found = of_case(programme, calendar(), case)
    assert all(name == each.id for name, each in found.items())
    return {named(name, case): each for name, each in found.items()}


def named(id_: str, case: Case) -> str:
    """The kind and the date of an obligation."""
    kind = ".".join(id_.replace(f".{case.id}", "").split(".")[:2])
    return "notice" if kind.startswith("notice.") else kind


def drawn(case: Case, *, is_drawn: bool) -> Case:
    """The case after a recorded draw."""
    return replace(case, draw=Drawn("d1", is_drawn))


MONTHS = {"2024-06": "06-30", "2024-07": "07-31", "2024-08": "08-31", "2024-09": "09-30", "2024-10": "10-31",
          "2024-11": "11-30"}  # fmt: skip


def reports(first: str) -> dict[str, str]:
    """The reports from a month on, each with its due date."""
    return {f"report.{month}": due for month, due in MONTHS.items() if month >= first}


# What a case of the usual way owes in each state, with the due dates of 2024 (or as said).
BY_STATE: dict[str, dict[str, str]] = {
    "listed": {"stage.plan_stage": "06-15", "stage.acceptance": "11-30"},
    "pre_assessed": {"stage.plan_stage": "06-15", "stage.acceptance": "11-30"},
    "plan_filed": {"stage.acceptance": "11-30", "measure.1": "09-30"},
    "upgrading": {"stage.acceptance": "11-30", "measure.1": "09-30", **reports("2024-06")},
    "accepted": {},
    "spot_checked": {"stage.publication": "12-31"},
    "rejected": {"resubmission.resubmission": "12-20", **reports("2024-08")},
    "resubmitted": {"stage.check": "2025-01-31"},
    "published": {"notice": "09-10"},
    "recognised": {},
    "withdrawn": {},
    "lapsed": {},
    "disqualified": {},
}


@pytest.mark.parametrize("state", STATES)
def test_p1_to_p6_what_a_case_owes_follows_from_its_state(state: str) -> None:
    found = owed(Walk(officer="赵包联").to(state).case)
    due = {name: date.fromisoformat(day if len(day) > 5 else f"2024-{day}") for name, day in BY_STATE[state].items()}
    assert {name: each.due_on for name, each in found.items()} == due
    for name, each in found.items():
        assert each.kind == name.split(".")[0]
        assert each.kind in KINDS
        assert (each.subject_type, each.subject) == ("case", "c1")
        of_province = name == "stage.check"
        assert each.unit == (PROVINCE_CODE if of_province else "410100")
        assert each.officer == (None if of_province else "赵包联")
        assert each.hard == (each.kind == "resubmission")
        assert not each.provisional


CLAUSES = {"stage.plan_stage": "P2", "stage.acceptance": "P4", "stage.publication": "P6", "stage.check": "P5",
           "resubmission.resubmission": "P6", "measure.1": "P2", "notice": "P6", "report.2024-08": "P3"}  # fmt: skip


def test_each_obligation_cites_its_clause_and_has_a_title_in_both_languages() -> None:
    found: dict[str, Owed] = {}
    for state in STATES:
        found |= owed(Walk().to(state).case)
    assert {name: found[name].clause for name in CLAUSES} == CLAUSES
    for each in found.values():
        assert each.title.zh
        assert each.title.en
    assert found["report.2024-08"].title.zh == "月度跟踪评估（2024-08）"
    assert found["measure.1"].title.zh == "措施 1：更换除尘器"


# --- stages -----------------------------------------------------------------------------------------------------------


def test_p2_a_stage_is_owed_since_the_case_came_into_its_state_and_ends_with_its_day() -> None:
    case = Walk().to("pre_assessed").case
    stage = owed(case)["stage.plan_stage"]
    assert stage.since == case.entered_at
    assert stage.due_at == instant("2024-06-16 00:00")
    assert stage_due_at(HENAN, calendar(), case) == stage.due_at
    assert stage_due_at(HENAN, calendar(), Walk().to("recognised").case) is None


LISTED = [
    pytest.param("2024-06-15 23:59", "06-15", "11-30", id="in the last minute"),
    pytest.param("2024-06-16 00:00", "11-15", "11-30", id="when the day is over"),
    pytest.param("2024-11-15 23:59", "11-15", "11-30", id="as the phase ends"),
    pytest.param("2024-11-16 00:00", "11-30", "11-30", id="when the phase is over"),
    pytest.param("2024-11-30 23:59", "11-30", "11-30", id="as acceptance becomes late"),
    pytest.param("2024-12-01 00:00", "12-20", "12-20", id="when acceptance is late"),
]


@pytest.mark.parametrize(("at", "plan_on", "accepted_on"), LISTED)
def test_p2_p4_who_is_listed_late_is_not_late_with_what_was_due_before(at: str, plan_on: str, accepted_on: str) -> None:
    walk = Walk(listed_at=instant(at), entered_at=instant(at))
    walk.go("list", at=at, reason="补列")
    for _ in ("as listed", "and as it has gone on since"):
        found = owed(walk.case)
        assert found["stage.plan_stage"].due_on == date.fromisoformat(f"2024-{plan_on}")
        assert found["stage.acceptance"].due_on == date.fromisoformat(f"2024-{accepted_on}")
        assert found["stage.plan_stage"].title.en == "pre-assessed and the plan filed"  # whichever day holds
        assert found["stage.acceptance"].title.en == "upgraded and accepted"
        if walk.case.state == "listed":
            walk.go("pre_assess", {**PRE_ASSESSMENT, "assessed_on": at[:10]}, at=at, reason="补办")


def test_p6_who_is_listed_when_all_is_over_is_late_with_nothing() -> None:
    walk = Walk(listed_at=instant("2024-12-23 10:00"), entered_at=instant("2024-12-23 10:00"))
    walk.go("list", at="2024-12-23 10:00", reason="补列")
    assert not [name for name in owed(walk.case) if name.startswith("stage")]


def test_p2_a_plan_that_is_sent_back_late_is_due_as_the_phase_ends_and_one_that_was_late_before_stays_late() -> None:
    walk = Walk().to("plan_filed")
    walk.go("return_plan", at="2024-07-01", reason="补正")
    anew = owed(walk.case)["stage.plan_stage"]
    assert (anew.id, anew.due_on) == ("stage.c1.plan_stage.plan_stage_late", date(2024, 11, 15))  # with its own rungs
    late = Walk().to("listed")
    late.go("pre_assess", {**PRE_ASSESSMENT, "assessed_on": "2024-06-20"}, at="2024-06-20")
    assert owed(late.case)["stage.plan_stage"].due_on == date(2024, 6, 15)


def test_p2_a_correction_gains_no_time() -> None:
    walk = Walk().to("listed")
    walk.go("pre_assess", {**PRE_ASSESSMENT, "assessed_on": "2024-06-17"}, at="2024-06-17")
    walk.go("file_plan", PLAN, at="2024-06-17")  # at the same instant, as in a batch
    walk.go("correct", at="2024-06-18", by=Actor("赵工", Role.UNIT), reason="误录")
    assert walk.case.entered_at == instant("2024-06-17")
    assert owed(walk.case)["stage.plan_stage"].due_on == date(2024, 6, 15)


def test_p4_a_case_that_has_been_listed_since_may_does_not_gain_time_by_starting_or_reporting_late() -> None:
    walk = Walk().to("plan_filed")
    walk.go("start_upgrade", {"started_on": "2024-12-02"}, at="2024-12-02", reason="补办")
    walk.go("report_progress", {**REPORT, "month": "2024-11"}, at="2024-12-03", reason="补报")
    assert owed(walk.case)["stage.acceptance"].due_on == date(2024, 11, 30)


CHECKED = [
    pytest.param(lambda case: case, False, id="not drawn yet"),
    pytest.param(lambda case: drawn(case, is_drawn=False), False, id="passed over"),
    pytest.param(lambda case: drawn(case, is_drawn=True), True, id="drawn"),
    pytest.param(lambda case: replace(case, route="fast_track"), True, id="fast track"),
    pytest.param(lambda case: replace(case, checks=1), True, id="checked before"),
    pytest.param(lambda case: replace(case, resubmissions=1), True, id="re-submitted"),
]


@pytest.mark.parametrize(("changed", "is_owed"), CHECKED)
def test_p5_the_check_is_owed_by_the_province_where_nobody_else_can_let_the_case_go_on(
    changed: Any, is_owed: bool
) -> None:
    found = owed(changed(Walk().to("accepted").case))
    assert ("stage.check" in found) == is_owed
    if is_owed:
        stage = found["stage.check"]
        assert (stage.unit, stage.due_on, stage.hard) == (PROVINCE_CODE, date(2024, 12, 15), False)


LATE = [
    pytest.param("2024-12-14", date(2024, 12, 15), id="the day before"),
    pytest.param("2024-12-15 23:59", date(2024, 12, 15), id="the last minute"),
    pytest.param("2024-12-16 00:00", date(2025, 1, 31), id="when the day is over"),
    pytest.param("2024-12-18", date(2025, 1, 31), id="days later"),
]


@pytest.mark.parametrize(("at", "due_on"), LATE)
def test_p6_the_check_of_what_is_re_submitted_after_12_15_is_owed_by_the_close(at: str, due_on: date) -> None:
    walk = Walk().to("rejected")
    walk.go("resubmit", answers(day=at[:10]), at=at)
    stage = owed(walk.case)["stage.check"]
    assert (stage.due_on, stage.title.en) == (due_on, "checked by the province")  # and not "the programme closes"


def test_p6_the_publication_is_owed_when_a_draw_has_passed_the_case_over_or_its_check_was_passed() -> None:
    accepted = Walk().to("accepted").case
    assert owed(drawn(accepted, is_drawn=False))["stage.publication"].due_on == date(2024, 12, 31)
    assert "stage.publication" not in owed(drawn(replace(accepted, route="fast_track"), is_drawn=False))
    for result in ("failed", "rectify"):
        walk = Walk().to("accepted")
        walk.go("spot_check", check(result), at="2024-08-06", by=PROVINCE)
        assert owed(walk.case).keys() == {"stage.conclusion"}


def test_p5_what_follows_from_a_check_that_was_not_passed_is_the_provinces_to_decide() -> None:
    for day, due_on in (("2024-08-06", date(2024, 12, 15)), ("2024-12-16", date(2025, 1, 31))):
        walk = Walk().to("accepted")
        walk.go("spot_check", {**check("failed"), "checked_on": day}, at=day, by=PROVINCE, reason="补办")
        conclusion = owed(walk.case)["stage.conclusion"]
        assert (conclusion.unit, conclusion.clause, conclusion.due_on) == (PROVINCE_CODE, "P5", due_on)
        before = walk.case
        walk.go("reject", at=day, by=PROVINCE, reason="未通过")
        assert ends(before, walk.case, day)["stage.conclusion"] == "met"


def test_p6_the_publication_is_owed_too_where_the_check_was_entered_a_day_later() -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check(day="2024-08-05"), at="2024-08-07", by=PROVINCE)
    assert "stage.publication" in owed(walk.case)


def test_p6_what_was_checked_when_the_day_of_publication_was_over_is_published_by_the_close() -> None:
    for day, due_on in (("2024-12-31", date(2024, 12, 31)), ("2025-01-03", date(2025, 1, 31))):
        walk = Walk().to("accepted")
        walk.go("spot_check", check(day=day), at=day, by=PROVINCE, reason="补办")
        assert owed(walk.case)["stage.publication"].due_on == due_on  # however long ago the case was listed


def test_p5_a_check_of_the_time_before_does_not_let_what_is_accepted_anew_be_published() -> None:
    walk = rectified()
    walk.go(
        "report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-20", "done": [2]}, at="2024-08-20"
    )
    walk.go("accept", {**REVIEW, "reviewed_on": "2024-08-21"}, at="2024-08-21")
    assert owed(walk.case).keys() == {"stage.check"}


def rectified() -> Walk:
    """A case whose check ordered a rectification with one measure."""
    walk = Walk().to("accepted")
    walk.go("spot_check", check("rectify"), at="2024-08-06", by=PROVINCE)
    walk.go("order_rectification", {"review_on": "2024-12-05", "measures": [{**MEASURE, "due_on": "2024-10-31"}]},
            at="2024-08-07", by=PROVINCE)  # fmt: skip
    return walk


def test_p5_a_rectification_asks_for_its_measures_and_a_re_review_by_a_day_of_its_own() -> None:
    found = owed(rectified().case)
    assert {name: each.due_on for name, each in found.items() if each.kind != "report"} == {
        "measure.2": date(2024, 10, 31), "re_review": date(2024, 12, 5),
    }  # fmt: skip
    assert {name for name, each in found.items() if each.kind == "report"} == set(reports("2024-08"))
    assert (found["re_review"].unit, found["re_review"].clause, found["re_review"].hard) == ("410100", "P5", False)


# --- reports ----------------------------------------------------------------------------------------------------------


def upgrading(at: str) -> Case:
    """A case that began to upgrade at an instant."""
    return replace(Walk().to("upgrading").case, entered_at=instant(at))


BEGUN = [
    pytest.param("2024-06-12", "2024-06", id="before tracking begins"),
    pytest.param("2024-06-30 23:59", "2024-06", id="the last minute of June"),
    pytest.param("2024-07-01 00:00", "2024-07", id="the first of July"),
    pytest.param("2024-11-15 23:59", "2024-11", id="the last minute of tracking"),
    pytest.param("2024-11-16 00:00", "2024-12", id="when tracking is over"),
]


@pytest.mark.parametrize(("at", "first"), BEGUN)
def test_p3_a_report_is_owed_for_each_month_in_which_the_case_is_tracked(at: str, first: str) -> None:
    found = {name for name, each in owed(upgrading(at)).items() if each.kind == "report"}
    assert found == set(reports(first))


TRACKED = [
    pytest.param("2024-06-15", "2024-11-15", "2024-06", "2024-11", id="from June to November"),
    pytest.param("2024-06-15", "2024-11-01", "2024-06", "2024-11", id="to the first of November"),
    pytest.param("2024-06-15", "2024-10-31", "2024-06", "2024-10", id="to the last of October"),
    pytest.param("2024-06-30", "2024-11-15", "2024-06", "2024-11", id="from the last of June"),
    pytest.param("2024-07-01", "2024-11-15", "2024-07", "2024-11", id="from the first of July"),
]


@pytest.mark.parametrize(("from_", "to", "first", "last"), TRACKED)
def test_p3_no_report_is_owed_of_a_month_of_which_nothing_lies_in_the_phase(
    from_: str, to: str, first: str, last: str
) -> None:
    phases = tuple(
        replace(each, from_=date.fromisoformat(from_), to=date.fromisoformat(to)) if each.id == "track" else each
        for each in HENAN.phases
    )
    found = owed(upgrading("2024-06-12"), replace(HENAN, phases=phases))
    assert {name for name in found if name.startswith("report")} == {
        f"report.{month}" for month in MONTHS if first <= month <= last
    }


SINCE = [
    pytest.param("2024-06-12", "2024-06", "2024-06-15 00:00", id="tracking begins on 6/15"),
    pytest.param("2024-06-20", "2024-06", "2024-06-20", id="in the middle of a month"),
    pytest.param("2024-06-20", "2024-07", "2024-07-01 00:00", id="a month that has not begun"),
    pytest.param("2024-11-08", "2024-11", "2024-11-08", id="November"),
]


@pytest.mark.parametrize(("entered_at", "month", "since"), SINCE)
def test_p3_a_report_is_owed_since_its_month_or_the_case_in_it_began(entered_at: str, month: str, since: str) -> None:
    assert owed(upgrading(entered_at))[f"report.{month}"].since == instant(since)


def test_p3_a_month_that_is_reported_is_owed_no_more_and_the_later_ones_are() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    assert {name for name in owed(walk.case) if name.startswith("report")} == set(reports("2024-06")) - {
        "report.2024-07"
    }


# --- filings ----------------------------------------------------------------------------------------------------------

DUE = {
    "list.2024": "2024-05-31", "plan.2024": "2024-06-15", "equipment.2024": "2024-10-31",
    "tracking.2024-06": "2024-06-30", "tracking.2024-07": "2024-07-31", "tracking.2024-08": "2024-08-31",
    "tracking.2024-09": "2024-09-30", "tracking.2024-10": "2024-10-31", "tracking.2024-11": "2024-11-30",
    "accepted.2024-07": "2024-07-31", "accepted.2024-10": "2024-10-31", "accepted.2024-11": "2024-11-30",
    "emergency_list.2024": "2024-09-10",
}  # fmt: skip


def test_p1_to_p6_each_of_the_19_units_files_13_times() -> None:
    found = list(filings(HENAN, calendar(), instant("2024-05-20")))
    assert len(found) == 19 * 13
    assert len({each.id for each in found}) == len(found)
    for unit in HENAN.units:
        own = {each.subject.removeprefix(f"henan-2024.{unit.code}."): each for each in found if each.unit == unit.code}
        assert {name: str(each.due_on) for name, each in own.items()} == DUE
    for each in found:
        assert each.id == f"filing.{each.subject}"
        assert (each.kind, each.subject_type, each.since) == ("filing", "filing", instant("2024-05-20"))
        assert not each.hard
        assert not each.provisional


def test_a_programme_that_is_loaded_after_its_close_asks_for_nothing() -> None:
    assert list(filings(HENAN, calendar(), instant("2025-02-01 00:00"))) == []
    assert len(list(filings(HENAN, calendar(), instant("2025-01-31 23:59")))) == 19 * 13


def test_a_second_programme_has_its_own_filings_and_rolls_a_date_on_a_day_off_where_it_says_so() -> None:
    found = {each.subject: each.due_on for each in filings(SECOND, calendar(), instant("2025-01-02"))}
    assert {name.split(".", 2)[2]: day for name, day in found.items()} == {
        "list.2025": date(2025, 3, 31), "accepted.2025-09": date(2025, 9, 30),
    }  # fmt: skip
    assert len(found) == 4
    rolled = replace(SECOND, dates=tuple(
        replace(rule, due_on=date(2025, 10, 4)) if rule.id == "approved" else rule for rule in SECOND.dates
    ))  # fmt: skip
    days = {each.due_on for each in filings(rolled, calendar(), instant("2025-01-02"))}
    assert days == {date(2025, 3, 31), date(2025, 10, 9)}  # 10/4 lies in the holidays, which end on 10/8


def test_a_second_programme_owes_its_own_stages_and_no_reports() -> None:
    case = new_case(
        programme=SECOND.id, unit="370100", state="upgrading", entered_at=instant("2025-05-06"),
        listed_at=instant("2025-03-03"),
    )  # fmt: skip
    assert {name: each.due_on for name, each in owed(case, SECOND).items()} == {"stage.upgraded": date(2025, 9, 30)}
    rejected = replace(case, state="rejected")
    found = owed(rejected, SECOND)
    assert {name: each.due_on for name, each in found.items()} == {"resubmission.resubmission": date(2025, 11, 20)}
    assert found["resubmission.resubmission"].hard


# --- answers, decisions, retrofits, notices ---------------------------------------------------------------------------

VECTORS = [
    pytest.param("2024-09-27", "2024-10-10", False, id="a holiday and a Sunday worked"),
    pytest.param("2024-09-27 23:59", "2024-10-10", False, id="received in the last minute of the day"),
    pytest.param("2024-09-28 00:00", "2024-10-10", False, id="received on a Saturday off"),
    pytest.param("2024-09-29 00:00", "2024-10-11", False, id="received on a Sunday that is worked"),
    pytest.param("2024-09-30", "2024-10-12", False, id="due on a Saturday that is worked"),
    pytest.param("2024-12-27", "2025-01-06", False, id="over the turn of a year"),
    pytest.param("2026-12-28", "2027-01-04", True, id="into a year that is not known"),
]


@pytest.mark.parametrize(("received", "due_on", "provisional"), VECTORS)
def test_w5_a_request_is_answered_within_five_working_days_the_day_of_receipt_not_counted(
    received: str, due_on: str, provisional: bool
) -> None:
    due = answer(HENAN, calendar(), "r1", "410100", instant(received))
    assert (due.id, due.kind, due.unit, due.clause) == ("answer.r1", "answer", "410100", "W5")
    assert (due.subject_type, due.subject, due.since) == ("request", "r1", instant(received))
    assert due.provisional == provisional
    if not provisional:
        assert due.due_on == date.fromisoformat(due_on)
    assert not due.hard


def test_w5_another_programme_may_give_three_days() -> None:
    assert answer(SECOND, calendar(), "r1", "370100", instant("2025-04-28")).due_on == date(2025, 5, 6)


def test_p6_an_objection_is_decided_within_ten_working_days() -> None:
    due = decision(HENAN, calendar(), "o1", "410100", instant("2024-09-03"))
    assert (due.id, due.kind, due.subject_type) == ("objection.o1", "objection", "objection")
    assert due.due_on == date(2024, 9, 18)  # 9/14 is worked, 9/15 to 9/17 are off
    assert due.clause == "P6"


RETROFITS = [
    pytest.param("steel", "A", date(2024, 10, 31), True, id="steel already A"),
    pytest.param("cement", "A", date(2024, 10, 31), True, id="cement already A"),
    pytest.param("steel", "A", None, False, id="no date is set"),
    pytest.param("steel", "B", date(2024, 10, 31), False, id="a grade that does not ask for it"),
    pytest.param("glass", "A", date(2024, 10, 31), False, id="an industry that does not ask for it"),
    pytest.param("no such industry", "A", date(2024, 10, 31), False, id="an industry that the plan does not know"),
]


@pytest.mark.parametrize(("industry", "grade", "due_on", "is_owed"), RETROFITS)
def test_w1_a_site_already_in_grade_a_completes_its_retrofit_by_the_day_set_for_it(
    industry: str, grade: str, due_on: date | None, is_owed: bool
) -> None:
    due = ultra_low(HENAN, "s1", "410100", industry, grade, due_on, instant("2024-05-20"))
    assert (due is not None) == is_owed
    if due is not None:
        assert (due.id, due.subject_type, due.subject) == ("ultra_low.s1", "enterprise", "s1")
        assert (due.due_on, due.clause, due.unit) == (due_on, "W1", "410100")


def test_p6_a_notice_into_a_year_that_is_not_known_is_provisional() -> None:
    case = replace(
        Walk().to("published").case, notice=NoticeEntry("n1", date(2026, 12, 28), date(2027, 1, 5), provisional=True)
    )
    assert owed(case)["notice"].provisional


def test_a_rolling_date_in_a_year_that_is_not_known_is_provisional_and_a_literal_one_is_not() -> None:
    blind = Calendar(year for year in packaged_years() if year.year != 2025)
    found = {each.subject: each.provisional for each in filings(SECOND, blind, instant("2025-01-02"))}
    assert {name.split(".", 2)[2]: provisional for name, provisional in found.items()} == {
        "list.2025": False, "accepted.2025-09": True,
    }  # fmt: skip


# --- what becomes of it -----------------------------------------------------------------------------------------------

ALL_REPORTS = dict.fromkeys(reports("2024-06"), "closed")
REST = {name: "closed" for name in reports("2024-06") if name != "report.2024-07"}
GONE = {"listed": {"stage.plan_stage": "closed", "stage.acceptance": "closed"},
        "upgrading": {"stage.acceptance": "closed", "measure.1": "closed", **ALL_REPORTS}}  # fmt: skip
WITHDRAWN = {"reason": "企业申请退出"}
# (state, event, how it is sent, what the case owed before and owes no more, by what became of it)
ENDS = [
    ("listed", "pre_assess", {"at": "2024-06-03"}, {}),
    ("pre_assessed", "file_plan", {"at": "2024-06-10"}, {"stage.plan_stage": "met"}),
    ("pre_assessed", "file_plan", {"at": "2024-06-15 23:59"}, {"stage.plan_stage": "met"}),
    ("pre_assessed", "file_plan", {"at": "2024-06-16 00:00"}, {"stage.plan_stage": "met_late"}),
    ("plan_filed", "return_plan", {"at": "2024-06-12", "reason": "补正"}, {"measure.1": "closed"}),
    ("plan_filed", "start_upgrade", {"at": "2024-06-12"}, {}),
    ("upgrading", "report_progress", {"at": "2024-07-18"}, {"report.2024-07": "met", "measure.1": "met"}),
    ("upgrading", "report_progress", {"at": "2024-08-02"}, {"report.2024-07": "met_late", "measure.1": "met"}),
    ("upgrading", "report_progress", {"at": "2024-10-02"}, {"report.2024-07": "met_late", "measure.1": "met_late"}),
    ("upgrading", "amend_plan", {"sent": {"add": [MEASURE], "drop": [1]}, "at": "2024-07-18", "reason": "取消"},
     {"measure.1": "closed"}),
    ("upgrading", "fail_acceptance", {"at": "2024-07-20"}, {}),
    ("pre_assessed", "fast_track", {"at": "2024-07-20"}, {"stage.plan_stage": "met_late", "stage.acceptance": "met"}),
    ("upgrading", "fast_track", {"at": "2024-07-20"},
     {"stage.acceptance": "met", "measure.1": "closed", **ALL_REPORTS}),
    ("accepted", "spot_check", {"at": "2024-08-06", "by": PROVINCE}, {}),
    ("spot_checked", "publish", {"at": "2024-09-03"}, {"stage.publication": "met"}),
    ("spot_checked", "publish", {"at": "2025-01-03", "reason": "补办"}, {"stage.publication": "met_late"}),
    ("published", "recognise", {"at": "2024-09-11 00:00", "by": SYSTEM}, {"notice": "met"}),
    ("published", "recognise", {"at": "2024-12-01 00:00", "by": SYSTEM}, {"notice": "met"}),
    ("published", "uphold_objection", {"at": "2024-09-05", "by": SYSTEM}, {"notice": "closed"}),
    ("published", "withdraw", {"at": "2024-09-05", **WITHDRAWN}, {"notice": "closed"}),
    ("rejected", "resubmit", {"at": "2024-12-18"},
     {"resubmission.resubmission": "met", **dict.fromkeys(reports("2024-08"), "closed")}),
    ("rejected", "lapse", {"at": "2024-12-21 00:05", "by": SYSTEM},
     {"resubmission.resubmission": "closed", **dict.fromkeys(reports("2024-08"), "closed")}),
    ("resubmitted", "spot_check", {"sent": check(day="2024-12-19"), "at": "2024-12-19", "by": PROVINCE},
     {"stage.check": "met"}),
    ("resubmitted", "withdraw", {"at": "2024-12-19", **WITHDRAWN}, {"stage.check": "closed"}),
    ("listed", "withdraw", {"at": "2024-06-20", **WITHDRAWN}, GONE["listed"]),
    ("upgrading", "withdraw", {"at": "2024-06-20", **WITHDRAWN}, GONE["upgrading"]),
    ("upgrading", "disqualify", {"at": "2024-06-21"}, GONE["upgrading"]),
    ("upgrading", "lapse", {"at": "2025-02-01 00:05", "by": SYSTEM}, GONE["upgrading"]),
]  # fmt: skip


def ends(before: Case, after: Case, at: str, *, undone: bool = False) -> dict[str, str]:
    """What is owed no more after a change, and what became of it."""
    was, is_ = owed(before), owed(after)
    return {
        name: str(settled(HENAN, was[name], ended(HENAN, after, was[name], undone=undone), instant(at)))
        for name in was.keys() - is_.keys()
    }


@pytest.mark.parametrize(
    ("state", "event", "how", "expected"), ENDS, ids=[f"{event} at {how['at']}" for _, event, how, _ in ENDS]
)
def test_r2_what_is_owed_no_more_was_met_in_time_or_late_or_is_closed(
    state: str, event: str, how: dict[str, Any], expected: dict[str, str]
) -> None:
    walk = Walk().to(state)
    before = walk.case
    walk.go(event, **{"sent": EXAMPLES.get(event), **how})
    assert ends(before, walk.case, how["at"]) == expected


def test_p4_an_acceptance_meets_its_stage_and_closes_the_reports_that_were_still_to_come() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    before = walk.case
    walk.go("accept", REVIEW, at="2024-07-20")
    assert ends(before, walk.case, "2024-07-20") == {"stage.acceptance": "met", **REST}


def test_p5_a_re_review_is_met_when_the_case_is_accepted_anew_and_late_when_its_day_is_over() -> None:
    walk = rectified()
    walk.go(
        "report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-20", "done": [2]}, at="2024-08-20"
    )
    before = walk.case
    for day, outcome in (("2024-11-20", "met"), ("2024-12-06", "met_late")):
        after = walk.ask("accept", {**REVIEW, "reviewed_on": day}, at=day, reason="复审").after  # type: ignore[union-attr]
        assert ends(before, after, day)["re_review"] == outcome
    walk.go("withdraw", at="2024-09-01", reason="退出")
    assert ends(before, walk.case, "2024-09-01")["re_review"] == "closed"


def test_p6_a_publication_that_is_not_possible_any_more_was_not_made() -> None:
    walk = Walk().to("accepted")
    walk.case = drawn(walk.case, is_drawn=False)
    before = walk.case
    assert ends(before, drawn(walk.case, is_drawn=True), "2024-08-05") == {"stage.publication": "closed"}
    walk.go("spot_check", check("failed"), at="2024-08-06", by=PROVINCE)
    assert ends(before, walk.case, "2024-08-06") == {"stage.publication": "closed"}


@pytest.mark.parametrize(
    ("accepted_at", "due_on"), [("2024-12-10", date(2024, 12, 15)), ("2024-12-18", date(2025, 1, 31))]
)
def test_p5_a_check_that_a_draw_demands_no_more_was_not_made_whichever_day_held(accepted_at: str, due_on: date) -> None:
    before = drawn(replace(Walk().to("accepted").case, entered_at=instant(accepted_at)), is_drawn=True)
    assert owed(before)["stage.check"].due_on == due_on
    assert ends(before, drawn(before, is_drawn=False), "2024-12-20")["stage.check"] == "closed"


UNDONE = [
    ("pre_assessed", "file_plan", {"at": "2024-06-10"}, {"measure.1"}, {"stage.plan_stage"}),
    ("upgrading", "report_progress", {"at": "2024-07-18"}, set(), {"report.2024-07", "measure.1"}),
    ("upgrading", "fast_track", {"at": "2024-07-20"}, {"stage.check"}, {"stage.acceptance", "measure.1", *ALL_REPORTS}),
    ("upgrading", "withdraw", {"at": "2024-06-20", **WITHDRAWN}, set(), set(GONE["upgrading"])),
    ("spot_checked", "publish", {"at": "2024-09-03"}, {"notice"}, {"stage.publication"}),
    ("rejected", "resubmit", {"at": "2024-12-18"}, {"stage.check"}, {"resubmission.resubmission"}),
]  # fmt: skip


@pytest.mark.parametrize(("state", "event", "how", "closed", "again"), UNDONE, ids=[event for _, event, *_ in UNDONE])
def test_r4_a_correction_closes_what_the_mistake_brought_and_what_it_ended_is_owed_again(
    state: str, event: str, how: dict[str, Any], closed: set[str], again: set[str]
) -> None:
    walk = Walk().to(state)
    first = walk.case
    walk.go(event, **{"sent": EXAMPLES.get(event), **how})
    mistaken = walk.case
    role = Role(walk.case.last_event.role)  # type: ignore[union-attr]
    walk.go("correct", at=how["at"], by=Actor("另一人", role), reason="误报")
    assert ends(mistaken, walk.case, how["at"], undone=True) == dict.fromkeys(closed, "closed")
    assert again <= owed(walk.case).keys() - owed(mistaken).keys()
    assert owed(walk.case).keys() == owed(first).keys()


def test_w2_a_case_that_is_listed_anew_owes_its_stages_again_and_nothing_of_its_first_attempt() -> None:
    walk = Walk().to("withdrawn")
    walk.go("relist", at="2024-07-02", reason="重新申请")
    assert owed(walk.case).keys() == {"stage.plan_stage", "stage.acceptance"}
    assert owed(walk.case)["stage.plan_stage"].since == instant("2024-07-02")
    assert owed(walk.case)["stage.plan_stage"].due_on == date(2024, 11, 15)
    walk.go("pre_assess", {**PRE_ASSESSMENT, "assessed_on": "2024-07-03"}, at="2024-07-03")
    assert owed(walk.case)["stage.plan_stage"].due_on == date(2024, 11, 15)


def test_p2_a_plan_filed_anew_owes_its_own_measures_under_the_same_numbers() -> None:
    walk = Walk().to("plan_filed")
    walk.go("return_plan", at="2024-06-11", reason="补正")
    later = {**PLAN, "measures": [{**MEASURE, "due_on": "2024-10-10"}]}
    walk.go("file_plan", later, at="2024-06-13")
    assert owed(walk.case)["measure.1"].due_on == date(2024, 10, 10)


def test_what_moves_is_another_obligation_of_the_same_name_and_what_only_stays_longer_is_not() -> None:
    walk = Walk().to("plan_filed")
    before = owed(walk.case)
    walk.go("start_upgrade", EXAMPLES["start_upgrade"], at="2024-06-12")
    assert owed(walk.case)["measure.1"] == before["measure.1"]  # since is no part of it
    walk.go("amend_plan", {"change": [{"number": 1, "due_on": "2024-10-15"}]}, at="2024-07-01", reason="推迟")
    assert owed(walk.case)["measure.1"] != before["measure.1"]
    assert owed(walk.case)["measure.1"].id == before["measure.1"].id


# --- how it stands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_r2_what_is_met_after_its_day_is_late_where_passing_it_is_a_failure(kind: str) -> None:
    ladder = HENAN.ladder_by_id[kind]
    due = Owed("x", kind, ladder.title, ladder.clause, "410100", "case", "c1", instant("2024-06-01"), date(2024, 6, 20))
    over = instant("2024-06-21 00:00")
    moment = timedelta(microseconds=1)
    assert settled(HENAN, due, Outcome.MET, over - moment) == Outcome.MET
    assert settled(HENAN, due, Outcome.MET, over) == (Outcome.MET_LATE if ladder.breaches else Outcome.MET)
    assert settled(HENAN, due, Outcome.CLOSED, over) == Outcome.CLOSED
    assert settled(HENAN, due, Outcome.NIL, over) == Outcome.NIL


def test_how_far_something_is_goes_by_the_day_in_shanghai() -> None:
    on = date(2024, 6, 20)
    assert stage_at(on, instant("2024-06-19 23:59")) == "ahead"
    assert stage_at(on, instant("2024-06-20 00:00")) == stage_at(on, instant("2024-06-20 23:59")) == "due"
    assert stage_at(on, instant("2024-06-21 00:00")) == "overdue"
    assert stage_at(on, instant("2024-06-21 00:00"), escalated=True) == "escalated"


def test_w5_somebody_wakes_for_every_rung_and_for_the_breach_and_never_for_an_end_that_has_passed() -> None:
    due = answer(HENAN, calendar(), "r1", "410100", instant("2024-09-27"))
    at, woken = due.since - timedelta(microseconds=1), []
    while (at := wakes_at(HENAN, calendar(), due, at) or instant("2099-01-01")) < instant("2024-10-12 00:00"):
        woken.append(at)
    said = ("2024-09-27 09:00", "2024-10-08 08:30", "2024-10-09 08:30", "2024-10-10 08:30", "2024-10-11 00:00")
    assert woken == [instant(each) for each in said]
    notice = owed(Walk().to("published").case)["notice"]
    assert wakes_at(HENAN, calendar(), notice, instant("2024-09-10 08:30")) is None


def test_the_machine_of_the_second_programme_is_made_of_the_same_kinds() -> None:
    assert {ladder.id for ladder in SECOND.ladders} == {ladder.id for ladder in HENAN.ladders} == set(KINDS)
    assert Lifecycle(SECOND).programme.province.code != HENAN.province.code


def test_p2_one_measure_that_is_done_makes_no_other_met() -> None:
    walk = Walk().to("pre_assessed")
    walk.go("file_plan", {**PLAN, "measures": [MEASURE, {**MEASURE, "title": "料场封闭"}]}, at="2024-06-10")
    walk.go("start_upgrade", {"started_on": "2024-06-12"}, at="2024-06-12")
    walk.go("report_progress", REPORT, at="2024-07-18")
    before = walk.case
    walk.go("amend_plan", {"drop": [2]}, at="2024-07-19", reason="取消")
    assert ends(before, walk.case, "2024-07-19") == {"measure.2": "closed"}


@pytest.mark.parametrize(
    ("returned_at", "due_on"), [("2024-05-22", date(2024, 5, 31)), ("2024-05-28", date(2024, 6, 4))]
)
def test_r2_what_is_sent_back_is_owed_in_five_working_days_and_never_before_the_plans_own_day(
    returned_at: str, due_on: date
) -> None:
    since = instant("2024-05-20")
    owed_ = next(each for each in filings(HENAN, calendar(), since) if each.subject == "henan-2024.410100.list.2024")
    again = refiling(HENAN, calendar(), owed_, 2, instant(returned_at))
    assert (again.due_on, again.clause, again.since) == (due_on, "R2", instant(returned_at))


def test_p6_a_check_on_the_day_of_the_review_is_of_it() -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check(day="2024-07-20"), at="2024-07-20", by=PROVINCE, reason="提前")
    assert "stage.publication" in owed(walk.case)
