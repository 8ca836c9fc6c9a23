"""`jinji serve` as a process that is killed and begun again, and a client that asks again under the same key."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from sqlalchemy import select

from notifications.outbox import MESSAGES
from service.settings import Settings
from service.storage.db import Database
from tests.notifications.sink import Sink

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 60.0
# So many starts are one of a new interpreter, as users start it; the others are forks of one that has imported all.
_COLD_EVERY = 40


@dataclass(slots=True)
class Reply:
    """What was answered."""

    status_code: int
    text: str

    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


@dataclass(slots=True)
class Step:
    """What one request took when nobody was killed: in seconds, and in letters that arrived meanwhile."""

    seconds: float
    letters: int


@dataclass(slots=True)
class Deaths:
    """When to kill: by the number of the step, one blow for each time it is tried."""

    at: dict[int, list[tuple[str, float]]] = field(default_factory=dict)

    @classmethod
    def plan(cls, steps: list[Step], count: int, chance: Random) -> Self:
        """`count` deaths: a third as a letter arrives, before the sender can record it; the rest at any moment of a step."""
        planned = cls()
        with_letters = [number for number, step in enumerate(steps) if step.letters]
        for place in range(count):
            if place % 3 == 0 and with_letters:
                number = chance.choice(with_letters)
                blow = "letter", float(chance.randrange(steps[number].letters))
            else:
                number = chance.randrange(len(steps))
                blow = "moment", chance.uniform(0, 1.1 * steps[number].seconds)
            planned.at.setdefault(number, []).append(blow)
        return planned


class Killed:
    """A service in a process group of its own, killed as planned, and the `client` of a `World`.

    `kills` counts those that hit a living process; `in_flight` are the Message-IDs that each found between claim and
    record.
    """

    def __init__(self, settings: Settings, folder: Path, sink: Sink, deaths: Deaths, deadline: float) -> None:
        self._settings, self._log, self._sink, self._deaths = settings, folder / "service.log", sink, deaths
        self._deadline = deadline
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("JINJI_")}
        self._environment |= {
            "JINJI_DATABASE_URL": settings.database_url, "JINJI_CLOCK": settings.clock, "JINJI_MAIL": settings.mail,
            "JINJI_PORT": str(settings.port), "JINJI_TICK_SECONDS": str(settings.tick_seconds),
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self._db = Database(settings.database_url)
        self._nursery: subprocess.Popen[str] | None = None
        self._pid = 0
        self._starts = 0
        self._lock = threading.Lock()
        self._blow_at: int | None = None
        self.steps: list[Step] = []
        self.kills: list[str] = []
        self.in_flight: list[set[str]] = []
        self.asked_again = 0
        self.took = 0.0
        self._began = time.monotonic()
        sink.arrived = self._letter

    # --- the process ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", "tests.crash.nursery", str(self._log)]
        self._nursery = subprocess.Popen(
            words,
            cwd=ROOT,
            env=self._environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.took = time.monotonic() - self._began
        self._kill("end")
        self._bury()
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(_PATIENCE)
        assert self._nursery.stdout is not None
        self._nursery.stdout.close()
        self._db.close()

    def _tell(self, word: str) -> str:
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(f"{word}\n")
        self._nursery.stdin.flush()
        told = self._nursery.stdout.readline().strip()
        assert told, "the nursery has ended"
        return told

    def _start(self) -> None:
        self._pid = int(self._tell("serve" if self._starts % _COLD_EVERY else "begin"))
        self._starts += 1
        until = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._ask("GET", "/health/live", {}, None)
                return
            assert time.monotonic() < until, self._log.read_text()[-2000:]
            time.sleep(0.01)

    def spare(self) -> None:
        """Kill no more."""
        self._deaths = Deaths()

    def _kill(self, how: str) -> None:
        with self._lock:
            if self._pid:
                os.killpg(self._pid, signal.SIGKILL)
                self._pid = 0
                if how != "end":
                    self.kills.append(how)

    def _bury(self) -> None:
        """Wait until the killed process is gone, and see what it was sending."""
        self._tell("gone")
        with self._db.reading() as tx:
            sending = tx.execute(select(MESSAGES.c.message_id).where(MESSAGES.c.status == "sending")).scalars()
            self.in_flight.append(set(sending))

    def _letter(self) -> None:
        """A letter is here and its sender has no answer yet."""
        with self._lock:
            if self._blow_at is None:
                return
            self._blow_at -= 1
            if self._blow_at >= 0:
                return
            self._blow_at = None
        self._kill("letter")

    # --- the client ----------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, headers: Mapping[str, str], json: Any = None) -> Reply:
        """Ask until there is an answer, each time the same under the same key, and be killed meanwhile as planned."""
        number = len(self.steps)
        sent = dict(headers)
        if method == "POST":
            sent.setdefault("Idempotency-Key", f"step-{number}")
        blows = list(self._deaths.at.get(number, ()))
        began, letters = time.monotonic(), len(self._sink.letters)
        while True:
            if time.monotonic() > self._deadline:
                blows = []
            blow = blows.pop(0) if blows else None
            timer = self._aim(blow)
            try:
                reply = self._ask(method, path, sent, json)
            except (OSError, http.client.HTTPException):
                reply = None
            if timer is not None:
                timer.join()
            if self._blow_at is not None:  # no such letter came this time
                self._blow_at = None
                self._kill("after")
            if not self._pid:
                self._bury()
                self._start()
            if reply is not None and not blows:
                break
            self.asked_again += 1
            assert blow is not None or reply is not None, self._log.read_text()[-2000:]
        self.steps.append(Step(time.monotonic() - began, len(self._sink.letters) - letters))
        return reply

    def _aim(self, blow: tuple[str, float] | None) -> threading.Timer | None:
        if blow is None:
            return None
        how, when = blow
        if how == "letter":
            self._blow_at = int(when)
            return None
        timer = threading.Timer(when, self._kill, ("moment",))
        timer.start()
        return timer

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self._settings.port, timeout=_PATIENCE)
        try:
            sent = None if body is None else json.dumps(body).encode()
            more = {} if sent is None else {"Content-Type": "application/json"}
            connection.request(method, path, sent, {**headers, **more})
            told = connection.getresponse()
            return Reply(told.status, told.read().decode())
        finally:
            connection.close()
