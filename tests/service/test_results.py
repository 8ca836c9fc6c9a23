"""What an enterprise is told of its case: at once when somebody decides, with what is missing and until when."""

from typing import Any

from notifications.outbox import MESSAGES
from service import scheduler
from tests.service.world import ZHENGZHOU, World

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
    world.rejected(_listed(world))
    accepted, rejected = _told(world)
    assert accepted["subject"].startswith("【通过验收】")
    assert rejected["subject"].startswith("【未通过】")
    for said in ("台账不全", "在线监测数据缺失", "2024年12月20日（星期五）24:00 前", "逾期不再受理"):
        assert said in rejected["text"]


def test_w7_who_is_recognised_is_told_once(world: World) -> None:
    world.published(_listed(world))
    world.at("2024-09-12")
    world.at("2024-09-13")
    assert [each["subject"][:6] for each in _told(world)] == ["【通过验收】", "【等级认定】"]


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
