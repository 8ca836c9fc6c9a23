"""What the scheduler does when it ticks: recognise and lapse what is due, forget stored answers that have expired.

Rows are the truth: a tick that comes late, twice or on two nodes finds what is still due and changes nothing else.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, func, select

from service.access import SYSTEM, Act
from service.casework import answers, moves
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.casework.standing import WITH_SITE, Standing, standing
from service.errors import EventRefused, ServiceError
from service.storage.tables import CaseRow, table

_CASES = table(CaseRow)
_AT_ONCE = 500
# A case whose turn came and was refused (its site lost a date, say) is looked at again after this long.
_AGAIN_AFTER = timedelta(hours=6)
_log = structlog.get_logger(__name__)


def run(desk: Desk, now: datetime) -> int:
    """Do up to 500 of what is due at the aware instant `now`; how many things were done.

    Calls again for as long as the answer is not 0.
    """
    statement = WITH_SITE.where(moves.due(now)).order_by(_CASES.c.due_at, _CASES.c.id).limit(_AT_ONCE)
    stands = [standing(row) for row in desk.tx.execute(statement).mappings()]
    commands = [command for each in stands if (command := _command(desk, each, now)) is not None]
    refused = []
    outcomes = moves.apply_events(desk, commands)
    for command, outcome in zip(commands, outcomes, strict=True):
        if isinstance(outcome, EventRefused):
            refused.append((command.case, outcome))
    for case_id, error in refused:
        _stall(desk.tx, case_id, error, now)
    done = sum(isinstance(outcome, Applied) for outcome in outcomes)
    return done + answers.expire(desk.tx, now)


def _command(desk: Desk, stands: Standing, now: datetime) -> Command | None:
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    events = lifecycle.due_events(stands.case, now)
    if not events:
        return None
    return Command(Act(SYSTEM, now), stands.case.id, events[0], {}, frozenset({stands.version}))


def _stall(tx: Connection, case_id: str, error: ServiceError, now: datetime) -> None:
    """Note on the row why its turn was refused, and look again later; the history stays as it is."""
    why = "; ".join(reason.detail.en for reason in error.reasons) or error.detail.en
    _log.warning("turn refused", case=case_id, code=error.code, why=why)
    tx.execute(_CASES.update().where(_CASES.c.id == case_id).values(stalled=why, due_at=now + _AGAIN_AFTER))


def next_due_at(tx: Connection, after: datetime, until: datetime) -> datetime | None:
    """The first instant beyond `after` and up to `until` at which something falls due."""
    statement = select(func.min(_CASES.c.due_at)).where(_CASES.c.due_at > after, _CASES.c.due_at <= until)
    found: datetime | None = tx.execute(statement).scalar()
    return found
