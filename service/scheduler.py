"""The ticker: APScheduler calls `tick`; the truth is rows, so a tick that comes late, twice, or on two nodes is harmless.

On a virtual clock `advance` runs the same ticks at each due instant on the way.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Connection

from notifications import outbox
from notifications.delivery import MOST_ATTEMPTS, STALE_AFTER, Delivered
from service import clock, post
from service.access import Act
from service.casework import audit, correspondence, digests, reminders, results, sweep
from service.casework.desk import Desk
from service.clock import VirtualClock
from service.errors import ClockRefused, ClockTooFar
from service.running import Running
from service.storage import stamps

_log = structlog.get_logger(__name__)
_FURTHEST = timedelta(days=5 * 366)


def start(process: Running) -> BackgroundScheduler:
    """Begin to tick every `tick_seconds` until `shutdown`."""
    ticker = BackgroundScheduler(timezone="UTC")
    # Jobs of their own, so that a mail server that hangs keeps nobody's term from ending, and no webhook a mail.
    for job in _jobs():
        ticker.add_job(
            _safely,
            "interval",
            args=[process, job],
            seconds=process.settings.tick_seconds,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )
    ticker.start()
    return ticker


def _jobs() -> tuple[Callable[[Running], int], ...]:
    return tick, deliver_mails, deliver_webhooks


def _safely(process: Running, job: Callable[[Running], object]) -> None:
    try:
        with process.ticks.turns[job.__name__]:
            job(process)
        process.ticks.failed.discard(job.__name__)
    except Exception:  # noqa: BLE001 the loop must outlive any fault: the next tick tries again
        process.ticks.failed.add(job.__name__)
        _log.exception("tick failed", job=job.__name__)


def deliver(process: Running) -> int:
    """Send what may leave now; how many messages were sent."""
    return deliver_mails(process) + deliver_webhooks(process)


def deliver_mails(process: Running) -> int:
    """Let what waits say what is true now, then send what may leave; how many were sent."""
    with process.db.transaction() as tx:
        now = process.clock.now(tx)
        # What a lost sender held waits again first, so that it is worded anew or taken back with the rest.
        outbox.release_stale(tx, now, STALE_AFTER, MOST_ATTEMPTS, outbox.Channel.EMAIL)
        desk = Desk(tx, process.books)
        results.stop_overtaken(tx, now)
        results.readdress(desk, now)
        correspondence.stop_reminding_the_removed(tx, now)
        digests.freshen(desk, process.post.links, now)
    return _deliver(process, outbox.Channel.EMAIL, now)


def deliver_webhooks(process: Running) -> int:
    """Send what webhooks are told; how many were sent."""
    return _deliver(process, outbox.Channel.WEBHOOK)


def _deliver(process: Running, channel: outbox.Channel, due_at: datetime | None = None) -> int:
    sent = 0
    while (done := post.run(process.post, channel, process.db, process.clock, process.books, due_at)) != Delivered():
        sent += done.sent
    return sent


def tick(process: Running) -> int:
    """Do all that is due now: cases first, so that nobody is reminded of what has just ended; how many things were done."""
    done = 0
    for turn in (_cases, _reminders):
        while swept := turn(process):
            done += swept
    process.ticks.last = clock.monotonic()
    process.ticks.count += 1
    process.ticks.done += done
    return done


# Turns are taken as of an instant from before which nothing is on its way any more: who answered or objected in time is
# not told that he is late.
def _cases(process: Running) -> int:
    with process.db.transaction() as tx:
        return sweep.run(Desk(tx, process.books), process.clock.settled(tx))


def _reminders(process: Running) -> int:
    with process.db.transaction() as tx:
        return reminders.sweep(Desk(tx, process.books), process.post.links, process.clock.settled(tx))


@dataclass(frozen=True, slots=True)
class Passed:
    """What the virtual clock passed on its way."""

    now: datetime
    ticks: int
    messages: int


def advance(process: Running, to: datetime, act: Act) -> Passed:
    """Move the virtual clock to the aware instant `to`, ticking at every due instant on the way, in order.

    The ticker waits meanwhile: what it has begun would be missed at an instant, and sent when the clock is far beyond it.
    Raises ClockRefused for an instant that has passed, ClockTooFar for one more than five years ahead. A real clock is not moved: TypeError.
    """
    virtual = process.clock
    if not isinstance(virtual, VirtualClock):
        raise TypeError("a real clock is not moved")
    with ExitStack() as turns:
        for job in _jobs():
            turns.enter_context(process.ticks.turns[job.__name__])
        return _advance(process, virtual, to, act)


def _advance(process: Running, virtual: VirtualClock, to: datetime, act: Act) -> Passed:
    tick(process)
    ticks, messages = 1, deliver(process)
    began: datetime | None = None
    while True:
        with process.db.transaction() as tx:
            now = virtual.now_locked(tx)
            began = began or now
            if to < now:
                raise ClockRefused
            if to - now > _FURTHEST:
                raise ClockTooFar
            stop = _next_due_at(tx, now, to)
            virtual.move(tx, stop)
            if stop == to:
                _record(Desk(tx, process.books), act, began)
        tick(process)
        ticks += 1
        messages += deliver(process)
        if stop == to:
            return Passed(to, ticks, messages)


def _next_due_at(tx: Connection, now: datetime, to: datetime) -> datetime:
    """The first instant beyond `now` at which something falls due, or `to` if that comes first."""
    instants = (
        sweep.next_due_at(tx, now, to), reminders.next_turn_at(tx, now), outbox.next_due_at(tx, STALE_AFTER),
    )  # fmt: skip
    return min((at for at in instants if at is not None and now < at < to), default=to)


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
