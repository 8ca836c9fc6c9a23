"""What one running process holds: database, clock, books; made at start, handed to the edges."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from service import clock as clocks
from service.casework.calendars import Calendars
from service.casework.desk import Books
from service.casework.programmes import Programmes
from service.chance import Chance
from service.clock import RealClock, VirtualClock
from service.post import Post, open_post
from service.settings import Settings
from service.storage import stamps
from service.storage.db import Database

CURSOR_SECRET = "cursor_secret"  # noqa: S105 the name of a stamp


@dataclass(slots=True)
class Ticks:
    """When this process ticked last, by the monotonic clock, how often, and whether the newest try raised; and when the
    database refused a request last. `turns`: who runs a job of the ticker, by its name, the ticker or who moves the clock.
    """

    begun: float
    last: float | None = None
    count: int = 0
    done: int = 0
    failed: bool = False
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
