"""Reminders: each rung told once to the right person, in one mail a day, whatever was down meanwhile; on both engines."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from notifications import outbox
from notifications.errors import Away
from notifications.outbox import MESSAGES
from notifications.rendering import example
from service import scheduler
from service.access import Act, Caller
from service.casework import audit, moves, reminders
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.casework.obligations import ROWS, RUNGS
from service.casework.requests import ROWS as REQUESTS
from service.clock import VirtualClock
from service.storage.tables import Contact, table
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role
from workflows.working_days import SHANGHAI

OFFICER = f"officer {ZHENGZHOU}"


def contact(world: World, unit: str, duty: str, **more: Any) -> str:
    """The address of a new contact."""
    name = f"{duty}{unit}"
    body = {"unit": unit, "duty": duty, "name": name, "email": f"{name}@example.org", "language": "zh", **more}
    answer = world.call("admin", "POST", "/contacts", body)
    assert answer.status_code == 201, answer.text
    return str(body["email"])


@pytest.fixture
def staffed(world: World) -> World:
    """The world with an officer, a supervisor and a handler in two units, and the province's officer."""
    for unit in (ZHENGZHOU, KAIFENG):
        for duty in ("officer", "supervisor", "handler"):
            contact(world, unit, duty)
    contact(world, "410000", "officer")
    return world


def mails(world: World, to: str | None = None) -> list[dict[str, Any]]:
    """Every mail that was sent, oldest first, as the row says."""
    statement = select(MESSAGES).where(MESSAGES.c.status == "sent").order_by(MESSAGES.c.sent_at, MESSAGES.c.id)
    if to is not None:
        statement = statement.where(MESSAGES.c.recipient == to)
    with world.running.db.reading() as tx:
        return [dict(row) for row in tx.execute(statement).mappings()]


def when(row: dict[str, Any]) -> str:
    """When a mail was sent, in Shanghai."""
    return f"{row['sent_at'].astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def letter(world: World, row: dict[str, Any]) -> EmailMessage:
    """The mail as it lies in the folder."""
    file = Path(world.settings.mail.removeprefix("file:")) / f"{row['id']}.eml"
    found = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def obligation(world: World, id_: str) -> dict[str, Any]:
    """The row of an obligation."""
    with world.running.db.reading() as tx:
        return dict(tx.execute(select(ROWS).where(ROWS.c.id == id_)).mappings().one())


def rungs_of(world: World, id_: str) -> Counter[str]:
    """How often each rung of an obligation was told."""
    with world.running.db.reading() as tx:
        return Counter(tx.execute(select(RUNGS.c.rung).where(RUNGS.c.obligation == id_)).scalars())


def ask(world: World, **more: Any) -> str:
    """The id of a request of an enterprise, received now."""
    case = world.listed(reason="补列")
    answer = world.call(
        OFFICER, "POST", "/requests", {"case": case, "kind": "funding", "text": "补助何时到位？", **more}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_p2_a_filing_is_reminded_of_in_office_hours_and_what_is_due_on_a_day_off_on_the_working_day_before(
    staffed: World,
) -> None:
    staffed.at("2024-06-18")
    told = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    about = [when(row) for row in told if "附件 2" in (row["text"] or "")]
    # t-7 on Saturday 8 June goes out on the 7th, t-3 on the 12th; t-1 and the day itself, a Saturday, on Friday the 14th.
    assert about == ["2024-06-07 08:30", "2024-06-12 08:30", "2024-06-14 08:30", "2024-06-17 08:30"]
    assert all(row["attempts"] == 1 for row in told)
    first = letter(staffed, next(row for row in told if when(row) == "2024-06-12 08:30"))
    text = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "2024年6月15日（星期六）24:00 前，还有 2 个工作日" in text
    assert "三（二）" in text
    assert "/api/v1/filings/henan-2024.410100.plan.2024" in text
    dates = next(part for part in first.iter_attachments() if part.get_content_type() == "text/calendar")
    assert "DTSTART;VALUE=DATE:20240615" in dates.get_content()


def test_the_days_rungs_of_one_person_go_in_one_mail(staffed: World) -> None:
    for _ in range(3):
        staffed.listed()
    staffed.at("2024-06-18")
    days = Counter(when(row) for row in mails(staffed, f"officer{ZHENGZHOU}@example.org"))
    assert set(days.values()) == {1}
    (row,) = [each for each in mails(staffed, f"officer{ZHENGZHOU}@example.org") if when(each) == "2024-06-17 08:30"]
    assert row["template"] == "digest"
    assert row["text"].count("完成预评估和“一企一策”提升方案") == 3


def test_who_wants_them_one_by_one_gets_them_one_by_one(world: World) -> None:
    address = contact(world, ZHENGZHOU, "officer", digest=False)
    for _ in range(2):
        world.listed()
    world.at("2024-06-08")
    assert {row["template"] for row in mails(world, address)} == {"reminder"}
    assert Counter(when(row) for row in mails(world, address))["2024-06-07 08:30"] == 3


def test_what_is_muted_is_not_told_but_for_what_the_plan_requires(world: World) -> None:
    address = contact(world, ZHENGZHOU, "officer", muted=["filing"])
    world.at("2024-06-04")
    assert [(when(row)) for row in mails(world, address)] == ["2024-05-31 08:30", "2024-06-03 08:30"]


def test_w5_a_request_is_handed_on_at_once_then_reminded_of_then_breached_then_in_each_days_digest(
    staffed: World,
) -> None:
    staffed.at("2024-09-27T10:00:00+08:00")
    request = ask(
        staffed,
    )
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    handler, supervisor, province = (
        f"handler{ZHENGZHOU}@example.org", f"supervisor{ZHENGZHOU}@example.org", "officer410000@example.org",
    )  # fmt: skip

    def told(to: str) -> list[str]:
        return [when(row) for row in mails(staffed, to) if row["created_at"] > datetime(2024, 9, 27, 2, tzinfo=UTC)
                or row["template"] == "request_received"]  # fmt: skip

    assert told(handler) == ["2024-09-27 10:00"]
    staffed.at("2024-10-10T23:59:59+08:00")
    assert told(handler)[1:] == ["2024-10-08 08:30", "2024-10-09 08:30", "2024-10-10 08:30"]
    assert obligation(staffed, f"answer.{request}")["breached_at"] is None
    staffed.at("2024-10-11T00:00:00+08:00")
    breach = [row for row in mails(staffed) if row["template"] == "breach"]
    assert {row["recipient"] for row in breach} == {supervisor, province}
    assert {when(row) for row in breach} == {"2024-10-11 00:00"}
    staffed.at("2024-10-14T09:00:00+08:00")
    about = [row for row in mails(staffed, supervisor) if "答复企业需求" in (row["text"] or "")]
    assert [when(row) for row in about] == ["2024-10-12 08:30", "2024-10-14 08:30"]
    answered = staffed.call(OFFICER, "POST", f"/requests/{request}/answer", {"text": "已拨付"},
                            version=staffed.call(OFFICER, "GET", f"/requests/{request}").json()["version"])  # fmt: skip
    assert (answered.status_code, answered.json()["late"]) == (200, True)
    staffed.at("2024-10-16T09:00:00+08:00")
    assert [row for row in mails(staffed, supervisor) if "答复企业需求" in (row["text"] or "")] == about
    history = staffed.call("auditor", "GET", f"/audit?subject={request}").json()["items"]
    assert [row["action"] for row in history] == ["answer", "breach", "open"]
    assert history[1]["data"]["breached_at"] == "2024-10-10T16:00:00.000000Z"


def test_w5_what_comes_in_the_evening_is_handed_on_the_next_morning(staffed: World) -> None:
    staffed.at("2024-06-05T20:00:00+08:00")
    ask(staffed)
    staffed.at("2024-06-06T09:00:00+08:00")
    (row,) = [each for each in mails(staffed) if each["template"] == "request_received"]
    assert when(row) == "2024-06-06 08:30"


def test_w5_a_unit_without_a_supervisor_still_escalates_to_the_province(world: World) -> None:
    contact(world, ZHENGZHOU, "handler")
    province = contact(world, "410000", "officer")
    ask(world)
    world.at("2024-05-28")
    assert {row["recipient"] for row in mails(world) if row["template"] == "breach"} == {province}


def test_where_a_unit_has_nobody_the_province_is_told_and_where_nobody_is_the_row_says_so(world: World) -> None:
    world.at("2024-05-24")
    assert "nobody to tell" in obligation(world, f"filing.henan-2024.{ZHENGZHOU}.list.2024")["trouble"]
    province = contact(world, "410000", "officer")
    world.at("2024-05-29")
    assert [when(row) for row in mails(world, province)] == ["2024-05-28 08:30"]
    assert obligation(world, f"filing.henan-2024.{ZHENGZHOU}.list.2024")["trouble"] is None


@pytest.mark.parametrize(
    "back", ["2024-06-03T10:00:00+08:00", "2024-06-05T10:00:00+08:00", "2024-07-03T10:00:00+08:00"]
)
def test_after_a_downtime_each_person_gets_one_mail_of_what_is_true_now(staffed: World, back: str) -> None:
    staffed.at("2024-05-23")
    staffed.passes_unseen(back)
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    counted = Counter(row["recipient"] for row in mails(staffed))
    assert set(counted.values()) == {1}
    (row,) = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    assert "即将到期" not in row["subject"] or "逾期" in row["subject"]
    late = obligation(staffed, f"filing.henan-2024.{ZHENGZHOU}.list.2024")
    assert late["breached_at"] == datetime(2024, 5, 31, 16, tzinfo=UTC)  # when it happened, not when it was noticed
    with staffed.running.db.reading() as tx:
        (entry,) = audit.history(tx, "obligation", late["id"])
    assert entry["action"] == "breach"
    assert "2024-05-31T16:00:00.000000Z" in entry["data"]


def test_back_at_night_only_a_breach_goes_out_before_the_morning(staffed: World) -> None:
    ask(staffed)
    staffed.passes_unseen("2024-05-29T21:00:00+08:00")
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    assert {row["template"] for row in mails(staffed)} == {"breach"}
    staffed.at("2024-05-30T08:30:00+08:00")
    counted = Counter(row["recipient"] for row in mails(staffed) if row["template"] != "breach")
    assert counted
    assert set(counted.values()) == {1}


def test_a_tick_that_runs_twice_changes_nothing(staffed: World) -> None:
    staffed.at("2024-06-03T08:30:00+08:00")
    before = mails(staffed)
    for _ in range(3):
        assert scheduler.tick(staffed.running) == 0
        assert scheduler.deliver(staffed.running) == 0
    assert mails(staffed) == before


class _Down:
    """A mail server that is away for as long as it is told."""

    def __init__(self, channel: Any) -> None:
        self.channel, self.away = channel, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    def send(self, message: Any, now: datetime) -> None:
        if self.away:
            raise Away("the mail server is away")
        self.channel.send(message, now)


def down_in(world: World) -> _Down:
    """The world's mail server, away."""
    channels: Any = world.running.post.channels
    channels["email"] = down = _Down(channels["email"])
    return down


def test_a_mail_server_down_for_days_loses_nothing_and_floods_nobody(staffed: World) -> None:
    staffed.at("2024-05-27")
    down = down_in(staffed)
    already = len(mails(staffed))
    staffed.at("2024-06-04T12:00:00+08:00")
    assert len(mails(staffed)) == already
    down.away = False
    staffed.at("2024-06-05T18:00:00+08:00")
    late = [
        row
        for row in mails(staffed, f"officer{ZHENGZHOU}@example.org")
        if row["sent_at"] > datetime(2024, 6, 4, tzinfo=UTC)
    ]
    assert len(late) <= 2
    told = " ".join(row["text"] for row in late)
    assert "报送附件 1 培育清单" in told
    with staffed.running.db.reading() as tx:
        waiting = tx.execute(
            select(func.count()).where(MESSAGES.c.status.in_(("pending", "sending", "failed")))
        ).scalar()
        lost = tx.execute(
            select(func.count()).select_from(RUNGS.join(MESSAGES, MESSAGES.c.id == RUNGS.c.message).join(ROWS, ROWS.c.id == RUNGS.c.obligation))
            .where(MESSAGES.c.status == "cancelled", ROWS.c.status == "open")
        ).scalar()  # fmt: skip
    assert (waiting, lost) == (0, 0)


@pytest.mark.parametrize("digest", [True, False])
def test_w5_what_was_handed_on_before_a_mail_server_went_says_what_is_true_when_it_is_back(
    world: World, *, digest: bool
) -> None:
    handler = contact(world, ZHENGZHOU, "handler", digest=digest)
    down = down_in(world)
    ids = [ask(world), ask(world)]
    world.at("2024-05-22T12:00:00+08:00")  # nothing more is due to the handler until the 23rd
    down.away = False
    world.at("2024-05-22T18:00:00+08:00")
    told = mails(world, handler)
    assert len(told) == (1 if digest else 2)
    for row in told:
        text = row["text"]
        assert "2024年5月22日（星期三）" in text
        assert "还有 3 个工作日" in text
    assert rungs_of(world, f"answer.{ids[0]}") == {"handed": 1}
    for id_ in ids:
        found = world.call(OFFICER, "GET", f"/messages?obligation=answer.{id_}").json()["items"]
        assert [each["status"] for each in found] == ["sent"]


def test_w5_a_breach_that_waited_for_the_mail_server_over_night_is_in_the_next_days_mail_and_leaves_at_any_hour(
    staffed: World,
) -> None:
    down = down_in(staffed)
    id_ = ask(staffed)
    staffed.at("2024-05-28T12:00:00+08:00")  # the term ended on the 27th at 24:00
    down.away = False
    staffed.at("2024-05-28T18:00:00+08:00")
    told = mails(staffed, f"supervisor{ZHENGZHOU}@example.org")
    assert len(told) == 1
    assert "逾期 1 个工作日" in told[0]["text"]
    assert rungs_of(staffed, f"answer.{id_}")["breach"] == 2  # the supervisor and the province


def test_w5_a_breach_that_waited_for_the_mail_server_and_was_answered_meanwhile_is_told_as_it_was(
    staffed: World,
) -> None:
    down = down_in(staffed)
    id_ = ask(staffed)
    staffed.at("2024-05-28T00:30:00+08:00")
    answer = staffed.call("officer 410100", "POST", f"/requests/{id_}/answer", {"text": "已答复"}, version=2)
    assert answer.status_code == 200, answer.text
    staffed.at("2024-05-29T12:00:00+08:00")
    down.away = False
    staffed.at("2024-05-29T18:00:00+08:00")
    told = [row for row in mails(staffed, f"supervisor{ZHENGZHOU}@example.org") if row["template"] == "breach"]
    assert len(told) == 1
    assert "未在规定期限内答复" in told[0]["text"]


def test_one_bad_row_is_marked_with_its_reason_and_does_not_stop_the_others(staffed: World) -> None:
    bad = f"filing.henan-2024.{ZHENGZHOU}.list.2024"
    with staffed.running.db.transaction() as tx:
        tx.execute(ROWS.update().where(ROWS.c.id == bad).values(title="no JSON"))
    staffed.at("2024-05-24")
    assert "ValueError" in obligation(staffed, bad)["trouble"]
    assert [when(row) for row in mails(staffed, f"officer{KAIFENG}@example.org")] == ["2024-05-24 08:30"]
    with staffed.running.db.transaction() as tx:
        tx.execute(ROWS.update().where(ROWS.c.id == bad).values(title='{"zh": "附件 1", "en": "form 1"}'))
    staffed.at("2024-05-27")
    assert obligation(staffed, bad)["trouble"] is None
    assert rungs_of(staffed, bad)["t-7"] == 1


def test_two_sweeps_at_once_tell_each_rung_once(staffed: World) -> None:
    staffed.passes_unseen("2024-05-31T08:30:00+08:00")
    process = staffed.running
    with process.db.transaction() as tx:
        now = process.clock.now(tx)
        if tx.dialect.name == "postgresql":
            assert reminders.sweep(Desk(tx, process.books), process.post.links, now) > 0
            with process.db.transaction() as other:  # the second node comes while the first is at it
                assert reminders.sweep(Desk(other, process.books), process.post.links, now) == 0
    scheduler.tick(process)
    scheduler.deliver(process)
    assert set(Counter(row["recipient"] for row in mails(staffed)).values()) == {1}


def test_a_withdrawn_case_owes_nothing_and_nobody_is_reminded_of_it(staffed: World) -> None:
    case = staffed.listed()
    staffed.at("2024-06-03")
    staffed.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    staffed.at("2024-06-18")
    assert rungs_of(staffed, f"stage.{case}.plan_stage") == Counter({"t-14": 1})
    assert obligation(staffed, f"stage.{case}.plan_stage")["status"] == "closed"


def test_messages_are_read_with_their_rungs_and_text_and_within_scope(staffed: World) -> None:
    staffed.at("2024-05-24")
    page = staffed.call(OFFICER, "GET", "/messages?status=sent").json()
    (line,) = page["items"]
    assert line["rungs"] == [{"obligation": f"filing.henan-2024.{ZHENGZHOU}.list.2024", "rung": "t-7"}]
    whole = staffed.call(OFFICER, "GET", f"/messages/{line['id']}")
    assert "附件 1" in whole.json()["text"]
    assert staffed.call(f"officer {KAIFENG}", "GET", f"/messages/{line['id']}").status_code == 404
    assert staffed.call("province", "GET", "/messages").json()["items"].__len__() > 1
    filtered = staffed.call("province", "GET", f"/messages?obligation=filing.henan-2024.{KAIFENG}.list.2024").json()
    assert [each["recipient"] for each in filtered["items"]] == [f"officer{KAIFENG}@example.org"]
    again = staffed.call(OFFICER, "POST", f"/messages/{line['id']}/retry", version=line["attempts"])
    assert (again.status_code, again.json()["code"]) == (409, "message_sent")


def test_a_message_that_failed_is_tried_again_when_an_officer_asks(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    (line,) = staffed.call(OFFICER, "GET", "/messages?status=pending").json()["items"]
    assert "away" in line["last_error"]
    down.away = False
    again = staffed.call(OFFICER, "POST", f"/messages/{line['id']}/retry", version=line["attempts"])
    assert again.status_code == 200, again.text
    scheduler.deliver(staffed.running)
    sent = staffed.call(OFFICER, "GET", f"/messages/{line['id']}").json()
    assert (sent["status"], sent["message_id"]) == ("sent", line["message_id"])
    actions = staffed.call("auditor", "GET", f"/audit?subject={line['id']}").json()["items"]
    assert [row["action"] for row in actions] == ["retry"]


def test_the_clock_tells_how_many_messages_it_passed(staffed: World) -> None:
    passed = staffed.at("2024-05-24")
    assert passed["messages"] == len(mails(staffed)) > 0
    assert timedelta(0) <= datetime.fromisoformat(passed["now"]) - mails(staffed)[-1]["sent_at"]


def test_p5_a_second_rectification_is_reminded_of_and_breached_anew(staffed: World) -> None:
    case = staffed.listed()
    measure = {"title": "更换布袋", "kind": "equipment_renewal", "due_on": "2024-08-20"}

    def ordered(review_on: str) -> None:
        staffed.moved("province", case, "order_rectification", {"review_on": review_on, "measures": [measure]})

    staffed.checked(case, "rectify")
    ordered("2024-08-16")
    staffed.at("2024-08-20")
    done = {
        "month": "2024-08", "assessed_on": "2024-08-20", "assessors": ["吴工"], "done": [2],
        "progress": {"equipment_renewal": 100}, "delayed": True, "conclusion": "已完成",
    }  # fmt: skip
    staffed.moved(OFFICER, case, "report_progress", done)
    review = {"reviewed_on": "2024-08-20", "reviewers": ["钱工", "郑工"], "conclusion": "同意"}
    staffed.moved(OFFICER, case, "accept", review)
    staffed.check(case, "rectify")
    ordered("2024-09-06")
    staffed.at("2024-09-10")
    told = rungs_of(staffed, f"re_review.{case}")
    assert {"overdue", "due-2024-09-06", "overdue-2024-09-06"} <= set(told)
    with staffed.running.db.reading() as tx:
        entries = audit.history(tx, "obligation", f"re_review.{case}")
    assert [entry["action"] for entry in entries] == ["breach", "breach"]


def test_p2_a_measure_that_is_given_another_day_is_reminded_of_anew(staffed: World) -> None:
    case = staffed.listed()
    staffed.planned(case)
    staffed.moved(OFFICER, case, "start_upgrade", {"started_on": "2024-06-03"})
    staffed.passes_unseen("2024-09-22T12:00:00+08:00")
    staffed.at("2024-09-23T12:00:00+08:00")
    assert set(rungs_of(staffed, f"measure.{case}.1")) == {"t-7"}
    change = {"change": [{"number": 1, "due_on": "2024-10-15"}]}
    staffed.moved(OFFICER, case, "amend_plan", change, reason="设备到货推迟")
    staffed.at("2024-10-08T12:00:00+08:00")
    assert set(rungs_of(staffed, f"measure.{case}.1")) == {"t-7", "t-7-2024-10-15"}


def test_r2_a_breach_that_no_sweep_has_seen_is_recorded_when_the_case_leaves(staffed: World) -> None:
    case = staffed.listed()
    staffed.at("2024-06-14")
    staffed.passes_unseen("2024-06-16T10:00:00+08:00")
    staffed.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    row = obligation(staffed, f"stage.{case}.plan_stage")
    assert (row["status"], row["breached_at"]) == ("closed", datetime(2024, 6, 15, 16, tzinfo=UTC))
    with staffed.running.db.reading() as tx:
        assert [each["action"] for each in audit.history(tx, "obligation", row["id"])] == ["breach"]
    board = staffed.call("province", "GET", "/board?programme=henan-2024").json()["units"][0]
    assert board["obligations"]["late"] == 1


@pytest.mark.parametrize(("at", "is_late"), [("2024-06-15T23:59:59.999999", False), ("2024-06-16T00:00:00", True)])
def test_r2_whoever_leaves_at_the_instant_at_which_the_term_ends_was_late(
    world: World, at: str, *, is_late: bool
) -> None:
    case = world.listed()
    world.passes_unseen(f"{at}+08:00")
    world.moved(OFFICER, case, "withdraw", reason="企业申请退出")
    with world.running.db.reading() as tx:
        entries = audit.history(tx, "obligation", f"stage.{case}.plan_stage")
    assert [each["action"] for each in entries] == (["breach"] if is_late else [])
    assert (obligation(world, f"stage.{case}.plan_stage")["breached_at"] is not None) is is_late


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)  # SQLite has one writer at a time: the tick waits
def test_w5_a_request_that_somebody_is_answering_just_now_is_breached_a_minute_later_if_he_does_not(
    staffed: World,
) -> None:
    id_ = ask(staffed)
    staffed.passes_unseen("2024-05-28T00:00:00+08:00")

    def actions() -> list[str]:
        return [each["action"] for each in staffed.call("auditor", "GET", f"/audit?subject={id_}").json()["items"]]

    with staffed.running.db.transaction() as answering:
        answering.execute(select(REQUESTS).where(REQUESTS.c.id == id_).with_for_update())
        scheduler.tick(staffed.running)
    staffed.at("2024-05-28T00:00:59+08:00")
    assert actions() == ["open"]
    staffed.at("2024-05-28T00:01:00+08:00")
    assert actions() == ["breach", "open"]
    found = staffed.call("province", "GET", f"/requests/{id_}").json()
    assert (found["state"], found["version"]) == ("overdue", 2)


def test_p2_a_breach_that_no_sweep_has_seen_is_recorded_when_the_plan_gives_the_measure_another_day(
    staffed: World,
) -> None:
    case = staffed.listed()
    staffed.planned(case)
    staffed.moved(OFFICER, case, "start_upgrade", {"started_on": f"{staffed.now():%Y-%m-%d}"})
    (measure,) = staffed.case(case)["measures"]
    id_ = f"measure.{case}.{measure['number']}"
    due_on = date.fromisoformat(measure["due_on"])
    staffed.at(f"{due_on}T12:00:00+08:00")
    staffed.passes_unseen(f"{due_on + timedelta(days=3)}T10:00:00+08:00")
    later = f"{due_on + timedelta(days=30)}"
    change = {"change": [{"number": measure["number"], "due_on": later}]}
    staffed.moved(OFFICER, case, "amend_plan", change, reason="设备到货推迟")
    with staffed.running.db.reading() as tx:
        (entry,) = audit.history(tx, "obligation", id_)
    assert entry["action"] == "breach"
    assert f'"due_on":"{due_on}"' in entry["data"]
    assert str(obligation(staffed, id_)["due_on"]) == later


def test_what_is_met_before_its_mail_has_left_is_not_told_any_more(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    assert staffed.call(OFFICER, "POST", f"/filings/{filing}/submit", {}, version=0).status_code == 200
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    assert mails(staffed, f"officer{ZHENGZHOU}@example.org") == []
    assert mails(staffed, f"officer{KAIFENG}@example.org")


def test_a_corrected_address_gets_what_could_not_be_sent(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    contacts = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    path = f"/contacts/{contacts[0]['id']}"
    assert staffed.call(OFFICER, "PATCH", path, {"email": "new@example.org"}, version=1).status_code == 200
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    assert [when(row)[:10] for row in mails(staffed, "new@example.org")] == ["2024-05-24"]


def test_w5_several_breaches_at_one_midnight_go_at_once_in_one_mail(staffed: World) -> None:
    ask(staffed)
    ask(staffed)
    staffed.at("2024-05-28T00:00:00+08:00")
    told = [row for row in mails(staffed, "officer410000@example.org") if when(row) == "2024-05-28 00:00"]
    assert [row["template"] for row in told] == ["digest"]


def test_w5_a_request_that_was_entered_late_is_handed_on_when_it_is_entered(staffed: World) -> None:
    staffed.at("2024-05-24")
    ask(staffed, received_at="2024-05-20T10:00:00+08:00")
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    assert [when(row) for row in mails(staffed, f"handler{ZHENGZHOU}@example.org")] == ["2024-05-24 09:00"]


def test_w5_whoever_is_handed_a_request_later_is_told_when_it_is_handed_to_him(staffed: World) -> None:
    request = ask(staffed)
    staffed.at("2024-05-27T09:00:00+08:00")  # its last day; the day's mail has left
    body = {"unit": ZHENGZHOU, "duty": "handler", "name": "另一位", "email": "other@example.org", "language": "zh"}
    other = staffed.call("admin", "POST", "/contacts", body).json()["id"]
    answer = staffed.call(OFFICER, "POST", f"/requests/{request}/assign", {"handler": other}, version=1)
    assert answer.status_code == 200, answer.text
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    assert [when(row) for row in mails(staffed, "other@example.org")] == ["2024-05-27 09:00"]


def test_w5_who_hears_of_a_breach_only_now_hears_of_it_once(staffed: World) -> None:
    staffed.at("2024-05-29T09:00:00+08:00")
    request = ask(staffed, received_at="2024-05-20T10:00:00+08:00")
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    told = staffed.call("province", "GET", f"/messages?obligation=answer.{request}").json()["items"]
    assert Counter(row["recipient"] for row in told)["officer410000@example.org"] == 1


def test_r2_whoever_has_to_correct_a_filing_reads_why_it_was_sent_back(staffed: World) -> None:
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    path = f"/filings/{filing}"
    staffed.listed()
    assert staffed.call(OFFICER, "POST", f"{path}/submit", {}, version=0).status_code == 200
    returned = staffed.call("province", "POST", f"{path}/return", {"reason": "缺少联系人"}, version=1)
    assert returned.status_code == 200, returned.text
    staffed.at("2024-05-21T12:00:00+08:00")
    told = [row["text"] for row in mails(staffed, f"officer{ZHENGZHOU}@example.org") if "退回补正" in row["text"]]
    assert told
    assert all("缺少联系人" in text for text in told)
    assert all("提交零报告" not in text for text in told)


def test_w5_a_breach_stays_news_when_it_was_put_into_the_days_mail_and_answered_before_that_left(
    staffed: World,
) -> None:
    down = down_in(staffed)
    id_ = ask(staffed)
    staffed.at("2024-05-29T12:00:00+08:00")  # its mail of the 28th is part of the 29th's
    answer = staffed.call(OFFICER, "POST", f"/requests/{id_}/answer", {"text": "已答复"}, version=2)
    assert answer.status_code == 200, answer.text
    down.away = False
    staffed.at("2024-05-29T17:00:00+08:00")
    assert len(mails(staffed, f"supervisor{ZHENGZHOU}@example.org")) == 1


def test_what_a_lost_sender_held_is_worded_anew_or_taken_back_before_it_leaves(staffed: World) -> None:
    down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().values(next_attempt_at=staffed.running.clock.now(tx)))
        assert outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    assert staffed.call(OFFICER, "POST", f"/filings/{filing}/submit", {}, version=0).status_code == 200
    channels: Any = staffed.running.post.channels
    channels["email"].away = False
    staffed.passes_unseen("2024-05-27T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    assert mails(staffed, f"officer{ZHENGZHOU}@example.org") == []
    (told,) = mails(staffed, f"officer{KAIFENG}@example.org")
    assert "2024年5月27日" in told["text"]


def test_no_parameter_of_messages_takes_what_no_text_holds(staffed: World) -> None:
    answer = staffed.call("province", "GET", "/messages?obligation=%00")
    assert answer.status_code == 422


def test_one_bad_row_among_what_waited_stops_no_other_mail(staffed: World) -> None:
    bad, good = (f"filing.henan-2024.{ZHENGZHOU}.list.2024", f"filing.henan-2024.{KAIFENG}.list.2024")
    staffed.at("2024-05-20T10:00:00+08:00")
    down = down_in(staffed)
    asked = ask(staffed)
    staffed.at("2024-05-25T12:00:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(ROWS.update().where(ROWS.c.id == bad).values(title="no JSON"))
    down.away = False
    staffed.at("2024-05-27T10:00:00+08:00")
    assert [when(row)[:10] for row in mails(staffed, f"officer{KAIFENG}@example.org")] == ["2024-05-27"]
    assert mails(staffed, f"handler{ZHENGZHOU}@example.org")
    assert "ValueError" in obligation(staffed, bad)["trouble"]
    assert obligation(staffed, good)["trouble"] is None
    assert "t-7" not in rungs_of(staffed, bad)
    with staffed.running.db.transaction() as tx:
        tx.execute(ROWS.update().where(ROWS.c.id == bad).values(title='{"zh": "附件 1", "en": "form 1"}'))
    staffed.at("2024-05-28T12:00:00+08:00")
    assert "附件 1" in mails(staffed, f"officer{ZHENGZHOU}@example.org")[-1]["text"]
    assert rungs_of(staffed, f"answer.{asked}")["handed"] == 1


def test_one_bad_row_in_the_days_mail_that_waits_keeps_nothing_else_out_of_it(staffed: World) -> None:
    bad = f"filing.henan-2024.{ZHENGZHOU}.list.2024"
    down = down_in(staffed)
    staffed.at("2024-05-24T09:00:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(ROWS.update().where(ROWS.c.id == bad).values(title="no JSON"))
        tx.execute(ROWS.update().where(ROWS.c.kind == "report").values(next_at=None))
        other = f"filing.henan-2024.{ZHENGZHOU}.plan.2024"
        due = {"due_on": date(2024, 5, 31), "due_at": datetime(2024, 5, 31, 16, tzinfo=UTC)}
        tx.execute(ROWS.update().where(ROWS.c.id == other).values(**due, next_at=staffed.running.clock.now(tx)))
    scheduler.tick(staffed.running)
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    (told,) = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    assert "附件 2" in told["text"]
    assert obligation(staffed, other)["trouble"] is None
    assert "ValueError" in obligation(staffed, bad)["trouble"]


def test_what_may_have_arrived_is_repeated_alone_under_its_message_id_in_words_of_the_day(staffed: World) -> None:
    staffed.at("2024-05-23")
    down_in(staffed)
    request = ask(staffed)
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    staffed.at("2024-05-24T08:30:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().values(next_attempt_at=staffed.running.clock.now(tx)))
        lost = {each.id: each for each in outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)}
    channels: Any = staffed.running.post.channels
    channels["email"].away = False
    staffed.passes_unseen("2024-05-27T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    told = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    assert [when(row) for row in told] == ["2024-05-27 10:00"]
    assert told[0]["id"] in lost
    assert "2024年5月27日" in told[0]["text"]
    assert rungs_of(staffed, f"filing.henan-2024.{ZHENGZHOU}.list.2024") == {"t-7": 1}
    assert rungs_of(staffed, f"answer.{request}")["handed"] == 1


def test_a_lost_sender_of_today_is_followed_by_the_same_mail_whatever_comes_meanwhile(staffed: World) -> None:
    staffed.at("2024-05-23")
    down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().values(next_attempt_at=staffed.running.clock.now(tx)))
        lost = {each.id: each.context for each in outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)}
    channels: Any = staffed.running.post.channels
    channels["email"].away = False
    with staffed.running.db.transaction() as tx:
        other = f"filing.henan-2024.{ZHENGZHOU}.plan.2024"
        tx.execute(ROWS.update().where(ROWS.c.id == other).values(
            due_on=date(2024, 5, 31), due_at=datetime(2024, 5, 31, 16, tzinfo=UTC),
            next_at=staffed.running.clock.now(tx) + scheduler.STALE_AFTER,
        ))  # fmt: skip
    staffed.at("2024-05-24T12:00:00+08:00")
    (told,) = mails(staffed, f"officer{ZHENGZHOU}@example.org")
    assert told["id"] in lost
    assert "附件 2" not in told["text"]
    staffed.at("2024-05-27T12:00:00+08:00")
    assert "附件 2" in mails(staffed, f"officer{ZHENGZHOU}@example.org")[-1]["text"]


def test_mails_that_wait_from_several_turns_become_one(staffed: World) -> None:
    down = down_in(staffed)
    ids = []
    for hour in (9, 10, 11):
        staffed.at(f"2024-05-21T{hour:02}:30:00+08:00")
        ids.append(ask(staffed))
        scheduler.tick(staffed.running)
    staffed.at("2024-05-22T12:00:00+08:00")
    down.away = False
    staffed.at("2024-05-22T18:00:00+08:00")
    (told,) = mails(staffed, f"handler{ZHENGZHOU}@example.org")
    assert told["template"] == "digest"
    found = staffed.call("province", "GET", f"/messages/{told['id']}").json()["rungs"]
    assert {each["obligation"] for each in found} == {f"answer.{id_}" for id_ in ids}


def test_who_was_removed_gets_no_more_mail_and_who_stands_in_is_told(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    (gone,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    assert staffed.call(OFFICER, "DELETE", f"/contacts/{gone['id']}", version=1).status_code in (200, 204)
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    assert mails(staffed, f"officer{ZHENGZHOU}@example.org") == []
    told = staffed.call("province", "GET", f"/messages?obligation=filing.henan-2024.{ZHENGZHOU}.list.2024").json()
    assert [(each["recipient"], each["status"]) for each in told["items"]] == [("officer410000@example.org", "sent")]


def test_what_a_correction_makes_owed_again_is_reminded_of_though_its_mail_was_taken_back(world: World) -> None:
    address = contact(world, ZHENGZHOU, "officer", digest=False)
    case = world.listed()
    world.at("2024-06-06")
    down = down_in(world)
    world.at("2024-06-07T08:30:00+08:00")
    stage = f"stage.{case}.plan_stage"
    assert rungs_of(world, stage)["t-7"] == 1
    world.moved(OFFICER, case, "withdraw", reason="误点")
    world.at("2024-06-07T10:30:00+08:00")
    waiting = world.call(OFFICER, "GET", f"/messages?obligation={stage}&status=pending").json()["items"]
    assert waiting == []  # it has been taken back
    world.moved(f"second officer {ZHENGZHOU}", case, "correct", reason="误录")
    down.away = False
    world.at("2024-06-11T18:00:00+08:00")
    assert obligation(world, stage)["trouble"] is None
    told = world.call(OFFICER, "GET", f"/messages?obligation={stage}&status=sent").json()["items"]
    again = [each for each in told if {"obligation": stage, "rung": "t-7"} in each["rungs"]]
    assert [each["recipient"] for each in again] == [address]


def test_what_may_have_arrived_and_was_taken_back_is_not_told_again(world: World) -> None:
    contact(world, ZHENGZHOU, "officer", digest=False)
    case = world.listed()
    world.at("2024-06-06")
    down = down_in(world)
    world.at("2024-06-07T08:30:00+08:00")
    stage = f"stage.{case}.plan_stage"
    with world.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().where(MESSAGES.c.status == "pending").values(next_attempt_at=world.now()))
        assert outbox.claim(tx, world.running.clock.now(tx), "lost", 100)
    world.moved(OFFICER, case, "withdraw", reason="误点")
    down.away = False
    world.at("2024-06-07T10:30:00+08:00")
    world.moved(f"second officer {ZHENGZHOU}", case, "correct", reason="误录")
    world.at("2024-06-11T18:00:00+08:00")
    told = world.call(OFFICER, "GET", f"/messages?obligation={stage}&status=sent").json()["items"]
    assert [each for each in told if {"obligation": stage, "rung": "t-7"} in each["rungs"]] == []


def test_who_was_removed_while_his_mail_was_being_sent_gets_it_no_more(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    with staffed.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().where(MESSAGES.c.status == "pending").values(next_attempt_at=staffed.now()))
        assert outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)
    (gone,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    assert staffed.call(OFFICER, "DELETE", f"/contacts/{gone['id']}", version=1).status_code in (200, 204)
    successor = contact(staffed, ZHENGZHOU, "officer", email="new@example.org", name="继任")
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    assert mails(staffed, f"officer{ZHENGZHOU}@example.org") == []
    assert len(mails(staffed, successor)) == 1


def test_one_message_that_cannot_be_read_fails_and_stops_no_other(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    bad = staffed.call(OFFICER, "GET", "/messages?status=pending").json()["items"][0]["id"]
    with staffed.running.db.transaction() as tx:
        tx.execute(MESSAGES.update().where(MESSAGES.c.id == bad).values(context="no JSON", template="result"))
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    assert mails(staffed, f"officer{KAIFENG}@example.org")
    failed = staffed.call(OFFICER, "GET", f"/messages/{bad}").json()
    assert (failed["status"], "cannot be read" in failed["last_error"]) == ("failed", True)


def test_one_contact_whose_wishes_cannot_be_read_stops_nobodys_mail(staffed: World) -> None:
    contacts: Any = table(Contact)
    with staffed.running.db.transaction() as tx:
        tx.execute(contacts.update().where(contacts.c.unit == "410000").values(muted="no JSON"))
    staffed.at("2024-05-24")
    assert mails(staffed, f"officer{ZHENGZHOU}@example.org")


def test_a_day_that_moved_stays_news_when_what_is_owed_is_done(staffed: World) -> None:
    now = staffed.now()
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    with staffed.running.db.transaction() as tx:
        message = outbox.NewMessage(
            "m", "correction:x", "correction", "officer410100@example.org", "x", now, {"reason": {"zh": "", "en": ""}}
        )
        outbox.enqueue(tx, [message])
        tx.execute(RUNGS.insert().values(obligation=f"filing.{filing}", rung="moved-1", recipient="contact:x", message="m", at=now))  # fmt: skip
    assert staffed.call(OFFICER, "POST", f"/filings/{filing}/submit", {}, version=0).status_code == 200
    down_in(staffed)
    scheduler.deliver(staffed.running)
    with staffed.running.db.reading() as tx:
        row = outbox.get(tx, "m")
    assert row is not None
    assert row["status"] != "cancelled"


@pytest.mark.parametrize("is_away", [True, False])
def test_on_the_real_clock_what_waited_over_night_keeps_nothing_from_todays_mail(
    staffed: World, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    first = ask(staffed)  # due on Monday, the 27th
    staffed.at("2024-05-24T17:00:00+08:00")
    down = down_in(staffed)
    down.away = is_away
    ask(staffed)  # handed on when the office has closed, or when the mail server is away
    scheduler.tick(staffed.running)
    scheduler.deliver(staffed.running)
    staffed.at("2024-05-27T07:00:00+08:00")
    down.away = False
    # The sweep works as of a minute ago (DECISIONS 29), what leaves is of now.
    monkeypatch.setattr(VirtualClock, "settled", lambda self, tx: self.now(tx) - timedelta(minutes=1))
    for at in ("2024-05-27T08:30:05+08:00", "2024-05-27T08:31:05+08:00", "2024-05-27T17:00:00+08:00"):
        staffed.passes_unseen(at)
        scheduler.tick(staffed.running)
        scheduler.deliver(staffed.running)
    assert rungs_of(staffed, f"answer.{first}")["due"] == 1
    told = [when(row) for row in mails(staffed, f"handler{ZHENGZHOU}@example.org")]
    assert "2024-05-27 08:31" in told


def test_p2_who_moves_a_measure_in_time_has_broken_nothing_though_another_event_is_written_after_midnight(
    staffed: World,
) -> None:
    moved, other = staffed.listed(), staffed.listed()
    for case in (moved, other):
        staffed.planned(case)
        staffed.moved(OFFICER, case, "start_upgrade", {"started_on": f"{staffed.now():%Y-%m-%d}"})
    staffed.at("2024-09-30T23:00:00+08:00")  # the last hour of their measures
    caller = Caller("x", "某人", Role.UNIT, unit=ZHENGZHOU)
    before, after = (
        datetime.fromisoformat(at) for at in ("2024-09-30T23:59:59.9+08:00", "2024-10-01T00:00:00.1+08:00")
    )
    later = {"change": [{"number": 1, "due_on": "2024-10-20"}]}
    with staffed.running.db.transaction() as tx:
        outcomes = moves.apply_events(
            Desk(tx, staffed.running.books),
            [
                Command(
                    Act(caller, before), moved, "amend_plan", later, frozenset({staffed.case(moved)["version"]}), "推迟"
                ),
                Command(Act(caller, after), other, "withdraw", {}, frozenset({staffed.case(other)["version"]}), "退出"),
            ],
        )
    assert all(isinstance(outcome, Applied) for outcome in outcomes), outcomes
    assert obligation(staffed, f"measure.{moved}.1")["breached_at"] is None
    assert obligation(staffed, f"measure.{other}.1")["breached_at"] is not None


def retried_at(world: World, instant: str, to: str) -> str:
    """Let what waits for somebody be tried again at an instant of 2024 in Shanghai; the id of the one mail that waits."""
    waiting = (MESSAGES.c.status == "pending") & (MESSAGES.c.recipient == to)
    with world.running.db.transaction() as tx:
        (id_,) = tx.execute(select(MESSAGES.c.id).where(waiting)).scalars()
        again = datetime.fromisoformat(f"2024-{instant}:00+08:00")
        tx.execute(MESSAGES.update().where(waiting).values(next_attempt_at=again))
    return str(id_)


def submit(world: World, form: str = "list.2024", unit: str = ZHENGZHOU) -> None:
    """Hand in a filing as it stands, for the first time."""
    path = f"/filings/henan-2024.{unit}.{form}/submit"
    answer = world.call(f"officer {unit}", "POST", path, {}, version=0)
    assert answer.status_code == 200, answer.text


def test_what_waits_for_its_next_attempt_waits_on_into_another_day(staffed: World) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    waits = retried_at(staffed, "05-27T12:00", officer)
    down.away = False
    staffed.passes_unseen("2024-05-27T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    assert mails(staffed, officer) == []
    assert staffed.call(OFFICER, "GET", f"/messages/{waits}").json()["status"] == "pending"
    staffed.at("2024-05-27T12:00:00+08:00")
    assert [when(row) for row in mails(staffed, officer)] == ["2024-05-27 12:00"]


@pytest.mark.parametrize(
    ("written", "is_another"), [("2024-05-26T23:59:59.999999", True), ("2024-05-27T00:00:00", False)]
)
def test_only_what_was_written_before_the_day_began_gives_way_to_a_mail_of_that_day(
    staffed: World, written: str, *, is_another: bool
) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    waits = retried_at(staffed, "05-27T10:00", officer)
    with staffed.running.db.transaction() as tx:
        at = datetime.fromisoformat(f"{written}+08:00")
        tx.execute(MESSAGES.update().where(MESSAGES.c.id == waits).values(created_at=at))
    down.away = False
    staffed.passes_unseen("2024-05-27T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    (told,) = mails(staffed, officer)
    assert (told["id"] != waits) is is_another


def test_w5_what_was_done_before_its_mail_was_tried_again_counts_as_told_by_no_other_mail(staffed: World) -> None:
    handler = f"handler{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    done = ask(staffed)
    scheduler.tick(staffed.running)
    waits = retried_at(staffed, "05-21T12:00", handler)
    staffed.at("2024-05-20T10:00:00+08:00")
    open_ = ask(staffed)
    scheduler.tick(staffed.running)
    answer = staffed.call(OFFICER, "POST", f"/requests/{done}/answer", {"text": "已答复"}, version=1)
    assert answer.status_code == 200, answer.text
    down.away = False
    staffed.passes_unseen("2024-05-21T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    (told,) = mails(staffed, handler)
    rungs = staffed.call(OFFICER, "GET", f"/messages/{told['id']}").json()["rungs"]
    assert [each["obligation"] for each in rungs] == [f"answer.{open_}"]
    staffed.at("2024-05-21T12:00:00+08:00")
    assert staffed.call(OFFICER, "GET", f"/messages/{waits}").json()["status"] == "cancelled"
    assert len(mails(staffed, handler)) == 1


def test_w5_of_several_breaches_in_one_mail_that_waited_the_one_that_was_mended_is_told_as_it_was(
    staffed: World,
) -> None:
    down = down_in(staffed)
    mended, open_ = ask(staffed), ask(staffed)
    staffed.at("2024-05-28T00:30:00+08:00")
    answer = staffed.call(OFFICER, "POST", f"/requests/{mended}/answer", {"text": "已答复"}, version=2)
    assert answer.status_code == 200, answer.text
    staffed.at("2024-05-29T12:00:00+08:00")
    down.away = False
    staffed.at("2024-05-29T18:00:00+08:00")
    told = mails(staffed, f"supervisor{ZHENGZHOU}@example.org")
    for id_ in (mended, open_):
        name = staffed.case(staffed.call(OFFICER, "GET", f"/requests/{id_}").json()["case"])["enterprise"]["name"]
        assert any(f"{name}（" in row["text"] for row in told)


def test_what_is_owed_again_before_its_mail_was_tried_again_is_told_by_that_mail(world: World) -> None:
    address = contact(world, ZHENGZHOU, "officer", digest=False, muted=["filing", "report"])
    case = world.listed()
    world.at("2024-06-05")
    down = down_in(world)
    world.at("2024-06-07T08:30:00+08:00")
    waits = retried_at(world, "06-07T12:00", address)
    world.moved(OFFICER, case, "withdraw", reason="误点")
    world.at("2024-06-07T09:30:00+08:00")
    world.moved(f"second officer {ZHENGZHOU}", case, "correct", reason="误录")
    down.away = False
    world.at("2024-06-07T18:00:00+08:00")
    assert mails(world, address)[-1]["id"] == waits


def test_what_a_lost_sender_held_over_night_is_told_beside_the_days_mail_that_has_left(staffed: World) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    retried_at(staffed, "05-28T08:10", officer)
    staffed.passes_unseen("2024-05-28T08:10:00+08:00")
    with staffed.running.db.transaction() as tx:
        lost = {each.recipient for each in outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)}
    assert officer in lost
    down.away = False
    staffed.at("2024-05-28T08:30:00+08:00")
    staffed.at("2024-05-28T12:00:00+08:00")
    assert [when(row) for row in mails(staffed, officer)] == ["2024-05-28 08:30", "2024-05-28 08:40"]


def test_who_wants_each_by_itself_from_today_is_told_beside_the_days_mail_what_a_lost_sender_held(
    staffed: World,
) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    retried_at(staffed, "05-28T08:10", officer)
    staffed.passes_unseen("2024-05-28T08:10:00+08:00")
    with staffed.running.db.transaction() as tx:
        outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)
    staffed.at("2024-05-28T08:30:00+08:00")
    days = retried_at(staffed, "05-28T10:00", officer)
    (known,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    answer = staffed.call(OFFICER, "PATCH", f"/contacts/{known['id']}", {"digest": False}, version=1)
    assert answer.status_code == 200, answer.text
    down.away = False
    staffed.at("2024-05-28T12:00:00+08:00")
    held, told = mails(staffed, officer)
    assert (when(held), when(told), told["id"]) == ("2024-05-28 08:40", "2024-05-28 10:00", days)


def test_w5_what_comes_up_when_a_mail_that_waited_over_night_has_left_is_told_on_the_same_day(staffed: World) -> None:
    handler = f"handler{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    ask(staffed)
    staffed.at("2024-05-20T10:00:00+08:00")
    retried_at(staffed, "05-21T09:00", handler)
    down.away = False
    staffed.passes_unseen("2024-05-21T09:00:00+08:00")
    staffed.at("2024-05-21T10:00:00+08:00")
    ask(staffed, received_at="2024-05-15T10:00:00+08:00")  # its third working day was yesterday
    staffed.at("2024-05-22T12:00:00+08:00")
    assert [when(row) for row in mails(staffed, handler)] == [
        "2024-05-21 09:00", "2024-05-21 10:00", "2024-05-22 08:30",
    ]  # fmt: skip


def test_a_correction_that_leaves_takes_no_reminder_along_that_waits_for_its_next_attempt(staffed: World) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    waits = retried_at(staffed, "05-27T12:00", officer)
    filing, now = f"filing.henan-2024.{ZHENGZHOU}.plan.2024", staffed.now()
    (known,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    moved = {"obligation": filing, "rung": "moved-1", "recipient": f"contact:{known['id']}", "message": "m", "at": now}
    with staffed.running.db.transaction() as tx:
        correction = outbox.NewMessage("m", "correction:x", "correction", officer, "x", now, example("correction"))
        outbox.enqueue(tx, [correction])
        tx.execute(RUNGS.insert().values(**moved))
    down.away = False
    staffed.passes_unseen("2024-05-27T10:00:00+08:00")
    scheduler.deliver(staffed.running)
    assert [row["id"] for row in mails(staffed, officer)] == ["m"]
    assert staffed.call(OFFICER, "GET", f"/messages/{waits}").json()["status"] == "pending"


def test_what_is_done_is_not_told_to_who_stands_in_for_whoever_was_removed(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    submit(staffed)
    (gone,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    assert staffed.call(OFFICER, "DELETE", f"/contacts/{gone['id']}", version=1).status_code in (200, 204)
    down.away = False
    staffed.at("2024-05-24T12:00:00+08:00")
    about = f"/messages?obligation=filing.henan-2024.{ZHENGZHOU}.list.2024"
    assert {each["status"] for each in staffed.call("province", "GET", about).json()["items"]} <= {"cancelled"}
    assert rungs_of(staffed, f"filing.henan-2024.{ZHENGZHOU}.list.2024") == {"t-7": 1}


def test_what_a_lost_sender_held_for_whoever_was_removed_is_told_to_who_stands_in(staffed: World) -> None:
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    retried_at(staffed, "05-24T09:00", f"officer{ZHENGZHOU}@example.org")
    staffed.passes_unseen("2024-05-24T09:00:00+08:00")
    with staffed.running.db.transaction() as tx:
        assert outbox.claim(tx, staffed.running.clock.now(tx), "lost", 100)
    (gone,) = staffed.call(OFFICER, "GET", "/contacts?duty=officer").json()["items"]
    assert staffed.call(OFFICER, "DELETE", f"/contacts/{gone['id']}", version=1).status_code in (200, 204)
    down.away = False
    staffed.passes_unseen("2024-05-27T08:00:00+08:00")
    staffed.at("2024-05-27T12:00:00+08:00")  # its next rung is the 28th's
    about = f"/messages?obligation=filing.henan-2024.{ZHENGZHOU}.list.2024&status=sent"
    told = staffed.call("province", "GET", about).json()["items"]
    assert [each["recipient"] for each in told] == ["officer410000@example.org"]


class _Slow:
    """A channel whose first mail takes longer than another's turn is away."""

    def __init__(self, world: World, channel: Any, until: str) -> None:
        self.world, self.channel, self.until = world, channel, until

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    def send(self, message: Any, now: datetime) -> None:
        self.channel.send(message, now)
        if self.until:
            self.until, until = "", self.until
            self.world.passes_unseen(until)


def test_what_falls_due_while_others_leave_is_worded_anew_before_it_leaves(staffed: World) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down = down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    waits = retried_at(staffed, "05-27T12:00", officer)
    down.away = False
    staffed.passes_unseen("2024-05-27T11:59:00+08:00")
    channels: Any = staffed.running.post.channels
    channels["email"] = _Slow(staffed, down, "2024-05-27T12:01:00+08:00")
    scheduler.deliver_mails(staffed.running)
    assert mails(staffed, officer) == []
    scheduler.deliver_mails(staffed.running)
    (told,) = mails(staffed, officer)
    assert told["id"] != waits


def test_what_somebody_retries_does_not_tire_the_mail_of_the_day(staffed: World) -> None:
    officer = f"officer{ZHENGZHOU}@example.org"
    down_in(staffed)
    staffed.at("2024-05-24T08:30:00+08:00")
    waiting = (MESSAGES.c.status == "pending") & (MESSAGES.c.recipient == officer)
    with staffed.running.db.transaction() as tx:
        (old,) = tx.execute(select(MESSAGES.c.id).where(waiting)).scalars()
        tx.execute(MESSAGES.update().where(waiting).values(status="failed", attempts=76, next_attempt_at=None))
    staffed.at("2024-05-28T08:30:00+08:00")
    assert staffed.call(OFFICER, "POST", f"/messages/{old}/retry", {}, version=76).status_code == 200
    staffed.at("2024-05-28T08:40:00+08:00")
    told = staffed.call("admin", "GET", f"/messages?recipient={officer}").json()["items"]
    assert {each["status"] for each in told} == {"cancelled", "pending"}


def test_the_officer_of_a_case_is_known_however_the_name_is_written(world: World) -> None:
    contact(world, ZHENGZHOU, "officer")
    li = contact(world, ZHENGZHOU, "supervisor", name="李 工", email="li@example.org")
    world.listed(officer="李工")
    world.at("2024-06-14T18:00:00+08:00")
    told = {row["recipient"] for row in mails(world) if "测试企业" in (row["text"] or "")}
    assert told == {li}


def test_who_was_entered_twice_is_told_once(world: World) -> None:
    for name in ("李工", "李 工"):
        contact(world, ZHENGZHOU, "officer", name=name, email="Li@example.org" if " " in name else "li@example.org")
    world.at("2024-05-24T18:00:00+08:00")
    assert [row["recipient"] for row in mails(world)] == ["li@example.org"]
