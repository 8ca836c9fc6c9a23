"""Requests of enterprises and the answer within 5 working days (二（五）): dates, handlers, lateness, breaches, figures."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from service.casework import requests
from service.casework.desk import Desk
from service.sample import credit_code
from service.settings import Settings
from service.setup import migrate
from service.storage.tables import Obligation, Request, table
from tests.service.world import KAIFENG, ZHENGZHOU, World, open_world
from workflows.obligations import median_working_days
from workflows.programme import Role
from workflows.working_days import Calendar, packaged_years

OFFICER, SECOND, FOREIGNER = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}", f"officer {KAIFENG}"


def _site(world: World, unit: str = ZHENGZHOU, number: int = 1, **changes: Any) -> str:
    """The id of a site that is A already and has no case."""
    code = credit_code(unit, number)
    body = {
        "unit": unit, "name": f"甲级企业{number}", "credit_code": code, "industry": "glass", "grade": "A",
        "contact": {"name": "王联系", "phone": "0371-60001234"}, **changes,
    }  # fmt: skip
    answer = world.call("admin", "POST", "/enterprises", body)
    assert answer.status_code == 201, answer.text
    site: str = answer.json()["id"]
    return site


@pytest.fixture(scope="module")
def shared_site(shared_world: World) -> str:
    """A site for all that is only refused."""
    return _site(shared_world)


def _contact(world: World, duty: str = "handler", unit: str = ZHENGZHOU) -> str:
    body = {"unit": unit, "duty": duty, "name": "刘工", "email": f"{duty}@example.org"}
    made: str = world.call("admin", "POST", "/contacts", body).json()["id"]
    return made


def _open(world: World, who: str = OFFICER, **body: Any) -> dict[str, Any]:
    answer = world.call(who, "POST", "/requests", {"kind": "technical", "text": "请指导改造的技术路线", **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _answer(world: World, request: dict[str, Any], who: str = OFFICER, text: str = "已现场指导", **more: Any) -> Any:
    more.setdefault("version", world.call("province", "GET", f"/requests/{request['id']}").json()["version"])
    return world.call(who, "POST", f"/requests/{request['id']}/answer", {"text": text}, **more)


def _read(world: World, request: dict[str, Any], who: str = "province") -> dict[str, Any]:
    answer = world.call(who, "GET", f"/requests/{request['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _history(world: World, request: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = world.call("auditor", "GET", f"/audit?subject={request['id']}").json()["items"]
    return entries[::-1]


def _obligation(world: World, request: dict[str, Any]) -> dict[str, Any]:
    rows = table(Obligation)
    with world.running.db.reading() as tx:
        return dict(tx.execute(select(rows).where(rows.c.id == f"answer.{request['id']}")).mappings().one())


def _sweep(world: World, *requests_: dict[str, Any]) -> list[str]:
    """What the sweep does for requests whose term is over."""
    with world.running.db.transaction() as tx:
        now = world.running.clock.now(tx)
        return requests.record_breach(Desk(tx, world.running.books), [each["id"] for each in requests_], now)


# --- when it is due ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received_at", "due_on", "due_at"),
    [
        ("2024-09-27T10:00:00+08:00", "2024-10-10", "2024-10-11T00:00:00+08:00"),
        ("2024-09-30T10:00:00+08:00", "2024-10-12", "2024-10-13T00:00:00+08:00"),  # a Saturday that is worked
        ("2024-12-27T10:00:00+08:00", "2025-01-06", "2025-01-07T00:00:00+08:00"),
        # One second before and at midnight in Shanghai, which is 16:00 in UTC.
        ("2024-09-29T15:59:59Z", "2024-10-11", "2024-10-12T00:00:00+08:00"),
        ("2024-09-29T16:00:00Z", "2024-10-12", "2024-10-13T00:00:00+08:00"),
    ],
)
def test_w5_the_answer_is_due_at_24_00_of_the_fifth_working_day_after_the_day_of_receipt(
    world: World, received_at: str, due_on: str, due_at: str
) -> None:
    site = _site(world)
    world.at(received_at)
    request = _open(world, enterprise=site)
    assert (request["state"], request["due_on"], request["due_at"]) == ("open", due_on, due_at)
    assert (request["provisional"], request["version"]) == (False, 1)
    world.at("2025-01-10")
    earlier = _open(world, enterprise=site, received_at=received_at)
    assert (earlier["due_on"], earlier["due_at"], earlier["state"]) == (due_on, due_at, "overdue")
    assert earlier["opened_at"] == "2025-01-10T09:00:00+08:00"


def test_w5_the_walk_shows_each_day_and_its_number(world: World) -> None:
    world.at("2024-09-27T10:00:00+08:00")
    request = _open(world, enterprise=_site(world))
    walk = _read(world, request)["walk"]
    assert walk == request["walk"]
    assert [(day["date"], day["kind"], day["number"]) for day in walk[:3]] == [
        ("2024-09-28", "weekend", None), ("2024-09-29", "make_up", 1), ("2024-09-30", "weekday", 2),
    ]  # fmt: skip
    assert {day["kind"] for day in walk[3:10]} == {"off"}
    assert [(day["date"], day["number"]) for day in walk if day["counted"]][-1] == ("2024-10-10", 5)


def test_w5_the_rungs_stand_from_the_handler_to_the_breach_in_office_hours(world: World) -> None:
    world.at("2024-09-27T10:00:00+08:00")
    request = _open(world, enterprise=_site(world))
    assert [(rung["rung"], rung["at"]) for rung in request["rungs"]] == [
        ("handed", "2024-09-27T10:00:00+08:00"),
        ("working-day-3", "2024-10-08T08:30:00+08:00"),
        ("working-day-4", "2024-10-09T08:30:00+08:00"),
        ("due", "2024-10-10T08:30:00+08:00"),
        ("breach", "2024-10-11T00:00:00+08:00"),
    ]
    assert all(rung["sent"] == [] for rung in request["rungs"])


def test_w5_the_end_is_provisional_where_the_days_off_are_not_known_yet(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'jinji.db'}", clock="virtual:2026-12-17T09:00:00+08:00")
    migrate(settings)
    world = open_world(settings)
    with world.client:
        site = _site(world)
        known = _open(world, enterprise=site)
        assert (known["due_on"], known["provisional"]) == ("2026-12-24", False)
        world.at("2026-12-18")
        last_week = _open(world, enterprise=site)
        assert (last_week["due_on"], last_week["provisional"]) == ("2026-12-25", True)
        world.at("2026-12-30")
        across = _open(world, enterprise=site)
        assert (across["due_on"], across["provisional"]) == ("2027-01-06", True)
        assert _obligation(world, across)["provisional"] is True
        assert {day["kind"] for day in across["walk"][2:]} == {"unknown"}


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_w5_a_request_is_of_a_case_by_its_programme_or_of_a_site_by_the_newest(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    of_case, of_site = _open(world, case=case), _open(world, enterprise=_site(world), kind="policy")
    assert (of_case["case"], of_case["enterprise"], of_case["kind"]) == (case, site, "technical")
    assert (of_site["case"], of_site["unit"], of_site["kind"]) == (None, ZHENGZHOU, "policy")
    for request in (of_case, of_site):
        assert (request["programme"], request["programme_version"]) == ("henan-2024", 1)
        assert world.call(OFFICER, "GET", f"/requests/{request['id']}").headers["etag"] == '"1"'


@pytest.mark.parametrize("both", [True, False])
def test_either_the_case_or_the_site_is_named(shared_world: World, both: bool) -> None:
    body = {"kind": "other", "text": "有需求"} | ({"case": "one", "enterprise": "other"} if both else {})
    answer = shared_world.call(OFFICER, "POST", "/requests", body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "one_of_both")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"kind": "weather"}, "kind", "unknown_value"),
        ({"text": " \n "}, "text", "too_short"),
        ({"text": "\u200b"}, "text", "unprintable_text"),
        ({"received_at": "2024-05-20T09:00:00"}, "received_at", "not_an_instant"),
        ({"received_at": "2024-05-20T09:00:01+08:00"}, "received_at", "in_the_future"),
        ({"handler": "x"}, "handler", "unknown_field"),
    ],
)
def test_a_request_is_taken_strictly(
    shared_world: World, shared_site: str, changes: dict[str, Any], field: str, code: str
) -> None:
    body = {"enterprise": shared_site, "kind": "technical", "text": "请指导", **changes}
    answer = shared_world.call(OFFICER, "POST", "/requests", body)
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["code"]) == (field, code)
    assert shared_world.call(OFFICER, "GET", "/requests").json()["items"] == []


def test_the_enterprise_asks_for_its_own_things_and_sees_the_answer(world: World) -> None:
    case, foreign = world.listed(), world.listed(KAIFENG)
    site = world.case(case)["enterprise"]["id"]
    world.token("enterprise", Role.ENTERPRISE, enterprises=(site,))
    world.token("by its case", Role.ENTERPRISE, cases=(case,))
    mine, same = _open(world, "enterprise", enterprise=site), _open(world, "by its case", case=case)
    for who, wanted in (("enterprise", [mine, same]), ("by its case", [same])):
        items = world.call(who, "GET", "/requests").json()["items"]
        assert [each["id"] for each in items] == [each["id"] for each in wanted]
        body = {"case": foreign, "kind": "other", "text": "有需求"}
        assert world.call(who, "POST", "/requests", body).status_code == 404
    assert world.call("by its case", "GET", f"/requests/{mine['id']}").status_code == 404
    assert _answer(world, same, "enterprise").status_code == 403
    assert _answer(world, same).status_code == 200
    assert _read(world, same, "by its case")["answer"] == "已现场指导"
    assert [entry["action"] for entry in world.call("by its case", "GET", f"/audit?subject={same['id']}").json()["items"]] == [
        "answer", "open",
    ]  # fmt: skip


def test_a_foreign_unit_neither_opens_nor_sees_nor_answers_a_request(world: World) -> None:
    case = world.listed()
    request = _open(world, case=case)
    body = {"case": case, "kind": "other", "text": "有需求"}
    assert world.call(FOREIGNER, "POST", "/requests", body).status_code == 404
    assert world.call(FOREIGNER, "GET", f"/requests/{request['id']}").status_code == 404
    assert world.call(FOREIGNER, "GET", "/requests").json()["items"] == []
    assert _answer(world, request, FOREIGNER).status_code == 404
    assert world.call(FOREIGNER, "POST", f"/requests/{request['id']}/assign", {"handler": "x"}).status_code == 404
    for who in ("province", "admin", "auditor"):
        assert _answer(world, request, who).status_code == 403


# --- handlers ---------------------------------------------------------------------------------------------------------


def test_a_request_goes_to_the_first_handler_of_its_unit_or_to_nobody(world: World) -> None:
    site = _site(world)
    _contact(world, "officer")
    _contact(world, "handler", KAIFENG)
    assert _open(world, enterprise=site)["handler"] is None
    first = _contact(world)
    _contact(world)
    request = _open(world, enterprise=site)
    assert (request["handler"], _obligation(world, request)["handler"]) == (first, first)
    world.call(OFFICER, "DELETE", f"/contacts/{first}")
    assert _open(world, enterprise=site)["handler"] not in (first, None)


def test_assigning_gives_it_and_its_obligation_to_another_contact_of_the_unit(world: World) -> None:
    first, officer = _contact(world), _contact(world, "officer")
    request = _open(world, enterprise=_site(world))
    world.at("2024-05-20T20:00:00+08:00")
    path = f"/requests/{request['id']}/assign"
    assert world.call(OFFICER, "POST", path, {"handler": officer}).status_code == 428
    answer = world.call(OFFICER, "POST", path, {"handler": officer}, version=1)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["handler"], answer.headers["etag"]) == (officer, '"2"')
    owed = _obligation(world, request)
    assert (owed["handler"], owed["status"]) == (officer, "open")
    assert owed["next_at"] <= datetime.fromisoformat("2024-05-21T08:30:00+08:00")
    entry = _history(world, request)[-1]
    assert (entry["action"], entry["changes"], entry["actor"]["name"]) == ("assign", {"handler": officer}, OFFICER)
    assert world.call(OFFICER, "POST", path, {"handler": first}, version=1).status_code == 412
    again = world.call(OFFICER, "POST", path, {"handler": officer}, version=2)
    assert (again.status_code, again.json()["version"], len(_history(world, request))) == (200, 2, 2)


def test_somebody_who_is_no_contact_of_the_unit_is_given_nothing(world: World) -> None:
    removed = _contact(world)
    world.call(OFFICER, "DELETE", f"/contacts/{removed}")
    request = _open(world, enterprise=_site(world))
    for handler in (_contact(world, unit=KAIFENG), _contact(world, "supervisor", "410000"), removed, "nobody"):
        answer = world.call(OFFICER, "POST", f"/requests/{request['id']}/assign", {"handler": handler}, version=1)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown_handler")
    assert _obligation(world, request)["handler"] is None


# --- answers and breaches ---------------------------------------------------------------------------------------------


def test_an_answer_in_the_last_moment_of_the_term_is_in_time(world: World) -> None:
    world.at("2024-09-27T10:00:00+08:00")
    request = _open(world, enterprise=_site(world))
    world.at("2024-10-10T23:59:59.999999+08:00")
    answer = _answer(world, request, SECOND)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["late"], told["breached_at"]) == ("answered", False, None)
    assert (told["answered_at"], told["answer"]) == ("2024-10-10T23:59:59.999999+08:00", "已现场指导")
    assert (_obligation(world, request)["status"], _obligation(world, request)["next_at"]) == ("met", None)
    entry = _history(world, request)[-1]
    assert (entry["action"], entry["data"]) == ("answer", {"answer": "已现场指导", "late": False})
    world.at("2024-10-11")
    assert _sweep(world, request) == []
    assert [entry["action"] for entry in _history(world, request)] == ["open", "answer"]


def test_a_breach_is_a_fact_of_its_own_instant_that_a_late_answer_does_not_erase(world: World) -> None:
    world.at("2024-09-27T10:00:00+08:00")
    request = _open(world, enterprise=_site(world))
    world.passes_unseen("2024-10-14T12:00:00+08:00")
    assert _sweep(world, request) == [request["id"]]
    assert _sweep(world, request) == []  # a second sweep changes nothing
    breached = _read(world, request)
    assert (breached["state"], breached["breached_at"]) == ("overdue", "2024-10-11T00:00:00+08:00")
    entry = _history(world, request)[-1]
    assert (entry["action"], entry["actor"]["role"], entry["at"]) == ("breach", "system", "2024-10-14T12:00:00+08:00")
    assert entry["data"] == {"due_on": "2024-10-10", "breached_at": "2024-10-10T16:00:00.000000Z"}
    told = _answer(world, request).json()
    assert (told["state"], told["late"], told["breached_at"]) == ("answered", True, "2024-10-11T00:00:00+08:00")
    assert [entry["action"] for entry in _history(world, request)] == ["open", "breach", "answer"]
    assert _obligation(world, request)["status"] == "met_late"
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


def test_a_late_answer_before_any_sweep_records_the_breach_itself(world: World) -> None:
    request = _open(world, enterprise=_site(world))
    world.passes_unseen("2024-05-28T00:00:00+08:00")  # the very end of the term
    told = _answer(world, request).json()
    assert (told["late"], told["breached_at"], told["version"]) == (True, "2024-05-28T00:00:00+08:00", 3)
    opened, breach, answer = _history(world, request)
    assert [each["actor"]["role"] for each in (opened, breach, answer)] == ["unit", "system", "unit"]
    assert (breach["action"], breach["data"]["due_on"]) == ("breach", "2024-05-27")
    assert _sweep(world, request) == []


def test_many_breaches_are_recorded_at_once_and_none_before_its_time(world: World) -> None:
    site = _site(world)
    early = [_open(world, enterprise=site) for _ in range(3)]
    world.at("2024-05-21")
    later = _open(world, enterprise=site)
    world.passes_unseen("2024-05-28T00:00:00+08:00")
    assert _sweep(world, later, *early) == [each["id"] for each in early]
    assert [_read(world, each)["state"] for each in (*early, later)] == ["overdue"] * 3 + ["open"]
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


def test_sweeps_at_once_record_a_breach_once(world: World) -> None:
    site = _site(world)
    overdue = [_open(world, enterprise=site) for _ in range(20)]
    world.passes_unseen("2024-06-03T09:00:00+08:00")
    together = Barrier(4)

    def sweep(_: int) -> list[str]:
        together.wait()
        return _sweep(world, *overdue)

    with ThreadPoolExecutor(4) as pool:
        recorded = [id_ for each in pool.map(sweep, range(4)) for id_ in each]
    assert sorted(recorded) == sorted(each["id"] for each in overdue)
    assert all([entry["action"] for entry in _history(world, each)] == ["open", "breach"] for each in overdue)


def test_a_request_is_answered_once_with_something_in_the_version_that_was_read(world: World) -> None:
    handler = _contact(world)
    request = _open(world, enterprise=_site(world))
    for text in ("", "  ", "\n"):
        assert _answer(world, request, text=text).status_code == 422
    assert world.call(OFFICER, "POST", f"/requests/{request['id']}/answer", {"text": "好"}).status_code == 428
    assert _answer(world, request, version=2).status_code == 412
    assert _answer(world, request, key="once").status_code == 200
    assert _answer(world, request, key="once", version=1).headers["idempotent-replayed"] == "true"
    again = _answer(world, request, SECOND, "另一答复")
    assert (again.status_code, again.json()["code"]) == (409, "request_answered")
    path = f"/requests/{request['id']}/assign"
    assigned = world.call(OFFICER, "POST", path, {"handler": handler}, version=2)
    assert (assigned.status_code, assigned.json()["code"]) == (409, "request_answered")
    assert _read(world, request)["answer"] == "已现场指导"


def test_a_request_changed_behind_the_audit_is_found_out(world: World) -> None:
    request, rows = _open(world, enterprise=_site(world)), table(Request)
    world.at("2024-06-03")
    assert _answer(world, request).status_code == 200
    with world.running.db.reading() as tx:
        whole = dict(tx.execute(select(rows)).mappings().one())
    for change in (
        {"text": "别的"}, {"answer": "别的"}, {"handler": "somebody"}, {"due_on": world.now().date()},
        {"breached_at": None}, {"late": False}, {"answered_at": whole["opened_at"]},
    ):  # fmt: skip
        with world.running.db.transaction() as tx:
            tx.execute(rows.update().values({**whole, **change}))
        (broken,) = world.call("auditor", "GET", "/audit/verify").json()["broken"]
        assert (broken["subject"]["id"], broken["what"]) == (request["id"], "not what its history says"), change
    with world.running.db.transaction() as tx:
        tx.execute(rows.update().values(whole))
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


# --- lists and figures ------------------------------------------------------------------------------------------------


def test_requests_are_filtered_by_all_that_the_contract_names(world: World) -> None:
    case = world.listed()
    site, foreign = _site(world), _site(world, KAIFENG)
    answered, overdue = _open(world, case=case), _open(world, enterprise=site, kind="funding")
    _answer(world, answered)
    world.at("2024-05-27")
    still_open = _open(world, FOREIGNER, enterprise=foreign)
    world.at("2024-05-28T00:00:00+08:00")
    names = {answered["id"]: "answered", overdue["id"]: "overdue", still_open["id"]: "open"}

    def found(query: str = "", who: str = "province") -> list[str]:
        answer = world.call(who, "GET", f"/requests{query}")
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        assert all(item["state"] == names[item["id"]] and "walk" not in item for item in items)
        return [names[item["id"]] for item in items]

    assert found() == ["answered", "overdue", "open"]
    for state in ("answered", "overdue", "open"):
        assert found(f"?state={state}") == [state]
    assert found(f"?unit={KAIFENG}") == ["open"]
    assert found("?kind=funding") == ["overdue"]
    assert found(f"?case={case}") == ["answered"]
    assert found(f"?enterprise={site}") == ["overdue"]
    assert found("?state=overdue", OFFICER) == ["overdue"]
    assert found("?state=open", OFFICER) == []
    first = world.call("province", "GET", "/requests?limit=2").json()
    assert found(f"?limit=2&cursor={first['next']}") == ["open"]
    assert world.call("province", "GET", "/requests?state=late").status_code == 422


def test_w5_the_figures_tell_by_unit_and_kind_how_requests_were_answered(world: World) -> None:
    site, foreign = _site(world), _site(world, KAIFENG)
    for day in ("2024-05-21", "2024-05-22", "2024-05-24", "2024-05-29"):  # after 1, 2, 4 and, late, 7 working days
        _open(world, enterprise=site, text=day, received_at="2024-05-20T08:00:00+08:00")
    _open(world, enterprise=site)  # never answered
    _open(world, FOREIGNER, enterprise=foreign, kind="policy")
    for request in world.call(OFFICER, "GET", "/requests").json()["items"]:
        if request["text"].startswith("2024"):
            world.at(request["text"])
            assert _answer(world, request).status_code == 200
    _open(world, enterprise=site)  # has time
    _open(world, enterprise=site, kind="funding")
    told = world.call("province", "GET", "/requests/statistics").json()
    by = {(each["unit"], each["kind"]): each for each in told["items"]}
    assert list(by) == [(ZHENGZHOU, "funding"), (ZHENGZHOU, "technical"), (KAIFENG, "policy")]
    assert by[ZHENGZHOU, "technical"] == {
        "unit": ZHENGZHOU, "kind": "technical", "received": 6, "answered": 4, "answered_late": 1, "open": 1,
        "overdue": 1, "median_working_days": 3.0, "share_in_time": 0.6,
    }  # fmt: skip
    assert by[ZHENGZHOU, "funding"]["median_working_days"] is None
    assert by[ZHENGZHOU, "funding"]["share_in_time"] is None
    assert (by[KAIFENG, "policy"]["overdue"], by[KAIFENG, "policy"]["share_in_time"]) == (1, 0.0)
    assert (told["total"]["received"], told["total"]["share_in_time"]) == (8, 0.5)
    one = world.call("province", "GET", f"/requests/statistics?unit={KAIFENG}&kind=policy").json()
    assert one["items"] == [by[KAIFENG, "policy"]]

    def received(query: str) -> int:
        count: int = world.call("province", "GET", f"/requests/statistics?{query}").json()["total"]["received"]
        return count

    assert (received("from=2024-05-20&to=2024-05-20"), received("to=2024-05-19"), received("from=2024-05-21")) == (
        6,
        0,
        2,
    )
    assert received("from=2024-05-29") == 2
    assert world.call("province", "GET", "/requests/statistics?from=0001-01-01").status_code == 422


def test_w5_the_median_counts_working_days_after_the_day_of_receipt() -> None:
    calendar = Calendar(packaged_years())
    received = datetime.fromisoformat("2024-09-27T23:00:00+08:00")
    answered = [datetime.fromisoformat(f"{day}T00:30:00+08:00") for day in ("2024-09-27", "2024-09-29", "2024-10-08")]
    assert median_working_days(calendar, [(received, at) for at in answered]) == 1
    assert median_working_days(calendar, [(received, at) for at in answered[1:]]) == 2
    assert median_working_days(calendar, []) is None


def test_w5_what_an_enterprise_asks_here_is_received_today_and_leaves_the_whole_term(world: World) -> None:
    case = world.listed()
    world.token("enterprise", Role.ENTERPRISE, cases=(case,))
    world.at("2024-06-12T00:30:00+08:00")
    body = {"case": case, "kind": "other", "text": "早已提出", "received_at": "2024-06-11T23:59:59+08:00"}
    refused = world.call("enterprise", "POST", "/requests", body)
    (fault,) = refused.json()["errors"]
    assert (refused.status_code, fault["code"], fault["clause"]) == (422, "received_earlier", "W5")
    assert world.call(OFFICER, "POST", "/requests", body).status_code == 201
    today = {**body, "received_at": "2024-06-12T00:00:00+08:00"}
    assert world.call("enterprise", "POST", "/requests", today).json()["due_on"] == "2024-06-19"
