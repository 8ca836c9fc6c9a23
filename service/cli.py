"""The command `jinji`."""

import getpass
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from pydantic_core import from_json

from service import logs, scheduler, serving
from service.access import SYSTEM, Act, Caller
from service.app import VERSION
from service.casework import audit, calendars, publishing, rescheduling, revisions, tokens, verification
from service.casework.desk import Desk
from service.errors import ServiceError
from service.rehearsal import run as rehearsals
from service.running import Running, open_running
from service.sample import seed
from service.settings import SettingRefused, Settings
from service.setup import NotMigrated, migrate, require_migrated
from workflows import derive as derivation
from workflows.errors import CalendarRefused, ProgrammeRefused
from workflows.programme import Programme, Role, packaged_sources
from workflows.programme_checks import load
from workflows.working_days import Calendar, packaged_years, read_year


class Refusal(click.ClickException):
    """What the command cannot do, in one line."""


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except SettingRefused as error:
        raise Refusal(str(error)) from error


def _said(error: Exception) -> str:
    """What an error says, and what the database's driver said before it."""
    cause = getattr(error.__cause__, "orig", None)
    return f"{error} ({str(cause).strip()})" if cause else str(error)


def _open(settings: Settings) -> Running:
    try:
        require_migrated(settings)
        process = open_running(settings)
    except (ServiceError, NotMigrated, SettingRefused) as error:
        raise Refusal(_said(error)) from error
    click.get_current_context().call_on_close(process.db.close)
    return process


@contextmanager
def _desk(process: Running, *, changes: bool = True) -> Iterator[tuple[Desk, Act]]:
    """A desk and an act of the person at the keyboard, in one transaction, which may only look unless it `changes`."""
    who = getpass.getuser()
    with process.db.transaction() if changes else process.db.reading() as tx:
        act = Act(Caller("command", f"command:{who}", Role.ADMIN), process.clock.now(tx))
        yield Desk(tx, process.books), act


@click.group(epilog="Settings come from the environment, JINJI_DATABASE_URL, JINJI_CLOCK and more: see README.md.")
@click.version_option(VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """jinji 晋级: runs a grading programme such as 创A晋B as a workflow."""


def run() -> None:
    """The command as a process of its own: what it writes (database, mails, tokens) is for whoever runs it alone."""
    os.umask(0o077)
    main()


@main.command("migrate", short_help="Bring the database up to date.")
def migrate_command() -> None:
    """Bring the database up to date and load the packaged programmes and calendars.

    Run it once before the first start and after each upgrade; run again, it changes nothing.
    """
    settings = _settings()
    try:
        migrate(settings)
    except (ServiceError, SettingRefused) as error:
        raise Refusal(_said(error)) from error
    click.echo("migrated", err=True)


@main.command()
@click.option(
    "--sample",
    is_flag=True,
    help="Migrate first; fill an empty database with a sample, tokens in the file `tokens` beside it.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes, on PostgreSQL; by default 1.")
def serve(*, sample: bool, workers: int) -> None:
    """Serve the API until Ctrl-C or SIGTERM."""
    settings = _settings()
    logs.begin("warning" if sample else settings.log_level)
    if sample:
        try:
            migrate(settings)
        except (ServiceError, SettingRefused) as error:
            raise Refusal(_said(error)) from error
    process = _open(settings)
    if workers > 1 and process.db.is_sqlite:
        raise Refusal("an embedded SQLite database has one process: use --workers 1, or PostgreSQL")
    try:
        with serving.alone(process.db):
            listening = serving.listen(settings)
            if sample:
                click.echo(seed(process, settings))
                sys.stdout.flush()
            if workers == 1:
                serving.serve(process, listening)
                return
            listening.close()
            process.db.close()
            asked = serving.serve_many(settings, workers)
    except (serving.CannotListen, serving.ServedElsewhere) as error:
        raise Refusal(str(error)) from error
    sys.exit(0 if asked else 1)


@main.command(short_help="Do all that is due now.")
@click.option("--once", is_flag=True, required=True, help="One tick, then end.")
def tick(*, once: bool) -> None:
    """Do all that is due now: recognise, let lapse, tidy up. A running service ticks by itself."""
    logs.begin("info")
    click.echo(f"{scheduler.tick(_open(_settings()))} done")


@main.command(short_help="Play a whole programme on a virtual clock.")
@click.option("--cases", type=click.IntRange(1, 100_000), default=630, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed, the same season.")
@click.option("--faults", is_flag=True, help="Kill the service, take the mail server away, change the days off.")
@click.option(
    "--programme",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A programme file; by default the newest packaged one.",
)
@click.option("--database", help="An empty database to keep what happened in; by default a passing one.")
def rehearse(*, cases: int, seed: int, faults: bool, file: Path | None, database: str | None) -> None:
    """Play a whole programme from beginning to end, with units, enterprises, experts and the province played by a script.

    It touches no other database than its own. Ends with 1 where something does not hold that must.
    """
    logs.begin("error")
    source = file.read_text(encoding="utf-8") if file else list(packaged_sources().values())[-1]
    wanted = rehearsals.Wanted(source, cases, seed, faults, database)
    try:
        rehearsed = rehearsals.rehearse(wanted)
    except ProgrammeRefused as error:
        raise Refusal("\n".join(f"{file}: {problem}" for problem in error.problems)) from error
    except (ServiceError, SettingRefused, rehearsals.DatabaseInUse) as error:
        raise Refusal(_said(error)) from error
    for line in rehearsals.told(rehearsed):
        click.echo(line)
    sys.exit(0 if rehearsed.held else 1)


@main.group("token")
def token_group() -> None:
    """Make, list and revoke bearer tokens."""


@token_group.command("create")
@click.option("--role", type=click.Choice([role.value for role in Role if role != Role.SYSTEM]), required=True)
@click.option("--unit", help="The code of the unit, for the role unit: 410100 is Zhengzhou.")
@click.option("--case", "cases", multiple=True, help="The id of a case, for experts and enterprises; any number.")
@click.option("--enterprise", "enterprises", multiple=True, help="The id of a site, for enterprises; any number.")
@click.option("--expires", type=click.IntRange(1, 3650), help="Days until it expires; without this, never.")
@click.option("--name", required=True, help="The person or system that holds it: stands in the audit.")
def create_token(
    role: str, unit: str | None, cases: tuple[str, ...], enterprises: tuple[str, ...], expires: int | None, name: str
) -> None:
    """Make a token and print it; it is shown this once."""
    with _desk(_open(_settings())) as (desk, act):
        try:
            secret = tokens.create(
                desk, act, name=name.strip(), role=Role(role), unit=unit, cases=cases, enterprises=enterprises,
                expires_at=act.at + timedelta(days=expires) if expires else None,
            )  # fmt: skip
        except ValueError as error:
            raise Refusal(str(error)) from error
    click.echo(secret)


@token_group.command("list")
def list_tokens() -> None:
    """List every token, without its secret."""
    with _desk(_open(_settings())) as (desk, _):
        for row in tokens.everyone(desk):
            state = "revoked" if row.revoked_at else f"expires {row.expires_at:%Y-%m-%d}" if row.expires_at else "valid"
            click.echo(f"{row.id}  {row.role:10}  {row.unit or '-':6}  {state:18}  {row.name}")


@token_group.command("revoke", short_help="End a token now.")
@click.argument("token_id")
@click.option("--reason", help="Why, for the audit.")
def revoke_token(token_id: str, reason: str | None) -> None:
    """End a token now; a running process trusts it for at most 5 seconds more."""
    with _desk(_open(_settings())) as (desk, act):
        try:
            tokens.revoke(desk, act, token_id, reason)
        except ServiceError as error:
            raise Refusal(str(error)) from error


@main.group("programme")
def programme_group() -> None:
    """Check programme files, draft one for another year, and publish a new version."""


@programme_group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check_programme(file: Path) -> None:
    """List every problem of a programme file."""
    programme, _ = _programme_in(file)
    draft = "; a draft, which cannot be published" if programme.draft else ""
    click.echo(f"{programme.id} version {programme.version}: {len(programme.events)} events, no problems{draft}")


def _programme_in(file: Path) -> tuple[Programme, str]:
    """The programme in a file, and its text; where it has problems, all are listed and the command ends."""
    try:
        source = file.read_text(encoding="utf-8")
        return load(source), source
    except (ProgrammeRefused, UnicodeDecodeError) as error:
        problems = error.problems if isinstance(error, ProgrammeRefused) else ("not UTF-8",)
    _echo_all(f"{file}: {problem}" for problem in problems)
    click.echo(f"{len(problems)} problem(s)", err=True)
    sys.exit(1)


@programme_group.command("publish", short_help="Publish a programme, or a new version of one.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--move-cases", is_flag=True, help="Let open cases go on by the new version; without this, they keep theirs."
)
@click.option("--apply", "applied", is_flag=True, help="Publish it; without this, only say what would change.")
@click.option("--reason", help="Why, for the audit and for those whose dates move.")
def publish_programme(file: Path, *, move_cases: bool, applied: bool, reason: str | None) -> None:
    """Publish a programme, or a new version of one, and move the filings that it moves.

    Without --apply it only says what would change: filings, open due dates of cases that move, and the mails.
    """
    programme, source = _programme_in(file)
    process = _open(_settings())
    name = f"{programme.id} version {programme.version}"
    try:
        with _desk(process, changes=applied) as (desk, act):
            if publishing.read(desk, source) is None:
                click.echo(f"{name}: stands already just so", err=True)
                return
            found = (
                publishing.publish(desk, act, process.post.links, source, reason, move_cases=move_cases)
                if applied
                else publishing.of_programme(desk, programme, act.at, move_cases=move_cases)
            )
            assert found is not None
            _echo_all(publishing.lines(found, act.at))
    except ProgrammeRefused as error:
        raise Refusal("\n".join(f"{file}: {problem}" for problem in error.problems)) from error
    except publishing.NotNewer as error:
        raise Refusal(str(error)) from error
    click.echo(f"{name}: published" if applied else "preview only: nothing was published; add --apply", err=True)


@programme_group.command("derive", short_help="Draft a programme for another year.")
@click.argument("programme_id")
@click.option("--year", type=click.IntRange(2005, 2100), required=True, help="The year of the draft.")
def derive_programme(programme_id: str, year: int) -> None:
    """Write a draft for another year to standard output; dates to look at go to standard error."""
    source = packaged_sources().get(programme_id)
    if source is None:
        raise Refusal(f"no packaged programme {programme_id}; there are: {', '.join(packaged_sources())}")
    derived = derivation.derive(source, year, Calendar(packaged_years()))
    click.echo(derived.source, nl=False)
    for remark in derived.remarks:
        click.echo(f"{remark.on}  {remark.text.zh} / {remark.text.en}: {', '.join(remark.keys)}", err=True)


@main.group("calendar")
def calendar_group() -> None:
    """Load the notices of days off into the working calendar."""


@calendar_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "applied", is_flag=True, help="Load it; without this, only say what would change.")
@click.option("--reason", help="Why, for the audit.")
def import_calendar(file: Path, *, applied: bool, reason: str | None) -> None:
    """Load a year in holiday-cn's JSON form, and move the open due dates that it moves.

    Without --apply it only says what would change: the days, each open due date, and the mails.
    """
    try:
        year = read_year(from_json(file.read_bytes()))
    except (CalendarRefused, ValueError) as error:
        problems = error.problems if isinstance(error, CalendarRefused) else (f"not JSON: {error}",)
        raise Refusal("\n".join(f"{file}: {problem}" for problem in problems)) from error
    for on in year.missing:
        click.echo(f"warning: {on} is a statutory holiday and would be worked: is {file} whole?", err=True)
    process = _open(_settings())
    with _desk(process, changes=applied) as (desk, act):
        days = calendars.differences(desk.calendar, year)
        found = (
            revisions.load_year(desk, act, process.post.links, year, reason)
            if applied
            else revisions.of_calendar(desk, year, act.at)
        )
        _echo_all(days)
        if found is not None:
            _echo_all(rescheduling.lines(found.moved, found.corrections, act.at))
    if applied:
        click.echo(f"{year.year}: {'loaded' if found is not None else 'stands already just so'}", err=True)
    else:
        click.echo("preview only: nothing was loaded; add --apply", err=True)


def _echo_all(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


@main.group("audit")
def audit_group() -> None:
    """Verify and export the audit."""


@audit_group.command("verify", short_help="Check every chain of the audit.")
def verify_audit() -> None:
    """Check every chain: each hash, each link, no gap, and the head at its end."""
    process = _open(_settings())
    with process.db.reading() as tx:
        entries, broken = verification.verify(tx, SYSTEM)
    for each in broken:
        click.echo(f"{each.subject_type} {each.subject_id} version {each.version}: {each.what}")
    click.echo(f"{entries} entries, {len(broken)} broken")
    sys.exit(1 if broken else 0)


@audit_group.command("export")
def export_audit() -> None:
    """Write every entry as NDJSON, newest first."""
    process = _open(_settings())
    for row in audit.stream(process.db.reading, SYSTEM, audit.Query()):
        click.echo(json.dumps(audit.exported(row), ensure_ascii=False))


if __name__ == "__main__":
    main()
