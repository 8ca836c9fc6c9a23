"""Webhooks: kept by those who want to know, and told in the transaction of what has happened."""

import json
import threading
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from notifications import outbox
from notifications.channels.outgoing import Outgoing
from notifications.channels.webhook import WebhookChannel, sign
from notifications.delivery import Delivered, deliver
from notifications.rendering import event_body
from service import post, scheduler
from service.access import SYSTEM
from service.casework import verification
from service.casework.desk import Desk
from service.casework.webhooks import EventType, Happened, enqueue_events, secrets_of
from service.settings import SettingRefused, Settings
from tests.service.world import KAIFENG, ZHENGZHOU, World

OFFICER, FOREIGNER = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"
URL = "https://hooks.example.org/jinji"
SECRET = "whsec_" + b64encode(bytes(range(24))).decode()


def made(world: World, who: str = "province", events: tuple[str, ...] = ("case.moved",), **sent: Any) -> dict[str, Any]:
    """A new webhook."""
    answer = world.call(who, "POST", "/webhooks", {"url": URL, "events": list(events), **sent})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(world: World) -> list[dict[str, Any]]:
    """The messages to webhooks in the outbox, in the order of their keys, with their data."""
    statement = outbox.MESSAGES.select().where(outbox.MESSAGES.c.channel == "webhook").order_by(outbox.MESSAGES.c.key)
    with world.running.db.reading() as tx:
        rows = [dict(row) for row in tx.execute(statement).mappings()]
    return [{**row, "data": json.loads(row["context"])} for row in rows]


# --- keeping them -----------------------------------------------------------------------------------------------------


def test_a_secret_is_made_where_none_is_brought_and_shown_only_then(world: World) -> None:
    webhook = made(world)
    assert sign(webhook["secret"], "id", 0, b"").startswith("v1,")
    assert made(world)["secret"] != webhook["secret"]
    assert made(world, secret=SECRET)["secret"] == SECRET
    listed = world.call("province", "GET", "/webhooks")
    assert len(listed.json()["items"]) == 3
    assert "whsec_" not in listed.text
    assert "whsec_" not in world.call("auditor", "GET", "/audit?limit=200").text
    with world.running.db.reading() as tx:
        assert "whsec_" not in str(tx.execute(text("SELECT data, changes FROM audit")).all())


@pytest.mark.parametrize("brought", [{}, {"secret": SECRET}])
def test_the_answer_to_a_repeated_key_tells_the_secret_again_and_no_kept_answer_holds_it(
    world: World, brought: dict[str, str]
) -> None:
    body = {"url": URL, "events": ["case.moved"], **brought}
    first = world.call("province", "POST", "/webhooks", body, key="hook-1")
    again = world.call("province", "POST", "/webhooks", body, key="hook-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert first.json()["secret"] == brought.get("secret", first.json()["secret"])
    with world.running.db.reading() as tx:
        assert "whsec_" not in str(tx.execute(text("SELECT * FROM stored_answers")).all())


def test_a_unit_keeps_its_own_webhooks_and_knows_of_no_others(world: World) -> None:
    own, theirs, all_ = made(world, OFFICER), made(world, FOREIGNER), made(world, "admin")
    assert [each["unit"] for each in (own, theirs, all_)] == [ZHENGZHOU, KAIFENG, None]
    assert [each["id"] for each in world.call(OFFICER, "GET", "/webhooks").json()["items"]] == [own["id"]]
    for each in (theirs, all_):
        assert world.call(OFFICER, "DELETE", f"/webhooks/{each['id']}").status_code == 404
    assert len(world.call("province", "GET", "/webhooks").json()["items"]) == 3
    assert world.call("auditor", "POST", "/webhooks", {"url": URL, "events": ["case.moved"]}).status_code == 403


REFUSED = [
    ("http://hooks.example.org/", "wrong_address"),
    ("http://8.8.8.8/", "wrong_address"),
    ("https://user:word@hooks.example.org/", "wrong_address"),
    ("https://hooks.example.org:0/", "wrong_address"),
    ("https:///path", "wrong_address"),
    ("https://hooks.example.org]/", "wrong_address"),
    ("https://[hooks.example.org/", "wrong_address"),
    ("https://hooks|.example.org/", "wrong_address"),
    ("https://-hooks.example.org/", "wrong_address"),
    ("https://hooks..example.org/", "wrong_address"),
    (f"https://{'a' * 64}.example.org/", "wrong_address"),
    (f"https://{'a.' * 127}org/", "wrong_address"),
    ("https://2130706433/", "wrong_address"),
    ("https://0x7f000001/", "wrong_address"),
    ("https://1.2.3/", "wrong_address"),
    ("https://127.0.0.1/", "private_address"),
    ("https://10.1.2.3/", "private_address"),
    ("https://169.254.169.254/latest", "private_address"),
    ("https://0.0.0.0/", "private_address"),
    ("https://[::1]/", "private_address"),
    ("https://[::ffff:10.0.0.1]/", "private_address"),
    ("https://[fd00::1]/", "private_address"),
    ("ftp://hooks.example.org/", "wrong_form"),
    ("https://hooks.example.org/a b", "wrong_form"),
    ("https://鉤.example.org/", "wrong_form"),
    ("", "wrong_form"),
]


@pytest.mark.parametrize(("url", "code"), REFUSED)
def test_an_address_that_no_webhook_may_have_is_refused(shared_world: World, url: str, code: str) -> None:
    answer = shared_world.call("province", "POST", "/webhooks", {"url": url, "events": ["case.moved"]})
    assert answer.status_code == 422, answer.text
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("url", code)]


@pytest.mark.parametrize(
    "url",
    [URL, "https://hooks.example.org:8443/x?y=z", "https://8.8.8.8/", "https://localhost/", "https://Hooks-2.Example.ORG./",
     "https://3com.example/?a=[b]", "https://xn--fiq228c.example/"],
)  # fmt: skip
def test_an_address_of_the_open_internet_is_taken_and_a_name_is_judged_when_something_is_sent(
    world: World, url: str
) -> None:
    assert made(world, url=url)["url"] == url


ALLOWED = [("http://10.1.2.3/", 201), ("https://10.1.2.3/", 201), ("http://hooks.internal/", 201),
           ("http://192.168.0.1/", 422), ("https://192.168.0.1/", 422), ("http://8.8.8.8/", 422)]  # fmt: skip


@pytest.mark.parametrize(("url", "status"), ALLOWED)
def test_a_setting_allows_networks_and_http_within_them(world: World, url: str, status: int) -> None:
    world.running.settings = replace(world.running.settings, webhook_networks="10.0.0.0/8, fd00::/8")
    answer = world.call("province", "POST", "/webhooks", {"url": url, "events": ["case.moved"]})
    assert answer.status_code == status, answer.text


def test_networks_that_are_none_are_refused_when_the_process_starts() -> None:
    known = Settings.from_environment({"JINJI_WEBHOOK_NETWORKS": " 10.0.0.0/8, fd00::/8 ,"})
    assert known.webhook_networks == " 10.0.0.0/8, fd00::/8 ,"
    for said in ("10.0.0.0/33", "10.0.0.1/8", "internal"):
        with pytest.raises(SettingRefused, match="JINJI_WEBHOOK_NETWORKS"):
            Settings.from_environment({"JINJI_WEBHOOK_NETWORKS": said})


MALFORMED = [
    ({"events": []}, "events"), ({"events": ["case.deleted"]}, "events[0]"), ({"events": None}, "events"),
    ({"secret": "whsec_short"}, "secret"), ({"secret": SECRET + "AAAA" * 20}, "secret"),
    ({"secret": SECRET.removeprefix("whsec_")}, "secret"), ({"unit": KAIFENG}, "unit"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "field"), MALFORMED)
def test_what_cannot_be_used_is_refused_with_its_field(shared_world: World, sent: Any, field: str) -> None:
    answer = shared_world.call("province", "POST", "/webhooks", {"url": URL, "events": ["case.moved"], **sent})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


# --- telling them -----------------------------------------------------------------------------------------------------


def test_a_case_that_moves_is_told_with_its_last_event(world: World) -> None:
    case = world.listed()
    webhook = made(world)
    world.planned(case)
    first, second = told(world)
    assert [each["key"] for each in (first, second)] == [
        f"webhook:{webhook['id']}:case.moved:{case}.{n}" for n in (2, 3)
    ]
    assert (second["recipient"], second["template"], second["status"]) == (URL, "case.moved", "pending")
    assert second["unit"] is None
    assert second["data"] == {
        "case": case, "event": "file_plan", "state": "plan_filed", "version": 3, "unit": ZHENGZHOU,
        "at": "2024-06-03T09:00:00+08:00",
    }  # fmt: skip


def test_a_unit_is_told_of_its_own_events_and_the_province_of_all(world: World) -> None:
    own, theirs, all_ = made(world, OFFICER), made(world, FOREIGNER), made(world)
    case, other = world.listed(), world.listed(KAIFENG)
    world.moved(OFFICER, case, "withdraw", reason="退出")
    world.moved(FOREIGNER, other, "withdraw", reason="退出")
    assert {(each["recipient_name"], each["data"]["case"], each["unit"]) for each in told(world)} == {
        (own["id"], case, ZHENGZHOU), (theirs["id"], other, KAIFENG), (all_["id"], case, None), (all_["id"], other, None),
    }  # fmt: skip


def test_only_the_events_that_were_asked_for_are_told(world: World) -> None:
    made(world, events=("notice.opened", "objection.lodged"))
    case = world.listed()
    notice = world.published(case)["notice"]
    sent = {"case": case, "reasons": "夜间冒烟", "contact": {"name": "李证人", "phone": "0371-60005678"}}
    world.call(None, "POST", f"/public/notices/{notice['id']}/objections", sent)
    opened, lodged = told(world)
    assert (opened["template"], lodged["template"]) == ("notice.opened", "objection.lodged")
    assert opened["data"] == {
        "notice": notice["id"], "unit": ZHENGZHOU, "cases": [case], "opened_on": "2024-09-03",
        "ends_on": notice["ends_on"], "at": "2024-09-03T09:00:00+08:00",
    }  # fmt: skip
    assert lodged["data"].keys() == {"objection", "notice", "case", "unit", "due_on", "at"}
    assert "李证人" not in str(lodged)


def test_what_is_refused_or_only_tried_is_told_to_nobody(world: World) -> None:
    made(world)
    case = world.listed()
    assert world.event(OFFICER, case, "publish").status_code == 409
    version = world.case(case)["version"]
    path = f"/cases/{case}/events?dry_run=true"
    tried = world.call(OFFICER, "POST", path, {"event": "withdraw", "reason": "退出"}, version=version)
    assert tried.status_code == 200, tried.text
    assert told(world) == []


def test_a_batch_tells_of_each_case_with_its_last_event(world: World) -> None:
    cases = [world.listed() for _ in range(3)]
    made(world)
    items = [{"case": case, "version": 1, "event": "withdraw", "reason": "退出"} for case in cases]
    answer = world.call(OFFICER, "POST", "/cases/events", {"items": items})
    assert [each["ok"] for each in answer.json()["results"]] == [True] * 3
    assert [each["data"]["case"] for each in told(world)] == sorted(cases)


def test_a_webhook_that_is_removed_is_told_of_nothing_and_its_secret_is_forgotten(world: World) -> None:
    case = world.listed()
    webhook = made(world)
    world.moved(OFFICER, case, "withdraw", reason="退出")
    path = f"/webhooks/{webhook['id']}"
    assert world.call("province", "DELETE", path, version=9).status_code == 412
    assert world.call("province", "DELETE", path).status_code == 200
    assert world.call("province", "DELETE", path).status_code == 404
    world.moved(OFFICER, case, "relist", reason="重新申请")
    assert len(told(world)) == 1
    assert secrets_of(world.running.db)(outgoing(told(world)[0])) == []
    with world.running.db.reading() as tx:
        assert webhook["secret"] not in str(tx.execute(text("SELECT * FROM webhooks")).all())


def outgoing(row: dict[str, Any]) -> Outgoing:
    """A message as the channel gets it."""
    rendered = event_body(row["template"], row["id"], row["created_at"], row["data"])
    return Outgoing(row["id"], row["message_id"], row["recipient"], row["recipient_name"], "zh", rendered)


def test_the_channel_signs_with_the_secret_of_the_webhook_that_the_message_is_for(world: World) -> None:
    case = world.listed()
    first, second = made(world), made(world, secret=SECRET)  # at the same address
    world.moved(OFFICER, case, "withdraw", reason="退出")
    found = {row["recipient_name"]: list(secrets_of(world.running.db)(outgoing(row))) for row in told(world)}
    assert found == {first["id"]: [first["secret"]], second["id"]: [SECRET]}


def test_what_is_told_leaves_signed_so_that_the_receiver_can_check_it(world: World) -> None:
    case = world.listed()
    webhook = made(world, secret=SECRET)
    world.moved(OFFICER, case, "withdraw", reason="退出")
    got: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: got.append(request) or httpx.Response(204))  # type: ignore[func-returns-value]
    channel = WebhookChannel(
        secrets_of(world.running.db), resolve=lambda host, port: ["8.8.8.8"], transport=transport
    )  # fmt: skip
    running = world.running
    done = deliver(running.db.transaction, {"webhook": channel}, running.clock.now, by="test", jitter=lambda: 0.0)
    assert done.sent == 1
    (request,) = got
    body = request.read()
    signed = sign(SECRET, request.headers["webhook-id"], int(request.headers["webhook-timestamp"]), body)
    assert request.headers["webhook-signature"] == signed
    sent = json.loads(body)
    assert (sent["type"], sent["data"]["case"], sent["data"]["event"]) == ("case.moved", case, "withdraw")
    (message,) = told(world)
    assert (message["status"], message["recipient_name"]) == ("sent", webhook["id"])


def test_the_same_thing_in_the_same_version_is_told_once(world: World) -> None:
    made(world, events=("request.opened",))
    item = Happened("r1", 1, world.now(), {"request": "r1"})
    for _ in range(2):
        with world.running.db.transaction() as tx:
            enqueue_events(Desk(tx, world.running.books), EventType.REQUEST_OPENED, ZHENGZHOU, [item])
    assert len(told(world)) == 1
    with world.running.db.transaction() as tx:
        again = Happened("r1", 2, world.now(), {"request": "r1"})
        enqueue_events(Desk(tx, world.running.books), EventType.REQUEST_OPENED, ZHENGZHOU, [again])
    assert len(told(world)) == 2


def test_with_no_webhook_a_look_at_a_stamp_is_all_that_it_costs(world: World) -> None:
    asked: list[str] = []
    event.listen(
        world.running.db.engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement)
    )
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        for number in range(3):
            item = Happened(f"r{number}", 1, world.now(), {})
            enqueue_events(desk, EventType.REQUEST_OPENED, ZHENGZHOU, [item])
    assert [statement for statement in asked if "webhooks" in statement and "FROM stamps" not in statement] == []
    assert sum("FROM stamps" in statement for statement in asked) <= 4  # the virtual clock is one, too


def test_a_webhook_that_was_tampered_with_is_found(world: World) -> None:
    made(world)
    with world.running.db.reading() as tx:
        for change in ("url = 'https://elsewhere.example/'", f"secret = '{SECRET}'", "events = '[]'",
                       f"unit = '{KAIFENG}'", "removed_at = created_at"):  # fmt: skip
            tampering = tx.begin_nested()
            tx.exec_driver_sql(f"UPDATE webhooks SET {change}")
            _, broken = verification.verify(tx, SYSTEM)
            tampering.rollback()
            assert [(each.subject_type, each.what) for each in broken] == [("webhook", "not what its history says")]


def test_what_was_made_and_removed_is_as_its_history_says(world: World) -> None:
    webhook = made(world, OFFICER)
    world.call(OFFICER, "DELETE", f"/webhooks/{webhook['id']}")
    assert world.call(OFFICER, "GET", "/audit/verify").json()["ok"] is True


def test_a_unit_has_so_many_webhooks_and_no_more(world: World) -> None:
    last = [
        world.call(OFFICER, "POST", "/webhooks", {"url": f"{URL}/{number}", "events": ["case.moved"]})
        for number in range(21)
    ]
    assert [answer.status_code for answer in last] == [201] * 20 + [409]
    assert last[-1].json()["code"] == "too_many_webhooks"


class _Slow:
    """A receiver that takes until it is `let_go`."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def side(self, recipient: str) -> str:
        """Where a message goes."""
        return recipient

    def send(self, message: Outgoing, now: datetime) -> None:
        """Take one message, some time."""
        self.begun.set()
        assert self.let_go.wait(60)

    def close(self) -> None:
        """Nothing is held."""


def test_where_only_a_webhook_is_due_no_mail_is_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made(world)
    world.moved(OFFICER, world.listed(), "withdraw", reason="退出")
    running = world.running
    begun: list[None] = []
    transaction = running.db.transaction
    monkeypatch.setattr(running.db, "transaction", lambda: (begun.append(None), transaction())[1])
    assert post.run(running.post, outbox.Channel.EMAIL, running.db, running.clock, running.books) == Delivered()
    assert begun == []


def test_a_slow_receiver_keeps_no_mail_waiting(world: World) -> None:
    slow: Any = _Slow()
    channels: Any = world.running.post.channels
    channels["webhook"] = slow
    made(world)
    case = world.listed()
    officer = {"unit": ZHENGZHOU, "duty": "handler", "name": "李工", "email": "li@example.org", "language": "zh"}
    assert world.call("admin", "POST", "/contacts", officer).status_code == 201
    world.moved(OFFICER, case, "withdraw", reason="退出")
    asked = {"enterprise": world.case(case)["enterprise"]["id"], "kind": "policy", "text": "请指导"}
    assert world.call(OFFICER, "POST", "/requests", asked).status_code == 201
    scheduler.tick(world.running)
    sending = threading.Thread(target=scheduler.deliver_webhooks, args=(world.running,))
    sending.start()
    try:
        assert slow.begun.wait(60)
        assert scheduler.deliver_mails(world.running) == 1
    finally:
        slow.let_go.set()
        sending.join()
    assert [row["status"] for row in told(world)] == ["sent"]
