"""`jinji serve` as users start it, for tests: a process in a group of its own, ended with the test."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.service.conftest import CLOCK

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    database_url: str, folder: Path, *words: str, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`jinji serve` in a process group of its own, and the port on which it is to listen; `settings` are JINJI_*."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JINJI_")}
    environment |= {
        "JINJI_DATABASE_URL": database_url, "JINJI_CLOCK": CLOCK, "JINJI_PORT": str(port), "PYTHONPATH": str(ROOT),
        **{f"JINJI_{name.upper()}": value for name, value in settings.items()},
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", *words], cwd=folder, env=environment, start_new_session=True,
        text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until_it_serves(process: subprocess.Popen[str], count: int = 1) -> None:
    """Wait until so many processes have told that they serve."""
    assert process.stderr is not None
    told = 0
    while told < count:
        line = process.stderr.readline()
        assert line.startswith("{"), line or "the service ended before it served"
        told += json.loads(line)["event"] == "serving"
