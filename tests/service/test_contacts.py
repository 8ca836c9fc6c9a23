"""Contacts: who keeps and sees them, what the audit holds of them, and whom the sweep finds."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from notifications import outbox
from notifications.outbox import MESSAGES, NewMessage
from service import sample, scheduler
from service.access import Act, Caller
from service.casework import contacts
from service.casework.desk import Desk
from service.errors import VersionStale
from service.storage.tables import AuditEntry, Contact, table
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER, FOREIGNER, PROVINCE = f"officer {ZHENGZHOU}", f"officer {KAIFENG}", "410000"


def _contact(**changes: Any) -> dict[str, Any]:
    return {
        "unit": ZHENGZHOU, "duty": "handler", "name": "刘工", "email": "liu@example.org", "language": "zh", **changes,
    }  # fmt: skip


def _entered(world: World, who: str = OFFICER, **changes: Any) -> dict[str, Any]:
    answer = world.call(who, "POST", "/contacts", _contact(**changes))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/contacts/{made['id']}"
    return made


def _history(world: World, contact: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.call("auditor", "GET", f"/audit?subject={contact}").json()["items"]
    return found[::-1]


def test_a_contact_that_is_entered_is_read_as_it_was_sent(world: World) -> None:
    made = _entered(world, digest=False, muted=["report", "measure", "report"])
    sent = _contact(digest=False, muted=["measure", "report"])
    assert made == {**sent, "id": made["id"], "confirmed_at": None, "version": 1}
    answer = world.call(OFFICER, "GET", f"/contacts/{made['id']}")
    assert (answer.json(), answer.headers["etag"]) == (made, '"1"')


def test_what_is_not_said_is_chinese_in_one_mail_a_day_and_nothing_muted(world: World) -> None:
    body = {name: value for name, value in _contact().items() if name != "language"}
    made = world.call(OFFICER, "POST", "/contacts", body).json()
    assert (made["language"], made["digest"], made["muted"]) == ("zh", True, [])


def test_contacts_are_filtered_by_unit_and_duty_and_come_in_pages(world: World) -> None:
    for unit, duty in ((ZHENGZHOU, "officer"), (ZHENGZHOU, "handler"), (KAIFENG, "handler"), (PROVINCE, "supervisor")):
        _entered(world, "admin", unit=unit, duty=duty)

    def found(query: str = "", who: str = "province") -> list[tuple[str, str]]:
        items = world.call(who, "GET", f"/contacts{query}").json()["items"]
        return [(item["unit"], item["duty"]) for item in items]

    assert len(found()) == 4
    assert found("?duty=handler") == [(ZHENGZHOU, "handler"), (KAIFENG, "handler")]
    assert found(f"?unit={PROVINCE}") == [(PROVINCE, "supervisor")]
    assert found(who=OFFICER) == [(ZHENGZHOU, "officer"), (ZHENGZHOU, "handler")]
    assert found(f"?unit={KAIFENG}", who=OFFICER) == []
    first = world.call("province", "GET", "/contacts?limit=3").json()
    rest = world.call("province", "GET", f"/contacts?limit=3&cursor={first['next']}").json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)


@pytest.mark.parametrize(
    ("who", "unit", "status"),
    [
        ("admin", ZHENGZHOU, 201),
        ("admin", PROVINCE, 201),
        (OFFICER, ZHENGZHOU, 201),
        (OFFICER, KAIFENG, 404),
        (OFFICER, PROVINCE, 404),
        ("province", PROVINCE, 201),
        ("province", ZHENGZHOU, 403),
        ("auditor", ZHENGZHOU, 403),
        ("admin", "419999", 422),
    ],
)
def test_everybody_keeps_the_contacts_that_are_theirs(shared_world: World, who: str, unit: str, status: int) -> None:
    answer = shared_world.call(who, "POST", "/contacts", _contact(unit=unit))
    assert answer.status_code == status, answer.text
    if status == 201:
        assert shared_world.call(who, "DELETE", f"/contacts/{answer.json()['id']}").status_code == 200


def test_the_province_sees_the_contacts_of_a_unit_and_is_told_that_it_does_not_keep_them(world: World) -> None:
    path = f"/contacts/{_entered(world)['id']}"
    assert world.call("province", "GET", path).status_code == 200
    for method in ("PATCH", "DELETE"):  # before the version is looked at
        answer = world.call("province", method, path, {"name": "王处"} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert world.call(FOREIGNER, "PATCH", path, {"name": "王处"}).status_code == 404
    assert world.call("admin", "PATCH", path, {"name": "王处"}, version=1).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("email", "liu@example.org\nBcc: all@example.org", "wrong_form"),
        ("email", "liu@example.org\r\n", "wrong_form"),
        ("email", "liu@example.org, wang@example.org", "wrong_form"),
        ("email", "刘工 <liu@example.org>", "wrong_form"),
        ("email", "liu", "wrong_form"),
        ("name", "刘工\nBcc: all@example.org", "unprintable_text"),
        ("name", " ", "too_short"),
        ("duty", "chief", "unknown_value"),
        ("language", "fr", "unknown_value"),
        ("digest", "yes", "wrong_type"),
        ("muted", ["weather"], "unknown_value"),
        ("phone", "0371-60001234", "unknown_field"),
    ],
)
def test_a_contact_is_taken_strictly(shared_world: World, field: str, value: Any, code: str) -> None:
    made = _entered(shared_world)
    for method, path, body, version in (
        ("POST", "/contacts", _contact(**{field: value}), None),
        ("PATCH", f"/contacts/{made['id']}", {field: value}, 1),
    ):
        answer = shared_world.call(OFFICER, method, path, body, version=version)
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert (fault["code"], fault["field"].split("[")[0]) == (code, field)


def test_an_amendment_changes_what_it_names_and_another_address_is_confirmed_anew(world: World) -> None:
    made = _entered(world)
    with world.running.db.transaction() as tx:
        tx.execute(table(Contact).update().values(confirmed_at=world.now()))
    path = f"/contacts/{made['id']}"
    patch = {"unit": ZHENGZHOU, "name": "陈工", "muted": ["measure"], "language": "en", "reason": "人员调整"}
    answer = world.call(OFFICER, "PATCH", path, patch, version=1)
    assert answer.status_code == 200, answer.text
    amended = answer.json()
    assert amended == {
        **made, "name": "陈工", "muted": ["measure"], "language": "en", "version": 2,
        "confirmed_at": "2024-05-20T09:00:00+08:00",
    }  # fmt: skip
    moved = world.call(OFFICER, "PATCH", path, {"email": "chen@example.org"}, version=2).json()
    assert moved == {**amended, "email": "chen@example.org", "confirmed_at": None, "version": 3}
    assert world.call(OFFICER, "GET", path).json() == moved
    stale = world.call(OFFICER, "PATCH", path, {"name": "刘工"}, version=2)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert world.call(OFFICER, "PATCH", path, {"name": "刘工"}).status_code == 428


def test_an_amendment_that_changes_nothing_leaves_no_entry(world: World) -> None:
    made = _entered(world)
    for patch in ({}, {"name": "刘工", "email": "liu@example.org"}, {"muted": []}):
        answer = world.call(OFFICER, "PATCH", f"/contacts/{made['id']}", patch, version=1)
        assert (answer.status_code, answer.json()) == (200, made)
    assert len(_history(world, made["id"])) == 1


def test_a_contact_stays_with_its_unit(world: World) -> None:
    made = _entered(world)
    answer = world.call("admin", "PATCH", f"/contacts/{made['id']}", {"unit": KAIFENG}, version=1)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unit_fixed")


def test_a_contact_that_is_removed_is_gone_but_for_its_history(world: World) -> None:
    made = _entered(world)
    path = f"/contacts/{made['id']}"
    assert world.call(FOREIGNER, "DELETE", path).status_code == 404
    assert world.call(OFFICER, "DELETE", path, version=2).status_code == 412
    answer = world.call(OFFICER, "DELETE", path, version=1)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"name": "陈工"})):
        assert world.call(OFFICER, method, path, body, version=2).status_code == 404
    assert world.call(OFFICER, "GET", "/contacts").json()["items"] == []
    assert [entry["action"] for entry in _history(world, made["id"])] == ["enter", "remove"]
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


def test_neither_name_nor_address_enters_the_audit(world: World) -> None:
    made = _entered(world)
    world.call(OFFICER, "PATCH", f"/contacts/{made['id']}", {"name": "陈秘", "email": "secret@example.org"}, version=1)
    first, second = _history(world, made["id"])
    assert first["changes"] == {"unit": ZHENGZHOU, "duty": "handler", "language": "zh", "digest": True, "muted": []}
    assert (first["data"].keys(), second["changes"]) == ({"contact_commitment"}, {})
    assert first["data"] != second["data"]
    with world.running.db.reading() as tx:
        everything = "\n".join(map(str, tx.execute(select(table(AuditEntry)))))
        row = tx.execute(select(table(Contact))).mappings().one()
    for personal in ("刘工", "liu@example", "陈秘", "secret@example"):
        assert personal not in everything
        assert personal not in str(row)


def test_a_contact_changed_behind_the_audit_is_found_out(world: World) -> None:
    made, other = _entered(world), _entered(world, name="陈工")
    rows = table(Contact)
    with world.running.db.reading() as tx:
        whole = {row["id"]: dict(row) for row in tx.execute(select(rows)).mappings()}
    for change in (
        {"duty": "officer"}, {"muted": '["answer"]'}, {"removed_at": world.now()},
        {"person": whole[other["id"]]["person"]},
    ):  # fmt: skip
        with world.running.db.transaction() as tx:
            tx.execute(rows.update().where(rows.c.id == made["id"]).values({**whole[made["id"]], **change}))
        (broken,) = world.call("auditor", "GET", "/audit/verify").json()["broken"]
        assert (broken["subject"]["id"], broken["what"]) == (made["id"], "not what its history says"), change
    with world.running.db.transaction() as tx:
        tx.execute(rows.update().where(rows.c.id == made["id"]).values(whole[made["id"]]))
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"]


def test_the_directory_tells_who_stands_at_each_unit_in_the_order_of_entry(world: World) -> None:
    first = _entered(world, duty="supervisor", muted=["measure"], digest=False)
    second = _entered(world)
    gone = _entered(world, duty="officer")
    world.call(OFFICER, "DELETE", f"/contacts/{gone['id']}")
    with world.running.db.reading() as tx:
        found = contacts.directory(tx, [ZHENGZHOU, KAIFENG])
    assert [each.id for each in found[ZHENGZHOU]] == [first["id"], second["id"]]
    assert found[KAIFENG] == []
    one = found[ZHENGZHOU][0]
    assert (one.unit, one.duty, one.name, one.email, one.language, one.digest, one.muted) == (
        ZHENGZHOU, "supervisor", "刘工", "liu@example.org", "zh", False, ("measure",),
    )  # fmt: skip


def test_the_sample_has_somebody_for_every_duty_everywhere(
    world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the sample writes its tokens beside the database, or into var/
    sample.seed(world.running, world.settings)
    items = world.call("admin", "GET", "/contacts?limit=200").json()["items"]
    units = [unit["code"] for unit in world.call("admin", "GET", "/programmes/henan-2024").json()["units"]]
    duties = ("officer", "supervisor", "handler")
    wanted = [(unit, duty) for unit in units for duty in duties] + [(PROVINCE, duty) for duty in duties[:2]]
    assert [(item["unit"], item["duty"]) for item in items] == wanted
    assert all(item["email"].endswith("@example.org") and item["confirmed_at"] for item in items)
    assert len({item["email"] for item in items}) == len(items)


def test_an_address_is_not_flooded_with_codes(world: World) -> None:
    body = {"unit": ZHENGZHOU, "duty": "officer", "name": "李工", "email": "li@example.org", "language": "zh"}
    contact = world.call("admin", "POST", "/contacts", body).json()

    def ask(version: int) -> tuple[int, str | None]:
        answer = world.call(OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {}, version=version)
        return answer.status_code, answer.json().get("code")

    assert [ask(version)[0] for version in range(1, 6)] == [200] * 5
    assert ask(6) == (409, "too_many_codes")
    world.at("2024-05-21T00:00:00+08:00")
    assert [ask(version)[0] for version in range(6, 12)] == [200] * 5 + [409]


def test_an_address_is_not_flooded_through_many_contacts_either(world: World) -> None:
    def ask(contact: dict[str, Any]) -> int:
        answer = world.call(OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {}, version=contact["version"])
        return int(answer.status_code)

    with world.running.db.transaction() as tx:  # other mail is no code
        told = {
            "template": "digest",
            "recipient": "liu@example.org",
            "recipient_name": "刘工",
            "created_at": world.now(),
        }
        outbox.enqueue(tx, [NewMessage(id=f"told-{n}", key=f"told-{n}", **told) for n in range(5)])
    same = [_entered(world, duty=duty) for duty in ("officer", "handler", "supervisor") * 2]
    assert [ask(contact) for contact in same] == [200] * 5 + [409]
    assert ask(_entered(world, email="chen@example.org")) == 200
    path = f"/contacts/{same[0]['id']}"
    moved = world.call(OFFICER, "PATCH", path, {"email": "liu2@example.org"}, version=2).json()
    assert ask(moved) == 200


def test_an_address_is_not_flooded_at_once_and_in_whatever_spelling(world: World) -> None:
    spelled = ["Ma@example.org", "MA@example.org", "ma@EXAMPLE.org", "mA@Example.org"] * 3
    entered = [_entered(world, email=email) for email in spelled]
    together = Barrier(len(entered))

    def ask(contact: dict[str, Any]) -> int:
        together.wait()
        path = f"/contacts/{contact['id']}/confirm"
        return int(world.call(OFFICER, "POST", path, {}, version=contact["version"]).status_code)

    with ThreadPoolExecutor(len(entered)) as pool:
        assert Counter(pool.map(ask, entered)) == {200: 5, 409: len(entered) - 5}


def test_of_two_who_have_a_code_sent_or_confirm_at_once_one_is_told_that_it_has_changed(world: World) -> None:
    contact = _entered(world)["id"]
    with world.running.db.transaction() as tx:
        desk, act = Desk(tx, world.running.books), Act(Caller("a", "a", Role.ADMIN), world.now())
        assert contacts.send_code(desk, act, contact, 1, world.running.post.links)["version"] == 2
        with pytest.raises(VersionStale):
            contacts.send_code(desk, act, contact, 1, world.running.post.links)
        with pytest.raises(VersionStale):
            contacts.confirm(desk, act, contact, 1, "0" * 10)


def test_an_address_is_confirmed_by_the_code_that_was_mailed_there(world: World) -> None:
    body = {"unit": ZHENGZHOU, "duty": "officer", "name": "王办", "email": "wang@example.org"}
    contact = world.call(OFFICER, "POST", "/contacts", body).json()
    asked = world.call(OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {}, version=1)
    assert (asked.status_code, asked.json()["confirmed_at"]) == (200, None)
    scheduler.deliver(world.running)
    (line,) = world.call(OFFICER, "GET", "/messages?template=confirm_address").json()["items"]
    assert world.call(OFFICER, "GET", f"/messages/{line['id']}").json()["text"] is None  # the mailbox alone tells it
    with world.running.db.reading() as tx:
        text = tx.execute(select(MESSAGES.c.text).where(MESSAGES.c.id == line["id"])).scalar_one()
    code = re.search(r"验证码：(\d{10})", text)[1]  # type: ignore[index]
    wrong = world.call(
        OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {"code": f"{(int(code) + 1) % 10**10:010}"}, version=2
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "wrong_code")
    right = world.call(OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {"code": code}, version=2)
    assert right.json()["confirmed_at"] == "2024-05-20T09:00:00+08:00"
    again = world.call(OFFICER, "POST", f"/contacts/{contact['id']}/confirm", {"code": code}, version=3)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "wrong_code")
    assert world.call("auditor", "GET", f"/audit/verify?subject={contact['id']}").json()["ok"]
    moved = world.call(OFFICER, "PATCH", f"/contacts/{contact['id']}", {"email": "wang2@example.org"}, version=3)
    assert moved.json()["confirmed_at"] is None


@pytest.mark.parametrize("gone", [True, False])
def test_no_code_leaves_for_an_address_that_is_no_longer_his(world: World, *, gone: bool) -> None:
    made = _entered(world)
    world.at("2024-05-20T20:00:00+08:00")  # the office is closed
    sent = world.call(OFFICER, "POST", f"/contacts/{made['id']}/confirm", {}, version=1)
    assert sent.status_code == 200, sent.text
    version = sent.json()["version"]
    if gone:
        assert world.call(OFFICER, "DELETE", f"/contacts/{made['id']}", version=version).status_code == 200
    else:
        body = {"email": "new@example.org"}
        assert world.call(OFFICER, "PATCH", f"/contacts/{made['id']}", body, version=version).status_code == 200
    world.at("2024-05-21T10:00:00+08:00")
    told = world.call(OFFICER, "GET", "/messages?template=confirm_address").json()["items"]
    assert [each["status"] for each in told] == ["cancelled"]
