"""What an enterprise is told of its case: at once when somebody decides, with what is missing and until when."""

from typing import Any

import pytest

from notifications import outbox
from notifications.outbox import MESSAGES
from service import scheduler
from service.storage.tables import CaseRow, table
from tests.service.world import ZHENGZHOU, World

_CASES = table(CaseRow)
OFFICER = f"officer {ZHENGZHOU}"
ADDRESS = "boss@example.org"


def _listed(world: World) -> str:
    line = world.line()
    line["enterprise"]["contact"]["email"] = ADDRESS
    answer = world.call(OFFICER, "POST", "/cases", line)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _told(world: World, to: str = ADDRESS) -> list[dict[str, Any]]:
    """What the enterprise was told of decisions, oldest first."""
    scheduler.deliver(world.running)
    lines = world.call(OFFICER, "GET", f"/messages?recipient={to}&template=result&status=sent").json()["items"]
    return [world.call(OFFICER, "GET", f"/messages/{line['id']}").json() for line in reversed(lines)]


def test_p6_who_was_refused_is_told_what_is_missing_and_until_when(world: World) -> None:
    case = _listed(world)
    version = world.rejected(case)["version"]
    accepted, rejected = _told(world)
    assert (rejected["rungs"], rejected["decision"]) == ([], {"case": case, "version": version, "kind": "reject"})
    assert accepted["subject"].startswith("【通过验收】")
    assert rejected["subject"].startswith("【未通过】")
    for said in ("台账不全", "在线监测数据缺失", "2024年12月20日（星期五）24:00 前", "逾期不再受理"):
        assert said in rejected["text"]


def test_w7_who_is_recognised_is_told_once(world: World) -> None:
    world.published(_listed(world))
    world.at("2024-09-12")
    world.at("2024-09-13")
    assert [each["subject"][:6] for each in _told(world)] == ["【通过验收】", "【通过复核】", "【等级认定】"]


def test_p6_who_is_refused_too_late_to_come_again_is_told_so_and_that_the_case_has_lapsed(world: World) -> None:
    case = _listed(world)
    world.rejected(case)
    world.at("2024-12-19")
    world.moved(OFFICER, case, "resubmit", world.resubmission(case), reason="再次报送")
    world.at("2024-12-21T00:03:00+08:00")
    world.check(case, "failed")
    world.moved("province", case, "reject", reason="复核未通过")  # on a Saturday, at night
    (told,) = [
        row for row in world.call(OFFICER, "GET", f"/messages?recipient={ADDRESS}&status=pending").json()["items"]
        if row["template"] == "result"
    ]  # fmt: skip
    world.at("2024-12-23T10:00:00+08:00")
    assert world.call(OFFICER, "GET", f"/messages/{told['id']}").json()["status"] == "cancelled"
    last = _told(world)[-1]
    assert last["subject"].startswith("【未获认定】")
    assert "可在下一年度行动中申请" in last["text"]


def test_w6_who_was_fast_tracked_is_not_told_that_he_passed(world: World) -> None:
    case = _listed(world)
    world.planned(case)
    world.at("2024-07-16")
    world.moved(OFFICER, case, "fast_track", {"declared_on": "2024-07-16", "declaration": "已达到 B 级指标"})
    (told,) = _told(world)
    assert told["subject"].startswith("【快速通道】")
    assert "已通过" not in told["text"]


def test_what_was_told_by_mistake_is_corrected_and_what_has_not_left_is_taken_back(world: World) -> None:
    told, waiting = _listed(world), _listed(world)
    for case in (told, waiting):
        world.accepted(case)
    scheduler.deliver(world.running)
    world.moved(f"second officer {ZHENGZHOU}", told, "correct", reason="误录")
    assert [each["subject"].split("】")[0] for each in _told(world)] == ["【通过验收", "【通过验收", "【更正"]
    world.at("2024-07-20T09:00:00+08:00")  # a Saturday: nothing leaves
    world.moved(OFFICER, told, "accept", {"reviewed_on": "2024-07-20", "reviewers": ["钱工"], "conclusion": "同意"})
    world.moved(f"second officer {ZHENGZHOU}", told, "correct", reason="又误录")
    assert len(_told(world)) == 3
    world.at("2024-07-22T10:00:00+08:00")
    assert len(_told(world)) == 3


def test_a_decision_that_failed_to_be_told_is_not_told_after_a_newer_one(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    messages: Any = MESSAGES
    with world.running.db.transaction() as tx:
        tx.execute(messages.update().values(status="failed", next_attempt_at=None))
    (failed,) = world.call(OFFICER, "GET", f"/messages?recipient={ADDRESS}&status=failed").json()["items"]
    world.at("2024-08-05")
    world.check(case, "failed")
    world.moved("province", case, "reject", reason="复核未通过")
    again = world.call(OFFICER, "POST", f"/messages/{failed['id']}/retry", version=failed["attempts"])
    assert (again.status_code, again.json()["code"]) == (409, "message_sent")
    assert [each["subject"][:5] for each in _told(world)] == ["【未通过】"]


def test_r1_what_the_province_decides_is_told_to_the_units_officer_with_its_reason(world: World) -> None:
    officer = "li@example.org"
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": officer, "language": "zh"}
    assert world.call("admin", "POST", "/contacts", contact).status_code == 201
    case, own = _listed(world), _listed(world)
    world.planned(case)
    world.moved("province", case, "return_plan", reason="缺少运输方式的措施")
    (told,) = _told(world, officer)
    assert told["subject"].startswith("【退回补正】")
    assert "缺少运输方式的措施" in told["text"]
    data = {"violation": "弄虚作假", "decided_on": f"{world.now():%Y-%m-%d}", "document": "豫环〔2024〕1号"}
    world.moved("province", case, "disqualify", data)
    for address in (officer, ADDRESS):
        last = _told(world, address)[-1]
        assert last["subject"].startswith("【取消资格】")
        assert "豫环〔2024〕1号" in last["text"]
    world.planned(own)
    world.moved(OFFICER, own, "return_plan", reason="自行补正")
    assert len(_told(world, officer)) == 2  # what the unit decides itself is no news to it


def test_a_site_without_an_address_is_written_to_by_nobody(world: World) -> None:
    world.rejected(world.listed())
    scheduler.deliver(world.running)
    assert world.call(OFFICER, "GET", "/messages?template=result").json()["items"] == []


def test_a_correction_names_what_it_corrects_and_the_mistake_names_its_correction(world: World) -> None:
    case = _listed(world)
    world.planned(case)
    world.moved(f"second officer {ZHENGZHOU}", case, "correct", reason="填错")
    history = world.call("auditor", "GET", f"/cases/{case}/history").json()["items"]
    assert [(each["action"], each["corrected_by"]) for each in history] == [
        ("list", None), ("pre_assess", None), ("file_plan", 4), ("correct", None),
    ]  # fmt: skip
    assert history[-1]["data"]["corrects"] == 3


def test_p6_a_check_from_before_what_it_checks_is_none(world: World) -> None:
    case = world.listed()
    world.accepted(case)
    world.at("2024-08-05")
    data = {"checked_on": "2024-07-01", "inspectors": ["孙处"], "result": "passed", "findings": []}
    assert world.refused("province", case, "spot_check", data) == {"check_too_old"}


SECOND = f"second officer {ZHENGZHOU}"
_REVIEW = {"reviewed_on": "2024-07-20", "reviewers": ["钱工"], "conclusion": "同意"}


def _subjects(world: World, to: str = ADDRESS) -> list[str]:
    """The beginnings of the subjects of what was told, oldest first."""
    return [each["subject"].partition("】")[0][1:] for each in _told(world, to)]


def _waiting(world: World) -> set[str]:
    """The ids of what the enterprise is still to be told of decisions."""
    lines = world.call(OFFICER, "GET", f"/messages?recipient={ADDRESS}&template=result&status=pending").json()["items"]
    return {line["id"] for line in lines}


@pytest.fixture
def saturday(world: World) -> str:
    """A case that was accepted on a Saturday, when nothing leaves."""
    case = _listed(world)
    world.upgraded(case)
    world.at("2024-07-20T09:00:00+08:00")
    world.moved(OFFICER, case, "accept", _REVIEW)
    return case


def test_p4_who_was_not_accepted_is_told_what_was_found(world: World) -> None:
    case = _listed(world)
    world.upgraded(case)
    world.at("2024-07-16")
    data = {"reviewed_on": "2024-07-16", "reviewers": ["钱工"], "findings": ["布袋破损", "台账不全"]}
    world.moved(OFFICER, case, "fail_acceptance", data)
    (told,) = _told(world)
    assert told["subject"].startswith("【验收未通过】")
    assert "布袋破损" in told["text"]
    assert "台账不全" in told["text"]


def test_a_correction_of_something_else_takes_back_no_decision(world: World, saturday: str) -> None:
    waiting = _waiting(world)
    data = {"checked_on": "2024-07-20", "inspectors": ["孙处"], "result": "passed", "findings": []}
    world.moved("province", saturday, "spot_check", data, reason="提前复核")
    world.moved("second of the province", saturday, "correct", reason="误录")
    assert _waiting(world) == waiting != set()


def test_what_a_mistake_took_back_is_told_when_the_mistake_is_corrected(world: World, saturday: str) -> None:
    waiting = _waiting(world)
    data = {"violation": "弄虚作假", "decided_on": "2024-07-20", "document": "豫环〔2024〕1号"}
    world.moved("province", saturday, "disqualify", data)
    assert _waiting(world).isdisjoint(waiting)
    world.moved("second of the province", saturday, "correct", reason="误录")
    assert _waiting(world) == waiting
    world.at("2024-07-22T10:00:00+08:00")
    assert _subjects(world) == ["通过验收"]


def test_an_amendment_by_hand_does_not_keep_a_correction_from_those_who_heard_of_the_mistake(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    assert _subjects(world) == ["通过验收"]
    version = world.case(case)["version"]
    assert world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "补充"}, version=version).status_code == 200
    world.moved(SECOND, case, "correct", reason="误录")
    assert _subjects(world) == ["通过验收", "更正"]


def test_what_is_being_sent_counts_as_heard(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    with world.running.db.transaction() as tx:
        assert len(outbox.claim(tx, world.running.clock.now(tx), "slow", 9)) == 1
    world.moved(SECOND, case, "correct", reason="误录")
    assert _subjects(world) == ["更正"]


def test_what_a_lost_sender_held_is_not_told_after_a_newer_decision(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    with world.running.db.transaction() as tx:
        assert len(outbox.claim(tx, world.running.clock.now(tx), "lost", 9)) == 1
    data = {"violation": "弄虚作假", "decided_on": f"{world.now():%Y-%m-%d}", "document": "豫环〔2024〕1号"}
    world.moved("province", case, "disqualify", data)
    world.at((world.now() + scheduler.STALE_AFTER).isoformat())
    assert _subjects(world) == ["取消资格"]


def test_p6_who_comes_again_or_withdraws_is_not_told_any_more_to_come_again(world: World) -> None:
    again, withdrawn = _listed(world), _listed(world)
    for case in (again, withdrawn):
        world.accepted(case)
    world.at("2024-08-05")
    for case in (again, withdrawn):
        world.check(case, "failed")
    world.at("2024-08-10T09:00:00+08:00")  # a Saturday
    for case in (again, withdrawn):
        world.moved("province", case, "reject", reason="复核未通过")
    world.moved(OFFICER, again, "resubmit", world.resubmission(again), reason="再次报送")
    world.moved(OFFICER, withdrawn, "withdraw", reason="企业申请退出")
    assert len(_waiting(world)) == 1
    assert _subjects(world) == ["通过验收", "通过验收", "复核发现问题", "复核发现问题"]
    world.at("2024-08-12T10:00:00+08:00")
    assert _subjects(world)[4:] == ["退出"]


def test_w2_who_is_withdrawn_is_told_so_with_the_reason_if_it_has_heard_of_a_decision(world: World) -> None:
    heard, listed = _listed(world), _listed(world)
    world.accepted(heard)
    assert _subjects(world) == ["通过验收"]
    for case in (heard, listed):
        world.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    last = _told(world)[-1]
    assert _subjects(world) == ["通过验收", "退出"]
    assert "企业申请退出" in last["text"]
    world.moved(f"second officer {ZHENGZHOU}", heard, "correct", reason="误录")
    assert _subjects(world) == ["通过验收", "退出", "更正"]


def test_several_decisions_of_one_batch_are_told_as_if_they_came_one_by_one(world: World) -> None:
    case = _listed(world)
    world.upgraded(case)
    world.at("2024-07-16")
    version = world.case(case)["version"]
    failed = {"reviewed_on": "2024-07-16", "reviewers": ["钱工"], "findings": ["台账不全"]}
    report = {
        "month": "2024-07", "assessed_on": "2024-07-16", "assessors": ["吴工"], "done": [], "progress": {"equipment_renewal": 100},
        "delayed": True, "conclusion": "继续整改",
    }  # fmt: skip
    items = [
        {"case": case, "event": "fail_acceptance", "version": version, "data": failed},
        {"case": case, "event": "report_progress", "version": version + 1, "data": report},
    ]
    answer = world.call(OFFICER, "POST", "/cases/events", {"items": items})
    assert [each["ok"] for each in answer.json()["results"]] == [True, True], answer.text
    assert _subjects(world) == ["验收未通过"]


def test_a_decision_follows_the_address_of_its_enterprise(world: World, saturday: str) -> None:
    site = world.case(saturday)["enterprise"]["id"]
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    contact = {"name": "王经理", "phone": "0371-60000000", "email": "new@example.org"}
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"contact": contact}, version=version)
    assert answer.status_code == 200, answer.text
    world.at("2024-07-22T10:00:00+08:00")
    assert (_subjects(world), _subjects(world, "new@example.org")) == ([], ["通过验收"])


def _officer(world: World, name: str, language: str = "zh") -> str:
    """The address of a new officer of the unit."""
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": name, "email": f"{name}@example.org", "language": language}
    assert world.call("admin", "POST", "/contacts", contact).status_code == 201
    return f"{name}@example.org"


def test_p6_who_is_refused_when_the_day_of_coming_again_is_over_is_told_that_nothing_more_is_taken(
    world: World,
) -> None:
    in_time, late = _listed(world), _listed(world)
    for case in (in_time, late):
        world.checked(case, "failed")
    for day, case, until in (("2024-12-20", in_time, "24:00 前"), ("2024-12-23", late, "可在下一年度行动中申请")):
        world.at(f"{day}T10:00:00+08:00")
        world.moved("province", case, "reject", reason="复核未通过")
        last = _told(world)[-1]
        assert last["subject"].startswith("【未通过】")
        assert until in last["text"]
        assert ("24:00 前" in last["text"]) is (case == in_time)
        assert ("再次报送" in last["text"]) is (case == in_time)


def test_p4_who_is_accepted_anew_is_told_no_day_by_which_to_be(world: World) -> None:
    case = _listed(world)
    world.checked(case, "rectify")
    order = {
        "review_on": "2024-11-20",
        "measures": [{"title": "加盖", "kind": "equipment_renewal", "due_on": "2024-09-30"}],
    }
    world.moved("province", case, "order_rectification", order, reason="限期整改")
    assert "2024年11月20日" in _told(world)[-1]["text"]
    world.at("2024-08-20")
    report = {
        "month": "2024-08", "assessed_on": "2024-08-20", "assessors": ["吴工"], "done": [2], "progress": {"equipment_renewal": 100},
        "delayed": False, "conclusion": "已完成",
    }  # fmt: skip
    world.moved(OFFICER, case, "report_progress", report)
    world.moved(OFFICER, case, "accept", {**_REVIEW, "reviewed_on": "2024-08-20"})
    last = _told(world)[-1]
    assert last["subject"].startswith("【通过验收】")
    assert "2024年11月20日" not in last["text"]


@pytest.mark.parametrize(
    ("result", "event", "data"),
    [
        ("failed", "reject", None),
        ("rectify", "order_rectification", {
            "review_on": "2024-11-20", "measures": [{"title": "加盖", "kind": "equipment_renewal", "due_on": "2024-09-30"}],
        }),
    ],
)  # fmt: skip
def test_r1_why_the_province_decided_so_is_told_to_the_enterprise_and_to_each_officer(
    world: World, result: str, event: str, data: Any
) -> None:
    officers = [_officer(world, "li"), _officer(world, "zhang")]
    case = _listed(world)
    world.checked(case, result)
    world.moved("province", case, event, data, reason="夜间两次复测均超标")
    for address in (ADDRESS, *officers):
        assert "夜间两次复测均超标" in _told(world, address)[-1]["text"]


def test_p4_why_a_decision_came_outside_its_window_is_not_told_to_the_enterprise(world: World) -> None:
    case = _listed(world)
    world.upgraded(case)
    world.at("2024-12-02")
    world.moved(OFFICER, case, "accept", {**_REVIEW, "reviewed_on": "2024-12-02"}, reason="经办人出差，迟录")
    (told,) = _told(world)
    assert told["subject"].startswith("【通过验收】")
    assert "迟录" not in told["text"]


def test_r1_each_officer_who_heard_of_a_mistake_of_the_provinces_is_told_that_it_was_one(world: World) -> None:
    one, other = _officer(world, "li"), _officer(world, "zhang", "en")
    case = _listed(world)
    world.upgraded(case)
    data = {"violation": "弄虚作假", "decided_on": f"{world.now():%Y-%m-%d}", "document": "豫环〔2024〕1号"}
    world.moved("province", case, "disqualify", data)
    assert (_subjects(world), _subjects(world, one)) == (["取消资格"], ["取消资格"])
    world.moved("second of the province", case, "correct", reason="误录")
    for address, tag, said in (
        (ADDRESS, "【更正】", "此前发给贵单位的下列决定系误录"),
        (one, "【更正】", "对下列企业作出的省级决定系误录"),
        (other, "[Corrected] ", "The province's decision on this enterprise was entered by mistake"),
    ):
        _, last = _told(world, address)
        assert last["subject"].startswith(tag)
        assert said in last["text"]


@pytest.mark.parametrize("result", ["failed", "rectify"])
def test_p5_who_was_checked_is_told_at_once_what_was_found_and_then_what_follows(world: World, result: str) -> None:
    officer = "li@example.org"
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": officer, "language": "zh"}
    assert world.call("admin", "POST", "/contacts", contact).status_code == 201
    passed, failed = _listed(world), _listed(world)
    for case in (passed, failed):
        world.accepted(case)
    world.at("2024-08-05")
    world.check(passed, "passed")
    world.check(failed, result)
    assert _subjects(world) == ["通过验收", "通过验收", "通过复核", "复核发现问题"]
    for address in (ADDRESS, officer):
        last = _told(world, address)[-1]
        assert "台账不全" in last["text"]
        assert "等待省级决定" in last["text"]


def test_p6_who_is_refused_by_mistake_hears_of_the_correction_though_the_case_has_lapsed_upon_it(world: World) -> None:
    case = _listed(world)
    world.checked(case, "failed")
    world.at("2024-12-20T16:00:00+08:00")
    world.moved("province", case, "reject", reason="误录")
    world.at("2024-12-21T08:00:00+08:00")
    assert world.case(case)["state"] == "lapsed"
    world.at("2024-12-23T10:00:00+08:00")
    told = _subjects(world)
    assert told[-2:] == ["未通过", "未获认定"]
    corrected = world.moved("second of the province", case, "correct", reason="误录")
    assert corrected["state"] == "spot_checked"
    assert _subjects(world) == [*told, "更正"]
    last = _told(world)[-1]
    assert "【未通过】2024年12月20日" in last["text"]  # the refusal is the mistake, and not the lapse
    assert "已复核" in last["text"]
    history = world.call("auditor", "GET", f"/cases/{case}/history").json()["items"]
    rejected = next(each["version"] for each in history if each["action"] == "reject")
    assert next(each for each in history if each["action"] == "correct")["data"]["corrects"] == rejected
    (conclusion,) = world.call("province", "GET", f"/obligations?subject={case}&status=overdue").json()["items"]
    assert conclusion["title"].startswith("对抽查复核未通过的作出决定")
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_p5_what_was_ordered_is_told_with_its_days(world: World) -> None:
    case = _listed(world)
    world.checked(case, "rectify")
    measure = {"title": "补装在线监测", "kind": "equipment_renewal", "due_on": "2024-08-20"}
    world.moved("province", case, "order_rectification", {"review_on": "2024-08-30", "measures": [measure]})
    last = _told(world)[-1]
    assert last["subject"].startswith("【责令整改】")
    assert "补装在线监测，2024年8月20日（星期二）前完成" in last["text"]


def test_p6_what_was_found_is_told_with_the_lapse_that_overtakes_it_to_enterprise_and_unit(world: World) -> None:
    officer = "li@example.org"
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": officer, "language": "zh"}
    assert world.call("admin", "POST", "/contacts", contact).status_code == 201
    case = _listed(world)
    world.checked(case, "failed")
    scheduler.deliver(world.running)
    world.at("2024-12-20T18:30:00+08:00")  # the office is closed
    world.moved("province", case, "reject", reason="复核未通过")
    world.at("2024-12-23T10:00:00+08:00")
    for address in (ADDRESS, officer):
        last = _told(world, address)[-1]
        assert last["subject"].startswith("【未获认定】")
        assert "在线监测数据缺失" in last["text"]


def test_r4_a_correction_says_what_it_corrects_and_why(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    (accepted,) = _told(world)
    world.moved(SECOND, case, "correct", reason="录错了企业")
    corrected = _told(world)[-1]
    assert "【通过验收】" in corrected["text"]
    assert "录错了企业" in corrected["text"]
    clause = next(line for line in accepted["text"].splitlines() if line.startswith("依据"))
    assert clause in corrected["text"]


def test_what_waits_for_an_officer_who_was_removed_goes_to_who_looks_after_the_case_now(world: World) -> None:
    contact = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": "li@example.org", "language": "zh"}
    gone = world.call("admin", "POST", "/contacts", contact).json()["id"]
    case = _listed(world)
    world.planned(case)
    world.at("2024-06-08T09:00:00+08:00")  # a Saturday
    world.moved("province", case, "return_plan", reason="缺少运输方式的措施")
    assert world.call("admin", "DELETE", f"/contacts/{gone}", version=1).status_code in (200, 204)
    new = {**contact, "name": "赵工", "email": "zhao@example.org"}
    assert world.call("admin", "POST", "/contacts", new).status_code == 201
    world.at("2024-06-11T12:00:00+08:00")
    assert (_subjects(world, "li@example.org"), _subjects(world, "zhao@example.org")) == ([], ["退回补正"])


def test_what_waits_for_an_enterprise_without_an_address_any_more_goes_to_nobody(world: World, saturday: str) -> None:
    site = world.case(saturday)["enterprise"]["id"]
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    contact = {"name": "王经理", "phone": "0371-60000000"}
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"contact": contact}, version=version)
    assert answer.status_code == 200, answer.text
    world.at("2024-07-22T10:00:00+08:00")
    assert _subjects(world) == []


def test_a_correction_is_told_though_the_case_is_withdrawn_before_it_leaves(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    assert _subjects(world) == ["通过验收"]
    world.at("2024-07-20T09:00:00+08:00")  # a Saturday
    world.moved(SECOND, case, "correct", reason="误录")
    world.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    world.at("2024-07-22T10:00:00+08:00")
    assert _subjects(world) == ["通过验收", "更正"]


# --- the address of now ----------------------------------------------------------------------------------------------


def _readdressed(world: World, case: str, email: str | None) -> None:
    """Let the enterprise have another address, or none."""
    site = world.case(case)["enterprise"]["id"]
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    contact = {"name": "王经理", "phone": "0371-60000000"} | ({"email": email} if email else {})
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"contact": contact}, version=version)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("email", [None, "new@example.org"])
def test_what_is_told_after_all_goes_to_the_address_of_then_or_to_none(
    world: World, saturday: str, email: str | None
) -> None:
    data = {"violation": "弄虚作假", "decided_on": "2024-07-20", "document": "豫环〔2024〕1号"}
    world.moved("province", saturday, "disqualify", data)
    _readdressed(world, saturday, email)
    world.moved("second of the province", saturday, "correct", reason="误录")
    world.at("2024-07-22T10:00:00+08:00")
    assert _subjects(world) == []
    assert email is None or _subjects(world, email) == ["通过验收"]


@pytest.mark.parametrize("email", [None, "new@example.org"])
def test_what_was_being_sent_when_the_address_changed_is_tried_again_at_the_new_one_only(
    world: World, saturday: str, email: str | None
) -> None:
    with world.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().where(MESSAGES.c.recipient == ADDRESS).values(next_attempt_at=world.now()))
        (claimed,) = [each for each in outbox.claim(tx, world.now(), "other", 10) if each.recipient == ADDRESS]
    _readdressed(world, saturday, email)
    with world.running.db.transaction() as tx:
        assert outbox.record_failure(tx, claimed.id, "other", "451 try later", world.now())
    world.at("2024-07-22T10:00:00+08:00")
    assert _subjects(world) == []
    assert email is None or _subjects(world, email) == ["通过验收"]


@pytest.mark.parametrize("email", [None, "new@example.org"])
def test_a_correction_goes_to_the_address_of_now(world: World, saturday: str, email: str | None) -> None:
    world.at("2024-07-22T10:00:00+08:00")
    _readdressed(world, saturday, email)
    world.moved(SECOND, saturday, "correct", reason="误录")
    world.at("2024-07-22T11:00:00+08:00")
    assert _subjects(world) == ["通过验收"]
    assert email is None or _subjects(world, email) == ["更正"]


def test_a_case_that_cannot_be_read_keeps_no_other_mail_back(world: World) -> None:
    jia, yi = _officer(world, "jia"), _officer(world, "yi")
    unreadable, other = _listed(world), _listed(world)
    for case in (unreadable, other):
        world.accepted(case)
    world.at("2024-08-03T10:00:00+08:00")  # a Saturday
    for case in (unreadable, other):
        world.check(case, "failed")
    (removed,) = [each for each in world.call("admin", "GET", "/contacts").json()["items"] if each["name"] == "jia"]
    assert world.call("admin", "DELETE", f"/contacts/{removed['id']}", version=removed["version"]).status_code == 200
    with world.running.db.transaction() as tx:
        tx.execute(_CASES.update().where(_CASES.c.id == unreadable).values(facts="{}"))
    world.passes_unseen("2024-08-05T10:00:00+08:00")
    assert _subjects(world)[2:] == ["复核发现问题", "复核发现问题"]
    assert (len(_told(world, jia)), len(_told(world, yi))) == (0, 2)  # yi has both already
    (waiting,) = world.call("admin", "GET", "/messages?template=result&status=pending").json()["items"]
    assert "validation error" in waiting["last_error"]


def test_p6_who_looks_after_a_case_is_told_once_why_it_cannot_be_recognised_yet(world: World) -> None:
    officer = _officer(world, "li")
    retrofit = {"completed_on": "2024-03-01", "publicised_on": "2024-04-01"}
    case = world.listed(industry="steel", current_grade="B", target_grade="A", ultra_low=retrofit)
    world.published(case)
    site = world.case(case)["enterprise"]["id"]
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    body = {"ultra_low": {"publicised_on": None}}
    assert world.call(OFFICER, "PATCH", f"/enterprises/{site}", body, version=version).status_code == 200
    world.at("2024-09-13T10:00:00+08:00")
    assert world.case(case)["state"] == "published"
    told = _told(world, officer)
    assert [each["subject"][:6] for each in told] == ["【通过复核】", "【尚未认定】"]
    assert "公示" in told[-1]["text"]
    assert told[-1]["created_at"] == "2024-09-11T00:00:00+08:00"


@pytest.mark.parametrize("at", ["2024-12-20T23:59:00+08:00", "2024-12-21T00:02:00+08:00"])
def test_p6_a_refusal_that_the_lapse_overtakes_is_told_with_it_and_with_its_reason(world: World, at: str) -> None:
    case = _listed(world)
    world.accepted(case)
    world.at("2024-12-18")
    found = {"checked_on": "2024-12-18", "inspectors": ["孙处"], "result": "failed", "findings": ["台账不全"]}
    world.moved("province", case, "spot_check", found, reason="补办")
    world.at(at)
    world.moved("province", case, "reject", reason="深夜不予通过")
    world.at("2024-12-23T10:00:00+08:00")
    last = _told(world)[-1]
    assert last["subject"].startswith("【未获认定】")
    for said in ("未通过省级复核", "深夜不予通过", "台账不全"):
        assert said in last["text"]


def _removed(world: World, name: str) -> None:
    (gone,) = [each for each in world.call("admin", "GET", "/contacts").json()["items"] if each["name"] == name]
    assert world.call("admin", "DELETE", f"/contacts/{gone['id']}", version=gone["version"]).status_code == 200


def test_a_correction_of_what_somebody_heard_who_has_been_removed_goes_to_who_looks_after_the_case(
    world: World,
) -> None:
    jia = _officer(world, "jia")
    case = world.listed()
    world.rejected(case)
    heard = len(_told(world, jia))
    yi = _officer(world, "yi")
    _removed(world, "jia")
    world.moved("second of the province", case, "correct", reason="误录")
    assert (len(_told(world, jia)), "更正" in _subjects(world, yi)) == (heard, True)


def test_what_is_passed_on_is_not_told_to_who_has_it_already(world: World) -> None:
    jia, yi = _officer(world, "jia"), _officer(world, "yi")
    case = world.listed()
    world.accepted(case)
    world.at("2024-08-03T10:00:00+08:00")  # a Saturday
    world.check(case, "failed")
    _removed(world, "jia")
    world.at("2024-08-05T10:00:00+08:00")
    assert (_subjects(world, jia), _subjects(world, yi)) == ([], ["复核发现问题"])


def test_who_stands_in_two_duties_is_told_once(world: World) -> None:
    for duty in ("officer", "supervisor"):
        body = {"unit": ZHENGZHOU, "duty": duty, "name": "李工", "email": "li@example.org", "language": "zh"}
        assert world.call("admin", "POST", "/contacts", body).status_code == 201
    case = world.listed(officer="李工")
    world.checked(case, "failed")
    assert _subjects(world, "li@example.org") == ["复核发现问题"]


def test_who_is_listed_again_is_not_told_that_he_has_left_nor_twice(world: World) -> None:
    case = _listed(world)
    world.accepted(case)
    assert _subjects(world) == ["通过验收"]
    world.at("2024-07-20T10:00:00+08:00")  # a Saturday
    world.moved(OFFICER, case, "withdraw", reason="放弃")
    world.moved(OFFICER, case, "relist", reason="再次申请")
    world.at("2024-07-22T10:00:00+08:00")
    world.moved(OFFICER, case, "withdraw", reason="放弃")
    assert _subjects(world) == ["通过验收"]  # nothing was decided since it was listed again
