"""What an enterprise is told of its case: at once when somebody decides, with what is missing and until when."""

from typing import Any

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


def _told(world: World) -> list[dict[str, Any]]:
    """What the enterprise was told of decisions, oldest first."""
    scheduler.deliver(world.running)
    lines = world.call(OFFICER, "GET", f"/messages?recipient={ADDRESS}&template=result").json()["items"]
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
