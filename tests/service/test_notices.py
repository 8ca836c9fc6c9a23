"""Notices, what the public says against them, and how that is decided (三（六）, 四（四）)."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from service.casework import audit, objections
from service.casework.desk import Desk
from service.casework.objections import NoticeOver
from service.storage.tables import StoredAnswer, table
from tests.service.world import KAIFENG, ZHENGZHOU, World

OFFICER, SECOND = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}"
FOREIGNER = f"officer {KAIFENG}"


def _items(world: World, *cases: str) -> list[dict[str, Any]]:
    return [{"case": case, "version": world.case(case)["version"]} for case in cases]


def _ready(world: World, count: int, unit: str = ZHENGZHOU) -> list[str]:
    """Cases that have passed their check, in September."""
    cases = [world.listed(unit) for _ in range(count)]
    for case in cases:
        world.checked(case, officer=f"officer {unit}")
    world.at("2024-09-03")
    return cases


def _object(world: World, case: str, reasons: str = "台账不实", **more: Any) -> str:
    """Object to the published case; the id of the objection."""
    notice = world.case(case)["notice"]["id"]
    body = {"case": case, "reasons": reasons, **more}
    answer = world.call(None, "POST", f"/public/notices/{notice}/objections", body)
    assert answer.status_code == 201, answer.text
    found: str = world.call("province", "GET", "/objections?limit=200").json()["items"][-1]["id"]
    return found


def _decide(world: World, objection: str, upheld: bool, who: str = SECOND, finding: str = "查证情况") -> Any:
    version = world.call("province", "GET", f"/objections/{objection}").json()["version"]
    body = {"upheld": upheld, "finding": finding}
    return world.call(who, "POST", f"/objections/{objection}/decide", body, version=version)


def _public(world: World, notice: str) -> dict[str, Any]:
    found: dict[str, Any] = world.call(None, "GET", f"/public/notices/{notice}").json()
    return found


# --- publication ------------------------------------------------------------------------------------------------------


def test_many_cases_are_published_in_one_notice(world: World) -> None:
    cases = _ready(world, 3)
    answer = world.call(OFFICER, "POST", "/notices", {"cases": _items(world, *cases)})
    assert answer.status_code == 201, answer.text
    notice = answer.json()
    assert answer.headers["location"] == f"/api/v1/public/notices/{notice['id']}"
    assert (notice["unit"], notice["opened_on"], notice["ends_on"]) == (ZHENGZHOU, "2024-09-03", "2024-09-10")
    assert (notice["ends_at"], notice["running"]) == ("2024-09-11T00:00:00+08:00", True)
    assert sorted(entry["case"] for entry in notice["entries"]) == sorted(cases)
    for case in cases:
        assert world.case(case)["notice"] == {"id": notice["id"], "ends_on": "2024-09-10"}
    assert _public(world, notice["id"]) == notice
    assert world.call(None, "GET", "/public/notices").json()["items"] == [notice]
    (entry,) = world.call("auditor", "GET", f"/audit?subject={notice['id']}").json()["items"]
    assert (entry["action"], entry["data"]["cases"]) == ("open", cases)


def test_a_single_publication_opens_its_own_notice(world: World) -> None:
    one, other = _ready(world, 2)
    notices = [world.moved(OFFICER, case, "publish")["notice"]["id"] for case in (one, other)]
    assert notices[0] != notices[1]
    assert [notice["id"] for notice in world.call(None, "GET", "/public/notices").json()["items"]] == notices[::-1]


def test_a_notice_takes_all_of_its_cases_or_none(world: World) -> None:
    (good,) = _ready(world, 1)
    unready, theirs = world.listed(reason="补录"), world.listed(KAIFENG, reason="补录")
    refused = world.call(OFFICER, "POST", "/notices", {"cases": _items(world, good, unready)})
    assert (refused.status_code, refused.json()["code"]) == (409, "event_refused")
    assert {(reason["code"], reason["field"]) for reason in refused.json()["errors"]} >= {
        ("wrong_state", "cases[1].state")
    }
    stale = [*_items(world, good), {"case": unready, "version": 9}]
    assert world.call(OFFICER, "POST", "/notices", {"cases": stale}).status_code == 412
    foreign = _items(world, unready, good, theirs)
    assert world.call(OFFICER, "POST", "/notices", {"cases": foreign}).status_code == 404
    assert world.call("province", "POST", "/notices", {"cases": _items(world, good)}).status_code == 403
    assert world.case(good)["state"] == "spot_checked"
    assert world.call(None, "GET", "/public/notices").json()["items"] == []


def test_a_notice_over_the_national_holiday_runs_its_five_working_days(world: World) -> None:
    (case,) = _ready(world, 1)
    world.at("2024-09-27")
    assert world.moved(OFFICER, case, "publish")["notice"]["ends_on"] == "2024-10-10"
    world.at("2024-10-10T23:59:59+08:00")
    assert world.case(case)["state"] == "published"
    world.at("2024-10-11T00:00:00+08:00")
    assert world.case(case)["state"] == "recognised"


def test_the_correction_of_a_publication_cancels_the_entry(world: World) -> None:
    case, stays = _ready(world, 2)
    notice = world.call(OFFICER, "POST", "/notices", {"cases": _items(world, case, stays)}).json()["id"]
    assert "same_person" in world.refused(OFFICER, case, "correct", reason="误公示")
    corrected = world.moved(SECOND, case, "correct", reason="误公示")
    assert (corrected["state"], corrected["notice"]) == ("spot_checked", None)
    assert {entry["case"]: entry["left_as"] for entry in _public(world, notice)["entries"]} == {
        case: "correct", stays: None,
    }  # fmt: skip
    objection = {"case": case, "reasons": "有异议"}
    late = world.call(None, "POST", f"/public/notices/{notice}/objections", objection)
    assert (late.status_code, late.json()["code"]) == (409, "notice_over")
    world.at("2024-09-11")
    assert (world.case(case)["state"], world.case(stays)["state"]) == ("spot_checked", "recognised")
    again = world.moved(OFFICER, case, "publish")["notice"]
    assert again["id"] != notice
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_whoever_leaves_while_published_leaves_the_notice(world: World) -> None:
    gone, barred = _ready(world, 2)
    notice = world.call(OFFICER, "POST", "/notices", {"cases": _items(world, gone, barred)}).json()["id"]
    world.moved(OFFICER, gone, "withdraw", reason="放弃")
    world.moved(
        OFFICER,
        barred,
        "disqualify",
        {"violation": "弄虚作假", "decided_on": "2024-09-03", "document": "豫环〔2024〕1号"},
    )
    assert {entry["case"]: entry["left_as"] for entry in _public(world, notice)["entries"]} == {
        gone: "withdraw", barred: "disqualify",
    }  # fmt: skip
    world.at("2024-09-20")
    assert world.call(None, "GET", "/public/results").json()["items"] == []


# --- what the public sees ---------------------------------------------------------------------------------------------


def test_the_public_sees_results_and_notices_but_no_personal_data(world: World) -> None:
    case = world.listed(officer="赵包联", experts=["孔专家"], remark="内部备注")
    sent = world.case(case)["enterprise"]
    notice = world.published(case)["notice"]["id"]
    _decide(world, _object(world, case, contact={"name": "诸葛证人", "phone": "0371-64445566"}), upheld=False)
    world.at("2024-09-12")
    pages = [
        world.call(None, "GET", path, language=language).text
        for path in ("/public/notices", f"/public/notices/{notice}", "/public/results")
        for language in ("zh-CN", "en")
    ]
    private = (
        "王联系",
        "0371-60001234",
        "赵包联",
        "孔专家",
        "内部备注",
        "周教授",
        "钱工",
        "孙处",
        "诸葛证人",
        "64445566",
        OFFICER,
    )
    assert not [name for name in private for page in pages if name in page]
    (entry,) = json.loads(pages[2])["entries"]
    assert entry == {
        "case": case, "enterprise": sent["name"], "credit_code": sent["credit_code"], "permit_no": sent["permit_no"],
        "county": None, "industry": "foundry", "current_grade": "C", "grade": "B", "left_as": None,
    }  # fmt: skip
    (result,) = json.loads(pages[4])["items"]
    assert (result["enterprise"], result["grade"], result["recognised_at"]) == (
        sent["name"], "B", "2024-09-11T00:00:00+08:00",
    )  # fmt: skip


def test_results_are_asked_by_programme_grade_and_unit(world: World) -> None:
    world.published(world.listed())
    world.published(world.listed(KAIFENG, reason="补录", target_grade="B-"), FOREIGNER)
    world.at("2024-09-20")

    def units(query: str) -> list[str]:
        return [each["unit"] for each in world.call(None, "GET", f"/public/results{query}").json()["items"]]

    assert units("") == [ZHENGZHOU, KAIFENG]
    assert units("?grade=B-") == [KAIFENG]
    assert units(f"?unit={ZHENGZHOU}&programme=henan-2024") == [ZHENGZHOU]
    assert units("?programme=henan-2025") == []
    assert [n["unit"] for n in world.call(None, "GET", f"/public/notices?unit={KAIFENG}").json()["items"]] == [KAIFENG]


# --- objections -------------------------------------------------------------------------------------------------------


def test_an_objection_is_followed_by_its_receipt(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    body = {"case": case, "reasons": "台账不实", "contact": {"name": "诸葛证人", "phone": "0371-64445566"}}
    lodged = world.call(None, "POST", f"/public/notices/{notice}/objections", body)
    assert lodged.status_code == 201
    receipt = lodged.json()["receipt"]
    assert lodged.headers["location"] == f"/api/v1/public/objections/{receipt}"
    followed = world.call(None, "GET", f"/public/objections/{receipt}").json()
    assert followed == {
        "state": "open", "notice": notice, "case": case, "lodged_at": "2024-09-03T09:00:00+08:00",
        "due_on": "2024-09-18", "decided_at": None, "finding": None,
    }  # fmt: skip
    (objection,) = world.call(OFFICER, "GET", "/objections?state=open").json()["items"]
    _decide(world, objection["id"], upheld=False, finding="经查不属实")
    followed = world.call(None, "GET", f"/public/objections/{receipt}").json()
    assert (followed["state"], followed["finding"]) == ("dismissed", "经查不属实")
    assert world.call(None, "GET", "/public/objections/nothing").status_code == 404
    assert world.call(OFFICER, "GET", "/objections?state=open").json()["items"] == []
    assert len(world.call(OFFICER, "GET", "/objections?state=dismissed").json()["items"]) == 1


def test_one_objects_only_to_what_stands_in_a_running_notice(world: World) -> None:
    case, other = world.listed(), world.listed()
    notice = world.published(case)["notice"]["id"]
    for wrong in (other, "nothing"):
        answer = world.call(None, "POST", f"/public/notices/{notice}/objections", {"case": wrong, "reasons": "异议"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_in_notice")
    world.at("2024-09-10T23:59:59+08:00")
    _object(world, case)
    world.at("2024-09-11T00:00:00+08:00")
    answer = world.call(None, "POST", f"/public/notices/{notice}/objections", {"case": case, "reasons": "异议"})
    assert (answer.status_code, answer.json()["code"]) == (409, "notice_over")
    assert world.case(case)["state"] == "published"


def test_an_open_objection_blocks_recognition_and_a_dismissed_one_does_not(world: World) -> None:
    case = world.listed()
    world.published(case)
    first, second = _object(world, case), _object(world, case)
    world.at("2024-09-20")
    assert world.case(case)["state"] == "published"
    assert _decide(world, first, upheld=False).status_code == 200
    world.at("2024-09-21")
    assert world.case(case)["state"] == "published"
    assert _decide(world, second, upheld=False).status_code == 200
    world.at("2024-09-21T09:00:01+08:00")
    assert world.case(case)["state"] == "recognised"
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_an_upheld_objection_sends_the_case_back_and_takes_the_open_ones_with_it(world: World) -> None:
    case, other = _ready(world, 2)
    world.call(OFFICER, "POST", "/notices", {"cases": _items(world, case, other)})
    dismissed = _object(world, case, "先前的异议")
    _decide(world, dismissed, upheld=False, finding="不属实")
    one, two, three = (_object(world, case, reasons) for reasons in ("第一", "第二", "第三"))
    elsewhere = _object(world, other, "另一企业")
    decided = _decide(world, two, upheld=True, finding="第二条属实")
    assert (decided.status_code, decided.json()["state"]) == (200, "upheld")
    found = world.case(case)
    assert (found["state"], found["notice"]) == ("rejected", None)
    assert [(each["number"], each["text"]) for each in found["findings"]] == [
        (1, "第二条属实"), (2, "第一"), (3, "第三"),
    ]  # fmt: skip
    states = {each["id"]: each["state"] for each in world.call("province", "GET", "/objections").json()["items"]}
    assert states == {dismissed: "dismissed", one: "upheld", two: "upheld", three: "upheld", elsewhere: "open"}
    with_ = world.call("auditor", "GET", f"/audit?subject={one}").json()["items"][0]
    assert (with_["action"], with_["data"]["decided_with"]) == ("decide", two)
    entry = world.call("auditor", "GET", f"/cases/{case}/history").json()["items"][-1]
    assert (entry["action"], entry["actor"]["name"]) == ("uphold_objection", SECOND)
    assert world.case(other)["state"] == "published"
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True
    world.at("2024-09-10")
    world.moved(OFFICER, case, "resubmit", world.resubmission(case))


def test_an_objection_to_a_case_that_has_ended_meanwhile_may_be_upheld_and_moves_nothing(world: World) -> None:
    case = world.listed()
    world.published(case)
    right = _object(world, case, "弄虚作假")
    data = {"violation": "弄虚作假", "decided_on": "2024-09-03", "document": "豫环〔2024〕1号"}
    world.moved(OFFICER, case, "disqualify", data)
    decided = _decide(world, right, upheld=True, finding="属实，已取消资格", who="second of the province")
    assert (decided.status_code, decided.json()["state"]) == (200, "upheld")
    assert world.case(case)["state"] == "disqualified"
    # The public was right: nobody makes as if the case had stayed in its notice.
    assert world.refused(SECOND, case, "correct", reason="误录") == {"rested_on"}
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_a_publication_to_which_somebody_objects_is_not_corrected_before_that_is_decided(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    assert world.refused(SECOND, case, "correct", reason="误公示") == {"rested_on"}
    assert _decide(world, objection, upheld=False, who="second of the province").status_code == 200
    assert world.moved(SECOND, case, "correct", reason="误公示")["state"] == "spot_checked"


@pytest.mark.parametrize("upheld", [True, False])
def test_an_objection_follows_a_case_that_leaves_and_is_published_again(world: World, *, upheld: bool) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case, "夜间冒烟")
    world.moved(OFFICER, case, "withdraw", reason="放弃")
    world.moved(OFFICER, case, "relist", reason="再次申请")
    world.published(case)
    other = _object(world, case, "台账不实")
    world.at("2024-09-12")
    assert world.case(case)["state"] == "published"  # its notice is over, and the objections are open
    assert _decide(world, other, upheld=False, who="second of the province").status_code == 200
    world.at("2024-09-13")
    assert world.case(case)["state"] == "published"
    assert _decide(world, objection, upheld=upheld, who="second of the province").status_code == 200
    world.at("2024-09-14")
    assert world.case(case)["state"] == ("rejected" if upheld else "recognised")
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_nobody_who_took_part_decides(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    for who in (OFFICER, "province"):
        for upheld in (True, False):
            refused = _decide(world, objection, upheld, who)
            assert (refused.status_code, refused.json()["code"]) == (409, "event_refused")
            (reason,) = refused.json()["errors"]
            assert (reason["code"], reason["clause"]) == ("took_part", "R4")
    assert world.case(case)["state"] == "published"
    assert _decide(world, objection, True, FOREIGNER).status_code == 404
    assert _decide(world, objection, True, "auditor").status_code == 403
    assert _decide(world, objection, False, "second of the province").status_code == 200


def test_an_objection_is_decided_once_and_by_its_newest_version(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    path, body = f"/objections/{objection}/decide", {"upheld": False, "finding": "不属实"}
    assert world.call(SECOND, "POST", path, body).status_code == 428
    assert world.call(SECOND, "POST", path, body, version=2).status_code == 412
    done = world.call(SECOND, "POST", path, body, version=1)
    assert (done.status_code, done.headers["etag"]) == (200, '"2"')
    assert world.call(SECOND, "POST", path, body, version=1).status_code == 412
    twice = world.call(SECOND, "POST", path, {**body, "upheld": True}, version=2)
    assert (twice.status_code, twice.json()["code"]) == (409, "objection_decided")
    assert world.case(case)["state"] == "published"


def test_the_officer_is_told_which_enterprise_an_objection_is_to(world: World) -> None:
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": "li@example.org", "language": "zh"}
    assert world.call("admin", "POST", "/contacts", contact).status_code == 201
    case = world.listed()
    world.published(case)
    _object(world, case)
    world.at("2024-09-05")
    told = world.call("province", "GET", "/messages?recipient=li@example.org&status=sent").json()["items"]
    texts = [world.call("province", "GET", f"/messages/{each['id']}").json()["text"] for each in told]
    about = next(text for text in texts if "处理公示异议" in text)
    assert world.case(case)["enterprise"]["name"] in about


def test_a_decision_after_ten_working_days_is_marked_late(world: World) -> None:
    case = world.listed()
    world.published(case)
    in_time, late = _object(world, case), _object(world, case)
    world.at("2024-09-18T23:59:59+08:00")
    _decide(world, in_time, upheld=False)
    world.at("2024-09-19T00:00:00+08:00")
    _decide(world, late, upheld=False)
    told = [world.call("auditor", "GET", f"/audit?subject={each}").json()["items"][0] for each in (in_time, late)]
    assert [entry["data"]["late"] for entry in told] == [False, True]


@pytest.mark.parametrize("upheld", [True, False])
def test_a_decision_that_is_late_before_anybody_has_noticed_is_a_breach_on_record(
    world: World, *, upheld: bool
) -> None:
    case = world.listed()
    world.published(case)
    other, decided = _object(world, case, "先到的异议"), _object(world, case, "后到的异议")
    world.passes_unseen("2024-09-19T00:00:00+08:00")
    assert _decide(world, decided, upheld=upheld).status_code == 200

    def recorded(objection: str) -> tuple[list[str], str]:
        with world.running.db.reading() as tx:
            entries = audit.history(tx, "obligation", f"objection.{objection}")
        (owed,) = world.call("province", "GET", f"/obligations?subject={objection}").json()["items"]
        return [each["action"] for each in entries], owed["status"]

    assert recorded(decided) == (["breach"], "met_late")
    assert recorded(other) == ((["breach"], "met_late") if upheld else ([], "overdue"))  # taken along, or still open
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_nobody_objects_to_what_was_recognised_meanwhile_though_the_request_came_in_time(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    in_time = world.now()
    world.at("2024-09-12")
    assert world.case(case)["state"] == "recognised"
    with world.running.db.transaction() as tx, pytest.raises(NoticeOver):
        objections.lodge(Desk(tx, world.running.books), in_time, None, notice, case, "迟到", None, receipt="r")


def test_no_stored_answer_holds_a_contact_or_a_receipt(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    contact = {"name": "诸葛证人", "phone": "0371-64445566"}
    path, body = f"/public/notices/{notice}/objections", {"case": case, "reasons": "不实", "contact": contact}
    first, again = (world.call(None, "POST", path, body, key="0123456789abcdef") for _ in range(2))
    receipt = first.json()["receipt"]
    assert (first.status_code, first.headers["location"]) == (201, f"/api/v1/public/objections/{receipt}")
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert world.call(None, "GET", f"/public/objections/{receipt}").json()["state"] == "open"
    objection = world.call(SECOND, "GET", "/objections").json()["items"][0]["id"]
    decided = world.call(
        SECOND, "POST", f"/objections/{objection}/decide", {"upheld": False, "finding": "不实"}, version=1, key="d"
    )
    assert (decided.status_code, decided.json()["contact"]) == (200, None)
    assert world.call(SECOND, "GET", f"/objections/{objection}").json()["contact"] == contact
    with world.running.db.reading() as tx:
        stored = repr(tx.execute(select(table(StoredAnswer))).all())
    assert "decided_at" in stored
    assert receipt not in stored
    assert "诸葛证人" not in stored


def test_the_same_objection_after_its_answer_was_forgotten_is_not_lodged_again(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    path, body = f"/public/notices/{notice}/objections", {"case": case, "reasons": "不实"}
    first = world.call(None, "POST", path, body, key="0123456789abcdef")
    world.at("2024-09-06T09:00:00+08:00")
    world.at("2024-09-06T10:00:00+08:00")
    again = world.call(None, "POST", path, body, key="0123456789abcdef")
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(world.call(SECOND, "GET", "/objections").json()["items"]) == 1


def test_p6_who_has_left_the_notice_lapses_on_the_plans_day_whatever_is_still_to_be_decided(world: World) -> None:
    case = world.listed()
    world.published(case)
    _object(world, case)
    world.moved(OFFICER, case, "withdraw", reason="放弃")
    world.moved(OFFICER, case, "relist", reason="再次申请")
    world.at("2025-02-03")
    assert world.case(case)["state"] == "lapsed"


def test_r4_a_resubmission_in_the_instant_of_the_decision_can_be_corrected(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    assert _decide(world, objection, upheld=True, who="second of the province").status_code == 200
    world.moved(OFFICER, case, "resubmit", world.resubmission(case))
    assert world.moved(SECOND, case, "correct", reason="误录")["state"] == "rejected"
