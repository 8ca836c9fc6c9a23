"""The engine of either database, and the one place that commits."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.errors import DatabaseAway, DatabaseBusy
from service.settings import SettingRefused

_READS = "jinji_reads"
# How long a writer of SQLite waits for those before it.
_PATIENCE = 15
_CONNECTIONS, _MORE_CONNECTIONS = 12, 4
# Of the threads that serve requests so many may be after a change of SQLite, most of them waiting for their turn; that
# leaves one for each connection, so that who only reads finds a thread.
_MOST_WRITERS = 64
THREADS = _MOST_WRITERS + _CONNECTIONS + _MORE_CONNECTIONS
# Pages that a connection of SQLite keeps, in KiB: the system keeps the file in its own cache, once for all of them.
_PAGES_KIB = 512
_DRIVERS = ("sqlite", "postgresql+psycopg")
# PostgreSQL: deadlock, serialization failure, lock not available. SQLite says "database is locked".
_BUSY = frozenset({"40P01", "40001", "55P03"})


class Database:
    """One engine. `reading()` and `transaction()` give a connection; nobody else commits."""

    def __init__(self, url: str, *, pool_size: int = _CONNECTIONS, lasting: bool = True) -> None:
        """`lasting=False`: what is committed need not outlive a power cut, as of a database that is thrown away."""
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {
            "pool_pre_ping": False, "pool_size": pool_size, "max_overflow": _MORE_CONNECTIONS, "pool_timeout": 5,
        }  # fmt: skip
        options["hide_parameters"] = True  # the text of an error goes into the log, and parameters may be a person's
        # SQLite has one writer at a time and lets the others ask again and again, some of them in vain for seconds; here
        # they queue, and before they take a connection, which readers need.
        self._turn = threading.Semaphore() if self.is_sqlite else None
        self._places = threading.Semaphore(_MOST_WRITERS) if self.is_sqlite else None
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _PATIENCE, "check_same_thread": False}
        else:
            options["connect_args"] = {"connect_timeout": 3, "options": "-c timezone=UTC -c lock_timeout=10s"}
        self.engine: Engine = create_engine(self.url, **options)
        self._glances = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite if lasting else _prepare_passing_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @property
    def file(self) -> Path | None:
        """The file of an embedded database; None for one in memory and for a server's."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and changes nothing."""
        with _translated(), self.engine.connect() as connection:
            connection = connection.execution_options(**{_READS: True})
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def glancing(self) -> Iterator[Connection]:
        """A connection for a single look: on PostgreSQL without a transaction, which saves the way there and back twice."""
        if self.is_sqlite:
            with self.reading() as connection:
                yield connection
        else:
            with _translated(), self._glances.connect() as connection:
                yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose changes are committed, durably, when the block ends without an exception."""
        with _translated(), _held(self._turn, DatabaseAway, timeout=_PATIENCE), self.engine.begin() as connection:
            yield connection

    def place(self) -> AbstractContextManager[None]:
        """A place among the requests that change something; DatabaseBusy at once where all are taken.

        The writer of events and the ticker have threads of their own, and need none.
        """
        return _held(self._places, DatabaseBusy, blocking=False)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _held(places: threading.Semaphore | None, otherwise: type[DatabaseAway], **how: Any) -> Iterator[None]:
    """Hold a place, if they are counted. Raises `otherwise` where none is to be had."""
    if places is None:
        yield
        return
    if not places.acquire(**how):
        raise otherwise
    try:
        yield
    finally:
        places.release()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in _DRIVERS:
        # The refused value is not repeated: it may hold a password.
        raise SettingRefused(
            "JINJI_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://, as in "
            "sqlite:///var/jinji.db or postgresql+psycopg://user:password@host:5432/database"
        )
    return parsed


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: see _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{_PAGES_KIB}"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_passing_sqlite(connection: sqlite3.Connection, record: object) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA synchronous=OFF")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock first: a lock that is upgraded half-way cannot wait and fails at once.
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseBusy from error
    except (OperationalError, InterfaceError) as error:
        raise (DatabaseBusy if is_busy(error) else DatabaseAway) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAway from error
        raise


def is_busy(error: DBAPIError) -> bool:
    """Whether the same transaction may go through when tried again."""
    return getattr(error.orig, "sqlstate", None) in _BUSY or "database is locked" in str(error.orig)
