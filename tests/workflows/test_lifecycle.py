"""The machine of henan-2024: what moves a case, what refuses it, and that both say the same."""

import itertools
from dataclasses import fields
from datetime import date
from typing import Any

import pytest

from tests.workflows.cases import (
    DECLARATION,
    EXAMPLES,
    MEASURE,
    OFFICER,
    PLAN,
    PRE_ASSESSMENT,
    PROVINCE,
    REPORT,
    REVIEW,
    STATES,
    SYSTEM,
    Walk,
    answers,
    check,
    henan,
    instant,
)
from workflows.case import Drawn, dump, load
from workflows.facts import Actor, Facts, Site
from workflows.guards import GUARDS
from workflows.lifecycle import Decision, Refused, replay
from workflows.programme import Role
from workflows.text import Text

DESIGN = {
    "list": {None: "listed"},
    "pre_assess": {"listed": "pre_assessed"},
    "file_plan": {"pre_assessed": "plan_filed"},
    "return_plan": {"plan_filed": "pre_assessed"},
    "start_upgrade": {"plan_filed": "upgrading"},
    "amend_plan": {"upgrading": "upgrading"},
    "report_progress": {"upgrading": "upgrading", "rejected": "rejected"},
    "accept": {"upgrading": "accepted"},
    "fail_acceptance": {"upgrading": "upgrading"},
    "fast_track": dict.fromkeys(("pre_assessed", "plan_filed", "upgrading"), "accepted"),
    "spot_check": dict.fromkeys(("accepted", "resubmitted"), "spot_checked"),
    "order_rectification": {"spot_checked": "upgrading"},
    "publish": dict.fromkeys(("spot_checked", "accepted"), "published"),
    "reject": {"spot_checked": "rejected"},
    "uphold_objection": {"published": "rejected"},
    "recognise": {"published": "recognised"},
    "resubmit": {"rejected": "resubmitted"},
    "lapse": dict.fromkeys(set(STATES[:8]) | {"rejected"} - {"published"}, "lapsed"),
    "withdraw": dict.fromkeys(STATES[:9], "withdrawn"),
    "relist": {"withdrawn": "listed"},
    "disqualify": dict.fromkeys(set(STATES) - {"disqualified"}, "disqualified"),
}
OPEN = set(STATES[:9])


def test_the_file_has_the_events_and_states_of_the_design() -> None:
    programme = henan().programme
    assert {state.id for state in programme.states} == set(STATES)
    assert {state.id for state in programme.states if state.final} == {
        "recognised", "withdrawn", "lapsed", "disqualified",
    }  # fmt: skip
    assert set(programme.event_by_name) == {*DESIGN, "correct"}


@pytest.mark.parametrize("state", STATES)
def test_every_event_moves_from_a_state_as_the_design_says_or_is_refused_by_the_state(state: str) -> None:
    walk = Walk().to(state)
    for event in DESIGN.keys() - {"lapse"}:
        actor = Actor("somebody", henan().programme.event_by_name[event].roles[0])
        decided = walk.ask(event, EXAMPLES.get(event), at="2024-12-19", by=actor, reason="测试")
        target = DESIGN[event].get(state)
        wrong = isinstance(decided, Refused) and "wrong_state" in {reason.code for reason in decided.reasons}
        assert wrong == (target is None), event
        if isinstance(decided, Decision):
            assert decided.after.state == target, event


@pytest.mark.parametrize("state", STATES)
def test_offers_are_the_events_that_lead_on_and_agree_with_what_is_refused(state: str) -> None:
    walk = Walk().to(state)
    for role in Role:
        facts = walk.facts("2024-12-19", Actor("somebody", role))
        offers = {offer.event.name: offer for offer in walk.machine.offers(facts)}
        expected = {name for name, moves in DESIGN.items() if state in moves} | {"correct"}
        assert set(offers) - {"lapse"} == expected - {"lapse"}
        for name, offer in offers.items():
            decided = walk.ask(name, EXAMPLES.get(name), at="2024-12-19", by=Actor("somebody", role), reason="测试")
            refused = decided.reasons if isinstance(decided, Refused) else ()
            of_data = {reason for reason in refused if (reason.field or "").startswith("data")}
            of_role = {reason for reason in offer.reasons if reason.code == "role_not_allowed"}
            assert set(offer.reasons) - of_role == set(refused) - of_data, name
            assert bool(of_role) == (role not in offer.event.roles)


@pytest.mark.parametrize("state", STATES)
def test_a_case_survives_being_stored_and_its_history_makes_it_again(state: str) -> None:
    walk = Walk().to(state)
    assert load(dump(walk.case)) == walk.case
    documents = [dump(case) for _, case in walk.history[1:]] + [dump(walk.case)]
    changes = [documents[0]] + [
        {name: value for name, value in after.items() if before[name] != value}
        for before, after in itertools.pairwise(documents)
    ]
    assert replay(changes) == walk.case


# --- windows: soft ones mark and ask for a reason, hard ones refuse ---------------------------------------------------

WINDOWS = [
    ("list", None, "2024-05-31 23:59", "2024-06-01 00:00"),
    ("pre_assess", "2024-06-01 00:00", "2024-11-15 23:59", "2024-11-16 00:00"),
    ("start_upgrade", "2024-06-01 00:00", "2024-11-15 23:59", "2024-11-16 00:00"),
    ("amend_plan", "2024-06-01 00:00", "2024-11-15 23:59", "2024-11-16 00:00"),
    ("accept", "2024-07-15 00:00", "2024-11-30 23:59", "2024-12-01 00:00"),
    ("fail_acceptance", "2024-07-15 00:00", "2024-11-30 23:59", "2024-12-01 00:00"),
    ("fast_track", "2024-07-15 00:00", "2024-11-30 23:59", "2024-12-01 00:00"),
    ("spot_check", "2024-08-01 00:00", "2024-12-15 23:59", "2024-12-16 00:00"),
    ("reject", "2024-08-01 00:00", "2024-12-15 23:59", "2024-12-16 00:00"),
    ("publish", "2024-09-01 00:00", "2024-12-31 23:59", "2025-01-01 00:00"),
]
SOURCE = {
    "pre_assess": "listed", "start_upgrade": "plan_filed", "amend_plan": "upgrading", "accept": "upgrading",
    "fail_acceptance": "upgrading", "fast_track": "upgrading", "spot_check": "accepted", "publish": "spot_checked",
}  # fmt: skip


def _before(event: str) -> Walk:
    walk = Walk()
    if event == "reject":
        walk.to("accepted").go("spot_check", check("failed"), at="2024-08-06", by=PROVINCE)
    elif event != "list":
        walk.to(SOURCE[event])
    if event == "accept":
        walk.go("report_progress", {**REPORT, "assessed_on": "2024-07-10"}, at="2024-07-10")
    return walk


def _asked(walk: Walk, event: str, at: str, reason: str | None) -> Decision | Refused:
    day = at.split()[0]
    sent: Any = {name: day if name.endswith("ed_on") else value for name, value in EXAMPLES.get(event, {}).items()}
    role = henan().programme.event_by_name[event].roles[0]
    return walk.ask(event, sent, at=at, by=Actor("somebody", role), reason=reason)


@pytest.mark.parametrize(("event", "first", "last", "after"), WINDOWS)
def test_inside_its_window_an_event_needs_no_reason_and_no_flag(
    event: str, first: str | None, last: str, after: str
) -> None:
    reason = "说明" if henan().programme.event_by_name[event].needs_reason else None
    for at in (first, last):
        if at is not None:
            decided = _asked(_before(event), event, at, reason)
            assert isinstance(decided, Decision), decided
            assert decided.after.flags == ()


@pytest.mark.parametrize(("event", "first", "last", "after"), WINDOWS)
def test_after_its_window_an_event_needs_a_reason_and_is_marked_late(
    event: str, first: str | None, last: str, after: str
) -> None:
    refused = _asked(_before(event), event, after, None)
    assert isinstance(refused, Refused)
    assert [(reason.code, reason.field) for reason in refused.reasons] == [("reason_required", "reason")]
    decided = _asked(_before(event), event, after, "补办")
    assert isinstance(decided, Decision), decided
    assert decided.after.flags == ("late",)


def test_before_its_window_an_event_needs_a_reason_and_is_marked_early() -> None:
    walk = Walk().to("listed")
    sent = {**PRE_ASSESSMENT, "assessed_on": "2024-05-30"}
    assert set(walk.refusal("pre_assess", sent, at="2024-05-31")) == {"reason_required"}
    assert walk.go("pre_assess", sent, at="2024-05-31", reason="企业要求提前").flags == ("early",)


@pytest.mark.parametrize(("at", "flags"), [("2024-06-15 23:59", ()), ("2024-06-16 00:00", ("late",))])
def test_p2_a_plan_filed_after_the_15th_of_june_is_late_without_a_reason(at: str, flags: tuple[str, ...]) -> None:
    assert Walk().to("pre_assessed").go("file_plan", PLAN, at=at).flags == flags


@pytest.mark.parametrize("event", ["accept", "fast_track"])
def test_acceptance_and_fast_track_are_closed_after_the_20th_of_december(event: str) -> None:
    assert isinstance(_asked(_before(event), event, "2024-12-20 23:59", "补办"), Decision)
    refused = _asked(_before(event), event, "2024-12-21 00:00", "补办")
    assert isinstance(refused, Refused)
    assert [reason.code for reason in refused.reasons] == ["too_late"]


def test_nothing_after_a_re_submission_needs_a_reason_or_is_marked() -> None:
    walk = Walk().to("resubmitted")
    walk.go("spot_check", check(day="2025-01-06"), at="2025-01-06", by=PROVINCE)
    assert walk.go("publish", at="2025-01-07").flags == ()


# --- needs of single events -------------------------------------------------------------------------------------------


def test_p4_acceptance_tells_every_unmet_condition_at_once() -> None:
    walk = Walk(industry="steel", current_grade="B", target_grade="A", site=Site()).to("upgrading")
    reasons = walk.refusal(
        "accept",
        {**REVIEW, "reviewed_on": "2024-07-10", "reviewers": ["周 教授"], "indicators": {"fugitive": "not_met"}, "grade": "leading"},
        at="2024-07-14",
    )  # fmt: skip
    assert set(reasons) == {
        "measures_not_done",
        "indicator_not_met",
        "same_person",
        "grade_above_target",
        "reason_required",
    }
    for reason in reasons.values():
        assert reason.clause
        assert reason.detail.zh
        assert reason.detail.en
        assert reason.who
    assert reasons["measures_not_done"].until == instant("2024-12-21 00:00")


@pytest.mark.parametrize(
    ("current", "target", "grade", "codes"),
    [
        ("C", "A", "A", set()),
        ("C", "A", "B", set()),
        ("C", "B", "A", {"grade_above_target"}),
        ("B", "A", "B", {"grade_not_above_present"}),
        ("B", "A", "C", {"grade_not_above_present"}),
        ("non_leading", "leading", "leading", set()),
        ("B", "leading", "A", {"grade_above_target"}),
        ("ungraded", "B", "B-", set()),
        ("B-", "B", "B-", {"grade_not_above_present"}),
    ],
)
def test_p4_the_grade_reached_is_above_the_present_and_not_above_the_target(
    current: str, target: str, grade: str, codes: set[str]
) -> None:
    walk = Walk(current_grade=current, target_grade=target).to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    decided = walk.ask("accept", {**REVIEW, "grade": grade}, at="2024-07-20")
    assert {reason.code for reason in getattr(decided, "reasons", ())} == codes


@pytest.mark.parametrize("industry", ["steel", "cement", "coking"])
@pytest.mark.parametrize(
    ("site", "codes"),
    [
        (Site(), {"ultra_low_not_completed", "ultra_low_not_publicised"}),
        (Site(date(2024, 1, 1)), {"ultra_low_not_publicised"}),
        (Site(None, date(2024, 1, 1)), {"ultra_low_not_completed"}),
        (Site(date(2024, 1, 1), date(2024, 2, 1)), set()),
    ],
)
def test_w1_grade_a_of_steel_cement_and_coking_needs_the_retrofit_done_and_publicised(
    industry: str, site: Site, codes: set[str]
) -> None:
    way: list[tuple[str, str, Any, Actor]] = [
        ("upgrading", "accept", REVIEW, OFFICER),
        ("upgrading", "fast_track", DECLARATION, OFFICER),
        ("spot_checked", "publish", {}, OFFICER),
        ("published", "recognise", {}, SYSTEM),
        ("rejected", "resubmit", answers(), OFFICER),
    ]
    for state, event, sent, actor in way:
        walk = Walk(industry=industry, current_grade="B", target_grade="A").to(state)
        if event == "accept":
            walk.go("report_progress", REPORT, at="2024-07-18")
        walk.site = site
        decided = walk.ask(event, sent, at="2024-12-19", by=actor, reason="测试")
        assert {reason.code for reason in getattr(decided, "reasons", ())} == codes, event
        assert all(reason.clause == "W1" for reason in getattr(decided, "reasons", ()))


@pytest.mark.parametrize(("industry", "grade"), [("foundry", "A"), ("steel", "B")])
def test_w1_asks_nothing_of_other_industries_or_grades(industry: str, grade: str) -> None:
    walk = Walk(industry=industry, current_grade="C", target_grade="A", site=Site()).to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    assert walk.go("accept", {**REVIEW, "grade": grade}, at="2024-07-20").grade_reached == grade
    # What was reached counts from there on, and not what was aimed at.
    walk.go("spot_check", check(), at="2024-08-06", by=PROVINCE)
    walk.go("publish", at="2024-09-03")
    assert walk.go("recognise", at="2024-09-11 00:00", by=SYSTEM).state == "recognised"


@pytest.mark.parametrize(
    ("state", "event", "sent", "actor"),
    [
        (
            "upgrading",
            "fail_acceptance",
            {"reviewed_on": "2024-07-20", "reviewers": ["周　教授"], "findings": ["x"]},
            OFFICER,
        ),
        ("rejected", "resubmit", {**answers(), "reviewers": ["周教授"]}, OFFICER),
        ("accepted", "spot_check", {**check(), "inspectors": ["孙处", "钱工"]}, PROVINCE),
    ],
)
def test_r4_who_took_part_before_does_not_take_part_again(state: str, event: str, sent: Any, actor: Actor) -> None:
    reasons = Walk().to(state).refusal(event, sent, at="2024-12-18", by=actor, reason="测试")
    assert set(reasons) == {"same_person"}
    assert reasons["same_person"].clause == "R4"


def test_w6_on_the_fast_track_the_inspectors_are_not_the_pre_assessors_and_the_check_is_not_skipped() -> None:
    walk = Walk().to("pre_assessed")
    walk.go("fast_track", DECLARATION, at="2024-07-20")
    assert (walk.case.state, walk.case.route, walk.case.grade_reached) == ("accepted", "fast_track", "B")
    assert "fast_tracked" in walk.refusal("publish", at="2024-09-03")
    assert set(walk.refusal("spot_check", {**check(), "inspectors": ["周教授"]}, at="2024-08-06", by=PROVINCE)) == {
        "same_person"
    }
    walk.go("spot_check", check(), at="2024-08-06", by=PROVINCE)
    assert walk.go("publish", at="2024-09-03").state == "published"


def test_r4_on_the_normal_route_a_pre_assessor_may_inspect() -> None:
    walk = Walk().to("accepted")
    assert walk.go("spot_check", {**check(), "inspectors": ["周教授"]}, at="2024-08-06", by=PROVINCE).checks == 1


def test_p5_publication_without_a_check_needs_a_draw_that_passed_the_case_over() -> None:
    walk = Walk().to("accepted")
    assert set(walk.refusal("publish", at="2024-09-03")) == {"not_drawn_over"}
    walk.case = load({**dump(walk.case), "draw": {"id": "d1", "drawn": True}})
    assert set(walk.refusal("publish", at="2024-09-03")) == {"drawn"}
    walk.case = load({**dump(walk.case), "draw": {"id": "d1", "drawn": False}})
    assert walk.go("publish", at="2024-09-03").state == "published"
    assert walk.case.draw == Drawn("d1", False)


def test_p5_a_case_that_was_ever_checked_cannot_skip_the_check_even_after_withdrawing() -> None:
    walk = Walk().to("rejected")
    walk.go("withdraw", at="2024-08-10", reason="退出")
    walk.go("relist", at="2024-08-11", reason="再次申请")
    assert (walk.case.measures, walk.case.findings, walk.case.check, walk.case.checks) == ((), (), None, 1)
    walk.go("pre_assess", {**PRE_ASSESSMENT, "assessors": ["冯教授"]}, at="2024-08-12")
    walk.go("fast_track", DECLARATION, at="2024-08-13")
    walk.case = load({**dump(walk.case), "route": "normal", "draw": {"id": "d1", "drawn": False}})
    assert set(walk.refusal("publish", at="2024-09-03")) == {"checked_before"}


@pytest.mark.parametrize(
    ("result", "event", "allowed"),
    [
        ("passed", "publish", True), ("failed", "publish", False), ("rectify", "publish", False),
        ("failed", "reject", True), ("passed", "reject", False), ("rectify", "reject", False),
        ("rectify", "order_rectification", True), ("passed", "order_rectification", False),
        ("failed", "order_rectification", False),
    ],
)  # fmt: skip
def test_p5_what_follows_a_check_is_what_its_result_allows(result: str, event: str, allowed: bool) -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check(result), at="2024-08-06", by=PROVINCE)
    actor = OFFICER if event == "publish" else PROVINCE
    sent = {"review_on": "2024-10-08", "measures": [MEASURE]} if event == "order_rectification" else EXAMPLES.get(event)
    decided = walk.ask(event, sent, at="2024-09-03", by=actor, reason="测试")
    assert isinstance(decided, Decision) is allowed
    if isinstance(decided, Refused):
        assert {reason.code for reason in decided.reasons} == {"check_result"}


def test_p5_rectify_is_possible_until_the_20th_of_december() -> None:
    assert (
        Walk()
        .to("resubmitted")
        .go("spot_check", check("rectify", "2024-12-20"), at="2024-12-20 23:59", by=PROVINCE)
        .check
    )
    reasons = (
        Walk()
        .to("resubmitted")
        .refusal("spot_check", check("rectify", "2024-12-20"), at="2024-12-21 00:00", by=PROVINCE)
    )
    assert [(reason.code, reason.field) for reason in reasons.values()] == [("too_late", "data.result")]


def test_p5_what_is_ordered_can_be_accepted_in_time_or_is_not_ordered() -> None:
    walk = Walk().to("accepted")
    walk.go(
        "spot_check",
        {**EXAMPLES["spot_check"], "result": "rectify", "findings": ["未封闭"]},
        at="2024-08-06",
        by=PROVINCE,
    )
    late = {**MEASURE, "due_on": "2024-12-21"}
    order = {"review_on": "2024-12-20", "measures": [{**MEASURE, "due_on": "2024-12-20"}]}
    for sent, named in (
        (order, None),
        ({**order, "review_on": "2024-12-21"}, {"data.review_on"}),
        ({**order, "measures": [MEASURE, late]}, {"data.measures[1].due_on"}),
    ):
        asked = walk.ask("order_rectification", sent, at="2024-08-07", by=PROVINCE)
        if named is None:
            assert isinstance(asked, Decision)
        else:
            assert isinstance(asked, Refused)
            assert {(reason.code, reason.field, reason.clause) for reason in asked.reasons} == {
                ("after_acceptance", field, "P5") for field in named
            }
    assert isinstance(walk.ask("order_rectification", order, at="2024-12-20 23:59", by=PROVINCE), Decision)
    after = {**order, "review_on": "2024-12-28"}
    assert "too_late" in walk.refusal("order_rectification", after, at="2024-12-21 00:00", by=PROVINCE)


@pytest.mark.parametrize(
    ("at", "order", "reject"),
    [("2024-08-07", True, False), ("2024-12-20 23:59", True, False), ("2024-12-21 00:00", False, True)],
)
def test_p5_what_is_to_be_put_right_is_ordered_and_once_that_is_closed_rejected(
    at: str, order: bool, reject: bool
) -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check("rectify"), at="2024-08-06", by=PROVINCE)
    sent = {"review_on": at.split()[0], "measures": [MEASURE]}
    assert isinstance(walk.ask("order_rectification", sent, at=at, by=PROVINCE), Decision) is order
    rejected = walk.ask("reject", at=at, by=PROVINCE, reason="未整改")
    assert isinstance(rejected, Decision) is reject
    if isinstance(rejected, Refused):
        (reason,) = rejected.reasons
        assert (reason.code, reason.clause, reason.until) == ("check_result", "P5", instant("2024-12-21 00:00"))
        assert "请在 2024-12-20 24:00 前责令整改" in reason.detail.zh
        assert "order rectification until 24:00 of 2024-12-20" in reason.detail.en


def test_p5_after_rectification_the_case_is_accepted_and_checked_anew() -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check("rectify"), at="2024-08-06", by=PROVINCE)
    walk.go("order_rectification", {"review_on": "2024-10-08", "measures": [MEASURE]}, at="2024-08-07", by=PROVINCE)
    assert (walk.case.state, len(walk.case.measures), str(walk.case.review_on)) == ("upgrading", 2, "2024-10-08")
    assert "measures_not_done" in walk.refusal("accept", REVIEW, at="2024-09-20")
    walk.go(
        "report_progress", {**REPORT, "month": "2024-09", "assessed_on": "2024-09-19", "done": [2]}, at="2024-09-19"
    )
    walk.go("accept", {**REVIEW, "reviewed_on": "2024-09-20"}, at="2024-09-20")
    assert "checked_before" in walk.refusal("publish", at="2024-09-21")
    walk.go("spot_check", check(day="2024-10-08"), at="2024-10-08", by=PROVINCE)
    assert walk.go("publish", at="2024-10-09").state == "published"


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"answers": []}, {"finding_unanswered"}),
        ({"answers": [{"finding": 1, "answer": "改"}]}, {"finding_unanswered"}),
        ({"answers": [{"finding": n, "answer": "改"} for n in (1, 2, 3)]}, {"unknown_finding"}),
        ({"reviewed_on": "2024-08-06"}, {"review_too_old"}),
        ({"reviewed_on": "2024-08-07"}, set()),
    ],
)
def test_p6_a_re_submission_answers_every_finding_and_has_a_new_review(
    changed: dict[str, Any], codes: set[str]
) -> None:
    decided = Walk().to("rejected").ask("resubmit", {**answers(), **changed}, at="2024-12-18")
    assert {reason.code for reason in getattr(decided, "reasons", ())} == codes


def test_p6_re_submission_is_possible_until_24_00_of_the_20th_of_december_by_the_instant_of_receipt() -> None:
    assert Walk().to("rejected").go("resubmit", answers("2024-12-20"), at="2024-12-20 23:59").resubmissions == 1
    reasons = Walk().to("rejected").refusal("resubmit", answers("2024-12-20"), at="2024-12-21 00:00", reason="晚了")
    assert set(reasons) == {"too_late"}
    assert reasons["too_late"].until == instant("2024-12-21 00:00")


def test_p6_a_case_may_come_again_as_often_as_it_is_refused() -> None:
    walk = Walk().to("rejected")
    for number in (1, 2, 3):
        walk.go("resubmit", answers(), at="2024-12-18")
        walk.go("spot_check", check("failed", "2024-12-18"), at="2024-12-18", by=PROVINCE)
        walk.go("reject", at="2024-12-18", by=PROVINCE, reason="未通过")
        assert walk.case.resubmissions == number
    assert [finding.answer for finding in walk.case.findings] == [None, None]


def test_p6_recognition_waits_for_the_end_of_the_notice_and_for_every_objection() -> None:
    walk = Walk().to("published")
    assert str(walk.case.notice.ends_on) == "2024-09-10"  # type: ignore[union-attr]
    assert set(walk.refusal("recognise", at="2024-09-10 23:59", by=SYSTEM)) == {"notice_running"}
    assert set(walk.refusal("recognise", at="2024-09-11 00:00", by=SYSTEM, open_objections=2)) == {"objection_open"}
    assert walk.go("recognise", at="2024-09-11 00:00", by=SYSTEM).state == "recognised"


def test_p6_an_upheld_objection_rejects_and_its_findings_are_answered_at_re_submission() -> None:
    walk = Walk().to("published")
    walk.go("uphold_objection", {"findings": ["夜间冒烟", "台账造假"]}, at="2024-09-05", by=SYSTEM)
    assert [(finding.number, finding.text) for finding in walk.case.findings] == [(1, "夜间冒烟"), (2, "台账造假")]
    assert walk.case.notice is None
    assert walk.go("resubmit", answers(), at="2024-12-18").state == "resubmitted"


@pytest.mark.parametrize("state", sorted(OPEN - {"published"}))
def test_p6_an_open_case_lapses_at_the_close_and_a_rejected_one_after_the_20th_of_december(state: str) -> None:
    closes = "2024-12-21" if state == "rejected" else "2025-02-01"
    walk = Walk().to(state)
    assert walk.machine.due_at(walk.case) == instant(f"{closes} 00:05")
    assert set(walk.refusal("lapse", at=f"{closes} 00:04", by=SYSTEM)) == {"too_early"}
    assert list(walk.machine.due_events(walk.case, instant(f"{closes} 00:05"))) == ["lapse"]
    assert walk.go("lapse", at=f"{closes} 00:05", by=SYSTEM).state == "lapsed"


def test_p6_a_published_case_does_not_lapse() -> None:
    walk = Walk().to("published")
    assert list(walk.machine.due_events(walk.case, instant("2025-03-01"))) == ["recognise"]


@pytest.mark.parametrize("state", ["recognised", "withdrawn", "lapsed", "disqualified"])
def test_nothing_waits_for_a_case_at_its_end(state: str) -> None:
    walk = Walk().to(state)
    assert walk.machine.due_at(walk.case) is None


def test_p4_what_a_failed_review_found_stands_with_the_case_until_a_review_is_passed() -> None:
    walk = Walk().to("upgrading")
    walk.go("fail_acceptance", EXAMPLES["fail_acceptance"], at="2024-07-20")
    again = {**EXAMPLES["fail_acceptance"], "reviewed_on": "2024-07-21", "findings": ["台账不全"]}
    failed = walk.go("fail_acceptance", again, at="2024-07-21").failed_review
    assert failed is not None
    assert (str(failed.reviewed_on), failed.reviewers, failed.findings) == ("2024-07-21", ("钱工",), ("台账不全",))
    corrected = walk.go("correct", at="2024-07-21", by=Actor("赵工", Role.UNIT), reason="误录").failed_review
    assert corrected is not None
    assert corrected.findings == ("除尘器未调试",)
    walk.go("report_progress", REPORT, at="2024-07-22")
    assert walk.go("accept", {**REVIEW, "reviewed_on": "2024-07-22"}, at="2024-07-22").failed_review is None


@pytest.mark.parametrize(
    "steps",
    [
        [("fast_track", {"sent": DECLARATION, "at": "2024-07-22"})],
        [("withdraw", {"at": "2024-07-22", "reason": "退出"}), ("relist", {"at": "2024-07-23", "reason": "重来"})],
    ],
    ids=["the fast track", "a new attempt"],
)
def test_p4_a_failed_review_is_past_after(steps: list[tuple[str, Any]]) -> None:
    walk = Walk().to("upgrading")
    walk.go("fail_acceptance", EXAMPLES["fail_acceptance"], at="2024-07-20")
    for name, step in steps:
        walk.go(name, **step)
    assert walk.case.failed_review is None


def test_the_last_event_says_whether_it_was_itself_early_or_late() -> None:
    walk = Walk().to("listed")
    flags = []
    for name, sent, at in (
        ("pre_assess", {**PRE_ASSESSMENT, "assessed_on": "2024-05-25"}, "2024-05-25"),
        ("file_plan", PLAN, "2024-06-20"),
        ("start_upgrade", {"started_on": "2024-06-21"}, "2024-06-21"),
        ("amend_plan", {"add": [MEASURE]}, "2024-11-20"),
    ):
        walk.go(name, sent, at=at, reason="说明")
        assert walk.case.last_event is not None
        flags.append(walk.case.last_event.flag)
    assert flags == ["early", "late", None, "late"]
    assert walk.case.flags == ("early", "late")


def test_only_recognition_asks_for_the_objections_and_only_a_published_case_offers_it() -> None:
    machine = henan()
    asking = {name for name in machine.programme.event_by_name if "open_objections" in machine.needs(name)}
    assert asking == {"recognise"}
    assert {state for state in STATES if "open_objections" in machine.offers_need(state)} == {"published"}


def test_what_a_guard_needs_is_a_fact() -> None:
    assert {name for guard in GUARDS.values() for name in guard.needs} <= {part.name for part in fields(Facts)}


# --- measures ---------------------------------------------------------------------------------------------------------


def test_w4_measures_are_added_changed_and_dropped_and_keep_their_numbers() -> None:
    walk = Walk().to("upgrading")
    walk.go(
        "amend_plan",
        {"add": [{**MEASURE, "title": "二期"}, {**MEASURE, "title": "三期"}]},
        at="2024-06-20",
        reason="增补",
    )
    walk.go(
        "amend_plan", {"change": [{"number": 2, "due_on": "2024-10-31"}], "drop": [1]}, at="2024-06-21", reason="调整"
    )
    walk.go("amend_plan", {"add": [{**MEASURE, "title": "四期"}]}, at="2024-06-22", reason="增补")
    assert [(measure.number, measure.title) for measure in walk.case.measures] == [
        (2, "二期"),
        (3, "三期"),
        (4, "四期"),
    ]
    assert str(walk.case.measures[0].due_on) == "2024-10-31"


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ({"drop": [1]}, {"no_measure_left"}),
        ({"drop": [9], "add": [MEASURE]}, {"unknown_measure"}),
        ({"change": [{"number": 7, "title": "x"}]}, {"unknown_measure"}),
    ],
)
def test_w4_an_amendment_names_measures_that_are_there_and_leaves_one(sent: Any, codes: set[str]) -> None:
    assert set(Walk().to("upgrading").refusal("amend_plan", sent, at="2024-06-20", reason="调整")) == codes


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"done": [1, 2]}, {"unknown_measure"}),
        ({"progress": {}}, {"progress_missing"}),
        ({"progress": {"equipment_renewal": 10, "capacity_building": 5}}, {"progress_unexpected"}),
        ({"month": "2024-05"}, {"month_outside"}),
    ],
)
def test_p3_a_report_is_about_the_measures_and_months_of_the_plan(changed: dict[str, Any], codes: set[str]) -> None:
    assert set(Walk().to("upgrading").refusal("report_progress", {**REPORT, **changed}, at="2024-07-18")) == codes


def test_p3_a_later_report_for_the_same_month_replaces_it_and_what_is_done_stays_done() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    walk.go("report_progress", {**REPORT, "done": [], "conclusion": "更正"}, at="2024-07-19")
    assert [report.conclusion for report in walk.case.reports] == ["更正"]
    assert str(walk.case.measures[0].done_on) == "2024-07-18"


# --- correction -------------------------------------------------------------------------------------------------------

SECOND = Actor("赵工", Role.UNIT)


def test_r4_a_second_person_takes_the_last_event_back_with_its_effects() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    walk.go("correct", at="2024-07-19", by=SECOND, reason="误报完成")
    assert walk.case.state == "upgrading"
    assert walk.case.measures[0].done_on is None
    assert walk.case.reports == ()


def test_r4_a_corrected_publication_leaves_the_notice_and_the_state_is_as_old_as_before() -> None:
    walk = Walk().to("published")
    walk.go("correct", at="2024-09-04", by=SECOND, reason="误公示")
    assert (walk.case.state, walk.case.notice, walk.case.entered_at) == ("spot_checked", None, instant("2024-08-06"))


@pytest.mark.parametrize(
    ("state", "at", "by", "codes"),
    [
        ("listed", "2024-05-21", SECOND, {"not_correctable"}),
        ("recognised", "2024-09-11", SECOND, {"not_correctable"}),
        ("lapsed", "2024-12-21 08:00", SECOND, {"not_your_event", "too_late"}),
        ("published", "2024-09-04", OFFICER, {"same_person"}),
        ("published", "2024-09-04", Actor("李 工", Role.UNIT), {"same_person"}),
        ("published", "2024-09-04", PROVINCE, {"not_your_event"}),
        ("spot_checked", "2024-08-07", SECOND, {"not_your_event"}),
        ("published", "2024-09-10 23:59", SECOND, set()),
        ("published", "2024-09-11 00:00", SECOND, {"too_late"}),
    ],
)
def test_r4_a_correction_is_for_another_person_of_that_role_within_five_working_days(
    state: str, at: str, by: Actor, codes: set[str]
) -> None:
    decided = Walk().to(state).ask("correct", at=at, by=by, reason="更正")
    assert {reason.code for reason in getattr(decided, "reasons", ())} == codes


def test_r4_a_correction_is_not_corrected() -> None:
    walk = Walk().to("pre_assessed")
    walk.go("correct", at="2024-06-04", by=SECOND, reason="误录")
    assert set(walk.refusal("correct", at="2024-06-04", by=OFFICER, reason="再改")) == {"not_correctable"}


def test_r4_a_correction_is_refused_where_something_rests_on_the_event() -> None:
    reasons = (
        Walk()
        .to("accepted")
        .refusal("correct", at="2024-07-21", by=SECOND, reason="更正", rested_on=Text("抽签 d1", "draw d1"))
    )
    assert set(reasons) == {"rested_on"}


@pytest.mark.parametrize("state", sorted(set(STATES) - {"disqualified"}))
def test_r4_a_violation_cancels_the_eligibility_from_every_state(state: str) -> None:
    walk = Walk().to(state)
    walk.go("disqualify", EXAMPLES["disqualify"], at="2024-12-22", by=PROVINCE)
    assert walk.case.state == "disqualified"
    assert walk.case.disqualification is not None
    assert walk.case.disqualification.document == "豫环罚〔2024〕1号"


# --- what the reviews found ---------------------------------------------------------------------------------------------


def _ordered() -> Walk:
    """A case that the province ordered to put something right."""
    walk = Walk().to("accepted")
    walk.go("spot_check", check("rectify"), at="2024-08-06", by=PROVINCE)
    walk.go("order_rectification", {"review_on": "2024-10-08", "measures": [MEASURE]}, at="2024-08-07", by=PROVINCE)
    return walk


@pytest.mark.parametrize("sent", [{"drop": [2]}, {"change": [{"number": 2, "due_on": "2024-12-31"}]}])
def test_p5_what_the_province_ordered_is_not_the_units_to_change_or_drop(sent: Any) -> None:
    assert set(_ordered().refusal("amend_plan", sent, at="2024-08-08", reason="调整")) == {"measure_ordered"}
    assert _ordered().go("amend_plan", {"drop": [1]}, at="2024-08-08", reason="调整").measures[0].ordered


def test_p5_the_fast_track_does_not_lead_past_what_the_province_ordered() -> None:
    walk = _ordered()
    sent = {**DECLARATION, "declared_on": "2024-08-08"}
    assert set(walk.refusal("fast_track", sent, at="2024-08-08")) == {"ordered_not_done"}
    walk.go(
        "report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-20", "done": [2]}, at="2024-08-20"
    )
    assert walk.go("fast_track", sent, at="2024-08-21").state == "accepted"


@pytest.mark.parametrize(
    ("event", "sent", "name"), [("accept", REVIEW, "reviewed_on"), ("fast_track", DECLARATION, "declared_on")]
)
@pytest.mark.parametrize(
    ("day", "codes"),
    [("2024-08-05", {"review_too_old"}), ("2024-08-06", {"review_too_old"}), ("2024-08-07", set())],
    ids=["before the check", "before the order", "on its day"],
)
def test_p5_who_is_accepted_anew_was_reviewed_since_that_was_ordered(
    event: str, sent: dict[str, Any], name: str, day: str, codes: set[str]
) -> None:
    walk = _ordered()
    walk.go(
        "report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-07", "done": [2]}, at="2024-08-20"
    )
    decided = walk.ask(event, {**sent, name: day}, at="2024-08-21")
    reasons = [each for each in getattr(decided, "reasons", ()) if each.clause == "P5"]
    assert {reason.code for reason in reasons} == codes
    assert {reason.field for reason in reasons} <= {f"data.{name}"}
    assert isinstance(decided, Refused) == bool(codes)


def test_w4_a_number_of_a_measure_is_never_given_twice() -> None:
    walk = Walk().to("upgrading")
    walk.go("amend_plan", {"add": [MEASURE]}, at="2024-06-20", reason="增补")
    walk.go("amend_plan", {"drop": [2]}, at="2024-06-21", reason="取消")
    walk.go("amend_plan", {"add": [MEASURE]}, at="2024-06-22", reason="增补")
    assert [measure.number for measure in walk.case.measures] == [1, 3]


@pytest.mark.parametrize(("at", "until"), [("2024-11-20", "2025-02-01 00:00"), ("2024-05-31", "2024-11-16 00:00")])
def test_a_soft_window_that_has_passed_does_not_say_that_it_was_the_last_moment(at: str, until: str) -> None:
    sent = {**PRE_ASSESSMENT, "assessed_on": "2024-05-30"}
    assert Walk().to("listed").refusal("pre_assess", sent, at=at)["reason_required"].until == instant(until)


def test_r4_a_correction_tells_its_own_last_moment_and_none_where_it_is_never_possible() -> None:
    reasons = Walk().to("published").refusal("correct", at="2024-09-04", by=PROVINCE, reason="更正")
    assert (reasons["not_your_event"].until, reasons["not_your_event"].who) == (instant("2024-09-11 00:00"), "unit")
    never = Walk().to("recognised").refusal("correct", at="2024-09-12", by=SECOND, reason="更正")["not_correctable"]
    assert (never.until, never.who) == (None, None)


def test_r4_the_province_does_not_correct_what_a_unit_recorded() -> None:
    walk = Walk().to("upgrading")
    walk.go("disqualify", EXAMPLES["disqualify"], at="2024-06-21")
    assert set(walk.refusal("correct", at="2024-06-22", by=PROVINCE, reason="更正")) == {"not_your_event"}
    assert walk.go("correct", at="2024-06-22", by=SECOND, reason="更正").state == "upgrading"


@pytest.mark.parametrize("event", ["accept", "fail_acceptance"])
def test_p4_a_review_is_not_from_before_the_upgrading_that_it_is_of(event: str) -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", {**REPORT, "assessed_on": "2024-06-12"}, at="2024-07-18")
    assert set(walk.refusal(event, {**EXAMPLES[event], "reviewed_on": "2024-06-11"}, at="2024-07-20")) == {
        "review_too_old"
    }
    walk.go(event, {**EXAMPLES[event], "reviewed_on": "2024-06-12"}, at="2024-07-20")


def test_p4_what_is_accepted_was_reviewed_since_it_was_finished() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    early = walk.refusal("accept", {**REVIEW, "reviewed_on": "2024-07-17"}, at="2024-07-20")
    assert [(code, reason.clause, reason.field) for code, reason in early.items()] == [
        ("review_too_old", "P4", "data.reviewed_on")
    ]
    failed = Walk().to("upgrading")  # who is found wanting may be found so before the last measure is done
    failed.go("report_progress", REPORT, at="2024-07-18")
    failed.go("fail_acceptance", {**EXAMPLES["fail_acceptance"], "reviewed_on": "2024-07-17"}, at="2024-07-20")
    assert walk.go("accept", {**REVIEW, "reviewed_on": "2024-07-18"}, at="2024-07-20").state == "accepted"


def test_p6_a_refusal_is_corrected_though_the_case_has_lapsed_upon_it() -> None:
    walk = Walk().to("accepted")
    walk.go("spot_check", check("failed", day="2024-12-12"), at="2024-12-12", by=PROVINCE)
    before = walk.case
    walk.go("reject", at="2024-12-20 16:00", by=PROVINCE, reason="误录")
    walk.go("lapse", at="2024-12-21 00:05", by=SYSTEM)
    walk.history[-1] = ("lapse", before)  # what stood before the event that is corrected
    other = Actor("赵处", Role.PROVINCE)
    assert set(walk.refusal("correct", at="2024-12-27 00:00", by=SECOND, reason="更正")) == {"not_your_event"}
    assert set(walk.refusal("correct", at="2024-12-27 00:00", by=PROVINCE, reason="更正")) == {"same_person"}
    assert set(walk.refusal("correct", at="2024-12-28 00:00", by=other, reason="更正")) == {"too_late"}
    corrected = walk.go("correct", at="2024-12-27 23:59", by=other, reason="更正")
    assert (corrected.state, corrected.lapsed_after) == ("spot_checked", None)


def test_p6_a_lapse_that_is_of_no_refusal_is_not_corrected() -> None:
    walk = Walk().to("accepted")
    walk.go("lapse", at="2025-02-01 00:05", by=SYSTEM)
    assert set(walk.refusal("correct", at="2025-02-02", by=SECOND, reason="更正")) == {"not_correctable"}


def test_r4_a_unit_does_not_undo_what_the_province_did() -> None:
    walk = Walk().to("upgrading")
    walk.go("disqualify", EXAMPLES["disqualify"], at="2024-06-21", by=PROVINCE)
    assert set(walk.refusal("correct", at="2024-06-22", by=SECOND, reason="更正")) == {"not_your_event"}


def test_r4_a_correction_leaves_what_was_amended_by_hand() -> None:
    walk = Walk().to("pre_assessed")
    walk.case = load({**dump(walk.case), "officer": "新负责人", "remark": "补充"})
    corrected = walk.go("correct", at="2024-06-04", by=SECOND, reason="误录")
    assert (corrected.state, corrected.officer, corrected.remark) == ("listed", "新负责人", "补充")


def test_a_wrong_state_does_not_silence_the_other_guards() -> None:
    reasons = Walk().to("listed").refusal("accept", {**REVIEW, "grade": "A"}, at="2024-07-20")
    assert {"wrong_state", "no_measures", "grade_above_target"} <= set(reasons)


def test_findings_stay_with_the_case_after_a_passed_check() -> None:
    walk = Walk().to("resubmitted")
    walk.go("spot_check", check(day="2024-12-18"), at="2024-12-18", by=PROVINCE)
    assert [finding.answer for finding in walk.case.findings] == ["已整改", "已整改"]


def test_offers_say_whether_a_reason_is_needed_and_how_the_case_would_be_marked() -> None:
    def offer(state: str, event: str, at: str) -> tuple[bool, bool, str | None]:
        walk = Walk().to(state)
        (found,) = (each for each in walk.machine.offers(walk.facts(at, OFFICER)) if each.event.name == event)
        return found.allowed, found.needs_reason, found.flag

    assert offer("listed", "pre_assess", "2024-05-31") == (True, True, "early")
    assert offer("listed", "pre_assess", "2024-06-03") == (True, False, None)
    assert offer("pre_assessed", "file_plan", "2024-06-20") == (True, False, "late")
    assert offer("listed", "withdraw", "2024-06-03") == (True, True, None)


def test_a_nested_date_of_something_done_is_not_in_the_future() -> None:
    equipment = {
        "category": "production", "before": "旧", "after": "新", "investment_10k_cny": 1, "funding": "self_raised",
        "started_on": "2024-07-01",
    }  # fmt: skip
    walk = Walk().to("pre_assessed")
    faults = walk.data("file_plan", {**PLAN, "measures": [{**MEASURE, "equipment": equipment}]}, "2024-06-10")
    assert isinstance(faults, tuple)
    assert [(fault.code, fault.field) for fault in faults] == [
        ("in_the_future", "data.measures[0].equipment.started_on")
    ]


def test_a_measure_that_lacks_something_is_not_also_said_to_be_too_few() -> None:
    measure = {"title": "除尘", "due_on": "2024-09-30"}
    faults = Walk().to("pre_assessed").data("file_plan", {**PLAN, "measures": [measure]}, "2024-06-10")
    assert isinstance(faults, tuple)
    assert [(fault.code, fault.field) for fault in faults] == [("missing", "data.measures[0].kind")]


def test_p5_what_is_ordered_begins_the_acceptance_anew_and_the_acceptance_ends_the_order() -> None:
    walk = _ordered()
    assert (walk.case.grade_reached, walk.case.review_on) == (None, date(2024, 10, 8))
    walk.go(
        "report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-20", "done": [2]}, at="2024-08-20"
    )
    accepted = walk.go("accept", {**REVIEW, "reviewed_on": "2024-08-20"}, at="2024-08-21")
    assert (accepted.grade_reached, accepted.review_on) == ("B", None)


def test_w2_who_is_listed_again_begins_without_the_order_of_before() -> None:
    walk = _ordered()
    walk.go("withdraw", at="2024-08-08", reason="退出")
    again = walk.go("relist", at="2024-08-09", reason="再次申请")
    assert (again.review_on, again.measures, again.plan) == (None, (), None)


def test_p3_a_measure_that_is_reported_done_again_keeps_the_day_on_which_it_was() -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    walk.go("report_progress", {**REPORT, "month": "2024-08", "assessed_on": "2024-08-20"}, at="2024-08-20")
    assert [each.done_on for each in walk.case.measures] == [date(2024, 7, 18)]
