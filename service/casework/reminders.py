"""Reminding: which rungs have been reached, whom they concern, and the mails that tell of them, in one transaction.

A rung is claimed for a recipient by a unique row that points to its message, and is told once, whatever crashes. What was
missed is not told late: of the rungs that somebody should have been told of, only the newest is, as things stand now.
The day's rungs of one person go in one mail; a breach goes at once and at any hour, what is handed to somebody at once in
office hours.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from notifications.outbox import MESSAGES, Status
from service.casework import breaches, digests, obligations
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.digests import Telling, is_breach
from service.casework.links import Links
from service.casework.obligations import ROWS, RUNGS
from service.storage import locks
from service.storage.attempts import AGAIN_AFTER, fault_of
from workflows.ladders import Reached, climb
from workflows.programme import Programme
from workflows.working_days import legal_day

# Rows of one transaction. A mail that they share with the next thousand is rewritten then.
_AT_ONCE = 2000


def sweep(desk: Desk, links: Links, now: datetime) -> int:
    """Tell everybody what has been reached by the aware instant `now`, and record what was breached; how many
    obligations had their turn. Call again for as long as the answer is not 0. One process at a time does this.
    """
    if not locks.taken(desk.tx, "reminders"):
        return 0
    statement = (
        select(ROWS).where(ROWS.c.next_at <= now).order_by(ROWS.c.next_at, ROWS.c.id).limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    rows = [dict(row) for row in desk.tx.execute(statement).mappings()]
    if rows and fault_of(desk.tx, _turn, desk, links, now, rows) is not None:
        for row in rows:
            fault = fault_of(desk.tx, _turn, desk, links, now, [row], careful=True)
            if fault is not None:
                marked = row | {"trouble": obligations.trouble(fault), "next_at": now + AGAIN_AFTER}
                breaches.write(desk.tx, [marked])
    return len(rows)


def _turn(desk: Desk, links: Links, now: datetime, rows: Sequence[dict[str, Any]], *, careful: bool = False) -> None:
    """Give all of `rows` their turn."""
    _Round(desk, links, now, [dict(row) for row in rows], careful=careful).go()


def next_turn_at(tx: Connection, after: datetime) -> datetime | None:
    """The first instant beyond `after` at which an obligation has its turn; None: never."""
    found: datetime | None = tx.execute(select(func.min(ROWS.c.next_at)).where(ROWS.c.next_at > after)).scalar()
    return found


class _Round:
    """One transaction's obligations: what they need is looked up once, what they make is written once."""

    def __init__(self, desk: Desk, links: Links, now: datetime, rows: list[dict[str, Any]], *, careful: bool) -> None:
        self.desk, self.links, self.now, self.rows, self.careful = desk, links, now, rows, careful
        self.directory = Directory(desk, rows)
        _forget_taken_back(desk.tx, [row["id"] for row in rows])
        self.claimed = _claimed(desk.tx, [row["id"] for row in rows])
        self.tellings: list[Telling] = []

    def go(self) -> None:
        """Judge every row, record what is broken, tell, and write when the next turn comes."""
        for row in self.rows:
            self.tellings += self._judge(row)
        breaches.record(self.desk, self.rows, self.now)
        names = self.directory.names
        for each in digests.tell(self.desk, self.links, self.now, self.tellings, names, careful=self.careful):
            self._put_off(each)
        breaches.write(self.desk.tx, self.rows)

    # --- what has been reached -----------------------------------------------------------------------------------

    def _judge(self, row: dict[str, Any]) -> list[Telling]:
        """What is to be told of one obligation; its row says then how far it is and when its next turn comes."""
        programme = self.desk.lifecycle(row["programme"], row["programme_version"]).programme
        ladder, calendar, hours = programme.ladder_by_id[row["kind"]], self.desk.calendar, programme.office_hours
        term = obligations.term_of(row)
        reached = climb(ladder, term, calendar, hours, until=self.now)
        row["trouble"] = None
        row["next_at"] = obligations.next_turn(programme, calendar, row, self.now)
        if reached:
            row["rung"] = reached[-1].id
        told: Collection[tuple[str, str]] = self.claimed.get(row["id"], ())
        found = [
            Telling(row, rung, to, is_handed_on=_is_handed_on(row, to, told))
            for each, to in _newest(self._addressed(programme, row, reached))
            if (rung := obligations.rung_of(row, each), to.id) not in told
        ]
        # Whoever hears of the breach only now hears of it once.
        shaken = {each.to.id for each in found if is_breach(each.rung)}
        found = [each for each in found if is_breach(each.rung) or each.to.id not in shaken]
        is_open = hours.is_open(calendar, self.now)
        waiting = [each for each in found if not is_open and not is_breach(each.rung)]
        if waiting:
            opens_at = hours.open_from(calendar, self.now)
            row["next_at"] = min(opens_at, row["next_at"] or opens_at)
        return [each for each in found if each not in waiting]

    def _addressed(
        self, programme: Programme, row: dict[str, Any], reached: Sequence[Reached]
    ) -> Iterator[tuple[Reached, Addressee]]:
        for each in reached:
            people = self.directory.people(programme, row, each.rung.to)
            if not people:
                row["trouble"] = f"nobody to tell of {each.id}: enter a contact of {row['unit']} or of the province"
            for person in people:
                if each.rung.required or row["kind"] not in person.muted:
                    yield each, person

    def _put_off(self, telling: Telling) -> None:
        """Let what came when the day's mail had left be told in the next one."""
        row: Any = telling.row
        hours = self.desk.lifecycle(row["programme"], row["programme_version"]).programme.office_hours
        opens_at = hours.opening(self.desk.calendar.add(legal_day(self.now), 1).due_on)
        row["next_at"] = min(opens_at, row["next_at"] or opens_at)


def _newest(addressed: Iterable[tuple[Reached, Addressee]]) -> Iterator[tuple[Reached, Addressee]]:
    """Of all that somebody should have been told, the newest; and the breach, which is told by itself."""
    newest: dict[str, tuple[Reached, Addressee]] = {}
    breach: dict[str, tuple[Reached, Addressee]] = {}
    for reached, person in addressed:
        newest[person.id] = reached, person
        if reached.id == "breach":
            breach[person.id] = reached, person
    yield from breach.values()
    yield from (found for id_, found in newest.items() if found != breach.get(id_))


# --- rows -------------------------------------------------------------------------------------------------------------


def _forget_taken_back(tx: Connection, ids: Sequence[str]) -> None:
    """Give up the rungs of mails that were taken back: they have told nothing, unless they may have arrived before."""
    of_it = select(MESSAGES.c.id).where(MESSAGES.c.id == RUNGS.c.message, MESSAGES.c.status == str(Status.CANCELLED))
    tx.execute(RUNGS.delete().where(RUNGS.c.obligation.in_(ids), of_it.where(~MESSAGES.c.unsure).exists()))


def _claimed(tx: Connection, ids: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
    """Of each of these obligations the rungs that were told, and to whom."""
    statement = select(RUNGS.c.obligation, RUNGS.c.rung, RUNGS.c.recipient).where(RUNGS.c.obligation.in_(ids))
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in tx.execute(statement):
        found[row.obligation].add((row.rung, row.recipient))
    return found


def _is_handed_on(row: dict[str, Any], to: Addressee, told: Collection[tuple[str, str]]) -> bool:
    """Whether somebody else had it before, and this one is its handler now and was told nothing yet."""
    was_handed = any(rung == "handed" for rung, _ in told)
    return to.id == row["handler"] and was_handed and all(person != to.id for _, person in told)
