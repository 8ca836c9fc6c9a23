"""Mail from end to end: the service as users start it and a real mail server; and what somebody may try with names and texts."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from notifications.outbox import MESSAGES
from service import scheduler
from service.access import Act, Caller
from service.casework import contacts
from service.casework.contacts import ContactFacts
from service.casework.desk import Desk
from service.cli import main
from service.sample import credit_code
from tests.notifications.sink import Sink
from tests.service.conftest import CLOCK
from tests.service.processes import serving, until_it_serves
from tests.service.test_reminders import ask, contact, letter, mails
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"


def test_a_request_reaches_its_handler_by_mail(database_url: str, tmp_path: Path) -> None:
    environment = {"JINJI_DATABASE_URL": database_url, "JINJI_CLOCK": CLOCK}

    def token(*words: str) -> str:
        made = CliRunner().invoke(main, ["token", "create", "--name", "李明", *words], env=environment)
        assert made.exit_code == 0, made.output
        return made.stdout.strip()

    secrets = {"admin": token("--role", "admin"), "unit": token("--role", "unit", "--unit", ZHENGZHOU)}
    with Sink() as sink:
        mail = {
            "mail": f"smtp://127.0.0.1:{sink.port}",
            "mail_from": "jinji@henan.example",
            "tick_seconds": "1",
        }
        with serving(database_url, tmp_path, **mail) as (process, port):
            until_it_serves(process)

            def post(who: str, path: str, body: Any) -> dict[str, Any]:
                asked = urllib.request.Request(
                    f"http://127.0.0.1:{port}/api/v1{path}", json.dumps(body).encode(),
                    {"Authorization": f"Bearer {secrets[who]}", "Content-Type": "application/json"},
                )  # fmt: skip
                with urllib.request.urlopen(asked) as answer:
                    made: dict[str, Any] = json.load(answer)
                    return made

            post(
                "unit",
                "/contacts",
                {"unit": ZHENGZHOU, "duty": "handler", "name": "欧阳晓峰", "email": "ou@example.org"},
            )
            site = post("admin", "/enterprises", {
                "unit": ZHENGZHOU, "name": "郑州甲级玻璃有限公司", "credit_code": credit_code(ZHENGZHOU, 70_001),
                "industry": "glass", "grade": "A", "contact": {"name": "王联系", "phone": "0371-60001234"},
            })  # fmt: skip
            text = "补助何时到位？\nBcc: all@example.org\n\n第二行"
            post("unit", "/requests", {"enterprise": site["id"], "kind": "funding", "text": text})
            until = time.monotonic() + 60
            while not sink.letters:
                assert time.monotonic() < until
                time.sleep(0.05)
        (mail_,) = sink.mails()
        assert sink.envelopes == [("jinji@henan.example", ["ou@example.org"])]
        assert mail_["To"].addresses[0].display_name == "欧阳晓峰"
        assert "2024年5月27日" in mail_["Subject"]
        assert mail_["Bcc"] is None
        assert b"\nSubject: =?utf-8?" in sink.letters[0].replace(b"\r\n", b"\n")
        assert sink.letters[0].partition(b"\r\n\r\n")[0].isascii()
        assert "> Bcc: all@example.org" in mail_.get_body(("plain",)).get_content()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "李明\nBcc: all@example.org"},
        {"name": "李\r\n明"},
        {"name": "李\u202e明"},
        {"email": "li@example.org\nBcc: all@example.org"},
        {"email": "li@example.org, all@example.org"},
        {"email": "李明 <li@example.org>"},
    ],
)
def test_a_contact_whose_name_or_address_would_break_a_mail_is_refused(
    shared_world: World, wrong: dict[str, str]
) -> None:
    body = {"unit": ZHENGZHOU, "duty": "handler", "name": "李明", "email": "li@example.org", **wrong}
    answer = shared_world.call("admin", "POST", "/contacts", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(wrong))), answer.text


def test_500_contacts_of_one_unit_are_500_mails_of_one_recipient_each(world: World) -> None:
    with world.running.db.transaction() as tx:
        desk = Desk(tx, world.running.books)
        act = Act(Caller("admin", "admin", Role.ADMIN), world.running.clock.now(tx))
        for number in range(500):
            contacts.enter(desk, act, ContactFacts(
                unit=ZHENGZHOU, duty="officer", name=f"经办{number}", email=f"person{number}@example.org"
            ))  # fmt: skip
    world.passes_unseen("2024-05-24T09:00:00+08:00")
    scheduler.tick(world.running)
    with world.running.db.reading() as tx:
        told = list(tx.execute(select(MESSAGES.c.recipient).where(MESSAGES.c.unit == ZHENGZHOU)).scalars())
    assert sorted(told) == sorted(f"person{number}@example.org" for number in range(500))


def test_names_of_enterprises_in_chinese_stand_in_headers_that_any_mail_server_takes(world: World) -> None:
    address = contact(world, ZHENGZHOU, "handler", name="欧阳晓峰（环评科）")
    ask(world)
    scheduler.tick(world.running)
    scheduler.deliver(world.running)
    (row,) = mails(world, address)
    found = letter(world, row)
    assert found["To"].addresses[0].display_name == "欧阳晓峰（环评科）"
    assert found.as_bytes().partition(b"\n\n")[0].isascii()


def test_a_mail_that_cannot_be_rendered_fails_where_officers_see_it_and_the_others_go_on(world: World) -> None:
    addresses = {contact(world, ZHENGZHOU, duty, email=f"{duty}@example.org") for duty in ("officer", "handler")}
    ask(world)
    world.passes_unseen("2024-05-24T09:00:00+08:00")
    scheduler.tick(world.running)
    with world.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().where(MESSAGES.c.recipient == "handler@example.org").values(context="{}"))
    scheduler.deliver(world.running)
    failed = world.call(OFFICER, "GET", "/messages?status=failed").json()["items"]
    assert {each["recipient"] for each in failed} == {"handler@example.org"}
    assert "template" in failed[0]["last_error"]
    sent = {row["recipient"] for row in mails(world)}
    assert sent == addresses - {"handler@example.org"}
    # Put right, it goes when somebody asks for it.
    again = world.call(OFFICER, "POST", f"/messages/{failed[0]['id']}/retry", version=failed[0]["attempts"])
    assert again.status_code == 200, again.text
