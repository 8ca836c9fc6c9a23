"""One sweep of reminders with its messages enqueued: what it costs by how much is owed, with as much of it due."""

import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, bindparam, func, select, text

from notifications.outbox import MESSAGES
from service.access import Act, Caller
from service.casework import contacts, reminders
from service.casework.contacts import ContactFacts
from service.casework.desk import Desk
from service.casework.obligations import ROWS, RUNGS
from service.running import open_running
from service.settings import Settings
from service.setup import migrate
from tests.postgres import Server
from workflows.programme import Role
from workflows.working_days import SHANGHAI

DUE, FEW, MANY = 500, 5_000, 500_000
_BEGINS = "virtual:2024-05-20T09:00:00+08:00"
_NOW = datetime(2024, 9, 30, 9, tzinfo=SHANGHAI)  # the last day of September's tracking filings
_LATER = _NOW + timedelta(days=60)


def compare(server: Server, rounds: int) -> list[str]:
    """The lines of a table: both engines, few and many obligations, with a ratio."""
    lines = [
        "| engine | open | mails | one sweep with its messages, ms | ratio (goal ≤ 2; < 1,000 ms) |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("SQLite", "PostgreSQL"):
            for digest in (False, True):
                few = 0.0
                for owed in (FEW, MANY):
                    name = f"sweep_{owed}_{digest}".lower()
                    url = f"sqlite:///{Path(folder) / name}.db" if engine == "SQLite" else server.create(name)
                    took, mails = _measure(url, owed, digest=digest, rounds=rounds)
                    few = few or took
                    lines.append(f"| {engine} | {owed:,} | {mails:,} | {took * 1000:.0f} | {took / few:.2f} |")
                    print(f"  {lines[-1]}", flush=True)
    return ["", f"## One sweep, {DUE} obligations due", "", *lines]


def _measure(url: str, owed: int, *, digest: bool, rounds: int) -> tuple[float, int]:
    """The median seconds of one sweep with its commit, and how many messages it enqueued."""
    settings = Settings(database_url=url, clock=_BEGINS)
    migrate(settings)
    process = open_running(settings)
    try:
        with process.db.transaction() as tx:
            _fill(Desk(tx, process.books), owed, digest=digest)
        with process.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        taken = []
        for _ in range(rounds + 1):  # the first warms caches that a running service has warm
            began = time.perf_counter()
            with process.db.transaction() as tx:
                turns = reminders.sweep(Desk(tx, process.books), process.post.links, _NOW)
            taken.append(time.perf_counter() - began)
            with process.db.transaction() as tx:
                mails = _undo(tx, turns)
        return statistics.median(taken[1:]), mails
    finally:
        process.db.close()


def _fill(desk: Desk, owed: int, *, digest: bool) -> None:
    """So many open obligations, copies of the units' filings by one statement, of which 500 have their turn.

    Every unit has an officer, who wants each reminder by itself (500 mails) or the day's in one (one for each unit).
    """
    programme = desk.lifecycle("henan-2024").programme
    act = Act(Caller("bench", "bench", Role.ADMIN), _NOW - timedelta(days=30))
    for unit in programme.units:
        facts = {
            "unit": unit.code,
            "duty": "officer",
            "name": f"Officer {unit.code}",
            "email": f"{unit.code}@example.org",
        }
        contacts.enter(desk, act, ContactFacts(**facts, digest=digest))
    others = ", ".join(column.name for column in ROWS.c if column.name not in ("id", "next_at"))
    desk.tx.execute(ROWS.update().values(next_at=None))
    desk.tx.execute(
        text(f"""
            WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE (n + 1) * :units < :owed),
            filed AS (
                SELECT *, row_number() OVER (ORDER BY unit) - 1 AS place FROM obligations
                WHERE kind = 'filing' AND due_on = '2024-09-30'
            )
            INSERT INTO obligations (id, next_at, {others})
            SELECT id || '.' || n, CASE WHEN n * :units + place < :due THEN :now ELSE :later END, {others}
            FROM filed CROSS JOIN numbers WHERE n * :units + place < :owed
        """).bindparams(
            bindparam("now", _NOW, ROWS.c.next_at.type), bindparam("later", _LATER, ROWS.c.next_at.type),
            units=len(programme.units), owed=owed, due=DUE,
        )
    )  # fmt: skip
    assert desk.tx.execute(select(func.count()).where(ROWS.c.next_at <= _NOW)).scalar() == DUE


def _undo(tx: Connection, turns: int) -> int:
    """Let what was told be told again; how many messages there were."""
    assert turns == DUE
    told = select(RUNGS.c.obligation)
    assert len(tx.execute(told).all()) == DUE
    tx.execute(ROWS.update().where(ROWS.c.id.in_(told)).values(next_at=_NOW))
    tx.execute(RUNGS.delete())
    return tx.execute(MESSAGES.delete()).rowcount
