"""The ticker: APScheduler calls `tick`; the truth is rows, so a tick that comes late, twice, or on two nodes is harmless.

On a virtual clock `advance` runs the same ticks at each due instant on the way.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from service import clock
from service.access import Act
from service.casework import audit, sweep
from service.casework.desk import Desk
from service.clock import VirtualClock
from service.errors import ClockRefused
from service.running import Running
from service.storage import stamps

_log = structlog.get_logger(__name__)


def start(process: Running) -> BackgroundScheduler:
    """Begin to tick every `tick_seconds` until `shutdown`."""
    ticker = BackgroundScheduler(timezone="UTC")
    ticker.add_job(
        _safely,
        "interval",
        args=[process],
        seconds=process.settings.tick_seconds,
        misfire_grace_time=None,
        coalesce=True,
        max_instances=1,
    )
    ticker.start()
    return ticker


def _safely(process: Running) -> None:
    try:
        tick(process)
    except Exception:  # noqa: BLE001 one of the two loops that must outlive any fault: the next tick tries again
        process.ticks.failed = True
        _log.exception("tick failed")


def tick(process: Running) -> int:
    """Do all that is due now; how many things were done."""
    done = 0
    while True:
        with process.db.transaction() as tx:
            swept = sweep.run(Desk(tx, process.books), process.clock.now(tx))
        done += swept
        if not swept:
            break
    process.ticks.last = clock.monotonic()
    process.ticks.failed = False
    process.ticks.count += 1
    process.ticks.done += done
    return done


@dataclass(frozen=True, slots=True)
class Passed:
    """What the virtual clock passed on its way."""

    now: datetime
    ticks: int
    messages: int


def advance(process: Running, to: datetime, act: Act) -> Passed:
    """Move the virtual clock to the aware instant `to`, ticking at every due instant on the way, in order.

    Raises ClockRefused for an instant that has passed. A real clock is not moved: TypeError.
    """
    virtual = process.clock
    if not isinstance(virtual, VirtualClock):
        raise TypeError("a real clock is not moved")
    tick(process)
    ticks = 1
    began: datetime | None = None
    while True:
        with process.db.transaction() as tx:
            now = virtual.now_locked(tx)
            began = began or now
            if to < now:
                raise ClockRefused
            stop = sweep.next_due_at(tx, now, to) or to
            virtual.move(tx, stop)
            if stop == to:
                _record(Desk(tx, process.books), act, began)
        tick(process)
        ticks += 1
        if stop == to:
            return Passed(to, ticks, 0)


def _record(desk: Desk, act: Act, since: datetime) -> None:
    """Write into the audit who moved the clock from where to where."""
    version, _, head = (stamps.get(desk.tx, audit.CLOCK_CHAIN) or "0:").partition(":")
    entry = audit.Entry(
        act,
        "clock",
        "clock",
        int(version) + 1,
        "move",
        head or None,
        data={"from": audit.instant_text(since), "to": audit.instant_text(act.at)},
    )
    (new_head,) = audit.append(desk.tx, [entry])
    stamps.put(desk.tx, audit.CLOCK_CHAIN, f"{int(version) + 1}:{new_head}")
