"""`jinji serve` as processes: its port, its workers, its sample, and the walk-through against it."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service import serving
from service.cli import main
from service.running import Running, open_running
from service.sample import seed
from service.settings import Settings
from tests.service.conftest import CLOCK
from tests.service.processes import ROOT, free_port, until_it_serves
from tests.service.processes import serving as running

_PATIENCE = 60.0


def _workers_of(process: subprocess.Popen[str], count: int) -> list[int]:
    """The ids of the workers, when all of them have told that they serve."""
    until_it_serves(process, count)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_where_a_service_listens_is_not_shared_with_another(shared: bool) -> None:
    settings = Settings(port=free_port())
    with serving.listen(settings, shared=shared) as first:
        first.listen()
        with pytest.raises(serving.CannotListen, match=f"port {settings.port}.*JINJI_PORT"):
            serving.listen(settings)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_embedded_database_is_served_by_one_service_alone_and_commands_work_beside_it(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "jinji.db"
    with running(database_url, tmp_path) as (first, _):
        until_it_serves(first)
        with running(database_url, tmp_path) as (second, _):
            _, said = second.communicate(timeout=_PATIENCE)
            assert (second.returncode, said.count("\n")) == (1, 1)
            assert f"another `jinji serve` serves {file}: stop it, set JINJI_DATABASE_URL" in said
        environment = {"JINJI_DATABASE_URL": database_url, "JINJI_CLOCK": CLOCK}
        for words in (["token", "list"], ["tick", "--once"], ["audit", "verify"]):
            assert CliRunner().invoke(main, words, env=environment).exit_code == 0, words
        os.killpg(first.pid, signal.SIGKILL)  # the lock goes with the process, however that ends
        first.wait(_PATIENCE)
        with running(database_url, tmp_path) as (third, _):
            until_it_serves(third)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_signal_to_the_service_ends_its_workers(database_url: str, tmp_path: Path, number: signal.Signals) -> None:
    with running(database_url, tmp_path, "--workers", "2") as (process, _):
        workers = _workers_of(process, 2)
        process.send_signal(number)
        assert process.wait(_PATIENCE) == 0
        assert [_is_gone(worker) for worker in workers] == [True, True]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_worker_that_dies_ends_the_service_with_an_error(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path, "--workers", "2") as (process, _):
        first, second = _workers_of(process, 2)
        os.kill(first, signal.SIGKILL)
        assert process.wait(_PATIENCE) == 1
        assert _is_gone(second)


@pytest.fixture
def sample(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts the sample over a database, in a folder of its own; gives the process, its tokens and what it says."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(database_url=database_url, clock=CLOCK)
    begun: list[Running] = []

    def start() -> tuple[Path, str]:
        begun.append(open_running(settings))
        said = seed(begun[-1], settings)
        return next(tmp_path.rglob("tokens")), said

    yield start
    for process in begun:
        process.db.close()


def test_the_sample_begun_again_keeps_its_tokens_for_their_owner_alone(sample: Any) -> None:
    file, _ = sample()
    kept = file.read_text()
    assert {line.split()[0] for line in kept.splitlines()} >= {"admin", "province", "expert", "enterprise", "auditor"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sample()[0].read_text() == kept


@pytest.mark.parametrize("left", [None, "admin jinji_of_another_database\n"])
def test_tokens_that_are_gone_or_of_another_database_are_written_anew(sample: Any, left: str | None) -> None:
    file, _ = sample()
    before = file.read_text()
    file.unlink()
    if left is not None:
        file.write_text(left)
    file, said = sample()
    assert "of_another_database" not in file.read_text()
    assert len(file.read_text().splitlines()) == len(before.splitlines())
    assert file.read_text().split()[1] in said


def test_the_walk_through_walks_the_whole_plan_once(database_url: str, tmp_path: Path) -> None:
    with running(database_url, tmp_path, "--sample") as (process, port):
        assert process.stdout is not None
        for line in process.stdout:
            if "examples/walk.py" in line:
                break
        else:
            pytest.fail("the sample does not name the walk-through")
        words = [sys.executable, str(ROOT / "examples" / "walk.py"), *line.split()[2:]]
        walked = subprocess.run(words, check=False, cwd=tmp_path, text=True, encoding="utf-8", capture_output=True)
        assert (walked.returncode, walked.stderr) == (0, "")
        assert f"--url http://127.0.0.1:{port}" in line
        assert "ok=True" in walked.stdout
        again = subprocess.run(words, check=False, cwd=tmp_path, text=True, encoding="utf-8", capture_output=True)
        assert (again.returncode, "JINJI_DATABASE_URL=" in again.stderr) == (1, True)
