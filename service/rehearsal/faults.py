"""What goes wrong in a rehearsal with faults, and what must hold after every step all the same.

The service is killed before and after a commit and between a send and its record, and opened again on what is left; the
mail server is away for days; for some days nothing ticks; the days off are changed once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from typing import TypeVar

from sqlalchemy import Connection, func, select

from notifications.channels.outgoing import Outgoing
from notifications.errors import Away
from notifications.outbox import MESSAGES, Status
from service import scheduler
from service.access import Act
from service.casework import audit, moves, revisions
from service.casework.desk import Desk
from service.casework.obligations import ROWS, RUNGS
from service.chance import Chance
from service.clock import VirtualClock
from service.rehearsal.stage import CLOCKMAKER, Mailbox, Stage
from service.settings import Settings
from service.storage.db import Database
from service.storage.tables import AuditEntry, table
from workflows.case import dump
from workflows.lifecycle import replay
from workflows.obligations import Outcome
from workflows.working_days import NamedDay

T = TypeVar("T")
_AUDIT = table(AuditEntry)
_SHARE_OF_COMMITS, _SHARE_OF_SENDS = 0.006, 0.004
_OUTAGES, _JUMPS = 4, 3


class Killed(BaseException):
    """The process is gone. Nothing in the service may catch it, as nothing catches a SIGKILL."""


class Fate:
    """Decides where the process is killed, and counts it."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.kills: Counter[str] = Counter()

    def strikes(self, point: str, share: float) -> bool:
        """Whether the process is killed at this point."""
        if self.chance.fraction() >= share:
            return False
        self.kills[point] += 1
        return True


class _Mortal(Database):
    """A database whose process may be killed right before and right after a commit."""

    fate: Fate

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The same, unless killed."""
        with super().transaction() as tx:
            yield tx
            if self.fate.strikes("before a commit", _SHARE_OF_COMMITS):
                raise Killed
        if self.fate.strikes("after a commit", _SHARE_OF_COMMITS):
            raise Killed


class _Unreliable(Mailbox):
    """A mail server that is away at times, and in front of which the process may be killed."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self.fate, self.is_away, self.refused = fate, False, 0

    def send(self, message: Outgoing, now: datetime) -> None:
        """The same, unless away or killed."""
        if self.is_away:
            self.refused += 1
            raise Away("the server is away")
        super().send(message, now)
        if self.fate.strikes("after a send", _SHARE_OF_SENDS):
            raise Killed


class FaultyStage(Stage):
    """A stage on which everything goes wrong. `problems` are the invariants that did not hold, as they were found."""

    mailbox: _Unreliable

    def __init__(self, settings: Settings, source: str, chance: Chance, *, seed: int) -> None:
        self.fate = Fate(Chance.seeded(f"{seed}:faults"))
        self.problems: list[str] = []
        self.checks = 0
        self.is_amended = False
        self.moved_days = 0
        self._twice: Counter[str] = Counter()
        self._checked_to = 0
        self._plan: tuple[set[int], set[int], int] | None = None
        quiet, self.fate.chance = self.fate.chance, Chance(lambda bits: (1 << bits) - 1)  # no kill while it is set up
        super().__init__(settings, source, chance)
        self.mailbox = _Unreliable(self.fate)
        self._reopen()
        self.fate.chance = quiet

    def _database(self) -> Database:
        db = _Mortal(self.settings.database_url, lasting=False)
        db.fate = self.fate
        return db

    def act(self, request_id: str, work: Callable[[Desk, datetime], T], *, repeatable: bool = True) -> T | None:
        """Ask again until there is an answer, as somebody does whose line broke."""
        again = False
        while True:
            try:
                if again and not repeatable and self._is_done(request_id):
                    return None
                result = super().act(request_id, work)
            except Killed:
                self._reopen()
                again = True
            else:
                self._check()
                return result

    def _is_done(self, request_id: str) -> bool:
        with self.process.db.reading() as tx:
            return tx.execute(select(_AUDIT.c.seq).where(_AUDIT.c.request_id == request_id)).first() is not None

    def morning(self, days: Sequence[date], place: int, at: datetime) -> bool:
        """Let time pass, or not; the mail server comes and goes, and once the days off are changed."""
        outages, jumps, amended = self._plan = self._plan or self._planned(len(days))
        if jumps & {place, place - 1}:
            return False  # nothing runs, so nobody comes through
        if place - 2 in jumps:
            self._jump(at)
        self.mailbox.is_away = bool(outages & {place, place - 1})
        self.advance(at)
        if place >= amended and not self.is_amended and self._anything_counted(days[place]):
            self._amend(days[place])
        if self.fate.chance.fraction() < 0.1:
            self._survive(lambda: scheduler.tick(self.process))  # a tick that comes twice
        return True

    def _planned(self, days: int) -> tuple[set[int], set[int], int]:
        lot = self.fate.chance
        outages = {5 + lot.below(days - 10) for _ in range(_OUTAGES)}
        jumps = {5 + lot.below(days - 10) for _ in range(_JUMPS)}
        return outages, jumps, days // 3 + lot.below(days // 4)

    def advance(self, to: datetime) -> None:
        """Let time pass, from where it stood when the process was killed."""
        self._survive(lambda: super(FaultyStage, self).advance(to))

    def _survive(self, work: Callable[[], object]) -> None:
        while True:
            try:
                work()
            except Killed:
                self._reopen()
            else:
                self._check()
                return

    def _jump(self, at: datetime) -> None:
        """The clock stands elsewhere, and nothing ticked on the way."""
        virtual = self.process.clock
        assert isinstance(virtual, VirtualClock)

        def work() -> None:
            with self.process.db.transaction() as tx:
                virtual.move(tx, at)

        self._survive(work)

    def _anything_counted(self, today: date) -> bool:
        """Whether anything is owed whose day is counted in working days and would move."""
        counted = ROWS.c.kind.in_(("answer", "objection", "notice")) & (ROWS.c.status == str(Outcome.OPEN))
        with self.process.db.reading() as tx:
            after = self.process.books.calendars.get(tx).add(today, 2).due_on
            return tx.execute(select(ROWS.c.id).where(counted, ROWS.c.due_on >= after)).first() is not None

    def _amend(self, today: date) -> None:
        """The working days two and three days off become days off."""
        self.is_amended = True

        def work(desk: Desk, now: datetime) -> int:
            year = next(each for each in desk.calendar.years if each.year == today.year)
            on = desk.calendar.add(today, 2).due_on
            closed = [day for day in (on, desk.calendar.add(on, 1).due_on) if day.year == today.year]
            kept = [day for day in year.days if day.on not in closed]
            new = [NamedDay(day, "临时调整", is_off=True, paper=1) for day in closed]
            amended = replace(year, days=tuple(sorted([*kept, *new], key=lambda day: day.on)))
            act = Act(CLOCKMAKER, now)
            revision = revisions.load_year(desk, act, self.process.post.links, amended, "临时调整放假安排")
            return len(revision.moved) if revision else 0

        self.moved_days += self.act("rehearsal-amendment", work, repeatable=False) or 0

    def _reopen(self) -> None:
        """What the process held is gone; what it sent and did not record may be sent once more."""
        self.process.db.close()
        self.process = self._opened()
        taken = self.mailbox.taken
        with self.process.db.reading() as tx:
            sending = tx.execute(select(MESSAGES.c.message_id).where(MESSAGES.c.status == str(Status.SENDING)))
            self._twice.update(each for each in sending.scalars() if taken[each] > self._twice[each])

    # --- what must hold --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        self.checks += 1
        with self.process.db.reading() as tx:
            desk = Desk(tx, self.process.books)
            self.problems += self._of_cases(desk)
            self.problems += self._of_rungs(tx)
        repeated = {id_: times for id_, times in self.mailbox.taken.items() if times > 1}
        self.problems += (
            f"sent {times} times: {id_}" for id_, times in repeated.items() if times > 1 + self._twice[id_]
        )

    def _of_cases(self, desk: Desk) -> Iterator[str]:
        """Each case that was touched is what its history makes, and nothing was applied twice."""
        tx = desk.tx
        new = tx.execute(
            select(_AUDIT.c.seq, _AUDIT.c.subject_id)
            .where(_AUDIT.c.seq > self._checked_to, _AUDIT.c.subject_type == "case")
        ).all()  # fmt: skip
        touched = sorted({row.subject_id for row in new})
        self._checked_to = tx.execute(select(func.max(_AUDIT.c.seq))).scalar_one()
        if not touched:
            return
        stands = moves.read_many(tx, touched)
        entries = tx.execute(
            select(_AUDIT).where(_AUDIT.c.subject_type == "case", _AUDIT.c.subject_id.in_(touched))
            .order_by(_AUDIT.c.subject_id, _AUDIT.c.version)
        ).mappings()  # fmt: skip
        for case, rows in groupby(map(dict, entries), key=lambda row: str(row["subject_id"])):
            history = list(rows)
            each = stands[case]
            if dump(replay(audit.changes_of(history))) != each.document or each.row["state"] != each.case.state:
                yield f"case {case} is not what its history makes"
            asked = Counter((row["request_id"], row["action"]) for row in history if row["request_id"])
            yield from (f"case {case}: {action} twice" for (_, action), times in asked.items() if times > 1)

    def _of_rungs(self, tx: Connection) -> Iterator[str]:
        """Every claimed rung has its message, and what is still owed is not told of by one that was taken back."""
        told = RUNGS.join(ROWS, ROWS.c.id == RUNGS.c.obligation).outerjoin(MESSAGES, MESSAGES.c.id == RUNGS.c.message)
        lost = MESSAGES.c.id.is_(None) | (
            (ROWS.c.status == str(Outcome.OPEN)) & (MESSAGES.c.status == str(Status.CANCELLED))
        )
        statement = select(RUNGS.c.obligation, RUNGS.c.rung, MESSAGES.c.status).select_from(told).where(lost).limit(5)
        for row in tx.execute(statement):
            yield f"rung {row.rung} of {row.obligation}: its message is {row.status or 'gone'}"

    def at_the_end(self) -> None:
        """Everything that was handed over is recorded as sent, and the other way round; nothing is left on the way."""
        taken = self.mailbox.taken
        with self.process.db.reading() as tx:
            rows = tx.execute(select(MESSAGES.c.message_id, MESSAGES.c.status, MESSAGES.c.created_at)).all()
        for row in rows:
            is_sent = row.status == Status.SENT
            if is_sent != bool(taken[row.message_id]):
                self.problems.append(
                    f"{row.message_id} is {row.status} and was handed over {taken[row.message_id]} times"
                )
            if row.status in (Status.SENDING, Status.FAILED):
                self.problems.append(f"{row.message_id} is left {row.status}")

    def told(self) -> Iterator[str]:
        """What went wrong on purpose, and what did by that, in lines."""
        repeats = sum(times - 1 for times in self.mailbox.taken.values() if times > 1)
        kills = ", ".join(f"{point} {number}" for point, number in sorted(self.fate.kills.items())) or "none"
        yield f"kills: {kills}"
        yield f"mails refused by the server: {self.mailbox.refused}; sent once more after a kill: {repeats}"
        yield f"days moved by the amended calendar: {self.moved_days}; checks: {self.checks}"
        yield f"problems: {len(self.problems)}"
        yield from (f"  {problem}" for problem in dict.fromkeys(self.problems))
