"""The manners of the REST contract: the order of errors, problems, versions, content types, pages and cursors."""

import base64
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import pytest
from httpx2 import Response

from service.access import SYSTEM, Act
from service.api.edge import Limits
from service.casework import tokens
from service.casework.desk import Desk
from service.settings import Settings
from service.storage.db import THREADS, Database
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER, SECOND, FOREIGNER = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}", f"officer {KAIFENG}"
CONTACT = {"name": "李证人", "phone": "0371-60005678"}


@dataclass(frozen=True)
class Wrong:
    """A request with chosen faults, each named by the status that it must earn; 409 stands in every request."""

    send: Callable[[set[int], bool], Response]
    statuses: tuple[int, ...]


def _event(world: World) -> Wrong:
    case, other = world.listed(), world.listed()
    world.call(OFFICER, "POST", f"/cases/{other}/events", {"event": "publish"}, key="used-for-an-event", version=1)

    def send(faults: set[int], key_reused: bool) -> Response:
        day = {"reviewed_on": "2024-05-20", "reviewers": ["钱工"], "conclusion": "好"}
        body: dict[str, Any] = {"event": "accept", "data": day}
        if 422 in faults:
            body["nonsense"] = 1
        return world.call(
            _who(faults), "POST", f"/cases/{'nothing' if 404 in faults else case}/events", body,
            version=_version(faults, 1), key="used-for-an-event" if key_reused else None,
        )  # fmt: skip

    return Wrong(send, (401, 404, 403, 428, 412, 422, 409))


def _case_patch(world: World) -> Wrong:
    case = world.listed()
    world.planned(case)

    def send(faults: set[int], key_reused: bool) -> Response:
        body: dict[str, Any] = {"target_grade": "A"}
        if 422 in faults:
            body["state"] = "recognised"
        path = f"/cases/{'nothing' if 404 in faults else case}"
        return world.call(_who(faults), "PATCH", path, body, version=_version(faults, 3))

    return Wrong(send, (401, 404, 403, 428, 412, 422, 409))


def _site_patch(world: World) -> Wrong:
    lines = [world.line(), world.line()]
    for line in lines:
        line["enterprise"]["permit_no"] = None
        made = world.call(OFFICER, "POST", "/cases", line)
        assert made.status_code == 201
    site = made.json()["enterprise"]["id"]
    taken = lines[0]["enterprise"]["credit_code"]

    def send(faults: set[int], key_reused: bool) -> Response:
        body: dict[str, Any] = {"credit_code": taken}
        if 422 in faults:
            body["name"] = ""
        path = f"/enterprises/{'nothing' if 404 in faults else site}"
        return world.call(_who(faults), "PATCH", path, body, version=_version(faults, 1))

    return Wrong(send, (401, 404, 403, 428, 412, 422, 409))


def _listing(world: World) -> Wrong:
    line = world.line()
    assert world.call(OFFICER, "POST", "/cases", line, key="used-for-a-listing").status_code == 201

    def send(faults: set[int], key_reused: bool) -> Response:
        body = {**line, "remark": "another body"}
        if 422 in faults:
            body["industry"] = "tailoring"
        return world.call(_who(faults), "POST", "/cases", body, key="used-for-a-listing" if key_reused else None)

    return Wrong(send, (401, 403, 422, 409))


def _clock(world: World) -> Wrong:
    used = world.call("admin", "POST", "/clock", {"to": world.now().isoformat()}, key="used-for-the-clock")
    assert used.status_code == 200

    def send(faults: set[int], key_reused: bool) -> Response:
        body = {"to": "soon" if 422 in faults else "2024-01-01T00:00:00+08:00"}
        who = "admin" if _who(faults) == OFFICER else _who(faults)
        return world.call(who, "POST", "/clock", body, key="used-for-the-clock" if key_reused else None)

    return Wrong(send, (401, 403, 422, 409))


def _who(faults: set[int]) -> str | None:
    return None if 401 in faults else "auditor" if 403 in faults else OFFICER


def _version(faults: set[int], current: int) -> int | None:
    return None if 428 in faults else 99 if 412 in faults else current


@pytest.mark.parametrize(
    "route", [_event, _case_patch, _site_patch, _listing, _clock], ids=lambda route: route.__name__
)
def test_of_two_faults_the_one_that_stands_first_in_the_order_is_told(
    world: World, route: Callable[[World], Wrong]
) -> None:
    wrong = route(world)
    takes_key = route in (_event, _listing, _clock)
    for first, second in combinations(wrong.statuses, 2):
        if (first, second) == (428, 412):  # a version that is missing is not stale
            continue
        answer = wrong.send({first, second}, False)
        assert answer.status_code == first, (first, second, answer.text)
    assert wrong.send({409}, False).status_code == 409
    if takes_key:
        for status in wrong.statuses:
            answer = wrong.send({status}, True)
            if status in (401, 404, 403):
                assert answer.status_code == status
            else:
                assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused"), status


def test_a_public_objection_is_looked_at_in_the_same_order(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    path, body = f"/public/notices/{notice}/objections", {"case": case, "reasons": "有异议"}
    malformed = {"case": case, "nonsense": 1}
    assert world.call(None, "POST", "/public/notices/nothing/objections", malformed).status_code == 404
    assert world.call(None, "POST", path, body, key="one-of-sixteen-signs").status_code == 201
    reused = world.call(None, "POST", path, malformed, key="one-of-sixteen-signs")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    world.at("2024-09-11")
    assert world.call(None, "POST", path, malformed).json()["code"] == "malformed"
    assert world.call(None, "POST", path, body).json()["code"] == "notice_over"


def test_a_problem_says_everything_in_the_language_that_is_preferred(shared_world: World) -> None:
    world = shared_world
    case = world.listed()
    said = {}
    for language, shown in ((None, "zh-CN"), ("zh-CN", "zh-CN"), ("en", "en"), ("en;q=0.5, zh;q=0.9", "zh-CN"),
                            ("fr, en;q=0.2", "en"), ("fr", "zh-CN"), ("en;q=nonsense", "zh-CN")):  # fmt: skip
        answer = world.event(OFFICER, case, "publish", language=language)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["content-language"] == shown, language
        assert "Accept-Language" in answer.headers["vary"]
        said[shown] = answer.json()
    for problem in said.values():
        assert set(problem) == {"type", "title", "status", "detail", "code", "instance", "errors"}
        assert problem["type"] == "urn:jinji:problem:event_refused"
        assert (problem["status"], problem["instance"]) == (409, f"/api/v1/cases/{case}/events")
        for reason in problem["errors"]:
            assert set(reason) == {"code", "detail", "clause", "field", "who", "until"}
    assert said["zh-CN"]["errors"][0]["detail"] != said["en"]["errors"][0]["detail"]
    assert said["zh-CN"]["title"] == "当前不可行"
    assert said["en"]["title"] == "Not possible now"


def test_what_no_route_answers_is_a_problem_too(shared_world: World) -> None:
    for language in ("zh-CN", "en"):
        nowhere = shared_world.call(None, "GET", "/nowhere", language=language)
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
        wrong = shared_world.call(OFFICER, "DELETE", "/cases", language=language)
        assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
        assert wrong.headers["content-type"] == "application/problem+json"
        assert wrong.headers["content-language"] == language
        assert "GET" in wrong.headers["allow"] or "POST" in wrong.headers["allow"]


def test_a_token_that_is_missing_wrong_expired_or_revoked_is_401(world: World) -> None:
    world.token("for a day", Role.AUDITOR, expires_at=world.now().replace(day=21))
    world.token("revoked", Role.AUDITOR)
    for said in (b"Bearer nonsense", b"Bearer ", b"Basic abc", b"Bearer \xe9"):
        answer = world.client.get("/api/v1/cases", headers={b"Authorization": said})
        assert answer.status_code == 401, said
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "unauthenticated"
    assert world.call("for a day", "GET", "/cases").status_code == 200
    world.at("2024-05-21")
    assert world.call("for a day", "GET", "/cases").status_code == 401
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        (row,) = [row for row in tokens.everyone(desk) if row.name == "revoked"]
        tokens.revoke(desk, Act(SYSTEM, world.now()), row.id)
    assert world.call("revoked", "GET", "/cases").status_code == 401


def test_every_answer_carries_the_request_id_which_also_stands_in_the_audit(world: World) -> None:
    case = world.listed()
    made = world.call(OFFICER, "POST", "/cases", world.line())
    world.at("2024-06-03")
    data = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "未封闭"}}
    answer = world.event(OFFICER, case, "pre_assess", data, headers={"X-Request-Id": "client-said-0001"})
    assert answer.headers["x-request-id"] == "client-said-0001"
    (entry,) = world.call("auditor", "GET", "/audit?request_id=client-said-0001").json()["items"]
    assert (entry["subject"]["id"], entry["action"]) == (case, "pre_assess")
    for said in ("short", "a" * 65, "with blank 12", ""):
        given = world.call(OFFICER, "GET", "/cases", headers={"X-Request-Id": said}).headers["x-request-id"]
        assert given != said
        assert len(given) == 32
    assert world.call(None, "GET", "/cases").headers["x-request-id"]
    entries = world.call("auditor", "GET", f"/audit?request_id={made.headers['x-request-id']}").json()["items"]
    assert {entry["subject"]["type"] for entry in entries} == {"case", "enterprise"}


def test_every_answer_with_one_thing_carries_its_version_as_etag(world: World) -> None:
    case = world.listed()
    site = world.case(case)["enterprise"]["id"]
    notice = world.published(case)["notice"]["id"]
    lodged = world.call(None, "POST", f"/public/notices/{notice}/objections", {"case": case, "reasons": "有异议"})
    objection = world.call(OFFICER, "GET", "/objections").json()["items"][0]["id"]
    for path in (f"/cases/{case}", f"/enterprises/{site}", f"/public/notices/{notice}", f"/objections/{objection}"):
        answer = world.call(OFFICER, "GET", path)
        assert answer.headers["etag"] == f'"{answer.json()["version"]}"', path
        known = world.call(OFFICER, "GET", path, headers={"If-None-Match": answer.headers["etag"]})
        assert (known.status_code, known.json()) == (200, answer.json())  # names and sentences change without it
    assert world.call(OFFICER, "GET", "/programmes/henan-2024").headers["etag"] == '"1"'
    assert world.call(None, "GET", f"/public/objections/{lodged.json()['receipt']}").status_code == 200


def test_if_match_takes_a_strong_tag_or_a_list_with_it_and_nothing_else(world: World) -> None:
    case = world.listed()
    for said in ('"2"', 'W/"1"', "1", '""', '"1', "nonsense", '"１"', '"' + "1" * 5000 + '"', '"-1"'):
        answer = world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "x"}, headers={"If-Match": _latin(said)})
        assert (answer.status_code, answer.json()["version"]) == (412, 1), said[:20]
        answer = world.event(OFFICER, case, "publish", version=None, headers={"If-Match": _latin(said)})
        assert answer.status_code == 412, said[:20]
    for said in ('"1"', '"7", "2"', ' "3" ,W/"9"'):
        answer = world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": said}, headers={"If-Match": said})
        assert answer.status_code == 200, answer.text
    assert world.case(case)["version"] == 4


def _latin(said: str) -> Any:
    return said.encode()


def test_a_body_that_is_not_json_by_its_type_is_415(shared_world: World) -> None:
    world = shared_world
    case = world.listed()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        headers = {"Authorization": f"Bearer {world.secrets[OFFICER]}", "If-Match": '"1"'}
        if kind is not None:
            headers["Content-Type"] = kind
        for method, path in (("POST", "/cases"), ("POST", f"/cases/{case}/events"), ("PATCH", f"/cases/{case}")):
            answer = world.client.request(method, f"/api/v1{path}", content=b'{"remark": "x"}', headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), (kind, path)
    assert world.case(case)["version"] == 1
    headers = {**headers, "Content-Type": "application/json; charset=utf-8"}
    answer = world.client.request(
        "PATCH", f"/api/v1/cases/{case}", content='{"remark": "好"}'.encode(), headers=headers
    )
    assert answer.status_code == 200


def test_answers_are_json_in_utf_8_and_instants_carry_the_offset_of_the_province(shared_world: World) -> None:
    case = shared_world.listed()
    answer = shared_world.call(OFFICER, "GET", f"/cases/{case}")
    assert answer.headers["content-type"] == "application/json"
    assert "测试企业".encode() in answer.content
    assert answer.json()["listed_at"].endswith("+08:00")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- pages ------------------------------------------------------------------------------------------------------------


def _walk(world: World, who: str | None, path: str, limit: int) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    for _ in range(100):
        page = world.call(who, "GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}").json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == limit
        cursor = f"&cursor={page['next']}"
    raise AssertionError("the pages do not end")


def test_pages_hold_everything_once_in_order_whatever_their_size(world: World) -> None:
    cases = [world.listed() for _ in range(5)]
    for limit in (1, 2, 5, 200):
        assert [each["id"] for each in _walk(world, OFFICER, "/cases", limit)] == cases
        assert len(_walk(world, OFFICER, "/enterprises", limit)) == 5
    everything = _walk(world, "auditor", "/audit", 200)
    assert _walk(world, "auditor", "/audit", 7) == everything
    assert [each["at"] for each in everything] == sorted((each["at"] for each in everything), reverse=True)
    assert len({each["id"] for each in everything}) == len(everything)
    assert world.call(OFFICER, "GET", "/cases").json()["next"] is None


def test_a_page_that_grew_meanwhile_shows_nothing_twice(world: World) -> None:
    cases = [world.listed() for _ in range(3)]
    first = world.call("auditor", "GET", "/audit?subject_type=case&limit=2").json()
    late = world.listed()
    rest = world.call("auditor", "GET", f"/audit?subject_type=case&limit=2&cursor={first['next']}").json()
    seen = [entry["subject"]["id"] for entry in first["items"] + rest["items"]]
    assert sorted(seen) == sorted(cases)
    assert late not in seen


def test_a_limit_outside_1_to_200_is_422(shared_world: World) -> None:
    for path in ("/cases", "/enterprises", "/audit", "/objections", "/public/notices", "/public/results"):
        for limit in ("0", "201", "-1", "many", "1.5", "9" * 50):
            answer = shared_world.call(OFFICER, "GET", f"{path}?limit={limit}")
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit"), (path, limit)


def test_a_cursor_is_good_only_for_the_list_that_gave_it_out_and_unchanged(world: World) -> None:
    for _ in range(3):
        world.listed()
    cursor = world.call(OFFICER, "GET", "/cases?limit=1").json()["next"]
    assert world.call(OFFICER, "GET", f"/cases?limit=2&cursor={cursor}").status_code == 200
    assert world.call(SECOND, "GET", f"/cases?cursor={cursor}").status_code == 200
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    tampered = [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(len(cursor))]
    tampered += [cursor[:-1], cursor + "A", cursor + "=", cursor + "!", "!" + cursor, "A", "", "游标"]
    tampered += [base64.urlsafe_b64encode(raw[16:]).decode(), base64.urlsafe_b64encode(raw[:16]).decode()]
    for said in tampered:
        answer = world.client.get(
            "/api/v1/cases", params={"cursor": said}, headers={"Authorization": f"Bearer {world.secrets[OFFICER]}"}
        )  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_refused"), said
    for path in ("/enterprises", "/cases?unit=410100", "/cases?q=x", "/audit", "/public/results", "/public/notices"):
        joint = "&" if "?" in path else "?"
        answer = world.call(OFFICER, "GET", f"{path}{joint}cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_refused"), path


def test_an_unknown_query_parameter_is_refused_by_name(shared_world: World) -> None:
    world = shared_world
    case = world.listed()
    for method, path in (
        ("GET", "/cases"), ("GET", f"/cases/{case}"), ("GET", "/enterprises"), ("GET", "/audit"), ("GET", "/objections"),
        ("GET", "/public/results"), ("GET", "/public/notices"), ("GET", "/programmes"), ("GET", "/audit/verify"),
        ("POST", f"/cases/{case}/events"), ("POST", "/cases/events"), ("POST", "/cases"), ("PATCH", f"/cases/{case}"),
    ):  # fmt: skip
        answer = world.call(OFFICER, method, f"{path}?dry_runn=true", {} if method != "GET" else None, version=1)
        assert answer.status_code == 422, (path, answer.text)
        assert ("unknown_field", "dry_runn") in [(e["code"], e["field"]) for e in answer.json()["errors"]], path


# --- limits and the database ------------------------------------------------------------------------------------------


def test_callers_without_a_token_are_limited_and_told_when_to_come_again(world: World) -> None:
    world.client.app.state.limits = Limits(Settings(public_per_minute=3, objections_per_hour=2))  # type: ignore[attr-defined]
    told = [world.call(None, "GET", "/public/results") for _ in range(4)]
    assert [answer.status_code for answer in told] == [200, 200, 200, 429]
    assert told[-1].json()["code"] == "too_many_requests"
    assert int(told[-1].headers["retry-after"]) > 0
    path = "/public/notices/nothing/objections"
    sent = [world.call(None, "POST", path, {"case": "x", "reasons": "y"}) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [404, 404, 429]
    assert {world.call(OFFICER, "GET", "/cases").status_code for _ in range(8)} == {200}


def test_without_its_database_the_service_says_503_and_comes_back(world: World, tmp_path: Any) -> None:
    case = world.listed()
    mine = world.running.db
    away = "postgresql+psycopg://nobody@127.0.0.1:1/nothing" if not mine.is_sqlite else f"sqlite:///{tmp_path}/no/db"
    world.running.db = Database(away)
    try:
        for answer in (
            world.call(OFFICER, "GET", f"/cases/{case}"),
            world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "x"}, version=1),
            world.call(OFFICER, "POST", f"/cases/{case}/events", {"event": "publish"}, version=1),
            world.call(OFFICER, "GET", "/cases", language="en"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
            assert int(answer.headers["retry-after"]) > 0
    finally:
        world.running.db = mine
    assert world.case(case)["version"] == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_while_many_wait_to_write_the_next_is_told_at_once_and_who_reads_is_served(world: World) -> None:
    contact = {"unit": ZHENGZHOU, "duty": "handler", "name": "刘工", "email": "liu@example.org"}
    with ThreadPoolExecutor(THREADS) as pool:
        with world.running.db.transaction():
            asked = [pool.submit(world.call, OFFICER, "POST", "/contacts", contact) for _ in range(THREADS)]
            refused = [each.result() for each in islice(as_completed(asked, timeout=10), 16)]
            assert {(each.status_code, each.json()["code"]) for each in refused} == {(503, "database_busy")}
            assert all(int(each.headers["retry-after"]) > 0 for each in refused)
            assert world.call(OFFICER, "GET", "/contacts").json()["items"] == []
            assert world.client.get("/health/ready").status_code == 200
        statuses = Counter(each.result().status_code for each in asked)
    assert statuses == {201: THREADS - 16, 503: 16}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_has_waited_in_vain_for_his_turn_is_not_kept_waiting_again(world: World) -> None:
    case = world.listed()
    turn = world.running.db._turn = NeverHad()
    sent = [
        world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "x"}, version=1),
        world.call(OFFICER, "POST", f"/cases/{case}/events", {"event": "publish"}, version=1),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in sent] == [(503, "database_away")] * 2
    assert turn.tries == len(sent)


class NeverHad:
    """A lock that another keeps."""

    tries = 0

    def acquire(self, **how: float) -> bool:
        self.tries += 1
        return False
