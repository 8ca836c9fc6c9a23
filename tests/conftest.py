"""What all tests share: one PostgreSQL server per run, started by the first test that asks for it."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres

_STATE = "postgres.json"


def root_of_run(factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run share; without workers the run's own."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> postgres.Server:
    """The PostgreSQL server of this run. The first worker that asks starts it; the run's main process stops it."""
    root = root_of_run(tmp_path_factory)
    with (root / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = root / _STATE
        if not state.exists():
            in_worker = "PYTEST_XDIST_WORKER" in os.environ
            server = postgres.Server().start(watch=os.getppid() if in_worker else os.getpid())
            state.touch(mode=0o600)
            state.write_text(server.state())
            return server
        return postgres.Server.attach(state.read_text())


@pytest.hookimpl(wrapper=True)
def pytest_unconfigure(config: pytest.Config) -> Iterator[None]:
    """Stop the server when all workers have ended."""
    yield
    factory: pytest.TempPathFactory | None = getattr(config, "_tmp_path_factory", None)
    if hasattr(config, "workerinput") or factory is None or factory._basetemp is None:
        return
    state = factory.getbasetemp() / _STATE
    if state.exists():
        postgres.Server.attach(state.read_text()).stop()
        state.unlink(missing_ok=True)
