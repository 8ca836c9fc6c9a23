"""From what people have to be told to their mails: the day's rungs of one person in one, others each at once; and the claims.

A mail that waited into another day never leaves: when its turn comes, one of that day takes its place and its rungs. So a
mail server which was away for days is followed by one mail for each, of what is true then. Only what may have arrived
already, as its sender was lost, is repeated by itself.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from notifications import outbox, unsent
from notifications.delivery import MOST_ATTEMPTS
from notifications.outbox import MESSAGES, NewMessage
from service.casework import audit, obligations
from service.casework.addressees import Addressee, Directory
from service.casework.desk import Desk
from service.casework.letters import Letters
from service.casework.links import Links
from service.casework.obligations import ROWS, RUNGS
from service.storage import locks
from service.storage.attempts import AGAIN_AFTER, fault_of
from workflows.ladders import is_rung
from workflows.obligations import Outcome
from workflows.working_days import end_of_day, legal_day

Item = tuple[Mapping[str, Any], str]


@dataclass(frozen=True, slots=True)
class Telling:
    """One rung of one obligation that one person is to be told of."""

    row: Mapping[str, Any]
    rung: str
    to: Addressee
    is_handed_on: bool = False  # to somebody to whom it was given later, and who knows nothing of it yet


def tell(
    desk: Desk,
    links: Links,
    now: datetime,
    tellings: Sequence[Telling],
    handlers: Mapping[str, str],
    *,
    careful: bool = False,
) -> list[Telling]:
    """Write the mails for all of `tellings` and claim their rungs; those that came too late for the day's mail are left.

    `careful`: leave out of the day's mail, and mark, what stood in it already and can be told no more.
    """
    mails = _Mails(desk, links, now, tellings, handlers, careful=careful)
    mails.write()
    return mails.left


def is_breach(rung: str) -> bool:
    """Whether a rung, by the name under which it is told, is the breach."""
    return is_rung(rung, "breach")


_IS_BREACH: ColumnElement[bool] = or_(RUNGS.c.rung == "breach", RUNGS.c.rung.startswith("breach-"))
_IS_OWED: ColumnElement[bool] = ROWS.c.status == str(Outcome.OPEN)
# What tells of something that happened, and not of something to be done, stays as it was written.
_IS_NEWS: ColumnElement[bool] = MESSAGES.c.template.in_(("correction", "request_answered"))
_IS_WAITING: ColumnElement[bool] = and_(outbox.IS_PENDING, ~_IS_NEWS)


def freshen(desk: Desk, links: Links, now: datetime) -> None:
    """Before mails leave: take back what tells of nothing that is owed any more, and let mails of today take the place of
    those that have waited into another day: one for each person but for those who want each by itself. What may have arrived
    is repeated alone and under its Message-ID, in words of today.

    What cannot be put into words is marked with its reason and waits for another turn; it stops nothing else.
    """
    locks.take(desk.tx, "reminders")  # a sweep that writes the day's mails is waited for: what it has read must stay so
    _take_back(desk.tx, now)
    waits = _waited(desk.tx, now)
    if not waits or fault_of(desk.tx, _freshen, desk, links, now, waits) is None:
        return
    for person, messages in waits.items():
        fault = fault_of(desk.tx, _freshen, desk, links, now, {person: messages}, careful=True)
        if fault is not None:
            unsent.put_aside(desk.tx, messages, repr(fault), now + AGAIN_AFTER)


def _freshen(desk: Desk, links: Links, now: datetime, waits: Mapping[str, list[str]], *, careful: bool = False) -> None:
    _Freshening(desk, links, now, waits, careful=careful).go()


def _take_back(tx: Connection, now: datetime) -> None:
    """Cancel what would leave now and tells of nothing any more: all of its obligations are met or closed. A breach stays
    news, also beside other things, and so does a day that has moved.
    """
    of_it = select(RUNGS.c.rung).where(RUNGS.c.message == MESSAGES.c.id)
    reminds = and_(of_it.exists(), ~of_it.where(_IS_BREACH).exists())
    is_owed = of_it.join(ROWS, ROWS.c.id == RUNGS.c.obligation).where(_IS_OWED).exists()
    waiting = select(MESSAGES.c.id).where(outbox.is_due(now), ~_IS_NEWS, reminds, ~is_owed)
    if ids := list(tx.execute(waiting).scalars()):
        unsent.cancel(tx, ids)


def _waited(tx: Connection, now: datetime) -> dict[str, list[str]]:
    """The reminders that were written before today, tell of what is owed and have not left, oldest first, by person: of
    all to whom something would leave now.

    Not those that tell of a breach which was mended since: they are of the past, and stay as they are.
    """
    told = MESSAGES.join(RUNGS, RUNGS.c.message == MESSAGES.c.id)
    due = select(RUNGS.c.recipient).select_from(told).where(outbox.is_due(now), ~_IS_NEWS)
    before_today = MESSAGES.c.created_at < end_of_day(legal_day(now) - timedelta(days=1))
    statement = (
        select(RUNGS.c.recipient, MESSAGES.c.id)
        .select_from(told.join(ROWS, ROWS.c.id == RUNGS.c.obligation))
        .where(_IS_WAITING, before_today, RUNGS.c.recipient.in_(due))
        .group_by(RUNGS.c.recipient, MESSAGES.c.id)
        .having(func.sum(case((_IS_OWED, 1), else_=0)) > 0)
        .having(func.sum(case((~_IS_OWED & _IS_BREACH, 1), else_=0)) == 0)
        .order_by(RUNGS.c.recipient, MESSAGES.c.id)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for person, message in tx.execute(statement):
        found[person].append(message)
    return found


def _worded(letters: Letters, to: Addressee, items: Sequence[Item]) -> tuple[str, dict[str, Any]]:
    """Template and context of a mail of one or of several things; with a breach among them it may leave at any hour."""
    letters = letters.to(to.unit)
    template, context = letters.reminder(*items[0]) if len(items) == 1 else letters.digest(items)
    return template, {**context, "urgent": True} if any(is_breach(rung) for _, rung in items) else context


def _day(person: str, now: datetime) -> str:
    """The key of the day's mail of somebody."""
    return f"day:{person}:{legal_day(now)}"


class _Freshening:
    """Mails of today in place of those that have waited into it."""

    def __init__(
        self, desk: Desk, links: Links, now: datetime, waits: Mapping[str, list[str]], *, careful: bool = False
    ) -> None:
        self.desk, self.now, self.domain = desk, now, links.domain
        self.todays = unsent.standing(desk.tx, [_day(person, now) for person in waits])
        self.held = unsent.hold(desk.tx, [message for messages in waits.values() for message in messages])
        self.told = _open_items(desk.tx, [*self.held, *_waiting(self.todays)])
        if careful:
            _leave_out(desk, links, now, self.told)
        rows = [row for items in self.told.values() for row, _ in items]
        self.directory = Directory(desk, rows)
        self.letters = Letters(desk, links, now, rows, self.directory.names)
        self.waits = {person: [id_ for id_ in messages if id_ in self.held] for person, messages in waits.items()}

    def go(self) -> None:
        for person, messages in self.waits.items():
            to = self.directory.known(person)
            if to is None:
                self._give_up(messages)
                continue
            for message in (id_ for id_ in messages if self.held[id_].unsure):
                self._reword(to, message)
            sure = [id_ for id_ in messages if not self.held[id_].unsure]
            for several in [sure] if to.digest and sure else [[id_] for id_ in sure]:
                self._put(to, several)

    def _reword(self, to: Addressee, message: str) -> None:
        """What may have arrived is repeated alone, under its own Message-ID: nothing else may be lost with it."""
        if items := self.told.get(message):
            unsent.reword(self.desk.tx, message, *_worded(self.letters, to, items))
        else:
            unsent.cancel(self.desk.tx, [message])

    def _put(self, to: Addressee, messages: list[str]) -> None:
        """Let one mail of today tell what these would have told, each obligation once, as it was told last."""
        items = list({item[0]["id"]: item for id_ in messages for item in self.told.get(id_, ())}.values())
        unsent.cancel(self.desk.tx, messages)
        if not items:
            return
        there = self.todays.get(_day(to.id, self.now)) if to.digest else None
        tired = max(self.held[id_].attempts % MOST_ATTEMPTS for id_ in messages)  # what somebody retries begins anew
        message = there.id if there is not None else ""
        if there is None or not there.is_waiting or not self._taken_up(to, message, items, tired):
            # Never as the day's mail: what the sweep is still to tell today, which looks a minute back, would find it gone.
            key = f"{self.held[messages[0]].key}:{legal_day(self.now)}"
            new = _message(self.desk, self.letters, self.now, to, key, items, tired)
            outbox.enqueue(self.desk.tx, [new], domain=self.domain)
            message = new.id
        self.desk.tx.execute(RUNGS.update().where(RUNGS.c.message.in_(messages)).values(message=message))

    def _taken_up(self, to: Addressee, message: str, items: Sequence[Item], tired: int) -> bool:
        new = {row["id"] for row, _ in self.told.get(message, ())}
        whole = [*self.told.get(message, ()), *(item for item in items if item[0]["id"] not in new)]
        return unsent.rewrite(self.desk.tx, message, *_worded(self.letters, to, whole), attempts=tired)

    def _give_up(self, messages: Sequence[str]) -> None:
        """Nobody reads them there any more: whoever is concerned now is told in the next turn of what they were about."""
        if messages:
            obligations.wake_of(self.desk.tx, messages, self.now)
            unsent.cancel(self.desk.tx, messages)


def _try(desk: Desk, links: Links, now: datetime, row: Mapping[str, Any], rung: str) -> None:
    Directory(desk, [row])
    Letters(desk, links, now, [row], {}).reminder(row, rung)


def _leave_out(desk: Desk, links: Links, now: datetime, told: dict[str, list[Item]]) -> None:
    """Take out of what messages tell what cannot be put into words, with the reason on its row; its turn comes again."""
    for message, items in told.items():
        kept = []
        for row, rung in items:
            fault = fault_of(desk.tx, _try, desk, links, now, row, rung)
            if fault is None:
                kept.append((row, rung))
            else:
                obligations.put_aside(desk.tx, row["id"], message, fault, now + AGAIN_AFTER)
        told[message] = kept


def _message(
    desk: Desk, letters: Letters, now: datetime, to: Addressee, key: str, items: Sequence[Item], attempts: int = 0
) -> NewMessage:
    template, context = _worded(letters, to, items)
    return NewMessage(
        id=desk.chance.id(now), key=key, template=template, recipient=to.email, recipient_name=to.name, created_at=now,
        context=context, language=to.language, unit=to.unit, attempts=attempts,
    )  # fmt: skip


class _Mails:
    """The mails of one transaction."""

    def __init__(
        self,
        desk: Desk,
        links: Links,
        now: datetime,
        tellings: Sequence[Telling],
        handlers: Mapping[str, str],
        *,
        careful: bool,
    ) -> None:
        self.desk, self.now, self.domain = desk, now, links.domain
        self.alone = [each for each in tellings if _goes_at_once(each)]
        self.day = [each for each in tellings if not _goes_at_once(each)]
        self.left: list[Telling] = []
        self.messages: list[NewMessage] = []
        self.claims: list[tuple[Telling, str]] = []
        self.todays = unsent.standing(desk.tx, {_day(each.to.id, now) for each in self.day})
        self.told = _open_items(desk.tx, _waiting(self.todays))
        if careful:
            _leave_out(desk, links, now, self.told)
        rows = [row for items in self.told.values() for row, _ in items] + [each.row for each in tellings]
        self.letters = Letters(desk, links, now, rows, handlers)

    def write(self) -> None:
        """Write the mails, then the claims that point to them."""
        for person, tellings in _by_person(self.alone):
            for key, several in _at_once(person, tellings, self.now):
                self._claim(several, self._message(person, key, several))
        for person, tellings in _by_person(self.day):
            self._today(person, tellings)
        outbox.enqueue(self.desk.tx, self.messages, domain=self.domain)
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

    def _today(self, person: Addressee, tellings: list[Telling]) -> None:
        """The day's mail of one person: a new one, or the one that waits; what comes after that has left waits itself."""
        key = _day(person.id, self.now)
        there = self.todays.get(key)
        if there is None:
            self._claim(tellings, self._message(person, key, tellings))
        elif there.is_waiting and self._rewritten(person, there.id, tellings):
            self._claim(tellings, there.id)
        else:
            self.left += tellings

    def _rewritten(self, person: Addressee, message: str, tellings: Iterable[Telling]) -> bool:
        items = [*self.told.get(message, ()), *((each.row, each.rung) for each in tellings)]
        return unsent.rewrite(self.desk.tx, message, *_worded(self.letters, person, items))

    def _message(self, person: Addressee, key: str, tellings: Iterable[Telling]) -> str:
        items = [(each.row, each.rung) for each in tellings]
        message = _message(self.desk, self.letters, self.now, person, key, items)
        self.messages.append(message)
        return message.id

    def _claim(self, tellings: Iterable[Telling], message: str) -> None:
        self.claims += ((each, message) for each in tellings)


def _goes_at_once(telling: Telling) -> bool:
    """Whether it goes by itself; everything else waits for the day's mail."""
    is_urgent = telling.rung == "handed" or is_breach(telling.rung)
    return is_urgent or telling.is_handed_on or not telling.to.digest


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


def _waiting(todays: Mapping[str, unsent.Standing]) -> list[str]:
    return [each.id for each in todays.values() if each.is_waiting]


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
