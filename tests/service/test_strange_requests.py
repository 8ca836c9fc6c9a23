"""What was found by sending requests that nobody thought of: each is refused in its place, none breaks anything."""

from collections.abc import Iterator

import pytest

from tests.service.world import ZHENGZHOU, World

OFFICER = f"officer {ZHENGZHOU}"
_NOT_JSON = [b"\x1d", b"{", b"{]", b'{"officer": NaN}', b'{"officer": "\\ud800"}', b"\xff", b"[" * 100_000]


def _sent_raw(
    world: World, method: str, path: str, body: bytes | Iterator[bytes], *, version: int | None = None
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {world.secrets[OFFICER]}", "Content-Type": "application/json"}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    answer = world.client.request(method, f"/api/v1{path}", content=body, headers=headers)
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("body", _NOT_JSON, ids=range(len(_NOT_JSON)))
def test_a_change_of_nothing_but_optional_facts_is_not_made_from_what_is_no_json(
    shared_world: World, body: bytes
) -> None:
    """A stand-in for the unreadable body once passed for a patch in which nothing was said."""
    case = shared_world.listed()
    site = shared_world.case(case)["enterprise"]["id"]
    assert _sent_raw(shared_world, "PATCH", f"/cases/{case}", body, version=1) == (422, "malformed")
    assert _sent_raw(shared_world, "PATCH", f"/enterprises/{site}", body, version=1) == (422, "malformed")
    answer = shared_world.call(OFFICER, "PATCH", f"/cases/{case}", {}, version=1)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


@pytest.mark.parametrize(
    "path, methods",
    [
        ("/api/v1/cases", "GET, POST"),
        ("/api/v1/cases/some-id", "GET, PATCH"),
        ("/api/v1/clock", "GET, POST"),
        ("/api/v1/cases/some-id/events", "POST"),
        ("/api/v1/cases/batch", "POST"),
        ("/api/v1/openapi.json", "GET, HEAD"),
        ("/health/live", "GET"),
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "TRACE", "PUT", "FOO"])
def test_a_method_that_a_path_does_not_take_is_405_with_all_that_it_takes(
    shared_world: World, path: str, methods: str, method: str
) -> None:
    answer = shared_world.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == methods
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "method_not_allowed"


def test_head_is_answered_like_get_or_refused_without_a_body(shared_world: World) -> None:
    answer = shared_world.client.head("/health/live")
    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize("part", ["%00", "a%00b", "%2F", "%FF%FE", "%ED%A0%80", "%0A", "%E2%80%AE", "x" * 5000, "'--"])
def test_an_id_that_none_can_be_is_not_found_on_either_engine(shared_world: World, part: str) -> None:
    for path in ("cases/{}", "cases/{}/offers", "cases/{}/history", "enterprises/{}", "objections/{}", "programmes/{}"):
        answer = shared_world.call("province", "GET", f"/{path.format(part)}")
        assert answer.status_code in (404, 422), (path, answer.text)
    assert shared_world.call(None, "GET", f"/public/notices/{part}").status_code in (404, 422)
    moved = shared_world.call(OFFICER, "POST", f"/cases/{part}/events", {"event": "withdraw"}, version=1)
    assert moved.status_code in (404, 422)
    body = {"case": part, "reasons": "x"}
    assert shared_world.call(None, "POST", f"/public/notices/{part}/objections", body, key="k").status_code in (
        404,
        422,
    )


@pytest.mark.parametrize("said", ["a\x00b", "\x1f", "\u202eabc", "\u2028"])
def test_codes_and_filters_with_what_is_not_shown_are_malformed_on_either_engine(
    shared_world: World, said: str
) -> None:
    line = shared_world.line()
    site = {**line["enterprise"], "permit_no": said}
    for body in ({**line, "programme": said}, {**line, "enterprise": said}, {**line, "enterprise": site}):
        answer = shared_world.call(OFFICER, "POST", "/cases", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), answer.text
    batch = {"items": [{"case": said, "version": 1, "event": "withdraw"}]}
    assert shared_world.call(OFFICER, "POST", "/cases/events", batch).status_code == 422
    assert shared_world.call(OFFICER, "POST", "/notices", {"cases": [{"case": said, "version": 1}]}).status_code == 422
    for path, name in (("/cases", "q"), ("/cases", "unit"), ("/enterprises", "grade"), ("/audit", "actor")):
        answer = shared_world.client.get(
            f"/api/v1{path}",
            params={name: said},
            headers={"Authorization": f"Bearer {shared_world.secrets['province']}"},
        )
        assert answer.status_code == 422, answer.text


def test_days_at_both_ends_of_the_calendar_break_neither_the_rules_nor_the_clock(world: World) -> None:
    case = world.listed()
    world.at("2024-06-12")
    first, last = "0001-01-01", "9999-12-31"
    gaps = {"assessed_on": first, "assessors": ["周教授"], "gaps": {"fugitive": "未封闭"}}
    assert world.event(OFFICER, case, "pre_assess", gaps).status_code in (200, 409, 422)
    measures = [{"title": "封闭", "kind": "treatment_upgrade", "due_on": day} for day in (first, last)]
    plan = {"measures": measures, "investment_10k_cny": 1e8, "start_on": first, "finish_on": last}
    assert world.event(OFFICER, case, "file_plan", plan).status_code in (200, 409, 422)
    assert world.call(OFFICER, "GET", f"/cases/{case}/offers").status_code == 200
    assert world.call("admin", "POST", "/clock", {"to": "2029-06-11T23:59:59+08:00"}).status_code == 200
    assert world.call(OFFICER, "GET", f"/cases/{case}/offers").status_code == 200
    assert world.case(case)["state"] == "lapsed"
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


@pytest.mark.parametrize("email", ["a\x00b@example.org", "a\x1eb@example.org", "a@example\x85.org", "a@b.c\n"])
def test_an_address_with_what_is_not_shown_is_none(shared_world: World, email: str) -> None:
    line = shared_world.line()
    line["enterprise"]["contact"]["email"] = email
    answer = shared_world.call(OFFICER, "POST", "/cases", line)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["enterprise.contact.email"]


@pytest.mark.parametrize("host", ["[", "a/b?c#d", "a b", ""])
def test_a_host_header_that_is_none_leads_nowhere_else(shared_world: World, host: str) -> None:
    answer = shared_world.call("province", "GET", "/cases/some-id", headers={"Host": host})
    assert answer.status_code in (400, 404)
    assert answer.json()["instance"] == "/api/v1/cases/some-id"


@pytest.mark.parametrize(
    "header, language",
    [("en;q=abc", "zh-CN"), ("en;q=nan", "zh-CN"), (",,;;", "zh-CN"), ("x" * 20_000, "zh-CN"), ("en; q=0.9, zh; q=0.1", "en")],
)  # fmt: skip
def test_a_broken_accept_language_is_passed_over(shared_world: World, header: str, language: str) -> None:
    answer = shared_world.call("province", "GET", "/cases/some-id", language=header)
    assert (answer.status_code, answer.headers["Content-Language"]) == (404, language)
