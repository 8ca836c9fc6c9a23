"""The only reader of the clock. Real time, or a virtual time that is stored and moves only when it is told to."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from service.errors import ClockMismatch
from service.settings import SettingRefused
from service.storage import stamps
from workflows.text import Text

_MODE, _NOW = "clock", "virtual_now"
# Longer than anything that has arrived takes to be written, the tries of a busy database among it.
_ON_ITS_WAY = timedelta(minutes=1)


class Clock(Protocol):
    """Where the instants of the service come from; all aware, in UTC."""

    mode: str

    def arrived(self) -> datetime | None:
        """The instant at which a request arrives; None on a clock that has to be read in a transaction."""

    def now(self, tx: Connection, arrived: datetime | None = None) -> datetime:
        """The instant that counts: of arrival where it is known, else of this moment."""

    def settled(self, tx: Connection) -> datetime:
        """The newest instant of which everything that arrived before it has been written by now."""


class RealClock:
    """The time of the machine."""

    mode = "real"

    def arrived(self) -> datetime | None:
        """Now."""
        return datetime.now(UTC)

    def now(self, tx: Connection, arrived: datetime | None = None) -> datetime:
        """The instant of arrival, else now."""
        return arrived or datetime.now(UTC)

    def settled(self, tx: Connection) -> datetime:
        """A little while ago: what arrived in time may still be on its way through a queue."""
        return datetime.now(UTC) - _ON_ITS_WAY


class VirtualClock:
    """The time that stands in the database: the same for every process, still until `move`."""

    mode = "virtual"

    def arrived(self) -> datetime | None:
        """Unknown until read in the transaction; the clock stands still meanwhile."""
        return None

    def now(self, tx: Connection, arrived: datetime | None = None) -> datetime:
        """The stored instant."""
        return datetime.fromisoformat(stamps.get(tx, _NOW) or "")

    def settled(self, tx: Connection) -> datetime:
        """The stored instant: it stands still while anything is on its way."""
        return self.now(tx)

    def now_locked(self, tx: Connection) -> datetime:
        """The stored instant, which nobody else moves until this transaction ends."""
        return datetime.fromisoformat(stamps.get_locked(tx, _NOW) or "")

    def move(self, tx: Connection, to: datetime) -> None:
        """Set the stored instant. The caller has seen to it that it is not earlier."""
        stamps.put(tx, _NOW, to.astimezone(UTC).isoformat())


def monotonic() -> float:
    """Seconds for measuring spans within this process; says nothing about the time of day."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Let this thread wait before it tries again what it lost."""
    time.sleep(seconds)


def parse_setting(setting: str) -> datetime | None:
    """The instant at which a virtual clock begins; None for the real one.

    Raises SettingRefused for anything but `real` or `virtual:<instant with offset>`.
    """
    if setting == "real":
        return None
    kind, _, begins = setting.partition(":")
    try:
        instant = datetime.fromisoformat(begins)
    except ValueError:
        instant = None
    if kind != "virtual" or instant is None or instant.tzinfo is None:
        raise SettingRefused(f"JINJI_CLOCK must be real or virtual:2024-05-20T09:00:00+08:00, not {setting!r}")
    return instant.astimezone(UTC)


def begin(tx: Connection, setting: str) -> None:
    """Stamp a new database with its kind of clock; a virtual one begins at the instant of the setting."""
    begins = parse_setting(setting)
    if stamps.get(tx, _MODE) is None:
        stamps.put(tx, _MODE, "virtual" if begins else "real")
        if begins:
            stamps.put(tx, _NOW, begins.isoformat())


def open_clock(tx: Connection, setting: str) -> RealClock | VirtualClock:
    """The clock of the database, which must be of the kind that the setting says. Raises ClockMismatch."""
    wanted = "virtual" if parse_setting(setting) else "real"
    stamped = stamps.get(tx, _MODE)
    if stamped != wanted:
        mend = "virtual:2024-05-20T09:00:00+08:00" if stamped == "virtual" else "real"
        keeps = ("（数据库自有其时间，此处的时刻不起作用）", " (it keeps its own time, whatever instant you give)")
        zh, en = keeps if stamped == "virtual" else ("", "")
        raise ClockMismatch(
            Text(
                f"该数据库以{'虚拟' if stamped == 'virtual' else '真实'}时钟建立，不能以另一种时钟打开：请设 JINJI_CLOCK={mend}{zh}，"
                "或将 JINJI_DATABASE_URL 指向另一数据库",
                f"this database was begun on the {stamped} clock and does not open on the {wanted} one: "
                f"set JINJI_CLOCK={mend}{en}, or JINJI_DATABASE_URL to another database",
            )
        )
    return VirtualClock() if stamped == "virtual" else RealClock()
