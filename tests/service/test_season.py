"""Any course of cases, requests, filings, mails and outages: what is owed follows from history, each rung and mail goes once."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from notifications.errors import Away, Broken, Permanent
from notifications.outbox import MESSAGES
from service import scheduler
from service.casework import obligations, rebuilding
from service.casework.desk import Desk
from service.casework.obligations import ROWS, RUNGS
from service.storage.tables import Request, table
from tests.service.test_reminders import contact
from tests.service.test_replay import OFFICERS, Season
from tests.service.world import ZHENGZHOU

_REQUESTS = table(Request)
_FAILURES = {"away": Away, "broken": Broken, "permanent": Permanent}
_DOWN = st.sampled_from(["", "away", "broken", "permanent"])
_HOURS = st.sampled_from([1, 26, 100, 400])
_LAST = datetime.fromisoformat("2025-01-25T00:00:00+08:00")
# What the sweep moves by itself is not derived.
_MOVED = frozenset({"next_at"})


class _Recorded:
    """A mail server that notes what it takes, and takes nothing while it is `down`."""

    def __init__(self, channel: Any) -> None:
        self._channel, self.down, self.sent = channel, "", list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, message: Any, now: datetime) -> None:
        """Take one message, or fail as told."""
        if self.down:
            raise _FAILURES[self.down]("down")
        self.sent.append(message.id)


class Clockwork(Season):
    """The season of cases, with requests, filings, contacts, a mail server that fails, downtimes and ticks that come twice."""

    def __init__(self) -> None:
        super().__init__()
        channels: Any = self.world.running.post.channels
        channels["email"] = self.mail = _Recorded(channels["email"])
        self.requests: list[str] = []

    @initialize()
    def staff(self) -> None:
        """People to tell: of the unit, one of them one by one, and of the province."""
        for duty in ("officer", "supervisor", "handler"):
            contact(self.world, ZHENGZHOU, duty, digest=duty != "handler")
        contact(self.world, "410000", "officer")

    # Hypothesis leaves rules out of each example, so time passes with every act and not by a rule of its own alone.
    @rule(case=st.integers(0, 1), second=st.booleans(), down=_DOWN)
    def ask(self, case: int, second: bool, down: str) -> None:
        """Take in a request of an enterprise."""
        body = {"case": self.cases[case], "kind": "technical", "text": "请指导"}
        answer = self.world.call(OFFICERS[second], "POST", "/requests", body)
        assert answer.status_code in (201, 409, 422), answer.text
        if answer.status_code == 201:
            self.requests.append(answer.json()["id"])
        self.mail_server_for_days(down)

    @rule(number=st.integers(0, 3), hours=_HOURS)
    def answer(self, number: int, hours: int) -> None:
        """Answer a request, perhaps a second time."""
        if number < len(self.requests):
            path = f"/requests/{self.requests[number]}"
            version = self.world.call("province", "GET", path).json()["version"]
            said = self.world.call(OFFICERS[0], "POST", f"{path}/answer", {"text": "已答复"}, version=version)
            assert said.status_code in (200, 409), said.text
        self.nobody_is_up_for(hours)

    @rule(form=st.sampled_from(["list.2024", "plan.2024", "tracking.2024-06"]), back=st.booleans(), down=_DOWN)
    def file(self, form: str, back: bool, down: str) -> None:
        """Hand in a filing, or send it back."""
        path = f"/filings/henan-2024.{ZHENGZHOU}.{form}"
        version = self.world.call("province", "GET", path).json()["version"]
        who, act, body = ("province", "return", {"reason": "有误"}) if back else (OFFICERS[0], "submit", {})
        said = self.world.call(who, "POST", f"{path}/{act}", body, version=version)
        assert said.status_code in (200, 409), said.text
        self.mail_server_for_days(down)

    def mail_server_for_days(self, down: str) -> None:
        """The mail server goes, or comes back; days pass meanwhile."""
        self.mail.down = down
        to = self.world.now() + timedelta(days=4)
        if to < _LAST:
            self.world.at(to.isoformat())

    def nobody_is_up_for(self, hours: int) -> None:
        """Time passes in which no process is up; then one comes back and ticks, at first twice."""
        now = self.world.now()
        to = now + timedelta(hours=hours)
        if to < _LAST:
            self.world.passes_unseen(to.isoformat())
            scheduler.tick(self.world.running)
        self.tick_twice()

    @rule()
    def tick_twice(self) -> None:
        """A tick after a tick finds nothing to do, and whatever was over has been recorded as a breach."""
        process = self.world.running
        scheduler.tick(process)
        scheduler.deliver(process)
        assert scheduler.tick(process) == 0
        assert scheduler.deliver(process) == 0
        with process.db.reading() as tx:
            now = process.clock.now(tx)
            programmes = [each.programme for each in process.books.programmes.newest(tx)]
            unseen = select(ROWS.c.id).where(
                obligations.begun(now), obligations.is_overdue(now, programmes), ROWS.c.breached_at.is_(None)
            )
            assert list(tx.execute(unseen).scalars()) == []

    @invariant()
    def what_is_owed_follows_from_history(self) -> None:
        """Rows are what rules make of histories; those of answers, of their requests."""
        with self.world.running.db.reading() as tx:
            stored = {row["id"]: dict(row) for row in tx.execute(select(ROWS)).mappings()}
            for row in rebuilding.derived(Desk(tx, self.world.running.books)):
                there = stored.pop(row["id"])
                assert {name: there[name] for name in row.keys() - _MOVED} == {
                    name: row[name] for name in row.keys() - _MOVED
                }, row["id"]
            asked = {f"answer.{row.id}": row for row in tx.execute(select(_REQUESTS))}
        assert stored.keys() == asked.keys()
        for id_, row in stored.items():
            assert (row["due_at"], row["breached_at"]) == (asked[id_].due_at, asked[id_].breached_at)
            assert (row["status"] == "open") == (asked[id_].state != "answered")

    @invariant()
    def each_rung_points_to_its_mail_and_each_breach_to_its_instant(self) -> None:
        """One row a rung and person (the key), a message that is there, and not taken back while the thing is owed."""
        joined = RUNGS.join(ROWS, ROWS.c.id == RUNGS.c.obligation).outerjoin(MESSAGES, MESSAGES.c.id == RUNGS.c.message)
        told = select(MESSAGES.c.status, ROWS.c.status.label("owed")).select_from(joined)
        with self.world.running.db.reading() as tx:
            for row in tx.execute(told):
                assert row.status is not None
                assert (row.status, row.owed) != ("cancelled", "open")
            for row in tx.execute(select(ROWS).where(ROWS.c.breached_at.is_not(None))):
                assert row.breached_at <= self.world.running.clock.now(tx)

    @invariant()
    def what_was_sent_is_sent_once(self) -> None:
        """The mail server has each message once, and those are the ones that stand as sent."""
        assert len(self.mail.sent) == len(set(self.mail.sent))
        with self.world.running.db.reading() as tx:
            sent = tx.execute(select(MESSAGES.c.id).where(MESSAGES.c.status == "sent")).scalars()
            assert set(sent) == set(self.mail.sent)


def test_any_course_of_a_season_keeps_what_is_owed_and_tells_it_once(
    fresh_database: Callable[[], AbstractContextManager[str]],
) -> None:
    Clockwork.fresh = staticmethod(fresh_database)
    run_state_machine_as_test(
        Clockwork,
        settings=settings(
            max_examples=5,
            stateful_step_count=18,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
