"""The board: targets, states, obligations and rank of the province and its units (一, 四（二）)."""

from typing import Any

from sqlalchemy import event

from service.casework import board
from service.casework.desk import Desk
from service.storage.tables import Request, table
from tests.service.world import KAIFENG, ZHENGZHOU, World

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"


def _board(world: World, who: str = OFFICER) -> dict[str, Any]:
    answer = world.call(who, "GET", "/board?programme=henan-2024")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _units(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["code"]: each for each in found["units"]}


def test_r2_everybody_in_the_administration_sees_all_units_with_their_targets(world: World) -> None:
    found = _board(world)
    assert found == _board(world, "auditor")
    assert len(found["units"]) == 19
    assert (found["province"]["code"], found["province"]["target"], found["province"]["rank"]) == ("410000", 600, None)
    assert sum(each["target"] for each in found["units"]) == 630
    assert {each["rank"] for each in found["units"]} == {1}  # nobody is behind yet
    assert _units(found)[ZHENGZHOU]["obligations"] == {"met": 0, "late": 0, "nil": 0, "open": 13, "overdue": 0}
    assert world.call(OFFICER, "GET", "/board?programme=nothing").status_code == 404
    assert world.call(OFFICER, "GET", "/board").status_code == 422


def test_t2_t3_sites_are_counted_once_and_only_in_grades_that_the_target_counts(world: World) -> None:
    world.published(world.listed())
    site = world.line()["enterprise"]
    one = world.listed(enterprise=site, reason="补录")
    two = world.listed(enterprise=site, industry="glass", reason="补录")
    for case in (one, two):
        world.published(case)
    world.published(world.listed(KAIFENG, target_grade="B-", reason="补录"), FOREIGNER)
    assert _units(_board(world))[ZHENGZHOU]["by_state"] == {"published": 3}
    world.at("2024-09-20")
    found = _board(world)
    zhengzhou, kaifeng = (_units(found)[unit] for unit in (ZHENGZHOU, KAIFENG))
    assert (zhengzhou["counted"], zhengzhou["counted_after"], zhengzhou["by_state"]) == (2, 0, {"recognised": 3})
    assert (kaifeng["counted"], found["province"]["counted"]) == (1, 2)  # the province does not count B-
    assert found["province"]["by_state"] == {"recognised": 4}
    assert (zhengzhou["share"], kaifeng["share"]) == (round(2 / 60, 4), 0.05)
    assert (kaifeng["rank"], zhengzhou["rank"]) == (1, 2)
    assert {each["rank"] for each in found["units"]} == {1, 2, 3}


def test_t2_what_is_recognised_after_the_day_stands_beside_the_figure(world: World) -> None:
    case = world.listed()
    world.checked(case)
    world.at("2024-12-30")
    world.moved(OFFICER, case, "publish")
    world.at("2025-01-10")
    found = _units(_board(world))[ZHENGZHOU]
    assert (found["counted"], found["counted_after"]) == (0, 1)


def test_r2_who_met_more_in_time_ranks_higher_where_targets_are_reached_alike(world: World) -> None:
    for unit, officer in ((ZHENGZHOU, OFFICER), (KAIFENG, FOREIGNER)):
        if unit == KAIFENG:
            world.at("2024-06-02")  # too late for the first
        filing = f"henan-2024.{unit}.list.2024"
        assert world.call(officer, "POST", f"/filings/{filing}/submit", {}, version=0).status_code == 200
    found = _board(world)
    units = _units(found)
    assert units[ZHENGZHOU]["obligations"] == {"met": 0, "late": 0, "nil": 1, "open": 12, "overdue": 0}
    assert units[KAIFENG]["obligations"] == {"met": 0, "late": 1, "nil": 0, "open": 12, "overdue": 0}
    assert (units[ZHENGZHOU]["rank"], units[KAIFENG]["rank"], units["410300"]["rank"]) == (1, 2, 2)
    assert (units[ZHENGZHOU]["in_time"], units[KAIFENG]["in_time"]) == (1, 0)
    assert found["province"]["obligations"]["overdue"] == 17  # of all its units; of its own, none
    assert found["province"]["own_obligations"]["overdue"] == 0
    assert units[KAIFENG]["own_obligations"] is None


def test_requests_are_counted_by_how_they_stand(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    rows = table(Request)
    with world.running.db.transaction() as tx:
        now = world.running.clock.now(tx)
        due = now.replace(day=19)
        for number, (state, late, due_at) in enumerate(
            [
                ("open", None, due.replace(day=30)),
                ("open", None, due),
                ("answered", True, due),
                ("answered", False, due),
            ]
        ):
            tx.execute(
                rows.insert().values(
                    id=f"r{number}", programme="henan-2024", programme_version=1, unit=ZHENGZHOU, case_id=case,
                    enterprise=site, kind="policy", text="政策咨询", state=state, received_at=now, opened_at=now, due_on=due_at.date(),
                    due_at=due_at, provisional=False, late=late, version=1, head="0" * 64,
                )
            )  # fmt: skip
    found = _board(world)
    assert _units(found)[ZHENGZHOU]["requests"] == {"open": 1, "overdue": 1, "answered_late": 1}
    assert found["province"]["requests"] == {"open": 1, "overdue": 1, "answered_late": 1}


def test_the_board_asks_a_fixed_number_of_statements(world: World) -> None:
    seen: list[str] = []

    def note(*said: Any) -> None:
        seen.append(said[2])

    def count() -> int:
        seen.clear()
        with world.running.db.reading() as tx:
            desk = Desk(tx, world.running.books)
            programme, now = desk.lifecycle("henan-2024").programme, world.running.clock.now(tx)
            event.listen(tx, "before_cursor_execute", note)
            board.draw_up(desk, programme, now)
        return len(seen)

    before = count()
    for _ in range(3):
        world.listed()
    world.listed(KAIFENG)
    assert count() == before <= 10
