"""The ledger of sites: entered, found, amended, and never twice."""

from typing import Any

import pytest

from service.access import Act, Caller
from service.casework import ledger
from service.casework.desk import Desk
from service.errors import NotFound
from service.sample import credit_code
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"
CONTACT = {"name": "王联系", "phone": "0371-60001234", "email": "wang@example.com"}


def _site(number: int = 1, unit: str = ZHENGZHOU, **changes: Any) -> dict[str, Any]:
    code = credit_code(unit, number)
    return {
        "unit": unit, "name": f"甲级企业{number}", "credit_code": code, "permit_no": f"{code}001P", "county": "中牟县",
        "industry": "steel", "grade": "A", "contact": CONTACT, "ultra_low": {"due_on": "2024-12-31"}, **changes,
    }  # fmt: skip


def _enter(world: World, who: str = OFFICER, **changes: Any) -> dict[str, Any]:
    answer = world.call(who, "POST", "/enterprises", _site(**changes))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/enterprises/{answer.json()['id']}"
    assert answer.headers["etag"] == '"1"'
    made: dict[str, Any] = answer.json()
    return made


def test_a_site_that_is_entered_is_read_as_it_was_sent(world: World) -> None:
    made = _enter(world)
    read = world.call(OFFICER, "GET", f"/enterprises/{made['id']}").json()
    assert read == made
    ultra_low = {"due_on": "2024-12-31", "completed_on": None, "publicised_on": None}
    assert read == {**_site(), "id": made["id"], "ultra_low": ultra_low, "version": 1}


def test_sites_of_every_unit_are_entered_by_the_administrator_and_filtered(world: World) -> None:
    for number, unit, grade in ((1, ZHENGZHOU, "A"), (2, ZHENGZHOU, "B"), (3, KAIFENG, "A"), (4, KAIFENG, "ungraded")):
        _enter(world, "admin", number=number, unit=unit, grade=grade)

    def names(query: str) -> list[str]:
        items = world.call("province", "GET", f"/enterprises{query}").json()["items"]
        return [item["name"].removeprefix("甲级企业") for item in items]

    assert names("") == ["1", "2", "3", "4"]
    assert names("?grade=A") == ["1", "3"]
    assert names(f"?unit={KAIFENG}") == ["3", "4"]
    assert names(f"?unit={KAIFENG}&grade=A") == ["3"]
    assert names("?q=企业2") == ["2"]
    assert names(f"?q={credit_code(KAIFENG, 4)}") == ["4"]
    assert names("?q=%25") == []


def test_a_site_is_its_permit_number_else_its_credit_code(world: World) -> None:
    code = credit_code(ZHENGZHOU, 1)
    _enter(world)
    _enter(world, permit_no=f"{code}002Q")
    _enter(world, permit_no=None)
    for permit_no in (f"{code}001P", f"{code}002Q", None):
        again = world.call(OFFICER, "POST", "/enterprises", _site(permit_no=permit_no, name="另一名称"))
        assert (again.status_code, again.json()["code"]) == (409, "enterprise_exists")
    assert len(world.call(OFFICER, "GET", "/enterprises").json()["items"]) == 3


def test_an_amendment_changes_what_it_names_and_stands_in_the_audit(world: World) -> None:
    made = _enter(world)
    path = f"/enterprises/{made['id']}"
    patch = {"grade": "B", "county": None, "ultra_low": {"completed_on": "2024-05-01"}, "reason": "复核调整"}
    answer = world.call(OFFICER, "PATCH", path, patch, version=1)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    ultra_low = {"due_on": "2024-12-31", "completed_on": "2024-05-01", "publicised_on": None}
    assert answer.json() == {**made, "grade": "B", "county": None, "ultra_low": ultra_low, "version": 2}
    entry = world.call(OFFICER, "GET", f"/audit?subject={made['id']}").json()["items"][0]
    assert (entry["action"], entry["reason"], entry["version"]) == ("amend", "复核调整", 2)
    assert entry["changes"] == {"grade": "B", "county": None, "ultra_low_completed_on": "2024-05-01"}


def test_an_amendment_that_changes_nothing_leaves_no_entry(world: World) -> None:
    made = _enter(world)
    for patch in ({}, {"grade": "A"}, {"contact": CONTACT}, {"ultra_low": {}}):
        answer = world.call(OFFICER, "PATCH", f"/enterprises/{made['id']}", patch, version=1)
        assert (answer.status_code, answer.json()) == (200, made), patch
    assert len(world.call(OFFICER, "GET", f"/audit?subject={made['id']}").json()["items"]) == 1


def test_a_site_cannot_take_the_codes_of_another(world: World) -> None:
    one, other = _enter(world, number=1), _enter(world, number=2, permit_no=None)
    answer = world.call(
        OFFICER, "PATCH", f"/enterprises/{other['id']}",
        {"credit_code": one["credit_code"], "permit_no": one["permit_no"]}, version=1,
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (409, "enterprise_exists")


def test_a_site_is_not_moved_into_another_unit(world: World) -> None:
    made = _enter(world)
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{made['id']}", {"unit": KAIFENG}, version=1)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["unit"])
    officer = Caller("officer", "刘科", Role.UNIT, ZHENGZHOU)
    with pytest.raises(NotFound), world.running.db.transaction() as tx:
        ledger.amend_by_id(Desk(tx, world.running.books), Act(officer, world.now()), made["id"], 1, {"unit": KAIFENG})
    assert world.call(OFFICER, "GET", f"/enterprises/{made['id']}").json() == made


def test_a_case_finds_its_site_in_the_ledger_by_code_or_by_id(world: World) -> None:
    made = _enter(world, industry="foundry", grade="C")
    line = world.line()
    line["enterprise"] |= {"credit_code": made["credit_code"], "permit_no": made["permit_no"]}
    case = world.call(OFFICER, "POST", "/cases", line).json()
    assert case["enterprise"]["id"] == made["id"]
    assert case["enterprise"]["name"] == made["name"]
    by_id = world.call(OFFICER, "POST", "/cases", world.line(enterprise=made["id"], industry="glass"))
    assert by_id.json()["enterprise"]["id"] == made["id"]
    assert len(world.call(OFFICER, "GET", "/enterprises").json()["items"]) == 1


def test_a_recognition_writes_its_grade_into_the_ledger(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    world.published(case)
    assert world.call(OFFICER, "GET", f"/enterprises/{site}").json()["grade"] == "C"
    world.at("2024-09-11")
    assert world.call(OFFICER, "GET", f"/enterprises/{site}").json()["grade"] == "B"
    entry = world.call("auditor", "GET", f"/audit?subject={site}").json()["items"][0]
    assert (entry["action"], entry["actor"]["role"], entry["data"]) == ("grade", "system", {"case": case})


def test_a_lost_result_takes_back_only_the_grade_that_it_gave(world: World) -> None:
    case = world.listed()
    world.published(case)
    world.at("2024-09-12")
    site = world.case(case)["enterprise"]["id"]
    found = world.call(OFFICER, "GET", f"/enterprises/{site}").json()
    amended = world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"grade": "A"}, version=found["version"])
    assert (found["grade"], amended.json()["grade"]) == ("B", "A")
    data = {"violation": "弄虚作假", "decided_on": "2024-09-12", "document": "豫环〔2024〕1号"}
    world.moved("province", case, "disqualify", data)
    assert world.call(OFFICER, "GET", f"/enterprises/{site}").json()["grade"] == "A"


def test_t2_a_listing_says_the_grade_that_the_ledger_has_for_the_industry(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    body = {"grade": "B", "industry": "glass"}
    assert world.call(OFFICER, "PATCH", f"/enterprises/{site}", body, version=version).status_code == 200
    line = {**world.line(), "enterprise": site, "current_grade": "C", "target_grade": "B", "industry": "glass"}
    refused = world.call(OFFICER, "POST", "/cases", line)
    assert [(each["code"], each["clause"]) for each in refused.json()["errors"]] == [("grade_differs", "T2")]
    assert "“B”" in refused.json()["errors"][0]["detail"]
    assert world.call(OFFICER, "POST", "/cases", {**line, "current_grade": "B"}).status_code == 422  # nothing to aim at
    listed = world.call(OFFICER, "POST", "/cases", {**line, "current_grade": "B", "target_grade": "A"})
    assert listed.status_code == 201, listed.text
