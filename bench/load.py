"""A light load generator: kept-alive connections on raw asyncio, prebuilt bytes, one process.

It shares the machine with what it measures, so it reads of an answer only what it must.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import uvloop


class Failed(Exception):
    """An answer that no load expects; the message holds its beginning."""


@dataclass(slots=True)
class Measured:
    """What one run of a load came to; latencies in seconds, in order."""

    seconds: float
    items: int
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Items (requests; of a batch, its events) a second."""
        return self.items / self.seconds

    def percentile(self, percent: float) -> float:
        """A percentile of the latencies, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))] * 1000


class Source(Protocol):
    """Where requests come from: `take` gives one with a token, `give` hands the token back with the answer."""

    def take(self, connection: int) -> tuple[Any, bytes]:
        """The next request for a connection."""

    def give(self, token: Any, status: int, answer: bytes) -> int:
        """Look at the answer; how many items it stands for."""


def request(method: str, path: str, token: str = "", *, headers: str = "") -> bytes:
    """The head of a request, up to where more header lines, or the empty line, follow."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{headers}".encode()


@dataclass
class Same:
    """The same few requests over and over, drawn at random."""

    requests: list[bytes]
    status: int = 200

    def take(self, connection: int) -> tuple[Any, bytes]:
        """One of them."""
        return None, random.choice(self.requests)

    def give(self, token: Any, status: int, answer: bytes) -> int:
        """Raises Failed for another status than expected."""
        if status != self.status:
            raise Failed(answer[:600].decode(errors="replace"))
        return 1


@dataclass(slots=True, eq=False)
class Item:
    """A case that can be moved without end: its version as last heard, and the bodies it is sent in turn."""

    id: str
    unit: str
    version: int
    bodies: tuple[bytes, bytes]
    turn: int = 0
    busy: bool = False

    def moved(self) -> None:
        """The event happened."""
        self.version += 1
        self.turn ^= 1


class Singles:
    """Single events on random cases, each with If-Match, and with an Idempotency-Key of its own if `keyed`."""

    def __init__(self, items: list[Item], tokens: dict[str, str], *, keyed: bool = False) -> None:
        self._items = items
        self._keys: Iterator[int] | None = iter(range(random.getrandbits(60), 1 << 62)) if keyed else None
        json = "Content-Type: application/json\r\n"
        self._heads = {
            item.id: request("POST", f"/api/v1/cases/{item.id}/events", tokens[item.unit], headers=json)
            for item in items
        }

    def take(self, connection: int) -> tuple[Any, bytes]:
        """An event for a case that no other connection is moving."""
        item = random.choice(self._items)
        while item.busy:
            item = random.choice(self._items)
        item.busy = True
        body = item.bodies[item.turn]
        key = b"" if self._keys is None else b"Idempotency-Key: bench-%d\r\n" % next(self._keys)
        more = b'%sIf-Match: "%d"\r\nContent-Length: %d\r\n\r\n%s' % (key, item.version, len(body), body)
        return item, self._heads[item.id] + more

    def give(self, token: Any, status: int, answer: bytes) -> int:
        """Raises Failed for an event that did not happen."""
        if status != 200:
            raise Failed(answer[:1500].decode(errors="replace"))
        token.busy = False
        token.moved()
        return 1


class Batches:
    """Batches of events, each connection with cases of one unit that no other connection moves."""

    def __init__(self, items: list[Item], tokens: dict[str, str], size: int) -> None:
        units = sorted({item.unit for item in items})
        self._lots = [[item for item in items if item.unit == unit][:size] for unit in units]
        json = "Content-Type: application/json\r\n"
        self._heads = [request("POST", "/api/v1/cases/events", tokens[unit], headers=json) for unit in units]

    @property
    def connections(self) -> int:
        """One for each unit."""
        return len(self._lots)

    def take(self, connection: int) -> tuple[Any, bytes]:
        """A batch of the connection's own cases."""
        lot = self._lots[connection]
        random.shuffle(lot)
        events = b",".join(
            b'{"case":"%s","version":%d,%s' % (item.id.encode(), item.version, item.bodies[item.turn][1:])
            for item in lot
        )
        body = b'{"items":[%s]}' % events
        return lot, self._heads[connection] + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    def give(self, token: Any, status: int, answer: bytes) -> int:
        """Raises Failed unless every event happened."""
        if status != 200 or b'"ok":false' in answer:
            raise Failed(answer[:1500].decode(errors="replace"))
        for item in token:
            item.moved()
        return len(token)


@dataclass
class _Run:
    source: Source
    done: asyncio.Future[None]
    begins: float
    ends: float
    latencies: list[float] = field(default_factory=list)
    items: int = 0
    open: int = 0


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, number: int) -> None:
        self._run, self._number = run, number
        self._buffer = b""
        self._sent = 0.0
        self._token: Any = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._run.open += 1
        self._send()

    def _send(self) -> None:
        self._token, data = self._run.source.take(self._number)
        self._sent = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.find(b"ontent-length: ", 0, head) + 15
        length = int(self._buffer[at : self._buffer.find(b"\r", at)]) if at > 14 else 0
        if len(self._buffer) < head + 4 + length:
            return
        answer, self._buffer = self._buffer, b""
        now = time.perf_counter()
        run = self._run
        try:
            items = run.source.give(self._token, int(answer[9:12]), answer)
        except Failed as error:
            if not run.done.done():
                run.done.set_exception(error)
            self._transport.close()
            return
        if run.begins <= now < run.ends:
            run.items += items
            run.latencies.append(now - self._sent)
        if now < run.ends:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.open -= 1
        if self._run.done.done():
            return
        if time.perf_counter() < self._run.ends:
            self._run.done.set_exception(Failed(f"the connection broke off: {exc}"))
        elif not self._run.open:
            self._run.done.set_result(None)


async def _drive(port: int, source: Source, connections: int, seconds: float, warm_up: float) -> Measured:
    loop = asyncio.get_running_loop()
    begins = time.perf_counter() + warm_up
    run = _Run(source, loop.create_future(), begins, begins + seconds)
    for number in range(connections):
        await loop.create_connection(lambda number=number: _Connection(run, number), "127.0.0.1", port)
    async with asyncio.timeout(warm_up + seconds + 30):
        await run.done
    return Measured(seconds, run.items, sorted(run.latencies))


def drive(port: int, source: Source, *, connections: int, seconds: float, warm_up: float = 1.0) -> Measured:
    """Keep `connections` busy for `seconds`, after a warm-up that does not count. Raises Failed."""
    return uvloop.run(_drive(port, source, connections, seconds, warm_up))
