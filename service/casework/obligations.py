"""Obligations as rows: what the rules derive, written in the transaction of the change that it follows from, and read.

A row is owed by nobody before its `since` (the report of a month that has not begun), and one that ended before it began
never was: neither is shown.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from notifications.outbox import MESSAGES
from service.access import Caller, obligations_seen
from service.errors import NotFound
from service.storage.sets import sent_rows, write_set
from service.storage.tables import Obligation, RungRow, UTCDateTime, table
from workflows.case import Case
from workflows.ladders import Reached, Term, climb, next_at
from workflows.obligations import Outcome, Owed, ended, is_handed, of_case, settled, wakes_at
from workflows.programme import Programme
from workflows.working_days import Calendar

ROWS = table(Obligation)
RUNGS = table(RungRow)
# What the rules derive; the rest of a row says what has become of it.
_DERIVED = (
    "id", "programme", "programme_version", "kind", "title", "clause", "unit", "area", "subject_type", "subject",
    "case_id", "enterprise", "officer", "handler", "since", "due_on", "due_at", "hard", "provisional", "status",
    "ended_at", "next_at",
)  # fmt: skip
_MOMENT = timedelta(microseconds=1)
_LONGEST_TROUBLE = 500
# What an event of the case may give another day, which is another term: its rungs carry the day, its breach is another.
RENEWED = frozenset({"measure", "re_review"})


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose thing an obligation is about: the unit, and the case and site if it is one's."""

    area: str
    case: str | None = None
    enterprise: str | None = None


def opened(programme: Programme, calendar: Calendar, owed: Owed, whose: Whose, at: datetime) -> dict[str, Any]:
    """The row of something that is owed, as known at `at`."""
    # A rung may stand at the very beginning; one that was reached before anybody entered it is told at once.
    first = wakes_at(programme, calendar, owed, owed.since - _MOMENT)
    return {
        **_row(programme, owed, whose), "status": str(Outcome.OPEN), "ended_at": None,
        "next_at": first and max(first, at),
    }  # fmt: skip


def closed(programme: Programme, owed: Owed, whose: Whose, outcome: Outcome, at: datetime) -> dict[str, Any]:
    """The row of something that is owed no more since `at`."""
    status = settled(programme, owed, outcome, at)
    return {**_row(programme, owed, whose), "status": str(status), "ended_at": at, "next_at": None}


def _row(programme: Programme, owed: Owed, whose: Whose) -> dict[str, Any]:
    return {
        "id": owed.id, "programme": programme.id, "programme_version": programme.version, "kind": owed.kind,
        "title": to_json({"zh": owed.title.zh, "en": owed.title.en}).decode(), "clause": owed.clause,
        "unit": owed.unit, "area": whose.area, "subject_type": owed.subject_type, "subject": owed.subject,
        "case_id": whose.case, "enterprise": whose.enterprise, "officer": owed.officer, "handler": owed.handler,
        "since": owed.since, "due_on": owed.due_on, "due_at": owed.due_at, "hard": owed.hard,
        "provisional": owed.provisional,
    }  # fmt: skip


def between(
    programme: Programme,
    calendar: Calendar,
    before: Case | None,
    after: Case,
    at: datetime,
    *,
    undone: bool = False,
    by: Programme | None = None,
) -> list[dict[str, Any]]:
    """The rows that change when a case goes from `before` (None: it was not there) to `after` at the instant `at`.

    `by` is the version of the plan by which it was owed before, where that is another: then every row becomes the new
    one's, and what that does not ask for is closed.
    """
    is_moved = by is not None and by.version != programme.version
    was = of_case(by or programme, calendar, before) if before is not None else {}
    is_ = of_case(programme, calendar, after)
    whose = Whose(after.unit, after.id, after.enterprise)
    changed = (owed for name, owed in is_.items() if is_moved or was.get(name) != owed)
    rows = [opened(programme, calendar, owed, whose, at) for owed in changed]
    if before is not None:
        for name in was.keys() - is_.keys():
            outcome = Outcome.CLOSED if is_moved else ended(programme, after, was[name], undone=undone)
            rows.append(closed(programme, was[name], whose, outcome, at))
    return sorted(rows, key=lambda row: row["id"])  # whoever writes the same rows takes them in the same order


# --- writing ----------------------------------------------------------------------------------------------------------


def _upsert(statement: Any) -> Any:
    """`statement`, an INSERT of the engine, so that a row which is there becomes what is derived now.

    What stays owed stays as it began; a day that moves is counted. What was breached once is met late, whichever day
    holds by then.
    """
    new = statement.excluded
    was_open = ROWS.c.status == str(Outcome.OPEN)
    changed = {name: new[name] for name in _DERIVED if name not in ("id", "since")}
    changed["since"] = case((was_open, ROWS.c.since), else_=new["since"])
    is_met = or_(new["status"] == str(Outcome.MET), new["status"] == str(Outcome.NIL))
    is_late = and_(ROWS.c.breached_at.is_not(None), is_met)
    changed["status"] = case((is_late, str(Outcome.MET_LATE)), else_=new["status"])
    changed["sequence"] = ROWS.c.sequence + case((ROWS.c.due_on != new["due_on"], 1), else_=0)
    changed["trouble"] = None
    # Met late before any sweep had its turn: the term ended unmet all the same.
    was_late = case((new["status"] == str(Outcome.MET_LATE), new["due_at"]))
    changed["breached_at"] = func.coalesce(ROWS.c.breached_at, was_late)
    return statement.on_conflict_do_update(index_elements=["id"], set_=changed)


_HELD = [*_DERIVED, "sequence", "version"]
PUT = _upsert(sqlite.insert(ROWS).values({name: bindparam(name) for name in _DERIVED} | {"sequence": 0, "version": 0}))


def put_set(place: int) -> Any:
    """The statement that puts all the rows that `write_set` sends in this place."""
    sent = sent_rows(place, {name: ROWS.c[name] for name in _DERIVED})
    chosen = select(*sent, literal_column("0"), literal_column("0"))
    return _upsert(postgresql.insert(ROWS).from_select(_HELD, chosen))


_PUT_SET = put_set(0)


def put(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows made by `opened`, `closed` or `between`."""
    if rows:
        write_set(tx, [(PUT, rows)], _PUT_SET)


def standing(tx: Connection, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rows of these ids that there are, locked until the transaction ends."""
    statement = select(ROWS).where(ROWS.c.id.in_(list(ids))).order_by(ROWS.c.id).with_for_update()
    return {row["id"]: dict(row) for row in tx.execute(statement).mappings()}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """What obligations are asked for; None asks for all."""

    programme: str | None = None
    unit: str | None = None
    kind: str | None = None
    status: str | None = None
    subject: str | None = None
    due_from: date | None = None
    due_to: date | None = None


def status_of(row: Mapping[str, Any], programme: Programme, now: datetime) -> str:
    """How an obligation stands at `now`: the stored status, or overdue."""
    is_over = row["status"] == Outcome.OPEN and row["due_at"] <= now
    return "overdue" if is_over and programme.ladder_by_id[row["kind"]].breaches else str(row["status"])


def begun(now: datetime) -> ColumnElement[bool]:
    """The condition under which an obligation has begun, and did not end before it had."""
    never = and_(ROWS.c.ended_at.is_not(None), ROWS.c.ended_at < ROWS.c.since)
    return and_(ROWS.c.since <= now, ~never)


def is_overdue(now: datetime, programmes: Iterable[Programme]) -> ColumnElement[bool]:
    """The condition that `status_of` decides, for rows of these programmes."""
    kinds = {ladder.id for programme in programmes for ladder in programme.ladders if ladder.breaches}
    return and_(ROWS.c.status == str(Outcome.OPEN), ROWS.c.due_at <= now, ROWS.c.kind.in_(kinds))


def search(
    tx: Connection,
    caller: Caller,
    wanted: Search,
    now: datetime,
    programmes: Sequence[Programme],
    limit: int,
    after: tuple[datetime, str] | None,
) -> list[dict[str, Any]]:
    """Up to `limit` obligations in scope that have begun, due first, beyond the one `after` (its `due_at` and id)."""
    statement = select(ROWS).where(obligations_seen(caller), begun(now)).order_by(ROWS.c.due_at, ROWS.c.id).limit(limit)
    for name in ("programme", "unit", "kind", "subject"):
        value = getattr(wanted, name)
        if value is not None:
            statement = statement.where(ROWS.c[name] == value)
    if wanted.status is not None:
        overdue = is_overdue(now, programmes)
        plain = ROWS.c.status == wanted.status
        statement = statement.where(
            overdue if wanted.status == "overdue" else plain & ~overdue if wanted.status == Outcome.OPEN else plain
        )
    if wanted.due_from is not None:
        statement = statement.where(ROWS.c.due_on >= wanted.due_from)
    if wanted.due_to is not None:
        statement = statement.where(ROWS.c.due_on <= wanted.due_to)
    if after is not None:
        at, id_ = after
        statement = statement.where(tuple_(ROWS.c.due_at, ROWS.c.id) > tuple_(literal(at, UTCDateTime), id_))
    return [dict(row) for row in tx.execute(statement).mappings()]


def read(tx: Connection, caller: Caller, obligation: str, now: datetime) -> dict[str, Any]:
    """One obligation in scope that has begun. Raises NotFound."""
    statement = select(ROWS).where(ROWS.c.id == obligation, obligations_seen(caller), begun(now))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def told_of(tx: Connection, obligation: str) -> list[dict[str, Any]]:
    """What was sent for an obligation: each rung with its recipient, the message and how that stands."""
    statement = (
        select(RUNGS, MESSAGES.c.status, MESSAGES.c.sent_at, MESSAGES.c.template)
        .join(MESSAGES, MESSAGES.c.id == RUNGS.c.message)
        .where(RUNGS.c.obligation == obligation)
        .order_by(RUNGS.c.at, RUNGS.c.rung, RUNGS.c.recipient)
    )
    return [dict(row) for row in tx.execute(statement).mappings()]


def term_of(row: Mapping[str, Any]) -> Term:
    """The beginning and the end of a row's term."""
    return Term(row["since"], row["due_on"], is_handed(row["id"], row["subject"]))


def rung_of(row: Mapping[str, Any], reached: Reached) -> str:
    """The name by which a rung is told once: of a term that began anew it carries the day, as a daily one does."""
    return f"{reached.id}-{row['due_on']}" if row["sequence"] and row["kind"] in RENEWED else reached.id


def next_turn(programme: Programme, calendar: Calendar, row: Mapping[str, Any], now: datetime) -> datetime | None:
    """The next instant beyond `now` at which somebody has to be told of a row, or its term ends."""
    ladder = programme.ladder_by_id[row["kind"]]
    return next_at(ladder, term_of(row), calendar, programme.office_hours, after=now)


_RUNG_COLUMNS = ("obligation", "rung", "recipient", "message", "at")
_CLAIM_SET = RUNGS.insert().from_select(
    _RUNG_COLUMNS, select(*sent_rows(0, {name: RUNGS.c[name] for name in _RUNG_COLUMNS}))
)


def claim(tx: Connection, rungs: Sequence[dict[str, Any]]) -> None:
    """Claim rungs, each for a recipient and by its message. Raises IntegrityError for one that is claimed already."""
    if rungs:
        write_set(tx, [(RUNGS.insert(), rungs)], _CLAIM_SET)


_WAKE = ROWS.update().where(ROWS.c.id == bindparam("obligation")).values(next_at=bindparam("at", type_=UTCDateTime))
_WAKE_SENT = sent_rows(0, {"obligation": ROWS.c.id, "at": ROWS.c.next_at})
_WAKE_SET = ROWS.update().where(ROWS.c.id == _WAKE_SENT.obligation).values(next_at=_WAKE_SENT["at"])


def wake(tx: Connection, turns: Sequence[dict[str, Any]]) -> None:
    """Give obligations another next turn: each `{"obligation": id, "at": instant or None}`."""
    if turns:
        write_set(tx, [(_WAKE, turns)], _WAKE_SET)


def wake_of(tx: Connection, messages: Collection[str], at: datetime) -> None:
    """Give what is owed and was to be told by these messages, which were taken back, its turn at once."""
    told = select(RUNGS.c.obligation).where(RUNGS.c.message.in_(messages))
    tx.execute(ROWS.update().where(ROWS.c.id.in_(told), ROWS.c.status == str(Outcome.OPEN)).values(next_at=at))


def trouble(fault: Exception) -> str:
    """How a row says what is wrong with it."""
    return repr(fault)[:_LONGEST_TROUBLE]


def put_aside(tx: Connection, obligation: str, message: str, fault: Exception, until: datetime) -> None:
    """Say on the row why it cannot be told, and let what a message was to tell of it be told when its turn comes then."""
    tx.execute(RUNGS.delete().where(RUNGS.c.obligation == obligation, RUNGS.c.message == message))
    tx.execute(ROWS.update().where(ROWS.c.id == obligation).values(trouble=trouble(fault), next_at=until))


def ladder_of(row: Mapping[str, Any], programme: Programme, calendar: Calendar, now: datetime) -> tuple[Reached, ...]:
    """The rungs of a row's ladder: to the end of its term, and beyond it for as long as it stays owed."""
    ends = now if row["status"] == Outcome.OPEN else row["ended_at"]
    until = max(row["due_at"], ends)
    return climb(programme.ladder_by_id[row["kind"]], term_of(row), calendar, programme.office_hours, until=until)


def place(position: Sequence[Any]) -> tuple[datetime, str]:
    """The end of the term and the id that a cursor carries."""
    at, id_ = position
    return datetime.fromisoformat(at), str(id_)
