"""What mails say of what they are about, to whoever reads them: what was asked, whose it is, and who has to act."""

from typing import Any

import pytest

from service import scheduler
from tests.service.test_reminders import contact, letter, mails, when
from tests.service.world import KAIFENG, ZHENGZHOU, World

OFFICER = f"officer {ZHENGZHOU}"
HANDLER, SUPERVISOR = f"handler{ZHENGZHOU}@example.org", f"supervisor{ZHENGZHOU}@example.org"
ASKED = "除尘设备补助何时到位？\n需要哪些材料？"


@pytest.fixture
def staffed(world: World) -> World:
    """The world with people in a unit, and somebody in the province who reads English."""
    for duty in ("officer", "handler", "supervisor"):
        contact(world, ZHENGZHOU, duty)
    contact(world, "410000", "officer", name="Smith", email="smith@example.org", language="en")
    return world


def ask(world: World, case: str | None = None, **more: Any) -> str:
    """The id of a request, received now."""
    body = {"case": case or world.listed(reason="补列"), "kind": "funding", "text": ASKED, **more}
    answer = world.call(OFFICER, "POST", "/requests", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def told(world: World) -> None:
    """What can be told now is told."""
    scheduler.tick(world.running)
    scheduler.deliver(world.running)


# --- what was asked ---------------------------------------------------------------------------------------------------


def test_w5_a_mail_of_several_requests_says_what_each_of_them_asks_for(staffed: World) -> None:
    ask(staffed)
    ask(staffed, kind="technical", text="二" * 119 + "三" + "四" * 9)
    told(staffed)
    (row,) = mails(staffed, HANDLER)
    assert row["template"] == "digest"
    for said in (
        "类别：资金\n内容：\n> 除尘设备补助何时到位？ 需要哪些材料？\n",
        "类别：技术\n内容：\n> " + "二" * 119 + "…\n",
    ):
        assert said in row["text"]
    assert "除尘设备补助何时到位？ 需要哪些材料？" in row["html"]


def test_w5_a_mail_of_several_breaches_says_what_was_asked_in_the_language_of_its_reader(staffed: World) -> None:
    ask(staffed)
    ask(staffed, text="第二项")
    staffed.at("2024-05-28T00:00:00+08:00")
    chinese, english = mails(staffed, SUPERVISOR)[-1], mails(staffed, "smith@example.org")[-1]
    assert (chinese["template"], english["template"]) == ("digest", "digest")
    assert "类别：资金\n内容：\n> 除尘设备" in chinese["text"]
    assert "Kind: funding\nRequest:\n> 除尘设备" in english["text"]
    assert "> 第二项" in english["text"]


def test_w5_whoever_hears_of_a_request_only_late_reads_the_whole_of_what_was_asked(staffed: World) -> None:
    staffed.at("2024-05-24")  # after three of its five days
    ask(staffed, received_at="2024-05-20T10:00:00+08:00")
    told(staffed)
    staffed.at("2024-05-27T12:00:00+08:00")
    first, last = mails(staffed, HANDLER)
    for row in (first, last):
        assert row["template"] == "reminder"
        assert "类别：资金\n内容：\n> 除尘设备补助何时到位？\n> 需要哪些材料？\n" in row["text"]
        assert "除尘设备补助何时到位？<br>需要哪些材料？" in row["html"]


def test_what_is_no_request_quotes_none(staffed: World) -> None:
    staffed.at("2024-06-01")
    filings = [row for row in mails(staffed) if "报备" in (row["text"] or "")]
    assert filings
    assert all("内容：" not in row["text"] and "Request:" not in row["text"] for row in filings)


# --- whose it is ------------------------------------------------------------------------------------------------------


def _dates(world: World, row: dict[str, Any]) -> str:
    """The calendar file of a mail, unfolded."""
    (dates,) = (part for part in letter(world, row).iter_attachments() if part.get_content_type() == "text/calendar")
    return str(dates.get_content()).replace("\r\n", "\n").replace("\n ", "")


def test_a_date_names_the_enterprise_that_it_is_about_in_the_readers_calendar(staffed: World) -> None:
    case = staffed.listed()
    ask(staffed, case)
    told(staffed)
    (row,) = mails(staffed, HANDLER)
    name = staffed.case(case)["enterprise"]["name"]
    assert f"SUMMARY:答复企业需求 · {name}（铸造）\n" in _dates(staffed, row)


def test_a_date_that_is_about_nobody_is_called_what_it_is(staffed: World) -> None:
    staffed.at("2024-05-24T12:00:00+08:00")
    (row,) = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    (summary,) = (line for line in _dates(staffed, row).splitlines() if line.startswith("SUMMARY"))
    assert "·" not in summary


# --- what was answered ------------------------------------------------------------------------------------------------

BOSS = "boss@example.org"


def asked_by_mail(world: World, **more: Any) -> tuple[str, str]:
    """The ids of a request, and of the site that asked, which has an address."""
    line = world.line()
    line["enterprise"]["contact"]["email"] = BOSS
    case = world.call(OFFICER, "POST", "/cases", {**line, "reason": "补列"}).json()
    return ask(world, case["id"], **more), case["enterprise"]["id"]


def answered(world: World, request: str, text: str = "材料齐全后次月拨付。\n清单见市局网站。") -> bool:
    """Answer a request; whether that was late."""
    version = world.call(OFFICER, "GET", f"/requests/{request}").json()["version"]
    answer = world.call(OFFICER, "POST", f"/requests/{request}/answer", {"text": text}, version=version)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["late"])


def test_w5_the_enterprise_reads_what_it_asked_what_was_answered_by_whom_and_when(staffed: World) -> None:
    request, _ = asked_by_mail(staffed)
    staffed.at("2024-05-22")
    assert not answered(staffed, request)
    told(staffed)
    staffed.at("2024-05-29")
    (row,) = mails(staffed, BOSS)
    for said in (
        "类别：资金\n内容：\n> 除尘设备补助何时到位？\n> 需要哪些材料？\n", "答复：\n> 材料齐全后次月拨付。\n> 清单见市局网站。\n",
        "答复单位：郑州市\n答复日期：2024年5月22日（星期三）\n", f"/api/v1/requests/{request}\n",
    ):  # fmt: skip
        assert said in row["text"]


def test_w5_that_an_answer_was_late_is_not_said_to_the_enterprise_and_it_leaves_in_office_hours(
    staffed: World,
) -> None:
    request, _ = asked_by_mail(staffed)
    staffed.at("2024-06-07T20:00:00+08:00")  # a Friday; Monday is a day off
    assert answered(staffed, request)
    told(staffed)
    assert mails(staffed, BOSS) == []
    staffed.at("2024-06-12")
    (row,) = mails(staffed, BOSS)
    assert when(row) == "2024-06-11 08:30"
    assert "2024年6月7日" in row["text"]
    assert "逾期" not in row["subject"] + row["text"]


def test_w5_an_answer_goes_to_the_address_that_the_site_has_when_it_leaves(staffed: World) -> None:
    request, site = asked_by_mail(staffed)
    staffed.at("2024-05-22T20:00:00+08:00")
    answered(staffed, request)
    version = staffed.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    new = {"contact": {"name": "新联系", "phone": "0371-60001235", "email": "new@example.org"}}
    changed = staffed.call(OFFICER, "PATCH", f"/enterprises/{site}", new, version=version)
    assert changed.status_code == 200, changed.text
    staffed.at("2024-05-23")
    (row,) = mails(staffed, "new@example.org")
    assert (row["template"], row["recipient_name"]) == ("request_answered", "新联系")
    assert mails(staffed, BOSS) == []


def test_w5_officers_see_beside_the_rungs_of_a_request_that_its_answer_was_mailed(staffed: World) -> None:
    request, _ = asked_by_mail(staffed)
    answered(staffed, request)
    told(staffed)
    query = f"/messages?template=request_answered&obligation=answer.{request}"
    (message,) = staffed.call(OFFICER, "GET", query).json()["items"]
    assert (message["recipient"], message["status"]) == (BOSS, "sent")
    last = staffed.call(OFFICER, "GET", f"/requests/{request}").json()["rungs"][-1]
    assert (last["rung"], [each["message"] for each in last["sent"]]) == ("answered", [message["id"]])
    assert staffed.call(f"officer {KAIFENG}", "GET", query).json()["items"] == []


def test_w5_a_site_without_an_address_is_not_written_to(staffed: World) -> None:
    answered(staffed, ask(staffed))
    told(staffed)
    assert staffed.call("province", "GET", "/messages?template=request_answered").json()["items"] == []


# --- who has to act ---------------------------------------------------------------------------------------------------


def test_whoever_reads_of_what_another_owes_reads_who_has_to_do_it(staffed: World) -> None:
    contact(staffed, "410000", "officer")
    ask(staffed)
    staffed.at("2024-05-28T00:00:00+08:00")
    own, province, english = (
        mails(staffed, to)[-1] for to in (SUPERVISOR, "officer410000@example.org", "smith@example.org")
    )
    assert "下一步：办理后登记答复\n" in own["text"]
    assert "下一步：由郑州市负责：办理后登记答复\n" in province["text"]
    assert "Next: to be done by Zhengzhou: see to it and enter the answer\n" in english["text"]


def test_r2_a_mail_of_several_things_says_for_each_who_has_to_do_it(staffed: World) -> None:
    staffed.at("2024-06-05T12:00:00+08:00")  # three working days after the lists were due
    row = mails(staffed, "smith@example.org")[-1]
    assert row["template"] == "digest"
    for unit in ("Zhengzhou", "Kaifeng"):
        assert f"Next: to be done by {unit}: check what the unit has entered" in row["text"]
    (own, *_) = reversed(mails(staffed, SUPERVISOR))
    assert "负责：" not in own["text"]
