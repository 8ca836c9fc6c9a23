"""The audit: a hash chain for each thing, appended in the transaction of the change, and queried.

An entry is canonical JSON (RFC 8785) with the hash of the one before, hashed SHA-256. It never holds the contact of a
person, only a salted commitment to it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any

import rfc8785
from pydantic_core import from_json
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    and_,
    desc,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from service.access import Act, Caller, audit_seen
from service.storage.sets import sent_rows, write_set
from service.storage.tables import (
    AuditEntry,
    CaseRow,
    NoticeEntryRow,
    Objection,
    Obligation,
    Request,
    UTCDateTime,
    table,
)

_AUDIT, _CASES = table(AuditEntry), table(CaseRow)
_REQUESTS, _OBJECTIONS, _ENTRIES, _OWED = table(Request), table(Objection), table(NoticeEntryRow), table(Obligation)
_HELD = [column.name for column in _AUDIT.columns if column.name != "seq"]
APPEND = _AUDIT.insert()
# For those who ask for the entry of a thing beside the thing itself.
AT, OF_TYPE, OF_SUBJECT, OF_VERSION = _AUDIT.c.at, _AUDIT.c.subject_type, _AUDIT.c.subject_id, _AUDIT.c.version


def append_set(place: int) -> Any:
    """The statement that appends all the rows that `write_set` sends in this place."""
    return _AUDIT.insert().from_select(_HELD, select(*sent_rows(place, {name: _AUDIT.c[name] for name in _HELD})))


_APPEND_SET = append_set(0)

# How many entries a stream reads at once.
_PART = 1000
# The stamp in which the version and head of the clock's chain stand.
CLOCK_CHAIN = "clock_chain"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step in the history of one thing. `changes` hold each changed part as it is afterwards."""

    act: Act
    subject_type: str
    subject_id: str
    version: int
    action: str
    prev: str | None
    unit: str | None = None
    reason: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


_PLAIN = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_SAFE = 2**53 - 1


def canonical(value: Any) -> str:
    """`value` as canonical JSON (RFC 8785). Raises ValueError for what has none."""
    # What needs none of its subtler rules is left to the interpreter's own encoder, which is ten times as fast.
    if not _is_plain(value):
        return rfc8785.dumps(value).decode()
    text = _PLAIN.encode(value)
    text.encode()  # raises for half a character, which has no form
    return text


def _is_plain(value: Any) -> bool:
    """Whether it holds no number but small integers, and no key whose place depends on how characters are counted."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_SAFE <= value <= _SAFE)
    if kind is dict:
        for key, each in value.items():
            if type(key) is not str or not key.isascii() or not (type(each) is str or _is_plain(each)):
                return False
        return True
    return (kind is list or kind is tuple) and all(map(_is_plain, value))


def instant_text(at: datetime) -> str:
    """An instant as it stands in a hashed entry: UTC, microseconds."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def written_after(subject_type: str, subject: Any, version: Any, case_id: str, event: str) -> ColumnElement[bool]:
    """The condition under which an entry of a thing was written after the newest of a case by an event of this name.

    By their place in the audit: who arrived first may have been written last, and what is written may rest on the other.
    """
    of_thing = (subject_type == OF_TYPE) & (subject == OF_SUBJECT) & (version == OF_VERSION)
    of_case = (OF_TYPE == "case") & (case_id == OF_SUBJECT) & (_AUDIT.c.action == event)
    newest = select(func.max(_AUDIT.c.seq)).where(of_case).scalar_subquery()
    later: ColumnElement[bool] = select(_AUDIT.c.seq).where(of_thing).scalar_subquery() > newest
    return later


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def hashed_text(row: Any) -> str:
    """The canonical JSON whose SHA-256 is the entry's hash, from a row whose data and changes are canonical already.

    The keys stand in the order of RFC 8785, so joining canonical parts gives a canonical whole.
    """
    actor = (
        f'{{"id":{_quoted(row["actor_id"])},"name":{_quoted(row["actor_name"])},"role":{_quoted(row["actor_role"])}}}'
    )
    subject = f'{{"id":{_quoted(row["subject_id"])},"type":{_quoted(row["subject_type"])}}}'
    return (
        f'{{"action":{_quoted(row["action"])},"actor":{actor},"at":"{instant_text(row["at"])}",'
        f'"changes":{row["changes"]},"data":{row["data"]},"prev":{_quoted(row["prev"])},'
        f'"reason":{_quoted(row["reason"])},"request_id":{_quoted(row["request_id"])},"subject":{subject},'
        f'"unit":{_quoted(row["unit"])},"version":{row["version"]}}}'
    )


def row_of(entry: Entry) -> dict[str, Any]:
    """The row of an entry, with its hash."""
    caller = entry.act.caller
    row: dict[str, Any] = {
        "at": entry.act.at,
        "actor_id": caller.id,
        "actor_name": caller.name,
        "actor_role": str(caller.role),
        "unit": entry.unit,
        "action": entry.action,
        "subject_type": entry.subject_type,
        "subject_id": entry.subject_id,
        "version": entry.version,
        "reason": entry.reason,
        "data": canonical(entry.data),
        "changes": canonical(entry.changes),
        "prev": entry.prev,
        "request_id": entry.act.request_id,
    }
    row["hash"] = sha256(hashed_text(row).encode()).hexdigest()
    return row


def append(tx: Connection, entries: Sequence[Entry]) -> list[str]:
    """Append entries, each to its thing's chain; their hashes, which become the things' heads, in order.

    None is earlier than the entry before it, whichever of their requests arrived first.
    """
    return insert(tx, [row_of(_in_order(tx, entry)) for entry in entries])


def _in_order(tx: Connection, entry: Entry) -> Entry:
    if entry.prev is None:
        return entry
    before = at_of(tx, entry.subject_type, entry.subject_id, entry.version - 1)
    return entry if before is None else replace(entry, act=entry.act.not_before(before))


def at_of(tx: Connection, subject_type: str, subject_id: str, version: int) -> datetime | None:
    """When the entry was made that gave a thing this version."""
    of_the_thing = (_AUDIT.c.subject_type == subject_type) & (_AUDIT.c.subject_id == subject_id)
    return tx.execute(select(_AUDIT.c.at).where(of_the_thing, _AUDIT.c.version == version)).scalar()


def insert(tx: Connection, rows: list[dict[str, Any]]) -> list[str]:
    """Write rows made by `row_of`; their hashes in order."""
    if rows:
        write_set(tx, [(APPEND, rows)], _APPEND_SET)
    return [row["hash"] for row in rows]


def entry_id(row: Any) -> str:
    """The public id of an entry: its thing's id and the version it made."""
    return f"{row['subject_id']}.{row['version']}"


@dataclass(frozen=True, slots=True)
class Query:
    """What entries are asked for; None asks for all."""

    subject_type: str | None = None
    subject: str | None = None
    actor: str | None = None
    unit: str | None = None
    action: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    request_id: str | None = None
    q: str | None = None
    about: str | None = None


def _about(thing: str | None) -> FromClause:
    """The entries of a thing and of what hangs on it; all that there are, for None."""
    if thing is None:
        return _AUDIT  # type: ignore[no-any-return]
    # They are few of many: OFFSET keeps both engines from walking an index of time or unit until they come.
    return select(_AUDIT).where(_AUDIT.c.subject_id.in_(_things_about(thing))).offset(0).subquery()


def _things_about(thing: str) -> CompoundSelect[Any]:
    """A thing and what hangs on it: the cases of a site; requests, objections and notices of a site or case; the
    objections of a notice; and what is owed for any of them.
    """
    cases = union_all(select(literal(thing).label("id")), select(_CASES.c.id).where(_CASES.c.enterprise == thing)).cte()
    of_cases, published = select(cases.c.id), select(_ENTRIES.c.case_id).where(_ENTRIES.c.notice == thing)
    things = union_all(
        of_cases,
        select(_REQUESTS.c.id).where((_REQUESTS.c.case_id == thing) | (_REQUESTS.c.enterprise == thing)),
        select(_OBJECTIONS.c.id).where(_OBJECTIONS.c.case_id.in_(of_cases)),
        select(_ENTRIES.c.notice).where(_ENTRIES.c.case_id.in_(of_cases)),
        # Found by its cases, of which there is an index.
        select(_OBJECTIONS.c.id).where(_OBJECTIONS.c.notice == thing, _OBJECTIONS.c.case_id.in_(published)),
    ).cte()
    every = select(things.c.id)
    return union_all(every, select(_OWED.c.id).where(_OWED.c.subject.in_(every)))


def _wanted(rows: FromClause, caller: Caller, query: Query) -> ColumnElement[bool]:
    conditions = [audit_seen(caller, rows)]
    for column, value in (
        (rows.c.subject_type, query.subject_type),
        (rows.c.subject_id, query.subject),
        (rows.c.unit, query.unit),
        (rows.c.action, query.action),
        (rows.c.request_id, query.request_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if query.from_ is not None:
        conditions.append(rows.c.at >= query.from_)
    if query.to is not None:
        conditions.append(rows.c.at < query.to)
    if query.q is not None:
        conditions.append(
            or_(
                rows.c.reason.contains(query.q, autoescape=True),
                rows.c.data.contains(query.q, autoescape=True),
                rows.c.actor_name.contains(query.q, autoescape=True),
            )
        )
    return and_(*conditions)


def _by(rows: FromClause, actor: str | None) -> tuple[ColumnElement[bool], ...]:
    """The conditions, of which no entry meets two, under which an entry is an actor's, who is said by id or by name."""
    if actor is None:
        return (true(),)
    is_id: ColumnElement[bool] = rows.c.actor_id == actor
    return is_id, and_(rows.c.actor_name == actor, ~is_id)


def page(
    tx: Connection, caller: Caller, query: Query, limit: int, after: tuple[datetime, int] | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` entries in scope, newest first, beyond the entry `after` (its instant and sequence)."""
    rows = _about(query.about)
    wanted = _wanted(rows, caller, query)
    if after is not None:
        at, seq = after
        # Compared as one row, so that the index is entered there and not walked from the newest entry.
        wanted &= tuple_(rows.c.at, rows.c.seq) < tuple_(literal(at, UTCDateTime), seq)
    # Each condition walks an index of its own in order and stops; one with OR in it would read all that there is.
    newest = [
        select(rows).where(wanted, one).order_by(rows.c.at.desc(), rows.c.seq.desc()).limit(limit)
        for one in _by(rows, query.actor)
    ]
    statement = union_all(*(select(each.subquery()) for each in newest)).order_by(desc("at"), desc("seq")).limit(limit)
    return [dict(row) for row in tx.execute(statement if len(newest) > 1 else newest[0]).mappings()]


def stream(
    readings: Callable[[], AbstractContextManager[Connection]], caller: Caller, query: Query
) -> Iterator[dict[str, Any]]:
    """Every entry in scope that stood when it began, newest first, in parts of 1,000.

    `readings` gives a connection for each part: none is held while the receiver of the stream takes its time.
    """
    after: tuple[datetime, int] | None = None
    while True:
        with readings() as tx:
            rows = page(tx, caller, query, _PART, after)
        yield from rows
        if len(rows) < _PART:
            return
        after = rows[-1]["at"], rows[-1]["seq"]


def history(tx: Connection, subject_type: str, subject_id: str) -> list[dict[str, Any]]:
    """All entries of one thing, oldest first."""
    statement = (
        select(_AUDIT)
        .where(_AUDIT.c.subject_type == subject_type, _AUDIT.c.subject_id == subject_id)
        .order_by(_AUDIT.c.version)
    )
    return [dict(row) for row in tx.execute(statement).mappings()]


def changes_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each entry changed, parsed."""
    return [from_json(row["changes"]) for row in rows]


def place(position: Sequence[Any]) -> tuple[datetime, int]:
    """The instant and sequence that a cursor carries."""
    at, seq = position
    return datetime.fromisoformat(at), int(seq)


def exported(row: dict[str, Any]) -> dict[str, Any]:
    """An entry as it is exported: exactly what was hashed, and the hash."""
    document: dict[str, Any] = from_json(hashed_text(row))
    return {**document, "hash": row["hash"]}
