"""Bad input: each gets its status, its code, a sentence in Chinese and English, and changes nothing at all."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from httpx2 import Response
from sqlmodel import SQLModel

from service.storage.tables import StoredAnswer, table
from tests.service.world import KAIFENG, ZHENGZHOU, World

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# A choice is also told as it stands in the form, in whatever language.
AS_IN_THE_FORM = re.compile(r"\([^)]*\)")  # a choice is sent as its id, or as it stands in the form


def everything(world: World) -> dict[str, list[Any]]:
    """All rows of all tables but the stored answers, which are nobody's history."""
    with world.running.db.reading() as tx:
        return {
            name: sorted(map(tuple, tx.execute(rows.select())), key=repr)
            for name, rows in SQLModel.metadata.tables.items()
            if rows is not table(StoredAnswer)
        }


@dataclass(frozen=True)
class Bad:
    """One request that must be refused: with which status and code, naming which field."""

    name: str
    status: int
    code: str
    path: str = "/cases"
    method: str = "POST"
    body: Any = None
    raw: bytes | None = None
    field: str | None = None
    who: str = OFFICER
    version: str | None = None
    key: str | None = None

    def send(self, world: World, language: str) -> Response:
        """Send it."""
        headers = {"Authorization": f"Bearer {world.secrets[self.who]}", "Accept-Language": language}
        if self.version is not None:
            headers["If-Match"] = self.version
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        url = f"/api/v1{self.path}"
        if self.raw is not None:
            headers.setdefault("Content-Type", "application/json")
            return world.client.request(self.method, url, content=self.raw, headers=headers)
        more = {} if self.body is None else {"json": self.body}
        return world.client.request(self.method, url, headers=headers, **more)


def line(world: World, **changes: Any) -> dict[str, Any]:
    return world.line(**changes)


def site(world: World, **changes: Any) -> dict[str, Any]:
    found = world.line()
    found["enterprise"] |= changes
    return found


def of_the_list(world: World) -> Iterator[Bad]:
    """What can be wrong with a line of the list, and with any body."""
    yield Bad("malformed JSON", 422, "malformed_json", raw=b'{"programme": ')
    yield Bad("JSON with a remainder", 422, "malformed_json", raw=b"{} {}")
    yield Bad("not a number in JSON", 422, "malformed_json", raw=b'{"programme": NaN}')
    yield Bad("nested too deep", 422, "malformed_json", raw=b"[" * 100_000)
    yield Bad("not UTF-8", 422, "malformed_json", raw=b'{"programme": "\xff"}')
    yield Bad("a lone surrogate", 422, "malformed_json", raw=b'{"programme": "\\ud800"}')
    yield Bad("a list for an object", 422, "wrong_type", raw=b"[]")
    yield Bad("no body", 422, "missing")
    yield Bad("10 MB", 413, "too_large", raw=b'{"programme": "' + b"x" * 10_000_000 + b'"}')
    yield Bad("unknown field", 422, "unknown_field", body=line(world, nonsense=1), field="nonsense")
    yield Bad("unknown field below", 422, "unknown_field", body=site(world, fax="1"), field="enterprise.fax")
    yield Bad("number for a text", 422, "wrong_type", body=line(world, remark=5), field="remark")
    yield Bad("text for a list", 422, "wrong_type", body=line(world, experts="吴工"), field="experts")
    yield Bad("number for a date", 422, "not_a_day", body=line(world, applied_on=20240506), field="applied_on")
    yield Bad("no such day", 422, "not_a_day", body=line(world, applied_on="2024-02-30"), field="applied_on")
    yield Bad(
        "a day with a time", 422, "not_a_day", body=line(world, finish_by="2024-09-30T00:00:00"), field="finish_by"
    )
    yield Bad("NUL in a name", 422, "unprintable_text", body=site(world, name="a\0b"), field="enterprise.name")
    yield Bad("NUL in a remark", 422, "unprintable_text", body=line(world, remark="a\0b"), field="remark")
    for name in ("programme", "unit", "industry", "current_grade", "target_grade"):
        yield Bad(f"NUL in {name}", 422, "unprintable_text", body={**line(world), name: "a\0b"}, field=name)
    yield Bad("NUL in an id", 422, "unprintable_text", body=line(world, enterprise="a\0b"), field="enterprise")
    yield Bad(
        "NUL in a code", 422, "unprintable_text", body=site(world, permit_no="a\0b"), field="enterprise.permit_no"
    )
    yield Bad("text turned round", 422, "unprintable_text", body=site(world, name="a\u202eb"), field="enterprise.name")
    yield Bad("blank name", 422, "too_short", body=site(world, name=" \u3000"), field="enterprise.name")
    yield Bad("long name", 422, "too_long", body=site(world, name="长" * 201), field="enterprise.name")
    yield Bad("wrong check digit", 422, "wrong_credit_code", field="enterprise.credit_code",
              body=site(world, credit_code="91350100M000100Y4Z", permit_no=None))  # fmt: skip
    yield Bad("permit of another", 422, "wrong_permit_number", field="enterprise.permit_no",
              body=site(world, permit_no="91130200699229617X001P"))  # fmt: skip
    yield Bad("wrong phone", 422, "wrong_form", field="enterprise.contact.phone",
              body=site(world, contact={"name": "王联系", "phone": "call me"}))  # fmt: skip
    yield Bad(
        "unknown programme", 422, "unknown_programme", body=line(world, programme="hebei-2024"), field="programme"
    )
    yield Bad("unknown unit", 422, "unknown_unit", body={**line(world), "unit": "420100"}, field="unit")
    yield Bad("unknown industry", 422, "unknown_industry", body=line(world, industry="tailoring"), field="industry")
    yield Bad(
        "other without detail", 422, "detail_missing", body=line(world, industry="other"), field="industry_detail"
    )
    yield Bad("unknown grade", 422, "unknown_grade", body=line(world, current_grade="E"), field="current_grade")
    yield Bad("unknown site", 422, "unknown_enterprise", body=line(world, enterprise="nothing"), field="enterprise")
    yield Bad("target below", 422, "target_not_above", body=line(world, current_grade="A"), field="target_grade")
    yield Bad("target not above", 422, "target_not_above", body=line(world, current_grade="B"), field="target_grade")
    yield Bad("no target", 422, "not_a_target", body=line(world, target_grade="C"), field="target_grade")
    yield Bad("future application", 422, "in_the_future", body=line(world, applied_on="2024-05-21"), field="applied_on")
    yield Bad("year mistyped", 422, "before_programme", body=line(world, applied_on="1924-05-06"), field="applied_on")
    yield Bad("future retrofit", 422, "in_the_future", field="ultra_low.completed_on",
              body=line(world, ultra_low={"completed_on": "2024-05-21"}))  # fmt: skip
    yield Bad("1,001 lines", 422, "too_many", "/cases/batch", body={"items": [world.line()] * 1001}, field="items")
    yield Bad("no line", 422, "too_few", "/cases/batch", body={"items": []}, field="items")


def of_one_case(world: World) -> Iterator[Bad]:
    """What can be wrong with a request about a case that is listed, at version 1."""
    sent = world.line()
    made = world.call(OFFICER, "POST", "/cases", sent, key="a-key-of-the-list")
    assert made.status_code == 201
    case, enterprise = made.json()["id"], made.json()["enterprise"]["id"]
    events, one = f"/cases/{case}/events", f"/cases/{case}"
    assessed = {"assessed_on": "2024-05-20", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
    event = {"event": "pre_assess", "data": assessed}
    theirs = world.listed(KAIFENG)

    yield Bad("twice the same case", 409, "case_exists", body=sent)
    yield Bad("twice, by the id of its site", 409, "case_exists", body={**sent, "enterprise": enterprise})
    yield Bad("a key with another body", 422, "idempotency_key_reused", body=world.line(), key="a-key-of-the-list")
    yield Bad("an empty key", 422, "wrong_length", body=world.line(), key="", field="Idempotency-Key")
    yield Bad("a long key", 422, "wrong_length", body=world.line(), key="k" * 201, field="Idempotency-Key")
    yield Bad("a long key of an event", 422, "wrong_length", events, body=event, key="k" * 201, version='"1"')
    yield Bad("case of another unit's site", 404, "not_found", body=world.line(KAIFENG))

    yield Bad("malformed JSON", 422, "malformed_json", events, raw=b"{", version='"1"')
    yield Bad("a lone surrogate", 422, "malformed_json", events, raw=b'{"event": "\\udc00"}', version='"1"')
    yield Bad("no body", 422, "malformed_json", events, raw=b"", version='"1"')
    yield Bad("unknown field", 422, "unknown_field", events, body={**event, "state": "x"}, version='"1"', field="state")
    yield Bad("data no object", 422, "wrong_type", events, body={**event, "data": []}, version='"1"', field="data")
    yield Bad("event no text", 422, "wrong_type", events, body={"event": 1}, version='"1"', field="event")
    yield Bad("no event", 422, "missing", events, body={}, version='"1"', field="event")
    yield Bad("NUL in an event", 422, "unprintable_text", events, body={"event": "a\0"}, version='"1"', field="event")
    yield Bad("NUL in data", 422, "unprintable_text", events, version='"1"', field="data.assessors[0]",
              body={**event, "data": {**assessed, "assessors": ["a\0"]}})  # fmt: skip
    yield Bad("NUL in a reason", 422, "unprintable_text", events, body={**event, "reason": "\0"}, version='"1"')
    yield Bad("unknown event", 422, "unknown_event", events, body={"event": "promote"}, version='"1"', field="event")
    yield Bad("event out of order", 409, "wrong_state", events, body={"event": "publish"}, version='"1"')
    yield Bad("data of another event", 422, "unknown_field", events, version='"1"', field="data.started_on",
              body={"event": "pre_assess", "data": {"started_on": "2024-05-20"}})  # fmt: skip
    yield Bad(
        "data missing", 422, "missing", events, version='"1"', field="data.assessors", body={"event": "pre_assess"}
    )
    yield Bad("future event", 422, "in_the_future", events, version='"1"', field="data.assessed_on",
              body={"event": "pre_assess", "data": {**assessed, "assessed_on": "2024-05-21"}})  # fmt: skip
    yield Bad("unknown indicator", 422, "unknown_value", events, version='"1"', field="data.gaps.colour",
              body={"event": "pre_assess", "data": {**assessed, "gaps": {"colour": "x"}}})  # fmt: skip
    yield Bad(
        "reason missing", 422, "reason_required", events, body={"event": "withdraw"}, version='"1"', field="reason"
    )
    yield Bad("blank reason", 422, "too_short", events, body={"event": "withdraw", "reason": " "}, version='"1"')
    yield Bad("event of the scheduler", 403, "forbidden", events, body={"event": "recognise"}, version='"1"')
    yield Bad("event of the province", 403, "forbidden", events, body={"event": "reject"}, version='"1"')
    yield Bad("stale", 412, "stale", events, body=event, version='"2"')
    yield Bad("weak tag", 412, "stale", events, body=event, version='W/"1"')
    yield Bad("huge tag", 412, "stale", events, body=event, version='"' + "1" * 5000 + '"')
    yield Bad("no If-Match", 428, "if_match_required", events, body=event)
    yield Bad("another unit's case", 404, "not_found", f"/cases/{theirs}/events", body=event, version='"1"')
    yield Bad("no such case", 404, "not_found", "/cases/nothing/events", body=event, version='"1"')
    yield Bad("NUL in the path", 404, "not_found", "/cases/%00/events", body=event, version='"1"')

    yield Bad(
        "state amended", 422, "unknown_field", one, "PATCH", {"state": "recognised"}, version='"1"', field="state"
    )
    yield Bad("null for a target", 422, "wrong_type", one, "PATCH", {"target_grade": None}, version='"1"')
    yield Bad(
        "no target", 422, "not_a_target", one, "PATCH", {"target_grade": "D"}, version='"1"', field="target_grade"
    )
    yield Bad("future retrofit", 422, "in_the_future", one, "PATCH", {"ultra_low": {"completed_on": "2024-05-21"}},
              version='"1"', field="ultra_low.completed_on")  # fmt: skip
    yield Bad("stale amendment", 412, "stale", one, "PATCH", {"remark": "x"}, version='"9"')
    yield Bad("no If-Match", 428, "if_match_required", one, "PATCH", {"remark": "x"})
    yield Bad("another unit's case", 404, "not_found", f"/cases/{theirs}", "PATCH", {"remark": "x"}, version='"1"')
    yield Bad("stale site", 412, "stale", f"/enterprises/{enterprise}", "PATCH", {"grade": "B"}, version='"9"')
    yield Bad(
        "unknown grade", 422, "unknown_grade", f"/enterprises/{enterprise}", "PATCH", {"grade": "E"}, version='"1"'
    )

    item = {"case": case, "version": 1, "event": "withdraw", "reason": "x"}
    yield Bad("1,001 events", 422, "too_many", "/cases/events", body={"items": [item] * 1001}, field="items")
    yield Bad("version missing", 422, "missing", "/cases/events", field="items[0].version",
              body={"items": [{"case": case, "event": "withdraw"}]})  # fmt: skip
    yield Bad("version no number", 422, "wrong_type", "/cases/events", body={"items": [{**item, "version": "1"}]})
    yield Bad("NUL in an id", 422, "unprintable_text", "/cases/events", body={"items": [{**item, "case": "\0a"}]})
    yield Bad("1,001 cases", 422, "too_many", "/notices", body={"cases": [{"case": case, "version": 1}] * 1001})
    yield Bad("a case twice", 422, "repeated_case", "/notices", body={"cases": [{"case": case, "version": 1}] * 2})
    yield Bad("not to be published", 409, "wrong_state", "/notices", body={"cases": [{"case": case, "version": 1}]})
    yield Bad("another's case", 404, "not_found", "/notices", body={"cases": [{"case": theirs, "version": 1}]})
    yield Bad("stale case", 412, "stale", "/notices", body={"cases": [{"case": case, "version": 2}]})

    cursor = _cursor(world)
    yield Bad("tampered cursor", 422, "cursor_refused", f"/audit?cursor={cursor[:-2]}AA", "GET")
    yield Bad("foreign cursor", 422, "cursor_refused", f"/cases?cursor={cursor}", "GET")
    yield Bad("instant without zone", 422, "not_an_instant", "/clock", who="admin", field="to",
              body={"to": "2024-06-03T09:00:00"})  # fmt: skip
    yield Bad("a day for an instant", 422, "not_an_instant", "/clock", who="admin", body={"to": "2024-06-03"})
    yield Bad("a number for an instant", 422, "not_an_instant", "/clock", who="admin", body={"to": 1717376400})
    yield Bad("backwards", 409, "clock_backwards", "/clock", who="admin", body={"to": "2024-05-20T08:59:59+08:00"})
    yield Bad("as of without zone", 422, "not_an_instant", f"{one}?as_of=2024-05-20T09:00:00", "GET", field="as_of")
    yield Bad("audit without zone", 422, "not_an_instant", "/audit?from=2024-05-20", "GET", field="from")
    yield Bad("NUL in a filter", 422, "unprintable_text", "/cases?q=a%00", "GET", field="q")
    yield Bad("NUL in an audit filter", 422, "unprintable_text", "/audit?subject=%00", "GET", field="subject")
    yield Bad("no such day", 422, "not_a_day", "/calendar/days/2024-02-30", "GET")
    yield Bad("251 working days", 422, "too_large", "/calendar/due?start=2024-09-27&working_days=251", "GET")
    yield Bad("no working days", 422, "too_small", "/calendar/due?start=2024-09-27&working_days=0", "GET")


def _cursor(world: World) -> str:
    cursor: str = world.call(OFFICER, "GET", "/audit?limit=1").json()["next"]
    return cursor


@pytest.mark.parametrize("table_of_bad_input", [of_the_list, of_one_case], ids=lambda rows: rows.__name__)
def test_bad_input_is_told_in_both_languages_and_changes_nothing(
    world: World, table_of_bad_input: Callable[[World], Iterator[Bad]]
) -> None:
    rows = list(table_of_bad_input(world))
    before = everything(world)
    for bad in rows:
        problems = {}
        for language in ("zh-CN", "en"):
            answer = bad.send(world, language)
            assert answer.status_code == bad.status, (bad.name, answer.text)
            assert answer.headers["content-type"] == "application/problem+json", bad.name
            problems[language] = answer.json()
        for language, problem in problems.items():
            codes = {problem["code"]} | {reason["code"] for reason in problem["errors"]}
            assert bad.code in codes, (bad.name, problem)
            if bad.field is not None:
                assert bad.field in {reason["field"] for reason in problem["errors"]}, (bad.name, problem)
            sentences = [problem["title"], problem["detail"], *(reason["detail"] for reason in problem["errors"])]
            if language == "zh-CN":
                assert all(CHINESE.search(sentence) for sentence in sentences), (bad.name, sentences)
            else:
                untold = [CHINESE.search(AS_IN_THE_FORM.sub("", sentence)) for sentence in sentences]
                assert not any(untold), (bad.name, sentences)
                assert all(re.search("[a-z]{2}", sentence) for sentence in sentences), (bad.name, sentences)
        assert everything(world) == before, bad.name


def test_a_body_that_grows_past_the_limit_without_saying_so_is_413(shared_world: World) -> None:
    world = shared_world
    case = world.listed()

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    before = everything(world)
    for path in ("/cases", f"/cases/{case}/events", "/notices", "/public/notices/x/objections"):
        headers = {"Authorization": f"Bearer {world.secrets[OFFICER]}", "Content-Type": "application/json"}
        answer = world.client.post(f"/api/v1{path}", content=endless(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), path
    assert everything(world) == before


def test_every_fault_of_a_body_is_told_at_once(shared_world: World) -> None:
    body = {
        **shared_world.line(industry="tailoring", current_grade="E", applied_on="2025-01-01"),
        "unit": "420100",
    }
    body["enterprise"]["credit_code"] = "91350100M000100Y4Z"
    answer = shared_world.call(OFFICER, "POST", "/cases", body)
    assert answer.status_code == 422
    fields = {reason["field"] for reason in answer.json()["errors"]}
    assert {"unit", "industry", "current_grade", "applied_on", "enterprise.credit_code"} <= fields


def at_once(count: int, call: Callable[[int], Response]) -> list[Response]:
    """The answers to so many calls that are made at the same time, each from a thread of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_the_same_event_sent_by_50_clients_at_once_happens_once(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    data = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
    body = {"event": "pre_assess", "data": data}
    answers = at_once(50, lambda _: world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {409, 412}
    entries = world.call("auditor", "GET", f"/audit?subject={case}").json()["items"]
    assert [entry["action"] for entry in entries] == ["pre_assess", "list"]
    assert world.case(case)["version"] == 2


def test_the_same_amendment_sent_by_many_at_once_happens_once(world: World) -> None:
    case = world.listed()
    answers = at_once(
        20, lambda n: world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": f"第{n}次"}, version=1)
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert len(world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"]) == 2


def test_the_same_site_listed_by_many_at_once_is_entered_once(world: World) -> None:
    line = world.line()
    answers = at_once(20, lambda _: world.call(OFFICER, "POST", "/cases", line))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"case_exists"}
    assert len(world.call(OFFICER, "GET", "/enterprises").json()["items"]) == 1


def test_of_faults_without_end_only_the_first_are_told(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    for count, told in ((500, 101), (20_000, 1)):
        data = {f"k{number}": 0 for number in range(count)}
        answer = world.event(f"officer {ZHENGZHOU}", case, "pre_assess", data)
        assert (answer.status_code, len(answer.json()["errors"])) == (422, told)
        assert answer.json()["errors"][-1]["code"] == "too_many_faults"
    body = {"case": case, "reasons": "x", **{f"k{number}": 0 for number in range(20_000)}}
    assert world.call(None, "POST", "/public/notices/x/objections", body).status_code == 413


@pytest.mark.parametrize("text", ["\ufe0f", "\u180b", "\U000e0100", "\u0301"])
def test_an_answer_in_which_nothing_is_shown_is_none(world: World, text: str) -> None:
    body = {"case": world.listed(), "kind": "funding", "text": "融资"}
    asked = world.call(f"officer {ZHENGZHOU}", "POST", "/requests", body).json()["id"]
    answer = world.call(f"officer {ZHENGZHOU}", "POST", f"/requests/{asked}/answer", {"text": text}, version=1)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unprintable_text")
