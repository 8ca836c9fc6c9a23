"""The command `jinji`, as a person at a keyboard meets it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.service.conftest import CLOCK
from workflows.programme import packaged_sources

VERIFY = Path(__file__).resolve().parents[2] / "examples" / "verify.py"


class Keyboard:
    """Runs the command with settings of its own."""

    def __init__(self, **settings: str) -> None:
        self.environment = {f"JINJI_{name.upper()}": value for name, value in settings.items()}

    def run(self, *words: str, **settings: str) -> Result:
        """One command."""
        told = self.environment | {f"JINJI_{name.upper()}": value for name, value in settings.items()}
        return CliRunner().invoke(main, list(words), env=told)


@pytest.fixture
def keyboard(database_url: str) -> Iterator[Keyboard]:
    """A keyboard at a migrated database on a virtual clock, on either engine."""
    return Keyboard(database_url=database_url, clock=CLOCK)


def test_a_token_is_printed_alone_and_works_until_it_is_revoked(keyboard: Keyboard) -> None:
    made = keyboard.run("token", "create", "--role", "unit", "--unit", "410100", "--name", "李工")
    assert made.exit_code == 0
    assert made.stdout.startswith("jinji_")
    assert made.stdout.count("\n") == 1
    (line,) = keyboard.run("token", "list").stdout.splitlines()
    assert "李工" in line
    assert made.stdout.strip() not in line
    assert keyboard.run("token", "revoke", line.split()[0], "--reason", "离职").exit_code == 0
    assert "revoked" in keyboard.run("token", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--role", "unit"),
        ("--role", "unit", "--unit", "999999"),
        ("--role", "province", "--unit", "410100"),
        ("--role", "auditor", "--case", "c1"),
        ("--role", "expert", "--enterprise", "e1"),
        ("--role", "system"),
        ("--role", "unit", "--unit", "410100", "--expires", "0"),
    ],
)
def test_a_token_whose_role_and_scope_do_not_fit_is_refused(keyboard: Keyboard, words: tuple[str, ...]) -> None:
    refused = keyboard.run("token", "create", *words, "--name", "x")
    assert refused.exit_code != 0
    assert "jinji_" not in refused.stdout
    assert keyboard.run("token", "list").stdout == ""


def test_migrating_again_changes_nothing(keyboard: Keyboard) -> None:
    before = keyboard.run("audit", "export").stdout
    assert keyboard.run("migrate").exit_code == 0
    assert keyboard.run("audit", "export").stdout == before


@pytest.mark.parametrize("words", [("token", "list"), ("tick", "--once"), ("audit", "verify"), ("migrate",)])
def test_a_database_begun_on_a_virtual_clock_does_not_open_on_the_real_one(keyboard: Keyboard, words: Any) -> None:
    refused = keyboard.run(*words, clock="real")
    assert refused.exit_code == 1
    assert "clock" in refused.output


def test_a_database_begun_on_the_real_clock_does_not_open_on_a_virtual_one(tmp_path: Path) -> None:
    keyboard = Keyboard(database_url=f"sqlite:///{tmp_path}/real.db", clock="real")
    assert keyboard.run("migrate").exit_code == 0
    assert keyboard.run("token", "list").exit_code == 0
    refused = keyboard.run("token", "list", clock=CLOCK)
    assert (refused.exit_code, "clock" in refused.output) == (1, True)


def test_a_database_that_was_never_migrated_says_what_to_do(tmp_path: Path) -> None:
    refused = Keyboard(database_url=f"sqlite:///{tmp_path}/none.db", clock=CLOCK).run("token", "list")
    assert (refused.exit_code, "jinji migrate" in refused.output) == (1, True)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("clock", "virtual:2024-05-20T09:00:00"), ("clock", "yesterday"), ("port", "many"), ("colour", "red")],
)
def test_a_setting_that_cannot_be_used_is_named(keyboard: Keyboard, name: str, value: str) -> None:
    refused = keyboard.run("tick", "--once", **{name: value})
    assert (refused.exit_code, f"JINJI_{name.upper()}" in refused.output) == (1, True)


def test_a_programme_file_without_problems_is_told_so_and_a_broken_one_lists_all(tmp_path: Path) -> None:
    file = tmp_path / "henan.toml"
    source = packaged_sources()["henan-2024"]
    file.write_text(source, encoding="utf-8")
    assert CliRunner().invoke(main, ["programme", "check", str(file)]).exit_code == 0
    file.write_text(
        source.replace('guard = "measures_done"', 'guard = "measures_dome"', 1).replace(
            'to = "accepted"', 'to = "x"', 1
        )
    )
    broken = CliRunner().invoke(main, ["programme", "check", str(file)])
    assert broken.exit_code == 1
    assert "measures_dome" in broken.output
    assert "unknown state 'x'" in broken.output


def test_a_draft_for_another_year_is_written_and_its_days_off_are_told(tmp_path: Path) -> None:
    derived = CliRunner().invoke(main, ["programme", "derive", "henan-2024", "--year", "2027"])
    assert 'id = "henan-2027"' in derived.stdout
    assert "draft = true" in derived.stdout
    assert "2027-12-20" in derived.stderr
    file = tmp_path / "draft.toml"
    file.write_text(derived.stdout, encoding="utf-8")
    assert CliRunner().invoke(main, ["programme", "check", str(file)]).exit_code == 0


YEAR_2027 = {
    "year": 2027,
    "papers": ["https://example.org/2027"],
    "days": [
        {"name": "元旦", "date": "2027-01-01", "isOffDay": True},
        {"name": "元旦", "date": "2027-01-03", "isOffDay": False},
    ],
}


def test_a_calendar_year_is_previewed_then_loaded_for_every_process(keyboard: Keyboard, tmp_path: Path) -> None:
    file = tmp_path / "2027.json"
    file.write_text(json.dumps(YEAR_2027), encoding="utf-8")
    preview = keyboard.run("calendar", "import", str(file))
    # The last week of 2026 becomes firm and that of 2027 does not yet: 7 + 365 - 7, and two days are named.
    assert preview.stdout.splitlines()[:3] == [
        "2027-01-01 unknown -> off (firm) 元旦",
        "2027-01-03 unknown -> make_up (firm) 元旦",
        "363 more days are firm now, working on weekdays and off on weekends",
    ]
    assert "preview only" in preview.stderr
    assert keyboard.run("calendar", "import", str(file)).stdout == preview.stdout
    assert "loaded" in keyboard.run("calendar", "import", str(file), "--apply", "--reason", "通知已发").stderr
    again = keyboard.run("calendar", "import", str(file), "--apply")
    assert (again.stdout, "stands already" in again.stderr) == ("", True)
    assert keyboard.run("audit", "verify").exit_code == 0


def test_a_calendar_year_that_lets_statutory_holidays_be_worked_is_asked_about(
    keyboard: Keyboard, tmp_path: Path
) -> None:
    file = tmp_path / "2027.json"
    new_year = {"name": "元旦", "date": "2027-01-01", "isOffDay": True}
    file.write_text(json.dumps({**YEAR_2027, "days": [new_year]}), encoding="utf-8")
    told = keyboard.run("calendar", "import", str(file)).stderr
    # 1 May 2027 is a Saturday, and the 2nd and 3rd of October a weekend.
    assert [line.split()[1] for line in told.splitlines() if line.startswith("warning:")] == ["2027-10-01"]


@pytest.mark.parametrize("change", [{"days": []}, {"papers": []}, {"year": "x"}])
def test_a_calendar_year_without_days_or_papers_is_refused(keyboard: Keyboard, tmp_path: Path, change: Any) -> None:
    file = tmp_path / "2027.json"
    file.write_text(json.dumps({**YEAR_2027, **change}), encoding="utf-8")
    refused = keyboard.run("calendar", "import", str(file), "--apply")
    assert refused.exit_code == 1
    assert "2027.json" in refused.output


def test_an_export_of_the_audit_is_checked_without_any_of_our_code(keyboard: Keyboard, tmp_path: Path) -> None:
    keyboard.run("token", "create", "--role", "unit", "--unit", "410100", "--name", "李工")
    (line,) = keyboard.run("token", "list").stdout.splitlines()
    assert keyboard.run("token", "revoke", line.split()[0]).exit_code == 0  # a chain of two
    export = tmp_path / "audit.ndjson"
    for said, code in ((keyboard.run("audit", "export").stdout, 0), (export, 1)):
        text = said if isinstance(said, str) else said.read_text(encoding="utf-8").replace("李工", "王工")
        export.write_text(text, encoding="utf-8")
        assert subprocess.run([sys.executable, str(VERIFY), str(export)], check=False).returncode == code
