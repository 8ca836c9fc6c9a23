"""Who may what: a table over every route of the application, by role, on one's own things and on others'."""

from dataclasses import dataclass

import pytest
from fastapi.routing import iter_route_contexts
from httpx2 import Response

from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"
# Who calls, by the letter in the table: admin, province, unit, expert, enterprise, auditor.
CALLERS = {"A": "admin", "P": "province", "U": OFFICER, "X": "expert", "E": "enterprise", "D": "auditor"}
BOUND = "UXE"

# Every route that asks who is calling, and who may: a new route must be given its line here. Of those who may list and
# move cases at all, the programme says who may which event: that is the table below.
MAY = {
    ("GET", "/api/v1/programmes"): "APUXED",
    ("GET", "/api/v1/programmes/{programme_id}"): "APUXED",
    ("GET", "/api/v1/programmes/{programme_id}/diagram"): "APUXED",
    ("GET", "/api/v1/calendar/days/{day}"): "APUXED",
    ("GET", "/api/v1/calendar/due"): "APUXED",
    ("POST", "/api/v1/enterprises"): "AU",
    ("GET", "/api/v1/enterprises"): "APUED",
    ("GET", "/api/v1/enterprises/{site_id}"): "APUED",
    ("PATCH", "/api/v1/enterprises/{site_id}"): "AU",
    ("POST", "/api/v1/cases"): "U",
    ("POST", "/api/v1/cases/batch"): "U",
    ("GET", "/api/v1/cases"): "APUXED",
    ("POST", "/api/v1/cases/events"): "PUXE",
    ("GET", "/api/v1/cases/{case_id}"): "APUXED",
    ("PATCH", "/api/v1/cases/{case_id}"): "AU",
    ("GET", "/api/v1/cases/{case_id}/offers"): "APUXED",
    ("GET", "/api/v1/cases/{case_id}/history"): "APUXED",
    ("POST", "/api/v1/cases/{case_id}/events"): "PUXE",
    ("POST", "/api/v1/requests"): "UE",
    ("GET", "/api/v1/requests"): "APUXED",
    ("GET", "/api/v1/requests/statistics"): "APUXED",
    ("GET", "/api/v1/requests/{request_id}"): "APUXED",
    ("POST", "/api/v1/requests/{request_id}/assign"): "U",
    ("POST", "/api/v1/requests/{request_id}/answer"): "U",
    ("GET", "/api/v1/contacts"): "APUD",
    ("POST", "/api/v1/contacts"): "APU",
    ("GET", "/api/v1/contacts/{contact_id}"): "APUD",
    ("POST", "/api/v1/contacts/{contact_id}/confirm"): "AU",
    ("PATCH", "/api/v1/contacts/{contact_id}"): "AU",
    ("DELETE", "/api/v1/contacts/{contact_id}"): "AU",
    ("POST", "/api/v1/notices"): "U",
    ("GET", "/api/v1/objections"): "APUD",
    ("GET", "/api/v1/objections/{objection_id}"): "APUD",
    ("POST", "/api/v1/objections/{objection_id}/decide"): "PU",
    ("GET", "/api/v1/filings"): "APUD",
    ("GET", "/api/v1/filings/{filing_id}"): "APUD",
    ("POST", "/api/v1/filings/{filing_id}/submit"): "U",
    ("POST", "/api/v1/filings/{filing_id}/return"): "P",
    ("GET", "/api/v1/obligations"): "APUXED",
    ("GET", "/api/v1/obligations/{obligation_id}"): "APUXED",
    ("GET", "/api/v1/obligations/{obligation_id}/explain"): "APUXED",
    ("GET", "/api/v1/board"): "APUD",
    ("GET", "/api/v1/messages"): "APUD",
    ("GET", "/api/v1/messages/{message_id}"): "APUD",
    ("POST", "/api/v1/messages/{message_id}/retry"): "APU",
    ("POST", "/api/v1/feeds"): "APU",
    ("GET", "/api/v1/feeds"): "APU",
    ("DELETE", "/api/v1/feeds/{feed_id}"): "APU",
    ("POST", "/api/v1/webhooks"): "APU",
    ("GET", "/api/v1/webhooks"): "APU",
    ("DELETE", "/api/v1/webhooks/{webhook_id}"): "APU",
    ("GET", "/api/v1/audit"): "APUXED",
    ("GET", "/api/v1/audit/verify"): "APUXED",
    ("GET", "/api/v1/clock"): "APUXED",
    ("POST", "/api/v1/clock"): "A",
}
# Every route that asks nobody; nothing else may.
PUBLIC = {
    ("GET", "/api/v1/public/notices"),
    ("GET", "/api/v1/public/notices/{notice_id}"),
    ("POST", "/api/v1/public/notices/{notice_id}/objections"),
    ("GET", "/api/v1/public/objections/{receipt}"),
    ("GET", "/api/v1/public/results"),
    ("GET", "/api/v1/calendar.ics"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/static"),
    ("GET", "/"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
}


@dataclass
class Things:
    """The ids that stand for the names in a path: one's own, and those of another unit."""

    own: dict[str, str]
    foreign: dict[str, str]


def _things(world: World, unit: str) -> dict[str, str]:
    officer = f"officer {unit}"
    case = world.listed(unit, reason="补录")
    notice = world.published(case, officer)["notice"]["id"]
    lodged = world.call(None, "POST", f"/public/notices/{notice}/objections", {"case": case, "reasons": "有异议"})
    assert lodged.status_code == 201
    (objection,) = world.call(officer, "GET", "/objections").json()["items"]
    contact = {"unit": unit, "duty": "handler", "name": "刘工", "email": "handler@example.org"}
    contact_id = world.call(officer, "POST", "/contacts", contact).json()["id"]
    world.call(officer, "POST", f"/contacts/{contact_id}/confirm", {}, version=1)
    (message,) = world.call(officer, "GET", "/messages?template=confirm_address").json()["items"]
    need = {"case": case, "kind": "technical", "text": "请指导"}
    request_id = world.call(officer, "POST", "/requests", need).json()["id"]
    feed = world.call(officer, "POST", "/feeds", {}).json()["id"]
    hook = {"url": "https://hooks.example.org/", "events": ["case.moved"]}
    webhook = world.call(officer, "POST", "/webhooks", hook).json()["id"]
    return {
        "message_id": message["id"], "feed_id": feed, "webhook_id": webhook, "request_id": request_id, "contact_id": contact_id,
        "case_id": case, "site_id": world.case(case)["enterprise"]["id"], "objection_id": objection["id"],
        "notice_id": notice, "receipt": lodged.json()["receipt"], "programme_id": "henan-2024", "day": "2024-10-01",
        "filing_id": f"henan-2024.{unit}.list.2024", "obligation_id": f"notice.{case}.{notice}",
    }  # fmt: skip


@pytest.fixture(scope="module")
def things(shared_world: World) -> Things:
    """A published case with an open objection in each of two units, and tokens bound to the first."""
    own, foreign = _things(shared_world, ZHENGZHOU), _things(shared_world, KAIFENG)
    shared_world.token("expert", Role.EXPERT, cases=(own["case_id"],))
    shared_world.token("enterprise", Role.ENTERPRISE, enterprises=(own["site_id"],))
    shared_world.token("enterprise by its case", Role.ENTERPRISE, cases=(own["case_id"],))
    return Things(own, foreign)


def _routes(world: World) -> set[tuple[str, str]]:
    found = set()
    for route in iter_route_contexts(world.client.app.routes):  # type: ignore[attr-defined]
        for method in (route.methods if route.path != "/docs/static" else None) or {"GET"}:
            found.add((method, str(route.path)))
    return found - {("HEAD", path) for _, path in found}


def _ask(world: World, who: str | None, method: str, path: str, names: dict[str, str]) -> Response:
    """Knock at a route with a body and a version that change nothing for anybody."""
    path = path.removeprefix("/api/v1").format(**names)
    if path == "/calendar/due":
        path += "?start=2024-09-27&working_days=5"
    body = {"unit": 0} if path == "/feeds" else {}  # without any, a unit would get one
    return world.call(who, method, path, None if method == "GET" else body, version=None if method == "GET" else 999)


def test_every_route_stands_in_the_table_or_among_the_public_ones(shared_world: World) -> None:
    assert _routes(shared_world) == set(MAY) | PUBLIC


def test_every_route_but_the_public_ones_asks_who_is_calling(shared_world: World, things: Things) -> None:
    for method, path in MAY:
        answer = _ask(shared_world, None, method, path, things.own)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
    for method, path in sorted(PUBLIC):
        path = path.format(**things.own).replace("/docs/static", "/docs/static/swagger-ui.css")
        if path.endswith("/calendar.ics"):  # its token is a matter of its own
            continue
        answer = shared_world.client.request(method, path, follow_redirects=False)
        assert answer.status_code not in (401, 403, 404), (method, path)


@pytest.mark.parametrize("letter", CALLERS)
def test_each_role_comes_in_where_the_table_says_and_nowhere_else(
    shared_world: World, things: Things, letter: str
) -> None:
    for (method, path), roles in MAY.items():
        answer = _ask(shared_world, CALLERS[letter], method, path, things.own)
        if letter in roles:
            assert answer.status_code in (200, 412, 422), (method, path, answer.text)
        else:
            # What a role has no scope over at all is unknown to it.
            assert answer.status_code in (403, 404), (method, path, answer.text)
            assert answer.json()["code"] in ("forbidden", "not_found")


@pytest.mark.parametrize("letter", CALLERS)
def test_things_of_another_unit_are_unknown_to_those_who_are_bound(
    shared_world: World, things: Things, letter: str
) -> None:
    for (method, path), roles in MAY.items():
        if "{" not in path or "{programme_id}" in path or "{day}" in path:
            continue
        answer = _ask(shared_world, CALLERS[letter], method, path, things.foreign)
        unknown = _ask(shared_world, CALLERS[letter], method, path, dict.fromkeys(things.foreign, "nothing"))
        if letter in BOUND:
            wanted = (404,) if letter in roles else (403, 404)
            assert answer.status_code in wanted, (method, path, answer.text)
            # nobody learns from the answer whether it exists
            assert (answer.status_code, answer.json()["code"]) == (unknown.status_code, unknown.json()["code"])
        elif letter in roles:
            assert answer.status_code in (200, 412, 422), (method, path, answer.text)
            assert unknown.status_code == 404


def test_an_enterprise_is_told_of_its_own_site_and_cases_in_the_audit_and_of_nothing_else(world: World) -> None:
    case, neighbour = world.listed(), world.listed()
    site = world.case(case)["enterprise"]["id"]
    world.token("of the site", Role.ENTERPRISE, enterprises=[site])
    world.token("of the case", Role.ENTERPRISE, cases=[case])
    world.token("assessor", Role.EXPERT, cases=[case])
    for who, told in (("of the site", {case, site}), ("of the case", {case}), ("assessor", {case})):
        entries = world.call(who, "GET", "/audit?limit=200").json()["items"]
        assert {entry["subject"]["id"] for entry in entries} == told, who
        assert world.call(who, "GET", f"/audit?subject={neighbour}").json()["items"] == []


@pytest.mark.parametrize("who", [OFFICER, "expert", "enterprise", "enterprise by its case"])
def test_lists_hold_only_what_is_in_scope(shared_world: World, things: Things, who: str) -> None:
    world = shared_world
    cases = {each["id"] for each in world.call(who, "GET", "/cases").json()["items"]}
    assert things.own["case_id"] in cases
    assert things.foreign["case_id"] not in cases
    assert world.call(who, "GET", f"/cases?unit={KAIFENG}").json()["items"] == []
    entries = world.call(who, "GET", "/audit?limit=200").json()["items"]
    told = {entry["subject"]["id"] for entry in entries}
    assert things.own["case_id"] in told
    assert told.isdisjoint(things.foreign.values())
    streamed = world.call(who, "GET", "/audit", headers={"Accept": "application/x-ndjson"}).text
    for thing in ("case_id", "site_id", "objection_id", "notice_id", "request_id", "contact_id"):
        assert things.foreign[thing] not in streamed
    verified = world.call(who, "GET", "/audit/verify").json()
    assert verified["ok"] is True
    assert verified["entries"] == len(streamed.splitlines())
    requests = world.call(who, "GET", "/requests").json()["items"]
    assert [each["id"] for each in requests] == [things.own["request_id"]]
    counted = world.call(who, "GET", "/requests/statistics").json()
    assert [each["unit"] for each in counted["items"]] == [ZHENGZHOU]
    assert (counted["total"]["received"], things.own["request_id"] in told) == (1, True)
    if who == OFFICER:
        assert {each["unit"] for each in world.call(who, "GET", "/contacts").json()["items"]} == {ZHENGZHOU}
        assert {each["unit"] for each in world.call(who, "GET", "/enterprises").json()["items"]} == {ZHENGZHOU}
        assert {each["unit"] for each in world.call(who, "GET", "/objections").json()["items"]} == {ZHENGZHOU}
        assert {entry["unit"] for entry in entries} == {ZHENGZHOU}


def test_those_who_see_all_see_both_units(shared_world: World, things: Things) -> None:
    for who in ("admin", "province", "auditor"):
        cases = {each["id"] for each in shared_world.call(who, "GET", "/cases").json()["items"]}
        assert {things.own["case_id"], things.foreign["case_id"]} <= cases


@pytest.mark.parametrize("letter", CALLERS)
def test_each_event_is_for_the_roles_of_the_programme(shared_world: World, things: Things, letter: str) -> None:
    programme = shared_world.call("admin", "GET", "/programmes/henan-2024").json()
    role = {"A": "admin", "P": "province", "U": "unit", "X": "expert", "E": "enterprise", "D": "auditor"}[letter]
    for event in programme["events"]:
        path = f"/cases/{things.own['case_id']}/events"
        answer = shared_world.call(CALLERS[letter], "POST", path, {"event": event["id"]}, version=999)
        assert answer.status_code == (412 if role in event["roles"] else 403), (event["id"], answer.text)
        if event["kind"] in ("recognise", "lapse", "uphold_objection"):
            assert answer.status_code == 403


@pytest.mark.parametrize("letter", "APXED")
def test_nobody_but_a_unit_lists_a_case_of_this_programme(shared_world: World, things: Things, letter: str) -> None:
    answer = shared_world.call(CALLERS[letter], "POST", "/cases", shared_world.line(reason="补录"))
    assert answer.status_code in (403, 404), answer.text


def test_a_case_cannot_be_listed_or_entered_for_another_unit(shared_world: World) -> None:
    line = shared_world.line(KAIFENG)
    assert shared_world.call(OFFICER, "POST", "/cases", line).status_code == 404
    (result,) = shared_world.call(OFFICER, "POST", "/cases/batch", {"items": [line]}).json()["results"]
    assert (result["ok"], result["code"]) == (False, "not_found")
    site = {
        **line["enterprise"], "unit": KAIFENG, "industry": "foundry", "grade": "C",
    }  # fmt: skip
    assert shared_world.call(OFFICER, "POST", "/enterprises", site).status_code == 404
    mine = shared_world.case(shared_world.listed(reason="补录"))["enterprise"]["id"]
    moved = shared_world.call(OFFICER, "PATCH", f"/enterprises/{mine}", {"unit": KAIFENG}, version=1)
    assert moved.status_code == 422


def test_only_those_who_decide_see_who_objected(shared_world: World) -> None:
    case = shared_world.listed(reason="补录")
    notice = shared_world.published(case)["notice"]["id"]
    contact = {"name": "李证人", "phone": "0371-60005678"}
    body = {"case": case, "reasons": "台账不实", "contact": contact}
    assert shared_world.call(None, "POST", f"/public/notices/{notice}/objections", body).status_code == 201
    seen = {}
    for who in ("admin", "province", "auditor", OFFICER):
        items = shared_world.call(who, "GET", "/objections?limit=200").json()["items"]
        (objection,) = [each for each in items if each["case"] == case]
        single = shared_world.call(who, "GET", f"/objections/{objection['id']}").json()
        assert single["contact"] == objection["contact"]
        seen[who] = single["contact"]
    assert seen["province"]["phone"] == seen[OFFICER]["phone"] == contact["phone"]
    assert seen["auditor"] is None
    assert seen["admin"] is None
