"""Two services on one PostgreSQL with everything due at once: each rung and each mail goes out once, through a real mail server."""

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from notifications import outbox
from notifications.outbox import MESSAGES, NewMessage
from notifications.rendering import example
from service.access import SYSTEM
from service.casework import verification
from service.casework.obligations import ROWS, RUNGS
from service.storage.tables import AuditEntry, table
from tests.notifications.sink import Sink
from tests.service.processes import serving, until_it_serves
from tests.service.test_reminders import contact
from tests.service.world import KAIFENG, ZHENGZHOU, World

_AUDIT = table(AuditEntry)
_CASES, _WAITING, _PATIENCE = 150, 100, 120.0


def _what_is_left(world: World) -> int:
    """How many obligations have their turn and how many mails have not left."""
    with world.running.db.reading() as tx:
        now = world.running.clock.now(tx)
        due = select(func.count()).select_from(ROWS).where(ROWS.c.next_at <= now)
        waiting = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.status.in_(("pending", "sending")))
        return int(tx.execute(due).scalar_one() + tx.execute(waiting).scalar_one())


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_two_services_with_everything_due_at_once_send_each_mail_once(world: World, tmp_path: Path) -> None:
    for unit in (ZHENGZHOU, KAIFENG):
        for duty in ("officer", "supervisor"):
            contact(world, unit, duty, digest=duty != "officer")
    contact(world, "410000", "officer")
    for number in range(_CASES):
        world.listed((ZHENGZHOU, KAIFENG)[number % 2])
    world.passes_unseen("2024-06-27T09:00:00+08:00")
    now = world.now()
    with world.running.db.transaction() as tx:
        more = [
            NewMessage(f"0190-{number:06}", f"test:{number}", "reminder", f"person{number}@example.org", "李明", now,
                       example("reminder"), unit=ZHENGZHOU)
            for number in range(_WAITING)
        ]  # fmt: skip
        outbox.enqueue(tx, more)
        due = select(func.count()).select_from(ROWS).where(ROWS.c.next_at <= now)
        assert tx.execute(due).scalar_one() >= 200
    with Sink() as sink, ExitStack() as stack:
        mail = {"mail": f"smtp://127.0.0.1:{sink.port}", "tick_seconds": "1"}
        url = world.settings.database_url
        for process, _ in [stack.enter_context(serving(url, tmp_path, **mail)) for _ in range(2)]:
            until_it_serves(process)
        until = time.monotonic() + _PATIENCE
        while _what_is_left(world):
            assert time.monotonic() < until, f"{_what_is_left(world)} left"
            time.sleep(0.2)
        time.sleep(2.5)  # two more ticks of each: they must find nothing
        letters = Counter(sink.message_ids())
    with world.running.db.reading() as tx:
        assert {row.status for row in tx.execute(select(MESSAGES))} == {"sent"}
        assert letters == dict.fromkeys(tx.execute(select(MESSAGES.c.message_id)).scalars(), 1)
        keys = tx.execute(select(RUNGS.c.obligation, RUNGS.c.rung, RUNGS.c.recipient)).all()
        newest = Counter((obligation, recipient) for obligation, rung, recipient in keys if rung != "breach")
        assert set(newest.values()) == {1}  # of what was missed only the newest is told
        breaches = select(_AUDIT.c.subject_id).where(_AUDIT.c.action == "breach")
        recorded = Counter(tx.execute(breaches).scalars())
        assert recorded == dict.fromkeys(
            tx.execute(select(ROWS.c.id).where(ROWS.c.breached_at.is_not(None))).scalars(), 1
        )
        assert len(recorded) >= _CASES
        assert verification.verify(tx, SYSTEM)[1] == []
    assert len(letters) >= _WAITING + _CASES
