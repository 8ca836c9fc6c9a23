"""Obligations as they are asked for: by whom, by when, why; those of objections and retrofits; built anew (三, 四（二）)."""

from typing import Any

import pytest

from notifications import outbox
from notifications.outbox import NewMessage
from service.casework import obligations, rebuilding
from service.casework.desk import Desk
from service.setup import migrate
from service.storage.tables import FilingRow, table
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER, SECOND, FOREIGNER = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}", f"officer {KAIFENG}"
PROVINCE = "410000"


def _search(world: World, query: str = "", who: str = OFFICER) -> list[dict[str, Any]]:
    answer = world.call(who, "GET", f"/obligations?limit=200{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def _one(world: World, obligation: str, who: str = "province") -> dict[str, Any]:
    answer = world.call(who, "GET", f"/obligations/{obligation}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _explained(world: World, obligation: str, who: str = "province", **more: Any) -> dict[str, Any]:
    answer = world.call(who, "GET", f"/obligations/{obligation}/explain", **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _object(world: World, case: str) -> str:
    notice = world.case(case)["notice"]["id"]
    body = {"case": case, "reasons": "夜间冒烟"}
    assert world.call(None, "POST", f"/public/notices/{notice}/objections", body).status_code == 201
    found: str = world.call("province", "GET", "/objections?limit=200").json()["items"][-1]["id"]
    return found


def _decide(world: World, objection: str, *, upheld: bool = False) -> None:
    body = {"upheld": upheld, "finding": "查证情况"}
    answer = world.call(SECOND, "POST", f"/objections/{objection}/decide", body, version=1)
    assert answer.status_code == 200, answer.text


# --- asked ------------------------------------------------------------------------------------------------------------


def test_what_is_owed_comes_due_first_and_page_by_page(world: World) -> None:
    world.planned(world.listed(officer="李包联"))
    whole = _search(world)
    assert [each["due_at"] for each in whole] == sorted(each["due_at"] for each in whole)
    seen, cursor = [], ""
    while cursor is not None:
        page = world.call(OFFICER, "GET", f"/obligations?limit=3{cursor}").json()
        seen += page["items"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    assert seen == whole
    tampered = world.call(OFFICER, "GET", "/obligations?kind=filing&cursor=abc")
    assert (tampered.status_code, tampered.json()["code"]) == (422, "cursor_refused")


def test_what_stays_owed_is_owed_since_it_began_and_what_is_owed_again_since_it_is(world: World) -> None:
    case = world.listed()
    world.planned(case)
    measure, stage = f"measure.{case}.1", f"stage.{case}.acceptance"
    world.at("2024-06-05")
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-05"})
    world.moved(OFFICER, case, "amend_plan", {"change": [{"number": 1, "due_on": "2024-10-15"}]}, reason="推迟")
    assert (_one(world, measure)["due_on"], _one(world, measure)["since"][:10]) == ("2024-10-15", "2024-06-03")
    assert _one(world, stage)["since"][:10] == "2024-05-20"
    world.moved(OFFICER, case, "withdraw", reason="停产")
    world.at("2024-06-07")
    world.moved(OFFICER, case, "relist", reason="复产")
    assert (_one(world, stage)["status"], _one(world, stage)["since"][:10]) == ("open", "2024-06-07")


def test_r2_an_obligation_says_who_owes_what_by_when_and_what_to_do(world: World) -> None:
    case = world.listed(officer="李包联")
    found = _one(world, f"stage.{case}.plan_stage", OFFICER)
    assert found["title"] == "完成预评估和“一企一策”提升方案"
    assert (found["owner"], found["subject"]) == (
        {"unit": ZHENGZHOU, "handler": "李包联"}, {"type": "case", "id": case},
    )  # fmt: skip
    assert (found["due_on"], found["due_at"], found["hard"]) == ("2024-06-15", "2024-06-16T00:00:00+08:00", False)
    assert (found["status"], found["rung"], found["provisional"], found["clause"]) == ("open", None, False, "P2")
    english = world.call(OFFICER, "GET", f"/obligations/stage.{case}.plan_stage", language="en").json()
    assert english["title"] == "pre-assessed and the plan filed"


def test_obligations_are_asked_by_each_of_their_marks(world: World) -> None:
    case = world.listed()
    other = world.listed(KAIFENG)
    assert {each["owner"]["unit"] for each in _search(world, who="province")} >= {ZHENGZHOU, KAIFENG}
    assert {each["subject"]["id"] for each in _search(world, f"&subject={case}")} == {case}
    assert _search(world, f"&subject={other}") == []
    assert {each["kind"] for each in _search(world, "&kind=filing")} == {"filing"}
    in_june = _search(world, "&due_from=2024-06-15&due_to=2024-06-30")
    assert {each["due_on"] for each in in_june} == {"2024-06-15", "2024-06-30"}
    assert _search(world, "&programme=henan-2023") == []
    assert _search(world, f"&unit={PROVINCE}") == []
    world.at("2024-06-17")
    overdue = _search(world, "&status=overdue")
    assert {each["due_on"] for each in overdue} == {"2024-05-31", "2024-06-15"}
    assert {each["status"] for each in overdue} == {"overdue"}
    assert not {each["id"] for each in overdue} & {each["id"] for each in _search(world, "&status=open")}
    assert world.call(OFFICER, "GET", "/obligations?status=late").status_code == 422
    assert world.call(OFFICER, "GET", "/obligations?due_from=2024-13-01").status_code == 422


def test_an_enterprise_sees_what_is_owed_about_it_and_no_more(world: World) -> None:
    case, other = world.listed(), world.listed()
    world.token("enterprise", Role.ENTERPRISE, enterprises=(world.case(case)["enterprise"]["id"],))
    assert {each["subject"]["id"] for each in _search(world, who="enterprise")} == {case}
    assert world.call("enterprise", "GET", f"/obligations/stage.{other}.acceptance").status_code == 404


# --- why --------------------------------------------------------------------------------------------------------------


def test_a_given_day_is_explained_by_how_it_is_read_and_by_its_rungs(world: World) -> None:
    case = world.listed()
    told = _explained(world, f"stage.{case}.plan_stage")
    assert (told["days"], told["working_days"]) == ([], None)
    assert "逢休息日不顺延，提醒提前到 2024-06-14 发出" in told["why"]
    assert any("6 月 15 日后报送方案的标记逾期" in each for each in told["readings"])
    assert [(each["rung"], each["at"]) for each in told["rungs"]] == [
        ("t-14", "2024-05-31T08:30:00+08:00"),
        ("t-7", "2024-06-07T08:30:00+08:00"),
        ("t-1", "2024-06-14T08:30:00+08:00"),
        ("due", "2024-06-14T08:30:00+08:00"),
    ]
    assert told["obligation"] == _one(world, f"stage.{case}.plan_stage")
    assert all(each["to"] == ["officer"] for each in told["rungs"])
    working = _explained(world, f"filing.henan-2024.{ZHENGZHOU}.list.2024", language="en")
    assert working["why"] == "a given day, to its end at 24:00"
    world.at("2024-06-18")
    assert _explained(world, f"stage.{case}.plan_stage")["rungs"][-1]["rung"] == "overdue"


def test_p6_the_day_of_a_decision_is_explained_by_its_walk_of_working_days(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    told = _explained(world, f"objection.{objection}", OFFICER)
    assert told["working_days"] == 10
    assert [day["number"] for day in told["days"] if day["counted"]] == list(range(1, 11))
    assert {"date": "2024-09-14", "kind": "make_up", "counted": True, "number": 9} in told["days"]
    assert told["days"][-1]["date"] == told["obligation"]["due_on"] == "2024-09-18"
    assert told["rungs"][0]["rung"] == "handed"


def test_what_was_sent_stands_with_its_rung_also_where_the_rung_has_moved(world: World) -> None:
    obligation = f"stage.{world.listed()}.plan_stage"
    with world.running.db.transaction() as tx:
        now = world.running.clock.now(tx)
        outbox.enqueue(tx, [NewMessage("m1", "digest:c1", "digest", "li@example.org", "李工", now)])
        for rung in ("t-7", "t-3"):
            row = {"obligation": obligation, "rung": rung, "recipient": "contact:c1", "message": "m1", "at": now}
            tx.execute(obligations.RUNGS.insert().values(**row))
    rungs = _explained(world, obligation)["rungs"]
    sent = {"recipient": "contact:c1", "message": "m1", "template": "digest", "status": "pending", "sent_at": None}
    assert {each["rung"]: each["sent"] for each in rungs} == {
        "t-3": [sent], "t-14": [], "t-7": [sent], "t-1": [], "due": [],
    }  # fmt: skip
    assert rungs[0]["at"] == "2024-05-20T09:00:00+08:00"


# --- what comes from elsewhere ----------------------------------------------------------------------------------------


def test_p6_an_objection_obliges_the_unit_to_decide_and_its_decision_meets_it(world: World) -> None:
    case = world.listed()
    world.published(case)
    objection = _object(world, case)
    owed = _one(world, f"objection.{objection}", OFFICER)
    assert (owed["owner"]["unit"], owed["due_on"], owed["status"]) == (ZHENGZHOU, "2024-09-18", "open")
    site = world.case(case)["enterprise"]["id"]
    world.token("enterprise", Role.ENTERPRISE, enterprises=(site,))
    assert world.call("enterprise", "GET", f"/obligations/objection.{objection}").status_code == 404
    _decide(world, objection)
    assert _one(world, f"objection.{objection}")["status"] == "met"


def test_p6_objections_decided_with_an_upheld_one_are_met_with_it_and_late_if_they_are(world: World) -> None:
    case = world.listed()
    world.published(case)
    one, other = _object(world, case), _object(world, case)
    world.at("2024-09-18T23:59:59+08:00")
    assert _one(world, f"objection.{one}")["status"] == "open"
    world.at("2024-09-19T00:00:00+08:00")
    assert _one(world, f"objection.{one}")["status"] == "overdue"
    _decide(world, one, upheld=True)
    assert {_one(world, f"objection.{each}")["status"] for each in (one, other)} == {"met_late"}


def _site(world: World, **more: Any) -> str:
    site = {**world.line()["enterprise"], "unit": ZHENGZHOU, "industry": "steel", "grade": "A", **more}
    answer = world.call(OFFICER, "POST", "/enterprises", site)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def _amend(world: World, site: str, change: Any) -> None:
    version = world.call(OFFICER, "GET", f"/enterprises/{site}").json()["version"]
    answer = world.call(OFFICER, "PATCH", f"/enterprises/{site}", change, version=version)
    assert answer.status_code == 200, answer.text


DUE = {"due_on": "2024-10-31"}


def test_w1_a_site_already_a_owes_its_retrofit_by_the_day_set_for_it_until_it_is_completed(world: World) -> None:
    site = _site(world, ultra_low=DUE)
    owed = _one(world, f"ultra_low.{site}", OFFICER)
    assert (owed["due_on"], owed["status"], owed["subject"]) == (
        "2024-10-31", "open", {"type": "enterprise", "id": site},
    )  # fmt: skip
    _amend(world, site, {"ultra_low": {"due_on": "2024-11-30"}})
    assert _one(world, f"ultra_low.{site}")["due_on"] == "2024-11-30"
    world.at("2024-10-08")
    _amend(world, site, {"ultra_low": {"completed_on": "2024-10-01"}})
    assert _one(world, f"ultra_low.{site}")["status"] == "met"
    _amend(world, site, {"ultra_low": {"completed_on": None}})
    assert _one(world, f"ultra_low.{site}")["status"] == "open"
    _amend(world, site, {"grade": "B"})
    assert _one(world, f"ultra_low.{site}")["status"] == "closed"


def test_w1_a_retrofit_that_is_entered_late_is_met_late(world: World) -> None:
    site = _site(world, ultra_low=DUE)
    world.at("2024-11-01T00:00:00+08:00")
    assert _one(world, f"ultra_low.{site}")["status"] == "overdue"
    _amend(world, site, {"ultra_low": {"completed_on": "2024-10-30"}})
    assert _one(world, f"ultra_low.{site}")["status"] == "met_late"


@pytest.mark.parametrize(
    "facts",
    [
        {"grade": "B", "ultra_low": DUE},
        {"industry": "foundry", "ultra_low": DUE},
        {"ultra_low": {**DUE, "completed_on": "2024-05-01"}},
        {},
    ],
)
def test_w1_no_other_site_owes_a_retrofit(world: World, facts: Any) -> None:
    site = _site(world, **facts)
    assert world.call("province", "GET", f"/obligations/ultra_low.{site}").status_code == 404


def test_w1_a_list_that_tells_of_the_completion_meets_it(world: World) -> None:
    site = _site(world, ultra_low=DUE, industry="coking", grade="A")
    line = world.line(industry="glass", enterprise=site, ultra_low={"completed_on": "2024-05-10"})
    assert world.call(OFFICER, "POST", "/cases", line).status_code == 201
    assert _one(world, f"ultra_low.{site}")["status"] == "met"


# --- built anew -------------------------------------------------------------------------------------------------------


# What the sweep makes of a row, and how often its day has moved, does not follow from the history.
_OF_THE_SWEEP = {"rung", "breached_at", "next_at", "trouble", "version", "head", "sequence"}


def _kept(world: World) -> dict[str, dict[str, Any]]:
    with world.running.db.reading() as tx:
        rows = [dict(row) for row in tx.execute(obligations.ROWS.select()).mappings()]
    return {
        row["id"]: {name: value for name, value in row.items() if name not in _OF_THE_SWEEP}
        for row in rows
        if row["kind"] != "answer"
    }


def _derived(world: World) -> dict[str, dict[str, Any]]:
    with world.running.db.reading() as tx:
        rows = list(rebuilding.derived(Desk(tx, world.running.books)))
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: {name: value for name, value in row.items() if name not in _OF_THE_SWEEP} for row in rows}


def test_rows_are_what_the_history_makes_after_any_walk(world: World) -> None:
    cases = [world.listed(officer="李包联") for _ in range(6)]
    site = _site(world, ultra_low=DUE)
    world.listed(KAIFENG)
    world.planned(cases[0])
    world.moved(OFFICER, cases[0], "return_plan", reason="补正")
    world.upgraded(cases[1])
    world.published(cases[2])
    world.published(cases[3])
    assert _kept(world) == _derived(world)
    _decide(world, _object(world, cases[2]), upheld=True)
    _object(world, cases[3])
    world.moved(OFFICER, cases[4], "withdraw", reason="停产")
    world.moved(SECOND, cases[4], "correct", reason="误操作")
    world.moved(OFFICER, cases[5], "withdraw", reason="停产")
    world.moved(OFFICER, cases[5], "relist", reason="复产")
    version = world.case(cases[0])["version"]
    assert world.call(OFFICER, "PATCH", f"/cases/{cases[0]}", {"officer": "赵包联"}, version=version).status_code == 200
    _amend(world, site, {"ultra_low": {"completed_on": "2024-09-01"}})
    for form in ("list", "plan"):
        path = f"/filings/henan-2024.{ZHENGZHOU}.{form}.2024"
        assert world.call(OFFICER, "POST", f"{path}/submit", {}, version=0).status_code == 200
    assert world.call("province", "POST", f"{path}/return", {"reason": "补正"}, version=1).status_code == 200
    assert _kept(world) == _derived(world)
    world.moved(OFFICER, cases[2], "resubmit", world.resubmission(cases[2]))
    world.at("2025-02-03")
    assert _kept(world) == _derived(world)


def test_a_database_from_before_obligations_gets_them_when_it_is_migrated(world: World) -> None:
    world.listed()
    world.moved(OFFICER, world.listed(), "withdraw", reason="停产")
    _site(world, ultra_low=DUE)
    before = _kept(world)
    with world.running.db.transaction() as tx:
        tx.execute(obligations.ROWS.delete())
        tx.execute(table(FilingRow).delete())
    migrate(world.settings)
    assert _kept(world) == before
    migrate(world.settings)
    assert _kept(world) == before
