"""The calendar and the plan change in mid-season: what moves, who is told, and what stays as it was; on both engines."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from notifications.outbox import MESSAGES
from service.access import SYSTEM, Act, Caller
from service.casework import publishing, rebuilding, rescheduling, revisions, verification
from service.casework.desk import Desk
from service.casework.obligations import ROWS, RUNGS
from service.casework.publishing import Publication
from service.casework.revisions import Revision
from service.cli import main
from tests.service.conftest import CLOCK
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.derive import derive
from workflows.programme import Role, packaged_sources
from workflows.working_days import Calendar, CalendarYear, NamedDay, packaged_years, read_year

OFFICER, SECOND = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}"
REASON = "国办通知有变"
PLAN = packaged_sources()["henan-2024"].replace("version = 1\n", "version = 2\n", 1)
SECOND_PLAN = (Path(__file__).parent.parent / "workflows" / "data" / "second.toml").read_text(encoding="utf-8")
# Two dates of the plan, a fortnight later.
LATER = PLAN.replace("due_on = 2024-06-15", "due_on = 2024-06-29")


def year_with(year: int, **days: bool) -> CalendarYear:
    """A packaged year with days that are off (True) or worked (False) otherwise: `d1012=True`."""
    known = next(each for each in packaged_years() if each.year == year)
    changed = {date(year, int(name[1:3]), int(name[3:])): is_off for name, is_off in days.items()}
    kept = [day for day in known.days if day.on not in changed]
    named = [NamedDay(on, "国庆节", is_off) for on, is_off in changed.items()]
    return CalendarYear(year, known.papers, tuple(sorted((*kept, *named), key=lambda day: day.on)))


OFF_AGAIN = year_with(2024, d1012=True)
YEAR_2027 = read_year(
    {
        "year": 2027,
        "papers": ["https://example.org/2027"],
        "days": [{"name": "元旦", "date": "2027-01-01", "isOffDay": True}],
    }
)


@pytest.fixture
def staffed(world: World) -> World:
    """The world with an officer, a supervisor and a handler in two units, and the province's officer."""
    for unit, duties in (
        (ZHENGZHOU, ("officer", "supervisor", "handler")),
        (KAIFENG, ("officer",)),
        ("410000", ("officer",)),
    ):
        for duty in duties:
            name = f"{duty}{unit}"
            body = {"unit": unit, "duty": duty, "name": name, "email": f"{name}@example.org", "language": "zh"}
            assert world.call("admin", "POST", "/contacts", body).status_code == 201
    return world


def ask(world: World, **more: Any) -> str:
    """The id of a request received now."""
    body = {"case": world.listed(reason="补列"), "kind": "funding", "text": "补助何时到位？", **more}
    answer = world.call(OFFICER, "POST", "/requests", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def request(world: World, id_: str) -> dict[str, Any]:
    """A request as the province sees it."""
    found: dict[str, Any] = world.call("province", "GET", f"/requests/{id_}").json()
    return found


def answer(world: World, id_: str) -> dict[str, Any]:
    """The request, answered now."""
    answered = world.call(
        OFFICER, "POST", f"/requests/{id_}/answer", {"text": "已办"}, version=request(world, id_)["version"]
    )
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


def obligation(world: World, id_: str) -> dict[str, Any]:
    """The row of an obligation."""
    with world.running.db.reading() as tx:
        return dict(tx.execute(select(ROWS).where(ROWS.c.id == id_)).mappings().one())


def history(world: World, subject: str) -> list[dict[str, Any]]:
    """The entries of a thing, oldest first."""
    items = world.call("auditor", "GET", f"/audit?subject={subject}&limit=200").json()["items"]
    return list(reversed(items))


def corrections(world: World) -> dict[str, list[str]]:
    """The corrections in the outbox: by recipient, what the days were and are."""
    statement = select(MESSAGES).where(MESSAGES.c.template == "correction").order_by(MESSAGES.c.id)
    with world.running.db.reading() as tx:
        found: dict[str, list[str]] = {}
        for row in tx.execute(statement).mappings():
            moved = json.loads(row["context"])["moved"]
            found.setdefault(row["recipient"].split("@")[0], []).extend(
                f"{each['was_on']} -> {each['due_on']}" for each in moved
            )
        return found


def told(world: World) -> int:
    """How many messages there are."""
    with world.running.db.reading() as tx:
        return int(tx.execute(select(func.count()).select_from(MESSAGES)).scalar_one())


def everything(world: World) -> Any:
    """All that a preview must leave as it is."""
    with world.running.db.reading() as tx:
        return (
            tx.execute(select(ROWS).order_by(ROWS.c.id)).all(),
            tx.execute(select(RUNGS).order_by(RUNGS.c.obligation, RUNGS.c.rung, RUNGS.c.recipient)).all(),
            tx.execute(select(MESSAGES.c.id).order_by(MESSAGES.c.id)).all(),
            verification.verify(tx, SYSTEM),
        )


def is_whole(world: World) -> None:
    """The audit verifies, and what is owed is what the history makes."""
    with world.running.db.reading() as tx:
        assert verification.verify(tx, SYSTEM)[1] == []
        derived = {row["id"]: row for row in rebuilding.derived(Desk(tx, world.running.books))}
        kept = {row["id"]: dict(row) for row in tx.execute(select(ROWS).where(ROWS.c.kind != "answer")).mappings()}
    names = ("programme_version", "due_on", "due_at", "provisional", "since", "title", "handler")
    assert {id_: [row[name] for name in names] for id_, row in derived.items()} == {
        id_: [row[name] for name in names] for id_, row in kept.items()
    }
    assert {id_: row["status"] for id_, row in derived.items() if kept[id_]["breached_at"] is None} == {
        id_: row["status"] for id_, row in kept.items() if row["breached_at"] is None
    }


def act(world: World, tx: Any) -> Act:
    """An act of the administrator, now."""
    return Act(Caller("command", "command:root", Role.ADMIN), world.running.clock.now(tx))


def load(world: World, year: CalendarYear) -> tuple[Revision, list[str]] | None:
    """Load a year; what it did, in lines too. The preview before changes nothing and says the same."""
    before = everything(world)
    with world.running.db.reading() as tx:
        now = world.running.clock.now(tx)
        seen = revisions.of_calendar(Desk(tx, world.running.books), year, now)
    assert everything(world) == before
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        done = revisions.load_year(desk, act(world, tx), world.running.post.links, year, REASON)
    if done is None:
        return None
    lines = list(rescheduling.lines(done.moved, done.corrections, now))
    assert lines == list(rescheduling.lines(seen.moved, seen.corrections, now))
    is_whole(world)
    return done, lines


def publish(world: World, source: str, *, move_cases: bool = False) -> tuple[Publication, list[str]]:
    """Publish a version; what it did, in lines too. The preview before changes nothing and says the same."""
    before = everything(world)
    with world.running.db.reading() as tx:
        now = world.running.clock.now(tx)
        desk = Desk(tx, world.running.books)
        programme = publishing.read(desk, source)
        assert programme is not None
        seen = list(publishing.lines(publishing.of_programme(desk, programme, now, move_cases=move_cases), now))
    assert everything(world) == before
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        links = world.running.post.links
        done = publishing.publish(desk, act(world, tx), links, source, REASON, move_cases=move_cases)
    assert done is not None
    assert list(publishing.lines(done, now)) == seen
    is_whole(world)
    return done, seen


# --- the calendar -----------------------------------------------------------------------------------------------------


def test_w5_a_make_up_day_that_is_off_again_moves_the_answer_and_tells_each_concerned_once(staffed: World) -> None:
    world = staffed
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    ids = [ask(world), ask(world)]
    world.at("2024-10-09")
    assert {request(world, id_)["due_on"] for id_ in ids} == {"2024-10-12"}
    done = load(world, OFF_AGAIN)
    assert done is not None
    assert f"2024-10-12 -> 2024-10-14  {ZHENGZHOU}  answer.{ids[0]}" in done[1]
    for id_ in ids:
        found, row = request(world, id_), obligation(world, f"answer.{id_}")
        assert (found["due_on"], found["due_at"]) == ("2024-10-14", "2024-10-15T00:00:00+08:00")
        assert (row["due_on"], row["sequence"], row["breached_at"]) == (date(2024, 10, 14), 1, None)
        (last,) = history(world, id_)[-1:]
        assert (last["action"], last["reason"]) == ("amend", REASON)
        assert last["data"] == {"due_on": ["2024-10-12", "2024-10-14"]}
    both = ["2024-10-12 -> 2024-10-14"] * 2
    assert corrections(world) == {f"handler{ZHENGZHOU}": both, f"supervisor{ZHENGZHOU}": both, "officer410000": both}
    told = world.call("province", "GET", f"/messages?obligation=answer.{ids[0]}&template=correction").json()["items"]
    assert len(told) == 3
    assert all({"obligation": f"answer.{ids[0]}", "rung": "moved-1"} in each["rungs"] for each in told)
    explained = world.call("province", "GET", f"/obligations/answer.{ids[0]}/explain").json()["rungs"]
    assert len(next(each for each in explained if each["rung"] == "moved-1")["sent"]) == 3
    world.at("2024-10-14T23:00:00+08:00")
    assert answer(world, ids[0])["late"] is False
    world.at("2024-10-15T00:00:00+08:00")
    assert answer(world, ids[1])["late"] is True
    is_whole(world)


def test_a_rung_that_was_told_is_not_told_again_on_the_new_day(staffed: World) -> None:
    world = staffed
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    id_ = ask(world)
    world.at("2024-10-12T10:00:00+08:00")

    def rungs() -> list[tuple[str, str]]:
        with world.running.db.reading() as tx:
            statement = select(RUNGS.c.rung, RUNGS.c.recipient).where(RUNGS.c.obligation == f"answer.{id_}")
            return [(row.rung, row.recipient) for row in tx.execute(statement)]

    before = rungs()
    assert "due" in {rung for rung, _ in before}
    load(world, OFF_AGAIN)
    world.at("2024-10-14T20:00:00+08:00")
    assert {rung for rung, _ in set(rungs()) - set(before)} == {"moved-1"}
    before = rungs()
    world.at("2024-10-15T01:00:00+08:00")
    assert {rung for rung, _ in set(rungs()) - set(before)} == {"breach"}


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_was_breached_stays_breached_with_the_amendment_beside_it(staffed: World, is_seen: bool) -> None:
    world = staffed
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    id_ = ask(world)
    if is_seen:
        world.at("2024-10-13T10:00:00+08:00")
    else:  # no process was up when the term ended
        world.passes_unseen("2024-10-13T09:00:00+08:00")
    done = load(world, OFF_AGAIN)
    assert done is not None
    assert any("2024-10-12 -> 2024-10-14, breached: stays so" in line for line in done[1])
    row = obligation(world, f"answer.{id_}")
    assert row["breached_at"] == row["due_at"].replace(day=12)
    found = answer(world, id_)
    assert (found["late"], found["due_on"]) == (True, "2024-10-14")
    assert [entry["action"] for entry in history(world, id_)][-3:] == ["breach", "amend", "answer"]
    assert obligation(world, f"answer.{id_}")["status"] == "met_late"
    is_whole(world)


def test_w5_a_request_that_was_handed_on_meanwhile_stays_with_whom_it_was_handed_to(
    staffed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = staffed
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    id_ = ask(world)
    body = {"unit": ZHENGZHOU, "duty": "handler", "name": "另一位", "email": "other@example.org", "language": "zh"}
    other = world.call("admin", "POST", "/contacts", body).json()["id"]
    hold = rescheduling.hold

    def after_the_look(desk: Desk, moved: Any, *given: Any) -> Any:
        found = tuple(moved)
        handed_on = ROWS.update().where(ROWS.c.id == f"answer.{id_}").values(handler=other)
        desk.tx.execute(handed_on)  # by another, between the look and the lock
        return hold(desk, found, *given)

    monkeypatch.setattr(rescheduling, "hold", after_the_look)
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        assert revisions.load_year(desk, act(world, tx), world.running.post.links, OFF_AGAIN, REASON) is not None
    assert obligation(world, f"answer.{id_}")["handler"] == other


def test_a_running_notice_runs_its_days_and_the_decision_of_an_objection_moves_with_them(staffed: World) -> None:
    world = staffed
    case = world.listed()
    notice = world.published(case)["notice"]
    assert (notice["ends_on"], world.now().date()) == ("2024-09-10", date(2024, 9, 3))
    body = {"case": case, "reasons": "夜间仍有异味"}
    assert world.call(None, "POST", f"/public/notices/{notice['id']}/objections", body).status_code == 201
    (objection,) = world.call("province", "GET", "/objections").json()["items"]
    load(world, year_with(2024, d0905=True, d0906=True))
    assert world.case(case)["notice"]["ends_on"] == "2024-09-12"
    assert world.call(None, "GET", f"/public/notices/{notice['id']}").json()["ends_on"] == "2024-09-12"
    (open_,) = world.call("province", "GET", "/objections").json()["items"]
    (last,) = history(world, open_["id"])[-1:]
    assert (last["action"], last["reason"]) == ("amend", REASON)
    assert last["changes"] == {"due_on": open_["due_on"]}
    assert (objection["due_on"], open_["due_on"]) == ("2024-09-18", "2024-09-20")
    for subject in (case, notice["id"]):
        assert [(each["action"], each["reason"]) for each in history(world, subject)][-1] == ("amend", REASON)
    decided = world.call(
        SECOND, "POST", f"/objections/{open_['id']}/decide", {"upheld": False, "finding": "不属实"},
        version=open_["version"],
    )  # fmt: skip
    assert decided.status_code == 200, decided.text
    world.at("2024-09-12T23:00:00+08:00")
    assert world.case(case)["state"] == "published"
    world.at("2024-09-13T00:00:00+08:00")
    assert world.case(case)["state"] == "recognised"
    is_whole(world)


def test_a_notice_that_ends_earlier_than_now_is_recognised_and_nothing_is_taken_back(world: World) -> None:
    done, runs = world.listed(), world.listed()
    world.published(done)
    world.at("2024-09-11")
    world.published(runs)
    assert (world.case(done)["state"], world.case(runs)["notice"]["ends_on"]) == ("recognised", "2024-09-19")
    world.at("2024-09-18T10:00:00+08:00")
    load(world, year_with(2024, d0905=True, d0916=False, d0917=False))  # Monday and Tuesday are worked after all
    assert world.case(done)["state"] == "recognised"
    assert world.case(done)["notice"]["ends_on"] == "2024-09-10"
    assert world.case(runs)["notice"]["ends_on"] == "2024-09-17"
    world.at("2024-09-18T11:00:00+08:00")
    assert (world.case(done)["state"], world.case(runs)["state"]) == ("recognised", "recognised")
    is_whole(world)


def test_a_year_that_becomes_known_makes_firm_without_mail_what_was_provisional(staffed: World) -> None:
    world = staffed
    case = world.listed()
    world.passes_unseen("2026-12-21T09:00:00+08:00")
    body = {"enterprise": world.case(case)["enterprise"]["id"], "kind": "funding", "text": "补助？"}
    id_ = world.call(OFFICER, "POST", "/requests", body).json()["id"]
    assert (request(world, id_)["due_on"], request(world, id_)["provisional"]) == ("2026-12-28", True)
    before = told(world)
    done = load(world, YEAR_2027)
    assert done is not None
    assert f"2026-12-28 stays (firm)  {ZHENGZHOU}  answer.{id_}" in done[1]
    assert not any(line.startswith("mail") for line in done[1])
    assert (request(world, id_)["provisional"], told(world)) == (False, before)
    row = obligation(world, f"answer.{id_}")
    assert (row["provisional"], row["sequence"], row["due_on"]) == (False, 0, date(2026, 12, 28))
    assert load(world, YEAR_2027) is None


def test_a_year_in_which_one_day_moves_and_another_becomes_firm_tells_of_the_one_that_moves(staffed: World) -> None:
    world = staffed
    site = world.case(world.listed())["enterprise"]["id"]
    world.passes_unseen("2026-12-21T09:00:00+08:00")
    body = {"enterprise": site, "kind": "funding", "text": "补助？"}
    firm = world.call(OFFICER, "POST", "/requests", body).json()["id"]
    world.passes_unseen("2026-12-28T09:00:00+08:00")
    moves = world.call(OFFICER, "POST", "/requests", body).json()["id"]
    assert (request(world, firm)["due_on"], request(world, moves)["due_on"]) == ("2026-12-28", "2027-01-04")
    load(world, read_year({**YEAR_2027.to_document(), "days": [
        {"name": "元旦", "date": f"2027-01-0{day}", "isOffDay": True} for day in (1, 4)
    ]}))  # fmt: skip
    assert corrections(world)[f"handler{ZHENGZHOU}"] == ["2027-01-04 -> 2027-01-06"]
    assert [obligation(world, f"answer.{id_}")["provisional"] for id_ in (firm, moves)] == [False, False]


def test_two_changes_of_one_day_are_both_told(staffed: World) -> None:
    world = staffed
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    id_ = ask(world)
    load(world, OFF_AGAIN)
    load(world, year_with(2024))
    twice = ["2024-10-12 -> 2024-10-14", "2024-10-14 -> 2024-10-12"]
    assert corrections(world) == {f"{duty}{ZHENGZHOU}": twice for duty in ("handler", "supervisor")} | {
        "officer410000": twice
    }
    explained = world.call("province", "GET", f"/obligations/answer.{id_}/explain").json()["rungs"]
    sent = {each["rung"]: len(each["sent"]) for each in explained}
    assert (sent["moved-1"], sent["moved-2"]) == (3, 3)


def test_two_versions_that_move_one_day_are_both_told(staffed: World) -> None:
    world = staffed
    publish(world, LATER)
    publish(world, PLAN.replace("version = 2\n", "version = 3\n", 1))
    assert corrections(world)[f"officer{KAIFENG}"] == ["2024-06-15 -> 2024-06-29", "2024-06-29 -> 2024-06-15"]


def test_who_wants_to_hear_nothing_of_a_kind_hears_only_what_the_plan_requires_of_a_day_that_moves(
    world: World,
) -> None:
    for name, muted in (("hears", []), ("hears-not", ["notice", "objection"])):
        body = {"unit": ZHENGZHOU, "duty": "officer", "name": name, "email": f"{name}@example.org", "muted": muted}
        assert world.call("admin", "POST", "/contacts", {**body, "language": "zh"}).status_code == 201
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    body = {"case": case, "reasons": "夜间仍有异味"}
    assert world.call(None, "POST", f"/public/notices/{notice}/objections", body).status_code == 201
    load(world, year_with(2024, d0905=True, d0906=True))
    moved = {"notice": "2024-09-10 -> 2024-09-12", "objection": "2024-09-18 -> 2024-09-20"}
    assert {to: sorted(days) for to, days in corrections(world).items()} == {
        "hears": sorted(moved.values()), "hears-not": [moved["objection"]],
    }  # fmt: skip


def test_a_correction_leaves_in_the_office_hours_of_its_own_plan(staffed: World) -> None:
    world = staffed
    publish(world, SECOND_PLAN.replace("closes = 17:00:00", "closes = 20:00:00"))  # the newest plan's post works longer
    world.passes_unseen("2024-09-30T09:00:00+08:00")
    ask(world)
    world.at("2024-10-10T19:00:00+08:00")
    load(world, OFF_AGAIN)

    def sent() -> list[str]:
        lines = world.call("province", "GET", "/messages?template=correction&status=sent").json()["items"]
        return [each["sent_at"] for each in lines]

    waiting = world.call("province", "GET", "/messages?template=correction&status=pending").json()["items"]
    assert {each["next_attempt_at"] for each in waiting} == {"2024-10-11T08:30:00+08:00"}
    world.at("2024-10-10T23:00:00+08:00")
    assert sent() == []
    world.at("2024-10-11T12:00:00+08:00")
    assert len(sent()) == 3


def test_what_is_owed_on_a_day_off_is_reminded_of_earlier_when_the_day_before_is_off_again(staffed: World) -> None:
    world = staffed
    case = world.listed()
    world.planned(case)
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})
    change = {"change": [{"number": 1, "due_on": "2024-10-13"}]}  # a Sunday; the Saturday before is worked
    world.moved(OFFICER, case, "amend_plan", change, reason="设备到货推迟")
    world.passes_unseen("2024-10-08T12:00:00+08:00")
    world.at("2024-10-09")
    measure = f"measure.{case}.1"
    load(world, OFF_AGAIN)

    def rungs() -> set[str]:
        with world.running.db.reading() as tx:
            return set(tx.execute(select(RUNGS.c.rung).where(RUNGS.c.obligation == measure)).scalars())

    assert obligation(world, measure)["due_on"] == date(2024, 10, 13)
    before = rungs()
    world.at("2024-10-11T09:00:00+08:00")
    assert rungs() - before == {"due-2024-10-13"}


def test_a_date_of_the_plan_that_rolls_moves_and_one_that_does_not_stays(staffed: World) -> None:
    world = staffed
    publish(world, SECOND_PLAN)
    filing = "shandong-2025.370100.accepted.2025-09"
    assert obligation(world, f"filing.{filing}")["due_on"] == date(2025, 9, 30)
    done = load(world, year_with(2025, d0930=True))
    assert done is not None
    assert f"2025-09-30 -> 2025-10-09  370100  filing.{filing}" in done[1]
    found = world.call("province", "GET", f"/filings/{filing}").json()
    assert (found["due_on"], found["version"], found["status"]) == ("2025-10-09", 1, "open")
    assert [each["action"] for each in history(world, filing)] == ["amend"]
    assert world.call("admin", "GET", "/obligations?kind=stage").json()["items"] == []


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_new_version_moves_what_units_file_and_leaves_the_cases_to_theirs(staffed: World) -> None:
    world = staffed
    case = world.listed()
    done, lines = publish(world, LATER)
    filing = f"filing.henan-2024.{ZHENGZHOU}.plan.2024"
    assert f"2024-06-15 -> 2024-06-29  {ZHENGZHOU}  {filing}" in lines
    assert (len(done.moved), done.added, done.removed, done.cases) == (19, (), (), ())
    assert (obligation(world, filing)["due_on"], obligation(world, filing)["programme_version"]) == (
        date(2024, 6, 29),
        2,
    )
    assert obligation(world, f"stage.{case}.plan_stage")["due_on"] == date(2024, 6, 15)
    assert world.case(case)["programme_version"] == 1
    assert corrections(world)[f"officer{KAIFENG}"] == ["2024-06-15 -> 2024-06-29"]
    assert all(len(moved) >= 1 for moved in corrections(world).values())
    assert world.case(world.listed(KAIFENG))["programme_version"] == 2  # the running process knows it
    assert [each["reason"] for each in history(world, "henan-2024")] == [None, REASON]


def test_cases_that_move_owe_by_the_new_version_and_stay_there_when_an_event_is_corrected(staffed: World) -> None:
    world = staffed
    case, left = world.listed(), world.listed()
    world.moved(OFFICER, left, "withdraw", reason="停产")
    world.at("2024-06-03")
    world.moved(
        OFFICER,
        case,
        "pre_assess",
        {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "未封闭"}},
    )
    done, lines = publish(world, LATER, move_cases=True)
    stage = f"stage.{case}.plan_stage"
    assert done.cases == (case,)
    assert f"2024-06-15 -> 2024-06-29  {ZHENGZHOU}  {stage}" in lines
    assert "1 case(s) move to version 2" in lines
    assert (world.case(case)["programme_version"], world.case(left)["programme_version"]) == (2, 1)
    assert (obligation(world, stage)["due_on"], obligation(world, stage)["sequence"]) == (date(2024, 6, 29), 1)
    (last,) = history(world, case)[-1:]
    assert (last["action"], last["reason"], last["changes"]) == ("amend", REASON, {"programme_version": 2})
    assert last["data"] == {"programme_version": [1, 2], "due_on": {stage: ["2024-06-15", "2024-06-29"]}}
    assert corrections(world)[f"officer{ZHENGZHOU}"] == ["2024-06-15 -> 2024-06-29"] * 2
    corrected = world.moved(SECOND, case, "correct", reason="误录")
    assert (corrected["state"], corrected["programme_version"]) == ("listed", 2)
    world.at("2024-06-30T00:30:00+08:00")
    assert obligation(world, stage)["breached_at"] is not None
    is_whole(world)


def test_a_turn_that_was_missed_before_a_case_moves_to_a_new_version_still_comes(staffed: World) -> None:
    world = staffed
    case = world.listed()
    world.planned(case)
    stage = f"stage.{case}.acceptance"
    world.passes_unseen("2024-11-14T12:00:00+08:00")
    world.at("2024-11-14T13:00:00+08:00")
    world.passes_unseen("2024-11-18T10:00:00+08:00")  # its t-14 was on Friday, and nobody was up
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-11-18"}, reason="补办")
    publish(world, PLAN, move_cases=True)
    world.at("2024-11-18T11:00:00+08:00")
    explained = world.call("province", "GET", f"/obligations/{stage}/explain").json()["rungs"]
    assert [each["rung"] for each in explained if each["sent"]] == ["t-14"]


def test_a_rung_that_a_new_version_adds_and_that_has_been_reached_is_told_at_once(staffed: World) -> None:
    world = staffed
    case = world.listed()
    world.planned(case)
    world.passes_unseen("2024-11-11T10:00:00+08:00")
    world.at("2024-11-11T11:00:00+08:00")
    publish(
        world, PLAN.replace('{ id = "t-14", to = ["officer"] }', '{ id = "t-21", to = ["officer"] }'), move_cases=True
    )
    world.at("2024-11-12T09:00:00+08:00")
    explained = world.call("province", "GET", f"/obligations/stage.{case}.acceptance/explain").json()["rungs"]
    assert [each["rung"] for each in explained if each["sent"]] == ["t-21"]


def test_a_stage_that_was_breached_stays_so_when_the_plan_gives_more_time(staffed: World) -> None:
    world = staffed
    case = world.listed()
    world.at("2024-06-17")
    done, lines = publish(world, LATER, move_cases=True)
    assert any(f"breached: stays so  {ZHENGZHOU}  stage.{case}.plan_stage" in line for line in lines)
    assert done.cases == (case,)
    world.planned(case)
    row = obligation(world, f"stage.{case}.plan_stage")
    assert (row["status"], row["due_on"]) == ("met_late", date(2024, 6, 29))
    path = f"/filings/henan-2024.{ZHENGZHOU}.plan.2024"
    version = world.call(OFFICER, "GET", path).json()["version"]
    assert world.call(OFFICER, "POST", f"{path}/submit", {}, version=version).json()["late"] is True
    assert obligation(world, f"filing.henan-2024.{ZHENGZHOU}.plan.2024")["status"] == "met_late"
    is_whole(world)


def test_filings_that_a_version_adds_are_opened_and_those_that_it_leaves_out_are_closed_unless_handed_in(
    staffed: World,
) -> None:
    world = staffed
    path = f"/filings/henan-2024.{ZHENGZHOU}.list.2024"
    assert world.call(OFFICER, "POST", f"{path}/submit", {}, version=0).status_code == 200
    without = PLAN.replace('  { form = "list", period = "2024", due = "list" },\n', "").replace(
        '  { form = "tracking", period = "2024-11", due = "tracking_november" },\n',
        '  { form = "tracking", period = "2024-12", due = "tracking_november" },\n',
    )
    done, lines = publish(world, without)
    assert done.kept == (f"henan-2024.{ZHENGZHOU}.list.2024",)
    assert (len(done.added), len(done.removed)) == (19, 18 + 19)
    assert f"closed, not asked for any more  filing.henan-2024.{KAIFENG}.list.2024" in lines
    closed = f"henan-2024.{KAIFENG}.list.2024"
    found = world.call("province", "GET", f"/filings/{closed}").json()
    assert (found["status"], obligation(world, f"filing.{closed}")["status"]) == ("closed", "closed")
    refused = world.call(f"officer {KAIFENG}", "POST", f"/filings/{closed}/submit", {}, version=found["version"])
    assert (refused.status_code, refused.json()["code"]) == (409, "filing_closed")
    assert obligation(world, f"filing.henan-2024.{KAIFENG}.tracking.2024-12")["status"] == "open"
    publish(world, LATER.replace("version = 2\n", "version = 3\n", 1))
    again = world.call("province", "GET", f"/filings/{closed}").json()
    assert (again["status"], again["version"], again["due_on"]) == ("open", 2, "2024-05-31")


def test_a_case_whose_state_is_not_in_the_new_version_keeps_its_own(staffed: World) -> None:
    world = staffed
    stuck, goes_on = world.listed(), world.listed()
    world.at("2024-06-03")
    assessment = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "未封闭"}}
    world.moved(OFFICER, goes_on, "pre_assess", assessment)
    done, lines = publish(world, PLAN.replace('"listed"', '"entered"'), move_cases=True)
    assert (done.cases, dict(done.stuck)) == ((goes_on,), {stuck: "the new version has no state listed"})
    assert "1 case(s) cannot move: the new version has no state listed" in lines
    assert (world.case(stuck)["programme_version"], world.case(goes_on)["programme_version"]) == (1, 2)
    assert "not_correctable" in world.refused(SECOND, goes_on, "correct", reason="误录")
    assert world.planned(stuck)["state"] == "plan_filed"
    is_whole(world)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def keyboard(world: World, tmp_path: Path) -> Callable[..., Result]:
    """The command, at the database of the world."""
    environment = {"JINJI_DATABASE_URL": world.settings.database_url, "JINJI_CLOCK": CLOCK}

    def run(*words: str, text: str | Mapping[str, Any]) -> Result:
        file = tmp_path / "file"
        file.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return CliRunner().invoke(main, [*words[:2], str(file), *words[2:]], env=environment)

    return run


def test_the_calendar_is_imported_at_the_keyboard_as_it_was_previewed(
    staffed: World, keyboard: Callable[..., Result]
) -> None:
    staffed.passes_unseen("2024-09-30T09:00:00+08:00")
    id_ = ask(staffed)
    year: dict[str, Any] = OFF_AGAIN.to_document()
    before = everything(staffed)
    preview = keyboard("calendar", "import", text=year)
    assert preview.exit_code == 0, preview.output
    assert everything(staffed) == before
    assert "preview only" in preview.stderr
    done = keyboard("calendar", "import", "--apply", "--reason", REASON, text=year)
    assert (done.exit_code, done.stdout) == (0, preview.stdout)
    assert done.stdout.splitlines() == [
        "2024-10-12 make_up -> off (firm) 国庆节",
        f"2024-10-12 -> 2024-10-14  {ZHENGZHOU}  answer.{id_}",
        *(
            f"mail: correction to {to}@example.org ({to[-6:]}), 1 date(s)"
            for to in (f"supervisor{ZHENGZHOU}", f"handler{ZHENGZHOU}", "officer410000")
        ),
    ]
    again = keyboard("calendar", "import", "--apply", text=year)
    assert (again.stdout, "stands already" in again.stderr) == ("", True)
    assert request(staffed, id_)["due_on"] == "2024-10-14"
    is_whole(staffed)


def test_a_version_is_published_at_the_keyboard_as_it_was_previewed(
    staffed: World, keyboard: Callable[..., Result]
) -> None:
    case = staffed.listed()
    preview = keyboard("programme", "publish", "--move-cases", text=LATER)
    assert (preview.exit_code, "preview only" in preview.stderr) == (0, True)
    assert staffed.case(case)["programme_version"] == 1
    done = keyboard("programme", "publish", "--move-cases", "--apply", "--reason", REASON, text=LATER)
    assert (done.exit_code, done.stdout) == (0, preview.stdout)
    assert "henan-2024 version 2: published" in done.stderr
    assert staffed.case(case)["programme_version"] == 2
    again = keyboard("programme", "publish", "--apply", text=LATER)
    assert (again.exit_code, "stands already" in again.stderr) == (0, True)
    is_whole(staffed)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PLAN.replace("sites = 600", "sites = 601", 1).replace("version = 2\n", "version = 1\n", 1), "new version"),
        (PLAN.replace('to = "accepted"', 'to = "x"', 1), "unknown state 'x'"),
    ],
)
def test_a_file_with_problems_and_a_version_with_another_text_are_refused(
    world: World, keyboard: Callable[..., Result], text: str, why: str
) -> None:
    before = everything(world)
    for words in ((), ("--apply",)):
        refused = keyboard("programme", "publish", *words, text=text)
        assert (refused.exit_code, why in refused.output) == (1, True), refused.output
    assert everything(world) == before


def test_a_version_that_is_not_newer_is_refused(world: World, keyboard: Callable[..., Result]) -> None:
    publish(world, PLAN.replace("version = 2\n", "version = 3\n", 1))
    refused = keyboard("programme", "publish", "--apply", text=PLAN)
    assert (refused.exit_code, "not newer" in refused.output) == (1, True)


def test_a_draft_is_not_published(world: World, keyboard: Callable[..., Result]) -> None:
    draft = derive(packaged_sources()["henan-2024"], 2027, Calendar(packaged_years())).source
    refused = keyboard("programme", "publish", "--apply", text=draft)
    assert (refused.exit_code, "draft" in refused.output) == (1, True)
    assert world.call("auditor", "GET", "/programmes/henan-2027").status_code == 404


def test_a_plan_with_other_office_hours_keeps_nobody_elses_mail_back(staffed: World) -> None:
    publish(staffed, SECOND_PLAN.replace("opens = 09:00:00", "opens = 14:00:00"))
    staffed.at("2024-05-24T18:00:00+08:00")
    path = f"/messages?recipient=officer{ZHENGZHOU}@example.org"
    sent = staffed.call("admin", "GET", path).json()["items"]
    assert {each["sent_at"] for each in sent} == {"2024-05-24T08:30:00+08:00"}
