"""The time machine: a season in a minute, the same for the same seed, and whole whatever goes wrong on the way."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.rehearsal.players import enterprises, shared_out
from service.rehearsal.run import DatabaseInUse, Rehearsed, Wanted, rehearse
from tests import postgres
from workflows.identity import is_credit_code
from workflows.programme import packaged_sources
from workflows.programme_checks import load
from workflows.working_days import Calendar, packaged_years

ROOT = Path(__file__).resolve().parents[2]
HENAN = packaged_sources()["henan-2024"]
SECOND_FILE = ROOT / "tests" / "workflows" / "data" / "second.toml"
SECOND = SECOND_FILE.read_text(encoding="utf-8")
CASES = 40


@pytest.fixture
def empty_database(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database that nobody has used, on the engine of `database_url`."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = f"e_{abs(hash(str(tmp_path))):x}"
    server.create(name)
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="module")
def season() -> Rehearsed:
    """A season of a few enterprises, without faults."""
    return rehearse(Wanted(HENAN, CASES, 8))


def test_a_season_ends_whole_and_each_enterprise_has_come_to_an_end(season: Rehearsed) -> None:
    assert season.held
    assert season.report.broken == []
    states = season.report.province.by_state
    ends = {state.id for state in season.report.programme.states if state.final}
    assert sum(states.values()) == CASES
    assert set(states) <= ends
    assert states["recognised"] > CASES / 2


def test_a_season_holds_what_is_late_and_what_is_refused_as_well_as_what_goes_well(season: Rehearsed) -> None:
    units = season.report.units
    assert all(sum(unit.obligations[how] for unit in units) > 0 for how in ("met", "late", "nil", "overdue"))
    asked = season.report.requests["410000"]
    assert all(asked[how] > 0 for how in ("in time", "late", "overdue"))
    assert set(season.report.refused) >= {"ultra_low_not_completed", "ultra_low_not_publicised"}
    assert set(season.report.mails) >= {"breach", "digest", "reminder", "request_received"}


def test_the_same_seed_gives_the_same_heads_in_another_process_and_another_seed_others() -> None:
    # Another process hashes its texts otherwise, so that whatever hangs on the order of a set shows.
    words = ["-m", "service.cli", "rehearse", "--cases", "12", "--programme", str(SECOND_FILE), "--seed"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JINJI_")}
    told = {
        seed: subprocess.run(
            [sys.executable, *words, seed], cwd=ROOT, env={**environment, "PYTHONHASHSEED": "4711"},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("7", "8")
    }  # fmt: skip
    heads = rehearse(Wanted(SECOND, 12, 7)).report.heads
    assert all(head in told["7"] for head in heads.values())
    assert heads["all"] not in told["8"]


def test_killed_robbed_of_its_mail_server_and_thrown_through_time_it_loses_nothing_and_repeats_nothing() -> None:
    rehearsed = rehearse(Wanted(HENAN, 12, 1, faults=True))
    remarks = "\n".join(rehearsed.remarks)
    assert rehearsed.held, remarks
    assert all(point in remarks for point in ("after a commit", "before a commit", "after a send"))
    assert "refused by the server: 0" not in remarks
    assert sum(rehearsed.report.province.by_state.values()) == 12


def test_any_programme_can_be_rehearsed() -> None:
    rehearsed = rehearse(Wanted(SECOND, 10, 3, faults=True))
    assert rehearsed.held, rehearsed.remarks
    assert rehearsed.report.programme.id == "shandong-2025"
    assert rehearsed.report.province.by_state["recognised"] > 5


def test_it_plays_on_either_engine_in_a_database_that_is_empty_and_in_no_other(
    empty_database: str, database_url: str
) -> None:
    assert rehearse(Wanted(SECOND, 8, 3, database_url=empty_database)).held
    for used in (empty_database, database_url):
        with pytest.raises(DatabaseInUse):
            rehearse(Wanted(SECOND, 8, 3, database_url=used))


def test_the_cases_are_shared_out_by_the_targets_of_the_units() -> None:
    programme = load(HENAN)
    units = shared_out(programme, 630)
    assert {code: units.count(code) for code in programme.unit_by_code} == {
        code: programme.target_by_area[code].sites for code in programme.unit_by_code
    }
    assert len(shared_out(programme, 7)) == 7
    everyone = enterprises(programme, Calendar(packaged_years()), programme.dates[0].due_on, 50, 7)
    assert all(is_credit_code(each.code) for each in everyone)
    assert len({each.code for each in everyone}) == 50


def test_the_command_prints_the_report_and_refuses_a_programme_with_problems(tmp_path: Path) -> None:
    file = tmp_path / "second.toml"
    file.write_text(SECOND, encoding="utf-8")
    told = CliRunner().invoke(main, ["rehearse", "--cases", "6", "--programme", str(file)])
    assert told.exit_code == 0, told.output
    assert all(word in told.stdout for word in ("Jinan", "Qingdao", "recognised", "mails:", "0 broken", "heads"))
    file.write_text("id = 1", encoding="utf-8")
    refused = CliRunner().invoke(main, ["rehearse", "--programme", str(file)])
    assert (refused.exit_code, "units" in refused.output) == (1, True)
