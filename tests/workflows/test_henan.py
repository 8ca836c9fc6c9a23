"""The file of Henan 2024 against the plan: its numbers, its dates, and what it lets onto the list."""

from datetime import date
from typing import Any

import pytest

from tests.workflows.cases import henan
from workflows.events import Listing, read_data

PROGRAMME = henan().programme
RIGHT = {"industry": "foundry", "current_grade": "C", "target_grade": "B", "applied_on": "2024-05-06"}


def faults(**changes: Any) -> set[tuple[str, str | None]]:
    """The code and field of everything wrong with a line of the list that is right but for these changes."""
    sent = {name: value for name, value in {**RIGHT, **changes}.items() if value is not None}
    read = read_data("list", sent, PROGRAMME, date(2024, 5, 20), at="")
    return {(fault.code, fault.field) for fault in read} if isinstance(read, tuple) else set()


def test_a_right_line_is_read() -> None:
    assert isinstance(read_data("list", RIGHT, PROGRAMME, date(2024, 5, 20)), Listing)


def test_t1_there_are_twelve_industries_and_other() -> None:
    assert [industry.id for industry in PROGRAMME.industries] == [
        "steel", "cement", "coking", "foundry", "refractory", "glass", "lime_kiln", "secondary_metal", "chemical",
        "industrial_coating", "packaging_printing", "abrasives", "other",
    ]  # fmt: skip
    assert {industry.id for industry in PROGRAMME.industries if industry.ultra_low} == {"steel", "cement", "coking"}


@pytest.mark.parametrize(
    ("industry", "detail", "expected"),
    [
        ("steel", None, set()),
        ("other", "人造板", set()),
        ("other", None, {("detail_missing", "industry_detail")}),
        ("钢铁", None, {("unknown_industry", "industry")}),
        ("tea", "x", {("unknown_industry", "industry")}),
    ],
)
def test_t1_a_case_names_an_industry_of_the_plan_and_other_says_which(
    industry: str, detail: str | None, expected: set[Any]
) -> None:
    assert faults(industry=industry, industry_detail=detail) == expected


def test_t2_the_province_is_to_win_600_sites_in_grades_without_b_minus() -> None:
    target = PROGRAMME.target_by_area["410000"]
    assert (target.sites, set(target.counted), target.by) == (600, {"A", "B", "leading"}, date(2024, 12, 31))


NOT_A_TARGET, NOT_ABOVE = {("not_a_target", "target_grade")}, {("target_not_above", "target_grade")}
LADDERS = [
    ("B", "A", set()), ("B-", "B", set()), ("C", "B-", set()), ("D", "A", set()), ("A", "A", NOT_ABOVE),
    ("A", "B", NOT_ABOVE), ("B", "B", NOT_ABOVE), ("B", "B-", NOT_ABOVE), ("leading", "leading", NOT_ABOVE),
    ("non_leading", "leading", set()), ("A", "leading", set()), ("leading", "B-", set()), ("ungraded", "B-", set()),
    ("ungraded", "leading", set()), ("D", "C", NOT_A_TARGET), ("C", "non_leading", NOT_A_TARGET),
    ("C", "ungraded", NOT_A_TARGET), ("X", "A", {("unknown_grade", "current_grade")}),
    ("C", "A+", {("unknown_grade", "target_grade")}),
]  # fmt: skip


@pytest.mark.parametrize(("current", "target", "expected"), LADDERS)
def test_t2_a_target_is_above_the_present_grade_on_its_own_ladder(
    current: str, target: str, expected: set[Any]
) -> None:
    assert faults(current_grade=current, target_grade=target) == expected


TARGETS = {
    60: "410100 410300 410500 410600 410700",
    35: "410800 410900 411000 411400",
    20: "410200 410400 411100 411200 411300 411500 411600 411700 419001",
    10: "410173",
}


def test_t3_each_of_the_19_units_has_its_target_and_they_sum_to_630() -> None:
    assert {unit.code: PROGRAMME.target_by_area[unit.code].sites for unit in PROGRAMME.units} == {
        code: sites for sites, codes in TARGETS.items() for code in codes.split()
    }
    assert sum(PROGRAMME.target_by_area[unit.code].sites for unit in PROGRAMME.units) == 630
    assert all("B-" in PROGRAMME.target_by_area[unit.code].counted for unit in PROGRAMME.units)


@pytest.mark.parametrize("changes", [{"applied_on": None}, {"applied_on": "2024-05-21"}])
def test_w2_listing_needs_the_date_on_which_the_enterprise_applied_of_its_own_will(changes: dict[str, Any]) -> None:
    assert {field for _, field in faults(**changes)} == {"applied_on"}


def test_w3_a_case_names_its_officer_and_its_experts() -> None:
    data = read_data("list", {**RIGHT, "officer": "张工", "experts": ["周教授"]}, PROGRAMME, date(2024, 5, 20))
    assert isinstance(data, Listing)
    assert (data.officer, data.experts) == ("张工", ("周教授",))


def test_w5_a_request_is_answered_within_5_working_days() -> None:
    assert (PROGRAMME.spans.answer.working_days, PROGRAMME.spans.answer.clause) == (5, "W5")


def test_w7_grade_a_and_leading_carry_the_entitlement() -> None:
    assert {grade.id for grade in PROGRAMME.grades if grade.entitlement} == {"A", "leading"}


def test_p1_the_list_closes_on_the_31st_of_may_and_later_listing_needs_a_reason() -> None:
    event = PROGRAMME.event_by_name["list"]
    assert (event.window.from_, event.window.to, event.window.hard_after) == (
        None,
        date(2024, 5, 31),
        date(2025, 1, 31),
    )


def test_p6_only_four_things_are_hard_and_that_nobody_enters_a_closed_programme() -> None:
    hard = {event.name: event.window.hard_after for event in PROGRAMME.events if event.window.hard_after}
    assert hard.pop("list") == hard.pop("relist") == PROGRAMME.closes_on
    assert hard == dict.fromkeys(("accept", "fast_track", "resubmit"), date(2024, 12, 20))
    assert {rule.id for rule in PROGRAMME.dates if rule.hard and rule.due_on != date(2024, 12, 20)} == set()


def test_r1_every_event_names_who_may_make_it_and_only_the_scheduler_makes_those_of_the_system() -> None:
    roles = {event.name: set(event.roles) for event in PROGRAMME.events}
    assert {name for name, may in roles.items() if may == {"system"}} == {"recognise", "lapse", "uphold_objection"}
    assert {name for name, may in roles.items() if "province" in may} == {
        "return_plan", "spot_check", "order_rectification", "reject", "disqualify", "correct",
    }  # fmt: skip
    assert {name for name, may in roles.items() if "expert" in may} == {"pre_assess", "report_progress"}


def test_r2_every_date_has_an_owner_and_a_ladder_of_reminders() -> None:
    ladders = {ladder.id for ladder in PROGRAMME.ladders}
    assert PROGRAMME.dates
    assert all(rule.owner and rule.ladder in ladders for rule in PROGRAMME.dates)


def test_r3_every_state_event_and_unit_has_a_name_in_both_languages_for_publicity() -> None:
    named = [
        *(s.name for s in PROGRAMME.states),
        *(e.title for e in PROGRAMME.events),
        *(u.name for u in PROGRAMME.units),
    ]
    assert all(text.zh.strip() and text.en.strip() and text.zh != text.en for text in named)
