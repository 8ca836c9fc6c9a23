"""Programmes in the running service: another province's by its own names, and versions that are never edited."""

from pathlib import Path
from typing import Any

import pytest

from service.access import SYSTEM, Act
from service.casework import programmes
from service.sample import credit_code
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role, packaged_sources

SECOND = (Path(__file__).parent.parent / "workflows" / "data" / "second.toml").read_text(encoding="utf-8")
JINAN = "370100"


def publish(world: World, source: str) -> None:
    """Load a programme into the running service."""
    with world.running.db.transaction() as tx:
        programmes.publish(tx, Act(SYSTEM, world.running.clock.now(tx)), source)


@pytest.fixture
def second(world: World) -> World:
    """The service with the other province's programme, in its season."""
    publish(world, SECOND)
    world.token("jinan", Role.UNIT, unit=JINAN)
    world.at("2025-03-03")
    return world


def enrolled(world: World, **changes: Any) -> dict[str, Any]:
    """A case listed in the other province."""
    code = credit_code(JINAN, 1)
    line = {
        "programme": "shandong-2025", "unit": JINAN, "industry": "glass", "current_grade": "A", "target_grade": "A+",
        "applied_on": "2025-03-01",
        "enterprise": {"name": "济南示例玻璃有限公司", "credit_code": code, "contact": {"name": "王", "phone": "0531-1234567"}},
        **changes,
    }  # fmt: skip
    answer = world.call("jinan", "POST", "/cases", line)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_another_provinces_programme_is_walked_by_its_own_names_roles_grades_and_spans(second: World) -> None:
    world = second
    case = enrolled(world)["id"]
    site = world.case(case)["enterprise"]["id"]
    world.token("expert", Role.EXPERT, cases=(case,))
    world.token("works", Role.ENTERPRISE, enterprises=(site,))
    assessment = {"assessed_on": "2025-03-03", "assessors": ["周教授"], "gaps": {"emission": "超标"}}
    assert world.event("jinan", case, "diagnose", assessment).status_code == 403
    world.moved("expert", case, "diagnose", assessment)
    measure = {"title": "升级脱硝", "kind": "upgrade", "due_on": "2025-06-30"}
    plan = {"measures": [measure], "investment_10k_cny": 10, "start_on": "2025-03-10", "finish_on": "2025-06-30"}
    assert world.moved("works", case, "file_plan", plan)["state"] == "upgrading"
    world.at("2025-06-10")
    report = {
        "month": "2025-06", "assessed_on": "2025-06-10", "assessors": ["吴工"], "done": [1], "progress": {"upgrade": 100},
        "delayed": False, "conclusion": "完成",
    }  # fmt: skip
    world.moved("works", case, "report_progress", report)
    review = {"reviewed_on": "2025-06-10", "reviewers": ["钱工"], "conclusion": "同意", "grade": "A+"}
    assert world.event("jinan", case, "approve", review).status_code == 403
    assert world.moved("province", case, "approve", review)["grade_reached"] == "A+"
    check = {"checked_on": "2025-06-10", "inspectors": ["孙处"], "result": "passed"}
    world.moved("province", case, "inspect", check)
    assert world.event("jinan", case, "publish").status_code == 403
    published = world.moved("province", case, "publish")
    assert published["notice"]["ends_on"] == "2025-06-19"  # 7 working days after Tuesday 2025-06-10
    world.at("2025-06-19T23:59:00+08:00")
    assert world.case(case)["state"] == "published"
    world.at("2025-06-20T00:00:00+08:00")
    assert world.case(case)["state"] == "recognised"
    (result,) = world.call(None, "GET", "/public/results?programme=shandong-2025").json()["items"]
    assert (result["grade"], result["unit"]) == ("A+", JINAN)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"unit": ZHENGZHOU}, "unit"), ({"industry": "foundry"}, "industry"), ({"target_grade": "B-"}, "target_grade")],
)
def test_what_one_programme_knows_another_does_not(second: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(AssertionError, match=field):
        enrolled(second, **changes)


def test_its_own_window_and_hard_date_hold(second: World) -> None:
    case = enrolled(second)["id"]
    second.at("2025-11-21T00:00:00+08:00")
    review = {"reviewed_on": "2025-11-20", "reviewers": ["钱工"], "conclusion": "同意"}
    assert "too_late" in second.refused("province", case, "approve", review, reason="补办")


def test_a_case_keeps_the_version_under_which_it_was_listed(world: World) -> None:
    old = world.listed()
    publish(
        world,
        packaged_sources()["henan-2024"]
        .replace("version = 1\n", "version = 2\n", 1)
        .replace("notice = { working_days = 5", "notice = { working_days = 7"),
    )
    new = world.listed()
    assert (world.case(old)["programme_version"], world.case(new)["programme_version"]) == (1, 2)
    assert world.published(old)["notice"]["ends_on"] == "2024-09-10"
    world.checked(new)
    assert world.moved(f"officer {ZHENGZHOU}", new, "publish")["notice"]["ends_on"] == "2024-09-12"
    assert world.call("auditor", "GET", "/programmes/henan-2024").json()["version"] == 2
    assert world.call("auditor", "GET", "/programmes/henan-2024?version=1").json()["version"] == 1
    assert world.call("auditor", "GET", "/audit/verify").json()["broken"] == []


def test_a_published_version_is_never_edited(world: World) -> None:
    changed = packaged_sources()["henan-2024"].replace("sites = 600", "sites = 601", 1)
    with pytest.raises(ValueError, match="new version"):
        publish(world, changed)


def test_the_programme_is_told_in_both_languages_and_drawn_from_the_machine(world: World) -> None:
    zh = world.call("auditor", "GET", "/programmes/henan-2024").json()
    en = world.call("auditor", "GET", "/programmes/henan-2024", language="en").json()
    assert (zh["units"][0]["name"], en["units"][0]["name"]) == ("郑州市", "Zhengzhou")
    assert (len(zh["units"]), zh["province"]["target"], len(zh["industries"])) == (19, 600, 13)
    accept = next(event for event in zh["events"] if event["name"] == "accept")
    assert accept["window"] == {"from": "2024-07-15", "to": "2024-11-30", "hard_after": "2024-12-20"}
    assert "reviewers" in accept["data_schema"]["properties"]
    diagram = world.call("auditor", "GET", "/programmes/henan-2024/diagram")
    assert diagram.headers["content-type"].startswith("text/plain")
    assert "rejected --> resubmitted" in diagram.text
    listed = next(state["name"] for state in zh["states"] if state["id"] == "listed")
    assert f'state "{listed}" as listed' in diagram.text
