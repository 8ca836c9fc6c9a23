"""The outbox on both engines: what is written once, claimed by one, and ends in one state."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import insert, text

from notifications import outbox, unsent
from notifications.outbox import MESSAGES, Channel, NewMessage, Status, Wanted
from service.storage.db import Database
from tests.notifications.conftest import NOW

Make = Callable[..., NewMessage]
HOUR = timedelta(hours=1)


def put(db: Database, *messages: NewMessage) -> frozenset[str]:
    with db.transaction() as tx:
        return outbox.enqueue(tx, messages)


def row(db: Database, id_: str) -> dict[str, object]:
    with db.reading() as tx:
        found = outbox.get(tx, id_)
    assert found is not None
    return found


def test_a_key_is_written_once_whoever_writes_it(db: Database, message: Make) -> None:
    first, again, other = message(key="a"), message(key="a"), message(key="b")
    assert put(db, first, other) == {first.id, other.id}
    assert put(db, again) == frozenset()
    assert put(db, message(key="c"), message(key="c")) <= {"0190-000004", "0190-000005"}
    with db.reading() as tx:
        assert outbox.count_by_status(tx)[Status.PENDING] == 3
    assert row(db, first.id)["recipient"] == first.recipient


def test_nothing_written_is_nothing_new(db: Database) -> None:
    assert put(db) == frozenset()


def test_a_message_goes_with_the_transaction_of_its_change(db: Database, message: Make) -> None:
    lost = message()

    def change_that_fails() -> None:
        with db.transaction() as tx:
            outbox.enqueue(tx, [lost])
            raise LookupError

    with pytest.raises(LookupError):
        change_that_fails()
    with db.reading() as tx:
        assert outbox.get(tx, lost.id) is None


def test_five_hundred_recipients_are_five_hundred_messages(db: Database, message: Make) -> None:
    messages = [message() for _ in range(500)]
    assert len(put(db, *messages)) == 500
    with db.transaction() as tx:
        claimed = outbox.claim(tx, NOW, "a", 600)
    assert [each.recipient for each in claimed] == [each.recipient for each in messages]


def test_two_writers_of_the_same_keys_in_opposite_order_both_come_through(db: Database, message: Make) -> None:
    messages = [message() for _ in range(50)]
    barrier = Barrier(2)

    def write(order: list[NewMessage]) -> int:
        barrier.wait()
        return len(put(db, *order))

    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(write, [messages, messages[::-1]]))
    assert sum(written) == 50


def test_strange_characters_are_stored(db: Database, message: Make) -> None:
    strange = message(recipient="a\x00b", recipient_name="李\x00\ud800明", context={"text": "\x00\ud800郑"})
    put(db, strange)
    with db.transaction() as tx:
        (claimed,) = outbox.claim(tx, NOW, "a", 1)
        outbox.record_failure(tx, strange.id, "a", "no\x00\udc80" + "x" * 5000, None)
    assert claimed.recipient_name == "李\ufffd\ufffd明"
    assert claimed.context == {"text": "\x00\ud800郑"}
    assert row(db, strange.id)["last_error"] == "no\ufffd\ufffd" + "x" * 996


def test_a_context_that_is_no_json_is_refused(db: Database, message: Make) -> None:
    with pytest.raises(TypeError, match="no value of JSON"):
        put(db, message(context={"a": object()}))


def test_what_is_not_due_is_not_claimed(db: Database, message: Make) -> None:
    later, due = message(send_at=NOW + HOUR), message(send_at=NOW)
    put(db, later, due)
    with db.transaction() as tx:
        assert [each.id for each in outbox.claim(tx, NOW, "a", 9)] == [due.id]
        assert outbox.claim(tx, NOW, "a", 9) == []
        assert [each.id for each in outbox.claim(tx, NOW + HOUR, "a", 9)] == [later.id]


def test_what_waited_longest_is_claimed_first(db: Database, message: Make) -> None:
    messages = [message(send_at=NOW - timedelta(minutes=minutes)) for minutes in (1, 3, 2)]
    put(db, *messages)
    with db.transaction() as tx:
        claimed = [outbox.claim(tx, NOW, "a", 1)[0].id for _ in messages]
    assert claimed == [messages[1].id, messages[2].id, messages[0].id]


def test_two_who_claim_at_once_never_get_the_same(db: Database, message: Make) -> None:
    put(db, *(message() for _ in range(200)))
    barrier = Barrier(4)

    def take(by: str) -> list[str]:
        barrier.wait()
        taken: list[str] = []
        while True:
            with db.transaction() as tx:
                claimed = outbox.claim(tx, NOW, by, 7)
            if not claimed:
                return taken
            taken += [each.id for each in claimed]

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(take, "abcd"))
    everything = [id_ for share in shares for id_ in share]
    assert len(everything) == len(set(everything)) == 200


@pytest.mark.parametrize("db", ["postgres"], indirect=True)  # SQLite has one writer at a time: the second waits
def test_a_claim_does_not_wait_for_a_claim_that_is_still_open(db: Database, message: Make) -> None:
    put(db, message(), message())
    with db.transaction() as one, db.transaction() as two:
        (first,) = outbox.claim(one, NOW, "a", 1)
        (second,) = outbox.claim(two, NOW, "b", 1)
    assert first.id != second.id


def test_a_claim_costs_what_is_due_not_what_was_ever_sent(db: Database, message: Make) -> None:
    sent = [{**outbox._row(message(), "x"), "status": "sent", "next_attempt_at": None} for _ in range(2000)]
    with db.transaction() as tx:
        tx.execute(insert(MESSAGES), sent)
    put(db, message())
    with db.transaction() as tx:
        if not db.is_sqlite:
            tx.execute(text("ANALYZE messages"))
        compiled = outbox._claim_of(None).compile(db.engine, compile_kwargs={"literal_binds": False})
        explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
        told = {"at": NOW, "due": NOW, "by": "a", "most": 5, "at_1": NOW}
        values = {name: told.get(name, compiled.params[name]) for name in compiled.params}
        if compiled.positional:
            at = NOW.astimezone().replace(tzinfo=None).isoformat(" ")
            parameters = tuple(at if values[name] is NOW else values[name] for name in compiled.positiontup or ())
            plan = tx.exec_driver_sql(explain + str(compiled), parameters).all()
        else:
            plan = tx.exec_driver_sql(explain + str(compiled), values).all()
    assert "messages_due" in str(plan)


def test_sent_is_recorded_with_what_was_sent(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        (claimed,) = outbox.claim(tx, NOW, "a", 1)
        assert outbox.record_sent(tx, claimed, NOW, subject="到期", text="正文", html="<p>正文</p>")
        assert not outbox.record_sent(tx, claimed, NOW + HOUR, subject="x", text="x", html=None)
    stored = row(db, new.id)
    assert (stored["status"], stored["subject"], stored["text"], stored["html"]) == (
        "sent",
        "到期",
        "正文",
        "<p>正文</p>",
    )
    assert (stored["sent_at"], stored["attempts"], stored["claimed_by"]) == (NOW, 1, None)
    assert stored["message_id"] == f"<{new.id}@jinji.invalid>"


def test_a_failure_waits_for_its_next_attempt_or_ends(db: Database, message: Make) -> None:
    again, never = message(), message()
    put(db, again, never)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 2)
        assert outbox.record_failure(tx, again.id, "a", "away", NOW + HOUR)
        assert outbox.record_failure(tx, never.id, "a", "refused", None)
        assert not outbox.record_failure(tx, never.id, "a", "refused", None)
        assert outbox.next_due_at(tx, HOUR) == NOW + HOUR
    assert (row(db, again.id)["status"], row(db, never.id)["status"]) == ("pending", "failed")


def test_each_channel_has_its_own_next_instant(db: Database, message: Make) -> None:
    mail, webhook = message(send_at=NOW + HOUR), message(channel=Channel.WEBHOOK)
    put(db, mail, webhook)

    def due(channel: Channel | None = None) -> datetime | None:
        with db.reading() as tx:
            return outbox.next_due_at(tx, 2 * HOUR, channel)

    assert [due(), due(Channel.EMAIL), due(Channel.WEBHOOK)] == [NOW, NOW + HOUR, NOW]
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1, Channel.WEBHOOK)
    assert [due(), due(Channel.EMAIL), due(Channel.WEBHOOK)] == [NOW + HOUR, NOW + HOUR, NOW + 2 * HOUR]
    with db.transaction() as tx:
        unsent.cancel(tx, [mail.id])
    assert [due(), due(Channel.EMAIL), due(Channel.WEBHOOK)] == [NOW + 2 * HOUR, None, NOW + 2 * HOUR]


def test_only_who_claimed_records_a_failure(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        assert not outbox.record_failure(tx, new.id, "b", "away", None)
        assert not outbox.put_off(tx, new.id, "b", NOW)
    assert row(db, new.id)["status"] == "sending"


def test_what_a_lost_sender_held_is_given_back(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        (first,) = outbox.claim(tx, NOW, "a", 1)
        assert outbox.next_due_at(tx, HOUR) == NOW + HOUR
        assert outbox.release_stale(tx, NOW + HOUR - timedelta(seconds=1), HOUR, 9) == 0
        assert outbox.release_stale(tx, NOW + HOUR, HOUR, 9) == 1
        (again,) = outbox.claim(tx, NOW + HOUR, "b", 1)
        assert (again.message_id, again.attempts) == (f"<{new.id}@jinji.invalid>", 2)
        assert not outbox.record_failure(tx, new.id, "a", "too late", None)
        # The first was only slow, and did send: that holds, and the second's failure does not undo it.
        assert outbox.record_sent(tx, first, NOW, subject="s", text="t", html=None)
        assert not outbox.record_failure(tx, new.id, "b", "away", None)
    assert row(db, new.id)["status"] == "sent"


def test_what_kills_its_senders_comes_to_an_end(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    for tries in range(1, 4):
        with db.transaction() as tx:
            (claimed,) = outbox.claim(tx, NOW, "a", 1)
            assert claimed.attempts == tries
            outbox.release_stale(tx, NOW, timedelta(0), 3)
    stored = row(db, new.id)
    assert (stored["status"], stored["next_attempt_at"]) == ("failed", None)
    assert "may have arrived" in str(stored["last_error"])


def test_putting_off_is_no_attempt(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        assert outbox.put_off(tx, new.id, "a", NOW + HOUR)
    stored = row(db, new.id)
    assert (stored["status"], stored["attempts"], stored["next_attempt_at"]) == ("pending", 0, NOW + HOUR)


@pytest.mark.parametrize(
    "status, may", [("pending", True), ("failed", True), ("sending", False), ("sent", False), ("cancelled", False)]
)
def test_only_what_has_not_left_is_tried_anew(db: Database, message: Make, status: str, may: bool) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        tx.execute(MESSAGES.update().values(status=status, attempts=7, next_attempt_at=None))
        assert unsent.retry(tx, new.id, NOW + HOUR) is may
    stored = row(db, new.id)
    expected = ("pending", 7, NOW + HOUR) if may else (status, 7, None)
    assert (stored["status"], stored["attempts"], stored["next_attempt_at"]) == expected


def test_only_what_has_not_left_is_cancelled(db: Database, message: Make) -> None:
    claimed, waiting = message(send_at=NOW), message(send_at=NOW + HOUR)
    put(db, claimed, waiting)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        assert unsent.cancel(tx, [claimed.id, waiting.id]) == {waiting.id}
        assert outbox.claim(tx, NOW + HOUR, "a", 9) == []
    again = message(key=waiting.key)
    assert put(db, again) == {again.id}  # its key is free: what it was to tell may be told by another
    assert put(db, message(key=claimed.key)) == frozenset()


def test_lists_are_newest_first_and_paged_without_gaps(db: Database, message: Make) -> None:
    ages = [0, 0, 1, 2, 2, 2, 3]
    messages = [message(created_at=NOW - age * HOUR) for age in ages]
    put(db, *messages)
    expected = [each.id for each in sorted(messages, key=lambda each: (each.created_at, each.id), reverse=True)]
    seen: list[str] = []
    after = None
    with db.reading() as tx:
        while page := outbox.page(tx, Wanted(), 2, after):
            seen += [each["id"] for each in page]
            after = (page[-1]["created_at"], page[-1]["id"])
    assert seen == expected


def test_lists_are_narrowed_by_status_recipient_template_unit_and_what_may_be_seen(db: Database, message: Make) -> None:
    one, two = message(recipient="a@b.example", unit="410200"), message(template="digest")
    put(db, one, two)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)

        def ids(**wanted: str) -> list[str]:
            return [each["id"] for each in outbox.page(tx, Wanted(**wanted), 9)]

        assert ids(status="sending") == [one.id]
        assert ids(status="pending") == [two.id]
        assert ids(recipient="a@b.example") == [one.id]
        assert ids(template="digest") == [two.id]
        assert ids(unit="410200") == [one.id]
        assert ids(unit="410200", template="digest") == []
        seen = outbox.page(tx, Wanted(), 9, seen=MESSAGES.c.unit == "410100")
        assert [each["id"] for each in seen] == [two.id]


def test_the_age_of_the_oldest_that_waits_is_known(db: Database, message: Make) -> None:
    old, new = message(created_at=NOW - HOUR), message()
    with db.reading() as tx:
        assert (outbox.oldest_pending_at(tx), outbox.next_due_at(tx, HOUR)) == (None, None)
    put(db, old, new)
    with db.transaction() as tx:
        (claimed,) = outbox.claim(tx, NOW, "a", 1)
        assert outbox.oldest_pending_at(tx) == NOW - HOUR
        outbox.record_sent(tx, claimed, NOW, subject="", text="", html=None)
        assert outbox.oldest_pending_at(tx) == NOW


def test_what_takes_the_place_of_another_is_as_tired(db: Database, message: Make) -> None:
    new = message(attempts=5)
    put(db, new)
    with db.transaction() as tx:
        (claimed,) = outbox.claim(tx, NOW, "a", 1)
    assert claimed.attempts == 6


@pytest.mark.parametrize("taken_up, tired", [(2, 3), (3, 3), (5, 5)])
def test_what_takes_up_another_is_as_tired_as_the_more_tired_of_both(
    db: Database, message: Make, taken_up: int, tired: int
) -> None:
    new = message(attempts=3)
    put(db, new)
    with db.transaction() as tx:
        assert unsent.rewrite(tx, new.id, "digest", {"a": 1}, attempts=taken_up)
        (claimed,) = outbox.claim(tx, NOW, "a", 1)
    assert (claimed.template, claimed.context, claimed.attempts) == ("digest", {"a": 1}, tired + 1)


def test_what_failed_without_an_answer_may_have_arrived_whatever_follows(db: Database, message: Make) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        assert outbox.record_failure(tx, new.id, "a", "no answer", NOW, unsure=True)
        outbox.claim(tx, NOW, "a", 1)
        assert outbox.record_failure(tx, new.id, "a", "away", NOW)
    assert row(db, new.id)["unsure"] is True


@pytest.mark.parametrize("unsure", [True, False])
def test_what_may_have_arrived_never_says_something_else(db: Database, message: Make, *, unsure: bool) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        assert outbox.record_failure(tx, new.id, "a", "broken off", NOW, unsure=unsure)
        assert unsent.standing(tx, [new.key])[new.key].is_waiting is not unsure
        assert unsent.rewrite(tx, new.id, "digest", {}) is not unsure
    assert row(db, new.id)["template"] == ("reminder" if unsure else "digest")


@pytest.mark.parametrize("status", ["sending", "sent", "failed", "cancelled"])
def test_what_does_not_wait_never_says_something_else(db: Database, message: Make, status: str) -> None:
    new = message()
    put(db, new)
    with db.transaction() as tx:
        tx.execute(MESSAGES.update().values(status=status))
        assert not unsent.standing(tx, [new.key])[new.key].is_waiting
        assert not unsent.rewrite(tx, new.id, "digest", {})
    assert row(db, new.id)["template"] == "reminder"


@pytest.mark.parametrize("unsure", [True, False])
def test_what_was_taken_back_is_let_go_unless_it_may_have_arrived(db: Database, message: Make, *, unsure: bool) -> None:
    new, other = message(), message()
    put(db, new, other)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 2)
        outbox.record_failure(tx, new.id, "a", "broken off", NOW, unsure=unsure)
        outbox.record_failure(tx, other.id, "a", "refused", None)
        unsent.cancel(tx, [new.id])
        unsent.let_go(tx, [new.id, other.id], NOW + HOUR)
    assert (row(db, new.id)["status"], row(db, new.id)["next_attempt_at"]) == (
        ("cancelled", None) if unsure else ("pending", NOW + HOUR)
    )
    assert row(db, other.id)["status"] == "failed"


def test_another_address_holds_for_what_is_being_sent_and_what_is_sent_says_where_it_went(
    db: Database, message: Make
) -> None:
    lost, slow, sent, waiting = (message(recipient="old@b.example", recipient_name="李明") for _ in range(4))
    put(db, lost, slow, sent, waiting)
    with db.transaction() as tx:
        claimed = {each.id: each for each in outbox.claim(tx, NOW, "a", 3)}
        outbox.record_sent(tx, claimed[sent.id], NOW, subject="s", text="t", html=None)
        unsent.redirect(tx, [lost.id, slow.id, sent.id, waiting.id], "new@b.example", "张三")
        outbox.record_sent(tx, claimed[slow.id], NOW, subject="s", text="t", html=None)
        assert outbox.release_stale(tx, NOW + HOUR, HOUR, 9) == 1
        again = outbox.claim(tx, NOW + HOUR, "b", 9)
    assert [(each.id, each.recipient, each.recipient_name) for each in again] == [
        (lost.id, "new@b.example", "张三"), (waiting.id, "new@b.example", "张三"),
    ]  # fmt: skip
    for each in (slow, sent):
        stored = row(db, each.id)
        assert (stored["status"], stored["recipient"], stored["recipient_name"]) == ("sent", "old@b.example", "李明")


def test_only_what_waits_is_held_and_with_how_often_it_was_tried(db: Database, message: Make) -> None:
    claimed, waiting = message(send_at=NOW), message(send_at=NOW + HOUR, attempts=2)
    put(db, claimed, waiting)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        held = unsent.hold(tx, [claimed.id, waiting.id])
    assert held == {waiting.id: unsent.Held(waiting.id, waiting.key, 2, unsure=False)}


@pytest.mark.parametrize("db", ["postgres"], indirect=True)  # SQLite has one writer at a time: the second waits
def test_what_somebody_is_claiming_is_not_waited_for_and_what_is_held_is_not_claimed(
    db: Database, message: Make
) -> None:
    first, second = message(), message()
    put(db, first, second)
    with db.transaction() as one, db.transaction() as two:
        two.execute(text("SET LOCAL lock_timeout = '2s'"))  # waits for nobody, else fails
        assert [each.id for each in outbox.claim(one, NOW, "a", 1)] == [first.id]
        assert unsent.hold(two, [first.id, second.id]).keys() == {second.id}
        assert outbox.claim(one, NOW, "a", 9) == []


def test_what_is_put_aside_waits_and_says_why_unless_it_is_under_way(db: Database, message: Make) -> None:
    claimed, waiting, other = message(send_at=NOW), message(send_at=NOW + HOUR), message(send_at=NOW + HOUR)
    put(db, claimed, waiting, other)
    with db.transaction() as tx:
        outbox.claim(tx, NOW, "a", 1)
        unsent.put_aside(tx, [claimed.id, waiting.id], "no\x00" + "x" * 2000, NOW + 2 * HOUR)
        assert [each.id for each in outbox.claim(tx, NOW + HOUR, "a", 9)] == [other.id]
    assert row(db, waiting.id)["last_error"] == "no\ufffd" + "x" * 997
    stored = row(db, claimed.id)
    assert (stored["status"], stored["last_error"], stored["next_attempt_at"]) == ("sending", None, None)
