"""Bringing a database up: migrations, its stamps, the packaged programmes and calendars."""

from service import clock as clocks
from service.access import SYSTEM, Act
from service.casework import calendars, programmes, rebuilding
from service.casework.calendars import Calendars
from service.casework.desk import Books, Desk
from service.casework.programmes import Programmes
from service.chance import Chance
from service.running import CURSOR_SECRET
from service.settings import Settings
from service.storage import migrations, stamps
from service.storage.db import Database


class NotMigrated(Exception):
    """The database is not at the revision of this code."""


def migrate(settings: Settings, chance: Chance | None = None) -> None:
    """Bring the database up to date, in one transaction; whoever does so at the same time waits.

    Raises ClockMismatch for one of the other kind of clock, DatabaseAway.
    """
    db = Database(settings.database_url)
    if db.file is not None:
        db.file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with db.transaction() as tx:
            migrations.alone(tx)
            migrations.upgrade_in(tx)
            clocks.begin(tx, settings.clock)
            act = Act(SYSTEM, clocks.open_clock(tx, settings.clock).now(tx))
            chance = chance or Chance()
            if stamps.get(tx, CURSOR_SECRET) is None:
                stamps.put(tx, CURSOR_SECRET, chance.hex(256))
            calendars.load_packaged(tx, act)
            programmes.publish_packaged(tx, act)
            rebuilding.catch_up(Desk(tx, Books(Programmes(), Calendars(), chance)), act.at)
    finally:
        db.close()


def require_migrated(settings: Settings) -> None:
    """Raises NotMigrated unless the database is at the revision of this code, DatabaseAway where there is none."""
    db = Database(settings.database_url)
    if db.file is not None and not db.file.exists():
        raise NotMigrated(f"there is no database at {db.file}: run `jinji migrate` first")
    try:
        with db.reading() as tx:
            found = migrations.revision(tx)
    finally:
        db.close()
    if found != migrations.newest():
        raise NotMigrated(
            f"the database is at revision {found or 'none'}, the code at {migrations.newest()}: run `jinji migrate`"
        )
