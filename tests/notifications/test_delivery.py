"""Delivery: everything arrives, once, whatever fails on the way; on both engines."""

import smtplib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from notifications import outbox, unsent
from notifications.channels.choose import choose
from notifications.channels.outgoing import Outgoing
from notifications.delivery import MOST_ATTEMPTS, STALE_AFTER, Delivered, deliver, next_attempt
from notifications.errors import Away, Broken, Permanent, Temporary
from notifications.outbox import Claimed, NewMessage, Status
from notifications.rendering import example
from service.storage.db import Database
from tests.notifications.conftest import NOW
from tests.notifications.sink import Sink

Make = Callable[..., NewMessage]


class Recorded:
    """A way out that keeps what it is handed, or fails as it is told."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.taken: list[Outgoing] = []
        self.tried = 0
        self.closed = 0
        self.failures = list(failures)
        self.always: Callable[[Outgoing], BaseException | None] = lambda message: None
        self.before: Callable[[], None] = lambda: None

    def side(self, recipient: str) -> str:
        return recipient.partition("/")[0]

    def send(self, message: Outgoing, now: datetime) -> None:
        self.before()
        self.tried += 1
        failure = self.failures.pop(0) if self.failures else self.always(message)
        if failure is not None:
            raise failure
        self.taken.append(message)

    def close(self) -> None:
        self.closed += 1


class OneServer(Recorded):
    """The same, with one server behind all recipients."""

    def side(self, recipient: str) -> str:
        return "server"


def put(db: Database, *messages: NewMessage) -> None:
    with db.transaction() as tx:
        outbox.enqueue(tx, messages)


def run(db: Database, channel: Any, at: datetime = NOW, **told: Any) -> Delivered:
    told = {"by": "one", "jitter": lambda: 0.0} | told
    return deliver(db.transaction, {"email": channel, "webhook": channel}, lambda tx: at, **told)


def row(db: Database, id_: str) -> dict[str, Any]:
    with db.reading() as tx:
        found = outbox.get(tx, id_)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "attempts, minutes", [(1, 1), (2, 5), (3, 15), (4, 60), (5, 60), (MOST_ATTEMPTS - 1, 60), (MOST_ATTEMPTS, None)]
)
def test_waits_grow_and_end(attempts: int, minutes: int | None) -> None:
    expected = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert next_attempt(attempts, NOW, 0.0) == expected


def test_all_waits_together_are_about_three_days() -> None:
    at: datetime | None = NOW
    last = NOW
    attempts = 0
    while at is not None:
        last, attempts = at, attempts + 1
        at = next_attempt(attempts, at, 0.0)
    assert timedelta(hours=71) < last - NOW < timedelta(hours=73)


@given(st.integers(1, MOST_ATTEMPTS - 1), st.floats(-1, 1))
def test_jitter_moves_a_wait_by_a_fifth_at_most(attempts: int, jitter: float) -> None:
    plain, moved = next_attempt(attempts, NOW, 0.0), next_attempt(attempts, NOW, jitter)
    assert plain is not None
    assert moved is not None
    assert 0.799 <= (moved - NOW) / (plain - NOW) <= 1.201


@pytest.mark.parametrize(
    "wish, waits", [(timedelta(hours=2), timedelta(hours=2)), (timedelta(days=9), timedelta(days=1)),
                    (timedelta(seconds=1), timedelta(minutes=1))],
)  # fmt: skip
def test_who_asks_for_time_gets_it_within_a_day(wish: timedelta, waits: timedelta) -> None:
    assert next_attempt(1, NOW, 0.0, retry_after=wish) == NOW + waits


def test_what_is_due_is_sent_once_and_recorded_as_sent(db: Database, message: Make) -> None:
    new = message(recipient_name="王\r\nBcc: x@y.example")
    put(db, new)
    channel = Recorded()
    assert run(db, channel) == Delivered(sent=1)
    assert run(db, channel) == Delivered()
    stored = row(db, new.id)
    (taken,) = channel.taken
    assert stored["status"] == "sent"
    assert (stored["subject"], stored["text"], stored["html"]) == (
        taken.rendered.subject, taken.rendered.text, taken.rendered.html
    )  # fmt: skip
    assert taken.rendered.text.startswith("王 Bcc: x@y.example：")
    assert channel.closed == 4  # after either run, under each of its two names


def test_no_transaction_is_open_while_a_message_is_sent(db: Database, message: Make) -> None:
    put(db, message(), message())
    open_now = 0

    @contextmanager
    def watched() -> Iterator[Connection]:
        nonlocal open_now
        with db.transaction() as tx:
            open_now += 1
            yield tx
        open_now -= 1

    seen: list[int] = []
    channel = Recorded()
    channel.before = lambda: seen.append(open_now)
    deliver(watched, {"email": channel}, lambda tx: NOW, by="one", jitter=lambda: 0.0)
    assert seen == [0, 0]


@pytest.mark.parametrize(
    "failure, status, said",
    [
        (Temporary("451 later"), "pending", "451 later"),
        (Away("connection refused"), "pending", "connection refused"),
        (Broken("broke"), "pending", "broke"),
        (Permanent("550 no such user"), "failed", "550 no such user"),
        (ZeroDivisionError("our own fault"), "failed", "ZeroDivisionError('our own fault')"),
    ],
)
def test_a_failure_stands_on_its_row_and_stops_no_other(
    db: Database, message: Make, failure: Exception, status: str, said: str
) -> None:
    first, second = message(), message()
    put(db, first, second)
    channel = Recorded(failure)
    run(db, channel)
    stored = row(db, first.id)
    assert (stored["status"], stored["last_error"], stored["attempts"]) == (status, said, 1)
    assert stored["next_attempt_at"] == (NOW + timedelta(minutes=1) if status == "pending" else None)
    assert row(db, second.id)["status"] == "sent"


def test_a_template_that_fails_ends_its_message_alone(db: Database, message: Make) -> None:
    broken, unknown, whole = message(context={"item": {}}), message(template="nothing"), message()
    put(db, broken, unknown, whole)
    assert run(db, Recorded()) == Delivered(sent=1, failed=2)
    assert "'reminder'" in row(db, broken.id)["last_error"]
    assert "'nothing'" in row(db, unknown.id)["last_error"]


def test_a_channel_that_is_not_there_is_said_on_the_row(db: Database, message: Make) -> None:
    new = message(channel="webhook")
    put(db, new)
    deliver(db.transaction, {}, lambda tx: NOW, by="one", jitter=lambda: 0.0)
    assert row(db, new.id)["last_error"] == "there is no channel for webhook"


def test_nobody_knocks_again_in_the_same_run_where_nobody_opened(db: Database, message: Make) -> None:
    put(db, *(message() for _ in range(20)))
    channel = OneServer()
    channel.always = lambda message: Away("connection refused")
    assert run(db, channel) == Delivered(waiting=20)
    assert channel.tried == 1


def test_three_broken_lines_in_a_row_are_a_server_that_is_away(db: Database, message: Make) -> None:
    put(db, *(message() for _ in range(20)))
    channel = OneServer(Broken("1"), Broken("2"), None, Broken("1"))
    channel.always = lambda message: Broken("n")
    assert run(db, channel) == Delivered(sent=1, waiting=19)
    assert channel.tried == 6


def test_one_receiver_that_is_away_does_not_keep_another_waiting(db: Database, message: Make) -> None:
    put(db, *(message(channel="webhook", recipient=f"{host}/hook") for host in ("a", "b", "a", "b")))
    channel = Recorded()
    channel.always = lambda message: Away("away") if message.recipient.startswith("a") else None
    assert run(db, channel) == Delivered(sent=2, waiting=2)


def test_what_may_have_arrived_is_handed_over_three_times_at_most(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    channel = Recorded()
    channel.always = lambda message: Broken("no answer", unsure=True)
    at = NOW
    while row(db, new.id)["status"] == "pending":
        at += timedelta(hours=2)
        run(db, channel, at)
    assert (channel.tried, row(db, new.id)["status"]) == (3, "failed")


class Killed(BaseException):
    """The process ends here."""


def test_a_crash_before_the_record_leads_to_one_repeat_with_the_same_message_id(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    channel = Recorded()
    transactions = 0

    @contextmanager
    def killed_at_the_record() -> Iterator[Connection]:
        nonlocal transactions
        transactions += 1
        with db.transaction() as tx:
            yield tx
            if transactions == 2:
                raise Killed

    with pytest.raises(Killed):
        deliver(killed_at_the_record, {"email": channel}, lambda tx: NOW, by="killed", jitter=lambda: 0.0)
    assert row(db, new.id)["status"] == "sending"
    assert run(db, channel, NOW + STALE_AFTER - timedelta(seconds=1)) == Delivered()
    assert run(db, channel, NOW + STALE_AFTER) == Delivered(sent=1, released=1)
    assert run(db, channel, NOW + 3 * STALE_AFTER) == Delivered()
    assert [taken.message_id for taken in channel.taken] == [f"<{new.id}@jinji.invalid>"] * 2
    assert channel.taken[0].rendered == channel.taken[1].rendered


def test_a_crash_before_sending_loses_nothing(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with pytest.raises(Killed):
        run(db, Recorded(Killed()))
    channel = Recorded()
    assert run(db, channel, NOW + STALE_AFTER) == Delivered(sent=1, released=1)
    assert len(channel.taken) == 1


def test_out_of_hours_a_message_waits_without_an_attempt(db: Database, message: Make) -> None:
    opens = NOW + timedelta(hours=12)

    def hours(claimed: Claimed, at: datetime) -> datetime:
        return at if claimed.template == "breach" else max(at, opens)

    reminder, breach = message(), message(template="breach", context=example("breach"))
    put(db, reminder, breach)
    assert run(db, Recorded(), hours=hours) == Delivered(sent=1, put_off=1)
    stored = row(db, reminder.id)
    assert (stored["attempts"], stored["next_attempt_at"]) == (0, opens)
    assert run(db, Recorded(Temporary("later")), opens, hours=lambda claimed, at: at + timedelta(0)).waiting == 1


def test_a_run_ends_after_as_many_messages_as_it_may_send(db: Database, message: Make) -> None:
    put(db, *(message() for _ in range(5)))
    assert run(db, Recorded(), most=3) == Delivered(sent=3)
    assert run(db, Recorded(), most=3) == Delivered(sent=2)


def test_two_processes_deliver_each_message_once(db: Database, message: Make) -> None:
    put(db, *(message() for _ in range(60)))
    channels = [Recorded(), Recorded()]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda n: run(db, channels[n], by=f"process {n}"), (0, 1)))
    taken = Counter(each.id for channel in channels for each in channel.taken)
    assert len(taken) == 60
    assert set(taken.values()) == {1}
    assert done[0].sent + done[1].sent == 60


def test_a_server_down_for_two_days_loses_nothing_and_floods_nobody(db: Database, message: Make) -> None:
    """Against a real address where nobody listens, then a real server: every virtual due instant in turn."""
    messages = [message(recipient=f"r{number % 4}@x.example") for number in range(12)]
    put(db, *messages)
    with Sink() as sink:
        port = sink.port
    channel = choose(f"smtp://127.0.0.1:{port}?timeout=5")
    attempts = []
    original = smtplib.SMTP.connect

    def counted(self: smtplib.SMTP, *told: Any, **more: Any) -> Any:
        attempts.append(at)
        return original(self, *told, **more)

    draws = iter(range(10**6))

    def jitter() -> float:
        return (next(draws) * 0.37) % 2 - 1

    at = NOW
    up_at = NOW + timedelta(days=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smtplib.SMTP, "connect", counted)
        while at < up_at:
            run(db, channel, at, jitter=jitter)
            at = _next(db, at + timedelta(minutes=10))  # a tick, and not more often than that
    with db.reading() as tx:
        assert outbox.count_by_status(tx)[Status.PENDING] == 12
    assert len(attempts) <= 2 * 24 * 6 + 1
    with Sink(port=port) as sink:
        ended = at + timedelta(minutes=90)
        while at < ended:
            run(db, channel, at, jitter=jitter)
            at = _next(db, at + timedelta(minutes=10))
    assert Counter(sink.message_ids()) == Counter(f"<{each.id}@jinji.invalid>" for each in messages)
    with db.reading() as tx:
        assert outbox.count_by_status(tx)[Status.SENT] == 12


def _next(db: Database, earliest: datetime) -> datetime:
    with db.reading() as tx:
        return max(outbox.next_due_at(tx, STALE_AFTER) or earliest, earliest)


def test_after_three_days_a_message_has_failed_where_officers_see_it_and_may_be_tried_anew(
    db: Database, message: Make
) -> None:
    new = message()
    put(db, new)
    channel = Recorded()
    channel.always = lambda message: Away("connection refused")
    at: datetime | None = NOW
    last = NOW
    while at is not None:
        last = at
        run(db, channel, at)
        with db.reading() as tx:
            at = outbox.next_due_at(tx, STALE_AFTER)
    assert last - NOW > timedelta(hours=71)
    stored = row(db, new.id)
    assert (stored["status"], stored["attempts"], channel.tried) == ("failed", MOST_ATTEMPTS, MOST_ATTEMPTS)
    with db.transaction() as tx:
        assert unsent.retry(tx, new.id, last)
    assert run(db, Recorded(), last) == Delivered(sent=1)


def test_five_hundred_recipients_get_one_mail_each_in_a_folder(db: Database, message: Make, tmp_path: Path) -> None:
    put(db, *(message() for _ in range(500)))
    assert run(db, choose(f"file:{tmp_path / 'mail'}")) == Delivered(sent=500)
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 500
    assert len(list((tmp_path / "mail").iterdir())) == 500


def test_only_what_may_have_arrived_is_counted_against_that_bound(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    channel = Recorded(*[Away("refused") for _ in range(3)], Broken("no answer", unsure=True), Away("refused"))
    at = NOW
    for _ in range(6):
        at += timedelta(hours=2)
        run(db, channel, at)
    assert (channel.tried, row(db, new.id)["status"], row(db, new.id)["unsure_times"]) == (6, "sent", 1)


def test_what_falls_due_while_a_run_goes_on_waits_for_the_next(db: Database, message: Make) -> None:
    due, later = message(), message(send_at=NOW + timedelta(seconds=30))
    put(db, due, later)
    channel, at = Recorded(), NOW + timedelta(minutes=1)
    assert run(db, channel, at, due_at=NOW) == Delivered(sent=1)
    assert (row(db, due.id)["status"], row(db, later.id)["status"]) == ("sent", "pending")
    assert run(db, channel, at) == Delivered(sent=1)
