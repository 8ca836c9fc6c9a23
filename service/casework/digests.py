"""From what people have to be told to their mails: the day's rungs of one person in one, others each at once; and the claims.

A mail that waited into another day gives up its place and its rungs to that day's, or says what is true by then when its
turn to leave comes; so a mail server which was away for days is followed by one mail for each, of what is true then.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from notifications import outbox
from notifications.outbox import MESSAGES, NewMessage
from service.casework import audit, obligations
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.letters import Letters
from service.casework.links import Links
from service.casework.obligations import ROWS, RUNGS
from service.storage import locks
from workflows.obligations import Outcome
from workflows.working_days import end_of_day, legal_day

# They go at once and by themselves; everything else waits for the day's mail.
_AT_ONCE = frozenset({"handed", "breach"})

Item = tuple[Mapping[str, Any], str]


@dataclass(frozen=True, slots=True)
class Telling:
    """One rung of one obligation that one person is to be told of."""

    row: Mapping[str, Any]
    rung: str
    to: Addressee
    is_handed_on: bool = False  # to somebody to whom it was given later, and who knows nothing of it yet


def tell(
    desk: Desk, links: Links, now: datetime, tellings: Sequence[Telling], handlers: Mapping[str, str]
) -> list[Telling]:
    """Write the mails for all of `tellings` and claim their rungs; those that came too late for the day's mail are left."""
    mails = _Mails(desk, links, now, tellings, handlers)
    mails.write()
    return mails.left


def freshen(desk: Desk, links: Links, now: datetime) -> None:
    """Before mails leave: take back what tells of nothing that is owed any more, and let what has waited into another day
    say what is true now, in one mail for each person but for those who want each by itself.
    """
    if not locks.taken(desk.tx, "reminders"):
        return  # the sweep is writing the day's mails: what it has read must stay so
    _take_back(desk.tx)
    waits = _waited(desk.tx, now, MESSAGES.c.next_attempt_at <= now)
    held = outbox.hold(desk.tx, [message for messages in waits.values() for message in messages])
    told = _open_items(desk.tx, held)
    rows = [row for items in told.values() for row, _ in items]
    if not rows:
        return
    directory = Directory(desk, rows)
    letters = Letters(desk, links, now, rows, directory.names)
    for person, messages in waits.items():
        messages = [message for message in messages if message in told]
        if messages and directory.wants_digest(person):
            first, *others = messages
            cancelled = outbox.cancel(desk.tx, others) if others else ()
            _move_rungs(desk.tx, cancelled, first)
            items = _once(told, [first, *sorted(cancelled)])
            outbox.rewrite(desk.tx, first, *_worded(letters, items))
        else:
            for message in messages:
                outbox.rewrite(desk.tx, message, *_worded(letters, told[message]))


def _take_back(tx: Connection) -> None:
    """Cancel what waits to leave and tells of nothing any more: all of its obligations are met or closed. A breach stays
    news, also beside other things.
    """
    of_it = select(RUNGS.c.rung).where(RUNGS.c.message == MESSAGES.c.id)
    reminds = and_(of_it.exists(), ~of_it.where(RUNGS.c.rung == "breach").exists())
    is_owed = of_it.join(ROWS, ROWS.c.id == RUNGS.c.obligation).where(ROWS.c.status == str(Outcome.OPEN)).exists()
    waiting = select(MESSAGES.c.id).where(MESSAGES.c.status == "pending", reminds, ~is_owed)
    if ids := list(tx.execute(waiting).scalars()):
        outbox.cancel(tx, ids)


def _waited(tx: Connection, now: datetime, condition: ColumnElement[bool]) -> dict[str, list[str]]:
    """The reminders, by person and oldest first, that were written before today, tell of what is owed and have not left.

    Not corrections, and not those that tell of a breach which was mended since: they are of the past, and stay as they are.
    """
    joined = MESSAGES.join(RUNGS, RUNGS.c.message == MESSAGES.c.id).join(ROWS, ROWS.c.id == RUNGS.c.obligation)
    is_open = ROWS.c.status == str(Outcome.OPEN)
    before_today = MESSAGES.c.created_at < end_of_day(legal_day(now) - timedelta(days=1))
    statement = (
        select(RUNGS.c.recipient, MESSAGES.c.id)
        .select_from(joined)
        .where(MESSAGES.c.status == "pending", MESSAGES.c.template != "correction", before_today, condition)
        .group_by(RUNGS.c.recipient, MESSAGES.c.id)
        .having(func.sum(case((is_open, 1), else_=0)) > 0)
        .having(func.sum(case((~is_open & (RUNGS.c.rung == "breach"), 1), else_=0)) == 0)
        .order_by(MESSAGES.c.id)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for person, message in tx.execute(statement):
        found[person].append(message)
    return found


def _move_rungs(tx: Connection, cancelled: Collection[str], message: str) -> None:
    """What mails that were taken back had told is told by another one."""
    if cancelled:
        tx.execute(RUNGS.update().where(RUNGS.c.message.in_(cancelled)).values(message=message))


def _once(told: Mapping[str, list[Item]], messages: Iterable[str]) -> list[Item]:
    """What these mails tell of, each obligation once, as it was told last."""
    return list({item[0]["id"]: item for message in messages for item in told.get(message, ())}.values())


def _worded(letters: Letters, items: Sequence[Item]) -> tuple[str, dict[str, Any]]:
    """Template and context of a mail of one or of several things; with a breach among them it may leave at any hour."""
    template, context = letters.reminder(*items[0]) if len(items) == 1 else letters.digest(items)
    return template, {**context, "urgent": True} if any(rung == "breach" for _, rung in items) else context


class _Mails:
    """The mails of one transaction."""

    def __init__(
        self, desk: Desk, links: Links, now: datetime, tellings: Sequence[Telling], handlers: Mapping[str, str]
    ) -> None:
        self.desk, self.now, self.domain = desk, now, links.domain
        self.alone = [each for each in tellings if _goes_at_once(each)]
        self.day = [each for each in tellings if not _goes_at_once(each)]
        self.left: list[Telling] = []
        self.messages: list[NewMessage] = []
        self.claims: list[tuple[Telling, str]] = []
        today = legal_day(now)
        self.keys = {each.to.id: f"day:{each.to.id}:{today}" for each in self.day}
        self.todays = outbox.standing(desk.tx, self.keys.values())
        self.earlier = _waited(desk.tx, now, RUNGS.c.recipient.in_(self.keys)) if self.keys else {}
        there = [each.id for each in self.todays.values()]
        self.told = _open_items(desk.tx, [*there, *(id_ for ids in self.earlier.values() for id_ in ids)])
        rows = [row for items in self.told.values() for row, _ in items] + [each.row for each in tellings]
        self.letters = Letters(desk, links, now, rows, handlers)

    def write(self) -> None:
        """Write the mails, then the claims that point to them."""
        for person, tellings in _by_person(self.alone):
            for key, several in _at_once(person, tellings, self.now):
                self._claim(several, self._message(person, key, [(each.row, each.rung) for each in several]))
        moved = [each for person, tellings in _by_person(self.day) for each in self._today(person, tellings)]
        outbox.enqueue(self.desk.tx, self.messages, domain=self.domain)
        for taken_back, message in moved:
            _move_rungs(self.desk.tx, taken_back, message)
        claimed = [
            {
                "obligation": each.row["id"],
                "rung": each.rung,
                "recipient": each.to.id,
                "message": message,
                "at": self.now,
            }
            for each, message in self.claims
        ]
        obligations.claim(self.desk.tx, claimed)

    def _today(self, person: Addressee, tellings: list[Telling]) -> Iterator[tuple[list[str], str]]:
        """The day's mail of one person; the earlier mails whose rungs it takes over, and itself."""
        key = self.keys[person.id]
        earlier = self.earlier.get(person.id, ())
        taken_back = sorted(outbox.cancel(self.desk.tx, earlier)) if earlier else []
        new = [(each.row, each.rung) for each in tellings]
        kept = [item for item in _once(self.told, taken_back) if item[0]["id"] not in {row["id"] for row, _ in new}]
        there = self.todays.get(key)
        if there is None:
            message = self._message(person, key, [*kept, *new])
            self._claim(tellings, message)
        elif there.is_waiting and self._rewritten(there.id, [*self.told.get(there.id, ()), *kept, *new]):
            message = there.id
            self._claim(tellings, message)
        else:  # today's mail has left: what is new waits for the next one
            self.left += tellings
            if not kept:
                return
            message = self._message(person, f"{key}:{taken_back[0]}", kept)
        yield taken_back, message

    def _rewritten(self, message: str, items: Sequence[Item]) -> bool:
        return outbox.rewrite(self.desk.tx, message, *_worded(self.letters, items))

    def _message(self, person: Addressee, key: str, items: Sequence[Item]) -> str:
        template, context = _worded(self.letters, items)
        message = NewMessage(
            id=self.desk.chance.id(self.now), key=key, template=template, recipient=person.email,
            recipient_name=person.name, created_at=self.now, context=context, language=person.language, unit=person.unit,
        )  # fmt: skip
        self.messages.append(message)
        return message.id

    def _claim(self, tellings: Iterable[Telling], message: str) -> None:
        self.claims += ((each, message) for each in tellings)


def _goes_at_once(telling: Telling) -> bool:
    return telling.rung in _AT_ONCE or telling.is_handed_on or not telling.to.digest


def _at_once(person: Addressee, tellings: list[Telling], now: datetime) -> Iterator[tuple[str, list[Telling]]]:
    """One mail for each, under the name of its rung; where several come together, as after a downtime, one for all."""
    if len(tellings) > 1 and person.digest:
        yield f"now:{person.id}:{audit.instant_text(now)}:{tellings[0].row['id']}", tellings
        return
    yield from ((f"{each.row['id']}:{each.rung}:{each.to.id}", [each]) for each in tellings)


def _by_person(tellings: Iterable[Telling]) -> Iterator[tuple[Addressee, list[Telling]]]:
    found: dict[str, list[Telling]] = defaultdict(list)
    for each in tellings:
        found[each.to.id].append(each)
    yield from ((each[0].to, each) for each in found.values())


def _open_items(tx: Connection, messages: Collection[str]) -> dict[str, list[Item]]:
    """What messages tell of that is still owed: by message, the obligations and their rungs."""
    statement = (
        select(ROWS, RUNGS.c.message.label("told_by"), RUNGS.c.rung.label("told_rung"))
        .join(RUNGS, RUNGS.c.obligation == ROWS.c.id)
        .where(RUNGS.c.message.in_(messages), ROWS.c.status == str(Outcome.OPEN))
        .order_by(ROWS.c.due_at, ROWS.c.id)
    )
    found: dict[str, list[Item]] = defaultdict(list)
    for row in tx.execute(statement).mappings() if messages else ():
        found[row["told_by"]].append((dict(row), row["told_rung"]))
    return found
