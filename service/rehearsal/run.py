"""One rehearsal from its beginning to its report, in a database that nobody else uses."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

from service.casework.desk import Desk
from service.chance import Chance
from service.rehearsal import report
from service.rehearsal.faults import FaultyStage
from service.rehearsal.report import Report
from service.rehearsal.season import Season, begins_on, ends_at
from service.rehearsal.stage import Stage
from service.settings import Settings
from service.storage import migrations
from service.storage.db import Database
from workflows.programme_checks import load
from workflows.working_days import SHANGHAI, Calendar, packaged_years


class DatabaseInUse(Exception):
    """A rehearsal begins in an empty database: it would stand between what is in earnest."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is rehearsed: the text of a programme, how many cases, from which seed, with faults or without; in which
    database, a passing one unless said."""

    source: str
    cases: int = 630
    seed: int = 7
    faults: bool = False
    database_url: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of it; `remarks` tell of the faults. `held`: whether everything is as it must be."""

    report: Report
    remarks: tuple[str, ...]
    held: bool


def rehearse(wanted: Wanted) -> Rehearsed:
    """Play a whole season. Raises ProgrammeRefused, DatabaseInUse."""
    if wanted.database_url is not None:
        _require_empty(wanted.database_url)
        return _rehearse(wanted, wanted.database_url)
    with tempfile.TemporaryDirectory(prefix="jinji-rehearsal-") as folder:
        return _rehearse(wanted, f"sqlite:///{Path(folder) / 'jinji.db'}")


def _rehearse(wanted: Wanted, url: str) -> Rehearsed:
    programme = load(wanted.source)
    begins_at = datetime.combine(begins_on(programme), time(9), SHANGHAI)
    settings = Settings(database_url=url, clock=f"virtual:{begins_at.isoformat()}")
    chance = Chance.seeded(str(wanted.seed))
    stage = (
        FaultyStage(settings, wanted.source, chance, seed=wanted.seed)
        if wanted.faults
        else Stage(settings, wanted.source, chance)
    )
    try:
        season = Season(stage, programme, Calendar(packaged_years()), cases=wanted.cases, seed=wanted.seed)
        season.play()
        if isinstance(stage, FaultyStage):
            stage.at_the_end()
        with stage.process.db.reading() as tx:
            drawn_up = report.draw_up(
                Desk(tx, stage.process.books), programme, season.asking.refused, ends_at(programme)
            )
        remarks, problems = (tuple(stage.told()), stage.problems) if isinstance(stage, FaultyStage) else ((), [])
        return Rehearsed(drawn_up, remarks, not (problems or drawn_up.broken))
    finally:
        stage.close()


def _require_empty(url: str) -> None:
    db = Database(url)
    try:
        if db.file is not None and not db.file.exists():
            return
        with db.reading() as tx:
            is_migrated = migrations.revision(tx) is not None
        if is_migrated:
            raise DatabaseInUse("a rehearsal needs a database of its own: this one holds something already")
    finally:
        db.close()


def told(rehearsed: Rehearsed) -> Iterator[str]:
    """What came of it, in lines."""
    yield from report.lines(rehearsed.report)
    if rehearsed.remarks:
        yield ""
        yield from rehearsed.remarks
