"""Idempotency keys: the same request is done once and answered alike, whatever happens between."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import Connection, func, select

from service.errors import DatabaseAway
from service.storage.tables import StoredAnswer, table
from tests.service.world import ZHENGZHOU, World, open_world
from workflows.programme import Role

OFFICER, SECOND = f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}"


def _replayed(answer: Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def _same(one: Response, other: Response) -> bool:
    names = ("content-type", "etag", "location")
    return (one.status_code, one.content, [one.headers.get(name) for name in names]) == (
        other.status_code, other.content, [other.headers.get(name) for name in names],
    )  # fmt: skip


def _kept(world: World) -> int:
    with world.running.db.reading() as tx:
        return int(tx.execute(select(func.count()).select_from(table(StoredAnswer))).scalar_one())


def _actions(world: World, case: str) -> list[str]:
    return [entry["action"] for entry in world.call(OFFICER, "GET", f"/cases/{case}/history").json()["items"]]


def _assessed(world: World) -> dict[str, Any]:
    today = f"{world.now():%Y-%m-%d}"
    return {
        "event": "pre_assess", "reason": "提前",
        "data": {"assessed_on": today, "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}},
    }  # fmt: skip


def test_the_same_key_and_body_give_the_stored_answer_on_every_kind_of_post(world: World) -> None:
    case = world.listed()
    site = {**world.line()["enterprise"], "unit": ZHENGZHOU, "industry": "glass", "grade": "A"}
    item = {"case": case, "version": 2, "event": "withdraw", "reason": "放弃"}
    for number, (who, path, body, version) in enumerate([
        (OFFICER, "/cases", world.line(), None),
        (OFFICER, "/cases/batch", {"items": [world.line(), world.line()]}, None),
        (OFFICER, "/enterprises", site, None),
        (OFFICER, f"/cases/{case}/events", _assessed(world), 1),
        (OFFICER, "/cases/events", {"items": [item]}, None),
        ("admin", "/clock", {"to": "2024-05-21T09:00:00+08:00"}, None),
    ]):  # fmt: skip
        first = world.call(who, "POST", path, body, version=version, key=f"key-{number}")
        assert first.status_code in (200, 201), first.text
        assert not _replayed(first)
        again = world.call(who, "POST", path, body, version=version, key=f"key-{number}")
        assert _replayed(again), path
        assert _same(first, again), path
        other = world.call(who, "POST", path, {**body, "nonsense": 1}, version=version, key=f"key-{number}")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused"), path
    assert _actions(world, case) == ["list", "pre_assess", "withdraw"]
    assert len(world.call(OFFICER, "GET", "/cases").json()["items"]) == 4


def test_a_public_objection_with_its_key_is_lodged_once_with_the_same_receipt(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    path, body = f"/public/notices/{notice}/objections", {"case": case, "reasons": "有异议"}
    first, again = (world.call(None, "POST", path, body, key="an-own-key-of-mine") for _ in range(2))
    assert first.json()["receipt"] == again.json()["receipt"]
    assert _replayed(again)
    assert len(world.call(OFFICER, "GET", "/objections").json()["items"]) == 1


def test_the_key_holds_for_the_request_whatever_version_comes_with_it(world: World) -> None:
    case = world.listed()
    body = _assessed(world)
    first = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="k")
    for version in (1, 2, None, 99):
        assert _same(world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=version, key="k"), first)
    assert _actions(world, case) == ["list", "pre_assess"]


def test_the_same_key_on_another_path_or_with_another_query_is_another_request(world: World) -> None:
    one, other = world.listed(), world.listed()
    body = {"event": "withdraw", "reason": "放弃"}
    assert world.call(OFFICER, "POST", f"/cases/{one}/events", body, version=1, key="k").status_code == 200
    answer = world.call(OFFICER, "POST", f"/cases/{other}/events", body, version=1, key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    answer = world.call(OFFICER, "POST", "/cases", world.line(), key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert world.case(other)["version"] == 1


def test_a_refusal_is_replayed_even_after_its_cause_is_mended(world: World) -> None:
    case = world.listed()
    body = {"event": "file_plan", "reason": "提前", "data": {
        "measures": [{"title": "更换除尘器", "kind": "equipment_renewal", "due_on": "2024-09-30"}],
        "investment_10k_cny": 1, "start_on": "2024-06-10", "finish_on": "2024-09-30",
    }}  # fmt: skip
    refused = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="too-early")
    assert (refused.status_code, refused.json()["code"]) == (409, "event_refused")
    assert world.call(OFFICER, "POST", f"/cases/{case}/events", _assessed(world), version=1).status_code == 200
    again = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=2, key="too-early")
    assert _replayed(again)
    assert _same(again, refused)
    assert world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=2, key="anew").status_code == 200

    line = world.line()
    listed = world.call(OFFICER, "POST", "/cases", line)
    twice = world.call(OFFICER, "POST", "/cases", line, key="twice")
    assert twice.json()["code"] == "case_exists"
    assert _same(world.call(OFFICER, "POST", "/cases", line, key="twice"), twice)
    assert listed.status_code == 201


def test_what_was_never_decided_keeps_no_answer(world: World) -> None:
    case = world.listed()
    body = _assessed(world)
    path = f"/cases/{case}/events"
    assert world.call(OFFICER, "POST", path, body, key="k").status_code == 428
    assert world.call(OFFICER, "POST", path, body, version=9, key="k").status_code == 412
    assert world.call(OFFICER, "POST", path, {"event": "nothing"}, version=1, key="k").status_code == 422
    assert world.call("auditor", "POST", path, body, version=1, key="k").status_code == 403
    assert world.call(OFFICER, "POST", f"{path}?dry_run=true", body, version=1, key="k").status_code == 200
    done = world.call(OFFICER, "POST", path, body, version=1, key="k")
    assert done.status_code == 200
    assert not _replayed(done)


def test_keys_of_two_tokens_do_not_meet(world: World) -> None:
    one, other = world.listed(), world.listed()
    body = {"event": "withdraw", "reason": "放弃"}
    mine = world.call(OFFICER, "POST", f"/cases/{one}/events", body, version=1, key="shared")
    theirs = world.call(SECOND, "POST", f"/cases/{other}/events", body, version=1, key="shared")
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert not _replayed(theirs)


def test_the_same_key_sent_by_many_at_once_has_one_effect_and_one_answer(world: World) -> None:
    case = world.listed()
    line, body = world.line(), _assessed(world)

    def both(_: int) -> tuple[Response, Response]:
        return (
            world.call(OFFICER, "POST", "/cases", line, key="list"),
            world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="move"),
        )

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(both, range(16)))
    for kind in (0, 1):
        told = [pair[kind] for pair in answers]
        assert {answer.status_code for answer in told} == {201 if kind == 0 else 200}
        assert len({answer.content for answer in told}) == 1
        assert sum(not _replayed(answer) for answer in told) == 1
    assert _actions(world, case) == ["list", "pre_assess"]
    assert len(world.call(OFFICER, "GET", "/cases").json()["items"]) == 2


def test_after_a_crash_before_the_commit_the_repetition_is_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, line, body = world.listed(), world.line(), _assessed(world)
    transaction = world.running.db.transaction

    @contextmanager
    def lost_at_the_commit() -> Iterator[Connection]:
        with transaction() as tx:
            yield tx
            raise DatabaseAway

    sends = [
        lambda: world.call(OFFICER, "POST", "/cases", line, key="list"),
        lambda: world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="move"),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(world.running.db, "transaction", lost_at_the_commit)
        assert [send().status_code for send in sends] == [503, 503]
    assert _kept(world) == 0
    answers = [send() for send in sends]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert not any(_replayed(answer) for answer in answers)
    assert _actions(world, case) == ["list", "pre_assess"]


def test_after_a_crash_behind_the_commit_another_process_gives_the_stored_answer(world: World) -> None:
    case, line, body = world.listed(), world.line(), _assessed(world)
    lost = [
        world.call(OFFICER, "POST", "/cases", line, key="list"),
        world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="move"),
    ]
    after = open_world(world.settings)
    with after.client:
        after.secrets = world.secrets
        again = [
            after.call(OFFICER, "POST", "/cases", line, key="list"),
            after.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="move"),
        ]
    for first, second in zip(lost, again, strict=True):
        assert _same(first, second)
        assert _replayed(second)
    assert _actions(world, case) == ["list", "pre_assess"]


def test_a_key_is_kept_for_48_hours_and_forgotten_by_the_tick_after(world: World) -> None:
    case = world.listed()
    body = {"event": "withdraw", "reason": "放弃"}
    first = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="k")
    world.at("2024-05-22T09:00:00+08:00")
    again = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="k")
    assert _same(first, again)
    world.at("2024-05-22T09:00:01+08:00")
    world.at("2024-05-22T09:00:02+08:00")
    assert _kept(world) == 0
    late = world.call(OFFICER, "POST", f"/cases/{case}/events", body, version=1, key="k")
    assert late.status_code == 412
    assert _actions(world, case) == ["list", "withdraw"]


def test_a_patch_takes_no_key_and_needs_none(world: World) -> None:
    case = world.listed()
    for version in (1, 2):
        answer = world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": f"{version}"}, version=version, key="k")
        assert answer.status_code == 200
    assert world.token("new", Role.UNIT, unit=ZHENGZHOU)
    assert _kept(world) == 0
