"""Databases for tests: both engines, each migrated once a run and copied for every test."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from service.settings import Settings
from service.setup import migrate
from tests import postgres
from tests.conftest import root_of_run
from tests.service.world import BEGINS, World, open_world

CLOCK = f"virtual:{BEGINS}"
_TEMPLATE = "jinji_template"


def _once(root: Path, name: str) -> bool:
    """Whether this is the first of all workers to come here; the others wait until it has left."""
    done = root / f"{name}.done"
    if done.exists():
        return False
    done.touch()
    return True


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(Settings(database_url=f"sqlite:///{file}", clock=CLOCK))
    return file


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory, postgres_server: postgres.Server) -> str:
    """The name of a migrated PostgreSQL database, made by the first worker that asks."""
    root = root_of_run(tmp_path_factory)
    with (root / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _once(root, _TEMPLATE):
            postgres_server.create(_TEMPLATE)
            migrate(Settings(database_url=postgres_server.url(_TEMPLATE), clock=CLOCK))
    return _TEMPLATE


@contextmanager
def _database(engine: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The address of a fresh copy of the migrated database, gone afterwards."""
    if engine == "sqlite":
        file = folder / "jinji.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    template = request.getfixturevalue("postgres_template")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = f"t_{abs(hash(str(folder))):x}"
    server.create(name, template=template)
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh migrated database on a virtual clock, on either engine."""
    with _database(request.param, request, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[str]]:
    """What gives the address of another fresh database each time it is asked, on either engine."""
    return lambda: _database(request.param, request, tmp_path_factory.mktemp("fresh"))


def _settings(database_url: str, folder: Path) -> Settings:
    mail = f"file:{folder / 'mail'}"
    return Settings(
        database_url=database_url, clock=CLOCK, mail=mail, public_per_minute=10_000, objections_per_hour=1000
    )


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A running service on a virtual clock at 2024-05-20 09:00, on either engine."""
    world = open_world(_settings(database_url, tmp_path))
    with world.client:
        yield world


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same for all tests of a module: for those that only read, or only send what is refused."""
    folder = tmp_path_factory.mktemp("shared")
    with _database(request.param, request, folder) as url:
        world = open_world(_settings(url, folder))
        with world.client:
            yield world
