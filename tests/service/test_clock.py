"""The clock by REST: it jumps from due instant to due instant, never backwards, and only where it is virtual."""

import threading
from datetime import datetime
from pathlib import Path

import pytest

from service import scheduler
from service.access import SYSTEM, Act
from service.casework import tokens
from service.casework.desk import Desk
from service.clock import RealClock
from service.running import Running
from service.settings import Settings
from service.setup import migrate
from tests.service.world import ZHENGZHOU, World, open_world
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"


def test_any_token_reads_the_clock_and_it_stands_still_between_calls(world: World) -> None:
    for who in ("admin", "province", "auditor", OFFICER):
        answer = world.call(who, "GET", "/clock")
        assert answer.json() == {"now": "2024-05-20T09:00:00+08:00", "mode": "virtual"}
    assert world.call(None, "GET", "/clock").status_code == 401


def test_only_the_administrator_moves_it(world: World) -> None:
    for who in ("province", "auditor", OFFICER):
        assert world.call(who, "POST", "/clock", {"to": "2024-06-03T09:00:00+08:00"}).status_code == 403
    assert world.at("2024-06-03")["now"] == "2024-06-03T09:00:00+08:00"
    assert world.call(OFFICER, "GET", "/clock").json()["now"] == "2024-06-03T09:00:00+08:00"


def test_an_instant_in_any_zone_is_understood(world: World) -> None:
    answer = world.call("admin", "POST", "/clock", {"to": "2024-06-03T01:00:00Z"})
    assert answer.json()["now"] == "2024-06-03T09:00:00+08:00"


def test_it_never_goes_backwards(world: World) -> None:
    world.at("2024-06-03")
    for language in ("zh-CN", "en"):
        back = world.call("admin", "POST", "/clock", {"to": "2024-06-03T08:59:59.999999+08:00"}, language=language)
        assert (back.status_code, back.json()["code"]) == (409, "clock_backwards")
    assert world.call("admin", "GET", "/clock").json()["now"] == "2024-06-03T09:00:00+08:00"
    assert world.at("2024-06-03")["now"] == "2024-06-03T09:00:00+08:00"  # where it stands, it may be sent again


def test_a_move_with_its_key_is_made_once(world: World) -> None:
    body = {"to": "2024-06-03T09:00:00+08:00"}
    first = world.call("admin", "POST", "/clock", body, key="to-june")
    world.at("2024-06-04")
    again = world.call("admin", "POST", "/clock", body, key="to-june")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert world.call("admin", "GET", "/clock").json()["now"] == "2024-06-04T09:00:00+08:00"


def test_it_stops_at_each_due_instant_on_its_way_and_acts_there(world: World) -> None:
    published, refused, open_ = world.listed(), world.listed(), world.listed()
    world.published(published)
    world.at("2024-09-04")
    world.rejected(refused)
    passed = world.at("2025-02-10")
    assert passed["ticks"] >= 4
    found = [world.case(case) for case in (published, refused, open_)]
    told = {(each["state"], each["entered_at"]): each["id"] for each in found}
    assert told == {
        ("recognised", "2024-09-11T00:00:00+08:00"): published,
        ("lapsed", "2024-12-21T00:05:00+08:00"): refused,
        ("lapsed", "2025-02-01T00:05:00+08:00"): open_,
    }
    entries = [
        (entry["at"], entry["action"])
        for entry in world.call("auditor", "GET", "/audit?actor=system&from=2024-09-01T00:00:00Z&limit=200").json()[
            "items"
        ]
        if entry["subject"]["type"] == "case"
    ]
    assert entries == [
        ("2025-02-01T00:05:00+08:00", "lapse"),
        ("2024-12-21T00:05:00+08:00", "lapse"),
        ("2024-09-11T00:00:00+08:00", "recognise"),
    ]


def test_one_jump_and_many_small_ones_come_to_the_same(world: World) -> None:
    one, other = world.listed(), world.listed()
    world.published(one)
    world.published(other)
    for day in range(4, 12):
        world.at(f"2024-09-{day:02}T00:00:00+08:00")
    found = world.case(one), world.case(other)
    assert {(each["state"], each["entered_at"]) for each in found} == {("recognised", "2024-09-11T00:00:00+08:00")}
    assert [entry["action"] for entry in world.call(OFFICER, "GET", f"/cases/{one}/history").json()["items"]].count(
        "recognise"
    ) == 1


def test_it_does_not_move_while_the_ticker_is_at_its_work(world: World) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def slow(process: Running) -> int:
        begun.set()
        assert let_go.wait(60)
        return 0

    slow.__name__ = scheduler.deliver_mails.__name__
    ticking = threading.Thread(target=scheduler._safely, args=(world.running, slow))
    moving = threading.Thread(target=world.at, args=("2024-05-21",))
    ticking.start()
    assert begun.wait(60)
    moving.start()
    moving.join(0.3)
    assert f"{world.now():%Y-%m-%d}" == "2024-05-20"
    let_go.set()
    for thread in (ticking, moving):
        thread.join(60)
    assert world.call("admin", "GET", "/clock").json()["now"] == "2024-05-21T09:00:00+08:00"
    assert not world.running.ticks.failed


def test_who_moved_the_clock_stands_in_the_audit(world: World) -> None:
    answer = world.call(
        "admin", "POST", "/clock", {"to": "2024-06-03T09:00:00+08:00"}, headers={"X-Request-Id": "moving-it-1"}
    )
    assert answer.status_code == 200
    (entry,) = world.call("auditor", "GET", "/audit?subject_type=clock").json()["items"]
    assert (entry["actor"]["name"], entry["action"], entry["request_id"]) == ("admin", "move", "moving-it-1")
    assert entry["data"] == {"from": "2024-05-20T01:00:00.000000Z", "to": "2024-06-03T01:00:00.000000Z"}


def test_the_audit_tells_where_a_move_began_however_often_it_stopped(world: World) -> None:
    case = world.listed()
    world.published(case)
    since = world.call("admin", "GET", "/clock").json()["now"]
    assert world.at("2025-02-10")["ticks"] > 2
    entry = world.call("auditor", "GET", "/audit?subject_type=clock").json()["items"][0]
    assert datetime.fromisoformat(entry["data"]["from"]) == datetime.fromisoformat(since)


def test_a_real_clock_is_read_but_not_moved_by_anybody(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/real.db", clock="real")
    migrate(settings)
    world = open_world(settings)
    with world.client:
        assert world.call(OFFICER, "GET", "/clock").json()["mode"] == "real"
        for who in ("admin", OFFICER):
            for body in ({"to": "2030-01-01T00:00:00+08:00"}, {"to": "nonsense"}):
                assert world.call(who, "POST", "/clock", body).status_code == 404
        assert world.call(None, "POST", "/clock", {"to": "2030-01-01T00:00:00+08:00"}).status_code == 401


def test_on_the_real_clock_the_instant_of_arrival_decides_however_late_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/real.db", clock="real")
    migrate(settings)
    arrives = [datetime.fromisoformat("2024-05-20T09:00:00+08:00")]
    monkeypatch.setattr(RealClock, "arrived", lambda clock: arrives[-1])
    world = open_world(settings)
    with world.client:
        case = world.listed()
        assert world.case(case)["listed_at"] == "2024-05-20T09:00:00+08:00"
        arrives.append(datetime.fromisoformat("2024-06-03T09:00:00+08:00"))
        data = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
        moved = world.moved(OFFICER, case, "pre_assess", data)
        assert (moved["entered_at"], moved["flags"]) == ("2024-06-03T09:00:00+08:00", [])
        assert world.call(OFFICER, "GET", "/cases?overdue=true").json()["items"] == []
        instants = [entry["at"] for entry in world.call("auditor", "GET", f"/audit?subject={case}").json()["items"]]
        assert instants == ["2024-06-03T09:00:00+08:00", "2024-05-20T09:00:00+08:00"]


def test_a_token_expires_by_the_virtual_clock(world: World) -> None:
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        ends = world.now().replace(day=22)
        world.secrets["guest"] = tokens.create(
            desk, Act(SYSTEM, world.now()), name="guest", role=Role.AUDITOR, expires_at=ends
        )
    assert world.call("guest", "GET", "/clock").status_code == 200
    world.at("2024-05-22T08:59:59+08:00")
    assert world.call("guest", "GET", "/clock").status_code == 200
    world.at("2024-05-22T09:00:00+08:00")
    assert world.call("guest", "GET", "/clock").status_code == 401


def test_the_clock_does_not_run_decades_ahead(world: World) -> None:
    refused = world.call("admin", "POST", "/clock", {"to": "2034-06-03T09:00:00+08:00"})
    assert (refused.status_code, refused.json()["code"]) == (409, "clock_too_far")
