"""What the scheduler does when it ticks: recognise and lapse what is due, forget stored answers that have expired.

Rows are the truth: a tick that comes late, twice or on two nodes finds what is still due and changes nothing else. What
comes late is recorded as of now, and the case stands in its new state since the instant at which it was due.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, func, select

from service.access import SYSTEM, Act
from service.casework import answers, moves, results
from service.casework.desk import Desk
from service.casework.moves import Applied, Command
from service.casework.standing import WITH_SITE, Standing, standing
from service.errors import EventRefused
from service.storage.attempts import fault_of
from service.storage.tables import CaseRow, table
from workflows.text import Text

_CASES = table(CaseRow)
_AT_ONCE = 500
# A case whose turn came and was refused (its site lost a date, say) is looked at again after this long.
_REFUSED_AGAIN_AFTER = timedelta(hours=6)
_log = structlog.get_logger(__name__)


def run(desk: Desk, now: datetime) -> int:
    """Do up to 500 of what is due at the aware instant `now`; how many things were done.

    Of several events that are due for a case, the first that is not refused. Call again as long as the answer is not 0.
    """
    statement = WITH_SITE.where(moves.due(now)).order_by(_CASES.c.due_at, _CASES.c.id).limit(_AT_ONCE)
    turns, done = [], 0
    for row in desk.tx.execute(statement).mappings().all():
        try:
            stands = standing(row)
        except ValueError as fault:  # one bad row stops no other
            _stall(desk.tx, row["id"], f"its facts cannot be read: {fault}", now)
            continue
        turns.append(_Turn(stands, _due_events(desk, stands, now)))
    while turns := [turn for turn in turns if turn.events]:
        commands = [
            Command(
                Act(SYSTEM, now),
                turn.stands.case.id,
                turn.events[0][0],
                {},
                frozenset({turn.stands.version}),
                since=max(turn.events[0][1], turn.stands.row["due_at"]),
            )
            for turn in turns
        ]
        outcomes = moves.apply_events(desk, commands)
        done += sum(isinstance(outcome, Applied) for outcome in outcomes)
        turns = [
            _Turn(turn.stands, turn.events[1:], (*turn.refused, outcome))
            for turn, outcome in zip(turns, outcomes, strict=True)
            if isinstance(outcome, EventRefused)
        ]
        for turn in turns:
            if not turn.events:
                reasons = [reason.detail for error in turn.refused for reason in error.reasons]
                why = Text("；".join(each.zh for each in reasons), "; ".join(each.en for each in reasons))
                _stall(desk.tx, turn.stands.case.id, why.en, now)
                if turn.stands.case.notice is not None and turn.stands.row["stalled"] is None:
                    fault_of(desk.tx, results.tell_stalled, desk, turn.stands, why, now)
    return done + answers.expire(desk.tx, now)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A case whose turn has come: the events that are still to be tried, and the refusals of those before."""

    stands: Standing
    events: tuple[tuple[str, datetime], ...]
    refused: tuple[EventRefused, ...] = ()


def _due_events(desk: Desk, stands: Standing, now: datetime) -> tuple[tuple[str, datetime], ...]:
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    return tuple(lifecycle.due_events(stands.case, now).items())


def _stall(tx: Connection, case: str, why: str, now: datetime) -> None:
    """Note on the row why it had no turn, and look again later; the history stays as it is."""
    _log.warning("turn refused", case=case, why=why)
    tx.execute(_CASES.update().where(_CASES.c.id == case).values(stalled=why, due_at=now + _REFUSED_AGAIN_AFTER))


def next_due_at(tx: Connection, after: datetime, until: datetime) -> datetime | None:
    """The first instant beyond `after` and up to `until` at which something falls due."""
    statement = select(func.min(_CASES.c.due_at)).where(_CASES.c.due_at > after, _CASES.c.due_at <= until)
    found: datetime | None = tx.execute(statement).scalar()
    return found
