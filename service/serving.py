"""Serving: the sockets and the processes of one `jinji serve`."""

import ctypes
import fcntl
import gc
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path

import structlog
import uvicorn

from service import logs
from service.app import build
from service.connections import Connection
from service.running import Running, open_running
from service.settings import Settings
from service.storage.db import Database

# Each process keeps so many connections at once, and an idle one so long.
_MOST_CONNECTIONS = 2000
_IDLE_SECONDS = 5
# mallopt(3): how many heaps the threads of a process share. One for each thread would keep what each has given back.
_M_ARENA_MAX, _HEAPS = -8, 2
_log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The address cannot be had: somebody listens there, or it is not ours."""


class ServedElsewhere(Exception):
    """Another process serves this embedded database."""


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Keep every other service from an embedded database, until the block or the process ends. Raises ServedElsewhere.

    The lock is of a file beside the database; only services take it, so that commands work while one serves.
    """
    if database.file is None:
        yield
        return
    with Path(f"{database.file.resolve()}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServedElsewhere(
                f"another `jinji serve` serves {database.file}: stop it, set JINJI_DATABASE_URL to another file, or use "
                "PostgreSQL, which any number of processes may serve"
            ) from error
        yield


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """A socket at the address of the settings. Raises CannotListen.

    It listens at once: who connects waits until it is served. A `shared` one lets others of the same user bind the
    address too, and listens only when it is served.
    """
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
        if not shared:
            listening.listen()
    except OSError as error:
        if listening is not None:
            listening.close()
        raise CannotListen(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "set JINJI_HOST or JINJI_PORT, or stop what listens there"
        ) from error
    return listening


def configured(process: Running) -> uvicorn.Config:
    """How this process is served. Whose address a request shows is believed of the trusted proxies alone."""
    proxies = process.settings.trusted_proxies
    return uvicorn.Config(
        build(process), log_config=None, access_log=False, loop="uvloop", http=Connection, server_header=False,
        proxy_headers=bool(proxies), forwarded_allow_ips=proxies or None, timeout_graceful_shutdown=10,
        timeout_keep_alive=_IDLE_SECONDS, limit_concurrency=_MOST_CONNECTIONS,
    )  # fmt: skip


def serve(process: Running, listening: socket.socket) -> None:
    """Serve in this process until SIGTERM or SIGINT."""
    _share_heaps()
    config = configured(process)
    _log.info(
        "serving", host=process.settings.host, port=process.settings.port, clock=process.clock.mode,
        database=process.db.url.get_backend_name(),
    )  # fmt: skip
    # What was built for the start stays for ever: the collector need not walk it again under load, nor look so often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)
    with suppress(KeyboardInterrupt):  # it has shut down in order before it passes the signal on
        uvicorn.Server(config).run(sockets=[listening])


def _share_heaps() -> None:
    with suppress(AttributeError, OSError):  # of glibc alone; other libraries share theirs as they are
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def serve_many(settings: Settings, workers: int) -> bool:
    """Serve in so many processes until SIGTERM or SIGINT; whether that is why it ended.

    A worker that ends by itself takes the others along: whoever watches over the service sees it and begins it anew.
    Raises CannotListen.
    """
    # Shared sockets would also share the port with another service, unseen: ask for it alone first.
    listen(settings).close()
    # Forked, they need not import everything again, which is most of a start, and share its memory. There is no
    # other thread here, and no connection is open.
    gc.collect()
    gc.freeze()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_work, args=(settings,)) for _ in range(workers)]
    asked = threading.Event()

    def stop(*_: object) -> None:
        asked.set()

    for child in children:  # before the signals are caught: a child is to end by them
        child.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not asked.is_set() and all(child.is_alive() for child in children):
        connection.wait([child.sentinel for child in children], timeout=0.5)
    for child in children:
        child.terminate()
    for child in children:
        child.join()
    if not asked.is_set():
        _log.error("a worker ended by itself", exit_codes=[child.exitcode for child in children])
    return asked.is_set()


def _work(settings: Settings) -> None:
    logs.begin(settings.log_level)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Each process listens on a socket of its own with SO_REUSEPORT: the kernel spreads kept-alive connections evenly.
    serve(open_running(settings), listen(settings, shared=True))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
