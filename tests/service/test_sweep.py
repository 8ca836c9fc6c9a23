"""The sweep: what it does when the rules refuse a turn that has come."""

from sqlalchemy import select

from service import scheduler
from service.storage.tables import CaseRow, table
from tests.service.test_programmes import publish
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role, packaged_sources

OFFICER = f"officer {ZHENGZHOU}"
_CASES = table(CaseRow)


def _published_without_its_retrofit(world: World) -> str:
    """A case for grade A in a notice, whose site loses the date of its retrofit meanwhile (W1)."""
    dates = {"completed_on": "2024-05-01", "publicised_on": "2024-05-02"}
    case = world.listed(industry="steel", current_grade="B", target_grade="A", ultra_low=dates)
    site = world.published(case)["enterprise"]["id"]
    _amend_retrofit(world, site, completed_on=None)
    return case


def _amend_retrofit(world: World, site: str, **dates: str | None) -> None:
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"ultra_low": dates}, version=version)
    assert answer.status_code == 200, answer.text


def _stalled(world: World, case: str) -> str | None:
    with world.running.db.reading() as tx:
        why: str | None = tx.execute(select(_CASES.c.stalled).where(_CASES.c.id == case)).scalar()
    return why


def test_a_refused_turn_is_noted_and_looked_at_again_after_six_hours(world: World) -> None:
    other = world.listed()
    case = _published_without_its_retrofit(world)
    world.published(other)
    before = world.case(case)
    world.at("2024-09-11T00:00:00+08:00")
    assert world.case(other)["state"] == "recognised"  # its neighbour's refusal is no matter to it
    assert "retrofit" in (_stalled(world, case) or "")
    assert world.case(case) == before | {"flags": [*before["flags"], "stalled"]}
    assert scheduler.tick(world.running) == 0
    _amend_retrofit(world, before["enterprise"]["id"], completed_on="2024-05-01")
    world.at("2024-09-11T05:59:59+08:00")
    assert world.case(case)["state"] == "published"
    world.at("2024-09-11T06:00:00+08:00")
    found = world.case(case)
    assert (found["state"], found["recognised_at"]) == ("recognised", "2024-09-11T06:00:00+08:00")
    assert _stalled(world, case) is None
    assert "stalled" not in found["flags"]
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_where_the_first_of_two_due_events_is_refused_the_second_has_its_turn(world: World) -> None:
    rejected = '  { from = ["rejected"], to = "lapsed"'
    published = (
        '  { from = ["published"], to = "lapsed", guards = [\n'
        '    { guard = "after", clause = "P6", given = { day = 2024-09-11 } },\n  ] },\n'
    )
    source = packaged_sources()["henan-2024"]
    assert rejected in source
    publish(world, source.replace("version = 1\n", "version = 2\n", 1).replace(rejected, published + rejected))
    recognised = world.listed()
    refused = _published_without_its_retrofit(world)
    world.published(recognised)
    world.at("2024-09-11")
    assert world.case(refused)["state"] == "published"
    world.at("2024-09-12")
    assert [world.case(case)["state"] for case in (refused, recognised)] == ["lapsed", "recognised"]
    assert world.case(refused)["entered_at"] == "2024-09-12T00:00:00+08:00"
    assert _stalled(world, refused) is None


def test_t2_a_process_that_was_down_over_the_end_of_the_year_takes_no_site_out_of_the_target(world: World) -> None:
    case = world.listed()
    world.checked(case)
    world.at("2024-12-19")
    world.moved(OFFICER, case, "publish")
    assert world.case(case)["notice"]["ends_on"] == "2024-12-26"
    world.passes_unseen("2025-01-03T10:00:00+08:00")
    scheduler.tick(world.running)
    found = world.case(case)
    assert (found["state"], found["recognised_at"]) == ("recognised", "2024-12-27T00:00:00+08:00")
    (entry,) = world.call("auditor", "GET", f"/audit?subject={case}&limit=1").json()["items"]
    assert (entry["action"], entry["at"]) == ("recognise", "2025-01-03T10:00:00+08:00")  # as of when it was written
    units = world.call("province", "GET", "/board?programme=henan-2024").json()["units"]
    (unit,) = (unit for unit in units if unit["code"] == found["unit"])
    assert (unit["counted"], unit["counted_after"]) == (1, 0)
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_p6_where_an_objection_was_decided_after_the_notice_recognition_counts_from_there(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    body = {"case": case, "reasons": "夜间异味", "contact": {"name": "周某", "phone": "0371-60000001"}}
    lodged = world.call(None, "POST", f"/public/notices/{notice}/objections", body)
    assert lodged.status_code == 201, lodged.text
    world.at("2024-09-12T09:00:00+08:00")
    assert world.case(case)["state"] == "published"
    (objection,) = world.call("province", "GET", "/objections?state=open").json()["items"]
    world.token("another of the province", Role.PROVINCE)
    path = f"/objections/{objection['id']}/decide"
    dismissed = world.call("another of the province", "POST", path, {"upheld": False, "finding": "查无实据"}, version=1)
    assert dismissed.status_code == 200, dismissed.text
    world.passes_unseen("2024-09-20T10:00:00+08:00")
    scheduler.tick(world.running)
    assert world.case(case)["recognised_at"] == "2024-09-12T09:00:00+08:00"


def test_a_case_whose_facts_cannot_be_read_is_noted_and_stops_no_other(world: World) -> None:
    bad, good = world.listed(), world.listed()
    for case in (bad, good):
        world.published(case)
    with world.running.db.transaction() as tx:
        tx.execute(_CASES.update().where(_CASES.c.id == bad).values(facts="no JSON"))
    world.at("2024-09-12")
    assert world.case(good)["state"] == "recognised"
    assert "cannot be read" in (_stalled(world, bad) or "")
