"""What happens at once: refusals under one key, many lists for one site, clocks that differ."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from service.access import SYSTEM, Act, Caller
from service.casework import answers, audit, cases, ledger, moves, verification
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"


def test_a_refusal_whose_key_was_answered_meanwhile_is_told_as_that_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = world.line()
    assert world.call(OFFICER, "POST", "/cases", line).status_code == 201
    keep, lost = answers.keep, []

    def late(*given: Any) -> None:
        if not lost:  # another has kept its refusal under the same key between our look and our writing
            lost.append(True)
            raise IntegrityError("", {}, Exception("one answer per key"))
        keep(*given)

    monkeypatch.setattr(answers, "keep", late)
    told = world.call(OFFICER, "POST", "/cases", line, key="twice")
    assert (told.status_code, told.json()["code"], len(lost)) == (409, "case_exists", 1)
    assert world.call(OFFICER, "POST", "/cases", line, key="twice").headers["idempotent-replayed"] == "true"


def test_the_same_refusal_wanted_many_times_at_once_is_one_answer(world: World) -> None:
    line = world.line()
    assert world.call(OFFICER, "POST", "/cases", line).status_code == 201
    together = Barrier(6)

    def ask(_: int) -> Any:
        together.wait()
        return world.call(OFFICER, "POST", "/cases", line, key="at-once")

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(ask, range(6)))
    assert {(each.status_code, each.content) for each in told} == {(409, told[0].content)}


def test_many_lists_for_one_site_that_each_amend_it_all_succeed(world: World) -> None:
    first = world.line(industry="foundry")
    assert world.call(OFFICER, "POST", "/cases", first).status_code == 201
    industries = ["steel", "cement", "coking", "glass", "refractory", "lime_kiln"]
    together = Barrier(len(industries))

    def list_it(numbered: tuple[int, str]) -> int:
        number, industry = numbered
        dates = {"completed_on": f"2024-04-{number + 1:02}", "publicised_on": f"2024-05-{number + 1:02}"}
        line = {**first, "industry": industry, "ultra_low": dates}
        together.wait()
        return int(world.call(OFFICER, "POST", "/cases", line).status_code)

    with ThreadPoolExecutor(len(industries)) as pool:
        statuses = list(pool.map(list_it, enumerate(industries)))
    assert statuses == [201] * len(industries)
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


def test_no_entry_is_earlier_than_the_one_before_it(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    early = world.now() - timedelta(hours=1)
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        act = Act(Caller("x", "早到", Role.UNIT, unit=ZHENGZHOU), early)
        cases.amend(desk, act, case, 1, {"remark": "补正"})
        command = Command(act, case, "withdraw", {}, frozenset({2}), "放弃")
        (outcome,) = moves.apply_events(desk, [command])
        assert isinstance(outcome, Applied), outcome
        ledger.amend_by_id(desk, act, site, 1, {"county": "中牟县"})
    with world.running.db.reading() as tx:
        for kind, thing in (("case", case), ("enterprise", site)):
            assert [row["at"] for row in audit.history(tx, kind, thing)][1:] != []
            assert {row["at"] for row in audit.history(tx, kind, thing)} == {world.now()}
        assert verification.verify(tx, SYSTEM)[1] == []


def test_a_chain_in_which_time_goes_back_is_reported(world: World) -> None:
    case = world.listed()
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        stands = moves.read_many(tx, [case])[case]
        act = Act(Caller("x", "早到", Role.UNIT, unit=ZHENGZHOU), world.now() - timedelta(seconds=1))
        changed = replace(stands.case, remark="补正")
        entry, after = moves.next_entry(desk, act, stands, changed, "amend", {"remark": "补正"}, None)
        moves.write_rows(tx, [after], [entry], after.owes)
    broken = world.call("auditor", "GET", "/audit/verify").json()["broken"]
    assert [(each["subject"]["id"], each["version"], each["what"]) for each in broken] == [(case, 2, "time goes back")]


def test_a_correction_in_one_batch_with_what_it_corrects_undoes_that(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    assessment = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "未封闭"}}
    version = world.moved(OFFICER, case, "pre_assess", assessment)["version"]
    measure = {"title": "更换布袋", "kind": "equipment_renewal", "due_on": "2024-09-30"}
    plan = {"measures": [measure], "investment_10k_cny": 1, "start_on": "2024-06-10", "finish_on": "2024-09-30"}
    with world.running.db.transaction() as tx:
        desk, now = Desk(tx, world.running.books), world.now()
        first, second = (Act(Caller(name, name, Role.UNIT, unit=ZHENGZHOU), now) for name in ("一", "二"))
        outcomes = moves.apply_events(
            desk,
            [
                Command(first, case, "file_plan", plan, frozenset({version})),
                Command(second, case, "correct", {}, frozenset({version + 1}), "填错"),
            ],
        )
    assert all(isinstance(outcome, Applied) for outcome in outcomes), outcomes
    assert world.case(case)["state"] == "pre_assessed"
    history = world.call("auditor", "GET", f"/cases/{case}/history").json()["items"]
    assert history[-1]["data"]["corrects"] == version + 1
