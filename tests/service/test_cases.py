"""Cases by REST: listed, read as they are and were, searched, amended, offered their events, moved alone and in batches."""

from typing import Any

import pytest

from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER, SECOND, FOREIGNER = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}", f"officer {KAIFENG}"
ASSESSED = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}


def _count(world: World) -> tuple[int, int]:
    """How many cases and sites there are."""
    return tuple(
        len(world.call("admin", "GET", f"/{name}?limit=200").json()["items"]) for name in ("cases", "enterprises")
    )  # type: ignore[return-value]


def _patch(world: World, case: str, **patch: Any) -> Any:
    return world.call(OFFICER, "PATCH", f"/cases/{case}", patch, version=world.case(case)["version"])


# --- listing ----------------------------------------------------------------------------------------------------------


def test_a_listed_case_is_answered_as_it_was_sent_with_what_the_service_adds(world: World) -> None:
    line = world.line(industry="other", industry_detail="木业", finish_by="2024-10-31", officer="赵包联", experts=["孔专家"],
                      remark="备注", ultra_low={"completed_on": "2024-05-01"})  # fmt: skip
    answer = world.call(OFFICER, "POST", "/cases", line)
    made = answer.json()
    assert answer.status_code == 201
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/api/v1/cases/{made['id']}", '"1"')
    sent = {**line["enterprise"], "id": made["enterprise"]["id"], "county": None}
    del sent["contact"]
    assert made["enterprise"] == sent
    for name in ("programme", "unit", "industry", "industry_detail", "current_grade", "target_grade", "applied_on",
                 "finish_by", "officer", "experts", "remark"):  # fmt: skip
        assert made[name] == line[name], name
    assert made["ultra_low"] == {"completed_on": "2024-05-01", "publicised_on": None}
    assert (made["state"], made["version"], made["programme_version"]) == ("listed", 1, 1)
    assert made["listed_at"] == made["entered_at"] == "2024-05-20T09:00:00+08:00"
    assert (made["flags"], made["route"], made["grade_reached"], made["resubmissions"]) == ([], "normal", None, 0)
    assert (made["measures"], made["findings"]) == ([], [])
    assert (made["check"], made["draw"], made["notice"]) == (None, None, None)
    assert world.case(made["id"]) == made


def test_a_late_listing_needs_a_reason_and_is_marked(world: World) -> None:
    world.at("2024-06-03")
    refused = world.call(OFFICER, "POST", "/cases", world.line())
    assert [reason["code"] for reason in refused.json()["errors"]] == ["reason_required"]
    case = world.listed(reason="漏报")
    assert world.case(case)["flags"] == ["late"]
    (entry,) = world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"]
    assert (entry["action"], entry["reason"]) == ("list", "漏报")


def test_a_site_has_one_case_for_each_industry(world: World) -> None:
    line = world.line()
    first = world.call(OFFICER, "POST", "/cases", line).json()
    again = world.call(OFFICER, "POST", "/cases", line)
    assert (again.status_code, again.json()["code"], again.json()["case"]) == (409, "case_exists", first["id"])
    other = world.call(OFFICER, "POST", "/cases", {**line, "industry": "glass"}).json()
    assert other["enterprise"]["id"] == first["enterprise"]["id"]
    second_site = {**line["enterprise"], "permit_no": None}
    assert world.call(OFFICER, "POST", "/cases", {**line, "enterprise": second_site}).status_code == 201


def test_a_site_of_another_unit_is_not_listed_by_its_code(world: World) -> None:
    theirs = world.line(KAIFENG)
    assert world.call(FOREIGNER, "POST", "/cases", theirs).status_code == 201
    answer = world.call(OFFICER, "POST", "/cases", {**theirs, "unit": ZHENGZHOU})
    assert (answer.status_code, answer.json()["code"]) == (409, "enterprise_exists")


def test_a_batch_lists_the_good_lines_and_tells_what_is_wrong_with_the_others(world: World) -> None:
    good, twice = world.line(), world.line()
    items = [
        good, world.line(industry="tailoring"), twice, twice, world.line(KAIFENG), world.line(target_grade="D"),
        {**twice, "industry": "glass"},
    ]  # fmt: skip
    answer = world.call(OFFICER, "POST", "/cases/batch", {"items": items})
    results = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(7))
    assert [result["ok"] for result in results] == [True, False, True, False, False, False, True]
    told = [[each["code"] for each in result["errors"]] for result in results if not result["ok"]]
    assert told == [["unknown_industry"], ["case_exists"], ["not_found"], ["not_a_target"]]
    assert _count(world) == (3, 2)
    assert world.case(results[0]["id"])["enterprise"]["name"] == good["enterprise"]["name"]
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_a_dry_run_of_a_batch_tells_the_same_and_keeps_nothing(world: World) -> None:
    items = [world.line(), world.line(industry="tailoring")]
    dry = world.call(OFFICER, "POST", "/cases/batch", {"items": items, "dry_run": True}).json()["results"]
    assert [result["ok"] for result in dry] == [True, False]
    assert _count(world) == (0, 0)
    real = world.call(OFFICER, "POST", "/cases/batch", {"items": items}).json()["results"]
    assert [result["ok"] for result in real] == [True, False]


def test_a_thousand_lines_are_listed_at_once(world: World) -> None:
    answer = world.call(OFFICER, "POST", "/cases/batch", {"items": [world.line() for _ in range(1000)]})
    assert answer.status_code == 200
    assert all(result["ok"] for result in answer.json()["results"])


# --- as it was --------------------------------------------------------------------------------------------------------


def test_a_case_is_read_as_it_was(world: World) -> None:
    case = world.listed()
    listed = world.case(case)
    world.at("2024-06-03")
    world.moved(OFFICER, case, "pre_assess", ASSESSED)
    world.at("2024-06-04")
    assert _patch(world, case, remark="改", enterprise={"name": "更名企业", "county": "中牟县"},
                  ultra_low={"completed_on": "2024-06-01"}).status_code == 200  # fmt: skip
    now = world.case(case)

    def as_of(instant: str) -> Any:
        return world.call(OFFICER, "GET", f"/cases/{case}?as_of={instant}")

    assert as_of("2024-05-20T08:59:59%2B08:00").status_code == 404
    assert as_of("2024-05-20T09:00:00%2B08:00").json() == listed
    assert as_of("2024-05-20T09:00:00+08:00").json() == listed  # a plus sign that nobody escaped
    between = as_of("2024-06-03T01:00:00Z")
    assert (between.json()["state"], between.json()["version"], between.headers["etag"]) == ("pre_assessed", 2, '"2"')
    assert between.json()["enterprise"] == listed["enterprise"]
    assert between.json()["ultra_low"] == {"completed_on": None, "publicised_on": None}
    assert as_of("2024-06-04T09:00:00%2B08:00").json() == now
    assert as_of("2030-01-01T00:00:00Z").json() == now
    assert now["enterprise"]["name"] == "更名企业"


# --- amended ----------------------------------------------------------------------------------------------------------


def test_facts_are_amended_and_audited_and_the_state_stays(world: World) -> None:
    case = world.listed(officer="赵包联")
    patch = {"finish_by": "2024-10-31", "officer": None, "experts": ["孔专家"], "remark": "补充", "target_grade": "A"}
    answer = _patch(world, case, **patch, reason="企业申请")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {name: found[name] for name in patch} == patch
    assert (found["state"], found["version"]) == ("listed", 2)
    entry = world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"][-1]
    assert (entry["action"], entry["reason"]) == ("amend", "企业申请")
    assert set(entry["changes"]) == set(patch)
    assert world.case(case) == found


def test_an_amendment_that_changes_nothing_leaves_no_entry(world: World) -> None:
    case = world.listed(remark="如旧")
    for patch in ({}, {"remark": "如旧"}, {"target_grade": "B"}, {"enterprise": {}}, {"ultra_low": {}}):
        answer = _patch(world, case, **patch)
        assert (answer.status_code, answer.headers["etag"]) == (200, '"1"'), patch
    assert len(world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"]) == 1


def test_facts_of_the_site_are_amended_through_its_case_and_stand_in_both_histories(world: World) -> None:
    case = world.listed(industry="steel", target_grade="A", current_grade="B")
    assert "emergency_cuts" in world.case(case)["flags"]
    site = world.case(case)["enterprise"]["id"]
    dates = {"completed_on": "2024-05-01", "publicised_on": "2024-05-10"}
    answer = _patch(world, case, ultra_low=dates, enterprise={"contact": {"name": "新联系", "phone": "0371-61112233"}})
    assert (answer.json()["ultra_low"], answer.json()["flags"]) == (dates, [])
    ledger = world.call(OFFICER, "GET", f"/enterprises/{site}").json()
    assert (ledger["ultra_low"], ledger["version"]) == ({**dates, "due_on": None}, 2)
    assert ledger["contact"]["name"] == "新联系"
    entry = world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"][-1]
    assert entry["data"]["enterprise"] == {"id": site, "version": 2}
    assert "新联系" not in world.call("auditor", "GET", "/audit?limit=200").text


def test_w1_a_retrofit_is_not_publicised_before_it_is_completed_as_the_dates_will_then_stand(world: World) -> None:
    def faults(answer: Any) -> Any:
        return answer.status_code, [(each["code"], each["field"], each["clause"]) for each in answer.json()["errors"]]

    wrong = (422, [("publicised_before_completed", "ultra_low.publicised_on", "W1")])
    both = {"completed_on": "2024-05-02", "publicised_on": "2024-05-01"}
    assert faults(world.call(OFFICER, "POST", "/cases", world.line(ultra_low=both))) == wrong
    case = world.listed(ultra_low={"completed_on": "2024-05-02"})
    site = world.case(case)["enterprise"]["id"]
    earlier = {"publicised_on": "2024-05-01"}
    assert faults(_patch(world, case, ultra_low=earlier)) == wrong
    assert faults(world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"ultra_low": earlier}, version=1)) == wrong
    again = world.line(enterprise=site, industry="glass", ultra_low=earlier)
    assert faults(world.call(OFFICER, "POST", "/cases", again)) == wrong
    mended = {**again, "ultra_low": {"completed_on": "2024-05-01", "publicised_on": "2024-05-01"}}
    assert world.call(OFFICER, "POST", "/cases", mended).status_code == 201
    assert world.case(case)["ultra_low"] == mended["ultra_low"]


def test_w1_the_lines_of_a_batch_are_judged_by_what_those_before_them_told_of_the_site(world: World) -> None:
    site = world.case(world.listed())["enterprise"]["id"]
    told = [("glass", {"completed_on": "2024-05-02"}), ("coking", {"publicised_on": "2024-05-01"}),
            ("cement", {"publicised_on": "2024-05-03"})]  # fmt: skip
    items = [world.line(enterprise=site, industry=industry, ultra_low=dates) for industry, dates in told]
    answer = world.call(OFFICER, "POST", "/cases/batch", {"items": items}).json()
    assert [result["ok"] for result in answer["results"]] == [True, False, True]
    found = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["ultra_low"]
    assert (found["completed_on"], found["publicised_on"]) == ("2024-05-02", "2024-05-03")


def test_the_target_is_fixed_while_a_plan_rests_on_it(world: World) -> None:
    case = world.listed()
    world.planned(case)
    fixed = _patch(world, case, target_grade="A")
    assert (fixed.status_code, fixed.json()["code"]) == (409, "target_fixed")
    assert _patch(world, case, target_grade="B", remark="同一目标").status_code == 200
    world.moved(OFFICER, case, "return_plan", reason="目标有误")
    assert _patch(world, case, target_grade="A").json()["target_grade"] == "A"


def test_the_target_is_fixed_once_a_grade_is_reached_without_a_plan(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    world.moved(OFFICER, case, "pre_assess", ASSESSED)
    world.at("2024-07-16")
    world.moved(OFFICER, case, "fast_track", {"declared_on": "2024-07-16", "declaration": "已达到"})
    assert _patch(world, case, target_grade="A").json()["code"] == "target_fixed"


# --- searched ---------------------------------------------------------------------------------------------------------


def test_cases_are_searched_by_every_filter(world: World) -> None:
    foundry, glass = world.listed(), world.listed(industry="glass", current_grade="B", target_grade="A")
    theirs = world.listed(KAIFENG)
    world.at("2024-06-03")
    world.moved(OFFICER, glass, "pre_assess", ASSESSED)
    names = {"f": foundry, "g": glass, "t": theirs}

    def found(query: str, who: str = "province") -> str:
        items = world.call(who, "GET", f"/cases?{query}").json()["items"]
        return "".join(name for each in items for name, case in names.items() if case == each["id"])

    assert found("") == "fgt"
    assert found("", OFFICER) == "fg"
    assert found("programme=henan-2024") == "fgt"
    assert found("programme=henan-2025") == ""
    assert found(f"unit={KAIFENG}") == "t"
    assert found("state=pre_assessed") == "g"
    assert found("state=listed") == "ft"
    assert found("industry=glass") == "g"
    assert found("target_grade=A") == "g"
    assert found("current_grade=C") == "ft"
    assert found(f"unit={ZHENGZHOU}&industry=foundry&state=listed") == "f"
    site = world.case(glass)["enterprise"]
    for q in (site["name"], site["credit_code"], site["permit_no"], site["credit_code"][6:]):
        assert found(f"q={q}") == "g", q
    assert found("q=%25") == found("q=_") == found("q=没有") == ""
    assert found(f"enterprise={site['id']}") == "g"


def test_overdue_is_a_case_that_stands_where_the_plan_wanted_it_gone(world: World) -> None:
    one, other = world.listed(), world.listed()
    world.planned(other)

    def overdue(claim: str) -> list[str]:
        return [each["id"] for each in world.call(OFFICER, "GET", f"/cases?overdue={claim}").json()["items"]]

    gone = world.listed(reason="补报")
    world.moved(OFFICER, gone, "withdraw", reason="企业自愿退出")
    assert (overdue("true"), overdue("false")) == ([], [one, other, gone])
    world.at("2024-06-15T23:59:59+08:00")
    assert overdue("true") == []
    world.at("2024-06-16T00:00:00+08:00")
    assert (overdue("true"), overdue("false")) == ([one], [other, gone])
    assert world.call(OFFICER, "GET", "/cases?overdue=perhaps").status_code == 422


# --- offers, dry runs, batches ----------------------------------------------------------------------------------------


def test_offers_are_every_event_that_leads_on_judged_for_the_caller(world: World) -> None:
    case = world.listed()
    programme = world.call("admin", "GET", "/programmes/henan-2024").json()
    world.upgraded(case)
    offers = {each["event"]: each for each in world.call(OFFICER, "GET", f"/cases/{case}/offers").json()["items"]}
    assert set(offers) == {event["id"] for event in programme["events"] if "upgrading" in event["from"]}
    assert offers["accept"]["allowed"] is True
    assert offers["accept"]["reasons"] == []
    assert offers["lapse"]["allowed"] is False
    seen = {each["event"]: each for each in world.call("auditor", "GET", f"/cases/{case}/offers").json()["items"]}
    assert set(seen) == set(offers)
    for offer in seen.values():
        assert "role_not_allowed" in [reason["code"] for reason in offer["reasons"]]
    titles = [
        [
            each["title"]
            for each in world.call(OFFICER, "GET", f"/cases/{case}/offers", language=language).json()["items"]
        ]
        for language in ("zh-CN", "en")
    ]
    assert titles[0] != titles[1]


def test_an_offer_and_the_refusal_give_the_same_reasons(world: World) -> None:
    case = world.listed(industry="steel", current_grade="B", target_grade="A")
    world.planned(case)
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})
    world.at("2024-07-16")
    (offer,) = [
        each
        for each in world.call(OFFICER, "GET", f"/cases/{case}/offers").json()["items"]
        if each["event"] == "accept"
    ]
    review = {
        "reviewed_on": "2024-07-16",
        "reviewers": ["周教授"],
        "conclusion": "同意",
        "indicators": {"fugitive": "not_met"},
    }
    refused = world.event(OFFICER, case, "accept", review).json()["errors"]
    assert [reason for reason in refused if not (reason["field"] or "").startswith("data.")] == offer["reasons"]
    assert {reason["code"] for reason in refused} == {
        "measures_not_done", "ultra_low_not_completed", "ultra_low_not_publicised", "same_person", "indicator_not_met",
    }  # fmt: skip
    for reason in refused:
        assert reason["clause"]
        assert reason["detail"]
        assert reason["field"]


def test_a_dry_run_decides_and_changes_nothing(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    before = world.case(case)
    body = {"event": "pre_assess", "data": ASSESSED}
    path = f"/cases/{case}/events?dry_run=true"
    for _ in range(2):
        tried = world.call(OFFICER, "POST", path, body, version=1)
        assert (tried.status_code, tried.json()["case"]["state"]) == (200, "pre_assessed")
        assert world.case(case) == before
    assert world.call(OFFICER, "POST", path, {"event": "publish"}, version=1).status_code == 409
    assert world.call(OFFICER, "POST", path, body, version=2).status_code == 412
    assert world.call(OFFICER, "POST", path, body).status_code == 428
    assert world.call("auditor", "POST", path, body, version=1).status_code == 403
    item = {"case": case, "version": 1, **body}
    (result,) = world.call(OFFICER, "POST", "/cases/events?dry_run=true", {"items": [item]}).json()["results"]
    assert result["ok"] is True
    assert world.case(case) == before


def test_the_events_of_a_batch_succeed_or_fail_each_alone(world: World) -> None:
    one, other, theirs = world.listed(), world.listed(), world.listed(KAIFENG)
    world.at("2024-06-03")
    gone = {"event": "withdraw", "reason": "放弃"}
    items = [
        {"case": one, "version": 1, "event": "pre_assess", "data": ASSESSED},
        {"case": one, "version": 2, **gone},
        {"case": other, "version": 7, **gone},
        {"case": theirs, "version": 1, **gone},
        {"case": other, "version": 1, "event": "withdraw"},
        {"case": other, "version": 1, "event": "reject", "reason": "x"},
        {"case": other, "version": 1, "event": "promote"},
        {"case": other, "version": 1, "event": "publish"},
        {"case": "nothing", "version": 1, **gone},
    ]
    answer = world.call(OFFICER, "POST", "/cases/events", {"items": items})
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [result["ok"] for result in results] == [True, True] + [False] * 7
    assert [result["code"] for result in results[2:]] == [
        "stale", "not_found", "malformed", "forbidden", "malformed", "event_refused", "not_found",
    ]  # fmt: skip
    assert [result["version"] for result in results[:2]] == [2, 3]
    history = world.call(OFFICER, "GET", f"/cases/{one}/history").json()["items"]
    assert [entry["action"] for entry in history] == ["list", "pre_assess", "withdraw"]
    assert [result["entry"]["hash"] for result in results[:2]] == [entry["hash"] for entry in history[1:]]
    assert world.case(other)["version"] == 1
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_a_batch_that_is_wanted_whole_happens_whole_or_not_at_all(world: World) -> None:
    one, other = world.listed(), world.listed()
    gone = {"event": "withdraw", "reason": "放弃"}
    items = [{"case": one, "version": 1, **gone}, {"case": other, "version": 2, **gone}]
    results = world.call(OFFICER, "POST", "/cases/events", {"items": items, "all_or_nothing": True}).json()["results"]
    assert [(result["ok"], result["code"]) for result in results] == [(False, "not_applied"), (False, "stale")]
    assert (world.case(one)["version"], world.case(other)["version"]) == (1, 1)
    items[1]["version"] = 1
    results = world.call(OFFICER, "POST", "/cases/events", {"items": items, "all_or_nothing": True}).json()["results"]
    assert [result["ok"] for result in results] == [True, True]


def test_the_history_is_the_audit_of_the_case_oldest_first(world: World) -> None:
    case = world.listed()
    world.accepted(case)
    history = world.call(OFFICER, "GET", f"/cases/{case}/history").json()
    assert [entry["action"] for entry in history["items"]] == [
        "list", "pre_assess", "file_plan", "start_upgrade", "report_progress", "accept",
    ]  # fmt: skip
    audit = world.call("auditor", "GET", f"/audit?subject={case}").json()["items"]
    assert history["items"] == [entry | {"corrected_by": None} for entry in audit[::-1]]
    assert history["items"][1]["data"] == ASSESSED
    assert history["items"][1]["actor"]["name"] == OFFICER


def test_the_history_says_which_event_was_late_and_the_enterprise_what_a_review_found(world: World) -> None:
    case = world.listed()
    world.token("the enterprise", Role.ENTERPRISE, cases=(case,))
    assert world.case(case)["failed_review"] is None
    world.at("2024-06-20")
    world.planned(case)  # on the 20th: the pre-assessment in time, the plan five days late
    items = world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"]
    assert [item["changes"]["last_event"]["flag"] for item in items] == [None, None, "late"]
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-20"})
    world.at("2024-07-16")
    failed = {"reviewed_on": "2024-07-16", "reviewers": ["钱工"], "findings": ["台账不全"]}
    world.moved(OFFICER, case, "fail_acceptance", failed)
    assert world.case(case, "the enterprise")["failed_review"] == failed


def test_an_event_answers_the_case_and_the_entry_that_says_so(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    answer = world.event(OFFICER, case, "pre_assess", ASSESSED)
    moved = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert moved["case"] == world.case(case)
    assert moved["entry"] == {"id": f"{case}.2", "hash": moved["case"]["head"]}
    assert moved["case"]["pre_assessment"] == ASSESSED


def test_a_dry_run_answers_the_version_that_stands(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    data = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
    path, body = f"/cases/{case}/events?dry_run=true", {"event": "pre_assess", "data": data}
    tried = world.call(f"officer {ZHENGZHOU}", "POST", path, body, version=1)
    assert (tried.status_code, tried.headers["etag"], tried.json()["case"]["state"]) == (200, '"1"', "pre_assessed")
    assert world.case(case)["version"] == 1


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_who_may_not_make_an_event_is_told_who_may(world: World, who: str) -> None:
    refused = world.event(who, world.listed(), "pre_assess", {})
    assert refused.status_code == 403
    said = refused.json()["detail"]
    assert "填报单位" in said
    assert "专家" in said
    assert "企业" not in said


def test_a_target_that_the_plan_fixed_stands_again_with_that_plan(world: World) -> None:
    case = world.listed()
    world.planned(case)
    officer, second = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}"
    returned = world.moved(officer, case, "return_plan", reason="补正")
    amended = world.call(officer, "PATCH", f"/cases/{case}", {"target_grade": "A"}, version=returned["version"])
    assert amended.json()["target_grade"] == "A"
    corrected = world.moved(second, case, "correct", reason="误退")
    assert (corrected["state"], corrected["target_grade"]) == ("plan_filed", "B")
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True
