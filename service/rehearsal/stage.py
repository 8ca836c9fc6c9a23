"""Where a rehearsal plays: one process of the service over one database, its clock, and a mailbox that counts."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from notifications.channels.outgoing import Outgoing
from notifications.outbox import Channel
from service import scheduler
from service.access import Act, Caller
from service.casework import programmes, rebuilding
from service.casework.desk import Desk
from service.chance import Chance
from service.errors import EventRefused, ServiceError, VersionStale
from service.running import Running, open_running
from service.settings import Settings
from service.setup import migrate
from service.storage.db import Database
from workflows.programme import Role

T = TypeVar("T")
CLOCKMAKER = Caller("rehearsal", "rehearsal", Role.ADMIN)


class Mailbox:
    """Takes every mail, and counts how often each was handed over."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    def side(self, recipient: str) -> str:
        """One server for all."""
        return "rehearsal"

    def send(self, message: Outgoing, now: datetime) -> None:
        """Take a mail."""
        self.taken[message.message_id] += 1

    def close(self) -> None:
        """Nothing is kept open."""


class Stage:
    """One process that does what the players ask of it. Made on a new database; `close` it."""

    def __init__(self, settings: Settings, source: str, chance: Chance) -> None:
        self.settings, self.chance = settings, chance
        self.mailbox = Mailbox()
        migrate(settings, chance)
        self.process = self._opened()
        with self.process.db.transaction() as tx:
            now = self.process.clock.now(tx)
            programmes.publish(tx, Act(CLOCKMAKER, now), source)
            rebuilding.catch_up(Desk(tx, self.process.books), now)

    def _opened(self) -> Running:
        process = open_running(self.settings, self.chance, self._database())
        process.post = replace(process.post, channels={str(Channel.EMAIL): self.mailbox})
        return process

    def _database(self) -> Database:
        return Database(self.settings.database_url, lasting=False)

    def act(self, request_id: str, work: Callable[[Desk, datetime], T], *, repeatable: bool = True) -> T | None:
        """Do what somebody asks for in one transaction; None where it was done before and its answer is lost.

        `repeatable`: what was done refuses to be done again, by its versions; everything else is looked for first.
        """
        with self.process.db.transaction() as tx:
            return work(Desk(tx, self.process.books), self.process.clock.now(tx))

    def morning(self, days: Sequence[date], place: int, at: datetime) -> bool:
        """Let time pass to `at` on the day in this place; False where nobody works on it."""
        self.advance(at)
        return True

    def advance(self, to: datetime) -> None:
        """Let time pass to `to`, with everything that falls due on the way."""
        scheduler.advance(self.process, to, Act(CLOCKMAKER, to))

    def close(self) -> None:
        """Close the database."""
        self.process.db.close()


class Asking:
    """What all players ask of a stage, each request under an id of its own; `refused` counts for which reasons in vain."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.refused: Counter[str] = Counter()
        self._seed, self._number = seed, 0

    def act(self, work: Callable[[Desk, datetime, str], Any], *, repeatable: bool = True) -> Any:
        """One request; what became of it, or the error with which it was refused."""
        self._number += 1
        request_id = f"rehearsal-{self._seed}-{self._number}"

        def refusable(desk: Desk, now: datetime) -> Any:
            try:
                return work(desk, now, request_id)
            except ServiceError as error:
                self.count(error)
                return error

        return self.stage.act(request_id, refusable, repeatable=repeatable)

    def count(self, error: ServiceError) -> None:
        """Note what somebody was refused for. What is stale had been done before, and its answer was lost."""
        if isinstance(error, EventRefused):
            self.refused.update(reason.code for reason in error.reasons)
        elif not isinstance(error, VersionStale):
            self.refused[error.code] += 1
