"""From what people have to be told to their mails: the day's rungs of one person in one, others each at once; and the claims.

A mail that has not left when the next day's is written gives up its place and its rungs to that one, so that a mail server
which was away for days is followed by one mail for each, of what is true then.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, select

from notifications import outbox
from notifications.outbox import MESSAGES, NewMessage
from service.casework import audit
from service.casework.addressees import Addressee
from service.casework.desk import Desk
from service.casework.letters import Letters
from service.casework.links import Links
from service.casework.obligations import ROWS, RUNGS
from service.storage.sets import sent_rows, write_set
from workflows.obligations import Outcome
from workflows.working_days import legal_day

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


def take_back(tx: Connection) -> None:
    """Cancel what waits to leave and tells of nothing any more: all of its obligations are met or closed. A breach stays news."""
    of_it = select(RUNGS.c.rung).where(RUNGS.c.message == MESSAGES.c.id)
    reminds = of_it.where(RUNGS.c.rung != "breach").exists()
    is_owed = of_it.join(ROWS, ROWS.c.id == RUNGS.c.obligation).where(ROWS.c.status == str(Outcome.OPEN)).exists()
    waiting = select(MESSAGES.c.id).where(MESSAGES.c.status == "pending", reminds, ~is_owed)
    if ids := list(tx.execute(waiting).scalars()):
        outbox.cancel(tx, ids)


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
        self.earlier: dict[str, list[outbox.Standing]] = defaultdict(list)
        for each in outbox.waiting(desk.tx, {each.to.email for each in self.day}, "day:"):
            if each.key not in self.todays:
                self.earlier[each.key.rpartition(":")[0]].append(each)
        self.told = _open_items(
            desk.tx, [each.id for each in (*self.todays.values(), *chain.from_iterable(self.earlier.values()))]
        )
        rows = [row for items in self.told.values() for row, _ in items] + [each.row for each in tellings]
        self.letters = Letters(desk, links, now, rows, handlers)

    def write(self) -> None:
        """Write the mails, then the claims that point to them."""
        for person, tellings in _by_person(self.alone):
            for key, several in _at_once(person, tellings, self.now):
                is_urgent = any(each.rung == "breach" for each in several)
                items = [(each.row, each.rung) for each in several]
                self._claim(several, self._message(person, key, items, is_urgent=is_urgent))
        moved = [each for person, tellings in _by_person(self.day) for each in self._today(person, tellings)]
        outbox.enqueue(self.desk.tx, self.messages, domain=self.domain)
        for earlier, message in moved:
            self.desk.tx.execute(RUNGS.update().where(RUNGS.c.message == earlier).values(message=message))
        _claim(self.desk.tx, self.claims, self.now)

    def _today(self, person: Addressee, tellings: list[Telling]) -> Iterator[tuple[str, str]]:
        """The day's mail of one person; each earlier mail whose rungs it takes over, and itself."""
        key = self.keys[person.id]
        earlier = [each.id for each in self.earlier[key.rpartition(":")[0]]]
        taken_back = sorted(outbox.cancel(self.desk.tx, earlier)) if earlier else []
        kept = list({item[0]["id"]: item for id_ in taken_back for item in self.told.get(id_, ())}.values())
        new = [(each.row, each.rung) for each in tellings]
        kept = [item for item in kept if item[0]["id"] not in {row["id"] for row, _ in new}]
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
        yield from ((id_, message) for id_ in taken_back)

    def _rewritten(self, message: str, items: Sequence[Item]) -> bool:
        return outbox.rewrite(self.desk.tx, message, *self._worded(items))

    def _message(self, person: Addressee, key: str, items: Sequence[Item], *, is_urgent: bool = False) -> str:
        template, context = self._worded(items)
        if is_urgent:
            context = {**context, "urgent": True}  # for the post: it may leave at any hour
        message = NewMessage(
            id=self.desk.chance.id(self.now), key=key, template=template, recipient=person.email,
            recipient_name=person.name, created_at=self.now, context=context, language=person.language, unit=person.unit,
        )  # fmt: skip
        self.messages.append(message)
        return message.id

    def _worded(self, items: Sequence[Item]) -> tuple[str, dict[str, Any]]:
        return self.letters.reminder(*items[0]) if len(items) == 1 else self.letters.digest(items)

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


def _open_items(tx: Connection, messages: Sequence[str]) -> dict[str, list[Item]]:
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


_RUNG_COLUMNS = ("obligation", "rung", "recipient", "message", "at")
_CLAIM_SET = RUNGS.insert().from_select(
    _RUNG_COLUMNS, select(*sent_rows(0, {name: RUNGS.c[name] for name in _RUNG_COLUMNS}))
)


def _claim(tx: Connection, claims: Sequence[tuple[Telling, str]], now: datetime) -> None:
    """Claim rungs for their recipients. Raises IntegrityError for one that is claimed already."""
    rows = [
        {"obligation": each.row["id"], "rung": each.rung, "recipient": each.to.id, "message": message, "at": now}
        for each, message in claims
    ]
    if rows:
        write_set(tx, [(RUNGS.insert(), rows)], _CLAIM_SET)
