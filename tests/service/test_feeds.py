"""Feeds: made, listed and ended by those whose dates they are, and what a calendar program finds there."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from service.access import SYSTEM
from service.api.edge import Limits
from service.casework import obligations, verification
from service.casework.desk import Desk
from service.casework.obligations import Whose
from service.settings import Settings
from tests.service.world import KAIFENG, ZHENGZHOU, World
from tests.workflows.cases import henan
from workflows.obligations import Outcome, Owed, answer

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"
PROVINCE_CODE = "410000"


def made(world: World, who: str = OFFICER, **sent: Any) -> dict[str, Any]:
    """A new feed."""
    answer = world.call(who, "POST", "/feeds", sent)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(world: World, token: str, query: str = "", **more: Any) -> dict[str, dict[str, str]]:
    """What a feed shows, by UID: each event's properties, as they are written."""
    answer = world.call(None, "GET", f"/calendar.ics?token={token}{query}", **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/calendar")
    found: dict[str, dict[str, str]] = {}
    lines = answer.text.replace("\r\n ", "").split("\r\n")
    for line in lines:
        name, _, value = line.partition(":")
        if name == "BEGIN" and value == "VEVENT":
            event: dict[str, str] = {}
        elif name == "END" and value == "VEVENT":
            found[event["UID"]] = event
        elif name != "END":
            event = {} if name == "BEGIN" else event
            event[name.partition(";")[0]] = value
    assert lines[0] == "BEGIN:VCALENDAR"
    return found


def put(world: World, owed: Owed, *, outcome: Outcome | None = None) -> None:
    """Write the row of something owed, as its use-case would."""
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        programme, now = desk.lifecycle("henan-2024").programme, world.running.clock.now(tx)
        whose = Whose(owed.unit)
        row = (
            obligations.opened(programme, desk.calendar, owed, whose, now)
            if outcome is None
            else obligations.closed(programme, owed, whose, outcome, now)
        )
        obligations.put(tx, [row])


# What the unit has to file, whatever else it owes.
FILINGS = {
    f"filing.{henan().programme.id}.{ZHENGZHOU}.{each.form}.{each.period}@127.0.0.1"
    for each in henan().programme.filings
}


def filing(world: World, name: str, due_on: date, unit: str = ZHENGZHOU) -> Owed:
    """A filing of a unit."""
    with world.running.db.reading() as tx:
        title = Desk(tx, world.running.books).lifecycle("henan-2024").programme.ladder_by_id["filing"].title
    since = datetime(2024, 1, 2, tzinfo=UTC)
    return Owed(f"filing.{name}", "filing", title, "P1", unit, "filing", name, since, due_on)


def test_a_feed_is_made_with_a_token_that_is_shown_once_and_kept_only_as_its_hash(world: World) -> None:
    feed = made(world)
    assert feed["unit"] == ZHENGZHOU
    assert feed["url"] == f"{world.settings.base_url}/api/v1/calendar.ics?token={feed['token']}"
    (listed,) = world.call(OFFICER, "GET", "/feeds").json()["items"]
    assert listed == {name: feed[name] for name in ("id", "unit", "created_at", "created_by", "version")}
    with world.running.db.reading() as tx:
        tables = tx.execute(text("SELECT * FROM feeds")).all() + tx.execute(text("SELECT * FROM audit")).all()
    assert feed["token"] not in str(tables)


def test_the_answer_to_a_repeated_key_tells_the_token_again_and_no_kept_answer_holds_it(world: World) -> None:
    first = world.call(OFFICER, "POST", "/feeds", {}, key="feed-1")
    again = world.call(OFFICER, "POST", "/feeds", {}, key="feed-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert world.call(OFFICER, "POST", "/feeds", {}, key="feed-2").json()["token"] != first.json()["token"]
    assert world.call(OFFICER, "POST", "/feeds", {"unit": ZHENGZHOU}, key="feed-1").status_code == 422
    with world.running.db.reading() as tx:
        assert first.json()["token"] not in str(tx.execute(text("SELECT * FROM stored_answers")).all())
    assert len(world.call(OFFICER, "GET", "/feeds").json()["items"]) == 2


def test_a_unit_makes_feeds_of_its_own_dates_and_the_province_of_anybodys(world: World) -> None:
    assert made(world, "province", unit=KAIFENG)["unit"] == KAIFENG
    assert made(world, "admin", unit=PROVINCE_CODE)["unit"] == PROVINCE_CODE
    assert made(world, OFFICER, unit=ZHENGZHOU)["unit"] == ZHENGZHOU
    assert world.call(OFFICER, "POST", "/feeds", {"unit": KAIFENG}).status_code == 404
    for sent, code in (({}, "unit_missing"), ({"unit": "999999"}, "unknown_unit")):
        answer = world.call("province", "POST", "/feeds", sent)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
    assert [each["unit"] for each in world.call(FOREIGNER, "GET", "/feeds").json()["items"]] == [KAIFENG]
    assert len(world.call("province", "GET", "/feeds").json()["items"]) == 3


def test_a_feed_that_is_ended_opens_nothing_any_more(world: World) -> None:
    feed = made(world)
    assert len(events(world, feed["token"])) == len(FILINGS)
    path = f"/feeds/{feed['id']}"
    assert world.call(FOREIGNER, "DELETE", path).status_code == 404
    assert world.call(OFFICER, "DELETE", path, version=7).status_code == 412
    ended = world.call(OFFICER, "DELETE", path)
    assert (ended.status_code, ended.json()["version"]) == (200, 2)
    assert world.call(OFFICER, "DELETE", path).status_code == 404
    assert world.call(OFFICER, "GET", "/feeds").json()["items"] == []
    assert world.call(None, "GET", f"/calendar.ics?token={feed['token']}").status_code == 404
    history = world.call("auditor", "GET", f"/audit?subject={feed['id']}").json()["items"]
    assert [entry["action"] for entry in history] == ["remove", "create"]


def test_the_token_of_a_feed_opens_nothing_else_and_no_other_token_opens_a_feed(world: World) -> None:
    world.secrets["feed"] = made(world)["token"]
    assert world.call("feed", "GET", "/cases").status_code == 401
    assert world.call("feed", "GET", "/obligations").status_code in (401, 404)
    for token in (world.secrets[OFFICER], "nothing", ""):
        assert world.call(None, "GET", f"/calendar.ics?token={token}").status_code == 404
    assert world.call(OFFICER, "GET", "/calendar.ics").status_code == 422


def test_a_feed_shows_what_the_unit_owes_with_names_that_stay(world: World) -> None:
    case = world.listed()
    world.listed(KAIFENG)
    feed = made(world)
    shown = events(world, feed["token"])
    assert shown.keys() - FILINGS == {f"stage.{case}.{rule}@127.0.0.1" for rule in ("plan_stage", "acceptance")}
    assert shown.keys() >= FILINGS
    stage = shown[f"stage.{case}.plan_stage@127.0.0.1"]
    assert (stage["DTSTART"], stage["DTEND"], stage["SEQUENCE"]) == ("20240615", "20240616", "0")
    assert stage["STATUS"] == "CONFIRMED"
    name = world.case(case)["enterprise"]["name"]
    assert stage["SUMMARY"].endswith(name)
    assert "未完成" in stage["DESCRIPTION"]
    assert events(world, made(world, "province", unit=KAIFENG)["token"]).keys().isdisjoint(shown)


@pytest.mark.parametrize(("query", "language", "is_english"), [
    ("", None, False), ("", "en", True), ("&lang=en", None, True), ("&lang=zh", "en", False),
])  # fmt: skip
def test_a_feed_speaks_the_language_that_is_asked_for(
    world: World, query: str, language: str | None, is_english: bool
) -> None:
    world.listed()
    shown = events(world, made(world)["token"], query, language=language)
    assert all(("open" in each["DESCRIPTION"]) == is_english for each in shown.values())
    assert world.call(None, "GET", "/calendar.ics?token=x&lang=fr").status_code == 422


def test_what_moves_has_a_higher_sequence_and_what_need_not_be_done_any_more_is_cancelled(world: World) -> None:
    case = world.listed()
    feed = made(world)
    world.planned(case)
    world.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})
    measure = f"measure.{case}.1@127.0.0.1"
    assert events(world, feed["token"])[measure]["SEQUENCE"] == "0"
    world.moved(OFFICER, case, "amend_plan", {"change": [{"number": 1, "due_on": "2024-10-15"}]}, reason="推迟")
    moved = events(world, feed["token"])[measure]
    assert (moved["SEQUENCE"], moved["DTSTART"], moved["STATUS"]) == ("1", "20241015", "CONFIRMED")
    world.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    shown = events(world, feed["token"])
    assert shown[measure]["STATUS"] == "CANCELLED"
    plan = shown[f"stage.{case}.plan_stage@127.0.0.1"]
    assert (plan["STATUS"], "已完成" in plan["DESCRIPTION"]) == ("CONFIRMED", True)
    assert not [name for name in shown if name.startswith("report")]  # their months never came


def test_a_feed_shows_filings_and_answers_from_60_days_ago_on_and_says_what_is_overdue(world: World) -> None:
    with world.running.db.reading() as tx:
        desk = Desk(tx, world.running.books)
        programme, days = desk.lifecycle("henan-2024").programme, desk.calendar
    put(world, filing(world, "f1", date(2024, 5, 31)))
    put(world, filing(world, "f2", date(2024, 4, 1)), outcome=Outcome.MET)
    put(world, filing(world, "f3", date(2024, 3, 20)), outcome=Outcome.MET)
    put(world, answer(programme, days, "r1", ZHENGZHOU, world.now()))
    token = made(world)["token"]
    shown = events(world, token)
    assert shown.keys() - FILINGS == {f"{name}@127.0.0.1" for name in ("filing.f1", "filing.f2", "answer.r1")}
    assert shown["answer.r1@127.0.0.1"]["DTSTART"] == "20240527"
    world.at("2024-06-03")
    assert "overdue" in events(world, token, "&lang=en")["filing.f1@127.0.0.1"]["DESCRIPTION"]


def test_of_too_many_dates_those_that_are_open_are_shown_first(world: World) -> None:
    for number in range(3):
        put(world, filing(world, f"open{number}", date(2024, 8, 31)))
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        programme, now = desk.lifecycle("henan-2024").programme, world.running.clock.now(tx)
        obligations.put(tx, [
            obligations.closed(programme, filing(world, f"done{number:03}", date(2024, 5, 31)), Whose(ZHENGZHOU),
                               Outcome.MET, now)
            for number in range(510)
        ])  # fmt: skip
    shown = events(world, made(world)["token"])
    assert len(shown) == 500
    assert {f"filing.open{number}@127.0.0.1" for number in range(3)} <= shown.keys()


def test_calendar_programs_count_against_the_public_limit(world: World) -> None:
    token = made(world)["token"]
    world.client.app.state.limits = Limits(Settings(public_per_minute=2))  # type: ignore[attr-defined]
    path = f"/calendar.ics?token={token}"
    assert [world.call(None, "GET", path).status_code for _ in range(3)] == [200, 200, 429]


def test_a_feed_that_was_tampered_with_is_found(world: World) -> None:
    made(world)
    with world.running.db.reading() as tx:
        for change in (f"unit = '{KAIFENG}'", "token_hash = 'x'", "removed_at = created_at"):
            tampering = tx.begin_nested()
            tx.exec_driver_sql(f"UPDATE feeds SET {change}")
            _, broken = verification.verify(tx, SYSTEM)
            tampering.rollback()
            assert [(each.subject_type, each.what) for each in broken] == [("feed", "not what its history says")]


def test_a_key_that_was_forgotten_makes_another_feed_with_a_token_of_its_own(world: World) -> None:
    first = world.call(OFFICER, "POST", "/feeds", {}, key="feed-1")
    world.at("2024-05-24")
    again = world.call(OFFICER, "POST", "/feeds", {}, key="feed-1")
    assert again.status_code == 201, again.text
    assert again.json()["token"] != first.json()["token"]
