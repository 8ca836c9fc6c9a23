"""Breaches: that a term ended unmet is a fact of its own, put on record once, and nothing takes it back."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam

from service.access import SYSTEM, Act
from service.casework import audit, obligations, requests
from service.casework.desk import Desk
from service.casework.obligations import RENEWED, ROWS
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.storage.sets import sent_rows, write_set
from workflows.obligations import Outcome

# A request that somebody is answering just now has its turn again after this long.
_MEANWHILE = timedelta(minutes=1)


def settle(desk: Desk, owes: Iterable[dict[str, Any]], now: datetime) -> None:
    """Before rows are written by which something is owed no more, or by another day: put on record what was broken and
    nobody has noticed.

    To be called with what they follow from locked. Answers see to themselves.
    """
    settle_each(desk, [(row, now) for row in owes])


def settle_each(desk: Desk, owes: Iterable[tuple[dict[str, Any], datetime]]) -> None:
    """The same of rows that come each of an instant of its own: none is judged at a later one."""
    judged = {row["id"]: at for row, at in owes if row["kind"] != "answer" and _may_be_late(row)}
    broken: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for id_, row in obligations.standing(desk.tx, judged).items() if judged else ():
        if _is_broken(desk, row, judged[id_]):
            broken[judged[id_]].append(row)
    for at, rows in sorted(broken.items()):
        write(desk.tx, record(desk, rows, at))


def _may_be_late(row: dict[str, Any]) -> bool:
    """Whether what a row says ends a term that may have been broken: its own, or the one that a new day replaces."""
    if row["status"] == Outcome.OPEN:
        return row["kind"] in RENEWED
    return bool(row["due_at"] <= row["ended_at"])


def record(desk: Desk, rows: Iterable[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """A term that ended unmet is a fact, recorded with the instant at which it ended, whenever that is noticed.

    The `rows` of obligations, locked, say so then: whoever calls this writes those that it returns.
    """
    broken = [row for row in rows if _is_broken(desk, row, now)]
    asked = {row["subject"]: row for row in broken if row["kind"] == "answer"}
    recorded = requests.record_breach(desk, sorted(asked), now) if asked else ()
    for subject, row in asked.items():
        if subject not in recorded:  # somebody is answering it just now: its turn comes again
            row["next_at"] = now + _MEANWHILE
    others = [row for row in broken if row["kind"] != "answer"]
    entries = [
        audit.Entry(
            Act(SYSTEM, now), "obligation", row["id"], row["version"] + 1, "breach", row["head"], row["area"],
            data={"due_on": str(row["due_on"]), "breached_at": audit.instant_text(row["due_at"])},
            changes={"breached_at": audit.instant_text(row["due_at"])},
        )
        for row in others
    ]  # fmt: skip
    happened: dict[str, list[Happened]] = defaultdict(list)
    for row, head in zip(others, audit.append(desk.tx, entries), strict=True):
        row["version"], row["head"], row["breached_at"] = row["version"] + 1, head, row["due_at"]
        data = {
            "obligation": row["id"], "kind": row["kind"], "unit": row["unit"],
            "subject": {"type": row["subject_type"], "id": row["subject"]}, "due_on": str(row["due_on"]),
        }  # fmt: skip
        happened[row["area"]].append(Happened(row["id"], row["version"], now, data))
    for area, items in happened.items():
        enqueue_events(desk, EventType.OBLIGATION_OVERDUE, area, items)
    for subject in recorded:
        asked[subject]["breached_at"] = asked[subject]["due_at"]
    return broken


def _is_broken(desk: Desk, row: dict[str, Any], now: datetime) -> bool:
    programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
    # What a case's own events have given another day begins anew; a day that a changed calendar moves does not.
    is_told = row["breached_at"] is not None and (row["kind"] not in RENEWED or row["breached_at"] == row["due_at"])
    return not is_told and obligations.status_of(row, programme, now) == "overdue"


_TURN = ("rung", "next_at", "breached_at", "trouble", "version", "head")
_TAKE_TURN = (
    ROWS.update()
    .where(ROWS.c.id == bindparam("obligation"))
    .values({name: bindparam(name, type_=ROWS.c[name].type) for name in _TURN})
)
_SENT = sent_rows(0, {"obligation": ROWS.c.id, **{name: ROWS.c[name] for name in _TURN}})
_TAKE_TURN_SET = ROWS.update().where(ROWS.c.id == _SENT.obligation).values({name: _SENT[name] for name in _TURN})


def write(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write how far each obligation is and when its next turn comes."""
    turns = [{"obligation": row["id"], **{name: row[name] for name in _TURN}} for row in rows]
    if turns:
        write_set(tx, [(_TAKE_TURN, turns)], _TAKE_TURN_SET)
