"""Filings: opened with the plan, frozen when handed in, sent back with a reason; what they oblige to (三)."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import event, select

from service.access import SYSTEM, Act, Caller
from service.casework import audit, filings, programmes, verification
from service.casework.desk import Desk
from service.storage.tables import FilingRow, table
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role, packaged_sources

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"
LIST = f"henan-2024.{ZHENGZHOU}.list.2024"


def _submit(world: World, filing: str = LIST, body: Any = None, who: str = OFFICER, **more: Any) -> Any:
    more.setdefault("version", _read(world, filing)["version"])
    return world.call(who, "POST", f"/filings/{filing}/submit", body or {}, **more)


def _return(world: World, filing: str = LIST, reason: str | None = "名称有误", **more: Any) -> Any:
    more.setdefault("version", _read(world, filing)["version"])
    body = {} if reason is None else {"reason": reason}
    return world.call("province", "POST", f"/filings/{filing}/return", body, **more)


def _read(world: World, filing: str = LIST, who: str = "province") -> dict[str, Any]:
    answer = world.call(who, "GET", f"/filings/{filing}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _owed(world: World, filing: str = LIST) -> dict[str, Any]:
    answer = world.call("province", "GET", f"/obligations/filing.{filing}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _all_owed(world: World, filing: str = LIST) -> list[dict[str, Any]]:
    """What the unit owes, or owed, of one filing: by its date, then each time that it was sent back."""
    items: list[dict[str, Any]] = world.call("province", "GET", f"/obligations?subject={filing}").json()["items"]
    return items


@pytest.mark.parametrize("form, reads", [("list.2024", 0), ("tracking.2024-06", 0), ("accepted.2024-10", 1)])
def test_only_a_form_in_batches_reads_what_was_handed_in_before(shared_world: World, form: str, reads: int) -> None:
    told: list[str] = []
    with shared_world.running.db.reading() as tx:
        row = filings.read(tx, SYSTEM, f"henan-2024.{ZHENGZHOU}.{form}")
        event.listen(tx, "before_cursor_execute", lambda *said: told.append(said[2]))
        assert filings.drawn_up(Desk(tx, shared_world.running.books), row) == []
    assert len([statement for statement in told if "FROM filings" in statement]) == reads


def test_every_unit_owes_every_filing_of_the_plan_from_its_publication(world: World) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = world.call("province", "GET", f"/filings?limit=100{cursor}").json()
        seen += page["items"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    assert len(seen) == len({each["id"] for each in seen}) == 19 * 13
    assert {(each["status"], each["version"], each["late"]) for each in seen} == {("open", 0, None)}
    assert [each["due_on"] for each in seen] == sorted(each["due_on"] for each in seen)
    own = world.call(OFFICER, "GET", "/filings?limit=200").json()["items"]
    assert {each["unit"] for each in own} == {ZHENGZHOU}
    assert [each["period"] for each in own if each["form"] == "accepted"] == ["2024-07", "2024-10", "2024-11"]
    assert all(each["signed"] == (each["form"] == "accepted") for each in own)
    (only,) = world.call("auditor", "GET", f"/filings?unit={KAIFENG}&form=list&status=open").json()["items"]
    assert (only["due_on"], only["due_at"]) == ("2024-05-31", "2024-06-01T00:00:00+08:00")
    assert _owed(world)["status"] == "open"


def test_opening_again_changes_nothing_and_a_closed_programme_asks_for_nothing(world: World) -> None:
    rows = table(FilingRow)
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        programme = desk.lifecycle("henan-2024").programme
        before = tx.execute(select(rows)).all()
        filings.open_all(desk, programme, world.now())
        assert tx.execute(select(rows)).all() == before
        tx.execute(rows.delete())
        filings.open_all(desk, programme, world.now() + timedelta(days=300))
        assert tx.execute(select(rows)).all() == []


def test_what_is_handed_in_is_frozen_with_who_and_when(world: World) -> None:
    first = world.case(world.listed())["enterprise"]["name"]
    world.listed(KAIFENG)
    assert _read(world)["draft"] == 1
    answer = _submit(world)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"'), answer.text
    world.listed()
    filed = _read(world)
    assert [row["name"] for row in filed["rows"]] == [first]
    assert (filed["status"], filed["version"], filed["late"], filed["draft"]) == ("submitted", 1, False, None)
    assert (filed["submitted_by"], filed["submitted_at"]) == (OFFICER, "2024-05-20T09:00:00+08:00")
    owed = _owed(world)
    assert (owed["status"], owed["ended_at"]) == ("met", "2024-05-20T09:00:00+08:00")
    assert [each["status"] for each in world.call(OFFICER, "GET", "/filings?form=list").json()["items"]] == [
        "submitted"
    ]


def test_persons_to_reach_stand_in_the_rows_and_neither_in_the_audit_nor_in_a_kept_answer(world: World) -> None:
    world.listed()
    answer = _submit(world, key="one")
    again = _submit(world, key="one", version=0)
    (row,) = _read(world)["rows"]
    assert (row["contact_name"], row["contact_phone"], row["contact_email"]) == ("王联系", "0371-60001234", None)
    entries = world.call("auditor", "GET", f"/audit?subject={LIST}").text
    for text in (answer.text, again.text, entries):
        assert "王联系" not in text
        assert "60001234" not in text
    (entry,) = json.loads(entries)["items"]
    assert (entry["action"], entry["unit"], entry["changes"]["rows"]) == ("submit", ZHENGZHOU, 1)
    told = [{name: value for name, value in row.items() if not name.startswith("contact_")}]
    assert entry["changes"]["rows_hash"] == sha256(audit.canonical(told).encode()).hexdigest()
    assert again.headers["idempotent-replayed"] == "true"


def test_a_filing_without_rows_is_nil_by_itself(world: World) -> None:
    assert _submit(world).json()["status"] == "nil"
    assert _owed(world)["status"] == "nil"
    plan = f"henan-2024.{ZHENGZHOU}.plan.2024"
    assert _submit(world, plan, {"nil": True}).json()["status"] == "nil"


def test_a_filing_with_rows_is_not_nil(world: World) -> None:
    world.listed()
    refused = _submit(world, body={"nil": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_nil")
    assert _read(world)["status"] == "open"


def test_p1_a_filing_is_in_time_to_the_end_of_its_day_and_late_after_it(world: World) -> None:
    world.listed()
    other = f"henan-2024.{KAIFENG}.list.2024"
    world.at("2024-05-31T23:59:59+08:00")
    assert _submit(world).json()["late"] is False
    world.at("2024-06-01T00:00:00+08:00")
    assert _owed(world, other)["status"] == "overdue"
    late = _submit(world, other, who=FOREIGNER).json()
    assert (late["status"], late["late"]) == ("nil", True)
    assert (_owed(world)["status"], _owed(world, other)["status"]) == ("met", "met_late")


def test_handed_in_again_it_is_the_next_version_and_the_first_receipt_decides(world: World) -> None:
    world.listed()
    _submit(world)
    world.listed()
    world.at("2024-05-30")
    again = _submit(world).json()
    assert (again["version"], len(again["rows"]), again["late"]) == (2, 2, False)
    assert (again["first_submitted_at"], again["submitted_at"]) == (
        "2024-05-20T09:00:00+08:00", "2024-05-30T09:00:00+08:00",
    )  # fmt: skip
    assert _owed(world)["status"] == "met"
    entries = world.call("auditor", "GET", f"/audit?subject={LIST}").json()["items"]
    assert [len(entry["data"]["rows"]) for entry in entries] == [2, 1]  # what was handed in before can still be read
    assert _submit(world, version=1).status_code == 412


def test_what_was_handed_in_stands_once_its_day_has_passed_unless_it_is_sent_back(world: World) -> None:
    world.listed()
    _submit(world)
    world.listed()
    world.at("2024-06-01T00:00:00+08:00")
    refused = _submit(world)
    assert (refused.status_code, refused.json()["code"]) == (409, "filing_frozen")
    assert _return(world).status_code == 200
    assert len(_submit(world, version=2).json()["rows"]) == 2


def test_nothing_is_filed_for_a_period_that_has_not_begun(world: World) -> None:
    early = _submit(world, f"henan-2024.{ZHENGZHOU}.tracking.2024-11", {"nil": True})
    assert (early.status_code, early.json()["code"]) == (409, "period_not_begun")


def test_a_nil_handed_in_early_does_not_keep_the_day_of_what_came_later(world: World) -> None:
    assert _submit(world).json()["status"] == "nil"
    world.listed()
    world.at("2024-06-05")
    real = _submit(world).json()
    assert (real["status"], real["late"], real["first_submitted_at"]) == (
        "submitted",
        True,
        "2024-06-05T09:00:00+08:00",
    )
    assert _owed(world)["status"] == "met_late"


def test_a_nil_that_was_sent_back_does_not_keep_the_day_of_what_came_later(world: World) -> None:
    assert _submit(world).json()["status"] == "nil"
    world.listed()
    world.at("2024-06-05")
    assert _return(world, version=1).status_code == 200
    real = _submit(world, version=2).json()
    assert (real["status"], real["late"], real["first_submitted_at"][:10]) == ("submitted", True, "2024-06-05")
    assert _owed(world)["status"] == "met_late"


def test_p2_the_plans_are_not_nil_while_a_case_owes_its_own(world: World) -> None:
    plan = f"henan-2024.{ZHENGZHOU}.plan.2024"
    case = world.listed()
    refused = _submit(world, plan, {"nil": True})
    assert (refused.status_code, refused.json()["code"], refused.json()["cases"]) == (409, "plans_owed", [case])
    world.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    assert _submit(world, plan, {"nil": True}).json()["status"] == "nil"


def test_a_month_is_not_nil_while_a_case_owes_its_report(world: World) -> None:
    case = world.listed()
    world.planned(case)
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})
    world.at("2024-06-28")
    tracking = f"henan-2024.{ZHENGZHOU}.tracking.2024-06"
    for body in ({}, {"nil": True}):
        refused = _submit(world, tracking, body)
        assert (refused.status_code, refused.json()["code"], refused.json()["cases"]) == (409, "reports_owed", [case])


def test_r2_what_was_sent_back_is_owed_anew_with_a_term_of_its_own_and_the_first_receipt_stands(world: World) -> None:
    world.listed()
    _submit(world)
    world.at("2024-06-03")
    sent_back = _return(world)
    assert sent_back.status_code == 200, sent_back.text
    filed = _read(world)
    assert (filed["status"], filed["return_reason"], filed["draft"], filed["late"]) == (
        "returned",
        "名称有误",
        1,
        False,
    )
    first, anew = _all_owed(world)
    assert (first["status"], first["ended_at"]) == ("met", "2024-05-20T09:00:00+08:00")
    assert (anew["status"], anew["due_on"], anew["title"][:4]) == ("open", "2024-06-11", "退回补正")  # 10 June is off
    world.at("2024-06-12")
    assert [each["status"] for each in _all_owed(world)] == ["met", "overdue"]
    again = _submit(world).json()
    assert (again["status"], again["version"], again["return_reason"]) == ("submitted", 3, None)
    assert [each["status"] for each in _all_owed(world)] == ["met", "met_late"]
    actions = [each["action"] for each in world.call("auditor", "GET", f"/audit?subject={LIST}").json()["items"]]
    assert actions == ["submit", "return", "submit"]


def test_what_came_late_stays_late_when_it_is_sent_back(world: World) -> None:
    world.at("2024-06-03")
    _submit(world)
    assert _return(world).status_code == 200
    assert [each["status"] for each in _all_owed(world)] == ["met_late", "open"]


def test_only_what_was_handed_in_is_sent_back_and_only_with_a_reason(world: World) -> None:
    refused = _return(world)
    assert (refused.status_code, refused.json()["code"]) == (409, "filing_not_submitted")
    _submit(world)
    unreasoned = _return(world, reason=None)
    assert (unreasoned.status_code, unreasoned.json()["errors"][0]["field"]) == (422, "reason")
    assert _return(world).status_code == 200
    assert _return(world).json()["code"] == "filing_not_submitted"


def test_p4_who_is_accepted_when_the_batch_of_that_day_has_been_handed_in_stands_in_the_next_one(world: World) -> None:
    first, second = (f"henan-2024.{ZHENGZHOU}.accepted.2024-{month}" for month in ("07", "10"))
    one, other = world.listed(), world.listed()
    world.accepted(one)
    world.at("2024-07-31")
    assert _submit(world, first).json()["status"] == "submitted"
    world.accepted(other)
    world.at("2024-10-08")
    assert _submit(world, first).json()["code"] == "filing_frozen"
    assert [row["case"] for row in _read(world, first)["rows"]] == [one]
    handed_in = _submit(world, second).json()
    assert [row["case"] for row in handed_in["rows"]] == [other]
    # Sent back, the first one does not tell again what the second one has told.
    assert _return(world, first).status_code == 200
    assert [row["case"] for row in _submit(world, first).json()["rows"]] == [one]


def test_p4_who_is_accepted_anew_on_the_day_of_the_review_that_was_told_stands_in_the_next_batch(world: World) -> None:
    first, second, supplement = (f"henan-2024.{ZHENGZHOU}.accepted.2024-{month}" for month in ("07", "10", "11"))
    case = world.listed()
    world.upgraded(case)
    assert _submit(world, first).json()["status"] == "nil"
    world.at("2024-10-08")
    review = {"reviewed_on": "2024-10-08", "reviewers": ["钱工"], "conclusion": "同意通过"}
    world.moved(OFFICER, case, "accept", review)
    (told,) = _submit(world, second).json()["rows"]
    assert (told["case"], told["accepted_at"]) == (case, "2024-10-08T09:00:00+08:00")
    world.at("2024-10-08T15:00:00+08:00")
    world.check(case, "rectify")
    measure = {"title": "补装在线监测", "kind": "equipment_renewal", "due_on": "2024-10-08"}
    world.moved("province", case, "order_rectification", {"review_on": "2024-10-08", "measures": [measure]})
    assert _read(world, supplement)["draft"] == 0
    report = {
        "month": "2024-10", "assessed_on": "2024-10-08", "assessors": ["吴工"], "done": [2],
        "progress": {"equipment_renewal": 100}, "delayed": False, "conclusion": "已完成",
    }  # fmt: skip
    world.moved(OFFICER, case, "report_progress", report)
    world.moved(OFFICER, case, "accept", review)
    world.at("2024-11-04")
    (anew,) = _submit(world, supplement).json()["rows"]
    assert (anew["case"], anew["accepted_at"]) == (case, "2024-10-08T15:00:00+08:00")


def test_a_document_that_there_is_not_is_refused(world: World) -> None:
    refused = _submit(world, body={"documents": ["0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11"]})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown_document")
    assert refused.json()["errors"][0]["field"] == "documents[0]"
    assert _submit(world, body={"documents": []}).json()["documents"] == []


@pytest.mark.parametrize("body", [{"documents": "x"}, {"nil": "yes"}, {"rows": []}, {"documents": [""]}])
def test_a_malformed_submission_is_refused(world: World, body: Any) -> None:
    assert _submit(world, body=body).status_code == 422


def test_a_filing_that_was_changed_behind_the_service_is_found(world: World) -> None:
    world.listed()
    _submit(world)
    rows = table(FilingRow)
    with world.running.db.transaction() as tx:
        assert verification.verify(tx, SYSTEM)[1] == []
        tx.execute(rows.update().where(rows.c.id == LIST).values(rows="[]"))
        (broken,) = verification.verify(tx, SYSTEM)[1]
        assert (broken.subject_id, broken.what) == (LIST, "not what its history says")


def test_a_new_version_of_a_programme_opens_what_it_adds(world: World) -> None:
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        act = Act(SYSTEM, world.now())
        text = packaged_sources()["henan-2024"].replace("version = 1", "version = 2", 1)
        added = '  { form = "emergency_list", period = "2025", due = "close" },\n]'
        head, _, tail = text.partition('  { form = "emergency_list", period = "2024", due = "emergency_list" },\n]')
        text = f'{head}  {{ form = "emergency_list", period = "2024", due = "emergency_list" }},\n{added}{tail}'
        assert programmes.publish(tx, act, text)
        filings.open_all(desk, desk.books.programmes.get(tx, "henan-2024").programme, act.at)
    found = world.call(OFFICER, "GET", "/filings?form=emergency_list").json()["items"]
    assert [each["period"] for each in found] == ["2024", "2025"]


def test_an_event_that_a_filing_rests_on_is_not_corrected(world: World) -> None:
    case = world.listed()
    world.planned(case)
    filing = f"henan-2024.{ZHENGZHOU}.plan.2024"
    version = world.call(OFFICER, "GET", f"/filings/{filing}").json()["version"]
    filed = world.call(OFFICER, "POST", f"/filings/{filing}/submit", {}, version=version)
    assert (filed.status_code, filed.json()["status"]) == (200, "submitted")
    assert world.refused(f"second officer {ZHENGZHOU}", case, "correct", reason="填错") == {"rested_on"}


def test_r2_a_filing_that_was_sent_back_early_is_explained_by_the_plans_own_day(world: World) -> None:
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    world.listed()
    assert _submit(world, filing).status_code == 200
    assert _return(world, filing).status_code == 200
    (owed,) = world.call(OFFICER, "GET", f"/obligations?subject={filing}&status=open").json()["items"]
    told = world.call(OFFICER, "GET", f"/obligations/{owed['id']}/explain").json()
    assert (owed["due_on"], told["days"][-1]["date"]) == ("2024-05-31", "2024-05-27")
    assert "2024-05-27" in told["why"]
    assert "以原定期限 2024-05-31" in told["why"]


def test_p4_what_rests_on_an_acceptance_is_what_was_written_after_it_and_not_what_arrived_after_it(
    world: World,
) -> None:
    case = world.listed()
    world.accepted(case)
    filing = f"henan-2024.{ZHENGZHOU}.accepted.2024-07"
    with world.running.db.transaction() as tx:  # it arrived before the acceptance, and was written after it
        by = Act(Caller("u", "李工", Role.UNIT, unit=ZHENGZHOU), world.now() - timedelta(seconds=1))
        filings.submit(Desk(tx, world.running.books), by, filing, 0)
    assert world.refused(f"second officer {ZHENGZHOU}", case, "correct", reason="填错") == {"rested_on"}
