"""Emptying the outbox: claim, render, send with no transaction open, record; and when to try again.

What is recorded of one message and the claim of the next are one transaction, so a claim is never older than one
sending and one message costs one commit. A process that dies between sending and recording leaves its claim behind;
released, the message goes out once more under the same Message-ID.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from notifications import outbox, rendering
from notifications.channels.outgoing import Channel, Outgoing
from notifications.errors import Away, Broken, Permanent, RenderingFailed, SendFailed, Temporary
from notifications.outbox import Claimed
from notifications.rendering import Rendered

# Longer than any channel takes over one message: see the timeouts of channels/smtp.py.
STALE_AFTER = timedelta(minutes=30)

_FIRST_WAITS = (1, 5, 15)
_WAIT = 60
_HOURLY = 72
_SPREAD = 0.2
# The claims after which there is no other: the first, one after each first wait, one after each hour.
MOST_ATTEMPTS = 1 + len(_FIRST_WAITS) + _HOURLY
_LONGEST_WISH = timedelta(days=1)  # of a server that says when to come again

# So often may a message be handed over whole without an answer; each time it may have arrived.
_MOST_UNSURE = 3
# So many lines broken in a row, and that side counts as away for the rest of the run.
_PATIENCE = 3

_log = structlog.get_logger(__name__)

Transactions = Callable[[], AbstractContextManager[Connection]]
Hours = Callable[[Claimed, datetime], datetime]


def next_attempt(
    attempts: int, now: datetime, jitter: float, *, retry_after: timedelta | None = None
) -> datetime | None:
    """When to try again after `attempts` attempts failed, the last one at `now`; None: not again.

    After 1, 5, 15 and 60 minutes, then hourly, for three days of the hours at which it may leave. `jitter`, from -1 to 1, moves each by up to a
    fifth, so that what failed together does not come back together. Never before `retry_after`, up to a day.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    minutes = _FIRST_WAITS[attempts - 1] if attempts <= len(_FIRST_WAITS) else _WAIT
    wait = timedelta(minutes=minutes * (1 + _SPREAD * max(-1.0, min(1.0, jitter))))
    return now + max(wait, min(retry_after or timedelta(0), _LONGEST_WISH))


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one run did: messages sent, waiting for another attempt, failed for good, put off to office hours, released."""

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    put_off: int = 0
    released: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one claimed message, to be recorded with the next claim."""

    message: Claimed
    sent: Rendered | None = None
    failure: Exception | None = None


def deliver(
    transaction: Transactions,
    channels: Mapping[str, Channel],
    now: Callable[[Connection], datetime],
    *,
    by: str,
    jitter: Callable[[], float],
    only: outbox.Channel | None = None,
    hours: Hours | None = None,
    due_at: datetime | None = None,
    most: int = 500,
    stale_after: timedelta = STALE_AFTER,
) -> Delivered:
    """Send what is due, up to `most` messages; any number of processes may do so at once.

    `transaction()` opens a transaction that commits when its block ends well. `now` is asked in each of them, as a run
    may take long. `by` is the name of this sender, like no other. `jitter()` gives numbers from -1 to 1. `only` leaves
    other channels alone: they have a line of their own, in which nothing slow stands before this. `hours` says
    for a message and an instant at which instant from then on it may leave (office hours); at any, unless given. `due_at`:
    what falls due after it, while the run goes on, waits for the next.
    A database that fails ends the run; what was sent and not recorded is then sent again once its claim is stale.
    """
    run = _Run(channels, jitter, hours, by, only, due_at)
    outcome: _Outcome | None = None
    try:
        with transaction() as tx:
            at = now(tx)
            released = outbox.release_stale(tx, at, stale_after, MOST_ATTEMPTS, only) if due_at is None else 0
            claimed = run.claim(tx, at)
        for left in range(most - 1, -1, -1):
            if claimed is None:
                break
            outcome = run.send(claimed, at)
            with transaction() as tx:
                at = now(tx)
                run.record(tx, outcome, at)
                claimed = run.claim(tx, at) if left else None
    finally:
        for name, channel in channels.items():
            if only is None or name == only:
                channel.close()
    return Delivered(**run.done, released=released)


class _Run:
    """One run of `deliver`: what it has done, and which sides it found away."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        jitter: Callable[[], float],
        hours: Hours | None,
        by: str,
        only: outbox.Channel | None,
        due_at: datetime | None,
    ):
        self.done: Counter[str] = Counter()
        self._channels = channels
        self._jitter = jitter
        self._hours = hours
        self._by = by
        self._only = only
        self._due_at = due_at
        self._away: dict[tuple[str, str], Away] = {}
        self._broken: Counter[tuple[str, str]] = Counter()

    def claim(self, tx: Connection, now: datetime) -> Claimed | None:
        """The next message that may leave now; those that may not yet are put off."""
        while claimed := outbox.claim(tx, now, self._by, 1, self._only, self._due_at):
            (message,) = claimed
            opens_at = self._from(message, now)
            if opens_at <= now:
                return message
            outbox.put_off(tx, message.id, self._by, opens_at)
            self.done["put_off"] += 1
        return None

    def _from(self, message: Claimed, at: datetime) -> datetime:
        return at if self._hours is None else self._hours(message, at)

    def send(self, message: Claimed, now: datetime) -> _Outcome:
        """Render and send one message. No transaction is open, and whatever goes wrong is an outcome of this message."""
        try:
            return _Outcome(message, sent=self._sent(message, now))
        except (SendFailed, RenderingFailed) as failure:
            return _Outcome(message, failure=failure)
        except Exception as failure:  # noqa: BLE001 one of the loops that must outlive any fault: it stands on the row
            _log.exception("message failed", message=message.id, template=message.template)
            return _Outcome(message, failure=failure)

    def _sent(self, message: Claimed, now: datetime) -> Rendered:
        channel = self._channels.get(message.channel)
        if channel is None:
            raise Permanent(f"there is no channel for {message.channel}")
        side = (message.channel, channel.side(message.recipient))
        if side in self._away:
            raise self._away[side]
        rendered = _rendered(message)
        try:
            channel.send(_outgoing(message, rendered), now)
        except Broken as failure:
            self._broken[side] += 1
            if self._broken[side] >= _PATIENCE:
                self._away[side] = Away(str(failure))
            raise
        except Away as failure:
            self._away[side] = failure
            raise
        del self._broken[side]
        return rendered

    def record(self, tx: Connection, outcome: _Outcome, now: datetime) -> None:
        """Write down what became of one message."""
        message, sent, failure = outcome.message, outcome.sent, outcome.failure
        if sent is not None:
            outbox.record_sent(tx, message, now, subject=sent.subject, text=sent.text, html=sent.html)
            self.done["sent"] += 1
            return
        again = self._again(message, failure, now)
        is_known = isinstance(failure, SendFailed | RenderingFailed)
        said = str(failure) if is_known else repr(failure)
        unsure = (isinstance(failure, Temporary) and failure.unsure) or not is_known
        outbox.record_failure(tx, message.id, self._by, said, again, unsure=unsure)
        self.done["failed" if again is None else "waiting"] += 1

    def _again(self, message: Claimed, failure: Exception | None, now: datetime) -> datetime | None:
        # A fault of our own is not tried again by itself: it may have come after the message had left.
        if not isinstance(failure, Temporary) or (failure.unsure and message.unsure_times + 1 >= _MOST_UNSURE):
            return None
        again = next_attempt(message.attempts, now, self._jitter(), retry_after=failure.retry_after)
        return None if again is None else self._from(message, again)


def _rendered(message: Claimed) -> Rendered:
    if message.channel == outbox.Channel.WEBHOOK:
        return rendering.event_body(message.template, message.id, message.created_at, message.context)
    context = {**message.context, "recipient_name": message.recipient_name}
    return rendering.render(message.template, message.language, context)


def _outgoing(message: Claimed, rendered: Rendered) -> Outgoing:
    return Outgoing(
        id=message.id,
        message_id=message.message_id,
        recipient=message.recipient,
        recipient_name=message.recipient_name,
        language=message.language,
        rendered=rendered,
    )
