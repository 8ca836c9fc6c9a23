"""The order of locks (DECISIONS 28): whoever waits for the first thing holds none of the later ones; on PostgreSQL."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from notifications import outbox, unsent
from service.access import Act, Caller
from service.casework import filings, moves, publishing, requests, revisions
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.casework.obligations import ROWS as OBLIGATIONS
from service.storage.tables import CaseRow, Enterprise, Notice, table
from tests.service.test_revisions import OFF_AGAIN
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role, packaged_sources

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
OFFICER = f"officer {ZHENGZHOU}"
_CASES, _SITES, _NOTICES = table(CaseRow), table(Enterprise), table(Notice)
_PATIENCE = 20.0


def _waits(
    world: World, act: Callable[[], object], before: Callable[[Any], object], meanwhile: Callable[[Any], object]
) -> None:
    """After `before`, which is not committed, `act` begins and waits; `meanwhile` is done, and when all is committed `act` too."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            act()
        except BaseException as fault:  # noqa: BLE001 told in the test's thread
            failed.append(fault)

    thread = threading.Thread(target=work)
    with world.running.db.transaction() as tx:
        before(tx)
        thread.start()
        until = time.monotonic() + _PATIENCE
        while not tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
            assert time.monotonic() < until, failed or "nobody waits"
            time.sleep(0.01)
        meanwhile(tx)
    thread.join(_PATIENCE)
    assert failed == []
    assert not thread.is_alive()


def _waits_in_order(world: World, rows: Any, ids: list[str], act: Callable[[], object]) -> None:
    """While somebody holds the first of these rows, `act` waits for it and holds none of the others; then it is done."""
    first, *others = sorted(ids)

    def others_are_free(tx: Any) -> None:
        for other in others:
            tx.execute(select(rows.c.id).where(rows.c.id == other).with_for_update(nowait=True))

    held = select(rows.c.id).where(rows.c.id == first).with_for_update()
    _waits(world, act, lambda tx: tx.execute(held), others_are_free)


def _taken(world: World, who: str, cases: list[str], event: str, data: Any, reason: str | None = None) -> None:
    items = [
        {"case": case, "event": event, "version": world.case(case)["version"], "data": data, "reason": reason}
        for case in cases
    ]
    answer = world.call(who, "POST", "/cases/events", {"items": items})
    assert [each["ok"] for each in answer.json()["results"]] == [True] * len(cases), answer.text


def test_a_version_that_moves_cases_takes_all_of_them_from_the_first(world: World) -> None:
    first, last = world.listed(), world.listed()
    world.planned(first)  # what this one owes moves not, what the other owes does
    source = packaged_sources()["henan-2024"].replace("version = 1\n", "version = 2\n", 1)
    source = source.replace("due_on = 2024-06-15", "due_on = 2024-06-29")

    def publish() -> None:
        with world.running.db.transaction() as tx:
            act = Act(Caller("command", "command:root", Role.ADMIN), world.running.clock.now(tx))
            links = world.running.post.links
            publishing.publish(Desk(tx, world.running.books), act, links, source, "推迟", move_cases=True)

    _waits_in_order(world, _CASES, [first, last], publish)
    assert {world.case(case)["programme_version"] for case in (first, last)} == {2}


def test_a_batch_that_leaves_two_notices_takes_them_from_the_first(world: World) -> None:
    cases = [world.listed(), world.listed()]
    for case in cases:
        world.published(case)
    notices = {world.case(case)["notice"]["id"]: case for case in cases}
    in_turn = [notices[id_] for id_ in sorted(notices, reverse=True)]
    data = {"violation": "弄虚作假", "decided_on": f"{world.now():%Y-%m-%d}", "document": "豫环〔2024〕1号"}
    _waits_in_order(world, _NOTICES, list(notices), lambda: _taken(world, "province", in_turn, "disqualify", data))


def test_a_batch_that_gives_grades_takes_sites_from_the_first(world: World) -> None:
    cases = [world.listed(), world.listed()]
    for case in cases:
        world.published(case)
    world.at("2024-09-20")
    sites = {world.case(case)["enterprise"]["id"]: case for case in cases}
    in_turn = [sites[id_] for id_ in sorted(sites, reverse=True)]
    data = {"violation": "弄虚作假", "decided_on": f"{world.now():%Y-%m-%d}", "document": "豫环〔2024〕1号"}
    _waits_in_order(world, _SITES, list(sites), lambda: _taken(world, "province", in_turn, "disqualify", data))


def test_a_decision_that_takes_other_objections_along_takes_what_they_owe_from_the_first(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    for reasons in ("夜间冒烟", "台账不实"):
        body = {"case": case, "reasons": reasons}
        assert world.call(None, "POST", f"/public/notices/{notice}/objections", body).status_code == 201
    objections = sorted(each["id"] for each in world.call("province", "GET", "/objections").json()["items"])

    def decide() -> None:
        path, body = f"/objections/{objections[-1]}/decide", {"upheld": True, "finding": "属实"}
        answer = world.call(f"second officer {ZHENGZHOU}", "POST", path, body, version=1)
        assert answer.status_code == 200, answer.text

    _waits_in_order(world, OBLIGATIONS, [f"objection.{each}" for each in objections], decide)
    states = {each["state"] for each in world.call("province", "GET", "/objections").json()["items"]}
    assert states == {"upheld"}


def test_a_decision_that_a_sender_claims_while_it_is_taken_back_is_corrected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = world.line()
    line["enterprise"]["contact"]["email"] = "boss@example.org"
    case = world.call(OFFICER, "POST", "/cases", line).json()["id"]
    world.accepted(case)
    cancel, claimed = unsent.cancel, []

    def too_late(tx: Any, ids: Any) -> frozenset[str]:
        with world.running.db.transaction() as sender:
            claimed.extend(outbox.claim(sender, world.now(), "sender", 100))
        return cancel(tx, ids)

    monkeypatch.setattr(unsent, "cancel", too_late)
    world.moved(f"second officer {ZHENGZHOU}", case, "correct", reason="误录")
    monkeypatch.undo()
    assert len(claimed) == 1
    waiting = world.call(OFFICER, "GET", "/messages?template=result&status=pending").json()["items"]
    assert len(waiting) == 2  # what is being sent, and its correction


def _after_another(world: World, first: Callable[[Any], object], then: Callable[[], object]) -> None:
    """`then` begins while what `first` has done is not committed, and waits for it."""
    _waits(world, then, first, lambda tx: None)


def _load_a_year(world: World) -> None:
    with world.running.db.transaction() as tx:
        by = Act(Caller("command", "command:root", Role.ADMIN), world.running.clock.now(tx))
        assert revisions.load_year(Desk(tx, world.running.books), by, world.running.post.links, OFF_AGAIN, "改休")


def test_w5_what_is_asked_while_a_year_is_loaded_has_the_days_of_that_year(world: World) -> None:
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    case = world.listed(reason="补列")
    asked: list[str] = []

    def ask(tx: Any) -> None:
        by = Act(Caller("u", "李工", Role.UNIT, unit=ZHENGZHOU), world.running.clock.now(tx))
        row = requests.enter(Desk(tx, world.running.books), by, requests.NewRequest("funding", "融资", case=case))
        asked.append(row["id"])

    _after_another(world, ask, lambda: _load_a_year(world))
    assert world.call(OFFICER, "GET", f"/requests/{asked[0]}").json()["due_on"] == "2024-10-14"


def test_p6_what_is_published_while_a_year_is_loaded_runs_the_days_of_that_year(world: World) -> None:
    case = world.listed()
    world.checked(case)
    world.passes_unseen("2024-10-08T09:00:00+08:00")
    version = world.case(case)["version"]

    def publish(tx: Any) -> None:
        by = Act(Caller("u", "李工", Role.UNIT, unit=ZHENGZHOU), world.running.clock.now(tx))
        command = Command(by, case, "publish", {}, frozenset({version}))
        (done,) = moves.apply_events(Desk(tx, world.running.books), [command])
        assert isinstance(done, Applied)

    _after_another(world, publish, lambda: _load_a_year(world))
    due = world.call("province", "GET", "/calendar/due?start=2024-10-08&working_days=5").json()["due_on"]
    assert world.case(case)["notice"]["ends_on"] == due == "2024-10-15"


def test_p4_nobody_corrects_an_acceptance_while_it_is_handed_in(world: World) -> None:
    case = world.listed()
    world.accepted(case)
    version, filing = world.case(case)["version"], f"henan-2024.{ZHENGZHOU}.accepted.2024-07"

    def hand_in(tx: Any) -> None:
        by = Act(Caller("u1", "李工", Role.UNIT, unit=ZHENGZHOU), world.running.clock.now(tx))
        filings.submit(Desk(tx, world.running.books), by, filing, 0)

    def correct() -> None:
        body = {"event": "correct", "data": {}, "reason": "误录"}
        answer = world.call(f"second officer {ZHENGZHOU}", "POST", f"/cases/{case}/events", body, version=version)
        assert [each["code"] for each in answer.json()["errors"]] == ["rested_on"]

    _after_another(world, hand_in, correct)
    (row,) = world.call(OFFICER, "GET", f"/filings/{filing}").json()["rows"]
    assert (row["case"], world.case(case)["state"]) == (case, "accepted")


def test_what_may_be_done_is_read_while_somebody_hands_in(world: World) -> None:
    case = world.listed()
    world.accepted(case)
    with world.running.db.transaction() as tx:
        filings.hold(tx, "henan-2024", ZHENGZHOU)
        assert world.call(OFFICER, "GET", f"/cases/{case}/offers").status_code == 200
