"""Days that move because the calendar or the plan has changed: the change itself, and one correction to each concerned.

What was breached stays breached, with the change noted in the history of its thing; what was told is not told again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from notifications import outbox
from notifications.outbox import NewMessage
from service.access import Act
from service.casework import audit, breaches, obligations, requests
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.letters import Letters
from service.casework.links import Links
from service.casework.obligations import ROWS, Whose
from service.storage.tables import CaseRow, FilingRow, Objection, table
from workflows.obligations import Owed
from workflows.programme import Programme
from workflows.text import Text

_OBJECTIONS, _FILINGS, _CASES = table(Objection), table(FilingRow), table(CaseRow)
# Where what is owed stands, in the order in which it is locked, and the status in which a day of it can move.
_THINGS: Sequence[tuple[str, Any, Any]] = (
    ("case", _CASES, None),
    ("objection", _OBJECTIONS, _OBJECTIONS.c.state == "open"),
    ("request", requests.ROWS, requests.ROWS.c.state == requests.OPEN),
    ("filing", _FILINGS, _FILINGS.c.first_submitted_at.is_(None)),
)


@dataclass(frozen=True, slots=True)
class Moved:
    """An open obligation whose day moves, or that becomes firm or provisional: its row as it was, and what it is then."""

    row: Mapping[str, Any]
    owed: Owed
    programme: Programme

    @property
    def day_moves(self) -> bool:
        """Whether anybody has to be told: a day that only becomes firm is no news."""
        return bool(self.row["due_on"] != self.owed.due_on)


@dataclass(frozen=True, slots=True)
class Correction:
    """Somebody who has to be told, and of what."""

    to: Addressee
    moved: tuple[Moved, ...]


def compared(row: Mapping[str, Any], owed: Owed | None, programme: Programme) -> Moved | None:
    """What moves of an obligation that is `owed` by another calendar or plan; None where nothing does."""
    if owed is None or (owed.due_on, owed.provisional) == (row["due_on"], row["provisional"]):
        return None
    return _moved(row, owed, programme)


def _moved(row: Mapping[str, Any], owed: Owed, programme: Programme) -> Moved:
    """It moves, and stays owed since it began and with whom it lies."""
    return Moved(row, replace(owed, since=row["since"], handler=row["handler"]), programme)


# --- the change -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What moves, locked as it stands now, and the things it is about by their kind and id."""

    moved: tuple[Moved, ...]
    things: Mapping[str, Mapping[str, dict[str, Any]]]


def hold(desk: Desk, moved: Iterable[Moved], now: datetime, cases: Iterable[str] = ()) -> Held:
    """Lock things and then obligations, leave out what was done meanwhile, and put on record what is breached by now.

    `cases` are locked with the others, as they change too: whoever takes them one after another may wait for one another.
    """
    found = tuple(moved)
    things = {}
    for kind, rows, movable in _THINGS:
        subjects = {each.row["subject"] for each in found if each.row["subject_type"] == kind}
        subjects |= set(cases) if kind == "case" else set()
        statement = select(rows).where(rows.c.id.in_(subjects)).order_by(rows.c.id).with_for_update()
        if movable is not None:
            statement = statement.where(movable)
        things[kind] = {row["id"]: dict(row) for row in desk.tx.execute(statement).mappings()} if subjects else {}
    rows = obligations.standing(desk.tx, [each.row["id"] for each in found])
    still = [each for each in found if each.row["subject"] in things.get(each.row["subject_type"], ())]
    still = [each for each in still if rows[each.row["id"]]["status"] == each.row["status"]]
    owing = [rows[each.row["id"]] for each in still]
    breaches.record(desk, owing, now)
    breaches.write(desk.tx, owing)
    breached = {row["subject"] for row in owing if row["kind"] == "answer" and row["breached_at"] is not None}
    if breached:
        statement = select(requests.ROWS).where(requests.ROWS.c.id.in_(breached))
        things["request"] |= {row["id"]: dict(row) for row in desk.tx.execute(statement).mappings()}
    return Held(tuple(_moved(rows[each.row["id"]], each.owed, each.programme) for each in still), things)


def days_by_case(moved: Iterable[Moved]) -> dict[str, dict[str, list[str]]]:
    """What the history of each case says of it: by case and obligation, the day that was and the day that is."""
    days: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for each in moved:
        if each.row["subject_type"] == "case":
            days[each.row["subject"]][each.row["id"]] = [str(each.row["due_on"]), str(each.owed.due_on)]
    return days


def move(desk: Desk, act: Act, held: Held, reason: str | None) -> None:
    """Give requests, objections and filings their new day, and every obligation; a case's own entry is its caller's."""
    for each in held.moved:
        row = held.things[each.row["subject_type"]][each.row["subject"]]
        if each.row["subject_type"] == "case":
            continue
        if each.row["subject_type"] == "request":
            requests.reschedule(desk, act, row, each.owed, reason)
        else:
            _reschedule(desk, act, each, row, reason)
    obligations.put(desk.tx, [row_of(desk, each, act.at) for each in held.moved])


def row_of(desk: Desk, moved: Moved, at: datetime) -> dict[str, Any]:
    """The row of an obligation that has moved; it has its turn at once, where it has begun to be told."""
    whose = Whose(moved.row["area"], moved.row["case_id"], moved.row["enterprise"])
    return obligations.opened(moved.programme, desk.calendar, moved.owed, whose, at)


def _reschedule(desk: Desk, act: Act, moved: Moved, row: Mapping[str, Any], reason: str | None) -> None:
    """Give an objection or a filing its new day."""
    rows = {"objection": _OBJECTIONS, "filing": _FILINGS}[moved.row["subject_type"]]
    due_on = moved.owed.due_on
    entry = audit.Entry(
        act, moved.row["subject_type"], row["id"], row["version"] + 1, "amend", row["head"], row["unit"], reason,
        data={"due_on": [str(row["due_on"]), str(due_on)]}, changes={"due_on": str(due_on)},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    change = {
        "due_on": due_on, "due_at": moved.owed.due_at, "provisional": moved.owed.provisional, "version": entry.version,
        "head": head,
    }  # fmt: skip
    columns = {name: value for name, value in change.items() if name in rows.c}  # an objection has no instant
    desk.tx.execute(rows.update().where(rows.c.id == row["id"]).values(**columns))


# --- who is told ------------------------------------------------------------------------------------------------------


def corrections(desk: Desk, moved: Iterable[Moved]) -> tuple[Correction, ...]:
    """One for each person whom a ladder names, but of what that person does not want to hear and may switch off."""
    told = [each for each in moved if each.day_moves]
    directory = Directory(desk, [each.row for each in told])
    people: dict[str, Addressee] = {}
    concerning: dict[str, list[Moved]] = defaultdict(list)
    for each in told:
        named: dict[str, Addressee] = {}
        for rung in each.programme.ladder_by_id[each.row["kind"]].rungs:
            for person in directory.people(each.programme, each.row, rung.to):
                if rung.required or each.row["kind"] not in person.muted:
                    named[person.id] = person
        people |= named
        for id_ in named:
            concerning[id_].append(each)
    return tuple(Correction(people[id_], tuple(each)) for id_, each in sorted(concerning.items()))


def tell(desk: Desk, act: Act, links: Links, found: Iterable[Correction], why: Text, paper: str, cause: str) -> None:
    """Write the corrections, to leave in office hours. `cause` names the change, like no other.

    Each claims a rung of its own: moved-2 tells of the second day that an obligation was given.
    """
    found = tuple(found)
    rows = {
        each.row["id"]: {
            **each.row, "programme_version": each.programme.version, "due_on": each.owed.due_on,
            "due_at": each.owed.due_at, "provisional": each.owed.provisional, "sequence": each.row["sequence"] + 1,
            "was_on": each.row["due_on"],
        }
        for correction in found
        for each in correction.moved
    }  # fmt: skip
    letters = Letters(desk, links, act.at, list(rows.values()), Directory(desk, list(rows.values())).names)
    messages, rungs = [], []
    for each in found:
        template, context = letters.to(each.to.unit).correction(
            [rows[moved.row["id"]] for moved in each.moved], why, paper
        )
        hours = each.moved[0].programme.office_hours
        messages.append(
            NewMessage(
                id=desk.chance.id(act.at), key=f"correction:{cause}:{each.to.id}", template=template,
                recipient=each.to.email, recipient_name=each.to.name, created_at=act.at, context=context,
                language=each.to.language, unit=each.to.unit, send_at=hours.open_from(desk.calendar, act.at),
            )
        )  # fmt: skip
        rungs += [
            {
                "obligation": moved.row["id"], "rung": f"moved-{moved.row['sequence'] + 1}", "recipient": each.to.id,
                "message": messages[-1].id, "at": act.at,
            }
            for moved in each.moved
        ]  # fmt: skip
    outbox.enqueue(desk.tx, messages, domain=links.domain)
    obligations.claim(desk.tx, rungs)


def wake_anew(desk: Desk, now: datetime) -> None:
    """By another calendar the next turn of anything open may come earlier; one that comes too early does no harm."""
    turns = []
    for row in map(dict, desk.tx.execute(open_rows()).mappings()):
        programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
        next_at = obligations.next_turn(programme, desk.calendar, row, now)
        if next_at is not None and (row["next_at"] is None or next_at < row["next_at"]):
            turns.append({"obligation": row["id"], "at": next_at})
    obligations.wake(desk.tx, turns)


def open_rows() -> Any:
    """The statement for every open obligation, in the order of ids."""
    return select(ROWS).where(ROWS.c.status == "open").order_by(ROWS.c.id)


# --- for a person at a keyboard ---------------------------------------------------------------------------------------


def lines(moved: Iterable[Moved], found: Iterable[Correction], now: datetime) -> Iterator[str]:
    """What moves and who is told of it, a line each."""
    for each in moved:
        row, owed = each.row, each.owed
        day = f"{row['due_on']} -> {owed.due_on}" if each.day_moves else f"{row['due_on']} stays"
        turned = "" if owed.provisional == row["provisional"] else " (provisional)" if owed.provisional else " (firm)"
        is_over = row["breached_at"] is not None or obligations.status_of(row, each.programme, now) == "overdue"
        stays = ", breached: stays so" if is_over else ""
        yield f"{day}{turned}{stays}  {row['unit']}  {row['id']}"
    for correction in found:
        yield f"mail: correction to {correction.to.email} ({correction.to.unit}), {len(correction.moved)} date(s)"
