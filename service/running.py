"""What one running process holds: database, clock, books; made at start, handed to the edges."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from service import clock as clocks
from service.casework.calendars import Calendars
from service.casework.desk import Books
from service.casework.programmes import Programmes
from service.chance import Chance
from service.clock import RealClock, VirtualClock
from service.errors import DatabaseBusy
from service.post import Post, open_post
from service.settings import Settings
from service.storage import stamps
from service.storage.db import Database

_MOST_VERIFIERS = 2
CURSOR_SECRET = "cursor_secret"  # noqa: S105 the name of a stamp


@dataclass(slots=True)
class Ticks:
    """When this process ticked last, by the monotonic clock, how often, and which jobs raised in their newest try; and when
    the database refused a request last. `turns`: who runs a job of the ticker, by its name, the ticker or who moves the clock.
    """

    begun: float
    last: float | None = None
    count: int = 0
    done: int = 0
    failed: set[str] = field(default_factory=set)
    refused: float | None = None
    turns: Mapping[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))


@dataclass(slots=True)
class Running:
    """One process of the service."""

    settings: Settings
    db: Database
    clock: RealClock | VirtualClock
    books: Books
    cursor_secret: bytes
    post: Post
    ticks: Ticks = field(default_factory=lambda: Ticks(clocks.monotonic()))
    _verifiers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MOST_VERIFIERS))

    @contextmanager
    def verifying(self) -> Iterator[None]:
        """A place among those who read the whole audit, each of whom holds a connection for long. Raises DatabaseBusy."""
        if not self._verifiers.acquire(blocking=False):
            raise DatabaseBusy
        try:
            yield
        finally:
            self._verifiers.release()


def open_running(settings: Settings, chance: Chance | None = None, db: Database | None = None) -> Running:
    """Open a migrated database, or use `db`. Raises ClockMismatch, DatabaseAway, ChannelRefused."""
    chance = chance or Chance()
    db = db or Database(settings.database_url)
    try:
        post = open_post(settings, db, chance.hex(64))
        with db.reading() as tx:
            clock = clocks.open_clock(tx, settings.clock)
            secret = stamps.get(tx, CURSOR_SECRET) or ""
    except BaseException:
        db.close()
        raise
    books = Books(Programmes(), Calendars(), chance, links=post.links)
    return Running(settings, db, clock, books, bytes.fromhex(secret), post)
