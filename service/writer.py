"""Takes the events that wait in this process and applies them as one batch: under load batches form by themselves.

One thread, one transaction a batch. A lonely event is a batch of one and waits for nobody. What fails in a batch fails
alone; if the database refuses the batch as a whole, each is tried by itself.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError

from service.access import Act, Caller
from service.casework import answers, moves
from service.casework.answers import Answer, Key
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.errors import DatabaseBusy, KeyReused, ServiceError
from service.running import Running

MOST_AT_ONCE = 64
# Clients whose events were applied together come again almost together: so long the first waits for the others. Who
# came alone the last time is not kept waiting.
_GATHERING_SECONDS = 0.001
_TRIES = 5
_log = structlog.get_logger(__name__)


class Replayed(ServiceError):
    """The key has its answer already."""

    code = "replayed"

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """One event that a client wants: what it sent, when it arrived, and how its answer is put into words."""

    caller: Caller
    arrived: datetime | None
    request_id: str
    case: str
    event: Any
    data: Any
    reason: str | None
    versions: frozenset[int] | None
    malformed: ServiceError | None
    key: Key | None
    render: Callable[[Applied | ServiceError], Answer]

    def command(self, now: datetime, verdict: ServiceError | None) -> Command:
        """The event as the use-case takes it; `now` counts where the instant of arrival is not known."""
        return Command(
            act=Act(self.caller, self.arrived or now, self.request_id),
            case=self.case,
            event=self.event,
            data=self.data,
            versions=self.versions,
            reason=self.reason,
            verdict=verdict,
            malformed=self.malformed,
        )


@dataclass(slots=True)
class _Waiting:
    wanted: Wanted
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer]


class Writer:
    """The one writer thread of a process."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._enough = 1
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to take events."""
        self._thread.start()

    def stop(self) -> None:
        """Apply what waits, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout=30)

    async def submit(self, wanted: Wanted) -> Answer:
        """The answer to an event, once it is committed or refused. Raises DatabaseAway."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wanted, loop, loop.create_future())
        with self._wake:
            self._queue.append(waiting)
            if len(self._queue) >= self._enough:
                self._wake.notify()
        return await waiting.future

    def _run(self) -> None:
        last = 1
        while True:
            with self._wake:
                self._enough = 1
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    return
                if len(self._queue) < last and not self._stopping:
                    self._enough = last
                    self._wake.wait(_GATHERING_SECONDS)
                batch = [self._queue.popleft() for _ in range(min(MOST_AT_ONCE, len(self._queue)))]
            last = len(batch)
            for part in _without_repeated_keys(batch):
                self._deliver(part, self._answers(part))

    def _answers(self, part: list[_Waiting]) -> list[Answer | BaseException]:
        for attempt in range(_TRIES):
            try:
                return list(self._apply([waiting.wanted for waiting in part]))
            except (IntegrityError, DatabaseBusy) as error:
                if len(part) > 1:
                    break
                if attempt == _TRIES - 1:
                    return [DatabaseBusy() if isinstance(error, IntegrityError) else error]
            except ServiceError as error:
                return [error] * len(part)
            except Exception as error:  # noqa: BLE001 the loop of this thread must outlive any fault of one batch
                if len(part) > 1:
                    break
                _log.exception("event failed", case=part[0].wanted.case, request_id=part[0].wanted.request_id)
                return [error]
        return [answer for waiting in part for answer in self._answers([waiting])]

    def _apply(self, wanted: list[Wanted]) -> list[Answer]:
        running = self._running
        keys = [each.key for each in wanted if each.key is not None]
        with running.db.transaction() as tx:
            kept = answers.find(tx, keys)
            now = running.clock.now(tx)
            commands = [each.command(now, _verdict(each, kept)) for each in wanted]
            outcomes = moves.apply_events(Desk(tx, running.books), commands)
            told = [_told(each, outcome) for each, outcome in zip(wanted, outcomes, strict=True)]
            answers.keep(
                tx,
                (
                    (each.key, answer)
                    for each, answer, outcome in zip(wanted, told, outcomes, strict=True)
                    if each.key is not None and answers.is_kept(answer) and not isinstance(outcome, Replayed)
                ),
                now,
            )
        return told

    @staticmethod
    def _deliver(part: list[_Waiting], told: list[Answer | BaseException]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | BaseException]]] = {}
        for waiting, answer in zip(part, told, strict=True):
            by_loop.setdefault(waiting.loop, []).append((waiting.future, answer))
        for loop, pairs in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, pairs)


def _settle(pairs: list[tuple[asyncio.Future[Answer], Answer | BaseException]]) -> None:
    for future, answer in pairs:
        if future.done():  # the client has gone; what was decided stands
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _without_repeated_keys(batch: list[_Waiting]) -> list[list[_Waiting]]:
    """The batch in parts in which no key stands twice, so that the later one finds the earlier one's answer."""
    parts: list[list[_Waiting]] = [[]]
    seen: set[tuple[str, str]] = set()
    for waiting in batch:
        key = waiting.wanted.key
        if key is not None and (key.scope, key.key) in seen:
            parts.append([])
            seen = set()
        if key is not None:
            seen.add((key.scope, key.key))
        parts[-1].append(waiting)
    return parts


def _verdict(wanted: Wanted, kept: dict[tuple[str, str], tuple[str, Answer]]) -> ServiceError | None:
    if wanted.key is None or (found := kept.get((wanted.key.scope, wanted.key.key))) is None:
        return None
    fingerprint, answer = found
    return Replayed(answer) if fingerprint == wanted.key.fingerprint else KeyReused()


def _told(wanted: Wanted, outcome: Applied | ServiceError) -> Answer:
    if isinstance(outcome, Replayed):
        return replace(outcome.answer, headers={**outcome.answer.headers, "Idempotent-Replayed": "true"})
    return wanted.render(outcome)
